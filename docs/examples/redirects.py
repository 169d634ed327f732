"""Following, counting and refusing redirects."""

from __future__ import annotations

from unifetch import Client, TooManyRedirects


def main(url: str) -> None:
    with Client(base_url=url) as client:
        # [follow]
        response = client.get("/old")
        assert response.url == f"{url}/new"
        assert [earlier.status for earlier in response.history] == [301]
        # [end]

        # [none]
        response = client.get("/old", redirects=0)
        assert response.status == 301
        assert response.headers["Location"] == "/new"
        # [end]

        # [limit]
        try:
            client.get("/loop", redirects=5)
        except TooManyRedirects as error:
            print(error)  # more than 5 redirects, the last to http://…/loop
        # [end]
        else:
            raise AssertionError
