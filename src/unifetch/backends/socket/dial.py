"""From a URL to an open connection: address, connect, what a proxy wants to hear, TLS.

A route is taken as it was decided above, and no other: a proxy that is dead does not mean a direct connection.
Addresses are tried by Happy Eyeballs (RFC 8305): the two families take turns, and a quarter of a second
after one attempt began the next may begin, so that a family that leads nowhere costs no more than that.

Every step ends with the connect timeout or the deadline. Name resolution is the system's `getaddrinfo`, which
cannot be interrupted: it runs in a thread of its own, which is left behind when time is up.
"""

from __future__ import annotations

import socket
from select import select
from time import monotonic

from ...errors import (
    ConfigError,
    ConnectError,
    ConnectTimeout,
    NameResolutionError,
    ProxyError,
    TLSError,
    UnifetchError,
    evidence,
)
from ...routes import is_looked_up, refuse_private
from .proxies import connect, socks5
from .reader import ByteReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable
    from typing import Any

    from ...messages import RawRequest
    from .proxies import Conversation
    from .tls_in_tls import TLSInTLS

    Address = tuple[int, Any]  # the family, and what socket.connect() takes
    Stream = socket.socket | TLSInTLS  # what bytes go through

# RFC 8305 §5: the Connection Attempt Delay, in seconds.
ATTEMPT_DELAY = 0.25


def dial(request: RawRequest, session: ssl.SSLSession | None = None) -> Stream:
    """Open a connection for this request.

    Args:
        request: its host and port, its route, its TLS context, its timeouts.
        session: a TLS session to resume.

    Raises:
        NameResolutionError, ConnectError, ProxyError, TLSError, ConnectTimeout: with `request_sent` "no".
        ConfigError: its proxy cannot keep to what the route says besides.
    """
    route, ends = request.route, _end(request)
    where = f"{request.host}:{request.port}"
    try:
        if route.proxy is not None:
            sock = _through_proxy(request, ends)
        elif route.unix_socket is not None:
            where = f"unix socket {route.unix_socket!a}"
            sock = _connect([(socket.AF_UNIX, route.unix_socket)], ends)
        else:
            sock = _connect(_chosen(request, ends), ends)
    except UnifetchError:
        raise
    except TimeoutError as error:
        raise ConnectTimeout(f"no connection to {where} in time") from error
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise NameResolutionError(f"no address for {request.host}: {error.strerror}") from error
        raise ConnectError(f"no connection to {where}: {error.strerror or error}") from error
    return sock if request.tls is None else _secure(sock, request.tls, request.host, request.port, ends, session)


def _end(request: RawRequest) -> float | None:
    # When connecting has to be over, by monotonic().
    ends = None if request.timeout.connect is None else monotonic() + request.timeout.connect
    if request.deadline is None or (ends is not None and ends < request.deadline):
        return ends
    return request.deadline


def _left(ends: float | None) -> float | None:
    if ends is None:
        return None
    left = ends - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


# --- The address ----------------------------------------------------------------------------------


def _chosen(request: RawRequest, ends: float | None) -> list[Address]:
    # What is refused or allowed here is what is connected to: there is no second look-up.
    addresses = _addresses(request.route.address or request.host, request.port, ends)
    if request.route.public_only:
        for _, address in addresses:
            refuse_private(request.host, address[0])
    return addresses


def _addresses(host: str, port: int, ends: float | None) -> list[Address]:
    try:
        # An address needs no resolver, and no thread.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = _resolved(host, port, _left(ends))
    return _taking_turns([(family, address) for family, _, _, _, address in found])


def _resolved(host: str, port: int, seconds: float | None) -> list[Any]:
    import threading

    outcome: list[Any] = []

    def resolve() -> None:
        try:
            outcome.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            outcome.append(error)

    resolver = threading.Thread(target=resolve, name=f"resolving {host}", daemon=True)
    resolver.start()
    resolver.join(seconds)
    if not outcome:
        raise TimeoutError
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    found: list[Any] = outcome[0]
    return found


def _taking_turns(addresses: list[Address]) -> list[Address]:
    # RFC 8305 §4: the resolver's order, but the families alternate, beginning with its first choice.
    first = [each for each in addresses if each[0] == addresses[0][0]]
    second = [each for each in addresses if each[0] != addresses[0][0]]
    turns = [each for pair in zip(first, second, strict=False) for each in pair]
    return turns + first[len(second) :] + second[len(first) :]


# --- The connection -------------------------------------------------------------------------------


def _connect(addresses: list[Address], ends: float | None) -> socket.socket:
    if len(addresses) == 1:
        family, address = addresses[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(_left(ends))
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
    else:
        sock = _race(addresses, ends)
    if sock.family != getattr(socket, "AF_UNIX", None):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _race(addresses: list[Address], ends: float | None) -> socket.socket:
    waiting = list(addresses)
    racing: list[socket.socket] = []
    winner: socket.socket | None = None
    failure: OSError = OSError("no address")
    try:
        while winner is None:
            if waiting:
                family, address = waiting.pop(0)
                sock = socket.socket(family, socket.SOCK_STREAM)
                sock.setblocking(False)
                sock.connect_ex(address)  # its outcome shows when the socket becomes writable
                racing.append(sock)
            elif not racing:
                raise failure
            left = _left(ends)
            delay = left if not waiting else ATTEMPT_DELAY if left is None else min(ATTEMPT_DELAY, left)
            # An attempt that failed is "exceptional" on Windows and writable elsewhere.
            _, done, failed = select([], racing, racing, delay)
            for sock in {*done, *failed}:
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    winner = sock
                    break
                failure = OSError(code, _reason(code))
                racing.remove(sock)
                sock.close()
        return winner
    finally:
        for sock in racing:
            if sock is not winner:
                sock.close()


def _reason(code: int) -> str:
    import os

    return os.strerror(code)


# --- The proxy ------------------------------------------------------------------------------------


def _through_proxy(request: RawRequest, ends: float | None) -> socket.socket:
    route, proxy = request.route, request.route.proxy
    reader = ByteReader()
    steps = _conversation(request, reader, ends)
    sock: socket.socket | None = None
    try:
        sock = _connect(_addresses(proxy.host, proxy.port, ends), ends)
        if route.proxy_tls is not None:
            sock = _secure(sock, route.proxy_tls, proxy.host, proxy.port, ends)  # type: ignore[assignment]  # not nested
        _converse(sock, steps, reader, ends)
    except BaseException as error:
        if sock is not None:
            sock.close()
        if isinstance(error, TimeoutError):
            raise ConnectTimeout(f"no connection through {proxy.url} in time") from error
        if isinstance(error, ConfigError) or not isinstance(error, (OSError, EOFError, UnifetchError)):
            raise
        # Whatever it was, there is no connection, and the request has not left.
        reason = getattr(error, "strerror", None) or str(error) or "it ended the connection"
        failure = ProxyError(f"no connection through {proxy.url}: {reason}")
        failure.status = getattr(error, "status", None)
        raise failure from error
    return sock


def _conversation(request: RawRequest, reader: ByteReader, ends: float | None) -> Conversation | tuple[()]:
    route, proxy, host = request.route, request.route.proxy, request.host
    if is_looked_up(route, host):
        host = _chosen(request, ends)[0][1][0]
    if proxy.scheme in ("socks5", "socks5h"):
        return socks5(reader, proxy, host, request.port)
    return () if request.tls is None else connect(reader, host, request.port, route.connect_headers)


def _converse(sock: socket.socket, steps: Iterable[object], reader: ByteReader, ends: float | None) -> None:
    for step in steps:
        sock.settimeout(_left(ends))
        if isinstance(step, bytes):
            sock.sendall(step)
        elif step is None:
            data = sock.recv(4096)
            if data:
                reader.feed(data)
            else:
                reader.feed_eof()
    if len(reader):
        raise ProxyError(f"it sent something before it was asked: {evidence(bytes(reader.data[reader.at :]))}")


# --- TLS ------------------------------------------------------------------------------------------


def _secure(
    sock: socket.socket,
    context: ssl.SSLContext,
    host: str,
    port: int,
    ends: float | None,
    session: ssl.SSLSession | None = None,
) -> Stream:
    import ssl

    from .tls_in_tls import TLSInTLS

    try:
        seconds = _left(ends)  # for the handshake as a whole
        if isinstance(sock, ssl.SSLSocket):
            return TLSInTLS(sock, context, host, seconds)
        sock.settimeout(seconds)
        return context.wrap_socket(sock, server_hostname=host, session=session)
    except TimeoutError as error:
        sock.close()
        raise ConnectTimeout(f"no TLS with {host}:{port} in time") from error
    except ssl.SSLError as error:
        sock.close()
        # A certificate is refused for a reason in words; other failures have a code.
        reason = getattr(error, "verify_message", "") or error.reason or error
        raise TLSError(f"TLS with {host}:{port} failed: {reason}") from error
    except OSError as error:
        sock.close()
        raise TLSError(f"TLS with {host}:{port} failed: {error.strerror or error}") from error
