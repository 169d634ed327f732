"""`unifetch backends`: which are there, in which versions, which is used and why, and where they differ."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec

from ..backends import BACKENDS, available_backends, how_to_install, is_installed, load
from ..backends import capabilities as capabilities_of
from ..backends.base import Capability
from ..bridges import installed
from ..client.config import chosen_backend
from .parser import BACKEND, command_parser
from .terminal import Style, columns, printable, wrapped

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# What a library stands on, and what decides much of how it behaves.
ENGINES = {"requests": "urllib3", "httpx": "httpcore", "httpx2": "httpcore2"}


def run(word: str, arguments: Sequence[str]) -> int:
    """Print the list and the table; 0."""
    parser = command_parser(word)
    parser.add_argument("--all", action="store_true", help="every capability, also those that all have")
    options = parser.parse_args(arguments)
    style = Style(sys.stdout)
    default, reason = map(str, chosen_backend())
    capabilities: dict[str, frozenset[Capability]] = {}
    for name in dict.fromkeys((*BACKENDS, *available_backends())):
        is_ours = name in BACKENDS
        if is_ours and not is_installed(name):
            found = style.dim(f"not installed: {how_to_install(name)}")
        else:
            try:
                capabilities[name] = capabilities_of(name)
                found = _version(name) if is_ours else "of another distribution"
            except Exception as error:  # noqa: BLE001  # a broken library raises what it likes when it is imported
                found = style.red(printable(f"broken: {type(error).__name__}: {error}")[:66])
        mark = style.green("*" if name == default else " ")
        print(f"{mark} {style.bold(f'{name:10}')} {wrapped(found, 13).lstrip()}")
    if _is_urllib3_future():
        print(style.red("\n" + wrapped("Warning: niquests has put urllib3-future in the place of urllib3.")))
    print("\n" + wrapped(f"{style.green('*')} {printable(default)} is used where none is named ({reason})."))
    if reason == "the default":
        print(wrapped(f"A request from the command line then uses {BACKEND}, which starts sooner."))
    print()
    if bridged := installed():
        print(wrapped(f"Bridges are installed underneath {', '.join(bridged)}.") + "\n")
    _print_matrix(capabilities, style, everything=options.all or len(capabilities) == 1)
    if default not in capabilities and default not in BACKENDS:
        print(end="", flush=True)
        load(default)  # its error says which names there are
    return 0


def _version(library: str) -> str:
    """What is imported, which need not be what was installed under that name."""
    if library in sys.stdlib_module_names:
        return "Python {}.{}.{}".format(*sys.version_info)
    version = str(getattr(sys.modules.get(library), "__version__", "(no version)"))
    return f"{version} on {ENGINES[library]} {_version(ENGINES[library])}" if library in ENGINES else version


def _is_urllib3_future() -> bool:
    module = sys.modules.get("urllib3")
    version = re.match(r"[0-9]+\.[0-9]+\.([0-9]+)", str(getattr(module, "__version__", "")))
    return hasattr(module, "backend") or (version is not None and int(version[1]) >= 900)


def _print_matrix(capabilities: dict[str, frozenset[Capability]], style: Style, *, everything: bool) -> None:
    shown = [each for each in Capability if everything or len({each in having for having in capabilities.values()}) > 1]
    if alike := len(Capability) - len(shown):
        differ = f"They differ in {len(shown)} of {len(Capability)} capabilities; --all shows the other {alike}, too."
        print(wrapped(differ) + "\n")
    if not shown:
        return
    width = max(len(capability.name) for capability in shown)
    is_narrow = width + sum(len(name) + 2 for name in capabilities) > columns()
    if not is_narrow:
        print(style.bold("  ".join([f"{'capability':{width}}", *capabilities])))
    for capability in shown:
        if is_narrow:
            print(style.bold(capability.name))
        else:
            cells = [f"{capability.name:{width}}"]
            for name, having in capabilities.items():
                cells.append(style.green(f"{'yes':{len(name)}}") if capability in having else f"{'no':{len(name)}}")
            print("  ".join(cells).rstrip())
        print(style.dim(wrapped(capability.value, 2)))
        if is_narrow:
            able = ", ".join(name for name, having in capabilities.items() if capability in having)
            print(style.green(wrapped(f"yes: {able or 'none'}", 2)))
        if capability is Capability.HTTP2 and find_spec("h2") is None:
            print(style.red(wrapped("socket lacks the library h2 for it: pip install 'unifetch-http[http2]'", 2)))
