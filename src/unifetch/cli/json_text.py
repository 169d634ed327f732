"""JSON as a person reads it: indented and coloured, every number and string as the server wrote it."""

from __future__ import annotations

import json
import re

from .terminal import printable

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from .terminal import Style

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


def indented(text: str, style: Style) -> str | None:
    """The same document, one member a line; None if it is no JSON.

    Its tokens are kept as they are. To read and write it would round numbers and drop members that stand there twice.
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    out: list[str] = []
    depth, before = 0, ""
    tokens = _TOKEN.findall(text)
    for number, token in enumerate(tokens):
        if token in "]}":
            depth -= 1
        if before and (before in "[{," or token in "]}") and not (before in "[{" and token in "]}"):
            out.append("\n" + "    " * depth)
        if token in "[{":
            depth += 1
        if token == ":":
            token = ": "
        elif token[0] == '"':
            is_name = tokens[number + 1 : number + 2] == [":"]
            token = style.cyan(printable(token)) if is_name else style.green(printable(token))
        elif token not in "[]{},":
            token = style.magenta(token)
        out.append(token)
        before = tokens[number]
    return "".join(out) + "\n"
