"""Which mocks that users have see the requests of unifetch, found out by running them: `tox -e mocks`.

It writes docs/mocks.json (what each did) and docs/mocks.md (the page). Each tool runs in a process of its own, before
each backend, and is asked to answer, or to refuse, a request to a server on loopback that would answer "live".
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BACKENDS = ["urllib", "requests", "httpx", "httpx2", "urllib3", "aiohttp", "socket"]

# Each tool as its own documentation switches it on, around `ask()`, which gives the body or raises.
TOOLS = {
    "responses": """
import responses
with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
    mock.get(url, body="mocked")
    ask()
""",
    "requests-mock": """
import requests_mock
with requests_mock.Mocker() as mock:
    mock.get(url, text="mocked")
    ask()
""",
    "respx": """
import respx
with respx.mock(assert_all_called=False) as mock:
    mock.get(url).respond(text="mocked")
    ask()
""",
    "pytest-httpx": """
import pytest, pathlib, tempfile
test = pathlib.Path(tempfile.mkdtemp(), "test_it.py")
test.write_text('''
import pytest, sys
@pytest.mark.httpx_mock(assert_all_responses_were_requested=False)
def test_it(httpx_mock):
    sys.path.insert(0, %r)
    httpx_mock.add_response(text="mocked")
    sys.ask()
''' % str(test.parent))
sys.ask = ask
pytest.main(["-s", "-p", "no:cacheprovider", str(test)])
""",
    "pook": """
import pook
with pook.use():
    pook.get(url).reply(200).body("mocked")
    ask()
""",
    "mocket": """
from mocket import Mocketizer
from mocket.mocks.mockhttp import Entry
Entry.single_register(Entry.GET, url, body="mocked")
with Mocketizer():
    ask()
""",
    "vcrpy": """
import vcr, tempfile
with vcr.use_cassette(tempfile.mkdtemp() + "/none.yaml", record_mode="none"):
    ask()
""",
    "cassetter": """
import cassetter, tempfile
with cassetter.use_cassette(tempfile.mkdtemp() + "/none.yaml", record_mode="none"):
    ask()
""",
    "unifetch.testing": """
from unifetch.testing import Mock
with Mock() as mock:
    mock.get(url).reply(200, "mocked")
    ask()
""",
}

# Before a tool changes it, the socket of the server is made; then the tool's lines run.
PROGRAM = """
import sys, threading, http.server
class Live(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "4"); self.end_headers(); self.wfile.write(b"live")
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Live)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
import unifetch
def ask():
    try:
        print("ANSWER", unifetch.get(url, backend=BACKEND, timeout=5).text)
    except BaseException as error:
        print("ANSWER refused")
LINES
"""

EXAMPLE = """<!-- example: testing_responses.py responses -->
```python
import responses

with responses.RequestsMock() as mock:
    mock.get("https://api.example.org/orders/7", json={"id": 7})

    assert get("https://api.example.org/orders/7", backend="requests").json() == {"id": 7}
```"""

VERDICTS = {"mocked": "sees it", "refused": "sees it", "live": "**the network**"}


def run(tool: str, backend: str) -> str:
    """What became of the request: "mocked", "refused", "live", "broken", "hangs" or "no answer"."""
    lines = TOOLS[tool]
    program = PROGRAM.replace("BACKEND", repr(backend)).replace("LINES", lines)
    try:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "hangs"
    answers = re.findall(r"ANSWER (\w+)", done.stdout)
    if not answers:
        print(f"{tool} with {backend}: {done.stderr[-300:]}", file=sys.stderr)
        return "no answer"
    # A mock that answers must have answered; one that forbids must have refused.
    forbids = tool in ("vcrpy", "cassetter")
    return answers[0] if answers[0] == "live" or forbids or answers[0] == "mocked" else "broken"


def results() -> dict[str, Any]:
    """What each tool did before each backend, with its version."""
    found = {}
    with ThreadPoolExecutor(4) as threads:
        for tool in TOOLS:
            did = threads.map(run, [tool] * len(BACKENDS), BACKENDS)
            ours = tool == "unifetch.testing"
            found[tool] = {"version": "" if ours else version(tool), **dict(zip(BACKENDS, did, strict=True))}
    return found


def page(found: dict[str, Any]) -> str:
    """The page that says so."""
    rows = []
    for tool, did in found.items():
        cells = " | ".join(VERDICTS.get(did[backend], did[backend]) for backend in BACKENDS)
        rows.append(f"| {tool} {did['version']} ".replace("  ", " ") + f"| {cells} |")
    table = "\n".join([f"| | {' | '.join(BACKENDS)} |", "|---" * (len(BACKENDS) + 1) + "|", *rows])
    return f"""# Which mocks see what

A mock that hooks into a library sees a request of unifetch where that library carries it, and nowhere else. What it
does not see goes to the network, also where the tool was told to forbid that, and no test is told. This table was made
by running each tool before each backend (`tox -e mocks`), against a server that would answer.

{table}

"The network" means that the request was answered by the live server. For vcrpy and cassetter, the mode `none` was asked
for, which forbids that. pytest-httpx sees an `httpx.Client` that is given as `backend=`, and no other. "Broken" or
"hangs" is an error of the tool or of the backend under it.

{EXAMPLE}

What sees all of them, whatever backend is chosen, is unifetch's own [kit](how-to/testing-sdks.md). For cassettes of
vcrpy there is `unifetch cassette import-vcr` ([recordings](how-to/testing-recordings.md)): its `record_mode` is `mode`
there, `filter_headers` and the like are `secrets`, and `match_on` is `match`.
"""


def main() -> None:
    """Run all, and write both files."""
    found = results()
    (HERE / "mocks.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (HERE / "mocks.md").write_text(page(found), "utf-8")


if __name__ == "__main__":
    main()
