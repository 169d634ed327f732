"""Servers that others wrote, for tests of what is well-formed: nginx, the standard library's, and TLS by trustme.

What a misbehaving server does is scripted with `unifetch.testing.Server` instead; but one that does not even accept is
here. Everything here listens on loopback only, needs no privileges, writes nothing outside the directory that it is
given, and ends with its `with` block.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import http.server
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = b"hello from a real server\n"
JSON = b'{"greeting": "gr\xc3\xbc\xc3\x9f dich", "count": 3}'
COMPRESSIBLE = b"the same line again and again\n" * 200
LARGE = bytes(range(256)) * 4096 * 8  # 8 MiB
STATUSES = (204, 304, 400, 401, 403, 404, 410, 418, 429, 500, 503)


# --- TLS ------------------------------------------------------------------------------------------


class CertificateAuthority:
    """A certificate authority that lives as long as the process.

    Attributes:
        ca_file: its certificate, as a PEM file: what a client is told to trust.
    """

    def __init__(self) -> None:
        trustme = pytest.importorskip("trustme", reason="trustme is not installed")
        self._authority = trustme.CA()
        self._directory = tempfile.mkdtemp(prefix="unifetch-tests-")
        atexit.register(shutil.rmtree, self._directory, ignore_errors=True)
        self.ca_file = Path(self._directory, "ca.pem")
        self._authority.cert_pem.write_to_path(self.ca_file)

    def certificate(self, *names: str, **options: Any) -> Path:
        """A PEM file with a private key and its certificate chain for these names; options as of `CA.issue_cert`."""
        issued = self._authority.issue_cert(*(names or ("localhost", "127.0.0.1", "::1")), **options)
        handle, path = tempfile.mkstemp(suffix=".pem", dir=self._directory)
        os.close(handle)
        issued.private_key_and_cert_chain_pem.write_to_path(path)
        return Path(path)

    def server_context(self, *names: str, require_client: bool = False, **options: Any) -> ssl.SSLContext:
        """A server's context, with a certificate for these names (by default those of loopback)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(*names, **options))
        if require_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca_file)
        return context

    def client_context(self) -> ssl.SSLContext:
        """A client's context that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.ca_file))


@functools.cache
def certificate_authority() -> CertificateAuthority:
    """The one authority of this process; skips the test without trustme."""
    return CertificateAuthority()


# --- Nobody ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def silent_addresses(count: int) -> Iterator[list[tuple[int, Any]]]:
    """Addresses that give no answer: of listeners that accept nobody, and whose queues are full."""
    with contextlib.ExitStack() as stack:
        found: list[tuple[int, Any]] = []
        for _ in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.2", 0))
            listener.listen(0)
            found.append((socket.AF_INET, listener.getsockname()))
            for _ in range(8):
                peer = stack.enter_context(socket.socket())
                peer.setblocking(False)
                peer.connect_ex(listener.getsockname())
        yield found


# --- nginx ----------------------------------------------------------------------------------------


class Nginx(NamedTuple):
    """A running nginx.

    Attributes:
        url: over plain HTTP.
        tls_url: the same resources over TLS, HTTP/2 where a client offers it.
        client_certificate_url: over TLS, for clients with a certificate of our authority; answers with its subject.
        ca_file: what to trust.
        client_certificate: a PEM file with a client's key and certificate.
        uploads: where `PUT /upload/NAME` stores its body as NAME.
    """

    url: str
    tls_url: str
    client_certificate_url: str
    ca_file: Path
    client_certificate: Path
    uploads: Path


# Resources: what a test may ask for. `return` answers without reading a body; `dav_methods` reads and stores it.
_RESOURCES = """
    location = /text { default_type "text/plain; charset=utf-8"; alias %(root)s/text; }
    location = /json { default_type application/json; alias %(root)s/json; }
    location = /gzip { default_type text/plain; gzip on; gzip_types text/plain; gzip_vary on; alias %(root)s/gzip; }
    location = /large { default_type application/octet-stream; alias %(root)s/large; }
    location = /slow { default_type application/octet-stream; limit_rate 256k; alias %(root)s/large; }
    location = /range { default_type application/octet-stream; alias %(root)s/large; }
    location = /redirect { return 302 /text; }
    location = /redirect-relative { absolute_redirect off; return 302 /text; }
    location = /redirect-307 { return 307 /echo-method; }
    location = /redirect-loop { return 302 /redirect-loop; }
    location = /echo-method { default_type text/plain; return 200 "$request_method"; }
    location = /echo-target { default_type text/plain; return 200 "$request_uri"; }
    location = /echo-user-agent { default_type text/plain; return 200 "$http_user_agent"; }
    location = /echo-cookies { default_type text/plain; return 200 "$http_cookie"; }
    location = /cookies { add_header Set-Cookie "a=1; Path=/"; add_header Set-Cookie "b=2; Path=/"; return 200 "set"; }
    location = /basic-auth { auth_basic unifetch; auth_basic_user_file %(root)s/passwords;
                             default_type text/plain; alias %(root)s/text; }
    location = /close { keepalive_timeout 0; default_type text/plain; alias %(root)s/text; }
    location = /upload { client_max_body_size 64m; return 200 "taken"; }
    location /upload/ { client_max_body_size 64m; dav_methods PUT DELETE; alias %(root)s/uploads/; }
    location /limited/ { client_max_body_size 1k; dav_methods PUT; alias %(root)s/uploads/; }
"""

_CONFIGURATION = """
daemon off;
master_process off;
pid %(root)s/nginx.pid;
error_log %(root)s/error.log;
events { worker_connections 512; }
http {
  access_log %(root)s/access.log;
  client_body_temp_path %(root)s/body;
  proxy_temp_path %(root)s/proxy;
  fastcgi_temp_path %(root)s/fastcgi;
  uwsgi_temp_path %(root)s/uwsgi;
  scgi_temp_path %(root)s/scgi;
  ssl_certificate %(certificate)s;
  ssl_certificate_key %(certificate)s;
  keepalive_timeout 30s;
  server {
    listen 127.0.0.1:%(port)d;
    listen 127.0.0.1:%(tls_port)d ssl http2;
%(resources)s
  }
  server {
    listen 127.0.0.1:%(client_port)d ssl http2;
    ssl_client_certificate %(ca_file)s;
    ssl_verify_client on;
    location / { default_type text/plain; return 200 "$ssl_client_s_dn"; }
  }
}
"""


@contextlib.contextmanager
def nginx(directory: Path) -> Iterator[Nginx]:
    """Runs nginx with its files in this directory; skips the test where there is none.

    Resources: /text, /json, /gzip (on the fly), /large and /range (8 MiB, with Range), /slow (the same, 256 KiB/s),
    /redirect, /redirect-relative, /redirect-307, /redirect-loop, /status/CODE, /echo-method, /echo-target,
    /echo-user-agent, /echo-cookies, /cookies, /basic-auth (user, secret), /close, /upload (any method, does not look
    at the body), /upload/NAME (PUT stores the body, DELETE removes it), /limited/NAME (PUT of at most 1 KiB).
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    authority = certificate_authority()
    root = directory.resolve()
    uploads = root / "uploads"
    uploads.mkdir()
    for name, content in {"text": TEXT, "json": JSON, "gzip": COMPRESSIBLE, "large": LARGE}.items():
        (root / name).write_bytes(content)
    (root / "passwords").write_text("user:{PLAIN}secret\n", encoding="ascii")
    statuses = "".join(f"    location = /status/{code} {{ return {code}; }}\n" for code in STATUSES)
    settings = {
        "root": root,
        "resources": _RESOURCES % {"root": root} + statuses,
        "certificate": authority.certificate(),
        "ca_file": authority.ca_file,
    }
    # The ports are free when they are picked, and may be taken when nginx binds them: then pick others.
    for _ in range(5):
        port, tls_port, client_port = _free_ports(3)
        configuration = _CONFIGURATION % {**settings, "port": port, "tls_port": tls_port, "client_port": client_port}
        (root / "nginx.conf").write_text(configuration, encoding="utf-8")
        with (root / "output").open("wb") as output:
            process = subprocess.Popen(
                [program, "-p", str(root), "-c", str(root / "nginx.conf")],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            if _starts(process, root / "nginx.pid"):
                yield Nginx(
                    url=f"http://127.0.0.1:{port}",
                    tls_url=f"https://127.0.0.1:{tls_port}",
                    client_certificate_url=f"https://127.0.0.1:{client_port}",
                    ca_file=authority.ca_file,
                    client_certificate=authority.certificate("client.test"),
                    uploads=uploads,
                )
                return
        finally:
            stop(process)
    pytest.fail(f"nginx does not start: {(root / 'output').read_text()} {(root / 'error.log').read_text()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process; by force, if it takes more than five seconds."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as taken:
        sockets = [taken.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _starts(process: subprocess.Popen[bytes], pid_file: Path) -> bool:
    # nginx writes its pid once it listens on every port; a connection could be answered by somebody else.
    ends = time.monotonic() + 5.0
    while process.poll() is None and time.monotonic() < ends:
        if pid_file.exists():
            return True
        time.sleep(0.005)
    return False


# --- The standard library's server ----------------------------------------------------------------


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together

    def answer(self) -> None:
        """`/text`, `/json`, `/redirect`, `/status/CODE`; any other path echoes the request's body."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path = self.path.partition("?")[0]
        status, kind, location = 200, "application/octet-stream", None
        if path == "/text":
            kind, body = "text/plain; charset=utf-8", TEXT
        elif path == "/json":
            kind, body = "application/json", JSON
        elif path == "/redirect":
            status, location, body = 302, "/text", b""
        elif path.startswith("/status/"):
            status, body = int(path.removeprefix("/status/")), b""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if location is not None:
            self.send_header("Location", location)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that leaves in the middle is no news in a test


@contextlib.contextmanager
def http_server() -> Iterator[str]:
    """Runs the standard library's server, with keep-alive; gives its URL. For resources see `_Handler.answer`."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(5.0)
            for connection in list(server.open):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
