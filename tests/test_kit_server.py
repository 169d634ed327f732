"""What the scripted server, the event loop of the tests and the conformance kit give to those who test with them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from unifetch import Client
from unifetch.testing import Server, reply
from unifetch.testing import awaited as awaited_module


def test_replies_of_json() -> None:
    """`reply(json=…)` is compact UTF-8, with its type."""
    with Server(reply(201, json={"a": ["é", None]})) as server, Client() as client:
        response = client.get(server.url)

    assert (201, {"a": ["é", None]}, "application/json") == (
        response.status,
        response.json(),
        response.headers["content-type"],
    )
    with pytest.raises(TypeError, match="one body"):
        reply(body=b"x", json=1)


def test_routes_by_method() -> None:
    """`"POST /orders"` is for that method, a plain target for any, and another method is not allowed."""
    routes = {"POST /orders": reply(201), "GET /orders?page=2": reply(200, b"second"), "/any": reply(204)}
    with Server(routes) as server, Client(base_url=server.url) as client:
        assert 201 == client.post("/orders?x=1").status
        assert b"second" == client.get("/orders?page=2").body
        assert [204, 204] == [client.get("/any").status, client.delete("/any").status]
        assert (405, "POST, GET") == ((found := client.delete("/orders")).status, found.headers["allow"])
        assert 404 == client.get("/none").status


def test_one_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that ask for the loop of the tests at once get one and the same."""
    monkeypatch.setattr(awaited_module, "_running", None)
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait(20)
        return id(awaited_module._loop())

    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(ask, range(8)))
    loop = awaited_module._loop()
    loop.call_soon_threadsafe(loop.stop)
    while loop.is_running():
        time.sleep(0.001)
    loop.close()

    assert 1 == len(found)


def test_a_failing_assertion_of_the_kit_shows_its_values(pytester: pytest.Pytester) -> None:
    """The plugin has pytest rewrite the asserts of the conformance classes."""
    pytester.makeini("[pytest]\naddopts = -p no:httpbin -p no:cacheprovider -p no:randomly")
    pytester.makepyfile(
        """
        import pytest
        from unifetch.backends import load
        from unifetch.model.headers import Headers
        from unifetch.model.messages import RawResponse
        from unifetch.testing.conformance import TestHeads

        @pytest.fixture
        def backend_factory():
            def make():
                backend = load("urllib")()
                backend.send = lambda request: RawResponse(200, "", "HTTP/1.1", Headers(), iter(()), lambda: None)
                return backend
            return make
        """
    )
    result = pytester.runpytest_subprocess("-x", "-q", "-k", "test_reason")

    assert 1 == result.ret
    result.stdout.fnmatch_lines(["E *assert 'OK' == ''*"])
