"""Training: recipes, the optimizer and its schedule, freezing, and runs that can be interrupted."""

from keras_mlp3d._utils.keras_patches import set_random_seed
from keras_mlp3d.distribution import Distribution, current_distribution, distribute
from keras_mlp3d.training.adamw import AdamW, LayerwiseAdamW
from keras_mlp3d.training.average_precision import MeanAveragePrecision
from keras_mlp3d.training.callbacks import RunRecorder, StopAtNan, TrainingInterrupted
from keras_mlp3d.training.checkpoint import (
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from keras_mlp3d.training.data_change import DataChange, data_change, data_identity, video_list
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
