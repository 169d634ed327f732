"""A script of `testing.Server`, played in memory: the parser of the socket backend reads what it would have sent.

Steps that need a real connection (`OnConnect`, `StartTLS`, `HalfClose`) are refused here; such a script belongs in a
`Server`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

from ..errors import ConnectionLost, IncompleteBody, UnifetchError, shown
from ..wire.http11 import read_body, read_head
from ..wire.reader import ByteReader
from .answer import Answer, unrolled
from .steps import (
    Close,
    Drip,
    Flood,
    OnConnect,
    OnHead,
    Pause,
    Receive,
    RecordedRequest,
    Reset,
    Signal,
    Stall,
    Step,
    Truncate,
    route,
)


def played(script: Any, request: Any) -> Generator[Any, Any, Answer]:
    """The answer that a client gets from this script; its waits are steps.

    Raises:
        UnifetchError: what a client makes of it.
        TypeError: a step that needs a real connection.
    """
    events = _events(script, recorded(request))
    reader = ByteReader()
    parsing = read_head(reader, request.method)
    interim = []
    try:
        while True:
            found = next(parsing)
            if found is not None:
                interim.append((found.status, list(found.headers.pairs)))
                continue
            event = next(events, None)
            if isinstance(event, Pause):
                yield event
            elif isinstance(event, bytes):
                reader.feed(event)
            elif isinstance(event, Reset):
                raise ConnectionLost("the connection was reset before a response", request_sent="maybe")
            elif event is None:
                # A script that has ended leaves the connection open, and its client waiting.
                yield Pause(float("inf"))
            else:
                reader.feed_eof()
    except StopIteration as end:
        head = end.value
    answer = Answer(head.status, headers=head.headers.pairs, reason=head.reason, http_version=head.version)
    answer.interim = interim
    answer.parsed = _body(reader, head.framing, events, answer.parsed_trailers)
    return answer


def recorded(request: Any) -> RecordedRequest:
    """The request as the server would have recorded it."""
    headers = list(request.raw.headers)
    body = request.body
    return RecordedRequest(1, b"", request.method, request.raw.target, "HTTP/1.1", headers, body, body, True)


def _body(reader: ByteReader, framing: Any, events: Iterator[Any], trailers: list[tuple[str, str]]) -> Iterator[Any]:
    parsing = read_body(reader, framing)
    while True:
        try:
            piece = next(parsing)
        except StopIteration as end:
            trailers += end.value
            return
        except UnifetchError as error:
            yield error
            return
        if piece is not None:
            yield bytes(piece)
            continue
        event = next(events, None)
        if isinstance(event, bytes):
            reader.feed(event)
        elif isinstance(event, Pause):
            yield event
        elif isinstance(event, Reset):
            yield IncompleteBody("the connection was reset within the body", request_sent="yes")
        elif event is None:
            yield Pause(float("inf"))
        else:
            reader.feed_eof()


def _events(script: Any, request: RecordedRequest) -> Iterator[bytes | Step]:
    if script is None or isinstance(script, Receive):
        return
    if isinstance(script, (bytes, bytearray)):
        yield bytes(script)
    elif isinstance(script, (Pause, Close, Truncate, Reset)):
        yield script
    elif isinstance(script, (Drip, Flood, Stall)):
        yield from unrolled(script)
    elif isinstance(script, Signal):
        script.event.set()
    elif isinstance(script, OnHead) and not isinstance(script, OnConnect):
        yield from _events(script.script, request)
    elif isinstance(script, Step):
        raise TypeError(f"{type(script).__name__} needs a connection: use testing.Server for this script")
    elif isinstance(script, Mapping):
        if not all("/" in path for path in script):
            raise TypeError("a mapping is a script by paths, such as {'/orders': …}; Answer(json=…) answers with JSON")
        yield from _events(route(script, request), request)
    elif isinstance(script, Callable):  # type: ignore[arg-type]  # as Server asks
        yield from _events(script(request), request)
    elif isinstance(script, Iterable) and not isinstance(script, str):
        for part in script:
            yield from _events(part, request)
    elif hasattr(script, "__await__"):
        getattr(script, "close", lambda: None)()
        raise TypeError("a handler is a plain function, also of calls that are awaited")
    else:
        raise TypeError(f"a script is bytes, a step, a function, a mapping or an iterable of them, not {shown(script)}")
