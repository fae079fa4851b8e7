import keras
import numpy as np
import pytest
from layer_contract import assert_layer_contract, to_numpy
from numpy_weights import fill

from keras_mlp3d.layers import MLP3DBlock, SwitchableTimeMixing

C = 8
CANDIDATES = [("short_range", 1), ("short_range", 2), ("shift_token", 3)]


def make_block(remat, random_mixing=None, **options):
    """A block of short range 2: fixed, or with other candidates at a rate."""
    mixing = {"kind": "short_range", "group_size": 2}
    if random_mixing is not None:
        dtype = options.get("dtype")
        mixing = SwitchableTimeMixing(
            "short_range", 2, CANDIDATES, random_mixing, name="mix_time", dtype=dtype
        )
    return MLP3DBlock(mixing, mlp_ratio=2, remat=remat, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"drop_path_rate": 0.4},
        {"random_mixing": 0.8},
        {"random_mixing": 0.8, "drop_path_rate": 0.4},
    ],
)
def test_activations_computed_again_change_nothing(options, rng):
    x = rng.standard_normal((2, 6, 3, 5, C)).astype("float32")
    y = rng.standard_normal(x.shape).astype("float32")
    trained = []
    for remat in (False, True):
        keras.utils.set_random_seed(1)
        block = make_block(remat, **options)
        block.build(x.shape)
        fill(block)
        model = keras.Sequential([keras.Input(x.shape[1:]), block])
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
        losses = [float(model.train_on_batch(x, y)) for _ in range(4)]
        trained.append((losses, [to_numpy(weight) for weight in block.trainable_weights]))
    np.testing.assert_allclose(trained[1][0], trained[0][0], rtol=1e-5)
    for own, other in zip(trained[1][1], trained[0][1], strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("rate", "random_states"), [(None, 0), (0.5, 2)])
def test_contract(rate, random_states, tmp_path):
    assert_layer_contract(
        lambda **kwargs: make_block(True, random_mixing=rate, **kwargs),
        input_shape=(2, 6, 3, 5, C),
        output_shape=(2, 6, 3, 5, C),
        num_weights=20,
        random_states=random_states,
        tmp_path=tmp_path,
    )


@pytest.mark.parametrize("random_mixing", [None, 0.5])
def test_weights_that_change_between_traces_are_seen(random_mixing, rng):
    """Nothing of an earlier trace is kept: JAX frees the weights that training replaces."""
    x = rng.standard_normal((2, 6, 3, 5, C)).astype("float32")
    block = make_block(True, random_mixing)
    model = keras.Sequential([keras.Input(x.shape[1:]), block])
    for _ in range(2):
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
        model.fit(x, x, batch_size=2, verbose=0)
        before = model.predict(x, verbose=0)
        model.evaluate(x, x, batch_size=2, verbose=0)
        for weight in block.trainable_weights:
            weight.assign(keras.ops.convert_to_numpy(weight) * 1.1)
        assert np.abs(model.predict(x, verbose=0) - before).max() > 1e-3
