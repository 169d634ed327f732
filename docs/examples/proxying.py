"""Going through a proxy."""

from __future__ import annotations

from unifetch import Client, ProxyError


def main(proxy_url: str, refusing_url: str) -> None:
    # [one]
    with Client(proxy=proxy_url) as client:  # "http://user:password@proxy.example:3128", say
        response = client.get("http://service.test/")
        # [end]
        assert response.text == "by proxy: http://service.test/"

    # [rules]
    rules = {"http": proxy_url, "https": "socks5h://127.0.0.1:1080", "no": ["localhost", ".internal", "10.0.0.0/8"]}
    with Client(proxy=rules) as client:
        client.get("http://service.test/")
        client.get("http://service.test/", proxy=proxy_url)  # another for one call; None for none
    # [end]

    # [refused]
    with Client(proxy=refusing_url) as client:
        try:
            client.get("https://service.test/")
        except ProxyError as error:
            assert error.status == 403  # what it answered to CONNECT
        # [end]
        else:
            raise AssertionError
