"""The scenarios of the contract that make sense below a front library, through each bridge and on two backends each.

A `Front` is a client of a library over its bridge, asked by one function; a failure is named by its kind, which `KINDS`
translates into the library's own errors.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import pickle
import threading
from importlib import import_module
from typing import Any

import pytest

import servers
from suspensions import cancel_everywhere
from unifetch import UnsupportedCapability
from unifetch.backends import is_installed, load, load_async
from unifetch.backends.base import Capability
from unifetch.testing import Close, Drip, OnConnect, Pause, Script, Server, StartTLS, refused_port, reply

HEAD = b"HTTP/1.1 200 OK\r\n"
AGREED = b"HTTP/1.1 200 Connection established\r\n\r\n"

# What a failure is called by httpx and httpx2, and by requests.
KINDS = {
    "connect": ("ConnectError", "ConnectionError"),
    "connect timeout": ("ConnectTimeout", "ConnectTimeout"),
    "read timeout": ("ReadTimeout", "ReadTimeout"),
    "read timeout in the body": ("ReadTimeout", "ConnectionError"),  # as requests itself says
    "protocol": ("RemoteProtocolError", "ConnectionError"),
    "protocol in the body": ("RemoteProtocolError", "ChunkedEncodingError"),
    "tls": ("ConnectError", "SSLError"),
    "proxy": ("ProxyError", "ProxyError"),
    "no proxy": ("ConnectError", "ProxyError"),
    "reset": ("ReadError", "ChunkedEncodingError"),
}


class Front:
    """A client of a library over its bridge."""

    def __init__(self, library: str, backend: str, *, awaited: bool) -> None:
        self.name = library
        self.library: Any = pytest.importorskip(library)
        if not is_installed(backend):
            pytest.skip(f"the library of {backend} is not installed")
        self.backend = backend
        self.awaited = awaited
        self.bridge: Any = import_module(f"unifetch.bridges.{library}")
        self.capabilities = (load_async if awaited else load)(backend)().capabilities

    def needs(self, *capabilities: Capability) -> None:
        """Skip the test where the backend declares less."""
        for capability in capabilities:
            if capability not in self.capabilities:
                pytest.skip(f"{self.backend} has no {capability.name}")

    def error(self, kind: str) -> type[Exception]:
        found: type[Exception] = getattr(
            self.library if self.name != "requests" else self.library.exceptions,
            KINDS[kind][self.name == "requests"],
        )
        return found

    def ask(self, *urls: str, timeout: Any = 10, **settings: Any) -> list[str]:
        """The text of each answer, asked one after the other by one client."""
        if self.awaited:
            return asyncio.run(self._ask(urls, timeout, settings))
        with self.client(**settings) as client:
            return [client.get(url, timeout=self._timeout(timeout)).text for url in urls]

    async def _ask(self, urls: tuple[str, ...], timeout: Any, settings: dict[str, Any]) -> list[str]:
        transport = self.bridge.AsyncTransport(backend=self.backend, **settings)
        async with self.library.AsyncClient(transport=transport, timeout=self._timeout(timeout)) as client:
            return [(await client.get(url)).text for url in urls]

    def client(self, **settings: Any) -> Any:
        """A client that blocks."""
        if self.name != "requests":
            return self.library.Client(transport=self.bridge.Transport(backend=self.backend, **settings))
        session = self.library.Session()
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, self.bridge.Adapter(backend=self.backend, **settings))
        return session

    def _timeout(self, timeout: Any) -> Any:
        # A pair is (connect, read), as requests has it.
        if type(timeout) is not tuple or self.name == "requests":
            return timeout
        return self.library.Timeout(10, connect=timeout[0], read=timeout[1])

    def fails(self, kind: str, url: str, **settings: Any) -> None:
        """Ask, and hold the failure to its kind."""
        with pytest.raises(self.error(kind)) as caught:
            self.ask(url, **settings)
        if kind in ("connect", "protocol"):  # of requests the others are subclasses of it
            assert type(caught.value) is self.error(kind)


FRONTS = [
    (library, backend, awaited)
    for library in ("httpx", "httpx2", "requests")
    for backend, awaited in (("socket", False), ("urllib3", False), ("socket", True), ("aiohttp", True))
    if library != "requests" or not awaited
]


@pytest.fixture(params=FRONTS, ids=lambda each: f"{each[0]}{' awaited' if each[2] else ''} on {each[1]}")
def front(request: pytest.FixtureRequest) -> Front:
    library, backend, awaited = request.param
    return Front(library, backend, awaited=awaited)


# --- The deadline ---------------------------------------------------------------------------------


def test_the_total_ends_a_head_that_drips(front: Front) -> None:
    """Each byte comes within the read timeout, and still there is an end."""
    front.needs(Capability.HARD_DEADLINE)
    with Server([Drip(HEAD + b"X: " + b"x" * 2000, every=0.02)]) as server:
        front.fails("read timeout", server.url, total=0.2)


def test_the_total_ends_a_body_that_drips(front: Front) -> None:
    """The same within the body."""
    with Server([HEAD + b"Content-Length: 2000\r\n\r\n", Drip(b"x" * 2000, every=0.02)]) as server:
        front.fails("read timeout in the body", server.url, total=0.2)


def test_the_read_timeout(front: Front) -> None:
    """Before the head."""
    with Server(b"") as server:
        front.fails("read timeout", server.url, timeout=(5, 0.1))


def test_the_connect_timeout(front: Front) -> None:
    """An address that answers nothing: the backlog of a socket that nobody accepts from is full."""
    with servers.silent_addresses(1) as [(_, address)]:
        front.fails("connect timeout", f"http://{address[0]}:{address[1]}/", timeout=(0.2, 5))


# --- Framing, and what follows a response ---------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: +1\r\n\r\na",
        HEAD + b"Bad Name: x\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"X: y\nContent-Length: 0\r\n\r\n",
        HEAD + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_head_that_is_ambiguous(front: Front, head: bytes) -> None:
    """It is refused, by an error of the front library's own."""
    front.needs(Capability.STRICT_HEAD)
    with Server([head]) as server:
        front.fails("protocol", server.url)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (b"Content-Length: 9", b"ab"),
        (b"Transfer-Encoding: chunked", b"1\r\na\r\n"),
        (b"Transfer-Encoding: chunked", b"5\r\nab"),
    ],
)
def test_a_body_that_is_cut_off(front: Front, fields: bytes, body: bytes) -> None:
    """What ends early is no answer."""
    with Server([HEAD + fields + b"\r\n\r\n" + body, Close()]) as server:
        front.fails("protocol in the body", server.url)


@pytest.mark.parametrize("chunks", [b"+1\r\na\r\n0\r\n\r\n", b"zz\r\na\r\n0\r\n\r\n", b"1\r\nabc\r\n0\r\n\r\n"])
def test_chunks_that_are_malformed(front: Front, chunks: bytes) -> None:
    """A chunk has the size that it says, in hexadecimal."""
    front.needs(Capability.STRICT_CHUNKS)
    with Server([HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks]) as server:
        front.fails("protocol in the body", server.url)


def test_what_follows_a_response_is_nobodys(front: Front) -> None:
    """Bytes after its end are no answer to the next request."""
    front.needs(Capability.NO_POISONING)
    with Server(reply(200, b"one") + reply(200, b"false"), reply(200, b"two")) as server:
        assert ["one", "two"] == front.ask(server.url, server.url)


def test_interim_responses_are_skipped(front: Front) -> None:
    """The answer is what comes after them."""
    front.needs(Capability.INTERIM)
    with Server(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + reply(200, b"one")) as server:
        assert ["one"] == front.ask(server.url)


def test_a_connection_is_kept(front: Front) -> None:
    """Two requests need one."""
    front.needs(Capability.KEEP_ALIVE)
    with Server(reply(200, b"one")) as server:
        assert ["one", "one"] == front.ask(server.url, server.url)
        assert 1 == server.connections


# --- Limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [b"X: " + b"x" * 110_000, b"X: y\r\n" * 2_000 + b"X: y"])
def test_a_head_that_is_too_large(front: Front, fields: bytes) -> None:
    """In bytes and in fields."""
    with Server([HEAD + fields + b"\r\nContent-Length: 0\r\n\r\n"]) as server:
        front.fails("protocol", server.url)


# --- TLS ------------------------------------------------------------------------------------------


def test_a_certificate_that_is_not_trusted(front: Front) -> None:
    """The handshake fails, and nothing is sent."""
    with Server(tls=servers.certificate_authority().server_context("127.0.0.1")) as server:
        front.fails("tls", server.url)

        assert [] == server.requests


def test_a_certificate_of_another_name(front: Front) -> None:
    """Trusted, but not for this host."""
    authority = servers.certificate_authority()
    with Server(tls=authority.server_context("other.test")) as server:
        front.fails("tls", server.url, tls={"ca_file": authority.ca_file})

        assert [] == server.requests


def test_whom_to_trust(front: Front) -> None:
    """`tls=` names an authority, or has nothing verified."""
    authority = servers.certificate_authority()
    with Server(reply(200, b"x"), tls=authority.server_context("127.0.0.1")) as server:
        for tls in ({"ca_file": authority.ca_file}, {"verify": False}):
            assert ["x"] == front.ask(server.url, tls=tls)


def test_a_client_certificate(front: Front) -> None:
    """It is shown to a server that asks for one."""
    authority = servers.certificate_authority()
    mine = str(authority.certificate("client.test"))
    with Server(reply(200, b"x"), tls=authority.server_context("127.0.0.1", require_client=True)) as server:
        assert ["x"] == front.ask(server.url, tls={"ca_file": authority.ca_file, "client_cert": mine})


def test_a_handshake_that_breaks(front: Front) -> None:
    """What answers without TLS is no server of https."""
    with Server(OnConnect(b"no TLS at all, and more than enough of it")) as server:
        front.fails("tls", server.url.replace("http://", "https://"))


# --- Proxies --------------------------------------------------------------------------------------


def test_an_http_proxy(front: Front) -> None:
    """It is asked with the absolute URL, and has its credentials; the origin has none."""
    with Server(reply(200, b"by proxy")) as proxy:
        told = proxy.url.replace("://", "://me:secret@")
        assert ["by proxy"] == front.ask("http://service.test/path", proxy=told)
        assert "http://service.test/path" == proxy.requests[0].target
        assert "Basic bWU6c2VjcmV0" == proxy.requests[0].header("proxy-authorization")


def test_a_tunnel(front: Front) -> None:
    """By CONNECT to an https origin, with TLS inside."""
    front.needs(Capability.PROXY, Capability.TLS_CONTEXT)
    authority = servers.certificate_authority()
    agreed: Script = [AGREED, StartTLS(authority.server_context("service.test"))]
    with Server(agreed, reply(200, b"inside")) as proxy:
        told = {"tls": {"ca_file": authority.ca_file}, "proxy": proxy.url.replace("://", "://me:secret@")}
        assert ["inside"] == front.ask("https://service.test/", **told)
        assert ["CONNECT", "GET"] == [each.method for each in proxy.requests]
        assert proxy.requests[1].header("proxy-authorization") is None


def test_a_tunnel_that_is_refused(front: Front) -> None:
    """Without a word of the credentials."""
    front.needs(Capability.PROXY, Capability.TLS_CONTEXT)
    with Server(reply(407)) as proxy:
        with pytest.raises(front.error("proxy")) as caught:
            front.ask("https://service.test/", proxy=proxy.url.replace("://", "://me:secret@"))

    assert "secret" not in str(caught.value)


def test_a_proxy_over_tls(front: Front) -> None:
    """It is spoken to over TLS, and verified."""
    front.needs(Capability.TLS_PROXY, Capability.TLS_CONTEXT)
    authority = servers.certificate_authority()
    with Server(reply(200, b"by proxy"), tls=authority.server_context("127.0.0.1")) as proxy:
        assert ["by proxy"] == front.ask("http://service.test/", proxy=proxy.url, tls={"ca_file": authority.ca_file})
        front.fails("no proxy", "http://service.test/", proxy=proxy.url)


def test_a_proxy_that_is_not_there(front: Front) -> None:
    """Nothing goes around it."""
    with Server() as server, refused_port() as port:
        front.fails("no proxy", server.url, proxy=f"http://127.0.0.1:{port}")

        assert [] == server.requests


# --- Where it may go ------------------------------------------------------------------------------


def test_private_addresses_are_refused(front: Front) -> None:
    """By an error of the front library, or the backend says that it lacks the guard."""
    with Server() as server:
        if Capability.FORBID_PRIVATE in front.capabilities:
            front.fails("connect", server.url, forbid_private=True)
        else:
            with pytest.raises(UnsupportedCapability):
                front.ask(server.url, forbid_private=True)

        assert [] == server.requests


def test_an_address_that_is_handed_in(front: Front) -> None:
    """`resolve` leads there, under the URL's own name."""
    front.needs(Capability.RESOLVE)
    with Server(reply(200, b"x")) as server:
        url = f"http://service.test:{server.port}/"
        assert ["x"] == front.ask(url, resolve={"service.test": "127.0.0.1"})
        assert f"service.test:{server.port}" == server.requests[0].header("host")


# --- What a session says of TLS and proxies --------------------------------------------------------


@pytest.fixture(params=["socket", "urllib3"])
def session(request: pytest.FixtureRequest) -> Any:
    requests = pytest.importorskip("requests")
    from unifetch.bridges.requests import Adapter

    session = requests.Session()
    session.trust_env = False
    session.mount("https://", Adapter(backend=request.param))
    session.mount("http://", Adapter(backend=request.param))
    return session


def test_verify_and_cert_of_a_session(session: Any) -> None:
    """A path, False, and a pair of files; each has connections of its own."""
    authority = servers.certificate_authority()
    mine = str(authority.certificate("client.test"))
    requests = pytest.importorskip("requests")
    urllib3 = pytest.importorskip("urllib3")
    with session, Server(reply(200, b"x"), tls=authority.server_context("127.0.0.1", require_client=True)) as server:
        for cert in (mine, (mine, mine)):
            assert "x" == session.get(server.url, verify=authority.ca_file, cert=cert).text
            with pytest.warns(urllib3.exceptions.InsecureRequestWarning, match="host '127.0.0.1'"):
                assert "x" == session.get(server.url, verify=False, cert=cert).text
        with pytest.raises(requests.exceptions.SSLError):
            session.get(server.url, cert=mine)


def test_a_proxy_over_tls_of_a_session(session: Any) -> None:
    """`proxies=` names it, and `verify=` says whom to trust."""
    authority = servers.certificate_authority()
    with session, Server(reply(200, b"by proxy"), tls=authority.server_context("127.0.0.1")) as proxy:
        told = {"http": proxy.url}
        assert "by proxy" == session.get("http://service.test/", proxies=told, verify=authority.ca_file).text


def test_credentials_for_a_proxy_that_nobody_named(session: Any) -> None:
    """A field for a proxy is refused where it would go elsewhere, before anything is sent."""
    requests = pytest.importorskip("requests")
    with session, Server() as server:
        with pytest.raises(requests.exceptions.InvalidHeader):
            session.get(server.url, headers={"Proxy-Authorization": "Basic eDp5"})

        assert [] == server.requests


@pytest.mark.parametrize("url", ["http://:1", "http://a b/"])
def test_a_url_that_cannot_be(session: Any, url: str) -> None:
    """It is the library's own error, also where the library lets it through to its adapter."""
    requests = pytest.importorskip("requests")
    prepared = requests.Request("GET", "http://127.0.0.1/").prepare()
    prepared.url = url
    with session, pytest.raises(requests.exceptions.InvalidURL):
        session.send(prepared)


# --- Cancellation ---------------------------------------------------------------------------------

AWAITED = [each for each in FRONTS if each[2]]


@pytest.mark.parametrize("way", ["whole", "pieces", "upload"])
@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize("backend", ["socket", "aiohttp"])
def test_cancelled_at_every_await(library: str, backend: str, way: str) -> None:
    """At its first suspension, its second, …: no slot and no task is left, and the client goes on."""
    front = Front(library, backend, awaited=True)

    def answer(request: Any) -> Any:
        if request.target == "/pieces":
            return [HEAD + b"Content-", Pause(0.002), b"Length: 6\r\n\r\nfir", Pause(0.002), b"st!"]
        return reply(200, b"first!")

    async def blocks() -> Any:
        yield b"x" * 100_000
        await asyncio.sleep(0)
        yield b"y" * 100_000

    async def scenario(url: str) -> int:
        transport = front.bridge.AsyncTransport(backend=backend, limits={"connections": 1})
        async with front.library.AsyncClient(transport=transport) as client:

            async def begin() -> None:
                if way == "upload":
                    assert "first!" == (await client.post(url, content=blocks())).text
                elif way == "whole":
                    assert "first!" == (await client.get(f"{url}/whole")).text
                else:
                    async with client.stream("GET", f"{url}/pieces") as response:
                        assert b"first!" == b"".join([piece async for piece in response.aiter_raw()])

            async def check(count: int) -> None:
                assert 0 == transport._client.calls_connected, f"a slot is held after suspension {count}"
                others = {task.get_coro() for task in asyncio.all_tasks() if task is not asyncio.current_task()}
                assert not others, f"after suspension {count} these go on: {others}"
                assert "first!" == (await client.get(f"{url}/next")).text

            return await cancel_everywhere(begin, check)

    with Server(answer, lifetime=100) as server:
        cancelled = asyncio.run(scenario(server.url))
        server.errors.clear()  # of uploads that were cut off

    assert cancelled > 0


# --- What is the library's own, and stays so ------------------------------------------------------


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_hooks_and_logging_of_httpx(library: str, caplog: pytest.LogCaptureFixture) -> None:
    """Event hooks are called and the library's logger speaks, as over its own transport."""
    front = Front(library, "socket", awaited=False)
    seen: list[str] = []
    hooks = {
        "request": [lambda request: seen.append(request.method)],
        "response": [lambda response: seen.append(response.status_code)],
    }
    with Server(reply(200, b"x")) as server, caplog.at_level(logging.INFO, logger=library):
        with front.library.Client(transport=front.bridge.Transport(), event_hooks=hooks) as client:
            response = client.get(server.url)
            copied = pickle.loads(pickle.dumps(response))

    assert ["GET", 200] == seen
    assert any("200 OK" in record.getMessage() for record in caplog.records)
    assert ("x", 200) == (copied.text, copied.status_code)


def test_a_response_of_requests_pickles() -> None:
    """As over its own adapter, read or not; so does a deep copy of a session."""
    front = Front("requests", "socket", awaited=False)
    session = front.library.Session()
    session.mount("http://", front.bridge.Adapter())
    with Server(reply(200, b"x", {"Set-Cookie": "a=b"})) as server, session:
        for stream in (False, True):
            response = pickle.loads(pickle.dumps(session.get(server.url, stream=stream)))
            assert ("x", 200, "b") == (response.text, response.status_code, response.cookies["a"])
        with copy.deepcopy(session) as other:
            assert "x" == other.get(server.url).text


BLOCKING = pytest.mark.parametrize(
    "front", [each for each in FRONTS if not each[2]], indirect=True, ids=lambda each: f"{each[0]} on {each[1]}"
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@BLOCKING
def test_a_fork_has_connections_of_its_own(front: Front) -> None:
    """The child asks by itself, and the parent's connection is still the parent's."""
    with Server(lambda request: reply(200, request.target.encode())) as server, front.client() as client:
        client.get(server.url + "/parent")
        child = os.fork()
        if child == 0:
            ok = client.get(server.url + "/child").text == "/child"
            os._exit(0 if ok else 1)
        _, status = os.waitpid(child, 0)

        assert 0 == os.waitstatus_to_exitcode(status)
        assert "/parent" == client.get(server.url + "/parent").text
        assert 2 == server.connections


@BLOCKING
def test_threads_share_a_client(front: Front) -> None:
    """Each gets the answer to its own request."""
    found: dict[str, str] = {}

    def ask(number: int) -> None:
        for turn in range(5):
            name = f"/{number}-{turn}"
            found[name] = client.get(server.url + name).text

    with Server(lambda request: reply(200, request.target.encode())) as server, front.client() as client:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert {name: name for name in found} == found
    assert 40 == len(found)
