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
    """Six boxes: each is the library's or ours."""
    boxes = []
    does = who(backend)
    for index, step in enumerate(STEPS):
        each = does[step]
        x = 10 + index * 100
        label = "unifetch" if each == OURS else NAMES[backend]
        arrow = f'<path d="M{x - 12} 45h10" class="line"/>' if index else ""
        boxes.append(
            f'{arrow}<rect x="{x}" y="20" width="86" height="50" rx="6" class="{each}"/>'
            f'<text x="{x + 43}" y="42" text-anchor="middle" class="step">{step}</text>'
            f'<text x="{x + 43}" y="60" text-anchor="middle" class="small">{escape(label)}</text>'
        )
    done = ", ".join(f"{step}: {'unifetch' if each == OURS else NAMES[backend]}" for step, each in does.items())
    return _svg(616, 90, f"Who does what on the backend {backend}: {done}", "".join(boxes))


def journey() -> str:
    """The journey of a request through the rooms."""
    stops = [
        ("get()", "api", "the front door", ""),
        ("Call", "client", "the generator that decides", "a redirect, a retry, a login: here"),
        ("policies", "policies", "headers, body, cookies, auth", "pure: no clock, no socket"),
        ("Backend.send", "backends", "one exchange, one library", "which one is configuration"),
        ("wire", "wire", "dial, tunnel, write, parse", "a chunk is parsed, a proxy tunnelled: here"),
    ]
    parts = []
    for index, (name, room, text, note) in enumerate(stops):
        y = 14 + index * 74
        parts.append(
            f'<rect x="10" y="{y}" width="270" height="52" rx="6" class="{OURS if room != "backends" else THEIRS}"/>'
            f'<text x="22" y="{y + 22}" class="step">{escape(name)}</text>'
            f'<text x="22" y="{y + 40}" class="small">{escape(text)}</text>'
            f'<text x="268" y="{y + 22}" text-anchor="end" class="small">{room}/</text>'
            f'<text x="300" y="{y + 30}" class="note">{escape(note)}</text>'
        )
        if index:
            parts.append(f'<path d="M90 {y - 22}v18m-5 -6l5 6l5 -6" class="line"/>')
            parts.append(f'<path d="M200 {y - 2}v-18m-5 6l5 -6l5 6" class="line back"/>')
    parts.append(
        '<text x="60" y="396" class="small">request ↓</text><text x="172" y="396" class="small">↑ response</text>'
    )
    return _svg(
        600,
        410,
        "A request goes from get() through the call, the policies, a backend and the wire, and back",
        "".join(parts),
    )


def connection() -> str:
    """The states of a connection of the socket backend."""
    states = {
        "new": (30, 60),
        "in use": (210, 60),
        "idle": (400, 60),
        "closed": (400, 180),
    }
    parts = []
    for name, (x, y) in states.items():
        parts.append(
            f'<rect x="{x}" y="{y}" width="110" height="44" rx="22" class="{OURS if name != "closed" else THEIRS}"/>'
            f'<text x="{x + 55}" y="{y + 27}" text-anchor="middle" class="step">{name}</text>'
        )
    arrows = [
        ("M140 82h64m-6 -5l6 5l-6 5", 172, 50, "connect, TLS"),
        ("M320 74h74m-6 -5l6 5l-6 5", 358, 36, "read to its end,"),
        ("M400 92h-74m6 -5l-6 5l6 5", 358, 122, "next request"),
        ("M265 104v98h129m-6 -5l6 5l-6 5", 300, 222, "an error, a cut body, Connection: close"),
        ("M455 104v70m-5 -6l5 6l5 -6", 528, 146, "too old, or bytes"),
    ]
    for path, x, y, text in arrows:
        parts.append(
            f'<path d="{path}" class="line"/><text x="{x}" y="{y}" text-anchor="middle" class="small">{text}</text>'
        )
    parts.append('<text x="358" y="50" text-anchor="middle" class="small">and it persists</text>')
    parts.append('<text x="540" y="162" text-anchor="middle" class="small">that nobody asked for</text>')
    return _svg(620, 240, "A connection is new, in use, idle, and at last closed", "".join(parts))


def _svg(width: int, height: int, title: str, body: str) -> str:
    return (
        f'<div class="wide"><svg class="picture" viewBox="0 0 {width} {height}" width="{width}" role="img">'
        f"<title>{escape(title)}</title>{body}</svg></div>"
    )
