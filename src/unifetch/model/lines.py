"""A streamed body as lines, and as server-sent events, wherever its chunks are cut.

Both parsers are fed chunks, and do no I/O, so blocking and awaited bodies share them. A line ends at LF, CRLF
or CR and nothing else: not at the form feeds and Unicode separators of `str.splitlines`. We do not reconnect: an event
has what that takes, and the caller decides when.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder

from ..errors import TooLarge
from .frozen import Record
from .text import BYTE_ORDER_MARKS, codec_of

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from codecs import IncrementalDecoder
    from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Iterator
    from typing import Protocol, TypeVar

    T = TypeVar("T")
    T_co = TypeVar("T_co", covariant=True)

    class BodyParser(Protocol[T_co]):
        """What is fed a body, and gives what it has made of it."""

        def feed(self, chunk: bytes) -> Iterable[T_co]: ...
        def finish(self) -> Iterable[T_co]: ...


MAX_LINE = 16 * 1024**2  # characters; a picture in base64 comes as one line

_LINE_END = re.compile(r"\r\n|\r|\n")
_RETRY = re.compile(r"[0-9]{1,15}\Z")


def parsed(parser: BodyParser[T], chunks: Iterable[bytes]) -> Iterator[T]:
    """What a parser makes of a body as it comes, each as soon as it is complete."""
    for chunk in chunks:
        yield from parser.feed(chunk)
    yield from parser.finish()


async def async_parsed(parser: BodyParser[T], chunks: AsyncIterable[bytes]) -> AsyncIterator[T]:
    """The same of a body that is awaited."""
    async for chunk in chunks:
        for each in parser.feed(chunk):
            yield each
    for each in parser.finish():
        yield each


class LineSplitter:
    """Splits a body into lines, without their ends.

    Args:
        content_type: the value of the field; the charset is found as for `Response.text`.
        max_line: characters that a line may have; None for any number.
        marks: the byte order marks to recognise.
    """

    def __init__(
        self, content_type: str = "", *, max_line: int | None = MAX_LINE, marks: Collection[bytes] = BYTE_ORDER_MARKS
    ) -> None:
        self._content_type = content_type
        self._marks = marks
        self._max_line = max_line
        self._head = b""
        self._decoder: IncrementalDecoder | None = None
        self._parts: list[str] = []  # of the line that is not complete
        self._length = 0  # their characters
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that this chunk completes.

        Raises:
            TooLarge: for a line over `max_line`, complete or not.
        """
        if self._decoder is None:
            chunk = self._head = self._head + chunk
            if any(mark.startswith(chunk) and mark != chunk for mark in self._marks):
                return []  # it may yet become a byte order mark
        return self._split(self._decode(chunk))

    def finish(self) -> list[str]:
        """The last line, if the body does not end with a line end."""
        # What was held back was not the start of a byte order mark.
        done = self._split(self._decode(b"" if self._decoder else self._head, final=True))
        return [*done, "".join(self._parts)] if self._parts else done

    def _decode(self, chunk: bytes, *, final: bool = False) -> str:
        if self._decoder is None:
            codec, mark = codec_of(chunk, self._content_type, self._marks)
            self._decoder = getincrementaldecoder(codec)("replace")
            chunk = chunk[mark:]
        return self._decoder.decode(chunk, final)

    def _split(self, text: str) -> list[str]:
        # A CR ends its line at once: to wait for an LF would hold back an event. An LF that comes next belongs to it.
        if self._after_cr and text:
            text = text.removeprefix("\n") if text[0] == "\n" else text
            self._after_cr = False
        if not text:
            return []
        self._after_cr = text[-1] == "\r"
        *done, rest = _LINE_END.split(text)
        if done:
            done[0] = "".join([*self._parts, done[0]])
            self._parts.clear()
            self._length = 0
        if rest:
            self._parts.append(rest)
            self._length += len(rest)
        if self._max_line is not None and max(self._length, *map(len, done), 0) > self._max_line:
            raise TooLarge(f"a line of the body is over the limit of {self._max_line} characters", request_sent="yes")
        return done


class ServerSentEvent(Record):
    """One event of a `text/event-stream` (WHATWG HTML §9.2).

    Attributes:
        event: its type; `"message"` if it names none.
        data: its data, the lines joined with LF.
        id: the last event id, perhaps of an earlier event: what to send as `Last-Event-ID`.
        retry: milliseconds to wait before reconnecting, if the server has set it since the last event.
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None


class EventParser:
    """Parses a body into events (WHATWG HTML §9.2.6); an incomplete last one is discarded.

    The body is UTF-8 (§9.2.5), whatever its Content-Type or another mark says.

    Args:
        max_event: characters that a line, and the data of an event, may have; None for any number.
    """

    def __init__(self, *, max_event: int | None = MAX_LINE) -> None:
        self._lines = LineSplitter(max_line=max_event, marks=[b"\xef\xbb\xbf"])
        self._max_event = max_event
        self._event = ""
        self._data: list[str] = []
        self._length = 0
        self._id = ""
        self._retry: int | None = None

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that this chunk completes.

        Raises:
            TooLarge: for a line or data over `max_event`.
        """
        for line in self._lines.feed(chunk):
            if (event := self._feed_line(line)) is not None:
                yield event

    def finish(self) -> Iterator[ServerSentEvent]:
        """No more events: an incomplete one is discarded."""
        return iter(())

    def _feed_line(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")  # a comment is a field without a name
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
            self._length += len(value) + 1
            if self._max_event is not None and self._length > self._max_event + 1:
                raise TooLarge(f"an event is over the limit of {self._max_event} characters", request_sent="yes")
        elif field == "event":
            self._event = value
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and _RETRY.match(value):
            self._retry = int(value)
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event = None
        if self._data:
            event = ServerSentEvent(self._event or "message", "\n".join(self._data), self._id, self._retry)
            self._data.clear()
            self._length = 0
            self._retry = None
        self._event = ""
        return event
