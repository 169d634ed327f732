"""Cookies of a client, of a call, and in a file."""

from __future__ import annotations

from pathlib import Path

from unifetch import Client, CookieJar


def main(url: str, directory: Path) -> None:
    path = directory / "cookies.json"

    # [client]
    with Client(base_url=url) as client:
        client.get("/login")  # Set-Cookie: session=abc
        response = client.get("/echo")
        assert response.json()["headers"]["cookie"] == "session=abc"
        # [end]

        # [call]
        response = client.get("/echo", cookies={"theme": "dark"})
        assert response.json()["headers"]["cookie"] == "session=abc; theme=dark"
        # [end]

        # [save]
        path.touch(mode=0o600)  # a session is as good as a password
        path.write_text(client.cookies.to_json())
        # [end]

    # [load]
    jar = CookieJar.from_json(path.read_text())
    jar.set("consent", "yes", "127.0.0.1")  # a cookie of your own, for this host
    with Client(base_url=url, cookies=jar) as client:
        assert client.get("/echo").json()["headers"]["cookie"] == "consent=yes; session=abc"
    # [end]

    # [netscape]
    text = "127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc\n"
    jar = CookieJar.from_netscape(text)  # the cookies.txt of curl and wget
    print(jar.to_netscape())
    # [end]
    assert len(jar) == 1

    # [none]
    with Client(base_url=url, cookies=False) as client:
        client.get("/login")
        assert "cookie" not in client.get("/echo").json()["headers"]
    # [end]
