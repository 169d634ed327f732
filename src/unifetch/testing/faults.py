"""Faults of the network, injected in front of anything: a mock, a cassette, a server, the real service.

    with Faults(seed=7) as faults:
        faults.reset(after=1000, at=2)          # the second exchange loses its connection after 1,000 bytes
        faults.status(503, probability=0.2)     # and a fifth of all is refused
        ...
        print(faults.fired)

The same seed means the same faults. Waits take no time. A fault that never fired fails the test, because it has tested
nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Self

from ..errors import ConnectError, ConnectionLost, ConnectTimeout, IncompleteBody, UnifetchError
from ..masking import masked_url
from .answer import Answer, Fields, Pieces
from .intercept import Drop, Forward, Handler, Intercepted, Steps, Unmet
from .steps import Pause
from .taps import Tap, check_wait, tapped, tapped_upload
from .virtual_time import VirtualTime

Happening = Callable[[Intercepted, Callable[[], None]], Steps]


class Fault:
    """One fault, made by a method of `Faults`.

    Attributes:
        name: what it does, and with what.
        fired: how often it has.
    """

    def __init__(self, name: str, happening: Happening, at: int | None, probability: float | None) -> None:
        if (at is None) == (probability is None):
            raise TypeError(f"{name}: say when: at=n for the n-th exchange, or probability=p")
        if at is not None and (isinstance(at, bool) or not isinstance(at, int) or at < 1):
            raise ValueError(f"{name}: at= is the number of an exchange, 1 for the first, not {at!r}")
        if probability is not None and not 0 < probability <= 1:
            raise ValueError(f"{name}: probability= is above 0, and 1 at most, not {probability!r}")
        self.name = name
        self.fired = 0
        self.happening = happening
        self.at = at
        self.probability = probability
        self.is_optional = False

    def optional(self) -> Self:
        """Do not require it to fire."""
        self.is_optional = True
        return self


class Faults(Handler):
    """What goes wrong, by probability or at the n-th exchange (1 is the first); each retry and redirect is one, too.

    Args:
        seed: of the probabilities, and of what is garbled.

    Attributes:
        fired: what went wrong so far, as `(number of the exchange, fault, method and URL)`.
    """

    def __init__(self, seed: int = 0) -> None:
        self.time = VirtualTime(frozen=False)
        self.fired: list[tuple[int, str, str]] = []
        self._random = random.Random(seed)
        self._faults: list[Fault] = []
        self._count = 0

    # --- What can go wrong ------------------------------------------------------------------------

    def refuse(self, *, at: int | None = None, probability: float | None = None) -> Fault:
        """No connection can be made."""
        return self._add("refuse()", _refused, at, probability)

    def slow_dns(self, seconds: float, *, at: int | None = None, probability: float | None = None) -> Fault:
        """Looking up the address takes so many seconds."""

        def happening(request: Intercepted, fire: Callable[[], None]) -> Steps:
            fire()
            limit = request.raw.timeout.connect
            wait, late = check_wait(Pause(seconds), request, "maybe")
            if limit is not None and seconds >= limit and limit <= wait:
                late, wait = None, limit
                _pass(request, wait)
                raise ConnectTimeout(f"no address within {limit:g} s")
            _pass(request, wait)
            if late is not None:
                raise ConnectTimeout(f"no address within {wait:g} s")
            return (yield Forward())  # type: ignore[no-any-return]  # what a step gives depends on the step

        return self._add(f"slow_dns({seconds:g})", happening, at, probability)

    def reset(self, *, after: int | None = None, at: int | None = None, probability: float | None = None) -> Fault:
        """The connection is lost: after so many bytes of the response's body, by default before its head.

        By then the request has arrived, so that repeating it may do it twice.
        """
        if after is None:
            return self._add("reset()", _lost_before_the_head, at, probability)
        return self._add(f"reset(after={after})", _broken_off("reset", after), at, probability)

    def truncate(self, after: int, *, at: int | None = None, probability: float | None = None) -> Fault:
        """The body ends after so many bytes."""
        return self._add(f"truncate({after})", _broken_off("closed", after), at, probability)

    def stall(self, *, after: int | None = None, at: int | None = None, probability: float | None = None) -> Fault:
        """Nothing comes any more: after so many bytes of the response's body, by default before its head."""

        def before_the_head(request: Intercepted, fire: Callable[[], None]) -> Steps:
            raw = yield Forward()
            fire()
            yield Drop(raw)
            yield Pause(float("inf"))
            raise ConnectionLost("a stall without any timeout", request_sent="maybe")

        if after is None:
            return self._add("stall()", before_the_head, at, probability)
        stalled = _tapping(lambda fire: _Cut(after, fire, Pause(float("inf"))))
        return self._add(f"stall(after={after})", stalled, at, probability)

    def drip(
        self, size: int = 1, *, every: float = 1.0, at: int | None = None, probability: float | None = None
    ) -> Fault:
        """The body comes in pieces of so many bytes, with so many seconds between them."""
        dripping = _tapping(lambda fire: _Dripping(size, every, fire))
        return self._add(f"drip({size}, every={every:g})", dripping, at, probability)

    def garble(self, *, at: int | None = None, probability: float | None = None) -> Fault:
        """One byte of each piece of the body is changed."""
        garbling = _tapping(lambda fire: _Garbling(self._random, fire))
        return self._add("garble()", garbling, at, probability)

    def status(
        self, status: int, *, headers: Fields = (), at: int | None = None, probability: float | None = None
    ) -> Fault:
        """An intermediary answers with this status; the request does not reach the server."""

        def happening(request: Intercepted, fire: Callable[[], None]) -> Steps:
            fire()
            yield from ()
            return Answer(status, headers=headers)

        return self._add(f"status({status})", happening, at, probability)

    def _add(self, name: str, happening: Happening, at: int | None, probability: float | None) -> Fault:
        fault = Fault(name, happening, at, probability)
        self._faults.append(fault)
        return fault

    # --- Whether it does --------------------------------------------------------------------------

    def handle(self, request: Intercepted) -> Steps:
        """Let the first fault happen whose turn it is; if there is none, the request goes on."""
        self._count += 1
        number = self._count
        for fault in self._faults:
            # Each is asked each time, so that what fires does not depend on the other faults.
            happens = number == fault.at if fault.probability is None else self._random.random() < fault.probability
            if happens:
                return (yield from fault.happening(request, lambda fault=fault: self._fire(number, fault, request)))  # type: ignore[misc]  # its default is the loop's
        return (yield Forward())  # type: ignore[no-any-return]  # what a step gives depends on the step

    def _fire(self, number: int, fault: Fault, request: Intercepted) -> None:
        fault.fired += 1
        self.fired.append((number, fault.name, f"{request.method} {masked_url(request.url)}"))

    def finish(self) -> None:
        """Check that every fault has fired.

        Raises:
            Unmet: it names those that have not.
        """
        left = [fault.name for fault in self._faults if not fault.fired and not fault.is_optional]
        if left:
            raise Unmet(f"never fired in {self._count} exchanges (.optional() allows that): {', '.join(left)}")

    def __repr__(self) -> str:
        return f"<Faults {', '.join(fault.name for fault in self._faults)}>"


# --- How ------------------------------------------------------------------------------------------


def _pass(request: Intercepted, seconds: float) -> None:
    if request.time is not None:
        request.time.advance(seconds)


def _refused(request: Intercepted, fire: Callable[[], None]) -> Steps:
    fire()
    yield from ()
    raise ConnectError(f"no connection to {request.raw.host}:{request.raw.port}: refused (injected)")


def _lost_before_the_head(request: Intercepted, fire: Callable[[], None]) -> Steps:
    raw = yield Forward()
    fire()
    yield Drop(raw)
    raise ConnectionLost("the connection was reset before a response (injected)", request_sent="maybe")


def _broken_off(how: str, after: int) -> Happening:
    error = IncompleteBody(f"the connection was {how} (injected)", request_sent="yes")
    return _tapping(lambda fire: _Cut(after, fire, error))


def _tapping(tap: Callable[[Callable[[], None]], Tap]) -> Happening:
    def happening(request: Intercepted, fire: Callable[[], None]) -> Steps:
        raw = yield Forward()
        return tapped(raw, request, tap(fire))  # type: ignore[no-any-return]  # of the kind that came

    return happening


class _Cut(Tap):
    """Lets so many bytes pass, and then does this."""

    def __init__(self, after: int, fire: Callable[[], None], what: Pause | UnifetchError) -> None:
        self._left = after
        self._fire = fire
        self._what = what

    def piece(self, data: bytes) -> Pieces:
        if len(data) < self._left or (len(data) == self._left and self._left):
            self._left -= len(data)
            return (data,)
        self._fire()
        return (data[: self._left], self._what)


class _Dripping(Tap):
    def __init__(self, size: int, every: float, fire: Callable[[], None]) -> None:
        self._size = size
        self._every = every
        self._fire = fire

    def piece(self, data: bytes) -> Iterator[Any]:
        self._fire()
        self._fire = lambda: None
        for start in range(0, len(data), self._size):
            yield Pause(self._every)
            yield data[start : start + self._size]


class _Garbling(Tap):
    def __init__(self, source: random.Random, fire: Callable[[], None]) -> None:
        self._random = source
        self._fire = fire

    def piece(self, data: bytes) -> Pieces:
        self._fire()
        self._fire = lambda: None
        garbled = bytearray(data)
        garbled[self._random.randrange(len(data))] ^= self._random.randrange(1, 256)
        return (bytes(garbled),)


def interrupted_upload(request: Intercepted, blocks: int, fire: Callable[[], None]) -> None:
    """Break off the upload of a request after so many blocks."""
    body = request.raw.body
    if isinstance(body, bytes):
        request.with_body([body])
        request.change(length=len(body))
    left = blocks

    def count(_: bytes | None) -> None:
        nonlocal left
        if left == 0:
            fire()
            raise ConnectionLost("the connection was reset during the upload (injected)", request_sent="maybe")
        left -= 1

    tapped_upload(request, count)
    request.is_read = False  # any later reader gets the same error
