"""Cookies, by RFC 6265bis: kept by unifetch alone, whatever jar the library under it may have."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any

import pytest

import unifetch

from ... import URL, Client, aio
from ...errors import InvalidHeader, InvalidSetting, ProtocolError
from ...observe.events import CookieDropped, Event
from ...observe.logging import log_events
from ...policies.cookie_jar import CookieJar
from .. import RecordedRequest, Server, reply
from ..awaited import awaited, client_of
from .base import Conformance
from .routes import authority

# What a server sets -> what it gets back, one character a byte.
PAIRS = [
    ("a=b", "a=b"),
    ("a=b c", "a=b c"),
    ('a="b c"', 'a="b c"'),
    ('a={"b": [1, 2], "c": "d"}', 'a={"b": [1, 2], "c": "d"}'),
    ("a=100%;HttpOnly", "a=100%"),
    ("a=%41%zz+", "a=%41%zz+"),
    ("a=b=c==", "a=b=c=="),
    ("a=caf\u00c3\u00a9", "a=caf\u00c3\u00a9"),
    ("a=\\x41\\", "a=\\x41\\"),
    ("$Version=1", "$Version=1"),
    (" a = b ", "a=b"),
    ("a=", "a="),
    ("bare", "bare"),
]

IGNORED = [
    "a=b; Secure",
    "a=b; SameSite=None",
    "a=b; Domain=example.com",
    "a=b; Domain=0.0.1",
    "__Host-a=b; Path=/",
    "__Secure-a=b",
    "=__Host-a=b",
    "a=b; Path=/elsewhere",
    "a=b; Max-Age=0",
    "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    "=",
    "a=" + 4096 * "b",
]


def cookie_fields(request: RecordedRequest) -> list[str]:
    """The value of each Cookie field, of which there should be one at most (RFC 6265bis §5.8.1)."""
    return [value for name, value in request.headers if name.lower() == "cookie"]


def sets(*cookies: str, status: int = 200, location: str | None = None) -> bytes:
    """A response that sets these cookies, one in each field."""
    fields = [("Set-Cookie", cookie) for cookie in cookies]
    return reply(status, b"", fields if location is None else [*fields, ("Location", location)])


class TestCookies(Conformance):
    """Which cookies are kept, and where they go."""

    @pytest.mark.parametrize(("received", "sent"), PAIRS)
    def test_round_trip(self, client: Client, received: str, sent: str) -> None:
        """A cookie goes back as it came, neither quoted nor decoded."""
        with Server(sets(received)) as server:
            client.get(server.url)
            client.get(server.url)

            assert [[], [sent]] == [cookie_fields(each) for each in server.requests]

    @pytest.mark.parametrize("received", IGNORED)
    def test_ignored(self, client: Client, received: str) -> None:
        """What breaks a rule, is over, or belongs elsewhere does not come back; the response is none the worse."""
        with Server(sets(received), reply(200, b"body")) as server:
            assert 200 == client.get(server.url).status
            assert b"body" == client.get(server.url).body

            assert [[], []] == [cookie_fields(each) for each in server.requests]

    @pytest.mark.parametrize("received", ["a=b\x01c", "a\x7f=b", "a=b; Path=/\x1b"])
    def test_control_character(self, client: Client, received: str) -> None:
        """A cookie with a control character is not kept, whether its response is refused or not (RFC 9110 §5.5)."""
        with Server(sets(received), reply(200)) as server:
            with contextlib.suppress(ProtocolError):
                client.get(server.url)
            client.get(server.url)

            assert [[], []] == [cookie_fields(each) for each in server.requests]

    def test_order(self, client: Client) -> None:
        """All go in one field, the longest path first, then in the order in which they came."""
        with Server(sets("root=1; Path=/", "deep=2; Path=/a/b", "mid=3; Path=/a", "also=4; Path=/a")) as server:
            client.get(f"{server.url}/a/b/c")
            client.get(f"{server.url}/a/b/c")
            client.get(f"{server.url}/ab")

            assert [["deep=2; mid=3; also=4; root=1"], ["root=1"]] == [
                cookie_fields(each) for each in server.requests[1:]
            ]

    def test_default_path(self, client: Client) -> None:
        """Without a Path, a cookie belongs to the directory of the page that set it."""
        with Server(sets("a=b"), reply()) as server:
            for target in ("/dir/page?x=/y", "/dir/other", "/dir/", "/dir", "/", "/directory"):
                client.get(server.url + target)

            assert [[], ["a=b"], ["a=b"], ["a=b"], [], []] == [cookie_fields(each) for each in server.requests]

    def test_replaced_and_removed(self, client: Client) -> None:
        """A cookie of the same name and path takes the old one's place; one that is expired removes it."""
        with Server(sets("a=1", "b=1"), sets("a=2"), sets("a=; Max-Age=0", "b=; Expires=Thu, 01 Jan 1970")) as server:
            for _ in range(3):
                client.get(server.url)

            assert [[], ["a=1; b=1"], ["a=2; b=1"]] == [cookie_fields(each) for each in server.requests]
            client.get(server.url)
            assert ["b="] == cookie_fields(server.requests[3])  # that date lacks a time of day, so it is none

    def test_set_on_a_redirect(self, client: Client) -> None:
        """A cookie that comes with a redirect goes to its target already."""
        with Server(sets("a=b", status=302, location="/end"), reply(200)) as server:
            client.get(server.url)

            assert [[], ["a=b"]] == [cookie_fields(each) for each in server.requests]

    def test_set_by_an_error(self, client: Client) -> None:
        """A cookie that comes with an error is kept as well."""
        with Server(sets("a=b", status=500), reply(200)) as server:
            client.get(server.url)
            client.get(server.url)

            assert [[], ["a=b"]] == [cookie_fields(each) for each in server.requests]

    def test_another_host_gets_none(self, client: Client) -> None:
        """Cookies are a host's own, whether it is asked for directly or by a redirect."""
        with Server() as server:
            other = f"http://localhost:{server.port}"
            client.cookies.set("a", "secret", "127.0.0.1")
            client.get(other)
        with Server() as target:
            with Server(sets("b=secret", status=302, location=f"http://localhost:{target.port}/")) as first:
                client.get(first.url)

            assert ["a=secret"] == cookie_fields(first.requests[0])
        assert (1, 1) == (len(server.requests), len(target.requests))
        assert b"secret" not in server.received() + target.received()

    def test_ports_share(self, client: Client) -> None:
        """Cookies do not tell ports apart (RFC 6265bis §8.5)."""
        with Server(sets("a=b")) as server, Server() as other:
            client.get(server.url)
            client.get(other.url)

            assert ["a=b"] == cookie_fields(other.requests[0])

    def test_secure(self, client: Client) -> None:
        """A Secure cookie goes to https, and never to http."""
        client.cookies.set("a", "secret", "127.0.0.1", secure=True)
        with Server() as server:
            client.get(server.url)

            assert b"secret" not in server.received()
        with Server(sets("b=secret; Secure"), tls=authority().server("127.0.0.1")) as server:
            client.get(server.url, tls=authority().trusted)
            client.get(server.url, tls=authority().trusted)

            assert [["a=secret"], ["a=secret; b=secret"]] == [cookie_fields(each) for each in server.requests]
        with Server() as server:
            client.get(server.url)

            assert b"secret" not in server.received()

    def test_clients_share_none(self, client: Client) -> None:
        """A jar belongs to its client, not to the backend under it."""
        with Server(sets("a=b")) as server, type(client)(client.backend) as other:
            client.get(server.url)
            other.get(server.url)

            assert [[], []] == [cookie_fields(each) for each in server.requests]

    def test_switched_off(self, client: Client) -> None:
        """`cookies=False` keeps none from one call to the next; those of a call are still sent."""
        with type(client)(client.backend, cookies=False) as none:
            with Server(sets("a=b", status=302, location="/end"), sets("c=d"), reply(200)) as server:
                none.get(server.url)
                none.get(server.url, cookies={"x": "y"})

                assert [[], ["a=b"], ["x=y"]] == [cookie_fields(each) for each in server.requests]
            assert 0 == len(none.cookies)

    def test_switched_off_for_a_call(self, client: Client) -> None:
        """`cookies=False` in a call leaves the client's jar alone: nothing of it is sent, nothing put into it."""
        with Server({"/": reply(200), "/gate": sets("gate=1", status=302, location="/")}) as server:
            client.cookies.set("a", "jar", "127.0.0.1")
            client.get(f"{server.url}/gate", cookies=False)
            client.get(server.url, cookies={})
            client.get(server.url, cookies=None)

            assert [[], ["gate=1"], ["a=jar"], ["a=jar"]] == [cookie_fields(each) for each in server.requests]

    @pytest.mark.parametrize("kind", ["functions", "no jar", "a call without", "a jar"])
    def test_a_gate(self, client: Client, kind: str) -> None:
        """A gate that sets a cookie and redirects to itself is passed: a call keeps what came on its own way."""

        def gate(request: RecordedRequest) -> bytes:
            passed = "passed=1" in (request.header("cookie") or "")
            return reply(200, b"in") if passed else sets("passed=1; Path=/", status=302, location="/inside/page")

        awaits = inspect.iscoroutinefunction(client.backend.send)
        with Server(gate) as server, type(client)(client.backend, cookies=kind == "a jar") as other:
            get = {"functions": awaited(aio.get) if awaits else unifetch.get, "a call without": client.get}
            call: Any = {"backend": client.backend} if kind == "functions" else {}
            if kind == "a call without":
                call = {"cookies": False}
            for _ in range(2):
                assert b"in" == get.get(kind, other.get)(f"{server.url}/inside/page", **call).body

            assert (3 if kind == "a jar" else 4) == len(server.requests)

    def test_on_the_way_of_a_call_only_at_home(self, client: Client) -> None:
        """What is kept for one call goes where a jar would send it, and to no other host."""
        with Server() as target:
            elsewhere = f"http://localhost:{target.port}/"
            with Server(sets("a=secret", status=302, location=elsewhere)) as server:
                client.get(server.url, cookies=False)

            assert (1, 1) == (len(server.requests), len(target.requests))
        assert b"secret" not in target.received()

    @pytest.mark.parametrize("many", [(4, 4000), (50, 4094)])
    def test_all_are_sent(self, client: Client, many: tuple[int, int]) -> None:
        """A server may keep a sign-in in several large cookies: 50 of 4,096 bytes go back (RFC 6265bis §6.1)."""
        count, size = many
        pairs = [f"c{number:02}={'x' * (size - 2)}" for number in range(count)]
        set_in_parts = [sets(*pairs[start : start + 20]) for start in range(0, count, 20)]
        with Server(*set_in_parts, reply(200)) as server:
            for _ in range(len(set_in_parts) + 1):
                assert 200 == client.get(server.url).status

            assert ["; ".join(pairs)] == cookie_fields(server.requests[-1])

    def test_what_a_limit_drops_is_told(self, client: Client, caplog: pytest.LogCaptureFixture) -> None:
        """A cookie that is too long, and one that others push out, are told and logged, without a value."""
        many = [("Set-Cookie", f"c{number}=s3cret; Path=/") for number in range(182)]
        too_long = [
            ("Set-Cookie", "long=" + "s3cret" * 700),
            ("Set-Cookie", "s3cret" * 700),
            ("Set-Cookie", "a=b; Secure"),
        ]
        told: list[CookieDropped] = []

        def watch(event: Event) -> None:
            log_events(event)
            if isinstance(event, CookieDropped):
                told.append(event)

        with (
            Server(reply(302, b"", [*too_long, ("Location", "/end")]), reply(200, b"", many)) as server,
            client_of(client.backend, listeners=watch) as watched,
            client_of(client.backend, listeners=watch, cookies=False) as without,
            caplog.at_level("WARNING", "unifetch"),
        ):
            watched.get(server.url)
            without.get(server.url, redirects=0)

            assert [
                ("long", "127.0.0.1", "4096 bytes for one"),
                ("", "127.0.0.1", "4096 bytes for one"),
                ("c0", "127.0.0.1", "180 of a site"),
                ("c1", "127.0.0.1", "180 of a site"),
            ] == [(event.name, event.domain, event.limit) for event in told]
            assert [1, 1, 1, 1] == [event.call - told[0].call + 1 for event in told]
            assert 4 == caplog.text.count("was dropped: ")
            assert "s3cret" not in caplog.text + repr(told)

    def test_a_full_jar_takes_no_cookie_of_ones_own(self, client: Client) -> None:
        """A cookie that the caller puts in is in, or it is an error."""
        with Server(reply(200, b"", [("Set-Cookie", f"c{number}=1") for number in range(180)])) as server:
            client.get(server.url)
            with pytest.raises(InvalidSetting, match="it keeps 180 of a site, and has them; delete one first"):
                client.cookies.set("own", "1", "127.0.0.1")
            client.cookies.delete("c0")
            client.cookies.set("own", "1", "127.0.0.1")

            assert (180, "1") == (len(client.cookies), client.cookies["own"])

    def test_order_of_creation_across_domains(self, client: Client) -> None:
        """What was created earlier goes first, also where both came in one response (RFC 6265bis §5.8.3)."""
        jar = client.cookies
        jar.store(URL("http://www.example.test/"), ["B=1; Domain=.example.test; Path=/", "A=2; Path=/"], 1000.0)
        jar.store(URL("http://www.example.test/"), ["D=1; Path=/", "C=2; Domain=.example.test; Path=/"], 1000.0)

        assert "B=1; A=2; D=1; C=2" == jar.header(URL("http://www.example.test/"), 1001.0)

    @pytest.mark.parametrize("name", ["mybb[user]", "a.b/c", "x y", "\u00e9", '"q"', "a@b,c", "{1}"])
    def test_odd_names_of_a_call(self, client: Client, name: str) -> None:
        """Names that servers and browsers use are sent, tokens or not."""
        with Server() as server:
            client.get(server.url, cookies={name: "1"})

            assert [[f"{name}=1"]] == [cookie_fields(each) for each in server.requests]

    @pytest.mark.parametrize("name", ["", "a=b", "a;b", "a\nb", " a", "a ", "\u20ac", 1, None, b"a"])
    def test_impossible_names_of_a_call(self, client: Client, name: Any) -> None:
        """What could not come back as this name is refused, before anything is sent."""
        with Server() as server, pytest.raises(InvalidHeader):
            client.get(server.url, cookies={name: "1"})

        assert 0 == server.connections

    @pytest.mark.parametrize("cookies", [True, 5, "a=b", b"a=b", ["a"], [("a", "b")], object()])
    def test_what_is_no_cookies(self, client: Client, cookies: Any) -> None:
        """Any other type is refused by an error of ours that says what is accepted."""
        with Server() as server, pytest.raises(InvalidSetting, match=r"cookies: .*mapping.*False"):
            client.get(server.url, cookies=cookies)

        assert 0 == server.connections

    def test_the_functions_keep_none(self, client: Client) -> None:
        """Nothing is carried from one call of the module to the next."""
        get = unifetch.get if isinstance(client, Client) else awaited(aio.get)
        with Server(sets("a=b")) as server:
            get(server.url, backend=client.backend)
            get(server.url, backend=client.backend)

            assert [[], []] == [cookie_fields(each) for each in server.requests]

    def test_a_field_of_the_callers_own(self, client: Client) -> None:
        """A Cookie field that the caller wrote says it all, and changes nothing in the jar."""
        with Server(sets("a=jar")) as server:
            client.get(server.url)
            client.get(server.url, headers={"cookie": 'x="y z"'}, cookies={"b": "call"})
            client.get(server.url)

            assert [[], ['x="y z"'], ["a=jar"]] == [cookie_fields(each) for each in server.requests]

    def test_of_a_call(self, client: Client) -> None:
        """`cookies=` goes with its call alone, beside the jar's, and wins where the name is the same."""
        with Server(sets("a=jar", "b=jar")) as server:
            client.get(server.url, cookies={"x": "y z"})
            client.get(server.url, cookies={"b": "call", "c": '{"d": 1}'})
            client.get(server.url)

            assert [["x=y z"], ['a=jar; b=call; c={"d": 1}'], ["a=jar; b=jar"]] == [
                cookie_fields(each) for each in server.requests
            ]

    def test_of_a_call_within_its_origin(self, client: Client) -> None:
        """`cookies=` goes along a redirect within its origin, beside a cookie that came on the way."""
        with Server(sets("a=jar", status=302, location="/end"), reply(200)) as server:
            client.get(server.url, cookies={"b": "call"})

            assert [["b=call"], ["a=jar; b=call"]] == [cookie_fields(each) for each in server.requests]

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_of_a_call_elsewhere(self, client: Client, host: str) -> None:
        """`cookies=` goes to no other host or port, and not again when a redirect leads back."""
        home = ""
        with Server(lambda request: sets(status=302, location=home)) as other:
            elsewhere = f"http://{host}:{other.port}/"
            with Server({"/": sets(status=302, location=elsewhere), "/back": reply(200)}) as server:
                home = f"{server.url}/back"
                client.get(server.url, cookies={"a": "secret"})

                assert [["a=secret"], []] == [cookie_fields(each) for each in server.requests]
            assert 1 == len(other.requests)
            assert b"secret" not in other.received()

    def test_a_saved_jar(self, client: Client) -> None:
        """What `to_json` has written sends the same bytes."""
        with Server(sets('a={"b": "c d"}', "e=caf\u00e9; Max-Age=1000; Path=/"), reply()) as server:
            client.get(server.url)
            client.get(server.url)
            with type(client)(client.backend, cookies=CookieJar.from_json(client.cookies.to_json())) as other:
                other.get(server.url)

            assert ['a={"b": "c d"}; e=caf\u00e9'] == cookie_fields(server.requests[1])
            assert cookie_fields(server.requests[1]) == cookie_fields(server.requests[2])

    def test_forgotten(self, client: Client) -> None:
        """After `clear` nothing is sent."""
        with Server(sets("a=b"), reply()) as server:
            client.get(server.url)
            client.cookies.clear()
            client.get(server.url)

            assert [[], []] == [cookie_fields(each) for each in server.requests]
