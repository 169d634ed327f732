"""Writes the tables of names into how-to/coming-from.md, from what our errors say: `python docs/names.py`."""

from __future__ import annotations

import re
from pathlib import Path

from unifetch.model import names

PAGE = Path(__file__).parent / "how-to" / "coming-from.md"
MARKED = re.compile(r"(<!-- names -->\n).*?(<!-- end of names -->\n)", re.DOTALL)

TITLES = {
    names.ARGUMENT: "Arguments of a call or a client",
    names.CLIENT: "Attributes of a session or client",
    names.RESPONSE: "Attributes of a response",
    names.REQUEST: "Attributes of a request",
    names.URL: "Attributes of a URL",
    names.HEADERS: "Methods of headers",
    names.COOKIES: "Methods of a cookie jar",
    names.LINK: "Keys of a link",
    names.ELAPSED: "`elapsed`",
    names.RETRY: "Fields of a `Retry`",
    names.LIMITS: "Fields of limits",
    names.TIMEOUT: "Fields of a timeout",
    names.TLS: "Fields of TLS settings",
    names.MODULE: "Names of the module",
}


def updated(page: str) -> str:
    """The page with the tables as they have to be."""
    return MARKED.sub(lambda found: found[1] + "\n".join(map(table, TITLES)) + found[2], page)


def table(place: str) -> str:
    """A row for each answer, with all names that have it."""
    rows = [f"### {TITLES[place]}\n", "| there | here | more |", "|---|---|---|"]
    for theirs, (ours, page) in names.ANSWERS[place].items():
        shown = ", ".join(f"`{name}`" for name in theirs.split())
        rows.append(f"| {shown} | {ours.replace('nothing: ', 'none: ', 1)} | [{page}]({page}.md) |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text("utf-8")), "utf-8")
