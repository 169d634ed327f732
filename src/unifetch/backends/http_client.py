"""What `http.client` gets wrong, put right once for the three libraries that are built on it.

Left to itself it takes the first 1xx response but 100 for the final one, and never waits for 100; drops every
field after a malformed one, Content-Length included; takes a head that was cut off for a whole one, and a body
that was cut off for a short one; reads a chunk's size as Python reads a number; drops trailers; loses the
response when the server ends an upload early; and starts its timeout anew at each byte that arrives.

Subclasses correct it: `Connection` connects as `wire/blocking.py` says and writes the request as it is,
`DeadlineSocket` bounds every step on the network, `StrictResponse` reads the head and the body. What they
override has a public name, but is seldom documented to be overridden. Each such place is marked as a hook, and
tests/test_http_client_hooks.py fails when the library changes underneath it. Nothing here knows urllib, urllib3
or requests.
"""

from __future__ import annotations

import http.client
import io
import threading
from collections import namedtuple

from ..errors import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    IncompleteBody,
    InvalidBody,
    NameResolutionError,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    TLSError,
    UnifetchError,
    WriteTimeout,
    evidence,
)
from ..wire.blocking import dial
from ..wire.tls_errors import certificate_refused
from .base import Attempt as BaseAttempt
from .base import arrivals, causes, kernel_timeouts
from .http_reader import Reader, framing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from ..errors import RequestSent
    from ..model.headers import Headers
    from ..model.messages import RawRequest
    from .http_reader import Head

BLOCK = 64 * 1024  # bytes that one read asks for, and that TLS is handed at once
LARGE_BLOCK = 16 * 1024**2  # the same, into memory that is there; OpenSSL counts in C's int
LEAVE = 1.0  # seconds that a server has to say 100 (Continue)


class Attempt(BaseAttempt):
    """One request on its way, and the connection that carries it.

    Attributes:
        request: the request.
        connection: the connection, once there is one.
        interim: the 1xx responses that have come, as (status, fields).
        refusal: the head of a final response that came in place of 100 (Continue).
        response: the final response, once its head has come.
        trailers: the fields that came after its body.
        failure: the error that was raised last. A library may wrap it; it is found here.
    """

    __slots__ = ("connection", "failure", "interim", "refusal", "request", "response", "trailers")

    def __init__(self, request: RawRequest, sent: RequestSent = "no") -> None:
        super().__init__(request.timeout, request.deadline)
        self.request = request
        self.sent = sent
        self.connection: Connection | None = None
        self.interim: list[tuple[int, Headers]] = []
        self.refusal: Head | None = None
        self.response: StrictResponse | None = None
        self.trailers: list[tuple[str, str]] = []
        self.failure: UnifetchError | None = None

    def failed(self, kind: type[UnifetchError], message: str) -> UnifetchError:
        """An error of this attempt, ready to be raised."""
        failure = kind(message, request_sent=self.sent)
        if isinstance(failure, ConnectionLost):
            failure.reused = self.reused and not self.answered
        self.failure = failure
        return failure

    def lost(self, error: OSError) -> UnifetchError:
        """The error for a connection that broke."""
        if refused := certificate_refused(error, self.sent):
            self.failure = refused
            return refused
        message = f"the connection broke: {error}"
        if getattr(error, "reason", None) == "UNEXPECTED_EOF_WHILE_READING" or "EOF occurred" in message:
            message = "the TLS connection ended without close_notify (RFC 9112 §9.8)"
        return self.failed(ConnectionLost if self.response is None else IncompleteBody, message)

    def translated(self, error: Exception, table: Mapping[type[Exception], type[UnifetchError]]) -> UnifetchError:
        """Our error for what a library raised: the one that it wraps, or by the first row of the table that fits."""
        failure = error if isinstance(error, UnifetchError) else self.failure
        if failure is not None:
            return failure
        wrapped = list(causes(error))
        kind = next(ours for native, ours in table.items() if any(isinstance(cause, native) for cause in wrapped))
        if kind in (ConnectError, NameResolutionError, ConnectTimeout, PoolTimeout):
            self.sent = "no"
        elif kind in (ConnectionLost, TLSError) and self.sent == "yes":
            kind = IncompleteBody
        failure = self.failed(kind, f"{type(wrapped[-1]).__name__}: {evidence(str(wrapped[-1]))}")
        failure.__cause__ = error
        return failure


def guarded(body: bytes | Iterable[bytes] | None) -> bytes | Iterator[bytes] | None:
    """The body, with its own errors as ones that no library takes for errors of the network."""
    return body if body is None or isinstance(body, bytes) else _guarded(body)


def _guarded(body: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from body
    except Exception as error:
        raise InvalidBody(f"the body raised {type(error).__name__}", request_sent="maybe") from error


class _Current(threading.local):
    """The attempt that this thread makes: a library's pool hands a connection nothing but its own arguments."""

    attempt: Attempt | None = None

    def get(self) -> Attempt:
        if self.attempt is None:
            raise RuntimeError("the connections of a backend carry unifetch's requests only; make a native object anew")
        return self.attempt


CURRENT = _Current()


Destination = namedtuple("Destination", ("scheme", "host", "port", "tls", "route"))


def destination(request: RawRequest) -> Destination:
    """What a kept connection is for. One that has gone by a route, with its credentials, is not for another route."""
    return Destination(request.scheme, request.host, request.port, request.tls, request.route)


# --- The request, as it is --------------------------------------------------------------------------


class Connection(http.client.HTTPConnection):
    """Writes the request of the current attempt and nothing else, whatever it is told to write.

    Attributes:
        sock: a `DeadlineSocket`, once it is connected.
        destination: what it is for, if who keeps it wants to know.
    """

    sock: Any
    destination: Destination

    # Hook: `request`, `putrequest`, `putheader`, `endheaders` and `send`. The libraries would put fields of their
    # own around ours; http.client writes chunk sizes in upper case, and gives up when the server ends an upload.
    def request(self, *_: Any, **__: Any) -> None:
        """Write the request of the current attempt; the arguments are the library's idea of it."""
        attempt = CURRENT.get()
        attempt.connection = self
        request = attempt.request
        body = guarded(request.body)
        if self.sock is not None:
            self.sock.serve(attempt)
        try:
            self.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                self.putheader(name, value)
            expects = body is not None and "expect" in [name.lower() for name, _ in request.headers]
            if body is None or (isinstance(body, bytes) and not expects):
                self.endheaders(body or None)
            else:
                self.endheaders()
                if not expects or self.sock.has_leave():
                    self._send_blocks([body] if isinstance(body, bytes) else body, request)
        except ConnectionLost:
            # RFC 9112 §9.5: the server may have answered before it closed. The response, or its absence, decides.
            pass

    def _send_blocks(self, body: Iterable[bytes], request: RawRequest) -> None:
        chunked = request.chunked
        for block in body:
            self.send(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        if chunked:
            lines = ["0", *map(": ".join, request.trailers), "", ""]
            self.send("\r\n".join(lines).encode("latin-1"))

    # Hook: `connect` and `sock`. http.client's own would know one timeout, for each address of the host; the libraries'
    # own would take the way to a proxy from what they were told, instead of from the request.
    def connect(self) -> None:
        """Connect as the route of the request says, within the connect timeout and the deadline."""
        attempt = CURRENT.get()
        try:
            self.sock = DeadlineSocket(dial(attempt.request))
        except UnifetchError as error:
            attempt.failure = error
            raise
        self.sock.serve(attempt)

    @property
    def is_connected(self) -> bool:
        """Whether another request can be sent: the connection is open, and nothing came unasked."""
        return self.sock is not None and self.sock.is_quiet()

    # Hook: `response_class` and `getresponse`.
    def receive(self) -> StrictResponse:
        """The response, as http.client's own `getresponse` gets it, whatever a library has made of that."""
        return http.client.HTTPConnection.getresponse(self)  # type: ignore[return-value]  # of our response_class


# --- Every step on the network, within its time -----------------------------------------------------


class DeadlineSocket:
    """A connected socket, each step of which is bounded by the timeout of its phase and by the deadline.

    Attributes:
        attempt: what it serves.
    """

    attempt: Attempt

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._armed: float | None = -1.0  # the timeout that is set; setting one is a system call
        self._set_timeout = kernel_timeouts(sock) or sock.settimeout
        self._pending = getattr(sock, "pending", None)  # of TLS
        self._served = False
        self._early: Reader | None = None  # of what has come before the request was complete
        self._reader: Reader | None = None
        self._closing = False
        self._has_come = arrivals(sock)

    def serve(self, attempt: Attempt) -> None:
        """Belong to this attempt from now on."""
        attempt.reused = self._served and self.attempt is not attempt
        self.attempt, self._served = attempt, True

    def sendall(self, data: bytes) -> None:
        """Send all of this.

        Raises:
            WriteTimeout: if the server takes no byte for the write timeout, or the deadline passes.
            ConnectionLost: if the connection breaks.
        """
        attempt = self.attempt
        left = memoryview(data)
        while left:
            try:
                self._arm(attempt.timeout.write)
                # TLS would only be done with all that it is handed, and its timeout is for all of that. If it fails,
                # some may have left nevertheless.
                if self._pending is not None and attempt.sent == "no":
                    attempt.sent = "maybe"
                count = self._sock.send(left if self._pending is None else left[:BLOCK])
            except (TimeoutError, BlockingIOError) as error:
                raise attempt.failed(WriteTimeout, "the server takes no more of the request") from error
            except OSError as error:
                raise attempt.lost(error) from error
            if attempt.sent == "no":
                attempt.sent = "maybe"
            left = left[count:]

    def receive(self) -> bytes:
        """What has arrived, or what arrives next; b"" at the end.

        Raises:
            ReadTimeout: if no byte comes for the read timeout, or the deadline passes.
            ConnectionLost, IncompleteBody: if the connection breaks.
        """
        try:
            self._arm(self.attempt.timeout.read)
            data: bytes = self._sock.recv(BLOCK)
        except OSError as error:
            raise self._unread(error) from error
        if data:
            self.attempt.answered = True
        return data

    def receive_into(self, place: memoryview) -> int:
        """As `receive`, into this place: the number of bytes, 0 at the end."""
        try:
            self._arm(self.attempt.timeout.read)
            count: int = self._sock.recv_into(place, min(len(place), LARGE_BLOCK))
        except OSError as error:
            raise self._unread(error) from error
        if count:
            self.attempt.answered = True
        return count

    def _unread(self, error: OSError) -> UnifetchError:
        if isinstance(error, (TimeoutError, BlockingIOError)):
            return self.attempt.failed(ReadTimeout, "the server sends no more of the response")
        return self.attempt.lost(error)

    def has_leave(self) -> bool:
        """Whether the body may be sent: the server says 100 (Continue), or nothing for a moment (RFC 9110 §10.1.1).

        Raises:
            ConnectionLost, ProtocolError, TooLarge: for what is no answer.
        """
        attempt = self.attempt
        reader = self._early = Reader(self)
        if attempt.timeout.read is None or attempt.timeout.read > LEAVE:
            attempt.timeout = attempt.timeout.replace(read=LEAVE)
        try:
            while (head := reader.next_head())[1] < 200:
                attempt.interim.append((head[1], head[3]))
                if head[1] == 100:
                    return True
            attempt.refusal = head
        except ReadTimeout:
            attempt.failure = None
        finally:
            attempt.timeout = attempt.request.timeout
        return attempt.refusal is None

    def _arm(self, phase: float | None) -> None:
        seconds = self.attempt.within(phase)
        if seconds != self._armed:
            self._set_timeout(seconds)
            self._armed = seconds

    def is_quiet(self) -> bool:
        """Whether the connection is open and nothing has arrived: no bytes, and not its end."""
        return self._sock.fileno() >= 0 and not self._has_come()

    # Hook: `makefile` and `close`, as http.client.HTTPResponse uses them. If the server is to close, the connection
    # is closed before the response is read: the socket closes with whichever of the two ends last.
    def makefile(self, _: str) -> Reader:
        """Where a response is read from."""
        self._reader, self._early = self._early or Reader(self), None
        return self._reader

    def close(self) -> None:
        """Close the socket, now or with the response that is being read."""
        self._closing = True
        if self._reader is None:
            self._sock.close()

    def done(self, *, clean: bool) -> None:
        """The response is closed. What it left here must not be taken for the next one (RFC 9112 §9.2)."""
        self._reader = None
        if self._closing or not clean or (self._pending is not None and self._pending()):
            self._sock.close()


# --- The response, strictly -------------------------------------------------------------------------


class StrictResponse(http.client.HTTPResponse):
    """A response whose head and framing are what RFC 9112 allows, or an error.

    Attributes:
        fields: the header fields as they came.
        complete: whether the body has been read to its end.
    """

    fp: Reader | None  # type: ignore[assignment]  # http.client has a BufferedReader
    fields: Headers
    complete = False

    # Hook: `begin`, and the attributes in which http.client keeps the head and the framing.
    def begin(self) -> None:
        """Read the head of the final response."""
        reader = self.fp
        if reader is None:
            raise http.client.ResponseNotReady
        attempt = reader.socket.attempt
        head = attempt.refusal or reader.next_head()
        while head[1] < 200:
            attempt.interim.append((head[1], head[3]))
            head = reader.next_head()
        version, status, reason, fields = head
        self.fields = self.headers = self.msg = fields  # type: ignore[assignment]  # it has what http.client calls
        self.version = 11 if version == "1.1" else 10
        self.code = self.status = status
        self.reason = reason
        self.chunked, self.length = framing(fields)
        if self.chunked:
            self.chunk_left = None
        if status in (204, 304) or attempt.request.method == "HEAD":
            self.chunked, self.length = False, 0
        self.will_close = (
            version == "1.0"  # its keep-alive is rare, and ambiguous
            or (self.length is None and not self.chunked)
            or "close" in fields.get("connection", "").lower()
            or attempt.refusal is not None  # the body that was announced will not follow
            or "connection" in [name.lower() for name, _ in attempt.request.headers]
        )
        attempt.response, attempt.failure = self, None
        if self.length == 0:
            self._finish()

    # Hook: `read1`, by which the adapters read. `read` goes through it, so that nothing goes around it.
    def read1(self, size: int = -1) -> bytes:
        """Some bytes of the body, as soon as there are any; b"" at its end."""
        reader = self.fp
        if reader is None:
            return b""
        size = BLOCK if size < 0 else size
        if self.chunked:
            return self._read1_of_chunks(reader, size)
        if self.length is None:
            block = reader.block(size)
            if not block:
                self._finish()
            return block
        block = reader.block(min(size, self.length))
        self._count(reader, len(block))
        return block

    def _count(self, reader: Reader, count: int) -> None:
        left: Any = self.length
        if not count:
            raise reader.socket.attempt.failed(IncompleteBody, f"the connection ended {left} bytes too early")
        self.length = left - count
        if not self.length:
            self._finish()

    def _read1_of_chunks(self, reader: Reader, size: int) -> bytes:
        # `chunk_left` is None before the first chunk, and 0 between the data of a chunk and the CRLF that ends it.
        if not self.chunk_left:
            if self.chunk_left == 0 and (end := reader.line()) != b"\r\n":
                raise ProtocolError(f"a chunk does not end where its size says: {evidence(end)}", request_sent="yes")
            self.chunk_left = reader.chunk_size()
            if not self.chunk_left:
                reader.socket.attempt.trailers += reader.trailers()
                self._finish()
                return b""
        block = reader.block(min(size, self.chunk_left))
        if not block:
            raise reader.socket.attempt.failed(IncompleteBody, "the connection ended within a chunk")
        self.chunk_left -= len(block)
        if self.chunk_left:
            return block
        return b"".join([block, *reader.whole_chunks(size - len(block))])

    def _finish(self) -> None:
        reader, self.fp = self.fp, None
        if reader is not None:
            self.complete = reader.complete = True
            reader.close()

    def read(self, size: int | None = None) -> bytes:
        """So many bytes of the body, or all; fewer only at its end."""
        pieces: list[bytes] = []
        while size is None or size > 0:
            piece = self.read1(-1 if size is None else size)
            if not piece:
                break
            pieces.append(piece)
            size = None if size is None else size - len(piece)
        return b"".join(pieces)

    # Hook: `readinto`. The adapters offer it for a body that is to be in memory as a whole.
    def readinto(self, place: Any) -> int:
        """As `read1`, into this place: the number of bytes, 0 at the end."""
        reader = self.fp
        if reader is None or self.chunked or self.length is None:
            return io.BufferedIOBase.readinto1(self, place)
        with memoryview(place)[: self.length] as room:  # released even if it fails, and the error keeps what it saw
            count = reader.block_into(room)
        self._count(reader, count)
        return count


Connection.response_class = StrictResponse
