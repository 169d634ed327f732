"""Spans and a metric for OpenTelemetry."""

from __future__ import annotations

from unifetch import Client

NEEDS = ["opentelemetry"]


def main(url: str) -> None:
    # [otel]
    from opentelemetry.propagate import inject

    from unifetch.observe.opentelemetry import OpenTelemetry

    with Client(base_url=url, listeners=OpenTelemetry()) as client:
        client.get("/")  # a client span, and a value of http.client.request.duration

        fields: dict[str, str] = {}
        inject(fields)  # the traceparent of the span that is current here
        client.get("/", headers=fields)
    # [end]
