"""Weights made by NumPy: the same on every backend, and in the form that the twins take."""

import zlib

import keras
import numpy as np


def float_weights(layer):
    """[(name, variable)] without the layer's own name; states of random generators left out."""
    prefix = "" if isinstance(layer, keras.Model) else layer.name + "/"
    return [
        (variable.path.removeprefix(prefix), variable)
        for variable in layer.weights
        if "float" in variable.dtype
    ]


def fill(layer, seed=0):
    """Gives every weight a value that depends on its name and shape alone; none stays zero."""
    for name, variable in float_weights(layer):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        noise = rng.standard_normal(tuple(variable.shape))
        if name.endswith("gamma"):
            value = 1 + 0.1 * noise
        elif name.endswith(("bias", "beta")):
            value = 0.1 * noise
        else:
            value = noise / np.sqrt(np.prod(variable.shape[:-1]))
        variable.assign(value.astype("float32"))
    return layer


def weights_of(layer):
    """{name: float64 array}, as the twins in `reference` take them."""
    return {
        name: keras.ops.convert_to_numpy(variable).astype("float64")
        for name, variable in float_weights(layer)
    }
