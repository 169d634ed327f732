"""Recordings of real exchanges that any backend can make and any other can play, without a secret in them.

    with Cassette("orders.har", secrets={"token": os.environ.get("SHOP_TOKEN", "none")}):
        shop.order(7)

The first run records over the chosen backend; later ones play, without a network. Bodies are recorded as they pass, so
that streams stay streams. It is strict: a request that was not recorded has no answer, and every recorded one must be
made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .. import errors
from ..backends.base import Capability
from ..errors import UnifetchError
from ..masking import is_secret, masked_url
from ..model.messages import RawResponse
from .answer import Answer, Pieces
from .har import LARGE, CassetteError, Content, Recorded, read, to_har
from .intercept import Forward, Handler, Intercepted, ReadBody, Steps, Unanswered, Unmet
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
        match: what tells requests apart, of `"method"`, `"url"`, `"body"`, and names of fields.
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
            raise ValueError(f"the mode of a cassette is one of {', '.join(MODES)}, not {self.mode!r}")
        self.secrets = Secrets(secrets, keys=secret_keys, allowed=allow)
        self._match = tuple(texts("match", match))
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
                if not each.played and not self._differences(each, request):
                    each.played = True
                    self._learn(each, request)
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

    def _differences(self, each: Recorded, request: Intercepted) -> list[str]:
        found = []
        replace, url = self.secrets.replace, request.url
        for what in self._match:
            if what == "method":
                if each.method != request.method:
                    found.append(f"method: {request.method} is not {each.method}")
            elif what == "url":
                if not self._same_url(each.url, replace(url)):
                    found.append(f"url: {masked_url(url)} is not {masked_url(each.url)}")
            elif what == "body":
                if not self._same_body(each, request):
                    found.append("body: it says something else")
            elif not self._same(each.request_header(what), replace(request.headers.get(what, ""))):
                found.append(f"header {what}: another value")
        for name, value in each.request_headers:
            # A credential from a recorded answer has to be the one that is sent.
            given = is_secret(name) and any(each in self._issued for each in PLACEHOLDER.findall(value))
            if given and value != replace(request.headers.get(name, "")):
                found.append(f"header {name}: not the credential that was given")
        return found

    def _same(self, recorded: str, said: str) -> bool:
        return recorded == said or self._bindings(recorded, said) is not None

    def _bindings(self, recorded: str, said: str) -> dict[str, str] | None:
        """The value at the place of a recorded placeholder for a credential from outside; None if the rest differs."""
        names = PLACEHOLDER.findall(recorded)
        if not names or any(name in self._issued for name in names):
            return None
        parts = PLACEHOLDER.split(recorded)
        match = re.fullmatch("(.+?)".join(map(re.escape, parts)), said, re.DOTALL)
        if match is None:
            return None
        bound = dict(zip(names, match.groups(), strict=True))
        return bound if all(self._bound.get(name, value) == value for name, value in bound.items()) else None

    def _learn(self, each: Recorded, request: Intercepted) -> None:
        self._bound.update(self._bindings(each.url, self.secrets.replace(request.url)) or {})

    def _same_url(self, recorded: str, said: str) -> bool:
        if recorded == said:
            return True
        one, other = urlsplit(recorded), urlsplit(said)
        if one[:2] != other[:2] or not self._same(one.path, other.path):
            return False
        ours, theirs = sorted(parse_qsl(one.query, True)), sorted(parse_qsl(other.query, True))
        return len(ours) == len(theirs) and all(
            name == key and self._same(value, text) for (name, value), (key, text) in zip(ours, theirs, strict=True)
        )

    def _same_body(self, each: Recorded, request: Intercepted) -> bool:
        if each.request_digest:
            return hashlib.sha256(request.body).hexdigest() == each.request_digest
        recorded = each.request_body.read()
        said = self.secrets.replace_bytes(request.body)
        if recorded == said:
            return True
        kind = request.headers.get("content-type", "")
        boundary = re.search(r'boundary="?([^";]+)', kind)
        if boundary is not None:
            theirs = re.search(r'boundary="?([^";]+)', each.request_header("content-type"))
            mark = (theirs[1] if theirs else "").encode()
            return recorded == said.replace(boundary[1].encode(), mark)
        with contextlib.suppress(ValueError):
            return self._same(json.dumps(json.loads(recorded), sort_keys=True), _sorted_json(said))
        return self._same(recorded.decode("utf-8", "surrogateescape"), said.decode("utf-8", "surrogateescape"))

    def explain(self, request: Intercepted) -> str:
        """The most similar recorded exchange, and how it differs."""
        records = [each for each in self._old if not each.played]
        lines = [f"the cassette {self.path} (mode {self.mode!r}) does not have it; mode 'new' would record it"]
        if records:
            nearest = min(records, key=lambda each: len(self._differences(each, request)))
            lines += [f"the nearest of {len(records)} that are left: {nearest.method} {masked_url(nearest.url)}"]
            lines += [f"  ✗ {difference}" for difference in self._differences(nearest, request)]
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
        if request.is_read:
            new.request_body.write(request.body)
        else:
            tapped_upload(request, lambda piece: new.request_body.write(piece or b""))
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
            self._write()
        if self._checked:
            self._compare()
        left = [f"  {each.method} {masked_url(each.url)}" for each in self._old if not each.played]
        if left and not self._unplayed and self.mode != "all":
            raise Unmet("\n".join([f"recorded in {self.path}, and not asked for (unplayed=True allows that):", *left]))

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self.path):
            kept = read(self.path) if self.mode == "new" and self.path.exists() else []
            clean(self._new, self.secrets)
            log = to_har([*kept, *self._new], self.path.stem, self.path.parent, self.secrets)
            write(self.path, log, self.secrets)

    def _compare(self) -> None:
        wrong = []
        for old, new in self._checked:
            for difference in differences(old, new, self._ignore):
                wrong.append(f"  {new.method} {masked_url(new.url)}: {difference}")
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
    kind = getattr(errors, described["class"], UnifetchError)
    sent: Any = described["request_sent"]
    error: UnifetchError = kind(described["message"], request_sent=sent)
    return error


# --- Writing --------------------------------------------------------------------------------------


def clean(records: list[Recorded], secrets: Secrets) -> None:
    """Replace the secrets of these exchanges: first find all, then replace each wherever it is."""
    for each in records:
        if each.request_body.is_large:
            each.request_digest = each.request_body.digest
        body = b"" if each.request_body.is_large else each.request_body.read()
        secrets.discover(each.url, each.request_headers, body, each.request_header("content-type"))
        content, kind = b"" if each.body.is_large else each.decoded() or b"", each.response_header("content-type")
        secrets.discover("", each.headers, content, kind)
        if each.body.is_large and (kind.startswith("text/") or "json" in kind or next(each.body.pieces([1])) in b"{["):
            for part in each.parts():
                secrets.discover_in_part(part)
    for each in records:
        each.without_secrets(secrets)


def write(path: Path, log: dict[str, Any], secrets: Secrets) -> None:
    """Write a cassette, at once or not at all.

    Raises:
        SecretFound: it holds what looks like a key.
    """
    for number, entry in enumerate(log["log"]["entries"], 1):
        asked = f"exchange {number} ({entry['request']['method']} {masked_url(entry['request']['url'])})"
        for part in ("request", "response"):
            for key, value in entry[part].items():
                secrets.scan(f"{asked}: {part}, {key}", value if isinstance(value, str) else json.dumps(value))
    text = json.dumps(log, indent=1, ensure_ascii=False)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(f"{text}\n")
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
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


def _sorted_json(data: bytes) -> str:
    return json.dumps(json.loads(data), sort_keys=True)


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
