"""unifetch underneath other people's clients: `unifetch.bridges.httpx`, `.httpx2` and `.requests`.

A backend carries unifetch on somebody's library; a bridge is the other way round. None is imported before it is named,
and nothing is installed by itself.
"""

from __future__ import annotations

from functools import wraps
from importlib import import_module
from inspect import signature

from ..errors import InvalidSetting, shown

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Unpack

    from .bounds import BridgeArguments

LIBRARIES = ("httpx", "httpx2", "requests")
_installed: dict[str, Callable[[], None]] = {}  # by library, what takes the bridge out again


def install(library: str, **settings: Unpack[BridgeArguments]) -> None:
    """Have the clients of a library that are made from now on run on unifetch, where nobody can hand them a transport.

    It replaces how the library's own transport comes about. Those that exist keep their engine, and so does a subclass
    of it, whose changes would be lost. What a client says of TLS, proxies and limits is honoured, or refused by a
    `ConfigConflict` when it is made.

    Args:
        library: `"httpx"`, `"httpx2"` or `"requests"`.
        **settings: as the transport or the adapter of the bridge takes them, for all clients.

    Raises:
        InvalidSetting: for another library, a setting that will not do, and one that is installed already.
    """
    if library not in LIBRARIES:
        raise InvalidSetting(f"there is no bridge for {shown(library)}; there is one for {', '.join(LIBRARIES)}")
    if library in _installed:
        raise InvalidSetting(f"the bridge for {library} is installed already; uninstall it first")
    _installed[library] = import_module(f"{__name__}.{library}").replace_transports(dict(settings))


def uninstall(library: str) -> None:
    """Take a bridge out again; the clients that were made meanwhile keep it. Nothing happens if it is not installed."""
    if library in _installed:
        _installed.pop(library)()


def installed() -> tuple[str, ...]:
    """The libraries whose own transports are replaced in this process."""
    return tuple(_installed)


def replaced(theirs: Any, ours: Any, told: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[], None]:
    """Have each instance of the library's class be of ours from now on; what is returned takes that back.

    Args:
        theirs: the class; its subclasses stay as they are.
        ours: what takes its place.
        told: the arguments of ours for those that theirs was given, by name.
    """
    original = theirs.__init__

    @wraps(original)
    def init(self: Any, *args: Any, **options: Any) -> None:
        if type(self) is not theirs:
            original(self, *args, **options)
            return
        said = signature(original).bind(self, *args, **options).arguments
        self.__class__ = ours
        ours.__init__(self, **told(said))

    theirs.__init__ = init
    return lambda: setattr(theirs, "__init__", original)
