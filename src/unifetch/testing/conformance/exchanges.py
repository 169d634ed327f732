"""One exchange, and responses that their owner closes: what libraries with policies of their own stand on."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import InvalidHeader, InvalidSetting, StreamError
from ...observe.events import Finished, RequestStarted
from .. import Server, reply
from ..awaited import client_of
from .base import BackendFactory, Conformance, requires


class TestExchanges(Conformance):
    """`client.exchange`: one request and its response, and no policy."""

    def test_no_policy_has_a_part(self, client: Client) -> None:
        """A redirect is handed over, no cookie is kept or sent, and what is compressed stays so."""
        body = gzip.compress(b"as it came")
        headers = {"Location": "/elsewhere", "Set-Cookie": "a=b", "Content-Encoding": "gzip"}
        with Server(reply(302, body, headers), reply(401, b"", {"WWW-Authenticate": "Basic"})) as server:
            url = server.url.replace("://", "://user:password@")
            first = client.exchange("GET", url).read()
            second = client.exchange("GET", server.url).read()

        assert (302, body, "gzip") == (first.status, first.body, first.headers["content-encoding"])
        assert 401 == second.status
        assert [None, None] == [request.header("authorization") for request in server.requests]
        assert [None, None] == [request.header("cookie") for request in server.requests]
        assert 2 == len(server.requests)

    @requires(Capability.EXACT_HEADERS)
    def test_the_fields_are_those_that_were_given(self, client: Client) -> None:
        """They go out in their order and case, and only Host and framing are added."""
        fields = [("X-b", "2"), ("x-A", "1"), ("X-b", "3"), ("Connection", "keep-alive")]
        with Server(reply(200), reply(200)) as server:
            client.exchange("POST", server.url, headers=fields, body=b"four").read()
            given = [("host", "a.example"), *fields, ("content-length", "4")]
            client.exchange("POST", server.url, headers=given, body=b"four").read()
            host = server.url.removeprefix("http://").rstrip("/")

        assert [("Host", host), *fields, ("Content-Length", "4")] == list(server.requests[0].headers)
        assert given == list(server.requests[1].headers)

    @pytest.mark.parametrize(
        "fields",
        [
            {"Content-Length": "5"},
            {"Transfer-Encoding": "chunked"},
            {"Content-Length": "4", "Transfer-Encoding": "chunked"},
            {"Upgrade": "websocket"},
            {"Proxy-Authorization": "Basic dTpw"},
            {"Host": "a b"},
        ],
        ids=lambda fields: ", ".join(fields),
    )
    def test_what_contradicts_is_refused(self, client: Client, fields: dict[str, str]) -> None:
        """Framing that is not that of the body, and what no exchange can carry, are errors before anything is sent."""
        with Server() as server, pytest.raises(InvalidHeader) as caught:
            client.exchange("POST", server.url, headers=fields, body=b"four")

        assert "no" == caught.value.request_sent

    @pytest.mark.parametrize("name", ["redirects", "auth", "cookies", "retry", "params", "json", "verify"])
    def test_what_it_does_not_take(self, client: Client, name: str) -> None:
        """A policy is refused by its name."""
        call: dict[str, Any] = {name: 1}
        with Server() as server, pytest.raises(InvalidSetting, match=f"exchange.* takes no {name}="):
            client.exchange("GET", server.url, **call)

    def test_the_client_has_a_part_beside_policies(self, backend_factory: BackendFactory) -> None:
        """Of a client's settings its policies and its headers are left out, and its listeners are told."""
        told: list[object] = []
        policies: dict[str, Any] = {"auth": ("user", "password"), "retry": 3, "headers": {"X-Ours": "1"}}
        with client_of(backend_factory(), timeout=10, listeners=told.append, **policies) as client:
            with Server(reply(503), reply(200)) as server:
                response = client.exchange("GET", server.url).read()

        assert 503 == response.status
        assert [None, None] == [server.requests[0].header(name) for name in ("authorization", "x-ours")]
        assert isinstance(told[0], RequestStarted)
        assert isinstance(told[-1], Finished)


class TestOpen(Conformance):
    """`client.open`: a response that its owner closes."""

    @requires(Capability.KEEP_ALIVE)
    def test_it_outlives_the_call(self, client: Client) -> None:
        """It is read where its owner likes, and its connection is used again."""
        with Server(reply(200, b"one"), reply(200, b"two")) as server:
            first = client.open("GET", server.url)
            assert b"one" == first.read().body
            first.close()
            second = client.open("GET", server.url)
            assert b"two" == b"".join(second.body)
            second.close()

        assert server.requests[0].connection == server.requests[1].connection

    def test_closing_early(self, client: Client) -> None:
        """What is closed before its end is not read on, and closing again does nothing."""
        with Server(reply(200, b"x" * 100_000)) as server:
            response = client.open("GET", server.url)
            response.close()
            response.close()

            with pytest.raises(StreamError):
                next(iter(response.body))

    def test_all_policies_have_a_part(self, client: Client) -> None:
        """Redirects are followed and the body is decoded, as with `request`."""
        answers = [
            reply(302, b"", {"Location": "/b"}),
            reply(200, gzip.compress(b"text"), {"Content-Encoding": "gzip"}),
        ]
        with Server(*answers) as server:
            response = client.open("GET", server.url)
            assert b"text" == response.read().body
            response.close()
