"""Threads for what blocks: each does one piece of work after the other, and the end of the program waits for none.

The standard library's executor is joined when the interpreter ends, so a thread that waits for a silent server would
hold up the end of the program; and once the main thread is over it takes no more work.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from queue import SimpleQueue

from ..errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

THREADS = 100  # of the whole process; as many as a client's limit on connections, unless that was raised
IDLE = 10.0  # seconds until a thread without work ends


class Workers:
    """A number of threads, each started when it is needed."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()
        self._lock = threading.RLock()  # a finalizer may come here in the middle of it
        self._threads = 0
        self._free = 0  # threads without work; below zero, work without a thread

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Have a function called in a thread.

        Raises:
            ConfigError: the interpreter is ending, and starts no more threads.
        """
        future: Future[T] = Future()
        with self._lock:
            self._work.put((future, function, arguments))
            self._free -= 1
            starts = self._free < 0 and self._threads < THREADS
            if starts:
                self._threads += 1
        if starts:
            try:
                threading.Thread(target=self._serve, name="unifetch", daemon=True).start()
            except RuntimeError as error:
                with self._lock:
                    self._threads -= 1
                    alone = not self._threads
                if alone and future.cancel():
                    raise ConfigError("the program is ending, and can start no thread for this any more") from error
        return future

    def _serve(self) -> None:
        while (work := self._next()) is not None:
            future, function, arguments = work
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*arguments))
                except BaseException as error:  # noqa: BLE001  # it is raised where the outcome is waited for
                    future.set_exception(error)
            del work, future, function, arguments  # an idle thread keeps nothing alive

    def _next(self) -> tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None:
        from queue import Empty

        with self._lock:
            self._free += 1
        while True:
            try:
                return self._work.get(timeout=IDLE)
            except Empty:
                with self._lock:
                    if self._work.empty():  # none was given to it meanwhile
                        self._free -= 1
                        self._threads -= 1
                        return None


WORKERS = Workers()


def _forget() -> None:
    WORKERS.__init__()  # type: ignore[misc]  # threads, and a lock that one of them held, stay with the parent


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
