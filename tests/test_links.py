"""Link fields (RFC 8288), and what else a response tells of itself."""

from __future__ import annotations

from decimal import Decimal

import pytest

from unifetch import URL, Headers, Request, Response
from unifetch.model.links import links

BASE = URL("https://example.org/a/b?c")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {}),
        ("<d>; rel=next", {"next": "https://example.org/a/d"}),
        ('</x>; rel="next"; title="a, b; c", <?p=9>; rel="last"', {"next": "/x", "last": "/a/b?p=9"}),
        ('<https://h/>;rel="Prev start";type="text/html"', {"prev": "https://h/", "start": "https://h/"}),
        ("<1>; rel=next, <2>; rel=next", {"next": "/a/1"}),
        ("<1>; rel=a; rel=b", {"a": "/a/1"}),
        ("<mailto:a@b>; rel=author, <1>; rel=next", {"next": "/a/1"}),
        ('<1>; rel=next; anchor="#x"', {}),
        ("<1>", {}),
        (", ,<1>;rel=next,", {"next": "/a/1"}),
        ("<1>; rel=next, nonsense, <2>; rel=last", {"next": "/a/1"}),
        ("<1>; rel=", {}),
    ],
)
def test_links(value: str, expected: dict[str, str]) -> None:
    """By relation in lower case, absolute, the first of each."""
    assert {rel: BASE.join(url) for rel, url in expected.items()} == {
        rel: link.url for rel, link in links(BASE, value).items()
    }


def test_parameters_of_a_link() -> None:
    """A quoted parameter is without its quotation marks and backslashes."""
    [link] = links(BASE, r'<1>; rel="next"; title="a \"b\""; hreflang=de').values()

    assert ({"title": 'a "b"', "hreflang": "de"}, "next") == (link.params, link.rel)


def test_links_take_linear_time() -> None:
    """A field of many open quotation marks is read once."""
    assert {} == links(BASE, "<" + ';"' * 30_000)
    assert {} == links(BASE, "<1>" + ';a="\\' * 20_000)


def response(body: bytes, **fields: str) -> Response[bytes]:
    headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
    return Response(status=200, headers=headers, body=body, request=Request("GET", str(BASE)))


def test_links_of_a_response() -> None:
    """They are relative to the URL that answered."""
    assert "https://example.org/n" == response(b"", link="</n>; rel=next").links["next"].url


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [("", None), ("text/plain", None), ('text/plain; charset="latin-1"', "latin-1"), ("a/b;charset=X", "X")],
)
def test_charset(content_type: str, expected: str | None) -> None:
    """What Content-Type names, as it is written."""
    assert expected == response(b"", content_type=content_type).charset


def test_numbers_of_json() -> None:
    """A caller who counts money gets decimals."""
    assert {"a": Decimal("0.10"), "b": 1} == response(b'{"a": 0.10, "b": 1}').json(parse_float=Decimal)
