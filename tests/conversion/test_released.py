"""Presets from a released checkpoint: downloaded and converted once, then loaded from the cache.

The server is on this machine, and its checkpoints are made here: most of a tiny network under the
keys of the public ones, and one with exactly the keys and shapes of `CycleMLP_B1.pth`.
"""

import importlib.util
import json
import logging
import sys

import huggingface_hub
import keras
import numpy as np
import pytest
from conversion import tiny_checkpoint
from conversion.running import run
from data.make_videos import moving_frames, write_video
from golden import make_state_dict
from hub import release_server
from hub.release_server import cache  # noqa: F401
from huggingface_hub import constants

from keras_mlp3d import MLP3D, CycleMLP, MLP3DBackbone
from keras_mlp3d.cli.main import main
from keras_mlp3d.conversion import inflate, load_cyclemlp, released
from keras_mlp3d.data import VideoLoader, read_folder
from keras_mlp3d.hub import HubError, preset, read_preset, serialized
from keras_mlp3d.layers import GlorotUniform

FRAME, VIDEO = "cyclemlp_tiny_imagenet", "mlp3d_tiny_imagenet"
SIZES = {name: list(value) for name, value in tiny_checkpoint.SIZES.items()}
TEXTS = {"license": "mit", "notice": "Copyright the test", "citation": "@misc{test}"}
NEEDED = {"source": "A release", "datasets": ["imagenet-1k"], **TEXTS}


@pytest.fixture(autouse=True)
def _quick_weights(monkeypatch):
    """Initializers return zeros, which take no time to sample; what is not loaded stays zero."""
    monkeypatch.setattr(
        GlorotUniform, "__call__", lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype)
    )


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """Two built-in presets of a tiny network."""
    folder = tmp_path_factory.mktemp("builtin")
    (folder / "recipes").symlink_to(preset.builtin_folder() / "recipes")
    frame = serialized("CycleMLP", {**SIZES, "num_classes": tiny_checkpoint.CLASSES})
    video = serialized("MLP3DBackbone", {**SIZES, "schedule": [["shift_token", 2]] * 5})
    clip = serialized("VideoConverter", {"num_frames": 8, "image_size": [32, 32]})
    for name, config, weights in (
        (FRAME, frame, "https://host/v0.1/CycleMLP_Tiny.pth"),
        (VIDEO, video, f"inflate:{FRAME}"),
    ):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config))
        metadata = {"class_name": config["registered_name"][12:], "weights": weights, **NEEDED}
        (folder / name / "metadata.json").write_text(json.dumps(metadata))
    (folder / VIDEO / "video_converter.json").write_text(json.dumps(clip))
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Returns the bytes of a checkpoint with some arrays."""
    torch = pytest.importorskip("torch")
    path = tmp_path_factory.mktemp("checkpoint") / "made.pth"

    def make(state):
        torch.save({"model": {key: torch.from_numpy(state[key]) for key in state}}, path)
        return path.read_bytes()

    return make


@pytest.fixture(scope="module")
def whole(checkpoint):
    return checkpoint(tiny_checkpoint.state_dict())


@pytest.fixture
def release(presets, whole, cache, monkeypatch):  # noqa: F811
    """The built-in presets, and the server that their checkpoint comes from."""
    monkeypatch.setattr(preset, "builtin_folder", lambda: presets)
    with release_server.serve(files={"CycleMLP_Tiny.pth": whole}) as server:
        monkeypatch.setenv(released.MIRROR, f"{server.url}/v0.1/")
        yield server


@pytest.fixture
def alone(release, monkeypatch):
    """After the first load: neither the server nor PyTorch."""

    def leave():
        monkeypatch.setenv(released.MIRROR, "http://127.0.0.1:9")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        find_spec = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == "torch" else find_spec(name)
        )
        if keras.backend.backend() != "torch":
            monkeypatch.setitem(sys.modules, "torch", None)

    return leave


def values(model):
    return [keras.ops.convert_to_numpy(value) for value in model.weights]


def assert_same(model, other):
    for value, expected in zip(values(model), values(other), strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.fixture(scope="module")
def frame():
    """The network that the checkpoint is of."""
    model = CycleMLP(**SIZES, num_classes=tiny_checkpoint.CLASSES)
    load_cyclemlp(model, tiny_checkpoint.state_dict())
    return model


def test_the_first_load_converts_and_later_ones_need_nothing(release, alone, cache, frame, caplog):  # noqa: F811
    caplog.set_level(logging.INFO, "keras_mlp3d")
    model = MLP3D.from_preset(VIDEO, num_classes=3)
    assert release.requests == [None]
    assert f"{release.url}/v0.1/CycleMLP_Tiny.pth" in caplog.text
    alone()
    backbone = MLP3DBackbone.from_preset(VIDEO)
    assert_same(model.backbone, backbone)
    assert model.converter.num_frames == 8
    inflated = MLP3DBackbone.from_preset(VIDEO, load_weights=False)
    inflate(frame, inflated)
    assert_same(inflated, backbone)
    assert_same(CycleMLP.from_preset(FRAME), frame)
    assert release.requests == [None]
    for name, cls in ((VIDEO, "MLP3DBackbone"), (FRAME, "CycleMLP")):
        [card] = cache.rglob(f"{name}/README.md")
        assert f'keras_mlp3d.{cls}.from_preset("{name}")' in card.read_text()


def test_a_missing_number_of_classes_downloads_nothing(release):
    with pytest.raises(ValueError, match=f"'{VIDEO}' is a backbone without classes: pass num_cl"):
        MLP3D.from_preset(VIDEO)
    with pytest.raises(ValueError, match="MLP3DBackbone has no classes"):
        MLP3DBackbone.from_preset(VIDEO, num_classes=3)
    with pytest.raises(ValueError, match="load it with CycleMLP"):
        MLP3D.from_preset(FRAME, num_classes=3)
    with pytest.raises(ValueError, match="depths cannot be overridden"):
        MLP3D.from_preset(VIDEO, num_classes=3, depths=(1, 1, 1, 1))
    assert MLP3D.from_preset(VIDEO, load_weights=False, num_classes=3).num_classes == 3
    assert release.requests == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_classes": 0},
        {"class_names": ["a"]},
        {"schedule": "nonsense:3"},
        {"dropout": 7},
        {"colors": 3},
    ],
    ids=str,
)
def test_wrong_arguments_download_nothing(release, wrong):
    with pytest.raises(ValueError):
        MLP3D.from_preset(VIDEO, **{"num_classes": 3, **wrong})
    assert release.requests == []


def test_without_torch_the_first_load_says_what_to_install(release, alone):
    alone()
    with pytest.raises(ImportError, match=f"'{FRAME}' converts.*pip install torch"):
        MLP3D.from_preset(VIDEO, num_classes=3)
    assert release.requests == []


def test_no_network(release, monkeypatch):
    monkeypatch.setenv(released.MIRROR, "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"127\.0\.0\.1:9/CycleMLP_Tiny\.pth failed.*try again"):
        CycleMLP.from_preset(FRAME)
    monkeypatch.setenv(released.MIRROR, "ftp://host")
    with pytest.raises(ValueError, match=f"got 'ftp://host/CycleMLP_Tiny.*in {released.MIRROR}"):
        CycleMLP.from_preset(FRAME)


def test_broken_off_and_resumed(release, frame):
    release.break_after = [9_000, 0]
    with pytest.raises(HubError, match="try again"):
        CycleMLP.from_preset(FRAME)
    assert_same(CycleMLP.from_preset(FRAME), frame)
    assert release.requests[0] is None
    assert len(set(release.requests[1:])) == 1
    assert 0 < int(release.requests[-1][6:-1]) <= 9_000


def test_a_conversion_that_was_stopped_downloads_nothing_again(release, frame, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(released, "load_cyclemlp", stop)
        with pytest.raises(KeyboardInterrupt):
            CycleMLP.from_preset(FRAME)
    assert_same(CycleMLP.from_preset(FRAME), frame)
    assert release.requests == [None]


def test_a_changed_cache_is_noticed(release, alone, cache, frame, caplog):  # noqa: F811
    CycleMLP.from_preset(FRAME)
    [path] = cache.rglob("model.weights.h5")
    path.write_bytes(path.read_bytes()[:-1])
    assert_same(CycleMLP.from_preset(FRAME), frame)
    assert "not as they were written" in caplog.text
    path.write_bytes(path.read_bytes()[:-1])
    alone()
    with pytest.raises(ImportError, match="pip install torch"):
        CycleMLP.from_preset(FRAME)


def renamed(state):
    state["norms.bias"] = state.pop("norm.bias")


def reshaped(state):
    state["head.bias"] = state["head.bias"][:-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed, "1 key is missing: norm.bias; 1 key is unknown: norms.bias"),
        (reshaped, r"head.bias \(expected \(7,\), got \(6,\)\)"),
    ],
)
def test_a_checkpoint_of_another_network(release, checkpoint, change, message, cache):  # noqa: F811
    state = tiny_checkpoint.state_dict()
    change(state)
    release.files["CycleMLP_Tiny.pth"] = checkpoint(state)
    with pytest.raises(ValueError, match=message) as caught:
        MLP3D.from_preset(VIDEO, num_classes=3)
    assert f"{release.url}/v0.1/CycleMLP_Tiny.pth did not bring" in str(caught.value)
    assert f"The address is the one in {released.MIRROR}." in str(caught.value)
    assert "num_classes" not in str(caught.value)  # the preset has decided that
    assert not list(cache.rglob("*.pth*"))
    assert not list(cache.rglob("*.json"))


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], ValueError, "damaged or no file of torch.save"),
        (lambda whole: b"PK\x03\x04 nothing", ValueError, "damaged or no file of torch.save"),
        (lambda whole: b"cos\nsystem\n(S'true'\ntR.", ValueError, "they can hold code"),
        (lambda whole: b"<!DOCTYPE html><p>Log in", HubError, "brought a web page"),
        (lambda whole: b"", HubError, "brought an empty file"),
        (lambda whole: bytes(20 * 2**20), HubError, "it is another file"),
    ],
    ids=["truncated", "no archive", "a pickle", "a page", "empty", "too large"],
)
def test_a_file_that_is_no_checkpoint(release, content, error, message, cache):  # noqa: F811
    release.files["CycleMLP_Tiny.pth"] = content(release.files["CycleMLP_Tiny.pth"])
    with pytest.raises(error, match=message):
        CycleMLP.from_preset(FRAME)
    assert not list(cache.rglob("*.pth*"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for split in ("train", "val"):
        for label, name in enumerate("abcd"):
            (folder / split / name).mkdir(parents=True)
            frames = moving_frames(8, 40, 48) // 4 + np.uint8(60 * label)
            write_video(folder / split / name / "0.mp4", frames)
    return folder


def test_two_epochs_from_the_command_line(release, videos, tmp_path, capsys):
    command = ["train", "--data", str(videos), "--preset", VIDEO]
    command += ["--run", str(tmp_path / "run")]
    values = ("epochs=2", "batch_size=4", "warmup_epochs=0")
    for value in values:
        command += ["--set", value]
    assert main(command) == 0
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 3
    metadata = read_preset(tmp_path / "run" / "preset").metadata
    assert {name: metadata[name] for name in TEXTS} == TEXTS
    assert f"{release.url}/v0.1/CycleMLP_Tiny.pth (" in metadata["source"]
    assert "bytes, SHA-256 " in metadata["source"]
    assert metadata["weights"] == "bundled"
    card = (tmp_path / "run" / "preset" / "README.md").read_text()
    assert "```text\nCopyright the test\n```" in card
    assert "```bibtex\n@misc{test}\n```" in card
    capsys.readouterr()
    assert main(["predict", str(videos), "--preset", VIDEO]) == 2
    assert "is a backbone without classes. Train it on yours first" in capsys.readouterr().err
    assert len(release.requests) == 1


# --- the public keys and shapes ------------------------------------------------------------------


@pytest.fixture(scope="module")
def public(checkpoint, tmp_path_factory):
    """`CycleMLP_B1.pth` with made values on a server, and one cache for all tests below."""
    state = make_state_dict.state_dict("cyclemlp_b1", 7)
    with (
        pytest.MonkeyPatch.context() as patch,
        release_server.serve(files={"CycleMLP_B1.pth": checkpoint(state)}) as server,
    ):
        patch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path_factory.mktemp("assets")))
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv(released.MIRROR, server.url)
        huggingface_hub.close_session()
        yield server
        huggingface_hub.close_session()


def test_the_public_network_computes_what_the_authors_code_does(public, root_dir):
    golden = np.load(root_dir / "tests" / "golden" / "cyclemlp_b1.npz")["logits"]
    model = CycleMLP.from_preset("cyclemlp_b1_imagenet", include_rescaling=False)
    logits = run(model, make_state_dict.image(7, 96).transpose(0, 2, 3, 1))
    assert np.abs(logits - golden).max() < 1e-4 * golden.std()


def test_two_epochs_in_python(public, videos, tmp_path):
    train = read_folder(videos, "train")
    model = MLP3D.from_preset(
        "mlp3d_xs_imagenet",
        num_classes=len(train.class_names),
        class_names=train.class_names,
        dropout=0.0,
        drop_path_rate=0.0,
    )
    converter = type(model.converter)(num_frames=8, image_size=(32, 32))
    batches = VideoLoader(train, converter, batch_size=4, training=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.003), loss)
    before, after = model.fit(batches, epochs=2, verbose=0).history["loss"]
    assert after < before
    assert len(public.requests) == 1
