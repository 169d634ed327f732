"""An HTTP/1.1 client to read from top to bottom. A connection for each request; no redirects, cookies, gzip."""

import re
import socket
import ssl
from collections import namedtuple
from urllib.parse import urlsplit

Response = namedtuple("Response", "status headers body")  # names of headers are in small letters


def get(url, headers=None, timeout=10, context=None):
    """Fetch a URL. `context` is an ssl.SSLContext, for a certificate that your system does not know."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    with connect(parts.hostname, parts.port or (443 if secure else 80), secure, timeout, context) as connection:
        send(connection, "GET", parts, headers or {})
        return receive(Reader(connection))


def connect(host, port, secure, timeout, context=None):
    """A connection to the server; over TLS where the URL says https."""
    connection = socket.create_connection((host, port), timeout)
    if secure:  # the context checks the certificate, and that it is for this host
        connection = (context or ssl.create_default_context()).wrap_socket(connection, server_hostname=host)
    return connection


def send(connection, method, parts, headers):
    """The request line, the headers, an empty line."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {"Host": parts.netloc.rpartition("@")[2], "Connection": "close", **headers}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break in a header would begin a second header")
    connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))


class Reader:
    """Lines and bytes of a connection, in whatever pieces they arrive."""

    def __init__(self, connection):
        self.connection = connection
        self.buffer = b""  # what has arrived, and was not taken yet

    def more(self):
        """Wait for the next piece; empty at the end."""
        self.buffer += (piece := self.connection.recv(65_536))
        return piece

    def line(self):
        """The next line, without its end. One that never ends must not fill our memory."""
        while b"\n" not in self.buffer:
            if len(self.buffer) > 65_536 or not self.more():
                raise ValueError(f"a line that does not end: {self.buffer[:40]!r}")
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.removesuffix(b"\r").decode("latin-1")

    def exactly(self, size):
        """So many bytes, and no fewer."""
        while len(self.buffer) < size:
            if not self.more():
                raise ValueError(f"{size} bytes were announced, {len(self.buffer)} came")
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def rest(self):
        """All until the server hangs up."""
        while self.more():
            pass
        return self.buffer


def receive(reader):
    """The answer. A status of 1xx says only that the answer is still to come."""
    status = 100
    while status < 200:
        status, headers = parse_status_line(reader.line()), parse_headers(reader)
    return Response(status, headers, read_body(reader, status, headers))


def parse_status_line(line):
    """`HTTP/1.1 200 OK`: we want the number."""
    found = re.fullmatch(r"HTTP/1\.[01] ([0-9]{3})( .*)?", line)
    if found is None:
        raise ValueError(f"not a status line: {line[:40]!r}")
    return int(found[1])


def parse_headers(reader):
    """`Name: value`, until an empty line. What comes twice is joined with a comma."""
    headers = {}
    while line := reader.line():
        name, colon, value = line.partition(":")
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not colon:
            raise ValueError(f"not a header: {line[:40]!r}")
        before = headers.get(name.lower())
        headers[name.lower()] = value.strip(" \t") if before is None else f"{before}, {value.strip()}"
    return headers


def read_body(reader, status, headers):
    """How long it is, in the order of RFC 9112, section 6.3."""
    if status in (204, 304):
        return b""
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked":
            raise ValueError(f"not a coding that we know: {headers['transfer-encoding'][:40]!r}")
        return read_chunks(reader)
    if "content-length" in headers:
        return reader.exactly(number(headers["content-length"], 10))
    return reader.rest()


def read_chunks(reader):
    """A length in hexadecimal, so many bytes, the end of a line; a length of 0 is the end."""
    chunks = []
    while size := number(reader.line().partition(";")[0].strip(), 16):
        chunks.append(reader.exactly(size))
        if reader.line() != "":
            raise ValueError("a chunk is longer than its length")
    parse_headers(reader)  # trailers may follow, and an empty line
    return b"".join(chunks)


def number(text, base):
    """A number of digits only: int() would also take "+5" and "1_000"."""
    if not re.fullmatch("[0-9]+" if base == 10 else "[0-9A-Fa-f]+", text):
        raise ValueError(f"not a length: {text[:40]!r}")
    return int(text, base)
