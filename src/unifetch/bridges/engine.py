"""The clients underneath a bridge: they keep no cookies, and no more idle connections than the front library may."""

from __future__ import annotations

from ..backends import load, load_async
from ..client.async_client import AsyncClient
from ..client.sync_client import Client
from ..errors import ConfigConflict

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any

    from ..backends.base import AsyncBackend, Backend

    Idle = tuple[int | None, float | None]


_NATIVE = object()  # of the caller's, and so are its idle connections


class Engine(Client):
    """A client that keeps no cookies, and as many idle connections as it is told.

    Args:
        idle: how many at most, and each for how many seconds; None leaves either to the backend.
        **settings: as of `Client`; `backend` is given.

    Raises:
        ConfigConflict: the backend's idle connections are its library's affair.
    """

    def __init__(self, idle: Idle | None, **settings: Any) -> None:
        super().__init__(cookies=False, **settings)
        self._idle = idle
        if idle is not None:  # what cannot is refused now, not at the first request
            _check(settings["backend"], _NATIVE if self._native is not None else load(settings["backend"]))

    def _load(self, name: str) -> Backend:
        backend: Any = super()._load(name)
        if self._idle is not None:
            _check(name, backend)
            backend.keep_idle(*self._idle)
        return backend  # type: ignore[no-any-return]  # of a base class, which says what it is


class AsyncEngine(AsyncClient):
    """The same, awaited."""

    def __init__(self, idle: Idle | None, **settings: Any) -> None:
        super().__init__(cookies=False, **settings)
        self._idle = idle
        if idle is not None:
            _check(settings["backend"], _NATIVE if self._native is not None else load_async(settings["backend"]))

    def _load(self, name: str) -> AsyncBackend:
        backend: Any = super()._load(name)
        if self._idle is not None:
            _check(name, backend)
            backend.keep_idle(*self._idle)
        return backend  # type: ignore[no-any-return]  # as above


def _check(name: Any, backend: Any) -> None:
    if not hasattr(backend, "keep_idle"):
        shown = name if isinstance(name, str) else type(name).__name__
        raise ConfigConflict(f"the bound on idle connections would be lost on the backend {shown}; socket honours it")
