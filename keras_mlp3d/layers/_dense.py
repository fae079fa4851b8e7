"""Keras's Dense as the network uses it."""

import keras

from keras_mlp3d.layers.glorot_uniform import GlorotUniform
from keras_mlp3d.ops import linear


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class Dense(keras.layers.Dense):
    """A `keras.layers.Dense`, drawn by `GlorotUniform`, whose bias costs no pass of its own."""

    def __init__(self, units, kernel_initializer=None, **kwargs):
        super().__init__(units, kernel_initializer=kernel_initializer or GlorotUniform(), **kwargs)

    def call(self, inputs):
        return self.activation(linear(inputs, self.kernel, self.bias))

    def quantize(self, mode=None, type_check=True, config=None):
        # Keras quantises no subclass unless told to: it cannot know that this one adds nothing.
        return super().quantize(mode, type_check=False, config=config)
