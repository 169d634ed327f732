"""Content codings: what we ask for, and what a body in them decodes to, bounded and never half."""

from __future__ import annotations

import gzip
import os
import sys
import tracemalloc
import zlib
from importlib import import_module
from types import ModuleType

import pytest

from unifetch.errors import DecodingError, TooLarge
from unifetch.policies import decoding

TEXT = b"The quick brown fox jumps over the lazy dog. " * 40
ZEROS = bytes(1024**2)


@pytest.fixture(autouse=True)
def fresh():
    """The libraries are looked for once; each test looks anew, before and after."""
    caches = (decoding.accept_encoding, decoding._brotli, decoding._zstd)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture(params=["brotli", "brotlicffi"])
def brotli(request, monkeypatch):
    library = pytest.importorskip(request.param)
    only(monkeypatch, request.param, "brotli", "brotlicffi")
    return library


@pytest.fixture(params=["compression.zstd", "backports.zstd", "zstandard"])
def zstd(request, monkeypatch):
    library = pytest.importorskip(request.param)
    only(monkeypatch, request.param, "compression.zstd", "backports.zstd", "zstandard", "_zstd")
    return library


def only(monkeypatch, wanted, *names):
    """Make as if none but the wanted one of these libraries were installed."""
    for name in names:
        if name != wanted:
            monkeypatch.setitem(sys.modules, name, None)


def decode(body, coding, *, chunk=None, **limits):
    """Everything that the body decodes to, fed in chunks of this size."""
    decoder = decoding.decoder(coding, **limits)
    step = chunk or max(len(body), 1)
    pieces = [piece for i in range(0, len(body), step) for piece in decoder.feed(body[i : i + step])]
    decoder.finish()
    return b"".join(pieces)


def raw_deflate(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


# --- Which codings are undone -----------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "identity", "Identity, identity", " , ,"])
def test_nothing_to_undo(value):
    """Without a coding there is no decoder, and so no cost."""
    assert decoding.decoder(value) is None


@pytest.mark.parametrize("value", ["foo", "foo, gzip", "gzip, foo", "compress", "x-deflate", "gzip;q=1", "*"])
def test_an_unknown_coding_leaves_the_body_encoded(value):
    """A chain is undone as a whole or not at all: never half-decoded."""
    assert decoding.decoder(value) is None


@pytest.mark.parametrize("value", ["gzip", "GZip", "x-gzip", "identity, gzip", "gzip,\tidentity", ", gzip ,,"])
def test_names_are_case_insensitive_and_empty_elements_ignored(value):
    """RFC 9110 §5.6.1 and §8.4.1."""
    assert decode(gzip.compress(TEXT), value) == TEXT


def test_codings_are_undone_in_reverse_order():
    """They are listed in the order in which they were applied (RFC 9110 §8.4)."""
    body = gzip.compress(zlib.compress(TEXT))

    assert decode(body, "deflate, gzip") == TEXT
    with pytest.raises(DecodingError):
        decode(body, "gzip, deflate")


def test_five_codings_are_undone():
    """The limit itself is accepted, at any cut of the body."""
    body = TEXT
    for _ in range(5):
        body = gzip.compress(body)

    assert decode(body, ", ".join(["gzip"] * 5), chunk=1) == TEXT


@pytest.mark.parametrize("count", [6, 12, 1000])
def test_more_than_five_codings_are_refused(count):
    """An error that names the limit, before anything is decoded, known codings or not."""
    with pytest.raises(TooLarge, match=f"{count} content codings are over the limit of 5") as raised:
        decoding.decoder(", ".join(["foo", *["gzip"] * (count - 1)]))

    assert raised.value.request_sent == "yes"
    assert len(str(raised.value)) < 250


# --- What we ask for ----------------------------------------------------------------------------------


def test_only_what_can_be_undone_is_asked_for(monkeypatch):
    """Without the optional libraries: gzip and deflate, and br and zstd are unknown codings."""
    only(monkeypatch, None, "brotli", "brotlicffi", "compression.zstd", "backports.zstd", "zstandard", "_zstd")

    assert decoding.accept_encoding() == "gzip, deflate"
    assert decoding.decoder("br") is None
    assert decoding.decoder("zstd") is None


def test_br_is_asked_for_where_it_is_installed(brotli, monkeypatch):
    """Either package will do."""
    only(monkeypatch, None, "compression.zstd", "backports.zstd", "zstandard", "_zstd")

    assert decoding.accept_encoding() == "gzip, deflate, br"


def test_zstd_is_asked_for_where_it_is_installed(zstd, monkeypatch):
    """In the standard library from Python 3.14 on, and in either package."""
    if zstd.__name__ == "compression.zstd":
        monkeypatch.delitem(sys.modules, "_zstd")
    only(monkeypatch, None, "brotli", "brotlicffi")

    assert decoding.accept_encoding() == "gzip, deflate, zstd"


def test_a_brotli_without_output_limit_is_not_used(monkeypatch):
    """Before 1.2 the library could not bound its output."""
    old = ModuleType("brotli")
    old.Decompressor = type("Decompressor", (), {})
    monkeypatch.setitem(sys.modules, "brotli", old)
    monkeypatch.setitem(sys.modules, "brotlicffi", None)

    assert "br" not in decoding.accept_encoding().split(", ")
    assert decoding.decoder("br") is None


# --- gzip -----------------------------------------------------------------------------------------------

GZIP = gzip.compress(TEXT)


@pytest.mark.parametrize("chunk", [1, 2, 7, 1000, None])
def test_gzip_members_are_concatenated(chunk):
    """RFC 1952 §2.2: a file is a series of members, empty ones included, wherever the chunks are cut."""
    body = GZIP + gzip.compress(b"") + gzip.compress(b"more")

    assert decode(body, "gzip", chunk=chunk) == TEXT + b"more"


@pytest.mark.parametrize("chunk", [1, 3, None])
def test_gzip_may_be_padded_with_zeros(chunk):
    """As every gunzip does, zeros after a member are ignored; there is nothing in them to lose."""
    assert decode(GZIP + bytes(1000), "gzip", chunk=chunk) == TEXT


@pytest.mark.parametrize("chunk", [1, None])
@pytest.mark.parametrize("rest", [b"x", b"\x1f", b"\x1f\x8b", b"\0\0x", b"\r\n", b"<!-- served in 3 ms -->"])
def test_gzip_followed_by_something_else(rest, chunk):
    """What follows a member is a member."""
    with pytest.raises(DecodingError) as raised:
        decode(GZIP + rest, "gzip", chunk=chunk)

    assert raised.value.request_sent == "yes"


def test_gzip_cut_at_every_byte():
    """A truncated body is never a shorter body."""
    for length in range(1, len(GZIP)):
        with pytest.raises(DecodingError, match="cut short"):
            decode(GZIP[:length], "gzip")


@pytest.mark.parametrize("at", [0, 1, 2, 3, -1, -4, -5, -8])
def test_gzip_that_is_corrupt(at):
    """The header, the CRC and the length are checked."""
    body = bytearray(GZIP)
    body[at] ^= 0xFF

    with pytest.raises(DecodingError, match="the gzip body is corrupt"):
        decode(bytes(body), "gzip")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, deflate"])
def test_a_body_without_a_byte_is_empty(coding):
    """Servers name a coding on empty bodies, too; there is nothing in them that could be cut short."""
    assert decode(b"", coding) == b""


def test_20000_empty_members():
    """They are an empty body to whoever wants no bound, and are looked at in many small steps."""
    decoder = decoding.decoder("gzip")
    pieces = list(decoder.feed(gzip.compress(b"") * 20_000))

    assert {b""} == set(pieces)
    assert 20_000 * decoding.MEMBER // decoding.PAUSE - 1 <= len(pieces)


@pytest.mark.parametrize("streamed", [True, False])
def test_members_count_by_the_share_of_what_was_received(streamed):
    """As many members as come with enough bytes are no bomb; those that are next to nothing are one."""
    large = gzip.compress(os.urandom(60)) * 10_000
    small = gzip.compress(b"") * 10_000

    assert len(decode(large, "gzip", max_ratio=200, streamed=streamed)) == 600_000
    with pytest.raises(TooLarge, match="members"):
        decode(small, "gzip", max_ratio=200, streamed=streamed)


def test_every_stage_is_bounded():
    """What goes from one stage to the next counts as what comes out of the last, also for a stream."""
    hollow = gzip.compress(gzip.compress(b"") * 100)
    for limits in ({"max_bytes": 1000}, {"max_bytes": 1000, "streamed": True}):
        with pytest.raises(TooLarge, match="1000 bytes"):
            decode(hollow, "gzip, gzip", **limits)


@pytest.mark.parametrize("kind", ["empty frames", "skippable frames"])
def test_zstd_frames_count(kind, zstd):
    """Empty frames and skippable ones are work as well."""
    frame = zstd.compress(b"") if kind == "empty frames" else b"\x50\x2a\x4d\x18\0\0\0\0"

    assert decode(frame * 100 + zstd.compress(b"end"), "zstd", max_ratio=200) == b"end"
    with pytest.raises(TooLarge, match="members"):
        decode(frame * 10_000, "zstd", max_ratio=200)


# --- deflate --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 2, 1000, None])
@pytest.mark.parametrize("data", [b"", b"a", TEXT])
@pytest.mark.parametrize("compress", [zlib.compress, raw_deflate])
def test_deflate_is_zlib_or_raw(compress, data, chunk):
    """The first two bytes tell, even when they come one by one."""
    assert decode(compress(data), "deflate", chunk=chunk) == data


@pytest.mark.parametrize("compress", [zlib.compress, raw_deflate])
def test_deflate_cut_at_every_byte(compress):
    """A truncated body is never a shorter body."""
    body = compress(TEXT)
    for length in range(1, len(body)):
        with pytest.raises(DecodingError, match="cut short"):
            decode(body[:length], "deflate")


@pytest.mark.parametrize("chunk", [1, None])
@pytest.mark.parametrize("compress", [zlib.compress, raw_deflate])
def test_deflate_followed_by_other_data(compress, chunk):
    """It has one end, and the message shows what came after it."""
    with pytest.raises(DecodingError, match="the deflate body is followed by other data: b'x"):
        decode(compress(TEXT) + b"xyz", "deflate", chunk=chunk)


def test_deflate_with_a_wrong_checksum():
    """Adler-32 is checked (RFC 1950 §2.2)."""
    with pytest.raises(DecodingError, match="the deflate body is corrupt"):
        decode(zlib.compress(TEXT)[:-1] + b"\0", "deflate")


# --- br ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, None])
@pytest.mark.parametrize("data", [b"", TEXT, ZEROS[: 65536 * 3 + 1]])
def test_br(brotli, data, chunk):
    """RFC 7932, wherever the chunks are cut."""
    assert decode(brotli.compress(data), "br", chunk=chunk) == data


@pytest.mark.parametrize("chunk", [1, None])
def test_br_followed_by_other_data(brotli, chunk):
    """It has one end."""
    with pytest.raises(DecodingError):
        decode(brotli.compress(TEXT) + b"x", "br", chunk=chunk)


def test_br_cut_or_corrupt(brotli):
    """A truncated body is never a shorter body; an invalid one is an error of ours."""
    body = brotli.compress(TEXT)
    for length in range(1, len(body)):
        with pytest.raises(DecodingError, match="cut short"):
            decode(body[:length], "br")
    with pytest.raises(DecodingError, match="the br body is corrupt"):
        decode(b"\xff" * 20, "br")


# --- zstd -------------------------------------------------------------------------------------------------

SKIPPABLE = b"\x50\x2a\x4d\x18\x03\0\0\0abc"  # RFC 8878 §3.1.2


@pytest.mark.parametrize("chunk", [1, 7, None])
@pytest.mark.parametrize("data", [b"", TEXT, ZEROS])
def test_zstd(zstd, data, chunk):
    """RFC 8878, wherever the chunks are cut."""
    assert decode(zstd.compress(data), "zstd", chunk=chunk) == data


@pytest.mark.parametrize("chunk", [1, 7, None])
def test_zstd_frames_are_concatenated(zstd, chunk):
    """RFC 8878 §3.1: frames in a row, skippable ones and empty ones included."""
    body = zstd.compress(TEXT) + SKIPPABLE + zstd.compress(b"") + zstd.compress(b"more") + SKIPPABLE

    assert decode(body, "zstd", chunk=chunk) == TEXT + b"more"


@pytest.mark.parametrize("chunk", [1, None])
@pytest.mark.parametrize("rest", [b"x", b"\0\0\0\0", b"not a frame"])
def test_zstd_followed_by_something_else(zstd, rest, chunk):
    """What follows a frame is a frame."""
    with pytest.raises(DecodingError):
        decode(zstd.compress(TEXT) + rest, "zstd", chunk=chunk)


def test_zstd_cut_or_corrupt(zstd):
    """A truncated body is never a shorter body; an invalid one is an error of ours."""
    body = zstd.compress(TEXT)
    for length in range(1, len(body)):
        with pytest.raises(DecodingError, match="cut short"):
            decode(body[:length], "zstd")
    with pytest.raises(DecodingError, match="the zstd body is corrupt"):
        decode(b"\xff" * 20, "zstd")


def test_zstd_with_a_window_over_8_mib(zstd):
    """RFC 9659: a window of 8 MiB is accepted, a larger one refused, whatever the memory that there is."""
    head, block = b"\x28\xb5\x2f\xfd\x00", b"\x09\x00\x00A"  # one raw block of one byte, the last

    assert decode(head + bytes([(23 - 10) << 3]) + block, "zstd") == b"A"
    with pytest.raises(DecodingError, match=r"the zstd body is corrupt: .*too much memory"):
        decode(head + bytes([(24 - 10) << 3]) + block, "zstd")


# --- Bombs ------------------------------------------------------------------------------------------------


def bomb(coding):
    """32 MiB of zeros."""
    if coding == "br":
        return import_module("brotli").compress(ZEROS * 32)
    if coding == "zstd":
        return import_module("zstandard").compress(ZEROS * 32)
    return zlib.compress(ZEROS * 32, wbits=31 if coding == "gzip" else 15)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, gzip", "deflate, gzip, gzip"])
def test_a_bomb_goes_off_in_small_pieces(coding):
    """However much a chunk decodes to, pieces are of 64 KiB at most, and one is in memory at a time."""
    first, *others = coding.split(", ")
    body = bomb(first)
    for _ in others:
        body = gzip.compress(body)
    decoder = decoding.decoder(coding)
    tracemalloc.start()
    try:
        sizes = [len(piece) for piece in decoder.feed(body)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sum(sizes) == 32 * 1024**2
    assert max(sizes) <= 64 * 1024
    assert peak < 1024**2
    decoder.finish()


@pytest.mark.parametrize("coding", ["br", "zstd", "br, zstd", "zstd, br", "br, gzip", "zstd, zstd"])
def test_a_bomb_of_a_library_goes_off_in_small_pieces(coding):
    """The same, through the libraries, whose own windows are not ours to see."""
    brotli, zstandard = pytest.importorskip("brotli"), pytest.importorskip("zstandard")
    first, *others = coding.split(", ")
    body = bomb(first)
    for other in others:
        body = {"br": brotli, "zstd": zstandard, "gzip": gzip}[other].compress(body)
    decoder = decoding.decoder(coding)

    sizes = [len(piece) for piece in decoder.feed(body)]

    assert sum(sizes) == 32 * 1024**2
    assert max(sizes) <= 64 * 1024
    decoder.finish()


def test_a_stack_works_only_as_far_as_it_is_read():
    """The chain is lazy: one piece of the outermost coding costs one step of each."""
    decoder = decoding.decoder("gzip, gzip", max_bytes=100 * 1024)
    pieces = decoder.feed(gzip.compress(gzip.compress(ZEROS)))

    assert len(next(pieces)) == 64 * 1024
    with pytest.raises(TooLarge, match="the decoded body is over the limit of 102400 bytes") as raised:
        next(pieces)

    assert raised.value.request_sent == "yes"


def test_a_body_of_exactly_the_limit():
    """`max_bytes` counts decoded bytes over all chunks, and is itself accepted."""
    assert decode(GZIP, "gzip", chunk=5, max_bytes=len(TEXT)) == TEXT
    with pytest.raises(TooLarge):
        decode(GZIP, "gzip", chunk=5, max_bytes=len(TEXT) - 1)


def test_a_ratio_is_counted_from_16_mib_on():
    """Small bodies may be as dense as they like; what is large must have come in as much."""
    dense = gzip.compress(ZEROS * 16)

    assert len(decode(dense, "gzip", max_ratio=100)) == 16 * 1024**2
    with pytest.raises(TooLarge, match="over the limit of 100 bytes for each byte received"):
        decode(dense + gzip.compress(b"x"), "gzip", max_ratio=100)
    assert len(decode(dense + gzip.compress(b"x"), "gzip", max_ratio=1100)) == 16 * 1024**2 + 1
