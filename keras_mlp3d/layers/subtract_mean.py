"""What moves in a clip: each frame minus the mean over time.

Source: section 4.3.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class SubtractMean(keras.layers.Layer):
    """Erases the background: each frame minus the mean over time.

    Args:
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`; float32 unless a
            dtype is given.

    Input shape:
        (B, T, H, W, C)

    Output shape:
        That of the input.

    Source:
        Section 4.3.

    Example:

    >>> clip = np.array([1, 2, 6], "float32").reshape(1, 3, 1, 1, 1)
    >>> np.array(SubtractMean()(clip)).ravel().tolist()
    [-2.0, -1.0, 3.0]
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.built = True

    def call(self, clip):
        clip = ops.cast(clip, self.compute_dtype)
        return clip - ops.mean(clip, axis=1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
