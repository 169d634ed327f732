"""What `http.client` gets wrong, put right once for the three libraries that are built on it.

Left to itself it takes the first 1xx response but 100 for the final one; drops every field after a
malformed one, Content-Length included; takes a head that was cut off for a whole one, and a body that was
cut off for a short one; reads a chunk's size as Python reads a number; loses the response when the server
ends an upload early; and starts its timeout anew at each byte that arrives.

Subclasses correct it: `Connection` writes the request as it is, `DeadlineSocket` bounds every step on the
network, `StrictResponse` reads the head and the body. What they override has a public name, but is seldom
documented to be overridden. Each such place is marked as a hook, and tests/test_http_client_hooks.py fails
when the library changes underneath it. Nothing here knows urllib, urllib3 or requests.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import threading
from time import monotonic

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
    TooLarge,
    UnifetchError,
    WriteTimeout,
    evidence,
)
from .base import Attempt as BaseAttempt
from .base import causes, connect_error
from .http_reader import MAX_HEAD, Reader, framing, parse_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from ..errors import RequestSent
    from ..headers import Headers
    from ..messages import RawRequest

BLOCK = 64 * 1024  # bytes that one read asks for


class Attempt(BaseAttempt):
    """One request on its way, and the connection that carries it.

    Attributes:
        request: the request.
        connection: the connection, once there is one.
        response: the final response, once its head has come.
        failure: the error that was raised last. A library may wrap it; it is found here.
    """

    __slots__ = ("connection", "failure", "request", "response")

    def __init__(self, request: RawRequest, sent: RequestSent = "no") -> None:
        super().__init__(request.timeout, request.deadline)
        self.request = request
        self.sent = sent
        self.connection: Connection | None = None
        self.response: StrictResponse | None = None
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
        message = f"the connection broke: {error}"
        if getattr(error, "reason", None) == "UNEXPECTED_EOF_WHILE_READING" or "EOF occurred" in message:
            message = "the TLS connection ended without close_notify (RFC 9112 §9.8)"
        return self.failed(ConnectionLost if self.response is None else IncompleteBody, message)

    def unconnected(self, error: Exception) -> UnifetchError:
        """The error for a connection that did not come about."""
        host, port = self.request.host, self.request.port
        if any(isinstance(cause, TimeoutError) for cause in causes(error)):
            return self.failed(ConnectTimeout, f"no connection to {host}:{port} in time")
        self.failure = connect_error(error, host, port)
        return self.failure

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


# --- The request, as it is --------------------------------------------------------------------------


class Connection(http.client.HTTPConnection):
    """Writes the request of the current attempt and nothing else, whatever it is told to write."""

    _connect_by: float | None = None
    _socket: Any = None

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
            if body is None or isinstance(body, bytes):
                self.endheaders(body or None)
            else:
                self.endheaders()
                self._send_blocks(body, chunked=request.chunked)
        except ConnectionLost:
            # RFC 9112 §9.5: the server may have answered before it closed. The response, or its absence, decides.
            pass

    def _send_blocks(self, body: Iterable[bytes], *, chunked: bool) -> None:
        for block in body:
            self.send(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        if chunked:
            self.send(b"0\r\n\r\n")

    # Hook: `connect` and `timeout`. One timeout holds for all of connecting, TLS included.
    def connect(self) -> None:
        """Connect within the connect timeout and the deadline."""
        attempt = CURRENT.get()
        try:
            self.timeout = seconds = attempt.within(attempt.timeout.connect)
            self._connect_by = None if seconds is None else monotonic() + seconds
            super().connect()
        except Exception as error:
            raise attempt.unconnected(error) from error
        self.sock = DeadlineSocket(self.sock)
        self.sock.serve(attempt)

    # Hook: `sock`. Each time the library has got one step further in connecting, the next gets what is left.
    @property
    def sock(self) -> Any:
        """The socket: the library's own while it connects, then a `DeadlineSocket`."""
        return self._socket

    @sock.setter
    def sock(self, value: Any) -> None:
        self._socket = value
        if self._connect_by is not None and isinstance(value, socket.socket):
            value.settimeout(max(self._connect_by - monotonic(), 0.001))

    @property
    def is_connected(self) -> bool:
        """Whether another request can be sent: the connection is open, and nothing came unasked."""
        return self._socket is not None and self._socket.is_quiet()

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
        self._served = False
        self._reader: Reader | None = None
        self._closing = False
        # poll() takes descriptors of any size, which select() does not; on Windows, which has no poll(), it does.
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(sock, select.POLLIN)

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
                count = self._sock.send(left)
            except TimeoutError as error:
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
        attempt = self.attempt
        try:
            self._arm(attempt.timeout.read)
            data: bytes = self._sock.recv(BLOCK)
        except TimeoutError as error:
            raise attempt.failed(ReadTimeout, "the server sends no more of the response") from error
        except OSError as error:
            raise attempt.lost(error) from error
        if data:
            attempt.answered = True
        return data

    def _arm(self, phase: float | None) -> None:
        seconds = self.attempt.within(phase)
        if seconds != self._armed:
            self._sock.settimeout(seconds)
            self._armed = seconds

    def is_quiet(self) -> bool:
        """Whether the connection is open and nothing has arrived: no bytes, and not its end."""
        if self._sock.fileno() < 0:
            return False
        return not (select.select([self._sock], [], [], 0)[0] if self._poll is None else self._poll.poll(0))

    # Hook: `makefile` and `close`, as http.client.HTTPResponse uses them. If the server is to close, the connection
    # is closed before the response is read: the socket closes with whichever of the two ends last.
    def makefile(self, _: str) -> Reader:
        """Where a response is read from."""
        self._reader = Reader(self)
        return self._reader

    def close(self) -> None:
        """Close the socket, now or with the response that is being read."""
        self._closing = True
        if self._reader is None:
            self._sock.close()

    def done(self, *, clean: bool) -> None:
        """The response is closed. What it left here must not be taken for the next one (RFC 9112 §9.2)."""
        self._reader = None
        if self._closing or not clean or getattr(self._sock, "pending", int)():
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
        interim = 0
        while True:
            head = reader.head()
            attempt.sent = "yes"
            version, status, reason, fields = parse_head(head)
            if status >= 200:
                break
            if status == 101:
                raise ProtocolError("the server switches protocols (101), unasked", request_sent="yes")
            interim += len(head)
            if interim > MAX_HEAD:
                raise TooLarge(f"interim responses are over the limit of {MAX_HEAD} bytes", request_sent="yes")
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
            or any(name.lower() == "connection" for name, _ in attempt.request.headers)
        )
        attempt.response, attempt.failure = self, None
        if self.length == 0:
            self._finish()

    # Hook: `read1`, by which the adapters read. `read` and `readinto` go through it, so that nothing goes around it.
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
        if not block:
            raise reader.socket.attempt.failed(IncompleteBody, f"the connection ended {self.length} bytes too early")
        self.length -= len(block)
        if not self.length:
            self._finish()
        return block

    def _read1_of_chunks(self, reader: Reader, size: int) -> bytes:
        # `chunk_left` is None before the first chunk, and 0 between the data of a chunk and the CRLF that ends it.
        if not self.chunk_left:
            if self.chunk_left == 0 and (end := reader.line()) != b"\r\n":
                raise ProtocolError(f"a chunk does not end where its size says: {evidence(end)}", request_sent="yes")
            self.chunk_left = reader.chunk_size()
            if not self.chunk_left:
                reader.skip_trailers()
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

    readinto = io.BufferedIOBase.readinto  # type: ignore[assignment]  # the same, but for typeshed's names


Connection.response_class = StrictResponse
