"""Our own parser, listening beside that of a library.

The pools of httpx and httpx2 parse with h11, which is not as strict as `wire/http11.py`. It allows white space after
the size of a chunk, control characters in its extension, and a Transfer-Encoding in HTTP/1.0, and has no limit for
interim responses, extensions and trailers.

So the streams that we hand to a pool let `http11` hear all that comes. What it refuses is refused, and a connection on
which more came than the response (RFC 9112 §9.2) is not used again. Where a body has a length, bytes are only counted;
of plain chunks, only the lines between them are read.
"""

from __future__ import annotations

from sys import maxsize

from ..wire import http11
from ..wire.fast_paths import LastHead, PlainChunks, is_cut
from ..wire.reader import ByteReader
from .base import Exchange

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from ..model.timeouts import Timeout


class HeardExchange(Exchange):
    """An exchange to which our parser listens.

    Attributes:
        head: what it has read of the response; None before.
    """

    __slots__ = ("head",)

    def __init__(self, timeout: Timeout, deadline: float | None) -> None:
        super().__init__(timeout, deadline)
        self.head: http11.Head | None = None


class Exchanges:
    """What a stream knows of its connection: the exchange that it is at, and where the response of that ends.

    Attributes:
        exchange: that exchange; None before the first.
        spoilt: whether the connection cannot be used again.
    """

    def __init__(self) -> None:
        self.exchange: HeardExchange | None = None
        self.spoilt = False
        self._last_head = LastHead(http11.parse_head, http11.MAX_HEAD)
        self._method = ""
        self._in_head = self._in_chunks = False
        self._left = 0  # bytes of the response, or of its chunk, that are to come; less than 0 beyond the end
        self._chunks = PlainChunks()
        self._cut = b""  # the beginning of a line before a chunk
        self._reader = ByteReader()
        self._steps: Generator[Any, None, Any] | None = None  # of `http11`, where it takes more than counting

    def begin(self, exchange: HeardExchange, head: bytes) -> None:
        """Another request goes out; this is its head."""
        exchange.reused = self.exchange is not None
        self.exchange = exchange
        self._method = head[: head.find(b" ")].decode("latin-1")
        self._in_head, self._in_chunks, self._steps = True, False, None

    def took(self, exchange: Exchange, data: bytes) -> None:
        """Something has come; `b""` is the end of the connection.

        Raises:
            ProtocolError, TooLarge: as `http11.read_head` and `http11.read_body`.
        """
        if not data:
            exchange.ended = True
            return
        exchange.answered = True
        if self._steps is not None:
            self._reader.feed(data)
            self._go_on(self._steps)
        elif self._in_head:
            whole = self._last_head.read(data, self._method)
            if whole is not None:
                self._read_head(*whole)
            else:
                self._start(http11.read_head(reader := ByteReader(), self._method), reader, data)
        elif self._in_chunks:
            self._pass_chunks(data)
        else:
            self._left -= len(data)

    def _start(self, steps: Generator[Any, None, Any], reader: ByteReader, data: bytes) -> None:
        self._steps, self._reader = steps, reader
        reader.feed(data)
        self._go_on(steps)

    def _go_on(self, steps: Generator[Any, None, Any]) -> None:
        try:
            while next(steps) is not None:  # an interim response, or a piece of the body
                pass
        except StopIteration as end:
            self._steps = None
            if self._in_head:
                self._read_head(end.value, self._reader.take(len(self._reader)))
            else:
                self._in_chunks, self._left = False, -len(self._reader)

    def _read_head(self, head: http11.Head, rest: bytes) -> None:
        self._in_head = False
        self.spoilt = not head.persists
        if self.exchange is not None:
            self.exchange.head = head
        if head.framing == "chunked":
            # As if the end of a chunk was to come first: what ends one and begins the next is one line then.
            self._in_chunks, self._left, self._cut, self._chunks.data = True, 0, b"", 0
            self._pass_chunks(b"\r\n" + rest)
        else:
            self._left = (maxsize if head.framing == "close" else head.framing) - len(rest)

    def _pass_chunks(self, data: bytes) -> None:
        if self._cut:
            data, self._cut = self._cut + data, b""
        at = self._chunks.passed(data, self._left)
        self._left = max(0, at - len(data))
        if at >= len(data):
            return
        if is_cut(rest := data[at:]):
            self._cut = rest
        else:
            reader = ByteReader()
            self._start(http11.read_body(reader, "chunked", self._chunks.data - 1), reader, _ONE + rest)

    def done(self) -> None:
        """The response was read to its end."""
        if self._steps is not None or self._in_chunks or self._left != 0:
            self.spoilt = True


_ONE = b"1\r\n1"  # a chunk without its end, for a parser that begins in the middle of a body
