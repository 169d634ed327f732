"""Events: what a listener is told of a call, in which order, and that it is told the same by every backend."""

from __future__ import annotations

import contextlib
import pickle
from typing import Any

import pytest

from unifetch import Client, ConnectError, Headers, IncompleteBody, InvalidHeader, Request, TooManyRedirects, configure
from unifetch.errors import UnifetchError
from unifetch.model.messages import RawRequest, RawResponse
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
    Retry,
)
from unifetch.testing import Close, Server, refused_port, reply

REQUEST = Request("GET", "http://h/")


class Scripted:
    """A backend without a network: it gives these outcomes, one after the other."""

    name = "scripted"
    contract = 1
    capabilities: frozenset[Any] = frozenset()
    native = None

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[RawRequest] = []
        self.closed = 0

    def send(self, request: RawRequest) -> RawResponse:
        self.sent.append(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        status, fields, chunks = outcome
        return RawResponse(status, "", "HTTP/1.1", Headers(fields), iter(chunks), self.release)

    def release(self) -> None:
        self.closed += 1

    def close(self) -> None:
        """Nothing is open."""


def told(backend: Any, *args: Any, **call: Any) -> list[Event]:
    """The events of one call, also of one that fails."""
    seen: list[Event] = []
    with Client(backend=backend, listeners=seen.append) as client:
        with contextlib.suppress(UnifetchError):
            client.request("GET", *(args or ("http://h/",)), **call)
    return seen


OK = (200, {}, [b"body"])
MOVED = (302, {"Location": "/next"}, [])


# --- Which, and in which order --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "call", "expected"),
    [
        ([OK], {}, [RequestStarted, Attempt, ResponseHead, Finished]),
        ([MOVED, OK], {}, [RequestStarted, Attempt, ResponseHead, Redirect, Attempt, ResponseHead, Finished]),
        ([MOVED], {"redirects": 0}, [RequestStarted, Attempt, ResponseHead, Finished]),
        ([ConnectError("refused")], {}, [RequestStarted, Attempt, Failed]),
        ([(200, {"Content-Length": "9"}, [b"x"])], {}, [RequestStarted, Attempt, ResponseHead, Failed]),
        (
            [(503, {}, []), OK],
            {"retry": {"backoff": 0}},
            [RequestStarted, Attempt, ResponseHead, Retry, Attempt, ResponseHead, Finished],
        ),
        (
            [ConnectError("refused"), OK],
            {"retry": {"backoff": 0}},
            [RequestStarted, Attempt, Retry, Attempt, ResponseHead, Finished],
        ),
    ],
)
def test_order(outcomes: list[Any], call: dict[str, Any], expected: list[type[Event]]) -> None:
    """A call starts, every attempt and every head is told, and it ends in exactly one way."""
    assert expected == [type(event) for event in told(Scripted(*outcomes), **call)]


def test_too_many_redirects() -> None:
    """The one that is too many is not told as if it were followed."""
    seen = told(Scripted(MOVED, MOVED), redirects=1)

    assert 1 == sum(isinstance(event, Redirect) for event in seen)
    assert isinstance(seen[-1], Failed)
    assert isinstance(seen[-1].error, TooManyRedirects)


def test_stream() -> None:
    """A stream is finished when its head is there."""
    seen: list[Event] = []
    with Client(backend=Scripted(OK), listeners=seen.append) as client:
        with client.stream("GET", "http://h/") as response:
            assert Finished is type(seen[-1])
            assert b"body" == response.read().body

    assert [RequestStarted, Attempt, ResponseHead, Finished] == [type(event) for event in seen]


def test_failed() -> None:
    """It tells the very error that the caller gets."""
    seen: list[Event] = []
    with Client(backend=Scripted(ConnectError("refused")), listeners=seen.append) as client:
        with pytest.raises(ConnectError) as caught:
            client.get("http://h/")

    assert caught.value is seen[-1].error  # type: ignore[attr-defined]  # a Failed


def test_a_request_that_is_refused() -> None:
    """One that the exchange refuses starts and fails, without an attempt."""
    seen: list[Event] = []
    with Client(backend=Scripted(), listeners=seen.append) as client:
        with pytest.raises(InvalidHeader):
            client.get("http://h/", headers={"Upgrade": "h2c"})

    assert [RequestStarted, Failed] == [type(event) for event in seen]


# --- What they tell -------------------------------------------------------------------------------


def test_details() -> None:
    """Each event carries what it is about; time does not go back."""
    seen = told(Scripted(MOVED, OK), headers={"X-A": "1"})
    started, first, moved, redirect, second, head, finished = seen

    assert sorted(event.time for event in seen) == [event.time for event in seen]
    assert ("GET", "http://h/") == (started.request.method, started.request.url)
    assert (1, "scripted", "1", "h") == (
        first.number, first.backend, first.headers["x-a"], first.headers["host"],  # type: ignore[attr-defined]  # an Attempt
    )  # fmt: skip
    assert (302, "/next") == (moved.status, moved.headers["location"])  # type: ignore[attr-defined]  # a ResponseHead
    assert (302, "http://h/next") == (redirect.status, redirect.url)  # type: ignore[attr-defined]  # a Redirect
    assert (2, "http://h/next") == (second.number, second.request.url)  # type: ignore[attr-defined]  # an Attempt
    assert (200, "", "HTTP/1.1") == (head.status, head.reason, head.http_version)  # type: ignore[attr-defined]  # a ResponseHead
    assert (200, b"body") == (finished.response.status, finished.response.body)  # type: ignore[attr-defined]  # a Finished


def test_call() -> None:
    """A number holds the events of one call together, and keeps them apart from those of another."""
    seen: list[Event] = []
    with Client(backend=Scripted(MOVED, OK, OK), listeners=seen.append) as client:
        client.get("http://h/")
        first = {event.call for event in seen}
        client.get("http://h/")

    assert (1, 2) == (len(first), len({event.call for event in seen}))


def test_retry() -> None:
    """Why, and how long it waits."""
    refused = ConnectError("refused")
    after_error = next(event for event in told(Scripted(refused, OK), retry={"backoff": 0}) if isinstance(event, Retry))
    after_status = next(
        event for event in told(Scripted((503, {}, []), OK), retry={"backoff": 0}) if isinstance(event, Retry)
    )

    assert (0, refused, None) == (after_error.delay, after_error.error, after_error.status)
    assert (0, None, 503) == (after_status.delay, after_status.error, after_status.status)


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

    assert {Event, RequestStarted, Attempt, InterimResponse, ResponseHead, Redirect, Retry, Finished, Failed} <= set(
        kinds
    )
    for kind in kinds:
        fields = [*Event.__annotations__, *kind.__annotations__] if kind is not Event else list(Event.__annotations__)
        assert dict(zip(fields, range(9), strict=False)) == vars(kind(*range(len(fields))))


def test_no_secret_is_shown() -> None:
    """What is written to a log by `repr` holds no credential, on either side."""
    backend = Scripted((302, {"Location": "/next", "Set-Cookie": "sid=hunter2"}, []), OK)
    seen = told(backend, "http://user:hunter2@h/", headers={"Cookie": "hunter2", "X-Api-Key": "hunter2"})

    assert "hunter2" in str([request.headers for request in backend.sent])
    assert "hunter2" not in repr(seen)


# --- Who listens ----------------------------------------------------------------------------------


def test_listeners_of_a_call_replace_those_of_the_client(process: None) -> None:
    """As with every setting, the nearest counts; several are told in turn."""
    heard: list[str] = []

    def listener(name: str) -> Any:
        return lambda event: heard.append(f"{name} {type(event).__name__}")

    configure(listeners=listener("process"))
    with Client(backend=Scripted(OK)) as client:
        client.get("http://h/")
        assert {"process"} == {entry.partition(" ")[0] for entry in heard}
    heard.clear()
    with Client(backend=Scripted(OK, OK), listeners=listener("client")) as client:
        client.get("http://h/")
        assert {"client"} == {entry.partition(" ")[0] for entry in heard}
        heard.clear()
        client.get("http://h/", listeners=[listener("first"), listener("second")])

    assert ["first RequestStarted", "second RequestStarted", "first Attempt"] == heard[:3]


@pytest.mark.parametrize("kind", [RequestStarted, Attempt, ResponseHead, Redirect, Finished])
def test_what_a_listener_raises_ends_the_request(kind: type[Event]) -> None:
    """It reaches the caller as it is, and the response is closed."""
    backend = Scripted(MOVED, OK)

    def listener(event: Event) -> None:
        if type(event) is kind:
            raise LookupError("mine")

    with Client(backend=backend, listeners=listener) as client:
        with pytest.raises(LookupError, match="mine"):
            client.get("http://h/")

    assert len(backend.sent) == backend.closed


def test_a_stream_whose_listener_raises_is_closed() -> None:
    """Nobody has got the response then, so nobody else could close it."""
    backend = Scripted(OK)

    def listener(event: Event) -> None:
        if isinstance(event, Finished):
            raise LookupError("mine")

    with Client(backend=backend, listeners=listener) as client:
        with pytest.raises(LookupError, match="mine"), client.stream("GET", "http://h/"):
            pass

    assert 1 == backend.closed


# --- The same from all ----------------------------------------------------------------------------


def test_every_backend(backend: str) -> None:
    """For the same call, the events are the same; the attempt shows the bytes that the server sees."""
    with Server({"/": reply(302, b"moved", {"Location": "/end"}), "/end": reply(200, [b"a", b"b"])}) as server:
        seen = told(backend, server.url, headers=[("X-Dup", "1"), ("x-dup", "2")])
        attempts = [event for event in seen if isinstance(event, Attempt)]

        assert [
            RequestStarted, Attempt, ResponseHead, Redirect, Attempt, ResponseHead, Finished,
        ] == [type(event) for event in seen]  # fmt: skip
        assert [request.headers for request in server.requests] == [list(event.headers.pairs) for event in attempts]
        assert [backend, backend] == [event.backend for event in attempts]


def test_every_failure(backend: str) -> None:
    """So they are for a connection that does not come about, and for a body that breaks off."""
    with refused_port() as port:
        refused = told(backend, f"http://127.0.0.1:{port}/")
    with Server([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", Close()]) as server:
        incomplete = told(backend, server.url)

    assert [RequestStarted, Attempt, Failed] == [type(event) for event in refused]
    assert [RequestStarted, Attempt, ResponseHead, Failed] == [type(event) for event in incomplete]
    assert [ConnectError, IncompleteBody] == [type(each[-1].error) for each in (refused, incomplete)]  # type: ignore[attr-defined]  # Failed
