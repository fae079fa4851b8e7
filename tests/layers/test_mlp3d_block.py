import numpy as np
import pytest
from layer_contract import assert_layer_contract, forward, to_numpy
from numpy_weights import fill, weights_of
from reference import block as twin

from keras_mlp3d.layers import GroupedTimeMixing, MLP3DBlock

C = 8
SHORT_RANGE = {"kind": "short_range", "group_size": 2}


def built(shape, kind, size, options=None, **kwargs):
    mixing = GroupedTimeMixing(kind, size, name="mix_time", **(options or {}))
    block = MLP3DBlock(mixing, **kwargs)
    block.build(shape)
    return fill(block)


@pytest.mark.parametrize(
    ("kind", "size", "options"),
    [
        ("shift_window", 3, {}),
        ("shift_token", 4, {"max_group_size": 5}),
        ("long_range", 2, {"share_weights": False}),
    ],
)
@pytest.mark.parametrize("mlp_ratio", [2])
def test_matches_twin(kind, size, options, mlp_ratio, rng):
    x = rng.standard_normal((2, 6, 3, 5, C)).astype("float32")
    block = built(x.shape, kind, size, options, mlp_ratio=mlp_ratio, drop_path_rate=0.5)
    expected = twin.block(x.astype("float64"), weights_of(block), kind, size, **options)
    np.testing.assert_allclose(to_numpy(forward(block, x)), expected, rtol=0, atol=5e-5)


def test_contract(tmp_path):
    norm, split = 2 * C, C * 2 + 2 + 2 * 3 * C + 3 * C
    token_mixing = 3 * (C * C + C) + 3 * C * C + C + split
    assert_layer_contract(
        lambda **kwargs: MLP3DBlock(SHORT_RANGE, mlp_ratio=2, **kwargs),
        input_shape=(2, 6, 3, 5, C),
        output_shape=(2, 6, 3, 5, C),
        num_weights=20,
        num_params=2 * norm + token_mixing + 2 * C * 2 * C + 3 * C,
        tmp_path=tmp_path,
    )


def test_drop_path_drops_each_branch_sample_by_sample(rng):
    x = rng.standard_normal((24, 2, 3, 5, C)).astype("float32")
    block = built(x.shape, "short_range", 2, mlp_ratio=2, drop_path_rate=0.5)
    outputs = to_numpy(block(x, training=True))
    mixed = to_numpy(block.token_mixing(block.token_norm(x)))
    samples = {}
    for token_scale in (0, 2):
        tokens = x + token_scale * mixed
        mapped = to_numpy(block.channel_mlp(block.channel_norm(tokens)))
        for channel_scale in (0, 2):
            difference = np.abs(outputs - tokens - channel_scale * mapped).max(axis=(1, 2, 3, 4))
            samples[token_scale, channel_scale] = np.flatnonzero(difference < 1e-4).tolist()
    assert all(samples.values()), "each of the four cases comes up among 24 samples"
    found = sorted(sample for case in samples.values() for sample in case)
    assert found == list(range(24)), "each sample is one of the four cases"


def test_no_drop_path_in_inference(rng):
    x = rng.standard_normal((2, 6, 3, 5, C)).astype("float32")
    dropping = built(x.shape, "short_range", 2, mlp_ratio=2, drop_path_rate=0.9, name="block")
    plain = built(x.shape, "short_range", 2, mlp_ratio=2, name="block")
    expected = to_numpy(plain(x))
    np.testing.assert_array_equal(to_numpy(dropping(x)), expected)
    np.testing.assert_array_equal(to_numpy(dropping(x, training=False)), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"drop_path_rate": 1.0}, r"must be a number of at least 0 and below 1, got 1.0"),
        ({"mlp_ratio": 0}, "ratio must be a number above 0, got 0"),
        ({"time_mixing": None}, "time_mixing must be a layer .* got None"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP3DBlock(**{"time_mixing": SHORT_RANGE, **arguments})


def test_wrong_input_shape():
    with pytest.raises(ValueError, match=r"MLP3DBlock expects tokens .* \(2, 4, 5, 8\)"):
        MLP3DBlock(SHORT_RANGE).build((2, 4, 5, 8))
