"""From a request to an open connection: address, connect, proxy, TLS.

The three libraries that are built on `http.client` would each do this in their own way: look a host up where no
timeout reaches, give each of its addresses the whole of the connect timeout, take for a tunnel what merely begins
like the answer to a CONNECT, and know no SOCKS. So their connections are opened here.

A route is taken as the core has decided it, and no other: a proxy that is dead does not mean a direct connection.
What was checked is what is connected to, for there is one look-up. The addresses of a host are tried one after the
other, and share what time is left. Left out: Happy Eyeballs, which the socket backend has.
"""

from __future__ import annotations

import socket
import ssl

from ..errors import (
    ConfigError,
    ConnectError,
    ConnectTimeout,
    NameResolutionError,
    ProxyError,
    TLSError,
    UnifetchError,
    evidence,
)
from ..routes import is_looked_up
from .base import check_tunnel, proxy_error, time_left, tunnel_target
from .http_reader import Reader
from .resolution import checked, look_up
from .socks import SCHEMES, converse, socks5
from .tls_in_tls import TLSInTLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from ..headers import Pairs
    from ..messages import RawRequest
    from .resolution import Address

    Stream: TypeAlias = socket.socket | TLSInTLS  # what bytes go through


def dial(request: RawRequest, ends: float | None) -> Stream:
    """Open a connection for this request, as far as TLS with its origin.

    Args:
        request: its host and port, its route, its TLS context.
        ends: when it has to be open, by `monotonic()`.

    Raises:
        NameResolutionError, ConnectError, ProxyError, TLSError, ConnectTimeout: with `request_sent` "no".
        ConfigError: its proxy cannot keep to what the route says besides.
    """
    route = request.route
    where = f"{request.host}:{request.port}"
    try:
        if route.proxy is not None:
            sock = _through_proxy(request, ends)
        elif route.unix_socket is not None:
            where = f"the unix socket {route.unix_socket!a}"
            sock = _connect([(socket.AF_UNIX, route.unix_socket)], ends)
        else:
            sock = _connect(_chosen(request, ends), ends)
    except UnifetchError:
        raise
    except TimeoutError as error:
        raise ConnectTimeout(f"no connection to {where} in time") from error
    except Exception as error:
        # Mostly an OSError; but what a system does not have, or a path cannot hold, is another one.
        raise ConnectError(f"no connection to {where}: {error}") from error
    return sock if request.scheme == "http" else _secure(sock, request.tls, request.host, request.port, ends)


# --- The address ----------------------------------------------------------------------------------


def _chosen(request: RawRequest, ends: float | None) -> list[Address]:
    route = request.route
    return checked(route, request.host, _found(route.address or request.host, request.port, ends))


def _found(host: str, port: int, ends: float | None) -> list[Address]:
    try:
        return look_up(host, port, time_left(ends))
    except (socket.gaierror, UnicodeError) as error:
        raise NameResolutionError(f"no address for {host}: {error}") from error


# --- The connection -------------------------------------------------------------------------------


def _connect(addresses: list[Address], ends: float | None) -> socket.socket:
    for left in range(len(addresses), 1, -1):
        seconds = time_left(ends)
        try:
            return _connect_to(*addresses[-left], None if seconds is None else seconds / left)
        except OSError:
            pass  # the last has the last word
    return _connect_to(*addresses[-1], time_left(ends))


def _connect_to(family: int, address: Any, seconds: float | None) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect(address)
        if not isinstance(address, str):  # the path of a unix socket
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


# --- The proxy ------------------------------------------------------------------------------------


def _through_proxy(request: RawRequest, ends: float | None) -> socket.socket:
    route, proxy = request.route, request.route.proxy
    host = _destination(request, ends)
    sock: Any = None
    try:
        sock = _connect(_found(proxy.host, proxy.port, ends), ends)
        if proxy.scheme == "https":
            sock = _secure(sock, route.proxy_tls, proxy.host, proxy.port, ends)
        talk = Talk(sock, ends)
        if proxy.scheme in SCHEMES:
            talk.ask_socks5(proxy, host, request.port)
        elif request.scheme == "https":
            talk.ask_tunnel(host, request.port, route.connect_headers)
        if talk.reader.unread:
            raise ProxyError(f"it sent something before it was asked: {evidence(talk.reader.unread)}")
    except BaseException as error:
        if sock is not None:
            sock.close()
        if isinstance(error, TimeoutError):
            raise ConnectTimeout(f"no connection through {proxy.url} in time") from error
        if isinstance(error, ConfigError) or not isinstance(error, (OSError, UnifetchError)):
            raise
        raise proxy_error(error, proxy.url) from error
    opened: socket.socket = sock
    return opened


def _destination(request: RawRequest, ends: float | None) -> str:
    """What the proxy is asked for: the host, or an address of it if that was looked up here."""
    if is_looked_up(request.route, request.host):
        address: str = _chosen(request, ends)[0][1][0]
        return address
    return request.host


class Talk:
    """What is said to a proxy before it lets us through. To its `Reader` it is the socket, and the attempt.

    Attributes:
        reader: what the proxy says.
    """

    def __init__(self, sock: socket.socket, ends: float | None) -> None:
        self.attempt = self
        self.reader = Reader(self)  # type: ignore[arg-type]  # it has what a Reader asks of a DeadlineSocket
        self._sock = sock
        self._ends = ends

    def ask_tunnel(self, host: str, port: int, headers: Pairs) -> None:
        """Ask for a tunnel by CONNECT (RFC 9110 §9.3.6).

        Raises:
            ProxyError: it is refused; nothing else of the answer counts.
            ConnectionLost, ProtocolError: the answer is none.
        """
        target = tunnel_target(host, port)
        lines = [f"CONNECT {target} HTTP/1.1", *map(": ".join, headers), "", ""]
        self._say("\r\n".join(lines).encode("latin-1"))
        status = 0
        while status < 200:
            _, status, reason, _ = self.reader.next_head()
        check_tunnel(target, status, reason)

    def ask_socks5(self, proxy: Any, host: str, port: int) -> None:
        """Ask for a connection by SOCKS5; raises as `socks.socks5`."""
        converse(socks5(proxy, host, port), self._say, self.reader.block)

    def _say(self, data: bytes) -> None:
        self._sock.settimeout(time_left(self._ends))
        self._sock.sendall(data)

    def receive(self) -> bytes:
        """What arrives next, for the reader."""
        self._sock.settimeout(time_left(self._ends))
        return self._sock.recv(4096)

    def failed(self, kind: type[UnifetchError], message: str) -> UnifetchError:
        """What the reader raises."""
        return kind(message)


# --- TLS ------------------------------------------------------------------------------------------


def _secure(sock: socket.socket, context: ssl.SSLContext | None, host: str, port: int, ends: float | None) -> Stream:
    where = f"{host}:{port}"
    try:
        if context is None:
            raise TLSError(f"no TLS with {where} without a context")
        name = host.removesuffix(".")  # no certificate has the dot of a complete name (RFC 6066 §3)
        seconds = time_left(ends)  # for the handshake as a whole
        if isinstance(sock, ssl.SSLSocket):
            return TLSInTLS(sock, context, name, seconds)
        sock.settimeout(seconds)
        return context.wrap_socket(sock, server_hostname=name)
    except BaseException as error:
        sock.close()
        if isinstance(error, TimeoutError):
            raise ConnectTimeout(f"no TLS with {where} in time") from error
        if isinstance(error, UnifetchError) or not isinstance(error, (OSError, ValueError)):
            raise
        raise TLSError(f"TLS with {where} failed: {error}") from error
