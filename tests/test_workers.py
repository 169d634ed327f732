"""Threads for what blocks: no work waits for a thread that is busy with another, as long as one can be started."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from unifetch.backends import workers
from unifetch.backends.workers import Workers
from unifetch.errors import ConfigError


class Hooked:
    """A queue that calls a function once, when it has just handed out work."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self.after_get: Any = None

    def put(self, work: Any) -> None:
        self._queue.put(work)

    def empty(self) -> bool:
        return self._queue.empty()

    def get(self, timeout: float) -> Any:
        work = self._queue.get(timeout=timeout)
        if self.after_get is not None:
            hook, self.after_get = self.after_get, None
            hook()
        return work


def test_work_that_comes_as_the_idle_thread_takes_other_work() -> None:
    """It has a thread of its own, although the other one counted as idle a moment ago."""
    threads = Workers()
    threads._work = queue = Hooked()  # type: ignore[assignment]  # the moment in between
    threads.submit(int).result(20)
    met = threading.Event()
    queue.after_get = lambda: threads.submit(met.set)

    assert threads.submit(met.wait, 20).result(30)


def test_as_many_at_once_as_were_given_at_once() -> None:
    """Each of them waits for all of the others."""
    threads = Workers()
    together = threading.Barrier(8, timeout=30)
    start = threading.Barrier(8, timeout=30)
    threads.submit(int).result(20)  # one is idle
    done = []

    def give() -> None:
        start.wait()
        done.append(threads.submit(together.wait))

    givers = [threading.Thread(target=give) for _ in range(8)]
    for each in givers:
        each.start()
    for each in givers:
        each.join()

    assert list(range(8)) == sorted(each.result(30) for each in done)


def test_no_more_threads_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too much for them waits, and is done in turn."""
    monkeypatch.setattr(workers, "THREADS", 2)
    threads = Workers()
    busy, go = threading.Barrier(3, timeout=30), threading.Event()

    def work() -> str:
        busy.wait()
        go.wait(30)
        return threading.current_thread().name

    first = [threads.submit(work) for _ in range(2)]
    busy.wait()
    waiting = [threads.submit(int) for _ in range(5)]

    assert 2 == threads._threads
    assert not any(each.running() or each.done() for each in waiting)
    go.set()
    assert [0] * 5 == [each.result(30) for each in waiting]
    assert ["unifetch"] * 2 == [each.result(30) for each in first]


def test_an_idle_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without work; the next work has another."""
    monkeypatch.setattr(workers, "IDLE", 0.0)
    threads = Workers()

    def who() -> threading.Thread:
        return threading.current_thread()

    ended = threads.submit(who).result(30)
    ended.join(30)

    assert (0, 0) == (threads._threads, threads._free)
    assert ended is not threads.submit(who).result(30)


def test_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is an error for who has no other thread, and the next work is done all the same."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads = Workers()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(ConfigError, match="the program is ending"):
            threads.submit(int)

    assert 0 == threads.submit(int).result(30)
    with pytest.raises(Empty):
        threads._work.get_nowait()
