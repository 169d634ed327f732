"""An answer that becomes a file: by a download, which can go on where it broke off, or as it comes."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import unquote

from ..client.new_file import EXACT, place_of, take_name
from ..errors import InvalidRequest, TooLarge
from .progress_bar import ProgressBar
from .terminal import printable, say

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from ..client.sync_client import Client
    from ..model.url import URL


def name_of(url: URL) -> str:
    """The name of the file that `-O` makes.

    Raises:
        InvalidRequest: the URL ends with none.
    """
    name = unquote(url.target.partition("?")[0].rpartition("/")[2])
    if name in ("", ".", "..") or not set(name).isdisjoint("/\\\0"):
        raise InvalidRequest(
            f"-O takes the name that the URL ends with, and {printable(name)!r} is none; -o FILE names one"
        )
    return name


def download(client: Client, options: argparse.Namespace, url: URL, path: str, call: dict[str, Any]) -> int:
    """Get the URL into the file at `path`; the bytes that it has in the end."""
    del call["method"]
    hints = not options.silent
    if options.resume and (length := _is_complete(client, url, path, call)) is not None:
        if hints:
            say(f"unifetch: {printable(path)} is complete: {length} bytes, as at the server; nothing was done")
        return length
    with ExitStack() as stack:
        progress: Any = stack.enter_context(ProgressBar(sys.stderr)) if hints else None
        if options.limit is not None:
            progress = _within(options.limit, progress)
        try:
            done = client.download(url, path, resume=options.resume, progress=progress, **call)
        except KeyboardInterrupt as interrupt:
            if hints and not os.path.exists(path):
                interrupt.add_note("interrupted; the same command with -c goes on, if the server allows it")
            raise
    return done.size


def _is_complete(client: Client, url: URL, path: str, call: dict[str, Any]) -> int | None:
    """The size of a file that is there as long as the server's, with nothing left of a broken download beside it."""
    target = os.path.realpath(path)
    if not os.path.isfile(target) or any(
        name.endswith("unifetch-part") for name in os.listdir(os.path.dirname(target) or ".")
    ):
        return None
    head = client.request("HEAD", url, **{**call, "headers": [*call["headers"], ("Accept-Encoding", "identity")]})
    length = os.path.getsize(target)
    return length if head.status == 200 and head.headers.get("content-length") == str(length) else None


def _within(limit: int, progress: Any) -> Any:
    def check(received: int, total: int | None) -> None:
        if max(received, total or 0) > limit:
            raise TooLarge(f"--limit {limit}: the body has {total or received} bytes or more")
        if progress is not None:
            progress(received, total)

    return check


@contextmanager
def taking_name(path: str) -> Iterator[BinaryIO]:
    """A file to write to, which takes its name at the end, so that a failure leaves what was there before."""
    target = place_of(path)
    unfinished = os.path.join(os.path.dirname(target), f".{os.urandom(8).hex()}.unifetch-part")
    try:
        file = open(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | EXACT, 0o600), "r+b")  # noqa: SIM115  # closed below
    except OSError as error:
        error.filename = path
        raise
    try:
        with file:
            yield file
            take_name(file, unfinished, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
        raise
