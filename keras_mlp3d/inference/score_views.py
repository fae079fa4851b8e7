"""Softmax scores of clips, in batches of one shape.

Source: section 3.4 and the decisions on inference: softmax scores are what is averaged.
"""

import keras
import numpy as np

from keras_mlp3d.models import MLP3D, CycleMLP, FrameCycleMLP, TwoPathMLP3D


def score_views(model, views, batch_size=8):
    """Returns the softmax scores of each clip.

    Every batch of a call has the same shape, the last one being filled up, so that a backend
    that compiles does so once for all videos with as many views.

    Args:
        model: `MLP3D`, `TwoPathMLP3D`, `FrameCycleMLP`, or `CycleMLP`, which sees each frame by
            itself: its scores are averaged over the frames of a clip.
        views: Clips (V, T, H, W, 3), pixel values as the model takes them.
        batch_size: Largest number of clips, for `CycleMLP` of frames, that the model sees at once.

    Output shape:
        (V, num_classes), float64, each row adding up to 1

    Raises:
        ValueError: If the model is of another class, gives neither logits nor softmax scores, or
            outputs that are not finite, or the clips do not fit it.

    Source:
        Section 3.4.

    Example:

    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
    >>> scores = score_views(model, np.zeros((3, 16, 32, 32, 3), "uint8"))
    >>> scores.shape, scores.sum(axis=1).round(6).tolist()
    ((3, 20), [1.0, 1.0, 1.0])
    """
    check_model(model)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}.")
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


def check_model(model):
    """Refuses a model that gives no scores of classes; the error says what would do."""
    if not isinstance(model, MLP3D | TwoPathMLP3D | FrameCycleMLP | CycleMLP):
        raise ValueError(
            "model must be an MLP3D, TwoPathMLP3D, FrameCycleMLP or CycleMLP, which have classes, "
            f"got {type(model).__name__}."
        )
    known = (None, keras.activations.linear, keras.activations.softmax)
    if model.activation not in known:
        raise ValueError(
            "model must give logits (activation=None) or softmax scores, whose average means "
            f"something; {model.name} has activation "
            f"{keras.activations.serialize(model.activation)!r}."
        )


def _score(model, inputs, batch_size):
    model.check_input(inputs)
    # As many batches as needed, and none larger than that takes: little or nothing to fill up.
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


def score_batch(model, batch):
    """Returns the softmax scores, float64, of what the model sees at once."""
    scores = np.asarray(model.predict_on_batch(batch)).astype("float64")
    if not np.isfinite(scores).all():
        raise ValueError(
            f"{model.name} gives outputs that are not finite numbers: its weights are not usable."
        )
    return scores if model.activation is keras.activations.softmax else _softmax(scores)


def _softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
