import keras
import numpy as np
import pytest
from layer_contract import assert_layer_contract, to_numpy

from keras_mlp3d.layers import StochasticDepth, stochastic_depth_rates


def test_whole_samples_are_dropped_and_the_others_scaled(rng):
    x = rng.standard_normal((64, 2, 3, 4)).astype("float32") + 10
    ratios = to_numpy(StochasticDepth(0.25, seed=1)(x, training=True)) / x
    per_sample = ratios.reshape(64, -1)
    assert np.allclose(per_sample, per_sample[:, :1], atol=1e-5), "a sample is dropped as a whole"
    kept = per_sample[:, 0] > 0.5
    np.testing.assert_allclose(per_sample[kept], 1 / 0.75, rtol=1e-5)
    assert not per_sample[~kept].any()
    assert 0 < (~kept).sum() < 32


def test_dropped_share_is_the_rate():
    layer = StochasticDepth(0.3, seed=5)
    outputs = to_numpy(layer(np.ones((20_000, 1), "float32"), training=True))
    assert abs((outputs == 0).mean() - 0.3) < 0.02
    assert abs(outputs.mean() - 1) < 0.03


def test_seed_fixes_the_draws_and_they_differ_from_call_to_call():
    x = np.ones((64, 1), "float32")
    first, second = StochasticDepth(0.5, seed=3), StochasticDepth(0.5, seed=3)
    calls = [to_numpy(layer(x, training=True)) for layer in (first, second, first)]
    np.testing.assert_array_equal(calls[0], calls[1])
    assert (calls[0] != calls[2]).any()


def test_inference_and_rate_0_leave_the_input(rng):
    x = rng.standard_normal((8, 3)).astype("float32")
    for layer, training in ((StochasticDepth(0.9), False), (StochasticDepth(0.0), True)):
        np.testing.assert_array_equal(to_numpy(layer(x, training=training)), x)
    np.testing.assert_array_equal(to_numpy(StochasticDepth(0.9)(x)), x)
    assert StochasticDepth(0.0).variables == []


def test_half_precision_stays_half():
    layer = StochasticDepth(0.5, seed=1, dtype="mixed_bfloat16")
    outputs = layer(np.ones((8, 3), "float32"), training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert set(to_numpy(outputs).ravel().tolist()) == {0.0, 2.0}


def test_contract(tmp_path):
    assert_layer_contract(
        lambda **kwargs: StochasticDepth(0.25, seed=1, **kwargs),
        input_shape=(2, 3, 5, 4, 6),
        output_shape=(2, 3, 5, 4, 6),
        num_weights=0,
        random_states=1,
        tmp_path=tmp_path,
    )


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 1.5, float("nan"), "0.1", True, None])
def test_wrong_rate(rate):
    with pytest.raises(
        ValueError, match="rate must be a number of at least 0 and below 1"
    ) as error:
        StochasticDepth(rate)
    assert repr(rate) in str(error.value)
    with pytest.raises(ValueError, match="max_rate must be a number of at least 0 and below 1"):
        stochastic_depth_rates((1, 2), rate)


@pytest.mark.parametrize(
    ("depths", "max_rate", "expected"),
    [
        ((2, 2, 4, 2), 0.0, [0.0] * 10),
        ((2, 2, 4, 2), 0.9, [0.1 * i for i in range(10)]),
        ((1, 1), 0.3, [0.0, 0.3]),
        ((1,), 0.3, [0.0]),
    ],
)
def test_rates_rise_linearly_over_all_blocks(depths, max_rate, expected):
    rates = stochastic_depth_rates(depths, max_rate)
    assert tuple(map(len, rates)) == depths
    np.testing.assert_allclose([rate for stage in rates for rate in stage], expected, atol=1e-12)
