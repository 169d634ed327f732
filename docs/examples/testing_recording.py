"""A test of the SDK of sdk.py by a recording: the service is asked once, and then no more."""

from __future__ import annotations

import os
from pathlib import Path

from sdk import Shop

from unifetch.testing import Cassette


# [recording]
def test_an_order(url: str, directory: Path) -> None:
    token = os.environ.get("SHOP_TOKEN", "none")  # only who records needs a real one

    with Cassette(directory / "order.har", secrets={"token": token}):
        assert Shop(token, url=url).order(7)["id"] == 7


# [end]


def main(directory: Path) -> None:
    from unifetch.testing import Server, reply

    os.environ["SHOP_TOKEN"] = "a-real-token-0123"
    try:
        with Server(lambda request: reply(json={"id": 7, "for": request.header("authorization")})) as server:
            os.environ.pop("CI", None)
            test_an_order(server.url, directory)
            del os.environ["SHOP_TOKEN"]
            test_an_order(server.url, directory)
            assert len(server.requests) == 1
    finally:
        os.environ.pop("SHOP_TOKEN", None)
    assert "a-real-token-0123" not in (directory / "order.har").read_text()
