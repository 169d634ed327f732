"""The pictures, as SVG that takes its colours from the page, so that it reads on light and on dark."""

from __future__ import annotations

import ast
import re
from html import escape
from pathlib import Path

STEPS = ("resolve", "connect", "TLS", "write", "parse", "pool")
OURS, THEIRS = "ours", "library"

BACKENDS = Path(__file__).parent.parent.parent / "src" / "unifetch" / "backends"
# What stands behind the word "library" there.
NAMES = {
    "requests": "urllib3",
    "httpx": "httpcore, h11",
    "httpx2": "httpcore2, h11",
    "urllib3": "urllib3",
    "aiohttp": "aiohttp",
}


def who(backend: str) -> dict[str, str]:
    """Who does each step while unifetch runs on a backend: what its adapter says of itself at the top."""
    path = next(path for path in (BACKENDS / f"{backend}.py", BACKENDS / backend / "__init__.py") if path.exists())
    text = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split())
    said = re.search(r"Ours: (.+?)\. The library's: ", text)
    assert said is not None, f"{path.name} does not say what is ours"
    ours = set(re.findall(r"\w+", said[1]))
    return {step: OURS if step in ours else THEIRS for step in STEPS}


def who_does_what(backend: str) -> str:
    """Six boxes in two rows, so that a phone has room for them: each is the library's or ours."""
    boxes = []
    does = who(backend)
    for index, step in enumerate(STEPS):
        each = does[step]
        x, y = 10 + index % 3 * 106, 10 + index // 3 * 76
        label = "unifetch" if each == OURS else NAMES[backend]
        line = f"M{x - 13} {y + 25}h12" if index % 3 else f"M{x + 255} {y - 25}v12h-212v12"
        arrow = f'<path d="{line}" class="line"/>' if index else ""
        boxes.append(
            f'{arrow}<rect x="{x}" y="{y}" width="92" height="50" rx="6" class="{each}"/>'
            f'<text x="{x + 46}" y="{y + 22}" text-anchor="middle" class="step">{step}</text>'
            f'<text x="{x + 46}" y="{y + 40}" text-anchor="middle" class="small">{escape(label)}</text>'
        )
    done = ", ".join(f"{step}: {'unifetch' if each == OURS else NAMES[backend]}" for step, each in does.items())
    return _svg(326, 148, f"Who does what on the backend {backend}: {done}", "".join(boxes))


def journey() -> str:
    """The journey of a request through the rooms."""
    stops = [
        ("get()", "api", "the front door", "one client for each backend, shared"),
        ("Call", "client", "the generator that decides", "a redirect, a retry, a login: here"),
        ("policies", "policies", "headers, body, cookies, auth", "pure: no clock, no socket"),
        ("Backend.send", "backends", "one exchange, one library", "which one is configuration"),
        ("wire", "wire", "dial, tunnel, write, parse", "a chunk is parsed, a proxy tunnelled: here"),
    ]
    parts = []
    for index, (name, room, text, note) in enumerate(stops):
        y = 14 + index * 92
        parts.append(
            f'<rect x="10" y="{y}" width="270" height="70" rx="6" class="{OURS if room != "backends" else THEIRS}"/>'
            f'<text x="22" y="{y + 22}" class="step">{escape(name)}</text>'
            f'<text x="22" y="{y + 40}" class="small">{escape(text)}</text>'
            f'<text x="268" y="{y + 22}" text-anchor="end" class="small">{room}/</text>'
            f'<text x="22" y="{y + 58}" class="note">{escape(note)}</text>'
        )
        if index:
            parts.append(f'<path d="M90 {y - 20}v16m-5 -6l5 6l5 -6" class="line"/>')
            parts.append(f'<path d="M200 {y - 2}v-16m-5 6l5 -6l5 6" class="line back"/>')
    parts.append(
        '<text x="60" y="476" class="small">request ↓</text><text x="172" y="476" class="small">↑ response</text>'
    )
    return _svg(
        290,
        490,
        "A request goes from get() through the call, the policies, a backend and the wire, and back",
        "".join(parts),
    )


def connection() -> str:
    """The states of a connection of the socket backend."""
    states = {
        "new": (20, 10),
        "in use": (20, 120),
        "idle": (230, 120),
        "closed": (230, 240),
    }
    parts = []
    for name, (x, y) in states.items():
        parts.append(
            f'<rect x="{x}" y="{y}" width="110" height="44" rx="22" class="{OURS if name != "closed" else THEIRS}"/>'
            f'<text x="{x + 55}" y="{y + 27}" text-anchor="middle" class="step">{name}</text>'
        )
    arrows = [
        ("M75 54v61m-5 -6l5 6l5 -6", 124, 90, ["connect, TLS"]),
        ("M130 134h94m-6 -5l6 5l-6 5", 180, 108, ["read to its end,", "and it persists"]),
        ("M230 152h-94m6 -5l-6 5l6 5", 180, 172, ["next request"]),
        ("M75 164v98h149m-6 -5l6 5l-6 5", 150, 282, ["an error, a cut body,", "Connection: close"]),
        ("M285 164v71m-5 -6l5 6l5 -6", 212, 200, ["too old, or bytes", "that nobody asked for"]),
    ]
    for path, x, y, lines in arrows:
        parts.append(f'<path d="{path}" class="line"/>')
        for index, line in enumerate(lines):
            parts.append(f'<text x="{x}" y="{y + 14 * index}" text-anchor="middle" class="small">{line}</text>')
    return _svg(350, 305, "A connection is new, in use, idle, and at last closed", "".join(parts))


def _svg(width: int, height: int, title: str, body: str) -> str:
    return (
        f'<div class="wide"><svg class="picture" viewBox="0 0 {width} {height}" width="{width}" role="img">'
        f"<title>{escape(title)}</title>{body}</svg></div>"
    )
