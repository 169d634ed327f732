"""Where to connect."""

from __future__ import annotations

from unifetch import Client, ConnectError, get


def main(url: str, unix_socket: str) -> None:
    # [unix]
    with Client(unix_socket=unix_socket, base_url="http://localhost") as client:
        response = client.get("/info")
    # [end]
    assert response.status == 200

    port = url.rpartition(":")[2]
    # [resolve]
    response = get(f"http://staging.example:{port}/echo", resolve={"staging.example": "127.0.0.1"})
    assert response.json()["headers"]["host"] == f"staging.example:{port}"
    # [end]

    # [private]
    try:
        get(url, forbid_private=True)  # where the URL comes from somebody else
    except ConnectError as error:
        print(error)  # 127.0.0.1 leads to 127.0.0.1, which is not public, and forbid_private is set
    # [end]
    else:
        raise AssertionError
