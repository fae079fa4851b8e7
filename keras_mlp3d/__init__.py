"""MLP-3D for Keras 3: video recognition with neither convolution blocks nor attention.

An implementation of "MLP-3D: A MLP-like 3D Architecture with Grouped Time Mixing" (Qiu, Yao, Ngo,
Mei; CVPR 2022) that runs alike on TensorFlow, JAX and PyTorch.
"""

import importlib

from keras_mlp3d import layers, models
from keras_mlp3d.hub import list_presets, upload_preset
from keras_mlp3d.models import (
    MLP3D,
    CycleMLP,
    FrameCycleMLP,
    Mixing,
    MLP3DBackbone,
    TwoPathMLP3D,
    parse_schedule,
)
from keras_mlp3d.version import __version__

#: Rooms that a network itself does not need: imported when first asked for.
_LAZY = (
    *("conversion", "cost", "data", "distribution", "hub", "inference", "plots", "search"),
    "training",
)

__all__ = [
    "MLP3D",
    "CycleMLP",
    "FrameCycleMLP",
    "MLP3DBackbone",
    "Mixing",
    "TwoPathMLP3D",
    "__version__",
    "conversion",
    "cost",
    "data",
    "distribution",
    "hub",
    "inference",
    "layers",
    "list_presets",
    "models",
    "parse_schedule",
    "plots",
    "search",
    "training",
    "upload_preset",
]


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"keras_mlp3d.{name}")
    raise AttributeError(f"module 'keras_mlp3d' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_LAZY})
