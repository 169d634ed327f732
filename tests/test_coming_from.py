"""The page for whoever comes from requests, httpx or aiohttp: each row runs, theirs and ours, on every backend."""

from __future__ import annotations

import asyncio
import gc
import gzip
import importlib
import inspect
import re
import runpy
import ssl
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import unifetch
from migration_rows import EXAMPLES
from unifetch.backends import BACKENDS, is_installed
from unifetch.model import names
from unifetch.testing import Close, RecordedRequest, Reset, Server, refused_port, reply

# Examples are as short as on the page, and leave clients open, which the garbage collector tells of at any time.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """What the examples leave open is collected before another module's tests."""
    yield
    for _ in range(3):  # a finalizer may leave more to collect
        gc.collect()


DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "how-to" / "coming-from.md").read_text("utf-8")
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
    if not is_installed(name):
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


# --- Every name -----------------------------------------------------------------------------------


def test_the_page_holds_the_table() -> None:
    """`docs/names.py` would change nothing in it; where this fails, run it."""
    names_py = runpy.run_path(str(DOCS / "names.py"))

    assert names_py["updated"](PAGE) == PAGE


# Rows that say to whom a name leads, and that nobody could run: a warning, a module, a class of a signature; and what
# needs more than a server of plain HTTP on loopback: those classes are compared by name.
NAMED = {
    names.ARGUMENT: {"compress", "fingerprint"},  # two libraries compress in ways of their own; this needs https
    names.MODULE: {
        "disable_warnings", "exceptions", "adapters", "auth", "cookies", "sessions", "structures", "models",
        "client_exceptions", "util", "poolmanager", "MockTransport", "ClientResponse", "HTTPResponse", "NetRCAuth",
        "TraceConfig", "SSLError", "ClientConnectorDNSError", "ClientProxyConnectionError", "InvalidProxyURL",
        "ConnectTimeoutError", "EmptyPoolError", "ContentTypeError", "UnrewindableBodyError", "Cookies",
        "InvalidUrlClientError", "UnixConnector", "DefaultResolver", "Fingerprint", "BaseTransport",
    },
}  # fmt: skip
ROWS = [(place, theirs, ours) for place, answers in names.ANSWERS.items() for theirs, (ours, _) in answers.items()]


def example_of(place: str, theirs: str) -> tuple[str, str, str] | None:
    return next((EXAMPLES[place][name] for name in theirs.split() if name in EXAMPLES[place]), None)


@pytest.mark.parametrize(("place", "theirs", "ours"), ROWS, ids=lambda each: each.split()[0])
def test_every_row_has_an_example(place: str, theirs: str, ours: str) -> None:
    """What can be run is run below; `nothing` is what cannot."""
    is_named = not NAMED.get(place, set()).isdisjoint(theirs.split())

    assert (example_of(place, theirs) is not None) != (ours.startswith("nothing: ") or is_named)


def test_no_example_is_left_over() -> None:
    """Each belongs to a row."""
    known = {(place, name) for place, row, _ in ROWS for name in row.split()}

    assert set() == {(place, name) for place, examples in EXAMPLES.items() for name in examples} - known


def theirs_at(place: str) -> set[str]:
    """The names that the libraries have at a place, as far as they are installed."""
    requests, httpx, aiohttp, urllib3 = (
        pytest.importorskip(name, reason=f"{name} is not installed")
        for name in ("requests", "httpx", "aiohttp", "urllib3")
    )
    calls = [
        requests.Session.request, requests.adapters.HTTPAdapter.send, httpx.Client.__init__, httpx.Client.request,
        httpx.HTTPTransport.__init__, aiohttp.ClientSession.__init__, aiohttp.ClientSession._request,
        aiohttp.TCPConnector.__init__, urllib3.HTTPConnectionPool.urlopen, urllib3.HTTPSConnectionPool.__init__,
        urllib3.PoolManager.request, urllib3.HTTPResponse.__init__, urllib3.PoolManager.request_encode_url,
        urllib3.PoolManager.__init__, requests.adapters.HTTPAdapter.__init__,
    ]  # fmt: skip
    modules = [
        requests, requests.adapters, requests.exceptions, requests.auth, requests.cookies, httpx, aiohttp,
        aiohttp.client_exceptions, urllib3, urllib3.exceptions, urllib3.util, urllib3.connectionpool,
    ]  # fmt: skip
    kinds: dict[str, list[Any]] = {
        names.RESPONSE: [requests.Response(), httpx.Response, aiohttp.ClientResponse, urllib3.HTTPResponse],
        names.CLIENT: [requests.Session(), httpx.Client, httpx.AsyncClient, aiohttp.ClientSession, urllib3.PoolManager],
        names.HEADERS: [httpx.Headers, urllib3.HTTPHeaderDict, importlib.import_module("multidict").CIMultiDictProxy],
        names.COOKIES: [requests.cookies.RequestsCookieJar, httpx.Cookies(), aiohttp.CookieJar],
        names.REQUEST: [
            requests.Request(), requests.PreparedRequest(), httpx.Request("GET", "http://h"), aiohttp.RequestInfo,
        ],
        names.URL: [httpx.URL, importlib.import_module("yarl").URL, urllib3.util.Url],
        names.LINK: [dict],
        names.ELAPSED: [importlib.import_module("datetime").timedelta],
    }  # fmt: skip
    if place in kinds:
        return {name for kind in kinds[place] for name in dir(kind)}
    if place == names.MODULE:
        return {name for module in modules for name in dir(module)}
    of = {
        names.ARGUMENT: calls,
        names.RETRY: [urllib3.Retry.__init__],
        names.LIMITS: [
            httpx.Limits.__init__, aiohttp.TCPConnector.__init__, requests.adapters.HTTPAdapter.__init__,
            urllib3.HTTPConnectionPool.__init__,
        ],
        names.TIMEOUT: [aiohttp.ClientTimeout, httpx.Timeout.__init__],
        names.TLS: [
            urllib3.HTTPSConnectionPool.__init__, httpx.Client.__init__, ssl.create_default_context,
            urllib3.util.ssl_.create_urllib3_context,
        ],
    }  # fmt: skip
    return {name for call in of[place] for name in inspect.signature(call).parameters}


# Of an older version, of another library (Tornado, urllib.request), or what no class has but its instances.
ELSEWHERE = {
    "method", "iter_chunked", "next_request", "method_whitelist", "charset_encoding", "AsyncSession", "AsyncHTTPClient",
    "user_agent", "connect_timeout", "read_timeout", "proxy_auth", "client_exceptions", "poolmanager", "util", "auth",
    "cookies", "exceptions", "adapters", "models", "sessions", "status_codes", "structures", "extensions", "urlopen",
    "retry_after_max", "default_encoding", "follow_redirects",
}  # fmt: skip


@pytest.mark.parametrize("place", names.ANSWERS)
def test_every_name_is_theirs(place: str) -> None:
    """The table answers no name that nobody would type."""
    assert set() == {*names.NAMES[place]} - theirs_at(place) - ELSEWHERE


def pages(request: RecordedRequest) -> Any:
    """What the examples ask for."""
    tail = request.target.partition("?")[0].rpartition("/")[2]
    scripts: dict[str, Any] = {
        "moved": reply(301, b"", {"Location": "/p"}),
        "gzip": reply(200, gzip.compress(b"hello", mtime=0), {"Content-Encoding": "gzip"}),
        "404": reply(404, b"nope"),
        "reset": [Reset()],
        "nonsense": b"nonsense\r\n\r\n",
        "cut": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Close()],
        "coding": reply(200, b"no gzip", {"Content-Encoding": "gzip"}),
        "silent": b"",
    }
    return scripts.get(tail, answer(request))


def raised(kind: type[Exception], call: Callable[[], Any]) -> bool:
    with pytest.raises(kind):
        call()
    return True


async def raised_later(kind: type[Exception], call: Callable[[], Any]) -> bool:
    with pytest.raises(kind):
        await call()
    return True


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sent") / "file"
    path.write_bytes(b"content")
    return path


@cache
def theirs_once(library: str, expression: str, path: Path) -> tuple[Any, list[Any]]:
    # The same beside each of our backends.
    return asyncio.run(outcome_of(library, expression, "", path))


async def outcome_of(library: str, expression: str, backend: str, path: Path) -> tuple[Any, list[Any]]:
    with Server(pages) as server, refused_port() as port:
        made: dict[str, Callable[[], Any]] = {
            "requests": lambda: importlib.import_module("requests").Session(),
            "httpx": lambda: importlib.import_module("httpx").Client(),
            "aiohttp": lambda: importlib.import_module("aiohttp").ClientSession(),
            "unifetch": lambda: unifetch.Client(backend),
        }
        client = made[library]() if library in made else None
        scope: dict[str, Any] = {
            "url": server.url + "/p", "client": client, "path": path, "name": backend, "raised": raised,
            "raised_later": raised_later,
            "refused": f"http://127.0.0.1:{port}/", "proxy": server.url,
            library: importlib.import_module(library),
        }  # fmt: skip
        exec(f"async def row():\n    return {expression}", scope)
        outcome = plain(await scope["row"]())
        if client is not None and (closing := client.close()) is not None:
            await closing
        # aiohttp calls bytes by a type; nobody else does.
        return outcome, [[None if each == "application/octet-stream" else each for each in row] for row in told(server)]


@pytest.mark.parametrize(
    ("place", "theirs"), [row[:2] for row in ROWS if example_of(*row[:2])], ids=lambda each: each.split()[0]
)
def test_examples(place: str, theirs: str, backend: str, file: Path) -> None:
    """What is written there and what the error says to write here send the same, and give the same."""
    example = example_of(place, theirs)
    assert example is not None
    library, their_expression, ours = example
    with unifetch.use_backend(backend):
        if not library:  # there is nothing to compare with: it works
            asyncio.run(outcome_of("unifetch", ours, backend, file))
            return
        pytest.importorskip(library, reason=f"{library} is not installed")

        assert theirs_once(library, their_expression, file) == asyncio.run(outcome_of("unifetch", ours, backend, file))
