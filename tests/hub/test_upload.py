"""Uploads of presets over real HTTP to a small Hub on this machine."""

import hashlib
import json

import pytest
from hub import fake_hub

from keras_mlp3d.hub import HubError, download_preset, upload_preset

REPO = "someone/mlp3d"
URI = f"hf://{REPO}"
WEIGHTS = bytes(range(256)) * 20
FILES = {
    "config.json": b'{"registered_name": "keras_mlp3d>MLP3DBackbone", "config": {}}\n',
    "model.weights.h5": WEIGHTS,
    "README.md": b"---\n---\nA card.\n",
}


@pytest.fixture
def preset(tmp_path):
    """A saved preset, and next to it a file that must not be uploaded."""
    directory = tmp_path / "preset"
    directory.mkdir()
    hashes = {"model.weights.h5": hashlib.sha256(WEIGHTS).hexdigest()}
    metadata = json.dumps({"class_name": "MLP3D", "sha256": hashes}).encode()
    for name, content in (FILES | {"metadata.json": metadata}).items():
        (directory / name).write_bytes(content)
    (directory / "secrets.txt").write_text("mine")
    return directory


def stored(hub, branch="main"):
    repository = hub.repositories[REPO]
    return repository.commits[repository.refs[branch]]


# huggingface_hub 2.4 itself sends an LFS file in a way that its HTTP library deprecates.
lfs_upload = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@lfs_upload
def test_upload(hub, preset, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    assert upload_preset(URI, preset) == f"{hub.url}/{REPO}"
    names = {"config.json", "metadata.json", "model.weights.h5", "README.md"}
    files = stored(hub)
    assert set(files) == names | {".gitattributes"}
    assert all(files[name] == (preset / name).read_bytes() for name in names)
    assert len(hub.repositories[REPO].commits) == 2
    assert (
        download_preset(URI, {"model.weights.h5": True}).folder / "model.weights.h5"
    ).read_bytes() == WEIGHTS


@lfs_upload
def test_upload_replaces_the_earlier_preset(hub, preset, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    hub.add(REPO, {"config.json": b"{}", "task.json": b"{}", "notes.txt": b"kept"})
    upload_preset(URI, str(preset), commit_message="Anew")
    assert set(stored(hub)) == {
        "config.json",
        "metadata.json",
        "model.weights.h5",
        "README.md",
        "notes.txt",
    }


@lfs_upload
def test_upload_to_a_branch(hub, preset, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    repository = hub.add(REPO, {"notes.txt": b"kept"})
    with pytest.raises(HubError, match="no revision 'next'"):
        upload_preset(f"{URI}@next", preset)
    repository.commit({}, "next")
    upload_preset(f"{URI}@next", preset)
    assert stored(hub) == {"notes.txt": b"kept"}
    assert stored(hub, "next")["model.weights.h5"] == WEIGHTS


def test_upload_without_token_asks_nothing(hub, preset):
    with pytest.raises(HubError, match="needs a token"):
        upload_preset(URI, preset)
    assert not hub.requests


def test_upload_with_wrong_token(hub, preset, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(HubError, match=r"'someone/mlp3d' while creating.*token that has"):
        upload_preset(URI, preset)
    assert not hub.repositories


def test_upload_without_permission(hub, preset, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    hub.add(REPO, FILES, writable=False)
    with pytest.raises(HubError, match=r"Access to hf://someone/mlp3d was refused"):
        upload_preset(URI, preset)
    assert stored(hub) == FILES


def test_upload_without_network(hub, preset, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    hub.stop()
    with pytest.raises(HubError, match="check the network"):
        upload_preset(URI, preset)


@pytest.mark.parametrize("name", ["README.md", "video_converter.json", "task.json"])
def test_no_link_out_of_the_folder_is_followed(hub, preset, monkeypatch, tmp_path, name):
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    (tmp_path / "secret").write_text("PRIVATE KEY")
    (preset / name).unlink(missing_ok=True)
    (preset / name).symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match=rf"{name} is a link to a file outside of the folder"):
        upload_preset(URI, preset)


def test_upload_of_something_else(preset):
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        upload_preset(URI, preset / "absent")
    (preset / "model.weights.h5").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"not the file that metadata\.json lists"):
        upload_preset(URI, preset)
    (preset / "model.weights.h5").unlink()
    with pytest.raises(ValueError, match=r"lacks 'model\.weights\.h5'"):
        upload_preset(URI, preset)
    (preset / "metadata.json").write_text('["list"]')
    with pytest.raises(ValueError, match="must hold a JSON object, got list"):
        upload_preset(URI, preset)
    (preset / "metadata.json").write_text("{}")
    with pytest.raises(ValueError, match="no 'class_name'"):
        upload_preset(URI, preset)
    (preset / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="no 'registered_name'"):
        upload_preset(URI, preset)
    (preset / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        upload_preset(URI, preset)
