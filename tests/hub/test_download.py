"""Downloads of presets over real HTTP to a small Hub on this machine."""

import os
import pathlib
import subprocess
import sys

import huggingface_hub
import pytest
from hub import fake_hub
from huggingface_hub import constants

from keras_mlp3d.hub import HubError, download

REPO = "someone/mlp3d"
URI = f"hf://{REPO}"
CONFIG = b'{"registered_name": "keras_mlp3d>MLP3DBackbone", "config": {}}\n'
WEIGHTS = bytes(range(256)) * 20
FILES = {"config.json": CONFIG, "model.weights.h5": WEIGHTS, "README.md": b"---\n---\nA card.\n"}
WANTED = {"config.json": True, "model.weights.h5": True, "task.json": False}


def folder_of(uri, filenames):
    return download.download_preset(uri, filenames).folder


@pytest.mark.parametrize("name", ["../config.json", "a/b.json", "/etc/passwd", "a\\b", "", ".."])
def test_hostile_file_name_is_refused(name):
    with pytest.raises(ValueError, match="plain name"):
        download.download_preset(URI, {name: True})


def test_nothing_required_is_refused():
    with pytest.raises(ValueError, match="at least one file"):
        download.download_preset(URI, {"config.json": False})


def test_download_then_cache(hub, tmp_path):
    sha = hub.add(REPO, FILES).refs["main"]
    folder = folder_of(URI, WANTED)
    assert folder.is_relative_to(tmp_path / "cache")
    assert folder.name == sha
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.weights.h5"]
    assert (folder / "config.json").read_bytes() == CONFIG
    assert (folder / "model.weights.h5").read_bytes() == WEIGHTS
    assert len(hub.asked("GET", "/resolve/") + hub.asked("GET", "/storage/")) == 2

    hub.requests.clear()
    assert folder_of(URI, WANTED) == folder
    assert not hub.asked("GET", "/resolve/") + hub.asked("GET", "/storage/")
    assert len(hub.requests) == 2  # the list, and the head of one file


def test_token_stays_on_the_hub(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    hub.add(REPO, FILES)
    download.download_preset(URI, WANTED)
    assert "authorization" in hub.asked("GET", "/resolve/")[0]
    assert "authorization" not in hub.asked("GET", "/storage/")[0]


def test_revision(hub):
    repository = hub.add(REPO, FILES)
    old = repository.refs["main"]
    repository.commit(FILES | {"config.json": b"{}"}, "refs/pr/1")
    assert (folder_of(f"{URI}@refs/pr/1", WANTED) / "config.json").read_text() == "{}"
    assert (folder_of(f"{URI}@{old}", WANTED) / "config.json").read_bytes() == CONFIG


def test_files_are_of_one_commit_though_the_branch_moves(hub):
    repository = hub.add(REPO, FILES)
    new = {"config.json": b"{}", "model.weights.h5": WEIGHTS[::-1]}
    hub.before_resolve = lambda: repository.commit(new)
    folder = folder_of(URI, WANTED)
    assert folder.name == repository.refs["main"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == new


def test_missing_repository(hub, monkeypatch):
    for token in ("", fake_hub.TOKEN):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(HubError, match=r"no repository 'someone/mlp3d'.*check the name"):
            download.download_preset(URI, WANTED)


def test_missing_revision(hub):
    hub.add(REPO, FILES)
    with pytest.raises(HubError, match="no revision 'v9'"):
        download.download_preset(f"{URI}@v9", WANTED)


def test_missing_required_file(hub):
    hub.add(REPO, {"config.json": CONFIG})
    with pytest.raises(HubError, match=r"no file 'model.weights.h5'.*It has: config.json"):
        download.download_preset(URI, WANTED)
    assert not hub.asked("GET", "/resolve/")


def test_gated_repository(hub):
    hub.add(REPO, FILES, gated=True)
    with pytest.raises(HubError, match=r"hf://someone/mlp3d is gated.*HF_TOKEN"):
        download.download_preset(URI, WANTED)


def test_too_large_is_refused_before_the_download(hub):
    hub.add(REPO, FILES)
    with pytest.raises(HubError, match=r"take 5,\d+ bytes, and at most 5,000"):
        download.download_preset(URI, WANTED, max_bytes=5000)
    assert not hub.asked("GET", "/resolve/")


def test_broken_off_download_resumes(hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.add(REPO, FILES, break_after={"model.weights.h5": 3000})
    folder = folder_of(URI, WANTED)
    assert (folder / "model.weights.h5").read_bytes() == WEIGHTS
    ranges = [headers.get("range") for headers in hub.asked("GET", "/storage/")]
    assert ranges == [None, "bytes=3000-"]


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_wrong_content_is_refused_and_fetched_anew(hub, name):
    wrong = FILES[name][:-2] + b"x" + FILES[name][-1:]
    repository = hub.add(REPO, FILES, sent={name: wrong})
    with pytest.raises(HubError) as caught:
        download.download_preset(URI, WANTED)
    hashes = (fake_hub.git_hash, fake_hub.sha256)[name == "model.weights.h5"]
    for part in (repr(name), URI, hashes(FILES[name]), hashes(wrong), "try again"):
        assert part in str(caught.value)
    repository.sent.clear()
    assert (folder_of(URI, WANTED) / name).read_bytes() == FILES[name]


def test_size_other_than_listed_is_refused(hub):
    hub.add(REPO, FILES, stated_size={"config.json": len(CONFIG) + 1})
    message = f"expected {len(CONFIG) + 1} bytes, got {len(CONFIG)} bytes"
    with pytest.raises(HubError, match=message):
        download.download_preset(URI, WANTED)


def test_size_other_than_announced_is_refused(hub, tmp_path):
    hub.add(REPO, FILES, sent={"model.weights.h5": WEIGHTS[:-1]})
    with pytest.raises(HubError, match=r"downloading 'model.weights.h5'.*size 5120 but has"):
        download.download_preset(URI, WANTED)
    assert not list(tmp_path.rglob("*.incomplete"))
    assert not list(tmp_path.rglob("model.weights.h5"))


def test_file_damaged_in_the_cache_is_fetched_anew(hub, monkeypatch):
    hub.add(REPO, FILES)
    weights = folder_of(URI, WANTED) / "model.weights.h5"
    weights.resolve().write_bytes(WEIGHTS[::-1])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match=r"'model.weights.h5' of hf.*is damaged.*removed"):
        download.download_preset(URI, WANTED)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert (folder_of(URI, WANTED) / "model.weights.h5").read_bytes() == WEIGHTS


def test_file_of_the_shared_store_is_checked_by_its_own_hash(hub, monkeypatch):
    """Xet files are in a store of the whole cache, under a name that is no SHA-256."""
    hub.add(REPO, FILES)
    folder = folder_of(URI, WANTED)
    blob = (folder / "model.weights.h5").resolve()
    stored = folder.parents[2] / "blobs" / "ab" / ("ab" * 32)
    stored.parent.mkdir(parents=True)
    blob.rename(stored)
    blob.symlink_to(os.path.relpath(stored, blob.parent))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert folder_of(URI, WANTED) == folder
    stored.write_bytes(WEIGHTS[::-1])
    with pytest.raises(HubError, match="is damaged"):
        download.download_preset(URI, WANTED)
    assert not stored.exists()
    assert not blob.is_symlink()


def test_offline_from_the_cache(hub, monkeypatch):
    repository = hub.add(REPO, FILES)
    repository.commit(FILES, "v1")
    for uri in (URI, f"{URI}@v1", f"{URI}@{repository.refs['main']}"):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        folder = folder_of(uri, WANTED)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        asked = len(hub.requests)
        assert folder_of(uri, WANTED) == folder
        assert len(hub.requests) == asked


def test_offline_and_not_cached(hub, monkeypatch):
    hub.add(REPO, FILES)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match=r"HF_HUB_OFFLINE is set.*no 'config.json'"):
        download.download_preset(URI, WANTED)
    assert not hub.requests


def test_without_network(hub):
    hub.add(REPO, FILES)
    folder = folder_of(URI, {"config.json": True})
    huggingface_hub.close_session()
    hub.stop()
    assert folder_of(URI, {"config.json": True}) == folder
    with pytest.raises(HubError, match=r"check the network.*no 'model.weights.h5'"):
        download.download_preset(URI, WANTED)


@pytest.mark.parametrize(
    ("status", "message"),
    [(500, "check the network"), (429, "wait"), (403, "refused"), (418, "418")],
)
def test_answers_of_a_troubled_hub(hub, status, message):
    hub.answer_all = status
    with pytest.raises(HubError, match=message) as caught:
        download.download_preset(URI, WANTED)
    assert URI in str(caught.value)


# The module without its package, which would start a backend; and it is light to import.
ALONE = """
import pathlib, sys, types
for name in ("keras_mlp3d", "keras_mlp3d.hub"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["keras_mlp3d"].__path__ = [str(pathlib.Path(sys.argv[1]).parent)]
sys.modules["keras_mlp3d.hub"].__path__ = [sys.argv[1]]
from keras_mlp3d.hub import download
assert "huggingface_hub" not in sys.modules
print(download.download_preset(sys.argv[2], {"config.json": True}).folder)
"""


def test_environment_variables(hub, tmp_path):
    """In a process of its own, as a user sets them: endpoint, cache, then offline mode."""
    hub.add(REPO, FILES)
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    environment.pop("HF_HUB_CACHE", None)
    folders = []
    for offline in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", ALONE, pathlib.Path(download.__file__).parent, URI],
            env=environment | {"HF_HUB_OFFLINE": offline},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        folders.append(pathlib.Path(done.stdout.strip().splitlines()[-1]))
    assert folders[0] == folders[1]
    assert (folders[0] / "config.json").read_bytes() == CONFIG
    assert folders[0].is_relative_to(tmp_path / "home")


def test_more_files_of_the_same_commit(hub, monkeypatch):
    """What comes later is of the commit that came first, whatever the branch says by then."""
    repository = hub.add(REPO, FILES)
    first = download.download_preset(URI, {"config.json": True})
    repository.commit({"config.json": b"{}", "model.weights.h5": WEIGHTS[::-1]})
    wanted = {"model.weights.h5": True}
    second = download.download_preset(URI, wanted, commit=first.commit)
    assert second.folder == first.folder
    assert (second.folder / "model.weights.h5").read_bytes() == WEIGHTS
    assert second.sha256 == {"model.weights.h5": fake_hub.sha256(WEIGHTS)}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert download.download_preset(URI, wanted, commit=first.commit) == second
