"""A coverage-guided fuzz target for the parser of the socket client.

It is not a test: it needs `atheris` (Linux, CPython 3.11 to 3.13), which nothing else here does. From the root of the
repository, with the source on the path, for ten minutes, with a corpus that is kept between runs:

    pip install atheris pytest
    PYTHONPATH=src:tests python tests/fuzz/fuzz_http11.py -max_total_time=600 -max_len=4096 CORPUS_DIRECTORY

Without `-max_total_time` or `-runs` it stops after 100,000 inputs. The first byte of an input chooses the method and
how the rest, the response, is split. A crash is a file `crash-…` whose bytes become a row in `tests/test_http11.py`.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["unifetch.backends.socket"]):
    from unifetch.policies.limits import MAX_HEAD
    from unifetch.wire import http11
    from unifetch.wire.fast_paths import LastHead

from test_http11 import Parsed, verdict

METHODS = ("GET", "HEAD", "POST", "CONNECT")

# What a mutation of bytes alone would take long to find: whole responses, and words to put into them.
SEEDS = (
    b"\0HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"\1HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nConnection: close\r\n\r\n",
    b"\0HTTP/1.0 404 Not Found\r\nA: b\r\n c\r\n\r\nto the end",
    b"\4HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n\r\nHTTP/1.1 204 \r\n\r\n",
    b"\0HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"2\r\nab\r\n" * 6
    + b"a;x=y\r\n0123456789\r\n0\r\nT: u\r\n\r\n",
)
WORDS = r"""
"HTTP/1.1 " "HTTP/1.0 " "100 \x0d\x0a\x0d\x0a" "\x0d\x0a" "\x0d\x0a\x0d\x0a" "\x0d\x0a " "\x0d" "\x0a"
"Content-Length: " "Transfer-Encoding: chunked\x0d\x0a" "Connection: close\x0d\x0a" "Set-Cookie: " "A: b\x0d\x0a"
"0\x0d\x0a" "1\x0d\x0ax\x0d\x0a" ";x=" ", "
"""


def check(data: bytes) -> None:
    """A response or one of our errors; the same one if the bytes come in two pieces, one by one, or once more."""
    choice, wire = (data[0], data[1:]) if data else (0, b"")
    method, cut = METHODS[choice & 3], (choice >> 2) * len(wire) // 64
    http11.known_field.__self__.clear()  # type: ignore[attr-defined]  # the remembered lines: begin without them
    last = LastHead(http11.parse_head, MAX_HEAD)
    expected = verdict([wire], method, last)

    assert isinstance(expected, Parsed) or expected[1] in ("yes", "maybe")
    assert verdict([wire], method, last) == expected
    assert verdict([piece for piece in (wire[:cut], wire[cut:]) if piece], method) == expected
    assert verdict([wire[at : at + 1] for at in range(len(wire))], method) == expected


if __name__ == "__main__":
    options = [] if any(word.startswith(("-runs=", "-max_total_time=")) for word in sys.argv) else ["-runs=100000"]
    with tempfile.TemporaryDirectory() as directory:
        seeds, words = Path(directory, "seeds"), Path(directory, "words")
        seeds.mkdir()
        for number, seed in enumerate(SEEDS):
            (seeds / str(number)).write_bytes(seed)
        words.write_text("\n".join(re.findall('".*?"', WORDS)))
        atheris.Setup([*sys.argv, *options, f"-dict={words}", str(seeds)], check)
        atheris.Fuzz()
