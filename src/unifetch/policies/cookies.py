"""Cookies, by RFC 6265bis (draft-ietf-httpbis-rfc6265bis): which are kept, and where they are sent.

A jar of our own, because those of the libraries disagree: host-only cookies that reach subdomains, values that are
quoted again, prefixes and control characters that nobody checks. Here a value goes back exactly as it came, one
character a byte.

No I/O: to save a jar, write out the text of `to_json()` or `to_netscape()`. It knows neither sites nor scripts, so
SameSite and HttpOnly are kept but have no effect. Only https is a secure connection; loopback is a host like any other.

Public suffixes: a single label (`com`, `local`) always is one. Suffixes of several labels (`co.uk`, `github.io`) are
known only if the package `publicsuffixlist`, which contains the data, is installed; without it, `evil.co.uk` can set a
cookie for all of `co.uk`. Nothing else depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from ..errors import InvalidHeader, InvalidSetting, evidence
from ..model.frozen import Value
from ..model.url import URL

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn

    Key = tuple[str, str, bool]  # name, path, host_only: with its domain, what makes a cookie the same one
    Domains = dict[str, dict[Key, "Cookie"]]

# What is kept and sent at most: bytes, seconds, cookies.
COOKIE_BYTES = 4096  # name and value (§5.6 step 5)
ATTRIBUTE_BYTES = 1024  # §5.6, attributes, step 6
LIFETIME = 400 * 86_400  # §5.5
PER_SITE = 180  # §6.1 asks for at least 50 of a domain; browsers keep 180. All of them are sent
IN_ALL = 3000  # §6.1
_TICK = 1e-6  # seconds between two cookies of the same moment, to keep their order

_WHITE_SPACE = " \t"
_CONTROL = re.compile(r"[^\t\x20-\x7e\x80-\xff]").search  # §5.6 step 1, and whatever is no byte
_IP = re.compile(r":|(?:\A|\.)[0-9]+\Z").search  # WHATWG URL: a host whose last label is a number is an IPv4 address
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
        vars(self).update(zip(_FITS, given, strict=True))
        for field, fits in _FITS.items():
            if not fits(vars(self)[field]):
                raise InvalidHeader(f"cookie {_shown(name)}: its {field} is not one (RFC 6265bis §5.7)")
        if not 0 < len(name) + len(value) <= COOKIE_BYTES:
            raise InvalidHeader(f"cookie {_shown(name)}: name and value must be 1 to {COOKIE_BYTES} bytes")

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
_FITS: dict[str, Callable[[Any], bool]] = {
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
    return evidence(name) if isinstance(name, str) else type(name).__name__


class CookieJar:
    """The cookies of a client; `len()` and iteration are over values of `Cookie`.

    `jar["a"]`, `jar.get("a")`, `"a" in jar` and `del jar["a"]` work by name, as in a mapping; if cookies of several
    hosts or paths have the name, `jar["a"]` is an error that lists them.

    Many threads may use it: what is stored is never changed but replaced as a whole, so a reader sees all of a
    response's cookies or none. Of two changes at the same moment one may be lost, unless you hold a lock around
    `store`, `set` and `clear`.

    A copy is a jar of its own with the same cookies. A pickle is an empty jar, because it must not show a cookie; to
    keep them, save the text of `to_json()`, and keep it as secret as a password.
    """

    __slots__ = ("_domains",)

    def __init__(self, cookies: Iterable[Cookie] = ()) -> None:
        """A jar with these cookies, as far as its limits allow; one for a whole public suffix is left out."""
        domains: Domains = {}
        for cookie in cookies:
            if cookie.host_only or not is_public_suffix(cookie.domain):
                _insert(domains, cookie)
        self._domains = _trimmed(domains, [])

    def store(self, url: URL, set_cookie_values: Iterable[str], now: float) -> list[Dropped]:
        """Store the cookies of a response; those that break a rule are ignored.

        Expired cookies are dropped. Above 180 cookies of a site (a registrable domain with all below it), and above
        3000 in all, those that are not Secure go first, and the earliest created among equals. (The draft drops the
        least recently used, but here reading the jar does not change it.)

        Args:
            url: the URL that answered.
            set_cookie_values: the values of its Set-Cookie fields.
            now: seconds since the epoch.

        Returns:
            The cookies that a limit kept out, or pushed out.
        """
        if not isinstance(url, URL):
            raise InvalidSetting(f"url: the URL that answered, as a URL, not {type(url).__name__}")
        if isinstance(set_cookie_values, str) or not isinstance(set_cookie_values, Iterable):
            shown = type(set_cookie_values).__name__
            raise InvalidSetting(f"set_cookie_values: the values of Set-Cookie fields, not one {shown}")
        received = list(set_cookie_values)
        dropped: list[Dropped] = []
        if not received:
            return dropped
        for each in received:
            if not isinstance(each, str):
                raise InvalidSetting(f"set_cookie_values: a value of Set-Cookie is str, not {type(each).__name__}")
        if not isinstance(now, (int, float)) or not 0 <= now < 1e15:
            raise InvalidSetting(f"now: seconds since the epoch, not {now!r:.99}")
        domains = {
            domain: alive
            for domain, cookies in self._domains.items()
            if (alive := {key: cookie for key, cookie in cookies.items() if not cookie.expired(now)})
        }
        creation = _next_creation(domains, now)
        for number, text in enumerate(received):
            new = _received(url, text, now, creation + number * _TICK)
            if new is None and (name := _name_of_too_long(text)) is not None:
                dropped.append(Dropped(name, url.host, f"{COOKIE_BYTES} bytes for one"))
            if new is None or (not new.secure and url.scheme != "https" and _overlays_secure(domains, new)):
                continue
            _insert(domains, new)
            if new.expired(now):  # this is how a server deletes a cookie
                _remove(domains, new)
        self._domains = _trimmed(domains, dropped)
        return dropped

    def header(self, url: URL, now: float) -> str | None:
        """The value of the Cookie field for a request to this URL, or None (§5.8.3).

        Longer paths come first, then earlier creation. All that match are sent; their number was limited when they
        were stored.
        """
        domains = self._domains
        if not domains:
            return None
        host, path, https = url.host, url.target.partition("?")[0], url.scheme == "https"
        chosen = [
            cookie
            for domain in _with_parents(host)
            if domain in domains
            for cookie in domains[domain].values()
            if (domain == host or not cookie.host_only)
            and (https or not cookie.secure)
            and path_matches(path, cookie.path)
            and not cookie.expired(now)
        ]
        if not chosen:
            return None
        chosen.sort(key=lambda cookie: (-len(cookie.path), cookie.creation))
        return "; ".join([f"{cookie.name}={cookie.value}" if cookie.name else cookie.value for cookie in chosen])

    def set(self, name: str, value: str, domain: str, *, path: str = "/", secure: bool = False) -> None:
        """Add the caller's own cookie; it lasts as long as the jar, and counts as older than any received one.

        Args:
            domain: the host that gets it; with a leading dot, its subdomains get it, too.

        Raises:
            InvalidHeader: for what a Cookie field cannot hold; the message leaves the value out.
            InvalidSetting: the jar is full.
        """
        if not isinstance(domain, str):
            raise InvalidHeader(f"a cookie belongs to a host, as text, not to {type(domain).__name__}")
        host = domain.removeprefix(".").lower()
        host_only = host == domain.lower() or _IP(host) is not None or is_public_suffix(host)
        own = max((cookie.creation for cookie in self if cookie.creation < 1), default=0.0)
        cookie = Cookie(name, value, host, path=path, host_only=host_only, secure=secure, creation=own + _TICK)
        dropped: list[Dropped] = []
        domains: Domains = {}
        for each in [*self, cookie]:
            _insert(domains, each)
        _trimmed(domains, dropped)
        if dropped:
            raise InvalidSetting(f"cookie jar: it keeps {dropped[0].limit}, and has them; delete one first")
        self._domains = domains

    def update(self, cookies: Mapping[str, str], domain: str) -> None:
        """Add several of the caller's own cookies for one host; see `set`."""
        if not isinstance(cookies, Mapping):
            raise InvalidHeader(f"cookies are a mapping from names to values, not {type(cookies).__name__}")
        for name, value in cookies.items():
            self.set(name, value, domain)

    def delete(self, name: str, *, domain: str | None = None, path: str | None = None) -> None:
        """Delete the cookies of this name: all of them, or those of a domain or a path.

        Raises:
            KeyError: there is none.
        """
        gone = [
            cookie for cookie in self._named(name) if domain in (None, cookie.domain) and path in (None, cookie.path)
        ]
        if not gone:
            raise KeyError(name)
        self._domains = CookieJar(cookie for cookie in self if cookie not in gone)._domains

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of the cookie of this name, or the default; see `jar[name]`."""
        return self[name] if self._named(name) else default

    def _named(self, name: str) -> list[Cookie]:
        return [cookie for cookie in self if cookie.name == name]

    def __getitem__(self, name: str) -> str:
        """The value of the cookie of this name.

        Raises:
            KeyError: there is none.
            InvalidSetting: there are several, of different hosts or paths; the message names them.
        """
        found = self._named(name)
        if not found:
            raise KeyError(name)
        if len(found) > 1:
            places = ", ".join(f"{cookie.domain}{evidence(cookie.path)[1:-1]}" for cookie in found)
            raise InvalidSetting(
                f"cookie jar: {len(found)} cookies are called {evidence(name)}, of {places}; iterate over the jar"
            )
        return found[0].value

    def __setitem__(self, name: str, value: str) -> NoReturn:
        raise InvalidSetting(f"cookie jar: a cookie belongs to a host: jar.set({evidence(name)}, value, domain)")

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __contains__(self, cookie: object) -> bool:
        return any(cookie == each or cookie == each.name for each in self)

    if not TYPE_CHECKING:  # so that a type checker still knows which attributes there are

        def __getattr__(self, name: str) -> NoReturn:
            from ..model.names import COOKIES, unknown_attribute

            raise AttributeError(unknown_attribute(COOKIES, name, dir(CookieJar)))

    def clear(self) -> None:
        """Delete every cookie."""
        self._domains = {}

    def __bool__(self) -> bool:
        return bool(self._domains)

    def __len__(self) -> int:
        return sum(map(len, self._domains.values()))

    def __iter__(self) -> Iterator[Cookie]:
        for cookies in self._domains.values():
            yield from cookies.values()

    def __repr__(self) -> str:
        return f"<CookieJar {len(self)} cookies>"

    def __copy__(self) -> CookieJar:
        jar = CookieJar()
        jar._domains = self._domains
        return jar

    def __deepcopy__(self, memo: object) -> CookieJar:
        return self.__copy__()  # what it holds is replaced, never changed

    def __reduce__(self) -> tuple[type[CookieJar], tuple[()]]:
        return CookieJar, ()

    def to_json(self) -> str:
        """The whole jar, session cookies included, as JSON in ASCII."""
        import json

        return json.dumps({"version": 1, "cookies": [vars(cookie) for cookie in self]}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> CookieJar:
        """The jar that `to_json()` has written.

        Raises:
            InvalidSetting: for any other text.
        """
        import json

        if not isinstance(text, (str, bytes, bytearray)):
            raise InvalidSetting(f"cookie jar: text must be str, not {type(text).__name__}")
        try:
            saved = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidSetting(f"cookie jar: not JSON: {evidence(str(error))}") from None
        if not isinstance(saved, dict) or saved.get("version") != 1 or not isinstance(saved.get("cookies"), list):
            raise InvalidSetting('cookie jar: not an object with "version": 1 and a list of "cookies"')
        cookies = []
        for number, fields in enumerate(saved["cookies"], 1):
            if not isinstance(fields, dict) or fields.keys() != _FITS.keys():
                raise InvalidSetting(f"cookie jar: cookie {number} must have exactly the fields {', '.join(_FITS)}")
            try:
                cookies.append(Cookie(**fields))
            except InvalidHeader as error:
                raise InvalidSetting(f"cookie jar: cookie {number}: {error}") from None
        return cls(cookies)

    def to_netscape(self) -> str:
        """The jar as a `cookies.txt` of Netscape, curl and wget, to be written as ISO-8859-1.

        The format has no creation, SameSite and parts of a second. Cookies that contain a tab are left out.
        """
        lines = ["# Netscape HTTP Cookie File\n"]
        for cookie in self:
            if "\t" not in cookie.name + cookie.value + cookie.path:
                start = "#HttpOnly_" if cookie.http_only else ""
                domain = f"{cookie.domain}\tFALSE" if cookie.host_only else f".{cookie.domain}\tTRUE"
                secure, expires = "TRUE" if cookie.secure else "FALSE", int(cookie.expires or 0)
                lines.append(f"{start}{domain}\t{cookie.path}\t{secure}\t{expires}\t{cookie.name}\t{cookie.value}\n")
        return "".join(lines)

    @classmethod
    def from_netscape(cls, text: str) -> CookieJar:
        """The jar in a `cookies.txt`, read as ISO-8859-1; an expiry of 0 means the end of the session.

        Raises:
            InvalidSetting: for a line that is neither a cookie nor a comment; the message names its number.
        """
        if not isinstance(text, str):
            raise InvalidSetting(f"cookies.txt: text must be str, not {type(text).__name__}")
        cookies = []
        flag = "([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])"
        # The last tab may be missing: editors trim it if the value is empty.
        rest = r"(-?[0-9]{1,15}(?:\.[0-9]*)?)\t([^\t]*)(?:\t([^\t]*))?\Z"
        fields = re.compile(rf"(#HttpOnly_)?\.?([!-~]+)\t{flag}\t([^\t]+)\t{flag}\t{rest}")
        for number, line in enumerate(text.split("\n"), 1):
            line = line.removesuffix("\r")
            if not line.strip(_WHITE_SPACE) or (line.startswith("#") and not line.startswith("#HttpOnly_")):
                continue
            match = fields.match(line)
            if match is None:
                raise InvalidSetting(f"cookies.txt: line {number} does not have the seven fields of a cookie")
            http_only, domain, subdomains, path, secure, expires, name, value = match.groups(default="")
            try:
                cookie = Cookie(
                    name,
                    value,
                    domain.lower(),
                    path=path,
                    host_only=subdomains.upper() == "FALSE",
                    secure=secure.upper() == "TRUE",
                    http_only=bool(http_only),
                    expires=float(expires) if float(expires) > 0 else None,
                )
            except InvalidHeader as error:
                raise InvalidSetting(f"cookies.txt: line {number}: {error}") from None
            cookies.append(cookie)
        return cls(cookies)


# --- Receiving: from a Set-Cookie field to a cookie (§5.6, §5.7) ----------------------------------


def _received(url: URL, text: str, now: float, creation: float) -> Cookie | None:
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


def _name_of_too_long(text: str) -> str | None:
    name, value, _ = _pair(text)
    return name if len(name) + len(value) > COOKIE_BYTES and not _CONTROL(text) else None


def _scope(host: str, domain: str) -> tuple[str, bool] | None:
    # §5.7 steps 7 to 10: the domain of the cookie, and whether it is host-only; None if it must not be set.
    domain = domain.removeprefix(".").lower()
    if not domain:
        return host, True
    if domain == host:
        return host, _IP(host) is not None or is_public_suffix(host)
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


# --- Storing: in domains that no reader has seen yet ----------------------------------------------


def _overlays_secure(domains: Domains, new: Cookie) -> bool:
    # §5.7 step 16: a cookie that came in the clear must not hide a Secure one.
    return any(
        old.secure and old.name == new.name and path_matches(new.path, old.path)
        for domain, cookies in domains.items()
        if domain_matches(domain, new.domain) or domain_matches(new.domain, domain)
        for old in cookies.values()
    )


def _insert(domains: Domains, cookie: Cookie) -> None:
    cookies = domains.setdefault(cookie.domain, {})
    key = cookie.name, cookie.path, cookie.host_only
    # §5.7 step 23: it replaces the old one, and keeps its creation time.
    cookies[key] = cookie.replace(creation=cookies[key].creation) if key in cookies else cookie


def _remove(domains: Domains, cookie: Cookie) -> None:
    cookies = domains[cookie.domain]
    del cookies[cookie.name, cookie.path, cookie.host_only]
    if not cookies:  # so that a jar without cookies is false
        del domains[cookie.domain]


class Dropped(NamedTuple):
    """A cookie that a limit kept out of a jar, or pushed out of it; its value is not told.

    Attributes:
        name: its name; "" for one that has none.
        domain: the host that it belonged to; of one that never came in, the host that set it.
        limit: which limit.
    """

    name: str
    domain: str
    limit: str


def _trimmed(domains: Domains, dropped: list[Dropped]) -> Domains:
    # §5.7, "remove excess cookies". A site is counted with its subdomains, of which it can have any number: they must
    # not push out the cookies of another site.
    if sum(map(len, domains.values())) <= PER_SITE:
        return domains
    sites: dict[str, list[Cookie]] = {}
    for domain, cookies in domains.items():
        sites.setdefault(_site(domain), []).extend(cookies.values())
    for of_site in sites.values():
        dropped += _remove_excess(domains, of_site, PER_SITE, f"{PER_SITE} of a site")
    all_of_them = [cookie for cookies in domains.values() for cookie in cookies.values()]
    dropped += _remove_excess(domains, all_of_them, IN_ALL, f"{IN_ALL} in all")
    return domains


def _remove_excess(domains: Domains, cookies: list[Cookie], most: int, limit: str) -> Iterator[Dropped]:
    excess = max(0, len(cookies) - most)
    for cookie in sorted(cookies, key=lambda cookie: (cookie.secure, cookie.creation))[:excess]:
        _remove(domains, cookie)
        yield Dropped(cookie.name, cookie.domain, limit)


def _site(domain: str) -> str:
    """The registrable domain of this one."""
    if _IP(domain):
        return domain
    known = _with_parents(domain)
    below = next(known)
    for name in known:
        # Without the list, suffixes such as `co.uk` are guessed: two short labels, the last of them a country's.
        if is_public_suffix(name) or re.match(r"[a-z]{2,3}\.[a-z]{2}\Z", name):
            break
        below = name
    return below


def _next_creation(domains: Domains, now: float) -> float:
    """A time after all that were created just now, because the clock may be coarse."""
    before = (cookie.creation for cookies in domains.values() for cookie in cookies.values())
    return max((creation + _TICK for creation in before if now <= creation < now + 0.5), default=now)


# --- Matching (§5.1.3, §5.1.4) --------------------------------------------------------------------


def domain_matches(host: str, domain: str) -> bool:
    """Whether the host is the domain or a subdomain of it; an IP address is below nothing."""
    return host == domain or (host.endswith("." + domain) and not _IP(host))


def _with_parents(host: str) -> Iterator[str]:
    yield host
    if not _IP(host):
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
