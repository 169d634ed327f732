"""multipart/form-data: the exact bytes, what a parser that is not ours makes of them, and what is refused."""

from __future__ import annotations

import email.policy
import io
import os
import tracemalloc
from collections.abc import Iterator
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifetch import InvalidBody, InvalidRequest
from unifetch.errors import InvalidHeader, InvalidSetting
from unifetch.model.headers import Headers
from unifetch.policies.bodies import BLOCK, Body, encode, framing, with_content_type
from unifetch.policies.multipart import multipart

KIND = "multipart/form-data; boundary=XX"


def sent(body: Body) -> bytes:
    opened = body.open()
    return opened if isinstance(opened, bytes) else b"".join(opened or ())


def generator() -> Iterator[bytes]:
    yield b"ab"
    yield b""
    yield b"c"


def named(name: Any, data: bytes = b"abc") -> io.BytesIO:
    file = io.BytesIO(data)
    file.name = name
    return file


def at(offset: int, data: bytes) -> io.BytesIO:
    file = io.BytesIO(data)
    file.seek(offset)
    return file


class Pipe(io.BytesIO):
    """A file that cannot seek."""

    def seekable(self) -> bool:
        return False


def part(rest: str, content: str = "abc") -> str:
    """A part, from what follows `form-data; ` in its head."""
    return f"--XX\r\nContent-Disposition: form-data; {rest}\r\n\r\n{content}\r\n"


TYPE = "\r\nContent-Type:"
STREAM = f"{TYPE} application/octet-stream"

# --- The exact bytes ------------------------------------------------------------------------------

# a name, files=, form=, the parts
BYTES: list[tuple[str, Any, Any, str]] = [
    ("nothing", {}, None, ""),
    ("bytes are a file called by its name", {"f": b"abc"}, None, part(f'name="f"; filename="f"{STREAM}')),
    ("a bytearray", {"f": bytearray(b"abc")}, None, part(f'name="f"; filename="f"{STREAM}')),
    ("a file without a name", {"f": io.BytesIO(b"abc")}, None, part(f'name="f"; filename="f"{STREAM}')),
    ("a file from its offset", {"f": at(2, b"xxabc")}, None, part(f'name="f"; filename="f"{STREAM}')),
    ("a file that cannot seek", {"f": Pipe(b"abc")}, None, part(f'name="f"; filename="f"{STREAM}')),
    ("an iterable", {"f": generator()}, None, part(f'name="f"; filename="f"{STREAM}')),
    ("a file's own name", {"f": named("/a/b.png")}, None, part(f'name="f"; filename="b.png"{TYPE} image/png')),
    ("a file's own name in bytes", {"f": named(b"/a/b")}, None, part(f'name="f"; filename="b"{STREAM}')),
    ("a file's own path", {"f": named(Path("a/b"))}, None, part(f'name="f"; filename="b"{STREAM}')),
    ("a file of a descriptor", {"f": named(3)}, None, part(f'name="f"; filename="f"{STREAM}')),
    ("standard input", {"f": named("<stdin>")}, None, part(f'name="f"; filename="f"{STREAM}')),
    ("a tuple", {"f": ("a.txt", b"abc")}, None, part(f'name="f"; filename="a.txt"{TYPE} text/plain')),
    ("a tuple of text", {"f": ("a.txt", "é")}, None, part(f'name="f"; filename="a.txt"{TYPE} text/plain', "é")),
    ("a tuple of a file", {"f": ("a", named("b.png"))}, None, part(f'name="f"; filename="a"{STREAM}')),
    ("a tuple of blocks", {"f": ("a", [b"a", b"bc"])}, None, part(f'name="f"; filename="a"{STREAM}')),
    ("a type", {"f": ("a.txt", b"abc", "a/b; c=d")}, None, part(f'name="f"; filename="a.txt"{TYPE} a/b; c=d')),
    ("a type of None", {"f": ("a", b"abc", None)}, None, part(f'name="f"; filename="a"{STREAM}')),
    ("no filename makes it a field", {"f": (None, "a\nb")}, None, part('name="f"', "a\nb")),
    ("a field with a type", {"f": (None, "{}", "a/json")}, None, part(f'name="f"{TYPE} a/json', "{}")),
    ("an empty filename", {"f": ("", b"")}, None, part(f'name="f"; filename=""{STREAM}', "")),
    ("gzip", {"f": ("a.tar.gz", b"abc")}, None, part(f'name="f"; filename="a.tar.gz"{TYPE} application/gzip')),
    ("another compression", {"f": ("a.txt.xz", b"abc")}, None, part(f'name="f"; filename="a.txt.xz"{STREAM}')),
    (
        "a list",
        {"f": [b"abc", ("x", b"abc")]},
        None,
        part(f'name="f"; filename="f"{STREAM}') + part(f'name="f"; filename="x"{STREAM}'),
    ),
    (
        "pairs",
        [("f", (None, "1")), ("g", (None, "2")), ("f", (None, "3"))],
        None,
        part('name="f"', "1") + part('name="g"', "2") + part('name="f"', "3"),
    ),
    ("fields come first", {"f": (None, "2")}, {"a": 1}, part('name="a"', "1") + part('name="f"', "2")),
    ("fields alone", {}, [("a", "x"), ("a", b"y")], part('name="a"', "x") + part('name="a"', "y")),
    (
        "values of fields",
        {},
        {"a": [1, 1.5, True], "b": None, "c": "", "d": "x y+%2B&=é"},
        "".join(part('name="a"', value) for value in ("1", "1.5", "true"))
        + part('name="c"', "")
        + part('name="d"', "x y+%2B&=é"),
    ),
    ("newlines in values", {}, {"a": "1\n2\r3\r\n4\n\r5"}, part('name="a"', "1\r\n2\r\n3\r\n4\r\n\r\n5")),
    (
        "newlines in names",
        {"b\n": (None, "")},
        {"a\r": ""},
        part('name="a%0D%0A"', "") + part('name="b%0D%0A"', ""),
    ),
    (
        "quotes and newlines in filenames",
        {"f": ('"\r\n\n', b"abc")},
        None,
        part(f'name="f"; filename="%22%0D%0A%0A"{STREAM}'),
    ),
    ("quotes in names", {'"': (None, "")}, {'a"': ""}, part('name="a%22"', "") + part('name="%22"', "")),
    (
        "nothing else is escaped",
        {"f": ("%22\\';é\t", b"")},
        None,
        part(f'name="f"; filename="%22\\\';é\t"{STREAM}', ""),
    ),
    ("names beyond latin-1", {"č€😀": (None, "")}, None, part('name="č€😀"', "")),
]


@pytest.mark.parametrize(("name", "files", "form", "parts"), BYTES, ids=[row[0] for row in BYTES])
def test_bytes(name: str, files: Any, form: Any, parts: str) -> None:
    """These parts, and no other byte; their length is declared unless only the end will tell."""
    body = multipart(files, form, boundary="XX")

    wanted = f"{parts}--XX--\r\n".encode()
    assert (wanted, KIND) == (sent(body), body.content_type)
    streamed = name in ("a file that cannot seek", "an iterable")
    assert (None if streamed else len(wanted), not streamed) == (body.length, body.replayable)
    if not streamed:
        assert wanted == sent(body)


def test_a_path(tmp_path: Path) -> None:
    """A file by its path is declared by its size, opened when it is sent, as often as it is, and closed after."""
    path = tmp_path / "ü.txt"
    path.write_bytes(b"abc")
    body = multipart({"f": path, "g": ("other", path)}, boundary="XX")

    wanted = part('name="f"; filename="ü.txt"\r\nContent-Type: text/plain')
    wanted = f'{wanted}{part(f"""name="g"; filename="other"{STREAM}""")}--XX--\r\n'
    assert [wanted.encode()] * 2 == [sent(body), sent(body)]
    assert (len(wanted.encode()), True) == (body.length, body.replayable)
    os.unlink(path)
    with pytest.raises(FileNotFoundError):
        sent(body)


def test_a_path_whose_file_changes(tmp_path: Path) -> None:
    """Never more is sent than was declared, and less is an error."""
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    body = multipart({"f": path}, boundary="XX")
    path.write_bytes(b"abcdef")

    assert (body.length, True) == (len(sent(body)), b"\r\n\r\nabc\r\n--XX--" in sent(body))
    path.write_bytes(b"a")
    with pytest.raises(InvalidBody, match="2 bytes before"):
        sent(body)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
def test_a_path_without_a_size(tmp_path: Path) -> None:
    """A named pipe has no size, and asking for it does not wait for a writer."""
    os.mkfifo(tmp_path / "pipe")
    body = multipart({"f": tmp_path / "pipe"})

    assert (None, False) == (body.length, body.replayable)


def test_boundaries_are_random() -> None:
    """Each body has a boundary of its own, of 128 bits, within the 70 characters of RFC 2046 §5.1.1."""
    kinds = {multipart({}).content_type for _ in range(100)}

    assert (100, {len("multipart/form-data; boundary=") + 32}) == (len(kinds), {len(kind or "") for kind in kinds})


def test_in_memory_it_is_bytes() -> None:
    """Small parts in memory become one body in memory, which is sent in one piece and pickles."""
    assert isinstance(encode(files={"f": b"a"}, form={"a": 1}).source, bytes)


# --- Another parser -------------------------------------------------------------------------------


def parsed(body: Body) -> list[tuple[str, str | None, str, bytes]]:
    """Name, filename, type and content of the parts, by the standard library's parser of mail."""
    head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + sent(body))
    return [
        (
            str(each.get_param("name", header="content-disposition")),
            each.get_filename(),
            each.get_content_type(),
            each.get_payload(decode=True),  # type: ignore[misc]  # bytes, as no part has parts
        )
        for each in message.iter_parts()  # type: ignore[attr-defined]  # the policy makes it an EmailMessage
    ]


@given(content=st.lists(st.binary() | st.sampled_from([b"\r\n", b"--XX", b"\r\n--XX--", b"\n"])), again=st.binary())
def test_any_content_survives(content: list[bytes], again: bytes) -> None:
    """Whatever is in a file, also what looks like a delimiter, arrives as it was."""
    whole = b"".join(content)
    body = multipart({"f": ("n", content), "g": ("m", io.BytesIO(again), "a/b")}, {"x": "1"})

    kind = "application/octet-stream"
    assert [("x", None, "text/plain", b"1"), ("f", "n", kind, whole), ("g", "m", "a/b", again)] == parsed(body)
    assert body.length == len(sent(body))


@given(name=st.text(), filename=st.text(), value=st.text())
def test_nothing_can_be_injected(name: str, filename: str, value: str) -> None:
    """Whatever a name, filename or value holds, there are as many parts and lines in each head as there should be."""
    try:
        body = multipart({name: (filename, b"content", "a/b")}, {name: value}, boundary="0123456789abcdef" * 2)
    except InvalidRequest:
        return  # lone surrogates
    heads = [each.partition(b"\r\n\r\n")[0] for each in sent(body).split(b"--" + b"0123456789abcdef" * 2 + b"\r\n")[1:]]

    assert [1, 2] == [len(head.splitlines()) if b"\r" in head or b"\n" in head else 1 for head in heads]
    assert [2, 4] == [head.count(b'"') for head in heads]


# --- As a stream ----------------------------------------------------------------------------------


def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    """64 MiB go out in blocks of a bounded size, and are declared to the byte."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    body = encode(files={"f": path, "g": (None, b"x" * (3 * BLOCK))}, form={"a": "x" * (2 * BLOCK)})
    total = largest = 0
    tracemalloc.start()
    try:
        for block in body.open() or ():
            assert isinstance(block, bytes)
            total, largest = total + len(block), max(largest, len(block))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert (body.length, BLOCK, True) == (total, largest, peak < 16 * BLOCK)


def test_framing() -> None:
    """A known size is declared, an unknown one goes out chunked, and nothing at all still has its end."""
    bodies = [encode(files=files) for files in ({}, {"f": io.BytesIO(b"x")}, {"f": iter([b"x"])})]
    lengths = [str(len(sent(body))) for body in bodies]

    assert [
        (("Content-Length", lengths[0]),),
        (("Content-Length", lengths[1]),),
        (("Transfer-Encoding", "chunked"),),
    ] == [framing("POST", body) for body in bodies]


def test_what_the_callers_stream_raises_is_kept() -> None:
    """The error of a part is found where the error of a whole body is."""

    def broken() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("mine")

    body = encode(files={"f": broken()}, progress=lambda sent, total: None)
    with pytest.raises(LookupError, match="mine") as caught:
        sent(body)

    assert caught.value is body.failure


def test_it_can_be_the_body_of_another_request() -> None:
    """What a request shows as its body can be sent again."""
    body = encode(files={"f": io.BytesIO(b"x")})

    assert (sent(body), body.content_type) == (sent(encode(body.source)), encode(body.source).content_type)


# --- Progress -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({"body": b"x" * (BLOCK + 1)}, [(BLOCK, BLOCK + 1), (BLOCK + 1, BLOCK + 1)]),
        ({"body": io.BytesIO(b"x" * (BLOCK + 1))}, [(BLOCK, BLOCK + 1), (BLOCK + 1, BLOCK + 1)]),
        ({"body": generator()}, [(2, None), (3, None)]),
        ({"json": [1]}, [(3, 3)]),
        ({"form": {"a": "b"}}, [(3, 3)]),
        ({"body": b""}, []),
    ],
)
def test_progress(given: dict[str, Any], steps: list[tuple[int, int | None]]) -> None:
    """It is told what was taken, block by block, and the total if that is known."""
    told: list[tuple[int, int | None]] = []
    plain = encode(**given)
    body = encode(**given, progress=lambda *step: told.append(step))

    assert (plain.source, plain.length, plain.content_type, plain.replayable) == (
        body.source,
        body.length,
        body.content_type,
        body.replayable,
    )
    sent(body)
    assert steps == told


def test_progress_is_told_after_a_block_was_taken() -> None:
    """A block that was handed over, but not taken yet, does not count."""
    told: list[int] = []
    blocks = iter(encode(b"x" * (2 * BLOCK), progress=lambda sent, total: told.append(sent)).open() or ())
    next(blocks)
    before = list(told)
    next(blocks)

    assert ([], [BLOCK]) == (before, told)


def test_progress_starts_again_with_the_body() -> None:
    """Each time that the body is sent."""
    told: list[int] = []
    body = encode([b"a", b"b"], progress=lambda sent, total: told.append(sent))
    sent(body)
    sent(body)

    assert [1, 2, 1, 2] == told


def test_an_error_of_progress_is_the_callers() -> None:
    """It ends the body, and is kept as what the caller's own stream raises is."""

    def enough(sent: int, total: int | None) -> None:
        raise LookupError("enough")

    body = encode(b"x", progress=enough)
    with pytest.raises(LookupError, match="enough") as caught:
        sent(body)

    assert caught.value is body.failure


def test_progress_must_be_callable() -> None:
    """A number would be found out in the middle of the upload; it is refused before."""
    with pytest.raises(InvalidSetting, match="progress: must be a callable"):
        encode(b"x", progress=5)  # type: ignore[arg-type]  # the test


# --- What is refused ------------------------------------------------------------------------------


async def asynchronous() -> Any:
    yield b"a"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("with body=", {"files": {}, "body": b""}, "not with body= or json="),
    ("with json=", {"files": {}, "json": 0}, "not with body= or json="),
    ("text as files", {"files": "a"}, "files= takes a mapping or pairs .* not str"),
    ("bytes as files", {"files": b"a"}, "files= takes a mapping or pairs .* not bytes"),
    ("a number as files", {"files": 5}, "files= takes a mapping or pairs .* not int"),
    ("no pairs", {"files": [b"abc"]}, "files= takes pairs"),
    ("no iterables", {"files": [1]}, "files= takes pairs"),
    ("a name that is no text", {"files": {1: b"a"}}, "a name in files= must be str, not int"),
    ("a name with a lone surrogate", {"files": {"\ud800": b"a"}}, "name of files.*lone surrogate"),
    ("text alone", {"files": {"f": "a.txt"}}, r"files\['f'\] is a str: give"),
    ("None", {"files": {"f": None}}, r"files\['f'\] takes .* not NoneType"),
    ("a number", {"files": {"f": 5}}, r"files\['f'\] takes .* not int"),
    ("a mapping", {"files": {"f": {}}}, r"files\['f'\] takes .* not dict"),
    ("an asynchronous iterator", {"files": {"f": asynchronous()}}, r"not as files\['f'\] here"),
    ("an empty tuple", {"files": {"f": ()}}, r"files\['f'\] is a tuple, but not"),
    ("five elements", {"files": {"f": ("a", b"", "a/b", {}, 1)}}, r"files\['f'\] is a tuple, but not"),
    ("a type twice", {"files": {"f": ("a", b"", "a/b", {"Content-Type": "a/b"})}}, "not among its headers"),
    ("another name", {"files": {"f": ("a", b"", None, {"content-disposition": "x"})}}, "not among its headers"),
    ("a type without end", {"files": {"f": ("a", b"", "/" * 100_000 + "\n")}}, "must be like text/plain"),
    ("a filename that is no text", {"files": {"f": (b"a", b"")}}, "the filename of .* must be str, not bytes"),
    ("a filename with a lone surrogate", {"files": {"f": ("\udce9", b"")}}, "the filename of .*surrogate"),
    ("text with a lone surrogate", {"files": {"f": ("a", "\ud800")}}, r"files\['f'\] holds a lone surrogate"),
    ("a text file", {"files": {"f": io.StringIO("a")}}, r"files\['f'\] is a text file"),
    ("text blocks", {"files": {"f": ("a", ["x"])}}, "not bytes"),
    ("a missing file", {"files": {"f": Path("/no/such/file")}}, r"files\['f'\] cannot be read: .*No such file"),
    ("a path that is none", {"files": {"f": Path("a\0b")}}, r"files\['f'\] cannot be read"),
    ("a directory", {"files": {"f": Path(__file__).parent}}, r"files\['f'\] cannot be read"),
    ("a type of bytes", {"files": {"f": ("a", b"", b"a/b")}}, r"content type of files\['f'\]"),
    ("an empty type", {"files": {"f": ("a", b"", "")}}, r"content type of files\['f'\]"),
    ("half a type", {"files": {"f": ("a", b"", "text")}}, r"content type of files\['f'\]"),
    ("CRLF in a type", {"files": {"f": ("a", b"", "a/b\r\nX: 1")}}, r"content type of files\['f'\]"),
    ("LF at the end of a type", {"files": {"f": ("a", b"", "a/b\n")}}, r"content type of files\['f'\]"),
    ("more than ASCII in a type", {"files": {"f": ("a", b"", "a/b; c=é")}}, r"content type of files\['f'\]"),
    ("a form of text", {"files": {}, "form": "a=1"}, "form= takes"),
]


@pytest.mark.parametrize(("name", "given", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(name: str, given: dict[str, Any], message: str) -> None:
    """What cannot be sent is refused before anything is, and the message names the field."""
    with pytest.raises(InvalidBody, match=message) as caught:
        encode(**given)

    assert "no" == caught.value.request_sent


def test_values_of_fields_are_those_of_a_form() -> None:
    """What a form alone refuses is refused beside files, too; the message shows the key, and never the value."""
    with pytest.raises(InvalidRequest, match="parameter 'a' must be") as caught:
        encode(files={}, form={"a": object()})

    assert "object at" not in str(caught.value)


def test_a_closed_file() -> None:
    """A file that cannot be read is refused where it is given."""
    file = io.BytesIO(b"a")
    file.close()
    with pytest.raises(InvalidBody, match=r"files\['f'\] is a file that cannot be read"):
        encode(files={"f": file})


def test_a_content_type_of_the_callers_own() -> None:
    """It cannot name the boundary, so it is refused instead of sent with a body that nobody could read."""
    with pytest.raises(InvalidHeader, match="boundary"):
        with_content_type(Headers({"content-type": "multipart/form-data"}), encode(files={}))
