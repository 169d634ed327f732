"""What a type checker must accept of the public API, and what it must refuse.

It is checked, not run: `mypy --strict` reports an ignore that is not needed, so each refusal is proven.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from typing import assert_type

from unifetch import (
    Client,
    Download,
    Headers,
    Request,
    Response,
    Result,
    ServerSentEvent,
    Timeout,
    aio,
    download,
    fetch_all,
    get,
    post,
    stream,
)

whole = get("https://example.org/", params={"a": [1, 2]}, timeout=Timeout(5, connect=1), headers={"X": "1"})
assert_type(whole, Response[bytes])
assert_type(whole.body, bytes)
assert_type(whole.text, str)
assert_type(whole.headers, Headers)
assert_type(whole.request, Request)
assert_type(whole.history, tuple[Response[bytes], ...])
assert_type(whole.raise_for_status(), Response[bytes])

with stream("GET", "https://example.org/") as streamed:
    assert_type(streamed, Response[Iterator[bytes]])
    assert_type(streamed.raise_for_status(), Response[Iterator[bytes]])
    _ = streamed.text  # type: ignore[misc]  # an unread stream has no text
    streamed.json()  # type: ignore[misc]  # nor JSON
    assert_type(streamed.lines(), Iterator[str])
    assert_type(streamed.events(max_event=None), Iterator[ServerSentEvent])
    assert_type(streamed.read(), Response[bytes])
    assert_type(streamed.read().text, str)

whole.read()  # type: ignore[misc]  # there is nothing left to read
whole.lines()  # type: ignore[misc]  # likewise
whole.events()  # type: ignore[misc]  # likewise

loaded = download("https://example.org/f", "f", resume=True, digest={"sha-256": "0" * 64}, progress=print, timeout=60)
assert_type(loaded, Download)
assert_type(loaded.response, Response[bytes])
download("https://example.org/f", "f", body=b"")  # type: ignore[call-arg]  # it is a GET

with Client(backend="httpx", base_url="https://example.org", timeout={"total": 5}) as client:
    assert_type(client.post("/", json={"a": 1}), Response[bytes])
    client.get("/", jason={})  # type: ignore[call-arg]  # no such argument

post("https://example.org/", body=5)  # type: ignore[arg-type]  # a number is no body

results = fetch_all(["https://example.org/", Request("PUT", "https://example.org/", body=b"")], per_origin=2)
assert_type(results, Generator[Result[Response[bytes]], None, None])
assert_type(next(results).unwrap(), Response[bytes])
assert_type(next(results).response, Response[bytes] | None)
sizes = fetch_all(["https://example.org/"], sink=lambda result: len(result.unwrap().body))
assert_type(next(sizes).unwrap(), int)
made = next(sizes).response  # type: ignore[misc]  # the sink has made a number of it
fetch_all(["https://example.org/"], body=b"")  # type: ignore[call-overload]  # a Request has a body
assert_type(aio.fetch_all(["https://example.org/"]), AsyncGenerator[Result[Response[bytes]], None])
