"""The cookies of a client: which are kept, which are sent, and which are pushed out (RFC 6265bis).

A jar of our own, because those of the libraries disagree: host-only cookies that reach subdomains, values that are
quoted again, prefixes and control characters that nobody checks.

No I/O: to save a jar, write out the text of `to_json()` or `to_netscape()`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..errors import InvalidHeader, InvalidSetting, evidence, shown
from ..model.elsewhere import told
from ..model.url import URL
from .cookies import (
    COOKIE_BYTES,
    FIELDS,
    Cookie,
    domain_matches,
    is_ip,
    is_public_suffix,
    name_of_too_long,
    path_matches,
    received,
    with_parents,
)

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    Key = tuple[str, str, bool]  # name, path, host_only: with its domain, what makes a cookie the same one
    Domains = dict[str, dict[Key, Cookie]]

# The most cookies that are kept.
PER_SITE = 180  # §6.1 asks for at least 50 of a domain; browsers keep 180. All of them are sent
IN_ALL = 3000  # §6.1
_TICK = 1e-6  # seconds between two cookies of the same moment, to keep their order


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

    @told("CookieJar()")
    def __init__(self, cookies: Iterable[Cookie] = ()) -> None:
        """A jar with these cookies, as far as its limits allow; one for a whole public suffix is left out.

        Raises:
            InvalidSetting: for what is no Cookie.
        """
        if isinstance(cookies, Mapping) or not isinstance(cookies, Iterable):
            kind = type(cookies).__name__
            raise InvalidSetting(
                f"cookie jar: {kind} is no list of Cookie; jar.update({{name: value}}, domain) adds some"
            )
        domains: Domains = {}
        for cookie in cookies:
            if not isinstance(cookie, Cookie):
                raise InvalidSetting(
                    f"cookie jar: {type(cookie).__name__} is no Cookie; jar.set(name, value, domain) adds one"
                )
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
            kind = type(set_cookie_values).__name__
            raise InvalidSetting(f"set_cookie_values: the values of Set-Cookie fields, not one {kind}")
        values = list(set_cookie_values)
        dropped: list[Dropped] = []
        if not values:
            return dropped
        for each in values:
            if not isinstance(each, str):
                raise InvalidSetting(f"set_cookie_values: a value of Set-Cookie is str, not {type(each).__name__}")
        if not isinstance(now, (int, float)) or not 0 <= now < 1e15:
            raise InvalidSetting(f"now: seconds since the epoch, not {shown(now)}")
        domains = {
            domain: alive
            for domain, cookies in self._domains.items()
            if (alive := {key: cookie for key, cookie in cookies.items() if not cookie.expired(now)})
        }
        creation = _next_creation(domains, now)
        for number, text in enumerate(values):
            new = received(url, text, now, creation + number * _TICK)
            if new is None and (name := name_of_too_long(text)) is not None:
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
            for domain in with_parents(host)
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

    @told("jar.set()", missing="cookie jar: a cookie belongs to a host: jar.set(name, value, domain)")
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
        host_only = host == domain.lower() or is_ip(host) is not None or is_public_suffix(host)
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

    @told("jar.update()", missing="cookie jar: cookies belong to a host: jar.update(cookies, domain)")
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

    @told("jar.get()")
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
            if not isinstance(fields, dict) or fields.keys() != FIELDS.keys():
                raise InvalidSetting(f"cookie jar: cookie {number} must have exactly the fields {', '.join(FIELDS)}")
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
            if not line.strip(" \t") or (line.startswith("#") and not line.startswith("#HttpOnly_")):
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
    if is_ip(domain):
        return domain
    known = with_parents(domain)
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
