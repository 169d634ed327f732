"""Faults of the network, and the sweep over every point at which a call can break."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from unifetch import (
    AsyncClient,
    Client,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    IncompleteBody,
    ReadTimeout,
    TotalTimeout,
    UnifetchError,
    get,
    post,
)
from unifetch.backends import load, load_async
from unifetch.testing import (
    Answer,
    Faults,
    Intercepted,
    Mock,
    RecordedRequest,
    Server,
    Unanswered,
    Unmet,
    intercept,
    reply,
    sweep,
)
from unifetch.testing.awaited import client_of

BODY = bytes(range(200))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(reply(200, BODY)) as server:
        yield server


@pytest.fixture(params=["blocking", "awaited"])
def client(request: pytest.FixtureRequest, backend: str) -> Iterator[Any]:
    """A client over each backend, of both kinds."""
    made = (load if request.param == "blocking" else load_async)(backend)()
    with client_of(made, timeout={"total": 60, "read": 20, "connect": 10}) as client:
        yield client


FAULTS: list[tuple[Any, type[UnifetchError], str, int]] = [
    (lambda faults: faults.refuse(at=1), ConnectError, "no", 0),
    (lambda faults: faults.slow_dns(15, at=1), ConnectTimeout, "no", 0),
    (lambda faults: faults.reset(at=1), ConnectionLost, "maybe", 1),
    (lambda faults: faults.reset(after=50, at=1), IncompleteBody, "yes", 1),
    (lambda faults: faults.truncate(199, at=1), IncompleteBody, "yes", 1),
    (lambda faults: faults.stall(at=1), ReadTimeout, "maybe", 1),
    (lambda faults: faults.stall(after=50, at=1), ReadTimeout, "yes", 1),
    (lambda faults: faults.drip(1, every=1, at=1), TotalTimeout, "yes", 1),
]


@pytest.mark.parametrize(("add", "error", "sent", "arrived"), FAULTS)
def test_each_fault(client: Any, server: Server, add: Any, error: Any, sent: str, arrived: int) -> None:
    """It is the error that the network would make, says whether the request was sent, and takes no time."""
    with Faults() as faults:
        fault = add(faults)
        with pytest.raises(error) as caught:
            client.get(server.url)
        assert BODY == client.get(server.url).body  # the next is whole

    assert (sent, arrived + 1) == (caught.value.request_sent, len(server.requests))
    assert [(1, fault.name, f"GET {server.url}/")] == faults.fired


def test_a_garbled_body(client: Any, server: Server) -> None:
    """One byte is another: a digest finds it."""
    with Faults(seed=3) as faults:
        faults.garble(at=1)
        garbled = client.get(server.url).body

    assert (len(BODY), True) == (len(garbled), garbled != BODY)


def test_a_status(server: Server) -> None:
    """Somebody in between refuses; a retry comes through, in no time."""
    with Faults() as faults:
        faults.status(503, headers={"Retry-After": "30"}, at=1)

        assert 200 == get(server.url, retry=2).status
        assert 30 <= faults.passed
    assert 1 == len(server.requests)


def test_a_slow_answer_that_is_in_time(server: Server) -> None:
    """Slow is no error yet."""
    with Faults() as faults:
        faults.slow_dns(5, at=1)
        faults.drip(100, every=3, at=2)

        assert [BODY, BODY] == [get(server.url).body for _ in range(2)]
        assert 11 <= faults.passed


def test_the_seed_decides() -> None:
    """The same seed means the same faults, another seed others."""

    def run(seed: int) -> list[int]:
        with intercept(lambda request: Answer(200)), Faults(seed) as faults:
            faults.status(500, probability=0.3)
            for _ in range(50):
                get("https://api.test/")
        return [number for number, _, _ in faults.fired]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert 5 < len(run(1)) < 30


def test_what_never_fired() -> None:
    """A fault that did not fire has tested nothing."""
    faults = Faults()
    faults.reset(after=500, at=1)
    faults.stall(at=9).optional()
    with intercept(lambda request: Answer(200, BODY)):
        with pytest.raises(Unmet, match=r"never fired in 1 exchanges .*: reset\(after=500\)"), faults:
            get("https://api.test/")
    with pytest.raises(TypeError, match="say when"):
        Faults().reset()


def test_faults_before_a_mock(unifetch_mock: Mock) -> None:
    """Whatever stands behind answers what comes through."""
    unifetch_mock.get("https://api.test/").reply(200, "ok").times(2)
    with Faults() as faults:
        faults.reset(at=1)

        assert "ok" == get("https://api.test/", retry={"attempts": 2, "backoff": 0}).text


def test_the_fixture(unifetch_faults: Faults, server: Server) -> None:
    """It stands before every backend."""
    unifetch_faults.refuse(at=1)
    with pytest.raises(ConnectError):
        get(server.url)


# --- The sweep ------------------------------------------------------------------------------------


class Payments:
    """A service that books what arrives, and answers in two pieces; with a key, it books once."""

    def __init__(self) -> None:
        self.booked: list[bytes] = []
        self.keys: set[str] = set()

    def __call__(self, request: RecordedRequest) -> bytes:
        key = request.header("idempotency-key")
        if key is None or key not in self.keys:
            self.booked.append(request.body)
        self.keys.add(key or "")
        return reply(201, [b"bo", b"oked"])


def test_points_come_from_the_exchange_as_it_went(client: Any) -> None:
    """Before the connection, at each block up, with all arrived, at each block down; times two kinds."""
    with Server(reply(200, BODY)) as server:
        points = list(sweep(lambda: client.post(server.url, body=iter([b"a", b"b"]))))

    assert "<the whole run, in which nothing breaks>" == repr(points[0])
    assert [
        ("connect", "lost", 0, "ConnectError"),
        ("up", "lost", 0, "ConnectionLost"),
        ("up", "lost", 1, "ConnectionLost"),
        ("arrived", "lost", 0, "ConnectionLost"),
        ("down", "lost", 0, "IncompleteBody"),
        ("connect", "stalled", 0, "ConnectTimeout"),
        ("arrived", "stalled", 0, "ReadTimeout"),
        ("down", "stalled", 0, "ReadTimeout"),
    ] == [(point.where, point.kind, point.blocks, type(point.error).__name__) for point in points[1:]]


def test_an_honest_client_never_pays_twice(client: Any) -> None:
    """unifetch's own retries repeat no POST that may have arrived."""
    service = Payments()
    with Server(service) as server:
        for point in sweep(lambda: client.post(server.url, json={"pay": 7}, retry=5)):
            assert len(service.booked) <= 1, point
            service.booked.clear()


def test_a_planted_double_payment_is_found(client: Any) -> None:
    """Code that tries again by itself is found out, at the point that shows it (KIT, f)."""
    service = Payments()

    def pays_twice(url: str) -> Any:
        try:
            return client.post(url, json={"pay": 7})
        except UnifetchError:
            return client.post(url, json={"pay": 7})

    with Server(service) as server:
        found = []
        for point in sweep(lambda: pays_twice(server.url)):
            if len(service.booked) > 1:
                found.append((point.where, point.kind))
            service.booked.clear()

    assert {("arrived", "lost"), ("arrived", "stalled"), ("down", "lost"), ("down", "stalled")} == set(found)


def test_with_a_key_it_may_try_again() -> None:
    """The same with an idempotency key is right at every point."""
    service = Payments()

    def pays(url: str) -> None:
        call: Any = {"json": {"pay": 7}, "headers": {"Idempotency-Key": "k7"}}
        post(url, retry={"attempts": 3, "methods": ["POST"], "backoff": 0}, **call)

    with Server(service) as server:
        for point in sweep(lambda: pays(server.url)):
            assert (1, None) == (len(service.booked), point.error), point
            service.__init__()  # type: ignore[misc]  # anew


def test_what_is_left_open_is_found() -> None:
    """A response that nobody closes fails the sweep."""
    opened: list[Any] = []
    with Server(reply(200, [b"a", b"b"])) as server, Client() as client:
        with pytest.raises(Unmet, match="the response was left open of GET"):
            list(sweep(lambda: opened.append(client.open("GET", server.url))))
        opened[0].close()


def test_awaited() -> None:
    """A coroutine function can be swept, too, here over a mock."""

    async def call() -> int:
        async with AsyncClient() as client:
            return (await client.get("https://api.test/", retry={"attempts": 2, "backoff": 0})).status

    def handler(request: Intercepted) -> Answer:
        return Answer(200, BODY)

    with intercept(handler):
        points = list(sweep(call))

    assert 200 == points[0].result
    assert {200} == {point.result for point in points}


def test_a_sweep_that_tests_nothing() -> None:
    """A kind that there is not, and a call that asks for nothing, fail."""
    for kinds in (("lst",), (), "lost"):
        with pytest.raises(ValueError, match="kinds= is a tuple of 'lost' and 'stalled'"):
            list(sweep(lambda: None, kinds=kinds))  # type: ignore[arg-type]  # what is tested
    with pytest.raises(Unmet, match="asked for nothing"):
        list(sweep(lambda: None))


def test_a_call_that_would_wait_for_ever() -> None:
    """Where no timeout ends a silence, the sweep says so; it does not take the body for whole."""
    with Mock() as mock:
        mock.get("https://api.test/").reply(chunks=[b"a", b"b"])
        with pytest.raises(Unanswered, match="fallen silent, and no timeout ends the wait"):
            list(sweep(lambda: get("https://api.test/", timeout=None)))


async def _sweeping() -> None:
    async def call() -> None: ...

    with pytest.raises(TypeError, match="in a test that is not awaited"):
        list(sweep(call))


def test_a_sweep_in_a_loop() -> None:
    """It says what to do instead, and leaves no coroutine behind."""
    asyncio.run(_sweeping())


def test_no_credential_is_shown() -> None:
    """Neither by a point, nor by what has fired, nor by a request of the kit."""
    url = "https://api.test/?api_key=s3cret"
    with Mock() as mock:
        mock.get("https://api.test/").reply(200)
        with Faults() as faults:
            faults.status(500, at=1)
            get(url)
        shown = [*faults.fired, *sweep(lambda: get(url)), *mock.calls]

    assert "api_key=REDACTED" in repr(shown)
    assert "s3cret" not in repr(shown)


@pytest.mark.parametrize("when", [{"at": 0}, {"at": True}, {"probability": 0}, {"probability": 20}])
def test_a_fault_that_cannot_be_meant(when: Any) -> None:
    """It is refused where it is announced."""
    with pytest.raises(ValueError, match=r"status\(500\): (at|probability)= is"):
        Faults().status(500, **when)
