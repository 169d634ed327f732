"""What the page on URLs says of deviations, row by row; and the loop that the awaited tests share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from unifetch import URL, get
from unifetch.errors import InvalidSetting, InvalidURL
from unifetch.model.url import location_url
from unifetch.policies.proxies import environment_proxies
from unifetch.policies.retries import Retry
from unifetch.testing import Server, reply

PAGE = (Path(__file__).parent.parent / "docs/how-to/urls.md").read_text("utf-8")

# Each row: what the page says, and what it says that of.
REFUSED = {
    "any scheme but http and https": ["ftp://a.test/", "http://a.test/ b", "http://a.test\\b", "http://a.test/\n"],
    "`http:///host`, an empty label": ["http:///a.test", "http://a..b/", f"http://{'a' * 64}.test/"],
    "a host whose last label is a number": ["http://site.com.1213/", "http://256.1.1.1/"],
    "`xn--…` that is no name": ["http://xn--a/", "http://xn--0.test/", "http://a\u200db.test/"],
    "port 0, or above 65535": ["http://a.test:0/", "http://a.test:65536/"],
    "a second `@`": ["http://a@b@c.test/"],
    "a zone in an IPv6 address": ["http://[fe80::1%25eth0]/"],
}


@pytest.mark.parametrize("row", REFUSED)
def test_what_is_refused(row: str) -> None:
    """Each example of the page is an error of ours."""
    assert f"| {row}" in PAGE
    for url in REFUSED[row]:
        with pytest.raises(InvalidURL):
            URL(url)


def test_a_location_without_a_host() -> None:
    """Three slashes are an empty host, which is not followed."""
    assert "`///host` in a `Location`" in PAGE
    with pytest.raises(InvalidURL):
        location_url(URL("http://a.test/"), "///b.test/")


def test_a_domain_of_no_proxy() -> None:
    """One that begins with a dot covers itself, too; loopback is exempt only if it is listed."""
    rules = environment_proxies({"http_proxy": "http://p.test:1", "no_proxy": ".example.com"})
    urls = ("http://example.com/", "http://a.example.com/", "http://127.0.0.1/", "http://localhost/")

    assert [True, True, False, False] == [
        rules.proxy_for(url.scheme, url.host, url.port) is None for url in map(URL, urls)
    ]


def test_the_number_of_attempts() -> None:
    """A hundred are allowed, and no more."""
    Retry(attempts=100)
    with pytest.raises(InvalidSetting, match="attempts"):
        Retry(attempts=101)


def test_two_content_types() -> None:
    """The charset is that of the first."""
    fields = [("Content-Type", "text/plain; charset=latin-1"), ("Content-Type", "text/plain; charset=utf-8")]
    with Server(reply(200, b"\xe9", fields)) as server:
        assert "\u00e9" == get(server.url).text


def test_one_loop_for_the_awaited_tests() -> None:
    """Eight threads that ask for it at once, in a new process, get the same."""
    program = (
        "import threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from unifetch.testing import awaited\n"
        "together = threading.Barrier(8)\n"
        "def ask(_):\n"
        "    together.wait(10)\n"
        "    return id(awaited._loop())\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(len(set(pool.map(ask, range(8)))))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert "1\n" == done.stdout
