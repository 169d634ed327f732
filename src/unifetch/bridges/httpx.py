"""A transport for clients of `httpx`: `httpx.Client(transport=unifetch.bridges.httpx.Transport())`.

All of it stands in `httpx_family.py`.
"""

from __future__ import annotations

import httpx

from . import httpx_family
from .httpx_family import AwaitedTransport, Library, SyncTransport

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FAMILY = Library(httpx)


class Transport(SyncTransport, httpx.BaseTransport):
    """Carries the requests of a `httpx.Client`; see `SyncTransport` for what it takes."""

    family = FAMILY


class AsyncTransport(AwaitedTransport, httpx.AsyncBaseTransport):
    """Carries the requests of a `httpx.AsyncClient`, on asyncio and on trio; see `SyncTransport` for what it takes."""

    family = FAMILY


def replace_transports(settings: dict[str, Any]) -> Callable[[], None]:
    """Have the library's own transports be ours from now on; what is returned takes that back."""
    return httpx_family.replace_transports(FAMILY, Transport, AsyncTransport, settings)
