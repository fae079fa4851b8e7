"""A 2-D convolution with zeros around it, without a copy of its input where that can be avoided."""

import keras
from keras import ops

from keras_mlp3d.ops.pad_zeros import pad_zeros


def convolve(x, kernel, bias, strides, padding):
    """Slides a window over rows and columns.

    `keras.ops.conv` knows no symmetric padding. XLA melts a pad in front of it into the
    convolution; PyTorch takes the padding, and the bias, as arguments of its own call.

    Args:
        x: Tensor (B, H, W, C).
        kernel: Tensor (rows, columns, C, filters), of the dtype of `x`.
        bias: Tensor (filters,).
        strides: Steps in rows and columns.
        padding: Zeros on both sides in rows and columns.

    Returns:
        Tensor (B, H', W', filters).

    Example:

    >>> x, kernel = np.ones((1, 2, 2, 1), "float32"), np.ones((3, 3, 1, 1), "float32")
    >>> y = convolve(x, kernel, np.zeros(1, "float32"), strides=(1, 1), padding=(1, 1))
    >>> np.array(y).reshape(2, 2).tolist()
    [[4.0, 4.0], [4.0, 4.0]]
    """
    strides, padding = tuple(strides), tuple(padding)
    if keras.config.backend() == "torch":
        from keras_mlp3d.ops import _torch

        return _torch.convolve(x, kernel, bias, strides, padding)
    for axis, pad in enumerate(padding, start=1):
        x = pad_zeros(x, axis, pad, pad)
    return ops.conv(x, kernel, strides=strides, padding="valid", data_format="channels_last") + bias
