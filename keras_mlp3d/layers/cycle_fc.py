"""Cycle FC: a linear layer whose input channels look at neighbouring positions in turn.

Source: section 3.2, after CycleMLP (reference [6]).
"""

import keras

from keras_mlp3d.layers._checks import check_positive_integer, check_tokens
from keras_mlp3d.layers._dense import Dense
from keras_mlp3d.layers._sublayer import call_sublayer
from keras_mlp3d.layers.glorot_uniform import GlorotUniform
from keras_mlp3d.ops import cycle_shift

AXES = {"height": 2, "width": 3}


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class CycleFC(keras.layers.Layer):
    """Mixes tokens along one spatial axis at the price of a plain linear layer.

    Input channel c of output position p is read at `p + ((c + k // 2) mod k) - k // 2` along the
    axis (zero outside), then one linear layer maps the C channels to `filters`.

    The axis is named by the direction in which the layer steps. CycleMLP's own code calls the
    width step `sfc_h` and the height step `sfc_w`.

    Args:
        filters: Number of output channels.
        axis: "height" or "width".
        kernel_size: Number of positions k that the channels cycle through.
        use_bias: Whether to add a bias.
        kernel_initializer: Initialiser of the kernel (C, filters); None for `GlorotUniform`.
        bias_initializer: Initialiser of the bias (filters,).
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
        Section 3.2.

    Example:

    >>> layer = CycleFC(8, axis="height")
    >>> layer(np.ones((1, 2, 4, 6, 3), "float32")).shape == (1, 2, 4, 6, 8)
    True
    """

    def __init__(
        self,
        filters,
        axis="width",
        kernel_size=3,
        use_bias=True,
        kernel_initializer=None,
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if axis not in AXES:
            raise ValueError(f"axis must be 'height' or 'width', got {axis!r}.")
        self.filters = check_positive_integer("filters", filters)
        self.axis = axis
        self.kernel_size = check_positive_integer("kernel_size", kernel_size)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer or GlorotUniform())
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
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

    @property
    def kernel(self):
        """Weight (C, filters)."""
        return self.dense.kernel

    @property
    def bias(self):
        """Weight (filters,), or None without bias."""
        return self.dense.bias

    def call(self, inputs):
        return call_sublayer(self.dense, cycle_shift(inputs, AXES[self.axis], self.kernel_size))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "axis": self.axis,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
