"""A backend that is awaited, for a Client: it runs in an event loop of its own, in a thread beside the caller's.

It changes nothing of what is sent or received.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from weakref import finalize

from ..model.messages import RawResponse
from .base import ASYNC_CAPABILITIES

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
    from typing import Literal, TypeVar

    from ..model.messages import RawRequest
    from .base import AsyncBackend

    T = TypeVar("T")


class Looped:
    """A backend that is awaited, for the threads of a program that has no event loop."""

    contract: Literal[1] = 1

    def __init__(self, backend: AsyncBackend) -> None:
        self._backend = backend
        self.name = backend.name
        self.capabilities = backend.capabilities - ASYNC_CAPABILITIES
        self.native = backend.native
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: finalize[[asyncio.AbstractEventLoop, threading.Thread, int], Looped] | None = None

    # --- The request ------------------------------------------------------------------------------

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange; see `Backend.send`."""
        body = request.body
        if body is not None and not isinstance(body, bytes):
            request = request.routed(request.route, body=_stepped(body))
        raw = self._wait_for(self._backend.send(request))
        return RawResponse(
            raw.status,
            raw.reason,
            raw.http_version,
            raw.headers,
            self._pieces(raw.body),
            lambda: self._wait_for(raw.close()),
            raw.trailers,
            raw.interim,
        )

    # --- The chunks -------------------------------------------------------------------------------

    def _pieces(self, pieces: AsyncIterator[bytes]) -> Iterator[bytes]:
        while (piece := self._wait_for(anext(pieces, None))) is not None:
            yield piece

    def _wait_for(self, work: Awaitable[T]) -> T:
        future = asyncio.run_coroutine_threadsafe(_result_of(work), self._running())
        try:
            return future.result()
        except BaseException:  # an interrupt of this thread, which must not leave the work behind; or its own error
            future.cancel()
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=_serve, args=(self._loop, self._backend), name=f"unifetch {self.name}", daemon=True
                )
                thread.start()
                # Also for a client that nobody closes: when it is gone, or when the interpreter ends.
                self._end = finalize(self, _stop, self._loop, thread, os.getpid())
            return self._loop

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections, and end the event loop."""
        with self._lock:
            self._loop = None
        if self._end is not None:
            self._end()


def _serve(loop: asyncio.AbstractEventLoop, backend: AsyncBackend) -> None:
    loop.run_forever()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:  # it ends what is left in the loop
        runner.run(_result_of(backend.close()))


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread, process: int) -> None:
    if os.getpid() != process:  # the thread stayed with the parent
        return
    loop.call_soon_threadsafe(loop.stop)
    if threading.current_thread() is not thread:  # where a finalizer may run, too
        thread.join()


async def _result_of(work: Awaitable[T]) -> T:
    return await work


async def _stepped(blocks: Iterable[bytes]) -> AsyncIterator[bytes]:
    # The caller's iterator may block; the loop must not.
    steps = iter(blocks)
    try:
        while (block := await asyncio.to_thread(next, steps, None)) is not None:
            yield block
    finally:
        if hasattr(steps, "close"):
            with suppress(ValueError):  # a generator that is running in the thread that was left behind
                steps.close()
