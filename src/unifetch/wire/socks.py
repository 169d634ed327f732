"""What is said to a SOCKS5 proxy before it lets us through (RFC 1928), with a login if it wants one (RFC 1929).

One conversation for every backend that has a hand on its connection. It does no I/O: it yields the bytes that are to
be sent, or a number, and is then to be sent exactly so many bytes of what the proxy says. When it returns, the
connection belongs to the origin. It is driven by our own dialing as it drives a parser (`tunnels.py`), and for aiohttp
by `converse_awaited`.

Left out: SOCKS4, and any way to log in but a user name and password.
"""

from __future__ import annotations

from contextlib import suppress

from ..errors import ConfigError, ProxyError, evidence

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from typing import Any, TypeAlias

    # What is to be sent, or how many bytes are to be read and given back.
    Conversation: TypeAlias = Generator[bytes | int, bytes, None]

SCHEMES = ("socks5", "socks5h")  # of a proxy: one is told an address, the other the name

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


def socks5(proxy: Any, host: str, port: int) -> Conversation:
    """Ask for a connection.

    Args:
        proxy: its `username` and `password`; None for no login.
        host, port: where to; a name is left for the proxy to resolve.

    Raises:
        ConfigError: the login or the name is too long for the protocol.
        ProxyError: it refused, or does not speak SOCKS5.
    """
    methods = (_NO_LOGIN,) if proxy.username is None else (_NO_LOGIN, _PASSWORD)
    yield bytes((5, len(methods), *methods))
    version, method = yield 2
    if version != 5:
        raise ProxyError(f"it does not speak SOCKS5: it began with {evidence(bytes((version, method)))}")
    if method not in methods:
        raise ProxyError("it accepts " + ("nobody without a login" if proxy.username is None else "no login of ours"))
    if method == _PASSWORD:
        yield b"\x01" + _counted("user name", proxy.username) + _counted("password", proxy.password or "")
        _, failure = yield 2
        if failure:
            raise ProxyError("it refused the user name and password")
    yield bytes((5, 1, 0)) + _destination(host) + port.to_bytes(2, "big")
    version, reply, _, kind = yield 4
    if version != 5 or kind not in (_IPV4, _NAME, _IPV6):
        raise ProxyError("its reply is not of SOCKS5")
    if reply:
        raise ProxyError(f"it did not connect to {host}:{port}: {_REPLIES.get(reply, f'reply {reply}')}")
    # The address that it connects from, which nobody needs; but the connection begins behind it.
    size = {_IPV4: 4, _IPV6: 16}.get(kind) or (yield 1)[0]
    yield size + 2


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


# --- The driver -----------------------------------------------------------------------------------


async def converse_awaited(
    steps: Conversation, say: Callable[[bytes], Awaitable[object]], hear: Callable[[int], Awaitable[bytes]]
) -> None:
    """Hold a conversation.

    Args:
        steps: the conversation.
        say: sends all of it.
        hear: what came, at most so many bytes; `b""` at the end.

    Raises:
        ProxyError: it refused, or ended the connection.
    """
    with suppress(StopIteration):
        step = next(steps)
        while True:
            if isinstance(step, bytes):
                await say(step)
                step = next(steps)
                continue
            heard = b""
            while len(heard) < step:
                piece = await hear(step - len(heard))
                if not piece:
                    raise ProxyError("it ended the connection")
                heard += piece
            step = steps.send(heard)
