import keras
import numpy as np
import pytest
from layer_contract import assert_layer_contract, forward, to_numpy
from numpy_weights import fill, weights_of
from reference import block as twin

from keras_mlp3d.layers import MLP3DBlock

C = 8


def built(shape, *args, **kwargs):
    block = MLP3DBlock(*args, **kwargs)
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
    block = built(x.shape, kind, size, mlp_ratio=mlp_ratio, drop_path_rate=0.5, **options)
    expected = twin.block(x.astype("float64"), weights_of(block), kind, size, **options)
    np.testing.assert_allclose(to_numpy(forward(block, x)), expected, rtol=0, atol=5e-5)


def test_contract(tmp_path):
    norm, split = 2 * C, C * 2 + 2 + 2 * 3 * C + 3 * C
    token_mixing = 3 * (C * C + C) + 3 * C * C + C + split
    assert_layer_contract(
        lambda **kwargs: MLP3DBlock("short_range", 2, mlp_ratio=2, **kwargs),
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
        ({"drop_path_rate": 1.0}, r"must be a number in \[0, 1\), got 1.0"),
        ({"mlp_ratio": 0}, "ratio must be a number above 0, got 0"),
        ({"group_size": 0}, "group_size must be a positive integer .* got 0"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP3DBlock(**{"kind": "short_range", "group_size": 2, **arguments})


def test_wrong_input_shape():
    with pytest.raises(ValueError, match=r"MLP3DBlock expects tokens .* \(2, 4, 5, 8\)"):
        MLP3DBlock("short_range", 2).build((2, 4, 5, 8))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"drop_path_rate": 0.4},
        {"candidates": [("short_range", size) for size in (1, 2, 3)], "random_mixing": 0.8},
    ],
)
def test_activations_computed_again_change_nothing(options, rng):
    x = rng.standard_normal((2, 6, 3, 5, C)).astype("float32")
    y = rng.standard_normal(x.shape).astype("float32")
    trained = []
    for remat in (False, True):
        keras.utils.set_random_seed(1)
        block = MLP3DBlock("short_range", 2, mlp_ratio=2, remat=remat, **options)
        block.build(x.shape)
        fill(block)
        model = keras.Sequential([keras.Input(x.shape[1:]), block])
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
        losses = [float(model.train_on_batch(x, y)) for _ in range(4)]
        trained.append((losses, [to_numpy(weight) for weight in block.trainable_weights]))
    np.testing.assert_allclose(trained[1][0], trained[0][0], rtol=1e-5)
    for own, other in zip(trained[1][1], trained[0][1], strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-5)


def test_contract_with_candidates_computed_again(tmp_path):
    assert_layer_contract(
        lambda **kwargs: MLP3DBlock(
            "short_range",
            2,
            mlp_ratio=2,
            candidates=[("short_range", 2), ("shift_token", 3)],
            random_mixing=0.5,
            remat=True,
            **kwargs,
        ),
        input_shape=(2, 6, 3, 5, C),
        output_shape=(2, 6, 3, 5, C),
        num_weights=20,
        random_states=2,
        tmp_path=tmp_path,
    )
