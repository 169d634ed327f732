"""What editors, notebooks and `help()` show: completion, signatures, hints and a docstring for every public name."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import unifetch
from unifetch import aio
from unifetch.client import arguments, base_client
from unifetch.client.arguments import BodyArguments, CallArguments

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
        ('unifetch.stream("GET", "x", ', {"json=", "timeout=", "tls="}),
        ('unifetch.Client().stream("GET", "x", ', {"json=", "timeout=", "tls="}),
        ('unifetch.Client().open("GET", "x", ', {"json=", "timeout=", "tls="}),
        ('unifetch.Client().exchange("GET", "x", ', {"body=", "timeout=", "resolve="}),
        ('unifetch.Client().download("x", "f", ', {"resume=", "timeout=", "tls="}),
        ('unifetch.Client().send(unifetch.Request("GET", "x"), ', {"timeout=", "tls="}),
        ('unifetch.AsyncClient().stream("GET", "x", ', {"json=", "timeout=", "tls="}),
        ("unifetch.Client(", {"backend=", "cookies=", "headers=", "base_url=", "tls="}),
        ("unifetch.AsyncClient(", {"backend=", "cookies=", "headers=", "base_url=", "tls="}),
        ("unifetch.Client().with_(", {"headers=", "auth=", "base_url="}),
        ("unifetch.Client().with_(auth=None).", {"get", "stream", "exchange", "cookies"}),
        ('unifetch.Client().with_(auth=None).get("x").', {"status", "json"}),
        ('with unifetch.stream("GET", "x") as response:\n    response.', {"body", "lines", "read"}),
        ('async def f():\n    (await unifetch.AsyncClient().get("x")).', {"status", "json"}),
        ("unifetch.configure(", {"backend=", "timeout="}),
        ("unifetch.Cook", {"Cookie", "CookieJar"}),
        ("unifetch.Retry(", {"attempts=", "backoff="}),
    ],
)
def test_completion(code: str, expected: set[str]) -> None:
    """jedi, which is what IPython, Jupyter and many editors ask, completes responses, clients and arguments."""
    found = {each.name for each in jedi_script(f"import unifetch\n{code}").complete()}

    assert set() == expected - found


PROGRAM = """
import unifetch
client = unifetch.Client()
reveal_type(unifetch.get("x"))
reveal_type(unifetch.get("x").json)
reveal_type(client.with_(headers={"a": "b"}))
reveal_type(client.stream("GET", "x").__enter__())
reveal_type(unifetch.get("x").elapsed)
unifetch.get("x", timout=1)
unifetch.get("x").status_code
unifetch.get("x").headers["a"] = "b"
client.headers
try:
    pass
except unifetch.Timeout:
    pass
"""


def test_pyright(tmp_path: Path) -> None:
    """It knows the types of what is returned, and refuses names of other libraries before the program runs."""
    pytest.importorskip("pyright", reason="pyright is not installed")
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    source = str(Path(unifetch.__file__).parent.parent)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [source]}), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "-p", str(tmp_path)], capture_output=True, text=True
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    told = [each["message"] for each in found if each["severity"] == "information"]
    wrong = {each["range"]["start"]["line"] for each in found if each["severity"] == "error"}

    assert ["Response[bytes]", "(", "Client", "Response[Iterator[bytes]]", "float"] == [
        message.split('is "')[1].rstrip('"')[: None if "def" not in message and "->" not in message else 1]
        for message in told
    ]
    assert {8, 9, 10, 11, 14} == wrong


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("unifetch.Cook", {"CookieJar"}),
        ("response.", {"status", "headers", "json"}),
        ("response.url.", {"origin", "path"}),
        ("client.", {"get", "stream", "with_"}),
        ("client.get('x', ", {"timeout=", "params="}),
        ('unifetch.get("x").', {"status", "json", "links"}),
    ],
)
def test_ipython(code: str, expected: set[str]) -> None:
    """IPython completes what is there and what a call will return, without a call, and no name of another library."""
    completer = pytest.importorskip("IPython.core.completer", reason="IPython is not installed")
    request = unifetch.Request("GET", "http://h/")
    response = unifetch.Response(status=200, headers=unifetch.Headers(), body=b"", request=request)
    namespace = {"unifetch": unifetch, "client": unifetch.Client(), "response": response}
    asked = completer.IPCompleter(namespace=namespace, global_namespace={}, use_jedi=True)
    asked.disable_matchers = ["IPCompleter.magic_matcher"]  # which belongs to a shell
    with completer.provisionalcompleter():
        found = {each.text.rpartition(".")[2] for each in asked.completions(code, len(code))}

    assert set() == expected - found
    assert not found & {"mount", "adapters"}


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


@pytest.mark.parametrize(
    ("shown", "meant"),
    [
        (arguments.every_argument, CallArguments),
        (arguments.every_argument_of_an_exchange, arguments.ExchangeArguments),
        (arguments.every_setting, arguments.ClientArguments),
    ],
)
def test_every_argument_is_every_argument(shown: Any, meant: Any) -> None:
    """The signature that editors are shown has what the TypedDict has, by the same names and types."""
    hints = {name: hint for name, hint in shown.__annotations__.items() if name != "return"}

    assert {name: hint.__forward_arg__ for name, hint in meant.__annotations__.items()} == hints


def test_what_is_typed_is_what_is_taken() -> None:
    """Type checkers know each argument that a call takes, but for two of the client's own settings."""
    assert {*CallArguments.__annotations__, "base_url", "listeners"} == base_client.CALL
    assert {*arguments.ExchangeArguments.__annotations__, "headers", "body", "listeners"} == base_client.EXCHANGE


def test_the_names_of_the_module() -> None:
    """`dir(unifetch)` has every public name, also those that are imported late."""
    assert {*unifetch.__all__} <= {*dir(unifetch)}


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
