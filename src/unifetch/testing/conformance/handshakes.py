"""Handshakes that fail: one kind of error, no repetition, and words that say what it means and what to try."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import ConnectionLost, IncompleteBody, ProtocolError, ProxyError, TLSError
from .. import Close, OnConnect, Reset, Server, Step, Truncate, reply
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
    @pytest.mark.parametrize("garbage", [b"220 mail.test ESMTP\r\n", b"SSH-2.0-x\r\n", b"\0" * 100, b"\xff" * 20_000])
    def test_another_protocol_on_the_port(self, client: Client, garbage: bytes) -> None:
        """Whatever else it is that the port speaks, it is no TLS, and nothing is repeated."""
        with Server(OnConnect(garbage, Close())) as server:
            with pytest.raises(TLSError, match=r"does not speak TLS on this port; is it http://\?") as caught:
                client.get(f"https://127.0.0.1:{server.port}/", retry=3)

            assert ("no", 1) == (caught.value.request_sent, server.connections)

    @pytest.mark.parametrize(
        "alert", [b"\x15\x03\x01\0\x02\x02\x46", b"\x15\x03\x03\0\x02\x02\x0a", b"\x16\x03\x03\0\x7a"]
    )
    def test_http_to_a_port_for_https(self, client: Client, alert: bytes) -> None:
        """What a TLS server says to a plain request is known: the words ask whether it is https://."""
        with Server([alert, Close()]) as server:
            with pytest.raises(ProtocolError, match=r"speaks TLS on this port; is it https://\?"):
                client.get(server.url, retry=3)

            assert 1 == server.connections

    def test_a_server_of_http2_only(self, client: Client) -> None:
        """One that begins with HTTP/2, whatever it is asked: the words say how to ask for that."""
        with Server(OnConnect(b"\0\0\x06\x04\0\0\0\0\0\0\3\0\0\0\x64", Close())) as server:
            with pytest.raises(ProtocolError, match='speaks HTTP/2, which http2="only" asks for'):
                client.get(server.url)

    @requires(Capability.TLS_CONTEXT)
    def test_no_protocol_that_both_speak(self, client: Client) -> None:
        """A server that takes none of those offered by ALPN says so (RFC 7301 §3.2); most likely it wants HTTP/2."""
        with Server(OnConnect(b"\x15\3\3\0\2\2\x78", Close())) as server:
            with pytest.raises(TLSError, match="http2=True offers HTTP/2 as well"):
                client.get(f"https://127.0.0.1:{server.port}/")

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_the_scheme_of_a_proxy(self, client: Client) -> None:
        """It is the same with a proxy, in both directions."""
        with Server([b"\x15\x03\x01\0\x02\x02\x46", Close()]) as server:
            with pytest.raises(ProxyError, match=r"speaks TLS on this port; is it https://\?"):
                client.get("https://origin.test/", proxy=server.url)
        with Server(OnConnect(reply(400), Close())) as server:
            with pytest.raises(ProxyError, match=r"does not speak TLS on this port; is it http://\?"):
                client.get("https://origin.test/", proxy=server.url.replace("http:", "https:"))

    @requires(Capability.TLS_CONTEXT)
    def test_an_end_without_close_notify(self, client: Client) -> None:
        """TLS that ends in the middle says where, what that means, and that it was cut off, as far as anybody knows."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        for sent, kind, where in (
            (b"", ConnectionLost, "before an answer came"),
            (head[:20], ConnectionLost, "within the response"),
            (head + b"hello", IncompleteBody, "within the response"),
        ):
            with Server([sent, Truncate()], tls=authority().server("127.0.0.1")) as server:
                with pytest.raises(kind, match=f"ended {where}, without close_notify .*: it may have been cut off"):
                    client.get(server.url, tls=authority().trusted)

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
        pytest.importorskip("h2")
        context = asks_for_a_certificate(ssl.TLSVersion.TLSv1_3)
        context.set_alpn_protocols(["h2"])
        with Server(reply(200), tls=context) as server:
            with pytest.raises(
                TLSError, match="asks for a client certificate, and none was shown; set tls client_cert"
            ):
                client.request("PUT", server.url, body=BODIES[body](), tls=authority().trusted, retry=3, http2=True)

            assert 1 == server.connections

    @requires(Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_a_bundle_that_is_not_read(self, client: Client, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
        """Where another library's variable names certificates, and one is not trusted, the error says what to set."""
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        with Server(reply(200), tls=authority().server("127.0.0.1")) as server:
            with pytest.raises(TLSError) as before:
                client.get(server.url)
            monkeypatch.setenv(variable, "/there/are/some.pem")
            with pytest.raises(TLSError, match=f"{variable} is set, which is not read here") as caught:
                client.get(server.url)

            assert "_CA_BUNDLE" not in str(before.value)
            assert "/there" not in str(caught.value)
