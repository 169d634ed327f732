"""The clients that are awaited, each by its library's ordinary call; `clients.py`, for tasks instead of threads.

Ordinary means here too what the library's own introduction shows, with one session or client for all tasks.
Two settings are changed, and for all alike: as many connections as there are tasks, idle ones too, and time enough
to wait for a turn of the processor when a thousand tasks begin at once.

Every client is an asynchronous context manager, opened for each turn anew, and has one method:

    get(url)    the body, in memory
"""

from __future__ import annotations

from asyncio import BufferedProtocol, get_running_loop
from importlib import import_module
from importlib.util import find_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable
    from typing import Any, Self

CONNECTIONS = 1000
PATIENCE = 300  # seconds, as aiohttp's own timeout


def make(name: str) -> Any:
    """The client of this name; an ImportError or a UnifetchError if it cannot be had."""
    if name.startswith("unifetch:"):
        return Unifetch(name.removeprefix("unifetch:"))
    if name not in CLIENTS:
        raise ImportError(f"no async client {name!r}; known are {', '.join(CLIENTS)} and unifetch:BACKEND")
    return CLIENTS[name]()


class Unifetch:
    """`unifetch.AsyncClient.get`, by one of its backends."""

    def __init__(self, backend: str) -> None:
        import unifetch
        from unifetch.backends import load_async

        load_async(backend)  # a library that is missing is reported now
        self._unifetch, self._backend = unifetch, backend
        self.version = unifetch.__version__

    async def __aenter__(self) -> Self:
        limits = {"connections": CONNECTIONS, "connections_per_origin": CONNECTIONS}
        self._client = self._unifetch.AsyncClient(self._backend, limits=limits, timeout=PATIENCE)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def get(self, url: str) -> bytes:
        return (await self._client.get(url)).body


class Aiohttp:
    """`aiohttp.ClientSession`."""

    def __init__(self) -> None:
        import aiohttp

        self._aiohttp = aiohttp
        self.version = aiohttp.__version__

    async def __aenter__(self) -> Self:
        self._session = self._aiohttp.ClientSession(connector=self._aiohttp.TCPConnector(limit=CONNECTIONS))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, url: str) -> bytes:
        async with self._session.get(url) as response:
            return await response.read()


class Httpx:
    """`httpx.AsyncClient`; or the same of httpx2."""

    def __init__(self, library: str) -> None:
        self._httpx = import_module(library)
        # A look for the missing sniffio would be a fifth of each call (httpcore asks it which loop is running).
        self.version = self._httpx.__version__ + ("" if find_spec("sniffio") else ", without sniffio")

    async def __aenter__(self) -> Self:
        limits = self._httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self._client = self._httpx.AsyncClient(limits=limits, timeout=PATIENCE)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, url: str) -> bytes:
        return (await self._client.get(url)).content


class Httpx1(Httpx):
    def __init__(self) -> None:
        super().__init__("httpx")


class Httpx2(Httpx):
    def __init__(self) -> None:
        super().__init__("httpx2")


# --- The floor ------------------------------------------------------------------------------------


class Raw:
    """asyncio's transports, and a protocol that knows how long the answer will be. Nothing is checked."""

    def __init__(self) -> None:
        from platform import python_version

        self.version = python_version()

    async def __aenter__(self) -> Self:
        self._all: list[_Connection] = []
        self._idle: list[_Connection] = []
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._all:
            connection.transport.abort()

    async def get(self, url: str) -> bytes:
        connection = self._idle.pop() if self._idle else await self._connect(url)
        data = await connection.ask()
        self._idle.append(connection)
        return data[connection.start :]

    async def _connect(self, url: str) -> _Connection:
        _, _, authority, path = url.split("/", 3)
        host, _, port = authority.partition(":")
        connection = _Connection(f"GET /{path} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        await get_running_loop().create_connection(lambda: connection, host, int(port))
        self._all.append(connection)
        return connection


class _Connection(BufferedProtocol):
    transport: Any
    waiter: Future[None]
    size = start = 0  # of the answer, and where its body starts; both are learnt from the first

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._buffer = memoryview(bytearray(64 * 1024))
        self._count = 0

    async def ask(self) -> bytes:
        self._count = 0
        self.waiter = get_running_loop().create_future()
        self.transport.write(self._head)
        await self.waiter
        return bytes(self._buffer[: self._count])

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer[self._count :]

    def buffer_updated(self, nbytes: int) -> None:
        self._count += nbytes
        if not self.size:
            head, end, _ = bytes(self._buffer[: self._count]).partition(b"\r\n\r\n")
            if not end:
                return
            self.start = len(head) + 4
            self.size = self.start + int(head.partition(b"\r\nContent-Length: ")[2].partition(b"\r\n")[0])
        if self._count >= self.size:
            self.waiter.set_result(None)


CLIENTS: dict[str, Callable[[], Any]] = {"raw": Raw, "aiohttp": Aiohttp, "httpx": Httpx1, "httpx2": Httpx2}
