"""The demonstration: the same requests through every installed backend, blocking and awaited, to a real server.

The server is the standard library's, in this process and on the loopback interface; nothing leaves the machine.
The times are for information: each is that of a single request, so they rank nothing.
"""

from __future__ import annotations

import asyncio
import gzip
import socketserver
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ..backends import BACKENDS, available_backends, how_to_install
from ..client.async_client import AsyncClient
from ..client.sync_client import Client
from .parser import command_parser
from .terminal import Style, columns, printable, wrapped

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from ..model.messages import Response

    Answer = Response[bytes] | Exception

TEXT = "One client, whichever library carries the request. Grüße!\n".encode()
JSON = '{"greeting": "grüß dich", "numbers": [1, 2.5, null]}\n'.encode()
LINES = b"the same line again and again\n" * 100

# path: status, body, fields
PAGES: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "/text": (200, TEXT, {"Content-Type": "text/plain"}),
    "/json": (200, JSON, {"Content-Type": "application/json"}),
    "/redirect": (302, b"", {"Location": "/text"}),
    "/gzip": (200, gzip.compress(LINES), {"Content-Type": "text/plain", "Content-Encoding": "gzip"}),
    "/missing": (404, b"There is nothing here.\n", {"Content-Type": "text/plain"}),
}

# What has to be the same; the server's clock may tick between two requests.
COMPARED: dict[str, Callable[[Response[bytes]], Any]] = {
    "status": lambda response: response.status,
    "headers": lambda response: response.headers.without("date"),
    "body": lambda response: response.body,
    "URL": lambda response: response.url,
    "history": lambda response: [
        (earlier.status, earlier.url, earlier.headers.without("date")) for earlier in response.history
    ],
}

ROW = "{0:9}  {1:8}  {2:8}  {3:16}  {4:8}  {5:>5}  {6:>9}"
NARROW = "{0:9}  {1:8}  {2:8}  {5:>5}"  # where the terminal has no room for it


def run(word: str, arguments: Sequence[str]) -> int:
    """Print the table, what is missing in it, and what it shows.

    Returns:
        The exit code: 0 if all backends gave the same answers, 1 if not.
    """
    command_parser(word, "They go to a server on this machine.").parse_args(arguments)
    style = Style(sys.stdout)
    names = available_backends()
    with _server() as origin:
        answers = {name: _ask(name, origin) for name in names}
        awaited = {name: asyncio.run(_ask_awaited(name, origin)) for name in names}
    print(wrapped(f"Python's http.server on {origin}, asked through every backend:") + "\n")
    print(style.bold(_line("request", "backend", "status", "content-type", "encoding", "bytes", "time")))
    differing = []
    for path in PAGES:
        for name in names:
            row = _row(path if name == names[0] else "", name, answers[name][path])
            difference = _difference(answers[names[0]][path], answers[name][path])
            if difference:
                differing.append(f"{path} by {name} ({difference})")
            print(style.red(row) if difference else row)
            if not difference and (difference := _difference(answers[name][path], awaited[name][path])):
                differing.append(f"{path} by {name}, awaited ({difference})")
                print(style.red(_row("  awaited", name, awaited[name][path])))
    print()
    if missing := [name for name in BACKENDS if name not in names]:
        print("".join(style.dim(f"{name:8}  not installed: {how_to_install(name)}\n") for name in missing))
    if differing:
        print(style.red(wrapped(f"Not the same answers: {'; '.join(differing)}")))
        return 1
    if len(names) == 1:
        print(wrapped(f"Only {names[0]} is installed: there is nothing to compare it with."))
    else:
        print(
            style.green(wrapped(f"All {len(names)} backends gave the same answers, to a Client and to an AsyncClient."))
        )
    return 0


# --- The server -----------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together

    def do_GET(self) -> None:
        status, body, fields = PAGES[self.path]
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def server_bind(self) -> None:
        # HTTPServer would look up a name for the address, which takes long where there is no name server.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # what goes wrong shows in the client's row


@contextmanager
def _server() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


# --- The backends ---------------------------------------------------------------------------------


def _ask(name: str, origin: str) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    with Client(name, timeout=10) as client:
        for path in PAGES:
            try:
                answers[path] = client.get(origin + path)
            except Exception as error:  # noqa: BLE001  # whatever a broken library raises is its answer
                answers[path] = error
    return answers


async def _ask_awaited(name: str, origin: str) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    async with AsyncClient(name, timeout=10) as client:
        for path in PAGES:
            try:
                answers[path] = await client.get(origin + path)
            except Exception as error:  # noqa: BLE001  # as above
                answers[path] = error
    return answers


def _difference(expected: Answer, answer: Answer) -> str:
    """What is not as expected, in words; a failure never is."""
    if isinstance(answer, Exception):
        return "failed"
    if isinstance(expected, Exception):
        return ""  # that row tells
    return ", ".join(what for what, of in COMPARED.items() if of(answer) != of(expected))


def _row(path: str, name: str, answer: Answer) -> str:
    if isinstance(answer, Exception):
        return printable(f"{path:9}  {name:8}  {type(answer).__name__}: {answer}")[: columns() - 1]
    status = ", ".join(str(each.status) for each in (*answer.history, answer))
    kind, coding = (answer.headers.get(field, "-") for field in ("content-type", "content-encoding"))
    time = f"{answer.elapsed * 1000:.1f} ms"
    return printable(_line(path, name, status, kind, coding, len(answer.body), time))


def _line(*cells: object) -> str:
    row = ROW.format(*cells)
    return (row if len(row) < columns() else NARROW.format(*cells))[: columns() - 1]
