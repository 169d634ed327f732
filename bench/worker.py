"""One client in a process of its own, which lives as long as the run and performs one turn after the other.

    python worker.py CLIENT [async]

It reads a turn as a line of JSON (`action`, `url`, `count`, `size`, `tasks`, `file`), and writes what it cost:
`cpu`, in seconds of this process, user and system together, `wall`, in seconds on the clock, and `grown`, the bytes
by which its memory was larger, at its peak, than before the first such turn. Everything before the clock starts is
unpaid: the connections and caches that a program that has run for a while would have.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from contextlib import suppress
from itertools import count as numbers
from pathlib import Path
from time import perf_counter, process_time

from clients import make

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

THREADS = 8
VALUE = {  # 1 KiB of JSON
    "id": 4711,
    "name": "a value of ordinary shape",
    "active": True,
    "parent": None,
    "ratio": 0.625,
    "tags": ["alpha", "beta", "gamma", "delta"],
    "address": {"street": "1 Example Street", "city": "Springfield", "postcode": "12345"},
    "items": [{"sku": f"AB-{at:04}", "count": at, "price": at * 1.25, "note": "in stock"} for at in range(13)],
}


def main(name: str, kind: str = "") -> None:
    try:
        client = _make(name, kind)
    except Exception as error:  # noqa: BLE001  # whatever keeps a client from being measured is told to the driver
        _say({"error": f"{type(error).__name__}: {error}"})
        return
    _say({"version": client.version})
    bases: dict[str, int] = {}
    for line in sys.stdin:
        turn = json.loads(line)
        try:
            _say(_cost(client, turn, bases))
        except Exception as error:  # noqa: BLE001  # as above
            _say({"error": f"{type(error).__name__}: {error}"})


def _make(name: str, kind: str) -> Any:
    if kind == "async":
        from async_clients import make as make_async

        return make_async(name)
    return make(name)


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def _cost(client: Any, turn: dict[str, Any], bases: dict[str, int]) -> dict[str, Any]:
    if turn["action"] == "tasks":
        from asyncio import run

        return run(_tasks(client, turn))
    perform = ACTIONS[turn["action"]](client, turn)
    gc.collect()
    base = bases.setdefault(f"{turn['action']} {turn['url']}", _memory("VmRSS"))
    _forget_peak()
    start, began = process_time(), perf_counter()
    perform()
    cpu, wall = process_time() - start, perf_counter() - began
    return {"cpu": cpu, "wall": wall, "grown": max(0, _memory("VmHWM") - base)}


# --- What a turn does: each prepares, and returns what is measured ----------------------------------


def _get(client: Any, turn: dict[str, Any]) -> Callable[[], None]:
    return _gets(client.get, turn)


def _once(client: Any, turn: dict[str, Any]) -> Callable[[], None]:
    return _gets(client.get_once, turn)


def _gets(get: Callable[[str], bytes], turn: dict[str, Any]) -> Callable[[], None]:
    url = turn["url"]
    for _ in range(3):
        _expect(turn, len(get(url)))

    def perform() -> None:
        for _ in range(turn["count"]):
            get(url)

    return perform


def _body(client: Any, turn: dict[str, Any]) -> Callable[[], None]:
    # A large body is not fetched beforehand: the memory of the first must be seen.
    return lambda: _expect(turn, len(client.get(turn["url"])))


def _unique(client: Any, turn: dict[str, Any]) -> Callable[[], None]:
    get = client.get
    _expect(turn, len(get(turn["url"])))
    urls = [f"{turn['url']}?n={next(_number)}" for _ in range(turn["count"])]

    def perform() -> None:
        for url in urls:
            get(url)

    return perform


_number = numbers()


def _threads(client: Any, turn: dict[str, Any]) -> Callable[[], None]:
    # Each thread asks once before the clock starts; then all start together, and all must have ended.
    get, url, failures = client.get, turn["url"], []
    barrier = threading.Barrier(THREADS + 1)

    def work() -> None:
        try:
            _expect(turn, len(get(url)))
            barrier.wait()
            barrier.wait()
            for _ in range(turn["count"] // THREADS):
                get(url)
            barrier.wait()
        except Exception as error:  # noqa: BLE001  # raised again in the main thread
            failures.append(error)
            barrier.abort()

    def wait() -> None:
        try:
            barrier.wait()
        except threading.BrokenBarrierError:
            raise failures[0] from None

    for _ in range(THREADS):
        threading.Thread(target=work, daemon=True).start()

    def perform() -> None:
        wait()
        wait()

    wait()
    return perform


async def _tasks(client: Any, turn: dict[str, Any]) -> dict[str, Any]:
    # Each task asks a few times before the clock starts, which opens its connection; then all take from one heap.
    from asyncio import TaskGroup

    get, url = client.get, turn["url"]

    async def work(left: Iterator[int]) -> None:
        for _ in left:
            await get(url)

    async def warm() -> None:
        for _ in range(3):
            _expect(turn, len(await get(url)))

    async with client:
        async with TaskGroup() as group:
            for _ in range(turn["tasks"]):
                group.create_task(warm())
        gc.collect()
        left = iter(range(turn["count"]))
        start, began = process_time(), perf_counter()
        async with TaskGroup() as group:
            for _ in range(turn["tasks"]):
                group.create_task(work(left))
        return {"cpu": process_time() - start, "wall": perf_counter() - began, "grown": 0}


def _post(client: Any, turn: dict[str, Any]) -> Callable[[], None]:
    post, url = client.post, turn["url"]
    if json.loads(post(url, VALUE)) != VALUE:
        raise ValueError("the JSON did not arrive as it was sent")

    def perform() -> None:
        for _ in range(turn["count"]):
            post(url, VALUE)

    return perform


def _stream(client: Any, turn: dict[str, Any]) -> Callable[[], None]:
    def perform() -> None:
        size = client.stream(turn["url"])
        if size < turn["size"]:  # more, where the raw loop counts the framing
            raise ValueError(f"{size} bytes came, and not {turn['size']}")

    client.get(turn["url"].partition("/stream")[0].partition("/chunked")[0] + "/5")
    return perform


def _upload(client: Any, turn: dict[str, Any]) -> Callable[[], None]:
    client.get(turn["url"].replace("/upload", "/5"))

    def perform() -> None:
        with Path(turn["file"]).open("rb") as file:
            client.upload(turn["url"], file)

    return perform


def _expect(turn: dict[str, Any], size: int) -> None:
    if turn["size"] is not None and size != turn["size"]:
        raise ValueError(f"{size} bytes came, and not {turn['size']}")


ACTIONS: dict[str, Callable[[Any, dict[str, Any]], Callable[[], None]]] = {
    "get": _get,
    "unique": _unique,
    "post": _post,
    "threads": _threads,
    "once": _once,
    "stream": _stream,
    "upload": _upload,
    "body": _body,
}


# --- Memory, where the kernel tells -----------------------------------------------------------------


def _memory(field: str) -> int:
    # Not getrusage's: the peak that it tells began with the parent's memory, and cannot be reset.
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return 0
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024


def _forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # proc(5)


if __name__ == "__main__":
    main(*sys.argv[1:])
