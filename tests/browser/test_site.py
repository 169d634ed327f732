"""The site as a reader meets it, in Debian's Chromium: what `tox -e docs` has built, with no network at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser is driven by playwright (tox -e docs)")
expect = sync_api.expect  # it looks again until the browser has done what a click began

CHROMIUM = Path("/usr/bin/chromium")
SITE = Path(os.environ.get("UNIFETCH_SITE", Path(__file__).parents[2] / "docs" / "_build" / "html"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PAGES = [
    "index.html",
    "matrix.html",
    "explorer.html",
    "comparison.html",
    "cost.html",
    "architecture.html",
    "api.html",
    "fairness.html",
    "backends/httpx.html",
    "backends/socket.html",
    "scenarios/index.html",
    "scenarios/params-none.html",
    "scenarios/long-line.html",
    "scenarios/http2-frames.html",
    "how-to/requests.html",
    "course/4_client_by_hand.html",
    "course/10_http2.html",
    "source/wire/http11.py.html",
]

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
    pytest.mark.skipif(not SITE.exists(), reason="the site is not built (tox -e docs)"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


class Reader:
    """A window, and what went wrong in it."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self._context = browser.new_context(**options)
        self.page = self._context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._requested)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((SITE.as_uri(), "data:")):
            self.elsewhere.append(request.url)

    def open(self, name: str) -> Any:
        """Go to a page of the site."""
        self.page.goto(f"{SITE.as_uri()}/{name}")
        return self.page

    def close(self) -> None:
        """Close the window; nothing may have gone wrong in it."""
        self._context.close()
        assert [] == self.errors
        assert [] == self.elsewhere


@pytest.fixture
def desk(browser: Any) -> Iterator[Reader]:
    """A window on a desk."""
    reader = Reader(browser, viewport=DESK)
    yield reader
    reader.close()


@pytest.fixture
def phone(browser: Any) -> Iterator[Reader]:
    """A window on a phone, in the dark."""
    reader = Reader(browser, viewport=PHONE, color_scheme="dark", has_touch=True)
    yield reader
    reader.close()


@pytest.fixture
def without_script(browser: Any) -> Iterator[Reader]:
    """A window without JavaScript."""
    reader = Reader(browser, viewport=DESK, java_script_enabled=False)
    yield reader
    reader.close()


@pytest.mark.parametrize("name", PAGES)
def test_nothing_overflows(phone: Reader, desk: Reader, name: str) -> None:
    """A page is no wider than its window, and asks nobody else for anything."""
    for reader, size in ((phone, PHONE), (desk, DESK)):
        page = reader.open(name)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.parametrize("name", PAGES)
def test_code_and_pictures_are_whole(phone: Reader, desk: Reader, name: str) -> None:
    """No line of code and no picture goes on beyond what a reader sees, where he would have to scroll sideways."""
    cut = "[...document.querySelectorAll('article pre, article div:has(> svg.picture)')].filter(wider).length"
    for reader in (phone, desk):
        page = reader.open(name)
        assert (
            page.evaluate(f"(() => {{ const wider = (it) => it.scrollWidth > it.clientWidth + 1; return {cut}; }})()")
            == 0
        )


def test_a_phone_shows_both_sides_of_a_translation(phone: Reader) -> None:
    """What is written here stands beside what is written there, without scrolling sideways."""
    page = phone.open("how-to/coming-from.html")
    ours = page.locator("#from-requests table td:last-child").first.bounding_box()

    assert ours is not None
    assert ours["x"] + ours["width"] <= PHONE["width"]


# --- The explorer ---------------------------------------------------------------------------------


def test_the_explorer_shows_what_it_is_asked_for(desk: Reader) -> None:
    """Another question, another subject: another table, and an address that leads back to it."""
    page = desk.open("explorer.html")
    page.select_option("select[name=scenario]", "params-none")
    page.select_option("select[name=left]", "httpx")

    expect(page.locator(".aligned")).to_contain_text("/?b=")
    page.select_option("select[name=view]", "hex")
    expect(page.locator(".aligned")).to_contain_text("2f 3f 62 3d")
    assert "scenario=params-none&left=httpx&right=requests&view=hex" in page.url


def test_a_deep_link_leads_to_what_was_seen(desk: Reader) -> None:
    """The state of the explorer is in its address."""
    page = desk.open("explorer.html#scenario=post-json&left=urllib3&right=aiohttp&view=text")

    expect(page.locator(".aligned thead")).to_contain_text("urllib3")
    expect(page.locator(".aligned thead")).to_contain_text("aiohttp")
    expect(page.locator(".aligned")).to_contain_text('{"name":"')


def test_pointing_tells_of_a_field(desk: Reader) -> None:
    """The mouse on a field brings the section of the standard, and the line of our parser."""
    page = desk.open("explorer.html")
    page.hover(".aligned td.k-target[data-row]")

    expect(page.locator(".about")).to_contain_text("RFC 9112 §3.2")
    expect(page.locator(".about")).to_contain_text("wire/http11.py, line")


def test_the_arrow_keys_go_from_field_to_field(desk: Reader) -> None:
    """So does the focus, by the keyboard alone."""
    page = desk.open("explorer.html")
    page.wait_for_selector(".aligned td[tabindex='0']")
    page.focus(".aligned td[tabindex='0']")

    expect(page.locator(".about b")).to_have_text("method")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".about b")).to_have_text("target")
    page.keyboard.press("ArrowRight")
    expect(page.locator("td:focus")).to_have_attribute("data-column", "1")


def test_the_line_of_our_parser_is_there(desk: Reader) -> None:
    """The link leads to that line of the source."""
    page = desk.open("explorer.html")
    page.hover(".aligned td.k-target[data-row]")
    page.click(".about a")

    expect(page.locator(".source")).to_contain_text("def target_bytes")
    expect(page.locator("a:target")).to_be_attached()


def test_without_a_script_there_is_the_diff(without_script: Reader) -> None:
    """Two recordings stand side by side, by field, on the page as it was built."""
    page = without_script.open("explorer.html")

    expect(page.locator(".aligned")).to_contain_text("Accept-Encoding: identity")
    expect(page.locator(".aligned")).to_contain_text("Accept-Encoding: gzip, deflate")
    expect(page.locator("#explorer form")).to_be_hidden()


# --- The matrix -----------------------------------------------------------------------------------


def test_the_matrix_is_filtered_and_remembers_it(desk: Reader) -> None:
    """A topic, only where they differ, one library: fewer rows and columns, and an address that says so."""
    page = desk.open("matrix.html")
    whole = page.locator("table.matrix tbody tr:not(.topic):visible").count()
    page.select_option("select[name=topic]", "time")
    page.check("input[name=differ]")
    some = page.locator("table.matrix tbody tr:not(.topic):visible").count()
    page.select_option("select[name=subject]", "aiohttp")
    again = desk.open("matrix.html?again" + page.url[page.url.index("#") :])

    assert 0 < some < whole
    expect(again.locator("table.matrix tbody tr:not(.topic):visible")).to_have_count(some)
    expect(again.locator("table.matrix thead th:visible")).to_have_count(2)


def test_the_names_of_the_libraries_stay_in_sight(desk: Reader) -> None:
    """Whoever reads the last question still sees whose answers they are, without scrolling sideways."""
    page = desk.open("matrix.html")
    page.locator("table.matrix tbody tr").last.scroll_into_view_if_needed()
    head = page.locator("table.matrix thead th").last.bounding_box()

    assert head is not None
    assert -2 <= head["y"] < 100
    assert head["x"] + head["width"] <= DESK["width"]


def test_a_phone_shows_one_library(phone: Reader) -> None:
    """Two columns: the question, and one library that can be chosen."""
    page = phone.open("matrix.html")

    expect(page.locator("table.matrix thead th:visible")).to_have_count(2)


# What somebody looks for, the words of the links that lead there from the front page, and what stands there then.
SEARCHES = {
    "what each sends for params={'b': None}": (["the matrix", "params={'b': None}"], ".answers", "/?b=None"),
    "who repeats a request by himself": (
        ["the matrix", "How often is a GET sent if each new"],
        ".answers",
        "4 requests",
    ),
    "what requests sends that urllib does not": (["the wire explorer"], ".aligned", "Accept-Encoding: gzip, deflate"),
    "how to swap the backend": (["backends"], "article", 'with use_backend("'),
    "chapter one of the course": (["the course", "Two sockets"], "article h1", "1. Two sockets"),
}


@pytest.mark.parametrize("what", SEARCHES)
def test_what_is_looked_for_is_found_from_the_front_page(what: str, desk: Reader) -> None:
    """One or two clicks, without a search."""
    links, place, text = SEARCHES[what]
    page = desk.open("index.html")
    for words in links:
        page.locator("article a", has_text=words).first.click()

    expect(page.locator(place).first).to_contain_text(text)


# --- HTTP/2 ---------------------------------------------------------------------------------------


def test_frames_are_aligned_and_told(desk: Reader) -> None:
    """What HTTP/2 sends stands frame by frame, with the section of its standard and no line of the other parser."""
    page = desk.open("explorer.html#scenario=http2-frames&left=httpx&right=unifetch:socket&view=hex")
    expect(page.locator(".aligned")).to_contain_text("HEADERS, stream 1")
    page.hover(".aligned td.k-framing")

    expect(page.locator(".about")).to_contain_text("RFC 9113 §6.5")
    expect(page.locator(".about")).not_to_contain_text("our parser")
    expect(page.locator(".aligned th", has_text="SETTINGS, stream 0").first).to_be_visible()


# --- The rest -------------------------------------------------------------------------------------


def test_search_finds_a_question(desk: Reader) -> None:
    """The site's own index, without a server."""
    page = desk.open("search.html?q=early+hints")

    expect(page.locator("ul.search")).to_contain_text("103")
