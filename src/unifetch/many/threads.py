"""The threads of one `fetch_all`, each of which does one piece of work at a time.

An executor of the standard library would wait for them wherever it is dropped, in a finalizer and at the end of the
program, and would wait for ever for one that an exception from outside (`PyThreadState_SetAsyncExc`) has ended in the
middle of its own code. Here a finalizer waits for nothing, and whoever waits can ask whether a thread is gone.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from ..errors import ConfigError, StreamError

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


class Threads:
    """As many threads as there is work at once; they end with it at the latest."""

    def __init__(self) -> None:
        self._all: list[FetchThread] = []
        self._idle: list[FetchThread] = []
        self._busy: dict[Future[Any], FetchThread] = {}

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have this done.

        Raises:
            ConfigError: the interpreter is ending, and starts no more threads.
        """
        future: Future[T] = Future()
        if self._idle:
            thread = self._idle.pop()
        else:
            thread = FetchThread()
            self._all.append(thread)  # before it runs: an interrupt may come at once
            try:
                thread.start()
            except RuntimeError as error:
                raise ConfigError("the program is ending, and can start no thread for this any more") from error
        self._busy[future] = thread
        future.add_done_callback(partial(self._is_done, thread))
        thread.work.put((future, work))
        return future

    def _is_done(self, thread: FetchThread, future: Future[Any]) -> None:
        if self._busy.pop(future, None) is not None and thread.is_alive():
            self._idle.append(thread)

    def is_lost(self, future: Future[Any]) -> bool:
        """Whether a future has come to its end without telling, because its thread is gone; it has an error then."""
        thread = self._busy.get(future)
        if thread is not None and not thread.is_alive():
            with suppress(InvalidStateError):
                future.set_exception(StreamError("its thread was ended from outside", request_sent="maybe"))
        return future.done()

    def end(self, *, wait: bool) -> None:
        """End them, each after what it has begun, and maybe wait for that."""
        for thread in self._all:
            thread.work.put(None)
        for thread in self._all if wait else ():
            if thread.ident is not None:  # it was started
                thread.join()

    def __del__(self) -> None:
        # An interrupt may have come before any other end, or within __init__.
        for thread in getattr(self, "_all", ()):
            thread.work.put(None)


class FetchThread(Thread):
    """One of them.

    Attributes:
        work: what it has to do; None ends it.
    """

    def __init__(self) -> None:
        super().__init__(name="unifetch.fetch_all", daemon=True)
        self.work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()

    def run(self) -> None:
        """Do what comes."""
        while (taken := self.work.get()) is not None:
            future, work = taken
            if future.set_running_or_notify_cancel():
                try:
                    outcome = work()
                except BaseException as error:  # noqa: BLE001  # it is raised where the outcome is waited for
                    future.set_exception(error)
                else:
                    future.set_result(outcome)
                    del outcome
            del taken, future, work  # an idle thread keeps nothing alive


class Results(Generator[T, None, None]):
    """Results as they come. Who ends them waits for what was begun; one that is dropped waits for nothing.

    The garbage collector may drop it in any thread, with a lock held that those threads need.

    Args:
        results: what gives them.
        threads: whose work they are.
    """

    def __init__(self, results: Iterator[T], threads: Threads) -> None:
        # Not a method: a generator that knew this object would keep it alive.
        self._steps = _steps(results, threads)
        self._threads = threads

    def __next__(self) -> T:
        return next(self._steps)

    def send(self, value: None) -> T:
        """As of a generator."""
        return self._steps.send(value)

    def throw(self, *error: Any) -> T:
        """As of a generator."""
        return self._steps.throw(*error)

    def close(self) -> None:
        """End it, and wait for what was begun."""
        self._steps.close()
        self._threads.end(wait=True)


def _steps(results: Iterator[T], threads: Threads) -> Generator[T, None, None]:
    try:
        yield from results
    except GeneratorExit:  # it is closed, which waits by itself, or dropped
        threads.end(wait=False)
        raise
    except BaseException:
        threads.end(wait=True)
        raise
    threads.end(wait=True)
