"""Embeddings: a clip's windows become tokens, and windows of tokens the tokens of the next stage.

Source: section 3.1.
"""

from typing import Any

import keras
from keras import ops

from keras_mlp3d._utils.checks import check_integer, check_integers
from keras_mlp3d._utils.types import Shape, Tensor
from keras_mlp3d.layers import _torch
from keras_mlp3d.layers.adaptable import AdaptableLayer
from keras_mlp3d.layers.composite import CompositeLayer, call_sublayer, check_tokens
from keras_mlp3d.layers.linear import GlorotUniform, PaddedConv2D, convolve, pad_zeros, reshape


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class TubeletEmbedding(AdaptableLayer):
    """Maps every space-time window of a clip (7 x 7 pixels, four frames) linearly to a token.

    The frames of a window are folded into the channels of one frame, and a 2-D convolution over
    all folded frames does the rest: no 3-D convolution is needed.

    Args:
        filters: Number of channels of a token.
        window: Window in frames, rows and columns.
        strides: Step of the window in frames, rows and columns.
        padding: Zeros added on both sides in frames, rows and columns.
        kernel_initializer: Initializer of the kernel; None for `GlorotUniform`.
        bias_initializer: Initializer of the bias.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Attributes:
        kernel: Weight (frames, rows, columns, channels, filters).
        bias: Weight (filters,).

    Input shape:
        (B, T, H, W, C)

    Output shape:
        (B, T', H', W', filters), each of T', H', W' being
        `(length + 2 * padding - window) // stride + 1`.

    Raises:
        ValueError: If an argument or the rank of the input is wrong, or the window does not fit.

    Source:
        Section 3.1; docs/reading.md (tubelet embedding).

    Example:

    >>> layer = TubeletEmbedding(16)
    >>> layer(np.ones((1, 8, 32, 40, 3), "float32")).shape == (1, 2, 8, 10, 16)
    True
    """

    def __init__(
        self,
        filters: int,
        window: tuple[int, int, int] = (4, 7, 7),
        strides: tuple[int, int, int] = (4, 4, 4),
        padding: tuple[int, int, int] = (0, 2, 2),
        kernel_initializer: Any = None,
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = check_integer("filters", filters)
        self.window = check_integers("window", window, 3, 1)
        self.strides = check_integers("strides", strides, 3, 1)
        self.padding = check_integers("padding", padding, 3, 0)
        self.kernel_initializer = keras.initializers.get(kernel_initializer or GlorotUniform())
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Shape) -> None:
        check_tokens(self, input_shape, "a clip (B, T, H, W, C)")
        self.add_kernel((*self.window, input_shape[-1], self.filters), self.kernel_initializer)
        self.bias = self.add_weight(
            name="bias", shape=(self.filters,), initializer=self.bias_initializer
        )

    def _fold_windows(self, clip: Tensor) -> Tensor:
        """Return (B, T', H, W, frames * C): the frames of each window along the channels."""
        batch, time, height, width, channels = ops.shape(clip)
        frames, stride = self.window[0], self.strides[0]
        if frames == 1 and stride == 1:
            return clip
        steps = (time - frames) // stride + 1
        if frames == stride and _torch.is_eager():
            # As below, in half the time: whole pixels are copied, frame by frame.
            clip = clip[:, : steps * frames]
            return ops.concatenate([clip[:, i::frames] for i in range(frames)], axis=-1)
        if frames == stride:
            clip = clip[:, : steps * frames]
            windows = reshape(clip, (batch, steps, frames, height, width, channels))
        else:
            starts = ops.arange(steps, dtype="int32") * stride
            windows = ops.take(
                clip, starts[:, None] + ops.arange(frames, dtype="int32")[None, :], axis=1
            )
        windows = ops.transpose(windows, (0, 1, 3, 4, 2, 5))
        return ops.reshape(windows, (batch, steps, height, width, frames * channels))

    def call(self, inputs: Tensor) -> Tensor:
        self._output_lengths(inputs.shape)
        pad = self.padding[0]
        folded = self._fold_windows(pad_zeros(inputs, 1, pad, pad))
        batch, steps, height, width, channels = ops.shape(folded)
        frames = reshape(folded, (-1, height, width, channels))
        kernel = ops.transpose(ops.convert_to_tensor(self.kernel), (1, 2, 0, 3, 4))
        kernel = ops.reshape(kernel, (*self.window[1:], channels, self.filters))
        tokens = convolve(frames, kernel, self.bias, self.strides[1:], self.padding[1:])
        _, height, width, _ = ops.shape(tokens)
        return reshape(tokens, (batch, steps, height, width, self.filters))

    def _output_lengths(self, shape: Shape) -> list[int | None]:
        lengths: list[int | None] = []
        rows = zip(
            ("frames", "rows", "columns"),
            shape[1:4],
            self.window,
            self.strides,
            self.padding,
            strict=True,
        )
        for what, length, window, stride, pad in rows:
            if not isinstance(length, int):  # an export leaves it open: None, or a symbol
                lengths.append(None)
                continue
            if length + 2 * pad < window:
                raise ValueError(
                    f"The clip has {length} {what}; a window of {window} with padding {pad} needs "
                    f"at least {window - 2 * pad}. Got shape {tuple(shape)}."
                )
            lengths.append((length + 2 * pad - window) // stride + 1)
        return lengths

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return (input_shape[0], *self._output_lengths(input_shape), self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "window": self.window,
            "strides": self.strides,
            "padding": self.padding,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class StageTransition(CompositeLayer):
    """Maps each 3 x 3 window of tokens, stride 2, zero padding 1, to one token of `filters`.

    Args:
        filters: Number of output channels.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Attributes:
        kernel: Weight (3, 3, C, filters).
        bias: Weight (filters,).

    Input shape:
        (B, T', H', W', C)

    Output shape:
        (B, T', ceil(H' / 2), ceil(W' / 2), filters)

    Raises:
        ValueError: If `filters` or the rank of the input is wrong.

    Source:
        Section 3.1; docs/reading.md (stage transition).

    Example:

    >>> layer = StageTransition(16)
    >>> layer(np.ones((1, 2, 8, 5, 8), "float32")).shape == (1, 2, 4, 3, 16)
    True
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = check_integer("filters", filters)

    def build(self, input_shape: Shape) -> None:
        check_tokens(self, input_shape)
        self.projection = PaddedConv2D(
            self.filters, 3, strides=2, zeros=1, dtype=self.dtype_policy, name="projection"
        )
        self.projection.build((None, None, None, input_shape[-1]))
        self.settle_parts()

    @property
    def kernel(self) -> keras.Variable:
        """Weight (3, 3, C, filters)."""
        return self.projection.kernel

    @property
    def bias(self) -> keras.Variable:
        """Weight (filters,)."""
        return self.projection.bias

    def call(self, inputs: Tensor) -> Tensor:
        batch, time, height, width, channels = ops.shape(inputs)
        frames = reshape(inputs, (-1, height, width, channels))
        frames = call_sublayer(self.projection, frames)
        _, height, width, channels = ops.shape(frames)
        return reshape(frames, (batch, time, height, width, channels))

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        batch, time, height, width, _ = input_shape
        height, width = (None if n is None else (n + 1) // 2 for n in (height, width))
        return (batch, time, height, width, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}
