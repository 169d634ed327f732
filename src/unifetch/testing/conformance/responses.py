"""What comes back: the same bytes of a server make the same response, or the same error."""

from __future__ import annotations

import gzip
import json
import pickle
import threading
import time
import zlib
from decimal import Decimal
from typing import Any

import pytest

from ... import Client, Response
from ...backends.base import Capability
from ...errors import (
    DecodingError,
    IncompleteBody,
    InvalidJSON,
    ProtocolError,
    StatusError,
    StreamError,
    TooLarge,
    UnifetchError,
)
from .. import Close, Drip, Reset, Script, Server, Wait, reply
from .base import Conformance, requires

HEAD = b"HTTP/1.1 200 OK\r\n"
FIVE = b"Content-Length: 5\r\n\r\nhello"


def raw_deflate(data: bytes) -> bytes:
    """Deflate without zlib's wrapper, as some servers send it (RFC 9110 §8.4.1.2)."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


class TestHeads(Conformance):
    """Status line and header fields, as the wire had them."""

    @pytest.mark.parametrize("status", [200, 201, 204, 206, 300, 304, 400, 404, 418, 429, 500, 503, 599, 799, 999])
    def test_every_status_is_a_response(self, client: Client, status: int) -> None:
        """A well-formed status is returned, never raised."""
        with Server(reply(status, b"" if status in (204, 304) else b"body")) as server:
            response = client.get(server.url)

            assert (status, status < 400) == (response.status, response.ok)

    def test_raise_for_status(self, client: Client) -> None:
        """On request, a status of 400 and above raises, with the response attached."""
        with Server(reply(200), reply(404, b"nothing here")) as server:
            client.get(server.url).raise_for_status()
            with pytest.raises(StatusError, match="404 Not Found") as caught:
                client.get(server.url).raise_for_status()

            assert b"nothing here" == caught.value.response.body

    @pytest.mark.parametrize("reason", ["OK", "Très bien", "", "a  b"])
    def test_reason(self, client: Client, reason: str) -> None:
        """The reason phrase is the server's, one character a byte."""
        with Server(f"HTTP/1.1 200 {reason}\r\n".encode("latin-1") + FIVE) as server:
            assert reason == client.get(server.url).reason

    def test_headers_keep_order_duplicates_and_values(self, client: Client) -> None:
        """Fields are reported in order, duplicates apart, values without white space around them."""
        head = b"X-B: 2\r\nx-a:1\r\nX-B:\t3 \t\r\nSet-Cookie: a=1; Expires=Thu, 01 Jan\r\nSet-Cookie: b=2\r\nX-E:\r\n"
        with Server(HEAD + head + FIVE) as server:
            headers = client.get(server.url).headers

            assert ["2", "3"] == headers.get_all("x-b")
            assert ("2, 3", "1", "") == (headers["x-b"], headers["X-A"], headers["X-E"])
            assert ["a=1; Expires=Thu, 01 Jan", "b=2"] == headers.get_all("set-cookie")
            assert ["X-B", "x-a", "Set-Cookie", "X-E", "Content-Length"] == list(headers)

    @requires(Capability.STRICT_HEAD)
    def test_a_length_that_came_twice(self, client: Client) -> None:
        """The same length twice is one length (RFC 9110 §8.6); both fields are reported, as any others."""
        with Server(HEAD + b"Content-Length: 5\r\n" + FIVE) as server:
            response = client.get(server.url)

            assert (["5", "5"], b"hello") == (response.headers.get_all("content-length"), response.body)

    def test_header_bytes_are_latin_1(self, client: Client) -> None:
        """One character of a value stands for one byte, whatever its encoding was meant to be."""
        with Server(HEAD + b"X: caf\xc3\xa9 \xff\r\n" + FIVE) as server:
            assert "caf\u00c3\u00a9 \u00ff" == client.get(server.url).headers["x"]

    @requires(Capability.INTERIM)
    def test_interim_responses_are_skipped(self, client: Client) -> None:
        """100, 102 and 103 are not the answer (RFC 9110 §15.2)."""
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        with Server(interim + hints + reply(200, b"final")) as server:
            response = client.get(server.url)

            assert (200, b"final", False) == (response.status, response.body, "link" in response.headers)

    def test_switching_protocols_is_refused(self, client: Client) -> None:
        """A 101 that nobody asked for is an error (RFC 9110 §15.2.2)."""
        with Server([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Close()]) as server:
            with pytest.raises(UnifetchError):
                client.get(server.url)

    def test_http_1_0(self, client: Client) -> None:
        """An HTTP/1.0 response ends with its connection."""
        with Server([b"HTTP/1.0 200 OK\r\n\r\nhello", Close()]) as server:
            response = client.get(server.url)

            assert ("HTTP/1.0", b"hello") == (response.http_version, response.body)

    @requires(Capability.STRICT_HEAD)
    def test_folded_line_is_one_value(self, client: Client) -> None:
        """An obsolete line fold reads as one space (RFC 9112 §5.2)."""
        with Server(HEAD + b"X-Fold: one\r\n \t two\r\n" + FIVE) as server:
            assert "one two" == client.get(server.url).headers["x-fold"]


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "another version": b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": HEAD + b"X-S : v\r\n" + FIVE,
    "no colon": HEAD + b"no colon here\r\n" + FIVE,
    "a space in a name": HEAD + b"X S: v\r\n" + FIVE,
    "eight bits in a name": HEAD + b"X-\xe9: v\r\n" + FIVE,
    "an empty name": HEAD + b": v\r\n" + FIVE,
    "a bare CR": HEAD + b"X: a\rX-Injected: 1\r\n" + FIVE,
    "NUL in a value": HEAD + b"X: a\0b\r\n" + FIVE,
    "a fold before any field": HEAD + b" folded: 1\r\n" + FIVE,
}

FRAMING = {
    "both lengths": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "an unknown transfer coding": b"Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunked with a parameter": b"Transfer-Encoding: chunked;q=1\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a list of two lengths": b"Content-Length: 5, 6\r\n\r\nhello",
    "a signed length": b"Content-Length: +5\r\n\r\nhello",
    "a negative length": b"Content-Length: -5\r\n\r\nhello",
    "a length with an underscore": b"Content-Length: 0_5\r\n\r\nhello",
    "a length with a point": b"Content-Length: 5.0\r\n\r\nhello",
    "a length with a space": b"Content-Length: 0 5\r\n\r\nhello",
    "no length at all": b"Content-Length:\r\n\r\nhello",
    "a length of letters": b"Content-Length: abc\r\n\r\nhello",
    "a length of thirty digits": b"Content-Length: " + b"9" * 30 + b"\r\n\r\nhello",
}

CHUNKS = {
    "hexadecimal prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "leading space": b" 5\r\nhello\r\n0\r\n\r\n",
    "negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "not hexadecimal": b"zz\r\nhello\r\n0\r\n\r\n",
    "too many digits": b"1" * 17 + b"\r\nhello\r\n0\r\n\r\n",
    "no CRLF after the data": b"5\r\nhelloXX0\r\n\r\n",
    "an empty size": b"\r\nhello\r\n0\r\n\r\n",
}

CUT = {
    "inside the status line": b"HTTP/1.1 20",
    "after the status line": HEAD,
    "inside a field": HEAD + b"Content-Le",
    "before the empty line": HEAD + b"Content-Length: 0\r\n",
    "before anything": b"",
}


class TestMalformed(Conformance):
    """What HTTP does not allow is an error, and never a guess."""

    @requires(Capability.STRICT_HEAD)
    @pytest.mark.parametrize("row", MALFORMED)
    def test_malformed_head(self, client: Client, row: str) -> None:
        """The head is refused."""
        with Server([MALFORMED[row], Close()]) as server:
            with pytest.raises(ProtocolError) as caught:
                client.get(server.url)

            assert "yes" == caught.value.request_sent

    @pytest.mark.parametrize("row", FRAMING)
    def test_contradictory_framing(self, client: Client, row: str) -> None:
        """Framing that RFC 9112 §6 does not allow is refused, whatever the library would make of it."""
        with Server([HEAD + FRAMING[row], Close()]) as server:
            with pytest.raises(ProtocolError):
                client.get(server.url)

    @requires(Capability.STRICT_HEAD)
    @pytest.mark.parametrize("row", CUT)
    def test_head_cut_short(self, client: Client, row: str) -> None:
        """A connection that ends inside the head gives no response."""
        with Server([CUT[row], Close()]) as server:
            with pytest.raises(UnifetchError) as caught:
                client.get(server.url)

            assert caught.value.request_sent in ("maybe", "yes")

    @requires(Capability.STRICT_CHUNKS)
    @pytest.mark.parametrize("row", CHUNKS)
    def test_malformed_chunk(self, client: Client, row: str) -> None:
        """A chunk that RFC 9112 §7.1 does not allow is an error."""
        with Server([HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS[row], Close()]) as server:
            with pytest.raises(ProtocolError):
                client.get(server.url)

    @pytest.mark.parametrize("length", [b"5, 5", b"5\r\nContent-Length: 5", b"005"])
    def test_equal_lengths_are_one(self, client: Client, length: bytes) -> None:
        """The same Content-Length, repeated, is valid (RFC 9110 §8.6)."""
        with Server(HEAD + b"Content-Length: " + length + b"\r\n\r\nhello") as server:
            assert b"hello" == client.get(server.url).body

    def test_too_many_fields(self, client: Client) -> None:
        """1,001 fields are too many; 1,000 are not."""
        fields = [(f"X-{number}", "v") for number in range(999)]
        with Server(reply(200, b"", fields), reply(200, b"", [*fields, ("X-One", "more")])) as server:
            assert 1000 == len(client.get(server.url).headers)
            with pytest.raises(ProtocolError):
                client.get(server.url)

    def test_header_line_too_long(self, client: Client) -> None:
        """A line of 60 KiB is read; one of 70 KiB is refused."""
        with Server(reply(200, b"", {"X": "v" * 60 * 1024}), reply(200, b"", {"X": "v" * 70 * 1024})) as server:
            assert 60 * 1024 == len(client.get(server.url).headers["x"])
            with pytest.raises(ProtocolError):
                client.get(server.url)


class TestBodies(Conformance):
    """Bodies, by each way of framing them."""

    @pytest.mark.parametrize("size", [0, 1, 65536, 300_000])
    def test_framings_agree(self, client: Client, size: int) -> None:
        """Content-Length, chunks and the end of the connection give the same body."""
        body = bytes(index % 251 for index in range(size))
        chunks = [body[start : start + 7000] for start in range(0, size, 7000)]
        until_close: Script = [HEAD + b"\r\n" + body, Close()]
        with Server(reply(200, body), reply(200, chunks), until_close) as server:
            assert [body] * 3 == [client.get(server.url).body for _ in range(3)]

    def test_chunk_extensions_and_trailers_are_no_body(self, client: Client) -> None:
        """Extensions are skipped, and trailer fields are not merged into the header."""
        data = b"5;name=value\r\nhello\r\n0;last\r\nX-Trailer: 1\r\n\r\n"
        with Server(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + data, reply(200, b"next")) as server:
            response = client.get(server.url)

            assert (b"hello", False) == (response.body, "x-trailer" in response.headers)
            assert b"next" == client.get(server.url).body

    @pytest.mark.parametrize("status", [204, 304])
    def test_statuses_without_body(self, client: Client, status: int) -> None:
        """204 and 304 have no body, whatever Content-Length says, and the connection goes on."""
        head = b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status
        with Server(head if status == 304 else b"HTTP/1.1 204 X\r\n\r\n", reply(200, b"next")) as server:
            assert b"" == client.get(server.url).body
            assert b"next" == client.get(server.url).body

    def test_head_has_no_body(self, client: Client) -> None:
        """The answer to HEAD has none either, with any Content-Length or Content-Encoding."""
        head = HEAD + b"Content-Length: 5\r\nContent-Encoding: gzip\r\n\r\n"
        with Server(head, reply(200, b"next")) as server:
            response = client.head(server.url)

            assert (b"", "5") == (response.body, response.headers["content-length"])
            assert b"next" == client.get(server.url).body

    @pytest.mark.parametrize("ending", ["close", "reset"])
    def test_body_cut_short_by_length(self, client: Client, ending: str) -> None:
        """Fewer bytes than Content-Length says are an error, read whole or streamed."""
        script: Script = [HEAD + b"Content-Length: 10\r\n\r\nhello", Close() if ending == "close" else Reset()]
        with Server(script) as server:
            with pytest.raises(IncompleteBody) as caught:
                client.get(server.url)
            with pytest.raises(IncompleteBody), client.stream("GET", server.url) as response:
                list(response.body)

            assert "yes" == caught.value.request_sent

    @pytest.mark.parametrize("data", [b"5\r\nhel", b"5\r\nhello\r\n", b"5", b""])
    def test_body_cut_short_in_chunks(self, client: Client, data: bytes) -> None:
        """Chunks without the last one are an error."""
        with Server([HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + data, Close()]) as server:
            with pytest.raises(ProtocolError):
                client.get(server.url)

    @requires(Capability.STRICT_CHUNKS)
    @pytest.mark.parametrize("data", [b"5\r\nhello\r\n0", b"5\r\nhello\r\n0\r\n"])
    def test_last_chunk_cut_short(self, client: Client, data: bytes) -> None:
        """So is a last chunk that breaks off."""
        with Server([HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + data, Close()]) as server:
            with pytest.raises(ProtocolError):
                client.get(server.url)

    def test_reset_in_a_body_that_ends_with_the_connection(self, client: Client) -> None:
        """A reset is no end."""
        sent = threading.Event()
        with Server([HEAD + b"\r\nhello", Wait(sent), Reset()]) as server:
            with client.stream("GET", server.url) as response:
                assert b"hello" == next(response.body)
                sent.set()
                with pytest.raises(UnifetchError):
                    list(response.body)

    def test_body_over_the_limit(self, client: Client) -> None:
        """A body that is read into memory is bounded, before and after decoding; the limit is named."""
        zeros = gzip.compress(bytes(2_000_000))
        with Server(reply(200, b"x" * 2000), reply(200, zeros, {"Content-Encoding": "gzip"})) as server:
            for _ in range(2):
                with pytest.raises(TooLarge, match="1000"):
                    client.get(server.url, limits={"body": 1000})


ENCODED = {
    "gzip": ("gzip", gzip.compress(b"hello " * 1000)),
    "x-gzip": ("x-gzip", gzip.compress(b"hello " * 1000)),
    "GZIP, identity": ("GZIP, identity", gzip.compress(b"hello " * 1000)),
    "two members": ("gzip", gzip.compress(b"hello " * 400) + gzip.compress(b"hello " * 600)),
    "deflate": ("deflate", zlib.compress(b"hello " * 1000)),
    "raw deflate": ("deflate", raw_deflate(b"hello " * 1000)),
    "gzip twice": ("gzip, gzip", gzip.compress(gzip.compress(b"hello " * 1000))),
    "deflate, then gzip": ("deflate, gzip", gzip.compress(zlib.compress(b"hello " * 1000))),
}

CORRUPT = {
    "gzip cut short": ("gzip", gzip.compress(b"hello " * 1000)[:-12]),
    "gzip without its checksum": ("gzip", gzip.compress(b"hello " * 1000)[:-8] + bytes(8)),
    "no gzip at all": ("gzip", b"hello"),
    "gzip and something else": ("gzip", gzip.compress(b"hello") + b"trailing"),
    "deflate cut short": ("deflate", zlib.compress(b"hello " * 1000)[:-6]),
    "no deflate at all": ("deflate", b"\xff\xff\xff\xff"),
}


# Bodies in a coding, or labelled so.
CODED = {
    "gzip": ("gzip", gzip.compress(b"text")),
    "a label that is wrong": ("gzip", b"plain"),
    "cut short": ("gzip", gzip.compress(b"text" * 100)[:20]),
    "unknown": ("foo", b"plain"),
    "six": (", ".join(["gzip"] * 6), b"plain"),
}


class TestDecoding(Conformance):
    """Content codings are undone by unifetch, and so alike everywhere."""

    @pytest.mark.parametrize("row", ENCODED)
    def test_codings(self, client: Client, row: str) -> None:
        """The body is decoded; with chunks, too, and streamed, one byte at a time."""
        coding, data = ENCODED[row]
        headers = {"Content-Encoding": coding}
        chunks = [data[index : index + 1] for index in range(len(data))]
        with Server(reply(200, data, headers), reply(200, chunks, headers), reply(200, data, headers)) as server:
            assert b"hello " * 1000 == client.get(server.url).body
            assert b"hello " * 1000 == client.get(server.url).body
            with client.stream("GET", server.url) as response:
                assert b"hello " * 1000 == b"".join(response.body)

    @pytest.mark.parametrize("row", CORRUPT)
    def test_corrupt(self, client: Client, row: str) -> None:
        """A body that is not what its coding says is an error, never short data."""
        coding, data = CORRUPT[row]
        with Server(reply(200, data, {"Content-Encoding": coding})) as server:
            with pytest.raises(DecodingError):
                client.get(server.url)

    @pytest.mark.parametrize("coding", ["foo", "foo, gzip", "gzip, foo"])
    def test_unknown_coding_is_left_alone(self, client: Client, coding: str) -> None:
        """A coding that nobody knows leaves the body as it came."""
        with Server(reply(200, b"as it is", {"Content-Encoding": coding})) as server:
            assert b"as it is" == client.get(server.url).body

    def test_too_many_codings(self, client: Client) -> None:
        """More than five codings are not undone but refused."""
        with Server(
            reply(200, b"x", [("Content-Encoding", "gzip, gzip, gzip"), ("Content-Encoding", "gzip, gzip, gzip")])
        ) as server:
            with pytest.raises(TooLarge):
                client.get(server.url)

    @pytest.mark.parametrize("row", CODED)
    def test_a_body_as_it_was_sent(self, client: Client, row: str) -> None:
        """`decode=False` gives the bytes of the wire, whatever they are labelled, and asks for no coding."""
        coding, body = CODED[row]
        with Server(reply(200, body, {"Content-Encoding": coding})) as server:
            response = client.get(server.url, decode=False)
            with client.stream("GET", server.url, decode=False) as stream:
                streamed = stream.read()

            assert (body, False, coding) == (response.body, response.decoded, response.headers["content-encoding"])
            assert (body, False) == (streamed.body, streamed.decoded)
            assert ["identity"] * 2 == [each.header("accept-encoding") for each in server.requests]

    def test_what_was_decoded_says_so(self, client: Client) -> None:
        """`decoded` is true where a coding was taken off, and only there."""
        packed = gzip.compress(b"text")
        codings = {"/gzip": "gzip", "/unknown": "foo", "/none": "identity"}
        scripts: Any = {path: reply(200, packed, {"Content-Encoding": coding}) for path, coding in codings.items()}
        with Server({**scripts, "/": reply(200, packed)}) as server:
            told = {path: client.get(server.url + path).decoded for path in [*codings, "/"]}
            with client.stream("GET", f"{server.url}/gzip") as response:
                streamed = response.read().decoded

        assert {"/gzip": True, "/unknown": False, "/none": False, "/": False} == told
        assert streamed

    @pytest.mark.parametrize("own", [None, "gzip"])
    def test_a_range_is_of_the_body_as_it_is(self, client: Client, own: str | None) -> None:
        """A request with Range asks for no coding, unless its caller does: a part of it would be of no use."""
        headers = {"Range": "bytes=0-3"} if own is None else {"Range": "bytes=0-3", "Accept-Encoding": own}
        with Server(reply(206, b"text", {"Content-Range": "bytes 0-3/9"})) as server:
            assert b"text" == client.get(server.url, headers=headers).body

            assert [own or "identity"] == [each.header("accept-encoding") for each in server.requests]

    def test_pieces_of_a_bomb_are_small(self, client: Client) -> None:
        """What decodes to a thousand times its size arrives in pieces of 64 KiB at most."""
        bomb = gzip.compress(bytes(50_000_000), 1)
        with (
            Server(reply(200, bomb, {"Content-Encoding": "gzip"})) as server,
            client.stream("GET", server.url) as response,
        ):
            sizes = [len(piece) for piece in response.body]

        assert (50_000_000, True) == (sum(sizes), max(sizes) <= 65536)


class TestText(Conformance):
    """Text and JSON, from bytes alone."""

    @pytest.mark.parametrize(
        ("content_type", "body", "text"),
        [
            ("text/plain", "café €".encode(), "café €"),
            ("text/html", "café €".encode(), "café €"),
            ("application/octet-stream", "café €".encode(), "café €"),
            ("text/plain; charset=ISO-8859-1", b"caf\xe9 \x80", "café €"),
            ('text/plain; charset="utf-8"', "é".encode(), "é"),
            ("text/plain; charset=hex", "é".encode(), "é"),
            ("text/plain; charset=no-such", "é".encode(), "é"),
            ("text/plain; charset=latin-1", b"\xef\xbb\xbf\xc3\xa9", "é"),
            ("text/plain", b"\xff\xfeh\x00i\x00", "hi"),
            ("text/plain", b"\xff\xff", "\ufffd\ufffd"),
        ],
    )
    def test_text(self, client: Client, content_type: str, body: bytes, text: str) -> None:
        """Byte order mark, charset parameter, UTF-8: in this order."""
        with Server(reply(200, body, {"Content-Type": content_type})) as server:
            assert text == client.get(server.url).text

    @pytest.mark.parametrize("content_type", ["application/json", "text/html", "text/plain; charset=latin-1"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
    def test_json(self, client: Client, content_type: str, encoding: str) -> None:
        """JSON is read by RFC 8259, whatever Content-Type says."""
        with Server(reply(200, '{"é": [1, null]}'.encode(encoding), {"Content-Type": content_type})) as server:
            assert {"é": [1, None]} == client.get(server.url).json()

    def test_json_in_another_charset(self, client: Client) -> None:
        """JSON is UTF-8; for what is declared to be something else, the error says how to read it."""
        headers = {"Content-Type": "application/json; charset=ISO-8859-1"}
        with Server(reply(200, '["é"]'.encode("latin-1"), headers)) as server:
            response = client.get(server.url)
            with pytest.raises(InvalidJSON, match=r"json\.loads\(response\.text\)"):
                response.json()

            assert ["é"] == json.loads(response.text)

    def test_json_as_its_reader_wants_it(self, client: Client) -> None:
        """What `json.loads` takes, `json()` does; NaN stays none of it, unless it is asked for."""
        with Server({"/": reply(200, b'{"a": 1.10}'), "/nan": reply(200, b"NaN")}) as server:
            number = client.get(server.url).json(parse_float=Decimal)["a"]
            constant = client.get(f"{server.url}/nan")

            assert "1.10" == str(number)
            with pytest.raises(InvalidJSON):
                constant.json(parse_float=Decimal)
            assert "NaN" == constant.json(parse_constant=str)

    @pytest.mark.parametrize("body", [b"", b"{", b'"\xe9"', b"NaN", b"[" * 100_000, b"nul"])
    def test_no_json(self, client: Client, body: bytes) -> None:
        """What is not JSON raises our own error."""
        with Server(reply(200, body)) as server:
            with pytest.raises(InvalidJSON):
                client.get(server.url).json()


class TestStreaming(Conformance):
    """A stream gives what is there, as soon as it is there."""

    @pytest.mark.parametrize("framing", ["length", "chunked", "close"])
    def test_first_bytes_before_the_rest_is_sent(self, client: Client, framing: str) -> None:
        """The server sends its second half only after the client has seen the first."""
        seen = threading.Event()
        first, second = {
            "length": (b"Content-Length: 10\r\n\r\nfirst", b"later"),
            "chunked": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n", b"5\r\nlater\r\n0\r\n\r\n"),
            "close": (b"\r\nfirst", b"later"),
        }[framing]
        with Server([HEAD + first, Wait(seen), second, Close()]) as server:
            with client.stream("GET", server.url) as response:
                pieces = []
                for piece in response.body:
                    pieces.append(piece)
                    seen.set()

            assert (b"first", b"firstlater") == (pieces[0], b"".join(pieces))

    def test_the_head_comes_before_the_body(self, client: Client) -> None:
        """A stream is entered when its head is there."""
        entered = threading.Event()
        with Server([HEAD + b"Content-Length: 5\r\n\r\n", Wait(entered), b"hello"]) as server:
            with client.stream("GET", server.url) as response:
                entered.set()

                assert b"hello" == response.read().body

    def test_after_its_block_a_stream_is_closed(self, client: Client) -> None:
        """Reading it then is an error; the connection was closed, and the next call has another."""
        with Server(HEAD + b"Content-Length: 500000\r\n\r\n" + b"x" * 1000, reply(200, b"next")) as server:
            with client.stream("GET", server.url) as response:
                next(response.body)
            with pytest.raises(StreamError):
                next(response.body)
            server.wait_closed(1)

            assert (b"next", 2) == (client.get(server.url).body, server.connections)

    def test_an_unread_stream_has_no_text(self, client: Client) -> None:
        """`.text` and `.json()` of a stream say that it has to be read first."""
        with Server(reply(200, b"hello")) as server, client.stream("GET", server.url) as response:
            with pytest.raises(StreamError, match="read"):
                _ = response.text  # type: ignore[misc]  # a type checker refuses it, which is the point
            assert "hello" == response.read().text

    def test_pickle(self, client: Client) -> None:
        """A response that was read is plain data, its history included."""
        with Server({"/": reply(302, b"", {"Location": "/end"}), "/end": reply(200, b"hello", {"X": "1"})}) as server:
            response = client.post(server.url, form={"a": 1}, headers={"Authorization": "Basic c2VjcmV0"})
            copy: Response[bytes] = pickle.loads(pickle.dumps(response))

            assert (response.status, response.body, response.url) == (copy.status, copy.body, copy.url)
            assert (response.headers, [302]) == (copy.headers, [each.status for each in copy.history])
            assert b"c2VjcmV0" not in pickle.dumps(response)

    def test_elapsed_covers_the_body(self, client: Client) -> None:
        """`elapsed` is at least the time that the server took over the body."""
        started = time.monotonic()
        with Server([HEAD + b"Content-Length: 3\r\n\r\n", Drip(b"abc", every=0.05)]) as server:
            elapsed = client.get(server.url).elapsed

        assert 0.1 <= elapsed <= time.monotonic() - started
