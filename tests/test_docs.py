"""What the documentation shows is what runs: each block of code is part of an example, and each example passes."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import logging
import re
import runpy
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from unifetch import TLS, Capability, Client, backends, errors
from unifetch.backends import BACKENDS, capabilities, is_installed
from unifetch.backends.base import ASYNC_CAPABILITIES
from unifetch.client import config
from unifetch.client.call_settings import REFUSED
from unifetch.policies.limits import MAX_FIELDS, MAX_HEAD, MAX_LINE
from unifetch.testing import RecordedRequest, Server, conformance, refused_port, reply
from unifetch.testing.conformance.base import BackendFactory

DOCS = Path(__file__).parent.parent / "docs"
MADE = ("scenarios/", "_build/")  # by the site, of the facts; tests/test_facts.py
COURSE = "course/"  # its blocks are of files of its own, and its index leads to its pages; tests/test_course.py
PAGES = {
    name: path.read_text("utf-8")
    for path in sorted(DOCS.rglob("*.md"))
    if not (name := path.relative_to(DOCS).as_posix()).startswith(MADE)
}
EXAMPLES = {path.name: path for path in sorted((DOCS / "examples").glob("*.py"))}

# <!-- example: retries.py count -->, and the block that has to be the section [count] of docs/examples/retries.py.
BLOCK = re.compile(r"(?:<!-- example: (\S+)(?: (\S+))? -->\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_CODE = {"", "text", "console"}


def load(name: str) -> ModuleType:
    """The module of an example, under a name that hides no other module."""
    spec = importlib.util.spec_from_file_location(f"example_{Path(name).stem}", EXAMPLES[name])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(file: str, name: str | None) -> str:
    """A section of an example, from its marker to the next one, without the indentation; or the whole file."""
    text = (DOCS / "examples" / file).read_text("utf-8")
    if name is None:
        return text
    found = re.search(rf"^ *# \[{re.escape(name)}\]\n(.*?)^ *# \[", text, re.DOTALL | re.MULTILINE)
    assert found is not None, f"{file} has no section [{name}] that ends"
    return textwrap.dedent(found[1]).strip("\n") + "\n"


# --- The pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith(COURSE)])
def test_blocks_are_excerpts(page: str) -> None:
    """Every block of code is word for word a section of an example."""
    for file, name, language, code in BLOCK.findall(PAGES[page]):
        if language not in NOT_CODE:
            assert file, f"{page} has a block without an example: {code}"
            assert section(file, name or None) == code


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_where_its_names_are(page: str) -> None:
    """What an example imports from elsewhere than `unifetch`, and a page shows, is named there with its module."""
    for file, _, language, code in BLOCK.findall(PAGES[page]):
        if language == "python" and file:
            used = set(re.findall(r"\b\w+\b(?!=)", code))  # http2=True is an argument
            for node in ast.walk(ast.parse((DOCS / "examples" / file).read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unifetch."):
                    for alias in node.names:
                        assert alias.name not in used or str(node.module) in PAGES[page], f"{alias.name} in {file}"


def test_every_section_is_shown() -> None:
    """No section of an example is left over from a page that has changed."""
    shown = {(file, name) for text in PAGES.values() for file, name, _, _ in BLOCK.findall(text)}
    there = {
        (file, name)
        for file, path in EXAMPLES.items()
        for name in re.findall(r"^ *# \[(.+)\]$", path.read_text("utf-8"), re.MULTILINE)
        if name != "end"
    }

    assert there - shown == set()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """A relative link leads to a file, and its fragment to a heading."""
    for target, fragment in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", PAGES[page]):
        path = (DOCS / page).parent / target if target else DOCS / page
        assert path.exists(), f"{page} links to {target}"
        if fragment:
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert fragment in slugs


def test_every_page_is_on_the_map() -> None:
    """The index links to every page; to those of the course by way of its own."""
    linked = set(re.findall(r"\]\(([^)#]+\.md)\)", PAGES["index.md"]))
    linked |= {COURSE + name for name in re.findall(r"\]\(([^)#]+\.md)\)", PAGES["course/index.md"])}

    assert set(PAGES) - {"index.md"} - linked == set()


# Rows are looked up, not read.
@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("how-to/") and "coming-from" not in page])
def test_a_how_to_is_short(page: str) -> None:
    """A page of instructions takes a minute to read."""
    assert len(PAGES[page].splitlines()) <= 60


def test_the_limits_that_are_no_setting() -> None:
    """The page has the numbers of the code."""
    page = PAGES["how-to/limits.md"]

    assert f"- {MAX_FIELDS:,} fields in the head of a response, {MAX_LINE // 1024} KiB for one line, " in page
    assert f"{MAX_HEAD // 1024} KiB in all" in page


def test_the_fields_of_tls() -> None:
    """The table has them all."""
    for field in TLS.__annotations__:
        assert f"`{field}`" in PAGES["how-to/tls.md"]


def test_the_fields_that_are_refused() -> None:
    """The page has the table that the code goes by."""
    rows = [f"| `{name}` | {instead} |" for name, instead in REFUSED.items()]

    assert "\n".join(rows) in PAGES["how-to/header-fields.md"]


PUBLIC = re.compile(r"unifetch(\.(aio|errors|observe|testing|bridges|backends\.base)\b.*)?")
# These two show our own parser, and say so.
OF_THE_PARSER = {"plain_backend.py": "unifetch.wire.", "walking.py": "unifetch.wire"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_imports_what_is_public(name: str) -> None:
    """Nobody is shown an import that may be gone after the next release."""
    modules = set(re.findall(r"^\s*(?:from|import) (unifetch[\w.]*)", EXAMPLES[name].read_text("utf-8"), re.MULTILINE))

    assert [] == [
        module
        for module in sorted(modules)
        if not PUBLIC.fullmatch(module) and not module.startswith(OF_THE_PARSER.get(name, "\0"))
    ]


def test_every_error_has_its_row() -> None:
    """The table of errors has every class that unifetch raises."""
    rows = re.findall(r"^\| `.*?\|.*?\|", PAGES["how-to/errors.md"], re.MULTILINE)
    named = {"UnifetchError", *re.findall(r"`(\w+)`", "".join(rows))}
    classes = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, Exception)]

    assert sorted(named) == sorted(each.__name__ for each in classes)


def test_the_matrix_is_up_to_date() -> None:
    """`docs/matrix.py` would change nothing in the comparison; where this fails, run it."""
    if not all(map(is_installed, BACKENDS)):
        pytest.skip("a library is not installed, so its column is not known")
    matrix = runpy.run_path(str(DOCS / "matrix.py"))

    assert matrix["updated"](PAGES["comparison.md"]) == PAGES["comparison.md"]


def test_the_page_on_mocks_says_what_was_seen() -> None:
    """`docs/mocks.md` is made of `docs/mocks.json`, which `tox -e mocks` writes by running each tool."""
    mocks = runpy.run_path(str(DOCS / "mocks.py"))

    assert mocks["page"](json.loads((DOCS / "mocks.json").read_text("utf-8"))) == PAGES["mocks.md"]


def test_the_matrix_holds_for_both_clients(backend: str) -> None:
    """A backend declares the same for a Client and an AsyncClient, but for what only the latter can have."""
    awaited = backends.load_async(backend)().capabilities

    assert capabilities(backend) == awaited
    assert backends.load(backend)().capabilities == awaited - ASYNC_CAPABILITIES - {Capability.MULTIPLEX}


# --- The examples ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undoes what an example sets for the whole process; one example may import another."""
    monkeypatch.syspath_prepend(DOCS / "examples")
    monkeypatch.setattr(config.PROCESS, "backend", config.PROCESS.backend)
    monkeypatch.setattr(config.PROCESS, "settings", config.PROCESS.settings)
    monkeypatch.setattr(logging.root, "handlers", logging.root.handlers[:])
    monkeypatch.setattr(logging.root, "level", logging.root.level)


@pytest.fixture
def url() -> Iterator[str]:
    """The server of the examples."""
    with load("server.py").serve() as server:
        yield server.url


@pytest.fixture
def refused_url() -> Iterator[str]:
    """Nobody listens there."""
    with refused_port() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def proxy_url() -> Iterator[str]:
    """An HTTP proxy that answers by itself."""

    def answer(request: RecordedRequest) -> bytes:
        return reply(200, f"by proxy: {request.target}".encode())

    with Server(answer) as server:
        yield server.url


@pytest.fixture
def refusing_url() -> Iterator[str]:
    """An HTTP proxy that refuses."""
    with Server(reply(403)) as server:
        yield server.url


@pytest.fixture
def ca_file() -> str:
    """Whose certificates to trust."""
    from servers import certificate_authority

    return str(certificate_authority().ca_file)


@pytest.fixture
def tls_url() -> Iterator[str]:
    """A server over TLS."""
    from servers import certificate_authority

    with Server(tls=certificate_authority().server_context()) as server:
        yield server.url


@pytest.fixture
def unix_socket(tmp_path: Path) -> Iterator[str]:
    """The path of a unix socket that a server listens on."""
    path = str(tmp_path / "s")
    with Server(unix_socket=path):
        yield path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty directory."""
    return tmp_path


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in ("server.py", "conformance_tests.py")])
def test_example(name: str, request: pytest.FixtureRequest) -> None:
    """An example runs against a server on loopback, and its assertions hold; its parameters are fixtures of here."""
    needs = re.search(r"^NEEDS = (\[.*\])$", EXAMPLES[name].read_text("utf-8"), re.MULTILINE)
    for library in re.findall(r'"(\w+)"', needs[1]) if needs else []:
        pytest.importorskip(library, reason=f"the example needs {library}")
    module = load(name)
    parameters = inspect.signature(module.main).parameters
    module.main(**{parameter: request.getfixturevalue(parameter) for parameter in parameters})


def test_the_tests_of_the_sdk(pytester: pytest.Pytester) -> None:
    """The documentation's tests of an SDK pass, by mock, by recording and by sweep, in memory and over sockets."""
    pytest.importorskip("trustme", reason="trustme is not installed, without which https has no server")
    shutil.copytree(EXAMPLES["sdk.py"].parent, pytester.path, dirs_exist_ok=True)
    pytester.makeini("[pytest]\naddopts = -p no:httpbin -p no:cacheprovider -p no:randomly")
    outcomes = pytester.runpytest_subprocess("--unifetch-wire", "testing_sdk.py").parseoutcomes()

    assert {"passed"} == outcomes.keys() - {"warnings"}


class TestTheBackendOfTheExample(conformance.TestBodies, conformance.TestErrors, conformance.TestRedirects):
    """The backend of plain_backend.py keeps the part of the contract that is about what is well-formed."""

    @pytest.fixture
    def backend_factory(self) -> BackendFactory:
        """A backend of the example's class."""
        factory: BackendFactory = load("plain_backend.py").PlainBackend
        return factory


# --- What a page says in a table of its own --------------------------------------------------------


@pytest.mark.parametrize("column", [0, 1])
def test_the_table_of_redirects_is_what_happens(column: int) -> None:
    """What the page on the architecture says of a redirect, within an origin and to another, is what a run shows."""
    other = column == 1
    kept = [redirected("PUT", status, other=other, body=b"hello")[:2] for status in (307, 308)]
    asked = [("POST", 301), ("POST", 302), ("POST", 303), ("PUT", 303), ("DELETE", 303)]
    changed = [redirected(method, status, other=other, body=b"hello")[:2] for method, status in asked]
    own = {"Authorization": "Bearer mine", "X-Mine": "1"}
    fields = redirected("GET", 302, other=other, headers=own, cookies={"a": "1"})[2]
    credentials = ["authorization" in fields, "cookie" in fields]
    credentials.append("authorization" in redirected("GET", 302, other=other, auth=("user", "password"))[2])
    shown = {
        "method and body on 307, 308": "kept" if kept == [("PUT", b"hello")] * 2 else kept,
        "a POST on 301, 302; anything but GET and HEAD on 303": (
            "becomes GET, without its body" if changed == [("GET", b"")] * len(asked) else changed
        ),
        "`Authorization`, cookies of the call, credentials of the client": (
            "kept" if all(credentials) else credentials if any(credentials) else "dropped"
        ),
        # The other origin is another port, which is the same host to a cookie.
        "cookies of the jar": "by their own rules"
        if "cookie" in redirected("GET", 302, other=other, jar=True)[2]
        else "",
        "other header fields": "kept" if fields.get("x-mine") == "1" else "dropped",
    }
    rows = re.findall(r"^\| (\S[^|]*) \| ([^|]+) \| ([^|]+) \|$", PAGES["architecture.md"], re.MULTILINE)
    table = {row[0]: row[1] if row[column + 1] == "the same" else row[column + 1] for row in rows}

    assert table == shown


def redirected(
    method: str, status: int, *, other: bool, jar: bool = False, auth: Any = None, **call: Any
) -> tuple[str, bytes, dict[str, str]]:
    """Method, body and fields of the request that follows a redirect, to this origin or to another."""
    with Server() as elsewhere:
        moved = reply(status, headers={"Location": f"{elsewhere.url if other else ''}/there"})
        with Server({"/": moved, "/set": reply(headers={"Set-Cookie": "j=1"}), "/there": reply()}) as server:
            with Client(backend="socket", auth=auth) as client:
                if jar:
                    client.get(f"{server.url}/set")
                client.request(method, server.url, **call)
            request = (elsewhere if other else server).requests[-1]
    return request.method, request.body, {name.lower(): value for name, value in request.headers}
