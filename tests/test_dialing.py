"""How our own client, the three libraries on `http.client`, httpx and httpx2 get to an origin, by the same dialing.

What every backend promises of it is in the conformance. Like tests/test_http_client_hooks.py most of these go around
the core, from a `RawRequest` with a `Route`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from servers import silent_addresses
from unifetch import Client
from unifetch.backends import load
from unifetch.backends.base import ASYNC_CAPABILITIES, Backend, Capability, within
from unifetch.errors import (
    ConfigError,
    ConnectError,
    ConnectTimeout,
    NameResolutionError,
    ProxyError,
    ReadTimeout,
    TLSError,
    UnifetchError,
)
from unifetch.model.messages import RawRequest
from unifetch.model.route import Route
from unifetch.model.timeouts import Timeout
from unifetch.policies.proxies import Proxy
from unifetch.policies.tls import TLS
from unifetch.testing import refused_port
from unifetch.testing.awaited import AwaitedClient
from unifetch.testing.server import Connection, Server
from unifetch.testing.steps import Drip, OnConnect, Pause, StartTLS, Step, reply
from unifetch.wire import blocking as dialing
from unifetch.wire import happy_eyeballs as attempts
from unifetch.wire.blocking import dial

AGREED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture(params=["urllib", "urllib3", "requests", "httpx", "httpx2", "socket"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param != "socket" and find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    made = load(request.param)()
    yield made
    made.close()


@pytest.fixture(scope="module")
def authority() -> Any:
    return pytest.importorskip("trustme", reason="trustme is not installed").CA()


@pytest.fixture(scope="module")
def server_tls(authority: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "service.test").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_tls(authority: Any, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return TLS(ca_file=str(file)).context()


def raw_request(port: int, scheme: str = "http", host: str = "service.test", **options: Any) -> RawRequest:
    url: Any = SimpleNamespace(scheme=scheme, host=host, port=port, target=options.pop("target", "/"))
    route = Route(**{name: options.pop(name) for name in list(options) if name in Route.__annotations__})
    options.setdefault("timeout", Timeout(connect=5, read=5, write=5))
    return RawRequest("GET", url, (("Host", host),), None, None, route=route, **options)


def proxy(server: Server, scheme: str = "http", *login: str) -> Proxy:
    return Proxy(scheme, "127.0.0.1", server.port, *login)


def exchange(backend: Backend, *args: Any, **options: Any) -> bytes:
    raw = backend.send(raw_request(*args, **options))
    try:
        return b"".join(raw.body)
    finally:
        raw.close()


def failure(backend: Backend, *args: Any, **options: Any) -> UnifetchError:
    with pytest.raises(UnifetchError) as caught:
        exchange(backend, *args, **options)
    return caught.value


# What the HTTP/1.1 of httpx and httpx2 neither does nor tells.
_BY_H11 = {Capability.NO_CONTENT, Capability.EXPECT_CONTINUE, Capability.TRAILERS, Capability.INTERIM_EVENTS}
BY_THE_LIBRARY = {"httpx": _BY_H11, "httpx2": _BY_H11}


def test_every_route_is_declared(backend: Backend) -> None:
    """By our own connections there is nothing but HTTP/2 that these backends cannot do, if they parse by our means."""
    missing = set(Capability) - ASYNC_CAPABILITIES - backend.capabilities

    assert BY_THE_LIBRARY.get(backend.name, set()) == missing - {Capability.HTTP2, Capability.MULTIPLEX}


@pytest.mark.parametrize(("name", "native"), [("urllib3", "PoolManager"), ("requests", "Session")])
def test_no_route_is_declared_for_a_native_object(name: str, native: str) -> None:
    """An injected object connects by itself, so no route could be kept."""
    injected = getattr(pytest.importorskip(name), native)()
    capabilities = load(name)(injected).capabilities
    injected.clear() if name == "urllib3" else injected.close()

    assert not capabilities & {
        Capability.PROXY,
        Capability.TLS_PROXY,
        Capability.SOCKS,
        Capability.UNIX_SOCKET,
        Capability.RESOLVE,
        Capability.FORBID_PRIVATE,
    }


# --- The address ----------------------------------------------------------------------------------


def test_families_take_turns() -> None:
    """RFC 8305 §4: the resolver's order, but the families alternate."""
    six, four = socket.AF_INET6, socket.AF_INET
    addresses = [(six, "a"), (six, "b"), (six, "c"), (four, "x"), (four, "y")]

    assert ["a", "x", "b", "y", "c"] == [address for _, address in attempts.taking_turns(addresses)]


@pytest.mark.parametrize(
    ("delay", "seconds", "expected"),
    [(0.25, None, 0.25), (None, None, None), (0.25, 3000, 0.25), (None, 3000, 3000), (0.25, 0.2, 0.2)],
)
def test_the_time_before_the_next_attempt(delay: float | None, seconds: float | None, expected: float | None) -> None:
    """RFC 8305 §5: a quarter of a second, but never more than is left of the connect timeout; the last has all that."""
    ends = None if seconds is None else monotonic() + seconds
    given = within(delay, ends)

    assert given == (expected if expected is None else pytest.approx(expected, abs=0.1))


def test_a_dead_address_does_not_hold_up_the_next(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305 §5: an attempt that gets no answer is overtaken; the connect timeout is not waited for."""
    with silent_addresses(1) as found, Server(reply(body=b"x")) as server:
        found.append((socket.AF_INET, ("127.0.0.1", server.port)))
        monkeypatch.setattr(dialing, "look_up", lambda *_: found)

        assert b"x" == exchange(backend, server.port)


def test_dead_addresses_share_the_connect_timeout(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are given up together, in time."""
    with silent_addresses(2) as found:
        monkeypatch.setattr(dialing, "look_up", lambda *_: found)
        error = failure(backend, 80, timeout=Timeout(connect=0.4))

    assert (ConnectTimeout, "no") == (type(error), error.request_sent)


def test_all_addresses_refuse(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is that of an attempt, and comes at once."""
    with refused_port() as first, refused_port() as second:
        found = [(socket.AF_INET, ("127.0.0.1", port)) for port in (first, second)]
        monkeypatch.setattr(dialing, "look_up", lambda *_: found)
        error = failure(backend, 80)

    assert (ConnectError, "no", True) == (type(error), error.request_sent, "refused" in str(error))


@pytest.mark.parametrize("name", ["socket", "httpx", "httpx2"])
@pytest.mark.parametrize("kind", [Client, AwaitedClient])
@pytest.mark.parametrize("address", [(9999, ("no such family", 0)), (socket.AF_INET, ("127.0.0.9", 80))])
def test_an_attempt_that_fails_at_once(name: str, kind: Any, address: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system refuses without trying has not connected, and the next address is not kept waiting."""
    if name != "socket":
        pytest.importorskip(name)
    original = socket.socket.connect

    def connect(sock: socket.socket, to: Any) -> None:
        if to == ("127.0.0.9", 80):
            raise OSError(errno.ENETUNREACH, "there is no route")
        original(sock, to)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(attempts, "ATTEMPT_DELAY", 3600)
    with Server() as server:
        addresses = [address, (socket.AF_INET, ("127.0.0.1", server.port))]
        found = [(family, socket.SOCK_STREAM, 6, "", each) for family, each in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with kind(name) as client:
            assert 200 == client.get("http://two-addresses.test/", timeout=Timeout(20, connect=8)).status


def test_the_next_address_is_tried(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host is reached by whichever of its addresses answers."""
    with Server(reply(body=b"x")) as server:
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", server.port)) for n in (9, 8, 1)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)

        assert b"x" == exchange(backend, server.port)


@pytest.mark.parametrize("host", ["service.test", "a" * 64 + ".test", "a..test"])
def test_a_name_without_an_address(backend: Backend, host: str) -> None:
    """Also one that no resolver can be asked for is a NameResolutionError that shows it."""
    error = failure(backend, 80, host=host)

    assert (NameResolutionError, "no", True) == (type(error), error.request_sent, host in str(error))


def test_a_name_that_is_no_name() -> None:
    """The core hands over none that is not ASCII; whoever does gets an error of ours."""
    with pytest.raises(NameResolutionError, match=r"no address for \xdf\.\.test"):
        dial(raw_request(80, host="\xdf..test"))


@pytest.mark.parametrize("path", ["/there/is/none", "/" * 200, "/with\0nul"])
def test_a_unix_socket_that_cannot_be(backend: Backend, path: str) -> None:
    """Whatever is wrong with a path is a ConnectError that shows it."""
    error = failure(backend, 80, unix_socket=path)

    assert (ConnectError, "no", True) == (type(error), error.request_sent, repr(path) in str(error))


@pytest.mark.parametrize("name", ["urllib", "urllib3", "requests", "httpx", "httpx2", "aiohttp", "socket"])
@pytest.mark.parametrize("kind", [Client, AwaitedClient])
def test_a_silent_connection_is_kept_alive(name: str, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system asks the peer now and then, so that a router between does not forget the connection."""
    if name not in ("urllib", "socket"):
        pytest.importorskip(name)
    connected: list[int] = []
    original = socket.socket.connect

    def connect(sock: socket.socket, to: Any) -> None:
        connected.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        original(sock, to)

    with Server(reply(200)) as server, kind(name) as client:
        monkeypatch.setattr(socket.socket, "connect", connect)
        client.get(server.url)

        assert [True] == [bool(each) for each in connected]


# --- The proxy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", range(1, len(AGREED)))
def test_an_answer_to_connect_in_two_pieces(at: int, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    """Wherever it is cut, it is an answer, and TLS begins behind it."""
    with Server([AGREED[:at], Pause(0.002), AGREED[at:], StartTLS(server_tls)]) as server:
        request = raw_request(443, "https", tls=client_tls, proxy=proxy(server), connect_headers=(("Host", "x"),))
        dial(request).close()

        assert b"CONNECT service.test:443 HTTP/1.1\r\nHost: x\r\n\r\n" == server.requests[0].head


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_what_a_proxy_says_unasked_is_refused(backend: Backend, scheme: str, client_tls: ssl.SSLContext) -> None:
    """Bytes behind its answer are neither the origin's nor TLS."""
    socks = OnConnect(b"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00" + reply(body=b"poison"))
    with Server(AGREED + reply(body=b"poison") if scheme == "http" else socks) as server:
        error = failure(backend, 443, "https", tls=client_tls, proxy=proxy(server, scheme))

    assert (ProxyError, "no", True) == (type(error), error.request_sent, "before it was asked" in str(error))


@pytest.mark.parametrize("login", [("u" * 256, "p"), ("u", "\xe4" * 128)])
def test_a_login_that_is_too_long_for_socks(backend: Backend, login: tuple[str, str]) -> None:
    """It is an error of the settings, which does not show it."""
    with Server(OnConnect(b"\x05\x02")) as server:
        error = failure(backend, 80, proxy=proxy(server, "socks5h", *login))

    assert (ConfigError, False) == (type(error), login[1] * 2 in str(error) or login[0] * 2 in str(error))


def test_what_a_proxy_that_resolves_cannot_keep_is_refused(backend: Backend) -> None:
    """An address, and addresses that are public, are not for such a proxy to choose; it is not even asked."""
    with Server() as server:
        asked: list[dict[str, Any]] = [
            {"proxy": proxy(server), "address": "127.0.0.1"},
            {"proxy": proxy(server), "public_only": True},
            {"proxy": proxy(server, "socks5h"), "public_only": True},
        ]
        for route in asked:
            assert ConfigError is type(failure(backend, 80, **route))

        assert 0 == server.connections


ROUTES: list[Callable[[Server], dict[str, Any]]] = [
    lambda server: {"address": "127.0.0.1"},
    lambda server: {"proxy": proxy(server)},
    lambda server: {"proxy": proxy(server, "http", "user", "one")},
    lambda server: {"proxy": proxy(server, "http", "user", "two")},
    lambda server: {"proxy": proxy(server), "connect_headers": (("X", "y"),)},
]


def test_a_connection_is_kept_for_its_route_only(backend: Backend) -> None:
    """Equal routes share one, others never do."""
    with Server(reply(body=b"x")) as server:
        for route in [*ROUTES, *ROUTES]:
            exchange(backend, server.port, **route(server))

        assert [1, 2, 3, 4, 5] * 2 == [request.connection for request in server.requests]


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
def test_what_is_dialed_for_is_not_logged(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The engine of httpx logs what it hands to whoever connects: nothing of the request is in that."""
    pytest.importorskip(name)
    backend = load(name)()
    with Server() as server, caplog.at_level(logging.DEBUG):
        exchange(backend, server.port, host="127.0.0.1", target="/?token=secret")
        backend.close()

    assert (True, False) == ("connect_tcp.started" in caplog.text, "secret" in caplog.text)


# --- TLS ------------------------------------------------------------------------------------------


def test_https_without_a_context_is_not_http(backend: Backend) -> None:
    """Nothing that was meant for TLS is ever sent without, whoever forgot the context."""
    with Server() as server:
        error = failure(backend, server.port, "https", host="127.0.0.1")

        assert (TLSError, True, []) == (type(error), "no context" in str(error), server.requests)


def test_an_https_proxy_without_a_context_is_told_nothing(backend: Backend) -> None:
    """It is not spoken to in the clear, either."""
    with Server() as server:
        error = failure(backend, 80, proxy=proxy(server, "https"))

        assert (ProxyError, True, []) == (type(error), "no context" in str(error), server.requests)


def test_a_name_with_its_last_dot(backend: Backend, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    """The dot of a complete name is for the resolver; certificates have none."""
    with Server(reply(body=b"x"), tls=server_tls) as server:
        options: dict[str, Any] = {"host": "service.test.", "address": "127.0.0.1", "tls": client_tls}

        assert b"x" == exchange(backend, server.port, "https", **options)


class Trickle(Step):
    """What a proxy does that copies bytes both ways, but those to the client slowly, one by one, after a while."""

    def __init__(self, port: int, at_once: threading.Event) -> None:
        self.port = port
        self.at_once = at_once

    def run(self, connection: Connection) -> None:
        near = connection.socket
        with socket.create_connection(("127.0.0.1", self.port)) as far:

            def upstream() -> None:
                with contextlib.suppress(OSError):
                    while data := near.recv(65536):
                        far.sendall(data)
                with contextlib.suppress(OSError):  # the client has gone: nobody is to wait for the origin
                    far.shutdown(socket.SHUT_RDWR)

            threading.Thread(target=upstream, daemon=True).start()
            with contextlib.suppress(ConnectionError):
                while data := far.recv(65536):
                    for byte in [data] if self.at_once.is_set() else [data[n : n + 1] for n in range(len(data))]:
                        connection.send(byte)
                        if not self.at_once.is_set():
                            connection.pause(0.02)


def test_tls_within_tls_is_bounded_for_each_step(
    backend: Backend, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """A record of the inner TLS that drips in many of the outer ends with the read timeout."""
    at_once = threading.Event()
    at_once.set()
    drips = reply(body=b"x" * 10_000)
    with Server([lambda _: at_once.clear(), drips], tls=server_tls) as origin:
        with Server([AGREED, Trickle(origin.port, at_once)], tls=server_tls) as server:
            route = {"proxy": proxy(server, "https"), "proxy_tls": client_tls}
            timeout = Timeout(connect=5, read=0.3)
            error = failure(backend, 443, "https", tls=client_tls, timeout=timeout, **route)

    assert ReadTimeout is type(error)


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_tls_within_tls_keeps_connections(
    backend: Backend, size: int, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """One tunnel carries one request after the other."""
    at_once = threading.Event()
    at_once.set()
    with Server(reply(body=b"x" * size), tls=server_tls) as origin:
        with Server([AGREED, Trickle(origin.port, at_once)], tls=server_tls) as server:
            route = {"proxy": proxy(server, "https"), "proxy_tls": client_tls}
            bodies = [exchange(backend, 443, "https", tls=client_tls, **route) for _ in range(3)]

            assert ([b"x" * size] * 3, 1) == (bodies, server.connections)


def test_a_tunnel_that_drips_ends_with_the_connect_timeout(backend: Backend, client_tls: ssl.SSLContext) -> None:
    """Each byte of the answer comes in time, all of them do not."""
    with Server(Drip(AGREED * 20, 0.05)) as server:
        options: dict[str, Any] = {"proxy": proxy(server), "tls": client_tls, "timeout": Timeout(connect=0.3)}
        error = failure(backend, 443, "https", **options)

    assert (ConnectTimeout, "no") == (type(error), error.request_sent)
