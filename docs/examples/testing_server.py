"""A server for your tests that does what you write."""

from __future__ import annotations

import pytest

from unifetch import Client, IncompleteBody, get
from unifetch.testing import Close, Script, Server, reply


# [script]
def test_a_list_of_orders() -> None:
    orders = reply(200, b'[{"id": 7}]', {"Content-Type": "application/json"})

    with Server({"/orders": orders}) as server, Client(base_url=server.url) as client:
        assert client.get("/orders", params={"page": 2}).json() == [{"id": 7}]
        assert client.get("/other").status == 404

        assert server.requests[0].target == "/orders?page=2"
        assert server.requests[0].header("Accept") == "*/*"


# [end]


# [faults]
def test_a_connection_that_breaks() -> None:
    broken: Script = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Close()]

    with Server(broken, reply(200, b"whole")) as server:  # the first request, the second and all after it
        with pytest.raises(IncompleteBody):
            get(server.url)
        assert get(server.url).body == b"whole"


# [end]


def main() -> None:
    test_a_list_of_orders()
    test_a_connection_that_breaks()
