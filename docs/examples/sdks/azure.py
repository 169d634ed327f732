"""azure-core over unifetch: `PipelineClient(url, transport=UnifetchTransport())`, and the `transport=` of each SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from azure.core import exceptions
from azure.core.pipeline import transport

from unifetch import Client, TimedOut, UnifetchError


class Answer(transport.HttpResponse):
    """A response by the names that azure-core reads; `internal_response` is ours."""

    def __init__(self, request: Any, response: Any) -> None:
        super().__init__(request, response)
        self.status_code, self.reason, self.headers = response.status, response.reason, response.headers
        self.content_type = response.headers.get("content-type")

    def body(self) -> bytes:
        if not isinstance(self.internal_response.body, bytes):
            self.internal_response = self.internal_response.read()
        return self.internal_response.body

    def stream_download(self, pipeline: Any, **_: Any) -> Iterator[bytes]:
        return self.internal_response.body


class UnifetchTransport(transport.HttpTransport):
    """Carries the requests of a pipeline, whose policies follow redirects, sign and retry."""

    def __init__(self, client: Client | None = None) -> None:
        self._client = client or Client(cookies=False, redirects=0)

    def send(self, request: Any, *, stream: bool = False, **call: Any) -> Answer:
        body = getattr(request, "_data", None) or getattr(request, "data", None)
        try:
            response = self._client.open(request.method, request.url, headers=request.headers, body=body)
            return Answer(request, response if stream else response.read())
        except TimedOut as error:
            raise exceptions.ServiceResponseTimeoutError(error, error=error) from error
        except UnifetchError as error:
            kind = exceptions.ServiceRequestError if error.request_sent == "no" else exceptions.ServiceResponseError
            raise kind(error, error=error) from error

    def open(self) -> None:
        pass

    def close(self) -> None:
        self._client.close()

    def __exit__(self, *ending: Any) -> None:
        self.close()
