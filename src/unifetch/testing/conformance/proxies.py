"""HTTP proxies: asked with the absolute URL or for a tunnel, with and without TLS to the proxy itself."""

from __future__ import annotations

import contextlib
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import (
    ConnectError,
    ConnectTimeout,
    ProxyError,
    TLSError,
    TotalTimeout,
    UnifetchError,
)
from .. import (
    Close,
    Drip,
    Flood,
    Reset,
    Script,
    Server,
    Stall,
    StartTLS,
    Truncate,
    refused_port,
    reply,
)
from .base import requires
from .handshakes import asks_for_a_certificate
from .routes import AGREED, BASIC, BASIC_A, LOGIN, SHORT, Relay, Routes, authority, proxy


class TestProxies(Routes):
    """A proxy learns what it needs, the origin nothing of the proxy, and nothing goes around it."""

    # --- http origins: the proxy is asked with the absolute URL ---

    @requires(Capability.PROXY)
    def test_http_origin(self, client: Client) -> None:
        """The target is the absolute URL, Host is the origin's, and the proxy resolves the name."""
        with Server(reply(200, b"body")) as server:
            response = client.get("http://origin.test/a/b?c=d", proxy=proxy(server))

            asked = server.requests[0]
            assert (200, b"body", "http://origin.test/a/b?c=d") == (response.status, response.body, response.url)
            assert ("http://origin.test/a/b?c=d", "origin.test") == (asked.target, asked.header("host"))
            assert None is asked.header("proxy-authorization")

    @requires(Capability.PROXY)
    def test_http_origin_with_login(self, client: Client) -> None:
        """The proxy's login goes to it, once, beside the origin's own."""
        with Server() as server:
            url = "http://origin.test:8080/"
            client.get(url, proxy=proxy(server, LOGIN), auth=("me", "mine"), cookies={"a": "b"})

            asked = server.requests[0]
            assert (url, "origin.test:8080") == (asked.target, asked.header("host"))
            assert (BASIC, "Basic bWU6bWluZQ==", "a=b") == tuple(
                asked.header(name) for name in ("proxy-authorization", "authorization", "cookie")
            )

    @requires(Capability.PROXY)
    def test_a_refusal_is_a_response(self, client: Client) -> None:
        """To an http request the proxy answers itself: its 407 is the response."""
        with Server(reply(407, b"login?", {"Proxy-Authenticate": "Basic"})) as server:
            response = client.get("http://origin.test/", proxy=proxy(server))

            assert (407, b"login?", 1) == (response.status, response.body, len(server.requests))

    @requires(Capability.PROXY)
    def test_upload(self, client: Client) -> None:
        """A body goes through as it would go directly."""
        with Server() as server:
            client.post("http://origin.test/", body=iter([b"one", b"two"]), proxy=proxy(server))

            assert (b"onetwo", "chunked") == (server.requests[0].body, server.requests[0].header("transfer-encoding"))

    # --- https origins: the proxy is asked for a tunnel ---

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_tunnel(self, client: Client) -> None:
        """The proxy sees one CONNECT, with fields of its own; the origin sees a request as if there were no proxy."""
        settings: dict[str, Any] = {"tls": authority().trusted, "auth": ("me", "mine"), "cookies": {"a": "b"}}
        agreed: Script = [AGREED, StartTLS(authority().server("service.test"))]
        with Server(agreed, reply(200, b"secret")) as server:
            url = "https://service.test:8443/path"
            response = client.get(url, proxy=proxy(server, LOGIN), headers={"X-Key": "k"}, **settings)

            asked, sent = server.requests
            agent = sent.header("user-agent")
            assert (
                f"CONNECT service.test:8443 HTTP/1.1\r\nHost: service.test:8443\r\nUser-Agent: {agent}\r\n"
                f"Proxy-Authorization: {BASIC}\r\n\r\n"
            ) == asked.head.decode()
            assert (b"secret", "/path", "service.test:8443") == (response.body, sent.target, sent.header("host"))
            assert (None, "Basic bWU6bWluZQ==", "a=b", "k") == tuple(
                sent.header(name) for name in ("proxy-authorization", "authorization", "cookie", "x-key")
            )

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_tunnel_to_the_default_port(self, client: Client) -> None:
        """A CONNECT always names the port (RFC 9110 §9.3.6)."""
        with Server([AGREED, StartTLS(authority().server("service.test"))], reply(200)) as server:
            client.get("https://service.test/", proxy=proxy(server), tls=authority().trusted)

            assert ("service.test:443", "service.test:443", "service.test") == (
                server.requests[0].target,
                server.requests[0].header("host"),
                server.requests[1].header("host"),
            )

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_tunnel_to_an_ipv6_address(self, client: Client) -> None:
        """An IPv6 address has its brackets there."""
        with Server([AGREED, StartTLS(authority().server("::1"))], reply(200)) as server:
            client.get("https://[::1]:8443/", proxy=proxy(server), tls=authority().trusted)

            assert "[::1]:8443" == server.requests[0].target

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_tunnel_after_interim_responses(self, client: Client) -> None:
        """1xx before the agreement is skipped, and a framing field with it means nothing (RFC 9110 §9.3.6)."""
        agreed = b"HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 204 OK\r\nContent-Length: 5\r\n\r\n"
        with Server([agreed, StartTLS(authority().server("service.test"))], reply(200, b"secret")) as server:
            response = client.get("https://service.test/", proxy=proxy(server), tls=authority().trusted)

            assert b"secret" == response.body

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_the_origin_is_verified_through_a_tunnel(self, client: Client) -> None:
        """The certificate has to be the origin's, not the proxy's; nothing was sent to it."""
        with Server([AGREED, StartTLS(authority().server("proxy.test", "127.0.0.1"))]) as server:
            with pytest.raises(TLSError) as caught:
                client.get("https://service.test/", proxy=proxy(server), tls=authority().trusted)

            assert ("no", 1) == (caught.value.request_sent, len(server.requests))

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("status", [302, 307, 400, 401, 403, 407, 500, 503])
    def test_refused_tunnel(self, client: Client, status: int) -> None:
        """It is a ProxyError that shows the status. Nothing else of the answer counts: it is not the origin's."""
        fields = {"Location": "http://127.0.0.1/", "Set-Cookie": "a=b", "Proxy-Authenticate": "Basic"}
        with Server(reply(status, b"the proxy's own page", fields)) as server:
            with pytest.raises(ProxyError) as caught:
                client.get("https://service.test/", proxy=proxy(server, LOGIN), auth=("me", "mine"))

            error = caught.value
            assert (status, "no", 1, []) == (
                error.status,
                error.request_sent,
                len(server.requests),
                list(client.cookies),
            )
            assert str(status) in str(error)
            assert not [secret for secret in (BASIC[6:], "p\u00e4ss", LOGIN) if secret in f"{error!r}{error}"]

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize(
        "answer",
        [
            Close(),
            Reset(),
            [b"HTTP/1.1 200 OK\r\n", Close()],
            b"\x15\x03\x03\x00\x02\x02\x46",
            b"nonsense\r\n\r\n",
            Flood(b"X-Filler: " + b"x" * 1000 + b"\r\n"),
            [b"HTTP/1.1 200 OK\r\n", Flood(b"X-Filler: " + b"x" * 1000 + b"\r\n")],
        ],
    )
    def test_no_answer_to_connect(self, client: Client, answer: Script) -> None:
        """What is no answer to a CONNECT is a ProxyError without a status; nothing was sent to the origin."""
        with Server(answer) as server:
            with pytest.raises(ProxyError) as caught:
                client.get("https://service.test/", proxy=proxy(server))

            assert (None, "no", 1) == (caught.value.status, caught.value.request_sent, server.connections)

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_bytes_after_the_agreement_are_nobodys(self, client: Client) -> None:
        """Plain text behind the head of the answer never passes for what the origin said under TLS."""
        agreed: Script = [AGREED + reply(200, b"poisoned"), StartTLS(authority().server("service.test"))]
        with Server(agreed, reply(200, b"secret")) as server:
            body = b""
            with contextlib.suppress(ConnectError):
                body = client.get("https://service.test/", proxy=proxy(server), tls=authority().trusted).body

            assert b"poisoned" != body

    # --- A proxy that does not work ---

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_dead_proxy_does_not_mean_a_direct_connection(self, client: Client, scheme: str) -> None:
        """It is a ProxyError, and the origin hears nothing."""
        with Server(tls=authority().server("127.0.0.1") if scheme == "https" else None) as origin:
            with refused_port() as port, pytest.raises(ProxyError) as caught:
                client.get(origin.url, proxy=f"http://127.0.0.1:{port}", tls=authority().trusted)

            assert ("no", 0) == (caught.value.request_sent, origin.connections)
            assert f"127.0.0.1:{port}" in str(caught.value)

    @requires(Capability.PROXY)
    def test_a_proxy_without_an_address(self, client: Client) -> None:
        """So it is if the proxy's name leads nowhere."""
        with Server() as origin:
            with pytest.raises(ProxyError):
                client.get(origin.url, proxy="http://proxy.invalid:3128")

            assert 0 == origin.connections

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("answer", [b"", Stall(), Drip(AGREED * 20, every=0.05)])
    def test_a_slow_tunnel(self, client: Client, answer: Script) -> None:
        """A proxy that takes its time is a ConnectTimeout: agreeing is part of connecting."""
        started = time.monotonic()
        with Server(answer) as server:
            with pytest.raises(ConnectTimeout) as caught:
                client.get("https://service.test/", proxy=proxy(server), timeout=SHORT)

        assert "no" == caught.value.request_sent
        assert time.monotonic() - started < 8

    @requires(Capability.PROXY, Capability.TLS_CONTEXT, Capability.HARD_DEADLINE)
    def test_total_against_a_dripping_proxy(self, client: Client) -> None:
        """The total ends a CONNECT whose answer drips."""
        started = time.monotonic()
        with Server(Drip(AGREED.replace(b"\r\n\r\n", b" " * 200), every=0.05)) as server:
            with pytest.raises(TotalTimeout) as caught:
                client.get("https://service.test/", proxy=proxy(server), timeout=0.5)

        assert "no" == caught.value.request_sent
        assert time.monotonic() - started < 8

    # --- Redirects: who gets to see what ---

    @requires(Capability.PROXY)
    def test_login_is_for_the_proxy_on_every_hop(self, client: Client) -> None:
        """A redirect to another origin goes by the same proxy, with its login and without the origin's."""
        with Server(reply(302, b"", {"Location": "http://other.test/"}), reply(200)) as server:
            client.get("http://origin.test/", proxy=proxy(server, LOGIN), auth=("me", "mine"))

            assert [("http://origin.test/", BASIC, True), ("http://other.test/", BASIC, False)] == [
                (each.target, each.header("proxy-authorization"), each.header("authorization") is not None)
                for each in server.requests
            ]

    @requires(Capability.PROXY)
    def test_login_stays_behind_where_there_is_no_proxy(self, client: Client) -> None:
        """A redirect to a host without proxy goes there directly, and does not tell it the proxy's login."""
        with Server() as origin:
            with Server(reply(302, b"", {"Location": origin.url})) as server:
                settings = {"all": proxy(server, LOGIN), "no": ["127.0.0.1"]}
                client.get("http://origin.test/", proxy=settings)

            asked = origin.requests[0]
            assert ("/", None, f"127.0.0.1:{origin.port}") == (
                asked.target,
                asked.header("proxy-authorization"),
                asked.header("host"),
            )

    @requires(Capability.PROXY, Capability.TLS_CONTEXT)
    def test_login_stays_behind_on_the_way_to_https(self, client: Client) -> None:
        """A redirect from http to https gets a tunnel; the login is in the CONNECT and not in the request."""
        moved = reply(302, b"", {"Location": "https://service.test/end", "Connection": "close"})
        with Server(moved, [AGREED, StartTLS(authority().server("service.test"))], reply(200)) as server:
            client.get("http://service.test/", proxy=proxy(server, LOGIN), tls=authority().trusted)

            assert [("GET", BASIC), ("CONNECT", BASIC), ("GET", None)] == [
                (each.method, each.header("proxy-authorization")) for each in server.requests
            ]
            assert "/end" == server.requests[2].target

    # --- Which connection is used again ---

    @requires(Capability.PROXY, Capability.KEEP_ALIVE)
    def test_connections_belong_to_a_route(self, client: Client) -> None:
        """One through a proxy is used for that proxy, with that login, and for nothing else."""
        with Server() as server, Server() as other:
            routes = [None, proxy(server), proxy(server, "a:1"), proxy(server, "b:2"), proxy(other), None]
            for route in [each for each in routes for _ in range(2)]:
                client.get(server.url, proxy=route)

            assert [1, 1, 2, 2, 3, 3, 4, 4, 1, 1] == [each.connection for each in server.requests]
            assert [1, 1] == [each.connection for each in other.requests]
            assert [None, None, BASIC_A, BASIC_A] == [
                each.header("proxy-authorization") for each in server.requests[2:6]
            ]

    @requires(Capability.PROXY, Capability.TLS_CONTEXT, Capability.KEEP_ALIVE)
    def test_a_tunnel_is_used_again(self, client: Client) -> None:
        """One CONNECT is enough for many requests, but not with another login."""
        agreed: Script = [AGREED, StartTLS(authority().server("service.test"))]
        with Server(agreed, reply(200), reply(200), agreed, reply(200)) as server:
            for login in ("a:1", "a:1", "b:2"):
                client.get("https://service.test/", proxy=proxy(server, login), tls=authority().trusted)

            assert [("CONNECT", 1), ("GET", 1), ("GET", 1), ("CONNECT", 2), ("GET", 2)] == [
                (each.method, each.connection) for each in server.requests
            ]

    # --- TLS to the proxy ---

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT)
    def test_https_proxy_to_an_http_origin(self, client: Client) -> None:
        """The proxy is spoken to over TLS, and has to show a certificate of its own."""
        with Server(reply(200, b"body"), tls=authority().server("127.0.0.1")) as server:
            response = client.get("http://origin.test/", proxy=proxy(server, LOGIN, "https"), tls=authority().trusted)

            asked = server.requests[0]
            assert (b"body", "http://origin.test/", BASIC) == (
                response.body,
                asked.target,
                asked.header("proxy-authorization"),
            )

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT)
    def test_https_proxy_to_an_https_origin(self, client: Client) -> None:
        """TLS to the origin goes inside TLS to the proxy; small bodies and large ones, down and up."""
        large = bytes(range(256)) * 4096
        trusted = authority().trusted
        with Server(lambda request: reply(200, request.body), tls=authority().server("service.test")) as origin:
            with Server([AGREED, Relay(origin.port)], tls=authority().server("127.0.0.1")) as server:
                through = proxy(server, LOGIN, "https")
                bodies = [
                    client.post("https://service.test/", body=body, proxy=through, tls=trusted).body
                    for body in (b"small", large, iter([large[:70_000], b"end"]))
                ]

                assert [b"small", large, large[:70_000] + b"end"] == bodies
                assert ("CONNECT", "service.test:443", BASIC) == (
                    server.requests[0].method,
                    server.requests[0].target,
                    server.requests[0].header("proxy-authorization"),
                )
                assert {None} == {each.header("proxy-authorization") for each in origin.requests}

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_https_proxy_that_is_not_trusted(self, client: Client, scheme: str) -> None:
        """It gets neither a request nor a CONNECT."""
        with Server(tls=authority().server("another.test")) as server:
            with pytest.raises(ProxyError):
                client.get(f"{scheme}://service.test/", proxy=proxy(server, LOGIN, "https"), tls=authority().trusted)

            assert [] == server.requests

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_https_proxy_is_verified_for_itself(self, client: Client, scheme: str) -> None:
        """`verify=False` is for the origin; a proxy has settings of its own, which say whom to trust and what not."""
        with Server(reply(200), tls=authority().server("service.test")) as origin:
            said: Script = reply(200) if scheme == "http" else [AGREED, Relay(origin.port)]
            with Server(said, tls=authority().server("127.0.0.1")) as server:
                url, through = f"{scheme}://service.test/", proxy(server, LOGIN, "https")
                with pytest.raises(ProxyError):
                    client.get(url, proxy=through, tls=False)
                assert [] == server.requests

                for tls in (False, authority().trusted):
                    assert 200 == client.get(url, proxy={"url": through, "tls": tls}, tls=False).status
                if scheme == "https":  # what is for the proxy is not for the origin
                    with pytest.raises(TLSError):
                        client.get(url, proxy={"all": {"url": through, "tls": False}})

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_client_certificate_of_an_https_proxy(self, client: Client, tmp_path: Path, scheme: str) -> None:
        """The origin's is never shown to a proxy that asks for one; a proxy gets what its own settings name."""
        path = tmp_path / "client.pem"
        authority().certificate("client.test").private_key_and_cert_chain_pem.write_to_path(path)
        mine = {**authority().trusted, "client_cert": str(path)}
        asking = asks_for_a_certificate(ssl.TLSVersion.TLSv1_2)
        with Server(reply(200), tls=authority().server("service.test")) as origin:
            said: Script = reply(200) if scheme == "http" else [AGREED, Relay(origin.port)]
            with Server(said, tls=asking) as server:
                url, through = f"{scheme}://service.test/", proxy(server, LOGIN, "https")
                with pytest.raises(ProxyError):
                    client.get(url, proxy=through, tls=mine)
                assert [] == server.requests

                response = client.get(url, proxy={"url": through, "tls": mine}, tls=authority().trusted)
                assert 200 == response.status

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT, Capability.TLS_TRUNCATION)
    def test_truncation_inside_a_tunnel(self, client: Client) -> None:
        """A body that ends with the connection needs the origin's close_notify, whatever the proxy's TLS says."""
        cut: Script = [b"HTTP/1.1 200 OK\r\n\r\nhalf of", Truncate()]
        with Server(cut, tls=authority().server("service.test")) as origin:
            with Server([AGREED, Relay(origin.port)], tls=authority().server("127.0.0.1")) as server:
                with pytest.raises(UnifetchError) as caught:
                    client.get("https://service.test/", proxy=proxy(server, scheme="https"), tls=authority().trusted)

                assert "yes" == caught.value.request_sent

    @requires(Capability.TLS_PROXY, Capability.TLS_CONTEXT, Capability.NO_POISONING)
    def test_bytes_inside_two_layers_of_tls_are_nobodys(self, client: Client) -> None:
        """What came after a response is not the next one, even if it waits where no file descriptor shows it."""
        poison = reply(200, b"poisoned")
        first: Script = [reply(200, b"first"), poison]
        with Server(first, reply(200, b"second"), tls=authority().server("service.test")) as origin:
            # The relay waits until both records are there, and sends them in one of its own.
            with Server([AGREED, Relay(origin.port, patience=0.05)], tls=authority().server("127.0.0.1")) as server:
                through: dict[str, Any] = {"proxy": proxy(server, scheme="https"), "tls": authority().trusted}
                bodies = [client.get("https://service.test/", **through).body for _ in range(2)]

                assert [b"first", b"second"] == bodies
