"""Linear maps with trained weights, and moves of tokens that every backend can export.

`linear` and `convolve` multiply, `GlorotUniform` sets the first weights, and `Dense` and
`PaddedConv2D` are the layers with both.
"""

import math
import random
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mlp3d._utils.types import Shape, Tensor
from keras_mlp3d.layers import _torch
from keras_mlp3d.layers.adaptable import AdaptableLayer, merged_kernel, restart_adapter


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class GlorotUniform(keras.initializers.Initializer):
    """Initializes weights uniformly within ±sqrt(6 / (fan_in + fan_out)).

    The distribution of `keras.initializers.GlorotUniform`, sampled by NumPy: one seed gives the
    same network on TensorFlow, JAX and PyTorch, and JAX compiles no generator per weight shape.

    Args:
        seed: An integer, or None to take one from Python's `random`.

    Example:

    >>> weights = GlorotUniform(seed=3)((40, 20), "float32")
    >>> weights.shape == (40, 20) and bool(np.abs(np.array(weights)).max() <= 0.1 ** 0.5)
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self._seed_in_use = random.getrandbits(32) if seed is None else seed

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        receptive = math.prod(shape[:-2])
        fan_in = shape[-2] * receptive if len(shape) > 1 else shape[-1]
        fan_out = shape[-1] * receptive
        limit = math.sqrt(6 / (fan_in + fan_out))
        values = np.random.default_rng(self._seed_in_use).uniform(-limit, limit, shape)
        return ops.convert_to_tensor(values.astype("float32"), dtype=dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


def linear(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `x · kernel + bias`: (..., C_in), (C_in, C_out) and (C_out,) to (..., C_out).

    Example:

    >>> x, kernel = np.ones((1, 2), "float32"), np.eye(2, dtype="float32")
    >>> np.array(linear(x, kernel, np.array([0, 3], "float32"))).tolist()
    [[1.0, 4.0]]
    """
    if keras.config.backend() == "torch":
        return _torch.linear(x, kernel, bias)
    outputs = ops.matmul(x, kernel)
    return outputs if bias is None else outputs + bias


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class Dense(keras.layers.Dense):
    """A `keras.layers.Dense` with `GlorotUniform` weights that adds its bias without a pass."""

    def __init__(self, units: int, kernel_initializer: Any = None, **kwargs: Any) -> None:
        super().__init__(units, kernel_initializer=kernel_initializer or GlorotUniform(), **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        return self.activation(linear(inputs, self.kernel, self.bias))

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        # Keras quantizes no subclass unless told to: it cannot know that this one adds nothing.
        return super().quantize(mode, type_check=False, config=config)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        own: dict[str, Any] = {}
        super().save_own_variables(own)
        if self.lora_enabled and self.quantization_mode is None:
            own["0"] = merged_kernel(self)  # which Keras rounds to the compute dtype
        for name, value in own.items():
            store[name] = value

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        super().load_own_variables(store)
        if self.lora_enabled and self.built:
            restart_adapter(self)  # Keras sets both of its matrices to zero, for ever


def convolve(
    x: Tensor, kernel: Tensor, bias: Tensor, strides: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """Convolve frames in rows and columns, with zeros around them.

    `keras.ops.conv` has no symmetric padding. XLA fuses a pad into the convolution; PyTorch takes
    padding and bias as arguments of its own call.

    Args:
        x: Tensor (B, H, W, C).
        kernel: Tensor (rows, columns, C, filters), of the dtype of `x`.
        bias: Tensor (filters,).
        strides: Steps in rows and columns.
        padding: Zeros on both sides in rows and columns.

    Example:

    >>> x, kernel = np.ones((1, 2, 2, 1), "float32"), np.ones((3, 3, 1, 1), "float32")
    >>> y = convolve(x, kernel, np.zeros(1, "float32"), strides=(1, 1), padding=(1, 1))
    >>> np.array(y).reshape(2, 2).tolist()
    [[4.0, 4.0], [4.0, 4.0]]
    """
    strides, padding = tuple(strides), tuple(padding)
    if keras.config.backend() == "torch":
        return _torch.convolve(x, kernel, bias, strides, padding)
    for axis, pad in enumerate(padding, start=1):
        x = pad_zeros(x, axis, pad, pad)
    return ops.conv(x, kernel, strides=strides, padding="valid", data_format="channels_last") + bias


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class PaddedConv2D(AdaptableLayer):
    """A convolution with `GlorotUniform` weights and zeros on both sides of its input.

    Args:
        filters: Number of output channels.
        kernel_size: Rows and columns of the window, one integer.
        strides: Steps in rows and columns, one integer.
        zeros: Zeros on both sides in rows and columns, one integer.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Input shape:
        (B, H, W, C)

    Output shape:
        (B, H', W', filters), H' being `(H + 2 * zeros - kernel_size) // strides + 1`.
    """

    def __init__(
        self, filters: int, kernel_size: int, strides: int = 1, zeros: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.zeros = zeros

    def build(self, input_shape: Shape) -> None:
        window = (self.kernel_size, self.kernel_size)
        self.add_kernel((*window, input_shape[-1], self.filters), GlorotUniform())
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, inputs: Tensor) -> Tensor:
        strides, zeros = (self.strides, self.strides), (self.zeros, self.zeros)
        return convolve(inputs, self.kernel, self.bias, strides, zeros)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        batch, *lengths, _ = input_shape
        outside = 2 * self.zeros - self.kernel_size
        steps = (None if n is None else (n + outside) // self.strides + 1 for n in lengths)
        return (batch, *steps, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "zeros": self.zeros,
        }


def pad_zeros(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Add zeros before and after the entries of an axis, which has at least one.

    XLA fuses a pad into what follows it. On PyTorch `torch.compile` breaks its graph at
    `keras.ops.pad` (Keras 3.15), so zeros are concatenated there.

    Example:

    >>> np.array(pad_zeros(np.ones((1, 2)), axis=1, before=1, after=2)).tolist()
    [[0.0, 1.0, 1.0, 0.0, 0.0]]
    """
    if not before and not after:
        return x
    if keras.config.backend() == "torch":
        edge = ops.zeros_like(x[(*(slice(None),) * axis, slice(0, 1))])
        return ops.concatenate([edge] * before + [x] + [edge] * after, axis=axis)
    padding = [(0, 0)] * len(x.shape)
    padding[axis] = (before, after)
    return ops.pad(x, padding)


def reshape(x: Tensor, shape: Shape) -> Tensor:
    """Reshape a transposed or sliced tensor, also if its lengths are open.

    PyTorch asks about lengths of 1 before it reshapes such a tensor, and an export would then take
    only lengths of the same answer. Of a copy it does not ask.

    Example:

    >>> np.array(reshape(np.arange(4).reshape(2, 2).T, (4,))).tolist()
    [0, 2, 1, 3]
    """
    if keras.config.backend() == "torch" and not all(isinstance(n, int) for n in x.shape):
        x = _torch.contiguous(x)
    return ops.reshape(x, shape)


def take(x: Tensor, indices: Tensor) -> Tensor:
    """Gather entries of the first axis, so that every optimizer sees the whole gradient.

    Of a gather on TensorFlow, the gradient lists an entry as often as it is used, and Keras's Adam
    squares the parts of such a list before it adds them. Of a product it is an ordinary tensor.

    Example:

    >>> np.array(take(np.array([5, 6, 7]), np.array([[0, 2]]))).tolist()
    [[5, 7]]
    """
    if keras.config.backend() == "torch":
        return _torch.take(x, indices, axis=0)
    if keras.config.backend() == "tensorflow":
        x = ops.multiply(x, 1)
    return ops.take(x, indices, axis=0)


def roll(x: Tensor, shift: int, axis: int) -> Tensor:
    """Move the entries of an axis `shift` places later, circularly.

    In graphs of TensorFlow it is made of operations that LiteRT and ONNX have as well.

    Example:

    >>> np.array(roll(np.arange(4.0), 1, axis=0)).tolist()
    [3.0, 0.0, 1.0, 2.0]
    """
    length = ops.shape(x)[axis]
    if keras.config.backend() != "tensorflow" or hasattr(x, "numpy"):
        return ops.roll(x, shift, axis=axis)
    if not isinstance(length, int):
        return ops.take(x, (ops.arange(length, dtype="int32") - shift) % length, axis=axis)
    lead, place = (slice(None),) * axis, length - shift % length
    return ops.concatenate([x[(*lead, slice(place, None))], x[(*lead, slice(place))]], axis=axis)
