"""One client under load: eight threads, all that can happen to a request, and forks in the middle of it."""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from unifetch import Client, Timeout
from unifetch.errors import ConnectionLost, IncompleteBody, PoolTimeout, ProtocolError, ReadTimeout, TooManyRedirects
from unifetch.testing import Close, RecordedRequest, Script, Server, Stall, reply

THREADS = 8
REQUESTS = 1_500
LARGE = 200_000


def echo(request: RecordedRequest) -> Script:
    """What the path asks for; the number in it comes back in the body, so that an answer shows whose it is."""
    _, kind, number, *rest = request.target.split("/")
    there = "/".join(["/echo", number])
    answers: dict[str, Script] = {
        "echo": reply(200, number.encode() + request.body),
        "chunks": reply(200, [b"%d," % at for at in range(20)] + [number.encode()]),
        "moved": reply(302, b"moved", {"Location": there}),
        "away": reply(307, b"away", {"Location": f"http://127.0.0.1:{rest[0]}{there}" if rest else ""}),
        "round": reply(302, b"", {"Location": request.target}),
        "missing": reply(404, number.encode()),
        "close": Close(),
        "short": [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + number.encode()[:5], Close()],
        "nonsense": [b"nonsense\r\n\r\n", Close()],
        "stall": Stall(),
        "large": reply(200, number.encode().ljust(LARGE, b".")),
    }
    return answers[kind]


def sockets() -> int:
    """How many sockets this process has open."""
    open_files = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of the listing itself
            open_files.append(os.readlink(each))
    return sum(name.startswith("socket:") for name in open_files)


class Load:
    """The calls that a thread makes; each checks what comes of it."""

    def __init__(self, client: Client, here: Server, there: Server) -> None:
        self.client = client
        self.here = here
        self.there = there

    def get(self, number: int) -> None:
        assert str(number) == self.client.get(f"{self.here.url}/echo/{number}").text

    def chunks(self, number: int) -> None:
        assert self.client.get(f"{self.here.url}/chunks/{number}").text.endswith(f",{number}")

    def post(self, number: int) -> None:
        body = (b"-%d" % (number + at) for at in range(3))
        assert f"{number}-{number}-{number + 1}-{number + 2}" == self.client.post(
            f"{self.here.url}/echo/{number}", body=body
        ).text  # fmt: skip

    def missing(self, number: int) -> None:
        response = self.client.get(f"{self.here.url}/missing/{number}")
        assert (404, str(number)) == (response.status, response.text)

    def moved(self, number: int) -> None:
        assert str(number) == self.client.get(f"{self.here.url}/moved/{number}").text

    def moved_away(self, number: int) -> None:
        response = self.client.get(f"{self.here.url}/away/{number}/{self.there.port}")
        assert (str(number), self.there.url) == (response.text, response.url.origin)

    def moved_in_a_circle(self, number: int) -> None:
        with pytest.raises(TooManyRedirects):
            self.client.get(f"{self.here.url}/round/{number}", redirects=3)

    def lost(self, number: int) -> None:
        with pytest.raises(ConnectionLost):
            self.client.post(f"{self.here.url}/close/{number}")

    def cut_short(self, number: int) -> None:
        with pytest.raises(IncompleteBody):
            self.client.get(f"{self.here.url}/short/{number}")

    def nonsense(self, number: int) -> None:
        with pytest.raises(ProtocolError):
            self.client.get(f"{self.here.url}/nonsense/{number}")

    def timed_out(self, number: int) -> None:
        with pytest.raises(ReadTimeout):
            self.client.get(f"{self.here.url}/stall/{number}", timeout=Timeout(60, read=0.01))

    def timed_out_in_the_queue(self, number: int) -> None:
        with suppress(PoolTimeout):
            assert str(number) == self.client.get(f"{self.here.url}/echo/{number}", timeout=Timeout(60, pool=1e-6)).text

    def stream(self, number: int) -> None:
        with self.client.stream("GET", f"{self.here.url}/large/{number}") as response:
            assert str(number).ljust(LARGE, ".") == response.read().text

    def cancelled_stream(self, number: int) -> None:
        with self.client.stream("GET", f"{self.here.url}/large/{number}") as response:
            assert next(response.body).startswith(b"%d." % number)

    def abandoned_stream(self, number: int) -> None:
        response = self.client.stream("GET", f"{self.here.url}/large/{number}").__enter__()
        assert next(response.body).startswith(b"%d." % number)


# How often each, of 100; those that close their connection, or wait, less often.
MIX: dict[Callable[[Load, int], None], int] = {
    Load.get: 45,
    Load.chunks: 8,
    Load.post: 8,
    Load.missing: 5,
    Load.moved: 5,
    Load.moved_away: 5,
    Load.moved_in_a_circle: 2,
    Load.lost: 3,
    Load.cut_short: 3,
    Load.nonsense: 3,
    Load.timed_out: 2,
    Load.timed_out_in_the_queue: 3,
    Load.stream: 3,
    Load.cancelled_stream: 3,
    Load.abandoned_stream: 2,
}


@pytest.mark.filterwarnings("ignore:unclosed stream:ResourceWarning")
def test_eight_threads_share_a_client(backend: str) -> None:
    """Thousands of requests of all kinds: each gets its own answer or its own error, and nothing stays behind."""
    draw = random.Random(39)
    kinds = draw.choices(list(MIX), weights=list(MIX.values()), k=REQUESTS)
    failures: Counter[str] = Counter()
    before = sockets() if Path("/proc/self/fd").exists() else 0
    with Server(echo, lifetime=110) as here, Server(echo, lifetime=110) as there:
        with Client(
            backend=backend, timeout=Timeout(60), limits={"connections": 6, "connections_per_origin": 5}
        ) as client:
            load = Load(client, here, there)

            def work(number: int) -> None:
                try:
                    kinds[number](load, number)
                except BaseException as error:  # noqa: BLE001  # each is counted, and the first few shown
                    failures[f"{kinds[number].__name__}: {error!r}"] += 1

            with ThreadPoolExecutor(THREADS) as threads:
                list(threads.map(work, range(REQUESTS)))
            assert [] == failures.most_common(5)

            gc.collect()
            client._slots.close_abandoned()
            assert ({}, 0) == (client._slots.held, len(client._slots.queue))
    if before:
        gc.collect()
        assert sockets() <= before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forks_while_threads_are_busy(backend: str) -> None:
    """A child that is forked in the middle of other threads' requests has all slots free, and works."""
    over = threading.Event()
    with Server(echo, lifetime=110) as server:
        with Client(backend=backend, timeout=Timeout(30), limits={"connections": 3}) as client:
            url = f"{server.url}/echo"
            client.get(f"{url}/0")  # no child of a fork survives in the middle of an import, here of the library

            def work(thread: int) -> int:
                number = thread
                while not over.is_set():
                    number += 10
                    assert str(number) == client.get(f"{url}/{number}").text
                return number

            with ThreadPoolExecutor(5) as threads:
                busy = [threads.submit(work, thread) for thread in range(5)]
                try:
                    codes = [child(client, url, number) for number in range(20)]
                finally:
                    over.set()
                assert [0] * 20 == codes
                assert all(each.result(30) for each in busy)


def child(client: Client, url: str, number: int) -> int:
    """The exit code of a forked child that makes three requests: 0 if all is well."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(20)
            if client._slots.held or client._slots.queue:
                code = 3
            else:
                answers = [client.get(f"{url}/{number}").text for _ in range(3)]
                code = 0 if answers == [str(number)] * 3 else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
