"""The same client under trio."""

from __future__ import annotations

import trio

from unifetch import AsyncClient

NEEDS = ["httpx", "trio"]


# [trio]
async def ask(url: str) -> int | None:
    async with AsyncClient(backend="httpx", base_url=url) as client:
        with trio.move_on_after(5):
            return (await client.get("/data.json")).status
    return None


# [end]


def main(url: str) -> None:
    status = trio.run(ask, url)
    assert status == 200
