"""Limits: how many connections, in what order, and how much of what a server sends.

A server that floods has 60 MB to send. What decides is that the client ends it: with an error of ours, and long
before the server is done.
"""

from __future__ import annotations

import functools
import gc
import gzip
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from typing import Any

import pytest

from ... import Client, Timeout
from ...backends.base import Capability
from ...errors import (
    DecodingError,
    IncompleteBody,
    InvalidHeader,
    PoolTimeout,
    ProtocolError,
    RedirectError,
    TooLarge,
    TooManyRedirects,
    TotalTimeout,
    UnifetchError,
)
from .. import Close, OnHead, RecordedRequest, Script, Server, Stall, refused_port, reply
from .base import Conformance, requires

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MIB = 1024**2

# What went wrong, as a server's script; after each of them the one slot must be free again.
FAILURES: dict[str, tuple[Script, type[UnifetchError]]] = {
    "no answer": (Close(), UnifetchError),
    "nonsense": ([b"nonsense\r\n\r\n", Close()], ProtocolError),
    "too many fields": (reply(200, b"", {f"X-{at}": "x" for at in range(1001)}), TooLarge),
    "read timeout": (Stall(), UnifetchError),
    "read timeout in the body": ([HEAD + b"Content-Length: 9\r\n\r\nx", Stall()], UnifetchError),
    "incomplete body": ([HEAD + b"Content-Length: 9\r\n\r\nx", Close()], IncompleteBody),
    "bad chunk": ([CHUNKED + b"x\r\n", Close()], ProtocolError),
    "corrupt coding": (reply(200, b"no gzip", {"Content-Encoding": "gzip"}), DecodingError),
    "too many codings": (reply(200, b"x", {"Content-Encoding": "gzip, " * 12}), TooLarge),
    "too large": (reply(200, b"x" * 2000), TooLarge),
    "bad redirect": (reply(302, b"", {"Location": "ftp://127.0.0.1/"}), RedirectError),
    "endless redirects": (reply(302, b"", {"Location": "/"}), TooManyRedirects),
}


class Endless:
    """A script that sends a start, and then the same block again and again, up to 60 MB; it counts."""

    def __init__(self, start: bytes, block: bytes) -> None:
        self.start = start
        self.block = block * max(1, 16384 // len(block))
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        yield self.start
        while self.sent < 60_000_000:
            yield self.block
            self.sent += len(self.block)

    @property
    def was_cut(self) -> bool:
        """Whether the client ended it early. What lies in the buffers of two sockets counts as sent: some MiB."""
        return self.sent < 20_000_000


class TestConnectionLimits(Conformance):
    """No more connections than allowed, and who comes first is served first."""

    @pytest.fixture
    def single(self, client: Client) -> Client:
        """A client that may use one connection at a time."""
        return type(client)(backend=client.backend, timeout=10, limits={"connections": 1})

    @pytest.mark.parametrize("limits", [{"connections": 3}, {"connections_per_origin": 3}])
    def test_never_more_at_once_than_the_limit(self, client: Client, limits: dict[str, int]) -> None:
        """Eight threads, three connections: the server sees three requests at once, and never four."""
        gauge = Gauge(3)
        with Server(gauge) as server, type(client)(backend=client.backend, timeout=10, limits=limits) as limited:
            with ThreadPoolExecutor(8) as threads:
                answers = list(threads.map(lambda at: limited.get(f"{server.url}/{at}").body, range(40)))

            assert [b"/%d" % at for at in range(40)] == answers
            assert 3 == gauge.peak

    @requires(Capability.KEEP_ALIVE)
    def test_never_more_connections_than_the_limit(self, client: Client) -> None:
        """Who waited uses the connection of who went before, and opens none."""
        with Server() as server, type(client)(backend=client.backend, timeout=10, limits={"connections": 2}) as limited:
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(lambda _: limited.get(server.url), range(40)))

            assert server.connections <= 2

    def test_each_origin_has_its_own_limit(self, client: Client) -> None:
        """One origin that is slow does not keep the requests to another waiting."""
        limits = {"connections": 4, "connections_per_origin": 1}
        with Server(reply(200, b"x" * 300_000)) as slow, Server(reply(200, b"fast")) as fast:
            with type(client)(backend=client.backend, timeout=10, limits=limits) as limited:
                with limited.stream("GET", slow.url) as held, ThreadPoolExecutor(1) as threads:
                    waiting = threads.submit(limited.get, slow.url)
                    wait_until(lambda: limited.calls_waiting == 1)
                    assert b"fast" == limited.get(fast.url).body
                    assert not waiting.done()
                    held.read()
                    assert 300_000 == len(waiting.result(10).body)

    def test_first_come_first_served(self, single: Client) -> None:
        """Requests that wait are sent in the order in which they were made."""
        with Server(reply(200, b"x" * 300_000)) as server, ThreadPoolExecutor(5) as threads:
            with single.stream("GET", f"{server.url}/held"):
                waiting = []
                for at in range(5):
                    waiting.append(threads.submit(single.get, f"{server.url}/{at}"))
                    wait_until(lambda at=at: single.calls_waiting == at + 1)  # type: ignore[misc]  # its default is the loop's
            for each in waiting:
                each.result(10)

            assert ["/held", "/0", "/1", "/2", "/3", "/4"] == [request.target for request in server.requests]

    def test_pool_timeout(self, single: Client) -> None:
        """A stream holds its connection; who waits in vain is told so, and nothing was sent."""
        with Server(reply(200, b"x" * 300_000)) as server:
            with single.stream("GET", server.url):
                with pytest.raises(PoolTimeout, match="1 in all") as caught:
                    single.get(server.url, timeout=Timeout(10, pool=0.05))

                assert ("no", 1, 1) == (caught.value.request_sent, len(server.requests), server.connections)
            assert 300_000 == len(single.get(server.url).body)

    def test_total_bounds_the_wait(self, single: Client) -> None:
        """The wait for a connection counts against the total."""
        with Server(reply(200, b"x" * 300_000)) as server, single.stream("GET", server.url):
            with pytest.raises(TotalTimeout) as caught:
                single.get(server.url, timeout=Timeout(0.1, pool=9))

            assert ("no", 1) == (caught.value.request_sent, len(server.requests))

    @pytest.mark.parametrize("row", FAILURES)
    @pytest.mark.parametrize("whole", [True, False])
    def test_a_failure_gives_its_slot_back(self, single: Client, row: str, whole: bool) -> None:
        """Whatever a request fails with, another can be made after it."""
        script, kind = FAILURES[row]
        with Server({"/": script, "/next": reply(200, b"next")}) as server:
            limits = {"connections": 1, "body": 1000}
            # Only a server that says nothing is waited for in vain: a slow machine makes no other row fail.
            timeout = Timeout(10, read=0.3) if "timeout" in row else Timeout(10)
            with pytest.raises(kind) if whole or row != "too large" else nullcontext():  # a stream is its reader's
                fetch(single, server.url, whole=whole, redirects=3, limits=limits, timeout=timeout)

            assert 0 == single.calls_connected
            # With a time of its own: a client may be made for failing soon.
            assert b"next" == single.get(f"{server.url}/next", timeout=20).body

    def test_calls_that_never_get_far_give_their_slots_back(self, single: Client) -> None:
        """A port that refuses, a header that is refused, a body that raises, and an early answer, each twice."""

        def broken() -> Iterator[bytes]:
            yield b"x"
            raise KeyError("the caller's own")

        for _ in range(2):
            with refused_port() as port, pytest.raises(UnifetchError):
                single.get(f"http://127.0.0.1:{port}/")
        with Server() as server:
            for _ in range(2):
                with pytest.raises(InvalidHeader):
                    single.get(server.url, headers={"Connection": "upgrade"})
                with pytest.raises(KeyError):
                    single.post(server.url, body=broken())
        with Server(OnHead(reply(413, b"", {"Connection": "close"}), Close())) as server:
            for _ in range(2):
                with suppress(UnifetchError):  # where EARLY_RESPONSE is not declared
                    single.post(server.url, body=(b"x" * 65536 for _ in range(256)))

        assert 0 == single.calls_connected

    def test_a_redirect_to_another_origin(self, single: Client) -> None:
        """A chain of redirects needs one connection at a time, wherever it leads."""
        with Server({"/end": reply(200, b"end")}) as there:
            hops: dict[str, Script] = {
                "/": reply(302, b"moved", {"Location": "/hop"}),
                "/hop": reply(302, b"x" * 100_000, {"Location": f"{there.url}/end"}),
            }
            with Server(hops) as here:
                assert b"end" == single.get(here.url).body

    def test_streams_give_their_slots_back(self, single: Client) -> None:
        """At the end of the body, when closed before it, and when the caller's block raises."""
        with Server(reply(200, [b"x" * 100_000] * 3)) as server:
            with single.stream("GET", server.url) as response:
                list(response.body)
                assert 0 == single.calls_connected  # at the end already
                single.get(server.url)
            with single.stream("GET", server.url) as response:
                next(response.body)
            single.get(server.url)
            with pytest.raises(KeyError), single.stream("GET", server.url) as response:
                raise KeyError
            single.get(server.url)

    def test_a_stream_that_is_dropped(self, single: Client) -> None:
        """One that nobody closes is closed by the next request, with a warning."""
        with Server(reply(200, [b"x" * 100_000] * 30)) as server:
            streams = [single.stream("GET", server.url).__enter__()]
            next(streams[0].body)
            with pytest.warns(ResourceWarning, match="unclosed stream"):
                streams.clear()
            gc.collect()  # for a Python that does not count references

            assert 3_000_000 == len(single.get(server.url).body)
            server.wait_closed(1)


class TestFloods(Conformance):
    """A server that sends without end is cut off."""

    @requires(Capability.STRICT_HEAD)
    @pytest.mark.parametrize(
        ("start", "block"),
        [
            (b"HTTP/1.1 200 ", b"x"),
            (HEAD + b"X: ", b"x"),
            (HEAD, b"x"),
            (HEAD, b"X: x\r\n"),
            (HEAD + b"X: x\r\n", b" fold\r\n"),
        ],
        ids=["reason", "one value", "one name", "fields", "folds"],
    )
    def test_head(self, client: Client, start: bytes, block: bytes) -> None:
        """A head without end, in one line or in many."""
        self.check(client, Endless(start, block))

    @requires(Capability.INTERIM)
    def test_interim_responses(self, client: Client) -> None:
        """`100 Continue` for ever."""
        self.check(client, Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"))

    @requires(Capability.STRICT_CHUNKS)
    @pytest.mark.parametrize(
        ("start", "block"),
        [
            (CHUNKED, b"0"),
            (CHUNKED + b"1;", b"x"),
            (CHUNKED + b"1\r\nx\r\n0\r\n", b"X: x\r\n"),
            (CHUNKED + b"1\r\nx\r\n0\r\nX: ", b"x"),
        ],
        ids=["zeros", "extension", "trailers", "one trailer"],
    )
    @pytest.mark.parametrize("whole", [True, False])
    def test_chunks(self, client: Client, start: bytes, block: bytes, whole: bool) -> None:
        """What surrounds the chunks is bounded, too."""
        self.check(client, Endless(start, block), whole=whole)

    @pytest.mark.parametrize(
        ("start", "block"),
        [
            (HEAD + b"\r\n", b"x"),
            (HEAD + b"Content-Length: 60000000\r\n\r\n", b"x"),
            (CHUNKED, b"10\r\n0123456789abcdef\r\n"),
            (CHUNKED, b"1\r\nx\r\n"),
        ],
        ids=["until close", "by length", "chunks", "tiny chunks"],
    )
    def test_body_in_memory(self, client: Client, start: bytes, block: bytes) -> None:
        """A body over `limits.body` is not read on."""
        self.check(client, Endless(start, block), limits={"body": 65536})

    def test_body_of_a_redirect(self, client: Client) -> None:
        """A redirect is followed without waiting for the end of its body, which is not decoded."""
        packer = zlib.compressobj(9, wbits=31)
        block = packer.compress(bytes(16 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
        start = reply(302, b"", {"Location": "/end", "Content-Encoding": "gzip", "Transfer-Encoding": "chunked"})
        flood = Endless(start, b"%x\r\n%b\r\n" % (len(block), block))
        with Server({"/": lambda _: flood, "/end": reply(200, b"end")}) as server:
            assert b"end" == client.get(server.url).body

        assert flood.was_cut

    def check(self, client: Client, flood: Endless, *, whole: bool = True, **call: object) -> None:
        """The call ends with an error of ours, and the flood early."""
        with Server(lambda _: flood) as server:
            with pytest.raises(ProtocolError):
                fetch(client, server.url, whole=whole, **call)
            server.wait_closed(1)

        assert flood.was_cut


def fetch(client: Client, url: str, *, whole: bool, **call: Any) -> None:
    """GET, into memory or as a stream that is read to its end."""
    if whole:
        client.get(url, **call)
        return
    # A stream has no total of its own; here it has that of the client.
    with client.stream("GET", url, **{"timeout": client.settings.timeout, **call}) as response:
        for _ in response.body:
            pass


@functools.cache
def hollow(size: int) -> bytes:
    """So many bytes of empty members of gzip, compressed twice more: they decode to nothing."""
    block = gzip.compress(b"") * 50_000
    for _ in range(2):
        packer = zlib.compressobj(1, wbits=31)
        block = b"".join([packer.compress(block) for _ in range(max(1, size // len(block)))]) + packer.flush()
        size = 0
    return block


# Bodies that decode to nothing, or to next to nothing, by very much work.
HOLLOW: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty members, compressed twice": ("gzip, gzip, gzip", lambda: hollow(20_000_000)),
    "empty members": ("gzip", lambda: gzip.compress(b"") * 20_000),
    "members of one byte": ("gzip", lambda: gzip.compress(b"x") * 20_000),
    "empty members below deflate": ("gzip, deflate", lambda: zlib.compress(gzip.compress(b"") * 20_000)),
}


class TestBombs(Conformance):
    """What a body decodes to is bounded, and so is the work."""

    def test_a_length_over_the_limit(self, client: Client) -> None:
        """A Content-Length that cannot be true is TooLarge at once in memory, and incomplete as a stream."""
        with Server([HEAD + b"Content-Length: %d\r\n\r\nhello" % 10**17, Close()]) as server:
            with pytest.raises(TooLarge):
                client.get(server.url)
            with pytest.raises(IncompleteBody), client.stream("GET", server.url) as response:
                response.read()

    @pytest.mark.parametrize("length", [2**62, 2**63, 2**64 + 5, 10**100])
    def test_a_length_over_all_limits(self, client: Client, length: int) -> None:
        """One that no machine's integer holds is an error, too, and no OverflowError."""
        with Server([HEAD + b"Content-Length: %d\r\n\r\nhello" % length, Close()]) as server:
            with pytest.raises(ProtocolError):
                client.get(server.url)
            with pytest.raises(ProtocolError), client.stream("GET", server.url) as response:
                response.read()

    @pytest.mark.parametrize(
        "fields",
        [
            [("Content-Encoding", ", ".join(["gzip"] * 12))],
            [("Content-Encoding", "gzip")] * 12,
            [("Content-Encoding", ", ".join(["gzip"] * 1000))],
            [("Content-Encoding", ", ".join(["deflate"] * 25))] * 40,
        ],
        ids=["12", "12 lines", "1000", "1000 in 40 lines"],
    )
    def test_chained_codings(self, client: Client, fields: list[tuple[str, str]]) -> None:
        """More codings than five, in one line or many, are refused before anything is decoded."""
        with Server(reply(200, b"x", fields)) as server:
            with pytest.raises(TooLarge, match="codings"):
                client.get(server.url)
            with pytest.raises(TooLarge, match="codings"), client.stream("GET", server.url):
                pass

    def test_a_bomb_in_memory(self, client: Client) -> None:
        """50 MB in 50 kB are TooLarge for a limit of 1 MB, in one coding or in two."""
        bomb = gzip.compress(bytes(50_000_000))
        for body, coding in ((bomb, "gzip"), (zlib.compress(bytes(50_000_000)), "deflate")):
            with Server(reply(200, body, {"Content-Encoding": coding})) as server:
                with pytest.raises(TooLarge):
                    client.get(server.url, limits={"body": 1_000_000})
        with Server(reply(200, gzip.compress(bomb), {"Content-Encoding": "gzip, gzip"})) as server:
            with pytest.raises(TooLarge):
                client.get(server.url, limits={"body": 1_000_000})
            with pytest.raises(TooLarge, match="for each byte"):
                client.get(server.url)

    def test_a_bomb_as_a_stream(self, client: Client) -> None:
        """A stream gives it in pieces of bounded size, as far as it is read."""
        bomb = gzip.compress(gzip.compress(bytes(50_000_000)))
        with Server(reply(200, bomb, {"Content-Encoding": "gzip, gzip"})) as server:
            with client.stream("GET", server.url) as response:
                sizes = [len(next(response.body)) for _ in range(100)]

        assert max(sizes) <= 65536

    def test_empty_members(self, client: Client) -> None:
        """1,000 empty members of gzip are an empty body."""
        with Server(reply(200, gzip.compress(b"") * 1000, {"Content-Encoding": "gzip"})) as server:
            assert b"" == client.get(server.url).body

    @pytest.mark.parametrize("whole", [True, False], ids=["in memory", "stream"])
    @pytest.mark.parametrize("row", HOLLOW)
    def test_work_that_leads_to_nothing(self, client: Client, row: str, whole: bool) -> None:
        """What goes from one coding to the next counts, and so does each member: no few bytes buy minutes of work."""
        codings, body = HOLLOW[row]
        with Server(reply(200, body(), {"Content-Encoding": codings})) as server:
            with pytest.raises(TooLarge, match="for each byte received"):
                fetch(client, server.url, whole=whole)

    def test_the_deadline_holds_within_decoding(self, client: Client) -> None:
        """One piece of a body that decodes to gigabytes of nothing takes no longer than the call may."""
        limits = {"body": None, "ratio": None}
        with Server(reply(200, hollow(100_000_000), {"Content-Encoding": "gzip, gzip, gzip"})) as server:
            with pytest.raises(TotalTimeout):
                fetch(client, server.url, whole=True, timeout=0.2, limits=limits)
            with pytest.raises(TotalTimeout):
                fetch(client, server.url, whole=False, timeout=0.2, limits=limits)


class Gauge:
    """A script that knows how many requests it answers at once; the first wait until there are `full`."""

    def __init__(self, full: int) -> None:
        self.full = full
        self.now = self.peak = 0
        self.changed = threading.Condition()

    def __call__(self, request: RecordedRequest) -> bytes:
        with self.changed:
            self.now += 1
            self.peak = max(self.peak, self.now)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.peak >= self.full, 5)
            # Before the answer goes out: from then on the client may go on.
            self.now -= 1
        return reply(200, request.target.encode())


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until this is true, 10 seconds at most."""
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.002)
