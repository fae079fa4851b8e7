"""MLP-3D for Keras 3: video recognition with neither convolution blocks nor attention.

An implementation of "MLP-3D: A MLP-like 3D Architecture with Grouped Time Mixing" (Qiu, Yao, Ngo,
Mei; CVPR 2022) that gives the same results on TensorFlow, JAX and PyTorch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils import backend as _backend
from keras_mlp3d.version import __version__

if TYPE_CHECKING:  # what editors and type checkers see of the names that `__getattr__` imports
    from keras_mlp3d import (
        app,
        conversion,
        cost,
        data,
        distribution,
        export,
        hub,
        inference,
        layers,
        models,
        plots,
        search,
        training,
    )
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

__all__ = [
    "MLP3D",
    "CycleMLP",
    "FrameCycleMLP",
    "MLP3DBackbone",
    "Mixing",
    "TwoPathMLP3D",
    "__version__",
    "app",
    "conversion",
    "cost",
    "data",
    "distribution",
    "export",
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

_FROM_HUB = ("list_presets", "upload_preset")
_FROM_MODELS = (
    *("MLP3D", "CycleMLP", "FrameCycleMLP", "MLP3DBackbone", "Mixing", "TwoPathMLP3D"),
    "parse_schedule",
)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a package, or a name of one, when it is first asked for."""
        if name not in __all__:
            raise AttributeError(f"module 'keras_mlp3d' has no attribute {name!r}")
        if name != "data":  # it imports Keras where that is needed
            _backend.import_keras()
        if name in _FROM_HUB:
            value = getattr(importlib.import_module("keras_mlp3d.hub"), name)
        elif name in _FROM_MODELS:
            value = getattr(importlib.import_module("keras_mlp3d.models"), name)
        else:
            value = importlib.import_module(f"keras_mlp3d.{name}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _import_package() -> None:
    """Import Keras, what it must know to load models from files, and what converts weights."""
    _backend.import_keras()
    for name in ("conversion", "training.adamw", "training.average_precision"):
        importlib.import_module(f"keras_mlp3d.{name}")


# A command does this when it starts Keras, and a process that makes clips if it needs Keras.
_backend.import_package = _import_package
if not (_backend.is_command() or _backend.starts_without_keras()):
    _import_package()
