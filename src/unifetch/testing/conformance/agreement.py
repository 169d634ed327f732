"""Every odd or malformed response has one verdict, whoever parses it.

Two parsers that disagree about one response are how responses are smuggled, and how a change of the backend breaks a
program. Each row is what a server sends; each table has the section of RFC 9112 that decides it, or says that
we do.
"""

from __future__ import annotations

import threading

import pytest

from ... import Client
from ...backends.base import Capability
from ...errors import ProtocolError, TooLarge
from .. import Close, Server, Wait, reply
from .base import Conformance, requires

HEAD = b"HTTP/1.1 200 OK\r\n"
FIVE = b"Content-Length: 5\r\n\r\nhello"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = b"5\r\nhello\r\n"

# A response whose body is "hello".
ACCEPTED = {
    "no reason, and no space before it (§4)": b"HTTP/1.1 200\r\n" + FIVE,
    "an empty reason (§4)": b"HTTP/1.1 200 \r\n" + FIVE,
    "a reason of eight bits (§4)": b"HTTP/1.1 200 \xe9\xff\r\n" + FIVE,
    "a control character in the reason (9110 §5.5, MAY)": b"HTTP/1.1 200 O\x01K\r\n" + FIVE,
    "a control character in a value (9110 §5.5, MAY)": HEAD + b"X: a\x01\x1fb\r\n" + FIVE,
    "DEL in a value (9110 §5.5, MAY)": HEAD + b"X: a\x7fb\r\n" + FIVE,
    "no white space after the colon (§5.1)": HEAD + b"X:a\r\n" + FIVE,
    "an empty value (9110 §5.5)": HEAD + b"X:\r\n" + FIVE,
    "every mark of a token in a name (9110 §5.6.2)": HEAD + b"!#$%&'*+-.^_`|~1: a\r\n" + FIVE,
    "150 fields": HEAD + b"".join(b"X-%d: a\r\n" % at for at in range(149)) + FIVE,
    "1,000 fields": HEAD + b"X: a\r\n" * 999 + FIVE,
    "32 interim responses": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 32 + HEAD + FIVE,
    "an interim response with fields": b"HTTP/1.1 103 \r\nContent-Length: 9\r\n\r\n" + HEAD + FIVE,
    "a chunk size with leading zeros (§7.1)": CHUNKED + b"0005\r\nhello\r\n0000\r\n\r\n",
    "a chunk size of capitals (§7.1)": CHUNKED + b"A\r\nhellohello\r\n0\r\n\r\n",
    "a chunk extension (§7.1.1)": CHUNKED + b'5;a="b";c\r\nhello\r\n0;d\r\n\r\n',
    "a trailer (§7.1.2)": CHUNKED + HELLO + b"0\r\nX: a\r\n\r\n",
    "a folded trailer, as in a head (§5.2)": CHUNKED + HELLO + b"0\r\nX: a\r\n b\r\n\r\n",
    "Chunked (§7)": HEAD + b"Transfer-Encoding: CHUNKED\r\n\r\n" + HELLO + b"0\r\n\r\n",
}

# Malformed in the head.
HEADS = {
    "an empty line first (§2.2)": b"\r\n" + HEAD + FIVE,
    "HTTP/0.9": b"hello",
    "HTTP/2.0 (9110 §2.5)": b"HTTP/2.0 200 OK\r\n" + FIVE,
    "HTTP/1.10 (§2.3)": b"HTTP/1.10 200 OK\r\n" + FIVE,
    "http/1.1 (§2.3)": b"http/1.1 200 OK\r\n" + FIVE,
    "two spaces before the status (§4)": b"HTTP/1.1  200 OK\r\n" + FIVE,
    "a tab before the status (§4)": b"HTTP/1.1\t200 OK\r\n" + FIVE,
    "a status with a sign (§4)": b"HTTP/1.1 +20 OK\r\n" + FIVE,
    "NUL in the reason (9110 §5.5)": b"HTTP/1.1 200 O\0K\r\n" + FIVE,
    "NUL in a value (9110 §5.5)": HEAD + b"X: a\0b\r\n" + FIVE,
    "VT in a value": HEAD + b"X: a\vb\r\n" + FIVE,
    "FF in a value": HEAD + b"X: a\fb\r\n" + FIVE,
    "a bare CR in a value (§2.2)": HEAD + b"X: a\rb\r\n" + FIVE,
    "a bare LF after a field (§2.2)": HEAD + b"X: a\n" + FIVE,
    "a bare LF after the status line (§2.2)": b"HTTP/1.1 200 OK\n" + FIVE,
    "nothing but bare LF (§2.2)": (HEAD + FIVE).replace(b"\r", b""),
    "a tab before the colon (§5.1)": HEAD + b"X\t: a\r\n" + FIVE,
    "white space before the first field (§2.2)": HEAD + b" X: a\r\n" + FIVE,
    "a name in quotes (9110 §5.6.2)": HEAD + b'"X": a\r\n' + FIVE,
    "Transfer-Encoding in HTTP/1.0 (§6.1)": CHUNKED.replace(b"1.1", b"1.0") + HELLO + b"0\r\n\r\n",
    "chunked twice (§6.3)": HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + HELLO + b"0\r\n\r\n",
    "chunked in two fields (§6.3)": HEAD + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n" + HELLO + b"0\r\n\r\n",
    "identity (§6.3)": HEAD + b"Transfer-Encoding: identity\r\n" + FIVE,
    "a length of 20 digits (ours)": HEAD + b"Content-Length: " + b"0" * 19 + b"5\r\n\r\nhello",
    "a malformed interim response": b"HTTP/1.1 103\r\nX : a\r\n\r\n" + HEAD + FIVE,
}

# Malformed in the chunked coding (§7.1).
CHUNKS = {
    "a space after the size": CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    "white space after the last size": CHUNKED + HELLO + b"0  \r\n\r\n",
    "a tab after the size": CHUNKED + b"5\t\r\nhello\r\n0\r\n\r\n",
    "a control character in an extension": CHUNKED + b"5;\x01\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": CHUNKED + b"5;\0\r\nhello\r\n0\r\n\r\n",
    "a bare CR in an extension": CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "a bare LF after the size": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "a bare LF after the data": CHUNKED + b"5\r\nhello\n0\r\n\r\n",
    "data longer than its size": CHUNKED + b"4\r\nhello\r\n0\r\n\r\n",
    "an empty size": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "a trailer without a colon": CHUNKED + HELLO + b"0\r\nX\r\n\r\n",
    "a space before the colon of a trailer": CHUNKED + HELLO + b"0\r\nX : a\r\n\r\n",
    "NUL in a trailer": CHUNKED + HELLO + b"0\r\nX: \0\r\n\r\n",
    "a fold before the first trailer": CHUNKED + HELLO + b"0\r\n X: a\r\n\r\n",
}

# Over a limit of ours.
LARGE_HEADS = {
    "1,001 fields": HEAD + b"X: a\r\n" * 1000 + FIVE,
    "a line over 64 KiB": HEAD + b"X: " + b"a" * 64 * 1024 + b"\r\n" + FIVE,
    "a head over 100 KiB": HEAD + (b"X: " + b"a" * 50_000 + b"\r\n") * 3 + FIVE,
    "33 interim responses": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 33 + HEAD + FIVE,
    "interim responses over 100 KiB": (b"HTTP/1.1 103 \r\nX: " + b"a" * 50_000 + b"\r\n\r\n") * 3 + HEAD + FIVE,
}
LARGE_CHUNKS = {
    "9 KiB of trailers": CHUNKED + HELLO + b"0\r\nX: " + b"a" * 9 * 1024 + b"\r\n\r\n",
    "an extension of 17 KiB": CHUNKED + b"5;" + b"a" * 17 * 1024 + b"\r\nhello\r\n0\r\n\r\n",
    "40 extensions of 1 KiB": CHUNKED + (b"5;" + b"a" * 1024 + b"\r\nhello\r\n") * 40 + b"0\r\n\r\n",
}

# Fields that contradict each other, or say nothing that can be understood.
BOTH = {
    "both fields": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
}
CONTRADICTIONS = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "a list of two lengths": b"Content-Length: 5, 6\r\n",
    "a negative length": b"Content-Length: -1\r\n",
    "a length of letters": b"Content-Length: abc\r\n",
    "an unknown coding": b"Transfer-Encoding: x\r\n",
}
WITHOUT_CONTENT = [("HEAD", 200), ("GET", 204), ("GET", 304)]


class TestAgreement(Conformance):
    """What a server sends means the same on every backend."""

    @requires(Capability.INTERIM)
    @pytest.mark.parametrize("row", ACCEPTED)
    def test_accepted(self, client: Client, row: str) -> None:
        """It is odd, but a response, and its connection goes on."""
        with Server(ACCEPTED[row], reply(200, b"next")) as server:
            assert b"hello" == client.get(server.url).body[:5]
            assert b"next" == client.get(server.url).body

    @requires(Capability.STRICT_HEAD)
    def test_a_higher_minor_version(self, client: Client) -> None:
        """HTTP/1.2 is processed as the highest version that we know (RFC 9110 §2.5)."""
        with Server([b"HTTP/1.2 200 OK\r\n" + FIVE, Close()]) as server:
            response = client.get(server.url)

        assert (200, "HTTP/1.1", b"hello") == (response.status, response.http_version, response.body)

    @requires(Capability.STRICT_HEAD)
    @pytest.mark.parametrize("row", HEADS)
    def test_refused_head(self, client: Client, row: str) -> None:
        """A malformed head is an error, and its connection is not used again."""
        self.check(client, HEADS[row], ProtocolError)

    @requires(Capability.STRICT_CHUNKS)
    @pytest.mark.parametrize("row", CHUNKS)
    def test_refused_chunks(self, client: Client, row: str) -> None:
        """So is malformed chunked coding."""
        self.check(client, CHUNKS[row], ProtocolError)

    @requires(Capability.STRICT_HEAD)
    @pytest.mark.parametrize("row", LARGE_HEADS)
    def test_large_head(self, client: Client, row: str) -> None:
        """What is over a limit is TooLarge."""
        self.check(client, LARGE_HEADS[row], TooLarge)

    @requires(Capability.STRICT_CHUNKS)
    @pytest.mark.parametrize("row", LARGE_CHUNKS)
    def test_large_chunks(self, client: Client, row: str) -> None:
        """Also around the chunks."""
        self.check(client, LARGE_CHUNKS[row], TooLarge)

    def check(self, client: Client, wire: bytes, kind: type[ProtocolError]) -> None:
        """The call ends with this kind of error, and the connection with it."""
        with Server([wire, Close()], reply(200, b"next")) as server:
            with pytest.raises(ProtocolError) as caught:
                client.get(server.url)

            assert ("yes", kind) == (caught.value.request_sent, type(caught.value))
            assert b"next" == client.get(server.url).body

    @requires(Capability.NO_POISONING)
    @pytest.mark.parametrize("row", BOTH)
    @pytest.mark.parametrize(("method", "status"), WITHOUT_CONTENT)
    def test_both_lengths_without_content(self, client: Client, method: str, status: int, row: str) -> None:
        """The answer to HEAD, a 204 and a 304 have no content, whatever the fields say (RFC 9112 §6.3, rule 1)."""
        self.check_without_content(client, method, status, BOTH[row])

    @requires(Capability.NO_CONTENT)
    @pytest.mark.parametrize("row", CONTRADICTIONS)
    @pytest.mark.parametrize(("method", "status"), WITHOUT_CONTENT)
    def test_contradictions_without_content(self, client: Client, method: str, status: int, row: str) -> None:
        """Not even if no rule could make sense of them."""
        self.check_without_content(client, method, status, CONTRADICTIONS[row])

    def check_without_content(self, client: Client, method: str, status: int, fields: bytes) -> None:
        """It is a response without content, and its connection is not used again."""
        with Server(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, fields), reply(200, b"next")) as server:
            response = client.request(method, server.url)

            assert (status, b"") == (response.status, response.body)
            assert (b"next", 2) == (client.get(server.url).body, server.connections)

    @requires(Capability.STRICT_CHUNKS)
    def test_what_came_before_a_malformed_chunk(self, client: Client) -> None:
        """A stream that breaks later has given what came before."""
        seen = threading.Event()
        with Server([CHUNKED + HELLO, Wait(seen), b"zz\r\n", Close()]) as server:
            with client.stream("GET", server.url) as response:
                pieces = [next(response.body)]
                seen.set()
                with pytest.raises(ProtocolError) as caught:
                    pieces.extend(response.body)

        assert ([b"hello"], ProtocolError) == (pieces, type(caught.value))
