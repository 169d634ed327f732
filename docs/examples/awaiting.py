"""AsyncClient and the functions of unifetch.aio: requests, many at once, streams, bodies, files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from unifetch import AsyncClient, Timeout


async def scenario(url: str, directory: Path) -> None:
    # [functions]
    from unifetch.aio import get

    response = await get(f"{url}/data.json", timeout=5)
    assert response.json() == {"page": 2}
    # [end]

    # [client]
    async with AsyncClient(backend="socket", base_url=url) as client:
        response = await client.get("/data.json")
    # [end]
    assert response.backend == "socket"

    # [together]
    patient = Timeout(60, pool=None)  # whoever comes last may have to wait for all the others
    async with AsyncClient(base_url=url, timeout=patient) as client, asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(client.get(path)) for path in ("/", "/new", "/data.json")]
    assert [task.result().status for task in asked] == [200, 200, 200]
    # [end]

    async with AsyncClient(base_url=url) as client:
        await read(client)
        await send(client, directory)


async def read(client: AsyncClient) -> None:
    # [streams]
    async with client.stream("GET", "/file") as response:
        async for piece in response.body:
            print(len(piece), "bytes")

    async with client.stream("GET", "/log") as response:
        assert [line async for line in response.lines()] == ["first", "second", "third"]
    # [end]
    async with client.stream("GET", "/events") as response:
        assert [event.event async for event in response.events()] == ["price", "message"]
    async with client.stream("GET", "/data.json") as response:
        assert (await response.read()).json() == {"page": 2}


async def send(client: AsyncClient, directory: Path) -> None:
    path = directory / "table.csv"
    path.write_bytes(b"1,red\n")

    # [bodies]
    response = await client.post("/echo", body=rows())  # rows() is asynchronous, and yields bytes

    with path.open("rb") as file:
        await client.put("/echo", body=file)

    done = await client.download("/file", directory / "file")
    # [end]
    assert response.json()["body"] == "1,red\n2,green\n"
    assert done.size == (directory / "file").stat().st_size


async def rows() -> AsyncIterator[bytes]:
    yield b"1,red\n"
    await asyncio.sleep(0)
    yield b"2,green\n"


def main(url: str, directory: Path) -> None:
    asyncio.run(scenario(url, directory))
