"""Which address is tried next, and how soon: Happy Eyeballs (RFC 8305).

The two families take turns, and a quarter of a second after one attempt began the next may begin, so that a family
that leads nowhere costs no more than that. It decides, and touches no socket; a driver of `dial.py` makes the attempts.
"""

from __future__ import annotations

from itertools import zip_longest

from ..backends.base import time_left

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, Protocol

    from .resolution import Address

    class Attempts(Protocol):
        """What makes the attempts."""

        def begin(self, address: Address) -> None:
            """Begin one; if it fails at once, `wait` tells."""

        def wait(self, seconds: float | None) -> Any:
            """What failed, as soon as something has, or after these seconds; None once one has connected."""


# RFC 8305 §5: the Connection Attempt Delay, in seconds.
ATTEMPT_DELAY = 0.25


def taking_turns(addresses: list[Address]) -> list[Address]:
    """RFC 8305 §4: the resolver's order, but the families alternate, beginning with its first choice."""
    first = [each for each in addresses if each[0] == addresses[0][0]]
    second = [each for each in addresses if each[0] != addresses[0][0]]
    return [each for pair in zip_longest(first, second) for each in pair if each is not None]


def race(attempts: Attempts, addresses: list[Address]) -> Generator[Any, list[OSError] | None, None]:
    """RFC 8305 §5: try these addresses until one has connected.

    Raises:
        OSError: none has; the failure that came last.
        TimeoutError: none has in time.
    """
    waiting, under_way = list(addresses), 0
    while waiting or under_way:
        if waiting:
            attempts.begin(waiting.pop(0))
            under_way += 1
        failures = yield attempts.wait(ATTEMPT_DELAY if waiting else None)
        if failures is None:
            return
        under_way -= len(failures)
        if failures and not waiting and not under_way:
            raise failures[-1]


def until_next(delay: float | None, ends: float | None) -> float | None:
    """The seconds that the attempts under way have, before the next joins them or the time is up.

    Raises:
        TimeoutError: it is up.
    """
    left = time_left(ends)
    return delay if left is None else left if delay is None else min(delay, left)
