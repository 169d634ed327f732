"""The same for tasks: hundreds at once, faults in between, and many of them cancelled at a random point.

    python tests/soak/async_soak.py --requests 100000 --tasks 500 --connections 500 --backend socket

The faults are those of `soak.py` and a few more; they, and the cancellations, are drawn from the number of a request.
After each batch no task, slot or place in the queue may be left, and at the end no socket; no exception may have
gone unheard, and the memory may not have grown by more than a tenth since the warm-up, which is the first fifth.
The server is a process of its own, whose memory is not ours. Each batch has a new one: idle connections stay behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import random
import select
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from soak import FAILING, TWICE, answer, fault_of, sockets
from unifetch import ConnectionLost, Timeout, UnifetchError
from unifetch.aio import AsyncClient
from unifetch.backends.base import Capability
from unifetch.testing import Close, OnHead, Pause, RecordedRequest, Script, Server, Step, reply
from unifetch.testing.server import Connection

sys.path.insert(0, str(Path(__file__).parent.parent))

from suspensions import CancelledAt  # beside the tests, not a package

BATCH = 5000  # requests; then all tasks have ended, and everything is looked at
UPLOAD = bytes(200 * 1024)

# What happens to those of a thousand plain answers besides.
MORE = {"is late": 60, "pieces": 40, "refuses the upload": 40, "early bytes": 40}

# What has happened where the server said 408 after the client had looked and before the request was there. Nobody can
# tell it from an answer (RFC 9110 §15.5.9); where the client looks, it is rare.
CROSSED = "408, which crossed the request"

# What a backend that lacks the capability is spared, because it would fail as it says.
SPARED = {
    "early bytes": Capability.NO_POISONING,
    "more than it says": Capability.NO_POISONING,
    "refuses the upload": Capability.EARLY_RESPONSE,
    "not HTTP": Capability.STRICT_HEAD,
    "cut head": Capability.STRICT_HEAD,
    "short chunks": Capability.STRICT_CHUNKS,
}


# --- The server -----------------------------------------------------------------------------------


def fault(number: int) -> str:
    """What happens to the request of this number."""
    usual = fault_of(number)
    drawn = random.Random(f"more {number}").randrange(1000)
    for more, share in MORE.items():
        drawn -= share
        if drawn < 0 and usual == "none":
            return more
    return usual


class TimesOut(Step):
    """Says 408 on a connection that has been idle for a while, and closes it, as servers do; no request has asked."""

    def run(self, connection: Connection) -> None:
        asked, _, _ = select.select([connection.socket], [], [], 0.02)
        if not asked:
            connection.send(reply(408, b"to nobody", {"Connection": "close"}))
            connection.play(Close())


def answer_more(request: RecordedRequest) -> Script:
    """The script for a request."""
    _, _, path = request.target.partition("/")
    number = int(path.rpartition("/")[2])
    body = b"%d" % number * 20
    scripts: dict[str, Script] = {
        "is late": [Pause(number % 50 / 1000), reply(200, body)],
        "pieces": [reply(200, body)[:40], Pause(0.005), reply(200, body)[40:-5], Pause(0.005), body[-5:]],
        "refuses the upload": [reply(413, body, {"Connection": "close"}), Close()],
        "early bytes": [reply(200, body), TimesOut()],
    }
    if path.startswith("plain/"):
        return reply(200, body)
    return answer(request) if path.startswith("again/") else scripts.get(fault(number)) or answer(request)


def serve() -> None:
    """A new server for each line that comes, whose URL is printed; the one before ends."""
    with contextlib.ExitStack() as stack:
        for _ in sys.stdin:
            stack.close()
            print(stack.enter_context(Server(OnHead(answer_more), lifetime=3600)).url, flush=True)


@contextlib.contextmanager
def serving() -> Iterator[subprocess.Popen[str]]:
    """The server, in a process of its own."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def next_url(server: subprocess.Popen[str]) -> str:
    """Where the requests of the next batch go."""
    assert server.stdin is not None
    assert server.stdout is not None
    print(file=server.stdin, flush=True)
    return server.stdout.readline().strip()


# --- The client -----------------------------------------------------------------------------------


class Soak:
    """A client in use by many tasks, and what came of their requests.

    Args:
        client: what is asked.
        spared: the faults that its backend is spared.
    """

    def __init__(self, client: AsyncClient, spared: set[str]) -> None:
        self.client = client
        self.spared = spared
        self.outcomes: Counter[str] = Counter()
        self.held = 0  # slots at once, at most
        self._url = ""

    async def batch(self, url: str, numbers: range, tasks: int) -> None:
        """All requests of these numbers, by so many tasks; then nothing of them may be left."""
        self._url = url
        left = iter(numbers)
        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(self._work(left))
        others = asyncio.all_tasks() - {asyncio.current_task()}
        slots = self.client._slots
        assert (set(), {}, 0) == (others, slots.held, len(slots.queue)), f"left: {others}, {slots.held}, {slots.queue}"

    async def _work(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            self.outcomes[await self._one(number)] += 1
            await asyncio.sleep(number % 7 / 200)  # so that connections become idle

    async def _one(self, number: int) -> str:
        draw = random.Random(f"cancel {number}")
        work: Any = self._ask(number)
        kind = draw.randrange(10)
        cancelled = CancelledAt(work, draw.randint(1, 9)) if kind == 0 else None
        task = asyncio.create_task(_awaited(cancelled or work))
        if kind == 1:
            await asyncio.sleep(draw.random() / 10)
            task.cancel()
        await asyncio.wait([task])
        assert cancelled is None or not cancelled.reached or task.cancelled(), (
            f"{number} went on after it was cancelled"
        )
        return "cancelled" if task.cancelled() else task.result()

    async def _ask(self, number: int) -> str:
        # What came of it; an AssertionError if that is not what the server did.
        happens = fault(number)
        path = "plain/" if happens in self.spared else ""
        happens = "none" if path else happens
        expected = b"" if happens == "no content" else b"%d" % number * 20
        failure: UnifetchError | None = None
        status, body = 0, b""
        try:
            status, body = await self._response(f"{self._url}/{path}{number}", number, happens, expected)
        except UnifetchError as error:
            failure = error
        self.held = max(self.held, len(self.client._slots.held))
        if (status, body) == (408, b"to nobody"):
            return CROSSED
        if isinstance(failure, ConnectionLost) and failure.reused and happens not in FAILING:
            return TWICE
        assert (failure is not None) == (happens in FAILING), f"{number} ({happens}) gave {failure!r}, {body!r}"
        if failure is not None:
            return type(failure).__name__
        assert body == expected, f"{number} ({happens}) got {body!r}"
        return str(status)

    async def _response(self, url: str, number: int, happens: str, expected: bytes) -> tuple[int, bytes]:
        if happens == "refuses the upload":
            whole = await self.client.put(url, body=UPLOAD if number % 2 else _blocks())
        elif number % 5 == 0:
            async with self.client.stream("GET", url) as stream:
                return stream.status, b"".join([piece async for piece in stream.body])
        elif number % 97 == 0 and happens not in FAILING:
            async with self.client.stream("GET", url) as stream:
                begun = await anext(stream.body, b"")  # and leave the rest
                return stream.status, expected if expected.startswith(begun) else begun
        else:
            whole = await self.client.get(url)
        return whole.status, whole.body


async def _awaited(work: Any) -> Any:
    return await work


async def _blocks() -> AsyncIterator[bytes]:
    for start in range(0, len(UPLOAD), 20_000):
        yield UPLOAD[start : start + 20_000]


# --- The whole ------------------------------------------------------------------------------------


def resident() -> int:
    """Bytes of memory that this process has in use, where the system tells.

    What has been freed goes back to the system first: how much of it the allocator of C keeps depends on which of two
    neighbours was freed last, and swings by a quarter from batch to batch.
    """
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


class Report:
    """What a soak came to.

    Attributes:
        outcomes: how many requests ended how.
        held: slots that were held at once, at most.
        memory: bytes after each batch.
    """

    def __init__(self, outcomes: Counter[str], held: int, memory: list[int]) -> None:
        self.outcomes = outcomes
        self.held = held
        self.memory = memory


def soak(
    backend: str, numbers: range, *, tasks: int, connections: int, patience: float = 2, seconds: float = 60
) -> Report:
    """Run it.

    Args:
        backend: its name.
        numbers: of the requests; the same numbers meet the same faults.
        tasks, connections: how many at once.
        patience: seconds for which a read is waited for.
        seconds: after which it has failed.

    Raises:
        AssertionError: if an answer was wrong or anything was left.
        TimeoutError: it did not end in time.
    """
    before = sockets()
    unheard: list[object] = []
    sys.unraisablehook, hook = unheard.append, sys.unraisablehook
    try:
        with serving() as server, warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            report = asyncio.run(_soak(backend, numbers, tasks, connections, patience, seconds, server, unheard))
            gc.collect()
    finally:
        sys.unraisablehook = hook
    unheard += [warning.message for warning in warned]
    assert not unheard, f"unheard: {unheard[:5]}"
    left = sockets() - before
    assert left == 0, f"{left} sockets are left open"
    return report


async def _soak(
    backend: str,
    numbers: range,
    tasks: int,
    connections: int,
    patience: float,
    seconds: float,
    server: subprocess.Popen[str],
    unheard: list[object],
) -> Report:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    limits = {"connections": connections, "connections_per_origin": connections}
    timeout = Timeout(120, read=patience, pool=60)
    memory = []
    async with asyncio.timeout(seconds), AsyncClient(backend, limits=limits, timeout=timeout, proxy=None) as client:
        able = client.backend.capabilities
        run = Soak(client, {name for name, capability in SPARED.items() if capability not in able})
        for start in range(0, len(numbers), BATCH):
            await run.batch(next_url(server), numbers[start : start + BATCH], tasks)
            memory.append(resident())
    return Report(run.outcomes, run.held, memory)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the server")
    parser.add_argument("--backend", default="socket")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="which requests: other numbers meet other faults")
    parser.add_argument("--seconds", type=float, default=3600, help="after which it has failed")
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    started = time.monotonic()
    numbers = range(options.seed * 10_000_000, options.seed * 10_000_000 + options.requests)
    asked = {"tasks": options.tasks, "connections": options.connections, "seconds": options.seconds}
    report = soak(options.backend, numbers, patience=5, **asked)
    for outcome, count in report.outcomes.most_common():
        print(f"{count:8} {outcome}")
    warm, last = report.memory[len(report.memory) // 5], report.memory[-1]
    print(f"{report.held} at once; MiB after each batch: {', '.join(f'{size / 2**20:.1f}' for size in report.memory)}")
    print(f"{options.requests} requests in {time.monotonic() - started:.0f} s, no wrong answer, nothing left")
    assert last <= warm * 1.1, "the memory has grown"
    early = sum(fault(number) == "early bytes" for number in numbers)
    assert report.outcomes[CROSSED] <= early / 10, f"of {early} answers that nobody had asked for, too many were taken"
    assert report.outcomes[TWICE] <= len(numbers) / 1000, "too many requests were lost"
    return 0


if __name__ == "__main__":
    sys.exit(main())
