"""The command line: fetch a URL, list the backends, show that they agree.

What was asked for goes to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

from . import events
from .backends import BACKENDS, adapter, available_backends, how_to_install, is_installed
from .backends.base import Capability
from .client import Client
from .config import ENVIRONMENT_VARIABLE, chosen_backend
from .errors import ConfigError, ConnectError, InvalidRequest, TimedOut, TLSError, UnifetchError
from .headers import CREDENTIALS, REDACTED, Headers
from .version import VERSION

USAGE, CONNECT, TIMEOUT, TLS, PROTOCOL, STATUS = 2, 3, 4, 5, 6, 22

# The first row that fits gives the exit code.
EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (InvalidRequest, USAGE),
    (ConfigError, USAGE),
    (TimedOut, TIMEOUT),
    (TLSError, TLS),
    (ConnectError, CONNECT),
    (UnifetchError, PROTOCOL),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the program's name; those of this process by default.

    Returns:
        The exit code: 0, 2 for wrong usage, 3 no connection, 4 timeout, 5 TLS, 6 another error of the
        protocol, 22 a status of 400 and above with `--fail`, 130 when interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has gone, as `head` does. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unifetch", description="One HTTP client, whichever library carries the request."
    )
    parser.add_argument("--version", action="version", version=f"unifetch {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    get = commands.add_parser("get", help="fetch a URL; its body goes to standard output")
    get.set_defaults(run=_get)
    get.add_argument("url", metavar="URL")
    get.add_argument("-b", "--backend", metavar="NAME", help=f"who carries the request: {', '.join(BACKENDS)}")
    get.add_argument("-X", "--method", metavar="NAME", help="the method, if it is not GET (POST with a body)")
    get.add_argument("-H", "--header", metavar="'NAME: VALUE'", action="append", default=[], help="a header field")
    body = get.add_mutually_exclusive_group()
    body.add_argument("-d", "--data", metavar="TEXT", help="a body of text; @FILE sends a file, @- standard input")
    body.add_argument("--json", metavar="TEXT", help="a body of JSON, checked before it is sent")
    get.add_argument("-o", "--output", metavar="FILE", help="write the body to FILE")
    get.add_argument("--timeout", metavar="SECONDS", type=float, help="for everything together (default 300)")
    get.add_argument("-v", "--verbose", action="store_true", help="show the heads of requests and responses")
    get.add_argument("--fail", action="store_true", help="exit with 22 for a status of 400 and above")

    backends = commands.add_parser("backends", help="list the backends and what they can do")
    backends.set_defaults(run=_backends)

    demo = commands.add_parser("demo", help="send the same requests through every installed backend")
    demo.set_defaults(run=_demo)
    return parser


# --- get ------------------------------------------------------------------------------------------


def _get(options: argparse.Namespace) -> int:
    try:
        call = _call(options)
        with Client(options.backend, listeners=_show if options.verbose else ()) as client:
            with client.stream(call.pop("method"), options.url, **call) as response:
                if not (options.fail and not response.ok):
                    _write(response.body, options.output)
        if options.fail and not response.ok:
            _say(f"{response.status} {response.reason}".strip())
            return STATUS
        return 0
    except UnifetchError as error:
        _say(f"{type(error).__name__}: {error}")
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except BrokenPipeError:
        raise
    except OSError as error:  # a file that cannot be read or written
        _say(str(error))
        return USAGE


def _call(options: argparse.Namespace) -> dict[str, Any]:
    call: dict[str, Any] = {"timeout": options.timeout if options.timeout is not None else 300}
    fields = []
    for header in options.header:
        name, colon, value = header.partition(":")
        if not colon:
            raise InvalidRequest(f"-H takes 'NAME: VALUE', not {name!r}")
        fields.append((name, value))
    if options.json is not None:
        import json

        try:
            call["json"] = json.loads(options.json)
        except ValueError as error:
            raise InvalidRequest(f"--json is not JSON: {error}") from error
        if call["json"] is None:  # json=None would mean that there is no body
            del call["json"]
            call["body"] = "null"
            fields.append(("Content-Type", "application/json"))
    elif options.data == "@-":
        call["body"] = sys.stdin.buffer
    elif options.data is not None and options.data.startswith("@"):
        call["body"] = open(options.data[1:], "rb")  # noqa: SIM115  # closed with the process
    elif options.data is not None:
        call["body"] = options.data
    call["method"] = options.method or ("POST" if "body" in call or "json" in call else "GET")
    call["headers"] = fields
    return call


def _write(body: Any, path: str | None) -> None:
    if path is None:
        _copy(body, sys.stdout.buffer)
    else:
        with open(path, "wb") as file:
            _copy(body, file)


def _copy(body: Any, file: BinaryIO) -> None:
    for piece in body:
        file.write(piece)
        file.flush()  # what is there is shown, also when more is to come


def _show(event: events.Event) -> None:
    """Show the heads that go over the wire, as `-v` asks."""
    if isinstance(event, events.Attempt):
        url = event.request.url
        _say(_dim(f"* {url.origin} by {event.backend}"))
        _say(f"> {_bold(event.request.method)} {url.target} HTTP/1.1")
        _fields(">", event.headers)
    elif isinstance(event, events.ResponseHead):
        _say(f"< {event.http_version} {_bold(str(event.status))} {_printable(event.reason)}")
        _fields("<", event.headers)


def _fields(mark: str, headers: Headers) -> None:
    for name, value in headers.pairs:
        shown = REDACTED if name.lower() in CREDENTIALS else _printable(value)
        _say(f"{mark} {_cyan(name)}: {shown}")
    _say(mark)


# --- backends -------------------------------------------------------------------------------------


def _backends(options: argparse.Namespace) -> int:
    default, reason = chosen_backend()
    for name, entry in BACKENDS.items():
        mark = f"  <- used here, by {reason}" if name == default else ""
        if not is_installed(entry):
            print(f"{_bold(name):{10 + _invisible()}} {_dim('not installed: ' + how_to_install(name))}{mark}")
            continue
        module = adapter(name)
        print(f"{_bold(name):{10 + _invisible()}} {_version(entry.library)}{_green(mark)}")
        lacking = [capability.name.lower() for capability in Capability if capability not in module.CAPABILITIES]
        having = [capability.name.lower() for capability in Capability if capability in module.CAPABILITIES]
        for line in _wrapped("can", having):
            print(f"           {line}")
        for line in _wrapped("cannot", lacking):
            print(_dim(f"           {line}"))
    if default not in BACKENDS:
        print(f"\n{default!r} is used here, by {reason}")
    return 0


def _version(library: str) -> str:
    """The version of the module that is imported, which need not be the one that was installed under its name."""
    if library == "urllib":
        return "Python {}.{}.{}".format(*sys.version_info)
    return str(getattr(sys.modules[library], "__version__", "?"))


def _wrapped(title: str, words: list[str]) -> list[str]:
    import textwrap

    if not words:
        return []
    return textwrap.wrap(f"{title + ':':7} {', '.join(words)}", 68, subsequent_indent=" " * 8)


# --- demo -----------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    from .demo import run

    return run(available_backends(), bold=_bold, dim=_dim, good=_green, bad=_red)


# --- The terminal ---------------------------------------------------------------------------------


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _printable(text: str) -> str:
    """Text of a server without what would move the cursor or forge a line."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
