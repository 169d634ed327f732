"""Makes `cost.csv` and `cost.json` of what the benchmarks have measured: `python -m facts.cost SAVED.json`.

`python bench/run.py small5 post1k tls async64 body download cold --save SAVED.json` writes the first.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from .pages import COST, MACHINE

MIB = 1 << 20


def main(saved: Path) -> None:
    """Write one row for each round of each client, and of what machine they are."""
    measured = json.loads(saved.read_text("utf-8"))
    results, scales = measured["results"], measured["scales"]
    made = {"machine": measured["machine"], "versions": measured["versions"]}
    MACHINE.write_text(json.dumps(made, indent=1, ensure_ascii=True) + "\n", "utf-8")
    with COST.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["case", "client", "unit", "round", "cpu", "wall", "grown"])
        for client, turns in results.get("cold", {}).items():
            for name, label in (("import", "import"), ("get", "process")):
                for number, value in enumerate(turns.get(name, []), 1):
                    rows.writerow([label, client, "ms", number, f"{value:.2f}", "", ""])
        for case, (unit, scale) in scales.items():
            for client, turns in results[case].items():
                for number, turn in enumerate(turns, 1):
                    grown = f"{turn['grown'] / MIB:.1f}" if unit == "s/GB" else ""  # small bodies grow nothing
                    rows.writerow(
                        [case, client, unit, number, f"{turn['cpu'] * scale:.4g}", f"{turn['wall'] * scale:.4g}", grown]
                    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
