"""SOCKS5 as a conversation of bytes: what is said, what is understood, what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from unifetch import ConfigError, ProxyError
from unifetch.wire.reader import ByteReader
from unifetch.wire.socks import socks5

HELLO, LOGIN, WELCOME = b"\x05\x00", b"\x05\x02", b"\x01\x00"
TO_NAME = b"\x05\x01\x00\x03\x06h.test\x01\xbb"
CONNECTED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"


def talk(proxy: Any, host: str, port: int, heard: bytes, size: int) -> tuple[bytes, bytes]:
    """What was said, and what of the proxy's bytes was left, which come in pieces of this size."""
    said, left, reader = bytearray(), bytearray(heard), ByteReader()
    for step in socks5(reader, proxy, host, port):
        if isinstance(step, bytes):
            said += step
        elif left:
            reader.feed(bytes(left[:size]))
            del left[:size]
        else:
            reader.feed_eof()
    return bytes(said), reader.take(len(reader)) + bytes(left)


def proxy(username: str | None = None, password: str | None = None) -> Any:
    return SimpleNamespace(username=username, password=password)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("login", "host", "heard", "said"),
    [
        ((), "h.test", HELLO + CONNECTED, b"\x05\x01\x00" + TO_NAME),
        ((), "192.0.2.7", HELLO + CONNECTED, b"\x05\x01\x00" + b"\x05\x01\x00\x01\xc0\x00\x02\x07\x01\xbb"),
        (
            (),
            "2001:db8::7",
            HELLO + CONNECTED,
            b"\x05\x01\x00\x05\x01\x00\x04 \x01\r\xb8" + bytes(11) + b"\x07\x01\xbb",
        ),
        (("me", "secret"), "h.test", LOGIN + WELCOME + CONNECTED, b"\x05\x02\x00\x02\x01\x02me\x06secret" + TO_NAME),
        (("me", "secret"), "h.test", HELLO + CONNECTED, b"\x05\x02\x00\x02" + TO_NAME),
        ((), "h.test", HELLO + b"\x05\x00\x00\x04" + bytes(18), b"\x05\x01\x00" + TO_NAME),
        ((), "h.test", HELLO + b"\x05\x00\x00\x03\x04h.it\x00\x50", b"\x05\x01\x00" + TO_NAME),
        ((), "h.test", HELLO + b"\x05\x00\x00\x03\x00\x00\x50", b"\x05\x01\x00" + TO_NAME),
    ],
)
def test_a_connection(login: tuple[str, str], host: str, heard: bytes, said: bytes, size: int) -> None:
    """In whatever pieces the proxy answers, it is told this, and not a byte of the origin's is taken."""
    assert (said, b"origin") == talk(proxy(*login), host, 443, heard + b"origin", size)


@pytest.mark.parametrize(
    ("login", "heard", "message"),
    [
        ((), b"HTTP/1.1 400 Bad Request", "it does not speak SOCKS5: it began with"),
        ((), b"\x05\xff", "it accepts nobody without a login"),
        (("me", "secret"), b"\x05\xff", "it accepts no login of ours"),
        (("me", "secret"), LOGIN + b"\x01\x01", "it refused the user name and password"),
        ((), HELLO + b"\x04\x00\x00\x01", "its reply is not of SOCKS5"),
        ((), HELLO + b"\x05\x00\x00\x02", "its reply is not of SOCKS5"),
        ((), HELLO + b"\x05\x05\x00\x01", "it did not connect to h.test:443: connection refused"),
        ((), HELLO + b"\x05\x63\x00\x01", "it did not connect to h.test:443: reply 99"),
    ],
)
def test_a_refusal(login: tuple[str, str], heard: bytes, message: str) -> None:
    """It is told in words, and the password is not among them."""
    with pytest.raises(ProxyError) as caught:
        talk(proxy(*login), "h.test", 443, heard, 1000)

    assert message == str(caught.value)[: len(message)]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("length", range(len(HELLO + CONNECTED)))
def test_an_end_before_the_end(length: int) -> None:
    """A proxy that ends the connection, wherever that is, has refused."""
    with pytest.raises(ProxyError) as caught:
        talk(proxy(), "h.test", 443, (HELLO + CONNECTED)[:length], 1000)

    assert "it ended the connection" == str(caught.value)


@pytest.mark.parametrize(
    ("login", "host", "what"),
    [(("m" * 256, "p"), "h.test", "user name"), (("m", "p" * 256), "h.test", "password"), ((), "h" * 256, "host")],
)
def test_too_long_for_the_protocol(login: tuple[str, str], host: str, what: str) -> None:
    """It has one byte for a length; more is not cut, and nothing of it is sent."""
    with pytest.raises(ConfigError, match=f"SOCKS5 takes a {what} of at most 255 bytes, not 256"):
        talk(proxy(*login), host, 443, (LOGIN + WELCOME if login else HELLO) + CONNECTED, 1000)
