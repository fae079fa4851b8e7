import functools
import json

import keras
import numpy as np
import pytest
from layer_contract import assert_layer_contract, to_numpy
from reference.network import MEAN, STD

from keras_mlp3d.layers import PixelNormalization


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float16", "float32"])
def test_arithmetic(dtype):
    pixels = np.arange(0, 252, dtype="int64").reshape(2, 2, 3, 7, 3)
    outputs = PixelNormalization()(pixels.astype(dtype))
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    expected = (pixels / 255 - MEAN) / STD
    np.testing.assert_allclose(to_numpy(outputs), expected, rtol=0, atol=2e-6)


def test_statistics_of_ones_own():
    pixels = np.arange(0, 252, dtype="uint8").reshape(2, 2, 3, 7, 3)
    mean, std = np.array([0.01, 0.5, 1.0]), np.array([0.06, 1.0, 0.2])
    expected = (pixels / 255 - mean) / std
    layer = PixelNormalization(mean, tuple(std))
    np.testing.assert_allclose(to_numpy(layer(pixels)), expected, rtol=0, atol=4e-6)
    again = PixelNormalization.from_config(json.loads(json.dumps(layer.get_config())))
    np.testing.assert_array_equal(to_numpy(again(pixels)), to_numpy(layer(pixels)))


@pytest.mark.parametrize("name", ["mean", "std"])
@pytest.mark.parametrize(
    "value", [0.5, "0.5", [0.5, 0.5], [127, 127, 127], [0.5, -0.1, 0.5], [0.5, None, float("nan")]]
)
def test_bad_statistics(name, value):
    with pytest.raises(
        ValueError, match=f"^{name} must be three numbers .*divided by 255"
    ) as error:
        PixelNormalization(**{name: value})
    assert repr(value) in str(error.value)


def test_a_deviation_of_zero_divides_nothing():
    assert PixelNormalization(mean=(0, 0, 0)).mean == (0, 0, 0)
    with pytest.raises(ValueError, match="std must be three numbers above 0"):
        PixelNormalization(std=(0.5, 0, 0.5))


def test_float32_unless_told_otherwise(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert PixelNormalization().compute_dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")
    assert_layer_contract(
        PixelNormalization,
        input_shape=(2, 3, 5, 4, 3),
        output_shape=(2, 3, 5, 4, 3),
        num_weights=0,
        tmp_path=tmp_path,
    )
    assert_layer_contract(
        functools.partial(PixelNormalization, (0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)),
        input_shape=(2, 3, 5, 4, 3),
        output_shape=(2, 3, 5, 4, 3),
        num_weights=0,
        tmp_path=tmp_path,
    )


@pytest.mark.parametrize("shape", [(1, 2, 4, 4, 1), (1, 3, 4, 4)])
def test_needs_three_colors(shape):
    with pytest.raises(ValueError, match="three colors in the last axis") as error:
        PixelNormalization()(np.zeros(shape, "uint8"))
    assert str(shape) in str(error.value)
