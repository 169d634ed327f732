"""The seam of the kit: it stands before every backend, whoever asks and wherever, and inside it the network is shut."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from unifetch import (
    AsyncClient,
    Client,
    ConnectionLost,
    IncompleteBody,
    ReadTimeout,
    TotalTimeout,
    UnifetchError,
    fetch_all,
    get,
    post,
)
from unifetch.backends import load, load_async
from unifetch.client.interception import SEAM
from unifetch.testing import (
    Answer,
    Close,
    Drip,
    Intercepted,
    OnConnect,
    Pause,
    Reset,
    Server,
    Unanswered,
    forward,
    intercept,
    reply,
)
from unifetch.testing.awaited import client_of

URL = "https://api.test/things"


def echo(request: Intercepted) -> Answer:
    return Answer(200, request.body, headers={"X-Target": request.target, "X-Method": request.method})


@pytest.fixture(params=["blocking", "awaited"])
def client(request: pytest.FixtureRequest, backend: str) -> Any:
    """A client over each backend, of both kinds."""
    made = (load if request.param == "blocking" else load_async)(backend)()
    with client_of(made) as client:
        yield client


def test_every_backend(client: Any) -> None:
    """The handler answers in place of whatever backend was chosen, and the response names that backend."""
    with intercept(echo):
        response = client.post(URL, params={"page": 2}, json={"a": 1})

    assert (b'{"a":1}', "/things?page=2", "POST") == (
        response.body,
        response.headers["x-target"],
        response.headers["x-method"],
    )
    assert client.backend.name == response.backend


def test_a_stream_both_ways(client: Any) -> None:
    """An upload from an iterator arrives whole; a body in chunks is a stream, with its trailers where they are told."""
    chunks = Answer(chunks=[b"one", b"two"], trailers={"X-Sum": "6"})
    with intercept(lambda request: echo(request) if request.method == "POST" else chunks):
        assert b"abcd" == client.post(URL, body=iter([b"ab", b"cd"])).body
        with client.stream("GET", URL) as response:
            assert [b"one", b"two"] == list(response.body)


def test_policies_are_real(client: Any) -> None:
    """Redirects are followed, cookies kept, and the cookie of the answer goes out with the next request."""

    def shop(request: Intercepted) -> Answer:
        if request.path == "/things":
            return Answer(302, headers=[("Location", "/end"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        return Answer(200, request.headers.get("cookie", ""))

    with intercept(shop):
        assert b"a=1; b=2" == client.get(URL).body


def test_what_nobody_takes_is_no_unifetch_error(client: Any) -> None:
    """Neither a retry nor an `except Exception` of the code under test can take it for a failure of the network."""
    calls = []

    def nothing(request: Intercepted) -> None:
        calls.append(request)

    def code_under_test() -> None:
        with intercept(nothing), contextlib.suppress(Exception):
            client.get(URL, retry=5)

    with pytest.raises(Unanswered, match=r"GET https://api\.test/things: nobody took"):
        code_under_test()
    assert 1 == len(calls)
    assert not issubclass(Unanswered, Exception)


def test_what_is_swallowed_all_the_same_comes_at_the_end() -> None:
    """A test does not pass because somebody caught BaseException."""
    block = intercept(lambda request: None)
    block.__enter__()
    with pytest.raises(BaseException, match="nobody took"):
        get(URL)

    with pytest.raises(Unanswered):
        block.__exit__(None, None, None)


def test_what_a_handler_asserts_in_vain_comes_at_the_end() -> None:
    """Also where the code under test takes it for a failure of the network."""

    def handler(request: Intercepted) -> Answer:
        assert "/right" == request.path
        return Answer(200)

    def hides_it() -> int:
        with contextlib.suppress(Exception):
            get("https://api.test/wrong")
        return get("https://api.test/right").status

    with pytest.raises(AssertionError, match="/right"), intercept(handler):
        assert 200 == hides_it()


async def _awaited_handler(request: Intercepted) -> Answer:
    return Answer(200)


@pytest.mark.parametrize(
    ("handler", "message"),
    [(_awaited_handler, "a handler is a plain function"), (lambda request: {"id": 7}, r"Answer\(json=…\)")],
)
def test_what_a_handler_cannot_give(handler: Any, message: str) -> None:
    """It is told what to give instead."""
    with pytest.raises(TypeError, match=message), intercept(handler):
        get("https://api.test/")


def test_an_exchange_without_policies(client: Any) -> None:
    """It has the handler before it, too: bridges stand on it."""
    with intercept(lambda request: Answer(200, "here")):
        response = client.exchange("GET", URL)
        body = response.read().body

    assert b"here" == body


def _in_a_thread(call: Callable[[], bytes]) -> bytes:
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def _in_an_executor(call: Callable[[], bytes]) -> bytes:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(call).result()


def _in_a_loop(call: Callable[[], bytes]) -> bytes:
    async def scenario() -> bytes:
        async with AsyncClient() as client:
            return (await client.get(URL)).body

    return asyncio.run(scenario())


def _to_thread(call: Callable[[], bytes]) -> bytes:
    async def scenario() -> bytes:
        return await asyncio.to_thread(call)

    return asyncio.run(scenario())


@pytest.mark.parametrize("place", [_in_a_thread, _in_an_executor, _in_a_loop, _to_thread])
def test_from_everywhere(place: Callable[[Callable[[], bytes]], bytes]) -> None:
    """It holds for the whole process: threads, executors, loops."""
    with intercept(lambda request: Answer(200, "here")):
        assert b"here" == place(lambda: get(URL).body)


def test_fetch_all() -> None:
    """And for the calls that `fetch_all` spreads over threads."""
    with intercept(lambda request: Answer(200, request.path)):
        bodies = [result.response.body for result in fetch_all([f"https://api.test/{n}" for n in range(20)])]

    assert [b"/%d" % n for n in range(20)] == bodies


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # of other tests
def test_a_fork_has_the_handler() -> None:
    """The child of a fork is inside, too."""
    reading, writing = os.pipe()
    with intercept(lambda request: Answer(200, "here")):
        if (child := os.fork()) == 0:
            os.write(writing, get(URL).body)
            os._exit(0)
        os.waitpid(child, 0)

    assert b"here" == os.read(reading, 100)
    os.close(reading)
    os.close(writing)


def test_a_process_that_is_started_has_no_network() -> None:
    """A handler cannot reach it, so nothing does."""
    with Server() as server:
        code = f"import unifetch; unifetch.get({server.url!r})"
        with intercept(echo):
            ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

        assert [] == server.requests
    assert "started inside intercept()" in ended.stderr
    assert "UNIFETCH_NETWORK_SHUT" not in os.environ


def test_local_handlers_do_not_meet() -> None:
    """Tests that run at once in threads each have their own; a thread that has none is shut out as well."""
    inside, done = threading.Barrier(3), threading.Barrier(3)

    def one(name: str) -> bytes:
        with intercept(lambda request: Answer(200, name), local=True):
            inside.wait(20)
            body = get(URL).body
            done.wait(20)
        return body

    with ThreadPoolExecutor(2) as executor:
        futures = [executor.submit(one, "first"), executor.submit(one, "second")]
        inside.wait(20)
        with pytest.raises(Unanswered, match="no handler"):
            get(URL)
        done.wait(20)
        assert [b"first", b"second"] == [future.result() for future in futures]


def test_the_inner_handler_is_asked_first() -> None:
    """What it does not take goes to the one around it; `forward` alone opens the network."""
    with Server(reply(200, b"live")) as server, intercept(lambda r: forward if r.raw.port == server.port else None):
        with intercept(lambda request: Answer(200, "inner") if request.path == "/inner" else forward):
            assert b"inner" == get("https://api.test/inner").body
            assert b"live" == get(server.url).body


def test_the_end_of_the_block_is_the_end() -> None:
    """A client that was made inside goes to the network again afterwards, and the slot is empty."""
    with Server(reply(200, b"live")) as server, Client() as client:
        with intercept(lambda request: Answer(200, "mocked")):
            assert b"mocked" == client.get(server.url).body
        assert b"live" == client.get(server.url).body
    assert SEAM.interception is None


SCRIPTS: list[tuple[Any, bytes | type[UnifetchError]]] = [
    (reply(200, b"whole"), b"whole"),
    ([reply(103, headers={"Link": "</a>"}), reply(200, [b"in ", b"chunks"])], b"in chunks"),
    ({"/things": reply(200, b"routed")}, b"routed"),
    (lambda request: reply(200, request.method.encode()), b"GET"),
    (Drip(reply(200, b"slow"), every=0.001), b"slow"),
    ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Close()], IncompleteBody),
    ([b"HTTP/1.1 200 OK\r\n\r\nto the end", Close()], b"to the end"),
    (Reset(), ConnectionLost),
    (b"", ReadTimeout),
]


@pytest.mark.parametrize(("script", "expected"), SCRIPTS)
def test_a_script_of_the_server_in_memory(client: Any, script: Any, expected: Any) -> None:
    """A script means the same here as in `testing.Server`."""
    timeout = {"total": 5, "read": 0.05}
    with intercept(lambda request: script):
        if isinstance(expected, bytes):
            assert expected == client.get(URL, timeout=timeout).body
        else:
            with pytest.raises(expected):
                client.get(URL, timeout=timeout)


def test_a_script_that_needs_a_connection() -> None:
    """It is refused with the way out."""
    with intercept(lambda request: OnConnect(b"")), pytest.raises(TypeError, match=r"use testing\.Server"):
        get(URL)


def test_pauses_are_held_to_the_timeouts(client: Any) -> None:
    """A handler without virtual time waits as a server would, and no longer than the phases allow."""
    with intercept(lambda request: Answer(chunks=[b"a", Pause(60)])):
        with pytest.raises(ReadTimeout) as caught:
            client.get(URL, timeout={"read": 0.02})
        assert "yes" == caught.value.request_sent
        with pytest.raises(TotalTimeout):
            client.get(URL, timeout=0.02)


def test_errors_of_a_handler_reach_the_policies() -> None:
    """An error that it raises is retried like one of the network; any other goes to the caller."""
    asked = []

    def handler(request: Intercepted) -> Answer:
        asked.append(request.method)
        if len(asked) < 3:
            raise ConnectionLost("gone", request_sent="maybe")
        return Answer(201)

    with intercept(handler):
        assert 201 == get(URL, retry={"attempts": 3, "backoff": 0}).status
        asked.clear()
        with pytest.raises(ConnectionLost):
            post(URL, retry={"attempts": 3, "backoff": 0})

    assert ["POST"] == asked


def test_what_is_no_handler_is_refused_at_once() -> None:
    """Not at the first request, where nobody would look for it."""
    with pytest.raises(TypeError, match="intercept takes a Mock, a Cassette, Faults or a function, not int"):
        with intercept(3):  # type: ignore[arg-type]  # that is what is tested
            pass
