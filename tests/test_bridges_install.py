"""Bridges for processes whose clients are built out of reach."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from unifetch import ConfigConflict, InvalidSetting, bridges
from unifetch.observe.events import Attempt
from unifetch.testing import Script, Server, Stall, reply


@pytest.fixture(params=bridges.LIBRARIES)
def library(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield pytest.importorskip(request.param)
    bridges.uninstall(request.param)


def ask(library: Any, url: str) -> None:
    if library.__name__ == "requests":
        with library.Session() as session:
            session.get(url)
    else:
        with library.Client() as client:
            client.get(url)


def test_clients_out_of_reach(library: Any) -> None:
    """Those that are made while it is installed run on unifetch, and those after it do not."""
    seen: list[Any] = []
    with Server(reply(200)) as server:
        ask(library, server.url)
        bridges.install(library.__name__, listeners=[seen.append])
        assert (library.__name__,) == bridges.installed()
        ask(library, server.url)
        bridges.uninstall(library.__name__)
        assert () == bridges.installed()
        ask(library, server.url)

        assert 3 == len(server.requests)
    assert 1 == sum(isinstance(event, Attempt) for event in seen)


@pytest.mark.parametrize("library", ["httpx", "httpx2"], indirect=True)
def test_a_client_outlives_the_installation(library: Any) -> None:
    """What was made while it was installed keeps its engine, and is of the library's own type."""
    bridges.install(library.__name__)
    transport = library.HTTPTransport()
    bridges.uninstall(library.__name__)
    with Server(reply(200, b"x")) as server, library.Client(transport=transport) as client:
        assert isinstance(transport, library.HTTPTransport)
        assert "x" == client.get(server.url).text


@pytest.mark.parametrize("library", ["httpx", "httpx2"], indirect=True)
@pytest.mark.parametrize("is_first", [True, False], ids=["a mock is there", "a mock comes"])
def test_a_mock_of_the_librarys_transport_is_asked(
    library: Any, monkeypatch: pytest.MonkeyPatch, *, is_first: bool
) -> None:
    """It stands where pytest-httpx puts it, and else the request would go to the network."""
    if not is_first:
        bridges.install(library.__name__)

    def mocked(transport: Any, request: Any) -> Any:
        return library.Response(299)

    async def mocked_async(transport: Any, request: Any) -> Any:
        return library.Response(298)

    async def ask_async(url: str) -> int:
        async with library.AsyncClient() as client:
            return int((await client.get(url)).status_code)

    with Server(reply(200)) as server:
        with monkeypatch.context() as patched:
            patched.setattr(library.HTTPTransport, "handle_request", mocked)
            patched.setattr(library.AsyncHTTPTransport, "handle_async_request", mocked_async)
            if is_first:
                bridges.install(library.__name__)
            with library.Client() as client:
                assert 299 == client.get(server.url).status_code
            assert 298 == asyncio.run(ask_async(server.url))
            assert [] == server.requests
        with library.Client() as client:
            assert 200 == client.get(server.url).status_code


@pytest.mark.parametrize("library", ["httpx", "httpx2"], indirect=True)
def test_what_would_be_lost_is_refused(library: Any) -> None:
    """A client that says what a bridge cannot honour is refused when it is made."""
    bridges.install(library.__name__)
    with pytest.raises(ConfigConflict, match="local_address"):
        library.HTTPTransport(local_address="127.0.0.1")


@pytest.mark.parametrize("library", ["httpx", "httpx2"], indirect=True)
@pytest.mark.parametrize("bound", [{"max_keepalive_connections": 0}, {"keepalive_expiry": 0.0}], ids=str)
def test_bounds_on_idle_connections_are_honoured(library: Any, bound: dict[str, float]) -> None:
    """Where none may be kept, or for no time at all, a connection carries one request."""
    bridges.install(library.__name__)
    with Server(reply(200)) as server, library.Client(limits=library.Limits(**bound)) as client:
        client.get(server.url)
        client.get(server.url)
        assert 2 == server.connections


@pytest.mark.parametrize("library", ["httpx", "httpx2"], indirect=True)
def test_a_bound_on_connections_in_use_is_one_on_calls(library: Any) -> None:
    """A call that would need one more waits for it, as long as the pool timeout says."""
    bridges.install(library.__name__)
    begun: Script = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na", Stall()]
    with Server(begun) as server, library.Client(limits=library.Limits(max_connections=1)) as client:
        with client.stream("GET", server.url), pytest.raises(library.PoolTimeout):
            client.get(server.url, timeout=library.Timeout(5, pool=0.05))


@pytest.mark.parametrize("library", ["httpx", "httpx2"], indirect=True)
def test_bounds_that_a_backend_cannot_keep_are_refused(library: Any) -> None:
    """Its idle connections are its library's affair: a client that bounds them is refused when it is made."""
    pytest.importorskip("urllib3")
    bridges.install(library.__name__, backend="urllib3")
    with pytest.raises(ConfigConflict, match="idle"):
        library.Client(limits=library.Limits(max_keepalive_connections=3))


@pytest.mark.parametrize("library", ["requests"], indirect=True)
def test_an_adapter_that_blocks_has_no_more_connections(library: Any) -> None:
    """`pool_block` with `pool_maxsize` bounds those in use; the next request waits until one is free."""
    bridges.install("requests")
    adapter = library.adapters.HTTPAdapter(pool_maxsize=1, pool_block=True)
    begun: Script = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na", Stall()]
    with Server(begun, reply(200, b"next")) as server, library.Session() as session:
        session.mount("http://", adapter)
        first = session.get(server.url, stream=True)
        texts: list[str] = []
        waiting = threading.Thread(target=lambda: texts.append(session.get(server.url).text))
        waiting.start()
        server.wait_for(lambda: adapter._client.calls_waiting == 1, "a request that waits")
        first.close()
        waiting.join()

        assert ["next"] == texts


@pytest.mark.parametrize("library", ["requests"], indirect=True)
def test_an_adapter_keeps_as_many_idle_connections_as_it_says(library: Any) -> None:
    """One pool of one connection keeps one."""
    bridges.install("requests")
    adapter = library.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=1)
    more = threading.Event()

    def waiting(request: Any) -> Any:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
        assert more.wait(20)
        yield b"a"

    with Server(waiting) as server, library.Session() as session:
        session.mount("http://", adapter)
        for connections in (2, 3):
            more.clear()
            streams = [session.get(server.url, stream=True) for _ in range(2)]
            more.set()
            assert [b"a", b"a"] == [each.content for each in streams]
            assert connections == server.connections


def test_what_is_wrong_changes_nothing() -> None:
    """An unknown library or setting is refused, and nothing is installed."""
    pytest.importorskip("httpx")
    for name, settings in (("niquests", {}), ("httpx", {"headers": {}})):
        with pytest.raises(InvalidSetting):
            bridges.install(name, **settings)  # type: ignore[arg-type]  # that is the test

    assert () == bridges.installed()


def test_no_bridge_is_imported_before_it_is_named() -> None:
    """To ask which are installed costs nothing."""
    assert {"httpx", "httpx2", "requests"} == set(bridges.LIBRARIES)
    assert import_module("unifetch.bridges").installed() == ()
