"""Cookies by RFC 6265bis: what a jar takes from a response, what it sends, and how it is kept."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import sys
import threading
from http.cookiejar import MozillaCookieJar
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifetch.errors import InvalidHeader, InvalidSetting
from unifetch.model.url import URL
from unifetch.policies import cookies
from unifetch.policies.cookie_jar import CookieJar
from unifetch.policies.cookies import Cookie, cookie_header, merged, parse_date, parse_set_cookie

NOW = 1_700_000_000.0
DAY = 86_400


@pytest.fixture(autouse=True)
def without_suffix_list(monkeypatch):
    """The built-in rule alone, whatever is installed where the tests run."""
    monkeypatch.setitem(sys.modules, "publicsuffixlist", None)
    cookies._listed.cache_clear()
    yield
    cookies._listed.cache_clear()


@pytest.fixture
def suffix_list(monkeypatch):
    """A stand-in for `publicsuffixlist` that knows one suffix of two labels."""

    class PublicSuffixList:
        def is_public(self, domain):
            return domain == "co.uk"

    module = ModuleType("publicsuffixlist")
    module.PublicSuffixList = PublicSuffixList
    monkeypatch.setitem(sys.modules, "publicsuffixlist", module)


def jar_after(url, *set_cookie_values, now=NOW):
    jar = CookieJar()
    jar.store(URL(url), set_cookie_values, now)
    return jar


def sent(jar, url, now=NOW):
    return jar.header(URL(url), now)


def stored(url, *set_cookie_values):
    """The one cookie that a response leaves behind, or None."""
    found = list(jar_after(url, *set_cookie_values))
    assert len(found) <= 1
    return found[0] if found else None


# --- The Set-Cookie field (§5.6) ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "name", "value"),
    [
        ("a=b", "a", "b"),
        (" a \t=\t b ; Path=/", "a", "b"),
        ("a=", "a", ""),
        ("a=b=c", "a", "b=c"),
        ("lonely", "", "lonely"),
        ("=lonely", "", "lonely"),
        ('a="b c"', "a", '"b c"'),
        ('a={"k": [1, 2]}', "a", '{"k": [1, 2]}'),
        ("a=b,c", "a", "b,c"),
        ("a=%3B%20%zz", "a", "%3B%20%zz"),
        ("a=\xe9\xff", "a", "\xe9\xff"),
        ("a=b\tc", "a", "b\tc"),
        ("na me=b", "na me", "b"),
        ("a=" + "v" * 4095, "a", "v" * 4095),
    ],
)
def test_name_and_value_are_taken_and_sent_as_they_are(field, name, value):
    """A value is never quoted, unquoted or decoded; only the white space around it goes."""
    jar = jar_after("http://a.test/", field)

    assert [(cookie.name, cookie.value) for cookie in jar] == [(name, value)]
    assert sent(jar, "http://a.test/") == (f"{name}={value}" if name else value)


@pytest.mark.parametrize(
    "field",
    ["", "=", " ; Path=/", "=; Secure", "a=" + "v" * 4096, "n" * 4000 + "=" + "v" * 97, "v" * 4097],
    ids=lambda field: f"{field[:12]}-{len(field)}",
)
def test_nothing_and_too_much_is_no_cookie(field):
    """A cookie has a name or a value, and both together at most 4096 bytes."""
    assert stored("http://a.test/", field) is None


@pytest.mark.parametrize("code", [*range(0x09), *range(0x0A, 0x20), 0x7F, 0x100, 0x10D, 0x10A])
@pytest.mark.parametrize("field", ["a{}=b", "a=b{}c", "a=b; Path=/{}", "a=b; X{}"])
def test_a_control_character_anywhere_voids_the_field(field, code):
    """No cookie can carry a control character, or what is no byte at all, to a later request."""
    assert stored("http://a.test/", field.format(chr(code))) is None


@pytest.mark.parametrize(
    ("field", "attributes"),
    [
        ("a=b", {"": ""}),
        ("a=b; PATH = /x ; SECURE; httponly=yes", {"path": "/x", "secure": "", "httponly": "yes"}),
        ("a=b; Path=/1; Path=/2", {"path": "/2"}),
        ("a=b; Path=/" + "p" * 1023, {"path": "/" + "p" * 1023}),
        ("a=b; Path=/" + "p" * 1024, {}),
        ("a=b; Path=/x; Path=/" + "p" * 1024, {"path": "/x"}),
        ("a=b; Max-Age=10; Max-Age=x", {"max-age": "10"}),
        ("a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=soon", {"expires": "Thu, 01 Jan 1970 00:00:00 GMT"}),
        ("a=b; Domain==x", {"domain": "=x"}),
    ],
)
def test_attributes(field, attributes):
    """Names regardless of case; the last one that is valid and at most 1024 bytes counts."""
    name, value, found = parse_set_cookie(field)
    found.pop("", None)
    attributes.pop("", None)

    assert (name, value, found) == ("a", "b", attributes)


# --- Time (§5.1.1, §5.5) --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",  # RFC 1123
        "Sunday, 06-Nov-94 08:49:37 GMT",  # RFC 850
        "Sun Nov  6 08:49:37 1994",  # asctime
        "Sun, 06-Nov-1994 08:49:37 GMT",  # Netscape
        "6 nov 1994 8:49:37",
        "08:49:37 November 06th 1994 +0200",
        "Nov/06/1994 08:49:37",
        '"Sun,06 NOV 1994 08:49:37 GMT"',
        "Nov;06\t1994,,,08:49:37z",
        "on 08:49:37 the 6th of Novembre 1994, not 2000, not 09:00:00",
    ],
)
def test_every_form_of_a_date_in_use(text):
    """The algorithm looks for tokens, whatever separates them and in whatever order they come."""
    assert parse_date(text) == 784_111_777.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("01 Jan 70 00:00:00", 0.0),
        ("01 Jan 69 00:00:00", 3_124_224_000.0),
        ("01 Jan 99 00:00:00", 915_148_800.0),
        ("01 Jan 00 00:00:00", 946_684_800.0),
        ("29 Feb 2024 23:59:59", 1_709_251_199.0),
        ("01 Jan 1601 00:00:00", -11_644_473_600.0),
        ("31 Dec 9999 23:59:59", 253_402_300_799.0),
    ],
)
def test_years(text, seconds):
    """Two digits from 70 are the last century, those below are this one."""
    assert parse_date(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "06 Nov 1994",
        "Nov 1994 08:49:37",
        "06 1994 08:49:37",
        "06 Nov 08:49:37",
        "06 Nov 1600 08:49:37",
        "06 Nov 19944 08:49:37",
        "00 Nov 1994 08:49:37",
        "32 Nov 1994 08:49:37",
        "31 Nov 1994 08:49:37",
        "29 Feb 2023 08:49:37",
        "06 Nov 1994 24:00:00",
        "06 Nov 1994 08:60:00",
        "06 Nov 1994 08:49:60",
        "06 Nov 1994 08:49",
        "06 Nov 1994 008:49:37",
        "\u0660\u0666 Nov 1994 08:49:37",
        "06 No\u017f 1994 08:49:37",
    ],
)
def test_what_is_no_date(text):
    """A date that lacks a part, or never was, is none; digits are those of ASCII."""
    assert parse_date(text) is None


@pytest.mark.parametrize(
    ("attributes", "expires"),
    [
        ("", None),
        ("Max-Age=60", NOW + 60),
        ("Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", NOW + 60),
        ("Expires=Wed, 15 Nov 2023 22:13:20 GMT", NOW + DAY),
        ("Expires=Wed, 15 Nov 2023 22:13:20 GMT; Max-Age=+5", NOW + DAY),
        ("Max-Age=99999999999999999999", NOW + 400 * DAY),
        ("Max-Age=" + "9" * 1024, NOW + 400 * DAY),
        ("Expires=Fri, 31 Dec 9999 23:59:59 GMT", NOW + 400 * DAY),
        ("Max-Age=", None),
        ("Max-Age=1.5", None),
        ("Max-Age=--1", None),
        ("Max-Age=\xb2", None),
        ("Expires=0", None),
    ],
)
def test_expiry(attributes, expires):
    """Max-Age is stronger than Expires, what does not parse is ignored, and nothing lasts beyond 400 days."""
    assert stored("http://a.test/", f"a=b; {attributes}").expires == expires


@pytest.mark.parametrize(
    "attribute", ["Max-Age=0", "Max-Age=-1", "Expires=Sun Nov  6 08:49:37 1994", "Expires=1 jan 1601 0:0:0"]
)
def test_a_time_in_the_past_deletes(attribute):
    """A server deletes a cookie by letting it expire, and a jar that has none left is empty."""
    jar = jar_after("http://a.test/", "a=b", f"a=; {attribute}")

    assert (len(jar), bool(jar)) == (0, False)


def test_an_expired_cookie_is_neither_sent_nor_kept():
    """It is not sent from its very second on, and goes when the next cookie comes."""
    jar = jar_after("http://a.test/", "a=1; Max-Age=60", "b=2")

    assert sent(jar, "http://a.test/", NOW + 59) == "a=1; b=2"
    assert sent(jar, "http://a.test/", NOW + 60) == "b=2"
    jar.store(URL("http://other.test/"), ["c=3"], NOW + 60)
    assert [cookie.name for cookie in jar] == ["b", "c"]


# --- Domain (§5.1.3, §5.7 steps 7 to 10) ----------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "domain", "scope"),
    [
        ("www.a.test", None, ("www.a.test", True)),
        ("www.a.test", "", ("www.a.test", True)),
        ("www.a.test", ".", ("www.a.test", True)),
        ("www.a.test", "a.test", ("a.test", False)),
        ("www.a.test", ".a.test", ("a.test", False)),
        ("www.a.test", "A.TEST", ("a.test", False)),
        ("www.a.test", "www.a.test", ("www.a.test", False)),
        ("www.a.test", "..a.test", None),
        ("www.a.test", "b.test", None),
        ("www.a.test", "x.www.a.test", None),  # a subdomain of ours is not ours
        ("www.a.test", "ww.a.test", None),
        ("evil-a.test", "a.test", None),  # a label ends at its dot
        ("evila.test", "a.test", None),
        # Single labels are public suffixes, but for the host that is one.
        ("www.a.test", "test", None),
        ("www.a.test", ".test", None),
        ("a.local", "local", None),
        ("localhost", "localhost", ("localhost", True)),
        ("localhost", None, ("localhost", True)),
        # A dot at the end is part of the name, and does not make a suffix of two labels.
        ("www.a.test", "a.test.", None),
        ("www.a.test.", "a.test", None),
        ("www.a.test.", "test.", None),
        ("www.a.test.", "a.test.", ("a.test.", False)),
        ("www.a.test.", None, ("www.a.test.", True)),
        # An IP address has no parents.
        ("127.0.0.1", None, ("127.0.0.1", True)),
        ("127.0.0.1", "127.0.0.1", ("127.0.0.1", True)),
        ("127.0.0.1", "0.0.1", None),
        ("127.0.0.1", "1", None),
        ("[::1]", None, ("::1", True)),
        ("[::1]", "::1", ("::1", True)),
        ("[2001:db8::1]", "1", None),
        # An international name is its A-label.
        ("b\xfccher.test", "xn--bcher-kva.test", ("xn--bcher-kva.test", False)),
        ("b\xfccher.test", "b\xfccher.test", None),
    ],
)
def test_domain_attribute(host, domain, scope):
    """A cookie is for its host, or for a parent that is no public suffix."""
    cookie = stored(f"http://{host}/", "a=b" if domain is None else f"a=b; Domain={domain}")

    assert (cookie and (cookie.domain, cookie.host_only)) == scope


@pytest.mark.parametrize(
    ("field", "host", "is_sent"),
    [
        ("a=b", "a.test", True),
        ("a=b", "A.test", True),
        ("a=b", "www.a.test", False),  # host-only, where http.cookiejar sends it
        ("a=b; Domain=a.test", "a.test", True),
        ("a=b; Domain=a.test", "www.a.test", True),
        ("a=b; Domain=a.test", "x.www.a.test", True),
        ("a=b; Domain=a.test", "evila.test", False),
        ("a=b; Domain=a.test", "a.test.evil", False),
        ("a=b; Domain=a.test", "a.test.", False),
        ("a=b; Domain=a.test", "test", False),
        ("a=b", "a.test:8080", True),  # cookies do not tell ports apart (§8.5)
    ],
)
def test_where_a_cookie_of_a_domain_goes(field, host, is_sent):
    """A host-only cookie stays; one with a domain goes to what is below it at a dot."""
    jar = jar_after("http://a.test/", field)

    assert sent(jar, f"http://{host}/") == ("a=b" if is_sent else None)


@pytest.mark.parametrize("host", ["1.2.3.4", "[::1]"])
def test_the_cookie_of_an_ip_address_stays_there(host):
    """An address gets its own cookies back, and no other address does."""
    jar = jar_after(f"http://{host}/", "a=b")

    assert sent(jar, f"http://{host}/") == "a=b"
    assert sent(jar, "http://9.1.2.3.4.test/") is None
    assert sent(jar, "http://2.3.4.4/") is None


def test_without_the_list_a_suffix_of_two_labels_is_a_domain():
    """The built-in rule knows single labels only, as the module's docstring says."""
    assert stored("http://evil.co.uk/", "a=b; Domain=co.uk").domain == "co.uk"


def test_with_the_list_a_suffix_of_two_labels_is_refused(suffix_list):
    """No cookie covers a public suffix; the host that is one has cookies of its own."""
    assert stored("http://evil.co.uk/", "a=b; Domain=co.uk") is None
    assert stored("http://evil.co.uk./", "a=b; Domain=co.uk.") is None
    assert stored("http://www.good.co.uk/", "a=b; Domain=good.co.uk").domain == "good.co.uk"
    assert stored("http://co.uk/", "a=b; Domain=co.uk").host_only is True


def test_a_loaded_cookie_for_a_public_suffix_is_left_out(suffix_list):
    """The list may have grown since the jar was saved (§5.8.3)."""
    saved = CookieJar([Cookie("a", "b", "good.co.uk", host_only=False)]).to_json()

    assert len(CookieJar.from_json(saved)) == 1
    assert len(CookieJar.from_json(saved.replace("good.co.uk", "co.uk"))) == 0


def test_the_real_list(monkeypatch):
    """The package answers as the stand-in of these tests does."""
    monkeypatch.delitem(sys.modules, "publicsuffixlist")
    pytest.importorskip("publicsuffixlist")

    assert [cookies.is_public_suffix(name) for name in ("co.uk", "co.uk.", "a.co.uk", "a.test")] == [
        True,
        True,
        False,
        False,
    ]


# --- Path (§5.1.4) --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "attribute", "path"),
    [
        ("", "", "/"),
        ("/", "", "/"),
        ("/a", "", "/"),
        ("/a/", "", "/a"),
        ("/a/b", "", "/a"),
        ("/a/b?x=/y/z", "", "/a"),
        ("?x=/y/z", "", "/"),
        ("/a/b", "Path=", "/a"),
        ("/a/b", "Path=x", "/a"),
        ("/a/b", "Path=/x", "/x"),
        ("/a/b", "Path=/x/", "/x/"),
        ("/a/b", "Path=/x; Path=y", "/a"),
    ],
)
def test_path_of_a_cookie(target, attribute, path):
    """It is the attribute's, if that starts with a slash, else the directory of the request."""
    assert stored(f"http://a.test{target}", f"a=b; {attribute}").path == path


@pytest.mark.parametrize(
    ("path", "target", "is_sent"),
    [
        ("/", "/", True),
        ("/", "/x", True),
        ("/x", "/x", True),
        ("/x", "/x?q=/", True),
        ("/x", "/x/", True),
        ("/x", "/x/y", True),
        ("/x", "/xy", False),
        ("/x", "/", False),
        ("/x", "/X", False),
        ("/x/", "/x/y", True),
        ("/x/", "/x", False),
        ("/x", "/?/x", False),
        ("/%78", "/x", False),
    ],
)
def test_path_match(path, target, is_sent):
    """A path covers itself and what is below it at a slash, byte by byte."""
    jar = jar_after("http://a.test/", f"a=b; Path={path}")

    assert (sent(jar, f"http://a.test{target}") is not None) == is_sent


# --- Secure, SameSite, prefixes (§5.7 steps 12 to 22) ---------------------------------------------


def test_secure_is_for_https_alone():
    """It is neither taken from nor sent over http, loopback included."""
    assert stored("http://a.test/", "a=b; Secure") is None
    assert stored("http://127.0.0.1/", "a=b; Secure") is None
    jar = jar_after("https://a.test/", "a=b; Secure", "c=d")
    assert sent(jar, "https://a.test/") == "a=b; c=d"
    assert sent(jar, "http://a.test/") == "c=d"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("a=evil; Path=/login", "safe"),
        ("a=evil; Path=/login/en", "safe"),
        ("a=evil; Path=/login; Domain=a.test", "safe"),
        ("a=evil; Path=/", "safe; a=evil"),
        ("a=evil; Path=/log", "safe"),
        ("b=other; Path=/login", "safe; b=other"),
    ],
)
def test_http_leaves_secure_cookies_alone(field, value):
    """What comes in the clear neither replaces nor precedes a Secure cookie of that name."""
    jar = jar_after("https://www.a.test/", "a=safe; Secure; Path=/login")
    jar.store(URL("http://www.a.test/"), [field], NOW + 1)

    assert sent(jar, "https://www.a.test/login") == f"a={value}"


def test_http_leaves_secure_cookies_of_a_subdomain_alone():
    """The rule holds upward and downward in the tree of domains, and https may do as it likes."""
    jar = jar_after("https://www.a.test/", "a=safe; Secure")
    jar.store(URL("http://a.test/"), ["a=evil; Domain=a.test"], NOW)
    jar.store(URL("http://x.www.a.test/"), ["a=evil"], NOW)
    assert len(jar) == 1  # though x.www.a.test does not get a host-only cookie: the draft compares domains alone

    jar.store(URL("https://a.test/"), ["a=own; Domain=a.test"], NOW)

    assert sent(jar, "https://www.a.test/") == "a=safe; a=own"


@pytest.mark.parametrize(
    ("field", "same_site"),
    [
        ("a=b; Secure; SameSite=None", "None"),
        ("a=b; Secure; SameSite=lax", "Lax"),
        ("a=b; Secure; samesite=STRICT", "Strict"),
        ("a=b; Secure; SameSite=Strict; SameSite=other", None),
        ("a=b; Secure", None),
    ],
)
def test_same_site_and_http_only_are_stored(field, same_site):
    """They are kept for whoever loads the jar, and withhold nothing here."""
    jar = jar_after("https://a.test/", field, "c=d; HttpOnly")

    assert [(cookie.same_site, cookie.http_only) for cookie in jar] == [(same_site, False), (None, True)]
    assert sent(jar, "https://a.test/") == "a=b; c=d"


def test_same_site_none_must_be_secure():
    """Step 19."""
    assert stored("https://a.test/", "a=b; SameSite=None") is None


@pytest.mark.parametrize(
    ("field", "is_stored"),
    [
        # The draft's own examples (§5.4).
        ("__Secure-SID=12345; Domain=site.example", False),
        ("__secure-SID=12345; Domain=site.example", False),
        ("__SECURE-SID=12345; Domain=site.example", False),
        ("__Host-SID=12345", False),
        ("__host-SID=12345; Secure", False),
        ("__host-SID=12345; Domain=site.example", False),
        ("__HOST-SID=12345; Domain=site.example; Path=/", False),
        ("__Host-SID=12345; Secure; Domain=site.example; Path=/", False),
        ("__host-SID=12345; Secure; Domain=site.example; Path=/", False),
        ("__HOST-SID=12345; Secure; Domain=site.example; Path=/", False),
        ("__Secure-SID=12345; Domain=site.example; Secure", True),
        ("__secure-SID=12345; Domain=site.example; Secure", True),
        ("__SECURE-SID=12345; Domain=site.example; Secure", True),
        ("__Host-SID=12345; Secure; Path=/", True),
        ("__host-SID=12345; Secure; Path=/", True),
        ("__HOST-SID=12345; Secure; Path=/", True),
        # And what stands beside them.
        ("__Host-SID=12345; Secure; Path=/x", False),
        ("__HostSID=12345", True),
        ("__Secure-a=b; Secure; SameSite=None", True),
        ("=__Host-a=b; Secure; Path=/", False),
        ("__Secure-a; Secure", False),
    ],
)
def test_name_prefixes(field, is_stored):
    """A prefix is a promise about the attributes, in any letter case, and a nameless cookie cannot fake it."""
    assert (stored("https://site.example/", field) is not None) == is_stored


# --- Storing and sending (§5.7 steps 23 and 24, §5.8) ---------------------------------------------


def test_a_cookie_replaces_itself_and_keeps_its_age():
    """Name, domain, path and host-only make the same cookie; its creation stays the first one."""
    jar = jar_after("http://a.test/", "a=1", "b=1")
    jar.store(URL("http://a.test/"), ["a=2"], NOW + 5)

    assert [(cookie.name, cookie.value) for cookie in jar] == [("a", "2"), ("b", "1")]
    assert NOW == next(iter(jar)).creation


def test_what_differs_in_domain_path_or_host_only_is_another_cookie():
    """All of them go out, each under the same name."""
    jar = jar_after("http://a.test/", "a=1", "a=2; Domain=a.test", "a=3; Path=/x", "A=4")

    assert sent(jar, "http://a.test/x") == "a=3; a=1; a=2; A=4"


def test_longer_paths_come_first_then_older_cookies():
    """The order of §5.8.3, across domains."""
    jar = CookieJar()
    jar.store(URL("http://www.a.test/"), ["new=1"], NOW + 2)
    jar.store(URL("http://www.a.test/"), ["old=1; Domain=a.test"], NOW + 1)
    jar.store(URL("http://www.a.test/"), ["deep=1; Path=/x/y", "mid=1; Path=/x"], NOW + 3)

    assert sent(jar, "http://www.a.test/x/y", NOW + 3) == "deep=1; mid=1; old=1; new=1"


def test_all_fields_of_a_response_are_taken():
    """How many those can be is bounded where the head of a response is."""
    jar = jar_after("http://a.test/", *(f"c{number}=v" for number in range(160)))

    assert [cookie.name for cookie in jar] == [f"c{number}" for number in range(160)]


def flood(jar, host, *, start, count, field="c{}=v", now=NOW):
    for number in range(start, start + count):
        jar.store(URL(f"https://{host}/"), [field.format(number)], now + number)


def test_a_domain_keeps_180_and_its_secure_cookies_longest():
    """Of those that are not Secure the oldest goes first."""
    jar = CookieJar()
    flood(jar, "a.test", start=0, count=10, field="s{}=v; Secure")
    flood(jar, "a.test", start=10, count=175)

    names = [cookie.name for cookie in jar]
    assert names == [*(f"s{number}" for number in range(10)), *(f"c{number}" for number in range(15, 185))]


def test_when_all_are_secure_the_oldest_of_the_domain_goes():
    """A flood of one domain costs only that domain's cookies."""
    jar = jar_after("http://b.test/", "other=1")
    flood(jar, "a.test", start=0, count=181, field="s{}=v; Secure")

    assert sum(cookie.domain == "a.test" for cookie in jar) == 180
    assert "s0" not in [cookie.name for cookie in jar]
    assert sent(jar, "http://b.test/") == "other=1"


def test_expired_cookies_make_room_first():
    """Nothing that is alive goes while something expired is there."""
    jar = CookieJar()
    flood(jar, "a.test", start=0, count=1, field="keep{}=v")
    flood(jar, "a.test", start=1, count=179, field="dead{}=v; Max-Age=1000")
    flood(jar, "a.test", start=0, count=100, now=NOW + 5000)

    assert [cookie.name for cookie in jar][:2] == ["keep0", "c0"]
    assert len(jar) == 101


def test_the_jar_keeps_3000_in_all():
    """Above that the oldest go, of whichever domain."""
    many = [Cookie(f"c{n}", "v", f"h{n % 30}.test", creation=float(n)) for n in range(3100)]

    jar = CookieJar(many)

    assert {cookie.name for cookie in jar} == {f"c{n}" for n in range(100, 3100)}


def test_all_that_is_kept_is_sent():
    """A sign-in in cookies of 4,096 bytes is whole or nothing (RFC 6265bis §6.1)."""
    jar = CookieJar(Cookie(f"c{n:03}", "v" * 4092, "a.test", creation=float(n)) for n in range(180))

    assert sent(jar, "http://a.test/") == "; ".join(f"c{n:03}=" + "v" * 4092 for n in range(180))


@pytest.mark.parametrize("site", ["{}.evil.test", "{}.evil.co.uk", "a.{}.evil.test"])
def test_subdomains_of_one_site_evict_no_other(site):
    """A site is counted with all that it can put below its name, so that it pushes out its own cookies only."""
    jar = jar_after("https://shop.test/", "session=kept; Secure", "plain=kept")
    for number in range(20):
        host = site.format(f"s{number}")
        jar.store(URL(f"https://{host}/"), [f"c{n}=v; Secure" for n in range(180)], NOW + 1 + number)

    assert 182 == len(jar)
    assert sent(jar, "https://shop.test/") == "session=kept; plain=kept"


def test_secure_cookies_are_the_last_to_go():
    """Of all sites together, too: what came in the clear goes first, however new it is."""
    jar = jar_after("https://shop.test/", "session=kept; Secure", "plain=lost")
    for number in range(18):
        jar.store(URL(f"https://s{number}.test/"), [f"c{n}=v" for n in range(180)], NOW + 1 + number)

    assert 3000 == len(jar)
    assert sent(jar, "https://shop.test/") == "session=kept"


def test_cookies_of_the_callers_own_go_in_the_order_in_which_they_were_set():
    """Also across domains."""
    jar = CookieJar()
    jar.set("b", "1", ".a.test")
    jar.set("a", "2", "www.a.test")
    jar.store(URL("http://www.a.test/"), ["0=3"], NOW)

    assert sent(jar, "http://www.a.test/") == "b=1; a=2; 0=3"


def test_an_empty_jar_and_no_match_send_nothing():
    """No Cookie field, rather than an empty one."""
    assert (bool(CookieJar()), sent(CookieJar(), "http://a.test/")) == (False, None)
    assert sent(jar_after("http://a.test/", "a=b"), "http://b.test/") is None


def test_a_response_without_cookies_changes_nothing():
    """Not even what is stored is copied."""
    jar = jar_after("http://a.test/", "a=b")
    before = jar._domains
    jar.store(URL("http://a.test/"), [], NOW)

    assert jar._domains is before


# --- The caller's hand on a jar -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "hosts"),
    [
        ("a.test", ["a.test"]),
        ("A.Test", ["a.test"]),
        (".a.test", ["a.test", "www.a.test"]),
        (".test", ["test"]),
        ("127.0.0.1", ["127.0.0.1"]),
        (".127.0.0.1", ["127.0.0.1"]),
    ],
)
def test_set(domain, hosts):
    """A cookie of the caller's own goes to the host, and with a leading dot to its subdomains."""
    jar = CookieJar()
    jar.set("a", "b", domain)

    asked = ["test", "a.test", "www.a.test", "127.0.0.1"]
    assert [host for host in asked if sent(jar, f"http://{host}/")] == hosts


def test_set_replaces_and_clear_forgets():
    """Setting a name again changes its value; `clear()` leaves an empty jar."""
    jar = CookieJar()
    jar.set("a", "1", "a.test")
    jar.set("a", "2", "a.test")
    jar.set("s", "3", "a.test", path="/x", secure=True)

    assert sent(jar, "http://a.test/x") == "a=2"
    assert sent(jar, "https://a.test/x") == "s=3; a=2"
    jar.clear()
    assert (len(jar), bool(jar)) == (0, False)


@pytest.mark.parametrize(
    ("name", "value", "domain", "path"),
    [
        ("a;b", "hunter2", "a.test", "/"),
        ("a=b", "hunter2", "a.test", "/"),
        ("a\r\nX-Injected: 1", "hunter2", "a.test", "/"),
        (b"a", "hunter2", "a.test", "/"),
        ("a", "hunter2\r\nX-Injected: 1", "a.test", "/"),
        ("a", "hunter2; b=c", "a.test", "/"),
        ("a", "hunter2\u010d\u010a", "a.test", "/"),
        ("a", b"hunter2", "a.test", "/"),
        ("a", "hunter2" + "x" * 4096, "a.test", "/"),
        ("a", "hunter2", "", "/"),
        ("a", "hunter2", "a.test/x", "/"),
        ("a", "hunter2", "a test", "/"),
        ("a", "hunter2", "a.test", ""),
        ("a", "hunter2", "a.test", "x"),
        ("a", "hunter2", "a.test", "/\n"),
    ],
)
def test_set_refuses_what_cannot_be_sent_without_showing_the_value(name, value, domain, path):
    """What could not stand in a Cookie field never gets into a jar."""
    jar = CookieJar()
    with pytest.raises(InvalidHeader) as caught:
        jar.set(name, value, domain, path=path)

    assert "hunter2" not in str(caught.value)
    assert len(jar) == 0


@pytest.mark.parametrize(
    ("given_cookies", "header"),
    [
        ({"a": "b"}, "a=b"),
        ({"a": "b", "c": "d e"}, "a=b; c=d e"),
        ({"a": '{"k": [1, 2]}'}, 'a={"k": [1, 2]}'),
        ({"a": ""}, "a="),
        ({"a": "\xe9"}, "a=\xe9"),
        ({}, ""),
    ],
)
def test_cookie_header(given_cookies, header):
    """The cookies of a call go out as they are written."""
    assert cookie_header(given_cookies) == header


@pytest.mark.parametrize(
    "given_cookies",
    [
        {"": "hunter2"},
        {"a=": "hunter2"},
        {"a;": "hunter2"},
        {1: "hunter2"},
        {b"a": "hunter2"},
        {"a": "hunter2;"},
        {"a": "hunter2\t"},
        {"a": "hunter2\r\nX-Injected: 1"},
        {"a": "hunter2\n"},
        {"a": "hunter2\0"},
        {"a": "hunter2\x7f"},
        {"a": "hunter2\u20ac"},
        {"a": b"hunter2"},
        {"a": None},
        {"a": 1},
    ],
)
def test_cookie_header_refuses_without_showing_the_value(given_cookies):
    """A name comes back as it went, a value has nothing that would end it."""
    with pytest.raises(InvalidHeader) as caught:
        cookie_header(given_cookies)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("jar", "call", "header"),
    [
        (None, "a=1", "a=1"),
        ("b=2", "", "b=2"),
        ("b=2", "a=1", "b=2; a=1"),
        ("a=2; b=2; a=3", "a=1", "b=2; a=1"),
        ("a=2", "a=1", "a=1"),
        ("A=2; aa=2", "a=1", "A=2; aa=2; a=1"),
        ("b=a=2; lonely", "a=1", "b=a=2; lonely; a=1"),
    ],
)
def test_a_calls_own_cookies_win_over_the_jar(jar, call, header):
    """Names are compared as they are, and only the call's is sent where both have one."""
    assert merged(jar, call) == header


# --- Secrets --------------------------------------------------------------------------------------


def test_no_repr_shows_a_value():
    """Neither a cookie nor a jar tells what is in it; what a server wrote cannot forge a log line."""
    jar = jar_after("https://a.test/x/", "sid=hunter2; Secure", "hunter2", "\x85=1; Path=/\x85")

    shown = f"{jar!r} {jar} {list(jar)!r}"
    assert "hunter2" not in shown
    assert "\x85" not in shown
    assert "<CookieJar 3 cookies>" in shown
    assert "<Cookie 'sid' of a.test/x>" in shown


def test_no_pickle_holds_a_value():
    """A jar pickles as an empty one, a cookie not at all."""
    jar = jar_after("http://a.test/", "a=hunter2")

    assert b"hunter2" not in pickle.dumps(jar)
    assert len(pickle.loads(pickle.dumps(jar))) == 0
    with pytest.raises(TypeError, match="to_json"):
        pickle.dumps(next(iter(jar)))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_a_jar_of_its_own(copied):
    """What stays in the process is copied whole, and what is stored in one jar afterwards is not in the other."""
    jar = jar_after("http://a.test/", "a=1")
    other = copied(jar)
    other.set("b", "2", "a.test")

    assert [1, 2] == [len(jar), len(other)]


# --- Saving and loading ---------------------------------------------------------------------------


FULL = CookieJar(
    [
        Cookie("host", "only", "a.test", creation=NOW),
        Cookie("all", "of it", "a.test", host_only=False, path="/x", creation=NOW + 0.5),
        Cookie(
            "s", '"q"\xe9', "a.test", secure=True, http_only=True, same_site="None", expires=NOW + 60.0, creation=NOW
        ),
        Cookie("", "lonely", "::1", same_site="Lax", creation=NOW),
        Cookie("empty", "", "127.0.0.1", expires=NOW + 60.0, creation=NOW),
    ]
)


def test_json_keeps_everything():
    """A jar comes back from its text cookie for cookie, host-only flag included."""
    text = FULL.to_json()

    assert text.isascii()
    assert list(CookieJar.from_json(text)) == list(FULL)
    assert json.loads(text)["version"] == 1


def test_netscape_keeps_what_the_format_has_a_word_for():
    """Everything but creation and SameSite comes back."""
    again = CookieJar.from_netscape(FULL.to_netscape())

    assert list(again) == [cookie.replace(creation=0.0, same_site=None) for cookie in FULL]


def test_netscape_lines():
    """The seven fields, as curl and http.cookiejar write them."""
    assert FULL.to_netscape().split("\n") == [
        "# Netscape HTTP Cookie File",
        "a.test\tFALSE\t/\tFALSE\t0\thost\tonly",
        ".a.test\tTRUE\t/x\tFALSE\t0\tall\tof it",
        '#HttpOnly_a.test\tFALSE\t/\tTRUE\t1700000060\ts\t"q"\xe9',
        "::1\tFALSE\t/\tFALSE\t0\t\tlonely",
        "127.0.0.1\tFALSE\t/\tFALSE\t1700000060\tempty\t",
        "",
    ]


def test_netscape_leaves_out_a_cookie_with_a_tab():
    """It would shift the fields of its line; JSON keeps it."""
    jar = jar_after("http://a.test/", "a\tb=1", "b=1\t2", "c=1; Path=/\tx", "d=1")
    assert len(CookieJar.from_json(jar.to_json())) == 4

    assert [cookie.name for cookie in CookieJar.from_netscape(jar.to_netscape())] == ["d"]


def test_the_standard_library_reads_our_netscape_file(tmp_path):
    """Another reader finds the same cookies."""
    path = tmp_path / "cookies.txt"
    path.write_text(FULL.to_netscape().replace("\xe9", ""), encoding="ascii")  # it opens files in the locale's coding
    theirs = MozillaCookieJar(path)
    theirs.load(ignore_discard=True, ignore_expires=True)

    found = {(cookie.name, cookie.domain, cookie.path, cookie.secure) for cookie in theirs}
    assert found >= {("host", "a.test", "/", False), ("all", ".a.test", "/x", False), ("s", "a.test", "/", True)}


@pytest.mark.parametrize(
    ("line", "cookie"),
    [
        ("A.test\ttrue\t/\tfalse\t0\ta\tb", Cookie("a", "b", "a.test", host_only=False)),
        (".a.test\tFALSE\t/\tFALSE\t0\ta\tb", Cookie("a", "b", "a.test")),
        ("a.test\tFALSE\t/\tFALSE\t-1\ta\tb\r", Cookie("a", "b", "a.test")),
        ("a.test\tFALSE\t/\tFALSE\t1700000000.5\ta\tb", Cookie("a", "b", "a.test", expires=1_700_000_000.5)),
        ("a.test\tFALSE\t/\tFALSE\t0\ta", Cookie("a", "", "a.test")),
        ("# comment", None),
        ("#a.test\tFALSE\t/\tFALSE\t0\ta\tb", None),
        ("", None),
        (" \t", None),
    ],
)
def test_what_others_write_into_a_netscape_file(line, cookie):
    """Flags in any case, line ends of Windows, an expiry of -1 or with a fraction, an empty value."""
    assert list(CookieJar.from_netscape(f"# HTTP Cookie File\n{line}\n")) == ([] if cookie is None else [cookie])


@pytest.mark.parametrize(
    "line",
    [
        "hunter2",
        "a.test\tFALSE\t/\tFALSE\t0",
        "a.test\tFALSE\t/\tFALSE\t0\ta\thunter2\tmore",
        "a.test\tMAYBE\t/\tFALSE\t0\ta\thunter2",
        "a.test\tFALSE\tx\tFALSE\t0\ta\thunter2",
        "a.test\tFALSE\t/\tFALSE\tnever\ta\thunter2",
        "a.test\tFALSE\t/\tFALSE\t" + "9" * 400 + "\ta\thunter2",
        "a.test\tFALSE\t/\tFALSE\t\u0661\ta\thunter2",
        "a.test\tFALSE\t/\tFALSE\t0\ta\thunter2\rX: 1",
        "a.test\tFALSE\t/\tFALSE\t0\ta\thunter2\u20ac",
        "a.test\tFALSE\t/\tFALSE\t0\ta;b\thunter2",
        "a@test\tFALSE\t/\tFALSE\t0\ta\thunter2",
        "a.test\tFALSE\t/\tFALSE\t0\t\t",
    ],
)
def test_a_bad_netscape_line_is_named_by_its_number(line):
    """Never by its text, which may be a secret."""
    with pytest.raises(InvalidSetting, match="line 2") as caught:
        CookieJar.from_netscape(f"# Netscape HTTP Cookie File\n{line}\n")

    assert "hunter2" not in str(caught.value)


def saved(**changes):
    fields = {**vars(Cookie("a", "hunter2", "a.test", creation=NOW)), **changes}
    return json.dumps({"version": 1, "cookies": [fields]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "[]",
        "{}",
        '{"version": 2, "cookies": []}',
        '{"version": 1, "cookies": {}}',
        '{"version": 1, "cookies": ["hunter2"]}',
        '{"version": 1, "cookies": [{"name": "a", "value": "hunter2"}]}',
        "[" * 100_000,
        "9" * 5000,
        saved(extra="hunter2"),
        saved(value="hunter2\r\nX-Injected: 1"),
        saved(value=["hunter2"]),
        saved(value="hunter2\u20ac"),
        saved(name="a\n"),
        saved(name="a;b"),
        saved(name=None),
        saved(domain=""),
        saved(domain="A.test"),
        saved(path="x"),
        saved(host_only="no"),
        saved(host_only=None),
        saved(secure=[]),
        saved(same_site="none"),
        saved(expires="0"),
        saved(expires=True),
        saved(expires=float("nan")),
        saved(expires=float("inf")),
        saved(expires=-1),
        saved(expires=10**400),
        saved(creation=None),
        saved(value="hunter2" * 1000),
    ],
    ids=lambda text: f"{text[:60]}-{len(text)}",
)
def test_what_is_no_saved_jar_is_refused_without_showing_a_value(text):
    """A jar is loaded from plain data that is checked field by field."""
    with pytest.raises(InvalidSetting, match="cookie jar") as caught:
        CookieJar.from_json(text)

    assert "hunter2" not in str(caught.value)


# --- For any input, and from many threads ---------------------------------------------------------

LATIN_1 = st.text(st.characters(max_codepoint=255))
NAMES = ["__Host-a", "__secure-a", "Domain", "Path", "Max-Age", "Expires", "Secure", "SameSite", "HttpOnly"]
VALUES = ["b", ".a.test", "www.a.test", "test", "/x", "-1", "99", "01 Jan 2030 00:00:00", "None"]
WORDS = st.sampled_from([*"a=; \t\x00\x7f\xff", *NAMES, *VALUES])
FIELDS = st.lists(st.one_of(LATIN_1, st.lists(WORDS).map("".join)), max_size=5)
URLS = st.sampled_from(
    ["http://www.a.test/x/y", "https://a.test/", "https://www.a.test./", "http://127.0.0.1/", "http://[::1]/"]
)


@given(FIELDS, URLS, st.floats(0, 1e10))
def test_any_field_leaves_a_jar_that_can_be_sent_and_saved(fields, url, now):
    """Storing never raises, what is sent is a legal field value, and JSON gives the same jar back."""
    jar = CookieJar()
    jar.store(URL(url), fields, now)
    header = sent(jar, url, now) or "-"

    assert not cookies._CONTROL(header)
    assert bool(jar) == (len(jar) > 0)
    assert list(CookieJar.from_json(jar.to_json())) == list(jar)
    assert len(CookieJar.from_netscape(jar.to_netscape())) <= len(jar)


@given(st.text())
def test_any_text_is_a_date_or_none(text):
    """Parsing a date never raises."""
    assert parse_date(text) is None or parse_date(text) >= -11_644_473_600


@given(st.text())
def test_any_text_is_a_jar_or_refused(text):
    """Loading raises our error or none."""
    for load in (CookieJar.from_json, CookieJar.from_netscape):
        with contextlib.suppress(InvalidSetting):
            load(text)


def test_readers_see_whole_responses():
    """While one thread stores, others never see a half of what a response set, and nothing breaks."""
    jar = CookieJar()
    url = URL("http://a.test/")
    done = threading.Event()
    seen = set()

    def read():
        while not done.is_set():
            header = jar.header(url, NOW)
            if header is not None:
                first, second = header.split("; ")
                seen.add(first[1:] == second[1:])
            list(jar)

    readers = [threading.Thread(target=read, daemon=True) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(2000):
        jar.store(url, [f"a={number}", f"b={number}"], NOW)
    done.set()
    for reader in readers:
        reader.join()

    assert seen <= {True}
    assert jar.header(url, NOW) == "a=1999; b=1999"


def test_a_pair_in_the_place_of_a_name() -> None:
    """A name with its value is refused without showing the value."""
    with pytest.raises(InvalidHeader, match=r"^cookie name 'sid=' is empty, or has"):
        cookie_header({"sid=hunter2": ""})


def test_a_jar_is_no_mapping() -> None:
    """What takes it for one, or a cookie for a pair, is told how to make a mapping of it."""
    jar = CookieJar([Cookie("a", "b", "host.test")])
    for take in (dict, lambda jar: [value for _, value in jar]):
        with pytest.raises(InvalidSetting, match=r"write \{cookie\.name: cookie\.value for cookie in jar\}"):
            take(jar)
