"""Measures memory: how far the peak of a process rises while one body goes through each backend.

    python bench/memory.py                                     every case, every backend that is installed
    python bench/memory.py gzip zstd --backends socket,httpx
    python bench/memory.py --size 67108864                     64 MiB instead of 1 GiB: to see that it runs

Each figure comes from a process of its own. It first fetches a small body in the same way, so that what has to be
imported is; what counts is by how much its peak then exceeds what it had. It prints a table in Markdown, and
fails if a bomb or a flood took more than 16 MiB.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from importlib import import_module
from itertools import repeat
from pathlib import Path

import run

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

Blocks = Iterator[bytes]
Compressor = tuple[Callable[[bytes], bytes], Callable[[], bytes]]  # takes a block; ends

MIB = 1024**2
ZEROS = bytes(MIB)
SMALL = 1000  # bytes
ALLOWED = 16  # MiB, for a bomb that is streamed, and for a flood

CASES = {
    "down": "download, streamed",
    "up": "upload, from an iterator",
    "body": "body of 100 MiB, in memory",
    "gzip": "bomb: gzip",
    "deflate": "bomb: deflate",
    "br": "bomb: br",
    "zstd": "bomb: zstd",
    "gzip, gzip": "bomb: gzip in gzip",
    "line": "flood: one header line",
    "fields": "flood: header fields",
    "interim": "flood: 100 (Continue)",
    "size": "flood: zeros of a chunk size",
    "extension": "flood: a chunk extension",
    "trailers": "flood: trailer fields",
}
BOMBS = tuple(CASES)[3:8]

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
FLOODS = {  # what comes first, and what then comes without end
    "line": (HEAD + b"X: ", b"x"),
    "fields": (HEAD, b"X: x\r\n"),
    "interim": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "size": (CHUNKED, b"0"),
    "extension": (CHUNKED + b"1;", b"x"),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"X: x\r\n"),
}


def main() -> int:
    arguments = parse_arguments()
    if arguments.measure:
        return measure(*arguments.measure)
    from unifetch.testing import Flood, Server, reply

    print(f"{platform.system()} {platform.release()}; {platform.python_implementation()} {platform.python_version()}\n")
    over = False
    with ExitStack() as stack:
        plain = f"http://127.0.0.1:{run.Child(stack, dict(os.environ), 'server.py').hear()['http']}"
        print(f"| MiB over what the process had before; {arguments.size / MIB:.0f} MiB each | ", end="")
        print(" | ".join(arguments.backends), "|\n|---|", "---|" * len(arguments.backends), sep="")
        for case in arguments.cases:
            base, size = plain, arguments.size
            if case == "body":
                size = min(size, 100 * MIB)
            elif case in BOMBS:
                try:
                    small, bomb = answer(case, [bytes(SMALL)]), answer(case, repeat(ZEROS, size // MIB))
                except ImportError as error:
                    print(f"left out: {case}: {error}", file=sys.stderr)
                    continue
                base = stack.enter_context(Server({"/small": small, "/bomb": bomb}, lifetime=3600)).url
            elif case in FLOODS:
                start, block = FLOODS[case]
                scripts = {"/small": reply(200, bytes(SMALL)), "/flood": (start, Flood(block))}
                base = stack.enter_context(Server(scripts, lifetime=3600)).url
            figures = [grown(backend, case, base, size) for backend in arguments.backends]
            over |= base != plain and max(figures) > ALLOWED
            print("|", CASES[case], *(f"| {figure:.1f}" for figure in figures), "|", flush=True)
    if over:
        print(f"\na bomb or a flood took more than {ALLOWED} MiB")
    return int(over)


def parse_arguments() -> argparse.Namespace:
    from unifetch import available_backends

    parser = argparse.ArgumentParser(description="Measure the memory that one body takes.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"default all: {'; '.join(CASES)}")
    parser.add_argument("--backends", type=lambda text: text.split(","), default=list(available_backends()))
    parser.add_argument("--size", type=int, default=1024 * MIB, help="bytes of a body that is streamed, or of a bomb")
    parser.add_argument("--measure", nargs=4, metavar=("BACKEND", "CASE", "URL", "SIZE"), help="one figure, as JSON")
    arguments = parser.parse_args()
    arguments.cases = arguments.cases or list(CASES)
    if unknown := set(arguments.cases) - set(CASES):
        parser.error(f"unknown case {unknown.pop()!r}; known are {'; '.join(CASES)}")
    return arguments


def grown(backend: str, case: str, base: str, size: int) -> float:
    """MiB by which the peak of a new process rises."""
    command = [sys.executable, __file__, "--measure", backend, case, base, str(size)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    figure: float = json.loads(ran.stdout)["grown"] / MIB
    return figure


# --- The server's side ----------------------------------------------------------------------------


def answer(codings: str, blocks: Iterable[bytes]) -> bytes:
    """A response whose body is these blocks, compressed; an ImportError if nothing can do that."""
    from unifetch.testing import reply

    for coding in codings.split(", "):
        blocks = compressed(blocks, *CODINGS[coding]())
    return reply(200, b"".join(blocks), {"Content-Encoding": codings})


def compressed(blocks: Iterable[bytes], compress: Callable[[bytes], bytes], finish: Callable[[], bytes]) -> Blocks:
    yield from map(compress, blocks)
    yield finish()


def _zlib(wbits: int) -> Compressor:
    packer = zlib.compressobj(9, wbits=wbits)
    return packer.compress, packer.flush


def _brotli() -> Compressor:
    packer = import_module("brotli").Compressor(quality=5)
    return packer.process, packer.finish


def _zstandard() -> Compressor:
    packer = import_module("zstandard").ZstdCompressor().compressobj()
    return packer.compress, packer.flush


CODINGS = {
    "gzip": lambda: _zlib(31),
    "deflate": lambda: _zlib(15),
    "br": _brotli,
    "zstd": _zstandard,
}


# --- The client's side, in its own process --------------------------------------------------------


def measure(backend: str, case: str, base: str, size: str) -> int:
    """Print by how many bytes the peak of this process rises."""
    from unifetch import Client

    with Client(backend=backend) as client:
        perform(client, case, base, SMALL)
        gc.collect()
        before = resident()
        perform(client, case, base, int(size))
        print(json.dumps({"grown": max(0, peak() - before)}))
    return 0


def resident() -> int:
    """Bytes of memory that this process has now; the peak starts from here, where the system can forget it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # proc(5)
        return _status("VmRSS")
    return peak()


def peak() -> int:
    """The most bytes that it had."""
    with suppress(OSError):
        return _status("VmHWM")
    import resource  # there is none on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(field: str) -> int:
    # Rather than getrusage: the peak that it tells begins with that of the parent, and is never forgotten.
    return int(Path("/proc/self/status").read_text("ascii").partition(f"{field}:")[2].split()[0]) * 1024


def perform(client, case: str, base: str, size: int) -> None:
    """One body; an error if it is not all there. A flood has to end with one."""
    from unifetch import Timeout, UnifetchError

    if case == "up":
        blocks = repeat(bytes(min(size, 65536)), max(1, size // 65536))
        client.post(f"{base}/upload", body=blocks).raise_for_status()
        return
    if case == "body":
        came = len(client.get(f"{base}/stream?size={size}").body)
    else:
        hostile = "flood" if case in FLOODS else "bomb"
        target = f"stream?size={size}" if case == "down" else "small" if size == SMALL else hostile
        try:
            with client.stream("GET", f"{base}/{target}", timeout=Timeout(3 if target == "flood" else 600)) as response:
                came = sum(map(len, response.body))
        except UnifetchError:
            if target != "flood":
                raise
            return
    if came != size:
        raise ValueError(f"{came} bytes came, and not {size}")


if __name__ == "__main__":
    sys.exit(main())
