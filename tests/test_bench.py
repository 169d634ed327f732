"""The benchmarks run. What they measure decides nothing here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent.parent / "bench" / "run.py"


@pytest.mark.skipif(sys.platform == "win32", reason="the load server waits for its standard input to end")
def test_one_quick_round_prints_a_ratio_for_each_client(tmp_path: Path) -> None:
    """The harness starts its server and its clients, measures a turn of each, and holds them against each other."""
    pytest.importorskip("urllib3", reason="the ratio is against urllib3")
    command = [sys.executable, str(RUN), "small5", "chunked256", "--quick", "--rounds", "1", "--requests", "20"]
    command += ["--save", str(tmp_path / "saved.json")]

    ran = subprocess.run(
        [*command, "--clients", "urllib3,unifetch:urllib3,unifetch:urllib"], capture_output=True, text=True, check=False
    )

    with_ratio = re.findall(r"^  (\S+) +[0-9.]+ +[0-9.]+-[0-9.]+ +[0-9]+\.[0-9]{2}\b", ran.stdout, re.MULTILINE)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert with_ratio == ["urllib3", "unifetch:urllib3", "unifetch:urllib"] * 2
    saved = json.loads((tmp_path / "saved.json").read_text("utf-8"))
    assert list(saved) == ["machine", "versions", "scales", "results"]
    assert {case: scale[0] for case, scale in saved["scales"].items()} == {"small5": "µs", "chunked256": "s/GB"}
    assert set(saved["results"]["small5"]["urllib3"][0]) == {"cpu", "wall", "grown"}


@pytest.mark.skipif(sys.platform == "win32", reason="the load server waits for its standard input to end")
def test_one_quick_round_of_tasks_prints_ratios_for_each_awaited_client() -> None:
    """The harness runs the clients that are awaited, too, and holds them against each baseline."""
    command = [sys.executable, str(RUN), "async", "--quick", "--rounds", "1", "--baseline", "raw,unifetch:socket"]

    ran = subprocess.run([*command, "--clients", "raw,unifetch:socket"], capture_output=True, text=True, check=False)

    ratio = r" +[0-9]+\.[0-9]{2}"
    with_ratios = re.findall(rf"^  (\S+) +[0-9.]+ +[0-9.]+-[0-9.]+{ratio}{ratio}\b", ran.stdout, re.MULTILINE)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert with_ratios == ["raw", "unifetch:socket"] * 3
