"""Shift-token mixing: every token with the tokens before it, circularly in time.

Source: section 3.3, Algorithm 1 (shift-token).
"""

import keras
from keras import ops

from keras_mlp3d.ops.linear import linear


def shift_mix(x, kernel, bias=None):
    """Sends each token and the S - 1 before it through a matrix each, and adds the results.

    Args:
        x: Tokens (B, T', H', W', C).
        kernel: Tensor (S, C, filters): the matrix of the token i steps back at index i.
        bias: None or tensor (filters,).

    Returns:
        Tensor (B, T', H', W', filters).

    Source:
        Section 3.3, Algorithm 1.

    Example:

    >>> x = np.array([1, 10, 100], "float32").reshape(1, 3, 1, 1, 1)
    >>> kernel = np.array([1, 2], "float32").reshape(2, 1, 1)
    >>> np.array(shift_mix(x, kernel)).ravel().tolist()
    [201.0, 12.0, 120.0]
    """
    size, channels, filters = kernel.shape
    if keras.config.backend() == "torch":
        from keras_mlp3d.ops import _torch

        beside = _torch.beside_earlier(x, size)
        return linear(beside, ops.reshape(kernel, (size * channels, filters)), bias)
    # One product for all matrices, then the shifts: XLA makes the sum of shifted parts in one
    # pass, and nothing larger than `x` is kept for the gradient.
    parts = ops.matmul(x, ops.reshape(ops.transpose(kernel, (1, 0, 2)), (channels, size * filters)))
    parts = [parts[..., i * filters : (i + 1) * filters] for i in range(size)]
    outputs = sum(ops.roll(part, i, axis=1) if i else part for i, part in enumerate(parts))
    return outputs if bias is None else outputs + bias
