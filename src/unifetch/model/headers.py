"""Header fields: ordered, with duplicates and case as they came, looked up without regard to case.

A value is text in which one character is one byte (ISO-8859-1, as in Fetch), without the white space around it. Fields
with credentials are masked in `repr` and in a pickle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import InvalidHeader, evidence
from ..masking import REDACTED, is_secret, masked_field

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn

    Pairs = tuple[tuple[str, str], ...]
    HeaderTypes = Mapping[str, Any] | Iterable[tuple[Any, Any]] | None

# RFC 9110 §5.6.2: token. Deleting the allowed characters must leave nothing.
_TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NONE: frozenset[str] = frozenset()
_NOT_TOKEN = dict.fromkeys(map(ord, _TOKEN))
# RFC 9110 §5.5: field-content is VCHAR, obs-text, SP and HTAB.
_NOT_VALUE = dict.fromkeys([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])


def is_token(text: str) -> bool:
    """Whether the text is a token of RFC 9110 §5.6.2."""
    return bool(text) and not text.translate(_NOT_TOKEN)


class Headers(Mapping[str, str]):
    """An immutable, ordered multi-map of header fields.

    `headers[name]` joins duplicates with `", "` (RFC 9110 §5.3), except `Set-Cookie`, whose values contain commas, with
    a newline. `get_all(name)` gives the single values, `pairs` everything as it came.

    Iterating gives each name once, as it was first written; length and equality ignore case, too. So `dict(headers)` is
    what one expects from a client, and can be passed to `Headers` again, `Set-Cookie` included.

    Attributes:
        pairs: names and values.
        dropped: names, in lower case, of the defaults that are not sent: those that were given as None.
    """

    __slots__ = ("_index", "dropped", "pairs")

    pairs: Pairs
    dropped: frozenset[str]
    _index: dict[str, str] | None

    def __init__(self, fields: HeaderTypes = None) -> None:
        """From a mapping or pairs; names and values are checked.

        A value is str, bytes or a whole number; None drops a default of this name.

        Raises:
            InvalidHeader: for a name or value that RFC 9110 §5 does not allow.
        """
        self._index = None
        self.dropped = _NONE
        if type(fields) is dict:  # the usual case first; to check for a Mapping takes longer
            pairs: Iterable[tuple[Any, Any]] = fields.items()
        elif fields is None:
            pairs = ()
        elif isinstance(fields, Headers):
            self.pairs, self.dropped = tuple(map(_checked, fields.pairs)), fields.dropped
            return
        elif isinstance(fields, Mapping):
            pairs = fields.items()
        elif isinstance(fields, Iterable):
            pairs = fields
        else:
            raise InvalidHeader(f"headers must be a mapping or pairs, not {type(fields).__name__}")
        try:
            checked = tuple(map(_checked, pairs))
        except InvalidHeader:
            if not isinstance(fields, Mapping):
                raise
            checked = tuple(map(_checked, _split(fields)))
        for _, value in checked:
            if value is None:
                self.dropped = frozenset([name.lower() for name, value in checked if value is None])
                checked = tuple([pair for pair in checked if pair[1] is not None])
                break
        self.pairs = checked

    @staticmethod  # quicker to call than a classmethod
    def trusted(pairs: Iterable[tuple[str, str]], index: dict[str, str] | None = None) -> Headers:
        """From pairs that are known to be valid: what a backend has parsed, or what this class has checked.

        `index` is the same by names in lower case, duplicates joined, if it is at hand.
        """
        headers = object.__new__(Headers)
        headers.pairs = tuple(pairs)
        headers.dropped = _NONE
        headers._index = index
        return headers

    def by_name(self) -> dict[str, str]:
        """Each name in lower case, with its value as `headers[name]` gives it."""
        # Built at the first look-up, because many responses are read for their body alone.
        index = self._index
        if index is None:
            index = {}
            for name, value in self.pairs:
                key = name.lower()
                if key not in index:
                    index[key] = value
                elif key == "set-cookie":
                    index[key] += "\n" + value
                else:
                    index[key] += ", " + value
            self._index = index
        return index

    def __getitem__(self, name: str) -> str:
        try:
            return self.by_name()[name.lower()]
        except AttributeError:
            raise _no_name(name) from None

    def get(self, name: str, default: Any = None) -> Any:
        """The value of this field, or the default."""
        try:
            return self.by_name().get(name.lower(), default)
        except AttributeError:
            raise _no_name(name) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.by_name()

    def __iter__(self) -> Iterator[str]:
        return iter({name.lower(): name for name, _ in reversed(self.pairs)}[key] for key in self.by_name())

    def __len__(self) -> int:
        return len(self.by_name())

    def get_all(self, name: str) -> list[str]:
        """Every value of this field, in order; an empty list if there is none."""
        try:
            wanted = name.lower()
        except AttributeError:
            raise _no_name(name) from None
        return [value for key, value in self.pairs if key.lower() == wanted]

    if not TYPE_CHECKING:  # so that a type checker still knows which attributes there are

        def __setitem__(self, name: str, value: object) -> NoReturn:
            raise TypeError(
                f"a Headers does not change, and takes no [{name!r}] = …; a call is given headers=, and a callable for "
                f"auth= returns the fields that it adds: return {{{name!r}: …}}"
            )

        def __getattr__(self, name: str) -> NoReturn:
            from .names import HEADERS, unknown_attribute

            raise AttributeError(unknown_attribute(HEADERS, name, dir(Headers)))

    def merged(self, other: Headers) -> Headers:
        """These fields, replaced by those of `other` of the same name, and without what it drops."""
        if not isinstance(other, Headers):
            raise TypeError(f"other: the fields are a Headers, not {type(other).__name__}")
        if not other.pairs and not other.dropped:
            return self
        if not self.pairs and not self.dropped:
            return other
        index, dropped = other.by_name(), other.dropped
        kept = [pair for pair in self.pairs if pair[0].lower() not in index and pair[0].lower() not in dropped]
        merged = Headers.trusted([*kept, *other.pairs])
        merged.dropped = (self.dropped - index.keys()) | dropped
        return merged

    def without(self, *names: str) -> Headers:
        """These fields without those names (given in lower case)."""
        fields = Headers.trusted(pair for pair in self.pairs if pair[0].lower() not in names)
        fields.dropped = self.dropped
        return fields

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._folded() == other._folded() and self.dropped == other.dropped
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._folded())

    def _folded(self) -> Pairs:
        return tuple((name.lower(), value) for name, value in self.pairs)

    def __repr__(self) -> str:
        return f"Headers({[(name, masked_field(name, value)) for name, value in self.pairs]!r})"

    def __copy__(self) -> Headers:
        return self  # a copy of what never changes could not be told from it

    def __deepcopy__(self, memo: object) -> Headers:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Credentials do not travel in a pickle. A request with the mask is refused, so that none goes out silently
        # without them.
        return _revived, ([(name, _pickled(name, value)) for name, value in self.pairs], self.dropped)


def _no_name(name: object) -> TypeError:
    return TypeError(f"the name of a header is str, not {type(name).__name__}")


def _revived(pairs: list[tuple[str, str]], dropped: frozenset[str]) -> Headers:
    headers = Headers.trusted(pairs)
    headers.dropped = dropped
    return headers


def _split(fields: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    # When a Headers becomes a dict, only Set-Cookie is joined by line feeds, so it is split at them.
    for name, value in fields.items():
        if isinstance(value, str) and "\n" in value and isinstance(name, str) and name.lower() == "set-cookie":
            yield from ((name, each) for each in value.split("\n"))
        else:
            yield name, value


def _pickled(name: str, value: str) -> str:
    if is_secret(name):
        return REDACTED
    if name.lower() == "location" and "@" in value:  # a URL, in which a server may have put userinfo
        start, _, rest = value.partition("//")
        return f"{start}//{REDACTED}@{rest.rpartition('@')[2]}"
    return value


def _checked(pair: Any) -> tuple[str, Any]:
    return pair if _is_plain(pair) else _normal(pair)


def _is_plain(pair: Any) -> bool:
    """Whether a pair is plainly valid as it is: letters, digits and hyphens, with printable ASCII."""
    if type(pair) is not tuple or len(pair) != 2:
        return False
    name, value = pair
    return (
        type(name) is str
        and type(value) is str
        and name.isascii()
        and name.replace("-", "").isalnum()
        and value.isascii()
        and value.isprintable()
        and value[:1] != " " != value[-1:]
        and value != REDACTED
    )


def _normal(pair: Any) -> tuple[str, Any]:
    try:
        if isinstance(pair, str):  # a str of two characters would unpack
            raise TypeError
        name, value = pair
    except (TypeError, ValueError):
        raise InvalidHeader(f"a header is a name and a value, not {type(pair).__name__}") from None
    name = _text("name", name)
    if not is_token(name):
        start = name[: name.find(":", 1) + 1] or name  # what follows a colon may be a credential
        raise InvalidHeader(f"header name {evidence(start)} is not a token (RFC 9110 §5.6.2)")
    if value is None:
        return name, None
    value = str(value) if type(value) is int else _text(f"{name!r}", value)
    value = value.strip(" \t")
    if value == REDACTED:
        raise InvalidHeader(f"header {name} holds the mask of a credential that was pickled; set it again")
    if rest := value.translate(_NOT_VALUE):
        # The value may be a credential, so only the wrong character is shown.
        raise InvalidHeader(f"header {name} has a character that no field value may hold: {rest[0]!a} (RFC 9110 §5.5)")
    return name, value


def _text(what: str, text: object) -> str:
    if isinstance(text, str):
        return text
    if isinstance(text, bytes):
        return text.decode("latin-1")
    raise InvalidHeader(f"header {what} must be str, bytes, a whole number or None, not {type(text).__name__}")


NO_HEADERS = Headers()
