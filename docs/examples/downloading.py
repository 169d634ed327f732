"""A response as a file."""

from __future__ import annotations

from pathlib import Path

from unifetch import Client, ProtocolError, download

DIGEST = "0" * 64


def show(received: int, total: int | None) -> None:
    print(f"{received} of {total or 'unknown'} bytes")


def main(url: str, directory: Path) -> None:
    path = directory / "file.txt"

    # [download]
    done = download(f"{url}/file", path)
    print(done.size, "bytes in", done.path)
    # [end]
    assert done.size == path.stat().st_size

    with Client(base_url=url) as client:
        # [resume]
        client.download("/file", path, resume=True, progress=show)  # show(received, total), in bytes
        # [end]

        # [place]
        with client.stream("GET", "/file") as response, open(path, "wb") as file:
            file.writelines(response.body)
        # [end]

        # [digest]
        try:
            client.download("/file", path, digest=f"sha-256:{DIGEST}")
        except ProtocolError as error:
            print(error)  # the sha256 of the file is …, not …; what was at the path before is still there
        # [end]
        else:
            raise AssertionError
    assert done.size == path.stat().st_size
