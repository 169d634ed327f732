"""The same backend, awaited: this is the end of `__init__.py` once more, on a connection that is awaited.

What parses or decides is shared, line for line: http11.py, reader.py, pool.py, wire/dial.py, wire/happy_eyeballs.py.
"""

from __future__ import annotations

from asyncio import get_running_loop, sleep
from contextlib import suppress
from functools import partial

from ...errors import ConfigError
from ...model.messages import AsyncRawResponse
from ...model.route import DIRECT
from ...wire.asyncio import dial
from ...wire.asyncio_wire import Pieces
from ...wire.timer import Clock
from . import ASYNC_CAPABILITIES
from .async_connection import AsyncConnection
from .pool import Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Any, Literal

    from ...model.messages import RawRequest


class AsyncSocketBackend:
    """Carries requests over connections of its own, for the tasks of one event loop."""

    name = "socket"
    contract: Literal[1] = 1
    capabilities = ASYNC_CAPABILITIES
    native: object = None

    def __init__(self, native: None = None) -> None:
        self._pool: Any = Pool()  # of connections that are asked the same as the blocking ones
        self._clock: Clock | None = None

    # --- The request ------------------------------------------------------------------------------

    async def send(self, request: RawRequest) -> AsyncRawResponse:
        """Perform one exchange; see `AsyncBackend.send`."""
        clock = self._clock
        if clock is None or clock.loop is not get_running_loop():
            clock = self._start()
        key: Hashable = (request.scheme, request.host, request.port, request.tls)
        if request.route is not DIRECT:
            key = (key, request.route)  # no connection is used for another route, or with other credentials
        connection = self._pool.take(key)
        if connection is None:
            connection = AsyncConnection(await dial(request, clock, self._pool.sessions.get(key)))
            self._pool.opened(connection)
        try:
            head, rest = await connection.send(request)
        except BaseException:
            connection.close()
            raise
        if not head.persists:
            connection.keeps = False
        size, interim = head.framing, connection.interim
        if size == len(rest):
            # All of it came with the head, as small ones do: the connection is free before anybody reads.
            self._pool.put(key, connection)
            pieces = Pieces((rest,) if rest else ())
            return AsyncRawResponse(
                head.status, head.reason, head.version, head.headers, pieces, _nothing, (), interim, True, None, rest
            )
        if rest:
            connection.reader.feed(rest)
        trailers: list[tuple[str, str]] = []
        body = connection.read_body(size, trailers, partial(self._pool.put, key, connection))
        abandon = partial(_abandon, connection, connection.exchanges, body)
        return AsyncRawResponse(
            head.status, head.reason, head.version, head.headers, body, abandon, trailers, interim, True
        )

    def _start(self) -> Clock:
        if self._clock is not None and not self._clock.loop.is_closed():
            raise ConfigError("this client serves another event loop, which is still open: use one client for each")
        self._pool.empty()  # what a closed loop leaves behind cannot even be closed
        self._clock = Clock(get_running_loop())
        return self._clock

    # --- The end ----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close idle connections."""
        for connection in self._pool.empty():
            connection.close()
        if self._clock is not None:
            self._clock.stop()
        await sleep(0)  # the loop closes the sockets when it comes around


async def _abandon(connection: AsyncConnection, exchange: int, body: Any) -> None:
    connection.abandon(exchange)
    # Another task may be reading it: that one is told that the connection is closed.
    with suppress(RuntimeError):
        await body.aclose()


async def _nothing() -> None:
    pass
