"""Resuming a download: when the part that is there and the server's file are the same, byte for byte.

The rest of a file may only be appended to its beginning if a strong validator says that both are of one representation
(RFC 9110 §8.8.1), and if the server says which bytes it sends. When in doubt, the download begins again: that costs
time, but a mixed file costs more.

Left out: several ranges in one response (`multipart/byteranges`), which nobody here asks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import InvalidSetting, evidence
from ..model.frozen import Record

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from ..model.headers import Headers, Pairs

    DigestTypes: TypeAlias = "str | Mapping[str, str] | None"

# How many seconds old a Last-Modified must be to be believed: clocks differ, and a file that changed twice within one
# second has one date for two contents.
SETTLED = 60

_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]{0,1024}"\Z')  # RFC 9110 §8.8.3; a weak one begins with W/
_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\Z")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)\Z", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
_ALGORITHM = re.compile(r"sha-?(256|384|512)\Z", re.IGNORECASE)
_REPR_DIGEST = re.compile(r"(?:^|,)[ \t]*sha-(256|512)=:([A-Za-z0-9+/]{43,86}={1,2}):[ \t]*(?=,|\Z)")


class Validator(Record):
    """What tells one version of a file from another.

    Attributes:
        field: `"etag"` or `"last-modified"`.
        value: the value of that field.
        total: bytes of the whole file, or None if unknown.
    """

    field: str
    value: str
    total: int | None

    @classmethod
    def of_response(cls, status: int, headers: Headers) -> Validator | None:
        """The strong validator of a whole file that is being received; None if the download cannot be resumed."""
        if status != 200 or is_encoded(headers):
            return None
        etag, modified = headers.get("etag"), headers.get("last-modified", "")
        if etag is not None:
            # With an entity tag, even a weak one, the date must not be used (RFC 9110 §13.1.5).
            return cls("etag", etag, length_of(headers)) if _STRONG_ETAG.match(etag) else None
        then, now = _seconds(modified), _seconds(headers.get("date", ""))
        if then is None or now is None or now - then < SETTLED:  # RFC 9110 §8.8.2.2
            return None
        return cls("last-modified", modified, length_of(headers))

    @classmethod
    def of_saved(cls, saved: Any) -> Validator | None:
        """From the `vars()` of a validator, read from a file that anybody may have written; None for anything else."""
        if not isinstance(saved, dict) or set(saved) != {"field", "value", "total"}:
            return None
        field, value, total = saved["field"], saved["value"], saved["total"]
        form = {"etag": _STRONG_ETAG, "last-modified": _DATE}.get(field) if isinstance(field, str) else None
        if form is None or not isinstance(value, str) or not form.match(value):
            return None
        if total is not None and (type(total) is not int or total < 1):
            return None
        return cls(field, value, total)

    def request_fields(self, start: int) -> Pairs:
        """The fields that ask for the bytes from `start` on, or for all of them if the file has changed."""
        return ("Range", f"bytes={start}-"), ("If-Range", self.value)

    def accepts(self, headers: Headers, start: int) -> Span | None:
        """What a 206 sends, if it is the rest of this file from `start` on; None if there is any doubt."""
        # A 206 need not repeat the date (RFC 9110 §15.3.7), but neither does a server that does not know If-Range.
        if headers.get(self.field) != self.value or is_encoded(headers) or _has_ranges(headers):
            return None
        match = _CONTENT_RANGE.match(headers.get("content-range", ""))
        if match is None:
            return None
        first, end, total = int(match[1]), int(match[2]) + 1, self.total if match[3] == "*" else int(match[3])
        if total is None or not first == start < end <= total or self.total not in (None, total):
            return None  # without a total, nobody knows whether this is all of the rest; a server may send less
        return Span(end, total) if length_of(headers) in (None, end - first) else None

    def is_contradicted(self, headers: Headers) -> bool:
        """Whether a 200 to the request for the rest contradicts itself: it claims to be the whole file, but also to be
        a part, or to be this version, which has another length."""
        if is_part(headers):
            return True
        is_same = headers.get(self.field) == self.value and not is_encoded(headers)
        return is_same and self.total is not None and self.total != length_of(headers)


class Span(Record):
    """Where the bytes of a 206 end, and how many the whole file has."""

    end: int
    total: int


def is_part(headers: Headers) -> bool:
    """Whether a response that is no 206 says that it is only a part of the file, against its status."""
    said = headers.get("content-range")
    if said is None:
        return _has_ranges(headers)
    match = _CONTENT_RANGE.match(said)
    if match is None or match[3] == "*":
        return True
    end, total = int(match[2]) + 1, int(match[3])
    return int(match[1]) != 0 or end != total or length_of(headers) not in (None, total)


def _has_ranges(headers: Headers) -> bool:
    """Whether the body is several ranges, each with its own head (RFC 9110 §14.6)."""
    kind: str = headers.get("content-type", "")
    return kind.lower().startswith("multipart/byteranges")


def is_encoded(headers: Headers) -> bool:
    """Whether the body has a content coding: then its bytes are not those of the file."""
    return headers.get("content-encoding", "identity").lower() not in ("", "identity")


def length_of(headers: Headers) -> int | None:
    """The Content-Length; None without one, or if it is not a single number, which `incoming` has judged."""
    length = headers.get("content-length", "")
    return int(length) if _LENGTH.match(length) else None


def _seconds(date: str) -> float | None:
    """Seconds since the epoch of an IMF-fixdate (RFC 9110 §5.6.7); None for anything else, obsolete forms included."""
    if not _DATE.match(date):
        return None
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):  # a 31st of February
        return None


# --- Digests --------------------------------------------------------------------------------------


def expected_digests(digest: DigestTypes) -> dict[str, str]:
    """Digests in lower-case hexadecimal, by the names that `hashlib` has for their algorithms.

    They are given as `"sha-256:…"`, or as a mapping from algorithms to digests, in hexadecimal. Only SHA-2: a digest
    that can be forged verifies nothing. Raises `InvalidSetting` for another algorithm, or a malformed digest.
    """
    if digest is None:
        return {}
    if isinstance(digest, str):
        name, _, value = digest.partition(":")
        digest = {name: value}
    if not isinstance(digest, Mapping):
        shown = type(digest).__name__
        raise InvalidSetting(f'digest: "sha-256:…", or a mapping from algorithms to such digits, not {shown}')
    expected = {}
    for name, value in digest.items():
        match = _ALGORITHM.match(name) if isinstance(name, str) else None
        if match is None:
            shown = evidence(name) if isinstance(name, str) else type(name).__name__
            raise InvalidSetting(f"digest: the algorithm is sha-256, sha-384 or sha-512, not {shown}")
        digits = int(match[1]) // 4
        if not isinstance(value, str) or not re.match(rf"[0-9A-Fa-f]{{{digits}}}\Z", value):
            shown = evidence(value) if isinstance(value, str) else type(value).__name__
            raise InvalidSetting(f"digest: of sha-{match[1]} it has {digits} hexadecimal digits; this is {shown}")
        expected[f"sha{match[1]}"] = value.lower()
    return expected


def repr_digests(headers: Headers) -> dict[str, str]:
    """The same from a Repr-Digest field (RFC 9530 §3), which is about the whole file, also in a 206.

    Other algorithms, and what is malformed, are ignored.
    """
    from binascii import Error, a2b_base64

    found = {}
    for bits, encoded in _REPR_DIGEST.findall(headers.get("repr-digest", "")):
        try:
            raw = a2b_base64(encoded, strict_mode=True)
        except Error:
            continue
        if len(raw) * 8 == int(bits):
            found[f"sha{bits}"] = raw.hex()
    return found
