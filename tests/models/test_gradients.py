"""Every optimizer sees the whole gradient of each weight, on every backend."""

import keras
import numpy as np
import pytest
from models import tiny

from keras_mlp3d import MLP3D, FrameCycleMLP, MLP3DBackbone, TwoPathMLP3D

SCHEDULE = ("short_range:2", "shift_token:3", "long_range:4", "shift_window:2", "full")


def of_schedule(**options):
    backbone = MLP3DBackbone(
        tiny.CHANNELS, tiny.DEPTHS, tiny.RATIOS, SCHEDULE, input_shape=(16, 36, 50, 3), **options
    )
    return MLP3D(backbone, tiny.CLASSES, dropout=0.0)


NETWORKS = {
    "shared": of_schedule,
    "unshared": lambda: of_schedule(share_weights=False),
    "largest group": lambda: of_schedule(max_group_size=4),
    "candidates": lambda: tiny.tiny_model(
        ("short_range:2",) * 5, candidates=["short_range:4"], task={"dropout": 0.0}
    ),
    "remat": lambda: of_schedule(remat=True),
    "two paths": lambda: TwoPathMLP3D(
        *(tiny.tiny_model(task={"name": name, "dropout": 0.0}) for name in ("slow", "fast")),
        motion_size=(32, 40),
    ),
    "frames": lambda: FrameCycleMLP(tiny.tiny_cycle_mlp(dropout=0.0)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_adam_takes_its_first_step_along_the_sign_of_the_gradient(name):
    """Where a gradient came in parts, Adam would square the parts alone."""
    keras.utils.set_random_seed(0)
    model = NETWORKS[name]()
    clips, labels = tiny.pixels().astype("float32"), np.array([1, 3])
    start = model.get_weights()

    def moved(optimizer):
        model.set_weights(start)
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        keras.utils.set_random_seed(1)
        before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
        model.train_on_batch(clips, labels)
        after = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
        return [new - old for old, new in zip(before, after, strict=True)]

    gradients = [-change for change in moved(keras.optimizers.SGD(1.0))]
    steps = moved(keras.optimizers.Adam(1e-3, epsilon=1e-12))
    for weight, gradient, step in zip(model.trainable_weights, gradients, steps, strict=True):
        large = np.abs(gradient) > 1e-4 + 1e-3 * np.abs(gradient).max()
        np.testing.assert_allclose(
            step[large], -1e-3 * np.sign(gradient[large]), rtol=0.02, atol=1e-6, err_msg=weight.path
        )
