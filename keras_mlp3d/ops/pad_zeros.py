"""Zeros around an axis, in a form that every compiler takes in its stride."""

import keras
from keras import ops


def pad_zeros(x, axis, before, after):
    """Sets zeros before and after the entries of an axis.

    XLA melts a pad into the convolution or the select behind it. torch.compile breaks its graph
    at `keras.ops.pad` (Keras 3.15), so that PyTorch gets a concatenation.

    Args:
        x: Tensor with at least one entry along `axis`.
        axis: Non-negative axis.
        before: Number of zeros before.
        after: Number of zeros after.

    Returns:
        Tensor of the dtype of `x`, longer by `before + after` along `axis`.

    Example:

    >>> np.array(pad_zeros(np.ones((1, 2)), axis=1, before=1, after=2)).tolist()
    [[0.0, 1.0, 1.0, 0.0, 0.0]]
    """
    if not before and not after:
        return x
    if keras.config.backend() == "torch":
        edge = ops.zeros_like(x[(*(slice(None),) * axis, slice(0, 1))])
        return ops.concatenate([edge] * before + [x] + [edge] * after, axis=axis)
    padding = [(0, 0)] * len(x.shape)
    padding[axis] = (before, after)
    return ops.pad(x, padding)
