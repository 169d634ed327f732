"""A backend that is awaited, for a Client: it runs in an event loop of its own, in a thread beside the caller's.

It changes nothing of what is sent or received.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from _thread import allocate_lock
from contextlib import suppress
from functools import partial
from weakref import finalize

from ..errors import ConfigError, StreamError
from ..model.messages import AsyncRawResponse, RawResponse
from .base import ASYNC_CAPABILITIES
from .workers import WORKERS

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
    from typing import Any, Literal, TypeVar

    from ..model.messages import RawRequest
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
        self._serving: LoopThread | None = None

    # --- The request ------------------------------------------------------------------------------

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange; see `Backend.send`."""
        body = request.body
        if body is not None and not isinstance(body, bytes):
            request = request.routed(request.route, body=_stepped(body))
        loop = self._running()
        pieces = LoopedBody(loop)
        try:
            raw = _wait_for(loop, pieces.receive, self._backend.send, request)
        except BaseException:  # an interrupt, after it had come
            pieces.close()
            raise
        return RawResponse(
            raw.status, raw.reason, raw.http_version, raw.headers, pieces, pieces.close, raw.trailers, raw.interim
        )

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            serving = self._serving
            if serving is not None and serving.is_alive():
                return serving.running_loop()
            try:
                self._serving = serving = LoopThread(self._backend)
                # Also for a client that nobody closes: when it is gone, or when the interpreter ends.
                finalize(self, serving.stop)
                serving.start()
                return serving.running_loop()
            except RuntimeError as error:
                raise ConfigError("the program is ending, and can start no thread for this any more") from error
            finally:
                # An interrupt may have come before there was a thread; one that comes about later ends at once.
                if serving is not None and serving.made is None:
                    serving.stop()
                    self._serving = None

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections, and end the event loop."""
        with self._lock:
            serving = self._serving
            if serving is not None:
                serving.stop()
            self._serving = None
        if serving is not None:
            serving.wait()


# --- The loop -------------------------------------------------------------------------------------


# What a caller's thread and the loop share has no lock that Python code takes and gives back, as
# `threading.Condition` and `Future` have: an interrupt of the thread in between would leave it taken, and the loop and
# every later call would wait for it for ever.


class LoopThread:
    """A thread with an event loop, made and closed in there, so that no interrupt of a caller leaves it behind.

    Attributes:
        made: the loop, once it is there, or why there is none.
    """

    def __init__(self, backend: AsyncBackend) -> None:
        self.made: asyncio.AbstractEventLoop | Exception | None = None
        self._is_made = allocate_lock()
        self._is_made.acquire()
        self._backend = backend
        self._is_wanted = True
        self._ends = False
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name=f"unifetch {backend.name}", daemon=True)

    def start(self) -> None:
        """Begin; a RuntimeError where the interpreter is ending."""
        self._thread.start()

    def running_loop(self) -> asyncio.AbstractEventLoop:
        """The loop, as soon as it is there.

        Raises:
            StreamError: the thread has ended before, by an exception from outside.
            OSError: there can be none: too many open files, say.
        """
        while (made := self.made) is None:
            if self._is_made.acquire(timeout=_LOOK):
                self._is_made.release()
            elif not self._thread.is_alive():
                raise _closed()
        if isinstance(made, Exception):
            raise made
        return made

    def is_alive(self) -> bool:
        """Whether the loop runs, or will. A fork has only the thread that forked."""
        # `Thread.is_alive`, if it is interrupted, takes a thread that runs for one that has ended, from then on.
        return not self._ends and self._process == os.getpid()

    def _run(self) -> None:
        try:
            if not self._is_wanted:
                return
            try:
                self.made = loop = asyncio.new_event_loop()
            except Exception as error:  # noqa: BLE001  # it is raised where the loop is waited for
                self.made = error
                return
            finally:
                self._is_made.release()
            if self._is_wanted:
                loop.run_forever()
        finally:
            self._ends = True
            if isinstance(self.made, asyncio.AbstractEventLoop):
                with asyncio.Runner(loop_factory=lambda: loop) as runner:  # it ends what is left in the loop
                    runner.run(_result_of(self._backend.close))

    def stop(self) -> None:
        """Have the loop end. It waits for nothing: a finalizer may call it."""
        self._is_wanted = False
        # The thread stayed with the parent of a fork.
        if self._process == os.getpid() and isinstance(self.made, asyncio.AbstractEventLoop):
            with suppress(RuntimeError):  # it is closed
                self.made.call_soon_threadsafe(self._stop, self.made)

    def _stop(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._ends:  # else this comes too late, and would stop what the loop does at its end
            loop.stop()

    def wait(self) -> None:
        """Wait until it has ended."""
        if self._process == os.getpid() and self._thread.ident and self._thread is not threading.current_thread():
            self._thread.join()


class Errand:
    """What a thread waits for, and the loop does.

    Attributes:
        is_wanted: whether somebody waits for it.
        task: what does it, once it has begun.
    """

    is_wanted = True
    task: asyncio.Task[Any] | None = None

    def __init__(self) -> None:
        self._outcome: list[tuple[Any, BaseException | None]] = []
        self._is_over = allocate_lock()
        self._is_over.acquire()

    def is_over(self, seconds: float) -> bool:
        """Wait for so long; whether the outcome is there."""
        return self._is_over.acquire(timeout=seconds)

    def end(self, result: Any, error: BaseException | None) -> None:
        """Give the outcome."""
        self._outcome.append((result, error))
        self._is_over.release()

    def take(self) -> tuple[Any, BaseException | None]:
        """The outcome: a result or an error."""
        return self._outcome.pop()


# --- The chunks -----------------------------------------------------------------------------------


class LoopedBody:
    """The body of one response. One that is dropped, as by an interrupt on its way to the caller, is closed.

    Attributes:
        raw: that response, once there is one; None again once it is closed.
    """

    raw: AsyncRawResponse | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def receive(
        self, send: Callable[[RawRequest], Awaitable[AsyncRawResponse]], request: RawRequest
    ) -> AsyncRawResponse:
        """Take the response in the loop itself, so that it is nowhere else if its way to the caller is interrupted."""
        self.raw = raw = await send(request)
        return raw

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raw = self.raw
        piece = None if raw is None else _wait_for(self._loop, _next_of, raw.body)
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it. It waits for nothing."""
        # The garbage collector may call this, in any thread, that of the loop among them. What the loop is asked for
        # next comes after it. A loop that has ended has closed its connections.
        raw, self.raw = self.raw, None
        if raw is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_begin, self._loop, Errand(), raw.close)

    def __del__(self, is_ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not is_ending():  # then the loop has ended, and the names of this module with it
            self.close()


def _wait_for(loop: asyncio.AbstractEventLoop, work: Callable[..., Awaitable[T]], *given: Any) -> T:
    errand = Errand()
    try:
        try:
            loop.call_soon_threadsafe(_begin, loop, errand, work, *given)
        except RuntimeError:
            raise _closed() from None
        while not errand.is_over(_LOOK):
            if loop.is_closed():  # and has not come to this any more
                raise _closed()
        result, error = errand.take()
    except BaseException:  # an interrupt of this thread, which must not leave the work behind
        errand.is_wanted = False
        with suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(_give_up, errand)
        raise
    if error is not None:
        try:
            raise error
        finally:
            del error  # it would hold this frame, and so itself
    outcome: T = result
    return outcome


_tasks: set[asyncio.Task[Any]] = set()  # a loop keeps no hold on them


def _begin(loop: asyncio.AbstractEventLoop, errand: Errand, work: Callable[..., Awaitable[T]], *given: Any) -> None:
    if not errand.is_wanted:
        return
    errand.task = task = loop.create_task(_result_of(work, *given))
    _tasks.add(task)
    task.add_done_callback(partial(_hand_over, errand))


def _hand_over(errand: Errand, task: asyncio.Task[T]) -> None:
    _tasks.discard(task)
    error = _closed() if task.cancelled() else task.exception()
    result = None if error is not None else task.result()
    errand.end(result, error)


def _give_up(errand: Errand) -> None:
    if errand.task is not None:
        errand.task.cancel()


def _closed() -> StreamError:
    return StreamError("the client was closed while it was in use", request_sent="maybe")


async def _next_of(pieces: AsyncIterator[bytes]) -> bytes | None:
    # Called in the loop, which so knows of a generator, and closes it at its own end.
    return await anext(pieces, None)


async def _result_of(work: Callable[..., Awaitable[T]], *given: Any) -> T:
    # Called in here: a task that is cancelled before it begins leaves no coroutine that nobody awaits.
    return await work(*given)


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
