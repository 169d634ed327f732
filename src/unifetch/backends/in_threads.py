"""A backend that blocks, for an AsyncClient: it runs in threads, so that the event loop does not wait for it.

It changes nothing of what is sent or received. What a thread has begun cannot be interrupted: where a task is
cancelled, its thread goes on until the backend returns or a timeout ends it, and closes what it has begun.
"""

from __future__ import annotations

import asyncio

from ..errors import ConnectionLost, PoolTimeout
from ..model.messages import AsyncRawResponse
from .base import within
from .workers import THREADS, WORKERS

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from concurrent.futures import Future
    from typing import Literal

    from ..model.messages import RawRequest, RawResponse
    from .base import Backend


class Threaded:
    """A backend that blocks, for the tasks of an asyncio event loop."""

    contract: Literal[1] = 1

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name = backend.name
        self.capabilities = backend.capabilities
        self.native = backend.native

    # --- The request ------------------------------------------------------------------------------

    async def send(self, request: RawRequest) -> AsyncRawResponse:
        """Perform one exchange; see `AsyncBackend.send`."""
        loop, blocks = asyncio.get_running_loop(), None
        if request.body is not None and not isinstance(request.body, bytes):
            blocks = AwaitedBlocks(aiter(request.body), loop)
            request = request.routed(request.route, body=blocks)
        try:
            seconds = within(request.timeout.pool, request.deadline)
        except TimeoutError as error:
            raise PoolTimeout("no time was left to wait for a thread") from error
        future = WORKERS.submit(self._backend.send, request)
        timer = None if seconds is None else loop.call_later(seconds, future.cancel)  # once it runs, no more
        try:
            raw = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if future.cancelled() and task is not None and not task.cancelling():
                raise PoolTimeout(f"none of the {THREADS} threads became free in time") from None
            if blocks is not None:
                blocks.cancel()
            future.add_done_callback(_close_late)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        pieces = ThreadedBody(raw)
        return AsyncRawResponse(
            raw.status, raw.reason, raw.http_version, raw.headers, pieces, pieces.close, raw.trailers, raw.interim
        )

    # --- The end ----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close idle connections. Threads that are busy end with what they do."""
        self._backend.close()  # without waiting


class AwaitedBlocks:
    """A body in a thread of the backend: each block is awaited in the loop that the caller's iterator belongs to."""

    def __init__(self, blocks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._blocks = blocks
        self._loop = loop
        self._step: Future[bytes | None] | None = None
        self._cancelled = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._cancelled:
            raise _cancelled()
        work = _next_of(self._blocks)
        try:
            self._step = step = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop is closed
            work.close()
            raise _cancelled() from None
        if self._cancelled:  # just now: the loop may not come to it any more
            step.cancel()
            raise _cancelled()
        block = step.result()
        if block is None:
            raise StopIteration
        return block

    def cancel(self) -> None:
        """Have no more of it asked for."""
        self._cancelled = True
        if self._step is not None:
            self._step.cancel()


async def _next_of(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


def _cancelled() -> ConnectionLost:
    return ConnectionLost("the task that sent this body was cancelled", request_sent="maybe")


def _close_late(future: Future[RawResponse]) -> None:
    # In the thread of the backend: no task waits for this response any more.
    if not future.cancelled() and future.exception() is None:
        future.result().close()


class ThreadedBody:
    """The body of a response, each step of which may block."""

    # --- The chunks -------------------------------------------------------------------------------

    def __init__(self, raw: RawResponse) -> None:
        self._raw = raw
        self._pieces = iter(raw.body)
        self._step: Future[bytes | None] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._step = WORKERS.submit(next, self._pieces, None)
        piece = await asyncio.wrap_future(self._step)
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def close(self) -> None:
        """Close the response; while a thread is still reading it, once that has ended.

        A socket that is closed under a read may have given its number to another by the time that the read goes on.
        """
        step = self._step
        if step is not None and not step.done():
            step.add_done_callback(lambda _: self._raw.close())
        else:
            await asyncio.wrap_future(WORKERS.submit(self._raw.close))
