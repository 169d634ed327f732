"""The tests of httpx and of requests, as their source distributions ship them, with their own transports replaced.

    python tests/bridges/suites.py DIRECTORY [--write]

The archives are downloaded into the directory. What is left out, and why, stands in `SUITES`; all else has to pass.
`--write` writes what came of it to docs/bridged.md; without it, what is left out has to be what the page says.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "bridged.md"
MARK = "<!-- what follows is written by tests/bridges/suites.py -->\n"

# Of each library: the files, and of the tests that are left out a part of the name and why it does not apply.
SUITES: dict[str, tuple[list[str], dict[str, str]]] = {
    "httpx": (
        [
            "tests/client/test_client.py",
            "tests/client/test_async_client.py",
            "tests/test_timeouts.py",
            "tests/test_api.py",
        ],
        {
            "test_client_decode_text_using_autodetect": "a newer chardet names the charset otherwise, with or without "
            "a bridge",
            "test_client_decode_text_using_explicit_encoding": "likewise",
            "test_write_timeout": "a microsecond has to be too short for it, and the system takes all bytes at once",
            "test_httpcore_lazy_loading": "it wants httpcore to be loaded, which a bridge does without",
            "test_get[trio]": "on trio the httpx backend carries it, without HTTP/2",
            "test_server_extensions[trio]": "likewise",
            "test_100_continue[trio]": "that backend has no `Expect: 100-continue`",
        },
    ),
    "requests": (
        [
            "tests/test_requests.py",
            "tests/test_lowlevel.py",
            "tests/test_adapters.py",
            "tests/test_hooks.py",
            "tests/test_testserver.py",
        ],
        {
            "TestTimeout and test_connect_timeout": "it needs an address on the internet that answers nothing; our own "
            "tests have one on loopback",
            "test_total_timeout_connect": "likewise",
            "test_use_proxy_from_environment": "it needs a resolver that knows httpbin.org: with `socks5:` the name is "
            "resolved before the proxy is asked",
            "test_proxy_authorization_preserved_on_request": "a field for a proxy is refused where it would go to the "
            "origin, before anything is sent; give the credentials in the proxy's URL",
            "test_session_close_proxy_clear": "there is no manager for each proxy that `close` could clear",
            "test_different_connection_pool_for_tls_settings_verify_True": "it counts urllib3's pools, and there are "
            "none; our own tests count the connections",
            "test_different_connection_pool_for_tls_settings_verify_bundle": "likewise",
            "test_chunked_encoding_error": "its response has no end of the head: that is a `ConnectionError`, and "
            "`ChunkedEncodingError` is for one whose body breaks",
            "test_conflicting_content_lengths": "the response is refused by a `ConnectionError`, as any malformed head",
        },
    ),
}
NOT_RUN = {
    "httpx2": "its source distribution ships no tests",
    "httpx-aiohttp": "its tests are those of httpx, which run here; the few of its own ask for its own classes",
    "respx, pytest-httpx": "they replace the transport, and so never reach a bridge",
}


def main(directory: Path, *, write: bool) -> int:
    rows, failed = [], False
    for library, (files, left_out) in SUITES.items():
        code, passed = _run(library, files, left_out, directory)
        failed = failed or code != 0
        rows.append(f"| {library} {version(library)} | {passed} | {len(left_out)} |")
    page = ["| left out | why |", "| --- | --- |"]
    for library, (_, left_out) in SUITES.items():
        page += [f"| {library}: `{name}` | {reason} |" for name, reason in left_out.items()]
    page += [f"| {name}: all | {reason} |" for name, reason in NOT_RUN.items()]
    reasons = "\n".join(page) + "\n"
    print("\n".join(rows), reasons, sep="\n\n")
    text = PAGE.read_text("utf-8")
    if write and not failed:
        counts = "\n".join(["| suite | pass over the bridge | left out |", "| --- | --- | --- |", *rows])
        PAGE.write_text(f"{text.partition(MARK)[0]}{MARK}\n{counts}\n\n{reasons}", "utf-8")
    elif not text.endswith(reasons):
        print("docs/bridged.md says otherwise of what is left out: run this with --write")
        return 1
    return int(failed)


def _run(library: str, files: list[str], left_out: dict[str, str], directory: Path) -> tuple[int, str]:
    """Run a suite; its exit code, and how many tests passed."""
    name = f"{library}-{version(library)}"
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(directory)]
    subprocess.run([*pip, f"{library}=={version(library)}"], check=True)
    with tarfile.open(directory / f"{name}.tar.gz") as archive:
        if hasattr(tarfile, "data_filter"):  # since Python 3.11.4
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(directory)
    plugin = f"bridged_{library}"
    (directory / f"{plugin}.py").write_text(f"from unifetch import bridges\n\nbridges.install({library!r})\n")
    chosen = " and ".join(f"not ({_expression(each)})" for each in left_out)
    tests = [sys.executable, "-m", "pytest", "-q", "-p", plugin, "-W", "ignore", "-k", chosen, *files]
    ran = subprocess.run(
        tests,
        cwd=directory / name,
        env={**os.environ, "PYTHONPATH": str(directory)},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    found = re.search(r"(\d+) passed", ran.stdout)
    if ran.returncode or found is None:
        print(ran.stdout)
    return ran.returncode or int(found is None), found[1] if found else "none"


def _expression(name: str) -> str:
    # A parameter has brackets in the name, which an expression cannot have.
    return name.replace("[", " and ").replace("]", "")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), write="--write" in sys.argv))
