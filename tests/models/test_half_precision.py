"""Weights stored in 16 bits: half the size, and float32 of the rounded numbers when they load."""

import json

import keras
import numpy as np
import pytest

from keras_mlp3d import MLP3D, MLP3DBackbone

FORMATS = ("h5", "safetensors")


def network(dtype="float32"):
    backbone = MLP3DBackbone((16, 32, 48, 64), (1, 1, 1, 1), 2, "short_range:2", dtype=dtype)
    return MLP3D(backbone, 3)


@pytest.fixture(scope="module")
def model():
    model = network()
    rng = np.random.default_rng(0)  # no weight is a number of 16 bits by chance
    model.set_weights([w + rng.normal(0, 0.01, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("format", FORMATS)
def test_what_loads_is_float32_of_the_rounded_weights(model, format, tmp_path):
    before = model.get_weights()
    model.save_to_preset(tmp_path / "whole", format=format)
    metrics = [{"name": "top-1 accuracy", "value": 1.0, "dataset": "a", "split": "b"}]
    half = tmp_path / "half"
    model.save_to_preset(half, format=format, half_precision=True, metrics=metrics)
    for own, kept in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(own, kept)
    sizes = [
        sum(path.stat().st_size for path in folder.iterdir() if "json" not in path.suffix)
        for folder in (half, tmp_path / "whole")
    ]
    assert sizes[0] < 0.6 * sizes[1]
    loaded = MLP3D.from_preset(half)
    assert {variable.dtype for variable in loaded.trainable_variables} == {"float32"}
    for own, weight in zip(before, loaded.get_weights(), strict=True):
        rounded = own.astype("float16").astype("float32") if own.dtype == "float32" else own
        np.testing.assert_array_equal(weight, rounded)
    # The sum is that of the rounded weights: saved again, they are the same network.
    loaded.save_to_preset(tmp_path / "again")
    content = json.loads((tmp_path / "again" / "metadata.json").read_text())
    assert content["metrics"] == metrics


@pytest.mark.parametrize("format", FORMATS)
def test_a_number_that_16_bits_do_not_hold_leaves_no_file(format, tmp_path):
    model = network()
    model.get_layer("head").bias.assign([1e6, 0, 0])
    with pytest.raises(ValueError, match=r"numbers above 65504.*half_precision=False"):
        model.save_to_preset(tmp_path / "preset", format=format, half_precision=True)
    assert not list(tmp_path.iterdir())


def test_other_dtypes_stay_as_they_are(tmp_path):
    model = network("bfloat16")
    model.save_to_preset(tmp_path / "preset", half_precision=True)
    loaded = MLP3D.from_preset(tmp_path / "preset")
    kept = 0
    for own, weight in zip(model.weights, loaded.weights, strict=True):
        assert own.dtype == weight.dtype
        if own.dtype == "bfloat16":  # the head computes in float32
            kept += 1
            own, weight = map(keras.ops.convert_to_numpy, (own, weight))
            np.testing.assert_array_equal(own.astype("float32"), weight.astype("float32"))
    assert kept > 50


def test_the_argument_is_a_boolean(tmp_path):
    with pytest.raises(ValueError, match="half_precision must be"):
        network().save_to_preset(tmp_path / "preset", half_precision="float16")
    assert keras.config.floatx() == "float32"
    assert not list(tmp_path.iterdir())
