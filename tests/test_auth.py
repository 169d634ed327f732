"""Authentication: what is sent to whom, what a challenge is answered with, and what is never shown."""

from __future__ import annotations

import copy
import pickle
import re
import sys
import warnings
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifetch.errors import ConfigError, InvalidBody, InvalidHeader, InvalidSetting
from unifetch.model.headers import REDACTED, Headers
from unifetch.model.url import URL
from unifetch.policies.auth import (
    Auth,
    AuthMemory,
    Basic,
    Bearer,
    Digest,
    FinalRequest,
    Netrc,
    Signed,
)
from unifetch.policies.digest import parse_challenges
from unifetch.policies.netrc import NetrcEntries, read_netrc


def request(
    url: str = "http://example.test/", method: str = "GET", content: Any = None, **headers: str
) -> FinalRequest:
    return FinalRequest(method, URL(url), Headers(headers), content)


def test_who_fetches_nothing_ends_it_without_the_lock() -> None:
    """The garbage collector may end an old call at any moment, also while this thread holds the lock."""
    lock = Lock()
    memory = AuthMemory(lock=lock)
    woken: list[str] = []
    assert memory.begin_fetch("one", list)
    assert not memory.begin_fetch("another", lambda: woken.append("another"))
    with lock:
        memory.end_fetch("another")
    memory.end_fetch("one")
    memory.end_fetch("one")

    assert (["another"], None) == (woken, memory.fetched_by)


def authorized(auth: Auth | None, asked: FinalRequest | None = None) -> Any:
    assert auth is not None
    asked, memory = asked or request(), AuthMemory()
    if auth.wants(memory):
        return auth.fetched(auth.fetch(asked, memory), asked, memory)
    return auth.authorize(asked, memory)


def basic(pair: str) -> tuple[tuple[str, str]]:
    return (("Authorization", "Basic " + b64encode(pair.encode()).decode()),)


# --- Basic and Bearer -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("username", "password", "pair"),
    [
        ("Aladdin", "open sesame", "Aladdin:open sesame"),
        ("user", "", "user:"),
        ("", "pass", ":pass"),
        ("user", "a:b", "user:a:b"),
        ("test", "123£", "test:123£"),
        ("jo\u0308rg", "gru\u0308n", "j\u00f6rg:gr\u00fcn"),
    ],
)
def test_basic_is_utf8(username: str, password: str, pair: str) -> None:
    """RFC 7617 §2 and §2.1: UTF-8, in normal form C."""
    assert authorized(Basic(username, password)) == basic(pair)


def test_the_example_of_rfc_7617() -> None:
    """RFC 7617 §2.1."""
    assert authorized(Basic("test", "123£")) == (("Authorization", "Basic dGVzdDoxMjPCow=="),)


@pytest.mark.parametrize("kind", [Basic, Digest])
@pytest.mark.parametrize(
    ("username", "password", "named"),
    [
        ("us\ner", "SECRET", "username has a control character"),
        ("user", "SECRET\r\nX-Injected: 1", "password has a control character"),
        ("user", "SECRET\0", "password has a control character"),
        ("user", "SECRET\x7f", "password has a control character"),
        ("user", "SECRET\ud800", "password has a control character or a lone surrogate"),
        (b"user", "SECRET", "username must be str, not bytes"),
        ("user", None, "password must be str, not NoneType"),
    ],
)
def test_names_and_passwords_are_checked(kind: Any, username: Any, password: Any, named: str) -> None:
    """What cannot be sent is refused where it is set, and not shown."""
    with pytest.raises(InvalidSetting, match=named) as caught:
        kind(username, password)

    assert "SECRET" not in str(caught.value)


def test_basic_refuses_a_colon_in_the_name() -> None:
    """BEHAVIOUR #37: the server would split the pair in another place."""
    with pytest.raises(InvalidSetting, match="colon"):
        Basic("us:er", "pass")


def test_bearer_sends_the_token() -> None:
    """RFC 6750 §2.1."""
    assert authorized(Bearer("mF_9.B5f-4.1JqM=")) == (("Authorization", "Bearer mF_9.B5f-4.1JqM="),)
    assert authorized(Bearer("1|abc:def")) == (("Authorization", "Bearer 1|abc:def"),)


@pytest.mark.parametrize("token", ["", "Bearer SECRET", "SECRET\r\nX: 1", "SECRET\n", "SECRÉT", None, b"SECRET"])
def test_a_token_is_visible_ascii(token: Any) -> None:
    """A token that would break the field is refused, and not shown."""
    with pytest.raises(InvalidSetting, match="token") as caught:
        Bearer(token)

    assert "SECR" not in str(caught.value)


@pytest.mark.parametrize("auth", [Basic("user", "pass"), Bearer("token"), Netrc("/nowhere"), Digest("user", "pass")])
def test_an_explicit_authorization_wins(auth: Auth) -> None:
    """BEHAVIOUR #19 and #37: the caller's own field is neither replaced nor doubled, and a 401 to it is final."""
    asked = request(AUTHORIZATION="mine")
    challenge = Headers({"WWW-Authenticate": 'Digest realm="r", nonce="n"'})

    assert auth.authorize(asked, AuthMemory()) == ()
    assert auth.answer(asked, AuthMemory(), response=challenge, answered=0) is None


@pytest.mark.parametrize("auth", [Basic("user", "pass"), Bearer("token")])
def test_a_refused_password_is_not_sent_again(auth: Auth) -> None:
    """What was in the first request already is no answer to its 401."""
    challenge = Headers({"WWW-Authenticate": 'Basic realm="r"'})

    assert auth.answer(request(), AuthMemory(), response=challenge, answered=0) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://user:pass@example.test/", Basic("user", "pass")),
        ("http://us%40er:p%C3%A4ss@example.test/", Basic("us@er", "päss")),
        ("http://example.test/", None),
        ("http://user@example.test/", Basic("user", "")),
        ("http://a.test:@b.test/", Basic("a.test", "")),
        ("http://:pass@example.test/", Basic("", "pass")),
        ("http://:@example.test/", None),
    ],
)
def test_userinfo_becomes_basic(url: str, expected: Basic | None) -> None:
    """A name alone is Basic, too, with an empty password, as in browsers, curl and git."""
    assert Basic.of_url(URL(url)) == expected


# --- A callable that signs ------------------------------------------------------------------------


def test_a_callable_sees_the_final_request() -> None:
    """Method, URL, fields and the bytes of the body, as they will be sent."""
    seen: list[Any] = []

    def sign(final: FinalRequest) -> dict[str, str]:
        seen.append((final.method, final.url, final.url.target, final.headers["host"], final.body))
        return {"X-Signature": "s"}

    asked = request("http://example.test/a?b=1", "POST", b"payload", Host="example.test")

    assert authorized(Auth.of(sign), asked) == (("X-Signature", "s"),)
    assert seen == [("POST", "http://example.test/a?b=1", "/a?b=1", "example.test", b"payload")]


def test_a_callable_may_ignore_the_body_of_a_stream() -> None:
    """Only who asks for the bytes of a stream is told that there are none yet; the stream is not touched."""
    stream = iter([b"a", b"b"])
    asked = request(method="POST", content=stream)

    assert authorized(Signed(lambda final: [("X-Method", final.method)]), asked) == (("X-Method", "POST"),)
    with pytest.raises(InvalidBody, match="stream"):
        authorized(Signed(lambda final: {"X-Length": str(len(final.body))}), asked)
    assert list(stream) == [b"a", b"b"]
    assert request().body == b""


def test_a_callable_may_replace_an_authorization() -> None:
    """It has seen the caller's field, and decides."""
    signed = Signed(lambda final: {"Authorization": "signed " + final.headers["authorization"]})

    assert authorized(signed, request(Authorization="mine")) == (("Authorization", "signed mine"),)


@pytest.mark.parametrize(
    ("result", "error", "named"),
    [
        (None, InvalidSetting, "NoneType"),
        ("X: 1", InvalidSetting, "str"),
        ({"X": "a\r\nY: b"}, InvalidHeader, "X"),
        ({"Content-Length": "0"}, InvalidHeader, "content-length"),
        ([("TRANSFER-ENCODING", "chunked")], InvalidHeader, "transfer-encoding"),
    ],
)
def test_what_a_callable_returns_is_checked(result: Any, error: type[Exception], named: str) -> None:
    """A request is not sent unsigned by mistake, and no field is smuggled in."""
    with pytest.raises(error, match=named):
        authorized(Signed(lambda final: result))


def test_what_a_callable_raises_passes_through() -> None:
    """It is the caller's own."""

    def sign(final: FinalRequest) -> dict[str, str]:
        raise KeyError("no key")

    with pytest.raises(KeyError, match="no key"):
        authorized(Signed(sign))


# --- The setting ----------------------------------------------------------------------------------


def sign_nothing(final: FinalRequest) -> dict[str, str]:
    return {}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, None),
        (("user", "pass"), Basic("user", "pass")),
        (["user", "pass"], Basic("user", "pass")),
        (Bearer("token"), Bearer("token")),
        ("netrc", Netrc()),
        (sign_nothing, Signed(sign_nothing)),
        ({"type": "basic", "username": "user", "password": "pass"}, Basic("user", "pass")),
        ({"type": "digest", "username": "user", "password": "pass"}, Digest("user", "pass")),
        ({"type": "bearer", "token": "token"}, Bearer("token")),
        ({"type": "netrc"}, Netrc()),
        ({"type": "netrc", "path": "/etc/netrc"}, Netrc("/etc/netrc")),
    ],
)
def test_of_takes_what_a_caller_may_write(setting: Any, expected: Auth | None) -> None:
    """A pair, an Auth, a word, a callable, or a table of a TOML file."""
    assert Auth.of(setting) == expected


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("SECRET", "auth must be"),
        (("SECRET",), "auth must be"),
        (("user", "SECRET", "x"), "auth must be"),
        (b"SECRET", "auth must be"),
        (True, "bool"),
        (Basic, "type"),
        ({}, '"type" must be one of basic, bearer, digest, netrc'),
        ({"type": "ntlm", "password": "SECRET"}, '"type" must be one of'),
        ({"type": ["basic"]}, '"type" must be one of'),
        ({"type": "basic", "user": "u", "password": "SECRET"}, "unknown key 'user'; accepted are type, username"),
        ({"type": "basic", "password": "SECRET"}, "needs username and password"),
        ({"type": "bearer"}, "needs token"),
        ({"type": "basic", "username": "u", "password": 5}, "password must be str"),
        ({"type": "netrc", "path": 5}, "path must be"),
        (("us:er", "SECRET"), "colon"),
    ],
)
def test_a_wrong_setting_is_named_and_not_shown(setting: Any, named: str) -> None:
    """The message says which key is wrong and what is accepted."""
    with pytest.raises(InvalidSetting, match=re.escape(named)) as caught:
        Auth.of(setting)

    assert "SECRET" not in str(caught.value)


SECRETS = [
    Basic("NAME", "SECRET"),
    Bearer("SECRET"),
    Digest("NAME", "SECRET"),
    Signed({"NAME": "SECRET"}.get),  # type: ignore[arg-type]  # any callable that holds a secret
]


@pytest.mark.parametrize("auth", SECRETS)
def test_no_secret_is_shown_or_pickled(auth: Auth) -> None:
    """TRUST, secrets: not in repr or str, and a pickle carries the mask, which is refused when it is used."""
    data = pickle.dumps(auth)
    revived = pickle.loads(data)

    assert repr(auth) == str(auth) == f"{type(auth).__name__}({REDACTED})"
    assert [secret for secret in (b"NAME", b"SECRET") if secret in data] == []
    assert type(revived) is type(auth)
    with pytest.raises(ConfigError, match="was pickled without its credentials; set them again"):
        authorized(revived)


@pytest.mark.parametrize("auth", [*SECRETS, Netrc("/etc/netrc")])
def test_an_auth_is_a_value(auth: Auth) -> None:
    """It compares, hashes and is copied whole, credentials included."""
    assert copy.copy(auth) == copy.deepcopy(auth) == auth == auth.replace()
    assert hash(auth) == hash(auth.replace())
    assert auth != Basic("other", "SECRET")


def test_what_was_learnt_is_not_shown_or_pickled() -> None:
    """Neither nonces nor the entries of a netrc leave the process."""
    memory = AuthMemory()
    memory.netrc = NetrcEntries.parse("machine a.test login NAME password SECRET")

    assert repr(memory.netrc) == "NetrcEntries(1 entries)"
    assert b"SECRET" not in pickle.dumps(memory)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(memory.netrc)


# --- Challenges -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], []),
        ([""], []),
        ([" , ,"], []),
        (["Basic"], [("basic", {})]),
        (['Basic realm="simple"'], [("basic", {"realm": "simple"})]),
        (['BASIC REALM="simple"'], [("basic", {"realm": "simple"})]),
        (["Basic realm=simple"], [("basic", {"realm": "simple"})]),
        (['Basic realm = "simple"'], [("basic", {"realm": "simple"})]),
        (['Basic  realm="a" ,charset="UTF-8"'], [("basic", {"realm": "a", "charset": "UTF-8"})]),
        (['Basic realm="a, b=c \\"d\\" \\\\"'], [("basic", {"realm": 'a, b=c "d" \\'})]),
        (['Basic realm=""'], [("basic", {"realm": ""})]),
        (['Basic realm="caf\xe9"'], [("basic", {"realm": "caf\xe9"})]),
        (["Negotiate YWJj=="], [("negotiate", {})]),
        (["Negotiate , NTLM"], [("negotiate", {}), ("ntlm", {})]),
        (['Negotiate YWJj==, Basic realm="a"'], [("negotiate", {}), ("basic", {"realm": "a"})]),
        # RFC 9110 §11.6.1: one field, two challenges.
        (
            ['Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""'],
            [("basic", {"realm": "simple"}), ("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'})],
        ),
        (['Basic realm="a"', 'Digest realm="b"'], [("basic", {"realm": "a"}), ("digest", {"realm": "b"})]),
        (['Digest realm="a",, nonce="b",'], [("digest", {"realm": "a", "nonce": "b"})]),
        # Malformed: left out, with the rest of the field, and the other fields stay.
        (['Digest realm="a', 'Basic realm="b"'], [("basic", {"realm": "b"})]),
        (['Basic realm="a", Digest realm="b, nonce="c", Basic realm="d"'], [("basic", {"realm": "a"})]),
        (['Digest realm="a" nonce="b"'], []),
        (['Digest realm="a", realm="b"'], []),
        (["Digest realm="], [("digest", {})]),  # by the grammar, a token68
        (["Digest =a"], []),
        (["Digest Basic realm=a"], []),
        (["Digest a b"], []),
        (["Digest , realm=a"], [("digest", {"realm": "a"})]),
        (['realm="a"'], []),
        (["Digest\trealm=a"], [("digest", {"realm": "a"})]),
        (["Dig\xe9st realm=a"], []),
        # A library that lets them through must not make us send them back.
        (['Digest realm="a", nonce="b\rX-Injected: 1"'], []),
        (['Digest realm="a", nonce="b\nX-Injected: 1"'], []),
        (['Digest realm="a", nonce="b\\\rX-Injected: 1"'], []),
        (['Digest realm="a", nonce="b\x00"'], []),
    ],
)
def test_challenges(fields: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    """RFC 9110 §11.6.1: several challenges in one field or in several; what is malformed is left out."""
    assert parse_challenges(fields) == expected


@given(st.lists(st.text(max_size=80) | st.text(alphabet='Digest Basic,="\\\t realmnonce\x00\r\n\xe9', max_size=80)))
def test_the_parser_never_raises(fields: list[str]) -> None:
    """Whatever a server sends, nothing but names and values comes of it."""
    for scheme, parameters in parse_challenges(fields):
        assert Headers({scheme: "", **parameters})


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Basic", "Digest", "X"]),
            st.dictionaries(
                st.sampled_from(["a", "b", "c-d"]),
                st.text(st.characters(max_codepoint=0xFF, exclude_characters="\x7f", min_codepoint=0x20)).filter(
                    lambda text: not re.search("[\x80-\x9f]", text)
                ),
                min_size=1,
            ),
        )
    )
)
def test_what_is_written_is_read_back(challenges: list[tuple[str, dict[str, str]]]) -> None:
    """Any challenges, quoted and joined into one field, are read back as they were."""

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    field = ", ".join(
        f"{scheme} " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in challenges
    )

    assert parse_challenges([field]) == [(scheme.lower(), parameters) for scheme, parameters in challenges]


@pytest.mark.parametrize(
    "text", ['Digest a="' + "\\" * 60_000, "Digest " + "a " * 30_000, "a=" * 30_000, " ," * 30_000]
)
def test_a_long_field_is_read_in_one_go(text: str) -> None:
    """The time does not grow with the square: each of these would never end if it did so twice over."""
    assert [scheme for scheme, _ in parse_challenges([text])] in ([], ["digest"])


# --- Digest ---------------------------------------------------------------------------------------

RFC7616 = 'realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"'
OPAQUE = 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'


def answer(auth: Auth, url: str, *challenges: str, cnonce: str = "c", answered: int = 0) -> dict[str, str] | None:
    """The parameters of the answer to these challenges."""
    response = Headers.trusted([("WWW-Authenticate", challenge) for challenge in challenges])
    pairs = auth.answer(request(url), AuthMemory(lambda: cnonce), response=response, answered=answered)
    return None if pairs is None else parameters_of(pairs)


def parameters_of(pairs: Any) -> dict[str, str]:
    ((name, value),) = pairs
    assert name == "Authorization"
    assert value.startswith("Digest ")
    found = re.findall(r'([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^",]*))(?:, |\Z)', value[7:])
    return {key: re.sub(r"\\(.)", r"\1", quoted) or bare for key, quoted, bare in found}


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    """RFC 7616 §3.9.1, both answers in full."""
    sent = answer(
        Digest("Mufasa", "Circle of Life"),
        "http://www.example.org/dir/index.html",
        f"Digest {RFC7616}, algorithm={algorithm}, {OPAQUE}",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )

    assert sent == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": algorithm,
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "qop": "auth",
        "response": response,
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }


@pytest.mark.parametrize(
    ("userhash", "username"),
    [
        ("true", {"username": "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b", "userhash": "true"}),
        ("false", {"username*": "UTF-8''J%C3%A4s%C3%B8n%20Doe"}),
    ],
)
def test_the_example_with_a_name_in_utf8(userhash: str, username: dict[str, str]) -> None:
    """RFC 7616 §3.9.2 with the values of its erratum 4897: SHA-512-256, userhash and username*."""
    hashlib = pytest.importorskip("hashlib")
    if "sha512_256" not in hashlib.algorithms_available:
        pytest.skip("this build of hashlib has no SHA-512/256")
    sent = answer(
        Digest("Jäsøn Doe", "Secret, or not?"),
        "http://api.example.org/doe.json",
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        f'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash={userhash}',
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )

    assert sent is not None
    assert sent["response"] == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    assert {name: sent[name] for name in sent if name.startswith("user")} == username


def test_the_example_of_rfc_2617() -> None:
    """RFC 2617 §3.5: the name of the algorithm is not sent where none was named."""
    sent = answer(
        Digest("Mufasa", "Circle Of Life"),
        "http://www.nowhere.org/dir/index.html",
        'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"',
        cnonce="0a4f113b",
    )

    assert sent is not None
    assert sent["response"] == "6629fae49393a05397450978507c4ef1"
    assert "algorithm" not in sent


@pytest.mark.parametrize("qop", ["", ', qop=""'])
def test_a_challenge_without_qop(qop: str) -> None:
    """RFC 2069: no count and no nonce of ours."""
    sent = answer(
        Digest("Mufasa", "Circle Of Life"),
        "http://www.nowhere.org/dir/index.html",
        f'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"{qop}',
    )

    assert sent == {
        "username": "Mufasa",
        "realm": "testrealm@host.com",
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "uri": "/dir/index.html",
        "response": "670fd8c2df070c60b045671b8b24ff02",
    }


def test_a_session_key() -> None:
    """RFC 7616 §3.4.2: with "-sess", the key is made of the first two nonces, and stays for all of the session."""

    def h(text: str) -> str:
        return md5(text.encode()).hexdigest()

    key = h(h("user:r:pass") + ":n:c")
    memory = AuthMemory(iter(["c", "another"]).__next__)
    auth, asked = Digest("user", "pass"), request("http://example.test/x")
    challenge = Headers({"WWW-Authenticate": 'Digest realm="r", nonce="n", qop=auth, algorithm=MD5-sess'})
    first = auth.answer(asked, memory, response=challenge, answered=0)
    second = auth.authorize(asked, memory)

    for nc, pairs in (("00000001", first), ("00000002", second)):
        assert parameters_of(pairs)["response"] == h(f"{key}:n:{nc}:c:auth:{h('GET:/x')}")


def test_later_requests_are_authorized_in_advance() -> None:
    """The count goes up by one for each request, in eight hexadecimal digits; another origin gets nothing."""
    memory = AuthMemory(lambda: "c")
    auth = Digest("user", "pass")
    challenge = Headers({"WWW-Authenticate": 'Digest realm="r", nonce="n", qop=auth'})

    assert auth.authorize(request("http://example.test/"), memory) == ()
    auth.answer(request("http://example.test/"), memory, response=challenge, answered=0)
    sent = [parameters_of(auth.authorize(request("http://example.test/a"), memory)) for _ in range(15)]

    assert [parameters["nc"] for parameters in sent] == [f"{count:08x}" for count in range(2, 17)]
    assert sent[-1]["nc"] == "00000010"
    assert {parameters["uri"] for parameters in sent} == {"/a"}
    for url in ("https://example.test/", "http://example.test:81/", "http://www.example.test/"):
        assert auth.authorize(request(url), memory) == ()


@pytest.mark.parametrize(
    ("stale", "answers"),
    [("", 1), (", stale=false", 1), (", stale=true", 2), (', stale="TRUE"', 2)],
)
def test_a_401_is_answered_once_and_once_more_if_stale(stale: str, answers: int) -> None:
    """A password that was refused is not tried again, and no server keeps us asking."""
    auth, memory, asked = Digest("user", "pass"), AuthMemory(), request()
    given_answers = []
    for answered in range(5):
        challenge = Headers({"WWW-Authenticate": f'Digest realm="r", nonce="n{answered}", qop=auth{stale}'})
        given_answers.append(auth.answer(asked, memory, response=challenge, answered=answered))

    assert [pairs is not None for pairs in given_answers] == [answered < answers for answered in range(5)]
    assert auth.authorize(asked, memory) == ()


def test_a_new_nonce_starts_a_new_count() -> None:
    """A 401 to a request that was authorized in advance is answered with what it says now."""
    auth, memory, asked = Digest("user", "pass"), AuthMemory(), request()
    for nonce in ("one", "two"):
        challenge = Headers({"WWW-Authenticate": f'Digest realm="r", nonce="{nonce}", qop=auth'})
        sent = parameters_of(auth.answer(asked, memory, response=challenge, answered=0))

        assert (sent["nonce"], sent["nc"]) == (nonce, "00000001")


def test_threads_share_a_count() -> None:
    """Eight threads with one client: no count is used twice, for a server takes that for a replay."""
    auth, memory, asked = Digest("user", "pass"), AuthMemory(), request()
    challenge = Headers({"WWW-Authenticate": 'Digest realm="r", nonce="n", qop=auth'})
    auth.answer(asked, memory, response=challenge, answered=0)
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: parameters_of(auth.authorize(asked, memory))["nc"], range(800)))

    assert sorted(sent) == [f"{count:08x}" for count in range(2, 802)]


def test_many_origins_are_not_remembered_for_ever() -> None:
    """What is learnt is bounded."""
    memory = AuthMemory()
    challenge = Headers({"WWW-Authenticate": 'Digest realm="r", nonce="n", qop=auth'})
    for port in range(1, 1000):
        asked = request(f"http://example.test:{port}/")
        Digest("user", "pass").answer(asked, memory, response=challenge, answered=0)

    assert len(memory.nonces) <= 100


@pytest.mark.parametrize(
    ("challenges", "algorithm"),
    [
        (['Digest realm="r", nonce="n", qop=auth, algorithm=MD5', "Digest {}SHA-256"], "SHA-256"),
        (['Digest realm="r", nonce="n", qop=auth, algorithm=SHA-256, Digest {}MD5'], "SHA-256"),
        (["Digest {}MD5, Digest {}MD5-sess"], "MD5"),
        (["Digest {}MD5-sess, Digest {}SHA-256-sess"], "SHA-256-sess"),
        (["Digest {}SHA-1, Digest {}md5"], "md5"),
        (["Digest {}whirlpool", 'Basic realm="r"', "Digest {}MD5"], "MD5"),
        (['Digest realm="r", nonce="n", algorithm=SHA-256, qop=auth-int', "Digest {}MD5"], "MD5"),
    ],
)
def test_the_strongest_algorithm_is_taken(challenges: list[str], algorithm: str) -> None:
    """Of all the challenges in all the fields, whatever their order."""
    offers = [text.replace("{}", 'realm="r", nonce="n", qop=auth, algorithm=') for text in challenges]
    sent = answer(Digest("user", "pass"), "http://example.test/", *offers)

    assert sent is not None
    assert sent["algorithm"] == algorithm


@pytest.mark.parametrize(
    "challenge",
    [
        'Basic realm="r"',
        'Digest nonce="n", qop=auth',
        'Digest realm="r", qop=auth',
        'Digest realm="r", nonce="n", qop=auth-int',
        'Digest realm="r", nonce="n", qop="auth-int, other"',
        'Digest realm="r", nonce="n", qop=auth, algorithm=SHA-1',
        'Digest realm="r", nonce="n", qop=auth, algorithm=',
        'Digest realm="r", nonce="n", algorithm=MD5-sess',
        'Digest realm="r", nonce="n", qop=auth, nonce="m"',
        'Digest realm="r", nonce="n\r\nX-Injected: 1", qop=auth',
        "",
    ],
)
def test_what_is_not_answered(challenge: str) -> None:
    """Another scheme, an incomplete or malformed challenge, an unknown algorithm, auth-int alone."""
    assert answer(Digest("user", "pass"), "http://example.test/", challenge) is None


def test_a_proxy_challenge_is_not_answered() -> None:
    """The origin's password is not for the proxy."""
    response = Headers({"Proxy-Authenticate": 'Digest realm="r", nonce="n", qop=auth'})

    assert Digest("user", "pass").answer(request(), AuthMemory(), response=response, answered=0) is None


def test_a_name_without_utf8_on_the_other_side() -> None:
    """A server that has not said UTF-8 gets the bytes of UTF-8, as a field's text, and hashes the same ones."""
    sent = answer(Digest("jörg", "grün"), "http://example.test/", 'Digest realm="r\xe9", nonce="n"')
    key = md5("jörg".encode() + b":r\xe9:" + "grün".encode()).hexdigest()

    assert sent is not None
    assert sent["username"] == "jörg".encode().decode("latin-1")
    assert sent["realm"] == "r\xe9"
    assert sent["response"] == md5(f"{key}:n:{md5(b'GET:/').hexdigest()}".encode()).hexdigest()


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])), st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_every_answer_is_a_valid_field(username: str, realm_and_nonce: str) -> None:
    """Whatever the name, and whatever the server sent, quotes included, the field can be sent."""
    text = realm_and_nonce.encode().decode("latin-1").replace("\\", "\\\\").replace('"', '\\"')
    challenge = f'Digest realm="{text}", nonce="{text}", opaque="{text}", qop=auth, charset=UTF-8'
    response = Headers.trusted([("WWW-Authenticate", challenge)])
    pairs = Digest(username, "pass").answer(request(), AuthMemory(), response=response, answered=0)

    assert pairs is not None
    assert Headers(pairs).pairs == pairs


# --- netrc ----------------------------------------------------------------------------------------

NETRC = """
# a comment: machine c.test login carol password c
machine a.test login alice password "a \\"quoted\\" one"
machine B.test
    login bob
    password #1
    account ignored
macdef init
    machine c.test login mallory password m

machine nopass.test login alice
machine nologin.test password p
machine two.test login one password 1
machine two.test login two password 2
"""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.test/", Basic("alice", 'a "quoted" one')),
        ("https://a.test:8443/", Basic("alice", 'a "quoted" one')),
        ("http://b.test/", Basic("bob", "#1")),
        ("http://two.test/", Basic("one", "1")),
        ("http://two@two.test/", Basic("two", "2")),
        # TRUST, netrc: nothing is sent.
        ("http://c.test/", None),
        ("http://nopass.test/", None),
        ("http://nologin.test/", None),
        ("http://www.a.test/", None),
        ("http://a.test.evil.test/", None),
        ("http://a.test.:80/", None),
        ("http://a.test:@unknown.test/", None),
        ("http://a.test:@b.test/", None),
        ("http://mallory@a.test/", None),
        ("http://three@two.test/", None),
    ],
)
@pytest.mark.parametrize("default", ["", "default login anonymous password guest"])
def test_an_entry_is_for_exactly_its_host(url: str, default: str, expected: Basic | None) -> None:
    """An entry is for its host and its name; one without password, or of another name, is none, and stops there."""
    asked = URL(url)
    entries = NetrcEntries.parse(NETRC + default)
    pair = entries.lookup(asked.host, user=asked.username)
    found = pair and Basic(*pair)
    has_entry = asked.host in ("a.test", "b.test", "two.test", "nopass.test", "nologin.test")

    if default and not has_entry and asked.username is None:
        assert found == Basic("anonymous", "guest")
    else:
        assert found == expected


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_macros_end_at_an_empty_line(newline: str) -> None:
    """What a macro holds is no entry, and what follows it is."""
    text = "macdef m\nmachine a.test login x password y\n\nmachine b.test login x password y"
    entries = NetrcEntries.parse(text.replace("\n", newline))

    assert [entries.lookup(host) for host in ("a.test", "b.test")] == [None, ("x", "y")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("password SECRET", 1),
        ("machine a.test\nlogin x\npassword", 3),
        ('machine a.test password "SECRET', 1),
        ("machine a.test login x password", 1),
        ("machine", 1),
        ('\n\n  "SECRET"', 3),
        ("defaults login x password SECRET", 1),
    ],
)
def test_a_malformed_netrc_is_an_error(text: str, line: int) -> None:
    """It names the line and does not show it."""
    with pytest.raises(ConfigError, match=f"^netrc: line {line} ") as caught:
        NetrcEntries.parse(text)

    assert "SECRET" not in str(caught.value)


def test_words_of_other_tools_are_skipped_and_told(tmp_path: Path) -> None:
    """An entry counts all the same, and the warning names lines only: a password with a space in it is such a word."""
    text = "machine a.test port 21 login x\nprotocol https password y SECRET\nmachine b.test login x password z\n"
    path = write(tmp_path / "netrc", text)
    with pytest.warns(UserWarning, match="line 1, 2$") as caught:
        entries = read_netrc(path)

    assert [("x", "y"), ("x", "z")] == [entries.lookup(host) for host in ("a.test", "b.test")]
    assert "SECRET" not in str(caught[0].message)


@given(st.text(max_size=100) | st.text(alphabet='machine default login password macdef\n"\\#', max_size=100))
def test_any_text_is_a_netrc_or_a_config_error(text: str) -> None:
    """No other exception comes of a text."""
    try:
        entries = NetrcEntries.parse(text)
    except ConfigError:
        return

    assert isinstance(entries, NetrcEntries)


def write(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_a_netrc_is_read_once_and_late(tmp_path: Path) -> None:
    """Not before it is needed, and then no more."""
    path = tmp_path / "netrc"
    auth, memory = Netrc(path), AuthMemory()
    write(path, "machine example.test login user password pass")

    assert auth.authorize(request(), memory) == basic("user:pass")
    path.unlink()
    assert auth.authorize(request(), memory) == basic("user:pass")
    assert auth.authorize(request("http://other.test/"), memory) == ()
    assert auth.answer(request(), memory, response=Headers(), answered=0) is None


def test_the_default_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`$NETRC`, else `~/.netrc`; that one may be missing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)

    assert authorized(Netrc()) == ()
    write(tmp_path / ("_netrc" if sys.platform == "win32" else ".netrc"), "default login home password p")
    assert authorized(Netrc()) == basic("home:p")
    monkeypatch.setenv("NETRC", write(tmp_path / "other", "default login other password p"))
    assert authorized(Netrc()) == basic("other:p")


@pytest.mark.parametrize(
    ("name", "named"), [("missing", "there is no file"), ("directory", "cannot be read"), ("binary", "not UTF-8")]
)
def test_a_named_netrc_must_be_readable(tmp_path: Path, name: str, named: str) -> None:
    """Who names a file means it."""
    (tmp_path / "directory").mkdir()
    (tmp_path / "binary").write_bytes(b"machine a.test login x password \xff")
    with pytest.raises(ConfigError, match=named):
        read_netrc(str(tmp_path / name))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o620, True)]
)
def test_a_netrc_that_others_may_read_is_told(tmp_path: Path, mode: int, warned: bool) -> None:
    """TRUST, netrc: a mode beyond 0600 is a warning, which does not show what the file holds."""
    path = write(tmp_path / "netrc", "default login user password SECRET", mode)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_netrc(path)

    assert [str(warning.message) for warning in caught] == (
        [f"netrc: {path} should belong to you alone: chmod 600"] if warned else []
    )
