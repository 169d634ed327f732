"""`httpx2`, entered at the connection pool of its engine `httpcore2`, one layer below its transport.

What httpx2 does by itself: it follows no redirects; it keeps cookies, decodes what it did not ask for, and reads
proxies from the environment. At the pool there is none of that, and a fifth of its time goes as well.

Ours: resolve, connect, TLS (`httpx_network.py`). The library's: write, parse (h11, which is strict), pool.
All of it stands in `httpx_family.py`. An injected client connects by itself, and what can no longer be promised is not
declared.
"""

from __future__ import annotations

import httpcore2
import httpx2

from . import httpx_family
from .httpx_family import AsyncPoolBackend, Family, PoolBackend

FAMILY = Family(httpx2, httpcore2)
CAPABILITIES = httpx_family.CAPABILITIES
INJECTED_CAPABILITIES = httpx_family.INJECTED_CAPABILITIES
ASYNC_CAPABILITIES = httpx_family.ASYNC_CAPABILITIES
ASYNC_INJECTED_CAPABILITIES = httpx_family.ASYNC_INJECTED_CAPABILITIES
ERRORS = FAMILY.errors


class Httpx2Backend(PoolBackend):
    """Carries requests with httpx2, or with an `httpx2.Client`."""

    name = "httpx2"
    family = FAMILY


class AsyncHttpx2Backend(AsyncPoolBackend):
    """Carries requests with httpx2, or with an `httpx2.AsyncClient`, on asyncio and on trio."""

    name = "httpx2"
    family = FAMILY
