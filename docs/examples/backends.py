"""Choosing who carries a request."""

from __future__ import annotations

from unifetch import Client, UnknownBackend, available_backends, configure, get, use_backend

NEEDS = ["requests"]


def main(url: str) -> None:
    # [choose]
    get(url)  # urllib, the default
    get(url, backend="socket")  # for this call

    with Client(backend="requests", base_url=url) as client:  # for this client
        client.get("/data.json")

    with use_backend("requests"):  # in this block, in this thread or task
        get(url)

    configure(backend="requests", timeout=20)  # for this process, at its start
    # [end]
    assert get(url).backend == "requests"
    assert get(url, backend="socket").backend == "socket"

    # [native]
    import requests

    session = requests.Session()
    session.verify = "/etc/ssl/our-ca.pem"
    response = get(url, backend=session)
    session.close()  # it is still yours
    # [end]
    assert response.backend == "requests"

    # [installed]
    print(available_backends())  # ('urllib', 'requests', 'socket'), say

    try:
        get(url, backend="request")
    except UnknownBackend as error:
        print(error)  # unknown backend 'request'; known are urllib, requests, …
    # [end]
    else:
        raise AssertionError
