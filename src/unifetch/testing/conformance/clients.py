"""What a client is told once: settings that a derived client changes, requests that are put together before."""

from __future__ import annotations

import pytest

from ... import Client, CookieJar, InvalidSetting, Request
from ...backends.base import Capability
from .. import Server, reply
from ..awaited import client_of
from .base import BackendFactory, Conformance, requires


class TestClients(Conformance):
    """Derived clients, prepared requests, and what both leave to the client."""

    @requires(Capability.KEEP_ALIVE)
    def test_a_derived_client_shares_connections(self, client: Client) -> None:
        """It opens nothing of its own, and closing it closes nothing."""
        with Server(reply(200)) as server:
            derived = client.with_(headers={"X-A": "1"})
            client.get(server.url)
            derived.get(server.url)
            with_more = derived.with_(headers={"X-B": "2"})
            with_more.get(server.url)
            client.get(server.url)

        assert {1} == {request.connection for request in server.requests}
        sent = [(request.header("x-a"), request.header("x-b")) for request in server.requests]
        assert [(None, None), ("1", None), ("1", "2"), (None, None)] == sent

    def test_a_derived_client_shares_cookies(self, client: Client) -> None:
        """What either is given, both send; and its auth is its own."""
        with Server(reply(200, b"", {"Set-Cookie": "a=1"}), reply(200, b"", {"Set-Cookie": "b=2"}), reply()) as server:
            derived = client.with_(auth=("user", "password"))
            derived.get(server.url)
            client.get(server.url)
            derived.get(server.url)

        assert [None, "a=1", "a=1; b=2"] == [request.header("cookie") for request in server.requests]
        assert [True, False, True] == [request.header("authorization") is not None for request in server.requests]
        assert ("1", "2") == (client.cookies["a"], derived.cookies["b"])

    @pytest.mark.parametrize("name", ["backend", "cookies"])
    def test_what_a_derived_client_has_from_another(self, client: Client, name: str) -> None:
        """Its backend and its cookies cannot be others."""
        with pytest.raises(InvalidSetting, match=f"with_.* takes no {name}="):
            client.with_(**{name: None})  # type: ignore[arg-type]  # that it is wrong is what is tested

    def test_parameters_of_a_client(self, backend_factory: BackendFactory) -> None:
        """They come first; those of a call replace the ones of the same name, and None drops one."""
        with Server() as server:
            with client_of(backend_factory(), timeout=10, params={"key": "k", "v": 1}) as client:
                client.get(server.url)
                client.get(server.url + "/?a=b", params={"v": 2, "w": 3})
                client.get(server.url, params={"key": None})
                client.get(server.url, params="x=y")
                client.with_(params={"v": 4}).get(server.url)

        expected = ["/?key=k&v=1", "/?a=b&key=k&v=2&w=3", "/?v=1", "/?key=k&v=1&x=y", "/?key=k&v=4"]
        assert expected == [request.target for request in server.requests]

    def test_prepared_requests(self, client: Client) -> None:
        """A request that was put together before is sent as if its parts had been given to the call."""
        with Server() as server:
            url = server.url + "/"
            client.send(Request("POST", url, json={"a": 1}, headers={"X-A": "1"}))
            client.send(Request("POST", url, form={"a": "b"}), headers={"X-A": "2"})
            client.send(Request("PUT", url, files={"a": b"file"}))
            client.send(Request("PUT", url, body=b"bytes"))

        assert [b'{"a":1}', b"a=b", b"bytes"] == [server.requests[at].body for at in (0, 1, 3)]
        assert b"file" in server.requests[2].body
        assert ["1", "2", None, None] == [request.header("x-a") for request in server.requests]
        types = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", None]
        sent = [request.header("content-type") for request in server.requests]
        assert types == [each and each.partition(";")[0] for each in sent]

    @pytest.mark.parametrize("method", ["get", "Get", "GET", "pAtCh", "M-Search"])
    def test_methods_in_any_case(self, client: Client, method: str) -> None:
        """The usual ones go out in upper case, any other as it is written."""
        with Server() as server:
            client.request(method, server.url)
            client.send(Request(method, server.url))

        expected = method if method == "M-Search" else method.upper()
        assert [expected, expected] == [request.method for request in server.requests]

    def test_the_request_as_it_was_sent(self, client: Client) -> None:
        """`response.request` has every field that went out, and shows no credential."""
        with Server() as server:
            response = client.post(server.url, json=1, headers={"X-A": "1"}, auth=("user", "password"))

        headers = response.request.headers
        names = ("host", "user-agent", "content-type", "content-length", "x-a", "authorization")
        assert [server.requests[0].header(name) for name in names] == [headers[name] for name in names]
        assert "Basic" not in repr(headers)

    def test_cookies_of_a_client_as_a_mapping(self, backend_factory: BackendFactory) -> None:
        """They belong to the host of `base_url`; without one, the error says how."""
        with Server() as server:
            with client_of(backend_factory(), base_url=server.url, cookies={"a": "b"}) as client:
                client.get("/")
                assert isinstance(client.cookies, CookieJar)
                assert "a" in client.cookies
                del client.cookies["a"]
                client.get("/")

        assert ["a=b", None] == [request.header("cookie") for request in server.requests]
        with pytest.raises(InvalidSetting, match="base_url="):
            Client(cookies={"a": "b"})
