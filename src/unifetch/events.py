"""What happens during a request, told as frozen values to whoever listens.

A listener is a callable that takes one event. It sees every attempt, also those of a redirect or a
retry. It runs on the request's own path: what it raises ends the request.
"""

from __future__ import annotations

from .values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .errors import UnifetchError
    from .headers import Headers
    from .messages import Request, Response
    from .url import URL


class Event(Value):
    """What all events have in common.

    Attributes:
        request: the request as its caller meant it.
        time: `time.monotonic()` when it happened, in seconds.
    """

    request: Request
    time: float

    def __init__(self, request: Request, time: float) -> None:
        vars(self).update(request=request, time=time)


class RequestStarted(Event):
    """A call has begun."""


class Attempt(Event):
    """One request is handed to the backend.

    Attributes:
        number: 1 for the first attempt of the call; redirects and retries count on.
        method, url: what is asked for.
        target: the request target on the wire.
        headers: every field that is sent.
        backend: the name of the backend.
    """

    number: int
    url: URL
    headers: Headers
    backend: str

    def __init__(self, request: Request, time: float, number: int, headers: Headers, backend: str) -> None:
        vars(self).update(request=request, time=time, number=number, headers=headers, backend=backend)


class ResponseHead(Event):
    """The head of a response has come.

    Attributes:
        status, reason, http_version, headers: of the response.
    """

    status: int
    reason: str
    http_version: str
    headers: Headers

    def __init__(
        self, request: Request, time: float, status: int, reason: str, http_version: str, headers: Headers
    ) -> None:
        vars(self).update(
            request=request, time=time, status=status, reason=reason, http_version=http_version, headers=headers
        )


class Redirect(Event):
    """A redirect is about to be followed.

    Attributes:
        status: the status that redirects.
        url: where to.
    """

    status: int
    url: URL

    def __init__(self, request: Request, time: float, status: int, url: URL) -> None:
        vars(self).update(request=request, time=time, status=status, url=url)


class Retry(Event):
    """A request is about to be sent again.

    Attributes:
        delay: seconds until then.
        error: what the last attempt failed with, if it failed.
        status: what the last attempt was answered with, if it was.
    """

    delay: float
    error: UnifetchError | None
    status: int | None

    def __init__(
        self, request: Request, time: float, delay: float, error: UnifetchError | None, status: int | None
    ) -> None:
        vars(self).update(request=request, time=time, delay=delay, error=error, status=status)


class Finished(Event):
    """The response is complete (for a stream: its head is).

    Attributes:
        response: what the caller gets.
    """

    response: Response[object]  # type: ignore[type-var]  # bytes or a stream

    def __init__(self, request: Request, time: float, response: Response[object]) -> None:  # type: ignore[type-var]  # as above
        vars(self).update(request=request, time=time, response=response)


class Failed(Event):
    """The call ends with an error.

    Attributes:
        error: what the caller gets.
    """

    error: BaseException

    def __init__(self, request: Request, time: float, error: BaseException) -> None:
        vars(self).update(request=request, time=time, error=error)
