"""Time that a test controls: it passes only when the code under test waits.

A retry that waits for a minute, a body that drips past its deadline and a cookie that expires tomorrow take no time at
all, and a test can assert exactly how long it would have been.
"""

from __future__ import annotations

import math
import time
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..client.call import Journey
from ..client.steps import Sleep

if TYPE_CHECKING:
    from ..client.steps import Steps


class VirtualTime:
    """The clock of the calls inside an interception.

    Args:
        frozen: whether only waiting lets it pass. Otherwise real time passes as well, as real exchanges need it.

    Attributes:
        passed: the seconds that were waited for, and took none.
    """

    def __init__(self, *, frozen: bool = True) -> None:
        self.passed = 0.0
        self._frozen = frozen
        # Whole seconds, so that sums of small waits stay exact; and never behind a real clock.
        self._start = float(math.ceil(time.monotonic()))
        self._date = float(math.ceil(time.time()))
        self._lock = Lock()

    def clock(self) -> float:
        """Monotonic seconds, in place of `time.monotonic`."""
        return (self._start if self._frozen else time.monotonic()) + self.passed

    def calendar(self) -> float:
        """Seconds since the epoch, in place of `time.time`; cookies and dates go by it."""
        return (self._date if self._frozen else time.time()) + self.passed

    def advance(self, seconds: float) -> None:
        """Let time pass: what a test calls between two requests, and what a wait becomes."""
        with self._lock:
            self.passed += seconds

    def real_deadline(self, deadline: float | None) -> float | None:
        """A deadline of this clock, for a backend, which goes by the real one."""
        return None if deadline is None else deadline - self.clock() + time.monotonic()

    def __repr__(self) -> str:
        return f"<VirtualTime, {self.passed:g} s passed>"


class TimedJourney(Journey):
    """A call that goes by virtual time: its waits take none, and its cookies and deadlines know."""

    def __init__(self, virtual: VirtualTime, plan: Any, request: Any, body: Any, memory: Any, cookies: Any) -> None:
        self._virtual = virtual
        super().__init__(plan, request, body, _TimedMemory(memory, virtual), cookies)  # type: ignore[arg-type]  # a view

    def steps(self, whole: bool) -> Steps:
        """The steps of this call but for those that wait."""
        steps = super().steps(whole)
        try:
            step = next(steps)
            while True:
                if type(step) is Sleep:
                    self._virtual.advance(step.seconds)
                    self.outcome = None
                    step = next(steps)
                    continue
                try:
                    yield step
                except GeneratorExit:
                    steps.close()
                    raise
                except BaseException as error:  # noqa: BLE001  # it is for the call to decide
                    step = steps.throw(error)
                else:
                    step = next(steps)
        except StopIteration:
            return


class _TimedMemory:
    """The memory of a client, with another clock; changes go through to it."""

    def __init__(self, memory: Any, virtual: VirtualTime) -> None:
        vars(self).update(_memory=memory, clock=virtual.clock, calendar=virtual.calendar)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._memory, name, value)
