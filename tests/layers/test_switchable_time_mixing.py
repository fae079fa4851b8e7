import itertools

import keras
import numpy as np
import pytest
from layer_contract import assert_layer_contract, forward, to_numpy
from numpy_weights import fill, weights_of
from reference import grouped_time_mixing as twin

from keras_mlp3d.layers import GroupedTimeMixing, SwitchableTimeMixing

CANDIDATES = (
    ("short_range", 1),
    *itertools.product(("short_range", "long_range", "shift_window", "shift_token"), (2, 3)),
)
SHAPE = (2, 6, 3, 5, 4)


def built(random_rate=0.0, **options):
    layer = SwitchableTimeMixing("short_range", 1, CANDIDATES, random_rate, **options)
    layer.build(SHAPE)
    return layer


@pytest.mark.parametrize(("kind", "size"), CANDIDATES)
def test_every_choice_matches_twin(kind, size, rng):
    x = rng.standard_normal(SHAPE).astype("float32")
    layer = fill(built())
    layer.choose(kind, size)
    expected = twin.grouped_time_mixing(
        x.astype("float64"),
        weights_of(layer),
        kind,
        size,
        share_weights=True,
        max_group_size=3,
    )
    np.testing.assert_allclose(to_numpy(layer(x)), expected, rtol=0, atol=1e-5)


def test_one_compilation_serves_every_choice(rng):
    x = rng.standard_normal(SHAPE).astype("float32")
    layer = fill(built())
    traced = []
    inner = layer.call
    layer.call = lambda *args, **kwargs: traced.append(1) or inner(*args, **kwargs)
    model = keras.Sequential([keras.Input(SHAPE[1:]), layer])
    model.compile(loss="mse", jit_compile=keras.backend.backend() != "torch")
    layer.choose(*CANDIDATES[0])
    model.predict_on_batch(x)
    before = len(traced)
    for kind, size in CANDIDATES:
        layer.choose(kind, size)
        outputs = model.predict_on_batch(x)
        other = GroupedTimeMixing(kind, size, max_group_size=3)
        other.build(SHAPE)
        for weight, value in zip(other.weights, layer.trainable_weights, strict=True):
            weight.assign(to_numpy(value))
        np.testing.assert_allclose(outputs, to_numpy(forward(other, x)), rtol=0, atol=1e-5)
    if keras.backend.backend() != "torch":  # which runs the layer step by step
        assert len(traced) == before, "a choice compiled the layer anew"


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0, 1 - 1 / len(CANDIDATES)])
def test_training_draws_another_candidate_at_the_rate(rate, rng):
    x = rng.standard_normal((1, 6, 1, 1, 4)).astype("float32")
    layer = fill(SwitchableTimeMixing("long_range", 2, CANDIDATES, rate, seed=5))
    layer.build(x.shape)
    of_candidate = []
    for kind, size in CANDIDATES:
        layer.choose(kind, size)
        of_candidate.append(to_numpy(layer(x)).ravel())
    layer.choose("long_range", 2)
    own = CANDIDATES.index(("long_range", 2))
    counts = np.zeros(len(CANDIDATES))
    for _ in range(400):
        outputs = to_numpy(layer(x, training=True)).ravel()
        distances = [np.abs(outputs - candidate).max() for candidate in of_candidate]
        assert min(distances) < 1e-5
        counts[np.argmin(distances)] += 1
    expected = np.full(len(CANDIDATES), 400 * rate / (len(CANDIDATES) - 1))
    expected[own] = 400 * (1 - rate)
    spread = 4 * np.sqrt(np.maximum(expected * (1 - expected / 400), 1e-9))
    assert (np.abs(counts - expected) <= spread).all(), counts
    np.testing.assert_allclose(to_numpy(layer(x)).ravel(), of_candidate[own], atol=1e-6)


def test_compiled_training_draws_anew_at_every_step(rng):
    x = rng.standard_normal(SHAPE).astype("float32")
    layer = fill(built(random_rate=1.0, seed=1))
    model = keras.Sequential([keras.Input(SHAPE[1:]), layer])
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    losses = {round(float(model.train_on_batch(x, x)), 5) for _ in range(12)}
    assert len(losses) > 3, "the draw was frozen into the graph"


def test_gradient_is_that_of_the_chosen_kind(rng):
    x = rng.standard_normal(SHAPE).astype("float32")
    y = rng.standard_normal(SHAPE).astype("float32")
    layer = fill(built())
    layer.choose("shift_window", 2)
    other = GroupedTimeMixing("shift_window", 2, max_group_size=3)
    other.build(SHAPE)
    for weight, value in zip(other.weights, layer.trainable_weights, strict=True):
        weight.assign(to_numpy(value))
    for mixing in (layer, other):
        model = keras.Sequential([keras.Input(SHAPE[1:]), mixing])
        model.compile(keras.optimizers.SGD(1.0), loss="mse")
        model.train_on_batch(x, y)
    for own, expected in zip(layer.trainable_weights, other.trainable_weights, strict=True):
        np.testing.assert_allclose(to_numpy(own), to_numpy(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 0.6])
def test_contract(rate, tmp_path):
    assert_layer_contract(
        lambda **kwargs: SwitchableTimeMixing("long_range", 2, CANDIDATES, rate, **kwargs),
        input_shape=SHAPE,
        output_shape=SHAPE,
        num_weights=2,
        num_params=5 * 16 + 4,
        random_states=2,  # the seed's and the choice
        tmp_path=tmp_path,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("short_range", 4, CANDIDATES),
            "short_range:4 is not a candidate; the candidates are short_range:1,",
        ),
        (("full", None, [("full", None)]), "kind of a candidate must be one of .* got 'full'"),
        (("short_range", 1, []), "at least one"),
        (("short_range", 1, [("short_range", 1)] * 2), "must differ"),
        (
            ("short_range", 1, [("short_range", 1)], 1.5),
            "random_rate must be a number of at least 0 and of at most 1, got 1.5",
        ),
        (("short_range", 0, [("short_range", 0)]), "group_size"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SwitchableTimeMixing(*arguments)


def test_clip_length_that_a_candidate_refuses():
    layer = SwitchableTimeMixing("short_range", 1, CANDIDATES)
    with pytest.raises(ValueError, match=r"short_range.* 8"):
        layer.build((None, 8, 2, 2, 4))


def test_unknown_choice_leaves_the_last_one():
    layer = built()
    layer.choose("long_range", 3)
    with pytest.raises(ValueError, match="long_range:6 is not a candidate"):
        layer.choose("long_range", 6)
    assert int(layer.choice) == CANDIDATES.index(("long_range", 3))
