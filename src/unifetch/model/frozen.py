"""Frozen values: what every setting, request, response and event of unifetch is.

Not `dataclasses`: importing that module costs more than the rest of this package (it pulls in `inspect`), and its
frozen `__init__` sets one attribute at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..errors import InvalidSetting
from ..masking import masked

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Self, TypeVar, dataclass_transform

    V = TypeVar("V", bound="Value")
else:

    def dataclass_transform(**options: object) -> object:
        """For type checkers alone: `typing` is not imported for it."""
        return lambda kind: kind


class Value:
    """Compared, hashed, shown and pickled by its fields; never changed.

    A subclass sets its fields once, in `__init__`, with `vars(self).update(…)`. `replace(…)` makes a changed copy; it
    runs `__init__`, and so its checks.
    """

    def __setattr__(self, name: str, value: object) -> None:
        kind = type(self).__name__
        if name in vars(self):
            raise AttributeError(f"{kind} is frozen: .replace({name}=…) gives a changed copy")
        from .names import NAMES, answer

        hint = (answer(kind, name) if kind in NAMES else None) or f"it has {', '.join(vars(self))}"
        raise AttributeError(f"{kind} is frozen, and has no {name}; {hint}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return masked(f"{type(self).__name__}({fields})")

    def replace(self, **changes: Any) -> Self:
        """A copy with these fields changed."""
        return type(self)(**{**vars(self), **changes})

    def __copy__(self) -> Self:
        return self  # a copy of what never changes could not be told from it

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


class _Signature:
    """The signature of a record, made when `inspect` asks for it."""

    def __get__(self, instance: object, kind: Any) -> object:
        from inspect import Parameter, Signature

        either = Parameter.POSITIONAL_OR_KEYWORD
        return Signature(
            [
                Parameter(name, either, default=getattr(kind, name, Parameter.empty), annotation=annotation)
                for name, annotation in _fields(kind).items()
            ]
        )


@dataclass_transform(frozen_default=True)
class Record(Value):
    """A value without checks. Its class lists the fields; they are given in that order, or by name."""

    __signature__ = _Signature()

    def __init__(self, *given: Any, **named: Any) -> None:
        kind: Any = type(self)
        names = _fields(kind)
        values = {**dict(zip(names, given, strict=False)), **named}
        if len(values) != len(given) + len(named) or not values.keys() <= names.keys():
            raise TypeError(f"{kind.__name__} takes {', '.join(names)}, each once")
        try:
            fields = {name: values[name] if name in values else getattr(kind, name) for name in names}
        except AttributeError:
            raise TypeError(f"{kind.__name__} needs {', '.join(names)}") from None
        vars(self).update(fields)


@cache
def _fields(kind: type) -> dict[str, str]:
    named = [getattr(each, "__annotations__", {}) for each in reversed(kind.__mro__)]
    return {name: annotation for each in named for name, annotation in each.items()}


_new = object.__new__
_set_fields = vars(Value)["__dict__"].__set__


def trusted(kind: type[V], fields: dict[str, Any]) -> V:
    """A value from all of its fields, in order, that are known to be right: no check and no `__init__`.

    For the values that every request needs: calling the class takes longer.
    """
    value = _new(kind)
    _set_fields(value, fields)
    return value


def of_fields(kind: type[V], name: str, setting: object) -> V:
    """A setting of this kind from what a caller wrote: the value itself, or a mapping of its fields.

    Raises `InvalidSetting` for another type or an unknown key; it begins with the setting's name.
    """
    if isinstance(setting, kind):
        return setting
    if not isinstance(setting, Mapping):
        raise InvalidSetting(f"{name}: must be a {kind.__name__} or its fields, not {type(setting).__name__}")
    check_keys(name, setting, kind.__annotations__)
    return kind(**setting)


def check_keys(name: str, setting: Mapping[Any, Any], known: Iterable[str]) -> None:
    """Raise `InvalidSetting` for a key that this setting does not have; it says which are accepted."""
    known = list(known)
    if unknown := sorted(str(key) for key in setting if key not in known):
        from .names import unknown_key

        raise InvalidSetting(unknown_key(name, unknown[0], known))
