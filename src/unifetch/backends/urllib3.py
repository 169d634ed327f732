"""urllib3: pools of connections, the ground that requests stands on.

What it does by itself: normalise the target once more, add User-Agent, Accept-Encoding and Host, follow
redirects and repeat requests, decode, and leave the head and the chunks to `http.client`. Here its pools
keep the connections, and the connections are ours: they send and receive as `http_client.py` says.

An injected `PoolManager` keeps its own connections and TLS settings. It does more by itself, then, and
what can no longer be promised is not declared.
"""

from __future__ import annotations

import http.client
from functools import partial

import urllib3
from urllib3 import HTTPHeaderDict, HTTPResponse, PoolManager, exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import SKIP_HEADER, Retry, Timeout

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

    from urllib3 import BaseHTTPResponse

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
            native.pool_classes_by_scheme = {"http": Pool, "https": TLSPool}
        elif not isinstance(native, PoolManager):
            raise InvalidSetting(f"backend: urllib3 takes a PoolManager, not {type(native).__name__}")
        elif lost := conflict(native):
            raise ConfigConflict(f"the PoolManager has {lost}, which unifetch would drop; give it to unifetch instead")
        self.native = self._manager = native

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange, up to the head of the final response."""
        attempt = Attempt(request, sent="maybe" if self._injected else "no")
        outer, CURRENT.attempt = CURRENT.attempt, attempt  # a body may be a stream that makes requests of its own
        try:
            response = (self._send_natively if self._injected else self._send)(request, attempt)
        except _RAISED as error:
            failure = attempt.translated(error, ERRORS)
            raise failure from failure.__cause__
        finally:
            CURRENT.attempt = outer

        # The head
        attempt.sent = "yes"
        version = "HTTP/1.1" if response.version == 11 else "HTTP/1.0"
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

    def _send(self, request: RawRequest, attempt: Attempt) -> BaseHTTPResponse:
        key: Any = destination(request)  # no PoolKey, but what connection_from_pool_key asks of one
        options = {"scheme": request.scheme, "host": request.host, "port": request.port}
        pool = self._manager.connection_from_pool_key(key, {**self._manager.connection_pool_kw, **options})
        return pool.urlopen(request.method, request.target, headers={}, assert_same_host=False, **NOTHING_MORE)

    def _send_natively(self, request: RawRequest, attempt: Attempt) -> BaseHTTPResponse:
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
            timeout=Timeout(connect=attempt.within(phases.connect), read=attempt.within(phases.read)),
            **NOTHING_MORE,
        )

    def _chunks(self, response: BaseHTTPResponse, attempt: Attempt, release: Callable[[], None]) -> Iterator[bytes]:
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

    def _release(self, response: BaseHTTPResponse, attempt: Attempt) -> None:
        if attempt.response is None or not attempt.response.complete:
            response.close()
        response.release_conn()

    def close(self) -> None:
        """Close idle connections; an injected manager stays open."""
        if not self._injected:
            self._manager.clear()


def conflict(manager: PoolManager) -> str | None:
    """What a manager carries that would be lost, or None."""
    if manager.proxy is not None:
        return "proxy"
    if manager.headers:
        return "headers"
    return next((f"{name}=" for name in ("retries", "timeout") if name in manager.connection_pool_kw), None)


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
