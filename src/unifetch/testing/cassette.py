"""Recordings of real exchanges that any backend can make and any other can play, without a secret in them.

    with Cassette("orders.har", secrets={"token": os.environ.get("SHOP_TOKEN", "none")}):
        shop.order(7)

The first run records over the chosen backend; later ones play, without a network. Bodies are recorded as they pass, so
that streams stay streams. It is strict: a request that was not recorded has no answer, and every recorded one must be
made.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .. import errors
from ..backends.base import Capability
from ..errors import UnifetchError, evidence, shown
from ..masking import is_secret, masked_url
from ..model.messages import RawResponse
from .answer import Answer, Pieces
from .har import LARGE, CassetteError, Content, Recorded, UploadDigest, read, to_har, without_coding
from .intercept import Forward, Handler, Intercepted, ReadBody, Steps, Unanswered, Unmet
from .mock import difference, lines
from .secrets import PLACEHOLDER, Secrets, texts
from .steps import Pause
from .taps import Tap, tapped, tapped_upload
from .virtual_time import VirtualTime

ENVIRONMENT_VARIABLE = "UNIFETCH_CASSETTE"
MODES = ("none", "once", "new", "all", "check")


class Cassette(Handler):
    """Plays what was recorded, and records what it may.

    Args:
        path: the file; large bodies are stored beside it.
        mode: `"none"` only plays; `"once"` records if there is no file, and plays it otherwise; `"new"` plays, and
            records what is not there; `"all"` records anew; `"check"` asks the live service, and compares its answers
            by status, names of fields and the shape of its JSON. The default is UNIFETCH_CASSETTE, else `"none"` if CI
            is set, else `"once"`.
        secrets: values by name that must not be recorded.
        secret_keys: further names whose values are secret.
        allow: expressions for what looks like a key but is none.
        match: what tells requests apart, of `"method"`, `"url"` (with its query, whose parameters may come in another
            order), `"body"`, and names of fields.
        ignore: for `"check"`: paths of JSON that may differ, such as `"items[].price"`.
        paced: whether playing takes as long as recording did; otherwise waits take no time.
        unplayed: whether a recorded exchange may remain unplayed.

    Attributes:
        mode: the mode that is in effect.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: str | None = None,
        secrets: Mapping[str, str] | None = None,
        secret_keys: Iterable[str] = (),
        allow: Iterable[str] = (),
        match: Iterable[str] = ("method", "url", "body"),
        ignore: Iterable[str] = (),
        paced: bool = False,
        unplayed: bool = False,
    ) -> None:
        self.path = Path(path)
        self.mode = mode or os.environ.get(ENVIRONMENT_VARIABLE) or ("none" if os.environ.get("CI") else "once")
        if self.mode not in MODES:
            raise ValueError(f"the mode of a cassette is one of {', '.join(MODES)}, not {shown(self.mode)}")
        self.secrets = Secrets(secrets, keys=secret_keys, allowed=allow)
        self._match = _told_apart_by(texts("match", match))
        self._ignore = frozenset(texts("ignore", ignore))
        self._unplayed = unplayed
        self._lock = Lock()
        self._new: list[Recorded] = []
        self._checked: list[tuple[Recorded, Recorded]] = []
        exists = self.path.exists()
        self._plays = exists and self.mode != "all"
        self._records = self.mode in ("new", "all") or (self.mode == "once" and not exists)
        if not exists and self.mode in ("none", "check"):
            raise CassetteError(
                f"there is no cassette {self.path}, and the mode {self.mode!r} records none; 'once' does"
            )
        self._old = read(self.path) if self._plays else []
        # The live service issues other credentials than were recorded.
        self._issued = set() if self.mode == "check" else _placeholders_of_responses(self._old)
        self._bound: dict[str, str] = {}
        self._paced = paced
        if self._plays and not paced and self.mode in ("none", "once"):
            self.time = VirtualTime(frozen=False)

    # --- Playing ----------------------------------------------------------------------------------

    def handle(self, request: Intercepted) -> Steps:
        """Play what was recorded of a request, or record it."""
        if self._plays:
            yield ReadBody()
            found = self._take(request)
            if found is not None and self.mode != "check":
                return (yield from self._play(found, request))
            if found is not None or self._records:
                return (yield from self._record(request, found))
            return None
        return (yield from self._record(request, None))

    def _take(self, request: Intercepted) -> Recorded | None:
        with self._lock:
            for each in self._old:
                if each.played:
                    continue
                differ, bound = self._compared(each, request)
                if not differ:
                    each.played = True
                    self._bound |= bound
                    return each
        return None

    def _play(self, each: Recorded, request: Intercepted) -> Steps:
        if self._paced or self.time is not None:
            yield Pause(each.wait / 1000)
        if each.error is not None and not each.status:
            raise _error(each.error)
        answer = Answer(each.status, headers=each.headers, reason=each.reason, http_version=each.http_version)
        answer.interim = each.interim
        answer.parsed = self._pieces(each, answer, told=Capability.TRAILERS in request.capabilities)
        return answer

    def _pieces(self, each: Recorded, answer: Answer, *, told: bool) -> Iterator[Any]:
        before = 0.0
        for (at, _), piece in zip(each.chunks, each.body.pieces(int(size) for _, size in each.chunks), strict=False):
            if at > before and (self._paced or self.time is not None):
                yield Pause((at - before) / 1000)
            before = at
            # A chunk may be as large as a file.
            yield from (piece[start : start + LARGE] for start in range(0, len(piece), LARGE))
        if each.error is not None:
            yield _error(each.error)
        elif not each.ended:
            yield Unanswered(
                f"{each.method} {masked_url(each.url)}: more is read than was when {self.path} was recorded"
            )
        elif told:
            answer.parsed_trailers += each.trailers

    # --- Telling requests apart -------------------------------------------------------------------

    def _compared(self, each: Recorded, request: Intercepted) -> tuple[list[str], dict[str, str]]:
        """How a request differs; and what it says in place of recorded credentials from outside."""
        found: list[str] = []
        replace, url = self.secrets.replace, request.url
        texts: list[tuple[str, str]] = []
        for what in self._match:
            parts = self._parts(what, each, request)
            bound = None if parts is None else self._bindings([*texts, *parts])
            if parts is not None and bound is not None:
                texts += parts
            elif what == "method":
                found.append(f"method: {request.method} is not {each.method}")
            elif what == "url":
                found.append(f"url: {masked_url(url)} is not {masked_url(each.url)}")
            elif what == "body":
                found.append(f"body: {self._difference(each, request)}")
            else:
                found.append(f"header {what}: another value")
        for name, value in each.request_headers:
            # A credential from a recorded answer has to be the one that is sent.
            given = is_secret(name) and any(each in self._issued for each in PLACEHOLDER.findall(value))
            if given and value != replace(request.headers.get(name, "")):
                found.append(f"header {name}: not the credential that was given")
        return found, self._bindings(texts) or {}

    def _parts(self, what: str, each: Recorded, request: Intercepted) -> list[tuple[str, str]] | None:
        """The texts that have to agree, as recorded and as said; None if it is built in another way."""
        replace = self.secrets.replace
        if what == "method":
            return [(each.method, request.method)]
        if what == "url":
            return _parts_of_url(each.url, replace(request.url))
        if what != "body":
            return [(each.request_header(what), replace(request.headers.get(what, "")))]
        if each.request_digest:
            digest = UploadDigest(_boundary(request.headers.get("content-type", "")))
            digest.write(request.body)
            return [(each.request_digest, digest.hexdigest())]
        return _parts_of_body(each.decoded_request(), each.request_header("content-type"), *self._said(request))

    def _said(self, request: Intercepted) -> tuple[bytes, str]:
        """The body of a request as it would be recorded, and its type."""
        content = without_coding(request.body, request.headers.get("content-encoding", ""))
        body = self.secrets.replace_bytes(request.body if content is None else content)
        return body, request.headers.get("content-type", "")

    def _bindings(self, texts: list[tuple[str, str]]) -> dict[str, str] | None:
        """The values in place of recorded placeholders for credentials from outside; None if the rest differs.

        Each placeholder stands for one value throughout.
        """
        bound: dict[str, str] = {}
        for recorded, said in texts:
            if recorded == said:
                continue
            names = PLACEHOLDER.findall(recorded)
            if not names or any(name in self._issued for name in names):
                return None
            match = re.fullmatch("(.+?)".join(map(re.escape, PLACEHOLDER.split(recorded))), said, re.DOTALL)
            if match is None:
                return None
            for name, value in zip(names, match.groups(), strict=True):
                if bound.setdefault(name, self._bound.get(name, value)) != value:
                    return None
        return bound

    def _difference(self, each: Recorded, request: Intercepted) -> str:
        """How the body of a request differs from the recorded one, without its credentials."""
        if each.request_digest:
            return f"another one than the recorded one, of which only the SHA-256 is kept ({len(request.body)} bytes)"
        content, kind = self._said(request)
        hidden = _Hidden()
        hidden.discover(request.url, request.headers.pairs, content, kind)
        said, recorded = hidden.replace_bytes(content), each.decoded_request()
        if (boundary := _boundary(kind)) and (theirs := _boundary(each.request_header("content-type"))):
            said = said.replace(boundary, theirs)
        return difference(_lines(recorded), _lines(said), "- recorded, + sent")

    def explain(self, request: Intercepted) -> str:
        """The most similar recorded exchange, and how it differs."""
        records = [each for each in self._old if not each.played]
        lines = [f"the cassette {self.path} (mode {self.mode!r}) does not have it; mode 'new' would record it"]
        if records:
            nearest = min(records, key=lambda each: len(self._compared(each, request)[0]))
            lines += [f"the nearest of {len(records)} that are left: {nearest.method} {masked_url(nearest.url)}"]
            lines += [f"  ✗ {how}" for how in self._compared(nearest, request)[0]]
        elif self._old:
            lines += [f"all {len(self._old)} exchanges of it have been played"]
        return "\n".join(lines)

    # --- Recording --------------------------------------------------------------------------------

    def _record(self, request: Intercepted, old: Recorded | None) -> Steps:
        new = Recorded(
            request.method,
            request.url,
            list(request.raw.headers),
            started=datetime.now(UTC).isoformat(),
            backend=request.backend,
            body=Content(directory=self.path.parent),
        )
        with self._lock:
            if old is None:
                self._new.append(new)
            else:
                self._checked.append((old, new))
        boundary = _boundary(request.headers.get("content-type", ""))
        digest = new.digest = UploadDigest(boundary) if boundary else None

        def write(piece: bytes | None) -> None:
            if piece:
                new.request_body.write(piece)
                if digest is not None:
                    digest.write(piece)

        if request.is_read:
            write(request.body)
        else:
            tapped_upload(request, write)
        began = time.monotonic()
        try:
            raw = yield Forward()
        except UnifetchError as error:
            new.wait = (time.monotonic() - began) * 1000
            new.error = _description(error)
            raise
        head = time.monotonic()
        new.wait = (head - began) * 1000
        new.status, new.reason, new.http_version = raw.status, raw.reason, raw.http_version
        new.headers = list(raw.headers.pairs)
        new.interim = [(status, list(fields.pairs)) for status, fields in raw.interim]
        return tapped(raw, request, _Recorder(new, raw, head))  # type: ignore[no-any-return]  # of the kind that came

    # --- The end ----------------------------------------------------------------------------------

    def finish(self) -> None:
        """Write what was recorded; everything that was there has to have been played.

        Raises:
            Unmet: it names what was not, or in mode `"check"` what differs.
            SecretFound: what was recorded holds what looks like a key.
        """
        if self._records and self._new:
            self._save()
        if self._checked:
            self._compare()
        left = [f"  {each.method} {masked_url(each.url)}" for each in self._old if not each.played]
        if left and not self._unplayed and self.mode != "all":
            raise Unmet("\n".join([f"recorded in {self.path}, and not asked for (unplayed=True allows that):", *left]))

    def _save(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path):
                kept = read(self.path) if self.mode == "new" and self.path.exists() else []
                if kept:
                    self.secrets.go_on_after(self.path.read_text("utf-8"), self._bound)
                clean(self._new, self.secrets)
                write(self.path, [*kept, *self._new], self.secrets)
        except OSError as error:
            what = f"{type(error).__name__}: {error.strerror or error}"
            raise CassetteError(
                f"the cassette {self.path} cannot be written ({what}), and the {len(self._new)} recorded exchanges are "
                "lost; is its directory yours to write to, and is there room?"
            ) from error

    def _compare(self) -> None:
        wrong = []
        for old, new in self._checked:
            for each in differences(old, new, self._ignore):
                wrong.append(f"  {new.method} {masked_url(new.url)}: {each}")
        if wrong:
            raise Unmet("\n".join([f"the service says something else than {self.path}:", *wrong]))

    def __repr__(self) -> str:
        return f"<Cassette {self.path}, mode {self.mode!r}>"


class _Recorder(Tap):
    """Copies each piece as it passes, with its time."""

    def __init__(self, new: Recorded, raw: RawResponse, head: float) -> None:
        self._new = new
        self._raw = raw
        self._head = head

    def piece(self, data: bytes) -> Pieces:
        new, at = self._new, round((time.monotonic() - self._head) * 1000, 1)
        new.body.write(data)
        # Pieces of the same moment are joined, because a body may come in millions of them.
        if new.chunks and at - new.chunks[-1][0] < 1:
            new.chunks[-1][1] += len(data)
        else:
            new.chunks.append([at, len(data)])
        return (data,)

    def end(self) -> Pieces:
        self._new.ended = True
        self._new.trailers = list(self._raw.trailers)
        return ()

    def failed(self, error: UnifetchError) -> BaseException:
        self._new.error = _description(error)
        return error

    def close(self) -> None:
        # A response that can have no body is never read.
        if not self._new.body.size and self._raw.content == b"":
            self._new.ended = True


# --- Errors ---------------------------------------------------------------------------------------


def _description(error: UnifetchError) -> dict[str, str]:
    return {"class": type(error).__name__, "request_sent": error.request_sent, "message": str(error)}


def _error(described: Mapping[str, str]) -> UnifetchError:
    kind = getattr(errors, described["class"], None)
    if not isinstance(kind, type) or not issubclass(kind, UnifetchError):
        kind = UnifetchError
    sent: Any = described["request_sent"]
    error: UnifetchError = kind(described["message"], request_sent=sent)
    return error


# --- Comparing with a recording ---------------------------------------------------------------------

# By these names, vcrpy compares what is part of "url" here; as names of fields they would fit any request.
_PARTS_OF_URL = frozenset({"scheme", "port", "path", "query", "uri"})
_BODIES = frozenset({"raw_body", "headers", "json", "content"})


def _told_apart_by(match: list[str]) -> tuple[str, ...]:
    if not match or (wrong := next((each for each in match if each in _PARTS_OF_URL | _BODIES), None)) is not None:
        what = "names nothing, and any request would fit" if not match else f"has {wrong!r}"
        raise ValueError(
            f"match= {what}; it takes 'method', 'url' (all of it, with the query), 'body' and names of fields"
        )
    return tuple(match)


def _parts_of_url(recorded: str, said: str) -> list[tuple[str, str]] | None:
    if recorded == said:
        return []
    one, other = urlsplit(recorded), urlsplit(said)
    query = _parts_of_form(one.query, other.query)
    if query is None or one.path.count("/") != other.path.count("/"):
        return None
    segments = zip(one.path.split("/"), other.path.split("/"), strict=True)
    return [(one.scheme, other.scheme), (one.netloc, other.netloc), *segments, *query]


def _parts_of_form(recorded: str, said: str) -> list[tuple[str, str]] | None:
    # By name alone: values of the same name keep their order.
    one, other = (
        sorted(parse_qsl(each, True, errors="surrogateescape"), key=itemgetter(0)) for each in (recorded, said)
    )
    if [name for name, _ in one] != [name for name, _ in other]:
        return None
    return [(value, text) for (_, value), (_, text) in zip(one, other, strict=True)]


def _parts_of_body(recorded: bytes, kind: str, said: bytes, other: str) -> list[tuple[str, str]] | None:
    if recorded == said:
        return []
    if (boundary := _boundary(kind)) and (theirs := _boundary(other)):
        parts = [recorded.split(boundary), said.split(theirs)]
        texts = [[part.decode("utf-8", "surrogateescape") for part in each] for each in parts]
        return list(zip(*texts, strict=True)) if len(texts[0]) == len(texts[1]) else None
    with contextlib.suppress(ValueError, RecursionError):
        return _leaves(json.loads(recorded), json.loads(said))
    text, sent = (each.decode("utf-8", "surrogateescape") for each in (recorded, said))
    if "x-www-form-urlencoded" in kind and "x-www-form-urlencoded" in other:
        # In the same order, unlike a query: nobody has asked for more.
        pairs = [each.split("&") for each in (text, sent)]
        return list(zip(*pairs, strict=True)) if len(pairs[0]) == len(pairs[1]) else None
    return [(text, sent)]


def _boundary(kind: str) -> bytes:
    found = re.search(r'boundary="?([^";]+)', kind)
    return b"" if found is None else found[1].encode("latin-1")


def _leaves(recorded: Any, said: Any) -> list[tuple[str, str]] | None:
    """The values of two documents of JSON that have to agree; None if the documents are not built alike."""
    if isinstance(recorded, dict) and isinstance(said, dict) and recorded.keys() == said.keys():
        pairs = [(value, said[key]) for key, value in recorded.items()]
    elif isinstance(recorded, list) and isinstance(said, list) and len(recorded) == len(said):
        pairs = list(zip(recorded, said, strict=True))
    elif isinstance(recorded, (dict, list)) or isinstance(said, (dict, list)):
        return None
    else:
        return [
            (recorded, said)
            if isinstance(recorded, str) and isinstance(said, str)
            else (json.dumps(recorded), json.dumps(said))
        ]
    found = []
    for one, other in pairs:
        if (leaves := _leaves(one, other)) is None:
            return None
        found += leaves
    return found


class _Hidden(Secrets):
    """The secrets of a message, which only says that there are some."""

    placeholder = "[a credential]"


def _lines(body: bytes) -> list[str]:
    with contextlib.suppress(ValueError, RecursionError):
        return lines(json.loads(body))
    try:
        return body.decode().splitlines()
    except UnicodeDecodeError:
        return [evidence(body)]


# --- Writing --------------------------------------------------------------------------------------


def clean(records: list[Recorded], secrets: Secrets) -> None:
    """Replace the secrets of these exchanges: first find all, then replace each wherever it is."""
    for each in records:
        if each.request_body.is_large:
            each.request_digest = each.digest.hexdigest() if each.digest is not None else each.request_body.digest
        body = b"" if each.request_body.is_large else each.decoded_request()
        secrets.discover(each.url, each.request_headers, body, each.request_header("content-type"))
        content, kind = b"" if each.body.is_large else each.decoded() or b"", each.response_header("content-type")
        fields = [*each.headers, *each.trailers, *(pair for _, interim in each.interim for pair in interim)]
        secrets.discover("", fields, content, kind)
        if each.body.is_large and (kind.startswith("text/") or "json" in kind or next(each.body.pieces([1])) in b"{["):
            for part in each.parts():
                secrets.discover_in_part(part)
    for each in records:
        each.without_secrets(secrets)


def write(path: Path, records: list[Recorded], secrets: Secrets) -> None:
    """Write a cassette, at once or not at all; large bodies that it had before and has no more are removed.

    Raises:
        SecretFound: it holds what looks like a key.
    """
    before, needed = bodies_of(path), set[str]()
    try:
        log = to_har(records, path.stem, path.parent, secrets)
        for number, entry in enumerate(log["log"]["entries"], 1):
            asked = f"exchange {number} ({entry['request']['method']} {masked_url(entry['request']['url'])})"
            for part in ("request", "response"):
                for key, value in entry[part].items():
                    secrets.scan(f"{asked}: {part}, {key}", value if isinstance(value, str) else json.dumps(value))
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with open(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(f"{json.dumps(log, indent=1, ensure_ascii=False)}\n")
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    finally:
        # Whatever has happened: what the file names stays.
        needed = bodies_of(path)
        stored = {each.body.path.name for each in records if each.body.path is not None}
        for left in (before | stored) - needed:
            (path.parent / left).unlink(missing_ok=True)


def bodies_of(path: Path) -> set[str]:
    """The names of the files beside a cassette that it needs."""
    with contextlib.suppress(OSError):
        return set(re.findall(r'"file": "([^"/]+\.body)"', path.read_text("utf-8", "replace")))
    return set()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a cassette, so that one process writes it at a time, if the system can do that."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    # The directory is locked, because the file itself is replaced; and no lock file is left over.
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


# --- Comparing with the live service --------------------------------------------------------------


def differences(old: Recorded, new: Recorded, ignore: frozenset[str]) -> Iterator[str]:
    """How a live exchange differs: in its status, names of fields, and the shape of its JSON."""
    if old.status != new.status or bool(old.error) != bool(new.error):
        said, recorded = (each.status or (each.error or {}).get("class") for each in (new, old))
        yield f"{said} in place of {recorded}"
        return
    names, others = ({name.lower() for name, _ in each.headers} for each in (old, new))
    for name in sorted(names ^ others):
        if name not in ignore:
            yield f"the field {name} is {'gone' if name in names else 'new'}"
    try:
        ours, theirs = json.loads(old.decoded() or b""), json.loads(new.decoded() or b"")
    except ValueError:
        return
    one, other = dict(_shape("", ours)), dict(_shape("", theirs))
    for path in sorted(one.keys() | other.keys()):
        if path in ignore or one.get(path) == other.get(path):
            continue
        yield f"JSON at {path or 'the top'}: {other.get(path, 'gone')}, recorded as {one.get(path, 'not there')}"


def _shape(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        yield path, "an object"
        for key, each in value.items():
            yield from _shape(f"{path}.{key}" if path else key, each)
    elif isinstance(value, list):
        yield path, "a list"
        for each in value[:100]:
            yield from _shape(f"{path}[]", each)
    else:
        kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", type(None): "null"}
        yield path, kinds[type(value)]


def _placeholders_of_responses(records: list[Recorded]) -> set[str]:
    """The credentials in a recorded answer, which the code under test gets from there."""
    found: set[str] = set()
    for each in records:
        texts = [value for _, value in each.headers]
        if not each.body.is_large:
            texts.append((each.decoded() or b"").decode("utf-8", "replace"))
        for text in texts:
            found.update(PLACEHOLDER.findall(text))
    return found
