"""`shared_client.py`, awaited: one client for each event loop."""

from __future__ import annotations

from .async_client import AsyncClient
from .event_loops import is_running, running_loop

_clients: dict[object, AsyncClient] = {}


def shared() -> AsyncClient:
    """The client of the event loop that runs in this thread; those of loops that have ended are dropped."""
    loop = running_loop()
    client = _clients.get(loop)
    if client is None:
        for other in list(_clients):
            if not is_running(other):
                del _clients[other]
        client = _clients.setdefault(loop, AsyncClient(cookies=False))
        client.notices_environment = True
    return client
