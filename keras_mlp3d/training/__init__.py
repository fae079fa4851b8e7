"""Training: recipes, the optimiser and its schedule, freezing."""

from keras_mlp3d.training.callbacks import (
    EpochOfData,
    RunRecorder,
    StopAtNan,
    TrainingInterrupted,
)
from keras_mlp3d.training.checkpoint import (
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from keras_mlp3d.training.data_change import DataChange, data_change, video_list
from keras_mlp3d.training.distribution import Distribution, current_distribution, distribute
from keras_mlp3d.training.event_files import EventFiles
from keras_mlp3d.training.freeze import freeze
from keras_mlp3d.training.from_recipe import (
    clip_converter,
    data_identity,
    make_loaders,
    network_options,
)
from keras_mlp3d.training.layerwise_adamw import LayerwiseAdamW
from keras_mlp3d.training.optimiser import layer_multipliers, make_optimizer
from keras_mlp3d.training.overrides import parse_overrides
from keras_mlp3d.training.recipe import Recipe, list_recipes
from keras_mlp3d.training.rest_of_epoch import RestOfEpoch
from keras_mlp3d.training.run import TrainingRun, train
from keras_mlp3d.training.run_folder import RunFolder
from keras_mlp3d.training.schedule import warmup_cosine
from keras_mlp3d.training.unreadable import UnreadableVideo, UnreadableVideos

__all__ = [
    "DataChange",
    "Distribution",
    "EpochOfData",
    "EventFiles",
    "LayerwiseAdamW",
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
    "train",
    "video_list",
    "warmup_cosine",
]
