"""SOCKS5 proxies: what they are asked for, and what their refusals come to."""

from __future__ import annotations

import time

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import (
    ConfigError,
    ConnectTimeout,
    ProxyError,
    TotalTimeout,
)
from .. import (
    Close,
    Drip,
    OnConnect,
    Receive,
    Reset,
    Script,
    Server,
    StartTLS,
    Step,
    reply,
)
from ..server import Connection
from .base import requires
from .routes import LOGIN, SHORT, Internet, Routes, Socks5, authority, proxy


class TestSocks(Routes):
    """A SOCKS proxy is asked for a name or for an address, and its answers are read to the byte."""

    # --- SOCKS5 ---

    @requires(Capability.SOCKS)
    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
    def test_socks_to_an_address(self, client: Client, host: str) -> None:
        """A SOCKS5 proxy is asked for a connection, and then sees the request as the origin would."""
        socks = Socks5()
        with Server(OnConnect(socks, Receive(), reply(200, b"body"))) as server:
            response = client.get(f"http://{host}:8080/path", proxy=proxy(server, scheme="socks5"))

            asked = server.requests[0]
            address = (1, b"\x7f\x00\x00\x01", 8080) if host == "127.0.0.1" else (4, b"\x00" * 15 + b"\x01", 8080)
            assert (b"\x00", None, address) == (socks.offered, socks.login, socks.destination)
            assert (b"body", "/path", f"{host}:8080") == (response.body, asked.target, asked.header("host"))

    @requires(Capability.SOCKS)
    def test_socks5_sends_an_address(self, client: Client, internet: Internet) -> None:
        """socks5 resolves the name here."""
        internet.answers = {"service.test": [["10.1.2.3"]]}
        socks = Socks5()
        with Server(OnConnect(socks, Receive(), reply(200))) as server:
            client.get("http://service.test/", proxy=proxy(server, scheme="socks5"))

            assert ((1, b"\x0a\x01\x02\x03", 80), "service.test") == (
                socks.destination,
                server.requests[0].header("host"),
            )

    @requires(Capability.SOCKS)
    def test_socks5h_sends_the_name(self, client: Client) -> None:
        """socks5h leaves it to the proxy."""
        socks = Socks5()
        with Server(OnConnect(socks, Receive(), reply(200))) as server:
            client.get("http://service.test/", proxy=proxy(server, scheme="socks5h"))

            assert (3, b"service.test", 80) == socks.destination

    @requires(Capability.SOCKS)
    @pytest.mark.parametrize(
        ("login", "expected"), [(LOGIN, (b"user", "p\u00e4ss:w@rd".encode())), (":x", (b"", b"x")), ("x:", (b"x", b""))]
    )
    def test_socks_login(self, client: Client, login: str, expected: tuple[bytes, bytes]) -> None:
        """User name and password go to a proxy that asks for them (RFC 1929), and nowhere else."""
        socks = Socks5(2)
        with Server(OnConnect(socks, Receive(), reply(200))) as server:
            client.get("http://service.test/", proxy=proxy(server, login, "socks5h"))

            assert (True, expected) == (2 in socks.offered, socks.login)
            assert not [name for name, _ in server.requests[0].headers if "authorization" in name.lower()]

    @requires(Capability.SOCKS)
    def test_socks_login_that_is_not_asked_for(self, client: Client) -> None:
        """A proxy that wants no login is told none."""
        socks = Socks5()
        with Server(OnConnect(socks, Receive(), reply(200, b"body"))) as server:
            response = client.get("http://service.test/", proxy=proxy(server, LOGIN, "socks5h"))

            assert (b"body", None, True) == (response.body, socks.login, 0 in socks.offered)

    @requires(Capability.SOCKS)
    def test_socks_login_that_is_too_long(self, client: Client) -> None:
        """One that the protocol has no room for is refused instead of cut."""
        with Server(OnConnect(Socks5(2))) as server:
            with pytest.raises(ConfigError, match="255 bytes"):
                client.get("http://service.test/", proxy=proxy(server, f"user:{'x' * 256}", "socks5h"))

            assert [] == server.requests

    @requires(Capability.SOCKS, Capability.TLS_CONTEXT)
    def test_socks_to_an_https_origin(self, client: Client) -> None:
        """TLS begins behind the reply, whatever address that has, and is verified for the origin's name."""
        socks = Socks5(bound=b"\x03\x0aproxy.test")
        tls = StartTLS(authority().server("service.test"))
        with Server(OnConnect(socks, tls, Receive(), reply(200, b"secret"))) as server:
            response = client.get(
                "https://service.test/", proxy=proxy(server, scheme="socks5h"), tls=authority().trusted
            )

            assert (b"secret", (3, b"service.test", 443)) == (response.body, socks.destination)

    @requires(Capability.SOCKS)
    @pytest.mark.parametrize(
        "answer",
        [
            Socks5(255),
            Socks5(2),
            Socks5(code=1),
            Socks5(code=2),
            Socks5(code=5),
            Socks5(code=99),
            reply(400),
            b"\x04\x5a",
            b"\x05\x01",
            [b"\x05\x00", Close()],
            [b"\x05\x00", b"\x05\x00\x00\x09\x00\x00\x00\x00\x00\x00"],
            Close(),
            Reset(),
        ],
    )
    def test_socks_refusals(self, client: Client, answer: Script) -> None:
        """Whatever is no connection is a ProxyError, and the request stays here."""
        with Server(OnConnect(answer)) as server:
            with pytest.raises(ProxyError) as caught:
                client.get("http://service.test/", proxy=proxy(server, scheme="socks5h"))

            assert ("no", []) == (caught.value.request_sent, server.requests)

    @requires(Capability.SOCKS)
    def test_socks_login_that_is_refused(self, client: Client) -> None:
        """So is a login that is refused; the error does not show it."""
        with Server(OnConnect(Socks5(2, failure=1))) as server:
            with pytest.raises(ProxyError) as caught:
                client.get("http://service.test/", proxy=proxy(server, LOGIN, "socks5h"))

            assert not [secret for secret in ("p\u00e4ss", LOGIN) if secret in f"{caught.value!r}{caught.value}"]

    @requires(Capability.SOCKS)
    @pytest.mark.parametrize("answer", [b"", b"\x05", [b"\x05\x00", Drip(b"\x05\x00\x00\x03\xff" + b"x" * 250, 0.05)]])
    def test_a_slow_socks_proxy(self, client: Client, answer: Script) -> None:
        """One that takes its time is a ConnectTimeout."""
        started = time.monotonic()
        with Server(OnConnect(answer)) as server:
            with pytest.raises(ConnectTimeout) as caught:
                client.get("http://service.test/", proxy=proxy(server, scheme="socks5h"), timeout=SHORT)

        assert "no" == caught.value.request_sent
        assert time.monotonic() - started < 8

    @requires(Capability.SOCKS, Capability.HARD_DEADLINE)
    def test_total_against_a_dripping_socks_proxy(self, client: Client) -> None:
        """The total ends a reply that drips."""
        started = time.monotonic()
        with Server(OnConnect(b"\x05\x00", Drip(b"\x05\x00\x00\x03\xff" + b"x" * 250, every=0.05))) as server:
            with pytest.raises(TotalTimeout):
                client.get("http://service.test/", proxy=proxy(server, scheme="socks5h"), timeout=0.5)

        assert time.monotonic() - started < 8

    @requires(Capability.SOCKS)
    def test_a_socks_reply_in_pieces(self, client: Client) -> None:
        """One that comes byte by byte, but in time, is a reply."""
        received: list[bytes] = []

        class Take(Step):
            def run(self, connection: Connection) -> None:
                received.append(connection.socket.recv(1000))

        replies = Drip(b"\x05\x00", every=0.01), Drip(b"\x05\x00\x00\x01" + b"\x00" * 6, every=0.01)
        with Server(OnConnect(Take(), replies[0], Take(), replies[1], Receive(), reply(200, b"body"))) as server:
            response = client.get("http://service.test/", proxy=proxy(server, scheme="socks5h"))

            assert b"body" == response.body
            assert [b"\x05\x01\x00", b"\x05\x01\x00\x03\x0cservice.test\x00\x50"] == received
