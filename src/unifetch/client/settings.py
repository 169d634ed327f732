"""Everything that can be set, as one frozen value, from plain data as well as from our own types.

The same names serve `configure(…)`, `Client(…)` and a single call, so a table in a TOML file will do:
`Client(**tomllib.load(file)["http"])`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..errors import ConfigError, InvalidSetting, InvalidURL, shown
from ..masking import masked
from ..model.frozen import Value
from ..model.headers import Headers
from ..model.timeouts import Timeout
from ..model.url import URL, form_urlencode
from ..policies.bodies import check_callable
from ..policies.limits import Limits
from ..policies.tls import TLS

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..observe.events import Event
    from ..policies.auth import Auth
    from ..policies.proxies import ProxyRules
    from ..policies.retries import Retry
    from .arguments import ParamTypes

    Listener = Callable[[Event], None]


def _redirects(setting: Any) -> int:
    if isinstance(setting, bool) or not isinstance(setting, int) or setting < 0:
        raise InvalidSetting(f"redirects: must be the most redirects to follow, 0 for none, not {shown(setting)}")
    return setting


def _base_url(setting: Any) -> URL | None:
    return None if setting is None else URL(setting)


def _params(setting: Any) -> ParamTypes:
    if setting is None or isinstance(setting, str):
        return setting
    pairs = list(setting.items() if isinstance(setting, Mapping) else setting)
    form_urlencode(pairs)  # which refuses what cannot be sent
    return dict(pairs) if isinstance(setting, Mapping) else pairs


def _listeners(setting: Any) -> tuple[Listener, ...]:
    return tuple(map(_listener, (setting,) if callable(setting) or isinstance(setting, str) else setting))


def _listener(setting: Any) -> Listener:
    if callable(setting):
        check_callable("listeners", setting, "event")
        listener: Listener = setting
        return listener
    if setting == "logging":
        from ..observe.logging import log_events

        return log_events
    if setting == "opentelemetry":
        from ..observe.opentelemetry import OpenTelemetry

        return OpenTelemetry()
    raise InvalidSetting('listeners: must be callables that take one event, "logging" or "opentelemetry"')


def _auth(setting: Any) -> Auth | None:
    if setting is None:
        return None
    from ..policies.auth import Auth  # late, as it compiles expressions

    return Auth.of(setting)


def _retry(setting: Any) -> Retry | None:
    if setting is None:
        return None
    from ..policies.retries import Retry

    return Retry.of(setting)


def _proxy(setting: Any) -> ProxyRules | None:
    from ..policies.proxies import ProxyRules

    rules = ProxyRules.of(setting, os.environ)
    return rules if rules.http or rules.https else None


def _http2(setting: Any) -> bool | str:
    if not isinstance(setting, bool) and setting != "only":
        raise InvalidSetting(f'http2: must be true, false or "only", not {shown(setting)}')
    return setting  # type: ignore[no-any-return]  # one of the three


def _unix_socket(setting: Any) -> str | None:
    if setting is None:
        return None
    path = os.fsdecode(setting)
    if not path or "\0" in path[1:]:  # the first may be a NUL: Linux's abstract names
        # An empty one, as of a variable that is not set, must not lead to the network.
        raise ValueError(f"must be the path of a socket, not {shown(path)}")
    return path


def _resolve(setting: Any) -> Mapping[str, str]:
    if setting is None:
        return {}
    if not isinstance(setting, Mapping):
        raise TypeError(f"must be a mapping from hosts to addresses, not {type(setting).__name__}")
    from ipaddress import ip_address

    addresses = {}
    for host, address in setting.items():
        if not isinstance(host, str):
            raise TypeError(f"a host must be str, not {type(host).__name__}")
        try:
            addresses[URL(f"http://{host}/").host] = str(ip_address(str(address)))
        except InvalidURL:
            raise
        except ValueError:
            raise InvalidSetting(f"resolve: {shown(address)} is no IPv4 or IPv6 address") from None
    return addresses


def _flag(setting: Any) -> bool:
    if not isinstance(setting, bool):
        raise TypeError(f"must be true or false, not {type(setting).__name__}")
    return setting


PARSERS: dict[str, Callable[[Any], Any]] = {
    "base_url": _base_url,
    "headers": Headers,
    "params": _params,
    "auth": _auth,
    "timeout": Timeout.of,
    "redirects": _redirects,
    "retry": _retry,
    "limits": Limits.of,
    "tls": TLS.of,
    "http2": _http2,
    "proxy": _proxy,
    "unix_socket": _unix_socket,
    "resolve": _resolve,
    "forbid_private": _flag,
    "decode": _flag,
    "listeners": _listeners,
}


class Settings(Value):
    """What one call goes by.

    Attributes:
        base_url: what a relative URL is joined to.
        headers: fields of every request.
        params: appended to the query of every request.
        auth: credentials for the origin of a call.
        timeout: seconds for each phase and in all.
        redirects: the most redirects to follow; 0 returns the redirect itself.
        retry: whether and when a request is sent again; None for never.
        limits: bounds on what is used and accepted.
        tls: how https connections are secured.
        http2: whether HTTP/2 is offered to https servers; `"only"` speaks nothing else, and to http servers, too.
        proxy: which proxy for which origin; None for none. Unless it is set, the environment says it.
        unix_socket: the path of a unix socket to connect to, whatever the host.
        resolve: addresses to connect to, by host, in place of what the system's resolver says.
        forbid_private: whether to refuse addresses that are not public, on every hop.
        decode: whether the content coding of a response is taken off; if not, none is asked for.
        listeners: callables that are told each event.
    """

    base_url: URL | None = None
    headers: Headers = Headers()
    params: ParamTypes = None
    auth: Auth | None = None
    timeout: Timeout = Timeout()
    redirects: int = 20
    retry: Retry | None = None
    limits: Limits = Limits()
    tls: TLS = TLS()
    http2: bool | str = False
    proxy: ProxyRules | None = None
    unix_socket: str | None = None
    resolve: Mapping[str, str] = {}
    forbid_private: bool = False
    decode: bool = True
    listeners: tuple[Listener, ...] = ()

    def __init__(self, **fields: Any) -> None:
        """From parsed fields; the others have their defaults."""
        vars(self).update(fields)

    def __repr__(self) -> str:
        if not self.params:
            return super().__repr__()
        query = self.params if isinstance(self.params, str) else form_urlencode(self.params)
        return Value.__repr__(Settings(**{**vars(self), "params": masked(f"?{query}")}))

    def replace(self, **changes: Any) -> Settings:
        """A copy with these fields changed, from whatever a caller may write for them.

        A mapping for `timeout` or `limits` changes only the fields that it names, and a number for `timeout` leaves
        `connect`. A mapping for `tls` replaces all of it, so that `verify=False` is never inherited.

        Raises:
            InvalidSetting: for an unknown name or a value that will not do; it names the key.
        """
        if "timeout" in changes:
            changes["timeout"] = self.timeout.changed(changes["timeout"])
        if isinstance(changes.get("limits"), Mapping):
            changes["limits"] = {**vars(self.limits), **changes["limits"]}
        return Settings(**{**vars(self), **parse(changes)})


def parse(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Settings` from what a caller wrote; raises `InvalidSetting` as `replace` does."""
    parsed = {}
    for name, value in settings.items():
        if name == "cookies":
            raise InvalidSetting("cookies: a client of its own keeps them: Client(cookies=…)")
        if name not in PARSERS:
            from ..model.names import unknown_argument

            raise InvalidSetting(unknown_argument("a client", name, ("backend", "cookies", *PARSERS)))
        try:
            parsed[name] = PARSERS[name](value)
        except ConfigError:
            raise
        except (TypeError, ValueError) as error:  # InvalidURL and InvalidHeader are ValueErrors
            raise InvalidSetting(f"{name}: {error}") from error
    return parsed
