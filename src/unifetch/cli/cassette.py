"""`unifetch cassette`: look after recordings: orphans, check, scrub, import-vcr."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .parser import command_parser
from .terminal import say

if TYPE_CHECKING:
    from ..testing.secrets import Secrets


def run(word: str, arguments: Sequence[str]) -> int:
    """Run one of the actions; 1 where it found something wrong."""
    cassette = command_parser(word)
    actions = cassette.add_subparsers(metavar="ACTION", required=True)

    orphans = actions.add_parser("orphans", help="list cassettes without a test, and bodies without a cassette")
    orphans.add_argument("directory", type=Path, help="where the tests are")
    orphans.set_defaults(run=_orphans)

    check = actions.add_parser("check", help="read cassettes, and look for what should not be in them")
    check.add_argument("path", type=Path, nargs="+", help="a cassette, or a directory")
    check.set_defaults(run=_check)

    scrub = actions.add_parser("scrub", help="replace secrets in cassettes")
    scrub.add_argument("path", type=Path, nargs="+", help="a cassette")
    scrub.add_argument(
        "--secret", action="append", default=[], metavar="NAME", help="an environment variable that holds one"
    )
    scrub.set_defaults(run=_scrub)

    vcr = actions.add_parser("import-vcr", help="make a cassette of one of vcrpy")
    vcr.add_argument("path", type=Path, help="vcrpy's, in YAML or JSON")
    vcr.add_argument("target", type=Path, help="the cassette to write")
    vcr.add_argument("--secret", action="append", default=[], metavar="NAME", help="as for scrub")
    vcr.set_defaults(run=_import_vcr)

    options = cassette.parse_args(arguments)
    from ..testing.har import CassetteError
    from ..testing.secrets import SecretFound

    try:
        return int(options.run(options))
    except (CassetteError, SecretFound) as error:
        say(f"unifetch cassette: {error}")
        return 1


def _orphans(options: argparse.Namespace) -> int:
    if not options.directory.is_dir():
        raise ConfigError(f"there is no directory {options.directory}")
    found = list(orphans(options.directory))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def orphans(directory: Path) -> Iterator[str]:
    """Cassettes of the fixture `unifetch_cassette` without a test, bodies without a cassette, and what was cut off."""
    from ..testing.cassette import bodies_of

    for path in sorted(directory.rglob("cassettes/*/*.har")):
        module = path.parent.parent.parent / f"{path.parent.name}.py"
        test = path.stem.partition("[")[0].rpartition(".")[2]
        if not module.exists():
            yield f"{path}: there is no {module}"
        elif not re.search(rf"\bdef {re.escape(test)}\b", module.read_text("utf-8")):
            yield f"{path}: {module} has no {test}"
    used = {name for path in directory.rglob("*.har") for name in bodies_of(path)}
    for path in sorted(directory.rglob("*.body")):
        if path.name not in used:
            yield f"{path}: no cassette names it"
    for path in sorted(directory.rglob(".*.har.*")):
        yield f"{path}: left by a process that was ended while it wrote"


def _check(options: argparse.Namespace) -> int:
    from ..testing.har import CassetteError, read
    from ..testing.secrets import SecretFound, Secrets

    wrong = 0
    for path in _cassettes(options.path):
        try:
            records = read(path)
            Secrets().scan(str(path), path.read_text("utf-8"))
        except (CassetteError, SecretFound) as error:
            wrong += 1
            say(str(error))
        else:
            print(f"{path}: {len(records)} exchanges")
    return 1 if wrong else 0


def _scrub(options: argparse.Namespace) -> int:
    from ..testing.har import read

    for path in _cassettes(options.path):
        _write(path, read(path), _secrets(options.secret))
        print(f"{path}: scrubbed")
    return 0


def _import_vcr(options: argparse.Namespace) -> int:
    from ..testing.vcr import read_vcr

    records = read_vcr(options.path)
    _write(options.target, records, _secrets(options.secret))
    print(f"{options.target}: {len(records)} exchanges")
    return 0


def _write(path: Path, records: list[Any], secrets: Secrets) -> None:
    from ..testing.cassette import clean, locked, write

    with locked(path):
        if path.exists():
            secrets.go_on_after(path.read_text("utf-8"))
        clean(records, secrets)
        write(path, records, secrets)


def _cassettes(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        found = sorted(path.rglob("*.har")) if path.is_dir() else [path]
        if not found:
            raise ConfigError(f"there is no cassette in {path}")
        yield from found


def _secrets(names: list[str]) -> Secrets:
    from ..testing.secrets import Secrets

    missing = [name for name in names if name not in os.environ]
    if missing:
        raise ConfigError(f"the environment has no {', '.join(missing)}")
    return Secrets({name.lower(): os.environ[name] for name in names})
