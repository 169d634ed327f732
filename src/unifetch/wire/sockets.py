"""What every connection of ours asks of a socket beyond reading and writing."""

from __future__ import annotations

import os
import select
import selectors
import socket
import sys
from functools import partial
from struct import pack

from ..backends.base import within
from .reader import RECEIVE

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .blocking import BlockingWire
    from .resolution import Address


# Seconds until the system first asks a silent peer whether it is still there, and between two such questions; its own
# default is two hours. macOS has a name of its own.
_KEEPALIVE = [
    getattr(socket, name) for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL") if hasattr(socket, name)
]


# Seconds between two attempts at a unix socket whose queue is full: nothing tells when it no longer is.
FULL_QUEUE = 0.005


def new_socket(family: int) -> socket.socket:
    """A socket whose small writes leave at once.

    It also asks a silent peer whether it is still there, so that a router between the two does not forget the
    connection while the server thinks; many do after five minutes.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option in _KEEPALIVE:
                sock.setsockopt(socket.IPPROTO_TCP, option, 60)
    except BaseException:
        sock.close()
        raise
    return sock


class SocketDialer:
    """What the drivers of `dial.py` that wait for sockets have in common: attempts to connect, side by side."""

    failure: OSError

    def __init__(self, ends: float | None) -> None:
        self.wire: Any = None
        self.racing: list[socket.socket] = []
        self._ends = ends

    def begin(self, address: Address) -> bool:
        sock = None
        try:
            sock = new_socket(address[0])
            self.racing.append(sock)
            sock.setblocking(False)
            sock.connect(address[1])
        except (BlockingIOError, InterruptedError):
            pass  # it is on its way
        except OSError as error:
            self.failure = error
            if sock is not None:
                self.racing.remove(sock)
                sock.close()
            return False
        return True

    def _connected(self, decided: list[socket.socket]) -> socket.socket | None:
        # Each is writable: it has connected, or failed.
        for sock in decided:
            self.racing.remove(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                self._end_race()
                return sock
            sock.close()
            self.failure = refusal(code)
        return None

    def _end_race(self) -> None:
        for sock in self.racing:
            sock.close()
        self.racing.clear()

    def close(self) -> None:
        self._end_race()
        if self.wire is not None:
            self.wire.close()


def refusal(code: int) -> OSError:
    """The error of an attempt to connect that ended with this code."""
    return OSError(code, os.strerror(code))


def kernel_timeouts(sock: Any) -> Callable[[float | None], None] | None:
    """A function that has the kernel time out the reads and writes of this socket, where it can; else None.

    Python's own timeout calls poll() before each of them. What ends then is a `BlockingIOError`. OpenSSL does not see
    the kernel's timeout and would read again; and the struct is Linux's.
    """
    if type(sock) is not socket.socket or sys.platform != "linux":
        return None
    sock.settimeout(None)

    def set_timeout(seconds: float | None) -> None:
        # No time at all would mean no limit.
        microseconds = 0 if seconds is None else max(1, int(seconds * 1_000_000))
        value = pack("ll", *divmod(microseconds, 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    return set_timeout


def arrivals(sock: Any) -> Callable[[], object]:
    """A function that tells whether anything has come on this socket: bytes, or an end.

    TLS may hold bytes that have left the file descriptor; these count, too.
    """
    if hasattr(select, "poll"):
        # One is kept, as making it costs more than asking it. It takes any descriptor, which select() does not.
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        come: Callable[[], object] = partial(poll.poll, 0)
    else:  # on Windows, where select() does
        come = lambda: select.select([sock], [], [], 0)[0]  # noqa: E731  # one of two
    pending: Callable[[], int] | None = getattr(sock, "pending", None)
    return come if pending is None else lambda: come() or pending()


def send_or_hear(sock: BlockingWire, data: memoryview, seconds: float | None, deadline: float | None) -> int:
    """Send some of the data as soon as the server takes any, unless something comes first.

    RFC 9112 §9.5 asks a client to watch the connection while it uploads: a server that refuses answers and reads no
    more. A send that blocks would not see that.

    Args:
        sock: the connection, with a timeout of 0. After 0 bytes, TLS has to be handed the same data again.
        data: what is to be sent; no more than `RECEIVE` bytes of it go at once.
        seconds, deadline: how long a wait may take, and until when; see `within`.

    Returns:
        The number of bytes; 0 if something has come: an answer, an end, a message of TLS.

    Raises:
        TimeoutError: neither happened in time.
        OSError: the connection broke.
    """
    while True:
        try:
            return sock.send(data[:RECEIVE])
        except OSError as error:
            # By name: `ssl` is not imported for plain HTTP.
            name = type(error).__name__
            if name not in ("BlockingIOError", "SSLWantWriteError", "SSLWantReadError"):
                raise
        # TLS that negotiates anew has to read before it sends.
        has_to_read = name == "SSLWantReadError"
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ | (0 if has_to_read else selectors.EVENT_WRITE))
            ready = selector.select(within(seconds, deadline))
        if not ready:
            raise TimeoutError("the server takes no more")
        if ready[0][1] == selectors.EVENT_READ and not has_to_read:
            return 0
