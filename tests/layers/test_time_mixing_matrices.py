import numpy as np
import pytest
from layer_contract import to_numpy
from reference import grouped_time_mixing as twin

from keras_mlp3d.layers.time_mixing import interval_matrix, mix_groups


@pytest.mark.parametrize("center", [2, 4])
def test_interval_matrix_is_equation_5(center):
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((center + 3, 2, 2)).astype("float32")
    w = {index - center: matrix for index, matrix in enumerate(kernel)}
    rows = [[w[0], w[1], w[2]], [w[-1], w[0], w[1]], [w[-2], w[-1], w[0]]]
    np.testing.assert_array_equal(to_numpy(interval_matrix(kernel, 3, center)), np.block(rows))


@pytest.mark.parametrize("kind", ["short_range", "long_range", "shift_window", "shift_token"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_matches_twin(kind, size):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 6, 3, 5, 4)).astype("float32")
    weights = {"kernel": rng.standard_normal((7, 4, 4)), "bias": rng.standard_normal(4)}
    kernel, bias = (weights[name].astype("float32") for name in ("kernel", "bias"))
    expected = twin.grouped_time_mixing(
        x.astype("float64"), weights, kind, size, share_weights=True, max_group_size=4
    )
    outputs = to_numpy(mix_groups(x, kernel, bias, kind=kind, size=size, center=3))
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5)
