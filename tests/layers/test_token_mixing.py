import keras
import numpy as np
import pytest
from layer_contract import assert_layer_contract, forward, to_numpy
from numpy_weights import fill, weights_of
from reference import token_mixing as twin

from keras_mlp3d.layers import GroupedTimeMixing, TokenMixing

C = 8
CYCLE_FC, TIME, SPLIT, PROJECTION = C * C + C, C, C * 2 + 2 + 2 * 3 * C + 3 * C, C * C + C


def mixing(kind, size, **options):
    return GroupedTimeMixing(kind, size, name="mix_time", **options)


@pytest.mark.parametrize(
    ("kind", "size", "options"),
    [
        ("short_range", 3, {}),
        ("long_range", 2, {"share_weights": False}),
        ("shift_window", 2, {"max_group_size": 3}),
        ("shift_token", 4, {}),
        ("shift_token", 1, {}),
        ("full", None, {}),
    ],
)
def test_matches_twin(kind, size, options, rng):
    x = rng.standard_normal((2, 6, 3, 5, C)).astype("float32")
    layer = TokenMixing(mixing(kind, size, **options))
    layer.build(x.shape)
    fill(layer)
    expected = twin.token_mixing(x.astype("float64"), weights_of(layer), kind, size, **options)
    np.testing.assert_allclose(to_numpy(forward(layer, x)), expected, rtol=0, atol=2e-5)


def test_matches_twin_with_larger_cycles(rng):
    x = rng.standard_normal((2, 6, 3, 5, C)).astype("float32")
    layer = TokenMixing(mixing("shift_token", 4), cycle_kernel_size=5)
    layer.build(x.shape)
    fill(layer)
    expected = twin.token_mixing(
        x.astype("float64"), weights_of(layer), "shift_token", 4, cycle_kernel_size=5
    )
    np.testing.assert_allclose(to_numpy(forward(layer, x)), expected, rtol=0, atol=2e-5)


def test_matches_twin_without_bias_in_time(rng):
    x = rng.standard_normal((1, 4, 3, 5, C)).astype("float32")
    layer = TokenMixing(mixing("short_range", 1, use_bias=False))
    layer.build(x.shape)
    fill(layer)
    weights = weights_of(layer)
    assert "mix_time/bias" not in weights
    expected = twin.token_mixing(x.astype("float64"), weights, "short_range", 1)
    np.testing.assert_allclose(to_numpy(forward(layer, x)), expected, rtol=0, atol=2e-5)


def test_samples_of_a_batch_do_not_see_each_other(rng):
    x = rng.standard_normal((3, 4, 3, 5, C)).astype("float32")
    layer = TokenMixing(mixing("short_range", 2))
    layer.build(x.shape)
    fill(layer)
    changed = x.copy()
    changed[1] += 1
    before, after = to_numpy(forward(layer, x)), to_numpy(forward(layer, changed))
    np.testing.assert_array_equal(before[[0, 2]], after[[0, 2]])
    assert (before[1] != after[1]).all(axis=-1).any()


@pytest.mark.parametrize(
    ("kind", "size", "options", "matrices"),
    [
        ("short_range", 2, {}, 3),
        ("shift_token", 3, {"max_group_size": 3}, 5),
        ("long_range", 3, {"use_bias": False}, 5),
    ],
)
def test_contract(kind, size, options, matrices, tmp_path):
    bias = options.get("use_bias", True)
    assert_layer_contract(
        lambda **kwargs: TokenMixing({"kind": kind, "group_size": size, **options}, **kwargs),
        input_shape=(2, 6, 3, 5, C),
        output_shape=(2, 6, 3, 5, C),
        num_weights=12 if bias else 11,
        num_params=2 * CYCLE_FC + matrices * C * C + TIME * bias + SPLIT + PROJECTION,
        tmp_path=tmp_path,
    )


def test_few_channels_leave_at_least_one_hidden_channel():
    layer = TokenMixing(mixing("short_range", 1))
    layer.build((None, 2, 4, 4, 3))
    assert tuple(weights_of(layer)["squeeze/kernel"].shape) == (3, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reduction": 0}, "reduction must be a positive integer, got 0"),
        ({"cycle_kernel_size": 1.5}, "cycle_kernel_size must be a positive integer, got 1.5"),
        ({"time_mixing": {"kind": "short_range"}}, "group_size of kind .* got None"),
        ({"time_mixing": "short_range"}, "time_mixing must be a layer .* got 'short_range'"),
        ({"time_mixing": None}, "time_mixing must be a layer .* got None"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TokenMixing(**{"time_mixing": mixing("short_range", 2), **arguments})


def test_time_mixing_is_a_layer_or_its_configuration(rng):
    """The three forms are one network; a layer of one's own works as well."""
    x = rng.standard_normal((2, 6, 3, 5, C)).astype("float32")
    forms = [
        mixing("long_range", 2),
        keras.saving.serialize_keras_object(mixing("long_range", 2)),
        {"kind": "long_range", "group_size": 2},
    ]
    outputs = []
    for form in forms:
        layer = TokenMixing(form, name="token_mixing")
        layer.build(x.shape)
        assert sorted(weights_of(fill(layer))) == sorted(weights_of(layer))
        assert "mix_time/kernel" in weights_of(layer)
        outputs.append(to_numpy(forward(layer, x)))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])
    identity = TokenMixing(keras.layers.Identity(name="mix_time"))
    assert to_numpy(forward(identity, x)).shape == x.shape


def test_a_time_mixing_that_drops_in_training_does_so(rng):
    """A layer that takes `training` is called through Keras, which hands it on."""
    x = rng.standard_normal((2, 6, 3, 5, C)).astype("float32")
    layer = fill_built(TokenMixing(keras.layers.Dropout(0.5, name="mix_time")), x.shape)
    resting, training = (to_numpy(layer(x, training=mode)) for mode in (False, True))
    assert np.abs(resting - training).max() > 1e-3


def fill_built(layer, shape):
    layer.build(shape)
    return fill(layer)


def test_wrong_input_shape():
    with pytest.raises(ValueError, match=r"TokenMixing expects tokens .* \(2, 4, 5, 8\)"):
        TokenMixing(mixing("short_range", 2)).build((2, 4, 5, 8))
