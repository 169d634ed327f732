"""What goes in and what comes out: requests and responses, as frozen values.

`Request` and `Response` are what callers see. `RawRequest` and `RawResponse` pass between the call
and a backend: everything decided, nothing decoded.
"""

from __future__ import annotations

from ..errors import InvalidMethod, InvalidURL, StatusError, StreamError, evidence
from ..masking import masked
from .elsewhere import tell, told
from .frozen import Value
from .headers import NO_HEADERS, Headers, is_token
from .route import DIRECT, Route
from .url import URL

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
    from io import RawIOBase
    from typing import IO, Any, Generic, NoReturn, TypeVar, overload

    from .headers import HeaderTypes, Pairs
    from .lines import ServerSentEvent
    from .links import Link
    from .timeouts import Timeout

    BodyTypes = bytes | bytearray | memoryview | str | IO[bytes] | Iterable[bytes] | None
    B_co = TypeVar("B_co", bound=bytes | Iterator[bytes] | AsyncIterator[bytes], covariant=True)
else:
    B_co = None

    def overload(declaration: object) -> object:
        """Stands in for `typing.overload`, which only type checkers read."""
        return declaration

    class Generic:
        """Stands in for `typing.Generic` at run time, where `Response[bytes]` only has to be `Response`."""

        def __class_getitem__(cls, parameter: object) -> type:
            return cls


class Seconds(float):
    """A duration; whoever takes it for a `timedelta` is told that it is a number."""

    if not TYPE_CHECKING:  # so that a type checker still knows which attributes there are

        def __getattr__(self, name: str) -> NoReturn:
            from .names import ELAPSED, unknown_attribute

            raise AttributeError(unknown_attribute(ELAPSED, name, ()))


class Request(Value):
    """One request, as the caller means it: no framing, no Host, nothing that belongs to a connection.

    Args:
        method: a token of RFC 9110 §9.1; the usual ones in any case, any other as it is written.
        url: an absolute http or https URL.
        headers: a mapping or pairs.
        body, json, form, files: what `post` accepts by these names; `client.send(request)` sends it.

    Raises:
        InvalidMethod, InvalidURL, InvalidHeader: before anything is sent.
    """

    method: str
    url: URL
    headers: Headers
    body: BodyTypes
    json: Any = None
    form: Any = None
    files: Any = None

    @told("Request()")
    def __init__(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes = None,
        body: BodyTypes = None,
        json: Any = None,
        form: Any = None,
        files: Any = None,
    ) -> None:
        try:
            target = URL(url)
        except InvalidURL as error:
            if isinstance(url, str) and url[:1] in ("/", "?", "."):
                base = "client.settings.base_url.join(…) makes one of it"
                raise InvalidURL(f"{error}; a Request has an absolute URL: {base}") from None
            raise
        vars(self).update(
            method=checked_method(method),
            url=target,
            headers=headers if isinstance(headers, Headers) else Headers(headers),
            body=body,
        )
        given = {"json": json, "form": form, "files": files}
        vars(self).update({name: content for name, content in given.items() if content is not None})

    def without_stream(self) -> Request:
        """This request, without its body if that is a stream."""
        return self if self.body is None or isinstance(self.body, (bytes, str)) else self.replace(body=None)

    def __repr__(self) -> str:
        return f"<Request {self.method} {masked(self.url)}>"

    def __getstate__(self) -> dict[str, Any]:
        if self.without_stream() is not self:
            raise TypeError("a Request whose body is a stream cannot be pickled; read the body into bytes first")
        return super().__getstate__()


tell(
    Request,
    "Request",
    "data content params cookies auth hooks register_hook deregister_hook extensions prepare path_url real_url copy",
)

USUAL_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "POST", "PUT", "PATCH"})


def checked_method(method: object) -> str:
    """A method as it is sent: the usual ones in upper case, as in Fetch, and any other as it is written.

    Raises:
        InvalidMethod: it names the reason.
    """
    if not isinstance(method, str) or not is_token(method):
        shown = evidence(method) if isinstance(method, (str, bytes)) else type(method).__name__
        raise InvalidMethod(f"method {shown} is not a token (RFC 9110 §9.1)")
    upper = method.upper()
    if upper in ("CONNECT", "TRACE", "TRACK"):
        # Fetch's forbidden methods: CONNECT opens a tunnel, which is a connection's own business, and the
        # other two echo credentials.
        raise InvalidMethod(f"method {method} is not for a client of this kind (Fetch, forbidden methods)")
    return upper if upper in USUAL_METHODS else method


class Response(Value, Generic[B_co]):
    """One response, whichever backend carried it; `Response[bytes]` is plain data and pickles.

    Attributes:
        status: the status code, 200 to 999.
        reason: the reason phrase as the server sent it, possibly empty.
        headers: the header fields as they came.
        body: the decoded body: bytes, or for a stream an iterator of bytes.
        url: the URL that answered, after redirects, without userinfo and fragment.
        http_version: `"HTTP/1.1"`, `"HTTP/1.0"` or `"HTTP/2"`.
        history: the redirects that led here, oldest first; their bodies are not kept.
        request: the request that this answers.
        backend: the name of the backend that carried it.
        trailers: the fields that came after the body, from a backend that tells them (for a stream: none).
        decoded: whether a content coding was taken off; if not, the body is as it was sent.
    """

    status: int
    reason: str
    headers: Headers
    body: B_co
    url: URL
    http_version: str
    history: tuple[Response[bytes], ...]
    request: Request
    backend: str
    trailers: Headers
    decoded: bool

    @told(instead="a Response comes from a client; in a test, unifetch.testing.Answer(200, json=…) stands for one")
    def __init__(
        self,
        *,
        status: int,
        headers: Headers,
        body: B_co,
        request: Request,
        reason: str = "",
        url: URL | None = None,
        http_version: str = "HTTP/1.1",
        history: tuple[Response[bytes], ...] = (),
        backend: str = "",
        elapsed: float = 0.0,
        trailers: Headers = NO_HEADERS,
        decoded: bool = False,
    ) -> None:
        vars(self).update(
            status=status,
            reason=reason,
            headers=headers,
            body=body,
            url=request.url if url is None else url,
            http_version=http_version,
            history=history,
            request=request,
            backend=backend,
            elapsed=elapsed,
            trailers=trailers,
            decoded=decoded,
        )

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def elapsed(self) -> float:
        """Seconds from the call to the end of the body; for a stream, to the head."""
        return Seconds(vars(self)["elapsed"])

    def raise_for_status(self: Response[B_co]) -> Response[B_co]:
        """This response, unless its status is 400 or above.

        Raises:
            StatusError: it carries the response.
        """
        if self.status < 400:
            return self
        reason = f" {evidence(self.reason)[1:-1]}" if self.reason else ""
        raise StatusError(f"{self.status}{reason} for {self.request.method} {self.url}", self)

    @property
    def text(self: Response[bytes]) -> str:
        """The body as text: by its byte order mark, else its charset parameter, else UTF-8.

        Bytes that do not decode become U+FFFD (WHATWG Encoding, "decode").
        """
        from .text import decode_text

        return decode_text(self._read_body(), self.headers.get("content-type", ""))

    @property
    def charset(self) -> str | None:
        """The charset that Content-Type names, as it is written there, or None."""
        from .text import charset_of

        return charset_of(self.headers.get("content-type", ""))

    @property
    def links(self) -> dict[str, Link]:
        """What the Link fields lead to (RFC 8288), by relation, the first of each: `response.links["next"].url`."""
        from .links import links

        return links(self.url, self.headers.get("link", ""))

    def json(self: Response[bytes], **arguments: Any) -> Any:
        """The body parsed as JSON, whatever its Content-Type says.

        Args:
            **arguments: for `json.loads`, as `parse_float=Decimal`.

        Raises:
            InvalidJSON: if it is empty, not UTF-8 (UTF-16 and UTF-32 are recognised), or not JSON (RFC 8259).
        """
        from .text import decode_json

        return decode_json(self._read_body(), self.headers.get("content-type", ""), arguments)

    def _read_body(self: Response[bytes]) -> bytes:
        # A type checker refuses the call on a stream; this is for whoever runs none.
        if not isinstance(self.body, bytes):
            raise StreamError("the body of this stream has not been read: use response.read()")
        return self.body

    @overload
    def lines(self: Response[Iterator[bytes]], *, max_line: int | None = ...) -> Iterator[str]: ...
    @overload
    def lines(self: Response[AsyncIterator[bytes]], *, max_line: int | None = ...) -> AsyncIterator[str]: ...
    def lines(self: Response[Any], *, max_line: int | None = 16 * 1024**2) -> Any:
        """The lines of a stream without their ends, each as soon as it is complete; decoded as for `text`.

        A line ends at LF, CRLF or CR and nothing else. Of an AsyncClient's stream, they are to be awaited.

        Args:
            max_line: characters that a line may have; None for any number.

        Raises:
            TooLarge: for a longer line.
        """
        from .lines import LineSplitter

        return self._parsed(LineSplitter(self.headers.get("content-type", ""), max_line=max_line))

    @overload
    def events(self: Response[Iterator[bytes]], *, max_event: int | None = ...) -> Iterator[ServerSentEvent]: ...
    @overload
    def events(
        self: Response[AsyncIterator[bytes]], *, max_event: int | None = ...
    ) -> AsyncIterator[ServerSentEvent]: ...
    def events(self: Response[Any], *, max_event: int | None = 16 * 1024**2) -> Any:
        """The server-sent events of a stream (WHATWG HTML §9.2), each as soon as it is complete.

        Of an AsyncClient's stream, they are to be awaited.

        Args:
            max_event: characters that a line, and the data of an event, may have; None for any number.

        Raises:
            TooLarge: for a larger event.
        """
        from .lines import EventParser

        return self._parsed(EventParser(max_event=max_event))

    def _parsed(self: Response[Any], parser: Any) -> Any:
        from .lines import async_parsed, parsed

        return async_parsed(parser, self.body) if self._is_awaited() else parsed(parser, self.body)

    @overload
    def read(self: Response[Iterator[bytes]]) -> Response[bytes]: ...
    @overload
    def read(self: Response[AsyncIterator[bytes]]) -> Coroutine[Any, Any, Response[bytes]]: ...
    def read(self: Response[Any]) -> Any:
        """The rest of a stream's body, read to its end, as a response that is plain data.

        Of an AsyncClient's stream, it is to be awaited.
        """
        return self._read_async() if self._is_awaited() else self._whole(b"".join(self.body))

    async def _read_async(self: Response[Any]) -> Response[bytes]:
        return self._whole(b"".join([piece async for piece in self.body]))

    def _whole(self: Response[Any], body: bytes) -> Response[bytes]:
        return self.replace(body=body, trailers=getattr(self.body, "trailers", self.trailers))

    def _is_awaited(self) -> bool:
        # Bytes can be iterated over, too, and would give numbers.
        if isinstance(self.body, bytes):
            raise StreamError("the body of this response has been read, and is .body; stream() gives one as it comes")
        return hasattr(self.body, "__aiter__")

    @overload
    def close(self: Response[AsyncIterator[bytes]]) -> Awaitable[None]: ...
    @overload
    def close(self: Response[Any]) -> None: ...
    def close(self: Response[Any]) -> Any:
        """Close a response of `open` or `exchange`: its connection is kept if the body was read, else closed.

        Of an AsyncClient's stream, it is to be awaited. Where the body has been read it does nothing.
        """
        return None if isinstance(self.body, bytes) else self.body.close()

    def file(self: Response[Iterator[bytes]]) -> RawIOBase:
        """The rest of a stream's body as a raw binary file, without a buffer; closing it closes the response.

        `io.BufferedReader(response.file())` has a buffer.
        """
        from .body_file import BodyFile

        if self._is_awaited():
            raise StreamError("a file cannot be awaited: iterate over the body of this response instead")
        return BodyFile(self.body)

    def without_stream(self) -> Response[bytes]:
        """This response as plain data; what was not read of a stream is left out."""
        body = self.body if isinstance(self.body, bytes) else b""
        return self.replace(body=body, request=self.request.without_stream())  # type: ignore[return-value]  # as in read

    if not TYPE_CHECKING:  # so that a type checker still knows which attributes there are

        def __enter__(self) -> NoReturn:
            raise TypeError(
                "a Response has been read, and needs no `with`; to read one as it comes, "
                'write `with client.stream("GET", url) as response`'
            )

        def __exit__(self, *_: object) -> None: ...

        def __getattr__(self, name: str) -> NoReturn:
            from .names import RESPONSE, unknown_attribute

            raise AttributeError(unknown_attribute(RESPONSE, name, [*dir(Response), *Response.__annotations__]))

    def __repr__(self) -> str:
        size = f"{len(self.body)} bytes" if isinstance(self.body, bytes) else "a stream"
        return f"<Response {self.status} {masked(self.url)} {size}>"

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self.body, bytes):
            raise TypeError("a stream cannot be pickled; response.read() gives a response that can")
        return {**vars(self), "request": self.request.without_stream()}


class RawRequest(Value):
    """One attempt, with everything decided: what a backend writes, unchanged.

    Attributes:
        method: the method.
        scheme: `"http"` or `"https"`.
        host: the host to connect to: ASCII, an IPv6 address without its brackets.
        port: the port to connect to.
        target: the request target, percent-encoded: in origin form, or for a proxy in absolute form.
        headers: every field to send, in order, Host and framing included. A backend adds none.
        body: bytes, an iterable of non-empty bytes (for an `AsyncBackend`, an asynchronous one), or None. An
            iterable is framed by `length`.
        length: bytes that the iterable yields, declared as Content-Length; None means chunked.
        timeout: the timeouts of the phases, in seconds.
        deadline: the value of `time.monotonic()` at which the exchange must have ended, or None.
        tls: for https, the context to use.
        route: how to get there.
        trailers: fields to send after a chunked body.
        http2: whether to speak HTTP/2: True where the server takes the offer of `tls`, `"only"` in any case.
        fresh: whether to use no connection that has carried another request: the server has answered 421.
    """

    method: str
    scheme: str
    host: str
    port: int
    target: str
    headers: Pairs
    body: Any  # bytes | Iterable[bytes] | AsyncIterable[bytes] | None; each backend knows which it is handed
    length: int | None
    timeout: Timeout
    deadline: float | None
    tls: ssl.SSLContext | None
    route: Route
    trailers: Pairs
    http2: bool | str
    fresh: bool

    def __init__(
        self,
        method: str,
        url: URL,
        headers: Pairs,
        body: Any,
        length: int | None,
        timeout: Timeout,
        deadline: float | None = None,
        tls: ssl.SSLContext | None = None,
        route: Route = DIRECT,
        trailers: Pairs = (),
        http2: bool | str = False,
        fresh: bool = False,
    ) -> None:
        vars(self).update(
            method=method,
            scheme=url.scheme,
            host=url.host,
            port=url.port,
            target=url.target,
            headers=headers,
            body=body,
            length=length,
            timeout=timeout,
            deadline=deadline,
            tls=tls,
            route=route,
            trailers=trailers,
            http2=http2,
            fresh=fresh,
        )

    def routed(self, route: Route, **changes: Any) -> RawRequest:
        """This request by another route, and with what that changes in it."""
        other = object.__new__(RawRequest)
        vars(other).update(vars(self), route=route, **changes)
        return other

    def carrying(self, body: Any) -> RawRequest:
        """This request with another body of the same length."""
        return self if body is self.body else self.routed(self.route, body=body)

    @property
    def url(self) -> str:
        """The absolute URL, for a library that takes no less."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 80 if self.scheme == "http" else 443
        authority = host if self.port == default else f"{host}:{self.port}"
        return self.target if self.target[:1] != "/" else f"{self.scheme}://{authority}{self.target}"

    @property
    def chunked(self) -> bool:
        """Whether the body is to be sent with chunked transfer coding."""
        return self.length is None and self.body is not None and not isinstance(self.body, bytes)

    def __repr__(self) -> str:
        return f"<RawRequest {self.method} {masked(self.url)}>"

    def __getstate__(self) -> NoReturn:
        raise TypeError("a RawRequest is of one attempt, and its credentials do not travel in a pickle")


class RawResponse:
    """What a backend hands back: the head as the wire had it, and the body, unframed but not decoded.

    Attributes:
        status: the status code of the final response; 1xx were skipped.
        reason: the reason phrase, one character a byte.
        http_version: `"HTTP/1.1"`, `"HTTP/1.0"` or `"HTTP/2"`.
        headers: the fields in wire order, duplicates and case kept, values stripped of white space.
        body: what is there, as soon as it is there, to be iterated over once; it raises unifetch's errors.
        close: gives the connection back if the body was read to its end, else closes it. It may be called again.
        trailers: the trailer fields, once the body was read to its end; filled by whoever reads it.
        interim: the 1xx responses that came before, as (status, headers).
        is_checked: whether the backend has itself checked the head as `policies.limits.check_head` does.
        read_into: optional, in place of `body` where that is large: puts what is there, as soon as it is there, into
            the memory that it is handed (never empty); the number of bytes, 0 at the end.
        content: optional: all that `body` gives, if it is here by framing that the backend has held to RFC 9112, and
            the connection is free already. Most small bodies come with their head.
        stream: set only where a connection carries several at once: the numbers of the connection and of the stream.
    """

    __slots__ = (
        "body",
        "close",
        "content",
        "headers",
        "http_version",
        "interim",
        "is_checked",
        "read_into",
        "reason",
        "status",
        "stream",
        "trailers",
    )

    stream: tuple[int, int]

    def __init__(
        self,
        status: int,
        reason: str,
        http_version: str,
        headers: Headers,
        body: Iterable[bytes],
        close: Callable[[], None],
        trailers: Sequence[tuple[str, str]] = (),
        interim: Sequence[tuple[int, Headers]] = (),
        is_checked: bool = False,
        read_into: Callable[[memoryview], int] | None = None,
        content: bytes | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.http_version = http_version
        self.headers = headers
        self.body = body
        self.close = close
        self.trailers = trailers
        self.interim = interim
        self.is_checked = is_checked
        self.read_into = read_into
        self.content = content


class AsyncRawResponse(RawResponse):
    """What an `AsyncBackend` hands back: the same, with a body for `async for`, and a `close` to be awaited."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(
            self,
            status: int,
            reason: str,
            http_version: str,
            headers: Headers,
            body: AsyncIterator[bytes],
            close: Callable[[], Awaitable[None]],
            trailers: Sequence[tuple[str, str]] = (),
            interim: Sequence[tuple[int, Headers]] = (),
            is_checked: bool = False,
            read_into: None = None,
            content: bytes | None = None,
        ) -> None: ...

        body: AsyncIterator[bytes]  # type: ignore[assignment]  # the two never meet: a driver knows which it has
        close: Callable[[], Awaitable[None]]  # type: ignore[assignment]  # as above
