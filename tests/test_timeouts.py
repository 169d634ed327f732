"""Timeouts: what a caller may write for one, and what is refused."""

from __future__ import annotations

import pickle
from types import MappingProxyType
from typing import Any

import pytest

from unifetch import InvalidSetting, Timeout

NAMES = ("total", "connect", "read", "write", "pool")


def fields(timeout: Timeout) -> tuple[float | None, ...]:
    return tuple(getattr(timeout, name) for name in NAMES)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (5, (5, 10, 5, 5, 5)),
        (0.25, (0.25, 10, 0.25, 0.25, 0.25)),
        (31_536_000, (31_536_000, 10, 31_536_000, 31_536_000, 31_536_000)),
        (None, (None, None, None, None, None)),
        ({}, (300, 10, 30, 30, 30)),
        (MappingProxyType({"read": 1.5}), (300, 10, 1.5, 30, 30)),
        ({"read": 1.5}, (300, 10, 1.5, 30, 30)),
        ({"total": None, "pool": None}, (None, 10, 30, 30, None)),
        (Timeout(7, connect=2), (7, 2, 30, 30, 30)),
    ],
)
def test_what_may_be_written(setting: Any, expected: tuple[float | None, ...]) -> None:
    """A number bounds the whole, None is no limit at all, a mapping or a Timeout says the phases that it names."""
    assert expected == fields(Timeout.of(setting))


def test_defaults() -> None:
    """Without a word, no phase is without its end."""
    assert (300, 10, 30, 30, 30) == fields(Timeout())


@pytest.mark.parametrize("wrong", [0, -1, 0.0, -0.0, float("nan"), float("inf"), float("-inf"), 31_536_001, 10**400])
@pytest.mark.parametrize("name", NAMES)
def test_no_duration(name: str, wrong: float) -> None:
    """Zero, negative, infinite and absurd numbers are refused by the name of the phase."""
    with pytest.raises(InvalidSetting, match=f"^timeout: {name} must be above 0"):
        Timeout(**{name: wrong})


@pytest.mark.parametrize("wrong", [True, False, "5", b"5", [5], (1, 2), 1j, object()])
@pytest.mark.parametrize("name", NAMES)
def test_no_number(name: str, wrong: Any) -> None:
    """Nothing is converted: a truth is not one second, a text not a number."""
    with pytest.raises(InvalidSetting, match=f"^timeout: {name} must be a number of seconds or None, not "):
        Timeout.of({name: wrong})


@pytest.mark.parametrize("wrong", [True, "5", (1, 2), 0, float("nan")])
def test_a_single_value_is_the_total(wrong: Any) -> None:
    """And is refused by that name."""
    with pytest.raises(InvalidSetting, match=r"^timeout: total must be"):
        Timeout.of(wrong)


@pytest.mark.parametrize("key", ["reed", "Total", "", 5])
def test_unknown_key(key: Any) -> None:
    """The message names the key, and those that there are."""
    with pytest.raises(InvalidSetting, match=f"^timeout: unknown key '{key}'; accepted are total, connect, read"):
        Timeout.of({key: 1})


def test_is_a_value() -> None:
    """Equal by its fields, hashable, frozen, pickled; `replace` checks again."""
    timeout = Timeout(5, read=1)

    assert (timeout, hash(timeout)) == (Timeout(5, read=1), hash(Timeout(5, read=1)))
    assert timeout != Timeout(5)
    assert timeout == pickle.loads(pickle.dumps(timeout))
    assert "Timeout(total=5, connect=10, read=1, write=30, pool=30)" == repr(timeout)
    assert Timeout(None, read=1) == timeout.replace(total=None)
    with pytest.raises(AttributeError, match="frozen"):
        timeout.total = 6
    with pytest.raises(AttributeError, match="frozen"):
        del timeout.total
    with pytest.raises(InvalidSetting):
        timeout.replace(total=0)
