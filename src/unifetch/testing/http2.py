"""A scripted HTTP/2 server, in the vocabulary of `unifetch.testing`: what it sends are the frames that a test writes.

    with Server(reply(body=b"hello")) as server, Client(backend="socket", http2="only") as client:
        assert client.get(server.url).body == b"hello"
        assert server.requests[0].stream == 1

A script answers one stream, and each runs in a thread of its own, so that one may wait while others go on. It starts
when the request is complete; `OnHead(…)` starts before the body, `OnData(…)` with its first bytes, `OnConnect(…)`
before anything. It is made of the steps below, of those of `unifetch.testing` (`Wait`, `Pause`, `Close`, …), and of
bytes, which go out as they are. When it ends, its stream stays as the script has left it.

It corrects nothing, and keeps no limit that it announces, because a client may not have seen it yet. Frames are packed
by hand; HPACK comes from the library `hpack`, which is part of the extra `testing-http2`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import server as http11_server
from .server import Connection
from .steps import OnHead, Over, RecordedRequest, Script, Step

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
_NAMES = ("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE")
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
# Settings (RFC 9113 §6.5.2) and error codes (§7) that scripts use.
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, HTTP_1_1_REQUIRED = 0, 1, 2, 7, 8, 13
FRAME = 16_384  # the size of a frame, in bytes, that every client accepts


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame in bytes (RFC 9113 §4.1)."""
    return struct.pack("!IBI", len(payload) << 8 | kind, flags, stream) + payload


# --- Steps ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame(Step):
    """Sends a frame, on the stream of the request unless another is given."""

    kind: int
    flags: int = 0
    payload: bytes = b""
    stream: int | None = None

    def run(self, connection: Any) -> None:
        number = connection.number if self.stream is None else self.stream
        connection.send(frame(self.kind, self.flags, number, self.payload))


@dataclass(frozen=True)
class Head(Step):
    """Sends these fields, `:status` among them, exactly as given; also for trailers."""

    fields: Iterable[tuple[str | bytes, str | bytes]]
    end: bool = False

    def run(self, connection: Any) -> None:
        connection.send_fields(list(self.fields), self.end)


@dataclass(frozen=True)
class Data(Step):
    """Sends data when the client's windows have room, in as many frames as needed, each with this `padding`."""

    data: bytes = b""
    end: bool = False
    padding: int | None = None

    def run(self, connection: Any) -> None:
        rest = memoryview(self.data)
        while True:
            piece, rest = rest[: FRAME - 256], rest[FRAME - 256 :]
            payload, flags = bytes(piece), END_STREAM if self.end and not rest else 0
            if self.padding is not None:
                payload, flags = bytes([self.padding]) + payload + bytes(self.padding), flags | PADDED
            connection.spend(len(payload))
            connection.send(frame(DATA, flags, connection.number, payload))
            if not rest:
                return


def ResetStream(code: int) -> Frame:  # a step, as its neighbours
    """Resets the stream."""
    return Frame(RST_STREAM, 0, struct.pack("!I", code))


def GoAway(last: int, code: int = NO_ERROR) -> Frame:
    """Announces that no stream above this one was or will be processed (GOAWAY)."""
    return Frame(GOAWAY, 0, struct.pack("!II", last, code), 0)


def SetSettings(settings: Mapping[int, int]) -> Frame:
    """Announces settings."""
    return Frame(SETTINGS, 0, b"".join(struct.pack("!HI", *each) for each in settings.items()), 0)


def Window(size: int, stream: int | None = None) -> Frame:
    """Lets the client send so many more bytes, on the stream of the request or another one (0: the connection)."""
    return Frame(WINDOW_UPDATE, 0, struct.pack("!I", size), stream)


class OnData(OnHead):
    """Starts this script when the first bytes of the body are there."""


def reply(
    status: int = 200,
    body: bytes = b"",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    *,
    trailers: Iterable[tuple[str, str]] = (),
    framed: bool = True,
) -> list[Script]:
    """A well-formed response.

    Args:
        status, body, headers: as of `unifetch.testing.reply`; names are sent in lower case.
        trailers: fields after the body.
        framed: False leaves out Content-Length.
    """
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    fields = [(":status", str(status)), *((name.lower(), value) for name, value in pairs)]
    if framed and status >= 200 and status not in (204, 304) and "content-length" not in dict(fields):
        fields.append(("content-length", str(len(body))))
    after = list(trailers)
    steps: list[Script] = [Head(fields, end=not body and not after and status >= 200)]
    if body:
        steps.append(Data(body, end=not after))
    return [*steps, Head(after, end=True)] if after else steps


# --- The server -----------------------------------------------------------------------------------


@dataclass(eq=False)
class StreamRequest(RecordedRequest):
    """A request as it came; `headers` are its fields with the pseudo-fields.

    Attributes:
        stream: the number of its stream.
        trailers: the fields after the body.
        reset: the code with which the client has reset the stream; None while it has not.
    """

    stream: int = 0
    trailers: list[tuple[str, str]] = field(default_factory=list)
    reset: int | None = None


class Server(http11_server.Server):
    """Listens while its `with` block runs, and speaks HTTP/2 from the first byte, or after TLS if there is a context.

    Args:
        settings: what it announces first; None for no SETTINGS at all.
        returns_window: whether a client that uploads gets its window back at once.
        scripts, tls, lifetime: as of `unifetch.testing.Server`.
    """

    def __init__(
        self,
        *scripts: Script,
        settings: Mapping[int, int] | None = {},  # it is only read
        returns_window: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(*(scripts or (reply(),)), **options)
        self.requests: list[StreamRequest] = []  # type: ignore[assignment]  # they know more
        self.settings = settings
        self.returns_window = returns_window

    def frames(self, connection: int = 1) -> list[tuple[int, int, int, bytes]]:
        """The frames that came on this connection (1 for the first): kind, flags, stream and payload."""
        with self.changed:
            return list(self._connections[connection - 1].frames)  # type: ignore[attr-defined]  # they are HTTP/2's

    def _seen(self) -> str:
        came = [self._came(number) for number in range(1, self.connections + 1)]
        return f"{super()._seen()}, frames {came}"

    def _came(self, connection: int) -> str:
        last = self.frames(connection)[-20:]
        return ", ".join(f"{dict(enumerate(_NAMES)).get(kind, kind)} on {stream}" for kind, _, stream, _ in last)


class HTTP2Connection(Connection):
    """One accepted connection; its thread reads, and the scripts of its streams write."""

    server: Server

    def __init__(self, *accepted: Any) -> None:
        import hpack  # so that the steps can be had without it

        super().__init__(*accepted)
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.streams: dict[int, StreamOfServer] = {}
        self.encoder = hpack.Encoder()
        self.window = self.first_window = 65_535  # what the client takes, in all and on a new stream
        self._decoder = hpack.Decoder()
        self._decoder.max_header_list_size = 1 << 20
        # Only one thread at a time may use a TLS socket.
        self.writing = threading.RLock()
        self.ending = socket.SHUT_RDWR  # how a script ends the connection: by a FIN, unless it is to be reset
        self._block = bytearray()
        self._ends = False  # whether the stream ends with the block

    def serve(self) -> None:
        """Read frames until one side closes."""
        whole = StreamOfServer(self, 0)
        if self.server.settings is not None:
            whole.play(SetSettings(self.server.settings))
        if self._on_connect is not None:
            whole.play(self._on_connect)
        if self._take(len(PREFACE)) != PREFACE:
            raise ValueError("the client does not speak HTTP/2")
        try:
            while True:
                head = self._take(9)
                length, kind, flags, number = int.from_bytes(head[:3]), head[3], head[4], head[5:9]
                self._frame(kind, flags, int.from_bytes(number) & 0x7FFFFFFF, self._take(length))
        finally:
            for stream in list(self.streams.values()):
                stream.interrupted.set()

    def reset_on_close(self) -> None:
        """As inherited, and without a FIN before it."""
        super().reset_on_close()
        self.ending = socket.SHUT_RD

    def _receive_more(self) -> None:
        if self.tls is None or not self.tls.pending():
            with contextlib.suppress(OSError, ValueError):
                select.select([self.socket], [], [])
        with self.writing:
            super()._receive_more()

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        with self.server.changed:
            self.frames.append((kind, flags, number, payload))
            self.server.changed.notify_all()
        if kind in (HEADERS, CONTINUATION):
            # A client of ours neither pads nor gives priorities.
            self._block += payload
            if kind == HEADERS:
                self._ends = bool(flags & END_STREAM)
            if flags & END_HEADERS:
                decoded = self._decoder.decode(bytes(self._block), raw=True)
                self._block.clear()
                self._fields(number, [(_text(name), _text(value)) for name, value in decoded])
                if self._ends:
                    self._complete(number)
        elif kind == DATA:
            self._data(number, flags, payload)
        elif kind == RST_STREAM and number in self.streams:
            with self.server.changed:
                self.streams[number].request.reset = int.from_bytes(payload)
                self.server.changed.notify_all()
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        elif kind == SETTINGS and not flags & ACK:
            self._settings(payload)
        elif kind == WINDOW_UPDATE:
            with self.server.changed:
                size = int.from_bytes(payload)
                if not number:
                    self.window += size
                elif number in self.streams:
                    self.streams[number].window += size
                self.server.changed.notify_all()

    def _settings(self, payload: bytes) -> None:
        with self.server.changed:
            for identifier, value in struct.iter_unpack("!HI", payload):
                if identifier == INITIAL_WINDOW_SIZE:
                    for stream in self.streams.values():
                        stream.window += value - self.first_window
                    self.first_window = value
            self.server.changed.notify_all()
        if self.server.settings is not None:
            self.send(frame(SETTINGS, ACK, 0))

    def _fields(self, number: int, fields: list[tuple[str, str]]) -> None:
        if number in self.streams:
            self.streams[number].request.trailers = fields
            return
        said = dict(fields)
        request = StreamRequest(self.request.connection, b"-", said[":method"], said[":path"], "HTTP/2", fields)
        request.stream = number
        stream = StreamOfServer(self, number)
        stream.request = request
        with self.server.changed:
            self.streams[number] = stream
            self.server.requests.append(request)
            self.server.changed.notify_all()
        stream.script = self.server.take_script(request)
        if isinstance(stream.script, OnHead) and not isinstance(stream.script, OnData):
            stream.start()

    def _data(self, number: int, flags: int, payload: bytes) -> None:
        stream = self.streams[number]
        with self.server.changed:
            stream.request.body += payload
            self.server.changed.notify_all()
        if isinstance(stream.script, OnData):
            stream.start()
        if payload and self.server.returns_window and stream.request.reset is None:
            size = struct.pack("!I", len(payload))
            self.send(frame(WINDOW_UPDATE, 0, 0, size) + frame(WINDOW_UPDATE, 0, number, size))
        if flags & END_STREAM:
            self._complete(number)

    def _complete(self, number: int) -> None:
        stream = self.streams[number]
        with self.server.changed:
            stream.request.complete = True
            self.server.changed.notify_all()
        stream.start()

    def send(self, data: bytes) -> None:
        with self.writing:
            super().send(data)


class _Unwanted(Exception):
    """Ends the script of a stream that the client has reset; the connection goes on."""


class StreamOfServer:
    """A stream and the thread of its script; a step uses it like a connection of HTTP/1.1."""

    def __init__(self, connection: HTTP2Connection, number: int) -> None:
        self.connection = connection
        self.server = connection.server
        self.number = number
        self.request = StreamRequest(connection.request.connection)
        self.script: Script = None
        self.window = connection.first_window
        self.interrupted = threading.Event()
        self._started = False

    def start(self) -> None:
        """Start the script, unless it has started."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, name=f"stream {self.number}", daemon=True).start()

    def _run(self) -> None:
        try:
            self.play(self.script)
        except _Unwanted:
            pass
        except Over:
            self.connection.shutdown(self.connection.ending)
        except BaseException as error:  # noqa: BLE001  # as a connection's
            self.server.errors.append(error)
            self.connection.shutdown(socket.SHUT_RDWR)

    def play(self, script: Script) -> None:
        """Carry out a script."""
        Connection.play(self, script)  # type: ignore[arg-type]  # it has what is asked for there

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)  # `send`, `close_notify`, `reset_on_close`, …

    def receive(self) -> None:
        """Wait for the rest of the request."""
        with self.server.changed:
            while not self.request.complete:
                if self.interrupted.is_set() or self.server.stopping.is_set() or self.request.reset is not None:
                    raise _Unwanted
                self.server.changed.wait(0.1)

    def pause(self, seconds: float | None) -> None:
        """Do nothing for so many seconds; None means until the server stops."""
        if self.server.stopping.wait(seconds):
            raise Over

    def send_fields(self, fields: list[Any], end: bool) -> None:
        """Send a header block; sensitive fields are encoded like any other."""
        with self.connection.writing:
            block = self.connection.encoder.encode([(_bytes(name), _bytes(value)) for name, value in fields])
            pieces = [block[at : at + FRAME] for at in range(0, max(1, len(block)), FRAME)]
            for index, piece in enumerate(pieces):
                flags = (END_HEADERS if index == len(pieces) - 1 else 0) | (END_STREAM if end and not index else 0)
                self.connection.send(frame(CONTINUATION if index else HEADERS, flags, self.number, piece))

    def spend(self, size: int) -> None:
        """Wait until the client takes so many bytes, and count them."""
        connection, changed = self.connection, self.server.changed
        with changed:
            while min(self.window, connection.window) < size:
                if self.interrupted.is_set() or self.server.stopping.is_set() or self.request.reset is not None:
                    raise _Unwanted
                changed.wait(0.1)
            self.window -= size
            connection.window -= size


def _text(data: bytes | str) -> str:
    return data if isinstance(data, str) else data.decode("latin-1")


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


Server.connection_type = HTTP2Connection
