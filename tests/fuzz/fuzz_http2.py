"""A coverage-guided fuzz target for HTTP/2: whatever frames a server sends, a session does not break.

As `fuzz_http11.py`, which says how it is run. An input is what comes on a connection with two open requests; a crash
becomes a row in `tests/test_http2_session.py`, whose `verdict` it shares.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["unifetch.wire", "h2", "hpack", "hyperframe"]):
    from unifetch.wire import http2  # noqa: F401  # instrumented

from test_http2_session import SEEDS, verdict


def check(data: bytes) -> None:
    """The same comes of it in one piece, and byte by byte."""
    assert verdict([data]) == verdict([data[at : at + 1] for at in range(len(data))])


if __name__ == "__main__":
    options = [] if any(word.startswith(("-runs=", "-max_total_time=")) for word in sys.argv) else ["-runs=100000"]
    with tempfile.TemporaryDirectory() as directory:
        for number, seed in enumerate(SEEDS):
            Path(directory, str(number)).write_bytes(seed)
        atheris.Setup([*sys.argv, *options, directory], check)
        atheris.Fuzz()
