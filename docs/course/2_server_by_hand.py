"""Chapter 2: an HTTP server made of a socket. Prints its answer, byte for byte, and what a real client asked it."""

import os
import socket
import threading
import urllib.request

os.environ["no_proxy"] = "127.0.0.1"  # a proxy that your network may have cannot reach this machine
listener = socket.create_server(("127.0.0.1", 0))  # socket, bind and listen in one call
address = listener.getsockname()
heads = []


# A request ends with an empty line. Nobody promises that it arrives in one piece.
def read_head(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(1000)
        if not piece:  # the client has gone
            break
        head += piece
    return head.decode("latin-1")


# An answer is a status line, headers, an empty line, and a body.
def answer(head):
    method, target = head.split()[:2]
    body = f"You said {method} {target}\n".encode()
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/plain", f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + body


# The server: accept, read, answer, hang up; for two clients. It waits in a thread, so that we can be the client.
def serve():
    for _ in range(2):
        connection, _ = listener.accept()
        with connection:
            heads.append(read_head(connection))
            connection.sendall(answer(heads[-1]))


thread = threading.Thread(target=serve)
thread.start()

# We are the first client. makefile makes a file of a socket: read() reads until the end.
with socket.create_connection(address) as client:
    client.sendall(b"GET /tea HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    print("1. by hand:", client.makefile("rb").read())

# The second is a real one, and cannot tell the difference.
with urllib.request.urlopen(f"http://127.0.0.1:{address[1]}/milk") as response:
    print("2. urllib:", response.status, response.read())

# This is what it sent.
thread.join()
listener.close()
print("3. urllib's request:")
print(heads[1].strip())
