"""A response as a file."""

from __future__ import annotations

from pathlib import Path

from unifetch import Client, ProtocolError


def main(url: str, directory: Path) -> None:
    path = directory / "file.txt"
    digest = "74d4fd5b2e0d4b1bb1a7e5b7a1e4a2f9"

    with Client(base_url=url) as client:
        # [download]
        done = client.download("/file", path)
        print(done.size, "bytes in", done.path)
        # [end]
        assert done.size == path.stat().st_size

        # [progress]
        def show(received: int, total: int | None) -> None:
            print(f"{received} of {total or 'unknown'} bytes")

        client.download("/file", path, progress=show)
        # [end]

        # [digest]
        try:
            client.download("/file", path, digest=f"sha256:{digest}")
        except ProtocolError as error:
            print(error)  # the sha256 of the file is …, not …
        # [end]
