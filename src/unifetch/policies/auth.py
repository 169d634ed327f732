"""Who is asking: credentials for the origin that a request was written for, and for no other.

An `Auth` is a frozen setting. The call asks it to `authorize` each request before it is sent, and after a 401 whether
it can `answer`: only for the origin of the first request, never after a redirect to another. What is learnt on the way
(the nonces of Digest, the entries of a netrc) is kept in an `AuthMemory`.

An Authorization field that the caller wrote wins. No credential shows in a `repr`, and none travels in a pickle. Left
out: authentication to a proxy, Digest's `auth-int` and `nextnonce`, Negotiate and NTLM.
"""

from __future__ import annotations

import os
import re
from binascii import b2a_base64
from collections.abc import Awaitable, Mapping
from contextlib import nullcontext

from ..errors import ConfigError, InvalidBody, InvalidHeader, InvalidSetting
from ..masking import REDACTED, masked
from ..model.frozen import Record, Value, check_keys
from ..model.headers import Headers
from .digest import Nonce, parse_challenges, strongest
from .netrc import NetrcEntries, read_netrc

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from typing import Any, TypeAlias

    from ..model.headers import HeaderTypes, Pairs
    from ..model.url import URL

    Sign: TypeAlias = "Callable[[FinalRequest], HeaderTypes | Awaitable[HeaderTypes]]"
    FetchToken: TypeAlias = "Callable[[], str | Awaitable[str]]"
    AuthTypes: TypeAlias = "Auth | tuple[str, str] | Mapping[str, Any] | str | Sign | None"


class FinalRequest(Record):
    """A request as it will be sent: what a callable signs.

    Attributes:
        method: the method.
        url: the URL; `url.target` is what is written.
        headers: every field that will be sent, except those that this Auth adds.
        content: the body: bytes, an iterable that only the backend may read, or None.
        credentials: what this Auth has added, once it has: so an answer to a 401 knows what was refused.
    """

    method: str
    url: URL
    headers: Headers
    content: bytes | Iterable[bytes] | None = None
    credentials: Pairs = ()

    @property
    def body(self) -> bytes:
        """The bytes of the body; empty if there is none.

        Raises:
            InvalidBody: the body is a stream, whose bytes are not known before they are sent.
        """
        if self.content is None or isinstance(self.content, bytes):
            return self.content or b""
        raise InvalidBody("auth: the callable asks for the body's bytes, and this body is a stream; pass bytes")

    def __repr__(self) -> str:
        return f"<FinalRequest {self.method} {masked(self.url)}>"


NO_LOCK: AbstractContextManager[Any] = nullcontext()  # of a memory that one call has for itself


class AuthMemory:
    """What one `Auth` has learnt, for later requests; used by many threads, and never pickled.

    Args:
        cnonce: makes the client's nonce of Digest.
        lock: held for a moment, by whoever begins a fetch or ends it.

    Attributes:
        fetched_by: who fetches credentials now, for all who wait meanwhile; None for nobody.
    """

    __slots__ = ("_lock", "_waiting", "cnonce", "fetched_by", "is_stale", "netrc", "nonces", "token")

    def __init__(
        self,
        cnonce: Callable[[], str] = lambda: os.urandom(16).hex(),
        lock: AbstractContextManager[Any] = NO_LOCK,
    ) -> None:
        self.cnonce = cnonce
        self._lock = lock
        self.fetched_by: object = None
        self._waiting: list[Callable[[], object]] = []
        self.nonces: dict[str, Nonce] = {}
        self.netrc: NetrcEntries | None = None
        self.token: str | None = None
        self.is_stale = False

    def begin_fetch(self, by: object, wake: Callable[[], object]) -> bool:
        """Whether the caller is to fetch; if not, another call does, and `wake` is called at its end, perhaps twice."""
        with self._lock:
            if self.fetched_by is not None:
                self._waiting.append(wake)
                return False
            self.fetched_by = by
            return True

    def end_fetch(self, by: object) -> None:
        """Wake all who wait for it. If an interrupt cuts this short, it is called again, and goes on."""
        if self.fetched_by is not by:  # without the lock: the garbage collector may end a call while it is held
            return
        with self._lock:
            while self._waiting:
                self._waiting[-1]()  # before it is forgotten
                self._waiting.pop()
            self.fetched_by = None

    def forget_fetch(self, lock: AbstractContextManager[Any]) -> None:
        """Nobody fetches: in the child of a fork, where whoever did is not there, and the lock is another."""
        self._lock, self.fetched_by, self._waiting = lock, None, []

    def __reduce__(self) -> tuple[Any, ...]:
        return AuthMemory, ()


class Auth(Value):
    """What every kind of authentication does. A subclass gives its `credentials`, and may `answer` a 401.

    Neither may block. What blocks, or has to be awaited, is a `fetch`: a `Client` calls it; an `AsyncClient` calls it
    in a thread and awaits what it returns.
    """

    FIELDS: tuple[str, ...] = ()
    is_fetched_for_all = False  # whether what one call fetches serves those that wait meanwhile

    @staticmethod
    def of(setting: AuthTypes) -> Auth | None:
        """From what a caller may write.

        Args:
            setting: an `Auth`; `(username, password)` for Basic; `"netrc"`; a callable that signs; None; or plain
                data: `{"type": "basic" | "digest", "username": …, "password": …}`, `{"type": "bearer", "token": …}`.

        Raises:
            InvalidSetting: for anything else; the values are not shown.
        """
        if setting is None:
            return None
        if isinstance(setting, Auth):
            kind: Any = type(setting)
            if all(getattr(kind, name) is getattr(Auth, name) for name in ("credentials", "authorize", "fetched")):
                # As `auth_flow` of httpx and `__call__` of requests are theirs, and would never be called.
                raise InvalidSetting(
                    f"auth: {kind.__name__} has no credentials(request, memory), which gives the Authorization field; "
                    "for other fields auth= takes a callable, of no class, that returns them"
                )
            return setting
        if isinstance(setting, (tuple, list)) and len(setting) == 2:
            return Basic(*setting)
        if setting == "netrc":
            return Netrc()
        if isinstance(setting, Mapping):
            return _from_plain_data(setting)
        if callable(setting) and not isinstance(setting, type):
            return Signed(setting)
        raise InvalidSetting(
            'auth must be (username, password), an Auth, a mapping with a "type", "netrc", a callable or None, '
            f"not {type(setting).__name__}"
        )

    def of_user(self, url: URL) -> Auth:
        """This Auth for a call whose URL has userinfo, which is ignored where there is an Auth."""
        return self

    def wants(self, memory: AuthMemory) -> bool:
        """Whether something has to be fetched before the next request is sent."""
        return False

    def fetch(self, request: FinalRequest, memory: AuthMemory) -> Any:
        """What `fetched` needs, or an awaitable of it. What it raises passes through."""
        raise NotImplementedError

    def fetched(self, found: Any, request: FinalRequest, memory: AuthMemory) -> Pairs:
        """The fields to add to a request, from what was fetched for it."""
        raise NotImplementedError

    def authorize(self, request: FinalRequest, memory: AuthMemory) -> Pairs:
        """The fields to add to a request each time it is sent, unless something has to be fetched.

        Raises:
            ConfigError: this Auth was pickled, and so has lost its credentials.
        """
        self._refuse_mask()
        if "authorization" in request.headers:
            return ()
        value = self.credentials(request, memory)
        return () if value is None else (("Authorization", value),)

    def answer(self, request: FinalRequest, memory: AuthMemory, *, response: Headers, answered: int) -> Pairs | None:
        """The fields with which to send a request again after a 401; None if the 401 is final.

        They are empty to have what is fetched, or authorizes a request, by then.

        Args:
            request: the request, without the fields that `authorize` added.
            memory: the memory that `authorize` was given.
            response: the fields of the 401.
            answered: how many 401s to this request were answered before.
        """
        return None

    def credentials(self, request: FinalRequest, memory: AuthMemory) -> str | None:
        """The value of the Authorization field, or None to send none."""
        raise NotImplementedError

    def _refuse_mask(self) -> None:
        if REDACTED in vars(self).values():
            raise ConfigError(f"auth: this {type(self).__name__} was pickled without its credentials; set them again")

    def __repr__(self) -> str:
        # The name is masked, too: with some services it is the key.
        return f"{type(self).__name__}({REDACTED})"

    def __getstate__(self) -> dict[str, Any]:
        return dict.fromkeys(vars(self), REDACTED)


def _from_plain_data(data: Mapping[str, Any]) -> Auth:
    kind = KINDS.get(data["type"]) if isinstance(data.get("type"), str) else None
    if kind is None:
        raise InvalidSetting(f'auth: "type" must be one of {", ".join(KINDS)}')
    check_keys("auth", data, ("type", *kind.FIELDS))
    try:
        return kind(**{key: value for key, value in data.items() if key != "type"})
    except TypeError:  # a key is missing; the constructors raise no other
        raise InvalidSetting(f'auth: type "{data["type"]}" needs {" and ".join(kind.FIELDS)}') from None


class Basic(Auth):
    """RFC 7617, in UTF-8, with the first request: a 401 is not waited for.

    Raises:
        InvalidSetting: for a colon in the name, a control character, or what is not text.
    """

    FIELDS = ("username", "password")
    username: str
    password: str

    def __init__(self, username: str, password: str) -> None:
        if ":" in _text("username", username):
            raise InvalidSetting("auth: a Basic username cannot hold a colon (RFC 7617 §2)")
        vars(self).update(username=username, password=_text("password", password))

    @classmethod
    def of_url(cls, url: URL) -> Basic | None:
        """From the userinfo of a URL. A name alone, which many services use for a token, has an empty password."""
        return cls(url.username or "", url.password or "") if url.username or url.password else None

    def credentials(self, request: FinalRequest, memory: AuthMemory) -> str:
        pair = _utf8(self.username) + b":" + _utf8(self.password)
        return "Basic " + b2a_base64(pair, newline=False).decode("ascii")


class Bearer(Auth):
    """RFC 6750 §2.1: a token in the Authorization field.

    Args:
        token: the token; or a callable that fetches one. It is called before the first request, and once more when a
            call gets a 401; then the request is repeated. A client keeps the token for its later calls. Those that need
            one at the same time wait for one fetch.

    Raises:
        InvalidSetting: the token is empty, or not visible ASCII.
    """

    FIELDS = ("token",)
    is_fetched_for_all = True
    token: str | FetchToken

    def __init__(self, token: str | FetchToken) -> None:
        vars(self).update(token=token if callable(token) else _token(token))

    def wants(self, memory: AuthMemory) -> bool:
        return callable(self.token) and (memory.token is None or memory.is_stale)

    def fetch(self, request: FinalRequest, memory: AuthMemory) -> Any:
        # The caller's own field wins.
        return self.token() if callable(self.token) and "authorization" not in request.headers else None

    def fetched(self, found: Any, request: FinalRequest, memory: AuthMemory) -> Pairs:
        if "authorization" in request.headers:
            return ()
        memory.token, memory.is_stale = _token(found), False
        return (("Authorization", f"Bearer {memory.token}"),)

    def answer(self, request: FinalRequest, memory: AuthMemory, *, response: Headers, answered: int) -> Pairs | None:
        if not callable(self.token) or answered or "authorization" in request.headers:
            return None
        if ("Authorization", f"Bearer {memory.token}") in request.credentials:
            memory.is_stale = True  # else another call has had one fetched since this was sent
        return ()

    def credentials(self, request: FinalRequest, memory: AuthMemory) -> str:
        return f"Bearer {memory.token if callable(self.token) else self.token}"


def _token(token: object) -> str:
    # RFC 6750 §2.1 allows less, but tokens with "|" or ":" exist; visible ASCII cannot break a field.
    if not re.match(r"[!-~]+\Z", text := _text("token", token)):
        raise InvalidSetting("auth: token must be visible ASCII without spaces; leave out the word Bearer")
    return text


class Signed(Auth):
    """A callable that gets the `FinalRequest` and returns the header fields to add or to replace.

    What the callable raises passes through.
    """

    sign: Sign

    def __init__(self, sign: Sign) -> None:
        vars(self).update(sign=sign)

    def wants(self, memory: AuthMemory) -> bool:
        return True

    def fetch(self, request: FinalRequest, memory: AuthMemory) -> Any:
        self._refuse_mask()
        return self.sign(request)

    def fetched(self, found: Any, request: FinalRequest, memory: AuthMemory) -> Pairs:
        if not isinstance(found, (Mapping, list, tuple)):
            # Such as None, from one that meant to change the request: to send it unsigned would be silent.
            kind = type(found).__name__
            raise InvalidSetting(f"auth: the callable must return a mapping or a list of header pairs, not {kind}")
        headers = Headers(found)
        for name in ("content-length", "transfer-encoding"):
            if name in headers:
                raise InvalidHeader(f"auth: the callable returned {name}, which belongs to unifetch")
        return headers.pairs


class Digest(Auth):
    """RFC 7616 with `qop=auth`, or without qop as in RFC 2069: answers a 401; the password is never sent.

    The strongest offered algorithm is used. A 401 is answered once, and once more if it says `stale=true`; later
    requests to the same origin use the accepted nonce in advance.

    Raises:
        InvalidSetting: for a control character, or what is not text.
    """

    FIELDS = ("username", "password")
    username: str
    password: str

    def __init__(self, username: str, password: str) -> None:
        vars(self).update(username=_text("username", username), password=_text("password", password))

    def credentials(self, request: FinalRequest, memory: AuthMemory) -> str | None:
        nonce = memory.nonces.get(request.url.origin)
        if nonce is None:
            return None
        return nonce.digest(_utf8(self.username), _utf8(self.password), request.method, request.url.target)

    def answer(self, request: FinalRequest, memory: AuthMemory, *, response: Headers, answered: int) -> Pairs | None:
        challenge = strongest(parse_challenges(response.get_all("www-authenticate")))
        stale = challenge is not None and challenge.get("stale", "").lower() == "true"
        if challenge is None or answered > (1 if stale else 0) or "authorization" in request.headers:
            memory.nonces.pop(request.url.origin, None)
            return None
        if len(memory.nonces) >= 100:
            memory.nonces.clear()  # each costs one more 401
        # One cnonce for each nonce: the key of "-sess" is made with the first (RFC 7616 §3.4.2).
        memory.nonces[request.url.origin] = Nonce(challenge, memory.cnonce())
        return self.authorize(request, memory)


class Netrc(Auth):
    """Basic with the entry of a netrc file for the host. The file is read once, when it is first needed.

    A name in the URL chooses among the entries; if none fits, the URL's own credentials are used.

    Args:
        path: the file; by default what `$NETRC` names, else `~/.netrc` (on Windows `~/_netrc`) if it is there.

    Raises:
        InvalidSetting: the path is not one.
    """

    FIELDS = ("path",)
    path: str | None
    _user: str | None = None
    _otherwise: Basic | None = None

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise InvalidSetting(f"auth: path must be a path, not {type(path).__name__}")
        vars(self).update(path=path if path is None else os.fspath(path))

    def of_user(self, url: URL) -> Auth:
        # What the URL of the call says counts on each hop; a Location never says it.
        of_user = Netrc(self.path)
        vars(of_user).update(_user=url.username or None, _otherwise=Basic.of_url(url))
        return of_user

    def credentials(self, request: FinalRequest, memory: AuthMemory) -> str | None:
        if memory.netrc is None:
            memory.netrc = read_netrc(self.path)
        found = memory.netrc.lookup(request.url.host, user=self._user)
        basic = self._otherwise if found is None else Basic(*found)
        return None if basic is None else basic.credentials(request, memory)

    def __repr__(self) -> str:
        return f"Netrc(path={self.path!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}  # which is no secret


KINDS: dict[str, type[Auth]] = {"basic": Basic, "bearer": Bearer, "digest": Digest, "netrc": Netrc}


def at_once(found: Any) -> Any:
    """What was fetched, for a client that cannot await; if it has to be awaited, raises `InvalidSetting`."""
    if not isinstance(found, Awaitable):
        return found
    if hasattr(found, "close"):
        found.close()  # a coroutine, which would warn that it was never awaited
    raise InvalidSetting("auth: the callable has to be awaited, which an AsyncClient does, and a Client cannot")


def _text(key: str, text: object) -> str:
    if not isinstance(text, str):
        raise InvalidSetting(f"auth: {key} must be str, not {type(text).__name__}")
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text):
        raise InvalidSetting(f"auth: {key} has a control character or a lone surrogate (RFC 7617 §2)")
    return text


def _utf8(text: str) -> bytes:
    if not text.isascii():
        from unicodedata import normalize

        text = normalize("NFC", text)  # RFC 7617 §2.1, RFC 7616 §4
    return text.encode()
