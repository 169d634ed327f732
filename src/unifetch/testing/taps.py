"""The bodies that the kit hands on: of an `Answer`, or of a real response whose pieces pass through a `Tap`.

What waits for what is decided here once; `_pieces` and `_AsyncPieces` do the waiting.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from ..client.event_loops import sleep
from ..client.interception import Unanswered
from ..errors import ReadTimeout, UnifetchError
from ..masking import masked_url
from ..model.headers import Headers
from ..model.messages import AsyncRawResponse, RawResponse
from .steps import Pause

if TYPE_CHECKING:
    from .answer import Answer, Pieces
    from .intercept import Intercepted


def response_of(answer: Answer, request: Intercepted) -> RawResponse:
    """The response that a backend would have returned."""
    status, fields, pieces, trailers, interim = answer.parts(request.method, request.capabilities)
    steps = _Body(pieces, request)
    head = (status, answer.reason, answer.http_version, Headers.trusted(fields))
    if request.awaited:
        awaited = _AsyncPieces(steps, _nothing_async)
        return AsyncRawResponse(*head, awaited, awaited.close, trailers, interim)
    return RawResponse(*head, _pieces(steps), lambda: None, trailers, interim)


class Tap:
    """What the body of a response passes through on its way to the client; by default it changes nothing."""

    def piece(self, data: bytes) -> Pieces:
        """What replaces this piece: bytes, waits, errors."""
        return (data,)

    def end(self) -> Pieces:
        """What comes after the last piece."""
        return ()

    def failed(self, error: UnifetchError) -> BaseException:
        """What replaces an error."""
        return error

    def close(self) -> None:
        """The response is closed, read to its end or not."""


def tapped(raw: RawResponse, request: Intercepted, tap: Tap) -> Any:
    """The same response, whose body passes through a tap."""
    head = (raw.status, raw.reason, raw.http_version, raw.headers)
    if isinstance(raw, AsyncRawResponse):
        give_back = raw.close

        async def closed_async() -> None:
            tap.close()
            await give_back()

        awaited = _AsyncPieces(_Body(iter(()), request, tap), closed_async, aiter(raw.body))
        return AsyncRawResponse(*head, awaited, awaited.close, raw.trailers, raw.interim)
    plain_close = raw.close

    def closed() -> None:
        tap.close()
        plain_close()

    body = _pieces(_Body(iter(()), request, tap), iter(raw.body))
    return RawResponse(*head, body, closed, raw.trailers, raw.interim, raw.is_checked)


def tapped_upload(request: Intercepted, tap: Callable[[bytes | None], object]) -> None:
    """Show each piece of the body of a request, and then None, to a function, which may raise."""
    body = request.raw.body
    if body is not None and not isinstance(body, bytes):
        request.change(body=_TappedUpload(body, tap) if request.awaited else _tapped_blocks(body, tap))


def _tapped_blocks(body: Any, tap: Callable[[bytes | None], object]) -> Iterator[bytes]:
    for piece in body:
        tap(piece)
        yield piece
    tap(None)


class _TappedUpload:
    def __init__(self, body: Any, tap: Callable[[bytes | None], object]) -> None:
        self._pieces = aiter(body)
        self._tap = tap

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> bytes:
        piece: bytes | None = await anext(self._pieces, None)
        self._tap(piece)
        if piece is None:
            raise StopAsyncIteration
        return piece


class _Body:
    """The pieces of a body, and what each becomes; the driver does the waiting."""

    def __init__(self, pieces: Iterator[Any], request: Intercepted, tap: Tap | None = None):
        self._pieces = iter(pieces)
        self._request = request
        self._tap = tap

    def next(self) -> bytes | Pause | None:
        """The next piece, a wait, or None at the end of what was fed."""
        item = next(self._pieces, None)
        if isinstance(item, BaseException):
            raise item
        return item

    def feed(self, piece: bytes | None) -> None:
        """Let this piece pass through."""
        tap = self._tap or Tap()
        self._pieces = iter(tap.end() if piece is None else tap.piece(piece))

    def failed(self, error: UnifetchError) -> BaseException:
        """What to raise instead of an error of the source."""
        return error if self._tap is None else self._tap.failed(error)

    def wait(self, pause: Pause) -> tuple[float, ReadTimeout | None]:
        """The seconds that the driver has to wait, and what to raise then."""
        seconds, error = check_wait(pause, self._request, "yes")
        if self._request.time is not None:
            self._request.time.advance(seconds)
            seconds = 0
        return seconds, error


def check_wait(pause: Pause, request: Intercepted, sent: Literal["maybe", "yes"]) -> tuple[float, ReadTimeout | None]:
    """How long to wait for the server, and the timeout that ends it, if one does."""
    limits = [] if request.raw.timeout.read is None else [request.raw.timeout.read]
    if request.raw.deadline is not None:
        now = time.monotonic() if request.time is None else request.time.clock()
        limits.append(max(0.0, request.raw.deadline - now))
    if not limits and pause.seconds == float("inf"):
        raise Unanswered(
            f"{request.method} {masked_url(request.url)}: the server has fallen silent, and no timeout ends the wait; "
            "on a network it would be for ever: give the call a timeout"
        )
    if not limits or pause.seconds < min(limits):
        return pause.seconds, None
    return min(limits), ReadTimeout(f"no byte within {min(limits):g} s", request_sent=sent)


def _pieces(body: _Body, source: Iterator[bytes] | None = None) -> Iterator[bytes]:
    ended = source is None
    while True:
        item = body.next()
        if item is None:
            if ended or source is None:
                return
            try:
                fed = next(source, None)
            except UnifetchError as error:
                raise body.failed(error) from error.__cause__
            ended = fed is None
            body.feed(fed)
        elif isinstance(item, Pause):
            seconds, late = body.wait(item)
            time.sleep(seconds)
            if late is not None:
                raise late
        elif item:
            yield item


class _AsyncPieces:
    # A class, because a generator that is dropped would have to be closed by the event loop.
    def __init__(self, body: _Body, close: Callable[[], Awaitable[None]], source: Any = None) -> None:
        self._body = body
        self._source = source
        self._ended = source is None
        self.close = close

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> bytes:
        while True:
            item = self._body.next()
            if item is None:
                if self._ended:
                    raise StopAsyncIteration
                try:
                    fed = await anext(self._source, None)
                except UnifetchError as error:
                    raise self._body.failed(error) from error.__cause__
                self._ended = fed is None
                self._body.feed(fed)
            elif isinstance(item, Pause):
                seconds, late = self._body.wait(item)
                await sleep(seconds)
                if late is not None:
                    raise late
            elif item:
                return item


async def _nothing_async() -> None:
    pass
