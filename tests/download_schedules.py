"""Random schedules for downloads: whatever is reported as a success is, byte for byte, a version that a server had.

A server in memory changes its files, restarts, cuts bodies, forgets conditions, sends other ranges than were asked
for, and contradicts itself; a client begins, resumes, is interrupted, and asks with and without digests. All of it
follows from a seed. What no client can know is left out: a server that lies without a word that tells. From the root
of the repository, best with a directory in memory:

    PYTHONPATH=src:tests python tests/download_schedules.py STEPS [SEED] [DIRECTORY] [awaited]

A step is one download, by a Client, or by an AsyncClient. It prints what came of them, and the seed of a wrong success.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from email.utils import formatdate
from random import Random
from typing import Any, Literal

from unifetch import AsyncClient, Client, Download
from unifetch.backends.base import Capability
from unifetch.errors import ConnectionLost, IncompleteBody, UnifetchError
from unifetch.model.headers import Headers
from unifetch.model.messages import AsyncRawResponse, RawRequest, RawResponse

STEPS_OF_A_SEED = 40  # then everything starts anew
NOW = 1_700_000_000


class Interrupted(Exception):
    """The caller had enough."""


class Version:
    """What a file is at one time.

    Attributes:
        changed: the second in which it was made; two versions may share it.
        tag: its entity tag, or None.
        sized: whether every whole answer has told its length: then a client knows it.
    """

    def __init__(self, random: Random, number: int, changed: int) -> None:
        self.content = random.randbytes(random.choice((0, 1, 2, 50, 100, 200, 300, 300)))
        self.changed = changed
        self.strong = f'"{number}"'
        self.weak = f'W/"{number // 2}"'  # the same for two contents
        self.sized = True


class Resource:
    """A file at one URL, which changes now and then.

    Attributes:
        versions: all that it was; the last is what it is.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.versions: list[Version] = []
        self.tags = random.choice(("strong", "strong", "strong", "weak", "none", "none"))
        self.has_dates = random.random() < 0.7
        self.change(NOW)

    def change(self, now: int) -> None:
        self.versions.append(Version(self.random, len(self.versions), now))

    @property
    def now(self) -> Version:
        return self.versions[-1]

    def validators(self, version: Version) -> dict[str, str]:
        fields = {}
        if self.tags != "none":
            fields["ETag"] = version.strong if self.tags == "strong" else version.weak
        if self.has_dates:
            fields["Last-Modified"] = formatdate(version.changed, usegmt=True)
        return fields


class Origin:
    """A backend without a network, and the server behind it.

    Attributes:
        resources: by their path; `/` may lead to any other.
        clock: seconds since the epoch.
    """

    name = "origin"
    contract: Literal[1] = 1
    capabilities: frozenset[Capability] = frozenset()
    native: object = None

    def __init__(self, random: Random) -> None:
        self.random = random
        self.resources = {path: Resource(random) for path in ("/", "/one", "/two")}
        self.redirects = random.random() < 0.2
        self.changes = random.choice((0.02, 0.1, 0.3))  # how often a file does, by the request
        self.pauses = random.choice(((0,), (0, 0, 1, 30, 100), (0, 0, 1, 30, 100)))
        self.deeds = random.choice((0.0, 0.3, 0.6))
        self.clock = NOW

    def whole(self, *, coded: bool) -> set[bytes]:
        """Everything that a download may be."""
        contents = {version.content for resource in self.resources.values() for version in resource.versions}
        return contents | {_packed(content) for content in contents} if coded else contents

    def close(self) -> None:
        """Nothing is open."""

    def send(self, request: RawRequest) -> RawResponse:
        random = self.random
        self.clock += random.choice(self.pauses)
        if random.random() < 0.05:
            raise ConnectionLost("lost before the head", request_sent="maybe")
        if random.random() < self.changes:
            self.resources[random.choice(tuple(self.resources))].change(self.clock)
        if self.redirects and request.target == "/":
            return self._response(302, {"Location": random.choice(("/one", "/two"))}, b"")
        resource = self.resources[request.target]
        fields = dict(request.headers)
        if random.random() < 0.05:
            return self._response(random.choice((404, 500, 503, 416, 206)), resource.validators(resource.now), b"x")
        if "Range" not in fields:
            return self._whole(resource)
        start = int(fields["Range"].removeprefix("bytes=").removesuffix("-"))
        return self._part(resource, start, fields["If-Range"])

    # --- Answers ----------------------------------------------------------------------------------

    def _whole(self, resource: Resource) -> RawResponse:
        random, version = self.random, resource.now
        fields, content = resource.validators(version), version.content
        kind = random.choice(("", "", "", "", "", "", "coded", "identity", "digest", "range", "wrong range"))
        if kind == "coded":
            content = _packed(content)
            fields["Content-Encoding"] = random.choice(("gzip", "x-gzip"))
        elif kind == "identity":
            fields["Content-Encoding"] = "identity"
        elif kind == "digest":
            digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
            fields["Repr-Digest"] = f"sha-256=:{digest}:"
        elif kind == "range" and content:
            fields["Content-Range"] = f"bytes 0-{len(content) - 1}/{len(content)}"
        elif kind == "wrong range" and len(content) > 1:  # it is a part, and says so
            content = content[:-1]
            fields["Content-Range"] = f"bytes 0-{len(content) - 1}/{random.choice((len(content) + 1, '*'))}"
        response = self._framed(random.choice((200, 200, 200, 203)), fields, content, honest=True)
        if "content-length" not in response.headers:
            version.sized = False
        return response

    def _part(self, resource: Resource, start: int, condition: str) -> RawResponse:
        random, version = self.random, resource.now
        validators = resource.validators(version)
        # As RFC 9110 §13.1.5: strong tags alone are equal, and dates that are exact.
        holds = condition in validators.values() and not condition.startswith("W/")
        size = len(version.content)
        deed = random.choice(tuple(DEEDS)) if random.random() < self.deeds else ""
        if deed:
            answer = DEEDS[deed](self, resource, start, holds)
            if answer is not None:
                return answer
        if not holds:
            return self._whole(resource)
        if start >= size:
            return self._response(416, {"Content-Range": f"bytes */{size}"}, b"")
        return self._range(validators, version.content, start, size if random.random() < 0.9 else start + 1)

    def _range(self, fields: dict[str, str], content: bytes, start: int, end: int, total: object = None) -> RawResponse:
        said = total or self.random.choice((len(content), len(content), "*"))
        fields = {**fields, "Content-Range": f"bytes {start}-{end - 1}/{said}"}
        return self._framed(206, fields, content[start:end], honest=False)

    def _framed(self, status: int, fields: dict[str, str], content: bytes, *, honest: bool) -> RawResponse:
        """The content in some framing, and whole, or cut, or followed by more.

        Args:
            honest: whether nothing but the framing tells the length, so that its end is its end.
        """
        random = self.random
        framing = random.choice(("length", "length", "chunked", "close"))
        more = b""
        if framing == "length":
            fields["Content-Length"] = str(len(content))
            more = random.choice((b"", b"", b"", b"more"))
        elif framing == "chunked":
            fields["Transfer-Encoding"] = "chunked"
        if not honest and framing != "length":
            if random.random() < 0.2:
                more = b"more"
            elif random.random() < 0.2:  # a proxy that ends what it did not get to the end
                content = content[: random.randrange(len(content) + 1)]
        return self._response(status, fields, content + more, cut=random.random() < 0.5)

    def _response(self, status: int, fields: dict[str, str], content: bytes, *, cut: bool = False) -> RawResponse:
        random = self.random
        if random.random() < 0.9:
            fields["Date"] = formatdate(self.clock, usegmt=True)
        if cut:
            content = content[: random.randrange(len(content) + 1)]

        def body() -> Iterator[bytes]:
            size = random.choice((1, 7, 100, 1000))
            yield from (content[at : at + size] for at in range(0, len(content), size))
            if cut:
                raise random.choice((IncompleteBody, ConnectionLost))("cut", request_sent="yes")

        return RawResponse(status, "", "HTTP/1.1", Headers.trusted(fields.items()), body(), self.close)


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


# --- Answers to a range that are not what was asked for, each with a word that tells --------------


def _ignores_the_condition(origin: Origin, resource: Resource, start: int, holds: bool) -> RawResponse | None:
    """A part of whatever is there now, with its own validators, some of them, or none."""
    version = resource.now
    if start >= len(version.content):
        return None
    fields = resource.validators(version)
    for name in tuple(fields):
        if origin.random.random() < 0.3:
            del fields[name]
    return origin._range(fields, version.content, start, len(version.content))


def _an_older_version(origin: Origin, resource: Resource, start: int, holds: bool) -> RawResponse | None:
    """A cache that did not notice: a part of a version that was, under its name."""
    version = origin.random.choice(resource.versions)
    if start >= len(version.content):
        return None
    if resource.tags != "strong" and any(
        each.changed == version.changed for each in resource.versions if each is not version
    ):
        return None  # without a word that tells: they have one date, and this answer has today's
    return origin._range(resource.validators(version), version.content, start, len(version.content))


def _another_range(origin: Origin, resource: Resource, start: int, holds: bool) -> RawResponse | None:
    version = resource.now
    if len(version.content) < 2:
        return None
    start = origin.random.randrange(len(version.content))
    return origin._range(resource.validators(version), version.content, start, len(version.content))


def _no_range(origin: Origin, resource: Resource, start: int, holds: bool) -> RawResponse:
    fields = resource.validators(resource.now)
    if origin.random.random() < 0.5:
        fields["Content-Type"] = "multipart/byteranges; boundary=x"
    return origin._framed(206, fields, resource.now.content[start:], honest=False)


def _several_ranges(origin: Origin, resource: Resource, start: int, holds: bool) -> RawResponse | None:
    version = resource.now
    if start >= len(version.content):
        return None
    fields = {**resource.validators(version), "Content-Type": "multipart/byteranges; boundary=x"}
    framed = version.content[:start] + b"--x\r\n" + version.content[start:]
    return origin._range(fields, framed[: len(version.content)], start, len(version.content))


def _weak(origin: Origin, resource: Resource, start: int, holds: bool) -> RawResponse | None:
    version = resource.now
    if start >= len(version.content):
        return None
    return origin._range({"ETag": f"W/{version.strong}"}, version.content, start, len(version.content))


def _a_part_as_200(origin: Origin, resource: Resource, start: int, holds: bool) -> RawResponse | None:
    """All that was asked for, with the status of all there is, and a Content-Range."""
    content = resource.now.content
    if not 0 < start < len(content):
        return None
    said = origin.random.choice((len(content), "*"))
    fields = {**resource.validators(resource.now), "Content-Range": f"bytes {start}-{len(content) - 1}/{said}"}
    return origin._framed(origin.random.choice((200, 203)), fields, content[start:], honest=False)


def _a_part_as_200_by_its_length(origin: Origin, resource: Resource, start: int, holds: bool) -> RawResponse | None:
    """The same without a Content-Range: that it is shorter than this version was is all that tells."""
    version = resource.now
    if not (0 < start < len(version.content) and holds and version.sized) or origin.redirects:
        return None  # without a word that tells
    return origin._framed(200, resource.validators(version), version.content[start:], honest=False)


def _a_coded_part(origin: Origin, resource: Resource, start: int, holds: bool) -> RawResponse | None:
    """A range of the coded file, under the entity tag of the file."""
    packed = _packed(resource.now.content)
    if start >= len(packed):
        return None
    fields = {**resource.validators(resource.now), "Content-Encoding": "gzip"}
    return origin._range(fields, packed, start, len(packed))


def _another_total(origin: Origin, resource: Resource, start: int, holds: bool) -> RawResponse | None:
    version = resource.now
    if not (start < len(version.content) - 1 and version.sized):
        return None
    end = len(version.content) - 1
    return origin._range(resource.validators(version), version.content, start, end, total=end)


def _a_416(origin: Origin, resource: Resource, start: int, holds: bool) -> RawResponse:
    content = resource.now.content
    fields = {**resource.validators(resource.now), "Content-Range": f"bytes {start}-{len(content)}/{len(content) + 1}"}
    return origin._response(416, fields, content[start:])


DEEDS = {
    deed.__name__: deed
    for deed in (
        _ignores_the_condition,
        _an_older_version,
        _another_range,
        _no_range,
        _several_ranges,
        _weak,
        _a_part_as_200,
        _a_part_as_200_by_its_length,
        _a_coded_part,
        _another_total,
        _a_416,
    )
}


# --- The client -----------------------------------------------------------------------------------


class AwaitedOrigin:
    """The same origin, for an AsyncClient."""

    name = "origin"
    contract: Literal[1] = 1
    capabilities = frozenset({Capability.NATIVE_ASYNC})
    native: object = None

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    async def close(self) -> None:
        """Nothing is open."""

    async def send(self, request: Any) -> AsyncRawResponse:
        raw = self._origin.send(request)

        async def body() -> AsyncIterator[bytes]:
            for piece in raw.body:
                yield piece

        return AsyncRawResponse(raw.status, raw.reason, raw.http_version, raw.headers, body(), self.close)


class AwaitedClient:
    """An AsyncClient in a loop of its own, as the Client that a schedule goes on with."""

    def __init__(self, origin: Origin) -> None:
        self._client = AsyncClient(AwaitedOrigin(origin))
        self._runner = asyncio.Runner()

    def download(self, url: str, path: str, **call: Any) -> Download:
        return self._runner.run(self._client.download(url, path, **call))

    def __enter__(self) -> AwaitedClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


def play(seed: int, directory: str, make: Any = Client) -> Counter[str]:
    """One schedule; what came of its downloads.

    Args:
        seed: which.
        directory: one that is nobody else's.
        make: what makes the client of an origin: `Client`, or `AwaitedClient`.

    Raises:
        AssertionError: for a success that is no version of the file.
    """
    random = Random(seed)  # a schedule, and no secret
    path = os.path.join(directory, "file")
    part = os.path.join(directory, ".file.unifetch-part")
    for left in os.listdir(directory):
        os.unlink(os.path.join(directory, left))
    origin = Origin(random)
    told: Counter[str] = Counter()
    before: bytes | None = None  # what is at the path
    with make(origin) as client:
        for _ in range(STEPS_OF_A_SEED):
            call: dict[str, Any] = {"resume": random.random() < 0.9, "decode": random.random() < 0.9}
            whole = origin.resources["/"].now.content
            if random.random() < 0.1:
                call["digest"] = f"sha-256:{hashlib.sha256(whole).hexdigest()}"
            if random.random() < 0.2:
                call["progress"] = _enough(random.randrange(1, 5))
            try:
                done = client.download("http://origin.test/", path, **call)
            except (UnifetchError, Interrupted) as error:
                told[type(error).__name__] += 1
                assert before == _content(path), f"seed {seed}: the target has changed"
                if random.random() < 0.1 and os.path.exists(part):  # the system went down with it
                    os.truncate(part, random.randrange(os.path.getsize(part) + 1))
                continue
            before = _content(path)
            told[f"success, {'resumed' if done.resumed_from else 'at once'}"] += 1
            assert before is not None
            assert before in origin.whole(coded=not call["decode"]), f"seed {seed}: a file that no server had"
            assert len(before) == done.size, f"seed {seed}: another size than was told"
            assert "digest" not in call or before == whole, f"seed {seed}: another digest"
            assert ["file"] == os.listdir(directory), f"seed {seed}: something is left behind"
    return told


def _enough(calls: int) -> Any:
    left = iter(range(calls))

    def progress(received: int, total: int | None) -> None:
        if next(left, None) is None:
            raise Interrupted

    return progress


def _content(path: str) -> bytes | None:
    with suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read()
    return None


def main() -> None:
    """Play schedules until so many steps are done."""
    steps, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    make = AwaitedClient if sys.argv[4:] == ["awaited"] else Client
    told: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else None) as directory:
        while told.total() < steps:
            told += play(seed, directory, make)
            seed += 1
    print(told.total(), "steps, the next seed is", seed)
    for outcome, count in told.most_common():
        print(f"{count:9} {outcome}")


if __name__ == "__main__":
    main()
