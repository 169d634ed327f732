"""The body of a stream as a file."""

from __future__ import annotations

import io
import zipfile

import pytest

from unifetch import Client, StreamError
from unifetch.model.body_file import BodyFile
from unifetch.testing import Server, reply
from unifetch.testing.awaited import AwaitedClient


class Pieces:
    """A body in pieces that notes whether it was closed."""

    def __init__(self, *pieces: bytes) -> None:
        self.left = list(pieces)
        self.closed = False

    def __next__(self) -> bytes:
        if not self.left:
            raise StopIteration
        return self.left.pop(0)

    def close(self) -> None:
        self.closed = True


def test_it_reads_no_further_than_it_is_asked() -> None:
    """One read gives what is left of a piece, and asks for the next only when there is nothing left."""
    pieces = Pieces(b"abc", b"", b"de")
    file = BodyFile(pieces)

    assert b"ab" == file.read(2)
    assert b"c" == file.read(5)
    assert [b"", b"de"] == pieces.left
    assert b"" == file.read(0)
    assert b"de" == file.read(5)
    assert b"" == file.read(5)


def test_it_reads_into_any_buffer() -> None:
    """A buffer of wider items takes bytes, too."""
    import array

    room = array.array("H", [0, 0])

    assert 3 == BodyFile(Pieces(b"abc")).readinto(room)
    assert b"abc\0" == room.tobytes()


def test_closing_it_closes_the_response() -> None:
    """A buffered reader on top passes the end on."""
    pieces = Pieces(b"line\nline\n")
    with io.BufferedReader(BodyFile(pieces)) as file:
        assert b"line\n" == file.readline()
        assert not pieces.closed

    assert pieces.closed


def test_a_zip_archive_over_http() -> None:
    """What wants a file gets one."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("a.txt", "text")
    with Server(reply(200, archive.getvalue())) as server, Client() as client:
        with client.open("GET", server.url).file() as file, zipfile.ZipFile(io.BytesIO(file.readall())) as reader:
            assert b"text" == reader.read("a.txt")


def test_an_awaited_body_is_no_file() -> None:
    """A file blocks, which an event loop must not; the error says what to do."""
    with Server(reply(200, b"x")) as server, AwaitedClient(backend="socket") as client:
        response = client.open("GET", server.url)
        with pytest.raises(StreamError, match="iterate over"):
            response.file()
        response.close()
