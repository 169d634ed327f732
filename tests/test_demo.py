"""The demonstration compares in earnest: one backend that answers differently, and it says so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from unifetch import URL, ConnectError, Headers, Request, Response, available_backends
from unifetch.backends import BACKENDS, Entry
from unifetch.backends.socket.async_adapter import AsyncSocketBackend
from unifetch.backends.urllib import UrllibBackend
from unifetch.cli import demo
from unifetch.cli.main import main
from unifetch.model.messages import AsyncRawResponse, RawRequest, RawResponse

Change = Callable[[RawRequest, RawResponse], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Adds a backend `json` to the table, which is urllib's but for what the change makes of its responses."""

    def add(change: Change) -> None:
        class Odd(UrllibBackend):
            name = "json"

            def send(self, request: RawRequest) -> RawResponse:
                raw = super().send(request)
                change(request, raw)
                return raw

        module = ModuleType("unifetch.backends.json")
        module.Odd = Odd  # type: ignore[attr-defined]  # a module made by hand
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(BACKENDS, "json", Entry("Odd"))

    return add


def test_all_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """Every installed backend has a row for every request, and the last line says that they agree."""
    code = main(["demo"])
    out, err = capsys.readouterr()
    lines = out.splitlines()
    backends = [line[11:19].rstrip() for line in lines[3 : 3 + len(demo.PAGES) * len(available_backends())]]

    assert (0, "") == (code, err)
    assert backends == list(available_backends()) * len(demo.PAGES)
    assert (
        lines[-1]
        == f"All {len(available_backends())} backends gave the same answers, to a Client and to an AsyncClient."
    )


def test_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A row shows statuses with those of redirects, the selected fields, and the bytes of the decoded body."""
    monkeypatch.setattr(demo, "available_backends", lambda: ("urllib",))
    code = main(["demo"])
    lines = capsys.readouterr().out.splitlines()

    assert code == 0
    assert [line[:64].split() for line in lines[2:8]] == [
        ["request", "backend", "status", "content-type", "encoding", "bytes"],
        ["/text", "urllib", "200", "text/plain", "-", "60"],
        ["/json", "urllib", "200", "application/json", "-", "55"],
        ["/redirect", "urllib", "302,", "200", "text/plain", "-", "60"],
        ["/gzip", "urllib", "200", "text/plain", "gzip", "3000"],
        ["/missing", "urllib", "404", "text/plain", "-", "23"],
    ]


def test_what_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the table stands how to install the others; one backend alone agrees with nobody."""
    monkeypatch.setattr(demo, "available_backends", lambda: ("urllib",))
    code = main(["demo"])
    lines = capsys.readouterr().out.splitlines()

    assert code == 0
    assert "httpx     not installed: pip install 'unifetch-http[httpx]'" in lines
    assert lines[-1] == "Only urllib is installed: there is nothing to compare it with."


def status(request: RawRequest, raw: RawResponse) -> None:
    if request.target == "/missing":
        raw.status = 410


def headers(request: RawRequest, raw: RawResponse) -> None:
    if request.target == "/json":
        raw.headers = Headers.trusted([*raw.headers.pairs, ("X-Odd", "1")])


def body(request: RawRequest, raw: RawResponse) -> None:
    if request.target == "/gzip":
        raw.headers, raw.body = raw.headers.without("content-encoding", "content-length"), iter([b"other"])


def bytes_of_body(request: RawRequest, raw: RawResponse) -> None:
    if request.target == "/json":
        raw.body, raw.read_into, raw.content = iter([demo.JSON.replace(b"1", b"2")]), None, None


def escapes(request: RawRequest, raw: RawResponse) -> None:
    if request.target == "/json":
        raw.headers = Headers.trusted(
            (name, "\x1b[2J" if name == "Content-Type" else value) for name, value in raw.headers.pairs
        )


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (status, "/missing by json (status)"),
        (headers, "/json by json (headers)"),
        (body, "/gzip by json (headers, body)"),
        (bytes_of_body, "/json by json (body)"),
        (escapes, "/json by json (headers)"),
    ],
)
def test_a_difference_is_found(
    change: Change, verdict: str, install: Callable[[Change], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line names the request, the backend and what differs, and the exit code is 1."""
    install(change)
    code = main(["demo"])
    lines = capsys.readouterr().out.splitlines()

    assert (1, f"Not the same answers: {verdict}") == (code, lines[-1])
    assert [] == [line for line in lines if len(line) > 80 or not line.isprintable()]


def test_a_difference_where_it_is_awaited(
    monkeypatch: pytest.MonkeyPatch, install: Callable[[Change], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The awaited side of a backend is compared with its other one, and has a row where it is not the same."""

    class AwaitedOdd(AsyncSocketBackend):
        name = "json"

        async def send(self, request: RawRequest) -> AsyncRawResponse:
            raw = await super().send(request)
            status(request, raw)
            return raw

    install(lambda request, raw: None)
    monkeypatch.setattr(sys.modules["unifetch.backends.json"], "AwaitedOdd", AwaitedOdd, raising=False)
    monkeypatch.setitem(BACKENDS, "json", Entry("Odd", async_factory="AwaitedOdd"))
    code = main(["demo"])
    lines = capsys.readouterr().out.splitlines()

    assert (1, "Not the same answers: /missing by json, awaited (status)") == (code, lines[-1])
    assert [["awaited", "json", "410"]] == [line.split()[:3] for line in lines if line.startswith("  awaited")]


@pytest.mark.parametrize("kind", [ConnectError, AttributeError, ImportError])
def test_a_backend_that_fails(
    kind: type[Exception], install: Callable[[Change], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its rows show the error, on one line, and it does not agree."""

    def fail(request: RawRequest, raw: RawResponse) -> None:
        raw.close()
        raise kind("no\x1b[2J\n" * 50)

    install(fail)
    code = main(["demo"])
    out = capsys.readouterr().out
    table, _, verdict = out.partition("Not the same answers: ")

    assert code == 1
    assert table.count(rf"json      {kind.__name__}: no\x1b[2J\nno") == len(demo.PAGES)
    assert " ".join(verdict.split()) == "; ".join(f"{path} by json (failed)" for path in demo.PAGES)
    assert [] == [line for line in out.splitlines() if len(line) > 80 or not line.isprintable()]


def test_failing_alike_is_not_agreeing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """If no backend reaches the server, they do not give the same answers."""

    def refused(*arguments: object) -> None:
        raise ConnectError("refused")

    monkeypatch.setattr("unifetch.cli.demo.Client.get", refused)
    code = main(["demo"])

    assert code == 1
    assert "gave the same answers" not in capsys.readouterr().out


def test_url_and_history_are_compared() -> None:
    """Two ways to the same page are not the same answer, nor are the same bytes from another one."""
    request = Request("GET", "http://h/")
    there = Response(status=200, headers=Headers(), body=b"", request=request)
    moved = Response(status=302, headers=Headers({"Location": "/", "Date": "now"}), body=b"", request=request)
    later = moved.replace(headers=Headers({"Location": "/", "Date": "later"}))
    elsewhere = moved.replace(headers=Headers({"Location": "http://h/", "Date": "now"}))

    assert demo._difference(there, there.replace(url=URL("http://h/b"))) == "URL"
    assert demo._difference(there, there.replace(history=(moved,))) == "history"
    assert demo._difference(there.replace(history=(moved,)), there.replace(history=(elsewhere,))) == "history"
    assert demo._difference(there.replace(history=(moved,)), there.replace(history=(later,))) == ""
