"""What HTTP/1.1 has beyond requests and responses: 100 (Continue), trailers, interim responses as events."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import InvalidBody, InvalidHeader, UnsupportedCapability
from ...observe import events
from .. import Close, OnHead, Receive, Server, Signal, Wait, reply
from ..steps import Step
from .base import Conformance, requires

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def once(data: bytes) -> Iterator[bytes]:
    """A body whose size nobody knows in advance."""
    yield data


class Hints(Step):
    """Sends interim responses until the event is set; if that takes long, it answers instead."""

    def __init__(self, until: threading.Event) -> None:
        self.until = until

    def run(self, connection: Any) -> None:
        for _ in range(25):
            if self.until.wait(0.2):
                return
            connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        connection.play([reply(408), Close()])


class TestExtras(Conformance):
    """What not every library can do, and those that can do alike."""

    @requires(Capability.EXPECT_CONTINUE)
    def test_expect_continue_waits_for_leave(self, client: Client) -> None:
        """With `Expect: 100-continue` the body waits until the server asks for it."""
        asked = threading.Event()
        with Server(OnHead(Signal(asked), CONTINUE, Receive(), reply(200, b"thanks"))) as server:
            response = client.put(server.url, body=b"body", headers={"Expect": "100-continue"})

            assert (b"thanks", b"body") == (response.body, server.requests[0].body)

    @requires(Capability.EXPECT_CONTINUE)
    def test_expect_continue_takes_no_for_an_answer(self, client: Client) -> None:
        """A final answer instead of leave is the response; the body stays here, and so does the connection."""
        with Server(OnHead(reply(417, b"no")), reply(200, b"next")) as server:
            response = client.put(server.url, body=b"x" * 100_000, headers={"Expect": "100-continue"})

            assert (417, b"no", b"") == (response.status, response.body, server.requests[0].body)
            assert (b"next", 2) == (client.get(server.url).body, server.connections)

    @requires(Capability.EXPECT_CONTINUE)
    def test_expect_continue_of_a_server_that_does_not_know_it(self, client: Client) -> None:
        """A server that says nothing gets the body after a moment."""
        with Server(reply(200, b"thanks")) as server:
            response = client.put(server.url, body=b"body", headers={"Expect": "100-continue"})

            assert (b"thanks", b"body") == (response.body, server.requests[0].body)

    @requires(Capability.EXPECT_CONTINUE)
    def test_expect_continue_of_a_server_that_gives_hints(self, client: Client) -> None:
        """Other interim responses do not prolong that moment."""
        asked = threading.Event()

        def blocks() -> Iterator[bytes]:
            asked.set()
            yield b"body"

        with Server(OnHead(Hints(asked), Receive(), reply(200, b"thanks"))) as server:
            response = client.put(server.url, body=blocks(), headers={"Expect": "100-continue"})

            assert (b"thanks", b"body") == (response.body, server.requests[0].body)

    @requires(Capability.EXPECT_CONTINUE, Capability.KEEP_ALIVE)
    def test_expect_continue_on_a_connection_that_ends(self, client: Client) -> None:
        """A request that can be repeated is sent again, if the server closed an idle connection at that moment."""
        with Server(reply(), OnHead(Close()), reply(200, b"again")) as server:
            client.get(server.url)
            response = client.put(server.url, body=b"body", headers={"Expect": "100-continue"})

            assert (b"again", 2) == (response.body, server.connections)

    def test_expect_is_refused_where_nobody_waits(self, client: Client) -> None:
        """A backend that would not wait says so, and sends nothing."""
        if Capability.EXPECT_CONTINUE in client.backend.capabilities:
            return
        with Server() as server:
            with pytest.raises(UnsupportedCapability, match="EXPECT_CONTINUE"):
                client.put(server.url, body=b"body", headers={"Expect": "100-continue"})

            assert 0 == server.connections

    @requires(Capability.TRAILERS)
    def test_trailers_of_a_response(self, client: Client) -> None:
        """The fields after the last chunk are told apart from those of the head."""
        data = b"5\r\nhello\r\n0\r\nX-Checksum: 1\r\nX-Checksum: 2\r\n\r\n"
        with Server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data) as server:
            response = client.get(server.url)
            with client.stream("GET", server.url) as streamed:
                read = streamed.read()

            assert ("1, 2", False) == (response.trailers["x-checksum"], "x-checksum" in response.headers)
            assert response.trailers == read.trailers

    @requires(Capability.TRAILERS)
    def test_trailers_of_a_request(self, client: Client) -> None:
        """Fields are sent after the last chunk, and announced in the head."""
        with Server() as server:
            client.put(server.url, body=once(b"body"), trailers={"X-Checksum": "1"})

            request = server.requests[0]
            assert ("X-Checksum", b"4\r\nbody\r\n0\r\nX-Checksum: 1\r\n\r\n") == (
                request.header("trailer"),
                request.raw_body,
            )

    def test_trailers_that_would_come_too_late(self, client: Client) -> None:
        """Framing and routing fields are refused (RFC 9110 §6.5.1)."""
        with Server() as server:
            with pytest.raises(InvalidHeader, match="content-length"):
                client.put(server.url, body=once(b"body"), trailers={"Content-Length": "4"})

            assert 0 == server.connections

    def test_trailers_need_chunks(self, client: Client) -> None:
        """A body with a length has no place for them."""
        with Server() as server:
            with pytest.raises(InvalidBody, match="trailers"):
                client.put(server.url, body=b"body", trailers={"X-Checksum": "1"})

            assert 0 == server.connections

    @requires(Capability.INTERIM_EVENTS)
    def test_interim_responses_are_told(self, client: Client) -> None:
        """Listeners are told of 1xx responses and their fields, before the answer."""
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        told: list[events.Event] = []
        with (
            Server(CONTINUE + hints + reply(200)) as server,
            type(client)(client.backend, listeners=told.append) as listening,
        ):
            listening.get(server.url)

        interim = [(event.status, dict(event.headers)) for event in told if isinstance(event, events.InterimResponse)]
        assert [(100, {}), (103, {"Link": "</a>"})] == interim

    def test_connection_close_of_the_request(self, client: Client) -> None:
        """`Connection: close` of the caller ends the connection, whatever the server says."""
        with Server() as server:
            client.get(server.url, headers={"Connection": "close"})
            client.get(server.url)

            assert 2 == server.connections

    def test_an_idle_connection_does_not_outlive_a_wait(self, client: Client) -> None:
        """A response that announces more than it sends, and then stalls, blocks nobody else."""
        stalled = threading.Event()
        with (
            Server([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", Wait(stalled)], reply(200, b"next")) as server,
            client.stream("GET", server.url) as response,
        ):
            assert b"x" == next(response.body)
            assert b"next" == client.get(server.url).body
