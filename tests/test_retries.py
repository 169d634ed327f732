"""Retries: when a request is sent again, and after how long."""

from __future__ import annotations

import pickle
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifetch.errors import (
    ConfigError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DecodingError,
    IncompleteBody,
    InvalidRequest,
    InvalidSetting,
    NameResolutionError,
    PoolTimeout,
    ProtocolError,
    ProxyError,
    ReadTimeout,
    RedirectError,
    TLSError,
    TooLarge,
    TotalTimeout,
    UnifetchError,
)
from unifetch.model.headers import Headers
from unifetch.policies.retries import Retry, retry_after

NOW = 784_111_700.0  # 77 seconds before the date of the examples in RFC 9110 §5.6.7


def wait(retry: Retry | None = None, attempt: int = 1, method: str = "GET", **case: Any) -> float | None:
    given_case: dict[str, Any] = {"replayable": True, "now": NOW, "random": 1.0, **case}
    return (retry or Retry()).wait_before(attempt, method, **given_case)


def failed(kind: type[UnifetchError], sent: str = "maybe", status: int | None = None) -> UnifetchError:
    error = kind("it failed", request_sent=sent)  # type: ignore[arg-type]  # the tests know the three words
    if isinstance(error, ProxyError):
        error.status = status
    return error


# --- What is sent again ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [ConnectError, NameResolutionError, ConnectTimeout, PoolTimeout, ReadTimeout, ConnectionLost, IncompleteBody],
)
def test_what_may_pass_is_tried_again(kind: type[UnifetchError]) -> None:
    """An error of the network may not come again."""
    assert wait(error=failed(kind)) == 0.5


@pytest.mark.parametrize(
    "kind",
    [InvalidRequest, ConfigError, TLSError, TooLarge, DecodingError, RedirectError, ProtocolError, TotalTimeout],
)
@pytest.mark.parametrize("sent", ["no", "maybe", "yes"])
def test_what_will_fail_again_is_final(kind: type[UnifetchError], sent: str) -> None:
    """A wrong call, a refused certificate, a limit or a spent deadline stays what it is."""
    assert wait(error=failed(kind, sent)) is None


@pytest.mark.parametrize(("status", "expected"), [(None, 0.5), (503, 0.5), (407, None), (403, None)])
def test_a_proxy_that_said_no_is_final(status: int | None, expected: float | None) -> None:
    """A proxy that fails may recover; one that refuses us does not."""
    assert wait(error=failed(ProxyError, "no", status)) == expected


@pytest.mark.parametrize(
    ("method", "sent", "expected"),
    [
        ("GET", "maybe", 0.5),
        ("PUT", "yes", 0.5),
        ("DELETE", "maybe", 0.5),
        ("POST", "no", 0.5),
        ("PATCH", "no", 0.5),
        ("POST", "maybe", None),
        ("POST", "yes", None),
        ("PATCH", "maybe", None),
        ("get", "maybe", None),
        ("PURGE", "maybe", None),
    ],
)
def test_only_what_is_idempotent_or_was_not_sent_is_repeated(method: str, sent: str, expected: float | None) -> None:
    """RFC 9110 §9.2.2: a request that may have had an effect is repeated only if its method allows it."""
    assert wait(method=method, error=failed(ConnectionLost, sent)) == expected


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_these_statuses_are_asked_again(status: int) -> None:
    """What says "not now" is asked again, for the idempotent methods."""
    assert wait(status=status, headers=Headers()) == 0.5
    assert wait(method="POST", status=status, headers=Headers()) is None


@pytest.mark.parametrize("status", [200, 304, 400, 401, 404, 408, 413, 425, 500, 501])
def test_other_statuses_are_the_answer(status: int) -> None:
    """Any other status is final."""
    assert wait(status=status, headers=Headers({"Retry-After": "1"})) is None


def test_methods_and_statuses_can_be_chosen() -> None:
    """Who knows that a POST is safe to repeat can say so."""
    retry = Retry(methods=("POST",), statuses=(500,))

    assert wait(retry, method="POST", status=500) == 0.5
    assert wait(retry, method="GET", status=500) is None
    assert wait(retry, method="POST", status=503) is None


@pytest.mark.parametrize("case", [{"error": failed(ConnectError, "no")}, {"status": 503}])
def test_a_body_that_cannot_be_replayed_is_never_resent(case: dict[str, Any]) -> None:
    """Not even if not a byte of the request had left."""
    assert wait(replayable=False, **case) is None


def test_attempts_count_the_first_one() -> None:
    """Three attempts are two retries, whatever they failed with."""
    error = failed(ConnectError, "no")

    assert [wait(attempt=attempt, error=error) for attempt in (1, 2, 3, 4)] == [0.5, 1.0, None, None]
    assert wait(Retry(attempts=1), error=error) is None


# --- After how long -------------------------------------------------------------------------------


def test_the_wait_doubles_up_to_the_most() -> None:
    """Back-off is exponential, and capped."""
    retry = Retry(attempts=100, backoff=1, max_wait=10)
    waits = [wait(retry, attempt=attempt, status=503) for attempt in (1, 2, 3, 4, 5, 99)]

    assert waits == [1, 2, 4, 8, 10, 10]


def test_the_wait_is_random_from_nothing_up() -> None:
    """Full jitter: clients that failed together do not come back together."""
    assert [wait(attempt=2, status=503, random=random) for random in (0.0, 0.25, 0.5)] == [0.0, 0.25, 0.5]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        ("120", 120),
        ("00120", 120),
        ("9" * 5000, float("inf")),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 77),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 77),
        ("Sun Nov  6 08:49:37 1994", 77),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
        # Neither:
        ("", None),
        ("-1", None),
        ("+5", None),
        ("1_0", None),
        ("1.5", 1.5),
        ("0.7", 0.7),
        (".7", None),
        ("1.", None),
        ("1e3", None),
        ("5 s", None),
        ("5\n", None),
        ("５", None),
        ("120, 120", None),
        ("Sun, 06 Nov 1994 08:49:37", None),
        ("Sun, 06 Nov 1994 08:49:37 +0100", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT\n", None),
        ("Sun, 6 Nov 1994 08:49:37 GMT", None),
        ("Sun, 31 Feb 2030 00:00:00 GMT", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 25:49:37 GMT", None),
        ("Sun, 06 Nov 0000 08:49:37 GMT", None),
        ("1994-11-06T08:49:37Z", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, expected: float | None) -> None:
    """RFC 9110 §10.2.3 and §5.6.7: whole seconds, or one of the three forms of a date."""
    assert retry_after(value, NOW) == expected


@given(st.text(max_size=40) | st.text(alphabet="0123456789 ,:-GMTSunNov", max_size=40))
def test_no_retry_after_raises(value: str) -> None:
    """Whatever a server sends, it is a wait or nothing."""
    seconds = retry_after(value, NOW)

    assert seconds is None or seconds >= 0


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_every_date_is_read_back(epoch: int) -> None:
    """Any HTTP-date gives its distance from now."""
    assert retry_after(formatdate(epoch, usegmt=True), 0.0) == epoch


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("Retry-After", "7")], 7),
        ([("RETRY-AFTER", "Sun, 06 Nov 1994 08:49:37 GMT")], 77),
        ([("Retry-After", "0")], 0),
        ([("Retry-After", "soon")], 0.5),
        ([("Retry-After", "1"), ("Retry-After", "9")], 0.5),
        ([("Retry-After", "3600")], 3600),
    ],
)
def test_retry_after_takes_the_place_of_the_back_off(fields: list[tuple[str, str]], expected: float) -> None:
    """Without jitter; what is above `max_wait` is told as it is, for the caller to raise."""
    assert wait(status=503, headers=Headers(fields)) == expected


def test_retry_after_can_be_ignored() -> None:
    """Then the back-off decides, also about a wait that would be too long."""
    assert wait(Retry(respect_retry_after=False), status=503, headers=Headers({"Retry-After": "3600"})) == 0.5


def test_only_a_retry_after_is_longer_than_the_most() -> None:
    """So a wait above `max_wait` means that the server asks for it."""
    retry = Retry(attempts=100, backoff=86_400, max_wait=3)

    assert wait(retry, attempt=99, status=503) == 3
    assert wait(retry, attempt=99, error=failed(ConnectError)) == 3


# --- The setting ----------------------------------------------------------------------------------


def test_of_takes_plain_data() -> None:
    """None, a number and a table of a TOML file."""
    table = {"attempts": 5, "backoff": 0.1, "statuses": [503], "methods": ["GET"], "respect_retry_after": False}

    assert Retry.of(None) is None
    assert Retry.of(4) == Retry(4)
    assert Retry.of(Retry(2)) == Retry(2)
    assert Retry.of(table) == Retry(5, backoff=0.1, statuses=(503,), methods=("GET",), respect_retry_after=False)


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        (0, "attempts"),
        (101, "attempts"),
        (True, "attempts"),
        (2.0, "attempts"),
        ("3", "attempts"),
        ({"attempts": None}, "attempts"),
        ({"backoff": -1}, "backoff"),
        ({"backoff": float("nan")}, "backoff"),
        ({"backoff": True}, "backoff"),
        ({"max_wait": float("inf")}, "max_wait"),
        ({"max_wait": None}, "max_wait"),
        ({"statuses": 503}, "statuses"),
        ({"statuses": ["503"]}, "statuses"),
        ({"statuses": [200]}, "statuses"),
        ({"methods": "GET"}, "methods"),
        ({"methods": ["GE T"]}, "methods"),
        ({"respect_retry_after": 1}, "respect_retry_after"),
        ({"retries": 3}, "'retries'"),
        ({3: 3}, "3"),
    ],
)
def test_a_wrong_setting_is_named(setting: Any, key: str) -> None:
    """The message says which key is wrong."""
    with pytest.raises(InvalidSetting, match=f"retry: .*{key}"):
        Retry.of(setting)


def test_a_retry_is_a_value() -> None:
    """It compares, hashes, pickles and is copied with changes, checked again."""
    retry = Retry(5, methods=("GET",))

    assert pickle.loads(pickle.dumps(retry)) == retry
    assert hash(retry) == hash(Retry(5, methods=("GET",)))
    assert retry.replace(attempts=2).attempts == 2
    with pytest.raises(InvalidSetting):
        retry.replace(attempts=0)
