"""A short soak of every backend; `tests/soak/` runs the long ones."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from unifetch import available_backends
from unifetch.backends import BACKENDS, adapter
from unifetch.backends.base import Capability
from unifetch.testing import http2

sys.path.insert(0, str(Path(__file__).parent / "soak"))

import async_soak  # scripts beside the tests, which are also run by hand
import http2_soak

from soak import soak

knows_sockets = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="this system does not tell which sockets are open"
)


@knows_sockets
@pytest.mark.parametrize("backend", available_backends())
def test_no_answer_goes_to_the_wrong_request(backend: str) -> None:
    """Hundreds of requests with faults in between give right answers or errors, and leave no socket."""
    if Capability.NO_POISONING not in adapter(backend).CAPABILITIES:
        pytest.skip(f"{backend} does not declare NO_POISONING, which a soak would run into")
    assert 400 == soak(backend, 400).total()


@knows_sockets
@pytest.mark.parametrize("backend", [name for name in available_backends() if BACKENDS[name].async_factory])
def test_no_answer_goes_to_the_wrong_task(backend: str) -> None:
    """Tasks that wait for each other, and are cancelled anywhere, get right answers or errors, and leave nothing."""
    assert 240 == async_soak.soak(backend, range(240), tasks=60, connections=20).outcomes.total()


@knows_sockets
def test_no_answer_goes_to_the_wrong_stream() -> None:
    """The same of tasks that share connections of HTTP/2."""
    pytest.importorskip("h2")
    with http2.Server(http2_soak.answer, settings={http2.MAX_CONCURRENT_STREAMS: 20}, lifetime=100) as server:
        outcomes, _ = asyncio.run(http2_soak.soak(server.url, 400, 60))
        server.errors.clear()

    assert 400 == outcomes.total()
    assert outcomes["answered"] > 200
