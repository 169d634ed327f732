"""The command line: what goes where, which exit code, and how it looks."""

from __future__ import annotations

import io
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import unifetch
from servers import certificate_authority
from unifetch import __version__, available_backends
from unifetch.backends import BACKENDS, capabilities, is_installed
from unifetch.backends.base import Capability
from unifetch.cli import backends as command_line
from unifetch.cli.main import main
from unifetch.cli.send import _show_body as show_body
from unifetch.cli.terminal import Style
from unifetch.testing import (
    Answer,
    Close,
    Flood,
    HalfClose,
    Pause,
    Script,
    Server,
    Wait,
    intercept,
    refused_port,
    reply,
)
from unifetch.testing.conformance.routes import Relay

COMMAND = [sys.executable, "-m", "unifetch"]
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UNIFETCH_BACKEND", "NO_COLOR", "COLUMNS", "PYTHONIOENCODING", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def in_terminal(*words: str, **environment: str) -> tuple[int, str]:
    """Run the command in a terminal of 80 columns; gives its exit code and what the terminal was sent."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        [*COMMAND, *words], stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **environment}
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while block := os.read(ours, 65536):
                written += block
        except OSError:
            pass  # Linux's way to say that the other side is closed
        os.close(ours)
    return process.returncode, written.decode().replace("\r\n", "\n")


# --- Streams that are closed, or full -------------------------------------------------------------


def in_shell(command: str, **environment: str) -> tuple[int, str, str]:
    """Run a line of the shell, in which `unifetch` is the command."""
    line = f'unifetch() {{ {shlex.join(COMMAND)} "$@"; }}; {command}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(os.name != "posix", reason="the shell of POSIX")
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("unifetch URL >&-", (2, "", "unifetch: OSError: standard output is closed; -o FILE takes the body\n")),
        ("unifetch URL 2>&-", (0, "body", "")),
        ("unifetch -v --timing URL 2>&-", (0, "body", "")),
        ("unifetch -v URL 2>/dev/full", (0, "body", "")),
        ("unifetch --trace URL 2>/dev/full", (0, "body", "")),
        ("unifetch URL/cut 2>/dev/full", (6, "", "")),
        ("unifetch URL/cut 2>&-", (6, "", "")),
        (
            "unifetch post URL -d @- <&-",
            (2, "", "unifetch: InvalidRequest: standard input is closed, and @- reads it\n"),
        ),
        ("unifetch -v URL 2>&1 >/dev/null | true; echo $?", (0, "0\n", "")),
        ("unifetch --version >/dev/full", (2, "", "unifetch: OSError: [Errno 28] No space left on device\n")),
        ("unifetch --help >/dev/full", (2, "", "unifetch: OSError: [Errno 28] No space left on device\n")),
        ("{ unifetch --help-all; echo $? >&2; } | true", (0, "", "0\n")),
        ("unifetch backends >&-", (0, "", "")),
    ],
)
def test_streams_that_are_closed(command: str, expected: tuple[int, str, str]) -> None:
    """A standard error that nobody hears stops nothing and is not mixed into the body."""
    if "/dev/full" in command and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    cut: Script = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Close()]
    with Server({"/": reply(200, b"body"), "/cut": cut}) as server:
        assert expected == in_shell(command.replace("URL", server.url))


@pytest.mark.parametrize("charset", ["hex", "base64", "undefined", "rot13", "nonsense", "utf-16"])
@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_charset_that_is_none(charset: str, kind: str) -> None:
    """A server's word for a charset, which Python may know as something else, ends nothing."""
    with Server(reply(200, b'{"a": 1}', {"Content-Type": f"{kind}; charset={charset}"})) as server:
        code, shown = in_terminal(server.url)

    assert 0 == code
    assert "Traceback" not in shown


def test_a_large_document_is_shown_as_it_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON that is too long to be indented is written piece by piece, and not held in memory."""
    monkeypatch.setattr("unifetch.cli.send.PRETTY", 10)
    shown = []

    def pieces() -> Iterator[bytes]:
        yield from (b'{"a": "', b"long text")
        shown.append(capsys.readouterr().out)
        yield b'"}'
        shown.append(capsys.readouterr().out)

    with intercept(lambda request: Answer(200, headers={"Content-Type": "application/json"})):
        response = unifetch.get("http://h/")
    show_body(response, pieces())

    assert ['{"a": "long text', '"}'] == shown


def test_a_body_that_breaks_off_in_a_terminal() -> None:
    """What is said of it stands on a line of its own."""
    cut: Script = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", Close()]
    with Server(cut) as server:
        code, shown = in_terminal(server.url)

    assert 6 == code
    assert "half\nunifetch: IncompleteBody" in shown


@pytest.mark.skipif(os.name != "posix", reason="the permissions of POSIX")
def test_a_warning_is_one_line(tmp_path: Path) -> None:
    """It is shown as an error is, without our source."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n", "utf-8")
    netrc.chmod(0o644)
    with Server(reply(200, b"body")) as server:
        code, output, told = in_shell(f"unifetch --netrc {server.url}", NETRC=str(netrc))

    assert (0, "body") == (code, output)
    assert f"unifetch: netrc: {netrc} should belong to you alone: chmod 600\n" == told


# --- get: where things go -------------------------------------------------------------------------


@pytest.mark.parametrize("backend", available_backends())
def test_body_goes_to_standard_output(backend: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """The body, whatever its bytes, is all that standard output gets; a success says nothing else."""
    body = bytes(range(256)) * 1000
    with Server(reply(302, headers={"Location": "/b"}), reply(body=body)) as server:
        code = main(["get", "-b", backend, server.url])

    assert (0, body, b"") == (code, *capsysbinary.readouterr())


def test_a_body_is_written_as_it_comes() -> None:
    """What has arrived is shown at once, and not only when the body is complete."""
    more = threading.Event()
    head = reply(headers={"Transfer-Encoding": "chunked"})
    with Server([head, b"5\r\nfirst\r\n", Wait(more), b"4\r\nlast\r\n0\r\n\r\n"]) as server:
        with subprocess.Popen([*COMMAND, "get", server.url], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            first = process.stdout.read(5)
            more.set()
            rest = process.stdout.read()

    assert (b"first", b"last", 0) == (first, rest, process.returncode)


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    """As in `unifetch get URL | head -1`."""
    with Server([reply(framed=False), Flood(b"a line\n")]) as server:
        with subprocess.Popen([*COMMAND, "get", server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            first = process.stdout.readline()
            process.stdout.close()
            complaint = process.stderr.read()

    assert (b"a line\n", b"", 0) == (first, complaint, process.returncode)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("words", [["get"], ["backends"]])
def test_output_that_cannot_be_written_is_one_line(words: list[str]) -> None:
    """A full disk is an error of ours, also for what Python would still flush at exit."""
    with Server(reply(body=b"hello")) as server, open("/dev/full", "wb") as full:
        url = [server.url] if words == ["get"] else []
        done = subprocess.run([*COMMAND, *words, *url], stdout=full, stderr=subprocess.PIPE, text=True)

    assert (2, "unifetch: OSError: [Errno 28] No space left on device\n") == (done.returncode, done.stderr)


def test_a_plain_get_imports_little() -> None:
    """Most of the time of one request is that of starting, so nothing is imported that it does not use."""
    code = "import sys; from unifetch.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    with Server(reply(body=b"hello")) as server:
        # Without `site`, so that what an environment's own .pth files import does not count, and without the libraries
        # that undo codings, which import what they like.
        command = [sys.executable, "-S", "-c", code, server.url, "--no-decode"]
        path = str(Path(unifetch.__file__).parents[1])
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    loaded = done.stderr.split()
    unused = {
        "asyncio",
        "email",
        "getpass",
        "hashlib",
        "http",
        "json",
        "logging",
        "pathlib",
        "ssl",
        "tempfile",
        "urllib",
    }
    ours = {"demo", "compare", "manual", "curl", "trace", "conversation", "into_file", "progress_bar", "json_text"}

    assert "hello" == done.stdout
    assert set() == unused.intersection(loaded)
    assert set() == {f"unifetch.cli.{name}" for name in ours}.intersection(loaded)


@pytest.mark.parametrize(
    ("environment", "words", "name"),
    [(None, [], "socket"), ("urllib", [], "urllib"), ("urllib", ["-b", "socket"], "socket")],
)
def test_who_carries_a_request(
    environment: str | None,
    words: list[str],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The option, then the environment; where nobody says, the backend that starts soonest."""
    monkeypatch.delenv("UNIFETCH_BACKEND", raising=False)
    if environment is not None:
        monkeypatch.setenv("UNIFETCH_BACKEND", environment)
    with Server(reply(body=b"hello")) as server:
        main(["-v", server.url, *words])
        origin = server.url

    assert f"* {origin} through {name}" == capsys.readouterr().err.splitlines()[0]


def test_verbose_shows_the_heads() -> None:
    """`-v` shows each connection and head on standard error, redirects included, in the order of the wire."""
    moved = reply(302, headers={"Location": "/b?c"})
    with Server(moved, reply(body=b"hello", headers=[("X-A", "1"), ("x-a", "2")])) as server:
        command = [*COMMAND, "get", "-v", "-H", "Accept: text/plain", f"{server.url}/a"]
        done = subprocess.run(command, capture_output=True, text=True)
        origin = server.url

    assert (0, "hello") == (done.returncode, done.stdout)
    lines = done.stderr.splitlines()
    host = origin.removeprefix("http://")
    at = host.replace(":", ", port ")
    assert lines[:4] == [f"* {origin} through socket", f"* connected to {at}", "> GET /a HTTP/1.1", f"> Host: {host}"]
    assert 1 == done.stderr.count("* connected")
    assert [line for line in lines if "HTTP/1.1" in line] == [
        "> GET /a HTTP/1.1",
        "< HTTP/1.1 302 Found",
        "> GET /b?c HTTP/1.1",
        "< HTTP/1.1 200 OK",
    ]
    assert lines[-4:] == ["< X-A: 1", "< x-a: 2", "< Content-Length: 5", "<"]
    assert "> Accept: text/plain" in lines


@pytest.mark.parametrize("route", ["direct", "-k", "--trace", "proxy"])
def test_verbose_shows_tls(backend: str, route: str) -> None:
    """Where the connection leads, what TLS has agreed and whose certificate it is, before the request goes out."""
    authority = certificate_authority()
    trust = ["-k"] if route == "-k" else ["--cacert", str(authority.ca_file)]
    with Server(reply(body=b"hello"), tls=authority.server_context()) as server:
        with Server([b"HTTP/1.1 200 OK\r\n\r\n", Relay(server.port)]) as proxy:
            url = server.url.replace("127.0.0.1", "localhost")
            words = {"proxy": ["-x", proxy.url], "--trace": ["--trace"]}.get(route, [])
            done = subprocess.run([*COMMAND, "-v", "-b", backend, *trust, *words, url], capture_output=True, text=True)
            port = (proxy if route == "proxy" else server).port
    shown = [
        line.partition(", by ")[0] for line in done.stderr.splitlines() if line.startswith(("* ", "> GET", "< HTTP"))
    ]

    assert (0, "hello") == (done.returncode, done.stdout), done.stderr
    assert shown == [
        f"* {url} through {backend}",
        f"* connected to 127.0.0.1, port {port}",
        *([f"* a tunnel through it to {url.removeprefix('https://')}"] if route == "proxy" else []),
        "* TLSv1.3, TLS_AES_256_GCM_SHA384",
        "* its certificate was not verified"
        if route == "-k"
        else "* certificate of localhost, 127.0.0.1, 0:0:0:0:0:0:0:1",
        "> GET / HTTP/1.1",
        "< HTTP/1.1 200 OK",
    ]


@pytest.mark.parametrize(
    "backend", [name for name in available_backends() if Capability.TLS_PROXY in capabilities(name)]
)
def test_verbose_shows_tls_within_tls(backend: str) -> None:
    """Through a proxy of https the request goes out after the second handshake; `--trace` shows no record of TLS."""
    authority = certificate_authority()
    with Server(reply(body=b"hello"), tls=authority.server_context()) as server:
        with Server([b"HTTP/1.1 200 OK\r\n\r\n", Relay(server.port)], tls=authority.server_context()) as proxy:
            words = ["--cacert", str(authority.ca_file), "-x", proxy.url, server.url]
            verbose, traced = (
                subprocess.run([*COMMAND, option, "-b", backend, *words], capture_output=True, text=True)
                for option in ("-v", "--trace")
            )
    shown = [
        line[:9] for line in verbose.stderr.splitlines() if line.startswith(("* a tunnel", "* TLS", "> GET", "< HT"))
    ]

    assert (0, "hello") == (verbose.returncode, verbose.stdout), verbose.stderr
    assert ["* TLSv1.3", "* a tunne", "* TLSv1.3", "> GET / H", "< HTTP/1."] == shown
    assert (0, "hello") == (traced.returncode, traced.stdout), traced.stderr
    assert [] == re.findall(r"^[<>] 00000  1[4-7] 03 .*", traced.stderr, re.M)
    assert "GET / HTTP/1.1.." in traced.stderr


def test_trace_shows_what_looks_like_tls() -> None:
    """A body that begins as a record of TLS does is one, on a connection without TLS."""
    answer: Script = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n",
        Pause(0.05),
        b"\x16\x03body",
        Pause(0.05),
        b"\r\n",
    ]
    with Server(answer) as server:
        done = subprocess.run([*COMMAND, "--trace", server.url], capture_output=True)

    assert (0, b"\x16\x03body\r\n") == (done.returncode, done.stdout)
    assert b"16 03 62 6f 64 79" in done.stderr


def test_verbose_shows_no_request_that_was_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody answers, there is an attempt, and no head."""
    with refused_port() as port:
        code = main(["-v", f"http://127.0.0.1:{port}/"])
    err = capsys.readouterr().err

    assert 0 != code
    assert "* http://127.0.0.1:" in err
    assert "> GET" not in err


@pytest.mark.parametrize(
    ("option", "secure", "request_line", "answer"),
    [
        ("--http2", False, "> GET /a HTTP/1.1", "< HTTP/1.1 200 OK"),
        ("--http2-only", False, "> GET /a HTTP/2", "< HTTP/2 200"),
        ("--http2-only", True, "> GET /a HTTP/2", "< HTTP/2 200"),
        ("--http2", True, "> GET /a HTTP/2", "< HTTP/2 200"),
    ],
)
def test_verbose_names_the_version_that_is_spoken(
    option: str, secure: bool, request_line: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The request line has the version that is spoken, also where the server has chosen it."""
    peer = pytest.importorskip("unifetch.testing.http2", exc_type=ImportError)
    pytest.importorskip("h2", reason="HTTP/2 needs it")
    authority = certificate_authority()
    tls = authority.server_context() if secure else None
    if tls is not None:
        tls.set_alpn_protocols(["h2"])
    speaks_http2 = "HTTP/2" in answer
    with (peer.Server if speaks_http2 else Server)(tls=tls) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        code = main(["get", "-v", "-b", "socket", option, "--cacert", str(authority.ca_file), f"{url}/a"])
    lines = capsys.readouterr().err.splitlines()

    assert 0 == code
    assert [request_line, answer] == [line for line in lines if line.startswith(("> GET", "< HTTP"))]


def test_verbose_hides_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the credentials that go out nor those that come in are shown; they are sent, though."""
    with Server(reply(headers={"Set-Cookie": "session=hunter2"})) as server:
        main(["get", "-v", "-H", "Authorization: Bearer hunter2", "-H", "Cookie: a=hunter2", server.url])
        sent = server.requests[0].header("authorization")
    err = capsys.readouterr().err

    assert sent == "Bearer hunter2"
    assert "> Authorization: [redacted]\n" in err
    assert "> Cookie: [redacted]\n" in err
    assert "< Set-Cookie: [redacted]\n" in err
    assert "hunter2" not in err


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 O\x9b2JK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 O\x9b2JK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \x9b2J\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 O\x1b[2JK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \x1b[2J\r\nContent-Length: 0\r\n\r\n",
        b"\x1b[2J\x9b2J\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\x9b/\x1b[2J\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: \x9b2J\r\nContent-Length: 1\r\n\r\nx",
    ],
)
def test_a_server_cannot_control_the_terminal(head: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a server sends in a head, what is shown of it on standard error is harmless."""
    with Server([head, Close()]) as server:
        main(["get", "-v", "--fail", server.url])
    err = capsys.readouterr().err

    assert err
    assert [] == [line for line in err.split("\n") if not line.isprintable()]


# --- get: what is sent ----------------------------------------------------------------------------


def test_headers_and_method(capsys: pytest.CaptureFixture[str]) -> None:
    """`-X` and each `-H` are sent as they are, duplicates in their order, an empty value too."""
    with Server() as server:
        code = main(["-X", "DELETE", "-H", "X-A: 1", "-H", "x-a:2", "-H", "X-Empty:", server.url])
        request = server.requests[0]

    assert (0, "DELETE") == (code, request.method)
    assert [("X-A", "1"), ("x-a", "2"), ("X-Empty", "")] == [
        field for field in request.headers if field[0].lower().startswith("x-")
    ]


@pytest.mark.parametrize(
    ("words", "content_type", "body"),
    [
        (["-d", "grüß dich"], "application/x-www-form-urlencoded", "grüß dich".encode()),
        (["-d", ""], "application/x-www-form-urlencoded", b""),
        (["-d", "a=1", "-d", "b=2"], "application/x-www-form-urlencoded", b"a=1&b=2"),
        (["-d", "@FILE"], None, b"\x00\xff\r\n"),
        (["-d", "@-"], None, b"\x01\xfe"),
        (["-d", "a=b", "-H", "Content-Type: text/x"], "text/x", b"a=b"),
        (["--json", '{"a": 1.0000000000000000001, "a": "ü"}'], "application/json", None),
        (["--json", "null"], "application/json", b"null"),
        (["--json", "[]", "-H", "content-type: application/x+json"], "application/x+json", b"[]"),
    ],
)
def test_bodies(
    words: list[str], content_type: str | None, body: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text, files and standard input are sent as they are, JSON as it was typed; the method is then POST."""
    file = tmp_path / "file"
    file.write_bytes(b"\x00\xff\r\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x01\xfe")))
    with Server() as server:
        code = main([*(word.replace("FILE", str(file)) for word in words), server.url])
        request = server.wait_requests(1)[0]

    expected = words[1].encode() if body is None else body
    assert (0, "POST", content_type, expected) == (code, request.method, request.header("content-type"), request.body)


def test_the_environment_names_the_backend(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`UNIFETCH_BACKEND` counts where `-b` says nothing."""
    monkeypatch.setenv("UNIFETCH_BACKEND", "nonesuch")
    with Server() as server:
        by_environment = main(["get", server.url])
        complaint = capsys.readouterr().err
        by_option = main(["get", "-b", "urllib", server.url])

    assert (2, 0) == (by_environment, by_option)
    assert complaint.startswith("unifetch: UnknownBackend: unknown backend 'nonesuch'; known are urllib, ")


# --- get: exit codes ------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", available_backends())
def test_no_connection_is_3(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody listens: one line, and exit code 3."""
    with refused_port() as port:
        code = main(["get", "-b", backend, f"http://127.0.0.1:{port}/"])
    out, err = capsys.readouterr()

    assert (3, "", 1) == (code, out, err.count("\n"))
    assert err.startswith("unifetch: ConnectError: ")


@pytest.mark.parametrize("backend", available_backends())
def test_a_timeout_is_4(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The server never answers, and `--timeout` covers all of it."""
    with Server(b"") as server:
        code = main(["get", "-b", backend, "--timeout", "0.2", server.url])

    assert (4, ("", "unifetch: TotalTimeout: not over within the total timeout of 0.2 s\n")) == (
        code,
        capsys.readouterr(),
    )


@pytest.mark.parametrize("backend", available_backends())
def test_a_certificate_that_nobody_trusts_is_5(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    """TLS fails before a byte of the request is sent."""
    with Server(tls=certificate_authority().server_context()) as server:
        code = main(["get", "-b", backend, server.url])
        requests = server.requests
    out, err = capsys.readouterr()

    assert (5, "", 1, []) == (code, out, err.count("\n"), requests)
    assert err.startswith("unifetch: TLSError: ")


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([reply(headers={"Content-Length": "9"}), b"cut", HalfClose()], "IncompleteBody"),
        ([b"nonsense\r\n\r\n", HalfClose()], "ProtocolError"),
        (HalfClose(), "ConnectionLost"),
        (reply(headers={"Content-Encoding": "gzip"}, body=b"not gzip"), "DecodingError"),
        (reply(302, headers={"Location": "/"}), "TooManyRedirects"),
    ],
)
def test_another_error_of_the_protocol_is_6(script: object, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The server answers with what HTTP does not allow, or not at all."""
    with Server(script) as server:  # type: ignore[arg-type]  # each row is a script
        code = main(["get", server.url])
    err = capsys.readouterr().err

    assert (6, 1) == (code, err.count("\n"))
    assert err.startswith(f"unifetch: {kind}: ")


@pytest.mark.parametrize(("words", "code", "out"), [([], 0, "no\n"), (["--fail"], 22, "")])
def test_a_status_is_22_with_fail(words: list[str], code: int, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A 404 is a response like any other, unless `--fail` says that it is none."""
    with Server(reply(404, b"no\n")) as server:
        got = main(["get", *words, server.url])
        err = f"unifetch: StatusError: 404 Not Found for GET {server.url}/\n" if code else ""

    assert (code, (out, err)) == (got, capsys.readouterr())


def test_fail_lets_a_success_through(capsys: pytest.CaptureFixture[str]) -> None:
    """`--fail` changes nothing for a status below 400."""
    with Server(reply(body=b"yes")) as server:
        code = main(["get", "--fail", server.url])

    assert (0, ("yes", "")) == (code, capsys.readouterr())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--timeout", "0"], "InvalidSetting: timeout: total must be above 0"),
        (["--timeout", "nan"], "InvalidSetting: timeout: total must be above 0"),
        (["-b", "nonesuch"], f"UnknownBackend: unknown backend 'nonesuch'; known are {', '.join(BACKENDS)}"),
        (["-X", "NO SUCH"], "InvalidMethod: method 'NO SUCH'"),
        (["-H", "no colon"], "InvalidRequest: -H takes 'NAME: VALUE'"),
        (["-H", "X Y: 1"], "InvalidHeader: header name 'X Y'"),
        (["-H", "X: a\nY: b"], "InvalidHeader: header X has a character"),
        (["--json", "{"], "InvalidRequest: --json is not JSON: Expecting"),
        (["--json", "[NaN]"], "InvalidRequest: --json is not JSON: NaN"),
        (["--json", "[" * 100_000], "InvalidRequest: --json is not JSON"),
        (["-d", "@/none/such"], "FileNotFoundError: [Errno 2] No such file or directory: '/none/such'"),
        (["-d", "\udcff"], "InvalidBody: the text of body= holds a lone surrogate"),
    ],
)
def test_wrong_usage_is_2(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong with the call is said in one line, and nothing is sent."""
    with Server() as server:
        code = main([*words, server.url])
        connections = server.connections
    out, err = capsys.readouterr()

    assert (2, "", 1, 0) == (code, out, err.count("\n"), connections)
    assert err.startswith(f"unifetch: {message}")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("example.org/a?b", "; did you mean 'http://example.org/a?b'?"),
        ("localhost:8000", "; did you mean 'http://localhost:8000/'?"),
        ("user:hunter2@example.org", "; did you mean 'http://example.org/'?"),
        ("http:/example.org", ""),
        ("ftp://example.org/", ""),
        ("mailto:somebody", ""),
        ("/path", ""),
        ("", ""),
    ],
)
def test_a_url_without_its_scheme(url: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is guessed; but where `http://` in front makes a URL, the error says so, without a password."""
    code = main(["get", url])
    err = capsys.readouterr().err

    assert (2, 1) == (code, err.count("\n"))
    assert err.startswith("unifetch: InvalidURL: a URL must start with http:// or https://: ")
    assert hint == (err[err.index("; did") : -1] if "; did" in err else "")
    assert "hunter2" not in err


@pytest.mark.parametrize(
    "words",
    [["get"], ["nonesuch"], ["get", "--timeout", "soon", "http://h/"], ["get", "-d", "1", "--json", "1", "http://h/"],
     ["get", "--verb", "http://h/"], ["demo", "more"]],
)  # fmt: skip
def test_arguments_that_cannot_be_parsed_are_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """That is argparse's own message; options are not abbreviated."""
    with pytest.raises(SystemExit) as exit:
        main(words)
    out, err = capsys.readouterr()

    assert (2, "") == (exit.value.code, out)
    assert err.startswith("usage: unifetch")


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, because nobody asked for it."""
    code = main([])
    out, err = capsys.readouterr()

    assert (2, "") == (code, out)
    assert err.startswith("usage: unifetch")


def test_a_library_that_is_broken_is_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own error is shown, in one line."""

    def broken(*arguments: object) -> None:
        raise ImportError("cannot import name 'x' from 'y'")

    monkeypatch.setattr("unifetch.client.base_client.load", broken)
    code = main(["get", "http://127.0.0.1:9/"])

    assert (2, ("", "unifetch: ImportError: cannot import name 'x' from 'y'\n")) == (code, capsys.readouterr())


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT between processes")
def test_interrupted_is_130(tmp_path: Path) -> None:
    """Ctrl-C ends the command without a traceback, and without a half file."""
    # A shell that runs the tests in the background has SIGINT ignored.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from unifetch.cli.main import main; sys.exit(main())"
    )
    with Server([reply(headers={"Content-Length": "9"}), b"half"]) as server:
        words = [sys.executable, "-c", code, "get", "-o", str(tmp_path / "file"), server.url]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            server.wait_requests(1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate()

    note = b"unifetch: interrupted; the same command with -c goes on, if the server allows it\n"
    assert (130, b"", note, []) == (process.returncode, out, err, os.listdir(tmp_path))


# --- get: -o --------------------------------------------------------------------------------------


def test_output_file(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """`-o` writes the body to a file and nothing to standard output; a name without a directory will do."""
    body = bytes(range(256)) * 1000
    file = tmp_path / "file"
    with Server(reply(body=body)) as server:
        code = main(["get", "-o", str(file), server.url])

    assert (0, b"", b"") == (code, *capsysbinary.readouterr())
    assert (body, ["file"]) == (file.read_bytes(), os.listdir(tmp_path))


def test_output_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without a directory, and an empty body, make a file there."""
    monkeypatch.chdir(tmp_path)
    with Server() as server:
        code = main(["get", "-o", "file", server.url])

    assert (0, ["file"], 0) == (code, os.listdir(tmp_path), (tmp_path / "file").stat().st_size)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([reply(headers={"Content-Length": "9"}), b"half", HalfClose()], 6),
        ([reply(headers={"Content-Length": "9"}), b"half"], 4),
        (reply(500, b"an error page"), 22),
    ],
)
@pytest.mark.parametrize("before", [None, b"what was there"])
def test_a_failure_leaves_no_half_file(script: object, code: int, before: bytes | None, tmp_path: Path) -> None:
    """The file is what it was before, or is not there; nothing else is left beside it."""
    file = tmp_path / "file"
    if before is not None:
        file.write_bytes(before)
    with Server(script) as server:  # type: ignore[arg-type]  # each row is a script
        got = main(["get", "--fail", "--timeout", "0.5", "-o", str(file), server.url])

    left = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

    assert (code, {} if before is None else {"file": before}) == (got, left)


def test_nothing_is_sent_where_the_file_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory that is missing, or stands in the file's place, is wrong usage: one line and no request."""
    missing = tmp_path / "none" / "such"
    with Server() as server:
        codes = [main(["get", "-o", str(path), server.url]) for path in (missing, tmp_path)]
        connections = server.connections
    out, err = capsys.readouterr()

    assert ([2, 2], "", 0) == (codes, out, connections)
    assert err.startswith(f"unifetch: FileNotFoundError: [Errno 2] No such file or directory: {str(missing)!r}\n")
    assert err.endswith(f"Is a directory: {str(tmp_path)!r}\n") or os.name == "nt"
    assert err.count("\n") == 2


@pytest.mark.skipif(os.name == "nt", reason="about POSIX files")
def test_links_and_permissions_stay(tmp_path: Path) -> None:
    """A symbolic link still leads to the file, and a private file stays private."""
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"old")
    file.chmod(0o600)
    link.symlink_to("file")
    with Server(reply(body=b"new")) as server:
        main(["get", "-o", str(link), server.url])

    assert (b"new", 0o600, True) == (file.read_bytes(), stat.S_IMODE(file.stat().st_mode), link.is_symlink())


@pytest.mark.skipif(os.name == "nt", reason="about POSIX files")
def test_a_device_is_written_and_not_replaced(tmp_path: Path) -> None:
    """`-o` to a named pipe, as to /dev/null, goes through it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with Server(reply(body=b"through")) as server:
        code = main(["get", "-o", str(pipe), server.url])
    reader.join()

    assert (0, [b"through"], True) == (code, read, stat.S_ISFIFO(pipe.stat().st_mode))


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """As everywhere."""
    with Server(reply(body=b"hello")) as server:
        code = main(["get", "-o", "-", server.url])

    assert (0, ("hello", "")) == (code, capsys.readouterr())


def test_another_method_writes_to_a_file(tmp_path: Path) -> None:
    """`-o` is not only for a GET."""
    file = tmp_path / "file"
    with Server(reply(404, b"the answer")) as server:
        code = main(["-d", "x", "-o", str(file), server.url])

    assert (0, b"the answer", ["file"]) == (code, file.read_bytes(), os.listdir(tmp_path))


def test_an_error_page_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A GET into a file needs no `--fail` to fail."""
    with Server(reply(404, b"no such file")) as server:
        code = main(["get", "-o", str(tmp_path / "file"), server.url])
        err = f"unifetch: StatusError: 404 Not Found for GET {server.url}/, which brings no file\n"

    assert (22, ("", err), []) == (code, capsys.readouterr(), os.listdir(tmp_path))


@pytest.mark.parametrize("backend", available_backends())
def test_continue(backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What broke off says so, and `-c` gets the rest of it."""
    file = tmp_path / "file"
    cut: list[Script] = [reply(headers={"Content-Length": "9", "ETag": '"1"'}), b"half", HalfClose()]
    with Server(cut, reply(206, b" file", {"Content-Range": "bytes 4-8/9", "ETag": '"1"'})) as server:
        first = main(["get", "-b", backend, "-o", str(file), server.url])
        err = capsys.readouterr().err
        second = main(["get", "-b", backend, "-c", "-o", str(file), server.url])
        asked = server.requests[1].header("range")

    assert (6, 0, "bytes=4-") == (first, second, asked)
    assert err.endswith("\nunifetch: 4 bytes are kept, to resume from\n")
    assert (b"half file", ["file"], ("", "")) == (file.read_bytes(), os.listdir(tmp_path), capsys.readouterr())


@pytest.mark.parametrize("words", [[], ["-o", "-"], ["-o", "file", "-d", "x"], ["-o", "file", "-X", "PUT"]])
def test_continue_needs_a_file(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to go on with: wrong usage, and nothing is sent."""
    monkeypatch.chdir(tmp_path)
    with Server() as server:
        assert (2, 0, []) == (main(["get", "-c", *words, server.url]), server.connections, os.listdir(tmp_path))


# --- backends -------------------------------------------------------------------------------------


def test_backends_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Each backend has a line, with the version that is imported or the command that installs it."""
    code = main(["backends"])
    out, err = capsys.readouterr()
    lines = out.splitlines()
    found = {line[2:].split(maxsplit=1)[0]: line[2:].split(maxsplit=1)[1] for line in lines[: len(BACKENDS)]}

    assert (0, "") == (code, err)
    assert list(BACKENDS) == list(found)
    assert found["urllib"] == "Python {}.{}.{}".format(*sys.version_info)
    for name in ("requests", "httpx", "httpx2", "urllib3"):
        if not is_installed(name):
            assert found[name] == f"not installed: pip install 'unifetch-http[{name}]'"
            continue
        engine = {"requests": "urllib3", "httpx": "httpcore", "httpx2": "httpcore2"}.get(name)
        version = sys.modules[name].__version__
        assert found[name] == (f"{version} on {engine} {sys.modules[engine].__version__}" if engine else version)


def test_backends_shows_capabilities(capsys: pytest.CaptureFixture[str]) -> None:
    """Below, a table says who declares what."""
    main(["backends"])
    lines = capsys.readouterr().out.splitlines()
    heading = next(line for line in lines if line.startswith("capability"))
    http2 = next(line for line in lines if line.startswith("HTTP2"))

    assert heading.split() == ["capability", *available_backends()]
    assert len(http2.split()) == 1 + len(available_backends())
    assert http2.split()[1] == "no"
    assert "  speaks HTTP/2 where it is asked for and the server offers it" in lines


@pytest.mark.parametrize("there", [True, False])
def test_backends_says_what_http2_lacks(
    there: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where `socket` has not the library that HTTP/2 needs, the row says so, and how to install it."""
    monkeypatch.setattr(command_line, "find_spec", lambda name: object() if there else None)
    main(["backends"])
    out = capsys.readouterr().out

    assert there is ("socket lacks the library h2 for it: pip install 'unifetch-http[http2]'" not in out)


def test_backends_without_a_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not installed says how to install it, and has no column."""
    monkeypatch.setattr(command_line, "is_installed", lambda name: name == "urllib")
    code = main(["backends"])
    out = capsys.readouterr().out

    assert code == 0
    assert "  httpx2     not installed: pip install 'unifetch-http[httpx2]'\n" in out
    assert "\ncapability       urllib\n" in out


def test_backends_with_a_broken_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A library that cannot be imported says why, within 80 columns; the others are listed as always."""

    def broken(name: str) -> object:
        if name == "socket":
            raise AttributeError("broken\n" * 50)
        return capabilities(name)

    monkeypatch.setattr(command_line, "capabilities_of", broken)
    code = main(["backends"])
    lines = capsys.readouterr().out.splitlines()

    assert code == 0
    assert r"  socket     broken: AttributeError: broken\nbroken\n" in next(line for line in lines if "broken" in line)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("value", "name", "reason"), [(None, "urllib", "the default"), ("socket", "socket", "UNIFETCH_BACKEND")]
)
def test_backends_says_which_is_the_default(
    value: str | None, name: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One is marked, and a line says who decided that."""
    if value is not None:
        monkeypatch.setenv("UNIFETCH_BACKEND", value)
    main(["backends"])
    out = capsys.readouterr().out

    assert [name] == re.findall(r"^\* (\w+)  ", out, re.MULTILINE)
    assert f"\n* {name} is used where none is named ({reason}).\n" in out


def test_backends_with_an_unknown_default(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The list is printed, and the error says that no call would work."""
    monkeypatch.setenv("UNIFETCH_BACKEND", "nonesuch")
    code = main(["backends"])
    out, err = capsys.readouterr()

    assert (2, len(BACKENDS)) == (code, sum(f"\n  {name} " in f"\n{out}" for name in BACKENDS))
    assert err.startswith("unifetch: UnknownBackend: unknown backend 'nonesuch'; known are urllib, ")


@pytest.mark.parametrize("sign", ["version", "backend"])
def test_backends_warns_of_urllib3_future(
    sign: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """niquests installs another library under the name of urllib3, which shows by its version or a module."""
    urllib3 = pytest.importorskip("urllib3", reason="urllib3 is not installed")
    warning = "\nWarning: niquests has put urllib3-future in the place of urllib3.\n"
    main(["backends"])
    before = capsys.readouterr().out
    if sign == "version":
        monkeypatch.setattr(urllib3, "__version__", "2.13.907")
    else:
        monkeypatch.setattr(urllib3, "backend", object(), raising=False)
    main(["backends"])
    after = capsys.readouterr().out

    assert warning not in before
    assert warning in after


# --- The terminal ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["backends", "demo"])
def test_in_a_terminal_of_80_columns(command: str) -> None:
    """There are colours, and no line is wider than the terminal."""
    code, written = in_terminal(command)
    lines = ESCAPES.sub("", written).split("\n")

    assert code == 0
    assert {"\x1b[1m", "\x1b[32m", "\x1b[0m"} <= set(ESCAPES.findall(written))
    assert [] == [line for line in lines if len(line) > 80 or not line.isprintable()]


@pytest.mark.parametrize(
    ("command", "environment"),
    [("backends", {"NO_COLOR": "1"}), ("backends", {"TERM": "dumb"}), ("demo", {"NO_COLOR": "1"})],
)
def test_without_colours(command: str, environment: dict[str, str]) -> None:
    """NO_COLOR and a terminal that knows none get plain text: not one escape."""
    code, written = in_terminal(command, **environment)

    assert code == 0
    assert "\x1b" not in written


def test_an_empty_no_color_counts_as_none() -> None:
    """As the convention says."""
    assert "\x1b[" in in_terminal("backends", NO_COLOR="")[1]


@pytest.mark.parametrize("command", ["backends", "demo"])
def test_through_a_pipe(command: str) -> None:
    """No colours, no trailing blanks, and nothing on standard error; ASCII is enough for standard output."""
    done = subprocess.run([*COMMAND, command], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})

    assert (0, b"") == (done.returncode, done.stderr)
    assert b"\x1b" not in done.stdout
    assert [] == [line for line in done.stdout.decode("ascii").splitlines() if line != line.rstrip() or len(line) > 80]


def test_each_stream_is_coloured_for_itself() -> None:
    """With standard error on a terminal, `-v` has colours, whatever is in the body; without one, it has none."""
    with Server(reply(body=b"hello\n")) as server:
        _, written = in_terminal("get", "-v", server.url)
        _, plain = in_terminal("get", "-v", server.url, NO_COLOR="1")
        piped = subprocess.run([*COMMAND, "get", "-v", server.url], capture_output=True, text=True)

    assert "< \x1b[36mContent-Length\x1b[0m: 6\n" in written
    assert plain == ESCAPES.sub("", written)
    assert ("hello\n", plain) == (piped.stdout, piped.stderr + piped.stdout)


def test_no_color_at_run_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for each command, not once for the process."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    shown = []
    for value in ("", "1", ""):
        monkeypatch.setenv("NO_COLOR", value)
        shown.append(Style(Terminal()).red("x"))

    assert ["\x1b[31mx\x1b[0m", "x", "\x1b[31mx\x1b[0m"] == shown


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1", "TERM": "dumb"}])
def test_a_download_shows_its_progress(environment: dict[str, str], tmp_path: Path) -> None:
    """One line of at most 79 columns, drawn over itself in plain characters, and left with what it came to."""
    body = bytes(500_000)
    with Server(reply(body=body)) as server:
        code, written = in_terminal("get", "-o", str(tmp_path / "file"), server.url, **environment)
    drawings = written.split("\r")

    assert (0, "", body) == (code, drawings[0], (tmp_path / "file").read_bytes())
    assert re.fullmatch(r"  0% \[> +\]      0 B       0 B/s     -:--", drawings[1])
    assert re.fullmatch(r"100% \[=+\]   500 kB +[0-9.]+ [kMG]?B/s +[0-9]:[0-9]{2}\n", drawings[-1])
    assert [] == [each for each in drawings if len(each.rstrip("\n")) > 79 or not each.rstrip("\n").isprintable()]


def test_the_progress_of_what_fails_is_cleared(tmp_path: Path) -> None:
    """The error then stands on a line of its own."""
    with Server([reply(headers={"Content-Length": "9"}), b"half", HalfClose()]) as server:
        code, written = in_terminal("get", "-o", str(tmp_path / "file"), server.url)
    *_, drawn, blank, error = written.split("\r")

    assert (6, "", len(drawn)) == (code, blank.strip(" "), len(blank))
    assert error.startswith("unifetch: IncompleteBody: ")


def test_no_progress_but_on_a_terminal(tmp_path: Path) -> None:
    """Neither through a pipe, nor where the body itself goes to the terminal."""
    with Server(reply(body=b"hello\n")) as server:
        piped = subprocess.run([*COMMAND, "get", "-o", str(tmp_path / "file"), server.url], capture_output=True)
        _, written = in_terminal("get", server.url)

    assert (b"", b"", "hello\n") == (piped.stdout, piped.stderr, written)


def test_help_fits_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The help of every command is at most 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")
    for words in (["--help"], ["--help-all"], ["get", "--help-all"], ["backends", "--help"], ["demo", "--help"]):
        with pytest.raises(SystemExit):
            main(words)

    assert [] == [line for line in capsys.readouterr().out.splitlines() if len(line) > 80]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` says what is installed."""
    with pytest.raises(SystemExit) as exit:
        main(["--version"])

    assert (0, f"unifetch {__version__}\n") == (exit.value.code, capsys.readouterr().out)


def test_as_a_module() -> None:
    """`python -m unifetch` is the same command."""
    with Server(reply(body=b"hello")) as server:
        done = subprocess.run([*COMMAND, "get", server.url], capture_output=True)

    assert (0, b"hello", b"") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("words", [["backends"], ["backends", "--all"]])
def test_the_list_fits_a_narrow_terminal(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 40 columns it has no table, and no line that is longer; each capability names who has it."""
    monkeypatch.setenv("COLUMNS", "40")
    main(words)
    lines = capsys.readouterr().out.splitlines()

    assert [] == [line for line in lines if len(line) > 40]
    assert "INTERIM_EVENTS" in lines or len(available_backends()) < 3


def test_the_demonstration_fits_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 40 columns it leaves out columns, not the ends of lines; but a command to copy stays whole."""
    monkeypatch.setenv("COLUMNS", "40")

    assert 0 == main(["demo"])
    lines = capsys.readouterr().out.splitlines()
    assert [] == [line for line in lines if len(line) > 40 and "pip install" not in line]
    assert ["request", "backend", "status", "bytes"] in [line.split() for line in lines]
