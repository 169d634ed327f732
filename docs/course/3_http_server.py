"""Chapter 3: `python -m http.server`. Prints four of its answers, with all that it adds to the one by hand."""

import pathlib
import socket
import subprocess
import sys
import tempfile

# A folder with one file, and the server in a process of its own. Port 0 means any that is free.
folder = tempfile.TemporaryDirectory()
size = pathlib.Path(folder.name, "hello.txt").write_bytes(b"Hello!\n")
command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder.name]
server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
said = server.stdout.readline().decode()  # it says so when it is ready
print("1. it says:", said.strip())
port = int(said.split("port ")[1].split()[0])


# Send a request by hand, and give back all that comes.
def ask(*lines):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        return client.makefile("rb").read().decode().replace("\r\n", "\n")


# It reads the file, guesses its type from its name, and says when it was changed.
answer = ask("GET /hello.txt HTTP/1.1", "Host: 127.0.0.1")
print("2. a file:")
print(answer)

# HEAD is GET without the body. (We compare what comes after Date, as the clock may have gone on.)
head = ask("HEAD /hello.txt HTTP/1.1", "Host: 127.0.0.1")
print("3. HEAD has the same headers:", head.splitlines()[3:] == answer.splitlines()[3:-1])

# The client has the file already, and asks for it only if it has changed since.
changed = answer.split("Last-Modified: ")[1].splitlines()[0]
cached = ask("GET /hello.txt HTTP/1.1", "Host: 127.0.0.1", f"If-Modified-Since: {changed}")
print("4. not changed since:", cached.splitlines()[0])

# What is not there, and what it cannot do.
print("5. not there:", ask("GET /tea HTTP/1.1", "Host: 127.0.0.1").splitlines()[0])
print("6. cannot do:", ask("POST /hello.txt HTTP/1.1", "Host: 127.0.0.1").splitlines()[0])

# We started it, so we stop it.
server.terminate()
exit_code = server.wait()
server.stdout.close()
folder.cleanup()
