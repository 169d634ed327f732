"""The command line as people guess it who know curl or HTTPie: what each word and option sends, and what is shown."""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servers import certificate_authority
from test_cli import in_terminal
from unifetch import available_backends
from unifetch.backends import capabilities
from unifetch.backends.base import Capability
from unifetch.cli.curl import read, split
from unifetch.cli.items import Items
from unifetch.cli.main import main
from unifetch.cli.manual import groups
from unifetch.cli.parser import COMMON, ELSEWHERE
from unifetch.errors import InvalidRequest
from unifetch.testing import Answer, Intercepted, RecordedRequest, Script, Server, intercept, reply

DOCS = Path(__file__).parent.parent / "docs"
TABLES = runpy.run_path(str(DOCS / "command_line.py"))
BESIDE = TABLES["BESIDE"]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UNIFETCH_BACKEND", "NO_COLOR", "COLUMNS", "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def sent(server: Server, *words: str) -> RecordedRequest:
    """What a command line sends, whose URL is the word URL."""
    assert 0 == main([word.replace("URL", server.url) for word in words])
    return server.wait_requests(1)[-1]


# --- What is sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "method"),
    [
        (["URL"], "GET"),
        (["get", "URL"], "GET"),
        (["DELETE", "URL"], "DELETE"),
        (["-b", "socket", "put", "URL", "-d", ""], "PUT"),
        (["URL", "a=1"], "POST"),
        (["patch", "URL", "a=1"], "PATCH"),
        (["-I", "URL"], "HEAD"),
        (["-X", "PURGE", "URL"], "PURGE"),
        (["purge", "URL"], "PURGE"),
    ],
)
def test_the_method(words: list[str], method: str, server: Server) -> None:
    """It is a word, or `-X`, or follows from the body; the word and the options stand in any order."""
    assert method == sent(server, *words).method


def test_items(server: Server, tmp_path: Path) -> None:
    """Each item goes where its separator says."""
    (tmp_path / "text").write_text("from a file\n", "utf-8")
    (tmp_path / "value").write_text("[1, null]", "utf-8")
    request = sent(
        server, "URL/a?b=c", "q==x y", "X-A:1", "Accept:", "n=tea", "k:=1.5", r"a\=b=c", f"t=@{tmp_path}/text",
        f"v:=@{tmp_path}/value",
    )  # fmt: skip

    assert "/a?b=c&q=x+y" == request.target
    assert ("1", None) == (request.header("x-a"), request.header("accept"))
    assert "application/json" == request.header("content-type")
    assert {"n": "tea", "k": 1.5, "a=b": "c", "t": "from a file", "v": [1, None]} == json.loads(request.body)


@pytest.mark.parametrize("words", [["-dHTML"], ["-sdHTML"], ["-sL", "-dHTML"]], ids=" ".join)
def test_a_value_that_ends_with_an_l(words: list[str], server: Server) -> None:
    """It is no `-L`, which may stand without a number at the end of several letters."""
    assert b"HTML" in sent(server, "URL", *words).body


@pytest.mark.parametrize("words", [["-F", "a=b c"], ["a=b c", "-F"], ["--form", "a=b c"]])
def test_a_form(words: list[str], server: Server) -> None:
    """`-F` makes a form of the items, wherever it stands, as curl's and HTTPie's do."""
    request = sent(server, "URL", *words)

    assert ("application/x-www-form-urlencoded", b"a=b+c") == (request.header("content-type"), request.body)


@pytest.mark.parametrize("separator", ["@", "=@"])
def test_a_form_with_a_file(separator: str, server: Server, tmp_path: Path) -> None:
    """`name@file` of HTTPie and `name=@file` of curl send the file, as a form of many parts."""
    (tmp_path / "f.txt").write_bytes(b"\x00\xff")
    request = sent(server, "-F", "URL", "a=b", f"up{separator}{tmp_path}/f.txt")

    assert (request.header("content-type") or "").startswith("multipart/form-data; boundary=")
    assert b'name="up"; filename="f.txt"' in request.body
    assert b"\r\n\r\n\x00\xff\r\n" in request.body


def test_a_form_of_parts_without_a_file(server: Server) -> None:
    """`--multipart` is for servers that want one anyway."""
    request = sent(server, "-F", "--multipart", "URL", "a=b")

    assert (request.header("content-type") or "").startswith("multipart/form-data; boundary=")
    assert b'name="a"\r\n\r\nb\r\n' in request.body


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["-u", "me:p:w"], "authorization", "Basic bWU6cDp3"),
        (["--bearer", "abc"], "authorization", "Bearer abc"),
        (["--cookie", "a=1; b=2"], "cookie", "a=1; b=2"),
        (["--cookie", "a=1", "--cookie", "b=2"], "cookie", "a=1; b=2"),
        (["--no-decode", "-H", "X: y"], "x", "y"),
    ],
)
def test_who_asks(words: list[str], field: str, value: str, server: Server) -> None:
    """Credentials and cookies become the fields that they stand for."""
    assert value == sent(server, "URL", *words).header(field)


def test_a_password_is_asked_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-u USER` without a colon asks, so that the password stands in no history."""
    monkeypatch.setattr("getpass.getpass", lambda prompt: "pw")

    assert "Basic bWU6cHc=" == sent(server, "-u", "me", "URL").header("authorization")


def test_a_password_that_nobody_can_give(server: Server) -> None:
    """Where `-u USER` asks without a terminal, and nothing is on standard input, one line says what to write."""
    command = [sys.executable, "-m", "unifetch", server.url, "-u", "me"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True)

    assert (2, 0) == (done.returncode, server.connections)
    assert "unifetch: InvalidRequest: -u me has no password" in done.stderr
    assert "Traceback" not in done.stderr


def test_digest() -> None:
    """`--digest` answers the challenge with the credentials of `-u`."""
    challenge = reply(401, headers={"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    with Server(challenge, reply(200)) as server:
        code = main(["-u", "me:pw", "--digest", server.url])
        answers = [request.header("authorization") for request in server.wait_requests(2)]

    assert (0, None) == (code, answers[0])
    assert (answers[1] or "").startswith('Digest username="me"')


def test_a_file_of_cookies_is_one_of_bytes(tmp_path: Path) -> None:
    """A value that is not ASCII stands there as the server sent it, as with curl, and goes back so."""
    path = tmp_path / "jar"
    for value in (b"caf\xe9", "café".encode()):
        answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=" + value + b"; Max-Age=100\r\nContent-Length: 0\r\n\r\n"
        with Server([answer], reply(200)) as server:
            codes = [main(["--cookie-jar", str(path), server.url]) for _ in range(2)]
            cookie = server.wait_requests(2)[1].header("cookie")

        assert ([0, 0], value) == (codes, (cookie or "").encode("latin-1").removeprefix(b"a="))
        assert path.read_bytes().endswith(b"\ta\t" + value + b"\n")


def test_cookies_are_kept_in_a_file(tmp_path: Path) -> None:
    """`--cookie-jar` reads the file and keeps what comes, for its owner alone."""
    path = tmp_path / "jar"
    with Server(reply(200, headers={"Set-Cookie": "a=1; Max-Age=100"}), reply(200)) as server:
        codes = [main(["--cookie-jar", str(path), server.url]) for _ in range(2)]
        cookies = [request.header("cookie") for request in server.wait_requests(2)]

    assert ([0, 0], [None, "a=1"]) == (codes, cookies)
    assert 0o600 == path.stat().st_mode & 0o777


# --- The way there --------------------------------------------------------------------------------


def able(capability: Capability) -> list[str]:
    return [name for name in available_backends() if capability in capabilities(name)]


@pytest.mark.parametrize("backend", able(Capability.RESOLVE))
@pytest.mark.parametrize("form", ["api.test:127.0.0.1", "api.test:{port}:127.0.0.1"])
def test_resolve(backend: str, form: str, server: Server) -> None:
    """`--resolve` takes our form and curl's."""
    url = f"http://api.test:{server.port}/"
    code = main(["-b", backend, "--resolve", form.format(port=server.port), url])

    assert (0, f"api.test:{server.port}") == (code, server.requests[0].header("host"))


@pytest.mark.parametrize("backend", able(Capability.TLS_CONTEXT))
def test_tls(backend: str) -> None:
    """`--cacert` trusts an authority, `-k` trusts anybody; without either the command fails with 5."""
    authority = certificate_authority()
    trusted = ["--cacert", str(authority.ca_file)]
    with Server(reply(), reply(), reply(), tls=authority.server_context()) as server:
        codes = [main(["-b", backend, server.url, *words]) for words in ([], ["-k"], trusted)]
        server.errors.clear()  # one handshake was refused

    assert [5, 0, 0] == codes


@pytest.mark.parametrize("words", [["--no-redirects"], ["-L", "0"], ["--redirects", "0"]])
def test_no_redirects(words: list[str]) -> None:
    """The redirect itself is the answer."""
    with Server(reply(302, headers={"Location": "/b"})) as server:
        code = main([*words, server.url])

    assert (0, 1) == (code, len(server.requests))


@pytest.mark.parametrize("words", [["-L", "URL"], ["URL", "-L"], ["-L", "3", "URL"]])
def test_curls_redirects(words: list[str]) -> None:
    """curl's `-L` changes nothing, because redirects are followed; with a number it is the most of them."""
    with Server(reply(302, headers={"Location": "/b"}), reply()) as server:
        code = main([word.replace("URL", server.url) for word in words])

    assert (0, ["/", "/b"]) == (code, [request.target for request in server.requests])


def test_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--retry N` sends up to N times more."""
    monkeypatch.setattr("random.random", lambda: 0.0)
    with Server(reply(503), reply(503), reply(200)) as server:
        code = main(["--retry", "2", "--fail", server.url])

    assert (0, 3) == (code, len(server.requests))


def test_a_proxy(server: Server) -> None:
    """`-x` asks the proxy, `--no-proxy` none, whatever the environment says."""
    code = main(["-x", server.url, "http://h.test/a"])

    assert (0, "http://h.test/a") == (code, server.requests[0].target)


# --- What is received -----------------------------------------------------------------------------


def test_the_head_with_the_body(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """`-i` writes the head as it came before the body, `-I` asks for nothing else."""
    with Server(reply(200, b"hello", headers={"X-A": "1"}), reply(200, headers={"X-B": "2"})) as server:
        codes = main(["-i", server.url]), main(["-I", server.url])
    out = capsysbinary.readouterr().out

    assert (0, 0) == codes
    assert out.startswith(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nX-B: 2\r\n")


@pytest.mark.parametrize(
    ("path", "name"), [("/a/big.iso", "big.iso"), ("/a/x%20y?q=/z", "x y"), ("/caf%C3%A9", "café")]
)
def test_the_name_of_the_url(path: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-O` takes the last part of the path, decoded; the server has no say in it."""
    monkeypatch.chdir(tmp_path)
    with Server(reply(200, b"hello")) as server:
        code = main(["-O", server.url + path])

    assert (0, [name], b"hello") == (code, os.listdir(tmp_path), (tmp_path / name).read_bytes())


@pytest.mark.parametrize("path", ["/", "/a/", "/a/..%2Fb", "/%00", "/a/%2e%2e"])
def test_a_url_without_a_name(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """What is no name of a file, or leads elsewhere, is refused before anything is sent."""
    monkeypatch.chdir(tmp_path)

    assert (2, 0, []) == (main(["-O", server.url + path]), server.connections, os.listdir(tmp_path))


def test_go_on_with_a_complete_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`-c` on a file as long as the server's says so, and does nothing."""
    (tmp_path / "f").write_bytes(b"hello")
    with Server(reply(200, headers={"Content-Length": "5"})) as server:
        code = main(["-c", "-o", str(tmp_path / "f"), server.url])
        methods = [request.method for request in server.requests]

    assert (0, ["HEAD"], b"hello") == (code, methods, (tmp_path / "f").read_bytes())
    assert "is complete: 5 bytes" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["-o", "FILE"]])
def test_a_limit(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--limit` ends a body that is larger, and leaves no file."""
    with Server(reply(200, b"x" * 100_000)) as server:
        code = main(["--limit", "10k", server.url, *(word.replace("FILE", str(tmp_path / "f")) for word in words)])

    assert (6, []) == (code, os.listdir(tmp_path))
    assert "TooLarge: --limit 10000" in capsys.readouterr().err


def test_an_error_without_a_body_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever sees nothing at all would not know that there was a 404."""
    with Server(reply(404), reply(404)) as server:
        codes = main([server.url]), main(["-s", server.url])

    assert (0, 0) == codes
    assert "unifetch: 404 Not Found, without a body\n" == capsys.readouterr().err


# --- What is shown --------------------------------------------------------------------------------

DOCUMENT = '{"name":"tea","price":1.50,"tags":["a",{}],"big":1e400,"name":"twice","e":"\u009b2J"}'


def page(request: RecordedRequest) -> Script:
    """JSON, text with escapes, or binary data."""
    if request.target == "/json":
        return reply(200, DOCUMENT.encode(), headers={"Content-Type": "application/json"})
    if request.target == "/binary":
        return reply(200, b"\x89PNG\0" * 1000, headers={"Content-Type": "image/png"})
    return reply(200, b"one\r\n\x1b[31mtwo", headers={"Content-Type": "text/plain"})


def test_json_on_a_terminal_and_through_a_pipe() -> None:
    """Indented and coloured on a terminal, every token as it came; through a pipe, the bytes."""
    with Server(page) as server:
        code, shown = in_terminal(f"{server.url}/json")
        piped = subprocess.run([sys.executable, "-m", "unifetch", f"{server.url}/json"], capture_output=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)

    assert (0, DOCUMENT.encode()) == (code, piped.stdout)
    assert plain == (
        '{\n    "name": "tea",\n    "price": 1.50,\n    "tags": [\n        "a",\n        {}\n    ],\n'
        '    "big": 1e400,\n    "name": "twice",\n    "e": "\\x9b2J"\n}\n'
    )
    assert "\x1b[36m" in shown
    assert {"0", "32", "35", "36"} == set(re.findall(r"\x1b\[(\d+)m", shown))  # which can be read on black and on white


def test_text_on_a_terminal() -> None:
    """A server's escapes are shown, not obeyed; the last line is ended."""
    with Server(page) as server:
        _, shown = in_terminal(f"{server.url}/text")

    assert "one\n\\x1b[31mtwo\n" == shown


def test_binary_data_on_a_terminal() -> None:
    """It is held back, with a sentence that says what it is and how to get it; `-o -` writes it all the same."""
    with Server(page) as server:
        code, shown = in_terminal(f"{server.url}/binary")

    assert (0, "unifetch: binary data (image/png, 5.0 kB) is not for a terminal; -o FILE keeps it\n") == (code, shown)


def test_the_conversation(capsys: pytest.CaptureFixture[str]) -> None:
    """`-v` tells why there was another request, and `--timing` where the time went."""
    with Server(reply(302, headers={"Location": "/b?api_key=hunter2"}), reply(200, b"hello")) as server:
        code = main(["-v", "--timing", server.url])
    err = capsys.readouterr().err

    assert (0, False) == (code, "hunter2" in err)
    assert "* 302 leads to " in err
    assert re.search(
        r"^ +1 +[0-9.]+ ms  302 .*\n +2 +[0-9.]+ ms  200 .*\n +body +[0-9.]+ ms  5 bytes\n +in all", err, re.M
    )


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("secure", [False, True])
def test_every_byte(backend: str, secure: bool) -> None:
    """`--trace` shows what is sent and received, before TLS hides it, on every backend."""
    tls = certificate_authority().server_context() if secure else None
    with Server(reply(200, b"hello"), tls=tls) as server:
        command = [sys.executable, "-m", "unifetch", "--trace", "-k", "-b", backend, server.url]
        done = subprocess.run(command, capture_output=True, text=True)
    bytes_of = {
        mark: bytes.fromhex("".join(re.findall(rf"^{mark} [0-9a-f]{{5}}  (.{{47}})", done.stderr, re.M)))
        for mark in "<>"
    }

    assert (0, "hello") == (done.returncode, done.stdout)
    assert bytes_of[">"].startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:")
    assert bytes_of[">"].endswith(b"\r\n\r\n")
    assert b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" == bytes_of["<"]


@pytest.mark.parametrize("backend", available_backends())
def test_every_byte_after_a_redirect_to_tls(backend: str) -> None:
    """`--trace` shows what goes through TLS also where the URL was one of http."""
    with (
        Server(reply(200, b"hello"), tls=certificate_authority().server_context()) as secure,
        Server(reply(302, headers={"Location": secure.url})) as server,
    ):
        command = [sys.executable, "-m", "unifetch", "--trace", "-k", "-b", backend, server.url]
        done = subprocess.run(command, capture_output=True, text=True)
    rows = re.findall(r"^([<>]) [0-9a-f]{5}  (.{47})", done.stderr, re.M)
    requests, answers = (bytes.fromhex("".join(row for mark, row in rows if mark == each)) for each in "><")

    assert (0, "hello") == (done.returncode, done.stdout)
    assert 2 == requests.count(b"GET / HTTP/1.1\r\n")
    assert answers.endswith(b"Content-Length: 5\r\n\r\nhello")


@pytest.mark.parametrize("words", [[], ["-o", "FILE"]], ids=" ".join)
def test_no_time_in_all(words: list[str], tmp_path: Path) -> None:
    """Without `--timeout` a body may take as long as it comes, as the help says; with it, there is a deadline."""
    deadlines = []

    def answer(request: Intercepted) -> Answer:
        deadlines.append(request.raw.deadline)
        return Answer(200, b"x")

    words = ["http://h/", *(word.replace("FILE", str(tmp_path / "f")) for word in words)]
    with intercept(answer):
        codes = [main(words), main([*words, "--timeout", "5"])]

    assert [0, 0] == codes
    assert [True, False] == [each is None for each in deadlines]


# --- What is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["URL", "--data-binary", "x"], "--data-binary is here -d @FILE"),
        (["URL", "--max-time=3"], "--max-time is here --timeout SECONDS"),
        (["URL", "-sSf"], "there is no -S: errors are always shown"),
        (["URL", "-OJ"], "there is no -J: a server names no file"),
        (["URL", "-sQ"], "there is no -Q"),
        (["URL", "--compressed"], "there is no --compressed: what is compressed is always decoded"),
        (["URL", "-T", "f"], "-T is here put URL -d @FILE"),
        (
            ["URL", "-b", "a=b"],
            "argument -b/--backend: it is who carries the request; cookies are --cookie 'A=B' or --cookie-jar FILE",
        ),
        (["URL", "-f"], "-f is here --fail (curl's -f) or -F (HTTPie's -f, a form)"),
        (["gett"], "'gett' is neither a URL nor a command; commands are backends, demo,"),
        (["a=b"], "there is no URL: a=… is an item"),
        (["post"], "there is no URL"),
    ],
)
def test_a_wrong_word_leads_to_the_right_one(
    words: list[str], message: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option of another tool says what it is here; the usage of the command stands above."""
    with pytest.raises(SystemExit) as exit:
        main([word.replace("URL", server.url) for word in words])
    err = capsys.readouterr().err

    assert (2, 0) == (exit.value.code, server.connections)
    assert err.startswith("usage: unifetch ")
    assert f"\nunifetch: {message}" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-u", "a:b", "--bearer", "c"], "--user and --bearer contradict each other"),
        (["--digest"], "--digest answers with the credentials of -u"),
        (["--key", "k"], "--key is the key of a certificate"),
        (["-x", "http://p", "--no-proxy"], "-x and --no-proxy contradict each other"),
        (["a=b", "-d", "c"], "a body is made of items or of -d or --json"),
        (["f@x"], "name@file is a file in a form: it needs -F"),
        (["-I", "-d", "x"], "-I asks for the head only"),
        (["-O", "-o", "f"], "-o and -O contradict each other"),
        (["--multipart"], "--multipart is a way to send a form"),
        (["-F", "a:=1"], "a form has no values of JSON"),
        (["--cookie", "a=1; a=2"], "the cookie 'a' is given twice"),
        (["a=1", "a:=2"], "the item of JSON 'a' is given twice"),
        (["--cookie", "file"], "a file of cookies is read by --cookie-jar"),
        (["a:={"], "a:=… is not JSON"),
        (["--resolve", "x"], "--resolve takes HOST:ADDRESS"),
        (["--resolve", "a:127.0.0.1", "--resolve", "a:127.0.0.2"], "the host of --resolve 'a' is given twice"),
    ],
)
def test_contradictions(words: list[str], message: str, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Two options that cannot both hold are an error before anything is sent."""
    code = main([server.url, *words])

    assert (2, 0) == (code, server.connections)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["URL", "password:=hunter2"],
        ["URL", "--password=hunter2"],
        ["URL", "-Phunter2"],
        ["URL", "-sPhunter2"],
        ["URL", "--digest=me:hunter2"],
        ["URL", "-ime:hunter2"],
        ["URL", "--json", "hunter2"],
        ["URL", "--cookie", "hunter2"],
        ["URL", "--cookie", "a=hunter2; a=hunter2"],
        ["URL", "-H", "hunter2"],
        ["URL", "https://me:hunter2@h/"],
        ["me:hunter2@h/"],
        ["curl", "curl -u a:b --password=hunter2 h"],
        ["demo", "--password=hunter2"],
    ],
    ids=" ".join,
)
def test_a_mistake_shows_no_credential(words: list[str], server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is named without the value, which may be a secret, and which a log of errors would keep."""
    try:
        code: object = main([word.replace("URL", server.url) for word in words])
    except SystemExit as exit:
        code = exit.code

    assert (2, 0) == (code, server.connections)
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["demo", "-q"], "demo"),
        (["cassette", "orphans", ".", "-m"], "cassette"),
        (["completion", "bash", "-T"], "completion"),
    ],
)
def test_another_command_has_other_options(words: list[str], command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not told of the options of a request, and names its own help."""
    with pytest.raises(SystemExit):
        main(words)
    err = capsys.readouterr().err

    assert f"\nunifetch: there is no {words[-1]}\n" in err
    assert err.endswith(f"\nunifetch: see unifetch {command} --help\n")


def test_standard_input_is_not_read_by_itself(server: Server, tmp_path: Path) -> None:
    """A file that was redirected says that `-d @-` sends it; a loop over its lines would lose them."""
    (tmp_path / "f").write_bytes(b"hello")
    command = [sys.executable, "-m", "unifetch", "post", server.url]
    with open(tmp_path / "f", "rb") as file:
        refused = subprocess.run(command, stdin=file, capture_output=True, text=True)
        taken = subprocess.run([*command, "-d", "@-"], stdin=file, capture_output=True, text=True)

    assert (2, 0) == (refused.returncode, taken.returncode)
    assert "standard input is a file: say -d @- to send it" in refused.stderr
    assert b"hello" == server.requests[0].body


# --- curl and back --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        (["-sSL", "h"], ["http://h", "-s"]),
        (["-XPUT", "-dx=1", "-d", "y", "h"], ["http://h", "-X", "PUT", "-d", "x=1", "-d", "y", "--no-redirects"]),
        (["-G", "-d", "a=b", "-L", "http://h"], ["http://h?a=b"]),
        (["-L", "-F", "a=b", "-F", "f=@x", "http://h"], ["http://h", "a=b", "f=@x", "-F"]),
        (["-L", "-F", "a=b", "http://h"], ["http://h", "a=b", "-F", "--multipart"]),
        (["-L", "-A", "me", "-e", "r", "http://h"], ["http://h", "-H", "User-Agent: me", "-H", "Referer: r"]),
        (["-L", "-b", "a=1", "-c", "jar", "http://h"], ["http://h", "--cookie-jar", "jar", "--cookie", "a=1"]),
        (["-L", "-b", "a=1", "-b", "c=2", "http://h"], ["http://h", "--cookie", "a=1; c=2"]),
        (["-G", "--data-urlencode", "q=x y", "-d", "z", "-L", "h?a#f"], ["http://h?a&q=x%20y&z#f"]),
        (["--data-urlencode", "q=@a&b", "-L", "h"], ["http://h", "-d", "q=%40a%26b"]),
        (["--data-urlencode", "x y", "-L", "h"], ["http://h", "-d", "x%20y"]),
        (["-L", "-F", "na:me=v", "h"], ["http://h", "na\\:me=v", "-F", "--multipart"]),
        (["-L", "-F", "a=x=@y", "h"], ["http://h", "a=x=@y", "-F", "--multipart"]),
        (["--max-redirs", "5", "h"], ["http://h", "--no-redirects"]),
        (["-L", "--max-redirs", "5", "h"], ["http://h", "-L", "5"]),
        (["-L", "-H", "Accept:", "-H", "X-A;", "h"], ["http://h", "Accept:", "-H", "X-A:"]),
        (["-L", "-x", "proxy:8080", "h"], ["http://h", "-x", "http://proxy:8080"]),
        (["-L", "--json", "[1", "--json", "]", "h"], ["http://h", "--json", "[1]", "-H", "Accept: application/json"]),
        (["-L", "--json", "1", "-H", "accept: a/b", "h"], ["http://h", "-H", "accept: a/b", "--json", "1"]),
        (["-L", "-g", "h/[1-3]"], ["http://h/[1-3]"]),
        (["-L", "h/[1"], ["http://h/[1"]),
        (["-L", "http://[::1]:80/"], ["http://[::1]:80/"]),
        (["-L", "-C", "-", "-O", "h/a"], ["http://h/a", "-c", "-O"]),
    ],
)  # fmt: skip
def test_a_command_line_of_curl(words: list[str], ours: list[str]) -> None:
    """It becomes one of ours that means the same."""
    assert ours == read(words)


@pytest.mark.parametrize(
    "words",
    [
        ["--ftp-pasv", "h"], ["a", "b"], [], ["-b", "file", "h"], ["-X"], ["--data-raw", "@x", "h"],
        ["-F", "a=@b;type=text/plain", "h"], ["-F", "a=@b;filename=c", "h"], ["-F", "a=@b,c", "h"], ["-F", "a==b", "h"],
        ["--form-string", "a=@b", "h"], ["-G", "-d", "@x", "h"], ["--data-urlencode", "a@x", "h"], ["-H", "@x", "h"],
        ["-C", "100", "h"], ["-F", "a=<b", "h"], ["h/[1-3]"], ["h/{a,b}"], ["http://[::1]/[a-z]"],
        ["-F", "a=b", "-d", "c=d", "h"],
    ],
)  # fmt: skip
def test_what_cannot_be_said(words: list[str]) -> None:
    """An option without a counterpart is an error, not left out."""
    with pytest.raises(InvalidRequest):
        read(words)


@pytest.mark.parametrize(
    "words",
    [
        ["post", "a=b", "n:=1"], ["-F", "a=b c"], ["-d", "x=1"], ["--json", "[1]"], ["-u", "me:pw"], ["--bearer", "t"],
        ["q==1 2"], ["X-A:1"], ["delete"], ["--cookie", "a=1"],
    ],
)  # fmt: skip
def test_as_curl_and_back(words: list[str], server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """What `--as curl` writes, read by `unifetch curl`, sends the same request again."""
    import shlex

    assert 0 == main([*words, server.url, "--as", "curl"])
    again = read(shlex.split(capsys.readouterr().out)[1:])
    requests = [sent(server, *words, "URL"), sent(server, *again)]
    first, second = ((each.method, each.target, dict(each.headers), each.body) for each in requests)

    assert (first[0], first[1], first[2].get("Accept")) == (second[0], second[1], second[2].get("Accept"))
    assert b"".join(first[3].split()) == b"".join(second[3].split())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("curl 'http://h' \\\n  -H 'A: b' \\\r\n --compressed\n", ["curl", "http://h", "-H", "A: b", "--compressed"]),
        (r"-d $'it\'s \u00e9\n' ''", ["-d", "it's \u00e9\n", ""]),
        (r'-d "{\"a\": \"\$1 \n\"}"', ["-d", r'{"a": "$1 \n"}']),
        (r"a\ b'c'\''d'", ["a bc'd"]),
        ("  ", []),
    ],
)
def test_the_words_of_a_shell(text: str, words: list[str]) -> None:
    """A command line that was copied from a browser or a manual is read as bash reads it."""
    assert words == split(text)


def test_a_copied_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    """A prompt before `curl`, and a path to it, do no harm; a quote that is not closed is wrong usage."""
    codes = [main(["curl", "$ /usr/bin/curl -L http://h"]), main(["curl", "curl -L 'http://h"])]
    out, err = capsys.readouterr()

    assert ([0, 2], "unifetch http://h\n") == (codes, out)
    assert "a quote is not closed" in err


@pytest.mark.parametrize("tool", ["curl", "httpie"])
def test_a_field_without_a_value(tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One that is left out and one that is sent empty stay different for another tool."""
    main(["http://h", "Accept:", "-H", "X-A:", "--as", tool])
    written = capsys.readouterr().out

    assert "Accept:" in written
    assert "X-A;" in written


def test_a_file_for_another_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A shell reads the file for HTTPie; neither tool gives it a type that it has not here."""
    path = tmp_path / "a"
    path.write_bytes(b"x")
    for tool in ("curl", "httpie"):
        main(["http://h", "-d", f"@{path}", "--as", tool])

    assert [
        f"curl -H Content-Type: --data-binary @{path} --compressed -L --max-redirs 20 http://h",
        f"http --follow POST http://h Content-Type: < {path}",
    ] == capsys.readouterr().out.splitlines()


def test_a_path_as_it_is(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--path-as-is` leaves the dots in what is sent, into a file too, and in what is written for another tool."""
    words = [f"{server.url}/a/../b?c", "--path-as-is"]
    for more in ([], ["-o", str(tmp_path / "file")], ["d==e"]):
        assert 0 == main([*words, *more])
    capsys.readouterr()
    for tool in ("curl", "httpie", "python"):
        main([*words, "--as", tool])
    curl, httpie, *python = capsys.readouterr().out.splitlines()
    exec("\n".join(python), {})  # our own text
    targets = [request.target for request in server.wait_requests(4)]

    assert ["/a/../b?c", "/a/../b?c", "/a/../b?c&d=e", "/a/../b?c"] == targets
    assert "--path-as-is" in curl
    assert "--path-as-is" in httpie


def test_names_with_separators(capsys: pytest.CaptureFixture[str]) -> None:
    """What would be a separator in a name, or begin another kind of item, stays what it is."""
    main(["http://h", r"a\=b=c", "d[0]=e", "--as", "httpie"])
    main(["http://h", "-F", "f=@y;z", "--as", "curl"])
    first, second = capsys.readouterr().out.splitlines()

    assert first.endswith(r"'a\=b=c' 'd\[0\]=e'")
    assert "-F 'f=@\"y;z\"'" in second


@pytest.mark.parametrize(
    ("words", "curl", "httpie"),
    [
        (["-i"], "-i", "--print=hb"),
        (["-o", "f g"], "-o 'f g'", "'--output=f g'"),
        (["-O"], "-O", None),
        (["-c", "-o", "f"], "-o f -C -", None),
        (["--fail"], "-f", "--check-status"),
        (["--limit", "10k"], "--max-filesize 10000", None),
        (["--cookie-jar", "j"], "-b j -c j", None),
        (["-v"], "-v", "-v"),
        (["--timing"], "-w '%{time_total} s'", None),
        (["--trace"], "--trace -", None),
    ],
)
def test_what_is_done_with_the_answer(
    words: list[str], curl: str, httpie: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is written for the other tool as well, or refused; a program has to say it itself."""
    codes = [main(["http://h/a", *words, "--as", tool]) for tool in ("curl", "httpie", "python")]
    out, err = capsys.readouterr()

    assert [0, 2 if httpie is None else 0, 0 if words == ["--fail"] else 2] == codes
    assert f" {curl} " in out.splitlines()[0]
    assert httpie is None or f" {httpie} " in out.splitlines()[1]
    assert ("raise_for_status()" in out) == (words == ["--fail"])
    assert 2 - codes.count(0) + 1 == err.count("InvalidRequest: ")


def test_the_backend_for_another_tool(capsys: pytest.CaptureFixture[str]) -> None:
    """That it has no other engine is said."""
    codes = [main(["http://h/", "-b", "socket", "--as", tool]) for tool in ("curl", "httpie", "python")]
    out, err = capsys.readouterr()

    assert [0, 0, 0] == codes
    assert 2 == err.count("unifetch: -b socket is left out, because ")
    assert "backend='socket'" in out


def test_curly_brackets_for_curl(capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that curl would take for several has -g."""
    main(["http://h/[1-3]", "--as", "curl"])
    main(["http://h/{a,b}?c", "--as", "curl"])
    main(["http://[::1]/a", "--as", "curl"])

    assert [True, True, False] == [" -g " in line for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("words", [["-d", "@-"], ["-d", "@FILE"], ["-F", "a=b", "f@FILE"]], ids=" ".join)
def test_as_python_with_a_file(words: list[str], server: Server, tmp_path: Path) -> None:
    """The program imports what it names, also for standard input and for a file of a form."""
    (tmp_path / "f").write_bytes(b"hello")
    words = [word.replace("FILE", str(tmp_path / "f")) for word in words]
    command = [sys.executable, "-m", "unifetch", server.url, *words, "--as", "python"]
    program = subprocess.run(command, capture_output=True, check=True, text=True, input="").stdout
    subprocess.run([sys.executable, "-c", program], check=True, input=b"hello", timeout=60)

    assert b"hello" in server.requests[0].body


def test_as_python(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The program that is written is one that runs, and sends the same."""
    main(["post", server.url, "name=tea", "X-A:1", "q==2", "-u", "me:pw", "--as", "python"])
    program = capsys.readouterr().out
    exec(program, {})  # our own text
    request = server.requests[0]

    assert ("POST", "/?q=2", "1", b'{"name":"tea"}') == (
        request.method,
        request.target,
        request.header("x-a"),
        request.body,
    )


# --- What is made from the parser -----------------------------------------------------------------


def test_as_python_over_http2(capsys: pytest.CaptureFixture[str]) -> None:
    """The program names a backend that has it, as the command line uses one."""
    main(["https://h.example/", "--http2", "--as", "python"])

    assert "    http2=True,\n    backend='socket',\n" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It knows every option, and the backends after `-b`."""
    code = main(["completion", shell])
    text = capsys.readouterr().out

    assert 0 == code
    assert [] == [
        name
        for _, options in groups()
        for option in options
        for name in option.option_strings
        if name.lstrip("-") not in text
    ]
    assert "urllib requests httpx httpx2" in text


def test_completion_in_bash() -> None:
    """bash takes the script, and offers what begins like the word."""
    script = subprocess.run([sys.executable, "-m", "unifetch", "completion", "bash"], capture_output=True, text=True)
    asked = 'COMP_WORDS=(unifetch --no-re); COMP_CWORD=1; _unifetch; echo "${COMPREPLY[@]}"'
    told = subprocess.run(["bash", "-c", f"{script.stdout}\n{asked}"], capture_output=True, text=True)

    assert ("--no-redirects\n", "") == (told.stdout, told.stderr)


def test_the_manual(capsys: pytest.CaptureFixture[str]) -> None:
    """The manual page has every option, the exit codes and the environment."""
    code = main(["manual"])
    text = capsys.readouterr().out

    assert 0 == code
    assert text.startswith(".TH UNIFETCH 1")
    assert [] == [
        option.option_strings[-1]
        for _, options in groups()
        for option in options
        if option.option_strings[-1].replace("-", r"\-") not in text
    ]


def test_the_page_of_the_documentation() -> None:
    """`docs/command_line.py` would change nothing in it; where this fails, run it."""
    page = (DOCS / "command-line.md").read_text("utf-8")

    assert "<!-- end of options -->" in page
    assert TABLES["updated"](page) == page


def test_every_option_stands_beside_others() -> None:
    """The table of the page has a row for each, and no other."""
    assert sorted(option.option_strings[-1] for _, options in groups() for option in options) == sorted(BESIDE)


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[A-Za-z][\w.-]*", text))


def test_what_curl_calls_it() -> None:
    """Each option that the table names is one of curl's."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    known = options_in(subprocess.run([curl, "--help", "all"], capture_output=True, text=True).stdout)
    named = {option for curls, _, _ in BESIDE.values() for option in options_in(curls)}

    assert set() == named - known - {"-h", "--json", "-V"}  # an older curl has no --json, and does not list the others


def test_what_httpie_calls_it() -> None:
    """Each is one of HTTPie's."""
    definition = pytest.importorskip("httpie.cli.definition", reason="HTTPie is not installed")
    known = {name for action in definition.parser._actions for name in action.option_strings}
    named = {option for _, httpies, _ in BESIDE.values() for option in options_in(httpies)}

    assert set() == named - known


def test_the_help_fits_a_screen() -> None:
    """The common half has at most 24 lines of 79 columns."""
    lines = COMMON.splitlines()

    assert len(lines) <= 24
    assert max(map(len, lines)) <= 79


def test_no_option_of_ours_is_said_to_be_elsewhere() -> None:
    """The table of other tools' options names none that works here."""
    ours = {name for _, options in groups() for option in options for name in option.option_strings}

    assert set() == ours & set(ELSEWHERE)


@pytest.mark.parametrize(
    ("word", "kind", "expected"),
    [
        ("a=b=c", "fields", [("a", "b=c")]),
        ("a:b=c", "headers", [("a", "b=c")]),
        ("a==b:c", "params", [("a", "b:c")]),
        ("a:", "headers", [("a", None)]),
        (r"a\:b=c", "fields", [("a:b", "c")]),
        ("a:=[1]", "fields", [("a", [1])]),
    ],
)
def test_the_first_separator_counts(word: str, kind: str, expected: list[Any]) -> None:
    """What follows it is the value, whatever is in it."""
    assert expected == getattr(Items([word]), kind)


def test_letters_that_end_with_curls_redirects(server: Server) -> None:
    """`-sL`, as it stands in scripts for curl, asks for what is done anyway."""
    assert "GET" == sent(server, "-sL", "URL").method


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["URL", "URL"], "is a second URL, and one is asked for at a time"),
        (["URL", "-F", "f@f.txt;type=text/plain"], ";type= has no counterpart here"),
        (["URL", "-F", "f=<{path}"], "f=<FILE, curl's text from a file, has no counterpart here"),
        (["URL", "-c", "a=b"], "curl's -c is --cookie-jar FILE"),
        (["URL", "--bearer", ""], "token must be visible ASCII"),
        (["URL", "--unix-socket", ""], "unix_socket: must be the path of a socket"),
        (["https://h/", "--cacert", ""], "ca_file must be a path"),
        (["URL", "--cookie-jar", "nowhere/jar"], "No such file or directory: 'nowhere/jar'"),
    ],
)
def test_what_would_be_lost(
    words: list[str], told: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What curl or HTTPie would do, or a variable that is not set, is refused before anything is sent."""
    (tmp_path / "f").write_text("x", "utf-8")
    code = main([word.replace("URL", server.url).replace("{path}", f"{tmp_path}/f") for word in words])

    assert 2 == code
    assert told in capsys.readouterr().err
    assert [] == server.requests


def test_a_body_from_standard_input(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-d @-` and `--json @-` send what comes."""
    for option in ("-d", "--json"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}')))
        request = sent(server, "URL", option, "@-")

        assert b'{"a": 1}' == request.body
