"""What `httpcore2`, the engine of httpx2, stands on here: connections that take our route and keep to the deadline.

Its `network_backend` is documented; by it each connection is one that we have dialed (`wire/blocking.py`), and the
total timeout reaches every read. What is handed to it as a timeout is the `Attempt`. The awaited pool has connections
of our own, too, which a cancelled task leaves closed. httpcore2's own proxies are not used: they add fields to a
CONNECT, and their SOCKS takes it that a reply comes in one piece.
"""

from __future__ import annotations

from functools import partial
from time import monotonic

import httpcore2

from ..wire import anyio as anyio_dialing
from ..wire import blocking as dialing
from .base import arrivals
from .poisoning import Exchanges
from .pooled_body import PooledBody

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from ..model.headers import Pairs
    from ..model.messages import RawRequest
    from ..wire.anyio_wire import AnyioWire
    from .base import Attempt

# Bytes that are handed to a socket at once. TLS would only be done with all of them, and its timeout is for them all.
BLOCK = 64 * 1024


# --- The pools ------------------------------------------------------------------------------------


def new_pool() -> httpcore2.ConnectionPool:
    # How many connections there are is decided by the core; how long one stays idle, here.
    return httpcore2.ConnectionPool(
        ssl_context=_Spoken(),  # type: ignore[arg-type]  # it only passes through
        max_connections=None,
        max_keepalive_connections=20,
        keepalive_expiry=30.0,
        network_backend=_Network(),
    )


class _Spoken:
    """Stands for a context: httpcore2 would build one, though TLS is spoken by the time that it comes to that."""

    def set_alpn_protocols(self, protocols: object) -> None:
        """The protocols are those that our context offers."""


class _Network(httpcore2.NetworkBackend):
    """Connections that are dialed for a request, and whose streams keep to its deadline."""

    def connect_tcp(self, host: str, port: int, timeout: Any = None, *_: Any, **__: Any) -> Stream:
        unlogged: Unlogged = timeout
        return Stream(dialing.dial(unlogged.request))


class Unlogged:
    """A request on its way through httpcore2, which logs the text of all that it hands on: this has none."""

    def __init__(self, request: RawRequest) -> None:
        self.request = request


def encoded(headers: Pairs) -> list[tuple[bytes, bytes]]:
    """The fields as httpcore2 takes them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


class AsyncPool(httpcore2.AsyncConnectionPool):
    """Their pool, of our connections."""

    def __init__(self) -> None:
        super().__init__(max_connections=None, max_keepalive_connections=None)

    def create_connection(self, origin: httpcore2.Origin) -> httpcore2.AsyncConnectionInterface:
        return _AsyncConnection(origin)


class _AsyncConnection(httpcore2.AsyncConnectionInterface):
    """One connection in their pool: theirs, if a task is cancelled while it closes, is never closed and never free.

    They close by awaiting a lock. Here whatever ends an exchange before its end closes the socket, and the pool finds
    it closed; between that and the end of their cleaning up nothing waits.
    """

    def __init__(self, origin: httpcore2.Origin) -> None:
        self._origin = origin
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
                unlogged: Unlogged = request.extensions["timeout"]["connect"]
                self._stream = AsyncStream(await anyio_dialing.dial(unlogged.request))
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


# --- The stream -----------------------------------------------------------------------------------


class Stream(Exchanges, httpcore2.NetworkStream):
    """One connection: each read and write may take its phase's timeout, or what is left of the total.

    It also sees whether a byte of the request has left, which httpcore2 does not tell.
    """

    def __init__(self, sock: dialing.BlockingWire) -> None:
        super().__init__()
        self._sock = sock

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        attempt: Attempt = timeout
        if attempt is not self.attempt:
            if self.attempt is not None and self._is_doubtful():
                # The pool asks the same, but not of a connection that becomes idle while it looks. Nothing was sent
                # yet, and it takes another.
                raise httpcore2.ConnectionNotAvailable
            self.begin(attempt)
        left = memoryview(buffer)
        with _as(httpcore2.WriteTimeout, httpcore2.WriteError):
            while left:
                self._sock.settimeout(attempt.within(attempt.timeout.write))
                attempt.sent = "maybe"
                left = left[self._sock.send(left[:BLOCK]) :]

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        attempt: Attempt = timeout
        with _as(httpcore2.ReadTimeout, httpcore2.ReadError):
            self._sock.settimeout(attempt.within(attempt.timeout.read))
            data = self._sock.recv(max_bytes)
        self.took(attempt, data)
        return data

    def start_tls(self, ssl_context: object, server_hostname: str | None = None, timeout: Any = None) -> Stream:
        return self

    def close(self) -> None:
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        # This is how the pool asks whether an idle connection is still good: a readable one is not.
        return self._is_doubtful() if info == "is_readable" else None

    def _is_doubtful(self) -> bool:
        # Any thread that looks for a connection asks, also while another one asks, or closes. So no poll() is kept.
        try:
            return self.spoilt or bool(arrivals(self._sock)())
        except ValueError:  # it is closed
            return True


class AsyncStream(Exchanges, httpcore2.AsyncNetworkStream):
    """The same, awaited. What is doubtful of it is its connection's to ask.

    Attributes:
        body: that of the response that is being read.
    """

    body: PooledBody

    def __init__(self, wire: AnyioWire) -> None:
        super().__init__()
        self._wire = wire

    async def write(self, buffer: bytes, timeout: Any = None) -> None:
        attempt: Attempt = timeout
        if attempt is not self.attempt:
            self.begin(attempt)
        if not buffer:
            return
        limit = partial(attempt.within, attempt.timeout.write)
        with _as(httpcore2.WriteTimeout, httpcore2.WriteError):
            limit()
            attempt.sent = "maybe"
            await self._wire.write(buffer, limit)

    async def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        attempt: Attempt = timeout
        limit = partial(attempt.within, attempt.timeout.read)
        with _as(httpcore2.ReadTimeout, httpcore2.ReadError):
            limit()
            data = await self._wire.read(max_bytes, limit)
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
    """What ended a step, as the library's errors: of a step that came too late, and of one that failed."""

    def __init__(self, late: type[Exception], failed: type[Exception]) -> None:
        self._late = late
        self._failed = failed

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise (self._late if isinstance(error, TimeoutError) else self._failed)(str(error)) from error
