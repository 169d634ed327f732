"""A response as a file: whole or not at all, and gone on with where it broke off.

What comes is written beside the target, into `.NAME.unifetch-part`, and takes the target's name once it is
complete and verified. Until then `.NAME.unifetch-part.json` says of which version of which URL it is, for whoever
resumes; where nothing says that (see `policies/ranges.py`), a download that fails leaves nothing behind.

A server never chooses a name. A download is not repeated by itself: whoever wants that calls again. One target
has one download at a time; the lock on its part ends with the process, so that none is left behind.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from time import monotonic

from ..errors import IncompleteBody, InvalidHeader, InvalidSetting, ProtocolError, StatusError, UnifetchError, evidence
from ..model.frozen import Value
from ..model.headers import Headers
from ..policies.ranges import Validator, expected_digests, is_encoded, length_of, repr_digests
from .event_loops import in_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from io import BufferedRandom
    from types import TracebackType
    from typing import Any, Self

    from ..model.headers import Pairs
    from ..model.messages import Response
    from ..model.url import URL
    from ..policies.bodies import Progress
    from ..policies.ranges import DigestTypes
    from .arguments import CallArguments
    from .async_client import AsyncClient
    from .base_client import BaseClient
    from .sync_client import Client

ERROR_BODY = 64 * 1024  # bytes that a StatusError keeps of its body
SIDECAR = 16 * 1024  # bytes; longer is none of ours

# Neither through a link nor waiting for a pipe's other end, both of which somebody else may have put there; no text.
_EXACT = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Download(Value):
    """A file that was downloaded.

    Attributes:
        path: its path, as it was given.
        response: the response that it came with, the last one if it was resumed; its body is empty.
        size: bytes of the whole file.
        resumed_from: bytes that were there before; 0 if all of it came now.
    """

    path: str
    response: Response[bytes]
    size: int
    resumed_from: int

    def __init__(self, path: str, response: Response[bytes], size: int, resumed_from: int) -> None:
        vars(self).update(path=path, response=response, size=size, resumed_from=resumed_from)


def download(
    client: Client,
    url: URL,
    path: str | os.PathLike[str],
    *,
    resume: bool,
    digest: DigestTypes,
    progress: Progress | None,
    call: CallArguments,
) -> Download:
    """Drive a download; see `Client.download`, with `url` absolute."""
    fields = _fields(client, call)
    call["timeout"] = timeout = client.unbounded(call)
    started = monotonic()
    with Part(path, url, resume=resume, digest=digest, progress=progress) as part:
        while True:
            call["headers"] = [*fields, *part.request_fields()]
            with client.stream("GET", url, **call) as response:
                if response.status not in part.statuses:
                    raise _refusal(response)
                if part.begin(response):
                    for piece in response.body:
                        part.write(piece)
                    return part.finish()
            if timeout.total is not None:  # asking a second time does not give more time
                call["timeout"] = timeout.replace(total=max(timeout.total - (monotonic() - started), 1e-3))


async def async_download(
    client: AsyncClient,
    url: URL,
    path: str | os.PathLike[str],
    *,
    resume: bool,
    digest: DigestTypes,
    progress: Progress | None,
    call: CallArguments,
) -> Download:
    """The same, awaited. A piece is written as it comes; what takes longer, at the end, is done in a thread."""
    fields = _fields(client, call)
    call["timeout"] = timeout = client.unbounded(call)
    started = monotonic()
    with Part(path, url, resume=resume, digest=digest, progress=progress) as part:
        while True:
            call["headers"] = [*fields, *part.request_fields()]
            async with client.stream("GET", url, **call) as response:
                if response.status not in part.statuses:
                    raise await _async_refusal(response)
                if part.begin(response):
                    async for piece in response.body:
                        part.write(piece)
                    return await in_thread(part.finish)
            if timeout.total is not None:
                call["timeout"] = timeout.replace(total=max(timeout.total - (monotonic() - started), 1e-3))


def _fields(client: BaseClient, call: CallArguments) -> Pairs:
    """The caller's own fields, and the one that asks for the file as it is: a part of a coded one is of no use."""
    given = Headers(call.pop("headers", None))
    for name in ("Range", "If-Range"):
        if name in given or name in client.settings.headers:
            raise InvalidHeader(f"{name} belongs to download(), which sets it to resume")
    return *given.without("accept-encoding").pairs, ("Accept-Encoding", "identity")


def _refusal(response: Response[Iterator[bytes]]) -> StatusError:
    """The error for a response that brings no file; of its body, the beginning."""
    body = b""
    with suppress(UnifetchError):  # the status says more than that its page broke off
        for piece in response.body:
            body += piece
            if len(body) >= ERROR_BODY:
                break
    return _status_error(response, body)


async def _async_refusal(response: Response[AsyncIterator[bytes]]) -> StatusError:
    body = b""
    with suppress(UnifetchError):
        async for piece in response.body:
            body += piece
            if len(body) >= ERROR_BODY:
                break
    return _status_error(response, body)


def _status_error(response: Response[Any], body: bytes) -> StatusError:
    whole: Response[bytes] = response.replace(body=body[:ERROR_BODY])
    reason = f" {evidence(response.reason)[1:-1]}" if response.reason else ""
    return StatusError(f"{response.status}{reason} for GET {response.url}, which brings no file", whole)


class Part:
    """The file beside the target, locked while its `with` block runs.

    It asks, takes a response's head and its pieces, and is done; who drives it may wait as they like.

    Args:
        path, resume, digest, progress: as for `Client.download`.
        url: absolute; what was begun from another is not resumed.

    Raises:
        OSError: if the target or its part cannot be written; `BlockingIOError` while another download does.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        url: URL,
        *,
        resume: bool,
        digest: DigestTypes,
        progress: Progress | None,
    ) -> None:
        if progress is not None and not callable(progress):
            raise InvalidSetting(f"progress: must be a callable (received, total), not {type(progress).__name__}")
        self._given = os.fsdecode(path)
        self._target = os.path.realpath(self._given)  # a symbolic link stays one
        directory, name = os.path.split(self._target)
        self._part = os.path.join(directory, f".{name}.unifetch-part")
        self._sidecar = f"{self._part}.json"
        self._url = url
        self._resume = resume
        self._digests = expected_digests(digest)
        self._progress = progress
        self._start = self._received = 0
        self._end: int | None = None
        self._total: int | None = None
        self._validator: Validator | None = None
        self._response: Response[Any]

    def __enter__(self) -> Self:
        _check_writable(self._target, self._given)
        try:
            self._file = self._open()
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ELOOP):  # those are about what was found in the part's place
                error.filename = self._given
            raise
        size = os.fstat(self._file.fileno()).st_size
        if self._resume and size and (validator := self._saved()):
            self._validator = validator
            # A part that is complete asks for its last byte again: for no byte at all, there is no range.
            self._start = size if validator.total is None else min(size, validator.total - 1)
        return self

    def _open(self) -> BufferedRandom:
        while True:
            descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | _EXACT, 0o600)
            try:
                _lock(descriptor)
                found = os.fstat(descriptor)
                if not _is_ours(found):
                    raise FileExistsError(errno.EEXIST, "Not a part of our own", self._part)
                with suppress(FileNotFoundError):
                    # The one that it was opened under may have taken the target's name meanwhile.
                    if os.path.samestat(found, os.stat(self._part)):
                        return open(descriptor, "r+b")
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    # --- The request ------------------------------------------------------------------------------

    @property
    def statuses(self) -> tuple[int, ...]:
        """The statuses that `begin` can do something with."""
        return (200, 203, 206, 416) if self._start else (200, 203)

    def request_fields(self) -> Pairs:
        """What asks for the rest, if there is a beginning."""
        return self._validator.request_fields(self._start) if self._validator and self._start else ()

    # --- The response -----------------------------------------------------------------------------

    def begin(self, response: Response[Any]) -> bool:
        """Make ready for the body of this response; False if it is of no use, and the whole file has to be asked for.

        That is so for ranges that were not asked for, for a file that has changed after all, and for a 416.
        """
        self._response, headers = response, response.headers
        if response.status in (206, 416):
            span = self._validator and self._validator.accepts(headers, self._start)
            if not span or response.status == 416:
                self._start = 0
                return False
            self._end, self._total = span.end, span.total
        else:
            self._begin_anew(Validator.of_response(response.status, headers))
            self._end = self._total = None if is_encoded(headers) else length_of(headers)
        self._received = self._start
        self._file.seek(self._start)
        self._file.truncate()
        self._tell()
        return True

    def _begin_anew(self, validator: Validator | None) -> None:
        # At every moment, what the sidecar says is true of the part.
        self._start = 0
        _remove(self._sidecar)
        self._file.truncate(0)
        if validator is None:
            return
        import json

        saved = json.dumps({"url": _fingerprint(self._url), "validator": vars(validator)})
        with open(os.open(self._sidecar, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _EXACT, 0o600), "wb") as sidecar:
            sidecar.write(saved.encode())

    def _saved(self) -> Validator | None:
        """What the sidecar says, if it is ours, and of this URL."""
        import json

        try:
            with open(os.open(self._sidecar, os.O_RDONLY | _EXACT), "rb") as sidecar:
                saved = json.loads(sidecar.read(SIDECAR)) if _is_ours(os.fstat(sidecar.fileno())) else None
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(saved, dict) or saved.get("url") != _fingerprint(self._url):
            return None
        return Validator.of_saved(saved.get("validator"))

    def write(self, piece: bytes) -> None:
        """Take a piece of the body.

        Raises:
            ProtocolError: for more than was declared.
            OSError: if it cannot be written.
        """
        self._received += len(piece)
        if self._end is not None and self._received > self._end:
            raise self._wrong(ProtocolError, f"more than the {self._end} bytes that were declared")
        self._file.write(piece)
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._received, self._total)

    # --- The end ----------------------------------------------------------------------------------

    def finish(self) -> Download:
        """Verify what has come, and give it the target's name.

        Raises:
            IncompleteBody: for less than was declared, or less than the whole file.
            ProtocolError: for another digest; it names both.
        """
        whole = self._end if self._total is None else self._total
        if whole is not None and self._received != whole:
            raise self._wrong(IncompleteBody, f"the file ended after {self._received} of {whole} bytes")
        self._file.flush()
        self._verify(repr_digests(self._response.headers) | self._digests)
        os.fsync(self._file.fileno())
        os.chmod(self._part, self._usual_mode())
        if sys.platform == "win32":
            self._file.close()  # no file that is open is renamed there; elsewhere the lock, which ends with it, helps
        os.replace(self._part, self._target)
        _remove(self._sidecar)
        self._file.close()
        return Download(self._given, self._response.without_stream(), self._received, self._start)

    def _verify(self, digests: dict[str, str]) -> None:
        # Of the file, and not of its pieces as they come: what was there before takes time to read, in which a
        # server would have to wait.
        for name, wanted in digests.items():
            from hashlib import file_digest

            self._file.seek(0)
            found = file_digest(self._file, name).hexdigest()
            if found != wanted:
                _remove(self._sidecar)  # there is nothing to go on with
                raise self._wrong(ProtocolError, f"the {name} of the file is {found}, not {wanted}")

    def _wrong(self, kind: type[ProtocolError], message: str) -> ProtocolError:
        error = kind(message, request_sent="yes")
        error.request, error.backend = self._response.request, self._response.backend
        return error

    def _usual_mode(self) -> int:
        """As of the file that is there; else as umask and directory give it to a new one, which they show on one."""
        with suppress(FileNotFoundError):
            return stat.S_IMODE(os.stat(self._target).st_mode) & 0o777
        new = f"{self._part}.{os.urandom(4).hex()}"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            return stat.S_IMODE(os.fstat(descriptor).st_mode)
        finally:
            os.close(descriptor)
            os.unlink(new)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        with suppress(OSError, ValueError):  # the error that counts is on its way; ValueError: it is closed already
            self._file.flush()
        size = os.path.getsize(self._part) if os.path.exists(self._part) else 0
        kept = size > 0 and os.path.exists(self._sidecar)
        if kept:
            error.add_note(f"{size} bytes are kept, to resume from")
        with suppress(OSError):
            if sys.platform == "win32" or kept:
                self._file.close()  # no file that is open is removed there
            if not kept:
                _remove(self._sidecar)
                _remove(self._part)
        with suppress(OSError):
            self._file.close()


def _check_writable(target: str, given: str) -> None:
    """Refuse what a rename would replace though it could not be written, or is no file."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise FileExistsError(errno.EEXIST, "Not a regular file", given)
    open(given, "r+b").close()  # fails for a directory, too


def _is_ours(found: os.stat_result) -> bool:
    """Whether this is a file that only we can have made: in a directory that others write in, it may be theirs."""
    mine = sys.platform == "win32" or found.st_uid == os.geteuid()
    return mine and stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _lock(descriptor: int) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            raise BlockingIOError(errno.EAGAIN, "Another download writes this file") from None
        # Any other: this file system has no locks, as some that are shared by many machines.


def _fingerprint(url: URL) -> str:
    # No more than that, because a query may hold a secret.
    from hashlib import sha256

    return sha256(url.encode()).hexdigest()


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
