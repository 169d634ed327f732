"""The tests of httpx, as its source distribution ships them, with its own transports replaced by the bridge.

    python tests/bridges/suites.py DIRECTORY

The archive is downloaded into the directory. What is left out, and why, stands in `EXCEPT`; all else has to pass.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

FILES = [
    "tests/client/test_client.py",
    "tests/client/test_async_client.py",
    "tests/test_timeouts.py",
    "tests/test_api.py",
]

# Part of a test's name: why it does not apply.
EXCEPT = {
    "test_client_decode_text_using_autodetect": "newer chardet names the charset otherwise, with or without a bridge",
    "test_client_decode_text_using_explicit_encoding": "likewise",
    "test_write_timeout": "it wants a microsecond to be too short even where the system takes all bytes at once",
    "test_httpcore_lazy_loading": "it wants httpcore to be loaded, which a bridge does without",
}
TRIO = {
    "tests/client/test_async_client.py::test_get[trio]": "on trio the httpx backend carries it, without HTTP/2",
    "tests/client/test_async_client.py::test_server_extensions[trio]": "likewise",
    "tests/client/test_async_client.py::test_100_continue[trio]": "that backend has no Expect: 100-continue",
}
NOT_RUN = {
    "httpx2": "its source distribution ships no tests",
    "requests": "of its tests some still fail over the bridge; which of them apply is not decided yet",
}


def main(directory: Path) -> int:
    name = f"httpx-{version('httpx')}"
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(directory)]
    subprocess.run([*pip, name.replace("-", "==")], check=True)
    with tarfile.open(directory / f"{name}.tar.gz") as archive:
        if hasattr(tarfile, "data_filter"):  # since Python 3.11.4
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(directory)
    (directory / "bridged.py").write_text("from unifetch import bridges\n\nbridges.install('httpx')\n")
    leave_out = " and ".join(f"not {each}" for each in EXCEPT)
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "bridged", "-W", "default", "-k", leave_out, *FILES]
    tests += [f"--deselect={name}" for name in TRIO]
    environment = {**os.environ, "PYTHONPATH": str(directory)}
    for left_out, reason in (*EXCEPT.items(), *TRIO.items(), *NOT_RUN.items()):
        print(f"left out: {left_out}: {reason}")
    return subprocess.run(tests, cwd=directory / name, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
