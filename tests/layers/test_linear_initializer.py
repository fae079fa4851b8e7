import keras
import numpy as np
import pytest
from layer_contract import to_numpy

from keras_mlp3d.layers import ChannelMLP, CycleFC, GlorotUniform


@pytest.mark.parametrize("shape", [(40, 60), (3, 3, 16, 32), (7, 24, 24)])
def test_law_is_that_of_keras(shape):
    """Uniform within the limit that Keras's own initializer has for the shape."""
    values = to_numpy(GlorotUniform(seed=1)(shape, "float32"))
    receptive = np.prod(shape[:-2])
    limit = np.sqrt(6 / (receptive * (shape[-2] + shape[-1])))
    assert values.dtype == np.float32
    assert 0.99 * limit < np.abs(values).max() <= limit
    assert abs(values.mean()) < 0.05 * limit
    assert abs(values.std() / limit - 1 / np.sqrt(3)) < 0.02


def test_seeds():
    same = [to_numpy(GlorotUniform(seed=5)((4, 4))) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    draws = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        draws.append([to_numpy(GlorotUniform()((4, 4))) for _ in range(2)])
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0][0] != draws[0][1]).all()


def test_weights_of_the_same_shape_differ():
    layers = [CycleFC(6, name="a"), CycleFC(6, name="b"), ChannelMLP(1, name="c")]
    for layer in layers:
        layer.build((None, 2, 4, 4, 6))
    kernels = [to_numpy(weight) for layer in layers for weight in layer.weights if weight.ndim == 2]
    assert len(kernels) == 4
    for i, first in enumerate(kernels):
        assert all((first != second).any() for second in kernels[i + 1 :])


def test_config_round_trip():
    for seed in (None, 7):
        serialised = keras.initializers.serialize(GlorotUniform(seed))
        assert keras.initializers.get(serialised).get_config() == {"seed": seed}


def test_half_precision():
    values = GlorotUniform(seed=1)((4, 4), "bfloat16")
    assert keras.backend.standardize_dtype(values.dtype) == "bfloat16"
