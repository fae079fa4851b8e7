"""What a preset holds after a training, in each format: the weights, and nothing else."""

import functools
import json

import h5py
import keras
import numpy as np
import pytest
from hub import fake_hub
from hub.conftest import hub  # noqa: F401
from models import tiny
from numpy_weights import weights_of
from safetensors import safe_open

from keras_mlp3d import MLP3D, CycleMLP, MLP3DBackbone, TwoPathMLP3D, upload_preset
from keras_mlp3d.hub import WEIGHTS_FORMATS
from keras_mlp3d.models import FrameCycleMLP

CHANNELS, CLIP = (16, 32, 64, 160), (2, 16, 32, 32, 3)
FORMATS = list(WEIGHTS_FORMATS)
CLASSES = [MLP3D, MLP3DBackbone, TwoPathMLP3D, CycleMLP, FrameCycleMLP]


def backbone():
    return MLP3DBackbone(CHANNELS, (1, 1, 1, 1), 2, "short_range:2")


def make(cls):
    frame = functools.partial(CycleMLP, CHANNELS, (1, 1, 1, 1), 3, num_classes=5)
    return {
        MLP3D: lambda: MLP3D(backbone(), 5),
        MLP3DBackbone: backbone,
        TwoPathMLP3D: lambda: TwoPathMLP3D(
            *(MLP3D(backbone(), 5, name=name) for name in "ab"), motion_size=(32, 32)
        ),
        CycleMLP: frame,
        FrameCycleMLP: lambda: FrameCycleMLP(frame()),
    }[cls]()


@pytest.fixture(scope="module", params=CLASSES)
def trained(request):
    """A network of each class after a step of AdamW, and its outputs."""
    model = make(request.param)
    assert model.count_params() > 300_000
    x = tiny.pixels(CLIP[1:] if request.param is CycleMLP else CLIP)
    y = np.zeros(model(x).shape)
    model.compile(keras.optimizers.AdamW(1e-3), "mse", metrics=["mae"])
    model.fit(x, y, batch_size=len(x), verbose=0)
    assert sum(np.prod(v.shape) for v in model.optimizer.variables) > 600_000
    return model, x, tiny.run(model, x)


@pytest.mark.parametrize("format", FORMATS)
def test_after_a_training(trained, format, tmp_path):
    model, x, outputs = trained
    model.save_to_preset(tmp_path / "preset", format=format)
    size = sum(path.stat().st_size for path in (tmp_path / "preset").iterdir())
    assert size < 4 * model.count_params() * 1.1 + 400_000
    loaded = type(model).from_preset(tmp_path / "preset")
    np.testing.assert_allclose(tiny.run(loaded, x), outputs, rtol=0, atol=1e-6)
    for name, value in weights_of(model).items():
        np.testing.assert_array_equal(weights_of(loaded)[name], value, err_msg=name)
    model.optimizer.variables[0].assign(model.optimizer.variables[0])  # it is still there


# --- the two formats ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def networks():
    frame = tiny.tiny_cycle_mlp()
    paths = [tiny.tiny_model(seed=seed, task={"name": name}) for seed, name in ((1, "x"), (2, "y"))]
    return {
        MLP3D: tiny.tiny_model(candidates=["short_range:2", "long_range:4"]),
        MLP3DBackbone: tiny.tiny_backbone(),
        TwoPathMLP3D: TwoPathMLP3D(*paths, motion_size=(36, 50)),
        CycleMLP: frame,
        FrameCycleMLP: FrameCycleMLP(frame),
    }


@pytest.fixture(scope="module")
def folders(networks, tmp_path_factory):
    """{class: {format: folder}}."""
    root = tmp_path_factory.mktemp("presets")
    for cls, network in networks.items():
        for format in FORMATS:
            network.save_to_preset(root / cls.__name__ / format, format=format)
    return {cls: {format: root / cls.__name__ / format for format in FORMATS} for cls in networks}


def arrays_of(folder):
    """(names, sorted shapes, sum of all values) of the weights files of a preset."""
    names, shapes, total = [], [], 0.0

    def add(name, value):
        nonlocal total
        names.append(name)
        shapes.append(value.shape)
        total += np.sum(value, dtype="float64")

    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="numpy") as file:
                names_of_file = list(file.keys())
                for name in names_of_file:
                    add(name, file.get_tensor(name))
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                file.visititems(
                    lambda name, item: add(name, item[()]) if hasattr(item, "dtype") else None
                )
    return names, sorted(shapes), total


@pytest.mark.parametrize("cls", CLASSES)
def test_both_formats_hold_the_same(folders, networks, cls):
    h5, safe = (arrays_of(folders[cls][format]) for format in ("h5", "safetensors"))
    assert h5[1] == safe[1]
    assert safe[2] == pytest.approx(h5[2], rel=1e-9)
    assert sum(int(np.prod(shape)) for shape in safe[1]) == networks[cls].count_params()
    sums = [json.loads((folder / "metadata.json").read_text()) for folder in folders[cls].values()]
    assert sums[0]["weights_sha256"] == sums[1]["weights_sha256"]


@pytest.mark.parametrize("cls", CLASSES)
def test_names_are_those_of_the_network(folders, networks, cls):
    """No name depends on how many networks a session has made, or on what a path is called."""
    names = set(arrays_of(folders[cls]["safetensors"])[0])
    block = "stage1_block1/token_mixing/mix_time/kernel"
    prefixes = {TwoPathMLP3D: ("appearance/backbone/", "motion/backbone/")}.get(cls, ("",))
    if cls not in (CycleMLP, FrameCycleMLP):
        assert {f"{prefix}{block}" for prefix in prefixes} <= names
    assert len(names) == len(networks[cls].weights)
    paths = {weight.path for weight in networks[cls].weights}
    assert {name.split("backbone/")[-1].removeprefix("appearance/") for name in names} - paths <= {
        *("motion/head/kernel", "motion/head/bias")
    }


OPTIONS = {
    "as stored": {},
    "classes": {"num_classes": 3},
    "dtype": {"dtype": "mixed_bfloat16"},
    "schedule": {"schedule": "shift_token:1+long_range:2"},
    "unshared": {"share_weights": False, "num_classes": 3},
    "candidates": {"schedule": "short_range:2", "candidates": ["short_range:2", "shift_token:3"]},
}


def takes(cls, options):
    if cls is MLP3DBackbone:
        return "num_classes" not in options
    return cls in (MLP3D, TwoPathMLP3D) or not {"schedule", "share_weights"} & set(options)


WAYS = {
    f"{cls.__name__}, {name}": (cls, options)
    for cls in CLASSES
    for name, options in OPTIONS.items()
    if takes(cls, options)
}


@pytest.mark.parametrize(("cls", "options"), WAYS.values(), ids=WAYS)
def test_every_way_of_loading(folders, cls, options):
    if cls is MLP3D and "share_weights" in options:
        options = {**options, "candidates": None}
    h5, safe = (weights_of(cls.from_preset(folders[cls][f], **options)) for f in FORMATS)
    assert h5.keys() == safe.keys()
    new = ("head/kernel", "head/bias") if "num_classes" in options else ()
    for name, value in h5.items():
        if not name.endswith(new or ("no name",)):
            np.testing.assert_array_equal(safe[name], value, err_msg=name)


@pytest.mark.parametrize("how", ["int8", "int4", "float8", "adapters", "bfloat16"])
def test_every_kind_of_weights(how, tmp_path):
    """Scales, packed numbers, merged adapters: what Keras's own form holds, the other one holds."""
    model = tiny.tiny_model(**({"dtype": how} if how == "bfloat16" else {}))
    if how == "adapters":
        model.enable_lora(2)
        for variable in model.trainable_variables:
            variable.assign(0.1 * np.random.default_rng(0).standard_normal(variable.shape))
    elif how != "bfloat16":
        model.quantize(how)
    wanted = tiny.run(model, tiny.pixels())
    for format in FORMATS:
        model.save_to_preset(tmp_path / format, format=format)
        outputs = tiny.run(MLP3D.from_preset(tmp_path / format), tiny.pixels())
        np.testing.assert_allclose(
            np.asarray(outputs, "float32"), np.asarray(wanted, "float32"), rtol=0, atol=1e-5
        )
    sums = [json.loads((tmp_path / f / "metadata.json").read_text()) for f in FORMATS]
    assert sums[0]["weights_sha256"] == sums[1]["weights_sha256"]


def test_the_other_format_leaves_no_file(networks, tmp_path):
    for format in ("h5", "safetensors", "h5"):
        networks[MLP3D].save_to_preset(tmp_path / "p", format=format)
        names = {
            path.name
            for path in (tmp_path / "p").iterdir()
            if path.suffix in (".h5", ".safetensors")
        }
        assert names == set(WEIGHTS_FORMATS[format].values())


def test_an_unknown_format(networks, tmp_path):
    with pytest.raises(ValueError, match="format must be one of 'h5', 'safetensors', got 'onnx'"):
        networks[MLP3D].save_to_preset(tmp_path / "p", format="onnx")
    assert not list(tmp_path.iterdir())


def test_another_number_of_parameters_is_refused_before_anything_is_built(folders, tmp_path):
    for path in folders[MLP3DBackbone]["safetensors"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["config"]["channels"] = [10**5] * 4
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"weights file model\.safetensors holds [\d,]+\. They"):
        MLP3DBackbone.from_preset(tmp_path)


def test_a_damaged_file_is_named(folders, tmp_path):
    for path in folders[MLP3D]["safetensors"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors' is damaged: its SHA-256"):
        MLP3D.from_preset(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks its weights, model\.safetensors"):
        MLP3D.from_preset(tmp_path)


@pytest.mark.parametrize("listed", [True, False])
def test_from_the_hub(hub, folders, networks, listed):  # noqa: F811
    files = {p.name: p.read_bytes() for p in folders[MLP3D]["safetensors"].iterdir()}
    if not listed:
        metadata = json.loads(files["metadata.json"])
        files["metadata.json"] = json.dumps(metadata | {"sha256": {}}).encode()
    hub.add("someone/net", files | {"model.bin": b"never asked for"})
    loaded = MLP3D.from_preset("hf://someone/net")
    for name, value in weights_of(networks[MLP3D]).items():
        np.testing.assert_array_equal(weights_of(loaded)[name], value)
    assert not hub.asked("GET", "model.bin")


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_to_the_hub(hub, folders, monkeypatch):  # noqa: F811
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    for format in ("h5", "safetensors"):
        upload_preset("hf://someone/net", folders[MLP3D][format])
        repository = hub.repositories["someone/net"]
        files = repository.commits[repository.refs["main"]]
        names = {name for name in files if name.endswith((".h5", ".safetensors"))}
        assert names == set(WEIGHTS_FORMATS[format].values())
        assert b"library_name: keras\n" in files["README.md"]
        assert b'MLP3D.from_preset("hf://someone/net")' in files["README.md"]


def test_files_of_earlier_versions_with_an_optimizer(networks, tmp_path):
    """They hold two slots per weight, which count for nothing and are not loaded."""
    network = networks[CycleMLP]
    network.save_to_preset(tmp_path / "p")
    other = tiny.tiny_cycle_mlp()
    other.compile(keras.optimizers.AdamW(1e-3), "mse")
    other.optimizer.build(other.trainable_variables)
    other.save_weights(tmp_path / "p" / "model.weights.h5")
    with h5py.File(tmp_path / "p" / "model.weights.h5") as file:
        assert len(file["optimizer/vars"]) > 2 * len(other.trainable_variables)
    metadata = json.loads((tmp_path / "p" / "metadata.json").read_text())
    (tmp_path / "p" / "metadata.json").write_text(json.dumps(metadata | {"sha256": {}}))
    loaded = CycleMLP.from_preset(tmp_path / "p")
    for name, value in weights_of(other).items():
        np.testing.assert_array_equal(weights_of(loaded)[name], value)


def test_inner_networks_and_metrics_that_are_compiled(tmp_path):
    """What any network inside holds of a training is left out too."""
    two = make(TwoPathMLP3D)
    two.mean = keras.metrics.Mean()
    two.mean.update_state(3.0)
    for network in (two, two.appearance, two.motion.backbone):
        network.compile(keras.optimizers.AdamW(1e-3), "mse")
        network.optimizer.build(network.trainable_variables)
    for format in FORMATS:
        two.save_to_preset(tmp_path / format, format=format)
        TwoPathMLP3D.from_preset(tmp_path / format)
    h5, safe = (arrays_of(tmp_path / format) for format in FORMATS)
    assert h5[1] == safe[1]
    assert two.mean.result() == 3
