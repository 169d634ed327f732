"""Trust: what advisories against HTTP clients taught, as bytes of a server and what must not come of them.

Each row is an attack that worked on somebody. Most pass with an error or without one, as long as what the attacker
wanted does not happen: a secret at another origin, a field that nobody sent, a connection to a host that nobody named.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import InvalidJSON, InvalidURL, ProtocolError, RedirectError, TimedOut, UnifetchError
from .. import Close, Drip, OnConnect, Receive, RecordedRequest, Script, Server, Signal, Step, Wait, reply
from ..server import Connection
from .base import requires
from .routes import Internet, Routes, authority

SECRET = "s3cr3t"
# Basic has it in base64: "user:s3cr3t".
TRACES = (SECRET.encode(), b"dXNlcjpzM2NyM3Q")
HEAD = b"HTTP/1.1 200 OK\r\n"
FIVE = b"Content-Length: 5\r\n\r\nhello"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"

# The ways to hand over a secret; in userinfo it is part of the URL.
STYLES: dict[str, dict[str, Any]] = {
    "fields": {
        "headers": [
            ("AUTHORIZATION", SECRET),
            ("authorization", SECRET),
            ("cOOKIE", f"a={SECRET}"),
            ("Cookie", f"b={SECRET}"),
        ]
    },
    "auth": {"auth": ("user", SECRET)},
    "cookies": {"cookies": {"session": SECRET}},
    "userinfo": {},
}

# From one host to another, on the same port.
STRANGERS = [
    ("a.test", "b.test"),
    ("a.test", "b.a.test"),
    ("b.a.test", "a.test"),
    ("a.test", "ba.test"),
    ("a.test", "a.test.b.test"),
    ("a.test", "127.0.0.1"),
    ("127.0.0.1", "1.127.0.0.1.test"),
]

# What int(), str.strip(), str.lower() and str.isdigit() take, and HTTP does not.
LENIENT = {
    "a full-width digit": b"Content-Length: \xef\xbc\x95\r\n\r\nhello",
    "a superscript digit": b"Content-Length: \xb2\r\n\r\nhello",
    "an Arabic digit": b"Content-Length: \xd9\xa5\r\n\r\nhello",
    "VT before a length": b"Content-Length: \x0b5\r\n\r\nhello",
    "FF after a length": b"Content-Length: 5\x0c\r\n\r\nhello",
    "FS after a length": b"Content-Length: 5\x1c\r\n\r\nhello",
    "NEL before a length": b"Content-Length: \x855\r\n\r\nhello",
    "a no-break space after a length": b"Content-Length: 5\xa0\r\n\r\nhello",
    "a hexadecimal length": b"Content-Length: 0x5\r\n\r\nhello",
    "a Kelvin sign": b"Transfer-Encoding: chun\xe2\x84\xaaed\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "VT before a coding": b"Transfer-Encoding: \x0bchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "NEL after a coding": b"Transfer-Encoding: chunked\x85\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "a quoted coding": b'Transfer-Encoding: "chunked"\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunked and then not": b"Transfer-Encoding: chunked, identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
}
LENIENT_CHUNKS = {
    "a full-width digit": b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",
    "a superscript digit": b"\xb2\r\nhello\r\n0\r\n\r\n",
    "VT before": b"\x0b5\r\nhello\r\n0\r\n\r\n",
    "FF after": b"5\x0c\r\nhello\r\n0\r\n\r\n",
    "NEL before": b"\x855\r\nhello\r\n0\r\n\r\n",
    "a no-break space after": b"5\xa0\r\nhello\r\n0\r\n\r\n",
    "2^64 + 5": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "an end in two CRs": b"5\r\r\nhello\r\n0\r\n\r\n",
    "an end in CR": b"5\rhello\r\n0\r\n\r\n",
    "an end in LF": b"5\nhello\r\n0\r\n\r\n",
    "LF in an extension": b"5;x\nhello\r\n0\r\n\r\n",
    "LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "CR after the data": b"5\r\nhello\r0\r\n\r\n",
    "a trailer without colon": b"5\r\nhello\r\n0\r\nX\r\n\r\n",
    "a trailer with NUL": b"5\r\nhello\r\n0\r\nX: a\0b\r\n\r\n",
}

# What str.splitlines() breaks at, and an obsolete fold (RFC 9112 §5.2), whose second line belongs to the first.
BREAKS = {
    "VT": b"\x0b",
    "FF": b"\x0c",
    "FS": b"\x1c",
    "GS": b"\x1d",
    "RS": b"\x1e",
    "NEL": b"\x85",
    "NEL in UTF-8": b"\xc2\x85",
    "LINE SEPARATOR in UTF-8": b"\xe2\x80\xa8",
    "CR": b"\r",
    "NUL": b"\0",
    "a fold": b"\r\n ",
    "a fold by a tab": b"\r\n\t",
    "two folds": b"\r\n \r\n ",
}

Ask = Callable[[Client, str, str], object]

# Each row is tried with every text of INJECTIONS.
INJECTIONS = {
    "CRLF": "a\r\nX-Injected: 1",
    "LF": "a\nX-Injected: 1",
    "CR": "a\rX-Injected: 1",
    # Their lower bytes are CR and LF: what writes UTF-16 as Latin-1 sends a line break.
    "wide CRLF": "a\u010d\u010aX-Injected: 1",
    "NEL": "a\u0085X-Injected: 1",
}
PLACES: dict[str, Ask] = {
    "path": lambda client, url, text: client.get(f"{url}/{text}"),
    "query": lambda client, url, text: client.get(f"{url}/?{text}"),
    "fragment": lambda client, url, text: client.get(f"{url}/#{text}"),
    "host": lambda client, url, text: client.get(f"{url}{text}/"),
    "userinfo": lambda client, url, text: client.get(url.replace("//", f"//{text}:p@")),
    "method": lambda client, url, text: client.request(text, url),
    "a field name": lambda client, url, text: client.get(url, headers={text: "1"}),
    "a field value": lambda client, url, text: client.get(url, headers={"X": text}),
    "Host": lambda client, url, text: client.get(url, headers={"Host": text}),
    "a cookie's name": lambda client, url, text: client.get(url, cookies={text: "1"}),
    "a cookie's value": lambda client, url, text: client.get(url, cookies={"a": text}),
    "a parameter's name": lambda client, url, text: client.get(url, params={text: "1"}),
    "a parameter's value": lambda client, url, text: client.get(url, params={"a": text}),
    "a user": lambda client, url, text: client.get(url, auth=(text, "p")),
    "a password": lambda client, url, text: client.get(url, auth=("user", text)),
    "a form's name": lambda client, url, text: client.post(url, form={text: "1"}),
    "a form's value": lambda client, url, text: client.post(url, form={"a": text}),
    "a part's name": lambda client, url, text: client.post(url, files={text: b"1"}),
    "a part's filename": lambda client, url, text: client.post(url, files={"a": (text, b"1")}),
    "a part's type": lambda client, url, text: client.post(url, files={"a": ("f", b"1", text)}),
    "a trailer's name": lambda client, url, text: client.post(url, body=iter([b"1"]), trailers={text: "1"}),
    "a trailer's value": lambda client, url, text: client.post(url, body=iter([b"1"]), trailers={"X": text}),
}

# URLs that somebody read as one of another host; HERE is the server's address, and nobody else may be asked.
CONFUSING = {
    "a backslash before @": "http://evil.test\\@HERE/",
    "a backslash after": "http://HERE\\@evil.test/",
    "two @": "http://evil.test@evil.test@HERE/",
    "an encoded slash in the host": "http://HERE%2f@evil.test:80%2f/",
    "a slash by compatibility": "http://HERE\uff0fevil.test/",
    "a/c by compatibility": "http://evil.test\u2100.HERE/",
    "a full-width port": "http://127.0.0.1:\uff18\uff10/",
    "a port with a sign": "http://127.0.0.1:+80/",
    "a port with an underscore": "http://127.0.0.1:8_0/",
    "a port with a space": "http://127.0.0.1: 80/",
    "a negative port": "http://127.0.0.1:-1/",
    "a port that is too large": "http://127.0.0.1:65536/",
    "an IPv4 address in brackets": "http://[127.0.0.1]/",
    "an open bracket": "http://[::1/",
    "no host": "http://",
    "no host but a user": "http://user@/",
    "no host but a port": "http://:80/",
    "20,000 @": "http://" + "@" * 20_000 + "HERE/",
    "20,000 colons": "http://" + ":" * 20_000 + "HERE/",
}

# A server's bytes that end up in messages, if nobody minds.
CONTROLS: dict[str, Script] = {
    "status line": b"\x1b[2J\x1b]0;owned\x07\r\n\r\n",
    "version": b"HTTP/\x1b[2J 200 OK\r\n\r\n",
    "status": b"HTTP/1.1 2\x1b[2J OK\r\n\r\n",
    "field name": HEAD + b"X\x1b[2J: 1\r\n" + FIVE,
    "line without colon": HEAD + b"X\x1b[2J\r\n" + FIVE,
    "length": HEAD + b"Content-Length: \x1b[2J\r\n\r\n",
    "coding": HEAD + b"Transfer-Encoding: \x1b[2J\r\n\r\n",
    "chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n\x1b[2J\r\n",
    "location": b"HTTP/1.1 302 Found\r\nLocation: ftp://\x1b[2J\x9b2J/\r\nContent-Length: 0\r\n\r\n",
    "reason of an error": b"HTTP/1.1 404 \x1b[2J\x9b2J\r\nContent-Length: 0\r\n\r\n",
    "JSON": HEAD + b"Content-Length: 4\r\n\r\n\x1b[2J",
}


class TLSIfAsked(Step):
    """Speaks TLS with a client that begins with a handshake: one port for both schemes."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context

    def run(self, connection: Connection) -> None:
        with contextlib.suppress(OSError):
            if b"\x16" == connection.socket.recv(1, socket.MSG_PEEK):
                connection.start_tls(self.context)


class TestTrust(Routes):
    """What must not come of a hostile server, or of text that somebody else chose."""

    # --- Secrets across redirects ---

    @pytest.mark.parametrize("style", STYLES)
    @pytest.mark.parametrize(("host", "other"), STRANGERS)
    def test_a_stranger_gets_no_secret(
        self, client: Client, internet: Internet, host: str, other: str, style: str
    ) -> None:
        """A subdomain, the parent and one with a like name are others, on the second hop and on the third."""
        names = {name for name in (host, other) if name.endswith(".test")}
        internet.answers = {name: [["127.0.0.1"]] for name in names}

        def answer(request: RecordedRequest) -> Script:
            away = {"/": f"http://{other}:{server.port}/1", "/1": "/2"}.get(request.target)
            return reply(302, b"", {"Location": away}) if away else reply(200)

        with Server(answer) as server:
            userinfo = f"user:{SECRET}@" if style == "userinfo" else ""
            client.get(f"http://{userinfo}{host}:{server.port}/", **STYLES[style])

            assert ["/", "/1", "/2"] == [each.target for each in server.requests]
            assert [True, False, False] == [
                any(trace in each.head.replace(b"=", b"") for trace in TRACES) for each in server.requests
            ]

    @requires(Capability.TLS_CONTEXT)
    @pytest.mark.parametrize("style", STYLES)
    @pytest.mark.parametrize(("scheme", "other"), [("http", "https"), ("https", "http")])
    def test_another_scheme_gets_no_secret(
        self, client: Client, internet: Internet, scheme: str, other: str, style: str
    ) -> None:
        """Nor does the same host and port by another scheme, in either direction."""
        internet.answers = {"a.test": [["127.0.0.1"]]}
        context = authority().server("a.test")

        def answer(request: RecordedRequest) -> Script:
            away = f"{other}://a.test:{server.port}/end"
            return reply(302, b"", {"Location": away}) if request.target == "/" else reply(200)

        with Server(OnConnect(TLSIfAsked(context), Receive(), answer)) as server:
            userinfo = f"user:{SECRET}@" if style == "userinfo" else ""
            url = f"{scheme}://{userinfo}a.test:{server.port}/"
            client.get(url, tls=authority().trusted, **STYLES[style])

            assert [("/", True), ("/end", False)] == [
                (each.target, any(trace in each.head for trace in TRACES)) for each in server.requests
            ]

    def test_the_jar_keeps_hosts_apart(self, client: Client, internet: Internet) -> None:
        """A cookie without Domain is for its host alone, one for a suffix that is not the host's is nobody's."""
        internet.answers = {name: [["127.0.0.1"]] for name in ("a.test", "b.a.test", "ba.test")}
        cookies = [("Set-Cookie", f"own={SECRET}"), ("Set-Cookie", f"tld={SECRET}; Domain=test")]
        with Server(reply(200, b"", cookies), reply(200)) as server:
            for host in ("a.test", "b.a.test", "ba.test", "a.test"):
                client.get(f"http://{host}:{server.port}/")

            assert [None, None, None, f"own={SECRET}"] == [each.header("cookie") for each in server.requests]

    def test_no_referer(self, client: Client) -> None:
        """The next page is not told which was the last, nor is a fragment ever sent."""
        with Server(reply(302, b"", {"Location": "/end#second"}), reply(200)) as server:
            client.get(f"{server.url.replace('//', f'//user:{SECRET}@')}/page?query#first")

            assert [None, None] == [each.header("referer") for each in server.requests]
            assert not re.search(rb"first|second|s3cr3t", server.received())

    # --- Hosts that somebody else meant ---

    @pytest.mark.parametrize("row", CONFUSING)
    def test_confusing_urls(self, client: Client, internet: Internet, row: str) -> None:
        """A URL that two parsers would read differently is refused: nobody is looked up or connected to."""
        with Server() as server:
            url = CONFUSING[row].replace("HERE", f"127.0.0.1:{server.port}")
            with pytest.raises(InvalidURL) as caught:
                client.get(url)

            assert ("no", [], []) == (caught.value.request_sent, internet.asked, internet.reached)

    @pytest.mark.parametrize("row", CONFUSING)
    def test_confusing_locations(self, client: Client, internet: Internet, row: str) -> None:
        """So is one in a Location."""

        def answer(request: RecordedRequest) -> Script:
            url = CONFUSING[row].replace("HERE", f"127.0.0.1:{server.port}")
            return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + url.encode() + b"\r\n\r\n"

        with Server(answer) as server:
            with pytest.raises(RedirectError):
                client.get(server.url)

            assert (1, [], ["127.0.0.1"]) == (len(server.requests), internet.asked, internet.reached)

    @pytest.mark.parametrize(("rest", "target"), [("#@evil.test/", "/"), ("?@evil.test/", "/?@evil.test/")])
    def test_an_at_sign_after_the_authority(self, client: Client, internet: Internet, rest: str, target: str) -> None:
        """The authority ends at the first of / ? # (RFC 3986 §3.2), for a URL and for a Location."""
        with Server() as server:
            client.get(server.url + rest)
            with Server(reply(302, b"", {"Location": server.url + rest})) as redirecting:
                client.get(redirecting.url)

            assert ([target] * 2, []) == ([each.target for each in server.requests], internet.asked)

    # --- Injection ---

    @pytest.mark.parametrize("text", INJECTIONS)
    @pytest.mark.parametrize("place", PLACES)
    def test_injection(self, client: Client, place: str, text: str) -> None:
        """A line break is refused before a connection is made, or arrives as data: no line begins with what follows."""
        with Server() as server:
            refused = None
            try:
                PLACES[place](client, server.url, INJECTIONS[text])
            except UnifetchError as error:
                refused = (error.request_sent, server.connections)

            assert refused in (None, ("no", 0))
            assert refused or not re.search(rb"[\r\n]X-Injected", server.received())

    # --- Framing and fields ---

    @pytest.mark.parametrize("row", LENIENT)
    def test_lenient_framing(self, client: Client, row: str) -> None:
        """Digits, letters and white space are those of ASCII."""
        with Server([HEAD + LENIENT[row], Close()]) as server:
            with pytest.raises(ProtocolError):
                client.get(server.url)

    @requires(Capability.STRICT_CHUNKS)
    @pytest.mark.parametrize("row", LENIENT_CHUNKS)
    def test_lenient_chunks(self, client: Client, row: str) -> None:
        """In the size of a chunk, too."""
        with Server([HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + LENIENT_CHUNKS[row], Close()]) as server:
            with pytest.raises(ProtocolError):
                client.get(server.url)

    @pytest.mark.parametrize("row", BREAKS)
    def test_no_new_field(self, client: Client, row: str) -> None:
        """What is no line break of HTTP starts no field: it stays in its value, or the head is refused."""
        fields = b"X-First: a" + BREAKS[row] + b"X-Injected: 1\r\n"
        with Server([HEAD + fields + FIVE, Close()]) as server:
            try:
                response = client.get(server.url)
            except ProtocolError:
                return

            assert ["x-first", "content-length"] == [name.lower() for name in response.headers]
            assert b"hello" == response.body

    @pytest.mark.parametrize("row", BREAKS)
    def test_no_new_length(self, client: Client, row: str) -> None:
        """Nor does it change where a body ends."""
        fields = b"X-First: a" + BREAKS[row] + b"Transfer-Encoding: chunked\r\n"
        with Server([HEAD + fields + FIVE, Close()]) as server:
            try:
                response = client.get(server.url)
            except ProtocolError:
                return

            assert b"hello" == response.body

    # --- Answers that nobody asked for ---

    @pytest.mark.parametrize(
        ("method", "first"),
        [
            ("GET", reply(200, b"first")),
            ("GET", reply(200, [b"chunks"])),
            ("GET", reply(204)),
            ("GET", reply(304)),
            ("HEAD", HEAD + b"Content-Length: 8\r\n\r\n"),
        ],
        ids=["length", "chunks", "204", "304", "HEAD"],
    )
    @pytest.mark.parametrize(
        "late", [[POISON], [reply(408, b"", {"Connection": "close"}), Close()]], ids=["answer", "408"]
    )
    def test_late_bytes(self, client: Client, method: str, first: bytes, late: list[Script]) -> None:
        """What comes while a connection is idle is not the answer to the next request, whatever came before."""
        go, gone = threading.Event(), threading.Event()
        script = [first, Wait(go), late[0], Signal(gone), *late[1:]]
        with Server(script, reply(200, b"second")) as server:
            client.request(method, server.url)
            go.set()
            assert gone.wait(20)
            if late[1:]:
                server.wait_closed(1)

            assert (b"second", 2) == (client.get(server.url).body, len(server.requests))

    # --- The deadline ---

    @requires(Capability.HARD_DEADLINE)
    def test_total_against_a_dripping_handshake(self, client: Client) -> None:
        """A TLS handshake that comes byte by byte ends at the deadline, and nothing was sent."""
        record = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + bytes(200)
        with Server(OnConnect(Drip(record, every=0.05))) as server:
            started = time.monotonic()
            with pytest.raises(TimedOut) as caught:
                client.get(server.url.replace("http:", "https:"), timeout=0.5)
            took = time.monotonic() - started

        # The drip would take ten seconds.
        assert ("no", True) == (caught.value.request_sent, took < 8)

    # --- What a failure is called ---

    @pytest.mark.parametrize("row", CONTROLS)
    def test_no_control_character_in_a_message(self, client: Client, row: str) -> None:
        """A server cannot write to a terminal or a log: what is shown of its bytes is escaped, causes included."""
        with Server([CONTROLS[row], Close()]) as server:
            with pytest.raises(UnifetchError) as caught:
                client.get(server.url).raise_for_status().json()

        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert [] == re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)

    @pytest.mark.parametrize(
        "body", [b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b"9" * 5000, b"[1e", b'"\x00"', b"\xff\xfe\x00"]
    )
    def test_hostile_json(self, client: Client, body: bytes) -> None:
        """Depth, digits and bytes that Python's parser has exceptions of its own for are InvalidJSON."""
        with Server(reply(200, body)) as server:
            with pytest.raises(InvalidJSON):
                client.get(server.url).json()
