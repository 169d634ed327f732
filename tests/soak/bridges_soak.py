"""Many requests through each bridge, with faults and cancellations: no answer may go to the wrong request.

    python tests/soak/bridges_soak.py --requests 50000

Each request carries its number, and each good answer repeats it. At the end no socket may be left open.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import random
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import httpx2
import requests

from unifetch.bridges import httpx as over_httpx
from unifetch.bridges import httpx2 as over_httpx2
from unifetch.bridges.requests import Adapter
from unifetch.testing import Close, RecordedRequest, Reset, Script, Server, reply

FAULTS: dict[str, Script] = {
    "closes": Close(),
    "resets": Reset(),
    "short body": [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", Close()],
    "short chunks": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", Close()],
    "more than it says": reply(200, b"more") + reply(200, b"of another"),
    "not HTTP": b"SSH-2.0-x\r\n",
}


def answer(request: RecordedRequest) -> Script:
    number = int(request.target[1:])
    drawn = random.Random(number)
    if drawn.random() < 0.1:
        return drawn.choice(list(FAULTS.values()))
    return reply(200, request.target[1:].encode())


def judged(number: int, body: bytes, counts: Counter[str]) -> None:
    if body not in (b"%d" % number, b"more"):
        raise SystemExit(f"request {number} was answered with {body!r}")
    counts["answered"] += 1


def blocking(client: Any, failures: tuple[type[Exception], ...], url: str, numbers: range) -> Counter[str]:
    counts: Counter[str] = Counter()

    def one(number: int) -> None:
        try:
            judged(number, client.get(f"{url}/{number}", timeout=10).content, counts)
        except failures:
            counts["failed"] += 1

    with client, ThreadPoolExecutor(8) as pool:
        list(pool.map(one, numbers))
    return counts


async def awaited(client: Any, failure: type[Exception], url: str, numbers: range) -> Counter[str]:
    counts: Counter[str] = Counter()
    left = iter(numbers)

    async def worker() -> None:
        for number in left:
            try:
                within = 0.001 if number % 20 == 0 else 10  # cancelled somewhere
                async with asyncio.timeout(within):
                    judged(number, (await client.get(f"{url}/{number}", timeout=10)).content, counts)
            except TimeoutError:
                counts["cancelled"] += 1
            except failure:
                counts["failed"] += 1

    async with client:
        await asyncio.gather(*(worker() for _ in range(16)))
    return counts


def sockets() -> int:
    gc.collect()
    found = 0
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{each}").startswith("socket:")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=2000)
    numbers = range(parser.parse_args().requests)
    for name in ("httpx", "httpx awaited", "httpx2", "httpx2 awaited", "requests"):
        before = sockets()
        with Server(answer, lifetime=3600) as server:
            if name == "requests":
                session = requests.Session()
                session.mount("http://", Adapter())
                counts = blocking(session, (requests.RequestException,), server.url, numbers)
            else:
                library: Any = httpx2 if "2" in name else httpx
                bridge: Any = over_httpx2 if "2" in name else over_httpx
                if "awaited" in name:
                    client = library.AsyncClient(transport=bridge.AsyncTransport())
                    counts = asyncio.run(awaited(client, library.TransportError, server.url, numbers))
                else:
                    client = library.Client(transport=bridge.Transport())
                    counts = blocking(client, (library.TransportError,), server.url, numbers)
        left = sockets() - before
        print(f"{name}: {dict(counts)}, {sum(counts.values())} in all, {left} sockets left")
        if left > 0 or sum(counts.values()) != len(numbers):
            sys.exit(1)


if __name__ == "__main__":
    main()
