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
from itertools import count

from ..errors import ConfigError, InvalidBody, InvalidHeader, InvalidSetting
from ..masking import REDACTED, masked
from ..model.frozen import Record, Value, check_keys
from ..model.headers import Headers

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
    Challenge = tuple[str, dict[str, str]]


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
    """

    __slots__ = ("_is_fetching", "_lock", "_waiting", "cnonce", "is_stale", "netrc", "nonces", "token")

    def __init__(
        self,
        cnonce: Callable[[], str] = lambda: os.urandom(16).hex(),
        lock: AbstractContextManager[Any] = NO_LOCK,
    ) -> None:
        self.cnonce = cnonce
        self._lock = lock
        self._is_fetching = False
        self._waiting: list[Callable[[], object]] = []
        self.nonces: dict[str, _Nonce] = {}
        self.netrc: NetrcEntries | None = None
        self.token: str | None = None
        self.is_stale = False

    def begin_fetch(self, ring: Callable[[], object]) -> bool:
        """Whether who asks is to fetch; if not, another does, and `ring` is called when that is over."""
        with self._lock:
            if self._is_fetching:
                self._waiting.append(ring)
                return False
            self._is_fetching = True
            return True

    def end_fetch(self) -> None:
        """Wake whoever waits for it."""
        with self._lock:
            self._is_fetching, waiting, self._waiting = False, self._waiting, []
        for ring in waiting:
            ring()

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
        if setting is None or isinstance(setting, Auth):
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


# --- Digest ----------------------------------------------------------------------------------------


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
        return None if nonce is None else nonce.digest(self, request.method, request.url.target)

    def answer(self, request: FinalRequest, memory: AuthMemory, *, response: Headers, answered: int) -> Pairs | None:
        challenge = _strongest(parse_challenges(response.get_all("www-authenticate")))
        stale = challenge is not None and challenge.get("stale", "").lower() == "true"
        if challenge is None or answered > (1 if stale else 0) or "authorization" in request.headers:
            memory.nonces.pop(request.url.origin, None)
            return None
        if len(memory.nonces) >= 100:
            memory.nonces.clear()  # each costs one more 401
        # One cnonce for each nonce: the key of "-sess" is made with the first (RFC 7616 §3.4.2).
        memory.nonces[request.url.origin] = _Nonce(challenge, memory.cnonce())
        return self.authorize(request, memory)


class _Nonce:
    """A challenge that was answered, and how often."""

    __slots__ = ("challenge", "cnonce", "uses")

    def __init__(self, challenge: dict[str, str], cnonce: str) -> None:
        self.challenge = challenge
        self.cnonce = cnonce
        self.uses = count(1)  # next() is atomic

    def digest(self, auth: Digest, method: str, target: str) -> str:
        """The credentials for one request (RFC 7616 §3.4)."""
        import hashlib

        challenge, nc = self.challenge, f"{next(self.uses):08x}"
        algorithm = challenge.get("algorithm", "MD5").upper()
        function = ALGORITHMS[algorithm.removesuffix("-SESS")]

        def hashed(*parts: bytes) -> bytes:
            return hashlib.new(function, b":".join(parts), usedforsecurity=False).hexdigest().encode("ascii")

        # In a field, one character is one byte, so these are the bytes that the server sent.
        user, realm = _utf8(auth.username), challenge["realm"].encode("latin-1")
        nonce, cnonce = challenge["nonce"].encode("latin-1"), self.cnonce.encode("ascii")
        key = hashed(user, realm, _utf8(auth.password))
        if algorithm.endswith("-SESS"):
            key = hashed(key, nonce, cnonce)
        action = hashed(method.encode("ascii"), target.encode("ascii"))
        counted = bool(challenge.get("qop"))
        parts = (nonce, nc.encode("ascii"), cnonce, b"auth", action) if counted else (nonce, action)

        # RFC 7616 §3.4.4: the name hashed, or extended if the server says that it knows UTF-8, or as it is.
        if challenge.get("userhash", "").lower() == "true":
            fields = [f'username="{hashed(user, realm).decode("ascii")}"', "userhash=true"]
        elif not user.isascii() and challenge.get("charset", "").upper() == "UTF-8":
            fields = [f"username*=UTF-8''{_extended(user)}"]
        else:
            fields = [f"username={_quoted(user.decode('latin-1'))}"]
        fields += [f"{name}={_quoted(challenge[name])}" for name in ("realm", "nonce", "opaque") if name in challenge]
        fields += [f"uri={_quoted(target)}", f'response="{hashed(key, *parts).decode("ascii")}"']
        if "algorithm" in challenge:
            fields.append(f"algorithm={challenge['algorithm']}")
        if counted:
            fields += [f"nc={nc}", f'cnonce="{self.cnonce}"', "qop=auth"]
        return "Digest " + ", ".join(fields)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _extended(data: bytes) -> str:
    # RFC 8187 §3.2.1: attr-char stays as it is.
    return re.sub(rb"[^!#$&+\-.^_`|~0-9A-Za-z]", lambda found: b"%%%02X" % found[0][0], data).decode("ascii")


# RFC 7616 §3.3, the strongest first, with the names that hashlib has for them.
ALGORITHMS = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}


def _strongest(challenges: list[Challenge]) -> dict[str, str] | None:
    import hashlib

    for algorithm, function in ALGORITHMS.items():
        if function in hashlib.algorithms_available:  # not every build has each
            for scheme, challenge in challenges:
                offered = challenge.get("algorithm", "MD5").upper()
                if scheme == "digest" and offered.removesuffix("-SESS") == algorithm and _answerable(challenge):
                    return challenge
    return None


def _answerable(challenge: dict[str, str]) -> bool:
    if "realm" not in challenge or "nonce" not in challenge:
        return False
    if qop := challenge.get("qop"):
        return "auth" in [option.strip(" \t") for option in qop.lower().split(",")]
    # Without qop there is no cnonce on the wire, and "-sess" needs one.
    return not challenge.get("algorithm", "").upper().endswith("-SESS")


_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(
    rf'({_TOKEN})[ \t]*=[ \t]*(?:({_TOKEN})|"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)")[ \t]*(?:,|\Z)'
)
# A scheme is followed by nothing, a token68 or a parameter.
_SCHEME = re.compile(
    rf"({_TOKEN})(?:[ \t]*(?:,|\Z)|[ \t]+[0-9A-Za-z\-._~+/]+=*[ \t]*(?:,|\Z)|[ \t]+(?={_TOKEN}[ \t]*=))"
)
_GAP = re.compile(r"[ \t,]*")


def parse_challenges(fields: Iterable[str]) -> list[Challenge]:
    """The challenges in these WWW-Authenticate fields, in order (RFC 9110 §11.6.1).

    Each is the scheme and its parameters, names in lower case, values unquoted, without a token68. A malformed part
    ends its field and voids the challenge before it: after a broken quote, anything may look like a challenge.
    """
    challenges: list[Challenge] = []
    for field in fields:
        parameters: dict[str, str] | None = None
        position = 0
        while (position := _GAP.match(field, position).end()) < len(field):  # type: ignore[union-attr]  # _GAP may be empty
            if (found := _PARAMETER.match(field, position)) and parameters is not None:
                name, token, quoted = found.groups()
                if name.lower() in parameters:
                    challenges.pop()  # RFC 9110 §11.2: once per challenge
                    break
                parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if token is None else token
            elif found := _SCHEME.match(field, position):
                parameters = {}
                challenges.append((found[1].lower(), parameters))
            else:
                if parameters is not None:
                    challenges.pop()
                break
            position = found.end()
    return challenges


# --- netrc -----------------------------------------------------------------------------------------


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
        basic = memory.netrc.lookup(request.url.host, user=self._user) or self._otherwise
        return None if basic is None else basic.credentials(request, memory)

    def __repr__(self) -> str:
        return f"Netrc(path={self.path!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}  # which is no secret


def read_netrc(path: str | None) -> NetrcEntries:
    """The entries of this file, or of the default one; the only I/O in this module.

    Warns if others may read the file, or own it. Raises `ConfigError` if a file that was named cannot be read, or is
    not a netrc.
    """
    named = path or os.environ.get("NETRC")
    file_path = os.path.expanduser(named or ("~/_netrc" if os.name == "nt" else "~/.netrc"))
    try:
        with open(file_path, encoding="utf-8-sig") as file:
            status = os.fstat(file.fileno())
            text = file.read()
    except FileNotFoundError:
        if named is None:
            return NetrcEntries(())
        raise ConfigError(f"netrc: there is no file {file_path}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"netrc: {file_path} cannot be read: {reason}") from None
    if os.name == "posix" and (status.st_mode & 0o077 or status.st_uid != os.getuid()):
        import warnings

        warnings.warn(f"netrc: {file_path} should belong to you alone: chmod 600", stacklevel=2)
    entries = NetrcEntries.parse(text)
    if entries.skipped:
        import warnings

        lines = ", ".join(map(str, entries.skipped))
        known = "machine, default, login, password, account or macdef"
        warnings.warn(f"netrc: {file_path}: skipped what is no {known}, in line {lines}", stacklevel=2)
    return entries


# The words of a netrc, one entry or comment at a time.
_NETRC = re.compile(
    r"""\s*(?:
        \#[^\n]*
      | macdef\s .*? (?: \n\r?\n | \Z )
      | (?P<default> default ) (?!\S)
      | (?P<key> machine | login | password | account ) \s+
        (?: "(?P<quoted> (?: [^"\\] | \\. )* )" (?!\S) | (?P<bare> [^\s"]\S* ) )
    )\s*""",
    re.ASCII | re.DOTALL | re.VERBOSE,
)


_UNKNOWN_WORD = re.compile(r'(?!(?:machine|login|password|account|macdef|default)(?!\S))[^\s"]\S*\s*', re.ASCII)


class NetrcEntries:
    """What a netrc file says, in order: of each entry the `machine` (none in `default`), `login` and `password`."""

    __slots__ = ("entries", "skipped")

    def __init__(self, entries: Iterable[dict[str, str]], skipped: Iterable[int] = ()) -> None:
        self.entries = tuple(entries)
        self.skipped = tuple(skipped)  # lines with words that belong to no netrc

    @classmethod
    def parse(cls, text: str) -> NetrcEntries:
        """From the text of a file. Values may be in double quotes; macros and the words of other tools are skipped.

        Raises `ConfigError`, which names the line and does not show it.
        """
        entries: list[dict[str, str]] = []
        skipped: dict[int, None] = {}
        position = len(text) - len(text.lstrip(" \t\r\n"))
        while position < len(text):
            found = _NETRC.match(text, position)
            if found is None and (word := _UNKNOWN_WORD.match(text, position)):
                skipped[text.count("\n", 0, position) + 1] = None
                position = word.end()
                continue
            key = found and (found["default"] or found["key"])
            if found is None or (key in ("login", "password", "account") and not entries):
                line = text.count("\n", 0, position) + 1
                raise ConfigError(f"netrc: line {line} is not a machine, default, login, password, account or macdef")
            value = found["bare"]
            if found["quoted"] is not None:
                value = re.sub(r"(?s)\\(.)", r"\1", found["quoted"])
            if key == "machine":
                entries.append({"machine": value.lower()})
            elif key == "default":
                entries.append({})
            elif key:
                entries[-1][key] = value
            position = found.end()
        return cls(entries, skipped)

    def lookup(self, host: str, *, user: str | None = None) -> Basic | None:
        """The credentials for exactly this host, else those of `default`; None if name or password is missing.

        The host is in lower case, an IPv6 address without brackets. Entries with a name other than `user` are passed
        over.
        """
        entries = [entry for entry in self.entries if entry.get("machine") == host]
        for entry in entries or [entry for entry in self.entries if "machine" not in entry]:
            if user is None or user == entry.get("login"):
                return Basic(entry["login"], entry["password"]) if "login" in entry and "password" in entry else None
        return None

    def __repr__(self) -> str:
        return f"NetrcEntries({len(self.entries)} entries)"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("the entries of a netrc do not travel in a pickle")


KINDS: dict[str, type[Auth]] = {"basic": Basic, "bearer": Bearer, "digest": Digest, "netrc": Netrc}
