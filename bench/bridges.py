"""CPU of a request by httpx, httpx2 and requests: their own engine beside the bridge, in turns.

    python bench/bridges.py --requests 2000 --rounds 5

Each turn is a process's own CPU time, user and system, over so many requests for five bytes, and the server runs in
another process. The figure of a pair is the median of its rounds; the turns of a pair alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
from time import process_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        costs: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for name, (ask, makers) in _pairs().items():
                for engine, make in makers.items():
                    costs.setdefault(f"{name}: {engine}", []).append(ask(make, url, options.requests))
        medians = {name: statistics.median(values) for name, values in costs.items()}
        print(f"{'':30} {'own, us':>10} {'bridge, us':>10} {'ratio':>6}")
        for name in _pairs():
            own, bridge = medians[f"{name}: own"] * 1e6, medians[f"{name}: bridge"] * 1e6
            print(f"{name:30} {own:10.0f} {bridge:10.0f} {own / bridge:6.2f}")
    finally:
        server.kill()
        server.wait()


# Written once for each connection and read without parsing: what is measured is the client.
SERVER = """
import asyncio
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 5\\r\\n\\r\\nhello"
class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.left = transport, b""
    def data_received(self, data):
        data = self.left + data
        heads = data.count(b"\\r\\n\\r\\n")
        self.left = data.rpartition(b"\\r\\n\\r\\n")[2]
        self.transport.write(ANSWER * heads)
async def serve():
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    await server.serve_forever()
asyncio.run(serve())
"""


def _pairs() -> dict[str, tuple[Callable[[Any, str, int], float], dict[str, Callable[[], Any]]]]:
    import httpx
    import httpx2
    import requests

    from unifetch.bridges import httpx as over_httpx
    from unifetch.bridges import httpx2 as over_httpx2
    from unifetch.bridges.requests import Adapter

    def session(adapter: Adapter | None = None) -> requests.Session:
        mounted = requests.Session()
        mounted.trust_env = False  # else most of both is spent on reading the environment
        if adapter is not None:
            mounted.mount("http://", adapter)
        return mounted

    def awaited(library: Any, bridge: Any) -> dict[str, Callable[[], Any]]:
        return {
            "own": lambda: library.AsyncClient(trust_env=False),
            "bridge": lambda: library.AsyncClient(transport=bridge.AsyncTransport()),
        }

    def blocking(library: Any, bridge: Any) -> dict[str, Callable[[], Any]]:
        return {
            "own": lambda: library.Client(trust_env=False),
            "bridge": lambda: library.Client(transport=bridge.Transport()),
        }

    return {
        "httpx": (_ask, blocking(httpx, over_httpx)),
        f"httpx, {TASKS} tasks": (_ask_awaited, awaited(httpx, over_httpx)),
        "httpx2": (_ask, blocking(httpx2, over_httpx2)),
        f"httpx2, {TASKS} tasks": (_ask_awaited, awaited(httpx2, over_httpx2)),
        "requests": (_ask, {"own": session, "bridge": lambda: session(Adapter())}),
    }


def _ask(make: Callable[[], Any], url: str, count: int) -> float:
    with make() as client:
        client.get(url)
        began = process_time()
        for _ in range(count):
            assert client.get(url).content == b"hello"
        return (process_time() - began) / count


def _ask_awaited(make: Callable[[], Any], url: str, count: int) -> float:
    async def one(client: Any, each: int) -> None:
        for _ in range(each):
            assert (await client.get(url)).content == b"hello"

    async def all_of_them() -> float:
        async with make() as client:
            await asyncio.gather(*(one(client, 1) for _ in range(TASKS)))
            began = process_time()
            await asyncio.gather(*(one(client, max(1, count // TASKS)) for _ in range(TASKS)))
            return (process_time() - began) / (max(1, count // TASKS) * TASKS)

    return asyncio.run(all_of_them())


if __name__ == "__main__":
    main()
