"""Ctrl-C at any point of an exchange leaves nothing behind, and the client goes on; `interruptions.py` says how.

A sample of the points, by a seed; all of them with `UNIFETCH_INTERRUPTIONS=all` in the environment, or as many of each
case as the number that it is.
"""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Iterator

import pytest

from interruptions import AWAITED, BLOCKING, Case, Served
from unifetch import available_backends
from unifetch.backends import BACKENDS
from unifetch.model.frozen import Value
from unifetch.model.messages import RawRequest
from unifetch.model.route import Route
from unifetch.model.timeouts import Timeout
from unifetch.model.url import URL
from unifetch.policies.proxies import Proxy

POINTS = os.environ.get("UNIFETCH_INTERRUPTIONS", "4")

# What is interrupted may leave a socket, or work of an event loop, to the garbage collector, which tells of it.
pytestmark = [
    pytest.mark.timeout(0 if POINTS == "all" else 120),
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore:coroutine .* was never awaited:RuntimeWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
]

CASES = [(name, operation) for name in available_backends() for operation in BLOCKING] + [
    (name, operation) for name in available_backends() if BACKENDS[name].async_factory for operation in AWAITED
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What is left to the garbage collector tells of it here, and not in a later test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """The servers."""
    pytest.importorskip("trustme")
    with Served() as served:
        yield served


def play(case: Case) -> None:
    """Some points of a case, or all."""
    try:
        case.play(0)  # what happens only once has happened by then
        met = case.play(0).met
        points = range(1, met + 1)
        for at in points if POINTS == "all" else random.Random(case.name).sample(points, int(POINTS)):
            case.play(at)
    finally:
        case.end()


@pytest.mark.parametrize(("backend", "operation"), CASES)
def test_an_interrupt_leaves_nothing(served: Served, backend: str, operation: str) -> None:
    """Neither a descriptor, nor a thread, nor a slot that is taken, nor half a file; and the next answers are right."""
    for route in (
        ["http", "https", "proxy"]
        if POINTS == "all"
        else [("http", "https", "proxy")[CASES.index((backend, operation)) % 3]]
    ):
        play(Case(served, backend, operation, route))


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit])
@pytest.mark.parametrize("operation", BLOCKING)
def test_other_ends(served: Served, operation: str, kind: type[BaseException]) -> None:
    """What ends a program, or a greenlet, is no other than Ctrl-C."""
    play(Case(served, "socket", operation, kind=kind))


@pytest.mark.parametrize(
    ("backend", "operation"),
    [(name, "many") for name in available_backends()] + [("aiohttp", "get"), ("aiohttp", "download")],
)
def test_an_exception_in_a_thread_of_ours(served: Served, backend: str, operation: str) -> None:
    """As `PyThreadState_SetAsyncExc` raises it, say for a time limit: whoever waits for that thread is told of it."""
    if backend not in available_backends():
        pytest.skip(f"the library of {backend} is not installed")
    play(Case(served, backend, operation, threads=True))


def test_a_library_never_runs_a_hash_of_ours() -> None:
    """urllib3 keeps pools in an OrderedDict, which an interrupt within a `__hash__` written in Python would break."""
    urllib3 = pytest.importorskip("unifetch.backends.urllib3", reason="urllib3 is not installed")
    route = Route(proxy=Proxy("http", "proxy.test", 3128, "user", "password"))
    pending = [urllib3.destination(RawRequest("GET", URL("http://a.test/"), (), None, None, Timeout(), route=route))]
    while pending:
        key = pending.pop()
        assert not isinstance(key, Value)
        pending += key if isinstance(key, tuple) else ()
