"""What unifetch does, line by line, in the logger `unifetch` of the standard library's `logging`.

    from unifetch import configure
    from unifetch.observe.logging import log_events

    configure(listeners=log_events)
    logging.basicConfig(level="INFO")

Off until a client or `configure` is given the listener: a failure is an exception anyway, and whoever wants no lines
pays nothing, not even the import of `logging`. Then the level of the logger decides:

    DEBUG      each attempt, the head of each response (also of a 1xx), each redirect
    INFO       each call that got its response, with the seconds it took (for a stream, to the head)
    WARNING    each retry, each cookie that a limit dropped, and each call that failed

A line shows no header field and no body, because any of them may be a credential; in a query, secrets are masked.
Whatever a server sent is escaped: it cannot forge a line or control a terminal.
"""

from __future__ import annotations

import logging

from ..errors import UnifetchError, evidence
from ..masking import masked
from .events import Attempt, CookieDropped, Event, Failed, Finished, InterimResponse, Redirect, ResponseHead, Retrying

_LOGGER = logging.getLogger("unifetch")


_LEVELS: dict[type[Event], int] = {
    Attempt: logging.DEBUG,
    InterimResponse: logging.DEBUG,
    ResponseHead: logging.DEBUG,
    Redirect: logging.DEBUG,
    Finished: logging.INFO,
    CookieDropped: logging.WARNING,
    Retrying: logging.WARNING,
    Failed: logging.WARNING,
}


def log_events(event: Event) -> None:
    """A listener that writes one line for each event but `RequestStarted`, which the first attempt repeats."""
    level = _LEVELS.get(type(event))
    if level is not None and _LOGGER.isEnabledFor(level):
        _LOGGER.log(level, "call %d: %s", event.call, _shown(_line(event)))


def _line(event: Event) -> str:
    match event:
        case Attempt():
            return f"attempt {event.number}: {event.request.method} {event.request.url} through {event.backend}"
        case InterimResponse():
            return f"{event.status}, for now"
        case ResponseHead():
            where = "" if event.stream is None else f"(connection {event.connection}, stream {event.stream})"
            return f"{event.http_version} {event.status} {event.reason}{where}".rstrip()  # HTTP/2 has no reason
        case CookieDropped():
            return f"the cookie {evidence(event.name)} of {event.domain} was dropped: {event.limit} is the limit"
        case Redirect():
            return f"{event.status} leads to {event.url}"
        case Retrying():
            return f"again in {event.delay:.3f} s, after {event.status if event.error is None else _named(event.error)}"
        case Finished(response=response):
            answer = f"{response.status} {response.reason}".strip()
            return f"{event.request.method} {response.url}: {answer} in {response.elapsed:.3f} s"
        case Failed():
            return f"{event.request.method} {event.request.url}: {_named(event.error)}"
    raise TypeError(type(event))


def _named(error: BaseException) -> str:
    # The message of an error that is not ours (of the caller's own body, say) is not for us to publish.
    return f"{type(error).__name__}: {error}" if isinstance(error, UnifetchError) else type(error).__name__


def _shown(text: str) -> str:
    text = masked(text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
