"""`blocking.py` awaited by anyio, for httpx and httpx2 on asyncio, uvloop and trio.

Every step ends with the connect timeout or the deadline, and with the task, if it is cancelled. A name that is being
looked up is left behind in its thread, for which the end of the loop does not wait.
"""

from __future__ import annotations

import socket
from functools import partial

import anyio

from ..backends.base import connect_ends, time_left, within
from . import dial as dialing
from .anyio_wire import AnyioWire
from .dial import carried_out_awaited, refusal
from .happy_eyeballs import race
from .reader import RECEIVE
from .resolution import begin, numeric, settled
from .sockets import new_socket

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

    from ..model.messages import RawRequest
    from .resolution import Address


async def dial(request: RawRequest) -> AnyioWire:
    """Open a connection for this request; arguments and errors are those of `dial.dial`."""
    return await carried_out_awaited(dialing.dial(AnyioDialer(connect_ends(request)), request))


class AnyioDialer:
    """Opens one connection, which becomes its `wire`, until `ends` by `monotonic()`."""

    def __init__(self, ends: float | None) -> None:
        self.wire: Any = None
        self._ends = ends
        self._racing: list[socket.socket] = []
        self._failures: list[OSError] = []

    # --- The address and the connection -----------------------------------------------------------

    async def look_up(self, host: str, port: int) -> list[Address]:
        return await look_up(host, port, time_left(self._ends))

    async def connect(self, addresses: list[Address]) -> None:
        if len(addresses) > 1:
            await carried_out_awaited(race(self, addresses))
            return
        family, address = addresses[0]
        sock = new_socket(family)
        self.wire = AnyioWire(sock)
        sock.setblocking(False)
        with anyio.fail_after(time_left(self._ends)):
            while True:
                try:
                    sock.connect(address)
                    return
                except (BlockingIOError, InterruptedError):
                    if not isinstance(address, str):
                        break
                    await anyio.sleep(0.005)  # a unix socket's queue is full, and nothing tells when it no longer is
            await anyio.wait_writable(sock)
        if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise refusal(code)

    # --- The attempts -----------------------------------------------------------------------------

    def begin(self, address: Address) -> None:
        sock = None
        try:
            sock = new_socket(address[0])
            self._racing.append(sock)
            sock.setblocking(False)
            sock.connect(address[1])
        except (BlockingIOError, InterruptedError):
            pass  # it is on its way
        except OSError as error:
            self._failed(sock, error)

    async def wait(self, seconds: float | None) -> list[OSError] | None:
        for sock in () if self._failures else await self._decided(within(seconds, self._ends)):
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                self._racing.remove(sock)
                self.wire = AnyioWire(sock)
                self._end_race()
                return None
            self._failed(sock, refusal(code))
        failures, self._failures = self._failures, []
        return failures

    async def _decided(self, seconds: float | None) -> list[socket.socket]:
        # An attempt that has succeeded or failed is writable.
        decided = []

        async def watch(sock: socket.socket) -> None:
            await anyio.wait_writable(sock)
            decided.append(sock)
            group.cancel_scope.cancel()

        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:
                for sock in self._racing:
                    group.start_soon(watch, sock)
        return decided

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

    async def send(self, data: bytes) -> None:
        time_left(self._ends)
        await self.wire.write(data, partial(time_left, self._ends))

    async def receive(self) -> bytes:
        time_left(self._ends)
        data: bytes = await self.wire.read(RECEIVE, partial(time_left, self._ends))
        return data

    # --- TLS --------------------------------------------------------------------------------------

    async def start_tls(self, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None) -> None:
        await self.wire.start_tls(context, host, partial(time_left, self._ends))

    # --- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        self._end_race()
        if self.wire is not None:
            self.wire.close()


async def look_up(host: str, port: int, seconds: float | None) -> list[Address]:
    """The addresses of a host, as `resolution.look_up`, awaited on every event loop."""
    if found := numeric(host, port):
        return found
    outcome: list[Any] = []
    # Of all that a thread can tell a task by, this is what every event loop waits for.
    told, tells = socket.socketpair()

    def tell(found: Any) -> None:
        with tells:
            outcome.append(found)

    with told:
        told.setblocking(False)
        begin(host, port, tell)
        with anyio.fail_after(seconds):
            await anyio.wait_readable(told)
    return settled(outcome[0])
