"""What the awaited side of httpx and httpx2 does that its own clients do not, on every event loop.

What every backend promises is in the conformance classes; like tests/test_dialing.py this goes around the core.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import suppress
from time import monotonic
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

import servers
from servers import silent_addresses
from suspensions import cancel_everywhere
from unifetch.backends import is_installed, load_async
from unifetch.backends.base import AsyncBackend, Capability
from unifetch.errors import (
    ConfigConflict,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    IncompleteBody,
    InvalidSetting,
    NameResolutionError,
    ProxyError,
    ReadTimeout,
    TLSError,
    UnifetchError,
    WriteTimeout,
)
from unifetch.model.messages import RawRequest
from unifetch.model.route import Route
from unifetch.model.timeouts import Timeout
from unifetch.policies.proxies import Proxy
from unifetch.policies.tls import TLS
from unifetch.testing.conformance.routes import Relay
from unifetch.testing.server import Connection, Server, refused_port
from unifetch.testing.steps import (
    Close,
    Drip,
    Flood,
    OnConnect,
    OnHead,
    Pause,
    RecordedRequest,
    Script,
    Stall,
    Step,
    Truncate,
    reply,
)
from unifetch.wire import happy_eyeballs as attempts

T = TypeVar("T")

anyio: Any = pytest.importorskip("anyio", reason="anyio, which comes with httpx and httpx2, is not installed")
anyio_dialing: Any = importlib.import_module("unifetch.wire.anyio")

# Name resolution by httpx itself, and its proxies: none of these tests may need more than the loop.
LOOPS = {
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}


class Loop:
    """An event loop, in which each test runs its one scenario."""

    def __init__(self, name: str) -> None:
        self.is_trio = name == "trio"
        self._backend, self._options = LOOPS[name]

    def run(self, scenario: Callable[[], Awaitable[T]]) -> T:
        outcome: T = anyio.run(scenario, backend=self._backend, backend_options=self._options)
        return outcome


@pytest.fixture(params=list(LOOPS))
def loop(request: pytest.FixtureRequest) -> Loop:
    """Each event loop that is installed, in turn."""
    if request.param != "asyncio":
        pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return Loop(request.param)


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> str:
    """The name of each of the two, in turn."""
    name: str = request.param
    if not is_installed(name):
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture
def tls() -> ssl.SSLContext:
    """What trusts the servers of these tests."""
    return TLS(ca_file=str(servers.certificate_authority().ca_file)).context()


def raw_request(server: Server, body: Any = None, **options: Any) -> RawRequest:
    """A request to this server, or by a route to `service.test`."""
    tls = options.get("tls")
    host = options.pop("host", "127.0.0.1")
    url: Any = SimpleNamespace(
        scheme="http" if tls is None else "https", host=host, port=server.port, target=options.pop("target", "/")
    )
    route = Route(**{name: options.pop(name) for name in list(options) if name in Route.__annotations__})
    options.setdefault("timeout", Timeout(connect=5, read=5, write=5))
    headers = [("Host", host)]
    length = len(body) if isinstance(body, bytes) else None
    if body is not None:
        headers.append(("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length)))
    method = "GET" if body is None else "POST"
    return RawRequest(method, url, tuple(headers), body, length, route=route, **options)


async def exchange(backend: AsyncBackend, request: RawRequest) -> bytes:
    """The body of the response, read to its end."""
    raw = await backend.send(request)
    try:
        return b"".join([chunk async for chunk in raw.body])
    finally:
        await raw.close()


async def glance(backend: AsyncBackend, request: RawRequest) -> bytes:
    """The first chunk; then it is closed."""
    raw = await backend.send(request)
    try:
        return await anext(raw.body)
    finally:
        await raw.close()


def bodies(loop: Loop, library: str, *requests: RawRequest) -> list[bytes]:
    """The body of each response, one after the other, by one backend."""

    async def scenario() -> list[bytes]:
        backend = load_async(library)()
        try:
            return [await exchange(backend, request) for request in requests]
        finally:
            await backend.close()

    return loop.run(scenario)


def failure(loop: Loop, library: str, request: RawRequest) -> UnifetchError:
    """What this request fails with."""
    with pytest.raises(UnifetchError) as caught:
        bodies(loop, library, request)
    return caught.value


async def blocks(count: int, size: int = 65536) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_connections_are_used_again(loop: Loop, library: str, tls: ssl.SSLContext, secure: bool) -> None:
    """One connection carries them all, whatever the framing of a response."""
    script = {"/": reply(200, b"a"), "/chunks": reply(200, [b"b", b"c"]), "/none": reply(204)}
    context = servers.certificate_authority().server_context() if secure else None
    with Server(script, tls=context) as server:
        given = {"tls": tls} if secure else {}
        targets = ["/", "/chunks", "/none", "/"]

        assert [b"a", b"bc", b"", b"a"] == bodies(
            loop, library, *[raw_request(server, target=t, **given) for t in targets]
        )
        assert 1 == server.connections


def test_many_tasks(loop: Loop, library: str) -> None:
    """Each gets its own answer, in as many connections as there are tasks."""

    async def scenario() -> list[bool]:
        backend = load_async(library)()
        right: list[bool] = []

        async def ask(number: int) -> None:
            for each in range(5):
                target = f"/{number}/{each}"
                right.append(target.encode() == await exchange(backend, raw_request(server, target=target)))

        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(ask, number)
        await backend.close()
        return right

    with Server(lambda request: reply(200, request.target.encode())) as server:
        right = loop.run(scenario)

        assert (150, True) == (len(right), all(right))
        assert server.connections <= 30


# --- Cancellation ---------------------------------------------------------------------------------


class Interrupted:
    """Awaits a coroutine, and has it cancelled where it awaits for the n-th time, and again as often as it says."""

    def __init__(self, work: Any, cancel: Callable[[], object], at: int, times: int) -> None:
        self._work = work
        self._cancel = cancel
        self._points = range(at, at + times)
        self.reached = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        resume, given = self._work.send, None
        while True:
            try:
                wanted = resume(given)
            except StopIteration as done:
                return done.value
            self.reached += 1
            if self.reached in self._points:
                self._cancel()
            try:
                resume, given = self._work.send, (yield wanted)
            except BaseException as error:  # noqa: BLE001  # handed to whom it is for
                resume, given = self._work.throw, error


async def interrupted(loop: Loop, work: Any, at: int, times: int) -> bool:
    """Cancel this at the n-th await; whether there were so many."""
    if loop.is_trio:
        with anyio.CancelScope() as scope:
            waiting = Interrupted(work, scope.cancel, at, times)
            await waiting
    else:

        async def task() -> None:
            nonlocal waiting
            current = asyncio.current_task()
            assert current is not None
            waiting = Interrupted(work, current.cancel, at, times)
            await waiting

        with suppress(asyncio.CancelledError):
            await asyncio.create_task(task())
    return waiting.reached >= at


@pytest.mark.parametrize("warm", [False, True], ids=["connecting", "connected"])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("work", [exchange, glance])
def test_cancelled_at_every_await(
    loop: Loop, library: str, tls: ssl.SSLContext, work: Any, secure: bool, warm: bool
) -> None:
    """However often: no socket stays open, none is stuck in the pool, and what is left there gives the right answer."""
    short, long = reply(200, b"short"), reply(200, [b"x" * 70_000] * 3)
    given: dict[str, Any] = {"tls": tls} if secure else {}

    async def cancelled(at: int, times: int) -> bool:
        backend = load_async(library)()
        if warm:
            await exchange(backend, raw_request(server, **given))
        reached = await interrupted(loop, work(backend, raw_request(server, blocks(3), **given)), at, times)

        assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(backend.native)
        assert b"short" == await exchange(backend, raw_request(server, **given))
        await backend.close()
        return reached

    async def scenario() -> int:
        for times in (1, 2):
            at = 1
            while await cancelled(at, times):
                at += 1
        gc.collect()  # what was left behind would warn
        return at

    def answer(request: RecordedRequest) -> Script:
        if request.method == "GET":
            return short
        return [long[:30], Pause(0.002), long[30:90_000], Pause(0.002), long[90_000:]]

    context = servers.certificate_authority().server_context() if secure else None
    with Server(answer, tls=context) as server:
        points = loop.run(scenario)
        for connection in range(1, server.connections + 1):
            server.wait_closed(connection)

    assert points > 1


def test_cancelled_by_a_deadline_of_ones_own(loop: Loop, library: str) -> None:
    """Where a program has its own way to give up, the connection is closed when that has happened."""

    async def scenario() -> str:
        backend = load_async(library)()
        with anyio.move_on_after(0.1):
            await exchange(backend, raw_request(server))
        server.wait_closed()
        return repr(backend.native)

    with Server(b"") as server:
        assert "Connections: 0 active, 0 idle" in loop.run(scenario)


def test_a_failing_body(loop: Loop, library: str) -> None:
    """What the caller's own iterable raises comes out, and the connection, in the middle of a request, is closed."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("mine")

    async def scenario() -> None:
        backend = load_async(library)()
        with pytest.raises(LookupError, match="mine"):
            await exchange(backend, raw_request(server, failing()))
        server.wait_closed()

    with Server() as server:
        loop.run(scenario)


def test_closing_while_a_task_reads(loop: Loop, library: str) -> None:
    """Whoever waits for the network is woken, and fails."""

    async def scenario() -> UnifetchError:
        backend = load_async(library)()
        raw = await backend.send(raw_request(server))
        async with anyio.create_task_group() as group:
            group.start_soon(closing, backend)
            with pytest.raises(UnifetchError) as caught:
                _ = [chunk async for chunk in raw.body]
        await raw.close()
        return caught.value

    async def closing(backend: AsyncBackend) -> None:
        await anyio.sleep(0.05)
        await backend.close()

    with Server([reply(200, b"x" * 9)[:-8], Stall()]) as server:
        assert isinstance(loop.run(scenario), IncompleteBody)


# --- Time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "sent"),
    [
        pytest.param(Drip(reply(200, b"x" * 100), 0.02), "yes", id="a head that drips"),
        pytest.param([reply(200, b"x" * 100)[:-99], Drip(b"x" * 99, 0.02)], "yes", id="a body that drips"),
        pytest.param(OnHead(Stall()), "maybe", id="nothing"),
    ],
)
def test_the_deadline_ends_a_read(loop: Loop, library: str, script: Script, sent: str) -> None:
    """The total is kept though each read gets its byte in time."""
    with Server(script) as server:
        error = failure(loop, library, raw_request(server, deadline=monotonic() + 0.3))

        assert (ReadTimeout, sent) == (type(error), error.request_sent)


def test_closing_after_the_deadline(loop: Loop, library: str) -> None:
    """A response that is given up once its time is over is closed, and closing raises nothing."""

    async def scenario() -> None:
        backend = load_async(library)()
        deadline = monotonic() + 0.5
        raw = await backend.send(raw_request(server, deadline=deadline))
        assert b"x" == await anext(raw.body)
        while monotonic() < deadline:
            await anyio.sleep(0.02)
        await raw.close()
        await anyio.to_thread.run_sync(server.wait_closed, 1)
        await backend.close()

    with Server(reply(200, b"x" * 9)[:-8]) as server:
        loop.run(scenario)


class Sip(Step):
    """Reads a little now and then."""

    def run(self, connection: Connection) -> None:
        while True:
            connection.pause(0.02)
            connection.socket.recv(20_000)


def test_the_deadline_ends_a_write(loop: Loop, library: str) -> None:
    """A server that takes a little of an upload now and then does not prolong it."""
    with Server(OnHead(Sip()), receive_buffer=4096) as server:
        error = failure(loop, library, raw_request(server, blocks(100), deadline=monotonic() + 0.4))

        assert (WriteTimeout, "maybe") == (type(error), error.request_sent)


def test_a_handshake_that_stalls(loop: Loop, library: str, tls: ssl.SSLContext) -> None:
    """It is part of connecting."""
    with Server(OnConnect(Stall())) as server:
        error = failure(loop, library, raw_request(server, tls=tls, timeout=Timeout(connect=0.1)))

        assert (ConnectTimeout, "no") == (type(error), error.request_sent)


def test_a_resolver_that_hangs(loop: Loop, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left behind in its thread, and neither the call nor the end of the loop waits for it."""
    hanging = threading.Event()

    def look_up(*_: object, flags: int = 0, **__: object) -> Any:
        if not flags:
            hanging.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with Server() as server:
        error = failure(loop, library, raw_request(server, host="slow.test", timeout=Timeout(connect=0.1)))
    still = not hanging.is_set()
    hanging.set()

    assert (ConnectTimeout, "no", True) == (type(error), error.request_sent, still)


# --- Where to -------------------------------------------------------------------------------------


def test_the_next_address_is_tried(loop: Loop, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host is reached by whichever of its addresses answers."""
    with Server(reply(200, b"x")) as server:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", server.port)) for n in (9, 8, 1)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

        assert [b"x"] == bodies(loop, library, raw_request(server, host="service.test"))


def leads_to(found: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every name lead to these addresses."""

    async def look_up(*_: object) -> list[Any]:
        return found

    monkeypatch.setattr(anyio_dialing, "look_up", look_up)


def test_a_dead_address_does_not_hold_up_the_next(loop: Loop, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305 §5: an attempt that gets no answer is overtaken; the connect timeout is not waited for."""
    with silent_addresses(1) as found, Server(reply(200, b"x")) as server:
        leads_to([*found, (socket.AF_INET, ("127.0.0.1", server.port))], monkeypatch)

        assert [b"x"] == bodies(loop, library, raw_request(server, host="service.test"))


def test_an_address_that_refuses_does_not_hold_up_the_next(
    loop: Loop, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt begins when one has failed, however long the delay is; and one under way may still succeed."""
    monkeypatch.setattr(attempts, "ATTEMPT_DELAY", 3600)
    with refused_port() as port, Server(reply(200, b"x")) as server:
        dead, alive = ((socket.AF_INET, ("127.0.0.1", each)) for each in (port, server.port))
        leads_to([dead, dead, alive], monkeypatch)
        assert [b"x"] == bodies(loop, library, raw_request(server, host="service.test"))

        monkeypatch.setattr(attempts, "ATTEMPT_DELAY", 0)
        leads_to([alive, dead, dead], monkeypatch)
        assert [b"x"] == bodies(loop, library, raw_request(server, host="service.test"))


def test_dead_addresses_share_the_connect_timeout(loop: Loop, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are given up together, in time, in the words of one connection."""
    with silent_addresses(2) as found, Server() as server:
        leads_to(found, monkeypatch)
        error = failure(loop, library, raw_request(server, host="service.test", timeout=Timeout(connect=0.4)))

        assert (ConnectTimeout, "no") == (type(error), error.request_sent)
        assert f"no connection to service.test:{server.port} in time" == str(error)


def test_all_addresses_refuse(loop: Loop, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is that of an attempt, and no group of errors."""
    with refused_port() as first, refused_port() as second, Server() as server:
        leads_to([(socket.AF_INET, ("127.0.0.1", port)) for port in (first, second)], monkeypatch)
        error = failure(loop, library, raw_request(server, host="service.test"))

    assert (ConnectError, "no", True) == (type(error), error.request_sent, "refused" in str(error))


def test_a_proxy_with_a_dead_address(loop: Loop, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reached by another of its addresses, as an origin is."""
    with silent_addresses(1) as found, Server(reply(200, b"x")) as server:
        leads_to([*found, (socket.AF_INET, ("127.0.0.1", server.port))], monkeypatch)
        request = raw_request(server, host="service.test", proxy=Proxy("http", "proxy.test", server.port))

        assert [b"x"] == bodies(loop, library, request)


@pytest.fixture
def attempted(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Every socket that was to connect, in order; and none of them waits for the one before."""
    begun: list[socket.socket] = []
    original = socket.socket.connect

    def connect(sock: socket.socket, to: Any) -> None:
        begun.append(sock)
        original(sock, to)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(attempts, "ATTEMPT_DELAY", 0)
    return begun


def test_who_comes_in_second(
    loop: Loop, library: str, attempted: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One connection is left of all attempts, those under way among them."""

    async def scenario() -> list[bool]:
        backend = load_async(library)()
        await exchange(backend, raw_request(server, host="service.test"))
        open_ones = [sock.fileno() >= 0 for sock in attempted]
        await backend.close()
        return open_ones

    with silent_addresses(2) as found, Server(reply(200, b"x")) as server:
        leads_to([*found, *[(socket.AF_INET, ("127.0.0.1", server.port))] * 3], monkeypatch)

        assert 1 == sum(loop.run(scenario))

    assert len(attempted) >= 3
    assert not [sock for sock in attempted if sock.fileno() >= 0]


def test_a_race_cancelled_at_every_await(
    loop: Loop, library: str, attempted: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often: no attempt stays open, and none is stuck in the pool."""

    async def cancelled(at: int, times: int) -> bool:
        backend = load_async(library)()
        reached = await interrupted(loop, exchange(backend, raw_request(server, host="service.test")), at, times)

        assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(backend.native)
        await backend.close()
        assert not [sock for sock in attempted if sock.fileno() >= 0]
        return reached

    async def scenario() -> int:
        for times in (1, 2):
            at = 1
            while await cancelled(at, times):
                at += 1
        return at

    with silent_addresses(2) as found, Server(reply(200, b"x")) as server:
        leads_to([*found, *[(socket.AF_INET, ("127.0.0.1", server.port))] * 2], monkeypatch)

        assert loop.run(scenario) > 3


def test_a_cancelled_race_ends_the_task(
    library: str, attempted: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is cancelled while others attempt for it is cancelled, whichever of them wins meanwhile."""

    async def scenario() -> int:
        backend = load_async(library)()

        async def check(_: int) -> None:
            assert [asyncio.current_task()] == list(asyncio.all_tasks())
            assert not [sock for sock in attempted if sock.fileno() >= 0]

        async def ask() -> None:
            await glance(backend, raw_request(server, host="service.test"))

        return await cancel_everywhere(ask, check)

    with silent_addresses(1) as found, Server(reply(200, b"x" * 9)[:-8]) as server:
        leads_to([*found, *[(socket.AF_INET, ("127.0.0.1", server.port))] * 2], monkeypatch)

        assert asyncio.run(scenario()) > 3


def test_no_address(loop: Loop, library: str) -> None:
    """A name without an address is an error of its own, as is a port at which nobody listens."""
    with refused_port() as port, Server() as server:
        unknown = failure(loop, library, raw_request(server, host="nowhere.test"))
        refused = failure(loop, library, raw_request(SimpleNamespace(port=port)))

    assert (NameResolutionError, ConnectError) == (type(unknown), type(refused))


def test_the_address_that_was_chosen(loop: Loop, library: str) -> None:
    """It is connected to, and refused if it is not public."""
    with Server(reply(200, b"x")) as server:
        assert [b"x"] == bodies(loop, library, raw_request(server, host="service.test", address="127.0.0.1"))
        error = failure(loop, library, raw_request(server, host="localhost", public_only=True))
        assert "not public" in str(error)
        assert 1 == server.connections


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no unix sockets here")
def test_a_unix_socket(loop: Loop, library: str, tmp_path: Any) -> None:
    """Whatever is wrong with its path is a ConnectError that shows it."""
    path = str(tmp_path / "socket")
    with Server(reply(200, b"x"), unix_socket=path) as server:
        assert [b"x", b"x"] == bodies(loop, library, *[raw_request(server, unix_socket=path)] * 2)
        for wrong in ("/there/is/none", "/" * 200, "/with\0nul"):
            assert repr(wrong) in str(failure(loop, library, raw_request(server, unix_socket=wrong)))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_tls_through_a_proxy(loop: Loop, library: str, tls: ssl.SSLContext, scheme: str) -> None:
    """Also in TLS: the connection is used again, though not with what came unasked; a cut is no end."""
    authority = servers.certificate_authority()
    first: Script = [reply(200, b"first"), reply(200, b"poison")]
    scripts = [first, reply(200, b"second"), reply(200, b"third"), [reply(200, b"cut", framed=False), Truncate()]]
    with Server(*scripts, tls=authority.server_context("service.test")) as origin:
        agreed = b"HTTP/1.1 200 Connection established\r\n\r\n"
        outer = authority.server_context() if scheme == "https" else None
        with Server([agreed, Relay(origin.port, patience=0.01)], tls=outer) as server:
            request = raw_request(
                origin,
                host="service.test",
                tls=tls,
                proxy=Proxy(scheme, "127.0.0.1", server.port),
                proxy_tls=tls if scheme == "https" else None,
                connect_headers=(("Host", "service.test"),),
            )

            assert [b"first", b"second", b"third"] == bodies(loop, library, *[request] * 3)
            assert 2 == server.connections
            assert isinstance(failure(loop, library, request), IncompleteBody)


@pytest.mark.parametrize(
    ("answer", "status"),
    [(reply(407), 407), (reply(502, b"no"), 502), (Close(), None), (b"SSH-2.0\r\n\r\n", None)],
)
def test_a_proxy_that_refuses(
    loop: Loop, library: str, tls: ssl.SSLContext, answer: Script, status: int | None
) -> None:
    """Its own status, if it has one, is on the error; the connection is closed."""
    with Server(answer) as server:
        through = Proxy("http", "127.0.0.1", server.port)
        request = raw_request(server, tls=tls, proxy=through, connect_headers=(("Host", "x"),))
        error = failure(loop, library, request)
        server.wait_closed()

        assert (ProxyError, "no", status) == (type(error), error.request_sent, getattr(error, "status", None))


# --- What is heard --------------------------------------------------------------------------------


def test_an_early_answer_to_an_upload(loop: Loop, library: str) -> None:
    """A server that refuses an upload and closes is heard, and the generator is closed there and then."""
    ended = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            ended.append(True)

    with Server(OnHead(reply(413, b"too large", {"Connection": "close"}), Close())) as server:
        assert [b"too large"] == bodies(loop, library, raw_request(server, endless()))

    assert [True] == ended


def test_a_certificate_that_is_not_trusted(loop: Loop, library: str) -> None:
    """It is a TLSError, and nothing was sent."""
    with Server(tls=servers.certificate_authority().server_context()) as server:
        error = failure(loop, library, raw_request(server, tls=TLS().context()))

        assert (TLSError, "no") == (type(error), error.request_sent)


def test_a_connection_that_died_while_idle(loop: Loop, library: str) -> None:
    """It is not used, and nothing is sent twice."""

    async def scenario() -> bytes:
        backend = load_async(library)()
        await exchange(backend, raw_request(server))
        server.wait_closed()
        try:
            return await exchange(backend, raw_request(server))
        finally:
            await backend.close()

    with Server([reply(200, b"first"), Close()], reply(200, b"second")) as server:
        assert b"second" == loop.run(scenario)
        assert 2 == len(server.requests)


def test_a_connection_that_dies_while_it_is_used(loop: Loop, library: str) -> None:
    """The error says that it had been used before, so that the core may decide to repeat."""

    async def scenario() -> ConnectionLost:
        backend = load_async(library)()
        await exchange(backend, raw_request(server))
        with pytest.raises(ConnectionLost) as caught:
            await exchange(backend, raw_request(server))
        await backend.close()
        return caught.value

    with Server(reply(200, b"first"), Close()) as server:
        error = loop.run(scenario)

        assert (True, "maybe") == (error.reused, error.request_sent)


def test_a_flood_does_not_keep_other_tasks_waiting(loop: Loop, library: str) -> None:
    """A body that comes as fast as it is read leaves others their turn."""

    async def scenario() -> int:
        backend = load_async(library)()
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.sleep(0)

        async with anyio.create_task_group() as group:
            group.start_soon(count)
            size = len(await exchange(backend, raw_request(server)))
            group.cancel_scope.cancel()
        await backend.close()
        assert 64 << 20 == size
        return turns

    with Server([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 << 20), Flood(b"x" * 65536, 1024)]) as server:
        assert loop.run(scenario) >= 60


# --- A client of the caller's own -----------------------------------------------------------------


def test_an_injected_client(loop: Loop, library: str) -> None:
    """It carries the exchange through its `send`, and stays open."""

    async def scenario() -> list[bytes]:
        async with pytest.importorskip(library).AsyncClient() as native:
            backend = load_async(library)(native)
            got = [await exchange(backend, raw_request(server, blocks(2, 3)))]
            got.append(await exchange(backend, raw_request(server, b"whole")))
            await backend.close()
            assert not native.is_closed
            assert native is backend.native
        return got

    with Server(lambda request: reply(200, request.body)) as server:
        assert [b"xxxxxx", b"whole"] == loop.run(scenario)


def test_an_injected_client_that_is_closed(loop: Loop, library: str) -> None:
    """Nothing is sent, and the error is ours and says so."""

    async def scenario() -> UnifetchError:
        async with pytest.importorskip(library).AsyncClient() as native:
            backend = load_async(library)(native)
        with pytest.raises(InvalidSetting, match=rf"this {library}\.AsyncClient is closed") as caught:
            await backend.send(raw_request(server))
        return caught.value

    with Server() as server:
        assert "no" == loop.run(scenario).request_sent
        assert 0 == server.connections


@pytest.mark.parametrize(
    ("carried", "settings"),
    [
        ("auth", {"auth": ("a", "b")}),
        ("cookies", {"cookies": {"a": "b"}}),
        ("params", {"params": {"a": "b"}}),
        ("base_url", {"base_url": "http://x.test"}),
        ("timeout", {"timeout": 3}),
        ("headers", {"headers": {"X-A": "1"}}),
    ],
)
def test_an_injected_client_with_settings(library: str, carried: str, settings: dict[str, Any]) -> None:
    """What would be lost is refused, by its name."""
    native = pytest.importorskip(library).AsyncClient(**settings)
    with pytest.raises(ConfigConflict, match=rf"{library}.AsyncClient carries {carried},"):
        load_async(library)(native)


def test_what_an_injected_client_can_do(library: str) -> None:
    """It connects by its own means: of routes, nothing is declared."""
    injected = load_async(library)(pytest.importorskip(library).AsyncClient()).capabilities
    named = load_async(library)().capabilities

    assert {Capability.NATIVE_ASYNC, Capability.TRIO} <= injected < named
    assert not injected & {Capability.PROXY, Capability.HARD_DEADLINE, Capability.EARLY_RESPONSE}


# --- Mocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("injected", [False, True], ids=["named", "injected"])
def test_respx(injected: bool) -> None:
    """`respx` stands in front of httpcore's pool, which is where both enter."""
    respx = pytest.importorskip("respx", reason="respx is not installed")
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")

    async def scenario() -> tuple[int, bytes]:
        async with httpx.AsyncClient() as native:
            backend = load_async("httpx")(*[native] if injected else [])
            url: Any = SimpleNamespace(scheme="https", host="service.test", port=443, target="/a")
            raw = await backend.send(RawRequest("POST", url, (("Host", "service.test"),), b"x", 1, Timeout()))
            body = b"".join([chunk async for chunk in raw.body])
            await raw.close()
            await backend.close()
        return raw.status, body

    with respx.mock(assert_all_called=True) as router:
        router.post("https://service.test/a", content=b"x").respond(201, content=b"mocked")

        assert (201, b"mocked") == asyncio.run(scenario())


def test_a_transport_of_the_clients_own(loop: Loop, library: str) -> None:
    """`MockTransport`, or any other that a client was given, answers."""
    module = pytest.importorskip(library)

    async def scenario() -> bytes:
        transport = module.MockTransport(lambda request: module.Response(200, content=request.content * 2))
        async with module.AsyncClient(transport=transport) as native:
            url: Any = SimpleNamespace(scheme="http", host="service.test", port=80, target="/")
            raw = await load_async(library)(native).send(RawRequest("POST", url, (), b"x", 1, Timeout()))
            body = b"".join([chunk async for chunk in raw.body])
            await raw.close()
        return body

    assert b"xx" == loop.run(scenario)
