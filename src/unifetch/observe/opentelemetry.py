"""Spans and a metric for OpenTelemetry, by its stable semantic conventions for HTTP clients.

    from unifetch import configure
    from unifetch.observe.opentelemetry import OpenTelemetry

    configure(listeners=OpenTelemetry())

Each attempt is a client span, a child of the span that is current where the call is made, and one value of the
histogram `http.client.request.duration`. It ends when the body is complete; for a stream with its head, as the
conventions ask where a body may be left unread; at the latest when the next attempt starts.

Left out: header fields, bodies, fragments and tracebacks, any of which may hold a credential. A listener changes
nothing, so it cannot add `traceparent` to a request; this sends the caller's own span along:

    fields: dict[str, str] = {}
    opentelemetry.propagate.inject(fields)
    get(url, headers=fields)

It needs `unifetch-http[otel]`. If the library underneath is instrumented as well, it makes spans of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer, set_span_in_context

from ..errors import UnifetchError
from ..masking import masked
from ..version import VERSION
from .events import Attempt, Event, Failed, Finished, Redirect, ResponseHead, Retrying

SCHEMA = "https://opentelemetry.io/schemas/1.23.1"  # where the conventions for HTTP became stable

# Any other is recorded as _OTHER, so that the attribute has few values.
KNOWN_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})

# Seconds: the boundaries that the conventions advise.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

# How an attempt ended if another follows without an event between them: its connection was closed already.
STALE = "unifetch.errors.ConnectionLost"


class OpenTelemetry:
    """A listener that makes spans and measures durations; one serves any number of clients and threads.

    Put it first among several listeners: if one before it raises, it does not learn that the call has ended.

    Args:
        tracer_provider, meter_provider: where they go; by default to the global providers.
        known_methods: the methods that are recorded by name.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        known_methods: Collection[str] = KNOWN_METHODS,
    ) -> None:
        self._known_methods = frozenset(known_methods)
        self._tracer = get_tracer("unifetch", VERSION, tracer_provider, schema_url=SCHEMA)
        self._duration = get_meter("unifetch", VERSION, meter_provider, schema_url=SCHEMA).create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._open: dict[int, _Open] = {}  # the current attempt of each call; every access is atomic

    def __call__(self, event: Event) -> None:
        """Take one event."""
        handle = _HANDLERS.get(type(event))
        if handle is not None:
            handle(self, event)

    def _attempt(self, event: Attempt) -> None:
        last = self._open.get(event.call)
        if last is not None:  # no Redirect and no Retrying came between, as after a 401 that is answered
            if "http.response.status_code" not in last.attributes:
                last.fail(STALE)
            self._end(event)
        method, url = event.request.method, event.request.url
        known = method in self._known_methods
        shared: dict[str, Any] = {
            "http.request.method": method if known else "_OTHER",
            "server.address": url.host,
            "server.port": url.port,
        }
        own = {"url.full": masked(str(url))}
        if not known:
            own["http.request.method_original"] = method
        span = self._tracer.start_span(method if known else "HTTP", kind=SpanKind.CLIENT, attributes={**shared, **own})
        if event.number > 1:
            span.set_attribute("http.request.resend_count", event.number - 1)
        self._open[event.call] = _Open(span, event.time, shared)

    def _response_head(self, event: ResponseHead) -> None:
        opened = self._open.get(event.call)
        if opened is None:
            return
        opened.set("http.response.status_code", event.status)
        opened.set("network.protocol.version", event.http_version.removeprefix("HTTP/"))
        if event.status >= 400:
            opened.fail(str(event.status))

    def _failed(self, event: Retrying | Failed) -> None:
        self._end(event, event.error)

    def _end(self, event: Event, error: BaseException | None = None) -> None:
        opened = self._open.pop(event.call, None)
        if opened is None:
            return
        if error is not None:
            kind = type(error)
            name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
            # The message of an error that is not ours is not for us to publish.
            opened.fail(name, masked(str(error)) if isinstance(error, UnifetchError) else None)
        opened.span.end()
        context = set_span_in_context(opened.span)  # links a value of the metric to this span, as an exemplar
        self._duration.record(event.time - opened.started, opened.attributes, context)


_HANDLERS: dict[type[Event], Callable[[OpenTelemetry, Any], None]] = {
    Attempt: OpenTelemetry._attempt,
    ResponseHead: OpenTelemetry._response_head,
    Redirect: OpenTelemetry._end,
    Retrying: OpenTelemetry._failed,
    Finished: OpenTelemetry._end,
    Failed: OpenTelemetry._failed,
}


class _Open:
    """An attempt that has not ended.

    Attributes:
        span: its span.
        started: `time.monotonic()`, in seconds.
        attributes: those of the metric, which the span has too.
    """

    __slots__ = ("attributes", "span", "started")

    def __init__(self, span: Span, started: float, attributes: dict[str, Any]) -> None:
        self.span = span
        self.started = started
        self.attributes = attributes

    def set(self, name: str, value: str | int) -> None:
        self.span.set_attribute(name, value)
        self.attributes[name] = value

    def fail(self, kind: str, description: str | None = None) -> None:
        self.set("error.type", kind)
        self.span.set_status(Status(StatusCode.ERROR, description))
