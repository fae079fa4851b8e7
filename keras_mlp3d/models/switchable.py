"""A network whose blocks can be switched between kinds and sizes, and the ordinary one out of it.

Source: section 3.4 (the supernet of the search), section 4.2 (random change of GTM).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from keras_mlp3d.layers import (
    GroupedTimeMixing,
    MLP3DBlock,
    SwitchableTimeMixing,
)
from keras_mlp3d.models.dtype_policies import quantized_layers
from keras_mlp3d.models.lora import adapted_layers
from keras_mlp3d.models.network import portable_config
from keras_mlp3d.models.schedule import Mixing, parse_schedule
from keras_mlp3d.models.transfer import transfer_weights

#: Arguments that a network has for its training alone.
_TRAINING = {"candidates": None, "random_mixing": 0.0, "remat": False}


def time_mixing(
    mixing: Mixing,
    candidates: Sequence[Mixing] | None,
    random_mixing: float,
    share_weights: bool,
    max_group_size: int | None,
    dtype: Any,
) -> keras.layers.Layer:
    """Return the time mixing of one block: fixed, or switchable if there are candidates."""
    options = {"dtype": dtype, "name": "mix_time"}
    own = (mixing.kind, mixing.group_size)
    if candidates is None:
        return GroupedTimeMixing(
            *own, share_weights=share_weights, max_group_size=max_group_size, **options
        )
    pairs = [(other.kind, other.group_size) for other in candidates]
    return SwitchableTimeMixing(
        *own, pairs if own in pairs else [*pairs, own], random_mixing, **options
    )


def choices(backbone: keras.Model) -> tuple[Mixing, ...]:
    """Return the schedule in use: the last one given to `set_choices`."""
    if backbone.candidates is None:
        return backbone.schedule
    chosen = (block.token_mixing.mix_time.chosen for block in _blocks(backbone))
    return tuple(Mixing(*pair) for pair in chosen)


def set_choices(backbone: keras.Model, schedule: Any) -> None:
    """Switch every block to one of its candidates, or none if one of them is unknown."""
    schedule = parse_schedule(schedule, sum(backbone.depths))
    if backbone.candidates is None:
        raise ValueError(f"{backbone.name} has no candidates to choose from; give it some.")
    allowed = [{*backbone.candidates, own} for own in backbone.schedule]
    for block, mixing in enumerate(schedule):
        if mixing not in allowed[block]:
            known = ", ".join(map(str, backbone.candidates))
            raise ValueError(
                f"{mixing} is no candidate of block {block}; the candidates are {known}."
            )
    for layer, mixing in zip(_blocks(backbone), schedule, strict=True):
        layer.token_mixing.mix_time.choose(mixing.kind, mixing.group_size)


def sample_blocks(backbone: keras.Model, sampled: Sequence[bool]) -> None:
    """Decide which blocks sample another candidate in training; each other one keeps its choice.

    A function that is compiled already keeps what it was compiled with: compile the model again.

    Args:
        backbone: `MLP3DBackbone` with candidates.
        sampled: A bool per block.
    """
    for block, on in zip(_blocks(backbone), sampled, strict=True):
        layer = block.token_mixing.mix_time
        layer.sample_candidate.rate = layer.random_rate if on else 0.0


def _blocks(backbone: keras.Model) -> list[MLP3DBlock]:
    return [layer for layer in backbone.layers if isinstance(layer, MLP3DBlock)]


def extract(model: Any, schedule: Any = None) -> Any:
    """Return the ordinary network of a schedule with the weights of a network with candidates.

    The result computes what `model` computes with those choices, and samples nothing.

    Args:
        model: `MLP3D` whose backbone has candidates: a supernet, or one trained with random
            mixing. Or a `TwoPathMLP3D` of such networks.
        schedule: In any form that `parse_schedule` reads; None for the choices in use.

    Returns:
        A network with one kind and size per block; `model` is not changed.

    Raises:
        ValueError: If the schedule cannot be read, or `model` has no weights for it, has LoRA
            adapters or is quantized.

    Source:
        Section 3.4.

    Example:

    >>> backbone = MLP3DBackbone(
    ...     (8, 8, 8, 8), (1, 1, 1, 1), 2, "short_range:1", candidates=["shift_token:2"]
    ... )
    >>> model = MLP3D(backbone, num_classes=3)
    >>> network = extract(model, "shift_token:2")
    >>> str(network.backbone.schedule[0]), network.backbone.candidates
    ('shift_token:2', None)
    """
    for what, layers in (
        ("LoRA adapters", adapted_layers(model)),
        ("quantized weights", quantized_layers(model)),
    ):
        if layers:
            raise ValueError(f"{model.name} has {what}: extract the network before, or merge them.")
    paths = paths_of(model)
    if len(paths) > 1:
        extracted = [extract(path, schedule) for path in paths]
        network = type(model)(
            *extracted, **model.own_config(), converter=model.converter, name=model.name
        )
    else:
        network = _extracted(model, schedule)
    if model._origin is not None:  # the license stays
        network._origin = dataclasses.replace(model._origin, weights_sha256=None)
    return network


def _extracted(model, schedule):
    backbone = model.backbone
    schedule = backbone.choices if schedule is None else schedule
    config = {**portable_config(backbone), "name": backbone.name, "schedule": schedule, **_TRAINING}
    network = type(model)(
        type(backbone).from_config(config),
        **{**model.task_config(), "class_names": model.class_names},
        converter=model.converter,
        name=model.name,
    )
    missing = transfer_weights(model, network)
    if missing:
        raise ValueError(f"There are no weights for {schedule!r}: {', '.join(missing)}.")
    return network


def paths_of(model: Any) -> list[Any]:
    """Return both paths of a two-path network; else the network alone."""
    return [model.appearance, model.motion] if hasattr(model, "appearance") else [model]


def without_training(model: Any) -> Any:
    """Return a network without what only its training needs: candidates, activations made twice.

    Args:
        model: Any network of this package; it is not changed.
    """
    backbones = [path.backbone for path in paths_of(model) if hasattr(path, "backbone")]
    needed = any(backbone.candidates or backbone.remat for backbone in backbones)
    return extract(model) if needed else model
