import keras
import numpy as np
import pytest
from reference import grouped_time_mixing as twin

from keras_mlp3d.layers.time_mixing import shift_mix


@pytest.mark.parametrize(("time", "size"), [(6, 1), (6, 2), (6, 6), (8, 4), (5, 2), (3, 5), (1, 4)])
def test_matches_twin(time, size):
    """Also where the group is longer than the clip, and goes round it more than once."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, time, 2, 3, 4)).astype("float32")
    kernel = rng.standard_normal((size, 4, 4)).astype("float32")
    bias = rng.standard_normal(4).astype("float32")
    expected = twin.shared(x.astype("float64"), "shift_token", size, lambda i: kernel[i], bias)
    for given, difference in ((bias, 0), (None, bias)):
        mixed = keras.ops.convert_to_numpy(shift_mix(x, kernel, given))
        np.testing.assert_allclose(mixed, expected - difference, rtol=0, atol=1e-5)
