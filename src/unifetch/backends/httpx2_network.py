"""What `httpcore2`, the engine of httpx2, stands on here: connections that take our route and keep to the deadline.

Its `network_backend` is documented; by it we choose where a connection leads, and the total timeout reaches every
read. What is handed to it as a timeout is the `Attempt`. The awaited pool has connections of our own, too, which a
cancelled task leaves closed. httpcore2's own proxies are not used: they add fields to a CONNECT, and their SOCKS takes
it that a reply comes in one piece.
"""

from __future__ import annotations

from functools import partial
from time import monotonic

import httpcore2

from ..errors import ConnectError, ProxyError, UnifetchError
from ..routes import is_looked_up
from .anyio_dialing import dial
from .base import check_tunnel, proxy_error, time_left, tunnel_target
from .poisoning import Exchanges
from .pooled_body import PooledBody
from .resolution import checked, look_up
from .socks import SCHEMES, converse, socks5

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any, Literal

    from ..headers import Pairs
    from ..routes import Route
    from .anyio_wire import Limit, Wire
    from .base import Attempt


# --- The pools ------------------------------------------------------------------------------------


def new_pool(tls: ssl.SSLContext | None, route: Route) -> httpcore2.ConnectionPool:
    # How many connections there are is decided by the core; how long one stays idle, here.
    return httpcore2.ConnectionPool(
        ssl_context=None if tls is None else _Untouched(tls),  # type: ignore[arg-type]  # it only passes through
        max_connections=None,
        max_keepalive_connections=20,
        keepalive_expiry=30.0,
        network_backend=_Network(route, tunnels=tls is not None),
    )


class _Untouched:
    """Stands for a context on its way through httpcore2, which would change the protocols (ALPN) that ours offers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.ours = context

    def set_alpn_protocols(self, protocols: object) -> None:
        """Leave them as they are."""


class AsyncPool(httpcore2.AsyncConnectionPool):
    """Their pool, of our connections."""

    def __init__(self, tls: ssl.SSLContext | None, route: Route) -> None:
        super().__init__(max_connections=None, max_keepalive_connections=None)
        self._network = _AsyncNetwork(tls, route)

    def create_connection(self, origin: httpcore2.Origin) -> httpcore2.AsyncConnectionInterface:
        return _AsyncConnection(origin, self._network)


class _AsyncConnection(httpcore2.AsyncConnectionInterface):
    """One connection in their pool: theirs, if a task is cancelled while it closes, is never closed and never free.

    They close by awaiting a lock. Here whatever ends an exchange before its end closes the socket, and the pool finds
    it closed; between that and the end of their cleaning up nothing waits.
    """

    def __init__(self, origin: httpcore2.Origin, network: _AsyncNetwork) -> None:
        self._origin = origin
        self._network = network
        self._state: Literal["new", "busy", "idle", "closed"] = "new"
        self._stream: AsyncStream | None = None
        self._http: httpcore2.AsyncHTTP11Connection | None = None
        self._idle_since = 0.0

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        if self._state == "idle" and self._stream is not None and self._stream.is_doubtful():
            self.close()
        if self._state not in ("new", "idle"):
            raise httpcore2.ConnectionNotAvailable
        self._state = "busy"
        try:
            if self._stream is None or self._http is None:
                attempt = request.extensions["timeout"]["connect"]
                self._stream = await self._network.connect(
                    self._origin.host.decode("ascii"), self._origin.port, attempt
                )
                self._http = httpcore2.AsyncHTTP11Connection(self._origin, self._stream)
            answer = await self._http.handle_async_request(request)
        except BaseException:
            self.close()
            raise
        answer.stream = self._stream.body = PooledBody(self, answer.stream)
        return answer

    def release(self) -> None:
        """A response was read to its end, and h11 knows whether another may follow."""
        if self._http is not None and self._http.is_idle() and self._stream is not None and not self._stream.spoilt:
            self._state = "idle"
            self._idle_since = monotonic()
        else:
            self.close()

    def close(self) -> None:
        self._state = "closed"
        if self._stream is not None:
            self._stream.close()

    async def aclose(self) -> None:
        self.close()

    # --- What the pool asks -----------------------------------------------------------------------

    def can_handle_request(self, origin: httpcore2.Origin) -> bool:
        return origin == self._origin

    def is_available(self) -> bool:
        return self._state == "idle"

    def is_idle(self) -> bool:
        return self._state == "idle"

    def is_closed(self) -> bool:
        return self._state == "closed"

    def is_connected(self) -> bool:
        return self._stream is not None and self._state != "closed"

    def has_expired(self) -> bool:
        if self._state != "idle" or self._stream is None:
            return False
        # It asks at every request, of every connection. Who takes one looks once more.
        idle = monotonic() - self._idle_since
        return idle > 30 or (idle > 1 and self._stream.is_doubtful())

    def info(self) -> str:
        return f"{self._origin}, HTTP/1.1, {self._state}"


# --- The way --------------------------------------------------------------------------------------


class _Network(httpcore2.NetworkBackend):
    """httpcore2's own network, with connections that take our route, and streams that keep to the deadline.

    Args:
        route: how to get there.
        tunnels: whether an HTTP proxy is asked for a tunnel; otherwise each request says where to.
    """

    def __init__(self, route: Route, *, tunnels: bool) -> None:
        self._own = httpcore2.SyncBackend()
        self._route = route
        self._tunnels = tunnels

    def connect_tcp(self, host: str, port: int, timeout: Any = None, *_: Any, **__: Any) -> Stream:
        attempt: Attempt = timeout
        route = self._route
        with _as(httpcore2.ConnectTimeout):
            seconds = attempt.within(attempt.timeout.connect)
            ends = None if seconds is None else monotonic() + seconds
            if route.proxy is not None:
                stream = self._through_proxy(host, port, ends)
            elif route.unix_socket is not None:
                stream = self._to_unix_socket(route.unix_socket, seconds)
            else:
                stream = self._to_chosen(host, port, ends)
        return Stream(stream, 0 if stream.get_extra_info("ssl_object") is None else 1)

    def _to_unix_socket(self, path: str, seconds: float | None) -> httpcore2.NetworkStream:
        try:
            return self._own.connect_unix_socket(path, seconds)
        except httpcore2.ConnectError as error:
            raise ConnectError(f"no connection to unix socket {path!a}: {error}") from error

    def _to_chosen(self, host: str, port: int, ends: float | None) -> httpcore2.NetworkStream:
        failure: httpcore2.ConnectError | None = None
        for address in self._chosen(host, port, ends):
            try:
                return self._own.connect_tcp(address, port, time_left(ends))
            except httpcore2.ConnectError as error:
                failure = error
        raise failure or httpcore2.ConnectError(f"no address for {host}")

    def _chosen(self, host: str, port: int, ends: float | None) -> list[str]:
        route = self._route
        wanted, left = route.address or host, time_left(ends)
        try:
            found = look_up(wanted, port, left)
        except TimeoutError:
            raise
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(error) from error
        return [str(address[0]) for _, address in checked(route, host, found)]

    def _through_proxy(self, host: str, port: int, ends: float | None) -> httpcore2.NetworkStream:
        route, proxy = self._route, self._route.proxy
        if is_looked_up(route, host):
            host = self._chosen(host, port, ends)[0]
        stream: httpcore2.NetworkStream | None = None
        try:
            stream = self._own.connect_tcp(proxy.host, proxy.port, time_left(ends))
            if route.proxy_tls is not None:
                stream = stream.start_tls(route.proxy_tls, proxy.host.removesuffix("."), time_left(ends))
            talk = _Talk(stream, ends)
            if proxy.scheme in SCHEMES:
                converse(socks5(proxy, host, port), talk.write, talk.read)
            elif self._tunnels:
                asked = _tunnel(host, port, route.connect_headers)
                _check(httpcore2.HTTP11Connection(asked.url.origin, talk).handle_request(asked), asked)
        except BaseException as error:
            if stream is not None:
                stream.close()
            if isinstance(error, (httpcore2.TimeoutException, TimeoutError)):
                raise TimeoutError(f"no connection through {proxy.url} in time") from error
            if isinstance(error, (httpcore2.NetworkError, httpcore2.ProtocolError, OSError, UnicodeError, ProxyError)):
                raise proxy_error(error, proxy.url) from error
            raise
        return stream


class _AsyncNetwork:
    """The same, awaited, up to the end of the TLS handshake: our connections use it, not httpcore2's.

    Args:
        tls: for https.
        route: how to get there.
    """

    def __init__(self, tls: ssl.SSLContext | None, route: Route) -> None:
        self._tls = tls
        self._route = route
        self._ask_tunnel = partial(_ask_tunnel, route.connect_headers)

    async def connect(self, host: str, port: int, attempt: Attempt) -> AsyncStream:
        try:
            seconds = attempt.within(attempt.timeout.connect)
            limit = partial(time_left, None if seconds is None else monotonic() + seconds)
            return AsyncStream(await dial(self._route, self._tls, host, port, limit, self._ask_tunnel))
        except UnifetchError:
            raise
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(error) from error


# --- The proxy ------------------------------------------------------------------------------------


def _tunnel(host: str, port: int, headers: Pairs) -> httpcore2.Request:
    # What asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6), in httpcore2's own HTTP/1.1.
    target = tunnel_target(host, port).encode("ascii")
    url = httpcore2.URL(scheme=b"http", host=b"proxy", port=80, target=target)
    return httpcore2.Request(b"CONNECT", url, headers=encoded(headers))


def _check(answer: httpcore2.Response, asked: httpcore2.Request) -> None:
    reason = answer.extensions["reason_phrase"].decode("latin-1")
    check_tunnel(asked.url.target.decode("ascii"), answer.status, reason)


def encoded(headers: Pairs) -> list[tuple[bytes, bytes]]:
    """The fields as httpcore2 takes them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


class _Talk(httpcore2.NetworkStream):
    """A connection to a proxy until it has let us through, which has to be before the time to connect is over."""

    def __init__(self, stream: httpcore2.NetworkStream, ends: float | None) -> None:
        self._stream = stream
        self._ends = ends

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        self._stream.write(buffer, time_left(self._ends))

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        return self._stream.read(max_bytes, time_left(self._ends))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


async def _ask_tunnel(headers: Pairs, wire: Wire, host: str, port: int, limit: Limit) -> None:
    asked = _tunnel(host, port, headers)
    talk = _AsyncTalk(wire, limit)
    try:
        _check(await httpcore2.AsyncHTTP11Connection(asked.url.origin, talk).handle_async_request(asked), asked)
    except httpcore2.ProtocolError as error:
        raise ProxyError(str(error)) from error


class _AsyncTalk(httpcore2.AsyncNetworkStream):
    """The same, awaited."""

    def __init__(self, wire: Wire, limit: Limit) -> None:
        self._wire = wire
        self._limit = limit

    async def write(self, buffer: bytes, timeout: Any = None) -> None:
        await self._wire.write(buffer, self._limit)

    async def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        return await self._wire.read(max_bytes, self._limit)

    async def aclose(self) -> None:
        self._wire.close()

    def get_extra_info(self, info: str) -> Any:
        return None


# --- The stream -----------------------------------------------------------------------------------


class Stream(Exchanges, httpcore2.NetworkStream):
    """One connection: each read and write may take its phase's timeout, or what is left of the total.

    It also sees whether a byte of the request has left, which httpcore2 does not tell.
    """

    def __init__(self, stream: httpcore2.NetworkStream, layers: int = 0) -> None:
        super().__init__()
        self._stream = stream
        self._layers = layers  # of TLS

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        attempt: Attempt = timeout
        if attempt is not self.attempt:
            if self.attempt is not None and self._is_doubtful():
                # The pool asks the same, but not of a connection that becomes idle while it looks. Nothing was sent
                # yet, and it takes another.
                raise httpcore2.ConnectionNotAvailable
            self.begin(attempt)
        if not buffer:
            return
        with _as(httpcore2.WriteTimeout):
            seconds = attempt.within(attempt.timeout.write)
        attempt.sent = "maybe"
        self._stream.write(buffer, seconds)

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        attempt: Attempt = timeout
        with _as(httpcore2.ReadTimeout):
            seconds = attempt.within(attempt.timeout.read)
        data = self._stream.read(max_bytes, seconds)
        self.took(attempt, data)
        return data

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None) -> Stream:
        attempt: Attempt = timeout
        with _as(httpcore2.ConnectTimeout):
            seconds = attempt.within(attempt.timeout.connect)
        context = ssl_context.ours if isinstance(ssl_context, _Untouched) else ssl_context
        # No certificate has the dot of a complete name (RFC 6066 §3).
        name = None if server_hostname is None else server_hostname.removesuffix(".")
        return Stream(self._stream.start_tls(context, name, seconds), self._layers + 1)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        # This is how the pool asks whether an idle connection is still good: a readable one is not.
        return self._is_doubtful() if info == "is_readable" else self._stream.get_extra_info(info)

    def _is_doubtful(self) -> bool:
        if self.spoilt or self._stream.get_extra_info("is_readable"):
            return True
        if self._layers < 2:
            return False
        # Of TLS in TLS, the inner layer may hold what the socket does not show. A read that waits for nothing tells.
        try:
            self._stream.read(1, 0)
        except (httpcore2.ReadError, httpcore2.ReadTimeout):
            return False
        return True


class AsyncStream(Exchanges, httpcore2.AsyncNetworkStream):
    """The same, awaited. What is doubtful of it is its connection's to ask.

    Attributes:
        body: that of the response that is being read.
    """

    body: PooledBody

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    async def write(self, buffer: bytes, timeout: Any = None) -> None:
        attempt: Attempt = timeout
        if attempt is not self.attempt:
            self.begin(attempt)
        if not buffer:
            return
        limit = partial(attempt.within, attempt.timeout.write)
        try:
            limit()
            attempt.sent = "maybe"
            await self._wire.write(buffer, limit)
        except TimeoutError as error:
            raise httpcore2.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.WriteError(str(error)) from error

    async def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        attempt: Attempt = timeout
        limit = partial(attempt.within, attempt.timeout.read)
        try:
            limit()
            data = await self._wire.read(max_bytes, limit)
        except TimeoutError as error:
            raise httpcore2.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from error
        self.took(attempt, data)
        return data

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self._wire.close()

    def get_extra_info(self, info: str) -> Any:
        return self.is_doubtful() if info == "is_readable" else None

    def is_doubtful(self) -> bool:
        return self.spoilt or self._wire.is_doubtful()


class _as:
    """A deadline that has passed, as the error of the library's phase."""

    def __init__(self, kind: type[Exception]) -> None:
        self._kind = kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TimeoutError):
            raise self._kind(str(error)) from error
