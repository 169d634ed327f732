"""What has arrived and was not read yet: the one place where bytes wait.

A parser above asks in wire order, and where it needs bytes that have not come, it does a bare `yield`: "feed me". A
driver below answers with `feed(data)` or `feed_eof()` and resumes it. So the parser is written once, whether a blocking
socket, asyncio, or a test that hands out single bytes is underneath.

A response usually arrives in one piece. Then that piece is the buffer, what is taken is a slice of it, and a position
moves. Only bytes that arrive on top of unread ones are copied together, into a `bytearray`, in linear time.

It does no I/O, and has no timeouts and no limits: a parser that has enough stops asking.
"""

from __future__ import annotations

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeVar

    T = TypeVar("T")
    # Runs until it has its T; each None that it yields means "feed me".
    Steps = Generator[None, None, T]

# Bytes to receive at once: fewer cost more calls, and larger blocks are mapped anew by glibc each time.
RECEIVE = 127 * 1024
# glibc also gives memory back to the system, and takes it again, each time that such a block goes, unless it has seen a
# larger one go. Here one goes, which halves the cost of a download.
bytes(4 * RECEIVE)


class ByteReader:
    """Bytes in by `feed`, bytes out by `take` and `read_…`, in order and each once; `len(reader)` of them wait.

    Attributes:
        data: the buffer; bytes, or a bytearray while something incomplete is being collected.
        at: the position in `data` of the first byte that was not taken.
        ended: whether the peer has closed its side.
    """

    __slots__ = ("_scanned", "at", "data", "ended")

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""
        self.at = 0
        self.ended = False
        self._scanned = 0  # the mark of `take_until` does not begin before this position

    def __len__(self) -> int:
        return len(self.data) - self.at

    # --- The driver's side ---

    def feed(self, data: bytes) -> None:
        """Hand in what the connection delivered."""
        if self.at == len(self.data):
            self.data = data
            self.at = self._scanned = 0
            return
        if isinstance(self.data, bytearray):
            del self.data[: self.at]
        else:
            self.data = bytearray(memoryview(self.data)[self.at :])
        self._scanned = max(0, self._scanned - self.at)
        self.at = 0
        self.data += data

    def feed_eof(self) -> None:
        """Say that the connection will deliver no more."""
        self.ended = True

    # --- The parser's side: what is there ---

    def take_until(self, mark: bytes, limit: int) -> bytes:
        """The next bytes up to and with `mark`; b"" if it does not end within `limit` bytes.

        What was searched in vain is not searched again, so that a head that comes by single bytes costs linear time.
        """
        at = self.at
        found = self.data.find(mark, self._scanned if self._scanned > at else at, at + limit)
        if found < 0:
            self._scanned = max(at, len(self.data) - len(mark) + 1)
            return b""
        self._scanned = 0
        self.at = found + len(mark)
        section = self.data[at : self.at]
        return section if type(section) is bytes else bytes(section)

    def take(self, limit: int) -> bytes:
        """The next bytes that are there, at most `limit`."""
        at = self.at
        data = self.data[at : at + limit]
        self.at = at + len(data)
        return data if type(data) is bytes else bytes(data)

    # --- The parser's side: what is still to come ---

    def more(self) -> Steps[None]:
        """Wait for bytes beyond those that are there; EOFError if there will be none."""
        if self.ended:
            raise EOFError
        yield

    def read_some(self, limit: int) -> Steps[bytes]:
        """At least one byte and at most `limit`, as soon as there are any; EOFError if none will come."""
        while not len(self):
            yield from self.more()
        return self.take(limit)

    def read_exact(self, size: int) -> Steps[bytes]:
        """Exactly `size` bytes; EOFError if fewer will come."""
        while len(self) < size:
            yield from self.more()
        return self.take(size)
