import numpy as np
import pytest
from layer_contract import assert_layer_contract, to_numpy

from keras_mlp3d.layers import SubtractMean

SHAPE = (2, 5, 3, 4, 3)


def test_each_frame_minus_the_mean_over_time(rng):
    clip = rng.integers(0, 256, SHAPE).astype("uint8")
    expected = clip.astype("float64") - clip.astype("float64").mean(axis=1, keepdims=True)
    np.testing.assert_allclose(to_numpy(SubtractMean()(clip)), expected, rtol=0, atol=1e-4)


def test_twice_is_once(rng):
    clip = rng.standard_normal(SHAPE).astype("float32")
    once = SubtractMean()(clip)
    np.testing.assert_allclose(to_numpy(SubtractMean()(once)), to_numpy(once), rtol=0, atol=1e-6)


@pytest.mark.parametrize("open_axes", [(0,), (0, 1, 2, 3)])
def test_contract(open_axes, tmp_path):
    assert_layer_contract(
        lambda **kwargs: SubtractMean(**kwargs), SHAPE, SHAPE, 0, tmp_path, open_axes=open_axes
    )
