"""A netrc file: names and passwords by host, read when one is first needed."""

from __future__ import annotations

import os
import re

from ..errors import ConfigError

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def read_netrc(path: str | None) -> NetrcEntries:
    """The entries of this file, or of the default one.

    Warns if others may read the file, or own it. Raises `ConfigError` if a file that was named cannot be read, or is
    not a netrc.
    """
    named = path or os.environ.get("NETRC")
    file_path = os.path.expanduser(named or ("~/_netrc" if os.name == "nt" else "~/.netrc"))
    try:
        with open(file_path, encoding="utf-8-sig") as file:
            status = os.fstat(file.fileno())
            text = file.read()
    except FileNotFoundError:
        if named is None:
            return NetrcEntries(())
        raise ConfigError(f"netrc: there is no file {file_path}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"netrc: {file_path} cannot be read: {reason}") from None
    if os.name == "posix" and (status.st_mode & 0o077 or status.st_uid != os.getuid()):
        import warnings

        warnings.warn(f"netrc: {file_path} should belong to you alone: chmod 600", stacklevel=2)
    entries = NetrcEntries.parse(text)
    if entries.skipped:
        import warnings

        lines = ", ".join(map(str, entries.skipped))
        known = "machine, default, login, password, account or macdef"
        warnings.warn(f"netrc: {file_path}: skipped what is no {known}, in line {lines}", stacklevel=2)
    return entries


# The words of a netrc, one entry or comment at a time.
_NETRC = re.compile(
    r"""\s*(?:
        \#[^\n]*
      | macdef\s .*? (?: \n\r?\n | \Z )
      | (?P<default> default ) (?!\S)
      | (?P<key> machine | login | password | account ) \s+
        (?: "(?P<quoted> (?: [^"\\] | \\. )* )" (?!\S) | (?P<bare> [^\s"]\S* ) )
    )\s*""",
    re.ASCII | re.DOTALL | re.VERBOSE,
)


_UNKNOWN_WORD = re.compile(r'(?!(?:machine|login|password|account|macdef|default)(?!\S))[^\s"]\S*\s*', re.ASCII)


class NetrcEntries:
    """What a netrc file says, in order: of each entry the `machine` (none in `default`), `login` and `password`."""

    __slots__ = ("entries", "skipped")

    def __init__(self, entries: Iterable[dict[str, str]], skipped: Iterable[int] = ()) -> None:
        self.entries = tuple(entries)
        self.skipped = tuple(skipped)  # lines with words that belong to no netrc

    @classmethod
    def parse(cls, text: str) -> NetrcEntries:
        """From the text of a file. Values may be in double quotes; macros and the words of other tools are skipped.

        Raises `ConfigError`, which names the line and does not show it.
        """
        entries: list[dict[str, str]] = []
        skipped: dict[int, None] = {}
        position = len(text) - len(text.lstrip(" \t\r\n"))
        while position < len(text):
            found = _NETRC.match(text, position)
            if found is None and (word := _UNKNOWN_WORD.match(text, position)):
                skipped[text.count("\n", 0, position) + 1] = None
                position = word.end()
                continue
            key = found and (found["default"] or found["key"])
            if found is None or (key in ("login", "password", "account") and not entries):
                line = text.count("\n", 0, position) + 1
                raise ConfigError(f"netrc: line {line} is not a machine, default, login, password, account or macdef")
            value = found["bare"]
            if found["quoted"] is not None:
                value = re.sub(r"(?s)\\(.)", r"\1", found["quoted"])
            if key == "machine":
                entries.append({"machine": value.lower()})
            elif key == "default":
                entries.append({})
            elif key:
                entries[-1][key] = value
            position = found.end()
        return cls(entries, skipped)

    def lookup(self, host: str, *, user: str | None = None) -> tuple[str, str] | None:
        """Name and password for exactly this host, else those of `default`; None if one of the two is missing.

        The host is in lower case, an IPv6 address without brackets. Entries with a name other than `user` are passed
        over.
        """
        entries = [entry for entry in self.entries if entry.get("machine") == host]
        for entry in entries or [entry for entry in self.entries if "machine" not in entry]:
            if user is None or user == entry.get("login"):
                return (entry["login"], entry["password"]) if "login" in entry and "password" in entry else None
        return None

    def __repr__(self) -> str:
        return f"NetrcEntries({len(self.entries)} entries)"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("the entries of a netrc do not travel in a pickle")
