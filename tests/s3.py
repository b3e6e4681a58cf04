"""An S3 server in a process of its own (moto), and a proxy before it that answers 503 or cuts connections on demand."""

import contextlib
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

BUCKET = "bucket"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server():
    """Yields its port; it has one empty bucket."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 120
        while True:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/{BUCKET}", method="PUT")
            try:
                urllib.request.urlopen(request, timeout=10).close()
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, "moto's server did not start"
                assert time.monotonic() < until
                time.sleep(0.2)
        yield port
    finally:
        process.kill()
        process.wait()


class Proxy(socketserver.ThreadingTCPServer):
    """Passes TCP on to the server; `plan(n, first_line)` says of the n-th request: "pass", "503", "cut" or "lost".

    "cut" ends the connection before the server hears of the request, "lost" after it has answered.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), _Connection)
        self.upstream, self.plan, self.requests, self.faults = port, lambda number, line: "pass", 0, 0
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        """A client that was killed is what the tests are about."""


class _Connection(socketserver.StreamRequestHandler):
    """One request a connection: the client is told to close it, so that every request can have its own fate."""

    def handle(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return
            head += line
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (field.partition(":") for field in head.decode("latin-1").split("\r\n")[1:])
        }
        if fields.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(int(fields.get("content-length", 0)))
        with self.server.lock:
            self.server.requests += 1
            fate = self.server.plan(self.server.requests, head.split(b"\r\n", 1)[0].decode())
            self.server.faults += fate != "pass"
        if fate == "503":
            text = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
            self.wfile.write(
                b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n" % len(text) + text
            )
            return
        if fate == "cut":
            return
        lines = [
            line
            for line in head.rstrip(b"\r\n").split(b"\r\n")
            if not line.lower().startswith((b"connection:", b"expect:"))
        ]
        with socket.create_connection(("127.0.0.1", self.server.upstream)) as upstream:
            upstream.sendall(b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body)
            while data := upstream.recv(1 << 16):
                if fate != "lost":
                    self.wfile.write(data)


@contextlib.contextmanager
def proxy(port):
    with Proxy(port) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield serving
        finally:
            serving.shutdown()
            thread.join()


def environment(url, scratch):
    """For a process that talks to that server."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FSSPEC_"))},
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "TMPDIR": str(scratch),
    }
