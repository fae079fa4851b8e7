"""Class labels as distributions over the classes."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_mlp3d._utils.checks import check_integer, check_number


def smooth_labels(
    labels: ArrayLike,
    smoothing: float = 0.0,
    num_classes: int | None = None,
    multi_label: bool = False,
) -> np.ndarray:
    """Smooth one-hot labels: `(1 - smoothing) * label + smoothing / num_classes`.

    Multi-hot labels become `(1 - smoothing) * label + smoothing / 2`: each class is a question of
    its own with two answers.

    Source: section 3.4 (label smoothing); 0.1 after its references. The formulas are those of
    Keras's `CategoricalCrossentropy` and `BinaryCrossentropy`.

    Args:
        labels: Integers `(B,)` from 0 to `num_classes - 1`, or floats `(B, num_classes)`.
        smoothing: From 0 to below 1.
        num_classes: Number of classes, needed for integer labels.
        multi_label: Whether a row may have several classes, or none.

    Returns:
        float32 `(B, num_classes)`.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> [[round(float(v), 3) for v in row] for row in smooth_labels([1], 0.2, num_classes=4)]
    [[0.05, 0.85, 0.05, 0.05]]
    """
    smoothing = checked_smoothing("smoothing", smoothing)
    values: np.ndarray = np.asarray(labels)
    if num_classes is not None:
        num_classes = check_integer("num_classes", num_classes)
    if values.ndim == 1 and values.dtype.kind in "iu":
        values = _one_hot(values, num_classes)
    elif values.ndim != 2 or values.dtype.kind != "f":
        raise ValueError(
            "labels must be integers (B,) or floats (B, num_classes), got "
            f"shape {values.shape} of {values.dtype}."
        )
    elif num_classes not in (None, values.shape[1]):
        raise ValueError(
            f"labels must have num_classes {num_classes} columns, got {values.shape[1]}."
        )
    values = values.astype("float32")
    if not smoothing:
        return values
    answers = 2 if multi_label else values.shape[1]
    return values * np.float32(1 - smoothing) + np.float32(smoothing / answers)


def checked_smoothing(name: str, value: Any) -> float:
    """Return `value` as a float from 0 to below 1."""
    return float(check_number(name, value, minimum=0, below=1))


def _one_hot(labels, num_classes):
    if num_classes is None:
        raise ValueError("num_classes must be given for integer labels, got None.")
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise ValueError(f"labels must be from 0 to {num_classes - 1}, got {wrong[0]}.")
    return (labels[:, None] == np.arange(num_classes)).astype("float32")
