"""From a URL to an open connection: address, connect, TLS.

Addresses are tried by Happy Eyeballs (RFC 8305): the two families take turns, and a quarter of a second
after one attempt began the next may begin, so that a family that leads nowhere costs no more than that.

Every step ends with the connect timeout or the deadline. Name resolution is the system's `getaddrinfo`, which
cannot be interrupted: it runs in a thread of its own, which is left behind when time is up.
"""

from __future__ import annotations

import socket
from select import select
from time import monotonic

from ...errors import ConnectError, ConnectTimeout, NameResolutionError, TLSError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

    from ...messages import RawRequest

    Address = tuple[int, Any]  # the family, and what socket.connect() takes

# RFC 8305 §5: the Connection Attempt Delay, in seconds.
ATTEMPT_DELAY = 0.25


def dial(request: RawRequest, session: ssl.SSLSession | None = None) -> socket.socket:
    """Open a connection for this request.

    Args:
        request: its host and port, its TLS context, its timeouts.
        session: a TLS session to resume.

    Raises:
        NameResolutionError, ConnectError, TLSError, ConnectTimeout: with `request_sent` "no".
    """
    where = f"{request.host}:{request.port}"
    ends = _end(request)
    try:
        sock = _connect(_addresses(request.host, request.port, ends), ends)
    except TimeoutError as error:
        raise ConnectTimeout(f"no connection to {where} in time") from error
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise NameResolutionError(f"no address for {request.host}: {error.strerror}") from error
        raise ConnectError(f"no connection to {where}: {error.strerror or error}") from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock if request.tls is None else _secure(sock, request, request.tls, session, ends)


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
        return sock
    return _race(addresses, ends)


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


# --- TLS ------------------------------------------------------------------------------------------


def _secure(
    sock: socket.socket,
    request: RawRequest,
    context: ssl.SSLContext,
    session: ssl.SSLSession | None,
    ends: float | None,
) -> socket.socket:
    import ssl

    where = f"{request.host}:{request.port}"
    try:
        sock.settimeout(_left(ends))  # for the handshake as a whole
        return context.wrap_socket(sock, server_hostname=request.host, session=session)
    except TimeoutError as error:
        sock.close()
        raise ConnectTimeout(f"no TLS with {where} in time") from error
    except ssl.SSLError as error:
        sock.close()
        # A certificate is refused for a reason in words; other failures have a code.
        reason = getattr(error, "verify_message", "") or error.reason or error
        raise TLSError(f"TLS with {where} failed: {reason}") from error
    except OSError as error:
        sock.close()
        raise TLSError(f"TLS with {where} failed: {error.strerror or error}") from error
