"""Training: recipes, the optimiser and its schedule, freezing."""

from keras_mlp3d.training.callbacks import EpochOfData, RunRecorder, StopAtNan
from keras_mlp3d.training.checkpoint import (
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from keras_mlp3d.training.freeze import freeze
from keras_mlp3d.training.layerwise_adamw import LayerwiseAdamW
from keras_mlp3d.training.optimiser import layer_multipliers, make_optimizer
from keras_mlp3d.training.overrides import parse_overrides
from keras_mlp3d.training.recipe import Recipe, list_recipes
from keras_mlp3d.training.run import TrainingRun, train
from keras_mlp3d.training.schedule import warmup_cosine

__all__ = [
    "EpochOfData",
    "LayerwiseAdamW",
    "Recipe",
    "RunRecorder",
    "StopAtNan",
    "TrainingRun",
    "freeze",
    "layer_multipliers",
    "list_recipes",
    "load_checkpoint",
    "load_weights",
    "make_optimizer",
    "parse_overrides",
    "save_checkpoint",
    "save_weights",
    "train",
    "warmup_cosine",
]
