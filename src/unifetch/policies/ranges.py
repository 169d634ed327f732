"""Going on with a download: when what is there and what the server has are the same, byte for byte.

The rest of a file may only be put behind its beginning if a strong validator says that both are of one
representation (RFC 9110 §8.8.1), and if the server says which bytes it sends. Where there is any doubt, the
answer is to begin again: that costs time, and a mixed file costs more.

Left out: several ranges in one response (`multipart/byteranges`), which nobody here asks for.
"""

from __future__ import annotations

import re

from ..errors import InvalidSetting, evidence
from ..model.frozen import Value

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

    from ..model.headers import Headers, Pairs

    DigestTypes: TypeAlias = "str | Mapping[str, str] | None"

# Seconds by which a Last-Modified has to be in the past to be believed: clocks differ, and a file that changed
# twice within its second has one date for two contents.
SETTLED = 60

_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]{0,1024}"\Z')  # RFC 9110 §8.8.3; W/ marks a weak one
_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\Z")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)\Z", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
_ALGORITHM = re.compile(r"sha-?(256|384|512)\Z", re.IGNORECASE)
_REPR_DIGEST = re.compile(r"(?:^|,)[ \t]*sha-(256|512)=:([A-Za-z0-9+/]{43,86}={1,2}):[ \t]*(?=,|\Z)")


class Validator(Value):
    """What tells one version of a file from another.

    Attributes:
        field: `"etag"` or `"last-modified"`.
        value: the value of that field.
        total: bytes of the whole file, or None if that was not said.
    """

    field: str
    value: str
    total: int | None

    def __init__(self, field: str, value: str, total: int | None) -> None:
        vars(self).update(field=field, value=value, total=total)

    @classmethod
    def of_response(cls, status: int, headers: Headers) -> Validator | None:
        """The strong validator of a whole file that is being received, or None: then it cannot be gone on with."""
        if status != 200 or is_encoded(headers):
            return None
        etag, modified = headers.get("etag"), headers.get("last-modified", "")
        if etag is not None:
            # Beside an entity tag, even a weak one, the date must not be used (RFC 9110 §13.1.5).
            return cls("etag", etag, length_of(headers)) if _STRONG_ETAG.match(etag) else None
        then, now = _seconds(modified), _seconds(headers.get("date", ""))
        if then is None or now is None or now - then < SETTLED:  # RFC 9110 §8.8.2.2
            return None
        return cls("last-modified", modified, length_of(headers))

    @classmethod
    def of_saved(cls, saved: Any) -> Validator | None:
        """What `vars()` of a validator gave, read from a file that anybody may have written; None for anything else."""
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
        """What asks for the bytes from `start` on, or for all of them if the file is another one by now."""
        return ("Range", f"bytes={start}-"), ("If-Range", self.value)

    def accepts(self, headers: Headers, start: int) -> Span | None:
        """What a 206 sends, if it is the rest of this file from `start` on; None if there is any doubt."""
        # A 206 need not repeat the date (RFC 9110 §15.3.7); but a server that never heard of If-Range may leave it out.
        if headers.get(self.field) != self.value or is_encoded(headers) or _has_ranges(headers):
            return None
        match = _CONTENT_RANGE.match(headers.get("content-range", ""))
        if match is None:
            return None
        first, end, total = int(match[1]), int(match[2]) + 1, self.total if match[3] == "*" else int(match[3])
        if total is None or not first == start < end <= total or self.total not in (None, total):
            return None  # without a total, nobody knows whether this is all of the rest: a server may send less
        return Span(end, total) if length_of(headers) in (None, end - first) else None

    def is_contradicted(self, headers: Headers) -> bool:
        """Whether a 200 that answers the request for the rest contradicts itself: it claims to be all of the file, and
        to be a part of it, or to be this version, which has another length."""
        if is_part(headers):
            return True
        is_same = headers.get(self.field) == self.value and not is_encoded(headers)
        return is_same and self.total is not None and self.total != length_of(headers)


class Span(Value):
    """Where the bytes of a 206 end, and how many the whole file has."""

    end: int
    total: int

    def __init__(self, end: int, total: int) -> None:
        vars(self).update(end=end, total=total)


def is_part(headers: Headers) -> bool:
    """Whether a response that is no 206 says that it is only a part, though its status says that it is all."""
    said = headers.get("content-range")
    if said is None:
        return _has_ranges(headers)
    match = _CONTENT_RANGE.match(said)
    if match is None or match[3] == "*":
        return True
    end, total = int(match[2]) + 1, int(match[3])
    return int(match[1]) != 0 or end != total or length_of(headers) not in (None, total)


def _has_ranges(headers: Headers) -> bool:
    """Whether the body is several ranges, each with a head of its own (RFC 9110 §14.6)."""
    kind: str = headers.get("content-type", "")
    return kind.lower().startswith("multipart/byteranges")


def is_encoded(headers: Headers) -> bool:
    """Whether the body is in a content coding: then its bytes are not those of the file."""
    return headers.get("content-encoding", "identity").lower() not in ("", "identity")


def length_of(headers: Headers) -> int | None:
    """The Content-Length; None without one, or one that is no single number (which the exchange has judged)."""
    length = headers.get("content-length", "")
    return int(length) if _LENGTH.match(length) else None


def _seconds(date: str) -> float | None:
    """Seconds since the epoch of an IMF-fixdate (RFC 9110 §5.6.7); None for the obsolete forms, too."""
    if not _DATE.match(date):
        return None
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):  # a 31st of February
        return None


# --- Digests --------------------------------------------------------------------------------------


def expected_digests(digest: DigestTypes) -> dict[str, str]:
    """Digests in small hexadecimal letters by the name that `hashlib` has for their algorithm.

    Args:
        digest: `"sha-256:…"`, or a mapping from algorithms to digests, in hexadecimal. SHA-2 only: with what can
            be forged, nothing is verified.

    Raises:
        InvalidSetting: for another algorithm, or a digest that is none.
    """
    if digest is None:
        return {}
    if isinstance(digest, str):
        name, _, value = digest.partition(":")
        digest = {name: value}
    expected = {}
    for name, value in dict(digest).items():
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
    """The same of a Repr-Digest field (RFC 9530 §3), which is of the whole file, also in a 206.

    A digest of another algorithm, and what is not in its form, is as if it was not there.
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
