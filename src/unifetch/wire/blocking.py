"""The driver of `dial.py` that blocks. Every step ends with the connect timeout or the deadline.

`asyncio.py` and `anyio.py` are the same, awaited: the same methods in the same order.
"""

from __future__ import annotations

import selectors
import socket
from time import sleep

from ..backends.base import connect_ends, time_left, within
from . import dial as dialing
from .dial import carried_out
from .happy_eyeballs import race
from .reader import RECEIVE
from .resolution import look_up
from .sockets import FULL_QUEUE, SocketDialer, new_socket

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from typing import TypeAlias

    from ..model.messages import RawRequest
    from .resolution import Address
    from .tls_in_tls import TLSInTLS

    BlockingWire: TypeAlias = socket.socket | TLSInTLS  # what bytes go through


def dial(request: RawRequest, session: ssl.SSLSession | None = None) -> BlockingWire:
    """Open a connection for this request; arguments and errors are those of `dial.dial`."""
    wire: BlockingWire = carried_out(dialing.dial(BlockingDialer(connect_ends(request)), request, session))
    return wire


class BlockingDialer(SocketDialer):
    """Opens one connection, which becomes its `wire`, until `ends` by `monotonic()`."""

    def look_up(self, host: str, port: int) -> list[Address]:
        return look_up(host, port, time_left(self._ends))

    def connect(self, addresses: list[Address]) -> None:
        if len(addresses) > 1:
            carried_out(race(self, addresses))
            return
        family, address = addresses[0]
        self.wire = new_socket(family)
        while True:
            self.wire.settimeout(time_left(self._ends))
            try:
                self.wire.connect(address)
                return
            except BlockingIOError:  # only a unix socket's
                sleep(FULL_QUEUE)

    def wait(self, seconds: float | None) -> bool:
        # select() would not take every descriptor.
        with selectors.DefaultSelector() as selector:
            for sock in self.racing:
                selector.register(sock, selectors.EVENT_WRITE)
            decided = {key.fd for key, _ in selector.select(within(seconds, self._ends))}
        self.wire = self._connected([sock for sock in self.racing if sock.fileno() in decided])
        return self.wire is not None

    def send(self, data: bytes) -> None:
        self.wire.settimeout(time_left(self._ends))
        self.wire.sendall(data)

    def receive(self) -> bytes:
        self.wire.settimeout(time_left(self._ends))
        data: bytes = self.wire.recv(RECEIVE)
        return data

    def start_tls(self, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None) -> None:
        import ssl

        from .tls_in_tls import TLSInTLS

        seconds = time_left(self._ends)  # for the handshake as a whole
        if isinstance(self.wire, ssl.SSLSocket):
            self.wire = TLSInTLS(self.wire, context, host, seconds)
        else:
            self.wire.settimeout(seconds)
            self.wire = context.wrap_socket(self.wire, server_hostname=host, session=session)
