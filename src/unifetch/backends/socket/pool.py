"""Idle connections: which one to use next, and which to close.

How many may be open, and who waits for one, is decided in the client. The newest is taken first, so that the others
grow old; then they go, one whenever a newer one comes. An origin that is not asked again goes as a whole, once there
are too many.

No lock is needed: a list's `append` and `pop` are atomic, and a connection that was popped belongs to one thread.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf
from weakref import WeakSet

from ..base import IDLE_SECONDS

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Hashable, Sequence
    from typing import Any

    from .connection import Connection

# In all, or as many as were in use at once: a crawler would keep some to each origin, and some systems allow 256 files.
MAX_IDLE = 128
MAX_AGE = 600.0  # seconds; a connection that lives for ever never sees a change of address


class Pool:
    """Idle connections by where they lead, and by the same, TLS sessions to resume."""

    def __init__(self) -> None:
        self._idle: dict[Hashable, list[Connection]] = {}
        self._open: WeakSet[Connection] = WeakSet()
        self._most = MAX_IDLE
        self.sessions: dict[Hashable, ssl.SSLSession] = {}

    def opened(self, connection: Connection) -> None:
        """Note a new connection: as many are kept as were in use at once, so that none is dialed again."""
        self._open.add(connection)
        self._most = max(self._most, len(self._open) - sum(map(len, list(self._idle.values()))))

    def take(self, key: Hashable) -> Connection | None:
        """The newest connection that leads there and is fit for a request."""
        idle = self._idle.get(key)
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread was quicker
                break
            if connection.is_fit():
                return connection
            connection.close()
        return None

    def put(self, key: Hashable, connection: Connection) -> None:
        """Keep a connection whose exchange is over, if it is fit for another; close what is too many."""
        if connection.exchanges == 1 and (session := connection.session) is not None:
            # The next handshake with this server can be a short one.
            if len(self.sessions) >= 256:
                self.sessions.clear()
            self.sessions[key] = session
        if not connection.release():
            return
        idle = self._idle.get(key)
        grows = idle != []  # beyond what there was at some time before, for this origin
        if idle is None:
            idle = self._idle.setdefault(key, [])
        idle.append(connection)
        surplus = self._surplus(key, idle, connection.useful_until - IDLE_SECONDS) if grows else ()
        if self._idle.get(key) is not idle:  # another thread has just forgotten this origin
            surplus = (*surplus, *_drained(idle))
        for each in surplus:
            each.close()

    def _surplus(self, key: Hashable, idle: list[Connection], now: float) -> Sequence[Connection]:
        with suppress(IndexError):  # another thread may take them meanwhile
            if len(idle) > self._most or idle[0].useful_until < now:
                return (idle.pop(0),)
        return self._forget_others(key) if len(self._idle) > 1 else ()

    def _forget_others(self, key: Hashable) -> list[Connection]:
        # Origins without any connection; and if there are too many in all, the origin that was used longest ago.
        count, oldest, longest, forgotten = 0, key, inf, []
        for other, idle in list(self._idle.items()):
            count += len(idle)
            newest = idle[-1:]  # a copy: another thread may take it meanwhile
            if not newest:
                forgotten.append(other)
            elif newest[0].useful_until < longest and other != key:
                oldest, longest = other, newest[0].useful_until
        if count > self._most:
            forgotten.append(oldest)
        return [connection for other in forgotten for connection in _drained(self._idle.pop(other, []))]

    def close(self) -> Pool:
        """Close all, and keep none of those that are in use now; what is kept from now on is in another pool."""
        idle, self._idle = self._idle, _Closed()
        for connections in idle.values():
            for connection in connections:
                connection.close()
        return self.anew()

    def anew(self) -> Pool:
        """An empty one that is told the same."""
        return Pool()


class _Closed(dict["Hashable", "list[Connection]"]):
    """Takes nothing, so that `Pool.put` closes what it was to keep. (To be asked each time would cost each request.)"""

    def setdefault(self, key: Hashable, default: Any = None) -> Any:
        """The default, which is not kept."""
        return default


def _drained(idle: list[Connection]) -> list[Connection]:
    # One after the other, as another thread may do the same.
    drained = []
    with suppress(IndexError):
        while True:
            drained.append(idle.pop())
    return drained
