import keras
import numpy as np
import pytest
from reference import cycle_fc as twin

from keras_mlp3d.layers.cycle_fc import cycle_offsets, cycle_shift


@pytest.mark.parametrize(
    ("kernel_size", "expected"),
    [
        (1, [0, 0, 0, 0, 0, 0, 0]),
        (2, [0, -1, 0, -1, 0, -1, 0]),
        (3, [0, 1, -1, 0, 1, -1, 0]),
        (4, [0, 1, -2, -1, 0, 1, -2]),
        (5, [0, 1, 2, -2, -1, 0, 1]),
    ],
)
def test_offsets_by_hand(kernel_size, expected):
    assert cycle_offsets(7, kernel_size).tolist() == expected


@pytest.mark.parametrize("axis", ["height", "width"])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5, 9])
def test_matches_twin(axis, kernel_size):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 6, 11)).astype("float32")
    shifted = keras.ops.convert_to_numpy(cycle_shift(x, twin.AXES[axis], kernel_size))
    np.testing.assert_array_equal(shifted, twin.cycle_shift(x, axis, kernel_size))


def test_works_on_any_axis_of_positions():
    x = np.arange(12.0, dtype="float32").reshape(4, 3)
    shifted = keras.ops.convert_to_numpy(cycle_shift(x, axis=0, kernel_size=3))
    expected = [[0, 4, 0], [3, 7, 2], [6, 10, 5], [9, 0, 8]]
    np.testing.assert_array_equal(shifted, expected)


def test_keeps_half_precision():
    x = keras.ops.ones((1, 2, 3, 4, 5), "bfloat16")
    assert keras.backend.standardize_dtype(cycle_shift(x, 2, 3).dtype) == "bfloat16"
