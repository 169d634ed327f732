"""requests: sessions over urllib3.

What it does by itself: merge the session's settings into each request, read proxies and credentials from
the environment and from netrc, re-encode the URL, follow redirects, keep cookies, decode, and add
certifi's certificates to whatever is to be trusted. All that is above or beside its transport adapters,
and we enter there: `session.get_adapter(url).send(…)`, as a session does, so that mocks that stand in for
the adapter see the request. The adapter is one of ours, and its connections are, too: they send and
receive as `http_client.py` says.

An injected `Session` keeps its adapters and its TLS settings (`verify`, `cert`). It does more by itself,
then, and what can no longer be promised is not declared.
"""

from __future__ import annotations

import http.client
from functools import partial

import requests
import urllib3
from requests import exceptions
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3 import exceptions as urllib3_exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import SKIP_HEADER

from .. import errors
from ..errors import ConfigConflict, InvalidSetting, StreamError, UnifetchError
from ..model.messages import RawResponse
from .base import HTTP_1_CAPABILITIES, Capability
from .http_client import BLOCK, CURRENT, Attempt, Connection, destination, guarded
from .http_reader import unfolded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Literal

    from ..model.messages import RawRequest

CAPABILITIES = HTTP_1_CAPABILITIES
INJECTED_CAPABILITIES = frozenset({Capability.KEEP_ALIVE, Capability.EARLY_RESPONSE, Capability.NO_POISONING})

# The hooks raise our own errors; these rows are for mocks and for an injected session. The first that fits is taken.
ERRORS: dict[type[Exception], type[UnifetchError]] = {
    urllib3_exceptions.NameResolutionError: errors.NameResolutionError,
    urllib3_exceptions.NewConnectionError: errors.ConnectError,
    urllib3_exceptions.ConnectTimeoutError: errors.ConnectTimeout,
    urllib3_exceptions.EmptyPoolError: errors.PoolTimeout,
    urllib3_exceptions.SSLError: errors.TLSError,
    urllib3_exceptions.ReadTimeoutError: errors.ReadTimeout,
    TimeoutError: errors.WriteTimeout,
    http.client.IncompleteRead: errors.IncompleteBody,
    ConnectionError: errors.ConnectionLost,
    http.client.HTTPException: errors.ProtocolError,
    urllib3_exceptions.ProtocolError: errors.ConnectionLost,
    exceptions.ConnectTimeout: errors.ConnectTimeout,
    exceptions.Timeout: errors.ReadTimeout,
    exceptions.SSLError: errors.TLSError,
    exceptions.ProxyError: errors.ProxyError,
    exceptions.ConnectionError: errors.ConnectError,
    exceptions.RequestException: errors.ProtocolError,
    urllib3_exceptions.HTTPError: errors.ProtocolError,
    OSError: errors.ConnectionLost,
    ValueError: errors.ProtocolError,  # http.client, of a number that it cannot read
}
_RAISED: tuple[type[Exception], ...] = (UnifetchError, *ERRORS)


class RequestsBackend:
    """Carries requests by the adapters of a `requests.Session`."""

    name = "requests"
    contract: Literal[1] = 1
    capabilities: frozenset[Capability]
    native: object

    def __init__(self, native: object | None = None) -> None:
        self._injected = native is not None
        self.capabilities = INJECTED_CAPABILITIES if self._injected else CAPABILITIES
        if native is None:
            native = requests.Session()
            for scheme in ("http://", "https://"):
                native.mount(scheme, Adapter(pool_connections=100, pool_maxsize=100))
        elif not isinstance(native, requests.Session):
            raise InvalidSetting(f"backend: requests takes a Session, not {type(native).__name__}")
        elif lost := conflict(native):
            raise ConfigConflict(f"the Session has {lost}, which unifetch would drop; give it to unifetch instead")
        self.native = self._session = native

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange, up to the head of the final response."""
        attempt = Attempt(request, sent="maybe" if self._injected else "no")
        outer, CURRENT.attempt = CURRENT.attempt, attempt  # a body may be a stream that makes requests of its own
        try:
            response = self._send(request, attempt)
        except _RAISED as error:
            failure = attempt.translated(error, ERRORS)
            raise failure from failure.__cause__
        finally:
            CURRENT.attempt = outer

        # The head
        attempt.sent = "yes"
        version = "HTTP/1.0" if response.version == 10 else "HTTP/1.1"
        fields = unfolded(response.headers.items()) if attempt.response is None else attempt.response.fields
        release = partial(self._release, response, attempt)
        body = self._chunks(response, attempt, release)
        return RawResponse(
            response.status,
            response.reason or "",
            version,
            fields,
            body,
            release,
            attempt.trailers,
            attempt.interim,
            read_into=None if attempt.response is None else attempt.response.readinto,
        )

    def _send(self, request: RawRequest, attempt: Attempt) -> HTTPResponse:
        # `Request.prepare` would encode, frame and add; all that is decided.
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method, request.url
        prepared.body = guarded(request.body)
        headers = HTTPHeaderDict(request.headers)
        if self._injected:
            for name in ("User-Agent", "Accept-Encoding"):
                headers.setdefault(name, SKIP_HEADER)
        prepared.headers = headers  # type: ignore[assignment]  # it keeps duplicates, and reads like requests' own
        phases, session = request.timeout, self._session
        timeout: Any = (attempt.within(phases.connect), attempt.within(phases.read))
        verify: Any = session.verify
        adapter = session.get_adapter(request.url)
        response = adapter.send(prepared, stream=True, timeout=timeout, verify=verify, cert=session.cert)
        raw: HTTPResponse = response.raw
        return raw

    def _chunks(self, response: HTTPResponse, attempt: Attempt, release: Callable[[], None]) -> Iterator[bytes]:
        try:
            while block := response.read1(BLOCK, decode_content=False):
                yield block
            if attempt.response is not None and not attempt.response.complete:
                raise StreamError("the response was closed before its body was read", request_sent="yes")
        except _RAISED as error:
            failure = attempt.translated(error, ERRORS)
            raise failure from failure.__cause__
        finally:
            release()

    def _release(self, response: HTTPResponse, attempt: Attempt) -> None:
        if attempt.response is None or not attempt.response.complete:
            response.close()
        response.release_conn()

    def close(self) -> None:
        """Close idle connections; an injected session stays open."""
        if not self._injected:
            self._session.close()


def conflict(session: requests.Session) -> str | None:
    """What a session carries that would be lost, or None."""
    for name in ("auth", "params", "proxies", "cookies"):
        if getattr(session, name):
            return name
    if any(session.hooks.values()):
        return "hooks"
    if dict(session.headers) != dict(requests.utils.default_headers()):
        return "headers"
    for prefix, adapter in session.adapters.items():
        if getattr(getattr(adapter, "max_retries", None), "total", 0):
            return f"max_retries in the adapter of {prefix}"
    return None


class Adapter(HTTPAdapter):
    """A transport adapter whose connections are ours. It has no `send`: that is what mocks replace."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As inherited, with our pools."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": TLSPool}

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> urllib3.HTTPConnectionPool:
        """The pool of the connections that may carry the current request."""
        request = CURRENT.get().request
        key: Any = destination(request)  # no PoolKey, but what connection_from_pool_key asks of one
        options = {"scheme": request.scheme, "host": request.host, "port": request.port}
        return self.poolmanager.connection_from_pool_key(key, {**self.poolmanager.connection_pool_kw, **options})

    def cert_verify(self, *_: Any) -> None:
        """Nothing: requests would add certifi's certificates to our context."""

    def build_response(self, request: requests.PreparedRequest, raw: Any) -> requests.Response:
        """As inherited for a mock; for a response of ours only what we use, and no cookies."""
        if CURRENT.get().response is None:
            return super().build_response(request, raw)
        response = requests.Response()
        response.raw = raw
        return response


class Hooked(Connection):
    """A connection that gives urllib3 the response that we have read."""

    # Hook: `getresponse`. urllib3's would parse the head by its own rules, and needs what its own `request` notes.
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
        """The response, as urllib3 hands it on."""
        strict = self.receive()
        return HTTPResponse(
            strict,
            status=strict.status,
            version=strict.version,
            reason=strict.reason,
            original_response=strict,
            preload_content=False,
            decode_content=False,
        )


class PlainConnection(Hooked, HTTPConnection):
    """To an http origin."""


class TLSConnection(Hooked, HTTPSConnection):
    """To an https origin."""

    def connect(self) -> None:
        """Connect; whether to verify was decided by who made the context, and urllib3 has no warning to add."""
        super().connect()
        self.is_verified = True


class Pool(urllib3.HTTPConnectionPool):
    """A pool of our connections."""

    ConnectionCls = PlainConnection


class TLSPool(urllib3.HTTPSConnectionPool):
    """A pool of our connections over TLS."""

    ConnectionCls = TLSConnection
