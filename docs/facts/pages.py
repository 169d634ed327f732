"""The facts as HTML: tables, recordings, the agreement of all with all. No number comes from anywhere else.

An element that shows a fact names it in `data-fact`, so that `check.py` can hold the page against the file.
"""

from __future__ import annotations

import csv
import json
import re
import statistics
from html import escape
from pathlib import Path
from typing import Any

from . import store
from .anatomy import KINDS, PARSER, Message, Piece, as_data, messages
from .answers import agreed
from .recorder import Close, Pause, Reset
from .scenarios import BY_NAME, SCENARIOS, TOPICS, Scenario
from .subjects import AWAITED, BY_HAND, LIBRARIES, UNIFETCH, code

TITLES = {
    "socket": "sockets by hand",
    "unifetch": "unifetch",
    "httpx-async": "httpx, awaited",
    "httpx2-async": "httpx2, awaited",
}
COLUMNS = (*LIBRARIES, "unifetch", *BY_HAND)
COST = Path(__file__).parent / "cost.csv"
MACHINE = COST.with_suffix(".json")  # on which it was measured, and which versions


def title(subject: str) -> str:
    """What a subject is called on a page."""
    if subject.startswith("unifetch:"):
        return f"unifetch on {subject.partition(':')[2]}"
    return TITLES.get(subject, subject)


def version(subject: str) -> str:
    """The version that ran."""
    made = store.made()
    name = subject.partition("-")[0]
    if name in ("urllib", "socket"):
        return f"Python {made['newest']['python']}"
    return str(made["curl"] if name == "curl" else made["newest"].get(name, ""))


def section_url(section: str) -> str:
    """Where a section of a standard can be read."""
    found = re.match(r"RFC (\d+) §([\d.]+)", section)
    if found:
        return f"https://www.rfc-editor.org/rfc/rfc{found[1]}#section-{found[2]}"
    return "https://url.spec.whatwg.org/#application/x-www-form-urlencoded"


def fact(path: str) -> str:
    """One number or word of the file, by the names that lead to it."""
    found: Any = store.facts()
    for name in path.split("."):
        found = found[name]
    return f'<span data-fact="{escape(path)}">{escape(str(found))}</span>'


def _answer(scenario: str, subject: str) -> str:
    text = store.cell(scenario, subject)
    if not text:
        return f'<td class="none" data-subject="{subject}" title="it has no ordinary call for this">-</td>'
    kind = "error" if text.startswith("error") or "; error" in text else "value"
    older = store.floor_differs(scenario, subject)
    name = subject.partition("-")[0]
    floor = ""
    if older:
        old = fact(f"made.floor.{name}")
        floor = f'<small>{old}: <span data-fact="{scenario}/{subject}@floor">{escape(older)}</span></small>'
    shown = f'<span data-fact="{scenario}/{subject}">{escape(text)}</span>'
    return f'<td class="{kind}" data-subject="{subject}">{shown}{floor}</td>'


def _unifetch_cell(scenario: str) -> str:
    answers = store.unifetch_answers(scenario)
    if not answers:
        return '<td class="none" data-subject="unifetch">-</td>'
    shown = []
    most = max(map(len, answers.values()))
    for backends in sorted(answers.values(), key=lambda names: "error" in store.cell(scenario, f"unifetch:{names[0]}")):
        first = f"unifetch:{backends[0]}"
        text = f'<span data-fact="{scenario}/{first}">{escape(store.cell(scenario, first))}</span>'
        on = "" if len(answers) == 1 or len(backends) == most else f"<small>on {', '.join(backends)}</small>"
        shown.append(text + on)
    kind = "error" if "error" in shown[0] else "value"
    return f'<td class="{kind}" data-subject="unifetch">{"<br>".join(shown)}</td>'


# --- The matrix -----------------------------------------------------------------------------------


def matrix(root: str, topics: tuple[str, ...] = tuple(TOPICS), columns: tuple[str, ...] = COLUMNS) -> str:
    """Questions in the rows, subjects in the columns; the script filters what is there without it."""
    heads = "".join(f'<th scope="col" data-subject="{name}">{escape(title(name))}</th>' for name in columns)
    rows = []
    for topic in topics:
        scenarios = [each for each in SCENARIOS if each.topic == topic]
        if len(topics) > 1:  # else the page has a heading of its own
            rows.append(
                f'<tr class="topic" data-topic="{topic}">'
                f'<th colspan="{len(columns) + 1}" id="{topic}">{TOPICS[topic]}</th></tr>'
            )
        # What is awaited has subjects of its own, which stand in the column of their library where they have none.
        own = {name: f"{name}-async" for name in columns if topic == "awaited" and f"{name}-async" in AWAITED}
        for each in scenarios:
            cells = "".join(
                _unifetch_cell(each.name) if name == "unifetch" else _answer(each.name, own.get(name, name))
                for name in columns
            )
            standard = each.section.partition(" §")[0] or "none"
            differ = " data-differ" if store.libraries_differ(store.facts()["scenarios"][each.name]) else ""
            rows.append(
                f'<tr id="q-{each.name}" data-topic="{topic}" data-standard="{escape(standard)}"'
                f' data-section="{escape(each.section)}"{differ}>'
                f'<th scope="row"><a href="{root}scenarios/{each.name}.html">{escape(each.question)}</a></th>'
                f"{cells}</tr>"
            )
    return (
        f'<div class="wide"><table class="facts matrix"><thead><tr><th>question</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def matrix_controls() -> str:
    """What chooses among the rows and columns; shown only where there is a script to serve it."""
    topics = "".join(f'<option value="{name}">{text}</option>' for name, text in TOPICS.items())
    standards = sorted({each.section for each in SCENARIOS if each.section})
    sections = "".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in standards)
    subjects = "".join(f'<option value="{name}">{escape(title(name))}</option>' for name in COLUMNS)
    return (
        '<form class="controls" id="matrix-controls" hidden>'
        f'<label>topic <select name="topic"><option value="">all</option>{topics}</select></label>'
        f'<label>section <select name="section"><option value="">all</option>{sections}</select></label>'
        f'<label>library <select name="subject"><option value="">all</option>{subjects}</select></label>'
        '<label><input type="checkbox" name="differ"> only where they differ</label>'
        '<output aria-live="polite"></output></form>'
    )


def agreement() -> str:
    """Of how many questions two subjects have the same answer; two errors of any name are the same."""
    grid = store.summary()["agreement"]
    names = list(grid)
    heads = "".join(f'<th scope="col"><span>{escape(title(name))}</span></th>' for name in names)
    rows = []
    for one in names:
        cells = []
        for other in names:
            same, of = grid[one][other]
            share = same / of if of else 0.0
            tone = round(max(0.0, share - 0.3) / 0.7 * 10)
            cells.append(
                f'<td class="tone-{tone}" title="{escape(title(one))} and {escape(title(other))}: {same} of {of}">'
                f'<span data-fact="summary.agreement.{one}.{other}.0">{same}</span></td>'
            )
        rows.append(f'<tr><th scope="row">{escape(title(one))}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="wide"><table class="facts grid"><thead><tr><th></th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def backend_rows(root: str, name: str) -> str:
    """The rows of the matrix for one library: by itself, and with unifetch on it."""
    rows = []
    library = name if name in COLUMNS else ""
    for each in SCENARIOS:
        # A question of what is awaited is one for its own subject; where there are both, the blocking call is shown.
        subject = library if store.record(each.name, library) else f"{library}-async"
        own, ours = store.record(each.name, subject), store.record(each.name, f"unifetch:{name}")
        if own is None or ours is None:
            continue
        same = "" if agreed(own) != agreed(ours) else ' class="same"'
        ours_cell = _answer(each.name, f"unifetch:{name}")
        rows.append(
            f'<tr{same}><th scope="row"><a href="{root}scenarios/{each.name}.html">{escape(each.question)}</a></th>'
            f"{_answer(each.name, subject)}{ours_cell}</tr>"
        )
    return (
        '<div class="wide"><table class="facts"><thead><tr><th>question</th>'
        f"<th>{escape(title(library))} by itself</th>"
        f"<th>unifetch on {escape(name)}</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


README = (
    "params-none",
    "params-merge",
    "keep-alive",
    "redirect",
    "status-404",
    "no-timeout",
    "repeat-get-reset",
    "short-body-pieces",
)


def readme_table() -> str:
    """A few rows in Markdown, for the README."""
    names = [*LIBRARIES, "unifetch"]
    rows = [["", *names], ["---"] * (len(names) + 1)]
    for scenario in README:
        cells = [store.cell(scenario, "unifetch:urllib" if name == "unifetch" else name) for name in names]
        rows.append([BY_NAME[scenario].question, *(f"`{cell}`" for cell in cells)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


# --- A scenario -----------------------------------------------------------------------------------


def present(scenario: Scenario) -> list[str]:
    """The subjects that were asked."""
    everybody = (*LIBRARIES, *AWAITED, *BY_HAND, *UNIFETCH)
    return [name for name in everybody if store.record(scenario.name, name) is not None]


def answers_table(name: str) -> str:
    """What came of it, for each subject."""
    rows = []
    for subject in present(BY_NAME[name]):
        found = store.record(name, subject)
        assert found is not None
        came = found["outcome"]
        detail = error_text(found)
        extra = f'<small data-fact="{name}/{subject}/error">{escape(detail)}</small>' if detail else ""
        older = store.floor_differs(name, subject)
        old = fact(f"made.floor.{subject.partition('-')[0]}") if older else ""
        floor = (
            f'<br><small>{old}: <span data-fact="{name}/{subject}@floor">{escape(older)}</span></small>'
            if older
            else ""
        )
        rows.append(
            f'<tr id="{subject.replace(":", "-")}"><th scope="row">{escape(title(subject))}</th>'
            f'<td class="{came["kind"]}"><span data-fact="{name}/{subject}">{escape(found["answer"])}</span>'
            f"{floor}{extra}</td>"
            f'<td data-fact="{name}/{subject}/requests">{found["requests"]}</td>'
            f'<td data-fact="{name}/{subject}/connections">{found["connections"]}</td></tr>'
        )
    return (
        '<div class="wide"><table class="facts answers"><thead><tr><th>who</th><th>answer</th><th>requests</th>'
        f"<th>connections</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def error_text(record: dict[str, Any]) -> str:
    """The class and the words of an exception; `""` where there was none."""
    came = record["outcome"]
    return f"{came['class']}: {came['text']}".rstrip() if came["kind"] == "error" else ""


def script_text(scenario: Scenario) -> str:
    """The script of the server, readable."""
    lines = []
    for path, replies in scenario.script.items():
        for number, steps in enumerate(replies, 1):
            which = f"request {number}" if len(replies) > 1 else "every request"
            lines.append(f"to {which}{'' if path == '/' else f' for {path}'}:")
            for step in steps:
                if isinstance(step, bytes):
                    text = repr(step)
                    lines.append(
                        f"    send {text if len(text) < 400 else text[:200] + '… (' + str(len(step)) + ' bytes)'}"
                    )
                elif isinstance(step, Pause):
                    lines.append(f"    wait {step.seconds:g} s")
                elif isinstance(step, Reset):
                    lines.append("    reset the connection")
                elif isinstance(step, Close):
                    lines.append("    close the connection" + ("" if step.politely else ", without close_notify"))
    for name, addresses in scenario.hosts.items():
        silent = ", where nobody answers" if "127.0.0.2" in addresses else ""
        lines.append(f"({name} leads to {' and '.join(addresses)}{silent})")
    if scenario.alpn:
        lines.append(f"(over TLS, which offers {' and '.join(scenario.alpn)} by ALPN; h2 is answered in frames)")
    if scenario.early:
        lines.append("(the answer begins when the head of the request is there)")
    return "\n".join(lines)


def bytes_of(name: str, root: str) -> str:
    """The recordings: those that are equal are shown once."""
    groups: dict[str, list[str]] = {}
    for subject in present(BY_NAME[name]):
        found = store.record(name, subject)
        assert found is not None
        groups.setdefault(json.dumps(found["wire"]), []).append(subject)
    shown = []
    for subjects in groups.values():
        found = store.record(name, subjects[0])
        assert found is not None
        who = ", ".join(map(title, subjects))
        link = f"{root}explorer.html#scenario={name}&amp;left={subjects[0]}&amp;right={subjects[-1]}"
        shown.append(
            f'<section class="recording"><p><b>{escape(who)}</b> <a href="{link}">in the explorer</a></p>'
            f"{''.join(map(_message, messages(found))) or '<p>nothing was sent</p>'}</section>"
        )
    return "".join(shown)


def _message(message: Message) -> str:
    arrow = "→" if message.way == "sent" else "←"
    pieces = "".join(
        f'<span class="k-{piece.kind}" title="{escape(piece.section)}">{written_out(piece)}</span>'
        + (f" <i>{escape(piece.key.rpartition(' ')[0])}</i>\n" if piece.is_frame else "")
        for piece in message.pieces
    )
    return f'<pre class="wire {message.way}" data-arrow="{arrow} {message.connection}">{pieces}</pre>'


def written_out(piece: Piece) -> str:
    """The bytes of a piece: as text, or those of a frame in hexadecimal."""
    return piece.text.encode("latin-1").hex(" ") if piece.is_frame else visible(piece.text)


def visible(text: str) -> str:
    """Bytes as text: line ends are shown, and break the line; control characters as escapes."""
    text = escape(text)
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)
    text = text.replace("\r\n", "<i>\\r\\n</i>\n").replace("\r", "<i>\\r</i>")
    return re.sub(r"(?<!</i>)\n", "<i>\\\\n</i>\n", text)


def scenario_page(scenario: Scenario) -> str:
    """A page in Markdown; the directives fill in the facts."""
    words = {
        "required": "a standard decides",
        "optional": "a standard leaves the choice",
        "information": "no standard says",
    }
    place = f"[{scenario.section}]({section_url(scenario.section)})" if scenario.section else ""
    codes = []
    done: dict[str, list[str]] = {}
    for subject in present(scenario):
        source = code(subject, scenario.ask)
        assert source is not None
        done.setdefault(re.sub(r'backend="\w+"', 'backend="…"', source), []).append(subject)
    for source, subjects in done.items():
        if "…" in source and len(subjects) > 1:
            name = "unifetch, on each of its backends"
        else:
            name = ", ".join(map(title, subjects))
        codes.append(f"### {name}\n\n```python\n{source}```\n")
    return f"""---
orphan: true
---

# {scenario.question}

{TOPICS[scenario.topic]} · {words[scenario.kind]}{" · " + place if place else ""} · [the matrix](../matrix.md)

## What came of it

:::{{scenario-answers}} {scenario.name}
:::

## Why either answer may be right

{scenario.why}

## What the server does

```text
{script_text(scenario)}
```

## The bytes

:::{{scenario-bytes}} {scenario.name}
:::

## The code that ran

{chr(10).join(codes)}
"""


# --- The explorer ---------------------------------------------------------------------------------


def explorer_data(scenario: Scenario) -> str:
    """The recordings of one scenario, as a script that the explorer loads."""
    data: dict[str, Any] = {}
    for subject in present(scenario):
        found = store.record(scenario.name, subject)
        assert found is not None
        data[subject] = {
            "title": title(subject),
            "answer": found["answer"],
            "seconds": found["seconds"],
            "messages": as_data(found),
        }
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return f'window.WIRE = window.WIRE || {{}};\nwindow.WIRE["{scenario.name}"] = {text};\n'


def explorer(root: str, name: str, left: str, right: str) -> str:
    """The explorer as it is without a script: one scenario, two subjects, aligned by field."""
    topics = []
    for topic, text in TOPICS.items():
        options = "".join(
            f'<option value="{each.name}"{" selected" if each.name == name else ""}>{escape(each.question)}</option>'
            for each in SCENARIOS
            if each.topic == topic
        )
        topics.append(f'<optgroup label="{text}">{options}</optgroup>')
    subjects = (*LIBRARIES, *AWAITED, *BY_HAND, *UNIFETCH)
    sides = []
    for side, chosen in (("left", left), ("right", right)):
        options = "".join(
            f'<option value="{each}"{" selected" if each == chosen else ""}>{escape(title(each))}</option>'
            for each in subjects
        )
        sides.append(f'<label>{side} <select name="{side}">{options}</select></label>')
    legend = "".join(f'<li><span class="k-{kind}">{kind}</span></li>' for kind in KINDS)
    places = json.dumps({"parser": f"{root}source/{PARSER}.html", "name": PARSER})
    return (
        f'<div id="explorer" data-places=\'{places}\' data-wire="{root}_static/wire/">'
        '<form class="controls" hidden>'
        f'<label class="long">what <select name="scenario">{"".join(topics)}</select></label>{"".join(sides)}'
        '<label>as <select name="view"><option value="text">text</option>'
        '<option value="hex">hex</option></select></label>'
        "</form>"
        f'<div class="lanes" hidden></div><div class="diff">{diff(name, left, right)}</div>'
        f'<div class="about" aria-live="polite" hidden>Point at a field, or go to one with the arrow keys.</div>'
        f'<ul class="legend">{legend}</ul></div>'
    )


def diff(name: str, left: str, right: str) -> str:
    """Two recordings side by side, aligned by field: what a browser without a script shows."""
    sides = []
    for subject in (left, right):
        found = store.record(name, subject)
        sides.append(messages(found) if found is not None else [])
    rows = []
    for index in range(max(map(len, sides))):
        pair = [side[index] if index < len(side) else None for side in sides]
        way = next(message.way for message in pair if message is not None)
        rows.append(f'<tr class="way"><th colspan="3">{"→ sent" if way == "sent" else "← received"}</th></tr>')
        pieces = [{piece.key: piece for piece in message.pieces} if message else {} for message in pair]
        for key in _aligned(list(pieces[0]), list(pieces[1])):
            both = [side.get(key) for side in pieces]
            same = both[0] is not None and both[1] is not None and both[0].text == both[1].text
            cells = "".join(
                f'<td class="k-{piece.kind}"><code>{written_out(piece)}</code></td>'
                if piece
                else '<td class="none">-</td>'
                for piece in both
            )
            mark = "" if same else ' class="differs"'
            rows.append(f'<tr{mark}><th scope="row">{escape(key.removesuffix(" 1"))}</th>{cells}</tr>')
    return (
        '<table class="facts aligned"><thead><tr><th>field</th>'
        f"<th>{escape(title(left))}</th><th>{escape(title(right))}</th></tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _aligned(left: list[str], right: list[str]) -> list[str]:
    """The keys of both, in the order of the left, with those of the right alone where they stand there."""
    keys = list(left)
    for index, key in enumerate(right):
        if key not in keys:
            before = next((other for other in reversed(right[:index]) if other in keys), None)
            keys.insert(keys.index(before) + 1 if before else 0, key)
    return keys


# --- Cost -----------------------------------------------------------------------------------------


def cost() -> str:
    """A table for each case: median and quartiles of the rounds."""
    cases: dict[str, dict[str, list[dict[str, str]]]] = {}
    with COST.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cases.setdefault(row["case"], {}).setdefault(row["client"], []).append(row)
    shown = [_machine()]
    for case in sorted(cases, key=list(CASES).index):
        clients = cases[case]
        unit = next(iter(clients.values()))[0]["unit"]
        # What was not measured has no column: of a process of its own only the processor's time is known.
        columns = {
            name: head
            for name, head in COST_COLUMNS.items()
            if any(row.get(name) for rounds in clients.values() for row in rounds)
        }
        rows = []
        middle = {name: statistics.median(float(row["cpu"]) for row in rounds) for name, rounds in clients.items()}
        for client in sorted(clients, key=lambda name: middle[name]):
            cells = "".join(_cost_cell(case, client, name, clients[client]) for name in columns if name != "cpu")
            width = round(middle[client] / max(middle.values()) * 100)
            rows.append(
                f'<tr><th scope="row">{escape(client.replace("unifetch:", "unifetch on "))}</th>'
                f"{_cost_cell(case, client, 'cpu', clients[client])}"
                f'<td class="bar"><span style="width:{width}%"></span></td>{cells}</tr>'
            )
        heads = [f"<th>{head.format(unit=unit)}</th>" for head in columns.values()]
        heads.insert(1, '<th class="bar"></th>')
        count = len(next(iter(clients.values())))
        shown.append(
            f"<h3>{escape(CASES[case])}</h3>"
            f'<div class="wide"><table class="facts cost"><thead><tr><th>client</th>{"".join(heads)}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>"
            f"<p><small>medians, with quartiles; {count} rounds, in turns</small></p>"
        )
    return "".join(shown)


COST_COLUMNS = {"cpu": "CPU, {unit}", "wall": "on the clock, {unit}", "grown": "memory, MiB more"}


def _cost_cell(case: str, client: str, name: str, rounds: list[dict[str, str]]) -> str:
    values = [float(row[name]) for row in rounds if row.get(name)]
    if not values:
        return "<td></td>"
    low, middle, high = (
        f'<span data-fact="cost/{case}/{client}/{name}/{which}">{value}</span>'
        for which, value in enumerate(quartiles(values))
    )
    return f'<td class="number">{middle} <small>{low} to {high}</small></td>'


def _machine() -> str:
    if not MACHINE.exists():
        return ""
    made = json.loads(MACHINE.read_text("utf-8"))
    versions = ", ".join(  # of unifetch once, which is the same over each backend
        dict.fromkeys(
            f"{name.partition(':')[0]} {version.partition(',')[0]}" for name, version in made["versions"].items()
        )
    )
    return f"<p>Measured on: {escape(made['machine'])}.</p><p><small>{escape(versions)}</small></p>"


CASES = {
    "small5": "A GET of 13 bytes on a kept connection",
    "post1k": "A POST of 1 KiB of JSON, echoed",
    "tls": "A GET over TLS, on a kept connection",
    "async64": "A GET by one of 64 tasks",
    "body": "A body of 100 MiB, into memory",
    "download": "A body of 1 GiB, in pieces",
    "import": "An import",
    "process": "A process with one GET in it, less a bare interpreter",
}


def quartiles(values: list[float]) -> tuple[str, str, str]:
    """Lower quartile, median and upper quartile, as they are shown."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return _figure(low), _figure(middle), _figure(high)


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
