"""The command line: `unifetch URL`, and a few commands beside it.

What was asked for goes to standard output, everything else to standard error.
"""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper

from ..errors import ConfigError, ConnectError, InvalidRequest, StatusError, TimedOut, TLSError, UnifetchError
from .parser import COMMANDS, COMMON, METHODS
from .terminal import printable, say

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = 2

# The first row that fits gives the exit code.
EXIT_CODES: dict[type[BaseException], int] = {
    InvalidRequest: USAGE,
    ConfigError: USAGE,
    TimedOut: 4,
    TLSError: 5,
    ConnectError: 3,
    StatusError: 22,
    UnifetchError: 6,
    OSError: USAGE,  # a file that cannot be read or written
    ImportError: USAGE,  # a library that is broken
    KeyboardInterrupt: 130,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the program's name; those of this process by default.

    Returns:
        The exit code; `unifetch manual` says what each means.

    Raises:
        SystemExit: 2 for arguments that cannot be parsed, 0 for `--help` and `--version`.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if sys.stderr is None:  # closed; `print` would take standard output in its place
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # as long as the process lives
    if arguments is None:  # this process is ours
        warnings.showwarning = _show_warning
    if not words:
        say(COMMON.rstrip())
        return USAGE
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # where standard output is ASCII
    try:
        try:
            code = _run(words)
        except SystemExit:  # the text of --help may still wait in the buffer
            _flush()
            raise
        _flush()
        return code
    except BrokenPipeError:
        code = 0  # whoever reads our output has seen enough, as `head` does
    except tuple(EXIT_CODES) as error:
        said = () if isinstance(error, KeyboardInterrupt) else (f"{type(error).__name__}: {error}",)
        for text in (*said, *getattr(error, "__notes__", ())):
            say(f"unifetch: {printable(text)}")
        code = next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
    try:
        _flush()
    except OSError:
        # Python flushes once more at exit, and would complain.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    say(f"unifetch: {printable(str(message))}")


def _run(words: list[str]) -> int:
    # What is not asked for is not imported: most of the time of one request is that of starting.
    first, rest = words[0], words[1:]
    if first in COMMANDS:
        return int(import_module(f".{COMMANDS[first][1]}", __package__).run(first, rest))
    from .send import run

    return run(first, rest) if first.lower() in METHODS else run("", words)
