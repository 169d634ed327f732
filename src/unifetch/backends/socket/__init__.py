"""Our own HTTP/1.1 client, on nothing but a socket: what the libraries do underneath.

Ours: resolve, connect, TLS, write, parse, pool. The library's: nothing, for there is none.

One request and its response, in wire order, and where each step stands:

    URL ─► address ─► connect ─► TLS                                     wire/dial.py, happy_eyeballs.py, and with a
             │                                                           proxy in between wire/tunnels.py
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
    │    body, piece by piece                                            http11.py §5, or in_place.py
    │        │
    │        ▼
    └─── keep, for the next request      or close                        http11.py §6, pool.py

`http11.py` decides everything and does no I/O: its generators ask for bytes with a bare `yield`. `reader.py`
holds the bytes between the two. `connection.py` writes and feeds. This file puts them together. Only what waits
is written once more for asyncio: `wire/asyncio.py`, `async_connection.py` and, beside this file, `async_adapter.py`.

The smallest walk through an exchange, without this file:

    from unifetch.wire import http11, reader
    import socket

    host, port = "127.0.0.1", 8000
    with socket.create_connection((host, port), timeout=5) as connection:
        connection.sendall(http11.request_head("GET", "/", [("Host", f"{host}:{port}")]))
        incoming = reader.ByteReader()
        steps = http11.read_head(incoming, "GET")
        head = None
        while head is None:
            try:
                interim = next(steps)
            except StopIteration as done:
                head = done.value
            else:
                if interim is not None:
                    print(interim.status, "comes before the response")
                elif data := connection.recv(65536):  # None: feed me
                    incoming.feed(data)
                else:
                    incoming.feed_eof()  # from here on it raises, where it would have to wait
        print(head.status, head.reason, head.framing)
"""

from __future__ import annotations

from ...errors import BackendNotInstalled, TLSError
from ...model.route import DIRECT
from ...wire.blocking import dial
from ..base import HTTP_1_CAPABILITIES, Capability
from .connection import Connection
from .pool import Pool

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Hashable
    from typing import Any, Literal

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
        connection = None if request.fresh else self._pool.take(key)
        if connection is None:
            connection = self._open(request, self._pool.sessions.get(key))
            self._pool.opened(connection)
        return connection.exchange(request, self._pool, key)

    def _open(self, request: RawRequest, session: ssl.SSLSession | None) -> Connection:
        if not request.http2:
            return Connection(dial(request, session))
        kind = connection_kind()
        sock = dial(request, session)
        try:
            return (kind if is_http2(request, protocol_of(sock)) else Connection)(sock)
        except BaseException:
            sock.close()
            raise

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections."""
        for connection in self._pool.empty():
            connection.close()


# --- HTTP/2, where it is asked for ----------------------------------------------------------------


def connection_kind() -> type[Connection]:
    """What speaks HTTP/2.

    Raises:
        BackendNotInstalled: its library is missing.
    """
    try:
        from .http2_connection import HTTP2Connection
    except ImportError as error:
        raise BackendNotInstalled("HTTP/2 needs the library h2: pip install 'unifetch-http[http2]'") from error
    return HTTP2Connection


def protocol_of(sock: Any) -> str | None:
    """What the server has chosen by ALPN."""
    return sock.selected_alpn_protocol() if hasattr(sock, "selected_alpn_protocol") else None


def is_http2(request: RawRequest, protocol: str | None) -> bool:
    """Whether HTTP/2 is spoken on a new connection (RFC 9113 §3): by ALPN, or without TLS because the caller knows.

    Raises:
        TLSError: nothing else will do, and the server does not speak it.
    """
    if request.scheme == "http":
        return request.http2 == "only"
    if protocol != "h2" and request.http2 == "only":
        raise TLSError(f"{request.host}:{request.port} has no HTTP/2: of h2 alone it chose {protocol or 'nothing'}")
    return protocol == "h2"


def __getattr__(name: str) -> object:
    # So that asyncio is imported by those who want it.
    if name == "AsyncSocketBackend":
        from .async_adapter import AsyncSocketBackend

        return AsyncSocketBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
