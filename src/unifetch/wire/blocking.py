"""From a request to an open connection: address, connect, what a proxy wants to hear, TLS.

Our own client connects like this, and so do the three libraries on `http.client`, httpx and httpx2. By themselves
those would look a host up where no timeout reaches, try its addresses one after the other, each for the whole of the
connect timeout, and some take for a tunnel what merely begins like the answer to a CONNECT, or know no SOCKS.

A route is taken as it was decided above, and no other: a proxy that is dead does not mean a direct connection.
Addresses are tried by Happy Eyeballs (RFC 8305): the two families take turns, and a quarter of a second
after one attempt began the next may begin, so that a family that leads nowhere costs no more than that.

Every step ends with the connect timeout or the deadline, and if it fails, what was opened is closed.

`happy_eyeballs.py` decides what takes no I/O, `tunnels.py` has the words for a proxy. What waits is written once more
for asyncio, in `asyncio.py`, and for every event loop, in `anyio.py`.
"""

from __future__ import annotations

import os
import selectors
import socket

from ..backends.base import connect_ends, time_left
from ..errors import UnifetchError
from ..model.route import is_looked_up
from .happy_eyeballs import no_connection, no_tls, no_way_through, taking_turns, until_next
from .resolution import checked, look_up
from .tunnels import agreement

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

    from ..model.messages import RawRequest
    from .resolution import Address
    from .tls_in_tls import TLSInTLS

    Stream = socket.socket | TLSInTLS  # what bytes go through


def dial(request: RawRequest, session: ssl.SSLSession | None = None) -> Stream:
    """Open a connection for this request.

    Args:
        request: its host and port, its route, its TLS context, its timeouts.
        session: a TLS session to resume.

    Raises:
        NameResolutionError, ConnectError, ProxyError, TLSError, ConnectTimeout: with `request_sent` "no".
        ConfigError: its proxy cannot keep to what the route says besides.
    """
    route, ends = request.route, connect_ends(request)
    try:
        if route.proxy is not None:
            sock = _through_proxy(request, ends)
        elif route.unix_socket is not None:
            sock = _connect([(socket.AF_UNIX, route.unix_socket)], ends)
        else:
            sock = _connect(_chosen(request, ends), ends)
    except UnifetchError:
        raise
    except (OSError, ValueError) as error:
        raise no_connection(error, request) from error
    return sock if request.scheme == "http" else _secure(sock, request.tls, request, ends, session)


# --- The address ----------------------------------------------------------------------------------


def _chosen(request: RawRequest, ends: float | None) -> list[Address]:
    # What is refused or allowed here is what is connected to: there is no second look-up.
    route = request.route
    found = look_up(route.address or request.host, request.port, time_left(ends))
    return taking_turns(checked(route, request.host, found))


# --- The connection -------------------------------------------------------------------------------


def _connect(addresses: list[Address], ends: float | None) -> socket.socket:
    if len(addresses) == 1:
        return _attempt(*addresses[0], time_left(ends))
    waiting = list(addresses)
    racing: list[socket.socket] = []
    failure = OSError("no address")
    try:
        while waiting or racing:
            if waiting:
                try:
                    racing.append(_attempt(*waiting.pop(0), 0))
                except OSError as error:
                    failure = error
                    continue
            for sock in _decided(racing, until_next(waiting, ends)):
                racing.remove(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return sock
                sock.close()
                failure = OSError(code, os.strerror(code))
        raise failure
    finally:
        for sock in racing:
            sock.close()


def _decided(racing: list[socket.socket], seconds: float | None) -> list[socket.socket]:
    # An attempt that succeeded is writable, and so is one that failed. select() would not take every descriptor.
    with selectors.DefaultSelector() as selector:
        for sock in racing:
            selector.register(sock, selectors.EVENT_WRITE)
        decided = {key.fd for key, _ in selector.select(seconds)}
    return [sock for sock in racing if sock.fileno() in decided]


def _attempt(family: int, address: Any, seconds: float | None) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if not isinstance(address, str):  # the path of a unix socket
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(seconds)
        sock.connect(address)
    except BaseException as error:
        if seconds == 0 and isinstance(error, BlockingIOError):
            return sock  # it is on its way
        sock.close()
        raise
    return sock


# --- The proxy ------------------------------------------------------------------------------------


def _through_proxy(request: RawRequest, ends: float | None) -> socket.socket:
    route, proxy, host = request.route, request.route.proxy, request.host
    if is_looked_up(route, host):
        host = _chosen(request, ends)[0][1][0]
    sock: socket.socket | None = None
    try:
        found = look_up(proxy.host, proxy.port, time_left(ends))
        sock = _connect(taking_turns(found), ends)
        if proxy.scheme == "https":
            sock = _secure(sock, route.proxy_tls, proxy, ends)  # type: ignore[assignment]  # not nested
        _converse(sock, request, host, ends)
    except BaseException as error:
        if sock is not None:
            sock.close()
        if (failure := no_way_through(proxy, error)) is not None:
            raise failure from error
        raise
    return sock


def _converse(sock: socket.socket, request: RawRequest, host: str, ends: float | None) -> None:
    from .reader import RECEIVE, ByteReader  # not above: its package imports this file

    reader = ByteReader()
    for step in agreement(reader, request, host):
        sock.settimeout(time_left(ends))
        if isinstance(step, bytes):
            sock.sendall(step)
        elif step is None:
            if data := sock.recv(RECEIVE):
                reader.feed(data)
            else:
                reader.feed_eof()


# --- TLS ------------------------------------------------------------------------------------------


def _secure(
    sock: socket.socket,
    tls: ssl.SSLContext | None,
    peer: Any,
    ends: float | None,
    session: ssl.SSLSession | None = None,
) -> Stream:
    import ssl

    from .tls_in_tls import TLSInTLS

    try:
        if tls is None:
            raise ValueError("there is no context for it")
        host = peer.host.removesuffix(".")  # no certificate has the dot of a complete name (RFC 6066 §3)
        seconds = time_left(ends)  # for the handshake as a whole
        if isinstance(sock, ssl.SSLSocket):
            return TLSInTLS(sock, tls, host, seconds)
        sock.settimeout(seconds)
        return tls.wrap_socket(sock, server_hostname=host, session=session)
    except BaseException as error:
        sock.close()
        if isinstance(error, (OSError, ValueError)):
            raise no_tls(error, peer) from error
        raise
