"""A model hub on this machine: the few requests of huggingface_hub that a download makes, over folders."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40
LARGE = (".safetensors", ".bin")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeHub

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            self.info(found[1])
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            self.tree(found[1])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.file(found[1], found[3], body)
        else:
            self.send(404, b"")

    def info(self, id: str) -> None:
        if id in self.server.gated:
            error = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted."}
            return self.send(self.server.gated[id], b"{}", **error)
        if id not in self.server.repositories:
            return self.send(404, b"{}", **{"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        files = [self.entry(path, name) for name, path in sorted(self.server.files(id).items())]
        facts: dict[str, Any] = {"id": id, "modelId": id, "sha": COMMIT, "siblings": files, "private": False}
        facts |= {"cardData": {"license": "openrail++"}, "tags": [], "gated": False}
        return self.send(200, json.dumps(facts).encode(), Content_Type="application/json")

    def tree(self, id: str) -> None:
        files = [self.entry(path, name) for name, path in sorted(self.server.files(id).items())]
        for entry in files:
            entry |= {"type": "file", "path": entry.pop("rfilename"), "oid": entry.pop("blobId")}
            if "lfs" in entry:
                entry["lfs"]["oid"] = entry["lfs"].pop("sha256")
        return self.send(200, json.dumps(files).encode(), Content_Type="application/json")

    @staticmethod
    def entry(path: Path, name: str) -> dict[str, Any]:
        data = path.read_bytes()
        entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
        if path.suffix in LARGE:
            entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry

    def file(self, id: str, name: str, body: bool) -> None:
        path = self.server.files(id).get(name)
        if path is None:
            return self.send(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
        data = path.read_bytes()
        digest = hashlib.sha256(data) if path.suffix in LARGE else hashlib.sha1(data)
        headers = {"X_Repo_Commit": COMMIT, "ETag": f'"{digest.hexdigest()}"', "Accept_Ranges": "bytes"}
        return self.send(200, self.server.damaged.get(name, data), body, **headers)

    def send(self, status: int, data: bytes, body: bool = True, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class FakeHub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, **repositories: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories = {name.replace("__", "/"): folder for name, folder in repositories.items()}
        self.gated: dict[str, int] = {}
        """Repository -> status of the refusal."""
        self.damaged: dict[str, bytes] = {}
        """File -> what is sent instead."""
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def files(self, id: str) -> dict[str, Path]:
        folder = self.repositories[id]
        return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def serving(**repositories: Path) -> Iterator[FakeHub]:
    """`owner__name=folder`."""
    with FakeHub(**repositories) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
