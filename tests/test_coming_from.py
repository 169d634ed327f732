"""The page for whoever comes from requests, httpx or aiohttp: each row runs, theirs and ours, on every backend."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import unifetch
from unifetch.backends import BACKENDS, is_installed
from unifetch.testing import Close, RecordedRequest, Server, refused_port, reply

PAGE = (Path(__file__).parent.parent / "docs" / "how-to" / "coming-from.md").read_text("utf-8")
FIELDS = [
    ("Content-Type", "application/json; charset=utf-8"),
    ("Set-Cookie", "a=1"),
    ("Set-Cookie", "b=2"),
    ("Link", '<http://h/2>; rel="next"'),
]
COMPARED = ("content-type", "authorization", "cookie", "x-a")


def rows(heading: str) -> list[tuple[str, ...]]:
    """The cells of the table below a heading, without their backticks."""
    table = re.search(rf"^## {heading}\n\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert table is not None
    return [tuple(re.findall(r"`(.+?)`", line)) for line in table[1].splitlines()[2:] if line.startswith("|")]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not is_installed(BACKENDS[name]):
        pytest.skip(f"the library of {name} is not installed")
    return name


def answer(request: RecordedRequest) -> Any:
    return reply(200, b'{"x": 1.5}', FIELDS)


def told(server: Server) -> list[Any]:
    """What a server was asked, as far as it is the caller's affair: multipart borders and defaults are a library's."""
    return [
        (each.method, each.target, each.body.replace(b" ", b""), *(each.header(name) for name in COMPARED))
        for each in server.requests
    ]


def plain(outcome: Any) -> Any:
    """What an expression gives, as something that can be compared across libraries."""
    status = getattr(outcome, "status_code", getattr(outcome, "status", None))
    return status if status is not None else list(outcome) if isinstance(outcome, (list, tuple)) else outcome


def run(expression: str, path: Path, library: str, client: Any) -> tuple[Any, list[Any]]:
    with Server(answer) as server:
        names = {"url": server.url + "/p", "path": path, "client": client, library: importlib.import_module(library)}
        outcome = plain(eval(expression, names))
        if hasattr(client, "close"):
            client.close()
        return outcome, told(server)


@pytest.mark.filterwarnings("ignore")  # theirs: a file that the row leaves open, a certificate that is not verified
@pytest.mark.parametrize(
    ("library", "theirs", "ours"),
    [(library, *row) for library in ("requests", "httpx") for row in rows(f"From {library}")],
)
def test_rows(library: str, theirs: str, ours: str, backend: str, tmp_path: Path) -> None:
    """Both send the same, and give the same."""
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    path = tmp_path / "file"
    path.write_bytes(b"content")
    expected = run(theirs, path, library, module.Session() if library == "requests" else module.Client())
    with unifetch.use_backend(backend), unifetch.Client() as client:
        found = run(ours, path, "unifetch", client)

    assert expected == found


@pytest.mark.filterwarnings("ignore")  # as above
@pytest.mark.parametrize(("theirs", "ours"), rows("From aiohttp"))
def test_awaited_rows(theirs: str, ours: str, backend: str) -> None:
    """So do those that are awaited."""
    aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is not installed")

    async def outcome(expression: str, make: Callable[[], Any]) -> tuple[Any, list[Any]]:
        with Server(answer) as server:
            async with make() as client:
                scope: dict[str, Any] = {"url": server.url + "/p", "client": client}
                exec(f"async def row():\n    return {expression}", scope)
                return plain(await scope["row"]()), told(server)

    expected = asyncio.run(outcome(theirs, aiohttp.ClientSession))

    assert expected == asyncio.run(outcome(ours, lambda: unifetch.AsyncClient(backend)))


SCENARIOS: dict[str, Any] = {
    "nobody listens": None,
    "no answer in time": b"",
    "the server hangs up": [Close()],
    "the body is cut short": [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Close()],
    "a status of 400 or above": reply(404),
    "redirects without end": reply(302, b"", {"Location": "/"}),
}
TABLE = [
    (line.split("|")[1].strip(), *re.findall(r"`(\w+)`", line)) for line in PAGE.splitlines() if line.count("|") == 6
]
ERRORS = [row for row in TABLE if row[0] in SCENARIOS]


def test_every_scenario_has_its_row() -> None:
    """The table of errors is that of the tests."""
    assert list(SCENARIOS) == [row[0] for row in ERRORS]


def ask(library: str, url: str) -> None:
    module = importlib.import_module(library)
    if library == "aiohttp":

        async def get() -> None:
            timeout = module.ClientTimeout(sock_read=0.5)
            async with module.ClientSession(timeout=timeout, raise_for_status=True) as session:
                await (await session.get(url)).read()

        asyncio.run(get())
    else:
        options = {"follow_redirects": True} if library == "httpx" else {}
        module.get(url, timeout=0.5, **options).raise_for_status()


@pytest.mark.parametrize("library", ["requests", "httpx", "aiohttp", "unifetch"])
@pytest.mark.parametrize("row", ERRORS, ids=lambda row: row[0])
def test_errors(row: tuple[str, ...], library: str) -> None:
    """What happens is told by the class that the table names."""
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    name = row[1 + ["requests", "httpx", "aiohttp", "unifetch"].index(library)]
    where = importlib.import_module("requests.exceptions") if library == "requests" else module
    script = SCENARIOS[row[0]]
    if script is None:
        with refused_port() as port, pytest.raises(getattr(where, name)):
            ask(library, f"http://127.0.0.1:{port}")
    else:
        with Server(script) as server, pytest.raises(getattr(where, name)):
            ask(library, server.url)


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: row[0])
def test_errors_of_every_backend(row: tuple[str, ...], backend: str) -> None:
    """Ours is the same on each."""
    with unifetch.use_backend(backend):
        test_errors(row, "unifetch")
