"""AsyncClient: what it shares with Client, and what an event loop asks of it besides."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import io
import pickle
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest

import unifetch
from unifetch import AsyncClient, Bearer, Client, Limits, Timeout, aio, configure, use_backend
from unifetch.backends import BACKENDS, in_threads, is_installed
from unifetch.backends.base import Capability
from unifetch.errors import ConnectionLost, InvalidBody, InvalidSetting, PoolTimeout, StreamError, TotalTimeout
from unifetch.model.headers import Headers
from unifetch.model.messages import AsyncRawResponse, RawRequest
from unifetch.testing import Close, Pause, Server, Signal, Wait, reply


class Fake:
    """A backend without a network: it says when it is asked, and answers when it is told.

    Attributes:
        asked: the targets, in the order in which they were sent.
        closed: how many responses were closed.
        gate: what each waits for; None to answer at once.
    """

    name = "fake"
    contract: Literal[1] = 1
    capabilities = frozenset({Capability.NATIVE_ASYNC})
    native: object = None

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = 0
        self.gate: asyncio.Event | None = None
        self.failures: list[Exception] = []

    async def send(self, request: RawRequest) -> AsyncRawResponse:
        self.asked.append(request.target)
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)

        async def body() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"

        async def close() -> None:
            self.closed += 1

        return AsyncRawResponse(200, "OK", "HTTP/1.1", Headers(), body(), close)

    async def close(self) -> None:
        pass


# --- The same as Client ---------------------------------------------------------------------------


def test_the_same_response(backend: str) -> None:
    """What Client answers, AsyncClient answers, on every backend."""
    answer = reply(201, b"hello", [("Content-Type", "text/plain; charset=utf-8"), ("Set-Cookie", "a=b")])

    async def asked(url: str) -> Any:
        async with AsyncClient(backend=backend) as client:
            return await client.post(url, json={"a": 1})

    with Server(answer) as server:
        with Client(backend=backend) as client:
            expected = client.post(server.url, json={"a": 1})
        response = asyncio.run(asked(server.url))

        assert expected.replace(elapsed=0) == response.replace(elapsed=0)
        assert server.requests[0].head == server.requests[1].head
        assert server.requests[0].raw_body == server.requests[1].raw_body


def test_every_method() -> None:
    """The names are those of Client."""

    async def scenario(url: str) -> list[str]:
        async with AsyncClient(backend="socket") as client:
            for name in ("get", "head", "options", "delete", "post", "put", "patch"):
                await getattr(client, name)(url)
            await client.request("PURGE", url)
        return [request.method for request in server.requests]

    with Server() as server:
        assert ["GET", "HEAD", "OPTIONS", "DELETE", "POST", "PUT", "PATCH", "PURGE"] == asyncio.run(
            scenario(server.url)
        )


def test_functions() -> None:
    """`unifetch.aio` has the module's functions; they keep connections, and no cookies."""

    async def scenario(url: str) -> None:
        for name in ("get", "head", "options", "delete", "post", "put", "patch"):
            await getattr(aio, name)(url, backend="socket")
        await aio.request("PURGE", url, backend="socket")
        async with aio.stream("GET", url, backend="socket") as response:
            assert b"" == (await response.read()).body

    with Server(reply(headers={"Set-Cookie": "a=b"})) as server:
        asyncio.run(scenario(server.url))

        assert [1] * 9 == [request.connection for request in server.requests]
        assert [None] * 9 == [request.header("cookie") for request in server.requests]
        server.wait_closed(1)  # at the end of the loop


def test_functions_in_one_loop_after_the_other() -> None:
    """Each event loop has a client of its own, which ends with it."""

    async def scenario(url: str) -> int:
        return (await aio.get(url, backend="socket")).status

    with Server() as server:
        assert [200, 200, 200] == [asyncio.run(scenario(server.url)) for _ in range(3)]
        assert [1, 2, 3] == [request.connection for request in server.requests]


def test_stream_lines_and_events() -> None:
    """A stream is read in pieces, lines, events or whole; each is awaited."""

    async def scenario(url: str) -> tuple[list[str], list[str], bytes]:
        async with AsyncClient(backend="urllib") as client:
            async with client.stream("GET", url) as response:
                lines = [line async for line in response.lines()]
            async with client.stream("GET", url) as response:
                events = [event.data async for event in response.events()]
            async with client.stream("GET", url) as response:
                whole = await response.read()
            return lines, events, whole.body

    with Server(reply(body=b"data: 1\n\ndata: 2\n\n")) as server:
        lines, events, whole = asyncio.run(scenario(server.url))

        assert (["data: 1", "", "data: 2", ""], ["1", "2"], b"data: 1\n\ndata: 2\n\n") == (lines, events, whole)


def test_a_stream_is_read_in_its_block_and_used_once() -> None:
    """As of Client's."""

    async def scenario() -> None:
        fake = Fake()
        async with AsyncClient(backend=fake) as client:
            stream = client.stream("GET", "http://a.test/")
            async with stream as response:
                assert b"a" == await anext(response.body)
            with pytest.raises(StreamError, match="closed"):
                await anext(response.body)
            with pytest.raises(StreamError, match="used already"):
                async with stream:
                    pass
            assert 1 == fake.closed

    asyncio.run(scenario())


def test_a_stream_whose_request_failed_is_used_as_well() -> None:
    """The attempts and the time of its call are spent; as of Client's."""

    async def scenario(url: str) -> None:
        async with AsyncClient(backend="socket") as client:
            stream = client.stream("GET", url)
            with pytest.raises(ConnectionLost):
                await stream.__aenter__()
            with pytest.raises(StreamError, match="used already"):
                await stream.__aenter__()

    with Server([Close()]) as server:
        asyncio.run(scenario(server.url))
        with Client(backend="socket") as client:
            stream = client.stream("GET", server.url)
            with pytest.raises(ConnectionLost):
                stream.__enter__()
            with pytest.raises(StreamError, match="used already"):
                stream.__enter__()

        assert 2 == len(server.requests)


def test_download(tmp_path: Path) -> None:
    """A file, as with Client: whole, verified, resumed."""

    async def scenario(url: str) -> Any:
        async with AsyncClient(backend="urllib") as client:
            told: list[tuple[int, int | None]] = []
            found = await client.download(url, tmp_path / "file", progress=lambda got, total: told.append((got, total)))
            with pytest.raises(unifetch.StatusError, match="404"):
                await client.download(f"{url}/missing", tmp_path / "other")
            return found, told

    def answer(request: Any) -> bytes:
        return reply(404, b"no") if request.target == "/missing" else reply(body=b"content")

    with Server(answer) as server:
        found, told = asyncio.run(scenario(server.url))

        assert (7, b"content") == (found.size, (tmp_path / "file").read_bytes())
        assert [(0, 7), (7, 7)] == told
        assert ["file"] == [path.name for path in tmp_path.iterdir()]


def test_pickle() -> None:
    """A client's configuration travels; its connections stay."""
    client = pickle.loads(pickle.dumps(AsyncClient("socket", timeout=7, cookies=False)))

    assert "<AsyncClient socket>" == repr(client)
    assert 7 == client.settings.timeout.total


# --- Bodies ---------------------------------------------------------------------------------------


def test_an_asynchronous_body() -> None:
    """An asynchronous iterator is sent in chunks, on a backend that is awaited and on one that is not."""

    async def blocks() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b""
        await asyncio.sleep(0)
        yield b"cd"

    async def scenario(url: str, backend: str) -> None:
        async with AsyncClient(backend=backend) as client:
            await client.post(url, body=blocks())

    with Server() as server:
        for backend in ("urllib", "socket"):
            asyncio.run(scenario(server.url, backend))

        assert [b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"] * 2 == [request.raw_body for request in server.requests]


def test_an_asynchronous_body_needs_an_async_client() -> None:
    """Client refuses it before anything is sent, and a part of files= cannot be one."""

    async def blocks() -> AsyncIterator[bytes]:
        yield b""

    with pytest.raises(InvalidBody, match="AsyncClient"):
        unifetch.post("http://a.test/", body=blocks())  # type: ignore[arg-type]  # which is the point

    async def scenario() -> None:
        async with AsyncClient(backend=Fake()) as client:
            with pytest.raises(InvalidBody, match="AsyncClient"):
                await client.post("http://a.test/", files={"a": blocks()})

    asyncio.run(scenario())


def test_an_error_of_an_asynchronous_body_is_the_callers() -> None:
    """It arrives as it was raised."""

    async def blocks() -> AsyncIterator[bytes]:
        yield b"ab"
        raise LookupError("mine")

    async def scenario(url: str, backend: str) -> None:
        async with AsyncClient(backend=backend) as client:
            with pytest.raises(LookupError, match="mine"):
                await client.post(url, body=blocks())

    with Server() as server:
        for backend in ("urllib", "socket"):
            asyncio.run(scenario(server.url, backend))
        server.errors.clear()  # it was cut off in the middle


def test_a_file_is_read_beside_the_loop_and_progress_told_in_it() -> None:
    """What may block is done in a thread; what the caller is told, in the thread that awaits."""
    read_in: set[int] = set()
    told_in: set[int] = set()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if size:
                read_in.add(threading.get_ident())
            return super().read(size)

    async def scenario(url: str) -> None:
        async with AsyncClient(backend="socket") as client:
            await client.post(url, body=Slow(b"x" * 200_000), progress=lambda *_: told_in.add(threading.get_ident()))

    with Server() as server:
        asyncio.run(scenario(server.url))

        assert 200_000 == len(server.requests[0].raw_body)
        assert threading.get_ident() not in read_in
        assert {threading.get_ident()} == told_in


# --- Backends and loops ---------------------------------------------------------------------------


def test_tasks_choose_for_themselves() -> None:
    """`use_backend` in one task does not concern another."""

    async def ask(url: str, backend: str, both: asyncio.Barrier) -> str:
        with use_backend(backend):
            await both.wait()
            return (await aio.get(url)).backend

    async def scenario(url: str) -> list[str]:
        both = asyncio.Barrier(2)  # both blocks are open when they ask
        return await asyncio.gather(ask(url, "urllib", both), ask(url, "socket", both))

    with Server() as server:
        assert ["urllib", "socket"] == asyncio.run(scenario(server.url))


def test_configured(process: None) -> None:
    """`configure` holds for both kinds."""
    configure(backend="socket", headers={"X-From": "configure"})

    async def scenario(url: str) -> str:
        return (await aio.get(url)).backend

    with Server() as server:
        assert "socket" == asyncio.run(scenario(server.url))
        assert "configure" == server.requests[0].header("x-from")


def test_a_backend_that_is_awaited_is_none_of_clients() -> None:
    """It belongs to its event loop; only a name gets a loop of its own."""
    with pytest.raises(InvalidSetting, match="goes with AsyncClient"):
        Client(backend=Fake())


def test_one_loop_after_the_other() -> None:
    """A client goes on in another loop once its first has ended, with connections of its own."""
    client = AsyncClient(backend="socket")

    async def scenario(url: str) -> list[int]:
        return [(await client.get(url)).status for _ in range(2)]

    async def last(url: str) -> list[int]:
        async with client:
            return await scenario(url)

    with Server() as server:
        assert [200, 200] == asyncio.run(scenario(server.url))
        assert [200, 200] == asyncio.run(last(server.url))
        assert [1, 1, 2, 2] == [request.connection for request in server.requests]


def test_two_loops_at_once() -> None:
    """While its loop runs, another one is refused."""

    async def inner(client: AsyncClient) -> None:
        with pytest.raises(InvalidSetting, match="in use in another event loop"):
            await client.get("http://a.test/")

    async def scenario() -> None:
        async with AsyncClient(backend=Fake()) as client:
            await client.get("http://a.test/")
            await asyncio.to_thread(asyncio.run, inner(client))

    asyncio.run(scenario())


def test_without_a_loop() -> None:
    """Who asks outside of one is told so."""
    client = AsyncClient(backend=Fake())
    asking = client.get("http://a.test/")

    with pytest.raises(RuntimeError, match="no event loop is running"):
        asking.send(None)


def test_a_client_that_is_closed() -> None:
    """It says so."""

    async def scenario() -> None:
        client = AsyncClient(backend=Fake())
        await client.close()
        with pytest.raises(InvalidSetting, match="closed"):
            await client.get("http://a.test/")

    asyncio.run(scenario())


# --- Threads under a loop -------------------------------------------------------------------------


def test_a_blocking_backend_does_not_block_the_loop(backend: str) -> None:
    """While one task waits for its answer, another gets its own."""
    first = threading.Event()

    def answer(request: Any) -> Any:
        return [Wait(first), reply(body=b"1")] if request.target == "/1" else [Signal(first), reply(body=b"2")]

    async def scenario(url: str) -> list[bytes]:
        async with AsyncClient(backend=backend) as client:
            responses = await asyncio.gather(client.get(f"{url}/1"), client.get(f"{url}/2"))
            return [response.body for response in responses]

    with Server(answer) as server:
        assert [b"1", b"2"] == asyncio.run(scenario(server.url))


@pytest.mark.parametrize("script", [b"", reply()[:-2]], ids=["before", "in the head"])
def test_a_cancelled_task_closes_what_its_thread_began(script: bytes) -> None:
    """The thread goes on to its timeout, and then its connection is closed."""

    async def scenario(url: str, server: Server) -> None:
        async with AsyncClient(backend="urllib", timeout=Timeout(5, read=0.3)) as client:
            task = asyncio.create_task(client.get(url))
            await asyncio.to_thread(server.wait_requests, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert {} == client._slots.held
            await asyncio.to_thread(server.wait_closed, 1)

    with Server(script) as server:
        asyncio.run(scenario(server.url, server))


def test_an_upload_ends_with_its_task() -> None:
    """Once its task is cancelled, no more of a body is asked for."""
    taken: list[int] = []

    async def blocks() -> AsyncIterator[bytes]:
        for number in range(1000):
            taken.append(number)
            if number == 3:
                reached.set()
                await asyncio.sleep(3600)
            yield b"x"

    async def scenario(url: str) -> None:
        nonlocal reached
        reached = asyncio.Event()
        async with AsyncClient(backend="urllib", timeout=5) as client:
            task = asyncio.create_task(client.post(url, body=blocks()))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    reached = asyncio.Event()
    with Server() as server:
        asyncio.run(scenario(server.url))
        server.errors.clear()  # it was cut off in the middle

    assert [0, 1, 2, 3] == taken


@pytest.mark.parametrize("awaits", [True, False], ids=["awaited", "in a thread"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_upload_whose_source_stalls_ends_with_the_deadline(backend: str, awaits: bool) -> None:
    """The total is for what the caller's own iterator takes as well; what was sent by then may have an effect."""
    if not is_installed(backend):
        pytest.skip(f"the library of {backend} is not installed")
    go_on = threading.Event()
    ended: list[type[BaseException]] = []

    async def awaited_blocks() -> AsyncIterator[bytes]:
        yield b"x"
        try:
            await asyncio.sleep(3600)
        except BaseException as error:
            ended.append(type(error))
            raise

    def blocks() -> Iterator[bytes]:
        yield b"x"
        go_on.wait(60)

    async def scenario(url: str) -> None:
        async with AsyncClient(backend=backend) as client:
            with pytest.raises(TotalTimeout) as caught:
                await client.post(url, body=awaited_blocks() if awaits else blocks(), timeout=0.3)
            assert "maybe" == caught.value.request_sent
            assert not client._slots.held
            go_on.set()

    with Server() as server:
        asyncio.run(scenario(server.url))
        server.errors.clear()  # it was cut off in the middle

    assert ([asyncio.CancelledError] if awaits else []) == ended


@pytest.mark.parametrize("backend", ["httpx", "httpx2"])
def test_an_upload_whose_source_stalls_ends_with_the_deadline_in_trio(backend: str) -> None:
    """As in asyncio; and so do credentials that do not come."""
    trio = pytest.importorskip("trio")
    pytest.importorskip(backend)

    async def blocks() -> AsyncIterator[bytes]:
        yield b"x"
        await trio.sleep(3600)

    async def fetch() -> str:
        if not comes:
            await trio.sleep(3600)
        return "t"

    async def scenario(url: str) -> None:
        async with AsyncClient(backend=backend) as client:
            with pytest.raises(TotalTimeout) as caught:
                await client.post(url, body=blocks(), timeout=0.3)
            assert ("maybe", {}) == (caught.value.request_sent, client._slots.held)
            with pytest.raises(TotalTimeout) as caught:
                await client.get(url, auth=Bearer(fetch), timeout=0.1)
            assert ("no", {}) == (caught.value.request_sent, client._slots.held)
            comes.append(True)
            await client.get(url, auth=Bearer(fetch))

    comes: list[bool] = []
    with Server() as server:
        trio.run(scenario, server.url)
        server.errors.clear()  # it was cut off in the middle

        assert "Bearer t" == server.requests[-1].header("authorization")


@pytest.mark.parametrize("awaits", [True, False], ids=["awaited", "in a thread"])
def test_credentials_that_do_not_come_end_with_the_deadline(awaits: bool) -> None:
    """They are waited for as long as the call may take: nothing was sent, and the next call fetches them itself."""
    go_on = threading.Event()

    async def awaited_fetch() -> str:
        if not go_on.is_set():
            await asyncio.sleep(3600)
        return "t"

    def fetch() -> str:
        go_on.wait(60)
        return "t"

    async def scenario(url: str) -> None:
        async with AsyncClient(backend="socket", auth=Bearer(awaited_fetch if awaits else fetch)) as client:
            with pytest.raises(TotalTimeout) as caught:
                await client.get(url, timeout=0.2)
            assert "no" == caught.value.request_sent
            go_on.set()
            assert 200 == (await client.get(url, timeout=10)).status

    with Server() as server:
        asyncio.run(scenario(server.url))

        assert ["Bearer t"] == [request.header("authorization") for request in server.requests]


def test_an_error_of_time_that_is_the_callers_stays_his() -> None:
    """A TimeoutError of the iterator is raised as it is."""

    async def blocks() -> AsyncIterator[bytes]:
        yield b"x"
        raise TimeoutError("mine")

    async def scenario(url: str) -> None:
        async with AsyncClient(backend="socket", timeout=5) as client:
            with pytest.raises(TimeoutError, match=r"^mine$"):
                await client.post(url, body=blocks())

    with Server() as server:
        asyncio.run(scenario(server.url))
        server.errors.clear()  # it was cut off in the middle


def test_waiting_for_a_thread_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the pool timeout, too, and nothing was sent."""

    async def scenario(url: str, server: Server) -> None:
        async with AsyncClient(backend="urllib", timeout=Timeout(5, pool=0.1)) as client:
            first = asyncio.create_task(client.get(url))
            await asyncio.to_thread(server.wait_requests, 1)
            with pytest.raises(PoolTimeout, match="threads") as caught:
                await client.get(url)
            assert "no" == caught.value.request_sent
            answered.set()
            assert 200 == (await first).status

    answered = threading.Event()
    with ThreadPoolExecutor(1) as only, Server([Wait(answered), reply()]) as server:
        monkeypatch.setattr(in_threads, "WORKERS", only)
        asyncio.run(scenario(server.url, server))
        assert 1 == len(server.requests)


# --- Slots ----------------------------------------------------------------------------------------


def test_first_come_first_served() -> None:
    """Thousands of tasks wait for one connection, and get it in the order in which they came."""

    async def scenario() -> list[str]:
        fake = Fake()
        fake.gate = asyncio.Event()
        limits = Limits(connections=1)
        async with AsyncClient(backend=fake, limits=limits, timeout=None) as client:
            tasks = [asyncio.create_task(client.get(f"http://a.test/{number}")) for number in range(3_000)]
            await asyncio.sleep(0)
            fake.gate.set()
            await asyncio.gather(*tasks)
            assert {} == client._slots.held
            return fake.asked

    assert [f"/{number}" for number in range(3_000)] == asyncio.run(scenario())


def test_who_gives_up_does_not_stand_in_the_way() -> None:
    """Tasks that are cancelled while they wait leave the queue; those behind them go on."""

    async def scenario() -> list[str]:
        fake = Fake()
        fake.gate = asyncio.Event()
        async with AsyncClient(backend=fake, limits=Limits(connections=1), timeout=None) as client:
            tasks = [asyncio.create_task(client.get(f"http://a.test/{number}")) for number in range(10)]
            await asyncio.sleep(0)
            for number in range(0, 10, 2):
                tasks[number].cancel()
            fake.gate.set()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert [True, False] * 5 == [isinstance(each, asyncio.CancelledError) for each in outcomes]
            assert ({}, 0) == (client._slots.held, len(client._slots.queue))
            return fake.asked

    assert ["/0", "/1", "/3", "/5", "/7", "/9"] == asyncio.run(scenario())


def test_waiting_has_an_end() -> None:
    """It is the pool timeout."""

    async def scenario() -> None:
        fake = Fake()
        fake.gate = asyncio.Event()
        timeout = Timeout(None, pool=0.05)
        async with AsyncClient(backend=fake, limits=Limits(connections=1), timeout=timeout) as client:
            first = asyncio.create_task(client.get("http://a.test/1"))
            await asyncio.sleep(0)
            with pytest.raises(PoolTimeout, match="1 in all"):
                await client.get("http://a.test/2")
            fake.gate.set()
            await first

    asyncio.run(scenario())


def test_a_stream_that_was_dropped() -> None:
    """One that nobody closed is closed by the next call, which gets its slot; a warning tells of it."""

    async def scenario() -> int:
        fake = Fake()
        async with AsyncClient(backend=fake, limits=Limits(connections=1)) as client:
            streams = [client.stream("GET", "http://a.test/")]
            await streams[0].__aenter__()
            with pytest.warns(ResourceWarning, match="unclosed stream"):
                streams.clear()
            await client.get("http://a.test/")
            return fake.closed

    assert 2 == asyncio.run(scenario())


def test_retries_wait_in_the_loop() -> None:
    """Other tasks go on between two attempts."""

    async def scenario() -> tuple[int, int]:
        fake = Fake()
        fake.failures = [ConnectionLost("1", request_sent="maybe"), ConnectionLost("2", request_sent="maybe")]
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        async with AsyncClient(backend=fake, retry={"attempts": 3, "backoff": 0.01}) as client:
            ticking = asyncio.create_task(tick())
            status = (await client.get("http://a.test/")).status
            ticking.cancel()
            return status, ticks

    status, ticks = asyncio.run(scenario())

    assert 200 == status
    assert ticks > 2


@pytest.mark.parametrize("whole", [True, False], ids=["in memory", "stream"])
def test_decoding_does_not_stop_the_loop(whole: bool) -> None:
    """However much work one piece of a body is, other tasks have their turn meanwhile: here about every 32 members."""
    body = gzip.compress(gzip.compress(b"") * 10_000)

    async def scenario(url: str) -> int:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with AsyncClient(backend="urllib", limits={"ratio": None}) as client:
            async with client.stream("GET", url) as response:  # the body is there
                counting = asyncio.create_task(count())
                before = turns
                assert b"" == ((await client.get(url)) if whole else (await response.read())).body
                counting.cancel()
                return turns - before

    with Server(reply(200, body, {"Content-Encoding": "gzip, gzip"})) as server:
        assert 10_000 // 32 <= asyncio.run(scenario(server.url))


def test_the_deadline_ends_a_stream() -> None:
    """As with Client, it is looked at with each piece."""

    def body() -> Iterator[Any]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        while True:
            yield b"1\r\nx\r\n"
            yield Pause(0.05)

    async def scenario(url: str) -> None:
        async with AsyncClient(backend="urllib") as client, client.stream("GET", url, timeout=0.3) as response:
            with pytest.raises(unifetch.TotalTimeout):
                async for _ in response.body:
                    pass

    with Server(lambda request: body()) as server:
        asyncio.run(scenario(server.url))


def test_a_call_that_is_cancelled_while_a_thread_makes_its_fetch() -> None:
    """The coroutine that the thread returns afterwards is closed: nobody is left who would await it."""
    begun, may_end, made = threading.Event(), threading.Event(), []

    async def token() -> str:
        return "a-token"

    def fetch() -> Any:
        begun.set()
        may_end.wait(20)
        made.append(token())
        return made[0]

    async def scenario() -> None:
        async with AsyncClient(Fake(), auth=unifetch.Bearer(fetch)) as client:
            call = asyncio.create_task(client.get("http://h/"))
            await asyncio.to_thread(begun.wait, 20)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            may_end.set()
            async with asyncio.timeout(20):
                while not made or inspect.getcoroutinestate(made[0]) != inspect.CORO_CLOSED:
                    await asyncio.sleep(0)

    asyncio.run(scenario())
