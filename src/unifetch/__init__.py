"""One HTTP client API whose behaviour is its own and whose network is anyone's.

    from unifetch import get

    response = get("https://example.org/data.json")
    response.status, response.headers["content-type"], response.json()

What carries the request is a matter of configuration: `urllib.request`, `requests`, `httpx`, `httpx2`,
`urllib3`, `aiohttp`, or `socket`, a client of our own. What it means is the same with each of them; and
`unifetch.aio` has the same functions, awaited.
"""

from __future__ import annotations

from .api import delete, download, get, head, options, patch, post, put, request, stream
from .backends import available_backends
from .backends.base import Capability
from .client.config import configure, use_backend
from .client.sync_client import Client
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
from .model.headers import Headers
from .model.messages import Request, Response
from .model.url import URL
from .policies.limits import Limits
from .policies.tls import TLS
from .version import VERSION as __version__

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from . import aio as aio
    from . import bridges as bridges
    from . import testing as testing
    from .client.async_client import AsyncClient
    from .client.downloads import Download
    from .many.fetch_all import Result, fetch_all
    from .model.lines import ServerSentEvent
    from .model.timeouts import Timeout
    from .policies.auth import Auth, AuthMemory, Basic, Bearer, Digest, FinalRequest, Netrc
    from .policies.cookie_jar import CookieJar
    from .policies.cookies import Cookie
    from .policies.proxies import Proxy
    from .policies.retries import Retry
else:
    import atexit as _atexit
    import sys as _sys

    # What only some callers name, and nobody else should wait for.
    _MODULES = {
        "client.async_client": "AsyncClient",
        "client.downloads": "Download",
        "many.fetch_all": "Result fetch_all",
        "model.lines": "ServerSentEvent",
        "model.timeouts": "Timeout",  # see below
        "policies.auth": "Auth AuthMemory Basic Bearer Digest FinalRequest Netrc",
        "policies.cookie_jar": "CookieJar",
        "policies.cookies": "Cookie",
        "policies.proxies": "Proxy",
        "policies.retries": "Retry",
    }
    _LATER = {name: module for module, names in _MODULES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        """Import one of the names above when it is asked for."""
        from importlib import import_module

        if name == "Timeout" and _sys.exception() is not None:
            names = import_module(".model.names", __name__)
            if names.is_caught(_sys._getframe(1)):
                raise AttributeError(
                    "unifetch.Timeout is the setting; the error is unifetch.TimedOut (docs/how-to/errors.md)"
                )
        if name in ("aio", "bridges", "testing"):  # as in `import unifetch; await unifetch.aio.get(…)`
            return import_module(f".{name}", __name__)
        if name in _LATER:
            return getattr(import_module(f".{_LATER[name]}", __name__), name)
        names = import_module(".model.names", __name__)
        if hint := names.answer(names.MODULE, name):
            # No AttributeError, whose text `from unifetch import …` would not show.
            raise ImportError(f"unifetch has no {name}; {hint}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    class _TheirModules:
        """Told by the import system of a module that nobody finds, as in `from unifetch.adapters import …`."""

        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            """Raise the error that says where it is here, for a module of another library."""
            if name.startswith("unifetch.") and name.count(".") == 1:
                from .model import names

                if hint := names.answer(names.MODULE, name[9:]):
                    raise ModuleNotFoundError(f"there is no module {name}; {hint}", name=name)

    _sys.meta_path.append(_TheirModules)
    # It must not keep our modules alive when the program ends: finalizers would find them emptied.
    _atexit.register(lambda: _TheirModules in _sys.meta_path and _sys.meta_path.remove(_TheirModules))

    def __dir__() -> list[str]:
        """The names above as well, which are there when they are asked for."""
        return sorted({*globals(), *_LATER})


__all__ = [
    "TLS",
    "URL",
    "AsyncClient",
    "Auth",
    "AuthMemory",
    "BackendNotInstalled",
    "Basic",
    "Bearer",
    "Capability",
    "Client",
    "ConfigConflict",
    "ConfigError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "Cookie",
    "CookieJar",
    "DecodingError",
    "Digest",
    "Download",
    "FinalRequest",
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
    "Netrc",
    "PoolTimeout",
    "ProtocolError",
    "Proxy",
    "ProxyError",
    "ReadTimeout",
    "RedirectError",
    "Request",
    "Response",
    "Result",
    "Retry",
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
    "fetch_all",
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
