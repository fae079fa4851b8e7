"""A scale and an offset for each channel."""

from keras_mlp3d.ops.eager import is_eager_torch


def affine(x, scale, offset):
    """Returns `x * scale + offset`, eagerly too in one pass over memory.

    Args:
        x: Tensor (..., C).
        scale: Tensor (C,) of the dtype of `x`.
        offset: Tensor (C,) of the dtype of `x`.

    Returns:
        Tensor (..., C).

    Example:

    >>> arrays = (keras.ops.convert_to_tensor(a) for a in ([[1.0, 2.0]], [3.0, 4.0], [5.0, 6.0]))
    >>> np.array(affine(*arrays)).tolist()
    [[8.0, 14.0]]
    """
    if is_eager_torch():
        from keras_mlp3d.ops import _torch

        return _torch.affine(x, scale, offset)
    return x * scale + offset
