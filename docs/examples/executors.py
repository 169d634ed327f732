"""Many requests, by processes and by the workers of a Dask cluster."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from unifetch import Response, Result, fetch_all


def main(url: str, dask: Any) -> None:
    urls = [f"{url}/echo?{number}" for number in range(20)]

    # [processes]
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as processes:
        for result in fetch_all(urls, executor=processes, concurrency=8, auth=("user", "pass")):
            print(result.index, result.unwrap().status)
    # [end]

    # [dask]
    with dask.get_executor() as cluster:
        for measured in fetch_all(urls, executor=cluster, concurrency=16, per_origin=64, sink=measure):
            print(measured.url, measured.unwrap(), "bytes")
    # [end]


# [measure]
def measure(result: Result[Response[bytes]]) -> int:
    return len(result.unwrap().body)  # on the worker; the body stays there


# [end]
