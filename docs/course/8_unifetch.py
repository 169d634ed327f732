"""Chapter 8: unifetch. Prints the same answer over each library, swapped by one word; the request stays the same."""

from practice_server import PracticeServer

import unifetch

server = PracticeServer()

# The three parts, for the last time: status, headers, body.
response = unifetch.get(server.url + "/tea")
print("1. status: ", response.status, response.reason)
print("   headers:", list(response.headers.items()))
print("   body:   ", response.body)
print("   as text:", repr(response.text))
print("   as JSON:", response.json())
print("2. it sent:")
print(server.heads[-1])

# That was carried by urllib.request, which is everywhere. Another library is one word.
print("3. swapped by one word:")
for name in ["urllib", "requests", "httpx", "urllib3", "aiohttp", "socket"]:
    response = unifetch.get(server.url + "/tea", backend=name)
    same = sorted(server.heads[-1].splitlines()) == sorted(server.heads[0].splitlines())
    print(f"   {name:8}", response.status, response.body, "the same request:", same)

# Or for all calls of a block. Redirects are followed on each of them, so nothing changes but who does it.
with unifetch.use_backend("httpx"):
    response = unifetch.get(server.url + "/old")

print("4. /old by httpx:", [earlier.status for earlier in response.history], "then", response.status)

# A status of 400 or more is no exception until you ask, whoever carried it.
response = unifetch.get(server.url + "/nothing", backend="urllib")
print("5. no exception:", response.status)
try:
    response.raise_for_status()
except unifetch.StatusError as error:
    print("   now there is:", type(error).__name__)

server.close()
