"""Real SDKs, untouched, over the bridges, against scripted servers of their APIs; the tox env `bridges` runs this."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unifetch.testing import Close, Server, reply

_WHERE = "the tox env `bridges` has it"
httpx = pytest.importorskip("httpx", reason=_WHERE)
httpx2 = pytest.importorskip("httpx2", reason=_WHERE)
requests = pytest.importorskip("requests", reason=_WHERE)
for sdk in ("huggingface_hub", "elastic_transport", "google.auth"):
    pytest.importorskip(sdk, reason=_WHERE)
anthropic = pytest.importorskip("anthropic", reason=_WHERE)
openai = pytest.importorskip("openai", reason=_WHERE)
stripe = pytest.importorskip("stripe", reason=_WHERE)

from unifetch.bridges.httpx import AsyncTransport, Transport  # noqa: E402  # only where the libraries are
from unifetch.bridges.httpx2 import Transport as OverHttpx2  # noqa: E402  # likewise
from unifetch.bridges.requests import Adapter  # noqa: E402  # likewise

JSON = {"Content-Type": "application/json"}
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def asked(client: Any) -> Any:
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])


def test_openai_retries_what_the_bridge_reports() -> None:
    """A connection that breaks is an error of httpx's tree, which the SDK answers by another attempt."""
    with Server(Close(), reply(500), reply(200, json.dumps(COMPLETION).encode(), JSON)) as server:
        with openai.OpenAI(
            api_key="k", base_url=server.url, max_retries=2, http_client=httpx.Client(transport=Transport())
        ) as client:
            assert "hello" == asked(client).choices[0].message.content
        assert 3 == len(server.requests)


def test_openai_reports_timeouts() -> None:
    """The SDK's own timeout reaches the engine, and comes back as the SDK's own error."""
    with Server(b"") as server:
        http_client = httpx.Client(transport=Transport())
        with openai.OpenAI(
            api_key="k", base_url=server.url, max_retries=0, timeout=0.1, http_client=http_client
        ) as client:
            with pytest.raises(openai.APITimeoutError):
                asked(client)


async def streamed(url: str) -> list[str]:
    http_client = httpx.AsyncClient(transport=AsyncTransport())
    async with openai.AsyncOpenAI(api_key="k", base_url=url, http_client=http_client) as client:
        messages: Any = [{"role": "user", "content": "hi"}]
        stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
        return [event.choices[0].delta.content or "" async for event in stream]


def test_openai_streams() -> None:
    """Awaited server-sent events, piece by piece."""
    import asyncio

    pieces = [
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": text}}],
        }
        for text in ("hel", "lo")
    ]
    events = [chunk(b"data: " + json.dumps(piece).encode() + b"\n\n") for piece in pieces]
    with Server([EVENTS, *events, chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"]) as server:
        assert ["hel", "lo"] == asyncio.run(streamed(server.url))


def test_anthropic_streams() -> None:
    """A stream of text, by the SDK's own reader of events."""
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}
    message = {
        "type": "message_start",
        "message": {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    }
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    told: list[Any] = [message, start, delta, {"type": "content_block_stop", "index": 0}, {"type": "message_stop"}]
    events = [chunk(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode()) for each in told]
    with Server([EVENTS, *events, b"0\r\n\r\n"]) as server:
        http_client = httpx2.Client(transport=OverHttpx2())
        with anthropic.Anthropic(api_key="k", base_url=server.url, http_client=http_client) as client:
            with client.messages.stream(
                model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
            ) as stream:
                assert ["hello"] == list(stream.text_stream)


def test_stripe() -> None:
    """Its client for requests, with a session of ours."""
    session = requests.Session()
    session.mount("http://", Adapter())
    with Server(reply(200, b'{"id": "cus_1", "object": "customer"}', JSON)) as server:
        client = stripe.StripeClient(
            "sk_test_k", base_addresses={"api": server.url}, http_client=stripe.RequestsClient(session=session)
        )
        assert "cus_1" == client.v1.customers.retrieve("cus_1").id
    session.close()


def test_google_auth() -> None:
    """Its transport for requests fetches with a session of ours."""
    from google.auth.transport.requests import Request

    session = requests.Session()
    session.mount("http://", Adapter())
    with Server(reply(200, b"token")) as server:
        assert b"token" == Request(session=session)(server.url, timeout=5).data
    session.close()


def test_huggingface_hub() -> None:
    """Its client factory takes one of ours."""
    import huggingface_hub

    huggingface_hub.set_client_factory(lambda: httpx.Client(transport=Transport()))
    try:
        with Server(reply(200, b'{"id": "a/b"}', JSON)) as server:
            assert {"id": "a/b"} == huggingface_hub.get_session().get(server.url).json()
    finally:
        huggingface_hub.set_client_factory(httpx.Client)


def test_elastic_transport() -> None:
    """Its node for requests, whose sessions are made out of reach."""
    import elastic_transport

    from unifetch import bridges

    bridges.install("requests")
    try:
        with Server(reply(200, b'{"a": 1}', JSON)) as server:
            node = elastic_transport.RequestsHttpNode(elastic_transport.NodeConfig("http", "127.0.0.1", server.port))
            assert b'{"a": 1}' == node.perform_request("GET", "/").body
            node.close()
    finally:
        bridges.uninstall("requests")
