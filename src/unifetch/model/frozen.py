"""Frozen values: what every setting, request and response of unifetch is.

Written by hand instead of with `dataclasses`, because importing that module costs more than the rest
of this package (it pulls in `inspect`), and because its frozen `__init__` sets one attribute at a time.
"""

from __future__ import annotations

from ..masking import masked

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any, Self, TypeVar

    V = TypeVar("V", bound="Value")


class Value:
    """Compared, hashed, shown and pickled by its fields; never changed.

    A subclass sets its fields once, in `__init__`, by `vars(self).update(…)`, and gets a changed copy
    by `replace(…)`, which runs `__init__` and so its checks.
    """

    def __setattr__(self, name: str, value: object) -> None:
        kind = type(self).__name__
        if name in vars(self):
            raise AttributeError(f"{kind} is frozen: .replace({name}=…) gives a changed copy")
        raise AttributeError(f"{kind} is frozen, and has no {name}; it has {', '.join(vars(self))}")

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
        return self  # nobody can tell a copy of what never changes

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


_new = object.__new__
_set_fields = vars(Value)["__dict__"].__set__


def trusted(kind: type[V], fields: dict[str, Any]) -> V:
    """A value from all of its fields, in their order, that are known to be right: no check and no `__init__`.

    It is for the values that every request needs: a call of the class takes longer.
    """
    value = _new(kind)
    _set_fields(value, fields)
    return value
