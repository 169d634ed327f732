"""A call, broken at every point at which it can break; the test says what must hold then.

    for point in sweep(lambda: shop.pay(7)):
        assert len(payments) <= 1, point                    # never twice, wherever the connection was lost
        payments.clear()

The first run is complete and finds the points: before each connection, after the head of a request, at each block that
is sent, when all of it has arrived, and at each block that comes back. Then the call breaks at each point in each way:
the connection is lost, or nothing more comes until a timeout, which takes no time. After every run, no response may be
left open.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Literal

from ..errors import ConnectError, ConnectionLost, ConnectTimeout, IncompleteBody
from ..masking import masked_url
from .answer import Pieces
from .faults import interrupted_upload
from .intercept import Drop, Forward, Handler, Intercepted, Steps, Unmet, intercept
from .steps import Pause
from .taps import Tap, tapped, tapped_upload
from .virtual_time import VirtualTime

Where = Literal["connect", "up", "arrived", "down"]


class Point:
    """One run of the call, and what broke in it.

    Attributes:
        exchange: the number of the exchange that broke, 1 for the first; 0 in the run in which nothing did.
        where: `"connect"`, `"up"` (the head and `blocks` blocks of the body have left), `"arrived"` (the server has it
            all, its answer was lost), `"down"` (the head and `blocks` blocks of the response have come).
        kind: `"lost"`, or `"stalled"`.
        blocks: see `where`.
        request: the method and URL of that exchange.
        result: what the call returned.
        error: what it raised; None if nothing.
        exchanges: how many there were in this run.
    """

    result: Any = None
    error: BaseException | None = None
    exchanges = 0

    def __init__(
        self, exchange: int, where: Where, kind: Literal["lost", "stalled"], blocks: int, request: str
    ) -> None:
        self.exchange = exchange
        self.where = where
        self.kind = kind
        self.blocks = blocks
        self.request = request

    def __repr__(self) -> str:
        if not self.exchange:
            return "<the whole run, in which nothing breaks>"
        places = {
            "connect": "before its connection",
            "up": f"with its head and {self.blocks} blocks of its body sent",
            "arrived": "with all of it arrived, and no answer",
            "down": f"with the head and {self.blocks} blocks of its answer received",
        }
        said = "" if self.error is None else f"; the call raised {type(self.error).__name__}"
        return f"<exchange {self.exchange}, {self.request}, {self.kind} {places[self.where]}{said}>"


def sweep(call: Callable[[], Any], *, kinds: tuple[str, ...] = ("lost", "stalled")) -> Iterator[Point]:
    """Run a call whole, and then once for each point at which it can break; after each run, its `Point`.

    The answers come from a handler around it (a `Mock`, a `Server`), or from the network.

    Args:
        call: what to run: a function, or a coroutine function, run in a loop of its own. Each run has to ask
            for the same.
        kinds: in which ways to break, of `"lost"` and `"stalled"`.

    Raises:
        Unmet: the call asks for nothing, a response was left open, or a run did not come to its point.
        Unanswered: a call would wait for ever where nothing comes any more, for it has no timeout.
    """
    if isinstance(kinds, str) or not kinds or not set(kinds) <= {"lost", "stalled"}:
        raise ValueError(f"kinds= is a tuple of 'lost' and 'stalled', or of one of them, not {kinds!r}")
    whole = Point(0, "connect", "lost", 0, "")
    seen = _run(call, whole)
    if whole.error is not None:
        raise whole.error
    if not seen:
        raise Unmet("the call has asked for nothing, so there is no point at which it can break")
    yield whole
    for point in [point for trace in seen for point in trace.points() if point.kind in kinds]:
        _run(call, point)
        yield point


class _Trace:
    """What happened in one exchange."""

    def __init__(self, number: int, request: Intercepted) -> None:
        self.number = number
        self.request = f"{request.method} {masked_url(request.url)}"
        self.has_body = request.raw.body is not None
        self.up = 1 if isinstance(request.raw.body, bytes) else 0
        self.down = 0
        self.is_open = False

    def points(self) -> Iterator[Point]:
        for kind in ("lost", "stalled"):
            yield self._point("connect", kind, 0)
            for blocks in range(self.up if self.has_body and kind == "lost" else 0):
                yield self._point("up", kind, blocks)
            yield self._point("arrived", kind, 0)
            for blocks in range(self.down):
                yield self._point("down", kind, blocks)

    def _point(self, where: Where, kind: Any, blocks: int) -> Point:
        return Point(self.number, where, kind, blocks, self.request)


def _run(call: Callable[[], Any], point: Point) -> list[_Trace]:
    breaking = _Breaking(point)
    with intercept(breaking):
        try:
            result = call()
            point.result = _outcome(result) if inspect.isawaitable(result) else result
        except Exception as error:  # noqa: BLE001  # it is for the test to judge
            point.error = error
    point.exchanges = len(breaking.traces)
    if point.exchange and not breaking.has_broken:
        raise Unmet(f"{point}: this run did not come there; does each run of the call ask for the same?")
    if left := [trace.request for trace in breaking.traces if trace.is_open]:
        raise Unmet(f"{point}: the response was left open of {', '.join(left)}")
    return breaking.traces


def _outcome(work: Any) -> Any:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_awaited(work))
    if inspect.iscoroutine(work):
        work.close()
    raise TypeError("sweep awaits in a loop of its own, and one is running here: sweep in a test that is not awaited")


async def _awaited(work: Any) -> Any:
    return await work


class _Breaking(Handler):
    """Notes how each exchange goes, and breaks one."""

    def __init__(self, point: Point) -> None:
        self.time = VirtualTime(frozen=False)
        self.traces: list[_Trace] = []
        self.has_broken = False
        self._point = point

    def handle(self, request: Intercepted) -> Steps:
        trace = _Trace(len(self.traces) + 1, request)
        self.traces.append(trace)
        point = self._point if self._point.exchange == trace.number else None
        if point is not None and point.where == "connect":
            self._break()
            if point.kind == "lost":
                raise ConnectError("refused (injected)")
            _pass(request, request.raw.timeout.connect)
            raise ConnectTimeout("no connection in time (injected)")
        if point is not None and point.where == "up":
            interrupted_upload(request, point.blocks, self._break)
        else:
            tapped_upload(request, lambda block: _count_up(trace, block))
        try:
            raw = yield Forward()
        except BaseException:
            if point is not None and self.has_broken:  # whatever the library has made of it
                raise ConnectionLost("lost during the upload (injected)", request_sent="maybe") from None
            raise
        if point is not None and point.where == "arrived":
            self._break()
            yield Drop(raw)
            if point.kind == "stalled":
                yield Pause(float("inf"))
            raise ConnectionLost("lost before a response (injected)", request_sent="maybe")
        trace.is_open = True
        return tapped(raw, request, _Counting(trace, point, self._break))  # type: ignore[no-any-return]  # of the kind that came

    def _break(self) -> None:
        self.has_broken = True


def _count_up(trace: _Trace, block: bytes | None) -> None:
    trace.up += block is not None


def _pass(request: Intercepted, seconds: float | None) -> None:
    if request.time is not None and seconds is not None:
        request.time.advance(seconds)


class _Counting(Tap):
    def __init__(self, trace: _Trace, point: Point | None, fire: Callable[[], None]) -> None:
        self._trace = trace
        self._point = point
        self._fire = fire

    def piece(self, data: bytes) -> Pieces:
        point, trace = self._point, self._trace
        if point is not None and point.where == "down" and trace.down == point.blocks:
            self._fire()
            trace.is_open = False
            if point.kind == "stalled":
                return (Pause(float("inf")),)
            return (IncompleteBody("lost within the body (injected)", request_sent="yes"),)
        trace.down += 1
        return (data,)

    def end(self) -> Pieces:
        self._trace.is_open = False
        return ()

    def close(self) -> None:
        self._trace.is_open = False
