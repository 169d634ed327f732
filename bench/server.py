"""The load server: answers from memory, on one thread, and is never what is measured.

It shares a core with the client, whose CPU time alone counts, so it only has to be the same for all. Each
connection is a generator in wire order that yields the event it waits for. It trusts its clients: what
is malformed ends in an exception or a closed connection, and nothing here is fit for a network.

    python bench/server.py [--tls DIRECTORY]      prints its ports as JSON, and ends when its input ends

    /5  /20               13 bytes, with so many response headers
    /varied               the same as /20, but for a number in one of them that is never the same
    /json                 a small object
    /kib100               100 KiB
    /echo                 the body of the request
    /upload               takes a body, and throws it away
    /stream?size=         so many bytes, by Content-Length
    /chunked?size=&total= so many bytes, in chunks of one size
    /gzip?size=           about so many bytes of JSON, compressed
"""

from __future__ import annotations

import argparse
import gzip
import json
import selectors
import socket
import ssl
import sys
from collections.abc import Iterator
from functools import cache
from itertools import count, repeat
from pathlib import Path
from urllib.parse import parse_qsl

MIB = 1024**2
ZEROS = memoryview(bytes(MIB))
KEPT = 64 * 1024  # bytes of a request's body, from its start; the rest is thrown away

Waiting = Iterator[int]  # of the event that is waited for


def main() -> None:
    parser = argparse.ArgumentParser(description="The load server of the benchmarks.")
    parser.add_argument("--tls", type=Path, help="serve https too; write the certificates to trust to ca.pem in here")
    arguments = parser.parse_args()
    listeners: dict[socket.socket, ssl.SSLContext | None] = {_listener(): None}
    if arguments.tls is not None:
        listeners[_listener()] = tls_context(arguments.tls)
    ports = [listener.getsockname()[1] for listener in listeners]
    print(json.dumps(dict(zip(("http", "https"), ports, strict=False))), flush=True)
    serve(listeners)


def _listener() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)  # a thousand tasks may begin at once
    listener.setblocking(False)
    return listener


def tls_context(directory: Path) -> ssl.SSLContext:
    """A certificate for 127.0.0.1, whose authority is written among as many others as a client has to load."""
    import trustme

    authority = trustme.CA()
    try:
        import certifi
    except ImportError:
        others = ""
    else:
        others = Path(certifi.where()).read_text("utf-8")
    (directory / "ca.pem").write_text(others + authority.cert_pem.bytes().decode(), "utf-8")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


def serve(listeners: dict[socket.socket, ssl.SSLContext | None]) -> None:
    """Answer until standard input ends."""
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    for listener in listeners:
        selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                return
            if key.fileobj in listeners:
                context = listeners[key.fileobj]
                sock, _ = key.fileobj.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if context is not None:
                    sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                selector.register(sock, selectors.EVENT_READ, conversation(sock))
                continue
            try:
                event = next(key.data)
            except (StopIteration, OSError):
                selector.unregister(key.fileobj)
                key.fileobj.close()
            else:
                if event != key.events:
                    selector.modify(key.fileobj, event, key.data)


# --- One connection, in wire order ----------------------------------------------------------------


def conversation(sock: socket.socket) -> Waiting:
    received = b""
    if isinstance(sock, ssl.SSLSocket):
        yield from _patiently(sock.do_handshake)
    while True:
        while (end := received.find(b"\r\n\r\n")) < 0:
            data = yield from _patiently(sock.recv, MIB)
            if not data:
                return
            received += data
        head, received = received[:end].lower(), received[end + 4 :]
        target = head.split(b" ", 2)[1].decode("ascii")
        if b"\r\nexpect: 100-continue" in head:
            yield from _send(sock, b"HTTP/1.1 100 Continue\r\n\r\n")
        if b"\r\ntransfer-encoding: chunked" in head:
            body, received = yield from _chunked_body(sock, received)
        else:
            _, _, after = head.partition(b"\r\ncontent-length: ")
            length = int(after.partition(b"\r\n")[0] or 0)
            body, received = yield from _body(sock, received, length)
        for block in answer(target, body):
            yield from _send(sock, block)
        if b"\r\nconnection: close" in head:
            return


def _body(sock: socket.socket, received: bytes, length: int) -> Iterator[int]:
    # What is kept, and what came after it.
    while len(received) < min(length, KEPT):
        received += yield from _some(sock, MIB)
    left = length - len(received)
    while left > 0:
        left -= len((yield from _some(sock, min(left, MIB // 4))))
    return received[:length], received[length:]


def _chunked_body(sock: socket.socket, received: bytes) -> Iterator[int]:
    body = b""
    while True:
        while (end := received.find(b"\r\n")) < 0:
            received += yield from _some(sock, MIB)
        size = int(received[:end], 16)
        data, received = yield from _body(sock, received[end + 2 :], size + 2)
        if not size:
            return body, received
        if len(body) < KEPT:
            body += data[:size]


def _some(sock: socket.socket, most: int) -> Iterator[int]:
    data = yield from _patiently(sock.recv, most)
    if not data:
        raise ConnectionResetError
    return data


def _send(sock: socket.socket, data: bytes | memoryview) -> Waiting:
    left = memoryview(data)
    while left:
        left = left[(yield from _patiently(sock.send, left)) :]


def _patiently(call, *arguments):
    while True:
        try:
            return call(*arguments)
        except (BlockingIOError, ssl.SSLWantReadError):
            yield selectors.EVENT_WRITE if call.__name__ == "send" else selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            yield selectors.EVENT_WRITE


# --- The answers ----------------------------------------------------------------------------------


def answer(target: str, body: bytes) -> tuple[bytes, ...] | Iterator[bytes | memoryview]:
    """What to send for this target, block by block."""
    path, _, query = target.partition("?")
    if path in FIXED:
        return FIXED[path]
    if path == "/varied":
        return (VARIED % next(REQUESTS),)
    if path == "/echo":
        return (_reply(body, "Content-Type: application/json"),)
    asked = {name: int(value) for name, value in parse_qsl(query)}
    if path == "/stream":
        return _stream(asked["size"])
    if path == "/chunked":
        return _chunks(asked["size"], asked["total"])
    if path == "/gzip":
        return (_gzip(asked["size"]),)
    return (_head("404 Not Found", "Content-Length: 0"),)


def _head(status: str, *fields: str) -> bytes:
    # Three fields of five, as nginx sends them; the other two are the type and the length.
    common = ("Server: bench", "Date: Sun, 06 Nov 1994 08:49:37 GMT", "Connection: keep-alive")
    return "\r\n".join([f"HTTP/1.1 {status}", *common, *fields, "", ""]).encode("ascii")


def _reply(body: bytes, *fields: str) -> bytes:
    return _head("200 OK", *fields, f"Content-Length: {len(body)}") + body


def _stream(size: int) -> Iterator[bytes | memoryview]:
    yield _head("200 OK", "Content-Type: application/octet-stream", f"Content-Length: {size}")
    yield from repeat(ZEROS, size // MIB)
    yield ZEROS[: size % MIB]


def _chunks(size: int, total: int) -> Iterator[bytes]:
    yield _head("200 OK", "Content-Type: application/octet-stream", "Transfer-Encoding: chunked")
    many = max(1, MIB // size)
    block = (b"%x\r\n%b\r\n" % (size, bytes(size))) * many
    one = len(block) // many
    chunks = total // size
    yield from repeat(block, chunks // many)
    yield block[: one * (chunks % many)]
    if rest := total % size:
        yield b"%x\r\n%b\r\n" % (rest, bytes(rest))
    yield b"0\r\n\r\n"


@cache
def _gzip(size: int) -> bytes:
    number_of_rows = size // 90 + 1  # a row below is 90 bytes, more or less
    rows = [
        {"id": at, "name": f"user {at * 7919 % number_of_rows}", "score": at * 104729 % 99991 / 7, "tags": ["a", "b"]}
        for at in range(number_of_rows)
    ]
    body = gzip.compress(json.dumps(rows).encode(), 6, mtime=0)
    return _reply(body, "Content-Type: application/json", "Content-Encoding: gzip")


SMALL = b"hello, world\n"
TEXT = "Content-Type: text/plain"
FIFTEEN = (
    "Accept-Ranges: bytes",
    "Access-Control-Allow-Origin: *",
    "Age: 12",
    "Cache-Control: public, max-age=3600, stale-while-revalidate=60",
    "Content-Language: en",
    "Content-Security-Policy: default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    'ETag: "33a64df551425fcc55e4d42a148795d9f25f89d4"',
    "Last-Modified: Sat, 05 Nov 1994 07:00:00 GMT",
    "Referrer-Policy: strict-origin-when-cross-origin",
    "Strict-Transport-Security: max-age=63072000; includeSubDomains",
    "Vary: Accept-Encoding, Origin",
    "Via: 1.1 edge-17.example.net",
    "X-Content-Type-Options: nosniff",
    "X-Frame-Options: DENY",
    "X-Request-Id: 7f1c9a0e-3c7b-4a5f-9d5e-2f0b7c1d8e64",
)
VARIED = _reply(SMALL, TEXT, *FIFTEEN).replace(b"7f1c9a0e-", b"%08x-")
REQUESTS = count()
FIXED = {
    "/5": (_reply(SMALL, TEXT),),
    "/20": (_reply(SMALL, TEXT, *FIFTEEN),),
    "/json": (_reply(b'{"hello":"world","answer":42}', "Content-Type: application/json"),),
    "/kib100": (_reply(bytes(100 * 1024), "Content-Type: application/octet-stream"),),
    "/upload": (_reply(SMALL, TEXT),),
}


if __name__ == "__main__":
    main()
