"""Analytic counting of multiply-accumulates and parameters.

The paper's "FLOPs" are multiply-accumulates, and so are these. Every product of a weight with an
activation is counted: linear layers, convolutions, time mixing. Norms, activations, sums, softmax
and the resizing of frames are not.
"""

import dataclasses
import math

import keras

from keras_mlp3d._utils.checks import check_integers
from keras_mlp3d._utils.types import Shape
from keras_mlp3d.cost.rules import Row, is_parameter, layer_rows
from keras_mlp3d.models import MLP3D, CycleMLP, FrameCycleMLP, MLP3DBackbone, TwoPathMLP3D


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """What one layer costs.

    Args:
        name: Path of the layer in the network.
        output_shape: Shape of its output without the batch axis.
        macs: Multiply-accumulates per clip.
        params: Number of parameters.

    Example:

    >>> LayerCost("head", (5,), macs=60, params=65).macs
    60
    """

    name: str
    output_shape: tuple[int, ...]
    macs: int
    params: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """Multiply-accumulates and parameters of a network, and the rows that they are the sum of.

    Args:
        macs: Multiply-accumulates per clip.
        params: Number of parameters.
        layers: One `LayerCost` per layer.

    Example:

    >>> print(Cost(60, 65, (LayerCost("head", (5,), 60, 65),)).table())
    layer  output  MACs  parameters
    -------------------------------
    head   5         60          65
    -------------------------------
    total            60          65
    """

    macs: int
    params: int
    layers: tuple[LayerCost, ...]

    def table(self) -> str:
        """Return the rows as text, with their sum below them."""
        rows = [("layer", "output", "MACs", "parameters")]
        for row in self.layers:
            shape = " x ".join(map(str, row.output_shape))
            rows.append((row.name, shape, f"{row.macs:,}", f"{row.params:,}"))
        rows.append(("total", "", f"{self.macs:,}", f"{self.params:,}"))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}"
            for a, b, c, d in rows
        ]
        lines.insert(1, "-" * len(lines[0]))
        lines.insert(-1, "-" * len(lines[0]))
        return "\n".join(lines)


def count(model_or_backbone: keras.Model, input_shape: Shape | None = None) -> Cost:
    """Count multiply-accumulates and parameters of a network, analytically.

    A multiply-accumulate counts once. A layer's count grows with its number of tokens: a linear
    layer on T' x H' x W' tokens costs T' H' W' C_in C_out.

    Args:
        model_or_backbone: `MLP3D`, `MLP3DBackbone`, `TwoPathMLP3D`, `FrameCycleMLP` or `CycleMLP`.
        input_shape: Shape of one input without the batch axis: (frames, height, width, 3), by
            default (64, 224, 224, 3); (height, width, 3) for `CycleMLP`, by default (224, 224, 3).

    Returns:
        `Cost` with `macs`, `params` and `layers`, per clip.

    Raises:
        ValueError: If the network has a layer without a counting rule, or the shape does not fit.

    Source:
        Section 4.4, Tables 3 and 5 ("GFLOPs").

    Example:

    >>> model = CycleMLP.from_preset("cyclemlp_b1", load_weights=False)
    >>> cost = count(model, (224, 224, 3))
    >>> cost.params, round(cost.macs / 1e9, 2)
    (15155400, 2.12)
    """
    model = model_or_backbone
    if input_shape is None:
        input_shape = (224, 224, 3) if isinstance(model, CycleMLP) else (64, 224, 224, 3)
    lengths = check_integers("input_shape", input_shape, len(input_shape))
    rows = _model_rows(model, (1, *lengths))
    layers = tuple(
        LayerCost(name, tuple(shape[1:]), macs, params) for name, shape, macs, params in rows
    )
    total = sum(math.prod(weight.shape) for weight in model.weights if is_parameter(weight))
    counted = sum(row.params for row in layers)
    if counted != total:
        raise ValueError(
            f"{model.name} has {total:,} parameters, its layers account for {counted:,}: a layer "
            "without a counting rule holds the rest."
        )
    return Cost(sum(row.macs for row in layers), counted, layers)


def _model_rows(model: keras.Model, shape: tuple[int, ...]) -> list[Row]:
    if isinstance(model, TwoPathMLP3D):
        batch, frames, *_, channels = shape
        motion_shape = (batch, frames, *model.motion_size, channels)
        return [
            *_prefixed("appearance", _model_rows(model.appearance, shape)),
            *_prefixed("motion", _model_rows(model.motion, motion_shape)),
        ]
    if isinstance(model, FrameCycleMLP):
        batch, frames, *image = shape
        of_a_frame = _model_rows(model.cycle_mlp, (batch, *image))
        return [(name, output, frames * macs, params) for name, output, macs, params in of_a_frame]
    if not isinstance(model, MLP3D | MLP3DBackbone | CycleMLP):
        raise ValueError(
            "count takes an MLP3D, MLP3DBackbone, TwoPathMLP3D, FrameCycleMLP or CycleMLP, got "
            f"{type(model).__name__}."
        )
    model.check_input(keras.KerasTensor((None, *shape[1:])))
    if isinstance(model, CycleMLP):
        shape = (shape[0], 1, *shape[1:])
    rows: list[Row] = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        rows += (
            _model_rows(layer, shape)
            if isinstance(layer, MLP3DBackbone)
            else layer_rows(layer, shape)
        )
        shape = layer.compute_output_shape(shape)
    return rows


def _prefixed(prefix: str, rows: list[Row]) -> list[Row]:
    return [(f"{prefix}/{name}", output, macs, params) for name, output, macs, params in rows]
