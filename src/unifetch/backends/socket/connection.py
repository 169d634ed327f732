"""One open connection, and the exchanges that it carries, one after the other.

This is the thin driver around `http11`: it writes, and it feeds the reader. Each wait takes what its phase may
take, or what is left until the deadline, whichever is shorter.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic

from ...errors import ConnectionLost, IncompleteBody, ReadTimeout, StreamError, UnifetchError, WriteTimeout
from ...model.messages import RawResponse
from ...wire import http11
from ...wire.fast_paths import LastHead, LastRequest
from ...wire.reader import RECEIVE, ByteReader
from ...wire.sending import send_or_hear
from ...wire.sized_body import SizedBody
from ...wire.tls_errors import certificate_refused
from ..base import IDLE_SECONDS, arrivals, came_too_late, kernel_timeouts
from .pool import MAX_AGE

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator, Hashable, Iterator
    from typing import Protocol, TypeVar

    from ...errors import RequestSent
    from ...model.headers import Headers
    from ...model.messages import RawRequest
    from ...model.timeouts import Timeout
    from ...wire.blocking import BlockingWire
    from ...wire.http11 import Framing, Head

    class Owner(Protocol):
        """Whoever a connection is given back to."""

        def put(self, key: Hashable, connection: Connection) -> None:
            """The exchange is over, and its body was read to its end."""

    R = TypeVar("R")
    T = TypeVar("T")
    HeadSteps = Generator[Head | None, None, Head]


class Connection:
    """A socket, and what is known of it.

    Attributes:
        useful_until: until when it may carry another request, by `monotonic()`.
        exchanges: how many requests it has carried.
        interim: the 1xx responses of the current exchange, as (status, headers).
        keeps: whether it can carry another request once this one is over.
    """

    def __init__(self, sock: BlockingWire) -> None:
        self.sock = sock
        self.reader = ByteReader()
        self._checked = monotonic()  # when it was last seen to be fit
        self._dies = self._checked + MAX_AGE
        self.useful_until = self._dies
        self.exchanges = 0
        self.interim: list[tuple[int, Headers]] = []
        self.keeps = True
        self._busy = False
        self._last_head = LastHead(http11.parse_head, http11.MAX_HEAD)
        self._last_request = LastRequest(http11.around_target, http11.target_bytes)
        self._seconds: float | None = -1.0  # none that was ever set
        self._timeout: Timeout | None = None
        self._is_tls = hasattr(sock, "pending")
        self._set_timeout = kernel_timeouts(sock) or sock.settimeout
        self._poll = arrivals(sock)  # whether bytes, or an end, have come

    @property
    def session(self) -> ssl.SSLSession | None:
        """The TLS session, to resume: with TLS 1.3 there is one once something was read."""
        return getattr(self.sock, "session", None)

    # --- Before a request -------------------------------------------------------------------------

    def is_fit(self) -> bool:
        """Whether an idle connection is young enough, and nothing has happened on it: neither bytes nor an end came.

        Whatever came belongs to no request (RFC 9112 §9.2).
        """
        self._checked = now = monotonic()
        has_come = self._poll
        return now < self.useful_until and not has_come()

    # --- One exchange -----------------------------------------------------------------------------

    def exchange(self, request: RawRequest, owner: Owner, key: Hashable) -> RawResponse:
        """Perform one exchange, up to the head of the final response.

        Args:
            request: what to send, as it is.
            owner, key: `owner.put(key, connection)` is called once the body was read to its end, and has to `release`
                the connection; for a small body that is before this returns.

        Raises:
            WriteTimeout, ReadTimeout, ConnectionLost, ProtocolError: the connection is closed.
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
                head.status, head.reason, head.version, head.headers, pieces, _nothing, (), interim, True, None, rest
            )
        if rest:
            self.reader.feed(rest)
        trailers: list[tuple[str, str]] = []
        done = partial(owner.put, key, self)
        body, read_into = self.read_body(size, trailers, done), None
        if isinstance(size, int):
            sized = SizedBody(self, size, request.timeout.read, done)
            body, read_into = sized.pieces(), sized.read_into
        abandon = partial(self.abandon, self.exchanges)
        return RawResponse(
            head.status, head.reason, head.version, head.headers, body, abandon, trailers, interim, True, read_into
        )

    # --- Sending the request ----------------------------------------------------------------------

    def send(self, request: RawRequest) -> tuple[Head, bytes]:
        """Write the request, and read the head of the final response: that, and what came behind it past the reader.

        Raises:
            WriteTimeout, ReadTimeout, ConnectionLost, ProtocolError: with `request_sent` as it was.
        """
        timeout = request.timeout
        self._sent: RequestSent = "no"
        self._deadline = deadline = request.deadline
        if timeout is not self._timeout:
            self._timeout = timeout
            self._read_timeout, self._write_timeout = timeout.read, timeout.write
            self._margin = inf if timeout.read is None or timeout.write is None else timeout.read + timeout.write
        # Far from the deadline, the first write and the first read need no look at the clock.
        self._is_near = deadline is not None and deadline - self._checked < self._margin
        self.exchanges += 1
        self._busy = True
        if self.interim:
            self.interim = []
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
        except ConnectionLost:
            # A server that refuses an upload may answer and close at once (RFC 9112 §9.5).
            if self.reader.ended or not self._has_answered():
                raise
        data = self.receive(self.sock.recv, RECEIVE, self._read_timeout)
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
        self.sock.settimeout(0)
        try:
            for block in http11.framed(request.body, chunked=request.chunked, trailers=request.trailers):
                if (early := self._write_listening(block, steps)) is not None:
                    return early
        finally:
            self.sock.settimeout(None)
            self._set_timeout(self._seconds)
        return None

    def _wait_for_continue(self, steps: HeadSteps) -> Head | None:
        # RFC 9110 §10.1.1: 100 asks for the body, a final answer refuses it. A server that knows neither says nothing,
        # so the wait is short.
        with suppress(ReadTimeout):
            while (early := self._advance(steps)) is None and 100 not in dict(self.interim):
                self._feed(self.receive(self.sock.recv, RECEIVE, http11.CONTINUE_SECONDS))
            return early
        return None

    def _write_listening(self, data: bytes, steps: HeadSteps) -> Head | None:
        left = memoryview(data)
        try:
            while left:
                if self._poll() and (early := self._listen(steps)) is not None:
                    return early
                left = left[send_or_hear(self.sock, left[:RECEIVE], self._to_write) :]
        except UnifetchError:
            raise
        except TimeoutError as error:
            raise WriteTimeout("the server did not take the request in time", request_sent=self._sent) from error
        except OSError as error:
            raise self._lost(error) from error
        return None

    def _listen(self, steps: HeadSteps) -> Head | None:
        # TLS may be readable by a message of its own, which is no part of a response: so this must not wait.
        try:
            data = self.sock.recv(RECEIVE)
        except OSError as error:
            if refused := certificate_refused(error, self._sent):
                raise refused from error
            return None  # nothing to hear; if the connection broke, the next write says so
        self._feed(data)
        return self._advance(steps)

    def _has_answered(self) -> bool:
        return self._sent == "maybe" and bool(self._poll())

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
        except (TimeoutError, BlockingIOError) as error:
            raise WriteTimeout("the server did not take the request in time", request_sent=self._sent) from error
        except OSError as error:
            raise self._lost(error) from error

    # --- Receiving the response -------------------------------------------------------------------

    def _read_head(self, steps: HeadSteps) -> Head:
        try:
            while (head := self._advance(steps)) is None:
                self._fill()
            return head
        except ConnectionLost as error:
            error.reused = self.exchanges > 1 and error.request_sent != "yes"
            raise

    def _advance(self, steps: HeadSteps) -> Head | None:
        # Parse what is there: the final head, once it is complete. Interim ones are noted on the way.
        try:
            while (interim := next(steps)) is not None:
                self.interim.append((interim.status, interim.headers))
        except StopIteration as done:
            head: Head = done.value
            return head
        return None

    def read_body(self, size: Framing, trailers: list[tuple[str, str]], done: Callable[[], object]) -> Iterator[bytes]:
        """The pieces of the body as they come; after the last, `trailers` are filled and `done` is called.

        Raises:
            ReadTimeout, IncompleteBody, ProtocolError: with `request_sent` "yes".
        """
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
        except ConnectionLost as error:
            raise IncompleteBody(f"inside the body {error}", request_sent="yes") from error
        done()

    def _fill(self) -> None:
        self._feed(self.receive(self.sock.recv, RECEIVE, self._read_timeout))

    def _feed(self, data: bytes) -> None:
        if data:
            self._sent = "yes"
            self.reader.feed(data)
        else:
            self.reader.feed_eof()

    def receive(self, receive: Callable[[T], R], what: T, seconds: float | None) -> R:
        """Receive what is there, as soon as there is something, by a method of the socket.

        Raises:
            ReadTimeout, ConnectionLost: with `request_sent` as it was.
        """
        try:
            if self._is_near or seconds != self._seconds:
                self._set_time(seconds)
            self._is_near = True
            return receive(what)
        except (TimeoutError, BlockingIOError) as error:
            raise ReadTimeout(came_too_late(self._sent), request_sent=self._sent) from error
        except OSError as error:
            raise self._lost(error) from error

    # --- Time, errors, the end --------------------------------------------------------------------

    def _set_time(self, seconds: float | None) -> None:
        seconds = self._within(seconds)
        if seconds != self._seconds:  # far from the deadline it never changes, and to set it is a system call
            self._set_timeout(seconds)
            self._seconds = seconds

    def _within(self, seconds: float | None) -> float | None:
        # The seconds of a phase, cut to what is left until the deadline.
        if self._deadline is None:
            return seconds
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left if seconds is None or left < seconds else seconds

    def _to_write(self) -> float | None:
        return self._within(self._write_timeout)

    def _lost(self, error: OSError) -> UnifetchError:
        if self.sock.fileno() < 0:
            return StreamError("the response was closed before its body was read", request_sent=self._sent)
        if refused := certificate_refused(error, self._sent):
            return refused
        lost = ConnectionLost(broken_by(error), request_sent=self._sent)
        lost.reused = self.exchanges > 1 and self._sent != "yes"
        return lost

    def release(self) -> bool:
        """End an exchange whose body was read; whether the connection is fit for another.

        Bytes beyond the response belong to nobody: they must not become the next answer.
        """
        self._busy = False
        reader = self.reader
        if self.keeps and reader.at == len(reader.data) and not reader.ended:
            idle_until = monotonic() + IDLE_SECONDS
            self.useful_until = idle_until if idle_until < self._dies else self._dies
            return True
        self.close()
        return False

    def abandon(self, exchange: int) -> None:
        """Close the connection if this exchange, by its number, is not over."""
        if self._busy and self.exchanges == exchange:
            self.close()

    def close(self) -> None:
        """Close the socket; TLS is not waited for. Whoever still keeps this connection finds it unfit."""
        self.useful_until = 0.0
        self.sock.close()


def broken_by(error: OSError) -> str:
    """What to say of a connection that this ended."""
    if "eof" in str(error).lower():  # in the words of Python or of OpenSSL
        return "the TLS connection ended without close_notify (RFC 9112 §9.8)"
    return f"the connection broke: {error.strerror or error}"


def _nothing() -> None:
    pass
