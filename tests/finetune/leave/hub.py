"""A model hub on this machine: as much of the Hugging Face API as an upload of small files asks for."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """`repositories` are those that were made, with what was said of them; `files` what was committed."""

    url: str = ""
    tokens: set[str] = field(default_factory=lambda: {"hf_writes"})
    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@contextmanager
def hub() -> Iterator[Hub]:
    made = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            made.asked.append(f"GET {self.path}")
            self._answer(200, {"id": "x", "sha": "0" * 40, "siblings": []})

        def do_POST(self) -> None:
            made.asked.append(f"POST {self.path}")
            if self.headers.get("transfer-encoding") == "chunked":
                body = b"".join(self._chunks())
            else:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
            token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
            if token not in made.tokens:
                return self._answer(401, {"error": "Invalid credentials in Authorization header"})
            if self.path == "/api/validate-yaml":
                return self._answer(200, {"errors": [], "warnings": []})
            if self.path == "/api/repos/create":
                asked = json.loads(body)
                name = f"{asked.get('organization') or 'me'}/{asked['name']}"
                made.repositories[name] = asked
                return self._answer(200, {"url": f"{made.url}/{name}", "name": name})
            if self.path.endswith("/preupload/main"):
                files = [
                    {**one, "uploadMode": "regular", "shouldIgnore": False}
                    for one in json.loads(body)["files"]
                ]
                return self._answer(200, {"files": files})
            if "/commit/main" in self.path:
                for line in body.splitlines():
                    entry = json.loads(line)
                    if entry["key"] == "file":
                        made.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
                name = self.path.removeprefix("/api/models/").partition("/commit")[0]
                url = f"{made.url}/{name}/commit/{'1' * 40}"
                return self._answer(200, {"commitUrl": url, "commitOid": "1" * 40, "pullRequestUrl": None})
            return self._answer(404, {"error": "no route"})

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _answer(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()
