"""Every option of the command line, against a server and over every backend that can; a new one needs a row here."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servers import certificate_authority
from unifetch import available_backends
from unifetch.backends import capabilities
from unifetch.backends.base import Capability
from unifetch.cli.main import main
from unifetch.cli.manual import groups
from unifetch.testing import Close, RecordedRequest, Server, refused_port, reply

OPTIONS = [option.option_strings[-1] for _, options in groups() for option in options]
NEEDS = {
    "--resolve": Capability.RESOLVE,
    "--unix-socket": Capability.UNIX_SOCKET,
    "--http2": Capability.HTTP2,
    "--http2-only": Capability.HTTP2,
    "--proxy": Capability.PROXY,
    "--insecure": Capability.TLS_CONTEXT,
    "--cacert": Capability.TLS_CONTEXT,
    "--cert": Capability.TLS_CONTEXT,
    "--key": Capability.TLS_CONTEXT,
    "--path-as-is": Capability.EXACT_TARGET,
}
CASES = [
    (option, backend)
    for option in OPTIONS
    for backend in available_backends()
    if option not in NEEDS or NEEDS[option] in capabilities(backend)
]


class Run:
    """One command line over one backend."""

    def __init__(self, backend: str, path: Path, patch: pytest.MonkeyPatch, captured: Any) -> None:
        self.backend, self.path, self.patch, self._captured = backend, path, patch, captured
        self.code, self.out, self.err = -1, b"", ""

    def __call__(self, *words: str) -> Run:
        """Run it, and keep what it wrote."""
        try:
            self.code = main(["-b", self.backend, *words])
        except SystemExit as exit:
            self.code = int(str(exit.code))
        out, err = self._captured.readouterr()
        self.out, self.err = out, err.decode()
        return self

    def one(self, *words: str, answer: Any = None) -> RecordedRequest:
        """The request that a command line sends."""
        with Server(answer or reply(200, b"hello")) as server:
            self(*(word.replace("URL", server.url) for word in words))
            [request] = server.wait_requests(1)
        assert 0 == self.code, self.err
        return request


ROWS: dict[str, Callable[[Run], None]] = {}


def row(option: str) -> Callable[[Callable[[Run], None]], None]:
    def keep(check: Callable[[Run], None]) -> None:
        ROWS[option] = check

    return keep


def test_every_option_has_a_row() -> None:
    """One without would not have been tried."""
    assert sorted(OPTIONS) == sorted(ROWS)


@pytest.mark.parametrize(("option", "backend"), CASES)
def test_option(
    option: str,
    backend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """It does what its help says."""
    if option.startswith("--http2"):
        pytest.importorskip("h2")
    for name in ("NETRC", "UNIFETCH_BACKEND", "NO_PROXY", "no_proxy", "http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("random.random", lambda: 0.0)
    monkeypatch.chdir(tmp_path)
    ROWS[option](Run(backend, tmp_path, monkeypatch, capsysbinary))


# --- What is sent ---------------------------------------------------------------------------------


@row("--method")
def _(run: Run) -> None:
    assert "PURGE" == run.one("URL", "-X", "PURGE").method


@row("--header")
def _(run: Run) -> None:
    assert "1" == run.one("URL", "-H", "X-A: 1").header("x-a")


@row("--data")
def _(run: Run) -> None:
    request = run.one("URL", "-d", "a=1", "--data", "b=2")

    assert (b"a=1&b=2", "application/x-www-form-urlencoded") == (request.body, request.header("content-type"))


@row("--json")
def _(run: Run) -> None:
    request = run.one("URL", "--json", "[1]")

    assert (b"[1]", "application/json") == (request.body, request.header("content-type"))


@row("--form")
def _(run: Run) -> None:
    assert b"a=b+c" == run.one("URL", "-F", "a=b c").body


@row("--multipart")
def _(run: Run) -> None:
    assert (run.one("URL", "-F", "--multipart", "a=b").header("content-type") or "").startswith("multipart/form-data; ")


@row("--path-as-is")
def _(run: Run) -> None:
    assert "/a/../b" == run.one("URL/a/../b", "--path-as-is").target


# --- Who asks -------------------------------------------------------------------------------------


@row("--user")
def _(run: Run) -> None:
    assert "Basic bWU6cHc=" == run.one("URL", "-u", "me:pw").header("authorization")


@row("--digest")
def _(run: Run) -> None:
    challenge = reply(401, headers={"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    with Server(challenge, reply(200)) as server:
        run(server.url, "-u", "me:pw", "--digest")
        first, second = server.wait_requests(2)

    assert (0, None) == (run.code, first.header("authorization"))
    assert (second.header("authorization") or "").startswith('Digest username="me"')


@row("--bearer")
def _(run: Run) -> None:
    assert "Bearer t0k" == run.one("URL", "--bearer", "t0k").header("authorization")


@row("--netrc")
def _(run: Run) -> None:
    (run.path / "netrc").write_text("machine 127.0.0.1 login me password pw\n", "utf-8")
    (run.path / "netrc").chmod(0o600)
    run.patch.setenv("NETRC", str(run.path / "netrc"))

    assert "Basic bWU6cHc=" == run.one("URL", "--netrc").header("authorization")


@row("--cookie")
def _(run: Run) -> None:
    assert "a=1; b=2" == run.one("URL", "--cookie", "a=1; b=2").header("cookie")


@row("--cookie-jar")
def _(run: Run) -> None:
    with Server(reply(200, headers={"Set-Cookie": "a=1; Max-Age=100"}), reply(200)) as server:
        run(server.url, "--cookie-jar", "jar")
        run(server.url, "--cookie-jar", "jar")
        requests = server.wait_requests(2)

    assert (0, [None, "a=1"]) == (run.code, [request.header("cookie") for request in requests])


# --- The way there --------------------------------------------------------------------------------


@row("--backend")
def _(run: Run) -> None:
    run.one("URL", "--backend", run.backend, "-v")

    assert f"through {run.backend}" in run.err


@row("--timeout")
def _(run: Run) -> None:
    with Server(b"") as server:
        run(server.url, "--timeout", "0.2")

    assert 4 == run.code


@row("--retry")
def _(run: Run) -> None:
    with Server(reply(503), reply(503), reply(200)) as server:
        run(server.url, "--retry", "2", "--fail")
        server.wait_requests(3)

    assert 0 == run.code


@row("--redirects")
def _(run: Run) -> None:
    with Server(reply(302, headers={"Location": "/"})) as server:
        run(server.url, "-L", "1")
        requests = server.wait_requests(2)

    assert (6, 2) == (run.code, len(requests))
    assert "TooManyRedirects" in run.err


@row("--no-redirects")
def _(run: Run) -> None:
    run.one("URL", "--no-redirects", "-i", answer=reply(302, headers={"Location": "/b"}))

    assert run.out.startswith(b"HTTP/1.1 302 ")


@row("--insecure")
def _(run: Run) -> None:
    with Server(reply(200, b"hello"), tls=certificate_authority().server_context()) as server:
        run(server.url, "-k")

    assert (0, b"hello") == (run.code, run.out)


@row("--cacert")
def _(run: Run) -> None:
    authority = certificate_authority()
    with Server(reply(200, b"hello"), tls=authority.server_context()) as server:
        refused = run(server.url).code
        run(server.url, "--cacert", str(authority.ca_file))
        server.errors.clear()  # of the handshake that was refused

    assert (5, 0, b"hello") == (refused, run.code, run.out)


@row("--cert")
def _(run: Run) -> None:
    authority = certificate_authority()
    with Server(reply(200, b"hello"), tls=authority.server_context(require_client=True)) as server:
        run(server.url, "--cacert", str(authority.ca_file), "--cert", str(authority.certificate("client.test")))

    assert (0, b"hello") == (run.code, run.out)


@row("--key")
def _(run: Run) -> None:
    authority = certificate_authority()
    both = authority.certificate("client.test").read_text("ascii")
    key = both.index("-----END", both.index("PRIVATE KEY-----"))
    end = both.index("\n", key) + 1
    start = both.index("-----BEGIN")
    Path("key.pem").write_text(both[start:end], "ascii")
    Path("cert.pem").write_text(both[end:], "ascii")
    with Server(reply(200, b"hello"), tls=authority.server_context(require_client=True)) as server:
        run(server.url, "--cacert", str(authority.ca_file), "--cert", "cert.pem", "--key", "key.pem")

    assert (0, b"hello") == (run.code, run.out)


@row("--proxy")
def _(run: Run) -> None:
    assert "http://h.test/a" == run.one("http://h.test/a", "-x", "URL").target


@row("--no-proxy")
def _(run: Run) -> None:
    with refused_port() as port:
        run.patch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        run.one("URL", "--no-proxy")


@row("--resolve")
def _(run: Run) -> None:
    with Server(reply(200)) as server:
        run(f"http://api.test:{server.port}/", "--resolve", "api.test:127.0.0.1")

    assert (0, f"api.test:{server.port}") == (run.code, server.requests[0].header("host"))


@row("--unix-socket")
def _(run: Run) -> None:
    with Server(reply(200, b"hello"), unix_socket="s") as server:
        run("http://h.test/a", "--unix-socket", "s")

    assert (0, b"hello", "h.test") == (run.code, run.out, server.requests[0].header("host"))


@row("--http2")
def _(run: Run) -> None:
    peer = pytest.importorskip("unifetch.testing.http2", exc_type=ImportError)
    context = certificate_authority().server_context()
    context.set_alpn_protocols(["h2"])
    with peer.Server(tls=context) as server:
        run(server.url, "--http2", "-k", "-i")

    assert 0 == run.code, run.err
    assert run.out.startswith(b"HTTP/2 200")


@row("--http2-only")
def _(run: Run) -> None:
    peer = pytest.importorskip("unifetch.testing.http2", exc_type=ImportError)
    with peer.Server() as server:
        run(server.url, "--http2-only", "-i")

    assert 0 == run.code, run.err
    assert run.out.startswith(b"HTTP/2 200")


# --- What is received -----------------------------------------------------------------------------


@row("--include")
def _(run: Run) -> None:
    run.one("URL", "-i", answer=reply(200, b"hello", {"X-A": "1"}))

    assert b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello" == run.out


@row("-I")
def _(run: Run) -> None:
    assert "HEAD" == run.one("URL", "-I", answer=reply(200, headers={"X-A": "1"})).method
    assert run.out.startswith(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n")


@row("--output")
def _(run: Run) -> None:
    run.one("URL", "-o", "file")

    assert (b"", b"hello") == (run.out, Path("file").read_bytes())


@row("-O")
def _(run: Run) -> None:
    run.one("URL/a/name.txt?x", "-O")

    assert (["name.txt"], b"hello") == (os.listdir(), Path("name.txt").read_bytes())


@row("--continue")
def _(run: Run) -> None:
    whole, tag = b"0123456789" * 1000, {"ETag": '"v1"', "Accept-Ranges": "bytes"}

    def half(request: RecordedRequest) -> Any:
        if request.header("range") is None:
            return [reply(200, whole[:6000], {**tag, "Content-Length": "10000"}, framed=False), Close()]
        return reply(206, whole[6000:], {**tag, "Content-Range": "bytes 6000-9999/10000"})

    with Server(half) as server:
        broken = run(server.url, "-o", "file", "-c").code
        run(server.url, "-o", "file", "-c")
        ranges = [request.header("range") for request in server.wait_requests(2) if request.method == "GET"]

    assert (6, 0, whole) == (broken, run.code, Path("file").read_bytes()), run.err
    assert [None, "bytes=6000-"] == ranges


@row("--fail")
def _(run: Run) -> None:
    with Server(reply(404, b"no")) as server:
        run(server.url, "--fail")

    assert (22, b"") == (run.code, run.out)


@row("--limit")
def _(run: Run) -> None:
    with Server(reply(200, b"x" * 100_000)) as server:
        run(server.url, "--limit", "10k")

    assert 6 == run.code
    assert "TooLarge: --limit 10000" in run.err


@row("--no-decode")
def _(run: Run) -> None:
    coded = gzip.compress(b"hello", mtime=0)
    run.one("URL", "--no-decode", answer=reply(200, coded, {"Content-Encoding": "gzip"}))

    assert coded == run.out


# --- What is shown --------------------------------------------------------------------------------


@row("--verbose")
def _(run: Run) -> None:
    run.one("URL/a", "-v", "-u", "me:hunter2")

    assert re.search(r"^> GET /a HTTP/1\.1$.*^< HTTP/1\.1 200 OK$", run.err, re.M | re.S)
    assert "hunter2" not in run.err


@row("--timing")
def _(run: Run) -> None:
    run.one("URL", "--timing")

    assert re.search(r"^ +body +[0-9.]+ ms  5 bytes$", run.err, re.M)


@row("--trace")
def _(run: Run) -> None:
    run.one("URL", "--trace")

    assert re.search(r"^> 00000  47 45 54 20 2f", run.err, re.M)  # GET /


@row("--silent")
def _(run: Run) -> None:
    run.one("URL", "-s", "-o", "file")

    assert "" == run.err


@row("--as")
def _(run: Run) -> None:
    with Server() as server:
        run(server.url, "a=b", "--as", "python")

        assert 0 == server.connections
    assert f"backend={run.backend!r}" in run.out.decode()
    [found] = re.findall(r"json=(.*),\n", run.out.decode())
    assert {"a": "b"} == json.loads(found.replace("'", '"'))


@row("--help")
def _(run: Run) -> None:
    assert (0, b"usage: unifetch [METHOD] URL") == (run("--help").code, run.out[:28])


@row("--help-all")
def _(run: Run) -> None:
    assert (0, True) == (run("--help-all").code, b"--unix-socket FILE" in run.out)


@row("--version")
def _(run: Run) -> None:
    assert (0, b"unifetch ") == (run("--version").code, run.out[:9])
