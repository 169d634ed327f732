"""Redirects: a request and the head of its response go in, the next request comes out."""

from __future__ import annotations

from typing import Any

import pytest

from unifetch import Headers, RedirectError, Request
from unifetch.policies.redirects import REDIRECTS, follow

CONTENT = {"Content-Type": "text/x", "Content-Language": "de", "Content-Encoding": "gzip", "Content-Location": "/x"}
CREDENTIALS = {"Authorization": "a", "Cookie": "b", "Proxy-Authorization": "c", "Host": "other.test"}


def followed(
    status: int, *locations: str, method: str = "GET", url: str = "http://a.test/dir/page", body: Any = None,
    headers: Any = None, replayable: bool = True,
) -> Request | None:  # fmt: skip
    request = Request(method, url, headers=headers, body=body)
    fields = Headers([("Location", location) for location in locations])
    return follow(request, status, fields, replayable=replayable)


def leads(*args: Any, **options: Any) -> Request:
    request = followed(*args, **options)
    assert request is not None
    return request


# --- Whether --------------------------------------------------------------------------------------


def test_statuses_that_redirect() -> None:
    """Five, and no other (Fetch, "redirect status")."""
    leading = {status for status in range(100, 1000) if followed(status, "/") is not None}

    assert {301, 302, 303, 307, 308} == leading == REDIRECTS


@pytest.mark.parametrize("status", sorted(REDIRECTS))
def test_without_location(status: int) -> None:
    """Then the response is what the caller gets."""
    assert followed(status) is None


# --- Where ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("http://b.test/x", "http://b.test/x"),
        ("HTTPS://B.test:443/x", "https://b.test/x"),
        ("//b.test/x", "http://b.test/x"),
        ("/x", "http://a.test/x"),
        ("x", "http://a.test/dir/x"),
        ("../../x", "http://a.test/x"),
        ("?q", "http://a.test/dir/page?q"),
        ("", "http://a.test/dir/page"),
        ("#f", "http://a.test/dir/page"),
        ("/a b", "http://a.test/a%20b"),
        ("/caf\xc3\xa9", "http://a.test/caf%C3%A9"),
        ("http://user:pass@b.test/", "http://b.test/"),
    ],
)
def test_location(location: str, url: str) -> None:
    """Resolved against the URL that sent it; userinfo is nothing that a server may say."""
    request = leads(302, location)

    assert (url, None, None) == (request.url, request.url.username, request.url.password)


@pytest.mark.parametrize(
    "location",
    [
        "ftp://b.test/",
        "file:///etc/passwd",
        "data:,x",
        "javascript:alert(1)",
        "mailto:a@b.test",
        "http:",
        "http://",
        "http:///x",
        "http://b.test:0x50/",
        "http://b.test:99999/",
        "http://[::1/",
        "http://b.test\\@c.test/",
        "/a\\b",
        "http://b c.test/",
        "/" + "x" * 70_000,
    ],
)
def test_location_that_cannot_be_followed(location: str) -> None:
    """Anything but an http or https URL is an error that names the status, and shows a bounded part of it."""
    with pytest.raises(RedirectError, match=r"^302 with a Location that cannot be followed: ") as caught:
        followed(302, location)

    assert len(str(caught.value)) < 300
    assert "yes" == caught.value.request_sent


def test_two_locations() -> None:
    """Two that differ are ambiguous; the same twice is one."""
    with pytest.raises(RedirectError, match="two different Location fields") as caught:
        followed(302, "/a", "/b")

    assert "yes" == caught.value.request_sent
    assert "http://a.test/a" == leads(302, "/a", "/a").url


def test_fragment() -> None:
    """A Location without a fragment inherits it (RFC 9110 §10.2.2)."""
    assert ["old", "new"] == [
        leads(302, location, url="http://a.test/#old").url.fragment for location in ("/x", "/x#new")
    ]


# --- What -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PURGE", "purge"])
@pytest.mark.parametrize("status", sorted(REDIRECTS))
def test_method(status: int, method: str) -> None:
    """301 and 302 change POST only, 303 all but GET and HEAD, 307 and 308 nothing (RFC 9110 §15.4)."""
    becomes_get = (status in (301, 302) and method == "POST") or (status == 303 and method not in ("GET", "HEAD"))

    assert ("GET" if becomes_get else method) == leads(status, "/", method=method).method


@pytest.mark.parametrize(("status", "kept"), [(301, False), (302, False), (303, False), (307, True), (308, True)])
def test_body(status: int, kept: bool) -> None:
    """With the method goes the body, and every field that described it."""
    request = leads(status, "/", method="POST", body=b"body", headers={**CONTENT, "Accept": "x", "X-A": "1"})
    expected = {**CONTENT, "Accept": "x", "X-A": "1"} if kept else {"Accept": "x", "X-A": "1"}

    assert (b"body" if kept else None, Headers(expected)) == (request.body, request.headers)


def test_put_keeps_its_body_at_301() -> None:
    """Only POST is known to be turned into GET by everybody."""
    assert ("PUT", b"body") == (lambda request: (request.method, request.body))(
        leads(301, "/", method="PUT", body=b"body")
    )


@pytest.mark.parametrize("status", [307, 308])
def test_body_that_cannot_be_sent_again(status: int) -> None:
    """Refused, because an empty body would be sent in its place."""
    with pytest.raises(RedirectError, match=f"^{status} asks to send the body again"):
        followed(status, "/", method="POST", body=iter([b"x"]), replayable=False)

    assert "GET" == leads(303, "/", method="POST", body=iter([b"x"]), replayable=False).method
    assert "POST" == leads(status, "/", method="POST", replayable=False).method


# --- Whose secrets --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "location", "same"),
    [
        ("http://a.test/", "/x", True),
        ("http://a.test/", "http://a.test:80/x", True),
        ("http://a.test/", "http://A.TEST/x", True),
        ("http://user@a.test/", "http://a.test/x", True),
        ("http://a.test/", "http://b.test/", False),
        ("http://a.test/", "http://a.test:8080/", False),
        ("http://a.test/", "https://a.test/", False),
        ("https://a.test/", "http://a.test/", False),
        ("http://a.test:443/", "https://a.test:443/", False),
        ("http://a.test/", "http://sub.a.test/", False),
        ("http://sub.a.test/", "http://a.test/", False),
        ("http://a.test/", "http://a.test./", False),
        ("http://a.test/", "http://a.test.evil.test/", False),
        ("http://a.test/", "http://evila.test/", False),
        ("http://a.test/", "//b.test/", False),
        ("http://127.0.0.1/", "http://localhost/", False),
    ],
)
def test_credentials_keep_their_origin(url: str, location: str, same: bool) -> None:
    """A change of scheme, host or port takes them off, and the caller's Host with them."""
    request = leads(302, location, url=url, headers={**CREDENTIALS, "X-A": "1"})

    assert Headers({**CREDENTIALS, "X-A": "1"} if same else {"X-A": "1"}) == request.headers


def test_every_spelling_and_every_duplicate_is_taken_off() -> None:
    """However a field's name is written, and however often it comes."""
    fields = [(name, "hunter2") for field in CREDENTIALS for name in (field, field.lower(), field.upper())]

    assert Headers() == leads(307, "http://b.test/", headers=fields).headers


def test_what_was_taken_off_does_not_come_back() -> None:
    """Also not on the way back to the first origin."""
    away = leads(302, "http://b.test/", headers=CREDENTIALS)
    back = follow(away, 302, Headers({"Location": "http://a.test/dir/page"}), replayable=True)

    assert back is not None
    assert (Headers(), "http://a.test/dir/page") == (back.headers, back.url)


def test_userinfo_stays_behind() -> None:
    """Credentials in the caller's URL do not go along, neither to another origin nor within it."""
    for location in ("/x", "http://b.test/"):
        assert None is leads(302, location, url="http://user:hunter2@a.test/").url.password


def test_the_request_is_not_changed() -> None:
    """It is a value, and the history shows it."""
    request = Request("POST", "http://a.test/", headers=CREDENTIALS, body=b"x")
    twin = Request("POST", "http://a.test/", headers=CREDENTIALS, body=b"x")
    follow(request, 302, Headers({"Location": "http://b.test/"}), replayable=True)

    assert twin == request
