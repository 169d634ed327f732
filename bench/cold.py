"""What a process pays before its first response: imports, and one GET from start to exit.

    python bench/run.py cold --rounds 9 --clients urllib3,requests,unifetch:urllib

Processor time of both, user and system. The modules are those that a bare interpreter has not; the GET is a
whole process, less a bare one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from tempfile import TemporaryDirectory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HERE = Path(__file__).parent

# What a program would write, with nothing imported that it does not use.
GETS = {
    "raw": "import socket; s = socket.create_connection(({host!r}, {port})); s.sendall({head!r}); s.recv(65536)",
    "http.client": "import http.client; c = http.client.HTTPConnection({host!r}, {port}); "
    "c.request('GET', '/5'); c.getresponse().read()",
    "pycurl": "import pycurl; c = pycurl.Curl(); c.setopt(c.URL, {url!r}); c.perform_rb()",
    "urllib": "from urllib.request import urlopen; urlopen({url!r}).read()",
    "urllib3": "import urllib3; urllib3.request('GET', {url!r}).data",
    "requests": "import requests; requests.get({url!r}).content",
    "httpx": "import httpx; httpx.get({url!r}).content",
    "httpx2": "import httpx2; httpx2.get({url!r}).content",
    # The command lines: the process is what somebody waits for who types `unifetch URL`, or `http URL`.
    "command": "from unifetch.cli.main import main; main([{url!r}])",
    "httpie": "import sys; sys.argv = ['http', '--ignore-stdin', {url!r}]; from httpie.__main__ import main; main()",
}
# Where it is not the client's own name.
MODULES = {"raw": "socket", "urllib": "urllib.request", "command": "unifetch.cli.main", "httpie": "httpie.core"}

Costs = dict[str, dict[str, list[float]]]


def measure(clients: list[str], rounds: int) -> Costs:
    """Milliseconds and modules of each import, and milliseconds of each GET over a bare interpreter."""
    imports = {"unifetch": "unifetch", "http.client": "http.client"}
    imports |= {name: MODULES.get(name, name) for name in clients if not name.startswith("unifetch:")}
    costs: Costs = {}
    with ExitStack() as stack:
        environment = _environment(stack.enter_context(TemporaryDirectory()))
        for turn in range(rounds + 1):
            for name, module in imports.items():
                for what, figure in _import(module, environment).items() if turn else ():
                    costs.setdefault(name, {}).setdefault(what, []).append(figure)
        port = _server(stack)
        for turn in range(rounds + 1):
            bare = _process("pass", environment)
            for name in clients:
                cost = _process(_get(name, port), environment)
                if turn and cost is not None and bare is not None:
                    costs.setdefault(name, {}).setdefault("get", []).append(cost - bare)
    return costs


def _environment(cache: str) -> dict[str, str]:
    # Bytecode is what an installed package has: all of it is compiled in the first turn, which is not counted,
    # and into a directory of this run, because a source tree may have none, or be told not to keep any.
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.lower().endswith("_proxy")
    }
    return {**kept, "PYTHONPYCACHEPREFIX": cache}


def _import(module: str, environment: dict[str, str]) -> dict[str, float]:
    # Not by `-X importtime`, whose clock goes on while a neighbour has the processor.
    code = (
        "import sys; from time import process_time; modules, start = len(sys.modules), process_time(); "
        f"import {module}; print((process_time() - start) * 1000, len(sys.modules) - modules)"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return dict(zip(("import", "modules"), map(float, ran.stdout.split()), strict=False))


def _server(stack: ExitStack) -> int:
    import json

    server = stack.enter_context(
        subprocess.Popen(
            [sys.executable, str(HERE / "server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    )
    assert server.stdout is not None
    port: int = json.loads(server.stdout.readline())["http"]
    return port


def _get(name: str, port: int) -> str:
    if name.startswith("unifetch:"):
        code = f"import unifetch; unifetch.get({{url!r}}, backend={name.removeprefix('unifetch:')!r}).body"
    else:
        code = GETS.get(name, "raise SystemExit(1)")
    head = f"GET /5 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    return code.format(host="127.0.0.1", port=port, url=f"http://127.0.0.1:{port}/5", head=head)


def _process(code: str, environment: dict[str, str]) -> float | None:
    """Milliseconds of user and system time; None if it failed."""
    before = getrusage(RUSAGE_CHILDREN)  # os.times() counts in hundredths of a second
    quiet = subprocess.DEVNULL
    ran = subprocess.run([sys.executable, "-c", code], stdout=quiet, stderr=quiet, env=environment, check=False)
    after = getrusage(RUSAGE_CHILDREN)
    if ran.returncode:
        return None
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def print_table(costs: Costs) -> None:
    print("\ncold: milliseconds of an import, and of a process that sends one GET, over a bare interpreter; medians")
    print(f"  {'client':<18}{'import':>8}{'modules':>9}{'GET +':>9}")
    for name, figures in costs.items():
        row: list[Any] = [f"{median(figures[what]):.1f}" if figures.get(what) else "" for what in ("import", "get")]
        modules = f"{median(figures['modules']):.0f}" if figures.get("modules") else ""
        print(f"  {name:<18}{row[0]:>8}{modules:>9}{row[1]:>9}".rstrip())
