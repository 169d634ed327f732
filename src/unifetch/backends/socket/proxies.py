"""What is said to a proxy before it lets us through: CONNECT (RFC 9110 §9.3.6), or SOCKS5 (RFC 1928 and 1929).

Generators as in `http11.py`, but here both sides speak: bytes that are yielded are to be sent, and a bare
`yield` means "feed me". When one returns, the connection belongs to the origin.

To an http origin, an HTTP proxy is told nothing beforehand: the request's target names the origin.

The words of SOCKS5 are those of every backend that goes through such a proxy: they stand in `../socks.py`.
"""

from __future__ import annotations

from contextlib import suppress

from ...errors import ProxyError, evidence
from .. import socks
from .http11 import read_head, request_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

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
    head = yield from read_head(reader, "CONNECT")
    # After any 2xx the tunnel begins with the next byte: Content-Length and Transfer-Encoding are to be ignored.
    if head.status >= 300:
        error = ProxyError(f"it refused a tunnel to {authority}: {head.status} {evidence(head.reason)[1:-1]}".rstrip())
        error.status = head.status
        raise error


# --- SOCKS5 ---------------------------------------------------------------------------------------


def socks5(reader: ByteReader, proxy: Any, host: str, port: int) -> Conversation:
    """Ask a SOCKS5 proxy for a connection, in the words of `socks.py`, which says what they mean.

    Args:
        reader: what the proxy says.
        proxy: its `username` and `password`.
        host, port: where to; a name is left for the proxy to resolve.

    Raises:
        ConfigError, ProxyError: as there.
        EOFError: it ended the connection.
    """
    steps = socks.socks5(proxy, host, port)
    with suppress(StopIteration):
        step = next(steps)
        while True:
            if isinstance(step, bytes):
                yield step
                step = next(steps)
            else:
                step = steps.send((yield from reader.read_exact(step)))
