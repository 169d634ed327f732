"""How far a download is, on one line of a terminal that is drawn again and again.

Plain characters and carriage returns, no escape sequences: that is all that any terminal can do. The line is
cleared at the end, so that what is said next starts on a clean one.
"""

from __future__ import annotations

import os
from time import monotonic

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, TextIO

EVERY = 0.1  # seconds between two drawings
WIDEST = 80  # columns
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


class ProgressBar:
    """Shows what it is called with: `progress(received, total)`, in bytes, within its `with` block.

    Args:
        terminal: where to draw; nothing is drawn where it is no terminal.
        clock: seconds that never go back.
    """

    def __init__(self, terminal: TextIO, clock: Callable[[], float] = monotonic) -> None:
        self._terminal = terminal
        self._clock = clock
        self._is_shown = terminal.isatty()
        self._drawn = ""
        self._next = 0.0
        self._last: tuple[int, int | None] | None = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, received: int, total: int | None) -> None:
        if not self._is_shown:
            return
        now = self._clock()
        if self._last is None or received < self._last[0]:  # a response has begun; what was there took no time
            self._began, self._had, self._next = now, received, now
        self._last = received, total
        if now >= self._next:
            self._next = now + EVERY
            self._draw(line(received, total, received - self._had, now - self._began, self._columns()))

    def _columns(self) -> int:
        try:
            columns = os.get_terminal_size(self._terminal.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        # In the last column, a terminal may already have gone to the next line.
        return min(columns or WIDEST, WIDEST) - 1

    def _draw(self, text: str) -> None:
        self._terminal.write(f"\r{text}{' ' * (len(self._drawn) - len(text))}")
        self._terminal.flush()
        self._drawn = text

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._last is None:
            return
        self._draw("")
        self._terminal.write("\r")
        if error is None:
            seconds = self._clock() - self._began
            self._terminal.write(f"{line(*self._last, self._last[0] - self._had, seconds, self._columns())}\n")
        self._terminal.flush()


def line(received: int, total: int | None, recent: int, seconds: float, columns: int) -> str:
    """One line: ` 42% [=====>      ]  12.3 MB  3.4 MB/s  0:05`, the last being the time that is left, or was taken.

    Args:
        received, total: bytes of the file.
        recent: those of them that came within the last `seconds`.
        columns: how wide it may be.
    """
    rate = recent / seconds if seconds > 0 else 0.0
    done = total is not None and received >= total
    left = None if total is None or not rate else (total - received) / rate
    time = seconds if done else left
    facts = f"{size(received):>8}  {size(rate):>8}/s  {duration(time):>7}"
    if not total:
        return facts[:columns]
    share = min(received / total, 1.0)
    percent = f"{int(share * 100):3}% "
    room = columns - len(percent) - len(facts) - 3
    if room < 8:
        return f"{percent}{facts}"[:columns]
    filled = int(share * room)
    bar = "=" * filled if filled == room else "=" * filled + ">"
    return f"{percent}[{bar:{room}}] {facts}"


def size(count: float) -> str:
    """Bytes in decimal units, three digits of them: `"12.3 MB"`."""
    for unit in UNITS:
        if count < 999.5 or unit == UNITS[-1]:
            break
        count /= 1000
    digits = 0 if unit == "B" or count >= 99.95 else 1
    return f"{count:.{digits}f} {unit}"


def duration(seconds: float | None) -> str:
    """Seconds as `"1:02:03"` or `"2:03"`; dashes where nobody knows."""
    if seconds is None or seconds >= 360_000:
        return "-:--"
    minutes, left = divmod(int(seconds + 0.5), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}" if minutes >= 60 else f"{minutes}:{left:02}"
