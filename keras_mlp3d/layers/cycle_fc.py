"""Cycle FC: a linear layer whose input channels look at neighboring positions in turn.

Source: section 3.2, after CycleMLP (reference [6]).
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mlp3d._utils.checks import check_choice, check_integer
from keras_mlp3d._utils.types import Shape, Tensor
from keras_mlp3d.layers import _torch
from keras_mlp3d.layers.composite import CompositeLayer, call_sublayer, check_tokens
from keras_mlp3d.layers.linear import Dense, GlorotUniform, pad_zeros

AXES = {"height": 2, "width": 3}


def cycle_offsets(channels: int, kernel_size: int) -> np.ndarray:
    """Return how far along the axis each channel looks: `((c + k // 2) mod k) - k // 2`.

    Example:

    >>> cycle_offsets(5, 3)
    array([ 0,  1, -1,  0,  1])
    """
    return (np.arange(channels) + kernel_size // 2) % kernel_size - kernel_size // 2


def cycle_shift(x: Tensor, axis: int, kernel_size: int) -> Tensor:
    """Move every channel of `x` by its cycle offset along `axis`; zeros come in from outside.

    Channel c of the output at position p is channel c of the input at position
    `p + cycle_offsets(C, k)[c]`. The channels are the last axis.

    Example:

    >>> x = np.arange(6.0).reshape(1, 1, 1, 2, 3)
    >>> np.array(cycle_shift(x, axis=3, kernel_size=3))[0, 0, 0].tolist()
    [[0.0, 4.0, 0.0], [3.0, 0.0, 2.0]]
    """
    if kernel_size == 1:
        return x
    if _torch.is_eager():  # a select would be one more pass over all channels
        return _torch.cycle_shift(x, axis, cycle_offsets(kernel_size, kernel_size).tolist())
    before, after = kernel_size // 2, (kernel_size - 1) // 2
    padded = pad_zeros(x, axis, before, after)
    length = ops.shape(x)[axis]
    lead = (slice(None),) * axis
    # `cycle_offsets` in tensors: torch.compile cannot trace a NumPy array as a condition.
    offsets = (ops.arange(x.shape[-1], dtype="int32") + before) % kernel_size - before
    # A select between k views of one padded tensor: compilers fuse it into one pass over memory,
    # but a gather would read position by position.
    shifted = x
    for offset in range(-before, after + 1):
        if offset:
            view = padded[(*lead, slice(before + offset, before + offset + length))]
            shifted = ops.where(ops.equal(offsets, offset), view, shifted)
    return shifted


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class CycleFC(CompositeLayer):
    """Mixes tokens along one spatial axis at the cost of a linear layer.

    Input channel c of output position p is read at `p + ((c + k // 2) mod k) - k // 2` along the
    axis (zero outside), then one linear layer maps the C channels to `filters`.

    The axis is the direction in which the layer steps. CycleMLP's own code calls the width step
    `sfc_h` and the height step `sfc_w`.

    Args:
        filters: Number of output channels.
        axis: "height" or "width".
        kernel_size: Number of positions k that the channels cycle through.
        use_bias: Whether to add a bias.
        kernel_initializer: Initializer of the kernel (C, filters); None for `GlorotUniform`.
        bias_initializer: Initializer of the bias (filters,).
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Attributes:
        kernel: Weight (C, filters).
        bias: Weight (filters,), or None.

    Input shape:
        (B, T', H', W', C)

    Output shape:
        (B, T', H', W', filters)

    Raises:
        ValueError: If an argument or the rank of the input is wrong.

    Source:
        Section 3.2; docs/reading.md (Cycle FC).

    Example:

    >>> layer = CycleFC(8, axis="height")
    >>> layer(np.ones((1, 2, 4, 6, 3), "float32")).shape == (1, 2, 4, 6, 8)
    True
    """

    def __init__(
        self,
        filters: int,
        axis: str = "width",
        kernel_size: int = 3,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = check_integer("filters", filters)
        self.axis = check_choice("axis", axis, AXES)
        self.kernel_size = check_integer("kernel_size", kernel_size)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer or GlorotUniform())
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Shape) -> None:
        check_tokens(self, input_shape)
        self.dense = Dense(
            self.filters,
            use_bias=self.use_bias,
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
            dtype=self.dtype_policy,
            name="dense",
        )
        self.dense.build(input_shape)
        self.settle_parts()

    @property
    def kernel(self) -> keras.Variable:
        """Weight (C, filters)."""
        return self.dense.kernel

    @property
    def bias(self) -> keras.Variable | None:
        """Weight (filters,), or None without bias."""
        return self.dense.bias

    def call(self, inputs: Tensor) -> Tensor:
        return call_sublayer(self.dense, cycle_shift(inputs, AXES[self.axis], self.kernel_size))

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "axis": self.axis,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
