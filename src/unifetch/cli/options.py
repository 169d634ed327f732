"""From the words and options of a command line to the arguments of a client and of a call."""

from __future__ import annotations

import os
import re
import stat
import sys
from contextlib import suppress

from ..errors import InvalidRequest, InvalidURL
from ..model.url import URL
from .items import Items, parsed_json
from .parser import COMMANDS
from .terminal import say

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import argparse
    from contextlib import ExitStack
    from typing import Any

FORM = ("Content-Type", "application/x-www-form-urlencoded")


def sorted_words(word: str, words: list[str]) -> tuple[str, str, list[str]]:
    """The method ("" where none is named), the URL, and the items, of the words of a command line.

    A word with `://` is the URL; without one, it is the first word that is no method.

    Raises:
        InvalidRequest: there is no URL.
    """
    rest = list(words)
    at = next((number for number, each in enumerate(rest) if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", each)), None)
    if not word and rest and rest[0].isalpha() and (at or (at is None and len(rest) > 1)):
        word, rest = rest[0], rest[1:]
        at = None if at is None else at - 1
    if not rest:
        raise InvalidRequest("there is no URL")
    url = rest.pop(at or 0)
    if url.isalpha() and not word and url != "localhost":
        raise InvalidRequest(f"{url!r} is neither a URL nor a command; commands are {', '.join(COMMANDS)}")
    if at is None and "=" in url and "/" not in url:
        raise InvalidRequest(f"there is no URL: {url.partition('=')[0]}=… is an item")
    return word.upper(), url, rest


def parsed_url(text: str, *, path_as_is: bool) -> URL:
    """The URL, or an error that guesses what was meant."""
    try:
        return URL(text, path_as_is=path_as_is)
    except InvalidURL as error:
        hint = ""
        if ":/" not in text:
            with suppress(InvalidURL):
                hint = f"; did you mean '{URL(f'http://{text}')}'?"
        raise InvalidURL(f"{error}{hint}") from error


def client_settings(options: argparse.Namespace) -> dict[str, Any]:
    """What the options say of a client, by the names of its settings."""
    settings: dict[str, Any] = {}
    if options.timeout is not None:
        settings["timeout"] = options.timeout
    if options.retry:
        settings["retry"] = {"attempts": options.retry + 1}
    if options.redirects is not None:
        settings["redirects"] = options.redirects
    if tls := _tls(options):
        settings["tls"] = tls
    if options.proxy is not None and options.no_proxy:
        raise InvalidRequest("-x and --no-proxy contradict each other")
    if options.proxy is not None or options.no_proxy:
        settings["proxy"] = options.proxy
    if options.resolve:
        settings["resolve"] = _once(list(map(_host_and_address, options.resolve)), "host of --resolve")
    if options.unix_socket is not None:
        settings["unix_socket"] = options.unix_socket
    if options.http2 or options.http2_only:
        settings["http2"] = "only" if options.http2_only else True
    if auth := _auth(options):
        settings["auth"] = auth
    return settings


def _tls(options: argparse.Namespace) -> dict[str, Any]:
    tls: dict[str, Any] = {}
    if options.insecure:
        tls["verify"] = False
    if options.cacert is not None:
        tls["ca_path" if os.path.isdir(options.cacert) else "ca_file"] = options.cacert
    if options.key is not None and options.cert is None:
        raise InvalidRequest("--key is the key of a certificate: it needs --cert FILE")
    if options.cert is not None:
        tls["client_cert"] = options.cert if options.key is None else (options.cert, options.key)
    return tls


def _host_and_address(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"([^:]+):(?:[0-9]+:)?\[?([0-9A-Fa-f.:]+)\]?", text)
    if match is None:
        raise InvalidRequest(f"--resolve takes HOST:ADDRESS, or curl's HOST:PORT:ADDRESS, not {text!r}")
    return match[1], match[2]


def _auth(options: argparse.Namespace) -> Any:
    said = [name for name in ("user", "bearer", "netrc") if getattr(options, name) not in (None, False)]
    if len(said) > 1:
        raise InvalidRequest(f"--{said[0]} and --{said[1]} contradict each other")
    if options.digest and options.user is None:
        raise InvalidRequest("--digest answers with the credentials of -u, which is missing")
    if options.bearer is not None:  # an empty one, as of a variable that is not set, is an error
        return {"type": "bearer", "token": options.bearer}
    if options.netrc:
        return "netrc"
    if options.user is None:
        return None
    user, colon, password = options.user.partition(":")
    if not colon:
        from getpass import getpass

        try:
            password = getpass(f"password of {user}: ")
        except EOFError as error:
            raise InvalidRequest(f"-u {user} has no password, and nobody typed one: write USER:PASSWORD") from error
    return {"type": "digest" if options.digest else "basic", "username": user, "password": password}


def call_arguments(options: argparse.Namespace, method: str, words: list[str], files: ExitStack) -> dict[str, Any]:
    """What the options and items say of the call, by the names of its arguments.

    Args:
        options: as they were parsed.
        method: the method, where a word names it; "" for none.
        words: the items.
        files: closes what is opened here.
    """
    items = Items(words, form=options.form)
    headers: list[tuple[str, str | None]] = [*map(_field, options.header), *items.headers]
    call: dict[str, Any] = {"headers": headers}
    if items.params:
        call["params"] = items.params
    if options.cookie:
        call["cookies"] = _cookies("; ".join(options.cookie))
    if options.no_decode:
        call["decode"] = False
    call |= _body(options, items, headers, files)
    if options.method and method and options.method.upper() != method:
        raise InvalidRequest(f"-X {options.method} contradicts {method.lower()}")
    has_body = not call.keys().isdisjoint(("body", "json", "form", "files"))
    named = options.method or method or ("HEAD" if options.head else "")
    if options.head and (has_body or named.upper() != "HEAD"):
        raise InvalidRequest("-I asks for the head only: it goes with neither a body nor another method")
    if not has_body and named.upper() in ("POST", "PUT", "PATCH"):
        _check_standard_input(options.silent)
    call["method"] = named or ("POST" if has_body else "GET")
    return call


def _field(text: str) -> tuple[str, str | None]:
    name, colon, value = text.partition(":")
    if not colon:
        raise InvalidRequest("-H takes 'NAME: VALUE', and there is no colon")  # what there is may be a credential
    return name, value


def _cookies(text: str) -> dict[str, str]:
    pairs = [pair.strip().partition("=") for pair in text.split(";") if pair.strip()]
    if not all(equals for _, equals, _ in pairs):
        raise InvalidRequest("--cookie takes 'A=B; C=D'; a file of cookies is read by --cookie-jar FILE")
    return _once([(name, value) for name, _, value in pairs], "cookie")


def _once(pairs: list[tuple[str, Any]], kind: str) -> dict[str, Any]:
    """A mapping of the pairs, which would lose one of two that have the same name."""
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InvalidRequest(f"the {kind} {twice[0]!r} is given twice")
    return dict(pairs)


def _body(
    options: argparse.Namespace, items: Items, headers: list[tuple[str, str | None]], files: ExitStack
) -> dict[str, Any]:
    if (items.fields or items.files) and (options.data is not None or options.json is not None):
        raise InvalidRequest("a body is made of items or of -d or --json, not of both")
    if options.multipart and not options.form:
        raise InvalidRequest("--multipart is a way to send a form: it needs -F")
    if options.form:
        return _form(options, items)
    if items.files:
        raise InvalidRequest("name@file is a file in a form: it needs -F; -d @FILE sends a file as the whole body")
    if items.fields:
        return {"json": _once(items.fields, "item of JSON")}
    if options.json is not None:
        body = _read(options.json, files)
        _default(headers, ("Content-Type", "application/json"))
        if isinstance(body, str):
            parsed_json(body, "--json")  # the text itself is sent: to read and write it would round numbers
        return {"body": body}
    if options.data is None:
        return {}
    bodies = [_read(text, files) for text in options.data]
    if len(bodies) > 1:
        if not all(isinstance(each, str) for each in bodies):
            raise InvalidRequest("several -d are texts that are joined by &; a file stands alone")
        bodies = ["&".join(bodies)]
    if isinstance(bodies[0], str):
        _default(headers, FORM)
    return {"body": bodies[0]}


def _form(options: argparse.Namespace, items: Items) -> dict[str, Any]:
    if not all(isinstance(value, str) for _, value in items.fields):
        raise InvalidRequest("a form has no values of JSON: write name=value")
    parts = [(name, path) for name, path in items.files]
    if options.multipart and not parts:
        return {"files": [(name, (None, value)) for name, value in items.fields]}
    return {"form": items.fields, **({"files": parts} if parts else {})}


def _read(text: str, files: ExitStack) -> Any:
    """The text of -d or --json, or what it names: an open file, or standard input."""
    if text == "@-":
        if sys.stdin is None:
            raise InvalidRequest("standard input is closed, and @- reads it")
        return sys.stdin.buffer
    if text.startswith("@"):
        return files.enter_context(open(text[1:], "rb"))  # `files` closes it
    return text


def _default(headers: list[tuple[str, str | None]], field: tuple[str, str]) -> None:
    if not any(name.lower() == field[0].lower() for name, _ in headers):
        headers.append(field)


def _check_standard_input(silent: bool) -> None:
    """Tell whoever sends something to standard input that it is read where `-d @-` says so, and nowhere else.

    A pipe may be that of a program that never writes, so it is not waited for; a loop over the lines of a file would
    lose them.

    Raises:
        InvalidRequest: a file was redirected to standard input, and would be left out.
    """
    try:
        kind = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # there is none
        return
    if stat.S_ISREG(kind):
        raise InvalidRequest("standard input is a file: say -d @- to send it, or -d '' for no body")
    if stat.S_ISFIFO(kind) and not silent:
        say("unifetch: nothing is sent of standard input; -d @- sends it")
