"""What an AsyncClient needs of the event loop that it runs in: asyncio, or trio where that is running.

Neither is imported here first: whoever awaits has imported it.
"""

from __future__ import annotations

import sys
from contextlib import suppress

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeVar

    T = TypeVar("T")


def running_loop() -> object:
    """The event loop that runs in this thread: one of asyncio, or trio's token; raises `RuntimeError` if none runs."""
    # Asked before each request: a plain `try` is quicker than `suppress`.
    try:
        loop: object = sys.modules["asyncio"].get_running_loop()
    except (KeyError, RuntimeError):
        pass
    else:
        return loop
    if trio := sys.modules.get("trio"):
        with suppress(RuntimeError):
            return trio.lowlevel.current_trio_token()
    raise RuntimeError("no event loop is running: an AsyncClient is awaited inside of one")


def is_running(loop: object) -> bool:
    """Whether this loop, which `running_loop` gave, still runs somewhere."""
    if hasattr(loop, "is_running"):
        return bool(loop.is_running())
    try:
        loop.run_sync_soon(lambda: None)  # type: ignore[attr-defined]  # a trio token
    except Exception:  # noqa: BLE001  # trio.RunFinishedError, of a module that is not ours to import
        return False
    return True


def in_trio() -> bool:
    """Whether the loop that runs in this thread is trio's."""
    return "trio" in sys.modules and type(running_loop()).__module__.startswith("trio")


async def sleep(seconds: float) -> None:
    """Wait."""
    if in_trio():
        await sys.modules["trio"].sleep(seconds)
    else:
        import asyncio

        await asyncio.sleep(seconds)


class Late(Exception):
    """What was awaited was not there in time, and is cancelled."""


async def in_time(seconds: float | None, function: Callable[..., Awaitable[T]], *given: Any) -> T:
    """Await what the function gives; raises `Late` after so many seconds. None waits for as long as it takes."""
    if seconds is None:
        return await function(*given)
    if in_trio():
        with sys.modules["trio"].move_on_after(seconds):
            return await function(*given)
        raise Late
    import asyncio

    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            return await function(*given)
    except TimeoutError as error:  # which one of its own may be, too
        if not scope.expired():
            raise
        raise Late from error


async def in_thread(function: Callable[..., T], *given: Any) -> T:
    """Call in a thread what may block, while other tasks go on."""
    if in_trio():
        # In a tuple, as trio takes a coroutine that a function returns for a mistake.
        result: tuple[T] = await sys.modules["trio"].to_thread.run_sync(lambda: (function(*given),))
        return result[0]
    import asyncio
    from contextvars import copy_context

    from ..backends.workers import WORKERS

    return await asyncio.wrap_future(WORKERS.submit(copy_context().run, function, *given))


class TaskEvent:
    """One task waits for it; any thread may set it, even from a finalizer. The end of a wait resets it."""

    def __init__(self) -> None:
        self._trio = sys.modules["trio"] if in_trio() else None
        self._soon: Any
        if self._trio is not None:
            self._soon = self._trio.lowlevel.current_trio_token().run_sync_soon
        else:
            import asyncio

            self._soon = asyncio.get_running_loop().call_soon_threadsafe
        self._event = self._new()

    def _new(self) -> Any:
        return sys.modules["asyncio" if self._trio is None else "trio"].Event()

    def set(self) -> None:
        """Wake whoever waits."""
        with suppress(RuntimeError):  # the loop has ended, and nobody waits
            self._soon(lambda: self._event.set())

    async def wait(self, seconds: float) -> None:
        """Wait until it is set, but no longer than that."""
        if self._trio is not None:
            with self._trio.move_on_after(seconds):
                await self._event.wait()
        else:
            import asyncio

            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._event.wait()
        if self._event.is_set():  # what sets it again is for the next wait
            self._event = self._new()
