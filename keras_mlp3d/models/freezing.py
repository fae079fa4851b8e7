"""Which layers and variables of a network are trained: what a `.keras` file keeps of it."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras


def frozen_state(model: keras.Model, apart: type) -> dict[str, Any]:
    """Return which layers, and which variables of trained layers, are frozen.

    Args:
        model: A functional model.
        apart: Class of networks inside it that store their own state.

    Returns:
        {"layers": {path: whether it is trained}, "variables": [path]}, paths being names below
        the model. A layer that is not listed is as the layer around it.
    """
    layers: dict[str, bool] = {}
    variables = []
    for path, layer, around in _walk(model, apart):
        if layer.trainable != (around is None or around.trainable):
            layers[path] = layer.trainable
        if layer.trainable:
            frozen = (each.name for each in layer._trainable_variables if not each.trainable)
            variables += [f"{path}/{name}" for name in frozen]
    return {"layers": layers, "variables": variables}


def freeze_as(model: keras.Model, state: Mapping[str, Any], apart: type) -> None:
    """Freeze what `frozen_state` found.

    Args:
        model: A functional model of the same layers.
        state: What `frozen_state` returned.
        apart: Class of networks inside the model that are left as they are.
    """
    variables = frozenset(state["variables"])
    for path, layer, around in _walk(model, apart):
        inherited = around is None or around.trainable
        trainable = bool(state["layers"].get(path, inherited))
        # Not by its setter, which would set every layer inside it too.
        layer._trainable = trainable
        for each in layer._trainable_variables:
            each.trainable = trainable and f"{path}/{each.name}" not in variables


def _walk(
    layer: keras.layers.Layer, apart: type, path: str = "", around: Any = None
) -> Iterator[tuple[str, keras.layers.Layer, keras.layers.Layer | None]]:
    """Yield (path, layer, layer around it), outer layers first."""
    yield path, layer, around
    for part in layer._layers:
        if not isinstance(part, apart):
            name = f"{path}/{part.name}" if path else part.name
            yield from _walk(part, apart, name, layer)
