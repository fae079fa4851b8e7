"""Stage transition: halves height and width and changes the channels, each time step by itself.

Source: section 3.1.
"""

import keras
from keras import ops

from keras_mlp3d.layers._checks import check_positive_integer, check_tokens
from keras_mlp3d.layers.glorot_uniform import GlorotUniform
from keras_mlp3d.ops import convolve


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class StageTransition(keras.layers.Layer):
    """Maps each 3 x 3 window of tokens, stride 2, zero padding 1, to one token of `filters`.

    (The window is CycleMLP's: the paper names the transition alone.)

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
        Section 3.1.

    Example:

    >>> layer = StageTransition(16)
    >>> layer(np.ones((1, 2, 8, 5, 8), "float32")).shape == (1, 2, 4, 3, 16)
    True
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = check_positive_integer("filters", filters)

    def build(self, input_shape):
        check_tokens(self, input_shape)
        self.projection = keras.layers.Conv2D(
            self.filters,
            3,
            strides=2,
            padding="valid",
            data_format="channels_last",
            kernel_initializer=GlorotUniform(),
            dtype=self.dtype_policy,
            name="projection",
        )
        self.projection.build((None, None, None, input_shape[-1]))

    @property
    def kernel(self):
        """Weight (3, 3, C, filters)."""
        return self.projection.kernel

    @property
    def bias(self):
        """Weight (filters,)."""
        return self.projection.bias

    def call(self, inputs):
        batch, time, height, width, channels = ops.shape(inputs)
        frames = ops.reshape(inputs, (-1, height, width, channels))
        frames = convolve(frames, self.kernel, self.bias, strides=(2, 2), padding=(1, 1))
        _, height, width, channels = ops.shape(frames)
        return ops.reshape(frames, (batch, time, height, width, channels))

    def compute_output_shape(self, input_shape):
        batch, time, height, width, _ = input_shape
        height, width = (None if n is None else (n + 1) // 2 for n in (height, width))
        return (batch, time, height, width, self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}
