"""A pool that keeps as few idle connections as it is told, and no longer, for whoever has to honour such bounds.

The pool itself decides both by what is best for most; so this is loaded by those who ask for it.
"""

from __future__ import annotations

from time import monotonic

from .pool import Pool

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from .connection import Connection


class BoundedPool(Pool):
    """Idle connections, but for those that would be too many or too old.

    Args:
        most: how many are kept idle in all; 0 keeps none, None as many as the pool decides.
        seconds: how long one is kept; None for as long as the pool decides.
    """

    def __init__(self, most: int | None, seconds: float | None) -> None:
        super().__init__()
        self._told = most
        self._seconds = seconds
        if most is not None:
            self._most = most

    def anew(self) -> Pool:
        return BoundedPool(self._told, self._seconds)

    def opened(self, connection: Connection) -> None:
        if self._told is None:
            super().opened(connection)

    def put(self, key: Hashable, connection: Connection) -> None:
        if self._told == 0:
            connection.keeps = False
        super().put(key, connection)
        if self._seconds is not None and connection.useful_until:  # of one that was closed it is 0
            connection.useful_until = min(connection.useful_until, monotonic() + self._seconds)
