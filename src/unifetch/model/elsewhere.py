"""Where a class of ours tells of the names that other libraries give to what it has.

The names and their answers stand in `names.py`, which is imported only when somebody uses one.
"""

from __future__ import annotations

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])


class Elsewhere:
    """An attribute that the class has in other libraries: whoever reads it is told ours.

    With `__getattr__`, a class would be slower at the attributes that it does have, and each call reads a dozen.
    """

    def __init__(self, place: str, name: str) -> None:
        self._place = place
        self._name = name

    def __get__(self, instance: object, kind: type) -> NoReturn:
        from .names import unknown_attribute

        raise AttributeError(unknown_attribute(self._place, self._name, (), kind.__name__))


def tell(kind: type[Any], place: str, theirs: str) -> None:
    """Let a class answer these names, which stand at a place of `names.py`, without listing them in `dir()`.

    Args:
        kind: the class.
        place: where its names stand.
        theirs: the names, with spaces between them.
    """
    names = frozenset(theirs.split())
    for name in names:
        setattr(kind, name, Elsewhere(place, name))
    listed: Any = kind.__dir__

    def without_theirs(self: object) -> list[str]:
        return [name for name in listed(self) if name not in names]

    kind.__dir__ = without_theirs  # type: ignore[assignment]  # as a method, it takes nothing


def told(call: str = "", *, missing: str = "", instead: str = "") -> Callable[[F], F]:
    """Let a function answer arguments that it has in other libraries, in place of Python's own `TypeError`.

    Args:
        call: what was called, as `"Request()"`.
        missing: what to say where an argument is left out.
        instead: what to say in any case.
    """

    def decorate(function: F) -> F:
        from functools import wraps

        @wraps(function)
        def called(*given: Any, **named: Any) -> Any:
            try:
                return function(*given, **named)
            except TypeError as error:
                if (trace := error.__traceback__) is None or trace.tb_next is not None:
                    raise  # the arguments were taken, and this is about something else
                words = instead or _refusal(function, call, named) or missing
            if not words:
                return function(*given, **named)  # which says the rest as well as we could
            from ..errors import InvalidSetting

            raise InvalidSetting(words)

        return called  # type: ignore[return-value]  # it takes what the function takes

    return decorate


def _refusal(function: Callable[..., Any], call: str, named: dict[str, Any]) -> str | None:
    from inspect import signature

    from .names import unknown_argument

    taken = [*signature(function).parameters][1:]
    return next((unknown_argument(call, name, taken) for name in named if name not in taken), None)
