"""HTTP/2."""

from __future__ import annotations

import asyncio

from unifetch import AsyncClient, Client
from unifetch.testing import http2

NEEDS = ["h2"]


def main(url: str) -> None:
    # [ask]
    with Client(backend="socket", http2=True) as client:
        response = client.get(url)
        print(response.http_version)  # HTTP/2, or HTTP/1.1 where the server has no other
    # [end]
    assert response.status == 200
    with http2.Server() as server:
        asyncio.run(many(server.url))


async def many(url: str) -> None:
    # [many]
    async with AsyncClient(backend="socket", http2="only") as client:
        answers = await asyncio.gather(*(client.get(f"{url}/{number}") for number in range(20)))
    # [end]
    assert {"HTTP/2"} == {answer.http_version for answer in answers}
