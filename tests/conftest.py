"""What holds for every test: nothing leaves loopback, and nothing of the user's environment gets in."""

from __future__ import annotations

import contextlib
import copyreg
import gc
import os
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from unifetch.backends import BACKENDS, is_installed
from unifetch.client import config
from unifetch.client.settings import Settings

pytest_plugins = ["pytester"]

# Hypothesis finds the same examples each time, and judges none by its time.
settings.register_profile("unifetch", derandomize=True, deadline=None)
settings.load_profile("unifetch")

# What unifetch or a library underneath would read: proxies, certificates, credentials, the choice of a backend, the
# mode of cassettes, the width and the colours of a terminal.
VARIABLES = {
    "ALL_PROXY",
    "CI",
    "COLORFGBG",
    "COLUMNS",
    "CURL_CA_BUNDLE",
    "FORCE_COLOR",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LINES",
    "NETRC",
    "NO_COLOR",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "REQUEST_METHOD",
    "SSLKEYLOGFILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "UNIFETCH_BACKEND",
    "UNIFETCH_CASSETTE",
}
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def pytest_configure() -> None:
    """Clear the variables before anything is imported that might keep them; child processes inherit that."""
    for name in list(os.environ):
        if name.upper() in VARIABLES:
            del os.environ[name]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Hide the tests from the garbage collector: it would walk thousands, each time that one of them asks it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _nothing_beyond_loopback() -> Iterator[None]:
    """A connection to, or a look-up of, anything but loopback fails the test, whatever the code under test catches."""

    def guarded_connect(sock: socket.socket, address: Any) -> None:
        _check(sock, address)
        try:
            connect(sock, address)
        finally:
            _remember(sock)

    def guarded_connect_ex(sock: socket.socket, address: Any) -> int:
        _check(sock, address)
        outcome = connect_ex(sock, address)
        _remember(sock)
        return outcome

    def guarded_getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode("ascii") if isinstance(host, bytes) else host
        if name is None or name in LOOPBACK or _is_loopback(name):
            return getaddrinfo(host, *args, **options)
        # RFC 6761 §6.2 and §6.4: these names never have an address; a resolver would have to be asked to say so.
        if name.rstrip(".").rpartition(".")[2] in ("invalid", "test"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        pytest.fail(f"a test wanted to look up {name!r}; only loopback, .invalid and .test are allowed")

    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


def _check(sock: socket.socket, address: Any) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6) and not (address[0] in LOOPBACK or _is_loopback(address[0])):
        pytest.fail(f"a test wanted to connect to {address[0]!r}; only loopback is allowed")


def _is_loopback(host: str) -> bool:
    return host.startswith("127.")


# --- What is left to the garbage collector --------------------------------------------------------

_OPENED: dict[str, str] = {}  # which test has connected from a port
_LEFT: list[str] = []


def _remember(sock: socket.socket) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            _OPENED[str(sock.getsockname()[1])] = os.environ.get("PYTEST_CURRENT_TEST", "no test")


@pytest.fixture(scope="session", autouse=True)
def _who_has_left_it() -> Iterator[None]:
    """Of a connection that nobody closed, know which test opened it: the collector may come much later."""

    def tell(unraisable: Any) -> None:
        told = re.search(r"laddr=\(\S+, (\d+)", str(unraisable.exc_value))
        if told is not None:
            _LEFT.append(_OPENED.get(told[1], "nobody known"))
        hook(unraisable)

    hook = sys.unraisablehook
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", tell)
        yield


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # a process of pytest-xdist
        session.config.workeroutput["left"] = _LEFT


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _LEFT.extend(getattr(node, "workeroutput", {}).get("left", ()))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for each in _LEFT:
        terminalreporter.write_line(f"left to the garbage collector: a connection of {each}")


# --- What tests have ------------------------------------------------------------------------------


@pytest.fixture(params=list(BACKENDS))
def backend(request: pytest.FixtureRequest) -> str:
    """The name of each backend of the table in turn; skips those whose library is not installed."""
    name: str = request.param
    if not is_installed(name):
        pytest.skip(f"the library of {name} is not installed")
    return name


@pytest.fixture
def process() -> Iterator[None]:
    """Undoes what a test does with `configure`."""
    config.PROCESS.backend, config.PROCESS.settings = None, Settings()
    yield
    config.PROCESS.backend, config.PROCESS.settings = None, Settings()


@pytest.fixture(scope="session")
def dask() -> Iterator[Any]:
    """The client of a cluster of two workers, each a process, on loopback."""
    # Once it is imported, every error of this process would be pickled with its causes: not what other tests are about.
    reducers = copyreg.dispatch_table.copy()
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(reducers)
    # Any free port for its own pages: without an address it takes 8787, and warns if another cluster has that.
    here: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2, **here) as cluster:
        with distributed.Client(cluster) as client:
            yield client
