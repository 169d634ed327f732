"""What a server may cost you."""

from __future__ import annotations

from unifetch import Client, Limits, TooLarge


def main(url: str) -> None:
    with Client(base_url=url, limits=Limits(body=1_000_000)) as client:
        # [body]
        try:
            client.get("/bomb")  # 4 kB that decode to 4 MB
        except TooLarge as error:
            print(error)  # the decoded body is over the limit of 1000000 bytes
        # [end]
        else:
            raise AssertionError

        # [stream]
        size = 0
        with client.stream("GET", "/bomb") as response:
            for piece in response.body:  # 64 KiB at most, whatever it was compressed to
                size += len(piece)
                if size > 2_000_000:
                    break  # a stream is bounded by whoever reads it
        # [end]
        assert 2_000_000 < size < 2_100_000

    # [settings]
    limits = Limits(body=50 * 1024**2, ratio=100, connections_per_origin=10)
    with Client(base_url=url, limits=limits) as client:
        client.get("/")
        client.get("/bomb", limits={"body": None, "ratio": None})  # no bound, written out
    # [end]
