"""What a preset says of itself: kept while it is true, and its snippet runs as printed."""

import json
import re

import keras
import numpy as np
import pytest
import yaml
from data.make_videos import moving_frames, write_video
from models import tiny

from keras_mlp3d import MLP3D, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.data import VideoConverter
from keras_mlp3d.models import FrameCycleMLP, extract

STATED = {
    "license": "mit",
    "source": "trained by us",
    "datasets": ["someone/clips"],
    "metrics": [{"name": "top-1 accuracy", "value": 0.75, "dataset": "clips", "split": "test"}],
    "training": {"data": "clips"},
    "macs": 12_000_000,
    "search": {"cost": 1},
}
ALWAYS = {"license", "source", "datasets"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first") / "net"
    tiny.tiny_model().save_to_preset(folder, description="The first.", **STATED)
    return folder


def metadata_of(folder):
    return json.loads((folder / "metadata.json").read_text())


def header_of(folder):
    return yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])


def assert_only_the_license_is_kept(folder):
    metadata = metadata_of(folder)
    assert {key for key in STATED if key in metadata} == ALWAYS
    assert all(metadata[key] == STATED[key] for key in ALWAYS)
    assert metadata["description"] != "The first."
    header = header_of(folder)
    assert header["license"] == "mit"
    assert "model-index" not in header
    assert "The accuracy of this preset is unmeasured." in (folder / "README.md").read_text()


def test_what_was_measured_of_other_clips_is_not_said(tmp_path):
    first, second = VideoConverter(16, (36, 50)), VideoConverter(32, (36, 50))
    tiny.tiny_model(task={"converter": first}).save_to_preset(tmp_path / "first", **STATED)
    model = MLP3D.from_preset(tmp_path / "first")
    model.save_to_preset(tmp_path / "same")
    assert metadata_of(tmp_path / "same")["metrics"] == STATED["metrics"]
    model.converter = second
    model.save_to_preset(tmp_path / "second")
    metadata = metadata_of(tmp_path / "second")
    assert metadata["clip"]["frames"] == 32
    assert not {"macs", "metrics"} & metadata.keys()
    assert {key: metadata[key] for key in ALWAYS} == {key: STATED[key] for key in ALWAYS}


@pytest.mark.parametrize(
    ("wrong", "name"),
    [({"image_size": 64}, "image_size"), ({"clip": (8, 64, 64)}, "clip"), ({"macs": -1}, "macs")],
)
def test_metadata_of_a_wrong_form(wrong, name, tmp_path):
    with pytest.raises(ValueError, match=f"'{name}' cannot be"):
        tiny.tiny_model().save_to_preset(tmp_path / "preset", **wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "value", [np.mean([0.2, 0.3]), np.float32(0.25), np.array(0.25), np.int64(1)]
)
def test_a_metric_that_is_a_number_of_numpy_is_in_the_card(value, tmp_path):
    metric = STATED["metrics"][0] | {"value": value}
    tiny.tiny_model().save_to_preset(tmp_path / "net", metrics=[metric])
    [result] = header_of(tmp_path / "net")["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == metadata_of(tmp_path / "net")["metrics"][0]["value"]
    card = (tmp_path / "net" / "README.md").read_text()
    assert f"| top-1 accuracy | {float(value):g} | clips | test |" in card
    assert "unmeasured" not in card


@pytest.mark.parametrize("metrics", [{"top-1": 0.5}, [{"top-1": 0.5}], 0.5])
def test_metrics_that_the_card_could_not_tell_are_refused(metrics, tmp_path):
    with pytest.raises(ValueError, match=r"'metrics' must be a list of dicts.*such as \[\{"):
        tiny.tiny_model().save_to_preset(tmp_path / "net", metrics=metrics)
    assert not list(tmp_path.iterdir())


def test_a_number_that_is_not_finite_is_named(tmp_path):
    metric = STATED["metrics"][0] | {"value": float("nan")}
    with pytest.raises(ValueError, match=r"metrics\[0\]\['value'\] must be a finite .* got nan"):
        tiny.tiny_model().save_to_preset(tmp_path / "net", metrics=[metric])
    assert not list(tmp_path.iterdir())


def test_what_others_state_in_another_form_is_no_obstacle(saved, tmp_path):
    """Metadata that this package would not write are loaded, and kept as JSON can hold them."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for path in saved.iterdir():
        (foreign / path.name).write_bytes(path.read_bytes())
    odd = {"metrics": {"top-1": float("nan")}, "scores": [float("-inf"), 0.5], "datasets": "clips"}
    content = json.dumps(metadata_of(saved) | odd).replace("0.5]", "0.5, 1e999]")
    (foreign / "metadata.json").write_text(content)
    MLP3D.from_preset(foreign).save_to_preset(tmp_path / "again")
    again = metadata_of(tmp_path / "again")
    kept = {"metrics": {"top-1": None}, "scores": [None, 0.5, None], "datasets": "clips"}
    assert {key: again[key] for key in kept} == kept
    assert again["license"] == "mit"
    assert "unmeasured" in (tmp_path / "again" / "README.md").read_text()


def test_under_a_built_in_name_the_card_loads_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.tiny_model().save_to_preset("mlp3d_nano_motion_shapes")
    card = (tmp_path / "mlp3d_nano_motion_shapes" / "README.md").read_text()
    [handle] = re.findall(r'from_preset\("([^"]*)"', card)
    assert handle == "./mlp3d_nano_motion_shapes"
    assert MLP3D.from_preset(handle).num_classes == 5
    with pytest.raises(ValueError, match=r"ambiguous.*Write '\./mlp3d_nano_motion_shapes'"):
        MLP3D.from_preset("mlp3d_nano_motion_shapes")


@pytest.mark.parametrize("wrong", [{"num_frames": 8}, "converter", VideoConverter])
def test_a_converter_of_another_type(wrong):
    with pytest.raises(ValueError, match=r"converter must be None or a data\.VideoConverter"):
        tiny.tiny_model(task={"converter": wrong})
    with pytest.raises(ValueError, match=r"converter must be None or a data\.VideoConverter"):
        FrameCycleMLP(tiny.tiny_cycle_mlp(), converter=wrong)


@pytest.mark.parametrize("format", ["h5", "safetensors"])
def test_saved_again_a_preset_says_the_same(saved, tmp_path, format):
    MLP3D.from_preset(saved).save_to_preset(tmp_path / "second", format=format)
    MLP3D.from_preset(tmp_path / "second").save_to_preset(tmp_path / "third")
    for folder in (tmp_path / "second", tmp_path / "third"):
        metadata = metadata_of(folder)
        assert {key: metadata[key] for key in STATED} == STATED
        assert metadata["description"] == "The first."
        assert metadata["weights_sha256"] == metadata_of(saved)["weights_sha256"]
        assert header_of(folder) == header_of(saved)
        assert header_of(folder)["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.75
        for word in ("mit", "trained by us", "The first.", "0.75"):
            assert word in (folder / "README.md").read_text()


def test_what_is_given_replaces_what_is_kept(saved, tmp_path):
    network = MLP3D.from_preset(saved)
    network.save_to_preset(tmp_path / "net", description="New.", license="apache-2.0", metrics=[])
    metadata = metadata_of(tmp_path / "net")
    assert (metadata["description"], metadata["license"]) == ("New.", "apache-2.0")
    assert metadata["metrics"] == []
    assert metadata["source"] == STATED["source"]


def test_trained_further_its_metrics_are_gone(saved, tmp_path):
    network = MLP3D.from_preset(saved)
    network.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
    network.fit(tiny.pixels(), np.zeros(len(tiny.pixels())), verbose=0)
    network.save_to_preset(tmp_path / "net")
    assert_only_the_license_is_kept(tmp_path / "net")


def test_one_changed_weight_is_enough(saved, tmp_path):
    network = MLP3D.from_preset(saved)
    bias = network.get_layer("head").bias
    bias.assign(keras.ops.convert_to_numpy(bias) + np.float32(1e-6))
    network.save_to_preset(tmp_path / "net")
    assert_only_the_license_is_kept(tmp_path / "net")


@pytest.mark.parametrize(
    "options",
    [
        {"num_classes": 3},
        {"schedule": "short_range:2"},
        {"dtype": "bfloat16"},
        {"class_names": list("abcde")},
    ],
)
def test_loaded_as_another_network(saved, tmp_path, options):
    MLP3D.from_preset(saved, **options).save_to_preset(tmp_path / "net")
    assert_only_the_license_is_kept(tmp_path / "net")


def test_the_backbone_alone_was_not_measured(saved, tmp_path):
    MLP3DBackbone.from_preset(saved).save_to_preset(tmp_path / "net")
    assert_only_the_license_is_kept(tmp_path / "net")


def test_a_network_of_a_supernet_keeps_the_license(tmp_path):
    supernet = tiny.tiny_model(candidates=["short_range:2", "long_range:4"])
    supernet.save_to_preset(tmp_path / "supernet", **STATED)
    supernet = MLP3D.from_preset(tmp_path / "supernet")
    extract(supernet).save_to_preset(tmp_path / "net")
    assert_only_the_license_is_kept(tmp_path / "net")


def test_random_weights_keep_nothing(saved, tmp_path):
    MLP3D.from_preset(saved, load_weights=False).save_to_preset(tmp_path / "net")
    assert not set(STATED) & set(metadata_of(tmp_path / "net"))


def test_presets_of_earlier_versions_state_no_sum(saved, tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    for path in saved.iterdir():
        (old / path.name).write_bytes(path.read_bytes())
    metadata = metadata_of(saved)
    del metadata["weights_sha256"]
    (old / "metadata.json").write_text(json.dumps(metadata))
    network = MLP3D.from_preset(old)
    network.save_to_preset(tmp_path / "same")
    assert metadata_of(tmp_path / "same")["metrics"] == STATED["metrics"]
    network.get_layer("head").bias.assign(np.ones(5))
    network.save_to_preset(tmp_path / "other")
    assert_only_the_license_is_kept(tmp_path / "other")


@pytest.mark.parametrize("value", ["short", 7, None, "0" * 63 + "g"])
def test_a_sum_of_another_form(saved, tmp_path, value):
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = json.dumps({**metadata_of(saved), "weights_sha256": value})
    (tmp_path / "metadata.json").write_text(content)
    with pytest.raises(ValueError, match="is damaged: 'weights_sha256' cannot be"):
        MLP3D.from_preset(tmp_path)


# --- the snippet ----------------------------------------------------------------------------------


def snippets():
    converter = VideoConverter(num_frames=16, image_size=(36, 50))
    frame = tiny.tiny_cycle_mlp()
    paths = [tiny.tiny_model(seed=seed, task={"name": name}) for seed, name in ((1, "a"), (2, "b"))]
    return {
        "MLP3D": lambda: tiny.tiny_model(),
        "MLP3D with a converter": lambda: tiny.tiny_model(task={"converter": converter}),
        "MLP3DBackbone": lambda: tiny.tiny_backbone(),
        "MLP3DBackbone of one length": lambda: MLP3DBackbone(
            tiny.CHANNELS, tiny.DEPTHS, 2, "full", input_shape=(20, 48, 32, 3)
        ),
        "TwoPathMLP3D": lambda: TwoPathMLP3D(*paths, motion_size=(36, 50)),
        "CycleMLP": lambda: frame,
        "FrameCycleMLP": lambda: FrameCycleMLP(frame, converter=converter),
    }


@pytest.mark.parametrize("name", snippets())
def test_the_snippet_runs_as_printed(name, tmp_path, monkeypatch):
    """In the folder that holds the preset and, if the snippet names it, a video."""
    network = snippets()[name]()
    network.save_to_preset(tmp_path / 'my "net"')
    card = (tmp_path / 'my "net"' / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    if "video.mp4" in code:
        write_video(tmp_path / "video.mp4", moving_frames(20))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, "the snippet", "exec"), names)
    assert type(names["model"]) is type(network)
    if getattr(network, "converter", None) is not None:
        [prediction] = names["predictions"]
        assert len(prediction.labels) == 5
    else:
        outputs = names["tokens" if isinstance(network, MLP3DBackbone) else "logits"]
        assert tuple(outputs.shape)[:1] == (1,)
    assert "`import keras_mlp3d` before Keras loads the file" in card
