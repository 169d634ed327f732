"""Bridges for processes whose clients are built out of reach."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from unifetch import ConfigConflict, InvalidSetting, bridges
from unifetch.observe.events import Attempt
from unifetch.testing import Server, reply


@pytest.fixture(params=bridges.LIBRARIES)
def library(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield pytest.importorskip(request.param)
    bridges.uninstall(request.param)


def ask(library: Any, url: str) -> None:
    if library.__name__ == "requests":
        with library.Session() as session:
            session.get(url)
    else:
        with library.Client() as client:
            client.get(url)


def test_clients_out_of_reach(library: Any) -> None:
    """Those that are made while it is installed run on unifetch, and those after it do not."""
    seen: list[Any] = []
    with Server(reply(200)) as server:
        ask(library, server.url)
        bridges.install(library.__name__, listeners=[seen.append])
        assert (library.__name__,) == bridges.installed()
        ask(library, server.url)
        bridges.uninstall(library.__name__)
        assert () == bridges.installed()
        ask(library, server.url)

        assert 3 == len(server.requests)
    assert 1 == sum(isinstance(event, Attempt) for event in seen)


@pytest.mark.parametrize("library", ["httpx", "httpx2"], indirect=True)
def test_a_client_outlives_the_installation(library: Any) -> None:
    """What was made while it was installed keeps its engine, and is of the library's own type."""
    bridges.install(library.__name__)
    transport = library.HTTPTransport()
    bridges.uninstall(library.__name__)
    with Server(reply(200, b"x")) as server, library.Client(transport=transport) as client:
        assert isinstance(transport, library.HTTPTransport)
        assert "x" == client.get(server.url).text


@pytest.mark.parametrize("library", ["httpx", "httpx2"], indirect=True)
def test_what_would_be_lost_is_refused(library: Any) -> None:
    """A client that says what a bridge cannot honour is refused when it is made."""
    bridges.install(library.__name__)
    with pytest.raises(ConfigConflict, match="local_address"):
        library.HTTPTransport(local_address="127.0.0.1")


def test_what_is_wrong_changes_nothing() -> None:
    """An unknown library or setting is refused, and nothing is installed."""
    pytest.importorskip("httpx")
    for name, settings in (("niquests", {}), ("httpx", {"headers": {}})):
        with pytest.raises(InvalidSetting):
            bridges.install(name, **settings)  # type: ignore[arg-type]  # that is the test

    assert () == bridges.installed()


def test_no_bridge_is_imported_before_it_is_named() -> None:
    """To ask which are installed costs nothing."""
    assert {"httpx", "httpx2", "requests"} == set(bridges.LIBRARIES)
    assert import_module("unifetch.bridges").installed() == ()
