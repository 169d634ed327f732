"""Takes HTTP/1.1 messages apart, field by field, as they stand in a recording: what the wire explorer colours and
aligns.

It is no parser to trust: it shows whatever came, malformed or not, and says where the standard and our parser
speak of it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .answers import FRAMES, PREFACE, frames

PARSER = "wire/http11.py"
SOURCE = Path(__file__).parent.parent.parent / "src" / "unifetch"

# What a piece is: where the standard speaks of it, and which function of our parser reads or writes it.
KINDS = {
    "method": ("RFC 9110 §9", "request_head"),
    "target": ("RFC 9112 §3.2", "target_bytes"),
    "version": ("RFC 9112 §2.3", "status_line"),
    "status": ("RFC 9110 §15", "status_line"),
    "reason": ("RFC 9112 §4", "status_line"),
    "framing": ("RFC 9112 §6.3", "framing"),
    "connection": ("RFC 9112 §9.3", "persists"),
    "field": ("RFC 9112 §5", "field_line"),
    "end": ("RFC 9112 §2.1", "read_head"),
    "size": ("RFC 9112 §7.1", "chunk_line"),
    "chunk": ("RFC 9112 §7.1", "_read_chunked"),
    "body": ("RFC 9112 §6", "_read_length"),
    "malformed": ("RFC 9112 §2.2", "_fault"),
}
# Fields of which another section says more.
FIELDS = {
    "host": ("field", "RFC 9110 §7.2"),
    "user-agent": ("field", "RFC 9110 §10.1.5"),
    "accept": ("field", "RFC 9110 §12.5.1"),
    "accept-encoding": ("field", "RFC 9110 §12.5.3"),
    "connection": ("connection", "RFC 9112 §9.6"),
    "content-length": ("framing", "RFC 9112 §6.2"),
    "transfer-encoding": ("framing", "RFC 9112 §6.1"),
    "content-type": ("field", "RFC 9110 §8.3"),
    "content-encoding": ("field", "RFC 9110 §8.4"),
    "authorization": ("field", "RFC 9110 §11.6.2"),
    "location": ("field", "RFC 9110 §10.2.2"),
    "cookie": ("field", "RFC 6265 §5.4"),
    "set-cookie": ("field", "RFC 6265 §5.2"),
    "retry-after": ("field", "RFC 9110 §10.2.3"),
}


# The frames of HTTP/2: the kind that gives their colour, and the section of RFC 9113 (§6 has them in order).
OF_FRAMES = {
    "DATA": "body",
    "HEADERS": "field",
    "RST_STREAM": "malformed",
    "GOAWAY": "connection",
    "PING": "connection",
}


@dataclass(frozen=True)
class Piece:
    """Some bytes of a message.

    Attributes:
        key: what it is aligned by: pieces of two messages that have the same key stand side by side.
        kind: a name of `KINDS`, which is also its colour.
        text: the bytes, one character each (ISO-8859-1).
        section: of the standard.
        line: of our parser; 0 where it has none.
        is_frame: whether it is one of HTTP/2.
    """

    key: str
    kind: str
    text: str
    section: str
    line: int
    is_frame: bool = False


@dataclass(frozen=True)
class Message:
    """What went one way without a break, in pieces.

    Attributes:
        connection: 1 for the first.
        way: `"sent"` or `"received"`.
        at: seconds since the call began.
        pieces: in the order of the wire.
    """

    connection: int
    way: str
    at: float
    pieces: tuple[Piece, ...]


def messages(record: dict[str, Any]) -> list[Message]:
    """The messages of a recording."""
    times = record["at"]
    found = []
    by_frames = {number for number, way, data in record["wire"] if way == "sent" and data.startswith(PREFACE)}
    for (connection, way, data), at in zip(record["wire"], times, strict=True):
        pieces = _frames(data) if connection in by_frames else _pieces(data, way)
        found.append(Message(connection, way, at, tuple(pieces)))
    return found


def as_data(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The same as plain data, for the script of the explorer."""
    return [asdict(message) for message in messages(record)]


@cache
def lines() -> dict[str, int]:
    """Where each function of our parser begins; empty where there is no parser of that name."""
    path = SOURCE / PARSER
    if not path.exists():
        return {}
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name: node.lineno for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _piece(key: str, kind: str, text: str, section: str = "") -> Piece:
    known, function = KINDS[kind]
    return Piece(key, kind, text, section or known, lines().get(function, 0))


def _frames(data: str) -> list[Piece]:
    """What HTTP/2 sends: a piece for each frame, and one for what comes before the first."""
    found = []
    if data.startswith(PREFACE):
        found.append(Piece("preface", "end", PREFACE, "RFC 9113 §3.4", 0))
    seen: dict[str, int] = {}
    for kind, flags, stream, whole in frames(data.removeprefix(PREFACE)):
        name = FRAMES[kind] if kind < len(FRAMES) else f"frame of type {kind}"
        acknowledged = " (acknowledged)" if flags & 1 and name in ("SETTINGS", "PING") else ""
        key = f"{name}{acknowledged}, stream {stream}"
        seen[key] = seen.get(key, 0) + 1
        section = f"RFC 9113 §6.{kind + 1}"
        found.append(Piece(f"{key} {seen[key]}", OF_FRAMES.get(name, "framing"), whole, section, 0, is_frame=True))
    return found


def _pieces(data: str, way: str) -> list[Piece]:
    head, blank, body = data.partition("\r\n\r\n")
    first, *fields = head.split("\r\n")
    found = _first_line(first, way, more=bool(fields or blank))
    if not found:  # what follows in a stream: a piece of a body
        return [_piece("body", "body", data)]
    seen: dict[str, int] = {}
    chunked = False
    for index, line in enumerate(fields):
        end = "\r\n" if index < len(fields) - 1 or blank else ""
        name, colon, value = line.partition(":")
        lowered = name.strip().lower()
        count = seen[lowered] = seen.get(lowered, 0) + 1
        kind, section = FIELDS.get(lowered, ("field", ""))
        if not colon or line[:1] in " \t" or name != name.strip():
            kind = "malformed"
        chunked = chunked or (lowered == "transfer-encoding" and "chunked" in value)
        found.append(_piece(f"{lowered or 'line'} {count}", kind, line + end, section))
    if blank:
        found.append(_piece("end of head", "end", "\r\n"))
    if re.match(r"HTTP/1\.1 1\d\d ", first) and body:
        return found + [_again(piece) for piece in _pieces(body, way)]
    return found + (_chunks(body) if chunked else [_piece("body", "body", body)] if body else [])


def _again(piece: Piece) -> Piece:
    """A piece of the response that follows an interim one."""
    return Piece(f"{piece.key} (final)", piece.kind, piece.text, piece.section, piece.line)


def _first_line(line: str, way: str, *, more: bool) -> list[Piece]:
    end = "\r\n" if more else ""
    if way == "sent":
        found = re.fullmatch(r"([A-Z]+ )(\S+)( HTTP/\S+)", line)
        kinds = ("method", "target", "version")
    else:
        found = re.fullmatch(r"(HTTP/\S+ )(\S+)(.*)", line, re.DOTALL)
        kinds = ("version", "status", "reason")
    if not found:
        return []
    texts = [found[1], found[2], found[3] + end]
    return [_piece(kind, kind, text) for kind, text in zip(kinds, texts, strict=True) if text]


def _chunks(body: str) -> list[Piece]:
    found: list[Piece] = []
    number = 0
    while body:
        number += 1
        size = re.match(r"([0-9A-Fa-f]+)[^\r\n]*\r\n", body)
        if not size:
            return [*found, _piece(f"chunk {number}", "malformed", body)]
        found.append(_piece(f"size of chunk {number}", "size", size[0]))
        body = body[size.end() :]
        length = int(size[1], 16)
        data = body[: length + 2]
        if data:
            found.append(_piece(f"chunk {number}", "chunk" if data.endswith("\r\n") else "malformed", data))
        body = body[length + 2 :]
    return found
