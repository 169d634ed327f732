"""The site's own directives: they read the facts, and nothing else. Sphinx calls `setup`.

What they print is made in `facts/pages.py` and `facts/pictures.py`, which know nothing of Sphinx.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from docutils import nodes
from facts import pages, pictures, store
from facts.scenarios import SCENARIOS, TOPICS
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "unifetch"


def setup(app):
    """What Sphinx asks of an extension."""
    for name, directive in DIRECTIVES.items():
        app.add_directive(name, directive)
    app.add_role("fact", fact_role)
    app.connect("builder-inited", write_scenarios)
    app.connect("source-read", link_sources)
    app.connect("autodoc-process-docstring", plurals)
    app.connect("autodoc-process-signature", dots)
    app.connect("html-collect-pages", source_pages)
    app.connect("build-finished", write_recordings)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


# --- Directives -----------------------------------------------------------------------------------


class Facts(SphinxDirective):
    """Its argument is a name; what it shows is what `html` says, with the way to the site's root before links."""

    optional_arguments = 3

    def run(self):
        """The HTML as it is."""
        store.facts()  # raises where the file is not what a run has written
        self.env.note_dependency(str(store.FILE))
        root = "../" * self.env.docname.count("/")
        return [nodes.raw("", self.html(root, *self.arguments), format="html")]


def directive(function):
    """A directive that prints what this function returns."""
    return type(function.__name__, (Facts,), {"html": lambda self, root, *words: function(root, *words)})


def fact_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    """`{fact}` and the way to a number: `summary.scenarios`."""
    return [nodes.raw("", pages.fact(text), format="html")], []


def topic_matrix(root, topic):
    """The rows of one topic, where a page is about it."""
    columns = pages.COLUMNS if topic != "awaited" else ("aiohttp", "httpx-async", "httpx2-async", "unifetch")
    return pages.matrix(root, (topic,), columns)


def versions(root):
    """Which versions have run."""
    made = store.made()
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{pages.fact(f'made.newest.{name}')}</td>"
        f"<td>{pages.fact(f'made.floor.{name}') if name in made['floor'] else ''}</td></tr>"
        for name in made["newest"]
        if name != "system"
    )
    rows += f"<tr><th>curl</th><td>{pages.fact('made.curl')}</td><td></td></tr>"
    head = "<tr><th></th><th>newest</th><th>oldest</th></tr>"
    return f'<table class="facts"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def adapter_source(root, name):
    """Where the adapter stands, and its code."""
    path = f"backends/{name}.py" if (PACKAGE / f"backends/{name}.py").exists() else f"backends/{name}/__init__.py"
    text = (PACKAGE / path).read_text("utf-8")
    code = highlight(text, PythonLexer(), HtmlFormatter(nowrap=True))
    return (
        f'<p><a href="{root}source/{path}.html">src/unifetch/{path}</a></p>'
        f'<details><summary>read it here</summary><div class="highlight"><pre>{code}</pre></div></details>'
    )


DIRECTIVES = {
    "facts-matrix": directive(lambda root: pages.matrix_controls() + pages.matrix(root)),
    "facts-topic": directive(topic_matrix),
    "facts-agreement": directive(lambda root: pages.agreement()),
    "facts-versions": directive(versions),
    "scenario-answers": directive(lambda root, name: pages.answers_table(name)),
    "scenario-bytes": directive(lambda root, name: pages.bytes_of(name, root)),
    "backend-rows": directive(pages.backend_rows),
    "backend-picture": directive(lambda root, name: pictures.who_does_what(name)),
    "backend-source": directive(adapter_source),
    "wire-explorer": directive(pages.explorer),
    "wire-diff": directive(lambda root, name, left, right: pages.diff(name, left, right)),
    "journey": directive(lambda root: pictures.journey()),
    "connection-states": directive(lambda root: pictures.connection()),
    "cost": directive(lambda root: pages.cost()),
}


# --- Pages that are made --------------------------------------------------------------------------


def write_scenarios(app):
    """A page for each scenario, in a folder that is not under version control."""
    folder = Path(app.srcdir) / "scenarios"
    folder.mkdir(exist_ok=True)
    wanted = {f"{scenario.name}.md": pages.scenario_page(scenario) for scenario in SCENARIOS}
    lists = []
    for topic, title in TOPICS.items():
        # Links and no toctree: the sidebar of each page would have them all.
        links = "\n".join(f"- [{each.question}]({each.name}.md)" for each in SCENARIOS if each.topic == topic)
        lists.append(f"## {title}\n\n{links}\n")
    wanted["index.md"] = "# All questions\n\n" + "\n".join(lists)
    for path in folder.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        if not (folder / name).exists() or (folder / name).read_text("utf-8") != text:
            (folder / name).write_text(text, "utf-8")


def write_recordings(app, exception):
    """The recordings of each scenario, as a script that the explorer loads when it is asked for."""
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_static" / "wire"
    folder.mkdir(parents=True, exist_ok=True)
    for scenario in SCENARIOS:
        (folder / f"{scenario.name}.js").write_text(pages.explorer_data(scenario), "utf-8")


# --- The source -----------------------------------------------------------------------------------

LINK = re.compile(
    r"\[((?:[^\]\\]|\\.)+)\]\(((?:\.\./)*)((?:src/unifetch|examples|docs|bench|tests|course)/[^)#\s]*\.py|examples/|matrix\.py)\)"
)
ELSEWHERE = {
    "SECURITY.md": "security",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "README.md": "index",
}


def link_sources(app, docname, source):
    """A link to a file of the package leads to a page of the site that shows it; those to the papers, to theirs."""
    up = "../" * docname.count("/")
    paper = next((name for name, page in ELSEWHERE.items() if page == docname and name != "README.md"), None)
    if paper:
        text = (ROOT / paper).read_text("utf-8").replace("[newsfragments/](newsfragments/)", "`newsfragments/`")
        source[0] = re.sub(r"\]\((?:docs/)", "](", re.sub(r"\]\((src|bench|tests)/", r"](../\1/", text))

    def replaced(found):
        text = re.sub(r"`([^`]+)`", r"<code>\1</code>", found[1])
        path = re.sub(r"^(src/unifetch|docs)/", "", found[3])
        path = "examples/server.py" if path == "examples/" else path
        return f'<a href="{up}source/{path}.html">{text}</a>'

    text = LINK.sub(replaced, source[0])
    for name, page in ELSEWHERE.items():
        text = re.sub(rf"\]\((?:\.\./)+{re.escape(name)}", f"]({up}{page}.md", text)
    source[0] = text


def plurals(app, what, name, obj, options, lines):
    """Our docstrings write `Request`s; reStructuredText wants to be told that the word ends there."""
    lines[:] = [re.sub(r"(?<!`)(`[^`]+`)(?=[A-Za-z])", r"\1\\ ", line) for line in lines]


def dots(app, what, name, obj, options, signature, returns):
    """A default of `...` is written so, and not by its name; so is an object that stands for nothing given."""
    return (signature and re.sub(r"= (Ellipsis|<object object>)", "= ...", signature), returns)


def source_pages(app):
    """Every file of the package and of the examples, with its lines numbered, so that a line can be linked to."""
    formatter = HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=True, wrapcode=True)
    docs = Path(app.srcdir)
    files = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
    for folder in ("examples", "course", "facts"):
        files |= {path.relative_to(docs).as_posix(): path for path in sorted((docs / folder).rglob("*.py"))}
    files["matrix.py"] = docs / "matrix.py"
    for name, path in files.items():
        code = highlight(path.read_text("utf-8"), PythonLexer(), formatter)
        body = f'<section><h1>{escape(name)}</h1><div class="highlight source">{code}</div></section>'
        yield f"source/{name}", {"title": name, "body": body, "toc": "", "display_toc": False}, "page.html"
