"""What is said to a proxy before it lets us through: CONNECT (RFC 9110 §9.3.6), or SOCKS5 (RFC 1928 and 1929).

Generators as in `http11.py`, but here both sides speak: bytes that are yielded are to be sent, and a bare
`yield` means "feed me". When one returns, the connection belongs to the origin.

To an http origin, an HTTP proxy is told nothing beforehand: the request's target names the origin.

Left out: SOCKS4, and any way to log in but a user name and password.
"""

from __future__ import annotations

from ...errors import ConfigError, ProxyError, evidence
from .http11 import read_head, request_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from ...headers import Pairs
    from .http11 import Head
    from .reader import ByteReader

    Conversation = Generator[bytes | Head | None, None, None]  # the heads are interim responses, to be ignored


# --- CONNECT --------------------------------------------------------------------------------------


def connect(reader: ByteReader, host: str, port: int, headers: Pairs) -> Conversation:
    """Ask an HTTP proxy for a tunnel.

    Args:
        reader: what the proxy says.
        host, port: where the tunnel is to end; an IPv6 address without its brackets.
        headers: every field of the request.

    Raises:
        ProxyError: it refused; nothing else of its response counts (RFC 9110 §9.3.6).
        ConnectionLost, ProtocolError: its answer is none, as for `http11.read_head`.
    """
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    yield request_head("CONNECT", authority, headers)
    status, reason, _, _, _ = yield from read_head(reader)
    # After any 2xx the tunnel begins with the next byte: Content-Length and Transfer-Encoding are to be ignored.
    if status >= 300:
        error = ProxyError(f"it refused a tunnel to {authority}: {status} {evidence(reason)[1:-1]}".rstrip())
        error.status = status
        raise error


# --- SOCKS5 ---------------------------------------------------------------------------------------

_NO_LOGIN, _PASSWORD = 0, 2
_IPV4, _NAME, _IPV6 = 1, 3, 4
_REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
}


def socks5(reader: ByteReader, host: str, port: int, login: tuple[str, str] | None) -> Conversation:
    """Ask a SOCKS5 proxy for a connection.

    Args:
        reader: what the proxy says.
        host, port: where to; a name is left for the proxy to resolve.
        login: user name and password.

    Raises:
        ConfigError: the login or the name is too long for the protocol.
        ProxyError: it refused, or does not speak SOCKS5.
        EOFError: it ended the connection.
    """
    methods = (_NO_LOGIN,) if login is None else (_NO_LOGIN, _PASSWORD)
    yield bytes((5, len(methods), *methods))
    version, method = yield from reader.read_exact(2)
    if version != 5:
        raise ProxyError(f"it does not speak SOCKS5: it began with {evidence(bytes((version, method)))}")
    if method not in methods:
        raise ProxyError("it accepts " + ("no login of ours" if login else "nobody without a login"))
    if method == _PASSWORD and login is not None:
        username, password = login
        yield b"\x01" + _counted("user name", username) + _counted("password", password)
        _, failure = yield from reader.read_exact(2)
        if failure:
            raise ProxyError("it refused the user name and password")
    yield bytes((5, 1, 0)) + _destination(host) + port.to_bytes(2, "big")
    version, reply, _, kind = yield from reader.read_exact(4)
    if version != 5 or kind not in (_IPV4, _NAME, _IPV6):
        raise ProxyError("its reply is not of SOCKS5")
    if reply:
        raise ProxyError(f"it did not connect to {host}:{port}: {_REPLIES.get(reply, f'reply {reply}')}")
    # The address that it connects from, which nobody needs; but the tunnel begins behind it.
    size = {_IPV4: 4, _IPV6: 16}.get(kind) or (yield from reader.read_exact(1))[0]
    yield from reader.read_exact(size + 2)


def _destination(host: str) -> bytes:
    from ipaddress import ip_address

    try:
        address = ip_address(host)
    except ValueError:
        return bytes((_NAME,)) + _counted("host", host)
    return bytes((_IPV4 if address.version == 4 else _IPV6,)) + address.packed


def _counted(what: str, text: str) -> bytes:
    data = text.encode()
    if len(data) > 255:
        raise ConfigError(f"proxy: SOCKS5 takes a {what} of at most 255 bytes, not {len(data)}")
    return bytes((len(data),)) + data
