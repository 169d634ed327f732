"""Which of many URLs are asked next, and which results are due: the bookkeeping of `fetch_all`, without I/O.

    drawn ─► waiting, by origin ─► a task that runs ─► done ─► given
      └───────────── never more than the window's size ─────────┘

That one bound is the back-pressure: whoever takes no results has no further URLs drawn. A task is one URL, or a
chunk of them for one submission to an executor.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterator

A = TypeVar("A")  # what is asked
R = TypeVar("R")  # what comes of it


class Task(Generic[A]):
    """What is asked together.

    Attributes:
        items: at least one, each as it was added.
        places: which they are of all that were added, from 0.
        claims: how many requests at once it may make to each origin.
    """

    __slots__ = ("claims", "items", "places")

    def __init__(self, items: list[A], places: list[int], claims: dict[str, int]) -> None:
        self.items = items
        self.places = places
        self.claims = claims


class Window(Generic[A, R]):
    """What is drawn and not yet given.

    Args:
        size: URLs that are drawn and not yet given, at most.
        tasks: tasks that run at once, at most; None for as many as the window holds.
        chunk: URLs in one task, at most; fewer where nothing more is to be had.
        at_once: requests that one task makes at once, at most.
        per_origin: requests that all tasks together make to one origin at once, at most.
        ordered: whether results are given in the order in which URLs were drawn.
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
    ) -> None:
        self._size = size
        self._tasks = tasks
        self._chunk = chunk
        self._at_once = at_once if per_origin is None else min(at_once, per_origin)
        self._per_origin = per_origin
        self._ordered = ordered
        self._drawn = self._given = self._next = self._running = self._waiting_in_all = 0
        self._waiting: dict[str, deque[tuple[int, A]]] = {}
        self._claimed: dict[str, int] = {}
        self._early: dict[int, R] = {}  # done, while one that was drawn before is not
        self._due: deque[R] = deque()
        self._ended = False

    # --- Drawing ----------------------------------------------------------------------------------

    @property
    def draws(self) -> bool:
        """Whether there is room for another URL, and one may come."""
        return not self._ended and self._drawn - self._given < self._size

    def add(self, item: A, origin: str = "") -> None:
        """Take in the next URL, which asks this origin; "" for all where that does not matter."""
        line = self._waiting.get(origin)
        if line is None:
            line = self._waiting[origin] = deque()
        line.append((self._drawn, item))
        self._drawn += 1
        self._waiting_in_all += 1

    def add_done(self, result: R) -> None:
        """Take in the next URL, which is not to be asked any more."""
        self._deliver([self._drawn], [result])
        self._drawn += 1

    def end(self) -> None:
        """No further URL will come."""
        self._ended = True

    # --- Asking -----------------------------------------------------------------------------------

    def take(self) -> Task[A] | None:
        """The next task, which then runs; None if there is no room for one, or more URLs are to be drawn first."""
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
            # An origin that was served stands behind the others.
            if line := self._waiting.pop(origin):
                self._waiting[origin] = line
        self._waiting_in_all -= len(taken)
        self._running += 1
        return Task([item for _, item in taken], [place for place, _ in taken], claims)

    def _free(self, origin: str) -> int:
        # How many URLs of an origin a task may have: those that it asks one after the other count once.
        if self._per_origin is None:
            return self._chunk
        free = self._per_origin - self._claimed.get(origin, 0)
        return self._chunk if free >= self._at_once else free

    # --- Giving -----------------------------------------------------------------------------------

    def finish(self, task: Task[A], results: list[R]) -> None:
        """A task has ended, with one result for each of its URLs, in their order."""
        self._running -= 1
        for origin, count in task.claims.items():
            self._claimed[origin] -= count
            if not self._claimed[origin]:
                del self._claimed[origin]
        self._deliver(task.places, results)

    def _deliver(self, places: list[int], results: list[R]) -> None:
        if not self._ordered:
            self._due.extend(results)
            return
        self._early.update(zip(places, results, strict=True))
        while self._next in self._early:
            self._due.append(self._early.pop(self._next))
            self._next += 1

    def due(self) -> Iterator[R]:
        """The results that may be given now; each makes room for another URL as it is given."""
        while self._due:
            self._given += 1
            yield self._due.popleft()
