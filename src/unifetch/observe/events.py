"""What happens during a call, as frozen values for whoever listens.

A listener is a callable that takes one event. A call begins with `RequestStarted` and ends with `Finished` or `Failed`;
in between comes every `Attempt`, also after a redirect, a retry or a 401 that was answered. Listeners are called in
their order, as part of the call: if one raises, the call ends, and the others are not told. They change nothing. What
happens to a stream after its head is not told, because its reader does it.
"""

from __future__ import annotations

from ..model.frozen import Record

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import NoReturn

    from ..errors import UnifetchError
    from ..model.headers import Headers
    from ..model.messages import Request, Response
    from ..model.url import URL


class Event(Record):
    """What all events have in common.

    Attributes:
        call: a number that all events of one call share, and no other call in this process has.
        request: the request as its caller meant it, or after a redirect the one that follows.
        time: `time.monotonic()` when it happened, in seconds.
    """

    call: int
    request: Request
    time: float

    if not TYPE_CHECKING:  # so that a type checker still knows which attributes there are

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}; a listener is told of every event: where "
                "isinstance(event, unifetch.observe.events.Finished), event.response is what the caller gets "
                "(docs/how-to/events.md)"
            )


class RequestStarted(Event):
    """A call has begun."""


class Attempt(Event):
    """The request is handed to the backend.

    Attributes:
        number: 1 for the first attempt of the call; redirects, retries and answers to a 401 count up.
        headers: every field that is sent, credentials included; its `repr` masks them.
        backend: the name of the backend.
    """

    number: int
    headers: Headers
    backend: str


class InterimResponse(Event):
    """A 1xx response came before the final one, from a backend that reports them.

    Attributes:
        status, headers: of the interim response.
    """

    status: int
    headers: Headers


class ResponseHead(Event):
    """The head of a response has come; nothing in it has been checked yet.

    Attributes:
        status, reason, http_version, headers: as in `Response`.
        connection: in HTTP/2 its number, which no other connection of this process has; else None.
        stream: in HTTP/2 the stream's identifier on that connection (RFC 9113 §5.1.1); else None.
    """

    status: int
    reason: str
    http_version: str
    headers: Headers
    connection: int | None = None
    stream: int | None = None


class CookieDropped(Event):
    """A cookie was not kept, or is kept no longer, because a limit was met. Its value is not told.

    Attributes:
        name: its name; "" for one that has none.
        domain: the host that it belonged to; of one that never came into the jar, the host that set it.
        limit: which limit: "4096 bytes for one", "180 of a site", "3000 in all".
    """

    name: str
    domain: str
    limit: str


class Redirect(Event):
    """A redirect is about to be followed.

    Attributes:
        status: the status code that redirects.
        url: where to.
    """

    status: int
    url: URL


class Retrying(Event):
    """The request is about to be sent again. One of `error` and `status` is None.

    Attributes:
        delay: seconds until then.
        error: what the last attempt failed with.
        status: the status code that the last attempt was answered with.
    """

    delay: float
    error: UnifetchError | None
    status: int | None


class Finished(Event):
    """The response is complete; for a stream, its head is.

    Attributes:
        response: what the caller gets.
    """

    response: Response[bytes | Iterator[bytes] | AsyncIterator[bytes]]


class Failed(Event):
    """The call ends with an error.

    Attributes:
        error: what the caller gets.
    """

    error: BaseException
