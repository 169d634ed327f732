"""One open connection in HTTP/2, blocking: a stream at a time, as `connection.py` has one exchange at a time.

So every promise of HTTP/1.1 holds without a lock: a deadline, an early answer, a body that another thread closes. Many
streams at once are for tasks (`async_http2_connection.py`). An exchange that is given up half-way ends the connection.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

from ...errors import ConnectionLost, IncompleteBody, ReadTimeout, WriteTimeout
from ...wire import http11
from ...wire.http2 import Session
from ...wire.reader import RECEIVE
from ...wire.tls_errors import certificate_refused
from ..base import IDLE_SECONDS, time_left
from .connection import Connection

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from ...model.messages import RawRequest, RawResponse
    from ...wire.blocking import BlockingWire
    from ...wire.http2 import HTTP2Stream
    from ...wire.http11 import Framing, Head
    from .connection_state import Owner


class HTTP2Connection(Connection):
    """A socket, and the session on it; it is asked the same as a `Connection`."""

    _stream: HTTP2Stream

    def __init__(self, sock: BlockingWire) -> None:
        super().__init__(sock)
        self._session = Session()

    def exchange(self, request: RawRequest, owner: Owner, key: Hashable) -> RawResponse:
        """As `Connection.exchange`; the response tells its stream."""
        raw = super().exchange(request, owner, key)
        raw.stream = self._session.number, self._stream.number
        return raw

    # --- Before a request -------------------------------------------------------------------------

    def is_fit(self) -> bool:
        """Whether it takes another stream. What came meanwhile is no part of a response: it is heard first."""
        self._checked = now = monotonic()
        if now >= self.useful_until:
            return False
        while self._poll():
            if not self._hear_now():
                break
        return self._session.room > 0

    # --- Sending the request ----------------------------------------------------------------------

    def send(self, request: RawRequest) -> tuple[Head, bytes]:
        """As `Connection.send`: the head of the final response, and its body if all of it has come."""
        self._begin(request)
        self._is_near = True
        self._stream = stream = self._session.open(request)
        self.interim = stream.interim
        if ("connection", "close") in [(name.lower(), value.lower()) for name, value in request.headers]:
            self.keeps = False
        try:
            self._flush()
            if request.body is not None:
                self._send_body(request)
        except ConnectionLost:
            # A server that refuses a request may answer, or say that it was not processed, and close at once.
            while self._poll() and self._hear_now():
                pass
            if not stream.is_decided:
                raise
        while (head := stream.answer()) is None:
            self._hear(self._read_timeout)
        content = self._session.take_whole(stream)
        self._reply()
        # Where it did not come at once, its length is for the core to compare: the stream has an end of its own.
        framing: Framing = "close" if content is None else len(content)
        return http11.Head(head.status, "", head.version, head.headers, framing, persists=True), content or b""

    def _send_body(self, request: RawRequest) -> None:
        # Between two pieces it listens: an early final answer ends the upload.
        stream, session = self._stream, self._session
        if any(name.lower() == "expect" for name, _ in request.headers) and self._is_refused():
            return
        for block in http11.blocks(request.body):
            rest = memoryview(block)
            while rest:
                if self._poll():
                    self._hear_now()
                if stream.is_decided:
                    return
                room = session.sendable(stream)
                if room > 0:
                    session.send_data(stream, rest[:room])
                    rest = rest[room:]
                    self._flush()
                else:
                    self._wait_for_window()
        session.send_end(stream, request.trailers)
        self._flush()

    def _is_refused(self) -> bool:
        # RFC 9110 §10.1.1, as in `connection.py`.
        stream, ends = self._stream, monotonic() + http11.CONTINUE_SECONDS
        with suppress(TimeoutError):
            while not stream.is_decided and 100 not in dict(stream.interim):
                self._hear(time_left(ends))
        return stream.is_decided

    def _wait_for_window(self) -> None:
        try:
            self._hear(self._write_timeout)
        except ReadTimeout as error:
            raise WriteTimeout("the server did not take the request in time", request_sent="maybe") from error

    def _flush(self) -> None:
        if data := self._session.outgoing():
            self._write(data)
            if self._stream.sent == "no":
                self._stream.sent = "maybe"

    # --- Receiving the response -------------------------------------------------------------------

    def read_body(self, size: Framing, trailers: list[tuple[str, str]], done: Callable[[], object]) -> Iterator[bytes]:
        """As `Connection.read_body`."""
        stream, session = self._stream, self._session
        while True:
            while not stream.has_news():
                try:
                    self._hear(self._read_timeout)
                except ConnectionLost as error:
                    raise IncompleteBody(str(error), request_sent="yes") from error
            piece = session.take(stream)
            if piece:
                self._reply()
                yield piece
            elif stream.is_over:
                break
        trailers += stream.trailers
        if not stream.is_sent:
            session.abandon(stream)  # the answer came early: the rest of the request stays here
            self._reply()
        done()

    def _hear(self, seconds: float | None) -> None:
        # Wait until anything comes for the connection, and answer what has to be answered.
        self._sent = self._stream.sent
        self._take_in(self._receive(seconds))
        self._reply()

    def _reply(self) -> None:
        with suppress(ConnectionLost):  # what it said before it broke is worth more; the next read tells the rest
            self._flush()

    def _hear_now(self) -> bool:
        # What is there, without waiting for it: TLS may be readable by a message of its own. Whether anything was.
        self.sock.settimeout(0)
        try:
            data = self.sock.recv(RECEIVE)
        except (BlockingIOError, TimeoutError):
            return False
        except OSError as error:
            if type(error).__name__.startswith("SSLWant"):
                return False
            self._session.end("the connection ended", certificate_refused(error, "maybe"))
            return False
        finally:
            self.sock.settimeout(None)
            self._set_timeout(self._seconds if self._seconds != -1.0 else None)
        self._take_in(data)
        return self._session.failure is None  # after that nothing is listened to, be there ever so much

    def _take_in(self, data: bytes) -> None:
        if data:
            self._session.receive(data, monotonic())
        else:
            self._session.end("the connection ended")
        self._session.changed.clear()

    # --- The end ----------------------------------------------------------------------------------

    def release(self) -> bool:
        """End an exchange whose body was read; whether the connection takes another stream."""
        self._busy = False
        if self.keeps and self._session.room > 0:
            self.useful_until = min(monotonic() + IDLE_SECONDS, self._dies)
            return True
        self.close()
        return False
