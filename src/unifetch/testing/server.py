"""A scripted HTTP/1 server: it records what a client sends, byte for byte, and answers as its script says.

    with Server(reply(body=b"hello")) as server:
        assert get(server.url).body == b"hello"
        assert server.requests[0].header("host") == f"127.0.0.1:{server.port}"

A *script* is the answer to one request: bytes, which are sent as they are; a step (`Pause`, `Drip`, `Close`, …); a
function of the request; a mapping from targets, also with methods (`"POST /orders"`), to scripts; or an iterable of all
these. `Server(first, second)` answers the first request by `first` and the next, on whichever connection, by `second`;
the last script also answers the rest.

A script starts when its request is complete; `OnHead(…)` starts before the body is read, `OnConnect(…)` before anything
is. Then the connection stays open for another request, whatever a `Connection` field says: only a step closes it. Hence
`Server(b"")` never answers but notices when the client gives up, and `Server(Stall())` does not even read on.

It is no web server: it corrects no script, however wrong, and forgives no request that is malformed. Threads and plain
sockets, nothing else; everything is closed when the `with` block ends, or after `lifetime` seconds.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Self

from ..errors import evidence, shown
from .steps import OnConnect, OnHead, Over, RecordedRequest, Step, reply, route

if TYPE_CHECKING:
    import ssl

    from .steps import Script

# What one connection may send: a client that uploads without end must not fill the memory of its tests.
RECEIVED_AT_MOST = 1 << 28
# Seconds to wait for each thread at the end. They are daemons, so none can keep the process alive.
_JOIN = 5.0


class Server:
    """Listens while its `with` block runs.

    Args:
        scripts: one for each request, in the order in which heads arrive; the last repeats. None at all: an empty 200.
        tls: a server-side context, for https.
        host: the address to listen on, IPv4 or IPv6; the port is one that is free.
        unix_socket: a path to listen on instead.
        receive_buffer: SO_RCVBUF in bytes; a small one lets a client's writes block early.
        lifetime: seconds after which the server closes by itself, and says so in `errors`.

    Attributes:
        url: `"http://127.0.0.1:49152"`, without a slash at its end.
        port: the port; 0 on a unix socket.
        requests: those whose head has arrived, in that order.
        errors: what the network has not caused: an exception that a script raised, a malformed request. The connection
            was reset. What is left here when the block ends is raised, or noted on the exception that ends the block.
    """

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        unix_socket: str | os.PathLike[str] | None = None,
        receive_buffer: int | None = None,
        lifetime: float = 60.0,
    ) -> None:
        self.tls = tls
        self.url = ""
        self.port = 0
        self.requests: list[RecordedRequest] = []
        self.errors: list[BaseException] = []
        self.stopping = threading.Event()
        self.changed = threading.Condition()  # guards what the threads share; notified of everything that happens
        self._scripts = scripts or (reply(),)
        self._taken = 0
        self._host = host
        self._unix_socket = unix_socket
        self._receive_buffer = receive_buffer
        self._lifetime = lifetime
        self._connections: list[Connection] = []

    connection_type: type[Connection]  # the script of each accepted connection

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._listener = socket.socket(family if self._unix_socket is None else socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if self._receive_buffer is not None:
                # Accepted sockets inherit it; set on them, it would come after the window was announced.
                self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            self._listener.bind((self._host, 0) if self._unix_socket is None else os.fspath(self._unix_socket))
            self._listener.listen(1024)  # hundreds of tasks may connect at once, and a full queue resets them
        except BaseException:
            self._listener.close()
            raise
        authority = "localhost"
        if self._unix_socket is None:
            self.port = self._listener.getsockname()[1]
            authority = f"[{self._host}]:{self.port}" if ":" in self._host else f"{self._host}:{self.port}"
        self.url = f"{'http' if self.tls is None else 'https'}://{authority}"
        self._acceptor = threading.Thread(target=self._accept, name=f"accepting for {self.url}", daemon=True)
        self._acceptor.start()
        return self

    def _accept(self) -> None:
        ends = time.monotonic() + self._lifetime
        try:
            with self._listener:
                while True:
                    self._listener.settimeout(max(ends - time.monotonic(), 0.001))
                    accepted, _ = self._listener.accept()
                    with self.changed:
                        if self.stopping.is_set():
                            accepted.close()
                            return
                        connection = self.connection_type(self, accepted, len(self._connections) + 1)
                        self._connections.append(connection)
                        connection.start()
                        self.changed.notify_all()
        except TimeoutError:
            self.errors.append(TimeoutError(f"the server closed itself after its lifetime of {self._lifetime} s"))
        except OSError as error:
            self.errors.append(error)
        finally:
            self._interrupt()

    def take_script(self, request: RecordedRequest | None) -> Script:
        """The script of this request; with None that of a new connection, which is only an `OnConnect`."""
        with self.changed:
            script = self._scripts[min(self._taken, len(self._scripts) - 1)]
            if request is None and not isinstance(script, OnConnect):
                return None
            self._taken += 1
        return route(script, request) if request is not None and isinstance(script, Mapping) else script

    @property
    def connections(self) -> int:
        """How many connections were accepted."""
        return len(self._connections)

    def received(self, connection: int = 1) -> bytes:
        """Everything that came on this connection (1 for the first), decrypted, otherwise as it was on the wire."""
        with self.changed:
            return bytes(self._connections[connection - 1].received)

    def wait_for(self, condition: Callable[[], bool], what: str = "the condition", timeout: float = 5.0) -> None:
        """Wait until the condition, tried whenever something happens, is true.

        Raises:
            TimeoutError: if it is not within `timeout` seconds.
        """
        with self.changed:
            if not self.changed.wait_for(condition, timeout):
                raise TimeoutError(f"waited {timeout} s in vain for {what}; so far {self._seen()}")

    def _seen(self) -> str:
        return f"{self.connections} connections, {len(self.requests)} requests, errors {self.errors}"

    def wait_requests(self, count: int, timeout: float = 5.0) -> list[RecordedRequest]:
        """Wait for so many requests with their whole bodies, and give all; TimeoutError as in `wait_for`."""
        self.wait_for(lambda: sum(request.complete for request in self.requests) >= count, f"{count} requests", timeout)
        return self.requests

    def wait_closed(self, connection: int = 1, timeout: float = 5.0) -> None:
        """Wait until this connection (1 for the first) is over, whoever closed it; TimeoutError as in `wait_for`.

        That the client closed is noticed while the server reads or writes: not during `Stall`, `Wait` or `Pause`.
        """

        def closed() -> bool:
            return self.connections >= connection and self._connections[connection - 1].closed

        self.wait_for(closed, f"the end of connection {connection}", timeout)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._interrupt()
        # On every system, only a new connection makes accept() return.
        with contextlib.suppress(OSError), socket.socket(self._listener.family, socket.SOCK_STREAM) as knock:
            knock.settimeout(1.0)
            knock.connect(self._listener.getsockname())
        for thread in (self._acceptor, *self._connections):
            thread.join(_JOIN)
        if self._unix_socket is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._unix_socket)
        if error is not None:
            for failure in self.errors:
                error.add_note(f"in the scripted server: {failure!r}")
        elif self.errors:
            # A test that expects a broken connection would otherwise pass because its script is wrong.
            raise self.errors[0]

    def _interrupt(self) -> None:
        with self.changed:
            self.stopping.set()
            for connection in self._connections:
                connection.interrupt()


class Connection(threading.Thread):
    """One accepted connection and its thread; steps act through its methods and its `socket`."""

    def __init__(self, server: Server, accepted: socket.socket, number: int) -> None:
        super().__init__(name=f"connection {number} to {server.url}", daemon=True)
        self.server = server
        self.socket = accepted
        self.tls: ssl.SSLSocket | None = None
        self.received = bytearray()
        self.closed = False
        self.request = RecordedRequest(number)
        self._parsed = 0  # how much of `received` belongs to what was recorded
        # Taken here, in the acceptor's thread, so that connections get theirs in the order in which they come.
        self._on_connect = server.take_script(None)

    def run(self) -> None:
        """Answer requests until one side closes."""
        try:
            self.socket.settimeout(None)
            if self.server.port:
                with _peer_may_leave():
                    self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.server.tls is not None:
                self.start_tls(self.server.tls)
            self.serve()
        except Over:
            pass
        except BaseException as error:  # noqa: BLE001  # whatever a script raises (pytest.fail too) is kept for the test
            self.server.errors.append(error)
            self.reset_on_close()
        finally:
            with self.server.changed:
                self.socket.close()
                self.closed = True
                self.server.changed.notify_all()

    def serve(self) -> None:
        """Answer one request after the other, until `Over` ends it."""
        if self._on_connect is not None:
            self.play(self._on_connect)
            self._next_request()
        while True:
            self.receive_head()
            script = self.server.take_script(self.request)
            if not isinstance(script, OnHead):
                self.receive()
            self.play(script)
            self._next_request()

    def interrupt(self) -> None:
        """Wake the thread if it waits for the peer; for other threads, which hold the server's lock."""
        if not self.closed:
            self.shutdown(socket.SHUT_RDWR)

    # --- Receiving ---

    def receive(self) -> None:
        """Read what was not read yet of the current request: head and body, the body, or nothing."""
        self.receive_head()
        if not self.request.complete:
            self._receive_body()

    def receive_head(self) -> None:
        """Read and record the head of the current request, unless that is done."""
        request = self.request
        if request.head:
            return
        while (end := self.received.find(b"\r\n\r\n", self._parsed)) < 0:
            self._receive_more()
        head = self._take(end + 4 - self._parsed)
        line, *fields = head[:-4].decode("latin-1").split("\r\n")
        parts = line.split(" ")
        if len(parts) != 3:
            raise ValueError(f"malformed request line: {evidence(line)}")
        for text in fields:
            name, colon, value = text.partition(":")
            if not colon or not name or name != name.strip():
                raise ValueError(f"malformed header line: {evidence(text)}")
            request.headers.append((name, value.strip(" \t")))
        request.head = head
        request.method, request.target, request.version = parts
        with self.server.changed:
            self.server.requests.append(request)
            self.server.changed.notify_all()

    def _receive_body(self) -> None:
        request, start = self.request, self._parsed
        chunked, length = request.header("transfer-encoding"), request.header("content-length")
        chunks: list[bytes] = []
        complete = False
        try:
            if chunked is None:
                self._take(_number("Content-Length", length or "0", 10))
            else:
                self._receive_chunks(chunks)
            complete = True
        except Over:
            self._parsed = len(self.received)
            raise
        finally:
            with self.server.changed:
                request.raw_body = bytes(self.received[start : self._parsed])
                request.body = request.raw_body if chunked is None else b"".join(chunks)
                request.complete = complete
                self.server.changed.notify_all()

    def _receive_chunks(self, chunks: list[bytes]) -> None:
        while size := _number("chunk size", self._take_line().partition(";")[0], 16):
            chunks.append(self._take(size))
            if self._take(2) != b"\r\n":
                raise ValueError(f"no CRLF after a chunk of {size} bytes")
        while self._take_line():
            pass  # trailers

    def _take_line(self) -> str:
        while (end := self.received.find(b"\r\n", self._parsed)) < 0:
            self._receive_more()
        return self._take(end + 2 - self._parsed)[:-2].decode("latin-1")

    def _take(self, size: int) -> bytes:
        start, end = self._parsed, self._parsed + size
        while len(self.received) < end:
            self._receive_more()
        self._parsed = end
        return bytes(self.received[start:end])

    def _receive_more(self) -> None:
        with _peer_may_leave():
            data = self.socket.recv(65536)
        if not data:
            raise Over
        with self.server.changed:
            self.received += data
            self.server.changed.notify_all()
        if len(self.received) > RECEIVED_AT_MOST:
            raise BufferError(f"the client sent more than {RECEIVED_AT_MOST} bytes")

    def _next_request(self) -> None:
        self.receive()
        self.request = RecordedRequest(self.request.connection)

    # --- Answering ---

    def play(self, script: Script) -> None:
        """Carry out a script."""
        if isinstance(script, (bytes, bytearray)):
            self.send(script)
        elif isinstance(script, Step):
            script.run(self)
        elif isinstance(script, Mapping):
            self.play(route(script, self.request))
        elif callable(script):
            self.play(script(self.request))
        elif isinstance(script, Iterable) and not isinstance(script, str):
            for part in script:
                self.play(part)
        elif script is not None:
            raise TypeError(
                f"a script is bytes, a step, a function, a mapping or an iterable of them, not {shown(script)}"
            )

    def send(self, data: bytes) -> None:
        """Send these bytes. Over loopback they have arrived when this returns."""
        with _peer_may_leave():
            self.socket.sendall(data)

    def pause(self, seconds: float | None) -> None:
        """Neither read nor write for so many seconds; None means until the server stops."""
        if self.server.stopping.wait(seconds):
            raise Over

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Perform the server's side of a handshake."""
        # The new socket takes the old one's descriptor: nobody may interrupt() in between.
        with self.server.changed:
            try:
                self.socket.getpeername()  # wrap_socket() does not close a socket whose peer has gone
                self.tls = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            except OSError:
                raise Over from None
            self.socket = self.tls
        with _peer_may_leave():
            self.tls.do_handshake()

    def close_notify(self) -> None:
        """On TLS, announce the end of what we send (RFC 8446 §6.1), without waiting for the peer's."""
        if self.tls is not None:
            self.tls.settimeout(0)
            with contextlib.suppress(OSError, ValueError):
                self.tls.unwrap()
            self.tls.settimeout(None)

    def discard(self) -> None:
        """Read from TCP itself until the client closes, and end the connection."""
        with _peer_may_leave():
            while socket.socket.recv(self.socket, 65536):
                pass
        raise Over

    def shutdown(self, how: int) -> None:
        """Shut down TCP itself: the method of an SSLSocket would also drop the state of TLS."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.socket, how)

    def reset_on_close(self) -> None:
        """Let the close be a reset, by lingering for 0 seconds."""
        with contextlib.suppress(OSError):
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@contextlib.contextmanager
def _peer_may_leave() -> Iterator[None]:
    # A client may do that, and many tests are about it: the thread just ends.
    try:
        yield
    except OSError:
        raise Over from None


def _number(what: str, text: str, base: int) -> int:
    # int() alone would also accept a sign, white space, underscores, "0x" and other digits of Unicode.
    if not re.match(r"[0-9]+\Z" if base == 10 else r"[0-9A-Fa-f]+\Z", text):
        raise ValueError(f"malformed {what}: {evidence(text)}")
    return int(text, base)


Server.connection_type = Connection


@contextlib.contextmanager
def refused_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port that refuses connections while the `with` block runs: it is in use, and nobody listens."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind((host, 0))
        yield taken.getsockname()[1]
