"""A transport for clients of `httpx`: `httpx.Client(transport=unifetch.bridges.httpx.Transport())`.

All of it stands in `httpx_family.py`.
"""

from __future__ import annotations

import httpx

from .httpx_family import AwaitedTransport, Family, SyncTransport

FAMILY = Family(httpx)


class Transport(SyncTransport, httpx.BaseTransport):
    """Carries the requests of a `httpx.Client`; see `SyncTransport` for what it takes."""

    family = FAMILY


class AsyncTransport(AwaitedTransport, httpx.AsyncBaseTransport):
    """Carries the requests of a `httpx.AsyncClient`, on asyncio and on trio; see `SyncTransport` for what it takes."""

    family = FAMILY
