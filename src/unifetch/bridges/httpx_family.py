"""A transport for `httpx` and `httpx2`, which differ in nothing that matters here: the library is handed in.

Below its client the front library wants one exchange, undecoded and unredirected, and errors of its own tree. It keeps
its cookies, its auth, its redirects and its decoding; the engine, the deadline, the checks and the events are ours.

Not handed out: `network_stream`, for a connection belongs to the engine. `trace` is told in httpcore's order and by its
names, but nothing of how a connection comes about, and that a request has left only once its response is there: an
exchange does not say more.
"""

from __future__ import annotations

from inspect import signature

from .. import errors
from ..client.body_there import AsyncBodyThere, BodyThere
from ..client.event_loops import in_trio
from ..errors import ConfigConflict, ConfigError, UnifetchError
from ..model.headers import NO_HEADERS, Headers
from ..model.url import URL, with_exact_target
from ..policies.proxies import Proxy
from ..wire.resolution import numeric
from . import replaced
from .bounds import checked, phases
from .engine import AsyncEngine, Engine

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import ModuleType
    from typing import Any, ClassVar, Unpack

    from ..client.async_client import AsyncClient
    from ..client.sync_client import Client
    from ..model.messages import Response
    from .bounds import BridgeArguments
    from .engine import Idle


class SyncTransport:
    """One exchange at a time for a client of the library that blocks; used by many threads at once.

    Args:
        idle: how many connections are kept idle at most, and for how many seconds; None leaves it to the engine.
        total: seconds for the whole exchange, its body included; None for no limit. The library has no such bound.
        proxy: None connects directly; `"env"` goes by the environment, which the library does not do for a transport.
        backend: who carries the requests, `"socket"` if nothing is said, and on trio the library itself.
        tls, resolve, forbid_private, unix_socket, listeners, limits, http2: as in `unifetch.Client`.

    Raises:
        ConfigError: for an unknown setting or a value that will not do.
    """

    family: ClassVar[Library]

    def __init__(self, *, idle: Idle | None = None, **settings: Unpack[BridgeArguments]) -> None:
        told, self._total = checked(settings)
        self._client: Client = Engine(idle, **told)
        self._fields = Fields()

    def handle_request(self, request: Any) -> Any:
        """Perform one exchange; its response is closed by whoever reads it."""
        family = self.family
        trace = request.extensions.get("trace")
        if trace is not None:
            trace("http11.send_request_headers.started", {"request": request})
        try:
            url, call = family.call(request, self._total, self._client)
            body = family.content(request.stream)
            fields = self._fields.of(request, url.origin)
            response = self._client.exchange(request.method, url, headers=fields, body=body, **call)
        except ConfigError:  # the transport was told what cannot be done
            raise
        except UnifetchError as error:
            if trace is not None:
                for name, info in failed(error, request):
                    trace(name, info)
            raise family.translated(error, request) from error
        if trace is not None:
            try:
                for name, info in answered(response, request):
                    trace(name, info)
            except BaseException:
                response.close()  # it will reach nobody
                raise
        body = response.body
        if trace is None and type(body) is BodyThere:
            return family.response(response, family.library.ByteStream(body.content))
        return family.response(response, family.stream(response, request, trace))

    def close(self) -> None:
        """Close idle connections. The transport is done."""
        self._client.close()


class AwaitedTransport:
    """The same, awaited, on asyncio and on trio."""

    family: ClassVar[Library]

    def __init__(self, *, idle: Idle | None = None, **settings: Unpack[BridgeArguments]) -> None:
        self._chooses = settings.get("backend") is None
        told, self._total = checked(settings)
        self._client: AsyncClient = AsyncEngine(idle, **told)
        self._fields = Fields()

    async def handle_async_request(self, request: Any) -> Any:
        """Perform one exchange; its response is closed by whoever reads it."""
        family = self.family
        trace = request.extensions.get("trace")
        if trace is not None:
            await trace("http11.send_request_headers.started", {"request": request})
        try:
            url, call = family.call(request, self._total, self._client)
            if self._chooses and in_trio():  # which the socket backend does not know
                call["backend"] = family.library.__name__
            body = family.content(request.stream)
            fields = self._fields.of(request, url.origin)
            response = await self._client.exchange(request.method, url, headers=fields, body=body, **call)
        except ConfigError:  # the transport was told what cannot be done
            raise
        except UnifetchError as error:
            if trace is not None:
                for name, info in failed(error, request):
                    await trace(name, info)
            raise family.translated(error, request) from error
        if trace is not None:
            try:
                for name, info in answered(response, request):
                    await trace(name, info)
            except BaseException:
                await response.close()  # it will reach nobody
                raise
        body = response.body
        if trace is None and type(body) is AsyncBodyThere:
            return family.response(response, family.async_content(body.content))
        return family.response(response, family.async_stream(response, request, trace))

    async def aclose(self) -> None:
        """Close idle connections. The transport is done."""
        await self._client.close()


# --- The request ----------------------------------------------------------------------------------


class Fields:
    """The fields of the last request to each origin, checked: most are those of the one before, byte for byte."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[list[tuple[bytes, bytes]], Headers]] = {}

    def of(self, request: Any, origin: str) -> Headers:
        """Every field of a request, in order, one character a byte.

        Raises:
            InvalidHeader: for one that RFC 9110 does not allow.
        """
        raw = request.headers.raw
        last = self._last.get(origin)
        if last is None or last[0] != raw:
            if len(self._last) >= 64:
                self._last.clear()
            fields = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])
            last = self._last[origin] = raw, fields
        return last[1]


class Library:
    """One of the two libraries, and what it has in place of what is ours.

    Args:
        library: the module.
    """

    def __init__(self, library: ModuleType) -> None:
        self.library: Any = library
        self.stream, self.async_stream, self.async_content = _streams(self, library)
        self._last_fields: tuple[Headers, Any] = NO_HEADERS, self.library.Headers()
        # The first that fits is taken.
        self.errors: dict[type[UnifetchError], type[Exception]] = {
            errors.PoolTimeout: self.library.PoolTimeout,
            errors.ConnectTimeout: self.library.ConnectTimeout,
            errors.WriteTimeout: self.library.WriteTimeout,
            errors.TimedOut: self.library.ReadTimeout,
            errors.ProxyError: self.library.ProxyError,
            errors.ConnectError: self.library.ConnectError,
            errors.ProtocolError: self.library.RemoteProtocolError,
            errors.InvalidRequest: self.library.LocalProtocolError,
        }

    def call(self, request: Any, total: float | None, client: Client | AsyncClient) -> tuple[URL, dict[str, Any]]:
        """Where a request goes, and what its extensions say.

        Raises:
            UnifetchError: for a target or a server name that cannot be.
        """
        url, extensions = request.url, request.extensions
        within = extensions.get("timeout", {}).get
        call: dict[str, Any] = {
            "timeout": phases(total, within("connect"), within("read"), within("write"), within("pool"))
        }
        scheme, target, authority = url.scheme, url.raw_path.decode("ascii"), url.netloc.decode("ascii")
        if scheme not in ("http", "https"):
            raise self.library.UnsupportedProtocol(f"the URL has to begin with http:// or https://, not {scheme}:")
        name = extensions.get("sni_hostname")
        if name is not None and scheme == "https" and name != url.host:
            authority = self._named(name, url, client)
            call["resolve"] = {name: url.host}
        if (exact := extensions.get("target")) is not None:
            target = exact.decode("ascii")
            if target[:1] != "/":
                raise errors.InvalidRequest("the target of a request has to begin with a slash (RFC 9112 §3.2.1)")
        text = f"{scheme}://{authority}{target}"
        parsed = URL(text, path_as_is=True) if "/." in target else URL(text)
        # The library has its own normal form, and whoever signs a URL has signed that.
        return parsed if parsed.target == target else with_exact_target(parsed, target), call

    def _named(self, name: str, url: Any, client: Client | AsyncClient) -> str:
        # The name is asked for by its own URL, at the address: then SNI and the check of the certificate are for it.
        if client.settings.proxy is not None or not numeric(url.host, 0):
            raise errors.InvalidRequest(
                "sni_hostname is honoured for a URL with an address as its host, and without a proxy; "
                "otherwise ask for the name itself, and give resolve= to the transport"
            )
        return name if url.port is None else f"{name}:{url.port}"

    def content(self, stream: Any) -> Any:
        """The body of a request: bytes where they are there, else whatever iterates over it, or None."""
        if isinstance(stream, self.library.ByteStream):
            return b"".join(stream) or None
        return stream

    # --- The response -----------------------------------------------------------------------------

    def response(self, response: Response[Any], stream: Any) -> Any:
        """The library's response, whose body is this stream."""
        # A server repeats itself, and then so does the object; the library copies what it is handed.
        given, fields = self._last_fields
        if given is not response.headers:
            fields = self.library.Headers(_raw(response))
            self._last_fields = response.headers, fields
        extensions = {
            "http_version": response.http_version.encode("ascii"),
            "reason_phrase": response.reason.encode("latin-1"),
        }
        return self.library.Response(response.status, headers=fields, stream=stream, extensions=extensions)

    # --- Errors -----------------------------------------------------------------------------------

    def translated(self, error: UnifetchError, request: Any) -> Exception:
        """The library's error for one of ours."""
        kind: type[Exception]
        if isinstance(error, errors.ConnectionLost):
            # As its engine tells the two apart: a connection that was reset, and one that was closed.
            kind = self.library.ReadError if _is_of_system(error) else self.library.RemoteProtocolError
        elif isinstance(error, errors.IncompleteBody) and _is_of_system(error):
            kind = self.library.ReadError
        elif isinstance(error, errors.ProxyError) and _is_of_system(error):
            kind = self.library.ConnectError  # there was no proxy that could have refused
        elif isinstance(error, errors.TotalTimeout) and error.request_sent == "no":
            kind = self.library.ConnectTimeout
        elif isinstance(error, errors.StreamError):
            return self.library.StreamClosed()  # type: ignore[no-any-return]  # of a module that is handed in
        else:
            kind = next(
                (theirs for ours, theirs in self.errors.items() if isinstance(error, ours)), self.library.TransportError
            )
        translated = kind(str(error))
        translated.request = request  # type: ignore[attr-defined]  # the library's errors have one
        return translated


def _is_of_system(error: BaseException | None) -> bool:
    """Whether it was the system that has ended the connection, or made none, below us or below a library."""
    while error is not None:
        if isinstance(error, OSError) and not isinstance(error, UnifetchError):  # ours are of builtin kinds as well
            return True
        error = error.__cause__
    return False


def _raw(response: Response[Any]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.pairs]


def answered(response: Response[Any], request: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """What `trace` is told once the head of a response is there, after the first."""
    yield from _sent(request)
    yield "http11.receive_response_headers.complete", {"return_value": _head(response)}


def failed(error: UnifetchError, request: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """What `trace` is told where none came: whether that was before the request had left, or after."""
    if error.request_sent == "no":
        yield "http11.send_request_headers.failed", {"exception": error}
        return
    yield from _sent(request)
    yield "http11.receive_response_headers.failed", {"exception": error}


def _sent(request: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "http11.send_request_headers.complete", {"return_value": None}
    yield "http11.send_request_body.started", {"request": request}
    yield "http11.send_request_body.complete", {"return_value": None}
    yield "http11.receive_response_headers.started", {"request": request}


def _head(response: Response[Any]) -> tuple[Any, ...]:
    version, reason = response.http_version.encode("ascii"), response.reason.encode("latin-1")
    return version, response.status, reason, _raw(response)


def _streams(family: Library, library: Any) -> tuple[type, type, type]:
    # The library asks of a body that it is one of its own streams.

    class ResponseStream(library.SyncByteStream):  # type: ignore[misc]  # of a library that is only known when it runs
        """The body of a response, as it was sent."""

        def __init__(self, response: Response[Any], request: Any, trace: Any) -> None:
            self._response = response
            self._request = request
            self._trace = trace

        def __iter__(self) -> Iterator[bytes]:
            if self._trace is not None:
                self._trace("http11.receive_response_body.started", {"request": self._request})
            try:
                yield from self._response.body
            except UnifetchError as error:
                if self._trace is not None:
                    self._trace("http11.receive_response_body.failed", {"exception": error})
                raise family.translated(error, self._request) from error
            if self._trace is not None:
                self._trace("http11.receive_response_body.complete", {"return_value": None})

        def close(self) -> None:
            """Give the connection back if the body was read to its end, else close it."""
            try:
                self._response.close()
            except UnifetchError as error:
                raise family.translated(error, self._request) from error
            if self._trace is not None:
                self._trace("http11.response_closed.started", {})
                self._trace("http11.response_closed.complete", {"return_value": None})

    class AsyncResponseStream(library.AsyncByteStream):  # type: ignore[misc]  # likewise
        """The same, awaited."""

        def __init__(self, response: Response[Any], request: Any, trace: Any) -> None:
            self._response = response
            self._request = request
            self._trace = trace

        async def __aiter__(self) -> AsyncIterator[bytes]:
            if self._trace is not None:
                await self._trace("http11.receive_response_body.started", {"request": self._request})
            try:
                async for chunk in self._response.body:
                    yield chunk
            except UnifetchError as error:
                if self._trace is not None:
                    await self._trace("http11.receive_response_body.failed", {"exception": error})
                raise family.translated(error, self._request) from error
            if self._trace is not None:
                await self._trace("http11.receive_response_body.complete", {"return_value": None})

        async def aclose(self) -> None:
            """Give the connection back if the body was read to its end, else close it."""
            try:
                await self._response.close()
            except UnifetchError as error:
                raise family.translated(error, self._request) from error
            if self._trace is not None:
                await self._trace("http11.response_closed.started", {})
                await self._trace("http11.response_closed.complete", {"return_value": None})

    class AsyncContent(library.AsyncByteStream):  # type: ignore[misc]  # likewise
        """A body that is there already. The library's own is a generator, of which an event loop keeps a record."""

        def __init__(self, content: bytes) -> None:
            self._left = content

        def __aiter__(self) -> AsyncContent:
            return self

        async def __anext__(self) -> bytes:
            if not self._left:
                raise StopAsyncIteration
            content, self._left = self._left, b""
            return content

    return ResponseStream, AsyncResponseStream, AsyncContent


# --- In place of the library's own transports -------------------------------------------------------


def replace_transports(
    family: Library, transport: type, async_transport: type, settings: dict[str, Any]
) -> Callable[[], None]:
    """Have the library's own transports be ours from now on; what is returned takes that back.

    Raises:
        ConfigError: for settings that will not do.
    """
    transport(**settings)
    library = family.library

    def replace(theirs: Any, ours: type, base: type, handle: str, *block: str) -> Callable[[], None]:
        usual = signature(theirs.__init__).parameters["limits"].default
        methods = {name: getattr(base, name) for name in block}
        both = type(theirs.__name__, (ours, theirs), {handle: _below_mocks(library, theirs, ours, handle), **methods})
        return replaced(theirs, both, lambda said: {**settings, **_of_theirs(said, settings, usual)})

    undo = [
        replace(library.HTTPTransport, transport, library.BaseTransport, "handle_request", "__enter__", "__exit__"),
        replace(
            library.AsyncHTTPTransport,
            async_transport,
            library.AsyncBaseTransport,
            "handle_async_request",
            "__aenter__",
            "__aexit__",
        ),
    ]

    def take_back() -> None:
        for back in undo:
            back()

    return take_back


def _below_mocks(library: Any, theirs: Any, ours: Any, handle: str) -> Callable[[Any, Any], Any]:
    """Our way to handle a request; if a mock has put another in the place of the library's, that is asked."""
    own, sent = getattr(theirs, handle), getattr(ours, handle)

    def is_own(method: Any) -> bool:
        return bool(method.__module__.partition(".")[0] == library.__name__)

    known = own if is_own(own) else None

    def handle_it(self: Any, request: Any) -> Any:
        method = getattr(theirs, handle)
        return sent(self, request) if method is known or is_own(method) else method(self, request)

    return handle_it


def _of_theirs(said: dict[str, Any], settings: dict[str, Any], usual: Any) -> dict[str, Any]:
    """Our settings for the arguments of the library's own transport.

    Raises:
        ConfigConflict: for one that would be lost; it names it.
    """
    for name in ("local_address", "retries", "socket_options"):
        if said.get(name):
            raise ConfigConflict(f"{name}= of {said['self']!r} would be lost on a bridge; leave this client as it was")
    told: dict[str, Any] = {"http2": True} if said.get("http2") else {}
    verify, cert, limits, proxy = said.get("verify", True), said.get("cert"), said.get("limits"), said.get("proxy")
    if verify is not True or cert is not None:
        if "tls" in settings:
            raise ConfigConflict("verify= and cert= of a client contradict the tls= of install(); say it in one place")
        if isinstance(verify, (bool, str)):
            tls: dict[str, Any] = {"ca_file": verify} if isinstance(verify, str) else {"verify": verify}
            told["tls"] = tls if cert is None else {**tls, "client_cert": cert}
        elif cert is None:
            told["tls"] = verify
        else:
            raise ConfigConflict("cert= beside a context would be lost on a bridge; load it into the context")
    if limits is not None:
        most = limits.max_connections
        if "limits" not in settings:
            told["limits"] = {"connections": most, "connections_per_origin": most}
        # As many as there may be in all, and what a client has if it says nothing, are no bounds of the caller's.
        idle, seconds = limits.max_keepalive_connections, limits.keepalive_expiry
        if idle == usual.max_keepalive_connections or (most is not None and idle is not None and idle >= most):
            idle = None
        if seconds == usual.keepalive_expiry:
            seconds = None
        if (idle, seconds) != (None, None):
            told["idle"] = (idle, seconds)
    if proxy is not None:
        if getattr(proxy, "headers", None) or getattr(proxy, "ssl_context", None):
            raise ConfigConflict("the headers or the context of a proxy would be lost on a bridge")
        told["proxy"] = _proxy(proxy)
    if said.get("uds") is not None:
        told["unix_socket"] = said["uds"]
    return told


def _proxy(proxy: Any) -> Proxy:
    plain = Proxy.of(str(getattr(proxy, "url", proxy)).rstrip("/"))
    auth = getattr(proxy, "auth", None)
    return plain if auth is None else plain.replace(username=auth[0], password=auth[1])
