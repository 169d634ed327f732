"""Holds the built site against the facts: `python -m facts.check SITE [SECOND BUILD]`.

`python -m facts.check --copy FOLDER` copies what the site is built of, so that the second build is another checkout's.

Every element that names a fact shows it; a number in a table of facts has a name; no link is broken, and nothing is
fetched from anywhere else; a second build is the same, byte for byte.
"""

from __future__ import annotations

import csv
import filecmp
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from . import pages, store

ROOT = Path(__file__).parents[2]

# What the browser fetches by itself when it shows a page.
FETCHED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
FIGURE = re.compile(r"(?<![\w.§])\d[\d.,]*(?![\w/])")  # that is no part of a name, of a version or of a section
VOID = {"img", "input", "link", "meta", "br", "hr", "source", "path", "rect", "circle", "use", "line", "polyline"}


class Page(HTMLParser):
    """What a page says, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.names: set[str] = set()
        self.facts: list[tuple[str, str]] = []
        self.unnamed: list[str] = []
        self._open: list[tuple[str, str | None, bool]] = []
        self._shown: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links, names, and the beginning of a fact."""
        given = {name: value or "" for name, value in attrs}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in FETCHED and FETCHED[tag] in given and given.get("rel") not in ("index", "search", "next", "prev"):
            self.fetched.append(given[FETCHED[tag]])
        if tag in VOID:
            return
        matrix = "facts" in given.get("class", "").split() and "aligned" not in given.get("class", "")
        inside = bool(self._open and self._open[-1][2])
        fact = given.get("data-fact")
        if fact is not None:
            self._shown = []
        self._open.append((tag, fact, matrix or inside))

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a fact."""
        while self._open:
            last, fact, _ = self._open.pop()
            if fact is not None:
                self.facts.append((fact, "".join(self._shown)))
            if last == tag:
                return

    def handle_data(self, data: str) -> None:
        """Note what a fact says, and a number in a cell that names none."""
        if any(fact is not None for _, fact, _ in self._open):
            self._shown.append(data)
        elif self._open and self._open[-1][0] in ("td", "small") and self._open[-1][2] and FIGURE.search(data):
            self.unnamed.append(data)


def expected(name: str) -> str:
    """What a fact of this name says."""
    if name.startswith("cost/"):
        case, client, measure, which = name.split("/")[1:]
        with pages.COST.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["case"] == case and row["client"] == client]
        return pages.quartiles([float(row[measure]) for row in rows])[int(which)]
    if "/" in name:
        scenario, subject, *column = name.split("/")
        found = store.record(scenario, subject)
        if found is None:
            return ""
        return pages.error_text(found) if column == ["error"] else str(found[column[0] if column else "answer"])
    value = store.facts()
    for part in name.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return str(value)


def faults(site: Path) -> list[str]:
    """What is wrong with a site; nothing, if all is well."""
    paths = sorted(site.rglob("*.html"))
    read = {path: Page(path.read_text("utf-8")) for path in paths}
    found = []
    count = 0
    for path, page in read.items():
        where = path.relative_to(site)
        for name, shown in page.facts:
            count += 1
            if expected(name) != shown:
                found.append(f"{where}: {name} is {expected(name)!r}, and the page says {shown!r}")
        found += [f"{where}: {number!r} names no fact" for number in page.unnamed]
        found += [f"{where}: fetches {address}" for address in page.fetched if urlsplit(address).netloc]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or str(where) in ("genindex.html", "search.html"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                found.append(f"{where}: {link} leads nowhere")
            elif parts.fragment and "=" not in parts.fragment and target in read:
                place = unquote(parts.fragment) in read[target].names
                found += [] if place else [f"{where}: {link} leads to no place on its page"]
    for style in site.rglob("*.css"):
        found += [
            f"{style.name}: fetches {url}"
            for url in re.findall(r"url\([\"']?(https?:[^)]+)\)", style.read_text("utf-8"))
        ]
    print(f"{len(paths)} pages, {count} facts on them, {sum(len(page.links) for page in read.values())} links")
    return found if count else ["there is no fact on any page"]


def differences(one: Path, other: Path) -> list[str]:
    """The files that are not the same in two builds."""
    names = {path.relative_to(root).as_posix() for root in (one, other) for path in root.rglob("*") if path.is_file()}
    kept = sorted(name for name in names if not name.startswith("."))
    return [
        f"{name} is not the same in both builds"
        for name in kept
        if not (
            (one / name).exists() and (other / name).exists() and filecmp.cmp(one / name, other / name, shallow=False)
        )
    ]


def copy(folder: Path) -> None:
    """What is under version control, or would be, at another place."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("docs", "src", "bench", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("_build", "scenarios", "__pycache__"))
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy2(path, folder)


def main() -> int:
    if sys.argv[1] == "--copy":
        copy(Path(sys.argv[2]))
        return 0
    site, *second = [Path(name) for name in sys.argv[1:]]
    found = faults(site) + (differences(site, second[0]) if second else [])
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
