"""What editors, notebooks and `help()` show: completion, signatures, hints and a docstring for every public name."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import unifetch
from unifetch import aio
from unifetch.client.arguments import BodyArguments, CallArguments, every_argument

CALLS = ["request", "get", "head", "options", "delete", "post", "put", "patch", "stream", "download"]
METHODS = [*CALLS, "send", "open", "exchange"]
PUBLIC = ["unifetch", "unifetch.aio", "unifetch.errors", "unifetch.testing", "unifetch.backends.base"]


def jedi_script(code: str) -> Any:
    jedi = pytest.importorskip("jedi", reason="jedi is not installed")
    return jedi.Script(code, project=jedi.Project(Path(unifetch.__file__).parent.parent))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('unifetch.get("x").', {"status", "headers", "json", "raise_for_status", "links"}),
        ('unifetch.get("x").headers.', {"get_all", "pairs"}),
        ('unifetch.get("x").url.', {"origin", "path", "query", "join"}),
        ('unifetch.Client().get("x").', {"status", "json"}),
        ('with unifetch.Client() as client:\n    client.get("x").', {"status", "json"}),
        ("unifetch.Client().", {"get", "stream", "exchange", "cookies"}),
        ('unifetch.get("x", ', {"params=", "headers=", "timeout=", "tls="}),
        ('unifetch.post("x", ', {"json=", "form=", "files=", "auth="}),
        ('unifetch.Client().get("x", ', {"params=", "headers=", "timeout="}),
        ('unifetch.Client().request("GET", "x", ', {"json=", "timeout="}),
        ("unifetch.Cook", {"Cookie", "CookieJar"}),
        ("unifetch.Retry(", {"attempts=", "backoff="}),
    ],
)
def test_completion(code: str, expected: set[str]) -> None:
    """jedi, which is what IPython, Jupyter and many editors ask, completes responses, clients and arguments."""
    found = {each.name for each in jedi_script(f"import unifetch\n{code}").complete()}

    assert set() == expected - found


@pytest.mark.parametrize("code", ['unifetch.get("x", ', 'unifetch.Client().get("x", '])
def test_hover_in_jedi(code: str) -> None:
    """The one signature that it shows has every argument, and the sentence that says what the call does."""
    [shown] = jedi_script(f"import unifetch\n{code}").get_signatures()

    assert {*CallArguments.__annotations__} <= {each.name for each in shown.params}
    assert "Send a GET request" in shown.docstring()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("module", [unifetch, aio])
def test_signature_of_functions(module: Any, name: str) -> None:
    """`inspect.signature` shows the arguments, by name."""
    parameters = inspect.signature(getattr(module, name)).parameters

    assert {*CallArguments.__annotations__} <= set(parameters)
    assert not [each for each in parameters.values() if each.kind is inspect.Parameter.VAR_KEYWORD]
    if name in ("request", "post", "put", "patch", "stream"):
        assert {*BodyArguments.__annotations__} <= set(parameters)
    assert "timeout: 'TimeoutTypes' = Ellipsis" in str(inspect.signature(getattr(module, name)))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", [unifetch.Client, unifetch.AsyncClient])
def test_signature_of_methods(kind: Any, name: str) -> None:
    """So it does of a client's methods, bound and unbound."""
    unbound, bound = getattr(kind, name), getattr(kind(), name)

    assert "timeout" in inspect.signature(unbound).parameters
    assert ["self", *inspect.signature(bound).parameters] == list(inspect.signature(unbound).parameters)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("module", [unifetch, aio])
def test_type_hints(module: Any, name: str) -> None:
    """`typing.get_type_hints` resolves every name."""
    hints = typing.get_type_hints(getattr(module, name))

    assert str is hints["url"]
    assert "return" in hints


def test_every_argument_is_every_argument() -> None:
    """The signature that editors are shown has what the TypedDict has, by the same names and types."""
    shown = {name: hint for name, hint in every_argument.__annotations__.items() if name != "return"}

    assert {name: hint.__forward_arg__ for name, hint in CallArguments.__annotations__.items()} == shown


def public_things() -> Iterator[tuple[str, Any]]:
    for module in map(importlib.import_module, PUBLIC):
        names = getattr(module, "__all__", [name for name in vars(module) if name[0] != "_"])
        for name in names:
            thing = getattr(module, name)
            if not getattr(thing, "__module__", "unifetch").startswith("unifetch"):
                continue
            yield f"{module.__name__}.{name}", thing
            if inspect.isclass(thing):
                for attribute, member in vars(thing).items():
                    if attribute[0] != "_" and (inspect.isfunction(member) or isinstance(member, property)):
                        yield f"{module.__name__}.{name}.{attribute}", member


@pytest.mark.parametrize(("name", "thing"), [*public_things()], ids=lambda each: each if isinstance(each, str) else "")
def test_every_public_name_has_a_docstring(name: str, thing: Any) -> None:
    """What is public says what it is."""
    if callable(thing) or isinstance(thing, property):
        assert (inspect.getdoc(thing) or "").strip(), name


def test_signatures_are_made_late() -> None:
    """To import unifetch imports neither `inspect` nor the arguments, which only type checkers and editors need."""
    code = "import sys, unifetch; print({'inspect', 'typing', 'unifetch.client.arguments'}.intersection(sys.modules))"
    source = str(Path(unifetch.__file__).parent.parent)
    program = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {source!r}); {code}"]

    assert b"set()" == subprocess.run(program, check=True, capture_output=True).stdout.strip()
