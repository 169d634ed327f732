"""Connections: when one is used again, when it must not be, and what its failures are called."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ... import Client
from ...backends import BACKENDS
from ...backends.base import Capability
from ...errors import (
    ConnectError,
    ConnectionLost,
    IncompleteBody,
    NameResolutionError,
    UnifetchError,
)
from .. import Close, OnHead, Pause, Receive, Reset, Script, Server, Signal, Step, Wait, refused_port, reply
from ..awaited import client_of
from .base import BackendFactory, Conformance, requires
from .routes import authority

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
OTHER = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"


class TestErrors(Conformance):
    """What went wrong has one name, and it is known whether the request had left."""

    def test_refused(self, client: Client) -> None:
        """Nobody listens: ConnectError, and nothing was sent."""
        with refused_port() as port, pytest.raises(ConnectError) as caught:
            client.get(f"http://127.0.0.1:{port}/")

        assert isinstance(caught.value, ConnectionError)
        assert ("no", client.backend.name) == (caught.value.request_sent, caught.value.backend)

    def test_no_such_host(self, client: Client) -> None:
        """A name without an address: NameResolutionError. (.invalid is reserved to be none, RFC 6761 §6.4.)"""
        with pytest.raises(NameResolutionError) as caught:
            client.get("http://name.invalid/")

        assert "no" == caught.value.request_sent

    @pytest.mark.parametrize("end", ["close", "reset"])
    def test_connection_that_ends_without_an_answer(self, client: Client, end: str) -> None:
        """ConnectionLost: the request may have been processed, and it was sent once."""
        with Server(Close() if end == "close" else Reset()) as server:
            with pytest.raises(ConnectionLost) as caught:
                client.get(server.url)

            assert ("maybe", 1) == (caught.value.request_sent, server.connections)
            assert "before an answer came" in str(caught.value)

    @requires(Capability.EARLY_RESPONSE)
    @pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "reset"])
    @pytest.mark.parametrize("body", ["bytes", "blocks"])
    def test_connection_that_ends_in_the_request(self, client: Client, end: Step, body: str) -> None:
        """ConnectionLost says that it was while the request was sent."""
        with Server(OnHead(end), receive_buffer=4096) as server:
            with pytest.raises(ConnectionLost, match="while the request was sent") as caught:
                client.put(server.url, body=bytes(20_000_000) if body == "bytes" else iter([bytes(65_536)] * 300))

            assert ("maybe", 1) == (caught.value.request_sent, server.connections)

    @requires(Capability.INTERIM, Capability.EARLY_RESPONSE)
    def test_connection_that_ends_behind_an_interim_response(self, client: Client) -> None:
        """The server has begun to answer: `request_sent` is "yes", and the request is not sent again."""
        refuses = OnHead(Pause(0.05), CONTINUE, Pause(0.05), Reset())
        with Server(reply(), refuses, receive_buffer=4096) as server:
            client.get(server.url)
            with pytest.raises(ConnectionLost) as caught:
                client.put(server.url, body=bytes(8_000_000))

            assert ("yes", 2) == (caught.value.request_sent, len(server.requests))

    @pytest.mark.parametrize("tls", [pytest.param(False, id="http"), pytest.param(True, id="https")])
    @pytest.mark.parametrize(
        ("head", "where"),
        [
            (b"Content-Length: 9\r\n\r\nhello", "5 of 9 bytes"),
            (b"Content-Length: 1000000\r\n\r\nhello", "5 of 1000000 bytes"),
            (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "5 bytes"),
            (b"Connection: close\r\n\r\nhello", "5 bytes"),
        ],
        ids=["length", "large", "chunks", "close"],
    )
    @pytest.mark.parametrize("style", ["get", "stream"])
    def test_connection_that_breaks_in_the_body(
        self, client: Client, head: bytes, where: str, style: str, tls: bool
    ) -> None:
        """IncompleteBody says after how many bytes of the body, as they came."""
        if tls and Capability.TLS_CONTEXT not in client.backend.capabilities:
            return
        go = threading.Event()
        script: list[Script] = [b"HTTP/1.1 200 OK\r\n" + head, Wait(go), Reset()]

        def get() -> None:
            if style == "get":
                go.set()
                client.get(server.url)
            with client.stream("GET", server.url) as response:
                for _ in response.body:
                    go.set()

        context = authority().server("127.0.0.1") if tls else None
        with Server(script, tls=context) as server, client_of(client.backend, tls=authority().trusted) as client:
            with pytest.raises(IncompleteBody, match=f"after {where} of the body") as caught:
                get()

            assert ("yes", 1) == (caught.value.request_sent, server.connections)

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("script", [[reply(503, b"", {"Retry-After": "0"})], [reply(429)], [reply(408)]])
    def test_no_status_is_retried(self, client: Client, method: str, script: Script) -> None:
        """A request is sent once, whatever the status and Retry-After say."""
        with Server(script) as server:
            client.request(method, server.url)

            assert 1 == len(server.requests)

    @pytest.mark.parametrize("script", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
    def test_no_failure_is_retried(self, client: Client, script: bytes) -> None:
        """Nor is one sent again because its answer was broken."""
        with Server([script, Close()]) as server:
            with pytest.raises(UnifetchError):
                client.get(server.url)

            assert 1 == len(server.requests)

    def test_errors_pickle(self, client: Client) -> None:
        """An error keeps its kind, message, request and state in a pickle, and no credential."""
        with refused_port() as port, pytest.raises(ConnectError) as caught:
            client.post(f"http://127.0.0.1:{port}/", body=iter([b"x"]), headers={"Authorization": "Basic c2VjcmV0"})
        data = pickle.dumps(caught.value)
        copy = pickle.loads(data)

        assert (ConnectError, str(caught.value), "no") == (type(copy), str(copy), copy.request_sent)
        assert ("POST", False) == (copy.request.method, b"c2VjcmV0" in data)

    def test_errors_show_no_credential(self, client: Client) -> None:
        """Neither the message nor the repr of an error or its request shows what is secret."""
        with refused_port() as port, pytest.raises(ConnectError) as caught:
            client.get(f"http://user:c2VjcmV0@127.0.0.1:{port}/", headers={"Authorization": "c2VjcmV0"})
        error = caught.value

        assert "c2VjcmV0" not in "".join(map(repr, (error, str(error), error.request, error.request.headers)))  # type: ignore[union-attr]  # set by then


class TestConnections(Conformance):
    """One connection for many requests, and never one too many."""

    @requires(Capability.KEEP_ALIVE)
    def test_connection_is_used_again(self, client: Client) -> None:
        """Requests one after the other share a connection, whatever framed their bodies."""
        scripts = [reply(200, b"length"), reply(200, [b"chunks"]), reply(204), reply(404, b"x"), reply(302, b"moved")]
        with Server(*scripts) as server:
            for _ in scripts:
                client.get(server.url)
            client.head(server.url, redirects=0)

            assert 1 == server.connections

    @requires(Capability.KEEP_ALIVE)
    def test_connection_is_used_again_after_a_stream(self, client: Client) -> None:
        """So do streams that were read to their end."""
        with Server(reply(200, b"x" * 100_000)) as server:
            for _ in range(3):
                with client.stream("GET", server.url) as response:
                    response.read()

            assert 1 == server.connections

    @requires(Capability.KEEP_ALIVE)
    def test_redirects_share_the_connection(self, client: Client) -> None:
        """A small body of a redirect is read so that the connection can go on."""
        with Server({"/": reply(302, b"moved", {"Location": "/end"}), "/end": reply(200)}) as server:
            client.get(server.url)

            assert 1 == server.connections

    @pytest.mark.parametrize(
        "script",
        [
            [reply(200, b"x", {"Connection": "close"})],
            [b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"],
            [b"HTTP/1.1 200 OK\r\n\r\nx", Close()],
        ],
    )
    def test_connection_that_is_to_close_is_not_used_again(self, client: Client, script: Script) -> None:
        """`Connection: close`, HTTP/1.0 and a body that ends with the connection end it."""
        with Server(script, reply(200, b"next")) as server:
            client.get(server.url)

            assert (b"next", 2) == (client.get(server.url).body, server.connections)

    def test_connection_that_was_closed_while_idle(self, client: Client) -> None:
        """A connection that the server closed in between is replaced, for POST as well."""
        with Server([reply(200, b"first"), Close()], reply(200, b"second")) as server:
            client.get(server.url)
            server.wait_closed(1)

            assert b"second" == client.post(server.url, body=b"x").body

    @requires(Capability.NO_POISONING)
    def test_bytes_after_a_response_are_nobodys(self, client: Client) -> None:
        """A second response in the same segment is not the answer to the next request."""
        with Server(reply(200, b"first") + OTHER, reply(200, b"second")) as server:
            assert [b"first", b"second"] == [client.get(server.url).body for _ in range(2)]

    @requires(Capability.NO_POISONING)
    @pytest.mark.parametrize("first", [reply(200, [b"chunks"]), reply(204), reply(304)])
    def test_bytes_after_other_responses_are_nobodys(self, client: Client, first: bytes) -> None:
        """Neither after chunks, nor after a response without a body."""
        with Server(first + OTHER, reply(200, b"second")) as server:
            client.get(server.url)

            assert b"second" == client.get(server.url).body

    def test_late_bytes_are_nobodys(self, client: Client) -> None:
        """Nor is a response that comes while the connection is idle."""
        go, gone = threading.Event(), threading.Event()

        with Server([reply(200, b"first"), Wait(go), OTHER, Signal(gone)], reply(200, b"second")) as server:
            client.get(server.url)
            go.set()
            gone.wait(20)

            assert b"second" == client.get(server.url).body

    @requires(Capability.EARLY_RESPONSE)
    @pytest.mark.parametrize("chunked", [False, True])
    def test_an_answer_while_the_upload_waits(self, client: Client, chunked: bool) -> None:
        """A server that answers and reads no more is heard, though nothing more can be written (RFC 9112 §9.5)."""
        body = (b"x" * 65536 for _ in range(320)) if chunked else b"x" * 20_000_000
        over = threading.Event()
        with Server(OnHead(Pause(0.1), reply(413, b"too much", {"Connection": "close"}), Wait(over))) as server:
            response = client.post(server.url, body=body)
            over.set()

        assert (413, b"too much") == (response.status, response.body)

    @requires(Capability.INTERIM)
    @pytest.mark.parametrize("tls", [pytest.param(False, id="http"), pytest.param(True, id="https")])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_an_interim_response_while_the_upload_waits(self, client: Client, tls: bool, chunked: bool) -> None:
        """A 1xx does not refuse the rest of the upload, though nothing more can be written when it comes."""
        if tls and Capability.TLS_CONTEXT not in client.backend.capabilities:
            return
        body = iter([bytes(65_536)] * 96) if chunked else bytes(96 * 65_536)
        script = OnHead(Pause(0.05), CONTINUE, Pause(0.05), HINTS, Pause(0.05), Receive(), reply(200, b"taken"))
        context = authority().server("127.0.0.1") if tls else None
        with (
            Server(script, tls=context, receive_buffer=65_536) as server,
            client_of(client.backend, tls=authority().trusted) as client,
        ):
            assert b"taken" == client.put(server.url, body=body).body
            assert 96 * 65_536 == len(server.requests[0].body)

    @requires(Capability.INTERIM, Capability.EARLY_RESPONSE)
    @pytest.mark.parametrize("tls", [pytest.param(False, id="http"), pytest.param(True, id="https")])
    def test_an_answer_behind_interim_responses(self, client: Client, tls: bool) -> None:
        """An early answer is heard that follows a 1xx at once, on TLS in a record of its own."""
        if tls and Capability.TLS_CONTEXT not in client.backend.capabilities:
            return
        over = threading.Event()
        answer = reply(413, b"too much", {"Connection": "close"})
        context = authority().server("127.0.0.1") if tls else None
        with (
            Server(
                OnHead(Pause(0.05), CONTINUE, HINTS, answer, Wait(over)), tls=context, receive_buffer=4096
            ) as server,
            client_of(client.backend, tls=authority().trusted) as client,
        ):
            response = client.put(server.url, body=iter([bytes(65_536)] * 128))
            over.set()

        assert (413, b"too much") == (response.status, response.body)

    @requires(Capability.EARLY_RESPONSE)
    def test_early_response_to_an_upload(self, client: Client) -> None:
        """A server that refuses an upload and closes is heard."""

        def endless() -> Iterator[bytes]:
            for _ in range(512):
                yield b"x" * 65536

        with Server(OnHead(reply(413, b"too large", {"Connection": "close"}), Close())) as server:
            response = client.post(server.url, body=endless())

            assert (413, b"too large") == (response.status, response.body)

    def test_threads_share_a_client(self, client: Client) -> None:
        """Eight threads get their own answers, a hundred each."""
        with Server(lambda request: reply(200, request.target.encode())) as server:

            def ask(number: int) -> bool:
                return client.get(f"{server.url}/{number}").body == b"/%d" % number

            with ThreadPoolExecutor(8) as threads:
                assert all(threads.map(ask, range(800)))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_fork(self, backend_factory: BackendFactory, client: Client) -> None:
        """A child process starts with connections of its own, and leaves those of its parent alone."""
        name = client.backend.name
        if name not in BACKENDS:
            pytest.skip("a client makes new backends in the child of those that it knows by name")
        with (
            Server(lambda request: reply(200, request.target.encode())) as server,
            type(client)(backend=name) as shared,
        ):
            assert b"/parent" == shared.get(f"{server.url}/parent").body
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    code = 0 if shared.get(f"{server.url}/child").body == b"/child" else 2
                finally:
                    os._exit(code)
            assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert b"/again" == shared.get(f"{server.url}/again").body
            assert [1, 2, 1] == [each.connection for each in server.requests]

    def test_close_though_a_response_is_kept(self, backend_factory: BackendFactory) -> None:
        """An idle connection is closed with the client, also while somebody still has a response that came by it."""
        with Server(reply(200, bytes(300_000))) as server:
            with client_of(backend_factory()) as other:
                response = other.open("GET", server.url)
                received = sum(map(len, response.body))
                response.close()
            server.wait_closed(1)

        assert (300_000, 200) == (received, response.status)

    def test_closed_while_a_call_is_under_way(self, backend_factory: BackendFactory) -> None:
        """The call goes on, or it ends as one whose connection was lost; and its connection does not outlive it."""
        go_on = threading.Event()
        with Server([Wait(go_on), reply(body=b"hello")]) as server, ThreadPoolExecutor(1) as threads:
            with client_of(backend_factory(), timeout=10) as other:
                call = threads.submit(other.get, server.url)
                server.wait_requests(1)
            go_on.set()
            failure = call.exception()
            server.wait_closed(1)

            assert failure is None or isinstance(failure, ConnectionLost)

    def test_closed_while_a_name_is_looked_up(
        self, backend_factory: BackendFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same before there is a connection: no error is the library's, and nothing is left open."""
        asked, go_on = threading.Event(), threading.Event()

        def slow(host: str, port: int, *_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
            asked.set()
            go_on.wait(20)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        with Server() as server, ThreadPoolExecutor(1) as threads:
            with client_of(backend_factory(), timeout=10) as other:
                call = threads.submit(other.get, f"http://name.test:{server.port}/")
                assert asked.wait(10)
            go_on.set()
            failure = call.exception()
            for number in range(1, server.connections + 1):
                server.wait_closed(number)

            assert failure is None or isinstance(failure, UnifetchError)

    def test_close(self, backend_factory: BackendFactory) -> None:
        """Closing a backend closes its idle connections, and closing a client ends it."""
        with Server() as server:
            with client_of(backend_factory()) as other:
                other.get(server.url)
            server.wait_closed(1)

            with pytest.raises(UnifetchError, match="closed"):
                other.get(server.url)
