"""The network's dense layers are Keras's: they quantise and take LoRA, and are entered rightly."""

import keras
import numpy as np
import pytest
from layer_contract import to_numpy
from numpy_weights import fill

from keras_mlp3d.layers import ChannelMLP, MLP3DBlock

SHAPE = (2, 4, 3, 5, 8)


def tokens():
    return np.random.default_rng(0).standard_normal(SHAPE).astype("float32")


def built(layer):
    layer.build(SHAPE)
    return fill(layer)


@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_quantised(mode):
    layer = built(ChannelMLP(4))
    expected = to_numpy(layer(tokens()))
    for part in (layer.expand, layer.reduce):
        part.quantize(mode)
    assert layer.expand.quantization_mode == mode
    outputs = to_numpy(layer(tokens()))
    error = np.abs(outputs - expected).max() / np.ptp(expected)
    assert 0 < error < 0.05  # something was quantised, and nothing broke


def test_low_rank_adaptation():
    layer = built(ChannelMLP(4))
    expected = to_numpy(layer(tokens()))
    layer.expand.enable_lora(2)
    np.testing.assert_allclose(to_numpy(layer(tokens())), expected, rtol=0, atol=1e-6)
    layer.expand.lora_kernel_b.assign(np.ones(layer.expand.lora_kernel_b.shape))
    assert np.abs(to_numpy(layer(tokens())) - expected).max() > 1e-2


def test_a_part_with_a_policy_of_its_own_is_called_through_keras():
    layer = built(ChannelMLP(4, dtype="mixed_bfloat16"))
    assert layer.expand.compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(layer(tokens()).dtype) == "bfloat16"
    plain = built(ChannelMLP(4, dtype=keras.DTypePolicy("float32")))
    plain.expand.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
    outputs = to_numpy(plain(tokens()))
    exact = to_numpy(built(ChannelMLP(4))(tokens()))
    assert 1e-6 < np.abs(outputs - exact).max() < 0.2


def test_gradients_reach_every_weight_of_a_block():
    inputs = keras.Input(SHAPE[1:])
    block = MLP3DBlock("shift_token", 4)
    model = keras.Model(inputs, block(inputs))
    fill(model)
    before = [to_numpy(weight).copy() for weight in model.weights]
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(tokens(), np.zeros(SHAPE), verbose=0)
    for old, weight in zip(before, model.weights, strict=True):
        assert (to_numpy(weight) != old).any(), weight.path
