"""Spans and the metric of OpenTelemetry, held against its semantic conventions for HTTP clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry import trace
from opentelemetry.propagate import inject
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from unifetch import Client, ConnectError, ConnectionLost, TooManyRedirects, TotalTimeout, UnifetchError
from unifetch.observe.opentelemetry import BUCKETS, OpenTelemetry
from unifetch.testing import Close, Mock, Server, reply

API = "https://api.example/"


class Telemetry:
    """A listener with an exporter and a reader of its own, and a client that is listened to."""

    def __init__(self) -> None:
        self._exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.traces = TracerProvider()
        self.traces.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.metrics = MeterProvider(metric_readers=[self._reader])
        self.listener = OpenTelemetry(tracer_provider=self.traces, meter_provider=self.metrics)
        self.client = Client("urllib", listeners=self.listener)

    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def attributes(self) -> list[dict[str, Any]]:
        return [dict(span.attributes or {}) for span in self.spans()]

    def points(self) -> list[Any]:
        data = self._reader.get_metrics_data()
        assert data is not None
        (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
        assert ("http.client.request.duration", "s") == (metric.name, metric.unit)
        return list(metric.data.data_points)


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    yield telemetry
    # Whatever happened in a test, every span that was started has ended.
    assert {} == telemetry.listener._open
    telemetry.client.close()
    telemetry.traces.shutdown()
    telemetry.metrics.shutdown()


def test_a_span_for_a_request(telemetry: Telemetry, unifetch_mock: Mock) -> None:
    """It is a client span, named by the method, with the attributes of the conventions and no others."""
    unifetch_mock.get("https://api.example/path")
    telemetry.client.get("https://user:s3cret@api.example/path?q=1&sig=s3cret#part")

    (span,) = telemetry.spans()
    assert {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "server.address": "api.example",
        "server.port": 443,
        "url.full": "https://api.example/path?q=1&sig=REDACTED",
    } == span.attributes
    assert ("GET", SpanKind.CLIENT, StatusCode.UNSET) == (span.name, span.kind, span.status.status_code)
    assert () == span.events


def test_the_span_is_a_child(telemetry: Telemetry) -> None:
    """Its parent is the span that is current where the call is made."""
    with Server() as server, telemetry.traces.get_tracer("test").start_as_current_span("parent") as parent:
        telemetry.client.get(server.url)

    (child, _) = telemetry.spans()
    assert child.parent is not None
    assert parent.get_span_context().span_id == child.parent.span_id


def test_a_span_for_each_redirect(telemetry: Telemetry, unifetch_mock: Mock) -> None:
    """Each attempt has its own URL and status, and counts as a resend."""
    unifetch_mock.get("/{page}").reply(302, headers={"Location": "/b"}).then(303, headers={"Location": "/c"}).then()
    telemetry.client.get(f"{API}a")

    assert [(f"{API}a", 302, None), (f"{API}b", 303, 1), (f"{API}c", 200, 2)] == [
        (each["url.full"], each["http.response.status_code"], each.get("http.request.resend_count"))
        for each in telemetry.attributes()
    ]
    assert {StatusCode.UNSET} == {span.status.status_code for span in telemetry.spans()}


def test_a_span_for_each_retry(telemetry: Telemetry, unifetch_mock: Mock) -> None:
    """An attempt that is followed by a retry ends with its own failure."""
    unifetch_mock.get("/").reply(503).fail(ConnectionLost).then()
    telemetry.client.get(API, retry=3)

    assert [
        (None, "503", StatusCode.ERROR),
        (1, "unifetch.errors.ConnectionLost", StatusCode.ERROR),
        (2, None, StatusCode.UNSET),
    ] == [
        (each.get("http.request.resend_count"), each.get("error.type"), span.status.status_code)
        for each, span in zip(telemetry.attributes(), telemetry.spans(), strict=True)
    ]


def test_a_span_for_a_stale_connection(telemetry: Telemetry) -> None:
    """An attempt on a connection that was closed already has a span, with the error that nobody else sees."""
    pytest.importorskip("urllib3")  # a backend that keeps connections
    with Server(reply(), Close(), reply()) as server, Client("urllib3", listeners=telemetry.listener) as client:
        client.get(server.url)
        client.get(server.url)

    assert [None, "unifetch.errors.ConnectionLost", None] == [each.get("error.type") for each in telemetry.attributes()]


def test_a_span_for_each_answer_to_a_401(telemetry: Telemetry, unifetch_mock: Mock) -> None:
    """The 401 that Digest answers is an attempt of its own, which ends before the next one starts."""
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
    unifetch_mock.get("/").reply(401, headers=challenge).then()
    telemetry.client.get(API, auth={"type": "digest", "username": "user", "password": "s3cret"})

    first, second = telemetry.spans()
    assert ["401", None] == [each.get("error.type") for each in telemetry.attributes()]
    assert first.end_time is not None
    assert second.start_time is not None
    assert first.end_time <= second.start_time


@pytest.mark.parametrize("status", [404, 500])
def test_a_status_that_is_an_error(telemetry: Telemetry, unifetch_mock: Mock, status: int) -> None:
    """From 400 on the span is an error; its type is the status code, and there is nothing more to describe."""
    unifetch_mock.get("/").reply(status)
    telemetry.client.get(API)

    (span,), (attributes,) = telemetry.spans(), telemetry.attributes()
    assert (str(status), status) == (attributes["error.type"], attributes["http.response.status_code"])
    assert (StatusCode.ERROR, None) == (span.status.status_code, span.status.description)


def test_no_connection(telemetry: Telemetry, unifetch_mock: Mock) -> None:
    """Without a response there is no status code; the error is named in full and described."""
    unifetch_mock.get("/").fail(ConnectError)
    with pytest.raises(UnifetchError) as raised:
        telemetry.client.get(API)

    (span,), (attributes,) = telemetry.spans(), telemetry.attributes()
    assert "unifetch.errors.ConnectError" == attributes["error.type"]
    assert "http.response.status_code" not in attributes
    assert (StatusCode.ERROR, str(raised.value)) == (span.status.status_code, span.status.description)


def test_a_response_that_is_an_error_for_us(telemetry: Telemetry, unifetch_mock: Mock) -> None:
    """A redirect too many has its status code, and is an error nevertheless; its description is redacted."""
    unifetch_mock.get("/").reply(302, headers={"Location": "/?sig=s3cret"})
    with pytest.raises(TooManyRedirects):
        telemetry.client.get(API, redirects=1)

    last, attributes = telemetry.spans()[-1], telemetry.attributes()[-1]
    assert (302, "unifetch.errors.TooManyRedirects") == (
        attributes["http.response.status_code"],
        attributes["error.type"],
    )
    assert "s3cret" not in last.to_json()


def test_an_error_of_the_caller(telemetry: Telemetry) -> None:
    """What the caller's own body raises is named, but its message is not published."""

    def body() -> Iterator[bytes]:
        yield b"begun"
        raise ValueError("s3cret")

    with Server() as server, pytest.raises(ValueError, match="s3cret"):
        telemetry.client.post(server.url, body=body())

    (span,), (attributes,) = telemetry.spans(), telemetry.attributes()
    assert ("ValueError", None) == (attributes["error.type"], span.status.description)


def test_nothing_for_what_was_never_sent(telemetry: Telemetry) -> None:
    """A request that is refused before the first attempt has no span."""
    with pytest.raises(UnifetchError):
        telemetry.client.get("http://127.0.0.1/", headers={"Transfer-Encoding": "chunked"})

    assert [] == telemetry.spans()


def test_a_stream_ends_with_its_head(telemetry: Telemetry, unifetch_mock: Mock) -> None:
    """The span is over once the head has come, whether the body is read or not."""
    unifetch_mock.get("/").reply(body=b"hello")
    with telemetry.client.stream("GET", API):
        assert [200] == [each["http.response.status_code"] for each in telemetry.attributes()]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, ("HTTP", "_OTHER", "PURGE")),
        ({"known_methods": ["PURGE"]}, ("PURGE", "PURGE", None)),
    ],
)
def test_methods_that_are_not_known(
    telemetry: Telemetry, unifetch_mock: Mock, known: dict[str, Any], expected: tuple[str, str, str | None]
) -> None:
    """They are _OTHER, with the original aside, unless the application says that it knows them."""
    unifetch_mock.route("PURGE", "/")
    listener = OpenTelemetry(tracer_provider=telemetry.traces, meter_provider=telemetry.metrics, **known)
    Client("urllib", listeners=listener).request("PURGE", API)

    (span,), (attributes,) = telemetry.spans(), telemetry.attributes()
    assert expected == (span.name, attributes["http.request.method"], attributes.get("http.request.method_original"))


def test_the_metric(telemetry: Telemetry, unifetch_mock: Mock) -> None:
    """Each attempt is one value in seconds, in the advised buckets, with no attribute that takes countless values."""
    unifetch_mock.get("/{page}").reply(302, headers={"Location": "/b"}).then(404)
    telemetry.client.get(f"{API}a")

    shared = {
        "http.request.method": "GET",
        "network.protocol.version": "1.1",
        "server.address": "api.example",
        "server.port": 443,
    }
    points = sorted(telemetry.points(), key=lambda point: point.attributes["http.response.status_code"])
    assert [
        {**shared, "http.response.status_code": 302},
        {**shared, "http.response.status_code": 404, "error.type": "404"},
    ] == [dict(point.attributes) for point in points]
    assert [(1, tuple(BUCKETS))] * 2 == [(point.count, tuple(point.explicit_bounds)) for point in points]
    assert all(0 <= point.sum < 60 for point in points)


def test_a_call_inside_a_call(telemetry: Telemetry) -> None:
    """Calls that overlap do not take each other's spans."""
    with Server(reply(200), reply(404)) as server:
        inner: list[int] = []

        def body() -> Iterator[bytes]:
            inner.append(telemetry.client.get(server.url).status)
            yield b"hello"

        outer = telemetry.client.put(server.url, body=body()).status

    assert sorted([*inner, outer]) == sorted(each["http.response.status_code"] for each in telemetry.attributes())
    assert {("GET", inner[0]), ("PUT", outer)} == {
        (each["http.request.method"], each["http.response.status_code"]) for each in telemetry.attributes()
    }


def test_the_recipe_for_propagation(telemetry: Telemetry, unifetch_mock: Mock) -> None:
    """What the documentation shows sends the caller's own span along."""
    unifetch_mock.get("/")
    with telemetry.traces.get_tracer("test").start_as_current_span("parent") as parent:
        fields: dict[str, str] = {}
        inject(fields)
        telemetry.client.get(API, headers=fields)

    context, sent = parent.get_span_context(), unifetch_mock.calls[0].headers["traceparent"]
    assert [trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)] == sent.split("-")[1:3]


def test_a_total_timeout(telemetry: Telemetry, unifetch_mock: Mock) -> None:
    """A deadline that passes ends the span like any other error."""
    unifetch_mock.get("/").fail(TotalTimeout)
    with pytest.raises(UnifetchError):
        telemetry.client.get(API)

    assert ["unifetch.errors.TotalTimeout"] == [each["error.type"] for each in telemetry.attributes()]
