"""How to reach an origin: directly or through a proxy, by name or by address, over TCP or a unix socket.

The call chooses the route of each attempt; one that a backend cannot take was refused beforehand, by its capabilities.
No other route is tried: a dead proxy does not mean a direct connection.
"""

from __future__ import annotations

from ..errors import ConfigError, ConnectError
from .frozen import Record

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from ipaddress import IPv4Address, IPv6Address
    from typing import Any, NoReturn

    from .headers import Pairs


class Route(Record):
    """Where one attempt connects to.

    Attributes:
        proxy: the proxy to go through, with `scheme`, `host`, `port`, `username` and `password`; or None. To an
            http origin, an http or https proxy is asked with the absolute URL, which the request target already
            is, and its credentials are among the headers. To an https origin it is asked for a tunnel by
            CONNECT, with `connect_headers`. A socks5 proxy is asked to connect to the address, socks5h to the name.
        connect_headers: every field of that CONNECT; none of them is for the origin.
        proxy_tls: the context for a proxy of scheme https.
        unix_socket: the path of a unix socket to connect to, instead of the host.
        address: the address to connect to, instead of those of the host. TLS still goes by the host's name.
        public_only: whether to refuse addresses that are not public, after resolution and before connecting.
    """

    proxy: Any = None
    connect_headers: Pairs = ()
    proxy_tls: ssl.SSLContext | None = None
    unix_socket: str | None = None
    address: str | None = None
    public_only: bool = False

    def __repr__(self) -> str:
        shown = {name: value for name, value in vars(self).items() if value and name != "connect_headers"}
        return f"Route({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Route belongs to one attempt, and its credentials do not travel in a pickle")


DIRECT = Route()


def is_looked_up(route: Route, host: str) -> bool:
    """Whether a host on this route is looked up here, and not by the proxy.

    Raises `ConfigError` if the proxy does it, and so cannot keep to what the route says of addresses.
    """
    proxy = route.proxy
    if proxy is None or proxy.scheme == "socks5" or (proxy.scheme == "socks5h" and route.address is not None):
        return True
    if route.public_only or route.address is not None:
        setting = "forbid_private" if route.public_only else "resolve"
        raise ConfigError(f"{setting} cannot be kept with the proxy {proxy.url}, which itself resolves {host}")
    return False


def is_loopback_name(host: str) -> bool:
    """Whether a name means this machine; then no resolver is asked (RFC 6761 §6.3)."""
    return f".{host.removesuffix('.').lower()}".endswith(".localhost")


def refuse_private(host: str, address: str) -> None:
    """Raise `ConnectError` if the host leads to an address that only this machine or its own network can reach.

    That is loopback, private, link-local (with the cloud's metadata service), unspecified, multicast and reserved
    addresses; of IPv6 also unassigned space, 6to4 and Teredo; and any of these inside an IPv6 address (IPv4-mapped,
    NAT64, ISATAP). The table is our own, because that of `ipaddress` changes with the interpreter.
    """
    from ipaddress import ip_address

    if not _is_public(ip_address(address.partition("%")[0])):
        raise ConnectError(f"{host} leads to {address}, which is not public, and forbid_private is set")


# What is not public, by the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890) as of November 2026, and
# multicast. A public assignment inside a larger one that is not public is refused with it.
_SPECIAL_IPV4 = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
"""
# Of IPv6, only this is assigned to anybody (IANA IPv6 Global Unicast Address Space), less the following.
_UNICAST_IPV6 = "2000::/3"
_SPECIAL_IPV6 = "2001::/23 2001:db8::/32 2002::/16 3fff::/20"


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    from ipaddress import IPv4Address, ip_network

    def is_in(networks: str) -> bool:
        return any(address in ip_network(network) for network in networks.split())

    if isinstance(address, IPv4Address):
        return not is_in(_SPECIAL_IPV4)
    number = int(address)
    inside = IPv4Address(number & 0xFFFFFFFF)
    if number >> 32 in (0xFFFF, 0x64FF9B << 64):  # IPv4-mapped and NAT64 (RFC 6052) lead to the address inside
        return _is_public(inside)
    if number >> 32 & 0xFDFFFFFF == 0x5EFE and not _is_public(inside):  # ISATAP (RFC 5214 §6.1), in any network
        return False
    return is_in(_UNICAST_IPV6) and not is_in(_SPECIAL_IPV6)
