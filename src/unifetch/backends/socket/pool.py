"""Idle connections: which one to use next, and which to close. Pure bookkeeping; it never touches a socket.

How many connections may be open, and who waits for one, is decided above every backend, in the client.
Only connections that are fit for another request come here, and each is checked again when it leaves.

The newest is taken first, so that the others can grow old and go. No lock is needed: a list's `append` and
`pop` are atomic, and a connection that was popped belongs to one thread.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from .connection import Connection

MAX_IDLE_PER_ORIGIN = 32


class Pool:
    """Idle connections by where they lead."""

    def __init__(self) -> None:
        self._idle: dict[Hashable, list[Connection]] = {}

    def take(self, key: Hashable) -> Connection | None:
        """The newest connection that leads there; whether it is still fit, its taker finds out."""
        try:
            return self._idle[key].pop()
        except LookupError:  # there is none, or another thread was quicker
            return None

    def put(self, key: Hashable, connection: Connection) -> list[Connection]:
        """Keep a connection, and give back those to close because there are too many."""
        idle = self._idle.get(key)
        if idle is None:
            idle = self._idle.setdefault(key, [])
        idle.append(connection)
        return [idle.pop(0)] if len(idle) > MAX_IDLE_PER_ORIGIN else []

    def empty(self) -> list[Connection]:
        """Forget all connections, and give them back to be closed."""
        idle, self._idle = self._idle, {}
        return [connection for connections in idle.values() for connection in connections]
