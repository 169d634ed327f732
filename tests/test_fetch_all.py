"""`fetch_all`: many requests, in threads of its own or by an executor; each gives a result, whatever comes of it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import unifetch
from unifetch import Client, Request, Response, Result, fetch_all, use_backend
from unifetch.errors import (
    ConfigError,
    ConnectionLost,
    InvalidBody,
    InvalidRequest,
    InvalidSetting,
    InvalidURL,
    UnifetchError,
    UnknownBackend,
)
from unifetch.many import fetch_all as fetch_all_module
from unifetch.many.threads import Threads
from unifetch.policies.auth import Basic, Bearer, FinalRequest
from unifetch.testing import Close, RecordedRequest, Script, Server, reply

pytestmark = pytest.mark.usefixtures("process")


def echo(request: RecordedRequest) -> Script:
    """Answers with the target; /lost gets no answer."""
    if request.target == "/missing":
        return reply(404)
    return Close() if request.target == "/lost" else reply(200, request.target.encode())


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(echo) as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A client for the module's functions that has carried nothing yet; and no thread is left."""
    with Client(cookies=False) as client:
        monkeypatch.setattr(fetch_all_module, "SHARED", client)
        yield
    assert [] == our_threads()


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("unifetch.fetch_all")]


def bodies(results: Iterator[Result[Response[bytes]]]) -> list[str]:
    return [result.unwrap().text for result in results]


class Gate:
    """A server whose answers to /held… wait until the gate is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.server = Server(self._answer)

    def _answer(self, request: RecordedRequest) -> Script:
        if request.target.startswith("/held"):
            assert self._open.wait(20)
        return echo(request)

    def open(self) -> None:
        self._open.set()

    def __enter__(self) -> Gate:
        self.server.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.open()
        self.server.__exit__(*error)


# --- Results --------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", ["x", 5, object()])
def test_an_executor_that_is_none(executor: Any) -> None:
    """It is refused, by its name, before anything is asked for."""
    with pytest.raises(InvalidSetting, match=r"executor: must have submit\(\)"):
        fetch_all(["http://127.0.0.1:1/"], executor=executor)


def test_results_in_the_order_of_their_urls() -> None:
    """By default, whichever of them is answered first."""
    answered = threading.Event()

    def answer(request: RecordedRequest) -> Script:
        if request.target == "/0":
            assert answered.wait(20)
        if request.target == "/3":
            answered.set()
        return echo(request)

    with Server(answer) as server:
        assert ["/0", "/1", "/2", "/3"] == bodies(fetch_all((f"{server.url}/{n}" for n in range(4)), concurrency=2))


def test_results_as_they_are_there() -> None:
    """With `ordered=False` none waits for another; `index` says whose it is."""
    with Gate() as gate:
        urls = [f"{gate.server.url}/{path}" for path in ("held", "1", "2", "3")]
        given = []
        for result in fetch_all(urls, ordered=False, concurrency=2):
            given.append(result.index)
            if len(given) == 3:
                gate.open()

    assert [1, 2, 3, 0] == given


def test_a_failure_is_a_result(server: Server) -> None:
    """What is wrong with one URL does not end the rest; a status is no failure."""
    urls: list[Any] = [
        f"{server.url}/1",
        f"{server.url}/lost",
        "ftp://x",
        5,
        f"{server.url}/missing",
        f"{server.url}/2",
    ]
    results = list(fetch_all(urls))

    assert [None, ConnectionLost, InvalidURL, InvalidURL, None, None] == [
        each.error and type(each.error) for each in results
    ]
    assert [200, None, None, None, 404, 200] == [each.response and each.response.status for each in results]
    assert [*urls[:3], "<int>", *urls[4:]] == [each.url for each in results]
    with pytest.raises(ConnectionLost):
        results[1].unwrap()


def test_a_result_is_a_value(server: Server) -> None:
    """It can be compared and pickled."""
    first, second = fetch_all([server.url, f"{server.url}/lost"])
    copy = pickle.loads(pickle.dumps(second))

    assert first == pickle.loads(pickle.dumps(first))
    assert (second.index, second.url, str(second.error)) == (copy.index, copy.url, str(copy.error))


def test_a_result_shows_no_credential(server: Server) -> None:
    """Its URL is the one that was given, so that it can be looked up by it, without userinfo."""
    given = [server.url, server.url.replace("//", "//user:word@"), "http://user:word@/", "http://127.0.0.1:1/b@c?d@e"]
    shown = [result.url for result in fetch_all(given)]

    assert [server.url, f"{server.url}/", "[redacted]@/", given[3]] == shown


def test_requests_among_the_urls(server: Server) -> None:
    """A `Request` has a method, fields and a body of its own; for the rest it goes by the call."""
    post = Request("POST", f"{server.url}/post", headers={"X-Two": "b"}, body=b"body")
    list(
        fetch_all([post, f"{server.url}/url"], method="OPTIONS", headers={"X-One": "1", "X-Two": "2"}, params={"a": 1})
    )
    seen = {each.target: each for each in server.requests}

    assert {"/post?a=1", "/url?a=1"} == set(seen)
    assert ("POST", b"body") == (seen["/post?a=1"].method, seen["/post?a=1"].body)
    assert ("OPTIONS", b"") == (seen["/url?a=1"].method, seen["/url?a=1"].body)
    assert [("1", "b"), ("1", "2")] == [
        (seen[target].header("x-one"), seen[target].header("x-two")) for target in ("/post?a=1", "/url?a=1")
    ]


def test_arguments_are_not_used_up(server: Server) -> None:
    """Iterators that are given for fields and parameters serve all of the URLs."""
    list(fetch_all([server.url] * 3, params=iter([("a", "b")]), headers=iter([("X-One", "1")])))

    assert [("/?a=b", "1")] * 3 == [(each.target, each.header("x-one")) for each in server.requests]


# --- Bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
def test_urls_are_drawn_as_results_are_taken(server: Server, ordered: bool) -> None:
    """Never more than the window ahead, so that there may be no end of them; none before the first is asked for."""
    drawn = 0

    def endless() -> Iterator[str]:
        nonlocal drawn
        while True:
            drawn += 1
            yield f"{server.url}/{drawn}"

    with closing(fetch_all(endless(), window=7, concurrency=3, ordered=ordered)) as results:
        assert 0 == drawn
        for taken in range(30):
            next(results)
            assert drawn - taken <= 7
    assert len(server.requests) <= drawn


def test_what_one_origin_is_asked_at_once() -> None:
    """No more than `per_origin`, while others are asked meanwhile."""
    with Gate() as gate, Server(echo) as other:
        held = [f"{gate.server.url}/held/{number}" for number in range(6)]
        free = [f"{other.url}/{number}" for number in range(20)]
        results = fetch_all(held + free, per_origin=2, concurrency=8, ordered=False)
        first = bodies(islice(results, len(free)))
        gate.server.wait_requests(2)

        assert sorted(f"/{number}" for number in range(20)) == sorted(first)
        assert 2 == len(gate.server.requests)
        gate.open()
        assert 6 == len(bodies(results))


def test_the_limits_of_the_client_hold(server: Server) -> None:
    """No more threads than it has connections, so that no call waits for one longer than it may."""
    with Client(limits={"connections": 2}, base_url=server.url) as client:
        list(fetch_all(["/a"] * 20, client=client, timeout={"pool": 1e-6}))
        assert "/b" == client.get("/b").text
    with Client(limits={"connections_per_origin": 1}, base_url=server.url) as client:
        assert [None] * 20 == [each.error for each in fetch_all(["/a"] * 20, client=client, timeout={"pool": 1e-6})]

    assert server.connections <= 3


# --- The end --------------------------------------------------------------------------------------


def test_closed_early(server: Server) -> None:
    """Nothing more is drawn or asked, and no thread is left."""
    drawn = iter(range(10**9))
    results = fetch_all((f"{server.url}/{number}" for number in drawn), window=5, concurrency=2)
    next(results)
    results.close()

    assert [] == our_threads()
    assert next(drawn) <= 6
    assert len(server.requests) <= 6


def test_threads_that_nobody_ended() -> None:
    """They end when what holds them is dropped: an interrupt may come before each is told, or before any is."""
    threads = Threads()
    for future in [threads.submit(int), threads.submit(int)]:
        assert 0 == future.result(5)
    started = list(threads._all)
    del threads, future
    for each in started:
        each.join(5)

    assert [] == our_threads()


def test_the_urls_fail(server: Server) -> None:
    """What an iterable of URLs raises ends the iteration, and what was begun."""

    def urls() -> Iterator[str]:
        yield server.url
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        list(fetch_all(urls()))
    assert [] == our_threads()


def test_an_error_that_is_no_failure(server: Server) -> None:
    """Ctrl-C, wherever it comes, ends the iteration."""

    def sink(result: Result[Response[bytes]]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(fetch_all([server.url], sink=sink))


# --- Progress and sinks ---------------------------------------------------------------------------


def test_progress(server: Server) -> None:
    """It is told of each result, in the thread that takes them; of the total where the URLs have a length."""
    told: list[tuple[int, int | None, bool]] = []

    def progress(done: int, total: int | None) -> None:
        told.append((done, total, threading.current_thread() is threading.main_thread()))

    list(fetch_all([server.url, "nonsense"], progress=progress))
    list(fetch_all((url for url in [server.url, server.url]), progress=progress))

    assert [(1, 2, True), (2, 2, True), (1, None, True), (2, None, True)] == told


def test_progress_that_raises(server: Server) -> None:
    """It ends the iteration."""

    def progress(done: int, total: int | None) -> None:
        raise LookupError(done)

    with pytest.raises(LookupError, match="1"):
        list(fetch_all([server.url] * 3, progress=progress))


def size(result: Result[Response[bytes]]) -> tuple[int, int, int]:
    """A sink: whose response it was, how large it was, and the process in which it was."""
    return result.index, len(result.unwrap().body), os.getpid()


def test_a_sink(server: Server) -> None:
    """What it returns takes the place of the response; it is not called for a failure."""
    results = list(fetch_all([f"{server.url}/1234", f"{server.url}/lost"], sink=size))

    assert (0, 5, os.getpid()) == results[0].unwrap()
    assert [None, None] == [each.response for each in results]
    assert isinstance(results[1].error, ConnectionLost)


def test_a_sink_that_fails(server: Server) -> None:
    """What it raises is the error of that one result."""

    def sink(result: Result[Response[bytes]]) -> int:
        return 1 // result.index

    results = list(fetch_all([server.url] * 2, sink=sink))

    assert [ZeroDivisionError, type(None)] == [type(each.error) for each in results]
    assert [None, 1] == [each.value for each in results]


# --- Settings -------------------------------------------------------------------------------------


def test_the_callers_context(server: Server) -> None:
    """`use_backend` holds for the threads, too."""
    with use_backend("socket"):
        results = fetch_all([server.url])

    assert ["socket"] == [result.unwrap().backend for result in results]


def test_a_client_of_ones_own(server: Server) -> None:
    """Its settings, its cookies and its connections serve, and it stays open."""
    with Client(base_url=server.url, headers={"X-One": "1"}) as client:
        client.cookies.set("a", "b", domain="127.0.0.1")
        assert ["/1", "/2"] == bodies(fetch_all(["/1", "/2"], client=client, per_origin=1))
        client.get("/3")

    assert ["1"] * 3 == [each.header("x-one") for each in server.requests]
    assert ["a=b"] * 3 == [each.header("cookie") for each in server.requests]
    assert 1 == server.connections


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (InvalidSetting, {"concurrency": 0}),
        (InvalidSetting, {"per_origin": True}),
        (InvalidSetting, {"window": 1.5}),
        (InvalidSetting, {"chunk": 4}),
        (InvalidSetting, {"jason": {}}),
        (InvalidSetting, {"json": {}}),
        (InvalidSetting, {"timeout": 0}),
        (UnknownBackend, {"backend": "nobody"}),
    ],
)
def test_what_is_refused(error: type[Exception], arguments: dict[str, Any]) -> None:
    """What would fail for every URL is refused at the call."""
    with pytest.raises(error):
        fetch_all(["http://127.0.0.1:1/"], **arguments)


def test_one_url_is_not_many() -> None:
    """A URL is iterable, and its characters are no URLs."""
    with pytest.raises(InvalidRequest):
        fetch_all("http://127.0.0.1:1/")


# --- Executors ------------------------------------------------------------------------------------


class ByPost(Executor):
    """Runs everything at once, here, with what a process would get and give back: copies by pickle."""

    def __init__(self) -> None:
        self.arguments: list[bytes] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        assert not kwargs
        self.arguments.append(pickle.dumps((function, args)))
        function, args = pickle.loads(self.arguments[-1])
        future: Future[Any] = Future()
        future.set_result(pickle.loads(pickle.dumps(function(*args))))
        return future


class Waiting(ByPost):
    """Runs the fourth that it is given, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.futures: list[Future[Any]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.futures.append(super().submit(function, *args, **kwargs) if len(self.futures) == 3 else Future())
        return self.futures[-1]


def test_all_that_is_asked_of_an_executor(server: Server) -> None:
    """`submit`, of one function of a module, with bytes."""
    post = ByPost()
    assert ["/0", "/1", "/2", "/3", "/4"] == bodies(
        fetch_all((f"{server.url}/{number}" for number in range(5)), executor=post, chunk=2)
    )
    functions, arguments = zip(*map(pickle.loads, post.arguments), strict=True)

    assert {"fetch_chunk"} == {function.__name__ for function in functions}
    assert [(bytes, bytes, type(None))] * 3 == [tuple(map(type, each)) for each in arguments]
    assert 3 == len(set(arguments))


def test_the_same_again_is_not_the_same(server: Server) -> None:
    """Two calls alike are submitted with arguments that differ: Dask would take the second for the first."""
    post = ByPost()
    for _ in range(2):
        list(fetch_all([server.url], executor=post))

    assert 2 == len(set(post.arguments))


def test_chunks_in_flight_are_bounded(server: Server) -> None:
    """No more is submitted than the window holds; what waits is cancelled at the end, and the executor is left open."""
    waiting = Waiting()
    drawn = iter(range(10**9))
    urls = (f"{server.url}/{number}" for number in drawn)
    with closing(fetch_all(urls, executor=waiting, chunk=2, window=8, ordered=False)) as results:
        assert ["/6", "/7"] == bodies(islice(results, 2))
        assert [False] * 4 == [future.cancelled() for future in waiting.futures]

    assert 8 == next(drawn)
    assert [True, True, True, False] == [future.cancelled() for future in waiting.futures]


def test_several_at_once_in_a_task() -> None:
    """A task of an executor asks for `concurrency` URLs at once, and of one origin for no more than `per_origin`."""
    with Gate() as gate, ThreadPoolExecutor(2, "foreign") as threads:
        urls = [f"{gate.server.url}/held/{number}" for number in range(12)]
        results = fetch_all(urls, executor=threads, chunk=6, concurrency=3)
        with ThreadPoolExecutor(1) as another:
            first = another.submit(next, results)
            gate.server.wait_requests(6)
            assert 6 == len(gate.server.requests)
            gate.open()
            first.result()
        assert [None] * 11 == [result.error for result in results]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_one_origin_for_all_workers(concurrency: int) -> None:
    """`per_origin` bounds what all tasks together ask of one origin, while others are asked meanwhile."""
    with Gate() as gate, Server(echo) as other, ThreadPoolExecutor(8, "foreign") as threads:
        held = [f"{gate.server.url}/held/{number}" for number in range(12)]
        free = [f"{other.url}/{number}" for number in range(20)]
        # A chunk that holds one that waits comes when the gate is open, so that each is of one URL.
        results = fetch_all(
            held + free, executor=threads, per_origin=2, concurrency=concurrency, chunk=1, ordered=False
        )
        first = bodies(islice(results, len(free)))
        gate.server.wait_requests(2)

        assert sorted(f"/{number}" for number in range(20)) == sorted(first)
        assert 2 == len(gate.server.requests)
        gate.open()
        assert 12 == len(bodies(results))


SECRETS: dict[str, Callable[[str], tuple[Any, dict[str, Any], str]]] = {
    "a pair": lambda url: (url, {"auth": ("user", "word")}, "Basic dXNlcjp3b3Jk"),
    "an Auth": lambda url: (url, {"auth": Basic("user", "word")}, "Basic dXNlcjp3b3Jk"),
    "a token": lambda url: (url, {"auth": {"type": "bearer", "token": "t"}}, "Bearer t"),
    "a function that signs": lambda url: (url, {"auth": sign}, "Signed /"),
    "a field": lambda url: (url, {"headers": {"Authorization": "Bearer t"}}, "Bearer t"),
    "userinfo": lambda url: (url.replace("//", "//user:w%3Aord@"), {}, "Basic dXNlcjp3Om9yZA=="),
    "userinfo of a URL": lambda url: (
        unifetch.URL(url.replace("//", "//user:w%3Aord@") + "#part"),
        {},
        "Basic dXNlcjp3Om9yZA==",
    ),
    "a Request with a field": lambda url: (Request("GET", url, headers={"Authorization": "Bearer t"}), {}, "Bearer t"),
    "a Request with userinfo": lambda url: (
        Request("GET", url.replace("//", "//user:word@")),
        {},
        "Basic dXNlcjp3b3Jk",
    ),
}


def sign(request: FinalRequest) -> dict[str, str]:
    return {"Authorization": f"Signed {request.url.target}"}


@pytest.mark.parametrize("name", SECRETS)
def test_credentials_go_to_a_worker(name: str, server: Server) -> None:
    """Nothing is sent without the credentials that were given for it, in whatever form."""
    item, call, expected = SECRETS[name](server.url)
    results = list(fetch_all([item], executor=ByPost(), **call))

    assert [None] == [result.error for result in results]
    assert expected == server.requests[-1].header("authorization")


def test_credentials_of_the_process_go_to_a_worker(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `configure` has set goes along, those of a proxy too, and nothing of it comes back in a result."""
    unifetch.configure(auth=Bearer("t0ken"), proxy=server.url.replace("//", "//user:word@"))
    post = ByPost()
    results = list(fetch_all(["http://host.test/"], executor=post))

    assert "Bearer t0ken" == server.requests[-1].header("authorization")
    assert "Basic dXNlcjp3b3Jk" == server.requests[-1].header("proxy-authorization")
    assert b"t0ken" not in pickle.dumps(results)


def test_settings_go_to_a_worker(server: Server) -> None:
    """Those of `configure` and of the call, and the backend that would be chosen here."""
    told: list[Any] = []
    unifetch.configure(base_url=server.url, headers={"X-One": "1", "X-Two": "2"}, retry=2)
    unifetch.configure(listeners=lambda event: told.append(event))  # which could not be sent
    with use_backend("socket"):
        results = fetch_all(["/a", "/b"], executor=ByPost(), headers={"X-Two": "b"}, timeout={"read": 5})
    unifetch.client.config.PROCESS.settings = unifetch.client.settings.Settings()
    (first, second) = results

    assert ("socket", f"{server.url}/a") == (first.unwrap().backend, str(first.unwrap().url))
    assert ["1", "1"] == [each.header("x-one") for each in server.requests]
    assert ["b", "b"] == [each.header("x-two") for each in server.requests]
    assert "/b" == second.url
    assert [] == told


def test_what_cannot_be_sent_to_a_worker(server: Server) -> None:
    """It is refused at the call, if it is for all; of one URL, it is that one's error, and nothing is sent."""
    post = ByPost()
    refused: list[dict[str, Any]] = [
        {"auth": lambda request: {}},
        {"backend": unifetch.backends.load("urllib")()},
        {"client": Client()},
    ]
    for call in refused:
        with pytest.raises(ConfigError):
            fetch_all([server.url], executor=post, **call)
    blocks = (block for block in [b"x"])
    items: list[Any] = [Request("POST", server.url, body=blocks), blocks, pickle.dumps("no parcel"), f"{server.url}/1"]
    results = list(fetch_all(items, executor=post))

    assert [InvalidBody, InvalidURL, InvalidURL, type(None)] == [type(each.error) for each in results]
    assert ["/1"] == [each.target for each in server.requests]


class Broken(Executor):
    """Cannot do what it was given."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(OSError("a worker died"))
        return future


def test_a_task_that_fails(server: Server) -> None:
    """What an executor raises for a task is the error of each of its URLs."""
    results = list(fetch_all([server.url] * 3, executor=Broken(), chunk=2))

    assert ["a worker died"] * 3 == [str(result.error) for result in results]


def test_an_executor_that_is_shut_down(server: Server) -> None:
    """What `submit` raises ends the iteration."""
    threads = ThreadPoolExecutor(1)
    threads.shutdown()
    with pytest.raises(RuntimeError):
        list(fetch_all([server.url], executor=threads))


def test_what_an_error_came_of_stays_where_it_was(server: Server) -> None:
    """Where Dask is imported, a pickle of an error holds its causes, and those of a library cannot be pickled."""
    with ThreadPoolExecutor(1, "foreign") as threads:
        (result,) = fetch_all([f"{server.url}/lost"], executor=threads)
    error = result.error

    assert isinstance(error, ConnectionLost)
    assert (None, None, None) == (error.__cause__, error.__context__, error.__traceback__)


class Unrevivable(Exception):
    """Can be pickled, and not be unpickled."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def fails_badly(result: Result[Response[bytes]]) -> None:
    raise Unrevivable(1, 2)


# --- Processes ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        yield processes


def test_processes(server: Server, processes: Executor) -> None:
    """Responses and failures come back in order; each process keeps its connections."""
    unifetch.configure(backend="socket")
    urls = [f"{server.url}/{number}" for number in range(20)]
    results = list(fetch_all(urls, executor=processes, auth=("user", "word")))
    assert server.connections <= 2
    results += fetch_all([f"{server.url}/lost", "nonsense"], executor=processes, auth=("user", "word"))

    assert [f"/{number}" for number in range(20)] == bodies(iter(results[:20]))
    assert [ConnectionLost, InvalidURL] == [type(each.error) for each in results[20:]]
    assert {"socket"} == {result.unwrap().backend for result in results[:20]}
    assert {"Basic dXNlcjp3b3Jk"} == {request.header("authorization") for request in server.requests}


def test_a_sink_in_another_process(server: Server, processes: Executor) -> None:
    """It runs where the response is, and only what it returns comes back."""
    results = list(fetch_all([f"{server.url}/12", f"{server.url}/1234"], executor=processes, sink=size, concurrency=2))

    assert [(0, 3), (1, 5)] == [result.unwrap()[:2] for result in results]
    assert os.getpid() not in {result.unwrap()[2] for result in results}


def test_a_sink_that_does_not_travel(server: Server, processes: Executor) -> None:
    """Each result says so; with this executor, a function has to be one of a module."""
    (result,) = fetch_all([server.url], executor=processes, sink=lambda result: 1)

    assert isinstance(result.error, (pickle.PicklingError, AttributeError))
    assert [] == server.requests


def test_an_error_that_does_not_travel(server: Server, processes: Executor) -> None:
    """It is told in words, because it would break the pool."""
    (result,) = fetch_all([server.url], executor=processes, sink=fails_badly)

    assert (UnifetchError, "Unrevivable: '1 and 2'") == (type(result.error), str(result.error))
    assert ["/1"] == bodies(fetch_all([f"{server.url}/1"], executor=processes))


def dies(result: Result[Response[bytes]]) -> None:
    os._exit(1)


def test_a_process_that_dies(server: Server) -> None:
    """The URLs that it had have the executor's error."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
        results = list(fetch_all([server.url] * 2, executor=processes, sink=dies, chunk=2))

    assert ["BrokenProcessPool"] * 2 == [type(result.error).__name__ for result in results]


# --- Loky and Dask --------------------------------------------------------------------------------


def test_loky(server: Server) -> None:
    """Another kind of processes, to which a function without a name can be sent as well."""
    loky = pytest.importorskip("loky", reason="loky is not installed")
    with loky.ProcessPoolExecutor(2) as processes:
        results = list(
            fetch_all([f"{server.url}/{number}" for number in range(9)], executor=processes, sink=lambda r: r.index)
        )

    assert list(range(9)) == [result.unwrap() for result in results]


def test_dask(server: Server, dask: Any) -> None:
    """A cluster serves as an executor: order, failures, credentials and a sink are as anywhere."""
    urls = [f"{server.url}/{number}" for number in range(30)]
    with dask.get_executor() as cluster:
        results = list(fetch_all([*urls, f"{server.url}/lost"], executor=cluster, concurrency=2, auth=("user", "word")))
        sizes = list(fetch_all(urls, executor=cluster, sink=lambda result: (os.getpid(), len(result.unwrap().body))))

    assert [f"/{number}" for number in range(30)] == bodies(iter(results[:30]))
    assert isinstance(results[30].error, ConnectionLost)
    assert {"Basic dXNlcjp3b3Jk"} == {request.header("authorization") for request in server.requests[:31]}
    assert [len(f"/{number}") for number in range(30)] == [each.unwrap()[1] for each in sizes]
    assert os.getpid() not in {each.unwrap()[0] for each in sizes}


def test_dask_asks_as_often_as_it_is_told(server: Server, dask: Any) -> None:
    """It takes functions for pure, and would give two calls alike one answer; ours are not alike."""
    with dask.get_executor() as cluster:
        post = Request("POST", server.url, body=b"x")
        twice = zip(fetch_all([post], executor=cluster), fetch_all([post], executor=cluster), strict=True)
        assert [(None, None)] == [(one.error, other.error) for one, other in twice]

    assert 2 == len(server.requests)


def test_one_origin_for_a_cluster(dask: Any) -> None:
    """`per_origin` bounds what both workers together ask."""
    with Gate() as gate, Server(echo) as other, dask.get_executor() as cluster:
        held = [f"{gate.server.url}/held/{number}" for number in range(6)]
        free = [f"{other.url}/{number}" for number in range(6)]
        results = fetch_all(held + free, executor=cluster, per_origin=2, chunk=1, ordered=False)
        first = bodies(islice(results, len(free)))
        gate.server.wait_requests(2)

        assert sorted(f"/{number}" for number in range(6)) == sorted(first)
        assert 2 == len(gate.server.requests)
        gate.open()
        assert 6 == len(bodies(results))


# --- What it costs those who do not use it --------------------------------------------------------


def test_it_is_loaded_when_it_is_asked_for() -> None:
    """`import unifetch` does not load it, nor threads or pickles with it."""
    code = (
        "import sys, unifetch; print(*sys.modules); unifetch.fetch_all; assert 'unifetch.many.fetch_all' in sys.modules"
    )
    code = f"import sys; sys.path.insert(0, {str(Path(unifetch.__file__).parents[1])!r}); {code}"
    # -S: packages installed beside ours may load modules of their own as Python starts.
    loaded = subprocess.run([sys.executable, "-S", "-c", code], check=True, capture_output=True, text=True).stdout

    assert set() == {"unifetch.many.fetch_all", "unifetch.many.window", "concurrent.futures", "pickle"}.intersection(
        loaded.split()
    )


def test_nothing_is_lost_on_the_way_to_a_worker(server: Server) -> None:
    """A field that is dropped stays dropped, and a path that is sent as it is stays so."""
    url = unifetch.URL(f"{server.url}/a/../b", path_as_is=True)
    [result] = fetch_all([url], executor=ByPost(), headers={"User-Agent": None})

    assert result.error is None
    assert ("/a/../b", None) == (server.requests[-1].target, server.requests[-1].header("user-agent"))


@pytest.mark.parametrize("at_once", [1, 2])
def test_settings_of_the_process_are_no_arguments_on_a_worker(server: Server, at_once: int) -> None:
    """What `configure` has set for the origin of its base_url goes to no other, and a call adds its own params."""
    unifetch.configure(base_url=server.url, auth=("user", "s3cret"), headers={"X-Api-Key": "s3cret"})
    unifetch.configure(params={"api_key": "s3cret", "page": 1, "size": 5})
    with Server() as other:
        urls = ["/a", f"{other.url}/b"]
        results = fetch_all(urls, executor=ByPost(), params={"page": 2}, concurrency=at_once, per_origin=1)
        unifetch.client.config.PROCESS.settings = unifetch.client.settings.Settings()  # a worker has not configured it

        assert [None, None] == [result.error for result in results]
        [ours], [theirs] = server.requests, other.requests

    assert ("/a?api_key=s3cret&size=5&page=2", "s3cret") == (ours.target, ours.header("x-api-key"))
    assert ours.header("authorization") is not None
    assert "/b?size=5&page=2" == theirs.target
    assert [None, None] == [theirs.header("x-api-key"), theirs.header("authorization")]


def test_params_of_the_process_are_sent_once(server: Server) -> None:
    """Also as text, and by a worker in the process that has configured them."""
    unifetch.configure(params="a=1")
    results = list(fetch_all([server.url], executor=ByPost()))
    unifetch.client.config.PROCESS.settings = unifetch.client.settings.Settings()

    assert [None] == [result.error for result in results]
    assert ["/?a=1"] == [request.target for request in server.requests]
