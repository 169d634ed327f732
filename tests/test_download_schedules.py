"""Random schedules for downloads, by their seeds; `download_schedules.py` says what happens in them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import download_schedules
from unifetch import Client
from unifetch.client import downloads
from unifetch.policies import ranges
from unifetch.policies.ranges import Validator

SEEDS = 50  # of 40 downloads each
MOST_SEEDS = 500


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes down here but what the schedules say."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.parametrize("make", [Client, download_schedules.AwaitedClient])
def test_a_success_is_a_version_of_the_file(make: object, tmp_path: Path) -> None:
    """Whatever servers do, a file is one that a server had, whole, or there is an error and the file before."""
    told: Counter[str] = Counter()
    for seed in range(SEEDS):
        told += download_schedules.play(seed, str(tmp_path), make)

    # All that can come of a download has come up.
    assert told["success, at once"] > 100
    assert told["success, resumed"] > 10
    assert {"IncompleteBody", "ConnectionLost", "ProtocolError", "StatusError", "Interrupted"} < set(told)


def _never(*_: object) -> bool:
    return False


@pytest.mark.parametrize(
    ("place", "name", "blind", "seed"),
    [
        (Validator, "is_contradicted", _never, 79),
        (downloads, "is_part", _never, 0),
        (ranges, "_has_ranges", _never, 22),
        (downloads.Part, "_is_same_place", lambda part: True, 11),
        (ranges, "is_encoded", _never, 453),
        (ranges, "SETTLED", 0, 195),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_schedules_find_what_they_are_for(
    place: object,
    name: str,
    blind: Callable[..., bool] | int,
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without one of the checks, some schedule ends with a file that no server had: they are not blind themselves."""
    monkeypatch.setattr(place, name, blind)

    def play_all() -> None:
        for later in range(seed, seed + MOST_SEEDS):
            download_schedules.play(later, str(tmp_path))

    with pytest.raises(AssertionError, match="seed"):
        play_all()
