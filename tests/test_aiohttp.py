"""What only a backend that is awaited can get wrong, on aiohttp: cancellation, tasks, loops; and injected sessions."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest

import servers
from unifetch import AsyncClient, Client, ConfigConflict, InvalidSetting, Timeout
from unifetch.backends.base import Capability
from unifetch.errors import (
    ConnectError,
    ConnectionLost,
    IncompleteBody,
    ProtocolError,
    ReadTimeout,
    UnifetchError,
)
from unifetch.model.messages import RawRequest
from unifetch.model.route import DIRECT, Route
from unifetch.model.url import URL
from unifetch.policies.proxies import Proxy
from unifetch.testing import (
    Close,
    Drip,
    OnConnect,
    Pause,
    RecordedRequest,
    Reset,
    Script,
    Server,
    Signal,
    Stall,
    StartTLS,
    Wait,
    refused_port,
    reply,
)
from unifetch.wire.timer import Clock

aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is not installed")
backend_module = pytest.importorskip("unifetch.backends.aiohttp", reason="aiohttp is not installed")
AiohttpBackend = backend_module.AiohttpBackend

AUTHORITY = servers.certificate_authority()
HEAD = b"HTTP/1.1 200 OK\r\n"
AGREED = b"HTTP/1.1 200 OK\r\n\r\n"


def raw(url: str, method: str = "GET", body: Any = None, timeout: Timeout | None = None, **options: Any) -> RawRequest:
    """A request as the core hands it to a backend: framed, and with a deadline in ten seconds."""
    parsed = URL(url)
    headers = [("Host", parsed.authority)]
    length = options.pop("length", len(body) if isinstance(body, bytes) else None)
    if body is not None:
        headers.append(("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length)))
    timeout = timeout or Timeout(10)
    return RawRequest(method, parsed, tuple(headers), body, length, timeout, time.monotonic() + 10, **options)


async def fetch(backend: Any, request: RawRequest) -> bytes:
    """Send this, and read the body of the response."""
    response = await backend.send(request)
    pieces = [piece async for piece in response.body]
    await response.close()
    return b"".join(pieces)


def run(main: Coroutine[Any, Any, Any]) -> None:
    """Run this in a loop of its own, in which nothing may be left to complain about: no task, no transport."""
    complaints: list[Any] = []

    async def listening() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        await main
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert set() == others

    asyncio.run(listening(), debug=True)
    gc.collect()

    assert [] == complaints


# --- Cancellation -----------------------------------------------------------------------------------


class Cancelled(Exception):
    """Stands for the end of a task: its `await` number so and so was interrupted."""


@types.coroutine
def interrupted(work: Awaitable[Any], at: int, *, late: bool) -> Generator[Any, Any, Any]:
    """Await this, but be cancelled at this `await`, counted from 1.

    Args:
        late: what is awaited is done, but the task is cancelled before it goes on: what came of it is lost.
    """
    steps = work.__await__()
    try:
        awaited = steps.send(None)
        for count in range(1, 1_000_000):
            if count == at and not late:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                outcome = yield awaited
                if count == at:
                    raise asyncio.CancelledError
            except BaseException as error:  # noqa: BLE001  # as a task does it
                awaited = steps.throw(error)
            else:
                awaited = steps.send(outcome)
    except StopIteration as done:
        return done.value


async def blocks() -> AsyncIterator[bytes]:
    """A body that is awaited, too large to be sent at once."""
    for _ in range(4):
        await asyncio.sleep(0)
        yield b"x" * 50_000


def answer(request: RecordedRequest) -> Script:
    """Chunks, in two pieces."""
    if request.method == "CONNECT":
        return [AGREED, StartTLS(AUTHORITY.server_context("service.test"))]
    return [HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Pause(0.002), b"5\r\nworld\r\n0\r\n\r\n"]


def plain(server: Server) -> RawRequest:
    return raw(f"http://localhost:{server.port}/")


def upload(server: Server) -> RawRequest:
    return raw(server.url, "POST", blocks())


def secure(server: Server) -> RawRequest:
    return raw(server.url, "POST", blocks(), tls=AUTHORITY.client_context())


def tunnelled(server: Server) -> RawRequest:
    route = Route(proxy=Proxy("http", "127.0.0.1", server.port), connect_headers=(("Host", "service.test:443"),))
    return raw("https://service.test/", tls=AUTHORITY.client_context(), route=route)


WAYS: dict[str, tuple[Callable[[Server], RawRequest], bool]] = {
    "by name": (plain, False),
    "an upload": (upload, False),
    "an upload over TLS": (secure, True),
    "through a tunnel": (tunnelled, False),
}


@pytest.mark.parametrize("late", [False, True], ids=["waiting", "waking"])
@pytest.mark.parametrize("way", WAYS)
def test_cancelled_at_every_await(way: str, late: bool) -> None:
    """A task that is cancelled at any `await` leaves no open socket, no connection to go on with, and no complaint."""
    make, is_tls = WAYS[way]
    tls = AUTHORITY.server_context() if is_tls else None

    async def cancel_at(count: int) -> bool:
        backend = AiohttpBackend()
        with Server(answer, tls=tls) as server:
            task = asyncio.ensure_future(interrupted(fetch(backend, make(server)), count, late=late))
            await asyncio.wait([task])
            cancelled = task.cancelled()
            if not cancelled:
                assert b"helloworld" == task.result()
            else:
                for number in range(server.connections):
                    await asyncio.to_thread(server.wait_closed, number + 1)
                assert b"helloworld" == await fetch(backend, make(server))
            await backend.close()
        return cancelled

    async def main() -> None:
        count = 1
        while await cancel_at(count):
            count += 1
        assert count > 3

    run(main())


def test_a_cancelled_upload_ends_its_iterator() -> None:
    """The caller's own iterator is closed when its task is cancelled."""
    closed = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def main() -> None:
        backend = AiohttpBackend()
        with Server(OnConnect(Stall()), receive_buffer=4096) as server:
            task = asyncio.ensure_future(backend.send(raw(server.url, "POST", endless())))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.wait([task])
            for _ in range(5):
                await asyncio.sleep(0)
            assert [True] == closed
        await backend.close()

    run(main())


def test_a_client_that_is_cancelled() -> None:
    """So it is with an AsyncClient: the connection is closed, its slot is free, and the next call has another."""

    async def main() -> None:
        go = threading.Event()
        with Server([Wait(go)], reply(200, b"next")) as server:
            async with AsyncClient("aiohttp", limits={"connections": 1}) as client:
                task = asyncio.ensure_future(client.get(server.url))
                await asyncio.to_thread(server.wait_requests, 1)
                task.cancel()
                await asyncio.wait([task])

                assert task.cancelled()
                assert b"next" == (await client.get(server.url)).body
                go.set()
                await asyncio.to_thread(server.wait_closed, 1)

    run(main())


def test_a_timeout_of_the_callers_own() -> None:
    """`asyncio.timeout` around a call raises its own TimeoutError, which is none of ours."""

    async def main() -> None:
        with Server(Stall()) as server:
            async with AsyncClient("aiohttp") as client:
                with pytest.raises(TimeoutError) as caught:
                    async with asyncio.timeout(0.1):
                        await client.get(server.url)

        assert not isinstance(caught.value, UnifetchError)

    run(main())


# --- Tasks and loops --------------------------------------------------------------------------------


def test_tasks_share_a_backend() -> None:
    """Thirty tasks get their own answers, twenty each, over no more connections than tasks."""

    async def main() -> None:
        backend = AiohttpBackend()
        with Server(lambda request: reply(200, request.target.encode() + request.body)) as server:

            async def ask(number: int) -> None:
                for _ in range(10):
                    assert b"/%d" % number == await fetch(backend, raw(f"{server.url}/{number}"))
                    body = b"x" * (number * 5000)
                    assert b"/%d" % number + body == await fetch(backend, raw(f"{server.url}/{number}", "PUT", body))

            await asyncio.gather(*map(ask, range(30)))

            assert 30 >= server.connections
        await backend.close()

    run(main())


def test_a_backend_outlives_its_loop() -> None:
    """Connections belong to a loop; in the next one there are new ones."""
    backend = AiohttpBackend()
    with Server(reply(200, b"body")) as server:

        async def main() -> None:
            for _ in range(2):
                assert b"body" == await fetch(backend, raw(server.url))
            await backend.close()

        run(main())
        run(main())

        assert 2 == server.connections


def test_closing_ends_idle_connections() -> None:
    """`close` leaves no socket; a request after it connects anew."""

    async def main() -> None:
        backend = AiohttpBackend()
        for tls in (None, AUTHORITY.server_context()):
            context = None if tls is None else AUTHORITY.client_context()
            with Server(reply(200, b"body"), tls=tls) as server:
                await fetch(backend, raw(server.url, tls=context))
                await backend.close()
                await asyncio.to_thread(server.wait_closed, 1)
                await fetch(backend, raw(server.url, tls=context))
                await backend.close()

                assert 2 == server.connections

    run(main())


def test_a_response_that_is_closed_early() -> None:
    """What was not read to its end is closed at once, for good; closing it again does nothing."""

    async def main() -> None:
        backend = AiohttpBackend()
        with Server([HEAD + b"Content-Length: 500000\r\n\r\n" + b"x" * 1000, Stall()], reply(200, b"next")) as server:
            response = await backend.send(raw(server.url))
            assert b"x" in await anext(response.body)
            await response.close()
            await response.close()
            with pytest.raises(StopAsyncIteration):
                await anext(response.body)

            assert b"next" == await fetch(backend, raw(server.url))
            assert 2 == server.connections
        await backend.close()

    run(main())


def test_a_slow_reader_slows_the_server() -> None:
    """What nobody reads is not read from the network either, and nothing of it is lost."""
    size = 20_000_000

    async def main() -> None:
        backend = AiohttpBackend()
        sent = threading.Event()
        with Server([reply(200, b"x" * size), Signal(sent)]) as server:
            response = await backend.send(raw(server.url))
            await asyncio.sleep(0.3)

            assert not sent.is_set()
            assert size == sum([len(piece) async for piece in response.body])
        await backend.close()

    run(main())


def test_a_slow_upload_is_no_slow_answer() -> None:
    """While a body is still on its way, the read timeout does not run."""

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x"
            await asyncio.sleep(0.15)

    async def main() -> None:
        backend = AiohttpBackend()
        with Server(reply(200, b"body")) as server:
            assert b"body" == await fetch(backend, raw(server.url, "POST", slow(), Timeout(10, read=0.3)))
        with Server(b"") as server:
            with pytest.raises(ReadTimeout):
                await fetch(backend, raw(server.url, "POST", slow(), Timeout(10, read=0.3)))
        await backend.close()

    run(main())


def test_a_body_that_has_left_is_read_to_its_end() -> None:
    """Whoever counts the blocks of a body is told of the last one before the answer is handed over."""

    async def main() -> None:
        backend = AiohttpBackend()
        answered, told = asyncio.Event(), []

        async def body() -> AsyncIterator[bytes]:
            yield b"all of it"
            await answered.wait()
            told.append("the last one was taken")

        with Server() as server:
            request = raw(server.url, "POST", body(), length=9)
            asyncio.get_running_loop().call_later(0.05, answered.set)  # the answer is there long before
            response = await backend.send(request)

            assert ["the last one was taken"] == told
            assert [] == [piece async for piece in response.body]
        await backend.close()

    run(main())


# --- What a connection has seen ---------------------------------------------------------------------


def test_what_is_known_of_a_lost_connection() -> None:
    """A connection that was used before, and ends without a byte, is told apart from a new one."""

    async def main() -> None:
        backend = AiohttpBackend()
        with Server(reply(200), Close(), Reset(), [HEAD, Close()]) as server:
            await fetch(backend, raw(server.url))
            lost = []
            for _ in range(3):
                with pytest.raises(ConnectionLost) as caught:
                    await fetch(backend, raw(server.url))
                lost.append((caught.value.reused, caught.value.request_sent))

            assert [(True, "maybe"), (False, "maybe"), (False, "yes")] == lost
            assert 4 == len(server.requests)
        await backend.close()

    run(main())


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_nothing_is_sent_again(method: str) -> None:
    """aiohttp's session would send an idempotent request once more, even on a new connection."""

    async def main() -> None:
        backend = AiohttpBackend()
        with Server(Close()) as server:
            with pytest.raises(ConnectionLost):
                await fetch(backend, raw(server.url, method))

            assert 1 == len(server.requests)
        await backend.close()

    run(main())


def test_a_reset_while_the_loop_is_busy() -> None:
    """The loop has not seen yet what came to an idle connection: it is looked at before it is used."""

    async def main() -> None:
        backend = AiohttpBackend()
        go, gone = threading.Event(), threading.Event()
        with Server([reply(200, b"first"), Wait(go), reply(200, b"late"), Signal(gone)], reply(200, b"next")) as server:
            await fetch(backend, raw(server.url))
            go.set()
            gone.wait(20)  # and the loop stands still

            assert b"next" == await fetch(backend, raw(server.url))
        await backend.close()

    run(main())


def test_names_are_looked_up_anew() -> None:
    """aiohttp would remember the addresses of a host for ten seconds."""
    asked: list[str] = []
    original = backend_module.socket.getaddrinfo

    def look_up(host: str, *given: Any, **options: Any) -> Any:
        if options.get("flags"):  # whether it is an address is found out without a resolver
            return original(host, *given, **options)
        asked.append(host)
        return original("127.0.0.1", *given, **options)

    async def main() -> None:
        backend = AiohttpBackend()
        with Server(reply(200, b"body", {"Connection": "close"})) as server, pytest.MonkeyPatch.context() as patch:
            patch.setattr(backend_module.socket, "getaddrinfo", look_up)
            for _ in range(2):
                await fetch(backend, raw(f"http://service.test:{server.port}/"))
        await backend.close()

    run(main())

    assert ["service.test"] * 2 == [host for host in asked if host == "service.test"]


def test_a_lookup_that_takes_too_long_is_left_behind() -> None:
    """Neither the call nor the end of the loop waits for it."""
    go = threading.Event()
    original = backend_module.socket.getaddrinfo

    def look_up(host: str, *given: Any, **options: Any) -> Any:
        if host == "slow.test" and not options.get("flags"):
            go.wait(20)
        return original(host, *given, **options)

    async def main() -> None:
        backend = AiohttpBackend()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(backend_module.socket, "getaddrinfo", look_up)
            with pytest.raises(TimeoutError) as caught:
                await fetch(backend, raw("http://slow.test/", timeout=Timeout(10, connect=0.1)))
            assert "no" == caught.value.request_sent  # type: ignore[attr-defined]  # it is one of ours
        await backend.close()

    started = time.monotonic()
    run(main())
    took = time.monotonic() - started
    go.set()

    assert took < 10


# --- An injected session ----------------------------------------------------------------------------


def test_an_injected_session_is_used_and_stays_open() -> None:
    """Its connections carry the requests, each as it is told to, and it is its owner's to close."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with Server(lambda request: reply(200, request.target.encode() + b" " + request.body)) as server:
                async with AsyncClient(session) as client:
                    assert session is client.backend.native
                    assert Capability.NATIVE_ASYNC in client.backend.capabilities
                    response = await client.get(f"{server.url}/%41?b=%7e")
                    assert b"/%41?b=%7e " == response.body
                    assert b"/ one" == (await client.post(server.url, body=b"one")).body
                    assert b"/ onetwo" == (await client.post(server.url, body=iter([b"one", b"two"]))).body

                assert not session.closed
                assert (1, 1) == (server.connections, server.requests[0].head.count(b"User-Agent"))
                assert (None, "chunked") == (
                    server.requests[1].header("content-type"),
                    server.requests[2].header("transfer-encoding"),
                )

    run(main())


def test_an_injected_session_decides_nothing() -> None:
    """It follows no redirect, keeps no cookie, decodes nothing and sends nothing again."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            moved = reply(302, b"", {"Location": "/end", "Set-Cookie": "a=b"})
            with Server(moved, reply(200, b"raw", {"Content-Encoding": "gzip"}), Close()) as server:
                backend = AiohttpBackend(session)
                url = f"http://localhost:{server.port}/"
                response = await backend.send(raw(url))
                await response.close()
                assert (302, "b") == (response.status, response.headers["set-cookie"].partition("=")[2])
                assert b"raw" == await fetch(backend, raw(url))
                with pytest.raises(ConnectionLost) as caught:
                    await fetch(backend, raw(url))

                assert ("maybe", 3) == (caught.value.request_sent, len(server.requests))
                assert [None] * 3 == [each.header("cookie") for each in server.requests]
                assert 0 == len(session.cookie_jar)

    run(main())


SESSION_FAILURES: dict[str, tuple[Script, type[UnifetchError]]] = {
    "closed": (Close(), ConnectionLost),
    "reset": (Reset(), ConnectionLost),
    "nonsense": (b"nonsense\r\n\r\n", ProtocolError),
    "cut short": ([HEAD + b"Content-Length: 9\r\n\r\nx", Close()], IncompleteBody),
    "cut short in chunks": ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nx", Close()], IncompleteBody),
    "silent": (b"", ReadTimeout),
    "silent in the body": ([HEAD + b"Content-Length: 9\r\n\r\nx", Stall()], ReadTimeout),
}


@pytest.mark.parametrize("row", SESSION_FAILURES)
def test_errors_of_an_injected_session(row: str) -> None:
    """They are ours, by the same names."""
    script, kind = SESSION_FAILURES[row]

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with Server(script) as server, pytest.raises(kind) as caught:
                await fetch(AiohttpBackend(session), raw(server.url, timeout=Timeout(10, read=0.3)))

            assert caught.value.request_sent in ("maybe", "yes")
            with refused_port() as port, pytest.raises(ConnectError) as refused:
                await fetch(AiohttpBackend(session), raw(f"http://127.0.0.1:{port}/"))

            assert "no" == refused.value.request_sent

    run(main())


def test_an_injected_session_that_is_closed() -> None:
    """Nothing is sent, and the error is ours and says so."""

    async def main(url: str) -> None:
        session = aiohttp.ClientSession()
        async with AsyncClient(session) as client:
            assert 200 == (await client.get(url)).status
            await session.close()
            with pytest.raises(InvalidSetting, match=r"this aiohttp\.ClientSession is closed") as caught:
                await client.get(url)
            assert "no" == caught.value.request_sent

    with Server() as server:
        run(main(server.url))


def test_the_deadline_of_an_injected_session() -> None:
    """It ends a body that drips."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session, AsyncClient(session) as client:
            with Server([HEAD + b"Content-Length: 200\r\n\r\n", Drip(b"x" * 200, every=0.05)]) as server:
                with pytest.raises(TimeoutError):
                    await client.get(server.url, timeout=0.5)

    run(main())


async def _middleware(request: Any, handler: Any) -> Any:
    return await handler(request)


CARRIED: dict[str, Callable[[], dict[str, Any]]] = {
    "headers": lambda: {"headers": {"X": "1"}},
    "cookies": lambda: {"cookies": {"a": "b"}},
    "timeout": lambda: {"timeout": aiohttp.ClientTimeout(total=5)},
    "raise_for_status": lambda: {"raise_for_status": True},
    "trust_env": lambda: {"trust_env": True},
    "trace_configs": lambda: {"trace_configs": [aiohttp.TraceConfig()]},
    "base_url": lambda: {"base_url": "http://service.test/"},
    "middlewares": lambda: {"middlewares": (_middleware,)},
    "proxy": lambda: {"proxy": "http://127.0.0.1:9"},
}


@pytest.mark.parametrize("attribute", CARRIED)
def test_what_a_session_carries_is_not_dropped(attribute: str) -> None:
    """A session with settings of its own is refused, and the message names them."""

    async def main() -> None:
        async with aiohttp.ClientSession(**CARRIED[attribute]()) as session, AsyncClient() as client:
            with pytest.raises(ConfigConflict, match=attribute):
                await client.get("http://127.0.0.1:9/", backend=session)

    run(main())


def test_what_is_no_session() -> None:
    """Anything else is refused, and so is a session where there is no loop to await it in."""
    with pytest.raises(InvalidSetting, match="ClientSession"):
        AiohttpBackend(object())

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(InvalidSetting, match="AsyncClient"), Client(session) as client:
                client.get("http://127.0.0.1:9/")

    run(main())


# --- Hooks ------------------------------------------------------------------------------------------


def test_a_connection_of_aiohttp_is_what_we_take_it_for() -> None:
    """`connect` takes three arguments; the transport of what it gives has a protocol that is told of the end."""

    async def main() -> None:
        with Server() as server:
            way = backend_module._Way(DIRECT, Clock(asyncio.get_running_loop()))
            connector, destination = way.connector, way._destination(raw(server.url))
            backend_module._DIALER.set(backend_module.ConnectorDialer(raw(server.url), way._clock))
            connection = await connector.connect(destination, [], aiohttp.ClientTimeout())
            protocol = connection.transport.get_protocol()

            assert connection.transport is protocol.transport
            connection.transport.abort()
            await asyncio.sleep(0.01)
            assert None is protocol.transport
            connection.close()
            await connector.close()

    run(main())


# --- Without an event loop ------------------------------------------------------------------------


def test_a_client_that_nobody_closed() -> None:
    """Its event loop ends, and its connections are closed, when it is gone."""
    before = set(threading.enumerate())  # one that an earlier test has left may still run
    with Server() as server:
        clients = [Client(backend="aiohttp")]
        assert 200 == clients[0].get(server.url).status
        (thread,) = [each for each in set(threading.enumerate()) - before if each.name == "unifetch aiohttp"]
        clients.clear()
        gc.collect()
        server.wait_closed(1)

    thread.join()
