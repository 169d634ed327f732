"""The lines of the logger `unifetch`: which there are, at which level, and what never gets into one."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from unifetch import Client, ConnectionLost, Request, Response
from unifetch.backends import BACKENDS, is_installed
from unifetch.model.headers import Headers
from unifetch.observe.events import Event, Failed, Finished, Redirect, ResponseHead, Retrying
from unifetch.observe.logging import log_events
from unifetch.testing import Mock, Server, reply
from unifetch.testing.awaited import AwaitedClient

REQUEST = Request("GET", "http://user:s3cret@example.test/path?q=1")


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and text of each line, without the number of the call, and with N for each duration."""
    return [
        (record.levelname, re.sub(r"\d\.\d{3} s", "N s", re.sub(r"\Acall \d+: ", "", record.getMessage())))
        for record in caplog.records
    ]


def line(caplog: pytest.LogCaptureFixture, event: Event) -> str:
    with caplog.at_level(logging.DEBUG, "unifetch"):
        log_events(event)
    return caplog.records[-1].getMessage()


@pytest.mark.parametrize("kind", [Client, AwaitedClient])
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_the_libraries_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, backend: str, kind: Any
) -> None:
    """With the three loggers that the page names at INFO, no credential shows, though all others are at DEBUG."""
    if not is_installed(backend):
        pytest.skip(f"the library of {backend} is not installed")
    page = (Path(__file__).parent.parent / "docs/how-to/events.md").read_text("utf-8")
    for name in ("urllib3", "httpcore", "httpcore2"):
        assert f'"{name}"' in page
        monkeypatch.setattr(logging.getLogger(name), "level", logging.INFO)
        logging.getLogger(name).manager._clear_cache()  # type: ignore[attr-defined]  # as setLevel does
    with caplog.at_level(logging.DEBUG), kind(backend, listeners=log_events) as client:
        with Server(reply(200, b"", {"Set-Cookie": "a=s3cret"})) as server:
            client.get(f"{server.url}/?api_key=s3cret", headers={"Authorization": "Bearer s3cret"})

    assert "GET" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_call_that_succeeds(caplog: pytest.LogCaptureFixture, unifetch_mock: Mock) -> None:
    """Attempts, heads and redirects are DEBUG, the response is INFO; all lines name the same call."""
    unifetch_mock.get("/{page...}").reply(302, headers={"Location": "/there"}).then()
    with caplog.at_level(logging.DEBUG, "unifetch"):
        Client("urllib", listeners=log_events).get("http://api.example/")

    assert [
        ("DEBUG", "attempt 1: GET http://api.example/ through urllib"),
        ("DEBUG", "HTTP/1.1 302 Found"),
        ("DEBUG", "302 leads to http://api.example/there"),
        ("DEBUG", "attempt 2: GET http://api.example/there through urllib"),
        ("DEBUG", "HTTP/1.1 200 OK"),
        ("INFO", "GET http://api.example/there: 200 OK in N s"),
    ] == lines(caplog)
    assert {"unifetch"} == {record.name for record in caplog.records}
    assert 1 == len({record.getMessage().partition(":")[0] for record in caplog.records})


def test_a_call_that_is_retried_and_fails(caplog: pytest.LogCaptureFixture, unifetch_mock: Mock) -> None:
    """Each retry is a WARNING that says after what, and so is the failure."""
    unifetch_mock.get("/").reply(503).fail(ConnectionLost)
    with caplog.at_level(logging.WARNING, "unifetch"), pytest.raises(ConnectionLost) as raised:
        Client("urllib", retry=3, listeners=log_events).get("http://api.example/")

    assert [
        ("WARNING", "again in N s, after 503"),
        ("WARNING", f"again in N s, after ConnectionLost: {raised.value}"),
        ("WARNING", f"GET http://api.example/: ConnectionLost: {raised.value}"),
    ] == lines(caplog)


def test_the_level_decides(caplog: pytest.LogCaptureFixture, unifetch_mock: Mock) -> None:
    """Below the level of the logger nothing is written."""
    unifetch_mock.get("/")
    for level in (logging.INFO, logging.WARNING):
        with caplog.at_level(level, "unifetch"):
            Client("urllib", listeners=log_events).get("http://api.example/")

    assert [("INFO", "GET http://api.example/: 200 OK in N s")] == lines(caplog)


def test_off_until_it_is_asked_for(caplog: pytest.LogCaptureFixture, unifetch_mock: Mock) -> None:
    """Without the listener nothing is logged, whatever the level."""
    unifetch_mock.get("/")
    with caplog.at_level(logging.DEBUG, "unifetch"):
        Client("urllib").get("http://api.example/")

    assert [] == lines(caplog)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("OK\r\ncall 1: forged", "OK\\r\\ncall 1: forged"),
        ("\x9b1m\x85\x00\x7f", "\\x9b1m\\x85\\x00\\x7f"),
        ("\u2028\u202e\ud800", "\\u2028\\u202e\\ud800"),
        ("gr\xfc\xdfe %s %(name)s", "gr\xfc\xdfe %s %(name)s"),
    ],
)
def test_a_server_forges_no_line(caplog: pytest.LogCaptureFixture, sent: str, shown: str) -> None:
    """Controls, line breaks of any kind and what turns text around are escaped; no `%` is taken for a format."""
    event = ResponseHead(1, REQUEST, 0.0, 200, sent, "HTTP/1.1", Headers())

    assert f"call 1: HTTP/1.1 200 {shown}" == line(caplog, event)


def _events() -> list[Event]:
    url = Request("GET", "http://user:s3cret@example.test/?a=1&sig=s3cret&b=2").url
    request = Request("GET", url, headers={"Authorization": "s3cret", "X-Custom": "s3cret"}, body=b"s3cret")
    response: Response[Any] = Response(status=200, headers=request.headers, body=b"s3cret", request=request)
    return [
        Redirect(1, request, 0.0, 302, url),
        Retrying(1, request, 0.0, 1.0, ConnectionLost(f"while asking {url}"), None),
        Finished(1, request, 0.0, response),
        Failed(1, request, 0.0, ConnectionLost(f"while asking {url}")),
        Failed(1, request, 0.0, ValueError("the caller's own iterator knows s3cret")),
    ]


@pytest.mark.parametrize("event", _events(), ids=lambda event: type(event).__name__)
def test_no_secret(caplog: pytest.LogCaptureFixture, event: Event) -> None:
    """No line holds userinfo, a header field, a body, a signed URL's signature, or the message of an alien error."""
    assert "s3cret" not in line(caplog, event)
