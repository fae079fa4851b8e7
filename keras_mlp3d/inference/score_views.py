"""Computes the scores of clips in batches of one shape.

Source: section 4.2; docs/reading.md (views): softmax scores are averaged, not logits.
"""

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d.models import MLP3D, CycleMLP, FrameCycleMLP, TwoPathMLP3D
from keras_mlp3d.models.network_checks import stored_activation

#: Activations whose outputs are scores.
_SCORES = (keras.activations.softmax, keras.activations.sigmoid)


def score_views(model: keras.Model, views: ArrayLike, batch_size: int = 8) -> np.ndarray:
    """Return the softmax scores of clips, or the sigmoid scores if the model's activation is that.

    All batches of a call have the same shape; the last one is padded. A backend therefore compiles
    once for all videos with the same number of views.

    Args:
        model: `MLP3D`, `TwoPathMLP3D`, `FrameCycleMLP`, or `CycleMLP`, which classifies each frame:
            its scores are averaged over the frames of a clip.
        views: Clips (V, T, H, W, 3), with pixel values that the model takes.
        batch_size: Largest number of inputs per batch: clips, or frames for `CycleMLP`.

    Output shape:
        (V, num_classes), float64, from 0 to 1. Each row of softmax scores adds up to 1.

    Raises:
        ValueError: If the model is of another class or has another activation than these, if its
            outputs are not finite, or if the clips do not fit it.

    Source:
        Section 4.2.

    Example:

    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
    >>> scores = score_views(model, np.zeros((3, 16, 32, 32, 3), "uint8"))
    >>> scores.shape, scores.sum(axis=1).round(6).tolist()
    ((3, 20), [1.0, 1.0, 1.0])
    """
    check_model(model)
    check_integer("batch_size", batch_size)
    views = np.asarray(views)
    if views.ndim != 5 or not len(views):
        raise ValueError(
            f"views must be clips (views, frames, height, width, 3), got shape {views.shape}."
        )
    if isinstance(model, CycleMLP):
        num_views, frames = views.shape[:2]
        scores = _score(model, views.reshape(-1, *views.shape[2:]), batch_size)
        return scores.reshape(num_views, frames, -1).mean(axis=1)
    return _score(model, views, batch_size)


def check_model(model: keras.Model) -> None:
    """Raise a `ValueError` for a model that returns no scores of classes."""
    if not isinstance(model, MLP3D | TwoPathMLP3D | FrameCycleMLP | CycleMLP):
        raise ValueError(
            "model must be an MLP3D, TwoPathMLP3D, FrameCycleMLP or CycleMLP, which have classes, "
            f"got {type(model).__name__}."
        )
    known = (None, keras.activations.linear, *_SCORES)
    if model.activation not in known:
        raise ValueError(
            "model must return logits (activation=None), softmax or sigmoid scores, as only their "
            f"average is meaningful; {model.name} has activation "
            f"{stored_activation(model.activation)!r}."
        )


def _score(model, inputs, batch_size):
    model.check_input(inputs)
    # The smallest batch size that needs no further batch: the last one has little padding.
    batches = -(-len(inputs) // batch_size)
    size = -(-len(inputs) // batches)
    outputs = []
    for start in range(0, len(inputs), size):
        batch = inputs[start : start + size]
        missing = size - len(batch)
        if missing:
            batch = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
        outputs.append(score_batch(model, batch)[: size - missing])
    return np.concatenate(outputs)


def score_batch(model: keras.Model, batch: np.ndarray) -> np.ndarray:
    """Return the softmax or sigmoid scores of one batch, float64."""
    scores = np.asarray(model.predict_on_batch(batch)).astype("float64")
    if not np.isfinite(scores).all():
        raise ValueError(
            f"{model.name} returns outputs that are not finite numbers: its weights are unusable."
        )
    return scores if model.activation in _SCORES else _softmax(scores)


def _softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
