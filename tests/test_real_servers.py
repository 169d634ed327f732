"""Every backend against servers that others wrote: nginx and the standard library's, over plain HTTP and TLS."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import socket
import ssl
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import servers
from unifetch import (
    Capability,
    Client,
    ConnectionLost,
    IncompleteBody,
    TLSError,
    TooManyRedirects,
    TotalTimeout,
    get,
)
from unifetch.testing import Close, HalfClose, OnConnect, Server, StartTLS, Step, Truncate, reply


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Nginx]:
    """One nginx for all tests of this module."""
    with servers.nginx(tmp_path_factory.mktemp("nginx")) as running:
        yield running


@pytest.fixture(scope="module")
def http_server() -> Iterator[str]:
    """The URL of the standard library's server."""
    with servers.http_server() as url:
        yield url


@pytest.fixture
def client(backend: str) -> Iterator[Client]:
    """A client over each backend; it trusts the authority of the tests and nobody else."""
    with Client(backend=backend, tls={"ca_file": servers.certificate_authority().ca_file}, timeout=20) as made:
        yield made


@pytest.fixture(params=["http", "https"])
def url(request: pytest.FixtureRequest, nginx: servers.Nginx) -> str:
    """Where nginx listens, without and with TLS."""
    return nginx.url if request.param == "http" else nginx.tls_url


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Fills with the address of each connection that is opened."""
    opened: list[object] = []
    connect = socket.socket.connect

    def counted(sock: socket.socket, address: Any) -> None:
        opened.append(address)
        connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect", counted)
    return opened


# --- nginx, over plain HTTP and TLS ---------------------------------------------------------------


def test_text(client: Client, url: str) -> None:
    """A page, its charset, and what carried it; over TLS nginx would speak HTTP/2, which nobody offers."""
    response = client.get(f"{url}/text")

    assert (200, servers.TEXT.decode(), "HTTP/1.1") == (response.status, response.text, response.http_version)
    assert ("text/plain; charset=utf-8", str(len(servers.TEXT))) == (
        response.headers["content-type"],
        response.headers["content-length"],
    )


def test_json(client: Client, url: str) -> None:
    """A document."""
    assert json.loads(servers.JSON) == client.get(f"{url}/json").json()


@pytest.mark.parametrize("path", ["/redirect", "/redirect-relative"])
def test_redirect(client: Client, url: str, path: str) -> None:
    """An absolute Location, as nginx writes it by default, and a relative one."""
    response = client.get(url + path)

    assert (servers.TEXT, f"{url}/text", [302]) == (
        response.body,
        response.url,
        [each.status for each in response.history],
    )


def test_redirect_that_keeps_the_method(client: Client, url: str) -> None:
    """307 sends the body again, from its start."""
    assert b"POST" == client.post(f"{url}/redirect-307", body=io.BytesIO(b"body")).body


def test_redirect_loop(client: Client, url: str) -> None:
    """It ends at the limit."""
    with pytest.raises(TooManyRedirects):
        client.get(f"{url}/redirect-loop", redirects=3)


def test_gzip(client: Client, url: str) -> None:
    """What nginx compresses on the fly, in chunks, comes out as it went in."""
    response = client.get(f"{url}/gzip")
    plain = client.get(f"{url}/gzip", headers={"Accept-Encoding": "identity"})

    assert ("gzip", None) == (response.headers["content-encoding"], plain.headers.get("content-encoding"))
    assert servers.COMPRESSIBLE == response.body == plain.body


def test_large(client: Client, url: str) -> None:
    """Eight megabytes, in memory and in pieces."""
    with client.stream("GET", f"{url}/large") as response:
        pieces = list(response.body)

    assert servers.LARGE == client.get(f"{url}/large").body == b"".join(pieces)
    assert len(servers.LARGE) // 64 > max(map(len, pieces))


def test_a_stream_that_is_left(client: Client, url: str) -> None:
    """Its rest is nobody's: the next request gets its own answer."""
    for _ in range(3):
        with client.stream("GET", f"{url}/large") as response:
            next(response.body)
        assert servers.TEXT == client.get(f"{url}/text").body


def test_range(client: Client, url: str) -> None:
    """A part of it, by a field of the caller's."""
    response = client.get(f"{url}/range", headers={"Range": "bytes=256-511"})

    assert (206, f"bytes 256-511/{len(servers.LARGE)}", servers.LARGE[256:512]) == (
        response.status,
        response.headers["content-range"],
        response.body,
    )


def test_head(client: Client, url: str, connects: list[object]) -> None:
    """The fields of a large body without it, and the connection goes on."""
    response = client.head(f"{url}/large")

    assert (200, b"", str(len(servers.LARGE))) == (response.status, response.body, response.headers["content-length"])
    assert servers.TEXT == client.get(f"{url}/text").body
    assert 1 == len(connects)


@pytest.mark.parametrize("status", servers.STATUSES)
def test_status(client: Client, nginx: servers.Nginx, status: int) -> None:
    """Every status is a response."""
    assert status == client.get(f"{nginx.url}/status/{status}").status


def test_upload(client: Client, url: str, nginx: servers.Nginx, tmp_path: Path) -> None:
    """Bytes, a file and an iterator arrive whole; what is there can be replaced and removed."""
    path = tmp_path / "file"
    path.write_bytes(servers.LARGE)
    stored = nginx.uploads / "stored"
    with path.open("rb") as file:
        for body in (
            b"short",
            file,
            (servers.LARGE[at : at + 100_000] for at in range(0, len(servers.LARGE), 100_000)),
        ):
            assert client.put(f"{url}/upload/stored", body=body).status in (201, 204)
            assert (b"short" if isinstance(body, bytes) else servers.LARGE) == stored.read_bytes()

    assert 204 == client.delete(f"{url}/upload/stored").status
    assert not stored.exists()


def test_upload_that_is_refused(client: Client, url: str, nginx: servers.Nginx) -> None:
    """The server's 413 is heard, though it comes long before the upload ends, and the client goes on."""
    if Capability.EARLY_RESPONSE not in client.backend.capabilities:
        pytest.skip(f"{client.backend.name} does not declare EARLY_RESPONSE")

    assert 413 == client.put(f"{url}/limited/file", body=servers.LARGE).status
    assert 413 == client.put(f"{url}/limited/file", body=iter([b"x" * 1000] * 1000)).status
    assert [] == [path.name for path in nginx.uploads.iterdir()]
    assert servers.TEXT == client.get(f"{url}/text").body


@pytest.mark.parametrize("target", ["/echo-target", "/echo-target?a=%41%7e&b=c+d&e=%C3%A9", "/echo-target?"])
def test_target(client: Client, url: str, target: str) -> None:
    """nginx sees the target as it was written."""
    assert target == client.get(url + target).text


def test_user_agent(client: Client, url: str) -> None:
    """The caller's, or ours."""
    assert "mine" == client.get(f"{url}/echo-user-agent", headers={"User-Agent": "mine"}).text
    assert client.get(f"{url}/echo-user-agent").text.startswith("unifetch/")


def test_cookies(client: Client, url: str) -> None:
    """Both are kept, and sent back."""
    response = client.get(f"{url}/cookies")

    assert ["a=1; Path=/", "b=2; Path=/"] == response.headers.get_all("set-cookie")
    assert "a=1; b=2" == client.get(f"{url}/echo-cookies").text


def test_basic_auth(client: Client, url: str) -> None:
    """By an argument and by the URL; without it is a 401."""
    with_userinfo = url.replace("://", "://user:secret@")

    assert 401 == client.get(f"{url}/basic-auth").status
    assert servers.TEXT == client.get(f"{url}/basic-auth", auth=("user", "secret")).body
    assert servers.TEXT == client.get(f"{with_userinfo}/basic-auth").body


def test_keep_alive(client: Client, url: str, connects: list[object]) -> None:
    """One connection for requests of every kind."""
    for path in ("/text", "/gzip", "/status/204", "/status/404", "/redirect-relative", "/large"):
        client.get(url + path)
    client.post(f"{url}/echo-method", body=b"x")

    assert 1 == len(connects)


def test_no_keep_alive(client: Client, url: str, connects: list[object]) -> None:
    """Where nginx closes after each response, each has a connection."""
    for _ in range(3):
        assert servers.TEXT == client.get(f"{url}/close").body

    assert 3 == len(connects)


def test_total_timeout(client: Client, url: str) -> None:
    """A body that would take half a minute ends at the deadline, whole or as a stream."""
    with pytest.raises(TotalTimeout):
        client.get(f"{url}/slow", timeout=0.2)
    with pytest.raises(TotalTimeout), client.stream("GET", f"{url}/slow", timeout=0.2) as response:
        response.read()


def test_threads(client: Client, url: str) -> None:
    """Eight share a client, and each gets its own answer."""

    def ask(number: int) -> bool:
        return f"/echo-target?{number}" == client.get(f"{url}/echo-target?{number}").text

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(80)))


# --- The standard library's server ----------------------------------------------------------------


def test_http_server(client: Client, http_server: str, connects: list[object]) -> None:
    """Text, JSON, a redirect, a status and an echo, on one connection."""
    assert servers.TEXT == client.get(f"{http_server}/text").body
    assert 3 == client.get(f"{http_server}/json").json()["count"]
    assert (servers.TEXT, f"{http_server}/text") == (
        client.get(f"{http_server}/redirect").body,
        client.get(f"{http_server}/redirect").url,
    )
    assert (404, b"") == (client.get(f"{http_server}/status/404").status, client.head(f"{http_server}/text").body)
    assert servers.LARGE == client.post(f"{http_server}/echo", body=servers.LARGE).body
    assert b'{"a":1}' == client.patch(f"{http_server}/echo", json={"a": 1}).body
    assert 1 == len(connects)


# --- Who is trusted -------------------------------------------------------------------------------


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext, *scripts: Any) -> Iterator[Server]:
    with Server(*(scripts or (reply(body=b"hello"),)), tls=context) as server:
        yield server


def refused(client: Client, server: Server, url: str | None = None, **call: Any) -> TLSError:
    """The error of a connection that must not come about; nothing may have been sent."""
    with pytest.raises(TLSError) as caught:
        client.get(url or server.url, **call)
    assert ("no", []) == (caught.value.request_sent, server.requests)
    return caught.value


@pytest.fixture
def authority() -> servers.CertificateAuthority:
    """The authority that `client` trusts."""
    return servers.certificate_authority()


def self_made(*names: Any, common_name: str, client_only: bool = False) -> tuple[ssl.SSLContext, bytes]:
    """A server's context with a certificate that no good authority would sign, and what to trust to accept it."""
    pytest.importorskip("trustme", reason="trustme is not installed")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if client_only:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(private + certificate)
        file.flush()
        context.load_cert_chain(file.name)
    return context, certificate


def test_trusted(client: Client, authority: servers.CertificateAuthority) -> None:
    """A certificate of the authority, for the address or the name that was asked for."""
    with tls_server(authority.server_context()) as server:
        assert b"hello" == client.get(server.url).body
        assert b"hello" == client.get(server.url.replace("127.0.0.1", "localhost")).body


def test_untrusted_authority(backend: str, client: Client, authority: servers.CertificateAuthority) -> None:
    """A certificate of somebody unknown is refused, by the system's trust store and by a file of one's own."""
    with tls_server(authority.server_context()) as server, Client(backend=backend) as system:
        refused(system, server)
    context, _ = self_made(common_name="127.0.0.1")
    with tls_server(context) as server:
        assert "certificate" in str(refused(client, server)).lower()


def test_wrong_name(client: Client, authority: servers.CertificateAuthority) -> None:
    """One for another name is refused, unless the name is not to be checked."""
    with tls_server(authority.server_context("other.test")) as server:
        refused(client, server)
        tls = {"ca_file": authority.ca_file, "check_hostname": False}
        assert b"hello" == client.get(server.url, tls=tls).body
        with pytest.raises(TLSError):
            client.get(server.url)


def test_expired(client: Client, authority: servers.CertificateAuthority) -> None:
    """One whose time is over is refused."""
    past = datetime.datetime(2001, 1, 1)
    with tls_server(authority.server_context(not_after=past)) as server:
        assert "expired" in str(refused(client, server))


def test_common_name_only(backend: str, tmp_path: Path) -> None:
    """One that names its host in the common name alone is refused (RFC 9110 §4.3.4), though its signer is trusted."""
    context, certificate = self_made(common_name="localhost")
    path = tmp_path / "trusted.pem"
    path.write_bytes(certificate)
    with tls_server(context) as server, Client(backend=backend, tls={"ca_file": path}, base_url=server.url) as client:
        refused(client, server)
        with pytest.raises(TLSError):
            client.get(server.url.replace("127.0.0.1", "localhost"))


def test_address_as_a_name(backend: str, tmp_path: Path) -> None:
    """An address is certified as an address; a DNS name that looks like one is none (RFC 9110 §4.3.5)."""
    pytest.importorskip("trustme", reason="trustme is not installed")
    from cryptography import x509

    context, certificate = self_made(x509.DNSName("127.0.0.1"), common_name="127.0.0.1")
    path = tmp_path / "trusted.pem"
    path.write_bytes(certificate)
    with tls_server(context) as server, Client(backend=backend, tls={"ca_file": path}) as client:
        refused(client, server)


def test_partial_wildcard(backend: str, tmp_path: Path) -> None:
    """A star stands for a whole label, not for a part of one (RFC 9525 §6.3)."""
    pytest.importorskip("trustme", reason="trustme is not installed")
    from cryptography import x509

    context, certificate = self_made(x509.DNSName("local*"), common_name="localhost")
    path = tmp_path / "trusted.pem"
    path.write_bytes(certificate)
    with tls_server(context) as server, Client(backend=backend, tls={"ca_file": path}) as client:
        with pytest.raises(TLSError):
            client.get(server.url.replace("127.0.0.1", "localhost"))


def test_certificate_of_a_client(backend: str, tmp_path: Path) -> None:
    """One that is for clients is none of a server (RFC 5280 §4.2.1.12)."""
    pytest.importorskip("trustme", reason="trustme is not installed")
    from ipaddress import ip_address

    from cryptography import x509

    for client_only in (False, True):
        address = x509.IPAddress(ip_address("127.0.0.1"))
        context, certificate = self_made(address, common_name="127.0.0.1", client_only=client_only)
        path = tmp_path / f"trusted-{client_only}.pem"
        path.write_bytes(certificate)
        with tls_server(context) as server, Client(backend=backend, tls={"ca_file": path}) as client:
            if client_only:
                refused(client, server)
            else:
                assert b"hello" == client.get(server.url).body


def test_old_version(client: Client, authority: servers.CertificateAuthority) -> None:
    """TLS 1.1 is refused by default (RFC 8996)."""
    context = authority.server_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is meant
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with tls_server(context) as server:
        refused(client, server)


def test_bytes_before_the_handshake(client: Client, authority: servers.CertificateAuthority) -> None:
    """What came in plain text before TLS is no part of a response."""
    injected = reply(200, b"injected")
    with Server(OnConnect(injected, StartTLS(authority.server_context()), injected), lifetime=20) as server:
        with pytest.raises(TLSError):
            client.get(server.url.replace("http:", "https:"))
        server.wait_closed()
        server.errors.clear()  # the handshake fails on its side as well


def test_verification_is_off_for_that_call_only(client: Client, authority: servers.CertificateAuthority) -> None:
    """The next call does not go on the connection that nobody has verified."""
    with tls_server(authority.server_context("other.test")) as server:
        for _ in range(2):
            assert b"hello" == client.get(server.url, tls=False).body
            with pytest.raises(TLSError):
                client.get(server.url)

        assert 2 == len(server.requests)


def test_verification_is_off_for_that_client_only(backend: str, authority: servers.CertificateAuthority) -> None:
    """Another client, and the module's functions, verify as ever."""
    with tls_server(authority.server_context()) as server:
        with Client(backend=backend, tls=False) as careless, Client(backend=backend) as careful:
            assert b"hello" == careless.get(server.url).body
            refused_before = len(server.requests)
            for ask in (careful.get, lambda url: get(url, backend=backend)):
                with pytest.raises(TLSError):
                    ask(server.url)

        assert 1 == refused_before == len(server.requests)


def test_verification_can_be_switched_on_again(backend: str, authority: servers.CertificateAuthority) -> None:
    """In a client that does not verify, a call may."""
    with tls_server(authority.server_context("other.test")) as server, Client(backend=backend, tls=False) as client:
        assert b"hello" == client.get(server.url).body
        with pytest.raises(TLSError):
            client.get(server.url, tls={"ca_file": authority.ca_file})


def test_minimum_version(client: Client, authority: servers.CertificateAuthority) -> None:
    """A server that is older than what is asked for is refused."""
    context = authority.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with tls_server(context) as server:
        refused(client, server, tls={"ca_file": authority.ca_file, "min_version": "1.3"})
        assert b"hello" == client.get(server.url).body


def test_a_server_without_tls(client: Client) -> None:
    """What answers in plain text is a TLSError as well."""
    with Server(OnConnect(reply(400), HalfClose())) as server:
        refused(client, server, url=server.url.replace("http:", "https:"))


def test_client_certificate(client: Client, nginx: servers.Nginx, authority: servers.CertificateAuthority) -> None:
    """It is shown where it is set, and only there."""
    tls = {"ca_file": authority.ca_file, "client_cert": nginx.client_certificate}

    assert 400 == client.get(nginx.client_certificate_url).status
    assert 200 == client.get(nginx.client_certificate_url, tls=tls).status
    assert 400 == client.get(nginx.client_certificate_url).status


# --- TLS that is cut ------------------------------------------------------------------------------

TRUNCATED = {
    "before the head": (b"", ConnectionLost),
    "in the head": (b"HTTP/1.1 200 OK\r\nContent-Le", ConnectionLost),
    "in a body with a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", IncompleteBody),
    "in chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", IncompleteBody),
    "in a body until the end": (b"HTTP/1.1 200 OK\r\n\r\npart", IncompleteBody),
}


@pytest.mark.parametrize("row", TRUNCATED)
def test_truncation(client: Client, authority: servers.CertificateAuthority, row: str) -> None:
    """A connection that ends without close_notify has not ended (RFC 9112 §9.8): somebody may have cut it."""
    if Capability.TLS_TRUNCATION not in client.backend.capabilities:
        pytest.skip(f"{client.backend.name} does not declare TLS_TRUNCATION")
    data, kind = TRUNCATED[row]
    with tls_server(authority.server_context(), [data, Truncate()]) as server:
        with pytest.raises(kind):
            client.post(server.url)


def test_an_end_that_is_announced(client: Client, authority: servers.CertificateAuthority) -> None:
    """With close_notify, the end of the connection is that of the body."""
    with tls_server(authority.server_context(), [b"HTTP/1.1 200 OK\r\n\r\nwhole", Close()]) as server:
        assert b"whole" == client.get(server.url).body


def test_alpn(client: Client, authority: servers.CertificateAuthority) -> None:
    """The protocols that are offered are those that were set (RFC 7301), and nobody changes them for the next."""
    context = authority.server_context()
    context.set_alpn_protocols(["of-this-test", "http/1.1"])
    spoken: list[str | None] = []

    class Note(Step):
        def run(self, connection: Any) -> None:
            spoken.append(connection.socket.selected_alpn_protocol())

    with tls_server(context, [Note(), reply(200)]) as server:
        for alpn in (["of-this-test"], ["http/1.1"], ["of-this-test"], []):
            client.get(server.url, tls={"ca_file": authority.ca_file, "alpn": alpn}, headers={"Connection": "close"})

    assert ["of-this-test", "http/1.1", "of-this-test", None] == spoken
