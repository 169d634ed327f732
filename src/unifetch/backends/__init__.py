"""The table of backends, and how a name or a native object becomes one.

Nothing here imports a library before it is asked for by name.
"""

from __future__ import annotations

from ..errors import BackendNotInstalled, ConfigError, InvalidSetting, UnknownBackend, shown
from ..model.frozen import Value
from .base import ASYNC_CAPABILITIES, Capability

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint
    from typing import Any

    from .base import AsyncBackend, Backend

DEFAULT = "urllib"


class Entry(Value):
    """One row of the table, by the name of the library; the module of this package with the adapter has it, too.

    Attributes:
        factory: the name of the adapter's class; "" where the library can only be awaited.
        natives: the types that are recognised as this backend's, as `module.Class`.
        async_factory: the name of the class that is an `AsyncBackend`; "" where the library has no such side.
        async_natives: the types that are recognised as that one's.
    """

    factory: str
    natives: tuple[str, ...]
    async_factory: str
    async_natives: tuple[str, ...]

    def __init__(
        self, factory: str, natives: tuple[str, ...] = (), async_factory: str = "", async_natives: tuple[str, ...] = ()
    ) -> None:
        vars(self).update(factory=factory, natives=natives, async_factory=async_factory, async_natives=async_natives)


BACKENDS: dict[str, Entry] = {
    "urllib": Entry("UrllibBackend"),
    "requests": Entry("RequestsBackend", ("requests.sessions.Session",)),
    "httpx": Entry("HttpxBackend", ("httpx.Client",), "AsyncHttpxBackend", ("httpx.AsyncClient",)),
    "httpx2": Entry("Httpx2Backend", ("httpx2.Client",), "AsyncHttpx2Backend", ("httpx2.AsyncClient",)),
    "urllib3": Entry("Urllib3Backend", ("urllib3.poolmanager.PoolManager",)),
    "aiohttp": Entry("", async_factory="AiohttpBackend", async_natives=("aiohttp.client.ClientSession",)),
    "socket": Entry("SocketBackend", async_factory="AsyncSocketBackend"),
}


def load(name: str) -> Callable[..., Backend]:
    """What makes the backend of a name, called with a native object or with nothing.

    A library that can only be awaited runs its event loop in a thread (`in_loop.Looped`).

    Raises:
        UnknownBackend: the message lists the names that there are.
        BackendNotInstalled: the message says how to install the library.
    """
    entry = BACKENDS.get(name)
    if entry is not None and entry.factory:
        factory: Callable[..., Backend] = getattr(adapter(name), entry.factory)
        return factory
    other = load_async(name) if entry else _from_entry_point(name)
    return lambda *native: _synchronous(other(*native))


def load_async(name: str) -> Callable[..., AsyncBackend]:
    """The same for an `AsyncClient`. A library that cannot be awaited runs in threads (`in_threads.Threaded`)."""
    entry = BACKENDS.get(name)
    if entry is not None and entry.async_factory:
        factory: Callable[..., AsyncBackend] = getattr(adapter(name), entry.async_factory)
        return factory
    other = load(name) if entry else _from_entry_point(name)
    return lambda *native: _asynchronous(other(*native))


def _synchronous(backend: Any) -> Backend:
    if Capability.NATIVE_ASYNC in backend.capabilities:
        from .in_loop import Looped

        return Looped(backend)
    return backend  # type: ignore[no-any-return]  # a Backend is one by its shape


def _asynchronous(backend: Any) -> AsyncBackend:
    from .in_threads import Threaded

    if Capability.NATIVE_ASYNC in backend.capabilities or isinstance(backend, Threaded):
        return backend  # type: ignore[no-any-return]  # as above
    return Threaded(backend)


def adapter(name: str) -> Any:
    """The module that holds the adapter of a backend of the table, which imports its library.

    Raises:
        BackendNotInstalled: the message says how to install the library.
    """
    from importlib import import_module

    try:
        return import_module(f".{name}", __name__)
    except ImportError as error:
        if is_installed(name):
            raise  # the library is there, and broken: its own error says more
        raise BackendNotInstalled(
            f"backend {name!r} needs the library {name}, which is not installed: {how_to_install(name)}"
        ) from error


def _from_entry_point(name: str) -> Callable[..., Any]:
    # Looked at only after the table, because scanning the installed distributions takes milliseconds.
    found = {point.name: point for point in _entry_points()}
    if name not in found:
        raise UnknownBackend(f"unknown backend {shown(name)}; known are {', '.join([*BACKENDS, *found])}")
    factory: Callable[..., Any] = found[name].load()
    return factory


def _entry_points() -> list[EntryPoint]:
    """The backends of others; one that has the name of one of ours is none."""
    from importlib.metadata import entry_points

    return [point for point in entry_points(group="unifetch.backends") if point.name not in BACKENDS]


def wrap(native: object) -> Backend:
    """The backend of a native object (a `requests.Session`, say), which stays its owner's to close.

    A `Backend` is its own.

    Raises:
        InvalidSetting: for an object that is neither, or one that belongs to an event loop.
        ConfigConflict: for one that carries settings which would be lost.
    """
    name, is_async = _recognised(native)
    if is_async:
        raise InvalidSetting(f"backend: {type(native).__name__} belongs to its event loop; it goes with AsyncClient")
    return load(name)(native) if name else native  # type: ignore[return-value]  # a Backend is one by its shape


def wrap_async(native: object) -> AsyncBackend:
    """The same for an `AsyncClient`. What cannot be awaited runs in threads.

    Raises:
        InvalidSetting, ConfigConflict: as `wrap` does.
    """
    name, is_async = _recognised(native)
    if name and is_async:
        return load_async(name)(native)
    return _asynchronous(load(name)(native) if name else native)


def checked(native: object) -> Backend | AsyncBackend:
    """The backend of an object of either kind, for whoever will use it; it goes with clients of that kind.

    Raises:
        InvalidSetting, ConfigConflict: as `wrap` does.
    """
    return wrap_async(native) if _recognised(native)[1] else wrap(native)


def _recognised(native: object) -> tuple[str, bool]:
    """The name of the backend that this object is native to, "" for a backend itself; and whether it is awaited."""
    declared = getattr(native, "capabilities", None)
    if isinstance(declared, frozenset) and not isinstance(native, type):
        contract = getattr(native, "contract", None)
        if contract != 1:
            raise ConfigError(f"backend {native!r} implements version {contract!r} of the contract; this is 1")
        return "", Capability.NATIVE_ASYNC in declared
    # By the names of its types, so that no library is imported to find out that it is not meant.
    lineage = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(native).__mro__}
    for name, entry in BACKENDS.items():
        if lineage.intersection(entry.natives):
            return name, False
        if lineage.intersection(entry.async_natives):
            return name, True
    known = ", ".join(native for entry in BACKENDS.values() for native in (*entry.natives, *entry.async_natives))
    raise InvalidSetting(f"backend: must be a name, a Backend, or one of {known}, not {type(native).__name__}")


def is_installed(name: str) -> bool:
    """Whether the library of this name can be found, without importing it."""
    from importlib.util import find_spec

    return find_spec(name) is not None


def available_backends() -> tuple[str, ...]:
    """The names of the backends whose libraries are installed, in the order of the table; then those of others."""
    ours = filter(is_installed, BACKENDS)
    return (*ours, *dict.fromkeys(point.name for point in _entry_points()))


def how_to_install(name: str) -> str:
    """The command that installs the library of a backend."""
    return f"pip install 'unifetch-http[{name}]'"


def with_capability(capability: Capability) -> list[str]:
    """The names of the installed backends of ours that declare a capability; an error names them."""
    return [name for name in BACKENDS if is_installed(name) and capability in capabilities(name)]


def capabilities(name: str) -> frozenset[Capability]:
    """What the backend of this name can do; and whether it can be awaited."""
    if name not in BACKENDS:
        factory = _from_entry_point(name)
        own = getattr(factory, "capabilities", None)
        theirs: frozenset[Capability] = own if isinstance(own, frozenset) else factory().capabilities
        return theirs
    module = adapter(name)
    awaited: frozenset[Capability] = getattr(module, "ASYNC_CAPABILITIES", frozenset())
    declared: frozenset[Capability] = module.CAPABILITIES
    return declared | awaited & ASYNC_CAPABILITIES
