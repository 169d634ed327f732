"""Fields and files as one body: multipart/form-data (RFC 7578), as browsers write it (HTML, "Multipart form data").

A file is read in blocks while it is sent, never whole; the length is declared if every part knows its own. A part has
its name, its filename and its type, and more only if the caller says so (RFC 7578 §4.8 lets recipients ignore that). A
str alone is not accepted as a file: it could be a path or content, and a wrong guess would send the wrong thing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping

from ..errors import InvalidBody, evidence
from ..model.headers import Headers
from ..model.url import form_urlencode
from .bodies import BLOCK, Body, Bytes, File, StreamedBody, content_of, form_fields

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Part: TypeAlias = tuple[bytes, Body]  # its header fields, without the empty line; its content

_CONTENT_TYPE = re.compile(r"[!-.0-~]{1,127}/[!-~][ -~]{0,1000}\Z")  # a loose RFC 9110 §8.3.1; nothing ends a line


class Multipart(StreamedBody):
    """Other bodies, one after the other."""

    def __init__(self, bodies: list[Body], content_type: str) -> None:
        self.bodies = bodies
        self.content_type = content_type
        lengths = [body.length for body in bodies if body.length is not None]
        self.length = sum(lengths) if len(lengths) == len(bodies) else None
        self.replayable = all(body.replayable for body in bodies)

    @property
    def source(self) -> Any:  # an attribute would be a reference cycle, which keeps files open
        """Itself: it can be the body of another request."""
        return self

    def blocks(self) -> Iterator[bytes]:
        for body in self.bodies:
            yield from body.blocks()


class Path(StreamedBody):
    """A file by its path: declared by its present size, opened each time it is sent, and closed afterwards."""

    def __init__(self, path: os.PathLike[Any], name: str) -> None:
        from stat import S_ISDIR, S_ISREG

        self.source = path
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            raise InvalidBody(f"{name} cannot be read: {error}") from error
        if S_ISDIR(status.st_mode) or not os.access(path, os.R_OK):
            why = "a directory" if S_ISDIR(status.st_mode) else "there is no permission"
            raise InvalidBody(f"{name} cannot be read: {evidence(os.fspath(path))}: {why}")
        self.replayable = S_ISREG(status.st_mode)
        self.length = status.st_size if self.replayable else None

    def blocks(self) -> Iterator[bytes]:
        with open(self.source, "rb") as opened:
            file = File(opened)
            file.length = self.length  # as declared, even if the file has changed
            yield from file.blocks()


def multipart(files: Any, form: Any = None, *, boundary: str | None = None) -> Body:
    """Fields and files as one body, in this order.

    Args:
        files: a mapping or pairs of a name and a file, or a list of files. A file is a path (`os.PathLike`), a
            binary file from its position, bytes, an iterable of bytes, or a tuple `(filename, content)`,
            `(filename, content, content_type)` or `(filename, content, content_type, headers)`. In a tuple the content
            may also be a str, sent as UTF-8, and the headers are fields of this part. A filename of None makes it a
            field; a content type of None is guessed. A file without a filename gets its name.
        form: a mapping or pairs of the other fields, with the values that `form_urlencode` takes.
        boundary: what separates the parts; by default 128 random bits, which no content can foresee.

    Raises:
        InvalidBody: for what cannot be sent; it names the field.
        InvalidRequest: for a value of `form` that cannot be sent.
    """
    if boundary is None:
        boundary = os.urandom(16).hex()
    delimiter = b"--" + boundary.encode("ascii")
    bodies: list[Body] = []
    text = bytearray()  # small parts are joined, because each block is sent by itself
    for head, content in (*_fields(form), *_files(files)):
        text += b"%b\r\n%b\r\n\r\n" % (delimiter, head)
        if isinstance(content, Bytes) and len(content.source) < BLOCK:
            text += content.source
        else:
            bodies += [Bytes(bytes(text)), content]
            text.clear()
        text += b"\r\n"
    text += delimiter + b"--\r\n"
    content_type = f"multipart/form-data; boundary={boundary}"
    end = Bytes(bytes(text), content_type)
    return Multipart([*bodies, end], content_type) if bodies else end


def _fields(form: Any) -> Iterator[Part]:
    if isinstance(form, (str, bytes)):
        raise InvalidBody("form= takes a mapping or pairs")
    from urllib.parse import unquote_to_bytes

    # Encoded and decoded again, so that a form means the same with and without files.
    for pair in filter(None, form_urlencode(() if form is None else form_fields(form)).split("&")):
        name, value = (unquote_to_bytes(side.replace("+", " ")) for side in pair.split("="))
        yield b'Content-Disposition: form-data; name="%b"' % _escaped(name), Bytes(value)


def _files(files: Any) -> Iterator[Part]:
    if isinstance(files, (str, bytes)) or not isinstance(files, Iterable):
        raise InvalidBody(f"files= takes a mapping or pairs of a name and a file, not {type(files).__name__}")
    for pair in files.items() if isinstance(files, Mapping) else files:
        try:
            name, given = pair
        except (TypeError, ValueError):
            raise InvalidBody("files= takes pairs of a name and a file") from None
        if not isinstance(name, str):
            raise InvalidBody(f"a name in files= must be str, not {type(name).__name__}")
        for each in given if isinstance(given, list) else [given]:
            yield _file(name, each)


def _file(name: str, given: Any) -> Part:
    shown = f"files[{evidence(name)}]"
    if isinstance(given, tuple):
        if len(given) not in (2, 3, 4):
            raise InvalidBody(f"{shown} is a tuple, but not (filename, content[, content_type[, headers]])")
        filename, content, content_type, headers = (*given, None, None)[:4]
    elif isinstance(given, str):
        raise InvalidBody(f"{shown} is a str: give (filename, content), or pathlib.Path(…) if it is a path")
    else:
        filename, content, content_type, headers = _own_name(given) or name, given, None, None

    # Newlines in a name become CRLF before it is escaped, as HTML asks, but not in a filename.
    head = b'Content-Disposition: form-data; name="%b"' % _escaped(
        re.sub(rb"\r\n|\r|\n", b"\r\n", _utf8(name, f"the name of {shown}"))
    )
    if filename is not None:
        head += b'; filename="%b"' % _escaped(_utf8(filename, f"the filename of {shown}"))
        if content_type is None:
            content_type = _guessed_type(filename)
    if content_type is not None:
        if not isinstance(content_type, str) or not _CONTENT_TYPE.match(content_type):
            raise InvalidBody(f"the content type of {shown} must be like text/plain, in one line")
        head += b"\r\nContent-Type: " + content_type.encode("ascii")
    for field, value in Headers(headers).pairs:
        if field.lower() in ("content-disposition", "content-type"):
            raise InvalidBody(f"{shown} says its {field} by its other elements, not among its headers")
        head += b"\r\n%b: %b" % (field.encode("ascii"), value.encode("latin-1"))
    return head, Path(content, shown) if isinstance(content, os.PathLike) else content_of(content, shown)


def _own_name(file: Any) -> str | None:
    path = file if isinstance(file, os.PathLike) else getattr(file, "name", None)
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None  # the name of a file that was opened by its descriptor is a number
    name = os.path.basename(os.fsdecode(path))
    return None if name.startswith("<") else name  # "<stdin>"


def _guessed_type(filename: str) -> str:
    from mimetypes import guess_type

    kind, coding = guess_type(filename)
    # For a.tar.gz, guess_type gives the type of the tar, and a part has no Content-Encoding for the rest.
    return {None: kind, "gzip": "application/gzip"}.get(coding) or "application/octet-stream"


def _utf8(text: object, what: str) -> bytes:
    if not isinstance(text, str):
        raise InvalidBody(f"{what} must be str, not {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidBody(f"{what} holds a lone surrogate, which UTF-8 cannot encode") from None


def _escaped(name: bytes) -> bytes:
    # "The user agent must not perform any other escapes": a percent sign or a backslash stays as it is.
    return name.replace(b'"', b"%22").replace(b"\r", b"%0D").replace(b"\n", b"%0A")
