"""Proxies that the environment names, and whom it exempts."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

import unifetch

from ... import Client, aio
from ...backends.base import Capability
from ...errors import (
    InvalidSetting,
    TLSError,
)
from .. import (
    Server,
    reply,
)
from ..awaited import awaited, client_of
from .base import requires
from .routes import BASIC, LOGIN, Routes, authority, proxy


def function(client: Client) -> Any:
    """The module's own `get`, of the kind that this backend is for."""
    return awaited(aio.get) if inspect.iscoroutinefunction(client.backend.send) else unifetch.get


def subject_hash(pem: bytes) -> str:
    """The name of a certificate in a directory that OpenSSL looks into: a hash of its subject, in lower case."""
    x509 = pytest.importorskip("cryptography.x509")
    subject = x509.load_pem_x509_certificate(pem).subject
    der = subject.public_bytes()
    content = der[2:] if der[1] < 128 else der[3:]  # without the outer SEQUENCE, of 255 bytes at most
    for attribute in subject:
        content = content.replace(attribute.value.encode(), attribute.value.lower().encode())
    return hashlib.sha1(content, usedforsecurity=False).digest()[3::-1].hex()


class TestEnvironment(Routes):
    """The environment is asked where neither call nor client says otherwise."""

    # --- The environment ---

    @pytest.fixture
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
        """What a test sets; the variables of whoever runs the tests do not count."""
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        return monkeypatch

    @requires(Capability.PROXY)
    def test_environment(self, client: Client, environment: pytest.MonkeyPatch) -> None:
        """A proxy that the environment names is used, with its login, unless the call says otherwise."""
        with Server() as origin, Server() as server:
            environment.setenv("HTTP_PROXY", proxy(server, LOGIN))
            with client_of(client.backend) as made_now:
                environment.delenv("HTTP_PROXY")
                made_now.get(origin.url)
                made_now.get(origin.url, proxy=None)

            assert [(f"{origin.url}/", BASIC)] == [
                (each.target, each.header("proxy-authorization")) for each in server.requests
            ]
            assert ["/"] == [each.target for each in origin.requests]

    @requires(Capability.PROXY)
    def test_environment_at_run_time(self, client: Client, environment: pytest.MonkeyPatch) -> None:
        """The module's functions notice a change; a client goes by what there was when it was made."""
        get = function(client)
        with Server() as origin, Server() as server:
            client.get(origin.url, headers={"Asked": "before"})
            get(origin.url, backend=client.backend)
            environment.setenv("http_proxy", proxy(server))
            get(origin.url, backend=client.backend)
            client.get(origin.url)
            environment.setenv("no_proxy", "127.0.0.1")
            get(origin.url, backend=client.backend)

            assert (4, 1) == (len(origin.requests), len(server.requests))

    @requires(Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
    def test_certificates_at_run_time(
        self, client: Client, environment: pytest.MonkeyPatch, tmp_path: Path, variable: str
    ) -> None:
        """Whom the environment trusts counts from the next request on, be it by a new client or by a function."""
        ca_file = Path(authority().trusted["ca_file"])
        tmp_path.joinpath(subject_hash(ca_file.read_bytes()) + ".0").write_bytes(ca_file.read_bytes())
        get = function(client)
        environment.delenv("SSL_CERT_FILE", raising=False)
        environment.delenv("SSL_CERT_DIR", raising=False)
        with Server(reply(200), tls=authority().server("127.0.0.1")) as server:
            for trusted in (False, True, False):
                if trusted:
                    environment.setenv(variable, str(ca_file if variable == "SSL_CERT_FILE" else tmp_path))
                else:
                    environment.delenv(variable, raising=False)
                with client_of(client.backend) as made_now:
                    for ask in (get, made_now.get):
                        with contextlib.nullcontext() if trusted else pytest.raises(TLSError, match="certificate"):
                            ask(server.url, backend=client.backend)

    def test_netrc_at_run_time(self, client: Client, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Another file that $NETRC names, or the same one changed, counts for the next call and the next client."""
        get = function(client)
        first, second = tmp_path / "first", tmp_path / "second"
        for path, password in ((first, "1"), (second, "2")):
            path.touch(0o600)
            path.write_text(f"machine 127.0.0.1 login a password {password}\n")
        with Server() as server:
            for path, password in ((first, "1"), (second, "2"), (second, "3")):
                path.write_text(f"machine 127.0.0.1 login a password {password}\n")
                environment.setenv("NETRC", str(path))
                get(server.url, backend=client.backend, auth="netrc")
                with client_of(client.backend, auth="netrc") as made_now:
                    made_now.get(server.url)

            pairs = [b64decode((each.header("authorization") or "")[6:]) for each in server.requests]
            assert [b"a:1", b"a:1", b"a:2", b"a:2", b"a:3", b"a:3"] == pairs

    @requires(Capability.PROXY)
    def test_an_unusable_proxy_of_the_environment(self, client: Client, environment: pytest.MonkeyPatch) -> None:
        """It is an error where it would be used, and nowhere else; the error names the variable and the way out."""
        with Server() as origin:
            environment.setenv("ALL_PROXY", "socks://usern:secret@desktop.test:1080")
            environment.setenv("NO_PROXY", "127.0.0.1")
            with client_of(client.backend) as made_now:
                assert 200 == made_now.get(origin.url).status
                assert 200 == made_now.get(origin.url, redirects=0).status
                with pytest.raises(InvalidSetting, match=r"ALL_PROXY.*socks.*proxy=None") as caught:
                    made_now.get("http://elsewhere.test/")

            assert "secret" not in str(caught.value)

    @requires(Capability.PROXY)
    def test_no_proxy(self, client: Client, environment: pytest.MonkeyPatch) -> None:
        """NO_PROXY names who is reached without it, on each hop."""
        with Server({"/": reply(200), "/away": reply(302, b"", {"Location": "http://origin.test/"})}) as origin:
            with Server() as server:
                environment.setenv("HTTP_PROXY", proxy(server, LOGIN))
                environment.setenv("NO_PROXY", "127.0.0.1")
                with client_of(client.backend) as made_now:
                    made_now.get(f"{origin.url}/away")

                assert [("/away", None)] == [
                    (each.target, each.header("proxy-authorization")) for each in origin.requests
                ]
                assert ["http://origin.test/"] == [each.target for each in server.requests]

    @requires(Capability.PROXY)
    def test_no_proxy_from_a_cgi_environment(self, client: Client, environment: pytest.MonkeyPatch) -> None:
        """There HTTP_PROXY is what the peer sent as its Proxy field ("httpoxy")."""
        with Server() as origin, Server() as server:
            environment.setenv("REQUEST_METHOD", "GET")
            environment.setenv("HTTP_PROXY", proxy(server))
            with client_of(client.backend) as of_a_peer:
                of_a_peer.get(origin.url)
            environment.delenv("REQUEST_METHOD")
            with client_of(client.backend) as of_a_user:
                of_a_user.get(origin.url)

            assert (["/"], [f"{origin.url}/"]) == tuple(
                [each.target for each in asked.requests] for asked in (origin, server)
            )
