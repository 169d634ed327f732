"""Retries: off unless asked for, never of what may have had an effect, and never more than was asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from ... import Client
from ...errors import ConnectError, ConnectionLost, IncompleteBody, StatusError, UnifetchError
from ...observe.events import Attempt, Event
from ...policies.auth import FinalRequest
from .. import Close, Reset, Script, Server, Step, refused_port, reply
from .base import Conformance

BUSY = reply(503, b"busy")
# Each on a connection of its own: a lost one that was used before may be sent again without being asked
# (RFC 9112 §9.3.1), which is not what is tested here.
BUSY_ONCE: Script = [reply(503, b"busy", {"Connection": "close"}), Close()]
CUT: Script = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Close()]
LOST: tuple[tuple[Script, type[UnifetchError]], ...] = ((Close(), ConnectionLost), (CUT, IncompleteBody))
RETRY: dict[str, Any] = {"attempts": 3, "backoff": 0}


def once() -> Iterator[bytes]:
    """A body that can be sent one time only."""
    yield b"body"


class TestRetries(Conformance):
    """Whether a request is sent again, counted where it arrives."""

    def test_off_by_default(self, client: Client) -> None:
        """Nobody asked: a busy server is asked once, a lost connection is an error, and so is half a body."""
        with Server(BUSY) as server:
            assert (503, b"busy") == (client.get(server.url).status, client.get(server.url).body)
            assert 2 == len(server.requests)
        for script, error in LOST:
            with Server(script) as server:
                with pytest.raises(error):
                    client.get(server.url)
                assert 1 == len(server.requests)

    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_a_status(self, client: Client, status: int) -> None:
        """A status that may pass is asked for again."""
        with Server(reply(status, b"not now"), reply(200, b"body")) as server:
            response = client.get(server.url, retry=RETRY)

            assert (200, b"body", 2) == (response.status, response.body, len(server.requests))
            assert server.requests[0].headers == server.requests[1].headers

    @pytest.mark.parametrize("status", [400, 401, 404, 500, 501])
    def test_another_status(self, client: Client, status: int) -> None:
        """A status that will not pass is the response, unless it was named."""
        with Server(reply(status, b"no")) as server:
            assert status == client.get(server.url, retry=RETRY).status
            assert 1 == len(server.requests)
            assert status == client.get(server.url, retry={**RETRY, "statuses": [status]}).status
            assert 4 == len(server.requests)

    @pytest.mark.parametrize("step", [Close(), Reset()])
    def test_a_lost_connection(self, client: Client, step: Step) -> None:
        """A connection that is lost before the response is followed by another."""
        with Server(step, reply(200, b"body")) as server:
            assert b"body" == client.get(server.url, retry=RETRY).body
            assert 2 == len(server.requests)

    def test_half_a_body(self, client: Client) -> None:
        """Half a body is dropped, and the whole asked for again."""
        with Server(CUT, reply(200, b"whole")) as server:
            assert b"whole" == client.get(server.url, retry=RETRY).body
            assert 2 == len(server.requests)

    def test_half_a_stream(self, client: Client) -> None:
        """What the caller has begun to read is not begun again."""
        with Server(CUT) as server:
            with client.stream("GET", server.url, retry=RETRY) as response:
                with pytest.raises(IncompleteBody):
                    b"".join(response.body)

            assert 1 == len(server.requests)

    @pytest.mark.parametrize("attempts", [1, 2, 5])
    def test_no_more_than_asked_for(self, client: Client, attempts: int) -> None:
        """The last attempt is the last: its response, or its error, is the caller's."""
        with Server(BUSY) as server:
            response = client.get(server.url, retry={**RETRY, "attempts": attempts})
            assert (503, b"busy", attempts) == (response.status, response.body, len(server.requests))
        for script, kind in LOST:
            with Server(script) as server:
                with pytest.raises(kind) as caught:
                    client.get(server.url, retry={**RETRY, "attempts": attempts})
                assert (attempts, attempts) == (len(server.requests), len(caught.value.attempts))

    @pytest.mark.parametrize("attempts", [2, 3])
    def test_what_http_allows_by_itself_is_counted(self, client: Client, attempts: int) -> None:
        """The one time that the loss of a kept connection is repaired unasked (RFC 9112 §9.3.1) is an attempt."""
        with Server(BUSY, Close()) as server:
            with pytest.raises(ConnectionLost) as caught:
                client.get(server.url, retry={**RETRY, "attempts": attempts})

            assert (attempts, attempts) == (len(server.requests), len(caught.value.attempts))

    def test_the_error_lists_the_attempts(self, client: Client) -> None:
        """In their order, in words, whatever each came to."""
        with Server(BUSY_ONCE, CUT, Close()) as server:
            with pytest.raises(ConnectionLost) as caught:
                client.get(server.url, retry=RETRY)

            assert 3 == len(server.requests)
        assert "503 Service Unavailable" == caught.value.attempts[0]
        assert ["IncompleteBody", "ConnectionLost"] == [each.partition(":")[0] for each in caught.value.attempts[1:]]

    def test_as_a_setting(self, client: Client) -> None:
        """A client's own goes for each of its calls, but for one that says None."""
        with Server(BUSY) as server, type(client)(client.backend, retry=RETRY) as patient:
            patient.get(server.url)
            assert 3 == len(server.requests)
            patient.get(server.url, retry=None)
            assert 4 == len(server.requests)

    # --- What may have had an effect ---

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    def test_not_idempotent(self, client: Client, method: str) -> None:
        """A request that may have had an effect is not sent again, unless its method was named."""
        with Server(BUSY) as server:
            assert 503 == client.request(method, server.url, body=b"body", retry=RETRY).status
            assert 1 == len(server.requests)
        for script, error in LOST:
            with Server(script) as server:
                with pytest.raises(error) as caught:
                    client.request(method, server.url, body=b"body", retry=RETRY)
                assert (1, True) == (len(server.requests), caught.value.request_sent != "no")
        with Server(BUSY_ONCE, Close(), reply(200)) as server:
            named = {**RETRY, "methods": [method]}
            assert 200 == client.request(method, server.url, body=b"body", retry=named).status
            assert [b"body"] * 3 == [request.body for request in server.requests]

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_refused(self, client: Client, method: str) -> None:
        """Where no connection came about, nothing was sent, and every method may be tried again."""
        told: list[Event] = []
        with refused_port() as port, type(client)(client.backend, retry=RETRY, listeners=told.append) as patient:
            with pytest.raises(ConnectError) as caught:
                patient.request(method, f"http://127.0.0.1:{port}/", timeout=10)

        assert 3 == sum(isinstance(event, Attempt) for event in told)
        assert ("no", 3) == (caught.value.request_sent, len(caught.value.attempts))

    # --- Bodies ---

    def test_a_body_is_sent_again_from_its_start(self, client: Client) -> None:
        """A file goes again from where it stood, with the same length."""
        file = io.BytesIO(b"skipped, sent")
        file.seek(9)
        with Server(BUSY_ONCE, Close(), reply(200)) as server:
            client.put(server.url, body=file, retry=RETRY)

            assert [("4", b"sent")] * 3 == [(each.header("content-length"), each.body) for each in server.requests]

    def test_a_one_shot_body_is_not_sent_again(self, client: Client) -> None:
        """Not after a status, not after an error, and not even where nobody heard it."""
        with Server(BUSY) as server:
            assert 503 == client.put(server.url, body=once(), retry=RETRY).status
            assert [b"body"] == [request.body for request in server.requests]
        with Server(Close()) as server:
            with pytest.raises(ConnectionLost):
                client.put(server.url, body=once(), retry=RETRY)
            assert [b"body"] == [request.body for request in server.requests]
        told: list[Event] = []
        with refused_port() as port, type(client)(client.backend, retry=RETRY, listeners=told.append) as patient:
            with pytest.raises(ConnectError):
                patient.put(f"http://127.0.0.1:{port}/", body=once(), timeout=10)
        assert 1 == sum(isinstance(event, Attempt) for event in told)

    def test_each_attempt_is_signed(self, client: Client) -> None:
        """A signature is made anew: it may hold a time or a nonce."""
        signed: list[str] = []

        def sign(request: FinalRequest) -> dict[str, str]:
            signed.append(f"Signed {len(signed) + 1}")
            return {"Authorization": signed[-1]}

        with Server(BUSY, reply(200)) as server:
            client.get(server.url, auth=sign, retry=RETRY)

            assert ["Signed 1", "Signed 2"] == [request.header("authorization") for request in server.requests]

    # --- How long to wait ---

    @pytest.mark.parametrize("after", ["0", "Sun, 06 Nov 1994 08:49:37 GMT"])
    def test_retry_after_now(self, client: Client, after: str) -> None:
        """A Retry-After that is over counts in place of the back-off."""
        patient = {"attempts": 2, "backoff": 86_400, "max_wait": 86_400}
        with Server(reply(503, b"busy", {"Retry-After": after}), reply(200)) as server:
            assert 200 == client.get(server.url, retry=patient).status
            assert 2 == len(server.requests)

    def test_retry_after_is_not_asked(self, client: Client) -> None:
        """Where it is not to be respected, is no time, or is there twice, the back-off counts."""
        for values in (["9", "8"], ["+9"], ["soon"]):
            with Server(reply(503, b"busy", [("Retry-After", value) for value in values]), reply(200)) as server:
                assert 200 == client.get(server.url, timeout=5, retry=RETRY).status
                assert 2 == len(server.requests)
        with Server(reply(503, b"busy", {"Retry-After": "9999"}), reply(200)) as server:
            assert 200 == client.get(server.url, retry={**RETRY, "respect_retry_after": False}).status
            assert 2 == len(server.requests)

    def test_retry_after_beyond_patience(self, client: Client) -> None:
        """One that is longer than `max_wait` is an error, which has the response."""
        with Server(reply(503, b"busy", {"Retry-After": "31"})) as server:
            with pytest.raises(StatusError, match="31 s") as caught:
                client.get(server.url, retry={**RETRY, "max_wait": 30})

            assert (503, "31") == (caught.value.response.status, caught.value.response.headers["retry-after"])
            assert 1 == len(server.requests)

    def test_a_wait_beyond_the_deadline(self, client: Client) -> None:
        """What the total would cut short is not waited for: the response is there already."""
        with Server(reply(503, b"busy", {"Retry-After": "30"})) as server:
            response = client.get(server.url, timeout=5, retry=RETRY)

            assert (503, b"busy", 1) == (response.status, response.body, len(server.requests))
