"""What a training step takes: memory, layer by layer, and multiply-accumulates, without running it.

Memory is that of Keras on PyTorch without a compiler, which runs operation by operation.
"""

import dataclasses
import math
from collections.abc import Iterator

import keras

from keras_mlp3d._utils.checks import (
    check_boolean,
    check_choice,
    check_integer,
    check_integers,
    check_number,
)
from keras_mlp3d._utils.types import Shape
from keras_mlp3d.cost.count import Cost, count
from keras_mlp3d.cost.kept_tensors import LayerMemory, bytes_of, kept_tensors, state_bytes
from keras_mlp3d.layers import MLP3DBlock, TubeletEmbedding
from keras_mlp3d.models import CycleMLP, FrameCycleMLP, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.models.dtype_policies import quantized_layers
from keras_mlp3d.models.lora import adapted_layers

#: Optimizer -> its numbers per weight, and its temporary ones while it updates the weights.
OPTIMIZERS = {"adamw": (2, 3), "sgd": (0, 0)}
_LARGEST = 2**40

# How often memory moves what a forward pass makes, in a step and in a forward pass. Measured on
# PyTorch, on a CPU, with `mlp3d_xs` alone (`benchmarks/training_time.py`).
_MOVES, _MOVES_FORWARD = 9, 3


@dataclasses.dataclass(frozen=True)
class TrainingStep:
    """Memory in bytes and multiply-accumulates of one training step.

    Args:
        batch: Clips per step.
        weights: All weights.
        gradients: Gradients of all weights that are trained.
        optimizer: The optimizer's own numbers.
        clips: The batch of clips, in float32.
        activations: What the forward pass keeps for the backward pass.
        peak: The most memory in use at any moment of the step.
        peak_at: When: the name of a layer in whose backward pass it is, the name and ", forward",
            "end of forward pass" or "update of weights".
        forward_macs: Multiply-accumulates of the forward pass.
        macs: Multiply-accumulates of the step. Every product of the forward pass has two in the
            backward pass, for the gradients of its weight and of its input; the embedding has
            one, as clips get no gradient. With `remat`, a block's forward pass counts twice. The
            optimizer, norms, activations and sums are not counted.
        layers: One `LayerMemory` per part of a layer, in the order of the forward pass.

    Example:

    >>> step = TrainingStep(1, 40, 40, 80, 12, 96, 260, "head", 10, 30, ())
    >>> step.seconds(60e9) == 1e-9
    True
    """

    batch: int
    weights: int
    gradients: int
    optimizer: int
    clips: int
    activations: int
    peak: int
    peak_at: str
    forward_macs: int
    macs: int
    layers: tuple[LayerMemory, ...]

    @property
    def moved(self) -> int:
        """Bytes that memory moves in the step, as operation by operation does; an estimate."""
        again = sum(row.again for row in self.layers)
        made = sum(row.again or row.kept for row in self.layers)
        weights = 2 * (self.weights + self.gradients + self.optimizer)
        return _MOVES * made + _MOVES_FORWARD * again + weights

    def seconds(self, rate: float, bandwidth: float | None = None) -> float:
        """Return the time of the step: that of its products, and that of what memory moves.

        Args:
            rate: Floating-point operations per second of a matrix product; a multiply-accumulate
                is two.
            bandwidth: Bytes that memory moves per second where two large arrays are added. None
                for the time of the products alone.

        Raises:
            ValueError: If an argument is no number above 0.
        """
        products = 2 * self.macs / check_number("rate", rate, above=0)
        if bandwidth is None:
            return products
        return products + self.moved / check_number("bandwidth", bandwidth, above=0)

    def table(self) -> str:
        """Return what each layer keeps as text, with the sum below."""
        rows = [(row.name, f"{row.kept:,}") for row in self.layers]
        rows = [("layer", "bytes kept"), *rows, ("total", f"{self.activations:,}")]
        widths = [max(len(row[i]) for row in rows) for i in range(2)]
        lines = [f"{name:<{widths[0]}}  {kept:>{widths[1]}}" for name, kept in rows]
        lines.insert(1, "-" * len(lines[0]))
        lines.insert(-1, "-" * len(lines[0]))
        return "\n".join(lines)


def training_step(
    model: keras.Model,
    input_shape: Shape | None = None,
    batch: int = 1,
    optimizer: str = "adamw",
    ema: bool = False,
) -> TrainingStep:
    """Predict the memory and the multiply-accumulates of a training step, analytically.

    Memory is counted as Keras uses it on PyTorch without a compiler: every tensor that an
    operation keeps for its backward pass, copies of weights in the compute dtype among them. The
    network decides dtype policy and `remat`. All weights count as trained, except the gradients
    and the optimizer's numbers of frozen ones. Not in it: what the backend, its libraries and its
    memory allocator take for themselves.

    Args:
        model: `MLP3D`, `MLP3DBackbone`, `TwoPathMLP3D`, `FrameCycleMLP` or `CycleMLP`.
        input_shape: Shape of one input without the batch axis, as for `count`.
        batch: Clips per step.
        optimizer: "adamw" (two moments per weight) or "sgd" (none).
        ema: Whether the optimizer keeps a moving average of the weights.

    Returns:
        `TrainingStep`

    Raises:
        ValueError: If an argument is wrong, the shape does not fit, a layer has no rule, or the
            network is quantized or has LoRA adapters.

    Example:

    >>> model = MLP3DBackbone((8, 8, 16, 16), (1, 1, 1, 1), 2, "short_range:2")
    >>> one, two = (training_step(model, (8, 64, 64, 3), batch) for batch in (1, 2))
    >>> one.optimizer == 2 * one.weights, one.weights == two.weights
    (True, True)
    >>> one.activations < two.activations < 2 * one.activations
    True
    """
    check_integer("batch", batch)
    check_choice("optimizer", optimizer, OPTIMIZERS)
    check_boolean("ema", ema)
    shape, counted = _checked(model, input_shape)
    return _step(model, shape, counted, batch, optimizer, ema)


def largest_batch(
    model: keras.Model,
    memory: float,
    input_shape: Shape | None = None,
    optimizer: str = "adamw",
    ema: bool = False,
) -> int:
    """Return the largest batch whose training step fits in memory by `training_step`.

    Args:
        model: As for `training_step`.
        memory: Bytes that are free for the training: less than a card has, as the backend takes
            some for itself.
        input_shape: As for `training_step`.
        optimizer: As for `training_step`.
        ema: As for `training_step`.

    Returns:
        Number of clips; 0 if a single one does not fit.

    Raises:
        ValueError: As `training_step`, or if `memory` is no number above 0.

    Example:

    >>> model = MLP3DBackbone((8, 8, 16, 16), (1, 1, 1, 1), 2, "short_range:2")
    >>> batch = largest_batch(model, 1e9, (8, 64, 64, 3))
    >>> peaks = [training_step(model, (8, 64, 64, 3), n).peak for n in (batch, batch + 1)]
    >>> peaks[0] <= 1e9 < peaks[1]
    True
    """
    check_number("memory", memory, above=0)
    check_choice("optimizer", optimizer, OPTIMIZERS)
    check_boolean("ema", ema)
    shape, counted = _checked(model, input_shape)

    def fits(batch: int) -> bool:
        return _step(model, shape, counted, batch, optimizer, ema).peak <= memory

    if not fits(1):
        return 0
    fitting, failing = 1, 2
    while failing < _LARGEST and fits(failing):
        fitting, failing = failing, 2 * failing
    while failing - fitting > 1:
        middle = (fitting + failing) // 2
        fitting, failing = (middle, failing) if fits(middle) else (fitting, middle)
    return fitting


def _checked(model: keras.Model, input_shape: Shape | None) -> tuple[tuple[int, ...], Cost]:
    """Return the shape of an input and what `count` counts, or refuse the network."""
    if input_shape is None:
        input_shape = (224, 224, 3) if isinstance(model, CycleMLP) else (64, 224, 224, 3)
    counted = count(model, input_shape)
    for layer in quantized_layers(model):
        raise ValueError(
            f"{model.name} is quantized ({layer.name} to {layer.quantization_mode}) and cannot be "
            "trained: pass the network as it was before quantize()."
        )
    if adapted_layers(model):
        raise ValueError(
            f"{model.name} has LoRA adapters, whose training is not counted: pass the network "
            "without them."
        )
    return check_integers("input_shape", input_shape, len(input_shape)), counted


def _step(
    model: keras.Model,
    shape: tuple[int, ...],
    counted: Cost,
    batch: int,
    optimizer: str,
    ema: bool,
) -> TrainingStep:
    calls = list(_calls(model, (batch, *shape)))
    layers = tuple(
        dataclasses.replace(part, name=prefix + part.name)
        for prefix, layer, of_layer in calls
        for part in kept_tensors(layer, of_layer)
    )
    trained = sum(
        math.prod(weight.shape) * bytes_of(weight.dtype) for weight in model.trainable_weights
    )
    slots, temporary = OPTIMIZERS[optimizer]
    if model.dtype_policy.name == "mixed_float16":
        temporary += 1  # Keras scales the loss, and the gradients back
    weights, moments = state_bytes(model), (slots + ema) * trained
    clips = 4 * batch * math.prod(shape)
    always = weights + moments + clips
    activations = sum(part.kept for part in layers)
    moments_of_step = [(always + trained + temporary * trained, "update of weights")]
    used = always
    for part in layers:
        used += part.kept + part.forward
        moments_of_step.append((used + part.copies, f"{part.name}, forward"))
    moments_of_step.insert(0, (used, "end of forward pass"))
    left, gradients = activations, 0
    for part in reversed(layers):
        gradients += part.gradients
        moments_of_step.append((always + left + gradients + part.working, part.name))
        left -= part.kept
    peak, peak_at = max(moments_of_step, key=lambda moment: moment[0])
    again = {
        prefix + layer.name
        for prefix, layer, _ in calls
        if isinstance(layer, MLP3DBlock) and layer.remat
    }
    first = {
        prefix + layer.name for prefix, layer, _ in calls if isinstance(layer, TubeletEmbedding)
    }
    macs = sum(row.macs * _passes(row.name, first, again) for row in counted.layers)
    return TrainingStep(
        batch=batch,
        weights=weights,
        gradients=trained,
        optimizer=moments,
        clips=clips,
        activations=activations,
        peak=peak,
        peak_at=peak_at,
        forward_macs=batch * counted.macs,
        macs=batch * macs,
        layers=layers,
    )


def _passes(name: str, first: set[str], again: set[str]) -> int:
    """Return how often a step computes the products of a row of `count`."""
    if name in first:
        return 2
    return 4 if any(name.startswith(f"{block}/") for block in again) else 3


def _calls(
    model: keras.Model, shape: tuple[int, ...], prefix: str = ""
) -> Iterator[tuple[str, keras.layers.Layer, tuple[int, ...]]]:
    """Yield (prefix of its name, layer, input shape) of the layers that a network calls."""
    if isinstance(model, TwoPathMLP3D):
        batch, frames, *_, channels = shape
        yield from _calls(model.appearance, shape, "appearance/")
        yield from _calls(model.motion, (batch, frames, *model.motion_size, channels), "motion/")
        return
    if isinstance(model, FrameCycleMLP):
        batch, frames, *image = shape
        yield from _calls(model.cycle_mlp, (batch * frames, *image), prefix)
        return
    if isinstance(model, CycleMLP):
        shape = (shape[0], 1, *shape[1:])
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer) or not hasattr(layer, "compute_output_shape"):
            continue
        if isinstance(layer, MLP3DBackbone):
            yield from _calls(layer, shape, prefix)
        else:
            yield prefix, layer, shape
        shape = layer.compute_output_shape(shape)
