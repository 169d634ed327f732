"""Many requests: `fetch_all`, in its own threads or by any executor, on one machine or many.

A failure is a result like any other. URLs are drawn as results are taken (`window.py`), so there may be endlessly many.
An executor needs nothing but `submit`; it gets a function of this module, and plain data:

    urls ─► window ─► chunk ─► submit ─► fetch_chunk, on a worker: its process-wide client, `sink` ─► results

It is not a crawler: it has no robots.txt and no pauses. `async_fetch_all.py` is the same, awaited.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextvars import copy_context
from functools import lru_cache, partial
from itertools import count
from pickle import dumps
from typing import Any, Generic, TypeVar, overload

from ..client.base_client import absolute, check_arguments
from ..client.config import PROCESS, chosen_backend
from ..client.shared_client import SHARED
from ..client.sync_client import Client
from ..errors import (
    ConfigError,
    InvalidBody,
    InvalidRequest,
    InvalidSetting,
    InvalidURL,
    UnifetchError,
    evidence,
    shown,
)
from ..masking import REDACTED
from ..model.frozen import Record
from ..model.headers import Headers
from ..model.messages import Request, Response
from ..model.url import URL
from ..policies.bodies import check_callable
from .pickling import CANNOT_BE_PACKED, pack, unpack
from .window import Window

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Executor, Future
    from contextvars import Context
    from queue import SimpleQueue
    from typing import TypeAlias, Unpack

    from ..client.arguments import CallArguments
    from ..client.base_client import BaseClient
    from ..client.settings import Settings
    from ..policies.limits import Limits
    from .window import Task

    Item: TypeAlias = "str | Request"
    Progress: TypeAlias = "Callable[[int, int | None], object]"
    Call: TypeAlias = "dict[str, Any]"
    Sink: TypeAlias = "Callable[[Result[Response[bytes]]], Any]"
    Shared: TypeAlias = "tuple[str, int, int | None, Call, Call]"  # method, at once, to one origin, settings, call
    Ask: TypeAlias = "tuple[int, str, Any]"  # the index, the URL as it is shown, and what was given (or packed)
    Batch: TypeAlias = "Future[list[Result[Any]]]"

    class _FetchArguments(CallArguments, total=False):
        method: str
        executor: Executor | None
        concurrency: int | None
        per_origin: int | None
        ordered: bool
        chunk: int | None
        window: int | None
        progress: Progress | None
        client: Client | None


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

THREADS = 32
_LOOK = 1.0  # seconds after which whoever waits looks whether the threads are still there
CHUNKS = 32  # in a window


class Result(Record, Generic[T_co]):
    """What came of one URL: a value or an error; plain data that pickles.

    Attributes:
        index: the position of the URL, from 0.
        url: the URL as it was given, without userinfo.
        value: the response, or what `sink` made of it; None if there is an error.
        error: why there is no value.
    """

    index: int
    url: str
    value: T_co | None = None
    error: Exception | None = None

    @property
    def response(self: Result[Response[bytes]]) -> Response[bytes] | None:
        """The response, whatever its status; None after an error, or if `sink` made something else of it."""
        return self.value if isinstance(self.value, Response) else None

    def unwrap(self) -> T_co:
        """The response, or what `sink` made of it.

        Raises:
            Exception: the error, if that is what came.
        """
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # no error, so there is one, be it a sink's own None


# --- The call -------------------------------------------------------------------------------------


@overload
def fetch_all(
    urls: Iterable[Item], *, sink: None = None, **arguments: Unpack[_FetchArguments]
) -> Generator[Result[Response[bytes]], None, None]: ...


@overload
def fetch_all(
    urls: Iterable[Item], *, sink: Callable[[Result[Response[bytes]]], T], **arguments: Unpack[_FetchArguments]
) -> Generator[Result[T], None, None]: ...


def fetch_all(
    urls: Iterable[Item],
    *,
    method: str = "GET",
    executor: Executor | None = None,
    concurrency: int | None = None,
    per_origin: int | None = None,
    ordered: bool = True,
    chunk: int | None = None,
    window: int | None = None,
    sink: Callable[[Result[Response[bytes]]], Any] | None = None,
    progress: Progress | None = None,
    client: Client | None = None,
    **call: Unpack[CallArguments],
) -> Generator[Result[Any], None, None]:
    """Fetch many URLs at once; an iterator over what came of each.

    It draws URLs as its results are taken. When it ends or is closed, what waits is cancelled; what its own threads
    have begun is awaited, and what an executor's workers have begun they finish.

    Args:
        urls: URLs, or `Request`s for those with a method, fields or a body of their own. There may be no end of them.
        method: the method of those that are URLs.
        executor: who fetches: anything with the `submit` of `concurrent.futures.Executor`. You shut it down. None
            starts threads, which end with the iterator.
        concurrency: the most requests at once: in all (32 by default), or with an executor in each of its tasks (1 by
            default). Without an executor the client's `Limits` apply as well.
        per_origin: the most requests at once to one origin, by all workers together; redirects are not counted.
        ordered: whether results come in the order of their URLs, or as soon as they are there.
        chunk: URLs in one task of an executor; by default 4 for each request at once.
        window: the most URLs that are drawn and not yet given; by default 4 for each request at once, or 32 chunks.
        sink: called with each `Result` that has a response, in the thread or on the worker that fetched it. What it
            returns replaces the response, so that a large body need not travel; what it raises is the error.
        progress: called as `progress(done, total)`, in the thread that takes the results; `total` is None where `urls`
            has no length. What it raises ends the iteration.
        client: whose connections to use; by default those of the module's functions. Not with an executor.
        **call: what every call accepts, for all of them. To an executor go also the settings of `configure` (without
            its listeners) and the name of the chosen backend, with credentials as they are.

    Raises:
        InvalidSetting: for a bound that is no positive whole number, an unknown setting, or a value out of range.
        ConfigError: with an executor, for what cannot be sent to another process.
    """
    check(
        "fetch_all()",
        call,
        urls,
        sink=sink,
        progress=progress,
        concurrency=concurrency,
        per_origin=per_origin,
        chunk=chunk,
        window=window,
    )
    how: dict[str, Any] = {"ordered": ordered, "progress": progress, "total": length_of(urls)}
    waiting: Window[Ask, Result[Any]]
    if executor is None:
        if chunk is not None:
            raise InvalidSetting("chunk: goes with an executor; a thread takes one URL after the other")
        if client is not None and not isinstance(client, Client):
            raise InvalidSetting(f"client: a Client, not {type(client).__name__}; aio.fetch_all takes an AsyncClient")
        client = SHARED if client is None else client
        ready = call_of(client, call)
        threads, per_origin = within(client.settings.limits, concurrency or THREADS, per_origin)
        waiting = Window(window or 4 * threads, tasks=threads, per_origin=per_origin, **how)
        take_in = taker(waiting, ready.get("base_url", client.settings.base_url), per_origin)
        ask = partial(_ask, client, method, ready, sink)
        return _in_threads(iter(urls), take_in, waiting, ask, copy_context())

    if client is not None:
        raise ConfigError("client: is of this process; to an executor, give its settings instead")
    if not callable(getattr(executor, "submit", None)):
        kind = type(executor).__name__
        raise InvalidSetting(f"executor: must have submit(), as those of concurrent.futures have, not be a {kind}")
    at_once = concurrency or 1
    size = chunk or 4 * at_once
    settings, ready = _for_workers(call)
    shared = _packed_settings((method, at_once, per_origin, settings, ready))
    waiting = Window(window or CHUNKS * size, chunk=size, at_once=at_once, per_origin=per_origin, **how)
    ticket = os.urandom(8)  # without it, Dask would take two equal submissions for one

    def submit(chunk: list[Ask]) -> Batch:
        return executor.submit(fetch_chunk, shared, pack((ticket, chunk)), sink)

    take_in = taker(waiting, ready.get("base_url", PROCESS.settings.base_url), per_origin, _packed)
    return _results(iter(urls), take_in, waiting, submit)


# --- Before the first request ---------------------------------------------------------------------


def check(
    name: str,
    call: Mapping[str, Any],
    urls: object,
    *,
    sink: object = None,
    progress: object = None,
    **bounds: int | None,
) -> None:
    """Refuse one URL instead of many (`InvalidRequest`); a bound that is no positive integer, and an argument that the
    call of this name does not take (`InvalidSetting`)."""
    if isinstance(urls, (str, bytes)):
        raise InvalidRequest("urls must be an iterable of URLs, not one URL")
    if not isinstance(urls, Iterable) and not hasattr(urls, "__aiter__"):
        raise InvalidRequest(f"urls must be an iterable of URLs, not {type(urls).__name__}")
    for each, function, arguments in (("sink", sink, "result"), ("progress", progress, "done, total")):
        if function is not None:
            check_callable(each, function, arguments)
    for each, bound in bounds.items():
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int) or bound < 1):
            raise InvalidSetting(f"{each} must be a positive whole number, not {shown(bound)}")
    for each in ("body", "json", "form", "files"):
        if each in call:
            raise InvalidSetting(f"{each}: is not for all URLs; give a Request with a body in the place of a URL")
    check_arguments(name, call)


def length_of(urls: object) -> int | None:
    """How many URLs there are; None if nobody knows before their end."""
    return len(urls) if isinstance(urls, Sized) else None


def call_of(client: BaseClient, call: Mapping[str, Any]) -> Call:
    """What `prepared` gives, with the backend itself: if it cannot be had, that is one error, not one for each URL."""
    ready = prepared(client.settings, call)
    backend = client._backend(call.get("backend"))
    return {**ready, "backend": backend} if "backend" in ready else ready


def prepared(settings: Settings, call: Mapping[str, Any]) -> Call:
    """The arguments of a call, for many calls: checked and parsed once, and not used up by the first.

    Raises `InvalidSetting` for a value of the wrong type or range; it names the key.
    """
    changes = {name: value for name, value in call.items() if name not in _NO_SETTINGS}
    changed = settings.replace(**changes)
    ready = {**call, **{name: getattr(changed, name) for name in changes}}
    for name in ("headers", "trailers"):
        if name in ready:
            ready[name] = Headers(ready[name])
    if isinstance(ready.get("params"), Iterator):
        ready["params"] = tuple(ready["params"])
    return ready


_NO_SETTINGS = {"params", "headers", "cookies", "trailers", "backend"}


def within(limits: Limits, concurrency: int, per_origin: int | None) -> tuple[int, int | None]:
    """Both bounds, reduced to what the client allows, so that no request times out in its queue."""
    concurrency = min(concurrency, limits.connections or concurrency)
    each = min(per_origin or concurrency, limits.connections_per_origin or concurrency)
    return concurrency, each if each < concurrency else None


def taker(
    waiting: Window[Ask, Result[Any]],
    base: URL | None,
    per_origin: int | None,
    pack: Callable[[Item], object] = lambda item: item,
) -> Callable[[Any], None]:
    """What takes each URL into the window as it is drawn, and `END` after the last; a bad one is a result at once."""
    indices = count()

    def take_in(item: Any) -> None:
        if item is END:
            waiting.end()
            return
        index, shown = next(indices), _shown(item)
        try:
            waiting.add((index, shown, pack(item)), "" if per_origin is None else _origin(item, base))
        except InvalidRequest as error:
            waiting.add_done(Result(index, shown, error=error))

    return take_in


END = object()


def _origin(item: Item, base: URL | None) -> str:
    if isinstance(item, Request):
        return item.url.origin
    try:
        return absolute(item, base, None).origin
    except InvalidRequest:  # it will not be sent
        return ""


def _shown(item: object) -> str:
    if isinstance(item, Request):
        return str(item.url)
    if not isinstance(item, str):
        return f"<{type(item).__name__}>"
    if "@" not in item:
        return str(item)
    try:
        url = URL(item)
    except InvalidURL:
        return f"{REDACTED}@{item.rpartition('@')[2]}"
    return str(item if url.username is None else url)


# --- Asking ---------------------------------------------------------------------------------------


def _ask(client: Client, method: str, call: Call, sink: Sink | None, ask: Ask) -> Result[Any]:
    index, shown, item = ask
    try:
        sent = client.send(item, **call) if isinstance(item, Request) else client.request(method, item, **call)
        result: Result[Any] = Result(index, shown, value=sent)
        return result if sink is None else Result(index, shown, value=sink(result))
    except Exception as error:  # noqa: BLE001  # one failure, whatever its cause, does not end the rest
        return Result(index, shown, error=error)


def _in_threads(
    urls: Iterator[Item],
    take_in: Callable[[Any], None],
    waiting: Window[Ask, Result[Any]],
    ask: Callable[[Ask], Result[Any]],
    context: Context,
) -> Generator[Result[Any], None, None]:
    from .threads import Results, Threads

    threads = Threads()

    def submit(asks: list[Ask]) -> Batch:
        # The caller's context goes along: its use_backend, and the span that requests belong to.
        return threads.submit(partial(context.copy().run, lambda: [ask(each) for each in asks]))

    return Results(_results(urls, take_in, waiting, submit, threads.is_lost), threads)


def _results(
    urls: Iterator[Item],
    take_in: Callable[[Any], None],
    waiting: Window[Ask, Result[Any]],
    submit: Callable[[list[Ask]], Batch],
    is_lost: Callable[[Batch], bool] = lambda future: False,
) -> Generator[Result[Any], None, None]:
    from queue import Empty, SimpleQueue

    arrived: SimpleQueue[Batch] = SimpleQueue()
    running: dict[Batch, Task[Ask]] = {}
    try:
        while True:
            while (task := waiting.take()) is not None:
                _begin(task, submit, running, arrived)
            yield from waiting.due()
            if waiting.draws:
                take_in(next(urls, END))
            elif running:
                try:
                    _settle(arrived.get(timeout=_LOOK), running, waiting)
                except Empty:
                    for each in [future for future in running if is_lost(future)]:
                        _settle(each, running, waiting)
            else:
                return
            while not arrived.empty():
                _settle(arrived.get(), running, waiting)
    finally:
        for future in running:
            future.cancel()


def _begin(
    task: Task[Ask], submit: Callable[[list[Ask]], Batch], running: dict[Batch, Task[Ask]], arrived: SimpleQueue[Batch]
) -> None:
    future = submit(task.items)
    running[future] = task
    future.add_done_callback(arrived.put)


def _settle(future: Batch, running: dict[Batch, Task[Ask]], waiting: Window[Ask, Result[Any]]) -> None:
    task = running.pop(future, None)
    if task is None:  # it was lost, and has come after all
        return
    try:
        results = future.result()
    except Exception as error:  # noqa: BLE001  # of the executor: a worker that died, a sink that it could not send
        results = [Result(index, shown, error=error) for index, shown, _ in task.items]
    finally:
        del future  # an error of its own that is raised here would hold this frame, and so itself and a connection
    waiting.finish(task, results)


# --- On a worker ----------------------------------------------------------------------------------


def fetch_chunk(shared: bytes, chunk: bytes, sink: Sink | None) -> list[Result[Any]]:
    """Fetch the URLs of a chunk with the connections of this process; an executor is given this function."""
    client, method, at_once, per_origin, call = _unpacked_settings(SHARED, shared)
    _, asks = unpack(chunk)
    asks = [(index, shown, unpack(item) if isinstance(item, bytes) else item) for index, shown, item in asks]
    ask = partial(_ask, client, method, call, sink)
    if at_once == 1:
        results = [ask(each) for each in asks]
    else:
        threads, per_origin = within(client.settings.limits, min(at_once, len(asks)), per_origin)
        waiting: Window[Ask, Result[Any]] = Window(len(asks), tasks=threads, per_origin=per_origin)
        for each in asks:
            base = call.get("base_url", client.settings.base_url)
            waiting.add(each, "" if per_origin is None else _origin(each[2], base))
        waiting.end()
        results = list(_in_threads(iter(()), waiting.add, waiting, ask, copy_context()))
    return [result if result.error is None else result.replace(error=_portable(result.error)) for result in results]


def _portable(error: Exception) -> Exception:
    # The cause stays here, as with every pickle; but where Dask is imported, causes are pickled, too (by tblib), and
    # those of a library hold pools and sockets.
    error.__cause__ = error.__context__ = error.__traceback__ = None
    if isinstance(error, UnifetchError):
        return error
    # One that cannot be unpickled would break a process pool, and so end the rest.
    try:
        unpack(dumps(error))
    except Exception:  # noqa: BLE001  # a foreign class may do anything there
        return UnifetchError(f"{type(error).__name__}: {evidence(str(error))}")
    return error


# --- What goes to a worker ------------------------------------------------------------------------


def _for_workers(call: Mapping[str, Any]) -> tuple[Call, Call]:
    """The settings of this process, whose credentials are for one origin, and the arguments of each call."""
    ready = prepared(PROCESS.settings, call)
    backend = ready.get("backend") or chosen_backend()[0]
    if not isinstance(backend, str):
        raise ConfigError(f"backend: a {type(backend).__name__} is of this process; to an executor, name a backend")
    # The listeners belong to this process, too; a worker has its own.
    settings = {name: value for name, value in vars(PROCESS.settings).items() if name != "listeners"}
    return settings, {**ready, "backend": backend}


def _packed_settings(shared: Shared) -> bytes:
    for name, value in (*shared[3].items(), *shared[4].items()):
        try:
            pack(value)
        except CANNOT_BE_PACKED as error:
            raise ConfigError(f"{name}: what was given cannot be sent to another process") from error
    return pack(shared)


@lru_cache(4)
def _unpacked_settings(client: Client, shared: bytes) -> tuple[Client, str, int, int | None, Call]:
    method, at_once, per_origin, settings, call = unpack(shared)
    if settings.get("params") == client.settings.params:  # it is the same process, which must not say them twice
        settings.pop("params", None)
    return client.with_(**settings), method, at_once, per_origin, call


def _packed(item: Item) -> str | bytes:
    # Only what is packed here is unpacked on a worker, never bytes that somebody passes as a URL.
    if isinstance(item, str) and not isinstance(item, URL):
        return str(item)
    if not isinstance(item, (str, Request)):
        raise InvalidURL(f"a URL must be str, not {type(item).__name__}")
    try:
        return pack(item)
    except CANNOT_BE_PACKED as error:
        raise InvalidBody("a body that is a stream cannot be sent to another process; read it into bytes") from error
