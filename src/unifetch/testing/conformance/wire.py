"""What goes out: for the same call, every backend puts the same bytes on the wire."""

from __future__ import annotations

import io
import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ... import URL, Client, InvalidRequest
from ...backends.base import Capability
from ...client.call_settings import REFUSED
from ...errors import InvalidBody, InvalidHeader, InvalidMethod, InvalidSetting, InvalidURL, UnsupportedCapability
from ...masking import REDACTED
from ...policies.decoding import accept_encoding
from ...version import VERSION
from .. import Server
from ..awaited import client_of
from .base import Conformance, requires

DEFAULTS = f"User-Agent: unifetch/{VERSION}\r\nAccept: */*\r\nAccept-Encoding: {accept_encoding()}\r\n"

Ask = Callable[[Client, str], Any]


def blocks() -> Iterator[bytes]:
    """A body whose size nobody knows in advance."""
    yield b"one"
    yield b""
    yield b"a longer block"


def from_offset() -> io.BytesIO:
    """A file that does not stand at its start."""
    file = io.BytesIO(b"skipped, sent")
    file.seek(9)
    return file


# Each row: what is asked, and the bytes that must go out, with HOST for the server's address and
# DEFAULTS for the fields that unifetch adds where the caller says nothing.
EXACT: dict[str, tuple[Ask, str]] = {
    "get": (
        lambda client, url: client.get(f"{url}/path?a=1"),
        "GET /path?a=1 HTTP/1.1\r\nHost: HOST\r\nDEFAULTS\r\n",
    ),
    "an empty path": (lambda client, url: client.get(url), "GET / HTTP/1.1\r\nHost: HOST\r\nDEFAULTS\r\n"),
    "params are appended": (
        lambda client, url: client.get(f"{url}/?a=1", params={"b": [2, "x y&é"], "c": None, "d": True}),
        "GET /?a=1&b=2&b=x+y%26%C3%A9&d=true HTTP/1.1\r\nHost: HOST\r\nDEFAULTS\r\n",
    ),
    "header order, case and duplicates": (
        lambda client, url: client.get(url, headers=[("x-LOWER", "1"), ("X-Dup", "a"), ("X-Dup", "b")]),
        "GET / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSx-LOWER: 1\r\nX-Dup: a\r\nX-Dup: b\r\n\r\n",
    ),
    "the caller's own fields in place of ours": (
        lambda client, url: client.get(
            url, headers={"accept": "text/html", "User-Agent": "mine", "accept-encoding": "identity"}
        ),
        "GET / HTTP/1.1\r\nHost: HOST\r\naccept: text/html\r\nUser-Agent: mine\r\naccept-encoding: identity\r\n\r\n",
    ),
    "the caller's own Host": (
        lambda client, url: client.get(url, headers={"Host": "example.org"}),
        "GET / HTTP/1.1\r\nHost: example.org\r\nDEFAULTS\r\n",
    ),
    "latin-1 in a field value": (
        lambda client, url: client.get(url, headers={"X-Name": "café"}),
        "GET / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSX-Name: café\r\n\r\n",
    ),
    "head": (lambda client, url: client.head(url), "HEAD / HTTP/1.1\r\nHost: HOST\r\nDEFAULTS\r\n"),
    "options": (lambda client, url: client.options(url), "OPTIONS / HTTP/1.1\r\nHost: HOST\r\nDEFAULTS\r\n"),
    "delete has no body and says nothing of one": (
        lambda client, url: client.delete(url),
        "DELETE / HTTP/1.1\r\nHost: HOST\r\nDEFAULTS\r\n",
    ),
    "a method of one's own": (
        lambda client, url: client.request("PURGE", url),
        "PURGE / HTTP/1.1\r\nHost: HOST\r\nDEFAULTS\r\n",
    ),
    "post without a body says so": (
        lambda client, url: client.post(url),
        "POST / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSContent-Length: 0\r\n\r\n",
    ),
    "bytes": (
        lambda client, url: client.post(url, body=b"\x00\xff"),
        "POST / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSContent-Length: 2\r\n\r\n\x00\xff",
    ),
    "text": (
        lambda client, url: client.put(url, body="é"),
        "PUT / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSContent-Type: text/plain;charset=UTF-8\r\n"
        "Content-Length: 2\r\n\r\n\xc3\xa9",
    ),
    "json": (
        lambda client, url: client.post(url, json={"a": [1, None, "é"]}),
        "POST / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSContent-Type: application/json\r\nContent-Length: 19\r\n\r\n"
        '{"a":[1,null,"\xc3\xa9"]}',
    ),
    "form": (
        lambda client, url: client.post(url, form={"a b": "1&2", "c": ["x", "~"]}),
        "POST / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: 19\r\n\r\na+b=1%262&c=x&c=%7E",
    ),
    "a Content-Type of the caller's": (
        lambda client, url: client.patch(url, json={}, headers={"content-type": "application/merge-patch+json"}),
        "PATCH / HTTP/1.1\r\nHost: HOST\r\nDEFAULTScontent-type: application/merge-patch+json\r\n"
        "Content-Length: 2\r\n\r\n{}",
    ),
    "a file from its offset": (
        lambda client, url: client.post(url, body=from_offset()),
        "POST / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSContent-Length: 4\r\n\r\nsent",
    ),
    "an iterator in chunks": (
        lambda client, url: client.post(url, body=blocks()),
        "POST / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSTransfer-Encoding: chunked\r\n\r\n"
        "3\r\none\r\ne\r\na longer block\r\n0\r\n\r\n",
    ),
    "a list of blocks with its length": (
        lambda client, url: client.post(url, body=[b"ab", b"cd"]),
        "POST / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSContent-Length: 4\r\n\r\nabcd",
    ),
    "a body on a method that rarely has one": (
        lambda client, url: client.request("DELETE", url, body=b"x"),
        "DELETE / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSContent-Length: 1\r\n\r\nx",
    ),
    "userinfo becomes no part of the request line or Host": (
        lambda client, url: client.get(url.replace("//", "//user:pass@"), headers={"Authorization": "none"}),
        "GET / HTTP/1.1\r\nHost: HOST\r\nDEFAULTSAuthorization: none\r\n\r\n",
    ),
}

TARGETS = {
    "/a b".replace(" ", "%20"): "/a%20b",
    "/caf\u00e9?q=\u00e9": "/caf%C3%A9?q=%C3%A9",
    "/%41%7e%2f?x=%41%2F": "/%41%7e%2f?x=%41%2F",
    "/a%zz": "/a%25zz",
    "/a/./b/../c": "/a/c",
    "//double": "//double",
    "/?": "/?",
    "/#fragment": "/",
    "/;p=1,2:@&=+$!*'()": "/;p=1,2:@&=+$!*'()",
    "/" + "x" * 8000: "/" + "x" * 8000,
}


# Each row of the page on refused fields that is about a value, or a place: the method, and the arguments.
OUT_OF_PLACE: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "an option of Connection": ("get", lambda: {"headers": {"Connection": "X-Mine"}}),
    "two Hosts": ("get", lambda: {"headers": [("Host", "a.test"), ("Host", "b.test")]}),
    "a Host that is none": ("get", lambda: {"headers": {"Host": "a b"}}),
    "Expect without a body": ("get", lambda: {"headers": {"Expect": "100-continue"}}),
    "another Expect": ("post", lambda: {"headers": {"Expect": "more"}, "body": b"x"}),
    "Content-Type beside files": ("post", lambda: {"headers": {"Content-Type": "a/b"}, "files": {"f": b"x"}}),
    "Range of a download": ("download", lambda: {"headers": {"Range": "bytes=1-"}}),
    "If-Range of a download": ("download", lambda: {"headers": {"If-Range": '"1"'}}),
    "a mask": ("get", lambda: {"headers": {"Authorization": REDACTED}}),
    "a trailer": ("post", lambda: {"trailers": {"Content-Type": "a/b"}, "body": iter([b"x"])}),
}


class TestWire(Conformance):
    """For the same call, the same bytes."""

    @pytest.mark.parametrize(
        "fields",
        [
            {"Connection": "keep-alive"},
            {"Connection": "Keep-Alive, TE", "TE": "trailers"},
            {"Content-Length": 4},
            {"Content-Length": "4"},
            {"Proxy-Connection": "keep-alive"},
        ],
    )
    def test_fields_of_habit(self, client: Client, fields: dict[str, Any]) -> None:
        """What asks for what happens anyway is accepted, and the request is what it is without it."""
        with Server() as server:
            client.post(server.url, body=b"body")
            client.post(server.url, body=b"body", headers=fields)

            assert server.requests[0].headers == server.requests[1].headers
            assert 1 == server.connections or Capability.KEEP_ALIVE not in client.backend.capabilities

    @pytest.mark.parametrize(
        "fields",
        [
            {"Content-Length": 5},
            {"Content-Length": "+4"},
            {"Transfer-Encoding": "chunked"},
            {"Connection": "upgrade"},
            {"Connection": "keep-alive, close"},
            {"TE": "gzip"},
            {"Keep-Alive": "timeout=5"},
            {"Host": None},
            {"Content-Length": None},
        ],
    )
    def test_fields_that_contradict(self, client: Client, fields: dict[str, Any]) -> None:
        """What contradicts the request, or what a connection does, is refused before anything is sent."""
        with Server() as server, pytest.raises(InvalidHeader):
            client.post(server.url, body=b"body", headers=fields)

        assert 0 == server.connections

    @pytest.mark.parametrize("name", [name for name in REFUSED if name not in ("Content-Length", "Transfer-Encoding")])
    def test_fields_of_the_connection(self, client: Client, name: str) -> None:
        """They are refused before anything is sent, by a message that says what to do instead."""
        with Server() as server, pytest.raises(InvalidHeader, match=re.escape(REFUSED[name])):
            client.get(server.url, headers={name: "x"})

        assert 0 == server.connections

    @pytest.mark.parametrize("row", OUT_OF_PLACE)
    def test_fields_out_of_place(self, client: Client, row: str, tmp_path: Path) -> None:
        """So are those that say what cannot be, or stand where they cannot."""
        call, arguments = OUT_OF_PLACE[row]
        where = (tmp_path / "file",) if call == "download" else ()
        with Server() as server, pytest.raises((InvalidHeader, UnsupportedCapability)):
            getattr(client, call)(server.url, *where, **arguments())

        assert 0 == server.connections

    def test_none_drops_a_default(self, client: Client) -> None:
        """Of a client's fields and of those that every request has."""
        with Server() as server, client_of(client.backend, headers={"X-Ours": "1", "Accept": None}) as ours:
            ours.get(server.url)
            ours.get(server.url, headers={"x-ours": None, "user-agent": None, "Accept": "text/plain"})

            first, second = server.requests
            names = ("x-ours", "accept", "user-agent")
            assert ["1", None, True] == [
                first.header("x-ours"),
                first.header("accept"),
                bool(first.header("user-agent")),
            ]
            assert [None, "text/plain", None] == [second.header(name) for name in names]

    @requires(Capability.EXACT_HEADERS)
    @pytest.mark.parametrize("row", EXACT)
    def test_exact_bytes(self, client: Client, row: str) -> None:
        """A call puts these bytes on the wire, and no others."""
        ask, expected = EXACT[row]
        with Server() as server:
            ask(client, server.url)

            wanted = expected.replace("HOST", f"127.0.0.1:{server.port}").replace("DEFAULTS", DEFAULTS)
            assert wanted.encode("latin-1") == server.received(1)

    @requires(Capability.EXACT_TARGET)
    @pytest.mark.parametrize("path", TARGETS)
    def test_exact_target(self, client: Client, path: str) -> None:
        """The request target is unifetch's normal form, whatever the library would make of it."""
        with Server() as server:
            client.get(server.url + path)

            assert TARGETS[path] == server.requests[0].target

    @requires(Capability.EXACT_TARGET)
    @pytest.mark.parametrize("path", ["/a/../b", "/../x", "/a/./b/", "/..", "/a/%2E%2e/b?../c", "/."])
    def test_a_path_as_it_is(self, client: Client, path: str) -> None:
        """With `path_as_is`, dots that are part of a name are not resolved, also beside `params`."""
        with Server() as server:
            client.get(URL(server.url + path, path_as_is=True))
            client.get(URL(server.url + path, path_as_is=True), params={"k": "v"})

            glue = "&" if "?" in path else "?"
            assert [path, f"{path}{glue}k=v"] == [each.target for each in server.requests]

    def test_large_upload(self, client: Client) -> None:
        """A file of megabytes arrives whole, with its size declared."""
        content = bytes(range(256)) * 8192
        with Server() as server:
            client.put(server.url, body=io.BytesIO(content))

            request = server.wait_requests(1)[0]
            assert (str(len(content)), content) == (request.header("content-length"), request.body)

    def test_streamed_upload_sends_as_it_goes(self, client: Client) -> None:
        """Blocks of an iterator arrive one by one and complete, also many of them."""
        with Server() as server:
            client.post(server.url, body=(b"%d," % number for number in range(2000)))

            assert b"".join(b"%d," % number for number in range(2000)) == server.requests[0].body

    def test_an_error_of_the_callers_body_is_the_callers(self, client: Client) -> None:
        """What the caller's own iterator raises reaches the caller as it is, and the connection is not used again."""

        def broken() -> Iterator[bytes]:
            yield b"first"
            raise LookupError("mine")

        with Server() as server:
            with pytest.raises(LookupError, match="mine"):
                client.post(server.url, body=broken())
            client.get(f"{server.url}/next")

            assert ["/next"] == [each.target for each in server.requests if each.complete][-1:]
            assert 2 == server.connections


def _ended() -> Iterator[bytes]:
    blocks = (block for block in [b"sent by a call before"])
    list(blocks)
    return blocks


INVALID: dict[str, tuple[type[InvalidRequest], Ask]] = {
    "no scheme": (InvalidURL, lambda client, url: client.get(url.removeprefix("http:"))),
    "another scheme": (InvalidURL, lambda client, url: client.get("file:///etc/passwd")),
    "a URL that is no text": (InvalidURL, lambda client, url: client.get(None)),  # type: ignore[arg-type]  # the test
    "a space": (InvalidURL, lambda client, url: client.get(f"{url}/a b")),
    "CRLF in the path": (InvalidURL, lambda client, url: client.get(f"{url}/\r\nX-Injected: 1")),
    "CRLF in the query": (InvalidURL, lambda client, url: client.get(f"{url}/?\r\nX-Injected: 1")),
    "a line feed in the host": (InvalidURL, lambda client, url: client.get(f"{url}\nx/")),
    "a backslash": (InvalidURL, lambda client, url: client.get(f"{url}\\@example.org/")),
    "two at signs": (InvalidURL, lambda client, url: client.get(f"http://a@b@{url.removeprefix('http://')}/")),
    "an odd port": (InvalidURL, lambda client, url: client.get("http://127.0.0.1:+80/")),
    "params of a wrong type": (InvalidRequest, lambda client, url: client.get(url, params={"a": object()})),
    "a method with a space": (InvalidMethod, lambda client, url: client.request("GE T", url)),
    "CRLF in the method": (InvalidMethod, lambda client, url: client.request("GET\r\nX-Injected: 1", url)),
    "no method": (InvalidMethod, lambda client, url: client.request("", url)),
    "CONNECT": (InvalidMethod, lambda client, url: client.request("CONNECT", url)),
    "CRLF in a field value": (InvalidHeader, lambda client, url: client.get(url, headers={"X": "a\r\nX-Injected: 1"})),
    "NUL in a field value": (InvalidHeader, lambda client, url: client.get(url, headers={"X": "a\0"})),
    "more than latin-1 in a field value": (InvalidHeader, lambda client, url: client.get(url, headers={"X": "\u010d"})),
    "a space in a field name": (InvalidHeader, lambda client, url: client.get(url, headers={"X A": "1"})),
    "an empty field name": (InvalidHeader, lambda client, url: client.get(url, headers={"": "1"})),
    "a fraction as field value": (InvalidHeader, lambda client, url: client.get(url, headers={"X": 1.5})),
    "Content-Length": (InvalidHeader, lambda client, url: client.post(url, headers={"content-length": "5"}, body=b"x")),
    "Transfer-Encoding": (
        InvalidHeader,
        lambda client, url: client.post(url, headers={"TRANSFER-encoding": "chunked"}),
    ),
    "Proxy-Authorization": (InvalidHeader, lambda client, url: client.get(url, headers={"Proxy-Authorization": "x"})),
    "Upgrade": (InvalidHeader, lambda client, url: client.get(url, headers={"Upgrade": "h2c"})),
    "two Hosts": (InvalidHeader, lambda client, url: client.get(url, headers=[("Host", "a"), ("host", "b")])),
    "no host as Host": (InvalidHeader, lambda client, url: client.get(url, headers={"Host": ""})),
    "a path in Host": (InvalidHeader, lambda client, url: client.get(url, headers={"Host": "example.org/path"})),
    "userinfo in Host": (InvalidHeader, lambda client, url: client.get(url, headers={"Host": "user@example.org"})),
    "a port in Host that is none": (InvalidHeader, lambda client, url: client.get(url, headers={"Host": "a.test:x"})),
    "a Host that is not ASCII": (InvalidHeader, lambda client, url: client.get(url, headers={"Host": "é.test"})),
    "two bodies": (InvalidBody, lambda client, url: client.post(url, body=b"a", json={})),
    "a text file": (InvalidBody, lambda client, url: client.post(url, body=io.StringIO("text"))),  # type: ignore[arg-type]  # the test
    "a mapping as body": (InvalidBody, lambda client, url: client.post(url, body={"a": 1})),  # type: ignore[dict-item]  # the test
    "a number as body": (InvalidBody, lambda client, url: client.post(url, body=5)),  # type: ignore[arg-type]  # the test
    "a generator that has ended": (InvalidBody, lambda client, url: client.post(url, body=_ended())),
    "an array as body": (InvalidBody, lambda client, url: client.post(url, body=array("H", [1]))),  # type: ignore[arg-type]  # the test
    "NaN in JSON": (InvalidBody, lambda client, url: client.post(url, json=float("nan"))),
    "a set in JSON": (InvalidBody, lambda client, url: client.post(url, json={1, 2})),
    "text blocks": (InvalidBody, lambda client, url: client.post(url, body=["a"])),  # type: ignore[list-item]  # the test
}

INVALID_SETTINGS: dict[str, dict[str, Any]] = {
    "a timeout of text": {"timeout": "5"},
    "a timeout of nothing": {"timeout": 0},
    "a negative timeout": {"timeout": -1},
    "a timeout that is a truth": {"timeout": True},
    "an infinite timeout": {"timeout": float("inf")},
    "a timeout that is no number": {"timeout": float("nan")},
    "an unknown phase": {"timeout": {"reed": 5}},
    "no path of a unix socket": {"unix_socket": ""},
    "no file of certificates": {"tls": {"ca_file": ""}},
    "no directory of certificates": {"tls": {"ca_path": ""}},
    "no certificate": {"tls": {"client_cert": ""}},
    "a file of certificates alone": {"tls": "/ca.pem"},
    "no addresses": {"resolve": ""},
    "an address that is a number": {"resolve": {"h": 2**31}},
    "a host that is a number": {"resolve": {1: "127.0.0.1"}},
    "negative redirects": {"redirects": -1},
    "redirects that are a truth": {"redirects": True},
    "an unknown setting": {"time_out": 5},
}


class TestInvalidCalls(Conformance):
    """A wrong call is refused, by its own error, before a connection is made."""

    @pytest.mark.parametrize("row", INVALID)
    def test_invalid_request(self, client: Client, row: str) -> None:
        """The request is refused, and the server sees nobody."""
        kind, ask = INVALID[row]
        with Server() as server:
            with pytest.raises(kind) as caught:
                ask(client, server.url)

            assert ("no", 0) == (caught.value.request_sent, server.connections)

    @pytest.mark.parametrize("row", INVALID_SETTINGS)
    def test_invalid_setting(self, client: Client, row: str) -> None:
        """The setting is refused, by its name, and the server sees nobody."""
        with Server() as server:
            with pytest.raises(InvalidSetting, match=next(iter(INVALID_SETTINGS[row]))):
                client.get(server.url, **INVALID_SETTINGS[row])

            assert 0 == server.connections
