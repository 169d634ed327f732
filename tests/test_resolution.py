"""Name resolution counts against the timeouts: a resolver that hangs is left behind, on every backend."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from unifetch import Client, ConnectTimeout, Timeout, TotalTimeout


@pytest.mark.parametrize(
    ("timeout", "error"), [(Timeout(20, connect=0.2), ConnectTimeout), (Timeout(0.2, connect=20), TotalTimeout)]
)
def test_a_resolver_that_hangs(
    backend: str, timeout: Timeout, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call ends with its phase or its total; the resolver's thread goes on, and nobody waits for it."""
    hang = threading.Event()

    def getaddrinfo(host: str, *rest: Any, flags: int = 0, **options: Any) -> Any:
        if not flags & socket.AI_NUMERICHOST:
            hang.wait(10)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        with Client(backend) as client, pytest.raises(error) as caught:
            client.get("http://slow.test/", timeout=timeout)
    finally:
        hang.set()

    assert "no" == caught.value.request_sent  # type: ignore[attr-defined]  # both have it
