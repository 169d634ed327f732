"""HTTP/2 on the socket backend, where a test has to look inside or at tasks: the rest is in the conformance classes."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import subprocess
import sys
import threading
from itertools import count
from typing import Any

import pytest

import servers
from suspensions import cancel_everywhere
from test_cancellation import settled, sockets
from unifetch import AsyncClient, Client
from unifetch.backends.socket import AsyncSocketBackend, SocketBackend
from unifetch.backends.socket.negotiation import connection_kind
from unifetch.cli.main import main
from unifetch.errors import (
    BackendNotInstalled,
    ConfigError,
    ConnectionLost,
    ConnectTimeout,
    IncompleteBody,
    InvalidSetting,
    ProtocolError,
    TLSError,
    UnifetchError,
)
from unifetch.model.messages import RawRequest
from unifetch.model.timeouts import Timeout
from unifetch.model.url import URL
from unifetch.testing import Close, Pause, Script, Wait, reply
from unifetch.testing import Server as HTTP11Server

http2 = pytest.importorskip("unifetch.wire.http2", exc_type=ImportError)
from unifetch.testing import http2 as peer  # noqa: E402  # after the skip

BEGUN: list[Script] = [peer.Head([(":status", "200")]), peer.Data(b"hel")]


def alpn(*protocols: str) -> ssl.SSLContext:
    context = servers.certificate_authority().server_context()
    context.set_alpn_protocols(list(protocols))
    return context


def trusted() -> dict[str, Any]:
    return {"ca_file": servers.certificate_authority().ca_file}


# --- Which version ------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", [True, "only"])
def test_alpn(setting: Any) -> None:
    """A server that takes the offer is spoken to in HTTP/2, and its connection is used again."""
    with peer.Server(peer.reply(body=b"hello"), tls=alpn("h2", "http/1.1")) as server:
        with Client(backend="socket", http2=setting, tls=trusted(), timeout=10) as client:
            answers = [client.get(server.url) for _ in range(2)]

        assert [("HTTP/2", b"hello")] * 2 == [(each.http_version, each.body) for each in answers]
        assert 1 == server.connections


def test_alpn_awaited() -> None:
    """The same for tasks, all of which share one connection."""

    async def scenario(url: str) -> list[Any]:
        async with AsyncClient(backend="socket", http2=True, tls=trusted(), timeout=10) as client:
            return await asyncio.gather(*(client.get(f"{url}/{number}") for number in range(10)))

    with peer.Server(lambda request: peer.reply(body=request.target.encode()), tls=alpn("h2")) as server:
        answers = asyncio.run(scenario(server.url))

        assert [("HTTP/2", b"/%d" % number) for number in range(10)] == [(e.http_version, e.body) for e in answers]
        assert 1 == server.connections


@pytest.mark.parametrize("protocols", [["http/1.1"], []])
def test_a_server_that_does_not_take_the_offer(protocols: list[str]) -> None:
    """It is spoken to in HTTP/1.1, unless nothing else than HTTP/2 will do."""

    async def scenario(url: str) -> list[Any]:
        async with AsyncClient(backend="socket", http2=True, tls=trusted(), timeout=10) as client:
            return await asyncio.gather(*(client.get(url) for _ in range(5)))

    with HTTP11Server(reply(body=b"hello"), tls=alpn(*protocols) if protocols else plain()) as server:
        with Client(backend="socket", http2=True, tls=trusted(), timeout=10) as client:
            answers = [client.get(server.url) for _ in range(2)]
            with pytest.raises(UnifetchError) as caught:
                client.get(server.url, http2="only")
        answers += asyncio.run(scenario(server.url))

        assert {("HTTP/1.1", b"hello")} == {(each.http_version, each.body) for each in answers}
        assert (TLSError, "no") == (type(caught.value), caught.value.request_sent)


def plain() -> ssl.SSLContext:
    return servers.certificate_authority().server_context()


def test_http_without_prior_knowledge() -> None:
    """On http, True alone offers nothing: there is no way to ask."""
    with HTTP11Server(reply(body=b"hello")) as server, Client(backend="socket", http2=True) as client:
        assert "HTTP/1.1" == client.get(server.url).http_version


def test_http_1_1_required() -> None:
    """A server that wants HTTP/1.1 for a request gets it so, whatever the method (RFC 9113 §7)."""
    required = peer.ResetStream(peer.HTTP_1_1_REQUIRED)
    for awaited in (False, True):
        with peer.Server(required, tls=alpn("h2", "http/1.1")) as server:
            with pytest.raises(UnifetchError):  # by HTTP/1.1 this peer understands nothing
                ask(server.url, awaited=awaited, body=b"12", http2=True, tls=trusted())
            server.wait_closed(2)
            server.errors.clear()

            assert 2 == server.connections
            assert 1 == len(server.requests)


def test_alpn_by_hand() -> None:
    """Offering h2 by `tls` alone would leave a server talking HTTP/2 to somebody who does not: http2= is the way."""
    with pytest.raises(InvalidSetting, match="http2=True"), Client(backend="socket", tls={"alpn": ["h2"]}) as client:
        client.get("https://127.0.0.1:9/")


def test_nothing_is_imported_for_it() -> None:
    """Neither the package nor the backend imports h2 before HTTP/2 is asked for."""
    code = "import sys, unifetch, unifetch.backends.socket.async_adapter; print('h2' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False\n" == run.stdout


def ask(url: str, *, awaited: bool, body: bytes | None = None, **settings: Any) -> Any:
    method, call = ("GET", {}) if body is None else ("POST", {"body": body})
    if not awaited:
        with Client(backend="socket", timeout=10, **settings) as client:
            return client.request(method, url, **call)

    async def scenario() -> Any:
        async with AsyncClient(backend="socket", timeout=10, **settings) as client:
            return await client.request(method, url, **call)

    return asyncio.run(scenario())


def test_prior_knowledge_through_an_http_proxy() -> None:
    """For an http origin there is no tunnel, and a proxy speaks HTTP/1.1: that is refused before anything is sent."""
    with HTTP11Server() as proxy, Client(backend="socket", http2="only", proxy=proxy.url) as client:
        with pytest.raises(ConfigError, match="SOCKS"):
            client.get("http://127.0.0.1:9/")

        assert 0 == proxy.connections


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """`--http2` offers it, with a backend that has it."""
    with HTTP11Server(reply(body=b"hello")) as server:
        codes = [main(["get", "-b", name, "--http2", server.url]) for name in ("socket", "urllib")]
    out, err = capsys.readouterr()

    assert "hello" == out
    assert 0 == codes[0] != codes[1]
    assert "UnsupportedCapability: http2 needs HTTP2" in err


# --- Cancellation -----------------------------------------------------------------------------------


async def get(client: AsyncClient, url: str) -> None:
    response = await client.get(f"{url}/get")

    assert b"0123456789" == response.body


async def stream(client: AsyncClient, url: str) -> None:
    async with client.stream("GET", f"{url}/pieces") as response:
        assert b"first second" == b"".join([piece async for piece in response.body])


async def post(client: AsyncClient, url: str) -> None:
    async def blocks() -> Any:
        yield b"x" * 100_000
        await asyncio.sleep(0)
        yield b"y" * 100_000

    response = await client.post(f"{url}/post", body=blocks())

    assert b"0123456789" == response.body


def answer(request: Any) -> Script:
    if request.target == "/pieces":
        return [
            peer.Head([(":status", "200")]),
            Pause(0.002),
            peer.Data(b"first "),
            Pause(0.002),
            peer.Data(b"second", end=True),
        ]
    return peer.reply(body=b"0123456789")


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "beside others"])
@pytest.mark.parametrize("work", [get, stream, post])
def test_cancelled_at_every_await(work: Any, shared: bool, tls: bool) -> None:
    """Nothing is left behind, the client goes on, and neighbours on the same connection are answered."""
    go_on = threading.Event()
    held: Script = [*BEGUN, Wait(go_on), peer.Data(b"lo", end=True)]
    settings: dict[str, Any] = {"http2": "only", "timeout": 10}
    if tls:
        settings["tls"] = trusted()

    async def scenario(url: str) -> None:
        unhandled: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        before = sockets()
        client = AsyncClient(backend="socket", **settings)
        neighbours = [asyncio.create_task(client.get(f"{url}/held")) for _ in range(2 * shared)]
        if shared:
            await get(client, url)

        async def check(count: int) -> None:
            nonlocal client
            held = [task for task in neighbours if task.done()]
            assert not held, f"a neighbour ended after suspension {count}: {held}"
            assert len(neighbours) == len(client._slots.held), f"a slot is held after suspension {count}"
            if not shared:
                await client.close()
                await settled(lambda: sockets() <= before, f"sockets are open after suspension {count}")
                client = AsyncClient(backend="socket", **settings)

        async def begin() -> None:
            await work(client, url)

        await cancel_everywhere(begin, check)
        go_on.set()
        assert [b"hello"] * len(neighbours) == [(await each).body for each in neighbours]
        await work(client, url)
        await client.close()
        await settled(lambda: sockets() <= before, "sockets are open at the end")
        gc.collect()
        assert [] == unhandled

    scripts = lambda request: held if request.target == "/held" else answer(request)  # noqa: E731  # of two
    with peer.Server(scripts, tls=alpn("h2") if tls else None, lifetime=100) as server:
        asyncio.run(scenario(server.url))


# --- A connection and its end -------------------------------------------------------------------------


def sessions(backend: Any) -> list[Any]:
    return [each.session for each in backend._shared.all()]


def test_stream_numbers_that_are_used_up() -> None:
    """After the last number there is another connection (RFC 9113 §5.1.1)."""
    backend = AsyncSocketBackend()

    async def scenario(url: str) -> None:
        async with AsyncClient(backend=backend, http2="only", timeout=10) as client:
            await client.get(url)
            sessions(backend)[0]._next = http2.LAST_NUMBER
            for _ in range(2):
                await client.get(url)
        await backend.close()

    with peer.Server() as server:
        asyncio.run(scenario(server.url))

        assert [1, http2.LAST_NUMBER, 1] == [each.stream for each in server.requests]
        assert 2 == server.connections


def test_a_connection_that_is_silent_is_left() -> None:
    """After a timeout without a sound from the server, no other request waits on the same connection."""

    async def scenario(url: str) -> None:
        async with AsyncClient(backend="socket", http2="only", timeout=10) as client:
            await client.get(url)
            with pytest.raises(UnifetchError):
                await client.get(url, timeout=0.1)
            await client.get(url)

    with peer.Server(peer.reply(), None, peer.reply()) as server:
        asyncio.run(scenario(server.url))

        assert [1, 1, 2] == [each.connection for each in server.requests]


def test_an_idle_connection_that_was_closed() -> None:
    """It is noticed, with or without GOAWAY, and another is opened: a POST is not put at risk."""
    for script in ([peer.reply(), peer.GoAway(1), Close()], [peer.reply(), Close()]):
        for backend in (SocketBackend, AsyncSocketBackend):
            with peer.Server(script, peer.reply()) as server:

                async def scenario(server: peer.Server = server) -> None:
                    async with AsyncClient(backend="socket", http2="only", timeout=10) as client:
                        await client.get(server.url)
                        await asyncio.to_thread(server.wait_closed)
                        await client.post(server.url, body=b"12")

                if backend is AsyncSocketBackend:
                    asyncio.run(scenario())
                else:
                    with Client(backend="socket", http2="only", timeout=10) as client:
                        client.get(server.url)
                        server.wait_closed()
                        client.post(server.url, body=b"12")

                assert 2 == server.connections


@pytest.mark.parametrize("is_async", [False, True])
def test_a_server_that_does_not_know_expect(monkeypatch: pytest.MonkeyPatch, is_async: bool) -> None:
    """It says nothing, so the body goes out after a moment; and its connection, which was well, serves another."""
    monkeypatch.setattr("unifetch.wire.http11.CONTINUE_SECONDS", 0.05)

    async def scenario(url: str) -> bytes:
        async with AsyncClient(backend="socket", http2="only", timeout=10) as client:
            await client.get(url)
            await client.post(url, body=b"12", headers={"Expect": "100-continue"})
            return (await client.get(url)).body

    with peer.Server(peer.reply(), peer.reply(), peer.reply(body=b"third")) as server:
        if is_async:
            answer = asyncio.run(scenario(server.url))
        else:
            with Client(backend="socket", http2="only", timeout=10) as client:
                client.get(server.url)
                client.post(server.url, body=b"12", headers={"Expect": "100-continue"})
                answer = client.get(server.url).body

        assert (b"third", 1, b"12") == (answer, server.connections, server.requests[1].body)


def test_a_stream_that_another_task_closes() -> None:
    """Who reads it is told at once, and not by a timeout; the connection goes on."""

    async def scenario(url: str) -> None:
        async with AsyncClient(backend="socket", http2="only", timeout=10) as client:
            stream = client.stream("GET", f"{url}/held")
            response = await stream.__aenter__()
            body = aiter(response.body)
            await anext(body)
            reading = asyncio.ensure_future(anext(body))
            await asyncio.sleep(0.01)
            await stream.__aexit__(None, None, None)
            with pytest.raises(IncompleteBody):
                await reading
            assert 200 == (await client.get(url)).status

    with peer.Server({"/held": BEGUN, "/": peer.reply()}) as server:
        asyncio.run(scenario(server.url))

        assert 1 == server.connections


def test_a_server_that_never_says_how_many_streams() -> None:
    """Until it has, one stream is open; who waits for more waits no longer than for a connection."""

    async def scenario(server: Any) -> None:
        async with AsyncClient(backend="socket", http2="only", timeout=30) as client:
            first = asyncio.create_task(client.get(server.url))
            await asyncio.to_thread(server.wait_for, lambda: bool(server.requests))
            with pytest.raises(ConnectTimeout):
                await client.get(server.url, timeout={"total": 30, "connect": 0.05})
            first.cancel()

    with peer.Server(None, settings=None) as server:
        asyncio.run(scenario(server))

        assert 1 == len(server.requests)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_second_connection_after_a_421_cancelled_at_every_await(tls: bool) -> None:
    """Nobody else knows of that connection: it is closed with its exchange."""
    settings: dict[str, Any] = {"http2": "only", "timeout": 10}
    if tls:
        settings["tls"] = trusted()

    async def scenario(url: str) -> None:
        before = sockets()
        client = AsyncClient(backend="socket", **settings)

        async def check(count: int) -> None:
            nonlocal client
            await client.close()
            await settled(lambda: sockets() <= before, f"sockets are open after suspension {count}")
            client = AsyncClient(backend="socket", **settings)

        async def begin() -> None:
            assert 200 == (await client.get(f"{url}/{next(numbers)}")).status

        await cancel_everywhere(begin, check)
        await client.close()
        await settled(lambda: sockets() <= before, "sockets are open at the end")

    def misdirected(request: Any) -> Script:
        asked.append(request.target)
        return peer.reply(421 if asked.count(request.target) == 1 else 200)

    numbers, asked = count(), list[str]()
    with peer.Server(misdirected, tls=alpn("h2") if tls else None, lifetime=100) as server:
        asyncio.run(scenario(server.url))


@pytest.mark.parametrize("sends", [None, b"x" * 100_000], ids=["before a request", "while one is sent"])
def test_a_flood_that_does_not_end_is_not_listened_to(sends: bytes | None) -> None:
    """Whoever sends without end is left once it is too much, though the socket is never empty."""
    ping = peer.frame(peer.PING, 0, 0, bytes(8)) * 1_000

    here, there = socket.socketpair()

    class Flood:
        fileno = here.fileno

        def recv(self, size: int) -> bytes:
            return ping[:size]

        def send(self, data: Any) -> int:
            raise BrokenPipeError

        def settimeout(self, seconds: float | None) -> None: ...
        def close(self) -> None: ...

    with here, there:
        there.send(b"x")  # from now on, and for ever, there is something to read
        flood: Any = Flood()
        connection = connection_kind()(flood)
        if sends is None:
            assert not connection.is_fit()
        else:
            request = RawRequest("POST", URL("http://h/"), (("Host", "h"),), sends, 0, Timeout(5))
            with pytest.raises(ProtocolError, match="too many frames"):
                connection.send(request)


def test_one_dials_for_all() -> None:
    """Of many tasks that begin at once one opens a connection, and if that fails each hears of it."""

    async def scenario(url: str) -> list[Any]:
        async with AsyncClient(backend="socket", http2="only", timeout=10) as client:
            return await asyncio.gather(*(client.get(url) for _ in range(50)), return_exceptions=True)

    with peer.Server() as server:
        answers = asyncio.run(scenario(server.url))

        assert {200} == {each.status for each in answers}
        assert 1 == server.connections
    assert {"ConnectError"} == {type(each).__name__ for each in asyncio.run(scenario(server.url))}


def test_a_table_that_a_server_wishes_large() -> None:
    """What of our fields is kept for HPACK is bounded by us, whatever the server allows (RFC 7541 §4.2)."""
    session = http2.Session()
    session.receive(peer.frame(peer.SETTINGS, 0, 0, b"\0\1\xff\xff\xff\xff"), 0.0)

    assert http2.MAX_TABLE >= session._h2.encoder.header_table_size


def test_goaway_does_not_excuse_a_body_that_cannot_be_had_twice() -> None:
    """What was not processed is told as not sent, but a stream of the caller's is gone."""
    with peer.Server(peer.GoAway(0)) as server, Client(backend="socket", http2="only", timeout=10) as client:
        with pytest.raises(ConnectionLost) as caught:
            client.post(server.url, body=iter([b"1"]))

    assert ("no", "again") == (caught.value.request_sent, caught.value.unprocessed)


@pytest.mark.parametrize("awaited", [False, True])
def test_without_the_library(monkeypatch: pytest.MonkeyPatch, awaited: bool) -> None:
    """The error says what to install, before anything is sent."""
    monkeypatch.setitem(sys.modules, "unifetch.wire.http2", None)
    for name in ("http2_connection", "async_http2_connection"):
        monkeypatch.delitem(sys.modules, f"unifetch.backends.socket.{name}", raising=False)
    with peer.Server() as server:
        with pytest.raises(BackendNotInstalled, match="http2"):
            ask(server.url, awaited=awaited, http2="only")

        assert 0 == server.connections


def test_the_server_tells_what_frames_came() -> None:
    """Whoever waits in vain sees them, by connection."""
    with peer.Server() as server:
        ask(server.url, awaited=False, http2="only")
        with pytest.raises(TimeoutError, match=r"frames \['SETTINGS on 0, .*HEADERS on 1"):
            server.wait_for(lambda: False, timeout=0)
