"""Routes: through a proxy or not, by name or to an address, and what each of those on the way gets to see.

The proxies are scripted: a server that answers a CONNECT and then speaks TLS on the same connection is proxy and
origin in one, and has recorded every byte that either of them was told. Where TLS has to go through TLS, a
`Relay` connects the two. The names end in .test and have no address but those that a test gives them.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import gc
import inspect
import select
import shutil
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

import unifetch

from ... import Client, Timeout, aio
from ...backends.base import Capability
from ...errors import (
    ConfigError,
    ConnectError,
    ConnectTimeout,
    InvalidSetting,
    NameResolutionError,
    ProxyError,
    TLSError,
    TotalTimeout,
    UnifetchError,
    UnsupportedCapability,
)
from .. import (
    Close,
    Drip,
    Flood,
    OnConnect,
    Receive,
    Reset,
    Script,
    Server,
    Stall,
    StartTLS,
    Step,
    Truncate,
    refused_port,
    reply,
)
from ..awaited import awaited, client_of
from ..server import Connection
from .base import Conformance, requires

AGREED = b"HTTP/1.1 200 Connection established\r\n\r\n"
BASIC = "Basic " + base64.b64encode("user:p\u00e4ss:w@rd".encode()).decode()
BASIC_A = "Basic " + base64.b64encode(b"a:1").decode()
LOGIN = "user:p%C3%A4ss%3Aw%40rd"
SHORT = Timeout(20, connect=0.3)
# Not of anybody's test network: those are not public.
PUBLIC = "8.8.8.8"
# httpcore leaves it to Python to close a unix socket that did not connect, which is no matter of the contract. A test
# with this mark ends with a garbage collection, so that the warning does not come in another one.
LEFT_TO_PYTHON = pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")


class Authority:
    """A certificate authority of the tests.

    Attributes:
        trusted: the setting `tls=` of a client that trusts it, and nobody else.
    """

    def __init__(self) -> None:
        trustme = pytest.importorskip("trustme", reason="trustme is not installed: no certificates for TLS")
        self._authority = trustme.CA()
        directory = tempfile.mkdtemp(prefix="unifetch-conformance-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        ca_file = Path(directory, "ca.pem")
        self._authority.cert_pem.write_to_path(ca_file)
        self.trusted = {"ca_file": str(ca_file)}

    @functools.cache  # noqa: B019  # there is one authority, and it lives as long as the process
    def server(self, *names: str) -> ssl.SSLContext:
        """The context of a server with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.configure(context, *names)
        return context

    def certificate(self, *names: str) -> Any:
        """A certificate for these names, as trustme's `LeafCert`."""
        return self._authority.issue_cert(*names)

    def configure(self, context: ssl.SSLContext, *names: str) -> None:
        """Have a server show a certificate for these names, and trust those of this authority."""
        self._authority.issue_cert(*names).configure_cert(context)
        self._authority.configure_trust(context)


@functools.cache
def authority() -> Authority:
    """The one authority of this process; skips the test without trustme."""
    return Authority()


class Relay(Step):
    """What a proxy does once it has agreed: it copies bytes both ways until one side ends.

    Args:
        port: of the origin.
        patience: seconds to wait before each copy, for more to come.
    """

    def __init__(self, port: int, *, patience: float = 0) -> None:
        self.port = port
        self.patience = patience

    def run(self, connection: Connection) -> None:
        near = connection.socket
        with socket.create_connection(("127.0.0.1", self.port)) as far:
            try:
                while True:
                    for source in select.select([near, far], [], [])[0]:
                        time.sleep(self.patience)
                        data = source.recv(65536)
                        if not data:
                            return Close().run(connection)
                        (far if source is near else near).sendall(data)
            except OSError:
                return Close().run(connection)


class Socks5(Step):
    """The server's side of SOCKS5.

    Args:
        method: what it chooses of the methods that it is offered; 2 asks for a login, 255 accepts none.
        failure: what it says to the login.
        code: its reply: 0 for a connection.
        bound: the address in that reply, with its type.

    Attributes:
        offered: the methods that it was offered.
        login: the login as it came.
        destination: the type of the address, the address, the port.
    """

    def __init__(
        self, method: int = 0, *, failure: int = 0, code: int = 0, bound: bytes = b"\x01\x00\x00\x00\x00"
    ) -> None:
        self.method = method
        self.failure = failure
        self.code = code
        self.bound = bound
        self.offered = b""
        self.login: tuple[bytes, bytes] | None = None
        self.destination: tuple[int, bytes, int] | None = None

    def run(self, connection: Connection) -> None:
        def take(size: int) -> bytes:
            data = b""
            with contextlib.suppress(OSError):
                data = connection.socket.recv(size, socket.MSG_WAITALL)
            if len(data) < size:  # the client has left
                Close().run(connection)
            return data

        assert b"\x05" == take(1)
        self.offered = take(take(1)[0])
        connection.send(bytes((5, self.method)))
        if self.method == 2:
            assert b"\x01" == take(1)
            self.login = take(take(1)[0]), take(take(1)[0])
            connection.send(bytes((1, self.failure)))
        assert b"\x05\x01\x00" == take(3)
        kind = take(1)[0]
        address = take({1: 4, 4: 16}.get(kind) or take(1)[0])
        self.destination = (kind, address, int.from_bytes(take(2), "big"))
        connection.send(bytes((5, self.code, 0)) + self.bound + b"\x00\x00")


class Internet:
    """Names with addresses that the test gives them, and connections to those that end at loopback.

    Attributes:
        answers: for each name the addresses of one look-up after the other; the last stays.
        asked: the names that were looked up.
        reached: the addresses that were connected to.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.reached: list[str] = []
        getaddrinfo, connect, connect_ex = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex

        def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if _is_address(name):
                addresses = [name]
            elif name not in self.answers:
                return getaddrinfo(host, port, *args, **options)
            elif options.get("flags", 0) & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "not an address")
            else:
                self.asked.append(name)
                answers = self.answers[name]
                addresses = answers.pop(0) if len(answers) > 1 else answers[0]
            return [_found(address, int(port)) for address in addresses]

        def to_loopback(address: Any) -> Any:
            self.reached.append(address[0])
            return ("127.0.0.1", address[1]) if address[0] == PUBLIC else address

        patch.setattr(socket, "getaddrinfo", look_up)
        patch.setattr(socket.socket, "connect", lambda sock, address: connect(sock, to_loopback(address)))
        patch.setattr(socket.socket, "connect_ex", lambda sock, address: connect_ex(sock, to_loopback(address)))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _found(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


def proxy(server: Server, login: str = "", scheme: str = "http") -> str:
    """The URL of a scripted proxy."""
    return f"{scheme}://{login and login + '@'}127.0.0.1:{server.port}"


class Routes(Conformance):
    """What both classes need."""

    @pytest.fixture
    def internet(self, monkeypatch: pytest.MonkeyPatch) -> Internet:
        """Names and addresses of the test's own."""
        return Internet(monkeypatch)


class TestProxies(Routes):
    """A proxy learns what it needs, the origin nothing of the proxy, and nothing goes around it."""

    # --- http origins: the proxy is asked with the absolute URL ---

    @requires(Capability.PROXY)
    def test_http_origin(self, client: Client) -> None:
        """The target is the absolute URL, Host is the origin's, and the proxy resolves the name."""
        with Server(reply(200, b"body")) as server:
            response = client.get("http://origin.test/a/b?c=d", proxy=proxy(server))

            asked = server.requests[0]
            assert (200, b"body", "http://origin.test/a/b?c=d") == (response.status, response.body, response.url)
            assert ("http://origin.test/a/b?c=d", "origin.test") == (asked.target, asked.header("host"))
            assert None is asked.header("proxy-authorization")

    @requires(Capability.PROXY)
    def test_http_origin_with_login(self, client: Client) -> None:
        """The proxy's login goes to it, once, beside the origin's own."""
        with Server() as server:
            url = "http://origin.test:8080/"
            client.get(url, proxy=proxy(server, LOGIN), auth=("me", "mine"), cookies={"a": "b"})

            asked = server.requests[0]
            assert (url, "origin.test:8080") == (asked.target, asked.header("host"))
            assert (BASIC, "Basic bWU6bWluZQ==", "a=b") == tuple(
                asked.header(name) for name in ("proxy-authorization", "authorization", "cookie")
            )

    @requires(Capability.PROXY)
    def test_a_refusal_is_a_response(self, client: Client) -> None:
        """To an http request the proxy answers itself: its 407 is the response."""
        with Server(reply(407, b"login?", {"Proxy-Authenticate": "Basic"})) as server:
            response = client.get("http://origin.test/", proxy=proxy(server))

            assert (407, b"login?", 1) == (response.status, response.body, len(server.requests))

    @requires(Capability.PROXY)
    def test_upload(self, client: Client) -> None:
        """A body goes through as it would go directly."""
        with Server() as server:
            client.post("http://origin.test/", body=iter([b"one", b"two"]), proxy=proxy(server))

            assert (b"onetwo", "chunked") == (server.requests[0].body, server.requests[0].header("transfer-encoding"))

    # --- https origins: the proxy is asked for a tunnel ---

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_tunnel(self, client: Client) -> None:
        """The proxy sees one CONNECT, with fields of its own; the origin sees a request as if there were no proxy."""
        settings: dict[str, Any] = {"tls": authority().trusted, "auth": ("me", "mine"), "cookies": {"a": "b"}}
        agreed: Script = [AGREED, StartTLS(authority().server("service.test"))]
        with Server(agreed, reply(200, b"secret")) as server:
            url = "https://service.test:8443/path"
            response = client.get(url, proxy=proxy(server, LOGIN), headers={"X-Key": "k"}, **settings)

            asked, sent = server.requests
            agent = sent.header("user-agent")
            assert (
                f"CONNECT service.test:8443 HTTP/1.1\r\nHost: service.test:8443\r\nUser-Agent: {agent}\r\n"
                f"Proxy-Authorization: {BASIC}\r\n\r\n"
            ) == asked.head.decode()
            assert (b"secret", "/path", "service.test:8443") == (response.body, sent.target, sent.header("host"))
            assert (None, "Basic bWU6bWluZQ==", "a=b", "k") == tuple(
                sent.header(name) for name in ("proxy-authorization", "authorization", "cookie", "x-key")
            )

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_tunnel_to_the_default_port(self, client: Client) -> None:
        """A CONNECT always names the port (RFC 9110 §9.3.6)."""
        with Server([AGREED, StartTLS(authority().server("service.test"))], reply(200)) as server:
            client.get("https://service.test/", proxy=proxy(server), tls=authority().trusted)

            assert ("service.test:443", "service.test:443", "service.test") == (
                server.requests[0].target,
                server.requests[0].header("host"),
                server.requests[1].header("host"),
            )

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_tunnel_to_an_ipv6_address(self, client: Client) -> None:
        """An IPv6 address has its brackets there."""
        with Server([AGREED, StartTLS(authority().server("::1"))], reply(200)) as server:
            client.get("https://[::1]:8443/", proxy=proxy(server), tls=authority().trusted)

            assert "[::1]:8443" == server.requests[0].target

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_tunnel_after_interim_responses(self, client: Client) -> None:
        """1xx before the agreement is skipped, and a framing field with it means nothing (RFC 9110 §9.3.6)."""
        agreed = b"HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 204 OK\r\nContent-Length: 5\r\n\r\n"
        with Server([agreed, StartTLS(authority().server("service.test"))], reply(200, b"secret")) as server:
            response = client.get("https://service.test/", proxy=proxy(server), tls=authority().trusted)

            assert b"secret" == response.body

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_the_origin_is_verified_through_a_tunnel(self, client: Client) -> None:
        """The certificate has to be the origin's, not the proxy's; nothing was sent to it."""
        with Server([AGREED, StartTLS(authority().server("proxy.test", "127.0.0.1"))]) as server:
            with pytest.raises(TLSError) as caught:
                client.get("https://service.test/", proxy=proxy(server), tls=authority().trusted)

            assert ("no", 1) == (caught.value.request_sent, len(server.requests))

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("status", [302, 307, 400, 401, 403, 407, 500, 503])
    def test_refused_tunnel(self, client: Client, status: int) -> None:
        """It is a ProxyError that shows the status. Nothing else of the answer counts: it is not the origin's."""
        fields = {"Location": "http://127.0.0.1/", "Set-Cookie": "a=b", "Proxy-Authenticate": "Basic"}
        with Server(reply(status, b"the proxy's own page", fields)) as server:
            with pytest.raises(ProxyError) as caught:
                client.get("https://service.test/", proxy=proxy(server, LOGIN), auth=("me", "mine"))

            error = caught.value
            assert (status, "no", 1, []) == (
                error.status,
                error.request_sent,
                len(server.requests),
                list(client.cookies),
            )
            assert str(status) in str(error)
            assert not [secret for secret in (BASIC[6:], "p\u00e4ss", LOGIN) if secret in f"{error!r}{error}"]

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize(
        "answer",
        [
            Close(),
            Reset(),
            [b"HTTP/1.1 200 OK\r\n", Close()],
            b"\x15\x03\x03\x00\x02\x02\x46",
            b"nonsense\r\n\r\n",
            Flood(b"X-Filler: " + b"x" * 1000 + b"\r\n"),
            [b"HTTP/1.1 200 OK\r\n", Flood(b"X-Filler: " + b"x" * 1000 + b"\r\n")],
        ],
    )
    def test_no_answer_to_connect(self, client: Client, answer: Script) -> None:
        """What is no answer to a CONNECT is a ProxyError without a status; nothing was sent to the origin."""
        with Server(answer) as server:
            with pytest.raises(ProxyError) as caught:
                client.get("https://service.test/", proxy=proxy(server))

            assert (None, "no", 1) == (caught.value.status, caught.value.request_sent, server.connections)

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_bytes_after_the_agreement_are_nobodys(self, client: Client) -> None:
        """Plain text behind the head of the answer never passes for what the origin said under TLS."""
        agreed: Script = [AGREED + reply(200, b"poisoned"), StartTLS(authority().server("service.test"))]
        with Server(agreed, reply(200, b"secret")) as server:
            body = b""
            with contextlib.suppress(ConnectError):
                body = client.get("https://service.test/", proxy=proxy(server), tls=authority().trusted).body

            assert b"poisoned" != body

    # --- A proxy that does not work ---

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_dead_proxy_does_not_mean_a_direct_connection(self, client: Client, scheme: str) -> None:
        """It is a ProxyError, and the origin hears nothing."""
        with Server(tls=authority().server("127.0.0.1") if scheme == "https" else None) as origin:
            with refused_port() as port, pytest.raises(ProxyError) as caught:
                client.get(origin.url, proxy=f"http://127.0.0.1:{port}", tls=authority().trusted)

            assert ("no", 0) == (caught.value.request_sent, origin.connections)
            assert f"127.0.0.1:{port}" in str(caught.value)

    @requires(Capability.PROXY)
    def test_a_proxy_without_an_address(self, client: Client) -> None:
        """So it is if the proxy's name leads nowhere."""
        with Server() as origin:
            with pytest.raises(ProxyError):
                client.get(origin.url, proxy="http://proxy.invalid:3128")

            assert 0 == origin.connections

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("answer", [b"", Stall(), Drip(AGREED * 20, every=0.05)])
    def test_a_slow_tunnel(self, client: Client, answer: Script) -> None:
        """A proxy that takes its time is a ConnectTimeout: agreeing is part of connecting."""
        started = time.monotonic()
        with Server(answer) as server:
            with pytest.raises(ConnectTimeout) as caught:
                client.get("https://service.test/", proxy=proxy(server), timeout=SHORT)

        assert "no" == caught.value.request_sent
        assert time.monotonic() - started < 3

    @requires(Capability.PROXY, Capability.TLS_CONTEXT, Capability.HARD_DEADLINE)
    def test_total_against_a_dripping_proxy(self, client: Client) -> None:
        """The total ends a CONNECT whose answer drips."""
        started = time.monotonic()
        with Server(Drip(AGREED.replace(b"\r\n\r\n", b" " * 200), every=0.05)) as server:
            with pytest.raises(TotalTimeout) as caught:
                client.get("https://service.test/", proxy=proxy(server), timeout=0.5)

        assert "no" == caught.value.request_sent
        assert time.monotonic() - started < 3

    # --- Redirects: who gets to see what ---

    @requires(Capability.PROXY)
    def test_login_is_for_the_proxy_on_every_hop(self, client: Client) -> None:
        """A redirect to another origin goes by the same proxy, with its login and without the origin's."""
        with Server(reply(302, b"", {"Location": "http://other.test/"}), reply(200)) as server:
            client.get("http://origin.test/", proxy=proxy(server, LOGIN), auth=("me", "mine"))

            assert [("http://origin.test/", BASIC, True), ("http://other.test/", BASIC, False)] == [
                (each.target, each.header("proxy-authorization"), each.header("authorization") is not None)
                for each in server.requests
            ]

    @requires(Capability.PROXY)
    def test_login_stays_behind_where_there_is_no_proxy(self, client: Client) -> None:
        """A redirect to a host without proxy goes there directly, and does not tell it the proxy's login."""
        with Server() as origin:
            with Server(reply(302, b"", {"Location": origin.url})) as server:
                settings = {"all": proxy(server, LOGIN), "no": ["127.0.0.1"]}
                client.get("http://origin.test/", proxy=settings)

            asked = origin.requests[0]
            assert ("/", None, f"127.0.0.1:{origin.port}") == (
                asked.target,
                asked.header("proxy-authorization"),
                asked.header("host"),
            )

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_login_stays_behind_on_the_way_to_https(self, client: Client) -> None:
        """A redirect from http to https gets a tunnel; the login is in the CONNECT and not in the request."""
        moved = reply(302, b"", {"Location": "https://service.test/end", "Connection": "close"})
        with Server(moved, [AGREED, StartTLS(authority().server("service.test"))], reply(200)) as server:
            client.get("http://service.test/", proxy=proxy(server, LOGIN), tls=authority().trusted)

            assert [("GET", BASIC), ("CONNECT", BASIC), ("GET", None)] == [
                (each.method, each.header("proxy-authorization")) for each in server.requests
            ]
            assert "/end" == server.requests[2].target

    # --- Which connection is used again ---

    @requires(Capability.PROXY, Capability.KEEP_ALIVE)
    def test_connections_belong_to_a_route(self, client: Client) -> None:
        """One through a proxy is used for that proxy, with that login, and for nothing else."""
        with Server() as server, Server() as other:
            routes = [None, proxy(server), proxy(server, "a:1"), proxy(server, "b:2"), proxy(other), None]
            for route in [each for each in routes for _ in range(2)]:
                client.get(server.url, proxy=route)

            assert [1, 1, 2, 2, 3, 3, 4, 4, 1, 1] == [each.connection for each in server.requests]
            assert [1, 1] == [each.connection for each in other.requests]
            assert [None, None, BASIC_A, BASIC_A] == [
                each.header("proxy-authorization") for each in server.requests[2:6]
            ]

    @requires(Capability.PROXY, Capability.TLS_CONTEXT, Capability.KEEP_ALIVE)
    def test_a_tunnel_is_used_again(self, client: Client) -> None:
        """One CONNECT is enough for many requests, but not with another login."""
        agreed: Script = [AGREED, StartTLS(authority().server("service.test"))]
        with Server(agreed, reply(200), reply(200), agreed, reply(200)) as server:
            for login in ("a:1", "a:1", "b:2"):
                client.get("https://service.test/", proxy=proxy(server, login), tls=authority().trusted)

            assert [("CONNECT", 1), ("GET", 1), ("GET", 1), ("CONNECT", 2), ("GET", 2)] == [
                (each.method, each.connection) for each in server.requests
            ]

    # --- TLS to the proxy ---

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT)
    def test_https_proxy_to_an_http_origin(self, client: Client) -> None:
        """The proxy is spoken to over TLS, and has to show a certificate of its own."""
        with Server(reply(200, b"body"), tls=authority().server("127.0.0.1")) as server:
            response = client.get("http://origin.test/", proxy=proxy(server, LOGIN, "https"), tls=authority().trusted)

            asked = server.requests[0]
            assert (b"body", "http://origin.test/", BASIC) == (
                response.body,
                asked.target,
                asked.header("proxy-authorization"),
            )

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT)
    def test_https_proxy_to_an_https_origin(self, client: Client) -> None:
        """TLS to the origin goes inside TLS to the proxy; small bodies and large ones, down and up."""
        large = bytes(range(256)) * 4096
        trusted = authority().trusted
        with Server(lambda request: reply(200, request.body), tls=authority().server("service.test")) as origin:
            with Server([AGREED, Relay(origin.port)], tls=authority().server("127.0.0.1")) as server:
                through = proxy(server, LOGIN, "https")
                bodies = [
                    client.post("https://service.test/", body=body, proxy=through, tls=trusted).body
                    for body in (b"small", large, iter([large[:70_000], b"end"]))
                ]

                assert [b"small", large, large[:70_000] + b"end"] == bodies
                assert ("CONNECT", "service.test:443", BASIC) == (
                    server.requests[0].method,
                    server.requests[0].target,
                    server.requests[0].header("proxy-authorization"),
                )
                assert {None} == {each.header("proxy-authorization") for each in origin.requests}

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_https_proxy_that_is_not_trusted(self, client: Client, scheme: str) -> None:
        """It gets neither a request nor a CONNECT."""
        with Server(tls=authority().server("another.test")) as server:
            with pytest.raises(ProxyError):
                client.get(f"{scheme}://service.test/", proxy=proxy(server, LOGIN, "https"), tls=authority().trusted)

            assert [] == server.requests

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT, Capability.TLS_TRUNCATION)
    def test_truncation_inside_a_tunnel(self, client: Client) -> None:
        """A body that ends with the connection needs the origin's close_notify, whatever the proxy's TLS says."""
        cut: Script = [b"HTTP/1.1 200 OK\r\n\r\nhalf of", Truncate()]
        with Server(cut, tls=authority().server("service.test")) as origin:
            with Server([AGREED, Relay(origin.port)], tls=authority().server("127.0.0.1")) as server:
                with pytest.raises(UnifetchError) as caught:
                    client.get("https://service.test/", proxy=proxy(server, scheme="https"), tls=authority().trusted)

                assert "yes" == caught.value.request_sent

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT, Capability.NO_POISONING)
    def test_bytes_inside_two_layers_of_tls_are_nobodys(self, client: Client) -> None:
        """What came after a response is not the next one, even if it waits where no file descriptor shows it."""
        poison = reply(200, b"poisoned")
        first: Script = [reply(200, b"first"), poison]
        with Server(first, reply(200, b"second"), tls=authority().server("service.test")) as origin:
            # The relay waits until both records are there, and sends them in one of its own.
            with Server([AGREED, Relay(origin.port, patience=0.05)], tls=authority().server("127.0.0.1")) as server:
                through: dict[str, Any] = {"proxy": proxy(server, scheme="https"), "tls": authority().trusted}
                bodies = [client.get("https://service.test/", **through).body for _ in range(2)]

                assert [b"first", b"second"] == bodies

    # --- SOCKS5 ---

    @requires(Capability.SOCKS)
    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
    def test_socks_to_an_address(self, client: Client, host: str) -> None:
        """A SOCKS5 proxy is asked for a connection, and then sees the request as the origin would."""
        socks = Socks5()
        with Server(OnConnect(socks, Receive(), reply(200, b"body"))) as server:
            response = client.get(f"http://{host}:8080/path", proxy=proxy(server, scheme="socks5"))

            asked = server.requests[0]
            address = (1, b"\x7f\x00\x00\x01", 8080) if host == "127.0.0.1" else (4, b"\x00" * 15 + b"\x01", 8080)
            assert (b"\x00", None, address) == (socks.offered, socks.login, socks.destination)
            assert (b"body", "/path", f"{host}:8080") == (response.body, asked.target, asked.header("host"))

    @requires(Capability.SOCKS)
    def test_socks5_sends_an_address(self, client: Client, internet: Internet) -> None:
        """socks5 resolves the name here."""
        internet.answers = {"service.test": [["10.1.2.3"]]}
        socks = Socks5()
        with Server(OnConnect(socks, Receive(), reply(200))) as server:
            client.get("http://service.test/", proxy=proxy(server, scheme="socks5"))

            assert ((1, b"\x0a\x01\x02\x03", 80), "service.test") == (
                socks.destination,
                server.requests[0].header("host"),
            )

    @requires(Capability.SOCKS)
    def test_socks5h_sends_the_name(self, client: Client) -> None:
        """socks5h leaves it to the proxy."""
        socks = Socks5()
        with Server(OnConnect(socks, Receive(), reply(200))) as server:
            client.get("http://service.test/", proxy=proxy(server, scheme="socks5h"))

            assert (3, b"service.test", 80) == socks.destination

    @requires(Capability.SOCKS)
    @pytest.mark.parametrize(
        ("login", "expected"), [(LOGIN, (b"user", "p\u00e4ss:w@rd".encode())), (":x", (b"", b"x")), ("x:", (b"x", b""))]
    )
    def test_socks_login(self, client: Client, login: str, expected: tuple[bytes, bytes]) -> None:
        """User name and password go to a proxy that asks for them (RFC 1929), and nowhere else."""
        socks = Socks5(2)
        with Server(OnConnect(socks, Receive(), reply(200))) as server:
            client.get("http://service.test/", proxy=proxy(server, login, "socks5h"))

            assert (True, expected) == (2 in socks.offered, socks.login)
            assert not [name for name, _ in server.requests[0].headers if "authorization" in name.lower()]

    @requires(Capability.SOCKS)
    def test_socks_login_that_is_not_asked_for(self, client: Client) -> None:
        """A proxy that wants no login is told none."""
        socks = Socks5()
        with Server(OnConnect(socks, Receive(), reply(200, b"body"))) as server:
            response = client.get("http://service.test/", proxy=proxy(server, LOGIN, "socks5h"))

            assert (b"body", None, True) == (response.body, socks.login, 0 in socks.offered)

    @requires(Capability.SOCKS)
    def test_socks_login_that_is_too_long(self, client: Client) -> None:
        """One that the protocol has no room for is refused instead of cut."""
        with Server(OnConnect(Socks5(2))) as server:
            with pytest.raises(ConfigError, match="255 bytes"):
                client.get("http://service.test/", proxy=proxy(server, f"user:{'x' * 256}", "socks5h"))

            assert [] == server.requests

    @requires(Capability.SOCKS, Capability.TLS_CONTEXT)
    def test_socks_to_an_https_origin(self, client: Client) -> None:
        """TLS begins behind the reply, whatever address that has, and is verified for the origin's name."""
        socks = Socks5(bound=b"\x03\x0aproxy.test")
        tls = StartTLS(authority().server("service.test"))
        with Server(OnConnect(socks, tls, Receive(), reply(200, b"secret"))) as server:
            response = client.get(
                "https://service.test/", proxy=proxy(server, scheme="socks5h"), tls=authority().trusted
            )

            assert (b"secret", (3, b"service.test", 443)) == (response.body, socks.destination)

    @requires(Capability.SOCKS)
    @pytest.mark.parametrize(
        "answer",
        [
            Socks5(255),
            Socks5(2),
            Socks5(code=1),
            Socks5(code=2),
            Socks5(code=5),
            Socks5(code=99),
            reply(400),
            b"\x04\x5a",
            b"\x05\x01",
            [b"\x05\x00", Close()],
            [b"\x05\x00", b"\x05\x00\x00\x09\x00\x00\x00\x00\x00\x00"],
            Close(),
            Reset(),
        ],
    )
    def test_socks_refusals(self, client: Client, answer: Script) -> None:
        """Whatever is no connection is a ProxyError, and the request stays here."""
        with Server(OnConnect(answer)) as server:
            with pytest.raises(ProxyError) as caught:
                client.get("http://service.test/", proxy=proxy(server, scheme="socks5h"))

            assert ("no", []) == (caught.value.request_sent, server.requests)

    @requires(Capability.SOCKS)
    def test_socks_login_that_is_refused(self, client: Client) -> None:
        """So is a login that is refused; the error does not show it."""
        with Server(OnConnect(Socks5(2, failure=1))) as server:
            with pytest.raises(ProxyError) as caught:
                client.get("http://service.test/", proxy=proxy(server, LOGIN, "socks5h"))

            assert not [secret for secret in ("p\u00e4ss", LOGIN) if secret in f"{caught.value!r}{caught.value}"]

    @requires(Capability.SOCKS)
    @pytest.mark.parametrize("answer", [b"", b"\x05", [b"\x05\x00", Drip(b"\x05\x00\x00\x03\xff" + b"x" * 250, 0.05)]])
    def test_a_slow_socks_proxy(self, client: Client, answer: Script) -> None:
        """One that takes its time is a ConnectTimeout."""
        started = time.monotonic()
        with Server(OnConnect(answer)) as server:
            with pytest.raises(ConnectTimeout) as caught:
                client.get("http://service.test/", proxy=proxy(server, scheme="socks5h"), timeout=SHORT)

        assert "no" == caught.value.request_sent
        assert time.monotonic() - started < 3

    @requires(Capability.SOCKS, Capability.HARD_DEADLINE)
    def test_total_against_a_dripping_socks_proxy(self, client: Client) -> None:
        """The total ends a reply that drips."""
        started = time.monotonic()
        with Server(OnConnect(b"\x05\x00", Drip(b"\x05\x00\x00\x03\xff" + b"x" * 250, every=0.05))) as server:
            with pytest.raises(TotalTimeout):
                client.get("http://service.test/", proxy=proxy(server, scheme="socks5h"), timeout=0.5)

        assert time.monotonic() - started < 3

    @requires(Capability.SOCKS)
    def test_a_socks_reply_in_pieces(self, client: Client) -> None:
        """One that comes byte by byte, but in time, is a reply."""
        received: list[bytes] = []

        class Take(Step):
            def run(self, connection: Connection) -> None:
                received.append(connection.socket.recv(1000))

        replies = Drip(b"\x05\x00", every=0.01), Drip(b"\x05\x00\x00\x01" + b"\x00" * 6, every=0.01)
        with Server(OnConnect(Take(), replies[0], Take(), replies[1], Receive(), reply(200, b"body"))) as server:
            response = client.get("http://service.test/", proxy=proxy(server, scheme="socks5h"))

            assert b"body" == response.body
            assert [b"\x05\x01\x00", b"\x05\x01\x00\x03\x0cservice.test\x00\x50"] == received

    # --- The environment ---

    @pytest.fixture
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
        """What a test sets; the variables of whoever runs the tests do not count."""
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        return monkeypatch

    @requires(Capability.PROXY)
    def test_environment(self, client: Client, environment: pytest.MonkeyPatch) -> None:
        """A proxy that the environment names is used, with its login, unless the call says otherwise."""
        with Server() as origin, Server() as server:
            environment.setenv("HTTP_PROXY", proxy(server, LOGIN))
            with client_of(client.backend) as made_now:
                environment.delenv("HTTP_PROXY")
                made_now.get(origin.url)
                made_now.get(origin.url, proxy=None)

            assert [(f"{origin.url}/", BASIC)] == [
                (each.target, each.header("proxy-authorization")) for each in server.requests
            ]
            assert ["/"] == [each.target for each in origin.requests]

    @requires(Capability.PROXY)
    def test_environment_at_run_time(self, client: Client, environment: pytest.MonkeyPatch) -> None:
        """The module's functions notice a change; a client goes by what there was when it was made."""
        native = inspect.iscoroutinefunction(client.backend.send)
        get = awaited(aio.get) if native else unifetch.get
        with Server() as origin, Server() as server:
            client.get(origin.url, headers={"Asked": "before"})
            get(origin.url, backend=client.backend)
            environment.setenv("http_proxy", proxy(server))
            get(origin.url, backend=client.backend)
            client.get(origin.url)
            environment.setenv("no_proxy", "127.0.0.1")
            get(origin.url, backend=client.backend)

            assert (4, 1) == (len(origin.requests), len(server.requests))

    @requires(Capability.PROXY)
    def test_an_unusable_proxy_of_the_environment(self, client: Client, environment: pytest.MonkeyPatch) -> None:
        """It is an error where it would be used, and nowhere else; the error names the variable and the way out."""
        with Server() as origin:
            environment.setenv("ALL_PROXY", "socks://usern:secret@desktop.test:1080")
            environment.setenv("NO_PROXY", "127.0.0.1")
            with client_of(client.backend) as made_now:
                assert 200 == made_now.get(origin.url).status
                assert 200 == made_now.get(origin.url, redirects=0).status
                with pytest.raises(InvalidSetting, match=r"ALL_PROXY.*socks.*proxy=None") as caught:
                    made_now.get("http://elsewhere.test/")

            assert "secret" not in str(caught.value)

    @requires(Capability.PROXY)
    def test_no_proxy(self, client: Client, environment: pytest.MonkeyPatch) -> None:
        """NO_PROXY names who is reached without it, on each hop."""
        with Server({"/": reply(200), "/away": reply(302, b"", {"Location": "http://origin.test/"})}) as origin:
            with Server() as server:
                environment.setenv("HTTP_PROXY", proxy(server, LOGIN))
                environment.setenv("NO_PROXY", "127.0.0.1")
                with client_of(client.backend) as made_now:
                    made_now.get(f"{origin.url}/away")

                assert [("/away", None)] == [
                    (each.target, each.header("proxy-authorization")) for each in origin.requests
                ]
                assert ["http://origin.test/"] == [each.target for each in server.requests]

    @requires(Capability.PROXY)
    def test_no_proxy_from_a_cgi_environment(self, client: Client, environment: pytest.MonkeyPatch) -> None:
        """There HTTP_PROXY is what the peer sent as its Proxy field ("httpoxy")."""
        with Server() as origin, Server() as server:
            environment.setenv("REQUEST_METHOD", "GET")
            environment.setenv("HTTP_PROXY", proxy(server))
            with client_of(client.backend) as of_a_peer:
                of_a_peer.get(origin.url)
            environment.delenv("REQUEST_METHOD")
            with client_of(client.backend) as of_a_user:
                of_a_user.get(origin.url)

            assert (["/"], [f"{origin.url}/"]) == tuple(
                [each.target for each in asked.requests] for asked in (origin, server)
            )


class TestAddresses(Routes):
    """Where a connection leads, in place of what the system's resolver says."""

    # --- Unix sockets ---

    @pytest.fixture
    def path(self) -> Iterator[str]:
        """A path for a unix socket; those of pytest are too long for one."""
        directory = tempfile.mkdtemp(prefix="unifetch-")
        yield f"{directory}/socket"
        shutil.rmtree(directory)

    @requires(Capability.UNIX_SOCKET)
    def test_unix_socket(self, client: Client, path: str) -> None:
        """The connection leads there whatever the host, and nobody looks that up."""
        with Server(reply(200, b"body"), unix_socket=path) as server:
            response = client.get("http://service.test/path", unix_socket=path)

            asked = server.requests[0]
            assert (b"body", "/path", "service.test") == (response.body, asked.target, asked.header("host"))

    @requires(Capability.UNIX_SOCKET, Capability.KEEP_ALIVE)
    def test_unix_socket_is_used_again(self, client: Client, path: str) -> None:
        """Connections to it are kept, and are for nobody else, whatever the URL."""
        with Server(unix_socket=path) as server, Server() as other:
            for _ in range(2):
                client.get(other.url, unix_socket=path)
                client.get(other.url)

            assert [(1, 2), (1, 2)] == [(each.connections, len(each.requests)) for each in (server, other)]

    @requires(Capability.UNIX_SOCKET, Capability.TLS_CONTEXT)
    def test_unix_socket_with_tls(self, client: Client, path: str) -> None:
        """TLS is verified for the host of the URL."""
        with Server(reply(200, b"secret"), unix_socket=path, tls=authority().server("service.test")):
            response = client.get("https://service.test/", unix_socket=path, tls=authority().trusted)

            assert b"secret" == response.body

    @requires(Capability.UNIX_SOCKET)
    @LEFT_TO_PYTHON
    def test_no_unix_socket(self, client: Client, path: str) -> None:
        """Where nobody listens, it is a ConnectError that names the path; the host is not tried."""
        with Server() as server:
            with pytest.raises(ConnectError, match="socket") as caught:
                client.get(server.url, unix_socket=path)

            assert ("no", 0) == (caught.value.request_sent, server.connections)
        del caught
        gc.collect()

    @requires(Capability.UNIX_SOCKET, Capability.FORBID_PRIVATE)
    def test_unix_socket_that_must_not_be_private(self, client: Client, path: str) -> None:
        """What it leads to has no address that could be checked: the two contradict each other, and nothing is sent."""
        with Server(unix_socket=path) as server:
            with pytest.raises(ConfigError, match="unix_socket: contradicts forbid_private") as caught:
                client.get("http://service.test/", unix_socket=path, forbid_private=True)

            assert ("no", 0) == (caught.value.request_sent, server.connections)

    # --- This machine ---

    @requires(Capability.RESOLVE)
    @pytest.mark.parametrize("host", ["localhost", "api.localhost", "API.localhost."])
    def test_localhost_is_not_looked_up(self, client: Client, internet: Internet, host: str) -> None:
        """A name below localhost is this machine's, whatever a resolver would say (RFC 6761 §6.3)."""
        with Server(reply(200, b"body")) as server:
            response = client.get(f"http://{host}:{server.port}/")

            assert (200, []) == (response.status, internet.asked)

    # --- An address in place of the resolver's ---

    @requires(Capability.RESOLVE)
    def test_resolve(self, client: Client) -> None:
        """The connection goes to the address; the request is for the name. Other hosts are looked up."""
        with Server(reply(200, b"body")) as server:
            response = client.get(f"http://service.test:{server.port}/", resolve={"service.test": "127.0.0.1"})
            with pytest.raises(NameResolutionError):
                client.get(f"http://other.test:{server.port}/", resolve={"service.test": "127.0.0.1"})

            assert (b"body", f"service.test:{server.port}") == (response.body, server.requests[0].header("host"))

    @requires(Capability.RESOLVE, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("host", ["service.test", "service.test."])
    def test_resolve_with_tls(self, client: Client, host: str) -> None:
        """TLS asks for, and is verified for, the name, without the dot of a complete one (RFC 6066 §3)."""
        names: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = lambda _, name, default: names.append(name)
        pytest.importorskip("trustme")
        authority()._authority.issue_cert("service.test").configure_cert(context)
        with Server(reply(200, b"secret"), tls=context) as server:
            response = client.get(
                f"https://{host}:{server.port}/", resolve={host: "127.0.0.1"}, tls=authority().trusted
            )

            assert (b"secret", ["service.test"]) == (response.body, names)
            with pytest.raises(TLSError):
                client.get(
                    f"https://other.test:{server.port}/", resolve={"other.test": "127.0.0.1"}, tls=authority().trusted
                )

    @requires(Capability.RESOLVE, Capability.KEEP_ALIVE)
    def test_connections_belong_to_an_address(self, client: Client) -> None:
        """A connection to one address is not used once another one is set."""
        with Server() as server:
            url = f"http://service.test:{server.port}/"
            client.get(url, resolve={"service.test": "127.0.0.1"})
            client.get(url, resolve={"service.test": "127.0.0.1"})
            with pytest.raises(ConnectError):
                client.get(url, resolve={"service.test": "::1"})

            assert (1, 2) == (server.connections, len(server.requests))

    @requires(Capability.RESOLVE, Capability.SOCKS)
    @pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
    def test_resolve_through_socks(self, client: Client, internet: Internet, scheme: str) -> None:
        """A SOCKS proxy is asked for the address."""
        socks = Socks5()
        with Server(OnConnect(socks, Receive(), reply(200))) as server:
            client.get("http://service.test/", resolve={"service.test": "10.1.2.3"}, proxy=proxy(server, scheme=scheme))

            assert (1, b"\x0a\x01\x02\x03", 80) == socks.destination

    @requires(Capability.RESOLVE, Capability.PROXY)
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_resolve_through_a_proxy_that_resolves(self, client: Client, scheme: str) -> None:
        """An HTTP proxy looks the name up itself; so this is refused instead of ignored."""
        with Server() as server:
            with pytest.raises(ConfigError, match="itself resolves"):
                client.get(f"{scheme}://service.test/", resolve={"service.test": "127.0.0.1"}, proxy=proxy(server))

            assert 0 == server.connections

    # --- No private addresses ---

    @requires(Capability.FORBID_PRIVATE)
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "[::1]",
            "localhost",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b:1::8.8.8.8]",
            "[2002:7f00:1::]",
            "[2002:808:808::]",
            "[::127.0.0.1]",
            "[::10.0.0.1]",
            "[::ffff:0:7f00:1]",
            "[2001:0:7f00:1::]",
            "[2606:4700::5efe:10.0.0.1]",
            "[2606:4700::200:5efe:10.0.0.1]",
            "[fec0::1]",
            "[3fff::1]",
            "[5f00::1]",
            "[100:0:0:1::1]",
            "[200::1]",
            "[4000::1]",
            "[fe00::1]",
            "192.0.0.8",
            "192.0.0.9",
            "192.0.0.10",
            "192.88.99.1",
            "printer.localhost",
            "0.0.0.0",
            "[::]",
            "169.254.169.254",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "224.0.0.1",
        ],
    )
    def test_private_addresses(self, client: Client, internet: Internet, host: str) -> None:
        """An address that is not public is refused, however it is written, and not connected to."""
        with Server() as server:
            with pytest.raises(ConnectError) as caught:
                client.get(f"http://{host}:{server.port}/", forbid_private=True)

            assert ("no", 0, []) == (caught.value.request_sent, server.connections, internet.reached)

    @requires(Capability.FORBID_PRIVATE)
    def test_private_after_resolution(self, client: Client, internet: Internet) -> None:
        """So is a name that leads to one, even beside public addresses."""
        internet.answers = {"inside.test": [["10.0.0.1"]], "both.test": [[PUBLIC, "127.0.0.1"]]}
        with Server() as server:
            for host in internet.answers:
                with pytest.raises(ConnectError, match=host):
                    client.get(f"http://{host}:{server.port}/", forbid_private=True)

            assert (0, []) == (server.connections, internet.reached)

    @requires(Capability.FORBID_PRIVATE)
    def test_public_addresses(self, client: Client, internet: Internet) -> None:
        """A public one is connected to, and without the setting a private one, too."""
        internet.answers = {"service.test": [[PUBLIC]]}
        with Server(reply(200, b"body")) as server:
            response = client.get(f"http://service.test:{server.port}/", forbid_private=True)
            client.get(server.url)

            assert (b"body", [PUBLIC, "127.0.0.1"]) == (response.body, internet.reached)

    @requires(Capability.FORBID_PRIVATE)
    def test_the_address_that_was_checked_is_used(self, client: Client, internet: Internet) -> None:
        """There is one look-up: what a second would say ("rebinding") does not matter."""
        internet.answers = {"rebinding.test": [[PUBLIC], ["127.0.0.1"]]}
        with Server(reply(200, b"body")) as server:
            response = client.get(f"http://rebinding.test:{server.port}/", forbid_private=True)

            assert (b"body", [PUBLIC], ["rebinding.test"]) == (response.body, internet.reached, internet.asked)

    @requires(Capability.FORBID_PRIVATE)
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "inside.test"])
    def test_private_behind_a_redirect(self, client: Client, internet: Internet, host: str) -> None:
        """Every hop is checked."""
        internet.answers = {"service.test": [[PUBLIC]], "inside.test": [["127.0.0.1"]]}
        with Server() as inside:
            with Server(reply(302, b"", {"Location": f"http://{host}:{inside.port}/"})) as server:
                with pytest.raises(ConnectError):
                    client.get(f"http://service.test:{server.port}/", forbid_private=True)

                assert (1, 0, [PUBLIC]) == (len(server.requests), inside.connections, internet.reached)

    @requires(Capability.FORBID_PRIVATE, Capability.KEEP_ALIVE)
    def test_private_connections_are_not_used_again(self, client: Client) -> None:
        """A connection that is open already is no way around it."""
        with Server() as server:
            client.get(server.url)
            with pytest.raises(ConnectError):
                client.get(server.url, forbid_private=True)

            assert 1 == len(server.requests)

    @requires(Capability.FORBID_PRIVATE, Capability.RESOLVE)
    def test_private_by_resolve(self, client: Client) -> None:
        """An address that was handed in is checked as well."""
        with Server() as server:
            with pytest.raises(ConnectError):
                client.get(
                    f"http://service.test:{server.port}/", resolve={"service.test": "127.0.0.1"}, forbid_private=True
                )

            assert 0 == server.connections

    @requires(Capability.FORBID_PRIVATE, Capability.SOCKS)
    def test_private_through_socks(self, client: Client, internet: Internet) -> None:
        """With socks5 the address is looked up, checked and sent; the proxy's own may be private."""
        internet.answers = {"service.test": [[PUBLIC], ["127.0.0.1"]]}
        socks = Socks5()
        with Server(OnConnect(socks, Receive(), reply(200))) as server:
            settings: dict[str, Any] = {"proxy": proxy(server, scheme="socks5"), "forbid_private": True}
            client.get("http://service.test/", **settings)
            with pytest.raises(ConnectError):
                client.get("http://service.test:81/", **settings)

            assert ((1, b"\x08\x08\x08\x08", 80), 1) == (socks.destination, server.connections)

    @requires(Capability.FORBID_PRIVATE, Capability.PROXY)
    @pytest.mark.parametrize("url", ["http://service.test/", "https://service.test/", "http://127.0.0.1/"])
    def test_private_through_a_proxy_that_resolves(self, client: Client, url: str) -> None:
        """Where an HTTP proxy connects to cannot be known here; so this is refused instead of ignored."""
        with Server() as server:
            with pytest.raises(ConfigError, match="itself resolves"):
                client.get(url, proxy=proxy(server), forbid_private=True)

            assert 0 == server.connections

    # --- What a backend cannot do ---

    @LEFT_TO_PYTHON
    @pytest.mark.parametrize(
        ("capability", "settings"),
        [
            (Capability.PROXY, {"proxy": "http://127.0.0.1:{port}"}),
            (Capability.TLS_PROXY, {"proxy": "https://127.0.0.1:{port}"}),
            (Capability.SOCKS, {"proxy": "socks5://127.0.0.1:{port}"}),
            (Capability.SOCKS, {"proxy": "socks5h://127.0.0.1:{port}"}),
            (Capability.UNIX_SOCKET, {"unix_socket": "/there/is/none"}),
            (Capability.RESOLVE, {"resolve": {"service.test": "127.0.0.1"}}),
            (Capability.FORBID_PRIVATE, {"forbid_private": True}),
        ],
    )
    def test_what_is_not_declared_is_refused(
        self, client: Client, capability: Capability, settings: dict[str, Any]
    ) -> None:
        """Not being able to is said before anything is sent, by a backend that does not declare it and by no other."""
        with refused_port() as port:
            settings = {
                name: value.format(port=port) if isinstance(value, str) else value for name, value in settings.items()
            }
            host = "service.test" if "resolve" in settings else "127.0.0.1"
            with pytest.raises(UnifetchError) as caught:
                client.get(f"http://{host}:{port}/", **settings)

        declared = capability in client.backend.capabilities
        assert (ConnectError if declared else UnsupportedCapability, "no") == (
            next(kind for kind in (UnsupportedCapability, ConnectError) if isinstance(caught.value, kind)),
            caught.value.request_sent,
        )
        del caught
        gc.collect()
