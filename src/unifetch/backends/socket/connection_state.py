"""What is known of one open connection, and the parts of an exchange that wait for nothing.

`connection.py` adds what blocks, `async_connection.py` what is awaited.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from ...errors import ConnectionLost, ReadTimeout, StreamError, UnifetchError, WriteTimeout
from ...wire import http11
from ...wire.fast_paths import LastHead, LastRequest
from ...wire.reader import ByteReader
from ...wire.tls_errors import certificate_refused
from ..base import IDLE_SECONDS, SENDING, broken_by, came_too_late, receiving
from .pool import MAX_AGE

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator, Hashable
    from typing import Any, Protocol

    from ...errors import RequestSent
    from ...model.headers import Headers
    from ...model.messages import RawRequest
    from ...model.timeouts import Timeout
    from ...wire.http11 import Head

    HeadSteps = Generator[Head | None, None, Head]
    Trailers = list[tuple[str, str]]

    class Owner(Protocol):
        """What a connection is given back to."""

        def put(self, key: Hashable, connection: Any) -> None:
            """The exchange is over, and its body was read to its end."""


class ConnectionState:
    """One connection, on a socket or on what asyncio has in place of one.

    Attributes:
        useful_until: until when it may carry another request, by `monotonic()`.
        exchanges: how many requests it has carried.
        interim: the 1xx responses of the current exchange, as (status, headers).
        keeps: whether it can carry another request once this one is over.
    """

    _poll: Callable[[], object]  # whether bytes, or an end, have come

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.reader = ByteReader()
        self._checked = monotonic()  # when it was last seen to be fit
        self._dies = self._checked + MAX_AGE
        self.useful_until = self._dies
        self.exchanges = 0
        self.interim: list[tuple[int, Headers]] = []
        self.keeps = True
        self._busy = False
        self._sent: RequestSent = "no"
        self._timeout: Timeout | None = None  # of the last request
        self._last_head = LastHead(http11.parse_head, http11.MAX_HEAD)
        self._last_request = LastRequest(http11.around_target, http11.target_bytes)

    @property
    def session(self) -> ssl.SSLSession | None:
        """The TLS session, to resume: with TLS 1.3 there is one once something was read."""
        return getattr(self.sock, "session", None)

    def is_fit(self) -> bool:
        """Whether an idle connection is young enough, and nothing has come on it.

        Bytes that come while it is idle belong to no request (RFC 9112 §9.2).
        """
        self._checked = now = monotonic()
        return now < self.useful_until and not self._poll()

    # --- The request ------------------------------------------------------------------------------

    def _begin(self, request: RawRequest) -> None:
        timeout, deadline = request.timeout, request.deadline
        if timeout is not self._timeout:
            self._timeout = timeout
            self._read_timeout, self._write_timeout = timeout.read, timeout.write
            # The seconds that one write and one read may take.
            self._margin = inf if timeout.read is None or timeout.write is None else timeout.read + timeout.write
        self._deadline = deadline
        # Far from the deadline, the first write and the first read need no look at the clock.
        self._is_near = deadline is not None and deadline - self._checked < self._margin
        self._sent = "no"
        self._busy = True
        self.exchanges += 1
        if self.interim:
            self.interim = []

    # --- The response -----------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        if data:
            self._sent = "yes"
            self.reader.feed(data)
        else:
            self.reader.feed_eof()

    def _advance(self, steps: HeadSteps) -> Head | None:
        # Parse what is there: the final head, once it is complete. Interim ones are noted on the way.
        try:
            while (interim := next(steps)) is not None:
                self.interim.append((interim.status, interim.headers))
        except StopIteration as done:
            head: Head = done.value
            return head
        return None

    def _heard(self, data: bytes, steps: HeadSteps) -> Head | None:
        # What came while the request is sent: an early answer, or instead of one, an end.
        self._feed(data)
        try:
            return self._advance(steps)
        except ConnectionLost:
            if self._sent == "yes":
                raise
            lost = ConnectionLost(f"the connection ended {SENDING}", request_sent=self._sent)
            self._stale(lost)
            raise lost from None

    # --- Errors -----------------------------------------------------------------------------------

    def _not_sent(self, error: OSError) -> UnifetchError:
        if isinstance(error, (TimeoutError, BlockingIOError)):  # the latter is the kernel's timeout
            return WriteTimeout("the server did not take the request in time", request_sent=self._sent)
        return self._lost(error, SENDING)

    def _not_received(self, error: OSError) -> UnifetchError:
        if isinstance(error, (TimeoutError, BlockingIOError)):
            return ReadTimeout(came_too_late(self._sent), request_sent=self._sent)
        return self._lost(error, receiving(self._sent))

    def _lost(self, error: OSError, where: str) -> UnifetchError:
        if not self.useful_until:
            return StreamError("the response was closed before its body was read", request_sent=self._sent)
        if refused := certificate_refused(error, self._sent):
            return refused
        lost = ConnectionLost(broken_by(error, where), request_sent=self._sent)
        self._stale(lost)
        return lost

    def _stale(self, error: ConnectionLost) -> None:
        # A server may close an idle connection just as a request is sent on it.
        error.reused = self.exchanges > 1 and error.request_sent != "yes"

    # --- The end ----------------------------------------------------------------------------------

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
        """Close the socket without waiting. A pool that still keeps this connection finds it unfit."""
        self.useful_until = 0.0
        self.sock.close()


def nothing() -> None:
    """End a body that is all here: there is no more of it."""
