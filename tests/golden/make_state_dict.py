"""Deterministic stand-in weights for the CycleMLP checkpoints.

`state_dict(name, seed)` returns {key: float32 array} with the keys and shapes of the public
CycleMLP checkpoints (cyclemlp_b*.keys.json); `image(seed, size)` the input batch.
The logits and features in cyclemlp_*.npz were made with seed 7 and size 96.
"""

import json
import pathlib
import zlib

import numpy as np

HERE = pathlib.Path(__file__).parent


def _array(key, shape, seed):
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    noise = rng.standard_normal(shape).astype(np.float32)
    if key.endswith(("norm1.weight", "norm2.weight")) or key == "norm.weight":
        return (1 + 0.1 * noise).astype(np.float32)
    if key.endswith(".bias"):
        return (0.05 * noise).astype(np.float32)
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    return (noise / np.sqrt(fan_in)).astype(np.float32)


def _cycle_offsets(shape, axis):
    channels = shape[1] // 2
    offsets = np.zeros(shape, np.float32)
    step = (np.arange(channels) + 1) % 3 - 1
    offsets[0, (1 if axis == "x" else 0) :: 2, 0, 0] = step
    return offsets


def state_dict(name, seed=7):
    shapes = json.loads((HERE / f"{name}.keys.json").read_text())
    state = {}
    for key, shape in shapes.items():
        if key.endswith("sfc_h.offset"):
            state[key] = _cycle_offsets(shape, "x")
        elif key.endswith("sfc_w.offset"):
            state[key] = _cycle_offsets(shape, "y")
        else:
            state[key] = _array(key, tuple(shape), seed)
    return state


def image(seed=7, size=96):
    """(2, 3, size, size) float32, channels first, normalized."""
    rng = np.random.default_rng([seed, 999])
    return rng.standard_normal((2, 3, size, size)).astype(np.float32)
