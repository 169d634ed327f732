"""requests: sessions over urllib3.

What it does by itself: merge the session's settings into each request, read proxies and credentials from
the environment and from netrc, re-encode the URL, follow redirects, keep cookies, decode, and add
certifi's certificates to whatever is to be trusted. All that is above or beside its transport adapters,
and we enter there: `session.get_adapter(url).send(…)`, as a session does, so that mocks that stand in for
the adapter see the request. The adapter is one of ours, and its pools and connections are those of `urllib3.py`.

Ours: resolve, connect, TLS, write, parse. The library's: pool, by urllib3.

An injected `Session` keeps its adapters and its TLS settings (`verify`, `cert`). It does more by itself,
then, and what can no longer be promised is not declared.
"""

from __future__ import annotations

import requests
import urllib3
from requests import exceptions
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3 import exceptions as urllib3_exceptions
from urllib3.util import SKIP_HEADER

from .. import errors
from ..errors import InvalidSetting, UnifetchError
from .base import HTTP_1_CAPABILITIES, Capability, refuse_conflicts, translate
from .urllib3 import CURRENT, PlainPool, PooledExchange, TLSPool, close_pools, guarded, pool_for
from .urllib3 import ERRORS as URLLIB3_ERRORS

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from ..model.messages import RawRequest, RawResponse

CAPABILITIES = HTTP_1_CAPABILITIES
INJECTED_CAPABILITIES = frozenset({Capability.KEEP_ALIVE, Capability.EARLY_RESPONSE, Capability.NO_POISONING})

# The hooks raise our own errors; these rows are for mocks and for an injected session. The first that fits is taken.
_LAST = (urllib3_exceptions.HTTPError, OSError, ValueError)
ERRORS: dict[type[Exception], type[UnifetchError]] = {
    **{theirs: ours for theirs, ours in URLLIB3_ERRORS.items() if theirs not in _LAST},
    exceptions.ConnectTimeout: errors.ConnectTimeout,
    exceptions.Timeout: errors.ReadTimeout,
    exceptions.SSLError: errors.TLSError,
    exceptions.ProxyError: errors.ProxyError,
    exceptions.ConnectionError: errors.ConnectError,
    exceptions.RequestException: errors.ProtocolError,
    **{theirs: URLLIB3_ERRORS[theirs] for theirs in _LAST},
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
                native.mount(scheme, TransportAdapter(pool_connections=100, pool_maxsize=100))
        elif not isinstance(native, requests.Session):
            raise InvalidSetting(f"backend: requests takes a Session, not {type(native).__name__}")
        else:
            refuse_conflicts(native, conflicts(native))
        self.native = self._session = native

    # --- The request ------------------------------------------------------------------------------

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange, up to the head of the final response."""
        exchange = PooledExchange(request, sent="maybe" if self._injected else "no")
        outer, CURRENT.exchange = CURRENT.exchange, exchange  # a body may be a stream that makes requests of its own
        try:
            response = self._send(request, exchange)
        except _RAISED as error:
            translate(error, ERRORS, exchange, request)
        finally:
            CURRENT.exchange = outer

        return exchange.handed_on(response, ERRORS)

    def _send(self, request: RawRequest, exchange: PooledExchange) -> HTTPResponse:
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
        timeout: Any = (exchange.within(phases.connect), exchange.within(phases.read))
        verify: Any = session.verify
        adapter = session.get_adapter(request.url)
        response = adapter.send(prepared, stream=True, timeout=timeout, verify=verify, cert=session.cert)
        raw: HTTPResponse = response.raw
        return raw

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections; an injected session stays open."""
        if not self._injected:
            self._session.close()


def conflicts(session: requests.Session) -> dict[str, bool]:
    """What a session may carry that would be lost, and whether it does."""
    return {
        **{name: bool(getattr(session, name)) for name in ("auth", "params", "proxies", "cookies")},
        "hooks": any(session.hooks.values()),
        "headers": dict(session.headers) != dict(requests.utils.default_headers()),
        **{
            f"max_retries in the adapter of {prefix}": bool(getattr(getattr(adapter, "max_retries", 0), "total", 0))
            for prefix, adapter in session.adapters.items()
        },
    }


class TransportAdapter(HTTPAdapter):
    """A transport adapter whose connections are ours. It has no `send`: that is what mocks replace."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As inherited, with our pools."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": TLSPool}

    def close(self) -> None:
        """Close idle connections."""
        close_pools(self.poolmanager)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> urllib3.HTTPConnectionPool:
        """The pool of the connections that may carry the current request."""
        request = CURRENT.get().request
        return pool_for(request, self.poolmanager)

    def cert_verify(self, *_: Any) -> None:
        """Nothing: requests would add certifi's certificates to our context."""

    def build_response(self, request: requests.PreparedRequest, raw: Any) -> requests.Response:
        """As inherited for a mock; for a response of ours only what we use, and no cookies."""
        if CURRENT.get().raw is None:
            return super().build_response(request, raw)
        response = requests.Response()
        response.raw = raw
        return response
