"""What is exported: a function of one tensor, the shapes it takes, and what it must return."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_mlp3d._utils.checks import check_integer, check_integers
from keras_mlp3d._utils.types import Tensor
from keras_mlp3d.export.preprocessing import INTERPOLATIONS, SCORES, FramesToScores

LEAST_SIZE = 32  # pixels
_MOST_FRAMES = 4096  # in which a number of frames that fits is looked for


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """A function of one tensor that a format can hold.

    Args:
        layer: Network, or `FramesToScores` around it.
        model: The network.
        input_name: "clip", "image" or "frames".
        output_name: "outputs" or "scores".
        dtype: Dtype of the input.
        axes: Name of each axis of the input.
        shape: Length of each axis, None if it is open.
        step: Smallest number of frames; the other numbers are its multiples.
    """

    layer: keras.layers.Layer
    model: keras.Model
    input_name: str
    output_name: str
    dtype: str
    axes: tuple[str, ...]
    shape: tuple[int | None, ...]
    step: int

    def __call__(self, inputs: Tensor) -> Tensor:
        if self.layer is self.model:
            return self.model(inputs, training=False)
        return self.layer(inputs)

    @property
    def open_axes(self) -> tuple[str, ...]:
        """Names of the axes of any length."""
        return tuple(
            name for name, length in zip(self.axes, self.shape, strict=True) if length is None
        )

    @property
    def takes_frames(self) -> bool:
        """Whether the graph takes the frames of a video and does the preprocessing."""
        return self.layer is not self.model

    def example_shapes(self) -> list[tuple[int, ...]]:
        """Return two shapes that the graph takes; one if no axis is open."""
        if self.takes_frames:
            converter = self.layer.converter
            height, width = converter.image_size
            lengths: list[tuple[int, ...]] = [
                (converter.num_frames + 3, height, width, 3),
                (2 * converter.num_frames + 1, height + 13, 2 * width + 9, 3),
            ]
        else:
            lengths = [tuple(self._length(name, number) for name in self.axes) for number in (1, 2)]
        shapes = [
            tuple(
                example if length is None else length
                for example, length in zip(row, self.shape, strict=True)
            )
            for row in lengths
        ]
        return list(dict.fromkeys(shapes))

    def _length(self, axis: str, number: int) -> int:
        known = {"batch": number, "frames": number * self.step, "colors": 3}
        sizes = {"height": (LEAST_SIZE, 45), "width": (LEAST_SIZE + 8, 70)}
        return known[axis] if axis in known else sizes[axis][number - 1]

    def example(self, shape: Sequence[int]) -> np.ndarray:
        """Return moving stripes and noise of a shape, in the dtype of the input."""
        rng = np.random.default_rng(math.prod(shape))
        time = np.arange(shape[-4] if len(shape) > 3 else 1)[:, None, None]
        if self.axes[0] == "batch" and "frames" not in self.axes:
            time = np.arange(shape[0])[:, None, None]
        rows, columns = np.mgrid[: shape[-3], : shape[-2]]
        stripes = 128 + 90 * np.sin(rows / 5 + time) * np.cos(columns / 7 - time / 3)
        pixels = stripes[..., None] + rng.uniform(-37, 37, shape)
        return np.clip(pixels, 0, 255).astype(self.dtype)

    def expected(self, inputs: np.ndarray) -> np.ndarray:
        """Return what Keras computes."""
        if keras.backend.backend() == "torch":
            import torch

            with torch.no_grad():
                return keras.ops.convert_to_numpy(self(keras.ops.convert_to_tensor(inputs)))
        return keras.ops.convert_to_numpy(self(keras.ops.convert_to_tensor(inputs)))


def make_graph(
    model: keras.Model,
    batch: Any,
    frames: Any,
    size: Any,
    preprocessing: bool,
    clips: int,
    crops: int,
) -> Graph:
    """Check the arguments of an export, and return what it exports.

    Raises:
        ValueError: If an argument is wrong or does not fit the network.
    """
    on_clips = len(model.input_shape) == 5
    if not preprocessing:
        for name, value in (("clips", clips), ("crops", crops)):
            if check_integer(name, value) != 1:
                raise ValueError(f"{name} needs preprocessing=True, got {name}={value}.")
        return _network_graph(model, on_clips, batch, frames, size)
    for name, value in (("batch", batch), ("frames", frames), ("size", size)):
        if value is not None:
            raise ValueError(
                f"{name} must be None if preprocessing=True, got {value!r}: the graph takes one "
                "video of any length and size."
            )
    clips, crops = check_integer("clips", clips), check_integer("crops", crops)
    converter = getattr(model, "converter", None)
    if converter is None:
        way = (
            "pass converter=keras_mlp3d.data.VideoConverter(...) to the network."
            if on_clips
            else "export FrameCycleMLP(model, converter=...), which classifies clips."
        )
        raise ValueError(f"preprocessing=True needs a converter, and {model.name} has none: {way}")
    if converter.interpolation not in INTERPOLATIONS:
        raise ValueError(
            "preprocessing=True needs a converter with one of the interpolations "
            f"{list(INTERPOLATIONS)}, got {converter.interpolation!r}."
        )
    known = (None, keras.activations.linear, *SCORES)
    if model.activation not in known:
        raise ValueError(
            "preprocessing=True averages scores: the network must return logits (activation=None), "
            "softmax or sigmoid scores."
        )
    shape = (None, converter.num_frames, *converter.image_size, 3)
    model.check_input(keras.KerasTensor(shape))
    layer = FramesToScores(model, converter, clips, crops, name="frames_to_scores")
    axes = ("frames", "height", "width", "colors")
    return Graph(layer, model, "frames", "scores", "uint8", axes, (None, None, None, 3), 1)


def _network_graph(model, on_clips, batch, frames, size):
    axes: tuple[str, ...] = ("batch", "frames", "height", "width", "colors")
    if not on_clips:
        axes = (axes[0], *axes[2:])
        if frames is not None:
            raise ValueError(f"frames must be None for {model.name}, which takes images.")
    if batch is not None:
        check_integer("batch", batch)
    if frames is not None:
        check_integer("frames", frames)
    height, width = (None, None) if size is None else check_integers("size", size, 2)
    asked = {"batch": batch, "frames": frames, "height": height, "width": width, "colors": 3}
    shape = []
    for axis, built in zip(axes, model.input_shape, strict=True):
        if None not in (asked[axis], built) and asked[axis] != built:
            raise ValueError(
                f"The network was built for {built} {'pixels of ' if axis != 'frames' else ''}"
                f"{axis}, got {asked[axis]}."
            )
        shape.append(built if asked[axis] is None else asked[axis])
    model.check_input(keras.KerasTensor(tuple(shape)))
    step = _frame_step(model) if on_clips else 1
    name = "clip" if on_clips else "image"
    return Graph(model, model, name, "outputs", "float32", axes, tuple(shape), step)


def _frame_step(model):
    """Return the smallest number of frames that the network takes."""
    for frames in range(1, _MOST_FRAMES + 1):
        try:
            model.check_input(keras.KerasTensor((None, frames, *model.input_shape[2:4], 3)))
        except ValueError:
            continue
        return frames
    raise ValueError(f"{model.name} takes no clip of at most {_MOST_FRAMES:,} frames.")
