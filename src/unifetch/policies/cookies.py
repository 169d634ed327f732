"""Cookies, by RFC 6265bis (draft-ietf-httpbis-rfc6265bis): what one is, how it is received, and where it belongs.

Here a value goes back exactly as it came, one character a byte. We know neither sites nor scripts, so SameSite and
HttpOnly are kept but have no effect. Only https is a secure connection; loopback is a host like any other.

Public suffixes: a single label (`com`, `local`) always is one. Suffixes of several labels (`co.uk`, `github.io`) are
known only if the package `publicsuffixlist`, which contains the data, is installed; without it, `evil.co.uk` can set a
cookie for all of `co.uk`. Nothing else depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from ..errors import InvalidHeader, InvalidSetting, evidence
from ..model.frozen import Value

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn

    from ..model.url import URL

# Bytes and seconds.
COOKIE_BYTES = 4096  # name and value (§5.6 step 5)
ATTRIBUTE_BYTES = 1024  # §5.6, attributes, step 6
LIFETIME = 400 * 86_400  # §5.5

_WHITE_SPACE = " \t"
_CONTROL = re.compile(r"[^\t\x20-\x7e\x80-\xff]").search  # §5.6 step 1, and whatever is no byte
is_ip = re.compile(r":|(?:\A|\.)[0-9]+\Z").search  # WHATWG URL: a host whose last label is a number is an IPv4 address
_MAX_AGE = re.compile(r"-?[0-9]+\Z").match
_SAME_SITE = {"strict": "Strict", "lax": "Lax", "none": "None"}


class Cookie(Value):
    """One cookie; `repr` leaves its value out, and it refuses to be pickled.

    Args:
        name: may be empty; then the cookie is sent as its value alone.
        value: as it is sent, one character a byte.
        domain: the host that it belongs to: ASCII, lower case, an IPv6 address without brackets.
        path: it is sent there and below.
        host_only: whether only that host gets it, and none of its subdomains.
        secure: whether it is sent over https only.
        http_only: whether the server wants it hidden from scripts.
        same_site: `"Strict"`, `"Lax"`, `"None"`, or None if the server did not say.
        expires: seconds since the epoch, or None for the end of the session.
        creation: seconds since the epoch.

    Raises:
        InvalidHeader: for what a Cookie field cannot hold, or more than 4096 bytes.
    """

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    secure: bool
    http_only: bool
    same_site: str | None
    expires: float | None
    creation: float

    def __init__(
        self,
        name: str,
        value: str,
        domain: str,
        *,
        path: str = "/",
        host_only: bool = True,
        secure: bool = False,
        http_only: bool = False,
        same_site: str | None = None,
        expires: float | None = None,
        creation: float = 0.0,
    ) -> None:
        given = (name, value, domain, path, host_only, secure, http_only, same_site, expires, creation)
        vars(self).update(zip(FIELDS, given, strict=True))
        for field, fits in FIELDS.items():
            if not fits(vars(self)[field]):
                raise InvalidHeader(f"cookie {_shown(name)}: its {field} is not one (RFC 6265bis §5.7)")
        if not 0 < len(name) + len(value) <= COOKIE_BYTES:
            raise InvalidHeader(f"cookie {_shown(name)}: name and value must be 1 to {COOKIE_BYTES} bytes")

    if not TYPE_CHECKING:

        def __iter__(self) -> NoReturn:
            # As `dict(jar)` and `for name, value in jar` do.
            raise InvalidSetting(
                "a Cookie is no pair of name and value: write {cookie.name: cookie.value for cookie in jar}"
            )

    def expired(self, now: float) -> bool:
        """Whether it has expired; `now` is in seconds since the epoch."""
        return self.expires is not None and self.expires <= now

    def __repr__(self) -> str:
        return f"<Cookie {evidence(self.name)} of {self.domain}{evidence(self.path)[1:-1]}>"

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Cookie is not pickled, because a pickle would show its value; use CookieJar.to_json()")


def _text(pattern: str) -> Callable[[Any], bool]:
    match = re.compile(pattern).match
    return lambda text: isinstance(text, str) and match(text) is not None


def _one_of(*choices: bool | str | None) -> Callable[[Any], bool]:
    return lambda choice: choice in choices


def _time(seconds: Any) -> bool:
    return type(seconds) in (int, float) and 0 <= seconds < 2**53


# The fields of a cookie in order, and what each can be.
FIELDS: dict[str, Callable[[Any], bool]] = {
    "name": _text(r"[\t\x20-\x3a\x3c\x3e-\x7e\x80-\xff]*\Z"),  # no control, `;` or `=`
    "value": _text(r"[\t\x20-\x3a\x3c-\x7e\x80-\xff]*\Z"),  # no control or `;`
    "domain": _text(r"[0-9a-z._~!$&'()*+,;=:-]+\Z"),  # RFC 3986 §3.2.2, with nothing left to decode
    "path": _text(r"/[\t\x20-\x3a\x3c-\x7e\x80-\xff]*\Z"),
    "host_only": _one_of(True, False),
    "secure": _one_of(True, False),
    "http_only": _one_of(True, False),
    "same_site": _one_of(None, *_SAME_SITE.values()),
    "expires": lambda seconds: seconds is None or _time(seconds),
    "creation": _time,
}


def _shown(name: object) -> str:
    if not isinstance(name, str):
        return type(name).__name__
    return evidence(name[: name.find("=", 1) + 1] or name)  # what follows may be its value


# --- Receiving: from a Set-Cookie field to a cookie (§5.6, §5.7) ----------------------------------


def received(url: URL, text: str, now: float, creation: float) -> Cookie | None:
    """The cookie of a Set-Cookie value; None if it breaks a rule.

    Args:
        url: the URL that answered.
        text: the value, one character a byte.
        now, creation: seconds since the epoch.
    """
    parsed = parse_set_cookie(text)
    if parsed is None:
        return None
    name, value, attributes = parsed
    secure = "secure" in attributes
    scope = _scope(url.host, attributes.get("domain", ""))
    if scope is None or (secure and url.scheme != "https"):  # §5.7 steps 10 and 13
        return None
    domain, host_only = scope
    path = attributes.get("path", "")
    if not path.startswith("/"):
        path = default_path(url.target)
    same_site = _SAME_SITE.get(attributes.get("samesite", "").lower())
    # §5.7 steps 19 to 22. A nameless cookie is sent as its value, which must not look like a prefixed name.
    prefix = (name or value).lower()
    if prefix.startswith("__host-"):
        allowed = bool(name) and secure and host_only and "path" in attributes and path == "/"
    elif prefix.startswith("__secure-"):
        allowed = bool(name) and secure
    else:
        allowed = secure or same_site != "None"
    if not allowed:
        return None
    return Cookie(
        name,
        value,
        domain,
        path=path,
        host_only=host_only,
        secure=secure,
        http_only="httponly" in attributes,
        same_site=same_site,
        expires=_expiry(attributes, now),
        creation=creation,
    )


def parse_set_cookie(text: str) -> tuple[str, str, dict[str, str]] | None:
    """Parse a Set-Cookie value (§5.6): name, value and attributes, or None if it is to be ignored.

    The attributes have names in lower case; of a repeated one, the last valid one counts.
    """
    if _CONTROL(text):
        return None
    name, value, unparsed = _pair(text)
    if not 0 < len(name) + len(value) <= COOKIE_BYTES:
        return None
    attributes = {}
    for attribute in unparsed.split(";"):
        key, _, setting = attribute.partition("=")
        key, setting = key.strip(_WHITE_SPACE).lower(), setting.strip(_WHITE_SPACE)
        ignored = len(setting) > ATTRIBUTE_BYTES or (key in _MUST_PARSE and _MUST_PARSE[key](setting) is None)
        if not ignored:
            attributes[key] = setting
    return name, value, attributes


def _pair(text: str) -> tuple[str, str, str]:
    # Name, value, and what is behind them (§5.6 steps 2 to 4).
    pair, _, unparsed = text.partition(";")
    name, equals, value = pair.partition("=")
    if not equals:
        name, value = "", pair
    return name.strip(_WHITE_SPACE), value.strip(_WHITE_SPACE), unparsed


def name_of_too_long(text: str) -> str | None:
    """The name of a cookie that breaks no rule but that of its size; else None."""
    name, value, _ = _pair(text)
    return name if len(name) + len(value) > COOKIE_BYTES and not _CONTROL(text) else None


def _scope(host: str, domain: str) -> tuple[str, bool] | None:
    # §5.7 steps 7 to 10: the domain of the cookie, and whether it is host-only; None if it must not be set.
    domain = domain.removeprefix(".").lower()
    if not domain:
        return host, True
    if domain == host:
        return host, is_ip(host) is not None or is_public_suffix(host)
    if domain_matches(host, domain) and not is_public_suffix(domain):
        return domain, False
    return None


def is_public_suffix(domain: str) -> bool:
    """Whether anybody can register names below this one, so that no cookie may cover it."""
    domain = domain.removesuffix(".")
    return "." not in domain or _listed()(domain)


@cache
def _listed() -> Callable[[str], bool]:
    try:
        # Loaded for the first Domain attribute of more than one label, because it takes long.
        from publicsuffixlist import PublicSuffixList  # type: ignore[import-not-found, unused-ignore]  # optional
    except ImportError:
        return lambda domain: False
    is_public: Callable[[str], bool] = PublicSuffixList().is_public
    return is_public


def _expiry(attributes: dict[str, str], now: float) -> float | None:
    # §5.7 step 6: Max-Age wins over Expires, whatever their order. 0 is the earliest date that we represent.
    expires: float | None
    if "max-age" in attributes:
        seconds = int(attributes["max-age"])
        expires = now + min(seconds, LIFETIME) if seconds > 0 else 0.0
    else:
        expires = parse_date(attributes.get("expires", ""))
    return None if expires is None else max(0.0, min(expires, now + LIFETIME))


_DELIMITERS = re.compile(r"[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])").match
_DAY = re.compile(r"([0-9]{1,2})(?![0-9])").match
_YEAR = re.compile(r"([0-9]{2,4})(?![0-9])").match
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def parse_date(text: str) -> float | None:
    """The date of an Expires attribute, in any of the forms in use (§5.1.1).

    Returns:
        Seconds since the epoch (negative before 1970), or None if it is not a date.
    """
    clock = day = month = year = None
    for token in _DELIMITERS.split(text):
        if clock is None and (match := _CLOCK(token)):
            clock = match
        elif day is None and (match := _DAY(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR(token)):
            year = int(match[1])
    if clock is None or day is None or month is None or year is None:
        return None
    if year <= 99:
        year += 1900 if year >= 70 else 2000
    if year < 1601:
        return None
    from datetime import UTC, datetime

    try:
        return datetime(year, month, day, int(clock[1]), int(clock[2]), int(clock[3]), tzinfo=UTC).timestamp()
    except ValueError:  # no such day, or no such time of day
        return None


# Attributes that are ignored if they do not parse.
_MUST_PARSE: dict[str, Callable[[str], object]] = {"max-age": _MAX_AGE, "expires": parse_date}


# --- Matching (§5.1.3, §5.1.4) --------------------------------------------------------------------


def domain_matches(host: str, domain: str) -> bool:
    """Whether the host is the domain or a subdomain of it; an IP address is below nothing."""
    return host == domain or (host.endswith("." + domain) and not is_ip(host))


def with_parents(host: str) -> Iterator[str]:
    """The host, and the domains that it is below."""
    yield host
    if not is_ip(host):
        while "." in host:
            host = host.partition(".")[2]
            yield host


def default_path(target: str) -> str:
    """The path of a cookie that has none: the directory of the request target, without its last slash."""
    path = target.partition("?")[0]
    return path[: path.rindex("/")] or "/"


def path_matches(path: str, cookie_path: str) -> bool:
    """Whether the path is the cookie's, or below it at a slash."""
    return path.startswith(cookie_path) and (
        len(path) == len(cookie_path) or cookie_path.endswith("/") or path[len(cookie_path)] == "/"
    )


# --- The caller's own cookies, of one call --------------------------------------------------------

# RFC 6265bis §4.1.1 advises a token, but servers set, and browsers send, names such as `mybb[user]`.
_NAME = re.compile(r"[!-:<>-~\x80-\xff](?:[\x20-:<>-~\x80-\xff]*[!-:<>-~\x80-\xff])?\Z").match


def cookie_header(cookies: Mapping[Any, Any]) -> str:
    """The value of the Cookie field for `cookies={"name": "value"}`: a mapping of str to str, sent as it is.

    Raises:
        InvalidSetting: for anything but a mapping.
        InvalidHeader: for an empty name or one with `=`, and for `;`, a control character or one beyond ISO-8859-1 in
            name or value. The message leaves the value out.
    """
    if not isinstance(cookies, Mapping):
        raise InvalidSetting(
            f"cookies: a call takes a mapping of names to values, or False for none, not {type(cookies).__name__}"
        )
    for name, value in cookies.items():
        if not isinstance(name, str) or not _NAME(name):
            raise InvalidHeader(f"cookie name {_shown(name)} is empty, or has a character that no cookie name may hold")
        if not isinstance(value, str):
            raise InvalidHeader(f"the value of cookie {name} must be str, not {type(value).__name__}")
        if _CONTROL(value) or ";" in value or "\t" in value:
            raise InvalidHeader(f"the value of cookie {name} has a character that no cookie may hold")
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def merged(jar: str | None, call: str) -> str:
    """The Cookie field with the jar's cookies and those of a call, which win over the jar's of the same name.

    A Cookie field that the caller wrote replaces both, and this is not called.
    """
    if not jar:
        return call
    if not call:
        return jar
    names = {pair.partition("=")[0] for pair in call.split("; ")}
    return "; ".join([*(pair for pair in jar.split("; ") if pair.partition("=")[0] not in names), call])
