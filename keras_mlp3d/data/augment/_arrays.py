"""Checks of clips, batches and generators, and random rectangles."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

_ATTEMPTS = 10  # at a random rectangle that fits


def checked_clip(clip: Any) -> np.ndarray:
    """Return `clip` if it is a uint8 array `(T, H, W, 3)` with at least one pixel."""
    if not isinstance(clip, np.ndarray) or clip.dtype != np.uint8 or not _is_shape(clip, 4):
        raise ValueError(
            f"clip must be a NumPy array of uint8 (T, H, W, 3), got {_described(clip)}."
        )
    return clip


def checked_batch(clips: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return clips, checked to be uint8, and `labels` as float32 `(B, num_classes)`."""
    if not isinstance(clips, np.ndarray) or clips.dtype != np.uint8 or not _is_shape(clips, 5):
        raise ValueError(
            f"clips must be a NumPy array of uint8 (B, T, H, W, 3), got {_described(clips)}."
        )
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind != "f" or len(labels) != len(clips):
        raise ValueError(
            f"labels must be one-hot, multi-hot or smoothed floats ({len(clips)}, num_classes), "
            f"got {_described(labels)}."
        )
    return clips, labels.astype("float32")


def checked_label(label: Any) -> Any:
    """Return `label` as an int if it is a class index, or as floats `(num_classes,)`."""
    if isinstance(label, np.ndarray) and label.ndim == 1 and label.dtype.kind == "f":
        return label
    return operator.index(label)


def joined_labels(labels: Sequence[Any]) -> np.ndarray:
    """Return labels of clips as int32 `(B,)`, or float32 `(B, num_classes)`."""
    if isinstance(labels[0], np.ndarray):
        return np.stack(labels).astype("float32")
    return np.array(labels, "int32")


def checked_rng(rng: Any) -> np.random.Generator:
    """Return `rng` if it is a `numpy.random.Generator`."""
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy.random.Generator, got {rng!r}.")
    return rng


def _is_shape(array, rank):
    return array.ndim == rank and array.shape[-1] == 3 and array.size > 0


def _described(value):
    if isinstance(value, np.ndarray):
        return f"shape {value.shape} of {value.dtype}"
    return repr(value)[:80]


def random_box(
    size: tuple[int, int],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[int, int, int, int] | None:
    """Return a rectangle of random area, shape and place, or None if ten in a row do not fit.

    Args:
        size: `(height, width)` of the picture.
        scale: Smallest and largest area, as a fraction of the picture's.
        ratio: Smallest and largest ratio of width to height.
        rng: A `numpy.random.Generator`.

    Returns:
        `(top, left, height, width)` or `None`.
    """
    rows, columns = size
    for _ in range(_ATTEMPTS):
        area = rows * columns * rng.uniform(*scale)
        shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        height, width = round(math.sqrt(area / shape)), round(math.sqrt(area * shape))
        if 0 < height <= rows and 0 < width <= columns:
            top, left = rng.integers(rows - height + 1), rng.integers(columns - width + 1)
            return int(top), int(left), height, width
    return None
