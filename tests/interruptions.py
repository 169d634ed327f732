"""Interrupts an exchange at every point where Python can be interrupted, in turn, and looks at what is left.

A signal (Ctrl-C) and an asynchronous exception are raised between two instructions: after a call, at the beginning of
a function, and at each turn of a loop. A trace function raises there instead, so that each point is met for certain.
After each interruption the client goes on: nothing may be lost of its limits, no answer may be another's, no file may
be half a file, and once it is closed no descriptor and no thread may be left. From the root of the repository:

    PYTHONPATH=src:tests python tests/interruptions.py [--backend NAME] [--operation NAME] [--every N] [--libraries]

With `--libraries` the points of a backend's library and of the standard library are met as well.
`tests/test_interruptions.py` plays a sample.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dis
import faulthandler
import functools
import gc
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import unifetch
from unifetch import AsyncClient, Bearer, Client, aio, fetch_all
from unifetch.testing import Drip, Pause, RecordedRequest, Script, Server, reply
from unifetch.testing.conformance.routes import Relay

OURS = str(Path(unifetch.__file__).parent) + os.sep
TESTING = os.path.join(OURS, "testing")
HERE = str(Path(__file__).parent)
PATIENCE = 60  # seconds without an outcome, after which the stacks of all threads are shown and the process ends
BLOCK = b"0123456789" * 2000
FIXED = b"fixed " * 5000
PIECES = b"first second third"
FILE = bytes(range(256)) * 400


# --- The points -----------------------------------------------------------------------------------

# After these CPython looks whether there is a signal to handle, and where a loop turns back; but never on the way to
# what a coroutine awaits, so that an interrupt comes to the innermost.
_CALLS = {"CALL", "CALL_KW", "CALL_FUNCTION_EX"}
_AFTER_YIELD_FROM = 2  # and 3 after `await`: the argument of RESUME


@functools.cache
def points_of(code: CodeType) -> frozenset[int]:
    """Where code can be interrupted: the offsets of instructions, before which it is."""
    found, after_look = set(), False
    for each in dis.get_instructions(code):
        if after_look:
            found.add(each.offset)
        begins = each.opname == "RESUME" and (each.arg or 0) & 3 < _AFTER_YIELD_FROM
        after_look = begins or each.opname in _CALLS
        if "JUMP" in each.opname and "NO_INTERRUPT" not in each.opname and each.argval < each.offset:
            found.add(each.argval)
    return frozenset(found)


class Interruption:
    """Raises at the n-th point that is met while its `with` block runs.

    Args:
        at: n, from 1 on; 0 only counts.
        kind: what is raised.
        within: the beginnings of the paths of the files whose points count.
        threads: whether the points are those of the threads that the block starts, instead of its own.

    Attributes:
        met: how many points there were.
        where: where it was raised.
    """

    def __init__(self, at: int, kind: type[BaseException], within: tuple[str, ...], *, threads: bool = False) -> None:
        self._at = at
        self._kind = kind
        self._within = within
        self._threads = threads
        self._is_over = False
        self.met = 0
        self.where: list[str] = []

    def __enter__(self) -> Interruption:
        self._before = sys.gettrace()
        if self._threads:
            threading.settrace(self._trace)
        else:
            sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True  # also for a thread that goes on
        if self._threads:
            threading.settrace(None)  # type: ignore[arg-type]  # the type says otherwise
        else:
            sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(self._within) or name.startswith((TESTING, HERE)):
            return None
        if frame.f_code.co_name == "__del__":  # what is raised in there is told, and goes nowhere
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._at_instruction

    def _at_instruction(self, frame: FrameType, event: str, argument: object) -> Any:
        if self._is_over:
            return None
        if event == "opcode" and frame.f_lasti in points_of(frame.f_code) and not self.where:
            self.met += 1
            if self.met == self._at:
                self.where = traceback.format_stack(frame)
                raise self._kind
        return self._at_instruction


# --- The server, a process of its own -------------------------------------------------------------


def answer(request: RecordedRequest) -> Script:
    """What each path is answered with."""
    path = request.target.partition("?")[0]
    if path == "/pieces":
        return pieces()
    if path == "/chunks":
        return reply(200, [b"first ", b"second ", b"third"])
    if path == "/redirect":
        return reply(302, b"moved", {"Location": "/fixed", "Set-Cookie": "a=b"})
    if path == "/echo":
        return reply(200, request.body)
    if path == "/file":
        start = int((request.header("range") or "bytes=0-")[6:-1])
        part = {"Content-Range": f"bytes {start}-{len(FILE) - 1}/{len(FILE)}"} if start else {}
        return reply(206 if start else 200, FILE[start:], {"ETag": '"one"', **part})
    if path.startswith("/number/"):
        return reply(200, path.encode())
    return reply(200, FIXED)


def pieces() -> Iterator[Script]:
    yield b"HTTP/1.1 200 OK\r\nContent-"
    yield Pause(0.0005)
    yield b"Length: 18\r\n\r\n"
    yield Drip(PIECES[:6], 0.0)
    yield Pause(0.0005)
    yield PIECES[6:]


def serve() -> None:
    """Be the servers, until stdin ends."""
    import servers

    authority = servers.certificate_authority()
    with (
        Server(answer, lifetime=7200) as plain,
        Server(answer, tls=authority.server_context(), lifetime=7200) as tls,
        Server([b"HTTP/1.1 200 OK\r\n\r\n", Relay(tls.port)], lifetime=7200) as proxy,
    ):
        print(plain.url, tls.url, proxy.url, authority.ca_file, flush=True)
        sys.stdin.read()
        plain.errors.clear()  # of requests that broke off
        tls.errors.clear()


class Served:
    """The servers.

    Attributes:
        url, tls_url, proxy, ca_file: of them.
    """

    def __enter__(self) -> Served:
        command = [sys.executable, __file__, "--serve"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url, self.tls_url, self.proxy, self.ca_file = self._process.stdout.readline().split()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


# --- What is interrupted --------------------------------------------------------------------------


def get(client: Client, url: str, _: Path) -> None:
    assert FIXED == client.get(f"{url}/fixed").body


def token(client: Client, url: str, path: Path) -> None:
    """Its credentials are fetched, for all calls that wait meanwhile."""
    get(client, url, path)


def chunks(client: Client, url: str, _: Path) -> None:
    assert PIECES == client.get(f"{url}/chunks").body


def redirect(client: Client, url: str, _: Path) -> None:
    assert FIXED == client.get(f"{url}/redirect").body


def stream(client: Client, url: str, _: Path) -> None:
    with client.stream("GET", f"{url}/pieces") as response:
        assert PIECES == b"".join(response.body)


def half(client: Client, url: str, _: Path) -> None:
    with client.stream("GET", f"{url}/file") as response:
        next(response.body)


def opened(client: Client, url: str, _: Path) -> None:
    response = client.open("GET", f"{url}/file")
    with contextlib.closing(response):
        next(response.body)


def upload(client: Client, url: str, _: Path) -> None:
    def blocks() -> Iterator[bytes]:
        yield BLOCK
        yield b""
        yield BLOCK

    assert BLOCK * 2 == client.post(f"{url}/echo", body=blocks()).body


def download(client: Client, url: str, path: Path) -> None:
    assert len(FILE) == client.download(f"{url}/file", path, resume=True).size


def many(client: Client, url: str, _: Path) -> None:
    urls = [f"{url}/number/{number}" for number in range(6)]
    found = {result.index: result.unwrap().body for result in fetch_all(urls, client=client, concurrency=3)}

    assert {number: f"/number/{number}".encode() for number in range(6)} == found


def close(client: Client, url: str, _: Path) -> None:
    client.get(f"{url}/fixed")
    client.close()


BLOCKING = {
    each.__name__: each for each in (get, token, chunks, redirect, stream, half, opened, upload, download, many, close)
}


async def async_get(client: AsyncClient, url: str, _: Path) -> None:
    assert FIXED == (await client.get(f"{url}/fixed")).body


async def async_token(client: AsyncClient, url: str, path: Path) -> None:
    await async_get(client, url, path)


async def async_stream(client: AsyncClient, url: str, _: Path) -> None:
    async with client.stream("GET", f"{url}/pieces") as response:
        assert PIECES == b"".join([piece async for piece in response.body])


async def async_upload(client: AsyncClient, url: str, _: Path) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        yield BLOCK
        await asyncio.sleep(0)
        yield BLOCK

    assert BLOCK * 2 == (await client.post(f"{url}/echo", body=blocks())).body


async def async_download(client: AsyncClient, url: str, path: Path) -> None:
    assert len(FILE) == (await client.download(f"{url}/file", path, resume=True)).size


async def async_many(client: AsyncClient, url: str, _: Path) -> None:
    urls = [f"{url}/number/{number}" for number in range(6)]
    found = {result.index: result.unwrap().body async for result in aio.fetch_all(urls, client=client, concurrency=3)}

    assert {number: f"/number/{number}".encode() for number in range(6)} == found


async def async_close(client: AsyncClient, url: str, _: Path) -> None:
    await client.get(f"{url}/fixed")
    await client.close()


AWAITED = {
    each.__name__: each
    for each in (async_get, async_token, async_stream, async_upload, async_download, async_many, async_close)
}


async def fetched() -> str:
    return "a-token"


# --- One interruption -----------------------------------------------------------------------------


def descriptors(ports: set[int], directory: str) -> set[str]:
    """What this process has open of a case, where the system tells: sockets to these ports, files in this directory."""
    if not os.path.isdir("/proc/self/fd"):
        return set()
    ours = set()
    for line in Path("/proc/self/net/tcp").read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if int(fields[2].rpartition(":")[2], 16) in ports:
            ours.add(f"socket:[{fields[9]}]")
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # closed meanwhile
            link = os.readlink(f"/proc/self/fd/{name}")
            if link in ours or link.startswith(directory):
                found.add(link)
    return found


def threads() -> set[str]:
    """The threads of ours that end with their client; those of `workers.py` belong to the process."""
    return {each.name for each in threading.enumerate() if each.name.startswith(("unifetch ", "unifetch."))}


class Case:
    """An operation on a backend, over one kind of connection.

    Args:
        served: the servers.
        backend: by its name.
        operation: the name of one of those above.
        route: "http", "https" or "proxy", the last to an https origin.
        within: whose points count.
        kind: what is raised.
        threads: whether it is raised in the threads that are started.
    """

    def __init__(
        self,
        served: Served,
        backend: str,
        operation: str,
        route: str = "http",
        *,
        within: tuple[str, ...] = (OURS,),
        kind: type[BaseException] = KeyboardInterrupt,
        threads: bool = False,
    ) -> None:
        self._ports = {int(url.rpartition(":")[2]) for url in (served.url, served.tls_url, served.proxy)}
        self._backend = backend
        self._operation = operation
        self._url = served.url if route == "http" else served.tls_url
        self._settings: dict[str, Any] = {
            "timeout": 20,
            "limits": {"connections": 2, "connections_per_origin": 2},
            "proxy": served.proxy if route == "proxy" else None,
            "tls": {"ca_file": served.ca_file},
        }
        if operation in ("token", "async_token"):
            self._settings["auth"] = Bearer(fetched if operation in AWAITED else lambda: "a-token")
        self._within = within
        self._kind = kind
        self._threads = threads
        # Of an event loop that was interrupted nobody can close the transports; and a library that is interrupted in
        # its own cleaning up has forgotten its connection, or holds it in a cycle.
        self._leaves_to_collector = threads or operation in AWAITED or backend not in ("socket", "urllib")
        self._directory = tempfile.TemporaryDirectory()
        self._path = Path(self._directory.name, "file")
        self.name = f"{backend} {operation} {route} {kind.__name__}{' in threads' if threads else ''}"

    def end(self) -> None:
        self._directory.cleanup()

    def play(self, at: int) -> Interruption:
        """Interrupt at this point, and look.

        Raises:
            AssertionError: something is wrong afterwards.
        """
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        hook = threading.excepthook
        if self._threads:
            threading.excepthook = lambda told: None  # that a thread has ended by this is what is played
        try:
            play = self._play_awaited if self._operation in AWAITED else self._play
            interruption = play(at)
            for left in self._path.parent.iterdir():
                assert left.name == "file", f"{left.name} is left"
                left.unlink()
        except BaseException as error:
            where = [line for line in self.last.where if HERE not in line]
            error.add_note(f"{self.name}, at point {at}:\n{''.join(where)}")
            raise
        finally:
            threading.excepthook = hook
            faulthandler.cancel_dump_traceback_later()
        return interruption

    def _new(self, at: int) -> Interruption:
        self.last = Interruption(at, self._kind, self._within, threads=self._threads)
        return self.last

    def _judge_file(self) -> None:
        if self._path.exists():
            assert FILE == self._path.read_bytes(), "half a file"

    def _judge_left(self) -> None:
        for turn in range(500):  # a loop whose close() was interrupted ends in its own thread
            left = descriptors(self._ports, self._directory.name), threads()
            if left == (set(), set()):
                return
            if turn == 50 and self._leaves_to_collector:
                gc.collect()
            time.sleep(0.01)
        raise AssertionError(f"these are left: {left}")

    def _play(self, at: int) -> Interruption:
        client = Client(backend=self._backend, **self._settings)
        interruption = self._new(at)
        try:
            with interruption:
                BLOCKING[self._operation](client, self._url, self._path)
        except self._kind:
            pass
        except unifetch.UnifetchError:
            if not self._threads:  # where it is that of the loop, whoever waits is told that it is gone
                raise
        self._judge_file()
        if not client._closed:
            held = [client.open("GET", f"{self._url}/file") for _ in range(2)]
            for response in held:
                assert FILE == b"".join(response.body)
                response.close()
            assert b"/number/77" == client.get(f"{self._url}/number/77").body
            download(client, self._url, self._path)
            self._judge_file()
        client.close()
        del client
        self._judge_left()
        return interruption

    def _play_awaited(self, at: int) -> Interruption:
        client = AsyncClient(backend=self._backend, **self._settings)
        interruption = self._new(at)
        try:
            with asyncio.Runner() as runner:
                runner.get_loop()
                with interruption:
                    runner.run(AWAITED[self._operation](client, self._url, self._path))
        except self._kind:
            pass
        self._judge_file()
        if not client._closed:
            with asyncio.Runner() as runner:
                runner.run(self._go_on(client))
        del client
        self._judge_left()
        return interruption

    async def _go_on(self, client: AsyncClient) -> None:
        held = [await client.open("GET", f"{self._url}/file") for _ in range(2)]
        for response in held:
            assert FILE == b"".join([piece async for piece in response.body])
            await response.body.close()
        assert b"/number/77" == (await client.get(f"{self._url}/number/77")).body
        await async_download(client, self._url, self._path)
        self._judge_file()
        await client.close()


# --- All of them ----------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="be the servers")
    parser.add_argument("--backend", action="append")
    parser.add_argument("--operation", action="append")
    parser.add_argument("--route", action="append")
    parser.add_argument("--kind", default="KeyboardInterrupt")
    parser.add_argument("--every", type=int, default=1, help="only each n-th point")
    parser.add_argument("--sample", type=int, help="only so many points of each case, by a seed")
    parser.add_argument("--at", type=int, help="this point alone")
    parser.add_argument("--threads", action="store_true", help="in the threads that are started")
    parser.add_argument("--libraries", action="store_true", help="in the code of libraries, too")
    parser.add_argument("--show", type=int, default=1, help="how many failures of a kind to show")
    given = parser.parse_args()
    if given.serve:
        serve()
        return
    import builtins

    warnings.simplefilter("ignore")
    failed = 0
    within = (OURS, *(("/",) if given.libraries else ()))
    with Served() as served:
        for backend in given.backend or unifetch.available_backends():
            names = [*BLOCKING, *(AWAITED if unifetch.backends.BACKENDS[backend].async_factory else ())]
            for number, operation in enumerate(given.operation or names):
                routes = given.route or ["http", "https", "proxy"]
                for route in [routes[number % len(routes)]] if given.sample else routes:
                    kind = getattr(builtins, given.kind)
                    case = Case(served, backend, operation, route, within=within, kind=kind, threads=given.threads)
                    failed += sweep(case, given.every, given.show, given.at, given.sample)
                    case.end()
    sys.exit(failed > 0)


def sweep(case: Case, every: int, show: int, only: int | None = None, sample: int | None = None) -> int:
    """Play the points of a case, all or some; how many failed."""
    case.play(0)  # what happens only once has happened by then
    met = case.play(0).met
    points = [only] if only else range(every, met + 1, every)
    if sample:
        points = random.Random(case.name).sample(range(1, met + 1), min(sample, met))
    failures: Counter[str] = Counter()
    for at in points:
        try:
            case.play(at)
        except BaseException as error:  # noqa: BLE001  # it is told below
            gc.collect()
            for left in case._path.parent.iterdir():
                left.unlink()
            text = f"{type(error).__name__}: {error}"[:300]
            failures[text] += 1
            if failures[text] <= show:
                print("".join(traceback.format_exception(error)), flush=True)
            if failures.total() > 300:
                break
    print(f"{case.name}: {len(points)} points, {failures.total()} failures", flush=True)
    return failures.total()


if __name__ == "__main__":
    main()
