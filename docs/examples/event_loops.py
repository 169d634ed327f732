"""What an event loop asks of a client: backends in tasks, timeouts, and a library that can only be awaited."""

from __future__ import annotations

import asyncio

from unifetch import AsyncClient, Client, use_backend
from unifetch.aio import get

NEEDS = ["aiohttp"]


async def scenario(url: str) -> None:
    # [tasks]
    with use_backend("aiohttp"):
        first = asyncio.create_task(get(url))  # it keeps what holds where it begins
    with use_backend("socket"):
        second = asyncio.create_task(get(url))
    assert [(await first).backend, (await second).backend] == ["aiohttp", "socket"]
    # [end]

    async with AsyncClient(backend="socket", base_url=url) as client:
        # [cancel]
        try:
            async with asyncio.timeout(0.2):
                await client.get("/slow")
        except TimeoutError:
            print("the request was cancelled, its connection is closed")
        # [end]
        else:
            raise AssertionError


def main(url: str) -> None:
    asyncio.run(scenario(url))

    with Client(backend="aiohttp", base_url=url) as client:  # a Client: nothing here is awaited
        response = client.get("/data.json")
    assert response.backend == "aiohttp"
