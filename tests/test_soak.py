"""A short soak of every backend; `tests/soak/soak.py` runs the long one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from unifetch import available_backends
from unifetch.backends import adapter
from unifetch.backends.base import Capability

sys.path.insert(0, str(Path(__file__).parent / "soak"))

from soak import soak  # a script beside the tests, which is also run by hand


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not tell which sockets are open")
@pytest.mark.parametrize("backend", available_backends())
def test_no_answer_goes_to_the_wrong_request(backend: str) -> None:
    """Hundreds of requests with faults in between give right answers or errors, and leave no socket."""
    if Capability.NO_POISONING not in adapter(backend).CAPABILITIES:
        pytest.skip(f"{backend} does not declare NO_POISONING, which a soak would run into")
    assert 800 == soak(backend, 800).total()
