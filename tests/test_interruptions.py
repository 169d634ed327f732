"""Ctrl-C at any point of an exchange leaves nothing behind, and the client goes on; `interruptions.py` says how.

A sample of the points, by a seed, in processes of their own: what is interrupted may leave a socket, or work of an
event loop, to the garbage collector, which would tell of it in some later test. The backend that is ours holds at
every point that was played. Those of libraries do not where a library is interrupted in its own cleaning up: they are
played with `UNIFETCH_INTERRUPTIONS=1` in the environment.
"""

from __future__ import annotations

import os
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

LIBRARIES = pytest.mark.skipif("UNIFETCH_INTERRUPTIONS" not in os.environ, reason="UNIFETCH_INTERRUPTIONS is not set")

pytestmark = pytest.mark.timeout(300)


def play(*options: str) -> None:
    """Some points of each case that the options name."""
    pytest.importorskip("trustme")
    played = subprocess.run([sys.executable, str(SCRIPT), "--sample", "3", *options], capture_output=True, text=True)

    assert 0 == played.returncode, played.stdout + played.stderr


PLAYED = [pytest.param(name, marks=[LIBRARIES] if name != "socket" else []) for name in available_backends()]


@pytest.mark.parametrize("backend", PLAYED)
def test_an_interrupt_leaves_nothing(backend: str) -> None:
    """Neither a descriptor, nor a thread, nor a slot that is taken, nor half a file; and the next answers are right."""
    play("--backend", backend)


@pytest.mark.parametrize("kind", ["SystemExit", "GeneratorExit"])
def test_other_ends(kind: str) -> None:
    """What ends a program, or a greenlet, is no other than Ctrl-C."""
    play("--backend", "socket", "--kind", kind)


@LIBRARIES  # tracing the threads of another interpreter than 3.11 can end that
@pytest.mark.parametrize("backend", available_backends())
def test_an_exception_in_a_thread_of_ours(backend: str) -> None:
    """As `PyThreadState_SetAsyncExc` raises it, say for a time limit: whoever waits for that thread is told of it."""
    more = ["--operation", "get", "--operation", "download"] if backend == "aiohttp" else []
    play("--threads", "--backend", backend, "--operation", "many", *more)


def test_a_library_never_runs_a_hash_of_ours() -> None:
    """urllib3 keeps pools in an OrderedDict, which an interrupt within a `__hash__` written in Python would break."""
    urllib3 = pytest.importorskip("unifetch.backends.urllib3", reason="urllib3 is not installed")
    route = Route(proxy=Proxy("http", "proxy.test", 3128, "user", "password"))
    pending = [urllib3.destination(RawRequest("GET", URL("http://a.test/"), (), None, None, Timeout(), route=route))]
    while pending:
        key = pending.pop()
        assert not isinstance(key, Value)
        pending += key if isinstance(key, tuple) else ()
