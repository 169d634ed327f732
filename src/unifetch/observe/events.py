"""What happens during a call, told as frozen values to whoever listens.

A listener is a callable that takes one event. A call begins with `RequestStarted` and ends with `Finished`
or `Failed`; in between comes every `Attempt`, also those of a redirect, a retry or a 401 that was answered.
Listeners are told in their order, on the call's own path: what one raises ends the call, and those after it
are not told. They are told what happens and change nothing. How a stream is read after its head, they are
not told: that is its reader's own doing.
"""

from __future__ import annotations

from ..model.frozen import Value

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ..errors import UnifetchError
    from ..model.headers import Headers
    from ..model.messages import Request, Response
    from ..model.url import URL


class Event(Value):
    """What all events have in common.

    Attributes:
        call: the same number in all events of one call, and in those of no other in this process.
        request: what is being asked: first as its caller meant it, after a redirect what that leads to.
        time: `time.monotonic()` when it happened, in seconds.
    """

    call: int
    request: Request
    time: float

    def __init__(self, call: int, request: Request, time: float) -> None:
        vars(self).update(call=call, request=request, time=time)


class RequestStarted(Event):
    """A call has begun."""


class Attempt(Event):
    """The request is handed to the backend.

    Attributes:
        number: 1 for the first attempt of the call; redirects, retries and answers to a 401 count on.
        headers: every field that is sent, credentials included; its `repr` masks them.
        backend: the name of the backend.
    """

    number: int
    headers: Headers
    backend: str

    def __init__(self, call: int, request: Request, time: float, number: int, headers: Headers, backend: str) -> None:
        vars(self).update(call=call, request=request, time=time, number=number, headers=headers, backend=backend)


class InterimResponse(Event):
    """A 1xx response came before the answer, from a backend that tells of them.

    Attributes:
        status, headers: of the interim response.
    """

    status: int
    headers: Headers

    def __init__(self, call: int, request: Request, time: float, status: int, headers: Headers) -> None:
        vars(self).update(call=call, request=request, time=time, status=status, headers=headers)


class ResponseHead(Event):
    """The head of a response has come, and nothing in it was checked yet.

    Attributes:
        status, reason, http_version, headers: as in `Response`.
    """

    status: int
    reason: str
    http_version: str
    headers: Headers

    def __init__(
        self, call: int, request: Request, time: float, status: int, reason: str, http_version: str, headers: Headers
    ) -> None:
        head = {"status": status, "reason": reason, "http_version": http_version, "headers": headers}
        vars(self).update(call=call, request=request, time=time, **head)


class Redirect(Event):
    """A redirect is about to be followed.

    Attributes:
        status: the status code that redirects.
        url: where to.
    """

    status: int
    url: URL

    def __init__(self, call: int, request: Request, time: float, status: int, url: URL) -> None:
        vars(self).update(call=call, request=request, time=time, status=status, url=url)


class Retry(Event):
    """The request is about to be sent again. One of `error` and `status` is None.

    Attributes:
        delay: seconds until then.
        error: what the last attempt failed with.
        status: the status code that the last attempt was answered with.
    """

    delay: float
    error: UnifetchError | None
    status: int | None

    def __init__(
        self, call: int, request: Request, time: float, delay: float, error: UnifetchError | None, status: int | None
    ) -> None:
        vars(self).update(call=call, request=request, time=time, delay=delay, error=error, status=status)


class Finished(Event):
    """The response is complete; for a stream, its head is.

    Attributes:
        response: what the caller gets.
    """

    response: Response[bytes | Iterator[bytes] | AsyncIterator[bytes]]

    def __init__(
        self,
        call: int,
        request: Request,
        time: float,
        response: Response[bytes | Iterator[bytes] | AsyncIterator[bytes]],
    ) -> None:
        vars(self).update(call=call, request=request, time=time, response=response)


class Failed(Event):
    """The call ends with an error.

    Attributes:
        error: what the caller gets.
    """

    error: BaseException

    def __init__(self, call: int, request: Request, time: float, error: BaseException) -> None:
        vars(self).update(call=call, request=request, time=time, error=error)
