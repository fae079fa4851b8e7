"""When a training is compiled by XLA although Keras would not."""

import keras
import numpy as np
import pytest
from training.noise import Clips

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.training import Recipe, objective, train

BACKEND = keras.backend.backend()
RECIPE = Recipe("unmeasured", "test", batch_size=2, epochs=1, warmup_epochs=0.5)


def tiny(**options):
    keras.utils.set_random_seed(3)
    backbone = MLP3DBackbone((8,) * 4, (1,) * 4, 1, "short_range:2", **options)
    return MLP3D(backbone, 2, dropout=0.0)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="Keras decides as we would")
def test_a_long_training_on_processors_is_compiled_and_learns_the_same(tmp_path, monkeypatch):
    weights = []
    for limit in (objective.STEPS_WORTH_XLA, 1):
        monkeypatch.setattr(objective, "STEPS_WORTH_XLA", limit)
        model = tiny()
        train(model, RECIPE, Clips(), folder=tmp_path / str(limit), verbose=0)
        assert model.jit_compile == (limit == 1)
        weights.append(model.get_weights())
    for graph, xla in zip(*weights, strict=True):
        np.testing.assert_allclose(xla, graph, atol=2e-4)


@pytest.mark.parametrize(
    ("make", "steps", "compiled"),
    [
        (tiny, objective.STEPS_WORTH_XLA, BACKEND == "tensorflow"),
        (tiny, objective.STEPS_WORTH_XLA - 1, False),
        (lambda: tiny(candidates=["short_range:1", "short_range:2"]), 10**6, False),
        (lambda: keras.Sequential([keras.layers.Dense(1)]), 10**6, False),
    ],
)
def test_what_is_worth_it(make, steps, compiled):
    """Otherwise Keras decides."""
    assert objective._jit_compile(make(), steps) == (True if compiled else "auto")


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a strategy of TensorFlow")
def test_not_on_several_devices():
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        assert objective._jit_compile(tiny(), 10**6) == "auto"
