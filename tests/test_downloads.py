"""Downloads: a file is whole or not there, whatever happens, and no two versions of it are ever mixed."""

from __future__ import annotations

import asyncio
import base64
import errno
import gzip
import hashlib
import json
import os
import pickle
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

import unifetch
from servers import LARGE, nginx
from unifetch import Client, Download, Timeout, available_backends
from unifetch.client import downloads, new_file
from unifetch.errors import (
    ConnectionLost,
    IncompleteBody,
    InvalidHeader,
    InvalidSetting,
    InvalidURL,
    ProtocolError,
    StatusError,
    TotalTimeout,
)
from unifetch.model.headers import Headers
from unifetch.policies.ranges import Span, Validator, expected_digests, repr_digests
from unifetch.testing import Close, Drip, Flood, HalfClose, RecordedRequest, Script, Server, reply

FILE = bytes(range(256)) * 400  # 102,400 bytes
SIZE = len(FILE)
HAD = 40_000
ETAG = {"ETag": '"1"'}
PART, SIDECAR = ".file.unifetch-part", ".file.unifetch-part.json"
SHA256 = hashlib.sha256(FILE).hexdigest()

on_posix = pytest.mark.skipif(os.name == "nt", reason="about POSIX files")


def cut(headers: dict[str, str] = ETAG, content: bytes = FILE) -> list[Script]:
    """A response that breaks off after the first bytes."""
    return [reply(200, b"", {**headers, "Content-Length": str(len(content))}), content[:HAD], HalfClose()]


def partial(start: int = HAD, end: int = SIZE, total: object = SIZE, **changes: str) -> bytes:
    """A 206 with these bytes; an empty value takes its field away."""
    fields = {**ETAG, "Content-Range": f"bytes {start}-{end - 1}/{total}"}
    fields |= {name.replace("_", "-"): value for name, value in changes.items()}
    return reply(206, FILE[start:end], {name: value for name, value in fields.items() if value})


def ranges(server: Server) -> list[tuple[str | None, str | None]]:
    return [(each.header("range"), each.header("if-range")) for each in server.requests]


def files(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def client() -> Iterator[Client]:
    with Client("urllib", timeout=10) as client:
        yield client


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real server with ranges, entity tags and dates."""
    with nginx(tmp_path_factory.mktemp("nginx")) as running:
        yield running.url


def begin(client: Client, url: str, path: Path) -> None:
    """A download that breaks off, against a server whose next script is `cut()`."""
    with pytest.raises(IncompleteBody):
        client.download(url, path)


# --- Resuming -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", available_backends())
def test_resume_from_nginx(backend: str, web: str, path: Path) -> None:
    """A real server sends the rest, and the whole has the digest that it should have."""

    def enough(received: int, total: int | None) -> None:
        assert len(LARGE) == total
        if received > 1 << 20:
            raise LookupError("enough")

    told: list[tuple[int, int | None]] = []
    digest = f"sha-256:{hashlib.sha256(LARGE).hexdigest()}"
    with Client(backend) as client:
        with pytest.raises(LookupError, match="enough"):
            client.download(f"{web}/range", path, progress=enough)
        had = (path.parent / PART).stat().st_size
        done = client.download(
            f"{web}/range", path, resume=True, digest=digest, progress=lambda *step: told.append(step)
        )

    assert (206, had, len(LARGE)) == (done.response.status, done.resumed_from, done.size)
    assert ((had, len(LARGE)), (len(LARGE), len(LARGE))) == (told[0], told[-1])
    assert (LARGE, ["file"]) == (path.read_bytes(), files(path.parent))


def test_nginx_has_a_newer_file(web: str, client: Client, path: Path) -> None:
    """A real server whose file is not the one that was begun sends all of it."""
    with pytest.raises(LookupError):
        client.download(f"{web}/range", path, progress=_stop)
    sidecar = path.parent / SIDECAR
    saved = json.loads(sidecar.read_text())
    saved["validator"]["value"] = '"5f5e100-1"'
    sidecar.write_text(json.dumps(saved))
    done = client.download(f"{web}/range", path, resume=True)

    assert (200, 0, LARGE) == (done.response.status, done.resumed_from, path.read_bytes())


def _stop(received: int, total: int | None) -> None:
    if received:
        raise LookupError("enough")


@pytest.mark.parametrize(
    "second",
    [
        partial(start=HAD + 1),
        partial(start=0),
        partial(total=SIZE + 1),
        partial(end=SIZE, total=SIZE - 1),
        partial(Content_Range=f"bytes {HAD}-{HAD - 1}/{SIZE}"),
        partial(Content_Range=f"bytes +{HAD}-{SIZE - 1}/{SIZE}"),
        partial(Content_Range=f"bytes {HAD}-{SIZE - 1}/{SIZE}, bytes {HAD}-{SIZE - 1}/{SIZE}"),
        partial(Content_Range=f"lines {HAD}-{SIZE - 1}/{SIZE}"),
        partial(Content_Range=f"bytes */{SIZE}"),
        partial(Content_Range="", Content_Type="multipart/byteranges; boundary=x"),
        partial(Content_Range=f"bytes {HAD}-{SIZE - 2}/{SIZE}"),
        partial(Content_Type="Multipart/ByteRanges; boundary=x"),
        reply(200, FILE[HAD:], {**ETAG, "Content-Range": f"bytes {HAD}-{SIZE - 1}/{SIZE}"}),
        reply(200, FILE[HAD:], {"Content-Range": f"bytes {HAD}-{SIZE - 1}/{SIZE}"}),
        reply(203, FILE[HAD:], {"Content-Range": f"bytes {HAD}-{SIZE - 1}/*"}),
        reply(200, FILE[HAD:], ETAG),
        reply(200, [FILE[HAD:]], ETAG),
        reply(200, FILE[HAD:], {"Content-Type": "multipart/byteranges; boundary=x"}),
        partial(ETag=""),
        partial(ETag='"2"'),
        partial(ETag='W/"1"'),
        partial(Content_Encoding="gzip"),
        reply(416, b"", {"Content-Range": f"bytes */{HAD}"}),
        reply(416, b"", {"Content-Range": f"bytes {HAD}-{SIZE - 1}/{SIZE}", **ETAG}),
    ],
    ids=lambda each: each.split(b"\r\n\r\n")[0].decode().replace("\r\n", " "),
)
def test_a_range_that_was_not_asked_for(second: bytes, client: Client, path: Path) -> None:
    """A 206 that is not surely the rest, a 416, and a 200 that contradicts itself: all is asked for, once."""
    with Server(cut(), second, reply(200, FILE, ETAG)) as server:
        begin(client, server.url, path)
        done = client.download(server.url, path, resume=True, digest={"sha256": SHA256})

        assert [(None, None), (f"bytes={HAD}-", '"1"'), (None, None)] == ranges(server)
    assert (SIZE, 0, FILE, ["file"]) == (done.size, done.resumed_from, path.read_bytes(), files(path.parent))


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"Content-Range": f"bytes 0-{SIZE - 1}/{SIZE}"}, True),
        ({"Content-Range": f"bytes 0-{SIZE - 1}/{SIZE + 1}"}, False),
        ({"Content-Range": f"bytes 1-{SIZE}/{SIZE + 1}"}, False),
        ({"Content-Range": f"bytes 0-{SIZE - 1}/*"}, False),
        ({"Content-Range": f"bytes */{SIZE}"}, False),
        ({"Content-Range": "bytes 0-9/10"}, False),
        ({"Content-Type": "multipart/byteranges; boundary=x"}, False),
    ],
)
def test_a_200_that_says_it_is_a_part(headers: dict[str, str], taken: bool, client: Client, path: Path) -> None:
    """A first answer that is said to be less than all brings no file, whatever its status."""
    with Server(reply(200, FILE, headers)) as server:
        if taken:
            client.download(server.url, path)
        else:
            with pytest.raises(ProtocolError, match="is a part, and all was asked for"):
                client.download(server.url, path)

        assert 1 == len(server.requests)
    assert (["file"] if taken else []) == files(path.parent)


def test_a_rest_of_a_file_whose_size_nobody_says(client: Client, path: Path) -> None:
    """A server may send less than the rest, so that without a total nobody knows whether the file is whole."""
    unsized: list[Script] = [reply(200, b"", {**ETAG, "Transfer-Encoding": "chunked"}), b"%x\r\n" % SIZE, FILE[:HAD]]
    with Server([*unsized, HalfClose()], partial(end=HAD + 100, total="*"), reply(200, FILE, ETAG)) as server:
        begin(client, server.url, path)
        client.download(server.url, path, resume=True)

        assert [(None, None), (f"bytes={HAD}-", '"1"'), (None, None)] == ranges(server)
    assert FILE == path.read_bytes()


def test_another_resource_with_the_same_entity_tag(client: Client, path: Path) -> None:
    """A tag is of one resource: if a redirect leads to another one by now, the file is asked for anew."""

    def mirror(request: RecordedRequest) -> Script:
        to = "/one" if request.header("range") is None and not server.requests[1:] else "/two"
        return reply(302, b"", {"Location": to})

    other = bytes(SIZE)
    rest = reply(206, other[HAD:], {**ETAG, "Content-Range": f"bytes {HAD}-{SIZE - 1}/{SIZE}"})

    def two(request: RecordedRequest) -> Script:
        return reply(200, other, ETAG) if request.header("range") is None else rest

    with Server({"/": mirror, "/one": cut(), "/two": two}) as server:
        begin(client, server.url, path)
        client.download(server.url, path, resume=True)

        assert 6 == len(server.requests)
    assert other == path.read_bytes()


def test_what_was_too_long_is_not_gone_on_with(client: Client, path: Path) -> None:
    """A rest with more bytes than it announced may have been anything from its first byte on."""
    fields = {**ETAG, "Content-Range": f"bytes {HAD}-{SIZE - 1}/{SIZE}"}
    with Server(cut(), reply(206, [bytes(100), FILE[HAD:]], fields)) as server:
        begin(client, server.url, path)
        with pytest.raises(ProtocolError, match="more than"):
            client.download(server.url, path, resume=True)

    assert [] == files(path.parent)


@pytest.mark.parametrize("total", [SIZE, "*"])
def test_the_rest(total: object, client: Client, path: Path) -> None:
    """A 206 of the bytes that were asked for is put behind the ones that are there."""
    with Server(cut(), partial(total=total)) as server:
        begin(client, server.url, path)
        done = client.download(server.url, path, resume=True)

    assert (SIZE, HAD, FILE) == (done.size, done.resumed_from, path.read_bytes())


def test_a_rest_that_is_only_the_next_part(client: Client, path: Path) -> None:
    """A server may send less than the rest: the file is incomplete still, and goes on from there."""
    with Server(cut(), partial(end=HAD + 100), partial(start=HAD + 100)) as server:
        begin(client, server.url, path)
        with pytest.raises(IncompleteBody, match=f"after {HAD + 100} of {SIZE} bytes"):
            client.download(server.url, path, resume=True)
        done = client.download(server.url, path, resume=True)

    assert (HAD + 100, FILE) == (done.resumed_from, path.read_bytes())


@pytest.mark.parametrize(
    ("sent", "message"),
    [(FILE[HAD:] + b"x", f"more than the {SIZE} bytes"), (FILE[HAD:-1], f"after {SIZE - 1} of {SIZE} bytes")],
)
def test_a_rest_of_another_length(sent: bytes, message: str, client: Client, path: Path) -> None:
    """With chunks, only the bytes themselves tell that they are not the ones that were announced."""
    fields = {**ETAG, "Content-Range": f"bytes {HAD}-{SIZE - 1}/{SIZE}"}
    with Server(cut(), reply(206, [sent], fields)) as server:
        begin(client, server.url, path)
        with pytest.raises(ProtocolError, match=message) as caught:
            client.download(server.url, path, resume=True)

    assert (False, "yes", "urllib") == (path.exists(), caught.value.request_sent, caught.value.backend)


def test_many_cuts(client: Client, path: Path) -> None:
    """However often it breaks off, each time goes on where the last ended."""

    def some(request: RecordedRequest) -> list[Script]:
        start = int((request.header("range") or "")[len("bytes=") : -1])
        head, body = partial(start=start).split(b"\r\n\r\n", 1)
        return [head + b"\r\n\r\n" + body[:9_999], HalfClose()]

    with Server(cut(), some) as server:
        begin(client, server.url, path)
        for _ in range(6):
            with pytest.raises(IncompleteBody):
                client.download(server.url, path, resume=True)
        done = client.download(server.url, path, resume=True, digest=f"sha256:{SHA256}")

    assert (HAD + 6 * 9_999, FILE) == (done.resumed_from, path.read_bytes())


def test_a_complete_part_asks_for_its_last_byte(client: Client, path: Path) -> None:
    """If only the rename failed, the server says whether the file still holds, and one byte goes over the wire."""

    def obstruct(received: int, total: int | None) -> None:
        path.mkdir(exist_ok=True)

    with Server(reply(200, FILE, ETAG), partial(start=SIZE - 1)) as server:
        with pytest.raises(OSError, match="file"):
            client.download(server.url, path, progress=obstruct)
        path.rmdir()
        done = client.download(server.url, path, resume=True, digest={"sha-256": SHA256})

        assert [(None, None), (f"bytes={SIZE - 1}-", '"1"')] == ranges(server)
    assert (SIZE - 1, FILE, ["file"]) == (done.resumed_from, path.read_bytes(), files(path.parent))


def test_a_part_that_is_longer_than_the_file(client: Client, path: Path) -> None:
    """It is none of that file, and not gone on with."""
    with Server(cut(), reply(200, FILE, ETAG)) as server:
        begin(client, server.url, path)
        (path.parent / PART).write_bytes(FILE + b"more")
        client.download(server.url, path, resume=True)

        assert [(None, None)] * 2 == ranges(server)
    assert FILE == path.read_bytes()


def test_what_was_begun_is_resumed_only_when_asked(client: Client, path: Path) -> None:
    """Without `resume`, a download begins anew."""
    with Server(cut(), reply(200, b"new")) as server:
        begin(client, server.url, path)
        client.download(server.url, path)

        assert [(None, None)] * 2 == ranges(server)
    assert (b"new", ["file"]) == (path.read_bytes(), files(path.parent))


def test_what_was_begun_from_another_url_is_not_resumed(client: Client, path: Path) -> None:
    """Not even from one that differs in its query only: entity tags are of one URL."""
    with Server(cut(), reply(200, b"new", ETAG)) as server:
        begin(client, f"{server.url}/?a=1", path)
        client.download(f"{server.url}/", path, params={"a": 2}, resume=True)

        assert [(None, None)] * 2 == ranges(server)
    assert b"new" == path.read_bytes()


def _changed(**changes: object) -> object:
    def change(saved: dict[str, object]) -> bytes:
        validator = {**saved["validator"], **changes}  # type: ignore[dict-item]  # it is a mapping
        return json.dumps({**saved, "validator": validator}).encode()

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: b"",
        lambda saved: b"{",
        lambda saved: b"[]",
        lambda saved: b"[" * 100_000,
        lambda saved: b"\xff" * 100,
        lambda saved: json.dumps({**saved, "url": None}).encode(),
        lambda saved: json.dumps({**saved, "validator": None}).encode(),
        lambda saved: json.dumps({**saved, "padding": "x" * 20_000}).encode(),
        _changed(value='W/"1"'),
        _changed(value='"1"\r\nX-Injected: 1'),
        _changed(value='"1'),
        _changed(value=1),
        _changed(field="last-modified"),
        _changed(field="Host"),
        _changed(field=["etag"]),
        _changed(total=-1),
        _changed(total=True),
        _changed(total=1.5),
        _changed(more=1),
    ],
)
def test_a_sidecar_that_is_none_of_ours(change: object, client: Client, path: Path) -> None:
    """What does not say, in our own form, of which file the part is, is as if it was not there."""
    with Server(cut(), reply(200, FILE, ETAG)) as server:
        begin(client, server.url, path)
        sidecar = path.parent / SIDECAR
        sidecar.write_bytes(change(json.loads(sidecar.read_bytes())))  # type: ignore[operator]  # each is a function
        client.download(server.url, path, resume=True)

        assert [(None, None)] * 2 == ranges(server)
    assert (FILE, ["file"]) == (path.read_bytes(), files(path.parent))


def test_the_sidecar_holds_no_secret(client: Client, path: Path) -> None:
    """A signed URL is not written down, nor are credentials."""
    with Server(cut()) as server:
        url = server.url.replace("//", "//user:hunter2@")
        begin(client, f"{url}/?signature=hunter3", path)

    assert "hunter" not in (path.parent / SIDECAR).read_text()


# --- What can be resumed --------------------------------------------------------------------------

NOW = 1_800_000_000
OLD = {"Last-Modified": formatdate(NOW - 60, usegmt=True), "Date": formatdate(NOW, usegmt=True)}


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {"ETag": '"a b"'}, None),
        (200, {"ETag": '"1"'}, ("etag", '"1"')),
        (200, {"ETag": '""'}, ("etag", '""')),
        (200, {"ETag": '"\xe9"'}, ("etag", '"\xe9"')),
        (200, {"ETag": 'W/"1"'}, None),
        (200, {"ETag": '"1", "2"'}, None),
        (200, {"ETag": "1"}, None),
        (200, {**OLD, "ETag": 'W/"1"'}, None),
        (200, OLD, ("last-modified", OLD["Last-Modified"])),
        (200, {**OLD, "Date": formatdate(NOW - 1, usegmt=True)}, None),
        (200, {"Last-Modified": OLD["Last-Modified"]}, None),
        (200, {**OLD, "Date": "today"}, None),
        (200, {**OLD, "Last-Modified": "Sun, 06-Nov-94 08:49:37 GMT"}, None),
        (200, {**OLD, "Last-Modified": "Tue, 31 Feb 2020 08:49:37 GMT"}, None),
        (200, {**OLD, "Last-Modified": "Sun, 00 Jan 0000 00:00:00 GMT"}, None),
        (200, {"ETag": '"1"', "Content-Encoding": "gzip"}, None),
        (200, {"ETag": '"1"', "Content-Encoding": "identity"}, ("etag", '"1"')),
        (203, {"ETag": '"1"'}, None),
        (200, {}, None),
    ],
)
def test_strong_validators(status: int, headers: dict[str, str], expected: tuple[str, str] | None) -> None:
    """RFC 9110 §8.8: only what cannot be the same for two contents; beside an entity tag, no date."""
    found = Validator.of_response(status, Headers(headers))

    assert expected == (None if found is None else (found.field, found.value))
    assert found is None or found == Validator.of_saved(vars(found))


def test_a_date_as_validator(client: Client, path: Path) -> None:
    """A Last-Modified that is old enough is sent back as it came."""
    with Server(cut(OLD), partial(ETag="", Last_Modified=OLD["Last-Modified"])) as server:
        begin(client, server.url, path)
        client.download(server.url, path, resume=True)

        assert (f"bytes={HAD}-", OLD["Last-Modified"]) == ranges(server)[1]
    assert FILE == path.read_bytes()


def test_a_206_without_its_date(client: Client, path: Path) -> None:
    """A server that knows no If-Range sends a part of whatever it has now; only its date would tell."""
    with Server(cut(OLD), partial(ETag=""), reply(200, FILE)) as server:
        begin(client, server.url, path)
        client.download(server.url, path, resume=True)

        assert 3 == len(server.requests)
    assert FILE == path.read_bytes()


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"1"'}, {**OLD, "ETag": 'W/"1"'}], ids=["none", "weak", "both"])
def test_what_cannot_be_resumed_is_not_kept(headers: dict[str, str], client: Client, path: Path) -> None:
    """Without a strong validator, a download that breaks off leaves nothing."""
    with Server(cut(headers), reply(200, FILE)) as server:
        begin(client, server.url, path)
        left = files(path.parent)
        client.download(server.url, path, resume=True)

        assert ([], [(None, None)] * 2) == (left, ranges(server))
    assert FILE == path.read_bytes()


def test_a_content_coding_that_nobody_asked_for(client: Client, path: Path) -> None:
    """It is undone, but what breaks off is not kept: a range would be one of the coded bytes."""
    coded = gzip.compress(FILE)
    headers = {**ETAG, "Content-Encoding": "gzip", "Repr-Digest": f"sha-256=:{'A' * 43}=:"}
    told: list[tuple[int, int | None]] = []
    broken: list[Script] = [reply(200, b"", {**headers, "Content-Length": str(len(coded))}), coded[:500], HalfClose()]
    with Server(broken, reply(200, coded, headers)) as server:
        begin(client, server.url, path)
        left = files(path.parent)
        done = client.download(
            server.url, path, resume=True, digest={"sha-256": SHA256}, progress=lambda *step: told.append(step)
        )

        assert ([], [(None, None)] * 2) == (left, ranges(server))
    assert (FILE, SIZE) == (path.read_bytes(), done.size)
    assert ((SIZE, None), {None}) == (told[-1], {total for _, total in told})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 10-19/20", Span(20, 20)),
        ("BYTES 10-19/*", Span(20, 20)),
        ("bytes 10-18/20", Span(19, 20)),
        ("bytes 10-19/19", None),
        ("bytes 9-19/20", None),
        ("bytes 11-19/20", None),
        ("bytes 10-9/20", None),
        ("bytes 10-19/21", None),
        ("bytes 10 - 19/20", None),
        ("bytes 10-19", None),
        ("bytes ١0-19/20", None),
        ("bytes 10-19/20\n", None),
        ("", None),
    ],
)
def test_content_range(value: str, expected: Span | None) -> None:
    """RFC 9110 §14.4: what is sent must start where it was asked to, within the size that is known."""
    headers = Headers.trusted([("ETag", '"1"'), ("Content-Range", value)])

    assert expected == Validator("etag", '"1"', 20).accepts(headers, 10)


# --- Digests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "digest",
    [f"sha-256:{SHA256}", f"SHA256:{SHA256.upper()}", {"sha-512": hashlib.sha512(FILE).hexdigest(), "sha256": SHA256}],
)
def test_a_digest_that_is_right(digest: str | dict[str, str], client: Client, path: Path) -> None:
    """One or several, in either spelling of the algorithm."""
    with Server(reply(200, FILE)) as server:
        client.download(server.url, path, digest=digest)

    assert FILE == path.read_bytes()


def test_a_digest_that_is_wrong(client: Client, path: Path) -> None:
    """The error names both, what was there stays, and what came is removed: it would be no better when resumed."""
    path.write_bytes(b"before")
    wanted = "0" * 64
    with Server(cut(), partial()) as server:
        begin(client, server.url, path)
        with pytest.raises(ProtocolError, match=f"sha256 of the file is {SHA256}, not {wanted}") as caught:
            client.download(server.url, path, resume=True, digest={"sha-256": wanted})

    assert ("yes", "urllib") == (caught.value.request_sent, caught.value.backend)
    assert (b"before", ["file"]) == (path.read_bytes(), files(path.parent))


def test_a_digest_of_what_was_decoded(client: Client, path: Path) -> None:
    """An archive that its server labels as a coding: the error says so, and `decode=False` is what was published."""
    archive = gzip.compress(FILE)
    digest = f"sha-256:{hashlib.sha256(archive).hexdigest()}"
    with Server(reply(200, archive, {"Content-Encoding": "gzip"})) as server:
        with pytest.raises(ProtocolError, match="its coding 'gzip' was taken off; decode=False keeps it"):
            client.download(server.url, path, digest=digest)
        done = client.download(server.url, path, digest=digest, decode=False)

    assert (archive, len(archive), False) == (path.read_bytes(), done.size, done.response.decoded)


def test_the_digest_of_a_server(client: Client, path: Path) -> None:
    """A Repr-Digest is of the whole file, also in a 206; one that is wrong is an error (RFC 9530)."""
    right, wrong = (
        f"sha-512=:{base64.b64encode(hashlib.sha512(content).digest()).decode()}:" for content in (FILE, FILE[HAD:])
    )
    with Server(cut(), partial(Repr_Digest=right), cut(), partial(Repr_Digest=wrong)) as server:
        begin(client, server.url, path)
        client.download(server.url, path, resume=True)
        begin(client, server.url, path)
        with pytest.raises(ProtocolError, match="sha512"):
            client.download(server.url, path, resume=True)

    assert (FILE, ["file"]) == (path.read_bytes(), files(path.parent))


_OF_FILE = base64.b64encode(hashlib.sha256(FILE).digest()).decode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"sha-256=:{_OF_FILE}:", {"sha256": SHA256}),
        (f"md5=:AAAA:, sha-256=:{_OF_FILE}: ", {"sha256": SHA256}),
        (f"sha-256=:{'A' * 43}=:, sha-256=:{_OF_FILE}:", {"sha256": SHA256}),
        (f"sha-512=:{_OF_FILE}:", {}),
        (f"sha-256=:{_OF_FILE[:-1]}:", {}),
        (f"sha-256=:{_OF_FILE[:-2]}*=:", {}),
        (f"sha-256={SHA256}", {}),
        ("", {}),
    ],
)
def test_repr_digest(value: str, expected: dict[str, str]) -> None:
    """What is not in the form of RFC 9530, or of another algorithm, is as if it was not there."""
    assert expected == repr_digests(Headers({"Repr-Digest": value}))


@pytest.mark.parametrize(
    "digest",
    ["", SHA256, f"sha-1:{'0' * 40}", "md5:d41d8cd98f00b204e9800998ecf8427e", f"sha-256:{SHA256}0", "sha-256:é" * 64,
     f"sha-256:{SHA256}\n", {"sha-256": 5}, {5: SHA256}, {"sha-256": _OF_FILE}],
)  # fmt: skip
def test_a_digest_that_is_none(digest: object, client: Client, path: Path) -> None:
    """It is refused before anything is sent or written."""
    with Server() as server:
        with pytest.raises(InvalidSetting, match=r"^digest: "):
            client.download(server.url, path, digest=digest)  # type: ignore[arg-type]  # which is the point

        assert (0, []) == (server.connections, files(path.parent))
    assert {} == expected_digests(None)


# --- Failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [204, 206, 304, 404, 416, 500])
def test_a_status_that_brings_no_file(status: int, client: Client, path: Path) -> None:
    """It is an error that has the response, and touches nothing."""
    path.write_bytes(b"before")
    body = b"" if status in (204, 304) else b"why not"
    with Server(reply(status, body, ETAG)) as server:
        with pytest.raises(StatusError, match=f"{status} .* brings no file") as caught:
            client.download(server.url, path)

    assert body == caught.value.response.body
    assert (b"before", ["file"]) == (path.read_bytes(), files(path.parent))
    assert caught.value.response.status == pickle.loads(pickle.dumps(caught.value)).response.status


def test_a_redirect_that_is_not_followed_brings_no_file(client: Client, path: Path) -> None:
    """With `redirects=0`, the redirect is the answer."""
    with Server(reply(302, b"", {"Location": "/end"})) as server:
        with pytest.raises(StatusError, match="302 Found"):
            client.download(server.url, path, redirects=0)

    assert [] == files(path.parent)


@pytest.mark.parametrize("end", [Close(), Flood(b"x" * 1000)])
def test_the_body_of_an_error_is_bounded(end: Script, client: Client, path: Path) -> None:
    """Of an endless page its beginning is kept, and of one that breaks off what there is."""
    with Server([reply(500, headers={"Content-Length": str(1 << 40)}), b"sorry", end]) as server:
        with pytest.raises(StatusError) as caught:
            client.download(server.url, path)

    assert (b"sorry" + b"x" * (1 << 16))[: len(caught.value.response.body)] == caught.value.response.body
    assert len(caught.value.response.body) in (5, 1 << 16)


@pytest.mark.parametrize("failure", [reply(503), HalfClose()], ids=["503", "no answer"])
def test_a_failure_before_the_file_keeps_what_was_begun(failure: Script, client: Client, path: Path) -> None:
    """A part outlives errors that say nothing about it, also of a download that does not resume."""
    with Server(cut(), failure, failure, partial()) as server:
        begin(client, server.url, path)
        for resume in (True, False):
            with pytest.raises((StatusError, ConnectionLost)):
                client.download(server.url, path, resume=resume)
        done = client.download(server.url, path, resume=True)

    assert (HAD, FILE) == (done.resumed_from, path.read_bytes())


def test_an_error_says_what_is_kept(client: Client, path: Path) -> None:
    """A note on the error, for whoever reads its traceback."""
    with Server(cut(), cut({})) as server:
        with pytest.raises(IncompleteBody) as caught:
            client.download(server.url, path)
        with pytest.raises(IncompleteBody) as nothing:
            client.download(server.url, path)

    assert [f"{HAD} bytes are kept, to resume from"] == caught.value.__notes__
    assert not hasattr(nothing.value, "__notes__")


def test_an_error_of_progress_is_the_callers(client: Client, path: Path) -> None:
    """What it raises ends the call, as it is; what came before is kept."""
    with Server(reply(200, FILE, ETAG), lambda request: partial(start=_start(request))) as server:
        with pytest.raises(LookupError, match="enough"):
            client.download(server.url, path, progress=_stop)
        had = (path.parent / PART).stat().st_size
        done = client.download(server.url, path, resume=True)

    # All may have come in one piece; then its last byte is asked for once more.
    assert (min(had, len(FILE) - 1), FILE) == (done.resumed_from, path.read_bytes())
    assert 0 < had


def _start(request: RecordedRequest) -> int:
    return int((request.header("range") or "")[len("bytes=") : -1])


def test_progress(client: Client, path: Path) -> None:
    """It is told of the beginning, of each piece, and in the end of all; without a length there is no total."""
    told: list[tuple[int, int | None]] = []
    with Server(reply(200, FILE), reply(200, [b"ab", b"c"]), reply(200, b"")) as server:
        client.download(server.url, path, progress=lambda *step: told.append(step))
        sized, told = told, []
        client.download(server.url, path, progress=lambda *step: told.append(step))
        unsized, told = told, []
        client.download(server.url, path, progress=lambda *step: told.append(step))

    assert ((0, SIZE), (SIZE, SIZE), {SIZE}) == (sized[0], sized[-1], {total for _, total in sized})
    assert sorted(sized) == sized
    assert ((0, None), (3, None)) == (unsized[0], unsized[-1])
    assert [(0, 0)] == told


def test_a_progress_that_cannot_be_called(client: Client, path: Path) -> None:
    """It is refused, and nothing is sent."""
    with Server() as server:
        with pytest.raises(InvalidSetting, match="progress: must be a callable"):
            client.download(server.url, path, progress=5)  # type: ignore[arg-type]  # which is the point

        assert (0, []) == (server.connections, files(path.parent))


@on_posix
def test_a_full_disk(client: Client, path: Path) -> None:
    """The error of the system ends the call; what was written is a beginning, and resumed when there is room."""
    import resource

    path.write_bytes(b"before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Server(reply(200, FILE, ETAG), lambda request: partial(start=_start(request))) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large") as caught:
                client.download(server.url, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        before = path.read_bytes()
        done = client.download(server.url, path, resume=True, digest={"sha-256": SHA256})

    assert (errno.EFBIG, b"before") == (caught.value.errno, before)
    assert (50_000, FILE, ["file"]) == (done.resumed_from, path.read_bytes(), files(path.parent))


@on_posix
def test_a_directory_that_goes_away(client: Client, tmp_path: Path) -> None:
    """It is an error of the system, and nothing is made in its place."""
    directory = tmp_path / "directory"
    directory.mkdir()

    def remove(received: int, total: int | None) -> None:
        shutil.rmtree(directory, ignore_errors=True)

    with Server(reply(200, FILE, ETAG)) as server:
        with pytest.raises(FileNotFoundError):
            client.download(server.url, directory / "file", progress=remove)

    assert [] == files(tmp_path)


@on_posix
@pytest.mark.parametrize("backend", available_backends())
def test_killed_and_resumed(backend: str, path: Path) -> None:
    """A process that is killed leaves a beginning and no lock."""
    program = (
        "import sys, unifetch; unifetch.download(sys.argv[1], sys.argv[2], backend=sys.argv[3],"
        " progress=lambda received, total: print(received, flush=True))"
    )
    opened: list[Script] = [reply(200, headers={**ETAG, "Content-Length": str(SIZE)}), FILE[:HAD]]
    with Server(opened, lambda request: partial(start=_start(request))) as server:
        words = [sys.executable, "-c", program, server.url, str(path), backend]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line == f"{HAD}\n":
                    break
            process.kill()
        with Client(backend) as client:
            done = client.download(server.url, path, resume=True, digest={"sha-256": SHA256})

    assert (-signal.SIGKILL, FILE, ["file"]) == (process.returncode, path.read_bytes(), files(path.parent))
    assert 0 < done.resumed_from <= HAD


# --- Time -----------------------------------------------------------------------------------------


def test_a_download_has_no_total_of_its_own(path: Path) -> None:
    """A client's total is not for a file of any size; one that the call names is."""
    slow: list[Script] = [reply(200, headers={"Content-Length": "3"}), Drip(b"abc", every=0.1)]
    with Server(slow) as server, Client("urllib", timeout={"total": 0.05, "read": 10}) as client:
        client.download(server.url, path)
        with pytest.raises(TotalTimeout, match=r"0\.05 s\Z"):
            client.download(server.url, path, timeout=0.05)

    assert (b"abc", ["file"]) == (path.read_bytes(), files(path.parent))


def test_asking_again_gives_no_more_time(client: Client, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The total covers both requests."""
    totals: list[float | None] = []
    stream = client.stream

    def recorded(*words: str, timeout: Timeout, **call: object) -> object:
        totals.append(timeout.total)
        return stream(*words, timeout=timeout, **call)  # type: ignore[arg-type]  # as it was given

    with Server(cut(), reply(416), reply(200, FILE)) as server:
        begin(client, server.url, path)
        monkeypatch.setattr(client, "stream", recorded)
        monkeypatch.setattr(downloads, "monotonic", iter([100, 107]).__next__)
        client.download(server.url, path, resume=True, timeout=10)

    assert [10, 3] == totals


# --- Files ----------------------------------------------------------------------------------------


@on_posix
@pytest.mark.parametrize(("before", "after"), [(None, 0o640), (0o604, 0o604)])
def test_permissions(before: int | None, after: int, client: Client, path: Path) -> None:
    """Nobody else reads what is not verified yet; then it has the mode of the file before, or that of a new one."""
    if before is not None:
        path.write_bytes(b"before")
        path.chmod(before)
    seen: set[tuple[str, int]] = set()

    def look(received: int, total: int | None) -> None:
        seen.update((each.name, stat.S_IMODE(each.stat().st_mode)) for each in path.parent.iterdir() if each != path)

    umask = os.umask(0o027)
    try:
        with Server(reply(200, FILE, ETAG)) as server:
            client.download(server.url, path, progress=look)
    finally:
        os.umask(umask)

    assert {(PART, 0o600), (SIDECAR, 0o600)} == seen
    assert (after, ["file"]) == (stat.S_IMODE(path.stat().st_mode), files(path.parent))


@on_posix
@pytest.mark.parametrize("how", ["symbolic", "hard", "another file"])
def test_a_part_that_is_replaced_while_the_body_comes(how: str, client: Client, path: Path) -> None:
    """What lies in the part's place by the end is neither renamed nor given another mode."""
    victim = path.parent / "victim"
    victim.write_bytes(b"precious")
    victim.chmod(0o600)
    part = path.parent / PART

    def replace(received: int, total: int | None) -> None:
        if received == SIZE:
            part.unlink()
            if how == "symbolic":
                part.symlink_to(victim)
            elif how == "hard":
                os.link(victim, part)
            else:
                part.write_bytes(b"forged")

    with Server(reply(200, FILE, ETAG)) as server:
        with pytest.raises(FileExistsError, match="Somebody else"):
            client.download(server.url, path, progress=replace, digest=f"sha-256:{SHA256}")

    assert (b"precious", 0o600) == (victim.read_bytes(), stat.S_IMODE(victim.stat().st_mode))
    assert ["victim"] == files(path.parent)


@on_posix
@pytest.mark.parametrize("where", ["the target", "a directory above it"])
def test_a_link_that_somebody_else_planted(where: str, client: Client, tmp_path: Path) -> None:
    """In a directory where everybody may put links, only one's own are followed, or those of the directory's owner."""
    if os.geteuid() != 0:
        pytest.skip("only root makes links of somebody else's")
    shared, victim = tmp_path / "shared", tmp_path / "victim"
    for directory in (shared, victim):
        directory.mkdir()
    shared.chmod(0o1777)
    link = shared / "link"
    link.symlink_to(victim / "file" if where == "the target" else victim)
    target = link if where == "the target" else link / "file"
    os.chown(link, 1234, 1234, follow_symlinks=False)
    with Server(reply(200, FILE)) as server:
        with pytest.raises(PermissionError, match="somebody else") as caught:
            client.download(server.url, target)

        assert (str(target), 0, []) == (caught.value.filename, server.connections, files(victim))
        os.chown(link, 0, 0, follow_symlinks=False)
        client.download(server.url, target)
    assert FILE == (victim / "file").read_bytes()


@on_posix
@pytest.mark.parametrize("links", ["a loop", "up and down", "absolute", "dangling"])
def test_links_are_resolved_as_the_system_does(links: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target is where an `open` would find it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one" / "two").mkdir(parents=True)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("one/two/../two")
    (tmp_path / "absolute").symlink_to(tmp_path / "link")
    (tmp_path / "dangling").symlink_to("one/file")
    given = {"up and down": "./link/../two//link", "absolute": "absolute/file", "dangling": "dangling"}.get(links)
    if given is None:
        with pytest.raises(OSError, match="symbolic links"):
            new_file.place_of("loop")
        return

    assert os.path.realpath(given) == new_file.place_of(given)


@pytest.mark.parametrize("length", [100, 101, 231, 232, 250, 255])
def test_long_names(length: int, client: Client, tmp_path: Path) -> None:
    """Whatever name the file system takes, its part has room; also one that is gone on with."""
    path = tmp_path / ("x" * length)
    with Server(cut(), partial()) as server:
        begin(client, server.url, path)
        done = client.download(server.url, path, resume=True)

    assert (HAD, [path.name]) == (done.resumed_from, files(tmp_path))
    assert FILE == path.read_bytes()


def test_a_name_that_is_too_long(client: Client, tmp_path: Path) -> None:
    """It is refused before anything is sent."""
    with Server(reply(200, FILE)) as server:
        with pytest.raises(OSError, match="x"):
            client.download(server.url, tmp_path / ("x" * 256))

        assert (0, []) == (server.connections, files(tmp_path))


@on_posix
def test_a_file_that_is_mounted(client: Client, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can take the place of one, so that nothing is sent."""
    path.write_bytes(b"before")
    mounts = iter([b"mnt_id: 1", b"mnt_id: 2"])
    monkeypatch.setattr(new_file, "_mount_of", lambda descriptor: next(mounts))
    with Server(reply(200, FILE)) as server:
        with pytest.raises(OSError, match="mount its directory") as caught:
            client.download(server.url, path)

        assert (errno.EBUSY, 0, ["file"]) == (caught.value.errno, server.connections, files(path.parent))


@on_posix
def test_a_file_that_only_its_owner_can_replace(client: Client, tmp_path: Path) -> None:
    """In a sticky directory, to write in a file is not to replace it: so nothing is sent."""
    if os.geteuid() != 0:
        pytest.skip("only root makes files of somebody else's")
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    target = shared / "file"
    target.write_bytes(b"theirs")
    target.chmod(0o666)
    tmp_path.chmod(0o755)
    found = target.stat()
    os.chown(target, 1234, 1234)
    directory = os.open(shared, os.O_RDONLY)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "geteuid", lambda: 4321)
            os.chown(shared, 1234, 1234)
            with pytest.raises(PermissionError, match="somebody else"):
                new_file._check_replaceable(directory, target.stat(), str(shared))
            new_file._check_replaceable(directory, os.stat_result([*found[:4], 4321, *found[5:]]), str(shared))
    finally:
        os.close(directory)


@on_posix
def test_a_symbolic_link_stays_one(client: Client, tmp_path: Path) -> None:
    """The file that it leads to is replaced, and the part is beside that."""
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to("there/file")
    with Server(cut(), reply(200, FILE)) as server:
        begin(client, server.url, link)
        left = files(tmp_path / "there")
        done = client.download(server.url, link)

    assert ([PART, SIDECAR], True, str(link)) == (left, link.is_symlink(), done.path)
    assert FILE == (tmp_path / "there" / "file").read_bytes()


@pytest.mark.parametrize("given", ["file", b"file", Path("file"), "./file"])
def test_paths(given: object, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path may be of any type, and without a directory; whatever name a server has for it does not count."""
    monkeypatch.chdir(tmp_path)
    headers = {"Content-Disposition": 'attachment; filename="../../evil"'}
    with Server(reply(200, FILE, headers)) as server:
        done = client.download(f"{server.url}/other", given)  # type: ignore[arg-type]  # bytes are no public type

    assert (os.fsdecode(given), ["file"]) == (done.path, files(tmp_path))  # type: ignore[arg-type]  # each is a path


@on_posix
def test_targets_that_cannot_be_written(client: Client, tmp_path: Path) -> None:
    """They are errors of the system that name the path, and nothing is sent."""
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    rows = {
        "directory": IsADirectoryError,
        "pipe": FileExistsError,
        "none/file": FileNotFoundError,
        "pipe/file": NotADirectoryError,
        "none/": IsADirectoryError,
        "none/.": IsADirectoryError,
        "device": FileExistsError,
    }
    (tmp_path / "device").symlink_to(os.devnull)
    before = files(tmp_path)
    with Server() as server:
        for name, kind in rows.items():
            with pytest.raises(kind) as caught:
                client.download(server.url, f"{tmp_path}/{name}")
            assert f"{tmp_path}/{name}" == str(caught.value.filename)

        assert (0, before) == (server.connections, files(tmp_path))


@on_posix
def test_a_directory_that_cannot_be_written_in(client: Client, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the permission to make a file there, nothing is sent; the error names the path."""
    opened = os.open

    def refused(name: object, flags: int, *rest: int, **named: int) -> int:
        if str(name).endswith(PART):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return opened(name, flags, *rest, **named)  # type: ignore[call-overload]  # handed on

    path.write_bytes(b"before")
    monkeypatch.setattr(os, "open", refused)
    with Server(reply(200, FILE)) as server:
        with pytest.raises(PermissionError) as caught:
            client.download(server.url, path)

        assert ("file", 0) == (Path(caught.value.filename).name, server.connections)
    assert b"before" == path.read_bytes()


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EROFS])
def test_a_rename_that_fails(client: Client, path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """What nobody could know before is the system's error; what was there stays, and the next try goes on."""

    def refused(part: str, target: str) -> None:
        raise OSError(code, os.strerror(code), part, None, target)

    path.write_bytes(b"before")
    with Server(reply(200, FILE, ETAG), reply(200, FILE, ETAG)) as server:
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", refused)
            with pytest.raises(OSError, match=os.strerror(code)) as caught:
                client.download(server.url, path, resume=True)
        assert (code, b"before") == (caught.value.errno, path.read_bytes())

        client.download(server.url, path, resume=True)

    assert FILE == path.read_bytes()


@on_posix
@pytest.mark.parametrize("kind", ["symbolic", "hard", "pipe", "symbolic sidecar"])
def test_a_part_that_somebody_else_made(kind: str, client: Client, tmp_path: Path) -> None:
    """In a directory that others can write in, a link in the part's place leads nowhere."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    part = tmp_path / PART
    if kind == "symbolic":
        part.symlink_to(victim)
    elif kind == "hard":
        os.link(victim, part)
    elif kind == "pipe":
        os.mkfifo(part)
    else:
        (tmp_path / SIDECAR).symlink_to(victim)
    with Server(reply(200, FILE, ETAG)) as server:
        if kind == "symbolic sidecar":
            client.download(server.url, tmp_path / "file", resume=True)
        else:
            with pytest.raises(OSError, match=PART):
                client.download(server.url, tmp_path / "file", resume=True)

            assert 0 == server.connections
    assert b"precious" == victim.read_bytes()


def test_one_download_at_a_time(client: Client, path: Path) -> None:
    """A second one to the same target is refused, and does not disturb the first."""
    refused: list[str] = []

    def again(received: int, total: int | None) -> None:
        with pytest.raises(BlockingIOError, match="Another download") as caught:
            client.download(server.url, path, resume=True)
        refused.append(str(caught.value.filename))

    with Server(reply(200, FILE, ETAG)) as server:
        client.download(server.url, path, progress=again)

        assert ({str(path)}, 1) == (set(refused), len(server.requests))
    assert (FILE, ["file"]) == (path.read_bytes(), files(path.parent))


@on_posix
def test_a_part_that_is_renamed_while_it_is_opened(client: Client, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opens a part just before another download completes gets a new one, and not the file itself."""
    lock = downloads._lock
    part = path.parent / PART
    part.write_bytes(b"complete")

    def late(descriptor: int) -> None:
        monkeypatch.setattr(downloads, "_lock", lock)
        part.rename(path)
        lock(descriptor)

    monkeypatch.setattr(downloads, "_lock", late)
    with Server(cut()) as server:
        begin(client, server.url, path)

    assert (b"complete", FILE[:HAD]) == (path.read_bytes(), part.read_bytes())


def test_a_file_system_without_locks(client: Client, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some that many machines share have none; a download goes there all the same."""
    fcntl = pytest.importorskip("fcntl")

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with Server(reply(200, FILE)) as server:
        client.download(server.url, path)

    assert FILE == path.read_bytes()


# --- The call -------------------------------------------------------------------------------------


def test_the_function_of_the_module(path: Path) -> None:
    """`unifetch.download` is a function, also once the modules behind it are loaded; its result is plain data."""
    with Server(reply(200, FILE)) as server:
        done = unifetch.download(server.url, path)

    assert done == pickle.loads(pickle.dumps(done))
    assert isinstance(done, Download)
    assert callable(unifetch.download)


def test_settings_of_the_client_hold(path: Path) -> None:
    """The base URL, headers, parameters; but the file is asked for as it is."""
    headers = {"Accept-Encoding": "gzip", "X-A": "1"}
    with Server(reply(200, FILE)) as server, Client(base_url=f"{server.url}/a/", headers=headers) as client:
        client.download("b", path, params={"c": 1}, headers={"accept-encoding": "br", "X-B": "2"})
        request = server.requests[0]

    assert ("GET", "/a/b?c=1", "1", "2") == (
        request.method, request.target, request.header("x-a"), request.header("x-b"),
    )  # fmt: skip
    assert "identity" == request.header("accept-encoding")


def test_range_belongs_to_the_download(path: Path) -> None:
    """A Range of the caller's would make a part the whole."""
    with Server() as server, Client(headers={"If-Range": '"1"'}) as client:
        for each in (client, unifetch):
            with pytest.raises(InvalidHeader, match="Range belongs to download"):
                each.download(server.url, path, headers={"range": "bytes=0-1"})  # type: ignore[attr-defined]  # both do
        with pytest.raises(InvalidHeader, match="Range belongs to download"):
            client.download(server.url, path)
        with pytest.raises(InvalidURL):
            unifetch.download("/relative", path)

        assert (0, []) == (server.connections, files(path.parent))


@pytest.mark.parametrize("style", ["blocking", "awaited"])
def test_what_a_call_changes_of_its_client(style: str, path: Path) -> None:
    """Its params and headers replace those of the client, and None drops one, as in any call."""
    settings: Any = {"params": {"v": 1, "w": 1}, "headers": {"X-One": "1"}}
    call: Any = {"params": iter([("v", 2)]), "headers": {"X-One": None, "User-Agent": None}}

    async def awaited(url: str) -> None:
        async with unifetch.AsyncClient(**settings) as client:
            await client.download(url, path, **call)

    with Server(reply(200, FILE)) as server:
        if style == "blocking":
            with Client(**settings) as client:
                client.download(server.url, path, **call)
        else:
            asyncio.run(awaited(server.url))

        asked = server.requests[-1]
    assert "/?w=1&v=2" == asked.target
    assert [None, None] == [asked.header("x-one"), asked.header("user-agent")]


def test_params_that_are_read_once_are_asked_for_again(client: Client, path: Path) -> None:
    """Where the whole file has to be asked for after all, it is by the same URL."""
    with Server(cut(), reply(416), reply(200, FILE, ETAG)) as server:
        with pytest.raises(IncompleteBody):
            client.download(server.url, path, params={"v": 2})
        client.download(server.url, path, params=iter([("v", 2)]), resume=True)

        assert ["/?v=2"] * 3 == [each.target for each in server.requests]
