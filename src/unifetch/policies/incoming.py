"""The body of a response on its way to the caller: checked against its framing, decoded, limited.

No I/O: a driver feeds it what arrives and passes on what it gives back. A body that is shorter than declared is an
error, never a short success (RFC 9112 §8).
"""

from __future__ import annotations

import re
from functools import lru_cache
from io import BytesIO
from math import inf

from ..errors import IncompleteBody, ProtocolError, TooLarge, evidence

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..model.headers import Headers
    from .decoding import Decoder
    from .limits import Limits

IN_PLACE = 256 * 1024  # bytes; for a smaller body, reading it into place saves nothing
ON_TRUST = 16 * 1024**2  # the most bytes to allocate for a length that is only declared
GROWTH = 64  # how many times what has come may be allocated


class Incoming:
    """One body: what is known of it, and how much has come.

    Framing that contradicts itself (RFC 9112 §6.3) is a `ProtocolError`; a length over `limits.body`, or too many
    content codings, are `TooLarge`.

    Args:
        method, status, headers: of the request and the response.
        limits: bounds on the decoded bytes.
        whole: whether it is read into memory; a stream is bounded by its reader, except for what the reader never sees.
        decode: whether its content coding is undone.

    Attributes:
        expected: the bytes that it must have, or None if only its end tells.
        received: the bytes that have come.
        is_decoded: whether a content coding is undone.
    """

    __slots__ = ("_decoder", "_most", "expected", "is_decoded", "received")

    def __init__(
        self,
        method: str,
        status: int,
        headers: Headers,
        limits: Limits,
        *,
        whole: bool = True,
        decode: bool = True,
    ) -> None:
        by_name = headers.by_name()
        self.expected = expected = _expected_length(method, status, by_name)
        self.received = 0
        self._most = most = limits.body if whole and limits.body is not None else inf
        if expected is not None:
            if expected > most:
                raise self._too_large()
            self._most = expected
        coding = by_name.get("content-encoding")
        self._decoder: Decoder | None = None
        if coding is not None and expected != 0 and decode:
            from .decoding import decoder

            max_bytes = limits.body if whole else None
            self._decoder = decoder(coding, max_bytes=max_bytes, max_ratio=limits.ratio, streamed=not whole)
        self.is_decoded = self._decoder is not None

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        """What this piece of the body decodes to, in limited pieces. An empty one is a pause; see `Decoder.feed`.

        Raises `TooLarge` for a body over `limits.body`, before or after decoding, and `IncompleteBody` for one that is
        longer than declared, which may never end.
        """
        self.received += len(chunk)
        if self.received > self._most:
            if self.expected is None:
                raise self._too_large()
            raise IncompleteBody("more came than was declared", request_sent="yes")
        return (chunk,) if self._decoder is None else self._decoder.feed(chunk)

    def is_all(self, chunk: bytes) -> bool:
        """Whether this first piece is the whole body, without a coding: most small ones come so, and are then done."""
        if self._decoder is None and len(chunk) == self.expected and type(chunk) is bytes:
            self.received = self.expected
            return True
        return False

    def place(self) -> Buffer | None:
        """Where to read a large body into instead of feeding it, if it has a length and no coding; else None."""
        if self.expected is None or self.expected < IN_PLACE or self._decoder is not None:
            return None
        return Buffer(self, self.expected)

    def locate(self, error: IncompleteBody) -> None:
        """Say in the message of an error where in the body it happened."""
        declared = "" if self.expected is None else f" of {self.expected}"
        error.args = (f"{error}, after {self.received}{declared} bytes of the body",)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is over the limit of {self._most} bytes", request_sent="yes")

    def finish(self) -> None:
        """Raise `IncompleteBody` for fewer bytes than declared, or `DecodingError` for a coding that was cut short."""
        if self.expected is not None and self.received != self.expected:
            raise IncompleteBody("the connection ended", request_sent="yes")
        if self._decoder is not None:
            self._decoder.finish()


class Buffer:
    """Memory for a body of declared length, filled from its start, which saves joining its pieces.

    The length is only declared, so the first allocation is limited, and it grows with what has come: each time one part
    in `GROWTH` is copied. Memory that is not written to costs only addresses.

    Attributes:
        room: where the next bytes go; empty once all have come.
    """

    __slots__ = ("_incoming", "_length", "_whole", "room")

    def __init__(self, incoming: Incoming, length: int) -> None:
        self._incoming = incoming
        self._length = size = length
        while size > ON_TRUST:
            size = -(-size // GROWTH)
        self._whole = BytesIO(bytes(size))
        self.room = self._whole.getbuffer()

    def fill(self, read_into: Callable[[memoryview], int], check: Callable[[], object]) -> bytes:
        """The body, once all of it has come; `IncompleteBody` for fewer bytes than declared.

        Args:
            read_into: reads what is there into memory, and returns the number of bytes, 0 at the end.
            check: called when something has come; if it raises, the body ends.
        """
        room = self.room
        try:
            while room and (count := read_into(room)):
                check()
                room = self.filled(count)
            self._incoming.finish()
        finally:
            self.room.release()  # a BytesIO must not be collected while its buffer is in use
        return self._whole.getvalue()  # its buffer, without a copy, because nobody else can write to it any more

    def filled(self, count: int) -> memoryview:
        """Note that so many bytes have come into the room, and return the next room."""
        received = self._incoming.received = self._incoming.received + count
        self.room = self.room[count:]
        if not self.room and received < self._length:
            larger = BytesIO(bytes(min(received * GROWTH, self._length)))
            self.room.release()
            larger.write(self._whole.getbuffer())
            self._whole, self.room = larger, larger.getbuffer()[received:]
        return self.room


def _expected_length(method: str, status: int, by_name: dict[str, str]) -> int | None:
    """The bytes that the body must have, or None if only its end tells (RFC 9112 §6.3).

    These rules apply to every backend, whatever its library makes of such a head.
    """
    if method == "HEAD" or status == 204 or status == 304:
        return 0  # step 1: whatever the fields say
    length = by_name.get("content-length")
    coding = by_name.get("transfer-encoding")
    if coding is None:
        return None if length is None else _length(length)
    if length is not None:
        raise ProtocolError(
            f"both Transfer-Encoding {evidence(coding)} and Content-Length {evidence(length)}", request_sent="yes"
        )
    if coding.lower() != "chunked":
        raise ProtocolError(f"Transfer-Encoding {evidence(coding)} is not chunked", request_sent="yes")
    return None


@lru_cache(256)
def _length(value: str) -> int:
    if value.isdecimal() and value.isascii() and len(value) < 20:  # as nearly all are
        return int(value)
    if not re.fullmatch(r"[0-9]{1,19}(?:[ \t]*,[ \t]*[0-9]{1,19})*", value):
        raise ProtocolError(f"bad Content-Length: {evidence(value)}", request_sent="yes")
    # The same value, repeated, is allowed (RFC 9110 §8.6).
    values = {each.strip(" \t") for each in value.split(",")}
    if len(values) > 1:
        raise ProtocolError(f"conflicting Content-Length: {evidence(value)}", request_sent="yes")
    return int(values.pop())
