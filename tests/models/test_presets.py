"""Every preset that the package ships: it builds, and its numbers are exact."""

import dataclasses
import json
import re

import keras
import numpy as np
import pytest

from keras_mlp3d import MLP3D, CycleMLP, MLP3DBackbone, TwoPathMLP3D, list_presets
from keras_mlp3d.cost import count
from keras_mlp3d.hub import model_card, read_builtin, read_preset
from keras_mlp3d.layers import GlorotUniform
from keras_mlp3d.models.other_weights import other_weights

CLASSES = {"MLP3D": MLP3D, "CycleMLP": CycleMLP, "TwoPathMLP3D": TwoPathMLP3D}
TABLE_1 = {
    "mlp3d_xs": ((64, 128, 320, 512), (2, 2, 4, 2), (4, 4, 4, 4)),
    "mlp3d_s": ((64, 128, 320, 512), (2, 3, 10, 3), (4, 4, 4, 4)),
    "mlp3d_m": ((64, 128, 320, 512), (3, 4, 18, 3), (8, 8, 4, 4)),
    "mlp3d_l": ((96, 192, 384, 768), (3, 4, 24, 3), (4, 4, 4, 4)),
}
#: Parameters of the public checkpoints, and giga multiply-accumulates at 224 x 224. Of B4 the
#: authors state 52 M and 10.1 G.
PUBLISHED = {
    "cyclemlp_b1": (15_155_400, 2.12),
    "cyclemlp_b2": (26_802_504, 3.88),
    "cyclemlp_b3": (38_385_720, 6.83),
    "cyclemlp_b4": (51_796_552, 10.03),
    "cyclemlp_b5": (75_747_280, 12.23),
}
#: Top-1 on ImageNet-1K that the authors state of B1 to B5.
IMAGENET = {1: 0.789, 2: 0.816, 3: 0.824, 4: 0.830, 5: 0.832}
#: Presets whose weights are made at the first load -> the architecture.
STARTED = {name: name.removesuffix("_imagenet") for name in list_presets() if "imagenet" in name}


@pytest.fixture(autouse=True)
def _quick_weights(monkeypatch):
    """Initializers return zeros, which take no time to sample."""

    def zeros(self, shape, dtype=None):
        return keras.ops.convert_to_tensor(np.zeros(shape, dtype or "float32"))

    monkeypatch.setattr(GlorotUniform, "__call__", zeros)


def metadata(name):
    rows = {**MLP3D.presets, **CycleMLP.presets, **TwoPathMLP3D.presets}
    return rows[name]


def test_every_preset_is_listed_under_its_class():
    listed = [set(cls.presets) for cls in CLASSES.values()]
    assert sorted(set().union(*listed)) == list_presets()
    assert sum(map(len, listed)) == len(list_presets())
    assert set(TABLE_1) | {"mlp3d_nano"} <= set(MLP3D.presets)
    assert set(PUBLISHED) <= set(CycleMLP.presets)
    assert set(MLP3DBackbone.presets) == set(MLP3D.presets)


@pytest.mark.parametrize("name", sorted({*list_presets()} - {*STARTED}))
def test_stated_numbers_are_exact(name):
    stated = metadata(name)
    model = CLASSES[stated["class_name"]].from_preset(name, load_weights=False)
    clip = stated["clip"]
    shape = (clip["frames"], *clip["size"], 3) if clip else (*stated["image_size"], 3)
    cost = count(model, shape)
    assert cost.params == stated["parameter_count"] == model.count_params()
    assert cost.macs == stated["macs"]
    if name in PUBLISHED:
        assert shape == (224, 224, 3)
        assert (cost.params, round(cost.macs / 1e9, 2)) == PUBLISHED[name]
    if name in TABLE_1:
        backbone = model.backbone
        assert (backbone.channels, backbone.depths, backbone.mlp_ratios) == TABLE_1[name]
    if clip:
        assert clip["frames"] in model.backbone.valid_num_frames(clip["frames"])
        assert model.converter.num_frames == clip["frames"]
        assert list(model.converter.image_size) == clip["size"]
        assert model.converter.sampling == clip["sampling"]


@pytest.mark.parametrize("name", list_presets())
def test_metadata_says_what_a_reader_needs(name):
    stated = metadata(name)
    assert stated["description"].endswith(".")
    assert stated["weights"] in ("none", "bundled") or name in STARTED
    assert json.loads(json.dumps(stated)) == stated


def test_presets_that_start_from_imagenet_are_those_of_the_release():
    sizes = {"xs": "b1", "s": "b2", "m": "b3", "l": "b5"}
    video = {f"mlp3d_{size}_imagenet": f"cyclemlp_{b}_imagenet" for size, b in sizes.items()}
    frames = {f"cyclemlp_b{number}_imagenet": number for number in range(1, 6)}
    assert set(STARTED) == {*video, *frames}
    release = "https://github.com/ShoufaChen/CycleMLP/releases/download/v0.1"
    for name, number in frames.items():
        assert read_preset(name).weights == f"{release}/CycleMLP_B{number}.pth"
        [reported] = metadata(name)["reported"]
        assert (reported["value"], "authors" in reported["by"]) == (IMAGENET[number], True)
    for name, frame in video.items():
        assert read_preset(name).weights == f"inflate:{frame}"
        assert "reported" not in metadata(name)
        for part in ("channels", "depths", "mlp_ratios"):
            assert read_preset(name).config[part] == read_preset(frame).config[part]


@pytest.mark.parametrize("name", STARTED)
def test_presets_that_start_from_imagenet_are_the_architectures(name):
    """The architecture is built by the test above; a head of 174 classes is what they lack."""
    preset, architecture = read_preset(name), read_preset(STARTED[name])
    assert preset.config == architecture.config
    assert preset.converter == architecture.converter
    assert preset.clip == architecture.clip
    head = preset.config["channels"][-1] * 174 if preset.class_name == "MLP3DBackbone" else 0
    assert preset.parameter_count == architecture.parameter_count - head - (174 if head else 0)
    assert preset.macs == architecture.macs - head
    assert preset.metadata["license"] == "mit"
    assert preset.metadata["notice"].startswith("MIT License\n\nCopyright (c) 2021 Shoufa Chen")
    assert "chen2021cyclemlp" in preset.metadata["citation"]
    assert preset.class_names is None
    card = model_card(preset.metadata, {"config": preset.config})
    assert "unmeasured" in card
    assert "model-index" not in card
    assert ("Reported by the authors of CycleMLP" in card) == name.startswith("cyclemlp")


def test_architecture_without_weights_says_so():
    with pytest.raises(ValueError, match="'mlp3d_xs' is an architecture without weights") as error:
        MLP3D.from_preset("mlp3d_xs")
    assert "load_weights=False" in str(error.value)
    assert "or load 'mlp3d_xs_imagenet', which starts from ImageNet." in str(error.value)
    with pytest.raises(
        ValueError, match=r"keras-mlp3d convert CHECKPOINT .*--inflate mlp3d_nano\.$"
    ):
        MLP3D.from_preset("mlp3d_nano")
    with pytest.raises(
        ValueError, match=r"keras-mlp3d convert CHECKPOINT .*--from cyclemlp_nano\.$"
    ):
        CycleMLP.from_preset("cyclemlp_nano")
    with pytest.raises(
        ValueError, match=r"or train it: keras-mlp3d train .* --preset mlp3d_tiny\.$"
    ):
        MLP3D.from_preset("mlp3d_tiny")


@pytest.mark.parametrize(
    ("class_name", "name", "converter", "advice"),
    [
        ("CycleMLP", "cyclemlp_nano", None, " CHECKPOINT --to DIRECTORY --from 'my nets/a'"),
        ("MLP3D", "mlp3d_nano", None, " CHECKPOINT --to DIRECTORY --inflate 'my nets/a'"),
        ("MLP3D", "mlp3d_tiny", {}, ", or train it: keras-mlp3d train "),
        ("MLP3DBackbone", "mlp3d_nano", {}, ", or train it: keras-mlp3d train "),
        ("FrameCycleMLP", "cyclemlp_nano", {}, ", or train it: keras-mlp3d train "),
        ("TwoPathMLP3D", "mlp3d_nano", {}, ", or train it: keras-mlp3d train "),
        ("TwoPathMLP3D", "mlp3d_nano", None, ""),  # no command knows how to make its clips
    ],
)
def test_advice_for_architectures_of_others(class_name, name, converter, advice):
    """`convert` takes presets of CycleMLP and MLP3D alone, and `train` any that makes clips."""
    files = dataclasses.replace(
        read_builtin(name), handle="my nets/a", class_name=class_name, converter=converter
    )
    if class_name == "TwoPathMLP3D":
        paths = ("appearance", "motion")
        config = {path: {"backbone": files.config, "task": files.task} for path in paths}
        files = dataclasses.replace(files, config=config)
    end = other_weights(files)
    assert advice in end
    assert bool(end) is bool(advice)


def test_each_card_loads_the_preset_by_its_own_name(pytestconfig):
    """Not by that of the folder in which it was first written."""
    cards = sorted(pytestconfig.rootpath.glob("presets/*/README.md"))
    assert len(cards) >= 4
    for card in cards:
        names = re.findall(r'from_preset\("([^"]*)"', card.read_text(encoding="utf-8"))
        assert set(names) == {card.parent.name}
