"""Writes the table of capabilities into comparison.md, from what the backends declare: `python docs/matrix.py`.

Every library has to be installed: what is not, has no column.
"""

from __future__ import annotations

import re
from pathlib import Path

from unifetch import Capability
from unifetch.backends import BACKENDS, adapter

PAGE = Path(__file__).parent / "comparison.md"
MARKED = re.compile(r"(<!-- matrix -->\n).*?(<!-- end of matrix -->\n)", re.DOTALL)


def table() -> str:
    """A row for each capability, a column for each backend."""
    declared = {name: adapter(name).CAPABILITIES for name in BACKENDS}
    rows = [["capability", *(f"`{name}`" for name in declared)], ["---"] * (len(declared) + 1)]
    for capability in Capability:
        marks = ("yes" if capability in each else "no" for each in declared.values())
        rows.append([f"`{capability.name}`: {capability.value}", *marks])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def updated(page: str) -> str:
    """The page with the table as it has to be."""
    return MARKED.sub(lambda found: found[1] + table() + found[2], page)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text("utf-8")), "utf-8")
