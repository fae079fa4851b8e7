"""Training: recipes, the optimizer and its schedule, freezing, and runs that can be interrupted.

Names are imported when they are first asked for; recipes do without Keras.
"""

import importlib
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.backend import import_keras

if TYPE_CHECKING:  # what `__getattr__` imports
    from keras_mlp3d._utils.keras_patches import set_random_seed
    from keras_mlp3d.distribution import Distribution, current_distribution, distribute
    from keras_mlp3d.training.adamw import AdamW, LayerwiseAdamW
    from keras_mlp3d.training.average_precision import MeanAveragePrecision
    from keras_mlp3d.training.callbacks import RunRecorder, StopAtNan, TrainingInterrupted
    from keras_mlp3d.training.changed_videos import (
        DataChange,
        data_change,
        data_identity,
        video_list,
    )
    from keras_mlp3d.training.checkpoint import (
        load_checkpoint,
        load_weights,
        save_checkpoint,
        save_weights,
    )
    from keras_mlp3d.training.epoch_data import EpochOfData, RestOfEpoch
    from keras_mlp3d.training.from_recipe import clip_converter, make_loaders, network_options
    from keras_mlp3d.training.optimizer import layer_multipliers, make_optimizer, warmup_cosine
    from keras_mlp3d.training.recipe import Recipe, list_recipes, parse_overrides
    from keras_mlp3d.training.run import TrainingRun, train
    from keras_mlp3d.training.run_folder import RunFolder
    from keras_mlp3d.training.stages import freeze
    from keras_mlp3d.training.tensorboard import EventFiles
    from keras_mlp3d.training.track import TRACKERS, tracked
    from keras_mlp3d.training.unreadable_videos import UnreadableVideo, UnreadableVideos

__all__ = [
    "TRACKERS",
    "AdamW",
    "DataChange",
    "Distribution",
    "EpochOfData",
    "EventFiles",
    "LayerwiseAdamW",
    "MeanAveragePrecision",
    "Recipe",
    "RestOfEpoch",
    "RunFolder",
    "RunRecorder",
    "StopAtNan",
    "TrainingInterrupted",
    "TrainingRun",
    "UnreadableVideo",
    "UnreadableVideos",
    "clip_converter",
    "current_distribution",
    "data_change",
    "data_identity",
    "distribute",
    "freeze",
    "layer_multipliers",
    "list_recipes",
    "load_checkpoint",
    "load_weights",
    "make_loaders",
    "make_optimizer",
    "network_options",
    "parse_overrides",
    "save_checkpoint",
    "save_weights",
    "set_random_seed",
    "tracked",
    "train",
    "video_list",
    "warmup_cosine",
]

#: {module: its names above}.
_IMPORTED_LATE = {
    "_utils.keras_patches": ("set_random_seed",),
    "distribution": ("Distribution", "current_distribution", "distribute"),
    "training.adamw": ("AdamW", "LayerwiseAdamW"),
    "training.average_precision": ("MeanAveragePrecision",),
    "training.callbacks": ("RunRecorder", "StopAtNan", "TrainingInterrupted"),
    "training.checkpoint": (
        "load_checkpoint",
        "load_weights",
        "save_checkpoint",
        "save_weights",
    ),
    "training.changed_videos": (
        "DataChange",
        "data_change",
        "data_identity",
        "video_list",
    ),
    "training.epoch_data": ("EpochOfData", "RestOfEpoch"),
    "training.from_recipe": ("clip_converter", "make_loaders", "network_options"),
    "training.optimizer": ("layer_multipliers", "make_optimizer", "warmup_cosine"),
    "training.recipe": ("Recipe", "list_recipes", "parse_overrides"),
    "training.run": ("TrainingRun", "train"),
    "training.run_folder": ("RunFolder",),
    "training.stages": ("freeze",),
    "training.tensorboard": ("EventFiles",),
    "training.track": ("TRACKERS", "tracked"),
    "training.unreadable_videos": ("UnreadableVideo", "UnreadableVideos"),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a name when it is first asked for."""
        for module, names in _IMPORTED_LATE.items():
            if name in names:
                if module != "training.recipe":
                    import_keras()
                value = getattr(importlib.import_module(f"keras_mlp3d.{module}"), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module 'keras_mlp3d.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
