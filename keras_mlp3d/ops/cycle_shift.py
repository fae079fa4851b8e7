"""The token shift in front of a Cycle FC: each channel looks one cyclic step further along an axis.

Source: section 3.2 (Cycle FC of CycleMLP, reference [6] of the paper).
"""

import numpy as np
from keras import ops

from keras_mlp3d.ops.eager import is_eager_torch
from keras_mlp3d.ops.pad_zeros import pad_zeros


def cycle_offsets(channels, kernel_size):
    """Returns how far along the axis each channel looks, as integers.

    Args:
        channels: Number of input channels C.
        kernel_size: Number of positions k that the channels cycle through.

    Returns:
        NumPy array (C,): `((c + k // 2) mod k) - k // 2` for channel c.

    Example:

    >>> cycle_offsets(5, 3)
    array([ 0,  1, -1,  0,  1])
    """
    return (np.arange(channels) + kernel_size // 2) % kernel_size - kernel_size // 2


def cycle_shift(x, axis, kernel_size):
    """Moves every channel of `x` by its cycle offset along `axis`; zeros come in from outside.

    Channel c of the output at position p is channel c of the input at position
    `p + cycle_offsets(C, k)[c]`.

    Args:
        x: Tensor (..., C), channels last.
        axis: Non-negative axis of positions, not the last.
        kernel_size: Number of positions k; 1 leaves `x` as it is.

    Returns:
        Tensor of the shape and dtype of `x`.

    Example:

    >>> x = np.arange(6.0).reshape(1, 1, 1, 2, 3)
    >>> np.array(cycle_shift(x, axis=3, kernel_size=3))[0, 0, 0].tolist()
    [[0.0, 4.0, 0.0], [3.0, 0.0, 2.0]]
    """
    if kernel_size == 1:
        return x
    if is_eager_torch():
        from keras_mlp3d.ops import _torch

        # A select would be a pass of its own over all channels.
        return _torch.cycle_shift(x, axis, cycle_offsets(kernel_size, kernel_size).tolist())
    before, after = kernel_size // 2, (kernel_size - 1) // 2
    padded = pad_zeros(x, axis, before, after)
    length = ops.shape(x)[axis]
    lead = (slice(None),) * axis
    # `cycle_offsets` in tensors: torch.compile cannot trace a NumPy array as a condition.
    offsets = (ops.arange(x.shape[-1]) + before) % kernel_size - before
    # A select between k views of one padded tensor: compilers fuse it into a single pass over
    # memory, where a gather would read position by position.
    shifted = x
    for offset in range(-before, after + 1):
        if offset:
            view = padded[(*lead, slice(before + offset, before + offset + length))]
            shifted = ops.where(ops.equal(offsets, offset), view, shifted)
    return shifted
