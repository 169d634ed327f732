"""The driver of `dial.py` that blocks. Every step ends with the connect timeout or the deadline.

`asyncio.py` and `anyio.py` are the same, awaited: the same methods in the same order.
"""

from __future__ import annotations

import selectors
import socket

from ..backends.base import connect_ends, time_left, within
from . import dial as dialing
from .dial import carried_out, refusal
from .happy_eyeballs import race
from .reader import RECEIVE
from .resolution import look_up
from .sockets import new_socket

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from typing import Any, TypeAlias

    from ..model.messages import RawRequest
    from .resolution import Address
    from .tls_in_tls import TLSInTLS

    BlockingWire: TypeAlias = socket.socket | TLSInTLS  # what bytes go through


def dial(request: RawRequest, session: ssl.SSLSession | None = None) -> BlockingWire:
    """Open a connection for this request; arguments and errors are those of `dial.dial`."""
    wire: BlockingWire = carried_out(dialing.dial(BlockingDialer(connect_ends(request)), request, session))
    return wire


class BlockingDialer:
    """Opens one connection, which becomes its `wire`, until `ends` by `monotonic()`."""

    def __init__(self, ends: float | None) -> None:
        self.wire: Any = None
        self._ends = ends
        self._racing: list[socket.socket] = []
        self._failures: list[OSError] = []

    # --- The address and the connection -----------------------------------------------------------

    def look_up(self, host: str, port: int) -> list[Address]:
        return look_up(host, port, time_left(self._ends))

    def connect(self, addresses: list[Address]) -> None:
        if len(addresses) > 1:
            carried_out(race(self, addresses))
            return
        family, address = addresses[0]
        self.wire = new_socket(family)
        self.wire.settimeout(time_left(self._ends))
        self.wire.connect(address)

    # --- The attempts -----------------------------------------------------------------------------

    def begin(self, address: Address) -> None:
        sock = None
        try:
            sock = new_socket(address[0])
            self._racing.append(sock)
            sock.setblocking(False)
            sock.connect(address[1])
        except BlockingIOError:
            pass  # it is on its way
        except OSError as error:
            self._failed(sock, error)

    def wait(self, seconds: float | None) -> list[OSError] | None:
        for sock in () if self._failures else self._decided(within(seconds, self._ends)):
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                self._racing.remove(sock)
                self.wire = sock
                self._end_race()
                return None
            self._failed(sock, refusal(code))
        failures, self._failures = self._failures, []
        return failures

    def _decided(self, seconds: float | None) -> list[socket.socket]:
        # An attempt that has succeeded or failed is writable. select() would not take every descriptor.
        with selectors.DefaultSelector() as selector:
            for sock in self._racing:
                selector.register(sock, selectors.EVENT_WRITE)
            decided = {key.fd for key, _ in selector.select(seconds)}
        return [sock for sock in self._racing if sock.fileno() in decided]

    def _failed(self, sock: socket.socket | None, error: OSError) -> None:
        if sock is not None:
            self._racing.remove(sock)
            sock.close()
        self._failures.append(error)

    def _end_race(self) -> None:
        for sock in self._racing:
            sock.close()
        self._racing.clear()

    # --- The proxy --------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.wire.settimeout(time_left(self._ends))
        self.wire.sendall(data)

    def receive(self) -> bytes:
        self.wire.settimeout(time_left(self._ends))
        data: bytes = self.wire.recv(RECEIVE)
        return data

    # --- TLS --------------------------------------------------------------------------------------

    def start_tls(self, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None) -> None:
        import ssl

        from .tls_in_tls import TLSInTLS

        seconds = time_left(self._ends)  # for the handshake as a whole
        if isinstance(self.wire, ssl.SSLSocket):
            self.wire = TLSInTLS(self.wire, context, host, seconds)
        else:
            self.wire.settimeout(seconds)
            self.wire = context.wrap_socket(self.wire, server_hostname=host, session=session)

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        self._end_race()
        if self.wire is not None:
            self.wire.close()
