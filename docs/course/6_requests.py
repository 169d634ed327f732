"""Chapter 6: requests. Prints status, headers and body of an answer, and how its request differs from urllib's."""

import urllib.request

import requests
from practice_server import PracticeServer

server = PracticeServer()

# The three parts again. The status is called status_code here, and the body is there already, under three names.
response = requests.get(server.url + "/tea")
print("1. status: ", response.status_code, response.reason)
print("   headers:", response.headers)
print("   body:   ", response.content)
print("   as text:", repr(response.text))
print("   as JSON:", response.json())
print("2. has it a `status` as well?", hasattr(response, "status"))

# The same call of urllib, to lay the two requests side by side: - only urllib, + only requests.
urllib.request.urlopen(server.url + "/tea").close()
by_requests, by_urllib = (head.splitlines() for head in server.heads)
print("3. what they send:")
print("\n".join(f"- {line}" for line in by_urllib if line not in by_requests))
print("\n".join(f"+ {line}" for line in by_requests if line not in by_urllib))

# A status of 400 or more is no exception here, until you ask for one.
response = requests.get(server.url + "/nothing")
print("4. no exception:", response.status_code, response.ok)
try:
    response.raise_for_status()
except requests.HTTPError as error:
    print("   now there is:", type(error).__name__)

# A redirect is followed, and remembered.
response = requests.get(server.url + "/old")
print("5. history:", [earlier.status_code for earlier in response.history], "then", response.status_code)

# requests.get opens a connection each time; a Session keeps it for the next request.
before = server.connections
for _ in range(3):
    response = requests.get(server.url + "/hello")

print("6. three times requests.get:", server.connections - before, "connections")

before = server.connections
with requests.Session() as session:
    for _ in range(3):
        response = session.get(server.url + "/hello")

print("   three times session.get:", server.connections - before, "connection")
server.close()
