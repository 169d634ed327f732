"""The lines of the logger `unifetch`: which there are, at which level, and what never gets into one."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from unifetch import Client, ConnectionLost, Request, Response
from unifetch.model.headers import Headers
from unifetch.observe.events import Event, Failed, Finished, Redirect, ResponseHead, Retry
from unifetch.observe.logging import log_events
from unifetch.testing import Close, Server, reply

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


def test_a_call_that_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    """Attempts, heads and redirects are DEBUG, the response is INFO; all lines name the same call."""
    redirect, client = reply(302, headers={"Location": "/there"}), Client("urllib", listeners=log_events)
    with Server(redirect, reply()) as server, client, caplog.at_level(logging.DEBUG, "unifetch"):
        client.get(server.url)

        assert [
            ("DEBUG", f"attempt 1: GET {server.url}/ through urllib"),
            ("DEBUG", "HTTP/1.1 302 Found"),
            ("DEBUG", f"302 leads to {server.url}/there"),
            ("DEBUG", f"attempt 2: GET {server.url}/there through urllib"),
            ("DEBUG", "HTTP/1.1 200 OK"),
            ("INFO", f"GET {server.url}/there: 200 OK in N s"),
        ] == lines(caplog)
    assert {"unifetch"} == {record.name for record in caplog.records}
    assert 1 == len({record.getMessage().partition(":")[0] for record in caplog.records})


def test_a_call_that_is_retried_and_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Each retry is a WARNING that says after what, and so is the failure."""
    retry, closing = {"attempts": 3, "backoff": 0}, reply(503, headers={"Connection": "close"})
    with Server(closing, Close()) as server, Client("urllib", retry=retry, listeners=log_events) as client:
        with caplog.at_level(logging.WARNING, "unifetch"), pytest.raises(ConnectionLost) as raised:
            client.get(server.url)

        assert [
            ("WARNING", "again in N s, after 503"),
            ("WARNING", f"again in N s, after ConnectionLost: {raised.value}"),
            ("WARNING", f"GET {server.url}/: ConnectionLost: {raised.value}"),
        ] == lines(caplog)


def test_the_level_decides(caplog: pytest.LogCaptureFixture) -> None:
    """Below the level of the logger nothing is written."""
    with Server() as server, Client("urllib", listeners=log_events) as client:
        with caplog.at_level(logging.INFO, "unifetch"):
            client.get(server.url)
        with caplog.at_level(logging.WARNING, "unifetch"):
            client.get(server.url)

        assert [("INFO", f"GET {server.url}/: 200 OK in N s")] == lines(caplog)


def test_off_until_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """Without the listener nothing is logged, whatever the level."""
    with Server() as server, Client("urllib") as client, caplog.at_level(logging.DEBUG, "unifetch"):
        client.get(server.url)

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
        Retry(1, request, 0.0, 1.0, ConnectionLost(f"while asking {url}"), None),
        Finished(1, request, 0.0, response),
        Failed(1, request, 0.0, ConnectionLost(f"while asking {url}")),
        Failed(1, request, 0.0, ValueError("the caller's own iterator knows s3cret")),
    ]


@pytest.mark.parametrize("event", _events(), ids=lambda event: type(event).__name__)
def test_no_secret(caplog: pytest.LogCaptureFixture, event: Event) -> None:
    """No line holds userinfo, a header field, a body, a signed URL's signature, or the message of an alien error."""
    assert "s3cret" not in line(caplog, event)
