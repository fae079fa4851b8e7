"""Networks by way of the Hub: uploaded, loaded with and without weights, and without a network."""

import json

import numpy as np
import pytest
from hub import fake_hub
from huggingface_hub import constants
from models import tiny
from numpy_weights import weights_of

from keras_mlp3d import MLP3D, CycleMLP, MLP3DBackbone, upload_preset
from keras_mlp3d.hub import HubError

REPO, URI = "someone/mlp3d", "hf://someone/mlp3d"


@pytest.fixture(scope="module")
def model():
    return tiny.tiny_model(task={"class_names": ["a", "b", "c", "d", "e"]})


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    model.save_to_preset(folder)
    return folder


@pytest.fixture
def uploaded(hub, folder):
    """The preset in the repository of the Hub, as an upload leaves it."""
    return hub.add(REPO, {path.name: path.read_bytes() for path in folder.iterdir()})


def assert_same(model, other):
    given, got = weights_of(model), weights_of(other)
    assert given.keys() == got.keys()
    for name, value in given.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


# huggingface_hub 2.4 itself sends an LFS file in a way that its HTTP library deprecates.
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_upload_and_load(hub, model, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    assert upload_preset(URI, folder) == f"{hub.url}/{REPO}"
    monkeypatch.delenv("HF_TOKEN")
    loaded = MLP3D.from_preset(URI)
    assert loaded.class_names == ["a", "b", "c", "d", "e"]
    assert_same(model, loaded)


def test_overrides_and_the_backbone_alone(uploaded, model):
    new = MLP3D.from_preset(f"{URI}@main", num_classes=3, drop_path_rate=0.1)
    assert new.output_shape == (None, 3)
    assert_same(model.backbone, new.backbone)
    assert_same(model.backbone, MLP3DBackbone.from_preset(URI))


def test_without_weights_none_are_downloaded(hub, uploaded):
    network = MLP3D.from_preset(URI, load_weights=False)
    assert network.count_params() > 0
    assert not hub.asked("GET", "weights.h5")
    assert hub.asked("GET", "config.json")


def test_a_preset_that_has_no_weights(hub, folder):
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".h5"}
    hub.add(REPO, files)
    assert MLP3D.from_preset(URI, load_weights=False).num_classes == 5
    with pytest.raises(HubError, match=r"hf://someone/mlp3d has no file 'model\.weights\.h5'"):
        MLP3D.from_preset(URI)
    metadata = json.loads(files["metadata.json"]) | {"weights": "none"}
    hub.add(REPO, files | {"metadata.json": json.dumps(metadata).encode()})
    with pytest.raises(ValueError, match="is an architecture without weights"):
        MLP3D.from_preset(URI)


def test_a_classifier_without_the_weights_of_its_head(hub, folder):
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.add(REPO, {name: files[name] for name in files if name != "task.weights.h5"})
    with pytest.raises(FileNotFoundError, match=rf"{URI}' lacks its weights, task\.weights\.h5"):
        MLP3D.from_preset(URI)
    assert MLP3DBackbone.from_preset(URI).channels == tiny.CHANNELS


@pytest.fixture
def pointer(folder, tmp_path):
    """A preset on disk whose weights lie on the Hub."""
    pointer = tmp_path / "pointer"
    pointer.mkdir()
    for name in ("config.json", "task.json"):
        (pointer / name).write_bytes((folder / name).read_bytes())
    (pointer / "metadata.json").write_text(json.dumps({"weights": URI}))
    return pointer


def test_weights_kept_elsewhere(hub, uploaded, pointer, model):
    assert_same(model, MLP3D.from_preset(pointer))
    asked = len(hub.requests)
    assert MLP3D.from_preset(pointer, load_weights=False).num_classes == 5
    assert len(hub.requests) == asked


def test_weights_kept_elsewhere_of_another_class(hub, pointer, tmp_path):
    tiny.tiny_cycle_mlp().save_to_preset(tmp_path / "frame")
    hub.add(REPO, {path.name: path.read_bytes() for path in (tmp_path / "frame").iterdir()})
    with pytest.raises(ValueError, match=f"'{URI}' holds a CycleMLP; load it with CycleMLP"):
        MLP3D.from_preset(pointer)
    assert CycleMLP.from_preset(URI).num_classes == 5


def test_without_a_network(hub, uploaded, model, monkeypatch):
    MLP3D.from_preset(URI)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    assert_same(model, MLP3D.from_preset(URI))
    assert len(hub.requests) == asked


def test_without_a_network_and_never_loaded(hub, uploaded, monkeypatch):
    MLP3D.from_preset(URI, load_weights=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert MLP3D.from_preset(URI, load_weights=False).num_classes == 5
    with pytest.raises(HubError, match=r"cache has no 'model\.weights\.h5' of it: load it once"):
        MLP3D.from_preset(URI)


def test_weights_that_are_not_those_of_the_metadata(hub, uploaded, folder):
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.add(REPO, files | {"model.weights.h5": files["task.weights.h5"]})
    with pytest.raises(ValueError, match=r"model\.weights\.h5' is damaged: its SHA-256"):
        MLP3D.from_preset(URI)
