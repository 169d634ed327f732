"""Request bodies: what a caller gives becomes bytes or blocks, and the fields that describe them."""

from __future__ import annotations

import array
import io
import os
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from unifetch import InvalidBody
from unifetch.policies.bodies import BLOCK, NO_BODY, Body, encode, framing

TEXT = "text/plain;charset=UTF-8"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
NUMBERS = array.array("H", [1, 2])


def sent(body: Body) -> bytes:
    opened = body.open()
    return opened if isinstance(opened, bytes) else b"".join(opened or ())


def generator() -> Iterator[bytes]:
    yield b"ab"
    yield b""
    yield b"c"


class Reader:
    """A file that can do nothing but read."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


class Pipe(io.BytesIO):
    """A file that cannot seek."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation("seek")

    tell = seek


def at(offset: int, data: bytes) -> io.BytesIO:
    file = io.BytesIO(data)
    file.seek(offset)
    return file


# --- What it becomes ------------------------------------------------------------------------------

# a name, what is given, the bytes, their declared length, the Content-Type, whether it can be sent again
BODIES: list[tuple[str, dict[str, Any], bytes, int | None, str | None, bool]] = [
    ("bytes", {"body": b"\x00\xff"}, b"\x00\xff", 2, None, True),
    ("no bytes", {"body": b""}, b"", 0, None, True),
    ("a bytearray", {"body": bytearray(b"ab")}, b"ab", 2, None, True),
    ("a memoryview", {"body": memoryview(b"abcd")[::2]}, b"ac", 2, None, True),
    ("a memoryview of numbers", {"body": memoryview(NUMBERS)}, NUMBERS.tobytes(), 4, None, True),
    ("text", {"body": "é"}, b"\xc3\xa9", 2, TEXT, True),
    ("no text", {"body": ""}, b"", 0, TEXT, True),
    ("JSON", {"json": {"a": [1, None, True, "é"]}}, b'{"a":[1,null,true,"\xc3\xa9"]}', 24, JSON, True),
    ("JSON that is false", {"json": False}, b"false", 5, JSON, True),
    ("JSON that is empty", {"json": {}}, b"{}", 2, JSON, True),
    ("a form", {"form": {"a b": "1&2", "c": ["x", True], "d": None}}, b"a+b=1%262&c=x&c=true", 20, FORM, True),
    ("a form of pairs", {"form": [("a", 1), ("a", 2)]}, b"a=1&a=2", 7, FORM, True),
    ("an empty form", {"form": {}}, b"", 0, FORM, True),
    ("a list", {"body": [b"ab", bytearray(b"c"), b""]}, b"abc", 3, None, True),
    ("a tuple", {"body": (b"ab", b"c")}, b"abc", 3, None, True),
    ("another iterable", {"body": deque([b"ab", b"c"])}, b"abc", None, None, True),
    ("a generator", {"body": generator()}, b"abc", None, None, False),
    ("an iterator", {"body": iter([b"ab", memoryview(b"c")])}, b"abc", None, None, False),
    ("a file", {"body": io.BytesIO(b"abc")}, b"abc", 3, None, True),
    ("a file from its offset", {"body": at(2, b"abcd")}, b"cd", 2, None, True),
    ("a file behind its end", {"body": at(9, b"abcd")}, b"", 0, None, True),
    ("a file that cannot seek", {"body": Pipe(b"abc")}, b"abc", None, None, False),
    ("a reader", {"body": Reader(b"abc")}, b"abc", None, None, False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "data", "length", "kind", "again"), BODIES, ids=[row[0] for row in BODIES])
def test_bodies(name: str, given: Any, data: bytes, length: int | None, kind: str | None, again: bool) -> None:
    """A known size is declared, the type is told where it is known, and what is in memory can be sent again."""
    body = encode(**given)

    assert (length, kind, again) == (body.length, body.content_type, body.replayable)
    assert data == sent(body)
    if again:
        assert data == sent(body)


def test_no_body() -> None:
    """None is no body at all, and always the same one."""
    body = encode(None)

    assert (NO_BODY, None, 0, None) == (body, body.open(), body.length, body.content_type)


def test_blocks_are_never_empty() -> None:
    """An empty chunk would end a chunked body; blocks are bytes, whatever was given."""
    blocks = list(encode(iter([b"", bytearray(b"a"), b"", memoryview(b"b"), b""])).open() or ())

    assert [b"a", b"b"] == blocks
    assert {bytes} == set(map(type, blocks))


def test_the_length_of_a_list_is_that_of_its_bytes() -> None:
    """Also where a block counts otherwise, and where the list changes before it is sent."""
    blocks = [b"a", memoryview(NUMBERS), bytearray(b"b")]
    body = encode(blocks)
    blocks.append(b"more")
    blocks[2].extend(b"more")  # type: ignore[attr-defined]  # a bytearray

    assert (6, b"a" + NUMBERS.tobytes() + b"b") == (body.length, sent(body))


def test_a_file_goes_in_blocks() -> None:
    """Of a bounded size, so that no file is read into memory."""
    blocks = list(encode(io.BytesIO(b"x" * (2 * BLOCK + 1))).open() or ())

    assert [BLOCK, BLOCK, 1] == [len(block) for block in blocks]  # type: ignore[arg-type]  # blocks of bytes


def test_a_file_that_grows() -> None:
    """Not more than was declared is sent."""
    file = at(1, b"abc")
    body = encode(file)
    file.seek(0, 2)
    file.write(b"more")

    assert (2, b"bc") == (body.length, sent(body))


def test_a_file_that_shrinks() -> None:
    """One that ends before its declared size is an error, not a request that lacks its end."""
    file = io.BytesIO(b"abcdef")
    body = encode(file)
    file.truncate(2)

    with pytest.raises(InvalidBody, match="4 bytes before") as caught:
        sent(body)
    assert "maybe" == caught.value.request_sent


def test_a_real_file(tmp_path: Path) -> None:
    """On disk, buffered or not, it is declared and replayed from where it stood."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    for buffering in (-1, 0):
        with path.open("rb", buffering=buffering) as file:
            file.read(3)
            body = encode(file)

            assert (7, [b"3456789"] * 2) == (body.length, [sent(body), sent(body)])
    with tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(b"abc")
        spooled.seek(1)

        assert (2, b"bc") == (encode(spooled).length, sent(encode(spooled)))


def test_a_pipe() -> None:
    """A real one has no size, and is read once."""
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        body = encode(pipe)

        assert (None, False, b"abc") == (body.length, body.replayable, sent(body))


def test_what_the_callers_stream_raises_is_kept() -> None:
    """A library in between may swallow it; it is found here, and goes to the caller as it is."""

    def broken() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("mine")

    body = encode(broken())
    with pytest.raises(LookupError, match="mine") as caught:
        sent(body)

    assert caught.value is body.failure


def test_a_stream_that_is_left_early_has_not_failed() -> None:
    """When the connection breaks, the generator is closed; that is no failure of the caller's."""
    body = encode(generator())
    stream = iter(body.open())  # type: ignore[arg-type]  # blocks
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # it is a generator

    assert body.failure is None


# --- What is refused ------------------------------------------------------------------------------


async def asynchronous() -> AsyncIterator[bytes]:
    yield b"a"


def ended() -> Iterator[bytes]:
    """What a second call would be given, if the first had read it."""
    blocks = (block for block in [b"x"])
    list(blocks)
    return blocks


class AwaitedFile:
    """As an upload of a framework is."""

    async def read(self, size: int = -1) -> bytes:
        return b""


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("two bodies", {"body": b"a", "json": {}}, "one of body=, json= and form="),
    ("three bodies", {"body": b"", "json": 0, "form": {}}, "one of body=, json= and form="),
    ("a mapping", {"body": {"a": 1}}, "not dict .a mapping goes into json= or form="),
    ("a set", {"body": {b"a"}}, "not set"),
    ("a number", {"body": 5}, "not int"),
    ("a truth", {"body": True}, "not bool"),
    ("text blocks", {"body": ["a"]}, "a block of the body is str, not bytes"),
    ("number blocks", {"body": [1]}, "a block of the body is int, not bytes"),
    ("an array", {"body": array.array("H", [1])}, r"no array as it is; memoryview\(…\) of it sends its bytes"),
    ("an ended generator", {"body": ended()}, "a generator that has ended"),
    ("a file that is awaited", {"body": AwaitedFile()}, r"read\(\) has to be awaited"),
    ("a text file", {"body": io.StringIO("a")}, "binary mode"),
    ("an asynchronous iterator", {"body": asynchronous()}, "AsyncClient"),
    ("a lone surrogate", {"body": "\ud800"}, "lone surrogate"),
    ("a form that is text", {"form": "a=1"}, "body="),
    ("a form that is bytes", {"form": b"a=1"}, "body="),
    ("NaN", {"json": float("nan")}, "json="),
    ("infinity", {"json": [float("inf")]}, "json="),
    ("bytes in JSON", {"json": {"a": b"x"}}, "json=.*bytes"),
    ("a set in JSON", {"json": {1}}, "json=.*set"),
    ("a lone surrogate in JSON", {"json": "\ud800"}, "json="),
]


@pytest.mark.parametrize(("name", "given", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(name: str, given: dict[str, Any], message: str) -> None:
    """What cannot be sent is refused before anything is, and the message says what would do."""
    with pytest.raises(InvalidBody, match=message) as caught:
        encode(**given)

    assert "no" == caught.value.request_sent


def test_json_that_contains_itself() -> None:
    """A structure without end is our error as well."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidBody, match="json="):
        encode(json=endless)


def test_a_closed_file() -> None:
    """A file that cannot be read is refused where it is given."""
    file = io.BytesIO(b"a")
    file.close()

    with pytest.raises(InvalidBody, match="cannot be read"):
        encode(file)


@pytest.mark.parametrize("make", [lambda: iter(["a"]), lambda: iter([b"ok", 5]), lambda: deque(["a"])])
def test_blocks_of_another_type(make: Callable[[], Any]) -> None:
    """What only turns out while it is sent is refused there, and some may have left."""
    with pytest.raises(InvalidBody, match="not bytes") as caught:
        sent(encode(make()))

    assert "maybe" == caught.value.request_sent


# --- How it is framed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body", "fields"),
    [
        ("GET", None, ()),
        ("HEAD", None, ()),
        ("OPTIONS", None, ()),
        ("DELETE", None, ()),
        ("PURGE", None, ()),
        ("POST", None, (("Content-Length", "0"),)),
        ("PUT", None, (("Content-Length", "0"),)),
        ("PATCH", None, (("Content-Length", "0"),)),
        ("GET", b"x", (("Content-Length", "1"),)),
        ("DELETE", b"", (("Content-Length", "0"),)),
        ("POST", [b"ab", b"c"], (("Content-Length", "3"),)),
        ("POST", generator(), (("Transfer-Encoding", "chunked"),)),
        ("PUT", io.BytesIO(b"abc"), (("Content-Length", "3"),)),
    ],
)
def test_framing(method: str, body: Any, fields: tuple[tuple[str, str], ...]) -> None:
    """By length or in chunks, never both; only POST, PUT and PATCH say that there is nothing (RFC 9110 §8.6)."""
    assert fields == framing(method, encode(body))
