"""urllib3: pools of connections, the ground that requests stands on.

What it does by itself: normalise the target once more, add User-Agent, Accept-Encoding and Host, follow
redirects and repeat requests, decode, and leave the head and the chunks to `http.client`. Here its pools
keep the connections, and the connections are ours, below what urllib3 calls one. What they override has a public name,
but is seldom documented to be overridden; each such place is marked as a hook, and tests/test_http_client_hooks.py
fails when the library changes underneath it.

Ours: resolve, connect, TLS, write, parse. The library's: pool.

An injected `PoolManager` keeps its own connections and TLS settings. It does more by itself, then, and
what can no longer be promised is not declared.
"""

from __future__ import annotations

import http.client
import io
import threading
from collections import deque, namedtuple
from functools import partial
from queue import Empty, Full

import urllib3
from urllib3 import HTTPHeaderDict, HTTPResponse, PoolManager, exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import SKIP_HEADER, Retry, Timeout

from .. import errors
from ..errors import InvalidBody, InvalidSetting, UnifetchError
from ..model.frozen import Value
from ..model.headers import Headers
from ..model.messages import RawResponse
from ..model.route import DIRECT
from ..wire.blocking import dial
from ..wire.reader import RECEIVE
from .base import HTTP_1_CAPABILITIES, Capability, Exchange, refuse_conflicts, translate
from .socket.connection import Connection

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
    from typing import Any, Literal

    from urllib3 import BaseHTTPResponse

    from ..errors import RequestSent
    from ..model.messages import RawRequest

CAPABILITIES = HTTP_1_CAPABILITIES
INJECTED_CAPABILITIES = frozenset({Capability.KEEP_ALIVE, Capability.EARLY_RESPONSE, Capability.NO_POISONING})

# The hooks raise our own errors; these rows are for an injected manager. The first that fits is taken.
ERRORS: dict[type[Exception], type[UnifetchError]] = {
    exceptions.NameResolutionError: errors.NameResolutionError,
    exceptions.NewConnectionError: errors.ConnectError,
    exceptions.ConnectTimeoutError: errors.ConnectTimeout,
    exceptions.EmptyPoolError: errors.PoolTimeout,
    exceptions.SSLError: errors.TLSError,
    exceptions.ReadTimeoutError: errors.ReadTimeout,
    TimeoutError: errors.WriteTimeout,
    http.client.IncompleteRead: errors.IncompleteBody,
    ConnectionError: errors.ConnectionLost,
    http.client.HTTPException: errors.ProtocolError,
    exceptions.ProtocolError: errors.ConnectionLost,
    exceptions.LocationValueError: errors.InvalidURL,
    exceptions.HTTPError: errors.ProtocolError,
    OSError: errors.ConnectionLost,
    ValueError: errors.ProtocolError,  # http.client, of a number that it cannot read
}
_RAISED: tuple[type[Exception], ...] = (UnifetchError, *ERRORS)

# Neither repeats, nor redirects, nor reading ahead, nor decoding.
NOTHING_MORE: dict[str, Any] = {
    "retries": Retry(False),
    "redirect": False,
    "preload_content": False,
    "decode_content": False,
}


class Urllib3Backend:
    """Carries requests by a `urllib3.PoolManager`."""

    name = "urllib3"
    contract: Literal[1] = 1
    capabilities: frozenset[Capability]
    native: object

    def __init__(self, native: object | None = None) -> None:
        self._injected = native is not None
        self.capabilities = INJECTED_CAPABILITIES if self._injected else CAPABILITIES
        if native is None:
            native = PoolManager(num_pools=100, maxsize=100)
            native.pool_classes_by_scheme = {"http": PlainPool, "https": TLSPool}
        elif not isinstance(native, PoolManager):
            raise InvalidSetting(f"backend: urllib3 takes a PoolManager, not {type(native).__name__}")
        else:
            refuse_conflicts(native, conflicts(native))
        self.native = self._manager = native

    # --- The request ------------------------------------------------------------------------------

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange, up to the head of the final response."""
        exchange = PooledExchange(request, sent="maybe" if self._injected else "no")
        outer, CURRENT.exchange = CURRENT.exchange, exchange  # a body may be a stream that makes requests of its own
        try:
            response = (self._send_natively if self._injected else self._send)(request, exchange)
        except _RAISED as error:
            translate(error, ERRORS, exchange, request)
        finally:
            CURRENT.exchange = outer

        return exchange.handed_on(response, ERRORS)

    def _send(self, request: RawRequest, exchange: PooledExchange) -> BaseHTTPResponse:
        pool = pool_for(request, self._manager)
        return pool.urlopen(request.method, request.target, headers={}, assert_same_host=False, **NOTHING_MORE)

    def _send_natively(self, request: RawRequest, exchange: PooledExchange) -> BaseHTTPResponse:
        headers = HTTPHeaderDict(request.headers)
        for name in ("User-Agent", "Accept-Encoding"):
            headers.setdefault(name, SKIP_HEADER)
        phases = request.timeout
        return self._manager.urlopen(
            request.method,
            request.url,
            body=guarded(request.body),
            headers=headers,
            chunked=request.chunked,
            timeout=Timeout(connect=exchange.within(phases.connect), read=exchange.within(phases.read)),
            **NOTHING_MORE,
        )

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections; an injected manager stays open."""
        if not self._injected:
            close_pools(self._manager)


def close_pools(manager: PoolManager) -> None:
    """Close idle connections. `clear` would forget the pools, each of which a response may still keep from its end."""
    for key in list(manager.pools.keys()):
        pool = manager.pools.get(key)
        if pool is not None:
            pool.close()
    manager.clear()


def conflicts(manager: PoolManager) -> dict[str, bool]:
    """What a manager may carry that would be lost, and whether it does."""
    return {
        "proxy": manager.proxy is not None,
        "headers": bool(manager.headers),
        "retries=": "retries" in manager.connection_pool_kw,
        "timeout=": "timeout" in manager.connection_pool_kw,
    }


# --- The exchange, on its way through a pool --------------------------------------------------------


class PooledExchange(Exchange):
    """One request on its way through the library, and what comes back past it.

    Attributes:
        request: the request.
        raw: the response, once one of our connections has it.
    """

    __slots__ = ("_over", "_release", "raw", "request")

    def __init__(self, request: RawRequest, sent: RequestSent = "no") -> None:
        super().__init__(request.timeout, request.deadline)
        self.request = request
        self.sent = sent
        self.raw: RawResponse | None = None
        self._over = False
        self._release: Callable[[], object] | None = None

    def put(self, _: Hashable, connection: Connection) -> None:
        """The body was read to its end, which may be before the library knows of a response."""
        connection.release()
        self._over = True
        if self._release is not None:
            self._release()

    def handed_on(
        self, response: BaseHTTPResponse, table: Mapping[type[Exception], type[UnifetchError]]
    ) -> RawResponse:
        """What the core is given: our own response, or what the library has read of one that is not ours."""
        self.sent = "yes"
        close = partial(self._close, response)
        if self.raw is None:
            return RawResponse(
                response.status,
                response.reason or "",
                "HTTP/1.0" if response.version == 10 else "HTTP/1.1",
                unfolded(response.headers.items()),
                self._chunks(response, close, table),
                close,
            )
        self._release = response.release_conn
        if self._over:
            response.release_conn()
        else:
            self.raw.close = close
        return self.raw

    def _close(self, response: BaseHTTPResponse) -> None:
        if not self._over:
            response.close()
        response.release_conn()

    def _chunks(
        self,
        response: BaseHTTPResponse,
        close: Callable[[], None],
        table: Mapping[type[Exception], type[UnifetchError]],
    ) -> Iterator[bytes]:
        raised: tuple[type[Exception], ...] = (UnifetchError, *table)
        try:
            while block := response.read1(RECEIVE, decode_content=False):
                yield block
        except raised as error:
            translate(error, table, self, self.request)
        finally:
            close()


def unfolded(pairs: Iterable[tuple[str, str]]) -> Headers:
    """The fields of a head that http.client has parsed by itself: it leaves folds and white space in values."""
    return Headers.trusted((name, _unfolded(value)) for name, value in pairs)


def _unfolded(value: str) -> str:
    lines = value.replace("\r", "\n").split("\n")
    return " ".join(line.strip(" \t") for line in lines if line)


def guarded(body: bytes | Iterable[bytes] | None) -> bytes | Iterator[bytes] | None:
    """The body, with its own errors as ones that no library takes for errors of the network."""
    return body if body is None or isinstance(body, bytes) else _guarded(body)


def _guarded(body: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from body
    except Exception as error:
        raise InvalidBody(f"the body raised {type(error).__name__}", request_sent="maybe") from error


class _Current(threading.local):
    """The exchange of this thread: a library's pool hands a connection nothing but its own arguments."""

    exchange: PooledExchange | None = None

    def get(self) -> PooledExchange:
        if self.exchange is None:
            raise RuntimeError("the connections of a backend carry unifetch's requests only; make a native object anew")
        return self.exchange


CURRENT = _Current()


Destination = namedtuple("Destination", ("scheme", "host", "port", "tls", "route"))


def destination(request: RawRequest) -> Any:
    """What a kept connection is for, in place of a `PoolKey`: one that has gone by a route is not for another route."""
    # As plain tuples: an interrupt within a __hash__ of ours would leave the library's OrderedDict in disorder.
    route = None if request.route is DIRECT else _plain(request.route)
    return Destination(request.scheme, request.host, request.port, request.tls, route)


def _plain(value: Any) -> Any:
    return tuple(map(_plain, vars(value).values())) if isinstance(value, Value) else value


def pool_for(request: RawRequest, manager: PoolManager) -> urllib3.HTTPConnectionPool:
    """The pool of the connections that may carry this request."""
    options = {"scheme": request.scheme, "host": request.host, "port": request.port}
    return manager.connection_from_pool_key(destination(request), {**manager.connection_pool_kw, **options})


# --- The connections --------------------------------------------------------------------------------


class Hooked:
    """A connection that performs the current exchange and nothing else, whatever it is told to send.

    Attributes:
        sock: one of our connections, once it is connected.
    """

    sock: Any

    # Hook: `connect` and `sock`. http.client would know one timeout, for each address of the host; urllib3 would
    # take the way to a proxy from what it was told, instead of from the request.
    def connect(self) -> None:
        """Connect as the route of the request says, within the connect timeout and the deadline."""
        self.sock = Connection(dial(CURRENT.get().request))

    @property
    def is_connected(self) -> bool:
        """Whether another request can be sent: the connection is open, and nothing came unasked."""
        return self.sock is not None and self.sock.is_fit()

    # Hook: `request` and `getresponse`. The library would put fields of its own around ours, http.client would write
    # chunk sizes in upper case and give up when the server ends an upload, and both would parse by their own rules.
    def request(self, *_: Any, **__: Any) -> None:
        """Perform the exchange; the arguments are the library's idea of it."""
        exchange = CURRENT.get()
        if self.sock is None:
            self.connect()
        request = exchange.request
        exchange.raw = self.sock.exchange(request.carrying(guarded(request.body)), exchange, None)

    def getresponse(self) -> HTTPResponse:
        """The response, for the library to hand on. The body goes past it."""
        exchange = CURRENT.get()
        if exchange.raw is None:
            raise http.client.ResponseNotReady
        return HTTPResponse(
            _Past(exchange.raw),
            status=exchange.raw.status,
            reason=exchange.raw.reason,
            preload_content=False,
            decode_content=False,
        )


class _Past(io.RawIOBase):
    """Stands for a body in the library's response: it can be closed, and is not read."""

    def __init__(self, raw: RawResponse) -> None:
        self._abandon = raw.close

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        if not self.closed:
            self._abandon()
        super().close()


class PlainConnection(Hooked, HTTPConnection):  # type: ignore[misc]  # what is hooked, does less
    """To an http origin."""


class TLSConnection(Hooked, HTTPSConnection):  # type: ignore[misc]  # as above
    """To an https origin."""

    def connect(self) -> None:
        """Connect; whoever made the context decided whether to verify, and urllib3 has no warning to add."""
        super().connect()
        self.is_verified = True


class IdleConnections:
    """Those of one pool, the last one first, where the library has a queue with locks that Python code takes.

    An interrupt can leave such a lock taken, and then no later request ever ends. Our pools never wait in it.
    """

    def __init__(self, maxsize: int) -> None:
        self._all: deque[Any] = deque()
        self._maxsize = maxsize

    def put(self, connection: Any, block: bool = True, timeout: float | None = None) -> None:
        if len(self._all) >= self._maxsize:
            raise Full
        self._all.append(connection)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        try:
            return self._all.pop()
        except IndexError:
            raise Empty from None

    def qsize(self) -> int:
        return len(self._all)


class PlainPool(urllib3.HTTPConnectionPool):
    """A pool of our connections."""

    ConnectionCls = PlainConnection
    QueueCls: Any = IdleConnections


class TLSPool(urllib3.HTTPSConnectionPool):
    """A pool of our connections over TLS."""

    ConnectionCls = TLSConnection
    QueueCls: Any = IdleConnections
