"""What asyncio has in place of a socket: bytes out by `send`, bytes in by `recv`, both awaited.

`AsyncioWire` is a TCP connection, `AsyncioTLS` is TLS over a wire or over TLS. Each call takes the time at which it
must be over, and only one task waits at a time, as a connection has one exchange at a time.

This uses a transport of asyncio and a `BufferedProtocol`, whose bytes land in a buffer of ours, but not asyncio's TLS:
it takes a connection that was cut off for one that ended, resumes no session, and does not go through itself.

Closing never waits, so an exchange can close wherever it ends: in an `except`, when a task is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from concurrent.futures import Future
from math import inf

from .reader import RECEIVE
from .resolution import begin, numeric, settled
from .sockets import arrivals

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from .resolution import Address, Outcome
    from .timer import Clock

    T = TypeVar("T")

# --- Names ---------------------------------------------------------------------------------------


async def look_up(host: str, port: int, seconds: float | None = None) -> list[Address]:
    """The addresses of a host, as `resolution.look_up`."""
    if found := numeric(host, port):
        return found
    told: Future[Outcome] = Future()
    told.set_running_or_notify_cancel()  # the thread tells it, though nobody may wait any more
    begin(host, port, told.set_result)
    async with asyncio.timeout(seconds):
        return settled(await asyncio.wrap_future(told))


# --- TCP ------------------------------------------------------------------------------------------


class AsyncioWire(asyncio.BufferedProtocol):
    """A connection as its transport sees it, below, and as a `Connection` does, above.

    What was not asked for yet waits here, up to twice RECEIVE; then the transport reads no more, and the server waits.

    Args:
        sock: what the transport reads and writes; it is asked what it holds that has not been read.
        clock: what ends the waits.

    Attributes:
        told: called whenever something has come, ended or gone out, in place of waking a task; it raises nothing.
        is_full: whether the transport still holds some of what it was given.
    """

    told: Callable[[], None] | None = None

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self._sock = sock
        self._clock = clock
        self._new_waiter: Callable[[], asyncio.Future[bool]] = clock.loop.create_future
        # asyncio's own would be 256 KiB for each read, which glibc maps anew each time.
        self._buffer = memoryview(bytearray(RECEIVE))
        self._data = b""
        self._ended = False  # nothing more will come
        self._broken: Exception | None = None  # what ended it, unless the server did
        self.is_full = False
        self._paused = False
        self._lost = False
        self._waiter: asyncio.Future[bool] | None = None
        self._kernel_holds = arrivals(sock)
        self._transport: Any = None

    # --- Above: what a connection asks for ---

    async def send(self, data: bytes | memoryview, ends: float | None) -> int:
        """Send some of the data, and say how much. It has left, unless something came first: the server may have
        answered, and take no more.

        Raises:
            TimeoutError: the server did not take it until then.
            OSError: the connection broke.
        """
        if self._lost:
            raise self._error()
        piece = data if len(data) <= RECEIVE else memoryview(data)[:RECEIVE]
        self._transport.write(piece)
        if self._transport.is_closing():
            self._save_answer()
        elif not self.is_full:
            return len(piece)
        while (self.is_full and not self._data and not self._ended) or self._transport.is_closing():
            if self._lost:
                raise self._error()
            await self._wait(ends)
        return len(piece)

    def write_now(self, data: bytes) -> None:
        """Hand all of this to the transport, and wait for nothing."""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def selected_alpn_protocol(self) -> None:
        """Without TLS there is no such thing."""

    def _save_answer(self) -> None:
        # The transport will not read again, but a server that refuses an upload may have answered before it closed.
        with contextlib.suppress(OSError):
            self._data += self._sock.recv(RECEIVE)

    async def recv(self, most: int, ends: float | None) -> bytes:
        """What is there, as soon as there is something; b"" after the end.

        Raises:
            TimeoutError: nothing came until then.
            OSError: the connection broke.
        """
        while not self._data:
            if self._ended:
                if self._broken is not None:
                    raise self._error()
                return b""
            await self._wait(ends)
        data = self._data
        if len(data) <= most and not self._paused:  # as nearly always, without a step aside
            self._data = b""
            return data
        return self._take(most)

    def recv_now(self, most: int) -> bytes | None:
        """What is there; b"" after the end, and None if nothing has come."""
        return self._take(most) if self._data else b"" if self._ended else None

    def _take(self, most: int) -> bytes:
        data = self._data
        if len(data) > most:
            self._data = data[most:]
            data = data[:most]
        else:
            self._data = b""
        if self._paused and len(self._data) <= RECEIVE and not self._lost:
            self._paused = False
            self._transport.resume_reading()
        return data

    def poll(self) -> bool:
        """Whether bytes or an end have come, perhaps only as far as the kernel; or what was sent still waits.

        The loop tells us only when it comes around, which may be after the next write.
        """
        return bool(self._data) or self._ended or self.is_full or bool(self._kernel_holds())

    def close(self) -> None:
        """Close the socket, and forget what came. A task that still waits is told that it broke."""
        if not self._lost:
            self._ended, self._data = True, b""
            self._broken = self._broken or ConnectionAbortedError("it was closed")
            self._transport.abort()
            self._wake()

    async def _wait(self, ends: float | None) -> None:
        # Until anything happens; the caller finds out what.
        self._waiter = waiter = self._new_waiter()
        clock = self._clock
        clock.watch(waiter, inf if ends is None else ends)
        try:
            if await waiter:
                raise TimeoutError
        finally:
            self._waiter = None
            del clock.ends[waiter]

    def _wake(self) -> None:
        if self.told is not None:
            self.told()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)

    def _error(self) -> Exception:
        return self._broken or BrokenPipeError("it has ended")

    # --- Below: what the transport tells ---

    def connection_made(self, transport: Any) -> None:
        """The transport reads from now on, and tells `send` of each byte that it keeps for later."""
        self._transport = transport
        transport.set_write_buffer_limits(0)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """That many have come."""
        data = bytes(self._buffer[:nbytes])
        self._data = self._data + data if self._data else data
        if len(self._data) > RECEIVE and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """The server has ended its side; ours stays open, for what is still to be written."""
        self._end()
        self._wake()
        return True

    def pause_writing(self) -> None:
        """The kernel did not take all of it."""
        self.is_full = True

    def resume_writing(self) -> None:
        """Now it has."""
        self.is_full = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is being closed, by us or because of this error."""
        if exc is not None:
            self._save_answer()
        self._lost = True
        if not self._ended:
            self._broken = exc or ConnectionAbortedError("it was closed")
            self._end()
        self._wake()

    def _end(self) -> None:
        # Nothing more is read: an idle connection may stay for a while, its buffer need not.
        self._ended = True
        self._buffer = memoryview(bytearray(1))


# --- TLS ------------------------------------------------------------------------------------------


class AsyncioTLS:
    """TLS over a wire or over TLS, which carries its records; with a session to resume, if there is one."""

    def __init__(
        self, outer: AsyncioWire | AsyncioTLS, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None = None
    ) -> None:
        self._outer = outer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host, session=session)

    @property
    def session(self) -> ssl.SSLSession | None:
        """The session, to resume; with TLS 1.3 there is one once something was read."""
        return self._tls.session

    @property
    def told(self) -> Callable[[], None] | None:
        """As of the wire below."""
        return self._outer.told

    @told.setter
    def told(self, told: Callable[[], None] | None) -> None:
        self._outer.told = told

    @property
    def is_full(self) -> bool:
        """As of the wire below."""
        return self._outer.is_full

    def selected_alpn_protocol(self) -> str | None:
        """What the server has chosen by ALPN."""
        return self._tls.selected_alpn_protocol()

    async def handshake(self, ends: float | None) -> None:
        """Perform the handshake; an OSError if it failed."""
        await self._carry(self._tls.do_handshake, ends)

    async def send(self, data: bytes | memoryview, ends: float | None) -> int:
        """Send some of the data, and say how much; as `AsyncioWire.send`."""
        # One call makes one record, of 16 KiB at most; several leave together.
        sent = 0
        while sent < len(data) and self._outgoing.pending < RECEIVE:
            sent += await self._carry(lambda: self._tls.write(memoryview(data)[sent:]), ends, flush=False)  # noqa: B023  # called at once
        await self._flush(ends)
        return sent

    def write_now(self, data: bytes) -> None:
        """As `AsyncioWire.write_now`, with what TLS itself has to say; ssl.SSLError where TLS is at its end."""
        sent = 0
        while sent < len(data):
            sent += self._tls.write(memoryview(data)[sent:])
        if self._outgoing.pending:
            self._outer.write_now(self._outgoing.read())

    async def recv(self, most: int, ends: float | None) -> bytes:
        """What is there, as soon as there is something; b"" after the peer has said that it is done."""
        if not self._tls.pending() and not self._incoming.pending:
            await self._refill(ends)  # without asking first, which would cost an exception
        return await self._carry(lambda: self._tls.read(most), ends)

    async def _carry(self, step: Callable[[], T], ends: float | None, *, flush: bool = True) -> T:
        while True:
            try:
                outcome = step()
            except ssl.SSLWantReadError:
                await self._flush(ends)
                await self._refill(ends)
            except ssl.SSLError:
                await self._flush(ends)  # the alert that tells the peer why
                raise
            else:
                if flush and self._outgoing.pending:
                    await self._flush(ends)
                return outcome

    async def _refill(self, ends: float | None) -> None:
        self._feed(await self._outer.recv(RECEIVE, ends))

    def _feed(self, records: bytes) -> None:
        if records:
            self._incoming.write(records)
        else:
            self._incoming.write_eof()

    async def _flush(self, ends: float | None) -> None:
        records = self._outgoing.read()
        sent = 0
        while sent < len(records):
            sent += await self._outer.send(memoryview(records)[sent:] if sent else records, ends)

    def recv_now(self, most: int) -> bytes | None:
        """What is there, of all records; b"" after the end, and None if nothing has come: a record may be TLS's own.

        Raises:
            ssl.SSLError: TLS is at its end.
        """
        while (records := self._outer.recv_now(RECEIVE)) is not None:
            self._feed(records)
            if not records:
                break
        data = b""
        try:
            while len(data) < most and (piece := self._tls.read(most - len(data))):
                data += piece
        except ssl.SSLWantReadError:
            return data or None
        except ssl.SSLError:
            if not data:  # else the next call says it again
                raise
        return data

    def poll(self) -> bool:
        """Whether something has come, if only a message of TLS itself."""
        return bool(self._tls.pending()) or bool(self._incoming.pending) or self._outer.poll()

    def close(self) -> None:
        """Close what carries it; nothing is waited for."""
        self._outer.close()


# --- What need not be awaited ---------------------------------------------------------------------


class Pieces:
    """Pieces that are there, as an asynchronous iterator."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Nothing: there is no more to end."""


async def closed(abandon: Callable[[], None], body: Any) -> None:
    """End an exchange whose body was not read to its end."""
    abandon()
    # Another task may be reading it: that one is told that it is closed.
    with contextlib.suppress(RuntimeError):
        await body.aclose()
