"""A body of declared length, received into the caller's memory: no piece of it is copied.

Most large bodies have one. asyncio has no counterpart, as what it receives is in a buffer already.
"""

from __future__ import annotations

from ...errors import ConnectionLost, IncompleteBody

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire.reader import ByteReader

LARGE = 16 * 1024**2  # bytes that are received at once; OpenSSL counts in C's int


def reads_into(
    size: int, reader: ByteReader, receive: Callable[[memoryview], int], done: Callable[[], object]
) -> Callable[[memoryview], int]:
    """What reads a body of this size; see `RawResponse.read_into`. It calls `done` once all of it has come."""
    left = size

    def read_into(place: memoryview) -> int:
        nonlocal left
        with place[: min(left, LARGE)] as room:  # released also for an error, which keeps what its frames held
            count = len(piece := reader.take(len(room)))
            if count:
                room[:count] = piece
            elif left:
                try:
                    count = receive(room)
                except ConnectionLost as error:
                    raise IncompleteBody(str(error), request_sent="yes") from error
                if not count:
                    raise IncompleteBody("the connection ended", request_sent="yes")
        left -= count
        if count and not left:
            done()
        return count

    return read_into
