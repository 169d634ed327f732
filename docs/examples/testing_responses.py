"""The mock `responses`, in front of the requests backend."""

from __future__ import annotations

from unifetch import get

NEEDS = ["requests", "responses"]


def main() -> None:
    # [responses]
    import responses

    with responses.RequestsMock() as mock:
        mock.get("https://api.example.org/orders/7", json={"id": 7})

        assert get("https://api.example.org/orders/7", backend="requests").json() == {"id": 7}
    # [end]
