"""One timer for all the waits of a backend on asyncio, as a timer for each would cost more than the wait is worth."""

from __future__ import annotations

from math import inf
from time import monotonic

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import asyncio

# Seconds until the clock looks again, though nothing may end so soon.
_LOOK = 1.0


class Clock:
    """Ends the waits of all connections of a backend.

    The timer is set for the wait that ends first, and left alone when that is over, as the next one usually ends later.
    A second after the last wait at the latest, there is none.

    Attributes:
        ends: when each wait has to be over; who waits no longer removes the entry.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ends: dict[asyncio.Future[bool], float] = {}
        self._rings = inf
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, waiter: asyncio.Future[bool], ends: float) -> None:
        """Give the waiter the result True at `ends`, by `monotonic()`, if it has none."""
        self.ends[waiter] = ends
        if ends < self._rings:
            self._set(ends)

    def _set(self, ends: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now = monotonic()
        self._rings = min(ends, now + _LOOK)
        # No less than loops can tell apart, so that none of them wakes too early again and again.
        self._timer = self.loop.call_later(max(0.001, self._rings - now), self._look)

    def _look(self) -> None:
        now = monotonic()
        for waiter, ends in self.ends.items():
            if ends <= now and not waiter.done():
                waiter.set_result(True)
        self._rings, self._timer = inf, None
        first = min((ends for ends in self.ends.values() if ends > now), default=inf)
        if first < inf:
            self._set(first)

    def stop(self) -> None:
        """Stop the timer, if nothing waits."""
        if self._timer is not None and not self.ends:
            self._timer.cancel()
            self._rings, self._timer = inf, None
