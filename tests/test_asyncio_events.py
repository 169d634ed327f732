"""What asyncio may tell a connection, at each point at which an exchange waits: no event and no order surprises it.

Nothing is connected: a transport of ours does what asyncio's does, and a script injects the events. Each must end in a
response or in an error of ours, never in another exception, and never in a wait without an end.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import product
from typing import Any

import pytest

from unifetch.backends.asyncio_stream import TakenOver
from unifetch.errors import UnifetchError
from unifetch.model.messages import RawRequest
from unifetch.model.timeouts import Timeout
from unifetch.model.url import URL
from unifetch.wire.timer import Clock

REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"


class Transport(asyncio.Transport):
    """Takes what is written, and pauses whoever writes; as asyncio's, it must not be used once it is lost."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__({"socket": sock})
        self.protocol: Any = None
        self.closing = self.lost = self.pausing = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        assert not self.lost, "written to a transport that was lost"
        if self.pausing:
            self.protocol.pause_writing()

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        assert not self.lost

    def resume_reading(self) -> None:
        assert not self.lost

    def abort(self) -> None:
        # What asyncio's does after `connection_lost` when its buffer was not empty.
        if self.lost:
            raise AttributeError("'NoneType' object has no attribute 'call_soon'")
        self.closing = True
        asyncio.get_running_loop().call_soon(self.lose, None)

    def lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.closing = True
            self.protocol.connection_lost(error)
            self.lost = True


class Former(asyncio.Protocol):
    """The protocol of a library."""


def came(transport: Transport, data: bytes) -> None:
    if not transport.lost:
        transport.protocol.get_buffer(-1)[: len(data)] = data
        transport.protocol.buffer_updated(len(data))


def ended(transport: Transport) -> None:
    if not transport.lost and not transport.protocol.eof_received():
        transport.closing = True
        asyncio.get_running_loop().call_soon(transport.lose, None)


EVENTS: dict[str, Callable[[Transport], object]] = {
    "an answer": lambda transport: came(transport, REFUSAL),
    "half an answer": lambda transport: came(transport, REFUSAL[:20]),
    "the rest of it": lambda transport: came(transport, REFUSAL[20:]),
    "an end": ended,
    "a reset": lambda transport: transport.lose(ConnectionResetError("reset")),
    "a close": lambda transport: transport.lose(None),
    "room": lambda transport: transport.lost or transport.protocol.resume_writing(),
}


async def stepped(work: Coroutine[Any, Any, Any], events: list[Callable[[], object]], first: int) -> Any:
    """The outcome of the work, which goes on as far as it can before each event, the first after so many turns."""
    task = asyncio.create_task(work)
    for _ in range(first):
        await asyncio.sleep(0)
    for event in events:
        event()
        for _ in range(8):
            await asyncio.sleep(0)
    async with asyncio.timeout(5):
        return await task


def outcome(names: tuple[str, ...], first: int, *, body: bytes | None, pausing: bool) -> Any:
    """The status of the response, or the class of the error."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        clock = Clock(loop)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            transport = Transport(ours)
            transport.pausing = pausing
            wire = TakenOver(transport, Former(), clock)
            given: list[bool] = []

            async def exchange() -> Any:
                timeout = Timeout(60, connect=60, read=60, write=60)
                request = RawRequest(
                    "POST",
                    URL("http://a.test/"),
                    (("Host", "a.test"),),
                    body,
                    None if body is None else len(body),
                    timeout,
                )
                response = await wire.exchange(request, given.append)
                pieces = [piece async for piece in response.body]
                await response.close()
                return response.status, b"".join(pieces)

            events: list[Callable[[], object]] = [partial(EVENTS[name], transport) for name in (*names, "a reset")]
            try:
                result = await stepped(exchange(), events, first)
            except UnifetchError as error:
                result = type(error).__name__
            await asyncio.sleep(0)
            wire.close()
            await asyncio.sleep(0)
            clock.stop()

            assert 1 == len(given), "the connection is given back once"

            return result

    return asyncio.run(main())


@pytest.mark.parametrize("pausing", [False, True], ids=["taken", "waiting"])
@pytest.mark.parametrize("body", [None, bytes(300_000)], ids=["GET", "upload"])
@pytest.mark.parametrize("names", list(product(EVENTS, repeat=2)), ids=" then ".join)
def test_every_event_at_every_point(names: tuple[str, ...], body: bytes | None, pausing: bool) -> None:
    """A response or an error of ours, wherever two events strike."""
    for first in range(1, 6):
        result = outcome(names, first, body=body, pausing=pausing)

        assert result == (413, b"no") or isinstance(result, str)
        if names[0] == "an answer":
            assert (413, b"no") == result
