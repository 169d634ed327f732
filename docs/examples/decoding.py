"""Bodies that come compressed."""

from __future__ import annotations

from unifetch import Client, DecodingError


def main(url: str) -> None:
    with Client(base_url=url) as client:
        # [decoded]
        response = client.get("/gzip")
        assert response.text == "hello " * 100
        assert response.headers["Content-Encoding"] == "gzip"  # the fields stay as they came
        # [end]

        # [asked]
        said = client.get("/echo").json()["headers"]["accept-encoding"]
        assert said.startswith("gzip, deflate")  # and br, zstd where these are installed
        # [end]

        # [broken]
        try:
            client.get("/corrupt")
        except DecodingError as error:
            print(error)  # it was cut short: never a shorter body
        # [end]
        else:
            raise AssertionError

        # [raw]
        response = client.get("/gzip", decode=False)
        assert response.body.startswith(b"\x1f\x8b")  # still gzip
        assert not response.decoded  # whether a coding was taken off
        # [end]

        # [identity]
        client.get("/file", headers={"Accept-Encoding": "identity"})
        # [end]
