"""A web server on 127.0.0.1 that has the files of a release, and plays faults on them."""

import contextlib
import dataclasses
import http.server
import re
import threading

import huggingface_hub
import pytest
from huggingface_hub import constants


@dataclasses.dataclass
class Release:
    """What the server has and how it answers.

    Args:
        files: {name: content}.
        break_after: Numbers of bytes after which the connection drops, one per answer.
        status: Statuses to answer with, one per request, before anything else.
        ranges: Whether parts are sent.
        etag: ETag of every file, or None.
        headers: Further headers of every answer.
        length: Stated length, or None for the right one; "" leaves it out.
        redirect: None, or where the requests for `/moved/...` lead.
    """

    files: dict
    break_after: list = dataclasses.field(default_factory=list)
    status: list = dataclasses.field(default_factory=list)
    ranges: bool = True
    etag: str | None = '"one"'
    headers: dict = dataclasses.field(default_factory=dict)
    length: int | str | None = None
    redirect: str | None = None
    url: str = ""
    requests: list = dataclasses.field(default_factory=list)  # the `Range` of each, or None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5

    def log_message(self, *args):
        """Nothing on standard error."""

    def do_GET(self):
        release, name = self.server.release, self.path.rpartition("/")[2]
        asked = self.headers.get("Range")
        release.requests.append(asked)
        if release.status:
            self._send(release.status.pop(0), b"<html>no</html>")
        elif "/moved/" in self.path and release.redirect is not None:
            self._send(302, b"", Location=release.redirect)
        elif name not in release.files:
            self._send(404, b"<html>not found</html>")
        else:
            self._send_file(release, release.files[name], asked)

    def _send_file(self, release, content, asked):
        headers = {} if release.etag is None else {"ETag": release.etag}
        status, start = 200, re.fullmatch(r"bytes=(\d+)-", asked or "")
        if start and release.ranges and self.headers.get("If-Range") == release.etag:
            first, total = int(start[1]), len(content)
            if first >= total:
                self._send(416, b"")
                return
            status, content = 206, content[first:]
            headers["Content-Range"] = f"bytes {first}-{total - 1}/{total}"
        cut = release.break_after.pop(0) if release.break_after else None
        self._send(status, content, cut, release.length, **headers, **release.headers)

    def _send(self, status, content, cut=None, length=None, **headers):
        self.send_response(status)
        if length != "":
            self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        if cut is not None or length is not None:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content[:cut])


@contextlib.contextmanager
def serve(**options):
    """Serves a `Release` within the block."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.release = Release(**options)
    server.release.url = f"http://127.0.0.1:{server.server_port}"
    server.handle_error = lambda *_: None  # a client that hangs up is no error
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.release
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A fresh cache for converted weights, and a client that reaches 127.0.0.1."""
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    huggingface_hub.close_session()
    yield tmp_path / "assets"
    huggingface_hub.close_session()


@pytest.fixture
def release(cache):
    """A server with one small file, `B1.pth`."""
    with serve(files={"B1.pth": bytes(range(256)) * 1000}) as release:
        yield release
