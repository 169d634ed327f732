"""A response as a file: whole or not at all, and resumed where it broke off.

What comes is written beside the target, into `.NAME.unifetch-part` (`new_file.py`), and takes the target's name once
it is complete and verified. Until then `.NAME.unifetch-part.json` says of which version of which URL it is, for whoever
resumes; without a validator (see `policies/ranges.py`), a download that fails leaves nothing behind.

A server never chooses a name. A download that fails is not repeated: call again. One target has one download at a time;
the lock on its part ends with the process, so none is left behind.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedRandom
from time import monotonic

from ..errors import (
    IncompleteBody,
    InvalidHeader,
    InvalidSetting,
    ProtocolError,
    StatusError,
    UnifetchError,
    evidence,
    shown,
)
from ..model.frozen import Record
from ..model.headers import Headers
from ..policies.bodies import check_callable
from ..policies.ranges import Validator, expected_digests, is_part, length_of, repr_digests
from .base_client import absolute, check_arguments
from .event_loops import in_thread
from .new_file import is_at, open_exactly, part_of, place_of, take_name

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Any, Self

    from ..model.messages import Response
    from ..model.url import URL
    from ..policies.bodies import Progress
    from ..policies.ranges import DigestTypes
    from .arguments import CallArguments
    from .async_client import AsyncClient
    from .base_client import BaseClient
    from .sync_client import Client

ERROR_BODY = 64 * 1024  # bytes that a StatusError keeps of its body
SIDECAR = 16 * 1024  # bytes; a longer one is not ours


class Download(Record):
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


def target_of(client: BaseClient, url: str, call: CallArguments) -> URL:
    """The absolute URL of a download with the parameters of its call, which stay there for each of its requests."""
    params = call.get("params")
    if isinstance(params, Iterator):
        call["params"] = params = list(params)
    return absolute(url, client.settings.base_url, params)


def download(client: Client, url: str, part: Part, call: CallArguments) -> Download:
    """Drive a download; see `Client.download`."""
    fields = _fields(client, call)
    call["timeout"] = timeout = client.unbounded(call)
    started = monotonic()
    with part:
        while True:
            call["headers"] = fields.merged(part.request_fields())
            with client.stream("GET", url, **call) as response:
                if response.status not in part.statuses:
                    raise _refusal(response)
                if part.begin(response):
                    for piece in response.body:
                        part.write(piece)
                    return part.finish()
            if timeout.total is not None:  # to ask a second time gives no more time
                call["timeout"] = timeout.replace(total=max(timeout.total - (monotonic() - started), 1e-3))


async def async_download(client: AsyncClient, url: str, part: Part, call: CallArguments) -> Download:
    """The same, awaited. Pieces are written as they come; the end, which takes longer, is done in a thread."""
    fields = _fields(client, call)
    call["timeout"] = timeout = client.unbounded(call)
    started = monotonic()
    with part:
        while True:
            call["headers"] = fields.merged(part.request_fields())
            async with client.stream("GET", url, **call) as response:
                if response.status not in part.statuses:
                    raise await _async_refusal(response)
                if part.begin(response):
                    async for piece in response.body:
                        part.write(piece)
                    return await in_thread(part.finish)
            if timeout.total is not None:
                call["timeout"] = timeout.replace(total=max(timeout.total - (monotonic() - started), 1e-3))


def _fields(client: BaseClient, call: CallArguments) -> Headers:
    """The caller's own fields, and one that asks for the file without a coding: a part of a coded one is of no use."""
    check_arguments("download()", call)
    given = Headers(call.pop("headers", None))
    for name in ("Range", "If-Range"):
        if name in given or name in client.settings.headers:
            raise InvalidHeader(f"{name} belongs to download(), which sets it to resume")
    return given.merged(Headers({"Accept-Encoding": "identity"}))


def _refusal(response: Response[Iterator[bytes]]) -> StatusError:
    """The error for a response that brings no file, with the beginning of its body."""
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

    It says what to ask for, and takes the head and the pieces of a response; its driver blocks, or awaits.

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
        if progress is not None:
            check_callable("progress", progress, "received, total")
        if type(resume) is not bool:
            raise InvalidSetting(f"resume: must be true or false, not {shown(resume)}")
        try:
            self._given = os.fsdecode(path)
        except TypeError:
            raise InvalidSetting(f"path: must be a path, str, bytes or PathLike, not {type(path).__name__}") from None
        self._target = place_of(self._given)
        self._part = part_of(self._target)
        self._sidecar = f"{self._part}.json"
        self.url = url
        self._resume = resume
        self._digests = expected_digests(digest)
        self._progress = progress
        self._start = self._received = 0
        self._end: int | None = None
        self._total: int | None = None
        self._validator: Validator | None = None
        self._place: object = None
        self._response: Response[Any]

    def __enter__(self) -> Self:
        try:
            self._file = self._open()
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ELOOP):  # these are about what is in the part's place
                error.filename = self._given
            raise
        try:
            self._find_beginning()
        except BaseException as error:  # an interrupt: no `with` block ends this yet
            self.__exit__(type(error), error, None)
            raise
        return self

    def _find_beginning(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if self._resume and size and (validator := self._saved()):
            if validator.total is not None and size > validator.total:
                return  # it is not of this file
            # A part that is complete asks for its last byte again, since no range has no bytes.
            self._validator = validator
            self._start = size if validator.total is None else min(size, validator.total - 1)

    def _open(self) -> BufferedRandom:
        while True:
            file = open_exactly(self._part, "r+b", os.O_RDWR | os.O_CREAT)
            try:
                descriptor = file.fileno()
                _lock(descriptor)
                if not _is_ours(os.fstat(descriptor)):
                    raise FileExistsError(errno.EEXIST, "Not a part of our own", self._part)
                with suppress(FileNotFoundError):
                    # Another download may have given it the target's name meanwhile.
                    if is_at(descriptor, self._part):
                        return BufferedRandom(file)
            except BaseException:
                file.close()
                raise
            file.close()

    # --- The request ------------------------------------------------------------------------------

    @property
    def statuses(self) -> tuple[int, ...]:
        """The statuses that `begin` can do something with."""
        return (200, 203, 206, 416) if self._start else (200, 203)

    def request_fields(self) -> Headers:
        """What asks for the rest, if there is a beginning."""
        return Headers(self._validator.request_fields(self._start) if self._validator and self._start else ())

    # --- The response -----------------------------------------------------------------------------

    def begin(self, response: Response[Any]) -> bool:
        """Get ready for the body of this response; False if it is of no use, and the whole file has to be asked for.

        That is so for ranges that were not asked for, for a file that has changed after all, for a 416, and for
        whatever contradicts itself.

        Raises:
            ProtocolError: for an answer that says it is a part, though all was asked for.
        """
        self._response, headers = response, response.headers
        if response.status in (206, 416):
            span = self._validator.accepts(headers, self._start) if self._validator and self._is_same_place() else None
            if not span or response.status == 416:
                self._start = 0
                return False
            self._end, self._total = span.end, span.total
        else:
            if self._start and self._validator and self._validator.is_contradicted(headers):
                self._start = 0
                return False
            if is_part(headers):
                shown = evidence(headers.get("content-range", headers.get("content-type", "")))
                raise self._wrong(ProtocolError, f"{response.status} with {shown} is a part, and all was asked for")
            self._begin_anew(Validator.of_response(response.status, headers))
            self._end = self._total = None if response.decoded else length_of(headers)
        self._received = self._start
        self._file.seek(self._start)
        self._file.truncate()
        self._tell()
        return True

    def _is_same_place(self) -> bool:
        # An entity tag belongs to one resource; another one, to which a redirect now leads, may have the same.
        return self._place == _place(self._response)

    def _begin_anew(self, validator: Validator | None) -> None:
        # At every moment, what the sidecar says is true of the part.
        self._start = 0
        _remove(self._sidecar)
        self._file.truncate(0)
        if validator is None:
            return
        import json

        place = _place(self._response)
        saved = json.dumps({"url": _fingerprint(self.url), "place": place, "validator": vars(validator)})
        with open_exactly(self._sidecar, "wb", os.O_WRONLY | os.O_CREAT | os.O_EXCL) as sidecar:
            sidecar.write(saved.encode())

    def _saved(self) -> Validator | None:
        """What the sidecar says, if it is ours, and of this URL."""
        import json

        try:
            with open_exactly(self._sidecar, "rb", os.O_RDWR) as sidecar:
                saved = json.loads(sidecar.read(SIDECAR)) if _is_ours(os.fstat(sidecar.fileno())) else None
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(saved, dict) or saved.get("url") != _fingerprint(self.url):
            return None
        self._place = saved.get("place")
        return Validator.of_saved(saved.get("validator"))

    def write(self, piece: bytes) -> None:
        """Take a piece of the body; raises `ProtocolError` for more than was declared, `OSError` from writing it."""
        self._received += len(piece)
        if self._end is not None and self._received > self._end:
            _remove(self._sidecar)  # who knows what the bytes before were
            raise self._wrong(ProtocolError, f"more than the {self._end} bytes that were declared")
        self._file.write(piece)
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._received, self._total)

    # --- The end ----------------------------------------------------------------------------------

    def finish(self) -> Download:
        """Verify what has come, and give it the target's name.

        Raises `IncompleteBody` for less than the whole file, and `ProtocolError` for another digest, naming both.
        """
        whole = self._end if self._total is None else self._total
        if whole is not None and self._received != whole:
            raise self._wrong(IncompleteBody, f"the file ended after {self._received} of {whole} bytes")
        self._file.flush()
        self._verify((repr_digests(self._response.headers) if not self._response.decoded else {}) | self._digests)
        try:
            take_name(self._file, self._part, self._target)
        except FileExistsError:
            _remove(self._sidecar)  # what is in the part's place is nothing to go on with
            raise
        _remove(self._sidecar)
        self._file.close()
        return Download(self._given, self._response.without_stream(), self._received, self._start)

    def _verify(self, digests: dict[str, str]) -> None:
        # At the end, of the whole file: while the beginning of a resumed one is read, no server has to wait.
        for name, wanted in digests.items():
            from hashlib import file_digest

            self._file.seek(0)
            found = file_digest(self._file, name).hexdigest()
            if found != wanted:
                _remove(self._sidecar)  # there is nothing to go on with
                coded = self._response.headers.get("content-encoding", "")
                hint = f" (its coding {evidence(coded)} was taken off; decode=False keeps it)"
                shown = hint if self._response.decoded else ""
                raise self._wrong(ProtocolError, f"the {name} of the file is {found}, not {wanted}{shown}")

    def _wrong(self, kind: type[ProtocolError], message: str) -> ProtocolError:
        error = kind(message, request_sent="yes")
        error.request, error.backend = self._response.request, self._response.backend
        return error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        with suppress(OSError, ValueError):  # the first error counts; ValueError: it is closed already
            self._file.flush()
        size = os.lstat(self._part).st_size if os.path.lexists(self._part) else 0
        kept = size > 0 and os.path.exists(self._sidecar)
        if kept:
            error.add_note(f"{size} bytes are kept, to resume from")
        with suppress(OSError):
            if sys.platform == "win32" or kept:
                self._file.close()  # Windows removes no open file
            if not kept:
                _remove(self._sidecar)
                _remove(self._part)
        with suppress(OSError):
            self._file.close()


def _is_ours(found: os.stat_result) -> bool:
    """Whether only we can have made this file: in a directory that others write in, it may be theirs."""
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
        # Any other: this file system has no locks, as some network file systems.


def _place(response: Response[Any]) -> str:
    """Which resource has answered, after redirects; without its query, which servers sign anew each time."""
    return _fingerprint(f"{response.url.origin}{response.url.target.partition('?')[0]}")


def _fingerprint(url: str) -> str:
    # Not the URL itself: its query may hold a secret.
    from hashlib import sha256

    return sha256(url.encode()).hexdigest()


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
