"""Chapter 9: a server that misbehaves. Prints what each library makes of it by itself, and through unifetch."""

import os
import urllib.request

import httpx
import requests
import urllib3

import unifetch
from unifetch.testing import Close, Server, reply

os.environ["no_proxy"] = "127.0.0.1"  # a proxy that your network may have cannot reach this machine

# Each page breaks in its own way. A page without an answer, b"", stays silent.
pages = {
    "/missing": reply(404, b"no such page"),
    "/loop": reply(302, headers={"Location": "/loop"}),
    "/gone": Close(),
    "/half": [reply(200, b"only half", {"Content-Length": "18"}), Close()],
    "/noise": [b"this is not HTTP\r\n\r\n", Close()],
    "/silent": b"",
}

# The same call by each, with two seconds of patience.
calls = {
    "urllib": lambda url: urllib.request.urlopen(url, timeout=2).read(),
    "requests": lambda url: requests.get(url, timeout=2).content,
    "httpx": lambda url: httpx.get(url, timeout=2).content,
    "urllib3": lambda url: urllib3.request("GET", url, timeout=2, retries=1).data,
}


# What came of it: a body, or the name of an exception. unifetch is asked over each of them.
def outcome(call, *arguments, **more):
    try:
        return call(*arguments, **more)
    except Exception as error:  # noqa: BLE001  # whatever it is, we want its name
        return type(error).__name__


def by_unifetch(url, name):
    return unifetch.get(url, backend=name, timeout=2).body


with Server(pages) as server:
    for path in pages:
        print(path)
        for name, call in calls.items():
            print(f"   {name:8}", outcome(call, server.url + path))
        through = {name: outcome(by_unifetch, server.url + path, name) for name in calls}
        print("   through unifetch:", *sorted({str(each) for each in through.values()}))
