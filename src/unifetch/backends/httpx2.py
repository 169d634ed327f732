"""`httpx2`, entered at the connection pool of its engine `httpcore2`, one layer below its transport.

What httpx2 does by itself: it follows no redirects; it keeps cookies, decodes what it did not ask for, and
reads proxies from the environment. At the pool there is none of that, and a fifth of its time goes as well.
The pool parses with h11, which is strict, and takes a documented `network_backend`, through which the
total timeout reaches every read, and by which we choose where a connection leads. Its own proxies are not
used: they add fields to a CONNECT, and their SOCKS takes it that a reply comes in one piece.

Bytes that follow a response in the same segment httpcore2 would take for the next one. Our streams count,
and such a connection is not used again.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from functools import partial
from time import monotonic
from weakref import WeakSet

import httpcore2
import httpx2

from ..errors import (
    ConfigConflict,
    ConfigError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    IncompleteBody,
    InvalidRequest,
    PoolTimeout,
    ProtocolError,
    ProxyError,
    ReadTimeout,
    TimedOut,
    TooLarge,
    UnifetchError,
    WriteTimeout,
    evidence,
)
from ..headers import Headers
from ..messages import AsyncRawResponse, RawResponse
from ..routes import DIRECT, refuse_private
from .anyio_wire import connect, look_up
from .base import ASYNC_CAPABILITIES, Attempt, Capability, connect_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Generator, Iterable, Iterator
    from typing import Any, Literal, TypeAlias

    from ..headers import Pairs
    from ..messages import RawRequest
    from ..routes import Route
    from .anyio_wire import Limit, Wire

    # What is to be sent, or how many bytes are to be read and given back.
    Conversation: TypeAlias = Generator[bytes | int, bytes, None]

CAPABILITIES = frozenset(
    {
        Capability.HARD_DEADLINE,
        Capability.EXACT_TARGET,
        Capability.EXACT_HEADERS,
        Capability.STRICT_HEAD,
        Capability.STRICT_CHUNKS,
        Capability.INTERIM,
        Capability.KEEP_ALIVE,
        Capability.EARLY_RESPONSE,
        Capability.REQUEST_SENT,
        Capability.TLS_CONTEXT,
        Capability.TLS_TRUNCATION,
        Capability.NO_POISONING,
        Capability.PROXY,
        Capability.TLS_PROXY,
        Capability.SOCKS,
        Capability.RESOLVE,
        Capability.FORBID_PRIVATE,
    }
)
if hasattr(socket, "AF_UNIX"):
    CAPABILITIES |= {Capability.UNIX_SOCKET}

# A client of the caller's own connects by its own means and with its own TLS settings.
INJECTED_CAPABILITIES = CAPABILITIES - {
    Capability.HARD_DEADLINE,
    Capability.REQUEST_SENT,
    Capability.TLS_CONTEXT,
    Capability.TLS_TRUNCATION,
    Capability.NO_POISONING,
    Capability.PROXY,
    Capability.TLS_PROXY,
    Capability.SOCKS,
    Capability.RESOLVE,
    Capability.FORBID_PRIVATE,
    Capability.UNIX_SOCKET,
}
# And on asyncio it loses what a server says before it refuses the rest of an upload.
ASYNC_INJECTED_CAPABILITIES = INJECTED_CAPABILITIES - {Capability.EARLY_RESPONSE} | ASYNC_CAPABILITIES

ERRORS: dict[type[Exception], type[UnifetchError]] = {
    httpcore2.PoolTimeout: PoolTimeout,
    httpcore2.ConnectTimeout: ConnectTimeout,
    httpcore2.WriteTimeout: WriteTimeout,
    httpcore2.ReadTimeout: ReadTimeout,
    httpcore2.NetworkError: ConnectionLost,
    httpcore2.LocalProtocolError: InvalidRequest,
    httpcore2.ProtocolError: ProtocolError,
    httpx2.PoolTimeout: PoolTimeout,
    httpx2.ConnectTimeout: ConnectTimeout,
    httpx2.WriteTimeout: WriteTimeout,
    httpx2.ReadTimeout: ReadTimeout,
    httpx2.NetworkError: ConnectionLost,
    httpx2.LocalProtocolError: InvalidRequest,
    httpx2.ProtocolError: ProtocolError,
    httpx2.TimeoutException: ReadTimeout,
    httpx2.HTTPError: ProtocolError,
    OSError: ConnectionLost,
}
_RAISED = tuple(ERRORS)


class Httpx2Backend:
    """Carries requests with httpx2.

    Args:
        native: an `httpx2.Client` to use instead, through its `send`; it stays open.

    Raises:
        ConfigConflict: for a client with settings that would be lost; it names the attribute.
    """

    name = "httpx2"
    contract: Literal[1] = 1
    native: object

    def __init__(self, native: httpx2.Client | None = None) -> None:
        self._client = native
        self._pools: dict[tuple[ssl.SSLContext | None, Route], httpcore2.ConnectionPool] = {}
        if native is None:
            self.capabilities = CAPABILITIES
            self._pool = self._pools[None, DIRECT] = _pool(None, DIRECT)
            self.native = self._pool
        else:
            _refuse_conflicts(native)
            self.capabilities = INJECTED_CAPABILITIES
            self.native = native

    # --- The request ------------------------------------------------------------------------------

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange; see `Backend.send`."""
        attempt = Attempt(request.timeout, request.deadline)
        answer: httpcore2.Response | httpx2.Response
        try:
            if self._client is None:
                answer = self._through_pool(request, attempt)
                status, fields = answer.status, answer.headers
            else:
                answer = self._through_client(self._client, request, attempt)
                status, fields = answer.status_code, answer.headers.raw
        except UnifetchError:
            raise  # from our own network, below
        except _RAISED as error:
            raise _translated(error, attempt, request) from error

        # --- The head -----------------------------------------------------------------------------
        attempt.sent = "yes"
        headers = Headers.trusted([(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields])
        return RawResponse(
            status,
            answer.extensions.get("reason_phrase", b"").decode("latin-1"),
            answer.extensions.get("http_version", b"HTTP/1.1").decode("ascii"),
            headers,
            _chunks(answer, attempt, request, _length(request.method, status, headers)),
            answer.close,
        )

    def _through_pool(self, request: RawRequest, attempt: Attempt) -> httpcore2.Response:
        return self._pool_for(request.tls, request.route).handle_request(_for_pool(request, attempt))

    def _through_client(self, client: httpx2.Client, request: RawRequest, attempt: Attempt) -> httpx2.Response:
        theirs = _for_client(request, attempt, _Upload(request.body))
        return client.send(theirs, stream=True, auth=None, follow_redirects=False)

    def _pool_for(self, tls: ssl.SSLContext | None, route: Route) -> httpcore2.ConnectionPool:
        # A pool takes one context and one way for all of its connections, so there is one for each.
        if tls is None and route is DIRECT:
            return self._pool
        pool = self._pools.get((tls, route))
        return pool if pool is not None else self._pools.setdefault((tls, route), _pool(tls, route))

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections; a client that was injected stays open."""
        if self._client is None:
            for pool in list(self._pools.values()):
                pool.close()


class AsyncHttpx2Backend:
    """The same with an `httpx2.AsyncClient`, on asyncio and on trio.

    Args:
        native: an `httpx2.AsyncClient` to use instead, through its `send`; it stays open.

    Raises:
        ConfigConflict: for a client with settings that would be lost; it names the attribute.
    """

    name = "httpx2"
    contract: Literal[1] = 1
    native: object

    def __init__(self, native: httpx2.AsyncClient | None = None) -> None:
        self._client = native
        self._pools: dict[tuple[ssl.SSLContext | None, Route], _AsyncPool] = {}
        if native is None:
            self.capabilities = CAPABILITIES | ASYNC_CAPABILITIES
            self._pool = self._pools[None, DIRECT] = _AsyncPool(None, DIRECT)
            self.native = self._pool
        else:
            _refuse_conflicts(native)
            self.capabilities = ASYNC_INJECTED_CAPABILITIES
            self.native = native

    # --- The request ------------------------------------------------------------------------------

    async def send(self, request: RawRequest) -> AsyncRawResponse:
        """Perform one exchange; see `AsyncBackend.send`."""
        attempt = Attempt(request.timeout, request.deadline)
        answer: httpcore2.Response | httpx2.Response
        try:
            if self._client is None:
                answer = await self._through_pool(request, attempt)
                status, fields = answer.status, answer.headers
            else:
                answer = await self._through_client(self._client, request, attempt)
                status, fields = answer.status_code, answer.headers.raw
        except UnifetchError:
            raise  # from our own network, below
        except _RAISED as error:
            raise _translated(error, attempt, request) from error
        finally:
            # A generator that was not asked for all that it has would be left to the event loop.
            if (end := getattr(request.body, "aclose", None)) is not None:
                await end()

        # --- The head -----------------------------------------------------------------------------
        attempt.sent = "yes"
        headers = Headers.trusted([(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields])
        chunks = _AsyncChunks(answer, attempt, request, _length(request.method, status, headers))
        return AsyncRawResponse(
            status,
            answer.extensions.get("reason_phrase", b"").decode("latin-1"),
            answer.extensions.get("http_version", b"HTTP/1.1").decode("ascii"),
            headers,
            chunks,
            chunks.aclose,
        )

    async def _through_pool(self, request: RawRequest, attempt: Attempt) -> httpcore2.Response:
        return await self._pool_for(request.tls, request.route).handle_async_request(_for_pool(request, attempt))

    async def _through_client(
        self, client: httpx2.AsyncClient, request: RawRequest, attempt: Attempt
    ) -> httpx2.Response:
        theirs = _for_client(request, attempt, _AsyncUpload(request.body))
        return await client.send(theirs, stream=True, auth=None, follow_redirects=False)

    def _pool_for(self, tls: ssl.SSLContext | None, route: Route) -> _AsyncPool:
        if tls is None and route is DIRECT:
            return self._pool
        pool = self._pools.get((tls, route))
        return pool if pool is not None else self._pools.setdefault((tls, route), _AsyncPool(tls, route))

    # --- The end ----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close idle connections; a client that was injected stays open."""
        if self._client is None:
            for pool in list(self._pools.values()):
                await pool.aclose()


def _for_pool(request: RawRequest, attempt: Attempt) -> httpcore2.Request:
    theirs = httpcore2.Request(
        request.method.encode("ascii"),
        httpcore2.URL(
            scheme=request.scheme.encode("ascii"),
            host=request.host.encode("ascii"),
            port=request.port,
            target=request.target.encode("ascii"),
        ),
        content=request.body,
        # The other phases are the streams' own business, below. What is handed to them as their timeout is the attempt.
        extensions={
            "timeout": {
                "pool": attempt.within(attempt.timeout.pool),
                "connect": attempt,
                "write": attempt,
                "read": attempt,
            }
        },
    )
    theirs.headers = _encoded(request.headers)  # set afterwards, it is not checked once more: 3 µs less
    return theirs


def _for_client(request: RawRequest, attempt: Attempt, stream: _Upload | _AsyncUpload) -> httpx2.Request:
    return httpx2.Request(
        request.method,
        request.url,
        headers=_encoded(request.headers),
        stream=stream,
        extensions={"timeout": _timeouts(attempt), "target": request.target.encode("ascii")},
    )


# --- The chunks -----------------------------------------------------------------------------------


def _chunks(
    answer: httpcore2.Response | httpx2.Response, attempt: Attempt, request: RawRequest, length: int | None
) -> Iterator[bytes]:
    try:
        yield from answer.stream  # type: ignore[misc]  # typed as possibly asynchronous, which a sync call never gives
        stream = answer.extensions.get("network_stream")
        if isinstance(stream, _Stream):
            stream.done(length)
    except _RAISED as error:
        raise _translated(error, attempt, request) from error
    finally:
        answer.close()


class _AsyncChunks:
    """The same, awaited. No generator, for one that is not read to its end would be left to the event loop to close."""

    def __init__(
        self, answer: httpcore2.Response | httpx2.Response, attempt: Attempt, request: RawRequest, length: int | None
    ) -> None:
        stream = answer.extensions.get("network_stream")
        self._stream = stream if isinstance(stream, _AsyncStream) else None
        # Past the pool's own generator, where there is our stream.
        chunks: Any = answer.stream if self._stream is None else self._stream.body
        self._chunks = chunks.__aiter__()
        self._answer = answer
        self._attempt = attempt
        self._request = request
        self._length = length

    def __aiter__(self) -> _AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk: bytes = await self._chunks.__anext__()
        except StopAsyncIteration:
            if self._stream is not None:
                self._stream.done(self._length)
            await self.aclose()
            raise
        except _RAISED as error:
            await self.aclose()
            raise _translated(error, self._attempt, self._request) from error
        except BaseException:
            await self.aclose()
            raise
        return chunk

    async def aclose(self) -> None:
        """Give the connection back if all of the body was read, else close it."""
        await self._answer.aclose()
        if self._stream is None:
            await self._chunks.aclose()
        elif self._stream.body.interrupted is not None:
            interrupted, self._stream.body.interrupted = self._stream.body.interrupted, None
            raise interrupted


def _length(method: str, status: int, headers: Headers) -> int | None:
    # Of the content, by what the core has checked or is going to; None for chunks.
    if method == "HEAD" or status in (204, 304):
        return 0
    length = headers.by_name().get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None


# --- The wire -------------------------------------------------------------------------------------


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

    def connect_tcp(self, host: str, port: int, timeout: Any = None, *_: Any, **__: Any) -> _Stream:
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
        return _Stream(stream, 0 if stream.get_extra_info("ssl_object") is None else 1)

    def _to_unix_socket(self, path: str, seconds: float | None) -> httpcore2.NetworkStream:
        try:
            return self._own.connect_unix_socket(path, seconds)
        except httpcore2.ConnectError as error:
            raise ConnectError(f"no connection to unix socket {path!a}: {error}") from error

    def _to_chosen(self, host: str, port: int, ends: float | None) -> httpcore2.NetworkStream:
        failure: httpcore2.ConnectError | None = None
        for address in _chosen(self._route, host, port, ends):
            try:
                return self._own.connect_tcp(address, port, _left(ends))
            except httpcore2.ConnectError as error:
                failure = error
        raise failure or httpcore2.ConnectError(f"no address for {host}")

    def _through_proxy(self, host: str, port: int, ends: float | None) -> httpcore2.NetworkStream:
        route, proxy = self._route, self._route.proxy
        is_socks = proxy.scheme in ("socks5", "socks5h")
        if is_socks and (proxy.scheme == "socks5" or route.address is not None):
            host = _chosen(route, host, port, ends)[0]
        else:
            _refuse_choice(route, host)
        stream: httpcore2.NetworkStream | None = None
        try:
            stream = self._own.connect_tcp(proxy.host, proxy.port, _left(ends))
            if route.proxy_tls is not None:
                stream = stream.start_tls(route.proxy_tls, proxy.host, _left(ends))
            if is_socks:
                _Talk(stream, ends).hold(_socks5(proxy, host, port))
            elif self._tunnels:
                asked = _tunnel(host, port, route.connect_headers)
                talk = _Talk(stream, ends)
                _check(httpcore2.HTTP11Connection(asked.url.origin, talk).handle_request(asked), asked)
        except BaseException as error:
            if stream is not None:
                stream.close()
            failure = _of_proxy(error, proxy)
            if failure is None:
                raise
            raise failure from error
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

    async def connect(self, host: str, port: int, attempt: Attempt) -> _AsyncStream:
        route = self._route
        try:
            seconds = attempt.within(attempt.timeout.connect)
            limit = partial(_left, None if seconds is None else monotonic() + seconds)
            if route.proxy is not None:
                wire = await self._through_proxy(host, port, limit)
            elif route.unix_socket is not None:
                wire = await self._to_unix_socket(route.unix_socket, limit)
            else:
                wire = await _connected(await _async_chosen(route, host, port, limit), limit)
            if self._tls is not None:
                await _secured(wire, self._tls, host, limit)
        except UnifetchError:
            raise
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(error) from error
        return _AsyncStream(wire)

    async def _to_unix_socket(self, path: str, limit: Limit) -> Wire:
        try:
            return await connect(socket.AF_UNIX, path, limit)
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectError(f"no connection to unix socket {path!a}: {error}") from error

    async def _through_proxy(self, host: str, port: int, limit: Limit) -> Wire:
        route, proxy = self._route, self._route.proxy
        is_socks = proxy.scheme in ("socks5", "socks5h")
        if is_socks and (proxy.scheme == "socks5" or route.address is not None):
            host = str((await _async_chosen(route, host, port, limit))[0][4][0])
        else:
            _refuse_choice(route, host)
        wire: Wire | None = None
        try:
            wire = await _connected(await look_up(proxy.host, proxy.port, limit), limit)
            if route.proxy_tls is not None:
                await wire.start_tls(route.proxy_tls, proxy.host, limit)
            if is_socks:
                await _AsyncTalk(wire, limit).hold(_socks5(proxy, host, port))
            elif self._tls is not None:
                asked = _tunnel(host, port, route.connect_headers)
                talk = _AsyncTalk(wire, limit)
                _check(await httpcore2.AsyncHTTP11Connection(asked.url.origin, talk).handle_async_request(asked), asked)
        except BaseException as error:
            if wire is not None:
                wire.close()
            failure = _of_proxy(error, proxy)
            if failure is None:
                raise
            raise failure from error
        return wire


async def _async_chosen(route: Route, host: str, port: int, limit: Limit) -> list[Any]:
    found = await look_up(route.address or host, port, limit)
    if route.public_only:
        for _, _, _, _, address in found:
            refuse_private(host, str(address[0]))
    return found


async def _connected(found: list[Any], limit: Limit) -> Wire:
    failure: OSError | None = None
    for family, _, _, _, address in found:
        try:
            return await connect(family, address, limit)
        except OSError as error:
            failure = error
    raise failure or OSError("no address")


async def _secured(wire: Wire, tls: ssl.SSLContext, host: str, limit: Limit) -> None:
    try:
        await wire.start_tls(tls, host, limit)
    except BaseException:
        wire.close()
        raise


def _refuse_choice(route: Route, host: str) -> None:
    if route.public_only or route.address is not None:
        setting = "forbid_private" if route.public_only else "resolve"
        raise ConfigError(f"{setting} cannot be kept with the proxy {route.proxy.url}, which itself resolves {host}")


def _of_proxy(error: BaseException, proxy: Any) -> Exception | None:
    # What this means of a connection through a proxy; None where it says so itself.
    if isinstance(error, (httpcore2.TimeoutException, TimeoutError)):
        return httpcore2.ConnectTimeout(f"no connection through {proxy.url} in time")
    theirs = (httpcore2.NetworkError, httpcore2.ProtocolError, OSError, UnicodeError, EOFError)
    if isinstance(error, (*theirs, ProxyError)):
        failure = ProxyError(f"no connection through {proxy.url}: {error or 'it ended the connection'}")
        failure.status = getattr(error, "status", None)
        return failure
    return None


def _chosen(route: Route, host: str, port: int, ends: float | None) -> list[str]:
    # What is refused or allowed here is what is connected to: there is no second look-up.
    if route.address is not None:
        addresses = [route.address]
    else:
        addresses = [str(address[0]) for _, _, _, _, address in _looked_up(host, port, _left(ends))]
    if route.public_only:
        for address in addresses:
            refuse_private(host, address)
    return addresses


def _looked_up(host: str, port: int, seconds: float | None) -> list[Any]:
    try:
        # An address needs no resolver, and no thread.
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        outcome: list[Any] = []

    def look_up() -> None:
        try:
            outcome.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            outcome.append(error)

    # Nothing interrupts getaddrinfo. If it takes too long, it is left behind in a thread of its own.
    resolver = threading.Thread(target=look_up, name=f"resolving {host}", daemon=True)
    resolver.start()
    resolver.join(seconds)
    if not outcome:
        raise TimeoutError(f"no address for {host} in time")
    if isinstance(outcome[0], Exception):
        raise httpcore2.ConnectError(outcome[0]) from outcome[0]
    found: list[Any] = outcome[0]
    return found


def _left(ends: float | None) -> float | None:
    if ends is None:
        return None
    left = ends - monotonic()
    if left <= 0:
        raise TimeoutError("the time to connect is over")
    return left


class _Talk(httpcore2.NetworkStream):
    """A connection to a proxy until it has let us through, which has to be before the time to connect is over."""

    def __init__(self, stream: httpcore2.NetworkStream, ends: float | None) -> None:
        self._stream = stream
        self._ends = ends

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        self._stream.write(buffer, _left(self._ends))

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._ends))

    def hold(self, conversation: Conversation) -> None:
        with suppress(StopIteration):
            step = next(conversation)
            while True:
                if isinstance(step, bytes):
                    self.write(step)
                    step = next(conversation)
                    continue
                data = b""
                while len(data) < step:
                    more = self.read(step - len(data))
                    if not more:
                        raise EOFError
                    data += more
                step = conversation.send(data)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _AsyncTalk(httpcore2.AsyncNetworkStream):
    """The same, awaited."""

    def __init__(self, wire: Wire, limit: Limit) -> None:
        self._wire = wire
        self._limit = limit

    async def write(self, buffer: bytes, timeout: Any = None) -> None:
        await self._wire.write(buffer, self._limit)

    async def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        return await self._wire.read(max_bytes, self._limit)

    async def hold(self, conversation: Conversation) -> None:
        with suppress(StopIteration):
            step = next(conversation)
            while True:
                if isinstance(step, bytes):
                    await self.write(step)
                    step = next(conversation)
                    continue
                data = b""
                while len(data) < step:
                    more = await self.read(step - len(data))
                    if not more:
                        raise EOFError
                    data += more
                step = conversation.send(data)

    async def aclose(self) -> None:
        self._wire.close()

    def get_extra_info(self, info: str) -> Any:
        return None


def _tunnel(host: str, port: int, headers: Pairs) -> httpcore2.Request:
    # What asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6), in httpcore2's own HTTP/1.1.
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    url = httpcore2.URL(scheme=b"http", host=b"proxy", port=80, target=authority.encode("ascii"))
    return httpcore2.Request(b"CONNECT", url, headers=_encoded(headers))


def _check(answer: httpcore2.Response, asked: httpcore2.Request) -> None:
    """The answer to that.

    Raises:
        ProxyError: it refused.
    """
    if not 200 <= answer.status < 300:
        reason = answer.extensions["reason_phrase"].decode("latin-1")
        refused = f"it refused a tunnel to {asked.url.target.decode('ascii')}: {answer.status}"
        error = ProxyError(f"{refused} {evidence(reason)[1:-1]}".rstrip())
        error.status = answer.status
        raise error


_REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
}


def _socks5(proxy: Any, host: str, port: int) -> Conversation:
    """Ask a SOCKS5 proxy for a connection (RFC 1928, RFC 1929); a name is left for it to resolve.

    Yields what is to be sent, or how many bytes are to be read and given back.

    Raises:
        ProxyError: it refused, or does not speak SOCKS5.
    """
    methods = b"\x00" if proxy.username is None else b"\x00\x02"
    yield bytes((5, len(methods))) + methods
    version, method = yield 2
    if version != 5:
        raise ProxyError(f"it does not speak SOCKS5: it began with {evidence(bytes((version, method)))}")
    if method not in methods:
        raise ProxyError("it accepts " + ("nobody without a login" if proxy.username is None else "no login of ours"))
    if method == 2:
        yield b"\x01" + _counted("user name", proxy.username) + _counted("password", proxy.password)
        if (yield 2)[1]:
            raise ProxyError("it refused the user name and password")
    yield b"\x05\x01\x00" + _destination(host) + port.to_bytes(2, "big")
    version, reply, _, kind = yield 4
    if version != 5 or kind not in (1, 3, 4):
        raise ProxyError("its reply is not of SOCKS5")
    if reply:
        raise ProxyError(f"it did not connect to {host}:{port}: {_REPLIES.get(reply, f'reply {reply}')}")
    yield {1: 4, 4: 16}.get(kind) or (yield 1)[0]
    yield 2


def _destination(host: str) -> bytes:
    from ipaddress import ip_address

    try:
        address = ip_address(host)
    except ValueError:
        return b"\x03" + _counted("host", host)
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


def _counted(what: str, text: str) -> bytes:
    data = text.encode()
    if len(data) > 255:
        raise ConfigError(f"proxy: SOCKS5 takes a {what} of at most 255 bytes, not {len(data)}")
    return bytes((len(data),)) + data


# Bytes; with what one read may bring along.
MAX_HEADS = 256 * 1024


class _Exchanges:
    """What a stream knows of its connection: the exchange that it is at, and where the response of that ends."""

    def __init__(self) -> None:
        self._attempt: Attempt | None = None
        self._head = b""
        self._heads = 0  # bytes of all heads, interim ones included
        self._content = -1  # bytes after the head; -1 until its end has come
        self._last = self._before = b""
        self.spoilt = False

    def _begin(self, attempt: Attempt) -> None:
        attempt.reused = self._attempt is not None
        self._attempt = attempt
        self._content, self._heads = -1, 0

    def _took(self, attempt: Attempt, data: bytes) -> None:
        if data:
            attempt.answered = True
            self._count(data)
        else:
            attempt.ended = True

    def _count(self, data: bytes) -> None:
        if self._content >= 0:
            self._content += len(data)
            self._before, self._last = self._last, data
            return
        self._head += data
        self._heads += len(data)
        if self._heads > MAX_HEADS:  # h11 bounds one head, but not how many interim ones there are
            raise TooLarge(f"interim responses are over the limit of {MAX_HEADS} bytes", request_sent="yes")
        while (end := self._head.find(b"\r\n\r\n")) >= 0:
            interim, rest = self._head[9:10] == b"1", self._head[end + 4 :]
            self._head = rest if interim else b""
            if not interim:
                self._content, self._before, self._last = len(rest), b"", rest
                break

    def done(self, length: int | None) -> None:
        """A response was read to its end. What came beyond it must not be taken for the next one (RFC 9112 §9.2).

        Args:
            length: of its content; None for chunks, the last of which then ends all that came. With trailers it
                does not, and the connection is given up for nothing; that is rare.
        """
        if length is None:
            end = self._before[-4:] + self._last
            self.spoilt = end.find(b"0\r\n\r\n") != len(end) - 5
        else:
            self.spoilt = self._content != length


class _Stream(_Exchanges, httpcore2.NetworkStream):
    """One connection: each read and write may take its phase's timeout, or what is left of the total.

    It also sees whether a byte of the request has left, which httpcore2 does not tell.
    """

    def __init__(self, stream: httpcore2.NetworkStream, layers: int = 0) -> None:
        super().__init__()
        self._stream = stream
        self._layers = layers  # of TLS

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        attempt: Attempt = timeout
        if attempt is not self._attempt:
            if self._attempt is not None and self._is_doubtful():
                # The pool asks the same, but not of a connection that becomes idle while it looks. Nothing was sent
                # yet, and it takes another.
                raise httpcore2.ConnectionNotAvailable
            self._begin(attempt)
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
        self._took(attempt, data)
        return data

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None
    ) -> _Stream:
        attempt: Attempt = timeout
        with _as(httpcore2.ConnectTimeout):
            seconds = attempt.within(attempt.timeout.connect)
        context = ssl_context.ours if isinstance(ssl_context, _Untouched) else ssl_context
        return _Stream(self._stream.start_tls(context, server_hostname, seconds), self._layers + 1)

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


class _AsyncStream(_Exchanges, httpcore2.AsyncNetworkStream):
    """The same, awaited. What is doubtful of it is its connection's to ask.

    Attributes:
        body: that of the response that is being read.
    """

    body: _AsyncBody

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    async def write(self, buffer: bytes, timeout: Any = None) -> None:
        attempt: Attempt = timeout
        if attempt is not self._attempt:
            self._begin(attempt)
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
        self._took(attempt, data)
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


class _Untouched:
    """Stands for a context on its way through httpcore2, which would change the protocols (ALPN) that ours offers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.ours = context

    def set_alpn_protocols(self, protocols: object) -> None:
        """Leave them as they are."""


def _pool(tls: ssl.SSLContext | None, route: Route) -> httpcore2.ConnectionPool:
    # How many connections there are is decided by the core; how long one stays idle, here.
    return httpcore2.ConnectionPool(
        ssl_context=None if tls is None else _Untouched(tls),  # type: ignore[arg-type]  # it only passes through
        max_connections=None,
        max_keepalive_connections=20,
        keepalive_expiry=30.0,
        network_backend=_Network(route, tunnels=tls is not None),
    )


class _AsyncPool(httpcore2.AsyncConnectionPool):
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
        self._stream: _AsyncStream | None = None
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
        answer.stream = self._stream.body = _AsyncBody(self, answer.stream)
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


class _AsyncBody:
    """The chunks of one response as their HTTP/1.1 gives them.

    Attributes:
        interrupted: what ended `aclose`, which never raises: the pool would not finish its own.
    """

    def __init__(self, connection: _AsyncConnection, stream: Any) -> None:
        self._connection = connection
        self._stream = stream
        self._chunks: Any = None
        self._ended = False
        self._closed = False
        self.interrupted: BaseException | None = None

    def __aiter__(self) -> _AsyncBody:
        return self

    async def __anext__(self) -> bytes:
        if self._chunks is None:
            self._chunks = self._stream.__aiter__()
        try:
            chunk: bytes = await self._chunks.__anext__()
        except StopAsyncIteration:
            self._ended = True
            raise
        except BaseException:
            self._closed = True
            self._connection.close()
            raise
        return chunk

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        if not self._ended:
            self._connection.close()
        try:
            if self._ended:
                await self._stream.aclose()
                self._connection.release()
            elif self._chunks is not None:
                # The next read fails, and so ends each generator inside; closing the outermost leaves the inner ones.
                async for _ in self._chunks:
                    pass
        except httpcore2.NetworkError:
            pass
        except BaseException as error:  # noqa: BLE001  # raised by who has called the pool
            self._connection.close()
            self.interrupted = error


def _encoded(headers: Pairs) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _timeouts(attempt: Attempt) -> dict[str, float | None]:
    within, phases = attempt.within, attempt.timeout
    return {
        "pool": within(phases.pool),
        "connect": within(phases.connect),
        "write": within(phases.write),
        "read": within(phases.read),
    }


class _AsyncUpload(httpx2.AsyncByteStream):
    """The same, awaited."""

    def __init__(self, body: Any) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._body, bytes):
            yield self._body
        elif self._body is not None:
            async for chunk in self._body:
                yield chunk


class _Upload(httpx2.SyncByteStream):
    """A body for a client, which frames it by the headers that it was given."""

    def __init__(self, body: bytes | Iterable[bytes] | None) -> None:
        self._body: Iterable[bytes] = (body,) if isinstance(body, bytes) else body or ()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)


# --- Errors and conflicts -------------------------------------------------------------------------


def _translated(error: Exception, attempt: Attempt, request: RawRequest) -> UnifetchError:
    if isinstance(error, TimeoutError):
        return ConnectTimeout(str(error))  # no time was left before the library was called
    if isinstance(error, (httpcore2.ConnectError, httpx2.ConnectError)):
        return connect_error(error, request.host, request.port)
    kind = next((ours for theirs, ours in ERRORS.items() if isinstance(error, theirs)), ProtocolError)
    if issubclass(kind, (ConnectionLost, ProtocolError)):
        if attempt.sent == "yes" and (attempt.ended or kind is ConnectionLost):
            return IncompleteBody(f"the connection ended inside the body: {error}", request_sent="yes")
        if attempt.ended:
            kind = ConnectionLost
    if issubclass(kind, TimedOut):
        message = f"{request.host}:{request.port} was not done in time: {error or kind.__name__}"
    else:
        message = str(error) or f"{type(error).__name__} from {request.host}:{request.port}"
    translated = kind(message, request_sent="yes" if attempt.answered else attempt.sent)
    if isinstance(translated, ConnectionLost):
        translated.reused = attempt.reused and not attempt.answered
    return translated


DEFAULT_TIMEOUT = httpx2.Timeout(5.0)  # what a client has that was given none
_DEFAULT_HEADERS = {"accept", "accept-encoding", "connection", "user-agent"}
_seen: WeakSet[httpx2.Client | httpx2.AsyncClient] = WeakSet()  # their jars fill with what we receive; they began empty


def _refuse_conflicts(client: httpx2.Client | httpx2.AsyncClient) -> None:
    carried = {
        "auth": client.auth is not None,
        "cookies": len(client.cookies) > 0 and client not in _seen,
        "event_hooks": any(client.event_hooks.values()),
        "params": len(client.params) > 0,
        "base_url": str(client.base_url) != "",
        "timeout": client.timeout != DEFAULT_TIMEOUT,
        "headers": not _DEFAULT_HEADERS.issuperset(client.headers),
    }
    kind = "httpx2.AsyncClient" if isinstance(client, httpx2.AsyncClient) else "httpx2.Client"
    for attribute, is_set in carried.items():
        if is_set:
            raise ConfigConflict(f"this {kind} carries {attribute}, which would be lost; set it on unifetch")
    _seen.add(client)
