"""urllib.request, the client of the standard library, as an opener.

What it does by itself: follow redirects, read proxies from the environment, keep cookies, raise errors for
statuses, open `file:`, `ftp:` and `data:` URLs, title-case the names of fields and keep one of duplicates, add
Accept-Encoding and `Connection: close`, and open a connection for every request. Its handlers do that, and our
opener has none of them. It has one, which hands each request to a connection of ours.

Ours: resolve, connect, TLS, write, parse, pool. The library's: nothing below its opener, for `http.client` cannot be
told to do these things right. It takes the first 1xx response but 100 for the final one, drops every field after a
malformed one, Content-Length included, takes a head and a body that were cut off for whole ones, reads the size of a
chunk as Python reads a number, drops trailers, loses the response when the server ends an upload early, and starts its
timeout anew at each byte that arrives.
"""

from __future__ import annotations

import urllib.request

from ..errors import ConfigConflict
from .base import HTTP_1_CAPABILITIES
from .socket import SocketBackend

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from ..errors import UnifetchError
    from ..model.messages import RawRequest, RawResponse

CAPABILITIES = HTTP_1_CAPABILITIES

# Nothing below the opener raises but our own errors.
ERRORS: dict[type[Exception], type[UnifetchError]] = {}


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

    # --- The request ------------------------------------------------------------------------------

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange, up to the head of the final response."""
        response: RawResponse = self._opener.open(Carried(request))
        return response

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections."""
        self._handler.close()


class Carried(urllib.request.Request):
    """A request on its way through an opener, which goes by its URL only.

    Attributes:
        raw: the request.
    """

    def __init__(self, raw: RawRequest) -> None:
        super().__init__(raw.url)
        self.raw = raw


class KeepAliveHandler(urllib.request.BaseHandler):
    """Opens http and https URLs by the socket client, which keeps its connections."""

    def __init__(self) -> None:
        self._carrier = SocketBackend()

    def http_open(self, carried: Any) -> RawResponse:
        """Send a `Carried`; called by `OpenerDirector.open`."""
        return self._carrier.send(carried.raw)

    https_open = http_open

    def close(self) -> None:
        """Close the idle connections."""
        self._carrier.close()
