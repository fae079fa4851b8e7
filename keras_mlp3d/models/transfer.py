"""Copying weights between networks, and of time mixing between schedules: w_Δ to w_Δ.

Source: section 3.3, Eq. (5), for what a time interval Δ is; section 4.2 for where it is used.
"""

from collections.abc import Collection
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mlp3d.layers import GroupedTimeMixing


def walk_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return every layer inside `layer`, itself first, each once."""
    return list(layer._flatten_layers(include_self=True, recursive=True))


def transfer_weights(
    source: keras.layers.Layer, target: keras.layers.Layer, skip: Collection[int] = ()
) -> list[str]:
    """Copy every weight of `source` that has a place of the same path and shape in `target`.

    Time-mixing kernels are copied by time interval: w_Δ goes to w_Δ, and intervals that the source
    lacks become zero.

    Args:
        source: Network whose weights are read.
        target: Network whose weights are set.
        skip: `id`s of layers of the target that keep their own weights.

    Returns:
        List of the paths in `target` that were not set, or not completely.
    """
    weights = {weight.path: weight for weight in source.weights}
    mixings = {
        layer.path: layer for layer in walk_layers(source) if isinstance(layer, GroupedTimeMixing)
    }
    kept = {
        weight.path
        for layer in walk_layers(target)
        if id(layer) in skip
        for weight in layer.weights
    }
    kernels = {}
    for layer in walk_layers(target):
        if isinstance(layer, GroupedTimeMixing) and layer.path in mixings:
            kernels[layer.kernel.path] = (layer, mixings[layer.path])
    missing = []
    for weight in target.weights:
        if weight.dtype == "int32":  # which candidate is chosen: nothing learned
            continue
        same = weights.get(weight.path)
        if weight.path in kept or same is None:
            missing.append(weight.path)
        elif weight.path in kernels:
            layer, origin = kernels[weight.path]
            if not take_intervals(layer, origin):
                missing.append(f"{weight.path} (time intervals new to it are zero)")
        elif tuple(same.shape) == tuple(weight.shape):
            _copy(same, weight)
        else:
            missing.append(weight.path)
    return missing


def intervals(layer: GroupedTimeMixing) -> tuple[np.ndarray, int] | None:
    """Return the shared weights of a time mixing by time interval.

    Args:
        layer: Built `GroupedTimeMixing`.

    Returns:
        Array (n, C, C) and the interval Δ of its first matrix; Δ grows by one per matrix. None
        for unshared weights, which have no intervals.
    """
    if not layer.share_weights:
        return None
    return ops.convert_to_numpy(layer.kernel), -layer.center


def set_intervals(layer: GroupedTimeMixing, matrices: Any, first: int = 0) -> None:
    """Set w_Δ of a time mixing for the given time intervals, and to zero for all others.

    With unshared weights, every block between places Δ apart becomes w_Δ.

    Args:
        layer: Built `GroupedTimeMixing`.
        matrices: Array (n, C, C): w_Δ for Δ = first, ..., first + n - 1.
        first: Interval Δ of the first matrix.

    Raises:
        ValueError: If the matrices are not C x C.
    """
    columns = 1 if layer.share_weights or layer.kind == "shift_token" else layer.size
    channels = layer.kernel.shape[-1] // columns
    matrices = np.asarray(matrices)
    if matrices.ndim != 3 or matrices.shape[1:] != (channels, channels):
        raise ValueError(
            f"{layer.name}: expected matrices of shape (n, {channels}, {channels}), got "
            f"{matrices.shape}."
        )
    known = {first + i: matrix for i, matrix in enumerate(matrices)}
    zero = np.zeros((channels, channels), matrices.dtype)
    if layer.share_weights:
        deltas = range(-layer.center, layer.kernel.shape[0] - layer.center)
        layer.kernel.assign(np.stack([known.get(delta, zero) for delta in deltas]))
        return
    rows = [
        [known.get(i if columns == 1 else j - i, zero) for j in range(columns)]
        for i in range(layer.size)
    ]
    layer.kernel.assign(np.block(rows))


def take_intervals(layer: GroupedTimeMixing, other: GroupedTimeMixing) -> bool:
    """Copy the kernel of another time mixing, by time interval if their forms differ.

    Args:
        layer: Built `GroupedTimeMixing` whose kernel is set.
        other: Built `GroupedTimeMixing` of the same number of channels.

    Returns:
        Whether every weight of `layer` had a counterpart in `other`.
    """
    same_form = (layer.kind == other.kind or layer.max_group_size is not None) and (
        layer.share_weights == other.share_weights and layer.max_group_size == other.max_group_size
    )
    if same_form and tuple(layer.kernel.shape) == tuple(other.kernel.shape):
        _copy(other.kernel, layer.kernel)
        return True
    held = intervals(other)
    if held is None:
        return False
    matrices, first = held
    set_intervals(layer, matrices, first)
    last = first + len(matrices) - 1
    own_first, own_last = -layer.center, layer.size - 1
    if layer.max_group_size is not None:
        own_last = layer.max_group_size - 1
    return first <= own_first and own_last <= last


def _copy(source: keras.Variable, target: keras.Variable) -> None:
    # By way of NumPy: on JAX two networks would share one array, which training the first frees.
    target.assign(ops.convert_to_numpy(source))
