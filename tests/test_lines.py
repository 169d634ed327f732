"""Streams as lines and as server-sent events: the same wherever the chunks are cut."""

from __future__ import annotations

import pickle

import pytest

from unifetch.errors import TooLarge
from unifetch.model.lines import EventParser, LineSplitter, ServerSentEvent, parsed


def lines(chunks, content_type="", **bounds):
    """The lines of a body."""
    return parsed(LineSplitter(content_type, **bounds), chunks)


def events(chunks, **bounds):
    """The events of a body."""
    return parsed(EventParser(**bounds), chunks)


def cuts(body):
    """This body in one chunk, byte by byte, and in two chunks, cut everywhere."""
    yield [body]
    yield [body[i : i + 1] for i in range(len(body))]
    for at in range(len(body) + 1):
        yield [body[:at], body[at:]]


# --- Lines ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\rc\nd", ["a", "b", "c", "d"]),
        (b"\r\r\n\n\n\r", ["", "", "", "", ""]),
        (b"a\r\n\r\nb\r", ["a", "", "b"]),
        ("a\vb\fc\x1cd\x85\u2028e\u2029f\n".encode(), ["a\vb\fc\x1cd\x85\u2028e\u2029f"]),
        ("\ufeffçé€😀\n\ufeff".encode(), ["çé€😀", "\ufeff"]),
        (b"\xef\xbb", ["\N{REPLACEMENT CHARACTER}"]),
        (b"a\n\xe2\x82", ["a", "\N{REPLACEMENT CHARACTER}"]),
    ],
)
def test_lines_wherever_the_chunks_are_cut(body, expected):
    """They end at LF, CRLF and CR, and at nothing else; the end of the body is no further line."""
    for chunks in cuts(body):
        assert list(lines(chunks)) == expected


@pytest.mark.parametrize("label", ["utf-16le", "utf-16be", "shift_jis", "iso-2022-jp", "gb18030", "euc-kr"])
def test_lines_in_other_charsets(label):
    """The charset parameter counts, and a character may be cut in two."""
    body = "日本\r\n語\n".encode(label)

    for chunks in cuts(body):
        assert list(lines(chunks, f"text/plain; charset={label}")) == ["日本", "語"]


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_counts_most(codec):
    """As in `Response.text`, though it may come byte by byte."""
    for chunks in cuts("\ufeffcafé\n€".encode(codec)):
        assert list(lines(chunks, "text/plain; charset=koi8-r")) == ["café", "€"]


def test_a_line_is_given_as_soon_as_it_is_complete():
    """A CR ends a line without waiting for a LF, and nothing waits for a byte order mark that it cannot be."""
    splitter = LineSplitter()

    assert splitter.feed(b"a\r") == ["a"]
    assert splitter.feed(b"\nb") == []
    assert splitter.feed(b"\n") == ["b"]
    assert splitter.finish() == []


def test_a_line_of_exactly_the_limit():
    """The limit is in characters, without the line end, over all chunks."""
    body = "é".encode() * 10 + b"\r\n" + b"x" * 10

    for chunks in cuts(body):
        assert list(lines(chunks, max_line=10)) == ["é" * 10, "x" * 10]
        with pytest.raises(TooLarge, match="a line of the body is over the limit of 9 characters") as raised:
            list(lines(chunks, max_line=9))
        assert raised.value.request_sent == "yes"


def test_a_line_without_end_is_cut_off():
    """An endless line is an error as soon as it is over the limit, not at its end."""
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 1000

    with pytest.raises(TooLarge):
        next(lines(endless(), max_line=10_000))

    assert taken == 11


def test_a_limit_of_none():
    """None means no bound."""
    assert [len(line) for line in lines([b"x" * 1000] * 1000, max_line=None)] == [1_000_000]


# --- Server-sent events -----------------------------------------------------------------------------


def event(data, event="message", id="", retry=None):
    return ServerSentEvent(event=event, data=data, id=id, retry=retry)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: rain\ndata: 4 mm\ndata:\n\n", [event("rain\n4 mm\n")]),
        (b": ping\n\n:\ndata: a\nid: 1\n\ndata:b\nid\n\ndata:  c\n\n", [event("a", id="1"), event("b"), event(" c")]),
        (b"data\n\ndata\ndata\n\ndata:\n", [event(""), event("\n")]),
        (b"data:x\n\ndata: x\n\n", [event("x"), event("x")]),
        (b"event: add\ndata: 1\n\ndata: 2\n\n", [event("1", "add"), event("2")]),
        (b"event: add\n\ndata: 2\n\n", [event("2")]),
        (b"event\ndata: 1\n\n", [event("1")]),
        (b"id: 7\n\ndata: a\n\ndata: b\n\n", [event("a", id="7"), event("b", id="7")]),
        (b"id: 7\ndata: a\n\nid: 8\0\ndata: b\n\n", [event("a", id="7"), event("b", id="7")]),
        (b"retry: 3000\ndata: a\n\ndata: b\n\n", [event("a", retry=3000), event("b")]),
        (b"retry: 10\n\nretry: 20\n\ndata: a\n\n", [event("a", retry=20)]),
        (b"retry: +5\nretry: 5s\nretry:\nretry: 1_0\nretry: 1.5\ndata: a\n\n", [event("a")]),
        ("retry: \N{FULLWIDTH DIGIT FIVE}\ndata: a\n\n".encode(), [event("a")]),
        (b"retry: " + b"9" * 5000 + b"\ndata: a\n\n", [event("a")]),
        (b"Data: a\ndata : b\n data: c\nunknown: d\n\n", []),
        (b"data: a:b: c\n\n", [event("a:b: c")]),
        (b"data: incomplete", []),
        (b"data: incomplete\n", []),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", [event("a"), event("b"), event("c")]),
        (b"\xef\xbb\xbfdata: a\n\n", [event("a")]),
        ("data: a\u2028b\fc\x85d\n\n".encode(), [event("a\u2028b\fc\x85d")]),
        (b"data: \xff\n\n", [event("\N{REPLACEMENT CHARACTER}")]),
    ],
)  # fmt: skip
def test_events_wherever_the_chunks_are_cut(body, expected):
    """WHATWG HTML §9.2.6."""
    for chunks in cuts(body) if len(body) < 200 else [[body]]:
        assert list(events(chunks)) == expected


def test_an_event_is_given_as_soon_as_it_is_complete():
    """Its empty line completes it, however that line ends."""
    stream = events(iter([b"data: a\r\r", b"data: b\n\n"]))

    assert next(stream) == event("a")
    assert next(stream) == event("b")


def test_an_event_over_the_limit():
    """The data of one event are bounded, in one line or in many."""
    assert list(events([b"data:" + b"x" * 95 + b"\n\n"], max_event=100)) == [event("x" * 95)]
    with pytest.raises(TooLarge, match="an event is over the limit of 100 characters"):
        list(events([b"data:x\n" * 51], max_event=100))
    with pytest.raises(TooLarge, match="a line of the body is over the limit of 100 characters"):
        list(events([b"data:" + b"x" * 96], max_event=100))


def test_chunks_may_come_from_anywhere():
    """The parser is fed, so that an awaited body can use it as well."""
    parser = EventParser()

    assert [list(parser.feed(chunk)) for chunk in (b"id: 1\n", b"data: a", b"\n\n")] == [[], [], [event("a", id="1")]]


def test_an_event_is_a_value():
    """Compared by its fields, frozen, plain data."""
    one = event("a", "add", "7", 10)

    assert repr(one) == "ServerSentEvent(event='add', data='a', id='7', retry=10)"
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.data = "b"
