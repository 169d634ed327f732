"""Our own HTTP/1.1 client, on nothing but a socket: what the libraries do underneath.

One request and its response, in wire order, and where each step stands:

    URL ─► address ─► connect ─► TLS                                     dial.py
             │
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

`http11.py` decides everything and does no I/O: its generators ask for bytes with a bare `yield`. `reader.py`
holds the bytes between the two. `connection.py` writes and feeds; it is all that has to be written again
for asyncio. This file puts them together.

The smallest walk through an exchange, without this file:

    from unifetch.backends.socket import http11, reader
    import socket

    with socket.create_connection(("127.0.0.1", 8000), timeout=5) as connection:
        connection.sendall(http11.request_head("GET", "/", [("Host", "127.0.0.1:8000")]))
        incoming = reader.ByteReader()
        steps = http11.read_head(incoming)
        try:
            while True:
                next(steps)  # None: feed me
                incoming.feed(connection.recv(65536))
        except StopIteration as done:
            status, reason, version, fields, index = done.value
        print(status, reason, http11.framing("GET", status, version, index))
"""

from __future__ import annotations

from time import monotonic

from ...headers import Headers
from ...messages import RawResponse
from ..base import Capability
from .connection import Connection
from .dial import dial
from .http11 import framing, persists
from .pool import Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from typing import Literal

    from ...messages import RawRequest
    from .http11 import Framing, Head

CAPABILITIES = frozenset(Capability) - {
    Capability.HTTP2,
    Capability.PROXY,
    Capability.TLS_PROXY,
    Capability.SOCKS,
    Capability.UNIX_SOCKET,
    Capability.RESOLVE,
    Capability.FORBID_PRIVATE,
}


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
        key = (request.scheme, request.host, request.port, request.tls)
        connection = self._reusable(key) or Connection(dial(request))
        try:
            head = connection.send(request)
            size = framing(request.method, head[0], head[2], head[4])
        except BaseException:
            connection.close()
            raise
        return self._response(request, key, connection, head, size)

    def _reusable(self, key: Hashable) -> Connection | None:
        while True:
            connection, stale = self._pool.take(key, monotonic())
            for each in stale:
                each.close()
            if connection is None:
                return None
            if connection.is_fit():
                return connection
            connection.close()

    # --- The response -----------------------------------------------------------------------------

    def _response(
        self, request: RawRequest, key: Hashable, connection: Connection, head: Head, size: Framing
    ) -> RawResponse:
        status, reason, version, fields, index = head
        keep = persists(status, version, index, size) and connection.exchanges > 0 and not _closes(request)

        def done() -> None:
            # Bytes beyond the response belong to nobody: they must not become the next answer.
            if keep and not len(connection.reader) and not connection.reader.ended:
                connection.idle_since = monotonic()
                for each in self._pool.put(key, connection):
                    each.close()
            else:
                connection.close()

        body: Iterator[bytes]
        if isinstance(size, int) and len(connection.reader) >= size:
            # All of it came with the head, as small ones do: the connection is free before anybody reads.
            body = iter((connection.reader.take(size),) if size else ())
            done()
            return RawResponse(status, reason, version, Headers.trusted(fields, index), body, _nothing)
        ended = False

        def finish() -> None:
            nonlocal ended
            ended = True
            done()

        def close() -> None:
            if not ended:
                connection.close()

        body = connection.read_body(size, finish)
        return RawResponse(status, reason, version, Headers.trusted(fields, index), body, close)

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections."""
        for connection in self._pool.empty():
            connection.close()


def _closes(request: RawRequest) -> bool:
    return any(name.lower() == "connection" and value.lower() == "close" for name, value in request.headers)


def _nothing() -> None:
    pass
