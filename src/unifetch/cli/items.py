r"""The short words after a URL, which HTTPie made known: what is sent, one piece a word.

    name:value     a header field; `name:` leaves a default one out
    name==value    a parameter of the query
    name=value     a text of the body
    name:=json     a value of a body of JSON: a number, true, null, a list
    name@file      a file, in a form

`name=@file`, `name:=@file` and `name:@file` take the value from a file; in a form, `name=@file` sends the file itself.
A backslash keeps a character from being read as a separator: `a\:b=c`.
"""

from __future__ import annotations

import os
import re

from ..errors import InvalidRequest
from .terminal import printable

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

# The longest separator that begins first.
_ITEM = r"(?s)((?:\\.|[^\\:=@])+?)(:=@|:=|==|=@|:@|=|:|@)(.*)\Z"


class Items:
    """What the items of one command line say, by kind, in their order.

    Args:
        words: the items as they were typed.
        form: whether they are of a form, where `name=@file` sends the file, as curl's `-F` does.

    Raises:
        InvalidRequest: for a word that is no item, or whose file or JSON cannot be read.
    """

    def __init__(self, words: list[str], *, form: bool = False) -> None:
        self._form = form
        self.headers: list[tuple[str, str | None]] = []
        self.params: list[tuple[str, str]] = []
        self.fields: list[tuple[str, Any]] = []  # of the body; a value that is no text came by `:=`
        self.files: list[tuple[str, Path]] = []
        for word in words:
            self._add(word)

    def _add(self, word: str) -> None:
        match = re.match(_ITEM, word)
        if match is None:
            kinds = "Name:value, name==value, name=value, name:=json or name@file"
            raise InvalidRequest(f"{word!r} is neither a URL nor an item; items are {kinds}")
        name, separator, value = re.sub(r"\\(.)", r"\1", match[1]), match[2], match[3]
        if separator == ":" and value.startswith("//") and name.lower() in ("http", "https"):
            raise InvalidRequest(f"{printable(word)} is a second URL, and one is asked for at a time")
        if separator == "@" or (separator == "=@" and self._form):
            from pathlib import Path  # which takes long to import, as `json` does, and most requests need neither

            if (found := re.search(r";(type|filename|headers|encoder)=", value)) and not Path(value).exists():
                raise InvalidRequest(f";{found[1]}= has no counterpart here: a part has the type of its file's name")
            self.files.append((name, Path(value)))
            return
        where = word if separator.endswith("@") else f"{name}:=…"  # the value may be a secret
        if separator.endswith("@"):
            separator, value = separator[:-1], _text(value)
        if separator == ":":
            self.headers.append((name, value.strip() or None))
        elif separator == "=" and self._form and value.startswith("<") and os.path.exists(value[1:]):
            raise InvalidRequest(
                f"{name}=<FILE, curl's text from a file, has no counterpart here; {name}=@FILE sends it"
            )
        elif separator == "==":
            self.params.append((name, value))
        else:
            self.fields.append((name, parsed_json(value, where) if separator == ":=" else value))


def parsed_json(text: str, where: str) -> Any:
    """A value of JSON, strictly.

    Raises:
        InvalidRequest: it names where the text came from.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number of JSON")

    import json

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{where} is not JSON: {error}") from error


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is not text in UTF-8; name@file sends a file as it is") from error
