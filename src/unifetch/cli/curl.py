"""`unifetch curl 'curl …'` reads a command line of curl; `--as` writes ours for curl, HTTPie or Python.

Both ways it is the same request that is meant. What cannot be said on the other side is an error, not left out.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import quote

from ..errors import InvalidRequest
from ..model.url import URL, form_urlencode
from .parser import BACKEND, command_parser
from .terminal import say

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from typing import Any

# curl's option: ours, or "" where we do so anyway.
FLAGS = {
    "-k": "-k", "--insecure": "-k", "-I": "-I", "--head": "-I", "-i": "-i", "--include": "-i", "-s": "-s",
    "--silent": "-s", "-S": "", "--show-error": "", "-f": "--fail", "--fail": "--fail", "-v": "-v",
    "--verbose": "-v", "-O": "-O", "--remote-name": "-O", "--compressed": "", "-g": "", "--globoff": "",
    "-#": "", "--progress-bar": "", "--http2": "--http2", "--http2-prior-knowledge": "--http2-only",
    "--http1.1": "", "-n": "--netrc", "--netrc": "--netrc", "--digest": "--digest", "--basic": "",
    "--path-as-is": "--path-as-is", "-N": "", "--no-buffer": "",
}  # fmt: skip
VALUES = {
    "-X": "-X", "--request": "-X", "-u": "-u", "--user": "-u",
    "-o": "-o", "--output": "-o", "--cacert": "--cacert", "--capath": "--cacert",
    "-E": "--cert", "--cert": "--cert", "--key": "--key", "--resolve": "--resolve",
    "--unix-socket": "--unix-socket", "-m": "--timeout", "--max-time": "--timeout", "--retry": "--retry",
    "--oauth2-bearer": "--bearer", "--max-filesize": "--limit", "-c": "--cookie-jar",
    "--cookie-jar": "--cookie-jar",
}  # fmt: skip
FIELDS = {"-A": "User-Agent", "--user-agent": "User-Agent", "-e": "Referer", "--referer": "Referer"}
DATA = {"-d", "--data", "--data-ascii", "--data-binary", "--data-raw", "--data-urlencode"}
OTHERS = {
    "-b", "--cookie", "-F", "--form", "--form-string", "--url", "-C", "--continue-at", "-H", "--header", "--json",
    "-x", "--proxy", "--max-redirs",
}  # fmt: skip
REDIRECTS = {"-L", "--location"}
AS_QUERY = {"-G", "--get"}

# Several URLs in one; the brackets of an IPv6 address are none of them.
_GLOB = re.compile(r"(?<!//)\[[^\[\]]*-[^\[\]]*\]|\{[^{}]*\}")

# A word of a shell, piece by piece: a blank, a line that goes on, and the quotes, with $'…', which browsers copy.
_PIECE = re.compile(
    r"""(?P<blank>\s+)|\\\r?\n|\\(?P<kept>.)|'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|"""
    r"""\$'(?P<ansi>(?:[^'\\]|\\.)*)'|(?P<plain>[^\s'"\\])""",
    re.DOTALL,
)
_ANSI = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b", "E": "\x1b"}


def run(word: str, arguments: Sequence[str]) -> int:
    """Print what a command line of curl is here; nothing is sent."""
    parser = command_parser(word, "Nothing is sent.", usage=f"unifetch {word} 'curl …'")
    if not arguments or arguments[0] in ("-h", "--help"):
        parser.print_help()
        return 0
    words = split(arguments[0]) if len(arguments) == 1 else list(arguments)
    if words[:1] == ["$"]:  # of a prompt that was copied along
        del words[0]
    print(shlex.join(["unifetch", *read(words[1:] if words and Path(words[0]).name == "curl" else words)]))
    return 0


def split(text: str) -> list[str]:
    r"""The words of a command line, as bash has them: also of several lines with `\` at their ends, and of `$'…'`.

    Raises:
        InvalidRequest: for a quote that is not closed.
    """
    words: list[str] = []
    word: str | None = None
    at, text = 0, text.strip()
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            raise InvalidRequest(f"a quote is not closed in the command line of curl, from character {at + 1} on")
        at, kind = piece.end(), piece.lastgroup
        if kind == "blank":
            words += [] if word is None else [word]
            word = None
        elif kind is not None:
            value = piece[kind]
            if kind == "double":
                value = re.sub(r"\\\r?\n", "", value)
                value = re.sub(r'\\([\\"$`])', r"\1", value)
            elif kind == "ansi":
                value = _ANSI.sub(_meant, value)
            word = (word or "") + value
    return words if word is None else [*words, word]


def _meant(escape: re.Match[str]) -> str:
    byte, short, long, octal, letter = escape.groups()
    if letter is not None:
        return _LETTERS.get(letter, letter)
    return chr(int(octal, 8) & 0xFF if octal else int(byte or short or long, 16))


def read(words: Sequence[str]) -> list[str]:
    """The words of our command line for those of curl's, without `curl` itself.

    Raises:
        InvalidRequest: for an option that is not known here, or two URLs.
    """
    urls: list[str] = []
    out: list[str] = []
    data: list[str] = []
    json: list[str] = []
    cookies: list[str] = []
    items: list[str] = []
    most: list[str] = []
    follows = as_query = is_form = is_plain = False
    for option, value in _pairs(list(words)):
        if option in ("", "--url"):
            urls.append(value)
        elif option in FLAGS:
            out += FLAGS[option].split()
            is_plain = is_plain or option in ("-g", "--globoff")
        elif option in REDIRECTS:
            follows = True
        elif option in AS_QUERY:
            as_query = True
        elif option in ("-H", "--header"):
            _add_field(value, items, out)
        elif option == "--max-redirs":
            most = ["-L", value]
        elif option == "--json":
            json.append(value)
        elif option in ("-x", "--proxy"):
            out += ["-x", value if "://" in value else f"http://{value}"]
        elif option in VALUES:
            out += [VALUES[option], value]
        elif option in FIELDS:
            out += ["-H", f"{FIELDS[option]}: {value}"]
        elif option in DATA:
            data.append(_data(option, value))
        elif option in ("-F", "--form", "--form-string"):
            is_form = True
            items.append(_part(option, value))
        elif option in ("-b", "--cookie"):
            if "=" not in value:
                raise InvalidRequest(f"-b {value}: a file of cookies is read and kept by --cookie-jar FILE")
            cookies.append(value)
        elif value != "-":  # of -C
            raise InvalidRequest(f"curl's -C {value} has no counterpart here: -c goes on where the file ends")
        else:
            out.append("-c")
    if len(urls) != 1:
        raise InvalidRequest(f"one URL is asked for at a time, and there are {len(urls)}")
    if is_form + bool(json) + bool(data) > 1:
        raise InvalidRequest("a body is made by one of -d, -F and --json, and there are several")
    url = urls[0] if "://" in urls[0] else f"http://{urls[0]}"
    if not is_plain and _GLOB.search(url):
        raise InvalidRequest("curl would ask for several URLs by [1-3] or {a,b}: one is asked for at a time")
    if as_query:
        if any(text.startswith("@") for text in data):
            raise InvalidRequest("curl's -G with a file has no counterpart here")
        url = _with_query(url, "&".join(data))
    else:
        out += [word for text in data for word in ("-d", text)]
    if json:  # for which curl asks for JSON as well
        out += ["--json", "".join(json)]
        if not any(word.lower().startswith("accept:") for word in (*out, *items)):
            out += ["-H", "Accept: application/json"]
    if cookies:
        out += ["--cookie", "; ".join(cookies)]
    if is_form:
        out.append("-F")
        if not any(re.match(r"(?:\\.|[^\\=])*=@", item) for item in items):
            out.append("--multipart")
    out += most if follows else ["--no-redirects"]
    return [url, *items, *out]


def _add_field(text: str, items: list[str], out: list[str]) -> None:
    """`Name:` leaves a field out, in curl and as an item of ours; `Name;` sends it without a value."""
    name, colon, value = text.partition(":")
    if text.startswith("@"):
        raise InvalidRequest(f"curl's -H {text} has no counterpart here: give each field with an -H of its own")
    if colon and not value.strip():
        items.append(f"{_name(name)}:")
    else:
        out += ["-H", text if colon else f"{text.removesuffix(';')}:" if text.endswith(";") else text]


def _data(option: str, value: str) -> str:
    if option == "--data-urlencode":
        found = re.match(r"([^=@]*)([=@])", value)
        if found and found[2] == "@":
            raise InvalidRequest("curl's --data-urlencode with a file has no counterpart here")
        name = f"{found[1]}=" if found and found[1] else ""
        return name + quote(value[found.end() :] if found else value, safe="")
    if value.startswith("@") and option == "--data-raw":
        raise InvalidRequest("a text that begins with @ names a file after -d: keep it in one, and send it by -d @FILE")
    if value.startswith("@") and option != "--data-binary":
        say("unifetch: curl drops the line ends of a file after -d; here it is sent as it is")
    return value


def _with_query(url: str, query: str) -> str:
    head, hash_, fragment = url.partition("#")
    return f"{head}{('&' if '?' in head else '?') if query else ''}{query}{hash_}{fragment}"


def _part(option: str, text: str) -> str:
    name, _, value = text.partition("=")
    if option != "--form-string":
        if found := re.search(r";\s*(type|filename|headers|encoder|format)=", value):
            raise InvalidRequest(f"curl's ;{found[1]}= in -F has no counterpart here")
        if value.startswith(("<", "@-", '@"')) or (value.startswith("@") and "," in value):
            raise InvalidRequest(
                f"curl's -F {text} has no counterpart here: a part is a text, or one file by name=@FILE"
            )
        if value.startswith("@"):
            return f"{_name(name)}={value}"
    return _text(name, value)


def _text(name: str, value: str) -> str:
    if value.startswith(("=", "@")):
        raise InvalidRequest(f"the text of {name} begins with {value[0]}, which makes another kind of item")
    return f"{_name(name)}={value}"


def _name(text: str) -> str:
    r"""A name in an item, where `\` keeps a character from being read as a separator."""
    return re.sub(r"([\\:=@])", r"\\\1", text)


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value, "" where it takes none; a word that is none comes with the option ""."""
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            yield "", word
            continue
        option, rest = (word, "") if word.startswith("--") else (word[:2], word[2:])
        if option in FLAGS or option in REDIRECTS | AS_QUERY:
            yield option, ""
            if rest:
                words.insert(0, f"-{rest}")
            continue
        if rest:
            words.insert(0, rest)
        if option not in VALUES | FIELDS and option not in DATA | OTHERS:
            raise InvalidRequest(f"curl's {option.partition('=')[0]} has no counterpart here")
        if not words:
            raise InvalidRequest(f"curl's {option} needs a value")
        yield option, words.pop(0)


# --- The other way --------------------------------------------------------------------------------


# What is done with the answer: ours, curl's words and HTTPie's for it; None where there is no way to say it.
RECEIVED: dict[str, tuple[str, list[str] | None, list[str] | None]] = {
    "cookie_jar": ("--cookie-jar", ["-b", "{}", "-c", "{}"], None),
    "include": ("-i", ["-i"], ["--print=hb"]),
    "output": ("-o", ["-o", "{}"], ["--output={}"]),
    "remote_name": ("-O", ["-O"], None),
    "resume": ("-c", ["-C", "-"], None),
    "fail": ("--fail", ["-f"], ["--check-status"]),
    "limit": ("--limit", ["--max-filesize", "{}"], None),
    "verbose": ("-v", ["-v"], ["-v"]),
    "silent": ("-s", ["-s", "-S"], []),
    "timing": ("--timing", ["-w", "%{{time_total}} s"], None),
    "trace": ("--trace", ["--trace", "-"], None),
}


def _received(tool: str, options: argparse.Namespace) -> Iterator[str]:
    for name, (option, of_curl, of_httpie) in RECEIVED.items():
        if (value := getattr(options, name)) in (None, False):
            continue
        words = of_curl if tool == "curl" else of_httpie
        if words is None:
            raise InvalidRequest(f"{tool} has no {option}")
        yield from (word.format(value) for word in words)
    if options.backend:
        say(f"unifetch: -b {options.backend} is left out, because {tool} has no other engine")


def written(url: str, settings: dict[str, Any], call: dict[str, Any], options: argparse.Namespace) -> str:
    """The request that a command line means, for the tool of `--as`. Credentials are written out, as they were typed.

    Raises:
        InvalidRequest: for what the other tool has no way to say.
    """
    if options.as_tool == "python":
        return _python(url, settings, call, options)
    if options.as_tool == "curl":
        return shlex.join(_curl(url, settings, call, options))
    body = call.get("body")
    file = None if body is None or isinstance(body, str) else _body_word(body)[1:]
    return shlex.join(_httpie(url, settings, call, options)) + (
        f" < {shlex.quote(file)}" if file not in (None, "-") else ""
    )


def _python(url: str, settings: dict[str, Any], call: dict[str, Any], options: argparse.Namespace) -> str:
    for name, (option, _, _) in RECEIVED.items():
        if name not in ("fail", "silent") and getattr(options, name) not in (None, False):
            raise InvalidRequest(f"--as python writes the request; what {option} asks for is up to the program")
    # The library's own default has no HTTP/2, and that of the command line has.
    backend = options.backend or (BACKEND if "http2" in settings else None)
    said: dict[str, Any] = {**call, **settings, **({"backend": backend} if backend else {})}
    method = said.pop("method")
    if not said["headers"]:
        del said["headers"]
    lines = "".join(f"    {name}={_literal(value)},\n" for name, value in said.items())
    where = f"unifetch.URL({url!r}, path_as_is=True)" if options.path_as_is else repr(url)
    raises = ".raise_for_status()" if options.fail else ""
    called = f"response = unifetch.request(\n    {method!r},\n    {where},\n{lines}){raises}"
    modules = [name for name in ("pathlib", "sys") if f"{name}." in lines]
    imports = "".join(f"import {name}\n" for name in (*modules, "unifetch"))
    return f"{imports}\n{called}\nprint(response.text)"


def _literal(value: Any) -> str:
    if hasattr(value, "read"):
        name = getattr(value, "name", None)
        return f"open({name!r}, 'rb')" if isinstance(name, str) and name != "<stdin>" else "sys.stdin.buffer"
    if isinstance(value, Path):
        return f"pathlib.Path({str(value)!r})"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))})"
    return repr(value)


def _curl(url: str, settings: dict[str, Any], call: dict[str, Any], options: argparse.Namespace) -> Iterator[str]:
    import json

    yield "curl"
    if options.path_as_is:
        yield "--path-as-is"
    method = call["method"].upper()
    has_body = not call.keys().isdisjoint(("body", "json", "form", "files"))
    if method == "HEAD":
        yield "-I"
    elif method != ("POST" if has_body else "GET"):
        yield from ("-X", method)
    for name, value in call["headers"]:
        said = "" if value is None else value.strip()
        yield from ("-H", f"{name}: {said}" if said else f"{name}:" if value is None else f"{name};")
    if "json" in call:
        if _is_untyped(call):  # curl's --json would ask for JSON as well
            yield from ("-H", "Content-Type: application/json")
        yield from ("--data-raw", json.dumps(call["json"], ensure_ascii=False, separators=(",", ":")))
    elif "files" in call:
        for name, text in call.get("form", ()):
            yield from ("--form-string", f"{name}={text}")
        for name, part in call["files"]:
            yield from (
                ("-F", f"{name}=@{_path(part)}") if isinstance(part, Path) else ("--form-string", f"{name}={part[1]}")
            )
    elif "form" in call:
        yield from ("-d", form_urlencode(call["form"]))
    elif "body" in call:
        if _is_untyped(call):  # curl would call it a form
            yield from ("-H", "Content-Type:")
        yield from ("--data-binary", _body_word(call["body"]))
    if cookies := call.get("cookies"):
        yield from ("-b", "; ".join(f"{name}={value}" for name, value in cookies.items()))
    if call.get("decode", True):
        yield "--compressed"
    yield from _curl_settings(url, settings)
    yield from _received("curl", options)
    asked = _with_query(url, form_urlencode(call.get("params", ())))
    if not set(asked.partition("//")[2].partition("/")[2]).isdisjoint("[]{}"):
        yield "-g"  # curl would ask for several URLs
    yield asked


def _curl_settings(url: str, settings: dict[str, Any]) -> Iterator[str]:
    auth = settings.get("auth")
    if auth == "netrc":
        yield "-n"
    elif auth and auth["type"] == "bearer":
        yield from ("--oauth2-bearer", auth["token"])
    elif auth:
        yield from (*(["--digest"] if auth["type"] == "digest" else []), "-u", f"{auth['username']}:{auth['password']}")
    redirects = settings.get("redirects", 20)
    if redirects:
        yield from ("-L", "--max-redirs", str(redirects))
    tls = settings.get("tls", {})
    if tls.get("verify") is False:
        yield "-k"
    if "ca_file" in tls or "ca_path" in tls:
        yield from ("--cacert", tls["ca_file"]) if "ca_file" in tls else ("--capath", tls["ca_path"])
    if cert := tls.get("client_cert"):
        yield from ("-E", cert) if isinstance(cert, str) else ("-E", cert[0], "--key", cert[1])
    if "proxy" in settings:
        yield from ("--noproxy", "*") if settings["proxy"] is None else ("-x", settings["proxy"])
    for host, address in settings.get("resolve", {}).items():
        yield from ("--resolve", f"{host}:{URL(url).port}:{address}")
    if "unix_socket" in settings:
        yield from ("--unix-socket", settings["unix_socket"])
    if http2 := settings.get("http2"):
        yield "--http2-prior-knowledge" if http2 == "only" else "--http2"
    if "timeout" in settings:
        yield from ("-m", f"{settings['timeout']:g}")
    if "retry" in settings:
        yield from ("--retry", str(settings["retry"]["attempts"] - 1))


def _is_untyped(call: dict[str, Any]) -> bool:
    return all(name.lower() != "content-type" for name, _ in call["headers"])


def _path(path: Path) -> str:
    """A file in curl's -F, where a semicolon and a comma would end its name."""
    text = str(path)
    if text.isascii() and not set(text).isdisjoint(';,"'):
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


def _body_word(body: Any) -> str:
    if isinstance(body, str):
        return body
    name = getattr(body, "name", "")
    return f"@{name}" if isinstance(name, str) and name != "<stdin>" else "@-"


def _httpie(url: str, settings: dict[str, Any], call: dict[str, Any], options: argparse.Namespace) -> Iterator[str]:
    import json

    for setting, why in (
        ("resolve", "--resolve"),
        ("unix_socket", "--unix-socket"),
        ("http2", "--http2"),
        ("retry", "--retry"),
    ):
        if settings.get(setting):
            raise InvalidRequest(f"HTTPie has no {why}")
    body = call.get("body")
    yield from ("http", "--follow") if settings.get("redirects", 20) else ("http",)
    if options.path_as_is:
        yield "--path-as-is"
    if "files" in call:
        yield "--multipart"
    elif "form" in call:
        yield "--form"
    auth = settings.get("auth")
    if auth and auth != "netrc":
        secret = auth["token"] if auth["type"] == "bearer" else f"{auth['username']}:{auth['password']}"
        yield from (*([f"--auth-type={auth['type']}"] if auth["type"] != "basic" else []), f"--auth={secret}")
    tls = settings.get("tls", {})
    if "verify" in tls or "ca_file" in tls or "ca_path" in tls:
        yield f"--verify={tls.get('ca_file') or tls.get('ca_path') or 'no'}"
    if cert := tls.get("client_cert"):
        yield from (f"--cert={cert}",) if isinstance(cert, str) else (f"--cert={cert[0]}", f"--cert-key={cert[1]}")
    if settings.get("proxy"):
        yield from (f"--proxy=http:{settings['proxy']}", f"--proxy=https:{settings['proxy']}")
    if "timeout" in settings:
        yield f"--timeout={settings['timeout']:g}"
    if isinstance(body, str):
        yield f"--raw={body}"
    yield from _received("httpie", options)
    yield from (call["method"].upper(), url)
    for name, value in call["headers"]:
        said = "" if value is None else value.strip()
        yield f"{name}:{said}" if said or value is None else f"{name};"
    for name, value in call.get("params", ()):
        yield f"{_name(name)}=={value}"
    if cookies := call.get("cookies"):
        yield "Cookie:" + "; ".join(f"{name}={value}" for name, value in cookies.items())
    for name, value in call.get("json", {}).items():
        name = re.sub(r"([\[\]])", r"\\\1", _name(name))  # HTTPie nests by brackets
        is_json = not isinstance(value, str) or value.startswith(("=", "@"))
        yield f"{name}:={json.dumps(value, ensure_ascii=False)}" if is_json else f"{name}={value}"
    for name, value in call.get("form", ()):
        yield _text(name, value)
    for name, part in call.get("files", ()):
        yield f"{_name(name)}@{part}" if isinstance(part, Path) else _text(name, part[1])
    if body is not None and _is_untyped(call):  # HTTPie would call it JSON
        yield "Content-Type:"
