"""A file that takes its name once it is complete: until then, whatever had that name stays.

It is written under another name beside its target. Others may write in that directory, as in /tmp: so no link of theirs
is followed, and only the file that was written is renamed, not one that has taken its place. What is bound to fail at
the end is refused at the beginning, before anything is sent.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress

from ..errors import InvalidSetting, evidence

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedRandom, FileIO
    from typing import Any

# Follow no link, and wait for no pipe's other end, which somebody else may have put there. Binary.
EXACT = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_OTHERWISE = "mount its directory, or open it, and write a stream() to it"

READABLE = 100  # bytes of a name that its part repeats; file systems allow 143 to 255
MOST_LINKS = 40  # as in Linux


def place_of(given: str) -> str:
    """The absolute path of the file to replace or make, behind any symbolic link.

    Raises `OSError` for a file that could not take its name at the end; it shows the path as it was given.
    """
    try:
        if os.path.basename(given) in ("", "."):  # "x/" names a directory, also where there is none yet
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        target = _resolved(given) if sys.platform != "win32" else os.path.realpath(given)
        _check(target)
    except OSError as error:
        error.filename = given
        raise
    except ValueError as error:  # NUL, or what the file system's encoding does not have
        raise InvalidSetting(f"path: {evidence(given)} is none: {error}") from None
    return target


def part_of(target: str) -> str:
    """Where the file is written until it is complete: a hidden name beside it."""
    directory, name = os.path.split(target)
    raw = os.fsencode(name)
    if len(raw) <= READABLE:
        shown = name
    else:
        from hashlib import sha256  # which loads OpenSSL

        shown = sha256(raw).hexdigest()
    return os.path.join(directory, f".{shown}.unifetch-part")


def open_exactly(path: str, mode: str, flags: int) -> FileIO:
    """Open this path itself, unbuffered, with these flags of `os.open`; only its owner can read a new file."""
    # All in C, so that no interrupt (Ctrl-C) comes between opening the descriptor and the file that closes it.
    opened: Iterator[Any] = map(open, map(os.open, (path,), (flags | EXACT,), (0o600,)), (mode,), (0,))
    file: FileIO = next(opened)
    return file


def take_name(file: BufferedRandom, part: str, target: str) -> None:
    """Give the file that was written its target's name, with the mode of the file there, or of a new one.

    Raises `OSError` if it cannot be, and `FileExistsError` if another file is in the part's place by now.
    """
    file.flush()
    os.fsync(file.fileno())
    if sys.platform != "win32":
        os.fchmod(file.fileno(), _usual_mode(target))
    if not is_at(file.fileno(), part):
        raise FileExistsError(errno.EEXIST, "Somebody else has put another file in its place", part)
    if sys.platform == "win32":
        file.close()  # Windows renames no open file; elsewhere its lock holds until then
    os.replace(part, target)


def is_at(descriptor: int, path: str) -> bool:
    """Whether this open file is the one at that path."""
    return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))


def _resolved(given: str) -> str:
    """Where a path leads, as `os.path.realpath` says, but through no link that the kernel might refuse to follow."""
    place = os.sep if given.startswith(os.sep) else os.getcwd()
    left, links = given.split(os.sep)[::-1], 0
    while left:
        name = left.pop()
        if name == "..":
            place = os.path.dirname(place)
        if name in ("", ".", ".."):
            continue
        step = os.path.join(place, name)
        link = None
        with suppress(FileNotFoundError, NotADirectoryError):
            found = os.lstat(step)
            link = os.readlink(step) if stat.S_ISLNK(found.st_mode) else None
        if link is None:
            place = step
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        # Linux's protected_symlinks, on every system: anybody may put a link to anything into /tmp.
        directory = os.stat(place)
        if _is_shared(directory) and found.st_uid not in (os.geteuid(), directory.st_uid):
            raise PermissionError(errno.EACCES, "A symbolic link of somebody else's in a shared directory")
        if link.startswith(os.sep):
            place = os.sep
        left += link.split(os.sep)[::-1]
    return place


def _is_shared(directory: os.stat_result) -> bool:
    return bool(directory.st_mode & stat.S_ISVTX and directory.st_mode & stat.S_IWOTH)


def _check(target: str) -> None:
    """Refuse a target that is no file, that may not be written, or that a rename could not replace."""
    try:
        found = os.stat(target, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise FileExistsError(errno.EEXIST, "Not a regular file; open it, and write a stream() to it")
    with open_exactly(target, "r+b", os.O_RDWR) as file:  # fails for a directory, too
        if sys.platform != "win32":
            _check_replaceable(file.fileno(), found, os.path.dirname(target))


def _check_replaceable(descriptor: int, found: os.stat_result, above: str) -> None:
    directory = os.stat(above)
    if directory.st_mode & stat.S_ISVTX and os.geteuid() not in (0, found.st_uid, directory.st_uid):
        raise PermissionError(errno.EPERM, "A file of somebody else's in a directory where only they can replace it")
    opened: list[int] = []  # filled in C, as above
    try:
        opened.extend(map(os.open, (above,), (getattr(os, "O_PATH", os.O_RDONLY),)))
        if found.st_dev != directory.st_dev or _mount_of(descriptor) != _mount_of(opened[0]):
            raise OSError(errno.EBUSY, f"A file that is mounted cannot be replaced; {_OTHERWISE}")
    finally:
        for each in opened:
            os.close(each)


def _mount_of(descriptor: int) -> bytes | None:
    """The number of the mount that a descriptor was opened through; None where the system does not say."""
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", "rb") as info:
            return next((line for line in info if line.startswith(b"mnt_id:")), None)
    except OSError:
        return None


def _usual_mode(target: str) -> int:
    """The mode of the file there; else that of a new one by umask and directory, found by making one."""
    with suppress(FileNotFoundError):
        found = os.stat(target, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            return stat.S_IMODE(found.st_mode) & 0o777
    new = os.path.join(os.path.dirname(target), f".{os.urandom(8).hex()}.unifetch-part")
    try:
        with open(new, "xb") as made:
            return stat.S_IMODE(os.fstat(made.fileno()).st_mode)
    finally:
        try:  # noqa: SIM105  # an interrupt may come between any two calls, so this is the first
            os.unlink(new)
        except FileNotFoundError:
            pass
