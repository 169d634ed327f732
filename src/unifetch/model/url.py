"""The one URL parser: if there were two that disagree, a filter could see one host and the socket another.

A URL is brought into one normal form, which every backend sends unchanged. Where RFC 3986 and the WHATWG URL Standard
leave a choice, we encode what urllib3 and requests would encode after us.

Nothing is repaired by guessing: white space, controls, a backslash, a second `@`, an escape in the host and any scheme
but http and https are refused. International names follow UTS #46 (non-transitional) by the interpreter's Unicode
tables, without the bidi rule, which is about how a name looks and not about where it leads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..errors import InvalidRequest, InvalidURL, evidence
from ..masking import masked, masked_url
from .elsewhere import tell

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Site = tuple[str, str, int, str, str]
    # The values are str, bytes, int, float, bool, None, or a list or tuple of them.
    ParamTypes = Mapping[str, Any] | Iterable[tuple[Any, Any]] | str

MAX_LENGTH = 65_536

# What stays as it is: RFC 3986 §3.3 and §3.4, without the `'` that WHATWG encodes in a query. The characters in which
# WHATWG differs, | ^ [ ] ` { } " < >, are encoded, as urllib3 would do anyway; so urllib3 and requests change nothing
# in the normal form. An escape stays as it is written, because signatures cover it: urllib3 would write its digits in
# upper case, and requests would decode the unreserved ones.
_PATH = "A-Za-z0-9._~!$&'()*+,;=:@/-"
_QUERY = "A-Za-z0-9._~!$&()*+,;=:@/?-"
_ESCAPE = "%[0-9A-Fa-f]{2}"
_ODD = re.compile(f"[^%{_QUERY}]").search
# These are for the first URL of an origin, or an odd one; `re` compiles them then, so that no import has to wait.
_ODD_ESCAPE = f"(?!{_ESCAPE})%|/%2"
_PARTS = r"(?ai:(https?))://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#(.*))?\Z"
_FORBIDDEN = "[\0-\x20\x7f\\\\\ud800-\udfff]"
_NOT_IN_PATH = f"(?:(?!{_ESCAPE})[^{_PATH}])+"
_NOT_IN_QUERY = f"(?:(?!{_ESCAPE})[^{_QUERY}])+"

_sites: dict[str, Site] = {}  # cleared at 512: nothing is faster than a plain dict
_last: URL | None = None  # parsed last: many calls repeat it


class _Refused(Exception):
    """Why a text is not a URL; `URL` adds the text, without the password."""


class _Fields(str):
    """A URL whose fields can still be assigned: that is quicker than `object.__setattr__`."""

    __slots__ = ("authority", "fragment", "host", "origin", "password", "port", "scheme", "target", "username")

    scheme: str
    host: str
    port: int
    authority: str
    origin: str
    target: str
    username: str | None
    password: str | None
    fragment: str | None


class URL(_Fields):
    """An absolute http or https URL in normal form; its text has no userinfo and no fragment.

    Two URLs are equal if their texts are. A pickle holds only the text: credentials do not travel.

    Attributes:
        scheme: `"http"` or `"https"`.
        host: what to connect to, in ASCII and lower case; an IPv6 address without its brackets.
        port: 1 to 65535, also if the text leaves it out.
        authority: the value of the Host header (RFC 9110 §7.2), without a default port.
        origin: scheme and authority, as `"https://example.org"` (RFC 6454 §6.2).
        target: path and query, percent-encoded: the origin form of RFC 9112 §3.2.1.
        path, query: its two parts; the query without its `?`, or None.
        username, password: percent-decoded as UTF-8, or None; never shown.
        fragment: percent-encoded, without its `#`, or None.
    """

    __slots__ = ()

    def __new__(cls, text: str, *, path_as_is: bool = False) -> URL:
        """Parse an absolute URL of at most 64 KiB.

        Args:
            text: the URL.
            path_as_is: leave `.` and `..` in the path, for object names that have them, instead of resolving them (RFC
                3986 §5.2.4). A filter may then see another path than a server that resolves them.

        Raises:
            InvalidURL: it names the reason and shows the text without userinfo.
        """
        if type(text) is not str:
            if isinstance(text, URL):
                return text
            if not isinstance(text, str):
                raise InvalidURL(f"a URL must be str, not {type(text).__name__}")
            text = str.__str__(text)  # a subclass may compare and hash as it likes, but not in the memo
        if path_as_is:
            return _parsed(text, path_as_is=True)
        global _last  # assigning it is atomic, and it is read once
        last = _last
        if text == last:
            return last
        # Most URLs are in normal form, with an origin that was seen before: they need no parsing.
        at = text.find("/", 8)
        if (
            at > 0
            and (site := _sites.get(text[:at]))
            and not _ODD(text, at)
            and "/." not in text
            and ("%" not in text or not re.search(_ODD_ESCAPE, text))
            and len(text) <= MAX_LENGTH
        ):
            _last = url = _build(text, site, text[at:])
            return url
        return _parsed(text)

    @property
    def path(self) -> str:
        """The path, percent-encoded, with its leading slash."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str | None:
        """The query, percent-encoded, without its `?`; None if there is none."""
        _, mark, query = self.target.partition("?")
        return query if mark else None

    def join(self, reference: str) -> URL:  # type: ignore[override]  # nobody puts a URL between strings
        """Resolve a reference against this URL (RFC 3986 §5.2.2).

        Credentials are kept if the reference has no authority of its own.

        Raises:
            InvalidURL: as `URL` does.
        """
        if not isinstance(reference, str):
            raise InvalidURL(f"a URL must be str, not {type(reference).__name__}")
        if re.match("[A-Za-z][A-Za-z0-9+.-]*:", reference):
            return URL(reference)
        if reference.startswith("//"):
            return URL(f"{self.scheme}:{reference}")
        path = self.target.partition("?")[0]
        directory = path[: path.rindex("/") + 1]
        start = {"/": "", "?": path, "#": self.target, "": self.target}.get(reference[:1], directory)
        url = URL(self.origin + start + reference)
        return _joined(_site_of(url), url.target, self.username, self.password, url.fragment)

    def with_params(self, params: ParamTypes) -> URL:
        """This URL, its query followed by these parameters, as `form_urlencode` writes them; text stays as it is.

        Raises:
            InvalidRequest: for a value of another type; it names the key.
            InvalidURL: for more than 64 KiB.
        """
        try:
            query = _encoded(_NOT_IN_QUERY, params) if isinstance(params, str) else form_urlencode(params)
        except UnicodeEncodeError:
            raise InvalidRequest("params: a lone surrogate is no text that can be sent") from None
        if not query:
            return self
        glue = "?" if "?" not in self.target else "" if self.target[-1] in "?&" else "&"
        return _joined(_site_of(self), self.target + glue + query, self.username, self.password, self.fragment)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("URL is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("URL is frozen")

    def __repr__(self) -> str:
        return f"URL({masked(str(self))!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_it_is, (str(self),)  # which is in normal form, except perhaps for dots

    def __copy__(self) -> URL:
        return self

    def __deepcopy__(self, memo: object) -> URL:
        return self


tell(
    URL,
    "URL",
    "copy_with with_query update_query copy_set_param copy_add_param copy_merge_params extend_query params joinpath"
    " with_path netloc raw_authority hostname raw_host user query_string raw_query_string raw_path path_qs raw_path_qs"
    " request_uri name parts parent suffix human_repr with_scheme with_host with_port is_absolute_url is_absolute"
    " absolute",
)


def location_url(base: URL, location: str) -> URL:
    """The URL that a Location field names (RFC 9110 §10.2.2), without credentials; raises `InvalidURL` as `URL` does.

    Userinfo is dropped, also that of the base: who gets a credential depends on the origin, not on whether the server
    wrote a relative or an absolute URL.

    Args:
        base: the URL that answered; its fragment is inherited if the field has none.
        location: the field value, one character a byte. Spaces and bytes above 0x7F, which no URI may hold but
            many servers send, are percent-encoded as they are; in a host they are an international name in UTF-8.
    """
    if any(character > "\xff" for character in location):
        raise InvalidURL("a Location must be text in which one character is one byte")
    host = re.match(r"(?:[A-Za-z]+:)?//([^/?#]*)", location)
    end = 0 if host is None else host.end()
    try:
        authority = location[:end].encode("latin-1").decode()
    except UnicodeDecodeError:
        raise InvalidURL(f"the host of a Location must be UTF-8: {evidence(masked_url(location))}") from None
    url = base.join(authority + re.sub("[ \x80-\xff]", lambda found: f"%{ord(found[0]):02X}", location[end:]))
    return _joined(_site_of(url), url.target, fragment=base.fragment if url.fragment is None else url.fragment)


def with_exact_target(url: URL, target: str) -> URL:
    """A URL with another path and query, which are sent exactly so, in normal form or not.

    Raises:
        InvalidURL: for more than 64 KiB, and for what is no word of a request line (RFC 9112 §3.2.1).
    """
    if not re.fullmatch(r"/[!-~]*", target) or "#" in target or "\\" in target:
        raise InvalidURL(f"a target begins with a slash, and has no space, '#', '\\' or control: {evidence(target)}")
    return _joined(_site_of(url), target, url.username, url.password, url.fragment)


# --- The parts ------------------------------------------------------------------------------------


def check_authority(text: str) -> None:
    """Raise `InvalidURL` for what is not a host in ASCII, with or without a port, as in a URL (RFC 9110 §7.2)."""
    try:
        if not text.isascii():
            raise _Refused("a host that is sent as it is must be ASCII")
        _site("http", text)
    except _Refused as reason:
        raise InvalidURL(f"{reason}: {evidence(masked_url(text))}") from None


def _parsed(text: str, *, path_as_is: bool = False) -> URL:
    try:
        return _parse(text, path_as_is=path_as_is)
    except _Refused as reason:
        raise InvalidURL(f"{reason}: {evidence(masked_url(text))}{_hint(text)}") from None


def _as_it_is(text: str) -> URL:
    return URL(text, path_as_is=True)


def _parse(text: str, *, path_as_is: bool) -> URL:
    if len(text) > MAX_LENGTH:
        raise _Refused(f"a URL must not be longer than {MAX_LENGTH} characters")
    if not _is_harmless(text) and (forbidden := re.search(_FORBIDDEN, text)):
        raise _Refused(f"a URL must not contain {forbidden[0]!a}, as at index {forbidden.start()}")
    parts = re.match(_PARTS, text)
    if parts is None:
        raise _Refused("a URL must start with http:// or https://")
    scheme, authority, path, query, fragment = parts.groups()
    userinfo, _, host_and_port = authority.rpartition("@")
    if "@" in userinfo:
        # Parsers disagree about which of them ends the userinfo.
        raise _Refused("a URL must not have a second @ before its path")
    site = _site(scheme.lower(), host_and_port)
    username, password = _credentials(userinfo)
    target = _encoded(_NOT_IN_PATH, path or "/")
    if not path_as_is:
        target = _without_dots(target)
    if query is not None:
        target += _encoded(_NOT_IN_QUERY, query)
    if fragment is not None:
        fragment = _encoded(_NOT_IN_QUERY, fragment)
    return _joined(site, target, username, password, fragment)


def _is_harmless(text: str) -> bool:
    # ASCII without what is forbidden.
    return text.isascii() and text.isprintable() and " " not in text and "\\" not in text


def _joined(
    site: Site, target: str, username: str | None = None, password: str | None = None, fragment: str | None = None
) -> URL:
    text = site[4] + target
    if len(text) > MAX_LENGTH:
        raise InvalidURL(f"a URL must not be longer than {MAX_LENGTH} characters, encoded: {evidence(text)}")
    return _build(text, site, target, username, password, fragment)


def _build(
    text: str,
    site: Site,
    target: str,
    username: str | None = None,
    password: str | None = None,
    fragment: str | None = None,
) -> URL:
    url = _Fields(text)
    url.scheme, url.host, url.port, url.authority, url.origin = site
    url.target = target
    url.username = username
    url.password = password
    url.fragment = fragment
    url.__class__ = URL
    return url  # type: ignore[return-value]  # it became one in the line above


def _hint(text: str) -> str:
    # A second @, or one in the path, is most likely part of a password that was not encoded.
    userinfo = text.partition("://")[2].rpartition("@")[0]
    return "; percent-encode what name and password have of / ? # @" if re.search("[/?#@]", userinfo) else ""


def _site_of(url: URL) -> Site:
    return url.scheme, url.host, url.port, url.authority, url.origin


def _credentials(userinfo: str) -> tuple[str | None, str | None]:
    if not userinfo:
        return None, None
    username, colon, password = userinfo.partition(":")
    username, password = _percent_decoded(username), _percent_decoded(password)
    if ":" in username:
        raise _Refused("a user name must not contain a colon (RFC 7617 §2)")
    return username, password if colon else None


def _percent_decoded(text: str) -> str:
    data = re.sub(_ESCAPE.encode(), lambda found: bytes([int(found[0][1:], 16)]), text.encode())
    decoded = data.decode(errors="replace")
    # Compared, because a UnicodeDecodeError would contain the password.
    if decoded.encode() != data or re.search("[\0-\x1f\x7f]", decoded):
        raise _Refused("userinfo must be UTF-8 without control characters (RFC 7617 §2)")
    return decoded


def _encoded(outside: str, text: str) -> str:
    # The text, percent-encoded where it is `outside` of what its part of a URL may contain.
    return re.sub(outside, _percent_encoded, text) if "%" in text or _ODD(text) else text


def _percent_encoded(found: re.Match[str]) -> str:
    return "".join([f"%{byte:02X}" for byte in found[0].encode()])


def _without_dots(path: str) -> str:
    # RFC 3986 §5.2.4. `%2e` is a dot, as in WHATWG, because many servers decode before they resolve.
    if "/." not in path and "/%2" not in path:
        return path
    kept: list[str] = []
    plain = ""
    for segment in path.split("/")[1:]:
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            del kept[-1:]
        elif plain != ".":
            kept.append(segment)
    return "/" + "/".join([*kept, ""] if plain in (".", "..") else kept)


# --- Host and port --------------------------------------------------------------------------------

_INVISIBLE = "[\xad\u034f\u180b-\u180d\u180f\u200b\u2060\u2064\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]"
_BLANK = "[\u115f\u1160\u17b4\u17b5\u2800\u2ff0-\u2fff\u3002\ufffc\ufffd]"  # or no part of a name
_IN_HOST = dict.fromkeys(map(ord, "abcdefghijklmnopqrstuvwxyz0123456789._~!$&'()*+,;=-"))
_TOO_LONG = "a host must not be longer than 253 characters, or 63 between two dots (RFC 1035 §2.3.4)"


def _site(scheme: str, host_and_port: str) -> Site:
    known = _sites.get(f"{scheme}://{host_and_port}")
    if known is not None:
        return known
    if host_and_port.startswith("[") and "]" in host_and_port:
        address, _, after_host = host_and_port[1:].partition("]")
        host = _ipv6(address)
        authority = f"[{host}]"
    else:
        domain, colon, rest = host_and_port.partition(":")
        host = authority = _domain(domain)
        after_host = colon + rest
    port = default = 80 if scheme == "http" else 443
    if after_host not in ("", ":"):
        digits = after_host[1:]
        is_port = after_host[0] == ":" and digits.isdecimal() and digits.isascii() and len(digits) <= 10
        port = int(digits) if is_port else 0
    if not 1 <= port <= 65_535:
        raise _Refused("a port must be a number from 1 to 65535, in ASCII digits")
    if port != default:
        authority += f":{port}"
    site = scheme, host, port, authority, f"{scheme}://{authority}"
    if len(_sites) >= 512:
        _sites.clear()
    _sites[site[4]] = site
    return site


def _domain(host: str) -> str:
    if len(host) > 254:  # before the mapping, which takes more than linear time
        raise _Refused(_TOO_LONG)
    labels = host.split(".") if host.isascii() else re.split("[.\u3002\uff0e\uff61]", host)
    root = labels.pop() if labels[-1] == "" else None
    if not labels or labels == [""]:
        raise _Refused("a URL must have a host")
    name = ".".join(map(_label, labels))
    if len(name) > 253:
        raise _Refused(_TOO_LONG)
    # What WHATWG forbids in a domain, and the four (" ` { }) that RFC 3986 §3.2.2 forbids as well; checked after the
    # mapping, because NFKC turns some characters into a slash (CVE-2019-9636).
    if wrong := name.translate(_IN_HOST):
        raise _Refused(f"a host must not contain {wrong[0]!a}")
    last = name.rpartition(".")[2]
    if last.isdecimal() or (last.startswith("0x") and not last[2:].strip("0123456789abcdef")):
        return _ipv4(name)
    return name if root is None else name + "."


def _label(label: str) -> str:
    name = label.lower() if label.isascii() else _mapped(label)
    if not name:
        raise _Refused("a host must not have an empty label")
    if len(name) > 63:  # before punycode, which takes quadratic time and never shortens
        raise _Refused(_TOO_LONG)
    if "." in name:  # as in U+2024 and U+2488, which UTS #46 does not allow
        raise _Refused("a host must not contain a character that NFKC turns into a dot")
    return name if name.isascii() and not name.startswith("xn--") else _punycode(name)


def _mapped(label: str) -> str:
    # UTS #46 §4, steps 1 and 2: drop what is invisible, fold case and width, but keep ß and ς.
    from unicodedata import normalize

    label = re.sub(_INVISIBLE, "", label)
    own = {"ß": "ß", "ẞ": "ß", "ς": "ς"}
    return normalize("NFKC", "".join([own.get(c) or normalize("NFKC", c).casefold() for c in label]))


def _punycode(label: str) -> str:
    from unicodedata import category

    name = label
    if label.startswith("xn--"):
        try:
            name = label[4:].encode("ascii").decode("punycode")
        except UnicodeError:
            name = ""
    encoded = "xn--" + name.encode("punycode").decode("ascii")
    if name.isascii() or label not in (name, encoded) or _mapped(name) != name:
        raise _Refused("a host label with xn-- must be the punycode of a name in normal form (UTS #46 §4)")
    # UTS #46 §4.1. Category C is controls, joiners, private use and unassigned; Z is spaces.
    for index, character in enumerate(name):
        if category(character)[0] in "CZ" or re.match(_BLANK, character):
            if character in "\u200c\u200d":
                from .joiners import is_allowed

                if is_allowed(name, index):
                    continue
            raise _Refused(f"a host must not contain {character!a}")
    if category(name[0])[0] == "M":
        raise _Refused(f"a host label must not start with the combining mark {name[0]!a}")
    if len(encoded) > 63:
        raise _Refused(_TOO_LONG)
    return encoded


def _ipv4(name: str) -> str:
    # WHATWG "IPv4 parser": the forms of inet_aton, which a resolver accepts but a filter may not recognise.
    number = "(?:0x[0-9a-f]*|0[0-7]*|[1-9][0-9]*)"
    if re.fullmatch(rf"{number}(?:\.{number}){{0,3}}", name):
        bases = (16 if part.startswith("0x") else 8 if part[0] == "0" else 10 for part in name.split("."))
        parts = (part.removeprefix("0x") or "0" for part in name.split("."))
        *first, last = map(int, parts, bases)
        if all(byte < 256 for byte in first) and last < 256 ** (4 - len(first)):
            return ".".join(map(str, [*first, *last.to_bytes(4 - len(first), "big")]))
    raise _Refused("a host whose last label is a number must be an IPv4 address")


def _ipv6(text: str) -> str:
    # RFC 5952 §4, with an IPv4-mapped address in hex, as in WHATWG; its str() differs between Python versions.
    from ipaddress import AddressValueError, IPv6Address

    if "%" in text:
        raise _Refused("an IPv6 address must not have a zone, which means something to this machine alone (RFC 4007)")
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise _Refused("what stands in [ ] must be an IPv6 address") from None
    groups = re.sub(r"\b0{1,3}", "", address.packed.hex(":", 2))
    longest = max(re.finditer(r"\b0(?::0)+\b", groups), key=lambda zeros: len(zeros[0]), default=None)
    if longest is None:
        return groups
    return groups[: longest.start()].rstrip(":") + "::" + groups[longest.end() :].lstrip(":")


# --- application/x-www-form-urlencoded ------------------------------------------------------------

_FORM_SAFE = "*-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM = [c if c in _FORM_SAFE else "+" if c == " " else f"%{ord(c):02X}" for c in map(chr, range(256))]


def form_urlencode(pairs: ParamTypes) -> str:
    """Write pairs as a query or a form (WHATWG URL §5.2).

    Keys and values are str (as UTF-8), bytes, int, float or bool (`true`, `false`). A list or tuple repeats its key,
    and a value of None leaves it out. Raises `InvalidRequest` for any other type; it names the key, never the value.
    """
    encoded = []
    for key, value in spread(pairs):
        name = _form_text(None, key)
        if value is not None:
            encoded.append(f"{name}={_form_text(name, value)}")
    return "&".join(encoded)


def spread(pairs: object) -> Iterator[tuple[Any, Any]]:
    """A mapping or pairs as pairs of a key and one value, a list or tuple spread out; else raises `InvalidRequest`."""
    if not isinstance(pairs, Iterable):
        raise InvalidRequest(f"parameters must be a mapping or pairs, not {type(pairs).__name__}")
    for pair in pairs.items() if isinstance(pairs, Mapping) else pairs:
        try:
            key, values = pair
        except (TypeError, ValueError):
            raise InvalidRequest("each parameter must be a pair of a key and a value") from None
        for value in values if isinstance(values, (list, tuple)) else [values]:
            yield key, value


def _form_text(name: str | None, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    shown = "key" if name is None else evidence(name)
    try:
        if isinstance(value, (int, float)):
            value = (int if isinstance(value, int) else float).__repr__(value)  # an enum has a repr of its own
        data = value.encode() if isinstance(value, str) else value
    except ValueError:
        raise InvalidRequest(f"parameter {shown} has a lone surrogate or a number of too many digits") from None
    if not isinstance(data, bytes):
        raise InvalidRequest(f"parameter {shown} must be str, bytes, int, float or bool, not {type(data).__name__}")
    return data.decode("latin-1").translate(_FORM)
