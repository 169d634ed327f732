"""`httpx`, entered at the connection pool of its engine `httpcore`, one layer below its transport.

What httpx does by itself: it follows no redirects, but fails on a redirect whose Location it cannot parse; it keeps
cookies, decodes what it did not ask for, and reads proxies from the environment. The pool does none of that, and is
faster.

Ours: resolve, connect, TLS (`httpx_network.py`). The library's: write, parse (h11, which is strict), pool.
All of it stands in `httpx_family.py`. An injected client connects by itself, and what can no longer be promised is not
declared.
"""

from __future__ import annotations

import httpcore
import httpx

from . import httpx_family
from .httpx_family import AsyncPoolBackend, Family, PoolBackend

FAMILY = Family(httpx, httpcore)
CAPABILITIES = httpx_family.CAPABILITIES
INJECTED_CAPABILITIES = httpx_family.INJECTED_CAPABILITIES
ASYNC_CAPABILITIES = httpx_family.ASYNC_CAPABILITIES
ASYNC_INJECTED_CAPABILITIES = httpx_family.ASYNC_INJECTED_CAPABILITIES
ERRORS = FAMILY.errors


class HttpxBackend(PoolBackend):
    """Carries requests with httpx, or with an `httpx.Client`."""

    name = "httpx"
    family = FAMILY


class AsyncHttpxBackend(AsyncPoolBackend):
    """Carries requests with httpx, or with an `httpx.AsyncClient`, on asyncio and on trio."""

    name = "httpx"
    family = FAMILY
