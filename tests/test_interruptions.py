"""Ctrl-C at any point of an exchange leaves nothing behind, and the client goes on; `interruptions.py` says how.

A sample of the points in our own code, by a seed, over every backend, in processes of their own: what is interrupted
may leave a socket, or work of an event loop, to the garbage collector, which would tell of it in some later test.
Within the code of a library, in its own cleaning up, no adapter can hold what the library has let go of; these points
are played by hand (`--libraries`).
"""

from __future__ import annotations

import queue
import subprocess
import sys
from pathlib import Path

import pytest

from unifetch import available_backends
from unifetch.model.frozen import Value
from unifetch.model.messages import RawRequest
from unifetch.model.route import Route
from unifetch.model.timeouts import Timeout
from unifetch.model.url import URL
from unifetch.policies.proxies import Proxy

SCRIPT = Path(__file__).with_name("interruptions.py")

pytestmark = pytest.mark.timeout(300)


def play(sample: int, *options: str) -> None:
    """So many points of each case that the options name."""
    pytest.importorskip("trustme")
    command = [sys.executable, str(SCRIPT), "--sample", str(sample), *options]
    played = subprocess.run(command, capture_output=True, text=True)

    assert 0 == played.returncode, played.stdout + played.stderr


@pytest.mark.parametrize("backend", available_backends())
def test_an_interrupt_leaves_nothing(backend: str) -> None:
    """Neither a descriptor, nor a thread, nor a slot that is taken, nor half a file; and the next answers are right."""
    play(6, "--backend", backend)


@pytest.mark.parametrize("kind", ["SystemExit", "GeneratorExit"])
def test_other_ends(kind: str) -> None:
    """What ends a program, or a greenlet, is no other than Ctrl-C."""
    play(3, "--backend", "socket", "--kind", kind)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tracing threads can end the interpreter itself from 3.12 on")
@pytest.mark.parametrize("backend", available_backends())
def test_an_exception_in_a_thread_of_ours(backend: str) -> None:
    """As `PyThreadState_SetAsyncExc` raises it, say for a time limit: whoever waits for that thread is told of it."""
    more = ["--operation", "get", "--operation", "download"] if backend == "aiohttp" else []
    play(3, "--threads", "--backend", backend, "--operation", "many", *more)


def test_a_library_never_runs_a_hash_of_ours() -> None:
    """urllib3 keeps pools in an OrderedDict, which an interrupt within a `__hash__` written in Python would break."""
    urllib3 = pytest.importorskip("unifetch.backends.urllib3", reason="urllib3 is not installed")
    route = Route(proxy=Proxy("http", "proxy.test", 3128, "user", "password"))
    pending = [urllib3.destination(RawRequest("GET", URL("http://a.test/"), (), None, None, Timeout(), route=route))]
    while pending:
        key = pending.pop()
        assert not isinstance(key, Value)
        pending += key if isinstance(key, tuple) else ()


def test_the_idle_connections_of_urllib3_have_no_lock() -> None:
    """An interrupt cannot leave one taken, on which every later request would wait; the last one put is the first."""
    urllib3 = pytest.importorskip("unifetch.backends.urllib3", reason="urllib3 is not installed")
    for kind in (urllib3.PlainPool, urllib3.TLSPool):
        pool = kind("a.test", maxsize=2)
        idle = pool.pool
        idle.get(block=False)
        idle.put("last", block=False)

        assert isinstance(idle, urllib3.IdleConnections)
        with pytest.raises(queue.Full):
            idle.put("more", block=False)
        assert ["last", None] == [idle.get(block=False), idle.get(block=False)]
        with pytest.raises(queue.Empty):
            idle.get(block=False)
        assert 0 == idle.qsize()
