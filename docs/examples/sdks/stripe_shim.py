"""stripe over unifetch: `stripe.default_http_client = UnifetchClient()`. Stripe's own retries and telemetry stay."""

from __future__ import annotations

from typing import Any

import stripe

from unifetch import Client, UnifetchError


class UnifetchClient(stripe.HTTPClient):
    """Carries stripe's requests.

    Args:
        client: settings of the application's own; it stays its to close.
    """

    name = "unifetch"

    def __init__(self, client: Client | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._client = client or Client(cookies=False, redirects=0, timeout=80)

    def request(self, method: str, url: str, headers: Any, post_data: Any = None) -> tuple[bytes, int, Any]:
        content, status, fields = self.request_stream(method, url, headers, post_data)
        with content:
            return content.readall(), status, fields

    def request_stream(self, method: str, url: str, headers: Any, post_data: Any = None) -> tuple[Any, int, Any]:
        try:
            response = self._client.open(method, url, headers=headers, body=post_data or None)
        except UnifetchError as error:
            raise stripe.APIConnectionError(f"{error}", should_retry=error.request_sent == "no") from error
        return response.file(), response.status, response.headers

    def close(self) -> None:
        self._client.close()
