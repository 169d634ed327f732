"""The clients that are measured, each by its library's ordinary call.

Ordinary means: what the library's own introduction shows, with a session or pool where it has one, and
no setting changed for speed. The three that are not libraries are the floors: `raw` does nothing but
the system calls, `http.client` is what urllib, urllib3 and requests stand on, `pycurl` is a client in C.

Every client has the same methods:

    get(url)           the body, in memory, from a session or a pool
    get_once(url)      the same by the library's function, without a session of the caller's
    post(url, value)   the body of the answer to some JSON
    stream(url)        how many bytes came, read in pieces
    upload(url, file)  sends a file of known size

Certificates are trusted as the environment says (`SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE`).
"""

from __future__ import annotations

import os
import threading
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any

BLOCK = 64 * 1024  # bytes of one read, where a client lets us say


def make(name: str) -> Any:
    """The client of this name; an ImportError or a UnifetchError if it cannot be had."""
    if name.startswith("unifetch:"):
        return Unifetch(name.removeprefix("unifetch:"))
    if name not in CLIENTS:
        raise ImportError(f"no client {name!r}; known are {', '.join(CLIENTS)} and unifetch:BACKEND")
    return CLIENTS[name]()


class Unifetch:
    """`unifetch.Client.get` and `unifetch.get`, by one of its backends."""

    def __init__(self, backend: str) -> None:
        import unifetch

        unifetch.configure(backend=backend)  # for get_once, which is then called as a user would
        self._unifetch = unifetch
        self._client = unifetch.Client(backend=backend)
        carrier = self._client.backend  # loads it: a library that is missing is reported now
        self.version = f"{unifetch.__version__}, {len(carrier.capabilities)} capabilities"

    def get(self, url: str) -> bytes:
        return self._client.get(url).body

    def get_once(self, url: str) -> bytes:
        return self._unifetch.get(url).body

    def post(self, url: str, value: object) -> bytes:
        return self._client.post(url, json=value).body

    def stream(self, url: str) -> int:
        with self._client.stream("GET", url) as response:
            return sum(map(len, response.body))

    def upload(self, url: str, file: IO[bytes]) -> bytes:
        return self._client.post(url, body=file).body


# --- The libraries --------------------------------------------------------------------------------


class Urllib:
    """`urllib.request.urlopen`: it has no session, and opens a connection for each request."""

    def __init__(self) -> None:
        from platform import python_version
        from urllib.request import Request, urlopen

        self._request, self._open = Request, urlopen
        self.version = python_version()

    def get(self, url: str) -> bytes:
        with self._open(url) as response:
            return response.read()

    get_once = get

    def post(self, url: str, value: object) -> bytes:
        from json import dumps

        headers = {"Content-Type": "application/json"}
        with self._open(self._request(url, dumps(value).encode(), headers)) as response:
            return response.read()

    def stream(self, url: str) -> int:
        with self._open(url) as response:
            return _drain(response.read)

    def upload(self, url: str, file: IO[bytes]) -> bytes:
        with self._open(self._request(url, file, {"Content-Length": str(_size(file))})) as response:
            return response.read()


class Urllib3:
    """`urllib3.PoolManager`, and `urllib3.request`, which has a pool of its own."""

    def __init__(self) -> None:
        import urllib3

        self._once = urllib3.request
        self._pool = urllib3.PoolManager(maxsize=8)  # one for each thread, or it throws connections away
        self.version = urllib3.__version__

    def get(self, url: str) -> bytes:
        return self._pool.request("GET", url).data

    def get_once(self, url: str) -> bytes:
        return self._once("GET", url).data

    def post(self, url: str, value: object) -> bytes:
        return self._pool.request("POST", url, json=value).data

    def stream(self, url: str) -> int:
        response = self._pool.request("GET", url, preload_content=False)
        size = sum(map(len, response.stream(BLOCK)))
        response.release_conn()
        return size

    def upload(self, url: str, file: IO[bytes]) -> bytes:
        # Without the length it sends chunks.
        return self._pool.request("POST", url, body=file, headers={"Content-Length": str(_size(file))}).data


class Requests:
    """`requests.Session`, and `requests.get`."""

    def __init__(self) -> None:
        import requests

        self._once = requests.get
        self._session = requests.Session()
        self.version = requests.__version__

    def get(self, url: str) -> bytes:
        return self._session.get(url).content

    def get_once(self, url: str) -> bytes:
        return self._once(url).content

    def post(self, url: str, value: object) -> bytes:
        return self._session.post(url, json=value).content

    def stream(self, url: str) -> int:
        with self._session.get(url, stream=True) as response:
            return sum(map(len, response.iter_content(BLOCK)))

    def upload(self, url: str, file: IO[bytes]) -> bytes:
        return self._session.post(url, data=file).content


class Httpx:
    """`httpx.Client`, and `httpx.get`; or the same of httpx2."""

    def __init__(self, library: str) -> None:
        httpx = import_module(library)
        self._once = httpx.get
        self._client = httpx.Client()
        self.version = httpx.__version__

    def get(self, url: str) -> bytes:
        return self._client.get(url).content

    def get_once(self, url: str) -> bytes:
        return self._once(url).content

    def post(self, url: str, value: object) -> bytes:
        return self._client.post(url, json=value).content

    def stream(self, url: str) -> int:
        with self._client.stream("GET", url) as response:
            return sum(map(len, response.iter_bytes()))

    def upload(self, url: str, file: IO[bytes]) -> bytes:
        return self._client.post(url, content=file, headers={"Content-Length": str(_size(file))}).content


class Httpx1(Httpx):
    def __init__(self) -> None:
        super().__init__("httpx")


class Httpx2(Httpx):
    def __init__(self) -> None:
        super().__init__("httpx2")


# --- The floors -----------------------------------------------------------------------------------


class Raw(threading.local):
    """A socket loop: sends bytes that are ready, and knows how long the answer will be, for it has asked before.

    One connection to each origin, for each thread. Nothing is checked. A body is returned as it came: with
    its chunks, or compressed.
    """

    def __init__(self) -> None:
        from platform import python_version

        self._sockets: dict[str, Any] = {}
        self._ready: dict[str, tuple[Any, bytes, int, int]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self.version = python_version()

    def get(self, url: str) -> bytes:
        sock, head, size, start = self._ready.get(url) or self._prepare(url)
        sock.sendall(head)
        data = sock.recv(BLOCK)
        if len(data) == size:
            return data[start:]
        whole = bytearray(size)
        whole[: len(data)] = data
        _fill(sock, memoryview(whole)[len(data) :])
        del whole[:start]
        return whole

    def get_once(self, url: str) -> bytes:
        _, head, size, start = self._ready.get(url) or self._prepare(url)
        with self._connect(url) as sock:
            sock.sendall(head)
            whole = bytearray(size)
            _fill(sock, memoryview(whole))
        return whole[start:]

    def post(self, url: str, value: object) -> bytes:
        from json import dumps

        body = dumps(value).encode()
        sock = self._socket(url)
        sock.sendall(self._head("POST", url, len(body)) + body)
        return self._received(sock)[1]

    def stream(self, url: str) -> int:
        sock = self._socket(url)
        sock.sendall(self._head("GET", url))
        head, body = self._received(sock, whole=False)
        buffer = memoryview(bytearray(BLOCK))
        if b"\r\nTransfer-Encoding: chunked" in head:
            # Not parsed: the server's last bytes are the end. What is counted includes the framing.
            size, tail = len(body), bytes(body[-5:])
            while tail != b"0\r\n\r\n":
                count = sock.recv_into(buffer)
                size += count
                tail = (tail + bytes(buffer[max(0, count - 5) : count]))[-5:]
            return size
        size = _length(head)
        left = size - len(body)
        while left:
            left -= sock.recv_into(buffer, min(left, BLOCK))
        return size

    def upload(self, url: str, file: IO[bytes]) -> bytes:
        sock = self._socket(url)
        sock.sendall(self._head("POST", url, _size(file)))
        buffer = memoryview(bytearray(BLOCK))
        while count := file.readinto(buffer):
            sock.sendall(buffer[:count])
        return self._received(sock)[1]

    def _prepare(self, url: str) -> tuple[Any, bytes, int, int]:
        sock, head = self._socket(url), self._head("GET", url)
        path = url.partition("?n=")[0]  # a new URL each time is a new number in the query; the answer is the same
        if path not in self._sizes:
            with self._connect(url) as learning:
                learning.sendall(head)
                answer, _ = self._received(learning, whole=False)
            self._sizes[path] = len(answer) + _length(answer), len(answer)
        ready = sock, head, *self._sizes[path]
        if path == url:
            self._ready[url] = ready
        return ready

    def _received(self, sock: Any, *, whole: bool = True) -> tuple[bytes, bytes]:
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += sock.recv(BLOCK)
        head, body = data[: end + 4], data[end + 4 :]
        if not whole:
            return head, body
        rest = bytearray(_length(head) - len(body))
        _fill(sock, memoryview(rest))
        return head, body + rest

    def _head(self, method: str, url: str, length: int | None = None) -> bytes:
        _, _, authority, path = url.split("/", 3)
        framing = "" if length is None else f"Content-Length: {length}\r\n"
        return f"{method} /{path} HTTP/1.1\r\nHost: {authority}\r\n{framing}\r\n".encode()

    def _socket(self, url: str) -> Any:
        origin = url[: url.index("/", 8)]
        sock = self._sockets.get(origin)
        if sock is None:
            sock = self._sockets[origin] = self._connect(url)
        return sock

    def _connect(self, url: str) -> Any:
        import socket

        scheme, _, authority, _ = url.split("/", 3)
        host, _, port = authority.partition(":")
        sock = socket.create_connection((host, int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if scheme == "http:" else _tls().wrap_socket(sock, server_hostname=host)


def _fill(sock: Any, left: memoryview) -> None:
    while left:
        left = left[sock.recv_into(left) :]


def _length(head: bytes) -> int:
    return int(head.partition(b"\r\nContent-Length: ")[2].partition(b"\r\n")[0])


class HttpClient(threading.local):
    """`http.client`: a connection to each origin, for each thread."""

    def __init__(self) -> None:
        import http.client
        from platform import python_version

        self._http = http.client
        self._connections: dict[str, Any] = {}
        self.version = python_version()

    def get(self, url: str) -> bytes:
        return self._response("GET", url).read()

    def get_once(self, url: str) -> bytes:
        connection = self._connect(url[: url.index("/", 8)])
        connection.request("GET", url[url.index("/", 8) :])
        body = connection.getresponse().read()
        connection.close()
        return body

    def post(self, url: str, value: object) -> bytes:
        from json import dumps

        return self._response("POST", url, dumps(value).encode(), {"Content-Type": "application/json"}).read()

    def stream(self, url: str) -> int:
        return _drain(self._response("GET", url).read)

    def upload(self, url: str, file: IO[bytes]) -> bytes:
        return self._response("POST", url, file, {"Content-Length": str(_size(file))}).read()

    def _response(self, method: str, url: str, *content: Any) -> Any:
        slash = url.index("/", 8)
        origin = url[:slash]
        connection = self._connections.get(origin)
        if connection is None:
            connection = self._connections[origin] = self._connect(origin)
        connection.request(method, url[slash:], *content)
        return connection.getresponse()

    def _connect(self, origin: str) -> Any:
        scheme, _, authority = origin.split("/")
        if scheme == "http:":
            return self._http.HTTPConnection(authority)
        return self._http.HTTPSConnection(authority, context=_tls())


class Pycurl(threading.local):
    """`pycurl`: a handle for each thread. It collects the lines of the head, and does not parse them."""

    def __init__(self) -> None:
        import pycurl

        self._curl = pycurl
        self._handle = pycurl.Curl()
        self.version = pycurl.version.split()[0]

    def get(self, url: str) -> bytes:
        return self._perform(self._handle, url)

    def get_once(self, url: str) -> bytes:
        handle = self._curl.Curl()
        body = self._perform(handle, url)
        handle.close()
        return body

    def post(self, url: str, value: object) -> bytes:
        from json import dumps

        handle = self._handle
        handle.setopt(handle.POSTFIELDS, dumps(value).encode())
        handle.setopt(handle.HTTPHEADER, ["Content-Type: application/json"])
        return self._perform(handle, url)

    def stream(self, url: str) -> int:
        size = 0

        def count(block: bytes) -> None:
            nonlocal size
            size += len(block)

        handle = self._handle
        handle.setopt(handle.URL, url)
        handle.setopt(handle.WRITEFUNCTION, count)
        handle.perform()
        handle.reset()
        return size

    def upload(self, url: str, file: IO[bytes]) -> bytes:
        handle = self._handle
        handle.setopt(handle.UPLOAD, 1)
        handle.setopt(handle.CUSTOMREQUEST, "POST")
        handle.setopt(handle.READDATA, file)
        handle.setopt(handle.INFILESIZE_LARGE, _size(file))
        handle.setopt(handle.HTTPHEADER, ["Expect:"])
        body = self._perform(handle, url)
        handle.reset()
        return body

    def _perform(self, handle: Any, url: str) -> bytes:
        lines: list[bytes] = []
        handle.setopt(handle.URL, url)
        handle.setopt(handle.HEADERFUNCTION, lines.append)
        handle.setopt(handle.ACCEPT_ENCODING, "gzip, deflate")
        if url.startswith("https:"):
            handle.setopt(handle.CAINFO, os.environ["SSL_CERT_FILE"])
        return handle.perform_rb()


CLIENTS: dict[str, Callable[[], Any]] = {
    "raw": Raw,
    "http.client": HttpClient,
    "pycurl": Pycurl,
    "urllib": Urllib,
    "urllib3": Urllib3,
    "requests": Requests,
    "httpx": Httpx1,
    "httpx2": Httpx2,
}


def _drain(read: Callable[[int], bytes]) -> int:
    size = 0
    while block := read(BLOCK):
        size += len(block)
    return size


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _tls() -> Any:
    # The floors build a context once: what they show is the cost of a connection, not of loading certificates.
    global _context
    if _context is None:
        import ssl

        _context = ssl.create_default_context()
    return _context


_context: Any = None
