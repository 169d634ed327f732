"""One request and its response, on nothing but a socket and the parser of the socket backend."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from unifetch.wire import http11, reader


def main(url: str) -> None:
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    # [walk]
    with socket.create_connection((host, port), timeout=5) as connection:
        connection.sendall(http11.request_head("GET", "/", [("Host", f"{host}:{port}")]))
        incoming = reader.ByteReader()
        steps = http11.read_head(incoming, "GET")
        head = None
        while head is None:
            try:
                interim = next(steps)
            except StopIteration as done:
                head = done.value
            else:
                if interim is not None:
                    print(interim.status, "comes before the response")
                elif data := connection.recv(65536):  # None: feed me
                    incoming.feed(data)
                else:
                    incoming.feed_eof()  # from here on it raises, where it would have to wait
        print(head.status, head.reason, head.framing)
    # [end]
    assert 200 == head.status
