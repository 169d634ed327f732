"""Every regular expression that sees a text of a caller's or a peer's takes linear time: steps are counted, not time.

The expressions of the package are found in its modules, and played by a plain backtracking matcher that counts what it
tries. On texts of twice the length it may try twice as much, and not four times.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from re import _constants as op  # type: ignore[attr-defined]  # the parser that re itself uses
from re import _parser  # type: ignore[attr-defined]  # likewise
from typing import Any

import pytest

import unifetch
from unifetch.policies import multipart

N = 24
GROWTH = 3.2  # for twice the length: 2 is linear, 4 is quadratic, and short texts lie between
MANY = 400_000  # steps that no linear one needs
FEW = 4000  # steps that are no matter

IMPORTABLE = ("unifetch.model.", "unifetch.policies.", "unifetch.wire.", "unifetch.masking", "unifetch.client.")
TYPES = "unifetch.client.arguments"  # which only type checkers read


def expressions() -> Iterator[tuple[str, re.Pattern[Any], bool]]:
    """Each with its name, and whether it is looked for at every place of a text."""
    for found in pkgutil.walk_packages(unifetch.__path__, "unifetch."):
        if not found.name.startswith(IMPORTABLE) or found.name == TYPES:
            continue
        try:
            module = importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("unifetch"):
                raise
            continue  # it stands on a library that is not installed here
        source = inspect.getsource(module)
        for name, value in vars(module).items():
            pattern = value if isinstance(value, re.Pattern) else getattr(value, "__self__", None)
            # Text that `re` compiles at its first use.
            if isinstance(value, (str, bytes)) and re.search(rf"\b(?:re\.\w+|_encoded)\({name}\b", source):
                pattern = re.compile(value)
            if not isinstance(pattern, re.Pattern):
                continue
            used = re.findall(rf"\b{name}\.(\w+)\(|\bre\.(\w+)\({name}\b", source)
            ways = {getattr(value, "__name__", ""), *itertools.chain.from_iterable(used)}
            yield f"{found.name}.{name}", pattern, bool(ways & {"search", "finditer", "findall", "sub", "split"})


class TooManySteps(Exception):
    """It is exponential, and no use waiting for."""


class Matcher:
    """A backtracking matcher that counts its steps."""

    def __init__(self, pattern: re.Pattern[Any], text: str) -> None:
        shown = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
        self.tree = _parser.parse(shown, pattern.flags & ~re.UNICODE)
        self.folds = bool(pattern.flags & re.IGNORECASE)
        self.text = text
        self.steps = 0

    def count(self, everywhere: bool) -> int:
        at = 0
        while at <= len(self.text):
            ends: list[int] = []
            self.sequence(self.tree, 0, at, lambda end, ends=ends: ends.append(end) or True)  # type: ignore[misc]  # None, or True
            if not everywhere:
                break
            at = max(at + 1, ends[0] if ends else 0)
        return self.steps

    def sequence(self, nodes: Any, index: int, at: int, then: Callable[[int], bool]) -> bool:
        if index == len(nodes):
            return then(at)
        self.steps += 1
        if self.steps > MANY:
            raise TooManySteps
        kind, given = nodes[index]

        def following(end: int) -> bool:
            return self.sequence(nodes, index + 1, end, then)

        if kind in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
            return at < len(self.text) and self.is_in(kind, given, self.text[at]) and following(at + 1)
        if kind is op.SUBPATTERN:
            return self.sequence(given[-1], 0, at, following)
        if kind is op.BRANCH:
            return any(self.sequence(each, 0, at, following) for each in given[1])
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            return self.repeat(*given, at, following)
        if kind is op.POSSESSIVE_REPEAT:
            ends = [at]
            while len(ends) <= given[1] and self.sequence(given[2], 0, ends[-1], lambda end: ends.append(end) or True):  # type: ignore[func-returns-value]  # a lambda that remembers
                if ends[-1] == ends[-2]:
                    break
            return len(ends) > given[0] and following(ends[-1])
        if kind in (op.ASSERT, op.ASSERT_NOT):
            start = at if given[0] > 0 else at - 1
            holds = start >= 0 and self.sequence(given[1], 0, start, lambda end: True)
            return holds is (kind is op.ASSERT) and following(at)
        if kind is op.AT:
            is_there = {
                op.AT_BEGINNING: at == 0,
                op.AT_BEGINNING_STRING: at == 0,
                op.AT_END_STRING: at == len(self.text),
            }
            return is_there.get(given, True) and following(at)
        raise NotImplementedError(kind)

    def repeat(self, least: int, most: int, item: Any, at: int, then: Callable[[int], bool]) -> bool:
        if len(item) == 1 and item[0][0] in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
            end = at
            while end - at < most and end < len(self.text) and self.is_in(*item[0], self.text[end]):
                end += 1
                self.steps += 1
            return any(then(each) for each in range(end, at + least - 1, -1))

        def more(count: int, place: int) -> bool:
            if count < most and self.sequence(item, 0, place, lambda end: end > place and more(count + 1, end)):
                return True
            return count >= least and then(place)

        return more(0, at)

    def is_in(self, kind: Any, given: Any, char: str) -> bool:
        if kind is op.ANY:
            return char != "\n"
        if kind is op.IN:
            negated = given[0][0] is op.NEGATE
            return any(self.is_in(*each, char) for each in given[negated:]) is not negated
        if kind is op.RANGE:
            return any(given[0] <= ord(each) <= given[1] for each in self.cases(char))
        if kind is op.CATEGORY:
            category = str(given).removeprefix("CATEGORY_").replace("NOT_", "")
            holds = {"SPACE": char.isspace(), "DIGIT": char.isdigit(), "WORD": char.isalnum() or char == "_"}[category]
            return holds is ("NOT_" not in str(given))
        return (given in map(ord, self.cases(char))) is (kind is not op.NOT_LITERAL)

    def cases(self, char: str) -> set[str]:
        return {char, char.lower(), char.upper()[:1]} if self.folds else {char}


def starts(nodes: Any, before: str = "") -> Iterator[str]:
    """Texts that lead to each repetition, as far as one that matches can be written down simply."""
    for kind, given in nodes:
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            yield before
            yield from starts(given[2], before)
            before += sample(given[2]) * given[0]
        elif kind is op.SUBPATTERN:
            yield from starts(given[-1], before)
            before += sample(given[-1])
        elif kind is op.BRANCH:
            for each in given[1]:
                yield from starts(each, before)
            before += sample(given[1][0])
        else:
            before += sample([(kind, given)])


def sample(nodes: Any) -> str:
    text = ""
    for kind, given in nodes:
        if kind is op.LITERAL:
            text += chr(given)
        elif kind is op.IN:
            text += next(
                (chr(value if name is op.LITERAL else value[0]) for name, value in given if name in CHARS), "x"
            )
        elif kind is op.SUBPATTERN:
            text += sample(given[-1])
        elif kind is op.BRANCH:
            text += sample(given[1][0])
        elif kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            text += sample(given[2]) * given[0]
        elif kind in (op.ANY, op.NOT_LITERAL):
            text += "x"
    return text


CHARS = (op.LITERAL, op.RANGE)


def texts(pattern: re.Pattern[Any], length: int) -> Iterator[str]:
    """What might make it try again and again: each start, something many times, and an end that does not fit."""
    shown = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = _parser.parse(shown, pattern.flags & ~re.UNICODE)
    punctuation = [char for char in dict.fromkeys(shown) if char in ' "\\/=:;,.%@-#<'][:5]
    pumped = ["a", "0", " ", *punctuation]
    for start in list(dict.fromkeys(starts(tree)))[:6]:
        for one, other in itertools.product(dict.fromkeys(pumped), repeat=2):
            for end in ("\n\0", '"'):
                yield start + (one + other) * length + end


def worst(pattern: re.Pattern[Any], everywhere: bool) -> float:
    """How many times as many steps a text of twice the length takes, at worst."""
    growth = 0.0
    for short, long in zip(texts(pattern, N), texts(pattern, 2 * N), strict=True):
        steps = Matcher(pattern, long).count(everywhere)
        if steps > FEW / 4:
            growth = max(growth, steps / Matcher(pattern, short).count(everywhere))
    return growth


@pytest.fixture(autouse=True)
def room() -> Iterator[None]:
    """The matcher calls itself for each repetition."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(before)


ALL = {name: (pattern, everywhere) for name, pattern, everywhere in expressions()}


@pytest.mark.parametrize("name", ALL)
def test_linear_time(name: str) -> None:
    """Twice the text, twice the steps."""
    pattern, everywhere = ALL[name]

    assert worst(pattern, everywhere) < GROWTH, pattern.pattern


def test_what_is_quadratic_is_seen() -> None:
    """The expression that took 37 seconds for 100 kB, and one that is looked for at every place."""
    assert worst(re.compile(r"[!-~]+/[!-~][ -~]*\Z"), everywhere=False) > GROWTH
    assert worst(re.compile(r"[ \t]*,"), everywhere=True) > GROWTH
    assert multipart._CONTENT_TYPE in [pattern for pattern, _ in ALL.values()]
