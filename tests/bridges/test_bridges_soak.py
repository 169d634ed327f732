"""A small soak of each bridge; `python tests/soak/bridges_soak.py 50000` is the large one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "soak"))
from bridges_soak import ENGINES, soak  # a script beside the tests, which is also run by hand

if not Path("/dev/fd").exists():
    pytest.skip("descriptors cannot be counted here", allow_module_level=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_left_behind(engine: str) -> None:
    """After faults, timeouts and cancellations: no descriptor, no thread, and no answer to another request."""
    pytest.importorskip(engine.partition(" ")[0])
    tally, more = soak(engine, 500)

    assert [] == [name for name, number in more.items() if number > 0]  # what other tests have left may end meanwhile
    assert (0, 0) == (tally.wrong, tally.surprises)
    assert 500 == tally.right + tally.failed + tally.cancelled
    assert min(tally.right, tally.failed, tally.cancelled) > 0
