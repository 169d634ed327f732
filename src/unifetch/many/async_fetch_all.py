"""Many requests, awaited: `fetch_all`, as tasks of the event loop that runs, asyncio's or trio's.

`fetch_all.py` is the same for threads and executors, and the window with its bounds is that of both. What is begun
belongs to the iterator: it waits for nothing but its tasks, and none of them is left when it ends.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterable, Iterable, Sized
from contextvars import copy_context
from functools import partial
from typing import Any

from ..client.async_shared_client import shared
from ..client.event_loops import in_trio
from .fetch_all import Done, Result, ask_of, check, draw, origins, prepared, request_of, within
from .window import Window

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from typing import Unpack

    from ..client.arguments import CallArguments
    from ..client.async_client import AsyncClient
    from ..model.messages import Response
    from .fetch_all import Ask, Call, Item, Progress
    from .window import Task

TASKS = 100


def fetch_all(
    urls: Iterable[Item] | AsyncIterable[Item],
    *,
    method: str = "GET",
    concurrency: int = TASKS,
    per_origin: int | None = None,
    ordered: bool = True,
    window: int | None = None,
    progress: Progress | None = None,
    client: AsyncClient | None = None,
    **call: Unpack[CallArguments],
) -> AsyncGenerator[Result[Response[bytes]], None]:
    """Ask for many URLs at once; an asynchronous iterator over what came of each.

    It draws URLs as its results are taken. When it ends or is closed (`aclose`, for which there is
    `contextlib.aclosing`), the requests that are under way are cancelled, and their tasks have ended.

    Args:
        urls: URLs, and `Request`s for whatever has a method, fields or a body of its own; also an asynchronous iterable
            of them, which may wait for the next while results are given. There may be no end of them.
        method: the method of those that are URLs.
        concurrency: requests at once; never more than the client's `Limits` allow.
        per_origin: requests at once to one origin; where redirects lead is not counted.
        ordered: whether results come in the order of their URLs, or as they are there.
        window: URLs that are drawn and not yet given, at most; by default 4 for each request at once.
        progress: called as `progress(done, total)`, in the task that takes the results; `total` is None where `urls`
            has no length. What it raises ends the iteration.
        client: whose connections to use; by default those of this module's functions in this event loop.
        **call: what every call accepts, for all of them.

    Raises:
        InvalidSetting: for a bound that is no positive whole number, an unknown setting, or one that will not do.
    """
    check(urls, concurrency=concurrency, per_origin=per_origin, window=window)
    if client is None:
        client = shared()
    ready = prepared(client.settings, call)
    backend = client._backend(call.get("backend"))  # one that cannot be had is refused here, not once for each URL
    if "backend" in ready:
        ready["backend"] = backend
    concurrency, per_origin = within(client.settings.limits, concurrency, per_origin)
    waiting: Window[Ask, Result[Any]] = Window(
        window or 4 * concurrency, tasks=concurrency, per_origin=per_origin, ordered=ordered
    )
    origin_of = origins(ready.get("base_url", client.settings.base_url), per_origin)
    done = Done(progress, len(urls) if isinstance(urls, Sized) else None)
    return _results(urls, waiting, partial(_ask, client, method, ready), origin_of, done)


async def _ask(client: AsyncClient, method: str, call: Call, ask: Ask) -> Result[Any]:
    index, shown, item = ask
    try:
        method, url, call = request_of(method, item, call)
        return Result(index, shown, value=await client.request(method, url, **call))
    except Exception as error:  # noqa: BLE001  # one failure, whosever it is, does not end the rest
        return Result(index, shown, error=error)


async def _results(
    urls: Iterable[Item] | AsyncIterable[Item],
    waiting: Window[Ask, Result[Any]],
    ask: Callable[[Ask], Awaitable[Result[Any]]],
    origin_of: Callable[[Item], str],
    done: Done,
) -> AsyncGenerator[Result[Any], None]:
    crew = _TrioCrew() if in_trio() else _AsyncioCrew()
    source = _Awaited(urls, crew) if isinstance(urls, AsyncIterable) else _AtHand(urls, crew)
    index = running = 0

    async def run(task: Task[Ask]) -> None:
        crew.tell(task, await ask(task.items[0]))

    try:
        while True:
            for result in waiting.due():
                yield result
            if waiting.draws and not source.is_drawing:
                source.draw()
            elif running or source.is_drawing:
                await crew.listen()
            else:
                return
            while crew.told:
                who, what = crew.told.popleft()
                if who is None:
                    raise what
                if who is source:
                    source.is_drawing = False
                    done.count(draw(None if what is _END else ask_of(index, what, origin_of), waiting))
                    index += 1
                else:
                    running -= 1
                    waiting.finish(who, [what])
                    done.count(1)
            while (task := waiting.take()) is not None:
                running += 1
                crew.begin(run, task)
    finally:
        await crew.dismiss()


# --- Where URLs come from -------------------------------------------------------------------------

_END = object()


class _AtHand:
    """URLs that can be had at once."""

    def __init__(self, urls: Iterable[Item], crew: _Crew) -> None:
        self._urls = iter(urls)
        self._crew = crew
        self.is_drawing = False

    def draw(self) -> None:
        """Have the next one told, or that there is none."""
        self.is_drawing = True
        self._crew.tell(self, next(self._urls, _END))


class _Awaited:
    """URLs that have to be awaited: by one task from the first to the last, as who makes them may expect."""

    def __init__(self, urls: AsyncIterable[Item], crew: _Crew) -> None:
        self._urls = urls
        self._crew = crew
        self._more = crew.new_event()
        self._has_begun = self.is_drawing = False

    def draw(self) -> None:
        """Have the next one told once it is there, or that there is none."""
        self.is_drawing = True
        if self._has_begun:
            self._more.set()
        else:
            self._has_begun = True
            self._crew.begin(self._draw_all)

    async def _draw_all(self) -> None:
        async for item in self._urls:
            self._crew.tell(self, item)
            await self._more.wait()
            self._more = self._crew.new_event()
        self._crew.tell(self, _END)


# --- Who works ------------------------------------------------------------------------------------


class _Crew:
    """Tasks that outlive none but their iterator.

    Not a task group or a nursery: those must not be left open where a generator yields.

    Attributes:
        told: by whom, and what; by None, the error with which a task has ended.
    """

    new_event: Callable[[], Any]

    def __init__(self) -> None:
        self.told: deque[tuple[Any, Any]] = deque()
        self._news = self.new_event()

    def tell(self, who: object, what: object) -> None:
        """Say something to the iterator."""
        self.told.append((who, what))
        self._news.set()

    async def listen(self) -> None:
        """Wait until something is told, or a task ends."""
        await self._news.wait()
        self._news = self.new_event()

    def begin(self, work: Callable[..., Awaitable[None]], *given: Any) -> None:
        """Begin a task."""
        raise NotImplementedError

    async def dismiss(self) -> None:
        """Cancel all tasks, and wait until they have ended."""
        raise NotImplementedError


class _AsyncioCrew(_Crew):
    def __init__(self) -> None:
        self._asyncio = sys.modules["asyncio"]
        self.new_event = self._asyncio.Event
        self._tasks: set[Any] = set()
        super().__init__()

    def begin(self, work: Callable[..., Awaitable[None]], *given: Any) -> None:
        task = self._asyncio.create_task(work(*given), name="unifetch.fetch_all")
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: Any) -> None:
        self._tasks.discard(task)
        error = self._asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self.tell(None, error)

    async def dismiss(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await self._asyncio.wait(self._tasks.copy())


class _TrioCrew(_Crew):
    def __init__(self) -> None:
        self._trio = sys.modules["trio"]
        self.new_event = self._trio.Event
        self._scopes: set[Any] = set()
        super().__init__()

    def begin(self, work: Callable[..., Awaitable[None]], *given: Any) -> None:
        scope = self._trio.CancelScope()
        self._scopes.add(scope)
        self._trio.lowlevel.spawn_system_task(
            self._run, scope, work, given, name="unifetch.fetch_all", context=copy_context()
        )

    async def _run(self, scope: Any, work: Callable[..., Awaitable[None]], given: tuple[Any, ...]) -> None:
        try:
            with scope:
                await work(*given)
        except self._trio.Cancelled:  # trio itself ends
            raise
        except BaseException as error:  # noqa: BLE001  # it would end all of trio; it is the iterator's to raise
            self.tell(None, error)
        finally:
            self._scopes.discard(scope)
            self._news.set()

    async def dismiss(self) -> None:
        for scope in self._scopes:
            scope.cancel()
        with self._trio.CancelScope(shield=True):
            while self._scopes:
                await self.listen()
