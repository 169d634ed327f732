"""msal over unifetch: `msal.ConfidentialClientApplication(…, http_client=UnifetchClient())`."""

from __future__ import annotations

from typing import Any

from unifetch import Client, Response


class Answer:
    """A response by the names that msal reads."""

    def __init__(self, response: Response[bytes]) -> None:
        self.status_code, self.text, self.headers = response.status, response.text, response.headers
        self.raise_for_status = response.raise_for_status


class UnifetchClient:
    """Carries msal's requests by a client of the application's own."""

    def __init__(self, client: Client | None = None) -> None:
        self._client = client or Client()

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> Answer:
        content = {"body": data} if isinstance(data, (str, bytes)) else {"form": data}
        return Answer(self._client.post(url, params=params, headers=headers, **content))

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> Answer:
        return Answer(self._client.get(url, params=params, headers=headers))

    def close(self) -> None:
        self._client.close()
