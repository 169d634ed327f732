"""The body of a response: its framing, its count and its coding decide what comes out, or which error."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from unifetch import (
    DecodingError,
    Headers,
    IncompleteBody,
    InvalidSetting,
    Limits,
    ProtocolError,
    TooLarge,
    TotalTimeout,
)
from unifetch.policies.incoming import GROWTH, IN_PLACE, ON_TRUST, Incoming
from unifetch.policies.limits import MAX_FIELDS, MAX_HEAD, MAX_LINE, check_head

WHOLE = Limits()
NO_LIMITS = Limits(body=None, ratio=None)


def body_of(
    *chunks: bytes, headers: Any = None, method: str = "GET", status: int = 200, limits: Limits = WHOLE
) -> bytes:
    """What the caller gets when these chunks arrive."""
    incoming = Incoming(method, status, Headers(headers), limits)
    try:
        pieces = [piece for chunk in chunks for piece in incoming.feed(chunk)]
        incoming.finish()
    except IncompleteBody as error:
        incoming.locate(error)
        raise
    return b"".join(pieces)


# --- Framing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Content-Length": "0"}, 0),
        ({"Content-Length": "5"}, 5),
        ({"content-length": "0005"}, 5),
        ({"Content-Length": "5, 5"}, 5),
        ({"Content-Length": "5,5 ,\t5"}, 5),
        ([("Content-Length", "5"), ("content-LENGTH", "5")], 5),
        ({"Content-Length": "4611686018427387904"}, 2**62),
        ({"Transfer-Encoding": "chunked"}, None),
        ({"Transfer-Encoding": "CHUNKED"}, None),
    ],
)
def test_framing(headers: Any, expected: int | None) -> None:
    """By a length, once or the same one repeated; by chunks; or by the end of the connection (RFC 9112 §6.3)."""
    assert expected == Incoming("GET", 200, Headers(headers), NO_LIMITS).expected


LENGTHS = ["", "+5", "-5", "5.0", "1_0", "1 0", "0x5", "1e3", "5;", "5,", ",5", "5,,5", "abc", "\xb2", "5\t5"]


@pytest.mark.parametrize("length", [*LENGTHS, "5, 6", "5, 05", "9" * 30])
def test_length_that_is_none(length: str) -> None:
    """A length is ASCII digits and nothing else, whatever `int` makes of it; two must not differ."""
    with pytest.raises(ProtocolError, match="Content-Length") as caught:
        Incoming("GET", 200, Headers({"Content-Length": length}), WHOLE)

    assert "yes" == caught.value.request_sent


CODINGS = ["", "identity", "gzip", "gzip, chunked", "chunked, chunked", "xchunked", "chunked;q=1", "chun\tked"]


@pytest.mark.parametrize("coding", [*CODINGS, "chun\xe2\x84\xaaed"])  # a Kelvin sign is no k
def test_transfer_coding_that_is_not_chunked(coding: str) -> None:
    """One that we have not asked for is not read at all (RFC 9112 §6.1)."""
    with pytest.raises(ProtocolError, match="not chunked"):
        Incoming("GET", 200, Headers({"Transfer-Encoding": coding}), WHOLE)


def test_both_framings() -> None:
    """Length and chunks together are how requests are smuggled (RFC 9112 §6.3)."""
    with pytest.raises(ProtocolError, match="both Transfer-Encoding 'chunked' and Content-Length '5'"):
        Incoming("GET", 200, Headers({"Content-Length": "5", "Transfer-Encoding": "chunked"}), WHOLE)


@pytest.mark.parametrize("fields", [{"Content-Length": "5", "Transfer-Encoding": "x"}, {"Content-Length": "x"}])
def test_framing_of_nothing(fields: dict[str, str]) -> None:
    """Where there is no content, nothing is asked of what the fields say of it (RFC 9112 §6.3, rule 1)."""
    assert b"" == body_of(headers=fields, method="HEAD")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("POST", 204)])
def test_no_body(method: str, status: int) -> None:
    """HEAD, 204 and 304 have none, whatever length and coding are declared."""
    assert b"" == body_of(headers={"Content-Length": "5", "Content-Encoding": "gzip"}, method=method, status=status)


@pytest.mark.parametrize("limits", [WHOLE, NO_LIMITS])
@pytest.mark.parametrize(("chunks", "received"), [([], 0), ([b"abcd"], 4), ([b"ab", b"cd"], 4), ([b"abc", b"def"], 6)])
def test_incomplete(chunks: list[bytes], received: int, limits: Limits) -> None:
    """Neither fewer nor more bytes than declared are a success."""
    with pytest.raises(IncompleteBody, match=f"after {received} of 5 bytes") as caught:
        body_of(*chunks, headers={"Content-Length": "5"}, limits=limits)

    assert "yes" == caught.value.request_sent


def test_complete() -> None:
    """Pieces as they come make the whole."""
    assert b"abcde" == body_of(b"ab", b"cde", headers={"Content-Length": "5"})
    assert b"abcde" == body_of(b"ab", b"cde")


def test_pieces_are_passed_on_at_once() -> None:
    """Nothing waits for the next piece."""
    incoming = Incoming("GET", 200, Headers(), WHOLE)

    assert [[b"a"], [b"bc"]] == [list(incoming.feed(b"a")), list(incoming.feed(b"bc"))]


# --- Codings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("gzip, deflate", lambda data: zlib.compress(gzip.compress(data))),
    ],
)
def test_coding(coding: str, encode: Any, size: int) -> None:
    """The length counts what is sent, the caller gets what it means, wherever it was cut."""
    data = b"the same again and again " * 100
    sent = encode(data)
    headers = {"Content-Encoding": coding, "Content-Length": str(len(sent))}
    chunks = [sent[start : start + size] for start in range(0, len(sent), size)]

    assert data == body_of(*chunks, headers=headers)


def test_coding_cut_short() -> None:
    """A complete frame around an incomplete coding is an error."""
    sent = gzip.compress(b"x" * 1000)[:-4]

    with pytest.raises(DecodingError):
        body_of(sent, headers={"Content-Encoding": "gzip", "Content-Length": str(len(sent))})


def test_empty_body_with_a_coding() -> None:
    """Nothing at all, declared as nothing, is nothing."""
    assert b"" == body_of(headers={"Content-Encoding": "gzip", "Content-Length": "0"})


# --- Limits ---------------------------------------------------------------------------------------


def test_limit_of_what_is_received() -> None:
    """A body over the limit is left at the first byte too many."""
    incoming = Incoming("GET", 200, Headers(), Limits(body=4))

    assert [b"abcd"] == list(incoming.feed(b"abcd"))
    with pytest.raises(TooLarge, match="over the limit of 4 bytes"):
        incoming.feed(b"e")


def test_limit_of_what_is_decoded() -> None:
    """A small body that becomes a large one is under the same limit."""
    with pytest.raises(TooLarge):
        body_of(gzip.compress(bytes(100_000)), headers={"Content-Encoding": "gzip"}, limits=Limits(body=50_000))


def test_limit_of_the_ratio() -> None:
    """One that becomes much larger is a bomb, after the first 16 MiB."""
    bomb = gzip.compress(bytes(32 * 1024 * 1024), 9)

    with pytest.raises(TooLarge):
        body_of(bomb, headers={"Content-Encoding": "gzip"}, limits=Limits(ratio=100))
    assert 32 * 1024 * 1024 == len(body_of(bomb, headers={"Content-Encoding": "gzip"}, limits=Limits(ratio=None)))


def test_no_limit() -> None:
    """`None` is no bound, and a stream has none."""
    assert 100_000 == len(body_of(bytes(100_000), limits=Limits(body=None)))
    assert 100_000 == len(body_of(bytes(100_000), limits=NO_LIMITS))


def test_a_length_over_the_limit() -> None:
    """What is declared to be too large is refused before it is read."""
    with pytest.raises(TooLarge, match="limit of 4 bytes"):
        Incoming("GET", 200, Headers({"Content-Length": "5"}), Limits(body=4))

    assert 0 == Incoming("HEAD", 200, Headers({"Content-Length": "5"}), Limits(body=4)).expected


def test_too_many_codings() -> None:
    """Five are undone, a sixth is refused before the body comes."""
    with pytest.raises(TooLarge):
        Incoming("GET", 200, Headers({"Content-Encoding": ", ".join(["gzip"] * 6)}), WHOLE)


# --- The head -------------------------------------------------------------------------------------


def head(*pairs: tuple[str, str], status: int = 200, version: str = "HTTP/1.1") -> None:
    check_head(status, version, pairs)


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0", "HTTP/2"])
@pytest.mark.parametrize("status", [200, 204, 304, 404, 599, 799, 999])
def test_heads_that_will_do(status: int, version: str) -> None:
    """Any final status with three digits, in the versions that we speak."""
    head(status=status, version=version)


@pytest.mark.parametrize("status", [0, 99, 100, 101, 103, 199, 1000])
def test_status_that_is_not_final(status: int) -> None:
    """An interim status ends no exchange, another number is no status."""
    with pytest.raises(ProtocolError, match=f"^{status} is no status"):
        head(status=status)


@pytest.mark.parametrize("version", ["HTTP/1.2", "HTTP/0.9", "HTTP/2.0", "HTTP/3", "ICY", ""])
def test_version(version: str) -> None:
    """Another version is not read as if it were ours; the message shows it."""
    with pytest.raises(ProtocolError, match=f"the response is in {version!r}"):
        head(version=version)


def test_the_common_floor() -> None:
    """1,000 fields, 64 KiB a line and 100 KiB a head are accepted, one more of each is not."""
    line = MAX_LINE - len("a: \r\n")
    block = [("a", "x" * 996)] * 99  # of 1001 bytes each, with ": " and CRLF
    rest = MAX_HEAD - sum(len(name) + len(value) + 4 for name, value in block[1:])
    head(*[("a", "1")] * MAX_FIELDS)
    head(("a", "x" * line))
    head(*block[1:], ("b", "x" * (rest - 5)))

    with pytest.raises(TooLarge, match="1001 header fields; the limit is 1000"):
        head(*[("a", "1")] * (MAX_FIELDS + 1))
    with pytest.raises(TooLarge, match="a header line"):
        head(("a", "x" * (line + 1)))
    with pytest.raises(TooLarge, match="the head of the response"):
        head(*block[1:], ("b", "x" * (rest - 4)))


# --- A body in its place --------------------------------------------------------------------------


def incoming_of(length: int, limits: Limits = WHOLE, **fields: str) -> Incoming:
    return Incoming("GET", 200, Headers({"Content-Length": str(length), **fields}), limits)


def filled(incoming: Incoming, data: bytes, piece: int, check: Callable[[], object] = lambda: None) -> bytes:
    """The body when these bytes are read into its place, so many at a time."""
    at = 0

    def read_into(room: memoryview) -> int:
        nonlocal at
        count = min(piece, len(room), len(data) - at)
        room[:count] = data[at : at + count]
        at += count
        return count

    place = incoming.place()
    assert place is not None
    return place.fill(read_into, check)


@pytest.mark.parametrize("size", [IN_PLACE, ON_TRUST, ON_TRUST + 1, 2 * ON_TRUST + 12_345])
@pytest.mark.parametrize("piece", [65_537, 10**9])
def test_a_large_body_is_read_into_its_place(size: int, piece: int) -> None:
    """However it comes, and however often its memory has to grow, it is the body that was sent."""
    data = (bytes(range(251)) * (size // 251 + 1))[:size]

    assert data == filled(incoming_of(size), data, piece)


@pytest.mark.parametrize("declared", [ON_TRUST + 1, 1024**3, 2**40, 2**62])
def test_a_declared_length_is_not_trusted(declared: int) -> None:
    """What is set aside is bounded at first, and then by what has come: the declared length alone takes nothing."""
    place = incoming_of(declared, Limits(body=None)).place()
    assert place is not None
    first = len(place.room)

    assert ON_TRUST / GROWTH <= first <= ON_TRUST
    if first * GROWTH <= 4 * ON_TRUST:
        assert min(first * GROWTH, declared) == first + len(place.filled(first))


def test_a_body_that_ends_before_its_place_is_full() -> None:
    """What is missing is an error, as it is when a body is fed."""
    incoming = incoming_of(IN_PLACE)
    with pytest.raises(IncompleteBody) as caught:
        filled(incoming, b"hello", 5)
    incoming.locate(caught.value)

    assert f"the connection ended, after 5 of {IN_PLACE} bytes of the body" == str(caught.value)


def test_a_deadline_that_passes_while_a_place_is_filled() -> None:
    """It is asked about when something has come, and what it raises ends the body, and lets go of its memory."""

    def check() -> None:
        raise TotalTimeout("the deadline passed")

    with pytest.raises(TotalTimeout):
        filled(incoming_of(IN_PLACE), b"hello", 5, check)


def test_a_body_that_has_no_place() -> None:
    """One that is small, coded, or of a length that is not known is fed."""
    chunked = Incoming("GET", 200, Headers({"Transfer-Encoding": "chunked"}), WHOLE)
    coded = incoming_of(IN_PLACE, **{"Content-Encoding": "gzip"})

    assert [None] * 3 == [incoming.place() for incoming in (incoming_of(IN_PLACE - 1), coded, chunked)]


# --- Limits as a setting --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["connections", "connections_per_origin", "body", "ratio"])
@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "5", b"5", [5]])
def test_limit_that_is_none(name: str, wrong: Any) -> None:
    """A bound is a positive whole number or None; the message names it and shows the value."""
    with pytest.raises(InvalidSetting, match=f"^limits: {name} must be a positive whole number or None, not "):
        Limits.of({name: wrong})


def test_limits_of() -> None:
    """From a mapping, or a Limits; what is not named has its default."""
    assert Limits(body=5) == Limits.of({"body": 5}) == Limits.of(Limits(body=5))
    assert (100, 100, 1024**3, 200) == (WHOLE.connections, WHOLE.connections_per_origin, WHOLE.body, WHOLE.ratio)


@pytest.mark.parametrize("wrong", [5, None, "body", [("body", 5)], True])
def test_limits_of_another_type(wrong: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidSetting, match=r"^limits: must be a Limits or its fields, not "):
        Limits.of(wrong)


def test_unknown_limit() -> None:
    """The message names the key, and those that there are."""
    with pytest.raises(InvalidSetting, match=r"^limits: unknown key 'bodies'; accepted are connections, "):
        Limits.of({"bodies": 5})
