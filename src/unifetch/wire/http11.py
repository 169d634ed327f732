"""HTTP/1.1 as RFC 9112 has it, from the request head to the decision to keep the connection.

Every reader is a generator in wire order. It takes what the `ByteReader` holds; where that is not enough, a bare
`yield` (of None) means "feed me". A `yield` of something else hands it out: the head of an interim response, a piece of
the body. The result is what the generator returns. What makes all this fast stands in `fast_paths.py`.

What RFC 9112 says MUST be rejected is a `ProtocolError` that shows the evidence, as soon as the byte that proves it is
here. What it says MAY be tolerated is tolerated only where real servers need it, with a comment. A bare LF as a line
ending (§2.2, MAY) is refused: where two parsers disagree about line endings, responses are smuggled.

Left out: HTTP/1.0 keep-alive, 101 and `Upgrade`, transfer codings other than chunked, content decoding.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..errors import ConnectionLost, IncompleteBody, InvalidRequest, ProtocolError, TooLarge, evidence
from ..model.headers import Headers
from ..policies.limits import MAX_FIELDS as MAX_FIELDS
from ..policies.limits import MAX_HEAD as MAX_HEAD
from ..policies.limits import MAX_LINE as MAX_LINE
from .fast_paths import FieldLines, whole_chunks
from .reader import RECEIVE

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Literal

    from ..model.headers import Pairs
    from .reader import ByteReader, Steps

    Framing = int | Literal["chunked", "close"]

# Numbers and bytes, beside those of `policies/limits.py`. A continuation line counts as a field.
MAX_INTERIM = 32
MAX_EXTENSIONS = 16_384
MAX_TRAILERS = 8_192

_CRLF = b"\r\n"
_BLANK_LINE = b"\r\n\r\n"


# === §1 The request head (RFC 9112 §3) ===============================================================


def request_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The request line, the fields in the order given, and the blank line.

    Raises:
        InvalidRequest: a line ending, NUL or space that would make it another request.
    """
    before, after = around_target(method, headers)
    return before + target_bytes(target) + after


def around_target(method: str, headers: Iterable[tuple[str, str]]) -> tuple[bytes, bytes]:
    """What is written before and after the target: the same for many requests. Raises as `request_head`."""
    if " " in method:
        raise InvalidRequest(f"a space in the method of a request: {evidence(method)}")
    head = _lines([f"{method}  HTTP/1.1", *map(": ".join, headers)], "the method or the fields of a request")
    at = len(method) + 1
    return head[:at], head[at:]


def target_bytes(target: str) -> bytes:
    """The target as it is written, which was percent-encoded above. Raises as `request_head`."""
    if " " in target or "\n" in target or "\r" in target or "\0" in target or not target.isascii():
        raise InvalidRequest(f"a character that a request target cannot hold: {evidence(target)}")
    return target.encode()


WITH_HEAD = 16 * 1024  # bytes; a body up to this goes out with its head
CONTINUE_SECONDS = 1.0  # to wait for 100 (Continue): a server that does not know `Expect` says nothing


def blocks(body: bytes | Iterable[bytes]) -> Iterable[bytes]:
    """A body in pieces, so that a server that refuses it is heard in between."""
    if not isinstance(body, bytes):
        return body
    return (body[start : start + RECEIVE] for start in range(0, len(body), RECEIVE))


def chunk(data: bytes) -> bytes:
    """A piece of a request body as one chunk (§7.1); b"" for b"", which would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: Iterable[tuple[str, str]] = ()) -> bytes:
    """The end of a chunked request body, with its trailer fields (§7.1.2). Raises as `request_head`."""
    return _lines(["0", *map(": ".join, trailers)], "the trailers of a request")


def _lines(lines: list[str], name: str) -> bytes:
    # The core has checked every token and value. This is the last door before the wire: as many line endings leave as
    # were put in here.
    try:
        section = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"a request cannot hold the character {error.object[error.start]!a}") from None
    endings = len(lines) + 1
    if section.count(b"\n") != endings or section.count(b"\r") != endings or b"\0" in section:
        raise InvalidRequest(f"CR, LF or NUL in {name}")
    return section


# === §2 The status line (RFC 9112 §4) ================================================================


class Head:
    """What the head of a response says; how long its body is (§4), and whether the connection persists (§6)."""

    __slots__ = ("framing", "headers", "persists", "reason", "status", "version")

    def __init__(
        self, status: int, reason: str, version: str, headers: Headers, framing: Framing, persists: bool
    ) -> None:
        self.status = status
        self.reason = reason
        self.version = version
        self.headers = headers
        self.framing = framing
        self.persists = persists


def read_head(reader: ByteReader, method: str) -> Generator[Head | None, None, Head]:
    """Read the head of the final response to this method; those of interim (1xx) responses are yielded on the way.

    Raises:
        ConnectionLost: the connection ended first; `request_sent` is "yes" if a byte had come.
        ProtocolError: something that RFC 9112 does not allow, or 101, which nobody asked for.
        TooLarge: over MAX_LINE, MAX_FIELDS or MAX_INTERIM, or all heads together over MAX_HEAD.
    """
    budget = MAX_HEAD
    for interim in range(MAX_INTERIM + 1):
        try:
            block = yield from _section(reader, _BLANK_LINE, budget, "response head: 100 KiB", begins=b"HTTP/1.")
        except EOFError:
            if not interim and not len(reader):
                raise ConnectionLost("the connection ended before an answer came", request_sent="maybe") from None
            raise ConnectionLost("the connection ended in the head of the response", request_sent="yes") from None
        head = parse_head(method, block)
        if head.status >= 200:
            return head
        if head.status == 101:
            raise _broken("the server switched protocols (101), which was not asked for")
        budget -= len(block)
        if interim < MAX_INTERIM:
            yield head
    raise TooLarge(f"more than {MAX_INTERIM} interim (1xx) responses", request_sent="yes")


def _section(reader: ByteReader, mark: bytes, limit: int, name: str, begins: bytes = b"") -> Steps[bytes]:
    # The bytes up to and with `mark`. What makes them invalid is refused while it waits, and before a limit is, so that
    # the verdict is the same however the bytes were split.
    seen = 0
    while not (section := reader.take_until(mark, limit)):
        start = bytes(reader.data[reader.at : reader.at + len(begins)])
        if not begins.startswith(start):
            hint = ""
            if start[:2] in (b"\x15\x03", b"\x16\x03"):  # an alert, or a handshake message (RFC 8446 §5.1)
                hint = "; the server speaks TLS on this port; is it https://?"
            elif start[:1] == b"\0" and start[3:4] == b"\x04":  # its SETTINGS, which come first (RFC 9113 §3.4)
                hint = '; the server speaks HTTP/2, which http2="only" asks for'
            raise _broken(f"not an HTTP/1 response: it begins with {evidence(start)}{hint}")
        _refuse_illegal(reader.data, reader.at + seen, reader.at + limit)
        if len(reader) >= limit:
            raise TooLarge(f"{name} exceeded", request_sent="yes")
        seen = max(0, len(reader) - 1)
        yield from reader.more()
    return section


# What may stand in a value or a reason. RFC 9110 §5.5 lets a recipient keep control characters but CR, LF and NUL where
# they are safe, and servers put them into cookies. Here they are safe: whoever sends, logs or shows a value checks or
# escapes it. VT and FF are refused, too: some readers take them for the end of a line. All of it is Latin-1,
# of which two ranges are matched sooner than five exceptions.
_TEXT = r"[\x0e-\xff\x01-\t]*"

# What no line may hold, or what ends one without CR.
_ILLEGAL = re.compile(rb"[\x00\v\f]|\r[^\n]|(?<!\r)\n")


def _refuse_illegal(data: bytes | bytearray, start: int, end: int) -> None:
    if fault := _ILLEGAL.search(data, start, end):
        # No more than this: what is around it may be a credential.
        raise _broken(f"NUL, VT, FF or a bare CR or LF in a line of the response: {evidence(bytes(fault[0]))}")


def parse_head(method: str, block: bytes) -> Head:
    """Parse a status line and its fields, up to and with the blank line; raises as `read_head`."""
    first, *lines, _, _ = block.decode("latin-1").split("\r\n")
    status, reason, version = known_status(first)
    if len(lines) > MAX_FIELDS or len(block) > MAX_LINE:
        _refuse_large(block, lines)
    fields, lowered = _fields(lines)
    index = dict(lowered)  # one for framing, keep-alive and the caller, in place of a search each
    if len(index) != len(fields):
        index = Headers.trusted(fields).by_name()
    headers = Headers.trusted(fields, index)
    if status < 200:
        return Head(status, reason, version, headers, 0, persists=False)
    size = framing(method, status, version, index)
    return Head(status, reason, version, headers, size, persists(status, version, index, size))


def _refuse_large(block: bytes, lines: list[str]) -> None:
    _refuse_illegal(block, 0, len(block))
    if len(lines) > MAX_FIELDS:
        raise TooLarge(f"more than {MAX_FIELDS} header lines", request_sent="yes")
    if max(map(len, block.split(_CRLF))) > MAX_LINE:
        raise TooLarge("header line longer than 64 KiB", request_sent="yes")


# Without a reason the space before it may be missing, too (§4 lets a recipient split at white space): some servers send
# "HTTP/1.1 200" (scrapy#345). One of 600 and above is to be treated as 5xx (RFC 9110 §15); below 100 there is none.
_STATUS_LINE = re.compile(rf"HTTP/1\.([0-9]) ([1-9][0-9]{{2}})(?: ({_TEXT}))?")


def status_line(line: str) -> tuple[int, str, str]:
    """The status, the reason and the version that a status line says."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise _broken(f"bad status line: {evidence(line)}")
    minor, status, reason = match.groups()
    # RFC 9110 §2.5: a higher minor version is processed as the highest that we know.
    return int(status), reason or "", "HTTP/1.0" if minor == "0" else "HTTP/1.1"


known_status = lru_cache(32)(status_line)


# === §3 The fields (RFC 9112 §5) =====================================================================


def _fields(lines: list[str]) -> tuple[Pairs, Pairs]:
    # The fields as they came, and with their names in lower case.
    try:
        known = list(map(known_field, lines))
    except ProtocolError:
        unfolded = _unfold(lines)
        if len(unfolded) == len(lines):
            raise
        known = list(map(known_field, unfolded))
    fields, lowered = zip(*known, strict=True) if known else ((), ())
    return fields, lowered


def _unfold(lines: list[str]) -> list[str]:
    # §5.2, obs-fold: a line that begins with white space MUST be taken as the continuation of the one before. The first
    # has none (§2.2).
    fields: list[list[str]] = []
    for line in lines:
        if fields and line[:1] in (" ", "\t"):
            fields[-1].append(line.strip(" \t"))
        else:
            fields.append([line.rstrip(" \t")])
    return [" ".join(parts) for parts in fields]


# No white space before the colon (§5.1).
_FIELD_LINE = re.compile(rf"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):({_TEXT})")


def field_line(line: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """The field that a line says, and the same with its name in lower case."""
    match = _FIELD_LINE.fullmatch(line)
    if match is None:
        raise _broken(_fault(line))
    name, value = match.groups()
    value = value.strip(" \t")
    return (name, value), (name.lower(), value)


known_field = FieldLines(field_line).__getitem__


def _fault(line: str) -> str:
    name, colon, value = line.partition(":")
    if not colon:
        return f"header line without a colon: {evidence(line)}"
    if not _FIELD_LINE.fullmatch(name + ":"):
        return f"header name is not a token (RFC 9110 §5.1): {evidence(name)}"
    illegal = re.sub(_TEXT, "", value)
    return f"header {name} has a character that no field value may hold: {evidence(illegal[:1])}"


# === §4 Framing (RFC 9112 §6.3) ======================================================================


def framing(method: str, status: int, version: str, index: dict[str, str]) -> Framing:
    """How long the body is: a number of bytes, "chunked", or up to the "close" of the connection.

    This is for a final response. The index has its fields by their names in lower case; a ProtocolError if they
    contradict each other or cannot be understood.
    """
    # Step 1: no body, whatever the fields say. (1xx never come here.)
    # Step 2: the tunnel begins after the head of a successful CONNECT; of a refusal only the status counts.
    return 0 if method in ("HEAD", "CONNECT") or status in (204, 304) else declared(version, index)


def declared(version: str, index: dict[str, str]) -> Framing:
    """What the fields say of the length of the body: `framing` from step 3 on."""
    coding = index.get("transfer-encoding")
    length = index.get("content-length")
    if coding is not None:
        # Step 3: "ought to be handled as an error": one of the two came from somebody else.
        if length is not None:
            raise _broken(f"both Transfer-Encoding {evidence(coding)} and Content-Length {evidence(length)}")
        # §6.1: in HTTP/1.0 there is none; the framing is faulty.
        if version == "HTTP/1.0":
            raise _broken(f"Transfer-Encoding {evidence(coding)} in an HTTP/1.0 response")
        # Step 4: we sent no TE, so nothing but chunked, once, may come.
        if coding.lower() != "chunked":
            raise _broken(f"Transfer-Encoding is not chunked: {evidence(coding)}")
        return "chunked"
    # Step 8 (7 is about requests).
    if length is None:
        return "close"
    # Steps 5 and 6: a number, or the same one several times.
    if _is_number(length):
        return int(length)
    first, *others = (value.strip(" \t") for value in length.split(","))
    if not _is_number(first) or any(other != first for other in others):
        raise _broken(f"bad Content-Length: {evidence(length)}")
    return int(first)


def _is_number(text: str) -> bool:
    # int() alone would take "+5", "5_0" and " 5", and fail on 5,000 digits; 19 are more than any file has.
    return text.isdecimal() and len(text) < 20  # Latin-1 has no other decimals


# === §5 The body (RFC 9112 §6 to §8) =================================================================


def read_body(reader: ByteReader, framing: Framing, received: int = 0) -> Generator[bytes | None, None, Pairs]:
    """Read the body: pieces are yielded as soon as they are there, the trailer fields are returned.

    The trailers are kept apart: a field that came after the body must never pass for one of the head (RFC 9110 §6.5.1).

    Args:
        reader: where the bytes wait.
        framing: how long the body is.
        received: bytes of a chunked body that another has read before; they count for the limit of extensions.

    Raises:
        IncompleteBody: the connection ended before the body did.
        ProtocolError: the chunked coding is not as it should be; TooLarge: over MAX_EXTENSIONS or MAX_TRAILERS.
    """
    if framing == "chunked":
        return (yield from _read_chunked(reader, received))
    if framing == "close":
        yield from _read_to_close(reader)
    else:
        yield from _read_length(reader, framing)
    return ()


def _read_length(reader: ByteReader, length: int) -> Generator[bytes | None, None, None]:
    left = length
    while left:
        if piece := reader.take(left):
            left -= len(piece)
            yield piece
        elif reader.ended:
            raise IncompleteBody("the connection ended", request_sent="yes")
        else:
            yield None


def _read_to_close(reader: ByteReader) -> Generator[bytes | None, None, None]:
    while len(reader) or not reader.ended:
        yield reader.take(len(reader)) or None


def _read_chunked(reader: ByteReader, received: int) -> Generator[bytes | None, None, Pairs]:
    extensions = 0
    try:
        while True:
            while not len(reader):
                yield from reader.more()
            if whole := whole_chunks(reader):
                received += len(whole)
                yield whole
            size, extension = chunk_line((yield from _line(reader, MAX_EXTENSIONS, "chunk extensions: 16 KiB")))
            # They are ignored (§7.1.1), so there may be no more of them than the data can justify.
            extensions += extension
            if extensions > MAX_EXTENSIONS + received:
                raise TooLarge("chunk extensions: 16 KiB beyond the data exceeded", request_sent="yes")
            if not size:
                return (yield from _read_trailers(reader))
            while size:
                piece = yield from reader.read_some(size)
                size -= len(piece)
                received += len(piece)
                yield piece
            ending = yield from reader.read_exact(2)
            if ending != _CRLF:
                raise _broken(f"chunk data goes on after its size: {evidence(ending)}")
    except EOFError:
        raise IncompleteBody("the connection ended without the last chunk", request_sent="yes") from None


def _line(reader: ByteReader, limit: int, name: str) -> Steps[bytes]:
    return (reader.take_until(_CRLF, limit) or (yield from _section(reader, _CRLF, limit, name)))[:-2]


# No white space around the size (§7.1), and no more digits than 64 bits have. An extension is not taken apart, but it
# cannot hide a line ending.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})([ \t]*;[\t\x20-\x7e\x80-\xff]*)?")


def chunk_line(line: bytes) -> tuple[int, int]:
    """The size of a chunk, and the number of bytes of its extensions."""
    match = _CHUNK_LINE.fullmatch(line)
    if match is None:
        raise _broken(f"bad chunk size: {evidence(line)}")
    return int(match[1], 16), len(match[2] or b"")


def _read_trailers(reader: ByteReader) -> Steps[Pairs]:
    # One step back, onto the line ending of the last chunk, there is a blank line whether trailers come or not.
    reader.at -= 2
    block = yield from _section(reader, _BLANK_LINE, MAX_TRAILERS, "trailers: 8 KiB")
    _, *lines, _, _ = block.decode("latin-1").split("\r\n")
    return _fields(lines)[0]


# === §6 Keep or close (RFC 9112 §9.3) ================================================================


def persists(status: int, version: str, index: dict[str, str], framing: Framing) -> bool:
    """Whether the response lets the connection carry another request. Bytes left over are for the driver to see."""
    # No HTTP/1.0 keep-alive: it is rare and ambiguous, so we close.
    if framing == "close" or version != "HTTP/1.1":
        return False
    if framing == 0 and _is_doubtful(status, version, index):
        return False
    # Any mention is enough: to close is always safe.
    connection = index.get("connection")
    return connection is None or "close" not in connection.lower()


def _is_doubtful(status: int, version: str, index: dict[str, str]) -> bool:
    # Whether a response without a body announces one: by a 204, or by fields that contradict each other. Its server may
    # send it nevertheless, and it would be taken for the next response.
    if status == 204 and "transfer-encoding" in index:
        return True
    try:
        size = declared(version, index)
    except ProtocolError:
        return True
    return status == 204 and size not in ("close", 0)


def _broken(message: str) -> ProtocolError:
    return ProtocolError(message, request_sent="yes")
