"""The socket backend, awaited: what parses or decides is shared with the blocking one."""

from __future__ import annotations

from asyncio import get_running_loop, sleep
from functools import partial
from math import inf

from ...errors import ConfigError, ConnectTimeout
from ...model.messages import AsyncRawResponse
from ...model.route import DIRECT
from ...wire.asyncio import dial
from ...wire.asyncio_wire import Pieces, closed
from ...wire.timer import Clock
from ..base import connect_ends
from . import ASYNC_CAPABILITIES
from .async_connection import AsyncConnection
from .negotiation import connection_kind, is_http2
from .pool import Pool
from .shared_connections import SharedConnections

TYPE_CHECKING: bool = False
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
        self._shared = SharedConnections()
        self._clock: Clock | None = None

    # --- The request ------------------------------------------------------------------------------

    async def send(self, request: RawRequest) -> AsyncRawResponse:
        """Perform one exchange; see `AsyncBackend.send`."""
        clock = self._clock
        if clock is None or clock.loop is not get_running_loop():
            clock = self._start()
        if request.http2:
            return await self._send_http2(request, clock)
        key: Hashable = (request.scheme, request.host, request.port, request.tls)
        if request.route is not DIRECT:
            key = (key, request.route)  # no connection is used for another route, or with other credentials
        pool = self._pool  # a client that is closed meanwhile keeps its connections no more
        connection = None if request.fresh else pool.take(key)
        if connection is None:
            connection = AsyncConnection(await dial(request, clock, pool.sessions.get(key)))
            pool.opened(connection)
        response: AsyncRawResponse = await connection.exchange(request, pool, key)
        return response

    # --- HTTP/2, where it is asked for ------------------------------------------------------------

    async def _send_http2(self, request: RawRequest, clock: Clock) -> AsyncRawResponse:
        key: Hashable = (request.scheme, request.host, request.port, request.tls, request.route, request.http2)
        pool, shared = self._pool, self._shared  # as above
        connection = await self._shared_connection(request, key, clock)
        if isinstance(connection, AsyncConnection):
            response: AsyncRawResponse = await connection.exchange(request, pool, key)
            return response
        from .async_http2_connection import StreamExchange

        try:
            exchange = StreamExchange(connection, request)
        finally:
            if request.fresh or shared.is_closed:
                connection.retire()  # nobody else knows of it: it closes with this stream
        stream = exchange.stream
        try:
            head = await exchange.send()
        except BaseException:
            exchange.abandon()
            raise
        trailers: list[tuple[str, str]] = []
        content = exchange.whole()
        if content is not None:
            body: Any = Pieces((content,) if content else ())
            close = body.aclose
        else:
            body = exchange.read_body(trailers)
            close = partial(closed, exchange.abandon, body)
        raw = AsyncRawResponse(
            head.status, "", head.version, head.headers, body, close, trailers, stream.interim, True, None, content
        )
        raw.stream = connection.session.number, stream.number
        return raw

    async def _shared_connection(self, request: RawRequest, key: Hashable, clock: Clock) -> Any:
        """A connection with room for a stream, or one of HTTP/1.1 that nobody else has."""
        shared = self._shared
        if request.fresh:
            return await self._open_http2(request, key, clock)
        ends = connect_ends(request)
        while True:
            if (connection := shared.with_room(key)) is not None:
                if connection.session.streams or not connection.sock.poll():
                    return connection
                # Idle, and something came: maybe its end. The loop reads when it comes around.
                await sleep(0)
                await sleep(0)
                if connection.room > 0:
                    return connection
                continue
            if (connection := self._pool.take(key)) is not None:
                return connection
            if shared.speaks_http11(key) or not shared.is_coming(key):
                break
            await _turn(shared, key, clock, ends)
        shared.opening(key)
        opened = None
        is_shared = False
        try:
            opened = await self._open_http2(request, key, clock)
            is_shared = not isinstance(opened, AsyncConnection)
        finally:
            shared.opened(key, opened, shared=is_shared)
        return opened

    async def _open_http2(self, request: RawRequest, key: Hashable, clock: Clock) -> Any:
        connection_kind()  # before anything is sent
        from .async_http2_connection import AsyncHTTP2Connection

        sock = await dial(request, clock, self._pool.sessions.get(key))
        try:
            if is_http2(request, sock.selected_alpn_protocol()):
                return AsyncHTTP2Connection(sock, clock, partial(self._shared.tell, key))
        except BaseException:
            sock.close()
            raise
        connection = AsyncConnection(sock)
        self._pool.opened(connection)
        return connection

    def _start(self) -> Clock:
        if self._clock is not None and not self._clock.loop.is_closed():
            raise ConfigError("this client serves another event loop, which is still open: use one client for each")
        # What a closed loop has left cannot even be closed.
        self._shared, self._pool = SharedConnections(), self._pool.anew()
        self._clock = Clock(get_running_loop())
        return self._clock

    def keep_idle(self, most: int | None, seconds: float | None) -> None:
        """Keep no more idle connections than that, and no longer; to be said before the first request."""
        from .bounded_pool import BoundedPool

        self._pool = BoundedPool(most, seconds)

    # --- The end ----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close idle connections."""
        self._pool = self._pool.close()
        self._shared = self._shared.close()
        if self._clock is not None:
            self._clock.stop()
        await sleep(0)  # the loop closes the sockets when it comes around


async def _turn(shared: SharedConnections, key: Hashable, clock: Clock, ends: float | None) -> None:
    # Until something has changed about the connections to there.
    waiter: Any = clock.loop.create_future()
    shared.wait(key, waiter)
    clock.watch(waiter, inf if ends is None else ends)
    try:
        if await waiter:
            raise ConnectTimeout("no connection with room for another stream in time")
    finally:
        del clock.ends[waiter]
        shared.forget(key, waiter)
