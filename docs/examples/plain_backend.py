# [start]
"""A backend in one file: `http.client`, with a new connection for each request.

What it does by itself: it connects and writes. It would take the first 1xx response but 100 for the final one, and
guess at malformed heads and chunks: so unifetch's own parser reads. It loses the response that comes before an upload
is complete, and starts a timeout anew at each byte.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from unifetch import Capability, ConnectTimeout, ReadTimeout, UnifetchError, WriteTimeout, errors
from unifetch.backends.base import Exchange, RawRequest, RawResponse, connect_error
from unifetch.wire.http11 import Head, read_body, read_head
from unifetch.wire.reader import ByteReader
from unifetch.wire.tls_errors import certificate_refused, handshake_failed

CAPABILITIES = frozenset(
    {Capability.EXACT_TARGET, Capability.EXACT_HEADERS, Capability.TLS_CONTEXT, Capability.NO_POISONING}
)

# The first row that fits is taken.
ERRORS: dict[type[Exception], type[UnifetchError]] = {
    http.client.RemoteDisconnected: errors.ConnectionLost,
    http.client.IncompleteRead: errors.IncompleteBody,
    http.client.HTTPException: errors.ProtocolError,
    OSError: errors.ConnectionLost,
    ValueError: errors.ProtocolError,  # of a number that http.client cannot read
}
# [end]


# [send]
class PlainBackend:
    """Carries requests by `http.client`."""

    name = "plain"
    contract: Literal[1] = 1
    capabilities = CAPABILITIES
    partial_capabilities = frozenset(Capability) - CAPABILITIES
    native: object = None

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange, up to the head of the final response."""
        exchange = Exchange(request.timeout, request.deadline)
        connection = self._connect(request, exchange)
        reader = ByteReader()
        try:
            with translated(exchange, WriteTimeout):
                self._write(connection, request, exchange)
            with translated(exchange, ReadTimeout):
                head = self._head(connection.sock, request, reader, exchange)
        except BaseException:
            connection.close()
            raise
        exchange.sent = "yes"

        chunks = self._chunks(connection.sock, request, reader, read_body(reader, head.framing), exchange)
        return RawResponse(head.status, head.reason, head.version, head.headers, chunks, connection.close)

    # [end]

    # [rest]
    def _connect(self, request: RawRequest, exchange: Exchange) -> http.client.HTTPConnection:
        host, port = request.host, request.port
        try:
            seconds = exchange.within(request.timeout.connect)
            if request.tls is None:
                connection = http.client.HTTPConnection(host, port, timeout=seconds)
            else:
                connection = http.client.HTTPSConnection(host, port, timeout=seconds, context=request.tls)
            connection.connect()
        except TimeoutError as error:
            raise ConnectTimeout(f"no connection to {host}:{port} in time") from error
        except ssl.SSLError as error:
            raise handshake_failed(error, host, port) from error
        except OSError as error:
            raise connect_error(error, host, port) from error
        return connection

    def _write(self, connection: http.client.HTTPConnection, request: RawRequest, exchange: Exchange) -> None:
        connection.sock.settimeout(exchange.within(request.timeout.write))
        exchange.sent = "maybe"
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value)
        connection.endheaders(request.body if isinstance(request.body, bytes) else None)
        if request.body is None or isinstance(request.body, bytes):
            return
        for block in request.body:
            connection.sock.settimeout(exchange.within(request.timeout.write))
            connection.send(b"%x\r\n%b\r\n" % (len(block), block) if request.chunked else block)
        if request.chunked:
            connection.send(b"0\r\n\r\n")

    def _head(self, sock: Any, request: RawRequest, reader: ByteReader, exchange: Exchange) -> Head:
        heads = read_head(reader, request.method)
        while True:
            try:
                if next(heads) is None:  # else it is an interim response, which nobody is told
                    self._feed(sock, request, reader, exchange)
            except StopIteration as end:
                head: Head = end.value
                return head

    def _chunks(
        self, sock: Any, request: RawRequest, reader: ByteReader, pieces: Iterator[bytes | None], exchange: Exchange
    ) -> Iterator[bytes]:
        with translated(exchange, ReadTimeout):
            for piece in pieces:
                if piece is None:
                    self._feed(sock, request, reader, exchange)
                else:
                    yield bytes(piece)

    def _feed(self, sock: Any, request: RawRequest, reader: ByteReader, exchange: Exchange) -> None:
        sock.settimeout(exchange.within(request.timeout.read))
        if data := sock.recv(65_536):
            reader.feed(data)
        else:
            reader.feed_eof()

    def close(self) -> None:
        """Nothing is kept."""


@contextmanager
def translated(exchange: Exchange, timed_out: type[UnifetchError]) -> Iterator[None]:
    """Raise our errors in place of the library's."""
    try:
        yield
    except UnifetchError:
        raise
    except TimeoutError as error:
        raise timed_out("the server neither sent nor took a byte in time", request_sent=exchange.sent) from error
    except tuple(ERRORS) as error:
        if refused := certificate_refused(error, exchange.sent):
            raise refused from error
        kind = next(kind for library, kind in ERRORS.items() if isinstance(error, library))
        if kind is errors.ConnectionLost and exchange.sent == "yes":
            kind = errors.IncompleteBody  # the head was there already
        message = f"{type(error).__name__}: {error}"
        if kind is errors.ConnectionLost:
            message = f"the connection broke {exchange.where()}: {message}"
        raise kind(message, request_sent=exchange.sent) from error


# [end]


def main(url: str) -> None:
    from unifetch import Client

    # [use]
    with Client(backend=PlainBackend()) as client:
        assert client.get(url).backend == "plain"
    # [end]
