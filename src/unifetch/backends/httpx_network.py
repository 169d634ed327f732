"""The connections that httpx and httpx2 use here: they take our route and keep to the deadline.

The `network_backend` of `httpcore` and `httpcore2` is documented. By it each connection is one that we have dialed
(`wire/dial.py`), and the `Exchange`, handed over as a timeout, bounds every read. The awaited pool has connections of
our own, too, which a cancelled task leaves closed. The engines' own proxies are not used: they add fields to a CONNECT,
and expect a SOCKS reply in one piece.

Nothing here imports an engine: each is handed in, and asked for its pool, its HTTP/1.1 and its errors.
"""

from __future__ import annotations

from functools import partial
from threading import Lock
from time import monotonic
from weakref import WeakKeyDictionary, ref

from ..errors import ConnectError
from ..wire.anyio import dial as dial_awaited
from ..wire.blocking import dial
from ..wire.reader import RECEIVE
from ..wire.sockets import arrivals, send_or_hear
from ..wire.tls_errors import certificate_refused
from .base import IDLE_SECONDS
from .poisoning import Exchanges

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from ..model.headers import Pairs
    from ..model.messages import RawRequest
    from ..wire.anyio_wire import AnyioWire
    from ..wire.blocking import BlockingWire
    from .poisoning import HeardExchange

# --- The pools ------------------------------------------------------------------------------------


def blocking_pool(engine: Any) -> type:
    """The class of the pools of this engine, of connections that we dial.

    Their locks are taken by Python code, and an interrupt there would leave one taken: later calls would wait for it
    for ever. They have locks of the interpreter's in their place.
    """

    class DialedConnection(engine.HTTPConnection):  # type: ignore[misc]  # of an engine that is only known when it runs
        """One of theirs."""

        _connection: Any

        def __init__(self, origin: Any, network: _Network) -> None:
            super().__init__(origin, _NoContext(), IDLE_SECONDS, network_backend=network)
            self._request_lock = Lock()
            self._is_closed = False

        def handle_request(self, request: Any) -> Any:
            try:
                with self._request_lock:
                    if self._connection is None:
                        stream = self._connect(request)
                        if self._is_closed:
                            stream.close()
                            raise _closed_meanwhile(request)
                        self._connection = http11 = engine.HTTP11Connection(self._origin, stream, IDLE_SECONDS)
                        http11._state_lock = Lock()
            except BaseException:
                self._connect_failed = True
                raise
            return self._connection.handle_request(request)

        def close(self) -> None:
            self._is_closed = True
            super().close()

    class DialedPool(engine.ConnectionPool):  # type: ignore[misc]  # as above
        """Their pool, of these connections."""

        def __init__(self) -> None:
            # How many connections there are is decided by the core; how long one stays idle, here.
            super().__init__(max_connections=None, max_keepalive_connections=20)
            self._network = _Network(engine)
            self._optional_thread_lock = Lock()

            self._answers: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # to each request, while somebody has it

        def handle_request(self, request: Any) -> Any:
            try:
                answer = super().handle_request(request)
                self._answers[request] = ref(answer)
            except BaseException:
                self._answers[request] = _nothing
                raise
            return answer

        def create_connection(self, origin: Any) -> Any:
            # Of an exchange that was interrupted, its pool may not know that it is over.
            for each in list(self._requests):
                answer = self._answers.get(each.request)  # there is none while it is waited for
                if answer is not None and answer() is None:
                    self._requests.remove(each)
                    if each.connection is not None:
                        each.connection.close()
            return DialedConnection(origin, self._network)

    return DialedPool


def _nothing() -> None:
    pass


def _closed_meanwhile(request: Any) -> ConnectError:
    raw: RawRequest = request.extensions["timeout"]["connect"].request
    return ConnectError(f"no connection to {raw.host}:{raw.port}: it was closed while it was opened")


class _NoContext:
    """Stands for a context: the engine would build one, though TLS is spoken already by then."""

    def set_alpn_protocols(self, protocols: object) -> None:
        """The protocols are those that our context offers."""


class _Network:
    """Connections that are dialed for a request, and whose streams keep to its deadline."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def connect_tcp(self, host: str, port: int, timeout: Any = None, *_: Any, **__: Any) -> NetworkStream:
        dialed_for: DialedFor = timeout
        return NetworkStream(self._engine, dial(dialed_for.request))


class DialedFor:
    """A request on its way through the engine, which logs the repr of all that it hands on: this one tells nothing."""

    def __init__(self, request: RawRequest) -> None:
        self.request = request


def encoded(headers: Pairs) -> list[tuple[bytes, bytes]]:
    """The fields as the engine takes them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def async_pool(engine: Any) -> type:
    """The class of the awaited pools of this engine, of connections of ours."""

    class EngineConnection(PooledConnection, engine.AsyncConnectionInterface):  # type: ignore[misc]  # as below
        """With what the engine asks of a connection, and has an answer to by itself."""

    class AsyncPool(engine.AsyncConnectionPool):  # type: ignore[misc]  # of an engine that is only known when it runs
        """Their pool, of our connections."""

        def __init__(self) -> None:
            super().__init__(max_connections=None, max_keepalive_connections=None)

        def create_connection(self, origin: Any) -> PooledConnection:
            return EngineConnection(engine, origin)

    return AsyncPool


class PooledConnection:
    """One connection in their pool. Their own closes by awaiting a lock; cancelled there, it is never closed or free.

    Here an exchange that ends early closes the socket without waiting, and the pool finds it closed.
    """

    def __init__(self, engine: Any, origin: Any) -> None:
        self._engine = engine
        self._origin = origin
        self._state: Literal["new", "busy", "idle", "closed"] = "new"
        self._stream: AsyncNetworkStream | None = None
        self._http: Any = None
        self._idle_since = 0.0

    async def handle_async_request(self, request: Any) -> Any:
        if self._state == "idle" and self._stream is not None and self._stream.is_doubtful():
            self.close()
        if self._state not in ("new", "idle"):
            raise self._engine.ConnectionNotAvailable
        self._state = "busy"
        try:
            if self._stream is None or self._http is None:
                dialed_for: DialedFor = request.extensions["timeout"]["connect"]
                self._stream = stream = AsyncNetworkStream(self._engine, await dial_awaited(dialed_for.request))
                if self.is_closed():
                    stream.close()
                    raise _closed_meanwhile(request)
                self._http = self._engine.AsyncHTTP11Connection(self._origin, self._stream)
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

    def can_handle_request(self, origin: Any) -> bool:
        return bool(origin == self._origin)

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
        # The pool asks this of every connection at every request, and looks again at the one that it takes.
        idle = monotonic() - self._idle_since
        return idle > IDLE_SECONDS or (idle > 1 and self._stream.is_doubtful())

    def info(self) -> str:
        return f"{self._origin}, HTTP/1.1, {self._state}"


class PooledBody:
    """The chunks of one awaited response, as the pool's HTTP/1.1 gives them.

    Only a connection whose response was read to its end serves another. With anything else that ends a body it is
    closed first, by an ordinary call, which no cancellation can interrupt; then their generators come to their end.

    Args:
        connection: what they come by.
        stream: what gives them.

    Attributes:
        interrupted: what ended `aclose`, which never raises: the pool would not finish its own.
    """

    def __init__(self, connection: PooledConnection, stream: Any) -> None:
        self._connection = connection
        self._stream = stream
        self._chunks: Any = None
        self._ended = False
        self._closed = False
        self.interrupted: BaseException | None = None

    def __aiter__(self) -> PooledBody:
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
        """Let the connection serve another if all was read, else close it."""
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
        except Exception:  # noqa: BLE001  # it ends, by the closed connection or by a deadline that has passed
            self._connection.close()
        except BaseException as error:  # noqa: BLE001  # a cancellation; raised by whoever has called the pool
            self._connection.close()
            self.interrupted = error


# --- The stream -----------------------------------------------------------------------------------


class NetworkStream(Exchanges):
    """One connection: each read and write may take its phase's timeout, or what is left of the total.

    It also sees whether a byte of the request has left, which the engine does not tell.
    """

    def __init__(self, engine: Any, sock: BlockingWire) -> None:
        super().__init__()
        self._engine = engine
        self._sock = sock
        self._early = b""  # what came, and was heard, while a write waited

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        exchange: HeardExchange = timeout
        if exchange is not self.exchange:
            if self.exchange is not None and self._is_doubtful():
                # The pool asks the same, but not of a connection that becomes idle while it looks. Nothing was sent
                # yet, so it takes another.
                raise self._engine.ConnectionNotAvailable
            self.begin(exchange, buffer)
        if not buffer:
            return
        left = memoryview(buffer)
        try:
            exchange.within(exchange.timeout.write)
            self._sock.settimeout(0)
            exchange.sent = "maybe"
            while left:
                count = send_or_hear(self._sock, left, exchange.timeout.write, exchange.deadline)
                if not count and self._hears(exchange):
                    raise BrokenPipeError("the server has answered, and takes no more")  # the engine reads it then
                left = left[count:]
        except OSError as error:
            exchange.broke_sending = True
            raise _failure(error, self._engine.WriteTimeout, self._engine.WriteError) from error

    def _hears(self, exchange: HeardExchange) -> bool:
        # All that has come, as TLS may hold several records. It ends the upload if it is an answer, or an end: after an
        # interim response, the server still reads.
        while exchange.head is None:
            try:
                data = self._sock.recv(RECEIVE)
            except OSError as error:  # there is no more, or it was a message of TLS
                if certificate_refused(error, "maybe"):
                    raise
                return False
            if not data:
                break
            self.took(exchange, data)
            self._early += data
        return True

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        exchange: HeardExchange = timeout
        try:
            self._sock.settimeout(exchange.within(exchange.timeout.read))
            if self._early:
                data, self._early = self._early, b""
                return data
            data = self._sock.recv(max_bytes)
        except OSError as error:
            raise _failure(error, self._engine.ReadTimeout, self._engine.ReadError) from error
        self.took(exchange, data)
        return data

    def start_tls(self, ssl_context: object, server_hostname: str | None = None, timeout: Any = None) -> NetworkStream:
        return self

    def close(self) -> None:
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        # This is how the pool asks whether an idle connection is still good: a readable one is not.
        return self._is_doubtful() if info == "is_readable" else None

    def _is_doubtful(self) -> bool:
        # Several threads may ask at once, or close it meanwhile, so no poll() is kept.
        try:
            return self.spoilt or bool(arrivals(self._sock)())
        except ValueError:  # it is closed
            return True


class AsyncNetworkStream(Exchanges):
    """The same, awaited; its connection asks whether it is doubtful.

    Attributes:
        body: that of the response that is being read.
    """

    body: PooledBody

    def __init__(self, engine: Any, wire: AnyioWire) -> None:
        super().__init__()
        self._engine = engine
        self._wire = wire
        self._early = b""  # what came, and was heard, while a write waited

    async def write(self, buffer: bytes, timeout: Any = None) -> None:
        exchange: HeardExchange = timeout
        if exchange is not self.exchange:
            self.begin(exchange, buffer)
        if not buffer:
            return
        limit = partial(exchange.within, exchange.timeout.write)
        try:
            limit()
            exchange.sent = "maybe"
            if not await self._wire.write(buffer, limit, partial(self._hears, exchange)):
                raise BrokenPipeError("the server has answered, and takes no more")  # the engine reads it then
        except OSError as error:
            exchange.broke_sending = True
            raise _failure(error, self._engine.WriteTimeout, self._engine.WriteError) from error

    def _hears(self, exchange: HeardExchange, data: bytes) -> bool:
        if data:
            self.took(exchange, data)
            self._early += data
        return not data or exchange.head is not None

    async def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        exchange: HeardExchange = timeout
        limit = partial(exchange.within, exchange.timeout.read)
        try:
            limit()
            if self._early:
                data, self._early = self._early, b""
                return data
            data = await self._wire.read(max_bytes, limit)
        except OSError as error:
            raise _failure(error, self._engine.ReadTimeout, self._engine.ReadError) from error
        self.took(exchange, data)
        return data

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self._wire.close()

    def get_extra_info(self, info: str) -> Any:
        return self.is_doubtful() if info == "is_readable" else None

    def is_doubtful(self) -> bool:
        return self.spoilt or self._wire.is_doubtful()


def _failure(error: OSError, late: type[Exception], failed: type[Exception]) -> Exception:
    """What ended a step, as the library's error: for one that came too late, and for one that failed."""
    if refused := certificate_refused(error, "maybe"):
        return refused
    return (late if isinstance(error, TimeoutError) else failed)(str(error))
