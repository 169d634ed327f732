"""Headers: fields go in as a caller writes them or a server sent them, and come out in order."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifetch import Headers, InvalidHeader
from unifetch.model.headers import REDACTED, is_token
from unifetch.model.messages import Request

# --- What goes in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "pairs"),
    [
        (None, ()),
        ({}, ()),
        ([], ()),
        ({"X-A": "1", "x-b": "2"}, (("X-A", "1"), ("x-b", "2"))),
        ([("X-A", "1"), ("x-a", "2")], (("X-A", "1"), ("x-a", "2"))),
        ((pair for pair in [("X-A", "1")]), (("X-A", "1"),)),
        ([["X-A", "1"]], (("X-A", "1"),)),
        ({b"X-A": b"caf\xe9"}, (("X-A", "caf\xe9"),)),
        ({"X-A": " \t 1 2 \t"}, (("X-A", "1 2"),)),
        ({"X-A": ""}, (("X-A", ""),)),
        ({"X-A": "a\tb\x80\xff"}, (("X-A", "a\tb\x80\xff"),)),
        ({"!#$%&'*+-.^_`|~09azAZ": "1"}, (("!#$%&'*+-.^_`|~09azAZ", "1"),)),
        (Headers({"X-A": "1"}), (("X-A", "1"),)),
    ],
)
def test_fields(fields: Any, pairs: tuple[tuple[str, str], ...]) -> None:
    """A mapping or pairs, text or bytes; the order, the case and duplicates are kept, outer white space is not."""
    assert pairs == Headers(fields).pairs


@pytest.mark.parametrize("name", ["", " ", "X A", "X-A ", " X-A", "X:A", "X\r\nA", "X\0", "X(A)", "é", "X\u212a"])
def test_names_that_are_no_token(name: str) -> None:
    """A name is a token (RFC 9110 §5.6.2), and the error shows it."""
    with pytest.raises(InvalidHeader, match="token"):
        Headers([(name, "1")])


@pytest.mark.parametrize(
    "value", ["a\r\nX: b", "a\rb", "a\nb", "a\0b", "\x7f", "\x1b[31m", "\u0100", "\u010d\u010a", "\ud800", "1\n"]
)
def test_values_that_would_end_the_line_or_are_no_byte(value: str) -> None:
    """A value is visible ASCII, space, tab or a byte above 0x7F (RFC 9110 §5.5)."""
    with pytest.raises(InvalidHeader, match="X-A has a character"):
        Headers({"X-A": value})


def test_the_message_does_not_show_the_value() -> None:
    """The value may be a secret: only the character that is wrong is shown."""
    with pytest.raises(InvalidHeader) as caught:
        Headers({"Authorization": "hunter2\nhunter3"})

    assert ("hunter" in str(caught.value), r"'\n'" in str(caught.value)) == (False, True)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"X-A": ["1"]}, "'X-A' must be str, bytes, a whole number or None, not list"),
        ({1: "1"}, "name must be str, bytes"),
        ([("X-A", "1", "2")], "a name and a value, not tuple"),
        ([5], "a name and a value, not int"),
        (["X-A: 1"], "a name and a value, not str"),
        ("X-A: 1", "a name and a value, not str"),
    ],
)
def test_fields_of_another_type(fields: Any, named: str) -> None:
    """Nothing is converted by guessing; the message names the field and the type."""
    with pytest.raises(InvalidHeader, match=named):
        Headers(fields)


@pytest.mark.parametrize("fields", [5, True, object()])
def test_no_fields_at_all(fields: Any) -> None:
    """What is neither a mapping nor pairs is refused by our own error."""
    with pytest.raises(InvalidHeader, match="mapping or pairs"):
        Headers(fields)


def test_two_characters_are_no_pair() -> None:
    """A text of two characters is not taken for a name and a value."""
    with pytest.raises(InvalidHeader, match="not str"):
        Headers(["ab"])


@given(st.text())
def test_is_token(text: str) -> None:
    """Exactly the characters of RFC 9110 §5.6.2, and at least one."""
    allowed = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

    assert (text != "" and all(character in allowed for character in text)) == is_token(text)


@given(st.text())
def test_no_value_forges_a_field(value: str) -> None:
    """Whatever a value holds, it is refused, or it is one line of Latin-1 on the wire."""
    try:
        headers = Headers({"X-A": value})
    except InvalidHeader:
        return

    assert [] == [character for character in headers["x-a"].encode("latin-1") if character in b"\r\n\0"]


# --- What comes out -------------------------------------------------------------------------------

FIELDS = Headers([("Accept", "a"), ("X-Dup", "1"), ("x-dup", "2"), ("Set-Cookie", "a=1, b"), ("set-cookie", "c=2")])


def test_look_up_ignores_case() -> None:
    """A field is found however its name is written."""
    assert ("a", "a", True, False) == (FIELDS["ACCEPT"], FIELDS.get("aCCept"), "accept" in FIELDS, "x-other" in FIELDS)


def test_duplicates_are_joined() -> None:
    """By a comma (RFC 9110 §5.3); Set-Cookie, which contains commas, by a newline."""
    assert ("1, 2", "a=1, b\nc=2") == (FIELDS["x-dup"], FIELDS["set-cookie"])


def test_single_values() -> None:
    """`get_all` gives each value as it came."""
    assert [["1", "2"], ["a=1, b", "c=2"], []] == [FIELDS.get_all(name) for name in ("X-Dup", "Set-Cookie", "No")]


def test_is_a_mapping() -> None:
    """Each name once, as it was written first, in the order of its first field."""
    assert ["Accept", "X-Dup", "Set-Cookie"] == list(FIELDS)
    assert (3, {"Accept": "a", "X-Dup": "1, 2", "Set-Cookie": "a=1, b\nc=2"}) == (len(FIELDS), dict(FIELDS))


def test_missing() -> None:
    """A field that is not there is a KeyError, None, or the default."""
    with pytest.raises(KeyError):
        FIELDS["x-missing"]

    assert (None, "default", False) == (FIELDS.get("x-missing"), FIELDS.get("x-missing", "default"), 5 in FIELDS)


def test_empty_is_false() -> None:
    """As with every mapping."""
    assert (False, True) == (bool(Headers()), bool(FIELDS))


def test_merged() -> None:
    """The other's fields replace those of the same name, all of them, and come last."""
    merged = FIELDS.merged(Headers([("X-DUP", "3"), ("X-New", "4")]))

    assert ("Accept", "Set-Cookie", "set-cookie", "X-DUP", "X-New") == tuple(name for name, _ in merged.pairs)
    assert (FIELDS, FIELDS) == (FIELDS.merged(Headers()), Headers().merged(FIELDS))


def test_without() -> None:
    """Fields are left out by names in lower case."""
    assert (("Accept", "a"),) == FIELDS.without("x-dup", "set-cookie").pairs


# --- A value, and a discreet one ------------------------------------------------------------------


def test_equality() -> None:
    """Names are compared without case; order and values count."""
    assert Headers({"X-A": "1"}) == Headers({"x-a": "1"})
    assert hash(Headers({"X-A": "1"})) == hash(Headers({"x-a": "1"}))
    assert Headers({"X-A": "a"}) != Headers({"X-A": "A"})
    assert Headers([("a", "1"), ("b", "2")]) != Headers([("b", "2"), ("a", "1")])
    assert Headers({"X-A": "1"}) != {"X-A": "1"}


def test_cannot_be_changed() -> None:
    """There is no way to set a field, or an attribute that is not there already."""
    with pytest.raises(TypeError):
        FIELDS["x"] = "1"  # type: ignore[index]  # the test
    with pytest.raises(AttributeError):
        FIELDS.other = 1  # type: ignore[attr-defined]  # the test


@pytest.mark.parametrize("name", ["authorization", "cookie", "set-cookie", "x-api-key", "x_vault_token"])
def test_credentials_are_masked(name: str) -> None:
    """A field that carries a credential shows and pickles its name only, in any case of letters."""
    headers = Headers([(name.title(), "hunter2"), (name.upper(), "hunter2"), ("X-Kept", "1")])

    assert (False, False) == ("hunter2" in repr(headers), b"hunter2" in pickle.dumps(headers))
    assert (f"{REDACTED}", "1") == (pickle.loads(pickle.dumps(headers)).get_all(name)[0], headers["x-kept"])


def test_repr() -> None:
    """It shows what can be shown, and could be pasted."""
    assert "Headers([('X-A', '1'), ('Cookie', '[redacted]')])" == repr(Headers({"X-A": "1", "Cookie": "a"}))


def test_pickle() -> None:
    """Fields that are no secret survive unchanged, with their order and case."""
    headers = Headers([("X-b", "1"), ("X-A", "caf\xe9"), ("x-B", "2")])

    assert headers.pairs == pickle.loads(pickle.dumps(headers)).pairs
    assert headers.pairs == copy.deepcopy(headers).pairs


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_keeps_credentials(copied: Callable[[Any], Any]) -> None:
    """What stays in the process is not masked: a copied request can be sent; only a pickle leaves credentials out."""
    request = Request("GET", "http://h/", headers={"Authorization": "hunter2"})

    assert "hunter2" == copied(request.headers)["authorization"]
    assert "hunter2" == copied(request).headers["authorization"]
    assert "hunter2" == copied({"list": [request.headers]})["list"][0]["authorization"]


def test_the_mask_is_refused() -> None:
    """What came out of a pickle without its credential does not go out as if it had one."""
    masked = pickle.loads(pickle.dumps(Headers({"Authorization": "hunter2"})))

    with pytest.raises(InvalidHeader, match="Authorization holds the mask"):
        Headers(masked)
    with pytest.raises(InvalidHeader, match="Authorization holds the mask"):
        Headers({"Authorization": REDACTED})


# --- None, numbers, and what other clients make of them -------------------------------------------


def test_none_drops() -> None:
    """None is no value: it says that a default of this name is not to be sent, until somebody says otherwise."""
    ours = Headers({"User-Agent": "a", "X-A": "1"})
    merged = ours.merged(Headers({"user-agent": None, "X-B": 2}))

    assert (("X-A", "1"), ("X-B", "2")) == merged.pairs
    assert (
        {"user-agent"} == merged.dropped == merged.without("x-a").dropped == pickle.loads(pickle.dumps(merged)).dropped
    )
    assert Headers({"User-Agent": None}) != Headers()
    assert set() == merged.merged(Headers({"User-Agent": "b"})).dropped


@pytest.mark.parametrize("value", [True, 1.5, [], object()])
def test_values_of_other_types(value: Any) -> None:
    """A whole number is its digits; what could be meant in several ways is refused."""
    assert "-12" == Headers({"X-A": -12})["x-a"]
    with pytest.raises(InvalidHeader):
        Headers({"X-A": value})


def test_as_a_dict() -> None:
    """It has the case of the wire, duplicates joined (RFC 9110 §5.3), and goes back in, Set-Cookie included."""
    headers = Headers([("X-One", "1"), ("Set-Cookie", "a=1, 2"), ("x-one", "2"), ("SET-COOKIE", "b=2")])

    assert {"X-One": "1, 2", "Set-Cookie": "a=1, 2\nb=2"} == dict(headers)
    assert ["X-One", "Set-Cookie"] == list(headers) == list(headers.keys())
    assert ["a=1, 2", "b=2"] == Headers(dict(headers)).get_all("set-cookie")
    assert 2 == len(headers)


def test_a_line_in_the_place_of_a_name() -> None:
    """A name and value in one text are refused without showing what follows the colon."""
    with pytest.raises(InvalidHeader, match="header name 'Authorization:' is not a token"):
        Headers({"Authorization: Bearer hunter2": ""})
