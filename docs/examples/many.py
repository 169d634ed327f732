"""Many requests at once, in threads and awaited."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from hashlib import sha256

from unifetch import Request, Response, Result, aio, fetch_all


# [digest]
def digest(result: Result[Response[bytes]]) -> str:
    return sha256(result.unwrap().body).hexdigest()


# [end]


# [async]
async def show(urls: list[str]) -> None:
    async with aclosing(aio.fetch_all(urls, concurrency=100, ordered=False)) as results:
        async for result in results:
            print(result.index, result.unwrap().status)
            if result.index == 7:
                break  # at the end of the block, the other requests are cancelled, and have ended


# [end]


def main(url: str) -> None:
    # [threads]
    urls: list[str | Request] = [f"{url}/data.json", f"{url}/missing", "htp://example.org/"]
    urls.append(Request("PUT", f"{url}/echo", body=b"1"))

    for result in fetch_all(urls, concurrency=20, per_origin=5, retry=3):
        if result.error is not None:
            print(f"{result.url}: {result.error}")  # htp://example.org/: a URL must start with http:// …
        else:
            print(f"{result.url}: {result.unwrap().status}")  # 200, 404, 200
    # [end]
    statuses = [result.response and result.response.status for result in fetch_all(urls)]
    assert statuses == [200, 404, None, 200]

    pages = [f"{url}/echo?{number}" for number in range(20)]
    # [sink]
    for digested in fetch_all(pages, sink=digest, ordered=False):
        print(digested.unwrap(), digested.url)
    # [end]
    asyncio.run(show(pages))
