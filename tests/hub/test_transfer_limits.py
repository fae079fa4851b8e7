"""A server that sends too much, too slowly, or nothing: each ends in an error that says so."""

import gzip
import itertools
import time
import zlib

import huggingface_hub
import pytest
from hub import fake_hub

from keras_mlp3d.hub import HubError, client, download, transfer_limits

REPO, URI = "someone/mlp3d", "hf://someone/mlp3d"
CONFIG = b'{"registered_name": "keras_mlp3d>MLP3DBackbone", "config": {}}\n'
WEIGHTS = bytes(range(256)) * 20
FILES = {"config.json": CONFIG, "model.weights.h5": WEIGHTS}
WANTED = dict.fromkeys(FILES, True)


def get():
    return download.download_preset(URI, WANTED).folder


def zeros(packer, size):
    """`size` zero bytes, packed; a gigabyte takes a megabyte."""
    packed = [packer.compress(bytes(2**20)) for _ in range(size // 2**20)]
    return b"".join(packed) + packer.flush()


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr(transfer_limits, "GRACE_SECONDS", 0.5)


@pytest.fixture
def waits(monkeypatch):
    """How long huggingface_hub would have slept."""
    found = []
    monkeypatch.setattr(huggingface_hub.utils._http.time, "sleep", found.append)
    return found


@pytest.mark.parametrize(
    ("method", "name"),
    [("HEAD", "config.json"), ("GET", "config.json"), ("HEAD", "model.weights.h5")],
)
def test_a_refused_file_is_no_trouble_of_the_network(hub, method, name):
    hub.add(REPO, FILES, status={(method, name): (403, {})})
    with pytest.raises(HubError, match=rf"refused \(403\) while downloading '{name}'.*log in") as e:
        get()
    assert "network" not in str(e.value)
    assert not isinstance(e.value, client.HubUnreachableError)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_too_many_requests_for_a_file(hub, method, waits):
    hub.add(REPO, FILES, status={(method, "config.json"): (429, {})})
    with pytest.raises(HubError, match=r"no more requests now \(429\).*'config.json' of hf:") as e:
        get()
    assert "network" not in str(e.value)
    assert sum(waits) < 60


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("header", [("Retry_After", "{}"), ("RateLimit", '"api";r=0;t={}')])
@pytest.mark.parametrize("seconds", ["864000", "9" * 5000])
def test_a_server_cannot_make_us_wait_for_days(hub, method, header, seconds, waits):
    name, value = header
    answer = 429, {name: value.format(seconds)}
    hub.add(REPO, FILES, status={(method, "config.json"): answer})
    with pytest.raises(HubError, match=f"answers 429 and asks to wait {seconds[:12]} seconds"):
        get()
    assert not waits


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_drips(hub, no_waiting, name):
    hub.add(REPO, FILES, drip={name: 0.2})
    start = time.monotonic()
    with pytest.raises(HubError, match=rf"given up while downloading '{name}': \d+ bytes came in"):
        get()
    assert time.monotonic() - start < 5


def test_a_listing_that_drips(hub, no_waiting):
    hub.add(REPO, FILES)
    hub.listing = {}, (time.sleep(0.2) or b" " for _ in itertools.count())
    with pytest.raises(HubError, match="given up while asking for its files"):
        get()


def test_a_connection_per_byte_is_a_drip_too(hub, monkeypatch, waits):
    monkeypatch.setattr(transfer_limits, "GRACE_SECONDS", 3)
    repository = hub.add(REPO, FILES)

    class Always(dict):
        def pop(self, name, default=None):
            return 1

    repository.break_after = Always()
    with pytest.raises(HubError, match="given up while downloading"):
        get()


def test_a_slow_line_is_not_given_up(hub, monkeypatch):
    monkeypatch.setattr(transfer_limits, "GRACE_SECONDS", 30)
    hub.add(REPO, FILES, drip={"config.json": 0.005})
    assert (get() / "config.json").read_bytes() == CONFIG


def endless(chunk):
    return itertools.repeat(chunk)


def test_an_endless_listing(hub, monkeypatch):
    monkeypatch.setattr(client, "MAX_LISTING_BYTES", 2**20)
    hub.add(REPO, FILES)
    hub.listing = {}, endless(b'{"id": "someone/mlp3d"}' * 100)
    with pytest.raises(HubError, match=r"stopped while asking .*more than 1,048,576"):
        get()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_listing_that_unpacks_to_far_more(hub, encoding):
    hub.add(REPO, FILES)
    bits = {"gzip": 31, "deflate": 15}[encoding]
    bomb = zeros(zlib.compressobj(9, zlib.DEFLATED, bits), 2**26)
    assert len(bomb) < 2**17
    hub.listing = {"Content_Encoding": encoding}, [bomb]
    with pytest.raises(HubError, match=r"stopped while asking .*more than 16,777,216"):
        get()


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_unpacks_to_far_more(hub, tmp_path, name):
    bomb = zeros(zlib.compressobj(9, zlib.DEFLATED, 31), 2**26)
    hub.add(REPO, FILES, packed={name: ("gzip", bomb)})
    with pytest.raises(HubError, match=rf"stopped while downloading '{name}': it has more than"):
        get()
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) < 2**20


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "\x1b[31m"])
def test_an_encoding_that_was_not_asked_for(hub, encoding):
    hub.add(REPO, FILES, packed={"config.json": (encoding, CONFIG)})
    with pytest.raises(HubError, match=r"came packed as .* not asked for") as caught:
        get()
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_packed_file_of_the_stated_size_is_used(hub, pack):
    encoding = "gzip" if pack is gzip.compress else "deflate"
    hub.add(REPO, FILES, packed={name: (encoding, pack(FILES[name])) for name in FILES})
    folder = get()
    assert all((folder / name).read_bytes() == FILES[name] for name in FILES)
    assert all(headers["accept-encoding"] == "identity" for headers in hub.asked("GET"))


def test_more_bytes_than_stated(hub, monkeypatch):
    monkeypatch.setattr(download, "_MAX_ERROR_BYTES", 100)
    hub.add(REPO, FILES, sent={"model.weights.h5": WEIGHTS * 1000})
    with pytest.raises(HubError, match=r"stopped while downloading .*more than 5,120 bytes"):
        get()


def test_limits_hold_after_a_connection_that_failed(hub, monkeypatch):
    """huggingface_hub then makes a new client."""
    hub.add(REPO, FILES, packed={"config.json": ("gzip", zeros(zlib.compressobj(9, 8, 31), 2**26))})
    with transfer_limits.limited(1000):
        huggingface_hub.get_session()
        huggingface_hub.close_session()
        with pytest.raises(transfer_limits.TooMuch):
            huggingface_hub.get_session().get(f"{hub.url}/{REPO}/resolve/main/config.json")


def test_other_users_of_the_client_are_left_alone(hub):
    hub.add(REPO, FILES, packed={"config.json": ("gzip", gzip.compress(bytes(2**20)))})
    with transfer_limits.limited(1000):
        pass
    answer = huggingface_hub.get_session().get(f"{hub.url}/{REPO}/resolve/main/config.json")
    assert answer.content == bytes(2**20)
    assert "identity" not in hub.asked("GET")[-1].get("accept-encoding", "")


# --- servers that state less than the Hub ---------------------------------------------------------


def test_a_mirror_without_checksums(hub, caplog):
    hub.add(REPO, FILES, without_checksum=set(FILES))
    result = download.download_preset(URI, WANTED)
    assert all((result.folder / name).read_bytes() == FILES[name] for name in FILES)
    assert result.sha256 == {name: fake_hub.sha256(FILES[name]) for name in FILES}
    for name in FILES:
        assert f"states no checksum for '{name}' of {URI}" in caplog.text


def test_a_mirror_without_checksums_and_sizes(hub):
    hub.add(REPO, FILES, without_checksum=set(FILES), without_size=set(FILES))
    with pytest.raises(HubError, match=r"stopped while downloading 'model\.weights\.h5': .* 1,9"):
        download.download_preset(URI, WANTED, max_bytes=2000)
    assert (get() / "model.weights.h5").read_bytes() == WEIGHTS
    with pytest.raises(HubError, match=r"take more than 2,000 bytes"):  # from the cache
        download.download_preset(URI, WANTED, max_bytes=2000)


@pytest.mark.parametrize("name", FILES)
def test_an_etag_that_is_a_hash_is_compared(hub, name):
    wrong = FILES[name][:-2] + b"x" + FILES[name][-1:]
    hub.add(REPO, FILES, without_checksum=set(FILES), sent={name: wrong})
    with pytest.raises(HubError, match=rf"'{name}' of {URI} is damaged: expected [0-9a-f]+, got"):
        get()


def test_any_other_etag_is_taken(hub, caplog):
    hub.add(REPO, FILES, without_checksum={"config.json"}, etag={"config.json": "W-1234"})
    assert (get() / "config.json").read_bytes() == CONFIG
    stated = {"config.json": len(CONFIG) + 1}
    hub.add(REPO, FILES, without_checksum=set(FILES), etag={"config.json": "2"}, stated_size=stated)
    with pytest.raises(HubError, match=f"expected {len(CONFIG) + 1} bytes, got {len(CONFIG)}"):
        get()
