"""Reads `facts.json`: what the pages may know."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from .answers import agreed
from .scenarios import SCENARIOS
from .subjects import AWAITED, LIBRARIES, UNIFETCH

FILE = Path(__file__).parent / "facts.json"


class DamagedFacts(Exception):
    """The file is not what a run has written."""


def digest(scenarios: dict[str, Any]) -> str:
    """What changes if a byte of a recording does."""
    return hashlib.sha256(json.dumps(scenarios, sort_keys=True).encode()).hexdigest()


@cache
def facts(path: Path = FILE) -> dict[str, Any]:
    """The file.

    Raises:
        DamagedFacts: if somebody has edited a recording, or if the scenarios are not those of the code.
    """
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if digest(found["scenarios"]) != found["digest"]:
        raise DamagedFacts(f"{path.name} was edited by hand; write it by a run: python -m facts --write")
    names = [scenario.name for scenario in SCENARIOS]
    if list(found["scenarios"]) != names:
        differ = set(names) ^ set(found["scenarios"])
        raise DamagedFacts(f"{path.name} is of other scenarios ({', '.join(sorted(differ))}): python -m facts --write")
    return found


def record(scenario: str, subject: str) -> dict[str, Any] | None:
    """What a run has shown, or None where there was none."""
    records: dict[str, Any] = facts()["scenarios"][scenario]
    found = records.get(subject)
    result: dict[str, Any] | None = records[found] if isinstance(found, str) else found
    return result


def cell(scenario: str, subject: str) -> str:
    """The short answer, or `""` where the subject was not asked."""
    found = record(scenario, subject)
    return "" if found is None else str(found["answer"])


def floor_differs(scenario: str, subject: str) -> str:
    """The short answer of the oldest version, where it is another one."""
    old, new = record(scenario, f"{subject}@floor"), record(scenario, subject)
    return str(old["answer"]) if old is not None and new is not None and agreed(old) != agreed(new) else ""


def unifetch_answers(scenario: str) -> dict[str, list[str]]:
    """The backends by the answer that unifetch gives on them: one, if the promise holds."""
    found: dict[str, list[str]] = {}
    for subject in UNIFETCH:
        known = record(scenario, subject)
        if known is not None:
            found.setdefault(agreed(known), []).append(subject.partition(":")[2])
    return found


def libraries_differ(records: dict[str, Any]) -> bool:
    """Whether two libraries, blocking or awaited, have two answers to one question."""
    return len({agreed(records[name]) for name in (*LIBRARIES, *AWAITED) if name in records}) > 1


def made() -> dict[str, Any]:
    """The versions."""
    found: dict[str, Any] = facts()["made"]
    return found


def summary() -> dict[str, Any]:
    """The numbers about all of it."""
    found: dict[str, Any] = facts()["summary"]
    return found
