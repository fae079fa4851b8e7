"""What each layer keeps in memory for the backward pass, on PyTorch without a compiler.

A rule lists the tensors that a layer's operations keep. A tensor that two operations keep is listed
once, by the first. Weights that are kept as they are take no further memory; copies of weights in
the compute dtype do.
"""

import dataclasses
import math
from typing import Any

import keras
import numpy as np

from keras_mlp3d.cost.rules import is_parameter
from keras_mlp3d.layers import (
    ChannelMLP,
    CycleFC,
    GroupedTimeMixing,
    MLP3DBlock,
    PixelNormalization,
    StageTransition,
    SubtractMean,
    SwitchableTimeMixing,
    TokenMixing,
    TubeletEmbedding,
)

_FLOAT32 = 4


@dataclasses.dataclass(frozen=True)
class LayerMemory:
    """Memory of one part of a training step, in bytes.

    Args:
        name: Path of the layer in the network.
        kept: Tensors kept from the forward pass until the layer's backward pass.
        working: The most that the layer's backward pass takes beside these: gradients of
            activations, and with `remat` what is computed again.
        forward: Tensors that are alive until the forward pass ends, and not kept.
        copies: Tensors that are alive in the layer's own forward pass alone.
        gradients: Gradients of the layer's weights.
        again: With `remat`, tensors that the backward pass computes again.

    Example:

    >>> LayerMemory("head", kept=48, working=68, gradients=260).kept
    48
    """

    name: str
    kept: int
    working: int = 0
    forward: int = 0
    copies: int = 0
    gradients: int = 0
    again: int = 0


def kept_tensors(layer: keras.layers.Layer, shape: tuple[int, ...]) -> list[LayerMemory]:
    """Return what a layer of a network keeps, part by part.

    Args:
        layer: A built layer that a network calls.
        shape: Shape of its input, batch axis first.

    Returns:
        List of `LayerMemory`, in the order of the forward pass.

    Raises:
        ValueError: If there is no rule for the layer's class.
    """
    size = math.prod(shape) * bytes_of(layer.compute_dtype)
    output = math.prod(layer.compute_output_shape(shape)) * bytes_of(layer.compute_dtype)
    # The network holds the outputs of all its layers until its forward pass ends. In float32 and
    # with remat, the next block keeps this very tensor anyway.
    held = 0 if layer.compute_dtype == "float32" else output
    if isinstance(layer, MLP3DBlock):
        parts = _block(layer, shape)
        held = 0 if layer.remat else held
    elif isinstance(layer, PixelNormalization | SubtractMean):
        return [LayerMemory(layer.name, 0, forward=output)]
    elif isinstance(layer, StageTransition):
        kept = size + _kernel_copy(layer.projection)
        parts = [LayerMemory("", kept, size + output, gradients=_gradients(layer))]
    elif isinstance(layer, TubeletEmbedding):
        kept = _embedding(layer, shape)
        cast = 0 if layer.compute_dtype == "float32" else size  # of the clips
        parts = [LayerMemory("", kept, output, copies=cast, gradients=_gradients(layer))]
    elif isinstance(layer, keras.layers.LayerNormalization):
        return [dataclasses.replace(_norm(layer, shape), name=layer.name, forward=output)]
    elif isinstance(layer, keras.layers.Dropout):
        return [
            LayerMemory(layer.name, math.prod(shape) if layer.rate else 0)
        ]  # one byte per number
    elif isinstance(layer, keras.layers.GlobalAveragePooling3D):
        return [LayerMemory(layer.name, 0, size)]
    elif isinstance(layer, keras.layers.Dense):
        return [dataclasses.replace(_dense(layer, shape), name=layer.name)]
    else:
        raise ValueError(
            f"No rule for the memory of {type(layer).__name__} {layer.name!r}: add one to "
            "keras_mlp3d/cost/kept_tensors.py."
        )
    named = [
        dataclasses.replace(part, name=f"{layer.name}/{part.name}".rstrip("/")) for part in parts
    ]
    return [*named[:-1], dataclasses.replace(named[-1], forward=held)]


def bytes_of(dtype: str) -> int:
    """Return the bytes of a number.

    Example:

    >>> bytes_of("bfloat16"), bytes_of("float32")
    (2, 4)
    """
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def _gradients(layer: keras.layers.Layer) -> int:
    return sum(
        math.prod(weight.shape) * bytes_of(weight.dtype) for weight in layer.trainable_weights
    )


def _is_cast(layer: keras.layers.Layer) -> bool:
    """Return whether weights are copied to another dtype for every product."""
    return layer.compute_dtype != layer.variable_dtype


def _kernel_copy(layer: Any) -> int:
    """Return bytes of the copy of a kernel in the compute dtype, if there is one."""
    return math.prod(layer.kernel.shape) * bytes_of(layer.compute_dtype) if _is_cast(layer) else 0


def _block(block: MLP3DBlock, shape: tuple[int, ...]) -> list[LayerMemory]:
    size = math.prod(shape) * bytes_of(block.compute_dtype)
    tokens = [
        _named("token_norm", _norm(block.token_norm, shape)),
        *(_named(f"token_mixing/{part.name}", part) for part in _mixing(block.token_mixing, shape)),
    ]
    channels = [
        _named("channel_norm", _norm(block.channel_norm, shape)),
        *(_named(f"channel_mlp/{part.name}", part) for part in _mlp(block.channel_mlp, shape)),
    ]
    if block.remat:
        tokens = [_again("token_mixing", tokens, size)]
        channels = [_again("channel_mlp", channels, size)]
    dropped: list[LayerMemory] = []
    if block.drop_path_rate:
        scale = shape[0] * bytes_of(block.compute_dtype)
        tokens.append(LayerMemory(block.token_drop.name, scale))
        dropped.append(LayerMemory(block.channel_drop.name, scale))
    # Beside a branch, the gradient of the shortcut is alive.
    return [
        dataclasses.replace(part, working=part.working + size)
        for part in (*tokens, *channels, *dropped)
    ]


def _named(name: str, part: LayerMemory) -> LayerMemory:
    return dataclasses.replace(part, name=name)


def _again(name: str, parts: list[LayerMemory], size: int) -> LayerMemory:
    """Return a branch that keeps its input alone; its backward pass has all its tensors again."""
    kept = sum(part.kept for part in parts)
    working = kept + max(part.working for part in parts)
    gradients = sum(part.gradients for part in parts)
    return LayerMemory(name, size, working, gradients=gradients, again=kept)


def _norm(layer: keras.layers.LayerNormalization, shape: tuple[int, ...]) -> LayerMemory:
    """Return the input in float32, and a mean and a deviation per token."""
    size = math.prod(shape)
    kept = _FLOAT32 * (size + 2 * size // shape[-1])
    if layer.variable_dtype != "float32":
        kept += 2 * _FLOAT32 * shape[-1]  # its scale and offset, in float32
    return LayerMemory("", kept, 2 * size * _FLOAT32, gradients=_gradients(layer))


def _dense(layer: Any, shape: tuple[int, ...]) -> LayerMemory:
    """Return the input, and if there is an activation, what it is applied to."""
    size = math.prod(shape) * bytes_of(layer.compute_dtype)
    output = size // shape[-1] * layer.units
    kept, working = size + _kernel_copy(layer), size + output
    if layer.activation is not keras.activations.linear:
        kept, working = kept + output, 2 * output + size
    return LayerMemory(layer.name, kept, working, gradients=_gradients(layer))


def _mlp(layer: ChannelMLP, shape: tuple[int, ...]) -> list[LayerMemory]:
    hidden = layer.expand.compute_output_shape(shape)
    return [_dense(layer.expand, shape), _dense(layer.reduce, hidden)]


def _mixing(layer: TokenMixing, shape: tuple[int, ...]) -> list[LayerMemory]:
    number = bytes_of(layer.compute_dtype)
    size, pooled = math.prod(shape) * number, (shape[0], shape[-1])
    hidden = layer.squeeze.compute_output_shape(pooled)
    branches = [
        _cycle(layer.mix_width, shape),
        _cycle(layer.mix_height, shape),
        _time(layer.mix_time, shape),
    ]
    # A branch that moves no token keeps the output of the norm, which is one tensor for all.
    unmoved = [i for i, branch in enumerate(branches) if branch.forward]
    for i in unmoved[1:]:
        branches[i] = dataclasses.replace(branches[i], kept=branches[i].kept - size)
    branches = [dataclasses.replace(branch, forward=0, working=4 * size) for branch in branches]
    # The outputs of the branches, which are multiplied by the weights of a softmax in float32.
    weights = math.prod(pooled) * 3 * (_FLOAT32 + (number if number != _FLOAT32 else 0))
    return [
        *branches,
        _dense(layer.squeeze, pooled),
        _dense(layer.excite, hidden),
        LayerMemory("weighted_sum", 3 * size + weights, 5 * size),
        _dense(layer.projection, shape),
    ]


def _cycle(layer: CycleFC, shape: tuple[int, ...]) -> LayerMemory:
    """Return the shifted tokens."""
    size = math.prod(shape) * bytes_of(layer.compute_dtype)
    kept = size + _kernel_copy(layer.dense)
    unmoved = size if layer.kernel_size == 1 else 0
    return LayerMemory(layer.name, kept, forward=unmoved, gradients=_gradients(layer))


def _time(layer: GroupedTimeMixing, shape: tuple[int, ...]) -> LayerMemory:
    """Return the grouped tokens, and the matrix of Eq. (5)."""
    pairs = [(layer.kind, layer.size)]
    if isinstance(layer, SwitchableTimeMixing):
        pairs = list(layer.candidates) if layer.random_rate else [layer.chosen]
    kept, unmoved = max(_time_of(layer, shape, kind, size) for kind, size in pairs)
    return LayerMemory(layer.name, kept, forward=unmoved, gradients=_gradients(layer))


def _time_of(
    layer: GroupedTimeMixing, shape: tuple[int, ...], kind: str, group: int
) -> tuple[int, int]:
    """Return what a kind and group size keeps, and how much of it is the input as it came."""
    number = bytes_of(layer.compute_dtype)
    size, channels = math.prod(shape) * number, shape[-1]
    if kind == "shift_token" or (group == 1 and layer.share_weights):
        kept = size * group + _kernel_copy(layer)
        if kind == "shift_token" and group == 1:
            return kept, size if layer.share_weights else 0
        return kept, size if group == 1 else 0
    if not layer.share_weights:
        return size + _kernel_copy(layer), 0
    return size + (group * channels) ** 2 * number + 4 * group * group, 0


def _embedding(layer: TubeletEmbedding, shape: tuple[int, ...]) -> int:
    """Return the clip with each window's frames along the channels, and the kernel likewise."""
    number = bytes_of(layer.compute_dtype)
    steps = layer.compute_output_shape(shape)[1]
    folded = shape[0] * steps * layer.window[0] * math.prod(shape[2:])
    copied = layer.window[0] > 1 or _is_cast(layer)
    kernel = math.prod(layer.kernel.shape) if copied else 0
    return number * (folded + kernel)


def state_bytes(model: keras.Model) -> int:
    """Return the bytes of all weights of a network, frozen ones too.

    Args:
        model: A built network.
    """
    return sum(
        math.prod(weight.shape) * bytes_of(weight.dtype)
        for weight in model.weights
        if is_parameter(weight)
    )
