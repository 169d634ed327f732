"""Makes `cost.csv` of what the benchmarks have measured: `python -m facts.cost SAVED.json REQUESTS`.

`bench/run.py --save SAVED.json --requests REQUESTS` writes the first.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from .pages import COST


def main(saved: Path, requests: int) -> None:
    """Write one row for each round of each client."""
    results = json.loads(saved.read_text("utf-8"))
    with COST.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["case", "client", "unit", "round", "cpu", "wall"])
        for case, clients in results.items():
            for client, turns in clients.items():
                if case == "cold":
                    for name, label in (("import", "import"), ("get", "process")):
                        for number, value in enumerate(turns.get(name, []), 1):
                            rows.writerow([label, client, "ms", number, f"{value:.2f}", ""])
                    continue
                for number, turn in enumerate(turns, 1):
                    each = [f"{turn[name] * 1e6 / requests:.2f}" if name in turn else "" for name in ("cpu", "wall")]
                    rows.writerow([case, client, "µs", number, *each])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
