"""Content codings (RFC 9110 §8.4): which ones we ask for, and how each is undone, in bounded memory.

A body passes through one stage for each coding, a chain of generators: whatever a few bytes decode to, only one piece
is in memory at a time. Every stage has limits, not only the last, because data between stages is work as well, and so
are empty members. A body that is corrupt, cut short or followed by other data is an error, never a shorter body. If one
coding cannot be undone, the whole body stays as it is.

Left out: transfer codings (the backend undoes them), `compress` (LZW is long dead) and dictionaries (RFC 9842).
"""

from __future__ import annotations

import zlib
from functools import cache, partial
from io import BytesIO

from ..errors import DecodingError, TooLarge, evidence

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    Library = tuple[Callable[[], "_Decompressor"], type[Exception]]

MAX_CODINGS = 5  # as curl and urllib3
MAX_PIECE = 64 * 1024  # bytes that a stage gives at once
RATIO_FLOOR = 16 * 1024**2  # decoded bytes up to which no ratio is suspicious
MEMBER = 8 * 1024  # decoded bytes that each further member counts as: starting one takes about as long
PAUSE = 256 * 1024  # bytes of work after which a stage lets its driver look at the clock
ZSTD_WINDOW = 8 * 1024**2  # bytes; RFC 9659 §3

# Bytes that a stage takes at once. At each call zlib copies what is left over, so a large chunk that decodes to very
# much would take quadratic time.
_STEP = 16 * 1024


@cache
def accept_encoding() -> str:
    """The value of Accept-Encoding: the codings that can be undone here (RFC 9110 §12.5.3)."""
    codings = ["gzip", "deflate"]
    if _brotli() is not None:
        codings.append("br")
    if _has_zstd():
        codings.append("zstd")
    return ", ".join(codings)


def decoder(
    content_encoding: str | None,
    *,
    max_bytes: int | None = None,
    max_ratio: float | None = None,
    streamed: bool = False,
) -> Decoder | None:
    """What undoes these codings (the value of the field, None without one); None if there are none, or an unknown one.

    Args:
        max_bytes: the most decoded bytes of each stage; None for any number.
        max_ratio: the most decoded bytes of a stage for each byte received, counted from `RATIO_FLOOR` on; each
            member after the first counts as `MEMBER` of them.
        streamed: whether a reader bounds what the last stage gives; then only its members count.

    Raises:
        TooLarge: for more than five codings.
    """
    if not content_encoding:
        return None
    names = [name for item in content_encoding.split(",") if (name := item.strip(" \t").lower())]
    names = [name for name in names if name != "identity"]
    if len(names) > MAX_CODINGS:
        raise TooLarge(
            f"{len(names)} content codings are over the limit of {MAX_CODINGS}: {evidence(content_encoding)}",
            request_sent="yes",
        )
    budget = _Budget(max_bytes, max_ratio)
    # They are listed in the order in which they were applied.
    stages = [_stage(name, budget) for name in reversed(names)]
    known = [stage for stage in stages if stage is not None]
    if not known or len(known) < len(stages):
        return None
    known[-1].is_streamed = streamed
    return Decoder(known, budget)


class Decoder:
    """Undoes the codings of one body. Made by `decoder()`; it does no I/O."""

    __slots__ = ("_budget", "_stages")

    def __init__(self, stages: list[_Stage], budget: _Budget) -> None:
        self._stages = stages
        self._budget = budget

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What this chunk decodes to, in pieces of at most 64 KiB, to be exhausted before the next chunk is fed.

        An empty piece is a pause after much work, to look at the clock and let others go on. Raises `DecodingError` for
        data that is corrupt or goes on after its end, and `TooLarge` for a stage over its limits.
        """
        self._budget.received += len(chunk)
        pieces: Iterable[bytes] = (chunk,)
        for stage in self._stages:
            pieces = stage.decode(pieces)
        yield from pieces

    def finish(self) -> None:
        """Raise `DecodingError` if the body was cut short."""
        for stage in self._stages:
            stage.finish()


class _Budget:
    """What each stage of one body may cost."""

    __slots__ = ("max_bytes", "max_ratio", "received")

    def __init__(self, max_bytes: int | None, max_ratio: float | None) -> None:
        self.max_bytes = max_bytes
        self.max_ratio = max_ratio
        self.received = 0

    def check(self, given: int, members: int) -> None:
        """Refuse a stage that has given so many bytes and begun so many members after the first, if it is too much."""
        if self.max_bytes is not None and given > self.max_bytes:
            raise TooLarge(f"the decoded body is over the limit of {self.max_bytes} bytes", request_sent="yes")
        work = given + members * MEMBER
        if self.max_ratio is None or work <= RATIO_FLOOR or work <= self.max_ratio * self.received:
            return
        what = f"{given} from {self.received}" if given > members * MEMBER else f"{members} members"
        raise TooLarge(
            f"the decoded body is over the limit of {self.max_ratio} bytes for each byte received ({what})",
            request_sent="yes",
        )


class _Stage:
    """One coding of one body: one member after the other, if the coding allows several."""

    __slots__ = ("_budget", "_coding", "_error", "_given", "_member", "_members", "_open", "_work", "is_streamed")

    def __init__(
        self, coding: str, opener: Callable[[], _Decompressor], error: type[Exception], budget: _Budget
    ) -> None:
        self._coding = coding
        self._open = opener
        self._error = error
        self._budget = budget
        self._member: _Decompressor | None = None
        self._members = 0  # after the first
        self._given = self._work = 0
        self.is_streamed = False

    def decode(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if not chunk:
                yield chunk  # a pause of the stage before
            for start in range(0, len(chunk), _STEP):
                yield from self._decode(chunk[start : start + _STEP])

    def _decode(self, data: bytes) -> Iterator[bytes]:
        member = self._member or self._next_member(data)
        while data or not (member.eof or member.needs_input):
            if member.eof:
                if self._coding == "gzip" and not (data := data.lstrip(b"\0")):
                    break  # gzip files from tapes and disk blocks are padded with zeros, which every gunzip ignores
                member = self._next_member(data)
            try:
                piece = member.decompress(data, MAX_PIECE)
            except self._error as error:
                raise DecodingError(f"the {self._coding} body is corrupt: {error}", request_sent="yes") from error
            data = member.unused_data if member.eof else b""
            if piece:
                self._count(len(piece))
                yield piece
            if self._work >= PAUSE:
                self._work = 0
                yield b""

    def _count(self, given: int) -> None:
        self._work += given or MEMBER
        if given and not self.is_streamed:
            self._given += given
        self._budget.check(self._given, self._members)

    def _next_member(self, data: bytes) -> _Decompressor:
        # RFC 1952 §2.2 and RFC 8878 §3.1 allow several members (frames); deflate and br have one end.
        if self._member is not None:
            if self._coding not in ("gzip", "zstd"):
                raise DecodingError(
                    f"the {self._coding} body is followed by other data: {evidence(data, 16)}", request_sent="yes"
                )
            self._members += 1
            self._count(0)
        self._member = self._open()
        return self._member

    def finish(self) -> None:
        # An empty body has no member; servers send Content-Encoding with those, too.
        if self._member is not None and not self._member.eof:
            raise DecodingError(f"the {self._coding} body is cut short", request_sent="yes")


def _stage(coding: str, budget: _Budget) -> _Stage | None:
    if coding in ("gzip", "x-gzip"):  # RFC 9110 §8.4.1.3
        return _Stage("gzip", partial(_Zlib, 16 + zlib.MAX_WBITS), zlib.error, budget)
    if coding == "deflate":
        return _Stage(coding, _Deflate, zlib.error, budget)
    library = _brotli() if coding == "br" else _zstd() if coding == "zstd" else None
    return library and _Stage(coding, *library, budget)


# --- The decompressors, one for each member ---


class _Decompressor:
    """The interface of the standard library's own: `bz2`, `lzma` and `compression.zstd`."""

    eof = False
    needs_input = True
    unused_data = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        raise NotImplementedError


class _Zlib(_Decompressor):
    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.decompressobj(wbits)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._zlib.decompress(data or self._zlib.unconsumed_tail, max_length)
        # After a full piece, there may be more in zlib's own window.
        self.needs_input = len(piece) < max_length and not self._zlib.unconsumed_tail
        self.eof = self._zlib.eof
        self.unused_data = self._zlib.unused_data
        return piece


class _Deflate(_Zlib):
    """deflate means the zlib format (RFC 9110 §8.4.1.2), but some servers send raw deflate (RFC 1951)."""

    def __init__(self) -> None:
        super().__init__(zlib.MAX_WBITS)
        self._head: bytes | None = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._head is not None:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return b""
            # RFC 1950 §2.2: the method is 8, and the first two bytes are a multiple of 31. In raw deflate, a first
            # byte that ends in 8 would be a stored block with garbage as padding.
            if data[0] & 0x0F != 8 or int.from_bytes(data[:2], "big") % 31:
                self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            self._head = None
        return super().decompress(data, max_length)


class _Brotli(_Decompressor):
    def __init__(self, library: Any) -> None:
        self._brotli = library.Decompressor()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        # The library stops once it has *passed* the limit, block by block; the first has 32 KiB, the second 64. Data
        # after the end is an error of its own.
        piece: bytes = self._brotli.process(data, output_buffer_limit=max_length // 4)
        self.eof = self._brotli.is_finished()
        # It accepts more once its input is used up, even if there is output left.
        self.needs_input = not piece and self._brotli.can_accept_more_data()
        return piece


class _Zstandard(_Decompressor):
    """The package `zstandard` has no limit on what it gives at once, but 4 bytes make at most 128 KiB (RFC 8878
    §3.1.1.2), so it is fed in spoonfuls. Used where the two libraries with a limit are missing."""

    def __init__(self, library: Any) -> None:
        self._zstandard = library.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
        self._input = self._output = BytesIO()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._input = BytesIO(data)
        while not (piece := self._output.read(max_length)):
            if self._zstandard.eof or not (spoonful := self._input.read(64)):
                break
            self._output = BytesIO(self._zstandard.decompress(spoonful))
        self.needs_input = not piece
        self.eof = self.needs_input and self._zstandard.eof
        if self.eof:
            self.unused_data = self._zstandard.unused_data + self._input.read()
        return piece


# --- The libraries: the only third-party imports of the policies, made when a coding is first needed ---


@cache
def _brotli() -> Library | None:
    for library in _importable("brotli", "brotlicffi"):
        # Before 1.2 the output had no limit, so that a bomb could not be stopped.
        if hasattr(library.Decompressor, "can_accept_more_data"):
            return partial(_Brotli, library), library.error
    return None


@cache
def _zstd() -> Library | None:
    for library in _importable("compression.zstd", "backports.zstd"):
        options = {library.DecompressionParameter.window_log_max: ZSTD_WINDOW.bit_length() - 1}
        return partial(library.ZstdDecompressor, options=options), library.ZstdError
    for library in _importable("zstandard"):
        return partial(_Zstandard, library), library.ZstdError
    return None


def _importable(*names: str) -> Iterator[Any]:
    from importlib import import_module

    for name in names:
        try:
            library = import_module(name)
        except ImportError:
            continue
        yield library


def _has_zstd() -> bool:
    # Found but not imported, because that takes long, and the server may not use the coding.
    from importlib.util import find_spec

    for name in ("_zstd", "backports.zstd", "zstandard"):  # _zstd is what compression.zstd is built on
        try:
            if find_spec(name) is not None:
                return True
        except ImportError:  # of the package around it
            continue
    return False
