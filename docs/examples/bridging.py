"""unifetch underneath clients that an SDK already has."""

from __future__ import annotations

import asyncio

import httpx
import requests

from unifetch import bridges
from unifetch.bridges.httpx import AsyncTransport, Transport
from unifetch.bridges.requests import Adapter

NEEDS = ["httpx", "requests"]


# [awaited]
async def ask(url: str) -> int:
    async with httpx.AsyncClient(transport=AsyncTransport(total=60)) as client:
        return (await client.get(url)).status_code


# [end]


def main(url: str) -> None:
    # [httpx]
    client = httpx.Client(transport=Transport(total=60))

    assert client.get(f"{url}/data.json").status_code == 200
    # [end]
    client.close()
    assert asyncio.run(ask(f"{url}/data.json")) == 200

    # [requests]
    session = requests.Session()
    session.mount("http://", Adapter(forbid_private=True))
    session.mount("https://", Adapter(forbid_private=True))

    try:
        session.get(url)
    except requests.ConnectionError as error:
        assert "forbid_private" in str(error)
    # [end]
    session.close()

    # [install]
    bridges.install("requests", total=60)
    assert bridges.installed() == ("requests",)
    bridges.uninstall("requests")
    # [end]
