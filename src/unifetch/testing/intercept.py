"""The seam of the kit: a handler in front of any backend; inside, the network is shut.

    def handler(request):                       # of every Client and AsyncClient of the process, in any thread or loop
        return Answer(200, json={"id": 7}) if request.path == "/orders/7" else None

    with intercept(handler):
        ...

It stands below all that unifetch decides: redirects, cookies, auth, retries, decoding, limits and deadlines are real.
A request that no handler takes raises `Unanswered`, which is no `Exception`, so that neither a retry nor an `except` of
the code under test swallows it; if something does, it is raised again when the block ends.

A handler is written once, for both kinds of client: it is a generator of steps (`Handler.handle`), and the two drivers
at the end of this file carry them out. For most tests a plain function is enough.
"""

from __future__ import annotations

import inspect
import json
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from threading import Lock
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from ..backends.base import Capability
from ..client.call import Journey
from ..client.event_loops import sleep
from ..client.interception import SEAM, SHUT
from ..client.interception import Unanswered as Unanswered  # it is told of from here
from ..errors import ReadTimeout
from ..masking import masked_url
from ..model.headers import Headers
from ..model.messages import AsyncRawResponse, RawRequest, RawResponse
from .answer import Answer
from .steps import Pause
from .taps import check_wait, response_of
from .virtual_time import TimedJourney, VirtualTime


class Unmet(AssertionError):
    """Something that a test announced did not happen: a route was never called, a fault never fired, …"""


# --- What a handler sees, and what it may ask for -------------------------------------------------


class Intercepted:
    """A request on its way to a backend.

    Attributes:
        raw: the request, as the backend would have had it.
        backend: the name of the backend.
        capabilities: what that backend can do; a handler can do no more.
        time: the time that the call goes by, if it is not the real one.
        awaited: whether it comes from an AsyncClient.
        body: its bytes; only for a handler that is a function, or after the step `ReadBody`.
        parameters: what the pattern of a route found in the path.
    """

    def __init__(self, raw: RawRequest, backend: Any, awaited: bool, virtual: VirtualTime | None) -> None:
        self.raw = raw
        self.backend: str = backend.name
        self.capabilities: frozenset[Capability] = backend.capabilities
        self.time = virtual
        self.awaited = awaited
        self.body = raw.body if isinstance(raw.body, bytes) else b""
        self.is_read = raw.body is None or isinstance(raw.body, bytes)
        self.parameters: dict[str, str] = {}

    @property
    def method(self) -> str:
        """The method, as it was written."""
        return self.raw.method

    @property
    def url(self) -> str:
        """The absolute URL, with its query."""
        return self.raw.url

    @property
    def path(self) -> str:
        """The path, percent-encoded, without the query."""
        return self.target.partition("?")[0]

    @property
    def target(self) -> str:
        """The path with the query, also if a proxy gets the absolute URL."""
        target = self.raw.target
        return target if target[:1] in "/*" else "/" + target.split("//", 1)[-1].partition("/")[2]

    @property
    def headers(self) -> Headers:
        """Every field that would go out."""
        return Headers.trusted(self.raw.headers)

    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.body)

    def with_body(self, pieces: list[bytes]) -> None:
        """Note that the body was read; the next reader gets it again, in the same pieces."""
        self.body, self.is_read = b"".join(pieces), True
        self.change(body=_Again(pieces))

    def change(self, **changes: Any) -> None:
        """Change what goes out."""
        self.raw = self.raw.routed(changes.pop("route", self.raw.route), **changes)

    def __repr__(self) -> str:
        return f"<{self.method} {masked_url(self.url)}>"


class ReadBody:
    """Step: read the body of the request."""


class Forward:
    """Step: let the request go on, to the handler around this one or to the backend; gives its RawResponse."""


class Drop:
    """Step: close a response that was forwarded; the client never sees it."""

    def __init__(self, raw: RawResponse) -> None:
        self.raw = raw


Step: TypeAlias = ReadBody | Forward | Drop | Pause
Steps: TypeAlias = "Generator[Step, Any, Answer | RawResponse | None]"


class Handler:
    """Stands before a backend, or before another handler.

    Attributes:
        time: the time that calls go by; None leaves it as it is.
    """

    time: VirtualTime | None = None
    _stack: ExitStack

    @property
    def passed(self) -> float:
        """The seconds of the waits, which took no time."""
        return 0.0 if self.time is None else self.time.passed

    def advance(self, seconds: float) -> None:
        """Let time pass, between two requests.

        Raises:
            TypeError: time is the real one here.
        """
        if self.time is None:
            raise TypeError(f"{self!r} goes by real time, which passes by itself")
        self.time.advance(seconds)

    def handle(self, request: Intercepted) -> Steps:
        """What happens to a request, step by step.

        A step is `ReadBody`, `Forward`, `Drop`, or a `Pause`. The end is an `Answer`, the response that was forwarded,
        or None for a request that this handler does not take. What it raises, the call raises.
        """
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Be in front of every backend, as with `intercept`."""
        self._stack = ExitStack()
        self._stack.enter_context(intercept(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def explain(self, request: Intercepted) -> str:
        """Why this handler did not take a request."""
        return f"{self!r} did not take it"

    def finish(self) -> None:
        """At the end of a block without an error: check that everything announced has happened.

        Raises:
            Unmet: it has not.
        """


class _Function(Handler):
    def __init__(self, function: Callable[[Intercepted], Any]) -> None:
        self._function = function

    def handle(self, request: Intercepted) -> Steps:
        yield ReadBody()
        taken = self._function(request)
        if taken is None or isinstance(taken, Answer):
            return taken
        if taken is forward:
            return (yield Forward())  # type: ignore[no-any-return]  # what a step gives depends on the step
        from .scripts import played

        return (yield from played(taken, request))

    def explain(self, request: Intercepted) -> str:
        return f"{getattr(self._function, '__qualname__', self._function)} returned None"


class _Forwarding(Handler):
    """Lets everything through, to the handler around it or to the network."""

    def handle(self, request: Intercepted) -> Steps:
        return (yield Forward())  # type: ignore[no-any-return]  # as above

    def __repr__(self) -> str:
        return "forward"


forward = _Forwarding()  # as a handler, or as what a handler function returns


# --- Stepping in ----------------------------------------------------------------------------------


class _Block:
    """An open block: its handler, and what has to fail the test even if the code under test hides it.

    That is each request that neither it nor the handlers around it took, and what a handler has asserted in vain.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.failures: list[BaseException] = []


_lock = Lock()
_everywhere: tuple[_Block, ...] = ()  # innermost first
_here: ContextVar[tuple[_Block, ...]] = ContextVar("unifetch_handlers", default=())
_open = 0  # blocks that are open
_AT_REST = SEAM.interception  # in a process that was started inside a block, the network stays shut after its own


@contextmanager
def intercept(handler: Handler | Callable[[Intercepted], Any], *, local: bool = False) -> Iterator[Handler]:
    """Put a handler in front of every backend while the block runs; inside, the network is shut.

    Blocks nest: the inner handler is asked first. Forked processes have the handlers, too; other processes started
    inside have none, and no network.

    Args:
        handler: a function of the `Intercepted` request that gives an `Answer`, a script of `testing.Server`,
            `forward`, or None for a request that it does not take; or a `Handler`.
        local: for tests that run at the same time: the handler is only in this thread or task, and where its context
            is copied to. Calls without any handler in their context have no network either.

    Raises:
        Unanswered: a request that no handler took, at the call, and again at the end if the call hid it.
        AssertionError: what a handler has raised, likewise.
        Unmet: what the handler announced did not happen.
    """
    global _everywhere
    if not callable(handler) and not isinstance(handler, Handler):
        raise TypeError(f"intercept takes a Mock, a Cassette, Faults or a function, not {type(handler).__name__}")
    block = _Block(handler if isinstance(handler, Handler) else _Function(handler))
    token = _here.set((block, *_here.get())) if local else None
    with _lock:
        if not local:
            _everywhere = (block, *_everywhere)
        _open_seam(1)
    try:
        yield block.handler
    finally:
        if token is not None:
            _here.reset(token)
        with _lock:
            if not local:
                _everywhere = tuple(each for each in _everywhere if each is not block)
            _open_seam(-1)
    # Only a block that ends without an error comes here.
    if block.failures:
        raise block.failures[0]
    block.handler.finish()


def _open_seam(change: int) -> None:
    global _open
    _open += change
    if _open:
        SEAM.interception, os.environ[SHUT] = _SEAM, "1"
    else:
        SEAM.interception = _AT_REST
        if _AT_REST is None:
            os.environ.pop(SHUT, None)


class _Stack:
    """What is in the slot of the seam while any block is open."""

    def before(self, backend: Any) -> Any:
        blocks = _here.get() + _everywhere
        driver = AsyncFront if inspect.iscoroutinefunction(backend.send) else Front
        return driver(backend, blocks)

    def journey(self, plan: Any, *what: Any) -> Journey:
        # A block may have ended, or begun, while a call was on its way here.
        virtual = getattr(plan.backend, "time", None)
        return Journey(plan, *what) if virtual is None else TimedJourney(virtual, plan, *what)


_SEAM = _Stack()


# --- Deciding -------------------------------------------------------------------------------------


def _ask(blocks: tuple[_Block, ...], request: Intercepted) -> Generator[Step, Any, RawResponse]:
    """The response of the first handler that takes the request."""
    for at, block in enumerate(blocks):
        try:
            taken = yield from _relay(block.handler.handle(request), blocks[at + 1 :], request)
        except AssertionError as failure:
            block.failures.append(failure)
            raise
        if isinstance(taken, Answer):
            return response_of(taken, request)
        if taken is not None:
            return taken
    why = "\n\n".join(block.handler.explain(request) for block in blocks)
    why = why or "this thread or task has no handler; others have one that is local to them (intercept(local=True))"
    error = Unanswered(
        f"{request.method} {masked_url(request.url)}: nobody took this request, and the network is shut.\n\n{why}"
    )
    for block in blocks:
        block.failures.append(error)
    raise error


def _relay(steps: Steps, around: tuple[_Block, ...], request: Intercepted) -> Steps:
    """The steps of one handler; what it forwards goes to the handlers around it, if any."""
    try:
        step = next(steps)
        while True:
            try:
                outcome = (yield from _ask(around, request)) if around and type(step) is Forward else (yield step)
            except BaseException as error:  # noqa: BLE001  # it is for the handler to decide
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # what the handler's generator returned


class _Again:
    """A body that was read, for its next reader, awaited or not."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> Any:
        for piece in self._pieces:
            yield piece


# --- The driver that blocks, and the one that awaits ----------------------------------------------


class Front:
    """Wraps a `Backend`, and looks like it."""

    contract: Literal[1] = 1

    def __init__(self, backend: Any, blocks: tuple[_Block, ...]) -> None:
        self._backend = backend
        self._blocks = blocks
        self.name: str = backend.name
        self.capabilities: frozenset[Capability] = backend.capabilities
        self.native: object = backend.native
        self.time = next((each.handler.time for each in blocks if each.handler.time is not None), None)

    def send(self, raw: RawRequest) -> RawResponse:
        """Perform one exchange, as the handlers have it."""
        request = Intercepted(raw, self._backend, False, self.time)
        steps = _ask(self._blocks, request)
        try:
            step = next(steps)
            while True:
                try:
                    outcome = self._do(step, request)
                except BaseException as error:  # noqa: BLE001  # the handler decides
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what _ask returned

    def _do(self, step: Step, request: Intercepted) -> Any:
        if isinstance(step, Pause):
            seconds, late = _waited(step, request)
            time.sleep(seconds)
            if late is not None:
                raise late
        elif type(step) is Forward:
            return self._backend.send(_real(request))
        elif type(step) is Drop:
            step.raw.close()
        elif not request.is_read:
            request.with_body(list(request.raw.body))
        return None

    def close(self) -> None:
        """Nothing: the backend is its client's."""


class AsyncFront(Front):
    """The same for an `AsyncBackend`."""

    async def send(self, raw: RawRequest) -> AsyncRawResponse:  # type: ignore[override]  # it is awaited
        """Perform one exchange, as the handlers have it."""
        request = Intercepted(raw, self._backend, True, self.time)
        steps = _ask(self._blocks, request)
        await sleep(0)  # a real exchange would let other tasks run, too
        try:
            step = next(steps)
            while True:
                try:
                    outcome = await self._do_async(step, request)
                except BaseException as error:  # noqa: BLE001  # the handler decides
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what _ask returned

    async def _do_async(self, step: Step, request: Intercepted) -> Any:
        if isinstance(step, Pause):
            seconds, late = _waited(step, request)
            await sleep(seconds)
            if late is not None:
                raise late
        elif type(step) is Forward:
            return await self._backend.send(_real(request))
        elif type(step) is Drop:
            closing: Any = step.raw.close()
            await closing
        elif not request.is_read:
            request.with_body([piece async for piece in request.raw.body])
        return None

    async def close(self) -> None:  # type: ignore[override]  # it is awaited
        """Nothing: the backend is its client's."""


def _waited(pause: Pause, request: Intercepted) -> tuple[float, ReadTimeout | None]:
    # Before the head, nobody knows whether the server has the request.
    seconds, late = check_wait(pause, request, "maybe")
    if request.time is not None:
        request.time.advance(seconds)
        seconds = 0
    return seconds, late


def _real(request: Intercepted) -> RawRequest:
    if request.time is None or request.raw.deadline is None:
        return request.raw
    return request.raw.routed(request.raw.route, deadline=request.time.real_deadline(request.raw.deadline))
