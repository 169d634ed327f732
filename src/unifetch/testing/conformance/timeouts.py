"""Timeouts: each phase has its own, and one deadline ends everything.

What decides a test is which error comes, and that it comes before a server that would go on for many
seconds is done; the figures leave a slow machine room.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ... import Client, Timeout
from ...backends.base import Capability
from ...errors import ConnectTimeout, ReadTimeout, TimedOut, TotalTimeout, WriteTimeout
from .. import Drip, OnConnect, Pause, RecordedRequest, Script, Server, Stall, reply
from ..awaited import client_of
from .base import Conformance, requires

HEAD = b"HTTP/1.1 200 OK\r\n"
SHORT = Timeout(20, connect=5, read=0.2, write=0.2, pool=5)

# Each would take ten seconds and more; none ever leaves a read waiting for long.
DRIPS: dict[str, Script] = {
    "status line": Drip(b"HTTP/1.1 200 OK" + b"K" * 200, every=0.05),
    "header": [HEAD, Drip(b"X: " + b"v" * 200, every=0.05)],
    "interim responses": Drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 200, every=0.05, size=25),
    "body by length": [HEAD + b"Content-Length: 200\r\n\r\n", Drip(b"x" * 200, every=0.05)],
    "body in chunks": [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", Drip(b"1\r\nx\r\n" * 200, every=0.05, size=6)],
    "inside one chunk": [HEAD + b"Transfer-Encoding: chunked\r\n\r\nc8\r\n", Drip(b"x" * 200, every=0.05)],
    "chunk size": [HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", Drip(b"x" * 200, every=0.05)],
    "body until close": [HEAD + b"\r\n", Drip(b"x" * 200, every=0.05)],
}


class TestTimeouts(Conformance):
    """The phases, and the total."""

    def test_read_before_the_head(self, client: Client) -> None:
        """A server that does not answer is a ReadTimeout; the request may have been processed."""
        with Server(b"") as server:
            with pytest.raises(ReadTimeout) as caught:
                client.get(server.url, timeout=SHORT)

            assert isinstance(caught.value, TimeoutError)
            assert "maybe" == caught.value.request_sent
            assert "no response came in time" in str(caught.value)

    @pytest.mark.parametrize("settings", [{}, {"timeout": {"read": 0.2}}])
    def test_a_number_is_not_cut_short(self, client: Client, settings: dict[str, Any]) -> None:
        """A number bounds the whole: no phase of the client's ends a call that has time left."""
        with Server([Pause(0.6), reply(200, b"thought")]) as server, client_of(client.backend, **settings) as slow:
            assert b"thought" == slow.get(server.url, timeout=10).body
            with slow.stream("GET", server.url, timeout=10) as response:
                assert b"thought" == b"".join(response.body)

    def test_a_mapping_changes_what_it_names(self, client: Client) -> None:
        """The other phases stay those of the client."""
        with Server([Stall()]) as server, client_of(client.backend, timeout={"read": 0.2}) as hasty:
            with pytest.raises(ReadTimeout):
                hasty.get(server.url, timeout={"total": 10})
            with pytest.raises(ReadTimeout), hasty.stream("GET", server.url, timeout={"total": 10}):
                pass

    @pytest.mark.parametrize(
        "start",
        [HEAD + b"Content-Length: 9\r\n\r\nx", HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", HEAD + b"\r\nx"],
    )
    def test_read_inside_the_body(self, client: Client, start: bytes) -> None:
        """A body that stops coming is one, too, read whole or streamed."""
        with Server([start, Stall()]) as server:
            with pytest.raises(ReadTimeout) as caught:
                client.get(server.url, timeout=SHORT)
            with pytest.raises(ReadTimeout), client.stream("GET", server.url, timeout=SHORT) as response:
                list(response.body)

            assert "yes" == caught.value.request_sent
            assert "the rest of the response did not come in time" in str(caught.value)

    def test_read_timeout_is_per_read(self, client: Client) -> None:
        """A body whose every byte comes in time is no ReadTimeout, however long it takes in all."""
        with Server([HEAD + b"Content-Length: 8\r\n\r\n", Drip(b"x" * 8, every=0.2)]) as server:
            assert b"x" * 8 == client.get(server.url, timeout=Timeout(20, read=1.4)).body

    def test_write(self, client: Client) -> None:
        """A server that takes no byte is a WriteTimeout."""

        def endless() -> Iterator[bytes]:
            for _ in range(4096):
                yield b"x" * 65536

        with Server(OnConnect(Stall()), receive_buffer=4096) as server:
            with pytest.raises(WriteTimeout) as caught:
                client.post(server.url, body=endless(), timeout=Timeout(20, write=0.3))

            assert "maybe" == caught.value.request_sent

    def test_connect(self, client: Client) -> None:
        """A connection that does not come about is a ConnectTimeout; nothing was sent."""
        with socket.socket() as full:
            # A listener that accepts nobody, and whose queue is full: further connections get no answer.
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = []
            for _ in range(8):
                peer = socket.socket()
                peer.setblocking(False)
                peer.connect_ex(full.getsockname())
                waiting.append(peer)
            try:
                with pytest.raises(ConnectTimeout) as caught:
                    client.get(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=Timeout(20, connect=0.3))
            finally:
                for peer in waiting:
                    peer.close()

            assert "no" == caught.value.request_sent

    def test_tls_handshake_that_stalls(self, client: Client) -> None:
        """A peer that accepts and never speaks TLS is a ConnectTimeout."""
        with Server(b"") as server:
            with pytest.raises(ConnectTimeout) as caught:
                client.get(server.url.replace("http:", "https:"), timeout=Timeout(20, connect=0.3))

            assert "no" == caught.value.request_sent

    def test_total_before_the_head(self, client: Client) -> None:
        """The total ends a wait that the read timeout would still allow."""
        with Server(b"") as server:
            with pytest.raises(TotalTimeout) as caught:
                client.get(server.url, timeout=0.3)

            assert "maybe" == caught.value.request_sent

    @requires(Capability.HARD_DEADLINE)
    @pytest.mark.parametrize("row", DRIPS)
    def test_total_against_a_drip(self, client: Client, row: str) -> None:
        """The total ends a response that drips, wherever it does, long before the server is done."""
        with Server(DRIPS[row]) as server:
            started = time.monotonic()
            with pytest.raises(TotalTimeout):
                client.get(server.url, timeout=0.5)

            # The promise is a quarter of a second after the deadline; the drip itself would take ten seconds.
            assert time.monotonic() - started < 8

    def test_total_against_a_dripping_body(self, client: Client) -> None:
        """On every backend the total is looked at with each piece of a body."""
        with Server(DRIPS["body by length"]) as server:
            started = time.monotonic()
            with pytest.raises(TotalTimeout):
                client.get(server.url, timeout=0.5)

            assert time.monotonic() - started < 8

    def test_a_stream_has_no_total_unless_it_names_one(self, client: Client) -> None:
        """A stream may take longer than the client's total; one of its own holds."""
        slow: Script = [HEAD + b"Content-Length: 6\r\n\r\n", Drip(b"x" * 6, every=0.1)]
        backend = client.backend
        with Server(slow) as server, type(client)(backend=backend, timeout=0.3) as impatient:
            with impatient.stream("GET", server.url) as response:
                assert b"x" * 6 == response.read().body
            with pytest.raises(TotalTimeout), impatient.stream("GET", server.url, timeout=0.3) as response:
                response.read()

    def test_a_late_answer_is_nobodys(self, client: Client) -> None:
        """What comes after a timeout is not the answer to the next request."""
        late = threading.Event()

        def answer(request: RecordedRequest) -> Script:
            if request.target == "/slow":
                late.wait(20)
                return reply(200, b"late")
            return reply(200, b"in time")

        with Server(answer) as server:
            with pytest.raises(TimedOut):
                client.get(f"{server.url}/slow", timeout=SHORT)
            late.set()

            assert b"in time" == client.get(f"{server.url}/next").body

    def test_no_timeout(self, client: Client) -> None:
        """`None` waits as long as it takes."""
        with Server([Pause(0.3), reply(200, b"patience")]) as server:
            assert b"patience" == client.get(server.url, timeout=None).body
