"""Our own client, awaited: exchanges on one event loop, and above all that a cancelled task leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import subprocess
import sys
import threading
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, cast

import pytest

import servers
import unifetch
from unifetch import (
    URL,
    ConfigError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    IncompleteBody,
    NameResolutionError,
    ProtocolError,
    ProxyError,
    ReadTimeout,
    StreamError,
    Timeout,
    TLSError,
    WriteTimeout,
)
from unifetch.backends import BACKENDS, adapter
from unifetch.backends.base import HTTP_1_CAPABILITIES, Capability
from unifetch.model.messages import AsyncRawResponse, RawRequest
from unifetch.model.route import Route
from unifetch.policies.proxies import Proxy
from unifetch.testing import (
    Close,
    Drip,
    OnConnect,
    OnHead,
    Receive,
    Reset,
    Script,
    Server,
    Signal,
    Stall,
    Truncate,
    Wait,
    refused_port,
    reply,
)
from unifetch.testing.conformance.routes import Relay
from unifetch.wire.asyncio_wire import AsyncioWire
from unifetch.wire.reader import RECEIVE
from unifetch.wire.timer import Clock

AsyncSocketBackend: Any = adapter("socket").AsyncSocketBackend
dial_module: Any = sys.modules["unifetch.wire.asyncio"]

AUTHORITY = servers.certificate_authority()
SERVER_TLS = AUTHORITY.server_context("127.0.0.1", "proxy.test", "origin.test")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def loops() -> list[Any]:
    """What makes an event loop: asyncio, and uvloop where it is installed."""
    found = [pytest.param(asyncio.new_event_loop, id="asyncio")]
    with contextlib.suppress(ImportError):
        import uvloop

        found.append(pytest.param(uvloop.new_event_loop, id="uvloop"))
    return found


@pytest.fixture(params=loops())
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on a new loop; what nobody caught, or was left behind, fails the test."""

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        unhandled: list[dict[str, Any]] = []

        async def main() -> Any:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
            outcome = await coroutine
            await idle()
            gc.collect()  # what was never awaited or retrieved is told of now

            assert {asyncio.current_task()} == asyncio.all_tasks()
            return outcome

        with asyncio.Runner(loop_factory=request.param) as runner:
            outcome = runner.run(main())

        assert [] == unhandled
        return outcome

    return run


async def idle() -> None:
    """Let the loop come around, so that it closes what is to be closed."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(params=[False, True], ids=["http", "https"])
def secure(request: pytest.FixtureRequest) -> bool:
    """Whether to speak TLS."""
    return bool(request.param)


def server(*scripts: Script, secure: bool = False, **options: Any) -> Server:
    """A scripted server, with or without TLS."""
    return Server(*scripts, tls=SERVER_TLS if secure else None, **options)


def ask(url: str, method: str = "GET", body: Any = None, **options: Any) -> RawRequest:
    """A request as the core hands it over."""
    parsed = URL(url)
    fields = [("Host", parsed.host), *options.pop("headers", ())]
    length = options.pop("length", len(body) if isinstance(body, bytes) else None)
    if body is not None:
        fields.append(("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length)))
    if parsed.scheme == "https":
        options.setdefault("tls", CLIENT_TLS)
    return RawRequest(method, parsed, tuple(fields), body, length, options.pop("timeout", Timeout(20)), **options)


# As the core builds it: it reports truncation, which the default does not.
CLIENT_TLS = unifetch.TLS(ca_file=AUTHORITY.ca_file).context()


async def read(response: AsyncRawResponse) -> bytes:
    """The whole body."""
    return b"".join([piece async for piece in response.body])


async def fetch(backend: Any, request: RawRequest) -> bytes:
    """Send a request, and read the body of its response."""
    response = await backend.send(request)
    try:
        return await read(response)
    finally:
        await response.close()


async def blocks(*data: bytes) -> AsyncIterator[bytes]:
    """A body that has to be waited for."""
    for block in data:
        await asyncio.sleep(0)
        yield block


class Noted(socket.socket):
    """A socket of the client's; `client_sockets` counts those that are open."""

    all: ClassVar[list[Noted]] = []

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.all.append(self)


@pytest.fixture(autouse=True)
def _note_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys.modules["unifetch.wire.sockets"], "socket", types.SimpleNamespace(**{**vars(socket), "socket": Noted})
    )
    monkeypatch.setattr(Noted, "all", [])


def client_sockets() -> int:
    """How many sockets the client has open."""
    return sum(each.fileno() >= 0 for each in Noted.all)


def pooled(backend: Any) -> int:
    """How many connections a backend keeps."""
    return sum(map(len, backend._pool._idle.values()))


# --- What it is -----------------------------------------------------------------------------------


def test_contract() -> None:
    """It is in the table, and declares all of HTTP/1.1, awaited, and HTTP/2."""
    backend = AsyncSocketBackend()

    assert "AsyncSocketBackend" == BACKENDS["socket"].async_factory
    assert ("socket", 1, None) == (backend.name, backend.contract, backend.native)
    http2 = {Capability.HTTP2, Capability.MULTIPLEX}
    assert HTTP_1_CAPABILITIES | http2 | {Capability.NATIVE_ASYNC} == backend.capabilities


def test_https_without_a_context() -> None:
    """A request for https never goes out in the clear, nor one for an https proxy, whoever forgot the context."""

    async def main() -> None:
        with server(reply()) as plain:
            url = plain.url.replace("http:", "https:")
            with pytest.raises(TLSError, match="no context"):
                await AsyncSocketBackend().send(ask(url, tls=None))
            route = Route(proxy=Proxy("https", "127.0.0.1", plain.port))
            with pytest.raises(ProxyError, match="no context"):
                await AsyncSocketBackend().send(ask("http://origin.test/", route=route))

        assert not plain.requests

    asyncio.run(main())


def test_the_other_one_does_without_asyncio() -> None:
    """Who wants no event loop imports none."""
    code = "import sys; from unifetch.backends import load; load('socket'); print('asyncio' in sys.modules)"
    outcome = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert "False\n" == outcome.stdout


# --- Exchanges ------------------------------------------------------------------------------------


def test_exchanges_share_a_connection(run: Any, secure: bool) -> None:
    """One after the other, whatever framed the body."""
    large = bytes(range(256)) * 4096

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(
            reply(200, b"hello"), reply(204), reply(200, [b"a", b"bc", large]), reply(200, large), secure=secure
        ) as origin:
            bodies = [await fetch(backend, ask(origin.url)) for _ in range(4)]

            assert [b"hello", b"", b"abc" + large, large] == bodies
            assert (1, 1) == (origin.connections, pooled(backend))
            await backend.close()
            await idle()
            assert 0 == client_sockets()

    run(main())


def test_head(run: Any) -> None:
    """Status, reason, version and fields as the wire had them, and the interim responses before."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    answer = hints + b"HTTP/1.1 299 Fine \xe9\r\nA: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n"

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(answer) as origin:
            response = await backend.send(ask(origin.url))

            assert (299, "Fine \xe9", "HTTP/1.1") == (response.status, response.reason, response.http_version)
            assert [("A", "1"), ("a", "2"), ("Content-Length", "0")] == list(response.headers.pairs)
            assert [(103, "</a>")] == [(status, headers["link"]) for status, headers in response.interim]
            await backend.close()

    run(main())


@pytest.mark.parametrize(
    "answer", [reply(200, b"hello"), reply(200, [b"he", b"llo"]), reply(200, b"hello", framed=False)]
)
def test_a_response_in_single_bytes(run: Any, secure: bool, answer: bytes) -> None:
    """However the bytes come, the outcome is the same."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server([Drip(answer, every=0), Close()], secure=secure) as origin:
            assert b"hello" == await fetch(backend, ask(origin.url))
            await backend.close()

    run(main())


@pytest.mark.parametrize("size", [0, 5, 20_000, 3_000_000])
def test_uploads(run: Any, secure: bool, size: int) -> None:
    """Bytes of any size, and what an asynchronous iterator yields, with a length, and in chunks with trailers."""
    data = b"x" * size

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(secure=secure) as origin:
            pieces = [data[start : start + 100_000] for start in range(0, size, 100_000)]
            await fetch(backend, ask(origin.url, "POST", data))
            await fetch(backend, ask(origin.url, "POST", blocks(*pieces), length=size))
            await fetch(backend, ask(origin.url, "POST", blocks(*pieces), trailers=(("X-Sum", "1"),)))

            assert [data] * 3 == [each.body for each in origin.wait_requests(3)]
            assert origin.requests[2].raw_body.endswith(b"0\r\nX-Sum: 1\r\n\r\n")
            assert 1 == origin.connections
            await backend.close()

    run(main())


def test_trailers_of_a_response(run: Any) -> None:
    """They are told once the body was read."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(CHUNKED + b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n") as origin:
            response = await backend.send(ask(origin.url))

            assert (b"a", [("X-Sum", "1")]) == (await read(response), list(response.trailers))
            await backend.close()

    run(main())


def test_expect_continue_waits(run: Any) -> None:
    """The body stays here until the server asks for it, and for good where it refuses."""
    asks = OnHead(b"HTTP/1.1 100 Continue\r\n\r\n", Receive(), reply(200, b"thanks"))
    fields = (("Expect", "100-continue"),)

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(asks, OnHead(reply(417, b"no"))) as origin:
            assert b"thanks" == await fetch(backend, ask(origin.url, "PUT", b"body", headers=fields))
            assert b"no" == await fetch(backend, ask(origin.url, "PUT", b"x" * 100_000, headers=fields))
            await idle()
            assert [b"body", b""] == [each.body for each in origin.requests]
            assert 0 == pooled(backend)

    run(main())


@pytest.mark.parametrize("block", [65536, 1_000_000])
def test_early_response(run: Any, secure: bool, block: int) -> None:
    """A server that refuses an upload and closes is heard, whether or not its client ever waits."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2000):
            yield b"x" * block

    async def main() -> None:
        backend = AsyncSocketBackend()
        refusal = OnHead(reply(413, b"too large", {"Connection": "close"}), Receive())
        with server(refusal, secure=secure) as origin:
            response = await backend.send(ask(origin.url, "POST", endless()))

            assert (413, b"too large") == (response.status, await read(response))
            assert 0 == pooled(backend)
            await idle()
            assert 0 == client_sockets()

    run(main())


def test_an_answer_outlives_its_connection() -> None:
    """What came before the connection broke is there, though the loop had no time to read it."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            wire = AsyncioWire(ours, Clock(asyncio.get_running_loop()))
            theirs.sendall(b"refused")
            wire.connection_lost(ConnectionResetError())

            assert wire.poll()
            assert b"refused" == await wire.recv(100, None)
            with pytest.raises(ConnectionResetError):
                await wire.recv(100, None)

    asyncio.run(main())


def test_a_half_close_ends_an_upload(run: Any) -> None:
    """A server that ends its side without an answer has broken the connection."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(OnHead(Close())) as origin:
            with pytest.raises(ConnectionLost):
                await backend.send(ask(origin.url, "POST", blocks(*[b"x" * 65536] * 500)))

    run(main())


def test_tasks_share_a_backend(run: Any, secure: bool) -> None:
    """Thirty-two tasks get their own answers, over no more connections than there are tasks."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(lambda request: reply(200, request.target.encode() * 50), secure=secure) as origin:

            async def work(task: int) -> None:
                for each in range(20):
                    target = f"/{task}/{each}"
                    assert target.encode() * 50 == await fetch(backend, ask(origin.url + target))

            await asyncio.gather(*map(work, range(32)))

            assert origin.connections <= 32
            await backend.close()

    run(main())


def test_a_consumer_that_lags_holds_up_the_server(run: Any, secure: bool) -> None:
    """What has come and is not asked for is bounded: the transport stops reading."""
    size = 64 << 20

    def wires() -> list[AsyncioWire]:
        return [each for each in gc.get_objects() if type(each) is AsyncioWire]

    async def main() -> None:
        earlier = wires()  # of other tests, not yet collected
        backend = AsyncSocketBackend()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
        with server([head, *[b"x" * (1 << 20)] * 64], secure=secure) as origin:
            response = await backend.send(ask(origin.url))
            received = len(await anext(response.body))
            for _ in range(100):
                await asyncio.sleep(0.001)
            (wire,) = [each for each in wires() if each not in earlier]

            assert len(wire._data) <= 2 * RECEIVE
            async for piece in response.body:
                received += len(piece)
            assert (size, 1) == (received, pooled(backend))
            await backend.close()

    run(main())


# --- Whether a connection is fit ------------------------------------------------------------------


def test_bytes_after_a_response_are_nobodys(run: Any, secure: bool) -> None:
    """They do not become the next answer, whether they came with the response, or while the connection was idle."""
    other = reply(200, b"poison")
    go, gone = threading.Event(), threading.Event()
    late = [reply(200, b"second"), Wait(go), other, Signal(gone)]

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(reply(200, b"first") + other, late, reply(200, b"third"), secure=secure) as origin:
            assert b"first" == await fetch(backend, ask(origin.url))
            assert b"second" == await fetch(backend, ask(origin.url))
            go.set()
            gone.wait(20)  # the loop does not come around before the next request
            assert b"third" == await fetch(backend, ask(origin.url))
            assert 3 == origin.connections
            await backend.close()

    run(main())


@pytest.mark.parametrize("end", [Close(), Truncate(), Reset()])
def test_a_connection_that_ended_while_idle(run: Any, secure: bool, end: Script) -> None:
    """It is replaced."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server([reply(200, b"first"), end], reply(200, b"second"), secure=secure) as origin:
            await fetch(backend, ask(origin.url))
            origin.wait_closed(1)
            assert b"second" == await fetch(backend, ask(origin.url, "POST", b"x"))
            await backend.close()

    run(main())


def test_an_abandoned_body_costs_its_connection(run: Any, secure: bool) -> None:
    """A response that is closed before its end leaves nothing in the pool, and its iterator ends."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server([CHUNKED + b"1\r\na\r\n", Stall()], secure=secure) as origin:
            for start in (False, True):
                response = await backend.send(ask(origin.url))
                if start:
                    assert b"a" == await anext(response.body)
                await response.close()
                await response.close()
                await idle()

                assert (0, 0) == (pooled(backend), client_sockets())

    run(main())


def test_a_response_that_another_task_closes(run: Any) -> None:
    """Whoever is reading it is told that it was closed, and does not take what came for the whole."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server([reply(200, b"part", framed=False), Stall()]) as origin:
            response = await backend.send(ask(origin.url))
            reading = asyncio.create_task(read(response))
            await asyncio.sleep(0.01)
            await response.close()

            with pytest.raises(StreamError):
                await reading

    run(main())


# --- Errors ---------------------------------------------------------------------------------------


def test_lost_connections(run: Any, secure: bool) -> None:
    """An end without an answer says whether the request may have arrived, and whether the connection was used."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(Close(), Reset(), [b"HTTP/1.1 200", Close()], reply(200), Close(), secure=secure) as origin:
            outcomes = []
            for _ in range(5):
                try:
                    await fetch(backend, ask(origin.url))
                except ConnectionLost as error:
                    outcomes.append((error.request_sent, error.reused))

            assert [("maybe", False), ("maybe", False), ("yes", False), ("maybe", True)] == outcomes
            await idle()
            assert 0 == client_sockets()

    run(main())


@pytest.mark.parametrize("end", [Close(), Truncate(), Reset()])
@pytest.mark.parametrize("start", [CHUNKED + b"3\r\nab", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"])
def test_bodies_that_end_too_soon(run: Any, secure: bool, start: bytes, end: Script) -> None:
    """IncompleteBody, whoever framed it and whatever cut it off."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server([start, end], secure=secure) as origin:
            with pytest.raises(IncompleteBody) as caught:
                await fetch(backend, ask(origin.url))
            assert "yes" == caught.value.request_sent
            await idle()
            assert 0 == client_sockets()

    run(main())


def test_truncation_is_no_end(run: Any) -> None:
    """TLS that ends without close_notify was cut off, where the end of the connection is that of the body."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        start = reply(200, b"all", framed=False)
        with server([start, Close()], [start, Truncate()], secure=True) as origin:
            assert b"all" == await fetch(backend, ask(origin.url))
            with pytest.raises(IncompleteBody):
                await fetch(backend, ask(origin.url))

    run(main())


def test_malformed(run: Any) -> None:
    """A response that is none closes the connection."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(b"HTTP/1.1 abc\r\n\r\n") as origin:
            with pytest.raises(ProtocolError, match="bad status line"):
                await backend.send(ask(origin.url))
            await idle()
            assert 0 == client_sockets()

    run(main())


def test_no_connection(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, by one address or by all of them, without an address, without trust: each has its name."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with refused_port() as first, refused_port() as second:
            with pytest.raises(ConnectError, match=r"no connection to .*refused"):
                await backend.send(ask(f"http://127.0.0.1:{first}/"))
            found = [(socket.AF_INET, ("127.0.0.1", port)) for port in (first, second)]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(dial_module, "look_up", lambda *_: blocks_of(found))
                with pytest.raises(ConnectError, match="refused"):
                    await backend.send(ask("http://two-addresses.test/"))
        with pytest.raises(NameResolutionError):
            await backend.send(ask("http://name.invalid/"))
        with server(secure=True) as origin:
            with pytest.raises(TLSError, match="certificate"):
                await backend.send(ask(origin.url, tls=ssl.create_default_context()))
            await idle()
            assert 0 == client_sockets()
        with server(OnConnect(b"no TLS at all, and more than enough of it")) as origin, pytest.raises(TLSError):
            await backend.send(ask(origin.url.replace("http", "https")))

    async def blocks_of(found: Any) -> Any:
        return found

    run(main())


@pytest.mark.parametrize(
    ("host", "path", "error"),
    [
        ("a" * 64 + ".test", None, NameResolutionError),
        ("\xdf..test", None, NameResolutionError),
        ("service.test", "/" * 200, ConnectError),
        ("service.test", "/with\0nul", ConnectError),
    ],
)
def test_what_cannot_be_connected_to(host: str, path: str | None, error: type[ConnectError]) -> None:
    """A name that no resolver can be asked for, and a path that no socket can have, are errors that show it."""
    url: Any = types.SimpleNamespace(scheme="http", host=host, port=80, target="/")
    request = RawRequest("GET", url, (), None, None, Timeout(5), route=Route(unix_socket=path))
    with pytest.raises(error) as caught:
        asyncio.run(AsyncSocketBackend().send(request))

    assert (error, "no") == (type(caught.value), caught.value.request_sent)
    assert (host if path is None else ascii(path)) in str(caught.value)


# --- Time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script", [b"", b"HTTP/1.1 200 OK\r\nA", [CHUNKED + b"3\r\nab"], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]]
)
@pytest.mark.parametrize("limit", ["read", "deadline"])
def test_reads_end(run: Any, secure: bool, script: Script, limit: str) -> None:
    """A server that goes silent is a ReadTimeout, by the timeout of a read or by the deadline."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(script, secure=secure) as origin:
            await fetch_warm(backend)
            options: dict[str, Any] = {"timeout": Timeout(20, read=0.1)}
            if limit == "deadline":
                options = {"deadline": monotonic() + 0.6}
            with pytest.raises(ReadTimeout):
                await fetch(backend, ask(origin.url, **options))
            await idle()
            assert pooled(backend) == client_sockets()
            await backend.close()

    async def fetch_warm(backend: Any) -> None:
        # A clock that runs already, for a wait that ends late.
        with server() as other:
            await fetch(backend, ask(other.url))

    run(main())


def test_a_deadline_ends_a_drip(run: Any) -> None:
    """No byte is late, and yet all of them are."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server(Drip(reply(200, b"x" * 2000), every=0.02)) as origin:
            with pytest.raises(ReadTimeout):
                await fetch(backend, ask(origin.url, deadline=monotonic() + 0.2))

    run(main())


def test_writes_end(run: Any, secure: bool) -> None:
    """A server that takes nothing is a WriteTimeout."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        script = OnConnect(Stall())
        with server(script, secure=secure, receive_buffer=4096) as origin:
            request = ask(origin.url, "POST", blocks(*[b"x" * 65536] * 500), timeout=Timeout(20, write=0.2))
            with pytest.raises(WriteTimeout) as caught:
                await backend.send(request)
            assert "maybe" == caught.value.request_sent
            await idle()
            assert 0 == client_sockets()

    run(main())


def test_connecting_ends(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver, a listener and a handshake that hang are left behind; the loop ends without them."""
    hang = threading.Event()

    def getaddrinfo(host: str, *rest: Any, flags: int = 0, **options: Any) -> Any:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        hang.wait(10)
        raise socket.gaierror(socket.EAI_NONAME, "too late")

    short = Timeout(20, connect=0.1)

    async def main() -> None:
        backend = AsyncSocketBackend()
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            filling = [socket.socket() for _ in range(8)]
            for peer in filling:
                peer.setblocking(False)
                peer.connect_ex(full.getsockname())
            with pytest.raises(ConnectTimeout):
                await backend.send(ask(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=short))
            for peer in filling:
                peer.close()
        with server(OnConnect(Stall())) as origin:
            with pytest.raises(ConnectTimeout, match="no TLS"):
                await backend.send(ask(origin.url.replace("http", "https"), timeout=short))
            await idle()
            assert 0 == client_sockets()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", getaddrinfo)
            with pytest.raises(ConnectTimeout):
                await backend.send(ask("http://slow.test/", timeout=short))

    try:
        run(main())
    finally:
        hang.set()


def test_one_timer_for_all(run: Any) -> None:
    """One timer for the first wait to end, another for one that ends earlier, and none when nobody waits."""
    seconds: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock = Clock(loop)

        def call_later(delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
            seconds.append(delay)
            return loop.call_later(delay, callback)

        clock.loop = cast(Any, types.SimpleNamespace(call_later=call_later))
        now = monotonic()
        waiters = [loop.create_future() for _ in range(100)]
        for number, waiter in enumerate(waiters):
            clock.watch(waiter, now + 0.5 + number)
        soon = loop.create_future()
        clock.watch(soon, now + 0.05)

        assert 2 == len(seconds)
        assert await soon
        assert not any(waiter.done() for waiter in waiters)
        for waiter in (*waiters, soon):
            del clock.ends[waiter]
        clock.stop()
        assert clock._timer is None

    run(main())


# --- Ways to get there ----------------------------------------------------------------------------


def test_families_race(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305 §5: an address that gives no answer is overtaken, and its socket closed."""

    async def main() -> None:
        backend = AsyncSocketBackend()
        with socket.socket() as silent, server(reply(200, b"hello")) as origin:
            silent.bind(("127.0.0.2", 0))
            silent.listen(0)
            filling = [socket.socket() for _ in range(8)]
            for peer in filling:
                peer.setblocking(False)
                peer.connect_ex(silent.getsockname())
            port = silent.getsockname()[1]
            found = [
                (socket.AF_INET, ("127.0.0.2", port)),
                (socket.AF_INET, ("127.0.0.1", origin.port)),
            ]

            async def resolved(*_: Any) -> Any:
                return found

            monkeypatch.setattr(dial_module, "look_up", resolved)
            assert b"hello" == await fetch(backend, ask("http://two-addresses.test/", timeout=Timeout(20, connect=8)))
            for peer in filling:
                peer.close()
            await idle()
            assert 1 == client_sockets()
            await backend.close()

    run(main())


def test_sessions_are_resumed(run: Any) -> None:
    """The second connection to a server resumes the session of the first."""
    resumed: list[bool | None] = []

    class NotedTLS(dial_module.AsyncioTLS):  # type: ignore[misc,name-defined]  # dial_module is Any
        async def handshake(self, ends: float | None) -> None:
            await super().handshake(ends)
            resumed.append(self._tls.session_reused)

    async def main() -> None:
        backend = AsyncSocketBackend()
        with server([reply(200, b"x"), Close()], secure=True) as origin, pytest.MonkeyPatch.context() as patch:
            patch.setattr(dial_module, "AsyncioTLS", NotedTLS)
            for connection in (1, 2):
                await fetch(backend, ask(origin.url))
                origin.wait_closed(connection)
            await backend.close()

    run(main())

    assert [False, True] == resumed


AGREED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def tunnel(proxy: Server, origin: Server) -> Route:
    """The way through an https proxy."""
    return Route(
        proxy=Proxy("https", "127.0.0.1", proxy.port),
        connect_headers=(("Host", f"127.0.0.1:{origin.port}"),),
        proxy_tls=CLIENT_TLS,
    )


def test_tls_in_tls(run: Any) -> None:
    """An https origin behind an https proxy: one handshake inside the other, and a connection that is used again."""
    large = b"x" * 300_000

    async def main() -> None:
        backend = AsyncSocketBackend()
        with (
            server(reply(200, large), secure=True) as origin,
            server([AGREED, Relay(origin.port)], secure=True) as proxy,
        ):
            route = tunnel(proxy, origin)
            for _ in range(2):
                assert large == await fetch(backend, ask(origin.url, "POST", large, route=route))
            assert (1, large) == (origin.connections, origin.requests[1].body)
            await backend.close()
            await idle()
            assert 0 == client_sockets()

    run(main())


# --- One loop -------------------------------------------------------------------------------------


def test_a_backend_serves_one_loop() -> None:
    """A second loop is refused while the first is open; when that is closed, it starts anew."""
    backend = AsyncSocketBackend()
    with server(reply(200, b"hello", {"Connection": "close"})) as origin:
        with asyncio.Runner() as first:
            assert b"hello" == first.run(fetch(backend, ask(origin.url)))
            with asyncio.Runner() as second, pytest.raises(ConfigError, match="another event loop"):
                second.run(fetch(backend, ask(origin.url)))
        assert b"hello" == asyncio.run(fetch(backend, ask(origin.url)))


# --- Cancellation ---------------------------------------------------------------------------------


@types.coroutine
def cancelled_at(number: int, how: str, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Runs a coroutine in the current task, and cancels that when it waits for the so-many-th time.

    Args:
        number: 1 for the first wait.
        how: "waiting" cancels while it waits; "woken" when what it waited for has come, before it goes on.
        coroutine: what is to be cancelled.
    """
    task = asyncio.current_task()
    assert task is not None
    step: Callable[[], Any] = lambda: coroutine.send(None)  # noqa: E731  # the next one may be a throw
    while True:
        try:
            waits_for = step()
        except StopIteration as done:
            return done.value
        number -= 1
        if number == 0:
            if how == "woken" and waits_for is not None:
                waits_for.add_done_callback(lambda _: task.cancel())
            else:
                task.cancel()
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001  # it is the coroutine's, whatever it is
            step = lambda error=error: coroutine.throw(error)  # noqa: E731  # as above
        else:
            step = lambda: coroutine.send(None)  # noqa: E731  # as above


async def _get(backend: Any, origin: Server) -> bytes:
    return await fetch(backend, ask(origin.url))


async def _upload(backend: Any, origin: Server) -> bytes:
    return await fetch(backend, ask(origin.url, "POST", blocks(*[b"x" * 100_000] * 2)))


async def _expect(backend: Any, origin: Server) -> bytes:
    return await fetch(backend, ask(origin.url, "POST", b"x" * 100_000, headers=(("Expect", "100-continue"),)))


async def _named(backend: Any, origin: Server) -> bytes:
    return await fetch(backend, ask(origin.url.replace("127.0.0.1", "origin.test")))


async def _tunnelled(backend: Any, origin: Server) -> bytes:
    with server([AGREED, Relay(origin.port)], secure=True) as proxy:
        return await fetch(backend, ask(origin.url, route=tunnel(proxy, origin)))


BODY = [CHUNKED, Drip(b"5\r\nhello\r\n" * 3 + b"0\r\n\r\n", every=0.002, size=10)]
EXCHANGES: dict[str, tuple[Callable[[Any, Server], Coroutine[Any, Any, bytes]], Script, bool | None]] = {
    "get": (_get, BODY, None),
    "upload": (_upload, BODY, None),
    "expect": (_expect, OnHead(b"HTTP/1.1 100 Continue\r\n\r\n", Receive(), BODY), None),
    "a name with two addresses": (_named, BODY, False),
    "tls in tls": (_tunnelled, BODY, True),
}


@pytest.mark.parametrize("how", ["waiting", "woken"])
@pytest.mark.parametrize("warm", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_cancelled_at_every_await(
    run: Any, secure: bool, how: str, warm: bool, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is: no socket stays open, no task is left, the pool is sound, and the next request works."""
    perform, script, only = EXCHANGES[exchange]
    if only not in (None, secure):
        return
    getaddrinfo = socket.getaddrinfo
    refused = refused_port()

    def found(host: str, port: int, *rest: Any, **options: Any) -> Any:
        if host != "origin.test":
            return getaddrinfo(host, port, *rest, **options)
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        kind = socket.AF_INET, socket.SOCK_STREAM, 6, ""
        return [(*kind, ("127.0.0.1", closed)), (*kind, ("127.0.0.1", port))]

    async def main() -> int:
        backend = AsyncSocketBackend()
        with server(script, secure=secure, receive_buffer=8192) as origin:
            number = 0
            while True:
                number += 1
                if warm:
                    await perform(backend, origin)
                task = asyncio.create_task(_awaited(cancelled_at(number, how, perform(backend, origin))))
                outcome = (await asyncio.gather(task, return_exceptions=True))[0]
                await idle()

                assert pooled(backend) == client_sockets()
                assert {asyncio.current_task()} == asyncio.all_tasks()
                if isinstance(outcome, bytes):
                    assert b"hello" * 3 == outcome
                    break
                assert isinstance(outcome, asyncio.CancelledError)
            assert b"hello" * 3 == await perform(backend, origin)
            await backend.close()
            await idle()
            assert 0 == client_sockets()
        return number

    with refused as closed:
        monkeypatch.setattr(socket, "getaddrinfo", found)
        assert run(main()) > 1


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def test_a_loop_that_ends_in_the_middle_of_it_all(secure: bool, tmp_path: Path) -> None:
    """A program that is left in the middle of exchanges ends without a warning."""
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_async_socket as t

async def main(url, kept):
    asyncio.get_running_loop().slow_callback_duration = 60  # of which debug mode would tell
    backend = t.AsyncSocketBackend()
    await t.fetch(backend, t.ask(kept))
    tasks = [asyncio.create_task(t.fetch(backend, t.ask(url))) for _ in range(8)]
    await asyncio.sleep(0.05)
    response = await backend.send(t.ask(url))
    await anext(response.body)
    await backend.close()

with t.server([t.CHUNKED + b"1\\r\\na\\r\\n", t.Stall()], secure={secure}) as origin, t.server(secure={secure}) as kept:
    asyncio.run(main(origin.url, kept.url))
"""
    outcome = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (0, "") == (outcome.returncode, outcome.stderr)
