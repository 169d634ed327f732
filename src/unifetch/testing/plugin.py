"""The pytest plugin: fixtures that are strict by themselves, and `--unifetch-wire`.

It is registered by an entry point, so it is there wherever pytest and unifetch are installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .cassette import Cassette
    from .faults import Faults
    from .mock import Mock
    from .server import Server

# A failing assertion of the conformance classes shows its values.
pytest.register_assert_rewrite("unifetch.testing.conformance")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--unifetch-wire` and `--unifetch-cassette`."""
    group = parser.getgroup("unifetch")
    group.addoption(
        "--unifetch-cassette",
        choices=["none", "once", "new", "all", "check"],
        help="the mode of `unifetch_cassette`, in place of UNIFETCH_CASSETTE",
    )
    group.addoption(
        "--unifetch-wire",
        action="store_true",
        help="run each test of `unifetch_mock` again with its answers sent over sockets, on each installed backend",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker that gives a cassette its options."""
    config.addinivalue_line("markers", "unifetch_cassette(**options): what the test's `Cassette` is made with")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Over sockets, run each test of a mock once for each backend."""
    if "unifetch_mock" in metafunc.fixturenames and metafunc.config.getoption("--unifetch-wire"):
        from ..backends import available_backends

        metafunc.parametrize("unifetch_mock", ["memory", *available_backends()], indirect=True)


@pytest.fixture
def unifetch_mock(request: pytest.FixtureRequest) -> Iterator[Mock]:
    """A strict `Mock` in front of every backend."""
    from ..client.config import PROCESS
    from .mock import Mock
    from .on_the_wire import Wire

    carrier = getattr(request, "param", "memory")
    mock, before = Mock(), PROCESS.backend
    if carrier != "memory":
        mock.wire = Wire()
        PROCESS.backend = carrier  # of calls and clients that name none
    try:
        with mock:
            yield mock
            _end_if_failed(request)
    except _Failed:
        pass
    finally:
        PROCESS.backend = before


@pytest.fixture
def unifetch_cassette_options() -> dict[str, Any]:
    """What each cassette is made with, such as `{"secrets": …}`: override it in a conftest.py."""
    return {}


@pytest.fixture
def unifetch_cassette(request: pytest.FixtureRequest, unifetch_cassette_options: dict[str, Any]) -> Iterator[Cassette]:
    """The `Cassette` of this test, in `cassettes/<module>/<test>.har` beside the module; its options come by marker."""
    from .cassette import Cassette

    marker = request.node.get_closest_marker("unifetch_cassette")
    if marker is not None and marker.args:
        raise TypeError(
            f"the marker unifetch_cassette takes options by name, such as mode='none', not {marker.args!r:.99}"
        )
    options = {**unifetch_cassette_options, **(marker.kwargs if marker else {})}
    options.setdefault("mode", request.config.getoption("--unifetch-cassette"))
    module = request.node.path
    path = module.parent / "cassettes" / module.stem / f"{_file_name(request.node.nodeid)}.har"
    try:
        with Cassette(path, **options) as cassette:
            yield cassette
            _end_if_failed(request)
    except _Failed:
        pass


def _file_name(node: str) -> str:
    """The name of a test as that of a file; two tests never have the same."""
    test = node.split("::", 1)[1].replace("::", ".")
    name = re.sub(r"[^A-Za-z0-9_.=,+\[\]-]", "_", test)[:150]
    return name if name == test else f"{name}-{sha256(test.encode()).hexdigest()[:8]}"


@pytest.fixture
def unifetch_faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """`Faults` in front of every backend; one that did not fire is an error."""
    from .faults import Faults

    try:
        with Faults() as faults:
            yield faults
            _end_if_failed(request)
    except _Failed:
        pass


@pytest.fixture
def unifetch_server() -> Iterator[Any]:
    """A function that starts a `Server` of its arguments; all are closed at the end, and their errors raised."""
    from contextlib import ExitStack

    from .server import Server

    with ExitStack() as stack:

        def start(*scripts: Any, **options: Any) -> Server:
            return stack.enter_context(Server(*scripts, **options))

        yield start


# --- Whether the test itself failed ---------------------------------------------------------------

# What was not requested matters only if the test would pass.


class _Failed(BaseException):
    pass


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Remember whether the test failed, for the fixtures that are torn down after it."""
    report = yield
    if call.when == "call":
        item.stash[_FAILED] = bool(report.failed or report.skipped)
    return report


def _end_if_failed(request: pytest.FixtureRequest) -> None:
    if request.node.stash.get(_FAILED, False):
        raise _Failed
