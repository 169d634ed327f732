"""Writes the tables of options into command-line.md, from what the parser says: `python docs/command_line.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from unifetch.cli.manual import EXIT_CODES, ITEMS, groups, invocation
from unifetch.cli.parser import ELSEWHERE

PAGE = Path(__file__).parent / "command-line.md"
MARKED = re.compile(r"(<!-- options -->\n).*(<!-- end of options -->\n)", re.DOTALL)

# For each option: what curl, HTTPie and xh call it; "" where they have none, and words in place of an option.
BESIDE = {
    "--method": ("-X", "a word", "a word"),
    "--header": ("-H", "an item", "an item"),
    "--data": ("-d, --data-binary", "--raw", "--raw"),
    "--json": ("--json", "-j", "-j"),
    "--form": ("-F, --data-urlencode", "-f", "-f"),
    "--multipart": ("-F", "--multipart", "--multipart"),
    "--path-as-is": ("--path-as-is", "--path-as-is", ""),
    "--user": ("-u", "-a", "-a"),
    "--digest": ("--digest", "-A", "-A"),
    "--bearer": ("--oauth2-bearer", "-A", "-A"),
    "--netrc": ("-n", "by itself; --ignore-netrc", "by itself; --ignore-netrc"),
    "--cookie": ("-b", "an item", "an item"),
    "--cookie-jar": ("-b and -c", "--session", "--session"),
    "--backend": ("", "", ""),
    "--timeout": ("-m", "--timeout, for each wait", "--timeout"),
    "--retry": ("--retry", "", ""),
    "--redirects": ("-L and --max-redirs", "-F and --max-redirects", "-F and --max-redirects"),
    "--no-redirects": ("by default", "by default", "by default"),
    "--insecure": ("-k", "--verify", "--verify"),
    "--cacert": ("--cacert, --capath", "--verify", "--verify"),
    "--cert": ("--cert", "--cert", "--cert"),
    "--key": ("--key", "--cert-key", "--cert-key"),
    "--proxy": ("-x", "--proxy", "--proxy"),
    "--no-proxy": ("--noproxy", "", ""),
    "--resolve": ("--resolve", "", "--resolve"),
    "--unix-socket": ("--unix-socket", "", "--unix-socket"),
    "--http2": ("--http2", "", "--http-version"),
    "--http2-only": ("--http2-prior-knowledge", "", "--http-version"),
    "--include": ("-i", "-p", "-p"),
    "-I": ("-I", "-h with the word HEAD", "-h with the word HEAD"),
    "--output": ("-o", "-o", "-o"),
    "-O": ("-O", "-d", "-d"),
    "--continue": ("-C", "-c with -d", "-c with -d"),
    "--fail": ("-f", "--check-status", "--check-status"),
    "--limit": ("--max-filesize", "", ""),
    "--no-decode": ("by default; --compressed decodes", "", ""),
    "--verbose": ("-v", "-v", "-v"),
    "--timing": ("-w", "--meta", "--meta"),
    "--trace": ("--trace", "", ""),
    "--silent": ("-s", "-q", "-q"),
    "--as": ("--libcurl", "--offline", "--curl, --offline"),
    "--help": ("-h", "--help", "--help"),
    "--help-all": ("--help all", "--manual", "--help"),
    "--version": ("-V", "--version", "-V"),
}


def updated(page: str) -> str:
    """The page with the tables as they have to be."""
    tables = "\n".join(lines())
    return MARKED.sub(lambda found: f"{found[1]}{tables}\n{found[2]}", page)


def lines() -> Iterator[str]:
    """The tables, line by line."""
    yield "| item | what it is |\n|---|---|"
    yield from (f"| `{item}` | {what} |" for item, what in ITEMS)
    for title, options in groups():
        yield f"\n### {title.capitalize()}\n\n| option | what it does |\n|---|---|"
        for option in options:
            yield f"| `{invocation(option)}` | {option.help} |".replace("@FILE|@-", "@FILE, @-")
    yield "\n### Beside curl, HTTPie and xh\n\n| unifetch | curl | HTTPie | xh |\n|---|---|---|---|"
    for _, options in groups():
        for option in options:
            shown = ", ".join(f"`{name}`" for name in option.option_strings)
            others = (
                re.sub(r"(--?[A-Za-z][\w-]*)", r"`\1`", each) or "none" for each in BESIDE[option.option_strings[-1]]
            )
            yield f"| {shown} | {' | '.join(others)} |"
    yield "\n### Exit codes\n\n| code | when |\n|---|---|"
    yield from (f"| {code} | {what} |" for code, what in EXIT_CODES)
    yield "\n### What other tools call it\n\nThese options are errors that say the same:\n\n| there | here |\n|---|---|"
    yield from (f"| `{there}` | {here} |" for there, here in ELSEWHERE.items())


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text("utf-8")), "utf-8")
