"""HTTP/1.1 over an open transport of asyncio, whoever has opened it.

A library of asyncio hands out a connection with a protocol of its own on it, and asyncio documents how to put another
one there. That is all that is needed to know what a library does not tell: whether a byte of the request has left,
whether the server takes any, what came while the connection was idle, and whether it ended or broke. Heads, chunks and
trailers are read by `http_reader.py`, strictly and alike for every library that it serves.

It opens no connection and keeps none, and knows no library. Every step waits for what its phase may take, or for what
is left until the deadline, whichever is less.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import aclosing, suppress
from math import inf
from time import monotonic
from weakref import WeakSet

from ..errors import (
    ConnectionLost,
    IncompleteBody,
    InvalidBody,
    ProtocolError,
    ReadTimeout,
    UnifetchError,
    WriteTimeout,
    evidence,
)
from ..wire.tls_errors import certificate_refused
from .base import Attempt as BaseAttempt
from .base import arrivals
from .http_reader import MAX_HEAD, MAX_LINE, Reader, framing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
    from typing import Any, TypeVar

    from ..model.headers import Headers
    from ..model.messages import RawRequest
    from ..wire.timer import Clock
    from .http_reader import Head

    T = TypeVar("T")

BLOCK = 64 * 1024  # bytes that are read, and handed to the transport, at once
ENOUGH = 256 * 1024  # bytes that may wait here before the transport is told to read no more
LEAVE = 1.0  # seconds that a server has to say 100 (Continue)


class Attempt(BaseAttempt):
    """One request on its way.

    Attributes:
        request: the request.
        interim: the 1xx responses that have come, as (status, fields).
        trailers: the fields that came after the body.
        has_head: whether the head of the final response has come.
    """

    __slots__ = ("has_head", "interim", "request", "trailers")

    def __init__(self, request: RawRequest) -> None:
        super().__init__(request.timeout, request.deadline)
        self.request = request
        self.interim: list[tuple[int, Headers]] = []
        self.trailers: list[tuple[str, str]] = []
        self.has_head = False

    def failed(self, kind: type[UnifetchError], message: str) -> UnifetchError:
        """An error of this attempt, ready to be raised."""
        failure = kind(message, request_sent=self.sent)
        if isinstance(failure, ConnectionLost):
            failure.reused = self.reused and not self.answered
        return failure


class Starved(Exception):
    """A reader wants what has not come yet; whoever asked it waits, and asks again."""


# --- The connection -----------------------------------------------------------------------------------


class Stream(asyncio.Protocol):
    """An open connection. To a `Reader` it is the socket.

    Args:
        transport: the connection.
        former: the protocol that was on it; it is still told of the end.
        clock: what ends the waits.

    Attributes:
        attempt: what it serves; None while it is idle.
        reader: of what comes for that.
        uploading: whether its request is still on its way. Until then nobody has to answer.
    """

    attempt: Attempt | None
    reader: Reader
    uploading = False

    def __init__(self, transport: Any, former: Any, clock: Clock) -> None:
        self.transport = transport
        self._clock = clock
        self.attempt = None
        self._former = former
        self._loop = asyncio.get_running_loop()
        self._arrived = b""
        self._ended = False
        self._truncated = False
        self._broken: Exception | None = None
        self._interrupted: BaseException | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._writer: asyncio.Future[bool] | None = None  # waits for the transport to take more
        self._reading = self._writable = True
        self._has_come = arrivals(transport.get_extra_info("socket"))
        self._tls: Any = transport.get_extra_info("ssl_object")  # asked for once: a closed transport does not tell
        transport.set_protocol(self)
        _open.add(self)

    def serve(self, attempt: Attempt, *, reused: bool) -> None:
        """Belong to this attempt from now on."""
        attempt.reused = reused
        self.attempt = attempt
        self.reader = Reader(self)  # type: ignore[arg-type]  # it has what a Reader asks of a DeadlineSocket

    def is_quiet(self) -> bool:
        """Whether an idle connection is open and nothing has arrived: no bytes, and not its end."""
        if self._ended or self._arrived or self.transport.is_closing():
            return False
        return not self._has_come()  # the loop may not have noticed yet

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Go on in TLS, inside of whatever this is already.

        Args:
            context, name: the peer's.

        Raises:
            OSError, ValueError: the handshake failed; `ssl.SSLError` is such.
        """
        transport = await self._loop.start_tls(self.transport, self, context, server_hostname=name)
        if transport is None:
            raise ConnectionAbortedError("it closed the connection")
        self.transport = transport
        self._tls = transport.get_extra_info("ssl_object")
        self._former.connection_made(transport)

    @property
    def has_more(self) -> bool:
        """Whether something has come beyond what was read, were it only the end."""
        return bool(self._arrived or self.reader.unread or self._ended)

    def abort(self) -> None:
        """Close it at once: what was not sent is dropped, and nobody waits for the peer."""
        self.attempt = None
        self.transport.abort()

    def inherit(self) -> None:
        """This process is a fork of the one that has the connection, and must leave it alone.

        A loop that closes a connection removes it from its epoll, which is still one and the same for both.
        """
        self._former.transport = None
        _inherited.append(self)

    # --- What the transport tells ---

    def data_received(self, data: bytes) -> None:
        """Bytes have come; unasked, they are the end of this connection (RFC 9112 §9.2)."""
        if self.attempt is None:
            self.abort()
            return
        self.attempt.answered = True
        self._arrived = self._arrived + data if self._arrived else data
        if len(self._arrived) >= ENOUGH and self._reading:
            self._reading = False
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The peer has ended its side. asyncio does not tell whether TLS ended by close_notify (RFC 9112 §9.8)."""
        self._ended = True
        if self._tls is not None:
            try:
                self._truncated = self._tls.read(1) != b""
            except ssl.SSLError:
                self._truncated = True  # OpenSSL would still wait for more
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed, here or there."""
        if error is not None:
            self._rescue()
        elif not self._ended and self._tls is not None:
            self._truncated = True  # uvloop, of the inner one of two layers of TLS
        self._broken = error
        self._ended = True
        self._former.connection_lost(error)
        self._wake()
        self.resume_writing()

    def _rescue(self) -> None:
        # A write that fails ends the transport, and with it what had come before: the answer to an upload, maybe.
        # asyncio closes the socket after this call. Where others have closed it before, there is nothing to copy.
        if self.attempt is None or self._tls is not None:
            return
        try:
            with self.transport.get_extra_info("socket").dup() as socket:
                data = socket.recv(ENOUGH)
            if data:  # else it was the end, and no answer
                self.data_received(data)
        except (OSError, AttributeError, TypeError):
            pass

    def pause_writing(self) -> None:
        """The transport holds all that it is to hold."""
        self._writable = False

    def resume_writing(self) -> None:
        """It takes more, or none any more."""
        self._writable = True
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(False)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)

    # --- Reading ---

    def receive(self) -> bytes:
        """What has arrived, for the reader; b"" at the end."""
        data, self._arrived = self._arrived, b""
        if data:
            if not self._reading:
                self._reading = True
                self.transport.resume_reading()
            return data
        if not self._ended:
            raise Starved
        attempt = self._attempt
        attempt.ended = True
        kind = IncompleteBody if attempt.has_head else ConnectionLost
        if self._broken is not None:
            if refused := certificate_refused(self._broken, attempt.sent):
                raise refused from self._broken
            raise attempt.failed(kind, f"the connection broke: {self._broken}") from self._broken
        if self._truncated:
            raise attempt.failed(kind, "the TLS connection ended without close_notify (RFC 9112 §9.8)")
        return b""

    @property
    def _attempt(self) -> Attempt:
        if self.attempt is None:
            raise ConnectionLost("the connection was closed")
        return self.attempt

    async def read(self, step: Callable[..., T], *arguments: Any) -> T:
        """The outcome of a step of the reader, once enough has come for it.

        Args:
            step: one that starts anew each time: `next_head`, `line`, `chunk_size` or `block`.

        Raises:
            ReadTimeout: if no byte comes for the read timeout, or the deadline passes.
            UnifetchError: what the step raises.
        """
        while True:
            try:
                return step(*arguments)
            except Starved:
                await self.more()

    async def more(self) -> None:
        """Wait until something has come, or the connection has ended."""
        attempt = self._attempt
        if self._interrupted is not None:
            raise self._interrupted
        phase = None if self.uploading and not attempt.has_head else attempt.timeout.read
        waiter = self._waiter = self._loop.create_future()
        try:
            await self._happens(waiter, attempt.within(phase))
        except TimeoutError as error:
            raise attempt.failed(ReadTimeout, "the server sends no more of the response") from error
        finally:
            self._waiter = None

    async def _happens(self, waiter: asyncio.Future[bool], seconds: float | None) -> None:
        self._clock.watch(waiter, inf if seconds is None else monotonic() + seconds)
        try:
            if await waiter:
                raise TimeoutError
        finally:
            del self._clock.ends[waiter]

    def uploaded(self, error: BaseException | None) -> None:
        """The request is on its way no longer. Who reads has the error that came of writing, or waits anew."""
        self.uploading = False
        self._interrupted = error
        self._wake()

    # --- Writing ---

    def write(self, data: bytes) -> None:
        """Hand this to the transport, which sends as much of it as it can at once."""
        if not self.transport.is_closing():
            self._attempt.sent = "maybe" if self._attempt.sent == "no" else self._attempt.sent
            self.transport.write(data)

    async def drained(self) -> None:
        """Wait until the transport has handed over all that it was given.

        Raises:
            WriteTimeout: if the server takes no byte for the write timeout, or the deadline passes.
        """
        attempt = self._attempt
        left = self.transport.get_write_buffer_size()
        while not self._writable and not self._ended:
            writer = self._writer = self._loop.create_future()
            try:
                await self._happens(writer, attempt.within(attempt.timeout.write))
            except TimeoutError as error:
                before, left = left, self.transport.get_write_buffer_size()
                if left >= before:
                    raise attempt.failed(WriteTimeout, "the server takes no more of the request") from error
            finally:
                self._writer = None


_open: WeakSet[Stream] = WeakSet()
_inherited: list[object] = []  # what must not even be collected
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: list(map(Stream.inherit, list(_open))))


# --- The request --------------------------------------------------------------------------------------


async def exchange(stream: Stream) -> tuple[Head, Upload | None]:
    """Send the request of the attempt that the stream serves, and read the head of the final response.

    The caller closes the connection if this fails.
    """
    attempt = stream._attempt
    request = attempt.request
    body = request.body
    lines = [f"{request.method} {request.target} HTTP/1.1", *map(": ".join, request.headers), "", ""]
    head = "\r\n".join(lines).encode("latin-1")
    upload: Upload | None = None
    if body is None or (type(body) is bytes and len(body) <= BLOCK and not _expects(request)):
        stream.write(head + body if body else head)
    else:
        upload = Upload(stream, head, body)
    reader = stream.reader
    try:
        while (found := await stream.read(reader.next_head))[1] < 200:
            attempt.interim.append((found[1], found[3]))
            if upload is not None:
                upload.may_go_on()
        if upload is not None:
            await upload.is_answered()
    except BaseException:
        if upload is not None:
            upload.cancel()
        raise
    return found, upload


def _expects(request: RawRequest) -> bool:
    return "expect" in [name.lower() for name, _ in request.headers]


class Upload:
    """A body on its way, while the response is already awaited: it may come before the body is complete.

    Attributes:
        complete: whether all of the body was sent.
    """

    def __init__(self, stream: Stream, head: bytes, body: bytes | AsyncIterable[bytes]) -> None:
        self.complete = False
        self._stream = stream
        self._left = len(body) if isinstance(body, bytes) else stream._attempt.request.length
        self._leave: asyncio.Future[None] | None = None
        stream.uploading = True
        # From now on the transport keeps nothing back, so that what it does not get rid of is noticed.
        stream.transport.set_write_buffer_limits(high=1, low=0)
        self._task = asyncio.get_running_loop().create_task(self._run(head, body))

    async def _run(self, head: bytes, body: bytes | AsyncIterable[bytes]) -> None:
        stream, failure = self._stream, None
        try:
            stream.write(head)
            if _expects(stream._attempt.request):
                await self._wait_for_leave()
            async with aclosing(_blocks(body) if isinstance(body, bytes) else _guarded(body)) as blocks:
                await self._send(stream, blocks)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # it is raised where the response is awaited
            failure = error
        stream.uploaded(failure)

    async def _send(self, stream: Stream, blocks: AsyncIterator[bytes]) -> None:
        request = stream._attempt.request
        async for block in blocks:
            if stream.transport.is_closing():
                return  # the response, or its absence, decides (RFC 9112 §9.5)
            stream.write(b"%x\r\n%b\r\n" % (len(block), block) if request.chunked else block)
            await stream.drained()
            if self._left is not None:
                self._left -= len(block)
                self.complete = self._left == 0
            await asyncio.sleep(0)  # so that the loop sees whether there is an answer
        if request.chunked:
            lines = ["0", *map(": ".join, request.trailers), "", ""]
            stream.write("\r\n".join(lines).encode("latin-1"))
            await stream.drained()
        self.complete = True

    async def _wait_for_leave(self) -> None:
        """RFC 9110 §10.1.1: the server says 100 (Continue), or nothing for a moment."""
        self._leave = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(LEAVE):
                await self._leave
        except TimeoutError:
            pass

    def may_go_on(self) -> None:
        """The server has sent an interim response."""
        if self._leave is not None and not self._leave.done():
            self._leave.set_result(None)

    async def is_answered(self) -> None:
        """The final response has come. A body that still waits for leave stays here.

        One that has left is asked for its end, and so told that its last block was taken, before the answer goes on.
        """
        if self._leave is not None and not self._leave.done():
            self.cancel()
        elif self.complete:
            with suppress(TimeoutError):  # the deadline has passed, which is for those to say who read the body
                await asyncio.wait([self._task], timeout=self._stream._attempt.within(None))

    def cancel(self) -> None:
        """Send no more of it."""
        if not self.complete:
            self._task.cancel()


async def _blocks(body: bytes) -> AsyncGenerator[bytes, None]:
    view = memoryview(body)
    for start in range(0, len(body), BLOCK):
        yield view[start : start + BLOCK]  # type: ignore[misc]  # a transport takes any buffer


async def _guarded(body: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    # An error of the caller's own must not pass for one of the network.
    try:
        async for block in body:
            yield block
    except Exception as error:
        raise InvalidBody(f"the body raised {type(error).__name__}", request_sent="maybe") from error
    finally:
        if hasattr(body, "aclose"):
            await body.aclose()


# --- The response -------------------------------------------------------------------------------------


class Body:
    """The body of a response, as soon as there is some of it.

    The connection is given back with the last byte, closed with anything else that ends it.

    Args:
        stream: what it comes from.
        head: the head of the response.
        upload: the body of the request, if that is still on its way.
        release: gives the connection back to its owner, or takes it away: called with whether it can be used again.
    """

    def __init__(self, stream: Stream, head: Head, upload: Upload | None, release: Callable[[bool], None]) -> None:
        version, status, _, fields = head
        attempt = stream._attempt
        request = attempt.request
        attempt.sent, attempt.has_head = "yes", True
        self._stream: Stream | None = stream
        self._upload = upload
        self._release = release
        self._chunked, self._length = framing(fields)
        self._chunk: int | None = None  # bytes left of it; 0 between the data and the CRLF that ends it
        if status in (204, 304) or request.method == "HEAD":
            self._chunked, self._length = False, 0
        self._closes = (
            version == "1.0"  # its keep-alive is rare, and ambiguous
            or (self._length is None and not self._chunked)
            or "close" in fields.get("connection", "").lower()
            or "connection" in [name.lower() for name, _ in request.headers]
        )
        if self._length == 0:
            self._finish(stream)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        stream = self._stream
        if stream is None:
            raise StopAsyncIteration
        try:
            block = await (self._next_of_chunks(stream) if self._chunked else self._next(stream))
        except BaseException:
            await self.close()
            raise
        if not block:
            raise StopAsyncIteration
        return block

    async def _next(self, stream: Stream) -> bytes:
        length = self._length
        block = await stream.read(stream.reader.block, BLOCK if length is None or length > BLOCK else length)
        if length is None:
            if not block:
                self._finish(stream)
            return block
        if not block:
            raise stream._attempt.failed(IncompleteBody, f"the connection ended {length} bytes too early")
        self._length = length - len(block)
        if not self._length:
            self._finish(stream)
        return block

    async def _next_of_chunks(self, stream: Stream) -> bytes:
        reader, attempt = stream.reader, stream._attempt
        if not self._chunk:
            if self._chunk == 0 and (end := await stream.read(reader.line)) != b"\r\n":
                raise ProtocolError(f"a chunk does not end where its size says: {evidence(end)}", request_sent="yes")
            self._chunk = None  # read() may have to wait, and be cancelled
            self._chunk = await stream.read(reader.chunk_size)
            if not self._chunk:
                attempt.trailers += await self._trailers(stream)
                self._finish(stream)
                return b""
        block = await stream.read(reader.block, min(BLOCK, self._chunk))
        if not block:
            raise attempt.failed(IncompleteBody, "the connection ended within a chunk")
        self._chunk -= len(block)
        return block if self._chunk else b"".join([block, *reader.whole_chunks(BLOCK - len(block))])

    async def _trailers(self, stream: Stream) -> list[tuple[str, str]]:
        # The reader takes them line by line, and cannot start anew; so all of them are awaited first.
        reader = stream.reader
        while not stream._ended:
            seen = reader.unread + stream._arrived
            if seen[:2] == b"\r\n" or b"\r\n\r\n" in seen or len(seen) > MAX_HEAD + MAX_LINE:
                break
            await stream.more()
        return reader.trailers()

    def _finish(self, stream: Stream) -> None:
        uploading = self._upload is not None and not self._upload.complete
        clean = not (self._closes or uploading or stream.has_more)
        self._end(stream, clean)

    def _end(self, stream: Stream, clean: bool) -> None:
        self._stream = None
        if self._upload is not None:
            self._upload.cancel()
        stream.attempt = None
        if not clean:
            stream.abort()
        self._release(clean)

    async def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        if self._stream is not None:
            self._end(self._stream, clean=False)
