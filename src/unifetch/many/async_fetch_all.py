"""Many requests, awaited: `fetch_all`, as tasks of the running event loop, asyncio's or trio's.

`fetch_all.py` is the same for threads and executors; both use the window. The tasks belong to the iterator: it waits
for nothing else, and none of them is left when it ends.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterable, Iterable
from contextvars import copy_context
from functools import partial
from typing import Any

from ..client.async_client import AsyncClient
from ..client.async_shared_client import shared
from ..client.event_loops import in_trio
from ..errors import InvalidSetting
from ..model.messages import Request
from .fetch_all import END, Result, call_of, check, length_of, taker, within
from .window import Task, Window

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from typing import Unpack

    from ..client.arguments import CallArguments
    from ..model.messages import Response
    from .fetch_all import Ask, Call, Item, Progress

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
    """Fetch many URLs at once; an asynchronous iterator over what came of each.

    It draws URLs as its results are taken. When it ends or is closed (with `aclose`, or by `contextlib.aclosing`), the
    requests that are under way are cancelled, and their tasks have ended.

    Args:
        urls: URLs, or `Request`s for those with a method, fields or a body of their own; also an asynchronous iterable
            of them, which may wait for the next while results are given. There may be no end of them.
        method: the method of those that are URLs.
        concurrency: the most requests at once; the client's `Limits` apply as well.
        per_origin: the most requests at once to one origin; redirects are not counted.
        ordered: whether results come in the order of their URLs, or as soon as they are there.
        window: the most URLs that are drawn and not yet given; by default 4 for each request at once.
        progress: called as `progress(done, total)`, in the task that takes the results; `total` is None where `urls`
            has no length. What it raises ends the iteration.
        client: whose connections to use; by default those of this module's functions in this event loop.
        **call: what every call accepts, for all of them.

    Raises:
        InvalidSetting: for a bound that is no positive whole number, an unknown setting, or a value out of range.
    """
    bounds = {"concurrency": concurrency, "per_origin": per_origin, "window": window}
    check("aio.fetch_all()", call, urls, progress=progress, **bounds)
    if client is not None and not isinstance(client, AsyncClient):
        raise InvalidSetting(f"client: an AsyncClient, not {type(client).__name__}; fetch_all takes a Client")
    client = shared() if client is None else client
    ready = call_of(client, call)
    concurrency, per_origin = within(client.settings.limits, concurrency or TASKS, per_origin)
    waiting: Window[Ask, Result[Any]] = Window(
        window or 4 * concurrency,
        tasks=concurrency,
        per_origin=per_origin,
        ordered=ordered,
        progress=progress,
        total=length_of(urls),
    )
    take_in = taker(waiting, ready.get("base_url", client.settings.base_url), per_origin)
    return _results(urls, take_in, waiting, partial(_ask, client, method, ready))


async def _ask(client: AsyncClient, method: str, call: Call, ask: Ask) -> Result[Any]:
    index, shown, item = ask
    try:
        sent = client.send(item, **call) if isinstance(item, Request) else client.request(method, item, **call)
        return Result(index, shown, value=await sent)
    except Exception as error:  # noqa: BLE001  # one failure, whatever its cause, does not end the rest
        return Result(index, shown, error=error)


async def _results(
    urls: Iterable[Item] | AsyncIterable[Item],
    take_in: Callable[[Any], None],
    waiting: Window[Ask, Result[Any]],
    ask: Callable[[Ask], Awaitable[Result[Any]]],
) -> AsyncGenerator[Result[Any], None]:
    crew = _TrioCrew() if in_trio() else _AsyncioCrew()
    more = crew.new_event()  # set when another URL is wanted of an asynchronous iterable
    drawing, running = False, 0

    async def run(task: Task[Ask]) -> None:
        crew.tell(task, await ask(task.items[0]))

    async def draw_all(urls: AsyncIterable[Item]) -> None:
        # One task draws from first to last, because a generator may expect that.
        nonlocal more
        item: object = None
        source = aiter(urls)
        while item is not END:
            await more.wait()
            more = crew.new_event()
            item = await anext(source, END)
            crew.tell(draw_all, item)

    at_hand = None
    if isinstance(urls, AsyncIterable):
        crew.begin(draw_all, urls)
    else:
        at_hand = iter(urls)
    try:
        while True:
            while (task := waiting.take()) is not None:
                running += 1
                crew.begin(run, task)
            for result in waiting.due():
                yield result
            if waiting.draws and at_hand is not None:
                take_in(next(at_hand, END))
            elif waiting.draws and not drawing:
                drawing = True
                more.set()
            elif running or drawing:
                await crew.listen()
            else:
                return
            while crew.told:
                who, what = crew.told.popleft()
                if who is None:
                    raise what
                if isinstance(who, Task):
                    running -= 1
                    waiting.finish(who, [what])
                else:
                    drawing = False
                    take_in(what)
    finally:
        await crew.dismiss()


# --- Who works ------------------------------------------------------------------------------------


class _Crew:
    """Tasks that end with their iterator.

    Not a task group or a nursery: a generator must not yield while one is open.

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
        except BaseException as error:  # noqa: BLE001  # it would end all of trio; the iterator raises it
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
