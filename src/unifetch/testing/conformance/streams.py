"""Streams as lines and events, and downloads: what is read piece by piece is the same wherever the pieces are cut."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from ... import Client, ServerSentEvent
from ...errors import IncompleteBody, ProtocolError, StatusError, StreamError, TooLarge
from .. import Close, RecordedRequest, Script, Server, Wait, reply
from .base import Conformance

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
FILE = bytes(range(256)) * 1000
ETAG = {"ETag": '"1"'}
CUT: list[Script] = [reply(200, b"", {**ETAG, "Content-Length": str(len(FILE))}), FILE[:100_000], Close()]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def streamed(content_type: str, parts: Sequence[bytes], seen: Sequence[threading.Event]) -> list[Script]:
    """A response whose parts are sent one by one, each after the event of the one before."""
    waits = [Wait(event) for event in seen]
    script: list[Script] = [HEAD + f"Content-Type: {content_type}\r\n\r\n".encode()]
    for part, wait in zip(parts, waits, strict=True):
        script += [chunk(part), wait]
    return [*script, b"0\r\n\r\n"]


RANGE = {"Content-Range": f"bytes 100000-{len(FILE) - 1}/{len(FILE)}"}
# Answers to the request for the rest, all with the bytes of the rest.
CONTRADICTIONS: dict[str, tuple[int, dict[str, str]]] = {
    "200 with a range": (200, ETAG | RANGE),
    "200 of the same file, but shorter": (200, ETAG),
    "206 without a range": (206, ETAG),
    "206 with another range": (206, ETAG | {"Content-Range": f"bytes 99999-{len(FILE) - 2}/{len(FILE)}"}),
    "206 without a validator": (206, RANGE),
    "206 with a weak validator": (206, {"ETag": 'W/"1"'} | RANGE),
    "206 with another validator": (206, {"ETag": '"2"'} | RANGE),
    "206 with two validators": (206, {"ETag": '"1", "2"'} | RANGE),
    "206 of several parts": (206, ETAG | RANGE | {"Content-Type": "multipart/byteranges; boundary=x"}),
    "206 of a coded body": (206, ETAG | RANGE | {"Content-Encoding": "gzip"}),
    "416 with a range": (416, ETAG | RANGE),
}


class TestStreams(Conformance):
    """`.lines()` and `.events()` of a stream."""

    def test_lines_as_soon_as_they_are_there(self, client: Client) -> None:
        """The server sends its next line only after the client has seen the last."""
        seen = [threading.Event() for _ in range(3)]
        with Server(streamed("text/plain", [b"one\n", b"two\r\n", b"three\r"], seen)) as server:
            with client.stream("GET", server.url) as response:
                lines = []
                for line in response.lines():
                    lines.append(line)
                    seen[len(lines) - 1].set()

        assert ["one", "two", "three"] == lines

    @pytest.mark.parametrize(
        ("parts", "expected"),
        [
            ([b"a\r", b"\nb\r", b"c\n", b"\n"], ["a", "b", "c", ""]),
            ([b"a\r\n\r", b"\n"], ["a", ""]),
            (["a\u2028b\x85c\x0bd\x0ce\x1cf\n".encode(), b"g"], ["a\u2028b\x85c\x0bd\x0ce\x1cf", "g"]),
            ([b"caf\xc3", b"\xa9\n\xe2\x82", b"\xac"], ["café", "€"]),
            ([b"\xef", b"\xbb\xbfa\n"], ["a"]),
        ],
        ids=["CR at the border", "CRLF CRLF at the border", "no other line ends", "a cut character", "a cut mark"],
    )
    def test_lines_across_chunks(self, client: Client, parts: list[bytes], expected: list[str]) -> None:
        """LF, CRLF and CR end a line, wherever they are cut, and nothing else does."""
        with Server(reply(200, parts)) as server, client.stream("GET", server.url) as response:
            assert expected == list(response.lines())

    def test_lines_of_a_coding_and_a_charset(self, client: Client) -> None:
        """Lines are of the decoded body, in the charset that it names."""
        body = gzip.compress("café\nname\n".encode("latin-1"))
        headers = {"Content-Type": "text/plain; charset=latin-1", "Content-Encoding": "gzip"}
        with Server(reply(200, [body[:15], body[15:]], headers)) as server:
            with client.stream("GET", server.url) as response:
                assert ["café", "name"] == list(response.lines())

    def test_a_line_has_a_limit(self, client: Client) -> None:
        """A longer line is an error, before it is complete."""
        with Server([HEAD + b"\r\n", chunk(b"short\n" + b"x" * 11)]) as server:
            with client.stream("GET", server.url) as response:
                lines = response.lines(max_line=10)
                with pytest.raises(TooLarge, match="10 characters"):
                    list(lines)

    def test_lines_that_break_off(self, client: Client) -> None:
        """What came is given, and then the error: a cut line is no last line."""
        with Server([HEAD + b"\r\n", chunk(b"one\nha"), Close()]) as server:
            with client.stream("GET", server.url) as response:
                lines = response.lines()

                assert "one" == next(lines)
                with pytest.raises(IncompleteBody):
                    next(lines)

    def test_a_response_that_was_read_has_no_lines(self, client: Client) -> None:
        """Only a stream has; the error says how to get one."""
        with Server(reply(200, b"a\nb\n")) as server:
            response = client.get(server.url)
            with pytest.raises(StreamError, match="stream"):
                response.lines()  # type: ignore[misc]  # a type checker refuses it, which is the point
            with pytest.raises(StreamError, match="stream"):
                response.events()  # type: ignore[misc]  # likewise

    def test_events_are_utf_8(self, client: Client) -> None:
        """Another byte order mark, and another charset, are none of an event stream (HTML §9.2.5)."""
        body = b"\xff\xfedata: x\n\ndata: y\xc3\xa9\n\n"
        with Server(reply(200, body, {"Content-Type": "text/event-stream; charset=utf-16"})) as server:
            with client.stream("GET", server.url) as response:
                assert ["yé"] == [event.data for event in response.events()]

    def test_events_as_soon_as_they_are_there(self, client: Client) -> None:
        """An event is given when its empty line is there, also if that ends with a CR."""
        parts = [b": hello\nretry: 500\nid: 1\ndata: a\ndata: b\n\n", b"event: x\rdata:c\r\r", b"\ndata: d\n\n"]
        seen = [threading.Event() for _ in parts]
        with Server(streamed("text/event-stream", parts, seen)) as server:
            with client.stream("GET", server.url) as response:
                events = []
                for event in response.events():
                    events.append(event)
                    seen[len(events) - 1].set()

        assert [
            ServerSentEvent("message", "a\nb", "1", 500),
            ServerSentEvent("x", "c", "1"),
            ServerSentEvent("message", "d", "1"),
        ] == events


class TestDownloads(Conformance):
    """A file is whole or not there, and is gone on with only if it is still the same."""

    def test_a_file(self, client: Client, tmp_path: Path) -> None:
        """The target appears when all of it is there; nobody else's coding gets in between."""
        path = tmp_path / "file"
        seen: list[bool] = []
        with Server(reply(302, b"", {"Location": "/end"}), reply(200, FILE, ETAG)) as server:
            done = client.download(server.url, path, progress=lambda *_: seen.append(path.exists()))

            assert (FILE, ["file"]) == (path.read_bytes(), [each.name for each in tmp_path.iterdir()])
            assert {False} == set(seen)
            assert (str(path), len(FILE), 0) == (done.path, done.size, done.resumed_from)
            assert (b"", [302], "/end") == (
                done.response.body,
                [each.status for each in done.response.history],
                done.response.url.target,
            )
            assert ["identity"] * 2 == [each.header("accept-encoding") for each in server.requests]

    def test_what_cannot_be_replaced(self, client: Client, tmp_path: Path) -> None:
        """A target that is no file is refused before anything is sent; a stream can be written there in place."""
        place = tmp_path / "there"
        place.write_bytes(b"before")
        with Server(reply(200, FILE, ETAG)) as server:
            for target in (tmp_path, Path(os.devnull)):
                with pytest.raises((FileExistsError, IsADirectoryError, PermissionError)):
                    client.download(server.url, target)
            assert 0 == server.connections
            with client.stream("GET", server.url) as response, place.open("r+b") as file:
                file.writelines(response.body)

        assert FILE == place.read_bytes()

    def test_resume(self, client: Client, tmp_path: Path) -> None:
        """What broke off is gone on with: only the rest is asked for, on the condition that it is of the same file."""
        path = tmp_path / "file"

        def rest(request: RecordedRequest) -> bytes:
            start = int((request.header("range") or "")[len("bytes=") : -1])
            return reply(206, FILE[start:], {**ETAG, "Content-Range": f"bytes {start}-{len(FILE) - 1}/{len(FILE)}"})

        with Server(CUT, rest) as server:
            with pytest.raises(IncompleteBody):
                client.download(server.url, path)
            left = sorted(each.name for each in tmp_path.iterdir())
            done = client.download(server.url, path, resume=True)

            assert [".file.unifetch-part", ".file.unifetch-part.json"] == left
            assert (FILE, ["file"]) == (path.read_bytes(), [each.name for each in tmp_path.iterdir()])
            assert (len(FILE), 100_000, 206) == (done.size, done.resumed_from, done.response.status)
            assert [(None, None), ("bytes=100000-", '"1"')] == [
                (each.header("range"), each.header("if-range")) for each in server.requests
            ]

    def test_resume_of_another_file(self, client: Client, tmp_path: Path) -> None:
        """A server whose file has changed, or that has no ranges, sends all of it, and that is what is kept."""
        path = tmp_path / "file"
        with Server(CUT, reply(200, b"another file", {"ETag": '"2"'})) as server:
            with pytest.raises(IncompleteBody):
                client.download(server.url, path)
            done = client.download(server.url, path, resume=True)

            assert (b"another file", 12, 0) == (path.read_bytes(), done.size, done.resumed_from)
            assert 2 == len(server.requests)

    @pytest.mark.parametrize("row", CONTRADICTIONS)
    def test_an_answer_that_contradicts_itself(self, client: Client, tmp_path: Path, row: str) -> None:
        """What is not surely the rest of the same file is not put behind its beginning: all of it is asked for."""
        path = tmp_path / "file"
        status, headers = CONTRADICTIONS[row]
        with Server(CUT, reply(status, FILE[100_000:], headers), reply(200, FILE, ETAG)) as server:
            with pytest.raises(IncompleteBody):
                client.download(server.url, path)
            done = client.download(server.url, path, resume=True)

            assert (FILE, 0) == (path.read_bytes(), done.resumed_from)
            assert [None, "bytes=100000-", None] == [each.header("range") for each in server.requests]

    def test_a_name_of_255_bytes(self, client: Client, tmp_path: Path) -> None:
        """Any name that the file system takes will do, though the hidden name of the part would be longer."""
        path = tmp_path / ("x" * 255)
        with Server(reply(200, FILE)) as server:
            client.download(server.url, path)

        assert (FILE, [path.name]) == (path.read_bytes(), [each.name for each in tmp_path.iterdir()])

    def test_a_file_in_its_coding(self, client: Client, tmp_path: Path) -> None:
        """`decode=False` stores what was sent."""
        path = tmp_path / "file"
        packed = gzip.compress(FILE)
        with Server(reply(200, packed, {"Content-Encoding": "gzip"})) as server:
            client.download(server.url, path, decode=False)

        assert packed == path.read_bytes()

    @pytest.mark.parametrize(
        ("script", "kind"),
        [
            (CUT, IncompleteBody),
            (reply(404, b"no such file"), StatusError),
            (reply(200, FILE, {"Repr-Digest": f"sha-256=:{'A' * 43}=:"}), ProtocolError),
        ],
        ids=["cut", "404", "another digest"],
    )
    def test_a_failure_leaves_what_was_there(
        self, client: Client, tmp_path: Path, script: Script, kind: type[Exception]
    ) -> None:
        """The target is as it was."""
        path = tmp_path / "file"
        path.write_bytes(b"before")
        with Server(script) as server:
            with pytest.raises(kind):
                client.download(server.url, path)

        assert b"before" == path.read_bytes()
