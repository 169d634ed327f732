"""An adapter for sessions of `requests`: `session.mount("https://", unifetch.bridges.requests.Adapter())`.

It enters where a session asks its adapter for a connection: what the adapter itself makes of arguments and errors stays
requests' own, and so do cookies, redirects, decoding and hooks. What it gets is a real `urllib3.HTTPResponse` over our
stream. `verify`, `cert` and `proxies` are honoured, or contradict what the adapter was told and are refused.

No `release_conn` hands an unread body to the next request: a body that was not read takes its connection with it.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from socket import gaierror
from typing import Any
from warnings import warn

import requests
from requests.adapters import DEFAULT_POOLBLOCK, DEFAULT_POOLSIZE, HTTPAdapter
from requests.cookies import extract_cookies_to_jar
from requests.utils import get_encoding_from_headers, prepend_scheme_if_needed, select_proxy
from urllib3 import HTTPHeaderDict, HTTPResponse, Retry
from urllib3 import exceptions as theirs
from urllib3.exceptions import MaxRetryError
from urllib3.util import Timeout
from urllib3.util.request import rewind_body, set_file_position

from .. import errors
from ..client.body_there import BodyThere
from ..errors import ConfigConflict, ConfigError, InvalidSetting, UnifetchError
from ..model.headers import Headers
from ..model.url import URL, with_exact_target
from ..policies.bodies import BLOCK
from ..policies.proxies import Proxy
from . import replaced
from .bounds import checked, phases
from .engine import Engine

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import RawIOBase
    from typing import Unpack

    from ..client.sync_client import Client
    from ..model.messages import Response
    from ..model.timeouts import Timeout as Bounds
    from .bounds import BridgeArguments
    from .engine import Idle


class Adapter(HTTPAdapter):
    """Carries the requests of a `requests.Session`; used by many threads at once.

    Args:
        max_retries: as in `HTTPAdapter`: a number of retries for connections that do not come about, or a
            `urllib3.Retry`.
        idle: how many connections are kept idle at most, and for how many seconds; None leaves it to the engine.
        total: seconds for the whole exchange, its body included; None for no limit. The library has no such bound.
        backend: who carries the requests, `"socket"` if nothing is said.
        tls, proxy, resolve, forbid_private, unix_socket, listeners, limits, http2: as in `unifetch.Client`.
            Without `proxy`, the session's proxies hold, and those of the environment that it reads.

    Raises:
        ConfigError: for an unknown setting or a value that will not do.
    """

    __attrs__ = ("max_retries", "_settings", "_idle")  # type: ignore[assignment]  # what a pickle holds, as in HTTPAdapter

    def __init__(
        self, *, max_retries: int | Retry = 0, idle: Idle | None = None, **settings: Unpack[BridgeArguments]
    ) -> None:
        self._settings: dict[str, Any] = dict(settings)
        self._idle = idle
        self._open()
        super().__init__(max_retries=max_retries)

    def _open(self) -> None:
        # The library has no limit, or a wait of its own.
        told, self._total = checked(self._settings, limits={"connections": None, "connections_per_origin": None})
        self._client: Client = Engine(self._idle, **told)
        self._fields: dict[str, tuple[list[tuple[Any, Any]], Headers]] = {}  # of the last request to each origin
        self._derived: dict[Any, Client] = {}

    def init_poolmanager(
        self,
        connections: int = DEFAULT_POOLSIZE,
        maxsize: int = DEFAULT_POOLSIZE,
        block: bool = DEFAULT_POOLBLOCK,
        **_: Any,
    ) -> None:
        """Nothing: connections are the client's."""

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing: what it would check is checked where it is used."""

    @property
    def poolmanager(self) -> Any:  # type: ignore[override]  # theirs can be set, and here is none
        """There is none: to ask for it is an AttributeError."""
        raise AttributeError("no poolmanager: connections are unifetch's own, and limits= of the adapter bounds them")

    def send(self, request: Any, stream: bool = False, *args: Any, **options: Any) -> requests.Response:
        """Perform one exchange; of its arguments and errors all is as in `HTTPAdapter.send`."""
        try:
            response = super().send(request, stream, *args, **options)
        except requests.ConnectionError as error:
            refused = error.args[0] if error.args else None
            if isinstance(refused, requests.RequestException):  # an OSError, which was taken for a broken connection
                raise refused from refused.__cause__
            raise
        if not stream and type(response.raw) is StreamedResponse:
            response.raw.hand_over(response)
        return response

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        """What carries this request: it has an `urlopen`, as a pool of urllib3's."""
        try:
            url = URL(request.url)
            if "'" in request.url:
                url = _quoted_as_written(url, request.url)
        except errors.InvalidURL as error:
            raise requests.exceptions.InvalidURL(str(error), request=request) from error
        client = self._by(request.url, verify, cert, proxies)
        if not verify and url.scheme == "https":
            warn(
                f"Unverified HTTPS request is being made to host {url.host!r}: anybody on the way can read it",
                theirs.InsecureRequestWarning,
                stacklevel=2,
            )
        return _Exchange(self, request, url, client)

    def _by(self, url: str, verify: Any, cert: Any, proxies: Any) -> Client:
        named = select_proxy(url, proxies) if proxies else None
        if verify is True and cert is None and named is None:
            return self._client
        key = repr(verify), repr(cert), named
        found = self._derived.get(key)
        if found is None:
            changes: dict[str, Any] = {}
            if verify is not True or cert is not None:
                changes["tls"] = self._tls(verify, cert)
            if named is not None:
                changes["proxy"] = self._proxy(prepend_scheme_if_needed(named, "http"))
            if len(self._derived) >= 64:
                self._derived.clear()
            found = self._derived[key] = self._client.with_(**changes)
        return found

    def _tls(self, verify: Any, cert: Any) -> dict[str, Any]:
        if "tls" in self._settings:
            raise ConfigConflict("verify= and cert= contradict the tls= of the adapter; say it in one place")
        tls: dict[str, Any] = {}
        if isinstance(verify, (str, os.PathLike)):
            if not os.path.exists(verify):
                raise OSError(f"Could not find a suitable TLS CA certificate bundle, invalid path: {verify}")
            tls["ca_path" if os.path.isdir(verify) else "ca_file"] = verify
        elif not verify:
            tls["verify"] = False
        if cert:
            paths = [cert] if isinstance(cert, (str, os.PathLike)) else cert
            for kind, path in zip(("certificate", "key"), paths, strict=False):
                if not os.path.exists(path):
                    raise OSError(f"Could not find the TLS {kind} file, invalid path: {path}")
            tls["client_cert"] = cert
        return tls

    def _proxy(self, url: str) -> Proxy:
        try:
            proxy = Proxy.of(url)
        except InvalidSetting as error:
            raise requests.exceptions.InvalidProxyURL(str(error)) from error
        if self._settings.get("proxy") not in (None, url) or self._settings.get("unix_socket"):
            raise ConfigConflict(
                "proxies= contradicts the proxy= or the unix_socket= of the adapter; say it in one place"
            )
        return proxy

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        """The response of requests, without building what is raw about it before it is asked for."""
        if type(resp) is not StreamedResponse:
            return super().build_response(req, resp)
        answer = resp.answer
        pairs, by_name = answer.headers.pairs, answer.headers.by_name()
        response = requests.Response()
        response.status_code, response.reason = answer.status, answer.reason
        headers: Any = response.headers
        for name, value in pairs if len(pairs) == len(by_name) else HTTPHeaderDict(pairs).itermerged():
            headers[name] = value
        response.encoding = _encoding(by_name.get("content-type"))
        response.url = req.url.decode() if isinstance(req.url, bytes) else req.url
        response.raw, response.request, response.connection = resp, req, self
        if "set-cookie" in by_name:
            extract_cookies_to_jar(response.cookies, req, resp)
        return response

    def close(self) -> None:
        """Close idle connections. A request that comes later opens its own, as with requests' own adapter."""
        client = self._client
        self._open()
        client.close()

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.proxy_manager: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self._open()


@lru_cache(256)
def _encoding(content_type: str | None) -> str | None:
    return get_encoding_from_headers({"content-type": content_type})  # type: ignore[arg-type]  # it only gets it


# --- The exchange ---------------------------------------------------------------------------------


class _Exchange:
    """One request and what comes of it, retried as urllib3 would."""

    def __init__(self, adapter: Adapter, request: Any, url: URL, client: Client) -> None:
        self._request = request
        self._url = url
        self._client = client
        self._adapter = adapter

    def urlopen(self, *, method: str, body: Any, retries: Retry, timeout: Timeout, **_: Any) -> HTTPResponse:
        """Send the request, and give its response once the head is there.

        Raises:
            HTTPError: urllib3's, of which the adapter makes those of requests.
        """
        position, url = None, self._url
        within = _within(self._adapter._total, timeout.connect_timeout, timeout._read, timeout.total)
        where: Any = url.authority  # in place of a pool, of which only the text is asked
        while True:
            position = set_file_position(body, position) if hasattr(body, "read") else None
            failure: theirs.HTTPError | None = None
            try:
                fields = self._fields(url)
                answer = self._client.exchange(method, url, headers=fields, body=_content(body), timeout=within)
                response = StreamedResponse(answer, method, retries)
            except errors.InvalidSetting as error:
                if self._client is self._adapter._client:
                    raise
                raise requests.exceptions.SSLError(str(error), request=self._request) from error
            except ConfigError:
                raise
            except errors.InvalidHeader as error:
                raise requests.exceptions.InvalidHeader(str(error), request=self._request) from error
            except errors.InvalidRequest as error:
                raise requests.exceptions.InvalidSchema(str(error), request=self._request) from error
            except UnifetchError as error:
                failure = _translated(error, url.authority, url.target)
                failure.__cause__ = error
            if failure is not None:
                retries = retries.increment(method, url.target, error=failure, _pool=where)
                retries.sleep()
            elif retries.is_retry(method, answer.status, "retry-after" in answer.headers.by_name()):
                try:
                    retries = retries.increment(method, url.target, response=response, _pool=where)
                except MaxRetryError:
                    if retries.raise_on_status:
                        response.drain_conn()
                        raise
                    return response
                response.drain_conn()
                retries.sleep(response)
            else:
                return response
            if position is not None:
                rewind_body(body, position)

    def _fields(self, url: URL) -> Headers:
        # Most requests have the fields of the one before.
        given, known = list(self._request.headers.items()), self._adapter._fields
        last = known.get(url.origin)
        if last is not None and last[0] == given:
            return last[1]
        fields, proxy = given, self._client.settings.proxy
        if proxy is not None:
            # A session that follows a redirect says a proxy's credentials once more; they are the route's. Any others
            # would go to the origin of an https URL, and are refused.
            route = proxy.proxy_for(url.scheme, url.host, url.port)
            said = None if route is None else ("proxy-authorization", route.authorization)
            fields = [(name, value) for name, value in given if (_text(name).lower(), _text(value)) != said]
        checked = Headers((_text(name), _text(value)) for name, value in fields)
        if fields is given:
            if len(known) >= 64:
                known.clear()
            known[url.origin] = given, checked
        return checked


def _quoted_as_written(url: URL, text: str) -> URL:
    # The library sends a quotation mark of a query as it is, and so does whoever has signed the URL.
    path, mark, query = url.target.partition("?")
    written = iter(re.findall("'|%27", text.partition("#")[0].partition("?")[2]))
    return with_exact_target(url, path + mark + re.sub("%27", lambda found: next(written, found[0]), query))


@lru_cache(256)
def _within(total: float | None, connect: Any, read: Any, most: Any) -> Bounds:
    # A `total` of urllib3's bounds the wait to connect and the waits to read; it is no deadline for the body.
    waits = [Timeout.resolve_default_timeout(each) for each in (connect, read, most)]
    shorter = [min((each for each in (wait, waits[2]) if each is not None), default=None) for wait in waits[:2]]
    # Each wait to send is bounded as the connection was, by the same timeout of the socket.
    return phases(total, *shorter, shorter[0], None)


def _text(given: Any) -> Any:
    return given.decode("latin-1") if isinstance(given, bytes) else given


def _content(body: Any) -> Any:
    """A body as requests prepared it: text as UTF-8, a file or an iterator block by block."""
    if body is None or isinstance(body, (bytes, bytearray, memoryview)):
        return body or None
    return (body.encode() or None) if isinstance(body, str) else _blocks(body)


def _blocks(body: Any) -> Iterator[bytes]:
    for block in _read(body) if hasattr(body, "read") else body:
        yield block.encode() if isinstance(block, str) else block


def _read(body: Any) -> Iterator[Any]:
    while block := body.read(BLOCK):
        yield block


# --- Errors ---------------------------------------------------------------------------------------

_ERRORS: dict[type[UnifetchError], Callable[[Any, str, UnifetchError], theirs.HTTPError]] = {
    errors.PoolTimeout: lambda where, target, error: theirs.EmptyPoolError(where, str(error)),
    errors.ConnectTimeout: lambda where, target, error: theirs.ConnectTimeoutError(where, str(error)),
    errors.WriteTimeout: lambda where, target, error: theirs.ProtocolError(str(error), error),
    errors.TimedOut: lambda where, target, error: theirs.ReadTimeoutError(where, target, f"Read timed out: {error}"),
    errors.TLSError: lambda where, target, error: theirs.SSLError(str(error)),
    errors.ProxyError: lambda where, target, error: theirs.ProxyError(str(error), error),
    errors.ConnectError: lambda where, target, error: (
        theirs.NameResolutionError(where, where, error.__cause__)
        if isinstance(error.__cause__, gaierror)
        else theirs.NewConnectionError(where, str(error))
    ),
    errors.UnifetchError: lambda where, target, error: theirs.ProtocolError(str(error), error),
}


def _translated(error: UnifetchError, where: str, target: str) -> theirs.HTTPError:
    """urllib3's error for one of ours; the first row that fits is taken."""
    if isinstance(error, errors.TotalTimeout) and error.request_sent == "no":
        return theirs.ConnectTimeoutError(where, str(error))
    return next(make for kind, make in _ERRORS.items() if isinstance(error, kind))(where, target, error)


# --- The response ---------------------------------------------------------------------------------

_VERSIONS = {"HTTP/1.0": 10, "HTTP/1.1": 11, "HTTP/2": 20}


class _Body:
    """The stream of a response as the file that urllib3 reads from; its errors are urllib3's.

    It closes itself at its end, as that of http.client does: urllib3 reads until it is closed.
    """

    __slots__ = ("_answer", "_opened", "closed")

    def __init__(self, answer: Response[Any]) -> None:
        self._answer = answer
        self._opened: RawIOBase | None = None
        self.closed = False

    @property
    def _file(self) -> RawIOBase:
        if self._opened is None:
            self._opened = self._answer.file()
        return self._opened

    def take(self) -> bytes | None:
        """All of it, if it came with its head and nothing was read."""
        body = self._answer.body
        if type(body) is not BodyThere or self._opened is not None:
            return None
        self.closed = True
        return next(body, b"")

    def read(self, amount: int | None = None) -> bytes:
        """So many bytes, fewer only at the end; without an amount, all of them."""
        try:
            if amount is None or amount < 0:
                whole = self._file.readall()
                self.close()
                return whole
            pieces, left = [], amount
            while left and (piece := self._file.read(left)):
                pieces.append(piece)
                left -= len(piece)
            if left:
                self.close()
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        except UnifetchError as error:
            raise self._translated(error) from error

    def read1(self, amount: int = -1) -> bytes:
        """The next bytes, as soon as some are there."""
        try:
            piece: bytes = self._file.read(BLOCK if amount < 0 else amount) or b""
            if not piece and amount:
                self.close()
            return piece
        except UnifetchError as error:
            raise self._translated(error) from error

    def _translated(self, error: UnifetchError) -> theirs.HTTPError:
        url = self._answer.request.url
        return _translated(error, url.authority, url.target)

    def close(self) -> None:
        self.closed = True
        self._file.close()


class _Original:
    """What is asked of http.client's response: the fields, by which a session finds its cookies, and the end."""

    __slots__ = ("_body", "_headers")

    def __init__(self, headers: Headers, body: _Body) -> None:
        self._headers = headers
        self._body = body

    def __bool__(self) -> bool:
        # A session looks for cookies where it is true, which takes longer than all of the exchange.
        return "set-cookie" in self._headers.by_name()

    @property
    def msg(self) -> HTTPHeaderDict:
        """The fields; it has a `get_all`."""
        return HTTPHeaderDict(self._headers.pairs)

    def isclosed(self) -> bool:
        return self._body.closed

    def close(self) -> None:
        self._body.close()


class StreamedResponse(HTTPResponse):
    """urllib3's response over our stream; what its own `__init__` sets is made once something of it is asked for."""

    def __init__(self, answer: Response[Any], method: str, retries: Retry) -> None:
        body = _Body(answer)
        original = _Original(answer.headers, body)
        vars(self).update(
            answer=answer, _made=False, _said=(method, retries), _body_file=body, _original_response=original
        )

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__" or vars(self).get("_made", True):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._make()
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # What a caller sets, such as `decode_content`, must not be overwritten later.
        if not self._made:
            self._make()
        super().__setattr__(name, value)

    def _make(self) -> None:
        vars(self)["_made"] = True
        answer, (method, retries) = self.answer, self._said
        super().__init__(
            body=self._body_file,  # type: ignore[arg-type]  # it reads and closes, and nothing else is asked
            headers=HTTPHeaderDict(answer.headers.pairs),
            status=answer.status,
            version=_VERSIONS[answer.http_version],
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=self._original_response,
            retries=retries,
            request_method=method,
            request_url=answer.request.url.target,
        )
        self.version_string = answer.http_version  # older versions do not take it as an argument

    answer: Response[Any]
    _made: bool
    _said: tuple[str, Retry]
    _body_file: _Body

    def hand_over(self, response: requests.Response) -> None:
        """Give a response its content if all of it is there and not coded, as its own way of reading takes long."""
        if self._made or "content-encoding" in self.answer.headers.by_name():
            return
        content = self._body_file.take()
        if content is not None:
            response._content, response._content_consumed = content, True

    @property
    def closed(self) -> bool:
        """Whether there is nothing left to be read."""
        return super().closed if self._made else self._body_file.closed

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        if self._made:
            super().close()
        elif not self._body_file.closed:
            self._body_file.close()

    def stream(self, amt: int | None = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:  # type: ignore[override]  # it is one
        """The body in pieces: of a chunked one as soon as they are there, as in urllib3."""
        if not self.chunked:
            yield from super().stream(amt, decode_content)
            return
        while piece := self.read1(amt, decode_content):
            yield piece

    def supports_chunked_reads(self) -> bool:
        """Whether `read_chunked` can be called: yes."""
        return True

    def read_chunked(self, amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:  # type: ignore[override]  # it is one
        """The body in pieces, as `stream` gives them; the boundaries of chunks are not told."""
        yield from self.stream(amt, decode_content)

    def release_conn(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        self._body_file.close()


# --- In place of requests' own adapter --------------------------------------------------------------


def replace_transports(settings: BridgeArguments) -> Callable[[], None]:
    """Have every `HTTPAdapter` be ours from now on; what is returned takes that back.

    Raises:
        ConfigError: for settings that will not do.
    """
    Adapter(**settings)

    def told(said: dict[str, Any]) -> dict[str, Any]:
        pools, size = said.get("pool_connections", DEFAULT_POOLSIZE), said.get("pool_maxsize", DEFAULT_POOLSIZE)
        told: dict[str, Any] = {**settings, "max_retries": said.get("max_retries", 0)}
        if said.get("pool_block", DEFAULT_POOLBLOCK):
            if "limits" in settings:
                raise ConfigConflict(
                    "pool_block= of an adapter contradicts the limits= of install(); say it in one place"
                )
            told["limits"] = {"connections": None, "connections_per_origin": size}
        # Of each of so many hosts so many are kept: the default is as many as ours keeps by itself.
        if (pools, size) != (DEFAULT_POOLSIZE, DEFAULT_POOLSIZE):
            told["idle"] = pools * size, None
        return told

    return replaced(HTTPAdapter, Adapter, told)
