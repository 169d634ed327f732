"""Whether HTTP/2 is spoken on a new connection, where it is asked for."""

from __future__ import annotations

from ...errors import BackendNotInstalled, TLSError
from ...wire.blocking import dial
from .connection import Connection

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl

    from ...model.messages import RawRequest


def open_http2(request: RawRequest, session: ssl.SSLSession | None) -> Connection:
    """A connection that speaks HTTP/2, or HTTP/1.1 if the server chooses it.

    Raises:
        BackendNotInstalled: the library of HTTP/2 is missing.
        TLSError, …: as `dial` and `is_http2`.
    """
    kind = connection_kind()
    sock = dial(request, session)
    try:
        protocol = sock.selected_alpn_protocol() if hasattr(sock, "selected_alpn_protocol") else None
        return (kind if is_http2(request, protocol) else Connection)(sock)
    except BaseException:
        sock.close()
        raise


def connection_kind() -> type[Connection]:
    """What speaks HTTP/2; `BackendNotInstalled` if its library is missing."""
    try:
        from .http2_connection import HTTP2Connection
    except ImportError as error:
        raise BackendNotInstalled("HTTP/2 needs the library h2: pip install 'unifetch-http[http2]'") from error
    return HTTP2Connection


def is_http2(request: RawRequest, protocol: str | None) -> bool:
    """Whether HTTP/2 is spoken on a new connection (RFC 9113 §3): by ALPN, or without TLS because the caller knows.

    Raises:
        TLSError: nothing else will do, and the server does not speak it.
    """
    if request.scheme == "http":
        return request.http2 == "only"
    if protocol != "h2" and request.http2 == "only":
        raise TLSError(f"{request.host}:{request.port} has no HTTP/2: of h2 alone it chose {protocol or 'nothing'}")
    return protocol == "h2"
