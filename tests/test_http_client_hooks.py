"""The hooks by which three backends go around `http.client`: each test fails when a library changes underneath one.

They go around the core, from a `RawRequest` to a `RawResponse`, so that it cannot hide what an adapter lets through.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from unifetch import Client
from unifetch.backends import load
from unifetch.backends.base import Backend, Capability
from unifetch.errors import (
    ConfigConflict,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    IncompleteBody,
    InvalidSetting,
    ProtocolError,
    ReadTimeout,
    StreamError,
    TLSError,
    TooLarge,
    TotalTimeout,
    UnifetchError,
    WriteTimeout,
)
from unifetch.model.messages import RawRequest, RawResponse
from unifetch.model.timeouts import Timeout
from unifetch.model.url import URL
from unifetch.policies.tls import TLS
from unifetch.testing.server import Server, refused_port
from unifetch.testing.steps import (
    Close,
    Drip,
    Flood,
    HalfClose,
    OnConnect,
    OnHead,
    Pause,
    Receive,
    Reset,
    Stall,
    Truncate,
    Wait,
    reply,
)
from unifetch.wire.blocking import dial

NAMES = ["urllib", "urllib3", "requests"]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def name_or_skip(name: str) -> str:
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    made = load(name_or_skip(request.param))()
    yield made
    made.close()


def raw_request(url: str | SimpleNamespace, method: str = "GET", body: Any = None, **options: Any) -> RawRequest:
    target: Any = URL(url) if isinstance(url, str) else url
    fields = [("Host", target.authority), *options.pop("headers", ())]
    length = options.pop("length", None)
    if isinstance(body, bytes):
        length = len(body)
    if body is not None:
        fields.append(("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length)))
    options.setdefault("timeout", Timeout(connect=5, read=5, write=5))
    return RawRequest(method, target, tuple(fields), body, length, **options)


def exchange(backend: Backend, url: str, *args: Any, **options: Any) -> tuple[RawResponse, bytes]:
    raw = backend.send(raw_request(url, *args, **options))
    try:
        return raw, b"".join(raw.body)
    finally:
        raw.close()


def failure(backend: Backend, url: str, *args: Any, **options: Any) -> UnifetchError:
    with pytest.raises(UnifetchError) as caught:
        exchange(backend, url, *args, **options)
    return caught.value


# --- `request`, `putrequest`, `putheader`, `endheaders`, `send` ------------------------------------


def test_the_request_goes_out_as_it_is(backend: Backend) -> None:
    """Target and fields are sent as they are handed over: order, case and duplicates, and nothing else."""
    fields = [("x-lower", "1"), ("X-Dup", "a"), ("Accept", "*/*"), ("X-Dup", "b"), ("X-Bytes", "caf\xe9")]
    with Server() as server:
        url = SimpleNamespace(
            scheme="http",
            host="127.0.0.1",
            port=server.port,
            target="/a%zz/../b%2f%7E/%41?x=%41%zz",
            authority="example.test",
        )
        raw = backend.send(raw_request(url, headers=fields))
        assert list(raw.body) == []
        head = server.wait_requests(1)[0].head

    assert head == (
        b"GET /a%zz/../b%2f%7E/%41?x=%41%zz HTTP/1.1\r\nHost: example.test\r\nx-lower: 1\r\n"
        b"X-Dup: a\r\nAccept: */*\r\nX-Dup: b\r\nX-Bytes: caf\xe9\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("body", "length", "sent"),
    [
        (b"hello", None, b"Content-Length: 5\r\n\r\nhello"),
        (b"", None, b"Content-Length: 0\r\n\r\n"),
        ([b"hel", b"lo"], 5, b"Content-Length: 5\r\n\r\nhello"),
        ([b"a" * 10, b"b"], None, b"Transfer-Encoding: chunked\r\n\r\na\r\naaaaaaaaaa\r\n1\r\nb\r\n0\r\n\r\n"),
    ],
)
def test_the_body_goes_out_as_it_is_framed(backend: Backend, body: Any, length: int | None, sent: bytes) -> None:
    """Bytes and declared iterables are sent raw, others chunked, in lower case."""
    with Server() as server:
        exchange(backend, server.url + "/", "POST", body, length=length)

        assert server.received() == f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n".encode() + sent


def test_a_stream_may_make_requests_of_its_own(backend: Backend) -> None:
    """What is sent on a connection stays its own while the body asks for something else."""

    def blocks() -> Iterator[bytes]:
        yield exchange(backend, inner.url)[1]

    with Server(reply(body=b"inner")) as inner, Server(lambda request: reply(body=request.body)) as outer:
        _, body = exchange(backend, outer.url, "POST", blocks())

    assert body == b"inner"


@pytest.mark.parametrize("kind", [RuntimeError, ConnectionResetError, ConnectionLost, KeyboardInterrupt])
def test_what_the_callers_stream_raises_is_not_taken_for_the_network(backend: Backend, kind: type) -> None:
    """An error of the body's iterable comes through, itself or as the cause, and its connection is closed."""

    def blocks() -> Iterator[bytes]:
        yield b"hello"
        raise error

    error = kind("mine")
    with Server(reply()) as server:
        with pytest.raises((kind, UnifetchError)) as caught:
            exchange(backend, server.url, "POST", blocks())
        server.wait_closed()

    assert error in (caught.value, caught.value.__cause__, getattr(caught.value.__cause__, "__cause__", None))


@pytest.mark.parametrize("size", [None, 300 * 65536])
def test_an_early_response_is_returned(backend: Backend, size: int | None) -> None:
    """A server that answers and closes during an upload is heard (RFC 9112 §9.5)."""
    blocks = (b"y" * 65536 for _ in range(300))
    with Server(OnHead(reply(413, b"no"), Close()), reply(body=b"next")) as server:
        raw, body = exchange(backend, server.url, "POST", blocks, length=size)

        assert (raw.status, body) == (413, b"no")
        assert exchange(backend, server.url)[1] == b"next"
        assert server.connections == 2


# --- `connect`, `sock` ----------------------------------------------------------------------------


def test_a_refused_connection_sent_nothing(backend: Backend) -> None:
    """Refused is ConnectError, and it is certain that no byte has left."""
    with refused_port() as port:
        error = failure(backend, f"http://127.0.0.1:{port}/")

    assert (type(error), error.request_sent) == (ConnectError, "no")


def test_a_handshake_that_stalls_ends_with_the_connect_timeout(backend: Backend, client_tls: ssl.SSLContext) -> None:
    """The connect timeout covers TLS."""
    with Server(OnConnect(Stall())) as server:
        url = server.url.replace("http:", "https:")
        error = failure(backend, url, tls=client_tls, timeout=Timeout(connect=0.2))

    assert (type(error), error.request_sent) == (ConnectTimeout, "no")


def test_a_connection_is_opened_by_connect(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """No library opens a connection but by `connect`, and it does so once for as long as the connection is kept."""
    opened: list[RawRequest] = []

    def watched(request: RawRequest, *session: Any) -> Any:
        opened.append(request)
        return dial(request, *session)

    module = "socket" if backend.name == "urllib" else "urllib3"  # whose connections are those of requests, too
    monkeypatch.setattr(f"unifetch.backends.{module}.dial", watched)
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("the library connects by itself"))
    with Server() as server:
        exchange(backend, server.url + "/1")
        exchange(backend, server.url + "/2")

        assert (["/1"], 1) == ([request.target for request in opened], server.connections)


# --- Time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        pytest.param((OK, Drip(b"X: " + b"a" * 1000, 0.02)), id="head"),
        pytest.param((OK + b"Content-Length: 1000\r\n\r\n", Drip(b"a" * 1000, 0.02)), id="body"),
        pytest.param((CHUNKED, Drip(b"0" * 1000, 0.02)), id="chunk size"),
        pytest.param((CHUNKED, Drip(b"1\r\na\r\n" * 1000, 0.02)), id="chunks"),
        pytest.param(Flood(b"HTTP/1.1 103 Early Hints\r\n\r\n", 1), id="interim"),
    ],
)
@pytest.mark.parametrize("secure", [False, True])
def test_a_drip_ends_at_the_deadline(
    backend: Backend, script: Any, secure: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """A response of which every byte comes in time ends at the deadline nevertheless."""
    with Server(script, tls=server_tls if secure else None) as server:
        error = failure(backend, server.url, deadline=monotonic() + 0.3, tls=client_tls if secure else None)

    assert type(error) is ReadTimeout


def test_a_server_that_takes_nothing_is_a_write_timeout(backend: Backend) -> None:
    """The write timeout runs while the server takes no byte."""
    with Server(OnHead(Stall()), receive_buffer=4096) as server:
        error = failure(backend, server.url, "POST", b"x" * 20_000_000, timeout=Timeout(write=0.2))

    assert (type(error), error.request_sent) == (WriteTimeout, "maybe")


# --- The response ---------------------------------------------------------------------------------


def test_interim_responses_are_skipped(backend: Backend) -> None:
    """Every 1xx but 101 is followed by the final response (RFC 9110 §15.2)."""
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    with Server(interim + reply(body=b"final")) as server:
        raw, body = exchange(backend, server.url)

    assert (raw.status, body) == (200, b"final")


def test_fields_are_reported_as_they_came(backend: Backend) -> None:
    """Order, case and duplicates are kept, white space is stripped, a fold is one space, a byte one character."""
    lines = b"content-TYPE: a/b \r\nX-Dup:1\r\nETag: a\r\nx-dup:\t2\r\nX-Fold: one \r\n  two\r\nX: caf\xe9\x01\r\n"
    with Server(b"HTTP/1.1 299 Fine by m\xe9\r\n" + lines + b"Content-Length: 0\r\n\r\n") as server:
        raw, _ = exchange(backend, server.url)

    assert (raw.status, raw.reason, raw.http_version) == (299, "Fine by m\xe9", "HTTP/1.1")
    assert list(raw.headers.pairs) == [
        ("content-TYPE", "a/b"),
        ("X-Dup", "1"),
        ("ETag", "a"),
        ("x-dup", "2"),
        ("X-Fold", "one two"),
        ("X", "caf\xe9\x01"),
        ("Content-Length", "0"),
    ]


MALFORMED: dict[str, Any] = {
    "no answer at all": (Close(), ConnectionLost),
    "cut in a line": ((OK + b"X: a", HalfClose()), ConnectionLost),
    "cut between lines": ((OK + b"X: a\r\n", HalfClose()), ConnectionLost),
    "reset in the head": ((OK, Pause(0.05), Reset()), ConnectionLost),
    "space before the colon": (OK + b"X : a\r\n\r\n", ProtocolError),
    "no colon": (OK + b"X\r\n\r\n", ProtocolError),
    "empty name": (OK + b": a\r\n\r\n", ProtocolError),
    "8 bits in a name": (OK + b"X\xe9: a\r\n\r\n", ProtocolError),
    "bare CR": (OK + b"X: a\rY: b\r\n\r\n", ProtocolError),
    "bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", ProtocolError),
    "one bare LF": (OK + b"X: a\nY: b\r\n\r\n", ProtocolError),
    "NUL": (OK + b"X: a\0b\r\n\r\n", ProtocolError),
    "vertical tab": (OK + b"X: a\x0bY: b\r\n\r\n", ProtocolError),
    "fold without a line": (OK + b" X: a\r\n\r\n", ProtocolError),
    "both framings": (OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", ProtocolError),
    "unknown coding": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", ProtocolError),
    "chunked with a parameter": (OK + b"Transfer-Encoding: chunked;q=1\r\n\r\n", ProtocolError),
    "signed length": (OK + b"Content-Length: +3\r\n\r\nabc", ProtocolError),
    "length with an underscore": (OK + b"Content-Length: 1_0\r\n\r\n0123456789", ProtocolError),
    "two lengths": (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", ProtocolError),
    "empty length": (OK + b"Content-Length:\r\n\r\n", ProtocolError),
    "HTTP/2.0": (b"HTTP/2.0 200 OK\r\n\r\n", ProtocolError),
    "status 099": (b"HTTP/1.1 099 Low\r\n\r\n", ProtocolError),
    "no HTTP": (b"220 smtp.example.test\r\n\r\n", ProtocolError),
    "no HTTP, and no line": (b"\x15\x03\x03\x00\x02\x02\x46", ProtocolError),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ProtocolError),
    "1,001 fields": (OK + b"X: a\r\n" * 1001 + b"\r\n", TooLarge),
    "a line of 64 KiB": (OK + b"X: " + b"a" * 65536 + b"\r\n\r\n", TooLarge),
    "endless line": ((OK, Flood(b"aaaaaaaa")), TooLarge),
    "endless fields": ((OK, Flood(b"X: aaaa\r\n")), TooLarge),
    "endless interim": (Flood(b"HTTP/1.1 100 Continue\r\n\r\n"), TooLarge),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_head_is_an_error(backend: Backend, name: str) -> None:
    """What http.client would take for an ordinary response, or leave to a timeout, is reported."""
    script, kind = MALFORMED[name]
    with Server(script) as server:
        error = failure(backend, server.url)

    assert type(error) is kind
    assert error.request_sent == ("maybe" if name == "no answer at all" else "yes")


def test_a_malformed_cookie_is_not_shown(backend: Backend) -> None:
    """An error shows the line that is wrong, but not one that may hold a credential."""
    with Server(OK + b"Set-Cookie : secret=1\r\n\r\n") as server:
        error = failure(backend, server.url)

    assert "Set-Cookie" in str(error)
    assert "secret=1" not in str(error)


# --- `read1` ---------------------------------------------------------------------------------------

BODIES: dict[str, Any] = {
    "a length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "the same length twice": (OK + b"Content-Length: 5, 5\r\n\r\nhello", b"hello"),
    "until the end": ((OK + b"\r\nhello", Close()), b"hello"),
    "chunks": (CHUNKED + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello"),
    "extensions and trailers": (CHUNKED + b'5 ; a="b"\r\nhello\r\n000\r\nX: y\r\n\r\n', b"hello"),
    "a chunk in pieces": ((CHUNKED, Drip(b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 0.001)), b"hello"),
    "many small chunks": (CHUNKED + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n", b"a" * 100_000),
    "upper-case size": (CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_read_to_its_end(backend: Backend, name: str) -> None:
    """Whatever frames it, the body is what was sent."""
    script, body = BODIES[name]
    with Server(script) as server:
        assert exchange(backend, server.url)[1] == body


BROKEN: dict[str, Any] = {
    "a length": ((OK + b"Content-Length: 6\r\n\r\nhello", HalfClose()), IncompleteBody),
    "reset": ((OK + b"\r\nhello", Pause(0.05), Reset()), IncompleteBody),
    "cut in a chunk": ((CHUNKED + b"6\r\nhello", HalfClose()), IncompleteBody),
    "cut after a chunk": ((CHUNKED + b"5\r\nhello\r\n", HalfClose()), IncompleteBody),
    "cut in a size": ((CHUNKED + b"5\r\nhello\r\n1", HalfClose()), IncompleteBody),
    "no end after the last chunk": ((CHUNKED + b"5\r\nhello\r\n0\r\n", HalfClose()), IncompleteBody),
    "malformed trailer": (CHUNKED + b"5\r\nhello\r\n0\r\nX y\r\n\r\n", ProtocolError),
    "endless trailers": ((CHUNKED + b"0\r\n", Flood(b"X: y\r\n")), TooLarge),
    "2,000 trailers": (CHUNKED + b"0\r\n" + b"X: y\r\n" * 2000 + b"\r\n", TooLarge),
    "an endless trailer": ((CHUNKED + b"0\r\nX: ", Flood(b"yyyy")), TooLarge),
    "bare CR in a trailer": (CHUNKED + b"0\r\nX: y\rZ: z\r\n\r\n", ProtocolError),
    "endless extension": ((CHUNKED + b"5;", Flood(b"aaaa")), TooLarge),
    "endless zeros": ((CHUNKED, Flood(b"0000")), TooLarge),
    "data beyond its size": (CHUNKED + b"4\r\nhello\r\n0\r\n\r\n", ProtocolError),
    "data short of its size": (CHUNKED + b"6\r\nhello\r\n0\r\n\r\n", ProtocolError),
    "bare LF": (CHUNKED + b"5\nhello\n0\n\n", ProtocolError),
    **{
        f"size {size!r}": (CHUNKED + size + b"\r\nhello\r\n0\r\n\r\n", ProtocolError)
        for size in (b"0x5", b"+5", b"-5", b"5 ", b" 5", b"0_5", b"", b";a", b"g", b"10000000000000005", b"\xb5")
    },
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_body_is_an_error(backend: Backend, name: str) -> None:
    """What http.client would take for a whole body, or for a size, is reported, and the iterator is finished."""
    script, kind = BROKEN[name]
    with Server(script) as server:
        raw = backend.send(raw_request(server.url))
        with pytest.raises(UnifetchError) as caught:
            list(raw.body)
        assert list(raw.body) == []
        raw.close()
        server.wait_closed()

    assert (type(caught.value), caught.value.request_sent) == (kind, "yes")


def test_what_is_there_is_handed_out(backend: Backend) -> None:
    """A piece of the body is given at once, not when more has come."""
    more = threading.Event()
    with Server((CHUNKED + b"5\r\nhello\r\n", Wait(more), b"5\r\nworld\r\n0\r\n\r\n")) as server:
        raw = backend.send(raw_request(server.url))

        assert next(raw.body) == b"hello"

        more.set()

        assert list(raw.body) == [b"world"]


# --- `readinto` ------------------------------------------------------------------------------------


def read_into(raw: RawResponse, room: memoryview) -> int:
    """What comes next; a body without a length, or one that came with its head, is not read into memory."""
    if raw.read_into is not None:
        return raw.read_into(room)
    raw.body = iter(raw.body)
    piece = next(raw.body, b"")
    room[: len(piece)] = piece
    return len(piece)


@pytest.mark.parametrize("name", [*BODIES, "over TLS"])
def test_a_body_is_read_into_memory(
    backend: Backend, name: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """It is the same body, whatever frames it; then the connection is as if it had been iterated over."""
    script, body = BODIES.get(name) or (OK + b"Content-Length: 100000\r\n\r\n" + b"a" * 100_000, b"a" * 100_000)
    tls, options = (server_tls, {"tls": client_tls}) if name == "over TLS" else (None, {})
    place = bytearray(len(body) + 10)
    with Server(script, tls=tls) as server, memoryview(place) as room:
        raw, at = backend.send(raw_request(server.url, **options)), 0
        while count := read_into(raw, room[at:]):
            at += count
        raw.close()

    assert body == place[:at]


def test_what_is_there_is_read_into_memory(backend: Backend) -> None:
    """A read gives what has come, not what was asked for, and never more than the body has."""
    more, room = threading.Event(), memoryview(bytearray(100))
    with Server((OK + b"Content-Length: 10\r\n\r\nhello", Wait(more), b"world!")) as server:
        raw = backend.send(raw_request(server.url))
        counts = [read_into(raw, room)]
        more.set()
        counts += [read_into(raw, room[5:]), read_into(raw, room[10:])]
        raw.close()

    assert ([5, 5, 0], b"helloworld", bytes(90)) == (counts, room[:10], room[10:])


@pytest.mark.parametrize("end", [HalfClose(), Reset(), Stall()])
def test_a_body_that_cannot_be_read_into_memory(backend: Backend, end: Any) -> None:
    """What cuts it off is the error that it would be otherwise."""
    room = memoryview(bytearray(100))
    kind = ReadTimeout if isinstance(end, Stall) else IncompleteBody
    with Server((OK + b"Content-Length: 10\r\n\r\nhello", Pause(0.05), end)) as server:
        raw = backend.send(raw_request(server.url, timeout=Timeout(connect=5, read=0.2, write=5)))
        assert 5 == read_into(raw, room)
        with pytest.raises(kind) as caught:
            read_into(raw, room[5:])
        raw.close()

    assert "yes" == caught.value.request_sent


def test_a_large_body_in_memory(backend: Backend) -> None:
    """A client reads it into its place, several times over the same connection; one that is cut off is an error."""
    data = bytes(range(256)) * 4096
    cut = (OK + b"Content-Length: 1048576\r\n\r\n" + data[:-1], HalfClose())
    with Server(reply(body=data), reply(body=data), cut) as server, Client(backend=backend) as client:
        bodies = [client.get(server.url).body for _ in range(2)]
        with pytest.raises(IncompleteBody):
            client.get(server.url)

    assert [data, data] == bodies


def test_a_large_body_that_drips(backend: Backend) -> None:
    """The total timeout ends it, though each read succeeds."""
    drip = (OK + b"Content-Length: 1048576\r\n\r\n", Drip(bytes(1000), 0.02))
    with Server(drip) as server, Client(backend=backend) as client, pytest.raises(TotalTimeout):
        client.get(server.url, timeout=0.3)


def test_another_thread_may_read_the_body(backend: Backend) -> None:
    """A body belongs to no thread."""
    body: list[bytes] = []
    with Server(reply(body=b"hello")) as server:
        raw = backend.send(raw_request(server.url))
        reader = threading.Thread(target=lambda: body.extend(raw.body))
        reader.start()
        reader.join()

    assert body == [b"hello"]


def test_a_tls_connection_that_is_cut_is_an_incomplete_body(
    backend: Backend, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """The end of TCP without close_notify does not end a body (RFC 9112 §9.8); close_notify does."""
    with Server((OK + b"\r\nhello", Close()), (OK + b"\r\nhello", Truncate()), tls=server_tls) as server:
        _, body = exchange(backend, server.url, tls=client_tls)
        error = failure(backend, server.url, tls=client_tls)

    assert body == b"hello"
    assert (type(error), "close_notify" in str(error)) == (IncompleteBody, True)


def test_trailers_are_told_once_the_body_has_ended(backend: Backend) -> None:
    """They come in order, stripped, and are no headers."""
    data = b"5\r\nhello\r\n0\r\nX-Sum: 1 \r\nx-sum:\t2\r\n\r\n"
    with Server(CHUNKED + data, reply(body=[b"x"])) as server:
        raw = backend.send(raw_request(server.url))
        before = list(raw.trailers)
        body = b"".join(raw.body)

        assert ([], b"hello", [("X-Sum", "1"), ("x-sum", "2")]) == (before, body, raw.trailers)
        assert [("Transfer-Encoding", "chunked")] == list(raw.headers.pairs)
        assert [] == exchange(backend, server.url)[0].trailers


# --- Expect ----------------------------------------------------------------------------------------

EXPECT = [("Expect", "100-continue")]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("script", [CONTINUE, b"HTTP/1.1 103 Early\r\n\r\n" + CONTINUE, Drip(CONTINUE, 0.001)])
@pytest.mark.parametrize("body", [b"body", [b"bo", b"dy"]])
def test_the_body_waits_for_leave(backend: Backend, script: Any, body: Any) -> None:
    """It goes out after 100 (Continue), which is told like every 1xx; the connection is kept."""
    said = threading.Event()
    answer = OnHead(lambda _: said.set(), script, Receive(), reply(body=b"thanks"))
    with Server(answer, reply()) as server:
        raw, received = exchange(backend, server.url, "PUT", body, headers=EXPECT)
        exchange(backend, server.url)

        assert (b"thanks", b"body", 1) == (received, server.requests[0].body, server.connections)
        assert 100 == raw.interim[-1][0]


def test_what_came_instead_of_leave_in_part_is_not_lost(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says half of something in time gets the body, and is heard to the end."""
    monkeypatch.setattr("unifetch.wire.http11.CONTINUE_SECONDS", 0.1)
    half = reply(body=b"thanks")
    with Server(OnHead(half[:20], Receive(), half[20:])) as server:
        raw, received = exchange(backend, server.url, "PUT", b"body", headers=EXPECT)

        assert (b"thanks", b"body", []) == (received, server.requests[0].body, raw.interim)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Flood(b"HTTP/1.1 103 Early Hints\r\n\r\n"), TooLarge),
        (b"nonsense\r\n\r\n", ProtocolError),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ProtocolError),
        (HalfClose(), ConnectionLost),
    ],
)
def test_no_answer_to_expect(backend: Backend, answer: Any, kind: type) -> None:
    """What is no answer is an error, the body stays here, and the connection is closed."""
    with Server(OnHead(answer)) as server:
        error = failure(backend, server.url, "PUT", b"body", headers=EXPECT)
        server.wait_closed()

        assert (kind, False) == (type(error), b"body" in server.received())


def test_waiting_for_leave_ends_at_the_deadline(backend: Backend) -> None:
    """A server that drips interim responses does not hold up more than the deadline says."""
    with Server(OnHead(Drip(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, 0.02))) as server:
        error = failure(backend, server.url, "PUT", b"body", headers=EXPECT, deadline=monotonic() + 0.3)

    assert type(error) in (ReadTimeout, WriteTimeout)


# --- Keeping connections ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first", [reply(body=b"x"), reply(body=[b"x"]), reply(204), reply(), b"HTTP/1.1 100 Continue\r\n\r\n" + reply()]
)
def test_a_connection_is_used_again(backend: Backend, first: bytes) -> None:
    """After a response that was read to its end, the next request takes the same connection."""
    with Server(first, reply(body=b"second")) as server:
        exchange(backend, server.url)

        assert exchange(backend, server.url)[1] == b"second"
        assert server.connections == 1


DOUBTFUL: dict[str, Any] = {
    "more in the same segment": (reply(body=b"x") + reply(body=b"poison"), {}),
    "more after chunks": (reply(body=[b"x"]) + b"HTTP/1.1", {}),
    "a body after HEAD": (reply(body=b"x"), {"method": "HEAD"}),
    "a body after 204": (b"HTTP/1.1 204 No Content\r\n\r\npoison", {}),
    "HTTP/1.0": (reply(body=b"x", version="HTTP/1.0", headers={"Connection": "keep-alive"}), {}),
    "the server will close": (reply(body=b"x", headers={"Connection": "Close"}), {}),
    "we asked to close": (reply(body=b"x"), {"headers": [("Connection", "close")]}),
    "late bytes": ((reply(body=b"x"), Pause(0.05), reply(body=b"poison")), {}),
    "late end": ((reply(body=b"x"), Pause(0.05), Close()), {}),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_doubtful_connection_is_not_used_again(backend: Backend, name: str) -> None:
    """Bytes after a response, now or later, are never taken for the next one (RFC 9112 §9.2)."""
    script, options = DOUBTFUL[name]
    arrived = threading.Event()
    parts = script if isinstance(script, tuple) else (script,)
    with Server((*parts, lambda _: arrived.set()), reply(body=b"second")) as server:
        exchange(backend, server.url, **options)
        arrived.wait(5 if not isinstance(parts[-1], Close) else 0.2)

        assert exchange(backend, server.url)[1] == b"second"
        assert server.connections == 2


def test_a_response_that_is_not_read_takes_its_connection_along(backend: Backend) -> None:
    """Closing before the end closes the connection, and reading on is an error, not an end."""
    with Server(reply(body=b"x" * 1_000_000), reply(body=b"second")) as server:
        raw = backend.send(raw_request(server.url))
        next(raw.body)
        raw.close()
        server.wait_closed()

        with pytest.raises(StreamError):
            list(raw.body)
        assert exchange(backend, server.url)[1] == b"second"


def test_a_response_without_a_body_needs_no_reading(backend: Backend) -> None:
    """Closing a response that has no body gives its connection back."""
    with Server(reply(204), reply(body=b"second")) as server:
        backend.send(raw_request(server.url)).close()
        exchange(backend, server.url)

        assert server.connections == 1


def test_a_connection_that_ends_when_it_is_used_again_is_marked(backend: Backend) -> None:
    """The loss of a used connection before any answer says so: the request may be sent once more (§9.3.1)."""
    with Server(reply(), Close()) as server:
        exchange(backend, server.url)
        error = failure(backend, server.url)

    assert (type(error), error.request_sent, getattr(error, "reused", None)) == (ConnectionLost, "maybe", True)


def test_a_connection_that_ends_within_an_answer_is_not_marked(backend: Backend) -> None:
    """Once a byte of an answer has come, the server has seen the request."""
    with Server(reply(), (OK, HalfClose())) as server:
        exchange(backend, server.url)
        error = failure(backend, server.url)

    assert (type(error), getattr(error, "reused", None)) == (ConnectionLost, False)


def test_a_new_connection_that_ends_is_not_marked(backend: Backend) -> None:
    """The loss of a new connection is the server's doing, and no reason to send again."""
    with Server(Close()) as server:
        error = failure(backend, server.url)

    assert (type(error), getattr(error, "reused", None)) == (ConnectionLost, False)


# --- TLS contexts ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> Any:
    return pytest.importorskip("trustme", reason="trustme is not installed").CA()


@pytest.fixture(scope="module")
def server_tls(authority: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_tls(authority: Any, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return TLS(ca_file=str(file)).context()


def test_the_context_is_used_and_left_alone(
    backend: Backend, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """What the context trusts is trusted, nothing is added to it, and connections are kept."""
    with Server(reply(body=b"x"), tls=server_tls) as server:
        exchange(backend, server.url, tls=client_tls)
        exchange(backend, server.url, tls=client_tls)

        assert server.connections == 1
    assert client_tls.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}


def test_a_certificate_that_is_not_trusted_is_a_tls_error(backend: Backend, server_tls: ssl.SSLContext) -> None:
    """A handshake that fails is TLSError, and no byte of the request has left."""
    with Server(tls=server_tls) as server:
        error = failure(backend, server.url, tls=TLS().context())

    assert (type(error), error.request_sent) == (TLSError, "no")


@pytest.mark.parametrize("settings", [{"verify": False}, {"check_hostname": False}])
def test_the_context_decides_what_is_verified(
    backend: Backend, settings: dict[str, bool], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, authority: Any
) -> None:
    """No library checks, or warns of, what the context was told to leave."""
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.test").configure_cert(other)
    # One that nobody shares: a TLS gives the same context to all who have the same settings.
    context = TLS(**settings, alpn=["of-this-test"]).context()  # type: ignore[arg-type]  # flags only
    context.set_alpn_protocols(["http/1.1"])
    context.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    with Server(reply(body=b"x"), tls=other) as server:
        assert exchange(backend, server.url, tls=context)[1] == b"x"


# --- Native objects --------------------------------------------------------------------------------


def test_urllib_takes_no_native_object() -> None:
    """An opener has nothing that could be used."""
    with pytest.raises(ConfigConflict):
        load("urllib")(object())


@pytest.mark.parametrize("name", ["urllib3", "requests"])
def test_a_native_object_is_used_and_stays_open(name: str) -> None:
    """An injected object carries the requests by its own connections, of which less is promised."""
    library: Any = pytest.importorskip(name)
    native = library.PoolManager() if name == "urllib3" else library.Session()
    backend = load(name)(native)
    with Server(lambda request: reply(body=request.body)) as server:
        _, first = exchange(backend, server.url, "POST", b"one", headers=[("X-Dup", "a"), ("X-Dup", "b")])
        _, second = exchange(backend, server.url, "POST", iter([b"t", b"wo"]))
        backend.close()
        _, third = exchange(backend, server.url, "POST", iter([b"three"]), length=5)

        assert [first, second, third] == [b"one", b"two", b"three"]
        assert server.connections == 1
        assert [name for name, _ in server.requests[0].headers] == ["Host", "X-Dup", "X-Dup", "Content-Length"]
        assert Capability.STRICT_HEAD not in backend.capabilities
    native.clear() if name == "urllib3" else native.close()


@pytest.mark.parametrize("name", ["urllib3", "requests"])
def test_the_errors_of_a_native_object_are_translated(name: str) -> None:
    """Whatever an injected object raises becomes an error of ours."""
    library: Any = pytest.importorskip(name)
    native = library.PoolManager() if name == "urllib3" else library.Session()
    backend = load(name)(native)
    scripts: list[Any] = [Close(), Stall(), (OK + b"Content-Length: 9\r\n\r\nabc", Close()), b"220 smtp\r\n\r\n"]
    with refused_port() as port, Server(*scripts) as server:
        raised = [failure(backend, f"http://127.0.0.1:{port}/")]
        raised += [failure(backend, server.url, timeout=Timeout(read=0.3)) for _ in scripts]
    native.clear() if name == "urllib3" else native.close()

    assert [(type(error), error.request_sent) for error in raised] == [
        (ConnectError, "no"),
        (ConnectionLost, "maybe"),
        (ReadTimeout, "maybe"),
        (IncompleteBody, "yes"),
        (ProtocolError, "maybe"),
    ]


CONFLICTS: dict[str, Callable[[Any], None]] = {
    "auth": lambda session: setattr(session, "auth", ("user", "password")),
    "params": lambda session: session.params.update(a="b"),
    "proxies": lambda session: session.proxies.update(http="http://127.0.0.1:1"),
    "cookies": lambda session: session.cookies.set("a", "b"),
    "hooks": lambda session: session.hooks["response"].append(print),
    "headers": lambda session: session.headers.update(a="b"),
}


@pytest.mark.parametrize("attribute", CONFLICTS)
def test_a_session_with_settings_of_its_own_is_refused(attribute: str) -> None:
    """Settings that would be lost are named, not dropped."""
    with pytest.importorskip("requests").Session() as session:
        CONFLICTS[attribute](session)

        with pytest.raises(ConfigConflict, match=attribute):
            load("requests")(session)


def test_a_session_that_repeats_requests_is_refused() -> None:
    """A hidden resend would be one that unifetch does not know of."""
    requests: Any = pytest.importorskip("requests")
    with requests.Session() as session:
        session.mount("https://", requests.adapters.HTTPAdapter(max_retries=2))

        with pytest.raises(ConfigConflict, match="max_retries in the adapter of https://"):
            load("requests")(session)


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"headers": {"a": "b"}}, "headers"), ({"retries": 2}, "retries"), ({"timeout": 3}, "timeout")],
)
def test_a_pool_manager_with_settings_of_its_own_is_refused(settings: dict[str, Any], named: str) -> None:
    """Settings that would be lost are named, not dropped."""
    urllib3: Any = pytest.importorskip("urllib3")

    with pytest.raises(ConfigConflict, match=named):
        load("urllib3")(urllib3.PoolManager(**settings))


@pytest.mark.parametrize("name", ["urllib3", "requests"])
def test_another_object_is_refused(name: str) -> None:
    """Only the library's own type is taken."""
    with pytest.raises(InvalidSetting):
        load(name_or_skip(name))(object())


# --- Mocks of requests -----------------------------------------------------------------------------


def test_responses_stands_in_for_the_network() -> None:
    """What is registered with `responses` answers, and sees the request as it is."""
    responses: Any = pytest.importorskip("responses")
    backend = load("requests")()
    with responses.RequestsMock() as mock:
        mock.post(
            "http://mocked.test/a?b=c",
            body=b"hello",
            status=201,
            headers={"X-Mock": "yes"},
            match=[responses.matchers.header_matcher({"X-Sent": "1"})],
        )
        raw, body = exchange(backend, "http://mocked.test/a?b=c", "POST", b"sent", headers=[("X-Sent", "1")])

        assert mock.calls[0].request.body == b"sent"
    assert (raw.status, raw.reason, raw.headers["x-mock"], body) == (201, "Created", "yes", b"hello")
    backend.close()


def test_an_error_of_responses_is_translated() -> None:
    """A mock that refuses is a connection that was refused."""
    requests, responses = pytest.importorskip("requests"), pytest.importorskip("responses")
    backend = load("requests")()
    with responses.RequestsMock() as mock:
        mock.get("http://mocked.test/slow", body=requests.exceptions.ReadTimeout("slow"))

        assert type(failure(backend, "http://mocked.test/slow")) is ReadTimeout
        assert type(failure(backend, "http://mocked.test/unknown")) is ConnectError
    backend.close()


def test_nothing_of_an_attempt_stays_with_the_thread(backend: Backend) -> None:
    """A body that was sent, or a response, is not kept alive by the thread that sent it."""
    with Server() as server:
        exchange(backend, server.url)

    module = pytest.importorskip("unifetch.backends.urllib3", reason="urllib3 is not installed")
    assert module.CURRENT.exchange is None
