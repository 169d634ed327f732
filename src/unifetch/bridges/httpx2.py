"""A transport for clients of `httpx2`: `httpx2.Client(transport=unifetch.bridges.httpx2.Transport())`.

All of it stands in `httpx_family.py`.
"""

from __future__ import annotations

import httpx2

from .httpx_family import AwaitedTransport, Family, SyncTransport

FAMILY = Family(httpx2)


class Transport(SyncTransport, httpx2.BaseTransport):
    """Carries the requests of a `httpx2.Client`; see `SyncTransport` for what it takes."""

    family = FAMILY


class AsyncTransport(AwaitedTransport, httpx2.AsyncBaseTransport):
    """Carries the requests of a `httpx2.AsyncClient`, on asyncio and on trio; see `SyncTransport` for what it takes."""

    family = FAMILY
