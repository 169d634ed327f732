"""Chapter 1: two sockets in one program, a listener and a client. Prints what each of them sees, step by step."""

import socket

# The server's side: bind takes an address, listen lets others call it.
listener = socket.socket()
listener.bind(("127.0.0.1", 0))  # this machine; port 0 means any that is free
listener.listen()
address = listener.getsockname()
print("1. listening on", address)

# The client's side: connect calls that address.
client = socket.socket()
client.connect(address)
print("2. connected to", client.getpeername())

# accept gives the server a second socket, which is for this one client.
connection, caller = listener.accept()
print("3. accepted a call; the caller is our client:", caller == client.getsockname())

# What is sent on one side is received on the other, but not always in one piece.
client.sendall(b"hello world")
print("4. received", connection.recv(5))
print("   and then", connection.recv(100))

# It works in both directions. After close, the other side receives what was sent, and then nothing: b"".
connection.sendall(b"bye")
connection.close()
print("5. the client received", client.recv(100))
print("   and then", client.recv(100), "which means: the end")

client.close()
listener.close()
