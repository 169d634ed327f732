"""What the README tells a newcomer to type is what runs, here and in continuous integration."""

from __future__ import annotations

import http.server
import json
import re
import threading
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_continuous_integration_runs_the_two_commands_word_for_word() -> None:
    """The README's two commands, the demo and the tests, are lines of `.ci/run`."""
    commands = re.findall(r"^python3 -m venv.*$", "\n".join(fenced("console")), re.MULTILINE)
    run = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()

    assert [command.rpartition("/")[2] for command in commands] == ["unifetch demo", "tox"]
    assert [command for command in commands if command in run] == commands


def test_the_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The first example does what it shows, against a server of our own in the place of example.org."""
    pytest.importorskip("httpx", reason="the example switches to httpx")
    monkeypatch.delenv("UNIFETCH_BACKEND", raising=False)
    page = json.dumps({"page": 2}).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            scope: dict[str, object] = {}
            exec(fenced("python")[0].replace("https://example.org", f"http://127.0.0.1:{server.server_port}"), scope)
        finally:
            server.shutdown()
            thread.join()

    assert capsys.readouterr().out == f"200 application/json {{'page': 2}}\n{len(page)} bytes\n[200, 200, 200]\n"
    assert scope["same"].body == page


def test_the_table_names_every_backend_its_oldest_version_and_what_it_accepts() -> None:
    """The README's table of backends agrees with the package's table and with the floors of the extras."""
    from unifetch.backends import BACKENDS

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    floors = {name: extra[0].partition(">=")[2] for name, extra in project["optional-dependencies"].items()}
    rows = re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| ([^|]+) \|(.*)\|", README, re.MULTILINE)

    assert [row[:2] for row in rows] == [(name, floors.get(name, "Python 3.11")) for name in BACKENDS]
    for (_, _, accepted), entry in zip(rows, BACKENDS.values(), strict=True):
        natives = [native.split(".") for native in (*entry.natives, *entry.async_natives)]
        assert re.findall(r"`(.+?)`", accepted) == [f"{parts[0]}.{parts[-1]}" for parts in natives]


def test_no_document_installs_a_package_of_another_name() -> None:
    """The distribution is `unifetch-http`; the bare name on a package index would be somebody else's."""
    globs = ("*.md", "docs/**/*.md", "newsfragments/*.md", "src/**/*.py")
    install = re.compile(r"""pip\s+install(\s+-\S+)*\s+['"]?unifetch(?!-http)""")
    wrong = [path.name for glob in globs for path in ROOT.glob(glob) if install.search(path.read_text("utf-8"))]

    assert wrong == []
