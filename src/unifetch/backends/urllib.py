"""`urllib.request`, the client that everybody has.

What it does by itself: follow redirects, raise for a status of 400 and above, take proxies from the
environment, open `file:`, `ftp:` and `data:` URLs, title-case the names of fields and keep one of
duplicates, add Accept-Encoding and `Connection: close`, and open a connection for every request. Its
handlers do that, and our opener has none of them. It has one, which connects, and keeps connections;
`http_client.py` corrects what lies below.
"""

from __future__ import annotations

import http.client
import threading
import urllib.request
from functools import partial
from time import monotonic

from ..errors import ConfigConflict, ConnectionLost, InvalidRequest, ProtocolError, StreamError, UnifetchError
from ..model.messages import RawResponse
from .base import HTTP_1_CAPABILITIES
from .http_client import BLOCK, CURRENT, Attempt, Connection, Destination, StrictResponse, destination

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    from ..model.messages import RawRequest

CAPABILITIES = HTTP_1_CAPABILITIES

# The hooks raise our own errors; these rows are for what http.client may raise around them.
ERRORS: dict[type[Exception], type[UnifetchError]] = {
    http.client.InvalidURL: InvalidRequest,
    http.client.HTTPException: ProtocolError,
    OSError: ConnectionLost,
}
_RAISED: tuple[type[Exception], ...] = (UnifetchError, *ERRORS)

IDLE_SECONDS = 30.0  # shorter than most servers wait
IDLE_CONNECTIONS = 100


class UrllibBackend:
    """Carries requests by an `urllib.request.OpenerDirector`."""

    name = "urllib"
    contract: Literal[1] = 1
    capabilities = CAPABILITIES
    native: object

    def __init__(self, native: object | None = None) -> None:
        if native is not None:
            raise ConfigConflict("urllib: an OpenerDirector is nothing but handlers, and unifetch does what they do")
        self._handler = KeepAliveHandler()
        self.native = self._opener = urllib.request.OpenerDirector()
        self._opener.add_handler(self._handler)

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange, up to the head of the final response."""
        attempt = Attempt(request)
        outer, CURRENT.attempt = CURRENT.attempt, attempt  # a body may be a stream that makes requests of its own
        try:
            url = urllib.request.Request(request.url)  # noqa: S310  # this opener knows no scheme but http and https
            response: StrictResponse = self._opener.open(url)
        except _RAISED as error:
            failure = attempt.translated(error, ERRORS)
            raise failure from failure.__cause__
        finally:
            CURRENT.attempt = outer

        # The head
        version = "HTTP/1.1" if response.version == 11 else "HTTP/1.0"
        release = partial(self._release, response, attempt)
        body = self._chunks(response, attempt, release)
        return RawResponse(
            response.status,
            response.reason,
            version,
            response.fields,
            body,
            release,
            attempt.trailers,
            attempt.interim,
            read_into=response.readinto,
        )

    def _chunks(self, response: StrictResponse, attempt: Attempt, release: Callable[[], None]) -> Iterator[bytes]:
        try:
            while block := response.read1(BLOCK):
                yield block
            if not response.complete:
                raise StreamError("the response was closed before its body was read", request_sent="yes")
        except _RAISED as error:
            failure = attempt.translated(error, ERRORS)
            raise failure from failure.__cause__
        finally:
            release()

    def _release(self, response: StrictResponse, attempt: Attempt) -> None:
        connection, attempt.connection = attempt.connection, None
        if connection is not None and response.complete:
            self._handler.keep(connection)
        elif connection is not None:
            response.close()
            connection.close()

    def close(self) -> None:
        """Close idle connections."""
        self._handler.close()


class KeepAliveHandler(urllib.request.BaseHandler):
    """Opens http and https URLs on connections that it keeps: those that were idle for the shortest time first."""

    def __init__(self) -> None:
        self._idle: list[tuple[Connection, float]] = []  # in the order in which they became idle
        self._lock = threading.Lock()

    def http_open(self, _: urllib.request.Request) -> StrictResponse:
        """Send the request of the current attempt; called by `OpenerDirector.open`."""
        request = CURRENT.get().request
        wanted = destination(request)
        connection = self._take(wanted)
        if connection is None:
            connection = Connection(request.host, request.port)
            connection.destination = wanted
        try:
            connection.request()
            return connection.receive()
        except BaseException:
            connection.close()
            raise

    https_open = http_open

    def _take(self, wanted: Destination) -> Connection | None:
        while True:
            with self._lock:
                for at in range(len(self._idle) - 1, -1, -1):
                    if self._idle[at][0].destination == wanted:
                        connection, since = self._idle.pop(at)
                        break
                else:
                    return None
            if monotonic() - since < IDLE_SECONDS and connection.is_connected:
                return connection
            connection.close()

    def keep(self, connection: Connection) -> None:
        """Take back a connection whose response was read to its end."""
        if not connection.is_connected:
            connection.close()
            return
        now = monotonic()
        with self._lock:
            self._idle.append((connection, now))
            expired = 0
            while now - self._idle[expired][1] >= IDLE_SECONDS or len(self._idle) - expired > IDLE_CONNECTIONS:
                expired += 1
            closing, self._idle[:expired] = self._idle[:expired], []
        for old, _ in closing:
            old.close()

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            closing, self._idle = self._idle, []
        for connection, _ in closing:
            connection.close()
