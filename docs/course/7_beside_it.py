"""Chapter 7: httpx, urllib3 and aiohttp beside requests. Prints the same answer by their names, and what each sent."""

import asyncio

import aiohttp
import httpx
import requests
import urllib3
from practice_server import PracticeServer

server = PracticeServer()
url = server.url + "/tea"

# One line each. Look at the names: status or status_code; content, data or read().
response = requests.get(url)
print("requests:", response.status_code, response.headers["content-type"], response.content)

response = httpx.get(url)
print("httpx:   ", response.status_code, response.headers["content-type"], response.content)

response = urllib3.request("GET", url)
print("urllib3: ", response.status, response.headers["content-type"], response.data)


# aiohttp is awaited only: its calls live in a coroutine, which asyncio.run runs.
async def by_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, response.headers["content-type"], await response.read()


print("aiohttp: ", *asyncio.run(by_aiohttp(url)))

# What each sent.
for name, head in zip(["requests", "httpx", "urllib3", "aiohttp"], server.heads, strict=True):
    print()
    print(name)
    print(head)

# They do not agree on redirects: httpx alone does not follow them by itself.
old = server.url + "/old"
print()
print("/old by requests:", requests.get(old).status_code)
print("/old by httpx:   ", httpx.get(old).status_code, "and", httpx.get(old, follow_redirects=True).status_code)
print("/old by urllib3: ", urllib3.request("GET", old).status)
print("/old by aiohttp: ", asyncio.run(by_aiohttp(old))[0])
server.close()
