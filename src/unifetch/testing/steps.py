"""What a script of `Server` is made of: steps and replies; and the request that it answers.

`server.py` says what a script is. A step acts through the methods of the connection that it is handed.
"""

from __future__ import annotations

import json as json_module
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import ssl
    import threading

    from .server import Connection

Script: TypeAlias = (
    "bytes | Step | Callable[[RecordedRequest], Script] | Mapping[str, Script] | Iterable[Script] | None"
)

_NOTHING: Any = object()


@dataclass(eq=False)
class RecordedRequest:
    """A request as it came.

    Attributes:
        connection: the number of its connection, 1 for the first.
        head: the bytes up to and with the empty line.
        method, target, version: the parts of the request line.
        headers: names and values in order, duplicates and case kept, the white space around values removed.
        body: the content, without chunked coding. Empty until the body has ended or broken off.
        raw_body: the same as it was on the wire, trailers included.
        complete: whether the body has arrived to its end.
    """

    connection: int
    head: bytes = b""
    method: str = ""
    target: str = ""
    version: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    raw_body: bytes = b""
    complete: bool = False

    def header(self, name: str) -> str | None:
        """The value of this field, of any case; duplicates are joined by `", "`, and None means that there is none."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


class Over(Exception):
    """Ends a connection's thread: the peer has left, the script closed it, or the server stops."""


# --- Steps ----------------------------------------------------------------------------------------


class Step:
    """Something that a script does; subclass it and define `run` for more."""

    def run(self, connection: Connection) -> None:
        """Do it to this connection."""
        raise NotImplementedError


class OnHead(Step):
    """Starts this script when the head of the request is there; the body is read afterwards, or by `Receive`."""

    def __init__(self, *script: Script) -> None:
        self.script = script

    def run(self, connection: Connection) -> None:
        connection.play(self.script)


class OnConnect(OnHead):
    """Starts this script when a connection is accepted, and so answers its first request in advance.

    If its turn comes while a connection is open already, it starts with the head of the next request there.
    """


class Receive(Step):
    """Reads the rest of the request, head and body: for what an `OnHead` or `OnConnect` script does after it."""

    def run(self, connection: Connection) -> None:
        connection.receive()


@dataclass(frozen=True)
class Pause(Step):
    """Does nothing for so many seconds. `Wait` is better, because it depends on no clock."""

    seconds: float

    def run(self, connection: Connection) -> None:
        connection.pause(self.seconds)


@dataclass(frozen=True)
class Wait(Step):
    """Does nothing until the test sets the event."""

    event: threading.Event

    def run(self, connection: Connection) -> None:
        while not self.event.wait(0.01):
            connection.pause(0)  # ends the thread if the server stops


@dataclass(frozen=True)
class Signal(Step):
    """Sets the event, for a test that waits until the script has come this far."""

    event: threading.Event

    def run(self, connection: Connection) -> None:
        self.event.set()


@dataclass(frozen=True)
class Drip(Step):
    """Sends the data in pieces of `size` bytes, with `every` seconds between them."""

    data: bytes
    every: float
    size: int = 1

    def run(self, connection: Connection) -> None:
        for start in range(0, len(self.data), self.size):
            if start:
                connection.pause(self.every)
            connection.send(self.data[start : start + self.size])


@dataclass(frozen=True)
class Flood(Step):
    """Sends the data so many times, or until the client has enough."""

    data: bytes
    times: float = float("inf")

    def run(self, connection: Connection) -> None:
        together = max(1, 65536 // len(self.data))
        left = self.times
        while left > 0:
            connection.send(self.data * int(min(together, left)))
            left -= together


class Stall(Step):
    """Stops reading and writing; the connection stays open until the server ends."""

    def run(self, connection: Connection) -> None:
        connection.pause(None)


class Close(Step):
    """Closes the connection (FIN), on TLS after close_notify.

    If something that the client sent was not read, the system resets instead, as with any server. Not so `HalfClose`.
    """

    def run(self, connection: Connection) -> None:
        connection.close_notify()
        raise Over


class HalfClose(Step):
    """Closes the sending side only (FIN), and reads what the client still sends.

    On TLS it comes after close_notify, and the rest is discarded as it is: Python's ssl cannot read on reliably.
    """

    def run(self, connection: Connection) -> None:
        connection.close_notify()
        connection.shutdown(socket.SHUT_WR)
        if connection.tls is not None:
            connection.discard()


class Truncate(Step):
    """Closes TCP (FIN) without TLS's close_notify, as an attacker would who cuts a response short."""

    def run(self, connection: Connection) -> None:
        raise Over


class Reset(Step):
    """Resets the connection (RST); within `OnConnect` so early that even the client's connect may fail."""

    def run(self, connection: Connection) -> None:
        connection.reset_on_close()
        raise Over


@dataclass(frozen=True)
class StartTLS(Step):
    """Performs a TLS handshake on the open connection: what follows the 200 to a CONNECT."""

    context: ssl.SSLContext

    def run(self, connection: Connection) -> None:
        connection.start_tls(self.context)


# --- Replies --------------------------------------------------------------------------------------


def reply(
    status: int = 200,
    body: bytes | Iterable[bytes] = b"",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    *,
    json: Any = _NOTHING,
    reason: str | None = None,
    version: str = "HTTP/1.1",
    framed: bool = True,
) -> bytes:
    """A well-formed response, in bytes.

    Args:
        status: the status code.
        body: bytes, sent with Content-Length; or an iterable of bytes, each of which becomes a chunk.
        json: what the body says in JSON, in place of `body`; Content-Type is added where it is missing.
        headers: fields as they are to be sent; Content-Length or Transfer-Encoding among them replaces ours.
        reason: the reason phrase; by default that of the status.
        version: the HTTP version.
        framed: False leaves out our framing field, as a 1xx, 204 or 304 always does: the body ends with the connection.
    """
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError(f"a status is a number such as 200, not {type(status).__name__}")
    if reason is None:
        reason = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
    fields = field_pairs("headers", headers)
    if json is not _NOTHING:
        if body != b"":
            raise TypeError("a reply has one body: body= or json=")
        body = json_module.dumps(json, separators=(",", ":"), ensure_ascii=False).encode()
        if not any(name.lower() == "content-type" for name, _ in fields):
            fields.insert(0, ("Content-Type", "application/json"))
    given = any(name.lower() in ("content-length", "transfer-encoding") for name, _ in fields)
    if isinstance(body, bytes):
        framing = ("Content-Length", str(len(body)))
    else:
        if isinstance(body, str) or not isinstance(body, Iterable):
            raise TypeError(f"body= is bytes, or an iterable of bytes, not {type(body).__name__}")
        body = list(body)
        for chunk in body:
            if not isinstance(chunk, bytes):
                raise TypeError(f"a chunk of body= is bytes, not {type(chunk).__name__}")
        framing = ("Transfer-Encoding", "chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*filter(None, body), b""])
    if framed and not given and status >= 200 and status not in (204, 304):  # RFC 9110 §8.6, RFC 9112 §6.1
        fields.append(framing)
    lines = [f"{version} {status} {reason}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def field_pairs(argument: str, fields: object) -> list[tuple[str, str]]:
    """What a caller gives as fields, as pairs.

    Raises:
        TypeError: it is something else; this names the argument.
    """
    found = list(fields.items() if isinstance(fields, Mapping) else fields if isinstance(fields, Iterable) else [None])
    for pair in found:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"{argument}= is a mapping or pairs of names and values, not {type(fields).__name__}")
        name, value = pair
        if not isinstance(name, str) or not isinstance(value, str):
            shown = f"{name!r:.99}: {type(value).__name__}"
            raise TypeError(f"{argument}=: the name and the value of a field are text, not {shown}")
    return [(name, value) for name, value in found]


def route(scripts: Mapping[str, Script], request: RecordedRequest) -> Script:
    """The script for a request: by its method and target (`"POST /orders"`), else by its target, else a 404.

    A key may leave out the query. Where there are keys of other methods only, it is a 405.
    """
    target, path = request.target, request.target.partition("?")[0]
    for key in (f"{request.method} {target}", f"{request.method} {path}", target, path):
        if key in scripts:
            return scripts[key]
    methods = [
        method for method, _, place in (key.partition(" ") for key in scripts) if place.partition("?")[0] == path
    ]
    return reply(405, headers={"Allow": ", ".join(methods)}) if methods else reply(404)
