"""What a handler answers: a response as a value, which goes out the same in memory and on a socket."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, TypeAlias

from ..backends.base import Capability
from ..errors import IncompleteBody, shown
from ..model.headers import Headers
from .steps import Close, Drip, Flood, Pause, Reset, Script, Stall, Step, Truncate, field_pairs

# What a body is made of: bytes, waits, and what ends it early: a step of a script, or an error.
Pieces: TypeAlias = "Iterable[bytes | Step | BaseException]"
Fields: TypeAlias = "Mapping[str, str] | Iterable[tuple[str, str]]"
_NOTHING: Any = object()


class Answer:
    """A response to one request.

    Args:
        status: the status code.
        body: bytes, or text as UTF-8.
        json: the body as JSON; Content-Type is set, too.
        chunks: the body piece by piece, with chunked coding: bytes, `Pause(seconds)` between them, a `Drip`, and at the
            end perhaps `Close()`, `Reset()`, `Stall()` or an error, which cut it short.
        headers: fields, as they are to be received.
        trailers: fields after the chunks, for backends that report them.
        interim: 1xx responses before it, as `(status, fields)`, for backends that report them.
        reason: the reason phrase; by default that of the status.
        http_version: `"HTTP/1.1"`, `"HTTP/1.0"` or `"HTTP/2"`.

    Raises:
        TypeError, ValueError: no response can be like that.
    """

    def __init__(
        self,
        status: int = 200,
        body: bytes | str = b"",
        *,
        json: Any = _NOTHING,
        chunks: Pieces | None = None,
        headers: Fields = (),
        trailers: Fields = (),
        interim: Iterable[tuple[int, Fields]] = (),
        reason: str | None = None,
        http_version: str = "HTTP/1.1",
    ) -> None:
        if (json is not _NOTHING) + bool(body) + (chunks is not None) > 1:
            raise TypeError("an answer has one body: body=, json= or chunks=")
        if not isinstance(status, int) or isinstance(status, bool):
            raise TypeError(
                f"a status is a number such as 200, not {shown(status)}; a body is given by body=, json= or chunks="
            )
        if not 200 <= status <= 999:
            raise ValueError(f"a status is from 200 to 999, not {status}; interim= is for those of 1xx")
        if not isinstance(body, (bytes, str)):
            raise TypeError(f"body= is bytes or text, not {type(body).__name__}; json= writes a value as JSON")
        self.status = status
        self.headers = pairs(headers)
        self.body = body.encode() if isinstance(body, str) else body
        if json is not _NOTHING:
            self.body = json_module.dumps(json, separators=(",", ":"), ensure_ascii=False).encode()
            if "content-type" not in Headers(self.headers):
                self.headers.append(("Content-Type", "application/json"))
        if chunks is not None and (isinstance(chunks, (bytes, str)) or not isinstance(chunks, Iterable)):
            raise TypeError(f"chunks= is an iterable of bytes and steps, not {type(chunks).__name__}")
        self.chunks = None if chunks is None else list(chunks)
        if status in (204, 304) and (self.body or self.chunks):
            raise ValueError(f"a response with status {status} has no body (RFC 9110 §6.4.1)")
        self.trailers = pairs(trailers, "trailers")
        if not isinstance(interim, Iterable) or not all(isinstance(each, tuple) and len(each) == 2 for each in interim):
            raise TypeError("interim= is pairs of a status and fields, such as [(103, {'Link': …})]")
        self.interim = [(number, pairs(fields, "interim")) for number, fields in interim]
        known = HTTPStatus._value2member_map_
        self.reason = reason if reason is not None else HTTPStatus(status).phrase if status in known else ""
        self.http_version = http_version
        self.framed = True  # False: the fields say themselves how long the body is
        self.parsed: Iterator[Any] | None = None  # what a script gives as body
        self.parsed_trailers: list[tuple[str, str]] = []

    def parts(self, method: str, capabilities: frozenset[Capability]) -> tuple[Any, ...]:
        """Status, fields, pieces, trailers and interim responses, as a backend of these capabilities gives them."""
        interim: list[tuple[int, Headers]] = []
        if Capability.INTERIM_EVENTS in capabilities:
            interim = [(status, Headers.trusted(fields)) for status, fields in self.interim]
        if self.parsed is not None:
            return self.status, self.headers, self.parsed, self.parsed_trailers, interim
        told: list[tuple[str, str]] = []
        pieces = self._pieces(told if Capability.TRAILERS in capabilities else [])
        return self.status, self._fields(), iter(()) if self._is_empty(method) else pieces, told, interim

    def _fields(self) -> list[tuple[str, str]]:
        given = {name.lower() for name, _ in self.headers}
        if not self.framed or self.status in (204, 304) or given & {"content-length", "transfer-encoding"}:
            return self.headers
        if self.chunks is None:
            return [*self.headers, ("Content-Length", str(len(self.body)))]
        return [*self.headers, ("Transfer-Encoding", "chunked")]

    def _is_empty(self, method: str) -> bool:
        return method == "HEAD" or self.status in (204, 304)

    def _pieces(self, trailers: list[tuple[str, str]]) -> Iterator[Any]:
        for piece in [self.body] if self.chunks is None else self.chunks:
            yield from unrolled(piece)
        trailers += self.trailers

    def script(self, method: str) -> list[Script]:
        """The same as a script of `testing.Server`."""
        lines = [_head("HTTP/1.1", status, "", fields) for status, fields in self.interim]
        version = "HTTP/1.1" if self.http_version == "HTTP/2" else self.http_version
        script: list[Any] = [*lines, _head(version, self.status, self.reason, self._fields())]
        if self._is_empty(method):
            return script
        if self.chunks is None:
            return [*script, self.body]
        framed = any(name.lower() == "transfer-encoding" for name, _ in self._fields())
        for piece in self.chunks:
            for item in unrolled(piece, ends=False):
                plain = not isinstance(item, bytes) or not framed
                script.append(item if plain else b"%x\r\n%b\r\n" % (len(item), item))
        if framed:
            script.append(
                b"0\r\n%b\r\n" % "".join(f"{name}: {value}\r\n" for name, value in self.trailers).encode("latin-1")
            )
        return script


def _head(version: str, status: int, reason: str, fields: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"{version} {status} {reason}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def pairs(fields: Fields, argument: str = "headers") -> list[tuple[str, str]]:
    """Fields as a list of pairs.

    Raises:
        TypeError: they are something else; this names the argument.
        ValueError: a name or a value holds what ends a line; whoever wants that sent gives a script of bytes.
    """
    found = field_pairs(argument, fields)
    for name, value in found:
        if any(mark in name + value for mark in "\r\n\0"):
            raise ValueError(f"the field {name!r} has a line break or NUL in it; a script of bytes can send that")
    return found


def unrolled(piece: Any, *, ends: bool = True) -> Iterator[Any]:
    """What a piece of a body comes to: bytes and waits; and with `ends` an error for a step that breaks it off."""
    if isinstance(piece, Drip):
        for start in range(0, len(piece.data), piece.size):
            if start:
                yield Pause(piece.every)
            yield piece.data[start : start + piece.size]
    elif isinstance(piece, Flood):
        if piece.times == float("inf"):
            raise TypeError("a Flood in memory needs a number of times")
        yield from (piece.data for _ in range(int(piece.times)))
    elif isinstance(piece, Stall):
        yield Pause(float("inf"))
    elif isinstance(piece, (Close, Truncate, Reset)) and ends:
        yield IncompleteBody(f"the connection ended within the body ({type(piece).__name__})", request_sent="yes")
    elif isinstance(piece, str):
        yield piece.encode()
    elif isinstance(piece, (bytes, bytearray, Step, BaseException)):
        yield bytes(piece) if isinstance(piece, bytearray) else piece
    else:
        raise TypeError(f"a body is made of bytes and steps like Pause, not of {shown(piece)}")
