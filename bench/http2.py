"""HTTP/2, client beside client: processor time and throughput of small GETs over TLS, and 1 GiB both ways.

    python bench/http2.py                       # small GETs by 1 and by 64 tasks, 7 rounds; needs nginx and trustme
    python bench/http2.py --bulk                # 1 GiB down and up, with the memory that it takes
    python bench/http2.py --requests 200 --rounds 1

The clients take turns within one process; what counts is its processor time, user and system, for each request. nginx
is a process of its own. What is not installed is left out. HTTP/1.1 by unifetch stands beside for comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import resource
import shutil
import socket
import ssl
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from unifetch import AsyncClient, Client

CONFIGURATION = """
daemon off; master_process off; pid {root}/pid; error_log {root}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi; keepalive_requests 1000000; client_max_body_size 0;
  ssl_certificate {root}/certificate.pem; ssl_certificate_key {root}/certificate.pem;
  server {{
    listen 127.0.0.1:{port} ssl http2;
    location = /small {{ default_type text/plain; return 200 "hello, world!"; }}
    location = /large {{ default_type application/octet-stream; alias {root}/large; }}
    location /put/ {{ dav_methods PUT; alias {root}/put/; }}
  }}
}}
"""
GIB = 1 << 30
Run = Callable[[str, Path, int, int], Awaitable[None]]


@contextlib.contextmanager
def nginx() -> Iterator[tuple[str, Path]]:
    """Runs nginx; gives its URL, and the file with what to trust."""
    import trustme

    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise SystemExit("nginx is not installed")
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "put").mkdir()
        with (root / "large").open("wb") as file:
            file.truncate(GIB)
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(root / "certificate.pem")
        authority.cert_pem.write_to_path(root / "ca.pem")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        (root / "nginx.conf").write_text(CONFIGURATION.format(root=root, port=port))
        with subprocess.Popen([program, "-p", directory, "-c", str(root / "nginx.conf")]) as process:
            while not (root / "pid").exists():
                time.sleep(0.01)
            try:
                yield f"https://127.0.0.1:{port}", root / "ca.pem"
            finally:
                process.terminate()


# --- Small GETs -------------------------------------------------------------------------------------


async def tasks(count: int, requests: int, get: Callable[[], Awaitable[bytes]]) -> None:
    """So many requests by so many tasks."""

    async def some() -> None:
        for _ in range(requests // count):
            if await get() != b"hello, world!":
                raise ValueError("another body")

    await asyncio.gather(*(some() for _ in range(count)))


async def unifetch(url: str, ca: Path, count: int, requests: int, http2: bool = True) -> None:
    """Our own, by its public call."""
    async with AsyncClient("socket", http2=http2, tls={"ca_file": ca}) as client:

        async def get() -> bytes:
            return (await client.get(f"{url}/small")).body

        await measured(count, requests, get)


async def unifetch_http11(url: str, ca: Path, count: int, requests: int) -> None:
    """The same without HTTP/2."""
    await unifetch(url, ca, count, requests, http2=False)


def httpx_like(name: str) -> Run:
    """httpx or httpx2 with HTTP/2."""

    async def run(url: str, ca: Path, count: int, requests: int) -> None:
        library = importlib.import_module(name)
        async with library.AsyncClient(http2=True, verify=ssl.create_default_context(cafile=str(ca))) as client:

            async def get() -> bytes:
                response = await client.get(f"{url}/small")
                return bytes(response.content)

            await measured(count, requests, get)

    return run


async def pycurl(url: str, ca: Path, count: int, requests: int) -> None:
    """libcurl's multi interface, driven by its own select()."""
    import io

    import pycurl

    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_PIPELINING, 2)
    multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
    handles = []
    for _ in range(count):
        handle = pycurl.Curl()
        handle.setopt(pycurl.URL, f"{url}/small")
        handle.setopt(pycurl.CAINFO, str(ca))
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        handle.setopt(pycurl.PIPEWAIT, 1)
        handles.append(handle)
    buffers: dict[Any, io.BytesIO] = {}

    def start(handle: Any) -> None:
        buffers[handle] = io.BytesIO()
        handle.setopt(pycurl.WRITEDATA, buffers[handle])
        multi.add_handle(handle)

    def work(total: int) -> None:
        left, running = total, 0
        for handle in handles[:total]:
            start(handle)
            left -= 1
            running += 1
        while running:
            multi.perform()
            _, done, failed = multi.info_read()
            if failed:
                raise ValueError(failed)
            for handle in done:
                if buffers[handle].getvalue() != b"hello, world!":
                    raise ValueError("another body")
                multi.remove_handle(handle)
                running -= 1
                if left:
                    left -= 1
                    running += 1
                    start(handle)
            if not done and running:
                multi.select(1.0)

    work(count)
    before, began = time.process_time(), time.perf_counter()
    work(requests)
    note(before, began, requests)


FIGURES: list[tuple[float, float]] = []


def note(before: float, began: float, requests: int) -> None:
    """Keep what a turn took: microseconds of processor time a request, and requests a second."""
    FIGURES.append(
        ((time.process_time() - before) / requests * 1e6, requests / (time.perf_counter() - began)),
    )


async def measured(count: int, requests: int, get: Callable[[], Awaitable[bytes]]) -> None:
    """A turn, after the connections are open."""
    await tasks(count, count * 2, get)
    before, began = time.process_time(), time.perf_counter()
    await tasks(count, requests, get)
    note(before, began, requests // count * count)


CLIENTS: dict[str, tuple[str, Run]] = {
    "unifetch": ("unifetch", unifetch),
    "unifetch, HTTP/1.1": ("unifetch", unifetch_http11),
    "httpx": ("httpx", httpx_like("httpx")),
    "httpx2": ("httpx2", httpx_like("httpx2")),
    "pycurl": ("pycurl", pycurl),
}


def small(requests: int, rounds: int) -> None:
    """The table of small GETs."""
    clients = {name: run for name, (module, run) in CLIENTS.items() if importlib.util.find_spec(module)}
    with nginx() as (url, ca):
        for count in (1, 64):
            figures: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
            for _ in range(rounds):
                for name, run in clients.items():
                    FIGURES.clear()
                    asyncio.run(run(url, ca, count, requests))
                    figures[name].append(FIGURES[-1])
            print(f"{count} task{'s' * (count > 1)}: µs of CPU a request, requests a second (medians of {rounds})")
            for name, turns in figures.items():
                cpu, rate = (statistics.median(values) for values in zip(*turns, strict=True))
                print(f"  {name:20} {cpu:7.0f} {rate:8.0f}")


# --- 1 GiB ------------------------------------------------------------------------------------------


def bulk() -> None:
    """Down and up, in pieces, blocking and awaited, and the memory that this adds."""
    with nginx() as (url, ca):
        settings: dict[str, Any] = {"http2": True, "tls": {"ca_file": ca}, "timeout": None}

        def blocks() -> Iterator[bytes]:
            block = bytes(65536)
            for _ in range(GIB // len(block)):
                yield block

        async def awaited_blocks() -> Any:
            for block in blocks():
                yield block

        def down() -> None:
            with Client("socket", **settings) as client, client.stream("GET", f"{url}/large") as response:
                assert GIB == sum(map(len, response.body))
                assert response.http_version == "HTTP/2"

        def up() -> None:
            with Client("socket", **settings) as client:
                assert 201 == client.put(f"{url}/put/up", body=blocks()).status

        async def down_awaited() -> None:
            async with AsyncClient("socket", **settings) as client:
                async with client.stream("GET", f"{url}/large") as response:
                    assert GIB == sum([len(piece) async for piece in response.body])

        async def up_awaited() -> None:
            async with AsyncClient("socket", **settings) as client:
                assert 201 == (await client.put(f"{url}/put/up-awaited", body=awaited_blocks())).status

        for name, run in (
            ("down", down),
            ("up", up),
            ("down, awaited", lambda: asyncio.run(down_awaited())),
            ("up, awaited", lambda: asyncio.run(up_awaited())),
        ):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            before, began = time.process_time(), time.perf_counter()
            run()
            more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
            seconds, cpu = time.perf_counter() - began, time.process_time() - before
            print(
                f"  {name:14} {seconds:6.1f} s, {cpu * 1000 / 1024:5.2f} ms of CPU a MiB, {more / 1024:5.1f} MiB more"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1920)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bulk", action="store_true")
    given = parser.parse_args()
    bulk() if given.bulk else small(given.requests, given.rounds)
