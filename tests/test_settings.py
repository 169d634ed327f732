"""Settings: plain data or our own types go in, one frozen value comes out, and errors name the key."""

from __future__ import annotations

import json
import pickle
import re
import tomllib
from typing import Any

import pytest

from unifetch import TLS, URL, Client, ConfigError, Headers, InvalidSetting, Limits, Timeout, configure
from unifetch.client.settings import Settings, parse

DOCUMENT = """
[http]
backend = "urllib"
base_url = "https://example.org/v1/"
redirects = 5
headers = { Accept = "application/json", X-Team = "core" }
timeout = { total = 20, connect = 2.5 }
limits = { body = 1048576 }
tls = { min_version = "1.3", alpn = ["http/1.1"] }
"""

PLAIN = tomllib.loads(DOCUMENT)["http"]

EXPECTED = Settings(
    base_url=URL("https://example.org/v1/"),
    redirects=5,
    headers=Headers({"Accept": "application/json", "X-Team": "core"}),
    timeout=Timeout(20, connect=2.5),
    limits=Limits(body=1048576),
    tls=TLS(min_version="1.3"),
)


def listener(event: object) -> None:
    """Does nothing; at the top of a module, so that it can be pickled."""


# --- What may be written --------------------------------------------------------------------------


def test_plain_data() -> None:
    """A table of a TOML file is all that a client needs; so is what JSON makes of it."""
    for table in (PLAIN, json.loads(json.dumps(PLAIN))):
        with Client(**table) as client:
            assert EXPECTED == client.settings
            assert "urllib" == client.backend.name


def test_defaults() -> None:
    """What nobody says is on the safe side."""
    settings = Settings()

    assert (None, Headers(), Timeout(300), 20, Limits(), TLS(), ()) == (
        settings.base_url,
        settings.headers,
        settings.timeout,
        settings.redirects,
        settings.limits,
        settings.tls,
        settings.listeners,
    )


@pytest.mark.parametrize(
    ("name", "setting", "expected"),
    [
        ("timeout", 5, Timeout(5, read=5, write=5, pool=5)),
        ("timeout", None, Timeout(None, connect=None, read=None, write=None, pool=None)),
        ("timeout", {"read": 1}, Timeout(read=1)),
        ("redirects", 0, 0),
        ("tls", False, TLS(verify=False)),
        ("tls", {"ca_file": "/ca.pem"}, TLS(ca_file="/ca.pem")),
        ("http2", True, True),
        ("http2", "only", "only"),
        ("limits", {"body": None}, Limits(body=None)),
        ("headers", [("X-A", "1"), ("X-A", "2")], Headers([("X-A", "1"), ("X-A", "2")])),
        ("headers", None, Headers()),
        ("base_url", None, None),
        ("base_url", "http://h", URL("http://h/")),
        ("listeners", listener, (listener,)),
        ("listeners", [listener], (listener,)),
        ("listeners", (), ()),
    ],
)
def test_one_setting(name: str, setting: Any, expected: object) -> None:
    """Numbers, strings and mappings become our own values; these are taken as they are."""
    assert {name: expected} == parse({name: setting}) == parse({name: expected})


# --- What is refused ------------------------------------------------------------------------------

WRONG: list[tuple[str, Any]] = [
    ("base_url", 5),
    ("base_url", "/relative"),
    ("base_url", "ftp://h/"),
    ("headers", 5),
    ("headers", {"X A": "1"}),
    ("headers", {"X": 5.5}),
    ("timeout", "5"),
    ("timeout", -1),
    ("timeout", {"reed": 5}),
    ("redirects", -1),
    ("redirects", True),
    ("redirects", "5"),
    ("redirects", 1.5),
    ("redirects", None),
    ("limits", 5),
    ("limits", {"bodies": 5}),
    ("tls", "no"),
    ("tls", {"verified": False}),
    ("tls", {"verify": 0}),
    ("tls", None),
    ("http2", None),
    ("http2", 1),
    ("http2", "yes"),
    ("listeners", 5),
    ("listeners", None),
    ("listeners", [5]),
    ("listeners", "abc"),
]


@pytest.mark.parametrize(("name", "wrong"), WRONG)
def test_wrong_value(name: str, wrong: Any) -> None:
    """The message begins with the key, wherever the setting is made."""
    for make in (parse, lambda settings: Client(**settings), lambda settings: configure(**settings)):
        with pytest.raises(InvalidSetting, match=f"^{name}: "):
            make({name: wrong})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("time_out", "did you mean timeout="),
        ("", "it takes backend, cookies, base_url, headers, "),
        ("Timeout", "did you mean timeout="),
        ("verify", "here it is tls="),
        ("proxies", "here it is proxy="),
    ],
)
def test_unknown_name(name: str, told: str) -> None:
    """The message shows it, and says what was probably meant, or lists those that there are."""
    for make in (parse, lambda settings: Client(**settings), lambda settings: configure(**settings)):
        with pytest.raises(InvalidSetting, match=f"^a client takes no {name}=; {re.escape(told)}"):
            make({name: 1})


def test_a_wrong_setting_changes_nothing(process: None) -> None:
    """`configure` takes all of its settings, or none."""
    with pytest.raises(ConfigError):
        configure(backend="nowhere", redirects=7, timeout=-1)

    with Client() as client:
        assert (Settings(), "urllib") == (client.settings, client.backend.name)


# --- A value --------------------------------------------------------------------------------------


def test_is_a_value() -> None:
    """Equal by its fields, hashable, frozen, pickled; `replace` takes plain data and checks it."""
    settings = Settings(**parse({name: value for name, value in PLAIN.items() if name != "backend"}))

    assert (EXPECTED, hash(EXPECTED)) == (settings, hash(settings))
    assert settings == pickle.loads(pickle.dumps(settings))
    assert (7, 5) == (settings.replace(redirects=7).redirects, settings.redirects)
    with pytest.raises(AttributeError, match="frozen"):
        settings.redirects = 7
    with pytest.raises(InvalidSetting, match=r"^redirects: "):
        settings.replace(redirects="7")


def test_repr_without_secrets() -> None:
    """Fields that carry a credential are masked there as well."""
    assert "hunter2" not in repr(Settings(**parse({"headers": {"Authorization": "hunter2"}})))


def test_client_pickles() -> None:
    """A client's configuration travels, its connections and credentials do not."""
    with Client(**{**PLAIN, "headers": {"X-A": "1"}, "listeners": listener}) as client:
        data = pickle.dumps(client)
        with pickle.loads(data) as copied:
            assert (client.settings, "urllib") == (copied.settings, copied.backend.name)


def test_client_with_a_credential_does_not_lose_it_silently() -> None:
    """The mask that a pickle leaves in its place is refused, where the client is made again or at its first call."""
    with Client(headers={"Authorization": "hunter2"}) as client:
        data = pickle.dumps(client)

    assert b"hunter2" not in data
    with pytest.raises((InvalidSetting, ValueError), match="mask of a credential"), pickle.loads(data) as copied:
        copied.get("http://h.invalid/")


# --- Who wins -------------------------------------------------------------------------------------


def test_call_over_client_over_process(process: None) -> None:
    """A setting is taken from the nearest who says something; fields are merged."""
    configure(redirects=1, timeout=1, headers={"X-A": "process"})
    with Client(redirects=2, timeout={"read": 2}) as client:
        assert (2, Timeout(1, read=2, write=1, pool=1), "process") == (
            client.settings.redirects,
            client.settings.timeout,
            client.settings.headers["x-a"],
        )
        assert Timeout(3, read=3, write=3, pool=3) == client.settings.replace(timeout=3).timeout


def test_configure_adds_up_and_reaches_clients_that_exist(process: None) -> None:
    """Each call keeps what the ones before have set."""
    with Client() as client:
        configure(redirects=1)
        configure(timeout=5)

        assert (1, Timeout(5, read=5, write=5, pool=5)) == (client.settings.redirects, client.settings.timeout)


def test_a_mapping_changes_what_it_names() -> None:
    """What a call says of one phase leaves the others as the client has them."""
    settings = Settings(timeout=Timeout(7, connect=1), tls=TLS(verify=False))
    changed = settings.replace(timeout={"read": 5}, tls={"min_version": "1.3"}, limits={"body": 9})

    assert Timeout(7, connect=1, read=5) == changed.timeout
    assert TLS(min_version="1.3") == changed.tls  # it verifies again
    assert (9, 200) == (changed.limits.body, changed.limits.ratio)


@pytest.mark.parametrize(
    "params", [{"api_key": "hunter2", "page": 1}, [("api_key", "hunter2"), ("page", 1)], "api_key=hunter2&page=1"]
)
def test_params_are_shown_without_their_secrets(params: Any) -> None:
    """The settings of a client show its params as a query, with its credentials masked."""
    assert "Settings(params='?api_key=REDACTED&page=1')" == repr(Client(params=params).settings)


@pytest.mark.parametrize("name", ["cookies", "backend"])
def test_what_a_client_has_does_not_change(name: str) -> None:
    """To assign what is read as an attribute is answered by the argument that sets it."""
    with pytest.raises(AttributeError, match=rf"a client does not change: .*Client\({name}=…\)"):
        setattr(Client(), name, {})


def test_progress_is_checked_without_a_body() -> None:
    """It has to be a callable also where there is no body to tell of."""
    with pytest.raises(InvalidSetting, match=r"^progress: must be a callable"):
        Client().request("GET", "http://127.0.0.1:1/", progress=5)  # type: ignore[arg-type]  # the mistake is the point
