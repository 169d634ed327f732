"""One open connection in HTTP/2, awaited, and the exchanges that it carries side by side.

Whatever arrives is sorted out to the streams the moment it does (`AsyncHTTP2Connection.hear`), by the event loop
itself: no task reads, so none can be cancelled or left behind. A `StreamExchange` is one stream and whoever waits for
it. It has timeouts and a deadline of its own, and if it ends early, by an error or a cancellation, it resets its stream
and nothing else. Bytes go to the transport at once, whoever writes them, so they keep their order; whoever has much to
send waits until the transport has sent what it holds.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from math import inf
from time import monotonic

from ...errors import ReadTimeout, WriteTimeout
from ...wire import http11
from ...wire.asyncio_wire import Pieces
from ...wire.http2 import Session
from ...wire.reader import RECEIVE
from ...wire.tls_errors import certificate_refused
from ..base import IDLE_SECONDS, ends_at
from .pool import MAX_AGE

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ...errors import TimedOut
    from ...model.messages import RawRequest
    from ...wire.asyncio_wire import AsyncioTLS, AsyncioWire
    from ...wire.http2 import HTTP2Stream
    from ...wire.http11 import Head
    from ...wire.timer import Clock


class AsyncHTTP2Connection:
    """A wire, and the session on it.

    Attributes:
        session: what has come for which stream.
        heard: when something came last, by `monotonic()`.
    """

    def __init__(self, sock: AsyncioWire | AsyncioTLS, clock: Clock, tell: Callable[[], None]) -> None:
        self.sock = sock
        self.session = Session()
        self.heard = monotonic()
        self._clock = clock
        self._tell = tell  # those who wait for a connection: it may take more streams now
        self._dies = self.heard + MAX_AGE
        self._idle_until = self._dies
        self._waiters: dict[HTTP2Stream, asyncio.Future[bool]] = {}
        self._was_full = False
        sock.told = self.hear
        self.hear()

    # --- Before a request -------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many streams it takes now; those that are busy live on, though an old connection takes no new one."""
        now = monotonic()
        if now >= self._dies or (not self.session.streams and now >= self._idle_until):
            self.retire()
        return self.session.room

    @property
    def is_young(self) -> bool:
        """Whether it is not known yet how many streams it takes."""
        return not self.session.is_settled and not self.session.is_closing

    # --- What arrives -----------------------------------------------------------------------------

    def hear(self) -> None:
        """Sort out what is there. The wire calls it whenever something has happened, and it raises nothing."""
        session = self.session
        settled, room = session.is_settled, session.room
        try:
            while session.failure is None and (data := self.sock.recv_now(RECEIVE)) is not None:
                if data:
                    self.heard = monotonic()
                    session.receive(data, self.heard)
                else:
                    session.end("the connection ended")
        except ssl.SSLError as error:
            session.end("the connection ended", certificate_refused(error, "maybe"))
        self.flush()
        is_full = self.sock.is_full
        if self._was_full and not is_full:
            session.changed.update(self._waiters)
        self.wake()
        self._was_full = is_full
        if session.is_closing:
            self.tidy()
        if session.is_settled is not settled or session.room > room or session.failure is not None:
            self._tell()

    def wake(self) -> None:
        """Wake those for whose streams something has come, or ended."""
        changed = self.session.changed
        for stream in changed:
            waiter = self._waiters.get(stream)
            if waiter is not None and not waiter.done():
                waiter.set_result(False)
        changed.clear()

    def flush(self) -> None:
        """Hand what is to be written to the transport."""
        try:
            self.sock.write_now(self.session.outgoing())
        except ssl.SSLError:
            self.session.end("TLS broke")
        self._was_full = self._was_full or self.sock.is_full

    async def wait(self, stream: HTTP2Stream, ends: float | None) -> None:
        """Wait until something has come for this stream, or the transport takes more.

        Raises:
            TimeoutError: nothing has until then.
        """
        self._waiters[stream] = waiter = self._clock.loop.create_future()
        self._clock.watch(waiter, inf if ends is None else ends)
        try:
            if await waiter:
                raise TimeoutError
        finally:
            del self._clock.ends[waiter]
            self._waiters.pop(stream, None)

    # --- The end ----------------------------------------------------------------------------------

    def finished(self) -> None:
        """Note that an exchange is over: another may begin."""
        self._idle_until = min(monotonic() + IDLE_SECONDS, self._dies)
        if self.session.is_closing:
            self.tidy()
        self._tell()

    def retire(self) -> None:
        """Take no new stream, and close once there is none."""
        self.session.is_closing = True
        self.tidy()

    def tidy(self) -> None:
        """Close a connection that takes no stream, unless one is still busy."""
        if not self.session.streams:
            self.close()

    def close(self) -> None:
        """Close the wire; nothing is waited for."""
        self.sock.told = None
        self.session.end("it was closed")
        self.sock.close()


class StreamExchange:
    """One request on a connection that has room for it.

    Raises:
        ConnectionLost: it takes none any more; with `unprocessed`.
        InvalidRequest: as `Session.open`.
    """

    def __init__(self, connection: AsyncHTTP2Connection, request: RawRequest) -> None:
        self._connection = connection
        self._session = connection.session
        self._request = request
        self._is_over = False
        self.stream = self._session.open(request)

    # --- Sending the request ----------------------------------------------------------------------

    async def send(self) -> Head:
        """Write the request, and read the head of the final response; it raises what `Connection.send` does."""
        stream, request = self.stream, self._request
        stream.sent = "maybe"
        self._connection.flush()
        if request.body is not None:
            await self._send_body()
        while (head := stream.answer()) is None:
            await self._wait(request.timeout.read, ReadTimeout)
        return head

    async def _send_body(self) -> None:
        # While it is sent it listens: an early final answer ends the upload.
        stream, session, request, connection = self.stream, self._session, self._request, self._connection
        if any(name.lower() == "expect" for name, _ in request.headers) and await self._is_refused():
            return
        body = request.body
        async for block in Pieces(http11.blocks(body)) if isinstance(body, bytes) else body:
            rest = memoryview(block)
            while rest:
                if stream.is_decided:
                    return
                room = 0 if connection.sock.is_full else session.sendable(stream)
                if room > 0:
                    session.send_data(stream, rest[:room])
                    rest = rest[room:]
                    connection.flush()
                else:
                    await self._wait(request.timeout.write, WriteTimeout)
            await asyncio.sleep(0)  # its neighbours, and what they are answered
        if stream.failure is None:
            session.send_end(stream, request.trailers)
            connection.flush()

    async def _is_refused(self) -> bool:
        # RFC 9110 §10.1.1, as in `connection.py`.
        stream, ends = self.stream, monotonic() + http11.CONTINUE_SECONDS
        with suppress(TimeoutError):
            while not stream.is_decided and 100 not in dict(stream.interim):
                await self._connection.wait(stream, ends)
        return stream.is_decided

    # --- Receiving the response -------------------------------------------------------------------

    def whole(self) -> bytes | None:
        """All of the body, if it has come with the head: then the exchange is over."""
        content = self._session.take_whole(self.stream)
        if content is not None:
            self.abandon()  # if it came early, the rest of the request stays here
        return content

    async def read_body(self, trailers: list[tuple[str, str]]) -> AsyncIterator[bytes]:
        """The pieces of the body as they come; after the last, `trailers` are filled. As `Connection.read_body`."""
        stream = self.stream
        try:
            while True:
                while not stream.has_news():
                    await self._wait(self._request.timeout.read, ReadTimeout)
                piece = self._session.take(stream)
                if piece:
                    self._connection.flush()
                    yield piece
                elif stream.is_over:
                    break
            trailers += stream.trailers
        finally:
            self.abandon()  # as above

    # --- Time and the end -------------------------------------------------------------------------

    async def _wait(self, seconds: float | None, kind: type[TimedOut]) -> None:
        now = monotonic()
        try:
            await self._connection.wait(self.stream, ends_at(seconds, self._request.deadline))
        except TimeoutError as error:
            if self._connection.heard < now:
                self._connection.session.is_closing = True  # it was silent: no other request shall wait for it
            what = "sent nothing" if kind is ReadTimeout else "did not take the request"
            raise kind(f"the server {what} in time", request_sent=self.stream.sent) from error

    def abandon(self) -> None:
        """Give the stream up; it is reset unless it is over. Its connection and its neighbours go on."""
        if not self._is_over:
            self._is_over = True
            self._session.abandon(self.stream)
            self._connection.wake()  # another task may be reading it
            self._connection.flush()
            self._connection.finished()
