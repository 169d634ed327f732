"""The fields of HTTP/2 (RFC 9113 §8.2, §8.3): those of a request as they are written, those of a response checked.

HPACK is the library's; what we have it do otherwise stands at the end.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hpack import Decoder, Encoder, NeverIndexedHeaderTuple

from ..errors import InvalidRequest, ProtocolError, TooLarge, evidence
from ..masking import is_secret
from .http11 import MAX_FIELDS

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any

    from ..model.headers import Pairs
    from ..model.messages import RawRequest

    Fields = list[tuple[bytes, bytes]]

# Lower case (§8.2.1); no control character but HTAB, and no white space around a value.
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
# What belongs to a connection of HTTP/1.1 makes a response malformed (§8.2.2), and a request, too.
_OF_THE_CONNECTION = {"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "te"}


# --- Those of a request (§8.3.1) ------------------------------------------------------------------


def request_fields(request: RawRequest) -> Fields:
    """The fields of a request in HTTP/2: Host becomes `:authority`, and those of a connection are left out.

    Raises:
        InvalidRequest: as `Session.open`.
    """
    authority = ""
    fields = []
    for name, value in request.headers:
        name = name.lower()
        if name == "host":
            authority = value
        elif name not in _OF_THE_CONNECTION:
            fields.append(sent_field(name, value))
    if not request.target or " " in request.target:
        raise InvalidRequest(f"a character that a request target cannot hold: {evidence(request.target)}")
    return [
        sent_field(":method", request.method),
        sent_field(":scheme", request.scheme),
        sent_field(":authority", authority),
        sent_field(":path", request.target),
        *fields,
        _TE,
    ]


# We hand trailers on, and some servers send none unless they are told so (RFC 9110 §10.1.4).
_TE = (b"te", b"trailers")


def sent_field(name: str, value: str) -> tuple[bytes, bytes]:
    """A field of a request or its trailers as HPACK takes it; raises `InvalidRequest` for what none can hold."""
    # The core has checked every token and value; this is the last door before the wire.
    name = name.lower()
    if is_secret(name):
        return NeverIndexedHeaderTuple(*_written(name, value))  # RFC 7541 §7.1.3
    return _usual(name, value) if len(value) <= 256 else _written(name, value)


def _written(name: str, value: str) -> tuple[bytes, bytes]:
    try:
        field = name.encode("ascii"), value.strip(" \t").encode("latin-1")
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"a request cannot hold the character {error.object[error.start]!a}") from None
    if not _NAME.fullmatch(field[0].removeprefix(b":")) or not _VALUE.fullmatch(field[1]):
        raise InvalidRequest("a control character in the method, the target or a field of a request")
    return field


_usual = lru_cache(1024)(_written)


# --- Those of a response (§8.3.2) -----------------------------------------------------------------


def checked_fields(fields: Fields, budget: int, limit: str) -> Pairs:
    """The fields of a response, or its trailers, as pairs of text.

    Raises:
        ProtocolError: one is malformed, which makes the response so (§8.1.1).
        TooLarge: over MAX_FIELDS, or the budget, in bytes; `limit` is how the error calls that.
    """
    if len(fields) > MAX_FIELDS:
        raise TooLarge(f"more than {MAX_FIELDS} header lines")
    pairs = tuple(_known(*field) if len(field[0]) + len(field[1]) <= 256 else _field(*field) for field in fields)
    if size_of(pairs) > budget:
        raise TooLarge(f"{limit} exceeded")
    return pairs


def size_of(pairs: Pairs) -> int:
    """The bytes of these fields, as they would be in HTTP/1.1."""
    return sum(len(name) + len(value) + 4 for name, value in pairs)


def _field(name: bytes, value: bytes) -> tuple[str, str]:
    if name is _CONTENT_LENGTH:
        name = b"content-length"
    if not _NAME.fullmatch(name):
        raise ProtocolError(f"a field name that HTTP/2 does not allow there: {evidence(name)}")
    text = name.decode("ascii")
    if text in _OF_THE_CONNECTION:
        raise ProtocolError(f"the field {text} has no place in HTTP/2 (RFC 9113 §8.2.2)")
    if not _VALUE.fullmatch(value):
        raise ProtocolError(f"field {text} has a value that no field may have, or white space around it")
    return text, value.decode("latin-1")


_kept = lru_cache(1024)(_field)


def _known(name: bytes, value: bytes) -> tuple[str, str]:
    # A server repeats its fields. No credential is kept.
    if name is _CONTENT_LENGTH or is_secret(name.decode("latin-1")):
        return _field(name, value)
    return _kept(name, value)


# --- HPACK ----------------------------------------------------------------------------------------


class PlainEncoder(Encoder):
    """Leaves out Huffman's code (RFC 7541 §5.2).

    It saves little where most fields are indices, and for a large field the library takes quadratic time.
    """

    def encode(self, headers: Any, huffman: bool = True) -> bytes:
        block: bytes = super().encode(headers, huffman=False)
        return block


class HidingDecoder(Decoder):
    """Hides Content-Length from h2, which would end the connection where only one response is wrong.

    Its length is held against the body where that of HTTP/1.1 is.
    """

    def decode(self, data: Any, raw: bool = False) -> Any:
        return [
            (_CONTENT_LENGTH, field[1]) if field[0] == b"content-length" else field
            for field in super().decode(data, raw=raw)
        ]


# Told by its identity, which no server can send.
_CONTENT_LENGTH = bytes(bytearray(b"content-length, hidden"))
