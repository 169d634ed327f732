"""What a stream hears beside the parser of a library: the verdict of `http11`, however the bytes were split."""

from __future__ import annotations

from itertools import combinations

import pytest

from unifetch.backends.poisoning import Exchanges, HeardExchange
from unifetch.errors import UnifetchError
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
