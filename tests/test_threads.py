"""The module's own functions: one client of the process, for all of its threads, and anew in each child of a fork."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import unifetch
from unifetch import Bearer, Client, Response, api, get, use_backend
from unifetch.client.shared_client import SHARED
from unifetch.testing import RecordedRequest, Server, reply

needs_fork = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def _fresh_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A client for the module's functions that has carried nothing yet, and that is closed afterwards."""
    with Client(cookies=False) as client:
        monkeypatch.setattr(api, "SHARED", client)
        yield


def echo(request: RecordedRequest) -> bytes:
    """Answers with the target."""
    return reply(200, request.target.encode())


def in_child(work: Callable[[], bool]) -> bool:
    """Whether this is true in a forked child; one that hangs is killed, and is false."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(10)
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_while_credentials_are_fetched() -> None:
    """The child waits for nobody who is not there, and fetches its own; the parent goes on."""
    begun, may_end = threading.Event(), threading.Event()

    def fetch() -> str:
        begun.set()
        may_end.wait(20)
        return "a-token"

    with Server(reply(200, b"it")) as server, Client("socket", auth=Bearer(fetch)) as client:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(client.get, server.url)
            begun.wait(20)

            def child() -> bool:
                may_end.set()  # a copy of it, in a process without the other thread
                return client.get(server.url).body == b"it"

            assert in_child(child)
            may_end.set()
            assert b"it" == waiting.result().body


# --- Threads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["httpcore", "httpcore2"])
def test_a_connection_is_asked_from_many_threads(engine: str) -> None:
    """The pools of httpx ask of each idle connection whether it is still good, from whatever thread they run in."""
    library = pytest.importorskip(engine)
    from unifetch.backends.httpx_network import NetworkStream  # it needs anyio, which comes with the library

    ours, theirs = socket.socketpair()
    with theirs, ThreadPoolExecutor(4) as threads:
        stream = NetworkStream(library, ours)

        def ask(_: int) -> bool:
            return bool(stream.get_extra_info("is_readable"))

        assert {False} == set(threads.map(ask, range(4_000)))

        stream.close()

        assert ask(0)


def test_get_from_many_threads(backend: str) -> None:
    """Eight threads get their own answers; there are not more connections than threads."""
    with Server(echo) as server:

        def ask(number: int) -> bool:
            return f"/{number}" == get(f"{server.url}/{number}", backend=backend).text

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(ask, range(400)))

        assert server.connections <= 8


def test_a_backend_is_made_once(backend: str) -> None:
    """Threads that ask for the first time together share what the first of them makes."""
    start = threading.Barrier(8, timeout=10)
    with Server(echo) as server:

        def ask(_: int) -> object:
            start.wait()
            get(server.url, backend=backend)
            with use_backend(backend):
                return SHARED.backend

        with ThreadPoolExecutor(8) as threads:
            assert 1 == len({id(made) for made in threads.map(ask, range(8))})


def test_requests_share_connections(backend: str) -> None:
    """So do calls one after the other, whoever makes them."""
    with Server(echo) as server:
        for _ in range(3):
            get(server.url, backend=backend)
        with ThreadPoolExecutor(1) as threads:
            threads.submit(get, server.url, backend=backend).result()

        assert 1 == server.connections


def test_a_request_within_a_stream(backend: str) -> None:
    """A thread that reads a stream may ask for something else meanwhile."""
    with Server(lambda request: reply(200, b"x" * 300_000 if request.target == "/large" else b"small")) as server:
        with Client(backend=backend) as client, client.stream("GET", f"{server.url}/large") as response:
            first = next(response.body)
            assert b"small" == client.get(f"{server.url}/small").body
            rest = b"".join(response.body)

    assert 300_000 == len(first) + len(rest)


def test_a_stream_is_read_in_another_thread(backend: str) -> None:
    """Nothing of a response belongs to the thread that asked for it."""
    with Server(reply(200, [b"x" * 50_000] * 4)) as server, Client(backend=backend) as client:
        with client.stream("GET", server.url) as response, ThreadPoolExecutor(1) as threads:
            whole = threads.submit(response.read).result()
        assert 200_000 == len(whole.body)
        client.get(server.url)

        assert 1 == server.connections


# --- Forks ----------------------------------------------------------------------------------------


class TestFork:
    """After a fork the child has settings, and nothing that is open."""

    pytestmark = needs_fork

    def test_module_functions(self, backend: str) -> None:
        """The child opens a connection of its own; that of the parent goes on."""
        with Server(echo) as server:
            assert "/parent" == get(f"{server.url}/parent", backend=backend).text
            assert in_child(lambda: get(f"{server.url}/child", backend=backend).text == "/child")
            assert "/again" == get(f"{server.url}/again", backend=backend).text

            assert [("/parent", 1), ("/child", 2), ("/again", 1)] == [
                (request.target, request.connection) for request in server.requests
            ]

    def test_a_changed_environment(self, backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A child that changes its environment goes by it, and so does one of a parent that has changed its own."""
        netrc = tmp_path / "netrc"
        netrc.touch(0o600)
        netrc.write_text("machine 127.0.0.1 login a password b")
        monkeypatch.setattr(api.SHARED, "notices_environment", True)  # as that of the process does

        def login(request: RecordedRequest) -> bytes:
            return reply(200, (request.header("authorization") or "none").encode())

        def through_proxy() -> bool:
            os.environ["http_proxy"] = proxy.url
            return get("http://origin.test/", backend=backend).text == "http://origin.test/"

        def with_netrc() -> bool:
            os.environ["NETRC"] = str(netrc)
            return get(server.url, backend=backend, auth="netrc").text == "Basic YTpi"

        def by_name() -> bool:
            os.environ["UNIFETCH_BACKEND"] = backend
            return get(server.url).backend == backend

        with Server(login) as server, Server(echo) as proxy:
            get(server.url, backend=backend)
            assert in_child(through_proxy)
            assert in_child(with_netrc)
            assert in_child(by_name)
            monkeypatch.setenv("http_proxy", proxy.url)
            assert in_child(through_proxy)
            monkeypatch.delenv("http_proxy")
            assert "none" == get(server.url, backend=backend).text

    def test_a_lock_that_was_held(self, backend: str) -> None:
        """Another thread may have been inside the client when the process forked; the child does not wait for it."""
        with Server(echo) as server:
            get(server.url, backend=backend)
            with SHARED._lock:
                assert in_child(lambda: get(f"{server.url}/child", backend=backend).text == "/child")

    def test_a_call_in_another_thread(self, backend: str) -> None:
        """Nor is it disturbed by a request that was on its way, or disturbs it."""
        arrived, go = threading.Event(), threading.Event()

        def slowly(request: RecordedRequest) -> bytes:
            if request.target == "/slow":
                arrived.set()
                go.wait(10)
            return echo(request)

        with Server(slowly) as server, ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(get, f"{server.url}/slow", backend=backend)
            assert arrived.wait(10)
            try:
                assert in_child(lambda: get(f"{server.url}/child", backend=backend).text == "/child")
            finally:
                go.set()

            assert "/slow" == waiting.result().text

    def test_grandchildren(self, backend: str) -> None:
        """A fork of a fork is a fork."""
        with Server(echo) as server:

            def child() -> bool:
                return (
                    get(f"{server.url}/child", backend=backend).text == "/child"
                    and in_child(lambda: get(f"{server.url}/grandchild", backend=backend).text == "/grandchild")
                    and get(f"{server.url}/child", backend=backend).text == "/child"
                )

            get(server.url, backend=backend)
            assert in_child(child)


# --- Other processes ------------------------------------------------------------------------------


def test_a_response_travels(backend: str) -> None:
    """What one process has fetched, another reads, though it imports no library for it."""
    with Server(reply(200, b'{"a": 1}', {"X-A": "1"})) as server:
        response = get(server.url, backend=backend)
    program = (
        "import pickle, sys; response = pickle.load(sys.stdin.buffer);"
        "print(response.status, response.json(), response.headers['x-a'], response.backend,"
        " {'requests', 'httpx', 'httpx2', 'urllib3'} & set(sys.modules))"
    )
    path = os.pathsep.join(filter(None, [str(Path(unifetch.__file__).parent.parent), os.environ.get("PYTHONPATH")]))
    printed = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(response), env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip

    assert isinstance(response, Response)
    assert f"200 {{'a': 1}} 1 {backend} set()\n".encode() == printed
