"""Channel MLP: two linear layers with a GELU between them, on each token by itself.

Source: section 3.2.
"""

import keras

from keras_mlp3d.layers._checks import check_positive
from keras_mlp3d.layers._dense import Dense
from keras_mlp3d.layers._sublayer import call_sublayer


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class ChannelMLP(keras.layers.Layer):
    """Maps the channels of every token to `ratio` times as many, through an exact GELU, and back.

    Args:
        ratio: Hidden channels over input channels (4; MLP-3D-M has 8, 8, 4, 4 by stage).
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Input shape:
        (..., C)

    Output shape:
        (..., C)

    Raises:
        ValueError: If `ratio` is no number above 0.

    Source:
        Section 3.2.

    Example:

    >>> layer = ChannelMLP(ratio=4)
    >>> layer(np.ones((1, 2, 4, 4, 8), "float32")).shape == (1, 2, 4, 4, 8)
    True
    >>> tuple(layer.expand.kernel.shape)
    (8, 32)
    """

    def __init__(self, ratio=4, **kwargs):
        super().__init__(**kwargs)
        self.ratio = check_positive("ratio", ratio)

    def build(self, input_shape):
        channels = input_shape[-1]
        hidden = int(channels * self.ratio)
        self.expand = Dense(
            hidden,
            activation="gelu",
            dtype=self.dtype_policy,
            name="expand",
        )
        self.expand.build(input_shape)
        self.reduce = Dense(
            channels,
            dtype=self.dtype_policy,
            name="reduce",
        )
        self.reduce.build((*input_shape[:-1], hidden))

    def call(self, inputs):
        return call_sublayer(self.reduce, call_sublayer(self.expand, inputs))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "ratio": self.ratio}
