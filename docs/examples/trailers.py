"""What HTTP/1.1 has beyond requests and responses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unifetch import Client
from unifetch.observe.events import Event, InterimResponse
from unifetch.testing import OnHead, Server, reply

SUMMED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Checksum: 5d41402a\r\n\r\n"
HINTED = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" + reply(200, b"hello")


def rows() -> Iterator[bytes]:
    yield b"ada,1815\n"
    yield b"grace,1906\n"


# [listener]
def hints(event: Event) -> None:
    if isinstance(event, InterimResponse):
        print(event.status, event.headers.get("Link"))  # 103 </style.css>; rel=preload


# [end]


def main(directory: Path) -> None:
    with Server({"/summed": SUMMED, "/rows": reply(204)}) as server, Client(base_url=server.url) as client:
        # [response]
        response = client.get("/summed")
        assert response.trailers["X-Checksum"] == "5d41402a"
        assert "X-Checksum" not in response.headers  # never mixed
        # [end]

        # [request]
        client.put("/rows", body=rows(), trailers={"X-Rows": "2"})  # rows() yields bytes
        # [end]
        assert server.requests[-1].header("trailer") == "X-Rows"
        assert server.requests[-1].raw_body.endswith(b"\r\n0\r\nX-Rows: 2\r\n\r\n")

    path = directory / "large.bin"
    path.write_bytes(bytes(1_000_000))
    with Server(OnHead(reply(413, b"too large"))) as server, Client(base_url=server.url) as client:
        # [expect]
        with path.open("rb") as file:
            response = client.put("/files/1", body=file, headers={"Expect": "100-continue"})

        assert response.status == 413  # and the file was not sent
        # [end]
        assert server.requests[0].body == b""

    with Server(HINTED) as server:
        url = server.url
        # [interim]
        with Client(base_url=url, listeners=hints) as client:
            response = client.get("/")
            assert response.status == 200
        # [end]
