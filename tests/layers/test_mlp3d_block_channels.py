import numpy as np
import pytest
from layer_contract import assert_layer_contract, to_numpy
from numpy_weights import fill, weights_of
from reference import channel_mlp as twin

from keras_mlp3d.layers import ChannelMLP


@pytest.mark.parametrize("ratio", [1, 4, 2.5])
def test_matches_twin(ratio, rng):
    x = (3 * rng.standard_normal((2, 3, 5, 4, 6))).astype("float32")
    layer = ChannelMLP(ratio)
    layer.build(x.shape)
    fill(layer)
    expected = twin.channel_mlp(x.astype("float64"), weights_of(layer))
    assert expected.shape == x.shape
    # The tanh form of GELU, which this must not be, is off by more than 1e-4.
    np.testing.assert_allclose(to_numpy(layer(x)), expected, rtol=0, atol=1e-5)


def test_contract(tmp_path):
    assert_layer_contract(
        lambda **kwargs: ChannelMLP(2.5, **kwargs),
        input_shape=(2, 3, 5, 4, 6),
        output_shape=(2, 3, 5, 4, 6),
        num_weights=4,
        num_params=6 * 15 + 15 + 15 * 6 + 6,
        tmp_path=tmp_path,
    )


@pytest.mark.parametrize("ratio", [0, -1, "4", True, None])
def test_wrong_ratio(ratio):
    with pytest.raises(ValueError, match="ratio must be a number above 0") as error:
        ChannelMLP(ratio)
    assert repr(ratio) in str(error.value)
