"""All code of the network for one backend: what PyTorch does faster by calls of its own.

Every other file asks `is_eager()` or the name of the backend before it calls the rest.
"""

from collections.abc import Sequence

import keras
from keras import ops

from keras_mlp3d._utils.types import Tensor

if keras.config.backend() == "torch":
    import torch
    from torch.nn.modules import module as torch_module


def is_eager() -> bool:
    """Return whether PyTorch runs every operation at once, rather than tracing a graph.

    Compilers fuse small operations into few passes over memory. Eagerly, each is a pass.

    Example:

    >>> is_eager() == (keras.config.backend() == "torch")
    True
    """
    return keras.config.backend() == "torch" and not torch.compiler.is_compiling()


def has_hooks(layer: keras.layers.Layer) -> bool:
    """Return whether PyTorch would run a hook when the layer is called."""
    return bool(
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
        or torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )


def affine(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """Return `x * scale + offset` in one pass over memory."""
    return torch.addcmul(offset, x, scale)


def linear(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `x · kernel + bias` in one call."""
    x, kernel = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    bias = None if bias is None else ops.convert_to_tensor(bias)
    return torch.nn.functional.linear(x, kernel.t(), bias)


def convolve(
    x: Tensor, kernel: Tensor, bias: Tensor, strides: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """Convolve with bias and padding in one call; the channels stay last in memory."""
    x, kernel = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    frames = torch.nn.functional.conv2d(
        x.permute(0, 3, 1, 2),
        kernel.permute(3, 2, 0, 1),
        ops.convert_to_tensor(bias),
        stride=strides,
        padding=padding,
    )
    return frames.permute(0, 2, 3, 1)


def take(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """Do what `keras.ops.take` does, by operations that ONNX has."""
    x, indices = ops.convert_to_tensor(x), ops.convert_to_tensor(indices)
    taken = x.index_select(axis, indices.flatten())
    return taken.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def contiguous(x: Tensor) -> Tensor:
    """Return a copy in the order of the axes."""
    return ops.convert_to_tensor(x).clone(memory_format=torch.contiguous_format)


def concatenate_earlier(x: Tensor, size: int) -> Tensor:
    """Concatenate each token with the S - 1 before it, circularly: (B, T', H', W', S C)."""
    x = ops.convert_to_tensor(x)
    if is_eager() and torch.is_grad_enabled():
        return _ConcatenateEarlier.apply(x, size)
    return _with_earlier(x, size)


def _with_earlier(x: Tensor, size: int) -> Tensor:
    time, back = x.shape[1], size - 1
    if back > time:
        return torch.cat([x.roll(i, 1) for i in range(size)], dim=-1)
    # Windows of one tensor: each roll would be a copy.
    circle = torch.cat([x[:, time - back :], x], dim=1) if back else x
    return torch.cat([circle[:, back - i : back - i + time] for i in range(size)], dim=-1)


def cycle_shift(x: Tensor, axis: int, offsets: Sequence[int]) -> Tensor:
    """Shift the channels c, c + k, c + 2 k, ... by `offsets[c]`, with one copy per offset."""
    x, offsets = ops.convert_to_tensor(x), tuple(offsets)
    if torch.is_grad_enabled():
        return _CycleShift.apply(x, axis, offsets)
    return _CycleShift.forward(x, axis, offsets)  # `apply` takes longer than a small shift


if keras.config.backend() == "torch":

    class _ConcatenateEarlier(torch.autograd.Function):
        """The gradient adds up its parts in place; each slice alone would begin with zeros."""

        generate_vmap_rule = True

        @staticmethod
        def forward(x, size):
            return _with_earlier(x, size)

        @staticmethod
        def setup_context(context, inputs, output):
            _, context.size = inputs

        @staticmethod
        def jvp(context, tangent, _):
            return _ConcatenateEarlier.apply(tangent, context.size)

        @staticmethod
        def backward(context, gradient):
            time = gradient.shape[1]
            parts = gradient.chunk(context.size, dim=-1)
            if context.size > time:
                return sum(part.roll(-i, 1) for i, part in enumerate(parts)), None
            total = parts[0].clone(memory_format=torch.contiguous_format)
            for i, part in enumerate(parts[1:], start=1):
                total[:, : time - i] += part[:, i:]
                total[:, time - i :] += part[:, :i]
            return total, None

    class _CycleShift(torch.autograd.Function):
        """The gradient of a shift is the shift back, in as many copies."""

        generate_vmap_rule = True

        @staticmethod
        def forward(x, axis, offsets):
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

        @staticmethod
        def setup_context(context, inputs, output):
            _, context.axis, context.offsets = inputs

        @staticmethod
        def jvp(context, tangent, *_):
            return _CycleShift.apply(tangent, context.axis, context.offsets)

        @staticmethod
        def backward(context, gradient):
            back = tuple(-offset for offset in context.offsets)
            return _CycleShift.apply(gradient, context.axis, back), None, None
