"""Who may use a connection now, and who waits for one: `Limits.connections`, once, above every backend.

A call holds a slot from just before its request is sent until its response is closed. Idle connections
hold none: how many of those to keep is the backend's affair.

    take ─► send ─► … ─► body at its end, or closed ─► give back ─► the first in the queue that fits
      └──► no room: the queue, in the order in which calls came

A call first puts itself among those who hold a slot, and then looks whether they are too many; so only the queue needs
a lock. Giving back is one `dict.pop`: an interrupt (Ctrl-C) comes before or after it, never in the middle, and giving
back twice does no harm.
"""

from __future__ import annotations

from collections import deque
from math import inf
from threading import Lock
from time import monotonic

from ..errors import PoolTimeout

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..model.timeouts import Timeout
    from ..policies.limits import Limits

# Seconds after which to look again: Ctrl-C may come between a slot and the event that announces it.
_LOOK = 1.0
_LOOK_ASYNC = 30.0  # ten thousand tasks may wait


class Slots:
    """The slots of one client, and the queue before them. It never waits; `wait_for_slot` does.

    Attributes:
        held: the origin of each call that holds a slot. `held.pop(call, None)` is what gives it back.
        queue: those who wait, the first to come first.
        abandoned: calls whose response was dropped unclosed, each with what closes it.
    """

    __slots__ = ("_lock", "abandoned", "held", "queue")

    def __init__(self) -> None:
        self.held: dict[object, str] = {}
        self.queue: deque[Place] = deque()
        self.abandoned: deque[tuple[object, Callable[[], Any]]] = deque()
        self._lock = Lock()

    def take(self, call: object, origin: str, limits: Limits) -> bool:
        """Take a slot for a call that holds none, unless there is no room, or somebody else waits."""
        if self.abandoned:
            self.close_abandoned()
        self.held[call] = origin
        if (len(self.held) == 1 or self._fits(origin, limits)) and not self.queue:
            return True
        self.held.pop(call, None)
        return False

    def _fits(self, origin: str, limits: Limits) -> bool:
        # Asked about a slot that was just taken, so of all who are told yes, the last has counted the others.
        held, total, each = len(self.held), limits.connections, limits.connections_per_origin
        if held == 1:
            return True
        if total is not None and held > total:
            return False
        # No origin has more than all together, so they are rarely counted.
        return each is None or held <= each or list(self.held.values()).count(origin) <= each

    def join(self, place: Place) -> None:
        """Stand at the end of the queue."""
        with self._lock:
            while self.queue and self.queue[0].left:
                self.queue.popleft()
            self.queue.append(place)
        self.serve()

    def serve(self) -> None:
        """Give a slot that has become free to the first in the queue that fits."""
        if self.abandoned:
            self.close_abandoned()
        with self._lock:
            full = set()
            for at, place in enumerate(self.queue):
                if place.left or place.origin in full:
                    continue
                self.held[place.call] = place.origin
                if not self._fits(place.origin, place.limits):
                    self.held.pop(place.call, None)
                    full.add(place.origin)
                    continue
                del self.queue[at]
                if place.left:  # just now, in another thread; asked last, so that one of us notices
                    self.held.pop(place.call, None)
                place.wake()
                return

    def leave(self, place: Place) -> None:
        """Remove a place that was left from the queue."""
        with self._lock:
            if place in self.queue:
                self.queue.remove(place)
        self.serve()  # it may have stood in the way

    def give_back(self, call: object) -> None:
        """Give back the slot of a call, if it holds one."""
        self.held.pop(call, None)
        if self.queue:
            self.serve()

    def abandon(self, call: object, close: Callable[[], Any]) -> None:
        """Give back a slot from a finalizer: whoever comes next closes the connection first.

        The garbage collector runs finalizers in the middle of anything: this must not wait for a lock, as closing may.
        """
        self.abandoned.append((call, close))
        for place in self.queue.copy():
            place.wake()

    def close_abandoned(self) -> None:
        """Close what was dropped unclosed, and free its slots."""
        while self.abandoned:
            try:
                call, close = self.abandoned.popleft()
            except IndexError:  # another thread was quicker
                return
            try:
                close()
            except Exception:  # noqa: BLE001, S110  # no affair of the call that happens to come next
                pass
            finally:
                self.held.pop(call, None)

    def reset(self) -> None:
        """All slots are free, as in the child of a fork: those who held one, or the lock, are in the parent."""
        self.held.clear()
        self.queue.clear()
        self.abandoned.clear()
        self._lock = Lock()


class Place:
    """Somebody's place in the queue.

    Attributes:
        wake: tells who waits to look again. It waits for no lock.
        left: whether nobody waits there any more.
    """

    __slots__ = ("call", "left", "limits", "origin", "wake")

    def __init__(self, call: object, origin: str, limits: Limits, wake: Callable[[], object]) -> None:
        self.call = call
        self.origin = origin
        self.limits = limits
        self.wake = wake
        self.left = False


def wait_for_slot(
    slots: Slots, call: object, origin: str, limits: Limits, timeout: Timeout, deadline: float | None
) -> None:
    """Stand in the queue until the call holds a slot; raises `PoolTimeout` after `timeout.pool`, or at the deadline."""
    freed = ThreadEvent()
    place = Place(call, origin, limits, freed.set)
    ends = _ends(timeout, deadline)
    try:
        slots.join(place)
        while call not in slots.held:
            left = ends - monotonic()
            if left <= 0:
                raise _none_free(origin, limits)
            freed.wait(min(left, _LOOK))
            slots.serve()
    except BaseException:
        place.left = True  # before anything that can be interrupted
        slots.leave(place)
        raise


def _ends(timeout: Timeout, deadline: float | None) -> float:
    pool = inf if timeout.pool is None else monotonic() + timeout.pool
    return pool if deadline is None else min(pool, deadline)


def _none_free(origin: str, limits: Limits) -> PoolTimeout:
    allowed = f"{limits.connections} in all, {limits.connections_per_origin} to {origin}"
    return PoolTimeout(f"no connection became free in time; the limits are {allowed}")


class ThreadEvent:
    """One thread waits for it; any may set it, even from a finalizer. The end of a wait resets it.

    No interrupt can leave a lock of it taken.
    """

    def __init__(self) -> None:
        from queue import SimpleQueue

        self._sets: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Wake whoever waits."""
        self._sets.put(None)

    def wait(self, seconds: float | None) -> None:
        """Wait until it is set, but no longer than that; None for as long as it takes."""
        from contextlib import suppress
        from queue import Empty

        with suppress(Empty):
            self._sets.get(timeout=seconds)


class AsyncSlots(Slots):
    """The same for the tasks of an event loop, in which closing what was dropped has to be awaited."""

    __slots__ = ()

    def close_abandoned(self) -> None:
        """Nothing: `await_abandoned` does it."""

    async def await_abandoned(self) -> None:
        """Close what was dropped unclosed, and free its slots."""
        while self.abandoned:
            call, close = self.abandoned.popleft()
            try:
                await close()
            except Exception:  # noqa: BLE001, S110  # as above
                pass
            finally:
                self.held.pop(call, None)


async def await_slot(
    slots: AsyncSlots, call: object, origin: str, limits: Limits, timeout: Timeout, deadline: float | None
) -> None:
    """`wait_for_slot`, awaited."""
    from .event_loops import TaskEvent

    freed = TaskEvent()
    place = Place(call, origin, limits, freed.set)
    ends = _ends(timeout, deadline)
    try:
        slots.join(place)
        while call not in slots.held:
            left = ends - monotonic()
            if left <= 0:
                raise _none_free(origin, limits)
            await freed.wait(min(left, _LOOK_ASYNC))
            if slots.abandoned:
                await slots.await_abandoned()
                slots.serve()
    except BaseException:
        place.left = True
        slots.leave(place)
        raise
