"""The course: each chapter runs by itself and prints what its transcript says, and its blocks can be pasted."""

from __future__ import annotations

import importlib.util
import re
import ssl
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from unifetch.testing import Close, Server, reply

COURSE = Path(__file__).parent.parent / "docs" / "course"
CHAPTERS = sorted(path.stem for path in COURSE.glob("[0-9]*_*.py"))
NEEDS = re.compile(r"^import (aiohttp|hpack|httpx|requests|urllib3)$", re.MULTILINE)

# What differs from machine to machine, and what stands for it.
MASKS = (
    (r"(127\.0\.0\.1(?::|', | port ))\d+", r"\1PORT"),
    (r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", "DATE"),
    (r"(Python|SimpleHTTP|Python-urllib|python-\w+|aiohttp|unifetch)/[\w.+]+", r"\1/VERSION"),
    (r"gzip, deflate(, \w+)*", "gzip, deflate, …"),  # who has brotli or zstd says so
)

# What each block of a page would do when it is typed, without the prompts.
PASTE = """
import code, re, sys
console = code.InteractiveConsole()
for block in re.findall(r"^```python\\n(.*?)^```$", open(sys.argv[1], encoding="utf-8").read(), re.M | re.S):
    for line in [*block.splitlines(), ""]:
        more = console.push(line)
    assert not more, "an empty line does not end this block: " + block
"""


def masked(text: str) -> str:
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return text


def run(chapter: str, *command: str) -> str:
    """What a Python prints in the folder of the course."""
    for library in NEEDS.findall((COURSE / f"{chapter}.py").read_text("utf-8")):
        pytest.importorskip(library, reason=f"the chapter needs {library}")
    if chapter == "8_unifetch":
        for library in ("requests", "httpx", "urllib3", "aiohttp"):
            pytest.importorskip(library, reason=f"the chapter swaps to {library}")
    done = subprocess.run(
        [sys.executable, "-X", "utf8", *command], cwd=COURSE, capture_output=True, text=True, timeout=60, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)
    return masked(done.stdout)


def transcript(chapter: str) -> str:
    return (COURSE / "transcripts" / f"{chapter}.txt").read_text("utf-8")


def test_there_are_ten_chapters() -> None:
    """Each has its page, its file and its transcript."""
    assert 10 == len(CHAPTERS)
    assert CHAPTERS == sorted(path.stem for path in COURSE.glob("[0-9]*_*.md"))
    assert CHAPTERS == sorted(path.stem for path in (COURSE / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9"], ids=["plain", "behind a proxy"])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_file_prints_its_transcript(chapter: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts what it needs, ends by itself, and prints what it printed when the transcript was taken.

    So it does where the reader's network has a proxy, which none of it may go through.
    """
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY") if proxy else ():
        monkeypatch.setenv(name, proxy)

    assert transcript(chapter) == run(chapter, f"{chapter}.py")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_blocks_can_be_pasted(chapter: str) -> None:
    """One block after another, in an interpreter: it prints the same."""
    assert transcript(chapter) == run(chapter, "-c", PASTE, f"{chapter}.md")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_page_shows_what_runs(chapter: str) -> None:
    """Its code is the file's, its output the transcript's; at each step the reader predicts before he looks."""
    page = (COURSE / f"{chapter}.md").read_text("utf-8")
    file = (COURSE / f"{chapter}.py").read_text("utf-8")
    blocks = dict.fromkeys(("python", "text"), "")
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        source = {"python": file, "text": transcript(chapter)}.get(language)
        assert source is None or block in source
        blocks[language] = blocks.get(language, "") + block

    assert transcript(chapter) == blocks["text"]
    assert 3 <= page.count("<details>") == page.count("</details>")


@pytest.mark.parametrize(
    ("file", "longest"),
    [*((f"{chapter}.py", 60) for chapter in (*CHAPTERS, "practice_server")), ("teaching_client.py", 130)],
)
def test_a_file_is_short(file: str, longest: int) -> None:
    """A beginner reads it in one go."""
    assert len((COURSE / file).read_text("utf-8").splitlines()) <= longest


# --- The teaching client --------------------------------------------------------------------------


@pytest.fixture
def client() -> ModuleType:
    """`teaching_client.py`, under a name of its own."""
    spec = importlib.util.spec_from_file_location("course_teaching_client", COURSE / "teaching_client.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHUNKED = reply(200, [b"one, ", b"two, ", b"three"], {"X-A": "1"})


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (reply(200, b"hello"), 200, b"hello"),
        (reply(404, b""), 404, b""),
        (reply(204), 204, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + reply(200, b"then"), 200, b"then"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (CHUNKED, 200, b"one, two, three"),
        (
            CHUNKED.replace(b"0\r\n\r\n", b"0\r\nX-Trailer: t\r\n\r\n").replace(b"5\r\none", b"5;a=b\r\none"),
            200,
            b"one, two, three",
        ),
    ],
)
def test_an_answer(answer: bytes, status: int, body: bytes, client: ModuleType) -> None:
    """Each way in which a body can be framed."""
    with Server([answer, Close()]) as server:
        response = client.get(server.url)

    assert (status, body) == (response.status, response.body)


class Pieces:
    """A connection whose answer arrives in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)

    def recv(self, size: int) -> bytes:
        return next(self._pieces, b"")


@pytest.mark.parametrize("answer", [CHUNKED, reply(200, b"one, two, three", {"X-A": "1"})])
def test_split_at_every_byte(answer: bytes, client: ModuleType) -> None:
    """Wherever the network cuts an answer in two, and cut into single bytes, it is the same."""
    cuts = [Pieces(answer[:cut], answer[cut:]) for cut in range(1, len(answer))]
    for connection in (*cuts, Pieces(*(bytes([byte]) for byte in answer))):
        response = client.receive(client.Reader(connection))

        assert (200, "1", b"one, two, three") == (response.status, response.headers["x-a"], response.body)


@pytest.mark.parametrize(
    "answer",
    [
        b"this is not HTTP\r\n\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_what_is_not_http(answer: bytes, client: ModuleType) -> None:
    """It says what is wrong, and gives back nothing that is half right."""
    with pytest.raises(ValueError, match=r"line|header|length|coding|announced"):
        client.receive(client.Reader(Pieces(answer)))


def test_what_it_sends(client: ModuleType) -> None:
    """The target with its query, Host with its port, and the caller's headers; none that would begin another."""
    with Server(reply()) as server:
        client.get(server.url + "/a?b=c", {"X-Who": "me"})
        sent = server.received()
        with pytest.raises(ValueError, match="line break"):
            client.get(server.url, {"X-Who": "me\r\nX-More: b"})

    expected = f"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\nX-Who: me\r\n\r\n"
    assert expected.encode() == sent


def test_tls(client: ModuleType) -> None:
    """It speaks TLS, and refuses a certificate that nobody vouches for."""
    from servers import certificate_authority

    authority = certificate_authority()
    with Server(reply(200, b"secret"), tls=authority.server_context()) as server:
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        response = client.get(server.url, context=context)

        assert (200, b"secret") == (response.status, response.body)
    with Server(reply(200), tls=authority.server_context()) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            client.get(server.url)
