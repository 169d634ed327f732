"""Chapter 5: `urllib.request`. Prints status, headers and body of an answer, and what was sent to get it."""

import json
import urllib.error
import urllib.request

from practice_server import PracticeServer

server = PracticeServer()

# The three parts of an answer. The body is read from the socket when you ask for it, so close it: `with` does.
with urllib.request.urlopen(server.url + "/tea") as response:
    body = response.read()

print("1. status: ", response.status, response.reason)
print("   headers:", response.headers.items())
print("   body:   ", body)

# A header by its name; large and small letters are the same. JSON is yours to decode.
print("2. type:   ", response.headers["content-type"])
print("   JSON:   ", json.loads(body))

# What it sent for that: five lines, of which you wrote half of one.
print("3. it sent:")
print(server.heads[0])

# A redirect is followed without a word.
with urllib.request.urlopen(server.url + "/old") as response:
    print("4. asked for /old, came to", response.url.removeprefix(server.url), "with", response.status)

# A status of 400 or more is an exception, which is an answer too.
try:
    urllib.request.urlopen(server.url + "/nothing")
except urllib.error.HTTPError as error:
    print("5. an exception:", type(error).__name__, error.status, error.read())
    error.close()

# Parameters, a body and headers are yours to put together.
request = urllib.request.Request(server.url + "/hello", headers={"X-Who": "me"})
urllib.request.urlopen(request).close()
print("6. it sent", server.heads[-1].splitlines()[-2:])

# One connection for each request: four requests and a redirect.
print("7. connections:", server.connections)
server.close()
