"""What `http.client` gets wrong, put right once for the three libraries that are built on it.

Left to itself it takes the first 1xx response but 100 for the final one; drops every header field after
a malformed one, Content-Length included; takes a head that was cut off for a whole one, and a body that
was cut off for a short one; reads a bad chunk size as Python reads a number; forgets the response when the
server refuses an upload before its end; and restarts its timeout at each byte that arrives.

It is corrected by subclasses only: `Connection` writes the request as it is, `DeadlineSocket` bounds every
step of the network, `StrictResponse` reads the head and the body. The names that they override are public,
but few are documented to be overridden. Each is marked as a hook, and tests/test_http_client_hooks.py fails
when the library changes underneath it. Nothing here knows urllib, urllib3 or requests.
"""

from __future__ import annotations

import http.client
import io
import re
import select
import socket
import threading
from time import monotonic

from ..errors import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    IncompleteBody,
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
from ..headers import CREDENTIALS, Headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ..errors import RequestSent
    from ..messages import RawRequest

BLOCK = 64 * 1024  # bytes that one read asks for

# The common floor (policies/limits.py). Here they also bound what is read before anything can be checked.
MAX_FIELDS = 99
MAX_LINE = 64 * 1024
MAX_HEAD = 100 * 1024


class Attempt:
    """One request on its way: how long each step may take, and what is known of its fate.

    Attributes:
        sent: as `request_sent` of an error that happens now.
        reused: whether the connection had carried a request before.
        silent: whether not one byte of a response has come.
        broken: whether the peer ended the connection while we were sending.
        failure: the error that was raised last; a library may wrap it, and then it is found here.
        connection: the connection that carries it.
        response: the final response, once its head has come.
    """

    __slots__ = ("broken", "connection", "failure", "request", "response", "reused", "sent", "silent")

    def __init__(self, request: RawRequest, sent: RequestSent = "no") -> None:
        self.request = request
        self.sent = sent
        self.reused = False
        self.silent = True
        self.broken = False
        self.failure: UnifetchError | None = None
        self.connection: Connection | None = None
        self.response: StrictResponse | None = None

    def left(self, phase: float | None) -> float | None:
        """Seconds that a step of this phase may take.

        Raises:
            TimeoutError: if the deadline has passed.
        """
        deadline = self.request.deadline
        if deadline is None:
            return phase
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left if phase is None or left < phase else phase

    def failed(self, kind: type[UnifetchError], message: str) -> UnifetchError:
        """An error of this attempt, ready to be raised."""
        failure = kind(message, request_sent=self.sent)
        if isinstance(failure, ConnectionLost):
            failure.reused = self.reused and self.silent
        self.failure = failure
        return failure

    def lost(self, error: OSError) -> UnifetchError:
        """The error for a connection that broke."""
        if type(error).__name__ == "SSLEOFError":  # by name, because ssl may be missing
            message = "the TLS connection ended without close_notify (RFC 9112 §9.8)"
        else:
            message = f"the connection broke: {error}"
        return self.failed(ConnectionLost if self.response is None else IncompleteBody, message)

    def unconnected(self, error: Exception) -> UnifetchError:
        """The error for a connection that did not come about."""
        causes = chain(error)
        kind: type[UnifetchError] = ConnectError
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            kind = NameResolutionError
        elif any(isinstance(cause, TimeoutError) for cause in causes):
            kind = ConnectTimeout
        elif any(type(cause).__name__.startswith(("SSL", "Certificate")) for cause in causes):
            kind = TLSError
        return self.failed(kind, f"no connection to {self.request.host}:{self.request.port}: {causes[-1]}")

    def translated(self, error: Exception, table: Mapping[type[Exception], type[UnifetchError]]) -> UnifetchError:
        """Our error for what a library raised: the one that it wraps, or the first row of the table that fits."""
        if isinstance(error, UnifetchError):
            return error
        if self.failure is not None:
            return self.failure
        causes = chain(error)
        kind = next(ours for native, ours in table.items() if any(isinstance(cause, native) for cause in causes))
        if issubclass(kind, (ConnectError, ConnectTimeout, PoolTimeout)):
            self.sent = "no"
        elif kind is ConnectionLost and self.sent == "yes":
            kind = IncompleteBody
        failure = self.failed(kind, f"{type(causes[-1]).__name__}: {evidence(str(causes[-1]))}")
        failure.__cause__ = error
        return failure


def chain(error: BaseException) -> list[BaseException]:
    """An error and those that it wraps, the innermost last.

    `__context__` is left out: it may lead to an error of an earlier request that the caller is handling.
    """
    causes = [error]
    for cause in causes:
        for link in (cause.__cause__, getattr(cause, "reason", None), *cause.args):
            if isinstance(link, BaseException) and link not in causes:
                causes.append(link)
    return causes


class _Current(threading.local):
    """The attempt that this thread is making: a library's pool hands a connection nothing but its own arguments."""

    attempt: Attempt = None  # type: ignore[assignment]  # it is one wherever a connection looks for it


CURRENT = _Current()


# --- The request, as it is --------------------------------------------------------------------------


class Connection(http.client.HTTPConnection):
    """Writes the request of the current attempt, and nothing else, whatever it is told to write."""

    _connect_by: float | None = None
    _socket: Any = None

    # Hook: `request`, `putrequest`, `putheader`, `endheaders` and `send`. The libraries would put fields of their
    # own around ours; http.client writes chunk sizes in upper case, and gives up when the server ends an upload.
    def request(self, *args: Any, **options: Any) -> None:
        """Write the request of the current attempt; the arguments are the library's idea of it."""
        attempt = CURRENT.attempt
        attempt.connection = self
        request = attempt.request
        if self.sock is not None:
            attempt.reused = self.sock.prepare(attempt)
        try:
            self.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                self.putheader(name, value)
            body = request.body
            if body is None or isinstance(body, bytes):
                self.endheaders(body or None)
            else:
                self.endheaders()
                self._send_blocks(body, chunked=request.chunked)
        except ConnectionLost:
            # RFC 9112 §9.5: the server may have answered before it closed. The response, or its absence, decides.
            if not attempt.broken:
                raise

    def _send_blocks(self, body: Iterable[bytes], *, chunked: bool) -> None:
        if not chunked:
            for block in body:
                self.send(block)
            return
        for block in body:
            self.send(b"%x\r\n%b\r\n" % (len(block), block))
        self.send(b"0\r\n\r\n")

    # Hook: `connect` and `timeout`. The timeout of connecting is one for the addresses, TCP and TLS together.
    def connect(self) -> None:
        """Connect within the connect timeout and the deadline."""
        attempt = CURRENT.attempt
        try:
            self.timeout = seconds = attempt.left(attempt.request.timeout.connect)
            self._connect_by = None if seconds is None else monotonic() + seconds
            super().connect()
        except Exception as error:
            self.close()  # http.client leaves the socket open when the handshake fails
            raise attempt.unconnected(error) from error
        self.sock = DeadlineSocket(self.sock, attempt)

    # Hook: `sock`. Each time the library has got one step further in connecting, the next gets what is left.
    @property
    def sock(self) -> Any:  # type: ignore[override]  # an attribute of http.client, whose setting we must notice
        """The socket: the library's own while it connects, then a `DeadlineSocket`."""
        return self._socket

    @sock.setter
    def sock(self, value: Any) -> None:
        self._socket = value
        if isinstance(value, socket.socket) and self._connect_by is not None:
            seconds = self._connect_by - monotonic()
            if seconds <= 0:
                raise TimeoutError("timed out")
            value.settimeout(seconds)

    @property
    def is_connected(self) -> bool:
        """Whether this connection can carry another request: it is open, and nothing came unasked."""
        return self.sock is not None and self.sock.is_quiet()

    def receive(self) -> StrictResponse:
        """The response to the request, as http.client reads it, whatever a subclass makes of `getresponse`."""
        return http.client.HTTPConnection.getresponse(self)  # type: ignore[return-value]  # it is our response_class


# --- Every step of the network, within its time -----------------------------------------------------


class DeadlineSocket:
    """A connected socket. Each step that it takes is bounded by the timeout of its phase, and by the deadline."""

    def __init__(self, sock: Any, attempt: Attempt) -> None:
        self.attempt = attempt
        self._sock = sock
        self._armed: float | None = -1.0  # the timeout that the socket has now; setting it is a system call
        self._used = False
        self._reader: Reader | None = None
        self._closing = False
        self._poll = None
        if hasattr(select, "poll"):  # unlike select(), it takes a descriptor of any size; Windows has no such limit
            self._poll = select.poll()
            self._poll.register(sock, select.POLLIN)

    def prepare(self, attempt: Attempt) -> bool:
        """Serve this attempt from now on; returns whether another one was served before."""
        self.attempt = attempt
        used, self._used = self._used, True
        return used

    def sendall(self, data: bytes) -> None:
        """Send all of this.

        Raises:
            WriteTimeout: if the peer takes no byte for the write timeout, or the deadline passes.
            ConnectionLost: if the connection breaks.
        """
        attempt = self.attempt
        self._used = True
        left = memoryview(data)
        while left:
            try:
                self._arm(attempt.request.timeout.write)
                count = self._sock.send(left)
            except TimeoutError as error:
                raise attempt.failed(WriteTimeout, "the server takes no more of the request") from error
            except OSError as error:
                attempt.broken = True
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
            self._arm(attempt.request.timeout.read)
            data: bytes = self._sock.recv(BLOCK)
        except TimeoutError as error:
            raise attempt.failed(ReadTimeout, "the server sends no more of the response") from error
        except OSError as error:
            raise attempt.lost(error) from error
        if data:
            attempt.silent = False
        return data

    def _arm(self, phase: float | None) -> None:
        seconds = self.attempt.left(phase)
        if seconds != self._armed:
            self._sock.settimeout(seconds)
            self._armed = seconds

    def is_quiet(self) -> bool:
        """Whether the connection is open and nothing has arrived: bytes, or its end."""
        if self._sock.fileno() < 0:
            return False
        if self._poll is None:
            return not select.select([self._sock], [], [], 0)[0]
        return not self._poll.poll(0)

    # Hook: `makefile` and `close`, as http.client.HTTPResponse uses them. A response outlives the connection's
    # own `close` when the server is to close, so the socket closes with whichever of the two ends last.
    def makefile(self, mode: str) -> Reader:
        """The bytes of one response."""
        self._reader = Reader(self)
        return self._reader

    def close(self) -> None:
        """Close the socket, once the response that is being read is closed, too."""
        self._closing = True
        if self._reader is None:
            self._sock.close()

    def done(self, *, clean: bool) -> None:
        """The response is closed. What it left on the connection must never be taken for the next (RFC 9112 §9.2)."""
        self._reader = None
        if self._closing or not clean or getattr(self._sock, "pending", int)():
            self._sock.close()


class Reader:
    """What arrives for one response, cut into heads, lines and blocks.

    Attributes:
        complete: set when the response has been read to its end.
    """

    __slots__ = ("_at", "_buffer", "_socket", "complete")

    def __init__(self, sock: DeadlineSocket) -> None:
        self._socket = sock
        self._buffer = b""
        self._at = 0
        self.complete = False

    @property
    def attempt(self) -> Attempt:
        """The attempt that this response belongs to."""
        return self._socket.attempt

    def head(self) -> bytes:
        """A status line and header fields, up to and with the empty line.

        Raises:
            ConnectionLost: if the connection ends before.
            ProtocolError, TooLarge: for a bare LF, and for more than any head may have.
        """
        at = self._at
        checked = at
        while (end := self._buffer.find(b"\r\n\r\n", max(checked - 3, at))) < 0:
            buffer = self._buffer
            # RFC 9112 §2.2 lets us take a bare LF for a line's end. We do not: others might not have seen it as one.
            if bare := _BARE_LF.search(buffer, checked):
                raise ProtocolError(f"a line ends without CR: {evidence(buffer[at : bare.end()])}", request_sent="yes")
            checked = len(buffer)
            if checked - at > MAX_HEAD:
                raise TooLarge(f"the head of the response is over the limit of {MAX_HEAD} bytes", request_sent="yes")
            if not self._fill():
                seen = f"after {evidence(buffer[at:])}" if checked > at else "without an answer"
                raise self.attempt.failed(ConnectionLost, f"the server closed the connection {seen}")
        self._at = end + 4
        return self._buffer[at : end + 4]

    def line(self) -> bytes:
        """A line of chunked coding, with its end."""
        checked = 0
        while (end := self._buffer.find(b"\n", self._at + checked)) < 0:
            checked = len(self._buffer) - self._at
            if checked > MAX_LINE:
                raise TooLarge(f"a line of chunked coding is over the limit of {MAX_LINE} bytes", request_sent="yes")
            if not self._fill():
                raise self.attempt.failed(IncompleteBody, "the connection ended between two chunks")
        line = self._buffer[self._at : end + 1]
        self._at = end + 1
        return line

    def block(self, size: int) -> bytes:
        """Up to so many bytes, as soon as there are any; b"" at the end of the connection."""
        at, held = self._at, len(self._buffer)
        if at == held:
            if not self._fill():
                return b""
            at, held = self._at, len(self._buffer)
        if at == 0 and held <= size:
            block, self._buffer = self._buffer, b""
            return block
        block = self._buffer[at : at + size]
        self._at = at + len(block)
        return block

    def _fill(self) -> bool:
        data = self._socket.receive()
        if self._at:
            self._buffer = self._buffer[self._at :]
            self._at = 0
        self._buffer += data
        return bool(data)

    def flush(self) -> None:
        """Nothing is written here; http.client asks nevertheless."""

    def close(self) -> None:
        """Be done with this response; unless all of it and no more was read, the connection is closed."""
        self._socket.done(clean=self.complete and self._at == len(self._buffer))


# --- The response, strictly -------------------------------------------------------------------------


class StrictResponse(http.client.HTTPResponse):
    """A response whose head and framing are what RFC 9112 allows, or an error.

    Attributes:
        fields: the header fields as they came.
        complete: whether the body has been read to its end.
    """

    fp: Reader | None  # type: ignore[assignment]  # http.client's is a BufferedReader, and has no `head`
    fields: Headers
    complete = False

    # Hook: `begin`, and the attributes in which http.client keeps the head and the framing.
    def begin(self) -> None:
        """Read the head of the final response."""
        reader = self.fp
        if reader is None:
            raise http.client.ResponseNotReady
        attempt = reader.attempt
        interim = 0
        while True:
            head = reader.head()
            attempt.sent = "yes"
            version, status, reason, fields = parse_head(head)
            if status >= 200:
                break
            if status == 101:
                raise ProtocolError("the server switches protocols (101), which nobody asked for", request_sent="yes")
            interim += len(head)
            if interim > MAX_HEAD:
                raise TooLarge(f"interim responses are over the limit of {MAX_HEAD} bytes", request_sent="yes")
        self.fields = self.headers = self.msg = fields  # type: ignore[assignment]  # it has what http.client calls
        self.version = 11 if version == "1.1" else 10
        self.code = self.status = status
        self.reason = reason
        self.chunked, self.length = _framing(fields)
        self.chunk_left = None
        if status in (204, 304) or attempt.request.method == "HEAD":
            self.chunked, self.length = False, 0
        # No keep-alive with HTTP/1.0: it is rare, and ambiguous.
        self.will_close = (
            version == "1.0"
            or attempt.broken
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
        if size < 0:
            size = BLOCK
        if self.chunked:
            return self._read1_of_chunks(reader, size)
        if self.length is None:
            block = reader.block(size)
            if not block:
                self._finish()
            return block
        block = reader.block(min(size, self.length))
        if not block:
            raise reader.attempt.failed(IncompleteBody, f"the connection ended {self.length} bytes before the body")
        self.length -= len(block)
        if not self.length:
            self._finish()
        return block

    def _read1_of_chunks(self, reader: Reader, size: int) -> bytes:
        # `chunk_left` is None before the first chunk, and 0 between the data of a chunk and the CRLF that ends it.
        if not self.chunk_left:
            self.chunk_left = self._next_chunk(reader)
            if not self.chunk_left:
                return b""
        block = reader.block(min(size, self.chunk_left))
        if not block:
            raise reader.attempt.failed(IncompleteBody, "the connection ended within a chunk")
        self.chunk_left -= len(block)
        return block

    def _next_chunk(self, reader: Reader) -> int:
        if self.chunk_left == 0 and (end := reader.line()) != b"\r\n":
            raise ProtocolError(f"a chunk does not end where its size says: {evidence(end)}", request_sent="yes")
        line = reader.line()
        found = _CHUNK.match(line)
        if found is None:
            raise ProtocolError(f"bad chunk size: {evidence(line)}", request_sent="yes")
        size = int(found[1], 16)
        if not size:
            self._skip_trailers(reader)
            self._finish()
        return size

    def _skip_trailers(self, reader: Reader) -> None:
        left = MAX_HEAD
        while (line := reader.line()) != b"\r\n":
            left -= len(line)
            if left < 0:
                raise TooLarge(f"the trailers are over the limit of {MAX_HEAD} bytes", request_sent="yes")
            if not _FIELDS.fullmatch(line.decode("latin-1") + "\r\n"):
                raise ProtocolError(f"malformed trailer: {_shown(line)}", request_sent="yes")

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
            if size is not None:
                size -= len(piece)
        return b"".join(pieces)

    readinto = io.BufferedIOBase.readinto


Connection.response_class = StrictResponse

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# Not RFC 9110's field-value: servers put control characters into cookies. Those that might end a line are refused.
_TEXT = r"[^\x00\n\v\f\r]*+"
_STATUS = re.compile(rf"HTTP/(1\.[01]) ([1-9][0-9][0-9])(?: ({_TEXT}))?\Z")
_FIELDS = re.compile(rf"(?:{_TOKEN}:{_TEXT}\r\n)*\r\n")
_FIELD = re.compile(rf"({_TOKEN}):[ \t]*({_TEXT})\r\n")
_FOLD = re.compile(r"(?<![ \t])[ \t]*+\r\n[ \t]+")
_BARE_LF = re.compile(rb"(?<!\r)\n")
# One length, or the same one repeated.
_LENGTH = re.compile(r"([0-9]{1,18})(?:[ \t]*,[ \t]*\1)*\Z")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\x00\r\n]*)?\r\n\Z")


def parse_head(head: bytes) -> tuple[str, int, str, Headers]:
    """The version, status, reason and fields of a head, by RFC 9112 §4 and §5.

    Raises:
        ProtocolError: for a malformed line.
        TooLarge: over the limits of a head.
    """
    line, _, text = head.decode("latin-1").partition("\r\n")
    found = _STATUS.match(line)
    if found is None:
        raise ProtocolError(f"bad status line: {evidence(line)}", request_sent="yes")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)  # RFC 9112 §5.2
    if not _FIELDS.fullmatch(text):
        wrong = next(line for line in text.split("\r\n") if not _FIELDS.fullmatch(f"{line}\r\n\r\n"))
        raise ProtocolError(f"malformed header line: {_shown(wrong.encode('latin-1'))}", request_sent="yes")
    pairs = _FIELD.findall(text)
    if len(pairs) > MAX_FIELDS:
        raise TooLarge(f"the response has {len(pairs)} header fields; the limit is {MAX_FIELDS}", request_sent="yes")
    if len(head) > MAX_HEAD:
        raise TooLarge(f"the head of the response is over the limit of {MAX_HEAD} bytes", request_sent="yes")
    if len(head) > MAX_LINE and max(map(len, text.split("\r\n"))) > MAX_LINE:
        raise TooLarge(f"a header line of the response is over the limit of {MAX_LINE} bytes", request_sent="yes")
    if " \r\n" in text or "\t\r\n" in text:
        pairs = [(name, value.rstrip(" \t")) for name, value in pairs]
    return found[1], int(found[2]), found[3] or "", Headers.trusted(pairs)


def _shown(line: bytes) -> str:
    name = line.partition(b":")[0].strip()
    secret = name.decode("latin-1").lower() in CREDENTIALS
    return f"{evidence(name)} and a value that may be secret" if secret else evidence(line)


def _framing(fields: Headers) -> tuple[bool, int | None]:
    """Whether the body is chunked, and its length if it is declared (RFC 9112 §6.3)."""
    coding, length = fields.get("transfer-encoding"), fields.get("content-length")
    if coding is not None:
        if length is not None:
            raise ProtocolError("both Transfer-Encoding and Content-Length", request_sent="yes")
        if coding.lower() != "chunked":
            raise ProtocolError(f"Transfer-Encoding {evidence(coding)} is not chunked", request_sent="yes")
        return True, None
    if length is None:
        return False, None
    found = _LENGTH.match(length)
    if found is None:
        raise ProtocolError(f"bad Content-Length: {evidence(length)}", request_sent="yes")
    return False, int(found[1])
