"""Networks from presets: built-in names and folders, with and without weights, with overrides."""

import json
import logging

import numpy as np
import pytest
from models import tiny
from numpy_weights import fill, weights_of

from keras_mlp3d import MLP3D, CycleMLP, FrameCycleMLP, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.data import VideoConverter
from keras_mlp3d.models.transfer import intervals, set_intervals, walk_layers

NAMES = ["up", "down", "left", "right", "still"]
CLIP = tiny.pixels()
CONVERTER = VideoConverter(16, (36, 50), crop="none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A preset of the tiny network with weights, class names and converter."""
    folder = tmp_path_factory.mktemp("preset") / "tiny"
    task = {"class_names": NAMES, "converter": CONVERTER, "dropout": 0.25}
    tiny.tiny_model(task=task).save_to_preset(folder, "A tiny one.", license="Apache-2.0")
    return folder


@pytest.fixture(scope="module")
def logits(model):
    return tiny.run(model, CLIP)


def assert_same(model, expected, atol=1e-6):
    np.testing.assert_allclose(tiny.run(model, CLIP), expected, rtol=0, atol=atol)


def test_what_was_saved_comes_back(folder, logits):
    model = MLP3D.from_preset(folder)
    assert_same(model, logits)
    assert model.class_names == NAMES
    assert model.converter == CONVERTER
    assert model.dropout == 0.25
    assert [str(mixing) for mixing in model.backbone.schedule] == list(tiny.SCHEDULE)


def test_files_and_metadata(folder, model):
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "metadata.json",
        "model.weights.h5",
        "task.json",
        "task.weights.h5",
        "video_converter.json",
    ]
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["class_name"] == "MLP3D"
    assert metadata["description"] == "A tiny one."
    assert metadata["license"] == "Apache-2.0"
    assert metadata["weights"] == "bundled"
    assert metadata["parameter_count"] == model.count_params()
    assert metadata["clip"] == {"frames": 16, "size": [36, 50], "sampling": "uniform"}
    assert set(metadata["sha256"]) == {"model.weights.h5", "task.weights.h5"}
    config = json.loads((folder / "config.json").read_text())
    assert config["registered_name"] == "keras_mlp3d>MLP3DBackbone"
    assert "name" not in config["config"]


def test_without_weights_the_network_is_new(folder, logits):
    model = MLP3D.from_preset(folder, load_weights=False)
    assert np.abs(tiny.run(model, CLIP) - logits).max() > 1e-3


def test_backbone_alone(folder, backbone):
    loaded = MLP3DBackbone.from_preset(folder)
    assert_same(loaded, tiny.run(backbone, CLIP), atol=1e-5)
    with pytest.raises(ValueError, match="MLP3DBackbone has no classes"):
        MLP3DBackbone.from_preset(folder, num_classes=3)


def test_backbone_preset_asks_for_classes(backbone, tmp_path):
    backbone.save_to_preset(tmp_path / "spine")
    with pytest.raises(ValueError, match="is a backbone without classes: pass num_classes"):
        MLP3D.from_preset(tmp_path / "spine")
    model = MLP3D.from_preset(tmp_path / "spine", num_classes=3)
    assert_same(model.backbone, tiny.run(backbone, CLIP), atol=1e-5)
    assert model.output_shape == (None, 3)


def test_num_classes_makes_a_new_head_and_keeps_the_rest(folder, model, caplog):
    with caplog.at_level(logging.WARNING, "keras_mlp3d"):
        new = MLP3D.from_preset(folder, num_classes=3)
    assert new.output_shape == (None, 3)
    assert new.class_names is None
    assert new.converter == CONVERTER
    assert "newly initialized: head/kernel, head/bias" in caplog.text
    given, got = weights_of(model.backbone), weights_of(new.backbone)
    for name, value in given.items():
        np.testing.assert_array_equal(got[name], value)


def test_num_classes_makes_a_new_head_even_where_the_number_is_the_same(folder, model):
    new = MLP3D.from_preset(folder, num_classes=5)
    assert (weights_of(new)["head/kernel"] != weights_of(model)["head/kernel"]).any()
    assert new.class_names is None


@pytest.mark.parametrize(
    "overrides",
    [
        {"drop_path_rate": 0.3},
        {"input_shape": (16, 36, 50, 3)},
        {"max_group_size": 5},
        {"dropout": 0.0, "class_names": list("abcde"), "converter": VideoConverter(32, (64, 64))},
        {"share_weights": True, "name": "other"},
    ],
)
def test_overrides_that_leave_the_function_as_it_is(folder, logits, overrides):
    model = MLP3D.from_preset(folder, **overrides)
    assert_same(model, logits, atol=1e-5)
    config = {**model.backbone.get_config(), **model.task_config()}
    for key, value in overrides.items():
        if key not in ("converter", "name"):
            assert config[key] == (list(value) if isinstance(value, tuple) else value)
    assert model.converter == overrides.get("converter", CONVERTER)
    assert overrides.get("name", model.name) == model.name


def test_dtype_override(folder):
    model = MLP3D.from_preset(folder, dtype="mixed_bfloat16")
    assert model.backbone.dtype_policy.name == "mixed_bfloat16"
    assert {layer.compute_dtype for layer in walk_layers(model.backbone.layers[2])} == {"bfloat16"}
    given, got = weights_of(MLP3D.from_preset(folder)), weights_of(model)
    assert all((got[name] == value).all() for name, value in given.items())


def test_activation_override(folder, logits):
    powers = np.exp(logits)
    model = MLP3D.from_preset(folder, activation="softmax")
    assert_same(model, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)


def test_include_rescaling_override(folder, logits):
    model = MLP3D.from_preset(folder, include_rescaling=False)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normalised = ((CLIP / 255 - mean) / std).astype("float32")
    np.testing.assert_allclose(tiny.run(model, normalised), logits, rtol=0, atol=1e-5)


def test_pixel_statistics_override(folder, logits, tmp_path):
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    own_mean, own_std = np.array([0.01, 0.6, 0.3]), np.array([0.3, 0.2, 0.4])
    # Pixels that these statistics take to where ImageNet's take the clip.
    pixels = (((CLIP / 255 - mean) / std * own_std + own_mean) * 255).astype("float32")
    model = MLP3D.from_preset(folder, pixel_mean=own_mean, pixel_std=own_std)
    np.testing.assert_allclose(tiny.run(model, pixels), logits, rtol=0, atol=1e-5)
    model.save_to_preset(tmp_path / "own")
    again = MLP3D.from_preset(tmp_path / "own")
    assert again.backbone.pixel_mean == tuple(own_mean)
    np.testing.assert_allclose(tiny.run(again, pixels), logits, rtol=0, atol=1e-5)
    given = MLP3D.from_preset(tmp_path / "own", pixel_mean=None, pixel_std=None)
    assert_same(given, logits)
    with pytest.raises(ValueError, match="pixel_std must be three numbers above 0"):
        MLP3D.from_preset(folder, pixel_std=0.2)


def test_schedule_override_carries_weights_by_interval(tmp_path, caplog):
    """Where only w_0 is not zero, the network is the same under every schedule."""
    model = tiny.tiny_model()
    for layer in walk_layers(model):
        if layer.name == "mix_time":
            matrices, first = intervals(layer)
            set_intervals(layer, matrices[-first : -first + 1])
    model.save_to_preset(tmp_path / "center")
    expected = tiny.run(model, CLIP)
    with caplog.at_level(logging.WARNING, "keras_mlp3d"):
        other = MLP3D.from_preset(tmp_path / "center", schedule="shift_token:1+long_range:2")
    assert [m.kind for m in other.backbone.schedule][:2] == ["shift_token", "long_range"]
    assert_same(other, expected, atol=1e-5)
    # Only the second block knew no negative intervals.
    assert caplog.text.count("time intervals new to it are zero") == 1
    assert "stage2_block1/token_mixing/mix_time/kernel (time" in caplog.text


def test_another_input_shape_has_a_converter_for_it(folder, tmp_path):
    for shape, clip in {
        (32, 40, 48, 3): (32, (40, 48)),
        (32, 36, 50, 3): (32, (36, 50)),
        (None, None, 64, 3): (16, (36, 64)),
        (None, None, None, 3): (16, (36, 50)),
    }.items():
        converter = MLP3D.from_preset(folder, input_shape=shape).converter
        assert (converter.num_frames, converter.image_size) == clip
        assert converter.crop == CONVERTER.crop
    own = VideoConverter(32, (40, 48))
    assert MLP3D.from_preset(folder, input_shape=(32, 40, 48, 3), converter=own).converter is own
    made = r"converter must make clips of \(32, 40, 48\) .* for clips of \(16, 36, 50\)"
    with pytest.raises(ValueError, match=made):
        MLP3D.from_preset(folder, input_shape=(32, 40, 48, 3), converter=CONVERTER)
    names = "seen", "moving"
    two = TwoPathMLP3D(
        *(tiny.tiny_model(task={"name": name}) for name in names), (32, 36), converter=CONVERTER
    )
    two.save_to_preset(tmp_path / "two")
    new = TwoPathMLP3D.from_preset(tmp_path / "two", input_shape=(32, 40, 48, 3))
    assert (new.converter.num_frames, new.converter.image_size) == (32, (40, 48))
    assert new.motion.input_shape[1:4] == (32, 32, 36)
    with pytest.raises(ValueError, match=made):
        TwoPathMLP3D(new.appearance, new.motion, (32, 36), converter=CONVERTER)
    FrameCycleMLP(tiny.tiny_cycle_mlp(), converter=CONVERTER).save_to_preset(tmp_path / "frames")
    new = FrameCycleMLP.from_preset(tmp_path / "frames", input_shape=(40, 48, 3))
    assert (new.converter.num_frames, new.converter.image_size) == (16, (40, 48))
    with pytest.raises(ValueError, match=r"clips of \(None, 40, 48\) frames"):
        FrameCycleMLP(new.cycle_mlp, converter=CONVERTER)


def test_two_paths(tmp_path):
    paths = [
        tiny.tiny_model(seed=seed, task={"name": name, "class_names": NAMES})
        for seed, name in enumerate(("seen", "moving"))
    ]
    two = TwoPathMLP3D(*paths, motion_size=(36, 50), converter=CONVERTER)
    two.save_to_preset(tmp_path / "two")
    again = TwoPathMLP3D.from_preset(tmp_path / "two")
    assert_same(again, tiny.run(two, CLIP))
    assert (again.motion_size, again.class_names, again.converter) == ((36, 50), NAMES, CONVERTER)
    new = TwoPathMLP3D.from_preset(tmp_path / "two", num_classes=3, motion_size=(32, 32))
    assert new.output_shape == (None, 3)
    for path in ("appearance", "motion"):
        given, got = (weights_of(getattr(m, path).backbone) for m in (two, new))
        assert all((got[name] == value).all() for name, value in given.items())
    with pytest.raises(ValueError, match=r"holds a TwoPathMLP3D; load it with TwoPathMLP3D\."):
        MLP3D.from_preset(tmp_path / "two")


def test_cycle_mlp(tmp_path):
    frame = tiny.tiny_cycle_mlp()
    frame.save_to_preset(tmp_path / "frame")
    image = CLIP[:, 0]
    expected = tiny.run(frame, image)
    again = CycleMLP.from_preset(tmp_path / "frame")
    np.testing.assert_allclose(tiny.run(again, image), expected, rtol=0, atol=1e-6)
    new = CycleMLP.from_preset(tmp_path / "frame", num_classes=3, drop_path_rate=0.1)
    assert new.output_shape == (None, 3)
    assert new.drop_path_rate == 0.1
    with pytest.raises(ValueError, match=r"holds a CycleMLP; load it with CycleMLP\."):
        MLP3D.from_preset(tmp_path / "frame")


def test_saving_again_replaces_the_earlier_preset(tmp_path):
    first, second = tiny.tiny_model(seed=1), tiny.tiny_model(seed=2)
    first.save_to_preset(tmp_path / "preset")
    second.save_to_preset(tmp_path / "preset")
    assert_same(MLP3D.from_preset(tmp_path / "preset"), tiny.run(second, CLIP))
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


def test_a_folder_with_anything_else_is_left_alone(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match=r"it holds thesis\.tex, which would be lost"):
        model.save_to_preset(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_preset_that_cannot_be_written_leaves_the_earlier_one(model, tmp_path):
    model.save_to_preset(tmp_path / "preset")
    before = {path.name: path.read_bytes() for path in (tmp_path / "preset").iterdir()}
    with pytest.raises(TypeError, match="JSON serializable"):
        model.save_to_preset(tmp_path / "preset", metrics=object())
    assert {path.name: path.read_bytes() for path in (tmp_path / "preset").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


# --- errors ---------------------------------------------------------------------------------


def test_unknown_override_is_named_beside_the_known_ones(folder):
    with pytest.raises(ValueError, match="Unknown override 'drop_paths'") as error:
        MLP3D.from_preset(folder, drop_paths=0.1)
    for name in ("schedule", "drop_path_rate", "input_shape", "dtype", "class_names"):
        assert name in str(error.value)


@pytest.mark.parametrize("name", ["channels", "depths", "mlp_ratios"])
def test_structure_cannot_be_overridden_with_weights(folder, name):
    with pytest.raises(ValueError, match=f"{name} cannot be overridden with load_weights=True"):
        MLP3D.from_preset(folder, **{name: (4, 4, 4, 4)})
    new = MLP3D.from_preset(
        folder, load_weights=False, **{name: (2, 2, 1, 1)}, schedule="shift_token:2"
    )
    assert getattr(new.backbone, name) == (2, 2, 1, 1)


def test_unknown_preset_is_named_beside_a_close_one():
    with pytest.raises(ValueError, match="Unknown preset 'mlp3d_nono'") as error:
        MLP3D.from_preset("mlp3d_nono")
    assert "Did you mean 'mlp3d_nano'?" in str(error.value)


@pytest.mark.parametrize("start", ["", "https://huggingface.co/"])
def test_the_page_of_a_repository_is_told_from_its_address(start):
    with pytest.raises(ValueError, match="Did you mean 'hf://someone/gestures-3d'"):
        MLP3D.from_preset(f"{start}someone/gestures-3d")


def test_wrong_class_names_which_class_would_do():
    with pytest.raises(ValueError, match="'cyclemlp_b1' holds a CycleMLP; load it with CycleMLP"):
        MLP3D.from_preset("cyclemlp_b1", load_weights=False)


def test_damaged_weights_are_named(folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    data = bytearray((copy / "model.weights.h5").read_bytes())
    data[len(data) // 2] ^= 255
    (copy / "model.weights.h5").write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.weights\.h5' is damaged: its SHA-256"):
        MLP3D.from_preset(copy)
    (copy / "model.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.weights\.h5"):
        MLP3D.from_preset(copy)


def test_weights_of_another_network_are_refused(folder, tmp_path):
    other = MLP3D(fill(MLP3DBackbone((4, 8, 8, 8), tiny.DEPTHS, 2, "shift_token:2")), 5)
    other.save_to_preset(tmp_path / "other")
    for name in ("model.weights.h5", "metadata.json"):
        (tmp_path / "other" / name).write_bytes((folder / name).read_bytes())
    metadata = json.loads((folder / "metadata.json").read_text())
    (tmp_path / "other" / "metadata.json").write_text(json.dumps({**metadata, "sha256": {}}))
    with pytest.raises(ValueError, match="are not of this network"):
        MLP3D.from_preset(tmp_path / "other")
