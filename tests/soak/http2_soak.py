"""Hundreds of tasks on few connections of HTTP/2, with faults and cancellations: no answer goes to the wrong stream.

    python tests/soak/http2_soak.py --requests 100000 --tasks 500

The server, a process of its own, allows 50 streams on a connection, so that 500 tasks have about ten. What happens to a
request is drawn from its number. After each batch no slot and no task may be left, and at the end no socket. Nor may
the memory have grown by more than a tenth since the warm-up, which is the first fifth.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from async_soak import resident

from soak import sockets
from unifetch import UnifetchError
from unifetch.aio import AsyncClient
from unifetch.testing import Close, Pause, Script, http2

sys.path.insert(0, str(Path(__file__).parent.parent))

from suspensions import CancelledAt  # beside the tests, not a package

BATCH = 5000
# Of a thousand requests so many meet this; the rest are answered at once.
FAULTS = {
    "late": 60,
    "pieces": 60,
    "silent": 5,
    "refused": 20,
    "reset": 20,
    "reset in the body": 20,
    "malformed": 20,
    "short": 20,
    "goaway": 2,
    "goaway, closed": 2,
    "cut": 2,
}
CANCELLED = 60  # of a thousand, somewhere


def fault_of(number: int) -> str:
    """What happens to the request of this number."""
    drawn = random.Random(number).randrange(1000)
    for fault, share in FAULTS.items():
        drawn -= share
        if drawn < 0:
            return fault
    return "none"


def body_of(number: int) -> bytes:
    """What a request of this number is answered with, and nothing else."""
    return b"%d," % number * (1 + number % 50)


def answer(request: Any) -> Iterator[Script]:
    """The script of a request."""
    number = int(request.target[1:])
    fault, body = fault_of(number), body_of(number)
    head = http2.Head([(":status", "200"), ("content-length", str(len(body)))])
    if fault == "late":
        yield Pause(number % 50 / 1000)
    elif fault == "silent":
        return
    elif fault == "refused":
        yield http2.ResetStream(http2.REFUSED_STREAM)
        return
    elif fault == "reset":
        yield http2.ResetStream(http2.INTERNAL_ERROR)
        return
    elif fault == "malformed":
        yield http2.Head([(":status", "200"), ("connection", "close")], end=True)
        return
    elif fault == "goaway":
        yield http2.GoAway(request.stream)
    elif fault == "goaway, closed":
        yield [http2.GoAway(max(0, request.stream - 2)), Close()]
    elif fault == "cut":
        yield Close()
    yield head
    if fault == "reset in the body":
        yield [http2.Data(body[:3]), http2.ResetStream(http2.INTERNAL_ERROR)]
    elif fault == "short":
        yield http2.Data(body[:-1], end=True)
    elif fault == "pieces":
        yield [http2.Data(body[:2]), Pause(0.005), http2.Data(body[2:], end=True)]
    else:
        yield http2.Data(body, end=True)


def serve() -> None:
    """Be the server, until stdin ends."""
    with http2.Server(answer, settings={http2.MAX_CONCURRENT_STREAMS: 50}, lifetime=3600) as server:
        print(server.url, flush=True)
        sys.stdin.read()
        print(server.connections, flush=True)
        server.errors.clear()


async def soak(url: str, requests: int, tasks: int) -> tuple[Counter[str], list[int]]:
    """Ask, and look at every answer: what came of it, and the bytes of memory after each batch."""
    outcomes: Counter[str] = Counter()
    memory: list[int] = []
    limits = {"connections": tasks, "connections_per_origin": tasks}
    numbers = iter(range(requests))
    async with AsyncClient("socket", http2="only", timeout={"total": 30, "read": 2}, limits=limits) as client:

        async def one(number: int) -> None:
            method = "POST" if number % 7 == 0 else "GET"
            body = {"body": bytes(number * 7919 % 100_000)} if method == "POST" else {}
            try:
                response = await client.request(method, f"{url}/{number}", **body)
            except UnifetchError as error:
                fault = fault_of(number)
                outcomes[f"{fault}: {type(error).__name__}"] += 1
            else:
                if body_of(number) != response.body:
                    raise AssertionError(f"{number} was answered with {response.body[:50]!r}")
                outcomes["answered"] += 1

        async def some(batch: list[int]) -> None:
            for number in iter(lambda: batch.pop() if batch else -1, -1):
                drawn = random.Random(f"cancel {number}").randrange(1000)
                if drawn >= CANCELLED:
                    await one(number)
                    continue
                cancelled = CancelledAt(one(number), 1 + drawn % 12)

                async def whole(each: CancelledAt = cancelled) -> None:
                    await each

                task = asyncio.create_task(whole())
                await asyncio.wait([task])
                if task.cancelled():
                    outcomes["cancelled"] += 1
                else:
                    task.result()  # it was over before, and has counted itself

        while batch := [number for number, _ in zip(numbers, range(BATCH), strict=False)]:
            await asyncio.gather(*(some(batch) for _ in range(tasks)))
            if client._slots.held or len(asyncio.all_tasks()) > 1:
                raise AssertionError("something is left")
            memory.append(resident())
            print(f"{time.strftime('%H:%M:%S')} {outcomes['answered']} answered, {sockets()} sockets", flush=True)
    return outcomes, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--serve", action="store_true")
    given = parser.parse_args()
    if given.serve:
        threading.stack_size(256 * 1024)
        serve()
        return
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        before = sockets()
        outcomes, memory = asyncio.run(soak(url, given.requests, given.tasks))
        gc.collect()
        server.stdin.close()
        print(f"{server.stdout.read().strip()} connections", *map(str, outcomes.most_common()), sep="\n")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"MiB after each batch: {', '.join(f'{size / 2**20:.1f}' for size in memory)}; at most {peak:.1f}")
        if sockets() > before:
            raise AssertionError("sockets are left")
        if memory[-1] > memory[len(memory) // 5] * 1.1:
            raise AssertionError("the memory has grown")


if __name__ == "__main__":
    main()
