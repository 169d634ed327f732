"""The face of a `Client` over an `AsyncClient`, so that a test that is written once runs on both.

Each call is awaited in an event loop that runs in a thread of its own, one for the whole process. What a test gives
as a body, and how it reads a stream, is that of a program without an event loop; everything below is awaited.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from ..client.async_client import AsyncClient, AsyncStream
from ..client.sync_client import Client
from ..model.messages import Response

T = TypeVar("T")


@contextmanager
def client_of(backend: Any, **settings: Any) -> Iterator[Any]:
    """A client over this backend, blocking or awaited as the backend is; both are closed at the end."""
    awaits = inspect.iscoroutinefunction(backend.send)
    with (AwaitedClient if awaits else Client)(backend=backend, **settings) as client:
        yield client
    if awaits:
        run(backend.close())
    else:
        backend.close()


def run(work: Awaitable[T]) -> T:
    """Await this in the event loop of the tests, and return its result."""

    async def outcome() -> T:
        return await work

    return asyncio.run_coroutine_threadsafe(outcome(), _loop()).result()


def awaited(function: Callable[..., Awaitable[T]]) -> Callable[..., T]:
    """This function, called without `await`."""
    return lambda *given, **call: run(function(*given, **call))


_starting = threading.Lock()
_running: asyncio.AbstractEventLoop | None = None


def _loop() -> asyncio.AbstractEventLoop:
    # One for all threads, also for those that ask for it at once.
    global _running
    with _starting:
        if _running is None:
            _running = asyncio.new_event_loop()
            threading.Thread(target=_running.run_forever, name="the event loop of the tests", daemon=True).start()
        return _running


def _forget() -> None:
    # In the child of a fork: the thread stayed with the parent, and so may have whoever holds the lock.
    global _starting, _running
    _starting, _running = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class AwaitedClient:
    """An `AsyncClient` behind the methods of a `Client`.

    Attributes:
        client: the `AsyncClient`.
    """

    def __init__(self, backend: Any = None, **settings: Any) -> None:
        self.client = AsyncClient(backend, **settings)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        if not inspect.iscoroutinefunction(found):
            return found
        return awaited(found)

    def stream(self, method: str, url: str, **call: Any) -> _Stream:
        """See `Client.stream`."""
        return _Stream(self.client.stream(method, url, **call))

    def with_(self, **settings: Any) -> AwaitedClient:
        """See `Client.with_`."""
        derived = object.__new__(AwaitedClient)
        derived.client = self.client.with_(**settings)
        return derived

    def open(self, method: str, url: str, **call: Any) -> _Streamed:
        """See `Client.open`."""
        return _Streamed(run(self.client.open(method, url, **call)))

    def exchange(self, method: str, url: str, **call: Any) -> _Streamed:
        """See `Client.exchange`."""
        return _Streamed(run(self.client.exchange(method, url, **call)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run(self.client.close())


class _Stream:
    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream

    def __enter__(self) -> _Streamed:
        return _Streamed(run(self._stream.__aenter__()))

    def __exit__(self, *ending: Any) -> None:
        run(self._stream.__aexit__(*ending))


class _Streamed:
    """A response whose body, lines and events are waited for."""

    def __init__(self, response: Response[AsyncIterator[bytes]]) -> None:
        self._response = response
        self.body = _Waited(response.body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    def read(self) -> Response[bytes]:
        return run(self._response.read())

    def close(self) -> None:
        run(self._response.close())

    def lines(self, **options: Any) -> Iterator[str]:
        return _Waited(self._response.lines(**options))

    def events(self, **options: Any) -> Iterator[Any]:
        return _Waited(self._response.events(**options))


class _Waited(Iterator[Any]):
    def __init__(self, pieces: AsyncIterator[Any]) -> None:
        self._pieces = pieces

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._pieces, name)
        return (lambda: run(found())) if inspect.iscoroutinefunction(found) else found

    def __next__(self) -> Any:
        async def step() -> tuple[Any, ...]:
            async for piece in self._pieces:
                return (piece,)
            return ()

        for piece in run(step()):
            return piece
        raise StopIteration
