"""AsyncClient in other event loops: uvloop's, and trio's for the backends that declare TRIO."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import servers
from unifetch import AsyncClient, Limits, TotalTimeout, UnsupportedCapability, aio
from unifetch.backends import BACKENDS, capabilities, is_installed
from unifetch.backends.base import Capability
from unifetch.testing import Close, Pause, Server, reply

trio = pytest.importorskip("trio", reason="trio is not installed")


@pytest.fixture(params=[name for name, entry in BACKENDS.items() if entry.async_factory])
def awaited(request: pytest.FixtureRequest) -> str:
    """The name of each backend that is awaited, in turn; skips those whose library is not installed."""
    name: str = request.param
    if not is_installed(name):
        pytest.skip(f"the library of {name} is not installed")
    return name


@pytest.fixture
def on_trio(awaited: str) -> str:
    """The same, of those that run under trio; the others are refused, which is tested below."""
    if Capability.TRIO not in capabilities(awaited):
        pytest.skip(f"{awaited} does not declare TRIO")
    return awaited


async def blocks() -> AsyncIterator[bytes]:
    yield b"ab"
    yield b"cd"


async def journeys(url: str, backend: str, tmp_path: Path, **settings: Any) -> list[Any]:
    """What a program does with a client, whatever loop it runs in."""
    async with AsyncClient(backend=backend, limits=Limits(connections=1), **settings) as client:
        seen: list[Any] = [(await client.get(f"{url}/text")).text]
        seen.append((await client.get(f"{url}/redirect")).url.target)
        seen.append((await client.post(f"{url}/echo", body=blocks())).body)
        seen.append((await client.post(f"{url}/echo", body=io.BytesIO(b"file"))).body)
        async with client.stream("GET", f"{url}/lines") as response:
            seen.append([line async for line in response.lines()])
        seen.append((await client.get(f"{url}/busy", retry={"attempts": 2, "backoff": 0.01})).status)
        seen.append((await client.download(f"{url}/text", tmp_path / "file")).size)
        seen.append(dict(client._slots.held))
        return seen


EXPECTED = ["text", "/text", b"abcd", b"file", ["1", "2"], 200, 4, {}]


def answers() -> Any:
    """A script for `journeys`."""
    asked: list[str] = []

    def answer(request: Any) -> Any:
        asked.append(request.target)
        if request.target == "/redirect":
            return reply(302, headers={"Location": "/text"})
        if request.target == "/busy":
            return reply(503 if asked.count("/busy") == 1 else 200)
        if request.target == "/echo":
            return reply(body=request.body)
        return reply(body={"/text": b"text", "/lines": b"1\n2\n"}[request.target])

    return answer


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_uvloop(awaited: str, tls: bool, tmp_path: Path) -> None:
    """Every backend that is awaited works on uvloop."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    authority = servers.certificate_authority()
    settings = {"tls": {"ca_file": authority.ca_file}} if tls else {}
    with Server(answers(), tls=authority.server_context() if tls else None) as server:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            assert EXPECTED == runner.run(journeys(server.url, awaited, tmp_path, **settings))
        server.wait_closed(1)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_trio(on_trio: str, tls: bool, tmp_path: Path) -> None:
    """Those that declare TRIO work there, with all that the client itself waits for."""
    authority = servers.certificate_authority()
    settings = {"tls": {"ca_file": authority.ca_file}} if tls else {}

    async def scenario() -> list[Any]:
        return await journeys(server.url, on_trio, tmp_path, **settings)

    with Server(answers(), tls=authority.server_context() if tls else None) as server:
        assert EXPECTED == trio.run(scenario)
        server.wait_closed(1)


def test_functions_on_trio(on_trio: str) -> None:
    """`unifetch.aio` has a client for each of trio's runs, which ends with it."""

    async def scenario() -> int:
        return (await aio.get(server.url, backend=on_trio)).status

    with Server() as server:
        assert [200, 200] == [trio.run(scenario), trio.run(scenario)]
        assert [1, 2] == [request.connection for request in server.requests]
        server.wait_closed(1)
        server.wait_closed(2)


def test_a_backend_without_trio(backend: str) -> None:
    """It is refused there before anything is sent, and the error names those that have it."""
    if Capability.TRIO in capabilities(backend):
        pytest.skip(f"{backend} declares TRIO")

    async def scenario() -> None:
        async with AsyncClient(backend=backend) as client:
            with pytest.raises(UnsupportedCapability, match=r"trio needs TRIO.*httpx"):
                await client.get(server.url)

    with Server() as server:
        trio.run(scenario)
        assert 0 == server.connections


def test_from_asyncio_to_trio(backend: str) -> None:
    """A backend without TRIO that has served a loop of asyncio is refused each time, and serves asyncio again."""
    if Capability.TRIO in capabilities(backend):
        pytest.skip(f"{backend} declares TRIO")
    client = AsyncClient(backend=backend)

    async def ask() -> list[int]:
        return [(await client.get(server.url)).status for _ in range(2)]

    async def refused() -> None:
        for _ in range(2):
            with pytest.raises(UnsupportedCapability, match=r"trio needs TRIO"):
                await client.get(server.url)

    async def last() -> list[int]:
        async with client:
            return await ask()

    with Server() as server:
        assert [200, 200] == asyncio.run(ask())
        trio.run(refused)
        assert [200, 200] == asyncio.run(last())
        assert [1, 1, 2, 2] == [request.connection for request in server.requests]


def test_the_queue_on_trio(on_trio: str) -> None:
    """Tasks that wait for a connection get it one after the other; one that gives up leaves the queue."""

    async def scenario() -> None:
        async with AsyncClient(backend=on_trio, limits=Limits(connections=1)) as client:

            async def ask(number: int, give_up: bool) -> None:
                with trio.CancelScope() as scope:
                    if give_up:
                        scope.cancel()
                    seen.append((await client.get(f"{server.url}/{number}")).status)

            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(ask, number, number % 3 == 1)
            assert ({}, 0) == (client._slots.held, len(client._slots.queue))

    seen: list[int] = []
    with Server() as server:
        trio.run(scenario)
    assert [200] * 13 == seen


def test_a_cancel_scope_of_trio(on_trio: str) -> None:
    """A request that is cancelled by its scope leaves no connection, and the client goes on."""

    async def scenario() -> None:
        async with AsyncClient(backend=on_trio) as client:
            for path in ("/nothing", "/half"):
                with trio.move_on_after(0.1) as scope:
                    await client.get(f"{server.url}{path}")
                assert scope.cancelled_caught
                assert {} == client._slots.held
            with trio.move_on_after(0.1):
                async with client.stream("GET", f"{server.url}/half") as response:
                    async for _ in response.body:
                        pass
            for connection in (1, 2, 3):
                await trio.to_thread.run_sync(server.wait_closed, connection)
            assert 200 == (await client.get(f"{server.url}/whole")).status

    def answer(request: Any) -> bytes:
        return {"/nothing": b"", "/half": reply(body=b"whole")[:-2], "/whole": reply()}[request.target]

    with Server(answer) as server:
        trio.run(scenario)


def test_the_deadline_on_trio(on_trio: str) -> None:
    """It ends a body that drips."""

    async def scenario() -> None:
        async with AsyncClient(backend=on_trio) as client:
            with pytest.raises(TotalTimeout):
                await client.get(server.url, timeout=0.3)

    def drips() -> Any:
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            yield b"x"
            yield Pause(0.05)

    with Server(lambda request: drips()) as server:
        trio.run(scenario)


def test_a_late_end_of_the_connection_on_trio(on_trio: str) -> None:
    """An idle connection that the server has closed is not used."""

    async def scenario() -> list[int]:
        async with AsyncClient(backend=on_trio) as client:
            first = await client.get(server.url)
            await trio.to_thread.run_sync(server.wait_closed, 1)
            return [first.status, (await client.post(server.url)).status]

    with Server([reply(), Close()], reply()) as server:
        assert [200, 200] == trio.run(scenario)


def test_the_core_imports_neither() -> None:
    """An AsyncClient can be made without asyncio and without trio."""
    import subprocess

    code = "import sys, unifetch; unifetch.AsyncClient('httpx'); print({'asyncio', 'trio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert "set()" == done.stdout.strip()
