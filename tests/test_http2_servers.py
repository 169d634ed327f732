"""HTTP/2 with servers that others wrote, through proxies, and with a certificate of the client's own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import servers
from unifetch import AsyncClient, Client
from unifetch.testing import OnConnect, Server, reply
from unifetch.testing.awaited import AwaitedClient
from unifetch.testing.conformance.routes import Relay, Socks5

pytest.importorskip("h2")
from unifetch.testing import http2 as peer  # after the skip


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Nginx]:
    """One nginx for all tests of this module."""
    with servers.nginx(tmp_path_factory.mktemp("nginx")) as running:
        yield running


@pytest.fixture(params=["blocking", "awaited"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client that offers HTTP/2, and trusts the authority of the tests and nobody else."""
    kind = Client if request.param == "blocking" else AwaitedClient
    with kind(backend="socket", http2=True, tls=trusted(), timeout=20) as made:
        yield made


def trusted() -> dict[str, Any]:
    return {"ca_file": servers.certificate_authority().ca_file}


# --- nginx --------------------------------------------------------------------------------------------


def test_resources(client: Any, nginx: servers.Nginx) -> None:
    """Pages, JSON, redirects, cookies and compression are what they are by HTTP/1.1."""
    url = nginx.tls_url
    text = client.get(f"{url}/text")
    packed = client.get(f"{url}/gzip")
    moved = client.get(f"{url}/redirect")

    assert ("HTTP/2", "", servers.TEXT.decode()) == (text.http_version, text.reason, text.text)
    assert json.loads(servers.JSON) == client.get(f"{url}/json").json()
    assert ("gzip", servers.COMPRESSIBLE) == (packed.headers["content-encoding"], packed.body)
    assert ([302], servers.TEXT) == ([each.status for each in moved.history], moved.body)
    assert b"" == client.head(f"{url}/large").body
    client.get(f"{url}/cookies")
    assert b"a=1; b=2" == client.get(f"{url}/echo-cookies").body
    assert b"/echo-target?a=%2F&b" == client.get(f"{url}/echo-target?a=%2F&b").body
    assert 401 == client.get(f"{url}/basic-auth").status
    assert servers.TEXT == client.get(f"{url}/basic-auth", auth=("user", "secret")).body


def test_large_bodies_both_ways(client: Any, nginx: servers.Nginx) -> None:
    """Eight megabytes down, in memory and in pieces, and up, by length and without."""
    url = nginx.tls_url
    with client.stream("GET", f"{url}/large") as response:
        pieces = b"".join(response.body)
    by_length = client.put(f"{url}/upload/h2-length", body=servers.LARGE)

    def blocks() -> Iterator[bytes]:
        for start in range(0, len(servers.LARGE), 50_000):
            yield servers.LARGE[start : start + 50_000]

    assert servers.LARGE == client.get(f"{url}/large").body == pieces
    client.put(f"{url}/upload/h2-pieces", body=blocks())
    assert by_length.status in (201, 204)
    for name in ("h2-length", "h2-pieces"):
        assert servers.LARGE == (nginx.uploads / name).read_bytes()


def test_an_upload_that_is_too_large(client: Any, nginx: servers.Nginx) -> None:
    """The 413 is told, and the next request goes on."""
    refused = client.put(f"{nginx.tls_url}/limited/h2", body=bytes(5_000_000))

    assert 413 == refused.status
    assert servers.TEXT == client.get(f"{nginx.tls_url}/text").body


def test_a_body_that_is_left(client: Any, nginx: servers.Nginx) -> None:
    """Its rest harms nobody."""
    for _ in range(5):
        with client.stream("GET", f"{nginx.tls_url}/large") as response:
            next(response.body)
        assert servers.TEXT == client.get(f"{nginx.tls_url}/text").body


def test_many_at_once(nginx: servers.Nginx) -> None:
    """Three hundred tasks, more than nginx takes streams on a connection, each with its own answer."""

    async def scenario() -> list[bytes]:
        async with AsyncClient(backend="socket", http2=True, tls=trusted(), timeout=30) as client:
            url = f"{nginx.tls_url}/echo-target?"
            return [each.body for each in await asyncio.gather(*(client.get(f"{url}{n}") for n in range(300)))]

    assert [b"/echo-target?%d" % number for number in range(300)] == asyncio.run(scenario())


def test_a_certificate_of_our_own(client: Any, nginx: servers.Nginx) -> None:
    """Mutual TLS is as it is."""
    mine = {**trusted(), "client_cert": nginx.client_certificate}
    response = client.get(nginx.client_certificate_url, tls=mine)

    assert ("HTTP/2", 200) == (response.http_version, response.status)
    assert b"client.test" in response.body or b"CN" in response.body or b"O=" in response.body


# --- hypercorn ------------------------------------------------------------------------------------------


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Echoes a body, between a header and a trailer."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    start = {"type": "http.response.start", "status": 200, "headers": [(b"x-version", scope["http_version"].encode())]}
    await send({**start, "trailers": True})
    await send({"type": "http.response.body", "body": body})
    await send(
        {"type": "http.response.trailers", "headers": [(b"x-length", b"%d" % len(body))], "more_trailers": False}
    )


@pytest.fixture(scope="module")
def hypercorn() -> Iterator[str]:
    """The URL of a hypercorn without TLS, which knows HTTP/2 by its preface."""
    pytest.importorskip("hypercorn")
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    port = servers._free_ports(1)[0]
    configuration = Config()
    configuration.bind = [f"127.0.0.1:{port}"]
    configuration.accesslog = configuration.errorlog = None
    loop = asyncio.new_event_loop()
    over = asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(serve(application, configuration, shutdown_trigger=over.wait)),
        daemon=True,
    )
    thread.start()
    with Client(backend="socket", http2="only", retry={"attempts": 50, "backoff": 0.02}, timeout=10) as client:
        client.get(f"http://127.0.0.1:{port}/")
    yield f"http://127.0.0.1:{port}"
    loop.call_soon_threadsafe(over.set)
    thread.join(10)
    loop.close()


def test_prior_knowledge_and_trailers(client: Any, hypercorn: str) -> None:
    """Without TLS, by prior knowledge: a body both ways, and what comes after it."""
    for body in (b"", b"hello", bytes(2_000_000)):
        response = client.post(hypercorn, body=body, http2="only")

        assert ("HTTP/2", "2", body) == (response.http_version, response.headers["x-version"], response.body)
        assert str(len(body)) == response.trailers["x-length"]


# --- Proxies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_through_a_proxy(client: Any, scheme: str) -> None:
    """The tunnel comes first, and what is spoken is agreed inside of it."""
    authority = servers.certificate_authority()
    context = authority.server_context()
    context.set_alpn_protocols(["h2"])
    with peer.Server(lambda request: peer.reply(body=request.body), tls=context) as server:
        if scheme.startswith("socks"):
            proxy = Server(OnConnect(Socks5(), Relay(server.port)))
        else:
            tunnel = [reply(200, framed=False), Relay(server.port)]
            proxy = Server(tunnel, tls=authority.server_context() if scheme == "https" else None)
        with proxy:
            url = f"{scheme}://127.0.0.1:{proxy.port}"
            answers = [client.post(server.url, body=bytes(200_000), proxy=url) for _ in range(2)]
            proxy.errors.clear()

        assert [("HTTP/2", bytes(200_000))] * 2 == [(each.http_version, each.body) for each in answers]
        assert 1 == server.connections
