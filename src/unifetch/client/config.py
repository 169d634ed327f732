"""Which backend, and which settings: the call's, the client's, the context's, the process's, the environment's.

Never by what happens to be installed.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

from ..backends import DEFAULT, checked, with_capability
from ..backends.base import PROXY_CAPABILITIES, Capability
from ..errors import InvalidSetting, UnsupportedCapability
from .settings import Settings
from .signatures import EDITOR

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..backends.base import Backend
    from ..model.headers import Headers
    from ..policies.bodies import Body
    from ..policies.proxies import ProxyRules
    from .arguments import every_setting

    BackendTypes = str | Backend | object
    Environment = tuple[str | bytes | None, ...]

ENVIRONMENT_VARIABLE = "UNIFETCH_BACKEND"
_BACKEND_KEY = ENVIRONMENT_VARIABLE if os.name == "nt" else os.fsencode(ENVIRONMENT_VARIABLE)

_in_context: ContextVar[BackendTypes | None] = ContextVar("unifetch_backend", default=None)


class Process:
    """What `configure` has left for this process."""

    def __init__(self) -> None:
        self.backend: BackendTypes | None = None
        self.settings = Settings()


PROCESS = Process()


def configure(*, backend: BackendTypes | None = None, **settings: Any) -> None:
    """Set the defaults of this process: of the module's functions, and of clients that leave a setting open.

    Each call adds to the ones before. It is meant for the application, once, at its start.

    Args:
        backend: a name, a `Backend`, or a native object.
        **settings: any setting of `Client`, also as plain data.

    Raises:
        InvalidSetting: for an unknown name or a value that will not do; it names the key.
        ConfigConflict: for a native object with settings that would be lost.
    """
    if EDITOR:
        every_setting(**settings)
    changed = PROCESS.settings.replace(**settings)
    if backend is not None:
        PROCESS.backend = _checked(backend)
    PROCESS.settings = changed


@contextmanager
def use_backend(backend: BackendTypes) -> Iterator[None]:
    """Use this backend inside the `with` block, in this thread or task, where no call or client names one.

    Args:
        backend: a name, a `Backend`, or a native object.

    Raises:
        InvalidSetting: for anything else.
        ConfigConflict: for a native object with settings that would be lost.
    """
    token = _in_context.set(_checked(backend))
    try:
        yield
    finally:
        _in_context.reset(token)


def chosen_backend() -> tuple[BackendTypes, str]:
    """The backend of a call for which neither call nor client names one, and who chose it."""
    backend = _in_context.get()
    if backend is not None:
        return backend, "use_backend"
    if PROCESS.backend is not None:
        return PROCESS.backend, "configure"
    data = _encoded()
    if (data is None or _BACKEND_KEY in data) and (name := os.environ.get(ENVIRONMENT_VARIABLE)):
        return name, ENVIRONMENT_VARIABLE
    return DEFAULT, "the default"


# What a client reads when it is made; the backend's variable is read each time. Windows ignores case, and keeps
# capitals.
_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD", "SSL_CERT_FILE", "SSL_CERT_DIR"]
if os.name != "nt":
    _VARIABLES += ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]
_KEYS = [name if os.name == "nt" else os.fsencode(name) for name in _VARIABLES]
_SILENT: Environment = (None,) * len(_KEYS)


def environment() -> Environment:
    """What these variables say now, unparsed, to be compared with what they said before.

    The module's functions ask for each call, so it is parsed only when it has changed.
    """
    data = _encoded()
    if data is None:
        return tuple(map(os.environ.get, _VARIABLES))
    if data.keys().isdisjoint(_KEYS):  # as usual, and one look-up in place of eleven
        return _SILENT
    return tuple(map(data.get, _KEYS))


def _encoded() -> Any:
    """The dict behind `os.environ`, which itself encodes each name that it is asked for.

    None for an interpreter without it, or where somebody's own mapping is in its place.
    """
    return getattr(os.environ, "_data", None)


@lru_cache(32)
def environment_rules(environment: Environment) -> ProxyRules | None:
    """The proxies that the environment names; None if there are none."""
    said = {name: os.fsdecode(value) for name, value in zip(_VARIABLES, environment, strict=True) if value is not None}
    if not any(name.lower().endswith("_proxy") for name in said):
        return None
    from ..policies.proxies import environment_proxies

    rules = environment_proxies(said)
    return rules if rules.http or rules.https else None


def _checked(backend: BackendTypes) -> BackendTypes:
    if not isinstance(backend, str):
        return checked(backend)
    # A name is looked up when it is used: the library may be installed in one process and not in another.
    if not backend:
        raise InvalidSetting("backend: must not be an empty name")
    return backend


_NEEDED = {
    "http2": Capability.HTTP2,
    "unix_socket": Capability.UNIX_SOCKET,
    "resolve": Capability.RESOLVE,
    "forbid_private": Capability.FORBID_PRIVATE,
}


def check_settings(backend: Backend, settings: Settings) -> None:
    """Raise `UnsupportedCapability` for what this backend cannot do, `InvalidSetting` for what contradicts itself."""
    said = vars(settings)
    if "tls" in said:
        _require(backend, "tls", Capability.TLS_CONTEXT)
        if "h2" in settings.tls.alpn:
            _require(backend, "tls.alpn with h2", Capability.HTTP2)
            if not said.get("http2"):
                raise InvalidSetting("tls: alpn is not how HTTP/2 is asked for; http2=True offers h2, and speaks it")
    for name, capability in _NEEDED.items():
        if said.get(name):
            _require(backend, name, capability)
    if said.get("unix_socket") and said.get("forbid_private"):
        raise InvalidSetting("unix_socket: contradicts forbid_private, for there is no address to check")
    if rules := said.get("proxy"):
        from ..policies.proxies import Proxy

        for proxy in (rules.http, rules.https):
            if isinstance(proxy, Proxy):
                _require(backend, "proxy", PROXY_CAPABILITIES[proxy.scheme])


def check_request(backend: Backend, headers: Headers, body: Body) -> None:
    """Raise `UnsupportedCapability` for a request that this backend cannot send as it is meant."""
    if "expect" in headers.by_name():
        _require(backend, "Expect", Capability.EXPECT_CONTINUE)
    if body.trailers:
        _require(backend, "trailers", Capability.TRAILERS)


def _require(backend: Backend, setting: str, capability: Capability) -> None:
    if capability in backend.capabilities:
        return
    able = ", ".join(with_capability(capability))
    raise UnsupportedCapability(
        f"{setting} needs {capability.name}, which this {backend.name!r} backend does not have; it is in {able}"
    )
