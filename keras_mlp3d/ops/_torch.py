"""What PyTorch does better by calls of its own: the only code of the package for one backend.

Imported where PyTorch is the backend, and then alone.
"""

import torch
from keras import ops


def is_compiling():
    """Returns whether torch.compile is tracing."""
    return torch.compiler.is_compiling()


def affine(x, scale, offset):
    """Returns `x * scale + offset` in one pass over memory."""
    return torch.addcmul(offset, x, scale)


def linear(x, kernel, bias=None):
    """Returns `x · kernel + bias` in one call."""
    x, kernel = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    bias = None if bias is None else ops.convert_to_tensor(bias)
    return torch.nn.functional.linear(x, kernel.t(), bias)


def convolve(x, kernel, bias, strides, padding):
    """A convolution with its bias and its padding; the channels stay last in memory."""
    x, kernel = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    frames = torch.nn.functional.conv2d(
        x.permute(0, 3, 1, 2),
        kernel.permute(3, 2, 0, 1),
        ops.convert_to_tensor(bias),
        stride=strides,
        padding=padding,
    )
    return frames.permute(0, 2, 3, 1)


def beside_earlier(x, size):
    """(B, T', H', W', S C): every token beside the S - 1 before it, circularly."""
    x = ops.convert_to_tensor(x)
    time, back = x.shape[1], size - 1
    if back > time:
        return torch.cat([x.roll(i, 1) for i in range(size)], dim=-1)
    # Windows of one tensor, where each roll would be a copy of its own.
    circle = torch.cat([x[:, time - back :], x], dim=1) if back else x
    return torch.cat([circle[:, back - i : back - i + time] for i in range(size)], dim=-1)


def cycle_shift(x, axis, offsets):
    """Copies the channels in as many parts as there are offsets, which they take in turn."""
    x = ops.convert_to_tensor(x)
    shifted = x.clone()
    length, step = x.shape[axis], len(offsets)
    for first, offset in enumerate(offsets):
        if not offset:
            continue
        source, target = (tensor[..., first::step] for tensor in (x, shifted))
        inside = max(0, length - abs(offset))
        if inside:
            seen = source.narrow(axis, max(0, offset), inside)
            target.narrow(axis, max(0, -offset), inside).copy_(seen)
        outside = inside if offset > 0 else 0
        target.narrow(axis, outside, length - inside).zero_()
    return shifted
