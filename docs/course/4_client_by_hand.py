"""Chapter 4: an HTTP client made of a socket. Prints status line, headers and body, as it takes them off the socket."""

import socket

import teaching_client
from practice_server import PracticeServer

server = PracticeServer()


# Connect, and send a request. What comes back can be read like a file: by lines, or by so many bytes.
def ask(path):
    with socket.create_connection(server.server_address) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        return client.makefile("rb")  # it keeps the connection until it is closed itself


# First comes the status line.
answer = ask("/hello")
line = answer.readline()
version, status, reason = line.decode().split(maxsplit=2)
print("1. status line:", line)
print("   status:", int(status))


# Then the headers, one a line, until an empty line. Large and small letters are the same in a name.
def read_headers(answer):
    headers = {}
    while (line := answer.readline().decode().strip()) != "":
        name, value = line.split(":", 1)
        headers[name.lower()] = value.strip()
    return headers


headers = read_headers(answer)
print("2. headers:", headers)

# Then the body, which is as long as the headers say.
print("3. body:", answer.read(int(headers["content-length"])))
answer.close()

# A server that does not know the length yet sends chunks: a length in hexadecimal, so many bytes, an empty line.
answer = ask("/chunks")
line = answer.readline()
print("4. headers:", read_headers(answer))
body = b""
while (size := int(answer.readline(), 16)) > 0:
    chunk = answer.read(size)
    end = answer.readline()
    body += chunk
    print("   chunk:", size, chunk)

print("5. body:", body)
answer.close()

# The same in one file that you can read from top to bottom: teaching_client.py.
response = teaching_client.get(server.url + "/chunks")
print("6. teaching_client:", response.status, response.headers["content-type"], response.body)
server.close()
