"""Asking again."""

from __future__ import annotations

from unifetch import Client, ConnectError, StatusError


def main(url: str, refused_url: str) -> None:
    with Client(base_url=url) as client:
        # [count]
        response = client.get("/busy", retry={"attempts": 3, "backoff": 0.01})
        assert response.status == 200  # after 503 and 429
        # [end]

        # [later]
        try:
            client.get("/down", retry=3)
        except StatusError as error:
            print(error)  # 503 with a Retry-After of 3600 s, which is above max_wait, 60 s
            assert error.response.headers["Retry-After"] == "3600"
        # [end]
        else:
            raise AssertionError

    # [attempts]
    with Client(base_url=refused_url, retry={"attempts": 2, "backoff": 0.01}) as client:
        try:
            client.get("/")
        except ConnectError as error:
            assert len(error.attempts) == 2  # what came of each, in words
        # [end]
        else:
            raise AssertionError

    # [settings]
    from unifetch import Retry

    patient = Retry(
        5,  # sent five times at most, the first included
        backoff=0.5,  # seconds: waits at random up to 0.5, 1, 2, 4
        max_wait=60,  # seconds for one wait; a longer Retry-After is an error
        statuses=(429, 503),
        methods=("GET", "HEAD", "OPTIONS", "PUT", "DELETE"),
        respect_retry_after=True,
    )
    # [end]
    assert patient.attempts == 5
