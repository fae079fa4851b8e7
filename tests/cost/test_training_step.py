import dataclasses

import keras
import pytest
from models import tiny

from keras_mlp3d import MLP3D, FrameCycleMLP
from keras_mlp3d.cost import count, largest_batch, training_step

SHAPE = (16, 36, 50, 3)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize(("optimizer", "ema", "slots"), [("adamw", False, 2), ("sgd", True, 1)])
def test_weights_gradients_and_optimizer(dtype, optimizer, ema, slots):
    model = tiny.tiny_model(dtype=dtype)
    step = training_step(model, SHAPE, 3, optimizer, ema)
    params = count(model, SHAPE).params
    number = 2 if dtype == "bfloat16" else 4
    head = 12 * tiny.CLASSES + tiny.CLASSES  # float32 always
    expected = number * (params - head) + 4 * head
    assert step.weights == step.gradients == expected
    assert step.optimizer == slots * expected
    assert step.clips == 3 * 16 * 36 * 50 * 3 * 4
    assert step.activations == sum(part.kept for part in step.layers)
    assert step.peak >= step.weights + step.optimizer + step.clips + step.activations


def test_optimizer_of_keras_holds_what_is_counted():
    model = tiny.tiny_model()
    optimizer = keras.optimizers.AdamW(use_ema=True)
    optimizer.build(model.trainable_variables)
    held = sum(4 * variable.value.numel() for variable in optimizer.variables if variable.ndim)
    assert training_step(model, SHAPE, ema=True).optimizer == held


def test_frozen_weights_have_no_gradients():
    model = tiny.tiny_model()
    model.backbone.trainable = False
    step = training_step(model, SHAPE)
    assert step.gradients == 4 * (12 * tiny.CLASSES + tiny.CLASSES)
    assert step.optimizer == 2 * step.gradients


def test_macs_are_three_times_the_forward_pass_but_for_the_clips():
    model = tiny.tiny_model()
    counted = count(model, SHAPE)
    [embedding] = [row.macs for row in counted.layers if row.name == "embedding"]
    step = training_step(model, SHAPE, 2)
    assert step.forward_macs == 2 * counted.macs
    assert step.macs == 2 * (3 * counted.macs - embedding)
    assert step.seconds(1e9) == 2 * step.macs / 1e9
    assert step.seconds(1e9, 1e6) == step.seconds(1e9) + step.moved / 1e6


def test_what_memory_moves_grows_with_the_batch_and_with_remat():
    """Weights and their moments move once a step, activations once a clip."""
    one, two, three = (training_step(tiny.tiny_model(), SHAPE, batch).moved for batch in (1, 2, 3))
    assert three - two == two - one > 0
    step = training_step(tiny.tiny_model(), SHAPE)
    assert one - (two - one) >= 2 * (step.weights + step.gradients + step.optimizer)
    again = training_step(tiny.tiny_model(remat=True), SHAPE)
    assert 1.05 * one < again.moved < 1.34 * one
    assert training_step(tiny.tiny_model(), SHAPE, optimizer="sgd").moved < one


@pytest.mark.parametrize(("name", "wrong"), [("rate", 0), ("bandwidth", -1), ("bandwidth", "1")])
def test_rates_are_numbers_above_zero(name, wrong):
    step = training_step(tiny.tiny_model(), SHAPE)
    with pytest.raises(ValueError, match=f"{name} must be"):
        step.seconds(**{"rate": 1e9, "bandwidth": 1e9, name: wrong})


def test_remat_computes_blocks_twice_and_keeps_less():
    plain, again = (training_step(tiny.tiny_model(remat=r), SHAPE, 2) for r in (False, True))
    rows = count(tiny.tiny_model(), SHAPE).layers
    blocks = sum(row.macs for row in rows if "block" in row.name)
    assert again.macs - plain.macs == 2 * blocks
    assert again.activations < 0.7 * plain.activations
    assert again.peak < plain.peak
    assert (again.weights, again.optimizer) == (plain.weights, plain.optimizer)


def test_frames_are_a_batch_of_images():
    images = tiny.tiny_cycle_mlp()
    frames = training_step(FrameCycleMLP(images), (4, 36, 50, 3), 2)
    single = training_step(images, (36, 50, 3), 8)
    assert (frames.activations, frames.macs) == (single.activations, single.macs)


def test_half_precision_keeps_less():
    names = ("float32", "mixed_bfloat16", "bfloat16")
    full, mixed, half = (training_step(tiny.tiny_model(dtype=d), SHAPE, 4) for d in names)
    assert full.activations > mixed.activations > half.activations
    assert full.weights == mixed.weights > half.weights


def test_update_of_weights_can_be_the_peak():
    """A large head on a tiny clip."""
    model = MLP3D(tiny.tiny_backbone(), 50_000)
    step = training_step(model, (16, 32, 32, 3))
    assert step.peak_at == "update of weights"
    held = step.weights + step.optimizer + step.clips
    assert step.peak == held + 4 * step.gradients
    assert training_step(model, (16, 32, 32, 3), optimizer="sgd").peak < step.peak


@pytest.mark.parametrize("remat", [False, True])
def test_largest_batch_fits_and_the_next_does_not(remat):
    model = tiny.tiny_model(remat=remat)
    for memory in (3e6, 50e6, 1e9):
        batch = largest_batch(model, memory, SHAPE)
        peaks = [training_step(model, SHAPE, n).peak for n in (batch, batch + 1)]
        assert peaks[0] <= memory < peaks[1]
    exact = training_step(model, SHAPE, 7).peak
    assert largest_batch(model, exact, SHAPE) == 7
    assert largest_batch(model, exact - 1, SHAPE) == 6
    assert largest_batch(model, 1e5, SHAPE) == 0


def test_table():
    step = training_step(tiny.tiny_model(), SHAPE)
    lines = step.table().splitlines()
    assert len(lines) == len(step.layers) + 4
    assert lines[-1].split() == ["total", f"{step.activations:,}"]
    assert len({len(line) for line in lines}) == 1
    assert dataclasses.replace(step, layers=()).table().startswith("layer")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch": 0}, "batch must be a positive integer, got 0"),
        ({"batch": True}, "batch must be a positive integer"),
        ({"optimizer": "lion"}, "optimizer must be one of 'adamw', 'sgd', got 'lion'"),
        ({"ema": 0.999}, "ema must be"),
        ({"input_shape": (20, 36, 50, 3)}, "a clip of 20 frames does not fit"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        training_step(tiny.tiny_backbone(), **{"input_shape": SHAPE, **arguments})


@pytest.mark.parametrize("memory", [0, -24e9, float("nan"), "24GB"])
def test_wrong_memory(memory):
    with pytest.raises(ValueError, match="memory must be a number above 0"):
        largest_batch(tiny.tiny_backbone(), memory, SHAPE)


def test_networks_that_cannot_be_trained():
    model = tiny.tiny_model()
    model.quantize("int8")
    with pytest.raises(ValueError, match=r"is quantized .* to int8\) and cannot be trained"):
        training_step(model, SHAPE)
    model = tiny.tiny_model()
    model.enable_lora(2)
    with pytest.raises(ValueError, match="LoRA adapters, whose training is not counted"):
        training_step(model, SHAPE)
    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match="takes an MLP3D"):
        training_step(keras.Model(inputs, keras.layers.Dense(2)(inputs)), (4,))
