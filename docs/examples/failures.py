"""What can go wrong, and what to do about it."""

from __future__ import annotations

from unifetch import Client, ConnectError, ProtocolError, StatusError, TimedOut, UnifetchError


def main(url: str, refused_url: str) -> None:
    with Client(base_url=url) as client:
        # [kinds]
        try:
            response = client.get("/missing").raise_for_status()
        except StatusError as error:
            print(error.response.status)  # 404; the response is there
        except TimedOut:
            print("too slow")
        except ConnectError:
            print("no connection")
        except UnifetchError as error:
            print(f"{type(error).__name__}: {error}")
        # [end]
        else:
            raise AssertionError(response)

        # [cut]
        try:
            client.get("/cut")
        except ProtocolError as error:
            print(error)  # the connection ended, after 10 of 1000 bytes of the body: never a short success
        # [end]
        else:
            raise AssertionError

    # [sent]
    with Client(base_url=refused_url) as client:
        try:
            client.post("/orders", json={"item": 7})
        except UnifetchError as error:
            if error.request_sent == "no":
                print("nothing left this machine: ordering again is safe")
            else:
                print("the order may have arrived: ask before ordering again")
            # [end]
            assert error.request_sent == "no"
            assert isinstance(error, ConnectionError)
            assert error.backend == "urllib"
        else:
            raise AssertionError
