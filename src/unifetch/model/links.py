"""Links in header fields (RFC 8288): where a server says that the next page, the licence, the author is.

Left out are links to anything but http and https, and those about another resource than the response (`anchor`).
"""

from __future__ import annotations

import re

from ..errors import InvalidURL
from .frozen import Record
from .url import URL, location_url

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

# RFC 8288 §3. A quoted string is matched as a whole, so that a comma in it separates no links. The quantifiers are
# possessive (`*+`): backtracking over blanks would take exponential time.
_LINK = re.compile(r"""[ \t,]*+<([^>]*+)>((?:[ \t]*+;(?:"(?:[^"\\]|\\.)*+"|[^",])*+)?)[ \t]*+(?:,|\Z)""").match
_PARAMETER = re.compile(r""";[ \t]*([^\s;,="]+)[ \t]*(?:=[ \t]*("(?:[^"\\]|\\.)*"|[^;,\s"]*))?""")


class Link(Record):
    """One link of a response.

    Attributes:
        url: what it leads to.
        rel: its relations, as they are written.
        params: its other parameters by name: `title`, `type`, …
    """

    url: URL
    rel: str
    params: Mapping[str, str]

    if not TYPE_CHECKING:  # so that a type checker still knows which attributes there are

        def __getattr__(self, name: str) -> NoReturn:
            from .names import LINK, unknown_attribute

            raise AttributeError(unknown_attribute(LINK, name, vars(Link)))

        def __getitem__(self, name: str) -> NoReturn:
            raise TypeError(f"a Link has attributes, not keys: .url, .rel and .params, where {name!r} may be")


def links(base: URL, value: str) -> dict[str, Link]:
    """The links in the value of the Link fields (joined by commas), by relation in lower case, the first of each.

    They are relative to the URL of the response. Whatever follows a malformed link is left out: nobody can
    tell where it begins.
    """
    found: dict[str, Link] = {}
    at = 0
    while link := _LINK(value, at):
        at = link.end()
        params: dict[str, str] = {}
        for parameter in _PARAMETER.finditer(link[2]):
            params.setdefault(parameter[1].lower(), _unquoted(parameter[2] or ""))  # the first counts (§3.3)
        rel = params.pop("rel", "")
        if "anchor" in params:
            continue
        try:
            url = location_url(base, link[1].strip(" \t"))
        except InvalidURL:
            continue
        for relation in rel.lower().split():
            found.setdefault(relation, Link(url, rel, params))
    return found


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[:1] == '"' else text
