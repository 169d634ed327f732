"""The words and options of the command line, written down once: for parsing, help, completion and the manual."""

from __future__ import annotations

import argparse
import os
import re
import sys

from ..backends import BACKENDS
from ..version import VERSION

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

# Who carries a request where nobody says. To import the library's own default, `urllib`, takes longer than all else.
BACKEND = "socket"

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")

# The commands beside a request: what each is for, and the module of this package that runs it.
COMMANDS = {
    "backends": ("list the backends, their versions, and where they differ", "backends"),
    "demo": ("send the same requests through every installed backend", "demo"),
    "compare": ("show what each library sends to a server of yours, by itself and through unifetch", "compare"),
    "cassette": ("look after recorded exchanges", "cassette"),
    "curl": ("read a command line of curl, and write it as one of ours", "curl"),
    "completion": ("write the completion of bash, zsh or fish", "manual"),
    "manual": ("write the manual page", "manual"),
}

# What other tools call a thing, and where it is here. An option in this table is an error that says so.
ELSEWHERE = {
    "-A": "-H 'User-Agent: NAME'",
    "--user-agent": "-H 'User-Agent: NAME'",
    "-G": "items: name==value goes into the query",
    "--get": "items: name==value goes into the query",
    "--data-binary": "-d @FILE, which sends the file as it is",
    "--data-raw": "-d TEXT",
    "--data-urlencode": "-F with items: name=value",
    "--raw": "-d TEXT",
    "--url-query": "items: name==value",
    "--location": "nothing: redirects are followed; -L N sets the most",
    "--follow": "nothing: redirects are followed; -L N sets the most",
    "--max-redirs": "-L N",
    "--max-redirects": "-L N",
    "-m": "--timeout SECONDS",
    "--max-time": "--timeout SECONDS",
    "--connect-timeout": "--timeout SECONDS, which covers all; without it connecting takes 10 seconds at most",
    "--max-filesize": "--limit SIZE",
    "-n": "--netrc",
    "--verify": "-k (no verification) or --cacert FILE",
    "--cert-key": "--key FILE",
    "--noproxy": "--no-proxy, or the environment variable NO_PROXY",
    "--http1.1": "nothing: HTTP/1.1 is the default",
    "--http2-prior-knowledge": "--http2-only",
    "-a": "-u USER:PASSWORD",
    "--auth": "-u USER:PASSWORD",
    "--oauth2-bearer": "--bearer TOKEN",
    "--auth-type": "--digest or --bearer TOKEN",
    "--session": "--cookie-jar FILE",
    "-j": "--json TEXT, or items: name=value makes JSON",
    "--check-status": "--fail",
    "-f": "--fail (curl's -f) or -F (HTTPie's -f, a form)",
    "--remote-name": "-O",
    "--download": "-O or -o FILE",
    "-C": "-c",
    "--continue-at": "-c",
    "--print": "-i for the head, -v for all of the conversation",
    "-p": "-i for the head, -v for all of the conversation",
    "--headers": "-I",
    "--ignore-stdin": "nothing: standard input is read only where -d @- says so",
    "--offline": "--as curl",
    "--compressed": "nothing: what is compressed is always decoded; --no-decode leaves it",
    "--pretty": "nothing: a terminal gets colours, a pipe the bytes",
    "-w": "--timing",
    "--write-out": "--timing",
    "--trace-ascii": "--trace",
    "--request": "-X",
    "--head": "-I",
    "--form-string": "-F with items: name=value",
    "--proxy-user": "-x http://USER:PASSWORD@HOST",
    "-T": "put URL -d @FILE",
    "--upload-file": "put URL -d @FILE",
    "-r": "an item: Range:bytes=0-999",
    "--range": "an item: Range:bytes=0-999",
    "-e": "an item: Referer:URL",
    "--referer": "an item: Referer:URL",
    "-J": "nothing: a server names no file; -O takes the name in the URL",
    "--remote-header-name": "nothing: a server names no file; -O takes the name in the URL",
    "-N": "nothing: what has come is written at once",
    "--no-buffer": "nothing: what has come is written at once",
    "-E": "--cert FILE",
    "-D": "-i for the head, or -v for the conversation",
    "--dump-header": "-i for the head, or -v for the conversation",
    "-K": "nothing: options stand in the command line",
    "--config": "nothing: options stand in the command line",
    "-Z": "nothing: one URL is asked for at a time",
    "--parallel": "nothing: one URL is asked for at a time",
    "--next": "nothing: one URL is asked for at a time",
    "--url": "a word: unifetch URL",
    "-g": "nothing: the brackets of a URL mean nothing",
    "--globoff": "nothing: the brackets of a URL mean nothing",
    "-4": "--resolve HOST:ADDRESS",
    "-6": "--resolve HOST:ADDRESS",
    "--ipv4": "--resolve HOST:ADDRESS",
    "--ipv6": "--resolve HOST:ADDRESS",
    "--connect-to": "--resolve HOST:ADDRESS",
    "-q": "-s (HTTPie's -q); there is no file of options (curl's -q)",
    "--quiet": "-s",
    "-#": "nothing: a terminal gets a bar",
    "--progress-bar": "nothing: a terminal gets a bar",
    "--no-progress-meter": "-s",
    "--netrc-file": "--netrc with the environment variable NETRC=FILE",
    "--netrc-optional": "--netrc",
    "--retry-delay": "--retry N, which waits longer each time, or as long as Retry-After says",
    "--retry-max-time": "--retry N with --timeout SECONDS for all of it",
    "--retry-all-errors": "--retry N, for what may be repeated",
    "--retry-connrefused": "--retry N, for what may be repeated",
    "--fail-with-body": "--fail, which leaves the body out",
    "--basic": "nothing: -u is Basic unless --digest says otherwise",
    "--anyauth": "--digest, or nothing for Basic",
    "--socks5": "-x socks5://HOST:PORT",
    "--socks5-hostname": "-x socks5h://HOST:PORT",
    "--capath": "--cacert DIRECTORY",
    "--pass": 'nothing: a key with a passphrase is for the library, tls={"client_cert": …}',
    "--cert-key-pass": 'nothing: a key with a passphrase is for the library, tls={"client_cert": …}',
    "--pinnedpubkey": 'nothing: a pin is for the library, tls={"fingerprint": …}',
    "--http1.0": "nothing: HTTP/1.1 is the default",
    "--default-scheme": "nothing: a URL says http:// or https://",
    "--all": "-v for all of the conversation",
    "--body": "nothing: the body is what is shown",
    "--meta": "--timing",
    "--stream": "nothing: what has come is shown at once",
    "--chunked": "-d @- for what has no length",
    "--session-read-only": "--cookie-jar FILE",
    "--ignore-netrc": "nothing: netrc is read where --netrc says so",
    "--show-error": "nothing: errors are always shown",
    "-S": "nothing: errors are always shown",
}

COMMON = """\
usage: unifetch [METHOD] URL [ITEM ...] [OPTION ...]

  unifetch https://example.org/                       the body, nothing else
  unifetch post https://example.org/orders name=tea   JSON: {"name": "tea"}
  unifetch https://example.org/big.iso -O -c          a file; goes on with it

items     Name:value header   name==value query   name=value body   name:=json
          name@file upload    name=@file the value from a file
send      -X METHOD  -H 'NAME: VALUE'  -d TEXT|@FILE|@-  --json TEXT  -F (form)
who       -u USER:PASSWORD  --bearer TOKEN  --digest  --netrc  --cookie 'a=b'
way       -L N  --no-redirects (20 by default)  -x PROXY  -k  --cacert FILE
          --timeout SECONDS  --retry N  -b BACKEND  --http2
receive   -i (head too)  -I (head only)  -o FILE  -O  -c (go on)  --fail  -s
watch     -v (the conversation)  --timing  --trace (the bytes)  --as curl

commands  backends  demo  compare  cassette  curl 'curl …'  completion SHELL
          manual; --help-all explains every option, the manual the exit codes
"""


class Parser(argparse.ArgumentParser):
    """Says in an error what is wrong without a value, which may be a secret, and how to get help."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Print the usage of this command, what is wrong and the next step; exit with 2."""
        self.print_usage(sys.stderr)
        if found := re.search(r"unrecognized arguments: (--[^\s=]+|-\w)", message):
            message = self._answer(found[1])
        elif found := re.search(r"argument (-\w)\b.*: ignored explicit argument '(\w+)", message):  # -sSf
            unknown = next((each for each in found[2] if f"-{each}" not in self._option_string_actions), found[2][0])
            message = self._answer(f"-{unknown}")
        elif found := re.search(r"argument (\S+): ignored explicit argument", message):
            message = f"{found[1]} takes no value"
        self.exit(2, f"unifetch: {message}\nunifetch: see {self.prog} --help\n")

    def _answer(self, option: str) -> str:
        told = ELSEWHERE.get(option) if self.prog == "unifetch" else None
        if told is None:
            return f"there is no {option}"
        return f"there is no {option}: {told[9:]}" if told.startswith("nothing: ") else f"{option} is here {told}"


class _Help(argparse.Action):
    def __call__(self, *_: object) -> NoReturn:
        print(COMMON, end="")
        sys.exit(0)


def command_parser(word: str, more: str = "", **settings: Any) -> Parser:
    """The parser of a command beside a request.

    Args:
        word: the command.
        more: what its help says beyond the table.
        settings: of the parser.
    """
    what = f"{COMMANDS[word][0].capitalize()}. {more}"
    return Parser(prog=f"unifetch {word}", description=what, **settings)


def request_parser(word: str = "") -> Parser:
    """The parser of a request.

    Args:
        word: the method that was given as a word, for the usage; "" for none.
    """
    parser = Parser(
        prog="unifetch",
        usage=f"unifetch {word or '[METHOD]'} URL [ITEM ...] [OPTION ...]",
        description="Send one request. The body of its answer goes to standard output, all\nelse to standard error.",
        add_help=False,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=79),
    )
    parser.add_argument("words", metavar="WORD", nargs="*", help=argparse.SUPPRESS)

    group = parser.add_argument_group("what is sent")
    add = group.add_argument
    add("-X", "--method", metavar="NAME", help="the method; by default GET, with a body POST")
    add("-H", "--header", metavar="'NAME: VALUE'", action="append", default=[], help="a header field")
    body = group.add_mutually_exclusive_group()
    body.add_argument(
        "-d",
        "--data",
        metavar="TEXT",
        action="append",
        help="a body, of a form's type unless -H says another; several are joined by &. @FILE sends a file as it is, "
        "@- standard input",
    )
    body.add_argument("--json", metavar="TEXT", help="JSON to send as it is: TEXT, which is checked, or @FILE, @-")
    body.add_argument(
        "-F",
        "--form",
        action="store_true",
        help="the items are a form: name=value, and name@FILE or name=@FILE for a file, which makes it multipart",
    )
    add("--multipart", action="store_true", help="with -F: multipart even without a file")
    add("--path-as-is", action="store_true", help="leave /../ and /./ in the path as they are")

    group = parser.add_argument_group("who asks")
    add = group.add_argument
    add("-u", "--user", metavar="USER[:PASSWORD]", help="Basic credentials; a password that is left out is asked for")
    add("--digest", action="store_true", help="use -u for Digest authentication in place of Basic")
    add("--bearer", metavar="TOKEN", help="a bearer token")
    add("--netrc", action="store_true", help="credentials from the netrc file")
    add("--cookie", metavar="'A=B; C=D'", action="append", default=[], help="cookies to send")
    add("--cookie-jar", metavar="FILE", help="read cookies from FILE, and keep there what comes (Netscape's format)")

    group = parser.add_argument_group("the way there")
    add = group.add_argument
    add(
        "-b",
        "--backend",
        metavar="NAME",
        type=_backend,
        help=f"who carries the request: {', '.join(BACKENDS)}; {BACKEND} by default",
    )
    add(
        "--timeout",
        metavar="SECONDS",
        type=float,
        help="for all of it; without it 10 to connect, 30 for each wait",
    )
    add("--retry", metavar="N", type=_count, help="try up to N times more what failed, if it may be repeated")
    add("-L", "--redirects", metavar="N", type=_count, help="the most redirects to follow; 20 by default")
    add("--no-redirects", action="store_const", const=0, dest="redirects", help="show a redirect, do not follow it")
    add("-k", "--insecure", action="store_true", help="accept any certificate: whoever sits in between can read along")
    add("--cacert", metavar="FILE", help="the certificates to trust (PEM): a file or a directory")
    add("--cert", metavar="FILE", help="a certificate of your own (PEM), with its key unless --key names it")
    add("--key", metavar="FILE", help="the key of --cert")
    add("-x", "--proxy", metavar="URL", help="a proxy: http, https, socks5, socks5h")
    add("--no-proxy", action="store_true", help="no proxy, whatever the environment says")
    add(
        "--resolve",
        metavar="HOST:ADDRESS",
        action="append",
        default=[],
        help="the address of a host; curl's form will do",
    )
    add("--unix-socket", metavar="FILE", help="connect to a unix socket")
    add("--http2", action="store_true", help="HTTP/2 where the server offers it")
    add("--http2-only", action="store_true", help="HTTP/2 and nothing else, also on http")

    group = parser.add_argument_group("what is received")
    add = group.add_argument
    add("-i", "--include", action="store_true", help="the head before the body")
    add("-I", action="store_true", dest="head", help="ask for the head only, and show it")
    add(
        "-o",
        "--output",
        metavar="FILE",
        help="into FILE, which changes only when all is there; - writes raw to the terminal",
    )
    add("-O", action="store_true", dest="remote_name", help="into a file with the name that the URL ends with")
    add("-c", "--continue", dest="resume", action="store_true", help="go on where -o or -O broke off")
    add("--fail", action="store_true", help="exit with 22, and no body, for a status of 400 and above")
    add("--limit", metavar="SIZE", type=_size, help="fail if the body has more bytes than SIZE: 500k, 10M, 2G")
    add("--no-decode", action="store_true", help="leave a compressed body as it comes")

    group = parser.add_argument_group("what is shown")
    add = group.add_argument
    add(
        "-v",
        "--verbose",
        action="store_true",
        help="the conversation: connections, TLS, heads, redirects, retries; credentials masked",
    )
    add("--timing", action="store_true", help="where the time went")
    add("--trace", action="store_true", help="every byte that goes through a connection, credentials included")
    add("-s", "--silent", action="store_true", help="neither progress nor hints; errors are shown")
    tools = ["curl", "httpie", "python"]
    add(
        "--as",
        dest="as_tool",
        metavar="TOOL",
        choices=tools,
        help=f"send nothing; write the request for {', '.join(tools)}",
    )
    add("-h", "--help", action=_Help, nargs=0, help="the common half, on one screen")
    add("--help-all", action="help", help="this")
    add("--version", action="version", version=f"unifetch {VERSION}")
    return parser


def parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Options and words in any order.

    curl's `-L` has no number: as redirects are followed anyway, one that is not followed by a number is left out, also
    at the end of several letters.
    """
    flags = "".join(
        name[1] for action in parser._actions for name in action.option_strings if len(name) == 2 and action.nargs == 0
    )
    words = []
    for word, after in zip(arguments, (*arguments[1:], ""), strict=False):
        if re.fullmatch(f"-[{flags}]*L", word) and not (after.isascii() and after.isdigit()):
            word = word[:-1]
            if word == "-":
                continue
        words.append(word)
    return parser.parse_intermixed_args(words)


def _backend(text: str) -> str:
    if "=" in text or os.path.isfile(text):
        raise argparse.ArgumentTypeError(
            "it is who carries the request; cookies are --cookie 'A=B' or --cookie-jar FILE"
        )
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(text)


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]+)([kMG]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"must be a number of bytes such as 500k, 10M or 2G, not {text!r}")
    return int(match[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[match[2]]
