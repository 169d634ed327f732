"""The parser of the socket client against responses that nobody thought of, and against two other parsers.

Hypothesis writes a valid response from a value, which must come back, and then breaks it, which must give a
`ProtocolError`, a `ConnectionLost` or a value, never anything else, and the same however the bytes are split.
h11 and `http.client` read the same bytes. Where they disagree with us, a row of `H11` or `HTTP_CLIENT` must say why.
"""

from __future__ import annotations

import http.client
import io
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from test_http11 import Parsed, last_head, read_response, use_plain_code, verdict
from unifetch.errors import ConnectionLost, ProtocolError
from unifetch.wire import http11
from unifetch.wire.fast_paths import FieldLines
from unifetch.wire.reader import ByteReader

if TYPE_CHECKING:
    from collections.abc import Callable

    Verdict = Parsed | tuple[type, str]

# Derandomized: a test run is the same for everybody. The searching is done by tests/fuzz.
steady = settings(max_examples=300, suppress_health_check=list(HealthCheck))


# --- Valid responses ------------------------------------------------------------------------------

TOKEN = st.text("!#$%&'*+-.^_`|~019azAZ", min_size=1, max_size=8)
NAME = st.one_of(TOKEN, st.sampled_from(["Server", "date", "Set-Cookie", "X-A", "x-a", "Vary"]))
TEXT = st.text(
    st.sampled_from(["\t", " ", *map(chr, range(0x21, 0x7F)), "\x80", "\x85", "\xa0", "\xad", "\xff"]), max_size=20
)
OWS = st.text(" \t", max_size=2)
FRAMING_NAMES = {"content-length", "transfer-encoding", "connection"}


class Sample(NamedTuple):
    """What a server meant, and the bytes that it sent for it."""

    meant: Parsed
    method: str
    wire: bytes


@st.composite
def fields(draw: Callable[[Any], Any], least: int = 0) -> list[tuple[str, str]]:
    """A few fields, none of which has to do with framing."""
    pairs = draw(st.lists(st.tuples(NAME, TEXT), min_size=least, max_size=5))
    return [(name, value.strip(" \t")) for name, value in pairs if name.lower() not in FRAMING_NAMES]


@st.composite
def lines(draw: Callable[[Any], Any], pairs: list[tuple[str, str]]) -> bytes:
    """These fields with the white space that RFC 9112 §5.1 leaves to the sender."""
    return "".join(f"{name}:{draw(OWS)}{value}{draw(OWS)}\r\n" for name, value in pairs).encode("latin-1")


@st.composite
def chunks(draw: Callable[[Any], Any], body: bytes) -> bytes:
    """The body in chunks: of equal size, or of many."""
    wire = []
    sizes = draw(st.one_of(st.integers(1, 4).map(lambda size: [size]), st.lists(st.integers(1, 40), min_size=1)))
    while body:
        size = sizes[len(wire) % len(sizes)]
        piece, body = body[:size], body[size:]
        digits = draw(st.sampled_from(["%x", "%x", "%x", "%X", "0%x", "%016x"])) % len(piece)
        extension = draw(st.sampled_from(["", "", "", ";a", ' ;\tb="\xe9"', ";" + "c" * 30]))
        wire.append(f"{digits}{extension}\r\n".encode("latin-1") + piece + b"\r\n")
    return b"".join(wire) + draw(st.sampled_from([b"0\r\n", b"000\r\n", b"0;x\r\n"]))


@st.composite
def samples(draw: Callable[[Any], Any]) -> Sample:
    """A valid response to a method."""
    method = draw(st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]))
    version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]))
    status = draw(st.sampled_from([200, 200, 204, 304, 404, 500, 799, 999]))
    reason = draw(TEXT)
    head = draw(fields())
    interim = draw(st.lists(st.sampled_from([100, 102, 103, 199]), max_size=2))
    wire = b"".join(b"HTTP/1.1 %d \r\n%b\r\n" % (code, draw(lines(draw(fields())))) for code in interim)

    body, trailers, coded = b"", [], b""
    kinds = ["length", "close"] if version == "HTTP/1.0" else ["length", "chunked", "close"]
    kind = draw(st.sampled_from(kinds))
    if kind == "chunked" and status == 204:
        kind = "close"  # RFC 9112 §6.1: never in a 204
    has_body = method != "HEAD" and status not in (204, 304)
    if has_body:
        body = draw(st.one_of(st.binary(max_size=60), st.just(b"x" * 80), st.just(b"\r\n0\r\n\r\n" * 9)))
    if kind == "length" and status != 204:
        head.insert(draw(st.integers(0, len(head))), (draw(st.sampled_from(["Content-Length", "content-length"])), ""))
        at = next(at for at, (name, _) in enumerate(head) if name.lower() == "content-length")
        head[at] = (head[at][0], str(len(body)))
        coded = body
    elif kind == "chunked":
        head.append((draw(st.sampled_from(["Transfer-Encoding", "TRANSFER-ENCODING"])), "chunked"))
        if has_body:
            trailers = draw(fields())
            coded = draw(chunks(body)) + draw(lines(trailers)) + b"\r\n"
    else:
        coded = body
    close = draw(st.booleans())
    if close:
        head.append(("Connection", draw(st.sampled_from(["close", "Close", "x, close"]))))
    open_ended = has_body and kind == "close"
    rest = b"" if open_ended else draw(st.sampled_from([b"", b"", b"HTTP/1.1 200 OK\r\n\r\n"]))
    wire += f"{version} {status} {reason}\r\n".encode("latin-1") + draw(lines(head)) + b"\r\n" + coded + rest
    persists = not (close or open_ended or version == "HTTP/1.0")
    meant = Parsed(status, reason, version, tuple(head), body, tuple(trailers), tuple(interim), persists, rest)
    return Sample(meant, method, wire)


# --- Broken responses -----------------------------------------------------------------------------

# Bytes and phrases that parsers have stumbled over.
TROUBLE = st.one_of(
    st.binary(min_size=1, max_size=2),
    st.sampled_from(
        b"\r|\n|\r\n|\r\n\r\n|\n\n|\0| |\t|:|,|;|+|-|_|0x|0|5|\x0b|\x0c|\x1c|\x7f|\x85|\xa0|\xff|\r\n |\r\n\t".split(
            b"|"
        )
    ),
    st.sampled_from(
        [
            b"ffffffffffffffff",
            b"Content-Length: 5\r\n",
            b"Content-Length: 3, 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"A : b\r\n",
            b"HTTP/1.1 100 \r\n\r\n",
            b"HTTP/1.1 103 \r\n\r\n",
            b"HTTP/1.1 101 \r\n\r\n",
            b"HTTP/2.0",
            b"HTTP/1.2",
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"1;" + b"x" * 20_000 + b"\r\n",
            b"A: b\r\n" * 100,
            b"A:" + b"b" * 70_000,
        ]
    ),
)


@st.composite
def broken(draw: Callable[[Any], Any]) -> Sample:
    """A response with a few bytes inserted, removed, replaced or repeated, or cut short."""
    sample = draw(samples())
    wire = sample.wire
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(wire)))
        end = min(len(wire), start + draw(st.sampled_from([0, 0, 1, 1, 2, 4, 20])))
        change = draw(st.sampled_from(["insert", "insert", "replace", "remove", "repeat", "cut"]))
        if change == "cut":
            wire = wire[:start]
        else:
            middle = {"remove": b"", "repeat": wire[start:end] * 2}.get(change)
            if middle is None:
                middle = draw(TROUBLE)
            wire = wire[:start] + middle + wire[start if change == "insert" else end :]
    return sample._replace(wire=wire)


@st.composite
def pieces(draw: Callable[[Any], Any], wire: bytes) -> list[bytes]:
    """These bytes, split anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    return [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True) if start < end]


# --- The promises ---------------------------------------------------------------------------------


@steady
@given(samples())
def test_valid(sample: Sample) -> None:
    """What the server meant comes back, and what does not belong to it is left."""
    assert verdict([sample.wire], sample.method) == sample.meant
    assert verdict([sample.wire[at : at + 1] for at in range(len(sample.wire))], sample.method) == sample.meant


@steady
@given(st.data())
def test_broken(data: st.DataObject) -> None:
    """A value, a ProtocolError or a ConnectionLost; the same for every split, and once the head is remembered."""
    sample = data.draw(broken())
    wire, method = sample.wire, sample.method
    last = last_head()
    with mock.patch.object(http11, "known_field", FieldLines(http11.field_line).__getitem__):
        expected = verdict([wire], method, last)

        assert isinstance(expected, Parsed) or issubclass(expected[0], (ProtocolError, ConnectionLost))
        assert verdict([wire], method, last) == expected
        assert verdict(data.draw(pieces(wire)), method) == expected
        assert verdict([wire[at : at + 1] for at in range(len(wire))], method) == expected


@steady
@given(st.data())
def test_fast_is_plain(data: st.DataObject) -> None:
    """With the fast paths and without them, every response is the same, however it is split."""
    sample = data.draw(st.one_of(samples(), broken()))
    split = data.draw(pieces(sample.wire))
    last = last_head()
    fast = [verdict(split, sample.method, last) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        use_plain_code(patch)

        assert fast == [verdict(split, sample.method)] * 2


@steady
@given(st.data())
def test_nothing_is_guessed_while_the_connection_is_open(data: st.DataObject) -> None:
    """Without an end of the connection, what was a value needs no more bytes, unless its end is the connection's."""
    sample = data.draw(broken())
    expected = verdict([sample.wire], sample.method)
    reader = ByteReader()
    steps = read_response(reader, sample.method)
    result: Any = None
    try:
        for piece in [b"", *data.draw(pieces(sample.wire))]:
            if piece:
                reader.feed(piece)
            next(steps)
    except StopIteration as done:
        result = done.value
    except ProtocolError as error:
        result = type(error), error.request_sent

    if isinstance(result, Parsed):
        assert isinstance(expected, Parsed)
        assert result[:-1] == expected[:-1]
    elif result is not None:
        assert result == expected


# --- The oracles ----------------------------------------------------------------------------------


class Row(NamedTuple):
    """An agreed disagreement: who is stricter, where it shows (after the method and a space), and why we keep it."""

    stricter: str
    shows: bytes
    reason: str


H11 = [
    Row("we", rb"(?<!\r)\n", "bare LF ends a line there; RFC 9112 §2.2 MAY, and smuggling is made of it"),
    Row(
        "we",
        rb";[^\r\n]*[\x01-\x08\x0e-\x1f\x7f]",
        "control characters in chunk extensions; not in the grammar of §7.1.1",
    ),
    Row("we", rb"HTTP/([02-9]\.|1\.[2-9])", "any HTTP version there"),
    Row("we", rb"(?is)content-length.*transfer-encoding|transfer-encoding.*content-length", "both; §6.3 step 3"),
    Row("we", rb"(?is)HTTP/1\.0.*transfer-encoding", "Transfer-Encoding in HTTP/1.0; §6.1 has it faulty"),
    Row("we", rb"[0-9A-Fa-f][ \t]+\r\n", "white space after a chunk size; not in the grammar of §7.1"),
    Row("we", rb"[0-9A-Fa-f]{17}", "chunk sizes of up to 20 digits there; ours end at 64 bits"),
    Row("we", rb"[0-9]{20}", "a Content-Length of up to 20 digits there, 19 here"),
    Row("we", rb"(?s)(A: b\r\n){500}|.{60000}", "100 KiB and no other limit there"),
    Row("we", rb";[^\r\n]{1000}", "chunk extensions have no limit of their own there"),
    Row(
        "they", rb"(?s)HTTP/1\.[01] (1|204|304)", "framing fields are checked there even where §6.3 step 1 ignores them"
    ),
    Row("they", rb"[0-9A-Fa-f][ \t]+;", "no white space before a chunk extension there; §7.1.1 has it accepted (BWS)"),
    Row("they", rb"(?is)\AHEAD .*(content-length|transfer-encoding)", "the same in the answer to HEAD"),
    Row("they", rb"(?is)\n0+(;[^\r]*)?\r\n.*(content-length|transfer-encoding)", "and in trailers"),
]


def h11_verdict(wire: bytes, method: str) -> Parsed | str:
    """What h11 makes of the bytes: the response, or "refused"."""
    h11 = pytest.importorskip("h11")
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a.test")]))
    connection.send(h11.EndOfMessage())
    body, interim = [], []
    try:
        connection.receive_data(wire)
        connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                trailers = event.headers.raw_items()
                break
            else:
                return "refused"
    except h11.ProtocolError:
        return "refused"
    return Parsed(
        head.status_code,
        head.reason.decode("latin-1"),
        f"HTTP/{head.http_version.decode()}",
        _text(head.headers.raw_items()),
        b"".join(body),
        _text(trailers),
        tuple(interim),
        rest=connection.trailing_data[0],
    )


def _text(items: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in items)


HTTP_CLIENT = [
    Row("we", rb"", "refuses almost nothing: its header parser was made for mail, its numbers are read by int()"),
    Row("they", rb"(?is)HTTP/1\.. (204|304).*transfer-encoding", "reads chunks where there is no body; §6.3 step 1"),
    Row("neither", rb"(?is)HTTP/1\.. (204|304).*transfer-encoding", "the same, and found some"),
    Row("neither", rb"HTTP/1\.. 1(?!00)", "takes an interim response other than 100 for the final one; RFC 9110 §15.2"),
    Row("neither", rb"(?i)\nT[a-z]+-Encoding:\s*chunked\s*?[ \t]\s*?\r\n", "keeps white space after a value; §5.1"),
    Row("neither", rb"(?i)content-length:\s*[0-9]+\s*,", "reads a list of equal lengths to the end; §6.3 step 5"),
]


class Connection(io.BytesIO):
    """Stands in for the socket of http.client, and can still be read after it was closed."""

    def makefile(self, *_: object) -> Connection:
        return self

    def close(self) -> None:
        pass


def http_client_verdict(wire: bytes, method: str) -> Parsed | str:
    """What http.client makes of the bytes: the response, or "refused"."""
    connection = Connection(wire)
    response = http.client.HTTPResponse(connection, method=method)  # type: ignore[arg-type]  # all that it uses is makefile
    try:
        response.begin()
        body = response.read()
    except (http.client.HTTPException, ValueError, OverflowError):
        return "refused"
    version = {10: "HTTP/1.0", 11: "HTTP/1.1"}[response.version]
    return Parsed(response.status, response.reason, version, tuple(response.getheaders()), body, rest=connection.read())


# What http.client does not report.
UNREPORTED = ("trailers", "interim")


def comparable(response: Parsed, *unreported: str) -> Parsed:
    """The response without what the other parser does not report, or reports in another form on purpose."""
    response = response._replace(**dict.fromkeys(unreported, ()))  # type: ignore[arg-type]  # both are tuples
    return response._replace(
        reason=response.reason.strip(),
        version="",
        headers=tuple(
            (name, re.sub(r"[ \t\r\n]+", " ", value).strip(" "))
            for name, value in response.headers
            if name.lower() not in FRAMING_NAMES
        ),
        persists=True,
    )


def disagreement(ours: Verdict, theirs: Parsed | str, *unreported: str) -> str:
    """Who is stricter: "we", "they" or "neither"; "" if there is no disagreement."""
    if not isinstance(ours, Parsed):
        return "we" if isinstance(theirs, Parsed) else ""
    if not isinstance(theirs, Parsed):
        return "they"
    return "" if comparable(ours, *unreported) == comparable(theirs, *unreported) else "neither"


def explained(table: list[Row], stricter: str, method: str, wire: bytes) -> bool:
    """Whether a row of the table has the reason."""
    return any(row.stricter == stricter and re.search(row.shows, method.encode() + b" " + wire) for row in table)


ANYTHING = st.one_of(samples(), broken(), broken(), broken())


@steady
@given(ANYTHING)
def test_h11_agrees(sample: Sample) -> None:
    """h11 reads the same response, or refuses the same bytes, or a row of H11 says why not."""
    ours, theirs = verdict([sample.wire], sample.method), h11_verdict(sample.wire, sample.method)
    stricter = disagreement(ours, theirs)

    assert not stricter or explained(H11, stricter, sample.method, sample.wire), (ours, theirs)


@steady
@given(ANYTHING)
def test_http_client_agrees(sample: Sample) -> None:
    """What we accept, http.client reads the same way, or a row of HTTP_CLIENT says why not."""
    ours, theirs = verdict([sample.wire], sample.method), http_client_verdict(sample.wire, sample.method)
    stricter = disagreement(ours, theirs, *UNREPORTED)

    assert not stricter or explained(HTTP_CLIENT, stricter, sample.method, sample.wire), (ours, theirs)


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("wire", "stricter"),
    [
        (HEAD + b"A: b\nContent-Length: 0\r\n\r\n", "we"),
        (CHUNKED + b"1;\x01\r\nx\r\n0\r\n\r\n", "we"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "we"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "we"),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "we"),
        (CHUNKED + b"1 \r\nx\r\n0\r\n\r\n", "we"),
        (CHUNKED + b"0" * 16 + b"1\r\nx\r\n0\r\n\r\n", "we"),
        (HEAD + b"Content-Length: " + b"0" * 20 + b"\r\n\r\n", "we"),
        (HEAD + b"A: b\r\n" * 1001 + b"\r\n", "we"),
        (CHUNKED + b"1;" + b"x" * 17_000 + b"\r\ny\r\n0\r\n\r\n", "we"),
        (b"HTTP/1.1 204 OK\r\nContent-Length: x\r\n\r\n", "they"),
        (CHUNKED + b"1 ;x\r\ny\r\n0\r\n\r\n", "they"),
        (CHUNKED + b"0\r\nContent-Length: x\r\n\r\n", "they"),
    ],
)
def test_disagreements_with_h11(wire: bytes, stricter: str) -> None:
    """Each row of H11 is about something that there is: an example of it, in the order of the table."""
    assert disagreement(verdict([wire]), h11_verdict(wire, "GET")) == stricter
    assert explained(H11, stricter, "GET", wire)


@pytest.mark.parametrize(
    ("wire", "stricter"),
    [
        (HEAD + b"A : b\r\nContent-Length: 0\r\n\r\n", "we"),
        (HEAD + b"Content-Length: +5\r\n\r\nhello", "we"),
        (HEAD + b"A: b\r\n", "we"),  # a truncated head
        (CHUNKED + b"+1\r\nx\r\n0\r\n\r\n", "we"),
        (CHUNKED + b"1\r\nx??0\r\n\r\n", "we"),
        (CHUNKED + b"1\r\nx\r\n0\r\n", "we"),
        (b"HTTP/1.1 304 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "they"),
        (b"HTTP/1.1 103 \r\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n", "neither"),
        (HEAD + b"Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n", "neither"),
        (HEAD + b"Content-Length: 1, 1\r\n\r\nxy", "neither"),
    ],
)
def test_disagreements_with_http_client(wire: bytes, stricter: str) -> None:
    """Examples of the rows of HTTP_CLIENT."""
    assert disagreement(verdict([wire]), http_client_verdict(wire, "GET"), *UNREPORTED) == stricter
    assert explained(HTTP_CLIENT, stricter, "GET", wire)
