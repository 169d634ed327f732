"""botocore over unifetch: `carry(boto3.client("s3"))`. What botocore signs is sent as it is signed."""

from __future__ import annotations

from typing import Any

from botocore import exceptions
from botocore.awsrequest import AWSResponse

from unifetch import Client, ConnectError, ConnectTimeout, ReadTimeout, UnifetchError

ERRORS = {
    ConnectTimeout: exceptions.ConnectTimeoutError,
    ReadTimeout: exceptions.ReadTimeoutError,
    ConnectError: exceptions.EndpointConnectionError,
}


class Raw:
    """The body of a response, by the names that botocore reads."""

    def __init__(self, response: Any) -> None:
        self._file = response.file()
        self.read, self.close, self.stream = self._file.read, self._file.close, lambda: response.body


def carry(service: Any, client: Client | None = None) -> Any:
    """Have this client of an AWS service send its requests by a client of the application's own."""
    ours = client or Client(cookies=False)

    def send(request: Any, **_: Any) -> AWSResponse:
        fields = [(name, value) for name, value in request.headers.items() if name != "Expect"]  # not all backends can
        try:
            response = ours.exchange(request.method, request.url, headers=fields, body=request.body or None)
        except UnifetchError as error:
            known = [theirs for kind, theirs in ERRORS.items() if isinstance(error, kind)]
            raise (known or [exceptions.HTTPClientError])[0](endpoint_url=request.url, error=error) from error
        return AWSResponse(request.url, response.status, response.headers, Raw(response))

    service.meta.events.register_last("before-send", send)
    return service
