"""One open connection, and the exchanges that it carries, one after the other.

This is the thin driver around `http11`: it writes, and it feeds the reader. Each wait takes what its phase may
take, or what is left until the deadline, whichever is shorter.
"""

from __future__ import annotations

import select
from time import monotonic

from ...errors import ConnectionLost, IncompleteBody, ReadTimeout, UnifetchError, WriteTimeout
from .http11 import chunk, framing, last_chunk, persists, read_body, read_head, request_head
from .reader import ByteReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator, Iterable, Iterator

    from ...errors import RequestSent
    from ...headers import Pairs
    from ...messages import RawRequest
    from .http11 import Framing, Head

# Bytes. glibc maps larger blocks anew for each read, which costs 11 µs; smaller ones cost more calls.
RECEIVE = 64 * 1024
# Bytes. A body up to this goes out with its head, in one segment if it fits; it saves a call, 2 µs.
WITH_HEAD = 16 * 1024


class Connection:
    """A socket, and what is known of it.

    Attributes:
        opened, idle_since: when, by `monotonic()`.
        exchanges: how many requests it has carried.
    """

    __slots__ = (
        "_deadline",
        "_head",
        "_poll",
        "_read_timeout",
        "_seconds",
        "_sent",
        "_write_timeout",
        "exchanges",
        "idle_since",
        "opened",
        "reader",
        "sock",
    )

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.reader = ByteReader()
        self.opened = self.idle_since = monotonic()
        self.exchanges = 0
        self._head: tuple[str, str, Pairs, bytes] | None = None
        self._seconds = sock.gettimeout()
        self._poll = _poll(sock)

    # --- Before a request -------------------------------------------------------------------------

    def is_fit(self) -> bool:
        """Whether nothing has happened on an idle connection: neither bytes nor an end have come.

        Whatever came belongs to no request (RFC 9112 §9.2). It is asked before each reuse, for 0.3 µs.
        """
        return not self._poll()

    # --- Sending the request ----------------------------------------------------------------------

    def send(self, request: RawRequest) -> Head:
        """Write the request and read the head of the final response.

        Raises:
            WriteTimeout, ReadTimeout, ConnectionLost, ProtocolError: with `request_sent` as it was.
        """
        self._sent: RequestSent = "no"
        self._deadline = request.deadline
        self._read_timeout = request.timeout.read
        self._write_timeout = request.timeout.write
        self.exchanges += 1
        head = self._request_head(request)
        body = request.body
        steps = read_head(self.reader)
        try:
            if body is None:
                self._write(head)
            elif isinstance(body, bytes):
                self._write_all(head, body)
            elif (early := self._upload(head, body, request.length, steps)) is not None:
                return early
        except ConnectionLost:
            # A server that refuses an upload may answer and close at once (RFC 9112 §9.5).
            if not self._has_answered():
                raise
        return self._read_head(steps)

    def _request_head(self, request: RawRequest) -> bytes:
        # Requests that say nothing of their own share one tuple of fields, which is written but once: 1 µs less.
        head, headers = self._head, request.headers
        if head is not None and head[0] == request.method and head[1] == request.target and head[2] is headers:
            return head[3]
        data = request_head(request.method, request.target, headers)
        self._head = (request.method, request.target, headers, data)
        return data

    def _write_all(self, head: bytes, body: bytes) -> None:
        if len(body) <= WITH_HEAD:
            self._write(head + body)
            return
        self._write(head)
        self._write(body)

    def _upload(
        self, head: bytes, blocks: Iterable[bytes], length: int | None, steps: Generator[Head | None, None, Head]
    ) -> Head | None:
        # Between two blocks it listens: an early final answer ends the upload, and the connection with it.
        self._write(head)
        for block in blocks:
            if self._poll() and (early := self._listen(steps)) is not None:
                self.exchanges = 0  # what is left of the body cannot follow, so nothing else can
                return early
            self._write(chunk(block) if length is None else block)
        if length is None:
            self._write(last_chunk())
        return None

    def _listen(self, steps: Generator[Head | None, None, Head]) -> Head | None:
        # TLS may be readable by a message of its own, which is no part of a response: so this must not wait.
        self.sock.settimeout(0)
        try:
            data = self.sock.recv(RECEIVE)
        except (BlockingIOError, OSError) as error:
            if isinstance(error, BlockingIOError) or _wants(error):
                return None
            return None  # broken: the next write says so
        finally:
            self.sock.settimeout(self._seconds)
        self._feed(data)
        try:
            while next(steps) is not None:
                pass
        except StopIteration as done:
            early: Head = done.value
            return early
        return None

    def _has_answered(self) -> bool:
        return self._sent == "maybe" and bool(self._poll())

    def _write(self, data: bytes) -> None:
        """Write all of the data; the write timeout is for each time that the server takes some."""
        sent = 0
        try:
            self._arm(self._write_timeout)
            self._sent = "maybe"
            sent = self.sock.send(data)
            while sent < len(data):
                self._arm(self._write_timeout)
                sent += self.sock.send(memoryview(data)[sent:])
        except TimeoutError as error:
            raise WriteTimeout("the server did not take the request in time", request_sent=self._sent) from error
        except OSError as error:
            raise self._lost(error) from error

    # --- Receiving the response -------------------------------------------------------------------

    def _read_head(self, steps: Generator[Head | None, None, Head]) -> Head:
        try:
            self._fill()
            while True:
                if next(steps) is None:
                    self._fill()
        except StopIteration as done:
            head: Head = done.value
            return head
        except ConnectionLost as error:
            error.reused = self.exchanges > 1 and error.request_sent != "yes"
            raise

    def read_body(self, size: Framing, done: Callable[[], None]) -> Iterator[bytes]:
        """The pieces of the body as they come; `done` is called after the last.

        Raises:
            ReadTimeout, IncompleteBody, ProtocolError: with `request_sent` "yes".
        """
        try:
            if isinstance(size, int):
                yield from self._read_length(size)
            else:
                for piece in read_body(self.reader, size):
                    if piece is None:
                        self._fill()
                    else:
                        yield piece
        except ConnectionLost as error:
            raise IncompleteBody(f"the connection broke inside the body: {error}", request_sent="yes") from error
        done()

    def _read_length(self, size: int) -> Iterator[bytes]:
        # The same as http11._read_length, without the reader in between: that saves a copy of each piece.
        left = size
        if piece := self.reader.take(left):
            left -= len(piece)
            yield piece
        while left:
            piece = self._receive(min(left, RECEIVE))
            if not piece:
                raise IncompleteBody(f"the connection ended after {size - left} of {size} bytes", request_sent="yes")
            left -= len(piece)
            yield piece

    def _fill(self) -> None:
        self._feed(self._receive(RECEIVE))

    def _feed(self, data: bytes) -> None:
        if data:
            self._sent = "yes"
            self.reader.feed(data)
        else:
            self.reader.feed_eof()

    def _receive(self, most: int) -> bytes:
        try:
            self._arm(self._read_timeout)
            return self.sock.recv(most)
        except TimeoutError as error:
            raise ReadTimeout("the server sent nothing in time", request_sent=self._sent) from error
        except OSError as error:
            raise self._lost(error) from error

    # --- Time, errors, the end --------------------------------------------------------------------

    def _arm(self, seconds: float | None) -> None:
        if self._deadline is not None:
            left = self._deadline - monotonic()
            if left <= 0:
                raise TimeoutError
            if seconds is None or left < seconds:
                seconds = left
        if seconds != self._seconds:  # far from the deadline it never changes; setting it costs 0.6 µs
            self.sock.settimeout(seconds)
            self._seconds = seconds

    def _lost(self, error: OSError) -> UnifetchError:
        lost = ConnectionLost(f"the connection broke: {error.strerror or error}", request_sent=self._sent)
        lost.reused = self.exchanges > 1 and self._sent != "yes"
        return lost

    def close(self) -> None:
        """Close the socket; TLS is not waited for."""
        self.sock.close()


def _wants(error: OSError) -> bool:
    # ssl's way to say that it would block, by name, as http needs no ssl.
    return type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError")


def _poll(sock: socket.socket) -> Callable[[], object]:
    # A poll object is kept, because making one costs more than asking it. Windows has none.
    if not hasattr(select, "poll"):
        return lambda: select.select([sock], [], [], 0)[0]
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return lambda: poll.poll(0)


__all__ = ["Connection", "framing", "persists"]
