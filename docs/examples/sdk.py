"""An SDK whose users choose what carries it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from unifetch import Client, StatusError, available_backends, get
from unifetch.testing import Server, reply


# [sdk]
class ShopError(Exception):
    """The shop said no."""


class Shop:
    """The API of a shop.

    Args:
        token: from your account's page.
        client: settings of your own: a backend, timeouts, a proxy. It stays yours to close.
    """

    def __init__(self, token: str, *, url: str = "https://shop.example", client: Client | None = None) -> None:
        self._get = get if client is None else client.get
        self._url = url
        self._auth = {"type": "bearer", "token": token}

    def order(self, number: int) -> Any:
        response = self._get(f"{self._url}/orders/{number}", auth=self._auth)
        try:
            return response.raise_for_status().json()
        except StatusError as error:
            raise ShopError(f"order {number}: {response.status}") from error


# [end]


# [fixture]
@pytest.fixture(params=available_backends())
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    with Client(backend=request.param, timeout=10) as client:
        yield client


def test_order(client: Client) -> None:
    with Server({"/orders/7": reply(200, b'{"id": 7}')}) as server:
        assert Shop("t0ken", url=server.url, client=client).order(7) == {"id": 7}


# [end]


def main() -> None:
    with Server({"/orders/7": reply(200, b'{"id": 7}')}) as server:
        url = server.url

        # [use]
        with Client(backend="socket", timeout=20, retry=3) as client:  # the application's decisions
            shop = Shop("t0ken", url=url, client=client)
            assert shop.order(7) == {"id": 7}
        # [end]
        assert server.requests[0].header("authorization") == "Bearer t0ken"

        # [default]
        assert Shop("t0ken", url=url).order(7) == {"id": 7}  # by configure(), UNIFETCH_BACKEND, or urllib
        # [end]
