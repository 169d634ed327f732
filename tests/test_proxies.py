"""Proxies: which one carries a request, and what it is told."""

from __future__ import annotations

import copy
import pickle
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifetch.errors import ConfigError, InvalidSetting
from unifetch.policies.proxies import Proxy, ProxyRules, environment_proxies

CORP = Proxy("http", "corp.test", 3128)


# --- One proxy ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://proxy.test:3128", Proxy("http", "proxy.test", 3128)),
        ("HTTP://Proxy.Test:3128/", Proxy("http", "proxy.test", 3128)),
        ("http://proxy.test", Proxy("http", "proxy.test", 80)),
        ("https://proxy.test", Proxy("https", "proxy.test", 443)),
        ("socks5://proxy.test", Proxy("socks5", "proxy.test", 1080)),
        ("socks5h://127.0.0.1:9050", Proxy("socks5h", "127.0.0.1", 9050)),
        ("http://[::1]:3128", Proxy("http", "::1", 3128)),
        ("http://squid_1:3128", Proxy("http", "squid_1", 3128)),
        ("http://user:pass@proxy.test:1", Proxy("http", "proxy.test", 1, "user", "pass")),
        ("http://user@proxy.test:1", Proxy("http", "proxy.test", 1, "user", "")),
        ("http://user:@proxy.test:1", Proxy("http", "proxy.test", 1, "user", "")),
        ("http://:pass@proxy.test:1", Proxy("http", "proxy.test", 1, "", "pass")),
        ("http://@proxy.test:1", Proxy("http", "proxy.test", 1)),
        ("http://us%40er:p%3A%2f%40:x@proxy.test:1", Proxy("http", "proxy.test", 1, "us@er", "p:/@:x")),
        ("http://j%C3%B6rg:gr\u00fcn@proxy.test:1", Proxy("http", "proxy.test", 1, "jörg", "grün")),
    ],
)
def test_a_proxy_is_read_from_its_url(text: str, expected: Proxy) -> None:
    """Scheme, host and port, and userinfo percent-decoded as UTF-8."""
    assert Proxy.of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "proxy.test:3128",
        "//proxy.test:3128",
        "socks4://proxy.test",
        "socks://proxy.test",
        "file:///etc/passwd",
        "http://",
        "http://:3128",
        "http://proxy.test:",
        "http://proxy.test:0",
        "http://proxy.test:65536",
        "http://proxy.test:+80",
        "http://proxy.test:8_0",
        "http://proxy.test:８０",
        "http://proxy.test:80/path",
        "http://proxy.test?x",
        "http://proxy.test#x",
        "http://proxy.test\\@evil.test",
        "http://proxy test",
        " http://proxy.test",
        "http://proxy.test\n",
        "http://proxy.test\r\nX-Injected: 1",
        "http://prox\u00fd.test",
        "http://%70roxy.test",
        "http://[::1",
        "http://[1::2::3]",
        "http://::1:80",
        "http://.proxy.test",
    ],
)
def test_a_malformed_proxy_is_refused(text: str) -> None:
    """Nothing is guessed: a proxy is where everything goes."""
    with pytest.raises(InvalidSetting, match="proxy: "):
        Proxy.of(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://user:SECRET@pro xy.test:80",
        "http://user:SECRET@proxy.test:99999",
        "http://user:SEC/RET@proxy.test:80",
        "http://user:SEC#RET@proxy.test:80",
        "http://user:SEC@RET@proxy.test:80",
        "http://SEC%0ARET:x@proxy.test:80",
        "http://user:SEC%0D%0ARET@proxy.test:80",
        "http://SECRET%3Auser:x@proxy.test:80",
        "http://user:SECRET%FF@proxy.test:80",
        "http://user:SECRET\udc80@proxy.test:80",
        "socks4://user:SECRET@proxy.test:80",
    ],
)
def test_a_refusal_shows_no_credential(text: str) -> None:
    """Secrets: the message names what is wrong without the userinfo."""
    with pytest.raises(InvalidSetting) as caught:
        Proxy.of(text)

    assert not [word for word in ("SEC", "RET") if word in str(caught.value)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("ftp", "proxy.test", 21),
        ("http", "proxy.test", "80"),
        ("http", "proxy.test", True),
        ("http", "1::2::3", 80),
        ("http", "proxy.test", 80, "user"),
        ("http", "proxy.test", 80, None, "pass"),
    ],
)
def test_a_proxy_checks_its_fields(arguments: Any) -> None:
    """The constructor is as strict as the URL."""
    with pytest.raises(InvalidSetting, match="proxy: "):
        Proxy(*arguments)


def test_a_proxy_is_shown_without_credentials() -> None:
    """Secrets: neither name nor password in repr, str or url."""
    proxy = Proxy.of("http://NAME:SECRET@[::1]:3128")

    assert repr(proxy) == str(proxy) == "Proxy('http://[redacted]@[::1]:3128')"
    assert proxy.url == "http://[::1]:3128"
    assert repr(CORP) == "Proxy('http://corp.test:3128')"
    assert "SECRET" not in repr(ProxyRules.of(proxy, {}))


def test_credentials_do_not_travel_in_a_pickle() -> None:
    """A copy that lost its credentials says so when they are needed; it does not go without."""
    proxy = Proxy.of("http://NAME:SECRET@corp.test:3128")
    data = pickle.dumps(ProxyRules(proxy, proxy))
    revived = pickle.loads(data)

    assert [secret for secret in (b"NAME", b"SECRET") if secret in data] == []
    assert revived.http.url == "http://corp.test:3128"
    with pytest.raises(ConfigError, match="set them again"):
        revived.proxy_for("http", "h.test", 80)
    assert pickle.loads(pickle.dumps(CORP)) == CORP
    assert copy.deepcopy(proxy) == copy.copy(proxy) == proxy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://user:pass@p.test:1", b"user:pass"),
        ("https://user:@p.test:1", b"user:"),
        ("http://j%C3%B6rg:gr%C3%BCn@p.test:1", "jörg:grün".encode()),
        ("http://user:a%3Ab@p.test:1", b"user:a:b"),
    ],
)
def test_a_proxy_is_authorized_with_basic(text: str, expected: bytes) -> None:
    """RFC 7617, in UTF-8."""
    assert Proxy.of(text).authorization == "Basic " + b64encode(expected).decode()


@pytest.mark.parametrize("text", ["http://p.test:1", "socks5://user:pass@p.test:1"])
def test_no_authorization_field_without_need(text: str) -> None:
    """Without credentials there is none; SOCKS has its own way (RFC 1929)."""
    assert Proxy.of(text).authorization is None


# --- From the environment -------------------------------------------------------------------------

P, Q, R = (Proxy("http", f"{name}.test", 80) for name in "pqr")


@pytest.mark.parametrize(
    ("environ", "http", "https"),
    [
        ({}, None, None),
        ({"http_proxy": "http://p.test"}, P, None),
        ({"HTTP_PROXY": "http://p.test"}, P, None),
        ({"HTTPS_PROXY": "http://p.test"}, None, P),
        ({"ALL_PROXY": "http://p.test"}, P, P),
        ({"all_proxy": "http://p.test", "https_proxy": "http://q.test"}, P, Q),
        ({"http_proxy": "http://p.test", "HTTP_PROXY": "http://q.test"}, P, None),
        ({"http_proxy": "", "HTTP_PROXY": "http://q.test"}, None, None),
        ({"http_proxy": "", "HTTP_PROXY": "http://q.test", "ALL_PROXY": "http://r.test"}, R, R),
        ({"http_proxy": " \t"}, None, None),
        ({"http_proxy": "p.test"}, P, None),
        ({"http_proxy": "p.test:80/"}, P, None),
        ({"http_proxy": " http://p.test\n"}, P, None),
        ({"https_proxy": "socks5h://s.test"}, None, Proxy("socks5h", "s.test", 1080)),
        ({"ftp_proxy": "http://p.test", "Http_Proxy": "http://p.test"}, None, None),
        # httpoxy: in CGI, HTTP_PROXY is what the peer sent as its Proxy field.
        ({"HTTP_PROXY": "http://p.test", "REQUEST_METHOD": "GET"}, None, None),
        ({"HTTP_PROXY": "http://p.test", "REQUEST_METHOD": ""}, None, None),
        ({"http_proxy": "http://q.test", "HTTP_PROXY": "http://p.test", "REQUEST_METHOD": "GET"}, Q, None),
        ({"HTTP_PROXY": "http://p.test", "HTTPS_PROXY": "http://q.test", "REQUEST_METHOD": "GET"}, None, Q),
    ],
)
def test_the_environment_names_a_proxy(environ: dict[str, str], http: Proxy | None, https: Proxy | None) -> None:
    """BEHAVIOUR #19: lower case wins, an empty variable is none, and a CGI script believes no HTTP_PROXY."""
    rules = environment_proxies(environ)

    assert (rules.http, rules.https) == (http, https)


def test_the_environment_of_windows_does_not_hide_httpoxy() -> None:
    """There a look-up ignores case, and finds the peer's HTTP_PROXY under the lower-case name."""

    class WindowsEnviron(Mapping[str, str]):
        variables = {"HTTP_PROXY": "http://evil.test", "REQUEST_METHOD": "GET"}  # noqa: RUF012  # never changed

        def __getitem__(self, name: str) -> str:
            return self.variables[name.upper()]

        def __iter__(self) -> Iterator[str]:
            return iter(self.variables)

        def __len__(self) -> int:
            return len(self.variables)

    environ = WindowsEnviron()

    assert environ["http_proxy"] == "http://evil.test"
    assert environment_proxies(environ).http is None


@pytest.mark.parametrize("url", ["socks4://p.test", "http://p.test:99999", "http://", "http://a b", "ftp://p.test"])
@pytest.mark.parametrize("variable", ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_used_is_an_error(variable: str, url: str) -> None:
    """It never means a direct connection; the message names the variable, where the proxy would be used."""
    rules = environment_proxies({variable: url, "no_proxy": "exempt.test"})
    scheme = "https" if variable == "HTTPS_PROXY" else "http"

    assert rules.proxy_for(scheme, "exempt.test", 80) is None
    with pytest.raises(InvalidSetting, match=f"^{variable}: proxy: "):
        rules.proxy_for(scheme, "other.test", 80)


@pytest.mark.parametrize(
    "url", ["http://u:p#w@p.test", "http://u:p/w@p.test", "http://u:p@w@p.test", "http://u:p w@p.test"]
)
def test_a_password_that_is_not_encoded(url: str) -> None:
    """The error says what to do, and shows nothing of it."""
    with pytest.raises(InvalidSetting, match="percent-encode") as caught:
        Proxy.of(url)

    assert "p#w" not in str(caught.value)
    assert "u:" not in str(caught.value)


# --- NO_PROXY -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("no_proxy", "origin", "direct"),
    [
        ("", "http://example.test:80", False),
        ("*", "http://example.test:80", True),
        ("*", "http://10.0.0.1:80", True),
        ("a.test, *", "http://b.test:80", True),
        ("*:8080", "http://b.test:8080", True),
        ("*:8080", "http://b.test:80", False),
        # A domain, with what is below it, at the borders of labels only.
        ("project.example", "http://project.example:80", True),
        ("project.example", "http://www.project.example:80", True),
        ("project.example", "http://a.b.project.example:80", True),
        ("ect.example", "http://project.example:80", False),
        ("project.example", "http://project.example.evil.test:80", False),
        ("project.example", "http://example:80", False),
        (".project.example", "http://project.example:80", True),
        (".project.example", "http://www.project.example:80", True),
        (".ect.example", "http://project.example:80", False),
        ("*.project.example", "http://project.example:80", True),
        ("*.project.example", "http://www.project.example:80", True),
        ("*ect.example", "http://project.example:80", False),
        ("PROJECT.Example", "http://project.example:80", True),
        ("project.example.", "http://project.example:80", True),
        ("project.example", "http://project.example.:80", True),
        ("xn--mnchen-3ya.test", "http://xn--mnchen-3ya.test:80", True),
        ("localhost", "http://localhost:8000", True),
        ("localhost", "http://127.0.0.1:8000", False),
        ("my_host", "http://my_host:80", True),
        # Commas, spaces, both, and what is left empty.
        ("a.test,b.test", "http://b.test:80", True),
        ("a.test b.test", "http://b.test:80", True),
        (" a.test ,\t b.test,, ", "http://b.test:80", True),
        # Ports.
        ("example.test:8080", "http://example.test:8080", True),
        ("example.test:8080", "http://www.example.test:8080", True),
        ("example.test:8080", "http://example.test:80", False),
        ("example.test:80", "https://example.test:443", False),
        ("example.test:443", "https://example.test:443", True),
        ("10.0.0.1:8080", "http://10.0.0.1:8080", True),
        ("10.0.0.1:8080", "http://10.0.0.1:80", False),
        ("[::1]:8080", "http://[::1]:8080", True),
        ("[::1]:8080", "http://[::1]:80", False),
        # Addresses and networks.
        ("10.0.0.1", "http://10.0.0.1:80", True),
        ("10.0.0.1", "http://10.0.0.11:80", False),
        ("10.0.0.1", "http://www.10.0.0.1.test:80", False),
        ("0.0.1", "http://127.0.0.1:80", False),
        (".0.0.1", "http://127.0.0.1:80", False),
        ("1", "http://127.0.0.1:80", False),
        ("10.0.0.0/8", "http://10.255.0.1:80", True),
        ("10.0.0.0/8", "http://11.0.0.1:80", False),
        ("10.1.2.3/8", "http://10.255.0.1:80", True),
        ("10.0.0.0/8", "http://10.example.test:80", False),
        ("127.0.0.0/8", "http://localhost:80", False),
        ("0.0.0.0/0", "http://10.0.0.1:80", True),
        ("0.0.0.0/0", "http://[::1]:80", False),
        ("10.0.0.0/8:8080", "http://10.0.0.1:8080", True),
        ("10.0.0.0/8:8080", "http://10.0.0.1:80", False),
        ("::1", "http://[::1]:80", True),
        ("[::1]", "http://[::1]:80", True),
        ("0:0:0:0:0:0:0:1", "http://[::1]:80", True),
        ("::1", "http://[::2]:80", False),
        ("fd00::/8", "http://[fd12::1]:80", True),
        ("FD00::/8", "http://[fe80::1]:80", False),
        # What says nothing matches nothing, and leaves the others be.
        ("10.0.0.0/99", "http://10.0.0.1:80", False),
        ("<local>,b.test", "http://b.test:80", True),
        ("http://b.test", "http://b.test:80", False),
        ("example.test:", "http://example.test:80", False),
        ("example.test:+80", "http://example.test:80", False),
        ("example.test:８０", "http://example.test:80", False),
        (".", "http://example.test:80", False),
        ("*.", "http://example.test:80", False),
        ("**", "http://example.test:80", False),
    ],
)
def test_no_proxy(no_proxy: str, origin: str, direct: bool) -> None:
    """TRUST, proxies: NO_PROXY by label, case, port, address and network."""
    scheme, _, authority = origin.partition("://")
    host, _, port = authority.rpartition(":")
    for variable in ("no_proxy", "NO_PROXY"):
        rules = environment_proxies({"ALL_PROXY": "http://corp.test:3128", variable: no_proxy})

        assert rules.proxy_for(scheme, host.strip("[]"), int(port)) == (None if direct else CORP)


def test_lower_case_no_proxy_wins() -> None:
    """As with the others."""
    rules = environment_proxies({"ALL_PROXY": "http://corp.test:3128", "no_proxy": "a.test", "NO_PROXY": "b.test"})

    assert [rules.proxy_for("http", host, 80) for host in ("a.test", "b.test")] == [None, CORP]


@given(st.text(max_size=60) | st.text(alphabet="*.:/[]0123456789abc, ", max_size=60), st.sampled_from(["a.b", "::1"]))
def test_no_no_proxy_raises(no_proxy: str, host: str) -> None:
    """The environment is shared with programs of other opinions: what we cannot read matches nothing."""
    rules = environment_proxies({"ALL_PROXY": "http://corp.test:3128", "NO_PROXY": no_proxy})

    assert rules.proxy_for("http", host, 80) in (None, CORP)


@given(st.text(max_size=60) | st.text(alphabet="http://us%4er:@[]?#.", max_size=60))
def test_any_text_is_a_proxy_or_a_setting_error(text: str) -> None:
    """No other exception comes of a text."""
    try:
        proxy = Proxy.of(text)
    except InvalidSetting:
        return

    assert Proxy.of(proxy.url).replace(username=proxy.username, password=proxy.password) == proxy


# --- The setting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, ProxyRules()),
        ("http://p.test", ProxyRules(P, P)),
        (P, ProxyRules(P, P)),
        (ProxyRules(P), ProxyRules(P)),
        ("env", ProxyRules(Q, Q, ("a.test",))),
        ({}, ProxyRules()),
        ({"http": "http://p.test"}, ProxyRules(P)),
        ({"https": P, "http": None}, ProxyRules(None, P)),
        ({"all": "http://p.test", "https": "http://q.test"}, ProxyRules(P, Q)),
        ({"all": "http://p.test", "https": None}, ProxyRules(P, None)),
        ({"all": "http://p.test", "no": ["b.test", "10.0.0.0/8"]}, ProxyRules(P, P, ("b.test", "10.0.0.0/8"))),
        ({"all": "http://p.test", "no": "b.test, *.c.test"}, ProxyRules(P, P, ("b.test", "*.c.test"))),
    ],
)
def test_of_takes_plain_data(setting: Any, expected: ProxyRules) -> None:
    """Only the word "env" reads the environment; whatever else is set stands alone."""
    assert ProxyRules.of(setting, {"ALL_PROXY": "http://q.test", "NO_PROXY": "a.test"}) == expected


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("", "proxy: "),
        ("environment", "proxy: "),
        (3128, "int"),
        (True, "bool"),
        (b"http://p.test", "bytes"),
        ({"ftp": "http://p.test"}, "'ftp'"),
        ({"http": ""}, "proxy: "),
        ({"http": 1}, "int"),
        ({"no": 1}, "no must be"),
        ({"no": [1]}, "no must be"),
        ({"no": ["http://b.test"]}, "'http://b.test'"),
        ({"no": ["10.0.0.0/99"]}, "'10.0.0.0/99'"),
    ],
)
def test_a_wrong_setting_is_named(setting: Any, named: str) -> None:
    """In a setting of our own, also an exemption that says nothing is a mistake."""
    with pytest.raises(InvalidSetting, match=named):
        ProxyRules.of(setting, {})


def test_rules_are_a_value() -> None:
    """They compare, hash and pickle."""
    rules = ProxyRules(P, Q, ("a.test", "10.0.0.0/8"))

    assert pickle.loads(pickle.dumps(rules)) == rules == rules.replace()
    assert hash(rules) == hash(rules.replace())
