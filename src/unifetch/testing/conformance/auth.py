"""Credentials: where they go, in which bytes, and above all where they do not go."""

from __future__ import annotations

import hashlib
import re
import threading
from asyncio import get_running_loop, sleep
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ... import Client
from ...errors import InvalidSetting, TotalTimeout
from ...policies.auth import Auth, Bearer, Digest, FinalRequest
from .. import RecordedRequest, Script, Server, reply
from ..awaited import client_of
from .base import Conformance

USER, PASSWORD = "j\u00f6rg", 'pass "w\u00f6rd"\\:%'
IN = reply(200, b"in")
ASKED = reply(401, b"who?", {"WWW-Authenticate": 'Basic realm="r", Digest realm="r", nonce="n", qop="auth"'})


def basic(username: str, password: str) -> str:
    """The field value that RFC 7617 asks for."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def sign(request: FinalRequest) -> dict[str, str]:
    """A signature by which any other origin would know the secret."""
    return {"Authorization": "Signature secret", "X-Signature": "secret"}


# To be kept from every origin but the first: all of them say "secret", in plain text or in Base64.
KEPT_HOME: dict[str, Any] = {
    "basic": ("user", "secret"),
    "plain data": {"type": "basic", "username": "user", "password": "secret"},
    "bearer": Bearer("secret"),
    "digest": Digest("secret", "secret"),
    "netrc": "netrc",
    "callable": sign,
    "userinfo": None,
}


class Guard:
    """A server's side of Digest, written for itself: it lets in who knows the password, once for each `nc`."""

    def __init__(self, algorithm: str | None, *, password: str = PASSWORD, welcome: Script = IN) -> None:
        self.algorithm = algorithm
        self.password = password
        self.welcome = welcome
        self.expected = 1  # the next nc

    def __call__(self, request: RecordedRequest) -> Script:
        said = request.header("authorization")
        if said is not None and self.knows(request.method, request.target, said):
            self.expected += 1
            return self.welcome
        offer = "" if self.algorithm is None else f", algorithm={self.algorithm}"
        challenge = f'Digest realm="a \\"r\\"", nonce="n,1=", qop="auth-int, auth", opaque="o", charset=UTF-8{offer}'
        return reply(401, b"who?", {"WWW-Authenticate": challenge})

    def knows(self, method: str, target: str, said: str) -> bool:
        """Whether these credentials are right for this request (RFC 7616 §3.4)."""
        fields = {
            name: token or quoted.replace("\\", "")
            for name, quoted, token in re.findall(r'([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))', said)
        }
        name = hashlib.sha256 if (self.algorithm or "").startswith("SHA-256") else hashlib.md5

        def hashed(*parts: str) -> str:
            return name(":".join(parts).encode()).hexdigest()

        key = hashed(USER, 'a "r"', self.password)
        if (self.algorithm or "").endswith("-sess"):
            key = hashed(key, "n,1=", fields["cnonce"])
        count = f"{self.expected:08x}"
        return fields == {
            "username*": "UTF-8''j%C3%B6rg",
            "realm": 'a "r"',
            "nonce": "n,1=",
            "opaque": "o",
            "uri": target,
            "response": hashed(key, "n,1=", count, fields["cnonce"], "auth", hashed(method, target)),
            "nc": count,
            "cnonce": fields["cnonce"],
            "qop": "auth",
            **({} if self.algorithm is None else {"algorithm": self.algorithm}),
        }


def authorizations(server: Server) -> list[str | None]:
    """The Authorization field of each request."""
    return [request.header("authorization") for request in server.requests]


class TestAuth(Conformance):
    """Basic, Bearer, Digest, netrc and signatures, for one origin only."""

    def test_basic(self, client: Client) -> None:
        """A pair is Basic in UTF-8, sent with the first request; a 401 is then the answer."""
        with Server(ASKED) as server:
            response = client.get(server.url, auth=(USER, PASSWORD))

            assert (401, b"who?", [basic(USER, PASSWORD)]) == (response.status, response.body, authorizations(server))

    def test_bearer(self, client: Client) -> None:
        """A token goes out as it is."""
        with Server(ASKED) as server:
            client.get(server.url, auth=Bearer("a|b:c=="))

            assert ["Bearer a|b:c=="] == authorizations(server)

    def test_of_the_client(self, client: Client) -> None:
        """The client's own goes with each of its calls, but for one that says None."""
        with Server() as server, type(client)(client.backend, auth=("user", "pass")) as known:
            known.get(server.url)
            known.post(server.url, body=b"body")
            known.get(server.url, auth=None)

            assert [basic("user", "pass")] * 2 + [None] == authorizations(server)

    def test_userinfo(self, client: Client) -> None:
        """Name and password of a URL become Basic, decoded, and are nowhere else in the request."""
        with Server() as server:
            response = client.get(f"http://us%C3%A9r:p%40ss%3A@127.0.0.1:{server.port}/page")

            assert [basic("us\u00e9r", "p@ss:")] == authorizations(server)
            sent = server.requests[0]
            assert ("/page", f"127.0.0.1:{server.port}") == (sent.target, sent.header("host"))
            assert b"p%40ss" not in server.received()
            assert "p%40ss" not in repr(response)

    def test_a_field_of_the_callers_own(self, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """An Authorization field that the caller wrote wins over each kind; a 401 to it is the answer."""
        set_netrc(monkeypatch, tmp_path, "default login user password secret\n")
        with Server(ASKED) as server:
            for auth in (("user", "secret"), Bearer("secret"), Digest("user", "secret"), "netrc", None):
                client.get(server.url, auth=auth, headers={"authorization": "Mine own"})
            client.get(f"http://user:secret@127.0.0.1:{server.port}/", headers={"Authorization": "Mine own"})

            assert ["Mine own"] * 6 == authorizations(server)

    def test_within_the_origin(self, client: Client) -> None:
        """A redirect within the origin keeps the credentials."""
        with Server(reply(302, b"", {"Location": "/end"}), reply(200)) as server:
            client.get(server.url, auth=("user", "pass"))

            assert [basic("user", "pass")] * 2 == authorizations(server)

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    @pytest.mark.parametrize("kind", KEPT_HOME)
    def test_another_origin(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, host: str
    ) -> None:
        """No credential reaches another host or port, even when asked for, nor the first again by a way back."""
        entry = "login user password secret"
        set_netrc(monkeypatch, tmp_path, f"machine 127.0.0.1 {entry}\ndefault {entry}\n")
        home = ""
        with Server({"/": ASKED, "/on": lambda request: reply(302, b"", {"Location": home})}) as other:
            for path in ("/", "/on"):
                target = reply(302, b"", {"Location": f"http://{host}:{other.port}{path}"})
                with Server({"/": target, "/back": ASKED}) as server:
                    home = f"{server.url}/back"
                    login = "user:secret@" if kind == "userinfo" else ""
                    response = client.get(f"http://{login}127.0.0.1:{server.port}/", auth=KEPT_HOME[kind])

                    assert (401, kind == "digest") == (response.status, authorizations(server)[0] is None)
                    assert [None] * (path == "/on") == authorizations(server)[1:]
                    assert [None] * (path == "/on") == [each.header("x-signature") for each in server.requests[1:]]

            assert [None, None] == authorizations(other)
            sent = b"".join(other.received(number) for number in range(1, other.connections + 1)).lower()
            for secret in (b"secret", b64encode(b"user:secret").lower(), b"authorization", b"signature"):
                assert secret not in sent

    # --- Digest ---

    @pytest.mark.parametrize("algorithm", [None, "MD5", "SHA-256", "MD5-sess", "SHA-256-sess"])
    def test_digest(self, client: Client, algorithm: str | None) -> None:
        """One 401 is answered; from then on each request comes with the next count, and no password ever goes out."""
        with Server(Guard(algorithm)) as server, type(client)(client.backend, auth=Digest(USER, PASSWORD)) as known:
            first = known.post(f"{server.url}/a?b=c", body=b"body")
            assert (200, b"in", 2) == (first.status, first.body, len(server.requests))
            second = known.get(f"{server.url}/other")
            assert (200, b"in", 3) == (second.status, second.body, len(server.requests))

            assert [("POST", b"body"), ("POST", b"body"), ("GET", b"")] == [
                (request.method, request.body) for request in server.requests
            ]
            assert [None, "nc=00000001,", "nc=00000002,"] == [
                said and said[said.index("nc=") :].split()[0] for said in authorizations(server)
            ]
            assert b"pass" not in b"".join(request.head for request in server.requests)

    def test_digest_along_a_redirect(self, client: Client) -> None:
        """Within the origin each target gets a response of its own, without another 401."""
        with Server(Guard("SHA-256", welcome={"/": reply(302, b"", {"Location": "/end"}), "/end": IN})) as server:
            response = client.get(server.url, auth=Digest(USER, PASSWORD))

            assert (200, ["/", "/", "/end"]) == (response.status, [request.target for request in server.requests])

    def test_digest_elsewhere(self, client: Client) -> None:
        """What one origin has taught is not used on another, neither after a redirect nor by a call of its own."""
        with Server(ASKED) as other, type(client)(client.backend, auth=Digest(USER, PASSWORD)) as known:
            onward = reply(302, b"", {"Location": other.url})
            with Server(Guard("SHA-256", welcome=onward)) as server:
                assert 401 == known.get(server.url).status
                assert [None] == authorizations(other)
            known.get(other.url)

            assert [None, None] == authorizations(other)[:2]

    def test_digest_of_a_wrong_password(self, client: Client) -> None:
        """A 401 is answered once; the second is the response."""
        with Server(Guard("SHA-256", password="another")) as server:
            response = client.get(server.url, auth=Digest(USER, PASSWORD))

            assert (401, b"who?", 2) == (response.status, response.body, len(server.requests))

    def test_digest_of_a_stale_nonce(self, client: Client) -> None:
        """`stale=true` asks for one more try, and for one only."""
        stale = 'Digest realm="r", nonce="n", qop="auth", stale=true'
        with Server(reply(401, b"who?", {"WWW-Authenticate": stale})) as server:
            response = client.get(server.url, auth=Digest(USER, PASSWORD))

            assert (401, 3) == (response.status, len(server.requests))

    def test_digest_of_a_one_shot_body(self, client: Client) -> None:
        """An iterator that is spent is not sent again: the 401 is the response."""

        def once() -> Iterator[bytes]:
            yield b"body"

        with Server(Guard("SHA-256")) as server:
            response = client.post(server.url, body=once(), auth=Digest(USER, PASSWORD))

            assert (401, b"who?", [b"body"]) == (
                response.status,
                response.body,
                [request.body for request in server.requests],
            )

    @pytest.mark.parametrize(
        "challenge",
        ['Basic realm="r"', 'Digest realm="r", nonce="n", algorithm=SHA-1', 'Digest realm="r', "", "Digest"],
    )
    def test_what_digest_cannot_answer(self, client: Client, challenge: str) -> None:
        """Another scheme, an unknown algorithm or a broken challenge is not answered, least of all by Basic."""
        with Server(reply(401, b"who?", {"WWW-Authenticate": challenge})) as server:
            response = client.get(server.url, auth=Digest(USER, PASSWORD))

            assert (401, [None]) == (response.status, authorizations(server))

    # --- Signatures ---

    def test_a_callable_signs_what_is_sent(self, client: Client) -> None:
        """It sees the target, every field and the bytes of the body; what it returns is added."""
        seen: list[FinalRequest] = []

        def sign(request: FinalRequest) -> dict[str, str]:
            seen.append(request)
            return {"X-Signature": hashlib.sha256(request.body).hexdigest()}

        with Server() as server:
            client.put(f"{server.url}/a?b=c%20d", json={"a": "\u00e9"}, auth=sign, cookies={"c": "d"})

            sent = server.requests[0]
            assert 1 == len(seen)
            assert (sent.method, sent.target) == (seen[0].method, seen[0].url.target)
            assert sent.body == seen[0].body
            signature = ("x-signature", hashlib.sha256(sent.body).hexdigest())
            assert sorted([*((name.lower(), value) for name, value in seen[0].headers.pairs), signature]) == sorted(
                (name.lower(), value) for name, value in sent.headers if name.lower() != "connection"
            )

    def test_a_callable_signs_each_request(self, client: Client) -> None:
        """A redirect within the origin is signed for its own target."""

        def sign(request: FinalRequest) -> dict[str, str]:
            return {"Authorization": f"Signed {request.method} {request.url.target}"}

        with Server(reply(303, b"", {"Location": "/end"}), reply(200)) as server:
            client.post(f"{server.url}/start", body=b"body", auth=sign)

            assert ["Signed POST /start", "Signed GET /end"] == authorizations(server)

    def test_what_a_callable_raises(self, client: Client) -> None:
        """It passes through, and nothing is sent."""

        def sign(request: FinalRequest) -> dict[str, str]:
            raise LookupError("no key")

        with Server() as server:
            with pytest.raises(LookupError, match="no key"):
                client.get(server.url, auth=sign)

            assert [] == server.requests

    # --- What has to be fetched ---

    @pytest.mark.parametrize("style", ["blocking", "awaited"])
    def test_a_token_is_fetched_and_renewed_once(self, client: Client, style: str) -> None:
        """A callable gives the token of a client, which is kept; a 401 has it called once more, and no oftener."""
        if style == "awaited" and isinstance(client, Client):
            return  # see test_what_a_client_cannot_await
        tokens: list[str] = []

        def fetch() -> str:
            tokens.append(f"token{len(tokens)}")
            return tokens[-1]

        async def fetch_awaited() -> str:
            await sleep(0)
            return fetch()

        def guard(request: RecordedRequest) -> Script:
            return IN if request.header("authorization") in (good, "Own") else ASKED

        auth = Bearer(fetch if style == "blocking" else fetch_awaited)
        with Server(guard) as server, client_of(client.backend, auth=auth) as known:
            good = "Bearer token0"
            statuses = [known.get(server.url).status, known.post(server.url, body=b"a").status]
            good = "Bearer token1"
            statuses += [known.post(server.url, body=b"b").status, known.get(server.url).status]
            good = "none"
            statuses += [known.get(server.url).status]
            statuses += [known.get(server.url, headers={"Authorization": "Own"}).status]

            assert [200, 200, 200, 200, 401, 200] == statuses
            assert ["token0", "token1", "token2"] == tokens
            sent = [f"Bearer token{number}" for number in (0, 0, 0, 1, 1, 1, 2)]
            assert [*sent, "Own"] == authorizations(server)
            assert [b"b", b"b"] == [request.body for request in server.requests[2:4]]

    @pytest.mark.parametrize("style", ["blocking", "awaited"])
    def test_many_calls_have_one_token_fetched(self, client: Client, style: str) -> None:
        """Those that need one together wait for one fetch, and so do those that meet a 401, however late it comes."""
        if style == "awaited" and isinstance(client, Client):
            return  # see test_what_a_client_cannot_await
        tokens: list[str] = []
        everybody, renewed = threading.Barrier(8), threading.Event()
        first = iter(range(8))

        def fetch() -> str:
            tokens.append(f"t{len(tokens)}")
            if len(tokens) > 1:
                renewed.set()
            return tokens[-1]

        async def fetch_awaited() -> str:
            await sleep(0)
            return fetch()

        def guard(request: RecordedRequest) -> Script:
            if request.header("authorization") != "Bearer t0":
                return IN
            everybody.wait(20)
            if next(first) > 3:
                assert renewed.wait(20)  # this 401 comes when the others have got the next token already
            return ASKED

        auth = Bearer(fetch if style == "blocking" else fetch_awaited)
        with Server(guard) as server, client_of(client.backend, auth=auth, timeout=10) as known:
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda _: known.get(server.url).body, range(8)))

            assert ([b"in"] * 8, ["t0", "t1"]) == (answers, tokens)
            assert ["Bearer t0"] * 8 + ["Bearer t1"] * 8 == sorted(map(str, authorizations(server)))

    def test_waiting_for_the_token_of_another_call(self, client: Client) -> None:
        """It counts against the total; and where one fetch fails, those that waited for it try by themselves."""
        begun, go = threading.Event(), threading.Event()
        fetched: list[int] = []

        def fetch() -> str:
            fetched.append(1)
            begun.set()
            assert go.wait(20)
            raise LookupError("no token")

        with Server(IN) as server, client_of(client.backend, auth=Bearer(fetch), timeout=10) as known:
            with ThreadPoolExecutor(3) as pool:
                calls = [pool.submit(known.get, server.url)]
                assert begun.wait(20)
                with pytest.raises(TotalTimeout):
                    known.get(server.url, timeout=0.1)
                calls += [pool.submit(known.get, server.url) for _ in range(2)]
                go.set()

                assert [LookupError] * 3 == [type(call.exception(20)) for call in calls]
            assert ([1] * 3, []) == (fetched, server.requests)

    def test_fetching_holds_no_connection(self, client: Client) -> None:
        """A callable may ask the same server, even where one connection is all that there may be."""
        with Server(reply(401, b""), reply(200, b"t"), IN) as server:
            with client_of(client.backend, limits={"connections": 1}, timeout=10) as known:
                if isinstance(known, Client):
                    auth = Bearer(lambda: known.get(server.url, auth=None).text if server.requests else "old")
                else:

                    async def fetch() -> str:
                        return (await known.client.get(server.url, auth=None)).text if server.requests else "old"

                    auth = Bearer(fetch)

                assert b"in" == known.get(server.url, auth=auth).body

            assert ["Bearer old", None, "Bearer t"] == authorizations(server)

    def test_a_token_stays_at_home(self, client: Client) -> None:
        """Another origin gets no fetched token, and its 401 has none fetched."""
        fetched: list[str] = []

        def fetch() -> str:
            fetched.append("t")
            return "t"

        with Server(ASKED) as other, Server(reply(302, b"", {"Location": other.url})) as server:
            response = client.get(server.url, auth=Bearer(fetch))

            assert (401, ["t"], [None]) == (response.status, fetched, authorizations(other))

    @pytest.mark.parametrize("token", ["", "two words", 5, None, b"t"])
    def test_what_is_no_token(self, client: Client, token: Any) -> None:
        """What was fetched is held to the same rules, and nothing is sent."""
        with Server() as server:
            with pytest.raises(InvalidSetting, match="token"):
                client.get(server.url, auth=Bearer(lambda: token))

            assert [] == server.requests

    def test_an_awaited_signature(self, client: Client) -> None:
        """An AsyncClient awaits what signs, a Client refuses it without a warning; what it raises passes through."""

        async def signed(request: FinalRequest) -> dict[str, str]:
            await sleep(0)
            if request.url.target == "/fails":
                raise LookupError("no key")
            return {"X-Signature": request.url.target}

        async def fetch() -> str:
            return "t"

        with Server() as server:
            if isinstance(client, Client):
                with pytest.raises(InvalidSetting, match="AsyncClient"):
                    client.get(server.url, auth=signed)
                with pytest.raises(InvalidSetting, match="AsyncClient"):
                    client.get(server.url, auth=Bearer(fetch))

                assert [] == server.requests
                return
            client.get(f"{server.url}/a", auth=signed)
            with pytest.raises(LookupError, match="no key"):
                client.get(f"{server.url}/fails", auth=signed, retry=3)

            assert ["/a"] == [request.header("x-signature") for request in server.requests]

    def test_what_blocks_is_called_beside_the_loop(self, client: Client) -> None:
        """A callable that blocks keeps no event loop from its other tasks; in a Client, it runs where it is called."""
        threads: list[Any] = []

        def blocks(request: FinalRequest) -> dict[str, str]:
            threads.append(threading.current_thread())
            try:
                get_running_loop()
            except RuntimeError:
                return {}
            raise AssertionError("it is called in the thread of the loop")

        with Server() as server:
            client.get(server.url, auth=blocks)
            client.get(server.url, auth=Bearer(lambda: "t" if not blocks(None) else ""))  # type: ignore[arg-type]  # it ignores it

        assert isinstance(client, Client) is (threads == [threading.current_thread()] * 2)

    def test_an_auth_of_ones_own(self, client: Client) -> None:
        """A subclass of Auth gives credentials, sees the fields of a 401, and answers it as often as it likes."""

        class Counted(Auth):
            def credentials(self, request: FinalRequest, memory: Any) -> str | None:
                return None

            def answer(self, request: FinalRequest, memory: Any, *, response: Any, answered: int) -> Any:
                if answered == 2:
                    return None
                return (("Authorization", f"{response['www-authenticate'][:5]} {answered}"),)

        with Server(ASKED) as server:
            assert 401 == client.get(server.url, auth=Counted()).status

            assert [None, "Basic 0", "Basic 1"] == authorizations(server)

    # --- netrc ---

    def test_netrc(self, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """`auth="netrc"` takes the entry of the host from the file that $NETRC names."""
        mine = 'machine 127.0.0.1 login me password "p w"'
        set_netrc(monkeypatch, tmp_path, f"machine other login x password y\n{mine}\n")
        with Server() as server:
            client.get(server.url, auth="netrc")
            client.get(f"http://localhost:{server.port}/", auth="netrc")

            assert [basic("me", "p w"), None] == authorizations(server)

    def test_netrc_is_asked_for(self, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A file that is there is not read by itself, neither by unifetch nor by the library."""
        set_netrc(monkeypatch, tmp_path, "default login user password secret\n")
        with Server(ASKED) as server:
            client.get(server.url)

            assert [None] == authorizations(server)

    @pytest.mark.parametrize(
        ("userinfo", "pair"),
        [("t0ken", ("t0ken", "")), ("t0ken:", ("t0ken", "")), (":pw", ("", "pw")), ("a:b", ("a", "b"))],
    )
    def test_forms_of_userinfo(self, client: Client, userinfo: str, pair: tuple[str, str]) -> None:
        """A name alone, which services take for a token, is sent as Basic as well as a pair is."""
        with Server() as server:
            client.get(server.url.replace("//", f"//{userinfo}@"))

            assert [basic(*pair)] == [each.header("authorization") for each in server.requests]

    def test_empty_userinfo(self, client: Client) -> None:
        """No name and no password are no credentials."""
        with Server() as server:
            client.get(server.url.replace("//", "//@"))
            client.get(server.url.replace("//", "//:@"))

            assert [None, None] == [each.header("authorization") for each in server.requests]

    @pytest.mark.parametrize(
        ("userinfo", "pair"),
        [
            ("", ("first", "1")),
            ("second@", ("second", "2")),
            ("third:3@", ("third", "3")),
            ("t0ken@", ("t0ken", "")),
        ],
    )
    def test_netrc_and_userinfo(self, client: Client, tmp_path: Path, userinfo: str, pair: tuple[str, str]) -> None:
        """The URL's name chooses among the entries; where none fits, its own credentials go, also along a redirect."""
        path = tmp_path / "netrc"
        path.write_text("machine 127.0.0.1 login first password 1\nmachine 127.0.0.1 login second password 2\n")
        path.chmod(0o600)
        with Server({"/": reply(302, b"", {"Location": "/end"}), "/end": IN}) as server:
            client.get(server.url.replace("//", f"//{userinfo}"), auth={"type": "netrc", "path": str(path)})

            assert [basic(*pair)] * 2 == [each.header("authorization") for each in server.requests]

    def test_no_netrc_entry(self, client: Client, tmp_path: Path) -> None:
        """A netrc that knows another host leaves the URL's credentials in force."""
        path = tmp_path / "netrc"
        path.write_text("machine other.test login a password b\n")
        path.chmod(0o600)
        with Server() as server:
            client.get(server.url.replace("//", "//u:p@"), auth={"type": "netrc", "path": str(path)})

            assert [basic("u", "p")] == [each.header("authorization") for each in server.requests]

    @pytest.mark.parametrize("style", ["basic", "bearer", "callable", "field"])
    def test_credentials_of_a_base_url(self, client: Client, style: str) -> None:
        """The credentials of a client that has a base_url go to its origin; another gets them if its call says so."""
        setting: dict[str, Any] = {"auth": KEPT_HOME.get(style)}
        if style == "field":
            fields = {"Authorization": "secret", "X-Api-Key": "secret", "X-Kept": "1"}
            setting = {"headers": fields, "params": {"api_key": "secret", "page": 1}}
        with Server() as home, Server() as other, Server() as third:
            with client_of(client.backend, base_url=f"{home.url}/v1/", **setting) as based:
                based.get("item")
                based.get(other.url)
                based.get(f"//127.0.0.1:{other.port}/x", redirects=0)
                based.get(third.url, **setting)
                based.get(home.url)

            sent = [each.header("authorization") for each in [*home.requests, *third.requests]]
            assert (3, 2) == (len(sent), len(other.requests))
            assert None not in sent
            for request in other.requests:
                assert [None, None] == [request.header("authorization"), request.header("x-signature")]
            if style == "field":
                assert ["1", "1"] == [each.header("x-kept") for each in other.requests]
                assert ["/?page=1", "/x?page=1"] == [each.target for each in other.requests]
                assert "/v1/item?api_key=secret&page=1" == home.requests[0].target
                assert [None, None] == [each.header("x-api-key") for each in other.requests]


def set_netrc(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Make this the user's netrc, with the permissions that it should have."""
    path = folder / ".netrc"
    path.touch(0o600)
    path.write_text(text, "utf-8")
    monkeypatch.setenv("NETRC", str(path))
    monkeypatch.setenv("HOME", str(folder))
