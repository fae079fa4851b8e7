"""A small Hugging Face Hub on 127.0.0.1: what `huggingface_hub` asks of the real one, and faults.

Files over `LFS_BYTES` are kept as LFS: a redirect to another origin, as to the real Hub's storage.
"""

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import re
import sys
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

LFS_BYTES = 1000
TOKEN = "hf_fake_token"


def git_hash(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@dataclasses.dataclass
class Repository:
    """Commits (sha -> files), refs (branch -> sha), and the faults to play on one file name."""

    commits: dict = dataclasses.field(default_factory=dict)
    refs: dict = dataclasses.field(default_factory=dict)
    gated: bool = False
    writable: bool = True
    sent: dict = dataclasses.field(default_factory=dict)  # other content than the stated one
    stated_size: dict = dataclasses.field(default_factory=dict)  # other size than the true one
    break_after: dict = dataclasses.field(default_factory=dict)  # bytes before the line drops, once
    status: dict = dataclasses.field(default_factory=dict)  # (method, name) -> status, headers
    without_checksum: set = dataclasses.field(default_factory=set)
    without_size: set = dataclasses.field(default_factory=set)
    etag: dict = dataclasses.field(default_factory=dict)  # another ETag than the hash
    packed: dict = dataclasses.field(default_factory=dict)  # name -> (content-encoding, bytes)
    drip: dict = dataclasses.field(default_factory=dict)  # name -> seconds before each byte

    def commit(self, files, branch="main"):
        """Adds a commit with these files, and points the branch at it; returns its sha."""
        text = json.dumps([len(self.commits), {name: sha256(files[name]) for name in files}])
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.commits[sha] = dict(files)
        self.refs[branch] = sha
        return sha

    def resolve(self, revision):
        return self.refs.get(revision, revision if revision in self.commits else None)


class FakeHub:
    """The server's state: `repositories`, uploaded `objects`, and every `(method, path, headers)`
    it was asked in `requests`."""

    def __init__(self):
        self.repositories = {}
        self.objects = {}
        self.requests = []
        self.answer_all = None  # a status with which to answer everything
        self.before_resolve = None  # called once, before the next file is looked for
        self.listing = None  # (headers, iterable of chunks) to send in place of a list of files
        self._server = _Server(("127.0.0.1", 0), _Handler)
        # Joined at the end, so that no connection outlives its test.
        self._server.daemon_threads = False
        self._server.hub = self
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def add(self, repo_id, files, **faults):
        repository = self.repositories[repo_id] = Repository(**faults)
        repository.commit(files)
        return repository

    def asked(self, method, part=""):
        """The headers of the requests of a method whose path contains `part`."""
        return [headers for verb, path, headers in self.requests if verb == method and part in path]

    def stop(self):
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@contextlib.contextmanager
def serve():
    hub = FakeHub()
    try:
        yield hub
    finally:
        hub.stop()


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, address):
        """A client that hangs up is no error of the server."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, address)


def _dripping(content, pause):
    for byte in content:
        time.sleep(pause)
        yield bytes([byte])


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5

    def log_message(self, *args):
        """Nothing on standard error."""

    def do_HEAD(self):
        self._route()

    do_GET = do_POST = do_PUT = do_HEAD

    def _route(self):
        hub = self.hub = self.server.hub
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        self.body = self._read_body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.requests.append((self.command, self.path, headers))
        if hub.answer_all:
            return self._send(hub.answer_all)
        for method, pattern, handle in _ROUTES:
            match = re.fullmatch(pattern, url.path)
            if match and self.command in method.split():
                return handle(self, *map(unquote, match.groups()))
        return self._send(404)

    def _read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, status, content=b"", **headers):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        length = headers.pop("length", len(content))
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_chunks(self, chunks, **headers):
        """Sends a body piece by piece, until the client has enough of it."""
        self.send_response(200)
        if "length" in headers:
            self.send_header("Content-Length", str(headers.pop("length")))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(ConnectionError):
            for chunk in chunks:
                self.wfile.write(chunk)
                self.wfile.flush()

    def _fail(self, status, code, message):
        self._send(status, {"error": message}, X_Error_Code=code, X_Error_Message=message)

    def _authorized(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _find(self, repo_id, revision):
        """Returns the repository and commit, or None after having answered."""
        repository = self.hub.repositories.get(repo_id)
        if repository is None:
            # As the real one: who is not logged in may not learn whether it exists.
            if self._authorized():
                self._fail(404, "RepoNotFound", "Repository not found")
            else:
                self._send(401, X_Error_Message="Invalid username or password.")
            return None
        sha = repository.resolve(revision)
        if sha is None:
            self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repository, sha

    def model_info(self, repo_id, revision="main"):
        found = self._find(repo_id, revision)
        if found is None:
            return
        if self.hub.listing is not None:
            headers, chunks = self.hub.listing
            self._send_chunks(chunks, **headers)
            return
        repository, sha = found
        siblings = []
        for name, content in repository.commits[sha].items():
            size = repository.stated_size.get(name, len(content))
            file = {"rfilename": name, "size": size, "blobId": git_hash(content)}
            if len(content) > LFS_BYTES:
                file["lfs"] = {"sha256": sha256(content), "size": size, "pointerSize": 134}
            if name in repository.without_checksum:
                file = {key: file[key] for key in ("rfilename", "size")}
            if name in repository.without_size:
                del file["size"]
            siblings.append(file)
        self._send(200, {"id": repo_id, "sha": sha, "siblings": siblings, "tags": []})

    def resolve_file(self, repo_id, revision, name):
        if action := self.hub.before_resolve:
            self.hub.before_resolve = None
            action()
        found = self._find(repo_id, revision)
        if found is None:
            return
        repository, sha = found
        if repository.gated:
            self._fail(403, "GatedRepo", "Access to this model is restricted")
            return
        content = repository.commits[sha].get(name)
        if (self.command, name) in repository.status:
            status, headers = repository.status[self.command, name]
            self._send(status, b"<html>no</html>", **headers)
        elif content is None:
            self._fail(404, "EntryNotFound", "Entry not found")
        elif len(content) > LFS_BYTES:
            self._send(
                302,
                Location=f"http://localhost:{self.hub.port}/storage/{repo_id}/{name}?{sha}",
                X_Repo_Commit=sha,
                X_Linked_Etag=f'"{sha256(content)}"',
                X_Linked_Size=len(content),
            )
        else:
            self._send_file(repository, name, content, X_Repo_Commit=sha)

    def storage(self, repo_id, name):
        repository = self.hub.repositories[repo_id]
        sha = urlsplit(self.path).query
        self._send_file(repository, name, repository.commits[sha][name])

    def _send_file(self, repository, name, content, **headers):
        headers["ETag"] = f'"{repository.etag.get(name, git_hash(content))}"'
        if self.command == "HEAD":
            self._send(200, length=len(content), **headers)
            return
        content = repository.sent.get(name, content)
        if name in repository.packed:
            encoding, packed = repository.packed[name]
            self._send(200, packed, Content_Encoding=encoding, **headers)
            return
        if name in repository.drip:
            pause = repository.drip[name]
            self._send_chunks(_dripping(content, pause), length=len(content), **headers)
            return
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        status = 200
        if start:
            first = int(start[1])
            status, total, content = 206, len(content), content[first:]
            headers["Content_Range"] = f"bytes {first}-{total - 1}/{total}"
        cut = repository.break_after.pop(name, None)
        if cut is None:
            self._send(status, content, **headers)
        else:
            self._send(status, content[:cut], length=len(content), **headers)
            self.close_connection = True

    def create(self):
        if not self._authorized():
            self._send(401, X_Error_Message="Invalid credentials in Authorization header")
            return
        wanted = json.loads(self.body)
        repo_id = f"{wanted.get('organization') or 'someone'}/{wanted['name']}"
        if repo_id in self.hub.repositories:
            writable = self.hub.repositories[repo_id].writable
            self._send(409 if writable else 403, {"url": f"{self.hub.url}/{repo_id}"})
            return
        self.hub.repositories[repo_id] = Repository()
        self.hub.repositories[repo_id].commit({".gitattributes": b"*.h5 filter=lfs\n"})
        self._send(200, {"url": f"{self.hub.url}/{repo_id}"})

    def validate_yaml(self):
        header = json.loads(self.body)["content"].split("---")[1]
        try:
            yaml.safe_load(header)
        except yaml.YAMLError as error:
            self._send(400, {"errors": [{"message": str(error)}], "warnings": []})
        else:
            self._send(200, {"errors": [], "warnings": []})

    def preupload(self, repo_id, revision):
        found = self._find(repo_id, revision)
        if found is None:
            return
        if not found[0].writable:
            self._send(403, X_Error_Message="You have no write access")
            return
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["size"] > LFS_BYTES else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self.body)["files"]
        ]
        self._send(200, {"files": files})

    def lfs_batch(self, repo_id):
        objects = [
            {
                "oid": item["oid"],
                "size": item["size"],
                "actions": {"upload": {"href": f"{self.hub.url}/objects/{item['oid']}"}},
            }
            for item in json.loads(self.body)["objects"]
        ]
        self._send(200, {"transfer": "basic", "objects": objects})

    def put_object(self, oid):
        self.hub.objects[oid] = self.body
        self._send(200 if sha256(self.body) == oid else 400)

    def commit(self, repo_id, revision):
        found = self._find(repo_id, revision)
        if found is None:
            return
        repository, sha = found
        files = dict(repository.commits[sha])
        for line in self.body.splitlines():
            key, value = (item := json.loads(line))["key"], item["value"]
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        sha = repository.commit(files, revision)
        self._send(200, {"commitUrl": f"{self.hub.url}/{repo_id}/commit/{sha}", "commitOid": sha})


_REPO = r"([^/]+/[^/]+)"
_ROUTES = [
    ("GET", rf"/api/models/{_REPO}", _Handler.model_info),
    ("GET", rf"/api/models/{_REPO}/revision/([^/]+)", _Handler.model_info),
    ("GET HEAD", rf"/{_REPO}/resolve/([^/]+)/(.+)", _Handler.resolve_file),
    ("GET HEAD", rf"/storage/{_REPO}/(.+)", _Handler.storage),
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.validate_yaml),
    ("POST", rf"/api/models/{_REPO}/preupload/([^/]+)", _Handler.preupload),
    ("POST", rf"/{_REPO}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", "/objects/([0-9a-f]{64})", _Handler.put_object),
    ("POST", rf"/api/models/{_REPO}/commit/([^/]+)", _Handler.commit),
]
