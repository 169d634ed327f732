"""A small soak of each bridge; `python tests/soak/bridges_soak.py 50000` is the large one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "soak"))
from bridges_soak import ENGINES  # a script beside the tests, which is also run by hand

if not Path("/dev/fd").exists():
    pytest.skip("descriptors cannot be counted here", allow_module_level=True)

SOAK = Path(__file__).parents[1] / "soak"

# In a process of its own: what other tests have left comes and goes.
RUN = """
import json, sys
from bridges_soak import soak
tally, more = soak(sys.argv[1], 500)
print(json.dumps([vars(tally), more]))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_left_behind(engine: str) -> None:
    """After faults, timeouts and cancellations: no descriptor, no thread, and no answer to another request."""
    pytest.importorskip(engine.partition(" ")[0])
    done = subprocess.run(
        [sys.executable, "-c", RUN, engine], cwd=SOAK, capture_output=True, text=True, timeout=100, check=False
    )
    assert "" == done.stderr
    tally, more = json.loads(done.stdout)

    assert {"descriptors": 0, "threads": 0} == more
    assert (0, 0) == (tally["wrong"], tally["surprises"])
    assert 500 == tally["right"] + tally["failed"] + tally["cancelled"]
    assert min(tally["right"], tally["failed"], tally["cancelled"]) > 0
