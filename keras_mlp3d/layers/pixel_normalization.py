"""Pixel normalisation: values 0..255 of any real dtype become what the network was trained on."""

import keras
from keras import ops

from keras_mlp3d.ops import affine

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class PixelNormalization(keras.layers.Layer):
    """Maps pixel values 0..255 to ImageNet's mean 0 and standard deviation 1, in float32.

    (Keras's own `Rescaling` does the same arithmetic, but torch.compile cannot trace through it.)

    Args:
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`; float32 unless a
            dtype is given.

    Input shape:
        (..., 3), red, green, blue.

    Output shape:
        That of the input.

    Raises:
        ValueError: If the last axis is not three colours.

    Source:
        The normalisation of the public CycleMLP weights, section 4.2.

    Example:

    >>> layer = PixelNormalization()
    >>> np.array(layer(np.full((1, 1, 1, 3), 255, "uint8"))).astype("float64").round(2).ravel()
    array([2.25, 2.43, 2.64])
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.built = True

    def call(self, inputs):
        if inputs.shape[-1] != 3:
            raise ValueError(
                f"{self.name} expects three colours in the last axis, got shape "
                f"{tuple(inputs.shape)}."
            )
        scale = ops.convert_to_tensor([1 / (255 * s) for s in IMAGENET_STD], self.compute_dtype)
        offset = ops.convert_to_tensor(
            [-m / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)], self.compute_dtype
        )
        return affine(ops.cast(inputs, self.compute_dtype), scale, offset)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
