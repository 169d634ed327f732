"""How long a call may take."""

from __future__ import annotations

from unifetch import Client, ReadTimeout, TimedOut, Timeout, TotalTimeout, get


def main(url: str) -> None:
    # [number]
    get(url, timeout=5)  # seconds for all of it: connecting, redirects, retries, the body
    get(url, timeout=Timeout(60, connect=3, read=10))
    get(url, timeout={"total": 60, "read": 10})  # the same as plain data
    get(url, timeout=None)  # no limit at all, written out
    # [end]

    with Client(base_url=url) as client:
        # [total]
        try:
            client.get("/drip", timeout=0.3)  # a byte comes now and then, the end never
        except TotalTimeout as error:
            print(error)  # not over within the total timeout of 0.3 s
        # [end]
        else:
            raise AssertionError

        # [phase]
        try:
            client.get("/slow", timeout=Timeout(10, read=0.2))
        except ReadTimeout as error:
            assert isinstance(error, TimedOut)
            assert isinstance(error, TimeoutError)  # Python's own
        # [end]
        else:
            raise AssertionError

        # [client]
        with Client(timeout={"total": 20}) as patient:
            patient.get(url)  # 20 s
            patient.get(url, timeout=2)  # a call says otherwise: 2 s
        # [end]
