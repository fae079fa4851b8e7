"""The counting rule of every layer: its multiply-accumulates and parameters."""

import math
from typing import Any, TypeAlias

import keras

from keras_mlp3d.layers import (
    ChannelMLP,
    CycleFC,
    GroupedTimeMixing,
    MLP3DBlock,
    PixelNormalization,
    StageTransition,
    StochasticDepth,
    SubtractMean,
    SwitchableTimeMixing,
    TokenMixing,
    TubeletEmbedding,
)

#: Path, output shape, multiply-accumulates, parameters.
Row: TypeAlias = tuple[str, tuple[int, ...], int, int]
#: Layers that multiply no weight with an activation.
FREE = (
    PixelNormalization,
    keras.layers.Dropout,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.LayerNormalization,
    StochasticDepth,
    SubtractMean,
)


def is_parameter(weight: Any) -> bool:
    """Return whether a weight is learned: no state of a random generator, and no choice."""
    return weight.dtype not in ("uint32", "int32", "int64")


def layer_rows(layer: keras.layers.Layer, shape: tuple[int, ...]) -> list[Row]:
    """Return the rows of a layer for an input shape.

    Args:
        layer: A built layer.
        shape: tuple[int, ...] of its input, batch axis first.

    Returns:
        List of (path, output shape, multiply-accumulates, parameters).

    Raises:
        ValueError: If there is no rule for the layer's class.
    """
    if isinstance(layer, MLP3DBlock):
        parts = (layer.token_norm, layer.token_mixing, layer.channel_norm, layer.channel_mlp)
        return _rows_of(layer, [(part, shape) for part in parts])
    if isinstance(layer, TokenMixing):
        pooled = (shape[0], shape[-1])
        hidden = layer.squeeze.compute_output_shape(pooled)
        return _rows_of(
            layer,
            [
                (layer.mix_width, shape),
                (layer.mix_height, shape),
                (layer.mix_time, shape),
                (layer.squeeze, pooled),
                (layer.excite, hidden),
                (layer.projection, shape),
            ],
        )
    if isinstance(layer, ChannelMLP):
        hidden = layer.expand.compute_output_shape(shape)
        return _rows_of(layer, [(layer.expand, shape), (layer.reduce, hidden)])
    output = layer.compute_output_shape(shape)
    params = sum(math.prod(weight.shape) for weight in layer.weights if is_parameter(weight))
    return [(layer.name, output, _macs(layer, shape, output), params)]


def _rows_of(
    layer: keras.layers.Layer, parts: list[tuple[keras.layers.Layer, tuple[int, ...]]]
) -> list[Row]:
    return [
        (f"{layer.name}/{name}", output, macs, params)
        for part, shape in parts
        for name, output, macs, params in layer_rows(part, shape)
    ]


def _macs(layer: keras.layers.Layer, shape: tuple[int, ...], output: tuple[int, ...]) -> int:
    positions = math.prod(output[:-1]) // output[0]
    if isinstance(layer, FREE):
        return 0
    if isinstance(layer, keras.layers.Dense | CycleFC):
        return positions * shape[-1] * output[-1]
    if isinstance(layer, StageTransition | TubeletEmbedding):
        return positions * math.prod(layer.kernel.shape)
    if isinstance(layer, GroupedTimeMixing):
        switchable = isinstance(layer, SwitchableTimeMixing)
        size = layer.chosen[1] if switchable else layer.group_size
        return positions * (shape[1] if size is None else size) * shape[-1] ** 2
    raise ValueError(
        f"No counting rule for {type(layer).__name__} {layer.name!r}: add one to "
        "keras_mlp3d/cost/rules.py."
    )
