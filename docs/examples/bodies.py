"""What a request can carry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unifetch import Client


def rows() -> Iterator[bytes]:
    for number in range(1000):
        yield f"{number}\n".encode()


# [progress]
def show(sent: int, total: int | None) -> None:
    print(f"{sent} of {total or 'unknown'} bytes")


# [end]


def main(url: str, directory: Path) -> None:
    path = directory / "report.txt"
    path.write_bytes(b"profit\n" * 20_000)

    with Client(base_url=url) as client:
        # [kinds]
        client.post("/echo", json={"name": "Grace", "langs": ["cobol"]})  # application/json
        client.post("/echo", form={"name": "Grace", "agree": True})  # application/x-www-form-urlencoded
        client.post("/echo", body="text")  # text/plain;charset=UTF-8
        client.post("/echo", body=b"\x00\x01", headers={"Content-Type": "application/octet-stream"})
        # [end]
        said = client.post("/echo", json={"a": "ü"}).json()
        assert said["body"] == '{"a":"ü"}'
        assert said["headers"]["content-type"] == "application/json"

        # [file]
        with path.open("rb") as file:
            client.put("/echo", body=file)  # Content-Length, from where the file stands to its end

        client.put("/echo", body=rows())  # rows() yields bytes; of unknown length, they are sent chunked
        client.put("/echo", body=rows(), headers={"Content-Length": "3890"})  # where chunked is refused
        # [end]
        assert client.put("/echo", body=rows()).json()["headers"]["transfer-encoding"] == "chunked"

        # [multipart]
        client.post(
            "/echo",
            form={"title": "Quarter 3"},
            files={
                "report": path,  # a pathlib.Path: read while it is sent, never whole
                "notes": ("notes.txt", "a text as a file"),
                "scan": [("1.png", b"\x89PNG\r\n", "image/png"), ("2.png", b"\x89PNG\r\n", "image/png")],
            },
        )
        # [end]

        # [watched]
        client.put("/echo", body=path.read_bytes(), progress=show)
        # [end]
        seen: list[tuple[int, int | None]] = []
        client.put("/echo", body=path.read_bytes(), progress=lambda *told: seen.append(told))
        assert seen[-1] == (140_000, 140_000)
