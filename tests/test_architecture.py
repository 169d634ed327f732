"""The house rules, checked by reading the imports of every file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import unifetch

PACKAGE = Path(unifetch.__file__).parent
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

# The rooms, each of which may import those before it, and its own. A file that stands in no folder is a room by itself.
LAYERS = [
    {"version", "errors", "masking"},
    {"model"},
    {"backends.base"},  # the contract: what a policy, a wire and a call have in common
    {"policies", "wire", "observe"},
    {"backends"},
    {"client"},
    {"many", "bridges"},
    {"api", "aio"},
    {"__init__"},
    {"testing", "cli"},
    {"__main__"},
]

# A library, and the files that may import it: those of its backend. Some come with what they stand on.
LIBRARIES = {
    "requests": {"backends/requests.py", "bridges/requests.py"},
    "httpx": {"backends/httpx.py", "bridges/httpx.py"},
    "httpcore": {"backends/httpx.py"},
    "httpx2": {"backends/httpx2.py", "bridges/httpx2.py"},
    "httpcore2": {"backends/httpx2.py"},
    "anyio": {"wire/anyio_wire.py", "wire/anyio.py"},
    "urllib3": {"backends/urllib3.py", "backends/requests.py", "bridges/requests.py"},
    "aiohttp": {"backends/aiohttp.py"},
    "multidict": {"backends/aiohttp.py"},
    "yarl": {"backends/aiohttp.py"},
    "h2": {"wire/http2.py"},
    "hpack": {"wire/http2_fields.py", "testing/http2.py"},
    "brotli": {"policies/decoding.py"},
    "brotlicffi": {"policies/decoding.py"},
    "zstandard": {"policies/decoding.py"},
    "backports": {"policies/decoding.py"},
    "publicsuffixlist": {"policies/cookies.py"},
    "opentelemetry": {"observe/opentelemetry.py"},
    "pytest": {path for path in FILES if path.startswith("testing/conformance/")} | {"testing/plugin.py"},
    "trustme": {"testing/on_the_wire.py"},
}

# Here each library is asked by its own call, beside unifetch: that is what it compares.
for library in ("requests", "httpx", "httpx2", "urllib3", "aiohttp"):
    LIBRARIES[library].add("cli/compare.py")

# What a backend may import of what stands beside it, besides `base`: what several of them share.
SHARED = {
    "urllib": {"socket"},
    "urllib3": {"socket.connection"},
    "requests": {"urllib3"},
    "httpx": {"httpx_family"},
    "httpx2": {"httpx_family"},
    "httpx_family": {"httpx_network", "poisoning"},
    "httpx_network": {"poisoning"},
    "asyncio_stream": {"socket.async_connection"},
    "aiohttp": {"asyncio_stream"},
    "in_loop": {"workers"},
    "in_threads": {"workers"},
}

# What decides, and so touches neither a socket nor a thread nor a clock.
PURE = [
    path
    for path in FILES
    if path.startswith("policies/")
    or path in {"client/call.py", "client/steps.py", "backends/poisoning.py", "backends/socket/pool.py"}
    or path in {f"wire/{name}.py" for name in ("http11", "http2", "reader", "socks", "tunnels")}
]


def imports(path: str, *, lazy: bool = True, typing: bool = False) -> Iterator[str]:
    """The modules that a file imports, as absolute names: `unifetch.x` for our own.

    Args:
        path: the file.
        lazy: whether imports inside functions count.
        typing: whether imports for type checkers count.
    """
    parents = (PACKAGE / path).relative_to(PACKAGE.parent).parent.parts
    tree = ast.parse((PACKAGE / path).read_text())

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
                if typing:
                    yield from walk(ast.Module(child.body, []))
                yield from walk(ast.Module(child.orelse, []))
            elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and not lazy:
                continue
            else:
                yield child
                yield from walk(child)

    for node in walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*parents[: len(parents) - node.level + 1], node.module or ""]).strip(".")
            base = base if node.level else (node.module or "")
            for alias in node.names:
                full = f"{base}.{alias.name}"
                is_module = (PACKAGE.parent / full.replace(".", "/")).with_suffix(".py").exists()
                yield full if is_module else base


def layer(name: str) -> int:
    """The number of the layer of one of our modules, named without `unifetch.`."""
    for number, rooms in enumerate(LAYERS):
        if name in rooms:
            return number
    room = name.partition(".")[0] or "__init__"
    return next(number for number, rooms in enumerate(LAYERS) if room in rooms)


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.mark.parametrize("path", FILES)
def test_layers(path: str) -> None:
    """A module imports only what lies below it."""
    mine = layer(module_of(path))
    ours = {
        name.removeprefix("unifetch").removeprefix(".") for name in imports(path) if name.split(".")[0] == "unifetch"
    }
    # `from .version import VERSION` inside the package names the module; `from .. import x` the package.
    above = {name for name in ours if layer(name) > mine}

    assert set() == above


@pytest.mark.parametrize("path", FILES)
def test_libraries_stay_in_their_files(path: str) -> None:
    """A third-party library is imported in its own backend's file and nowhere else."""
    roots = {name.split(".")[0] for name in imports(path)}
    foreign = {name for name in roots - {"unifetch"} if name not in sys.stdlib_module_names}

    assert {name for name in foreign if path in LIBRARIES.get(name, ())} == foreign


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.startswith("backends/") and path != "backends/__init__.py"]
)
def test_backends_do_not_import_each_other(path: str) -> None:
    """A backend imports the vocabulary, `base`, and what its own library stands on."""
    name = module_of(path).removeprefix("backends.")
    shared = {"unifetch.backends.base", *(f"unifetch.backends.{other}" for other in SHARED.get(name, ()))}
    if path.startswith("backends/socket/"):
        shared |= {other for other in imports(path) if other.startswith("unifetch.backends.socket")}
    others = {other for other in imports(path) if other.startswith(("unifetch.backends", "unifetch.policies"))}

    assert set() == others - shared


@pytest.mark.parametrize("path", PURE)
def test_policies_do_no_io(path: str) -> None:
    """Exchange, policies and parsers import neither sockets nor threads nor clocks."""
    forbidden = {"socket", "asyncio", "threading", "time", "select", "selectors"}
    if path != "policies/tls.py":
        forbidden.add("ssl")

    assert set() == forbidden & {name.split(".")[0] for name in imports(path)}


def outline(path: str) -> list[tuple[str, str, list[str]]]:
    """Each method of a file, by its class, with what it takes, in order: in the words of a file that blocks."""
    return [
        (
            kind.name.removeprefix("Async"),
            re.sub("^__a(?=iter|next|enter|exit)", "__", method.name),
            [argument.arg for argument in ast.walk(method.args) if isinstance(argument, ast.arg)],
        )
        for kind in ast.parse((PACKAGE / path).read_text()).body
        if isinstance(kind, ast.ClassDef)
        for method in kind.body
        if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def test_the_two_clients_are_mirrors() -> None:
    """Laid side by side, they have the same classes, and the same methods in the same order, which take the same."""
    assert outline("client/sync_client.py") == outline("client/async_client.py")


def test_the_drivers_of_dialing_are_mirrors() -> None:
    """What connects, blocking or awaited, has the same methods in the same order, which take the same."""

    def dialer(path: str) -> list[tuple[str, list[str]]]:
        return [
            (method, takes)
            for kind, method, takes in outline(path)
            if kind.endswith("Dialer") and not method.startswith("_") and method not in inherited
        ]

    inherited = [method for kind, method, _ in outline("wire/sockets.py") if kind == "SocketDialer"]

    assert {"begin", "close"} == {method for method in inherited if not method.startswith("_")}
    assert dialer("wire/blocking.py") == dialer("wire/asyncio.py") == dialer("wire/anyio.py")


ADAPTERS = ["urllib", "requests", "urllib3", "httpx", "httpx2", "aiohttp", "socket/__init__"]
PARTS = {"resolve", "connect", "TLS", "write", "parse", "pool"}


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_says_what_is_whose(name: str) -> None:
    """Its docstring says of each part of an exchange whether it is ours or the library's, and of none both."""
    text = ast.get_docstring(ast.parse((PACKAGE / f"backends/{name}.py").read_text())) or ""
    found = re.search(r"^Ours: ([^.]*)\. The library's: ([^.]*)", re.sub(r"`[^`]*`", "", text), re.MULTILINE)
    assert found is not None
    ours, theirs = ({part for part in PARTS if re.search(rf"\b{part}\b", each)} for each in found.groups())

    assert (PARTS, set()) == (ours | theirs, ours & theirs)


@pytest.mark.parametrize("name", [*ADAPTERS, "httpx_family"])
def test_adapters_have_one_outline(name: str) -> None:
    """Laid side by side: what it can do, its errors, then the request and the end, each under its banner."""
    text = (PACKAGE / f"backends/{name}.py").read_text()
    chapters = re.findall(r"^    # --- (The request|The end) -", text, re.MULTILINE)
    tables = re.findall(r"^(CAPABILITIES|ERRORS)\b", text, re.MULTILINE)

    assert chapters == ["The request", "The end"] * (len(chapters) // 2)
    assert tables in (["CAPABILITIES", "ERRORS"], ["CAPABILITIES"])  # the family's errors are its libraries'
    assert "ConfigConflict(" not in text or name == "urllib"  # there is one way to refuse: `base.refuse_conflicts`
    # And one to translate what a library raises, by its table; some raise nothing but what is ours.
    assert ("translate(error, " in text) == (name in {"requests", "urllib3", "aiohttp", "httpx_family"})
    assert not re.search(r"def \w*translated", text)


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.startswith(("backends/socket/", "wire/"))],
)
def test_the_socket_backend_stands_on_its_own(path: str) -> None:
    """It is what http.client does underneath, so it does not import it."""
    assert not [name for name in imports(path) if name.startswith(("http", "urllib", "h11"))]


# Names that several classes have, and where: one idea, once for each library.
SHARED_NAMES = {
    "AsyncTransport": {"bridges/httpx.py", "bridges/httpx2.py"},
    "Transport": {"bridges/httpx.py", "bridges/httpx2.py"},
}


def test_a_class_name_has_one_meaning() -> None:
    """No two classes of the package share a name, wherever they stand. (What only tests use, may.)"""
    places: dict[str, set[str]] = {}
    for path in FILES:
        if not path.startswith("testing/"):
            for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name, set()).add(path)

    assert {} == {name: found for name, found in places.items() if len(found) > 1 and found != SHARED_NAMES.get(name)}


def test_the_map_of_the_socket_client() -> None:
    """What the blocking client loads is on the map of its first page, or named beside it; and the map stays small."""
    page = ast.get_docstring(ast.parse((PACKAGE / "backends/socket/__init__.py").read_text())) or ""
    drawn, _, beside = page.partition("Not on this map are")

    def located(text: str) -> set[str]:
        names = {name.rpartition("/")[2] for name in re.findall(r"[\w/]+\.py", text)}
        return {path for path in FILES if path.startswith(("wire/", "backends/socket/")) and Path(path).name in names}

    on_the_map = located(drawn) - {"wire/__init__.py"} | {"backends/socket/__init__.py"}
    loaded, waiting = set(), {"backends/socket/__init__.py"}
    while waiting:
        loaded.add(path := waiting.pop())
        modules = {name.removeprefix("unifetch.").replace(".", "/") for name in imports(path, lazy=False)}
        found = {f"{name}.py" for name in modules if name.startswith(("wire/", "backends/socket/"))}
        waiting |= found - loaded

    assert set() == loaded - on_the_map - located(beside.partition("The smallest walk")[0])
    assert sum(len((PACKAGE / path).read_text().splitlines()) for path in on_the_map) <= 1850


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_a_map_shows_every_room(page: str) -> None:
    """Each folder of the package is on the map, in the order of the layers."""
    rooms = {path.partition("/")[0] for path in FILES if "/" in path}
    shown = re.findall(r"(\w+)/(?=  |`)", (Path(__file__).parent.parent / page).read_text("utf-8"))
    drawn = [room for room in dict.fromkeys(shown) if room in rooms]

    assert rooms == set(drawn)
    assert drawn == sorted(drawn, key=lambda room: next(at for at, layer in enumerate(LAYERS) if room in layer))


EXCEPTION = re.compile(r"# (?:noqa|type: ignore)\b(.*)")


@pytest.mark.parametrize("folder", ["src", "tests", "docs", "bench"])
def test_an_exception_carries_its_reason(folder: str) -> None:
    """Whatever is left out of a check says why: in a comment of its own, or as the reason of the skip."""
    lacking = []
    for path in sorted((Path(__file__).parent.parent / folder).rglob("*.py")):
        text = path.read_text()
        for number, line in enumerate(text.splitlines(), 1):
            if (found := EXCEPTION.search(line)) and "  # " not in found[1]:
                lacking.append(f"{path}:{number}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("pytest."):
                name, named = ast.unparse(node.func), {each.arg for each in node.keywords}
                if name.startswith("pytest.mark.") and name.endswith((".skip", ".skipif", ".xfail")):
                    lacking += [] if "reason" in named else [f"{path}:{node.lineno}"]
                elif name in ("pytest.skip", "pytest.xfail") and not node.args:
                    lacking.append(f"{path}:{node.lineno}")

    assert [] == lacking


def test_file_names_say_something() -> None:
    """No file is a drawer."""
    drawers = {"utils", "util", "helpers", "common", "misc", "compat", "core"}

    assert not [path for path in FILES if drawers.intersection(Path(path).with_suffix("").parts)]


def test_import_is_cheap() -> None:
    """`import unifetch` loads no backend, nothing of third parties, and nothing heavy of the standard library."""
    code = "import sys; before = set(sys.modules); import unifetch; print(*sorted(set(sys.modules) - before))"
    # Without `site`, so that what an environment's own .pth files import does not count.
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); {code}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    heavy = {
        "asyncio",
        "ssl",
        "socket",
        "email",
        "http",
        "json",
        "dataclasses",
        "inspect",
        "typing",
        "urllib",
        "logging",
        "zlib",
    }

    assert set() == heavy.intersection(loaded)
    assert ["unifetch.backends", "unifetch.backends.base"] == [
        name for name in loaded if name.startswith("unifetch.backends")
    ]
    assert {"unifetch"} == {name.split(".")[0] for name in loaded if name.split(".")[0] not in sys.stdlib_module_names}
