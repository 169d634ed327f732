"""Which of many URLs are fetched next, and which results are due: the bookkeeping of `fetch_all`, without I/O.

    drawn ─► waiting, by origin ─► a task that runs ─► done ─► given
      └───────────── never more than the window's size ─────────┘

That one bound is the back-pressure: while no results are taken, no further URLs are drawn. A task is one URL, or a
chunk of them for one submission to an executor.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, NamedTuple, TypeVar

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

A = TypeVar("A")  # what a task is given for a URL
R = TypeVar("R")  # its result


class Task(NamedTuple, Generic[A]):
    """What is fetched together: at least one item."""

    items: list[A]
    places: list[int]  # their positions among all that were added, from 0
    claims: dict[str, int]  # how many requests at once it may make to each origin


class Window(Generic[A, R]):
    """What is drawn and not yet given.

    Args:
        size: the most URLs that are drawn and not yet given.
        tasks: the most tasks that run at once; None for as many as the window holds.
        chunk: the most URLs in one task; it gets fewer when no more will come.
        at_once: the most requests that one task makes at once.
        per_origin: the most requests at once to one origin, by all tasks together.
        ordered: whether results are given in the order in which URLs were drawn.
        progress: called with the number of results so far, and with `total`, for each result that comes in.
    """

    def __init__(
        self,
        size: int,
        *,
        tasks: int | None = None,
        chunk: int = 1,
        at_once: int = 1,
        per_origin: int | None = None,
        ordered: bool = True,
        progress: Callable[[int, int | None], object] | None = None,
        total: int | None = None,
    ) -> None:
        self._size = size
        self._tasks = tasks
        self._chunk = chunk
        self._at_once = at_once if per_origin is None else min(at_once, per_origin)
        self._per_origin = per_origin
        self._ordered = ordered
        self._progress = progress
        self._total = total
        self._drawn = self._done = self._given = self._next = self._running = self._waiting_in_all = 0
        self._waiting: dict[str, deque[tuple[int, A]]] = {}
        self._claimed: dict[str, int] = {}
        self._early: dict[int, R] = {}  # done before one that was drawn earlier
        self._due: deque[R] = deque()
        self._ended = False

    # --- Drawing ----------------------------------------------------------------------------------

    @property
    def draws(self) -> bool:
        """Whether there is room for another URL, and one may come."""
        return not self._ended and self._drawn - self._given < self._size

    def add(self, item: A, origin: str = "") -> None:
        """Take in the next URL, of this origin; "" for all of them where that does not matter."""
        self._waiting.setdefault(origin, deque()).append((self._drawn, item))
        self._drawn += 1
        self._waiting_in_all += 1

    def add_done(self, result: R) -> None:
        """Take in the result of the next URL, which needs no request."""
        self._deliver([self._drawn], [result])
        self._drawn += 1

    def end(self) -> None:
        """No further URL will come."""
        self._ended = True

    # --- Running ----------------------------------------------------------------------------------

    def take(self) -> Task[A] | None:
        """The next task, which then runs; None if there is no room for one, or more URLs have to be drawn first."""
        if self._running == self._tasks or (self._waiting_in_all < self._chunk and self.draws):
            return None
        taken: list[tuple[int, A]] = []
        claims: dict[str, int] = {}
        for origin, line in self._waiting.items():
            most = min(len(line), self._chunk - len(taken), self._free(origin))
            if most > 0:
                taken += [line.popleft() for _ in range(most)]
                claims[origin] = min(most, self._at_once)
                if len(taken) == self._chunk:
                    break
        if not taken:
            return None
        for origin, count in claims.items():
            self._claimed[origin] = self._claimed.get(origin, 0) + count
            # An origin that was served goes behind the others.
            if line := self._waiting.pop(origin):
                self._waiting[origin] = line
        self._waiting_in_all -= len(taken)
        self._running += 1
        return Task([item for _, item in taken], [place for place, _ in taken], claims)

    def _free(self, origin: str) -> int:
        # How many URLs of an origin a task may have: those that it fetches one after the other count once.
        if self._per_origin is None:
            return self._chunk
        free = self._per_origin - self._claimed.get(origin, 0)
        return self._chunk if free >= self._at_once else free

    # --- Giving -----------------------------------------------------------------------------------

    def finish(self, task: Task[A], results: list[R]) -> None:
        """Take in the results of a task, one for each of its URLs, in order."""
        self._running -= 1
        for origin, count in task.claims.items():
            self._claimed[origin] -= count
            if not self._claimed[origin]:
                del self._claimed[origin]
        self._deliver(task.places, results)

    def _deliver(self, places: list[int], results: list[R]) -> None:
        if not self._ordered:
            self._due.extend(results)
        else:
            self._early.update(zip(places, results, strict=True))
            while self._next in self._early:
                self._due.append(self._early.pop(self._next))
                self._next += 1
        for _ in results:
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)

    def due(self) -> Iterator[R]:
        """The results that may be given now; each makes room for another URL."""
        while self._due:
            self._given += 1
            yield self._due.popleft()
