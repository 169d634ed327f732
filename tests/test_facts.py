"""The facts of the comparison are what runs have shown, and the pages show nothing else."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

import unifetch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

from facts import anatomy, cost, pages, pictures, store  # noqa: E402  # a folder of the documentation, not of the package
from facts.__main__ import compared, summary, write  # noqa: E402  # as above
from facts.answers import agreed, answer, masked  # noqa: E402  # as above
from facts.scenarios import BY_NAME, SCENARIOS, TOPICS  # noqa: E402  # as above
from facts.subjects import BACKENDS, NEWEST, code  # noqa: E402  # as above

RECORD = {"answer": "200, 'ok'", "outcome": {"kind": "value"}, "wire": [], "requests": 1, "connections": 1, "at": [0.1]}


# --- The file -------------------------------------------------------------------------------------


def test_the_file_is_what_a_run_has_written() -> None:
    """The digest fits, the scenarios are those of the code, and the numbers about all of it are right."""
    facts = store.facts()

    assert [scenario.name for scenario in SCENARIOS] == list(facts["scenarios"])
    assert summary(facts["scenarios"]) == facts["summary"]


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    """A file in which one byte of a recording was changed is refused."""
    text = store.FILE.read_text("utf-8")
    changed = tmp_path / "facts.json"
    changed.write_text(text.replace("GET / HTTP/1.1", "GET / HTTP/1.0", 1), "utf-8")

    with pytest.raises(store.DamagedFacts, match="edited by hand"):
        store.facts(changed)


def test_every_subject_that_has_a_call_has_a_record() -> None:
    """No run is missing, and none is left over from a call that is no more."""
    for scenario in SCENARIOS:
        asked = {subject for subject in NEWEST if code(subject, scenario.ask) is not None}
        recorded = {name for name in store.facts()["scenarios"][scenario.name] if not name.endswith("@floor")}
        assert asked == recorded, scenario.name


def test_drift_shows_both_values() -> None:
    """A fact that has changed is reported with what it was and what it is; a time is not."""
    old = {"get": {"urllib": RECORD}}
    same = compared(old, {("get", "urllib"): {**RECORD, "at": [0.7]}}, full=True, floor=None)
    changed = compared(old, {("get", "urllib"): {**RECORD, "answer": "404"}}, full=True, floor=None)
    gone = compared(old, {}, full=True, floor=None)

    assert same == []
    assert changed == ["get, urllib: answer\n  was \"200, 'ok'\"\n  is  '404'"]
    assert gone == ["get, urllib: is gone: 200, 'ok'"]


def test_what_is_equal_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that equals that of another subject is only its name; times stay as they were."""
    monkeypatch.setattr("facts.__main__.FILE", tmp_path / "facts.json")
    old = {"made": {}, "scenarios": {"get": {"requests": RECORD}}}
    new = {("get", name): {**RECORD, "at": [0.7]} for name in ("requests", "requests@floor")}
    write(old, new, {}, full=True)
    written = json.loads((tmp_path / "facts.json").read_text("utf-8"))

    assert {"requests": RECORD, "requests@floor": "requests"} == written["scenarios"]["get"]


# --- Answers --------------------------------------------------------------------------------------


def test_what_differs_in_each_run_is_masked() -> None:
    """Ports, versions, boundaries and addresses in memory are no facts."""
    text = "Host: 127.0.0.1:4711, python-requests/2.34.2, Python/3.11 aiohttp/3.14.5, <X at 0x7f0011223344>, abc"

    assert (
        "Host: 127.0.0.1:PORT, python-requests/VERSION, Python/VERSION aiohttp/VERSION, <X at 0xADDRESS>, BOUNDARY"
        == (masked(text, 4711, ("abc",)))
    )


@pytest.mark.parametrize(
    ("shows", "expected"),
    [
        ("target", "/a"),
        ("field Host", "x"),
        ("field Accept", "not sent"),
        ("second request", "GET, no body"),
        ("fields", "Host, Content-Length"),
        ("body", "hi"),
        ("requests", "2 requests; 200, 'ok'"),
        ("connections", "1 connection"),
    ],
)
def test_an_answer_is_read_off_the_recording(shows: str, expected: str) -> None:
    """The short answer is a part of what was recorded."""
    sent = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nHost: x\r\n\r\n"
    outcome = {"kind": "value", "status": 200, "headers": [], "body": "ok"}
    record = {"wire": [[1, "sent", sent]], "order": [1, 1], "outcome": outcome, "requests": 2, "connections": 1}

    assert expected == answer(shows, record)


def test_two_errors_agree() -> None:
    """What counts is that both refuse, not how their exceptions are called."""
    records = [
        {"answer": f"1 request; error: {name}", "outcome": {"kind": "error"}} for name in ("ReadError", "ClientOSError")
    ]

    assert agreed(records[0]) == agreed(records[1])


# --- Pages ----------------------------------------------------------------------------------------


def test_every_byte_is_in_a_piece() -> None:
    """The explorer shows all of each recording, in order, whatever it holds."""
    for scenario in SCENARIOS:
        for subject in pages.present(scenario):
            record = store.record(scenario.name, subject)
            assert record is not None
            shown = ["".join(piece.text for piece in message.pieces) for message in anatomy.messages(record)]
            assert [data for _, _, data in record["wire"]] == shown


def test_frames_are_taken_apart() -> None:
    """What HTTP/2 sends is a preface and frames, each with its name, its stream and its section, in hexadecimal."""
    record = store.record("http2-frames", "unifetch:socket")
    assert record is not None
    sent = anatomy.messages(record)[0]
    keys = [piece.key for piece in sent.pieces]

    assert ["preface", "SETTINGS, stream 0 1", "HEADERS, stream 1 1"] == keys[:3]
    assert ["RFC 9113 §3.4", "RFC 9113 §6.5", "RFC 9113 §6.2"] == [piece.section for piece in sent.pieces[:3]]
    assert ":method" == record["fields"][0][0]
    assert "00 04 00 00 00 00 00" in pages.bytes_of("http2-frames", "")


def test_our_parser_has_every_line_that_the_explorer_names() -> None:
    """Pointing at a field leads to a function that exists; where this fails, `anatomy.KINDS` names an old one."""
    assert {function for _, function in anatomy.KINDS.values()} - set(anatomy.lines()) == set()


def test_every_scenario_has_a_page_with_its_reasons() -> None:
    """A page has the question, the code that ran, the script and why either answer may be right."""
    for scenario in SCENARIOS:
        page = pages.scenario_page(scenario)
        assert f"# {scenario.question}" in page
        assert scenario.why in page
        assert "def ask(url):" in page
        assert scenario.topic in TOPICS
        assert scenario.section or scenario.kind == "information"


def test_the_readme_shows_facts() -> None:
    """Its table is that of the file; where this fails, put `pages.readme_table()` there."""
    readme = (ROOT / "README.md").read_text("utf-8")

    assert f"There are {len(SCENARIOS)} such questions" in readme
    assert f"<!-- facts -->\n{pages.readme_table()}<!-- end of facts -->" in readme


COMPARING = ("matrix", "explorer", "comparison", "cost", "fairness", *(f"backends/{name}" for name in BACKENDS))
NAMES = r"RFC \d+|HTTP/[\d.]+|§[\d.]+|`[^`]*`|\]\([^)]*\)|^\d\. |^:::.*|^<!-- .*"


@pytest.mark.parametrize("page", COMPARING)
def test_no_number_of_the_comparison_is_typed(page: str) -> None:
    """What stands between the facts on these pages has no figure of its own; names and sections are none."""
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    text = re.sub(r"^```.*?^```|<!-- (matrix|natives) -->.*?<!-- end", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(NAMES, "", text, flags=re.MULTILINE)

    assert [] == re.findall(r"(?<![\w.])\d[\d.,]*(?!\w)", text)


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
def test_a_library_has_its_awaited_rows(name: str) -> None:
    """What it answers when it is awaited is on its page, too."""
    both = (f"{name}-async", f"unifetch:{name}")
    awaited = [each.name for each in SCENARIOS if all(store.record(each.name, subject) for subject in both)]
    shown = pages.backend_rows("", name)

    assert awaited != []
    assert [scenario for scenario in awaited if f"scenarios/{scenario}.html" not in shown] == []


@pytest.mark.parametrize("topic", [*pages.TOPICS, None])
def test_an_answer_stands_under_its_subject(topic: str | None) -> None:
    """Each row of a matrix has one cell for each column: what that library answered, if need be awaited."""
    columns = (
        [pages.COLUMNS] if topic is None else [pages.COLUMNS, ("aiohttp", "httpx-async", "httpx2-async", "unifetch")]
    )
    for names in columns:
        table = pages.matrix("", tuple(pages.TOPICS) if topic is None else (topic,), names)
        rows = re.findall(r'<tr id="q-.*?</tr>', table)

        assert rows != []
        for row in rows:
            subjects = re.findall(r'<td class="\w+" data-subject="([^"]+)"', row)
            assert [name.removesuffix("-async") for name in names] == [name.removesuffix("-async") for name in subjects]
            assert row.count("<td") == len(names)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_has_its_picture(backend: str) -> None:
    """Its boxes are what the adapter says of itself: the six steps, and a library's name where they are not ours."""
    if backend not in unifetch.available_backends():
        pytest.skip(f"the library of {backend} is not installed")
    docstring = " ".join((importlib.import_module(f"unifetch.backends.{backend}").__doc__ or "").split())
    ours = docstring.partition("Ours: ")[2].partition("The library's: ")[0]
    picture = pictures.who_does_what(backend)

    assert [step for step in pictures.STEPS if step in ours] == [
        step for step, who in pictures.who(backend).items() if who == pictures.OURS
    ]
    assert picture.count('class="ours"') + picture.count('class="library"') == len(pictures.STEPS)
    assert picture.count('class="library"') == sum(step not in ours for step in pictures.STEPS)


def test_the_cost_page_shows_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a saved run of the benchmarks come a row for each turn, the machine, and the columns that have figures."""
    turn = {"cpu": 0.5, "wall": 1.5, "grown": 3 * 1024**2}
    saved = {
        "machine": "a processor of ours",
        "versions": {"requests": "2.9"},
        "scales": {"async64": ["µs", 100.0], "body": ["s/GB", 2.0]},
        "results": {"async64": {"raw": [turn]}, "body": {"raw": [turn]}, "cold": {"raw": {"import": [7.0]}}},
    }
    for name in ("COST", "MACHINE"):
        monkeypatch.setattr(pages, name, tmp_path / name)
        monkeypatch.setattr(cost, name, tmp_path / name)
    (tmp_path / "saved.json").write_text(json.dumps(saved), "utf-8")
    cost.main(tmp_path / "saved.json")
    page = pages.cost()

    assert ["case", "import", "async64", "body"] == [
        line.partition(",")[0] for line in (tmp_path / "COST").read_text("utf-8").splitlines()
    ]
    assert "Measured on: a processor of ours." in page
    assert "requests 2.9" in page
    for fact in ("async64/raw/cpu", "async64/raw/wall", "body/raw/grown", "import/raw/cpu"):
        assert all(f'data-fact="cost/{fact}/{which}"' in page for which in range(3))
    assert "async64/raw/grown" not in page
    assert '"cost/async64/raw/wall/1">150<' in page
    assert '"cost/body/raw/grown/1">3.00<' in page


def test_a_scenario_runs() -> None:
    """The code that a page shows is what runs: here once, against the recorder, without a process of its own."""
    from facts.worker import run

    source = code("urllib", BY_NAME["params-none"].ask)
    assert source is not None
    record = run(BY_NAME["params-none"], source, Path())

    assert "/?b=None" == record["answer"]
    assert 200 == record["outcome"]["status"]
