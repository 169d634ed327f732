"""One HTTP client API whose behaviour is its own and whose network is anyone's.

    from unifetch import get

    response = get("https://example.org/data.json")
    response.status, response.headers["content-type"], response.json()

What carries the request is a matter of configuration: `urllib.request`, `requests`, `httpx`, `httpx2` or
`urllib3`. What it means is the same with each of them.
"""

from __future__ import annotations

from .api import delete, download, get, head, options, patch, post, put, request, stream
from .backends import available_backends
from .backends.base import Capability
from .client import Client
from .config import configure, use_backend
from .errors import (
    BackendNotInstalled,
    ConfigConflict,
    ConfigError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DecodingError,
    IncompleteBody,
    InvalidBody,
    InvalidHeader,
    InvalidJSON,
    InvalidMethod,
    InvalidRequest,
    InvalidSetting,
    InvalidURL,
    NameResolutionError,
    PoolTimeout,
    ProtocolError,
    ProxyError,
    ReadTimeout,
    RedirectError,
    StatusError,
    StreamError,
    TimedOut,
    TLSError,
    TooLarge,
    TooManyRedirects,
    TotalTimeout,
    UnifetchError,
    UnknownBackend,
    UnsupportedCapability,
    WriteTimeout,
)
from .headers import Headers
from .messages import Request, Response
from .policies.limits import Limits
from .policies.tls import TLS
from .timeouts import Timeout
from .url import URL
from .version import VERSION as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .downloads import Download
    from .streams import ServerSentEvent
else:

    def __getattr__(name: str) -> object:
        """What only some callers name, and nobody should wait for."""
        if name == "Download":
            from .downloads import Download as found
        elif name == "ServerSentEvent":
            from .streams import ServerSentEvent as found
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return found


__all__ = [
    "TLS",
    "URL",
    "BackendNotInstalled",
    "Capability",
    "Client",
    "ConfigConflict",
    "ConfigError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "DecodingError",
    "Download",
    "Headers",
    "IncompleteBody",
    "InvalidBody",
    "InvalidHeader",
    "InvalidJSON",
    "InvalidMethod",
    "InvalidRequest",
    "InvalidSetting",
    "InvalidURL",
    "Limits",
    "NameResolutionError",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "ReadTimeout",
    "RedirectError",
    "Request",
    "Response",
    "ServerSentEvent",
    "StatusError",
    "StreamError",
    "TLSError",
    "TimedOut",
    "Timeout",
    "TooLarge",
    "TooManyRedirects",
    "TotalTimeout",
    "UnifetchError",
    "UnknownBackend",
    "UnsupportedCapability",
    "WriteTimeout",
    "__version__",
    "available_backends",
    "configure",
    "delete",
    "download",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "stream",
    "use_backend",
]
