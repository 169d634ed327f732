"""Which address is tried next, and how soon: Happy Eyeballs (RFC 8305).

The two families take turns, and the next attempt begins a quarter of a second after the last, so that a family that
leads nowhere costs no more than that. This decides, and touches no socket; a driver of `dial.py` makes the attempts.
"""

from __future__ import annotations

from itertools import zip_longest

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, Protocol

    from .resolution import Address

    class Attempts(Protocol):
        """A driver that makes the attempts."""

        racing: Any  # those that are under way
        failure: OSError  # of the last one that failed

        def begin(self, address: Address) -> bool:
            """Begin one; whether it is under way, and has not failed already."""

        def wait(self, seconds: float | None) -> Any:
            """Whether one has connected, once one has, or has failed, or these seconds are over."""


# RFC 8305 §5: the Connection Attempt Delay, in seconds.
ATTEMPT_DELAY = 0.25


def taking_turns(addresses: list[Address]) -> list[Address]:
    """RFC 8305 §4: the resolver's order, but the families alternate, beginning with its first choice."""
    first = [each for each in addresses if each[0] == addresses[0][0]]
    second = [each for each in addresses if each[0] != addresses[0][0]]
    return [each for pair in zip_longest(first, second) for each in pair if each is not None]


def race(attempts: Attempts, addresses: list[Address]) -> Generator[Any, bool, None]:
    """RFC 8305 §5: try these addresses until one has connected.

    Raises:
        OSError: none has; the failure that came last.
        TimeoutError: none has in time.
    """
    waiting = list(addresses)
    while waiting or attempts.racing:
        if waiting and not attempts.begin(waiting.pop(0)):
            continue
        if (yield attempts.wait(ATTEMPT_DELAY if waiting else None)):
            return
    raise attempts.failure
