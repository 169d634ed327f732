"""requests over a bridge: what a session is promised, on two backends."""

from __future__ import annotations

import gzip
import io
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unifetch import ConfigConflict, InvalidSetting
from unifetch.testing import Close, Drip, OnHead, Reset, Server, Stall, reply

requests = pytest.importorskip("requests")
urllib3 = pytest.importorskip("urllib3")

from unifetch.bridges.requests import Adapter  # noqa: E402  # only where the library is

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def session_over(**settings: Any) -> Any:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter(**settings))
    return session


@pytest.fixture(params=["socket", "urllib3"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def session(backend: str) -> Iterator[Any]:
    with session_over(backend=backend) as session:
        yield session


def test_the_session_keeps_its_policies(session: Any) -> None:
    """Redirects, cookies, decoding and hooks are the session's."""
    first = reply(302, b"", {"Location": "/there", "Set-Cookie": "a=b"})
    second = reply(200, gzip.compress(b"text"), {"Content-Encoding": "gzip"})
    seen = []
    with Server(first, second) as server:
        response = session.get(server.url, hooks={"response": lambda response, **_: seen.append(response.status_code)})

        assert ("text", [302, 200]) == (response.text, seen)
        assert {"a": "b"} == session.cookies.get_dict()
        assert "a=b" == server.requests[1].header("cookie")


def test_bodies_of_every_kind(session: Any) -> None:
    """Bytes, text, files and generators; a length that is known is declared."""
    with Server(reply(200)) as server:
        for body in (b"abc", "abc", io.BytesIO(b"abc"), iter([b"a", b"bc"])):
            session.post(server.url, data=body)

    assert [b"abc"] * 4 == [request.body for request in server.requests]
    assert ["3", "3", "3", None] == [request.header("content-length") for request in server.requests]


class Reader:
    """What has `read` and a length, and takes a size of 0 for none, as many do."""

    def __init__(self) -> None:
        self._left = b"abc"

    def __len__(self) -> int:
        return 3

    def read(self, size: int = -1) -> bytes:
        taken = self._left[:size] if size else self._left
        self._left = self._left[len(taken) :]
        return taken


def test_a_reader_that_is_no_file(session: Any) -> None:
    """All that it gives is sent: nothing is read from it but what goes out."""
    with Server(reply(200)) as server:
        session.post(server.url, data=Reader())

    assert [b"abc"] == [request.body for request in server.requests]


def test_raw_is_a_response_of_urllib3(session: Any) -> None:
    """It reads as many bytes as are asked for, and decodes where it is told to."""
    packed = gzip.compress(b"text")
    pieces = [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", Drip(b"abcdef", every=0.001)]
    with Server(reply(200, packed, {"Content-Encoding": "gzip"}), pieces) as server:
        first = session.get(server.url, stream=True)
        second = session.get(server.url, stream=True)

        assert isinstance(first.raw, urllib3.HTTPResponse)
        assert b"text" == first.raw.read(decode_content=True)
        assert [b"abcd", b"ef", b""] == [second.raw.read(4) for _ in range(3)]
        assert (200, "OK", 11) == (first.raw.status, first.raw.reason, first.raw.version)


def test_chunks_come_as_soon_as_they_are_there(session: Any) -> None:
    """A stream of events is not held back until a buffer is full."""
    more = threading.Event()

    def waiting(request: Any) -> Any:
        yield CHUNKED + b"4\r\none\n\r\n"
        assert more.wait(20)
        yield b"4\r\ntwo\n\r\n0\r\n\r\n"

    with Server(waiting) as server:
        lines = session.get(server.url, stream=True).iter_lines()
        assert b"one" == next(lines)
        more.set()
        assert [b"two"] == list(lines)


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ([Close()], "ConnectionError"),
        ([Reset()], "ConnectionError"),
        ([b""], "ReadTimeout"),
        ([b"nonsense\r\n\r\n"], "ConnectionError"),
        ([HEAD, Close()], "ChunkedEncodingError"),
        ([CHUNKED + b"1\r\na\r\n", Close()], "ChunkedEncodingError"),
        ([HEAD, Stall()], "ConnectionError"),  # as requests itself says of a timeout within the body
    ],
)
def test_errors_are_those_of_requests(session: Any, script: Any, name: str) -> None:
    """Before the head and within the body."""
    with Server(script) as server, pytest.raises(requests.RequestException) as caught:
        session.get(server.url, timeout=0.2 if name == "ReadTimeout" else 1 if Stall in map(type, script) else 10)

    assert name == type(caught.value).__name__


def test_no_connection_shows_no_password(session: Any) -> None:
    """A refused connection is a ConnectionError, and its message has no credentials."""
    with Server() as server:
        url = server.url.replace("://", "://user:secret@")
    with pytest.raises(requests.ConnectionError) as caught:
        session.get(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0.1, (5, 0.1), urllib3.Timeout(5, read=0.1), urllib3.Timeout(total=0.1)])
def test_timeouts_of_every_kind(session: Any, timeout: Any) -> None:
    """One number, a tuple, and urllib3's own."""
    with Server(b"") as server, pytest.raises(requests.ReadTimeout):
        session.get(server.url, timeout=timeout)


def test_the_total_ends_a_body_that_drips(backend: str) -> None:
    """The deadline that the library does not have."""
    body = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", Drip(b"x" * 100, every=0.02)]
    with Server(body) as server, session_over(backend=backend, total=0.2) as session:
        with pytest.raises(requests.ConnectionError, match="total"):
            session.get(server.url, timeout=5)


def test_max_retries(backend: str) -> None:
    """A `Retry` says which statuses and errors are asked again; without one, none is."""
    retries = urllib3.Retry(3, status_forcelist=[503], backoff_factor=0)
    with Server(reply(503), Close(), reply(200, b"third")) as server:
        with session_over(backend=backend, max_retries=retries) as session:
            assert "third" == session.get(server.url).text
    with Server(reply(503)) as server, session_over(backend=backend, max_retries=retries) as session:
        with pytest.raises(requests.exceptions.RetryError):
            session.get(server.url)
        assert 4 == len(server.requests)


def test_a_file_is_sent_again_from_its_start() -> None:
    """A retry rewinds what it has sent."""
    retries = urllib3.Retry(1, status_forcelist=[503], allowed_methods=None, backoff_factor=0)
    with Server(reply(503), reply(200)) as server, session_over(max_retries=retries) as session:
        session.post(server.url, data=io.BytesIO(b"abc"))

        assert [b"abc", b"abc"] == [request.body for request in server.requests]


def test_proxies_are_honoured_or_refused(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the session and of the environment are used; others than the adapter's contradict it."""
    with Server(reply(200, b"by proxy")) as proxy, Server(reply(200, b"direct")) as server:
        named = {"http": proxy.url}
        with session_over(backend=backend) as session:
            assert "by proxy" == session.get(server.url, proxies=named).text
            monkeypatch.setenv("http_proxy", proxy.url)
            assert "by proxy" == session.get(server.url).text
            monkeypatch.delenv("http_proxy")
            assert "direct" == session.get(server.url).text
        with session_over(backend=backend, proxy="http://127.0.0.1:9") as session, pytest.raises(ConfigConflict):
            session.get(server.url, proxies=named)


def test_verify_and_cert_are_honoured_or_refused() -> None:
    """A path that is not there is what requests says of it, and an adapter with `tls=` is contradicted by them."""
    with session_over() as session:
        for settings in ({"verify": "/nowhere.pem"}, {"cert": "/nowhere.pem"}):
            with pytest.raises(OSError, match="nowhere"):
                session.get("https://127.0.0.1:9", **settings)
    with session_over(tls={"min_version": "1.3"}) as session, pytest.raises(ConfigConflict):
        session.get("https://127.0.0.1:9", verify=False)


def test_private_addresses_are_refused() -> None:
    """The SSRF guard holds below the library."""
    with Server() as server, session_over(forbid_private=True) as session:
        with pytest.raises(requests.ConnectionError):
            session.get(server.url)

        assert 0 == len(server.requests)


def test_a_stream_that_is_closed_early_gives_its_connection_up(session: Any) -> None:
    """By `close` of the response, or by `release_conn` of what is raw."""
    with Server([HEAD], [HEAD], reply(200, b"next")) as server:
        session.get(server.url, stream=True).close()
        session.get(server.url, stream=True).raw.release_conn()

        assert ("next", 3) == (session.get(server.url).text, server.connections)


def test_what_follows_a_response_poisons_nothing(session: Any) -> None:
    """Bytes after the end are no answer to the next request."""
    with Server(reply(200, b"one") + reply(200, b"false"), reply(200, b"two")) as server:
        assert ["one", "two"] == [session.get(server.url).text for _ in range(2)]


def test_a_session_pickles(session: Any) -> None:
    """As it does over requests' own adapter."""
    with Server(reply(200, b"x")) as server, pickle.loads(pickle.dumps(session)) as other:
        assert "x" == other.get(server.url).text


def test_a_closed_session_can_be_used_again(session: Any) -> None:
    """As with requests' own adapter: `close` ends idle connections."""
    with Server(reply(200, b"x")) as server:
        session.get(server.url)
        session.close()

        assert "x" == session.get(server.url).text


def test_what_an_upload_raises_goes_to_its_caller(session: Any) -> None:
    """An error of the caller's own generator is not made into one of the library's."""

    def blocks() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("mine")

    with Server(OnHead(b"")) as server, pytest.raises(LookupError, match="mine"):
        session.post(server.url, data=blocks())


def test_wrong_settings_are_refused() -> None:
    """An adapter takes what is below policies, and nothing else."""
    with pytest.raises(InvalidSetting, match="headers"):
        Adapter(headers={"a": "b"})  # type: ignore[call-arg]  # that is the test


# --- What `HTTPAdapter` does, found by laying the two side by side ----------------------------------


def test_fields_that_come_twice_are_joined(session: Any) -> None:
    """As in requests: with a comma, `Set-Cookie` too."""
    fields = [("X-A", "1"), ("x-a", "2"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    with Server(reply(200, b"", fields)) as server:
        headers = session.get(server.url).headers

    assert ("1, 2", "a=1, b=2") == (headers["x-a"], headers["set-cookie"])


ANSWERS = [reply(200, b"abc"), reply(200, [b"a", b"bc"]), [b"HTTP/1.1 200 OK\r\n\r\nabc", Close()]]


@pytest.mark.parametrize("answer", ANSWERS, ids=["a length", "chunks", "the end"])
def test_the_raw_response_closes_itself_at_its_end(session: Any, answer: Any) -> None:
    """urllib3, and who reads without a size, go on until it is closed."""
    reads: list[Any] = [
        lambda response: b"".join(response.iter_content(None)),
        lambda response: b"".join(response.raw.stream(None)),
        lambda response: b"".join(response.raw.read_chunked()),
        lambda response: response.raw.read(),
        lambda response: response.raw.read(2) + response.raw.read(2),
        lambda response: b"".join(response.raw),
        lambda response: response.raw.data,
    ]
    with Server(answer) as server:
        for read in reads:
            response = session.get(server.url, stream=True)

            assert (b"abc", True) == (read(response), response.raw.closed)
            assert b"" == response.raw.read()


def test_what_is_set_on_the_raw_response_stays(session: Any) -> None:
    """`decode_content` and `auto_close` are set by those who hand it on as a file."""
    coded = reply(200, gzip.compress(b"a\nb\n"), {"Content-Encoding": "gzip"})
    with Server(coded) as server:
        raw = session.get(server.url, stream=True).raw
        raw.decode_content, raw.auto_close = True, False

        assert ["a\n", "b\n"] == list(io.TextIOWrapper(raw))


@pytest.mark.parametrize("timeout", [0.2, (0.2, None)])
def test_an_upload_that_the_server_does_not_take(session: Any, timeout: Any) -> None:
    """Each wait to send is bounded by the timeout of the connection, and ends as in requests."""
    with Server(OnHead(Stall())) as server, pytest.raises(requests.ConnectionError):
        session.post(server.url, data=b"x" * 50_000_000, timeout=timeout)


def test_files_that_tls_cannot_use(session: Any, tmp_path: Path) -> None:
    """They are there, and hold nothing: an SSLError of requests."""
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for settings in ({"verify": str(empty)}, {"cert": str(empty)}):
        with pytest.raises(requests.exceptions.SSLError, match=r"empty\.pem"):
            session.get("https://127.0.0.1:9", **settings)


def test_a_name_without_an_address(session: Any) -> None:
    """The reason is urllib3's own."""
    with pytest.raises(requests.ConnectionError) as caught:
        session.get("http://nowhere.invalid/")

    assert isinstance(caught.value.args[0].reason, urllib3.exceptions.NewConnectionError)


def test_a_quotation_mark_of_a_query(session: Any) -> None:
    """It is sent as the library sends it, since who signs a URL has signed that."""
    with Server(reply(200)) as server:
        session.get(f"{server.url}/it's/?a'b&c=%27&d='")

    assert "/it's/?a'b&c=%27&d='" == server.requests[0].target
