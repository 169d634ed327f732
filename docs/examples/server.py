"""The server that the examples talk to: a few pages, scripted with `unifetch.testing`.

`tests/test_docs.py` starts it, and hands its address to the `main` of each example.
"""

from __future__ import annotations

import gzip
import json

from unifetch.testing import Close, Drip, RecordedRequest, Script, Server, reply

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
FILE = b"All work and no play makes HTTP a dull protocol.\n" * 200

EVENTS = b"""\
retry: 5000

id: 1
event: price
data: {"gold": 2600}

id: 2
data: two
data: lines

"""


def serve() -> Server:
    """The server; its pages start anew with each."""
    return Server(
        {
            "/": reply(200, b"hello\n", TEXT),
            "/echo": echo,
            "/data.json": reply(200, json.dumps({"page": 2}).encode(), JSON),
            "/old": reply(301, b"", {"Location": "/new"}),
            "/new": reply(200, b"here\n", TEXT),
            "/loop": reply(302, b"", {"Location": "/loop"}),
            "/slow": b"",  # it never answers
            "/drip": Drip(reply(200, b"x" * 1000), every=0.05, size=10),
            "/busy": busy(),
            "/down": reply(503, b"", {"Retry-After": "3600"}),
            "/cut": [reply(200, b"half of it", {"Content-Length": "1000"}), Close()],
            "/login": reply(204, b"", {"Set-Cookie": "session=abc; Path=/; HttpOnly"}),
            "/gzip": reply(200, gzip.compress(b"hello " * 100), {**TEXT, "Content-Encoding": "gzip"}),
            "/corrupt": reply(200, gzip.compress(b"hello " * 100)[:-4], {**TEXT, "Content-Encoding": "gzip"}),
            "/bomb": reply(200, gzip.compress(bytes(4_000_000)), {"Content-Encoding": "gzip"}),
            "/log": reply(200, [b"first\r\nsec", b"ond\nthird"], TEXT),
            "/events": reply(200, [EVENTS], {"Content-Type": "text/event-stream"}),
            "/file": file,
            "/digest": digest,
            "/bearer/t0ken": bearer,
        }
    )


def echo(request: RecordedRequest) -> Script:
    """Tells what it was sent."""
    told = {
        "method": request.method,
        "target": request.target,
        "headers": {name.lower(): value for name, value in request.headers},
        "body": request.body.decode("utf-8", "replace"),
    }
    return reply(200, json.dumps(told).encode(), JSON)


def bearer(request: RecordedRequest) -> Script:
    """Lets in whoever has the newest token."""
    return reply(200 if request.header("authorization") == "Bearer t0ken" else 401)


def busy() -> Script:
    """Too busy twice, and then not any more."""
    answers = iter([reply(503), reply(429, b"", {"Retry-After": "0"})])
    return lambda request: next(answers, reply(200, b"at last\n", TEXT))


def file(request: RecordedRequest) -> Script:
    """A file that can be had from any byte on."""
    fields = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
    start, _, end = (request.header("range") or "").removeprefix("bytes=").partition("-")
    if not start or end or request.header("if-range") not in (None, '"v1"'):
        return reply(200, FILE, fields)
    content_range = f"bytes {start}-{len(FILE) - 1}/{len(FILE)}"
    return reply(206, FILE[int(start) :], {**fields, "Content-Range": content_range})


def digest(request: RecordedRequest) -> Script:
    """Wants credentials, and takes any."""
    if (request.header("authorization") or "").startswith("Digest "):
        return reply(200, b"welcome\n", TEXT)
    challenge = 'Digest realm="docs", nonce="n1", qop="auth", algorithm=SHA-256'
    return reply(401, b"", {"WWW-Authenticate": challenge})
