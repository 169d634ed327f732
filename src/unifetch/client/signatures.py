"""What `inspect.signature`, `typing.get_type_hints` and editors are told of calls that take `**call`.

The arguments stand in `arguments.py`, for type checkers. Importing it costs more than all else that a program needs
before its first request, so it is imported here when somebody asks.
"""

from __future__ import annotations

from types import FunctionType

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterable
    from typing import Any

    from . import arguments as arguments
else:

    class _Arguments:
        """The module of that name, imported when one of its names is asked for."""

        def __getattr__(self, name: str) -> object:
            from . import arguments as module

            return getattr(module, name)

    arguments = _Arguments()

# For `**call`, jedi shows the arguments of the function that it is passed on to. So each method that hands it on as
# one mapping first passes it to `every_argument`, in a line that no program reaches.
EDITOR: bool = False


class Described:
    """The signature of a function, with the arguments that its `**` stands for; made when it is looked at.

    It says that it is an `inspect.Signature`, because `inspect` accepts nothing else, and to import that module takes
    as long as to import this package.
    """

    def __init__(self, function: Any) -> None:
        self._function = function

    def _kind(self) -> type[inspect.Signature]:
        from inspect import Signature

        return Signature

    __class__ = property(_kind)  # it says so on purpose

    def _signature(self) -> inspect.Signature:
        from inspect import Parameter, Signature

        function = self._function
        vars(function).pop("__signature__", None)
        found = Signature.from_callable(function)
        kept = [each for each in found.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
        meant = getattr(
            arguments, function.__annotations__[_variable(function)].split("[")[-1].split(".")[-1].rstrip("]")
        )
        names = {each.name for each in kept}
        more = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=..., annotation=hint.__forward_arg__)
            for name, hint in meant.__annotations__.items()
            if name not in names
        ]
        function.__signature__ = made = found.replace(parameters=[*kept, *more])
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._signature(), name)

    def __str__(self) -> str:
        return str(self._signature())

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return self._signature() == other

    def __hash__(self) -> int:
        return hash(self._signature())


def _variable(function: Any) -> str:
    code = function.__code__
    name: str = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
    return name


def describe(functions: Iterable[object]) -> None:
    """Give each of these functions that takes `**` a signature that names the arguments."""
    for function in functions:
        if type(function) is FunctionType and function.__code__.co_flags & 8 and function.__name__[0] != "_":
            function.__signature__ = Described(function)  # type: ignore[attr-defined]  # any attribute will do
