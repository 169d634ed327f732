"""Handshakes that fail: one kind of error, no repetition, and words that say what it means and what to try."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import TLSError
from .. import Close, OnConnect, Reset, Server, Step, reply
from ..server import Connection
from .base import Conformance, requires
from .routes import authority


def asks_for_a_certificate(version: ssl.TLSVersion) -> ssl.SSLContext:
    """The context of a server that demands one of its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().configure(context, "127.0.0.1")
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    return context


# Each row: a body, made anew.
BODIES: dict[str, Callable[[], bytes | Iterator[bytes] | None]] = {
    "none": lambda: None,
    "small": lambda: b"x" * 1_000,
    "large": lambda: b"x" * 20_000_000,
    "blocks": lambda: iter([b"x" * 65_536] * 300),
}


class AfterHello(Step):
    """Ends the connection once something has come."""

    def __init__(self, end: Step) -> None:
        self.end = end

    def run(self, connection: Connection) -> None:
        connection.socket.recv(65536)
        self.end.run(connection)


class TestHandshakes(Conformance):
    """What is no TLS, or not ours."""

    @requires(Capability.TLS_CONTEXT, Capability.RESOLVE)
    @pytest.mark.parametrize("end", [Close(), Reset()])
    def test_ended_by_the_server(self, client: Client, end: Step) -> None:
        """It is an error of TLS, of the host that was asked for, and no second connection is made."""
        with Server(OnConnect(AfterHello(end))) as server:
            url = f"https://service.test:{server.port}/"
            with pytest.raises(TLSError, match=r"TLS with service\.test:") as caught:
                client.get(url, resolve={"service.test": "127.0.0.1"}, retry=3)
            text = str(caught.value)

            assert ("no", False, False) == (caught.value.request_sent, "Context" in text, "127.0.0.1" in text)
            assert 1 == server.connections

    @requires(Capability.TLS_CONTEXT)
    def test_a_server_that_speaks_no_tls(self, client: Client) -> None:
        """The words say so."""
        with Server(OnConnect(reply(400, b"no"))) as server:
            with pytest.raises(TLSError, match=r"does not speak TLS on this port; is it http://\?"):
                client.get(f"https://127.0.0.1:{server.port}/")

    @requires(Capability.TLS_CONTEXT)
    def test_no_version_in_common(self, client: Client) -> None:
        """A server that is too old for the settings: the words say which setting it is, and nothing is repeated."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority().configure(context, "127.0.0.1")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with Server(reply(200), tls=context) as server:
            with pytest.raises(TLSError, match="no version of TLS that both sides allow; tls min_version") as caught:
                client.get(server.url, tls={**authority().trusted, "min_version": "1.3"}, retry=3)

            assert ("no", 1) == (caught.value.request_sent, server.connections)

    @requires(Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("body", BODIES)
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_a_client_certificate_that_is_missing(self, client: Client, version: ssl.TLSVersion, body: str) -> None:
        """It is an error of TLS that says what to set, and nothing is repeated.

        With TLS 1.3 the handshake is over for the client before the server has seen what it shows (RFC 8446 §4.4.2), so
        the refusal comes in place of a response, and maybe while the request is still being written.
        """
        with Server(reply(200), tls=asks_for_a_certificate(version)) as server:
            with pytest.raises(TLSError, match="client certificate") as caught:
                client.request("PUT", server.url, body=BODIES[body](), tls=authority().trusted, retry=3)

            sent = ("no",) if version == ssl.TLSVersion.TLSv1_2 else ("no", "maybe")
            assert (True, 1) == (caught.value.request_sent in sent, server.connections)
            if version == ssl.TLSVersion.TLSv1_3:
                assert "asks for a client certificate, and none was shown; set tls client_cert" in str(caught.value)

    @requires(Capability.TLS_CONTEXT, Capability.HTTP2)
    @pytest.mark.parametrize("body", BODIES)
    def test_a_client_certificate_that_is_missing_in_http2(self, client: Client, body: str) -> None:
        """So it is where many requests would share the connection."""
        context = asks_for_a_certificate(ssl.TLSVersion.TLSv1_3)
        context.set_alpn_protocols(["h2"])
        with Server(reply(200), tls=context) as server:
            with pytest.raises(
                TLSError, match="asks for a client certificate, and none was shown; set tls client_cert"
            ):
                client.request("PUT", server.url, body=BODIES[body](), tls=authority().trusted, retry=3, http2=True)

            assert 1 == server.connections

    @requires(Capability.TLS_CONTEXT)
    def test_a_bundle_that_is_not_read(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where another library's variable names certificates, and one is not trusted, the error says what to set."""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/there/are/some.pem")
        with Server(reply(200), tls=authority().server("127.0.0.1")) as server:
            with pytest.raises(TLSError, match="REQUESTS_CA_BUNDLE is set, which is not read here") as caught:
                client.get(server.url)

            assert "/there" not in str(caught.value)
