"""What a proxy is asked before it lets us through: CONNECT (RFC 9110 §9.3.6), or SOCKS5 (`socks.py`).

Generators as in `http11.py`, but here both sides speak: bytes that are yielded are to be sent, and a bare
`yield` means "feed me". When one returns, the connection leads to the origin.
"""

from __future__ import annotations

from ..errors import ProxyError, evidence

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from ..model.headers import Pairs
    from ..model.messages import RawRequest
    from .http11 import Head
    from .reader import ByteReader

    Conversation = Generator[bytes | Head | None, None, None]  # the heads are interim responses, to be ignored


def agreement(reader: ByteReader, request: RawRequest, host: str) -> Conversation:
    """Have the proxy of a request connect us to this host, which is the request's or an address of it.

    Nothing is asked of an HTTP proxy for an http origin: the request's target names the origin.

    Raises:
        ConfigError: a login or a name is too long for SOCKS5.
        ProxyError, ConnectionLost, ProtocolError: it refused, or its answer is none; or it spoke unasked.
    """
    route = request.route
    if route.proxy.scheme.startswith("socks5"):
        from .socks import socks5

        yield from socks5(reader, route.proxy, host, request.port)
    elif request.scheme == "https":
        yield from connect(reader, host, request.port, route.connect_headers)
    if len(reader):
        raise ProxyError(f"it sent something before it was asked: {evidence(reader.take(len(reader)))}")


def connect(reader: ByteReader, host: str, port: int, headers: Pairs) -> Conversation:
    """Ask an HTTP proxy for a tunnel; these are all the fields of that request.

    Any 2xx agrees, and its Content-Length and Transfer-Encoding mean nothing: the tunnel begins with the next byte.
    """
    from .http11 import read_head, request_head  # only here is HTTP spoken before there is a connection

    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"  # RFC 9112 §3.2.3
    yield request_head("CONNECT", target, headers)
    head = yield from read_head(reader, "CONNECT")
    if not 200 <= head.status < 300:
        refusal = f"it refused a tunnel to {target}: {head.status} {evidence(head.reason)[1:-1]}"
        error = ProxyError(refusal.rstrip())
        error.status = head.status
        raise error
