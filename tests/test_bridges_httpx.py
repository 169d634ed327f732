"""httpx and httpx2 over a bridge: what their clients are promised, on two backends."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

import pytest

from unifetch import ConfigError, InvalidSetting, UnsupportedCapability
from unifetch.errors import UnifetchError
from unifetch.observe.events import Attempt
from unifetch.testing import Close, Drip, OnHead, Pause, Reset, Server, Stall, refused_port, reply

pytest.importorskip("httpx")
pytest.importorskip("httpx2")


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return import_module(request.param)


@pytest.fixture
def bridge(library: Any) -> Any:
    return import_module(f"unifetch.bridges.{library.__name__}")


@pytest.fixture(params=["socket", "urllib3"])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "urllib3":
        pytest.importorskip("urllib3")
    return str(request.param)


@pytest.fixture
def client(library: Any, bridge: Any, backend: str) -> Iterator[Any]:
    with library.Client(transport=bridge.Transport(backend=backend)) as client:
        yield client


def test_the_front_library_keeps_its_policies(client: Any) -> None:
    """Redirects, cookies and decoding are the client's; the exchange is ours."""
    first = reply(302, b"", {"Location": "/there", "Set-Cookie": "a=b"})
    second = reply(200, gzip.compress(b"text"), {"Content-Encoding": "gzip"})
    with Server(first, second) as server:
        response = client.get(server.url, follow_redirects=True)

        assert ("text", 302) == (response.text, response.history[0].status_code)
        assert "a=b" == server.requests[1].header("cookie")
        assert ("HTTP/1.1", "OK") == (response.http_version, response.reason_phrase)
        assert "network_stream" not in response.extensions


def test_bodies_of_every_kind(client: Any) -> None:
    """Bytes are declared by their length, a generator is sent in chunks, and no body has no framing."""
    with Server(reply(200)) as server:
        client.post(server.url, content=b"abc")
        client.post(server.url, content=iter([b"a", b"bc"]))
        client.post(server.url, files={"f": b"abc"})
        client.get(server.url)

    assert [b"abc", b"abc"] == [request.body for request in server.requests[:2]]
    assert ["3", None] == [request.header("content-length") for request in server.requests[:2]]
    assert b"abc" in server.requests[2].body
    assert server.requests[3].header("content-length") is None


def test_the_target_of_the_extension_is_sent(client: Any, library: Any) -> None:
    """It goes out as it is, and one that cannot is refused before anything is sent."""
    with Server(reply(200)) as server:
        client.get(server.url, extensions={"target": b"/a/../b"})
        with pytest.raises(library.LocalProtocolError):
            client.get(server.url, extensions={"target": b"*"})

        assert ["/a/../b"] == [request.target for request in server.requests]


@pytest.mark.parametrize("target", ["/a|b[c]?d={e}&f='g'", "/%zz?%", "/a/%2e/b", "//c?d?e"])
def test_the_target_is_as_the_library_writes_it(client: Any, library: Any, target: str) -> None:
    """It has its own normal form, and who signs a URL has signed that."""
    with Server(reply(200)) as server:
        url = library.URL(server.url + target)
        client.get(url)

        assert url.raw_path.decode() == server.requests[0].target


@pytest.mark.parametrize("target", [b"/a b", b"/a#b", b"/a\\b", b"/a\r\nX: 1", b"a", b""])
def test_a_target_that_is_no_word_of_a_request_line(client: Any, library: Any, target: bytes) -> None:
    """It is refused before anything is sent."""
    with Server(reply(200)) as server:
        with pytest.raises(library.LocalProtocolError):
            client.get(server.url, extensions={"target": target})

        assert [] == server.requests


def test_a_server_name_that_cannot_be_is_refused(client: Any, library: Any) -> None:
    """`sni_hostname` for a host that is a name contradicts it."""
    with pytest.raises(library.LocalProtocolError, match="sni_hostname"):
        client.get("https://localhost:1/", extensions={"sni_hostname": "other.example"})


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (Close(), "RemoteProtocolError"),
        (Reset(), "ReadError"),
        (b"nonsense\r\n\r\n", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", Close()], "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", Close()], "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", Pause(0.05), Reset()], "ReadError"),
    ],
)
def test_errors_are_of_the_librarys_tree(client: Any, library: Any, script: Any, name: str) -> None:
    """Before the head and within the body; each error knows its request."""
    with Server(script) as server:
        with pytest.raises(library.TransportError) as caught:
            client.get(server.url)

        assert name == type(caught.value).__name__
        assert server.url in str(caught.value.request.url)


def test_no_connection_is_a_connect_error(client: Any, library: Any) -> None:
    """So is a certificate that is not trusted."""
    with Server() as server:
        url = server.url
    with pytest.raises(library.ConnectError):
        client.get(url)


def test_the_read_timeout_of_the_extension(client: Any, library: Any) -> None:
    """It holds before the head and within the body; absent, there is none."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"
    with Server(b"", [head, Stall()]) as server:
        for _ in range(2):
            with pytest.raises(library.ReadTimeout):
                client.get(server.url, timeout=library.Timeout(5, read=0.05))


def test_the_total_ends_a_body_that_drips(library: Any, bridge: Any, backend: str) -> None:
    """The deadline that the library does not have; each byte comes within its read timeout."""
    body = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", Drip(b"x" * 100, every=0.02)]
    with Server(body) as server, library.Client(transport=bridge.Transport(backend=backend, total=0.2)) as client:
        with pytest.raises(library.ReadTimeout, match="total"):
            client.get(server.url)


def test_the_pool_timeout(library: Any, bridge: Any) -> None:
    """Limits hold, and the wait for a connection ends after the `pool` phase."""
    transport = bridge.Transport(limits={"connections": 1})
    begun: Any = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na", Stall()]
    with Server(begun, reply(200)) as server, library.Client(transport=transport) as client:
        with client.stream("GET", server.url):
            with pytest.raises(library.PoolTimeout):
                client.get(server.url, timeout=library.Timeout(5, pool=0.05))
        client.get(server.url)


def test_a_stream_that_is_closed_early_gives_its_connection_up(client: Any) -> None:
    """The next request gets a connection of its own."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"
    with Server([head], reply(200, b"next")) as server:
        with client.stream("GET", server.url) as response:
            assert b"a" == next(response.iter_raw())

        assert ("next", 2) == (client.get(server.url).text, server.connections)


def test_what_follows_a_response_poisons_nothing(client: Any) -> None:
    """Bytes after the end are no answer to the next request."""
    with Server(reply(200, b"one") + reply(200, b"false"), reply(200, b"two")) as server:
        assert ["one", "two"] == [client.get(server.url).text for _ in range(2)]


def test_private_addresses_are_refused(library: Any, bridge: Any, backend: str) -> None:
    """The SSRF guard holds below the library, or the backend says that it lacks it."""
    transport = bridge.Transport(backend=backend, forbid_private=True)
    with Server() as server, library.Client(transport=transport) as client:
        with pytest.raises((library.ConnectError, UnsupportedCapability)):
            client.get(server.url)

        assert 0 == len(server.requests)


def test_the_proxy_is_the_transports(library: Any, bridge: Any, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`proxy=` is used, the environment only when asked for, as is usual below this library."""
    with Server(reply(200, b"by proxy")) as proxy, Server(reply(200, b"direct")) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        bodies = []
        for settings in ({}, {"proxy": proxy.url}, {"proxy": "env"}):
            with library.Client(transport=bridge.Transport(backend=backend, **settings)) as client:
                bodies.append(client.get(server.url).text)

    assert ["direct", "by proxy", "by proxy"] == bodies


def test_listeners_are_told(library: Any, bridge: Any) -> None:
    """Events are ours."""
    seen: list[Any] = []
    with Server() as server, library.Client(transport=bridge.Transport(listeners=[seen.append])) as client:
        client.get(server.url)

    assert 1 == sum(isinstance(event, Attempt) for event in seen)


def test_trace_by_the_names_of_httpcore(client: Any) -> None:
    """The `trace` extension is told of the request, the head, the body and the end."""
    told: list[str] = []
    with Server(reply(200, b"x")) as server:
        client.get(server.url, extensions={"trace": lambda name, info: told.append(name)})

    assert [
        f"http11.{what}.{state}"
        for what in (
            "send_request_headers",
            "send_request_body",
            "receive_response_headers",
            "receive_response_body",
            "response_closed",
        )
        for state in ("started", "complete")
    ] == told


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (Reset(), "http11.receive_response_headers.failed"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na", Close()], "http11.receive_response_body.failed"),
        (None, "http11.send_request_headers.failed"),
    ],
)
def test_trace_of_what_fails(client: Any, library: Any, script: Any, name: str) -> None:
    """It is told where, with the error; nothing that was begun is left open."""
    told: list[tuple[str, Any]] = []
    with Server(*filter(None, [script])) as server, refused_port() as port:
        url = server.url if script else f"http://127.0.0.1:{port}"
        with pytest.raises(library.TransportError):
            client.get(url, extensions={"trace": lambda *event: told.append(event)})

    ends = [each for each in told if each[0].endswith(".failed")]
    assert [name] == [each for each, _ in ends]
    assert isinstance(ends[0][1]["exception"], UnifetchError)
    begun = {each.rpartition(".")[0] for each, _ in told if each.endswith(".started")}
    assert begun == {each.rpartition(".")[0] for each, _ in told if not each.endswith(".started")}


CUT = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"]


def test_a_trace_that_raises(client: Any) -> None:
    """That is for its caller; the connection is closed."""

    def trace(name: str, info: Any) -> None:
        if name == "http11.receive_response_headers.complete":
            raise ValueError("mine")

    with Server(CUT) as server:
        with pytest.raises(ValueError, match="mine") as caught:
            client.get(server.url, extensions={"trace": trace})
        server.wait_closed()

        assert caught.tb  # it holds the frames, and so what is in them


def test_a_trace_that_is_cancelled(library: Any, bridge: Any) -> None:
    """The same, where the task is cancelled while `trace` is awaited."""

    async def trace(name: str, info: Any) -> None:
        if name == "http11.receive_response_headers.complete":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

    async def main(url: str) -> None:
        async with library.AsyncClient(transport=bridge.AsyncTransport()) as client:
            with pytest.raises(asyncio.CancelledError) as caught:
                await client.get(url, extensions={"trace": trace})
            await asyncio.to_thread(server.wait_closed)

            assert caught.tb

    with Server(CUT) as server:
        asyncio.run(main(server.url))


def test_wrong_settings_are_refused(bridge: Any) -> None:
    """A transport takes what is below policies, and nothing else."""
    with pytest.raises(InvalidSetting, match="headers"):
        bridge.Transport(headers={"a": "b"})
    with pytest.raises(ConfigError):
        bridge.Transport(total=-1)


def test_what_an_upload_raises_goes_to_its_caller(client: Any) -> None:
    """An error of the caller's own generator is not made into one of the library's."""

    def blocks() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("mine")

    with Server(OnHead(b"")) as server, pytest.raises(LookupError, match="mine"):
        client.post(server.url, content=blocks())


# --- Awaited --------------------------------------------------------------------------------------


async def _blocks() -> AsyncIterator[bytes]:
    yield b"a"
    yield b"bc"


async def _awaited(library: Any, transport: Any, url: str) -> tuple[str, str]:
    async with library.AsyncClient(transport=transport) as client:
        first = await client.post(url, content=_blocks())
        async with client.stream("GET", url) as response:
            second = b"".join([piece async for piece in response.aiter_bytes()])
        return first.text, second.decode()


def test_awaited_on_asyncio(library: Any, bridge: Any) -> None:
    """Uploads from asynchronous generators, and streams."""
    with Server(reply(200, b"one"), reply(200, b"two")) as server:
        assert ("one", "two") == asyncio.run(_awaited(library, bridge.AsyncTransport(), server.url))
        assert b"abc" == server.requests[0].body


def test_awaited_on_trio(library: Any, bridge: Any) -> None:
    """The same on trio."""
    trio = pytest.importorskip("trio")
    with Server(reply(200, b"one"), reply(200, b"two")) as server:
        assert ("one", "two") == trio.run(_awaited, library, bridge.AsyncTransport(), server.url)


@pytest.mark.parametrize("script", [b"", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"]])
def test_a_cancelled_task_leaves_nothing(library: Any, bridge: Any, script: Any) -> None:
    """Cancelled before the head or within the body, its connection is closed, and the next task has its own answer."""

    async def main(url: str) -> str:
        async with library.AsyncClient(transport=bridge.AsyncTransport(limits={"connections": 1})) as client:
            task = asyncio.create_task(client.get(url))
            await asyncio.to_thread(server.wait_requests, 1)
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return str((await client.get(url)).text)

    with Server(script, reply(200, b"mine")) as server:
        assert "mine" == asyncio.run(main(server.url))
        assert 2 == server.connections


def test_awaited_errors_are_of_the_librarys_tree(library: Any, bridge: Any) -> None:
    """Before the head and within the body."""

    async def main(url: str) -> list[str]:
        names = []
        async with library.AsyncClient(transport=bridge.AsyncTransport()) as client:
            for _ in range(3):
                try:
                    await client.get(url, timeout=0.1)
                except library.TransportError as error:
                    names.append(type(error).__name__)
        return names

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"
    with Server([head, Close()], Reset(), b"") as server:
        assert ["RemoteProtocolError", "ReadError", "ReadTimeout"] == asyncio.run(main(server.url))
