"""A network that takes the frames of a video: sampling, resizing and crops as part of its graph."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_mlp3d._utils.types import Shape, Tensor

#: Filters of `data.VideoConverter` that the graph has.
INTERPOLATIONS = ("bilinear", "bicubic", "area", "lanczos")
#: Activations whose outputs are scores.
SCORES = (keras.activations.softmax, keras.activations.sigmoid)
_BICUBIC = 0.6  # FFmpeg's own value of the filter's free parameter
_LANCZOS = 3  # zeros of the filter on each side


class FramesToScores(keras.layers.Layer):
    """Makes the clips of a video as a converter does, and averages the network's scores of them.

    Sampling and crops are those of `data.VideoConverter`, frame by frame and pixel by pixel.
    Resizing follows the same filters in floating point and rounds once. FFmpeg rounds several
    times on the way, so a resized pixel may differ by a few of 255 levels.

    Args:
        model: Network on clips, of logits, softmax or sigmoid scores.
        converter: `data.VideoConverter` that says what a clip is.
        clips: Number of clips per video, evenly sampled.
        crops: Number of crops per clip, along its longer side.
        **kwargs: `name` and other arguments of `keras.layers.Layer`.

    Input shape:
        (T, H, W, 3), uint8: the frames of one video

    Output shape:
        (num_classes,), float32: scores from 0 to 1; those of logits and of softmax add up to 1

    Source:
        Section 4.2: scores averaged over clips and three crops along the longer side.
    """

    def __init__(
        self, model: keras.Model, converter: Any, clips: int = 1, crops: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.model, self.converter = model, converter
        self.clips, self.crops = clips, crops
        self.built = True

    def call(self, frames: Tensor) -> Tensor:
        outputs = self.model(self.views(frames), training=False)
        are_scores = self.model.activation in SCORES
        return ops.mean(outputs if are_scores else ops.softmax(outputs, axis=-1), axis=0)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return (self.model.num_classes,)

    def views(self, frames: Tensor) -> Tensor:
        """Return the views of a video, float32 (clips * crops, T, height, width, 3)."""
        places = [ops.arange(length, dtype="int32") for length in ops.shape(frames)[:3]]
        # As tensors: an export may have symbols for open lengths, which cannot be compared.
        count, height, width = (place[-1] + 1 for place in places)
        size = self._resized(height, width)
        maps = [
            (self._shares(places[1], size[0], top, 0), self._shares(places[2], size[1], left, 1))
            for top, left in self._corners(size)
        ]
        views = []
        for indices in self._indices(count):
            clip = ops.cast(_select(frames, indices), "float32")
            views += [_resize(clip, rows, columns) for rows, columns in maps]
        return ops.stack(views)

    def _indices(self, count: Tensor) -> list[Tensor]:
        """Return the numbers of the frames of each clip; see `data.video.sampling`."""
        length, clips = self.converter.num_frames, self.clips
        places = ops.arange(length, dtype="int32")
        if self.converter.sampling == "uniform":
            return [
                (2 * clips * places + 2 * clip + 1) * count // (2 * clips * length)
                for clip in range(clips)
            ]
        stride = self.converter.frame_stride
        free = ops.maximum(count - ((length - 1) * stride + 1), 0)
        starts = [free // 2] if clips == 1 else [i * free // (clips - 1) for i in range(clips)]
        return [(start + stride * places) % count for start in starts]

    def _resized(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """Return the size of the pictures before the crop; see `pictures.covering_size`."""
        crop = self.converter.image_size
        if self.converter.crop == "none":
            return ops.convert_to_tensor(crop[0], "int32"), ops.convert_to_tensor(crop[1], "int32")
        scales = [(crop[0], height), (crop[1], width)]
        if self.converter.resize is not None:
            scales.append((self.converter.resize, ops.minimum(height, width)))
        new, old = scales[0]
        for other, length in scales[1:]:
            larger = other * old > new * length
            new, old = ops.where(larger, other, new), ops.where(larger, length, old)
        height, width = (
            ops.maximum((2 * side * new + old) // (2 * old), least)
            for side, least in zip((height, width), crop, strict=True)
        )
        return height, width

    def _corners(self, size: tuple[Tensor, Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Return the corners of the crops; see `data.video.pictures.spread_corners`."""
        top, left = (
            side - least for side, least in zip(size, self.converter.image_size, strict=True)
        )
        if self.crops == 1:
            return [(top // 2, left // 2)]
        last, upright = self.crops - 1, top > left
        return [
            (
                ops.where(upright, i * top // last, top // 2),
                ops.where(upright, left // 2, i * left // last),
            )
            for i in range(self.crops)
        ]

    def _shares(self, inputs: Tensor, size: Tensor, first: Tensor, axis: int) -> Tensor:
        """Return the share of each input position in each output position: (outputs, inputs).

        Args:
            inputs: Positions of the input, 0, 1, 2, ...
            size: Number of positions that all of it is resized to.
            first: First of them that the crop has.
            axis: 0 for rows, 1 for columns.
        """
        length = inputs[-1] + 1
        step = ops.cast(length, "float32") / ops.cast(size, "float32")
        places = ops.arange(self.converter.image_size[axis], dtype="int32") + first
        places = (ops.cast(places, "float32") + 0.5) * step - 0.5
        weight = _weight(self.converter.interpolation, ops.maximum(step, 1.0), step)

        def shares(offset):
            at = ops.cast(inputs + offset, "float32")
            return weight(ops.abs(at[None] - places[:, None]))

        # Beyond the edges the outermost pixels repeat.
        first, last = (ops.cast(inputs[None] == end, "float32") for end in (0, length - 1))
        before, after = (ops.sum(shares(offset), 1, keepdims=True) for offset in (-length, length))
        weights = shares(0) + before * first + after * last
        return weights / ops.sum(weights, axis=1, keepdims=True)


def _select(frames: Tensor, indices: Tensor) -> Tensor:
    """Return frames by their numbers; what Keras's `take` is on PyTorch cannot become ONNX."""
    if keras.backend.backend() == "torch":
        return frames.index_select(0, indices)
    return ops.take(frames, indices, axis=0)


def _resize(clip: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return (T, H, W, 3) to (T, height, width, 3), rounded to levels."""
    time, height, width, _ = ops.shape(clip)
    clip = ops.reshape(clip, (time, height, width * 3))
    clip = ops.reshape(ops.matmul(rows, clip), (time, rows.shape[0], width, 3))
    clip = ops.matmul(columns, clip)
    return ops.clip(ops.floor(clip + 0.5), 0.0, 255.0)


def _weight(interpolation: str, scale: Tensor, step: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the weight of an input position by its distance; the filters of FFmpeg."""

    def bilinear(distance):
        return ops.relu(1 - distance / scale)

    def bicubic(distance):
        d, c = distance / scale, _BICUBIC
        near = (2 - c) * d**3 - (3 - c) * d**2 + 1
        far = -c * d**3 + 5 * c * d**2 - 8 * c * d + 4 * c
        return ops.where(d < 1, near, ops.where(d < 2, far, 0.0))

    def lanczos(distance):
        angle = math.pi * distance / scale
        nonzero = ops.maximum(angle, 1e-6)
        value = ops.sin(nonzero) * ops.sin(nonzero / _LANCZOS) * _LANCZOS / nonzero**2
        value = ops.where(angle < 1e-6, 1.0, value)
        return ops.where(angle < _LANCZOS * math.pi, value, 0.0)

    def area(distance):
        mean = ops.clip(0.5 + scale / 2 - distance, 0.0, 1.0)
        return ops.where(step <= 1, bilinear(distance), mean)

    return {"bilinear": bilinear, "bicubic": bicubic, "lanczos": lanczos, "area": area}[
        interpolation
    ]
