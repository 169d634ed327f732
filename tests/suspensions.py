"""Cancels a coroutine at its n-th suspension: for tests of what a cancellation leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any


class CancelledAt:
    """Awaits some work, and cancels the task that does so at its n-th suspension.

    Attributes:
        reached: whether the work was suspended that often.
    """

    def __init__(self, work: Awaitable[Any], count: int) -> None:
        self._work = work
        self._left = count
        self.reached = False

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._work.__await__()
        send: Callable[[Any], Any] = steps.send
        value: Any = None
        while True:
            try:
                waited_for = send(value)
            except StopIteration as done:
                return done.value
            self._left -= 1
            if self._left == 0:
                self.reached = True
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                value, send = (yield waited_for), steps.send
            except BaseException as error:  # noqa: BLE001  # thrown into the work, as its own await would
                value, send = error, steps.throw


async def cancel_everywhere(
    work: Callable[[], Coroutine[Any, Any, Any]], after_each: Callable[[int], Awaitable[None]]
) -> int:
    """Begin this work again and again, cancelled at its first suspension, its second, … until it is done before.

    Args:
        work: makes the coroutine.
        after_each: awaited after each cancellation, with its number.

    Returns:
        how often it was cancelled.
    """
    count = 0
    while True:
        count += 1
        cancelled = CancelledAt(work(), count)

        async def whole(each: CancelledAt = cancelled) -> None:
            await each

        task = asyncio.create_task(whole())
        await asyncio.wait([task], timeout=20)
        assert task.done(), f"the task went on after it was cancelled at suspension {count}"
        if not cancelled.reached:
            task.result()
            return count - 1
        assert task.cancelled(), f"cancelled at suspension {count}, it ended otherwise: {task!r}"
        await after_each(count)
