"""HTTP/2: what RFC 9113 wants of a client, and what servers do to those that were not told.

Each row broke at least one client that is in use. The servers are scripts of frames; the whole needs `h2`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import (
    ConnectionLost,
    IncompleteBody,
    ProtocolError,
    ReadTimeout,
    TimedOut,
    TooLarge,
    UnifetchError,
    UnsupportedCapability,
)
from ...observe import events
from .. import Close, OnConnect, OnHead, Pause, Receive, Reset, Script, Signal, Wait, http2
from .. import Server as HTTP11Server
from .. import reply as http11_reply
from .base import Conformance, requires

GET = [(":status", "200"), ("content-length", "5")]
# What must not be a response, each as the fields of its head.
MALFORMED = {
    "no status": [("content-length", "0")],
    "an empty head": [],
    "two of them": [(":status", "200"), (":status", "200")],
    "a status of two digits": [(":status", "20")],
    "a status with a sign": [(":status", "+200")],
    "switching protocols": [(":status", "101")],
    "a pseudo-field after a field": [("a", "b"), (":status", "200")],
    "a pseudo-field of requests": [(":status", "200"), (":path", "/")],
    "an upper-case name": [(":status", "200"), ("X-Upper", "1")],
    "a name with a space": [(":status", "200"), ("x y", "1")],
    "an empty name": [(":status", "200"), ("", "1")],
    "a name with a colon": [(":status", "200"), ("a:b", "1")],
    "connection": [(":status", "200"), ("connection", "close")],
    "keep-alive": [(":status", "200"), ("keep-alive", "timeout=5")],
    "proxy-connection": [(":status", "200"), ("proxy-connection", "close")],
    "transfer-encoding": [(":status", "200"), ("transfer-encoding", "chunked")],
    "upgrade": [(":status", "200"), ("upgrade", "h2c")],
    "CR LF in a value": [(":status", "200"), ("a", "1\r\nset-cookie: x=1")],
    "LF in a value": [(":status", "200"), ("a", "1\n2")],
    "NUL in a value": [(":status", "200"), ("a", "1\0")],
    "a space before a value": [(":status", "200"), ("a", " 1")],
    "a tab after a value": [(":status", "200"), ("a", "1\t")],
    "a length that is none": [(":status", "200"), ("content-length", "+5")],
    "two lengths": [(":status", "200"), ("content-length", "5"), ("content-length", "6")],
}
_BEGUN = http2.Frame(http2.HEADERS, 0, b"\x88")  # :status 200, and the block goes on
MISPLACED: dict[str, Script] = {
    "PING in a header block": [_BEGUN, http2.Frame(http2.PING, 0, bytes(8), 0)],
    "GOAWAY in a header block": [_BEGUN, http2.GoAway(2**31 - 1)],
    "DATA in a header block": [_BEGUN, http2.Data(b"hello")],
    "DATA in a block of trailers": [http2.Head(GET), _BEGUN, http2.Data(b"hello")],
    "a frame of no known kind in a header block": [_BEGUN, http2.Frame(77)],
    "GOAWAY on a stream": http2.Frame(http2.GOAWAY, 0, b"\x7f\xff\xff\xff\0\0\0\0"),
    "a window that is too large": http2.Window(2**31 - 1),
}
FLOODS = {
    "PING": http2.frame(http2.PING, 0, 0, bytes(8)),
    "SETTINGS": http2.frame(http2.SETTINGS, 0, 0),
    "empty DATA": http2.frame(http2.DATA, 0, 1),
    "DATA of padding": http2.frame(http2.DATA, http2.PADDED, 1, b"\x02\0\0"),
    "RST_STREAM": http2.frame(http2.RST_STREAM, 0, 1, bytes(4)),
    "PRIORITY": http2.frame(http2.PRIORITY, 0, 1, bytes(5)),
    "WINDOW_UPDATE": http2.frame(http2.WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "frames of no known kind": http2.frame(77, 0, 1, b"?"),
}


class TestHTTP2(Conformance):
    """What HTTP/2 promises, and that a stream that goes wrong harms nobody but itself."""

    @pytest.fixture(autouse=True)
    def _needs_h2(self) -> None:
        pytest.importorskip("h2")

    # --- Well-formed ---

    @requires(Capability.HTTP2)
    def test_a_response(self, client: Client) -> None:
        """It is as one of HTTP/1.1, but for its version and its reason, which there is none of."""
        with http2.Server(http2.reply(201, b"hello", {"x-a": "1"})) as server:
            response = ask(client, server)

            assert (201, "", "HTTP/2", b"hello") == (
                response.status,
                response.reason,
                response.http_version,
                response.body,
            )
            assert "1" == response.headers["X-A"]

    @requires(Capability.HTTP2)
    def test_the_fields_of_a_request(self, client: Client) -> None:
        """Host becomes `:authority`, names are in lower case, and no field is HTTP/1.1's; trailers are welcome."""
        with http2.Server() as server:
            ask(client, server, "POST", "/a?b=c", body=iter([b"1", b"2"]), headers={"X-A": "1", "Connection": "close"})
            request = server.requests[0]

            assert [
                (":method", "POST"),
                (":scheme", "http"),
                (":authority", f"127.0.0.1:{server.port}"),
                (":path", "/a?b=c"),
            ] == request.headers[:4]
            names = {name for name, _ in request.headers[4:]}
            assert names.isdisjoint({"host", "connection", "transfer-encoding"})
            assert {("x-a", "1"), ("te", "trailers")} <= set(request.headers)
            assert b"12" == request.body

    @requires(Capability.HTTP2)
    def test_a_credential_is_not_indexed(self, client: Client) -> None:
        """Authorization and cookies stay out of the table that a guess could be tried against (RFC 7541 §7.1.3)."""
        with http2.Server() as server:
            for _ in range(2):
                ask(client, server, auth=("user", "pass"), cookies={"a": "b"})
            blocks = [payload for kind, _, _, payload in server.frames() if kind == http2.HEADERS]

            assert [True, True] == [
                any(each[i : i + 2] in (b"\x1f\x08", b"\x1f\x11") for i in range(len(each))) for each in blocks
            ]

    @requires(Capability.HTTP2)
    def test_bodies_larger_than_every_window(self, client: Client) -> None:
        """Each side gives window back as the other is read."""
        with http2.Server(lambda request: http2.reply(body=request.body)) as server:
            body = bytes(range(256)) * 12_000
            response = ask(client, server, "POST", body=body)

            assert body == response.body

    @requires(Capability.HTTP2)
    def test_trailers_both_ways(self, client: Client) -> None:
        """They come after the body, and are told as trailers."""
        with http2.Server(http2.reply(body=b"12", trailers=[("x-sum", "3")])) as server:
            response = ask(client, server, "POST", body=iter([b"1"]), trailers={"X-After": "2"})

            assert (b"12", "3", None) == (
                response.body,
                response.trailers.get("x-sum"),
                response.headers.get("x-sum"),
            )
            assert [("x-after", "2")] == server.requests[0].trailers

    @requires(Capability.HTTP2)
    def test_interim_responses(self, client: Client) -> None:
        """A 103 comes before the response, which it is not."""
        early = http2.Head([(":status", "103"), ("link", "</a>")])
        with http2.Server([early, early, http2.reply(body=b"hello")]) as server:
            response = ask(client, server)

            assert (200, b"hello") == (response.status, response.body)

    @requires(Capability.HTTP2)
    def test_what_means_nothing_to_us(self, client: Client) -> None:
        """A PING is answered; padding, unknown frames, unknown settings and priorities are ignored."""
        script = [
            http2.Frame(http2.PING, 0, b"12345678", 0),
            http2.SetSettings({0xF000: 1}),
            http2.Frame(77, 0xFF, b"?"),
            http2.Frame(http2.PRIORITY, 0, bytes(4) + b"\x10"),
            http2.Head(GET),
            http2.Data(b"hello", end=True, padding=255),
        ]
        with http2.Server(script) as server:
            response = ask(client, server)
            server.wait_for(lambda: (http2.PING, http2.ACK, 0, b"12345678") in server.frames(), "the answer to a PING")

            assert b"hello" == response.body

    @requires(Capability.HTTP2)
    def test_one_connection(self, client: Client) -> None:
        """Requests follow one another on it, each on a stream of its own; the events tell both."""
        told: list[events.Event] = []
        with http2.Server() as server:
            for _ in range(3):
                ask(client, server, listeners=told.append)

            assert ([1, 3, 5], 1) == ([each.stream for each in server.requests], server.connections)
        heads = [event for event in told if isinstance(event, events.ResponseHead)]
        assert [1, 3, 5] == [head.stream for head in heads]
        assert 1 == len({head.connection for head in heads} - {None})

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
    def test_no_body(self, client: Client, method: str, status: int) -> None:
        """Where there is no body, a length is that of what would be there; an empty last frame may follow."""
        head = http2.Head([(":status", str(status)), ("content-length", "5")])
        with http2.Server([head, http2.Data(b"", end=True)], http2.reply()) as server:
            response = ask(client, server, method)
            ask(client, server)

            assert (status, b"") == (response.status, response.body)

    # --- The server takes no more ---

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("closed", [True, False])
    def test_goaway_below(self, client: Client, method: str, closed: bool) -> None:
        """A request above the last stream was not processed: it is sent again, on another connection (§6.8, §8.7)."""
        away = [http2.GoAway(0), Close() if closed else None]
        with http2.Server(away, http2.reply(body=b"hello")) as server:
            response = ask(client, server, method, body=b"12" if method == "POST" else None)

            assert (b"hello", 2) == (response.body, server.connections)

    @requires(Capability.HTTP2)
    def test_goaway_after_some(self, client: Client) -> None:
        """The same on a connection that has carried others."""
        with http2.Server(http2.reply(), [http2.GoAway(1), Close()], http2.reply(body=b"hello")) as server:
            ask(client, server)
            response = ask(client, server, "POST", body=b"12")

            assert (b"hello", 2) == (response.body, server.connections)

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_goaway_below_an_answer(self, client: Client, method: str) -> None:
        """A request that is being answered was processed, whatever the server says: it is not sent again."""
        script = [http2.Head(GET), http2.Data(b"hel"), http2.GoAway(0)]
        with http2.Server(script, http2.reply()) as server:
            with pytest.raises(IncompleteBody) as caught:
                ask(client, server, method, body=b"12" if method == "POST" else None)

            assert ("yes", 1) == (caught.value.request_sent, len(server.requests))

    @requires(Capability.HTTP2)
    def test_a_graceful_goaway(self, client: Client) -> None:
        """A stream that goes on to be answered is (§6.8); the next request has another connection."""
        script = [
            http2.GoAway(2**31 - 1),
            http2.Head([(":status", "200")]),
            http2.Data(b"hel"),
            http2.GoAway(1),
            http2.Data(b"lo", end=True),
        ]
        with http2.Server(script, http2.reply()) as server:
            response = ask(client, server)
            ask(client, server)

            assert (b"hello", 2) == (response.body, server.connections)

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_refused(self, client: Client, method: str) -> None:
        """REFUSED_STREAM says that nothing was processed: it is sent once more, whatever the method (§8.7)."""
        refused = http2.ResetStream(http2.REFUSED_STREAM)
        with http2.Server(refused, http2.reply(body=b"hello")) as server:
            response = ask(client, server, method, body=b"12" if method == "POST" else None)

            assert (b"hello", 2) == (response.body, len(server.requests))

    @requires(Capability.HTTP2)
    def test_refused_again(self, client: Client) -> None:
        """Once more, and no oftener; and the error says that it was not sent, as far as anybody is concerned."""
        with http2.Server(http2.ResetStream(http2.REFUSED_STREAM)) as server:
            with pytest.raises(ConnectionLost) as caught:
                ask(client, server, "POST", body=b"12")

            assert ("no", 2) == (caught.value.request_sent, len(server.requests))

    @requires(Capability.HTTP2)
    def test_refused_in_the_midst_of_a_stream(self, client: Client) -> None:
        """A body that cannot be had twice is not sent twice."""
        with http2.Server(http2.ResetStream(http2.REFUSED_STREAM)) as server:
            with pytest.raises(ConnectionLost):
                ask(client, server, "POST", body=iter([b"1", b"2"]))

            assert 1 == len(server.requests)

    @requires(Capability.HTTP2)
    def test_misdirected(self, client: Client) -> None:
        """A 421 is answered once by a connection that has carried nothing else (RFC 9110 §15.5.20)."""
        with http2.Server(http2.reply(), http2.reply(421), http2.reply(body=b"hello"), http2.reply(421)) as server:
            ask(client, server)
            response = ask(client, server, "POST", body=b"12")
            last = ask(client, server)

            assert (b"hello", 421) == (response.body, last.status)
            assert [1, 1, 2] == [each.connection for each in server.requests][:3]

    # --- The response breaks off ---

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("code", [http2.NO_ERROR, http2.INTERNAL_ERROR, http2.CANCEL, http2.REFUSED_STREAM])
    def test_reset_in_the_body(self, client: Client, code: int) -> None:
        """It is an error, whatever the code says, and never a shorter body."""
        with http2.Server([http2.Head([(":status", "200")]), http2.Data(b"hel"), http2.ResetStream(code)]) as server:
            with pytest.raises(IncompleteBody):
                ask(client, server)

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("code", [http2.NO_ERROR, http2.INTERNAL_ERROR, http2.CANCEL])
    def test_reset_before_a_response(self, client: Client, code: int) -> None:
        """That says nothing about what was processed."""
        with http2.Server(http2.ResetStream(code)) as server:
            with pytest.raises(ConnectionLost) as caught:
                ask(client, server)

            assert ("maybe", 1) == (caught.value.request_sent, len(server.requests))

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("end", [Close(), Reset()])
    def test_cut_in_the_body(self, client: Client, end: Script) -> None:
        """So is a connection that ends, whether it was closed or reset."""
        heard = threading.Event()
        with http2.Server([http2.Head(GET), http2.Data(b"hel"), Wait(heard), end]) as server:
            with client.stream("GET", server.url, http2="only") as response:
                assert b"hel" == next(response.body)
                heard.set()
                with pytest.raises(IncompleteBody) as caught:
                    next(response.body)

            assert "yes" == caught.value.request_sent

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("data", [b"", b"hell", b"hello!"])
    def test_data_against_the_length(self, client: Client, data: bytes) -> None:
        """A body that is shorter or longer than Content-Length is an error (§8.1.1)."""
        with http2.Server([http2.Head(GET), http2.Data(data, end=True)]) as server:
            with pytest.raises(ProtocolError):
                ask(client, server)

    @requires(Capability.HTTP2)
    def test_data_beyond_the_length(self, client: Client) -> None:
        """Too much is an error when it comes, not at an end which may never come."""
        script = [http2.Head(GET), http2.Data(b"hello!"), Wait(threading.Event())]
        with http2.Server(script, script) as server:
            with pytest.raises(IncompleteBody, match="more came than was declared, after 6 of 5 bytes"):
                ask(client, server)
            with client.stream("GET", server.url, http2="only") as response:
                with pytest.raises(IncompleteBody, match="more came than was declared, after 6 of 5 bytes"):
                    b"".join(response.body)

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("row", MISPLACED)
    def test_misplaced_frames(self, client: Client, row: str) -> None:
        """A block is not interrupted (§6.10), GOAWAY is of the connection (§6.8), a window has a most (§6.9.1)."""
        with http2.Server([MISPLACED[row], http2.Head(GET), http2.Data(b"hello", end=True)]) as server:
            with pytest.raises(ProtocolError) as caught:
                ask(client, server)

            assert "yes" == caught.value.request_sent

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("row", MALFORMED)
    def test_malformed(self, client: Client, row: str) -> None:
        """It is no response (§8.1.1, §8.2, §8.3), and the next one is as if nothing had been."""
        with http2.Server(http2.Head(MALFORMED[row], end=True), http2.reply(body=b"hello")) as server:
            with pytest.raises(ProtocolError):
                ask(client, server)

            assert b"hello" == ask(client, server).body

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("trailers", [[(":status", "200")], [("X-Upper", "1")], [("connection", "close")]])
    def test_malformed_trailers(self, client: Client, trailers: list[tuple[str, str]]) -> None:
        """Trailers are held to the same, and have no pseudo-field (§8.1)."""
        with http2.Server(http2.reply(body=b"hello", trailers=trailers)) as server:
            with pytest.raises(ProtocolError):
                ask(client, server)

    # --- Uploads ---

    @requires(Capability.HTTP2)
    def test_refused_while_it_waits_for_window(self, client: Client) -> None:
        """A 413 is the answer, though the upload is not over and never will be."""
        script = http2.OnData(http2.reply(413, b"too much"), http2.ResetStream(http2.NO_ERROR))
        with http2.Server(script, returns_window=False) as server:
            response = ask(client, server, "POST", body=bytes(1_000_000))

            assert (413, b"too much") == (response.status, response.body)

    @requires(Capability.HTTP2)
    def test_the_window_below_zero(self, client: Client) -> None:
        """A server may take back what it has allowed; the upload goes on when there is window again (§6.9.2)."""
        script = http2.OnData(
            http2.SetSettings({http2.INITIAL_WINDOW_SIZE: 10}),
            http2.Window(1_000_000),
            http2.Window(1_000_000, 0),
            Receive(),
            http2.reply(body=b"hello"),
        )
        with http2.Server(script, returns_window=False) as server:
            response = ask(client, server, "POST", body=bytes(300_000))

            assert (b"hello", 300_000) == (response.body, len(server.requests[0].body))

    @requires(Capability.HTTP2)
    def test_an_upload_that_nobody_takes(self, client: Client) -> None:
        """The write timeout ends the wait for window."""
        with http2.Server(returns_window=False) as server:
            with pytest.raises(UnifetchError) as caught:
                ask(client, server, "POST", body=bytes(1_000_000), timeout={"total": 5, "write": 0.2})

            assert "WriteTimeout" == type(caught.value).__name__

    @requires(Capability.HTTP2)
    def test_an_early_answer_before_the_connection_breaks(self, client: Client) -> None:
        """An answer to an upload counts, though nothing more reaches the server that has given it."""
        with http2.Server(OnHead(http2.Frame(http2.PING, 0, bytes(8), 0), http2.reply(413), Reset())) as server:

            def blocks() -> Iterator[bytes]:
                yield b"1"
                server.wait_closed()
                yield b"2"

            assert 413 == ask(client, server, "POST", body=blocks()).status

    @requires(Capability.HTTP2)
    def test_expect(self, client: Client) -> None:
        """With Expect, the body waits for a 100, or is not sent at all (RFC 9110 §10.1.1)."""
        leave = OnHead(http2.Head([(":status", "100")]), Receive(), http2.reply())
        with http2.Server(OnHead(http2.reply(417)), leave) as server:
            expecting = {"Expect": "100-continue"}
            refused = ask(client, server, "POST", body=b"12", headers=expecting)
            taken = ask(client, server, "POST", body=b"12", headers=expecting)

            assert [(417, b""), (200, b"12")] == [
                (response.status, request.body)
                for response, request in zip((refused, taken), server.requests, strict=True)
            ]

    # --- Floods and bombs ---

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("row", FLOODS)
    def test_floods(self, client: Client, row: str) -> None:
        """What brings nothing ends the connection before long (§10.5)."""
        script: list[Script] = [http2.Head([(":status", "200")]), FLOODS[row] * 20_000, http2.Data(b"hello", end=True)]
        with http2.Server(script) as server:
            with pytest.raises(ProtocolError):
                ask(client, server)

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("size", [1, 16_384])
    def test_a_head_without_end(self, client: Client, size: int) -> None:
        """CONTINUATION after CONTINUATION is refused at 100 KiB, or at 64 frames."""
        more = http2.frame(http2.CONTINUATION, 0, 1, bytes(size)) * (2_000_000 // (size + 9))
        with http2.Server([http2.Frame(http2.HEADERS, 0, b"\x88"), more]) as server:
            with pytest.raises(ProtocolError):
                ask(client, server)

    @requires(Capability.HTTP2)
    def test_a_head_that_unpacks_to_much(self, client: Client) -> None:
        """A field of 4 KB that is repeated by one byte each is counted as often (RFC 7541 §7.3)."""
        bomb = b"\x88\x40\x01a\x7f\xa1\x1e" + b"b" * 4_000 + b"\xbe" * 16_000
        pieces = [bomb[at : at + 16_000] for at in range(0, len(bomb), 16_000)]
        script = [http2.Frame(http2.HEADERS, 0, pieces[0]), http2.Frame(http2.CONTINUATION, 4, pieces[1])]
        with http2.Server(script) as server:
            with pytest.raises(TooLarge):
                ask(client, server)

    @requires(Capability.HTTP2)
    def test_more_fields_than_allowed(self, client: Client) -> None:
        """The limits of a head are those of HTTP/1.1."""
        with http2.Server(http2.reply(headers=[(f"x-{number}", "1") for number in range(1_200)])) as server:
            with pytest.raises(TooLarge):
                ask(client, server)

    @requires(Capability.HTTP2)
    def test_a_frame_too_large(self, client: Client) -> None:
        """One of more than 16 KiB was never allowed (§4.2)."""
        with http2.Server([http2.Head([(":status", "200")]), http2.Frame(http2.DATA, 1, bytes(20_000))]) as server:
            with pytest.raises(ProtocolError):
                ask(client, server)

    @requires(Capability.HTTP2)
    def test_push_is_refused(self, client: Client) -> None:
        """It is switched off, so a push is an error of the connection (§8.4)."""
        push = http2.Frame(http2.PUSH_PROMISE, 4, b"\0\0\0\2\x82\x84\x87")
        with http2.Server([push, http2.reply()]) as server:
            with pytest.raises(ProtocolError):
                ask(client, server)

    # --- Time and giving up ---

    @requires(Capability.HTTP2)
    def test_a_read_timeout(self, client: Client) -> None:
        """A stream that is not answered ends by its own timeout, and a PING now and then is no answer."""
        with http2.Server(None, http2.reply()) as server:
            with pytest.raises(ReadTimeout):
                ask(client, server, timeout={"total": 5, "read": 0.1})

            assert 200 == ask(client, server).status

    @requires(Capability.HTTP2)
    def test_bodies_that_are_abandoned(self, client: Client) -> None:
        """More of them than the server allows streams: the next request is answered as if they had not been."""
        head: Script = [http2.Head([(":status", "200")]), http2.Data(bytes(100))]
        scripts: list[Script] = [*[head] * 25, http2.reply(body=b"hello")]
        with http2.Server(*scripts, settings={http2.MAX_CONCURRENT_STREAMS: 20}) as server:
            for _ in range(25):
                with client.stream("GET", server.url, http2="only"):
                    pass

            assert b"hello" == ask(client, server).body

    @requires(Capability.HTTP2)
    def test_a_server_without_http2(self, client: Client) -> None:
        """With prior knowledge of what is not so, nothing is guessed."""
        with HTTP11Server(OnConnect(http11_reply(400), Close())) as server:
            with pytest.raises((ProtocolError, ConnectionLost)):
                client.get(server.url, http2="only")
            server.errors.clear()


class TestMultiplex(Conformance):
    """Several exchanges on one connection: whatever becomes of one, the others do not notice."""

    @pytest.fixture(autouse=True)
    def _needs_h2(self, client: Client) -> None:
        pytest.importorskip("h2")
        if Capability.HTTP2 not in client.backend.capabilities:
            with pytest.raises(UnsupportedCapability):  # else each test would wait for what never comes
                client.get("http://127.0.0.1:9/", http2="only")
            pytest.skip(f"{client.backend.name} does not declare HTTP2, without which there is no MULTIPLEX")

    @pytest.fixture
    def at_once(self) -> Iterator[ThreadPoolExecutor]:
        """What makes calls beside one another."""
        with ThreadPoolExecutor(32) as pool:
            yield pool

    @requires(Capability.MULTIPLEX)
    def test_one_connection(self, client: Client, at_once: ThreadPoolExecutor) -> None:
        """Twenty requests are on it at once: none is answered before all have come; and each has its own answer."""
        together = threading.Barrier(20)

        def answer(request: Any) -> Script:
            together.wait(20)
            return http2.reply(body=request.target.encode())

        with http2.Server(lambda request: answer(request)) as server:
            answers = list(at_once.map(lambda number: ask(client, server, target=f"/{number}").body, range(20)))

            assert [b"/%d" % number for number in range(20)] == answers
            assert 1 == server.connections

    @requires(Capability.MULTIPLEX)
    @pytest.mark.parametrize("end", ["timeout", "total", "closed"])
    def test_a_neighbour_that_gives_up(self, client: Client, at_once: ThreadPoolExecutor, end: str) -> None:
        """It resets its own stream with CANCEL; mine goes on, on the same connection."""
        go_on = threading.Event()
        begun = [http2.Head([(":status", "200")]), http2.Data(b"hel")]
        scripts = {"/mine": [*begun, Wait(go_on), http2.Data(b"lo", end=True)], "/its": begun}
        with http2.Server(scripts) as server:
            mine = at_once.submit(ask, client, server, target="/mine")
            server.wait_for(lambda: bool(server.requests), "the first request")
            if end == "closed":
                with client.stream("GET", server.url + "/its", http2="only"):
                    pass
            else:
                limit = {"total": 0.2} if end == "total" else {"total": 5, "read": 0.2}
                with pytest.raises(TimedOut):
                    ask(client, server, target="/its", timeout=limit)
            # First of all, so that a backend without streams side by side does not wait for what cannot come.
            assert 1 == server.connections
            server.wait_for(lambda: server.requests[1].reset == http2.CANCEL, "the reset")
            go_on.set()

            assert b"hello" == mine.result().body
            assert 1 == [kind for kind, *_ in server.frames()].count(http2.RST_STREAM)

    @requires(Capability.MULTIPLEX)
    def test_a_timeout_beside_a_busy_neighbour(self, client: Client, at_once: ThreadPoolExecutor) -> None:
        """A read timeout is of the stream: what comes for another does not lengthen it."""
        over = threading.Event()

        def busy(request: Any) -> Iterator[Script]:
            yield http2.Head([(":status", "200")])
            while not over.is_set():
                yield http2.Data(b"x")
                yield Pause(0.01)
            yield http2.Data(b"", end=True)

        with http2.Server({"/busy": busy, "/mine": None}) as server:
            neighbour = at_once.submit(ask, client, server, target="/busy")
            server.wait_for(lambda: bool(server.requests), "the first request")
            with pytest.raises(ReadTimeout):
                ask(client, server, target="/mine", timeout={"total": 9, "read": 0.2})
            over.set()

            assert set(b"x") == set(neighbour.result().body)
            assert 1 == server.connections

    @requires(Capability.MULTIPLEX)
    @pytest.mark.parametrize(
        "its",
        [
            http2.Head([("content-length", "0")], end=True),
            http2.Head([(":status", "200"), ("connection", "close")], end=True),
            [http2.Head(GET), http2.Data(b"hello!", end=True)],
            [http2.Head([(":status", "200"), ("content-length", "5"), ("content-length", "6")]), http2.Data(b"12345")],
            http2.ResetStream(http2.INTERNAL_ERROR),
            [http2.Head(GET), http2.Data(b"hel"), http2.ResetStream(http2.INTERNAL_ERROR)],
        ],
    )
    def test_a_neighbour_that_is_answered_badly(self, client: Client, at_once: ThreadPoolExecutor, its: Script) -> None:
        """That is the error of its stream, and of no other (RFC 9113 §5.4.2, §8.1.1)."""
        go_on = threading.Event()
        with http2.Server({"/mine": [Wait(go_on), http2.reply(body=b"hello")], "/its": its}) as server:
            mine = at_once.submit(ask, client, server, target="/mine")
            server.wait_for(lambda: bool(server.requests), "the first request")
            with pytest.raises((ProtocolError, ConnectionLost)):
                ask(client, server, target="/its")
            go_on.set()

            assert b"hello" == mine.result().body
            assert 1 == server.connections

    @requires(Capability.MULTIPLEX)
    def test_a_neighbour_that_does_not_read(self, client: Client, at_once: ThreadPoolExecutor) -> None:
        """Its window is its own: it fills up, and others are answered; when it reads on, all of it is there."""
        with http2.Server({"/mine": http2.reply(body=b"hello"), "/its": http2.reply(body=bytes(5_000_000))}) as server:
            with client.stream("GET", server.url + "/its", http2="only") as response:
                answers = {ask(client, server, target="/mine").body for _ in range(20)}
                size = sum(map(len, response.body))

            assert ({b"hello"}, 5_000_000, 1) == (answers, size, server.connections)

    @requires(Capability.MULTIPLEX)
    def test_many_neighbours_that_do_not_read(self, client: Client) -> None:
        """However many they are, each holds up itself alone: the last is read first."""
        with http2.Server(*[http2.reply(body=bytes(1_500_000))] * 24) as server, ExitStack() as held:
            streams = [
                held.enter_context(client.stream("GET", server.url, http2="only", timeout={"read": 5}))
                for _ in range(24)
            ]
            sizes = [sum(map(len, response.body)) for response in reversed(streams)]

            assert ([1_500_000] * 24, 1) == (sizes, server.connections)

    @requires(Capability.MULTIPLEX)
    def test_goaway_between(self, client: Client, at_once: ThreadPoolExecutor) -> None:
        """Below its last stream they are answered where they are, above it they are sent again elsewhere (§6.8)."""
        second = threading.Event()

        def answer(request: Any) -> Script:
            if request.target == "/second" and request.connection == 1:
                return [http2.GoAway(1), Signal(second)]
            wait: Script = Wait(second) if request.target == "/first" else None
            return [wait, http2.reply(body=b"%d" % request.connection)]

        with http2.Server(answer) as server:
            first = at_once.submit(ask, client, server, target="/first")
            server.wait_for(lambda: bool(server.requests), "the first request")
            again = ask(client, server, "POST", target="/second", body=b"12")

            # First of all, so that a backend without streams side by side does not wait for what cannot come.
            assert [1, 1, 2] == [request.connection for request in server.requests]
            assert (b"1", b"2") == (first.result().body, again.body)

    @requires(Capability.HTTP2)
    @pytest.mark.parametrize("most", [1, 3])
    def test_few_streams(self, client: Client, at_once: ThreadPoolExecutor, most: int) -> None:
        """A server that takes few streams at once never sees more of them on a connection; all are answered."""
        busy: Counter[int] = Counter()
        over = threading.Lock()
        exceeded = []

        def answer(request: Any) -> Iterator[Script]:
            with over:
                busy[request.connection] += 1
                exceeded.append(busy[request.connection] > most)
            yield Pause(0.002)
            with over:
                busy[request.connection] -= 1
            yield http2.reply(body=request.target.encode())

        with http2.Server(answer, settings={http2.MAX_CONCURRENT_STREAMS: most}) as server:
            answers = list(at_once.map(lambda number: ask(client, server, target=f"/{number}").body, range(60)))

            assert [b"/%d" % number for number in range(60)] == answers
            assert not any(exceeded)

    @requires(Capability.HTTP2)
    def test_fewer_streams_than_before(self, client: Client, at_once: ThreadPoolExecutor) -> None:
        """If a server allows fewer while more are open, these go on; the next wait, or have another connection."""
        come = threading.Event()
        fewer = [http2.SetSettings({http2.MAX_CONCURRENT_STREAMS: 1}), Wait(come), http2.reply(body=b"old")]
        scripts = {"/old": fewer, "/new": http2.reply(body=b"new")}
        with http2.Server(scripts) as server:
            old = [at_once.submit(ask, client, server, target="/old") for _ in range(3)]
            server.wait_for(lambda: len(server.requests) == 3, "three requests")
            new = [ask(client, server, target="/new").body for _ in range(3)]
            come.set()

            assert [b"old"] * 3 + [b"new"] * 3 == [each.result().body for each in old] + new


def ask(client: Client, server: Any, method: str = "GET", target: str = "/", **call: Any) -> Any:
    """The response to a request, which goes by HTTP/2 and nothing else."""
    if call.get("body", b"") is None:
        del call["body"]
    return client.request(method, server.url + target, http2="only", **call)
