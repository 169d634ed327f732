"""For the same call, every installed backend puts the same bytes on the wire.

The conformance tests hold each backend to bytes that are written down; here they are held to each other, over TLS
as well, and for calls of more than one request, for which nobody has written them down.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import servers
from unifetch import Client, available_backends
from unifetch.backends import BACKENDS
from unifetch.testing import Script, Server, reply
from unifetch.testing.awaited import AwaitedClient
from unifetch.testing.conformance.wire import EXACT, TARGETS

Ask = Callable[[Any, str], Any]

# Every backend that is installed, for threads; and for an event loop, where it is awaited there.
KINDS: list[tuple[str, type[Any]]] = [
    *((name, Client) for name in available_backends()),
    *((name, AwaitedClient) for name in available_backends() if BACKENDS[name].async_factory),
]


def recorded(ask: Ask, *scripts: Script, tls: bool = False, **settings: Any) -> dict[str, list[bytes]]:
    """What each backend sends for this call: the bytes of each request, by the backend's name.

    Each asks the same server, so that its address is the same; the server answers each as if it were the first.
    """
    scripts = scripts or (reply(),)
    context = servers.certificate_authority().server_context() if tls else None
    if tls:
        settings["tls"] = {"ca_file": servers.certificate_authority().ca_file}
    sent = {}
    with Server(*scripts * len(KINDS), tls=context) as server:
        for name, kind in KINDS:
            before = len(server.requests)
            with kind(backend=name, **settings) as client:
                ask(client, server.url)
            sent[f"{name}, {kind.__name__}"] = [request.head + request.raw_body for request in server.requests[before:]]
    return sent


def disagreements(sent: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    """What differs from the first: nothing, it is to be hoped."""
    first = next(iter(sent.values()))
    return {name: data for name, data in sent.items() if data != first}


def large_blocks() -> Iterator[bytes]:
    yield b"x" * 100_000
    yield b"y"
    yield b"z" * 65_536


def read_stream(client: Client, url: str) -> None:
    with client.stream("POST", url, body=iter([b"x"])) as response:
        response.read()


class Pipe(io.BytesIO):
    """A file whose size nobody knows."""

    def seekable(self) -> bool:
        return False


# --- One request ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("row", EXACT)
def test_one_request(row: str, tls: bool) -> None:
    """Each call of the conformance tests, without and with TLS."""
    ask, _ = EXACT[row]
    sent = recorded(ask, tls=tls)

    assert {} == disagreements(sent)
    assert {1} == {len(data) for data in sent.values()}


@pytest.mark.parametrize("path", TARGETS)
def test_target(path: str) -> None:
    """Whatever has to be encoded, or must not be."""
    assert {} == disagreements(recorded(lambda client, url: client.get(url + path)))


BODIES: dict[str, Ask] = {
    "an empty body": lambda client, url: client.post(url, body=b""),
    "an empty iterator": lambda client, url: client.post(url, body=iter([])),
    "an empty file": lambda client, url: client.put(url, body=io.BytesIO()),
    "an empty list": lambda client, url: client.put(url, body=[]),
    "large bytes": lambda client, url: client.post(url, body=bytes(300_000)),
    "a large file": lambda client, url: client.post(url, body=io.BytesIO(bytes(range(256)) * 1000)),
    "a file that cannot seek": lambda client, url: client.post(url, body=Pipe(bytes(range(256)) * 1000)),
    "large blocks": lambda client, url: client.post(url, body=large_blocks()),
    "many blocks": lambda client, url: client.post(url, body=(b"%d" % number for number in range(500))),
    "a bytearray": lambda client, url: client.post(url, body=bytearray(b"abc")),
    "a body with GET": lambda client, url: client.request("GET", url, body=b"x"),
    "a body with HEAD": lambda client, url: client.request("HEAD", url, body=b"x"),
    "chunks with a method of one's own": lambda client, url: client.request("MERGE", url, body=iter([b"x"])),
    "a method in small letters": lambda client, url: client.request("get", url),
    "Connection: close": lambda client, url: client.get(url, headers={"Connection": "close"}),
    "an empty field": lambda client, url: client.get(url, headers={"X-Empty": ""}),
    "white space inside a field": lambda client, url: client.get(url, headers={"X-A": "a  b\tc"}),
    "every byte of a field": lambda client, url: client.get(
        url, headers={b"X-A": bytes([*range(0x21, 0x7F), *range(0x80, 0x100)])}
    ),
    "many fields": lambda client, url: client.get(url, headers=[(f"X-{number}", "v" * 50) for number in range(80)]),
    "a stream": lambda client, url: read_stream(client, url),
}


@pytest.mark.parametrize("row", BODIES)
def test_body(row: str) -> None:
    """Bodies of every size and kind, and fields that some library might touch."""
    assert {} == disagreements(recorded(BODIES[row]))


# --- Several requests -----------------------------------------------------------------------------


def twice(ask: Ask) -> Ask:
    return lambda client, url: (ask(client, url), ask(client, url))


SETS = {"Set-Cookie": "a=1; Path=/"}

JOURNEYS: dict[str, tuple[Ask, list[Script], dict[str, Any]]] = {
    "a redirect of a form": (
        lambda client, url: client.post(f"{url}/dir/page", form={"a": 1}, headers={"X-A": "1"}),
        [reply(302, b"moved", {"Location": "../end?q"}), reply()],
        {},
    ),
    "a redirect that keeps a file": (
        lambda client, url: client.put(url, body=io.BytesIO(b"abc")),
        [reply(308, b"moved", {"Location": "/end"}), reply()],
        {},
    ),
    "cookies that are kept": (twice(lambda client, url: client.get(url)), [reply(200, b"", SETS), reply()], {}),
    "cookies of a redirect": (
        lambda client, url: client.get(url),
        [reply(302, b"", {"Location": "/end", **SETS}), reply()],
        {},
    ),
    "cookies of a call": (lambda client, url: client.post(url, body=b"x", cookies={"c": "3"}), [reply()], {}),
    "Basic": (lambda client, url: client.get(url, auth=("user", "pass")), [reply()], {}),
    "credentials of the URL": (
        lambda client, url: client.get(url.replace("//", "//user:p%40ss@")),
        [reply()],
        {},
    ),
    "a retry": (
        lambda client, url: client.put(url, body=b"x"),
        [reply(503), reply()],
        {"retry": {"backoff": 0}},
    ),
    "settings of the client": (
        lambda client, url: client.get(f"{url}/x", headers={"X-B": "call"}),
        [reply()],
        {"headers": {"X-A": "client", "X-B": "client"}, "auth": ("user", "pass")},
    ),
    "one connection for everything": (
        lambda client, url: (client.get(url), client.head(url), client.post(url, json=[]), client.delete(url)),
        [reply()] * 4,
        {},
    ),
}


@pytest.mark.parametrize("row", JOURNEYS)
def test_journey(row: str) -> None:
    """Calls that take more than one request: the same ones, in the same order."""
    ask, scripts, settings = JOURNEYS[row]
    sent = recorded(ask, *scripts, **settings)

    assert {} == disagreements(sent)
    assert {len(scripts)} == {len(data) for data in sent.values()}
