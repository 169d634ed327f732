"""Tests of the SDK of sdk.py without its network: mocked, on every backend, recorded, and broken wherever it can be."""

from __future__ import annotations

from pathlib import Path

import pytest
from sdk import Shop, ShopError

from unifetch import Client, UnifetchError, available_backends
from unifetch.testing import Cassette, Mock, sweep


# [tests]
def test_an_order(unifetch_mock: Mock) -> None:
    route = unifetch_mock.get("https://shop.example/orders/{id}", headers={"Authorization": "Bearer t0ken"})
    route.reply(json={"id": 7})

    assert Shop("t0ken").order(7) == {"id": 7}


def test_an_order_that_is_not_there(unifetch_mock: Mock) -> None:
    unifetch_mock.get("https://shop.example/orders/8").reply(404)

    with pytest.raises(ShopError, match="order 8: 404"):
        Shop("t0ken").order(8)


# [end]


# [every]
@pytest.mark.parametrize("backend", available_backends())
def test_a_shop_that_is_closed_for_a_minute(backend: str) -> None:
    with Mock() as mock, Client(backend=backend, retry=3) as client:
        mock.get("https://shop.example/orders/7").reply(503, headers={"Retry-After": "60"}).then(json={"id": 7})

        assert Shop("t0ken", client=client).order(7) == {"id": 7}
        assert mock.passed == 60  # seconds, which took none


# [end]


# [cassette]
@pytest.mark.unifetch_cassette(mode="none", secrets={"token": "t0ken"})
def test_an_order_as_the_shop_said(unifetch_cassette: Cassette) -> None:
    assert Shop("t0ken").order(7)["items"] == [{"sku": "AB-1", "count": 2}]


# [end]


# [sweep]
def test_wherever_the_connection_breaks(unifetch_mock: Mock) -> None:
    unifetch_mock.get("https://shop.example/orders/7").reply(json={"id": 7})

    for point in sweep(lambda: Shop("t0ken").order(7)):
        assert point.result == {"id": 7} or isinstance(point.error, UnifetchError), point


# [end]


CASSETTES = Path(__file__).with_name("cassettes") / "testing_sdk"


def main() -> None:
    for test in (test_an_order, test_an_order_that_is_not_there, test_wherever_the_connection_breaks):
        with Mock() as mock:
            test(mock)
    with Cassette(
        CASSETTES / "test_an_order_as_the_shop_said.har", mode="none", secrets={"token": "t0ken"}
    ) as cassette:
        test_an_order_as_the_shop_said(cassette)
    for backend in available_backends():
        test_a_shop_that_is_closed_for_a_minute(backend)
