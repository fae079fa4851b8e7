"""Downloads of single files: whole, resumed, and everything that a server can do wrong."""

import hashlib
import json

import pytest
from hub.release_server import cache, release  # noqa: F401
from huggingface_hub import constants

from keras_mlp3d.hub import HubError, download_file
from keras_mlp3d.hub.web_download import check_web_address

LIMIT = 300_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "B1.pth"


@pytest.fixture
def url(release):  # noqa: F811
    return f"{release.url}/v0.1/B1.pth"


@pytest.fixture
def content(release):  # noqa: F811
    return release.files["B1.pth"]


def assert_whole(path, url, content):
    file = download_file(url, path, LIMIT)
    assert path.read_bytes() == content
    assert (file.path, file.url, file.size) == (path, url, len(content))
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    return file


def assert_refused(path, url, message):
    with pytest.raises(HubError, match=message) as caught:
        download_file(url, path, LIMIT)
    assert url in str(caught.value)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_whole_and_not_asked_for_again(release, path, url, content):  # noqa: F811
    assert_whole(path, url, content)
    file = assert_whole(path, url, content)
    assert release.requests == [None]
    file.remove()
    assert list(path.parent.glob("B1*")) == []


def test_broken_off_twice_and_resumed_at_once(release, path, url, content):  # noqa: F811
    release.break_after = [100_000, 50_000]
    assert_whole(path, url, content)
    starts = [int(asked[6:-1]) for asked in release.requests[1:]]
    assert release.requests[0] is None
    assert 0 < starts[0] <= 100_000
    assert starts[0] < starts[1] <= 150_000


def test_broken_off_and_resumed_by_the_next_call(release, path, url, content):  # noqa: F811
    release.break_after = [100_000, 0]
    message = assert_refused(path, url, "failed while downloading it .*check the network")
    assert "try again" in message
    arrived = path.stat().st_size
    assert 0 < arrived <= 100_000
    assert path.read_bytes() == content[:arrived]
    assert_whole(path, url, content)
    assert release.requests[-1] == f"bytes={arrived}-"


def test_a_rest_of_unstated_length_is_not_taken_for_the_whole(release, path, url, content):  # noqa: F811
    release.break_after = [100_000, 0]
    assert_refused(path, url, "failed while downloading it")
    release.length, release.break_after = "", [50_000]
    assert_whole(path, url, content)
    assert len(release.requests) == 4


@pytest.mark.parametrize("fault", ["no ranges", "another file", "no ETag", "another address"])
def test_a_part_that_cannot_be_resumed_is_not_used(release, path, url, fault):  # noqa: F811
    if fault == "no ETag":
        release.etag = None
    release.break_after = [100_000, 0]
    with pytest.raises(HubError):
        download_file(url, path, LIMIT)
    release.break_after = []
    release.files["B1.pth"] = bytes(range(255, -1, -1)) * 900
    release.ranges = fault != "no ranges"
    if fault != "no ETag":
        release.etag = '"two"'
    if fault == "another address":
        release.etag, url = '"one"', f"{release.url}/v0.2/B1.pth"
    assert_whole(path, url, release.files["B1.pth"])


def test_a_part_longer_than_the_file(release, path, url, content):  # noqa: F811
    release.break_after = [100_000, 0]
    with pytest.raises(HubError):
        download_file(url, path, LIMIT)
    path.write_bytes(bytes(299_000))
    assert_whole(path, url, content)


@pytest.mark.parametrize("state", [b"", b"[]", b'{"size": "x"}', b'{"size": 9, "validator": 1}'])
def test_a_damaged_note_is_not_believed(release, path, url, content, state):  # noqa: F811
    path.write_bytes(b"other")
    path.with_name("B1.pth.json").write_bytes(state)
    assert_whole(path, url, content)
    assert json.loads(path.with_name("B1.pth.json").read_bytes())["size"] == len(content)


def test_less_than_stated(release, path, url):  # noqa: F811
    release.length = 290_000
    assert_refused(path, url, "failed while downloading it")


@pytest.mark.parametrize("length", [None, ""])
def test_an_empty_file(release, path, url, length):  # noqa: F811
    release.files["B1.pth"], release.length = b"", length
    assert_refused(path, url, r"B1\.pth brought an empty file")
    assert not list(path.parent.glob("B1*"))


@pytest.mark.parametrize("length", [None, ""])
def test_too_large(release, path, url, length):  # noqa: F811
    release.files["B1.pth"] = bytes(LIMIT + 1)
    release.length = length
    assert_refused(path, url, r"300,00[01] bytes")
    assert not path.exists()


@pytest.mark.parametrize(
    ("page", "headers"),
    [
        (b"PK", {"Content-Type": "text/html; charset=utf-8"}),
        (b"PK", {"Content-Type": "text/\x1b[31mhtml"}),
        (b"\n <!DOCTYPE html>", {"Content-Type": "application/octet-stream"}),
        (b"<html>", {}),
    ],
)
def test_a_web_page(release, path, url, page, headers):  # noqa: F811
    release.files["B1.pth"], release.headers = page, headers
    assert_refused(path, url, "brought a web page")
    assert not list(path.parent.glob("B1*"))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "was refused .status 404.: the file is not there"),
        (206, "was refused"),
        (503, "not available now .status 503.: try again later"),
        (429, "not available now"),
    ],
)
def test_other_answers(release, path, url, status, message):  # noqa: F811
    release.status = [status]
    assert_refused(path, url, message)
    assert not path.exists()


def test_redirects(release, path, content):  # noqa: F811
    url = f"{release.url}/moved/B1.pth"
    release.redirect = "/v0.1/B1.pth"
    assert_whole(path, url, content)
    path.unlink()
    release.redirect = "/moved/B1.pth"
    assert_refused(path, url, "redirected more than 5 times")


@pytest.mark.parametrize(
    "target", ["http://host/B1.pth", "file:///etc/passwd", "http://[::1", "https://a@b/B1.pth"]
)
def test_redirects_that_leave_https(release, path, target):  # noqa: F811
    release.redirect = target
    assert_refused(path, f"{release.url}/moved/B1.pth", "redirected to .* is not followed")


def test_no_network(release, path, url, monkeypatch):  # noqa: F811
    assert_refused(path, "http://127.0.0.1:9/B1.pth", "check the network and try again")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert_refused(path, url, "HF_HUB_OFFLINE is set")
    assert release.requests == []


def test_a_full_disk_names_the_file(release, path, url, monkeypatch):  # noqa: F811
    def full(*_):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("keras_mlp3d.hub.web_download.reserve", full)
    assert str(path) in assert_refused(path, url, "No space left")


@pytest.mark.parametrize(
    "url",
    [
        "http://host/B1.pth",
        "ftp://host/B1.pth",
        "B1.pth",
        "",
        "https://",
        "https://user:password@host/B1.pth",
        "https://host/\x1b[31m",
        "http://127.0.0.1.evil.example/B1.pth",
        "http://localhost@evil.example/B1.pth",
        "https://[::1/B1.pth",
    ],
)
def test_addresses_that_are_not_https(url):
    with pytest.raises(ValueError, match="downloaded from an address https://host/") as caught:
        check_web_address(url)
    assert str(caught.value).isprintable()


def test_addresses():
    for url in ("https://host/B1.pth", "http://localhost:80/a", "http://[::1]:8/a"):
        assert check_web_address(url) == url
