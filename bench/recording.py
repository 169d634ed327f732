"""What recording costs a stream: 100 MiB as a network of 1 Gbit/s brings them, and the first of some slow events.

    python bench/recording.py                          # every backend that is installed, 7 rounds
    python bench/recording.py --backends socket --rate 0   # as fast as loopback goes: then the disk is what one sees

The same call takes turns, bare and within a `Cassette`, in a process for each backend. The server is a process of its
own. It prints the time on the clock and the client's own processor time, with what the end of the block costs, where a
cassette is written: the least of all rounds, because other work of the machine only adds to them, and their ratios.
With `--secret` the cassette has a secret to look for; then a large body is searched, and copied, at the end.
"""

from __future__ import annotations

import argparse
import random
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

MIB = 1024**2
SIZE = 100 * MIB
BLOCK = random.Random(1).randbytes(128 * 1024)  # as a picture or an archive; no search is as quick as in zeros
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def serve(rate: int) -> None:
    """Answer `/bulk` at so many bytes a second (0: no bound), and anything else by three events, 50 ms apart."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            peer, _ = listener.accept()
            with peer, suppress(OSError):  # who asked may leave early
                request = peer.recv(65536)
                if not request.startswith(b"GET /bulk"):
                    for data in (EVENTS, b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"):
                        peer.sendall(data)
                        time.sleep(0.05 if data is not EVENTS else 0)
                    continue
                peer.sendall(HEAD % SIZE)
                began = time.perf_counter()
                for sent in range(0, SIZE, len(BLOCK)):
                    if rate:
                        time.sleep(max(0.0, began + sent / rate - time.perf_counter()))
                    peer.sendall(BLOCK)


def measure(backend: str, port: int, rounds: int, secrets: dict[str, str]) -> None:
    """One backend: bare and recorded, in turns."""
    turns: dict[str, list[tuple[float, float, float]]] = {"bare": [], "recorded": []}
    peaks = {"bare": 0, "recorded": 0}
    for number in range(rounds + 1):
        for kind in sorted(turns, reverse=bool(number % 2)):
            found, peak = turn(backend, port, secrets if kind == "recorded" else None)
            peaks[kind] = max(peaks[kind], peak)
            if number:  # the first warms up
                turns[kind].append(found)
    row = f"  {backend:<10}"
    for each in range(3):
        bare, recorded = (min(found[each] for found in turns[kind]) * 1000 for kind in turns)
        row += f"{bare:>10.1f}{recorded:>10.1f}{recorded / bare:>7.2f}"
    print(f"{row}{(peaks['recorded'] - peaks['bare']) / MIB:>10.1f}", flush=True)


def turn(backend: str, port: int, secrets: dict[str, str] | None) -> tuple[tuple[float, float, float], int]:
    """Seconds on the clock, of the processor and to the first event; and the peak of memory. Bare without secrets."""
    from unifetch import Client
    from unifetch.testing import Cassette

    with (
        tempfile.TemporaryDirectory() as directory,
        Client(backend=backend, timeout=None) as client,
        ExitStack() as block,
    ):
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # forget the peak: proc(5)
        if secrets is not None:
            block.enter_context(Cassette(Path(directory, "stream.har"), mode="all", secrets=secrets))
        began = time.perf_counter()
        with client.stream("GET", f"http://127.0.0.1:{port}/events") as response:
            next(iter(response.body))
            first = time.perf_counter() - began
        began, cpu, size = time.perf_counter(), time.process_time(), 0
        with client.stream("GET", f"http://127.0.0.1:{port}/bulk") as response:
            for piece in response.body:
                size += len(piece)
        block.close()
        found = (time.perf_counter() - began, time.process_time() - cpu, first)
        if size != SIZE:
            raise SystemExit(f"{size} bytes came")
        return found, _peak()


def _peak() -> int:
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    """Start the server and a process for each backend."""
    parser = argparse.ArgumentParser(description="Measure what recording costs a stream.")
    parser.add_argument("--backends", help="names, with commas (default: all that are installed)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rate", type=int, default=125_000_000, help="bytes a second (default 1 Gbit/s; 0: unbound)")
    parser.add_argument("--secret", action="store_true", help="give the cassette a secret, which never comes")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.rate)
    elif arguments.port:
        secrets = {"token": "tok-1f0e9d8c7b6a5948"} if arguments.secret else {}
        measure(arguments.backends, arguments.port, arguments.rounds, secrets)
    else:
        from unifetch import available_backends

        names = arguments.backends.split(",") if arguments.backends else available_backends()
        command = [sys.executable, __file__, "--rate", str(arguments.rate), "--rounds", str(arguments.rounds)]
        command += ["--secret"] * arguments.secret
        with subprocess.Popen([*command, "--serve"], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            print(f"{'':<12}{'ms on the clock':>27}{'ms of processor':>27}{'ms to 1st event':>27}{'MiB more':>10}")
            print(f"  {'backend':<10}" + f"{'bare':>10}{'recorded':>10}{'ratio':>7}" * 3)
            for name in names:
                subprocess.run([*command, "--port", port, "--backends", name], check=True)
            server.kill()


if __name__ == "__main__":
    main()
