"""`blocking.py` awaited, on asyncio.

Every step ends with the connect timeout or the deadline, and with the task, if it is cancelled. A name that is being
looked up is left behind in its thread, for which the end of the loop does not wait.
"""

from __future__ import annotations

import asyncio
import socket

from ..backends.base import connect_ends, time_left, within
from . import dial as dialing
from .asyncio_wire import AsyncioTLS, AsyncioWire, look_up
from .dial import carried_out_awaited
from .happy_eyeballs import race
from .reader import RECEIVE
from .sockets import FULL_QUEUE, new_socket, refusal

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

    from ..model.messages import RawRequest
    from .resolution import Address
    from .timer import Clock


async def dial(request: RawRequest, clock: Clock, session: ssl.SSLSession | None = None) -> AsyncioWire | AsyncioTLS:
    """Open a connection for this request, whose waits the clock ends; the rest is as of `dial.dial`."""
    return await carried_out_awaited(dialing.dial(AsyncioDialer(connect_ends(request), clock), request, session))


class AsyncioDialer:
    """Opens one connection, which becomes its `wire`, until `ends` by `monotonic()`."""

    failure: OSError

    def __init__(self, ends: float | None, clock: Clock) -> None:
        self.wire: Any = None
        self._ends = ends
        self._clock = clock
        self.racing: list[asyncio.Task[socket.socket]] = []

    async def look_up(self, host: str, port: int) -> list[Address]:
        return await look_up(host, port, time_left(self._ends))

    async def connect(self, addresses: list[Address]) -> None:
        if len(addresses) > 1:
            await carried_out_awaited(race(self, addresses))
            return
        async with asyncio.timeout(time_left(self._ends)):
            self.wire = await self._on_transport(await _attempt(*addresses[0]))

    async def _on_transport(self, sock: socket.socket) -> AsyncioWire:
        loop = asyncio.get_running_loop()
        is_unix = sock.family not in (socket.AF_INET, socket.AF_INET6)
        create: Any = loop.create_unix_connection if is_unix else loop.create_connection
        try:
            wire: AsyncioWire = (await create(lambda: AsyncioWire(sock, self._clock), sock=sock))[1]
        except BaseException:
            sock.close()
            raise
        return wire

    def begin(self, address: Address) -> bool:
        self.racing.append(asyncio.create_task(_attempt(*address)))
        return True

    async def wait(self, seconds: float | None) -> bool:
        seconds = within(seconds, self._ends)
        decided, _ = await asyncio.wait(self.racing, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in decided:
            self.racing.remove(task)
            try:
                sock = task.result()
            except OSError as error:
                self.failure = error
            else:
                self._end_race()
                self.wire = await self._on_transport(sock)
                return True
        return False

    def _end_race(self) -> None:
        for task in self.racing:
            task.cancel()
            task.add_done_callback(_discard)
        self.racing.clear()

    async def send(self, data: bytes) -> None:
        time_left(self._ends)
        sent = 0
        while sent < len(data):
            sent += await self.wire.send(data[sent:], self._ends)

    async def receive(self) -> bytes:
        time_left(self._ends)
        data: bytes = await self.wire.recv(RECEIVE, self._ends)
        return data

    async def start_tls(self, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None) -> None:
        time_left(self._ends)
        self.wire = AsyncioTLS(self.wire, context, host, session)
        await self.wire.handshake(self._ends)

    def close(self) -> None:
        self._end_race()
        if self.wire is not None:
            self.wire.close()


async def _attempt(family: int, address: Any) -> socket.socket:
    sock = new_socket(family)
    try:
        sock.setblocking(False)
        await _connect(sock, address)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError) and error.errno:
            raise refusal(error.errno) from error  # asyncio has words of its own
        raise
    return sock


async def _connect(sock: socket.socket, address: Any) -> None:
    if not isinstance(address, str):
        await asyncio.get_running_loop().sock_connect(sock, address)
        return
    while True:  # asyncio would take a full queue for a connection
        try:
            sock.connect(address)
            return
        except BlockingIOError:
            await asyncio.sleep(FULL_QUEUE)


def _discard(task: asyncio.Task[socket.socket]) -> None:
    # It came second, or failed after the race was over.
    if not task.cancelled() and task.exception() is None:
        task.result().close()
