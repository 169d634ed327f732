"""One open connection, and the exchanges that it carries, one after the other, awaited.

This is `connection.py` once more, with an `await` wherever bytes go out or come in. asyncio asks for one thing besides:
a time is the point at which a wait must end, not its length, as one wait may be several.
"""

from __future__ import annotations

from asyncio import sleep
from contextlib import suppress
from functools import partial
from time import monotonic

from ...errors import ConnectionLost, IncompleteBody
from ...model.messages import AsyncRawResponse
from ...wire import http11
from ...wire.asyncio_wire import Pieces, closed
from ...wire.reader import RECEIVE
from ..base import ends_at, time_left
from .connection_state import ConnectionState

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable
    from typing import Any

    from ...model.messages import RawRequest
    from ...wire.asyncio_wire import AsyncioTLS, AsyncioWire
    from ...wire.http11 import Framing, Head
    from .connection_state import HeadSteps, Owner, Trailers


class AsyncConnection(ConnectionState):
    """What carries one exchange after the other."""

    def __init__(self, sock: AsyncioWire | AsyncioTLS) -> None:
        super().__init__(sock)
        self._poll = sock.poll

    # --- One exchange -----------------------------------------------------------------------------

    async def exchange(self, request: RawRequest, owner: Owner, key: Hashable) -> AsyncRawResponse:
        """Perform one exchange, up to the head of the final response.

        `owner.put(key, connection)` is called once the body was read to its end, which for a small one is before this
        returns, and has to `release` the connection.

        Raises:
            WriteTimeout, ReadTimeout, ConnectionLost, ProtocolError: with `request_sent`; the connection is closed.
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
            whole = Pieces((rest,) if rest else ())
            return AsyncRawResponse(
                head.status, head.reason, head.version, head.headers, whole, whole.aclose, (), interim, True, None, rest
            )
        if rest:
            self.reader.feed(rest)
        trailers: Trailers = []
        done = partial(owner.put, key, self)
        body = self.read_body(size, trailers, done)
        abandon = partial(closed, partial(self.abandon, self.exchanges), body)
        return AsyncRawResponse(
            head.status, head.reason, head.version, head.headers, body, abandon, trailers, interim, True
        )

    # --- Sending the request ----------------------------------------------------------------------

    async def send(self, request: RawRequest) -> tuple[Head, bytes]:
        """Write the request, and read the head of the final response: that, and what came behind it past the reader."""
        self._begin(request)
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
        except ConnectionLost as error:
            data = await self._last_answer(error)
        else:
            # As `_receive`, and not by it: what waits is resumed through each coroutine on the way.
            try:
                data = await self.sock.recv(RECEIVE, ends_at(self._read_timeout, self._deadline))
            except OSError as error:
                raise self._not_received(error) from error
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
                data = http11.chunk(block) if request.chunked else block
                if (early := await self._write_listening(data, steps)) is not None:
                    return early
            return await self._write_listening(http11.last_chunk(request.trailers), steps) if request.chunked else None
        finally:
            if hasattr(body, "aclose"):
                await body.aclose()

    async def _wait_for_continue(self, steps: HeadSteps) -> Head | None:
        # RFC 9110 §10.1.1: 100 asks for the body, a final answer refuses it. A server that knows neither says nothing,
        # so the wait is short.
        ends = monotonic() + http11.CONTINUE_SECONDS
        with suppress(TimeoutError):
            while 100 not in dict(self.interim):
                if (early := self._heard(await self._receive(time_left(ends)), steps)) is not None:
                    return early
        return None

    async def _write_listening(self, data: bytes, steps: HeadSteps) -> Head | None:
        if self._poll() and (early := await self._listen(steps)) is not None:
            return early
        await self._write(data)
        return None

    async def _listen(self, steps: HeadSteps) -> Head | None:
        # TLS may be readable by a message of its own, which is no part of a response: so this must not wait.
        # The loop reads when it comes around: first to us, and then to the transport.
        await sleep(0)
        await sleep(0)
        try:
            data = self.sock.recv_now(RECEIVE)
        except OSError as error:
            raise self._not_sent(error) from error
        return None if data is None else self._heard(data, steps)

    async def _last_answer(self, error: ConnectionLost) -> bytes:
        # A server that refuses an upload may answer and close at once (RFC 9112 §9.5).
        if self._sent == "no" or self.reader.ended or not self._poll():
            raise error
        with suppress(ConnectionLost):
            data: bytes = await self._receive(self._read_timeout)
            if data:
                return data
        raise error

    async def _write(self, data: bytes) -> None:
        """Write all of the data; the write timeout is for each time that the server takes some."""
        sent = 0
        try:
            ends = ends_at(self._write_timeout, self._deadline)
            if self._sent == "no":
                self._sent = "maybe"
            sent = await self.sock.send(data, ends)
            while sent < len(data):
                ends = ends_at(self._write_timeout, self._deadline)
                sent += await self.sock.send(memoryview(data)[sent:], ends)
        except OSError as error:
            raise self._not_sent(error) from error

    # --- Receiving the response -------------------------------------------------------------------

    async def _read_head(self, steps: HeadSteps) -> Head:
        try:
            while (head := self._advance(steps)) is None:
                await self._fill()
            return head
        except ConnectionLost as error:
            self._stale(error)
            raise

    async def read_body(self, size: Framing, trailers: Trailers, done: Callable[[], object]) -> AsyncIterator[bytes]:
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
            done()
        except ConnectionLost as error:
            raise IncompleteBody(str(error), request_sent="yes") from error
        finally:
            self.abandon(exchange)

    async def _fill(self) -> None:
        self._feed(await self._receive(self._read_timeout))

    async def _receive(self, seconds: float | None) -> Any:
        try:
            return await self.sock.recv(RECEIVE, ends_at(seconds, self._deadline))
        except OSError as error:
            raise self._not_received(error) from error
