"""Every argument of every public call, given what it is not for.

The arguments are found by signatures, and each gets the same wrong values. What cannot be meant is refused by a
TypeError, a ValueError or an error of ours that names the argument, before anything is sent; never by an
AttributeError or a KeyError from somewhere inside. What is accepted is accepted without a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import inspect
import math
from array import array
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import unifetch
from unifetch import (
    TLS,
    URL,
    AsyncClient,
    Basic,
    Bearer,
    Client,
    Cookie,
    CookieJar,
    Digest,
    Headers,
    InvalidSetting,
    Limits,
    Netrc,
    Proxy,
    Request,
    Retry,
    Timeout,
    UnifetchError,
    aio,
    fetch_all,
    use_backend,
)
from unifetch.testing import Answer, Cassette, CassetteError, Drip, Faults, Mock, Pause, Server, Stall, reply

WRONG: dict[str, Callable[[], object]] = {
    "None": lambda: None,
    "an object": object,
    "a number": lambda: 5,
    "zero": lambda: 0,
    "negative": lambda: -1,
    "nan": lambda: math.nan,
    "inf": lambda: math.inf,
    "a fraction": lambda: 1.5,
    "complex": lambda: 1j,
    "huge": lambda: 10**400,
    "True": lambda: True,
    "no text": lambda: "",
    "text": lambda: "x y",
    "long text": lambda: "x" * 100_000,
    "two lines": lambda: "a\nb: c",
    "NUL": lambda: "\0",
    "a surrogate": lambda: "\ud800",
    "bytes": lambda: b"x",
    "an empty list": list,
    "a list of numbers": lambda: [1],
    "a list of text": lambda: ["x", None],
    "a pair": lambda: (1, 2),
    "a set": lambda: {1},
    "a mapping of numbers": lambda: {1: 2},
    "a mapping of objects": lambda: {"x": object()},
    "a mapping of mappings": lambda: {"x": {"y": [None]}},
    "a generator": lambda: (each for each in [1]),
    "an ended generator": lambda: ended(),
    "an array": lambda: array("I", [1, 2]),
    "a deep list": lambda: deep(),
    "a class": lambda: int,
}


def ended() -> Iterator[bytes]:
    """A generator that somebody else has read."""
    pieces = (b"x" for _ in range(1))
    list(pieces)
    return pieces


def deep() -> list[Any]:
    """A list in a list, and so on: too deep for `repr`."""
    nested: list[Any] = []
    for _ in range(5_000):
        nested = [nested]
    return nested


# What an error calls an argument besides by its name.
CALLED = {
    "params": ("parameter", "url"),
    "form": ("parameter", "form"),
    "headers": ("header",),
    "trailers": ("header", "trailer"),
    "fields": ("header",),
    "cookies": ("cookie",),
    "domain": ("host",),
    "text": ("url", "cookie jar", "cookies.txt"),
    "urls": ("url",),
    "unix_socket": ("unix socket",),
    "host": ("proxy",),
    "secrets": ("secret",),
    "max_line": ("stream()",),  # of a body that was read, which is said first
    "max_event": ("stream()",),
    "reference": ("url",),
    "path": ("directory", "file name", "cassette"),  # by the system
}

# Texts that cannot be encoded are told of by Python itself, which shows where; the kit's own arguments need no more.
KIT = "testing."
# A file or a socket of any name may be there, and what is asked then has nothing to do with its type.
NOT_THERE = (FileNotFoundError, IsADirectoryError, OSError, CassetteError)


class Given:
    """What the other arguments are, where they are required."""

    def __init__(self, url: str, directory: Path) -> None:
        self.client = Client("socket", timeout=5)
        headers = Headers([("A", "b")])
        self.values: dict[str, Any] = {
            "url": url,
            "method": "GET",
            "urls": [url],
            "path": str(directory / "file"),
            "request": Request("GET", url),
            "scheme": "http",
            "host": "h",
            "port": 80,
            "username": "a",
            "password": "b",
            "token": "t",
            "name": "A",
            "value": "b",
            "domain": "h.test",
            "other": headers,
            "text": "http://h/a",
            "set_cookie_values": ["a=b"],
            "now": 0.0,
            "cookies": {"a": "b"},
            "data": b"x",
            "every": 0.1,
            "seconds": 0.1,
        }


def awaited(name: str) -> Callable[..., object]:
    """A method of an AsyncClient, as a function that blocks."""
    method = getattr(AsyncClient, name)

    def call(**arguments: Any) -> object:
        async def main() -> object:
            async with AsyncClient("socket", timeout=5) as client:
                outcome = method(client, **arguments)
                if inspect.isawaitable(outcome):
                    response = await outcome
                    if name in ("open", "exchange"):
                        await response.body.close()
                    return response
                async with outcome as response:
                    return response

        return asyncio.run(main())

    signature = inspect.signature(method)
    call.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]  # for `inspect`
    return call


def awaited_fetch_all(**arguments: Any) -> object:
    async def main() -> object:
        async with AsyncClient("socket", timeout=5) as client:
            arguments.setdefault("client", client)
            return [result.unwrap() async for result in aio.fetch_all(**arguments)]

    return asyncio.run(main())


awaited_fetch_all.__signature__ = inspect.signature(aio.fetch_all)  # type: ignore[attr-defined]  # for `inspect`


def all_results(**arguments: Any) -> object:
    return [result.unwrap() for result in fetch_all(**arguments)]


all_results.__signature__ = inspect.signature(fetch_all)  # type: ignore[attr-defined]  # for `inspect`

NUMBERS = count()  # of all calls: each asks for a target of its own
JAR = CookieJar([Cookie("A", "b", "h.test")])
SHOWN = [*("get", "head", "options", "delete", "post", "put", "patch", "request", "stream", "open", "exchange")]
CLASSES = (Client, AsyncClient, Request, Timeout, Limits, TLS, Retry, URL, Headers, Proxy, Basic, Bearer, Digest)
METHODS = {
    "Headers": (Headers([("A", "b")]), ("get", "get_all", "merged")),
    "URL": (URL("http://h/a?b=c"), ("join", "with_params")),
    "CookieJar": (JAR, ("set", "update", "get", "store", "from_json", "from_netscape")),
}
KIT_CALLS = (Answer, Cassette, Drip, Faults, Mock, Pause, Server, Stall, reply)
CALLS: dict[str, Callable[[Given], Callable[..., Any]]] = {
    **{f"Client.{name}": lambda given, name=name: getattr(given.client, name) for name in [*SHOWN, "send", "download"]},
    **{f"AsyncClient.{name}": lambda given, name=name: awaited(name) for name in [*SHOWN, "send", "download"]},
    "Client.with_": lambda given: given.client.with_,
    "fetch_all": lambda given: all_results,
    "aio.fetch_all": lambda given: awaited_fetch_all,
    "use_backend": lambda given: use_backend,
    **{each.__name__: lambda given, each=each: each for each in CLASSES},
    "Netrc": lambda given: Netrc,
    "Cookie": lambda given: Cookie,
    **{
        f"{kind}.{name}": lambda given, value=value, name=name: getattr(copy.copy(value), name)
        for kind, (value, names) in METHODS.items()
        for name in names
    },
    **{
        f"Response.{name}": lambda given, name=name: getattr(given.client.get(given.values["url"]), name)
        for name in ("json", "lines", "events")
    },
    **{f"testing.{each.__name__}": lambda given, each=each: each for each in KIT_CALLS},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """It counts who connects."""
    with Server(reply(200, b"x"), lifetime=600) as server:
        yield server
        server.errors.clear()  # of uploads whose iterator gives what is no bytes


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of what a wrong body leaves half sent
@pytest.mark.parametrize("name", CALLS)
def test_wrong_types(name: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is refused in words that name the argument, before anything is sent, or means something."""
    monkeypatch.chdir(tmp_path)
    given = Given(server.url, tmp_path)
    call = CALLS[name](given)
    parameters = [
        each
        for each in inspect.signature(call).parameters.values()
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    wrong = []
    for parameter in parameters:
        for kind, make in WRONG.items():
            arguments = {
                each.name: given.values[each.name]
                for each in parameters
                if each.default is each.empty and each.name in given.values
            }
            if name == "fetch_all":
                arguments["client"] = given.client
            target = f"/{next(NUMBERS)}"
            if "url" in arguments or "urls" in arguments:
                arguments |= {"url": server.url + target} if "url" in arguments else {"urls": [server.url + target]}
            if name == "CookieJar.store":
                arguments["url"] = URL(arguments["url"])
            arguments[parameter.name] = make()
            try:
                outcome = called(call, parameters, arguments)
                if name in ("Client.open", "Client.exchange"):
                    outcome.close()
                if name in ("Client.stream", "use_backend"):
                    with outcome:
                        pass
            except Exception as error:  # noqa: BLE001  # it is judged
                if verdict := judged(name, parameter.name, kind, error, sent=was_sent(server, target)):
                    wrong.append(f"{parameter.name}={kind}: {verdict}")
            for left in tmp_path.iterdir():
                with contextlib.suppress(OSError):
                    left.unlink()
    given.client.close()

    assert [] == wrong


def called(call: Callable[..., Any], parameters: list[inspect.Parameter], arguments: dict[str, Any]) -> Any:
    """Call it, by position what cannot be named."""
    positional = [
        arguments.pop(each.name) for each in parameters if each.kind is each.POSITIONAL_ONLY and each.name in arguments
    ]
    return call(*positional, **arguments)  # fmt: skip


def was_sent(server: Server, target: str) -> bool:
    return any(request.target.partition("?")[0] == target for request in server.requests)


def judged(name: str, argument: str, kind: str, error: Exception, *, sent: bool) -> str | None:
    """What is wrong with this error, if anything."""
    shown = f"{type(error).__name__}: {str(error)[:200]}"
    if argument in ("progress", "sink", "auth") and kind == "a class":
        return None  # it can be called, and fails by itself
    if argument == "body" and kind == "a generator":
        return None  # what an iterator gives is known once it is asked
    if len(str(error)) > 1000 and not isinstance(error, OSError):  # the system's show all of a path
        return f"too long: {shown}"
    if sent:
        return f"something was sent before {shown}"
    if name.startswith(KIT) and isinstance(error, RecursionError):
        return None  # of `json`, which names itself
    if not isinstance(error, (TypeError, ValueError, UnifetchError, *(NOT_THERE if argument == "path" else ()))):
        return f"from inside: {shown}"
    words = str(error).lower()
    if any(each in words for each in (argument, *CALLED.get(argument, ()))):
        return None
    if name.startswith(KIT) and isinstance(error, UnicodeEncodeError):
        return None
    return f"it names no {argument}: {shown}"


async def _to_be_awaited(*_: object) -> None:
    raise AssertionError("nobody calls it")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_callback_that_has_to_be_awaited(kind: Any) -> None:
    """It would be called and never awaited, so it is refused: a listener, a progress, a sink."""
    with pytest.raises(InvalidSetting, match=r"^listeners: must be a callable \(event\) without async"):
        kind(listeners=[_to_be_awaited])
    for name, given in (("put", ("http://127.0.0.1:1/",)), ("download", ("http://127.0.0.1:1/", "file"))):

        async def awaited(name: str = name, given: Any = given) -> None:
            called = getattr(kind(), name)(*given, progress=_to_be_awaited)
            if kind is AsyncClient:
                await called

        with pytest.raises(InvalidSetting, match=r"^progress: must be a callable \(\w+, total\) without async"):
            asyncio.run(awaited())
    for each in (unifetch.fetch_all, unifetch.aio.fetch_all):
        with pytest.raises(InvalidSetting, match=r"^progress: must be a callable \(done, total\) without async"):
            each([], progress=_to_be_awaited)
    with pytest.raises(InvalidSetting, match=r"^sink: must be a callable \(result\) without async"):
        unifetch.fetch_all([], sink=_to_be_awaited)
