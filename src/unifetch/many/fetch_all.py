"""Many requests: `fetch_all`, in threads of its own or by any executor, on this machine or on many.

A failure is a result like any other. URLs are drawn as results are taken (`window.py`), so that there may be no
end of them. Of an executor nothing is asked but `submit`, of a function of this module with plain data:

    urls ─► window ─► chunk ─► submit ─► fetch_chunk, on a worker: its process-wide client, `sink` ─► results

It is not a crawler: it knows no robots.txt and no pauses. `async_fetch_all.py` is the same, awaited.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextvars import copy_context
from functools import lru_cache, partial
from pickle import dumps
from typing import Any, Generic, TypeVar, overload

from ..client.base_client import absolute
from ..client.config import PROCESS, chosen_backend
from ..client.shared_client import SHARED
from ..errors import ConfigError, InvalidBody, InvalidRequest, InvalidSetting, InvalidURL, UnifetchError, evidence
from ..masking import REDACTED
from ..model.frozen import Value
from ..model.headers import NO_HEADERS, Headers
from ..model.messages import Request, Response
from ..model.url import URL
from .pickling import CANNOT_BE_PACKED, pack, unpack
from .window import Window

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Executor, Future
    from contextvars import Context
    from typing import TypeAlias, Unpack

    from ..client.arguments import CallArguments
    from ..client.settings import Settings
    from ..client.sync_client import Client
    from ..policies.limits import Limits
    from .window import Task

    Item: TypeAlias = "str | Request"
    Progress: TypeAlias = "Callable[[int, int | None], object]"
    Call: TypeAlias = "dict[str, Any]"
    Sink: TypeAlias = "Callable[[Result[Response[bytes]]], Any]"
    Shared: TypeAlias = "tuple[str, int, int | None, Call]"  # method, at once, to one origin, call
    Ask: TypeAlias = "tuple[int, str, Any]"  # the index, what to show of the URL, and what was given (or packed)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

THREADS = 32
CHUNKS = 32  # in a window


class Result(Value, Generic[T_co]):
    """What came of one URL: a value or an error; plain data that pickles.

    Attributes:
        index: which of the URLs it is, from 0.
        url: the URL as it was given, without userinfo.
        value: the response, or what `sink` made of it; None if there is an error.
        error: why there is none.
    """

    index: int
    url: str
    value: T_co | None
    error: Exception | None

    def __init__(self, index: int, url: str, *, value: T_co | None = None, error: Exception | None = None) -> None:
        vars(self).update(index=index, url=url, value=value, error=error)

    @property
    def response(self: Result[Response[bytes]]) -> Response[bytes] | None:
        """The response, whatever its status; None if there is an error, or if `sink` made something else of it."""
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
    urls: Iterable[Item],
    *,
    method: str = "GET",
    executor: Executor | None = None,
    concurrency: int | None = None,
    per_origin: int | None = None,
    ordered: bool = True,
    chunk: int | None = None,
    window: int | None = None,
    sink: None = None,
    progress: Progress | None = None,
    client: Client | None = None,
    **call: Unpack[CallArguments],
) -> Generator[Result[Response[bytes]], None, None]: ...


@overload
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
    sink: Callable[[Result[Response[bytes]]], T],
    progress: Progress | None = None,
    client: Client | None = None,
    **call: Unpack[CallArguments],
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
    """Ask for many URLs at once; an iterator over what came of each.

    It draws URLs as its results are taken, and is over when it is closed, too: what waits is cancelled then; what
    its own threads have begun is awaited, what an executor's workers have begun they end.

    Args:
        urls: URLs, and `Request`s for whatever has a method, fields or a body of its own. There may be no end of them.
        method: the method of those that are URLs.
        executor: who asks: anything with the `submit` of `concurrent.futures.Executor`. It stays yours to shut down.
            None starts threads, which are gone at the end.
        concurrency: requests at once: in all, 32 by default, or with an executor in each of its tasks, one after
            the other by default. Without an executor never more than the client's `Limits` allow.
        per_origin: requests at once to one origin, those of all workers together; where redirects lead is not counted.
        ordered: whether results come in the order of their URLs, or as they are there.
        chunk: URLs in one task of an executor; by default 4 for each that it asks at once.
        window: URLs that are drawn and not yet given, at most; by default 4 for each request at once, or 32 chunks.
        sink: called with each `Result` that has a response, in the thread or on the worker that asked. What it returns
            takes the place of the response, so that a large body need not travel; what it raises is the error.
        progress: called as `progress(done, total)`, in the thread that takes the results; `total` is None where `urls`
            has no length. What it raises ends the iteration.
        client: whose connections to use; by default those of the module's functions. Not with an executor.
        **call: what every call accepts, for all of them. With an executor, the settings of `configure`, but its
            listeners, and the chosen backend go along, by its name. Credentials do, too, as they are.

    Raises:
        InvalidSetting: for a bound that is no positive whole number, an unknown setting, or one that will not do.
        ConfigError: with an executor, for what cannot be sent to another process.
    """
    check(urls, concurrency=concurrency, per_origin=per_origin, chunk=chunk, window=window)
    total = len(urls) if isinstance(urls, Sized) else None
    if executor is None:
        if chunk is not None:
            raise InvalidSetting("chunk: goes with an executor; a thread takes one URL after the other")
        client = SHARED if client is None else client
        ready = prepared(client.settings, call)
        backend = client._backend(call.get("backend"))  # one that cannot be had is refused here, not once for each URL
        if "backend" in ready:
            ready["backend"] = backend
        threads, per_origin = within(client.settings.limits, concurrency or THREADS, per_origin)
        waiting: Window[Ask, Result[Any]] = Window(
            window or 4 * threads, tasks=threads, per_origin=per_origin, ordered=ordered
        )
        asks = asks_of(urls, origins(ready.get("base_url", client.settings.base_url), per_origin))
        ask = partial(_ask, client, method, ready, sink)
        return _in_threads(asks, waiting, ask, threads, copy_context(), progress, total)

    if client is not None:
        raise ConfigError("client: is of this process; to an executor, give its settings instead")
    at_once = concurrency or 1
    size = chunk or 4 * at_once
    ready = _for_workers(call)
    shared = _packed_settings((method, at_once, per_origin, ready))
    waiting = Window(window or CHUNKS * size, chunk=size, at_once=at_once, per_origin=per_origin, ordered=ordered)
    ticket = os.urandom(8)  # Dask takes two submissions of the same for one

    def submit(chunk: list[Ask]) -> Future[list[Result[Any]]]:
        return executor.submit(fetch_chunk, shared, pack((ticket, chunk)), sink)

    asks = asks_of(urls, origins(ready.get("base_url"), per_origin), _packed)
    return _results(asks, waiting, submit, progress, total)


# --- Before the first request ---------------------------------------------------------------------


def check(urls: object, **bounds: int | None) -> None:
    """Refuse what would fail for each URL.

    Raises:
        InvalidRequest: for one URL in place of many.
        InvalidSetting: for a bound that is no positive whole number.
    """
    if isinstance(urls, (str, bytes)):
        raise InvalidRequest("urls must be an iterable of URLs, not one URL")
    for name, bound in bounds.items():
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int) or bound < 1):
            raise InvalidSetting(f"{name} must be a positive whole number, not {bound!r}")


def prepared(settings: Settings, call: Mapping[str, Any]) -> Call:
    """The arguments of a call, for many: checked and parsed once, and none of them used up by the first.

    Raises:
        InvalidSetting: for an unknown name or a value that will not do; it names the key.
    """
    for name in ("body", "json", "form", "files"):
        if name in call:
            raise InvalidSetting(f"{name}: is not for all URLs; give a Request with a body in the place of a URL")
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
    """Both bounds, brought down to what the client would let pass, so that no request waits in its queue in vain."""
    concurrency = min(concurrency, limits.connections or concurrency)
    each = min(per_origin or concurrency, limits.connections_per_origin or concurrency)
    return concurrency, each if each < concurrency else None


def origins(base: URL | None, per_origin: int | None) -> Callable[[Item], str]:
    """What tells the origin that a URL asks; it is worked out only where there is a bound on it."""

    def origin_of(item: Item) -> str:
        if isinstance(item, Request):
            return item.url.origin
        try:
            return absolute(item, base, None).origin
        except InvalidRequest:  # it will ask nobody
            return ""

    return origin_of if per_origin is not None else lambda item: ""


def asks_of(
    urls: Iterable[Item], origin_of: Callable[[Item], str], pack: Callable[[Item], object] = lambda item: item
) -> Iterator[tuple[Ask, str] | Result[Any]]:
    """What to ask for each URL, and whom; for one that cannot be asked, its result."""
    for index, item in enumerate(urls):
        yield ask_of(index, item, origin_of, pack)


def ask_of(
    index: int, item: Item, origin_of: Callable[[Item], str], pack: Callable[[Item], object] = lambda item: item
) -> tuple[Ask, str] | Result[Any]:
    """What to ask for one URL, and whom; if it cannot be asked, its result."""
    shown = _shown(item)
    try:
        return (index, shown, pack(item)), origin_of(item)
    except InvalidRequest as error:
        return Result(index, shown, error=error)


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


def request_of(method: str, item: Item, call: Call) -> tuple[str, str, Call]:
    """The arguments of `client.request`."""
    if not isinstance(item, Request):
        return method, item, call
    headers = call.get("headers", NO_HEADERS).merged(item.headers)
    content = {name: vars(item).get(name) for name in ("body", "json", "form", "files")}
    return item.method, item.url, {**call, "headers": headers, **content}


def _ask(client: Client, method: str, call: Call, sink: Sink | None, ask: Ask) -> Result[Any]:
    index, shown, item = ask
    try:
        method, url, call = request_of(method, item, call)
        result: Result[Any] = Result(index, shown, value=client.request(method, url, **call))
        return result if sink is None else Result(index, shown, value=sink(result))
    except Exception as error:  # noqa: BLE001  # one failure, whosever it is, does not end the rest
        return Result(index, shown, error=error)


def _each(ask: Callable[[Ask], Result[Any]], asks: list[Ask]) -> list[Result[Any]]:
    return [ask(each) for each in asks]


def _in_threads(
    asks: Iterator[tuple[Ask, str] | Result[Any]],
    waiting: Window[Ask, Result[Any]],
    ask: Callable[[Ask], Result[Any]],
    threads: int,
    context: Context,
    progress: Progress | None = None,
    total: int | None = None,
) -> Generator[Result[Any], None, None]:
    from concurrent.futures import ThreadPoolExecutor

    def submit(asks: list[Ask]) -> Future[list[Result[Any]]]:
        # The caller's context goes along: its use_backend, and the span that requests belong to.
        return pool.submit(context.copy().run, _each, ask, asks)

    with ThreadPoolExecutor(threads, "unifetch.fetch_all") as pool:
        yield from _results(asks, waiting, submit, progress, total)


def _results(
    asks: Iterator[tuple[Ask, str] | Result[Any]],
    waiting: Window[Ask, Result[Any]],
    submit: Callable[[list[Ask]], Future[list[Result[Any]]]],
    progress: Progress | None = None,
    total: int | None = None,
) -> Generator[Result[Any], None, None]:
    from queue import SimpleQueue

    arrived: SimpleQueue[Future[list[Result[Any]]]] = SimpleQueue()
    running: dict[Future[list[Result[Any]]], Task[Ask]] = {}
    done = Done(progress, total)
    try:
        while True:
            yield from waiting.due()
            if waiting.draws:
                done.count(draw(next(asks, None), waiting))
            elif running:
                done.count(_settle(arrived.get(), running, waiting))
            else:
                return
            while not arrived.empty():
                done.count(_settle(arrived.get(), running, waiting))
            while (task := waiting.take()) is not None:
                future = submit(task.items)
                running[future] = task
                future.add_done_callback(arrived.put)
    finally:
        for future in running:
            future.cancel()


def draw(ask: tuple[Ask, str] | Result[Any] | None, waiting: Window[Ask, Result[Any]]) -> int:
    """Take in what was drawn, None being the end; how many results came of it."""
    if ask is None:
        waiting.end()
    elif isinstance(ask, Result):
        waiting.add_done(ask)
        return 1
    else:
        waiting.add(*ask)
    return 0


def _settle(
    future: Future[list[Result[Any]]],
    running: dict[Future[list[Result[Any]]], Task[Ask]],
    waiting: Window[Ask, Result[Any]],
) -> int:
    task = running.pop(future)
    try:
        results = future.result()
    except Exception as error:  # noqa: BLE001  # of the executor: a worker that died, a sink that it could not send
        results = [Result(index, shown, error=error) for index, shown, _ in task.items]
    waiting.finish(task, results)
    return len(results)


class Done:
    """Tells how far it is."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def count(self, more: int) -> None:
        """So many results more are there."""
        for _ in range(more):
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)


# --- On a worker ----------------------------------------------------------------------------------


def fetch_chunk(shared: bytes, chunk: bytes, sink: Sink | None) -> list[Result[Any]]:
    """Ask for the URLs of a chunk, with the connections of this process; what an executor is handed."""
    method, at_once, per_origin, call = _unpacked_settings(shared)
    _, asks = unpack(chunk)
    asks = [(index, shown, unpack(item) if isinstance(item, bytes) else item) for index, shown, item in asks]
    client = SHARED
    ask = partial(_ask, client, method, call, sink)
    if at_once == 1:
        results = _each(ask, asks)
    else:
        threads, per_origin = within(client.settings.limits, min(at_once, len(asks)), per_origin)
        waiting: Window[Ask, Result[Any]] = Window(len(asks), tasks=threads, per_origin=per_origin)
        origin_of = origins(call.get("base_url"), per_origin)
        whom = ((each, origin_of(each[2])) for each in asks)
        results = list(_in_threads(whom, waiting, ask, threads, copy_context()))
    return [result if result.error is None else result.replace(error=_portable(result.error)) for result in results]


def _portable(error: Exception) -> Exception:
    # What it came of stays here, as with every pickle; but where Dask is imported, causes are pickled, too (by tblib),
    # and those of a library hold pools and sockets.
    error.__cause__ = error.__context__ = error.__traceback__ = None
    if isinstance(error, UnifetchError):
        return error
    # One that cannot be revived would break a process pool, and so end the rest.
    try:
        unpack(dumps(error))
    except Exception:  # noqa: BLE001  # a foreign class may do anything there
        return UnifetchError(f"{type(error).__name__}: {evidence(str(error))}")
    return error


# --- What goes to a worker ------------------------------------------------------------------------


def _for_workers(call: Mapping[str, Any]) -> Call:
    settings = PROCESS.settings
    ready = prepared(settings, call)
    backend = ready.get("backend") or chosen_backend()[0]
    if not isinstance(backend, str):
        raise ConfigError(f"backend: a {type(backend).__name__} is of this process; to an executor, name a backend")
    headers = settings.headers.merged(ready.get("headers", NO_HEADERS))
    ready = {**vars(settings), **ready, "headers": headers, "backend": backend}
    ready.pop("listeners", None)  # they are of this process, too; those of a worker are told
    return ready


def _packed_settings(shared: Shared) -> bytes:
    for name, value in shared[3].items():
        try:
            pack(value)
        except CANNOT_BE_PACKED as error:
            raise ConfigError(f"{name}: what was given cannot be sent to another process") from error
    return pack(shared)


@lru_cache(4)
def _unpacked_settings(shared: bytes) -> Shared:
    unpacked: Shared = unpack(shared)
    return unpacked


def _packed(item: Item) -> str | bytes:
    # Only what is packed here is unpacked on a worker: bytes that somebody gives for a URL are not.
    if isinstance(item, str) and not isinstance(item, URL):
        return str(item)
    if not isinstance(item, (str, Request)):
        raise InvalidURL(f"a URL must be str, not {type(item).__name__}")
    try:
        return pack(item)
    except CANNOT_BE_PACKED as error:
        raise InvalidBody("a body that is a stream cannot be sent to another process; read it into bytes") from error
