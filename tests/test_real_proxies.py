"""Through proxies that others wrote: tinyproxy for HTTP and CONNECT, microsocks for SOCKS5, as Debian has them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import servers
from unifetch import Client
from unifetch.backends.base import Capability
from unifetch.errors import ProxyError
from unifetch.testing import RecordedRequest, Server, reply

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the proxies are programs of Unix")

TINYPROXY = """
Listen 127.0.0.1
Port %(port)d
Timeout 20
MaxClients 20
BasicAuth user secret
DisableViaHeader Yes
PidFile "%(directory)s/pid"
LogFile "%(directory)s/log"
LogLevel Connect
"""
SECRETS = ("secret", "dXNlcjpzZWNyZXQ=")


@contextlib.contextmanager
def running(command: Callable[[int], list[str]]) -> Iterator[int]:
    """Runs a server, and gives its port, once it accepts connections; skips the test where there is no such program.

    Args:
        command: the program and its arguments, for a port that is free.
    """
    name = command(0)[0]
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    # The port is free when it is picked, and may be taken when the server binds it: then pick another.
    for _ in range(5):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        process = subprocess.Popen(
            command(port), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            if _accepts(process, port):
                yield port
                return
        finally:
            servers.stop(process)
    pytest.fail(f"{name} does not start")


def _accepts(process: subprocess.Popen[bytes], port: int) -> bool:
    ends = time.monotonic() + 5.0
    while process.poll() is None and time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return True
        time.sleep(0.01)
    return False


@pytest.fixture(scope="module")
def tinyproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """tinyproxy, for user "user" with password "secret": its host and port."""
    directory = tmp_path_factory.mktemp("tinyproxy")

    def command(port: int) -> list[str]:
        settings = Path(directory, "conf")
        settings.write_text(TINYPROXY % {"port": port, "directory": directory}, encoding="ascii")
        return ["tinyproxy", "-d", "-c", str(settings)]

    with running(command) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def microsocks() -> Iterator[str]:
    """microsocks, for the same user: its host and port."""
    with running(lambda port: ["microsocks", "-i", "127.0.0.1", "-p", str(port), "-u", "user", "-P", "secret"]) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def client(backend: str) -> Iterator[Client]:
    """A client for each backend, which trusts the tests' authority if it can be told to."""
    with Client(backend, timeout=20) as client:
        yield client


def needs(client: Client, *capabilities: Capability) -> dict[str, Any]:
    """Skips a backend that does not declare these; gives the settings for an https origin."""
    for capability in capabilities:
        if capability not in client.backend.capabilities:
            pytest.skip(f"{client.backend.name} does not declare {capability.name}")
    return {"tls": {"ca_file": str(servers.certificate_authority().ca_file)}}


def origin(scheme: str) -> Server:
    """A server that echoes, and records what it is told."""

    def echo(request: RecordedRequest) -> bytes:
        return reply(200, request.body or request.target.encode())

    return Server(echo, tls=servers.certificate_authority().server_context() if scheme == "https" else None)


def told(server: Server) -> str:
    """Everything that an origin was sent."""
    return "".join(server.received(number).decode("latin-1") for number in range(1, server.connections + 1))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_tinyproxy(client: Client, tinyproxy: str, scheme: str) -> None:
    """Requests and uploads get through an HTTP proxy that wants a login, and the origin never sees that."""
    settings = needs(client, Capability.PROXY, Capability.TLS_CONTEXT)
    settings["proxy"] = f"http://user:secret@{tinyproxy}"
    large = bytes(range(256)) * 2048
    with origin(scheme) as server:
        answers = [client.get(f"{server.url}/{number}", **settings).body for number in range(5)]
        # PUT, as tinyproxy closes connections unannounced: what is idempotent is sent once more (RFC 9112 §9.3.1).
        echoed = client.put(server.url, body=large, **settings).body

        assert ([b"/%d" % number for number in range(5)], large) == (answers, echoed)
        assert not [each for each in SECRETS if each in told(server)]


def test_tinyproxy_tunnel_is_used_again(client: Client, tinyproxy: str) -> None:
    """Twenty requests need one tunnel and one TLS handshake."""
    settings = needs(client, Capability.PROXY, Capability.TLS_CONTEXT, Capability.KEEP_ALIVE)
    with origin("https") as server:
        for _ in range(20):
            client.get(server.url, proxy=f"http://user:secret@{tinyproxy}", **settings)

        assert (1, 20) == (server.connections, len(server.requests))


@pytest.mark.parametrize("login", ["", "user:wrong@"])
def test_tinyproxy_refuses(client: Client, tinyproxy: str, login: str) -> None:
    """Without its login a tunnel is a ProxyError with the status, a request gets the proxy's own answer."""
    settings = needs(client, Capability.PROXY, Capability.TLS_CONTEXT)
    settings["proxy"] = f"http://{login}{tinyproxy}"
    with origin("http") as server:
        status = client.get(server.url, **settings).status
        with pytest.raises(ProxyError) as caught:
            client.get(server.url.replace("http:", "https:"), **settings)

        # tinyproxy says 407 to who has no login, and 401 to who has a wrong one.
        assert (status, 0) == (caught.value.status, server.connections)
        assert status in (401, 407)


def test_tinyproxy_finds_nobody(client: Client, tinyproxy: str) -> None:
    """An origin that the proxy cannot reach is its answer to a request, and a ProxyError for a tunnel."""
    settings = needs(client, Capability.PROXY, Capability.TLS_CONTEXT)
    settings["proxy"] = f"http://user:secret@{tinyproxy}"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        status = client.get(f"http://127.0.0.1:{port}/", **settings).status
        with pytest.raises(ProxyError) as caught:
            client.get(f"https://127.0.0.1:{port}/", **settings)

        assert (status, True) == (caught.value.status, status >= 500)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("socks", ["socks5", "socks5h"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_microsocks(client: Client, microsocks: str, scheme: str, socks: str, host: str) -> None:
    """So they do through a SOCKS5 proxy, by address and by name."""
    settings = needs(client, Capability.SOCKS, Capability.TLS_CONTEXT)
    settings["proxy"] = f"{socks}://user:secret@{microsocks}"
    # A server on IPv4 is behind the name as well, where socks5 resolves it: resolvers may have ::1 first.
    if (socks, host) == ("socks5", "localhost") and socket.getaddrinfo(host, 80)[0][0] != socket.AF_INET:
        pytest.skip("localhost is an IPv6 address here")
    large = bytes(range(256)) * 2048
    with origin(scheme) as server:
        url = f"{scheme}://{host}:{server.port}"
        answers = [client.get(f"{url}/{number}", **settings).body for number in range(5)]
        echoed = client.post(url, body=large, **settings).body

        assert ([b"/%d" % number for number in range(5)], large) == (answers, echoed)
        assert not [each for each in SECRETS if each in told(server)]
        if Capability.KEEP_ALIVE in client.backend.capabilities:
            assert 1 == server.connections


@pytest.mark.parametrize("login", ["", "user:wrong@"])
def test_microsocks_refuses(client: Client, microsocks: str, login: str) -> None:
    """Without its login it is a ProxyError, and nothing reaches the origin."""
    needs(client, Capability.SOCKS)
    with origin("http") as server:
        with pytest.raises(ProxyError) as caught:
            client.get(server.url, proxy=f"socks5h://{login}{microsocks}")

        assert ("no", 0) == (caught.value.request_sent, server.connections)


def test_microsocks_finds_nobody(client: Client, microsocks: str) -> None:
    """An origin that it cannot reach is a ProxyError that says why."""
    needs(client, Capability.SOCKS)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ProxyError, match="connection refused"):
            client.get(f"http://127.0.0.1:{taken.getsockname()[1]}/", proxy=f"socks5://user:secret@{microsocks}")
