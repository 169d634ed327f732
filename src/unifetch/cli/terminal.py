"""What a terminal is sent: colours where it knows them, and nothing that a server could control it with."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partialmethod

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import TextIO


class Style:
    """Bold and colours for what a terminal shows: none through a pipe, none where NO_COLOR is set."""

    def __init__(self, stream: TextIO | None) -> None:
        is_terminal = stream is not None and stream.isatty()  # None where it is closed
        self._on = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def _as(self, code: int, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on and text.strip() else text

    bold = partialmethod(_as, 1)
    dim = partialmethod(_as, 2)
    red = partialmethod(_as, 31)
    green = partialmethod(_as, 32)
    magenta = partialmethod(_as, 35)  # not yellow, which nobody can read on white
    cyan = partialmethod(_as, 36)


def printable(text: str, keep: str = "") -> str:
    """Text of a server on one line, without what would move the cursor or look like a line of ours.

    Args:
        text: what came.
        keep: characters that may stay though they are not printable, such as line feeds.
    """
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode() for char in text
    )


def columns() -> int:
    """How many characters a line of standard output has room for; 80 where it is no terminal."""
    import shutil  # what fetches a URL does without it

    return shutil.get_terminal_size().columns


def wrapped(text: str, indent: int = 0) -> str:
    """The text in lines that the terminal has room for."""
    import textwrap

    margin = " " * indent
    lines = textwrap.wrap(text, columns() - 1, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
    return "\n".join(lines)


def say(text: str) -> None:
    """One line on standard error, at once; where nobody reads it or there is no room, what was asked for goes on."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        with suppress(OSError):  # Python flushes once more at exit, and would complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
