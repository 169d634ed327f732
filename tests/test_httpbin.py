"""Every backend against httpbin, the service that clients of HTTP are shown with: an application that others wrote,
which checks logins and says what it understood of a request.

By `pytest-httpbin`, as others have it in their tests, without and with TLS: its server closes each connection. That
they are kept, and that chunks are sent, takes another server, and so it also runs on Werkzeug's.
"""

from __future__ import annotations

import base64
import io
import logging
import threading
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from unifetch import Client, IncompleteBody, StatusError, TooManyRedirects

certs = pytest.importorskip("pytest_httpbin.certs", reason="pytest-httpbin is not installed")
plugin = pytest.importorskip("pytest_httpbin.plugin", reason="pytest-httpbin is not installed")
serving = pytest.importorskip("werkzeug.serving", reason="Werkzeug, which httpbin brings, is not installed")


# Its fixtures, which no other test needs: importing its application takes half a second.
httpbin, httpbin_secure = plugin.httpbin, plugin.httpbin_secure


class _Handler(serving.WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # for connections that are kept, and bodies in chunks


@pytest.fixture(scope="module", params=["http", "https", "kept"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where httpbin listens: by the fixtures of pytest-httpbin, or where it keeps connections."""
    if request.param != "kept":
        yield request.getfixturevalue("httpbin" if request.param == "http" else "httpbin_secure").url
        return
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = serving.make_server("127.0.0.1", 0, request.getfixturevalue("httpbin").app, True, False, _Handler)
    running = threading.Thread(target=server.serve_forever, daemon=True)
    running.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    running.join(10)


@pytest.fixture
def client(backend: str) -> Iterator[Client]:
    """A client over each backend; it trusts the authority of pytest-httpbin and nobody else."""
    with Client(backend=backend, tls={"ca_file": certs.where()}, timeout=20) as made:
        yield made


def test_params(client: Client, url: str) -> None:
    """Parameters arrive as they were meant, repeated ones as a list; the URL is the one that was asked for."""
    response = client.get(f"{url}/get?first=1", params={"a b": "x&y=é", "c": ["1", "2"], "none": None})

    seen = response.json()
    assert {"first": "1", "a b": "x&y=é", "c": ["1", "2"]} == seen["args"]
    assert ("HTTP/1.1", f"{url}/get?first=1&a+b=x%26y%3D%C3%A9&c=1&c=2") == (response.http_version, response.url)


def test_headers(client: Client, url: str) -> None:
    """Fields arrive, ours and the caller's."""
    seen = client.get(f"{url}/headers", headers={"X-Mine": "value", "Accept": "application/json"}).json()["headers"]

    assert ("value", "application/json", url.partition("//")[2]) == (seen["X-Mine"], seen["Accept"], seen["Host"])
    assert seen["User-Agent"].startswith("unifetch/")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_json(client: Client, url: str, method: str) -> None:
    """A document arrives as one, by each method."""
    document = {"text": "é €", "list": [1, None, True]}

    assert document == client.request(method, f"{url}/{method.lower()}", json=document).json()["json"]


def test_form(client: Client, url: str) -> None:
    """So does a form."""
    seen = client.post(f"{url}/post", form={"a b": "1&2", "c": ["é", "~"]}).json()

    assert ({"a b": "1&2", "c": ["é", "~"]}, {}) == (seen["form"], seen["files"])


def test_multipart(client: Client, url: str) -> None:
    """Files and fields arrive apart, with names that have to be escaped."""
    files = {"file": ('na"me é.txt', b"text", "text/plain"), "other": io.BytesIO(b"more")}
    seen = client.post(f"{url}/post", form={"a": "1\r\n2"}, files=files).json()

    assert ({"a": "1\r\n2"}, {"file": "text", "other": "more"}) == (seen["form"], seen["files"])


def test_binary_upload(client: Client, url: str) -> None:
    """So do bytes that are no text. (httpbin takes no chunks on this server.)"""
    content = bytes(range(256)) * 1000
    seen = client.put(f"{url}/put", body=content, headers={"Content-Type": "application/octet-stream"}).json()

    assert content == base64.b64decode(seen["data"].partition(",")[2])


@pytest.mark.parametrize(("path", "flag"), [("gzip", "gzipped"), ("deflate", "deflated"), ("brotli", "brotli")])
def test_codings(client: Client, url: str, path: str, flag: str) -> None:
    """What is encoded is decoded, whole and as a stream."""
    if path == "brotli":
        pytest.importorskip("brotli", reason="brotli is not installed")
    response = client.get(f"{url}/{path}")
    with client.stream("GET", f"{url}/{path}") as streamed:
        document = streamed.read().json()

    assert (True, True) == (response.json()[flag], document[flag])


@pytest.mark.parametrize("kind", ["relative", "absolute"])
def test_redirects(client: Client, url: str, kind: str) -> None:
    """They are followed to the end, or to the limit."""
    response = client.get(f"{url}/{kind}-redirect/3")

    assert (200, f"{url}/get", [302] * 3) == (
        response.status,
        response.url,
        [each.status for each in response.history],
    )
    with pytest.raises(TooManyRedirects):
        client.get(f"{url}/{kind}-redirect/3", redirects=2)


@pytest.mark.parametrize(("status", "method", "data"), [(302, "GET", None), (307, "POST", "body")])
def test_redirected_post(client: Client, url: str, status: int, method: str, data: str | None) -> None:
    """302 makes it a GET without a body, 307 sends it again."""
    params = {"url": f"{url}/anything", "status_code": status}
    seen = client.post(f"{url}/redirect-to", params=params, body=b"body").json()

    assert (method, data or "") == (seen["method"], seen["data"])


def test_cookies(client: Client, url: str) -> None:
    """Those that a redirect sets are sent to its target, and after; one that is deleted is not."""
    assert {"a": "1", "b": "2"} == client.get(f"{url}/cookies/set?a=1&b=2").json()["cookies"]
    assert {"a": "1", "b": "2", "c": "3"} == client.get(f"{url}/cookies", cookies={"c": "3"}).json()["cookies"]
    assert {"b": "2"} == client.get(f"{url}/cookies/delete?a").json()["cookies"]


def test_basic(client: Client, url: str) -> None:
    """A login is taken where it is right, as an argument and in the URL, and the answer 401 where it is not."""
    target = f"{url}/basic-auth/user/passw%C3%B6rd"

    assert {"authenticated": True, "user": "user"} == client.get(target, auth=("user", "passwörd")).json()
    assert 200 == client.get(target.replace("//", "//user:passw%C3%B6rd@", 1)).status
    assert 401 == client.get(target, auth=("user", "wrong")).status


def test_bearer(client: Client, url: str) -> None:
    """So is a token."""
    assert "token" == client.get(f"{url}/bearer", auth={"type": "bearer", "token": "token"}).json()["token"]
    assert 401 == client.get(f"{url}/bearer").status


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("qop", ["auth", "either"])
def test_digest(client: Client, url: str, qop: str, algorithm: str) -> None:
    """The answer to a challenge is right by somebody else's arithmetic."""
    target = f"{url}/digest-auth/{qop}/user/secret/{algorithm}"
    right = {"type": "digest", "username": "user", "password": "secret"}

    assert {"authenticated": True, "user": "user"} == client.get(target, auth=right).json()
    assert 401 == client.get(target, auth={**right, "password": "wrong"}).status


@pytest.mark.parametrize("challenge", ["auth-int/user/secret/MD5", "auth/user/secret/SHA-512"])
def test_digest_that_is_not_done(client: Client, url: str, challenge: str) -> None:
    """To a challenge that it has no answer for, a client does not give a weaker one: the 401 is the response."""
    right = {"type": "digest", "username": "user", "password": "secret"}
    response = client.get(f"{url}/digest-auth/{challenge}", auth=right)

    assert (401, None) == (response.status, response.request.headers.get("authorization"))


@pytest.mark.parametrize("path", ["stream/5", "stream-bytes/5000?seed=1&chunk_size=999"])
def test_stream(client: Client, url: str, path: str) -> None:
    """Lines and bytes arrive as a stream, in chunks or until the end of the connection. The one over TLS ends without
    a close_notify, and so might have been cut off."""
    cut = pytest.raises(IncompleteBody) if url.startswith("https:") else nullcontext()
    size = 0
    with cut, client.stream("GET", f"{url}/{path}") as response:
        for piece in response.body:
            size += len(piece)

    assert size == 5000 if path.startswith("stream-bytes") else size > 500


@pytest.mark.parametrize("status", [204, 304, 400, 404, 418, 429, 503])
def test_status(client: Client, url: str, status: int) -> None:
    """A status is a response, and an error on request; the connection goes on."""
    response = client.get(f"{url}/status/{status}")

    assert (status, 200) == (response.status, client.get(f"{url}/get").status)
    if status >= 400:
        with pytest.raises(StatusError, match=str(status)):
            response.raise_for_status()


def test_range(client: Client, url: str) -> None:
    """A part of a document."""
    response = client.get(f"{url}/range/26", headers={"Range": "bytes=2-4"})

    assert (206, b"cde", "bytes 2-4/26") == (response.status, response.body, response.headers["content-range"])


def test_head(client: Client, url: str) -> None:
    """Its answer has the fields of the document and no body, and the connection goes on."""
    response = client.head(f"{url}/get")

    assert ("application/json", b"", 200) == (
        response.headers["content-type"],
        response.body,
        client.get(f"{url}/get").status,
    )


def test_utf8(client: Client, url: str) -> None:
    """Text in many scripts."""
    assert "STARGΛ̊TE" in client.get(f"{url}/encoding/utf8").text
