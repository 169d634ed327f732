"""What a SOCKS5 proxy is asked before it lets us through (RFC 1928), with a login if it wants one (RFC 1929).

Left out: SOCKS4, and any way to log in but a user name and password.
"""

from __future__ import annotations

from ..errors import ConfigError, ProxyError, evidence

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any

    from .reader import ByteReader
    from .tunnels import Conversation

_NO_LOGIN, _PASSWORD = 0, 2
_IPV4, _NAME, _IPV6 = 1, 3, 4
_REPLIES = {  # RFC 1928 §6
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
}


def socks5(reader: ByteReader, proxy: Any, host: str, port: int) -> Conversation:
    """Ask for a connection; a name is left for the proxy to resolve.

    Raises:
        ConfigError: the login or the name is too long for the protocol.
        ProxyError: it refused, does not speak SOCKS5, or ended the connection.
    """
    methods = (_NO_LOGIN,) if proxy.username is None else (_NO_LOGIN, _PASSWORD)
    yield bytes((5, len(methods), *methods))
    try:
        version, method = yield from reader.read_exact(2)
        if version != 5:
            raise ProxyError(f"it does not speak SOCKS5: it began with {evidence(bytes((version, method)))}")
        if method not in methods:
            who = "nobody without a login" if proxy.username is None else "no login of ours"
            raise ProxyError(f"it accepts {who}")
        if method == _PASSWORD:
            yield b"\x01" + _counted("user name", proxy.username) + _counted("password", proxy.password or "")
            _, failure = yield from reader.read_exact(2)
            if failure:
                raise ProxyError("it refused the user name and password")
        yield bytes((5, 1, 0)) + _destination(host) + port.to_bytes(2, "big")
        version, reply, _, kind = yield from reader.read_exact(4)
        if version != 5 or kind not in (_IPV4, _NAME, _IPV6):
            raise ProxyError("its reply is not of SOCKS5")
        if reply:
            raise ProxyError(f"it did not connect to {host}:{port}: {_REPLIES.get(reply, f'reply {reply}')}")
        # The address and the port that it connects from are of no use, but the connection begins behind them.
        size = {_IPV4: 4, _IPV6: 16}.get(kind) or (yield from reader.read_exact(1))[0]
        yield from reader.read_exact(size + 2)
    except EOFError:
        raise ProxyError("it ended the connection") from None


def _destination(host: str) -> bytes:
    from ipaddress import ip_address

    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return bytes((_NAME,)) + _counted("host", host)
    return bytes((_IPV4 if address.version == 4 else _IPV6,)) + address.packed


def _counted(what: str, text: str) -> bytes:
    data = text.encode()
    if len(data) > 255:
        raise ConfigError(f"proxy: SOCKS5 takes a {what} of at most 255 bytes, not {len(data)}")
    return bytes((len(data),)) + data
