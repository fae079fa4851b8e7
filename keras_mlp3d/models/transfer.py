"""Carrying weights from one network to another of the same structure."""

import keras

from keras_mlp3d.layers import GroupedTimeMixing


def walk_layers(layer):
    """Returns every layer inside `layer`, itself first, each once."""
    return layer._flatten_layers(include_self=True, recursive=True)


def transfer_weights(source, target, skip=()):
    """Copies every weight of `source` that has a place of the same path and shape in `target`.

    Time-mixing kernels with shared weights are carried over by time interval: w_Δ goes to w_Δ,
    intervals that the source lacks become zero.

    Args:
        source: Network whose weights are read.
        target: Network whose weights are set.
        skip: `id`s of layers of the target that keep their own weights.

    Returns:
        List of the paths in `target` that were not, or not wholly, set.
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
    # Each weight becomes a copy: on JAX two networks would otherwise share one array, which is
    # gone for the second as soon as the first trains.
    missing = []
    carried = {}
    for layer in walk_layers(target):
        if isinstance(layer, GroupedTimeMixing) and layer.path in mixings:
            carried[layer.kernel.path] = (layer, mixings[layer.path])
    for weight in target.weights:
        if weight.dtype == "int32":  # which candidate is chosen: nothing learned
            continue
        same = weights.get(weight.path)
        if weight.path in kept or same is None:
            missing.append(weight.path)
        elif weight.path in carried:
            layer, origin = carried[weight.path]
            if not layer.take_intervals(origin):
                missing.append(f"{weight.path} (time intervals new to it are zero)")
            weight.assign(keras.ops.convert_to_numpy(weight))
        elif tuple(same.shape) == tuple(weight.shape):
            weight.assign(keras.ops.convert_to_numpy(same))
        else:
            missing.append(weight.path)
    return missing
