"""`unifetch compare URL`: what each library sends by its own call, what unifetch sends over it, and what comes of it.

The sockets of this process are watched, so the server sees the libraries as they are, and TLS hides nothing. GET only:
it is what may be sent to a server thirteen times.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import warnings
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path

from ..backends import BACKENDS, available_backends, is_installed, load
from ..client.sync_client import Client
from ..errors import ConfigError
from ..masking import masked, masked_field, masked_url
from ..model.timeouts import Timeout
from ..policies.tls import TLS
from .parser import command_parser
from .terminal import Style, columns, printable, wrapped
from .trace import watched

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ..testing import Server

    Answer = tuple[int, Iterable[tuple[str, str]], bytes]
    Call = Callable[[str, float, "Trust"], Answer]

ROW = "{:17}  {!s:6}  {!s:>9}  {:>8}  {:>9}"
NOT_SENT = "(not there)"
CONNECTION_FAILED = 3


def run(word: str, arguments: Sequence[str]) -> int:
    """Ask with each subject in turn, and print what they sent and what came of it.

    Returns:
        The exit code: 0 if anybody had an answer, 3 if nobody had.
    """
    parser = command_parser(word, "Each sends one GET. Credentials are masked.")
    parser.add_argument("url", nargs="?", default="", metavar="URL", help="of a server of yours; with --script a path")
    parser.add_argument(
        "--script",
        metavar="FILE",
        help="answer from FILE: bytes, sent as they are; a .py file is run, and has a SCRIPT of unifetch.testing",
    )
    parser.add_argument("-k", "--insecure", action="store_true", help="each accepts any certificate")
    parser.add_argument("--cacert", metavar="FILE", help="each trusts these certificates (PEM), and no others")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=10.0, help="for each; 10 by default")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse_args(arguments)
    if not options.script and "://" not in options.url:
        parser.error("a URL with http:// or https:// is needed, or --script FILE")
    if options.script and "://" in options.url:
        parser.error("--script answers in place of a server: give a path in place of the URL, or leave one of them out")
    Timeout(options.timeout)  # what is none is an error of usage, and not a result of each
    trust = Trust(options.cacert, insecure=options.insecure)
    with _server(options.script) as server:
        url = options.url
        if server is not None:
            url = f"{server.url}/{url.lstrip('/')}"
        records = [_record(name, call, url, options.timeout, trust, server) for name, call in _subjects()]
    print(json.dumps(records, indent=2)) if options.json else _show(url, records)
    return 0 if any("status" in record for record in records) else CONNECTION_FAILED


def _server(file: str | None) -> Any:
    if file is None:
        return nullcontext()
    from ..testing import Close, Server

    data = Path(file).read_bytes()
    if not file.endswith(".py"):
        return Server([data, Close()])
    names: dict[str, Any] = {}
    exec(compile(data, file, "exec"), names)  # noqa: S102  # the user named this file to be run
    if "SCRIPT" not in names:
        raise ConfigError(f"{file} has no SCRIPT: write SCRIPT = unifetch.testing.reply(200), or any other script")
    return Server(names["SCRIPT"])


class Trust:
    """Which certificates are accepted: where the user says nothing, each library's own opinion.

    Attributes:
        settings: of unifetch.
        context: for the libraries that take one; None for their own.
        verify: the same as requests has it.
    """

    settings: dict[str, Any]
    context: ssl.SSLContext | None
    verify: bool | str

    def __init__(self, ca_file: str | None, *, insecure: bool) -> None:
        self.settings = {"verify": False} if insecure else {"ca_file": ca_file} if ca_file else {}
        self.context = TLS.of(self.settings).context() if self.settings else None
        self.verify = not insecure and (ca_file or True)


# --- Who is asked: each library by the call that its documentation shows first ---------------------


def _urllib(url: str, timeout: float, trust: Trust) -> Answer:
    from urllib.request import urlopen

    with urlopen(url, timeout=timeout, context=trust.context) as response:  # noqa: S310  # the user named this URL
        return response.status, response.headers.items(), response.read()


def _requests(url: str, timeout: float, trust: Trust) -> Answer:
    import requests

    response = requests.get(url, timeout=timeout, verify=trust.verify)
    return response.status_code, response.headers.items(), response.content


def _httpx(url: str, timeout: float, trust: Trust) -> Answer:
    import httpx

    response = httpx.get(url, timeout=timeout, verify=trust.context or True)
    return response.status_code, response.headers.multi_items(), response.content


def _httpx2(url: str, timeout: float, trust: Trust) -> Answer:
    import httpx2

    response = httpx2.get(url, timeout=timeout, verify=trust.context or True)
    return response.status_code, response.headers.multi_items(), response.content


def _urllib3(url: str, timeout: float, trust: Trust) -> Answer:
    import urllib3

    with urllib3.PoolManager(ssl_context=trust.context) as pool:
        response = pool.request("GET", url, timeout=timeout)
        return response.status, list(response.headers.items()), response.data


def _aiohttp(url: str, timeout: float, trust: Trust) -> Answer:
    import aiohttp

    async def ask() -> Answer:
        limit = aiohttp.ClientTimeout(total=timeout)
        async with aiohttp.ClientSession(timeout=limit) as session:
            async with session.get(url, ssl=trust.context or True) as response:
                return response.status, list(response.headers.items()), await response.read()

    return asyncio.run(ask())


OWN: dict[str, Call] = {
    "urllib": _urllib,
    "requests": _requests,
    "httpx": _httpx,
    "httpx2": _httpx2,
    "urllib3": _urllib3,
    "aiohttp": _aiohttp,
}


def _over(backend: str) -> Call:
    def ask(url: str, timeout: float, trust: Trust) -> Answer:
        with Client(backend=backend, timeout=timeout, tls=trust.settings) as client:
            response = client.get(url)
            return response.status, response.headers.items(), response.body

    return ask


def _subjects() -> list[tuple[str, Call]]:
    ours = [name for name in available_backends() if name in BACKENDS]
    for name in ours:
        load(name)  # so that no time is that of an import
    own = [(name, call) for name, call in OWN.items() if is_installed(name)]
    return own + [(f"unifetch:{name}", _over(name)) for name in ours]


# --- What happens ---------------------------------------------------------------------------------


def _record(name: str, call: Call, url: str, timeout: float, trust: Trust, server: Server | None) -> dict[str, Any]:
    sent: list[tuple[str, bytes]] = []  # with the scheme that they went by

    def keep(sock: socket.socket | None, mark: str, data: bytes) -> None:
        # The scripted server is in this process: what it sends is not what its clients send.
        if mark == ">" and not (sock is not None and server is not None and sock.getsockname()[1] == server.port):
            sent.append(("https" if sock is None else "http", bytes(data)))

    record: dict[str, Any] = {"subject": name}
    started = time.perf_counter()
    with watched(keep), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of certificates that are not verified: the user said so
        try:
            status, headers, body = call(url, timeout, trust)
            record |= {
                "status": status,
                "headers": [[field, masked_field(field, value)] for field, value in headers],
                "body_bytes": len(body),
            }
        except Exception as error:  # noqa: BLE001  # each library has classes of its own, and all are results here
            record["error"] = f"{type(error).__name__}: {_cut(masked(str(error)), 200)}"
    record["seconds"] = round(time.perf_counter() - started, 4)
    record["requests"] = [
        _request(scheme, head)
        for scheme, pieces in groupby(sent, key=lambda piece: piece[0])
        for head in b"".join(data for _, data in pieces).split(b"\r\n\r\n")
        if head
    ]
    return record


def _request(scheme: str, head: bytes) -> dict[str, Any]:
    line, *rest = head.decode("latin-1").split("\r\n")
    fields = [(name, value.strip()) for name, _, value in (field.partition(":") for field in rest)]
    method, _, target = line.rpartition(" ")[0].partition(" ")
    host = next((value for name, value in fields if name.lower() == "host"), "")
    address = f"{scheme}://{host}{target}" if target.startswith("/") else target
    return {
        "address": masked_url(address if method == "GET" else f"{address} ({method})"),
        "line": masked_url(line),
        "fields": [[name, masked_field(name, value)] for name, value in fields],
    }


# --- What is shown --------------------------------------------------------------------------------


def _show(url: str, records: list[dict[str, Any]]) -> None:
    style = Style(sys.stdout)
    names = [record["subject"] for record in records]
    print(f"GET {printable(masked_url(url))}\n")
    is_narrow = len(head := ROW.format("by", "status", "body", "requests", "time")) >= columns()
    if not is_narrow:
        print(style.bold(head))
    for record in records:
        sent, took = len(record["requests"]), f"{record['seconds'] * 1000:.1f} ms"
        status, size = record.get("status", "none"), record.get("body_bytes", "")
        if is_narrow:
            print(style.bold(record["subject"]))
            came = "no answer" if status == "none" else f"{status}, {size} bytes"
            print(f"  {came}, {sent} request{'' if sent == 1 else 's'}, {took}")
        else:
            print(ROW.format(record["subject"], status, size, sent, took))
        if "error" in record:
            print(style.red(wrapped(printable(record["error"]), 2)))
    print("\n" + wrapped("A body is counted as the library hands it over, so decoded where it decodes.") + "\n")
    hops = {record["subject"]: [each["address"] for each in record["requests"]] for record in records}
    if any(len(addresses) > 1 for addresses in hops.values()):
        print(style.bold("where they went"))
        _show_hops(hops, style)
        print()
    first = [record["requests"][0] if record["requests"] else {"line": NOT_SENT, "fields": []} for record in records]
    print(style.bold("what they send first"))
    _show_fields(names, [[("request line", each["line"]), *each["fields"]] for each in first], style)
    answered = [record for record in records if "status" in record]
    if answered:
        print(style.bold("\nthe headers that they give you"))
        _show_fields([each["subject"] for each in answered], [each["headers"] for each in answered], style)


def _show_hops(hops: dict[str, list[str]], style: Style) -> None:
    """Each way once, address by address, and who went it."""
    for way in dict.fromkeys(map(tuple, hops.values())):
        for number, address in enumerate(way or (NOT_SENT,), 1):
            print(f"  {number} {_cut(printable(address), columns() - 5)}")
        print(style.cyan(_listed([name for name, addresses in hops.items() if tuple(addresses) == way], list(hops))))


def _show_fields(names: list[str], messages: list[Any], style: Style) -> None:
    """Each field once, with the values that it has, and whose they are."""
    rows = [_joined(fields) for fields in messages]
    for field in dict.fromkeys(field for row in rows for field in row):
        whose: dict[str, list[str]] = {}
        for name, row in zip(names, rows, strict=True):
            whose.setdefault(row.get(field, NOT_SENT), []).append(name)
        print(f"  {printable(field)}")
        for value, who in whose.items():
            print(f"    {_cut(printable(value), columns() - 5)}")
            if len(who) < len(names):
                print(style.cyan(_listed(who, names)))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _listed(who: list[str], names: list[str]) -> str:
    ours = [name for name in names if name.startswith("unifetch:")]
    if ours and set(ours) <= set(who):
        who = [*(name for name in who if name not in ours), "unifetch over each"]
    return wrapped(", ".join(who), 8)


def _joined(fields: Any) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in fields:
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined
