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
from .dial import carried_out_awaited
from .happy_eyeballs import race
from .reader import RECEIVE
from .resolution import begin, numeric, settled
from .sockets import FULL_QUEUE, SocketDialer, new_socket, refusal

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

    from ..model.messages import RawRequest
    from .resolution import Address


async def dial(request: RawRequest) -> AnyioWire:
    """Open a connection for this request; arguments and errors are those of `dial.dial`."""
    return await carried_out_awaited(dialing.dial(AnyioDialer(connect_ends(request)), request))


class AnyioDialer(SocketDialer):
    """Opens one connection, which becomes its `wire`, until `ends` by `monotonic()`."""

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
                    await anyio.sleep(FULL_QUEUE)
            await anyio.wait_writable(sock)
        if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise refusal(code)

    async def wait(self, seconds: float | None) -> bool:
        decided = []

        async def watch(sock: socket.socket) -> None:
            await anyio.wait_writable(sock)
            decided.append(sock)
            group.cancel_scope.cancel()

        with anyio.move_on_after(within(seconds, self._ends)):
            async with anyio.create_task_group() as group:
                for sock in self.racing:
                    group.start_soon(watch, sock)
        if (connected := self._connected(decided)) is not None:
            self.wire = AnyioWire(connected)
        return self.wire is not None

    async def send(self, data: bytes) -> None:
        time_left(self._ends)
        await self.wire.write(data, partial(time_left, self._ends))

    async def receive(self) -> bytes:
        time_left(self._ends)
        data: bytes = await self.wire.read(RECEIVE, partial(time_left, self._ends))
        return data

    async def start_tls(self, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None) -> None:
        await self.wire.start_tls(context, host, partial(time_left, self._ends))


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
