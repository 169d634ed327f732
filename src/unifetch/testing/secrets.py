"""What a recording must not contain: found in any encoding, and replaced by numbered placeholders.

Values given by name are replaced wherever they are: in URLs, fields and bodies, plain or encoded. So are the values of
names that mean a credential (the list of `unifetch.masking`). The same value has the same placeholder everywhere, so
that "the token that I was given is the one that I send" can still be tested: the code under test gets the placeholder,
and sends it back.

If something still looks like a key after that, nothing is written: `scan` refuses it, and names the place.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus

from ..masking import is_secret

PLACEHOLDER = re.compile(r"SECRET-(?:[A-Za-z0-9_]+-)?\d+")

# Names that is_secret() masks, but that often mean something else in the answers of APIs.
_AMBIGUOUS = frozenset(
    {"auth", "bearer", "code", "cookie", "cookie2", "creds", "devicecode", "hmac", "key", "otp", "pass", "pin"}
    | {"session", "sid", "sig", "ticket", "usercode"}
)
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2}[\w.~*+!-]*)+")  # and what stands before it, which is sought from here
_PERCENT_IN_BYTES = re.compile(rb"%[0-9A-Fa-f]{2}[\w.~*+!%\x80-\xff-]*")
_BESIDE_PERCENT = frozenset(re.findall(rb"[\w.~*+!\x80-\xff-]", bytes(range(256))))
_IN_BASE64 = bytes(
    97 if chr(octet).isascii() and (chr(octet).isalnum() or chr(octet) in "+/_-") else 0 for octet in range(256)
)
_NAME_IN_JSON = re.compile(rb'"([A-Za-z0-9_.%-]{1,64})"\s*:\s*(?=")')
_VALUE_IN_JSON = re.compile(rb'"(?:[^"\\]|\\.)*"')
_LONG = 4096  # bytes or characters, in which each secret is sought by itself sooner than all by an expression
_SHORT = 8  # characters; anything shorter is replaced only as a whole word
_SHORTEST = 4

# What keys look like, by the prefixes that their issuers use.
_KEYS = re.compile(
    r"\b(?:[sr]k_(?:live|test)_[A-Za-z0-9]{12,}|sk-[A-Za-z0-9_-]{20,}|gh[opusr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}"
    r"|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|AIza[\w-]{30,}|ya29\.[\w-]{20,}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}|SG\.[\w-]{16,}\.[\w-]{16,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}"
    r"|dop_v1_[0-9a-f]{40,}|shpat_[0-9a-f]{30,}|hf_[A-Za-z0-9]{30,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----",
    re.ASCII,
)
# A key is a run of at least so many of these bytes; what is compressed has none, which is seen ten times as soon.
_RUN = b"a" * 15
_IN_RUNS = bytes(
    ord("a") if chr(octet).isascii() and (chr(octet).isalnum() or chr(octet) in "_.- ") else 0 for octet in range(256)
)
# The same without alternatives at its beginning, which would make it twenty times as slow to find nothing. Each begins
# with one character that every key of its line has, and looks back from there.
_PARTS_OF_KEYS = [
    re.compile(each)
    for each in (
        rb"_(?:(?<=[sr]k_)(?:live|test)_|(?<=gh[opusr]_)|(?<=github_)pat_|(?<=npm_)|(?<=dop_)v1_|(?<=shpat_)|(?<=hf_))"
        rb"[A-Za-z0-9_]{12}",
        rb"-(?:(?<=sk-)[\w-]{20}|(?<=glpat-)[\w-]{16}|(?<=xox[abeoprs]-)[\w-]{10}|(?<=pypi-)[\w-]{30}"
        rb"|----BEGIN [A-Z ]*PRIVATE KEY-----)",
        rb"\.(?:(?<=ya29\.)[\w-]{20}|(?<=SG\.)[\w-]{16,}\.)",
        rb"I(?:(?<=A[KS]I)A[0-9A-Z]{16}|(?<=AI)za[\w-]{30})",
        rb"J(?<=eyJ)[\w-]{8,}\.eyJ[\w-]{8,}\.",
    )
]


def may_hold_key(data: bytes | bytearray) -> bool:
    """Whether these bytes may hold what looks like a key: a quick search, which finds more than `Secrets.scan`."""
    return _RUN in data.translate(_IN_RUNS) and any(each.search(data) for each in _PARTS_OF_KEYS)


class SecretFound(AssertionError):
    """A recording was not written, because it still contains what looks like a key."""


def texts(argument: str, given: object) -> list[str]:
    """Several texts; a single one would be taken for its letters.

    Raises:
        TypeError: it is something else; this names the argument.
    """
    found = list(given) if isinstance(given, Iterable) and not isinstance(given, (str, bytes)) else [None]
    if not all(isinstance(each, str) for each in found):
        raise TypeError(f"{argument}= is a list of texts, not {given!r:.99}")
    return found  # type: ignore[return-value]  # as was just asked of each


class Secrets:
    """The secrets of one cassette.

    Args:
        named: values by name, such as `{"token": os.environ.get("SHOP_TOKEN", "none")}`.
        keys: further names under which credentials stand: of fields, of a query, in JSON and forms.
        allowed: expressions of what looks like a key and is none.
    """

    placeholder = "SECRET-{}"  # of what is found, by its number

    def __init__(
        self, named: Mapping[str, str] | None = None, *, keys: Iterable[str] = (), allowed: Iterable[str] = ()
    ) -> None:
        self._placeholders: dict[str, str] = {}
        self._keys = {_plain(key) for key in texts("secret_keys", keys)}
        self._allowed = [re.compile(each) for each in texts("allow", allowed)]
        self._found = 0
        self._pattern: re.Pattern[str] | None = None  # of the plain ones; then those of runs that may hide one
        self._base64 = self._hex = re.compile("")
        self._run = b""
        self._folded: list[str] = []  # what is sought first, in one case
        self._in_bytes: list[bytes] = []
        self._names: dict[str, bool] = {}  # which of those met in JSON tell a credential: most are met again
        self._shortest = 0  # characters of a plain one
        self._variants: dict[str, str] = {}
        if named is not None and not isinstance(named, Mapping):
            raise TypeError(f"secrets are values by name, such as {{'token': …}}, not {type(named).__name__}")
        for name, value in (named or {}).items():
            if not isinstance(value, str):
                raise TypeError(f"the secret {name!r} is text, not {type(value).__name__}; is its variable set?")
            if len(value) < _SHORTEST:
                raise ValueError(f"the secret {name!r} is too short to be found: {len(value)} characters")
            self._add(value, f"SECRET-{re.sub('[^A-Za-z0-9_]', '_', name)}-1")

    # --- Finding ----------------------------------------------------------------------------------

    def discover(self, url: str, headers: Iterable[tuple[str, str]], body: bytes, kind: str) -> None:
        """Note what stands under a name that tells a credential, in a request or a response.

        Args:
            url: its URL, or "".
            headers: its fields.
            body: its body, decoded.
            kind: its Content-Type.
        """
        for name, value in _of_url(url):
            self._note(name, value)
        for name, value in headers:
            for secret in _of_field(name, value, self._is_secret):
                self._found_one(secret)
            for within, secret in _of_text(value):
                self._note(within, secret)
        for name, value in _of_body(body, kind):
            self._note(name, value)

    def discover_in_part(self, part: bytes) -> None:
        """The same in a part of a body that is too large to be parsed: values beside their names, as JSON has them."""
        for found in _NAME_IN_JSON.finditer(part):
            name = found[1].decode()
            is_one = self._names.get(name)
            if is_one is None:
                if len(self._names) >= 4096:
                    self._names.clear()
                is_one = self._names[name] = self._is_secret(name)
            if is_one and (value := _VALUE_IN_JSON.match(part, found.end())):
                with contextlib.suppress(ValueError):
                    self._note(name, json.loads(value[0]))

    def go_on_after(self, text: str, known: Mapping[str, str] = MappingProxyType({})) -> None:
        """Number what is found after the placeholders in this text, of which the values of some are known."""
        self._found = max([self._found, *map(int, re.findall(r"SECRET-(\d+)\b", text))])
        for placeholder, value in known.items():
            if value not in self._placeholders and not PLACEHOLDER.fullmatch(value):
                self._add(value, placeholder)

    def _is_secret(self, name: str) -> bool:
        return is_secret(name) or (bool(self._keys) and _plain(name) in self._keys)

    def _note(self, name: str, value: str) -> None:
        if not self._is_secret(name):
            # Several may stand in a list under the plural of their name.
            is_one = name.lower().endswith("tokens") and _looks_random(value)
        else:
            is_one = (plain := _plain(name)) not in _AMBIGUOUS or plain in self._keys or _looks_random(value)
        if is_one:
            self._found_one(value)

    def _found_one(self, value: str) -> None:
        if len(value) < _SHORTEST or value in self._placeholders or PLACEHOLDER.fullmatch(value):
            return
        self._found += 1
        self._add(value, self.placeholder.format(self._found))

    def _add(self, value: str, placeholder: str) -> None:
        self._placeholders[value] = placeholder
        for variant in _variants(value):
            self._variants.setdefault(variant, placeholder)
        self._pattern = None

    @property
    def are_known(self) -> bool:
        """Whether there is anything to replace."""
        return bool(self._variants)

    # --- Replacing --------------------------------------------------------------------------------

    def replace(self, text: str, depth: int = 3, *, has_runs: bool = True) -> str:
        """The text with each secret replaced, plain or encoded."""
        if not self._variants:
            return text
        if self._pattern is None:
            self._pattern = self._compile()
        folded = text.casefold() if len(text) > _LONG else ""
        if not folded or any(variant in folded for variant in self._folded):
            text = self._pattern.sub(lambda found: self._placeholder(found[0]), text)
        if depth and len(text) >= _SHORT:
            if has_runs:
                text = self._base64.sub(lambda found: self._within(found[0], depth, 4, _from_base64, _to_base64), text)
            if "%" in text:
                text = self._in_percent(text, depth)
            if has_runs:
                text = self._hex.sub(lambda found: self._within(found[0], depth, 2, _from_hex, _to_hex), text)
        return text

    def replace_bytes(self, data: bytes) -> bytes:
        """The same of bytes."""
        if not self._variants:
            return data
        self._pattern = self._pattern or self._compile()
        if len(data) > _LONG and not self._may_hold(data):
            return data
        text = data.decode("utf-8", "surrogateescape")
        replaced = self.replace(text, has_runs=self._run in data.translate(_IN_BASE64))
        return data if replaced == text else replaced.encode("utf-8", "surrogateescape")

    def _may_hold(self, data: bytes) -> bool:
        """Whether a secret may be in these bytes: a quick search, which finds too much."""
        if self._run in data.translate(_IN_BASE64):
            return True
        lowered = data.lower()
        return any(variant in lowered for variant in self._in_bytes) or (b"%" in data and self._has_percent(data))

    def _has_percent(self, data: bytes) -> bool:
        for found in _PERCENT_IN_BYTES.finditer(data):
            start, least = found.start(), found.end() - self._shortest
            while start > max(least, 0) and data[start - 1 : start] in _BESIDE_PERCENT:
                start -= 1
            if start <= least:
                return True
        return False

    def _compile(self) -> re.Pattern[str]:
        # A run that is shorter than any secret would be in its coding hides none.
        self._shortest = min(map(len, self._variants))
        self._folded = [variant.casefold() for variant in self._variants]
        self._in_bytes = [variant.encode("utf-8", "surrogateescape").lower() for variant in self._variants]
        octets = max(_SHORT, -(-self._shortest * 4 // 3))
        self._run = b"a" * octets
        self._base64 = re.compile(rf"[A-Za-z0-9+/_-]{{{octets},}}={{0,2}}")
        self._hex = re.compile(rf"[0-9A-Fa-f]{{{max(_SHORT, self._shortest * 2)},}}")
        return re.compile("|".join(map(_expression, sorted(self._variants, key=len, reverse=True))))

    def _in_percent(self, text: str, depth: int) -> str:
        parts: list[str] = []
        end = 0
        for found in _PERCENT.finditer(text):
            start = found.start()
            while start > end and (text[start - 1].isalnum() or text[start - 1] in "_.~*+!-"):
                start -= 1
            if found.end() - start >= self._shortest:
                run = text[start : found.end()]
                parts += text[end:start], self._within(run, depth, 1, _from_percent, _to_percent)
                end = found.end()
        return "".join((*parts, text[end:]))

    def _placeholder(self, found: str) -> str:
        return self._variants.get(found) or next(
            placeholder for variant, placeholder in self._variants.items() if variant.lower() == found.lower()
        )

    def _within(
        self,
        run: str,
        depth: int,
        group: int,
        decode: Callable[[str], bytes | None],
        encode: Callable[[bytes, str], str],
    ) -> str:
        # The encoded text may begin anywhere in the run: a path or a name may precede it.
        for start in range(group):
            if not (decoded := decode(run[start:])):
                continue
            if len(decoded) > _LONG and not self._may_hold(decoded):
                continue
            text = decoded.decode("utf-8", "surrogateescape")
            replaced = self.replace(text, depth - 1)
            if replaced != text:
                return run[:start] + encode(replaced.encode("utf-8", "surrogateescape"), run)
        return run

    # --- Refusing ---------------------------------------------------------------------------------

    def scan(self, place: str, text: str) -> None:
        """Refuse what still looks like a key.

        Raises:
            SecretFound: it names the place, and shows the kind of the key alone.
        """
        if not may_hold_key(text.encode("utf-8", "surrogatepass")):
            return
        for found in _KEYS.finditer(text):
            if any(each.fullmatch(found[0]) for each in self._allowed):
                continue
            raise SecretFound(
                f"{place} has what looks like a key ({found[0][:4]}…, {len(found[0])} characters): not written; "
                "give it by name (secrets={'name': value}), or allow it (allow=['expression'])"
            )


# --- Where credentials stand ----------------------------------------------------------------------


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", unquote(name).lower())


def _looks_random(value: str) -> bool:
    is_mixed = re.search("[0-9]", value) and re.search("[A-Za-z]", value)
    return len(value) >= 16 and bool(is_mixed) and not re.search(r"\s", value)


def _of_field(name: str, value: str, is_key: Any) -> Iterator[str]:
    plain = _plain(name)
    if plain == "setcookie":
        yield value.partition("=")[2].partition(";")[0].strip().strip('"')
    elif plain == "cookie":
        for pair in value.split(";"):
            yield pair.partition("=")[2].strip().strip('"')
    elif plain in ("authorization", "proxyauthorization"):
        yield from _of_authorization(value)
    elif plain in ("wwwauthenticate", "proxyauthenticate"):
        yield from re.findall(r"(?:Negotiate|NTLM) ([A-Za-z0-9+/=]+)", value, re.IGNORECASE)
    elif is_key(name):
        yield value
    elif plain in ("location", "referer", "contentlocation", "link"):
        yield from (secret for key, secret in _of_url(value) if is_key(key))


def _of_authorization(value: str) -> Iterator[str]:
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "basic":
        name, _, password = (_from_base64(rest) or b"").decode("utf-8", "replace").partition(":")
        is_key = len(password) < _SHORTEST or _looks_random(name)  # some services have it in place of the name
        yield from (name, password) if is_key else (password,)
        if max(len(name) if is_key else 0, len(password)) < _SHORTEST:
            yield rest
    elif "=" in rest.rstrip("=") and "," in rest:
        for name, secret in re.findall(r'([\w-]+)="?([^",]+)', rest):
            if is_secret(name) or name.lower() in ("response", "cnonce"):
                yield secret
    else:
        yield rest or value


def _of_url(url: str) -> Iterator[tuple[str, str]]:
    """What stands in the query, in the fragment, and before the host."""
    place, _, fragment = url.partition("#")
    for part in (place.partition("?")[2], fragment.rpartition("?")[2]):
        for name, value in parse_qsl(part, keep_blank_values=True):
            yield name, value
            yield from _of_text(value)  # a URL within a URL
    user, at, _ = place.partition("://")[2].partition("/")[0].rpartition("@")
    if at:
        yield from _of_userinfo(user)


def _of_userinfo(user: str) -> Iterator[tuple[str, str]]:
    name, _, password = user.partition(":")
    yield "password", unquote(password or name)


def _of_body(body: bytes, kind: str) -> Iterator[tuple[str, str]]:
    boundary = re.search(r'boundary="?([^";]+)', kind) if "multipart/" in kind else None
    if boundary is not None:
        for part in body.split(f"--{boundary[1]}".encode("latin-1"))[1:]:
            yield from _of_part(part)
    elif b"\0" not in body[:_LONG]:
        text = body.decode("utf-8-sig", "replace")
        if "x-www-form-urlencoded" in kind:
            yield from parse_qsl(text)
        elif (said := _json(text)) is not None:
            yield from _of_json("", said)
        else:
            # Lines and events of JSON, as streams have them; then whatever else has names and values.
            for line in re.findall(r"^(?:data:)?[ \t]*([{\[].*)$", text, re.MULTILINE):
                yield from _of_json("", _json(line))
            yield from _of_text(text)


def _of_part(part: bytes) -> Iterator[tuple[str, str]]:
    head, _, content = part.partition(b"\r\n\r\n")
    content = content.removesuffix(b"\r\n")
    fields = head.decode("utf-8", "replace")
    name = re.search(r'[; ]name="([^"]*)"', fields)
    if name is not None and len(content) <= _LONG:
        yield name[1], content.decode("utf-8", "replace")
    kind = re.search(r"content-type: *(.*)", fields, re.IGNORECASE)
    yield from _of_body(content, "" if kind is None else kind[1])


def _json(text: str) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text) if text.lstrip()[:1] in ("{", "[", '"') else None
    return None


def _of_json(key: str, value: Any) -> Iterator[tuple[str, str]]:
    left = [(key, value)]  # instead of recursion: it may be nested deeply
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            left += reversed(value.items())
            # Many under one name: {"api_keys": {"main": …}}.
            yield from ((key, each) for each in value.values() if isinstance(each, str) and _looks_random(each))
        elif isinstance(value, list):
            left += ((key, each) for each in reversed(value))
        elif isinstance(value, str):
            yield key, value
            if (said := _json(value)) is not None:
                left.append(("", said))
            else:
                yield from _of_text(value)


# In a text of any kind: a parameter of a URL or a form, what is before the host of a URL, an element, an attribute or
# a member with a quoted value, and what a form of HTML has in its two attributes.
_PARAMETER = re.compile(r"""(?:^|[?&#;\s"'])([\w.-]{1,64})=([^&#;\s"'<>\\]+)""", re.MULTILINE)
_USERINFO = re.compile(r"""://([^/?#\s"'<>@]+)@""")
_ELEMENT = re.compile(r"<(?:\w+:)?([\w.-]{1,64})(?:\s[^<>]*)?>([^<>]+)</")
_QUOTED = re.compile(
    r"""(?<![\w.-])([\w.-]{1,64})\\?["']?[ ]{0,8}[:=][ ]{0,8}"""
    r"""(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|\\"([^"\\\n]*)\\")(?![ ]{0,8}:)"""
)
_TAG = re.compile(r"<(?:input|meta)\s[^<>]*>", re.IGNORECASE)
_WORDS = re.compile(r"[A-Za-z]?[a-z\s]*")
_ATTRIBUTE = re.compile(r"""\b(name|value|content)=["']([^"']*)["']""", re.IGNORECASE)


def _of_text(text: str) -> Iterator[tuple[str, str]]:
    """Names and values in a text, but for values that are words, which tell of a credential and are none."""
    if "=" in text or ":" in text or ">" in text:
        yield from (named for named in _named_in_text(text, 3) if not _WORDS.fullmatch(named[1]))


def _named_in_text(text: str, depth: int) -> Iterator[tuple[str, str]]:
    for name, value in _PARAMETER.findall(text):
        decoded = unquote_plus(value)
        yield name, decoded
        if depth and "=" in decoded:  # a URL within a URL
            yield from _named_in_text(decoded, depth - 1)
    for user in _USERINFO.findall(text):
        yield from _of_userinfo(user)
    for name, value in _ELEMENT.findall(text):
        yield name, html.unescape(value.strip())
    for name, *values in _QUOTED.findall(text):
        yield name, "".join(values)
    for tag in _TAG.findall(text):
        said = {name.lower(): value for name, value in _ATTRIBUTE.findall(tag)}
        yield said.get("name", ""), html.unescape(said.get("value") or said.get("content") or "")


# --- How a secret may be written ------------------------------------------------------------------


def _variants(value: str) -> set[str]:
    """The forms of a secret that become the plain placeholder; base64 and hexadecimal are found by decoding."""
    octets = value.encode()
    percent = quote(value, safe="")
    escaped = json.dumps(value)[1:-1]
    plain_escaped = json.dumps(value, ensure_ascii=False)[1:-1]
    return {
        value,
        percent,
        quote(value),
        quote_plus(value),
        quote(percent, safe=""),
        "".join(f"%{octet:02X}" for octet in octets),
        escaped,
        plain_escaped,
        escaped.replace("/", "\\/"),
        json.dumps(escaped)[1:-1],
        "".join(f"\\u{ord(letter):04x}" for letter in value),
        html.escape(value),
        html.escape(value, quote=False),
        "".join(f"&#{ord(letter)};" for letter in value),
        "".join(f"&#x{ord(letter):x};" for letter in value),
        octets.decode("latin-1"),  # as a field has it
        _in_latin(value),
        value[::-1] if len(value) >= 2 * _SHORT else value,
    }


def _in_latin(value: str) -> str:
    try:
        return value.encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return value


def _expression(variant: str) -> str:
    # Hexadecimal digits of an escape may be of either case.
    found = re.sub(
        r"%[0-9A-Fa-f]{2}|\\\\u[0-9a-f]{4}|\\&\\#x[0-9a-f]+;|&\\#x[0-9a-f]+;",
        lambda escape: re.sub("[A-Za-z]", lambda letter: f"[{letter[0].lower()}{letter[0].upper()}]", escape[0]),
        re.escape(variant),
    )
    return found if len(variant) >= _SHORT else rf"(?<![A-Za-z0-9]){found}(?![A-Za-z0-9])"


def _from_base64(run: str) -> bytes | None:
    body = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _to_base64(data: bytes, like: str) -> str:
    encode = base64.urlsafe_b64encode if re.search("[-_]", like) else base64.b64encode
    encoded = encode(data).decode()
    return encoded if like.endswith("=") or len(like) % 4 == 0 else encoded.rstrip("=")


def _from_percent(run: str) -> bytes | None:
    return unquote_plus(run, errors="surrogateescape").encode("utf-8", "surrogateescape")


def _to_percent(data: bytes, like: str) -> str:
    return quote_plus(data) if "+" in like else quote(data, safe="")


def _from_hex(run: str) -> bytes | None:
    return bytes.fromhex(run[: len(run) // 2 * 2])


def _to_hex(data: bytes, like: str) -> str:
    return data.hex().upper() if like.upper() == like else data.hex()
