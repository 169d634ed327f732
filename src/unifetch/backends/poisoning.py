"""Our own parser, listening beside that of a library.

The pools of httpx and httpx2 parse with h11, which is not as strict as `wire/http11.py`. It allows white space after
the size of a chunk, control characters in its extension, and a Transfer-Encoding in HTTP/1.0, and has no limit for
interim responses, extensions and trailers.

So the streams that we hand to a pool let `http11` hear all that comes. What it refuses is refused, and a connection on
which more came than the response (RFC 9112 §9.2) is not used again. Where a body has a length, bytes are only counted.
"""

from __future__ import annotations

from math import inf

from ..wire import http11
from ..wire.fast_paths import LastHead
from ..wire.reader import ByteReader

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from .base import Exchange


class Exchanges:
    """What a stream knows of its connection: the exchange that it is at, and where the response of that ends.

    Attributes:
        exchange: that exchange; None before the first.
        spoilt: whether the connection cannot be used again.
    """

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.spoilt = False
        self._last_head = LastHead(http11.parse_head, http11.MAX_HEAD)
        self._method = ""
        self._reader = ByteReader()
        self._steps: Generator[Any, None, Any] | None = None  # of a head, or of chunks
        self._left: float = 0.0  # bytes that the response still has, where there are no steps; less than 0 beyond it
        self._in_head = False

    def begin(self, exchange: Exchange, head: bytes) -> None:
        """Another request goes out; this is its head."""
        exchange.reused = self.exchange is not None
        self.exchange = exchange
        self._method = bytes(head[:100]).partition(b" ")[0].decode("latin-1")
        self._reader, self._steps, self._in_head = ByteReader(), None, True

    def took(self, exchange: Exchange, data: bytes) -> None:
        """Something has come; `b""` is the end of the connection.

        Raises:
            ProtocolError, TooLarge: as `http11.read_head` and `http11.read_body`.
        """
        if not data:
            exchange.ended = True
            return
        exchange.answered = True
        if self._steps is None and not self._in_head:
            self._left -= len(data)
            return
        if self._steps is None:
            whole = self._last_head.read(data, self._method)
            if whole is not None:
                self._read_head(*whole)
                return
            self._steps = http11.read_head(self._reader, self._method)
        self._reader.feed(data)
        self._go_on()

    def _go_on(self) -> None:
        steps = self._steps
        if steps is None:
            return
        try:
            while next(steps) is not None:  # an interim response, or a piece of the body
                pass
        except StopIteration as end:
            self._steps = None
            if self._in_head:
                self._read_head(end.value, self._reader.take(len(self._reader)))
            else:
                self._left = -len(self._reader)

    def _read_head(self, head: http11.Head, rest: bytes) -> None:
        self._in_head = False
        self.spoilt = not head.persists
        if head.framing == "chunked":
            self._reader = ByteReader()
            self._steps = http11.read_body(self._reader, "chunked")
            if rest:
                self._reader.feed(rest)
                self._go_on()
        else:
            self._left = (inf if head.framing == "close" else head.framing) - len(rest)

    def done(self) -> None:
        """The response was read to its end."""
        if self._steps is not None or self._left != 0:
            self.spoilt = True
