"""A body whose length is declared, read past the `ByteReader`, which would have to copy what it passes on.

It is what most large bodies are, and all that has to be counted. asyncio has no counterpart: what it reads is in a
buffer already.
"""

from __future__ import annotations

from ..errors import ConnectionLost, IncompleteBody

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from ..backends.socket.connection import Connection

    R = TypeVar("R")
    T = TypeVar("T")

LARGE = 16 * 1024**2  # bytes that are read into memory at once; OpenSSL counts in C's int
# Bytes that are received at once: half the calls, and still less than what glibc maps anew each time. It also gives
# memory back to the system, and takes it again, each time that such a piece goes; unless it has seen a larger one go.
# Here one goes: that halves the cost of a download, where it would happen.
PIECE = 127 * 1024
bytes(4 * PIECE)


class SizedBody:
    """So many bytes, to be had in pieces or in place.

    Args:
        connection: what they come by.
        size: how many there are.
        seconds: what each wait may take.
        done: called once all of them have come.
    """

    def __init__(self, connection: Connection, size: int, seconds: float | None, done: Callable[[], object]) -> None:
        self._connection = connection
        self._size = self._left = size
        self._seconds = seconds
        self._done = done

    def pieces(self) -> Iterator[bytes]:
        """The pieces as they come.

        Raises:
            ReadTimeout, IncompleteBody: with `request_sent` "yes".
        """
        connection = self._connection
        while self._left:
            piece = connection.reader.take(self._left)
            if not piece:
                piece = self._receive(connection.sock.recv, min(self._left, PIECE))
            self._left -= len(piece)
            yield piece
        self._done()

    def read_into(self, place: memoryview) -> int:
        """What comes next, read into memory that is there; see `RawResponse`.

        Raises:
            ReadTimeout, IncompleteBody: with `request_sent` "yes".
        """
        with place[: min(self._left, LARGE)] as room:  # released also for an error, which keeps what its frames held
            count = len(piece := self._connection.reader.take(len(room)))
            if count:
                room[:count] = piece
            elif self._left:
                count = self._receive(self._connection.sock.recv_into, room)
        self._left -= count
        if count and not self._left:
            self._done()
        return count

    def _receive(self, receive: Callable[[T], R], what: T) -> R:
        try:
            received = self._connection.receive(receive, what, self._seconds)
        except ConnectionLost as error:
            raise IncompleteBody(f"inside the body {error}", request_sent="yes") from error
        if not received:
            so_far = f"{self._size - self._left} of {self._size} bytes"
            raise IncompleteBody(f"the connection ended after {so_far}", request_sent="yes")
        return received
