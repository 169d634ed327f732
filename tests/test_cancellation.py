"""Cancellation is a promise: at whichever await a task is cancelled, nothing of what it began is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import servers
from suspensions import cancel_everywhere
from unifetch import AsyncClient
from unifetch.backends import BACKENDS, is_installed
from unifetch.testing import Drip, Pause, Server, reply

AWAITED = [name for name, entry in BACKENDS.items() if entry.async_factory]


@pytest.fixture(params=AWAITED)
def awaited(request: pytest.FixtureRequest) -> str:
    """The name of each backend that is awaited, in turn; skips those whose library is not installed."""
    name: str = request.param
    if not is_installed(name):
        pytest.skip(f"the library of {name} is not installed")
    return name


def sockets() -> int:
    """How many sockets this process has open, where it can be told."""
    directory = Path("/proc/self/fd")
    if not directory.exists():
        return 0
    count = 0
    for descriptor in list(directory.iterdir()):
        with contextlib.suppress(OSError):  # closed meanwhile
            count += os.readlink(descriptor).startswith("socket:")
    return count


async def get(client: AsyncClient, url: str) -> None:
    response = await client.get(f"{url}/get")

    assert b"0123456789" == response.body


async def get_in_pieces(client: AsyncClient, url: str) -> None:
    response = await client.get(f"{url}/pieces")

    assert b"first second" == response.body


async def post(client: AsyncClient, url: str) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        await asyncio.sleep(0)
        yield b"y" * 100_000

    response = await client.post(f"{url}/post", body=blocks())

    assert b"0123456789" == response.body


async def redirect(client: AsyncClient, url: str) -> None:
    response = await client.get(f"{url}/redirect")

    assert (1, b"0123456789") == (len(response.history), response.body)


async def stream(client: AsyncClient, url: str) -> None:
    async with client.stream("GET", f"{url}/pieces") as response:
        assert b"first second" == b"".join([piece async for piece in response.body])


def answer(request: Any) -> Any:
    """What the scripted server says to each."""
    if request.target == "/redirect":
        return reply(302, b"moved", {"Location": "/get"})
    if request.target == "/pieces":
        return pieces()
    return reply(body=b"0123456789")


def pieces() -> Iterator[Any]:
    yield b"HTTP/1.1 200 OK\r\nContent-"
    yield Pause(0.002)
    yield b"Length: 12\r\n\r\n"
    yield Pause(0.002)
    yield Drip(b"first ", 0.0)
    yield Pause(0.002)
    yield b"second"


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize("ask", [get, get_in_pieces, post, redirect, stream])
def test_at_every_await(awaited: str, ask: Any, kept: bool, tls: bool) -> None:
    """Cancelled at its first suspension, its second, …: no socket, no task, no slot, and the client goes on."""
    context: ssl.SSLContext | None = None
    settings: dict[str, Any] = {}
    if tls:
        context = servers.certificate_authority().server_context()
        settings["tls"] = {"ca_file": servers.certificate_authority().ca_file}

    async def scenario(url: str) -> int:
        unhandled: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        client = AsyncClient(backend=awaited, timeout=10, **settings)
        before = sockets()

        async def begin() -> None:
            await ask(client, url)

        async def check(count: int) -> None:
            nonlocal client
            assert {} == client._slots.held, f"a slot is held after suspension {count}"
            others = {task.get_coro() for task in asyncio.all_tasks() if task is not asyncio.current_task()}
            assert not others, f"after suspension {count} these go on: {others}"
            if kept:
                await get(client, url)  # a connection for the next to begin with
                return
            await client.close()
            await settled(lambda: sockets() <= before, f"sockets are open after suspension {count}")
            client = AsyncClient(backend=awaited, timeout=10, **settings)

        if kept:
            await get(client, url)
        cancelled = await cancel_everywhere(begin, check)
        await client.close()
        await settled(lambda: sockets() <= before, "sockets are open at the end")
        gc.collect()
        assert [] == unhandled
        return cancelled

    with Server(answer, tls=context, lifetime=100) as server:
        cancelled = asyncio.run(scenario(server.url))
        server.errors.clear()  # of uploads that were cut off

    assert cancelled > 0 or kept  # on a kept connection the answer may be there before anybody has to wait


async def settled(condition: Any, complaint: str) -> None:
    """Wait until this holds: a transport is closed by the loop in its next turns."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(complaint)
