"""Which proxy carries a request: from a setting, or from environment variables that are passed in.

It is decided here once, for every backend, and no library reads the environment after us. A proxy that does not work,
or a setting that we cannot read, is an error and never means a direct connection. Left out: SOCKS4, PAC files, and the
preferences of the operating system.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Mapping
from functools import lru_cache

from ..errors import ConfigError, InvalidSetting, evidence
from ..masking import REDACTED
from ..model.frozen import Record, Value, check_keys

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
    from typing import Any, TypeAlias

    from .tls import TLS, TLSTypes

    ProxyTypes: TypeAlias = "ProxyRules | Proxy | str | Mapping[str, Any] | None"
    # A domain or a network, and a port if only that one is meant.
    Exemption: TypeAlias = "tuple[str | IPv4Network | IPv6Network, int | None]"

DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

# Stricter than a URL: no path, query or fragment, and a name in ASCII.
_PROXY = re.compile(
    r"""(?P<scheme>[a-z][a-z0-9+.-]*)://
        (?:(?P<userinfo>[^@/?\#\\\x00-\x20\x7f]*)@)?
        (?P<host>\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)
        (?::(?P<port>[0-9]{1,5}))?/?\Z""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)


class Proxy(Value):
    """One proxy server.

    Args:
        scheme: `"http"` or `"https"` (how to speak to the proxy itself), `"socks5"`, or `"socks5h"`, which lets the
            proxy resolve names.
        host: its name in ASCII, or its address, an IPv6 one without brackets.
        port: 1 to 65535.
        username, password: both or neither.
        tls: for the scheme `"https"`: a TLS, or plain data. None trusts whom the client trusts, and shows no client
            certificate; the proxy is verified even if the origin is not.

    Raises:
        InvalidSetting: for anything else.
    """

    scheme: str
    host: str
    port: int
    username: str | None
    password: str | None
    tls: TLS | None

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        username: str | None = None,
        password: str | None = None,
        *,
        tls: TLSTypes | None = None,
    ) -> None:
        if tls is not None:
            from .tls import TLS

            if scheme != "https":
                raise InvalidSetting(f"proxy: tls is for a proxy of scheme https, not {evidence(scheme)}")
            tls = TLS.of(tls)
        for name, given in (("scheme", scheme), ("host", host)):
            if not isinstance(given, str):
                raise InvalidSetting(f"proxy: {name} must be str, not {type(given).__name__}")
        if scheme not in DEFAULT_PORTS:
            raise InvalidSetting(f"proxy: scheme must be one of {', '.join(DEFAULT_PORTS)}, not {evidence(scheme)}")
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            raise InvalidSetting("proxy: port must be a whole number from 1 to 65535")
        if len(host) > 253 or max(map(len, host.split("."))) > 63:
            raise InvalidSetting(f"proxy: {evidence(host)} is no host name (RFC 1035 §2.3.4)")
        if ":" in host and _address(host) is None:
            raise InvalidSetting(f"proxy: {evidence(host)} is no IPv6 address")
        for name, text in (("username", username), ("password", password)):
            if text is not None and not isinstance(text, str):
                raise InvalidSetting(f"proxy: {name} must be str or None, not {type(text).__name__}")
            if text is not None and re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text):
                raise InvalidSetting(f"proxy: {name} has a control character or a lone surrogate")
        if username is not None and ":" in username:
            raise InvalidSetting("proxy: a username cannot hold a colon (RFC 7617 §2)")
        if (username is None) != (password is None):
            raise InvalidSetting("proxy: a username comes with a password, and the other way round")
        vars(self).update(scheme=scheme, host=host.lower(), port=port, username=username, password=password, tls=tls)

    @classmethod
    def of(cls, setting: Proxy | str | Mapping[str, Any]) -> Proxy:
        """From a URL such as `"http://user:password@proxy.test:3128"`, or a mapping of that `url` and `tls`.

        Raises:
            InvalidSetting: for anything else; userinfo, which must be percent-encoded, is not shown.
        """
        if isinstance(setting, Proxy):
            return setting
        if isinstance(setting, Mapping):
            check_keys("proxy", setting, ("url", "tls"))
            return cls.of(setting.get("url", "")).replace(tls=setting.get("tls"))
        if not isinstance(setting, str):
            raise InvalidSetting(f"proxy must be a URL or a Proxy, not {type(setting).__name__}")
        parts = _PROXY.match(setting)
        if parts is None:
            hint = "; percent-encode what name and password have of / ? # @ : and space" if "@" in setting else ""
            shown = evidence(setting.rpartition("@")[2])
            raise InvalidSetting(f"proxy: {shown} is not of the form scheme://user:password@host:port{hint}")
        scheme = parts["scheme"].lower()
        port = int(parts["port"]) if parts["port"] else DEFAULT_PORTS.get(scheme, 0)
        host = parts["host"].strip("[]")
        if not parts["userinfo"]:
            return cls(scheme, host, port)
        username, _, password = parts["userinfo"].partition(":")
        return cls(scheme, host, port, _decoded(username), _decoded(password))

    @property
    def url(self) -> str:
        """The URL, without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """The value of Proxy-Authorization (Basic, in UTF-8), or None: for an HTTP proxy, never for the origin."""
        if self.username is None or self.password is None or self.scheme not in ("http", "https"):
            return None
        return "Basic " + b2a_base64(f"{self.username}:{self.password}".encode(), newline=False).decode("ascii")

    def __repr__(self) -> str:
        return f"Proxy({self.url if self.username is None else self.url.replace('//', f'//{REDACTED}@')!r})"

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) if self.username is None else {**vars(self), "username": REDACTED, "password": REDACTED}


def _decoded(userinfo: str) -> str:
    from urllib.parse import unquote_to_bytes

    try:
        return unquote_to_bytes(userinfo.encode("utf-8", "surrogatepass")).decode()
    except UnicodeDecodeError:
        raise InvalidSetting("proxy: the userinfo is not UTF-8") from None


class Unusable(Record):
    """What the environment has instead of a usable proxy: an error only where it would be needed.

    A desktop that sets `ALL_PROXY=socks://…` for all programs is no reason to refuse a host that NO_PROXY exempts.
    """

    reason: str


class ProxyRules(Record):
    """Which proxy is for which origin.

    Args:
        http, https: the proxy for URLs of that scheme; None connects directly.
        no: the hosts without a proxy, as in `NO_PROXY`.
    """

    http: Proxy | Unusable | None = None
    https: Proxy | Unusable | None = None
    no: tuple[str, ...] = ()

    @classmethod
    def of(cls, setting: ProxyTypes, environ: Mapping[str, str]) -> ProxyRules:
        """Rules from what a caller may write.

        Args:
            setting: the URL of one proxy, or a `Proxy`, for everything; `"env"` to go by `environ`; a mapping with the
                keys `http`, `https`, `all` (for a scheme without its own) and `no`; None for no proxy at all. Instead
                of a URL there may be a mapping of `url` and `tls`.
            environ: the environment variables.

        Raises:
            InvalidSetting: for anything else.
        """
        if isinstance(setting, ProxyRules):
            return setting
        if setting is None:
            return cls()
        if setting == "env":
            return environment_proxies(environ)
        if not isinstance(setting, Mapping) or "url" in setting:
            proxy = Proxy.of(setting)
            return cls(proxy, proxy)
        check_keys("proxy", setting, ("http", "https", "all", "no"))
        no = setting.get("no", ())
        no = _patterns(no) if isinstance(no, str) else no
        if not isinstance(no, (list, tuple)) or not all(isinstance(pattern, str) for pattern in no):
            raise InvalidSetting("proxy: no must be a list of host names, addresses and networks")
        for pattern in no:
            if _exemption(pattern) is None:
                raise InvalidSetting(f"proxy: no: {evidence(pattern)} is no host name, address or network")
        chosen = {key: setting.get(key, setting.get("all")) for key in ("http", "https")}
        return cls(no=tuple(no), **{key: None if url is None else Proxy.of(url) for key, url in chosen.items()})

    def proxy_for(self, scheme: str, host: str, port: int) -> Proxy | None:
        """The proxy for an origin (an IPv6 host without brackets), or None to connect directly.

        Raises `InvalidSetting` if the environment has one that cannot be used, and `ConfigError` for one that was
        pickled, and so has lost its password.
        """
        proxy = self.https if scheme == "https" else self.http
        if proxy is None or any(_exempts(pattern, host, port) for pattern in self.no):
            return None
        if isinstance(proxy, Unusable):
            raise InvalidSetting(f"{proxy.reason}; proxy=None connects directly, and no_proxy exempts {host}")
        if REDACTED in (proxy.username, proxy.password):
            raise ConfigError("proxy: this Proxy was pickled without its credentials; set them again")
        return proxy


def environment_proxies(environ: Mapping[str, str]) -> ProxyRules:
    """Rules from `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, or their upper-case names.

    The lower-case name wins, even if it is empty: then neither counts. A proxy without a scheme is an HTTP proxy, and
    one that cannot be used is an error only for a URL that it is for. Anything in `NO_PROXY` besides host names,
    addresses and networks matches nothing.
    """
    # On Windows, os.environ finds HTTP_PROXY also as http_proxy; a copy does not.
    variables = dict(environ)
    if "REQUEST_METHOD" in variables:
        # In a CGI environment, HTTP_PROXY is the Proxy field of the request, set by the peer ("httpoxy").
        variables.pop("HTTP_PROXY", None)

    def value(name: str) -> tuple[str, str]:
        name = name if name in variables else name.upper()
        return name, variables.get(name, "").strip(" \t\r\n")

    def proxy(name: str) -> Proxy | Unusable | None:
        variable, url = value(name)
        if not url:
            return None if name == "all_proxy" else proxy("all_proxy")
        try:
            return Proxy.of(url if "://" in url else f"http://{url}")
        except InvalidSetting as error:
            return Unusable(f"{variable}: {error}")

    return ProxyRules(proxy("http_proxy"), proxy("https_proxy"), _patterns(value("no_proxy")[1]))


def _patterns(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^, \t\r\n]+", text))


def _exempts(pattern: str, host: str, port: int) -> bool:
    exemption = _exemption(pattern)
    if exemption is None or exemption[1] not in (None, port):
        return False
    wanted, address = exemption[0], _address(host)
    if not isinstance(wanted, str):
        return address is not None and address in wanted
    # An address has no domain: "0.0.1" does not match 127.0.0.1.
    return wanted == "*" or (address is None and f".{host.rstrip('.')}".endswith(f".{wanted}"))


@lru_cache(maxsize=512)
def _exemption(pattern: str) -> Exemption | None:
    """What a pattern means, or None if it means nothing; `.example.com` and `*.example.com` are `example.com`."""
    found = re.match(r"(\[[^\]]*\]|[^:]*):([0-9]{1,5})\Z", pattern)
    host, port = (found[1], int(found[2])) if found else (pattern, None)
    host = host.strip("[]").lower()
    if host == "*":
        return host, port
    if "/" in host or _address(host) is not None:
        from ipaddress import ip_network

        try:
            return ip_network(host, strict=False), port
        except ValueError:
            return None
    domain = re.match(r"(?:\*?\.)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?\Z", host)
    return (domain[1], port) if domain else None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    # Most hosts are names, and `ipaddress` is not cheap to import.
    if ":" not in host and not re.match(r"[0-9.]+\Z", host):
        return None
    from ipaddress import ip_address

    try:
        return ip_address(host)
    except ValueError:
        return None
