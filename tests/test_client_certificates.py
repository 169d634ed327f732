"""A client certificate that a server demands, and that is not shown.

With TLS 1.3 the handshake is over for the client before the server has seen what it shows (RFC 8446 §4.4.2), so the
refusal comes in place of a response. Not of aiohttp: asyncio's transport may end at a write that fails, and with it
goes what had come before.
"""

from __future__ import annotations

import ssl
from importlib.util import find_spec
from typing import Any

import pytest

from unifetch import Client, TLSError
from unifetch.testing import Server, reply
from unifetch.testing.awaited import AwaitedClient
from unifetch.testing.conformance.handshakes import asks_for_a_certificate
from unifetch.testing.conformance.routes import authority


@pytest.mark.parametrize("name", ["urllib", "urllib3", "requests", "httpx", "httpx2", "socket"])
@pytest.mark.parametrize("kind", [Client, AwaitedClient])
@pytest.mark.parametrize("body", [None, b"x" * 1_000_000])
def test_a_refusal_in_place_of_a_response(name: str, kind: Any, body: bytes | None) -> None:
    """It is an error of TLS that says what to set, and the request is not repeated."""
    if name not in ("urllib", "socket") and find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    context = asks_for_a_certificate(ssl.TLSVersion.TLSv1_3)
    with Server(reply(200), tls=context) as server, kind(name, tls=authority().trusted) as client:
        with pytest.raises(TLSError, match="asks for a client certificate, and none was shown; set tls client_cert"):
            client.request("PUT", server.url, body=body, retry=3)

        assert 1 == server.connections
