"""One request from the command line: what is asked, where the answer goes, and what is said about it."""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import ExitStack, contextmanager
from itertools import chain
from time import monotonic

from ..client.config import chosen_backend
from ..client.sync_client import Client
from ..errors import InvalidRequest, TooLarge
from ..model.text import codec_of
from ..model.url import URL
from .options import call_arguments, client_settings, parsed_url, sorted_words
from .parser import BACKEND, parse, request_parser
from .terminal import Style, printable, say

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, BinaryIO

    from ..model.messages import Response
    from .conversation import Timing

PRETTY = 10_000_000  # bytes; a document above this is shown as it comes


def run(word: str, arguments: Sequence[str]) -> int:
    """Send the request of a command line, whose method `word` names where it is not "".

    Raises:
        UnifetchError, OSError: as the call does; `main` gives them their exit codes.
    """
    parser = request_parser(word)
    options = parse(parser, arguments)
    try:
        method, text, words = sorted_words(word, options.words)
    except InvalidRequest as error:
        parser.error(str(error))
    with ExitStack() as files:
        settings = client_settings(options)
        if options.resume and not (options.output or options.remote_name):
            raise InvalidRequest("-c goes on with a file: it needs -o FILE or -O; curl's -c is --cookie-jar FILE")
        call = call_arguments(options, method, words, files)
        url = parsed_url(text, path_as_is=options.path_as_is)
        if options.as_tool:
            from .curl import written

            print(written(text, settings, call, options))
            return 0
        if "timeout" in settings:
            call["timeout"] = settings.pop("timeout")  # a client's does not bound a stream as a whole
        path = _path(options, url)
        is_file = path not in (None, "-") and (os.path.isfile(path) or not os.path.exists(path))
        has_body = not call.keys().isdisjoint(("body", "json", "form", "files"))
        is_download = is_file and call["method"].upper() == "GET" and not has_body and not options.include
        if options.resume and not is_download:
            raise InvalidRequest("-c goes on with a file: it needs -o FILE, and a GET without a body")
        timing = _listeners(options, settings, files)
        client = _client(options, settings, files)
        if is_download:
            from .into_file import download

            length = download(client, options, url, str(path), call)
        else:
            length = _stream(client, options, url, path, call)
        if timing is not None:
            timing.show(monotonic(), length)
    return 0


def _path(options: argparse.Namespace, url: URL) -> str | None:
    path: str | None = options.output
    if options.remote_name:
        if path is not None:
            raise InvalidRequest("-o and -O contradict each other")
        from .into_file import name_of

        path = name_of(url)
    return path


def _listeners(options: argparse.Namespace, settings: dict[str, Any], files: ExitStack) -> Timing | None:
    timing = None
    listeners: list[Any] = []
    if options.verbose or options.timing:
        from .conversation import Conversation, Timing

        if options.verbose:
            listeners.append(conversation := Conversation(settings.get("http2", False)))
            files.enter_context(conversation.watching())
        if options.timing:
            listeners.append(timing := Timing())
    settings["listeners"] = listeners
    return timing


def _client(options: argparse.Namespace, settings: dict[str, Any], files: ExitStack) -> Client:
    if options.trace:
        from .trace import show, watched

        files.enter_context(watched(show))
    if options.cookie_jar is not None:
        from .cookie_file import cookie_file

        settings["cookies"] = files.enter_context(cookie_file(options.cookie_jar))
    backend = options.backend
    if backend is None and chosen_backend()[1] == "the default":
        backend = BACKEND
    return files.enter_context(Client(backend, **settings))


def _stream(client: Client, options: argparse.Namespace, url: URL, path: str | None, call: dict[str, Any]) -> int:
    # The file is opened before anything is sent, so that no answer is lost to one that cannot be written.
    with _output(path) as output, client.stream(url=url, **call) as response:
        if options.fail:
            response.raise_for_status()
        is_shown = path is None and sys.stdout.isatty()
        if options.include or options.head:
            _show_head(response, output, Style(sys.stdout) if is_shown else None)
        pieces = _Counted(response.body, options.limit)
        if is_shown:
            _show_body(response, pieces)
        else:
            for piece in pieces:
                output.write(piece)
                output.flush()  # what is there is shown, also when more is to come
        length = pieces.length
    if length == 0 and response.status >= 400 and not (options.silent or options.include or options.head):
        say(f"unifetch: {response.status} {printable(response.reason)}".rstrip() + ", without a body")
    return length


class _Counted:
    """The pieces of a body, and how many bytes they came to."""

    def __init__(self, pieces: Iterator[bytes], limit: int | None) -> None:
        self._pieces = pieces
        self._limit = limit
        self.length = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.length += len(piece)
            if self._limit is not None and self.length > self._limit:
                raise TooLarge(f"--limit {self._limit}: the body has more bytes than that")
            yield piece


def _show_head(response: Response[Any], output: BinaryIO, style: Style | None) -> None:
    """The head as it came for a pipe, and in colours without a server's escapes for a terminal."""
    status = f"{response.http_version} {response.status} {response.reason}".rstrip()
    if style is None:
        fields = "".join(f"{name}: {value}\r\n" for name, value in response.headers.pairs)
        output.write(f"{status}\r\n{fields}\r\n".encode("latin-1", "replace"))
        return
    print(style.bold(printable(status)))
    for name, value in response.headers.pairs:
        print(f"{style.cyan(printable(name))}: {printable(value)}")
    print(flush=True)


def _show_body(response: Response[Any], pieces: Iterable[bytes]) -> None:
    """The body on a terminal: JSON indented, text without escapes, and of binary data a sentence."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    charset = codec_of(b"", response.headers.get("content-type", ""))[0]
    waiting, blocks = b"", iter(pieces)
    if kind == "application/json" or kind.endswith("+json"):
        for piece in blocks:
            waiting += piece
            if len(waiting) > PRETTY:
                break
        else:
            from .json_text import indented

            text = waiting.decode(charset, "replace")
            shown = indented(text, Style(sys.stdout)) or printable(text, "\n\t")
            print(shown, end="" if shown.endswith("\n") or not shown else "\n", flush=True)
            return
    decoder = codecs.getincrementaldecoder(charset)("replace")
    last = ""
    try:
        for piece in chain((waiting,), blocks):
            if not last and b"\0" in piece:
                from .progress_bar import size

                length = response.headers.get("content-length", "")
                much = f", {size(int(length))}" if length.isascii() and length.isdigit() else ""
                what = f"binary data ({printable(kind or 'of no type')}{much})"
                say(f"unifetch: {what} is not for a terminal; -o FILE keeps it")
                return
            text = printable(decoder.decode(piece).replace("\r\n", "\n"), "\n\t")
            sys.stdout.write(text)
            sys.stdout.flush()
            last = text[-1:] or last
    finally:  # also where the body breaks off: what is said of that has a line of its own
        if last and last != "\n":
            print(flush=True)


@contextmanager
def _output(path: str | None) -> Iterator[BinaryIO]:
    """Where the body goes. A file takes its name at the end, so that a failure leaves what was there before."""
    if path is None or path == "-":
        if sys.stdout is None:
            raise OSError("standard output is closed; -o FILE takes the body")
        yield sys.stdout.buffer
        return
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "ab") as device:  # or a pipe: nothing may take its place; a directory fails
            yield device
            return
    from .into_file import taking_name

    with taking_name(path) as file:
        yield file
