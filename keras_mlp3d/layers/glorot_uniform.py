"""Glorot's uniform initialiser, drawn by NumPy: quick, and alike on every backend."""

import math
import random

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class GlorotUniform(keras.initializers.Initializer):
    """Draws weights uniformly within ±sqrt(6 / (fan_in + fan_out)).

    The law is that of `keras.initializers.GlorotUniform`. Drawn by NumPy, one seed gives the same
    network on TensorFlow, JAX and PyTorch, and JAX compiles no generator for every weight shape.

    Args:
        seed: None to draw one (`keras.utils.set_random_seed` governs it), or an integer.

    Example:

    >>> weights = GlorotUniform(seed=3)((40, 20), "float32")
    >>> weights.shape == (40, 20) and bool(np.abs(np.array(weights)).max() <= 0.1 ** 0.5)
    True
    """

    def __init__(self, seed=None):
        self.seed = seed
        self._drawn = random.getrandbits(32) if seed is None else seed

    def __call__(self, shape, dtype=None):
        receptive = math.prod(shape[:-2])
        fan_in = shape[-2] * receptive if len(shape) > 1 else shape[-1]
        fan_out = shape[-1] * receptive
        limit = math.sqrt(6 / (fan_in + fan_out))
        values = np.random.default_rng(self._drawn).uniform(-limit, limit, shape)
        return keras.ops.convert_to_tensor(
            values.astype("float32"), dtype=dtype or keras.config.floatx()
        )

    def get_config(self):
        return {"seed": self.seed}
