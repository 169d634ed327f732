"""Cookies that are kept from one command to the next, in the file format that curl and wget read as well."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress

from ..policies.cookie_jar import CookieJar

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def cookie_file(path: str) -> Iterator[CookieJar]:
    """The cookies of a file, which is written anew at the end, also after an error: a failed login may have set some.

    The file is for its owner alone, because a cookie is as good as a password.
    """
    try:
        with open(path, encoding="iso-8859-1") as file:
            jar = CookieJar.from_netscape(file.read())
    except FileNotFoundError:
        jar = CookieJar()
    place = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(place):  # before a request is sent whose cookies could not be kept
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    try:
        yield jar
    finally:
        unfinished = f"{os.path.realpath(path)}.{os.urandom(4).hex()}.part"
        try:
            with os.fdopen(
                os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="iso-8859-1"
            ) as file:
                file.write(jar.to_netscape())
            os.replace(unfinished, os.path.realpath(path))
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished)
            raise
