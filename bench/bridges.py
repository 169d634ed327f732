"""CPU of a request by httpx, httpx2 and requests: their own engine beside the bridge and httpx-aiohttp, in turns.

    python bench/bridges.py --requests 2000 --rounds 5

Each turn is a process's own CPU time, user and system, over so many requests for five bytes. The server is another
process on the same core, as in `run.py` and for its reason; the turns of a client alternate. A figure is the median of
its rounds; own / bridge is the median of the ratios of single rounds, with their quartiles. "No engine" is the library
with a transport that answers at once: what no engine can take off. httpx-aiohttp has a column where it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import statistics
import subprocess
import sys
from importlib import import_module
from time import process_time
from typing import TYPE_CHECKING, Any

from requests import Response
from requests.adapters import HTTPAdapter
from run import machine, pin  # beside this file

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{machine(pin(None))}; {options.rounds} rounds of {options.requests} requests\n")
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
        print("| client | own engine, us | httpx-aiohttp, us | no engine, us | bridge, us | own / bridge |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, (_, makers) in _pairs().items():
            shown = {engine: f"{statistics.median(costs[f'{name}: {engine}']) * 1e6:.0f}" for engine in makers}
            own, bridge = costs[f"{name}: own"], costs[f"{name}: bridge"]
            ratios = [theirs / ours for theirs, ours in zip(own, bridge, strict=True)]
            low, median, high = statistics.quantiles(ratios) if len(ratios) > 1 else ratios * 3
            columns = " | ".join(shown.get(engine, "") for engine in ("own", "httpx-aiohttp", "none", "bridge"))
            print(f"| {name} | {columns} | {median:.2f} ({low:.2f}-{high:.2f}) |")
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

    def session(adapter: HTTPAdapter | None = None) -> requests.Session:
        mounted = requests.Session()
        mounted.trust_env = False  # else most of both is spent on reading the environment
        if adapter is not None:
            mounted.mount("http://", adapter)
        return mounted

    def at_once(library: Any) -> Any:
        fields = [(b"Content-Type", b"text/plain"), (b"Content-Length", b"5")]
        return library.MockTransport(
            lambda request: library.Response(200, headers=fields, stream=library.ByteStream(b"hello"))
        )

    def awaited(library: Any, bridge: Any) -> dict[str, Callable[[], Any]]:
        return {
            "own": lambda: library.AsyncClient(trust_env=False),
            **_by_aiohttp(library),
            "none": lambda: library.AsyncClient(transport=at_once(library)),
            "bridge": lambda: library.AsyncClient(transport=bridge.AsyncTransport()),
        }

    def blocking(library: Any, bridge: Any) -> dict[str, Callable[[], Any]]:
        return {
            "own": lambda: library.Client(trust_env=False),
            "none": lambda: library.Client(transport=at_once(library)),
            "bridge": lambda: library.Client(transport=bridge.Transport()),
        }

    return {
        "httpx": (_ask, blocking(httpx, over_httpx)),
        f"httpx, {TASKS} tasks": (_ask_awaited, awaited(httpx, over_httpx)),
        "httpx2": (_ask, blocking(httpx2, over_httpx2)),
        f"httpx2, {TASKS} tasks": (_ask_awaited, awaited(httpx2, over_httpx2)),
        "requests": (
            _ask,
            {"own": session, "none": lambda: session(_AtOnce()), "bridge": lambda: session(Adapter())},
        ),
    }


def _by_aiohttp(library: Any) -> dict[str, Callable[[], Any]]:
    try:
        transport: Any = import_module({"httpx": "httpx_aiohttp", "httpx2": "httpx_aiohttp.httpx2"}[library.__name__])
    except ImportError:
        return {}
    return {"httpx-aiohttp": lambda: library.AsyncClient(transport=transport.AiohttpTransport())}


class _AtOnce(HTTPAdapter):
    """An adapter of requests that answers at once."""

    def send(self, request: Any, *_: Any, **__: Any) -> Any:
        response = Response()
        response.status_code, response.reason, response.url, response.request = 200, "OK", request.url, request
        response.headers.update({"Content-Type": "text/plain", "Content-Length": "5"})
        response._content, response._content_consumed = b"hello", True
        response.raw = io.BytesIO()
        return response


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
