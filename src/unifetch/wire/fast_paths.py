"""The engine room of `http11`: what makes it fast, and can be left out.

A server repeats itself: its heads, its field lines, the size of its chunks. So what was found valid is remembered, up
to a bound, and what differs in one byte is something else. Each short cut stops before whatever it does not plainly
know, and leaves that to the plain code, which alone decides what is valid. The tests hold the two equal.

What each of them saves is in `bench/README.md`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from struct import Struct

from ..masking import is_secret

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..model.headers import Pairs
    from ..model.messages import RawRequest
    from .http11 import Head
    from .reader import ByteReader

    Field = tuple[tuple[str, str], tuple[str, str]]

_CRLF = b"\r\n"
_BLANK_LINE = b"\r\n\r\n"


class LastRequest:
    """The request head that a connection wrote last. The next one is often the same, or differs in its target alone.

    Args:
        around_target, target_bytes: the plain code: what `http11` has by these names.

    Attributes:
        closes: whether it asks for the end of the connection.
        expects: whether it asks for 100 (Continue) before the body (RFC 9110 §10.1.1).
    """

    def __init__(
        self, around_target: Callable[[str, Pairs], tuple[bytes, bytes]], target_bytes: Callable[[str], bytes]
    ) -> None:
        self._around_target = around_target
        self._target_bytes = target_bytes
        self._before = self._after = self._head = b""
        self._fields: Pairs = ()
        self._method = self._target = ""
        self.closes = self.expects = False

    def head(self, request: RawRequest) -> bytes:
        """The head of this request, as it is written."""
        target, fields, method = request.target, request.headers, request.method
        if fields != self._fields or method != self._method:
            self._target = ""  # first, as what follows may raise
            self._before, self._after = self._around_target(method, fields)
            self._fields, self._method = fields, method
            lowered = self._after.lower()
            self.expects = b"\r\nexpect: 100-continue\r\n" in lowered
            self.closes = b"\r\nconnection: close\r\n" in lowered
        if target != self._target:
            self._head = self._before + self._target_bytes(target) + self._after
            self._target = target
        return self._head


class LastHead:
    """The head that a connection received last. Most are the one before, byte for byte, until `Date` changes.

    It also reads any other head that came whole, in the first piece after the request, as then neither a reader nor a
    generator is needed.

    Args:
        parse: the plain code: `http11.parse_head`.
        limit: bytes of a head at most.
    """

    __slots__ = ("_block", "_head", "_limit", "_method", "_parse")

    _head: Head

    def __init__(self, parse: Callable[[str, bytes], Head], limit: int) -> None:
        self._parse = parse
        self._limit = limit
        self._method, self._block = "", b""

    def read(self, data: bytes, method: str) -> tuple[Head, bytes] | None:
        """The head of the final response, and what comes behind it; None if `read_head` has to be asked."""
        block = self._block
        if method == self._method and data.startswith(block):
            return self._head, data[len(block) :]
        end = data.find(_BLANK_LINE, 0, self._limit) + 4
        if end < 4 or (head := self._parse(method, block := data[:end])).status < 200:
            return None
        self._method, self._block, self._head = method, block, head
        return head, data[end:]


class FieldLines(dict[str, "Field"]):
    """Field lines that were seen, and what they say: `map` asks a dict without a step in Python.

    Bounded: 1,024 lines of at most 256 characters, then it starts again. No credential is kept.

    Args:
        parse: the plain code: `http11.field_line`.
    """

    def __init__(self, parse: Callable[[str], Field]) -> None:
        self._parse = parse

    def __missing__(self, line: str) -> Field:
        field = self._parse(line)
        if len(line) <= 256 and not is_secret(field[0][0]):
            if len(self) >= 1024:
                self.clear()
            self[line] = field
        return field


def whole_chunks(reader: ByteReader) -> bytes:
    """Take the chunks that are completely there and have no extension, and return their data, joined."""
    if isinstance(reader.data, bytearray):
        reader.data = bytes(reader.data)
    data, at = reader.data, reader.at
    pieces: list[bytes] = []
    while (end := data.find(_CRLF, at, at + 18)) > at and (size := _plain_size(data[at:end])):
        start = end + 2
        delimiter = _CRLF + data[at:start]
        if run := _equal_chunks(data, start, size, delimiter):
            pieces += run
            at += len(run) * (size + len(delimiter))
            continue
        stop = start + size
        if data[stop : stop + 2] != _CRLF:
            break
        pieces.append(data[start:stop])
        at = stop + 2
    reader.at = at
    return b"".join(pieces)


@lru_cache(1024)
def _plain_size(line: bytes) -> int:
    # The size, of a line that is nothing but a size; else 0.
    return int(line, 16) if re.fullmatch(rb"[0-9A-Fa-f]{1,16}", line) else 0


class PlainChunks:
    """Where chunks end, for whoever does not want to know what they hold.

    Attributes:
        data: the bytes of data of all chunks that were passed.
    """

    __slots__ = ("_mark", "_step", "data")

    def __init__(self) -> None:
        self._mark = b"\r\n1\r\n"  # the end of a chunk, and the line of the next, of the size that came last
        self._step = 6  # bytes from there to the end of a chunk of that size
        self.data = 0

    def passed(self, data: bytes, at: int) -> int:
        """The end of the first chunk behind which no plain line is, or not all of one; it may lie beyond the data.

        Args:
            data: a part of a body in chunks.
            at: where a chunk ends, and the CRLF after it begins.
        """
        mark, step = self._mark, self._step
        while True:
            begun = at
            while data.startswith(mark, at):  # a server that copies through a buffer sends nothing else
                at += step
            self.data += (at - begun) // step * (step - len(mark))
            end = data.find(_CRLF, at + 2, at + 20)
            if end < 0 or not data.startswith(_CRLF, at) or not (size := _plain_size(data[at + 2 : end])):
                return at
            self._mark = mark = data[at : end + 2]
            self._step = step = len(mark) + size


def is_cut(rest: bytes) -> bool:
    """Whether this is the beginning of what ends a chunk and begins the next."""
    return re.fullmatch(rb"\r(?:\n(?:[0-9A-Fa-f]{1,16}\r?)?)?", rest) is not None


def _equal_chunks(data: bytes, start: int, size: int, delimiter: bytes) -> tuple[bytes, ...]:
    # The data of chunks of one size in a row, from the first data on. A server that copies through a buffer sends
    # nothing else. One `struct` call cuts up to 64 of them apart; then each delimiter is verified: the CRLF of one
    # chunk and the size line of the next.
    unit = size + len(delimiter)
    if data[start + size : start + unit] != delimiter or (count := min(64, (len(data) - start) // unit)) < 4:
        return ()
    # A power of two, so that there are few cutters to keep.
    parts = _cutter(size, len(delimiter), 1 << (count.bit_length() - 1)).unpack_from(data, start)
    delimiters = parts[1::2]
    if delimiters.count(delimiter) == len(delimiters):
        return parts[::2]
    verified = 1
    while delimiters[verified] == delimiter:
        verified += 1
    return parts[: 2 * verified : 2]


@lru_cache(256)
def _cutter(size: int, delimiter: int, count: int) -> Struct:
    return Struct(f"{size}s{delimiter}s" * count)
