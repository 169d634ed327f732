"""twilio over unifetch: `twilio.rest.Client(sid, token, http_client=UnifetchClient())`."""

from __future__ import annotations

from typing import Any

from twilio.base.exceptions import TwilioException
from twilio.http import HttpClient
from twilio.http.response import Response

from unifetch import Client, UnifetchError


class UnifetchClient(HttpClient):
    """Carries twilio's requests by a client of the application's own."""

    def __init__(self, client: Client | None = None) -> None:
        super().__init__(None, False, None)
        self._client = client or Client(cookies=False)

    def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        content = {"json": data} if "json" in (headers or {}).get("Content-Type", "") else {"form": data}
        call = {"params": params, "auth": auth, "timeout": timeout or 60, "redirects": 20 if allow_redirects else 0}
        try:
            response = self._client.request(method, url, headers=headers, **content, **call)
        except UnifetchError as error:
            raise TwilioException(f"{error}") from error
        return Response(response.status, response.text, response.headers)
