"""The clients underneath a bridge: ours, but that they keep as few idle connections as the front library was told."""

from __future__ import annotations

from ..client.async_client import AsyncClient
from ..client.sync_client import Client
from ..errors import ConfigConflict

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any

    from ..backends.base import AsyncBackend, Backend

    Idle = tuple[int | None, float | None]


def bounded(backend: Any, idle: Idle | None) -> Any:
    """This backend, which keeps no more idle connections than that, and no longer.

    Raises:
        ConfigConflict: it is another than our own, whose idle connections are its library's affair.
    """
    if idle is not None:
        if not hasattr(backend, "keep_idle"):
            raise ConfigConflict(
                f"the bound on idle connections would be lost on the backend {backend.name!r}; 'socket' honours it"
            )
        backend.keep_idle(*idle)
    return backend


class Engine(Client):
    """A client that keeps no cookies, and of idle connections what it is told: (how many, for how many seconds)."""

    def __init__(self, idle: Idle | None, **settings: Any) -> None:
        self._idle = idle
        super().__init__(cookies=False, **settings)
        if idle is not None:  # what cannot is refused now, not at the first request
            bounded(self._native or self.backend, idle)

    def _load(self, name: str) -> Backend:
        backend: Backend = bounded(super()._load(name), self._idle)
        return backend


class AsyncEngine(AsyncClient):
    """The same, awaited."""

    def __init__(self, idle: Idle | None, **settings: Any) -> None:
        self._idle = idle
        super().__init__(cookies=False, **settings)
        if idle is not None:  # what cannot is refused now, not at the first request
            bounded(self._native or self.backend, idle)

    def _load(self, name: str) -> AsyncBackend:
        backend: AsyncBackend = bounded(super()._load(name), self._idle)
        return backend
