"""Requests with faults and cancellations through each bridge; what is left of them afterwards, and wrong answers.

    python tests/soak/bridges_soak.py 50000

Each request asks for a name of its own, and its answer says that name. Of eight, five are hit: the
connection is closed or reset, the body is cut off or stalls, or something follows the response; and some are cancelled
or left before their end. The suite runs it with a small number.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import subprocess
import sys
import threading
from importlib import import_module
from typing import Any

from unifetch.testing import Close, Reset, Server, Stall, reply

THREADS = 8
TASKS = 32
ENGINES = ("httpx", "httpx awaited", "httpx2", "httpx2 awaited", "requests")


def answer(request: Any) -> Any:
    """What the server does, by the last digit of the name."""
    name = request.target.encode()
    match int(request.target[-1]):
        case 1:
            return [Close()]
        case 2:
            return [Reset()]
        case 3:
            return [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + name, Close()]
        case 4:
            return [reply(200, name) + reply(200, b"poison")]
        case 5:
            return [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + name, Stall()]
    return reply(200, name)


class Tally:
    """What came of the requests."""

    def __init__(self) -> None:
        self.right = self.wrong = self.failed = self.cancelled = self.surprises = 0

    def count(self, name: str, text: str) -> None:
        if text == name:
            self.right += 1
        else:
            self.wrong += 1

    def fail(self, name: str) -> None:
        self.failed += 1
        self.surprises += name[-1] not in "1235"  # which the server answers as it should

    def __str__(self) -> str:
        went = f"{self.right} right, {self.failed} failed, {self.cancelled} cancelled or left"
        return f"{went}, {self.wrong} wrong, {self.surprises} failed without a reason"


def soak(engine: str, count: int) -> tuple[Tally, dict[str, int]]:
    """Perform so many requests; what came of them, and what there is more of afterwards: descriptors and threads."""
    # A process of its own, so that nothing of the server's is counted.
    serve = [sys.executable, __file__, "serve"]
    with subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        url, tally = server.stdout.readline().strip(), Tally()
        name, _, awaited = engine.partition(" ")
        _soak(name, url, awaited, THREADS, Tally())  # what is there for good: modules, threads that are kept
        before = _held()
        _soak(name, url, awaited, count, tally)
        after = _held()
        server.stdin.close()
    return tally, {what: after[what] - before[what] for what in after}


def _held() -> dict[str, int]:
    gc.collect()
    return {"descriptors": len(os.listdir("/dev/fd")), "threads": threading.active_count()}


def _soak(name: str, url: str, awaited: str, count: int, tally: Tally) -> None:
    if awaited:
        asyncio.run(_soak_awaited(name, url, count, tally))
    else:
        _soak_threads(name, url, count, tally)


def _soak_threads(name: str, url: str, count: int, tally: Tally) -> None:
    library: Any = import_module(name)
    bridge: Any = import_module(f"unifetch.bridges.{name}")
    if name == "requests":
        client = library.Session()
        client.mount("http://", bridge.Adapter(total=10))
        errors = library.RequestException
    else:
        client = library.Client(transport=bridge.Transport(total=10))
        errors = library.TransportError
    lock = threading.Lock()

    def run(number: int) -> None:
        chance = random.Random(number)  # the same each time
        for turn in range(number, count, THREADS):
            path = f"/{turn}-{chance.randrange(8)}"
            try:
                if chance.random() < 0.1:  # nobody waits for the end
                    if name == "requests":
                        client.get(url + path, timeout=20, stream=True).close()
                    else:
                        with client.stream("GET", url + path, timeout=20):
                            pass
                    text = None
                else:
                    text = client.get(url + path, timeout=0.1 if path[-1] == "5" else 20).text
            except errors:
                with lock:
                    tally.fail(path)
                continue
            with lock:
                if text is None:
                    tally.cancelled += 1
                else:
                    tally.count(path, text)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()


async def _soak_awaited(name: str, url: str, count: int, tally: Tally) -> None:
    library: Any = import_module(name)
    bridge: Any = import_module(f"unifetch.bridges.{name}")

    async def run(client: Any, number: int) -> None:
        chance = random.Random(number)  # the same each time
        for turn in range(number, count, TASKS):
            path = f"/{turn}-{chance.randrange(8)}"
            task = asyncio.create_task(client.get(url + path, timeout=0.1 if path[-1] == "5" else 20))
            if chance.random() < 0.2:
                await asyncio.sleep(chance.random() * 0.01)
                task.cancel()
            try:
                tally.count(path, (await task).text)
            except asyncio.CancelledError:
                tally.cancelled += 1
            except library.TransportError:
                tally.fail(path)

    async with library.AsyncClient(transport=bridge.AsyncTransport(total=10)) as client:
        await asyncio.gather(*(run(client, number) for number in range(TASKS)))
    left = len(asyncio.all_tasks()) - 1
    if left:
        raise AssertionError(f"{left} tasks are left")


def main() -> None:
    if sys.argv[1] == "serve":
        with Server(answer, lifetime=3600) as server:
            print(server.url, flush=True)
            sys.stdin.read()
        return
    for engine in ENGINES:
        tally, more = soak(engine, int(sys.argv[1]))
        print(f"{engine}: {tally}; left behind: {more}", flush=True)


if __name__ == "__main__":
    main()
