"""A model hub on this machine, over real HTTP: as much of its interface as fetching one repository takes."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves `files` as the repository `repo`. `refuses` (status, error code) makes it say no to everything."""

    daemon_threads = True

    def __init__(self, repo: str, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.repo, self.files = repo, files
        self.refuses: tuple[int, str] | None = None
        self.heard: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, path = self.server, self.path.split("?")[0]
        hub.heard.append(f"{self.command} {path}")
        if hub.refuses:
            return self._send(b"{}", hub.refuses[0], {"X-Error-Code": hub.refuses[1]})
        if path.startswith(f"/api/models/{hub.repo}/tree/"):
            return self._json([_entry(name, data) for name, data in hub.files.items()])
        if path == f"/api/models/{hub.repo}" or path.startswith(f"/api/models/{hub.repo}/revision/"):
            if path.rsplit("/", 1)[1] not in (hub.repo.split("/")[1], "main", SHA):
                return self._send(b"{}", 404, {"X-Error-Code": "RevisionNotFound"})
            return self._json({"id": hub.repo, "sha": SHA, "siblings": [{"rfilename": name} for name in hub.files]})
        start, _, name = path.partition("/resolve/")
        name = name.partition("/")[2]
        if start == f"/{hub.repo}" and name in hub.files:
            tag = f'"{_blob(hub.files[name])}"'
            return self._send(hub.files[name], 200, {"ETag": tag, "X-Repo-Commit": SHA})
        return self._send(b"{}", 404, {"X-Error-Code": "RepoNotFound"})

    def _json(self, value: Any) -> None:
        self._send(json.dumps(value).encode(), 200, {"Content-Type": "application/json"})

    def _send(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Tests look at `heard`."""


def _entry(name: str, data: bytes) -> dict[str, str | int]:
    return {"type": "file", "path": name, "size": len(data), "oid": _blob(data)}


def _blob(data: bytes) -> str:
    """What git calls it."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextmanager
def hub(repo: str, files: dict[str, bytes]) -> Iterator[Hub]:
    """A hub that serves until the block ends."""
    server = Hub(repo, files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
