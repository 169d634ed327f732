"""Measures clients side by side: CPU time per request, as ratios, on one core, in turns.

    python bench/run.py small5 tls --clients raw,urllib3,httpx,unifetch:httpx --rounds 9

bench/README.md says what is measured, and what the figures do not say. It needs an operating system that
tells the time of a process (any), and one that can pin it to a core (Linux) for figures worth keeping.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles

import cold

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HERE = Path(__file__).parent
MIB = 1024**2
GIB = 1024**3


class Case:
    """What is done in one turn.

    Attributes:
        title: a few words for the head of the table.
        action: the action of the worker.
        path: what is asked for; `{size}` in it is the size of the body.
        count: requests in one turn.
        size: bytes of the body; None where the client decides what it returns (compressed, or JSON).
        bulk: whether the cost is given for bytes, and memory beside it, rather than for requests.
        tls: whether it goes over https.
        tasks: by how many tasks of one event loop; 0 for the clients that are not awaited.
    """

    def __init__(
        self,
        title: str,
        action: str,
        path: str,
        count: int = 1,
        *,
        size: int | None = 13,
        bulk: bool = False,
        tls: bool = False,
        tasks: int = 0,
    ) -> None:
        self.title = title
        self.action = action
        self.path = path
        self.count = count
        self.size = size
        self.bulk = bulk
        self.tls = tls
        self.tasks = tasks


CASES = {
    "small5": Case("GET, 5 response headers, keep-alive", "get", "/5", 2000),
    "small20": Case("GET, 20 response headers, keep-alive", "get", "/20", 2000),
    "varied20": Case("GET, 20 response headers, one of them new each time", "get", "/varied", 2000),
    "unique": Case("GET, a new URL each time", "unique", "/5", 2000),
    "post1k": Case("POST of 1 KiB JSON, echoed", "post", "/echo", 2000, size=None),
    "tls": Case("GET over TLS, keep-alive", "get", "/5", 2000, tls=True),
    "threads8": Case("GET, one client shared by 8 threads", "threads", "/5", 2000),
    "oneshot": Case("GET by the library's function, http", "once", "/5", 400),
    "oneshot-tls": Case("GET by the library's function, https", "once", "/5", 10, tls=True),
    "download": Case("download in pieces, by length", "stream", "/stream?size={size}", size=GIB, bulk=True),
    "upload": Case("upload from a file", "upload", "/upload", size=GIB, bulk=True),
    "body": Case("body in memory", "body", "/stream?size={size}", size=100 * MIB, bulk=True),
    "chunked256": Case("chunks of 256 B", "stream", "/chunked?size=256&total={size}", size=32 * MIB, bulk=True),
    "chunked4096": Case("chunks of 4 KiB", "stream", "/chunked?size=4096&total={size}", size=128 * MIB, bulk=True),
    "chunked16384": Case("chunks of 16 KiB", "stream", "/chunked?size=16384&total={size}", size=256 * MIB, bulk=True),
    "gzip": Case("10 MB of JSON, compressed", "get", "/gzip?size=10000000", 3, size=None),
    "async1": Case("GET, one task", "tasks", "/5", 2000, tasks=1),
    "async64": Case("GET, 64 tasks", "tasks", "/5", 2000, tasks=64),
    "async1000": Case("GET, 1,000 tasks", "tasks", "/5", 2000, tasks=1000),
}
GROUPS = {
    "small": ("small5", "small20"),
    "requests": ("small5", "small20", "varied20", "unique", "post1k", "tls", "threads8"),
    "async": ("async1", "async64", "async1000"),
    "chunked": ("chunked256", "chunked4096", "chunked16384"),
    "bulk": ("download", "upload", "body", "chunked256", "chunked4096", "chunked16384", "gzip"),
    "all": (*CASES, "cold"),
}
QUICK_SIZE = MIB  # bytes of a body with --quick, at most

# The ordinary call that each backend is held against: unifetch must not cost more than what it runs on.
OWN = {
    "urllib": "urllib",
    "urllib3": "urllib3",
    "requests": "requests",
    "httpx": "httpx",
    "httpx2": "httpx2",
    "socket": "raw",
    "aiohttp": "aiohttp",
}
_BLOCKING = [backend for backend in OWN if backend != "aiohttp"]
_AWAITED = ["socket", "aiohttp", "httpx2", "httpx"]

# What --before adds to the name of a client that runs on an older source tree.
BEFORE = "@before"

# Of the clients that block, and of those that are awaited: all, and whom the others are held against.
CLIENTS = (
    ["pycurl", *(OWN[backend] for backend in _BLOCKING), *(f"unifetch:{backend}" for backend in _BLOCKING)],
    [*(OWN[backend] for backend in _AWAITED), *(f"unifetch:{backend}" for backend in _AWAITED)],
)
BASELINES = ["urllib3"], ["aiohttp", "httpx2"]


def main() -> int:
    arguments = parse_arguments()
    pinned = pin(arguments.core)
    wanted = [case for name in arguments.cases for case in GROUPS.get(name, (name,))]
    print(f"machine: {machine(pinned)}")
    results: dict[str, Any] = {}
    versions: dict[str, str] = {}
    for awaited in (False, True):
        names = [name for name in wanted if name != "cold" and bool(CASES[name].tasks) is awaited]
        clients, baselines = arguments.clients or CLIENTS[awaited], arguments.baseline or BASELINES[awaited]
        if not names:
            continue
        with ExitStack() as stack:
            tls = any(CASES[name].tls for name in names)
            bench = Bench(stack, clients, tls=tls, awaited=awaited, before=arguments.before)
            print("clients: " + "; ".join(f"{name} {version}" for name, version in bench.versions.items()))
            versions |= bench.versions
            for name in names:
                case = shortened(CASES[name], arguments)
                rounds = bench.measure(name, case, arguments.rounds)
                results[name] = rounds
                print_table(name, case, rounds, baselines)
    if "cold" in wanted:
        results["cold"] = cold.measure(arguments.clients or CLIENTS[False], arguments.rounds)
        cold.print_table(results["cold"])
    if arguments.save:
        scales = {name: _scale(shortened(CASES[name], arguments)) for name in results if name in CASES}
        saved = {"machine": machine(pinned), "versions": versions, "scales": scales, "results": results}
        arguments.save.write_text(json.dumps(saved, indent=1), "utf-8")
    return 0 if all(results.values()) else 1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure HTTP clients side by side.")
    known = [*CASES, "cold", *GROUPS]
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"default small; {', '.join(known)}")
    parser.add_argument("--clients", type=_names, help="names, with commas (default: all, without http.client)")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each client (default 9)")
    help = "the clients that the others are held against (default: urllib3; of those that are awaited aiohttp,httpx2)"
    parser.add_argument("--baseline", type=_names, help=help)
    help = "the src directory of an older unifetch, which takes turns with this one"
    parser.add_argument("--before", type=Path, metavar="SRC", help=help)
    parser.add_argument("--requests", type=int, help="requests in one turn, at most")
    parser.add_argument("--size", type=int, help="bytes of a large body, instead of what the case says")
    parser.add_argument("--quick", action="store_true", help="20 requests and 1 MiB at most: to see that it runs")
    parser.add_argument("--core", type=int, help="the core to run on (default: the last one that we may use)")
    parser.add_argument("--save", type=Path, help="write the single turns, and the machine, to this file (JSON)")
    arguments = parser.parse_args()
    arguments.cases = arguments.cases or ["small"]
    for name in arguments.cases:
        if name not in known:
            parser.error(f"unknown case {name!r}; known are {', '.join(known)}")
    if arguments.before and not (arguments.before / "unifetch").is_dir():
        parser.error(f"--before {arguments.before}: there is no directory `unifetch` in it")
    if arguments.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return arguments


def _names(given: str) -> list[str]:
    return given.split(",")


def pin(core: int | None) -> int | None:
    """Keep this process, and all that it starts, on one core; None where the system cannot do that.

    Waking a process on another core costs more than a whole request does, and hides the client.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0)) if core is None else core
    os.sched_setaffinity(0, {core})
    return core


def machine(pinned: int | None) -> str:
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    core = "NOT PINNED (this system cannot): read no ratio off this" if pinned is None else f"pinned to core {pinned}"
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{processor}, {os.cpu_count()} cores{load}, {core}; {platform.system()} {platform.release()}; {python}"


def shortened(case: Case, arguments: argparse.Namespace) -> Case:
    count, size, path = case.count, case.size, case.path
    if case.bulk:
        size = arguments.size or size
        if arguments.quick and size is not None:
            size = min(size, QUICK_SIZE)
    else:
        count = min(count, arguments.requests or count)
        if arguments.quick:
            count, path = min(count, 20), path.replace("10000000", "100000")
    if case.action == "threads":
        count = max(8, count - count % 8)
    tasks = min(case.tasks, count)
    return Case(case.title, case.action, path, count, size=size, bulk=case.bulk, tls=case.tls, tasks=tasks)


# --- Measuring ------------------------------------------------------------------------------------


class Bench:
    """The server, and one process for each client; they end with the stack."""

    def __init__(
        self, stack: ExitStack, clients: list[str], *, tls: bool, awaited: bool, before: Path | None = None
    ) -> None:
        directory = self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        options = ["--tls", str(directory)] if tls else []
        if tls:
            environment |= {name: str(directory / "ca.pem") for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
        self._server = Child(stack, environment, "server.py", *options)
        self._ports = self._server.hear()
        self._workers: dict[str, Child] = {}
        self.versions: dict[str, str] = {}
        kind = ["async"] if awaited else []
        for name in clients:
            self._start(name, Child(stack, environment, "worker.py", name, *kind))
            if before and name.startswith("unifetch:"):
                older = environment | {"PYTHONPATH": str(before)}
                self._start(name + BEFORE, Child(stack, older, "worker.py", name, *kind))

    def _start(self, name: str, worker: Child) -> None:
        hello = worker.hear()
        if "error" in hello:
            print(f"left out: {name}: {hello['error']}", file=sys.stderr)
        else:
            self._workers[name] = worker
            self.versions[name] = hello["version"]

    def measure(self, name: str, case: Case, rounds: int) -> dict[str, list[dict[str, float]]]:
        """The turns of each client, A B C … A B C …; a client that fails is left out of this case."""
        scheme = "https" if case.tls else "http"
        url = f"{scheme}://127.0.0.1:{self._ports[scheme]}{case.path.format(size=case.size)}"
        turn: dict[str, Any] = {"action": case.action, "url": url, "count": case.count, "size": case.size}
        turn["tasks"] = case.tasks
        if case.action == "upload":
            turn["file"] = str(self._file(case.size or 0))
        turns: dict[str, list[dict[str, float]]] = {client: [] for client in self._workers}
        for _ in range(rounds):
            for client in list(turns):
                self._workers[client].say(turn)
                outcome = self._workers[client].hear()
                if "error" in outcome:
                    print(f"{name}: {client} failed: {outcome['error']}", file=sys.stderr)
                    del turns[client]
                else:
                    turns[client].append(outcome)
        return turns

    def _file(self, size: int) -> Path:
        # One for all, sparse, and read once: what is measured is the client, not who fills the system's cache.
        path = self._directory / "upload"
        with path.open("wb") as file:
            file.truncate(size)
        with path.open("rb") as file:
            while file.read(MIB):
                pass
        return path


class Child:
    """A script of this directory, which speaks JSON, a line at a time."""

    def __init__(self, stack: ExitStack, environment: dict[str, str], script: str, *arguments: str) -> None:
        self._name = " ".join([script, *arguments])
        self._process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(HERE / script), *arguments],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )  # leaving the stack closes its input, at which it ends, and waits for it

    def say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        print(json.dumps(message), file=self._process.stdin, flush=True)

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._name} ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


# --- The table ------------------------------------------------------------------------------------


def print_table(name: str, case: Case, turns: dict[str, list[dict[str, float]]], baselines: list[str]) -> None:
    """One row for each client: its cost, how it scattered, and how many times a baseline costs that."""
    unit, scale = _scale(case)
    amount = f"{case.size:,} bytes" if case.bulk else f"{case.count} requests"
    rounds = max(map(len, turns.values()), default=0)
    print(f"\n{name}: {case.title}; {amount} a turn, {rounds} turns each; client CPU, medians")
    memory = "   memory +" if case.bulk else ""
    heads = "   ".join(f"{'x ' + baseline:>10}" for baseline in baselines)
    older = any(client.endswith(BEFORE) for client in turns)
    heads += f"   {'x before':>10}" if older else ""
    print(f"  {'client':<24}{unit:>9}   {'quartiles':>15}   {heads}   {'x own':>7}{memory}")
    for client, outcomes in turns.items():
        costs = [outcome["cpu"] * scale for outcome in outcomes]
        low, _, high = quantiles(costs, n=4, method="inclusive") if len(costs) > 1 else costs * 3
        row = f"  {client:<24}{_figure(median(costs)):>9}   {_figure(low) + '-' + _figure(high):>15}"
        own = OWN.get(client.removesuffix(BEFORE).partition("unifetch:")[2], "")
        row += "".join(f"   {_ratio(turns, baseline, client):>10}" for baseline in baselines)
        row += f"   {_ratio(turns, client + BEFORE, client):>10}" if older else ""
        row += f"   {_ratio(turns, own, client):>7}"
        if case.bulk:
            grown = max(outcome["grown"] for outcome in outcomes)
            row += f"   {grown / MIB:.1f} MiB" + (f" = {grown / case.size:.2f} x" if case.action == "body" else "")
        print(row.rstrip())


def _scale(case: Case) -> tuple[str, float]:
    """In which unit a turn is told, and by how much its seconds are multiplied for that."""
    unit = "s/GB" if case.bulk else "µs" if case.size == 13 or case.action == "post" else "ms"
    return unit, {"s/GB": 1e9 / (case.size or 1), "µs": 1e6 / case.count, "ms": 1e3 / case.count}[unit]


def _ratio(turns: dict[str, list[dict[str, float]]], baseline: str, client: str) -> str:
    # Of turns in the same round, which had the same neighbours, and only then the median.
    if baseline not in turns:
        return ""
    pairs = zip(turns[baseline], turns[client], strict=True)
    return f"{median(theirs['cpu'] / ours['cpu'] for theirs, ours in pairs):.2f}"


def _figure(cost: float) -> str:
    return f"{cost:.0f}" if cost >= 100 else f"{cost:.1f}" if cost >= 10 else f"{cost:.2f}"


if __name__ == "__main__":
    sys.exit(main())
