"""A backend that is awaited, for a Client: it runs in an event loop of its own, in a thread beside the caller's.

It changes nothing of what is sent or received.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError, wait
from contextlib import suppress
from weakref import finalize

from ..errors import ConfigError, StreamError
from ..model.messages import RawResponse
from .base import ASYNC_CAPABILITIES
from .workers import WORKERS

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
    from typing import Literal, TypeVar

    from ..model.messages import AsyncRawResponse, RawRequest
    from .base import AsyncBackend

    T = TypeVar("T")


# Seconds after which a thread that waits looks whether there is still a loop.
_LOOK = 1.0


class Looped:
    """A backend that is awaited, for the threads of a program that has no event loop."""

    contract: Literal[1] = 1

    def __init__(self, backend: AsyncBackend) -> None:
        self._backend = backend
        self.name = backend.name
        self.capabilities = backend.capabilities - ASYNC_CAPABILITIES
        self.native = backend.native
        self._lock = threading.RLock()  # a finalizer may come here in the middle of it
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._end: finalize[[asyncio.AbstractEventLoop, int], Looped] | None = None

    # --- The request ------------------------------------------------------------------------------

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange; see `Backend.send`."""
        body = request.body
        if body is not None and not isinstance(body, bytes):
            request = request.routed(request.route, body=_stepped(body))
        loop = self._running()
        raw = _wait_for(loop, self._backend.send(request))
        return RawResponse(
            raw.status,
            raw.reason,
            raw.http_version,
            raw.headers,
            _pieces(loop, raw.body),
            lambda: _close(loop, raw),
            raw.trailers,
            raw.interim,
        )

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=_serve, args=(self._loop, self._backend), name=f"unifetch {self.name}", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError as error:
                    self._loop.close()
                    self._loop = None
                    raise ConfigError("the program is ending, and can start no thread for this any more") from error
                self._thread = thread
                # Also for a client that nobody closes: when it is gone, or when the interpreter ends.
                self._end = finalize(self, _stop, self._loop, os.getpid())
            return self._loop

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections, and end the event loop."""
        with self._lock:
            self._loop, thread, self._thread = None, self._thread, None
        if self._end is not None:
            self._end()
        if thread is not None and thread is not threading.current_thread():
            thread.join()


# --- The chunks -----------------------------------------------------------------------------------


def _pieces(loop: asyncio.AbstractEventLoop, pieces: AsyncIterator[bytes]) -> Iterator[bytes]:
    while (piece := _wait_for(loop, anext(pieces, None))) is not None:
        yield piece


def _wait_for(loop: asyncio.AbstractEventLoop, work: Awaitable[T]) -> T:
    step = _result_of(work)
    try:
        future = asyncio.run_coroutine_threadsafe(step, loop)
    except RuntimeError:
        step.close()
        if hasattr(work, "close"):
            work.close()
        raise _closed() from None
    try:
        while True:
            done, _ = wait([future], _LOOK)
            if done:
                return future.result()
            if loop.is_closed():  # and has not come to this any more
                raise _closed()
    except CancelledError:
        raise _closed() from None
    except BaseException:  # an interrupt of this thread, which must not leave the work behind; or its own error
        future.cancel()
        raise


def _closed() -> StreamError:
    return StreamError("the client was closed while it was in use", request_sent="maybe")


def _close(loop: asyncio.AbstractEventLoop, raw: AsyncRawResponse) -> None:
    # A stream may be closed by the garbage collector, in any thread, that of the loop among them: so this waits for
    # nothing. What the loop is asked for next comes after it. A loop that has ended has closed its connections.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(_begin_to_close, loop, raw)


_closing: set[asyncio.Task[None]] = set()  # a loop keeps no hold on its tasks


def _begin_to_close(loop: asyncio.AbstractEventLoop, raw: AsyncRawResponse) -> None:
    task = loop.create_task(_result_of(raw.close()))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def _serve(loop: asyncio.AbstractEventLoop, backend: AsyncBackend) -> None:
    loop.run_forever()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:  # it ends what is left in the loop
        runner.run(_result_of(backend.close()))


def _stop(loop: asyncio.AbstractEventLoop, process: int) -> None:
    if os.getpid() != process:  # the thread stayed with the parent
        return
    with suppress(RuntimeError):  # it is closed
        loop.call_soon_threadsafe(loop.stop)


async def _result_of(work: Awaitable[T]) -> T:
    return await work


async def _stepped(blocks: Iterable[bytes]) -> AsyncIterator[bytes]:
    # The caller's iterator may block; the loop must not.
    steps = iter(blocks)
    try:
        while (block := await asyncio.wrap_future(WORKERS.submit(next, steps, None))) is not None:
            yield block
    finally:
        if hasattr(steps, "close"):
            with suppress(ValueError):  # a generator that is running in the thread that was left behind
                steps.close()
