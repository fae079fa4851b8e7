import math

import keras
import numpy as np
import pytest
from layer_contract import to_numpy

from keras_mlp3d import MLP3D, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.training import (
    AdamW,
    LayerwiseAdamW,
    Recipe,
    layer_multipliers,
    make_optimizer,
    warmup_cosine,
)

#: The layers of a network, as far as the optimizer goes: one small product each.
NAMES = ("embedding", "stage1_block1", "stage2_transition", "stage2_block1", "stage3_block1")
NAMES = (*NAMES, "stage4_block1", "head")
FACTORS = (0.5**5, 0.5**4, 0.5**3, 0.5**3, 0.5**2, 0.5, 1)
X = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
Y = X @ np.array([[1.0, 0.5], [-2.0, 1.0]], "float32") + 3
BOTH = pytest.mark.parametrize("layer_decay", [None, 0.5], ids=["plain", "layerwise"])


def recipe(**values):
    # No warm-up: the very first update then has the peak learning rate.
    start = {"learning_rate": 0.01, "reference_batch_size": 8, "batch_size": 8, "epochs": 100}
    return Recipe("unmeasured", "test", **{**start, "warmup_epochs": 0, **values})


def stack():
    """A model whose weights are the same every time."""
    layers = [keras.layers.Dense(2, name=name) for name in NAMES]
    model = keras.Sequential([keras.Input((2,)), *layers])
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1, weight.shape))
    return model


def compiled(steps_per_epoch=10, **values):
    model = stack()
    optimizer = make_optimizer(model, recipe(**values), steps_per_epoch, verbose=False)
    # A graph on TensorFlow, a program on JAX; XLA would add seconds to the former.
    jit_compile = keras.backend.backend() == "jax"
    model.compile(optimizer, "mse", jit_compile=jit_compile)
    return model


def flat(model):
    return np.concatenate([to_numpy(weight).ravel() for weight in model.trainable_variables])


@pytest.fixture(scope="module")
def network():
    backbone = MLP3DBackbone(
        (4, 4, 4, 4), (1, 1, 2, 1), 1, "shift_token:2", input_shape=(8, 32, 32, 3)
    )
    return MLP3D(backbone, 2)


# --- weight decay ---------------------------------------------------------------------------------


@pytest.mark.parametrize("layer_decay", [None, 1.0])
def test_what_is_decayed(network, layer_decay):
    """With gradients of zero a step is the decay alone."""
    values = {"learning_rate": 0.1, "weight_decay": 0.5, "layer_decay": layer_decay}
    optimizer = make_optimizer(network, recipe(**values), 10, verbose=False)
    variables = network.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape, "float32"))
    optimizer.apply([keras.ops.zeros(variable.shape) for variable in variables], variables)
    decayed, kept = set(), set()
    for variable in variables:
        value = to_numpy(variable)
        if np.allclose(value, 1 - 0.1 * 0.5):
            decayed.add(variable.name)
        else:
            np.testing.assert_array_equal(value, 1)
            kept.add(variable.name)
    assert decayed == {"kernel"}
    assert kept == {"bias", "gamma", "beta"}


# --- schedule -----------------------------------------------------------------------------------


def test_exact_values():
    schedule = warmup_cosine(0.4, total_steps=50, warmup_steps=10)
    for step in range(60):
        if step < 10:
            expected = 0.4 * step / 10
        else:
            expected = 0.2 * (1 + math.cos(math.pi * min(step - 10, 40) / 40))
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_without_warmup():
    schedule = warmup_cosine(0.4, total_steps=50)
    assert float(schedule(0)) == pytest.approx(0.4)
    assert float(schedule(50)) == pytest.approx(0, abs=1e-7)


def test_it_is_kerass_own():
    schedule = warmup_cosine(0.4, 50, 10)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert type(again) is keras.optimizers.schedules.CosineDecay
    assert float(again(5)) == pytest.approx(0.2)


@pytest.mark.parametrize("warmup", [-1, 50, 60])
def test_no_step_left(warmup):
    with pytest.raises(ValueError, match="warmup_steps must be an integer from 0 to 49"):
        warmup_cosine(0.1, 50, warmup)


def test_no_learning_rate():
    with pytest.raises(ValueError, match="learning_rate must be a number above 0"):
        warmup_cosine(0.0, 50)


# --- learning rate --------------------------------------------------------------------------------


def test_learning_rate_is_scaled_and_said_once(network, capsys):
    values = {"learning_rate": 5e-4, "reference_batch_size": 512, "batch_size": 64, "epochs": 4}
    optimizer = make_optimizer(network, recipe(**values, warmup_epochs=1), steps_per_epoch=25)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "Learning rate 6.25e-05: 0.0005 at a batch of 512, scaled to one of 64" in said
    assert "25 of 100 steps warm up" in said
    assert type(optimizer) is AdamW
    rates = []
    for step in (0, 5, 25, 100):
        optimizer.iterations.assign(step)
        rates.append(float(to_numpy(optimizer.learning_rate)))
    peak = 5e-4 * 64 / 512
    np.testing.assert_allclose(rates, [0, peak / 5, peak, 0], atol=1e-10)


def test_no_update_left(network):
    values = {"epochs": 2, "gradient_accumulation": 8}
    with pytest.raises(ValueError, match="3 steps in each of 2 epochs are 6, 0 of them warm-up"):
        make_optimizer(network, recipe(**values), steps_per_epoch=3)
    with pytest.raises(ValueError, match="1 steps in each of 1 epochs are 1, 1 of them warm-up"):
        make_optimizer(network, recipe(epochs=1, warmup_epochs=0.9), steps_per_epoch=1)


@pytest.mark.parametrize("steps", [1.5, True, None])
def test_wrong_steps(network, steps):
    with pytest.raises(ValueError, match="steps_per_epoch must be an integer of at least 0"):
        make_optimizer(network, recipe(), steps)


def test_wrong_recipe(network):
    with pytest.raises(ValueError, match="must be a Recipe, got str"):
        make_optimizer(network, "fine_tune", 10)


# --- Keras's arguments do what they say, in compiled steps --------------------------------------


@BOTH
def test_accumulation_is_one_large_batch(layer_decay):
    """Steps of two clips leave the weights alone but every fourth, which is a step of eight."""
    values = {"layer_decay": layer_decay, "weight_decay": 0.5, "clip_norm": 0.1}
    whole = compiled(**values)
    parts = compiled(40, **values, batch_size=2, gradient_accumulation=4)
    before = flat(parts)
    for _ in range(2):
        whole.train_on_batch(X, Y)
        for i in range(0, 8, 2):
            np.testing.assert_array_equal(flat(parts), before)
            parts.train_on_batch(X[i : i + 2], Y[i : i + 2])
        assert np.abs(flat(parts) - before).min() > 1e-5
        before = flat(parts)
        np.testing.assert_allclose(before, flat(whole), rtol=2e-5)
    assert int(to_numpy(parts.optimizer.iterations)) == 2


@BOTH
def test_moving_average(layer_decay):
    """It starts at the weights behind the first update, and `fit` ends with it in the model."""
    model = compiled(layer_decay=layer_decay, ema_momentum=0.8)
    seen = []
    for i in range(0, 8, 2):
        model.train_on_batch(X[i : i + 2], Y[i : i + 2])
        seen.append(flat(model))
    average = seen[0]
    for weights in seen[1:]:
        average = 0.8 * average + 0.2 * weights
    fitted = compiled(layer_decay=layer_decay, ema_momentum=0.8)
    fitted.fit(X, Y, batch_size=2, epochs=1, shuffle=False, verbose=0)
    np.testing.assert_allclose(flat(fitted), average, rtol=1e-5)
    assert np.abs(average - seen[-1]).max() > 1e-3


def test_schedule_goes_by_steps_also_where_several_make_an_update():
    model = compiled(5, epochs=2, warmup_epochs=1, gradient_accumulation=2, weight_decay=0.0)
    rates = []
    for _ in range(10):
        rates.append(float(to_numpy(model.optimizer.learning_rate)))
        model.train_on_batch(X, Y)
    peak = 0.01 * 2
    expected = [peak * i / 5 for i in range(5)]
    expected += [peak * (1 + np.cos(np.pi * i / 5)) / 2 for i in range(5)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-9)


def test_moving_average_of_accumulated_steps():
    """The momentum is that of an update, however many steps make one."""
    model = compiled(ema_momentum=0.8, gradient_accumulation=3, batch_size=2)
    seen = []
    for step in range(8):  # two updates, and the two steps up to a third
        model.train_on_batch(X[:2] + step, Y[:2])
        seen.append(flat(model))
    model.optimizer.finalize_variable_values(model.trainable_variables)
    expected = 0.8 * seen[2] + 0.2 * seen[5]
    np.testing.assert_allclose(flat(model), expected, rtol=1e-5)


@BOTH
def test_clipping(layer_decay):
    """The first moment after one step is 1 - beta_1 times the clipped gradient."""
    for clip_by in ("global", "variable"):
        model = compiled(layer_decay=layer_decay, clip_norm=0.25, clip_by=clip_by)
        model.train_on_batch(X, Y)
        moments = [v for v in model.optimizer.variables if v.path.endswith("momentum")]
        norms = np.array([np.linalg.norm(to_numpy(moment)) for moment in moments]) / 0.1
        assert len(norms) == 2 * len(NAMES)
        if clip_by == "global":
            assert np.sqrt(np.sum(norms**2)) == pytest.approx(0.25, rel=1e-4)
        else:
            np.testing.assert_allclose(norms, 0.25, rtol=1e-4)


# --- layer-wise decay -----------------------------------------------------------------------------


@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_updates_go_down_from_layer_to_layer(weight_decay):
    start = flat(stack()).reshape(len(NAMES), 6)
    steps = []
    for layer_decay in (None, 0.5):
        model = compiled(layer_decay=layer_decay, weight_decay=weight_decay)
        model.train_on_batch(X, Y)
        steps.append(flat(model).reshape(len(NAMES), 6) - start)
    ratio = steps[1] / steps[0]
    np.testing.assert_allclose(ratio, np.array(FACTORS)[:, None] * np.ones(6), rtol=2e-3)


def test_factor_one_is_plain():
    models = [compiled(layer_decay=layer_decay, weight_decay=0.5) for layer_decay in (None, 1.0)]
    for model in models:
        model.fit(X, Y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(flat(models[0]), flat(models[1]), rtol=1e-5)


def test_layers_of_a_network(network):
    factors = layer_multipliers(network, 0.5)
    assert factors["embedding"] == 0.5**6
    assert factors["stage1_block1"] == 0.5**5
    assert factors["stage3_transition"] == factors["stage3_block1"] == 0.5**3
    assert factors["stage3_block2"] == 0.5**2
    assert factors["stage4_block1"] == 0.5
    optimizer = make_optimizer(network, recipe(layer_decay=0.5), 10, verbose=False)
    optimizer.build(network.trainable_variables)
    for variable in network.trainable_variables:
        part = variable.path.split("/")[0]
        assert optimizer.multiplier(variable) == factors.get(part, 1)
        assert (part in factors) == (part not in ("norm", "head"))


def test_it_comes_back_from_its_config():
    optimizer = LayerwiseAdamW(0.1, {"embedding": 0.5}, weight_decay=0.2, clipnorm=1.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is LayerwiseAdamW
    assert again.get_config() == optimizer.get_config()
    assert (again.multipliers, again.weight_decay) == ({"embedding": 0.5}, 0.2)


def test_it_goes_on_where_it_was(tmp_path):
    """A new optimizer with the old one's state takes the step that the old one takes."""
    values = {"layer_decay": 0.5, "ema_momentum": 0.9}
    old, new = compiled(**values), compiled(**values)
    old.train_on_batch(X, Y)
    new.optimizer.build(new.trainable_variables)
    new.set_weights(old.get_weights())
    new.optimizer.set_weights([to_numpy(variable) for variable in old.optimizer.variables])
    for model in (old, new):
        model.train_on_batch(X, Y)
    np.testing.assert_array_equal(flat(old), flat(new))


@pytest.mark.parametrize("factor", [-1, "0.5", True, float("nan")])
def test_wrong_factor(factor):
    with pytest.raises(
        ValueError, match="The factor of 'embedding' must be a number of at least 0"
    ):
        LayerwiseAdamW(0.1, {"embedding": factor})


def test_networks_without_such_layers():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="has none"):
        make_optimizer(model, recipe(layer_decay=0.5), 10)
    paths = [
        MLP3D(MLP3DBackbone((4,) * 4, depths, 1, "shift_token:2"), 2, name=f"path{i}")
        for i, depths in enumerate([(1, 1, 1, 1), (1, 1, 2, 1)])
    ]
    with pytest.raises(ValueError, match="differ in depth"):
        layer_multipliers(TwoPathMLP3D(*paths, motion_size=(32, 32)), 0.5)
