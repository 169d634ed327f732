"""Our own HTTP/1.1 client, on nothing but a socket: what the libraries do underneath.

Ours: resolve, connect, TLS, write, parse, pool. The library's: nothing, for there is none.

One request and its response, in wire order, and where each step stands:

    URL ─► address ─► connect ─► TLS                                     wire/dial.py, resolution.py, happy_eyeballs.py,
             │                                                           blocking.py, sockets.py
             ▼
    ┌──► request head ─► body                                            http11.py §1
    │        │
    │        ▼
    │    status line ─► fields ─► 1xx? again                             http11.py §2 §3
    │        │
    │        ▼
    │    framing: no body, a length, chunks, or until the end            http11.py §4
    │        │
    │        ▼
    │    body, piece by piece                                            http11.py §5
    │        │
    │        ▼
    └─── keep, for the next request      or close                        http11.py §6, pool.py

`http11.py` decides everything and does no I/O. `reader.py` holds the bytes that it asks for. `connection.py` writes and
feeds, `connection_state.py` is what it knows, and this file puts them together. Not on this map are what a proxy is
asked (`tunnels.py`), what makes it fast (`fast_paths.py`, `in_place.py`), the words of errors (`tls_errors.py`),
HTTP/2, and asyncio, for which only what waits is written once more: `wire/asyncio.py`, `async_connection.py`,
`async_adapter.py`.

The smallest walk through an exchange, without this file, is `docs/examples/walking.py`.
"""

from __future__ import annotations

from ...model.route import DIRECT
from ...wire.blocking import dial
from ..base import HTTP_1_CAPABILITIES, Capability
from .connection import Connection
from .pool import Pool

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Hashable
    from typing import Literal

    from ...model.messages import RawRequest, RawResponse

CAPABILITIES = HTTP_1_CAPABILITIES | {Capability.HTTP2}
ASYNC_CAPABILITIES = CAPABILITIES | {Capability.NATIVE_ASYNC, Capability.MULTIPLEX}


class SocketBackend:
    """Carries requests over sockets of its own."""

    name = "socket"
    contract: Literal[1] = 1
    capabilities = CAPABILITIES
    native: object = None

    def __init__(self, native: None = None) -> None:
        self._pool = Pool()

    # --- The request ------------------------------------------------------------------------------

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange; see `Backend.send`."""
        key: Hashable = (request.scheme, request.host, request.port, request.tls)
        if request.route is not DIRECT:
            key = (key, request.route)  # no connection is used for another route, or with other credentials
        if request.http2:
            key = (key, request.http2)  # nor one that speaks what this may not
        pool = self._pool  # a client that is closed meanwhile keeps its connections no more
        connection = None if request.fresh else pool.take(key)
        if connection is None:
            connection = self._open(request, pool.sessions.get(key))
            pool.opened(connection)
        return connection.exchange(request, pool, key)

    def _open(self, request: RawRequest, session: ssl.SSLSession | None) -> Connection:
        if request.http2:
            from .negotiation import open_http2

            return open_http2(request, session)
        return Connection(dial(request, session))

    def keep_idle(self, most: int | None, seconds: float | None) -> None:
        """Keep no more idle connections than that, and no longer; to be said before the first request."""
        from .bounded_pool import BoundedPool

        self._pool = BoundedPool(most, seconds)

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections."""
        self._pool = self._pool.close()


def __getattr__(name: str) -> object:
    # So that asyncio is imported by those who want it.
    if name == "AsyncSocketBackend":
        from .async_adapter import AsyncSocketBackend

        return AsyncSocketBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
