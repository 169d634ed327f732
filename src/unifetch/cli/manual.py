"""What is made from the parser: the completion of three shells, and the manual page."""

from __future__ import annotations

import argparse

from ..backends import BACKENDS
from ..version import VERSION
from .parser import COMMANDS, METHODS, command_parser, request_parser

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHELLS = ("bash", "zsh", "fish")

EXIT_CODES = (
    (0, "an answer came; also one with a status of 400 and above, unless --fail or a file was asked for"),
    (1, "demo: the backends differ; cassette: something is wrong with a recording"),
    (2, "wrong usage, or a file that cannot be read or written; nothing was sent"),
    (3, "no connection: the name, the address, the proxy"),
    (4, "a timeout"),
    (5, "TLS: a certificate, a version"),
    (6, "any other error of the protocol: an answer that broke off, one that HTTP does not allow"),
    (22, "a status of 400 and above, with --fail or into a file"),
    (130, "interrupted by Ctrl-C"),
)


def run(word: str, arguments: Sequence[str]) -> int:
    """Print the completion of a shell, or the manual page."""
    parser = command_parser(word)
    if word == "completion":
        parser.add_argument("shell", choices=SHELLS)
        print("\n".join(_completion(parser.parse_args(arguments).shell)))
    else:
        parser.parse_args(arguments)
        print("\n".join(_roff()))
    return 0


def groups() -> Iterator[tuple[str, list[argparse.Action]]]:
    """The options of a request, by what they are about."""
    for group in request_parser()._action_groups:
        options = [action for action in group._group_actions if action.option_strings]
        if options:
            yield str(group.title), options


def invocation(option: argparse.Action) -> str:
    """The names of an option, and what it takes."""
    metavar = option.metavar or "|".join(option.choices or ())
    value = "" if option.nargs == 0 or not metavar else f" [{metavar}]" if option.nargs == "?" else f" {metavar}"
    return ", ".join(option.option_strings) + value


def _completion(shell: str) -> Iterator[str]:
    options = [option for _, each in groups() for option in each]
    names = [name for option in options for name in option.option_strings]
    words = [*METHODS, *COMMANDS]
    if shell == "fish":
        yield f"complete -c unifetch -n __fish_is_first_arg -f -a '{' '.join(words)}'"
        for option in options:
            flags = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.option_strings
            )
            takes = "" if option.nargs == 0 else " -r"
            values = f" -f -a '{' '.join(BACKENDS)}'" if option.dest == "backend" else ""
            said = str(option.help).split(";")[0].replace("'", "")
            yield f"complete -c unifetch {flags}{takes}{values} -d '{said}'"
        return
    if shell == "zsh":
        yield "#compdef unifetch"
        yield "autoload -U +X bashcompinit && bashcompinit"
    yield "_unifetch() {"
    yield '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"'
    yield '    case "$before" in'
    yield f"        -b|--backend) COMPREPLY=($(compgen -W '{' '.join(BACKENDS)}' -- \"$word\")); return ;;"
    yield '        -o|--output|--cacert|--cert|--key|--cookie-jar) COMPREPLY=($(compgen -f -- "$word")); return ;;'
    yield f"        completion) COMPREPLY=($(compgen -W '{' '.join(SHELLS)}' -- \"$word\")); return ;;"
    yield "    esac"
    yield f"    if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '{' '.join(names)}' -- \"$word\"))"
    yield f"    elif [[ $COMP_CWORD == 1 ]]; then COMPREPLY=($(compgen -W '{' '.join(words)}' -- \"$word\")); fi"
    yield "}"
    yield "complete -o default -F _unifetch unifetch"


def _roff() -> Iterator[str]:
    yield f'.TH UNIFETCH 1 "" "unifetch {VERSION}" "User Commands"'
    yield from (".SH NAME", r"unifetch \- one HTTP client, whichever library carries the request")
    yield from (".SH SYNOPSIS", r".B unifetch", r"[\fIMETHOD\fR] \fIURL\fR [\fIITEM\fR ...] [\fIOPTION\fR ...]")
    for name, (what, _) in COMMANDS.items():
        yield from (".br", f".B unifetch {name}", f"\\- {_escaped(what)}")
    yield from (
        ".SH DESCRIPTION",
        "Sends one request. The body of its answer goes to standard output, all else to standard",
    )
    yield "error. Redirects are followed, 20 at most. A terminal is shown JSON indented and text without escapes;"
    yield "a pipe gets the bytes."
    yield ".SH ITEMS"
    for item, what in ITEMS:
        yield from (".TP", f".B {_escaped(item)}", _escaped(what))
    yield ".SH OPTIONS"
    for title, options in groups():
        yield f".SS {title.capitalize()}"
        for option in options:
            yield from (".TP", f".B {_escaped(invocation(option))}", _escaped(str(option.help)))
    yield ".SH EXIT STATUS"
    for code, what in EXIT_CODES:
        yield from (".TP", f".B {code}", _escaped(what))
    yield from (".SH ENVIRONMENT", ".TP", ".B UNIFETCH_BACKEND", "the backend, where -b names none")
    yield from (".TP", ".B HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY", "the proxies, where -x names none")
    yield from (".TP", ".B NO_COLOR", "no colours, if it is not empty")


ITEMS = (
    ("Name:value", "a header field; `Name:` leaves a default one out"),
    ("name==value", "a parameter of the query"),
    ("name=value", "a text in the body, which is JSON, or a form with -F"),
    ("name:=json", "a value of JSON: a number, true, null, a list"),
    ("name@file", "with -F: a file"),
    ("name=@file", "the text of a file; with -F the file itself. :=@ and :@ read a value of JSON or a header from one"),
)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
