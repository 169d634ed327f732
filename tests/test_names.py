"""Names from elsewhere: whoever uses one is told ours, and what is told is true."""

from __future__ import annotations

import asyncio
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import unifetch
from unifetch import URL, Client, Headers, InvalidSetting, InvalidURL, Response
from unifetch.client import base_client
from unifetch.model import names as table
from unifetch.model.names import (
    ARGUMENT,
    CLIENT,
    COOKIES,
    ELAPSED,
    HEADERS,
    LIMITS,
    LINK,
    MODULE,
    NAMES,
    REQUEST,
    RESPONSE,
    RETRY,
    TIMEOUT,
    TLS,
)
from unifetch.testing import Server, reply

PAGES = Path(__file__).parent.parent / "docs" / "how-to"
ANSWER = Response(status=200, headers=Headers({"a": "b"}), body=b"", request=unifetch.Request("GET", "http://h/"))
LINKED = unifetch.Response(
    status=200, headers=Headers({"Link": "<b>; rel=next"}), body=b"", request=unifetch.Request("GET", "http://h/")
)
THINGS: dict[str, Any] = {
    RESPONSE: ANSWER,
    REQUEST: ANSWER.request,
    table.URL: ANSWER.url,
    HEADERS: ANSWER.headers,
    CLIENT: Client(),
    COOKIES: unifetch.CookieJar(),
    LINK: LINKED.links["next"],
    ELAPSED: ANSWER.elapsed,
}


@pytest.mark.parametrize("name", NAMES[ARGUMENT])
def test_arguments(name: str) -> None:
    """An argument of another library is refused before anything is sent, by a message that has ours."""
    call: dict[str, Any] = {name: 1}
    with Server() as server:
        for send in (unifetch.get, unifetch.request):
            arguments = (server.url,) if send is unifetch.get else ("GET", server.url)
            with pytest.raises(InvalidSetting, match=f"takes no {name}=; (here it is|there is none here)"):
                send(*arguments, **call)  # type: ignore[operator]  # that it is wrong is what is tested

        assert [] == server.requests


@pytest.mark.parametrize(("place", "name"), [(place, name) for place in THINGS for name in NAMES[place]])
def test_attributes(place: str, name: str) -> None:
    """An attribute of another library is an AttributeError that has ours."""
    with pytest.raises(AttributeError, match=f"'{place}' object has no attribute '{name}'; (here it is|there is none)"):
        getattr(THINGS[place], name)

    assert not hasattr(THINGS[place], name)
    assert name not in dir(THINGS[place])


def test_a_client_tells_what_the_table_has() -> None:
    """The names stand there twice, because the table is imported by whoever uses one of them."""
    assert set(NAMES[CLIENT]) == set(base_client._THEIRS.split())


def test_an_awaited_client_tells_the_same() -> None:
    """A client of aiohttp or httpx has the same names."""
    with pytest.raises(
        AttributeError,
        match=r"'AsyncClient' object has no attribute 'connector'; here it is Client\(limits=…, tls=…, backend=…\)",
    ):
        getattr(unifetch.AsyncClient(), "connector")  # noqa: B009  # mypy would refuse the attribute


SETTINGS: dict[str, type[Any]] = {
    RETRY: unifetch.Retry,
    LIMITS: unifetch.Limits,
    TIMEOUT: unifetch.Timeout,
    TLS: unifetch.TLS,
}


@pytest.mark.parametrize(("setting", "name"), [(setting, name) for setting in SETTINGS for name in NAMES[setting]])
def test_fields_of_a_setting(setting: str, name: str) -> None:
    """So is a field of theirs, in a mapping and as an argument: of a Retry, of limits, of a timeout."""
    with pytest.raises(InvalidSetting, match=f"{setting}: unknown key '{name}'; (here it is|there is none here)"):
        Client(**{setting: {name: 1}})  # type: ignore[arg-type]  # as above
    with pytest.raises(InvalidSetting, match=f"unknown key '{name}'"):
        SETTINGS[setting](**{name: 1})


def test_a_retry_of_urllib3() -> None:
    """The object itself is told how its fields are called here."""
    retry = pytest.importorskip("urllib3", reason="urllib3 is not installed").Retry(3)
    with pytest.raises(InvalidSetting, match=r"urllib3's Retry; unifetch\.Retry\(attempts=total \+ 1"):
        Client(retry=retry)


@pytest.mark.parametrize("name", ["adapters", "auth", "cookies", "exceptions", "models", "sessions", "util"])
def test_modules(name: str) -> None:
    """A module of another library is told at its import, in either way to write it."""
    with pytest.raises(ModuleNotFoundError, match=f"there is no module unifetch.{name}; here it is ") as caught:
        exec(f"from unifetch.{name} import X")

    assert f"unifetch.{name}" == caught.value.name
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'unifetch\.x'"):
        exec("import unifetch.x")


@pytest.mark.parametrize(
    "clause", ["unifetch.Timeout", "(ValueError, unifetch.Timeout)", "(unifetch.Timeout, KeyError)"]
)
def test_the_setting_is_no_error(clause: str) -> None:
    """`except unifetch.Timeout` says which class the error is; the setting can be made in any handler."""
    code = f"try:\n    raise unifetch.TimedOut('late')\nexcept {clause}:\n    pass"
    with pytest.raises(AttributeError, match=r"the error is unifetch\.TimedOut"):
        exec(code, {"unifetch": unifetch})
    try:
        raise unifetch.TimedOut
    except unifetch.TimedOut:
        assert 5 == unifetch.Timeout(5).total
        kind = unifetch.Timeout

    assert kind is unifetch.Timeout


def test_a_field_that_is_set() -> None:
    """`request.headers["X"] = …`, as in a callable that signs for requests, says what to return."""
    with pytest.raises(TypeError, match=r"returns the fields that it adds: return \{'X-A': …\}"):
        ANSWER.headers["X-A"] = "1"


def test_an_attribute_that_is_set() -> None:
    """`response.encoding = …` says how a body is decoded here."""
    with pytest.raises(AttributeError, match=r"Response is frozen, and has no encoding; here it is \.charset; .*body"):
        ANSWER.encoding = "utf-8"  # type: ignore[misc]  # as above


def test_a_response_in_a_with_block() -> None:
    """It says that a stream is what has a `with` block."""
    with pytest.raises(TypeError, match="a Response has been read, and needs no `with`"):
        with ANSWER:
            pass


def test_the_key_of_a_link() -> None:
    """`links["next"]["url"]` says that it is an attribute."""
    with pytest.raises(TypeError, match=r"a Link has attributes, not keys: \.url"):
        LINKED.links["next"]["url"]


def test_a_hook_as_listener() -> None:
    """A function that expects a response is told how a listener comes to one."""

    def hook(response: Any) -> None:
        response.url  # noqa: B018  # it raises

    with Server(reply()) as server, Client(listeners=hook) as client:
        with pytest.raises(AttributeError, match=r"isinstance\(event, unifetch\.observe\.events\.Finished\)"):
            client.get(server.url)


def test_elapsed_is_a_number() -> None:
    """It counts and prints as one, also in a copy and a pickle."""
    response = ANSWER.replace(elapsed=0.5)

    assert ("0.5", 1.0, 0.5) == (
        repr(response.elapsed),
        response.elapsed * 2,
        pickle.loads(pickle.dumps(response)).elapsed,
    )


@pytest.mark.parametrize("name", NAMES[MODULE])
def test_module_names(name: str) -> None:
    """What is imported by another library's name is told at the import."""
    with pytest.raises(ImportError, match=f"unifetch has no {name}; (here it is|there is none here)"):
        exec(f"from unifetch import {name}")


def test_what_is_told_is_there() -> None:
    """Each answer leads to a page that exists, and names nothing that does not."""
    for place, names in NAMES.items():
        for name, (ours, page) in names.items():
            assert (PAGES / f"{page}.md").exists(), (place, name)
            if place in THINGS and (attribute := re.match(r"(?:await )?\.(\w+)", ours)):
                thing = type(THINGS[place])
                assert hasattr(thing, attribute[1]) or attribute[1] in thing.__annotations__, (name, ours)
            if place == MODULE and (found := re.match(r"[A-Z]\w+", ours)):
                assert found[0] in unifetch.__all__, (name, ours)
            if place in SETTINGS and (found := re.match(r"(\w+)=", ours)):
                assert found[1] in {*SETTINGS[place].__annotations__, "redirects", "tls"}, (name, ours)
            if place == CLIENT and (found := re.match(r"Client\((\w+)=", ours)):
                assert found[1] in unifetch.client.settings.PARSERS, (name, ours)
            if place == ARGUMENT and (found := re.match(r"(\w+)=", ours)):
                known = {*unifetch.client.base_client.CALL, "listeners", "cookies", *unifetch.client.base_client.BODY}
                assert found[1] in known, (name, ours)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: unifetch.Request("POST", "http://h/", data=b""), r"Request\(\) takes no data=; here it is form="),
        (lambda: unifetch.Request("POST", "http://h/", cookies={}), r"client\.send\(request, cookies=…\) does"),
        (lambda: unifetch.Request("POST", "http://h/", hedaers={}), r"did you mean headers=\?"),
        (lambda: Response(200, json={}), r"unifetch\.testing\.Answer\(200, json=…\)"),
        (lambda: Response(200), r"unifetch\.testing\.Answer"),
        (lambda: unifetch.CookieJar(unsafe=True), r"CookieJar\(\) takes no unsafe="),
        (lambda: unifetch.CookieJar({"a": "b"}), r"jar\.update\(\{name: value\}, domain\)"),
        (lambda: unifetch.CookieJar("a"), r"str is no Cookie; jar\.set\(name, value, domain\)"),
        (lambda: unifetch.CookieJar(None), r"NoneType is no list of Cookie"),
        (lambda: unifetch.CookieJar().set("a", "b"), r"a cookie belongs to a host: jar\.set\(name, value, domain\)"),
        (lambda: unifetch.CookieJar().set("a", "b", "h", expires=1), r"jar\.set\(\) takes no expires="),
        (lambda: unifetch.CookieJar().update({"a": "b"}), r"cookies belong to a host: jar\.update\(cookies, domain\)"),
    ],
)
def test_what_a_class_takes(call: Any, told: str) -> None:
    """So is an argument that one of our classes, or a method of a jar, has in another library."""
    with pytest.raises(InvalidSetting, match=told):
        call()


def test_a_relative_request() -> None:
    """A Request has an absolute URL, and the error says who makes one."""
    with pytest.raises(InvalidURL, match=r"client\.settings\.base_url\.join\(…\) makes one of it"):
        unifetch.Request("GET", "/x")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"content_type": None}, r"json\(\) takes no content_type=; no Content-Type is asked for"),
        ({"encoding": "utf-8"}, r"takes no encoding=; JSON tells its own"),
        ({"loads": None}, r"takes no loads=; it takes what json\.loads does"),
    ],
)
def test_arguments_of_json(arguments: dict[str, Any], told: str) -> None:
    """`json(content_type=None)`, as aiohttp needs it, says that nothing of the kind is needed."""
    with pytest.raises(InvalidSetting, match=told):
        ANSWER.replace(body=b"{}").json(**arguments)


def test_a_body_that_was_read() -> None:
    """`await response.read()`, as in aiohttp, says where the body is."""
    with pytest.raises(unifetch.StreamError, match=r"has been read, and is \.body"):
        ANSWER.read()  # type: ignore[misc]  # that it is wrong is what is tested


def test_submodules() -> None:
    """`import unifetch` is enough for `unifetch.aio.get`."""
    code = (
        "import unifetch; print(unifetch.aio.get.__name__, unifetch.testing.Answer.__name__, unifetch.bridges.__name__)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert "get Answer unifetch.bridges" == found.stdout.strip()


def test_what_python_says_well_is_left_to_it() -> None:
    """An argument that is missing from our own call is Python's error."""
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'url'"):
        unifetch.Request("GET")  # type: ignore[call-arg]  # that it is wrong is what is tested


@pytest.mark.parametrize("method", ["auth_flow", "__call__"])
def test_an_auth_of_another_library(method: str) -> None:
    """A subclass whose method is that of httpx or requests, which nobody would call, is refused before a call."""
    kind: Any = type("TokenAuth", (unifetch.Auth,), {method: lambda self, request: None})
    with pytest.raises(InvalidSetting, match=r"TokenAuth has no credentials\(request, memory\)"):
        Client(auth=kind())

    signing = Client(auth=lambda request: {"A": "b"}).with_(timeout=5)

    assert signing.with_(auth=signing.settings.auth).settings.auth == signing.settings.auth


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda url: unifetch.get(url, timout=1), r"get\(\) takes no timout=; did you mean timeout=\?"),
        (lambda url: unifetch.delete(url, json={}), r'request\("DELETE", url, json=…\) sends one'),
        (lambda url: unifetch.get(url, xyz=1), r"get\(\) takes no xyz=; it takes auth, .*params"),
        (lambda url: unifetch.post(url, xyz=1), r"it takes auth, .*files.*json"),
        (lambda url: unifetch.download(url, "f", jsn=1), r"takes no jsn="),
        (lambda url: Client(body=b""), r"a client takes no body="),
    ],
    ids=["a typing error", "a body of DELETE", "get", "post", "download", "Client"],
)
def test_what_this_call_takes(call: Any, told: str) -> None:
    """A wrong argument is answered by what the call itself takes, and by what was probably meant."""
    with pytest.raises(InvalidSetting, match=told):
        call("http://127.0.0.1:1/")


@pytest.mark.parametrize("thing", [ANSWER, unifetch.Timeout(), unifetch.TLS(), ANSWER.request])
def test_the_advice_of_a_frozen_value_works(thing: Any) -> None:
    """It names `.replace()` for what can be replaced, and what there is for what cannot."""
    name = next(iter(vars(thing)))
    with pytest.raises(AttributeError, match=rf"frozen: \.replace\({name}=…\)"):
        setattr(thing, name, 1)
    with pytest.raises(AttributeError, match=rf"has no colour; it has {name}, "):
        thing.colour = "x"

    assert thing == thing.replace(**{name: vars(thing)[name]})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("verify", r"here it is Client\(tls=…\)"),
        ("auth", r"Client\(auth=…\), or"),
        ("headers", r"Client\(headers=\{…\}\)"),
    ],
)
@pytest.mark.parametrize("kind", [Client, unifetch.AsyncClient])
def test_a_client_does_not_change(kind: Any, name: str, told: str) -> None:
    """To set an attribute, as on a session of requests, is an error, not a word into the wind."""
    with pytest.raises(AttributeError, match=f"a client does not change: .*{told}"):
        setattr(kind(), name, False)
    with pytest.raises(AttributeError, match=r"did you mean Client\(redirects=…\)\?"):
        kind().redirect_ = 1
    with pytest.raises(AttributeError, match=r"they are base_url, headers"):
        kind().foo = 1


def test_a_method_may_be_replaced() -> None:
    """As tests do."""
    client: Any = Client()
    client.get = lambda url: url

    assert "x" == client.get("x")


@pytest.mark.parametrize("pair", [(3, 10), [3, 10]])
def test_a_pair_of_timeouts(pair: Any) -> None:
    """The pair of requests is told how it is written here."""
    with pytest.raises(InvalidSetting, match=r"Timeout\(connect=3, read=10\)"):
        unifetch.get("http://127.0.0.1:1/", timeout=pair)


def test_lazy_names_are_listed() -> None:
    """`dir(unifetch)` has all that is public, also what is imported when it is asked for."""
    assert set(unifetch.__all__) <= set(dir(unifetch))


def test_parameters_as_text() -> None:
    """A query that is written already is appended as it is; what no URL may hold is encoded."""
    with Server() as server:
        unifetch.get(server.url + "/?z=0", params="a=1&b=%2F&c=d e#f")

        assert "/?z=0&a=1&b=%2F&c=d%20e%23f" == server.requests[0].target


def test_a_relative_url_names_the_setting() -> None:
    """The error says what a client needs for it."""
    with Client() as client, pytest.raises(InvalidURL, match=r'Client\(base_url="https://example\.org"\)'):
        client.get("/x")


def test_parts_of_a_url() -> None:
    """A URL tells its path and its query; the two make the target."""
    url = URL("https://u:p@example.org:8080/a%20b/c?d=e&f#g")

    assert ("/a%20b/c", "d=e&f", "g") == (url.path, url.query, url.fragment)
    assert "https://example.org:8080" == url.origin
    assert (None, "") == (URL("http://h").query, URL("http://h/?").query)


def test_a_number_as_timeout_is_caught_as_timed_out() -> None:
    """What the page says of `except ReadTimeout`: the total is none."""
    with Server(b"") as server, pytest.raises(unifetch.TimedOut) as caught:
        unifetch.get(server.url, timeout=0.05)

    assert (unifetch.TotalTimeout, False) == (type(caught.value), isinstance(caught.value, unifetch.ReadTimeout))


def test_the_import_of_the_table_is_late() -> None:
    """Nobody who writes our names waits for the table of theirs."""
    code = "import sys, unifetch; print('unifetch.model.names' in sys.modules)"

    assert b"False" == subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout.strip()


_WITH_BODY = ["request", "post", "put", "patch", "stream", "open"]
_WITHOUT = ["get", "head", "options", "delete", "send", "download", "exchange"]


def _given(name: str) -> tuple[object, ...]:
    url = "http://127.0.0.1:1/"
    if name == "send":
        return (unifetch.Request("GET", url),)
    if name == "download":
        return (url, "file")
    return ("GET", url) if name in ("request", "stream", "open", "exchange") else (url,)


async def _awaited(call: Any) -> None:
    if hasattr(call, "__aenter__"):
        await call.__aenter__()
    else:
        await call


@pytest.mark.parametrize("name", _WITH_BODY + _WITHOUT)
def test_each_call_names_itself(name: str) -> None:
    """An argument that no call takes is refused by the name of the call that was made, blocking and awaited."""

    async def awaited() -> None:
        with pytest.raises(InvalidSetting, match=rf"^{name}\(\) takes no abc="):
            await _awaited(getattr(unifetch.AsyncClient(), name)(*_given(name), abc=1))
        if hasattr(unifetch.aio, name):
            with pytest.raises(InvalidSetting, match=rf"^{name}\(\) takes no abc="):
                await _awaited(getattr(unifetch.aio, name)(*_given(name), abc=1))

    with pytest.raises(InvalidSetting, match=rf"^{name}\(\) takes no abc="):
        getattr(Client(), name)(*_given(name), abc=1)
    if hasattr(unifetch, name):
        with pytest.raises(InvalidSetting, match=rf"^{name}\(\) takes no abc="):
            getattr(unifetch, name)(*_given(name), abc=1)
    asyncio.run(awaited())


def test_fetch_all_names_itself() -> None:
    """So does `fetch_all`, of which the awaited one has no executor."""

    async def awaited() -> None:
        with pytest.raises(InvalidSetting, match=r"^aio\.fetch_all\(\) takes no executor="):
            unifetch.aio.fetch_all([], executor=None)  # type: ignore[call-arg]  # the mistake is the point

    with pytest.raises(InvalidSetting, match=r"^fetch_all\(\) takes no abc=; it takes auth, .*executor"):
        unifetch.fetch_all([], abc=1)  # type: ignore[call-overload]  # likewise
    asyncio.run(awaited())


@pytest.mark.parametrize("name", ["body", "json", "form", "files"])
def test_the_body_of_a_request_that_is_sent(name: str) -> None:
    """A Request has its body itself: `send()` takes none, and says where it goes."""
    given: Any = {name: b"x"}

    with pytest.raises(InvalidSetting, match=rf"^send\(\) takes no {name}=, .* request\.replace\({name}="):
        Client().send(unifetch.Request("POST", "http://127.0.0.1:1/"), **given)
