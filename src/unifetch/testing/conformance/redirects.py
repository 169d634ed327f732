"""Redirects, by Fetch's rules: followed by unifetch, one exchange of a backend after the other."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from ... import Client
from ...errors import RedirectError, TooManyRedirects, TotalTimeout
from .. import Flood, Pause, Server, reply
from .base import Conformance

# status, method -> the method that arrives at the target
METHODS = [
    (301, "GET", "GET"),
    (301, "HEAD", "HEAD"),
    (301, "POST", "GET"),
    (301, "PUT", "PUT"),
    (302, "GET", "GET"),
    (302, "POST", "GET"),
    (302, "PUT", "PUT"),
    (302, "DELETE", "DELETE"),
    (302, "PATCH", "PATCH"),
    (303, "GET", "GET"),
    (303, "HEAD", "HEAD"),
    (303, "POST", "GET"),
    (303, "PUT", "GET"),
    (303, "DELETE", "GET"),
    (307, "POST", "POST"),
    (307, "PUT", "PUT"),
    (308, "POST", "POST"),
    (308, "DELETE", "DELETE"),
]

CREDENTIALS = [
    ("Authorization", "Bearer secret"),
    ("authorization", "Bearer second"),
    ("Cookie", "session=secret"),
]


class TestRedirects(Conformance):
    """Where a redirect leads, and what goes there."""

    @pytest.mark.parametrize(("status", "method", "expected"), METHODS)
    def test_method(self, client: Client, status: int, method: str, expected: str) -> None:
        """A redirect changes the method, and drops the body with it, only where Fetch says so."""
        body = b"body" if method in ("POST", "PUT", "PATCH") else None
        with Server({"/": reply(status, b"", {"Location": "/end"}), "/end": reply(200)}) as server:
            response = client.request(method, server.url, body=body, headers={"Content-Type": "text/x", "X-Kept": "1"})

            second = server.requests[1]
            kept = body is not None and method == expected
            assert (200, f"{server.url}/end", [status]) == (
                response.status,
                response.url,
                [each.status for each in response.history],
            )
            assert (expected, body if kept else b"") == (second.method, second.body)
            assert ("1", method == expected) == (second.header("x-kept"), second.header("content-type") is not None)

    @pytest.mark.parametrize("status", [300, 304, 305, 306])
    def test_other_statuses_lead_nowhere(self, client: Client, status: int) -> None:
        """A Location on any other status is not followed."""
        with Server(reply(status, b"", {"Location": "/end"})) as server:
            assert (status, 1) == (client.get(server.url).status, len(server.requests))

    def test_no_location(self, client: Client) -> None:
        """A redirect without Location is the response."""
        with Server(reply(302, b"body")) as server:
            assert (302, b"body") == (client.get(server.url).status, client.get(server.url).body)

    @pytest.mark.parametrize(
        ("location", "target"),
        [
            ("/abs", "/abs"),
            ("rel", "/dir/rel"),
            ("../up", "/up"),
            ("?query", "/dir/page?query"),
            ("#fragment", "/dir/page"),
            ("", "/dir/page"),
            ("/a b", "/a%20b"),
            ("/caf\u00c3\u00a9", "/caf%C3%A9"),
            ("/x#fragment", "/x"),
            ("/a%zz/%41", "/a%25zz/%41"),
        ],
    )
    def test_location(self, client: Client, location: str, target: str) -> None:
        """A Location is resolved against the URL that sent it; its bytes are percent-encoded as they are."""
        with Server(reply(302, b"", {"Location": location}), reply(200)) as server:
            client.get(f"{server.url}/dir/page")

            assert target == server.requests[1].target

    @pytest.mark.parametrize(
        "location",
        [
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "javascript:alert(1)",
            "gopher://127.0.0.1/",
            "http://",
            "http://127.0.0.1:abc/",
            "http://127.0.0.1:99999/",
            "http://[::1/",
            "http://a\\@b/",
        ],
    )
    def test_location_that_cannot_be_followed(self, client: Client, location: str) -> None:
        """A Location to anything but an http or https URL is an error that shows it."""
        with Server(reply(302, b"", {"Location": location})) as server:
            with pytest.raises(RedirectError):
                client.get(server.url)

            assert 1 == len(server.requests)

    def test_two_locations(self, client: Client) -> None:
        """Two different Locations are an error, the same one twice is not."""
        with Server(reply(302, b"", [("Location", "/a"), ("Location", "/b")])) as server:
            with pytest.raises(RedirectError):
                client.get(server.url)
        with Server(reply(302, b"", [("Location", "/a"), ("Location", "/a")]), reply(200)) as server:
            assert f"{server.url}/a" == client.get(server.url).url

    def test_limit(self, client: Client) -> None:
        """Twenty redirects are followed, the twenty-first is an error; the limit can be set."""
        with Server(reply(302, b"", {"Location": "/again"})) as server:
            with pytest.raises(TooManyRedirects):
                client.get(server.url)
            assert 21 == len(server.requests)
            with pytest.raises(TooManyRedirects):
                client.get(server.url, redirects=2)
            assert 24 == len(server.requests)

    def test_not_followed_on_request(self, client: Client) -> None:
        """`redirects=0` gives the redirect itself, with its body, whatever its Location says."""
        with Server(reply(302, b"moved", {"Location": "http://[bad"})) as server:
            response = client.get(server.url, redirects=0)

            assert (302, b"moved", ()) == (response.status, response.body, response.history)

    def test_same_origin_keeps_credentials(self, client: Client) -> None:
        """Within its origin, a request keeps all of its fields."""
        with Server(reply(302, b"", {"Location": "/end"}), reply(200)) as server:
            client.get(server.url, headers=CREDENTIALS)

            assert server.requests[0].headers == server.requests[1].headers

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_other_origin_gets_no_credentials(self, client: Client, host: str) -> None:
        """Another port or host sees none of them, and its own Host."""
        with Server() as other:
            target = f"http://{host}:{other.port}/end"
            with Server(reply(302, b"", {"Location": target})) as server:
                client.get(server.url, headers=[*CREDENTIALS, ("Host", "first.example"), ("X-Other", "1")])

            names = [name.lower() for name, _ in other.requests[0].headers]
            assert ["host", "user-agent", "accept", "accept-encoding", "x-other"] == names
            assert f"{host}:{other.port}" == other.requests[0].header("host")

    def test_credentials_stay_away_after_another_hop(self, client: Client) -> None:
        """What was taken off does not come back on the way from one foreign page to the next."""
        with Server(reply(302, b"", {"Location": "/second"}), reply(200)) as other:
            with Server(reply(302, b"", {"Location": f"{other.url}/first"})) as server:
                client.get(server.url, headers=CREDENTIALS)

            assert [None, None] == [each.header("authorization") for each in other.requests]

    def test_userinfo_in_location_is_ignored(self, client: Client) -> None:
        """A server cannot make us send credentials of its choice."""
        with Server(
            lambda request: (
                reply(200)
                if request.target == "/end"
                else reply(302, b"", {"Location": f"http://user:pass@{request.header('host')}/end"})
            )
        ) as server:
            response = client.get(server.url)

            assert (None, f"{server.url}/end") == (server.requests[1].header("authorization"), response.url)

    @pytest.mark.parametrize("status", [307, 308])
    def test_a_body_is_sent_again_from_its_start(self, client: Client, status: int) -> None:
        """A file goes again from where it stood, with the same length."""
        file = io.BytesIO(b"skipped, sent")
        file.seek(9)
        with Server(reply(status, b"", {"Location": "/end"}), reply(200)) as server:
            client.post(server.url, body=file)

            assert [("4", b"sent")] * 2 == [(each.header("content-length"), each.body) for each in server.requests]

    @pytest.mark.parametrize("status", [307, 308])
    def test_a_one_shot_body_is_not_sent_again(self, client: Client, status: int) -> None:
        """An iterator that is spent is refused, instead of an empty body."""

        def once() -> Iterator[bytes]:
            yield b"body"

        with Server(reply(status, b"", {"Location": "/end"})) as server:
            with pytest.raises(RedirectError, match="stream") as caught:
                client.post(server.url, body=once())

            assert (1, "yes") == (len(server.requests), caught.value.request_sent)

    def test_the_body_of_a_redirect_is_bounded(self, client: Client) -> None:
        """An endless body of a redirect is left, not read."""
        head = b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 999999999\r\n\r\n"
        with Server({"/": [head, Flood(b"x" * 65536)], "/end": reply(200, b"end")}) as server:
            assert b"end" == client.get(server.url).body

    def test_the_deadline_covers_the_chain(self, client: Client) -> None:
        """Every redirect counts against the one total."""
        with Server([Pause(0.1), reply(302, b"", {"Location": "/again"})]) as server:
            with pytest.raises(TotalTimeout):
                client.get(server.url, timeout=0.35)

            assert len(server.requests) <= 5
