"""`unifetch compare`: what each library sends by itself, and through unifetch, to a server of the reader's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from unifetch.backends import BACKENDS, available_backends, is_installed
from unifetch.cli.compare import OWN
from unifetch.cli.main import main
from unifetch.testing import Server, refused_port, reply

SUBJECTS = [name for name in OWN if is_installed(name)]
SUBJECTS += [f"unifetch:{name}" for name in available_backends() if name in BACKENDS]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries' own calls read it from the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def compared(*words: str) -> dict[str, dict[str, Any]]:
    """What it found, by subject. A process of its own: it watches all sockets, and the server's are in this one."""
    command = [sys.executable, "-m", "unifetch", "compare", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (0, "") == (done.returncode, done.stderr)
    return {record["subject"]: record for record in json.loads(done.stdout)}


def test_what_is_sent_is_what_arrives() -> None:
    """The lines and fields of each request are those that the server received, from each subject once."""
    with Server(reply(200, b"hello", {"X-A": "1"})) as server:
        records = compared(server.url + "/a?b=c")
        received = [
            (f"{each.method} {each.target} {each.version}", [list(field) for field in each.headers])
            for each in server.requests
        ]

    assert SUBJECTS == list(records)
    assert received == [(each["line"], each["fields"]) for record in records.values() for each in record["requests"]]
    assert {(200, 5)} == {(record["status"], record["body_bytes"]) for record in records.values()}
    assert all(["x-a", "1"] in [[name.lower(), value] for name, value in each["headers"]] for each in records.values())


def test_redirects_are_counted() -> None:
    """A subject that follows a redirect has sent two requests."""
    with Server({"/old": reply(302, headers={"Location": "/new"}), "/new": reply(200, b"here")}) as server:
        records = compared(server.url + "/old")

    lines = {name: [each["line"] for each in record["requests"]] for name, record in records.items()}
    both = ["GET /old HTTP/1.1", "GET /new HTTP/1.1"]
    assert (200, both) == (records["urllib"]["status"], lines["urllib"])
    assert {"unifetch:socket": both, "unifetch:urllib": both}.items() <= lines.items()
    if "httpx" in records:
        assert (302, both[:1]) == (records["httpx"]["status"], lines["httpx"])


def test_the_ways_are_shown() -> None:
    """Each way once, address by address, with who went it."""
    with Server({"/old": reply(302, headers={"Location": "/new?token=s3cret"}), "/new": reply(200)}) as server:
        url = server.url
        command = [sys.executable, "-m", "unifetch", "compare", url + "/old"]
        lines = subprocess.check_output(command, text=True, timeout=60).splitlines()
    at = lines.index("where they went")

    assert [f"  1 {url}/old", f"  2 {url}/new?token=REDACTED"] == lines[at + 1 : at + 3]
    assert lines[at + 3].startswith("        urllib")
    assert "unifetch over each" in " ".join(lines[at + 3 : at + 5])
    if "httpx" in SUBJECTS:
        assert f"  1 {url}/old" in lines[at + 4 :]


@pytest.mark.parametrize("words", ["--cacert", "-k"])
def test_a_certificate_of_the_readers_own(words: str) -> None:
    """With `--cacert` or `-k` each subject gets through TLS, by whatever its own call has for it."""
    from servers import certificate_authority

    authority = certificate_authority()
    with Server(reply(200, b"secret"), tls=authority.server_context()) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        records = compared(url, words, *([str(authority.ca_file)] if words == "--cacert" else []))

    assert SUBJECTS == list(records)
    for name, record in records.items():
        assert (200, [f"{url}/"]) == (record.get("status"), [each["address"] for each in record["requests"]]), name


def test_https_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes through TLS is watched before it is hidden."""
    from servers import certificate_authority

    authority = certificate_authority()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    with Server(reply(200, b"secret"), tls=authority.server_context()) as server:
        records = compared(server.url.replace("127.0.0.1", "localhost"))

    for name in ("urllib", "unifetch:urllib", "unifetch:socket"):
        assert (200, ["GET / HTTP/1.1"]) == (
            records[name].get("status"),
            [each["line"] for each in records[name]["requests"]],
        ), records[name]


def test_a_script_of_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of bytes is the answer; an exception is a result like any other."""
    file = tmp_path / "half.http"
    file.write_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    assert 3 == main(["compare", "--script", str(file)])
    out = capsys.readouterr().out
    assert "IncompleteRead" in out
    assert "IncompleteBody" in out


def test_a_script_in_python(tmp_path: Path) -> None:
    """A file of Python has a SCRIPT; its server's own bytes are nobody's request."""
    file = tmp_path / "two.py"
    file.write_text("from unifetch.testing import reply\nSCRIPT = {'/a': reply(200, b'a'), '/b': reply(404)}\n")
    records = compared("/b", "--script", str(file))

    assert 404 == records["unifetch:socket"]["status"]
    assert {("GET /b HTTP/1.1",)} == {tuple(each["line"] for each in record["requests"]) for record in records.values()}


@pytest.mark.parametrize("columns", [80, 40])
def test_it_fits_a_terminal_and_masks_credentials(columns: int) -> None:
    """No line is too long, each field is there once, and no secret of the URL or of the answer."""
    with Server(reply(200, b"hello", {"Set-Cookie": "session=s3cret", "X-Long": "a" * 200})) as server:
        command = [sys.executable, "-m", "unifetch", "compare", server.url + "/?token=s3cret"]
        out = subprocess.check_output(command, text=True, timeout=60, env={**os.environ, "COLUMNS": str(columns)})

    assert [] == [line for line in out.splitlines()[1:] if len(line) >= columns]  # the first is the URL
    assert "200" in out
    assert "s3cret" not in out
    assert 1 == out.splitlines().count("  user-agent")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["127.0.0.1:1/"],
        ["--script", "missing.py"],
        ["http://127.0.0.1:1/", "--script", __file__],
        ["http://127.0.0.1:1/", "--timeout", "nan"],
    ],
)
def test_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to ask, a file that is not there, both a server and a script, and no time are errors of usage."""
    try:
        code: object = main(["compare", *words])
    except SystemExit as end:
        code = end.code

    assert 2 == code


def test_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody listens, each says so by its own name, and the code is that of a connection."""
    with refused_port() as port:
        assert 3 == main(["compare", f"http://127.0.0.1:{port}"])

    assert "URLError" in capsys.readouterr().out
