"""Chapter 10: a request in the frames of HTTP/2, byte by byte. Prints what is sent, and what comes."""

import socket
from contextlib import ExitStack

import hpack

import unifetch
from unifetch.testing import Pause, http2


# A server of HTTP/2; its page /slow takes its time. It runs until `until_the_end.close()`.
def pages(request):
    tea = http2.reply(200, b'{"tea": 3}\n', {"Content-Type": "application/json"})
    return [Pause(0.5), *tea] if request.target == "/slow" else tea


until_the_end = ExitStack()
server = until_the_end.enter_context(http2.Server(pages))


# A frame: nine bytes that say how long it is, of which type, with which flags, on which stream; then its payload.
def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


# A common field is a number of a table: 2 is ":method: GET", 6 ":scheme: http". Or its name is, and a text follows.
def get(stream, path):
    return frame(1, 0x5, stream, b"\x82\x86\x04" + bytes([len(path)]) + path + b"\x01\x0btea.example")


print("1. a request:", get(1, b"/tea").hex(" "))

# First a greeting, and SETTINGS with what we have to say of ourselves: nothing. Then the request.
connection = until_the_end.enter_context(socket.create_connection(("127.0.0.1", server.port)))
connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + get(1, b"/tea"))
incoming = until_the_end.enter_context(connection.makefile("rb"))
decoder = hpack.Decoder()  # it knows the table, and how texts are compressed


# Frame by frame, until so many streams have ended: DATA, type 0, says so with its flag 1.
def read_answers(count):
    while count > 0:
        head = incoming.read(9)
        payload, kind, flags = incoming.read(int.from_bytes(head[:3], "big")), head[3], head[4]
        print("  ", head.hex(" "), decoder.decode(payload) if kind == 1 else payload)
        count -= kind == 0 and flags & 1


print("2. its answer:")
read_answers(1)

connection.sendall(get(3, b"/slow") + get(5, b"/tea"))  # at once; the streams of a client have odd numbers
print("3. two answers:")
read_answers(2)

# unifetch speaks it where you ask. (proxy=None: not by one that your network may have.)
response = unifetch.get(server.url + "/tea", backend="socket", http2="only", proxy=None)
print("4. by unifetch:", response.http_version, response.status, response.body)
until_the_end.close()
