"""From a preset's name to its network: each file read once, hashed once, the network built once."""

import builtins
import collections
import functools
import hashlib
import io
import json
import os
import sys

import h5py
import numpy as np
import pytest
from hub.conftest import hub  # noqa: F401
from models import tiny
from numpy_weights import weights_of

from keras_mlp3d import MLP3D, CycleMLP, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.hub import builtin_folder
from keras_mlp3d.models import FrameCycleMLP

REPO = "someone/mlp3d"
WEIGHTS = {"model.weights.h5", "task.weights.h5"}
CANDIDATES = ["short_range:2", "long_range:4", "shift_token:3"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A preset of each class, and the network that is in it."""
    folder, frame = tmp_path_factory.mktemp("presets"), tiny.tiny_cycle_mlp()
    paths = [tiny.tiny_model(seed=seed, task={"name": name}) for seed, name in ((1, "a"), (2, "b"))]
    networks = {
        MLP3D: tiny.tiny_model(),
        CycleMLP: frame,
        FrameCycleMLP: FrameCycleMLP(frame),
        TwoPathMLP3D: TwoPathMLP3D(*paths, motion_size=(36, 50)),
    }
    for cls, network in networks.items():
        network.save_to_preset(folder / cls.__name__)
    return {cls: (folder / cls.__name__, network) for cls, network in networks.items()}


@pytest.fixture
def built(monkeypatch):
    """How often each class of networks is constructed."""
    counts = collections.Counter()

    def counted(cls, original):
        @functools.wraps(original)  # `from_preset` reads the signature
        def construct(self, *args, **kwargs):
            counts[cls] += 1
            original(self, *args, **kwargs)

        return construct

    for cls in (MLP3DBackbone, MLP3D, CycleMLP, FrameCycleMLP, TwoPathMLP3D):
        monkeypatch.setattr(cls, "__init__", counted(cls, cls.__init__))
    return counts


@pytest.fixture
def opened(monkeypatch):
    """How often each file is opened, and how often as HDF5, by its real path; and all hashes."""
    counts = collections.Counter()
    plain_open, hdf5_file = builtins.open, h5py.File

    def counted_open(file, mode="r", *args, **kwargs):
        if isinstance(file, str | os.PathLike) and "r" in mode:
            counts[os.path.realpath(file)] += 1
        return plain_open(file, mode, *args, **kwargs)

    class CountedFile(hdf5_file):
        def __init__(self, name, *args, **kwargs):
            counts["hdf5", os.path.realpath(name)] += 1
            super().__init__(name, *args, **kwargs)

    sha256, file_digest = hashlib.sha256, hashlib.file_digest

    def counted_digest(file, digest):
        counts["hashes", os.path.realpath(file.name)] += 1
        return file_digest(file, digest)

    def counted_sha256(*args, **kwargs):
        # The test's own Hub hashes too, and so does the library that talks to it.
        if sys._getframe(1).f_globals["__name__"].startswith("keras_mlp3d."):
            counts["sha256"] += 1
        return sha256(*args, **kwargs)

    monkeypatch.setattr(builtins, "open", counted_open)
    monkeypatch.setattr(io, "open", counted_open)
    monkeypatch.setattr(h5py, "File", CountedFile)
    monkeypatch.setattr(hashlib, "file_digest", counted_digest)
    monkeypatch.setattr(hashlib, "sha256", counted_sha256)
    return counts


OVERRIDES = [
    {},
    {"num_classes": 3},
    {"dtype": "mixed_bfloat16"},
    {"drop_path_rate": 0.3, "num_classes": 3},
]
ON_CLIPS = [
    {"schedule": "shift_token:1+long_range:2"},
    {"max_group_size": 5, "num_classes": 3},
    {"share_weights": False},
    {"schedule": "short_range:2", "candidates": CANDIDATES},
]
BUILDS = [
    (cls, options)
    for cls, rows in {
        MLP3D: [*OVERRIDES, *ON_CLIPS],
        TwoPathMLP3D: [*OVERRIDES, *ON_CLIPS],
        CycleMLP: OVERRIDES,
        FrameCycleMLP: OVERRIDES,
    }.items()
    for options in rows
]


@pytest.mark.parametrize(("cls", "options"), BUILDS)
def test_one_network_is_built(folders, built, cls, options):
    cls.from_preset(folders[cls][0], **options)
    paths = 2 if cls is TwoPathMLP3D else 1
    assert (
        built
        == {
            MLP3D: {MLP3D: 1, MLP3DBackbone: 1},
            CycleMLP: {CycleMLP: 1},
            FrameCycleMLP: {FrameCycleMLP: 1, CycleMLP: 1},
            TwoPathMLP3D: {TwoPathMLP3D: 1, MLP3D: paths, MLP3DBackbone: paths},
        }[cls]
    )


@pytest.mark.parametrize("options", [{}, {"num_classes": 3}, {"schedule": "shift_token:2"}])
def test_each_file_of_a_folder_is_read_once(folders, opened, options):
    folder = folders[MLP3D][0]
    MLP3D.from_preset(folder, **options)
    loaded = WEIGHTS - ({"task.weights.h5"} if "num_classes" in options else set())
    builtin = os.path.realpath(builtin_folder())
    assert not [key for key in opened if str(key).startswith(builtin)]
    for path in folder.iterdir():
        real = os.path.realpath(path)
        if path.suffix == ".json":
            assert opened[real] == 1, path.name
        elif path.suffix == ".h5":
            used = path.name in loaded
            assert opened[real] == opened["hashes", real] == used, path.name  # to hash it
            assert opened["hdf5", real] == 2 * used, path.name  # its header, then its arrays


@pytest.mark.parametrize("options", [{}, {"num_classes": 3}, {"schedule": "shift_token:2"}])
def test_each_file_of_the_hub_is_read_and_hashed_once(hub, folders, opened, options):  # noqa: F811
    folder, network = folders[MLP3D]
    hub.add(REPO, {path.name: path.read_bytes() for path in folder.iterdir()})
    MLP3D.from_preset(f"hf://{REPO}")  # into the cache
    opened.clear()
    loaded = MLP3D.from_preset(f"hf://{REPO}", **options)
    opens = {str(key): number for key, number in opened.items() if "/blobs/" in str(key)}
    names = {os.path.realpath(path): path.name for path in _snapshot(opens)}
    plain = {names[key]: number for key, number in opens.items() if key in names}
    json_names = {path.name for path in folder.glob("*.json")}
    # JSON is read to compare its hash with the Hub's, then to parse it; weights for the hash.
    assert plain == {name: 2 if name in json_names else 1 for name in json_names | WEIGHTS}
    assert opened["sha256"] == len(json_names | WEIGHTS)
    assert not [key for key in opened if key[0] == "hashes"]
    given, got = weights_of(network.backbone), weights_of(loaded.backbone)
    np.testing.assert_array_equal(given["embedding/kernel"], got["embedding/kernel"])


def _snapshot(opens):
    blob = next(key for key in opens if not key.startswith("("))
    repository = os.path.dirname(os.path.dirname(blob))
    snapshots = os.path.join(repository, "snapshots")
    (commit,) = os.listdir(snapshots)
    return list(os.scandir(os.path.join(snapshots, commit)))


# --- what arrives in another schedule -------------------------------------------------------------


@pytest.mark.parametrize("cls", [MLP3D, TwoPathMLP3D])
@pytest.mark.parametrize("options", ON_CLIPS)
def test_weights_are_those_of_a_transfer(folders, cls, options):
    """One build gives what carrying the weights over from a second network gives."""
    from keras_mlp3d.models.transfer import transfer_weights

    folder, network = folders[cls]
    loaded = cls.from_preset(folder, **options)
    other = cls.from_preset(folder, load_weights=False, **options)
    pairs = [(network, other)]
    if cls is TwoPathMLP3D:
        pairs = [
            (getattr(network, path), getattr(other, path)) for path in ("appearance", "motion")
        ]
    for source, target in pairs:
        transfer_weights(source, target)
    given, got = weights_of(other), weights_of(loaded)
    assert given.keys() == got.keys()
    for name, value in given.items():
        if "num_classes" not in options or not name.endswith(("head/kernel", "head/bias")):
            np.testing.assert_array_equal(got[name], value, err_msg=name)


def test_a_supernet_becomes_another(tmp_path):
    network = tiny.tiny_model(candidates=CANDIDATES)
    network.save_to_preset(tmp_path / "supernet")
    again = MLP3D.from_preset(tmp_path / "supernet")
    for name, value in weights_of(network).items():
        np.testing.assert_array_equal(weights_of(again)[name], value)
    wider = MLP3D.from_preset(tmp_path / "supernet", candidates=[*CANDIDATES, "short_range:8"])
    kernel = "stage1_block1/token_mixing/mix_time/kernel"
    stored, carried = weights_of(network)[kernel], weights_of(wider)[kernel]
    assert (stored.shape[0], carried.shape[0]) == (7, 15)
    np.testing.assert_array_equal(carried[4:11], stored)
    assert not carried[:4].any()
    assert not carried[11:].any()


def test_a_file_with_arrays_of_the_same_number_and_another_shape(folders, tmp_path):
    """The count alone cannot tell them apart; each shape is checked when it is loaded."""
    folder = folders[MLP3D][0]
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with h5py.File(tmp_path / "model.weights.h5", "r+") as file:
        group = file["layers/mlp3d_block/token_mixing/mix_time/vars"]
        kernel = group["0"][()]
        del group["0"]
        group["0"] = kernel.reshape(-1, *kernel.shape[2:])
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    (tmp_path / "metadata.json").write_text(json.dumps({**metadata, "sha256": {}}))
    for options in ({}, {"schedule": "short_range:1"}):
        with pytest.raises(ValueError, match="are not of this network"):
            MLP3D.from_preset(tmp_path, **options)


def test_saving_reads_no_other_preset(folders, opened, tmp_path):
    """Keras looks at every attribute of a model that it saves or loads, `presets` too."""
    for cls, (_, network) in folders.items():
        network.save_to_preset(tmp_path / cls.__name__)
    builtin = os.path.realpath(builtin_folder())
    assert not [key for key in opened if str(key).startswith(builtin)]
    assert dict(network.presets) == TwoPathMLP3D.presets
    assert dict(folders[MLP3D][1].presets) == MLP3D.presets
    assert "mlp3d_xs" in repr(folders[MLP3D][1].presets)
