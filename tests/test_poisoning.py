"""What a stream hears beside the parser of a library: the verdict of `http11`, however the bytes were split."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifetch.backends.poisoning import Exchanges, HeardExchange
from unifetch.errors import TooLarge, UnifetchError
from unifetch.model.timeouts import Timeout
from unifetch.wire import http11
from unifetch.wire.reader import ByteReader

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EQUAL = b"5\r\nhello\r\n" * 3
LAST = b"0\r\n\r\n"
BODIES = [
    LAST,
    EQUAL + LAST,
    b"1\r\nx\r\n1\r\ny\r\n" + EQUAL + b"1\r\nz\r\n" + LAST,
    b"a\r\n0123456789\r\n" + EQUAL + b"A\r\n\r\n0\r\n\r\n\r\n01\r\n" + LAST,
    EQUAL + b"5;a=b\r\nhello\r\n" + EQUAL + LAST,
    EQUAL + b"0\r\nX: y\r\n\r\n",
    EQUAL + b"000\r\n\r\n",
    EQUAL + LAST + b"HTTP/1.1 200 OK\r\n",
    EQUAL,
    EQUAL + b"5\r\nhel",
    EQUAL + b"5 \r\nhello\r\n" + LAST,
    EQUAL + b"5\r\nhello!\r\n" + LAST,
    EQUAL + b"5\r\nhello\n5\r\n",
    EQUAL + b"5\nhello\r\n" + LAST,
    EQUAL + b"\r\n" + LAST,
    EQUAL + b"g\r\n",
    EQUAL + b"00000000000000005\r\nhello\r\n" + LAST,
    EQUAL + b"5;\x00\r\nhello\r\n" + LAST,
    b"-5\r\nhello\r\n" + LAST,
]
# What a size line may end with, and what may stand where a chunk ends.
EXTENSIONS = st.sampled_from([b"", b"", b"", b";a", b" ;a=b", b";" + b"e" * 9000])
LAST_CHUNKS = st.sampled_from([LAST, LAST, b"000\r\n\r\n", b"0;a\r\nX: y\r\n\r\n", LAST + b"HTTP/1.1 200 OK\r\n", b""])
SIZES = st.sampled_from([1, 1, 5, 5, 5, 15, 16, 255, 256, 30_000])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A body in chunks, of which many are of one size; its sizes are written in every way."""
    parts: list[bytes] = []
    for size in draw(st.lists(SIZES, max_size=8)):
        line = draw(st.sampled_from(["%x", "%X", "0%x", "%016x", "%x"])) % size
        parts += [line.encode(), draw(EXTENSIONS), b"\r\n", b"\r" * size, b"\r\n"]
    return b"".join(parts) + draw(LAST_CHUNKS)


HEADS = st.sampled_from([
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 413 Zu gro\xdf\r\nCONTENT-length: 5\r\nX: 1\r\nx: 2\r\n\r\n",
    b"HTTP/1.2 204\r\n\r\n",
    b"HTTP/1.0 999 \r\nX: one\r\n \t two\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: Chunked\r\n\r\n",
])  # fmt: skip
INTERIM = st.sampled_from(
    [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103\r\nLink: </a>\r\nContent-Length: 5\r\n\r\n"]
)


def split(data: bytes, places: list[int]) -> list[bytes]:
    """The data, cut at these places, so far as it has them."""
    ends = sorted({place for place in places if 0 < place < len(data)})
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


def parsed(data: bytes) -> object:
    """What `http11` says: whether the connection can be used again, or the class of the error."""
    reader = ByteReader()
    reader.feed(data)
    steps = http11.read_body(reader, "chunked")
    try:
        while next(steps) is not None:
            pass
    except StopIteration:
        return len(reader) == 0
    except UnifetchError as error:
        return type(error)
    return False


def heard(pieces: list[bytes]) -> object:
    """What a stream says that hears these pieces."""
    exchange = HeardExchange(Timeout(), None)
    exchanges = Exchanges()
    exchanges.begin(exchange, b"GET / HTTP/1.1\r\n\r\n")
    try:
        for piece in pieces:
            exchanges.took(exchange, piece)
    except UnifetchError as error:
        return type(error)
    exchanges.done()
    return not exchanges.spoilt


@pytest.mark.parametrize("body", BODIES)
def test_chunks_split_anywhere(body: bytes) -> None:
    """A body in chunks is judged as by the parser, whole, split at any two places, and byte by byte."""
    expected = parsed(body)

    assert expected == heard([HEAD + body])
    assert expected == heard([HEAD, *(bytes([byte]) for byte in body)])
    for first, second in combinations(range(1, len(body)), 2):
        pieces = [HEAD + body[:first], body[first:second], body[second:]]
        assert expected == heard(pieces), pieces


@given(bodies(), st.lists(st.integers(0, 1000), max_size=6), st.lists(st.integers(1, 99), max_size=3))
def test_any_chunks(body: bytes, places: list[int], from_end: list[int]) -> None:
    """So is any other, with sizes in every notation, extensions, trailers and bytes beyond the end."""
    pieces = split(body, places + [len(body) - place for place in from_end])

    assert parsed(body) == heard([HEAD + pieces[0], *pieces[1:]])


def test_extensions_are_judged_by_the_data_of_their_response() -> None:
    """Plain chunks before them count, but not those of the exchange before."""
    extended = (b"1;" + b"e" * 9000 + b"\r\nx\r\n") * 3 + LAST
    exchanges = Exchanges()
    for data in (40_000, 1):
        body = b"%x\r\n%b\r\n" % (data, bytes(data)) + extended
        exchange = HeardExchange(Timeout(), None)
        exchanges.begin(exchange, b"GET / HTTP/1.1\r\n\r\n")
        with nullcontext() if parsed(body) is True else pytest.raises(TooLarge):
            exchanges.took(exchange, HEAD + body)
    assert TooLarge is parsed(body)


@given(st.lists(INTERIM, max_size=3), HEADS, HEADS, st.lists(st.integers(1, 250), max_size=6))
def test_the_head_is_that_of_the_final_response(
    interim: list[bytes], final: bytes, beyond: bytes, places: list[int]
) -> None:
    """An exchange has the head that ends it, as h11 sees it, however the bytes come, and whatever comes behind."""
    h11 = pytest.importorskip("h11")
    theirs = h11.Connection(h11.CLIENT)
    theirs.send(h11.Request(method="GET", target="/", headers=[("Host", "a.test")]))
    exchanges, exchange = Exchanges(), HeardExchange(Timeout(), None)
    exchanges.begin(exchange, b"GET / HTTP/1.1\r\n\r\n")
    event: Any = None
    for piece in split(b"".join(interim) + final + beyond, places):
        exchanges.took(exchange, piece)
        theirs.receive_data(piece)
        while not isinstance(event, h11.Response) and (event := theirs.next_event()) is not h11.NEED_DATA:
            pass

        assert isinstance(event, h11.Response) == (exchange.head is not None)
    expected = http11.parse_head("GET", final)
    assert exchange.head is not None
    assert (event.status_code, event.reason) == (exchange.head.status, exchange.head.reason.encode("latin-1"))
    assert (expected.status, list(expected.headers)) == (exchange.head.status, list(exchange.head.headers))


def test_another_exchange_after_chunks() -> None:
    """Nothing of one response is left for the next one on the connection."""
    exchanges = Exchanges()
    for rest in (EQUAL + LAST, EQUAL + b"5;a\r\nhello\r\n" + LAST, EQUAL + b"5\r\nhel"):
        exchange = HeardExchange(Timeout(), None)
        exchanges.begin(exchange, b"GET / HTTP/1.1\r\n\r\n")
        exchanges.took(exchange, HEAD + rest[:12])
        exchanges.took(exchange, rest[12:])
        exchanges.done()

        assert (rest[-1:] == b"l") == exchanges.spoilt
