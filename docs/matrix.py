"""Writes the tables of capabilities into comparison.md, from what the backends declare: `python docs/matrix.py`.

Every library has to be installed: what is not, has no column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from unifetch import Capability
from unifetch.backends import BACKENDS, adapter, capabilities

# What would tell of a hole in somebody else's pool before its maintainers do (see fairness.md).
NOT_TOLD = {Capability.NO_POISONING}
PAGE = Path(__file__).parent / "comparison.md"
MARKED = re.compile(r"(<!-- (matrix|natives) -->\n).*?(<!-- end of \2 -->\n)", re.DOTALL)


def updated(page: str) -> str:
    """The page with the tables as they have to be."""
    tables = {"matrix": table(by_name(), explained=True), "natives": table(by_native(), explained=False)}
    return MARKED.sub(lambda found: found[1] + tables[found[2]] + found[3], page)


def by_name() -> dict[str, frozenset[Capability]]:
    """What each backend declares when it is named."""
    return {name: capabilities(name) for name in BACKENDS}


def by_native() -> dict[str, frozenset[Capability]]:
    """What it declares around an object of the caller's own, by the type of that."""
    declared = {}
    for name, entry in BACKENDS.items():
        module = adapter(name)
        for native in entry.natives:
            declared[_short(native)] = module.INJECTED_CAPABILITIES
        for native in entry.async_natives:
            declared[_short(native)] = getattr(module, "ASYNC_INJECTED_CAPABILITIES", module.INJECTED_CAPABILITIES)
    return declared


def _short(native: str) -> str:
    module, _, kind = native.rpartition(".")
    return f"{module.partition('.')[0]}.{kind}"


def table(declared: Mapping[str, frozenset[Capability]], *, explained: bool) -> str:
    """A row for each capability, a column for each backend."""
    rows = [["capability", *(f"`{name}`" for name in declared)], ["---"] * (len(declared) + 1)]
    for capability in Capability:
        if not explained and capability in NOT_TOLD:
            continue
        title = f"`{capability.name}`: {capability.value}" if explained else f"`{capability.name}`"
        rows.append([title, *("yes" if capability in each else "no" for each in declared.values())])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text("utf-8")), "utf-8")
