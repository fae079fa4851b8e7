"""Time mixing within groups by matrices shared over time intervals.

Source: section 3.3, Eqs. (4) and (5), Algorithm 1.
"""

from keras import ops

from keras_mlp3d.ops.linear import linear
from keras_mlp3d.ops.shift_mix import shift_mix
from keras_mlp3d.ops.time_groups import group_time, ungroup_time


def interval_matrix(kernel, size, center):
    """Lays shared matrices out as the one that maps a whole group.

    Args:
        kernel: Tensor (n, C, filters): the matrix w_Δ at index Δ + center.
        size: Group size S.
        center: Index of w_0.

    Returns:
        Tensor (S C, S filters): w_Δ between an input and an output token Δ places later.

    Source:
        Section 3.3, Eq. (5).

    Example:

    >>> kernel = np.array([-1, 0, 1], "float32").reshape(3, 1, 1)
    >>> np.array(interval_matrix(kernel, 2, center=1)).tolist()
    [[0.0, 1.0], [-1.0, 0.0]]
    """
    place = ops.arange(size)
    blocks = ops.take(kernel, center + place[None, :] - place[:, None], axis=0)
    matrix = ops.transpose(blocks, (0, 2, 1, 3))  # (S, C, S, filters)
    return ops.reshape(matrix, (size * kernel.shape[1], size * kernel.shape[2]))


def mix_groups(x, kernel, bias=None, *, kind, size, center):
    """Mixes tokens in time by shared matrices.

    Args:
        x: Tokens (B, T', H', W', C).
        kernel: Tensor (n, C, filters): the matrix w_Δ at index Δ + center.
        bias: None or tensor (filters,).
        kind: "short_range", "long_range", "shift_window" or "shift_token".
        size: Group size S; T' must be divisible by it, for all kinds but shift-token.
        center: Index of w_0; all that the kind and size need must be there.

    Returns:
        Tensor (B, T', H', W', filters).

    Source:
        Section 3.3, Eqs. (4) and (5), Algorithm 1.

    Example:

    >>> x = np.array([1, 10, 100, 1000], "float32").reshape(1, 4, 1, 1, 1)
    >>> kernel = np.array([0, 1, 2], "float32").reshape(3, 1, 1)
    >>> np.array(mix_groups(x, kernel, kind="short_range", size=2, center=1)).ravel().tolist()
    [1.0, 12.0, 100.0, 1200.0]
    """
    if size == 1:
        return linear(x, kernel[center], bias)
    if kind == "shift_token":
        return shift_mix(x, kernel[center : center + size], bias)
    if bias is not None:
        bias = ops.tile(bias, size)
    outputs = linear(group_time(x, kind, size), interval_matrix(kernel, size, center), bias)
    return ungroup_time(outputs, kind, size)
