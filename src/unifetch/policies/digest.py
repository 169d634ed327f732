"""Digest (RFC 7616): the challenges of a server, which of them is answered, and the answer."""

from __future__ import annotations

import re
from itertools import count

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Challenge = tuple[str, dict[str, str]]


class Nonce:
    """A challenge that was answered, and how often."""

    __slots__ = ("challenge", "cnonce", "uses")

    def __init__(self, challenge: dict[str, str], cnonce: str) -> None:
        self.challenge = challenge
        self.cnonce = cnonce
        self.uses = count(1)  # next() is atomic

    def digest(self, user: bytes, password: bytes, method: str, target: str) -> str:
        """The credentials for one request (RFC 7616 §3.4)."""
        import hashlib

        challenge, nc = self.challenge, f"{next(self.uses):08x}"
        algorithm = challenge.get("algorithm", "MD5").upper()
        function = ALGORITHMS[algorithm.removesuffix("-SESS")]

        def hashed(*parts: bytes) -> bytes:
            return hashlib.new(function, b":".join(parts), usedforsecurity=False).hexdigest().encode("ascii")

        # In a field, one character is one byte, so these are the bytes that the server sent.
        realm, nonce = challenge["realm"].encode("latin-1"), challenge["nonce"].encode("latin-1")
        cnonce = self.cnonce.encode("ascii")
        key = hashed(user, realm, password)
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


def strongest(challenges: list[Challenge]) -> dict[str, str] | None:
    """The challenge with the strongest algorithm, of those that can be answered; None if none can."""
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
