"""Bytes and TLS over a socket for the awaited side of httpx and httpx2, by anyio: on asyncio, uvloop and trio alike.

Why not the libraries' own streams: on asyncio, they lose what a server said before it refused the rest of an upload,
take a TLS connection that was cut off for one that ended, and close by an `await`, at which a cancelled task stops.
Here the bytes go through ordinary methods over a non-blocking socket, and only the wait for that socket is awaited. So
`close` cannot be interrupted, and TLS goes through TLS. It knows nothing of HTTP.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

import anyio
from anyio.lowlevel import checkpoint

from .reader import RECEIVE

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    # The seconds that the next wait may take, None for any number; it raises TimeoutError if there are none left.
    Limit: TypeAlias = Callable[[], float | None]

# Reads and writes in a row that do not have to wait. Then the other tasks have their turn.
AT_ONCE = 16


# --- The wire -------------------------------------------------------------------------------------


class AnyioWire:
    """One connection: a socket, under any number of layers of TLS. One task reads and writes it, at one time.

    A step that fails, or is cancelled, leaves it open: its owner closes it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._layers: list[_TLSLayer] = []
        self._at_once = 0
        self._waits = False
        self._closed = False

    async def start_tls(self, context: ssl.SSLContext, host: str, limit: Limit) -> None:
        """Shake hands, as a client of this host, through the layers that there are.

        Raises:
            OSError: among which is ssl.SSLError.
        """
        depth = len(self._layers)
        layer = _TLSLayer(context, host)
        while True:
            try:
                layer.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._send(layer.outgoing.read(), depth, limit)
                layer.feed(await self._read(RECEIVE, depth, limit))
            except ssl.SSLError:
                # The alert that tells the server why goes out if it can.
                with contextlib.suppress(OSError):
                    self._socket.send(self._sealed(layer.outgoing.read(), depth))
                raise
        await self._send(layer.outgoing.read(), depth, limit)
        self._layers.append(layer)

    async def read(self, size: int, limit: Limit) -> bytes:
        """What there is, as soon as there is something; `b""` at the end, ssl.SSLError if that has no close_notify."""
        return await self._read(size, len(self._layers), limit)

    async def write(self, data: bytes, limit: Limit, hears: Callable[[bytes], bool] | None = None) -> bool:
        """Write all of it, and return True; or False if it need not be, by what came before the peer took it.

        Args:
            data: the bytes.
            limit: what each wait may take.
            hears: is given what came, which `read` gives no more, and tells whether it ends the writing; None to
                listen to nothing.

        Raises:
            OSError: what the peer has said may be read nevertheless.
        """
        view = memoryview(data)
        for start in range(0, len(view), RECEIVE):
            if not await self._send(view[start : start + RECEIVE], len(self._layers), limit, hears):
                return False
        return True

    # --- What waits -------------------------------------------------------------------------------

    async def _read(self, size: int, depth: int, limit: Limit) -> bytes:
        data = self._received(size, depth)
        if data is not None:
            await self._not_always_at_once()
            return data
        while data is None:
            await self._wait(anyio.wait_readable, limit)
            data = self._received(size, depth)
        return data

    async def _send(
        self, data: bytes | memoryview, depth: int, limit: Limit, hears: Callable[[bytes], bool] | None = None
    ) -> bool:
        view = memoryview(self._sealed(data, depth))
        while view:
            try:
                view = view[self._socket.send(view) :]
            except (BlockingIOError, InterruptedError):
                await self._wait(anyio.wait_writable if hears is None else _wait_for_either, limit)
                while hears is not None and (heard := self._received(RECEIVE, depth)) is not None:
                    if hears(heard):
                        return False
        await self._not_always_at_once()
        return True

    async def _wait(self, until: Callable[[socket.socket], Awaitable[None]], limit: Limit) -> None:
        seconds = limit()
        self._at_once = 0
        self._waits = True
        try:
            with anyio.fail_after(seconds):
                await until(self._socket)
        finally:
            self._waits = False
            if self._closed:
                self._socket.close()

    async def _not_always_at_once(self) -> None:
        self._at_once += 1
        if self._at_once >= AT_ONCE:
            self._at_once = 0
            await checkpoint()

    # --- What does not ----------------------------------------------------------------------------

    def _received(self, size: int, depth: int) -> bytes | None:
        # Through so many layers; None where nothing has come.
        if depth == 0:
            try:
                return self._socket.recv(size)
            except (BlockingIOError, InterruptedError):
                return None
        layer = self._layers[depth - 1]
        while True:
            try:
                return layer.tls.read(size)
            except ssl.SSLWantReadError:
                data = self._received(RECEIVE, depth - 1)
                if data is None:
                    return None
                layer.feed(data)

    def _sealed(self, data: bytes | memoryview, depth: int) -> bytes | memoryview:
        for layer in reversed(self._layers[:depth]):
            view = memoryview(data)
            while view:
                view = view[layer.tls.write(view) :]
            data = layer.outgoing.read()
        return data

    def is_doubtful(self) -> bool:
        """Whether bytes or an end have come that nothing asked for. They are then gone."""
        if self._closed:
            return True
        try:
            return self._received(1, len(self._layers)) is not None
        except OSError:
            return True

    def close(self) -> None:
        """Close it at once. A task that waits for it is woken, and fails."""
        if not self._closed:
            self._closed = True
            if self._waits:
                # An event loop must not be left with a descriptor whose number another socket may get.
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
            else:
                self._socket.close()


async def _wait_for_either(sock: socket.socket) -> None:
    # Until it takes more, or something has come.
    async with anyio.create_task_group() as group:

        async def one(until: Callable[[socket.socket], Awaitable[None]]) -> None:
            await until(sock)
            group.cancel_scope.cancel()

        group.start_soon(one, anyio.wait_readable)
        group.start_soon(one, anyio.wait_writable)


class _TLSLayer:
    """TLS between two buffers."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)

    def feed(self, data: bytes) -> None:
        """Take what came; `b""` is the end of the layer below."""
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()
