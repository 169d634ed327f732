"""Runs the scenarios of one subject, each in a process of its own: `python -m facts.worker SUBJECT FOLDER [NAME …]`.

The process that is started imports the library once and then forks for each scenario, which costs no second
import. A record goes to the standard output as one line of JSON.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .answers import BOUNDARY, PREFACE, answer, masked, sent_frames
from .recorder import Recorder
from .scenarios import BY_NAME, SCENARIOS, Scenario
from .subjects import Ask, code

KEPT = 1200  # bytes of a body or of one direction that are kept; what is longer is described


def main(subject: str, folder: str, names: list[str]) -> None:
    """Print the records of this subject."""
    warnings.simplefilter("ignore")  # what a library deprecates is no answer here
    namespace: dict[str, Any] = {}
    exec((code(subject, Ask()) or code(subject, BY_NAME["blocking-generator"].ask) or "").split("\n\n\n")[0], namespace)
    if subject.startswith("unifetch:"):  # its backend comes with the first call, which is not to be measured
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(subject.partition(":")[2])
    for scenario in [BY_NAME[name] for name in names] if names else SCENARIOS:
        source = code(subject, scenario.ask)
        if source is None:
            continue
        if scenario.tls and "SSL_CERT_FILE" not in os.environ:
            afresh(scenario, subject, folder)
            continue
        record = in_a_process(partial(run, scenario, source, Path(folder)))
        print(json.dumps({"scenario": scenario.name, "subject": subject, "record": record}), flush=True)


def afresh(scenario: Scenario, subject: str, folder: str) -> None:
    """Run it in a new interpreter, as libraries read the trust store when they are imported."""
    environ = {name: value.format(ca=f"{folder}/ca.pem", port="") for name, value in scenario.environ.items()}
    command = [sys.executable, "-m", "facts.worker", subject, folder, scenario.name]
    sys.stdout.write(subprocess.run(command, env={**os.environ, **environ}, stdout=-1, text=True, check=True).stdout)


def in_a_process(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` returns, from a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writing, "w") as pipe:
            try:
                json.dump(work(), pipe)
            except BaseException as error:  # noqa: BLE001  # or the parent would only see that nothing came
                json.dump({"broken": repr(error)}, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        record: dict[str, Any] = json.load(pipe)
    os.waitpid(child, 0)
    if "broken" in record:
        raise RuntimeError(record["broken"])
    return record


def run(scenario: Scenario, source: str, folder: Path) -> dict[str, Any]:
    """One record."""
    tls = None
    if scenario.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / f"{scenario.tls}.pem")
        if scenario.alpn:
            tls.set_alpn_protocols(list(scenario.alpn))
    with Recorder(scenario.script, early=scenario.early, tls=tls) as recorder:
        for name, value in scenario.environ.items():
            os.environ[name] = value.format(port=recorder.port, ca=folder / "ca.pem")
        for name, text in scenario.files.items():
            path = folder / f"{name.lower()}-{os.getpid()}"
            path.write_text(text)
            path.chmod(0o600)
            os.environ[name] = str(path)
        host = "localhost" if scenario.tls == "common-name" else next(iter(scenario.hosts), "127.0.0.1")
        if scenario.hosts:
            lead(scenario.hosts, recorder.port)
        url = f"{'https' if tls else 'http'}://{host}:{recorder.port}"
        namespace: dict[str, Any] = {}
        # `time` and `tempfile` belong to what stands around a call, not to the call.
        exec(compile("import tempfile\nimport time\n" + source, scenario.name, "exec"), namespace)
        began = recorder.began = time.monotonic()
        outcome = called(lambda: namespace["ask"](url), scenario.limit)
        seconds = time.monotonic() - began
        time.sleep(0.02)  # so that the recorder has noted what the client sent last
        return written(scenario, recorder, outcome, seconds, folder)


def lead(hosts: Mapping[str, tuple[str, ...]], port: int) -> None:
    """Let these names lead to these addresses, in this process; at 127.0.0.2 nobody answers."""
    by_the_system = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return [address for each in hosts.get(name, (host,)) for address in by_the_system(each, *arguments, **more)]

    socket.getaddrinfo = getaddrinfo
    if any("127.0.0.2" in addresses for addresses in hosts.values()):
        listener = socket.socket()
        listener.bind(("127.0.0.2", port))
        listener.listen(0)
        SILENT.append(listener)
        for _ in range(8):  # its queue is full, and the system drops whoever comes next
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.2", port))
            SILENT.append(caller)


SILENT: list[socket.socket] = []  # open until the process ends


def called(ask: Callable[[], Any], limit: float) -> dict[str, Any]:
    """What came of a call, within so many seconds."""
    done: list[dict[str, Any]] = []

    def work() -> None:
        try:
            status, headers, body = ask()
            fields = [[str(name), str(value)] for name, value in headers]
            done.append({"kind": "value", "status": status, "headers": fields, "body": shown(body)})
        except BaseException as error:  # noqa: BLE001  # whatever a library raises is the answer
            kind = type(error)
            done.append({"kind": "error", "class": f"{kind.__module__}.{kind.__qualname__}", "text": text_of(error)})

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit)
    return done[0] if done else {"kind": "waiting", "after": limit}


def text_of(error: BaseException) -> str:
    text = str(error)
    output = getattr(error, "stderr", None)  # of curl
    if isinstance(output, bytes):
        text = re.sub(r"Command '.*' ", "curl ", text) + " " + output.decode().strip()
    return text[:600]


def shown(body: object) -> str | None:
    """The body as text: bytes as ISO-8859-1, one character for each byte; what was parsed, as JSON."""
    if body is None:
        return None
    text = body.decode("latin-1") if isinstance(body, bytes) else body if isinstance(body, str) else json.dumps(body)
    return shortened(text)


def shortened(text: str) -> str:
    return text if len(text) <= KEPT else f"{text[:200]}… ({len(text)} bytes)"


def written(
    scenario: Scenario, recorder: Recorder, outcome: dict[str, Any], seconds: float, folder: Path
) -> dict[str, Any]:
    """The record, without what differs from run to run, but for `at` and `seconds`."""
    events = list(recorder.events)
    whole = b"".join(event.data for event in events if event.way == "sent").decode("latin-1")
    boundaries = tuple(dict.fromkeys(BOUNDARY.findall(whole)))

    in_frames = whole.startswith(PREFACE)

    def mask(text: str) -> str:
        if in_frames and not text.isprintable():  # the length of a frame would no longer be right
            return text
        return masked(text.replace(str(folder), "FOLDER"), recorder.port, boundaries)

    wire: list[list[Any]] = []
    at: list[float] = []
    for event in events:
        if scenario.brief and event.connection > 1:
            continue
        data = event.data.decode("latin-1")
        # Where the system cuts a stream is nobody's decision: what follows in the same direction is one piece.
        last = next((piece for piece in reversed(wire) if piece[0] == event.connection), None)
        if last is not None and last[1] == event.way:
            last[2] += data
        else:
            wire.append([event.connection, event.way, data])
            at.append(round(event.at, 4))
    record: dict[str, Any] = {
        "outcome": json.loads(mask_json(outcome, mask)),
        "requests": len(recorder.requests),
        "connections": recorder.connections,
        "wire": [[number, way, shortened(mask(data))] for number, way, data in wire],
        "order": order(recorder),
        "at": at,
        "seconds": round(seconds, 4),
    }
    if in_frames:
        record["fields"] = decoded(record, mask)
    record["answer"] = answer(scenario.shows, record)
    del record["order"]
    return record


def decoded(record: dict[str, Any], mask: Callable[[str], str]) -> list[list[str]]:
    """The fields of the first request, of the bytes of its HEADERS frame."""
    import hpack  # comes with h2, without which nobody here speaks HTTP/2

    for kind, flags, _stream, data in sent_frames(record):
        if kind == 1:
            block = data[9:].encode("latin-1")
            block = block[5:] if flags & 0x20 else block  # a priority comes first
            return [[mask(str(name)), mask(str(value))] for name, value in hpack.Decoder().decode(block)]
    return []


def mask_json(outcome: dict[str, Any], mask: Callable[[str], str]) -> str:
    """The outcome as JSON, with every text in it masked."""

    def each(value: Any) -> Any:
        if isinstance(value, str):
            return mask(value)
        if isinstance(value, list):
            return [each(item) for item in value]
        return value

    return json.dumps({key: each(value) for key, value in outcome.items()})


def order(recorder: Recorder) -> list[int]:
    """On which connection each request came: as often as it carried one, in the order of the first bytes."""
    numbers: list[int] = []
    data: dict[int, str] = {}
    for event in recorder.events:
        if event.way == "sent":
            before = data.get(event.connection, "")
            data[event.connection] = before + event.data.decode("latin-1")
            count = len(REQUEST_LINE.findall(data[event.connection])) - len(REQUEST_LINE.findall(before))
            numbers += [event.connection] * count
    return numbers


REQUEST_LINE = re.compile(r"(?:^|(?<=\n)|(?<=\w))[A-Z]+ \S+ HTTP/1\.[01]\r\n")


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main(sys.argv[1], sys.argv[2], sys.argv[3:])
