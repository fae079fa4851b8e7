import numpy as np
import pytest
from layer_contract import assert_layer_contract, to_numpy
from numpy_weights import fill, weights_of
from reference import stage_transition as twin
from reference.basics import part

from keras_mlp3d.layers import StageTransition


@pytest.mark.parametrize("size", [(5, 8), (4, 7), (1, 2), (1, 1)])
def test_matches_twin(size, rng):
    x = rng.standard_normal((2, 3, *size, 6)).astype("float32")
    layer = StageTransition(7)
    layer.build(x.shape)
    fill(layer)
    expected = twin.stage_transition(x.astype("float64"), part(weights_of(layer), "projection"))
    np.testing.assert_allclose(to_numpy(layer(x)), expected, rtol=0, atol=1e-5)


def test_contract(tmp_path):
    assert_layer_contract(
        lambda **kwargs: StageTransition(7, **kwargs),
        input_shape=(2, 3, 8, 5, 6),
        output_shape=(2, 3, 4, 3, 7),
        num_weights=2,
        num_params=9 * 6 * 7 + 7,
        tmp_path=tmp_path,
    )


def test_weights_are_named_attributes():
    layer = StageTransition(7)
    layer.build((None, 3, 8, 5, 6))
    assert tuple(layer.kernel.shape) == (3, 3, 6, 7)
    assert tuple(layer.bias.shape) == (7,)


def test_errors():
    with pytest.raises(ValueError, match="filters must be a positive integer, got -3"):
        StageTransition(-3)
    with pytest.raises(ValueError, match=r"StageTransition expects tokens .* \(2, 8, 5, 6\)"):
        StageTransition(7).build((2, 8, 5, 6))
