"""What arrives for one response, cut into a head, lines and blocks, strictly by RFC 9112.

`http_client.py` reads through this instead of through a buffered file, and so do the adapters that are
built on it. It refuses what others might read differently, and holds on to nothing: what was read beyond
the end of a response is not given to the next.
"""

from __future__ import annotations

import re

from ..errors import ConnectionLost, IncompleteBody, ProtocolError, TooLarge, evidence
from ..masking import is_secret
from ..model.headers import Headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .http_client import DeadlineSocket

    Head = tuple[str, int, str, Headers]  # the version, status, reason and fields

# The common floor (policies/limits.py). Here they also bound what is read before anything can be checked.
MAX_FIELDS = 99
MAX_LINE = 64 * 1024
MAX_HEAD = 100 * 1024

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# Wider than RFC 9110's field-value, because servers put control characters into cookies. What might end a line is out.
_TEXT = r"[^\x00\n\v\f\r]*+"
_STATUS = re.compile(rf"HTTP/(1\.[01]) ([1-9][0-9][0-9])(?: ({_TEXT}))?\Z")
_FIELDS = re.compile(rf"(?:{_TOKEN}:{_TEXT}\r\n)*\r\n")
_FIELD = re.compile(rf"({_TOKEN}):[ \t]*({_TEXT})\r\n")
_FOLD = re.compile(r"(?<![ \t])[ \t]*+\r\n[ \t]+")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(r"([0-9]{1,19})(?:[ \t]*,[ \t]*\1)*\Z")  # one length, or the same one repeated
_NEXT_CHUNK = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})\r\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\x00\r\n]*)?\r\n\Z")


class Reader:
    """The bytes of one response, as far as they have come; it stands where http.client has a buffered file.

    Attributes:
        socket: where they come from.
        complete: set when the response has been read to its end.
    """

    __slots__ = ("_at", "_buffer", "_interim", "complete", "socket")

    def __init__(self, socket: DeadlineSocket) -> None:
        self.socket = socket
        self.complete = False
        self._buffer = b""
        self._at = 0
        self._interim = 0  # bytes of 1xx responses

    def next_head(self) -> Head:
        """The head of an interim response, or that of the final one (RFC 9110 §15.2).

        Raises:
            ConnectionLost, ProtocolError, TooLarge: as for `head` and `parse_head`; for 101, and for 1xx without end.
        """
        data = self.head()
        self.socket.attempt.sent = "yes"
        head = parse_head(data)
        if head[1] < 200:
            if head[1] == 101:
                raise ProtocolError("the server switches protocols (101), unasked", request_sent="yes")
            self._interim += len(data)
            if self._interim > MAX_HEAD:
                raise TooLarge(f"interim responses are over the limit of {MAX_HEAD} bytes", request_sent="yes")
        return head

    def head(self) -> bytes:
        """A status line and header fields, up to and with the empty line.

        Raises:
            ConnectionLost: if the connection ends before.
            ProtocolError, TooLarge: for a bare LF, and for more than any head may have.
        """
        at = checked = self._at
        while (end := self._buffer.find(b"\r\n\r\n", max(checked - 3, at))) < 0:
            buffer = self._buffer
            # RFC 9112 §2.2 lets us take a bare LF for a line's end. We do not: others might not have seen it as one.
            if bare := _BARE_LF.search(buffer, checked):
                line = buffer[buffer.rfind(b"\n", at, bare.start()) + 1 : bare.end()]
                raise ProtocolError(f"a line ends without CR: {_shown(line)}", request_sent="yes")
            if buffer and buffer[at : at + 5] != b"HTTP/"[: len(buffer) - at]:
                # What has no lines would be waited for: a record of TLS, say.
                raise ProtocolError(f"no HTTP response: {evidence(buffer[at:])}", request_sent="yes")
            if len(buffer) - at > MAX_HEAD:
                raise TooLarge(f"the head of the response is over the limit of {MAX_HEAD} bytes", request_sent="yes")
            if not self._fill():
                seen = f"after {len(buffer) - at} bytes of a head" if len(buffer) > at else "without an answer"
                raise self.socket.attempt.failed(ConnectionLost, f"the server closed the connection {seen}")
            checked, at = len(buffer) - at, 0
        self._at = end + 4
        return self._buffer[at : end + 4]

    def chunk_size(self) -> int:
        """The size of the next chunk.

        Raises:
            IncompleteBody: if the connection ends before.
            ProtocolError, TooLarge: for anything but a hexadecimal number with extensions.
        """
        line = self.line()
        found = _CHUNK.match(line)
        if found is None:
            raise ProtocolError(f"bad chunk size: {evidence(line)}", request_sent="yes")
        return int(found[1], 16)

    def whole_chunks(self, size: int) -> list[bytes]:
        """The chunks of so many bytes together that follow a chunk's data and have arrived entirely.

        It is a short cut, for the sake of small chunks: it stops before whatever is not plainly one of them.
        """
        chunks: list[bytes] = []
        while found := _NEXT_CHUNK.match(self._buffer, self._at):
            start = found.end()
            end = start + int(found[1], 16)
            size -= end - start
            if end == start or end > len(self._buffer) or size < 0:
                break
            chunks.append(self._buffer[start:end])
            self._at = end
        return chunks

    def trailers(self) -> list[tuple[str, str]]:
        """The fields after the last chunk. They came too late to be checked as headers, and must not pass for such.

        Raises:
            IncompleteBody, ProtocolError, TooLarge: as for a head.
        """
        pairs: list[tuple[str, str]] = []
        left = MAX_HEAD
        while (line := self.line()) != b"\r\n":
            text = line.decode("latin-1")
            left -= len(line)
            if left < 0 or len(pairs) == MAX_FIELDS:
                limit = f"{MAX_HEAD} bytes" if left < 0 else f"{MAX_FIELDS} fields"
                raise TooLarge(f"the trailers are over the limit of {limit}", request_sent="yes")
            if not _FIELDS.fullmatch(f"{text}\r\n"):
                raise ProtocolError(f"malformed trailer: {_shown(line)}", request_sent="yes")
            name, _, value = text.partition(":")
            pairs.append((name, value.strip(" \t\r\n")))
        return pairs

    def line(self) -> bytes:
        """A line of chunked coding, with its end."""
        checked = 0
        while (end := self._buffer.find(b"\n", self._at + checked)) < 0:
            checked = len(self._buffer) - self._at
            if checked > MAX_LINE:
                raise TooLarge(f"a line of chunked coding is over the limit of {MAX_LINE} bytes", request_sent="yes")
            if not self._fill():
                raise self.socket.attempt.failed(IncompleteBody, "the connection ended before the last chunk")
        line = self._buffer[self._at : end + 1]
        self._at = end + 1
        return line

    def block(self, size: int) -> bytes:
        """Up to so many bytes, as soon as there are any; b"" at the end of the connection."""
        if self._at == len(self._buffer) and not self._fill():
            return b""
        block = self._buffer[self._at : self._at + size]
        self._at += len(block)
        return block

    def block_into(self, place: memoryview) -> int:
        """As `block`, into memory of the caller's: what has not come yet is received there, and copied nowhere."""
        if self._at == len(self._buffer):
            return self.socket.receive_into(place)
        block = self.block(len(place))
        place[: len(block)] = block
        return len(block)

    def _fill(self) -> bool:
        data = self.socket.receive()
        self._buffer = self._buffer[self._at :] + data
        self._at = 0
        return bool(data)

    @property
    def unread(self) -> bytes:
        """What has come, and was not read yet."""
        return self._buffer[self._at :]

    def flush(self) -> None:
        """Nothing is written here; http.client asks nevertheless."""

    def close(self) -> None:
        """Be done with this response. Unless all of it and nothing else was read, its connection is closed."""
        self.socket.done(clean=self.complete and self._at == len(self._buffer))


def parse_head(head: bytes) -> Head:
    """The version, status, reason and fields of a head (RFC 9112 §4 and §5).

    Raises:
        ProtocolError: for a malformed line.
        TooLarge: over the limits of a head.
    """
    line, _, text = head.decode("latin-1").partition("\r\n")
    found = _STATUS.match(line)
    if found is None:
        raise ProtocolError(f"bad status line: {evidence(line)}", request_sent="yes")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)  # RFC 9112 §5.2
    if not _FIELDS.fullmatch(text):
        wrong = next(line for line in text.split("\r\n") if not _FIELDS.fullmatch(f"{line}\r\n\r\n"))
        raise ProtocolError(f"malformed header line: {_shown(wrong.encode('latin-1'))}", request_sent="yes")
    pairs = _FIELD.findall(text)
    if len(pairs) > MAX_FIELDS:
        raise TooLarge(f"the response has {len(pairs)} header fields; the limit is {MAX_FIELDS}", request_sent="yes")
    if len(head) > MAX_HEAD:
        raise TooLarge(f"the head of the response is over the limit of {MAX_HEAD} bytes", request_sent="yes")
    if len(head) > MAX_LINE and max(map(len, text.split("\r\n"))) > MAX_LINE:
        raise TooLarge(f"a header line of the response is over the limit of {MAX_LINE} bytes", request_sent="yes")
    if " \r\n" in text or "\t\r\n" in text:
        pairs = [(name, value.rstrip(" \t")) for name, value in pairs]
    return found[1], int(found[2]), found[3] or "", Headers.trusted(pairs)


def _shown(line: bytes) -> str:
    name = line.partition(b":")[0].strip()
    secret = is_secret(name.decode("latin-1"))
    return f"{evidence(name)} and a value that may be secret" if secret else evidence(line)


def framing(fields: Headers) -> tuple[bool, int | None]:
    """Whether the body is chunked, and its length if that is declared (RFC 9112 §6.3).

    Raises:
        ProtocolError: for fields that contradict each other, or say what we do not understand.
    """
    coding, length = fields.get("transfer-encoding"), fields.get("content-length")
    if coding is not None:
        if length is not None:
            raise ProtocolError("both Transfer-Encoding and Content-Length", request_sent="yes")
        if coding.lower() != "chunked":
            raise ProtocolError(f"Transfer-Encoding {evidence(coding)} is not chunked", request_sent="yes")
        return True, None
    if length is None:
        return False, None
    found = _LENGTH.match(length)
    if found is None:
        raise ProtocolError(f"bad Content-Length: {evidence(length)}", request_sent="yes")
    return False, int(found[1])


def unfolded(pairs: Iterable[tuple[str, str]]) -> Headers:
    """The fields of a head that http.client has parsed by itself: it leaves folds and white space in values."""
    return Headers.trusted((name, _unfolded(value)) for name, value in pairs)


def _unfolded(value: str) -> str:
    lines = value.replace("\r", "\n").split("\n")
    return " ".join(line.strip(" \t") for line in lines if line)
