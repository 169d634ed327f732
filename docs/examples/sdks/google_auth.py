"""google-auth over unifetch: `credentials.refresh(Request())`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.auth import exceptions, transport

from unifetch import Client, UnifetchError


class Response(transport.Response):
    """What google-auth reads of a response."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self._answer = status, headers, data

    status = property(lambda self: self._answer[0])
    headers = property(lambda self: self._answer[1])
    data = property(lambda self: self._answer[2])


class Request(transport.Request):
    """Carries google-auth's requests by a client of the application's own."""

    def __init__(self, client: Client | None = None) -> None:
        self._client = client or Client(cookies=False)

    def __call__(
        self, url: str, method: str = "GET", body: Any = None, headers: Any = None, timeout: Any = 120, **_: Any
    ) -> Response:
        try:
            response = self._client.request(method, url, body=body, headers=headers, timeout=timeout or 120)
        except UnifetchError as error:
            raise exceptions.TransportError(error) from error
        return Response(response.status, response.headers, response.body)
