"""Uploads: files go out as they are, of any size, as often as it takes, and their sender is told how far they are."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import InvalidBody, InvalidHeader, InvalidRequest, RedirectError
from .. import Close, OnHead, RecordedRequest, Server, reply
from .base import Conformance, requires

STREAM = "Content-Type: application/octet-stream"
MEGABYTE = bytes(range(256)) * 4096


def blocks() -> Iterator[bytes]:
    """Content whose size nobody knows in advance."""
    yield b"ab"
    yield b""
    yield b"c"


class Again:
    """The same, as often as it is asked for."""

    def __iter__(self) -> Iterator[bytes]:
        return blocks()


# Each row: the arguments, the body with | for CRLF and -- for the delimiter, and whether its size is declared.
BODIES: dict[str, tuple[Callable[[], dict[str, Any]], str, bool]] = {
    "fields and a file": (
        lambda: {"form": {"a": 1, "b": ["x", "é"]}, "files": {"f": io.BytesIO(b"abc")}},
        '--|Content-Disposition: form-data; name="a"||1|--|Content-Disposition: form-data; name="b"||x|'
        '--|Content-Disposition: form-data; name="b"||é|'
        f'--|Content-Disposition: form-data; name="f"; filename="f"|{STREAM}||abc|----|',
        True,
    ),
    "a content of unknown size": (
        lambda: {"files": [("f", ("a.txt", blocks())), ("g", ("é", b"", "a/b"))]},
        '--|Content-Disposition: form-data; name="f"; filename="a.txt"|Content-Type: text/plain||abc|'
        '--|Content-Disposition: form-data; name="g"; filename="é"|Content-Type: a/b|||----|',
        False,
    ),
    "text and bytes": (
        lambda: {"form": {"a\n": "x\ny\rz\r\n", "b": b"\n \r \r\n \n"}, "files": {}},
        '--|Content-Disposition: form-data; name="a%0D%0A"||x|y|z||--|Content-Disposition: form-data; name="b"||'
        "\n \r | \n|----|",
        True,
    ),
    "fields of a part": (
        lambda: {"files": {"f": ("a.txt", "é", "text/plain", {"Content-ID": "<1>", "X-E": "2"})}},
        '--|Content-Disposition: form-data; name="f"; filename="a.txt"|Content-Type: text/plain|Content-ID: <1>|X-E: 2|'
        "|é|----|",
        True,
    ),
    "names that would end their line": (
        lambda: {"files": {'"\r\nX-Injected: 1': ('a"\r\n\r\nX-Injected: 2', b"abc")}},
        '--|Content-Disposition: form-data; name="%22%0D%0AX-Injected: 1"; filename="a%22%0D%0A%0D%0AX-Injected: 2"|'
        f"{STREAM}||abc|----|",
        True,
    ),
    "nothing": (lambda: {"files": {}}, "----|", True),
}

SIZED: dict[str, Callable[[], dict[str, Any]]] = {
    "bytes": lambda: {"body": MEGABYTE},
    "a file": lambda: {"body": io.BytesIO(MEGABYTE)},
    "files": lambda: {"files": {"f": io.BytesIO(MEGABYTE)}},
    "json": lambda: {"json": ["é"]},
}

# Bodies of three bytes and more, with their length.
DECLARED: dict[str, Callable[[], dict[str, Any]]] = {
    "an iterator": lambda: {"body": blocks(), "headers": {"Content-Length": "3"}},
    "an iterable": lambda: {"body": Again(), "headers": {"content-length": "3"}},
    "bytes": lambda: {"body": b"abc", "headers": {"Content-Length": "3"}},
    "a file": lambda: {"body": io.BytesIO(b"abc"), "headers": {"Content-Length": "3"}},
    "json": lambda: {"json": 123, "headers": {"Content-Length": "3"}},
}

INVALID: dict[str, tuple[type[InvalidRequest], dict[str, Any]]] = {
    "files and a body": (InvalidBody, {"files": {}, "body": b""}),
    "files and JSON": (InvalidBody, {"files": {}, "json": {}}),
    "a text file": (InvalidBody, {"files": {"f": io.StringIO("text")}}),
    "text alone": (InvalidBody, {"files": {"f": "a.txt"}}),
    "a missing file": (InvalidBody, {"files": {"f": Path("/no/such/file")}}),
    "CRLF in the type of a part": (InvalidBody, {"files": {"f": ("a", b"", "a/b\r\nX-Injected: 1")}}),
    "a Content-Type of the caller's": (InvalidHeader, {"files": {}, "headers": {"content-type": "a/b"}}),
}


def content(request: RecordedRequest) -> str:
    """The body that was received, with a delimiter that is known beforehand, in the notation of `BODIES`."""
    kind = re.fullmatch(r"multipart/form-data; boundary=([0-9a-f]{32})", request.header("content-type") or "")
    assert kind is not None
    return request.body.decode().replace(f"--{kind[1]}", "--").replace("\r\n", "|")


class TestUploads(Conformance):
    """multipart/form-data, and the progress of every kind of body."""

    @pytest.mark.parametrize("row", BODIES)
    def test_multipart(self, client: Client, row: str) -> None:
        """These parts arrive, their length declared unless only the end will tell."""
        arguments, expected, declared = BODIES[row]
        with Server() as server:
            client.post(server.url, **arguments())

            request = server.wait_requests(1)[0]
            assert expected == content(request)
            lengths = (str(len(request.body)), None) if declared else (None, "chunked")
            assert lengths == (request.header("content-length"), request.header("transfer-encoding"))

    def test_files_by_path(self, client: Client, tmp_path: Path) -> None:
        """Files of megabytes arrive whole, and in order."""
        paths = [tmp_path / "one", tmp_path / "two"]
        for count, path in enumerate(paths, start=1):
            path.write_bytes(MEGABYTE * count)
        with Server() as server:
            client.put(server.url, files={"f": paths})

            body = server.wait_requests(1)[0].body
            assert [MEGABYTE, MEGABYTE * 2] == [
                part[:-2] for part in re.split(b"--.*?\r\n\r\n|--[0-9a-f]{32}--\r\n", body, flags=re.DOTALL)[1:3]
            ]

    def test_files_are_sent_again(self, client: Client, tmp_path: Path) -> None:
        """A redirect that keeps the body gets the same one, from its start."""
        path = tmp_path / "file"
        path.write_bytes(MEGABYTE)
        with path.open("rb") as file, Server({"/": reply(307, b"", {"Location": "/end"}), "/end": reply()}) as server:
            file.seek(5)
            client.post(server.url, files={"f": file, "g": path})

            first, second = server.wait_requests(2)
            assert first.body == second.body
            assert MEGABYTE[5:] + b"\r\n--" in second.body

    def test_a_stream_is_not_sent_again(self, client: Client) -> None:
        """A part that can be read only once cannot follow a redirect."""
        with Server(reply(307, b"", {"Location": "/end"})) as server:
            with pytest.raises(RedirectError, match="one-shot"):
                client.post(server.url, files={"f": ("a", blocks())})

            assert 1 == len(server.requests)

    @pytest.mark.parametrize("beside", [{}, {"files": []}], ids=["alone", "beside files"])
    def test_every_byte_of_a_form(self, client: Client, beside: dict[str, Any]) -> None:
        """Bytes in a form are sent as they are; the newlines of text are CRLF, whether files go along or not."""
        with Server() as server:
            client.post(server.url, form={"bytes": bytes(range(256)), "text": "a\nb\rc\r\nd"}, **beside)

            request = server.wait_requests(1)[0]
            if beside:
                found = [part.partition(b"\r\n--")[0] for part in request.body.split(b"\r\n\r\n")[1:]]
            else:
                values = [pair.partition(b"=")[2] for pair in request.body.split(b"&")]
                found = [unquote_to_bytes(value.replace(b"+", b" ")) for value in values]
            assert [bytes(range(256)), b"a\r\nb\r\nc\r\nd"] == found

    @pytest.mark.parametrize("row", DECLARED)
    def test_a_length_that_its_caller_declares(self, client: Client, row: str) -> None:
        """An iterator with a Content-Length is sent by it, and not in chunks; another body may say its own."""
        told: list[tuple[int, int | None]] = []
        call = DECLARED[row]()
        with Server({"/": reply(307, b"", {"Location": "/end"}), "/end": reply()}) as server:
            client.put(f"{server.url}/end", progress=lambda *step: told.append(step), **call)

            request = server.wait_requests(1)[0]
            lengths = request.header("content-length"), request.header("transfer-encoding")
            assert (str(len(request.body)), None) == lengths
            assert (len(request.body), len(request.body)) == told[-1]
            assert 1 == sum(name.lower() == "content-length" for name, _ in request.headers)

    @pytest.mark.parametrize("length", [2, 4, 10**9])
    def test_a_length_that_is_wrong(self, client: Client, length: int) -> None:
        """Too few bytes, or too many, are an error; no server takes the request for whole, and the next is fine."""
        with Server() as server:
            with pytest.raises(InvalidBody, match="Content-Length"):
                client.put(server.url, body=blocks(), headers={"Content-Length": str(length)})
            client.get(f"{server.url}/next")

            assert ["/next"] == [each.target for each in server.requests if each.complete]

    def test_a_length_of_nothing(self, client: Client) -> None:
        """An iterator may be declared to be empty."""
        with Server() as server:
            client.put(server.url, body=iter(()), headers={"Content-Length": "0"})

            assert [("0", b"")] == [(each.header("content-length"), each.body) for each in server.requests]

    @pytest.mark.parametrize("length", ["2", "4", "+3", "3, 3", ""])
    def test_a_length_that_contradicts_the_body(self, client: Client, length: str) -> None:
        """Nothing is sent where the body is there to be counted."""
        with Server() as server:
            with pytest.raises(InvalidHeader, match="Content-Length"):
                client.put(server.url, body=b"abc", headers={"Content-Length": length})

            assert 0 == server.connections

    @pytest.mark.parametrize("row", INVALID)
    def test_invalid_files(self, client: Client, row: str) -> None:
        """Files that cannot be sent are refused, and the server sees nobody."""
        kind, arguments = INVALID[row]
        with Server() as server:
            with pytest.raises(kind) as caught:
                client.post(server.url, **arguments)

            assert ("no", 0) == (caught.value.request_sent, server.connections)

    @pytest.mark.parametrize("row", SIZED)
    def test_progress(self, client: Client, row: str) -> None:
        """The caller is told of each block, and in the end that all of the body was taken."""
        told: list[tuple[int, int | None]] = []
        with Server() as server:
            client.post(server.url, progress=lambda *step: told.append(step), **SIZED[row]())

            size = len(server.wait_requests(1)[0].body)
            sent = [step[0] for step in told]
            assert ((size, size), {size}) == (told[-1], {total for _, total in told})
            assert all(0 < after - before <= 128 * 1024 for before, after in zip([0, *sent], sent, strict=False))

    def test_progress_of_unknown_size(self, client: Client) -> None:
        """Without a size there is no total."""
        told: list[tuple[int, int | None]] = []
        with Server() as server:
            client.post(server.url, body=blocks(), progress=lambda *step: told.append(step))

            assert [(2, None), (3, None)] == told

    def test_an_error_of_progress_is_the_callers(self, client: Client) -> None:
        """What it raises ends the call, as it is, and the connection is not used again."""

        def enough(sent: int, total: int | None) -> None:
            raise LookupError("enough")

        with Server() as server:
            with pytest.raises(LookupError, match="enough"):
                client.post(server.url, body=MEGABYTE, progress=enough)
            client.get(f"{server.url}/next")

            assert ["/next"] == [each.target for each in server.requests if each.complete]
            assert 2 == server.connections

    @requires(Capability.EARLY_RESPONSE)
    def test_early_response_to_files(self, client: Client, tmp_path: Path) -> None:
        """A server that refuses a file by its declared size, and closes, is heard before all of it was sent."""
        path = tmp_path / "large"
        with path.open("wb") as file:
            file.truncate(64 << 20)
        told: list[int] = []
        with Server(OnHead(reply(413, b"too large", {"Connection": "close"}), Close())) as server:
            response = client.post(server.url, files={"f": path}, progress=lambda sent, _: told.append(sent))

            assert (413, b"too large") == (response.status, response.body)
            assert max(told, default=0) < 64 << 20
