"""The same of what is awaited; see public_api.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

from unifetch import AsyncClient, Download, Response, ServerSentEvent, aio, post


async def blocks() -> AsyncIterator[bytes]:
    yield b""


post("https://example.org/", body=blocks())  # type: ignore[arg-type]  # nobody would await it


async def awaited(client: AsyncClient) -> None:
    whole = await client.get("https://example.org/", params={"a": [1, 2]}, timeout=5)
    assert_type(whole, Response[bytes])
    assert_type(whole.text, str)
    assert_type(whole.history, tuple[Response[bytes], ...])
    assert_type(await aio.get("https://example.org/", backend="socket"), Response[bytes])
    assert_type(await client.post("/", body=blocks()), Response[bytes])
    assert_type(await aio.put("/", json={"a": 1}), Response[bytes])
    _ = client.get("/").status  # type: ignore[attr-defined]  # it was not awaited
    await client.get("/", jason={})  # type: ignore[call-arg]  # no such argument
    await aio.post("/", body=5)  # type: ignore[arg-type]  # a number is no body

    async with client.stream("GET", "/") as streamed, aio.stream("GET", "/") as other:
        assert_type(streamed, Response[AsyncIterator[bytes]])
        assert_type(other, Response[AsyncIterator[bytes]])
        assert_type(streamed.raise_for_status(), Response[AsyncIterator[bytes]])
        _ = streamed.text  # type: ignore[misc]  # an unread stream has no text
        streamed.json()  # type: ignore[misc]  # nor JSON
        for _piece in streamed.body:  # type: ignore[attr-defined]  # its pieces have to be awaited
            pass
        async for piece in streamed.body:
            assert_type(piece, bytes)
        async for line in streamed.lines():
            assert_type(line, str)
        async for event in streamed.events(max_event=None):
            assert_type(event, ServerSentEvent)
        _ = streamed.read().text  # type: ignore[attr-defined]  # it was not awaited
        assert_type(await streamed.read(), Response[bytes])
        assert_type((await streamed.read()).text, str)
    with client.stream("GET", "/"):  # type: ignore[attr-defined]  # `async with`
        pass

    assert_type(await client.download("/f", "f", resume=True, digest={"sha-256": "0" * 64}, progress=print), Download)
    assert_type(await aio.download("https://example.org/f", "f"), Download)


async def opened() -> None:
    async with AsyncClient(backend="httpx", base_url="https://example.org", timeout={"total": 5}) as client:
        assert_type(client, AsyncClient)
