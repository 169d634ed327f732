"""`httpx` and `httpx2`, entered at the connection pool of their engine, one layer below their transport.

The two differ in nothing that matters here, so they share this: their own files, `httpx.py` and `httpx2.py`, hand in
the library and its engine, and tell what is to be known of each. Nothing here imports either.

Our streams listen to what they carry (`poisoning.py`), so that a connection on which more came than was asked for is
not used again.
"""

from __future__ import annotations

from functools import partial
from weakref import WeakSet

from ..errors import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    InvalidRequest,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    UnifetchError,
    WriteTimeout,
)
from ..model.headers import Headers
from ..model.messages import AsyncRawResponse, RawResponse
from ..model.route import DIRECT
from .base import HTTP_1_CAPABILITIES, Capability, refuse_closed, refuse_conflicts, translate
from .httpx_network import AsyncNetworkStream, DialedFor, NetworkStream, async_pool, blocking_pool, encoded
from .poisoning import HeardExchange

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable, Iterator
    from typing import Any, ClassVar, Literal

    from ..model.messages import RawRequest
    from ..model.route import Route

CAPABILITIES = HTTP_1_CAPABILITIES - {
    Capability.NO_CONTENT,
    Capability.EXPECT_CONTINUE,
    Capability.TRAILERS,
    Capability.INTERIM_EVENTS,
}
# A client of the caller's own connects by its own means and with its own TLS settings.
INJECTED_CAPABILITIES = frozenset(
    {
        Capability.EXACT_TARGET,
        Capability.EXACT_HEADERS,
        Capability.INTERIM,
        Capability.KEEP_ALIVE,
        Capability.EARLY_RESPONSE,
    }
)
AWAITED = frozenset({Capability.NATIVE_ASYNC, Capability.TRIO})
ASYNC_CAPABILITIES = CAPABILITIES | AWAITED
# And on asyncio it loses what a server says before it refuses the rest of an upload.
ASYNC_INJECTED_CAPABILITIES = INJECTED_CAPABILITIES - {Capability.EARLY_RESPONSE} | AWAITED


class _Pools:
    """What the two have in common: a client of the library's, or a pool for each TLS context and each way.

    Args:
        native: a client of the library to use instead, through its `send`; it stays open.

    Raises:
        ConfigConflict: for a client with settings that would be lost; it names the attribute.
    """

    family: ClassVar[Family]
    declares: ClassVar[tuple[frozenset[Capability], frozenset[Capability]]]  # without a client, and with one
    name: str
    contract: Literal[1] = 1
    native: object

    def __init__(self, native: Any = None) -> None:
        self._client = native
        self._pools: dict[tuple[ssl.SSLContext | None, Route], Any] = {}
        self.capabilities = self.declares[native is not None]
        if native is None:
            native = self._pool = self._pools[None, DIRECT] = self._new_pool()
        else:
            self.family.refuse_conflicts(native)
        self.native = native

    def _new_pool(self) -> Any:
        raise NotImplementedError

    def _pool_for(self, tls: ssl.SSLContext | None, route: Route) -> Any:
        # A pool tells connections apart by their origin only.
        if tls is None and route is DIRECT:
            return self._pool
        pool = self._pools.get((tls, route))
        return pool if pool is not None else self._pools.setdefault((tls, route), self._new_pool())


class PoolBackend(_Pools):
    """Carries requests with a pool of the engine, or by a `Client` of the library."""

    declares = CAPABILITIES, INJECTED_CAPABILITIES

    def _new_pool(self) -> Any:
        return self.family.pool()

    # --- The request ------------------------------------------------------------------------------

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange; see `Backend.send`."""
        exchange = HeardExchange(request.timeout, request.deadline)
        try:
            answer = (self._through_pool if self._client is None else self._through_client)(request, exchange)
        except self.family.raised as error:
            translate(error, self.family.errors, exchange, request)

        exchange.sent = "yes"
        return RawResponse(
            *_head(answer, exchange, self._client),
            _chunks(self.family, answer, exchange, request),
            partial(_close, answer),
        )

    def _through_pool(self, request: RawRequest, exchange: HeardExchange) -> Any:
        return self._pool_for(request.tls, request.route).handle_request(_for_pool(self.family, request, exchange))

    def _through_client(self, request: RawRequest, exchange: HeardExchange) -> Any:
        refuse_closed(self._client, self._client.is_closed)
        theirs = _for_client(self.family, request, exchange, self.family.upload(request.body))
        return self._client.send(theirs, stream=True, auth=None, follow_redirects=False)

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections; a client that was injected stays open."""
        if self._client is None:
            for pool in list(self._pools.values()):
                pool.close()


class AsyncPoolBackend(_Pools):
    """The same, awaited, on asyncio and on trio; or by an `AsyncClient`."""

    declares = ASYNC_CAPABILITIES, ASYNC_INJECTED_CAPABILITIES

    def _new_pool(self) -> Any:
        return self.family.async_pool()

    # --- The request ------------------------------------------------------------------------------

    async def send(self, request: RawRequest) -> AsyncRawResponse:
        """Perform one exchange; see `AsyncBackend.send`."""
        exchange = HeardExchange(request.timeout, request.deadline)
        try:
            answer = await (self._through_pool if self._client is None else self._through_client)(request, exchange)
        except self.family.raised as error:
            translate(error, self.family.errors, exchange, request)
        finally:
            # A generator that was not asked for all that it has would be left to the event loop.
            if (end := getattr(request.body, "aclose", None)) is not None:
                await end()

        exchange.sent = "yes"
        chunks = _AsyncChunks(self.family, answer, exchange, request)
        return AsyncRawResponse(*_head(answer, exchange, self._client), chunks, chunks.aclose)

    async def _through_pool(self, request: RawRequest, exchange: HeardExchange) -> Any:
        return await self._pool_for(request.tls, request.route).handle_async_request(
            _for_pool(self.family, request, exchange)
        )

    async def _through_client(self, request: RawRequest, exchange: HeardExchange) -> Any:
        refuse_closed(self._client, self._client.is_closed)
        theirs = _for_client(self.family, request, exchange, self.family.async_upload(request.body))
        return await self._client.send(theirs, stream=True, auth=None, follow_redirects=False)

    # --- The end ----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close idle connections; a client that was injected stays open."""
        if self._client is None:
            for pool in list(self._pools.values()):
                await pool.aclose()


def _for_pool(family: Family, request: RawRequest, exchange: HeardExchange) -> Any:
    engine = family.engine
    theirs = engine.Request(
        request.method.encode("ascii"),
        engine.URL(
            scheme=request.scheme.encode("ascii"),
            host=request.host.encode("ascii"),
            port=request.port,
            target=request.target.encode("ascii"),
        ),
        content=request.body,
        # The engine waits for its pool; the dialer and the streams, whose timeout is the exchange, keep to the rest.
        extensions={
            "timeout": {
                "pool": exchange.within(exchange.timeout.pool),
                "connect": DialedFor(request),
                "write": exchange,
                "read": exchange,
            }
        },
    )
    theirs.headers = encoded(request.headers)  # set afterwards, so that they are not checked once more
    return theirs


def _for_client(family: Family, request: RawRequest, exchange: HeardExchange, stream: Any) -> Any:
    phases = {name: exchange.within(getattr(exchange.timeout, name)) for name in ("pool", "connect", "write", "read")}
    return family.library.Request(
        request.method,
        request.url,
        headers=encoded(request.headers),
        stream=stream,
        extensions={"timeout": phases, "target": request.target.encode("ascii")},
    )


def _uploads(library: Any) -> tuple[type, type]:
    # The library asks of a body that it is one of its own streams.

    class Upload(library.SyncByteStream):  # type: ignore[misc]  # of a library that is only known when it runs
        """A body for a client, which frames it by the headers that it was given."""

        def __init__(self, body: bytes | Iterable[bytes] | None) -> None:
            self._body: Iterable[bytes] = (body,) if isinstance(body, bytes) else body or ()

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._body)

    class AsyncUpload(library.AsyncByteStream):  # type: ignore[misc]  # likewise
        """The same, awaited."""

        def __init__(self, body: Any) -> None:
            self._body = body

        async def __aiter__(self) -> AsyncIterator[bytes]:
            if isinstance(self._body, bytes):
                yield self._body
            elif self._body is not None:
                async for chunk in self._body:
                    yield chunk

    return Upload, AsyncUpload


# --- The head -------------------------------------------------------------------------------------


def _head(answer: Any, exchange: HeardExchange, client: Any) -> tuple[int, str, str, Headers]:
    if (head := exchange.head) is not None:  # our own parser has read it beside theirs
        return head.status, head.reason, head.version, head.headers
    # Of a client, or of what a mock puts in the place of a pool.
    status, fields = (answer.status, answer.headers) if client is None else (answer.status_code, answer.headers.raw)
    told = answer.extensions
    reason, version = told.get("reason_phrase", b""), told.get("http_version", b"HTTP/1.1")
    if version.startswith(b"HTTP/1.") and version != b"HTTP/1.0":
        version = b"HTTP/1.1"  # RFC 9110 §2.5: a higher minor version is processed as the highest that we know
    headers = Headers.trusted([(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields])
    return status, reason.decode("latin-1"), version.decode("ascii"), headers


# --- The chunks -----------------------------------------------------------------------------------


def _chunks(family: Family, answer: Any, exchange: HeardExchange, request: RawRequest) -> Iterator[bytes]:
    try:
        yield from answer.stream
        stream = answer.extensions.get("network_stream")
        if isinstance(stream, NetworkStream):
            stream.done()
    except family.raised as error:
        translate(error, family.errors, exchange, request)
    finally:
        _close(answer)


def _close(answer: Any) -> None:
    try:
        answer.close()
    except BaseException:  # of a connection that is interrupted as it closes the pool knows nothing any more
        if isinstance(stream := answer.extensions.get("network_stream"), NetworkStream):
            stream.close()
        raise


class _AsyncChunks:
    """The same, awaited. No generator, for one that is not read to its end would be left to the event loop to close."""

    def __init__(self, family: Family, answer: Any, exchange: HeardExchange, request: RawRequest) -> None:
        stream = answer.extensions.get("network_stream")
        self._stream = stream if isinstance(stream, AsyncNetworkStream) else None
        # Past the pool's own generator, where there is our stream.
        chunks: Any = answer.stream if self._stream is None else self._stream.body
        self._chunks = chunks.__aiter__()
        self._family = family
        self._answer = answer
        self._exchange = exchange
        self._request = request

    def __aiter__(self) -> _AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk: bytes = await self._chunks.__anext__()
        except StopAsyncIteration:
            if self._stream is not None:
                self._stream.done()
            await self.aclose()
            raise
        except self._family.raised as error:
            await self.aclose()
            translate(error, self._family.errors, self._exchange, self._request)
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


# --- Errors and conflicts -------------------------------------------------------------------------


# By the names that both the library and its engine have. The first that fits is taken.
_ERRORS = {
    "PoolTimeout": PoolTimeout,
    "ConnectTimeout": ConnectTimeout,
    "WriteTimeout": WriteTimeout,
    "ReadTimeout": ReadTimeout,
    "ConnectError": ConnectError,
    "NetworkError": ConnectionLost,
    "LocalProtocolError": InvalidRequest,
    "ProtocolError": ProtocolError,
}


class Family:
    """One of the two.

    Args:
        library: the module.
        engine: the module that it stands on.
    """

    def __init__(self, library: Any, engine: Any) -> None:
        self.name: str = library.__name__
        self.library = library
        self.engine = engine
        self.pool, self.async_pool = blocking_pool(engine), async_pool(engine)
        self.upload, self.async_upload = _uploads(library)
        self.default_timeout = library.Timeout(5.0)  # what a client has that was given none
        self.errors: dict[type[Exception], type[UnifetchError]] = {
            **{getattr(module, name): ours for module in (engine, library) for name, ours in _ERRORS.items()},
            library.TimeoutException: ReadTimeout,
            library.HTTPError: ProtocolError,
            TimeoutError: ConnectTimeout,  # no time was left before the library was called
            OSError: ConnectionLost,
        }
        self.raised: tuple[type[Exception], ...] = (UnifetchError, *self.errors)

    def refuse_conflicts(self, client: Any) -> None:
        """Refuse a client with settings that would be lost.

        Raises:
            ConfigConflict: it names the attribute.
        """
        carried = {
            "auth": client.auth is not None,
            "cookies": len(client.cookies) > 0 and client not in _seen,
            "event_hooks": any(client.event_hooks.values()),
            "params": len(client.params) > 0,
            "base_url": str(client.base_url) != "",
            "timeout": client.timeout != self.default_timeout,
            "headers": not _DEFAULT_HEADERS.issuperset(client.headers),
        }
        refuse_conflicts(client, carried)
        _seen.add(client)


_DEFAULT_HEADERS = {"accept", "accept-encoding", "connection", "user-agent"}
_seen: WeakSet[Any] = WeakSet()  # clients whose jars fill with what we receive; they began empty
