"""What a request is made of."""

from __future__ import annotations

from unifetch import Client, InvalidRequest, get, request


def main(url: str) -> None:
    # [methods]
    response = get(url)
    response = request("PROPFIND", url)  # any method; it is sent as it is written
    # [end]

    # [client]
    with Client(base_url=url, headers={"User-Agent": "my-app/1.0"}, timeout=10) as client:
        response = client.get("/echo", headers={"Accept": "application/json"})
    # [end]
    assert response.json()["headers"]["user-agent"] == "my-app/1.0"
    assert response.json()["headers"]["accept"] == "application/json"

    with Client(base_url=url) as client:
        # [params]
        response = client.get("/echo?lang=en", params={"page": 2, "tag": ["a", "b"], "draft": False, "q": None})
        assert response.json()["target"] == "/echo?lang=en&page=2&tag=a&tag=b&draft=false"

        response = client.get("/echo", params=[("q", "grün & blau"), ("sort", "+name")])
        assert response.json()["target"] == "/echo?q=gr%C3%BCn+%26+blau&sort=%2Bname"
        # [end]

    # [refused]
    for wrong in ("ftp://example.org/", "http://example.org\\@evil.example/", "http://example.org/a b"):
        try:
            get(wrong)
        except InvalidRequest as error:
            print(error)  # nothing was sent, no connection was made
        else:
            raise AssertionError(wrong)
    # [end]
