"""One small network for all tests of models: odd where it can be, and quick to build."""

import numpy as np
from layer_contract import forward, to_numpy
from numpy_weights import fill

from keras_mlp3d import MLP3D, CycleMLP, MLP3DBackbone

CHANNELS, DEPTHS, RATIOS = (4, 8, 8, 12), (1, 1, 2, 1), (2, 3, 2, 2)
SCHEDULE = ("short_range:2", "shift_token:3", "long_range:4", "shift_window:2", "short_range:1")
CLASSES = 5
CLIP = (2, 16, 36, 50, 3)
IMAGE = (2, 36, 50, 3)


def tiny_backbone(schedule=SCHEDULE, seed=0, **options):
    """An `MLP3DBackbone` with weights that its paths alone decide."""
    options.setdefault("mlp_ratios", RATIOS)
    return fill(MLP3DBackbone(CHANNELS, DEPTHS, schedule=schedule, **options), seed)


def tiny_model(schedule=SCHEDULE, seed=0, num_classes=CLASSES, task=None, **options):
    """An `MLP3D` on such a backbone; `task` holds further arguments of the classifier."""
    backbone = tiny_backbone(schedule, seed, **options)
    return fill(MLP3D(backbone, num_classes, **(task or {})), seed)


def tiny_cycle_mlp(seed=0, **options):
    """A `CycleMLP` of the same structure."""
    return fill(CycleMLP(CHANNELS, DEPTHS, RATIOS, **{"num_classes": CLASSES, **options}), seed)


def pixels(shape=CLIP, seed=0):
    """uint8 pixels that vary from frame to frame."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


def run(model, x):
    """Outputs as a NumPy array.

    JAX compiles eager operations one by one, and keeps them: on inputs of one shape, however many
    networks share it, that takes the least time. Everything else runs there as one program.
    """
    keep = np.shape(x) in (CLIP, IMAGE) and model.dtype_policy.compute_dtype == "float32"
    return to_numpy(model(x) if keep else forward(model, x))
