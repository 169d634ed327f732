"""What a request body becomes on the wire: bytes, or blocks of a stream, and the fields that describe it.

A known size is declared as Content-Length; an unknown one is sent chunked, unless the caller declares it (RFC 9110
§8.6, RFC 9112 §6). Framing belongs to unifetch, so that it cannot contradict the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing

from ..errors import InvalidBody, InvalidHeader, InvalidSetting, evidence
from ..model.headers import Headers
from ..model.url import form_urlencode, spread

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
    from typing import IO, Any

    from ..model.headers import HeaderTypes, Pairs

    Progress = Callable[[int, int | None], object]
    InThread = Callable[..., Awaitable[Any]]

BLOCK = 127 * 1024  # bytes; large, to save calls, but below the 128 KiB from which glibc maps memory anew each time


class Body:
    """A body ready to be sent, as often as it allows.

    Attributes:
        source: what the caller gave; bytes if it was encoded.
        content_type: the Content-Type that it implies, or None.
        length: its bytes, or None if only its end tells.
        replayable: whether it can be sent a second time, from the same start.
        failure: what the caller's own stream raised while it was sent, which the caller gets as it is.
        trailers: fields to send after it.
        declared: the length that the caller declared for a body of unknown length; else None.
    """

    source: Any = None
    content_type: str | None = None
    length: int | None = 0
    replayable: bool = True
    failure: BaseException | None = None
    trailers: Pairs = ()
    declared: int | None = None

    def declare(self, length: int) -> None:
        """Send a body of unknown length with this Content-Length, and no more or fewer bytes."""
        self.length = self.declared = length

    def open(self) -> bytes | Iterable[bytes] | None:
        """What to send, from the start."""
        return None

    def blocks(self) -> Iterator[bytes]:
        """The same block by block, none of them empty: an empty chunk would end a chunked body."""
        return iter(())

    def held(self) -> Iterator[bytes]:
        """The blocks, checked against the declared length.

        Raises `InvalidBody` for fewer bytes or more, before the last block is given: the request stays incomplete.
        """
        return self.blocks() if self.declared is None else _held(self.blocks(), self.declared)

    def held_async(self, in_thread: InThread) -> AsyncGenerator[bytes, None]:
        """The same for an event loop, which must not wait for a file or a caller's iterator: `in_thread` does."""
        return _in_steps(self.held(), in_thread)

    async def open_async(self, in_thread: InThread) -> AsyncGenerator[bytes, None]:
        """What `open` gives, for an event loop."""
        try:
            async with aclosing(self.held_async(in_thread)) as blocks:
                async for block in blocks:
                    yield block
        except Exception as error:
            self.failure = error
            raise


# Framing, routing, authentication and the format of the content have to be known before the body (RFC 9110 §6.5.1).
_NOT_IN_TRAILERS = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "host",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
    }
)


def add_trailers(body: Body, trailers: HeaderTypes) -> None:
    """Send these fields after the body.

    Raises `InvalidBody` for a body that is not sent in chunks, which alone can have trailers (RFC 9112 §7.1.2), and
    `InvalidHeader` for a field that is not valid.
    """
    if body.length is not None:
        raise InvalidBody("trailers= go with a body of unknown length, an iterator, which is sent in chunks")
    fields = Headers(trailers)
    for name in fields.by_name():
        if name in _NOT_IN_TRAILERS:
            raise InvalidHeader(f"trailers= cannot hold {name}: it has to come before the body (RFC 9110 §6.5.1)")
    body.trailers = fields.pairs


class Bytes(Body):
    """A body in memory."""

    def __init__(self, data: bytes, content_type: str | None = None) -> None:
        self.source = data
        self.length = len(data)
        self.content_type = content_type

    def open(self) -> bytes:
        data: bytes = self.source
        return data

    def blocks(self) -> Iterator[bytes]:
        data = self.open()
        return (data[start : start + BLOCK] for start in range(0, len(data), BLOCK))


class StreamedBody(Body):
    """A body that is produced block by block, once for each time it is sent."""

    def open(self) -> Iterator[bytes]:
        # A library may wrap or swallow what the caller's stream raises, so the original is kept.
        try:
            yield from self.held()
        except BaseException as error:
            if not isinstance(error, GeneratorExit):
                self.failure = error
            raise

    def blocks(self) -> Iterator[bytes]:
        raise NotImplementedError


async def _in_steps(blocks: Iterator[bytes], in_thread: InThread) -> AsyncGenerator[bytes, None]:
    while (block := await in_thread(next, blocks, None)) is not None:
        yield block


def _held(blocks: Iterator[bytes], length: int) -> Iterator[bytes]:
    left = length
    for block in blocks:
        left -= len(block)
        if left < 0 or (left == 0 and next(blocks, None) is not None):
            raise _mismatch(length, 0)
        yield block
    if left:
        raise _mismatch(length, left)


async def _held_async(blocks: AsyncGenerator[bytes, None], length: int) -> AsyncGenerator[bytes, None]:
    async with aclosing(blocks):
        left = length
        async for block in blocks:
            left -= len(block)
            if left < 0 or (left == 0 and await anext(blocks, None) is not None):
                raise _mismatch(length, 0)
            yield block
        if left:
            raise _mismatch(length, left)


def _mismatch(length: int, left: int) -> InvalidBody:
    what = f"ended {left} bytes before the {length}" if left else f"has more than the {length} bytes"
    return InvalidBody(f"the body {what} of its Content-Length", request_sent="maybe")


class File(StreamedBody):
    """A binary file, from its position to its end; declared by its size if it can seek."""

    def __init__(self, file: IO[bytes]) -> None:
        self.source = file
        self.start: int | None = None
        self.length = None
        self.replayable = False
        if file.seekable():
            self.start = file.tell()
            self.length = max(0, file.seek(0, 2) - self.start)
            file.seek(self.start)
            self.replayable = True

    def blocks(self) -> Iterator[bytes]:
        if self.start is not None:
            self.source.seek(self.start)
        remaining = self.length
        while remaining is None or remaining > 0:
            block = self.source.read(BLOCK if remaining is None else min(BLOCK, remaining))
            if not block:
                break
            if remaining is not None:
                remaining -= len(block)
                if remaining < 0:
                    raise InvalidBody("read() of the file gave more than it was asked for", request_sent="maybe")
            yield block
        if remaining:
            raise InvalidBody(f"the file ended {remaining} bytes before the size that it had", request_sent="maybe")


class Blocks(StreamedBody):
    """Any iterable of bytes; a one-shot iterator can be sent only once."""

    def __init__(self, iterable: Iterable[bytes]) -> None:
        self.source = iterable
        self.length = None
        self.replayable = iter(iterable) is not iterable
        if isinstance(iterable, (list, tuple)):
            for block in iterable:
                _check_block(block, "no")
            # Copied, because their length is declared now, and the caller may change them.
            self.source = [bytes(block) for block in iterable]
            self.length = sum(map(len, self.source))

    def blocks(self) -> Iterator[bytes]:
        for block in self.source:
            _check_block(block, "maybe")
            if block:
                yield bytes(block)


class AsyncBlocks(StreamedBody):
    """Any asynchronous iterable of bytes, for an AsyncClient."""

    def __init__(self, iterable: AsyncIterable[bytes]) -> None:
        self.source = iterable
        self.length = None
        self.replayable = aiter(iterable) is not iterable

    def held_async(self, in_thread: InThread) -> AsyncGenerator[bytes, None]:
        return self._blocks() if self.declared is None else _held_async(self._blocks(), self.declared)

    async def _blocks(self) -> AsyncGenerator[bytes, None]:
        async for block in self.source:
            _check_block(block, "maybe")
            if block:
                yield bytes(block)


class Watched(StreamedBody):
    """Another body, with a callable that is told how much of it has been sent."""

    def __init__(self, body: Body, progress: Progress) -> None:
        self.body = body
        self.progress = progress
        self.source = body.source
        self.content_type = body.content_type
        self.length = body.length
        self.replayable = body.replayable

    def declare(self, length: int) -> None:
        self.length = length
        self.body.declare(length)

    def blocks(self) -> Iterator[bytes]:
        sent = 0
        for block in self.body.held():
            yield block
            # The backend has taken it, as it asks for the next.
            sent += len(block)
            self.progress(sent, self.length)

    async def held_async(self, in_thread: InThread) -> AsyncGenerator[bytes, None]:
        sent = 0
        async with aclosing(self.body.held_async(in_thread)) as blocks:
            async for block in blocks:
                yield block
                sent += len(block)
                self.progress(sent, self.length)


NO_BODY = Body()


def encode_async(
    body: Any = None, *, json: Any = None, form: Any = None, files: Any = None, progress: Progress | None = None
) -> Body:
    """`encode` for an AsyncClient, which also sends an asynchronous iterable as `body`."""
    if hasattr(body, "__aiter__") and not isinstance(body, Iterable):
        refuse_ended(body, "body=")
        body = AsyncBlocks(body)
    return encode(body, json=json, form=form, files=files, progress=progress)


def encode(
    body: Any = None, *, json: Any = None, form: Any = None, files: Any = None, progress: Progress | None = None
) -> Body:
    """The body of a request from what its caller gave.

    Args:
        body: bytes-like, str (sent as UTF-8), a binary file, or an iterable of bytes.
        json: anything that `json.dumps` takes, sent as compact UTF-8.
        form: a mapping or pairs, sent as application/x-www-form-urlencoded, or together with `files`.
        files: a mapping or pairs, sent as multipart/form-data; see `policies.multipart.multipart`.
        progress: called with the bytes sent so far and their total (None if unknown) each time the backend has taken a
            block; it begins again when the body is sent again.

    Raises:
        InvalidBody: for two bodies, another type, a text file, NaN in JSON.
        InvalidSetting: for a `progress` that cannot be called.
    """
    if progress is not None:
        check_callable("progress", progress, "sent, total")
    if body is None and json is None and form is None and files is None:
        return NO_BODY
    content = _encoded(body, json, form, files)
    return content if progress is None else Watched(content, progress)


def _encoded(body: Any, json: Any, form: Any, files: Any) -> Body:
    if files is not None:
        if body is not None or json is not None:
            raise InvalidBody("files= goes together with form=, not with body= or json=")
        from .multipart import multipart

        return multipart(files, form)
    if sum(given is not None for given in (body, json, form)) > 1:
        raise InvalidBody("give one of body=, json= and form=, not several")
    if json is not None:
        return Bytes(_dumps(json), "application/json")
    if form is not None:
        if isinstance(form, (str, bytes)):
            raise InvalidBody("form= takes a mapping or pairs; send text that is already encoded as body=")
        return Bytes(form_urlencode(form_fields(form)).encode("ascii"), "application/x-www-form-urlencoded")
    return content_of(body, "body=")


def form_fields(form: Any) -> list[tuple[Any, Any]]:
    """The pairs of a form, newlines of text as CRLF, as browsers send them (HTML, "constructing the entry list").

    Bytes are not text, and stay as they are. Raises `InvalidRequest` for anything but a mapping or pairs.
    """
    return [(_with_crlf(key), _with_crlf(value)) for key, value in spread(form)]


def _with_crlf(text: Any) -> Any:
    return re.sub(r"\r\n|\r|\n", "\r\n", text) if isinstance(text, str) else text


def content_of(given: Any, name: str) -> Body:
    """One body, or one part of several, from bytes, str (sent as UTF-8), a binary file, or an iterable of bytes.

    Raises `InvalidBody` for another type, or a text file; `name` is what the error calls it.
    """
    if isinstance(given, bytes):
        return Bytes(given)
    if isinstance(given, str):
        try:
            return Bytes(given.encode(), "text/plain;charset=UTF-8")
        except UnicodeEncodeError:
            raise InvalidBody(f"the text of {name} holds a lone surrogate, which UTF-8 cannot encode") from None
    if isinstance(given, (bytearray, memoryview)):
        return Bytes(bytes(given))
    if isinstance(given, Body):
        return given
    if hasattr(given, "read"):
        return _file(given, name)
    if isinstance(given, Iterable) and not isinstance(given, (Mapping, set, frozenset)):
        if _is_buffer(given):  # an array, whose items are numbers
            raise InvalidBody(f"{name} takes no {type(given).__name__} as it is; memoryview(…) of it sends its bytes")
        refuse_ended(given, name)
        return Blocks(given)
    if hasattr(given, "__aiter__"):
        raise InvalidBody(f"an asynchronous iterator is sent by AsyncClient, as its body=, and not as {name} here")
    raise InvalidBody(
        f"{name} takes bytes, str, a binary file or an iterable of bytes, not {type(given).__name__}"
        " (a mapping goes into json= or form=)"
    )


def _is_buffer(given: object) -> bool:
    try:
        memoryview(given).release()  # type: ignore[arg-type]  # the TypeError is the answer
    except TypeError:
        return False
    return True


def check_callable(name: str, given: object, arguments: str) -> None:
    """Raise `InvalidSetting` for what cannot be called with these arguments, or has to be awaited: nobody would."""
    if not callable(given):
        raise InvalidSetting(f"{name}: must be a callable ({arguments}), not {type(given).__name__}")
    if getattr(getattr(given, "__code__", None), "co_flags", 0) & 0x80:  # inspect.CO_COROUTINE
        raise InvalidSetting(f"{name}: must be a callable ({arguments}) without async: it is called, and not awaited")


def refuse_ended(given: object, name: str) -> None:
    """Raise `InvalidBody` for a generator that has been read, perhaps by a call before: it would send nothing."""
    if getattr(given, "gi_frame", given) is None or getattr(given, "ag_frame", given) is None:
        raise InvalidBody(
            f"{name} is a generator that has ended, and has nothing to send; make a new one for each call"
        )


def _file(file: Any, name: str) -> Body:
    try:
        start = file.read(0)
    except (OSError, ValueError, TypeError) as error:
        raise InvalidBody(f"{name} is a file that cannot be read: {error}") from error
    if hasattr(start, "__await__"):
        getattr(start, "close", bool)()  # a coroutine that nobody awaits would warn
        raise InvalidBody(
            f"{name} is a file whose read() has to be awaited; an AsyncClient takes an async iterator of it"
        )
    if not isinstance(start, bytes):
        raise InvalidBody(f"{name} is a text file; open it in binary mode")
    if not hasattr(file, "seekable"):  # duck-typed readers may have read() alone
        return Blocks(iter(lambda: file.read(BLOCK), b""))
    return File(file)


def _dumps(value: Any) -> bytes:
    import json

    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise InvalidBody(f"json= cannot be sent as JSON: {error}") from error


def _check_block(block: object, sent: Any) -> None:
    if not isinstance(block, (bytes, bytearray, memoryview)):
        raise InvalidBody(f"a block of the body is {type(block).__name__}, not bytes", request_sent=sent)


def framing(method: str, body: Body) -> tuple[tuple[str, str], ...]:
    """The fields that frame this body: Content-Length, Transfer-Encoding, or none (RFC 9110 §8.6)."""
    if body is NO_BODY:
        # A method that usually has content says so when it has none.
        return (("Content-Length", "0"),) if method in ("POST", "PUT", "PATCH") else ()
    if body.length is None:
        return (("Transfer-Encoding", "chunked"),)
    return (("Content-Length", str(body.length)),)


def with_length(fields: Headers, body: Body) -> Headers:
    """The fields of a request without the caller's Content-Length, which becomes the declared length of the body.

    Raises `InvalidHeader` if the body has another length, and `InvalidBody` for trailers, which need a body in chunks.
    """
    said = fields.get("content-length")
    if said is None:
        return fields
    if not re.fullmatch("[0-9]{1,18}", said):
        raise InvalidHeader(f"Content-Length has to be the bytes of the body, in digits, not {evidence(said)}")
    length = int(said)
    if body.trailers:
        raise InvalidBody("trailers= go with a body in chunks, which has no Content-Length (RFC 9112 §6.2)")
    if body.length is None:
        body.declare(length)
    elif length != body.length:
        raise InvalidHeader(f"Content-Length says {length}, and the body has {body.length} bytes")
    return fields.without("content-length")


def with_content_type(fields: Headers, body: Body) -> Headers:
    """The fields of a request, with the Content-Type that its body implies unless they have one.

    Raises `InvalidHeader` if they have one and there are `files=`: without the boundary, nobody could read the body.
    """
    if body.content_type is None:
        return fields
    if "content-type" not in fields:
        return fields.merged(Headers.trusted([("Content-Type", body.content_type)]))
    if body.content_type.startswith("multipart/"):
        raise InvalidHeader("Content-Type has to name the boundary of the body that files= makes: leave it to unifetch")
    return fields
