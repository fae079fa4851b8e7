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


@pytest.mark.parametrize("shape", [(1, 2, 4, 4, 1), (1, 3, 4, 4)])
def test_needs_three_colors(shape):
    with pytest.raises(ValueError, match="three colors in the last axis") as error:
        PixelNormalization()(np.zeros(shape, "uint8"))
    assert str(shape) in str(error.value)
