"""Backends beside another loop or thread, at the moment at which that one ends."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from typing import Any

import pytest

from unifetch.backends import in_loop
from unifetch.backends.in_threads import AwaitedBlocks
from unifetch.errors import ConnectionLost
from unifetch.model.headers import Headers
from unifetch.model.messages import AsyncRawResponse


async def nothing() -> None:
    pass


async def blocks() -> AsyncIterator[bytes]:
    yield b"1"


def begin_to_close(loop: asyncio.AbstractEventLoop) -> None:
    in_loop._begin_to_close(loop, AsyncRawResponse(200, "", "HTTP/1.1", Headers(), blocks(), nothing))


def begin(loop: asyncio.AbstractEventLoop) -> None:
    in_loop._begin(loop, Future(), nothing)


@pytest.mark.parametrize("work", [begin_to_close, begin])
def test_what_the_end_of_a_loop_overtakes(work: Callable[[Any], None]) -> None:
    """A task that is cancelled before it begins leaves no coroutine that nobody has awaited."""
    loop = asyncio.new_event_loop()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            work(runner.get_loop())
        gc.collect()

    assert [] == told


def test_a_body_whose_loop_is_closed() -> None:
    """Its next block is a lost connection for the thread that sends it, which no task waits for any more."""
    loop = asyncio.new_event_loop()
    loop.close()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(ConnectionLost, match="was cancelled"):
            next(AwaitedBlocks(blocks(), loop))
        gc.collect()

    assert [] == told


def test_a_body_that_is_cancelled_as_its_thread_asks_for_more() -> None:
    """The thread does not wait for a loop that may not come to it any more."""
    loop = asyncio.new_event_loop()  # it does not run
    body = AwaitedBlocks(blocks(), loop)
    asked = loop.call_soon_threadsafe

    def cancelled_meanwhile(*given: Any) -> Any:
        body.cancel()
        return asked(*given)

    loop.call_soon_threadsafe = cancelled_meanwhile  # type: ignore[method-assign]  # the moment in between
    with pytest.raises(ConnectionLost, match="was cancelled"):
        next(body)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
