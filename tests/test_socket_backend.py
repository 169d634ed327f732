"""What only our own client does: TLS sessions, Happy Eyeballs, and the walk that its first page shows."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

import servers
from unifetch import (
    Client,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    IncompleteBody,
    NameResolutionError,
    ReadTimeout,
    Timeout,
    TLSError,
)
from unifetch.backends import resolution
from unifetch.backends import socket as backend_module
from unifetch.backends.socket import attempts
from unifetch.messages import RawRequest, RawResponse
from unifetch.policies.proxies import Proxy
from unifetch.policies.tls import TLS
from unifetch.routes import Route
from unifetch.testing import Close, HalfClose, OnHead, Pause, Reset, Server, Stall, Wait, refused_port, reply
from unifetch.testing.awaited import AwaitedClient
from unifetch.testing.conformance.routes import Relay
from unifetch.url import URL

# The package has a function of the module's name.
dial_module: Any = sys.modules["unifetch.backends.socket.dial"]

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


def test_families_take_turns() -> None:
    """RFC 8305 §4: the resolver's order, but the families alternate."""
    six, four = socket.AF_INET6, socket.AF_INET
    addresses = [(six, "a"), (six, "b"), (six, "c"), (four, "x"), (four, "y")]

    assert ["a", "x", "b", "y", "c"] == [address for _, address in attempts.taking_turns(addresses)]


def test_a_dead_address_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305 §5: an attempt that gets no answer is overtaken; the connect timeout is not waited for."""
    with socket.socket() as silent, Server() as server:
        # A listener that accepts nobody, and whose queue is full, gives no answer.
        silent.bind(("127.0.0.2", 0))
        silent.listen(0)
        filling = [socket.socket() for _ in range(8)]
        for peer in filling:
            peer.setblocking(False)
            peer.connect_ex(silent.getsockname())
        found = [
            (socket.AF_INET, silent.getsockname()),
            (socket.AF_INET, ("127.0.0.1", server.port)),
        ]
        monkeypatch.setattr(dial_module, "look_up", lambda *_: found)
        try:
            with Client("socket") as client:
                assert 200 == client.get("http://two-addresses.test/", timeout=Timeout(20, connect=8)).status
        finally:
            for peer in filling:
                peer.close()


def test_all_addresses_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is that of an attempt, and comes at once."""
    with refused_port() as first, refused_port() as second:
        found = [(socket.AF_INET, ("127.0.0.1", port)) for port in (first, second)]
        monkeypatch.setattr(dial_module, "look_up", lambda *_: found)
        with Client("socket") as client, pytest.raises(ConnectError, match="refused"):
            client.get("http://two-addresses.test/")


@pytest.mark.parametrize("kind", [Client, AwaitedClient])
@pytest.mark.parametrize("address", [(9999, ("no such family", 0)), (socket.AF_INET, ("127.0.0.9", 80))])
def test_an_attempt_that_fails_at_once(kind: Any, address: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system refuses without trying has not connected, and the next address is not kept waiting."""
    original = socket.socket.connect

    def connect(sock: socket.socket, to: Any) -> None:
        if to == ("127.0.0.9", 80):
            raise OSError(errno.ENETUNREACH, "there is no route")
        original(sock, to)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(attempts, "ATTEMPT_DELAY", 3600)
    with Server() as server:
        monkeypatch.setattr(resolution, "numeric", lambda *_: [address, (socket.AF_INET, ("127.0.0.1", server.port))])
        with kind("socket") as client:
            assert 200 == client.get("http://two-addresses.test/", timeout=Timeout(20, connect=8)).status


@pytest.mark.parametrize("kind", ["SocketBackend", "AsyncSocketBackend"])
@pytest.mark.parametrize(
    ("host", "path", "error"),
    [
        ("a" * 64 + ".test", None, NameResolutionError),
        ("\xdf..test", None, NameResolutionError),
        ("service.test", "/" * 200, ConnectError),
        ("service.test", "/with\0nul", ConnectError),
    ],
)
def test_what_cannot_be_connected_to(kind: str, host: str, path: str | None, error: type[ConnectError]) -> None:
    """A name that no resolver can be asked for, and a path that no socket can have, are errors that show it."""
    url: Any = SimpleNamespace(scheme="http", host=host, port=80, target="/")
    request = RawRequest("GET", url, (), None, None, Timeout(5), route=Route(unix_socket=path))

    async def send() -> None:
        sent = getattr(backend_module, kind)().send(request)
        if kind == "AsyncSocketBackend":
            await sent

    with pytest.raises(error) as caught:
        asyncio.run(send())

    assert (error, "no") == (type(caught.value), caught.value.request_sent)
    assert (host if path is None else ascii(path)) in str(caught.value)


def test_name_resolution_ends_with_the_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that hangs is left behind: its thread goes on, the call does not."""
    hang = threading.Event()

    def getaddrinfo(host: str, *rest: Any, flags: int = 0, **options: Any) -> Any:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        hang.wait(10)
        raise socket.gaierror(socket.EAI_NONAME, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        with Client("socket") as client, pytest.raises(ConnectTimeout):
            client.get("http://slow.test/", timeout=Timeout(20, connect=0.2))
    finally:
        hang.set()


TEN_BYTES = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"


def ask(backend: backend_module.SocketBackend, url: str) -> RawResponse:
    target, timeout = URL(url), Timeout(connect=5, read=0.2, write=5)
    return backend.send(RawRequest("GET", target, (("Host", target.authority),), None, 0, timeout))


def test_https_without_a_context() -> None:
    """A request for https never goes out in the clear, whoever forgot the context."""
    with Server(reply()) as server, pytest.raises(TLSError, match="no context"):
        ask(backend_module.SocketBackend(), server.url.replace("http:", "https:"))

    assert not server.requests


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


def test_the_walk_of_the_first_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The walk through an exchange that the package shows is a program that works."""
    text = backend_module.__doc__ or ""
    walk = re.sub(r"^    ", "", text[text.index("    from unifetch.backends.socket import") :], flags=re.MULTILINE)
    with Server(reply(200, b"hello")) as server:
        exec(walk.replace("8000", str(server.port)), {})  # our own docstring

    assert "200 OK 5\n" == capsys.readouterr().out


@pytest.mark.parametrize("kind", [Client, AwaitedClient])
def test_a_server_that_ends_its_side_during_an_upload(kind: type[Client]) -> None:
    """An end without an answer is the end of the connection, whatever is left of the body."""
    with Server(OnHead(HalfClose())) as server:
        with kind(backend="socket", timeout=10) as client:
            with pytest.raises(ConnectionLost) as caught:
                client.post(server.url, body=(b"x" * 65_536 for _ in range(1000)))
        server.errors.clear()  # it was cut off in the middle

    assert "maybe" == caught.value.request_sent
