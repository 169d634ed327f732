"""What goes on below the libraries: connections, TLS, and for `--trace` the bytes as they are before TLS hides them.

It watches the sockets of this process while one command runs, whichever library uses them. That is for looking, and
for no program: the bytes hold credentials.
"""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import ExitStack, contextmanager
from weakref import WeakSet

from .terminal import columns, say

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Keep = Callable[[socket.socket | None, str, bytes], None]
    Connected = Callable[[tuple[str, int]], None]
    Secured = Callable[[ssl.SSLSocket | ssl.SSLObject], None]

CLIENT_HELLO = re.compile(rb"\x16\x03.{3}\x01", re.DOTALL)  # what a TLS connection begins with (RFC 8446 §4, §5.1)


@contextmanager
def watched(
    keep: Keep,
    *,
    connected: Connected = lambda address: None,
    secured: Secured = lambda tls: None,
) -> Iterator[None]:
    """Hand on what goes through the connections of this process.

    Args:
        keep: is called with the socket (None within TLS), `">"` or `"<"`, and the bytes.
        connected: is called with the address of the peer when the first bytes go there on a connection.
        secured: is called when a handshake is complete.
    """
    watch = _Watch(keep, connected, secured)
    with ExitStack() as stack:
        for name in ("send", "sendall", "sendmsg", "recv", "recv_into"):
            stack.enter_context(_replaced(socket.socket, name, watch.plain(name, getattr(socket.socket, name))))
        for name, write in (("sslsocket_class", "send"), ("sslobject_class", "write")):
            kind = watch.encrypted(getattr(ssl.SSLContext, name), write)
            stack.enter_context(_replaced(ssl.SSLContext, name, kind))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


class _Watch:
    """Hands on what the methods of sockets do."""

    def __init__(self, keep: Keep, connected: Connected, secured: Secured) -> None:
        self._keep = keep
        self._connected = connected
        self._secured = secured
        self._met: set[tuple[Any, Any]] = set()  # connections, by their two ends
        # What carries records of TLS: a socket, or a proxy's TLS. What is in the records is handed on elsewhere.
        self._encrypted = WeakSet[object]()

    def plain(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """A method of `socket.socket` that hands on its bytes, unless they are those of TLS."""

        mark = "<" if name.startswith("recv") else ">"

        def watched(sock: socket.socket, *args: Any) -> Any:
            # Before anything is sent, so that no other end in this process comes first.
            is_connection = mark == ">" and self._meet(sock)
            done = method(sock, *args)
            data = _data(name, args, done)
            if (is_connection or self._meet(sock)) and not self._is_tls(sock, data):
                self._keep(sock, mark, data)
            return done

        return watched

    def _is_tls(self, carrier: object, data: bytes) -> bool:
        if CLIENT_HELLO.match(data):
            self._encrypted.add(carrier)
        return carrier in self._encrypted

    def _meet(self, sock: socket.socket) -> bool:
        """Whether it is a connection; one that is new is told of."""
        if sock.type != socket.SOCK_STREAM:
            return False
        try:
            ends = sock.getsockname(), sock.getpeername()
        except OSError:
            return False
        if not ends[1]:  # the pair by which an event loop wakes itself has no names
            return False
        if self._met.isdisjoint((ends, ends[::-1])):
            self._met.add(ends)
            if isinstance(ends[1], tuple):
                self._connected(ends[1][:2])
        return True

    def encrypted(self, kind: type[Any], write: str) -> type[Any]:
        """A class of `ssl` whose reads and writes hand on what they carry."""

        def keep(tls: Any, mark: str, data: bytes) -> None:
            if not tls.server_side and not self._is_tls(tls, data):  # a server in this process is not shown
                self._keep(None, mark, data)

        def do_handshake(tls: Any, *args: Any) -> None:
            if isinstance(tls, ssl.SSLSocket):  # the other has no socket: what carries it is seen by itself
                self._meet(tls)
            kind.do_handshake(tls, *args)
            if not tls.server_side:
                self._secured(tls)

        def read(tls: Any, length: int = 1024, buffer: Any = None) -> Any:
            done = kind.read(tls, length) if buffer is None else kind.read(tls, length, buffer)
            keep(tls, "<", done if buffer is None else bytes(memoryview(buffer)[:done]))
            return done

        def written(tls: Any, data: Any, *flags: int) -> Any:
            done = getattr(kind, write)(tls, data, *flags)
            keep(tls, ">", bytes(memoryview(data)[:done]))
            return done

        return type(kind.__name__, (kind,), {"do_handshake": do_handshake, "read": read, write: written})


def _data(name: str, args: tuple[Any, ...], done: Any) -> bytes:
    if name == "recv":
        return bytes(done)
    if name == "sendmsg":
        return b"".join(args[0])[:done]
    return bytes(memoryview(args[0])[: None if name == "sendall" else done])


def show(_: object, mark: str, data: bytes) -> None:
    """Write the bytes to standard error, as `--trace` does."""
    if not data:
        return
    width = 16 if columns() >= 74 else 4
    lines = [f"{mark} {len(data)} bytes"]
    for start in range(0, len(data), width):
        row = data[start : start + width]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{mark} {start:05x}  {row.hex(' '):{width * 3 - 1}}  {text}")
    say("\n".join(lines))
