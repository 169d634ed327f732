"""What only our own client does: TLS sessions, bodies in place, and the walk that its first page shows."""

from __future__ import annotations

import contextlib
import runpy
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

import servers
from unifetch import (
    Client,
    ConnectionLost,
    IncompleteBody,
    ReadTimeout,
    Timeout,
)
from unifetch.backends import socket as backend_module
from unifetch.backends.socket.connection import Connection
from unifetch.model.messages import RawRequest, RawResponse
from unifetch.model.route import Route
from unifetch.model.url import URL
from unifetch.policies.proxies import Proxy
from unifetch.policies.tls import TLS
from unifetch.testing import Close, HalfClose, OnHead, Pause, Reset, Server, Stall, Wait, reply
from unifetch.testing.awaited import AwaitedClient
from unifetch.testing.conformance.routes import Relay
from unifetch.wire.tls_in_tls import TLSInTLS

AUTHORITY = servers.certificate_authority()


def test_tls_sessions_are_resumed() -> None:
    """The second connection to a server resumes the session of the first."""
    resumed: list[bool] = []

    def note(request: Any) -> Any:
        return [reply(200), Close()]

    with Server(note, tls=AUTHORITY.server_context("127.0.0.1")) as server:
        original = backend_module.dial

        def noted(request: Any, session: Any = None) -> Any:
            sock = original(request, session)
            resumed.append(sock.session_reused)
            return sock

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(backend_module, "dial", noted)
            with Client("socket", tls={"ca_file": AUTHORITY.ca_file}) as client:
                for connection in (1, 2):
                    client.get(server.url)
                    server.wait_closed(connection)

    assert [False, True] == resumed


TEN_BYTES = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"


def ask(backend: backend_module.SocketBackend, url: str) -> RawResponse:
    target, timeout = URL(url), Timeout(connect=5, read=0.2, write=5)
    return backend.send(RawRequest("GET", target, (("Host", target.authority),), None, 0, timeout))


def read_into(raw: RawResponse, room: memoryview) -> int:
    assert raw.read_into is not None
    return raw.read_into(room)


def test_what_is_there_is_read_into_memory() -> None:
    """A read gives what has come, and never more than the body has."""
    more, room, backend = threading.Event(), memoryview(bytearray(100)), backend_module.SocketBackend()
    with Server((TEN_BYTES, Wait(more), b"world!")) as server:
        raw = ask(backend, server.url)
        counts = [read_into(raw, room)]
        more.set()
        counts += [read_into(raw, room[5:8]), read_into(raw, room[8:]), read_into(raw, room[10:])]
        backend.close()

    assert ([5, 3, 2, 0], b"helloworld", bytes(90)) == (counts, room[:10], room[10:])


def test_tls_in_tls_is_read_into_memory() -> None:
    """It gives what one record has at a time, and the connection is kept afterwards."""
    body, fields, room = bytes(range(250)) * 400, (("Host", "x"),), bytearray(100_000)
    backend = backend_module.SocketBackend()
    tls, trusted = AUTHORITY.server_context("127.0.0.1"), TLS(ca_file=AUTHORITY.ca_file).context()
    agreed = b"HTTP/1.1 200 Connection established\r\n\r\n"
    with Server(reply(200, body), tls=tls) as origin, Server([agreed, Relay(origin.port)], tls=tls) as proxy:
        route = Route(proxy=Proxy("https", "127.0.0.1", proxy.port), proxy_tls=trusted)
        options: dict[str, Any] = {"tls": trusted, "route": route}
        request = RawRequest("GET", URL(origin.url), fields, None, None, Timeout(20), **options)
        for _ in range(2):
            raw, at = backend.send(request), 0
            while count := read_into(raw, memoryview(room)[at:]):
                at += count

            assert (body, len(body)) == (room, at)
        backend.close()

        assert (1, 2) == (proxy.connections, len(origin.requests))


@pytest.mark.parametrize("end", [HalfClose(), Reset(), Stall()])
def test_a_body_that_cannot_be_read_into_memory(end: Any) -> None:
    """What cuts it off is the error that it would be otherwise."""
    room, backend = memoryview(bytearray(100)), backend_module.SocketBackend()
    kind = ReadTimeout if isinstance(end, Stall) else IncompleteBody
    with Server((TEN_BYTES, Pause(0.05), end)) as server:
        raw = ask(backend, server.url)
        assert 5 == read_into(raw, room)
        with pytest.raises(kind) as caught:
            read_into(raw, room[5:])
        raw.close()

    assert "yes" == caught.value.request_sent


@pytest.mark.parametrize("tls", [False, True])
def test_a_large_body_in_memory(tls: bool) -> None:
    """It is read into its place, several times over the same connection; one that is cut off is an error."""
    body = bytes(range(256)) * 4096
    settings: Any = {"tls": {"ca_file": AUTHORITY.ca_file}} if tls else {}
    with (
        Server(
            reply(200, body),
            reply(200, body),
            (reply(200, body)[:-1], HalfClose()),
            tls=AUTHORITY.server_context("127.0.0.1") if tls else None,
        ) as server,
        Client("socket", **settings) as client,
    ):
        bodies = [client.get(server.url).body for _ in range(2)]
        with pytest.raises(IncompleteBody):
            client.get(server.url)

        assert ([body, body], 1) == (bodies, server.connections)


@pytest.mark.parametrize("kind", [Client, AwaitedClient])
def test_a_server_that_ends_its_side_during_an_upload(kind: type[Client]) -> None:
    """An end without an answer is the end of the connection, whatever is left of the body."""
    with Server(OnHead(HalfClose())) as server:
        with kind(backend="socket", timeout=10) as client:
            with pytest.raises(ConnectionLost) as caught:
                client.post(server.url, body=(b"x" * 65_536 for _ in range(1000)))
        server.errors.clear()  # it was cut off in the middle

    assert "maybe" == caught.value.request_sent


# --- The walk that a learner copies -----------------------------------------------------------------


def walk(url: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What docs/examples/walking.py prints."""
    path = Path(__file__).parents[1] / "docs" / "examples" / "walking.py"
    runpy.run_path(str(path))["main"](url)
    return capsys.readouterr().out


def test_the_walk_prints_interim_responses(capsys: pytest.CaptureFixture[str]) -> None:
    """A 103 and the final head may come in one segment."""
    with Server(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") as server:
        assert "103 comes before the response\n200 OK 2\n" == walk(server.url, capsys)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent"])
def test_the_walk_ends_with_the_connection(start: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that closes before its head is complete is an error, and not waited for."""
    with Server([start, Close()]) as server, pytest.raises(ConnectionLost):
        walk(server.url, capsys)


def test_a_closed_connection_is_unfit() -> None:
    """Also where the number of its socket belongs to another one by now, on which nothing has come."""
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    was_fit, number = connection.is_fit(), ours.fileno()
    connection.close()
    again, other = socket.socketpair()
    with theirs, again, other:
        same = number in (again.fileno(), other.fileno())

        assert (True, True, False) == (was_fit, same, connection.is_fit())


class FullOuter:
    """Carries TLS in TLS to a server of this test, and takes no more once it is full."""

    def __init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = AUTHORITY.server_context("127.0.0.1")
        self.server = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.full = False

    def settimeout(self, seconds: float | None) -> None:
        pass

    def send(self, data: bytes) -> int:
        if self.full:
            raise ssl.SSLWantWriteError
        return self.incoming.write(data)

    def recv(self, limit: int) -> bytes:
        with contextlib.suppress(ssl.SSLWantReadError):
            if self.server.version() is None:
                self.server.do_handshake()
        if data := self.outgoing.read(limit):
            return data
        raise ssl.SSLWantReadError


def test_an_answer_through_tls_in_tls_that_takes_no_more() -> None:
    """What the server says is read, though something that was written has not left yet."""
    outer: Any = FullOuter()
    wire = TLSInTLS(outer, AUTHORITY.client_context(), "127.0.0.1", 5)
    with contextlib.suppress(ssl.SSLWantReadError):
        outer.server.do_handshake()
    wire.settimeout(0)
    outer.full = True
    wire.send(b"x" * 1000)
    outer.server.write(b"refused")

    assert b"refused" == wire.recv(100)
    outer.full = False
    wire.send(b"y")
    assert b"x" * 1000 + b"y" == outer.server.read(1000) + outer.server.read(1)
