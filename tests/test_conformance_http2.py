"""What the core promises holds over HTTP/2 as well: the conformance classes that do not speak of HTTP/1.1's bytes.

Their servers speak HTTP/1.1. A gateway stands in between: unifetch speaks HTTP/2 to it, whatever a test asks, and it
asks the server of the test. So every policy, from cookies to downloads, runs on streams and frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from unifetch.backends.socket import AsyncSocketBackend, SocketBackend
from unifetch.errors import UnifetchError
from unifetch.model.messages import RawRequest
from unifetch.model.route import DIRECT
from unifetch.model.timeouts import Timeout
from unifetch.model.url import URL
from unifetch.testing import Script
from unifetch.testing.conformance import (  # noqa: F401  # pytest collects them from here
    TestAuth,
    TestBodies,
    TestCookies,
    TestDecoding,
    TestDownloads,
    TestRedirects,
    TestRetries,
    TestStreaming,
    TestStreams,
    TestText,
    TestUploads,
)
from unifetch.testing.conformance.base import BackendFactory

pytest.importorskip("h2")
from unifetch.testing import http2 as peer  # after the skip

ORIGIN = "x-origin"  # where the gateway is to go

# Tests of those classes that are about HTTP/1.1 after all, or about what the gateway cannot pass on.
ABOUT_HTTP_1_1 = {
    "test_control_character": "the gateway passes no malformed head on",
    "test_secure": "the gateway has no TLS",
    "test_the_error_lists_the_attempts": "the gateway is always there",
    "test_refused": "the gateway is always there",
    "test_a_one_shot_body_is_not_sent_again": "the gateway reads a body before it asks",
    "test_after_its_block_a_stream_is_closed": "the gateway looks for the end of a stream only when it writes",
    "test_an_error_of_progress_is_the_callers": "the gateway reads a body before it asks",
    "test_early_response_to_files": "the gateway reads a body before it asks",
}


def forwarded(request: peer.StreamRequest) -> Iterator[Script]:
    """The answer of the server that a test has made."""
    fields = [(name, value) for name, value in request.headers if name[0] != ":" and name != ORIGIN]
    origin = dict(request.headers)[ORIGIN]
    fields.remove(("te", "trailers"))
    body: Any = request.body or None
    length: int | None = len(request.body)
    if body and "content-length" not in dict(fields):  # it came in pieces, and goes on so
        fields.append(("Transfer-Encoding", "chunked"))
        body, length = [body], None
    headers = (("Host", dict(request.headers)[":authority"]), *fields)
    url = URL(f"http://{origin}{request.target}")
    raw = RawRequest(request.method, url, headers, body, length, Timeout(20), trailers=tuple(request.trailers))
    backend = SocketBackend()
    close = backend.close
    try:
        response = backend.send(raw)
        close = response.close
        head = [
            (name.lower(), value)
            for name, value in response.headers.pairs
            if name.lower() not in ("connection", "transfer-encoding", "keep-alive")
        ]
        yield peer.Head([(":status", str(response.status)), *head])
        for piece in response.body:
            yield peer.Data(piece)
        trailers = [(name.lower(), value) for name, value in response.trailers]
        yield peer.Head(trailers, end=True) if trailers else peer.Data(b"", end=True)
    except UnifetchError:
        yield peer.ResetStream(peer.INTERNAL_ERROR)
    finally:
        close()
        backend.close()


def through(gateway: peer.Server, request: RawRequest) -> RawRequest:
    """The same request, to the gateway."""
    headers = (*request.headers, (ORIGIN, f"{request.host}:{request.port}"))
    changes = {"scheme": "http", "host": "127.0.0.1", "port": gateway.port, "tls": None, "http2": "only"}
    return request.routed(DIRECT, headers=headers, **changes)


@pytest.fixture
def gateway(request: pytest.FixtureRequest) -> Iterator[peer.Server]:
    """What speaks HTTP/2 for the servers of the tests."""
    if reason := ABOUT_HTTP_1_1.get(request.node.originalname):
        pytest.skip(reason)
    with peer.Server(forwarded) as running:
        yield running
        running.errors.clear()


@pytest.fixture(params=["blocking", "awaited"])
def backend_factory(request: pytest.FixtureRequest, gateway: peer.Server) -> BackendFactory:
    """The socket backend, which goes by HTTP/2 and through the gateway."""

    class Blocking(SocketBackend):
        def send(self, request: RawRequest) -> Any:
            return super().send(through(gateway, request))

    class Awaited(AsyncSocketBackend):
        async def send(self, request: RawRequest) -> Any:
            return await super().send(through(gateway, request))

    return Blocking if request.param == "blocking" else Awaited
