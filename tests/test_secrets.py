"""Credentials show nowhere: in no `repr`, `str`, pickle, message, traceback, event or log line of ours.

Bodies are the exception: they are the caller's data, whatever is in them, and travel in a pickle.
"""

from __future__ import annotations

import importlib
import logging
import pickle
import pkgutil
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import unifetch
from unifetch import URL, Client, Headers, Request, Response, UnifetchError
from unifetch.client.downloads import Download
from unifetch.client.settings import Settings, parse
from unifetch.errors import ConnectError, StatusError
from unifetch.many.fetch_all import Result
from unifetch.model.frozen import Value
from unifetch.model.links import Link
from unifetch.model.messages import RawRequest
from unifetch.model.route import Route
from unifetch.model.timeouts import Timeout
from unifetch.observe import events
from unifetch.observe.logging import log_events
from unifetch.policies import auth, cookie_jar, cookies, proxies
from unifetch.testing import Close, HalfClose, OnConnect, Server, Stall, refused_port, reply

PASSWORD, TOKEN, COOKIE = "pa55word", "t0ken", "c00kie"
BASIC = "cGE1NXdvcmQ"  # what the password alone is in base64, after a prefix of three, six or nine bytes
SECRETS = (PASSWORD, TOKEN, COOKIE, BASIC)
USERINFO = f"usern:{PASSWORD}"  # "usern:" has six bytes

FIELDS = {
    "Authorization": f"Bearer {TOKEN}",
    "Proxy-Authorization": f"Basic {BASIC}",
    "COOKIE": f"session={COOKIE}",
    "X-Api-Key": TOKEN,
}
REQUEST = Request("POST", f"http://{USERINFO}@example.test/path?q=1#part", headers=FIELDS, body=b"body")
RESPONSE = Response(status=401, headers=Headers([("Set-Cookie", f"session={COOKIE}")]), body=b"", request=REQUEST)
PROXY = proxies.Proxy("http", "proxy.test", 3128, "usern", PASSWORD)


def shown(value: Any) -> str:
    """All that is easily seen of a value; what refuses to be pickled shows nothing there."""
    try:
        pickled = pickle.dumps(value)
    except TypeError:
        pickled = b""
    return f"{value!r}\n{value}\n{pickled.decode('latin-1')}"


def shown_of_error(error: BaseException) -> str:
    """All that is easily seen of an error, and of those that it came of, even where a traceback leaves them out."""
    queue, seen = [error], []
    while queue:
        found = queue.pop()
        if found not in seen:
            seen.append(found)
            queue += [cause for cause in (found.__cause__, found.__context__) if cause is not None]
    pickled = shown(error) if isinstance(error, UnifetchError) else ""
    return "\n".join([*traceback.format_exception(error), pickled, *map(repr, seen), *map(str, seen)])


def leaked(text: str, *secrets: str) -> list[str]:
    return [secret for secret in secrets or SECRETS if secret in text]


# --- Values ---------------------------------------------------------------------------------------

_CALL: dict[str, Any] = {"call": 1, "request": REQUEST, "time": 0.0}
_FIELDS = Headers(FIELDS)
_FAILURE = ConnectError("no connection to example.test:80")
_FAILURE.request = REQUEST

# Those that are marked show a credential today; the mark goes when they no longer do.
VALUES: dict[str, Any] = {
    "URL": REQUEST.url,
    "Headers": _FIELDS,
    "Request": REQUEST,
    "Response": RESPONSE,
    "response.history": RESPONSE.replace(history=(RESPONSE,)),
    "Link": Link(REQUEST.url, "next", {"title": "a"}),
    "Download": Download("file", RESPONSE, 10, 0),
    "Result": Result(0, "http://example.test/", value=RESPONSE, error=_FAILURE),
    "RawRequest": RawRequest("POST", REQUEST.url, _FIELDS.pairs, b"", None, Timeout()),
    "Route": Route(proxy=PROXY, connect_headers=(("Proxy-Authorization", f"Basic {BASIC}"),)),
    "FinalRequest": auth.FinalRequest("POST", REQUEST.url, _FIELDS, b""),
    "Basic": auth.Basic("usern", PASSWORD),
    "Digest": auth.Digest("usern", PASSWORD),
    "Bearer": auth.Bearer(TOKEN),
    "Signed": auth.Signed(lambda request: {"Authorization": TOKEN}),
    "Netrc": auth.Netrc("/nowhere"),
    "_NetrcOfUser": auth.Netrc("/nowhere").of_user(REQUEST.url),
    "AuthMemory": auth.AuthMemory(),
    "Proxy": PROXY,
    "ProxyRules": proxies.ProxyRules(PROXY, PROXY),
    "Cookie": cookies.Cookie("session", COOKIE, "example.test"),
    "CookieJar": cookie_jar.CookieJar([cookies.Cookie("session", COOKIE, "example.test")]),
    "Settings": Settings(**parse({"base_url": str.__str__(f"http://{USERINFO}@example.test/"), "headers": FIELDS})),
    "Settings with auth": Settings(**parse({"auth": ("usern", PASSWORD)})),
    "Settings with a token": Settings(**parse({"auth": {"type": "bearer", "token": TOKEN}})),
    "Client": Client("urllib", base_url=f"http://{USERINFO}@example.test/", headers=FIELDS, auth=("usern", PASSWORD)),
    "Event": events.Event(**_CALL),
    "CookieDropped": events.CookieDropped(**_CALL, name="session", domain="example.test", limit="3000 in all"),
    "RequestStarted": events.RequestStarted(**_CALL),
    "Attempt": events.Attempt(**_CALL, number=1, headers=_FIELDS, backend="urllib"),
    "ResponseHead": events.ResponseHead(
        **_CALL, status=200, reason="OK", http_version="HTTP/1.1", headers=RESPONSE.headers
    ),
    "InterimResponse": events.InterimResponse(**_CALL, status=103, headers=RESPONSE.headers),
    "Redirect": events.Redirect(**_CALL, status=302, url=REQUEST.url),
    "Retrying": events.Retrying(**_CALL, delay=1.0, error=_FAILURE, status=None),
    "Finished": events.Finished(**_CALL, response=RESPONSE),
    "Failed": events.Failed(**_CALL, error=_FAILURE),
    "ConnectError": _FAILURE,
    "StatusError": StatusError("401 for POST http://example.test/path", RESPONSE),
}
# Those that cannot hold a credential, and those that the others above derive from.
WITHOUT = {
    "Value",
    "Record",
    "Auth",
    "Entry",
    "Limits",
    "Retry",
    "ServerSentEvent",
    "Span",
    "TLS",
    "Timeout",
    "Unusable",
    "Validator",
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_shows_no_credential(name: str) -> None:
    """Neither `repr` nor `str` nor a pickle of a value holds one, however deep it lies in it."""
    assert [] == leaked(shown(VALUES[name]))


def test_every_value_class_is_here() -> None:
    """Whoever adds a value class says whether it can hold a credential, by adding it to one of the lists above."""
    # Those that are left out have libraries to import, or nothing at run time.
    left_out = (
        "unifetch.backends.",
        "unifetch.testing",
        "unifetch.observe.opentelemetry",
        "unifetch.client.arguments",
        "unifetch.__main__",
    )
    for module in pkgutil.walk_packages(unifetch.__path__, "unifetch."):
        if module.name.startswith(left_out):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("unifetch"):
                raise
            # Else it stands on a library that is not installed here.

    def names(kind: type[Any]) -> Iterator[str]:
        yield kind.__name__
        for subclass in kind.__subclasses__():
            if subclass.__module__.startswith("unifetch."):
                yield from names(subclass)

    assert set() == set(names(Value)) - VALUES.keys() - WITHOUT


FIELDS_OF_CREDENTIALS = """
Authorization Proxy-Authorization Authentication-Info Proxy-Authentication-Info Cookie Set-Cookie X-Api-Key
Api-Key X-Auth-Token X-Amz-Security-Token X-CSRF-Token X-Vault-Token Private-Token Job-Token X-Goog-Api-Key
Ocp-Apim-Subscription-Key X-Functions-Key X-Shopify-Access-Token X-Session-Id X-Password X_Api_Key DPoP
"""


@pytest.mark.parametrize("name", FIELDS_OF_CREDENTIALS.split())
def test_every_field_that_holds_a_credential(name: str) -> None:
    """Each is masked, in whatever case it is written, and twice if it is there twice."""
    headers = Headers([(name.upper(), TOKEN), (name.title(), TOKEN)])

    assert [] == leaked(shown(headers))


@pytest.mark.parametrize("name", ["Request", "Response", "FinalRequest", "Client"])
def test_a_value_is_not_used_up(name: str) -> None:
    """The credentials are still there for whoever asks for them: what is masked is what is shown."""
    value = VALUES[name]
    request = value.request if name == "Response" else value

    assert name == "Client" or leaked(str(request.headers["authorization"]))


# --- What is refused ------------------------------------------------------------------------------

REFUSED: dict[str, Callable[[], Any]] = {
    "a URL with a bad port": lambda: URL(f"http://{USERINFO}@example.test:port/"),
    "a URL with a second @": lambda: URL(f"http://{USERINFO}@evil.test@example.test/"),
    "a URL without a scheme": lambda: URL(f"{USERINFO}@example.test"),
    "a URL of another scheme": lambda: URL(f"ftp://{USERINFO}@example.test/"),
    "a URL with a password that is not encoded": lambda: URL(f"http://usern:{PASSWORD}/{PASSWORD}?@example.test/"),
    "a base URL": lambda: Client("urllib", base_url=f"http://{USERINFO}@example.test:port/"),
    "a field with a line break": lambda: Headers({"Authorization": f"Bearer {TOKEN}\r\n"}),
    "a field of Latin and Greek": lambda: Headers({"Cookie": f"session={COOKIE}\u03b1"}),
    "a custom field with a line break": lambda: Headers({"X-Custom": f"{TOKEN}\n"}),
    "a Basic name with a colon": lambda: Client("urllib", auth=(f"a:{PASSWORD}", PASSWORD)),
    "a Basic password with a control": lambda: Client("urllib", auth=("usern", f"{PASSWORD}\0")),
    "a Bearer token with a space": lambda: Client("urllib", auth={"type": "bearer", "token": f"{TOKEN} "}),
    "auth with an unknown key": lambda: Client("urllib", auth={"type": "basic", "user": "a", "password": PASSWORD}),
    "auth of an unknown type": lambda: Client("urllib", auth={"type": "none", "password": PASSWORD}),
    "auth that is text": lambda: parse({"auth": PASSWORD}),
    "auth of three": lambda: parse({"auth": ("usern", PASSWORD, PASSWORD)}),
    "a proxy with a bad port": lambda: proxies.Proxy.of(f"http://{USERINFO}@proxy.test:port"),
    "a proxy of another scheme": lambda: proxies.Proxy.of(f"gopher://{USERINFO}@proxy.test:70"),
    "a proxy with a path": lambda: proxies.Proxy.of(f"http://{USERINFO}@proxy.test/path"),
    "a proxy with a name alone": lambda: proxies.Proxy("http", "proxy.test", 3128, None, PASSWORD),
    "a cookie with a line break": lambda: cookies.Cookie("session", f"{COOKIE}\r\n", "example.test"),
    "a cookie that is too long": lambda: cookies.Cookie("session", COOKIE * 1000, "example.test"),
    "a mask sent": lambda: Client("urllib").get("http://127.0.0.1/", headers=pickle.loads(pickle.dumps(_FIELDS))),
    "auth that was pickled": lambda: Client("urllib").get(
        "http://127.0.0.1/", auth=pickle.loads(pickle.dumps(auth.Basic("usern", PASSWORD)))
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_shows_no_credential(name: str) -> None:
    """The message says what is wrong without the credential that it is wrong about, and so does all behind it."""
    with pytest.raises(UnifetchError) as raised:
        REFUSED[name]()

    assert [] == leaked(shown_of_error(raised.value))


# --- What happens on the way ----------------------------------------------------------------------

# A server's own userinfo. It is in the head that it sent, and so in that event; but we do not pass it on.
THEIRS = "their5ecret"
SET_COOKIE = f"Set-Cookie: session={COOKIE}\r\n".encode()
SCRIPTS: dict[str, Any] = {
    "answered": reply(headers={"Set-Cookie": f"session={COOKIE}"}),
    "closed": Close(),
    "not HTTP": b"garbage\r\n\r\n",
    "a field without a name": b"HTTP/1.1 200 OK\r\n" + SET_COOKIE + b": nameless\r\n\r\n",
    "a head cut off": [b"HTTP/1.1 200 OK\r\n" + SET_COOKIE[:-2], HalfClose()],
    "a body cut off": [b"HTTP/1.1 200 OK\r\n" + SET_COOKIE + b"Content-Length: 100\r\n\r\nhalf", HalfClose()],
    "two lengths": b"HTTP/1.1 200 OK\r\n" + SET_COOKIE + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a bad chunk": b"HTTP/1.1 200 OK\r\n" + SET_COOKIE + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "not gzip": reply(body=b"garbage", headers={"Content-Encoding": "gzip"}),
    "401": reply(401, headers={"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}),
    "redirects without end": reply(302, headers={"Location": "/again"}),
    "a redirect to userinfo": reply(302, headers={"Location": f"http://a:{THEIRS}@127.0.0.1:port/"}),
    "a redirect to a bad host": reply(302, headers={"Location": f"http://a:{THEIRS}@[::1/"}),
    "no answer": Stall(),
}
STYLES: dict[str, dict[str, Any]] = {
    "fields": {"headers": {name: value for name, value in FIELDS.items() if name != "Proxy-Authorization"}},
    "userinfo": {},
    "digest": {"auth": {"type": "digest", "username": "usern", "password": PASSWORD}},
}


def _ask(client: Client, url: str, style: str) -> str:
    """What is seen of the outcome of a call, be it a response or an error."""
    target = url.replace("//", f"//{USERINFO}@") if style in ("userinfo", "fields") else url
    call: dict[str, Any] = {**STYLES[style], "cookies": {"other": COOKIE}}
    try:
        response = client.get(f"{target}/path?q=1", **call, redirects=2)
        return shown(response) + shown(response.raise_for_status())
    except UnifetchError as error:
        return shown_of_error(error)


@pytest.mark.parametrize("style", STYLES)
def test_the_credentials_are_sent(style: str) -> None:
    """What the tests below look for is on the wire."""
    with Server(SCRIPTS["401"], reply()) as server, Client("urllib") as client:
        _ask(client, server.url, style)

        sent = server.requests[-1]
        assert {"fields": "Bearer", "userinfo": "Basic", "digest": "Digest"}[style] in (
            sent.header("authorization") or ""
        )
        assert COOKIE in (sent.header("cookie") or "")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_call_shows_no_credential(backend: str, name: str, style: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the server does: outcome, events and log lines hold none of the call's credentials."""
    told: list[events.Event] = []
    timeout = {"read": 0.1} if name == "no answer" else {}
    client = Client(backend, listeners=[told.append, log_events], timeout=timeout)
    with Server(SCRIPTS[name]) as server, client, caplog.at_level(logging.DEBUG, "unifetch"):
        outcome = _ask(client, server.url, style)
    ours = [record.getMessage() for record in caplog.records if record.name == "unifetch"]

    assert told
    assert ours
    assert [] == leaked("\n".join([outcome, *ours]), *SECRETS, THEIRS)
    assert [] == leaked("\n".join(f"{shown(event)}" for event in told))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_call_shows_no_credential_of_a_query(backend: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nor does anything but the URL itself show what a query holds of credentials, whatever becomes of the call."""
    secret, told = "qu3ry", []
    timeout = {"read": 0.1} if name == "no answer" else {}
    client = Client(backend, listeners=[told.append, log_events], timeout=timeout)
    with Server(SCRIPTS[name]) as server, client, caplog.at_level(logging.DEBUG, "unifetch"):
        try:
            response = client.get(server.url, params={"page": 1, "private_token": secret}, redirects=1)
            outcome = repr(response) + repr(response.request)
            response.raise_for_status()
        except UnifetchError as error:
            outcome = "".join(traceback.format_exception(error))
    ours = [record.getMessage() for record in caplog.records if record.name == "unifetch"]

    assert [] == leaked("\n".join([outcome, *ours, *map(repr, told)]), secret)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "https://127.0.0.1:{port}", "http://nowhere.invalid"])
def test_no_connection_shows_no_credential(backend: str, url: str, style: str) -> None:
    """Nor does the error of a connection that does not come about."""
    with refused_port() as port, Client(backend) as client:
        assert [] == leaked(_ask(client, url.format(port=port), style))


@pytest.mark.parametrize("style", STYLES)
def test_no_tls_shows_no_credential(backend: str, style: str) -> None:
    """Nor does the error of a TLS handshake with a server that speaks plain HTTP."""
    with Server(OnConnect(reply(400), Close())) as server, Client(backend) as client:
        outcome = _ask(client, server.url.replace("http://", "https://"), style)
        server.errors.clear()

    assert [] == leaked(outcome)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "script",
    [
        pytest.param([reply(), Close()], id="taken"),
        pytest.param(reply(407, headers={"Proxy-Authenticate": 'Basic realm="r"'}), id="refused"),
        pytest.param(Close(), id="closed"),
    ],
)
def test_a_proxy_shows_no_credential(backend: str, script: Any, scheme: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nor does anything show the password of a proxy, whether it works, refuses or fails, or the backend takes none."""
    told: list[events.Event] = []
    client = Client(backend, listeners=[told.append, log_events])
    with Server(script) as server, client, caplog.at_level(logging.DEBUG, "unifetch"):
        try:
            outcome = shown(client.get(f"{scheme}://example.test/", proxy=server.url.replace("//", f"//{USERINFO}@")))
        except UnifetchError as error:
            outcome = shown_of_error(error)
        server.errors.clear()
    ours = [record.getMessage() for record in caplog.records if record.name == "unifetch"]

    assert [] == leaked("\n".join([outcome, *ours, *map(shown, told)]))
