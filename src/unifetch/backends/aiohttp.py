"""aiohttp, entered at its connector, one layer below its session.

What it does by itself: the session follows redirects, keeps cookies, decodes, adds fields of its own, remembers the
addresses of a host for ten seconds, and sends an idempotent request once more if the connection breaks, even a new one.
Its writer sends UTF-8 whatever it is handed, and `Content-Length: 0` with a DELETE; no timeout covers it. Its parser
refuses the same length given twice, takes `Content-Length : 5` for a field that means nothing, a reset for the end of a
body and, with its C extension, other heads than without. It holds what comes while a connection is idle for the next
response. All that is in the session and in the protocol that parses.

`connector.connect()` is documented, and so is the transport of the connection that it gives. There we put a protocol
of our own (`asyncio_stream.py`). What is connected to, and what happens on the connection before the request, is
decided by `wire/dial.py`, as everywhere: our resolver hands the addresses to the connector, which tries them by Happy
Eyeballs (RFC 8305), keeps idle connections apart by their destination, and closes them after a time. Proxies are spoken
to by us, because aiohttp's CONNECT carries fields of its own and wants 200 for an answer, and it knows no SOCKS.

Ours: resolve, TLS, write, parse. The library's: connect, pool.

An injected `ClientSession` sends and receives by itself. What can no longer be promised is not declared then; nor does
a write timeout reach it. The cookies that it receives are taken out of its jar again.
"""

from __future__ import annotations

import asyncio
import os
import socket
import types
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict
from yarl import URL

from .. import errors
from ..errors import ConnectError, ConnectTimeout, InvalidSetting, ProtocolError, ProxyError, UnifetchError
from ..model.headers import Headers
from ..model.messages import AsyncRawResponse
from ..wire.asyncio import AsyncioDialer
from ..wire.dial import dial
from ..wire.sockets import FULL_QUEUE, new_socket, refusal
from ..wire.timer import Clock
from .asyncio_stream import TakenOver
from .base import (
    HTTP_1_CAPABILITIES,
    IDLE_SECONDS,
    Capability,
    Exchange,
    connect_ends,
    connect_error,
    refuse_closed,
    refuse_conflicts,
    time_left,
    translate,
)

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Generator
    from typing import Any, Literal, TypeVar

    from aiohttp.connector import Connection

    from ..model.messages import RawRequest
    from ..model.route import Route
    from ..wire.dial import Steps
    from ..wire.resolution import Address

    T = TypeVar("T")

CAPABILITIES = HTTP_1_CAPABILITIES | {Capability.NATIVE_ASYNC}
# A session of the caller's own parses, writes and connects by its own rules, and with its own TLS settings.
INJECTED_CAPABILITIES = frozenset(
    {
        Capability.NATIVE_ASYNC,
        Capability.HARD_DEADLINE,
        Capability.INTERIM,
        Capability.KEEP_ALIVE,
        Capability.EARLY_RESPONSE,
    }
)

# The stream raises our own errors; these rows are for what keeps a connection from coming about, and for an injected
# session. The first that fits is taken.
ERRORS: dict[type[Exception], type[UnifetchError]] = {
    aiohttp.ClientConnectorDNSError: errors.NameResolutionError,
    aiohttp.ClientSSLError: errors.TLSError,
    aiohttp.ClientProxyConnectionError: errors.ProxyError,
    aiohttp.ClientHttpProxyError: errors.ProxyError,
    aiohttp.ClientConnectorError: errors.ConnectError,
    aiohttp.ConnectionTimeoutError: errors.ConnectTimeout,
    TimeoutError: errors.ReadTimeout,
    aiohttp.InvalidURL: errors.InvalidURL,
    aiohttp.ServerDisconnectedError: errors.ConnectionLost,
    aiohttp.ClientOSError: errors.ConnectionLost,
    aiohttp.ClientPayloadError: errors.IncompleteBody,
    aiohttp.ClientResponseError: errors.ProtocolError,
    aiohttp.ClientConnectionError: errors.ConnectionLost,
    aiohttp.ClientError: errors.ProtocolError,
    OSError: errors.ConnectionLost,
    ValueError: errors.InvalidRequest,
}
_RAISED: tuple[type[Exception], ...] = (UnifetchError, *ERRORS)


class AiohttpBackend:
    """Carries requests over the connections of aiohttp.

    Args:
        native: an `aiohttp.ClientSession` to use instead; it stays open.

    Raises:
        ConfigConflict: for a session with settings that would be lost; it names them.
    """

    name = "aiohttp"
    contract: Literal[1] = 1
    capabilities: frozenset[Capability]
    native: object

    def __init__(self, native: aiohttp.ClientSession | None = None) -> None:
        if native is None:
            self.capabilities = CAPABILITIES
        elif not isinstance(native, aiohttp.ClientSession):
            raise InvalidSetting(f"backend: aiohttp takes a ClientSession, not {type(native).__name__}")
        else:
            refuse_conflicts(native, conflicts(native))
            self.capabilities = INJECTED_CAPABILITIES
        self.native = self._session = native
        self._ways: dict[Route, _Way] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clock: Clock

    # --- The request ------------------------------------------------------------------------------

    async def send(self, request: RawRequest) -> AsyncRawResponse:
        """Perform one exchange; see `AsyncBackend.send`."""
        if self._session is not None:
            return await _through_session(self._session, request)
        wire, connection = await self._connected(request)
        _taken.add(connection)
        return await wire.exchange(request, partial(_release, connection))

    async def _connected(self, request: RawRequest) -> tuple[TakenOver, Connection]:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # connections belong to the loop that opened them
            self._loop, self._ways, self._clock = loop, {}, Clock(loop)
        way = self._ways.get(request.route)
        if way is None:
            way = self._ways[request.route] = _Way(request.route, self._clock)
        try:
            seconds = time_left(connect_ends(request))
            connecting = way.connected(request)
            try:
                waiting = connecting.send(None)
            except StopIteration as done:  # an idle one was there, and needs no timer
                found: tuple[TakenOver, Connection] = done.value
                return found
            async with asyncio.timeout(seconds):
                return await _going_on(connecting, waiting)
        except TimeoutError as error:
            if isinstance(error, UnifetchError):
                raise
            raise ConnectTimeout(f"no connection to {way.name(request)} in time") from error

    # --- The end ----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close idle connections; a session that was injected stays open."""
        ways, self._ways = self._ways, {}
        if self._loop is asyncio.get_running_loop():
            for way in ways.values():
                await way.connector.close()
            self._clock.stop()


@types.coroutine
def _going_on(begun: Coroutine[Any, Any, T], waiting: Any) -> Generator[Any, Any, T]:
    # The rest of a coroutine that was begun, and has handed out what it waits for.
    try:
        while True:
            try:
                outcome = yield waiting
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is the coroutine's
                waiting = begun.throw(error)
            else:
                waiting = begun.send(outcome)
    except StopIteration as done:
        result: T = done.value
        return result


# Connections in use. They are kept here, as the garbage collector might otherwise find one together with a stream that
# was never closed, and aiohttp would complain before we can close it.
_taken: set[Connection] = set()


def _release(connection: Connection, clean: bool) -> None:
    _taken.discard(connection)
    if clean:
        connection.release()
    else:
        connection.close()


# --- The connection ---------------------------------------------------------------------------------

# We bound all that may take time.
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_KNOWN = 1000  # destinations that are remembered


class _Way:
    """One route, and the connector whose connections go by it.

    How many connections there are is decided by the core.
    """

    def __init__(self, route: Route, clock: Clock) -> None:
        self.route = route
        self._clock = clock
        if route.unix_socket is not None and route.proxy is None:
            self.connector: aiohttp.BaseConnector = aiohttp.UnixConnector(
                route.unix_socket, limit=0, keepalive_timeout=IDLE_SECONDS
            )
        else:
            self.connector = aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=IDLE_SECONDS,
                use_dns_cache=False,
                resolver=_Resolver(),
                socket_factory=lambda address: new_socket(address[0]),
            )
        self._destinations: dict[tuple[str, str, int, Any], aiohttp.ClientRequest] = {}
        _ways.add(self)

    def name(self, request: RawRequest) -> str:
        """What is connected to, for a message."""
        if self.route.proxy is not None:
            return f"{request.host}:{request.port} through {self.route.proxy.url}"
        if self.route.unix_socket is not None:
            return f"the unix socket {self.route.unix_socket!a:.200}"
        return f"{request.host}:{request.port}"

    async def connected(self, request: RawRequest) -> tuple[TakenOver, Connection]:
        """An idle connection that is still good, or a new one.

        Raises:
            NameResolutionError, ConnectError, ProxyError, TLSError: with `request_sent` "no".
            ConfigError: the proxy cannot keep to what the route says besides.
        """
        key = (request.scheme, request.host, request.port, request.tls)
        destination = self._destinations.get(key)
        if destination is None:
            if len(self._destinations) >= _KNOWN:
                self._destinations.clear()
            destination = self._destinations[key] = self._destination(request)
        dialer = ConnectorDialer(request, self._clock)
        token = _DIALER.set(dialer)
        try:
            while True:
                # Hook: the two arguments that `connect` takes besides the one that is documented.
                connection = await self.connector.connect(destination, [], _NO_TIMEOUT)
                transport: Any = connection.transport
                if transport is None:
                    connection.close()
                    raise ConnectionAbortedError("it closed the connection at once")
                wire = transport.get_protocol()
                if not isinstance(wire, TakenOver):
                    is_unix = isinstance(self.connector, aiohttp.UnixConnector)
                    if is_unix and transport.get_extra_info("peername") is None:
                        connection.close()  # the queue of the socket is full, which asyncio takes for a connection
                        await asyncio.sleep(FULL_QUEUE)
                        continue
                    wire = TakenOver(transport, wire, self._clock)
                    await dialer.prepare(wire, connection)
                    return wire, connection
                if wire.connection.is_fit():
                    return wire, connection
                wire.close()
                connection.close()
        except (TimeoutError, UnifetchError):
            raise
        except _RAISED as error:
            raise await dialer.reason_of(error) from error
        finally:
            with suppress(ValueError):  # of another context, if it is the garbage collector that ends this
                _DIALER.reset(token)

    def _destination(self, request: RawRequest) -> aiohttp.ClientRequest:
        # The connector tells connections apart by the server's name and the context. We begin TLS, and our resolver
        # says where to connect. It would not be asked about a host that is an address, so the host is no address.
        return aiohttp.ClientRequest(
            "GET",
            URL("http://connection.invalid"),
            loop=asyncio.get_running_loop(),
            ssl=True if request.tls is None else request.tls,
            server_hostname=f"{request.scheme}://{request.host}:{request.port}",
        )


class ConnectorDialer(AsyncioDialer):
    """Connects by aiohttp's connector: the steps wait for it where they have to connect. All of it has one timeout."""

    _connection: Connection | None = None
    _steps: Steps[Any] | None = None
    _failure: UnifetchError | None = None

    def __init__(self, request: RawRequest, clock: Clock) -> None:
        super().__init__(None, clock)
        self._request = request

    async def addresses(self) -> list[Address]:
        """Go through the steps before the connection: where it is to lead."""
        self._steps = dial(self, self._request)
        found: list[Address] = await self._go_on(self._steps, None)
        return found

    async def prepare(self, wire: TakenOver, connection: Connection) -> None:
        """Go through the steps on a connection that was opened."""
        self.wire, self._connection = wire, connection
        if self._steps is None:  # to a unix socket, which needs no resolver
            await self.addresses()
        problem: UnifetchError | None = None
        if connection.protocol is None or connection.protocol.should_close:
            # It went to aiohttp's protocol, before ours was there.
            kind = ProtocolError if self._request.route.proxy is None else ProxyError
            problem = kind("it sent something before it was asked")
        elif wire.has_ended():
            problem = ConnectError("it closed the connection at once")
        await self._go_on(self._steps, problem)
        if self.wire is not wire:
            wire.carry(self.wire)

    async def reason_of(self, error: Exception) -> UnifetchError:
        """What is raised if aiohttp could not connect."""
        if self._failure is None:
            with suppress(UnifetchError):
                if self._steps is None:
                    await self.addresses()
                cause = getattr(error, "os_error", error)
                code = getattr(cause, "errno", None)
                if code:
                    cause = refusal(code)  # asyncio has words of its own
                elif not isinstance(cause, OSError):  # the connector was closed meanwhile
                    cause = ConnectionAbortedError(str(cause))
                await self._go_on(self._steps, cause)
        return self._failure or connect_error(error, self._request.host, self._request.port)

    async def _go_on(self, steps: Any, problem: BaseException | None) -> Any:
        try:
            step = steps.send(None) if problem is None else steps.throw(problem)
            while not isinstance(step, list):  # of addresses, to be connected to
                try:
                    outcome = await step
                except BaseException as error:  # noqa: BLE001  # whatever it is, the steps decide
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration:
            return None
        except UnifetchError as error:
            self._failure = error
            raise
        return step

    def connect(self, addresses: list[Address]) -> list[Address]:  # type: ignore[override]  # it is not awaited
        return addresses

    def close(self) -> None:
        if self._connection is not None:
            self.wire.close()
            self._connection.close()


_DIALER: ContextVar[ConnectorDialer] = ContextVar("unifetch_dialer")


class _Resolver(AbstractResolver):
    """Has a connector connect to the addresses that the steps have come to."""

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> Any:
        """The addresses of the request that is being dialed for, in the form that aiohttp wants."""
        return [
            {"hostname": host, "host": address[0], "port": address[1], "family": family, "proto": 0, "flags": 0}
            for family, address in await _DIALER.get().addresses()
        ]

    async def close(self) -> None:
        """Nothing is kept."""


_ways: WeakSet[_Way] = WeakSet()
_inherited: list[_Way] = []  # a connector that is collected closes its connections; those of the parent are not ours
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _inherited.extend(_ways))


# --- An injected session ----------------------------------------------------------------------------

_SKIPPED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_MOST = 100 * 1024


async def _once(request: Any, handler: Any) -> aiohttp.ClientResponse:
    # A middleware. The session decides by the failure that it sees whether to send the request again.
    try:
        response: aiohttp.ClientResponse = await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientError("not sent again") from error
    return response


async def _through_session(session: aiohttp.ClientSession, request: RawRequest) -> AsyncRawResponse:
    refuse_closed(session, session.closed)
    exchange = Exchange(request.timeout, request.deadline)
    exchange.sent = "maybe"
    ends = exchange.deadline
    try:
        left = None if ends is None else exchange.within(None)
        async with asyncio.timeout(left):
            response = await session.request(
                request.method,
                URL(request.url, encoded=True),
                # aiohttp frames what has no length, and refuses to be told so.
                headers=CIMultiDict(pair for pair in request.headers if pair[0].lower() != "transfer-encoding"),
                data=request.body if request.body is None or isinstance(request.body, bytes) else _blocks(request.body),
                skip_auto_headers=_SKIPPED,
                allow_redirects=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=exchange.timeout.connect, sock_read=exchange.timeout.read
                ),
                max_line_size=_MOST,
                max_field_size=_MOST,
                middlewares=(_once,),
            )
    except _RAISED as error:
        translate(error, ERRORS, exchange, request)

    if response.cookies:
        _forget(session.cookie_jar, response)

    # The head
    exchange.sent = "yes"
    version = response.version
    fields = Headers.trusted([(n.decode("latin-1"), v.decode("latin-1")) for n, v in response.raw_headers])
    body = _SessionBody(response, exchange, request)
    return AsyncRawResponse(
        response.status,
        (response.reason or "").encode("utf-8", "surrogateescape").decode("latin-1"),
        "HTTP/1.1" if version is None else f"HTTP/{version.major}.{version.minor}",
        fields,
        body,
        body.close,
    )


def _forget(jar: aiohttp.abc.AbstractCookieJar, response: aiohttp.ClientResponse) -> None:
    # A session keeps the cookies that it receives, and would send them beside ours. Its owner's own stay.
    names, host = response.cookies, response.url.host or ""
    jar.clear(lambda cookie: cookie.key in names and f".{host}".endswith(f".{cookie['domain']}"))


async def _blocks(body: Any) -> AsyncIterator[bytes]:
    # aiohttp takes an asynchronous generator for a body; of other iterables it would make a form.
    async for block in body:
        yield block


class _SessionBody:
    """The chunks, as the session's own response gives them."""

    def __init__(self, response: aiohttp.ClientResponse, exchange: Exchange, request: RawRequest) -> None:
        self._request = request
        self._response = response
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            async with asyncio.timeout(self._exchange.within(None)):
                block: bytes = await self._response.content.readany()
        except _RAISED as error:
            self._response.close()
            translate(error, ERRORS, self._exchange, self._request)
        except BaseException:
            self._response.close()
            raise
        if not block:
            raise StopAsyncIteration
        return block

    async def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        if not self._response.content.at_eof():
            self._response.close()
        self._response.release()


def conflicts(session: aiohttp.ClientSession) -> dict[str, bool]:
    """What a session may carry that would be lost, and whether it does."""
    return {
        "auth": session.auth is not None,
        "cookies": len(session.cookie_jar) > 0,
        "headers": bool(session.headers),
        "raise_for_status": bool(session.raise_for_status),
        "timeout": session.timeout != aiohttp.client.DEFAULT_TIMEOUT,
        "trace_configs": bool(session.trace_configs),
        "trust_env": bool(session.trust_env),
        # aiohttp gives these no public name. They are looked at nevertheless: better than to lose them unseen.
        "base_url": getattr(session, "_base_url", None) is not None,
        "middlewares": bool(getattr(session, "_middlewares", ())),
        "proxy": getattr(session, "_default_proxy", None) is not None,
    }
