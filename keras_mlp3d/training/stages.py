"""The stages of a network, found by the names of its layers, and freezing of the first ones."""

import logging
import re
from typing import TypeVar

import keras

from keras_mlp3d._utils.checks import check_integer

_logger = logging.getLogger("keras_mlp3d")

Model = TypeVar("Model", bound=keras.Model)

_STAGE = re.compile(r"stage([1-4])_(transition|block[1-9][0-9]*)")
EMBEDDING, NORM = "embedding", "norm"


def stage_of(name: str) -> int | None:
    """Return the stage, 1 to 4, of the layer with this name, or None."""
    match = _STAGE.fullmatch(name)
    return int(match[1]) if match else None


def is_block(name: str) -> bool:
    """Return whether the layer with this name is a block."""
    match = _STAGE.fullmatch(name)
    return bool(match) and match[2] != "transition"


def find_backbones(model: keras.Model) -> list[keras.Model]:
    """Return the functional models, `model` or models inside it, that hold the four stages.

    Raises:
        ValueError: If there is none.
    """
    found = _backbones(model)
    if not found:
        raise ValueError(
            "Expected a network of this package, or a model around one, with layers 'embedding' "
            f"and 'stage1_block1' to 'stage4_...'; {getattr(model, 'name', model)!r} has none."
        )
    return found


def _backbones(model):
    layers = [layer for layer in getattr(model, "layers", ()) if layer is not model]
    if {stage_of(layer.name) for layer in layers} >= {1, 2, 3, 4}:
        return [model]
    return [backbone for layer in layers for backbone in _backbones(layer)]


def freeze(model: Model, stages: int) -> Model:
    """Make the embedding and the first stages untrainable, and all later stages trainable.

    The norms and biases of a stage are frozen with it; its stochastic depth stays active. Call it
    before `compile`. A call with a smaller number makes stages trainable again.

    Args:
        model: `MLP3D`, `MLP3DBackbone`, `TwoPathMLP3D` (both paths), `CycleMLP`, or a model around
            one of them.
        stages: Number of stages to freeze, 0 to 4. With 0 the embedding is trainable too. With 4
            the last norm is frozen too, so that only the classifier is trained.

    Returns:
        The model.

    Raises:
        ValueError: If `stages` is not an integer from 0 to 4, or the model has no such stages.

    Example:

    >>> from keras_mlp3d import MLP3D
    >>> model = freeze(MLP3D.from_preset("mlp3d_nano", load_weights=False), 4)
    >>> [weight.path for weight in model.trainable_variables]
    ['head/kernel', 'head/bias']
    """
    stages = check_integer("stages", stages, minimum=0, maximum=4)
    for backbone in find_backbones(model):
        for layer in backbone.layers:
            stage = {EMBEDDING: 1, NORM: 4}.get(layer.name, stage_of(layer.name))
            if stage is not None:
                layer.trainable = stage > stages
    return model


def _report_frozen(model: keras.Model) -> None:
    """Log how many layers are frozen, which a recipe that freezes none leaves as they are."""
    layers = [layer for layer in model._flatten_layers() if layer._trainable_variables]
    frozen = sum(not layer.trainable for layer in layers)
    if frozen:
        _logger.warning(
            "%s: %d of %d layers with weights are frozen and stay so; training.freeze(model, 0) "
            "would train all stages.",
            *(model.name, frozen, len(layers)),
        )


def choose_trained_weights(model: keras.Model, frozen_stages: int, lora_rank: int | None) -> None:
    """Freeze the first stages, or all weights except adapters that are added to the network.

    Args:
        model: The network.
        frozen_stages: Number of stages to freeze. With 0 any Keras model is taken, and what is
            frozen in it, or has adapters, stays so.
        lora_rank: None, or the rank of the adapters. A network that has them keeps them.

    Raises:
        ValueError: If the network cannot have adapters, or has some of another rank, or has no
            stages to freeze.
    """
    if lora_rank is None:
        if frozen_stages:
            freeze(model, frozen_stages)
        elif getattr(model, "lora_rank", None) is None:
            _report_frozen(model)
        return
    if not hasattr(model, "enable_lora"):
        raise ValueError(
            f"lora_rank={lora_rank} needs a network of this package, got {type(model).__name__}."
        )
    if model.lora_rank is None:
        model.enable_lora(lora_rank)
    elif model.lora_rank != lora_rank:
        raise ValueError(
            f"lora_rank={lora_rank}, but {model.name} has adapters of rank {model.lora_rank}: call "
            "merge_lora() before, or train with their rank."
        )
