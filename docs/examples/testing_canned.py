"""A backend without a network."""

from __future__ import annotations

from typing import Literal

from unifetch import Client, Headers
from unifetch.backends.base import HTTP_1_CAPABILITIES, RawRequest, RawResponse


# [canned]
class Canned:
    """Answers every request with the same body, and remembers what was asked."""

    name = "canned"
    contract: Literal[1] = 1
    capabilities = HTTP_1_CAPABILITIES
    native: object = None

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.seen: list[RawRequest] = []

    def send(self, request: RawRequest) -> RawResponse:
        self.seen.append(request)
        return RawResponse(200, "OK", "HTTP/1.1", Headers(), iter([self.body]), lambda: None)

    def close(self) -> None:
        pass


# [end]


def main() -> None:
    # [use]
    backend = Canned(b'{"id": 7}')
    with Client(backend=backend, base_url="https://api.example.org") as client:
        assert client.get("/orders/7").json() == {"id": 7}
    assert backend.seen[0].target == "/orders/7"
    # [end]
