"""Where a response ends, counted beside a parser that keeps it to itself.

What comes beyond the end of a response must not be taken for the next one (RFC 9112 §9.2): the next request would get
an answer that somebody else chose. The pools of httpx and httpx2 take it for that if it comes in the same segment. So
the streams that we hand them count what goes by, and a connection that has delivered too much is not used again.
"""

from __future__ import annotations

from ..errors import TooLarge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..model.headers import Headers
    from .base import Attempt

# Bytes; with what one read may bring along.
MAX_HEADS = 256 * 1024


class Exchanges:
    """What a stream knows of its connection: the exchange that it is at, and where the response of that ends.

    Attributes:
        attempt: that exchange; None before the first.
        spoilt: whether something came beyond a response.
    """

    def __init__(self) -> None:
        self.attempt: Attempt | None = None
        self.spoilt = False
        self._head = b""
        self._heads = 0  # bytes of all heads, interim ones included
        self._content = -1  # bytes after the head; -1 until its end has come
        self._last = self._before = b""

    def begin(self, attempt: Attempt) -> None:
        """Another request goes out."""
        attempt.reused = self.attempt is not None
        self.attempt = attempt
        self._content, self._heads = -1, 0

    def took(self, attempt: Attempt, data: bytes) -> None:
        """Something has come; `b""` is the end of the connection.

        Raises:
            TooLarge: of interim responses.
        """
        if data:
            attempt.answered = True
            self._count(data)
        else:
            attempt.ended = True

    def _count(self, data: bytes) -> None:
        if self._content >= 0:
            self._content += len(data)
            self._before, self._last = self._last, data
            return
        self._head += data
        self._heads += len(data)
        if self._heads > MAX_HEADS:  # h11 bounds one head, but not how many interim ones there are
            raise TooLarge(f"interim responses are over the limit of {MAX_HEADS} bytes", request_sent="yes")
        while (end := self._head.find(b"\r\n\r\n")) >= 0:
            interim, rest = self._head[9:10] == b"1", self._head[end + 4 :]
            self._head = rest if interim else b""
            if not interim:
                self._content, self._before, self._last = len(rest), b"", rest
                break

    def done(self, length: int | None) -> None:
        """A response was read to its end.

        Args:
            length: of its content; None for chunks, the last of which then ends all that came. With trailers it
                does not, and the connection is given up for nothing; that is rare.
        """
        if length is None:
            end = self._before[-4:] + self._last
            self.spoilt = end.find(b"0\r\n\r\n") != len(end) - 5
        else:
            self.spoilt = self._content != length


def content_length(method: str, status: int, headers: Headers) -> int | None:
    """The length of the content, by what the core has checked or is going to; None for chunks."""
    if method == "HEAD" or status in (204, 304):
        return 0
    length = headers.by_name().get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None
