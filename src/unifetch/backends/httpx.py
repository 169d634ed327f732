"""`httpx`, entered at the connection pool of its engine `httpcore`, one layer below its transport.

What httpx does by itself: it follows no redirects, but fails on a redirect whose Location it cannot
parse; it keeps cookies, decodes what it did not ask for, and reads proxies from the environment. At the
pool there is none of that, and a third of its time goes as well. The pool parses with h11, which is
strict, and takes a documented `network_backend`, through which the total timeout reaches every read, and by
which we choose where a connection leads. Its own proxies are not used: they add fields to a CONNECT, and their
SOCKS takes it that a reply comes in one piece.

Bytes that follow a response in the same segment httpcore would take for the next one. Our streams count,
and such a connection is not used again.
"""

from __future__ import annotations

import socket
import threading
from time import monotonic
from weakref import WeakSet

import httpcore
import httpx

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
from ..messages import RawResponse
from ..routes import DIRECT, refuse_private
from .base import Attempt, Capability, connect_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator
    from typing import Any, Literal

    from ..headers import Pairs
    from ..messages import RawRequest
    from ..routes import Route

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

ERRORS: dict[type[Exception], type[UnifetchError]] = {
    httpcore.PoolTimeout: PoolTimeout,
    httpcore.ConnectTimeout: ConnectTimeout,
    httpcore.WriteTimeout: WriteTimeout,
    httpcore.ReadTimeout: ReadTimeout,
    httpcore.NetworkError: ConnectionLost,
    httpcore.LocalProtocolError: InvalidRequest,
    httpcore.ProtocolError: ProtocolError,
    httpx.PoolTimeout: PoolTimeout,
    httpx.ConnectTimeout: ConnectTimeout,
    httpx.WriteTimeout: WriteTimeout,
    httpx.ReadTimeout: ReadTimeout,
    httpx.NetworkError: ConnectionLost,
    httpx.LocalProtocolError: InvalidRequest,
    httpx.ProtocolError: ProtocolError,
    httpx.TimeoutException: ReadTimeout,
    httpx.HTTPError: ProtocolError,
    OSError: ConnectionLost,
}
_RAISED = tuple(ERRORS)


class HttpxBackend:
    """Carries requests with httpx.

    Args:
        native: an `httpx.Client` to use instead, through its `send`; it stays open.

    Raises:
        ConfigConflict: for a client with settings that would be lost; it names the attribute.
    """

    name = "httpx"
    contract: Literal[1] = 1
    native: object

    def __init__(self, native: httpx.Client | None = None) -> None:
        self._client = native
        self._pools: dict[tuple[ssl.SSLContext | None, Route], httpcore.ConnectionPool] = {}
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
        _current.attempt = attempt
        answer: httpcore.Response | httpx.Response
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

    def _through_pool(self, request: RawRequest, attempt: Attempt) -> httpcore.Response:
        theirs = httpcore.Request(
            request.method.encode("ascii"),
            httpcore.URL(
                scheme=request.scheme.encode("ascii"),
                host=request.host.encode("ascii"),
                port=request.port,
                target=request.target.encode("ascii"),
            ),
            content=request.body,
            # The other phases are the streams' own business, below.
            extensions={"timeout": {"pool": attempt.within(attempt.timeout.pool)}},
        )
        theirs.headers = _encoded(request.headers)  # set afterwards, it is not checked once more: 3 µs less
        return self._pool_for(request.tls, request.route).handle_request(theirs)

    def _through_client(self, client: httpx.Client, request: RawRequest, attempt: Attempt) -> httpx.Response:
        return client.send(
            httpx.Request(
                request.method,
                request.url,
                headers=_encoded(request.headers),
                stream=_Upload(request.body),
                extensions={"timeout": _timeouts(attempt), "target": request.target.encode("ascii")},
            ),
            stream=True,
            auth=None,
            follow_redirects=False,
        )

    def _pool_for(self, tls: ssl.SSLContext | None, route: Route) -> httpcore.ConnectionPool:
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


# --- The chunks -----------------------------------------------------------------------------------


def _chunks(
    answer: httpcore.Response | httpx.Response, attempt: Attempt, request: RawRequest, length: int | None
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


def _length(method: str, status: int, headers: Headers) -> int | None:
    # Of the content, by what the core has checked or is going to; None for chunks.
    if method == "HEAD" or status in (204, 304):
        return 0
    length = headers.by_name().get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None


# --- The wire -------------------------------------------------------------------------------------

_current = threading.local()  # .attempt: the exchange that this thread performs


class _Network(httpcore.NetworkBackend):
    """httpcore's own network, with connections that take our route, and streams that keep to the deadline.

    Args:
        route: how to get there.
        tunnels: whether an HTTP proxy is asked for a tunnel; otherwise each request says where to.
    """

    def __init__(self, route: Route, *, tunnels: bool) -> None:
        self._own = httpcore.SyncBackend()
        self._route = route
        self._tunnels = tunnels

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> _Stream:
        attempt: Attempt = _current.attempt
        route = self._route
        with _as(httpcore.ConnectTimeout):
            seconds = attempt.within(attempt.timeout.connect)
            ends = None if seconds is None else monotonic() + seconds
            if route.proxy is not None:
                stream = self._through_proxy(host, port, ends)
            elif route.unix_socket is not None:
                stream = self._to_unix_socket(route.unix_socket, seconds)
            else:
                stream = self._to_chosen(host, port, ends)
        return _Stream(stream, attempt, 0 if stream.get_extra_info("ssl_object") is None else 1)

    def _to_unix_socket(self, path: str, seconds: float | None) -> httpcore.NetworkStream:
        try:
            return self._own.connect_unix_socket(path, seconds)
        except httpcore.ConnectError as error:
            raise ConnectError(f"no connection to unix socket {path!a}: {error}") from error

    def _to_chosen(self, host: str, port: int, ends: float | None) -> httpcore.NetworkStream:
        failure: httpcore.ConnectError | None = None
        for address in _chosen(self._route, host, port, ends):
            try:
                return self._own.connect_tcp(address, port, _left(ends))
            except httpcore.ConnectError as error:
                failure = error
        raise failure or httpcore.ConnectError(f"no address for {host}")

    def _through_proxy(self, host: str, port: int, ends: float | None) -> httpcore.NetworkStream:
        route, proxy = self._route, self._route.proxy
        is_socks = proxy.scheme in ("socks5", "socks5h")
        if is_socks and (proxy.scheme == "socks5" or route.address is not None):
            host = _chosen(route, host, port, ends)[0]
        elif route.public_only or route.address is not None:
            setting = "forbid_private" if route.public_only else "resolve"
            raise ConfigError(f"{setting} cannot be kept with the proxy {proxy.url}, which itself resolves {host}")
        stream: httpcore.NetworkStream | None = None
        try:
            stream = self._own.connect_tcp(proxy.host, proxy.port, _left(ends))
            if route.proxy_tls is not None:
                stream = stream.start_tls(route.proxy_tls, proxy.host, _left(ends))
            if is_socks:
                login = None if proxy.username is None else (proxy.username, proxy.password)
                _socks5(_Talk(stream, ends), host, port, login)
            elif self._tunnels:
                _connect(_Talk(stream, ends), host, port, route.connect_headers)
        except BaseException as error:
            if stream is not None:
                stream.close()
            if isinstance(error, (httpcore.NetworkError, httpcore.ProtocolError, EOFError, ProxyError)):
                failure = ProxyError(f"no connection through {proxy.url}: {error or 'it ended the connection'}")
                failure.status = getattr(error, "status", None)
                raise failure from error
            if isinstance(error, (httpcore.TimeoutException, TimeoutError)):
                raise httpcore.ConnectTimeout(f"no connection through {proxy.url} in time") from error
            raise
        return stream


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
        raise httpcore.ConnectError(outcome[0]) from outcome[0]
    found: list[Any] = outcome[0]
    return found


def _left(ends: float | None) -> float | None:
    if ends is None:
        return None
    left = ends - monotonic()
    if left <= 0:
        raise TimeoutError("the time to connect is over")
    return left


class _Talk(httpcore.NetworkStream):
    """A connection to a proxy until it has let us through, which has to be before the time to connect is over."""

    def __init__(self, stream: httpcore.NetworkStream, ends: float | None) -> None:
        self._stream = stream
        self._ends = ends

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        self._stream.write(buffer, _left(self._ends))

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._ends))

    def read_exact(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.read(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _connect(talk: _Talk, host: str, port: int, headers: Pairs) -> None:
    """Ask an HTTP proxy for a tunnel (RFC 9110 §9.3.6), in httpcore's own HTTP/1.1.

    Raises:
        ProxyError: it refused.
    """
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    url = httpcore.URL(scheme=b"http", host=b"proxy", port=80, target=authority.encode("ascii"))
    answer = httpcore.HTTP11Connection(url.origin, talk).handle_request(
        httpcore.Request(b"CONNECT", url, headers=_encoded(headers))
    )
    if not 200 <= answer.status < 300:
        reason = answer.extensions["reason_phrase"].decode("latin-1")
        error = ProxyError(f"it refused a tunnel to {authority}: {answer.status} {evidence(reason)[1:-1]}".rstrip())
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


def _socks5(talk: _Talk, host: str, port: int, login: tuple[str, str] | None) -> None:
    """Ask a SOCKS5 proxy for a connection (RFC 1928, RFC 1929); a name is left for it to resolve.

    Raises:
        ProxyError: it refused, or does not speak SOCKS5.
    """
    methods = b"\x00" if login is None else b"\x00\x02"
    talk.write(bytes((5, len(methods))) + methods)
    version, method = talk.read_exact(2)
    if version != 5:
        raise ProxyError(f"it does not speak SOCKS5: it began with {evidence(bytes((version, method)))}")
    if method not in methods:
        raise ProxyError("it accepts " + ("no login of ours" if login else "nobody without a login"))
    if method == 2 and login is not None:
        username, password = login
        talk.write(b"\x01" + _counted("user name", username) + _counted("password", password))
        if talk.read_exact(2)[1]:
            raise ProxyError("it refused the user name and password")
    talk.write(b"\x05\x01\x00" + _destination(host) + port.to_bytes(2, "big"))
    version, reply, _, kind = talk.read_exact(4)
    if version != 5 or kind not in (1, 3, 4):
        raise ProxyError("its reply is not of SOCKS5")
    if reply:
        raise ProxyError(f"it did not connect to {host}:{port}: {_REPLIES.get(reply, f'reply {reply}')}")
    talk.read_exact({1: 4, 4: 16}.get(kind) or talk.read_exact(1)[0])
    talk.read_exact(2)


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


class _Stream(httpcore.NetworkStream):
    """One connection: each read and write may take its phase's timeout, or what is left of the total.

    It also sees whether a byte of the request has left, which httpcore does not tell.
    """

    def __init__(self, stream: httpcore.NetworkStream, attempt: Attempt, layers: int = 0) -> None:
        self._stream = stream
        self._attempt = attempt
        self._layers = layers  # of TLS
        self._fresh = True
        self._head = b""
        self._heads = 0  # bytes of all heads, interim ones included
        self._content = -1  # bytes after the head; -1 until its end has come
        self._last = self._before = b""
        self._spoilt = False

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        attempt: Attempt = _current.attempt
        if attempt is not self._attempt or self._fresh:
            if not self._fresh and self._is_doubtful():
                # The pool asks the same, but not of a connection that becomes idle while it looks. Nothing was sent
                # yet, and it takes another.
                raise httpcore.ConnectionNotAvailable
            attempt.reused = not self._fresh
            self._attempt, self._fresh = attempt, False
            self._content, self._heads = -1, 0
        if not buffer:
            return
        try:
            seconds = attempt.within(attempt.timeout.write)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        attempt.sent = "maybe"
        self._stream.write(buffer, seconds)

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        attempt = self._attempt
        try:
            seconds = attempt.within(attempt.timeout.read)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        data = self._stream.read(max_bytes, seconds)
        if data:
            attempt.answered = True
            self._count(data)
        else:
            attempt.ended = True
        return data

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
            self._spoilt = end.find(b"0\r\n\r\n") != len(end) - 5
        else:
            self._spoilt = self._content != length

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None
    ) -> _Stream:
        attempt: Attempt = _current.attempt
        with _as(httpcore.ConnectTimeout):
            seconds = attempt.within(attempt.timeout.connect)
        context = ssl_context.ours if isinstance(ssl_context, _Untouched) else ssl_context
        return _Stream(self._stream.start_tls(context, server_hostname, seconds), attempt, self._layers + 1)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        # This is how the pool asks whether an idle connection is still good: a readable one is not.
        return self._is_doubtful() if info == "is_readable" else self._stream.get_extra_info(info)

    def _is_doubtful(self) -> bool:
        if self._spoilt or self._stream.get_extra_info("is_readable"):
            return True
        if self._layers < 2:
            return False
        # Of TLS in TLS, the inner layer may hold what the socket does not show. A read that waits for nothing tells.
        try:
            self._stream.read(1, 0)
        except (httpcore.ReadError, httpcore.ReadTimeout):
            return False
        return True


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
    """Stands for a context on its way through httpcore, which would change the protocols (ALPN) that ours offers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.ours = context

    def set_alpn_protocols(self, protocols: object) -> None:
        """Leave them as they are."""


def _pool(tls: ssl.SSLContext | None, route: Route) -> httpcore.ConnectionPool:
    # How many connections there are is decided by the core; how long one stays idle, here.
    return httpcore.ConnectionPool(
        ssl_context=None if tls is None else _Untouched(tls),  # type: ignore[arg-type]  # it only passes through
        max_connections=None,
        max_keepalive_connections=20,
        keepalive_expiry=30.0,
        network_backend=_Network(route, tunnels=tls is not None),
    )


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


class _Upload(httpx.SyncByteStream):
    """A body for a client, which frames it by the headers that it was given."""

    def __init__(self, body: bytes | Iterable[bytes] | None) -> None:
        self._body: Iterable[bytes] = (body,) if isinstance(body, bytes) else body or ()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)


# --- Errors and conflicts -------------------------------------------------------------------------


def _translated(error: Exception, attempt: Attempt, request: RawRequest) -> UnifetchError:
    if isinstance(error, TimeoutError):
        return ConnectTimeout(str(error))  # no time was left before the library was called
    if isinstance(error, (httpcore.ConnectError, httpx.ConnectError)):
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


DEFAULT_TIMEOUT = httpx.Timeout(5.0)  # what a client has that was given none
_DEFAULT_HEADERS = {"accept", "accept-encoding", "connection", "user-agent"}
_seen: WeakSet[httpx.Client] = WeakSet()  # their jars fill with what we receive; they began empty


def _refuse_conflicts(client: httpx.Client) -> None:
    carried = {
        "auth": client.auth is not None,
        "cookies": len(client.cookies) > 0 and client not in _seen,
        "event_hooks": any(client.event_hooks.values()),
        "params": len(client.params) > 0,
        "base_url": str(client.base_url) != "",
        "timeout": client.timeout != DEFAULT_TIMEOUT,
        "headers": not _DEFAULT_HEADERS.issuperset(client.headers),
    }
    for attribute, is_set in carried.items():
        if is_set:
            raise ConfigConflict(f"this httpx.Client carries {attribute}, which would be lost; set it on unifetch")
    _seen.add(client)
