import json

import keras
import numpy as np
import pytest
from layer_contract import to_numpy
from models import tiny
from numpy_weights import weights_of
from reference import network as twin

from keras_mlp3d import CycleMLP

IMAGES = tiny.pixels(tiny.IMAGE)
BLOCKS = [("short_range", 1)] * sum(tiny.DEPTHS)


@pytest.fixture(scope="module")
def cycle_mlp():
    return tiny.tiny_cycle_mlp()


@pytest.fixture(scope="module")
def logits(cycle_mlp):
    return tiny.run(cycle_mlp, IMAGES)


def test_matches_twin_on_one_frame(cycle_mlp, logits):
    clip = IMAGES[:, None].astype("float64")
    expected = twin.logits(clip, weights_of(cycle_mlp), tiny.DEPTHS, BLOCKS, frames=1)
    assert expected.shape == (2, 5)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


def test_pyramid_matches_twin(cycle_mlp):
    model = keras.Model(cycle_mlp.input, cycle_mlp.pyramid_outputs)
    clip = IMAGES[:, None].astype("float64")
    _, expected = twin.backbone(clip, weights_of(cycle_mlp), tiny.DEPTHS, BLOCKS, frames=1)
    levels = model(IMAGES)
    assert list(levels) == ["P2", "P3", "P4", "P5"]
    for level, tokens in zip(levels.values(), expected, strict=True):
        np.testing.assert_allclose(to_numpy(level), tokens[:, 0], rtol=0, atol=1e-4)


def test_time_mixing_has_no_bias(cycle_mlp):
    assert not any(name.endswith("mix_time/bias") for name in weights_of(cycle_mlp))


def test_without_rescaling_the_input_is_normalised_pixels(logits):
    model = tiny.tiny_cycle_mlp(include_rescaling=False)
    normalised = ((IMAGES / 255 - twin.MEAN) / twin.STD).astype("float32")
    np.testing.assert_allclose(tiny.run(model, normalised), logits, rtol=0, atol=1e-5)


def test_mixed_precision():
    model = tiny.tiny_cycle_mlp(dtype="mixed_bfloat16")
    assert model.get_layer("stage1_block1").compute_dtype == "bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "num_classes": 3,
            "drop_path_rate": 0.2,
            "dropout": 0.1,
            "activation": "softmax",
            "include_rescaling": False,
            "pixel_mean": (0.1, 0.2, 0.3),
            "pixel_std": (0.4, 0.5, 0.6),
            "input_shape": (36, 50, 3),
            "class_names": ["a", "b", "c"],
            "dtype": "mixed_bfloat16",
            "name": "frame",
        },
    ],
)
def test_config_round_trip(options):
    model = tiny.tiny_cycle_mlp(**options)
    config = json.loads(json.dumps(model.get_config()))
    for key, value in options.items():
        assert config[key] == (list(value) if isinstance(value, tuple) else value)
    assert CycleMLP.from_config(config).get_config() == model.get_config()


def test_saved_whole_model_is_the_same(cycle_mlp, logits, tmp_path):
    cycle_mlp.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert isinstance(again, CycleMLP)
    np.testing.assert_allclose(tiny.run(again, IMAGES), logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 16, 50, 3), "height of at least 32 pixels, got 16"),
        ((1, 50, 31, 3), "width of at least 32 pixels, got 31"),
        ((1, 50, 50, 4), "three color channels"),
        ((50, 50, 3), r"pixels of shape \(batch, height, width, 3\), got shape \(50, 50, 3\)"),
        ((1, 4, 50, 50, 3), r"pixels of shape \(batch, height, width, 3\)"),
    ],
)
def test_images_that_do_not_fit(cycle_mlp, shape, message):
    with pytest.raises(ValueError, match=message):
        cycle_mlp(np.zeros(shape, "uint8"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": (4, 8)}, "channels .* must be 4 positive integers"),
        ({"input_shape": (None, None, None, 3)}, r"input_shape must be \(height, width, 3\)"),
        ({"input_shape": (8, None, 3)}, "height of at least 32 pixels, got 8"),
        ({"num_classes": 0}, "num_classes must be a positive integer, got 0"),
        ({"class_names": ["a"]}, "class_names must be 5 different names, got 1"),
        ({"include_rescaling": 1}, "include_rescaling must be True or False, got 1"),
    ],
)
def test_wrong_arguments(arguments, message):
    sizes = {"channels": tiny.CHANNELS, "depths": tiny.DEPTHS, "mlp_ratios": 2}
    with pytest.raises(ValueError, match=message):
        CycleMLP(**{**sizes, "num_classes": 5, **arguments})
