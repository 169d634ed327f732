"""A suite of mock tests as users write them: green in memory, and with `--unifetch-wire` on every backend.

`test_the_suite_over_sockets` runs this file again, with its answers sent over sockets.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from unifetch import (
    AsyncClient,
    Capability,
    Client,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DecodingError,
    IncompleteBody,
    ProtocolError,
    ReadTimeout,
    StatusError,
    TooManyRedirects,
    TotalTimeout,
    get,
    post,
    put,
)
from unifetch.testing import (
    Answer,
    Close,
    Drip,
    Intercepted,
    Mock,
    Pause,
    Reset,
    Stall,
    Unanswered,
    Unmet,
    VirtualTime,
    reply,
)

API = "https://api.test"


class TestRequests:
    """What tells requests apart."""

    def test_a_path(self, unifetch_mock: Mock) -> None:
        """A URL, and what it is answered."""
        unifetch_mock.get(f"{API}/orders").reply(json=[{"id": 7}])

        assert [{"id": 7}] == get(f"{API}/orders").json()

    def test_a_path_on_any_host(self, unifetch_mock: Mock) -> None:
        """A pattern that is only a path fits any host, and any port."""
        unifetch_mock.get("/status").reply(204)

        assert [204, 204] == [get(f"{origin}/status").status for origin in (API, "http://other.test:8080")]

    def test_base_url(self) -> None:
        """Unless the mock has a base."""
        with Mock(f"{API}/v1") as mock:
            mock.get("/status").reply(204)

            assert 204 == get(f"{API}/v1/status").status

    def test_a_pattern(self, unifetch_mock: Mock) -> None:
        """A placeholder stands for a segment, decoded for the function that answers."""
        route = unifetch_mock.get(f"{API}/orders/{{id}}/lines/{{line}}").reply(lambda r: Answer(json=r.parameters))

        assert {"id": "a b", "line": "3"} == get(f"{API}/orders/a%20b/lines/3").json()
        assert 1 == route.calls

    def test_a_pattern_of_several_segments(self, unifetch_mock: Mock) -> None:
        """And with three dots for any number of them."""
        unifetch_mock.get(f"{API}/files/{{path...}}").reply(lambda r: Answer(200, r.parameters["path"]))

        assert "a/b/c.txt" == get(f"{API}/files/a/b/c.txt").text

    def test_an_expression(self, unifetch_mock: Mock) -> None:
        """A compiled expression is for all of the URL."""
        unifetch_mock.get(re.compile(r"https://api\.test/orders/(?P<id>\d+)")).reply(200, "number")
        unifetch_mock.get(f"{API}/orders/{{id}}").reply(200, "word")

        assert ["number", "word"] == [get(f"{API}/orders/{key}").text for key in ("7", "seven")]

    def test_params(self, unifetch_mock: Mock) -> None:
        """The query, in any order, tells routes apart."""
        unifetch_mock.get(f"{API}/orders", params={"page": 2, "tag": ["a", "b"]}).reply(200, "second")
        unifetch_mock.get(f"{API}/orders?page=1").reply(200, "first")

        assert "second" == get(f"{API}/orders", params={"tag": ["a", "b"], "page": 2}).text
        assert "first" == get(f"{API}/orders", params={"page": 1}).text

    def test_headers(self, unifetch_mock: Mock) -> None:
        """A field by value, by expression, by function, or by its absence."""
        wanted = {"X-A": "1", "User-Agent": re.compile("^unifetch/"), "Accept": lambda v: "*" in v, "X-B": None}
        unifetch_mock.get(f"{API}/", headers=wanted)

        assert 200 == get(f"{API}/", headers={"x-a": "1"}).status

    def test_json(self, unifetch_mock: Mock) -> None:
        """JSON by what it says, not by how it is written."""
        unifetch_mock.post(f"{API}/orders", json={"n": 1, "at": ANY}).reply(201)

        assert 201 == post(f"{API}/orders", body='{"at": "now",  "n": 1}').status

    def test_form(self, unifetch_mock: Mock) -> None:
        """A form by its pairs."""
        unifetch_mock.post(f"{API}/login", form={"user": "a b", "keep": "1"}).reply(204)

        assert 204 == post(f"{API}/login", form={"keep": 1, "user": "a b"}).status

    @pytest.mark.parametrize("body", [b"raw", "raw", re.compile(b"^r"), lambda body: len(body) == 3])
    def test_body(self, unifetch_mock: Mock, body: Any) -> None:
        """Bytes, text, an expression, or a function."""
        unifetch_mock.put(f"{API}/blob", body=body)

        assert 200 == put(f"{API}/blob", body=iter([b"r", b"aw"])).status

    def test_methods(self, unifetch_mock: Mock) -> None:
        """Each method has a route of its own; a HEAD is answered without a body."""
        for method in ("get", "head", "options", "delete", "post", "put", "patch"):
            getattr(unifetch_mock, method)(f"{API}/thing").reply(200, method)
        with Client() as client:
            bodies = [getattr(client, method)(f"{API}/thing").text for method in ("get", "head", "delete", "patch")]

        assert ["get", "", "delete", "patch"] == bodies
        for route in unifetch_mock._routes:
            route.optional()

    def test_calls(self, unifetch_mock: Mock) -> None:
        """The mock and the route keep what was asked."""
        route = unifetch_mock.post(f"{API}/orders").reply(201)
        post(f"{API}/orders", json={"n": 1})

        assert [{"n": 1}] == [call.json() for call in route.requests] == [call.json() for call in unifetch_mock.calls]

    @pytest.mark.parametrize(
        ("announced", "asked"),
        [
            ("https://api.test/café/{id}", "https://api.test/café/7"),
            ("https://bücher.test/", "https://bücher.test/"),
            ("HTTPS://API.test/x", "https://api.test/x"),
            ("https://api.test/x#part", "https://api.test/x#part"),
            ("https://api.test/x?a=%FF", "https://api.test/x?a=%ff"),
            ("/see/https://api.test", "https://api.test/see/https://api.test"),
        ],
    )
    def test_one_url(self, unifetch_mock: Mock, announced: str, asked: str) -> None:
        """A URL is announced as it is asked for."""
        unifetch_mock.get(announced).reply(200)

        assert 200 == get(asked).status

    def test_values_of_a_query_and_a_form(self, unifetch_mock: Mock) -> None:
        """They are as the client takes them, and `ANY` is any of them."""
        told = {"a": True, "b": None, "c": [2, 1], "d": ANY}
        unifetch_mock.post("https://api.test/", params=told, form=told).reply(200)
        said = {"d": "x", "a": True, "b": None, "c": [2, 1]}

        assert 200 == post("https://api.test/", params=said, form=said).status

    def test_many_at_the_same_time(self, unifetch_mock: Mock) -> None:
        """From threads, the first of them, too; each has the answer to its own body."""
        unifetch_mock.post("https://api.test/echo").reply(lambda request: Answer(200, request.body))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: post("https://api.test/echo", body=str(number)).text, range(40)))

        assert [str(number) for number in range(40)] == answers


class TestAnswers:
    """What a route answers."""

    def test_status_and_fields(self, unifetch_mock: Mock) -> None:
        """Status, reason, and fields in their order, duplicates kept."""
        unifetch_mock.get(f"{API}/").reply(202, "x", headers=[("X-A", "1"), ("X-A", "2")], reason="Later")
        response = get(f"{API}/")

        assert (202, "Later", ["1", "2"], "1") == (
            response.status,
            response.reason,
            response.headers.get_all("x-a"),
            response.headers["content-length"],
        )

    def test_one_after_the_other(self, unifetch_mock: Mock) -> None:
        """Answers are given in their order; the last goes on."""
        unifetch_mock.get(f"{API}/").reply(503).then(200, "ok")

        assert [503, 200, 200] == [get(f"{API}/").status for _ in range(3)]

    def test_a_function(self, unifetch_mock: Mock) -> None:
        """A function of the request."""

        def answer(request: Intercepted) -> Answer:
            return Answer(json={"twice": request.json()["n"] * 2})

        unifetch_mock.post(f"{API}/double").reply(answer)

        assert {"twice": 42} == post(f"{API}/double", json={"n": 21}).json()

    def test_a_script_of_the_server(self, unifetch_mock: Mock) -> None:
        """A script of `testing.Server` means the same here."""
        unifetch_mock.get(f"{API}/").reply(reply(200, [b"in ", b"chunks"], {"X-A": "1"}))

        assert b"in chunks" == get(f"{API}/").body

    def test_chunks(self, unifetch_mock: Mock) -> None:
        """A stream is one, with its trailers."""
        unifetch_mock.get(f"{API}/").reply(chunks=[b"one", Pause(1), b"two"], trailers={"X-Sum": "6"})
        with Client() as client, client.stream("GET", f"{API}/") as response:
            assert [b"one", b"two"] == list(response.body)
            told = Capability.TRAILERS in client.backend.capabilities
            assert ("6" if told else None) == response.body.trailers.get("x-sum")  # type: ignore[attr-defined]  # of a stream
        assert 1 == unifetch_mock.passed

    def test_events(self, unifetch_mock: Mock) -> None:
        """Server-sent events, minutes apart, in no time."""
        unifetch_mock.get(f"{API}/").reply(
            chunks=[b"data: 1\n\n", Pause(20), b"data: 2\n\n"], headers={"Content-Type": "text/event-stream"}
        )
        with Client() as client, client.stream("GET", f"{API}/") as response:
            assert ["1", "2"] == [event.data for event in response.events()]

    def test_a_drip(self, unifetch_mock: Mock) -> None:
        """A body that drips."""
        unifetch_mock.get(f"{API}/").reply(chunks=[Drip(b"abcd", every=5)])

        assert b"abcd" == get(f"{API}/").body
        assert 15 == unifetch_mock.passed

    def test_interim(self, unifetch_mock: Mock) -> None:
        """Responses before the response."""
        seen: list[Any] = []
        unifetch_mock.get(f"{API}/").reply(200, "ok", interim=[(103, {"Link": "</a.css>"})])
        with Client(listeners=[seen.append]) as client:
            assert b"ok" == client.get(f"{API}/").body
            told = Capability.INTERIM_EVENTS in client.backend.capabilities

        assert [103] * told == [event.status for event in seen if type(event).__name__ == "InterimResponse"]

    def test_coded_content(self, unifetch_mock: Mock) -> None:
        """Content is decoded, and a wrong coding is found out."""
        import gzip

        coded = {"Content-Encoding": "gzip"}
        unifetch_mock.get(f"{API}/good").reply(200, gzip.compress(b"plain"), headers=coded)
        unifetch_mock.get(f"{API}/bad").reply(200, b"no gzip", headers=coded)

        assert b"plain" == get(f"{API}/good").body
        with pytest.raises(DecodingError):
            get(f"{API}/bad")

    def test_redirect(self, unifetch_mock: Mock) -> None:
        """Redirects are followed, and counted."""
        unifetch_mock.get(f"{API}/a").reply(302, headers={"Location": "/b"})
        unifetch_mock.get(f"{API}/b").reply(302, headers={"Location": "/a"})
        with pytest.raises(TooManyRedirects):
            get(f"{API}/a", redirects=3)

        assert ["/a", "/b", "/a", "/b"] == [call.path for call in unifetch_mock.calls]

    def test_awaited(self, unifetch_mock: Mock) -> None:
        """The same of an AsyncClient."""
        unifetch_mock.post(f"{API}/orders", json={"n": 1}).reply(201, json={"id": 7})

        async def scenario() -> Any:
            async with AsyncClient() as client:
                return (await client.post(f"{API}/orders", json={"n": 1})).json()

        assert {"id": 7} == asyncio.run(scenario())

    def test_many_tasks(self, unifetch_mock: Mock) -> None:
        """Many at once."""
        unifetch_mock.get(f"{API}/{{n}}").reply(lambda request: Answer(200, request.parameters["n"]))

        async def scenario() -> list[str]:
            async with AsyncClient() as client:
                return [each.text for each in await asyncio.gather(*(client.get(f"{API}/{n}") for n in range(20)))]

        assert [str(n) for n in range(20)] == asyncio.run(scenario())


class TestFailures:
    """Errors, as the network has them."""

    @pytest.mark.parametrize(
        ("error", "sent"),
        [(ConnectError, "no"), (ConnectionLost, "maybe"), (ConnectTimeout, "no"), (ProtocolError, "yes")],
    )
    def test_fail(self, unifetch_mock: Mock, error: Any, sent: str) -> None:
        """An error, with what is usual for it."""
        unifetch_mock.get(f"{API}/").fail(error)
        with pytest.raises(error) as caught:
            get(f"{API}/")

        assert (sent, f"{API}/") == (caught.value.request_sent, str(caught.value.request.url))

    def test_then(self, unifetch_mock: Mock) -> None:
        """A retry comes through."""
        unifetch_mock.get(f"{API}/").fail(ConnectionLost).then(200, "ok")

        assert b"ok" == get(f"{API}/", retry=2).body

    def test_not_twice(self, unifetch_mock: Mock) -> None:
        """A POST that may have arrived is not repeated."""
        unifetch_mock.post(f"{API}/").fail(ConnectionLost, sent="maybe").times(1)
        with pytest.raises(ConnectionLost):
            post(f"{API}/", json={}, retry=5)

    def test_unless_nothing_was_sent(self, unifetch_mock: Mock) -> None:
        """One that has not left is."""
        unifetch_mock.post(f"{API}/").fail(ConnectError).then(201).times(2)

        assert 201 == post(f"{API}/", json={}, retry=5).status

    @pytest.mark.parametrize("ends", [Close(), Reset()])
    def test_a_body_that_breaks_off(self, unifetch_mock: Mock, ends: Any) -> None:
        """A body cut short is an error."""
        unifetch_mock.get(f"{API}/").reply(chunks=[b"half", ends])
        with pytest.raises(IncompleteBody):
            get(f"{API}/")

    def test_a_stall(self, unifetch_mock: Mock) -> None:
        """A body that stops: the read timeout, exactly, in no time."""
        unifetch_mock.get(f"{API}/").reply(chunks=[b"half", Stall()])
        with pytest.raises(ReadTimeout) as caught:
            get(f"{API}/", timeout={"read": 25})

        assert ("yes", 25) == (caught.value.request_sent, unifetch_mock.passed)

    def test_statuses(self, unifetch_mock: Mock) -> None:
        """A status is a response until it is asked to be an error."""
        unifetch_mock.get(f"{API}/").reply(404)
        with pytest.raises(StatusError):
            get(f"{API}/").raise_for_status()


class TestTime:
    """Time is the mock's."""

    def test_a_retry_after_a_minute(self, unifetch_mock: Mock) -> None:
        """It takes none, and is told exactly."""
        unifetch_mock.get(f"{API}/").reply(503, headers={"Retry-After": "60"}).then(200)
        response = get(f"{API}/", retry=2)

        assert (200, 60, 60) == (response.status, unifetch_mock.passed, response.elapsed)

    def test_a_deadline_in_a_body(self, unifetch_mock: Mock) -> None:
        """A body that drips past the total ends there, to the second."""
        unifetch_mock.get(f"{API}/").reply(chunks=[b"a", Pause(20), b"b", Pause(20), b"c"])
        with pytest.raises(TotalTimeout):
            get(f"{API}/", timeout=30)

        assert 30 == unifetch_mock.passed

    def test_an_expired_cookie(self, unifetch_mock: Mock) -> None:
        """A cookie that has expired stays behind."""
        unifetch_mock.get(f"{API}/in").reply(headers={"Set-Cookie": "s=1; Max-Age=3600"})
        unifetch_mock.get(f"{API}/me").reply(lambda request: Answer(200, request.headers.get("cookie", "none")))
        with Client() as client:
            client.get(f"{API}/in")
            before = client.get(f"{API}/me").text
            unifetch_mock.advance(3601)

            assert ["s=1", "none"] == [before, client.get(f"{API}/me").text]


# --- Being strict ---------------------------------------------------------------------------------


def miss(mock: Mock, call: Callable[[], Any]) -> str:
    """The message of a call that the mock does not take."""
    with pytest.raises(Unanswered) as caught, mock:
        call()
    return str(caught.value)


class TestStrict:
    """A test that forgets to be strict cannot exist."""

    def test_a_miss_is_understood_from_its_message(self) -> None:
        """It names the nearest route, ticks what fits, crosses what does not, and shows the difference of the body."""
        mock = Mock()
        mock.get(f"{API}/orders")
        mock.post(f"{API}/orders/{{id}}", params={"page": 1}, headers={"X-A": "1"}, json={"amount": 3, "to": "me"})
        body = {"to": "me", "amount": 4}
        message = miss(mock, lambda: post(f"{API}/orders/7?page=2", json=body, headers={"X-A": "2"}))

        assert message.splitlines() == [
            "POST https://api.test/orders/7?page=2: nobody took this request, and the network is shut.",
            "",
            "the nearest of 2 routes: POST https://api.test/orders/{id}",
            "  ✓ method",
            "  ✓ host",
            "  ✓ path",
            "  ✗ params: page=2 is not page=1",
            "  ✗ header X-A: '2' is not '1'",
            "  ✗ json: - announced, + sent",
            "       {",
            '      -  "amount": 3,',
            '      +  "amount": 4,',
            '         "to": "me"',
            "       }",
        ]

    def test_a_miss_shows_no_credential(self) -> None:
        """Neither the one that was announced nor the one that was sent."""
        mock = Mock()
        mock.get(f"{API}/", headers={"Authorization": "Bearer announced"})
        message = miss(mock, lambda: get(f"{API}/?api_key=hidden", auth={"type": "bearer", "token": "secret"}))

        for told in ({"params": {"api_key": "announced"}}, {"form": {"api_key": "announced"}}):
            mock = Mock()
            mock.post(f"{API}/", **told)
            message += miss(mock, lambda: post(f"{API}/?api_key=hidden", form={"api_key": "secret"}))

        assert "✗ header Authorization: another credential" in message
        assert "✗ form: api_key=REDACTED is not api_key=REDACTED" in message
        assert not [word for word in ("announced", "secret", "hidden") if word in message]

    @pytest.mark.parametrize(
        ("announced", "said"),
        [
            ({"json": {"n": 1}}, {"json": {"n": True}}),
            ({"json": [False]}, {"json": [0]}),
            ({"params": {"a": [1, 2]}}, {"params": {"a": [2, 1]}}),
            ({"params": {"a": b"\xff"}}, {"params": {"a": b"\xfe"}}),
        ],
    )
    def test_what_only_looks_the_same(self, announced: Any, said: Any) -> None:
        """It is another request."""
        mock = Mock()
        mock.post(f"{API}/", **announced)
        criterion = next(iter(announced))

        assert f"✗ {criterion}" in miss(mock, lambda: post(f"{API}/", **said))

    def test_a_route_that_is_spent(self) -> None:
        """One call too many says so."""
        mock = Mock()
        mock.get(f"{API}/").times(1)

        assert ".times(1) allows no more" in miss(mock, lambda: (get(f"{API}/"), get(f"{API}/")))

    @pytest.mark.parametrize(
        ("announce", "lacks"),
        [
            (lambda mock: mock.get(f"{API}/x"), "GET https://api.test/x: never called"),
            (lambda mock: mock.get(f"{API}/").times(2), "called 1 times, not 2"),
            (lambda mock: mock.get(f"{API}/").reply(500).then(200).times(1), ".times(1) leaves some unused"),
            (lambda mock: mock.get(f"{API}/").reply(500).then(200), "called 1 times, and has 2 answers"),
        ],
    )
    def test_what_is_announced_has_to_happen(self, announce: Any, lacks: str) -> None:
        """Else it is an error that says how to allow it."""
        mock = Mock()
        announce(mock)
        mock.get(f"{API}/").optional()
        with pytest.raises(Unmet, match=r"\.optional\(\) allows that") as caught, mock:
            get(f"{API}/")

        assert lacks in str(caught.value)

    def test_an_error_of_the_test_is_not_covered(self) -> None:
        """What was not called is no news of a test that has failed already."""
        mock = Mock()
        mock.get(f"{API}/")
        with pytest.raises(ZeroDivisionError), mock:
            _ = 1 / 0

    @pytest.mark.parametrize("time", [VirtualTime(), None], ids=["virtual", "real"])
    def test_a_wait_that_nothing_ends(self, time: VirtualTime | None) -> None:
        """Where the server falls silent and there is no timeout, the test fails; the body is not taken for whole."""
        with Mock(time=time) as mock:
            mock.get(f"{API}/").reply(chunks=[b"a", Stall()])
            with pytest.raises(Unanswered, match="fallen silent, and no timeout ends the wait"):
                get(f"{API}/", timeout=None)

    def test_real_time(self) -> None:
        """A mock without virtual time waits."""
        with Mock(time=None) as mock:
            mock.get(f"{API}/").reply(chunks=[b"a", Pause(0.01), b"b"])

            assert 0.01 <= get(f"{API}/").elapsed

    def test_time_can_be_shared(self) -> None:
        """Two mocks may go by one time."""
        time = VirtualTime()
        with Mock(time=time) as mock:
            mock.get(f"{API}/").reply(chunks=[Pause(7), b"a"])
            get(f"{API}/")

        assert 7 == time.passed


# --- The plugin -----------------------------------------------------------------------------------


@pytest.fixture
def pytester_of(pytester: pytest.Pytester) -> pytest.Pytester:
    """A directory in which pytest runs in a process of its own."""
    pytester.makeini("[pytest]\naddopts = -p no:httpbin -p no:cacheprovider -p no:randomly")
    return pytester


def test_the_fixture_is_strict(pytester_of: pytest.Pytester) -> None:
    """A test that passes and leaves a route uncalled is an error; one that fails says only why it failed."""
    pytester_of.makepyfile("""
        from unifetch import get

        def test_uncalled(unifetch_mock):
            unifetch_mock.get("https://api.test/never")

        def test_failing(unifetch_mock):
            unifetch_mock.get("https://api.test/never")
            assert 1 == 2

        def test_swallowed(unifetch_mock):
            try:
                get("https://api.test/")
            except BaseException:
                pass
    """)
    result = pytester_of.runpytest_subprocess()

    result.assert_outcomes(passed=2, failed=1, errors=2)
    result.stdout.fnmatch_lines(["*never called*", "*nobody took this request*"])


def test_the_suite_over_sockets(pytester_of: pytest.Pytester) -> None:
    """This file, once more over sockets, on each installed backend (KIT, e)."""
    pytester_of.makepyfile(test_again=Path(__file__).read_text("utf-8"))
    selected = "TestRequests or TestAnswers or TestFailures or TestTime"
    result = pytester_of.runpytest_subprocess("--unifetch-wire", "-k", selected, "-q", "-x")
    outcomes = result.parseoutcomes()

    assert "failed" not in outcomes, "\n".join(result.outlines[-60:])
    assert outcomes["passed"] >= 40


# --- Wrong calls ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Answer("200"), "a status is a number such as 200, not '200'"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Answer(True), "a status is a number such as 200, not True"),
        (lambda: Answer(100), "a status is from 200 to 999, not 100; interim= "),
        (lambda: Answer(204, b"x"), "a response with status 204 has no body"),
        (lambda: Answer(304, chunks=[b"x"]), "a response with status 304 has no body"),
        (lambda: Answer(200, {"a": 1}), "body= is bytes or text, not dict; json= "),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Answer(headers={"X": "a\r\nY: b"}), "the field 'X' has a line break or NUL in it"),
        (lambda: Answer(trailers={"X\n": "a"}), r"the field 'X\\n' has a line break or NUL in it"),
        (lambda: Answer(headers={"X": 1}), "the name and the value of a field are text, not 'X': int"),
        (lambda: Mock().get("ftp://a.test/"), "a URL must start with http:// or https://"),
        (
            lambda: Mock().get("/").reply({"id": 7}),
            "a mapping as a reply is a script by paths.*; json= answers with JSON",
        ),
        (lambda: Mock().get("/").reply(ConnectionLost), r"an error is given by \.fail\(ConnectionLost\)"),
        (lambda: Mock().get("/").fail(OSError), "fail takes an error of unifetch, such as ConnectionLost, not OSError"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Mock().get(3), "the url of a route is text or a compiled expression, not int"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Mock().get("/").reply("hello"), "a status is a number such as 200, not 'hello'; a body is given by "),
    ],
)
def test_what_no_server_says_is_refused_where_it_is_announced(wrong: Callable[[], object], message: str) -> None:
    """The message says what is wrong, and what to write instead."""
    with pytest.raises((TypeError, ValueError), match=message):
        wrong()
