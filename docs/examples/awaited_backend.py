"""A backend without a network, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

from unifetch import AsyncClient, Capability, Headers
from unifetch.backends.base import HTTP_1_CAPABILITIES, AsyncRawResponse, RawRequest


# [canned]
class AwaitedCanned:
    """The backend from above, awaited."""

    name = "canned"
    contract: Literal[1] = 1
    capabilities = HTTP_1_CAPABILITIES | {Capability.NATIVE_ASYNC}
    native: object = None

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.seen: list[RawRequest] = []

    async def send(self, request: RawRequest) -> AsyncRawResponse:
        self.seen.append(request)
        return AsyncRawResponse(200, "OK", "HTTP/1.1", Headers(), self._chunks(), self.close)

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield self.body

    async def close(self) -> None:
        pass


# [end]


async def scenario() -> None:
    # [use]
    async with AsyncClient(backend=AwaitedCanned(b'{"id": 7}'), base_url="https://api.example.org") as client:
        assert (await client.get("/orders/7")).json() == {"id": 7}
    # [end]


def main() -> None:
    asyncio.run(scenario())
