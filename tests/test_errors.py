"""Errors: one tree, attributes that survive a pickle, evidence that cannot harm."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Iterator
from typing import Any, Literal

import pytest

import unifetch
from unifetch import (
    AsyncClient,
    Client,
    ConnectError,
    ConnectionLost,
    Headers,
    ReadTimeout,
    Request,
    Response,
    StatusError,
    TLSError,
    TotalTimeout,
    UnifetchError,
    errors,
)
from unifetch.errors import evidence
from unifetch.testing import Answer, intercept

REQUEST = Request("GET", "http://user:hunter2@h/path", headers={"Authorization": "Bearer hunter2", "X-Kept": "1"})
RESPONSE = Response(
    status=404, reason="Not Found", headers=Headers({"Set-Cookie": "sid=hunter2"}), body=b"gone", request=REQUEST
)

# Each class, the one above it, and the builtin that catches it, too.
TREE: list[tuple[str, str, type[Exception]]] = [
    ("InvalidRequest", "UnifetchError", ValueError),
    ("InvalidURL", "InvalidRequest", ValueError),
    ("InvalidMethod", "InvalidRequest", ValueError),
    ("InvalidHeader", "InvalidRequest", ValueError),
    ("InvalidBody", "InvalidRequest", ValueError),
    ("ConfigError", "UnifetchError", ValueError),
    ("InvalidSetting", "ConfigError", ValueError),
    ("UnknownBackend", "ConfigError", ValueError),
    ("BackendNotInstalled", "ConfigError", ImportError),
    ("ConfigConflict", "ConfigError", ValueError),
    ("UnsupportedCapability", "ConfigError", ValueError),
    ("ConnectError", "UnifetchError", ConnectionError),
    ("NameResolutionError", "ConnectError", ConnectionError),
    ("TLSError", "ConnectError", ConnectionError),
    ("ProxyError", "ConnectError", ConnectionError),
    ("TimedOut", "UnifetchError", TimeoutError),
    ("PoolTimeout", "TimedOut", TimeoutError),
    ("ConnectTimeout", "TimedOut", TimeoutError),
    ("WriteTimeout", "TimedOut", TimeoutError),
    ("ReadTimeout", "TimedOut", TimeoutError),
    ("TotalTimeout", "TimedOut", TimeoutError),
    ("ConnectionLost", "UnifetchError", ConnectionError),
    ("ProtocolError", "UnifetchError", Exception),
    ("IncompleteBody", "ProtocolError", Exception),
    ("TooLarge", "ProtocolError", Exception),
    ("DecodingError", "ProtocolError", Exception),
    ("RedirectError", "ProtocolError", Exception),
    ("TooManyRedirects", "RedirectError", Exception),
    ("StatusError", "UnifetchError", Exception),
    ("InvalidJSON", "UnifetchError", ValueError),
    ("StreamError", "UnifetchError", RuntimeError),
]


def kinds(kind: type[UnifetchError] = UnifetchError) -> Iterator[type[UnifetchError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == "unifetch.errors":
            yield from kinds(below)


KINDS = list(kinds())


def made(kind: type[UnifetchError]) -> UnifetchError:
    """An error of this class, with all that an exchange gives it."""
    error = StatusError("went wrong", RESPONSE) if kind is StatusError else kind("went wrong", request_sent="maybe")
    error.request, error.backend = REQUEST, "urllib"
    return error


# --- The tree -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "above", "builtin"), TREE)
def test_tree(name: str, above: str, builtin: type[Exception]) -> None:
    """Each error can be caught by its name, its branch, the root, and the standard library's word for it."""
    kind = getattr(errors, name)

    assert (getattr(errors, above), True, True) == (
        kind.__bases__[0],
        issubclass(kind, builtin),
        issubclass(kind, UnifetchError),
    )


def test_the_table_above_is_complete() -> None:
    """Every class of the module is in it, and nobody has two names."""
    assert {"UnifetchError", *(name for name, _, _ in TREE)} == {kind.__name__ for kind in KINDS}


def test_every_error_is_public() -> None:
    """What can be raised can be imported from `unifetch`."""
    assert set() == {kind.__name__ for kind in KINDS} - set(unifetch.__all__)


# --- What an error tells --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not StatusError])
def test_message_and_state(kind: type[UnifetchError]) -> None:
    """The message is what was given; an error that nobody has told more knows no request."""
    error = kind("went wrong")

    assert ("went wrong", ("went wrong",)) == (str(error), error.args)
    assert ("no", None, None) == (error.request_sent, error.request, error.backend)


def test_status_error_carries_the_response() -> None:
    """It knows the response, and through it the request and the backend."""
    error = StatusError("404 for GET", RESPONSE.replace(backend="urllib"))

    assert ("yes", RESPONSE.request, "urllib", 404) == (
        error.request_sent,
        error.request,
        error.backend,
        error.response.status,
    )


def test_attributes_of_single_classes() -> None:
    """What only some errors can know has a value that says nothing until it is known."""
    assert (None, False) == (errors.ProxyError("x").status, errors.ConnectionLost("x").reused)


# --- Pickles and copies ---------------------------------------------------------------------------


@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", KINDS)
def test_pickle(kind: type[UnifetchError], again: object) -> None:
    """A pickle and a copy keep the class, the message and every attribute."""
    error = made(kind)
    error.add_note("a note")
    twin = again(error)  # type: ignore[operator]  # one of the three functions

    assert (type(error), str(error), error.args) == (type(twin), str(twin), twin.args)
    assert (error.request_sent, "urllib", ["a note"]) == (twin.request_sent, twin.backend, twin.__notes__)
    assert ("GET", "http://h/path", "1") == (twin.request.method, twin.request.url, twin.request.headers["x-kept"])


def test_pickle_keeps_what_only_some_classes_have() -> None:
    """`status`, `reused` and `response` travel as well."""
    refused, lost = errors.ProxyError("refused"), errors.ConnectionLost("lost")
    refused.status, lost.reused = 407, True
    status = pickle.loads(pickle.dumps(StatusError("404", RESPONSE)))

    assert (407, True) == (pickle.loads(pickle.dumps(refused)).status, pickle.loads(pickle.dumps(lost)).reused)
    assert (404, b"gone") == (status.response.status, status.response.body)


def test_pickle_leaves_streams_out() -> None:
    """A body that was a stream, of the request or of the response, is no reason not to pickle."""
    request = Request("POST", "http://h/", body=iter([b"x"]))
    error = errors.ConnectionLost("lost")
    error.request = request
    status = StatusError("500", Response(status=500, headers=Headers(), body=iter([b"x"]), request=request))

    assert (None, b"") == (
        pickle.loads(pickle.dumps(error)).request.body,
        pickle.loads(pickle.dumps(status)).response.body,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_credential_is_shown_or_pickled(kind: type[UnifetchError]) -> None:
    """Neither the text of an error nor its pickle holds what the request was authorised with."""
    error = made(kind)
    shown = "".join(map(repr, (error, str(error), error.request, error.request.headers, vars(error))))  # type: ignore[union-attr]  # made() has set it

    assert (False, False) == ("hunter2" in shown, b"hunter2" in pickle.dumps(error))


# --- Evidence -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"HTTP/1.1 abc", "b'HTTP/1.1 abc'"),
        ("text", "'text'"),
        (b"a\r\nforged: \x1b[31m\xff", r"b'a\r\nforged: \x1b[31m\xff'"),
        ("a\nb", r"'a\nb'"),
        (b"x" * 80, repr(b"x" * 80)),
        (b"x" * 81, f"{b'x' * 80!r}… (81 in all)"),
        ("", "''"),
    ],
)
def test_evidence(data: bytes | str, shown: str) -> None:
    """What a peer sent is shown escaped, and no more of it than 80 characters."""
    assert shown == evidence(data)


def test_evidence_of_any_length() -> None:
    """The bound can be another."""
    assert "b'abc'… (6 in all)" == evidence(b"abcdef", 3)


MOVED = Answer(307, headers={"Location": "/b"})


def _late() -> ReadTimeout:
    return ReadTimeout("late", request_sent="maybe")


def _lost(unprocessed: Literal["", "again"] = "") -> ConnectionLost:
    error = ConnectionLost("lost", request_sent="maybe")
    error.reused, error.unprocessed = True, unprocessed
    return error


@pytest.mark.parametrize(
    ("method", "outcomes", "sent", "listed"),
    [
        ("POST", [_late(), ConnectError("refused")], "maybe", ["ReadTimeout", "ConnectError"]),
        ("POST", [_late(), TotalTimeout("late")], "maybe", ["ReadTimeout", "TotalTimeout"]),
        ("POST", [Answer(503), ConnectError("refused")], "yes", ["503 Service Unavailable", "ConnectError"]),
        ("POST", [ConnectError("refused"), ConnectError("refused")], "no", ["ConnectError", "ConnectError"]),
        ("PUT", [_lost(), ConnectError("refused")], "maybe", ["ConnectionLost", "ConnectError"]),
        ("PUT", [_lost(unprocessed="again"), ConnectError("refused")], "no", ["ConnectionLost", "ConnectError"]),
        (
            "POST",
            [_late(), _lost(unprocessed="again"), ConnectError("refused")],
            "maybe",
            ["ReadTimeout", "ConnectionLost", "ConnectError"],
        ),
        ("POST", [Answer(503), MOVED, TLSError("another")], "no", ["TLSError"]),
    ],
)
@pytest.mark.parametrize("style", ["blocking", "awaited"])
def test_what_earlier_attempts_have_sent(
    style: str, method: str, outcomes: list[Any], sent: str, listed: list[str]
) -> None:
    """An error lists every attempt, and does not say that nothing was sent if one of them may have been received."""
    given = iter(copy.deepcopy(outcomes))

    def handler(request: object) -> Answer:
        outcome = next(given)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[no-any-return]  # the other kind

    call: Any = {"retry": {"attempts": len(outcomes), "methods": ["POST"], "backoff": 0}}
    if method == "PUT":
        call = {}  # it is sent again without being asked to

    async def awaited() -> None:
        await AsyncClient().request(method, "http://host.test/a", **call)

    def blocking() -> None:
        Client().request(method, "http://host.test/a", **call)

    with intercept(handler), pytest.raises(type(outcomes[-1])) as caught:
        blocking() if style == "blocking" else asyncio.run(awaited())

    assert sent == caught.value.request_sent
    assert listed == [each.partition(":")[0] for each in caught.value.attempts]
