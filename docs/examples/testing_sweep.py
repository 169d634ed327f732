"""A payment that is never made twice, wherever the connection is lost."""

from __future__ import annotations

from typing import Any

from unifetch import Client, UnifetchError
from unifetch.testing import Intercepted, Mock, sweep

API = "https://bank.example/payments"


# [pay]
def pay(client: Client, amount: int, key: str) -> Any:
    response = client.post(API, json={"amount": amount}, headers={"Idempotency-Key": key}, retry={"methods": ["POST"]})
    return response.raise_for_status().json()


# [end]


class Bank:
    """What stands behind the mock: it books a payment once for each key."""

    def __init__(self) -> None:
        self.booked: dict[str, int] = {}

    def answer(self, request: Intercepted) -> Any:
        from unifetch.testing import Answer

        self.booked[request.headers["Idempotency-Key"] or str(len(self.booked))] = request.json()["amount"]
        return Answer(201, json={"booked": True})


# [sweep]
def test_a_payment_is_made_once_at_most() -> None:
    bank = Bank()
    with Mock() as mock, Client() as client:
        mock.post(API).reply(bank.answer)

        for point in sweep(lambda: pay(client, 5, "order-7")):
            assert len(bank.booked) <= 1, point
            assert point.error is None or isinstance(point.error, UnifetchError), point
            if point.error is None:
                assert bank.booked == {"order-7": 5}, point
            bank.booked.clear()


# [end]


def main() -> None:
    test_a_payment_is_made_once_at_most()
