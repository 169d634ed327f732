"""Backends beside another loop or thread, at the moment at which that one ends."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

from unifetch.backends import in_loop
from unifetch.backends.in_threads import AwaitedBlocks
from unifetch.backends.socket import AsyncSocketBackend
from unifetch.errors import ConnectionLost, StreamError
from unifetch.model.headers import Headers
from unifetch.model.messages import AsyncRawResponse


async def nothing() -> None:
    pass


async def blocks() -> AsyncIterator[bytes]:
    yield b"1"


def test_what_the_end_of_a_loop_overtakes() -> None:
    """A task that is cancelled before it begins leaves no coroutine that nobody has awaited."""
    loop = asyncio.new_event_loop()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            in_loop._begin(runner.get_loop(), in_loop.Errand(), nothing)
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


def test_a_loop_that_is_told_to_stop_as_it_ends() -> None:
    """Twice is once: what it does at its end is not cut off."""
    done: list[str] = []

    class Slow:
        name = "slow"

        async def close(self) -> None:
            serving.stop()
            for _ in range(3):
                await asyncio.sleep(0)
            done.append("closed")

    serving = in_loop.LoopThread(Slow())  # type: ignore[arg-type]  # it is only closed
    serving.start()
    serving.running_loop()
    serving.stop()
    serving.wait()

    assert ["closed"] == done


def test_a_loop_that_is_not_wanted_any_more() -> None:
    """A thread that comes about after that ends at once; so does one that was told before it made a loop."""
    serving = in_loop.LoopThread(AsyncSocketBackend())
    serving.stop()
    serving.start()
    serving.wait()

    assert (None, False) == (serving.made, serving.is_alive())
    with pytest.raises(StreamError):
        serving.running_loop()


@pytest.mark.parametrize("moment", ["before it begins", "while it goes on", "once it is there"])
def test_an_errand_that_is_given_up(moment: str) -> None:
    """Its response is closed, whoever has it by then."""
    closed: list[str] = []

    async def close() -> None:
        closed.append("closed")

    async def send(_: object) -> AsyncRawResponse:
        await asyncio.sleep(0)
        return AsyncRawResponse(200, "", "HTTP/1.1", Headers(), blocks(), close)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        errand, pieces = in_loop.Errand(), in_loop.LoopedBody(loop)
        if moment == "before it begins":
            errand.is_wanted = False
        in_loop._begin(loop, errand, pieces.receive, send, None)
        for _ in range({"while it goes on": 1, "once it is there": 5}.get(moment, 0)):
            await asyncio.sleep(0)
        errand.is_wanted = False
        in_loop._give_up(errand)
        del pieces, errand  # as by an interrupt of the thread that waits
        for _ in range(5):
            await asyncio.sleep(0)
            gc.collect()

    asyncio.run(scenario())

    assert (["closed"] if moment == "once it is there" else []) == closed
