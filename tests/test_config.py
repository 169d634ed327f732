"""Which backend carries a request: who decides, what may be named, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import unifetch
from unifetch import (
    BackendNotInstalled,
    Capability,
    Client,
    ConfigConflict,
    ConfigError,
    Headers,
    InvalidSetting,
    ReadTimeout,
    TimedOut,
    Timeout,
    TotalTimeout,
    UnknownBackend,
    UnsupportedCapability,
    available_backends,
    configure,
    use_backend,
)
from unifetch.backends import BACKENDS, how_to_install, is_installed, load, with_capability
from unifetch.client.config import chosen_backend
from unifetch.model.messages import RawRequest, RawResponse
from unifetch.testing import Server, reply

PROGRAM = [sys.executable, "-W", "error", "-c"]
SOURCE = str(Path(unifetch.__file__).parent.parent)


class Stub:
    """A backend of somebody else's: it answers with its own name."""

    contract = 1
    capabilities = frozenset({Capability.KEEP_ALIVE})
    native = None

    def __init__(self, name: str = "stub") -> None:
        self.name = name
        self.closed = False

    def send(self, request: RawRequest) -> RawResponse:
        return RawResponse(200, "OK", "HTTP/1.1", Headers(), iter([self.name.encode()]), lambda: None)

    def close(self) -> None:
        self.closed = True


def carrier(client: Client | None = None, **call: Any) -> str:
    """The name of the backend that carries a request now."""
    ask = unifetch.get if client is None else client.get
    return ask("http://h/", **call).text


def run(program: str, **environment: str) -> str:
    """What another process prints."""
    path = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [*PROGRAM, program], env={**os.environ, "PYTHONPATH": path, **environment}, capture_output=True, text=True
    )

    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


@pytest.fixture(autouse=True)
def _process(process: None) -> None:
    """Each test begins and ends without what `configure` sets."""


# --- Who decides ----------------------------------------------------------------------------------


def test_cookies_are_no_setting_of_the_process() -> None:
    """The error says who keeps them."""
    with pytest.raises(InvalidSetting, match=r"cookies: a client of its own keeps them: Client\(cookies=…\)"):
        configure(cookies={})  # type: ignore[call-arg]  # that it is wrong is what is tested


def test_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call, client, `use_backend`, `configure`, environment, default: the nearest counts."""
    everyone = [Client(backend=Stub("client"))]
    monkeypatch.setenv("UNIFETCH_BACKEND", "environment")
    configure(backend=Stub("configure"))
    with everyone[0] as client, use_backend(Stub("context")):
        assert "call" == carrier(client, backend=Stub("call"))
        assert "client" == carrier(client)
        assert "context" == carrier()
    assert "configure" == carrier()
    assert "configure" == carrier(Client())


def test_environment_and_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read when it counts, not when the package is imported."""
    assert ("urllib", "the default") == chosen_backend()
    monkeypatch.setenv("UNIFETCH_BACKEND", "socket")
    assert ("socket", "UNIFETCH_BACKEND") == chosen_backend()
    with Client() as client:
        assert "socket" == client.backend.name
        monkeypatch.setenv("UNIFETCH_BACKEND", "")
        assert "urllib" == client.backend.name
    configure(backend="httpx")
    assert ("httpx", "configure") == chosen_backend()
    with use_backend("requests"):
        assert ("requests", "use_backend") == chosen_backend()


def test_environment_in_a_process_of_its_own() -> None:
    """As an operator sets it."""
    program = "from unifetch.client.config import chosen_backend; print(*chosen_backend())"

    assert "socket UNIFETCH_BACKEND\n" == run(program, UNIFETCH_BACKEND="socket")
    assert "urllib the default\n" == run(program)


def test_not_by_what_is_installed() -> None:
    """However many libraries there are, the default is the one that everybody has."""
    assert "urllib" == unifetch.Client().backend.name


def test_clients_follow_while_they_name_none() -> None:
    """A client without a backend asks anew at each call; one that names it does not."""
    with Client() as follows, Client(backend="socket") as names:
        with use_backend(Stub("a")):
            assert ("a", "socket") == (carrier(follows), names.backend.name)
        with use_backend(Stub("b")):
            assert "b" == carrier(follows)


def test_configure_adds_up() -> None:
    """Another setting leaves the backend as it is."""
    configure(backend=Stub("configure"))
    configure(timeout=5)

    assert "configure" == carrier()


# --- A timeout of the call's own ------------------------------------------------------------------


class Noting(Stub):
    """It notes the timeouts that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Timeout] = []

    def send(self, request: RawRequest) -> RawResponse:
        self.given.append(request.timeout)
        return super().send(request)


def test_a_timeout_is_for_its_call_alone() -> None:
    """What is kept of a call for the next one, which mostly says the same, is never taken for another's."""
    backend = Noting()
    client = Client(backend, timeout={"connect": 1})
    changed = client.with_(timeout={"connect": 2})
    for each in (client, client, changed, client):
        each.get("http://h/", timeout=5)
    client.get("http://h/", timeout=6.5)
    client.get("http://h/", timeout=Timeout(7))
    client.get("http://h/", timeout={"read": 8})
    client.get("http://h/")
    client.get("http://h/", timeout=5, redirects=0)
    five = Timeout(5, connect=1, read=5, write=5, pool=5)

    expected = [five, five, five.replace(connect=2), five]
    expected += [five.replace(total=6.5, read=6.5, write=6.5, pool=6.5), Timeout(7)]
    assert [*expected, Timeout(connect=1, read=8), Timeout(connect=1), five] == backend.given


def test_a_stream_has_no_total_but_the_call_s_own() -> None:
    """Its phases are the client's, as they are now."""
    backend = Noting()
    client = Client(backend)
    calls: list[dict[str, Any]] = [{}, {"timeout": 5}, {}, {"timeout": {"read": 8}}]
    for call in calls:
        with client.stream("GET", "http://h/", **call):
            pass
    configure(timeout={"connect": 3})
    for call in calls[:2]:
        with client.stream("GET", "http://h/", **call):
            pass
        client.exchange("GET", "http://h/", **call).close()
    five, now = Timeout(5, read=5, write=5, pool=5), Timeout(None, connect=3)

    assert [Timeout(None), five, Timeout(None), Timeout(None, read=8)] == backend.given[:4]
    assert [now, now, five.replace(connect=3), five.replace(connect=3)] == backend.given[4:]


@pytest.mark.parametrize("first", [1, 1.0, Timeout(1)])
def test_what_is_no_timeout_is_refused_after_its_like(first: Any) -> None:
    """True equals 1, and is a mistake."""
    client = Client(Noting())
    client.get("http://h/", timeout=first)

    with pytest.raises(InvalidSetting, match="not bool"):
        client.get("http://h/", timeout=True)


def test_a_timeout_of_a_call_goes_with_what_configure_says_now() -> None:
    """The client, its call, and the process have changed in between; so has the backend."""
    first, second = Noting(), Noting()
    client = Client()
    configure(backend=first)
    client.get("http://h/", timeout=5)
    configure(timeout={"connect": 3})
    client.get("http://h/", timeout=5)
    with use_backend(second):
        client.get("http://h/", timeout=5)

    assert [10, 3] == [timeout.connect for timeout in first.given]
    assert [Timeout(5, connect=3, read=5, write=5, pool=5)] == second.given


def test_a_timeout_of_a_call_goes_with_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is named between two equal calls is noticed by the second."""
    configure(backend=Stub())
    unifetch.get("http://h/", timeout=5)
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:1")

    with pytest.raises(UnsupportedCapability, match=r"proxy\.invalid"):
        unifetch.get("http://h/", timeout=5)


class Late(Stub):
    """No response comes in time, by its own word."""

    def send(self, request: RawRequest) -> RawResponse:
        raise ReadTimeout("no response came in time", request_sent="yes")


@pytest.mark.parametrize(("total", "expected"), [(0.005, TotalTimeout), (60, ReadTimeout)])
def test_a_wait_that_the_deadline_cuts_short_and_that_ends_a_little_early(total: float, expected: type) -> None:
    """The system counts in ticks, and may end a wait a few milliseconds before the deadline that has bounded it."""
    with pytest.raises(TimedOut) as caught:
        Client(Late()).get("http://h/", timeout=total)

    assert expected is type(caught.value)


class Planned(Noting):
    """Something happens while a call is being planned, as by another thread."""

    meanwhile: Callable[[], object] | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:  # type: ignore[override]  # a property in place of an attribute
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return frozenset(Capability) - {Capability.NATIVE_ASYNC}


@pytest.mark.parametrize("call", [{}, {"timeout": 5}, {"timeout": 5, "redirects": 0}])
@pytest.mark.parametrize("whole", [True, False], ids=["get", "exchange"])
def test_what_changes_while_a_call_is_planned_holds_for_the_next(call: dict[str, Any], whole: bool) -> None:
    """The settings that the first went by are not kept as those of now."""
    if not whole:
        call = {name: value for name, value in call.items() if name == "timeout"}
    backend = Planned()
    client = Client(backend, forbid_private=True)
    backend.meanwhile = lambda: configure(timeout={"connect": 1})
    for _ in range(3):
        if whole:
            client.get("http://h/", **call)
        else:
            client.exchange("GET", "http://h/", **call).close()

    assert [10, 1, 1] == [timeout.connect for timeout in backend.given]


def test_a_proxy_that_is_named_while_a_call_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call goes by it, though the first is planned to its end after it was noticed."""
    backend = Planned()
    seen: list[object] = []
    backend.send = lambda raw: seen.append(raw.route.proxy) or Stub.send(backend, raw)  # type: ignore[method-assign, func-returns-value]  # a spy
    configure(backend=backend, forbid_private=True)

    def meanwhile() -> None:
        monkeypatch.setenv("http_proxy", "http://proxy.invalid:1")
        unifetch.get("http://h/", timeout=5)

    backend.meanwhile = meanwhile
    for _ in range(2):
        unifetch.get("http://h/", timeout=5)

    assert [False, True, False] == [proxy is None for proxy in seen]


@pytest.mark.parametrize("call", [{"timeout": 5}, {}])
def test_nothing_of_a_call_is_kept_beyond_its_use(call: dict[str, Any]) -> None:
    """Neither a backend that was given for it alone, nor that of a client that is closed."""
    for_one, client = Stub("one"), Client(Stub("all"))
    theirs = [weakref.ref(for_one), weakref.ref(client.backend)]
    client.get("http://h/", backend=for_one, **call)
    client.exchange("GET", "http://h/", backend=for_one).close()
    del for_one
    gc.collect()
    assert theirs[0]() is None

    client.get("http://h/", **call)
    client.exchange("GET", "http://h/").close()
    client.close()

    assert (None, None, None, None) == (client._plan, client._settled, client._timed, client._exact)


# --- use_backend stays where it is ----------------------------------------------------------------


def test_blocks_nest() -> None:
    """The inner one counts, the outer one comes back, also after an error."""
    with use_backend(Stub("outer")):
        with contextlib.suppress(LookupError), use_backend(Stub("inner")):
            assert "inner" == carrier()
            raise LookupError
        assert "outer" == carrier()
    assert "the default" == chosen_backend()[1]


def test_threads() -> None:
    """A block in one thread says nothing to another."""
    seen: dict[str, str] = {}
    both = threading.Barrier(2, timeout=20)

    def ask(name: str) -> None:
        with use_backend(Stub(name)):
            both.wait()
            seen[name] = carrier()
            both.wait()

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("one", "two")]
    with use_backend(Stub("main")):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert "main" == carrier()

    assert {"one": "one", "two": "two"} == seen


def test_a_new_thread_starts_without_it() -> None:
    """It belongs to the thread that opened the block, not to those that are started there."""
    seen: list[str] = []
    with use_backend(Stub("main")):
        thread = threading.Thread(target=lambda: seen.append(chosen_backend()[1]))
        thread.start()
        thread.join()

    assert seen in (["the default"], ["use_backend"])  # the second where threads inherit the context (Python 3.14t)


def test_tasks() -> None:
    """A block in one task says nothing to another; a task begins with what is around it."""
    seen: dict[str, list[str]] = {}

    async def ask(name: str) -> None:
        seen[name] = [carrier()]
        with use_backend(Stub(name)):
            await asyncio.sleep(0)
            seen[name].append(carrier())
            await asyncio.sleep(0)
        seen[name].append(carrier())

    async def both() -> None:
        with use_backend(Stub("around")):
            await asyncio.gather(ask("one"), ask("two"))
            assert "around" == carrier()

    asyncio.run(both())

    assert {name: ["around", name, "around"] for name in ("one", "two")} == seen


def test_generators() -> None:
    """A block inside a generator ends with it, and is not undone before."""

    def numbers() -> Iterator[str]:
        with use_backend(Stub("generator")):
            yield carrier()

    steps = numbers()
    assert "generator" == next(steps)
    assert [] == list(steps)
    assert "the default" == chosen_backend()[1]


# --- What may be named ----------------------------------------------------------------------------


def test_by_name(backend: str) -> None:
    """Every name of the table gives the backend of that name, and its adapter says the same capabilities."""
    with Client(backend=backend) as client:
        assert (backend, 1) == (client.backend.name, client.backend.contract)
        assert client.backend.capabilities <= frozenset(Capability)


@pytest.mark.parametrize("name", ["nowhere", "URLLIB", "urllib ", "unifetch.backends.urllib", "../urllib", "urllib\n"])
def test_unknown_name(name: str) -> None:
    """It is an error that lists the known ones, in their order; nothing is guessed."""
    known = ", ".join(BACKENDS)
    with Client(backend=name) as client, pytest.raises(UnknownBackend) as caught:
        client.get("http://h.invalid/")

    assert str(caught.value).startswith(f"unknown backend {name!r}; known are {known}")
    assert "no" == caught.value.request_sent


@pytest.mark.parametrize("make", [lambda name: configure(backend=name), lambda name: use_backend(name).__enter__()])
def test_empty_name(make: Any) -> None:
    """Nothing is no name."""
    with pytest.raises(InvalidSetting, match=r"^backend: must not be an empty name"):
        make("")


@pytest.mark.parametrize("wrong", [5, True, b"urllib", ["urllib"], object(), lambda: None])
def test_what_is_no_backend(wrong: Any) -> None:
    """The message says what would be one, wherever it is named."""
    message = "^backend: must be a name, a Backend, or one of requests.sessions.Session, httpx.Client, "
    for make in (
        lambda: Client(backend=wrong),
        lambda: Client().get("http://h.invalid/", backend=wrong),
        lambda: configure(backend=wrong),
        lambda: use_backend(wrong).__enter__(),
    ):
        with pytest.raises(InvalidSetting, match=message):
            make()


def test_a_backend_class() -> None:
    """The class is not an object of it: it is refused where it is given, not at the first call."""
    with pytest.raises(InvalidSetting, match=r"^backend: must be a name, a Backend, "):
        Client(backend=Stub)


def test_a_backend_object() -> None:
    """One is used as it is, and stays its owner's to close."""
    backend = Stub()
    with Client(backend=backend) as client:
        assert backend is client.backend
        assert ("stub", "stub") == (carrier(client), client.get("http://h/").backend)

    assert not backend.closed


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_contract(version: Any) -> None:
    """A backend that was written for another version of the contract is refused, and the versions are named."""
    backend = Stub()
    backend.contract = version

    with pytest.raises(ConfigError, match=f"version {version!r} of the contract; this is 1"):
        Client(backend=backend)


# --- Libraries that are missing -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["requests", "httpx", "httpx2", "urllib3"])
def test_missing_library(name: str) -> None:
    """The error names the library and the extra that installs it; the others go on."""
    program = f"""
import sys
class Missing:
    def find_spec(self, wanted, path=None, target=None):
        if wanted.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(wanted, name=wanted)
sys.meta_path.insert(0, Missing())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda wanted, package=None: None if wanted == {name!r} else find_spec(wanted, package)

from unifetch import BackendNotInstalled, Client, available_backends
print({name!r} in available_backends(), Client().backend.name)
try:
    Client().get("http://h.invalid/", backend={name!r})
except BackendNotInstalled as error:
    print(isinstance(error, ImportError), error)
"""

    assert (
        "False urllib\nTrue "
        f"backend {name!r} needs the library {name}, which is not installed: pip install 'unifetch-http[{name}]'\n"
    ) == run(program)


@pytest.mark.parametrize("name", ["requests", "httpx", "httpx2", "urllib3"])
def test_missing_library_by_a_hole_in_the_modules(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sys.modules[name] = None`, the usual way to play at it, is understood as well."""
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"unifetch.backends.{name}", raising=False)

    assert (False, "urllib") == (name in available_backends(), Client().backend.name)
    with pytest.raises(BackendNotInstalled, match=name):
        load(name)


def test_broken_library(tmp_path: Path) -> None:
    """One that is there and fails to import says so itself: reinstalling it would not help."""
    (tmp_path / "requests.py").write_text("raise ImportError('my own trouble')", "utf-8")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from unifetch import BackendNotInstalled, Client
try:
    Client(backend="requests").get("http://h.invalid/")
except ImportError as error:
    print(isinstance(error, BackendNotInstalled), error)
"""

    assert "False my own trouble\n" == run(program)


def test_available_backends() -> None:
    """The names whose libraries are there, in the order of the table; urllib always is."""
    names = available_backends()

    assert names == tuple(name for name in BACKENDS if is_installed(name))
    assert {"urllib", "socket"} <= set(names)


# --- Native objects -------------------------------------------------------------------------------

NATIVE = {
    "requests": ("requests", "Session"),
    "httpx": ("httpx", "Client"),
    "httpx2": ("httpx2", "Client"),
    "urllib3": ("urllib3", "PoolManager"),
}


@pytest.fixture(params=NATIVE)
def native(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """A backend's name, and an object of the type that is recognised as its own."""
    module, kind = NATIVE[request.param]
    made = getattr(pytest.importorskip(module, reason=f"{module} is not installed"), kind)()
    yield request.param, made
    _close(made)


def _close(native: Any) -> None:
    (native.clear if hasattr(native, "connection_pool_kw") else native.close)()


def test_native(native: tuple[str, Any]) -> None:
    """It is recognised by its type, used, reported as `native`, and not closed."""
    name, theirs = native
    with Server(reply(body=b"hello")) as server:
        with Client(backend=theirs) as client:
            assert (name, b"hello") == (client.backend.name, client.get(server.url).body)
            assert theirs is client.backend.native
        # Still usable, by us and by its owner.
        assert b"hello" == unifetch.get(server.url, backend=theirs).body
        answer = theirs.request("GET", server.url)
        assert b"hello" == (answer.data if name == "urllib3" else answer.content)


def test_native_of_a_subclass(native: tuple[str, Any]) -> None:
    """So is an object whose type derives from it."""
    name, theirs = native

    class Own(type(theirs)):  # type: ignore[misc]  # a type of the parameter
        pass

    own = Own()
    with Client(backend=own) as client:
        assert (name, own) == (client.backend.name, client.backend.native)
    _close(own)


def test_native_for_one_call_and_for_a_block(native: tuple[str, Any]) -> None:
    """Wherever a name may stand, it may."""
    name, theirs = native
    with Server() as server, Client() as client:
        assert name == client.get(server.url, backend=theirs).backend
        with use_backend(theirs):
            assert [name, name] == [client.get(server.url).backend, unifetch.get(server.url).backend]
        configure(backend=theirs)
        assert name == client.get(server.url).backend


def test_native_is_recognised_without_importing_the_others() -> None:
    """Looking at an object of one library imports no other, and asking for one imports only that."""
    pytest.importorskip("httpx", reason="httpx is not installed")
    program = """
import sys, httpx, unifetch
before = {"requests", "urllib3", "httpx2", "aiohttp"} & set(sys.modules)
with httpx.Client() as native:
    unifetch.Client(backend=native)
print(({"requests", "urllib3", "httpx2", "aiohttp"} & set(sys.modules)) - before)
"""

    assert "set()\n" == run(program)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_native_client_that_is_closed(library: str) -> None:
    """Nothing is sent, and the error is ours and says so."""
    native = pytest.importorskip(library).Client()
    native.close()
    with Server() as server, Client(backend=native) as client:
        with pytest.raises(InvalidSetting, match=rf"this {library}\.Client is closed") as caught:
            client.get(server.url)

        assert ("no", 0) == (caught.value.request_sent, server.connections)


def test_native_client_does_not_pickle() -> None:
    """A connection cannot travel, and what it would be replaced with is not guessed."""
    requests = pytest.importorskip("requests", reason="requests is not installed")
    import pickle

    with requests.Session() as session, pytest.raises(TypeError, match="native object"):
        pickle.dumps(Client(backend=session))


def _with(native: Any, name: str, setting: Any) -> Any:
    setattr(native, name, setting)
    return native


def _session(name: str, setting: Any) -> Any:
    import requests

    return _with(requests.Session(), name, setting)


def _mounted() -> Any:
    import requests

    session = requests.Session()
    session.mount("https://", requests.adapters.HTTPAdapter(max_retries=3))
    return session


def _httpx(library: str, **settings: Any) -> Any:
    return import_module(library).Client(**settings)


def _manager(**settings: Any) -> Any:
    import urllib3

    return urllib3.PoolManager(**settings)


def _proxy_manager() -> Any:
    import urllib3

    return urllib3.ProxyManager("http://127.0.0.1:1")


CONFLICTS: list[tuple[str, str, Any]] = [
    ("requests", "auth", lambda: _session("auth", ("user", "hunter2"))),
    ("requests", "cookies", lambda: _session("cookies", {"a": "hunter2"})),
    ("requests", "hooks", lambda: _session("hooks", {"response": [print]})),
    ("requests", "params", lambda: _session("params", {"key": "hunter2"})),
    ("requests", "proxies", lambda: _session("proxies", {"http": "http://user:hunter2@127.0.0.1:1"})),
    ("requests", "headers", lambda: _session("headers", {"Authorization": "hunter2"})),
    ("requests", "max_retries", _mounted),
    ("urllib3", "headers", lambda: _manager(headers={"Authorization": "hunter2"})),
    ("urllib3", "retries", lambda: _manager(retries=3)),
    ("urllib3", "timeout", lambda: _manager(timeout=3)),
    ("urllib3", "proxy", _proxy_manager),
    *(
        (library, attribute, lambda library=library, settings=settings: _httpx(library, **settings))
        for library in ("httpx", "httpx2")
        for attribute, settings in {
            "auth": {"auth": ("user", "hunter2")},
            "cookies": {"cookies": {"a": "hunter2"}},
            "event_hooks": {"event_hooks": {"request": [print]}},
            "params": {"params": {"key": "hunter2"}},
            "base_url": {"base_url": "http://h/"},
            "headers": {"headers": {"Authorization": "hunter2"}},
        }.items()
    ),
]  # fmt: skip


@pytest.mark.parametrize(("library", "attribute", "make"), CONFLICTS, ids=[f"{row[0]}-{row[1]}" for row in CONFLICTS])
def test_conflict(library: str, attribute: str, make: Any) -> None:
    """What an injected object carries and we would drop is refused, by its name and without its value."""
    pytest.importorskip(library, reason=f"{library} is not installed")
    native = make()

    with pytest.raises(ConfigConflict, match=attribute) as caught:
        Client(backend=native)
    assert "hunter2" not in str(caught.value)
    with Client() as client, pytest.raises(ConfigConflict, match=attribute):
        client.get("http://h.invalid/", backend=native)
    for block in (configure, lambda backend: use_backend(backend).__enter__()):
        with pytest.raises(ConfigConflict, match=attribute):
            block(backend=native)
    _close(native)


def test_what_a_native_object_may_carry(native: tuple[str, Any]) -> None:
    """What we receive through it does not turn against it: it may be injected again."""
    name, theirs = native
    with Server(reply(headers={"Set-Cookie": "a=1; Path=/"})) as server:
        for _ in range(3):
            assert name == unifetch.get(server.url, backend=theirs).backend

        assert [None] * 3 == [request.header("cookie") for request in server.requests]


def test_urllib_takes_no_native_object() -> None:
    """An opener is nothing but handlers that would be lost."""
    import urllib.request

    with pytest.raises((ConfigConflict, InvalidSetting)):
        Client(backend=urllib.request.build_opener())


# --- Capabilities ---------------------------------------------------------------------------------


def test_unsupported_capability(native: tuple[str, Any]) -> None:
    """TLS settings that an injected object would not honour are refused before anything is sent, naming who would."""
    able = ", ".join(with_capability(Capability.TLS_CONTEXT))
    with Server() as server:
        for call in ({"tls": False}, {"tls": {"ca_file": "/ca.pem"}}):
            with Client(backend=native[1]) as client, pytest.raises(UnsupportedCapability) as caught:
                client.get(server.url, **call)
            assert str(caught.value).startswith(("tls needs TLS_CONTEXT, ", "tls= needs TLS_CONTEXT, "))
            assert f"; it is in {able}" in str(caught.value)
        with Client(backend=native[1], tls=False) as client, pytest.raises(UnsupportedCapability):
            client.get(server.url)

        assert 0 == server.connections


@pytest.mark.parametrize("call", [{"http2": True}, {"http2": "only"}, {"tls": {"alpn": ["h2", "http/1.1"]}}])
def test_http2_is_not_for_every_backend(call: dict[str, Any]) -> None:
    """Who cannot speak it does not offer it: the server would take the offer."""
    with Server() as server, Client(backend="urllib") as client:
        with pytest.raises(UnsupportedCapability) as caught:
            client.get(server.url, **call)

        assert "needs HTTP2" in str(caught.value)
        assert 0 == server.connections


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with a proxy, which nobody can reach."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:1")
    return monkeypatch


def test_a_proxy_of_the_environment_is_not_ignored(native: tuple[str, Any], proxied: pytest.MonkeyPatch) -> None:
    """An injected object goes through none: what the environment says is not dropped, but refused, with the way out."""
    with Server() as server, Client(backend=native[1]) as client:
        with pytest.raises(UnsupportedCapability) as caught:
            client.get(server.url)

        assert ("no", 0) == (caught.value.request_sent, server.connections)
        for part in ("http_proxy", "http://127.0.0.1:1 for 127.0.0.1", repr(native[0]), "PROXY", "proxy=None"):
            assert part in str(caught.value)
        assert "secret" not in str(caught.value)


def test_a_proxy_of_the_environment_that_is_not_wanted(native: tuple[str, Any], proxied: pytest.MonkeyPatch) -> None:
    """Said in the call, for the client or for the process, `proxy=None` connects directly."""
    with Server() as server:
        with Client(backend=native[1]) as client, Client(backend=native[1], proxy=None) as direct:
            statuses = [client.get(server.url, proxy=None).status, direct.get(server.url).status]
            unifetch.configure(proxy=None)
            statuses.append(client.get(server.url).status)

        assert [200] * 3 == statuses


def test_a_proxy_of_the_environment_that_is_not_for_this_url(
    native: tuple[str, Any], proxied: pytest.MonkeyPatch
) -> None:
    """A host that NO_PROXY exempts is reached; one that a redirect leads to, and that it does not exempt, is not."""
    away = reply(302, b"", {"Location": "http://elsewhere.test/"})
    proxied.setenv("no_proxy", "127.0.0.1")
    with Server({"/": reply(200), "/away": away}) as server, Client(backend=native[1]) as client:
        assert 200 == client.get(server.url).status
        with pytest.raises(UnsupportedCapability, match=r"for elsewhere\.test"):
            client.get(f"{server.url}/away")


def test_with_capability() -> None:
    """Every installed backend uses the context that it is handed."""
    assert list(available_backends()) == with_capability(Capability.TLS_CONTEXT)


# --- Backends of others ---------------------------------------------------------------------------

PLUGIN = """
from unifetch import Headers
from unifetch.model.messages import RawResponse

class Plugin:
    name = "plugin"
    contract = 1
    capabilities = frozenset()
    native = None

    def send(self, request):
        return RawResponse(200, "OK", "HTTP/1.1", Headers(), iter([b"from the plugin"]), lambda: None)

    def close(self):
        pass
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A folder as an installer leaves it: a module and what its distribution declares."""
    (tmp_path / "their_plugin.py").write_text(PLUGIN, "utf-8")
    info = tmp_path / "their_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-plugin\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(
        "[unifetch.backends]\nplugin = their_plugin:Plugin\nurllib = their_plugin:Plugin\nbroken = their_plugin:No\n",
        "utf-8",
    )
    return tmp_path


def test_entry_point(plugins: Path) -> None:
    """A backend that a distribution declares has a name like ours, and no name of ours."""
    program = f"""
import sys
sys.path.append({str(plugins)!r})
from unifetch import Client, UnknownBackend, get
print(get("http://h/", backend="plugin").text, get("http://h/", backend="plugin").backend)
print(Client(backend="urllib").backend.__class__.__module__)
try:
    get("http://h/", backend="other")
except UnknownBackend as error:
    print("plugin" in str(error))
"""

    assert "from the plugin plugin\nunifetch.backends.urllib\nTrue\n" == run(program)


def test_entry_points_are_listed(plugins: Path) -> None:
    """Among those that are there, by the function and by the command line, which also shows what one can do."""
    program = f"""
import sys
sys.path.append({str(plugins)!r})
from unifetch import available_backends
from unifetch.cli.main import main
print([name for name in available_backends() if name in ("urllib", "plugin", "broken")])
print(main(["backends"]))
"""
    listed = run(program).splitlines()

    assert "['urllib', 'plugin', 'broken']" == listed[0]
    assert "0" == listed[-1]
    assert 1 == len([line for line in listed if line.split()[:2] == ["plugin", "of"]])
    assert 1 == len([line for line in listed if line.split()[:2] == ["broken", "broken:"]])


def test_entry_point_by_the_environment(plugins: Path) -> None:
    """An operator may choose it as well."""
    program = f"import sys; sys.path.append({str(plugins)!r}); import unifetch; print(unifetch.get('http://h/').text)"

    assert "from the plugin\n" == run(program, UNIFETCH_BACKEND="plugin")


def test_entry_points_are_not_scanned_for_our_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """That would cost milliseconds."""
    import importlib.metadata

    def scan(**_: object) -> None:
        raise AssertionError("scanned")

    ours = [name for name in available_backends() if name in BACKENDS]
    monkeypatch.setattr(importlib.metadata, "entry_points", scan)
    for name in ours:
        load(name)


def test_how_to_install() -> None:
    """By the extra of our own distribution."""
    assert "pip install 'unifetch-http[httpx]'" == how_to_install("httpx")
