"""Recorded exchanges as HAR 1.2, which browsers' tools open; what it has no place for is in fields of our own.

_raw            the body as it was sent, in its content coding: base64, or {"file": …} beside the cassette
_chunks         [[milliseconds since the head, bytes], …]
_error          {"class", "request_sent", "message"}, in place of a response, or after what came of its body
_trailers, _interim, _truncated, _backend
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from ..errors import DecodingError, TooLarge
from ..model.headers import Headers
from ..policies.decoding import decoder
from ..version import VERSION
from .secrets import may_hold_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .secrets import Secrets

FORMAT = 1  # of the fields with an underscore
LARGE = 256 * 1024  # bytes; a larger body goes to a file of its own
_OVERLAP = 4096  # bytes that no secret is longer than


class CassetteError(Exception):
    """A cassette cannot be read: it is damaged, or of another version."""


class Content:
    """The bytes of a body: in memory while they are few, then in a file that has no name until secrets were looked for.

    Args:
        data: the beginning.
        path: a file that has all of it.
        directory: where it will be stored if it is large; without one, only its digest is kept then.
    """

    def __init__(self, data: bytes = b"", path: Path | None = None, *, directory: Path | None = None) -> None:
        self._memory = bytearray(data)
        self._file: IO[bytes] | None = None
        self._directory = directory
        self._digest: Any = None  # of what left the memory
        self._spilled = 0  # bytes of the memory that are only there for a key that begins in them
        self._has_key = False
        self.path = path
        self.size = len(data) if path is None else path.stat().st_size

    def write(self, piece: bytes) -> None:
        """Add a piece."""
        self.size += len(piece)
        self._memory += piece
        if len(self._memory) > LARGE:
            self._spill()

    def _spill(self) -> None:
        # All that costs time is done here, while the client would wait for the network.
        if self._digest is None:
            self._digest = hashlib.sha256()
            self._file = None if self._directory is None else _unnamed(self._directory)
        with memoryview(self._memory)[self._spilled :] as new:
            self._digest.update(new)
            if self._file is not None:
                self._file.write(new)
        self._has_key = self._has_key or may_hold_key(self._memory)
        del self._memory[:-_OVERLAP]
        self._spilled = len(self._memory)

    @property
    def digest(self) -> str:
        """The SHA-256 of all of a large body."""
        self._spill()
        digest: str = self._digest.hexdigest()
        return digest

    @property
    def is_large(self) -> bool:
        """Whether it is not in memory."""
        return self._digest is not None or self.path is not None

    def read(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces([self.size])) if self.is_large else bytes(self._memory)

    def pieces(self, sizes: Iterable[int]) -> Iterator[bytes]:
        """The bytes in pieces of these sizes."""
        if not self.is_large:
            at = 0
            for size in sizes:
                yield bytes(self._memory[at : at + size])
                at += size
            return
        with self._opened() as source:
            for size in sizes:
                yield source.read(size)

    def store(self, stem: str, directory: Path, secrets: Secrets) -> str:
        """Put it into a file beside the cassette, without secrets; the file's name, which tells of its content.

        Raises:
            SecretFound: it holds what looks like a key.
        """
        if self.path is None:
            self._spill()
        whole = directory / f".{stem}.{os.urandom(8).hex()}"
        try:
            digest = self._linked(whole, secrets) or self._copied(whole, stem, secrets)
            self.path = directory / f"{stem}.{digest[:16]}.body"
            whole.replace(self.path)
        except BaseException:
            whole.unlink(missing_ok=True)
            raise
        self.size = self.path.stat().st_size
        self.close()
        return self.path.name

    def _linked(self, whole: Path, secrets: Secrets) -> str:
        """Give the file a name as it is, if there is nothing to replace, and the system can do that; its digest."""
        if self._file is None or secrets.are_known:
            return ""
        digest = self.digest
        if self._has_key:
            return ""
        self._file.flush()
        directory = os.open(whole.parent, os.O_RDONLY)
        try:
            # Only with a descriptor of a directory is the link followed.
            os.link(f"/proc/self/fd/{self._file.fileno()}", whole, src_dir_fd=directory)
        except (OSError, NotImplementedError):
            return ""
        finally:
            os.close(directory)
        return digest

    def _copied(self, whole: Path, stem: str, secrets: Secrets) -> str:
        """Write a copy without secrets; its digest."""
        digest, rest, before, block = hashlib.sha256(), b"", b"", b"-"
        with open(whole, "xb", opener=_private) as target, self._opened() as source:
            while block:
                block = source.read(LARGE)
                data = rest + block
                cut = _clean_cut(data, secrets) if block else len(data)
                piece, rest = secrets.replace_bytes(data[:cut]), data[cut:]
                searched = before + piece
                if may_hold_key(searched):
                    secrets.scan(f"the body {stem}", searched.decode("latin-1"))
                before = searched[-_OVERLAP:]
                digest.update(piece)
                target.write(piece)
        return digest.hexdigest()

    def close(self) -> None:
        """Close the unnamed file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.close()

    def _opened(self) -> IO[bytes]:
        if self.path is not None:
            return self.path.open("rb")
        assert self._file is not None
        self._spill()
        self._file.seek(0)
        return _Kept(self._file)  # type: ignore[return-value]  # it reads, which is all that is asked


class _Kept:
    """A file that stays open after a `with` block."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read

    def __enter__(self) -> _Kept:
        return self

    def __exit__(self, *ending: object) -> None:
        pass


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _unnamed(directory: Path) -> IO[bytes]:
    """A file that ends with its descriptor; where the system can do that, it can be given a name in this directory."""
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError, AttributeError):
        return open(os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b")
    return tempfile.TemporaryFile()


def _clean_cut(data: bytes, secrets: Secrets) -> int:
    """Where a block can be cut without cutting a secret."""
    cut = max(0, len(data) - _OVERLAP)
    for at in range(cut, max(0, cut - 16 * _OVERLAP), -_OVERLAP // 4):
        before, after = data[max(0, at - _OVERLAP) : at], data[at : at + _OVERLAP]
        if secrets.replace_bytes(before + after) == secrets.replace_bytes(before) + secrets.replace_bytes(after):
            return at
    return cut


def without_coding(raw: bytes, coding: str) -> bytes | None:
    """A body without its content coding; None if that cannot be undone."""
    undo = decoder(coding or None)
    if undo is None:
        return None if coding else raw
    try:
        return b"".join(undo.feed(raw))
    except (DecodingError, TooLarge):
        return None


class UploadDigest:
    """The SHA-256 of an upload without the boundary of its form, which is another each time.

    Args:
        boundary: as it is between the parts; empty if there is none.
    """

    def __init__(self, boundary: bytes) -> None:
        self._boundary = boundary
        self._hash = hashlib.sha256()
        self._left = b""  # what may be the beginning of a boundary

    def write(self, piece: bytes) -> None:
        """Add a piece."""
        if not self._boundary:
            self._hash.update(piece)
            return
        *parts, last = (self._left + piece).split(self._boundary)
        for part in parts:
            self._hash.update(part)
        cut = max(0, len(last) - len(self._boundary) + 1)
        self._hash.update(last[:cut])
        self._left = last[cut:]

    def hexdigest(self) -> str:
        """The digest of all that was added."""
        whole = self._hash.copy()
        whole.update(self._left)
        return whole.hexdigest()


@dataclass
class Recorded:
    """One exchange, as it really went."""

    method: str
    url: str
    request_headers: list[tuple[str, str]] = field(default_factory=list)
    request_body: Content = field(default_factory=Content)
    request_digest: str = ""  # of a large body, before it was changed, without the boundary of a form
    digest: UploadDigest | None = None  # which becomes that; None if there is no boundary
    started: str = ""
    backend: str = ""
    wait: float = 0.0  # milliseconds until the head
    status: int = 0
    reason: str = ""
    http_version: str = "HTTP/1.1"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Content = field(default_factory=Content)
    chunks: list[list[float]] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    interim: list[tuple[int, list[tuple[str, str]]]] = field(default_factory=list)
    error: dict[str, str] | None = None
    ended: bool = False
    played: bool = False

    def response_header(self, name: str) -> str:
        """A field of the response, or ""."""
        value: str = Headers.trusted(self.headers).get(name, "")
        return value

    def request_header(self, name: str) -> str:
        """A field of the request, or ""."""
        value: str = Headers.trusted(self.request_headers).get(name, "")
        return value

    def decoded(self) -> bytes | None:
        """The content of the response without its coding; None if that cannot be undone."""
        return without_coding(self.body.read(), self.response_header("content-encoding"))

    def decoded_request(self) -> bytes:
        """The body of the request without its coding, or as it is if that cannot be undone."""
        raw = self.request_body.read()
        content = without_coding(raw, self.request_header("content-encoding"))
        return raw if content is None else content

    def parts(self) -> Iterator[bytes]:
        """The content of a large body without its coding, in parts that overlap."""
        undo, part = decoder(self.response_header("content-encoding") or None, streamed=True), b""
        with contextlib.suppress(DecodingError, TooLarge):
            for block in self.body.pieces([LARGE] * (-(-self.body.size // LARGE))):
                for piece in (block,) if undo is None else undo.feed(block):
                    part += piece
                    if len(part) > LARGE:
                        yield part
                        part = part[-_OVERLAP:]
        yield part

    def without_secrets(self, secrets: Secrets) -> None:
        """Replace every secret by its placeholder, and correct the lengths."""
        self.url = secrets.replace(self.url)
        self.request_headers = [(name, secrets.replace(value)) for name, value in self.request_headers]
        self.headers = [(name, secrets.replace(value)) for name, value in self.headers]
        self.trailers = [(name, secrets.replace(value)) for name, value in self.trailers]
        self.interim = [
            (status, [(name, secrets.replace(value)) for name, value in each]) for status, each in self.interim
        ]
        self.reason = secrets.replace(self.reason)
        if self.error:
            self.error = {key: secrets.replace(value) for key, value in self.error.items()}
        if not self.request_body.is_large:
            sent = self.decoded_request()
            if (replaced := secrets.replace_bytes(sent)) != sent:
                if sent != self.request_body.read():  # it is kept without its coding
                    self.request_headers = _without(self.request_headers, "content-encoding")
                self.request_body = Content(replaced)
                self.request_headers = _with_length(self.request_headers, len(replaced))
        if not self.body.is_large:
            self._clean_body(secrets)

    def _clean_body(self, secrets: Secrets) -> None:
        raw, content = self.body.read(), self.decoded()
        coding = self.response_header("content-encoding").strip().lower()
        if coding and content is not None:
            replaced = secrets.replace_bytes(content)
            if replaced == content:
                return
            if coding in ("gzip", "x-gzip"):
                replaced = gzip.compress(replaced, mtime=0)
            else:  # what cannot be coded again is kept as it is
                self.headers = _without(self.headers, "content-encoding")
            self.resize(raw, replaced, lambda data: replaced[: len(data)])
        elif (replaced := secrets.replace_bytes(raw)) != raw:
            self.resize(raw, replaced, secrets.replace_bytes)

    def stored(self, stem: str, directory: Path, secrets: Secrets) -> str:
        """Give the large body a file of its own; without its secrets it may have another length."""
        before = self.body.size
        if self.response_header("content-encoding") and any(
            may_hold_key(part) or secrets.replace_bytes(part) != part for part in self.parts()
        ):
            self._undo_coding(directory)
        name = self.body.store(stem, directory, secrets)
        if (after := self.body.size) != before:
            self.headers = _with_length(self.headers, after)
            end = placed = 0
            for chunk in self.chunks:
                end += int(chunk[1])
                chunk[1] = round(end * after / before) - placed
                placed += int(chunk[1])
        return name

    def _undo_coding(self, directory: Path) -> None:
        content = Content(directory=directory)
        for number, part in enumerate(self.parts()):
            content.write(part[_OVERLAP:] if number else part)
        self.headers = _without(self.headers, "content-encoding")
        self.body = content

    def resize(self, raw: bytes, replaced: bytes, change: Any) -> None:
        """Take another body, and make the fields and the chunks agree with its length."""
        self.body = Content(replaced)
        if self.error is None:
            self.headers = _with_length(self.headers, len(replaced))
        sizes, end, before = [], 0, 0
        for _, size in self.chunks[:-1]:
            end += int(size)
            upto = max(before, min(len(replaced), len(change(raw[:end]))))
            sizes.append(upto - before)
            before = upto
        sizes.append(len(replaced) - before)
        self.chunks = [[at, size] for (at, _), size in zip(self.chunks, sizes, strict=False)]


def _with_length(fields: list[tuple[str, str]], length: int) -> list[tuple[str, str]]:
    return [(name, str(length) if name.lower() == "content-length" else value) for name, value in fields]


def _without(fields: list[tuple[str, str]], *names: str) -> list[tuple[str, str]]:
    return [pair for pair in fields if pair[0].lower() not in names]


# --- Out ------------------------------------------------------------------------------------------


def to_har(records: list[Recorded], stem: str, directory: Path, secrets: Secrets) -> dict[str, Any]:
    """The log of these exchanges; large bodies go to files beside it."""
    creator = {"name": "unifetch", "version": VERSION}
    entries = [_entry(each, stem, directory, secrets) for each in records]
    return {"log": {"version": "1.2", "creator": creator, "_unifetch": FORMAT, "entries": entries}}


def _entry(each: Recorded, stem: str, directory: Path, secrets: Secrets) -> dict[str, Any]:
    receive = each.chunks[-1][0] if each.chunks else 0
    request: dict[str, Any] = {
        "method": each.method,
        "url": each.url,
        "httpVersion": each.http_version,
        "cookies": [],
        "headers": _fields(each.request_headers),
        "queryString": [{"name": n, "value": v} for n, v in parse_qsl(each.url.partition("?")[2], True)],
        "headersSize": -1,
        "bodySize": each.request_body.size,
    }
    if each.request_body.size:
        request["postData"] = {"mimeType": each.request_header("content-type"), "params": []}
        if each.request_digest or each.request_body.is_large:
            digest = each.request_digest or each.request_body.digest
            request["postData"]["text"] = ""
            request["postData"]["_sha256"] = digest
        else:
            request["postData"].update(_text(each.request_body.read(), "_encoding"))
    stored = each.stored(stem, directory, secrets) if each.body.is_large else ""
    content: dict[str, Any] = {"size": each.body.size, "mimeType": each.response_header("content-type")}
    response: dict[str, Any] = {
        "status": each.status,
        "statusText": each.reason,
        "httpVersion": each.http_version,
        "cookies": [],
        "headers": _fields(each.headers),
        "content": content,
        "redirectURL": each.response_header("location"),
        "headersSize": -1,
        "bodySize": each.body.size,
    }
    if stored:
        response["_raw"] = {"file": stored}
    else:
        raw = each.body.read()
        decoded = each.decoded() if each.response_header("content-encoding") else raw
        shown = raw if decoded is None else decoded
        content.update(_text(shown, "encoding"), size=len(shown))
        if shown != raw or decoded is None:
            response["_raw"] = base64.b64encode(raw).decode()
    if len(each.chunks) > 1 or (each.chunks and each.chunks[0][0] > 0):
        response["_chunks"] = [[round(at, 1), int(size)] for at, size in each.chunks]
    for key, value in (("_error", each.error), ("_truncated", not each.ended and each.error is None)):
        if value:
            response[key] = value
    if each.trailers:
        response["_trailers"] = _fields(each.trailers)
    if each.interim:
        response["_interim"] = [{"status": status, "headers": _fields(fields)} for status, fields in each.interim]
    return {
        "startedDateTime": each.started,
        "time": round(each.wait + receive, 1),
        "request": request,
        "response": response,
        "cache": {},
        "timings": {"send": 0, "wait": round(each.wait, 1), "receive": round(receive, 1)},
        "_backend": each.backend,
    }


def _fields(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _text(data: bytes, key: str) -> dict[str, str]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return {"text": base64.b64encode(data).decode(), key: "base64"}
    return {"text": text}


# --- In -------------------------------------------------------------------------------------------


def read(path: Path) -> list[Recorded]:
    """The exchanges of a cassette.

    Raises:
        CassetteError: it names the file and what is wrong.
    """
    again = "record it again (mode 'all'), or restore it"
    try:
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            what = f"{type(error).__name__}: {error.strerror or error}"
            raise CassetteError(f"the cassette {path} cannot be read ({what})") from error
        log = json.loads(text)["log"]
        version, ours = log["version"], log.get("_unifetch")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CassetteError(f"the cassette {path} is damaged ({type(error).__name__}: {error}); {again}") from error
    if version != "1.2" or ours not in (None, FORMAT):
        raise CassetteError(
            f"the cassette {path} is of another version, HAR {version} with our fields of version {ours}; "
            f"this unifetch reads HAR 1.2 with fields of version {FORMAT}: {again}"
        )
    try:
        return [_recorded(entry, path.parent, is_ours=ours is not None) for entry in log["entries"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CassetteError(f"the cassette {path} is damaged ({type(error).__name__}: {error}); {again}") from error
    except OSError as error:
        raise CassetteError(f"the cassette {path} lacks a file of its own ({error}); {again}") from error


def _recorded(entry: dict[str, Any], directory: Path, *, is_ours: bool) -> Recorded:
    request, response = entry["request"], entry["response"]
    headers = _pairs(response["headers"])
    data = request.get("postData", {})
    raw, shown = response.get("_raw"), _data(response["content"], "encoding")
    if isinstance(raw, dict):
        if (name := raw["file"]) != Path(name).name:
            raise ValueError(f"a body is beside its cassette, and not at {name}")
        body = Content(path=directory / name)
        if body.size != response["bodySize"]:
            raise ValueError(f"{name} has {body.size} bytes, and not {response['bodySize']!r:.99}")
    elif raw is None:
        body = Content(shown)
        if shown or not is_ours:  # of a browser, or written by hand: without a coding
            headers = _without(headers, "content-encoding")
    else:
        coded = base64.b64decode(raw)
        coding = ", ".join(value for name, value in headers if name.lower() == "content-encoding")
        if without_coding(coded, coding) in (None, shown):
            body = Content(coded)
        else:  # somebody changed the text, which is what he reads
            body, headers = Content(shown), _without(headers, "content-encoding")
    if not is_ours:
        headers = [pair for pair in _without(headers, "content-length") if not pair[0].startswith(":")]
    is_whole = not response.get("_truncated") and not response.get("_error")
    if is_whole and body.size:
        headers = _with_length(headers, body.size)
    error, status = response.get("_error"), _number(response["status"])
    if not 200 <= status <= 999 and (status or error is None):
        raise ValueError(f"a status is from 200 to 999, not {status}")
    if error is not None:
        error = {key: _text_of(error[key]) for key in ("class", "request_sent", "message")}
    return Recorded(
        method=_text_of(request["method"]),
        url=_text_of(request["url"]),
        request_headers=_pairs(request["headers"]),
        request_body=Content(_data(data, "_encoding")),
        request_digest=_text_of(data.get("_sha256", "")),
        started=_text_of(entry["startedDateTime"]),
        backend=_text_of(entry.get("_backend", "")),
        wait=float(entry["timings"]["wait"]),
        status=status,
        reason=_text_of(response["statusText"]),
        http_version=_text_of(response["httpVersion"]) if is_ours else "HTTP/1.1",
        headers=headers,
        body=body,
        chunks=_chunks(response.get("_chunks") or [[0, body.size]], body.size),
        trailers=_pairs(response.get("_trailers", ())),
        interim=[(_number(each["status"]), _pairs(each["headers"])) for each in response.get("_interim", ())],
        error=error,
        ended=not response.get("_truncated"),
    )


def _pairs(fields: Iterable[dict[str, str]]) -> list[tuple[str, str]]:
    return [(_text_of(each["name"]), _text_of(each["value"])) for each in fields]


def _chunks(told: Iterable[list[float]], size: int) -> list[list[float]]:
    """The times and sizes of the pieces, which make up the body, also if that was changed by hand."""
    chunks: list[list[float]] = []
    left = size
    for at, length in told:
        chunks.append([float(at), min(_number(length), left)])
        left -= int(chunks[-1][1])
    if chunks:
        chunks[-1][1] += left
    return chunks


def _text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.99} stands where a text has to")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{value!r:.99} stands where a number has to")
    return value


def _data(holder: dict[str, Any], key: str) -> bytes:
    text = _text_of(holder.get("text", ""))
    return base64.b64decode(text) if holder.get(key) == "base64" else text.encode()
