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
    # [end]
    assert get(url, backend="socket").backend == "socket"

    # [configure]
    configure(backend="requests", timeout=20)  # for this process
    # [end]
    assert get(url).backend == "requests"

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

    with Client(backend="requests") as client:
        print(client.backend.native)  # the library's own object
    # [end]

    # [unknown]
    try:
        get(url, backend="request")
    except UnknownBackend as error:
        print(error)  # unknown backend 'request'; known are urllib, requests, …
    # [end]
    else:
        raise AssertionError
