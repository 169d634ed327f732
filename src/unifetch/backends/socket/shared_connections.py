"""Connections that many exchanges share: which has room for one more, and who opens the next.

Of all who want a connection to a place at once, one opens it; the others wait for what comes of that, as it may have
room for them all. Where a place turns out to speak HTTP/1.1, which no two can share, each opens its own.

It neither opens a connection nor decides how many there may be.
"""

from __future__ import annotations

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Hashable
    from typing import Any


class SharedConnections:
    """Open connections by where they lead.

    Attributes:
        is_closed: whether no more of them are kept.
    """

    def __init__(self) -> None:
        self.is_closed = False
        self._open: dict[Hashable, list[Any]] = {}
        self._opening: set[Hashable] = set()
        self._waiting: dict[Hashable, dict[asyncio.Future[bool], None]] = {}
        self._alone: set[Hashable] = set()  # places that speak HTTP/1.1

    def with_room(self, key: Hashable) -> Any | None:
        """A connection that takes a stream now: the oldest, so that those which are not needed can go."""
        found = None
        connections = self._open.get(key)
        if connections:
            for each in list(connections):
                if each.room > 0:
                    found = found or each
                elif each.session.is_closing:
                    connections.remove(each)
            if not connections:
                del self._open[key]
        return found

    def is_coming(self, key: Hashable) -> bool:
        """Whether to wait: somebody opens a connection, or one has just been opened and has not said what it takes."""
        return key in self._opening or any(each.is_young for each in self._open.get(key, ()))

    def speaks_http11(self, key: Hashable) -> bool:
        """Whether the last connection to there did."""
        return key in self._alone

    def opening(self, key: Hashable) -> None:
        """Note that a connection is being opened."""
        self._opening.add(key)

    def opened(self, key: Hashable, connection: Any | None, *, shared: bool) -> None:
        """Note what came of it: a connection, which is shared or not, or none."""
        self._opening.discard(key)
        if shared:
            self._alone.discard(key)
            self._open.setdefault(key, []).append(connection)
        elif connection is not None:
            if len(self._alone) >= 256:
                self._alone.clear()
            self._alone.add(key)
        self.tell(key)

    def wait(self, key: Hashable, waiter: asyncio.Future[bool]) -> None:
        """Have this waiter told when there may be room."""
        self._waiting.setdefault(key, {})[waiter] = None

    def forget(self, key: Hashable, waiter: asyncio.Future[bool]) -> None:
        """Have it told no longer."""
        waiters = self._waiting.get(key)
        if waiters is not None:
            waiters.pop(waiter, None)
            if not waiters:
                del self._waiting[key]

    def tell(self, key: Hashable) -> None:
        """Tell those who wait to look again, in the order in which they came."""
        for waiter in list(self._waiting.get(key, ())):
            if not waiter.done():
                waiter.set_result(False)

    def close(self) -> SharedConnections:
        """Close each once it is idle, also one that is being opened; what is opened from now on is kept elsewhere."""
        self.is_closed = True
        for each in self.all():
            each.retire()
        return SharedConnections()

    def all(self) -> list[Any]:
        """All connections."""
        return [each for connections in self._open.values() for each in connections]
