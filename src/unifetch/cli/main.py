"""The command line: fetch a URL, list the backends, show that they agree.

What was asked for goes to standard output, everything else to standard error. It is no curl: it has the
options that show what the library does, and nothing that the library does not do.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from contextlib import ExitStack, contextmanager, suppress
from functools import partialmethod
from io import TextIOWrapper

from ..backends import BACKENDS, available_backends, how_to_install, is_installed, load
from ..backends import capabilities as capabilities_of
from ..backends.base import Capability
from ..client.config import chosen_backend
from ..client.new_file import EXACT, place_of, take_name
from ..client.sync_client import Client
from ..errors import (
    ConfigError,
    ConnectError,
    InvalidRequest,
    InvalidURL,
    StatusError,
    TimedOut,
    TLSError,
    UnifetchError,
)
from ..masking import masked, masked_field
from ..model.headers import Headers
from ..model.url import URL
from ..observe import events
from ..version import VERSION
from .progress_bar import ProgressBar

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, BinaryIO, TextIO

USAGE, INTERRUPTED = 2, 130

# The first row that fits gives the exit code.
EXIT_CODES: dict[type[Exception], int] = {
    InvalidRequest: USAGE,
    ConfigError: USAGE,
    TimedOut: 4,
    TLSError: 5,
    ConnectError: 3,
    StatusError: 22,
    UnifetchError: 6,
    OSError: USAGE,  # a file that cannot be read or written
    ImportError: USAGE,  # a library that is broken
}

# What a library stands on, and what decides much of how it behaves.
ENGINES = {"requests": "urllib3", "httpx": "httpcore", "httpx2": "httpcore2"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the program's name; those of this process by default.

    Returns:
        The exit code: 0; 2 for wrong usage, also of a file; 3 no connection; 4 timeout; 5 TLS; 6 any other
        error of the protocol; 22 a status of 400 and above with `--fail` or into a file; 130 when interrupted.
        `demo` returns 1 if the backends disagree.

    Raises:
        SystemExit: 2 for arguments that cannot be parsed, 0 for `--help` and `--version`.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help(sys.stderr)
        return USAGE
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # where standard output is ASCII
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        code = 0  # whoever reads our output has seen enough, as `head` does
    except tuple(EXIT_CODES) as error:
        for text in (f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())):
            _say(f"unifetch: {printable(text)}")
        code = next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
    except KeyboardInterrupt:
        code = INTERRUPTED
    try:
        sys.stdout.flush()
    except OSError:
        # Python flushes once more at exit, and would complain.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unifetch", description="One HTTP client, whichever library carries the request.", allow_abbrev=False
    )
    parser.set_defaults(run=None)
    parser.add_argument("--version", action="version", version=f"unifetch {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND")

    get = commands.add_parser("get", help="fetch a URL; its body goes to standard output", allow_abbrev=False)
    get.set_defaults(run=_get)
    get.add_argument("url", metavar="URL", help="absolute, http or https")
    get.add_argument("-b", "--backend", metavar="NAME", help=f"who carries the request: {', '.join(BACKENDS)}")
    get.add_argument("-X", "--method", metavar="NAME", help="the method; by default GET, with a body POST")
    get.add_argument("-H", "--header", metavar="'NAME: VALUE'", action="append", default=[], help="a header field")
    body = get.add_mutually_exclusive_group()
    body.add_argument("-d", "--data", metavar="TEXT", help="a body of text; @FILE sends a file, @- standard input")
    body.add_argument("--json", metavar="TEXT", help="a body of JSON, checked and sent as it is")
    get.add_argument("-o", "--output", metavar="FILE", help="write the body to FILE, which changes once it is complete")
    get.add_argument("-c", "--continue", dest="resume", action="store_true", help="go on where -o FILE broke off")
    get.add_argument("--timeout", metavar="SECONDS", type=float, help="for all of it; else each phase has its own")
    get.add_argument("--http2", action="store_true", help="offer HTTP/2, where the backend has it: -b socket")
    get.add_argument("-v", "--verbose", action="store_true", help="show the heads of requests and responses")
    get.add_argument("--fail", action="store_true", help="exit with 22, and no body, for a status of 400 and above")

    backends = commands.add_parser("backends", help="list the backends and what each can do", allow_abbrev=False)
    backends.set_defaults(run=_backends)

    from .cassette import add_to

    add_to(commands)
    demo = commands.add_parser("demo", help="send the same requests through every backend", allow_abbrev=False)
    demo.set_defaults(run=_demo)
    return parser


# --- get ------------------------------------------------------------------------------------------


def _get(options: argparse.Namespace) -> int:
    with ExitStack() as files, Client(options.backend, listeners=_show if options.verbose else ()) as client:
        call, path = _call(options, files), options.output
        is_file = path not in (None, "-") and (os.path.isfile(path) or not os.path.exists(path))
        is_download = is_file and call["method"] == "GET" and "body" not in call
        if options.resume and not is_download:
            raise InvalidRequest("-c goes on with a file: it needs -o FILE, and a GET without a body")
        try:
            if is_download:
                return _download(client, options, call)
            stream = client.stream(url=options.url, **call)
        except InvalidURL as error:
            raise InvalidURL(f"{error}{_hint(options.url)}") from error
        # Before anything is sent, so that no answer is lost to a file that cannot be written.
        with _output(path) as output, stream as response:
            if options.fail:
                response.raise_for_status()
            for piece in response.body:
                output.write(piece)
                output.flush()  # what is there is shown, also when more is to come
    return 0


def _download(client: Client, options: argparse.Namespace, call: dict[str, Any]) -> int:
    del call["method"]
    with ProgressBar(sys.stderr) as bar:
        client.download(options.url, options.output, resume=options.resume, progress=bar, **call)
    return 0


def _call(options: argparse.Namespace, files: ExitStack) -> dict[str, Any]:
    """The arguments of the call, from the options."""
    fields = []
    for header in options.header:
        name, colon, value = header.partition(":")
        if not colon:
            raise InvalidRequest("-H takes 'NAME: VALUE', and there is no colon")  # what there is may be a credential
        fields.append((name, value))
    call: dict[str, Any] = {"headers": fields}
    if options.timeout is not None:
        call["timeout"] = options.timeout
    if options.http2:
        call["http2"] = True
    if options.json is not None:
        call["body"] = _checked_json(options.json)
        if not any(name.lower() == "content-type" for name, _ in fields):
            fields.append(("Content-Type", "application/json"))
    elif options.data == "@-":
        call["body"] = sys.stdin.buffer
    elif options.data is not None and options.data.startswith("@"):
        call["body"] = files.enter_context(open(options.data[1:], "rb"))  # noqa: SIM115  # `files` closes it
    elif options.data is not None:
        call["body"] = options.data
    call["method"] = options.method or ("POST" if "body" in call else "GET")
    return call


def _checked_json(text: str) -> str:
    # The text itself is sent: reading and writing it would round numbers and drop duplicates.
    import json

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number of JSON")

    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"--json is not JSON: {error}") from error
    return text


def _hint(text: str) -> str:
    if ":/" not in text:
        with suppress(InvalidURL):
            return f"; did you mean '{URL(f'http://{text}')}'?"
    return ""


@contextmanager
def _output(path: str | None) -> Iterator[BinaryIO]:
    """Where the body goes. A file takes its name at the end, so that a failure leaves what was there before."""
    if path is None or path == "-":
        yield sys.stdout.buffer
        return
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "ab") as device:  # or a pipe: nothing may take its place; a directory fails
            yield device
            return
    target = place_of(path)
    unfinished = os.path.join(os.path.dirname(target), f".{os.urandom(8).hex()}.unifetch-part")
    try:
        file = open(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | EXACT, 0o600), "r+b")  # noqa: SIM115  # closed below
    except OSError as error:
        error.filename = path
        raise
    try:
        with file:
            yield file
            take_name(file, unfinished, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
        raise


def _show(event: events.Event) -> None:
    """Show the heads that go over the wire, as `-v` asks."""
    style = Style(sys.stderr)
    if isinstance(event, events.Attempt):
        _say(style.dim(f"* {event.request.url.origin} through {printable(event.backend)}"))
        _say(f"> {style.bold(event.request.method)} {masked(event.request.url.target)} HTTP/1.1")
        _show_fields(">", event.headers, style)
    elif isinstance(event, events.ResponseHead):
        _say(f"< {event.http_version} {style.bold(str(event.status))} {printable(event.reason)}".rstrip())
        _show_fields("<", event.headers, style)


def _show_fields(mark: str, headers: Headers, style: Style) -> None:
    for name, value in headers.pairs:
        _say(f"{mark} {style.cyan(printable(name))}: {printable(masked_field(name, value))}")
    _say(mark)


# --- backends -------------------------------------------------------------------------------------


def _backends(options: argparse.Namespace) -> int:
    style = Style(sys.stdout)
    default, reason = map(str, chosen_backend())
    capabilities: dict[str, frozenset[Capability]] = {}
    for name in dict.fromkeys([*BACKENDS, *available_backends()]):
        entry = BACKENDS.get(name)
        if entry is not None and not is_installed(entry):
            found = style.dim(f"not installed: {how_to_install(name)}")
        else:
            try:
                capabilities[name] = capabilities_of(name)
                found = "of another distribution" if entry is None else _version(entry.library)
            except Exception as error:  # noqa: BLE001  # a broken library raises what it likes when it is imported
                found = style.red(printable(f"broken: {type(error).__name__}: {error}")[:66])
        print(f"{style.green('*' if name == default else ' ')} {style.bold(f'{name:10}')} {found}")
    if _is_urllib3_future():
        print(style.red("\nWarning: niquests has put urllib3-future in the place of urllib3."))
    print(f"\n{style.green('*')} {printable(default)} is used where none is named ({reason}).\n")
    _print_matrix(capabilities, style)
    if default not in capabilities and default not in BACKENDS:
        sys.stdout.flush()
        load(default)  # its error says which names there are
    return 0


def _version(library: str) -> str:
    """What is imported, which need not be what was installed under that name."""
    if library in sys.stdlib_module_names:
        return "Python {}.{}.{}".format(*sys.version_info)
    version = str(getattr(sys.modules.get(library), "__version__", "(no version)"))
    return f"{version} on {ENGINES[library]} {_version(ENGINES[library])}" if library in ENGINES else version


def _is_urllib3_future() -> bool:
    module = sys.modules.get("urllib3")
    version = re.match(r"[0-9]+\.[0-9]+\.([0-9]+)", str(getattr(module, "__version__", "")))
    return hasattr(module, "backend") or (version is not None and int(version[1]) >= 900)


def _print_matrix(capabilities: dict[str, frozenset[Capability]], style: Style) -> None:
    width = max(len(capability.name) for capability in Capability)
    print(style.bold("  ".join([f"{'capability':{width}}", *capabilities])))
    for capability in Capability:
        cells = [f"{capability.name:{width}}"]
        for name, having in capabilities.items():
            cells.append(style.green(f"{'yes':{len(name)}}") if capability in having else f"{'no':{len(name)}}")
        print("  ".join(cells).rstrip())
        print(style.dim(f"  {capability.value}"))


# --- demo -----------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    from .demo import run

    return run()


# --- The terminal ---------------------------------------------------------------------------------


class Style:
    """Bold and colours for what a terminal shows: none through a pipe, none where NO_COLOR is set."""

    def __init__(self, stream: TextIO) -> None:
        self._on = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def _as(self, code: int, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on and text.strip() else text

    bold = partialmethod(_as, 1)
    dim = partialmethod(_as, 2)
    red = partialmethod(_as, 31)
    green = partialmethod(_as, 32)
    cyan = partialmethod(_as, 36)


def printable(text: str) -> str:
    """Text of a server, on one line and without what would move the cursor or forge another."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
