"""Requests and responses: frozen values that compare, show themselves without secrets, and pickle."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from unifetch import (
    URL,
    Client,
    Headers,
    InvalidHeader,
    InvalidJSON,
    InvalidMethod,
    InvalidURL,
    Request,
    Response,
    ServerSentEvent,
    StatusError,
    StreamError,
    Timeout,
)
from unifetch.model.headers import REDACTED
from unifetch.model.links import Link
from unifetch.model.messages import RawRequest, RawResponse

REQUEST = Request("GET", "http://h/path?q", headers={"X-A": "1"})


def response(status: int = 200, body: Any = b"", *fields: tuple[str, str], **rest: Any) -> Response[Any]:
    return Response(status=status, headers=Headers(fields), body=body, request=rest.pop("request", REQUEST), **rest)


# --- Request --------------------------------------------------------------------------------------


def test_request() -> None:
    """The URL and the fields become values of ours, the method stays as it is written."""
    request = Request("purge", "HTTP://H:80/a b?c".replace(" ", "%20"), headers=[(b"x-a", b"1")], body="text")

    assert ("purge", "http://h/a%20b?c", (("x-a", "1"),), "text") == (
        request.method,
        request.url,
        request.headers.pairs,
        request.body,
    )
    assert (URL, Headers) == (type(request.url), type(request.headers))


@pytest.mark.parametrize("method", ["", " ", "GET ", "GE T", "GET\r\nX: a", "GET\0", "GÉT", "GET/", b"GET", None, 5])
def test_method_that_is_no_token(method: Any) -> None:
    """A method is a token (RFC 9110 §9.1)."""
    with pytest.raises(InvalidMethod, match="token"):
        Request(method, "http://h/")


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "TRACK", "trace", "Connect"])
def test_method_that_is_not_for_clients(method: str) -> None:
    """Fetch's forbidden methods are refused, in any case of letters."""
    with pytest.raises(InvalidMethod, match=method):
        Request(method, "http://h/")


def test_request_with_other_errors() -> None:
    """A wrong URL or field is refused where the request is made."""
    with pytest.raises(InvalidURL):
        Request("GET", "/relative")
    with pytest.raises(InvalidHeader):
        Request("GET", "http://h/", headers={"X": "a\nb"})


def test_request_is_a_value() -> None:
    """Equal by its fields, hashable, frozen; a changed copy is checked like a new one."""
    twin = Request("GET", "http://h/path?q", headers={"x-a": "1"})

    assert (REQUEST, hash(REQUEST)) == (twin, hash(twin))
    assert REQUEST != REQUEST.replace(method="HEAD")
    assert "HEAD" == REQUEST.replace(method="HEAD").method
    with pytest.raises(AttributeError, match=r"frozen: \.replace\(method=…\) gives"):
        REQUEST.method = "PUT"
    with pytest.raises(AttributeError, match="frozen"):
        del REQUEST.method
    with pytest.raises(InvalidMethod):
        REQUEST.replace(method="G T")


def test_request_shows_no_secret() -> None:
    """Neither userinfo nor fields are in its repr."""
    request = Request("GET", "http://user:hunter2@h/", headers={"Authorization": "hunter2"})

    assert "<Request GET http://h/>" == repr(request)


@pytest.mark.parametrize("body", [None, b"bytes", "text"])
@pytest.mark.parametrize("again", [lambda value: pickle.loads(pickle.dumps(value)), copy.copy, copy.deepcopy])
def test_request_pickles(body: Any, again: Any) -> None:
    """A request whose body is in memory survives unchanged."""
    request = Request("PUT", "http://h/", headers={"X-A": "1"}, body=body)

    assert request == again(request)


@pytest.mark.parametrize("body", [iter([b"x"]), io.BytesIO(b"x"), [b"x"]])
def test_request_with_a_stream_does_not_pickle(body: Any) -> None:
    """One with a stream says so, instead of losing it."""
    with pytest.raises(TypeError, match="read the body into bytes first"):
        pickle.dumps(Request("PUT", "http://h/", body=body))


def test_request_without_stream() -> None:
    """What is left once a stream was sent: the rest of the request; a body in memory stays."""
    assert (None, b"x", "x") == tuple(
        Request("PUT", "http://h/", body=body).without_stream().body for body in (iter([b"x"]), b"x", "x")
    )


def test_credentials_do_not_travel_and_are_missed() -> None:
    """A request from a pickle has a mask in their place, and it is refused before anything is sent."""
    request = Request("GET", "http://h.invalid/", headers={"Authorization": "hunter2", "X-A": "1"})
    data = pickle.dumps(request)
    copied = pickle.loads(data)

    assert (False, REDACTED, "1") == (b"hunter2" in data, copied.headers["authorization"], copied.headers["x-a"])
    with Client() as client, pytest.raises(InvalidHeader, match="Authorization holds the mask"):
        client.request(copied.method, copied.url, headers=copied.headers)


# --- Response -------------------------------------------------------------------------------------


def test_response() -> None:
    """What is not said has its default; the URL is the request's."""
    answer = response(200, b"body")

    assert (200, "", b"body", "http://h/path?q", "HTTP/1.1", (), REQUEST, "", 0.0) == (
        answer.status,
        answer.reason,
        answer.body,
        answer.url,
        answer.http_version,
        answer.history,
        answer.request,
        answer.backend,
        answer.elapsed,
    )


@pytest.mark.parametrize(("status", "ok"), [(200, True), (304, True), (399, True), (400, False), (799, False)])
def test_ok(status: int, ok: bool) -> None:
    """Below 400 nothing went wrong; `raise_for_status` gives the response back, or raises with it."""
    answer = response(status)

    assert ok == answer.ok
    if ok:
        assert answer is answer.raise_for_status()
    else:
        with pytest.raises(StatusError) as caught:
            answer.raise_for_status()
        assert answer is caught.value.response


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("Not Found", "404 Not Found for GET http://h/path?q"),
        ("", "404 for GET http://h/path?q"),
        ("a\x1b[31m\n", r"404 a\x1b[31m\n for GET http://h/path?q"),
    ],
)
def test_status_error_message(reason: str, message: str) -> None:
    """Status, reason, method and URL; what the server wrote is escaped."""
    with pytest.raises(StatusError) as caught:
        response(404, reason=reason).raise_for_status()

    assert message == str(caught.value)


def test_text_and_json() -> None:
    """The body is decoded by its Content-Type, JSON is parsed whatever it says."""
    answer = response(200, b'["\xe9"]', ("Content-Type", "text/plain; charset=latin-1"))

    assert ('["é"]', [1]) == (answer.text, response(200, b"[1]", ("Content-Type", "text/html")).json())
    with pytest.raises(InvalidJSON):
        answer.json()


def test_a_stream_is_not_read_by_accident() -> None:
    """`.text` and `.json()` of a stream say what to do; `read()` gives a response that has them."""
    answer = response(200, iter([b'{"a"', b": 1}"]))

    with pytest.raises(StreamError, match=r"response\.read\(\)"):
        answer.text  # noqa: B018  # the test
    with pytest.raises(StreamError, match=r"response\.read\(\)"):
        answer.json()
    assert {"a": 1} == answer.read().json()


def test_response_is_a_value() -> None:
    """Equal by its fields, hashable, frozen."""
    answer = response(200, b"body", ("X-A", "1"))

    assert (answer, hash(answer)) == (answer.replace(), hash(answer.replace()))
    assert answer != answer.replace(elapsed=1.0)
    with pytest.raises(AttributeError, match="frozen"):
        answer.status = 404


def test_response_repr() -> None:
    """It is short, and shows neither the body nor a credential."""
    request = Request("GET", "http://user:hunter2@h/")

    assert "<Response 200 http://h/ 5 bytes>" == repr(response(200, b"hello", ("Set-Cookie", "x"), request=request))
    assert "<Response 404 http://h/ a stream>" == repr(response(404, iter([]), request=request))


@pytest.mark.parametrize("again", [lambda value: pickle.loads(pickle.dumps(value)), copy.copy, copy.deepcopy])
def test_response_pickles(again: Any) -> None:
    """With its history and its request, and all that is told of it."""
    first = response(302, b"", ("Location", "/path"), reason="Found", backend="urllib")
    answer = response(
        200, b"\x00\xff", ("X-A", "caf\xe9"), reason="OK", history=(first,), backend="urllib", elapsed=0.25,
        url=URL("http://h/end"), http_version="HTTP/1.0",
    )  # fmt: skip

    assert answer == again(answer)


def test_response_to_a_stream_pickles() -> None:
    """The stream that was sent is left out of the request, the response is whole."""
    answer = response(200, b"body", request=Request("PUT", "http://h/", body=iter([b"x"])))
    copied = pickle.loads(pickle.dumps(answer))

    assert (b"body", "PUT", None) == (copied.body, copied.request.method, copied.request.body)


def test_response_pickle_holds_no_cookie() -> None:
    """What a server set is a credential as well."""
    assert b"hunter2" not in pickle.dumps(response(200, b"", ("Set-Cookie", "sid=hunter2")))


def test_stream_does_not_pickle() -> None:
    """It says how to get a response that does; `without_stream` gives what is there already."""
    answer = response(200, iter([b"x"]))

    with pytest.raises(TypeError, match=r"response\.read\(\)"):
        pickle.dumps(answer)
    assert b"" == pickle.loads(pickle.dumps(answer.without_stream())).body


# --- What the core and a backend exchange ---------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h/a?b", ("http", "h", 80, "/a?b", "http://h/a?b")),
        ("https://h", ("https", "h", 443, "/", "https://h/")),
        ("http://h:8080/", ("http", "h", 8080, "/", "http://h:8080/")),
        ("https://h:80/", ("https", "h", 80, "/", "https://h:80/")),
        ("http://[::1]:8080/x#y", ("http", "::1", 8080, "/x", "http://[::1]:8080/x")),
    ],
)
def test_raw_request_address(text: str, expected: tuple[Any, ...]) -> None:
    """Where to connect to and what to ask for, in parts, and as a URL for a library that wants one."""
    raw = RawRequest("GET", URL(text), (), None, 0, Timeout())

    assert expected == (raw.scheme, raw.host, raw.port, raw.target, raw.url)
    assert f"<RawRequest GET {raw.url}>" == repr(raw)


def blocks() -> Iterator[bytes]:
    yield b"x"


@pytest.mark.parametrize(
    ("body", "length", "chunked"), [(None, 0, False), (b"x", 1, False), (blocks(), 1, False), (blocks(), None, True)]
)
def test_raw_request_framing(body: Any, length: int | None, chunked: bool) -> None:
    """Only an iterable of unknown length goes out in chunks."""
    assert chunked == RawRequest("POST", URL("http://h/"), (), body, length, Timeout()).chunked


def test_raw_request_keeps_what_it_is_handed() -> None:
    """Fields, deadline and context pass through; the value is frozen."""
    context = ssl.create_default_context()
    raw = RawRequest("GET", URL("https://h/"), (("Host", "h"),), None, 0, Timeout(1), 99.5, context)

    assert ((("Host", "h"),), Timeout(1), 99.5, context) == (raw.headers, raw.timeout, raw.deadline, raw.tls)
    with pytest.raises(AttributeError):
        raw.method = "PUT"


def test_raw_response() -> None:
    """The head, the body as an iterator, and how to be done with it."""
    closed: list[bool] = []
    raw = RawResponse(200, "OK", "HTTP/1.1", Headers(), iter([b"x"]), lambda: closed.append(True))
    raw.close()

    assert (200, "OK", "HTTP/1.1", Headers(), [b"x"], [True]) == (
        raw.status,
        raw.reason,
        raw.http_version,
        raw.headers,
        list(raw.body),
        closed,
    )


def test_a_record_takes_each_of_its_fields_once() -> None:
    """In their order or by name; what is left out has its default, and what cannot be right is a TypeError."""
    event = ServerSentEvent("add", id="7")

    assert {"event": "add", "data": "", "id": "7", "retry": None} == vars(event)
    assert event == event.replace(data="")
    assert hash(event) == hash(ServerSentEvent(id="7", event="add"))
    assert "(url: 'URL', rel: 'str', params: 'Mapping[str, str]')" == str(inspect.signature(Link))
    for given, named in ([(1, 2, 3, 4, 5), {}], [(1,), {"event": 2}], [(), {"typ": 1}]):
        with pytest.raises(TypeError, match=r"^ServerSentEvent takes event, data, id, retry, each once$"):
            ServerSentEvent(*given, **named)  # type: ignore[arg-type]  # that it is wrong is what is tested
    with pytest.raises(TypeError, match=r"^Link needs url, rel, params$"):
        Link(rel="next")  # type: ignore[call-arg]  # likewise
