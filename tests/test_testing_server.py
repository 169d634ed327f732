"""The scripted server, held to its own promises with plain sockets: no client of ours is involved."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest

from servers import JSON, LARGE, TEXT, certificate_authority, http_server, nginx
from unifetch.testing.server import Connection, Server, refused_port
from unifetch.testing.steps import (
    Close,
    Drip,
    Flood,
    HalfClose,
    OnConnect,
    OnHead,
    Pause,
    Receive,
    Reset,
    Signal,
    Stall,
    StartTLS,
    Step,
    Truncate,
    Wait,
    reply,
)

if TYPE_CHECKING:
    from pathlib import Path

GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"


def connect(server: Server) -> socket.socket:
    """A client whose calls fail after 5 s instead of hanging."""
    return socket.create_connection(("127.0.0.1", server.port), 5.0)


def read(client: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer if the server closes before."""
    data = b""
    while len(data) < size and (more := client.recv(size - len(data))):
        data += more
    return data


def read_to_end(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    data = b""
    while more := client.recv(65536):
        data += more
    return data


def exchange(server: Server, request: bytes = GET) -> bytes:
    """What the server answers to one request on a connection of its own, closing afterwards."""
    with connect(server) as client:
        client.sendall(request)
        return read_to_end(client)


def silent(client: socket.socket) -> bool:
    """Whether nothing has arrived, neither bytes nor an end."""
    return not select.select([client], [], [], 0)[0]


# --- What is recorded -----------------------------------------------------------------------------


def test_request_is_recorded_exactly() -> None:
    """The head is kept byte for byte, and its parts keep order, case and duplicates."""
    line = b"PUT /a%2Fb?c=d HTTP/1.1\r\n"
    head = line + b"hOST: a.test\r\nX-Dup: 1\r\nX-Latin: caf\xe9\r\nx-dup:\t 2 \r\nContent-Length: 3\r\n\r\n"

    with Server([reply(), Close()]) as server:
        exchange(server, head + b"abc")

    [request] = server.requests
    assert head == request.head
    assert ("PUT", "/a%2Fb?c=d", "HTTP/1.1") == (request.method, request.target, request.version)
    assert [
        ("hOST", "a.test"),
        ("X-Dup", "1"),
        ("X-Latin", "caf\xe9"),
        ("x-dup", "2"),
        ("Content-Length", "3"),
    ] == request.headers
    assert ("1, 2", None) == (request.header("X-DUP"), request.header("X-None"))
    assert (b"abc", b"abc", 1, True) == (request.body, request.raw_body, request.connection, request.complete)
    assert head + b"abc" == server.received(1)


def test_chunked_request_is_decoded_and_kept() -> None:
    """A chunked body is recorded both as content and as it was on the wire."""
    wire = b"3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n"

    with Server([reply(), Close()]) as server:
        exchange(server, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + wire)

    [request] = server.requests
    assert b"abc0123456789" == request.body
    assert wire == request.raw_body


def test_request_in_single_bytes_is_recorded_the_same() -> None:
    """How a request is split into segments makes no difference."""
    wire = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"

    with Server([reply(), Close()]) as server, connect(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in wire:
            client.sendall(bytes([byte]))
        read_to_end(client)

    assert (b"abc", wire) == (server.requests[0].body, server.received())


def test_broken_off_request_is_recorded_as_incomplete() -> None:
    """Of an upload that the client gives up, what had come is recorded, and it is not an error of the server."""
    with Server() as server:
        with connect(server) as client:
            client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n1234")
        server.wait_closed(1)

        [request] = server.requests
        assert (b"1234", b"1234", False) == (request.body, request.raw_body, request.complete)
        assert [] == server.errors


@pytest.mark.parametrize(
    "wire",
    [
        b"GET /\r\n\r\n",
        b"GET / x HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nA : 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: +5\r\n\r\n12345",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    ],
)
def test_malformed_request_is_an_error(wire: bytes) -> None:
    """A malformed request resets the connection, and is raised where the `with` block ends."""
    with pytest.raises(ValueError, match=r"malformed|no CRLF"), Server() as server:  # noqa: PT012  # its end raises
        with pytest.raises(ConnectionResetError):
            exchange(server, wire)
        server.wait_closed()


# --- Which script ---------------------------------------------------------------------------------


def test_default_is_an_empty_200() -> None:
    """A server without a script answers every request on a connection that stays open."""
    with Server() as server, connect(server) as client:
        for _ in range(3):
            client.sendall(GET)
            assert reply() == read(client, len(reply()))
        assert silent(client)

    assert (3, 1) == (len(server.requests), server.connections)


def test_scripts_in_turn() -> None:
    """One script for each request, over all connections; the last repeats."""
    with Server([b"one", Close()], [b"two", Close()]) as server:
        answers = [exchange(server) for _ in range(3)]

    assert [b"one", b"two", b"two"] == answers
    assert [1, 2, 3] == [request.connection for request in server.requests]


def test_pipelined_requests_are_answered_in_order() -> None:
    """Two requests in one segment get one answer each."""
    with Server(b"one", [b"two", Close()]) as server:
        assert b"onetwo" == exchange(server, POST + GET)

    assert [b"hello", b""] == [request.body for request in server.requests]


def test_routes() -> None:
    """A mapping answers by target, else by the target without its query, else with 404."""
    with Server({"/a": [b"path", Close()], "/a?b": [b"query", Close()]}, [reply(410), Close()]) as server:
        assert b"query" == exchange(server, GET.replace(b"/ ", b"/a?b ", 1))
    with Server({"/a": [b"path", Close()]}) as server, connect(server) as client:
        client.sendall(GET)
        assert reply(404) == read(client, len(reply(404)))
        client.sendall(GET.replace(b"/ ", b"/a?x ", 1))
        assert b"path" == read_to_end(client)


def test_function_and_generator() -> None:
    """A function of the request gives any script, such as a generator of steps, run as far as it is needed."""
    seen = []

    def script(request):  # type: ignore[no-untyped-def]  # as a test would write it
        yield request.body
        seen.append("between")
        yield [request.target.encode(), Close()]
        seen.append("never")

    with Server(script) as server:
        assert b"hello/" == exchange(server, POST)
    assert ["between"] == seen


def test_step_of_ones_own() -> None:
    """A subclass of `Step` acts on the connection."""

    class Twice(Step):
        def run(self, connection: Connection) -> None:
            connection.send(connection.request.body * 2)

    with Server([Twice(), Close()]) as server:
        assert b"hellohello" == exchange(server, POST)


def test_failing_script_is_raised_at_the_end() -> None:
    """An exception in a script resets the connection and surfaces when the block ends, unless the test takes it."""

    def script(request: object) -> bytes:
        raise LookupError("no such fixture")

    with pytest.raises(LookupError, match="no such fixture"), Server(script) as server:  # noqa: PT012  # its end raises
        with pytest.raises(ConnectionResetError):
            exchange(server)
        server.wait_closed()
    with Server(script) as server:
        with pytest.raises(ConnectionResetError):
            exchange(server)
        server.wait_closed()
        assert isinstance(server.errors.pop(), LookupError)


def test_failing_script_is_noted_on_the_tests_own_error() -> None:
    """What failed in the server is shown with the exception that ends the block, and does not replace it."""
    with pytest.raises(ConnectionResetError) as caught, Server("text is no script") as server:
        exchange(server)

    assert "TypeError" in caught.value.__notes__[0]
    assert "'text is no script'" in caught.value.__notes__[0]


# --- When it starts -------------------------------------------------------------------------------


def test_never_answers() -> None:
    """An empty script says nothing, keeps the connection, and notices when the client gives up."""
    with Server(b"") as server:
        with connect(server) as client:
            client.sendall(GET)
            server.wait_requests(1)
            assert silent(client)
        server.wait_closed(1)


def test_early_reply() -> None:
    """An `OnHead` script answers while the upload goes on; the rest of the body is then read and recorded."""
    early = reply(413)

    with Server(OnHead(early), [b"second", Close()]) as server, connect(server) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        assert early == read(client, len(early))
        assert [False] == [request.complete for request in server.requests]
        client.sendall(b"0123456789" + GET)
        assert b"second" == read_to_end(client)

    assert [b"0123456789", b""] == [request.body for request in server.requests]


def test_early_reply_and_polite_close() -> None:
    """`HalfClose` ends the answer and reads on, so that the client is never reset."""
    with Server(OnHead(reply(413), HalfClose())) as server, connect(server) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 10)
        assert reply(413) == read_to_end(client)
        client.sendall(b"x" * 999_990)
        server.wait_requests(1)
        client.close()
        server.wait_closed(1)

    assert 1_000_000 == len(server.requests[0].body)


def test_early_function() -> None:
    """A function within `OnHead` is called with the head alone."""
    with Server(OnHead(lambda request: [request.target.encode(), request.body, Close()])) as server:
        assert b"/" == exchange(server, b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n")


def test_interim_then_body_then_final() -> None:
    """`Receive` reads the body in the middle of a script: 100, upload, 200."""
    script = OnHead(reply(100), Receive(), lambda request: reply(body=request.body), Close())

    with Server(script) as server, connect(server) as client:
        client.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert reply(100) == read(client, len(reply(100)))
        client.sendall(b"hello")
        assert reply(body=b"hello") == read_to_end(client)


def test_reply_before_any_request() -> None:
    """An `OnConnect` script answers the first request in advance; the next has the next script."""
    with Server(OnConnect(b"banner"), [b"second", Close()]) as server, connect(server) as client:
        assert b"banner" == read(client, 6)
        client.sendall(GET + GET)
        assert b"second" == read_to_end(client)

    assert 2 == len(server.requests)


@pytest.mark.parametrize("step", [Close(), Reset()], ids=["close", "reset"])
def test_gone_at_once(step: Step) -> None:
    """A connection can be closed or reset as soon as it is accepted, and the next one be served."""
    with Server(OnConnect(step), [b"served", Close()]) as server:
        # The reset may come while the client still connects.
        outcome = contextlib.nullcontext() if isinstance(step, Close) else pytest.raises(ConnectionResetError)
        with outcome, connect(server) as client:
            assert b"" == client.recv(1)
        assert b"served" == exchange(server)


def test_body_is_not_read() -> None:
    """A server that does not read, with a small buffer, blocks the client's writes."""
    with Server(OnHead(Stall()), receive_buffer=4096) as server, connect(server) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n")
        client.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 100_000_000:
                sent += client.send(bytes(65536))

    assert sent < 100_000_000


# --- Steps ----------------------------------------------------------------------------------------


def test_wait_and_signal() -> None:
    """Unsolicited bytes go out exactly when the test says so, and it learns when they are out."""
    go, gone = threading.Event(), threading.Event()

    with Server([reply(), Wait(go), b"unsolicited", Signal(gone), Close()]) as server, connect(server) as client:
        client.sendall(GET)
        assert reply() == read(client, len(reply()))
        assert silent(client)
        go.set()
        assert gone.wait(20)
        assert not silent(client)
        assert b"unsolicited" == read_to_end(client)


def test_drip() -> None:
    """Data goes out in pieces of the given size, none lost, with a pause between them."""
    began = time.monotonic()
    with Server([Drip(b"0123456", every=0.005, size=2), Close()]) as server:
        assert b"0123456" == exchange(server)
    assert time.monotonic() - began >= 3 * 0.005


def test_pause() -> None:
    """A pause comes between what is before and after it."""
    began = time.monotonic()
    with Server([b"a", Pause(0.01), b"b", Close()]) as server:
        assert b"ab" == exchange(server)
    assert time.monotonic() - began >= 0.01


@pytest.mark.parametrize(("data", "times"), [(b"abc", 100_000), (b"x" * 100_000, 3), (b"ab", 1), (b"ab", 0)])
def test_flood_has_an_exact_size(data: bytes, times: int) -> None:
    """A flood with a number sends the data exactly so many times."""
    with Server([Flood(data, times), Close()]) as server:
        assert data * times == exchange(server)


def test_flood_goes_on_until_the_client_closes() -> None:
    """A flood without a number ends with the client, silently."""
    with Server(Flood(b"abc")) as server:
        with connect(server) as client:
            client.sendall(GET)
            assert b"abc" * 100_000 == read(client, 300_000)
        server.wait_closed(1)


def test_reset_comes_after_what_was_sent() -> None:
    """The client sees the bytes before the reset, then ECONNRESET."""
    with Server([b"partial", Reset()]) as server, connect(server) as client:
        client.sendall(GET)
        server.wait_closed(1)
        assert b"partial" == read(client, 7)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_client_reset_is_no_error() -> None:
    """A client that resets the connection ends it, and nothing is reported."""
    with Server(b"") as server:
        client = connect(server)
        client.sendall(GET)
        server.wait_requests(1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        server.wait_closed(1)
        assert [] == server.errors


# --- TLS ------------------------------------------------------------------------------------------


def tls_client(sock: socket.socket) -> ssl.SSLSocket:
    """A client that tells truncation from a proper end, unlike what Python does by default."""
    context = certificate_authority().client_context()
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context.wrap_socket(sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False)


@pytest.mark.parametrize("step", [Close(), HalfClose()], ids=["close", "half-close"])
def test_tls_close_is_announced(step: Step) -> None:
    """`Close` and `HalfClose` send close_notify, and do not wait for the client's."""
    with Server([reply(), step], tls=certificate_authority().server_context()) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        with connect(server) as sock, tls_client(sock) as client:
            client.sendall(POST)
            assert reply() == read_to_end(client)
        server.wait_closed(1)

    assert POST == server.received(1)


def test_tls_truncation_is_not() -> None:
    """`Truncate` ends the connection without close_notify."""
    with (
        Server([b"partial", Truncate()], tls=certificate_authority().server_context()) as server,
        connect(server) as sock,
        tls_client(sock) as client,
    ):
        client.sendall(GET)
        assert b"partial" == read(client, 7)
        # Before 3.11.4, Python had no class of its own for it.
        with pytest.raises(ssl.SSLError, match=r"(?i)eof"):
            client.recv(1)


def test_tls_reset() -> None:
    """`Reset` resets the connection below TLS."""
    with (
        Server([b"partial", Reset()], tls=certificate_authority().server_context()) as server,
        connect(server) as sock,
        tls_client(sock) as client,
    ):
        client.sendall(GET)
        assert b"partial" == read(client, 7)
        # Asked of TCP itself, because Python's ssl shows a reset as an end of file.
        with pytest.raises(ConnectionResetError):
            socket.socket.recv(client, 1)


def test_tls_half_close_lets_an_upload_go_on() -> None:
    """After `HalfClose` an upload over TLS is discarded, and never reset."""
    with Server(OnHead(b"early", HalfClose()), tls=certificate_authority().server_context()) as server:
        with connect(server) as sock, tls_client(sock) as client:
            client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
            assert b"early" == read(client, 5)
            for _ in range(10):
                client.sendall(bytes(100_000))
            assert b"" == client.recv(1)
        server.wait_closed(1)


def test_failed_handshake_is_no_error() -> None:
    """A client that refuses the certificate is the client's business."""
    with Server(tls=certificate_authority().server_context("other.test")) as server:
        with connect(server) as sock, pytest.raises(ssl.SSLCertVerificationError):
            tls_client(sock)
        server.wait_closed(1)


def test_start_tls() -> None:
    """A CONNECT can be answered by a TLS handshake on the same connection, which then carries requests."""
    context = certificate_authority().server_context()

    with (
        Server([b"HTTP/1.1 200 OK\r\n\r\n", StartTLS(context)], [b"inside", Close()]) as server,
        connect(server) as sock,
    ):
        sock.sendall(b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n")
        assert b"HTTP/1.1 200 OK\r\n\r\n" == read(sock, 19)
        with tls_client(sock) as client:
            client.sendall(GET)
            assert b"inside" == read_to_end(client)

    assert ["CONNECT", "GET"] == [request.method for request in server.requests]


# --- Where it listens, and how it ends ------------------------------------------------------------


def test_ipv6() -> None:
    """The server listens on the loopback of IPv6, too."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")

    with Server([reply(), Close()], host="::1") as server:
        assert f"http://[::1]:{server.port}" == server.url
        with socket.create_connection(("::1", server.port), 5.0) as client:
            client.sendall(GET)
            assert reply() == read_to_end(client)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets on this system")
def test_unix_socket(tmp_path: Path) -> None:
    """The server listens on a unix socket, and takes the path away at its end."""
    path = tmp_path / "socket"

    with Server([reply(), Close()], unix_socket=path) as server:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5.0)
            client.connect(str(path))
            client.sendall(GET)
            assert reply() == read_to_end(client)
        assert ("http://localhost", 0) == (server.url, server.port)
    assert not path.exists()


@pytest.mark.parametrize(
    "script",
    [b"", Stall(), OnConnect(Stall()), Pause(600), Wait(threading.Event()), Flood(b"x"), Drip(b"abc", every=600)],
    ids=lambda script: type(script).__name__,
)
def test_end_closes_everything(script: bytes | Step) -> None:
    """Whatever a script is doing, the end of the block closes every connection, the port, and every thread."""
    before = set(threading.enumerate())

    with Server(script) as server:
        clients = [connect(server) for _ in range(3)]
        for client in clients:
            client.sendall(GET)
        server.wait_for(lambda: server.connections == 3)

    assert set() == set(threading.enumerate()) - before  # one of an earlier test may end meanwhile
    for client in clients:
        with contextlib.suppress(ConnectionResetError):
            read_to_end(client)
        client.close()
    with pytest.raises(ConnectionRefusedError):
        connect(server)


def test_lifetime() -> None:
    """A server that is left alone closes by itself, and says so."""
    with pytest.raises(TimeoutError, match=r"lifetime of 0\.05 s"), Server(Stall(), lifetime=0.05) as server:  # noqa: PT012  # its end raises
        with contextlib.suppress(ConnectionResetError):
            assert b"" == exchange(server)
        server.wait_closed(1)


def test_waiting_in_vain() -> None:
    """A wait that fails says what was expected, and what there was."""
    with Server() as server, connect(server):
        server.wait_for(lambda: server.connections == 1)
        with pytest.raises(TimeoutError, match="2 requests; so far 1 connections, 0 requests"):
            server.wait_requests(2, timeout=0.01)
        with pytest.raises(TimeoutError, match="the end of connection 1"):
            server.wait_closed(timeout=0.01)


def test_refused_port() -> None:
    """Nobody listens on a refused port, and nobody else can take it."""
    with refused_port() as port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5.0)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))


# --- Replies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("built", "wire"),
    [
        (reply(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (reply(404, b"no"), b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
        (reply(799), b"HTTP/1.1 799 \r\nContent-Length: 0\r\n\r\n"),
        (reply(reason="caf\xe9"), b"HTTP/1.1 200 caf\xe9\r\nContent-Length: 0\r\n\r\n"),
        (reply(headers={"A": "1"}), b"HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 0\r\n\r\n"),
        (reply(headers=[("a", "1"), ("A", "2")]), b"HTTP/1.1 200 OK\r\na: 1\r\nA: 2\r\nContent-Length: 0\r\n\r\n"),
        (reply(headers={"content-length": "9"}), b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
        (
            reply(body=[b"ab", b"", b"0123456789"]),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\na\r\n0123456789\r\n0\r\n\r\n",
        ),
        (reply(body=b"abc", framed=False, version="HTTP/1.0"), b"HTTP/1.0 200 OK\r\n\r\nabc"),
        (reply(100), b"HTTP/1.1 100 Continue\r\n\r\n"),
        (reply(204), b"HTTP/1.1 204 No Content\r\n\r\n"),
        (reply(304), b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    ],
)
def test_reply(built: bytes, wire: bytes) -> None:
    """A reply is well-formed HTTP, framed unless it must not be or is told not to."""
    assert wire == built


# --- The real servers of our own tests ------------------------------------------------------------


def test_nginx_serves(tmp_path: Path) -> None:
    """nginx starts in a directory of its own and serves the same over TCP and TLS."""
    import urllib.error
    import urllib.request

    def fetch(url: str, context: ssl.SSLContext | None = None, **options: object) -> tuple[int, bytes, str]:
        request = urllib.request.Request(url, **options)  # type: ignore[arg-type]  # passed through
        try:
            with urllib.request.urlopen(request, timeout=5, context=context) as answer:
                return answer.status, answer.read(), answer.url
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.url or ""

    context = certificate_authority().client_context()
    with nginx(tmp_path) as server:
        assert (200, TEXT) == fetch(f"{server.url}/text")[:2]
        assert (200, JSON) == fetch(f"{server.tls_url}/json", context)[:2]
        assert (200, TEXT, f"{server.url}/text") == fetch(f"{server.url}/redirect")
        assert (200, LARGE) == fetch(f"{server.url}/large")[:2]
        assert (206, LARGE[5:10]) == fetch(f"{server.url}/range", headers={"Range": "bytes=5-9"})[:2]
        assert 404 == fetch(f"{server.url}/status/404")[0]
        assert b"PATCH" == fetch(f"{server.url}/echo-method", method="PATCH")[1]
        assert 201 == fetch(f"{server.url}/upload/new", method="PUT", data=b"stored")[0]
        assert b"stored" == (server.uploads / "new").read_bytes()
        assert 413 == fetch(f"{server.url}/limited/new", method="PUT", data=bytes(2000))[0]
        assert 401 == fetch(f"{server.url}/basic-auth")[0]
        assert (200, TEXT) == fetch(f"{server.url}/basic-auth", headers={"Authorization": "Basic dXNlcjpzZWNyZXQ="})[:2]
        assert b"\x1f\x8b" == fetch(f"{server.url}/gzip", headers={"Accept-Encoding": "gzip"})[1][:2]
        assert 400 == fetch(server.client_certificate_url, context)[0]
        context.load_cert_chain(server.client_certificate)
        assert 200 == fetch(server.client_certificate_url, context)[0]


def test_http_server_serves() -> None:
    """The standard library's server keeps its connections, and closes them at its end."""
    import http.client
    import urllib.parse

    with http_server() as url:
        client = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=5)
        client.request("GET", "/text")
        assert TEXT == client.getresponse().read()
        local = client.sock.getsockname()
        client.request("POST", "/echo", body=b"hello")
        assert b"hello" == client.getresponse().read()
        assert local == client.sock.getsockname()
    assert b"" == client.sock.recv(1)
    client.close()
