"""`httpx2`, entered at the connection pool of its engine `httpcore2`, one layer below its transport.

What httpx2 does by itself: it follows no redirects; it keeps cookies, decodes what it did not ask for, and
reads proxies from the environment. At the pool there is none of that, and half of its time goes as well.
The pool parses with h11, which is strict, and takes a documented `network_backend`, through which the
total timeout reaches every read.

What cannot be helped: bytes that follow a response in the same segment are taken for the next one.
"""

from __future__ import annotations

import threading
from weakref import WeakSet

import httpcore2
import httpx2

from ..errors import (
    ConfigConflict,
    ConnectionLost,
    ConnectTimeout,
    IncompleteBody,
    InvalidRequest,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    TimedOut,
    UnifetchError,
    WriteTimeout,
)
from ..headers import Headers
from ..messages import RawResponse
from .base import Attempt, Capability, connect_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator
    from typing import Any, Literal

    from ..messages import RawRequest

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
    }
)

# A client of the caller's own connects by its own means and with its own TLS settings.
NATIVE_CAPABILITIES = CAPABILITIES - {
    Capability.HARD_DEADLINE,
    Capability.REQUEST_SENT,
    Capability.TLS_CONTEXT,
    Capability.TLS_TRUNCATION,
}

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
        self._secure: dict[ssl.SSLContext, httpcore2.ConnectionPool] = {}
        if native is None:
            self.capabilities = CAPABILITIES
            self._pool = _pool(None)
            self.native = self._pool
        else:
            _refuse_conflicts(native)
            self.capabilities = NATIVE_CAPABILITIES
            self.native = native

    # --- The request ------------------------------------------------------------------------------

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange; see `Backend.send`."""
        attempt = Attempt(request.timeout, request.deadline)
        _current.attempt = attempt
        answer: httpcore2.Response | httpx2.Response
        try:
            if self._client is None:
                answer = self._through_pool(request, attempt)
                status, fields = answer.status, answer.headers
            else:
                answer = self._through_client(self._client, request, attempt)
                status, fields = answer.status_code, answer.headers.raw
        except _RAISED as error:
            raise _translated(error, attempt, request) from error

        # --- The head -----------------------------------------------------------------------------
        attempt.sent = "yes"
        return RawResponse(
            status,
            answer.extensions.get("reason_phrase", b"").decode("latin-1"),
            answer.extensions.get("http_version", b"HTTP/1.1").decode("ascii"),
            Headers.trusted((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields),
            _chunks(answer, attempt, request),
            answer.close,
        )

    def _through_pool(self, request: RawRequest, attempt: Attempt) -> httpcore2.Response:
        host = request.host.encode("ascii")
        return self._pool_for(request.tls).handle_request(
            httpcore2.Request(
                request.method.encode("ascii"),
                httpcore2.URL(
                    scheme=request.scheme.encode("ascii"),
                    host=host,
                    port=request.port,
                    target=request.target.encode("ascii"),
                ),
                headers=_encoded(request),
                content=request.body,
                extensions={"timeout": _timeouts(attempt)},
            )
        )

    def _through_client(self, client: httpx2.Client, request: RawRequest, attempt: Attempt) -> httpx2.Response:
        return client.send(
            httpx2.Request(
                request.method,
                request.url,
                headers=_encoded(request),
                stream=_Upload(request.body),
                extensions={"timeout": _timeouts(attempt), "target": request.target.encode("ascii")},
            ),
            stream=True,
            auth=None,
            follow_redirects=False,
        )

    def _pool_for(self, tls: ssl.SSLContext | None) -> httpcore2.ConnectionPool:
        # A pool takes one context for all of its connections, so there is one for each context.
        if tls is None:
            return self._pool
        pool = self._secure.get(tls)
        return pool if pool is not None else self._secure.setdefault(tls, _pool(tls))

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections; a client that was injected stays open."""
        if self._client is None:
            for pool in (self._pool, *self._secure.values()):
                pool.close()


# --- The chunks -----------------------------------------------------------------------------------


def _chunks(answer: httpcore2.Response | httpx2.Response, attempt: Attempt, request: RawRequest) -> Iterator[bytes]:
    try:
        yield from answer.stream  # type: ignore[misc]  # typed as possibly asynchronous, which a sync call never gives
    except _RAISED as error:
        raise _translated(error, attempt, request) from error
    finally:
        answer.close()


# --- The wire -------------------------------------------------------------------------------------

_current = threading.local()  # .attempt: the exchange that this thread performs


class _Network(httpcore2.NetworkBackend):
    """httpcore2's own network, with streams that keep to the deadline."""

    def __init__(self) -> None:
        self._own = httpcore2.SyncBackend()

    def connect_tcp(self, host: str, port: int, timeout: Any = None, *rest: Any, **options: Any) -> _Stream:
        attempt: Attempt = _current.attempt
        with _as(httpcore2.ConnectTimeout):
            seconds = attempt.within(attempt.timeout.connect)
        return _Stream(self._own.connect_tcp(host, port, seconds, *rest, **options), attempt)


class _Stream(httpcore2.NetworkStream):
    """One connection: each read and write may take its phase's timeout, or what is left of the total.

    It also sees whether a byte of the request has left, which httpcore2 does not tell.
    """

    def __init__(self, stream: httpcore2.NetworkStream, attempt: Attempt) -> None:
        self._stream = stream
        self._attempt = attempt
        self._fresh = True

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        attempt: Attempt = _current.attempt
        if attempt is not self._attempt or self._fresh:
            attempt.reused = not self._fresh
            self._attempt, self._fresh = attempt, False
        with _as(httpcore2.WriteTimeout):
            seconds = attempt.within(attempt.timeout.write)
        if buffer:
            attempt.sent = "maybe"
        self._stream.write(buffer, seconds)

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        attempt = self._attempt
        with _as(httpcore2.ReadTimeout):
            seconds = attempt.within(attempt.timeout.read)
        data = self._stream.read(max_bytes, seconds)
        if data:
            attempt.answered = True
        else:
            attempt.ended = True
        return data

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None
    ) -> _Stream:
        attempt: Attempt = _current.attempt
        with _as(httpcore2.ConnectTimeout):
            seconds = attempt.within(attempt.timeout.connect)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds), attempt)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _as:
    """A deadline that has passed, as the error of the library's phase."""

    def __init__(self, kind: type[Exception]) -> None:
        self._kind = kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TimeoutError):
            raise self._kind(str(error)) from error


def _pool(tls: ssl.SSLContext | None) -> httpcore2.ConnectionPool:
    # How many connections there are is decided by the core; how long one stays idle, here.
    return httpcore2.ConnectionPool(
        ssl_context=tls,
        max_connections=None,
        max_keepalive_connections=20,
        keepalive_expiry=30.0,
        network_backend=_Network(),
    )


def _encoded(request: RawRequest) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]


def _timeouts(attempt: Attempt) -> dict[str, float | None]:
    within, phases = attempt.within, attempt.timeout
    return {
        "pool": within(phases.pool),
        "connect": within(phases.connect),
        "write": within(phases.write),
        "read": within(phases.read),
    }


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
_seen: WeakSet[httpx2.Client] = WeakSet()  # their jars fill with what we receive; they began empty


def _refuse_conflicts(client: httpx2.Client) -> None:
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
            raise ConfigConflict(f"this httpx2.Client carries {attribute}, which would be lost; set it on unifetch")
    _seen.add(client)
