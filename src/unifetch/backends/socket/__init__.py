"""Our own HTTP/1.1 client, on nothing but a socket: what the libraries do underneath.

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
    │    body, piece by piece                                            http11.py §5, or sized_body.py
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
        try:
            while True:
                next(steps)  # None: feed me
                incoming.feed(connection.recv(65536))
        except StopIteration as done:
            head = done.value
        print(head.status, head.reason, head.framing)
"""

from __future__ import annotations

from functools import partial

from ...model.messages import RawResponse
from ...model.route import DIRECT
from ...wire.blocking import dial
from ...wire.sized_body import SizedBody
from ..base import HTTP_1_CAPABILITIES, Capability
from .connection import Connection
from .pool import Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Literal

    from ...model.messages import RawRequest

CAPABILITIES = HTTP_1_CAPABILITIES
ASYNC_CAPABILITIES = CAPABILITIES | {Capability.NATIVE_ASYNC}


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
        connection = self._pool.take(key)
        if connection is None:
            connection = Connection(dial(request, self._pool.sessions.get(key)))
            self._pool.opened(connection)
        try:
            head, rest = connection.send(request)
        except BaseException:
            connection.close()
            raise
        if not head.persists:
            connection.keeps = False
        size, interim = head.framing, connection.interim
        if size == len(rest):
            # All of it came with the head, as small ones do: the connection is free before anybody reads.
            self._pool.put(key, connection)
            pieces = (rest,) if rest else ()
            return RawResponse(
                head.status, head.reason, head.version, head.headers, pieces, _nothing, (), interim, True, None, rest
            )
        if rest:
            connection.reader.feed(rest)
        trailers: list[tuple[str, str]] = []
        done = partial(self._pool.put, key, connection)
        body, read_into = connection.read_body(size, trailers, done), None
        if isinstance(size, int):
            sized = SizedBody(connection, size, request.timeout.read, done)
            body, read_into = sized.pieces(), sized.read_into
        abandon = partial(connection.abandon, connection.exchanges)
        return RawResponse(
            head.status, head.reason, head.version, head.headers, body, abandon, trailers, interim, True, read_into
        )

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections."""
        for connection in self._pool.empty():
            connection.close()


def _nothing() -> None:
    pass


def __getattr__(name: str) -> object:
    # So that asyncio is imported by those who want it.
    if name == "AsyncSocketBackend":
        from .async_adapter import AsyncSocketBackend

        return AsyncSocketBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
