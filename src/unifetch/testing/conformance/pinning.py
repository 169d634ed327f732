"""Whom a client trusts by something else than the usual: one certificate, or a context of the caller's own."""

from __future__ import annotations

import hashlib
import ssl

import pytest

from ... import TLS, Client
from ...backends.base import Capability
from ...errors import TLSError
from .. import Server, reply
from .base import Conformance, requires
from .routes import authority


def fingerprint_of(port: int) -> str:
    certificate = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
    return f"sha-256:{hashlib.sha256(certificate).hexdigest()}"


class TestPinning(Conformance):
    """`TLS(fingerprint=…)` and `tls=context`."""

    @requires(Capability.TLS_CONTEXT)
    def test_a_certificate_by_its_fingerprint(self, client: Client) -> None:
        """It is trusted though nobody known has issued it, and for another name than its own."""
        with Server(reply(200, b"pinned"), tls=authority().server("service.test"), lifetime=30) as server:
            pin = fingerprint_of(server.port)
            colons = "SHA-256:" + ":".join(pin[8 + at : 10 + at].upper() for at in range(0, 64, 2))

            assert b"pinned" == client.get(server.url, tls={"fingerprint": pin}).body
            assert b"pinned" == client.get(server.url, tls=TLS(fingerprint=colons)).body

    @requires(Capability.TLS_CONTEXT)
    def test_any_other_certificate(self, client: Client) -> None:
        """It is refused, though an authority that is trusted has issued it, before anything is sent."""
        with Server(reply(200), tls=authority().server("127.0.0.1")) as server:
            other = {**authority().trusted, "fingerprint": "sha-256:" + 64 * "0"}
            with pytest.raises(TLSError, match="not the one that is pinned") as caught:
                client.get(server.url, tls=other)

            assert [] == server.requests
        assert "no" == caught.value.request_sent

    @requires(Capability.TLS_CONTEXT)
    def test_a_context_of_the_callers_own(self, client: Client) -> None:
        """It is used as it is."""
        context = ssl.create_default_context(cafile=authority().trusted["ca_file"])
        with Server(reply(200, b"mine"), tls=authority().server("127.0.0.1")) as server:
            assert b"mine" == client.get(server.url, tls=context).body
            with pytest.raises(TLSError):
                client.get(server.url, tls=ssl.create_default_context())
