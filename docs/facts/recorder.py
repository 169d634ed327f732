"""A server that answers as it is told and writes down, with times, every byte in both directions.

It is smaller than `unifetch.testing.Server` on purpose: it is the measuring instrument, so it stands on nothing
that is measured, and it also runs in the environment of the oldest versions, where unifetch is not installed.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PATIENCE = 20.0  # seconds that a connection may stand still before its thread ends


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Close:
    """Close the connection; `politely=False` leaves out the close_notify of TLS."""

    politely: bool = True


@dataclass(frozen=True)
class Reset:
    """Close the connection by a TCP reset."""


Step = bytes | Pause | Close | Reset
Answer = Sequence[Step]
# For each path the answers to the first request, to the second, and so on; the last answers the rest.
Script = Mapping[str, Sequence[Answer]]


@dataclass
class Event:
    """Bytes that went one way: `sent` by the client, or `received` by it.

    Attributes:
        connection: 1 for the first.
        way: `"sent"` or `"received"`.
        at: seconds since `Recorder.began`.
        data: the bytes, decrypted.
    """

    connection: int
    way: str
    at: float
    data: bytes


class Recorder:
    """Listens on a free port of 127.0.0.1 until its `with` block ends.

    Args:
        script: what to answer.
        early: answer when the head of a request is there, and read no body.
        tls: the server's side of TLS.

    Attributes:
        began: from when the times count; whoever makes the call may set it.
        events: what went over the wire.
        requests: the heads of the requests that came.
        connections: how many were accepted.
    """

    def __init__(self, script: Script, *, early: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self.events: list[Event] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self._script = script
        self._early = early
        self._tls = tls
        self._asked: dict[str, int] = {}
        self._lock = threading.Lock()
        self.began = time.monotonic()

    def __enter__(self) -> Recorder:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self._listener.accept()
                with self._lock:
                    self.connections += 1
                    number = self.connections
                threading.Thread(target=self._serve, args=(accepted, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            try:
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                pending = bytearray()
                if isinstance(connection, ssl.SSLSocket) and connection.selected_alpn_protocol() == "h2":
                    self._frames(connection, number, pending)
                while self._exchange(connection, number, pending):
                    pass
            finally:
                connection.close()

    def _exchange(self, connection: socket.socket, number: int, pending: bytearray) -> bool:
        """One request and its answer; whether another may follow."""
        while b"\r\n\r\n" not in pending:
            if not self._receive(connection, number, pending):
                return False
        head = bytes(pending[: pending.index(b"\r\n\r\n") + 4])
        with self._lock:
            self.requests.append(head)
        if not self._early:
            if re.search(rb"(?im)^expect: *100-continue", head):
                self._send(connection, number, b"HTTP/1.1 100 Continue\r\n\r\n")
            while (end := _end(pending, head)) is None:
                if not self._receive(connection, number, pending):
                    return False
            del pending[:end]
        for step in self._answer(head):
            if isinstance(step, bytes):
                self._send(connection, number, step)
            elif isinstance(step, Pause):
                time.sleep(step.seconds)
            else:
                self._close(connection, step)
                return False
        if re.search(rb"(?im)^connection: *close", head):  # as a server does
            self._close(connection, Close())
            return False
        return True

    def _frames(self, connection: socket.socket, number: int, pending: bytearray) -> None:
        """HTTP/2, as far as a GET needs it: each request is answered with the body of the script's answer to /."""
        body = b"".join(step for step in self._script["/"][0] if isinstance(step, bytes)).partition(b"\r\n\r\n")[2]
        # Ours go out with the first answer, so that what a client says unasked stands together in the recording.
        settings = _frame(SETTINGS, 0, 0) + _frame(SETTINGS, ACK, 0)
        start = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        while True:
            while len(pending) < start + 9 or len(pending) < start + 9 + int.from_bytes(pending[start : start + 3]):
                if not self._receive(connection, number, pending):
                    raise OSError("the client has closed the connection")
            kind, stream = pending[start + 3], pending[start + 5 : start + 9]
            del pending[: start + 9 + int.from_bytes(pending[start : start + 3])]
            start = 0
            if kind == HEADERS:
                with self._lock:
                    self.requests.append(b"")
                identifier = int.from_bytes(stream)
                # HPACK without a table: ":status: 200" is entry 8, and the name "content-length" entry 28.
                length = str(len(body)).encode()
                fields = b"\x88\x0f\x0d" + bytes([len(length)]) + length
                answer = _frame(HEADERS, END_HEADERS, identifier, fields)
                self._send(connection, number, settings + answer + _frame(DATA, END_STREAM, identifier, body))
                settings = b""

    def _answer(self, head: bytes) -> Answer:
        target = head.split(b" ", 2)[1].decode("latin-1")
        path = re.sub(r"^https?://[^/]*", "", target).partition("?")[0]
        with self._lock:
            answers = self._script.get(path, self._script["/"])
            count = self._asked[path] = self._asked.get(path, 0) + 1
        return answers[min(count, len(answers)) - 1]

    def _receive(self, connection: socket.socket, number: int, pending: bytearray) -> bool:
        data = connection.recv(65536)
        if data:
            self._note(number, "sent", data)
            pending += data
        return bool(data)

    def _send(self, connection: socket.socket, number: int, data: bytes) -> None:
        data = data.replace(b"{port}", str(self.port).encode())
        self._note(number, "received", data)
        connection.sendall(data)

    def _note(self, number: int, way: str, data: bytes) -> None:
        with self._lock:
            self.events.append(Event(number, way, time.monotonic() - self.began, data))

    def _close(self, connection: socket.socket, step: Step) -> None:
        if isinstance(step, Reset):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if isinstance(connection, ssl.SSLSocket):
            if step == Close():
                connection.unwrap()
            return
        # What is unread when a socket is closed makes the system reset it, and the client would lose the answer.
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(1.0)
        while connection.recv(65536):
            pass


DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM = ACK = 0x1
END_HEADERS = 0x4


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame in bytes (RFC 9113 §4.1)."""
    return struct.pack("!IBI", len(payload) << 8 | kind, flags, stream) + payload


def _end(pending: bytearray, head: bytes) -> int | None:
    """Where the request ends, or None as long as it has not."""
    start = len(head)
    if re.search(rb"(?im)^transfer-encoding: *chunked", head):
        found = re.search(rb"(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n", pending[start:])
        return start + found.end() if found else None
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    end = start + (int(length[1]) if length else 0)
    return end if len(pending) >= end else None
