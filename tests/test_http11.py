"""HTTP/1.1 of the socket client, as bytes in and values out; every response also split at every byte.

`parse(data, method)` plays the driver: it gives the parsed response, or the class of the error with its
`request_sent`, and fails the test if two ways of splitting the same bytes give two results.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from unifetch.errors import ConnectionLost, IncompleteBody, InvalidRequest, ProtocolError, TooLarge, UnifetchError
from unifetch.model.headers import Headers
from unifetch.model.messages import RawRequest
from unifetch.model.timeouts import Timeout
from unifetch.model.url import URL
from unifetch.policies.limits import MAX_HEAD
from unifetch.wire import http11
from unifetch.wire.fast_paths import FieldLines, LastHead, LastRequest
from unifetch.wire.reader import ByteReader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    Fields = list[tuple[str, str]]


@pytest.fixture(autouse=True, params=["fast", "plain"])
def paths(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is read twice: once with the fast paths, and once with the plain code alone."""
    if request.param == "plain":
        use_plain_code(monkeypatch)


def use_plain_code(patch: pytest.MonkeyPatch) -> None:
    """Switch the fast paths off."""
    patch.setattr(http11, "known_field", http11.field_line)
    patch.setattr(http11, "known_status", http11.status_line)
    patch.setattr(http11, "whole_chunks", lambda _: b"")
    patch.setattr(LastHead, "read", lambda *_: None)


def last_head() -> LastHead:
    """What a new connection remembers."""
    return LastHead(http11.parse_head, MAX_HEAD)


TRICKLE = 4096  # longer responses are split at no more than about so many places


class Parsed(NamedTuple):
    """A response as it was understood; `rest` are the bytes that do not belong to it."""

    status: int
    reason: str = "OK"
    version: str = "HTTP/1.1"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    trailers: tuple[tuple[str, str], ...] = ()
    interim: tuple[int, ...] = ()
    persists: bool = True
    rest: bytes = b""


def read_response(
    reader: ByteReader, method: str = "GET", head: http11.Head | None = None
) -> Generator[None, None, Parsed]:
    """The whole response, in the order in which a driver reads it; the head may have been there at once."""
    interim: list[http11.Head] = []
    pieces: list[bytes] = []
    if head is None:
        head = yield from _collect(http11.read_head(reader, method), interim)

    assert head.headers.by_name() == Headers.trusted(head.headers.pairs).by_name()

    trailers = yield from _collect(http11.read_body(reader, head.framing), pieces)

    assert all(type(piece) is bytes and piece for piece in pieces)

    return Parsed(
        head.status,
        head.reason,
        head.version,
        head.headers.pairs,
        b"".join(pieces),
        tuple(trailers),
        tuple(head.status for head in interim),
        head.persists,
        reader.take(len(reader)),
    )


def _collect(steps: Generator[Any, None, Any], events: list[Any]) -> Generator[None, None, Any]:
    while True:
        try:
            event = next(steps)
        except StopIteration as done:
            return done.value
        if event is None:
            yield
        else:
            events.append(event)


def play(pieces: Iterable[bytes], method: str = "GET", last: LastHead | None = None) -> Parsed:
    """What a connection that delivers these pieces and then ends makes of them; it raises what the parser raises."""
    reader = ByteReader()
    pending = iter(pieces)
    first = next(pending, b"")
    whole = (last or last_head()).read(first, method)  # as a driver tries it with the first piece
    head, rest = whole or (None, first)
    if rest:
        reader.feed(rest)
    steps = read_response(reader, method, head)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            response: Parsed = done.value
            return response._replace(rest=response.rest + b"".join(pending))
        assert not reader.ended, "the parser asked for bytes after the end"
        piece = next(pending, None)
        if piece is None:
            reader.feed_eof()
        else:
            reader.feed(piece)


def verdict(
    pieces: Iterable[bytes], method: str = "GET", last: LastHead | None = None
) -> Parsed | tuple[type[UnifetchError], str]:
    """The response, or what kind of failure it is; `last` is what the connection remembers of the one before."""
    try:
        return play(pieces, method, last)
    except (ProtocolError, ConnectionLost) as error:
        return type(error), error.request_sent


def splits(data: bytes) -> Iterable[list[bytes]]:
    """The data cut in two at every byte, and into single bytes."""
    for cut in range(1, len(data), max(1, len(data) // TRICKLE)):
        yield [data[:cut], data[cut:]]
    yield [data[at : at + 1] for at in range(len(data))]


def parse(data: bytes, method: str = "GET") -> Parsed | tuple[type[UnifetchError], str]:
    """The verdict, which must be the same for every split."""
    expected = verdict([data], method)
    for pieces in splits(data):
        assert verdict(pieces, method) == expected, f"split after {len(pieces[0])} bytes"
    return expected


def message(data: bytes) -> str:
    """What the error says."""
    with pytest.raises(UnifetchError) as caught:
        play([data])
    return str(caught.value)


BROKEN = (ProtocolError, "yes")
LARGE = (TooLarge, "yes")
CUT = (IncompleteBody, "yes")


# --- §1 The request head --------------------------------------------------------------------------


def test_request_head() -> None:
    """The request line, the fields as they were handed over, a blank line, and nothing else."""
    head = http11.request_head("GET", "/a?b=c", [("Host", "a.test"), ("x-Y", "caf\xe9"), ("x-Y", "")])

    assert head == b"GET /a?b=c HTTP/1.1\r\nHost: a.test\r\nx-Y: caf\xe9\r\nx-Y: \r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET /admin", "/", []),
        ("GET", "/ HTTP/1.1\r\nX-Injected: 1\r\n", []),
        ("GET", "/\tx\n", []),
        ("GET", "/a b", []),
        ("GET", "/\0", []),
        ("GET", "\r\n/", []),
        ("GET", "/\u010a", []),
        ("G\r\nET", "/", []),
        ("GET", "/", [("Host", "a.test\r\nX-Injected: 1")]),
        ("GET", "/", [("Host", "a.test\nX-Injected: 1")]),
        ("GET", "/", [("Host", "a.test\rX-Injected: 1")]),
        ("GET", "/", [("Host\r\nX", "1")]),
        ("GET", "/", [("Cookie", "a=\0")]),
        ("GET", "/", [("X", "\u010d\u010a")]),  # whose low bytes are CR LF
        ("GET", "/", [("X", "€")]),
    ],
)
def test_request_head_cannot_be_injected_into(method: str, target: str, headers: Fields) -> None:
    """Whatever would make another request of it is refused, although the core has checked it before."""
    with pytest.raises(InvalidRequest):
        http11.request_head(method, target, headers)


def test_the_request_of_before_changes_nothing() -> None:
    """A connection writes the same head whatever it wrote before, and also after one that was refused."""
    fields = (("Host", "a.test"),), (("Host", "b.test"), ("Expect", "100-Continue")), (("Connection", "Close"),)
    targets = "/", "/a?b=c", "/a b"
    requests = [raw(method, target, each) for method in ("GET", "POST") for target in targets for each in fields]
    last = LastRequest(http11.around_target, http11.target_bytes)
    for request in (request for pair in itertools.product(requests, repeat=2) for request in pair):
        try:
            expected = http11.request_head(request.method, request.target, request.headers)
        except InvalidRequest:
            with pytest.raises(InvalidRequest, match="request target"):
                last.head(request)
            continue

        assert expected == last.head(request)
        assert (request.headers is fields[2], request.headers is fields[1]) == (last.closes, last.expects)


def raw(method: str, target: str, fields: tuple[tuple[str, str], ...]) -> RawRequest:
    request = RawRequest(method, URL("http://a.test/"), fields, None, 0, Timeout())
    return request.routed(request.route, target=target)


def test_chunks() -> None:
    """A body in chunks; an empty piece does not end it."""
    body = [b"hello", b"", b"x" * 300]

    assert b"".join(map(http11.chunk, body)) == b"5\r\nhello\r\n12c\r\n" + b"x" * 300 + b"\r\n"
    assert http11.last_chunk() == b"0\r\n\r\n"
    assert http11.last_chunk([("Digest", "abc")]) == b"0\r\nDigest: abc\r\n\r\n"


def test_trailers_cannot_be_injected_into() -> None:
    """The last chunk has the same door as the head."""
    with pytest.raises(InvalidRequest):
        http11.last_chunk([("A", "b\r\n\r\nGET / HTTP/1.1")])


# --- §2 The status line ---------------------------------------------------------------------------

NOTHING = b"\r\nContent-Length: 0\r\n\r\n"
NONE = (("Content-Length", "0"),)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"HTTP/1.1 200 OK", Parsed(200, "OK", headers=NONE)),
        (b"HTTP/1.0 200 OK", Parsed(200, "OK", "HTTP/1.0", headers=NONE, persists=False)),
        (b"HTTP/1.1 404 Not Found", Parsed(404, "Not Found", headers=NONE)),
        (b"HTTP/1.1 200 ", Parsed(200, "", headers=NONE)),
        (b"HTTP/1.1 200", Parsed(200, "", headers=NONE)),  # RFC 9112 §4: MAY
        (b"HTTP/1.1 200  \tvery  fine\t", Parsed(200, " \tvery  fine\t", headers=NONE)),
        (b"HTTP/1.1 200 \xc3\xa9\xff\x85", Parsed(200, "\xc3\xa9\xff\x85", headers=NONE)),
        (b"HTTP/1.1 799 Custom", Parsed(799, "Custom", headers=NONE)),
        (b"HTTP/1.1 999 ", Parsed(999, "", headers=NONE)),
        (b"HTTP/1.2 200 OK", Parsed(200, "OK", "HTTP/1.1", headers=NONE)),  # RFC 9110 §2.5: SHOULD
        (b"HTTP/1.1 200 O\x01\x7fK", Parsed(200, "O\x01\x7fK", headers=NONE)),  # RFC 9110 §5.5: MAY
    ],
)
def test_status_line(line: bytes, expected: Parsed) -> None:
    """Version, status and reason as the server sent them."""
    assert parse(line + NOTHING) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r\nHTTP/1.1 200 OK",
        b" HTTP/1.1 200 OK",
        b"HTTP/2 200 OK",
        b"HTTP/2.0 200 OK",
        b"HTTP/0.9 200 OK",
        b"HTTP/1.10 200 OK",
        b"HTTP/1 200 OK",
        b"HTTP/1. 200 OK",
        b"HTTP/1.\xb9 200 OK",
        b"http/1.1 200 OK",
        b"ICY 200 OK",
        b"SSH-2.0-OpenSSH_9.2",
        b"\x15\x03\x01\x00\x02\x02\x46",  # a TLS alert
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",  # an HTTP/2 SETTINGS frame
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1\t200 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 000 OK",
        b"HTTP/1.1 +20 OK",
        b"HTTP/1.1 2_0 OK",
        b"HTTP/1.1 2\xb20 OK",
        b"HTTP/1.1 200\tOK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 abc OK",
        b"HTTP/1.1 200 O\x00K",
        b"HTTP/1.1 200 O\x0cK",
        b"HTTP/1.1 200 O\rK",
        b"HTTP/1.1 200 O\nK",
        b"HTTP/1.1 200 O\x0bK",
        b"HTTP/1.1 200 OK\r",
    ],
)
def test_bad_status_line(line: bytes) -> None:
    """What RFC 9112 §4 does not allow is an error, not a guess."""
    assert parse(line + NOTHING) == BROKEN


@pytest.mark.parametrize("start", [b"SSH-2.0", b"\x15\x03", b"HTTP/2", b"HTTP/1.1 200 OK\n", b"HTTP/1.1 200\rX"])
def test_garbage_is_refused_at_once(start: bytes) -> None:
    """What can never become a response is refused while the connection is still open."""
    reader = ByteReader()
    reader.feed(start)

    with pytest.raises(ProtocolError):
        next(http11.read_head(reader, "GET"))


# --- §2 Interim responses -------------------------------------------------------------------------

FINAL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
TWO = (("Content-Length", "2"),)


@pytest.mark.parametrize(
    ("before", "interim"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n", (100,)),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n", (103, 102)),
        (b"HTTP/1.1 199\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", (199,)),
        (b"HTTP/1.1 100 \r\n\r\n" * http11.MAX_INTERIM, (100,) * http11.MAX_INTERIM),
    ],
)
def test_interim(before: bytes, interim: tuple[int, ...]) -> None:
    """1xx responses are handed out on the way, and are never the response (RFC 9110 §15.2)."""
    assert parse(before + FINAL) == Parsed(200, headers=TWO, body=b"hi", interim=interim)


def test_interim_is_handed_out_when_it_comes() -> None:
    """100 Continue is seen before the final response is there; a request body waits for it."""
    reader = ByteReader()
    steps = http11.read_head(reader, "GET")
    reader.feed(b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n")

    head = next(steps)

    assert head is not None
    assert (head.status, head.reason, head.headers.pairs) == (100, "Continue", (("A", "b"),))
    assert next(steps) is None


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", BROKEN),
        (b"HTTP/1.1 100 Continue\r\nA : b\r\n\r\n", BROKEN),
        (b"HTTP/1.1 100 \r\n\r\n" * (http11.MAX_INTERIM + 1), LARGE),
        (b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 100 \r\nA: " + b"b" * http11.MAX_LINE + b"\r\n\r\n", LARGE),
        ((b"HTTP/1.1 100 \r\nA: " + b"b" * 40_000 + b"\r\n\r\n") * 3, LARGE),
    ],
)
def test_bad_interim(before: bytes, expected: object) -> None:
    """Interim responses obey the same rules, and are limited in number and all together in bytes."""
    assert verdict([before + FINAL]) == expected
    assert verdict([bytes([byte]) for byte in before + FINAL]) == expected


# --- §2 The end of the connection -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (ConnectionLost, "maybe")),
        (b"H", (ConnectionLost, "yes")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", (ConnectionLost, "yes")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r", (ConnectionLost, "yes")),
        (b"HTTP/1.1 100 Continue\r\n\r\n", (ConnectionLost, "yes")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2", (ConnectionLost, "yes")),
        (FINAL[:-1], CUT),
        (FINAL[:-2], CUT),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4611686018427387904\r\n\r\nhello", CUT),
    ],
)
def test_connection_ends_early(data: bytes, expected: object) -> None:
    """A truncated message is never a success; `request_sent` says whether a byte of a response came."""
    assert parse(data) == expected


def test_the_words_for_an_early_end() -> None:
    """They tell an answer that did not begin from one that did not end."""
    assert message(b"") == "the connection ended before an answer came"
    assert message(FINAL[:20]) == "the connection ended in the head of the response"
    assert message(FINAL[:-1]) == "the connection ended"


# --- §3 The fields --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        (b"A: b", [("A", "b")]),
        (b"a:b", [("a", "b")]),
        (b"A:", [("A", "")]),
        (b"A: \t ", [("A", "")]),
        (b"A: \t b \t c \t ", [("A", "b \t c")]),
        (b"A: b:c", [("A", "b:c")]),
        (b"A: b\r\na: c\r\nA: b", [("A", "b"), ("a", "c"), ("A", "b")]),
        (b"Set-Cookie: a=1\r\nset-cookie: b=2", [("Set-Cookie", "a=1"), ("set-cookie", "b=2")]),
        (b"!#$%&'*+-.^_`|~09azAZ: x", [("!#$%&'*+-.^_`|~09azAZ", "x")]),
        (b"A: \xe9\x80\xff\xa0", [("A", "\xe9\x80\xff\xa0")]),
        (b"A: \x85x\x85", [("A", "\x85x\x85")]),  # NEL is neither white space nor a line ending here
        (b"A: " + b"b" * 300, [("A", "b" * 300)]),
        # obs-fold, RFC 9112 §5.2: one or more SP
        (b"A: b\r\n c", [("A", "b c")]),
        (b"A: b \t\r\n \t c \r\n\td\r\nE: f", [("A", "b c d"), ("E", "f")]),
        (b"A:\r\n b", [("A", "b")]),
        (b"A: b\r\n  \r\n c", [("A", "b  c")]),
        (b"A: b\r\n  ", [("A", "b")]),
        (b"A: b\r\n C: d", [("A", "b C: d")]),
    ],
)
def test_fields(lines: bytes, fields: Fields) -> None:
    """Names and values as they came, in order, without the white space around the value."""
    expected = Parsed(200, headers=(*fields, *TWO), body=b"hi")

    assert parse(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\nContent-Length: 2\r\n\r\nhi") == expected


BAD_LINES = [
    b"no colon",
    b": no name",
    b"A : b",
    b"A\t: b",
    b" A: b",  # white space before the first field, RFC 9112 §2.2
    b"\tA: b",
    b"  ",
    b"A B: c",
    b"A\xe9: b",
    b"A(: b",
    b"A: b\x00",
    b"A: b\x0b",
    b"A: b\x0c",
    b"A\x00: b",
    b"A: b\rC: d",
    b"A: b\nC: d",
    b"A: b\r\r\nC: d",
    b"A: b\n\r\nC: d",
    b"A: b\n\nC: d",
    b"A: b\r\n no\x00fold",
    b"A\r\n : b",
    b"A\r\n b: c",
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_field(line: bytes) -> None:
    """One malformed line makes the whole response invalid; it never hides the fields after it."""
    assert parse(b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 2\r\n\r\nhi") == BROKEN


@pytest.mark.parametrize("line", [line for line in BAD_LINES if line[:1] not in b" \t"])
def test_bad_field_after_a_good_one(line: bytes) -> None:
    """Also where it is the last."""
    assert parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + line + b"\r\n\r\nhi") == BROKEN


def test_remembered_lines_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that was seen gives what it gave, one that differs is judged for itself, and the memory is bounded."""
    memory = FieldLines(http11.field_line)
    monkeypatch.setattr(http11, "known_field", memory.__getitem__)
    head = b"HTTP/1.1 200 OK\r\nA: b\r\nSet-Cookie: secret=1\r\nC: " + b"d" * 300 + b"\r\n\r\n"
    cold = http11.parse_head("GET", head)

    assert http11.parse_head("GET", head).headers.pairs == cold.headers.pairs
    assert memory == {"A: b": (("A", "b"), ("a", "b"))}

    for number in range(3000):
        http11.parse_head("GET", b"HTTP/1.1 200 OK\r\nA: %d\r\n\r\n" % number)

    assert len(memory) <= 1024

    with pytest.raises(ProtocolError):
        http11.parse_head("GET", b"HTTP/1.1 200 OK\r\nA: b\r\nA: b\x00\r\n\r\n")


@pytest.mark.parametrize("paths", ["fast"], indirect=True)
def test_the_head_of_before_changes_nothing() -> None:
    """A head that comes again says what it said, but not to another method; one that differs is judged for itself."""
    last = last_head()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    first, second = last.read(head + b"hi", "GET"), last.read(head + b"ho", "GET")

    assert first is not None
    assert second is not None
    assert first[0] is second[0]
    assert (2, b"hi", b"ho") == (first[0].framing, first[1], second[1])

    to_head = last.read(head, "HEAD")

    assert to_head is not None
    assert 0 == to_head[0].framing
    assert last.read(head[:-1], "HEAD") is None
    assert last.read(b"HTTP/1.1 103 \r\n\r\n" + head, "HEAD") is None

    with pytest.raises(ProtocolError):
        last.read(head[:-4] + b"\x00\r\n\r\n", "HEAD")


@pytest.mark.parametrize(
    ("data", "evidence"),
    [
        (b"HTTP/1.1 abc\r\n\r\n", "bad status line: 'HTTP/1.1 abc'"),
        (
            b"\0\0\6\4" + bytes(11),
            r"not an HTTP/1 response: it begins with b'\x00\x00\x06\x04\x00\x00\x00'"
            '; the server speaks HTTP/2, which http2="only" asks for',
        ),
        (b"SSH-2.0-OpenSSH", "not an HTTP/1 response: it begins with b'SSH-2.0'"),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "header name is not a token (RFC 9110 §5.1): 'A '"),
        (b"HTTP/1.1 200 OK\r\nhello\r\n\r\n", "header line without a colon: 'hello'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "bad Content-Length: '+5'"),
        (
            b"HTTP/1.1 200 OK\r\nSet-Cookie: id=s3cret\x00s3cret\r\n\r\n",
            r"header Set-Cookie has a character that no field value may hold: '\x00'",
        ),
        (
            b"HTTP/1.1 200 OK\r\nSet-Cookie: id=s3cret\rs3cret\r\n",
            r"NUL, VT, FF or a bare CR or LF in a line of the response: b'\rs'",
        ),
    ],
)
def test_errors_show_the_evidence(data: bytes, evidence: str) -> None:
    """The wrong thing, escaped, and nothing of the value of a field."""
    assert message(data) == evidence


# --- §2, §3 Limits --------------------------------------------------------------------------------


def test_field_limit() -> None:
    """1,000 header lines, and not one more."""
    lines = b"HTTP/1.1 204 \r\n" + b"A: b\r\n" * 1000

    assert isinstance(verdict([lines + b"\r\n"]), Parsed)
    assert verdict([lines + b"A: b\r\n\r\n"]) == LARGE


def test_line_limit() -> None:
    """64 KiB a line, and not one byte more."""
    start = b"HTTP/1.1 204 \r\nA: "

    assert isinstance(verdict([start + b"b" * (65_536 - 3) + b"\r\n\r\n"]), Parsed)
    assert verdict([start + b"b" * (65_536 - 2) + b"\r\n\r\n"]) == LARGE
    assert message(start + b"b" * 65_536 + b"\r\n\r\n") == "header line longer than 64 KiB"


def test_block_limit() -> None:
    """100 KiB from the status line to the blank line, and not one byte more."""
    start = b"HTTP/1.1 204 \r\nA: " + b"b" * 60_000 + b"\r\nA: "
    filling = b"b" * (102_400 - len(start) - 4)

    assert isinstance(verdict([start + filling + b"\r\n\r\n"]), Parsed)
    assert verdict([start + filling + b"b\r\n\r\n"]) == LARGE
    assert message(start + filling + b"b\r\n\r\n") == "response head: 100 KiB exceeded"


@pytest.mark.parametrize("flood", [b"b", b"A: b\r\n", b"\r\n b"])
def test_endless_head(flood: bytes) -> None:
    """A head that does not end is cut off at its limit, however it comes."""
    data = b"HTTP/1.1 200 OK\r\nA: b" + flood * 110_000
    expected = verdict([data])

    assert expected in (LARGE, BROKEN)
    assert verdict([bytes([byte]) for byte in data[:110_000]]) == expected


def test_illegal_before_large() -> None:
    """What is both illegal and too large has one verdict, as single bytes show the first before the second."""
    data = b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1200 + b"A: \x00\r\n\r\n"

    assert verdict([data]) == verdict([bytes([byte]) for byte in data]) == BROKEN


# --- §4 Framing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "status", "fields", "expected"),
    [
        ("HEAD", 200, {"content-length": "5"}, 0),
        ("HEAD", 200, {"transfer-encoding": "chunked"}, 0),
        ("GET", 204, {"content-length": "5"}, 0),
        ("GET", 304, {"content-length": "5"}, 0),
        ("CONNECT", 200, {"content-length": "5"}, 0),
        ("CONNECT", 407, {"content-length": "5"}, 0),  # it is not read
        ("GET", 200, {"transfer-encoding": "chunked"}, "chunked"),
        ("GET", 200, {"transfer-encoding": "Chunked"}, "chunked"),
        ("GET", 200, {"content-length": "0"}, 0),
        ("GET", 205, {"content-length": "5"}, 5),
        ("GET", 200, {"content-length": "005"}, 5),
        ("GET", 200, {"content-length": "5, 5 ,\t5"}, 5),
        ("GET", 200, {"content-length": "9223372036854775807"}, 9223372036854775807),
        ("GET", 200, {}, "close"),
        ("GET", 404, {}, "close"),
    ],
)
def test_framing(method: str, status: int, fields: dict[str, str], expected: object) -> None:
    """RFC 9112 §6.3, step by step."""
    assert http11.framing(method, status, "HTTP/1.1", fields) == expected


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: +5",
        b"Content-Length: -5",
        b"Content-Length: 5.0",
        b"Content-Length: 5_0",
        b"Content-Length: 5 0",
        b"Content-Length: 0x5",
        b"Content-Length: abc",
        b"Content-Length: \xb2",
        b"Content-Length: \xa05",
        b"Content-Length:",
        b"Content-Length: ,",
        b"Content-Length: 5,",
        b"Content-Length: ,5",
        b"Content-Length: 5;5",
        b"Content-Length: 5, 6",
        b"Content-Length: 5, 05",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5\r\ncontent-length: 5, 6",
        b"Content-Length: " + b"9" * 30,
        b"Content-Length: " + b"9" * 5000,
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Transfer-Encoding: chunked\r\nContent-Length: ",
        b"Transfer-Encoding:",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, gzip",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked,",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked;q=1",
        b'Transfer-Encoding: "chunked"',
        b"Transfer-Encoding: \xa0chunked",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding: chun\xe2\x84\xaaed",  # the Kelvin sign in UTF-8
    ],
)
def test_bad_framing(lines: bytes) -> None:
    """Fields that contradict each other or cannot be understood are an error (RFC 9112 §6.1, §6.3)."""
    assert verdict([b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]) == BROKEN


def test_transfer_encoding_in_http_1_0() -> None:
    """RFC 9112 §6.1: such a message has faulty framing."""
    assert parse(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == BROKEN


# --- §5 The body ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "data", "expected"),
    [
        ("GET", FINAL, Parsed(200, headers=TWO, body=b"hi")),
        ("GET", FINAL + FINAL, Parsed(200, headers=TWO, body=b"hi", rest=FINAL)),
        ("HEAD", FINAL, Parsed(200, headers=TWO, rest=b"hi")),
        ("GET", b"HTTP/1.1 200 OK\r\n\r\n", Parsed(200, persists=False)),
        ("GET", b"HTTP/1.1 200 OK\r\n\r\nto\r\n\r\nthe end", Parsed(200, body=b"to\r\n\r\nthe end", persists=False)),
        ("GET", b"HTTP/1.1 204 OK\r\n\r\nextra", Parsed(204, rest=b"extra")),
        ("GET", b"HTTP/1.1 304 OK\r\nContent-Length: 2\r\n\r\n", Parsed(304, headers=TWO)),
    ],
)
def test_body(method: str, data: bytes, expected: Parsed) -> None:
    """Exactly the bytes of the body; what comes after them is left."""
    assert parse(data, method) == expected


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CODING = (("Transfer-Encoding", "chunked"),)


@pytest.mark.parametrize(
    ("data", "body", "trailers", "rest"),
    [
        (b"0\r\n\r\n", b"", (), b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello", (), b""),
        (b"5\r\nhello\r\n0\r\n\r\nrest", b"hello", (), b"rest"),
        (b"a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n", b"0123456789" * 2, (), b""),
        (b"0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", b"hello", (), b""),
        (b'5;a\r\nhello\r\n1 \t; b="c;\xe9"\r\n!\r\n0;x=y\r\n\r\n', b"hello!", (), b""),
        (b"2\r\n\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n", (), b""),  # data that looks like the end
        (
            b"1\r\nx\r\n" * 30 + b"2\r\nyz\r\n" * 3 + b"1\r\nx\r\n" * 7 + b"0\r\n\r\n",
            b"x" * 30 + b"yz" * 3 + b"x" * 7,
            (),
            b"",
        ),
        (b"5\r\nhello\r\n0\r\nA: b\r\nA: c\r\n\r\nrest", b"hello", (("A", "b"), ("A", "c")), b"rest"),
        (b"0\r\nContent-Length: 5\r\nA: b\r\n c\r\n\r\n", b"", (("Content-Length", "5"), ("A", "b c")), b""),
    ],
)
def test_chunked(data: bytes, body: bytes, trailers: tuple[tuple[str, str], ...], rest: bytes) -> None:
    """The data of the chunks; extensions are ignored, trailers kept apart from the header (RFC 9112 §7.1)."""
    assert parse(CHUNKED + data) == Parsed(200, headers=CODING, body=body, trailers=trailers, rest=rest)


@pytest.mark.parametrize(
    "data",
    [
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"0_5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"5\t\r\nhello\r\n0\r\n\r\n",
        b"g\r\nhello\r\n0\r\n\r\n",
        b"\xb25\r\nhello\r\n0\r\n\r\n",
        b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",  # a full-width 5 in UTF-8
        b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        b"10000000000000005\r\nhello\r\n0\r\n\r\n",  # 2^64 + 5
        b"\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\rhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"4\r\nhello\r\n0\r\n\r\n",
        b"5;\x00\r\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5 a\r\nhello\r\n0\r\n\r\n",
        b"5,a\r\nhello\r\n0\r\n\r\n",
        b"0\n\n",
        b"0\r\n\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n A: b\r\n\r\n",
        b"0\r\nA: \x00\r\n\r\n",
        b"1\r\nx\r\n" * 20 + b"1\r\nx\rx" + b"1\r\nx\r\n" * 20,
        b"1\r\nx\r\n" * 20 + b"+1\r\nx\r\n" + b"1\r\nx\r\n" * 20,
    ],
)
def test_bad_chunked(data: bytes) -> None:
    """Leniency about chunks is how responses are smuggled: no size, ending or extension is guessed."""
    assert parse(CHUNKED + data) == BROKEN


@pytest.mark.parametrize(
    "data", [b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"[:end] for end in range(len(b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"))]
)
def test_chunked_is_cut_short(data: bytes) -> None:
    """Without the blank line after the last chunk and its trailers, the body is incomplete."""
    assert parse(CHUNKED + data) == CUT


@pytest.mark.parametrize("paths", ["fast"], indirect=True)
def test_chunk_data_comes_as_it_arrives() -> None:
    """Nobody waits for the end of a chunk; what arrived together is handed out together."""
    reader = ByteReader()
    steps = http11.read_body(reader, "chunked")

    assert next(steps) is None
    reader.feed(b"1\r\na\r\n1\r\nb\r\nff\r\ncd")
    assert [next(steps), next(steps), next(steps)] == [b"ab", b"cd", None]
    reader.feed(b"e")
    assert [next(steps), next(steps)] == [b"e", None]


def test_extension_limit() -> None:
    """Extensions of 16 KiB in all, and as many bytes again as there are data."""
    unit = b"1;" + b"x" * 1023 + b"\r\ny\r\n"  # 1,024 bytes of extension, 1 of data
    end = b"0\r\n\r\n"

    assert isinstance(verdict([CHUNKED + unit * 16 + end]), Parsed)
    assert verdict([CHUNKED + unit * 17 + end]) == LARGE
    assert isinstance(verdict([CHUNKED + b"400\r\n" + b"y" * 1024 + b"\r\n" + unit * 17 + end]), Parsed)
    assert verdict([CHUNKED + b"1;" + b"x" * 70_000 + b"\r\ny\r\n" + end]) == LARGE


def test_trailer_limit() -> None:
    """Trailers of 8 KiB, the blank line included."""
    start = CHUNKED + b"0\r\nA: "

    assert isinstance(verdict([start + b"b" * (8192 - 9) + b"\r\n\r\n"]), Parsed)
    assert verdict([start + b"b" * (8192 - 8) + b"\r\n\r\n"]) == LARGE
    assert message(start + b"b" * 9000 + b"\r\n\r\n") == "trailers: 8 KiB exceeded"


@pytest.mark.parametrize("flood", [b"0", b"1;x", b"1;x\r\ny\r\n", b"A: b\r\n"])
def test_endless_chunk_lines(flood: bytes) -> None:
    """A body of nothing but metadata is cut off."""
    data = CHUNKED + (b"0\r\n" if flood[:1] == b"A" else b"") + flood * 20_000

    assert verdict([data]) in (LARGE, BROKEN, CUT)
    assert verdict([bytes([byte]) for byte in data]) == verdict([data])


# --- §6 Keep or close -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "version", "fields", "framing", "expected"),
    [
        (200, "HTTP/1.1", {}, 5, True),
        (200, "HTTP/1.1", {}, "chunked", True),
        (200, "HTTP/1.1", {}, "close", False),
        (200, "HTTP/1.1", {"connection": "keep-alive"}, 5, True),
        (200, "HTTP/1.1", {"connection": "close"}, 5, False),
        (200, "HTTP/1.1", {"connection": "Close"}, 5, False),
        (200, "HTTP/1.1", {"connection": "x, CLOSE ,y"}, 5, False),
        (200, "HTTP/1.0", {}, 5, False),
        (200, "HTTP/1.0", {"connection": "keep-alive"}, 5, False),
        (204, "HTTP/1.1", {}, 0, True),
        (204, "HTTP/1.1", {"content-length": "0"}, 0, True),
        (204, "HTTP/1.1", {"content-length": "5"}, 0, False),
        (204, "HTTP/1.1", {"transfer-encoding": "chunked"}, 0, False),
        (304, "HTTP/1.1", {"content-length": "5"}, 0, True),
    ],
)
def test_persists(status: int, version: str, fields: dict[str, str], framing: http11.Framing, expected: bool) -> None:
    """RFC 9112 §9.3, and no reuse where anything is doubtful."""
    assert http11.persists(status, version, fields, framing) is expected


# --- The reader -----------------------------------------------------------------------------------


def test_reader_gives_each_byte_once() -> None:
    """In order, whatever the pieces; what is taken at once was not copied."""
    reader = ByteReader()
    whole = b"abcdef"
    reader.feed(whole)

    assert reader.take(6) is whole

    reader.feed(b"ab")
    reader.feed(b"cdef")

    assert [len(reader), reader.take(1), reader.take_until(b"d", 9), reader.take(9)] == [6, b"a", b"bcd", b"ef"]
    assert [len(reader), reader.take(9)] == [0, b""]


def test_reader_does_not_grow() -> None:
    """What was taken is dropped, even if something is always left."""
    reader = ByteReader()
    reader.feed(b"x")
    for _ in range(100):
        reader.feed(b"y" * 1000)
        reader.take(1000)

    assert len(reader.data) <= 1001


def test_read_exact_and_some() -> None:
    """The two ways to wait for bytes, and their end."""
    reader = ByteReader()
    steps = reader.read_exact(3)

    assert next(steps) is None
    reader.feed(b"ab")
    assert next(steps) is None
    reader.feed(b"cd")
    with pytest.raises(StopIteration) as done:
        next(steps)
    assert done.value.value == b"abc"

    reader.feed_eof()
    with pytest.raises(StopIteration) as done:
        next(reader.read_some(9))
    assert done.value.value == b"d"
    with pytest.raises(EOFError):
        next(reader.read_some(9))
