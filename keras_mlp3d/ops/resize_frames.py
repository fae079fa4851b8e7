"""Resizing of frames as two linear maps, one along each axis."""

from keras import ops


def _triangles(length, size):
    """(size, length): how much of each place goes into each place of the result."""
    step = ops.cast(length, "float32") / size
    centers = (ops.arange(size, dtype="float32") + 0.5) * step - 0.5
    distances = ops.arange(length, dtype="float32")[None, :] - centers[:, None]
    weights = ops.relu(1 - ops.abs(distances) / ops.maximum(step, 1.0))
    return weights / ops.sum(weights, axis=1, keepdims=True)


def resize_frames(x, size):
    """Resizes height and width bilinearly, without aliasing.

    The triangle filter of `keras.ops.image.resize(..., antialias=True)`; that one cannot be
    compiled by XLA on TensorFlow.

    Args:
        x: Tensor (B, T, H, W, C) of floats.
        size: (height, width) in pixels of the result.

    Returns:
        Tensor (B, T, height, width, C) of the dtype of `x`.

    Example:

    >>> x = np.array([0, 14, 28, 42], "float32").reshape(1, 1, 1, 4, 1)
    >>> np.array(resize_frames(x, (1, 2))).round().ravel().tolist()
    [10.0, 32.0]
    """
    height, width = ops.shape(x)[2:4]
    rows = ops.cast(_triangles(height, size[0]), x.dtype)
    columns = ops.cast(_triangles(width, size[1]), x.dtype)
    return ops.einsum("ih,jw,bthwc->btijc", rows, columns, x)
