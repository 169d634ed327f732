"""Recordings: made over any backend, played over any other, strict, and without a secret."""

from __future__ import annotations

import asyncio
import base64
import functools
import gzip
import hashlib
import html
import json
import os
import random
import re
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifetch import Client, ConnectionLost, UnifetchError, get, post
from unifetch.backends import available_backends, load, load_async
from unifetch.cli.cassette import orphans
from unifetch.cli.main import main as command
from unifetch.testing import (
    Cassette,
    CassetteError,
    Close,
    Pause,
    Reset,
    SecretFound,
    Server,
    Unanswered,
    Unmet,
    Wait,
    reply,
)
from unifetch.testing.awaited import client_of
from unifetch.testing.har import LARGE, Content, UploadDigest
from unifetch.testing.secrets import Secrets, may_hold_key

# --- (a) seven by seven, both ways ----------------------------------------------------------------

ANSWERS = {
    "/json": reply(200, b'{"n": [1, 2.5, null]}', {"Content-Type": "application/json"}),
    "/gzip": reply(200, gzip.compress(b"plain", mtime=0), {"Content-Encoding": "gzip"}),
    "/bytes": reply(200, bytes(range(256))),
    "/twice": reply(207, b"x", [("X-A", "1"), ("x-a", "2"), ("X-B", "")], reason="Many"),
    "/chunks": reply(200, [b"one", b"two", b"three"]),
    "/empty": reply(204),
    "/missing": reply(404, b"none"),
    "/there": reply(302, headers={"Location": "/json"}),
    "/broken": [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", Close()],
    "/lost": Reset(),
}


def conversation(client: Any, url: str) -> list[Any]:
    """What a program sees of everything there is."""
    seen: list[Any] = []
    for path in ANSWERS:
        try:
            response = client.get(url + path)
        except UnifetchError as error:
            seen.append((path, type(error).__name__, error.request_sent))
        else:
            fields = [pair for pair in response.headers.pairs if pair[0].lower() != "date"]
            seen.append((response.status, response.reason, fields, response.body, len(response.history)))
    seen.append(client.post(f"{url}/json", json={"a": [1]}).json())
    seen.append(client.post(f"{url}/json", body=iter([b"ab", b"cd"])).status)
    with client.stream("GET", f"{url}/chunks") as response:
        seen.append(b"".join(response.body))
    return seen


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, str, list[Any]]]]:
    """A cassette of the conversation, recorded over each backend, with what was seen."""
    directory, made = tmp_path_factory.mktemp("cassettes"), {}
    with Server(ANSWERS) as server:
        for name in available_backends():
            path = directory / f"{name}.har"
            with client_of(load(name)()) as client, Cassette(path, mode="once"):
                made[name] = path, server.url, conversation(client, server.url)
    yield made  # noqa: PT022  # the server has to have ended by now


@pytest.mark.parametrize("kind", ["blocking", "awaited"])
@pytest.mark.parametrize("recorder", available_backends())
def test_recorded_by_one_played_by_another(recorded: Any, recorder: str, backend: str, kind: str) -> None:
    """A cassette of each backend replays over each other, blocking and awaited, with equal responses (KIT, a)."""
    path, url, seen = recorded[recorder]
    made = (load if kind == "blocking" else load_async)(backend)()
    with client_of(made) as client, Cassette(path, mode="none"):
        assert seen == conversation(client, url)


# --- Streams stay streams -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["blocking", "awaited"])
def test_events_come_while_recording(tmp_path: Path, backend: str, kind: str) -> None:
    """The first event is there before the server sends the second, and a body is never awaited whole (KIT, b)."""
    seen = threading.Event()
    script = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"9\r\ndata: 1\n\n\r\n",
        Wait(seen),
        b"9\r\ndata: 2\n\n\r\n0\r\n\r\n",
    ]
    path = tmp_path / "events.har"
    made = (load if kind == "blocking" else load_async)(backend)()
    with Server(script) as server, client_of(made) as client:
        with Cassette(path, mode="once"), client.stream("GET", server.url) as response:
            events = response.events()
            first = next(events).data
            seen.set()  # had it waited for the second, it would wait still
            rest = [event.data for event in events]
        with Cassette(path, mode="none"), client.stream("GET", server.url) as response:
            played = [event.data for event in response.events()]

    assert ("1", ["2"], ["1", "2"]) == (first, rest, played)


def test_times_are_played(tmp_path: Path) -> None:
    """Playing keeps the order and the distance of pieces, in no time, or paced."""
    path = tmp_path / "slow.har"
    with Server([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Pause(0.05), b"a", Pause(0.05), b"b"]) as server:
        with Cassette(path, mode="once"):
            get(server.url)
        with Cassette(path, mode="none") as cassette:
            get(server.url)
        with Cassette(path, mode="none", paced=True):
            began = time.monotonic()
            get(server.url)
            took = time.monotonic() - began

    assert 0.09 <= cassette.passed
    assert 0.09 <= took


def test_a_large_body_has_a_file_of_its_own(tmp_path: Path) -> None:
    """It stands beside the cassette, named by its content, and is played from there."""
    path, body = tmp_path / "large.har", bytes(range(256)) * 4096
    with Server(reply(200, body)) as server:
        with Cassette(path, mode="once"):
            get(server.url)
        with Cassette(path, mode="none"):
            played = get(server.url).body

    assert body == played
    assert path.stat().st_size < 10_000
    assert [body] == [each.read_bytes() for each in tmp_path.glob("large.*.body")]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="a file without a name can get one on Linux only")
def test_a_large_body_is_written_once(tmp_path: Path) -> None:
    """Without secrets its file gets a name at the end, and is neither read nor copied; memory does not grow with it."""
    piece = bytes(range(256)) * 256
    tracemalloc.start()
    body = Content(directory=tmp_path)
    for _ in range(256):
        body.write(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert body._file is not None
    number = os.fstat(body._file.fileno()).st_ino
    name = body.store("one", tmp_path, Secrets())

    assert [number] == [each.stat().st_ino for each in tmp_path.iterdir()]
    assert piece * 256 == Path(tmp_path, name).read_bytes()
    assert peak < 6 * LARGE


def test_a_large_body_where_no_file_can_be_named_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is copied then, and the same is played."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    path, body = tmp_path / "new" / "one.har", bytes(range(256)) * 4096
    with Server(reply(200, body)) as server, Cassette(path, mode="once"):
        get(server.url)
    with Cassette(path, mode="none"):
        played = get(server.url).body

    assert body == played
    assert 2 == len(list(path.parent.iterdir()))


def test_an_upload_from_an_iterator(tmp_path: Path) -> None:
    """It is sent as it comes, and compared when it is played; a large one by its digest."""
    path = tmp_path / "upload.har"
    with Server(lambda request: reply(200, str(len(request.body)).encode())) as server:
        for mode in ("once", "none"):
            with Cassette(path, mode=mode):
                assert "4" == post(server.url, body=iter([b"ab", b"cd"])).text
                assert "2000000" == post(server.url, body=iter([b"x" * 1_000_000] * 2)).text
        with pytest.raises(Unanswered, match=r"recorded, \+ sent\n +-abcd\n +\+abce"), Cassette(path, mode="none"):
            post(server.url, body=iter([b"ab", b"ce"]))


def test_a_body_that_was_not_read_to_its_end(tmp_path: Path) -> None:
    """What was read is recorded; whoever reads on than that is told, and no end is made up."""
    path = tmp_path / "part.har"
    script = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x" * 10, Pause(30)]
    with Server(script) as server, Client() as client:
        with Cassette(path, mode="once"), client.stream("GET", server.url) as response:
            next(iter(response.body))
        with Cassette(path, mode="none"), client.stream("GET", server.url) as response:
            assert b"x" * 10 == next(iter(response.body))
        with pytest.raises(Unanswered, match="more is read than was"), Cassette(path, mode="none"):
            client.get(server.url)


# --- Being strict ---------------------------------------------------------------------------------


@pytest.fixture
def cassette(tmp_path: Path) -> Callable[..., Cassette]:
    """One file, in any mode."""
    return functools.partial(Cassette, tmp_path / "one.har")


def _thread(call: Callable[[], Any]) -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(call).result()


def _task(call: Callable[[], Any]) -> None:
    async def scenario() -> None:
        await asyncio.gather(asyncio.create_task(asyncio.to_thread(call)))

    asyncio.run(scenario())


@pytest.mark.parametrize("place", [lambda call: call(), _thread, _task])
def test_no_network_in_mode_none(cassette: Any, place: Any) -> None:
    """What was not recorded makes no connection, from wherever it is asked (KIT, c)."""
    with Server() as server:
        with cassette(mode="once"):
            get(f"{server.url}/a")
        connections = server.connections
        with (
            pytest.raises(Unanswered, match=r"the nearest of 1 that are left: GET .*/a\n  ✗ url"),
            cassette(mode="none"),
        ):
            place(lambda: get(f"{server.url}/b", retry=3))

        assert connections == server.connections


def test_unplayed(cassette: Any) -> None:
    """What was recorded has to be asked for, as often."""
    with Server() as server:
        with cassette(mode="once"):
            get(f"{server.url}/a")
            get(f"{server.url}/a")
        with pytest.raises(Unmet, match=r"unplayed=True allows that\):\n  GET http.*/a\Z"), cassette(mode="none"):
            get(f"{server.url}/a")
        with cassette(mode="none", unplayed=True):
            get(f"{server.url}/a")


def test_modes(cassette: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once records where there is no file; new adds; all begins anew; none is what CI does."""
    with Server() as server:
        with cassette(mode="once"):
            get(f"{server.url}/a")
        with cassette(mode="new"):
            get(f"{server.url}/a")
            get(f"{server.url}/b")
        with cassette(mode="once"):
            get(f"{server.url}/b")
            get(f"{server.url}/a")
        assert ["/a", "/b"] == [request.target for request in server.requests]
        with cassette(mode="all"):
            get(f"{server.url}/c")
        monkeypatch.setenv("CI", "true")
        assert "none" == cassette().mode
        monkeypatch.setenv("UNIFETCH_CASSETTE", "new")
        assert "new" == cassette().mode
    with pytest.raises(ValueError, match="not 'sometimes'"):
        cassette(mode="sometimes")


def test_check(cassette: Any) -> None:
    """Against the live service: statuses, names of fields, and the shape of JSON have to be as they were."""
    before = reply(200, b'{"items": [{"id": 1, "price": 2}]}', {"Content-Type": "application/json"})
    after = reply(200, b'{"items": [{"id": "1", "price": null}]}', {"Content-Type": "application/json", "X-New": "1"})
    with Server(before, before, after) as server:
        with cassette(mode="once"):
            get(server.url)
        with cassette(mode="check"):
            get(server.url)
        with pytest.raises(Unmet) as caught, cassette(mode="check", ignore=["items[].price"]):
            get(server.url)

    assert str(caught.value).splitlines()[1:] == [
        f"  GET {server.url}/: the field x-new is new",
        f"  GET {server.url}/: JSON at items[].id: text, recorded as a number",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"log": {"version": "1.2", "entr', "is damaged"),
        ("[]", "is damaged"),
        ('{"log": {"version": "1.2", "_unifetch": 1, "entries": [{}]}}', "is damaged"),
        ('{"log": {"version": "1.2", "_unifetch": 99, "entries": []}}', "of another version"),
        ('{"log": {"version": "2.0", "_unifetch": 1, "entries": []}}', "of another version"),
    ],
)
def test_a_cassette_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    """It is a clear error, which names the file."""
    path = tmp_path / "bad.har"
    path.write_text(text)
    with pytest.raises(CassetteError, match=f"bad.har {message}|bad.har is {message}"):
        Cassette(path, mode="none")


def test_no_cassette(tmp_path: Path) -> None:
    """Nor does mode none make one."""
    with pytest.raises(CassetteError, match="there is no cassette"):
        Cassette(tmp_path / "none.har", mode="none")


def test_a_test_that_fails_records_nothing(cassette: Any, tmp_path: Path) -> None:
    """Half a conversation is no recording."""

    def failing(url: str) -> None:
        with cassette(mode="once"):
            raise ZeroDivisionError(get(url).status)

    with Server() as server, pytest.raises(ZeroDivisionError):
        failing(server.url)

    assert [] == list(tmp_path.iterdir())


def test_two_at_once_do_not_spoil_one_file(tmp_path: Path) -> None:
    """The file is whole at any moment; what both add in mode new is there."""
    path = tmp_path / "shared.har"
    together = threading.Barrier(2)

    def record(name: str, url: str) -> None:
        cassette = Cassette(path, mode="new")
        steps = cassette.handle  # without the process's slot, which both would share
        with Client() as client:
            from unifetch.testing import intercept

            with intercept(cassette, local=True):
                assert steps
                client.get(f"{url}/{name}")
                together.wait(20)

    with Server() as server, ThreadPoolExecutor(2) as executor:
        for future in [executor.submit(record, name, server.url) for name in ("a", "b")]:
            future.result()
        with Cassette(path, mode="none"):
            assert [200, 200] == [get(f"{server.url}/{name}").status for name in ("a", "b")]


def test_errors_are_recorded(cassette: Any) -> None:
    """A connection that was lost is lost again, with whether the request was sent."""
    with Server(Reset()) as server:
        for mode in ("once", "none"):
            with cassette(mode=mode), pytest.raises(ConnectionLost) as caught:
                get(server.url)
            assert "maybe" == caught.value.request_sent


# --- (d) secrets ----------------------------------------------------------------------------------

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda s: quote(s, safe=""),
    "percent, small": lambda s: quote(s, safe="").lower() if s.islower() else quote(s, safe="/"),
    "form": quote_plus,
    "twice percent": lambda s: quote(quote(s, safe=""), safe=""),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for URLs, in the middle": lambda s: base64.urlsafe_b64encode(f"user:{s}:x".encode()).decode().rstrip("="),
    "hexadecimal": lambda s: s.encode().hex(),
    "JSON": lambda s: json.dumps(s)[1:-1],
    "HTML": html.escape,
}
SECRETS = {
    f"secret{n}": f"pl{n}ntéd/S+cret&{n * 7919:06d} =\"{n}'" if n % 3 else f"sk{n:02d}plainALNUM{n * 104729:09d}"
    for n in range(30)
}


def _service(request: Any) -> bytes:
    # It says everything it was told again.
    return reply(200, request.body, {"Content-Type": "text/plain", "X-Echo": request.header("x-say") or ""})


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_secret_on_disk_and_all_of_it_replays(tmp_path: Path, encoding: str) -> None:
    """30 secrets, in 10 encodings, in the query, a field, a body and the answer: none is written (KIT, d)."""
    encode, path = ENCODINGS[encoding], tmp_path / "secret.har"

    def use(url: str) -> list[bytes]:
        bodies = []
        for name, value in SECRETS.items():
            said = encode(value)
            ascii_only = said if said.isascii() else quote(said)
            call: dict[str, Any] = {"body": f"<{said}> and <{value}>", "headers": {"X-Say": ascii_only}}
            bodies.append(post(f"{url}/{name}/{quote(said, safe='')}", params={"q": said}, **call).body)
        return bodies

    with Server(_service) as server:
        with Cassette(path, mode="once", secrets=SECRETS):
            use(server.url)
        asked = len(server.requests)
        with Cassette(path, mode="none", secrets=SECRETS):
            played = use(server.url)

        assert asked == len(server.requests)
    text = path.read_text("utf-8")
    written = text + json.dumps(json.loads(text)) + json.dumps(json.loads(text), ensure_ascii=False)
    found = [
        (name, form)
        for name, value in SECRETS.items()
        for form, other in ENCODINGS.items()
        if other(value) in written or value in written
    ]

    assert [] == found
    assert all(b"SECRET-" in body for body in played)


KEY = "q7Planted-91secretZ"
IN_ANSWERS: dict[str, tuple[str, bytes]] = {
    "a form of no type": ("text/plain", f"access_token={KEY}&expires=60".encode()),
    "an element": ("text/xml", f"<Keys><SecretAccessKey>{KEY}</SecretAccessKey></Keys>".encode()),
    "a form of a page": ("text/html", f'<form><input type=hidden name="csrf_token" value="{KEY}"></form>'.encode()),
    "a page that names it in a header": ("text/html", f'<meta name="csrf-token" content="{KEY}">'.encode()),
    "a URL in JSON": ("application/json", json.dumps({"next": f"https://a.test/?access_token={KEY}&page=2"}).encode()),
    "a URL in a URL": ("text/plain", f"see /in?to={quote(f'https://b.test/?access_token={KEY}', safe='')}".encode()),
    "the user of a URL": ("text/plain", f"git clone https://x:{KEY}@git.test/a.git".encode()),
    "JSON in JSON": ("application/json", json.dumps({"body": json.dumps({"access_token": KEY})}).encode()),
    "several under one name": ("application/json", json.dumps({"tokens": [KEY]}).encode()),
    "names within a name": ("application/json", json.dumps({"api_keys": {"main": KEY}}).encode()),
    "a script": ("text/javascript", f'callback({{"access_token": "{KEY}"}})'.encode()),
    "JSON behind a guard": ("application/json", f')]}}\',\n{{"access_token":"{KEY}"}}'.encode()),
    "JSON behind a mark": ("application/json", f'\ufeff{{"access_token":"{KEY}"}}'.encode()),
    "JSON behind white space": ("application/json", f' \n {{"access_token":"{KEY}"}}'.encode()),
    "JSON that was cut off": ("application/json", f'{{"access_token": "{KEY}", "n": [1,'.encode()),
    "an event": ("text/event-stream", f'event: in\ndata: {{"access_token":"{KEY}"}}\n\n'.encode()),
    "an event of several lines": ("text/event-stream", f'data: {{\ndata: "access_token":"{KEY}"}}\n\n'.encode()),
    "a setting": ("text/plain", f"NAME=shop\nAPI_KEY={KEY}\n".encode()),
}
IN_FIELDS = {
    "Location": f"https://a.test/in#access_token={KEY}&token_type=bearer",
    "Content-Location": f"https://bob:{KEY}@a.test/",
    "Link": f'<https://a.test/?access_token={KEY}>; rel="next"',
    "Refresh": f"0; url=https://a.test/?access_token={KEY}",
    "WWW-Authenticate": f'Bearer realm="x", token="{KEY}"',
}


def _holds_key(path: Path) -> bool:
    """Whether the key is in a cassette, plain, in percent-encoding or in base64."""
    text = path.read_text("utf-8")
    runs = re.findall("[A-Za-z0-9+/]{8,}={0,2}", text)
    decoded = b"".join(base64.b64decode(run + "=" * (-len(run) % 4)) for run in runs if len(run.rstrip("=")) % 4 != 1)
    return KEY in text or KEY.encode() in decoded


@pytest.mark.parametrize("name", IN_ANSWERS)
def test_what_an_answer_tells_under_the_name_of_a_credential(cassette: Any, tmp_path: Path, name: str) -> None:
    """It is replaced, in whatever kind of text it stands, and the answer is played as it was but for that."""
    kind, body = IN_ANSWERS[name]
    with Server(reply(200, body, {"Content-Type": kind})) as server:
        for mode in ("once", "none"):
            with cassette(mode=mode):
                played = get(server.url).body

    assert not _holds_key(tmp_path / "one.har")
    assert body == re.sub(rb"SECRET-\d+", KEY.encode(), played)


@pytest.mark.parametrize("name", IN_FIELDS)
@pytest.mark.parametrize("place", ["head", "interim", "trailer"])
def test_what_a_field_tells_under_the_name_of_a_credential(
    cassette: Any, tmp_path: Path, place: str, name: str
) -> None:
    """So it is in fields, also those of interim responses and trailers."""
    field = f"{name}: {IN_FIELDS[name]}\r\n".encode()
    parts = {each: field if each == place else b"" for each in ("head", "interim", "trailer")}
    interim = b"HTTP/1.1 103 Early Hints\r\n%b\r\n" % parts["interim"] if place == "interim" else b""
    head = b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" % parts["head"]
    with Server([interim, head, b"%b\r\n" % parts["trailer"]]) as server, cassette(mode="once"):
        get(server.url, backend="socket")

    assert not _holds_key(tmp_path / "one.har")


@pytest.mark.parametrize(
    "call",
    [
        {"form": {"password": KEY}, "files": {"f": b"data"}},
        {"files": {"password": KEY.encode(), "f": b"data"}},
        {"json": {"query": f'mutation {{ login(password: "{KEY}") {{ ok }} }}'}},
        {"body": gzip.compress(json.dumps({"password": KEY}).encode()), "headers": {"Content-Encoding": "gzip"}},
        {"auth": (KEY, "")},
        {"auth": ("bob", KEY)},
    ],
    ids=["multipart", "a file", "GraphQL", "compressed", "a key as user", "a password"],
)
def test_what_a_request_tells_under_the_name_of_a_credential(cassette: Any, tmp_path: Path, call: Any) -> None:
    """So it is in requests, and they are known again by what else they say, also with another credential."""
    again = json.loads(json.dumps(call, default=lambda data: None).replace(KEY, "another")) if "json" in call else call
    with Server(reply(200)) as server:
        with cassette(mode="once"):
            post(server.url, **call)
        with cassette(mode="none"):
            post(server.url, **again)
        entry = json.loads((tmp_path / "one.har").read_text())["log"]["entries"][0]

    assert not _holds_key(tmp_path / "one.har")
    assert "content-encoding" not in {field["name"].lower() for field in entry["request"]["headers"]}


@pytest.mark.parametrize("word", ["Password", "string", "required"])
def test_a_word_is_no_credential(cassette: Any, word: str) -> None:
    """In a text that is not JSON, a word beside such a name is left, since it is elsewhere as well."""
    body = f'<label for="password">{word}</label><Password>{word}</Password> token="{word}"'.encode()
    with Server(reply(200, body, {"Content-Type": "text/html"})) as server:
        for mode in ("once", "none"):
            with cassette(mode=mode):
                played = get(server.url).body

    assert body == played


def test_a_secret_in_another_charset(cassette: Any, tmp_path: Path) -> None:
    """A given value is found in Latin-1, and in a field, whose bytes are taken for Latin-1."""
    secret = "pässwörd9"
    answer = reply(200, f"it is {secret}".encode("latin-1"), {"X-Echo": secret.encode().decode("latin-1")})
    with Server(answer) as server, cassette(mode="once", secrets={"word": secret}):
        get(server.url)
    response = json.loads((tmp_path / "one.har").read_text("utf-8"))["log"]["entries"][0]["response"]

    assert "it is SECRET-word-1" == response["content"]["text"]
    assert {"name": "X-Echo", "value": "SECRET-word-1"} in response["headers"]


# --- What is taken for the same request -----------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ({"json": {"n": 5, "password": "first-one"}}, {"json": {"n": 5, "password": "x", "z": "more"}}),
        ({"json": {"n": 5, "password": "first-one"}}, {"json": {"n": 5, "password": {"a": "x"}}}),
        ({"json": {"n": 1}}, {"json": {"n": True}}),
        ({"form": {"n": 5, "password": "first-one"}}, {"form": {"n": 5, "password": "x", "z": "more"}}),
        ({"params": {"api_key": "first-one-7"}}, {"params": {"api_key": "x", "z": "more"}}),
        ({"params": {"a": [1, 2]}}, {"params": {"a": [2, 1]}}),
        ({"params": {"a": b"\xff"}}, {"params": {"a": b"\xfe"}}),
    ],
)
def test_a_credential_stands_for_itself_alone(cassette: Any, recorded: Any, said: Any) -> None:
    """Where a recording has a placeholder, any credential is taken, and nothing else that a request says."""
    with Server(reply(200)) as server:
        with cassette(mode="once"):
            post(server.url, **recorded)
        with pytest.raises(Unanswered), cassette(mode="none"):
            post(server.url, **said)


def test_a_credential_is_the_same_throughout(cassette: Any) -> None:
    """Two requests that were recorded with one credential are not played for two."""
    with Server(reply(200)) as server:
        with cassette(mode="once"):
            for path in ("/a", "/b"):
                post(server.url + path, json={"password": "first-one"})
        with (
            pytest.raises(Unanswered, match=r'-  "password": "SECRET-1"\n +\+  "password": "\[a credential'),
            cassette(mode="none"),
        ):
            [post(server.url + path, json={"password": path * 4}) for path in ("/a", "/b")]


def test_a_miss_shows_no_credential(cassette: Any) -> None:
    """What a request says instead of the recording is shown, but for its credentials."""
    with Server(reply(200)) as server:
        with cassette(mode="once"):
            post(server.url, files={"f": b"one"}, form={"password": KEY})
        with pytest.raises(Unanswered) as caught, cassette(mode="none"):
            post(server.url, files={"f": b"two"}, form={"password": KEY + "x"})

    assert "      -one\n      +two" in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("match", [(), ("method", "path"), ("method", "scheme", "host", "port", "path", "query")])
def test_what_would_take_any_request_is_refused(tmp_path: Path, match: Any) -> None:
    """vcrpy's names for parts of a URL would be those of fields that no request has."""
    with pytest.raises(ValueError, match=r"match= .*it takes 'method', 'url'"):
        Cassette(tmp_path / "one.har", match=match)


@pytest.mark.parametrize("size", [10, 3 * LARGE])
def test_a_form_with_a_file(cassette: Any, size: int) -> None:
    """It is known again, though its boundary is another each time; another file is another request."""
    with Server(reply(200)) as server:
        for mode in ("once", "none"):
            with cassette(mode=mode):
                post(server.url, form={"a": "1"}, files={"f": b"x" * size})
        with pytest.raises(Unanswered), cassette(mode="none"):
            post(server.url, form={"a": "1"}, files={"f": b"y" * size})


@given(st.lists(st.text("-ab", max_size=9)), st.text("-ab", max_size=4))
def test_the_digest_of_an_upload(pieces: list[str], boundary: str) -> None:
    """It is that of all of it without the boundary, however it is cut."""
    digest, whole = UploadDigest(boundary.encode()), "".join(pieces)
    for piece in pieces:
        digest.write(piece.encode())

    assert hashlib.sha256(whole.replace(boundary, "").encode()).hexdigest() == digest.hexdigest()


def test_an_upload_that_was_compressed_at_another_time(cassette: Any) -> None:
    """It is compared by its content."""
    with Server(reply(200)) as server:
        for mode, then in (("once", 1), ("none", 2)):
            with cassette(mode=mode):
                post(server.url, body=gzip.compress(b"{}", mtime=then), headers={"Content-Encoding": "gzip"})


# --- What hands and disks do to a file ------------------------------------------------------------


def _changed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    log = json.loads(path.read_text("utf-8"))
    change(log["log"]["entries"][0])
    path.write_text(json.dumps(log), "utf-8")


@pytest.mark.parametrize("answer", [reply(200, b"[1]"), reply(200, [b"[", b"1]"])], ids=["a length", "chunks"])
@pytest.mark.parametrize("text", ["[1, 2, 3]", "[]"])
def test_a_text_that_was_changed_by_hand(cassette: Any, tmp_path: Path, answer: Any, text: str) -> None:
    """It is what is played, whatever the length was before."""
    with Server(answer) as server:
        with cassette(mode="once"):
            get(server.url)
        _changed(tmp_path / "one.har", lambda entry: entry["response"]["content"].update(text=text))
        with cassette(mode="none"):
            assert text == get(server.url).text


def test_a_text_that_was_changed_beside_its_coded_form(cassette: Any, tmp_path: Path) -> None:
    """Likewise, if the body has been compressed."""
    answer = reply(200, gzip.compress(b"[1]"), {"Content-Encoding": "gzip"})
    with Server(answer) as server:
        with cassette(mode="once"):
            get(server.url)
        _changed(tmp_path / "one.har", lambda entry: entry["response"]["content"].update(text="[1, 2]"))
        with cassette(mode="none"):
            assert "[1, 2]" == get(server.url).text


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, -1, True, [1], {"a": 1}])
def test_a_file_in_which_anything_stands_anywhere(cassette: Any, tmp_path: Path, value: Any) -> None:
    """It is played, or refused by a CassetteError, and nothing else comes of it."""
    path = tmp_path / "one.har"
    with Server(reply(200, b"[1]")) as server:
        with cassette(mode="once"):
            get(server.url)
        whole = path.read_text("utf-8")
        for place in _places(json.loads(whole)):
            changed: Any = {"": json.loads(whole)}
            holder = functools.reduce(lambda held, key: held[key], place[:-1], changed)
            holder[place[-1]] = value
            path.write_text(json.dumps(changed[""]), "utf-8")
            try:
                with cassette(mode="none", unplayed=True):
                    get(server.url)
            except (CassetteError, Unanswered, UnifetchError):
                pass


def _places(value: Any, place: tuple[Any, ...] = ("",)) -> Iterator[tuple[Any, ...]]:
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from _places(each, (*place, key))


def test_a_large_body_that_is_not_whole(cassette: Any, tmp_path: Path) -> None:
    """It is a damaged cassette, not a shorter answer; and no other file than one beside it is read."""
    with Server(reply(200, b"x" * 2 * LARGE)) as server, cassette(mode="once"):
        get(server.url)
    (body,) = tmp_path.glob("*.body")
    body.write_bytes(b"x" * LARGE)
    with pytest.raises(CassetteError, match=rf"{LARGE} bytes, and not {2 * LARGE}"):
        cassette(mode="none")
    _changed(
        tmp_path / "one.har", lambda entry: entry["response"]["_raw"].update(file=f"../{tmp_path.name}/{body.name}")
    )
    with pytest.raises(CassetteError, match="a body is beside its cassette"):
        cassette(mode="none")


def test_no_large_body_is_left_over(cassette: Any, tmp_path: Path) -> None:
    """A recording that replaces another leaves none of its files, and one that is refused none of its own."""
    letters = iter(b"abcdef")
    with Server(lambda request: reply(200, bytes([next(letters)]) * 2 * LARGE)) as server:
        for _ in range(2):
            with cassette(mode="all"):
                get(server.url)
        kept = sorted(path.name for path in tmp_path.iterdir())
        with pytest.raises(SecretFound), cassette(mode="all"):
            get(server.url, headers={"X-Say": "ghp_" + "a1" * 20})

    assert 2 == len(kept)
    assert kept == sorted(path.name for path in tmp_path.iterdir())


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """It is said which cassette that is, and what is lost."""
    (tmp_path / "file").write_text("")
    with (
        Server(reply(200)) as server,
        pytest.raises(CassetteError, match=r"one.har cannot be written \(.*, and the 1 recorded exchanges are lost"),
        Cassette(tmp_path / "file" / "one.har", mode="all"),
    ):
        get(server.url)
    with pytest.raises(CassetteError, match="cannot be read"):
        Cassette(tmp_path, mode="none")


# --- What is large or coded ------------------------------------------------------------------------


def test_compressed_secrets(cassette: Any, tmp_path: Path) -> None:
    """What a coding hides is found, and coded again."""
    coded = gzip.compress(b"the key is hidden-key-12345", mtime=0)
    with Server(reply(200, coded, {"Content-Encoding": "gzip"})) as server:
        for mode in ("once", "none"):
            with cassette(mode=mode, secrets={"key": "hidden-key-12345"}):
                body = get(server.url).text
        response = json.loads((tmp_path / "one.har").read_text())["log"]["entries"][0]["response"]

    assert "the key is SECRET-key-1" == body
    assert b"the key is SECRET-key-1" == gzip.decompress(base64.b64decode(response["_raw"]))


def test_a_secret_in_a_large_body(cassette: Any, tmp_path: Path) -> None:
    """A file of its own is cleaned while it is written, wherever the secret lies."""
    secret = b"large-secret-98765"
    body = b"".join(b"x" * 50_001 + secret + b"\n" for _ in range(25))  # over the 1 MiB that is read at once
    secrets = {"big": secret.decode()}
    with Server(reply(200, body)) as server, cassette(mode="once", secrets=secrets):
        get(server.url)
    with cassette(mode="none", secrets=secrets):
        played = get(server.url).body

    assert body.replace(secret, b"SECRET-big-1") == played
    assert not [each for each in tmp_path.iterdir() if secret in each.read_bytes()]


@pytest.mark.parametrize("coding", ["", "gzip"])
@pytest.mark.parametrize("before", [10, LARGE - 40, 2 * LARGE])
def test_a_secret_by_its_name_in_a_large_body(cassette: Any, tmp_path: Path, coding: str, before: int) -> None:
    """It is found there as in a small one, wherever it lies, under a coding as well."""
    filler = random.Random(7).randbytes(LARGE).hex()
    body = json.dumps({"a": filler[:before], "access_token": 'large-"token"-12', "b": filler, "c": filler}).encode()
    fields = {"Content-Type": "application/json", **({"Content-Encoding": coding} if coding else {})}
    with Server(reply(200, gzip.compress(body, mtime=0) if coding else body, fields)) as server:
        with cassette(mode="once"):
            get(server.url)
        with cassette(mode="none"):
            played = get(server.url).json()

    assert {**json.loads(body), "access_token": "SECRET-1"} == played
    assert not [each for each in tmp_path.iterdir() if b"large-" in each.read_bytes()]


def test_a_key_in_a_large_coded_body(cassette: Any, tmp_path: Path) -> None:
    """It is refused; without one the body stays in its coding."""
    filler, key = random.Random(7).randbytes(2 * LARGE), b" sk_live_4eC39HqLyjWDarjtT1zdp7dc "
    coded, clean = (gzip.compress(filler + each, mtime=0) for each in (key, b""))
    with Server(
        lambda request: reply(200, coded if request.target == "/key" else clean, {"Content-Encoding": "gzip"})
    ) as server:
        with pytest.raises(SecretFound), cassette(mode="once"):
            get(f"{server.url}/key")
        assert [] == list(tmp_path.iterdir())
        with cassette(mode="once"):
            get(f"{server.url}/clean")
        with cassette(mode="none"):
            assert filler == get(f"{server.url}/clean").body

    assert [clean] == [each.read_bytes() for each in tmp_path.glob("one.*.body")]


@pytest.mark.parametrize("before", [0, 50, LARGE - 9, 3 * LARGE - 9])
def test_a_key_in_a_large_body(cassette: Any, tmp_path: Path, before: int) -> None:
    """It is found wherever it lies, over the end of a block or at the end of all; and nothing is left on disk."""
    key = b"sk_live_4eC39HqLyjWDarjtT1zdp7dc"
    pattern = bytes(range(256)) * 4096
    body = pattern[:before] + b" " + key if before > LARGE else pattern[:before] + b" " + key + b" " + pattern
    with Server(reply(200, body)) as server:
        with pytest.raises(SecretFound, match=r"the body one has what looks like a key \(sk_l…"):
            with cassette(mode="once"):
                get(server.url)
        assert [] == list(tmp_path.iterdir())
        with cassette(mode="once", allow=[r"sk_live_\w+"]):
            get(server.url)

    assert [body] == [each.read_bytes() for each in tmp_path.glob("one.*.body")]


@pytest.mark.parametrize("length", [6, 7, 8, 9, 11, 16, 31])
def test_the_shortest_run_that_can_hide_a_secret(length: int) -> None:
    """Runs are only decoded if they are long enough, and a secret alone at any place of one is."""
    secret = "S3cr/t+Valué-of-some-31-letters"[-length:]
    secrets = Secrets({"it": secret})
    coded = []
    for before in ("", " ", "  ", "   "):
        for after in ("", "."):
            plain = f"{before}{secret}{after}".encode()
            coded += [base64.b64encode(plain).decode(), base64.urlsafe_b64encode(plain).decode().rstrip("=")]
            coded += [plain.hex(), plain.hex().upper(), f"f{plain.hex()}", f"A{plain.hex()}"]
    coded += [f"{before}%{ord(secret[0]):02x}{quote(secret[1:], safe='')}" for before in ("%zz-", "é-", "%")]
    missed = [each for each in coded if len(each) >= 8 and secrets.replace_bytes(each.encode()) == each.encode()]

    assert [] == missed


_SECRETS = ["S3cr/t+Valué-of-some-31-letters", "tok?n 12/é", "0123456789abcdef", "ΣΑΣ-Straße"]
_CODINGS: list[Callable[[str], str]] = [
    str,
    quote,
    quote_plus,
    html.escape,
    lambda text: json.dumps(text)[1:-1],
    lambda text: "".join(f"%{octet:02x}" for octet in text.encode()),
    lambda text: "".join(f"&#X{ord(letter):X};" for letter in text),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: text.encode().hex(),
    lambda text: text[::-1],
]
_NOISE = st.one_of(st.binary(max_size=60), st.text('aé%2Ff+/=_- \\"&#;', max_size=60).map(str.encode))


class Thorough(Secrets):
    """Without the quick searches."""

    def _may_hold(self, data: bytes) -> bool:
        return True

    def _compile(self) -> re.Pattern[str]:
        pattern = super()._compile()
        self._folded.append("")  # which is everywhere
        return pattern


@given(
    st.lists(st.tuples(_NOISE, st.sampled_from(_SECRETS), st.lists(st.sampled_from(_CODINGS), max_size=3)), max_size=4),
    _NOISE,
)
def test_what_is_sought_first_hides_no_secret(
    parts: list[tuple[bytes, str, list[Callable[[str], str]]]], end: bytes
) -> None:
    """Long bytes that the quick searches pass over are those in which the thorough ones find nothing."""
    data = b". " * 2048
    for noise, secret, codings in parts:
        data += noise + functools.reduce(lambda text, coding: coding(text), codings, secret).encode()
    data += end
    named = {f"it{number}": secret for number, secret in enumerate(_SECRETS)}

    assert Thorough(named).replace_bytes(data) == Secrets(named).replace_bytes(data)


KEYS = [
    *("sk_live_4eC39HqLyjWD", "rk_test_4eC39HqLyjWD", f"sk-{'a' * 20}", *(f"gh{kind}_{'a' * 30}" for kind in "opusr")),
    *(f"github_pat_{'a' * 30}", f"glpat-{'a' * 16}", *(f"xox{kind}-{'1' * 10}" for kind in "abeoprs")),
    *(
        f"AKIA{'A' * 16}",
        f"ASIA{'7' * 16}",
        f"AIza{'-' * 30}",
        f"ya29.{'a' * 20}",
        f"eyJ{'a' * 8}.eyJ{'b' * 8}.{'c' * 8}",
    ),
    *(f"SG.{'a' * 16}.{'b' * 16}", f"npm_{'a' * 30}", f"pypi-{'a' * 30}", f"dop_v1_{'a' * 40}", f"shpat_{'a' * 30}"),
    *(f"hf_{'a' * 30}", "-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----"),
]


@pytest.mark.parametrize("key", KEYS)
def test_the_quick_search_misses_no_key(key: str) -> None:
    """The shortest key of each kind is found by it, and refused, whatever stands around."""
    for text in (key, f"x {key}", f'"{key}"\n', f"ä{key}ä", f"\0{key}\0"):
        assert may_hold_key(text.encode())
        with pytest.raises(SecretFound):
            Secrets().scan("here", text)
    assert not may_hold_key(b" ".join(each.encode()[:14] for each in KEYS) + bytes(range(256)) * 3)


def test_the_token_that_i_was_given_is_the_one_that_i_send(cassette: Any) -> None:
    """Credentials under their usual names are replaced alike where they come and where they go."""

    def service(request: Any) -> bytes:
        return reply(200, b'{"access_token": "tok-abc-123456"}', {"Set-Cookie": "sid=cookie-value-1; Path=/"})

    def use(url: str, token: str | None = None) -> None:
        with Client() as client:
            given = client.post(f"{url}/token?api_key=my-own-key", form={"password": "correct horse"}).json()
            client.get(f"{url}/me", auth={"type": "bearer", "token": token or given["access_token"]})

    with Server(service) as server:
        with cassette(mode="once"):
            use(server.url)
        with cassette(mode="none"):
            use(server.url)
        with pytest.raises(Unanswered, match="header Authorization: not the credential that was given"):
            with cassette(mode="none"):
                use(server.url, "another-token-1234")
    text = cassette(mode="none").path.read_text()

    for secret in ("tok-abc-123456", "cookie-value-1", "my-own-key", "correct horse"):
        assert secret not in text


def test_what_looks_like_a_key_is_not_written(cassette: Any, tmp_path: Path) -> None:
    """A scan refuses it, and names the place, not the key; what is none can be allowed."""
    key = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
    with Server(reply(200, key.encode())) as server:
        with pytest.raises(SecretFound, match=r"exchange 1 \(GET http.*\): response, content .*sk_l…") as caught:
            with cassette(mode="once"):
                get(server.url)
        assert [] == list(tmp_path.iterdir())
        assert key not in str(caught.value)
        with cassette(mode="once", allow=[r"sk_live_\w+"]):
            get(server.url)


# --- The command, and what others recorded --------------------------------------------------------


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`unifetch cassette`: check, scrub, orphans."""
    path = tmp_path / "cassettes" / "test_shop" / "test_order.har"
    (tmp_path / "test_shop.py").write_text("def test_order(): ...\n")
    with Server(reply(200, b"hidden-key-12345")) as server, Cassette(path, mode="once"):
        get(server.url)

    assert 0 == command(["cassette", "check", str(tmp_path)])
    monkeypatch.setenv("SHOP_KEY", "hidden-key-12345")
    assert 0 == command(["cassette", "scrub", "--secret", "SHOP_KEY", str(path)])
    assert "hidden-key" not in path.read_text()
    assert 0 == command(["cassette", "orphans", str(tmp_path)])
    (tmp_path / "test_shop.py").write_text("def test_other(): ...\n")
    (path.parent / "test_order.0123.body").write_bytes(b"")
    assert 1 == command(["cassette", "orphans", str(tmp_path)])
    assert ["has no test_order", "no cassette names it"] == [
        line.rpartition(".py ")[2] if ".py " in line else line.rpartition(": ")[2]
        for line in capsys.readouterr().out.splitlines()[-2:]
    ]
    path.write_text("{")
    assert 1 == command(["cassette", "check", str(path)])
    assert 1 == command(["cassette", "scrub", str(path)])
    assert "test_order.har is damaged" in capsys.readouterr().err


def test_the_command_where_there_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory that is not there, or has no cassette, is no success; and what a killed process left is named."""
    assert 2 == command(["cassette", "check", str(tmp_path)])
    assert "there is no cassette in" in capsys.readouterr().err
    assert 2 == command(["cassette", "orphans", str(tmp_path / "typo")])
    assert "there is no directory" in capsys.readouterr().err
    assert 2 == command(["cassette", "scrub", str(tmp_path), "--secret", "NO_SUCH_VARIABLE"])
    assert "there is no cassette in" in capsys.readouterr().err
    (tmp_path / ".one.har.abcdefgh").write_text("{")
    assert 1 == command(["cassette", "orphans", str(tmp_path)])
    assert "left by a process that was ended while it wrote" in capsys.readouterr().out


def test_credentials_that_are_recorded_later(cassette: Any, tmp_path: Path) -> None:
    """In mode `new` they are numbered on, and one that is known has the placeholder of before."""
    with Server(reply(200)) as server:

        def log_in(*passwords: str) -> None:
            for number, password in enumerate(passwords):
                post(f"{server.url}/{number}", json={"password": password})

        with cassette(mode="once"):
            log_in("the-first-one")
        with cassette(mode="new"):
            log_in("another-first", "the-second-one", "another-first")
        entries = json.loads((tmp_path / "one.har").read_text())["log"]["entries"]
        with cassette(mode="none"):
            log_in("a", "b", "a")

    assert [f'{{"password":"SECRET-{number}"}}' for number in (1, 2, 1)] == [
        entry["request"]["postData"]["text"] for entry in entries
    ]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.yaml", b"\xff"),
        ("a.yaml", b"a: ["),
        ("a.yaml", b""),
        ("a.json", b"{"),
        ("a.json", b'{"interactions": [{"request": {}}]}'),
        ("a.json", b'{"interactions": [{"request": {"method": "GET", "uri": "x", "headers": {}},'
         b' "response": {"status": 200, "status_code": 200, "headers": []}}]}'),
    ],
)  # fmt: skip
def test_import_of_what_is_none_of_vcrpy(
    name: str, data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the file."""
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    (tmp_path / name).write_bytes(data)

    assert 1 == command(["cassette", "import-vcr", str(tmp_path / name), str(tmp_path / "new.har")])
    assert f"{name} is no cassette of vcrpy" in capsys.readouterr().err
    assert not (tmp_path / "new.har").exists()


def test_import_vcr(tmp_path: Path) -> None:
    """A cassette of vcrpy goes on: a body that it has decoded, with the field that says it is coded, is right here."""
    source, target = tmp_path / "old.json", tmp_path / "new.har"
    interaction = {
        "request": {
            "method": "GET",
            "uri": "https://api.test/a",
            "body": None,
            "headers": {"Authorization": ["Bearer abcdefgh"]},
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"Content-Encoding": ["gzip"], "Content-Length": ["32"], "X-A": ["1"]},
            "body": {"string": "decoded already"},
        },
    }
    source.write_text(json.dumps({"version": 1, "interactions": [interaction]}))

    assert 0 == command(["cassette", "import-vcr", str(source), str(target)])
    with Cassette(target, mode="none"):
        response = get("https://api.test/a")
    assert ("decoded already", "1") == (response.text, response.headers["x-a"])
    assert "abcdefgh" not in target.read_text()


def test_import_vcr_in_yaml(tmp_path: Path) -> None:
    """As vcrpy writes it: what is no text in base64, fields that come twice as a list."""
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    source, target = tmp_path / "old.yaml", tmp_path / "new.har"
    source.write_text("""interactions:
- request:
    body: '{"k": 1}'
    headers:
      Content-Type:
      - application/json
    method: POST
    uri: https://api.test/orders
  response:
    body:
      string: !!binary |
        /wBiaW4=
    headers:
      Content-Length:
      - '5'
      Set-Cookie:
      - a=1
      - b=2
    status:
      code: 201
      message: Created
version: 1
""")

    assert 0 == command(["cassette", "import-vcr", str(source), str(target)])
    with Cassette(target, mode="none"):
        response = post("https://api.test/orders", json={"k": 1})
    assert (201, b"\xff\0bin") == (response.status, response.body)
    assert 2 == len(response.headers.get_all("set-cookie"))


def test_a_har_of_a_browser(tmp_path: Path) -> None:
    """What a browser saved can be played: its text is decoded, whatever its fields say."""
    path = tmp_path / "browser.har"
    response = {
        "status": 200,
        "statusText": "OK",
        "httpVersion": "h2",
        "headers": [{"name": "content-encoding", "value": "br"}, {"name": ":status", "value": "200"}],
        "content": {"size": 2, "mimeType": "text/plain", "text": "hi"},
    }
    request = {"method": "GET", "url": "https://api.test/", "headers": []}
    entry = {"startedDateTime": "", "request": request, "response": response, "timings": {"wait": 1.5}}
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}))
    with Cassette(path, mode="none"):
        assert "hi" == get("https://api.test/").text


def test_each_test_has_a_file_of_its_own(pytester: pytest.Pytester) -> None:
    """Also where its name could not be that of a file, or is long; and an option that is not named is refused."""
    pytester.makeini("[pytest]\naddopts = -p no:httpbin -p no:cacheprovider -p no:randomly")
    pytester.makepyfile(
        test_shop="""
        import pytest
        from unifetch import get
        from unifetch.testing import Server, reply

        @pytest.mark.parametrize("name", ["a/b", "a_b", "a:b", "x" * 300, "x" * 301])
        def test_one(unifetch_cassette, name):
            with Server(reply(200)) as server:
                get(server.url)

        @pytest.mark.unifetch_cassette("none")
        def test_other(unifetch_cassette):
            pass
        """
    )
    result = pytester.runpytest_subprocess("--unifetch-cassette=all")
    files = sorted(path.name for path in pytester.path.glob("cassettes/test_shop/*"))

    result.assert_outcomes(passed=5, errors=1)
    result.stdout.fnmatch_lines(["*takes options by name, such as mode='none', not ('none',)*"])
    assert 5 == len(files)
    assert "test_one[a_b].har" in files
    assert [] == list(orphans(pytester.path))


def test_the_fixture(pytester: pytest.Pytester) -> None:
    """It records beside the module, by the test's name, and plays when it runs again."""
    pytester.makeini("[pytest]\naddopts = -p no:httpbin -p no:cacheprovider -p no:randomly")
    with Server(lambda request: reply(200, b"given-by-name-1")) as server:
        pytester.makepyfile(
            test_shop=f"""
            import pytest
            from unifetch import get

            @pytest.mark.unifetch_cassette(secrets={{"name": "given-by-name-1"}})
            def test_order(unifetch_cassette):
                assert get({server.url!r}).status == 200
            """
        )
        pytester.runpytest_subprocess("--unifetch-cassette=once").assert_outcomes(passed=1)
        pytester.runpytest_subprocess("--unifetch-cassette=none").assert_outcomes(passed=1)

        assert 1 == len(server.requests)
    assert "given-by-name-1" not in (pytester.path / "cassettes" / "test_shop" / "test_order.har").read_text()


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        (["t0ken"], "secrets are values by name, such as {'token': …}, not list"),
        ({"token": None}, "the secret 'token' is text, not NoneType; is its variable set?"),
        ({"token": "t"}, "the secret 'token' is too short to be found: 1 characters"),
    ],
)
def test_secrets_that_cannot_be_looked_for(tmp_path: Path, secrets: Any, message: str) -> None:
    """They are refused before anything is recorded, and not shown."""
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        Cassette(tmp_path / "a.har", secrets=secrets)
