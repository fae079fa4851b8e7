"""Dense layers of the network quantize and take LoRA as Keras's do, and every hook runs."""

import keras
import numpy as np
import pytest
from layer_contract import sublayers, to_numpy
from numpy_weights import fill

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.layers import ChannelMLP, MLP3DBlock

SHAPE = (2, 4, 3, 5, 8)


def tokens():
    return np.random.default_rng(0).standard_normal(SHAPE).astype("float32")


def built(layer):
    layer.build(SHAPE)
    return fill(layer)


@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_quantized(mode):
    layer = built(ChannelMLP(4))
    expected = to_numpy(layer(tokens()))
    for part in (layer.expand, layer.reduce):
        part.quantize(mode)
    assert layer.expand.quantization_mode == mode
    outputs = to_numpy(layer(tokens()))
    error = np.abs(outputs - expected).max() / np.ptp(expected)
    assert 0 < error < 0.05  # something was quantized, and nothing broke


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
    block = MLP3DBlock({"kind": "shift_token", "group_size": 4})
    model = keras.Model(inputs, block(inputs))
    fill(model)
    before = [to_numpy(weight).copy() for weight in model.weights]
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(tokens(), np.zeros(SHAPE), verbose=0)
    for old, weight in zip(before, model.weights, strict=True):
        assert (to_numpy(weight) != old).any(), weight.path


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the hooks are PyTorch's")
def test_hooks_of_every_sublayer_run():
    """Grad-CAM and profilers register them; what the network computes stays the same."""
    import torch

    backbone = MLP3DBackbone((8, 8, 8, 8), (1, 1, 1, 1), 2, "short_range:2", drop_path_rate=0.1)
    model = MLP3D(backbone, num_classes=3)
    clip = np.random.default_rng(0).integers(0, 256, (1, 8, 32, 32, 3)).astype("uint8")
    expected = to_numpy(model(clip))
    layers = [layer for layer in sublayers(model) if not isinstance(layer, keras.layers.InputLayer)]
    counts = {id(layer): [0, 0, 0] for layer in layers}

    def in_a_block(layer):
        return bool(layer.trainable_weights) and "_block" in layer.path

    def count(layer, index):
        def hook(*_):
            counts[id(layer)][index] += 1

        return hook

    handles = []
    for layer in layers:
        handles.append(layer.register_forward_pre_hook(count(layer, 0)))
        handles.append(layer.register_forward_hook(count(layer, 1)))
        if in_a_block(layer):  # before the blocks no input has a gradient
            handles.append(layer.register_full_backward_hook(count(layer, 2)))
    outputs = model(clip)
    np.testing.assert_allclose(to_numpy(outputs), expected, rtol=0, atol=1e-6)
    torch.sum(outputs).backward()
    for layer in layers:
        assert counts[id(layer)] == [1, 1, int(in_a_block(layer))], layer.path
    for handle in handles:
        handle.remove()
    model(clip)
    assert all(count[0] == 1 for count in counts.values())


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the hooks are PyTorch's")
def test_global_hooks_run():
    from torch.nn.modules.module import register_module_forward_hook

    layer, seen = built(ChannelMLP(4)), []
    handle = register_module_forward_hook(lambda module, *_: seen.append(module))
    layer(tokens())
    handle.remove()
    assert layer.expand in seen
    assert layer.reduce in seen


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="other backends have one way")
@pytest.mark.parametrize("policy", ["float32", "bfloat16", "mixed_bfloat16", "mixed_float16"])
def test_parts_are_entered_behind_the_checks_of_keras_by_every_policy(policy, monkeypatch):
    """The same bits as through Keras, in the forward and in the backward pass."""
    calls, enter = [], keras.layers.Layer.__call__

    def call(layer, *args, **kwargs):
        calls.append(layer.name)
        return enter(layer, *args, **kwargs)

    monkeypatch.setattr(keras.layers.Layer, "__call__", call)
    block = built(MLP3DBlock({"kind": "shift_token", "group_size": 4}, name="block", dtype=policy))
    found = with_gradients(block)
    assert calls == ["block"]
    handles = [part.register_forward_hook(lambda *_: None) for part in sublayers(block)]
    through_keras = with_gradients(block)
    assert len(calls) > 10
    for handle in handles:
        handle.remove()
    for ours, its in zip(found, through_keras, strict=True):
        np.testing.assert_array_equal(ours, its)


def with_gradients(layer):
    """The output of a layer, and the gradient of every weight, as arrays."""
    outputs = layer(tokens())
    assert keras.backend.standardize_dtype(outputs.dtype) == layer.compute_dtype
    weights = [weight.value for weight in layer.trainable_weights]
    for weight in weights:
        weight.grad = None
    outputs.float().square().sum().backward()
    return [outputs.detach().float().numpy(), *(weight.grad.float().numpy() for weight in weights)]
