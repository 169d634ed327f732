"""The pool of httpx and httpx2 after an interrupt at a moment at which the engine itself does not look."""

from __future__ import annotations

import gc
import importlib
import threading
from typing import Any

import pytest

from unifetch import Client
from unifetch.testing import Server, reply

ENGINES = {"httpx": "httpcore", "httpx2": "httpcore2"}


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of a response that was not closed: it was interrupted
@pytest.mark.parametrize("library", ENGINES)
def test_an_exchange_whose_end_was_interrupted(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool forgets it, and its connection is closed, by the time that another one is opened."""
    pytest.importorskip(library)
    engine = importlib.import_module(f"{ENGINES[library]}._sync.connection_pool")
    with Server([reply(200, b"hello"), b"more"]) as server, Client(library, timeout=10) as client:
        pool: Any = client.backend.native
        response = client.open("GET", server.url)
        with monkeypatch.context() as patch:
            patch.setattr(engine.PoolByteStream, "close", interrupted)
            with pytest.raises(KeyboardInterrupt):
                response.close()
        assert 1 == len(pool._requests)
        del response
        gc.collect()

        with client.stream("GET", server.url):
            assert (1, 1) == (len(pool._requests), len(pool.connections))


@pytest.mark.parametrize("library", ENGINES)
def test_no_lock_is_taken_by_python_code(library: str) -> None:
    """An interrupt between two steps of such code would leave it taken, and later calls would wait for ever."""
    pytest.importorskip(library)
    with Server(reply(200, b"hello")) as server, Client(library, timeout=10) as client:
        client.get(server.url)
        pool: Any = client.backend.native
        connection = pool.connections[0]

        locks = [pool._optional_thread_lock, connection._request_lock, connection._connection._state_lock]
        assert {type(threading.Lock())} == {type(each) for each in locks}
