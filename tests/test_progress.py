"""The progress bar: what a line of a terminal says, and how often."""

from __future__ import annotations

import io

import pytest

from unifetch.cli.progress_bar import ProgressBar, duration, line, size


class Terminal(io.StringIO):
    """Remembers all that it is sent."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (12_345_678, "12.3 MB"),
        (8 * 10**12, "8.0 TB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes(count: int, expected: str) -> None:
    """Decimal units, at most four characters of number."""
    assert expected == size(count)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3599, "59:59"), (3600, "1:00:00"), (1e9, "-:--"), (None, "-:--")],
)
def test_durations(seconds: float | None, expected: str) -> None:
    """Minutes and seconds, with hours once there is one."""
    assert expected == duration(seconds)


@pytest.mark.parametrize(
    ("state", "columns", "expected"),
    [
        ((0, 100, 0, 0), 60, "  0% [>                      ]      0 B       0 B/s     -:--"),
        ((50, 100, 25, 5), 60, " 50% [===========>           ]     50 B       5 B/s     0:10"),
        ((100, 100, 100, 2), 60, "100% [=======================]    100 B      50 B/s     0:02"),
        ((200, 100, 100, 2), 60, "100% [=======================]    200 B      50 B/s     0:02"),
        ((50, 100, 25, 5), 40, " 50%     50 B       5 B/s     0:10"),
        ((50, 100, 25, 5), 10, " 50%     5"),
        ((50, None, 50, 5), 60, "    50 B      10 B/s     -:--"),
        ((0, 0, 0, 0), 60, "     0 B       0 B/s     0:00"),
    ],
)
def test_lines(state: tuple[int, int | None, int, float], columns: int, expected: str) -> None:
    """How much, how fast, and how long still; in the end how long it took. Never wider than it may be."""
    shown = line(*state, columns)

    assert expected == shown
    assert len(shown) <= columns


def test_it_is_drawn_ten_times_a_second() -> None:
    """However often it is called; each drawing covers the one before, and the last one stays."""
    now = 0.0
    terminal = Terminal()
    with ProgressBar(terminal, lambda: now) as bar:
        for received in range(129):
            now = received / 64
            bar(received, 128)
    first, *drawings = terminal.getvalue().split("\r")

    # Each 7th call, because 6 are less than 0.1 s; then the one that clears the line, and the one that stays.
    assert ("", 19 + 2, 79) == (first, len(drawings), len(drawings[0]))
    assert " " * 79 == drawings[-2]
    assert drawings[-1].endswith("   128 B      64 B/s     0:02\n")


def test_what_was_there_took_no_time() -> None:
    """The rate is that of this download; one that begins anew has a rate of its own."""
    now = 0.0
    terminal = Terminal()
    with ProgressBar(terminal, lambda: now) as bar:
        bar(900, 1000)
        now = 10.0
        bar(910, 1000)
        bar(0, 1000)
        now = 20.0
        bar(20, 1000)
    drawings = terminal.getvalue().split("\r")

    assert ["0 B/s", "1 B/s", "0 B/s", "2 B/s"] == [each[-14:-9].strip() for each in drawings[1:5]]


def test_nothing_is_drawn_where_there_is_no_terminal() -> None:
    """Nor where nothing happened."""
    pipe, terminal = io.StringIO(), Terminal()
    with ProgressBar(pipe) as bar, ProgressBar(terminal):
        bar(1, 2)

    assert ("", "") == (pipe.getvalue(), terminal.getvalue())
