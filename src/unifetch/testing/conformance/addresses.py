"""Unix sockets, loopback, and an address in place of the resolver's."""

from __future__ import annotations

import contextlib
import gc
import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import (
    ConfigError,
    ConnectError,
    ConnectTimeout,
    NameResolutionError,
    TLSError,
    UnifetchError,
    UnsupportedCapability,
)
from ...model.timeouts import Timeout
from .. import (
    OnConnect,
    Receive,
    Server,
    refused_port,
    reply,
)
from .base import requires
from .routes import LEFT_TO_PYTHON, Internet, Routes, Socks5, authority, proxy


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

    @requires(Capability.UNIX_SOCKET)
    def test_unix_socket_whose_queue_is_full(self, client: Client, path: str) -> None:
        """A server that does not accept is waited for; then it is a ConnectTimeout, and nothing left."""
        with full_queue(path) as accept:
            if accept is None:  # this system refuses, where another waits
                return
            with pytest.raises(ConnectTimeout) as caught:
                client.get("http://service.test/", unix_socket=path, timeout=Timeout(20, connect=0.2))
            later = threading.Timer(0.1, accept)
            later.start()
            try:
                response = client.get("http://service.test/", unix_socket=path)
            finally:
                later.join()

            assert ("no", 204) == (caught.value.request_sent, response.status)

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
                client.get(f"http://{host}:{port}/", retry=None, **settings)

        declared = capability in client.backend.capabilities
        assert (ConnectError if declared else UnsupportedCapability, "no") == (
            next(kind for kind in (UnsupportedCapability, ConnectError) if isinstance(caught.value, kind)),
            caught.value.request_sent,
        )
        del caught
        gc.collect()


@contextlib.contextmanager
def full_queue(path: str) -> Iterator[Callable[[], None] | None]:
    """A unix socket that nobody accepts from; what is given does so, and answers. None where the system refuses."""
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as waiting:
        listener.bind(path)
        listener.listen(0)
        listener.settimeout(5)
        refused: OSError | None = None
        while refused is None:
            peer = waiting.enter_context(socket.socket(socket.AF_UNIX))
            peer.setblocking(False)
            try:
                peer.connect(path)
            except OSError as error:
                refused = error

        def accept() -> None:
            waiting.close()
            answered = False
            while not answered:
                with listener.accept()[0] as peer:
                    if answered := bool(peer.recv(65536)):
                        peer.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

        yield accept if isinstance(refused, BlockingIOError) else None
