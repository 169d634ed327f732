"""Frames in, what each stream gets out: a session of HTTP/2 without a network, whatever it is sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unifetch.errors import ProtocolError, UnifetchError
from unifetch.model.messages import RawRequest
from unifetch.model.timeouts import Timeout
from unifetch.model.url import URL

http2 = pytest.importorskip("unifetch.wire.http2", exc_type=ImportError)
hpack = pytest.importorskip("hpack")
from unifetch.testing.http2 import (  # noqa: E402  # after the skip
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
)

OK = frame(HEADERS, END_HEADERS, 1, b"\x88")  # :status 200
SEEDS = [
    frame(SETTINGS, 0, 0) + OK + frame(DATA, END_STREAM, 1, b"hello"),
    OK + frame(DATA, PADDED, 1, b"\x02a\0\0") + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x40\x01a\x01b"),
    frame(HEADERS, 0, 1, b"\x88") + frame(CONTINUATION, END_HEADERS, 1, b"\x40\x01a\x01b") + OK,
    frame(GOAWAY, 0, 0, b"\0\0\0\1\0\0\0\0") + OK + frame(RST_STREAM, 0, 3, b"\0\0\0\7"),
    frame(PING, 0, 0, bytes(8)) + frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff") * 2,
    frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0" + b"\0\1\0\0\0\0" + b"\0\5\0\0\x40\0") + OK,
    frame(HEADERS, END_HEADERS, 3, b"\x08\x03103") + frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x89"),
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
]


def request(method: str = "GET") -> RawRequest:
    return RawRequest(method, URL("http://h/"), (("Host", "h"),), None, 0, Timeout(5))


def verdict(pieces: list[bytes]) -> list[Any]:
    """What two open requests get of this, and whether the connection goes on; fails for an error that is not ours."""
    session = http2.Session()
    streams = [session.open(request()), session.open(request("HEAD"))]
    for stream in streams:
        stream.sent = "maybe"
    session.outgoing()
    bodies = [b"", b""]
    for piece in pieces:
        session.receive(piece, 0.0)
        for number, stream in enumerate(streams):
            bodies[number] += session.take(stream)
    seen: list[Any] = [session.failure is None, session.is_closing]
    for stream, body in zip(streams, bodies, strict=True):
        failure = stream.failure
        assert failure is None or isinstance(failure, UnifetchError)
        head = stream.head
        seen.append((
            None if head is None else (head.status, head.headers.pairs),
            body,
            stream.trailers,
            stream.is_over,
            failure and (type(failure), str(failure), failure.request_sent),
        ))  # fmt: skip
    session.end("it ended")
    assert all(stream.is_over or stream.failure is not None for stream in streams)
    session.outgoing()
    return seen


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_split_at_every_byte(seed: int) -> None:
    """What comes of it does not depend on how it came."""
    data = SEEDS[seed]
    whole = verdict([data])

    assert [whole] * len(data) == [verdict([data[:at], data[at:]]) for at in range(len(data))]
    assert whole == verdict([data[at : at + 1] for at in range(len(data))])


FRAMES = st.builds(
    frame,
    st.one_of(st.integers(0, 10), st.just(77)),
    st.sampled_from([0, 1, 4, 5, 8, 9, 12, 13, 0x20, 0x24, 0x2D, 0xFF]),
    st.sampled_from([0, 1, 2, 3, 5, 2**31 - 1]),
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"\x88", b"\x40\x01a\x01b", b"\x0f\x0d\x015", bytes(4), bytes(8), b"\0\4\xff\xff\xff\xff"]),
    ),
)


@settings(max_examples=400)
@given(st.lists(st.one_of(FRAMES, st.sampled_from(SEEDS)), max_size=8), st.binary(max_size=12))
def test_whatever_comes(frames: list[bytes], rest: bytes) -> None:
    """It ends in answers or in errors of ours, the same for every way in which the bytes arrive."""
    data = b"".join(frames) + rest

    assert verdict([data]) == verdict([data[at : at + 1] for at in range(len(data))])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers in HTTP/1.1"),
        (frame(HEADERS, END_HEADERS | END_STREAM, 2, b"\x88"), "a stream that is not of the client"),
        (frame(HEADERS, END_HEADERS | END_STREAM, 0, b"\x88"), "a stream that is not of the client"),
        (frame(HEADERS, END_HEADERS, 1, b"\xff"), "Unable to decode HPACK integer representation"),
    ],
)
def test_what_is_no_answer(data: bytes, said: str) -> None:
    """A server of HTTP/1.1, and a head on a stream that was not opened, end the connection and say what is wrong."""
    session = http2.Session()
    stream = session.open(request())
    session.outgoing()
    session.receive(data, 0.0)

    assert isinstance(stream.failure, ProtocolError)
    assert said in str(stream.failure)
    assert "0x" not in str(stream.failure)  # an address in memory tells nobody anything


def test_windows_are_returned_as_they_are_taken() -> None:
    """A server may send as much again once the caller has taken it, and not before (RFC 9113 §5.2)."""
    session = http2.Session()
    stream = session.open(request())
    session.outgoing()
    session.receive(frame(HEADERS, END_HEADERS, 1, b"\x88"), 0.0)
    block = frame(DATA, 0, 1, bytes(16_000))
    for _ in range(60):
        session.receive(block, 0.0)

    assert b"" == session.outgoing()
    assert 960_000 == len(session.take(stream))
    assert frame(WINDOW_UPDATE, 0, 1, (960_000).to_bytes(4)) == session.outgoing()
    for _ in range(65):
        session.receive(block, 0.0)
    assert session.failure is None
    session.receive(block, 0.0)
    assert "window" in str(session.failure)


def test_what_is_abandoned_is_returned_to_the_connection() -> None:
    """Neighbours are not held up by what nobody will take, and the stream is reset."""
    session = http2.Session()
    streams = [session.open(request()) for _ in range(10)]
    session.outgoing()
    for stream in streams:
        session.receive(frame(HEADERS, END_HEADERS, stream.number, b"\x88"), 0.0)
        for _ in range(60):
            session.receive(frame(DATA, 0, stream.number, bytes(16_000)), 0.0)
        session.abandon(stream)
    written = session.outgoing()

    assert all(frame(RST_STREAM, 0, stream.number, b"\0\0\0\x08") in written for stream in streams)
    assert http2.CONNECTION_WINDOW - session._window < http2.CONNECTION_WINDOW // 2
    assert {} == session.streams


def test_what_crosses_a_reset_is_ignored() -> None:
    """One RST_STREAM is enough, and the fields after it are understood all the same (RFC 9113 §5.1, §4.3)."""
    encoder = hpack.Encoder()

    def fields(number: int, flags: int) -> bytes:
        return frame(HEADERS, flags, number, encoder.encode([(":status", "200"), ("x-a", "kept in the table")]))

    session = http2.Session()
    streams = [session.open(request()) for _ in range(4)]
    session.outgoing()
    session.receive(fields(1, END_HEADERS), 0.0)
    for stream in streams[:3]:
        session.abandon(stream)
    resets = b"".join(frame(RST_STREAM, 0, stream.number, b"\0\0\0\x08") for stream in streams[:3])
    session.receive(frame(PING, 0, 0, bytes(8)), 0.0)
    written = session.outgoing()
    session.receive(frame(DATA, 0, 1, bytes(1_000)), 0.0)
    session.receive(frame(HEADERS, END_HEADERS | END_STREAM, 1, encoder.encode([("x-trailer", "1")])), 0.0)
    block = encoder.encode([(":status", "200"), ("x-b", "in two frames")])
    session.receive(frame(HEADERS, END_STREAM, 3, block[:3]) + frame(CONTINUATION, END_HEADERS, 3, block[3:]), 0.0)
    session.receive(fields(5, END_HEADERS) + frame(DATA, END_STREAM, 5, b"1"), 0.0)
    session.receive(fields(7, END_HEADERS | END_STREAM), 0.0)

    assert resets + frame(PING, ACK, 0, bytes(8)) == written
    assert b"" == session.outgoing()
    assert (None, True) == (session.failure, streams[3].is_over)
    assert "kept in the table" == streams[3].head.headers["x-a"]


def test_a_stream_that_was_reset_has_its_window_still() -> None:
    """A server that goes on and on is left."""
    session = http2.Session()
    stream = session.open(request())
    session.abandon(stream)
    for _ in range(http2.STREAM_WINDOW // 16_384):
        session.receive(frame(DATA, 0, 1, bytes(16_384)), 0.0)
    assert session.failure is None

    session.receive(frame(DATA, 0, 1, b"1"), 0.0)
    assert "window of the stream" in str(session.failure)


def test_few_streams_are_remembered_that_were_reset() -> None:
    """However many are cancelled on one connection."""
    session = http2.Session()
    session.receive(frame(SETTINGS, 0, 0), 0.0)
    for _ in range(http2.MAX_STREAMS * 3):
        session.abandon(session.open(request()))

    assert http2.MAX_STREAMS == len(session._reset)
