"""`aio.fetch_all`: many requests as tasks of an event loop, none of which is left when it ends."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, nullcontext
from typing import Any, Literal

import pytest

from unifetch import URL, AsyncClient, Request, Response, Result, aio, use_backend
from unifetch.backends.base import Capability
from unifetch.client.event_loops import in_trio, sleep
from unifetch.errors import ConnectError, InvalidRequest, InvalidSetting, InvalidURL, UnknownBackend
from unifetch.model.headers import Headers
from unifetch.model.messages import AsyncRawResponse, RawRequest
from unifetch.testing import Server, reply

Run = Callable[..., Any]


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs an asynchronous function in a new loop."""
    if request.param == "trio":
        trio: Any = pytest.importorskip("trio", reason="trio is not installed")
        return trio.run  # type: ignore[no-any-return]  # of a module that is Any
    return lambda function, *given: asyncio.run(function(*given))


def new_event() -> Any:
    return (sys.modules["trio"] if in_trio() else asyncio).Event()


async def linger() -> None:
    """What it takes to close a connection, whoever is in a hurry."""
    with sys.modules["trio"].CancelScope(shield=True) if in_trio() else nullcontext():
        for _ in range(9):
            await sleep(0)


class Fake:
    """A backend without a network. A target /held waits until `gate` is set; /lost finds nobody.

    Attributes:
        asked: the URLs, in the order in which they were sent.
        running: how many requests to each host are under way.
        most: how many there ever were, at once.
        cancelled: how many were cancelled.
    """

    name = "fake"
    contract: Literal[1] = 1
    capabilities = frozenset({Capability.NATIVE_ASYNC, Capability.TRIO})
    native: object = None

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.cancelled = 0
        self.gate: Any = None

    async def send(self, request: RawRequest) -> AsyncRawResponse:
        self.asked.append(request.url)
        self.running[request.host] += 1
        self.most[request.host] = max(self.most[request.host], self.running[request.host])
        ended = False
        try:
            await sleep(0)
            if request.target.startswith("/held"):
                await self.gate.wait()
            ended = True
        finally:
            if not ended:
                await linger()
            self.running[request.host] -= 1
            self.cancelled += not ended
        if request.target == "/lost":
            raise ConnectError("nobody there")

        async def body() -> AsyncIterator[bytes]:
            yield request.target.encode()

        async def close() -> None:
            pass

        return AsyncRawResponse(200, "OK", "HTTP/1.1", Headers(), body(), close)

    async def close(self) -> None:
        pass


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A backend; when the test is over, no request is under way."""
    fake = Fake()
    yield fake
    assert 0 == fake.running.total()


def paths(*names: object) -> list[str]:
    return [f"http://a.test/{name}" for name in names]


async def bodies(results: AsyncIterator[Result[Response[bytes]]]) -> list[str]:
    return [result.unwrap().text async for result in results]


# --- Results --------------------------------------------------------------------------------------


def test_results_in_the_order_of_their_urls(run: Run, fake: Fake) -> None:
    """By default, whichever of them is answered first."""

    async def main() -> None:
        fake.gate = new_event()
        got = []
        async for result in aio.fetch_all(paths("held", 1, 2, 3), backend=fake, progress=open_gate):
            got.append(result.unwrap().text)
        assert ["/held", "/1", "/2", "/3"] == got

    def open_gate(done: int, total: int | None) -> None:
        if done == 3:
            fake.gate.set()

    run(main)


def test_results_as_they_are_there(run: Run, fake: Fake) -> None:
    """With `ordered=False` none waits for another; `index` says whose it is."""

    async def main() -> None:
        fake.gate = new_event()
        given = []
        async for result in aio.fetch_all(paths("held", 1, 2, 3), backend=fake, ordered=False):
            given.append(result.index)
            if len(given) == 3:
                fake.gate.set()
        assert 0 == given[3]

    run(main)


def test_a_failure_is_a_result(run: Run, fake: Fake) -> None:
    """What is wrong with one URL does not end the rest."""

    async def main() -> list[Any]:
        urls: list[Any] = [*paths(1, "lost"), "ftp://x", 5, None, *paths(2)]
        return [type(result.error) async for result in aio.fetch_all(urls, backend=fake)]

    assert [type(None), ConnectError, InvalidURL, InvalidURL, InvalidURL, type(None)] == run(main)


def test_requests_among_the_urls(run: Run, fake: Fake) -> None:
    """A `Request` has a method and a body of its own; nothing of the call is used up by the first URL."""

    async def main() -> list[tuple[str, str]]:
        items: list[Any] = [Request("POST", "http://a.test/post", body=b"body"), URL("http://a.test/url")]
        results = aio.fetch_all(items, backend=fake, method="OPTIONS", params=iter([("a", "b")]))
        return [(result.unwrap().request.method, result.unwrap().url.target) async for result in results]

    assert [("POST", "/post?a=b"), ("OPTIONS", "/url?a=b")] == run(main)


# --- Bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("awaited", [True, False])
def test_urls_are_drawn_as_results_are_taken(run: Run, fake: Fake, ordered: bool, awaited: bool) -> None:
    """Never more than the window ahead, so that there may be no end of them."""
    drawn = 0

    def endless() -> Iterator[str]:
        nonlocal drawn
        while True:
            drawn += 1
            yield f"http://a.test/{drawn}"

    async def endless_and_awaited() -> AsyncIterator[str]:
        for url in endless():
            await sleep(0)
            yield url

    async def main() -> None:
        urls = endless_and_awaited() if awaited else endless()
        async with aclosing(aio.fetch_all(urls, backend=fake, window=7, concurrency=3, ordered=ordered)) as results:
            assert 0 == drawn
            for taken in range(30):
                await anext(results)
                assert drawn - taken <= 7
        if isinstance(urls, AsyncIterator):
            await urls.aclose()  # type: ignore[attr-defined]  # it is a generator

    run(main)
    assert fake.most["a.test"] <= 3


def test_what_one_origin_is_asked_at_once(run: Run, fake: Fake) -> None:
    """No more than `per_origin`, while others are asked meanwhile."""

    async def main() -> None:
        fake.gate = new_event()
        held, free = paths(*[f"held/{number}" for number in range(6)]), [f"http://b.test/{n}" for n in range(20)]
        results = aio.fetch_all(held + free, backend=fake, per_origin=2, ordered=False)
        given = []
        async for result in results:
            given.append(result.index)
            if len(given) == 20:
                assert 2 == fake.running["a.test"]
                fake.gate.set()
        assert set(range(6, 26)) == set(given[:20])

    run(main)
    assert {"a.test": 2, "b.test": 2} == fake.most


def test_the_limits_of_the_client_hold(run: Run, fake: Fake) -> None:
    """No more tasks than it has connections, so that no call waits for one longer than it may."""

    async def main() -> list[Any]:
        async with AsyncClient(fake, limits={"connections": 3}) as client:
            results = aio.fetch_all(paths(*range(20)), client=client, timeout={"pool": 1e-6})
            return [result.error async for result in results]

    assert [None] * 20 == run(main)
    assert 3 == fake.most["a.test"]


# --- The end --------------------------------------------------------------------------------------


def test_closed_early(run: Run, fake: Fake) -> None:
    """What is under way is cancelled, and has ended when it is closed."""

    async def main() -> None:
        fake.gate = new_event()
        async with aclosing(aio.fetch_all(paths(1, "held", "held", "held"), backend=fake)) as results:
            await anext(results)
            assert 3 == fake.running["a.test"]
        assert (0, 3) == (fake.running["a.test"], fake.cancelled)
        if not in_trio():
            assert {asyncio.current_task()} == asyncio.all_tasks()

    run(main)


def test_left_in_the_middle(fake: Fake) -> None:
    """asyncio closes an iterator that was left, and so what it began."""

    async def main() -> None:
        fake.gate = new_event()
        async for _ in aio.fetch_all(paths(1, "held"), backend=fake):
            break
        while fake.running.total():
            await sleep(0)

    asyncio.run(asyncio.wait_for(main(), 20))
    assert 1 == fake.cancelled


def test_the_task_that_takes_results_is_cancelled(run: Run, fake: Fake) -> None:
    """So is what it has under way, before it ends."""

    async def take() -> None:
        async for _ in aio.fetch_all(paths("held", "held"), backend=fake):
            raise AssertionError("there is none")

    async def main() -> None:
        fake.gate = new_event()
        if in_trio():
            trio: Any = sys.modules["trio"]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(take)
                await until(lambda: fake.running.total() == 2)
                nursery.cancel_scope.cancel()
        else:
            task = asyncio.create_task(take())
            await until(lambda: fake.running.total() == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (0, 2) == (fake.running.total(), fake.cancelled)

    run(main)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await sleep(0)


def test_somebody_cancels_a_task_of_ours(fake: Fake) -> None:
    """That ends the iteration; it does not wait for what will not come."""

    async def main() -> None:
        fake.gate = new_event()
        async for _ in aio.fetch_all(paths(1, "held"), backend=fake):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


@pytest.mark.parametrize("awaited", [True, False])
def test_the_urls_fail(run: Run, fake: Fake, awaited: bool) -> None:
    """What an iterable of URLs raises ends the iteration, and what was begun."""

    def urls() -> Iterator[str]:
        yield from paths("held")
        raise LookupError("no more")

    async def awaited_urls() -> AsyncIterator[str]:
        for url in urls():
            await sleep(0)
            yield url

    async def main() -> None:
        fake.gate = new_event()
        with pytest.raises(LookupError, match="no more"):
            await bodies(aio.fetch_all(awaited_urls() if awaited else urls(), backend=fake))

    run(main)


def test_urls_that_are_awaited(run: Run, fake: Fake) -> None:
    """Results are given while the next URL is not there yet; one task draws all of them."""

    async def main() -> None:
        given, tasks = new_event(), set()

        async def urls() -> AsyncIterator[str]:
            for url in paths(1, 2, 3):
                tasks.add(sys.modules["trio"].lowlevel.current_task() if in_trio() else asyncio.current_task())
                yield url
            await given.wait()
            yield paths(4)[0]

        got = []
        async for result in aio.fetch_all(urls(), backend=fake):
            got.append(result.unwrap().text)
            if len(got) == 3:
                given.set()
        assert ["/1", "/2", "/3", "/4"] == got
        assert 1 == len(tasks)

    run(main)


# --- Progress, settings ---------------------------------------------------------------------------


def test_progress(run: Run, fake: Fake) -> None:
    """It is told of each result, and of the total where the URLs have a length; what it raises ends the iteration."""
    told: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        told.append((done, total))
        if total is None:
            raise LookupError("enough")

    async def main() -> None:
        await bodies(aio.fetch_all(paths(1, 2), backend=fake, progress=progress))
        with pytest.raises(LookupError, match="enough"):
            await bodies(aio.fetch_all(iter(paths(1, 2)), backend=fake, progress=progress))

    run(main)
    assert [(1, 2), (2, 2), (1, None)] == told


def test_a_client_of_ones_own(run: Run, fake: Fake) -> None:
    """Its settings serve, and it stays open; `use_backend` holds for the tasks, too."""

    async def main() -> list[str]:
        async with AsyncClient(base_url="http://a.test/") as client:
            with use_backend(fake):
                got = await bodies(aio.fetch_all(["1", "2"], client=client, per_origin=1))
                return [*got, (await client.get("3")).text]

    assert ["/1", "/2", "/3"] == run(main)
    assert 1 == fake.most["a.test"]


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (InvalidSetting, {"concurrency": 0}),
        (InvalidSetting, {"per_origin": True}),
        (InvalidSetting, {"window": 1.5}),
        (InvalidSetting, {"jason": {}}),
        (InvalidSetting, {"json": {}}),
        (UnknownBackend, {"backend": "nobody"}),
    ],
)
def test_what_is_refused(run: Run, fake: Fake, error: type[Exception], arguments: dict[str, Any]) -> None:
    """What would fail for every URL is refused at the call."""

    async def main() -> None:
        with pytest.raises(error):
            aio.fetch_all(paths(1), **{"backend": fake, **arguments})
        with pytest.raises(InvalidRequest):
            aio.fetch_all(paths(1)[0], backend=fake)

    run(main)


def test_over_a_network(backend: str) -> None:
    """The client of this module's functions keeps its connections."""

    async def main(url: str) -> list[str]:
        return await bodies(aio.fetch_all((f"{url}/{n}" for n in range(30)), concurrency=3, backend=backend))

    with Server(lambda request: reply(200, request.target.encode())) as server:
        assert [f"/{number}" for number in range(30)] == asyncio.run(main(server.url))
        assert server.connections <= 3
