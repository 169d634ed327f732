"""What is said to a proxy before it lets us through: CONNECT (RFC 9110 §9.3.6), or SOCKS5 (RFC 1928 and 1929).

Generators as in `http11.py`, but here both sides speak: bytes that are yielded are to be sent, and a bare
`yield` means "feed me". When one returns, the connection belongs to the origin.

The words of SOCKS5 are those of every backend that goes through such a proxy: they stand in `socks.py`.
"""

from __future__ import annotations

from ..backends.base import check_tunnel, tunnel_target
from ..errors import ProxyError, evidence
from . import socks

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from ..model.headers import Pairs
    from ..model.messages import RawRequest
    from .http11 import Head
    from .reader import ByteReader

    Conversation = Generator[bytes | Head | None, None, None]  # the heads are interim responses, to be ignored


def agreement(reader: ByteReader, request: RawRequest, host: str) -> Conversation:
    """Have the proxy of a request connect us to this host, which is the request's or an address of it.

    To an http origin, an HTTP proxy is told nothing beforehand: the request's target names the origin.

    Raises:
        ConfigError, ProxyError, ConnectionLost, ProtocolError: as `connect` and `socks5`; or it spoke unasked.
    """
    route = request.route
    if route.proxy.scheme in socks.SCHEMES:
        yield from socks5(reader, route.proxy, host, request.port)
    elif request.scheme == "https":
        yield from connect(reader, host, request.port, route.connect_headers)
    if len(reader):
        raise ProxyError(f"it sent something before it was asked: {evidence(reader.take(len(reader)))}")


def connect(reader: ByteReader, host: str, port: int, headers: Pairs) -> Conversation:
    """Ask an HTTP proxy for a tunnel; these are all the fields of that request.

    Raises:
        ProxyError, ConnectionLost, ProtocolError: it refused, or its answer is none, as for `read_head`.
    """
    from .http11 import read_head, request_head  # no other proxy needs it

    target = tunnel_target(host, port)
    yield request_head("CONNECT", target, headers)
    head = yield from read_head(reader, "CONNECT")
    check_tunnel(target, head.status, head.reason)


def socks5(reader: ByteReader, proxy: Any, host: str, port: int) -> Conversation:
    """Ask a SOCKS5 proxy for a connection, in the words of `socks.py`, which says what they mean.

    Raises:
        ConfigError, ProxyError: as there; or it ended the connection.
    """
    steps = socks.socks5(proxy, host, port)
    try:
        step = next(steps)
        while True:
            if isinstance(step, bytes):
                yield step
                step = next(steps)
            else:
                step = steps.send((yield from reader.read_exact(step)))
    except StopIteration:
        return
    except EOFError:
        raise ProxyError("it ended the connection") from None
