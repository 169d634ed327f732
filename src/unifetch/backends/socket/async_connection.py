"""One open connection, and the exchanges that it carries, one after the other, awaited.

This is `connection.py` once more: the same methods in the same order, with an `await` wherever bytes go out or
come in. `diff connection.py async_connection.py` shows what asyncio asks for besides:

- a time is the point at which a wait must end, not its length, as one wait may be several;
- a task can be cancelled at each `await`. Whoever calls these methods closes the connection if one raises, whatever
  it raises; the body, which is read when nobody is above, does it itself.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from time import monotonic

from ...errors import ConnectionLost, IncompleteBody, ReadTimeout, UnifetchError, WriteTimeout
from ...model.messages import AsyncRawResponse
from ...wire import http11
from ...wire.asyncio_wire import Pieces
from ...wire.fast_paths import LastHead, LastRequest
from ...wire.reader import RECEIVE, ByteReader
from ...wire.tls_errors import certificate_refused
from ..base import IDLE_SECONDS, came_too_late
from .connection import broken_by
from .pool import MAX_AGE

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Generator, Hashable
    from typing import Any

    from ...errors import RequestSent
    from ...model.headers import Headers
    from ...model.messages import RawRequest
    from ...wire.asyncio_wire import AsyncioTLS, AsyncioWire
    from ...wire.http11 import Framing, Head

    HeadSteps = Generator[Head | None, None, Head]


class AsyncConnection:
    """A stream, and what is known of it.

    Attributes:
        useful_until: until when it may carry another request, by `monotonic()`.
        exchanges: how many requests it has carried.
        interim: the 1xx responses of the current exchange, as (status, headers).
        keeps: whether it can carry another request once this one is over.
    """

    def __init__(self, sock: AsyncioWire | AsyncioTLS) -> None:
        self.sock = sock
        self.reader = ByteReader()
        self._dies = monotonic() + MAX_AGE
        self.useful_until = self._dies
        self.exchanges = 0
        self.interim: list[tuple[int, Headers]] = []
        self.keeps = True
        self._busy = False
        self._last_head = LastHead(http11.parse_head, http11.MAX_HEAD)
        self._last_request = LastRequest(http11.around_target, http11.target_bytes)

    @property
    def session(self) -> ssl.SSLSession | None:
        """The TLS session, to resume: with TLS 1.3 there is one once something was read."""
        return self.sock.session

    # --- Before a request -------------------------------------------------------------------------

    def is_fit(self) -> bool:
        """Whether an idle connection is young enough, and nothing has happened on it: neither bytes nor an end came.

        Whatever came belongs to no request (RFC 9112 §9.2).
        """
        return monotonic() < self.useful_until and not self.sock.poll()

    # --- One exchange -----------------------------------------------------------------------------

    async def exchange(self, request: RawRequest, owner: Any, key: Hashable) -> AsyncRawResponse:
        """Perform one exchange, up to the head of the final response.

        Args:
            request: what to send, as it is.
            owner, key: `owner.put(key, connection)` is called once the body was read to its end, and has to `release`
                the connection; for a small body that is before this returns.

        Raises:
            WriteTimeout, ReadTimeout, ConnectionLost, ProtocolError: the connection is closed.
        """
        try:
            head, rest = await self.send(request)
        except BaseException:
            self.close()
            raise
        if not head.persists or self._last_request.closes:
            self.keeps = False
        size, interim = head.framing, self.interim
        if size == len(rest):
            # All of it came with the head: the connection is free before anybody reads.
            owner.put(key, self)
            pieces = Pieces((rest,) if rest else ())
            return AsyncRawResponse(
                head.status, head.reason, head.version, head.headers, pieces, _nothing, (), interim, True, None, rest
            )
        if rest:
            self.reader.feed(rest)
        trailers: list[tuple[str, str]] = []
        done = partial(owner.put, key, self)
        body = self.read_body(size, trailers, done)
        abandon = partial(_abandon, self, self.exchanges, body)
        return AsyncRawResponse(
            head.status, head.reason, head.version, head.headers, body, abandon, trailers, interim, True
        )

    # --- Sending the request ----------------------------------------------------------------------

    async def send(self, request: RawRequest) -> tuple[Head, bytes]:
        """Write the request, and read the head of the final response: that, and what came behind it past the reader.

        Raises:
            WriteTimeout, ReadTimeout, ConnectionLost, ProtocolError: with `request_sent` as it was.
        """
        timeout = request.timeout
        self._sent: RequestSent = "no"
        self._deadline = request.deadline
        self._read_timeout, self._write_timeout = timeout.read, timeout.write
        self.exchanges += 1
        self._busy = True
        if self.interim:
            self.interim = []
        head, body = self._last_request.head(request), request.body
        steps: HeadSteps | None = None
        try:
            if body is None:
                await self._write(head)
            elif isinstance(body, bytes) and len(body) <= http11.WITH_HEAD and not self._last_request.expects:
                await self._write(head + body)
            else:
                steps = http11.read_head(self.reader, request.method)
                early = await self._upload(head, request, steps)
                if early is not None:
                    self.keeps = False  # what is left of the body cannot follow, so nothing else can
                    return early, b""
        except ConnectionLost:
            # A server that refuses an upload may answer and close at once (RFC 9112 §9.5).
            if not self._has_answered():
                raise
        data = await self._receive(RECEIVE, self._read_timeout)
        if steps is None:
            whole = self._last_head.read(data, request.method)
            if whole is not None:
                self._sent = "yes"
                return whole
            steps = http11.read_head(self.reader, request.method)
        self._feed(data)
        return await self._read_head(steps), b""

    async def _upload(self, head: bytes, request: RawRequest, steps: HeadSteps) -> Head | None:
        # Between two blocks, and while a send waits, it listens: an early final answer ends the upload.
        await self._write(head)
        if self._last_request.expects and (early := await self._wait_for_continue(steps)) is not None:
            return early
        body = request.body
        try:
            async for block in Pieces(http11.blocks(body)) if isinstance(body, bytes) else body:
                if self.sock.poll() and (early := await self._listen(steps)) is not None:
                    return early
                await self._write(http11.chunk(block) if request.chunked else block)
        finally:
            if hasattr(body, "aclose"):
                await body.aclose()
        if request.chunked:
            await self._write(http11.last_chunk(request.trailers))
        return None

    async def _wait_for_continue(self, steps: HeadSteps) -> Head | None:
        # RFC 9110 §10.1.1: 100 asks for the body, a final answer refuses it. A server that knows neither says nothing,
        # so the wait is short.
        with suppress(ReadTimeout):
            while (early := self._advance(steps)) is None and 100 not in dict(self.interim):
                self._feed(await self._receive(RECEIVE, http11.CONTINUE_SECONDS))
            return early
        return None

    async def _listen(self, steps: HeadSteps) -> Head | None:
        # TLS may have got a message of its own, which is no part of a response: so this must not wait. The loop
        # reads when it comes around: first to us, and then to the transport.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        try:
            data = self.sock.recv_now(RECEIVE)
        except OSError as error:
            raise self._lost(error) from error
        if data is None:
            return None
        self._feed(data)
        return self._advance(steps)

    def _has_answered(self) -> bool:
        return self._sent == "maybe" and self.sock.holds_data()

    async def _write(self, data: bytes) -> None:
        """Write all of the data; the write timeout is for each time that the server takes some."""
        sent = 0
        try:
            ends = self._ends(self._write_timeout)
            self._sent = "maybe"
            sent = await self.sock.send(data, ends)
            while sent < len(data):
                ends = self._ends(self._write_timeout)
                sent += await self.sock.send(memoryview(data)[sent:], ends)
        except TimeoutError as error:
            raise WriteTimeout("the server did not take the request in time", request_sent=self._sent) from error
        except OSError as error:
            raise self._lost(error) from error

    # --- Receiving the response -------------------------------------------------------------------

    async def _read_head(self, steps: HeadSteps) -> Head:
        try:
            while (head := self._advance(steps)) is None:
                await self._fill()
            return head
        except ConnectionLost as error:
            error.reused = self.exchanges > 1 and error.request_sent != "yes"
            raise

    def _advance(self, steps: HeadSteps) -> Head | None:
        # Parse what is there: the final head, once it is complete. Interim ones are noted on the way.
        try:
            while (interim := next(steps)) is not None:
                self.interim.append((interim.status, interim.headers))
        except StopIteration as done:
            head: Head = done.value
            return head
        return None

    async def read_body(
        self, size: Framing, trailers: list[tuple[str, str]], done: Callable[[], object]
    ) -> AsyncIterator[bytes]:
        """The pieces of the body as they come; after the last, `trailers` are filled and `done` is called.

        Raises:
            ReadTimeout, IncompleteBody, ProtocolError: with `request_sent` "yes".
        """
        exchange = self.exchanges
        steps = http11.read_body(self.reader, size)
        try:
            while True:
                piece = next(steps)
                if piece is None:
                    await self._fill()
                else:
                    yield piece
        except StopIteration as end:
            trailers += end.value
        except ConnectionLost as error:
            self.abandon(exchange)
            raise IncompleteBody(f"inside the body {error}", request_sent="yes") from error
        except BaseException:
            self.abandon(exchange)
            raise
        done()

    async def _fill(self) -> None:
        self._feed(await self._receive(RECEIVE, self._read_timeout))

    def _feed(self, data: bytes) -> None:
        if data:
            self._sent = "yes"
            self.reader.feed(data)
        else:
            self.reader.feed_eof()

    async def _receive(self, most: int, seconds: float | None) -> bytes:
        try:
            return await self.sock.recv(most, self._ends(seconds))
        except TimeoutError as error:
            raise ReadTimeout(came_too_late(self._sent), request_sent=self._sent) from error
        except OSError as error:
            raise self._lost(error) from error

    # --- Time, errors, the end --------------------------------------------------------------------

    def _ends(self, seconds: float | None) -> float | None:
        # When the wait has to be over, by monotonic().
        now = monotonic()
        ends = None if seconds is None else now + seconds
        if self._deadline is not None:
            if self._deadline <= now:
                raise TimeoutError
            if ends is None or self._deadline < ends:
                return self._deadline
        return ends

    def _lost(self, error: OSError) -> UnifetchError:
        if refused := certificate_refused(error, self._sent):
            return refused
        lost = ConnectionLost(broken_by(error), request_sent=self._sent)
        lost.reused = self.exchanges > 1 and self._sent != "yes"
        return lost

    def release(self) -> bool:
        """End an exchange whose body was read; whether the connection is fit for another.

        Bytes beyond the response belong to nobody: they must not become the next answer.
        """
        self._busy = False
        reader = self.reader
        if self.keeps and reader.at == len(reader.data) and not reader.ended:
            idle_until = monotonic() + IDLE_SECONDS
            self.useful_until = idle_until if idle_until < self._dies else self._dies
            return True
        self.close()
        return False

    def abandon(self, exchange: int) -> None:
        """Close the connection if this exchange, by its number, is not over."""
        if self._busy and self.exchanges == exchange:
            self.close()

    def close(self) -> None:
        """Close the socket; nothing is waited for. Whoever still keeps this connection finds it unfit."""
        self.useful_until = 0.0
        self.sock.close()


async def _abandon(connection: AsyncConnection, exchange: int, body: Any) -> None:
    connection.abandon(exchange)
    # Another task may be reading it: that one is told that the connection is closed.
    with suppress(RuntimeError):
        await body.aclose()


async def _nothing() -> None:
    pass
