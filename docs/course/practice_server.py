"""The server of chapters 4 to 8, made of `http.server`. It keeps the heads of requests and counts connections."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ["no_proxy"] = "127.0.0.1"  # a proxy that your network may have cannot reach this machine
TEXT, JSON = "text/plain; charset=utf-8", "application/json"

# path: status, Content-Type, body. A list is sent in chunks.
PAGES = {
    "/hello": (200, TEXT, b"Hello!\n"),
    "/tea": (200, JSON, b'{"tea": 3}\n'),
    "/chunks": (200, TEXT, [b"one, ", b"two, ", b"three\n"]),
}


class Handler(BaseHTTPRequestHandler):
    """Answers one connection: `http.server` reads each request, and calls `do_GET`."""

    protocol_version = "HTTP/1.1"  # the connection stays open for the next request

    def setup(self):
        super().setup()
        self.server.connections += 1

    def do_GET(self):
        fields = [f"{name}: {value}" for name, value in self.headers.items()]
        self.server.heads.append("\n".join([self.requestline, *fields]))
        if self.path == "/old":
            self.answer(302, TEXT, b"", ("Location", "/hello"))
        else:
            self.answer(*PAGES.get(self.path, (404, TEXT, b"There is no such page.\n")))

    def answer(self, status, kind, body, *more):
        self.send_response_only(status)
        framing = ("Content-Length", str(len(body)))
        if isinstance(body, list):
            framing = ("Transfer-Encoding", "chunked")
            body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*body, b""])
        for name, value in [("Content-Type", kind), framing, *more]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class PracticeServer(ThreadingHTTPServer):
    """Serves from the moment it is made until `close()`, or until the program ends."""

    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.heads, self.connections = [], 0
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()
