"""What unifetch does, line by line, in the logger `unifetch` of the standard library's `logging`.

    from unifetch import configure
    from unifetch.observe.logging import log_events

    configure(listeners=log_events)
    logging.basicConfig(level="INFO")

Off until a client or `configure` is given the listener: a failure is an exception anyway, and whoever wants no lines
pays nothing, not even the import of `logging`. Then the level of the logger decides:

    DEBUG      each attempt, the head of each response (also of a 1xx), each redirect
    INFO       each call that got its response, with the seconds it took (for a stream, to the head)
    WARNING    each retry, and each call that failed

A line shows no header field and no body, because any of them may be a credential; in a query, secrets are masked.
Whatever a server sent is escaped: it cannot forge a line or control a terminal.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ..errors import UnifetchError
from ..masking import masked
from .events import Attempt, Event, Failed, Finished, InterimResponse, Redirect, ResponseHead, Retry

_LOGGER = logging.getLogger("unifetch")


def log_events(event: Event) -> None:
    """A listener that writes one line for each event but `RequestStarted`, which the first attempt repeats."""
    if type(event) not in _LINES:
        return
    level, line = _LINES[type(event)]
    if _LOGGER.isEnabledFor(level):
        _LOGGER.log(level, "call %d: %s", event.call, _shown(line(event)))


def _attempt(event: Attempt) -> str:
    return f"attempt {event.number}: {event.request.method} {event.request.url} through {event.backend}"


def _response_head(event: ResponseHead) -> str:
    where = "" if event.stream is None else f"(connection {event.connection}, stream {event.stream})"
    return f"{event.http_version} {event.status} {event.reason}{where}".rstrip()  # HTTP/2 has no reason


def _redirect(event: Redirect) -> str:
    return f"{event.status} leads to {event.url}"


def _retry(event: Retry) -> str:
    return f"again in {event.delay:.3f} s, after {event.status if event.error is None else _error(event.error)}"


def _finished(event: Finished) -> str:
    response = event.response
    answer = f"{response.status} {response.reason}".strip()
    return f"{event.request.method} {response.url}: {answer} in {response.elapsed:.3f} s"


def _failed(event: Failed) -> str:
    return f"{event.request.method} {event.request.url}: {_error(event.error)}"


def _error(error: BaseException) -> str:
    # The message of an error that is not ours (of the caller's own body, say) is not for us to publish.
    return f"{type(error).__name__}: {error}" if isinstance(error, UnifetchError) else type(error).__name__


_LINES: dict[type[Event], tuple[int, Callable[[Any], str]]] = {
    Attempt: (logging.DEBUG, _attempt),
    InterimResponse: (logging.DEBUG, lambda event: f"{event.status}, for now"),
    ResponseHead: (logging.DEBUG, _response_head),
    Redirect: (logging.DEBUG, _redirect),
    Finished: (logging.INFO, _finished),
    Retry: (logging.WARNING, _retry),
    Failed: (logging.WARNING, _failed),
}


def _shown(text: str) -> str:
    text = masked(text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
