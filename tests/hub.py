"""A stand-in for the HTTP interface of a hub, as far as huggingface_hub calls it."""

import base64
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

TOKEN, OWNER = "hf_standin", "ann"
# What the hub keeps as large files.
LARGE = (".safetensors", ".bin")


@dataclass
class Repository:
    """A repository: its commits from the oldest, each with the contents of its files."""

    private: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        text = json.dumps([len(self.commits), {k: sha256(v).hexdigest() for k, v in files.items()}])
        self.commits.append((sha1(text.encode()).hexdigest(), dict(files)))
        return self.commits[-1][0]

    def files(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        named = self.tags.get(revision, revision)
        return next((one for one in self.commits if one[0] == named), None)


@dataclass
class Hub:
    """What the stand-in holds, and what it does wrong.

    Arguments:
        repositories: by OWNER/NAME.
        large: large files by their SHA-256.
        sent: name -> what is sent in place of a file, whatever is listed.
        sizes: name -> the size that is listed.
        requests: (method, path) of every request.
        status: what every request is answered with, if any.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    status: int | None = None
    endpoint: str = ""

    def downloads(self) -> list[str]:
        """The names of the files that were fetched."""
        return [path.split("/")[-1] for method, path in self.requests
                if method == "GET" and "/resolve/" in path]  # fmt: skip


@contextmanager
def running():
    """A hub that listens on a free port of this machine."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        self.hub.requests.append((self.command, path))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        if self.hub.status is not None:
            return self._fail(self.hub.status, "", "the stand-in fails")
        for pattern, answer in ROUTES:
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                return answer(self, body, query, *found.groups())
        self._fail(404, "", f"no route for {self.command} {path}")

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _fail(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    @property
    def _may_write(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repository(self, name: str) -> Repository | None:
        """A repository that the caller may see; None after an answer that there is none."""
        found = self.hub.repositories.get(name)
        if self.headers.get("Authorization") and not self._may_write:
            self._fail(401, "", "Invalid credentials in Authorization header")
            return None
        if found is None or (found.private and not self._may_write):
            self._fail(404, "RepoNotFound", "Repository not found")
            return None
        return found

    def create(self, body: bytes, query: str) -> None:
        given = json.loads(body)
        name = f"{given['organization']}/{given['name']}"
        url = f"{self.hub.endpoint}/{name}"
        if not self._may_write:
            return self._fail(401, "", "Invalid credentials in Authorization header")
        if given["organization"] != OWNER:
            return self._fail(403, "", "You don't have the rights to create a model there")
        if name in self.hub.repositories:
            return self._send(409, json.dumps({"url": url, "error": "it is there"}).encode(), {})
        made = Repository(private=given.get("visibility") == "private")
        made.commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        self.hub.repositories[name] = made
        self._json({"url": url})

    def info(self, body: bytes, query: str, name: str, revision: str | None = None) -> None:
        if (found := self._repository(name)) is None:
            return
        if (files := found.files(revision or "main")) is None:
            return self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        siblings = [self._listed(*one, "blobs" in query) for one in files[1].items()]
        self._json({"id": name, "modelId": name, "sha": files[0], "private": found.private,
                    "siblings": siblings, "tags": [], "downloads": 0})  # fmt: skip

    def _listed(self, name: str, data: bytes, with_blobs: bool) -> dict[str, Any]:
        if not with_blobs:
            return {"rfilename": name}
        size = self.hub.sizes.get(name, len(data))
        blob = sha1(b"blob %d\0" % len(data) + data).hexdigest()
        one: dict[str, Any] = {"rfilename": name, "size": size, "blobId": blob}
        if name.endswith(LARGE):
            one["lfs"] = {"sha256": sha256(data).hexdigest(), "size": size, "pointerSize": 134}
        return one

    def preupload(self, body: bytes, query: str, name: str) -> None:
        if not self._may_write:
            return self._fail(403, "", "you may not write here")
        self._json({"files": [
            {"path": one["path"], "shouldIgnore": False,
             "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular"}
            for one in json.loads(body)["files"]
        ]})  # fmt: skip

    def check_yaml(self, body: bytes, query: str) -> None:
        text = json.loads(body)["content"]
        yaml.safe_load(text.split("---\n")[1])
        self._json({"errors": [], "warnings": []})

    def batch(self, body: bytes, query: str, name: str) -> None:
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.hub.endpoint}/large/{one['oid']}"}}}
            for one in json.loads(body)["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def put(self, body: bytes, query: str, oid: str) -> None:
        assert sha256(body).hexdigest() == oid
        self.hub.large[oid] = body
        self._json({})

    def commit(self, body: bytes, query: str, name: str) -> None:
        if not self._may_write or not name.startswith(f"{OWNER}/"):
            return self._fail(403, "", "you may not write here")
        files = dict(self.hub.repositories[name].commits[-1][1])
        for line in body.splitlines():
            one = json.loads(line)
            value = one["value"]
            if one["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif one["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif one["key"] == "deletedFile":
                del files[value["path"]]
        oid = self.hub.repositories[name].commit(files)
        self._json({"commitOid": oid, "commitUrl": f"{self.hub.endpoint}/{name}/commit/{oid}"})

    def resolve(self, body: bytes, query: str, name: str, revision: str, file: str) -> None:
        if (found := self._repository(name)) is None:
            return
        if (files := found.files(revision)) is None:
            return self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if file not in files[1]:
            return self._fail(404, "EntryNotFound", f"no {file}")
        data = self.hub.sent.get(file, files[1][file])
        etag = sha256(files[1][file]).hexdigest()
        self._send(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": files[0]})


NAMED = r"([\w.-]+/[\w.-]+)"
ROUTES = (
    (r"POST /api/repos/create", _Handler.create),
    (rf"GET /api/models/{NAMED}", _Handler.info),
    (rf"GET /api/models/{NAMED}/revision/(.+)", _Handler.info),
    (rf"POST /api/models/{NAMED}/preupload/main", _Handler.preupload),
    (r"POST /api/validate-yaml", _Handler.check_yaml),
    (rf"POST /{NAMED}\.git/info/lfs/objects/batch", _Handler.batch),
    (r"PUT /large/(\w+)", _Handler.put),
    (rf"POST /api/models/{NAMED}/commit/main", _Handler.commit),
    (rf"(?:GET|HEAD) /{NAMED}/resolve/([^/]+)/(.+)", _Handler.resolve),
)
