import keras
import numpy as np
import pytest

from keras_mlp3d.layers.pixels import resize_frames


@pytest.mark.parametrize("size", [(6, 10), (3, 5), (4, 7), (9, 23), (1, 1), (7, 4)])
def test_is_kerass_antialiased_resize(size):
    x = np.random.default_rng(0).uniform(0, 255, (2, 3, 6, 10, 3)).astype("float32")
    expected = keras.ops.image.resize(
        x.reshape(6, 6, 10, 3),
        size,
        interpolation="bilinear",
        antialias=True,
        data_format="channels_last",
    )
    expected = keras.ops.convert_to_numpy(expected).reshape(2, 3, *size, 3)
    resized = keras.ops.convert_to_numpy(resize_frames(x, size))
    np.testing.assert_allclose(resized, expected, rtol=0, atol=2e-3)


def test_even_frames_stay_even():
    x = np.full((1, 1, 17, 5, 2), 200.0, "float32")
    resized = keras.ops.convert_to_numpy(resize_frames(x, (3, 9)))
    np.testing.assert_allclose(resized, 200, rtol=1e-6)


def test_keeps_half_precision():
    x = keras.ops.ones((1, 2, 4, 4, 3), "bfloat16")
    resized = resize_frames(x, (2, 3))
    assert keras.backend.standardize_dtype(resized.dtype) == "bfloat16"
    assert tuple(resized.shape) == (1, 2, 2, 3, 3)
