import keras
import numpy as np
import pytest

from keras_mlp3d.layers.linear import convolve


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (4, 3)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 0), (1, 3)])
@pytest.mark.parametrize("rows", [9, 7])
def test_matches_a_loop_over_windows(strides, padding, rows):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, rows, 8, 3)).astype("float32")
    kernel = rng.standard_normal((4, 3, 3, 5)).astype("float32")
    bias = rng.standard_normal(5).astype("float32")
    padded = np.pad(x.astype("float64"), ((0, 0), *((p, p) for p in padding), (0, 0)))
    height = (padded.shape[1] - 4) // strides[0] + 1
    width = (padded.shape[2] - 3) // strides[1] + 1
    expected = np.empty((2, height, width, 5))
    for i in range(height):
        for j in range(width):
            top, left = i * strides[0], j * strides[1]
            window = padded[:, top : top + 4, left : left + 3]
            expected[:, i, j] = np.einsum("bhwc,hwcf->bf", window, kernel) + bias
    outputs = keras.ops.convert_to_numpy(convolve(x, kernel, bias, strides, padding))
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-4)
