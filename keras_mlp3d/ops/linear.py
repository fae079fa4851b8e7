"""A matrix product with its bias in one pass over memory, where the backend has one."""

import keras
from keras import ops


def linear(x, kernel, bias=None):
    """Returns `x · kernel + bias`.

    XLA and TensorFlow's graphs melt the bias into the product by themselves. PyTorch run eagerly
    does not, so it gets its own fused call.

    Args:
        x: Tensor (..., C_in).
        kernel: Tensor (C_in, C_out), of the dtype of `x`.
        bias: None or tensor (C_out,).

    Returns:
        Tensor (..., C_out).

    Example:

    >>> x, kernel = np.ones((1, 2), "float32"), np.eye(2, dtype="float32")
    >>> np.array(linear(x, kernel, np.array([0, 3], "float32"))).tolist()
    [[1.0, 4.0]]
    """
    if keras.config.backend() == "torch":
        from keras_mlp3d.ops import _torch

        return _torch.linear(x, kernel, bias)
    outputs = ops.matmul(x, kernel)
    return outputs if bias is None else outputs + bias
