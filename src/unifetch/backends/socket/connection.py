"""One open connection, and the exchanges that it carries, one after the other.

This is the thin driver around `http11`: it writes, and it feeds the reader. Each wait takes what its phase may take, or
what is left until the deadline, whichever is shorter.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from time import monotonic

from ...errors import ConnectionLost, IncompleteBody
from ...model.messages import RawResponse
from ...wire import http11
from ...wire.reader import RECEIVE
from ...wire.sockets import arrivals, kernel_timeouts, send_or_hear
from ...wire.tls_errors import certificate_refused
from ..base import time_left, within
from .connection_state import ConnectionState, nothing
from .in_place import reads_into

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from typing import Any

    from ...model.messages import RawRequest
    from ...wire.blocking import BlockingWire
    from ...wire.http11 import Framing, Head
    from .connection_state import HeadSteps, Owner, Trailers


class Connection(ConnectionState):
    """What carries one exchange after the other."""

    def __init__(self, sock: BlockingWire) -> None:
        super().__init__(sock)
        self._seconds: float | None = -1.0  # the timeout of the socket: none was set
        self._is_tls = hasattr(sock, "pending")
        self._set_timeout = kernel_timeouts(sock) or sock.settimeout
        self._poll = arrivals(sock)

    # --- One exchange -----------------------------------------------------------------------------

    def exchange(self, request: RawRequest, owner: Owner, key: Hashable) -> RawResponse:
        """Perform one exchange, up to the head of the final response.

        `owner.put(key, connection)` is called once the body was read to its end, which for a small one is before this
        returns, and has to `release` the connection.

        Raises:
            WriteTimeout, ReadTimeout, ConnectionLost, ProtocolError: with `request_sent`; the connection is closed.
        """
        try:
            head, rest = self.send(request)
        except BaseException:
            self.close()
            raise
        if not head.persists or self._last_request.closes:
            self.keeps = False
        size, interim = head.framing, self.interim
        if size == len(rest):
            # All of it came with the head: the connection is free before anybody reads.
            owner.put(key, self)
            pieces = (rest,) if rest else ()
            return RawResponse(
                head.status, head.reason, head.version, head.headers, pieces, nothing, (), interim, True, None, rest
            )
        if rest:
            self.reader.feed(rest)
        trailers: Trailers = []
        done = partial(owner.put, key, self)
        body = self.read_body(size, trailers, done)
        receive = partial(self._receive, request.timeout.read)
        read_into = reads_into(size, self.reader, receive, done) if isinstance(size, int) else None
        abandon = partial(self.abandon, self.exchanges)
        return RawResponse(
            head.status, head.reason, head.version, head.headers, body, abandon, trailers, interim, True, read_into
        )

    # --- Sending the request ----------------------------------------------------------------------

    def send(self, request: RawRequest) -> tuple[Head, bytes]:
        """Write the request, and read the head of the final response: that, and what came behind it past the reader."""
        self._begin(request)
        head, body = self._last_request.head(request), request.body
        steps: HeadSteps | None = None
        try:
            if body is None:
                self._write(head)
            elif isinstance(body, bytes) and len(body) <= http11.WITH_HEAD and not self._last_request.expects:
                self._write(head + body)
            else:
                steps = http11.read_head(self.reader, request.method)
                early = self._upload(head, request, steps)
                if early is not None:
                    self.keeps = False  # what is left of the body cannot follow, so nothing else can
                    return early, b""
        except ConnectionLost as error:
            data = self._last_answer(error)
        else:
            data = self._receive(self._read_timeout)
        if steps is None:
            whole = self._last_head.read(data, request.method)
            if whole is not None:
                self._sent = "yes"
                return whole
            steps = http11.read_head(self.reader, request.method)
        self._feed(data)
        return self._read_head(steps), b""

    def _upload(self, head: bytes, request: RawRequest, steps: HeadSteps) -> Head | None:
        # Between two blocks, and while a send waits, it listens: an early final answer ends the upload.
        self._is_near = True
        self._write(head)
        if self._last_request.expects and (early := self._wait_for_continue(steps)) is not None:
            return early
        body = request.body
        self.sock.settimeout(0)
        try:
            for block in http11.blocks(body):
                data = http11.chunk(block) if request.chunked else block
                if (early := self._write_listening(data, steps)) is not None:
                    return early
            return self._write_listening(http11.last_chunk(request.trailers), steps) if request.chunked else None
        finally:
            self.sock.settimeout(None)
            self._set_timeout(self._seconds)

    def _wait_for_continue(self, steps: HeadSteps) -> Head | None:
        # RFC 9110 §10.1.1: 100 asks for the body, a final answer refuses it. A server that knows neither says nothing,
        # so the wait is short.
        ends = monotonic() + http11.CONTINUE_SECONDS
        with suppress(TimeoutError):
            while 100 not in dict(self.interim):
                if (early := self._heard(self._receive(time_left(ends)), steps)) is not None:
                    return early
        return None

    def _write_listening(self, data: bytes, steps: HeadSteps) -> Head | None:
        left = memoryview(data)
        while left:
            if self._poll() and (early := self._listen(steps)) is not None:
                return early
            try:
                left = left[send_or_hear(self.sock, left, self._write_timeout, self._deadline) :]
            except OSError as error:
                raise self._not_sent(error) from error
        return None

    def _listen(self, steps: HeadSteps) -> Head | None:
        # TLS may be readable by a message of its own, which is no part of a response: so this must not wait.
        # And it may hold several records, of which the socket tells no more.
        while True:
            try:
                data = self.sock.recv(RECEIVE)
            except OSError as error:
                if refused := certificate_refused(error, self._sent):
                    raise refused from error
                return None  # nothing more to hear; if the connection broke, the next write says so
            if (early := self._heard(data, steps)) is not None:
                return early

    def _last_answer(self, error: ConnectionLost) -> bytes:
        # A server that refuses an upload may answer and close at once (RFC 9112 §9.5).
        if self._sent == "no" or self.reader.ended or not self._poll():
            raise error
        with suppress(ConnectionLost):
            data: bytes = self._receive(self._read_timeout)
            if data:
                return data
        raise error

    def _write(self, data: bytes) -> None:
        """Write all of the data; the write timeout is for each time that the server takes some."""
        sent = 0
        try:
            if self._is_near or self._write_timeout != self._seconds:
                self._set_time(self._write_timeout)
            if self._is_tls:
                self._sent = "maybe"  # of several records that failed, some may have left
            sent = self.sock.send(data)
            self._sent = "maybe"
            while sent < len(data):
                self._is_near = True
                self._set_time(self._write_timeout)
                sent += self.sock.send(memoryview(data)[sent:])
        except OSError as error:
            raise self._not_sent(error) from error

    # --- Receiving the response -------------------------------------------------------------------

    def _read_head(self, steps: HeadSteps) -> Head:
        try:
            while (head := self._advance(steps)) is None:
                self._fill()
            return head
        except ConnectionLost as error:
            self._stale(error)
            raise

    def read_body(self, size: Framing, trailers: Trailers, done: Callable[[], object]) -> Iterator[bytes]:
        """The pieces of the body as they come; after the last, `trailers` are filled and `done` is called.

        Raises:
            ReadTimeout, IncompleteBody, ProtocolError: with `request_sent` "yes".
        """
        exchange = self.exchanges
        steps = http11.read_body(self.reader, size)
        try:
            while True:
                piece = next(steps)
                if piece is None:
                    self._fill()
                else:
                    yield piece
        except StopIteration as end:
            trailers += end.value
            done()
        except ConnectionLost as error:
            raise IncompleteBody(str(error), request_sent="yes") from error
        finally:
            self.abandon(exchange)

    def _fill(self) -> None:
        self._feed(self._receive(self._read_timeout))

    def _receive(self, seconds: float | None, place: memoryview | None = None) -> Any:
        # What is there, as soon as there is something; or the number of its bytes, if they are to go into this place.
        try:
            if self._is_near or seconds != self._seconds:
                self._set_time(seconds)
            self._is_near = True
            return self.sock.recv(RECEIVE) if place is None else self.sock.recv_into(place)
        except OSError as error:
            raise self._not_received(error) from error

    def _set_time(self, seconds: float | None) -> None:
        seconds = within(seconds, self._deadline)
        if seconds != self._seconds:  # far from the deadline it never changes, and to set it is a system call
            self._set_timeout(seconds)
            self._seconds = seconds
