"""The bookkeeping of `fetch_all`: which URLs are asked next, and which results are due."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from unifetch.many.window import Task, Window


def filled(window: Window[str, str], *items: str) -> Window[str, str]:
    """The window with these items; the first letter of each is its origin."""
    for item in items:
        window.add(item, item[0])
    return window


def taken(window: Window[str, str]) -> list[list[str]]:
    """The items of all tasks that may run now."""
    tasks = []
    while (task := window.take()) is not None:
        tasks.append(task.items)
    return tasks


def test_it_draws_what_it_can_hold() -> None:
    """Each result that is given makes room for one more."""
    window: Window[str, str] = Window(2)
    filled(window, "a1", "a2")
    assert not window.draws
    task = window.take()
    assert task is not None
    window.finish(task, ["done"])
    assert not window.draws
    assert "done" == next(window.due())

    assert window.draws


def test_so_many_tasks_at_once() -> None:
    """No more run at once, however many URLs wait."""
    window: Window[str, str] = Window(10, tasks=2)
    filled(window, "a1", "a2", "a3")

    assert [["a1"], ["a2"]] == taken(window)


def test_chunks_are_full() -> None:
    """A chunk waits for its last URL while one may come, and no longer."""
    window: Window[str, str] = Window(10, chunk=3)
    filled(window, "a1", "a2", "a3", "a4")
    assert [["a1", "a2", "a3"]] == taken(window)
    window.end()

    assert [["a4"]] == taken(window)


def test_an_origin_that_is_full_holds_up_no_other() -> None:
    """The URLs of others overtake those that wait for their origin; they go on when it is free."""
    window: Window[str, str] = Window(10, per_origin=1)
    filled(window, "a1", "a2", "b1", "c1")
    first = window.take()
    assert first is not None
    assert ["a1"] == first.items
    assert [["b1"], ["c1"]] == taken(window)
    window.finish(first, ["done"])

    assert [["a2"]] == taken(window)


def test_origins_take_turns() -> None:
    """One that has many URLs does not keep the others waiting."""
    window: Window[str, str] = Window(10, tasks=4, per_origin=2)
    filled(window, "a1", "a2", "a3", "b1", "b2")

    assert [["a1"], ["b1"], ["a2"], ["b2"]] == taken(window)


def test_a_chunk_claims_what_it_asks_at_once() -> None:
    """URLs of one origin that a task asks one after the other count once; at two at once, they count twice."""
    one_by_one: Window[str, str] = Window(10, chunk=3, per_origin=2)
    filled(one_by_one, *[f"a{number}" for number in range(9)]).end()
    two_at_once: Window[str, str] = Window(10, chunk=3, at_once=2, per_origin=3)
    filled(two_at_once, *[f"a{number}" for number in range(9)]).end()

    assert [3, 3] == [len(items) for items in taken(one_by_one)]
    assert [3, 1] == [len(items) for items in taken(two_at_once)]


def test_order() -> None:
    """In order, a result waits for those before it; else it is given when it is there."""
    for ordered, expected in ((True, [[], ["A", "B"]]), (False, [["B"], ["A"]])):
        window: Window[str, str] = Window(10, ordered=ordered)
        filled(window, "a", "b").end()
        first, second = window.take(), window.take()
        assert first is not None
        assert second is not None
        given_at_each = []
        for task, result in ((second, "B"), (first, "A")):
            window.finish(task, [result])
            given_at_each.append(list(window.due()))

        assert expected == given_at_each


def test_what_needs_no_asking_has_its_place() -> None:
    """A URL that was refused when it was drawn is given in its turn."""
    window: Window[str, str] = Window(10)
    window.add("a", "a")
    window.add_done("refused")
    window.end()
    task = window.take()
    assert task is not None
    assert [] == list(window.due())
    window.finish(task, ["A"])

    assert ["A", "refused"] == list(window.due())


@given(
    origins=st.lists(st.sampled_from("abc"), max_size=30),
    size=st.integers(1, 12),
    tasks=st.none() | st.integers(1, 4),
    chunk=st.integers(1, 5),
    at_once=st.integers(1, 4),
    per_origin=st.none() | st.integers(1, 4),
    ordered=st.booleans(),
    data=st.data(),
)
def test_whatever_ends_when(
    origins: str,
    size: int,
    tasks: int | None,
    chunk: int,
    at_once: int,
    per_origin: int | None,
    ordered: bool,
    data: st.DataObject,
) -> None:
    """In whatever order tasks end, all bounds hold at all times, and each URL is given once."""
    window: Window[int, int] = Window(
        size, tasks=tasks, chunk=chunk, at_once=at_once, per_origin=per_origin, ordered=ordered
    )
    drawn, results = 0, list[int]()
    running: list[Task[int]] = []
    while True:
        results += window.due()
        if window.draws:
            if drawn < len(origins):
                window.add(drawn, origins[drawn])
                drawn += 1
            else:
                window.end()
        elif running:
            task = running.pop(data.draw(st.integers(0, len(running) - 1)))
            window.finish(task, task.items)
        else:
            break
        while (task_or_none := window.take()) is not None:
            running.append(task_or_none)
        at_each = Counter[str]()
        for task in running:
            for origin, count in Counter(origins[item] for item in task.items).items():
                at_each[origin] += min(count, at_once, per_origin or at_once)

        assert drawn - len(results) <= size
        assert tasks is None or len(running) <= tasks
        assert all(1 <= len(task.items) <= chunk for task in running)
        assert per_origin is None or max(at_each.values(), default=0) <= per_origin

    assert list(range(len(origins))) == (results if ordered else sorted(results))
