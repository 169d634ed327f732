"""Events: what a listener is told of a call, in which order, and that it is told the same by every backend."""

from __future__ import annotations

import pickle
from contextlib import nullcontext, suppress
from typing import Any

import pytest

from unifetch import Client, ConnectError, IncompleteBody, InvalidHeader, Request, TooManyRedirects, configure
from unifetch.errors import UnifetchError
from unifetch.observe import events
from unifetch.observe.events import (
    Attempt,
    Event,
    Failed,
    Finished,
    InterimResponse,
    Redirect,
    RequestStarted,
    ResponseHead,
    Retrying,
)
from unifetch.testing import Answer, Close, Mock, Server, refused_port, reply
from unifetch.testing.mock import Route

REQUEST = Request("GET", "http://h/")


URL = "http://h/"
OK = Answer(body="body")
MOVED = Answer(302, headers={"Location": "/next"})
CUT = Answer(chunks=[b"x", Close()])
REFUSED = ConnectError("refused")


@pytest.fixture
def mock(unifetch_mock: Mock) -> Route:
    """What any GET is answered: a redirect, then a body."""
    return unifetch_mock.get("/{page...}").reply(MOVED).then(OK)


def told(*outcomes: Any, url: str = URL, **call: Any) -> list[Event]:
    """The events of one call that meets these outcomes, one after the other."""
    seen: list[Event] = []
    with Mock() as mock:
        route = mock.get("/{page...}")
        for outcome in outcomes:
            route.fail(outcome) if isinstance(outcome, UnifetchError) else route.reply(outcome)
        listen(seen, url, **call)
    return seen


def listen(seen: list[Event], url: str = URL, **call: Any) -> None:
    with Client(listeners=seen.append) as client, suppress(UnifetchError):
        client.get(url, **call)


# --- Which, and in which order --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "call", "expected"),
    [
        ([OK], {}, [RequestStarted, Attempt, ResponseHead, Finished]),
        ([MOVED, OK], {}, [RequestStarted, Attempt, ResponseHead, Redirect, Attempt, ResponseHead, Finished]),
        ([MOVED], {"redirects": 0}, [RequestStarted, Attempt, ResponseHead, Finished]),
        ([REFUSED], {}, [RequestStarted, Attempt, Failed]),
        ([CUT], {}, [RequestStarted, Attempt, ResponseHead, Failed]),
        ([503, OK], {"retry": 2}, [RequestStarted, Attempt, ResponseHead, Retrying, Attempt, ResponseHead, Finished]),
        ([REFUSED, OK], {"retry": 2}, [RequestStarted, Attempt, Retrying, Attempt, ResponseHead, Finished]),
    ],
)
def test_order(outcomes: list[Any], call: dict[str, Any], expected: list[type[Event]]) -> None:
    """A call starts, every attempt and every head is told, and it ends in exactly one way."""
    assert expected == [type(event) for event in told(*outcomes, **call)]


def test_too_many_redirects() -> None:
    """The one that is too many is not told as if it were followed."""
    seen = told(MOVED, MOVED, redirects=1)

    assert 1 == sum(isinstance(event, Redirect) for event in seen)
    assert isinstance(seen[-1], Failed)
    assert isinstance(seen[-1].error, TooManyRedirects)


def test_stream(mock: Route) -> None:
    """A stream is finished when its head is there."""
    seen: list[Event] = []
    with Client(listeners=seen.append).stream("GET", URL) as response:
        assert Finished is type(seen[-1])
        assert b"body" == response.read().body

    assert [RequestStarted, Attempt, ResponseHead, Redirect, Attempt, ResponseHead, Finished] == list(map(type, seen))


def test_failed() -> None:
    """It tells the very error that the caller gets."""
    assert REFUSED is told(REFUSED)[-1].error  # type: ignore[attr-defined]  # a Failed


def test_a_request_that_is_refused() -> None:
    """One that the exchange refuses starts and fails, without an attempt."""
    seen: list[Event] = []
    listen(seen, headers={"Upgrade": "h2c"})

    assert [RequestStarted, Failed] == [type(event) for event in seen]
    assert isinstance(seen[1].error, InvalidHeader)  # type: ignore[attr-defined]  # a Failed


# --- What they tell -------------------------------------------------------------------------------


def test_details() -> None:
    """Each event carries what it is about; time does not go back."""
    seen = told(MOVED, OK, headers={"X-A": "1"})
    started, first, moved, redirect, second, head, finished = seen

    assert sorted(event.time for event in seen) == [event.time for event in seen]
    assert ("GET", URL) == (started.request.method, started.request.url)
    assert (1, "urllib", "1", "h") == (
        first.number, first.backend, first.headers["x-a"], first.headers["host"],  # type: ignore[attr-defined]  # an Attempt
    )  # fmt: skip
    assert (302, "/next") == (moved.status, moved.headers["location"])  # type: ignore[attr-defined]  # a ResponseHead
    assert (302, "http://h/next") == (redirect.status, redirect.url)  # type: ignore[attr-defined]  # a Redirect
    assert (2, "http://h/next") == (second.number, second.request.url)  # type: ignore[attr-defined]  # an Attempt
    assert (200, "OK", "HTTP/1.1") == (head.status, head.reason, head.http_version)  # type: ignore[attr-defined]  # a ResponseHead
    assert (200, b"body") == (finished.response.status, finished.response.body)  # type: ignore[attr-defined]  # a Finished


def test_call(mock: Route) -> None:
    """A number holds the events of one call together, and keeps them apart from those of another."""
    seen: list[Event] = []
    listen(seen)
    first = {event.call for event in seen}
    listen(seen)

    assert (1, 2) == (len(first), len({event.call for event in seen}))


def test_retry() -> None:
    """Why, and how long it waits."""
    for outcome, error, status in [(REFUSED, REFUSED, None), (503, None, 503)]:
        retry = next(event for event in told(outcome, OK, retry={"backoff": 0}) if isinstance(event, Retrying))

        assert (0, error, status) == (retry.delay, retry.error, retry.status)


def test_events_are_values() -> None:
    """Equal by their fields, hashable, frozen, pickled."""
    event = Redirect(call=7, request=REQUEST, time=1.5, status=302, url=REQUEST.url)

    assert (event, hash(event)) == (event.replace(), hash(event.replace()))
    assert event != event.replace(time=2.5)
    assert event == pickle.loads(pickle.dumps(event))
    assert RequestStarted(7, REQUEST, 1.0) != Event(7, REQUEST, 1.0)
    with pytest.raises(AttributeError, match="frozen"):
        event.status = 301


def test_every_event_is_one() -> None:
    """Whatever it tells, it tells when, and of which call and request."""
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]

    assert {Event, RequestStarted, Attempt, InterimResponse, ResponseHead, Redirect, Retrying, Finished, Failed} <= set(
        kinds
    )
    for kind in kinds:
        fields = [*Event.__annotations__, *kind.__annotations__] if kind is not Event else list(Event.__annotations__)
        assert dict(zip(fields, range(9), strict=False)) == vars(kind(*range(len(fields))))


def test_no_secret_is_shown(unifetch_mock: Mock) -> None:
    """What is written to a log by `repr` holds no credential, on either side."""
    unifetch_mock.get("/{page...}").reply(302, headers={"Location": "/next", "Set-Cookie": "sid=hunter2"}).then(OK)
    seen: list[Event] = []
    listen(seen, "http://user:hunter2@h/", headers={"Cookie": "hunter2", "X-Api-Key": "hunter2"})

    assert "hunter2" in str([request.raw.headers for request in unifetch_mock.calls])
    assert "hunter2" not in repr(seen)


# --- Who listens ----------------------------------------------------------------------------------


def test_listeners_of_a_call_replace_those_of_the_client(process: None, mock: Route) -> None:
    """As with every setting, the nearest counts; several are told in turn."""
    heard: list[str] = []

    def listener(name: str) -> Any:
        return lambda event: heard.append(f"{name} {type(event).__name__}")

    configure(listeners=listener("process"))
    Client().get(URL)
    assert {"process"} == {entry.partition(" ")[0] for entry in heard}
    heard.clear()
    client = Client(listeners=listener("client"))
    client.get(URL)
    assert {"client"} == {entry.partition(" ")[0] for entry in heard}
    heard.clear()
    client.get(URL, listeners=[listener("first"), listener("second")])

    assert ["first RequestStarted", "second RequestStarted", "first Attempt"] == heard[:3]


@pytest.mark.parametrize("kind", [RequestStarted, Attempt, ResponseHead, Redirect, Finished])
@pytest.mark.parametrize("method", ["get", "stream"])
def test_what_a_listener_raises_ends_the_request(mock: Route, kind: type[Event], method: str) -> None:
    """It reaches the caller as it is, and the response is closed: nobody has got it then, who else could close it."""

    def listener(event: Event) -> None:
        if type(event) is kind:
            raise LookupError("mine")

    client = Client(limits={"connections": 1}, timeout={"pool": 5}, listeners=listener)
    with pytest.raises(LookupError, match="mine"), client.stream("GET", URL) if method == "stream" else nullcontext():
        client.get(URL)

    assert 200 == client.get(URL, listeners=()).status


# --- The same from all ----------------------------------------------------------------------------


def test_every_backend(backend: str) -> None:
    """For the same call, the events are the same; the attempt shows the bytes that the server sees."""
    with Server({"/": reply(302, b"moved", {"Location": "/end"}), "/end": reply(200, [b"a", b"b"])}) as server:
        seen: list[Event] = []
        listen(seen, server.url, backend=backend, headers=[("X-Dup", "1"), ("x-dup", "2")])
        attempts = [event for event in seen if isinstance(event, Attempt)]

        assert [
            RequestStarted, Attempt, ResponseHead, Redirect, Attempt, ResponseHead, Finished,
        ] == [type(event) for event in seen]  # fmt: skip
        assert [request.headers for request in server.requests] == [list(event.headers.pairs) for event in attempts]
        assert [backend, backend] == [event.backend for event in attempts]


def test_every_failure(backend: str) -> None:
    """So they are for a connection that does not come about, and for a body that breaks off."""
    refused: list[Event] = []
    incomplete: list[Event] = []
    with refused_port() as port:
        listen(refused, f"http://127.0.0.1:{port}/", backend=backend)
    with Server([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", Close()]) as server:
        listen(incomplete, server.url, backend=backend)

    assert [RequestStarted, Attempt, Failed] == [type(event) for event in refused]
    assert [RequestStarted, Attempt, ResponseHead, Failed] == [type(event) for event in incomplete]
    assert [ConnectError, IncompleteBody] == [type(each[-1].error) for each in (refused, incomplete)]  # type: ignore[attr-defined]  # Failed
