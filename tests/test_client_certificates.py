"""Which client certificate is shown to whom, and the keys that unlock one."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from unifetch import TLS, Client, TLSError
from unifetch.errors import InvalidSetting
from unifetch.testing import Server, reply
from unifetch.testing.awaited import AwaitedClient
from unifetch.testing.conformance.handshakes import asks_for_a_certificate
from unifetch.testing.conformance.routes import authority


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, Any]:
    """The settings of a client that trusts the servers of the tests, and has a certificate of its own."""
    path = tmp_path / "client.pem"
    authority().certificate("client.test").private_key_and_cert_chain_pem.write_to_path(path)
    return {**authority().trusted, "client_cert": str(path)}


@pytest.mark.parametrize("kind", [Client, AwaitedClient])
def test_a_certificate_belongs_to_its_origin(backend: str, kind: Any, tls: dict[str, Any]) -> None:
    """It is shown to the origin that was asked, and to no other that a redirect leads to."""
    context = asks_for_a_certificate(ssl.TLSVersion.TLSv1_2)
    with Server(reply(200), tls=context) as other, kind(backend, tls=tls) as client:
        away = {"/": "/again", "/again": other.url}
        with Server(lambda asked: reply(302, headers={"Location": away[asked.target]}), tls=context) as home:
            with pytest.raises(TLSError):
                client.get(home.url)

            assert (["/", "/again"], []) == ([each.target for each in home.requests], other.requests)


@pytest.mark.parametrize("kind", [Client, AwaitedClient])
def test_a_certificate_of_a_client_with_a_base_url(backend: str, kind: Any, tls: dict[str, Any]) -> None:
    """It belongs to the origin of that, as all credentials of the client; for another the call has to give it."""
    context = asks_for_a_certificate(ssl.TLSVersion.TLSv1_2)
    with Server(reply(200), tls=context) as home, Server(reply(200), tls=context) as other:
        with kind(backend, tls=tls, base_url=home.url) as client:
            assert 200 == client.get("/").status
            with pytest.raises(TLSError):
                client.get(other.url)
            assert 200 == client.get(other.url, tls=tls).status

            assert (1, 1) == (len(home.requests), len(other.requests))


def test_what_a_proxy_gets() -> None:
    """Whom to trust, and neither the certificate of the client nor the trust that an origin has without one."""
    settings = TLS(verify=False, ca_file="/ca.pem", client_cert="/me.pem", min_version="1.3", check_hostname=False)

    assert TLS(ca_file="/ca.pem", min_version="1.3") == settings.for_proxy()


def test_a_locked_key(tmp_path: Path) -> None:
    """With its passphrase the certificate is shown, and without it, or with another, the error is about that file."""
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    issued = authority().certificate("client.test")
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    plain = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked = serialization.BestAvailableEncryption(b"open sesame")
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(plain.private_bytes(serialization.Encoding.PEM, form, locked))
    context = asks_for_a_certificate(ssl.TLSVersion.TLSv1_2)
    with Server(reply(200), tls=context) as server, Client("socket") as client:
        tls = {**authority().trusted, "client_cert": (certificate, key, "open sesame")}

        assert 200 == client.get(server.url, tls=tls).status
        for cert in [(certificate, key), (certificate, key, "shut")]:
            with pytest.raises(InvalidSetting, match=r"client\.key.*is its key locked\?") as caught:
                client.get(server.url, tls={**tls, "client_cert": cert})
            assert "shut" not in str(caught.value)
