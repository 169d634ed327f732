"""No address that is not public, however it is reached."""

from __future__ import annotations

from typing import Any

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import (
    ConfigError,
    ConnectError,
)
from .. import (
    OnConnect,
    Receive,
    Server,
    reply,
)
from .base import requires
from .routes import PUBLIC, Internet, Routes, Socks5, proxy


class TestPrivateAddresses(Routes):
    """With `forbid_private`, only public addresses are connected to."""

    # --- No private addresses ---

    @requires(Capability.FORBID_PRIVATE)
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "[::1]",
            "localhost",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b:1::8.8.8.8]",
            "[2002:7f00:1::]",
            "[2002:808:808::]",
            "[::127.0.0.1]",
            "[::10.0.0.1]",
            "[::ffff:0:7f00:1]",
            "[2001:0:7f00:1::]",
            "[2606:4700::5efe:10.0.0.1]",
            "[2606:4700::200:5efe:10.0.0.1]",
            "[fec0::1]",
            "[3fff::1]",
            "[5f00::1]",
            "[100:0:0:1::1]",
            "[200::1]",
            "[4000::1]",
            "[fe00::1]",
            "192.0.0.8",
            "192.0.0.9",
            "192.0.0.10",
            "192.88.99.1",
            "printer.localhost",
            "0.0.0.0",
            "[::]",
            "169.254.169.254",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "[2001:2::1]",
            "[2001:db8::1]",
            "[64:ff9b::10.0.0.1]",
            "[ff02::1]",
        ],
    )
    def test_private_addresses(self, client: Client, internet: Internet, host: str) -> None:
        """An address that is not public is refused, however it is written, and not connected to."""
        with Server() as server:
            with pytest.raises(ConnectError) as caught:
                client.get(f"http://{host}:{server.port}/", forbid_private=True)

            assert ("no", 0, []) == (caught.value.request_sent, server.connections, internet.reached)

    @requires(Capability.FORBID_PRIVATE)
    def test_private_after_resolution(self, client: Client, internet: Internet) -> None:
        """So is a name that leads to one, even beside public addresses."""
        internet.answers = {
            "inside.test": [["10.0.0.1"]],
            "both.test": [[PUBLIC, "127.0.0.1"]],
            "scoped.test": [["fe80::1%1"]],
        }
        with Server() as server:
            for host in internet.answers:
                with pytest.raises(ConnectError, match=host):
                    client.get(f"http://{host}:{server.port}/", forbid_private=True)

            assert (0, []) == (server.connections, internet.reached)

    @requires(Capability.FORBID_PRIVATE)
    def test_public_addresses(self, client: Client, internet: Internet) -> None:
        """A public one is connected to, and without the setting a private one, too."""
        internet.answers = {"service.test": [[PUBLIC]]}
        with Server(reply(200, b"body")) as server:
            response = client.get(f"http://service.test:{server.port}/", forbid_private=True)
            client.get(server.url)

            assert (b"body", [PUBLIC, "127.0.0.1"]) == (response.body, internet.reached)

    @requires(Capability.FORBID_PRIVATE)
    def test_the_address_that_was_checked_is_used(self, client: Client, internet: Internet) -> None:
        """There is one look-up: what a second would say ("rebinding") does not matter."""
        internet.answers = {"rebinding.test": [[PUBLIC], ["127.0.0.1"]]}
        with Server(reply(200, b"body")) as server:
            response = client.get(f"http://rebinding.test:{server.port}/", forbid_private=True)

            assert (b"body", [PUBLIC], ["rebinding.test"]) == (response.body, internet.reached, internet.asked)

    @requires(Capability.FORBID_PRIVATE)
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "inside.test"])
    def test_private_behind_a_redirect(self, client: Client, internet: Internet, host: str) -> None:
        """Every hop is checked."""
        internet.answers = {"service.test": [[PUBLIC]], "inside.test": [["127.0.0.1"]]}
        with Server() as inside:
            with Server(reply(302, b"", {"Location": f"http://{host}:{inside.port}/"})) as server:
                with pytest.raises(ConnectError):
                    client.get(f"http://service.test:{server.port}/", forbid_private=True)

                assert (1, 0, [PUBLIC]) == (len(server.requests), inside.connections, internet.reached)

    @requires(Capability.FORBID_PRIVATE, Capability.KEEP_ALIVE)
    def test_private_connections_are_not_used_again(self, client: Client) -> None:
        """A connection that is open already is no way around it."""
        with Server() as server:
            client.get(server.url)
            with pytest.raises(ConnectError):
                client.get(server.url, forbid_private=True)

            assert 1 == len(server.requests)

    @requires(Capability.FORBID_PRIVATE, Capability.RESOLVE)
    def test_private_by_resolve(self, client: Client) -> None:
        """An address that was handed in is checked as well."""
        with Server() as server:
            with pytest.raises(ConnectError):
                client.get(
                    f"http://service.test:{server.port}/", resolve={"service.test": "127.0.0.1"}, forbid_private=True
                )

            assert 0 == server.connections

    @requires(Capability.FORBID_PRIVATE, Capability.SOCKS)
    def test_private_through_socks(self, client: Client, internet: Internet) -> None:
        """With socks5 the address is looked up, checked and sent; the proxy's own may be private."""
        internet.answers = {"service.test": [[PUBLIC], ["127.0.0.1"]]}
        socks = Socks5()
        with Server(OnConnect(socks, Receive(), reply(200))) as server:
            settings: dict[str, Any] = {"proxy": proxy(server, scheme="socks5"), "forbid_private": True}
            client.get("http://service.test/", **settings)
            with pytest.raises(ConnectError):
                client.get("http://service.test:81/", **settings)

            assert ((1, b"\x08\x08\x08\x08", 80), 1) == (socks.destination, server.connections)

    @requires(Capability.FORBID_PRIVATE, Capability.PROXY)
    @pytest.mark.parametrize("url", ["http://service.test/", "https://service.test/", "http://127.0.0.1/"])
    def test_private_through_a_proxy_that_resolves(self, client: Client, url: str) -> None:
        """Where an HTTP proxy connects to cannot be known here; so this is refused instead of ignored."""
        with Server() as server:
            with pytest.raises(ConfigError, match="itself resolves"):
                client.get(url, proxy=proxy(server), forbid_private=True)

            assert 0 == server.connections
