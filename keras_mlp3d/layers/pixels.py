"""What happens to pixels before the first layer with weights."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mlp3d._utils.checks import check_integers, check_number, is_no_list
from keras_mlp3d._utils.types import Shape, Tensor
from keras_mlp3d.layers import _torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class PixelNormalization(keras.layers.Layer):
    """Maps pixel values 0..255 to numbers of mean 0 and standard deviation 1, in float32.

    (Keras's own `Rescaling` does the same arithmetic, but torch.compile cannot trace through it.)

    Args:
        mean: Mean of red, green and blue, of values 0..1; None for ImageNet's.
        std: Standard deviation of red, green and blue, of values 0..1; None for ImageNet's.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`; float32 unless a
            dtype is given.

    Input shape:
        (..., 3), red, green, blue.

    Output shape:
        That of the input.

    Raises:
        ValueError: If an argument is wrong, or the last axis is not three colors.

    Source:
        Section 4.2; docs/reading.md (pixels).

    Example:

    >>> layer = PixelNormalization()
    >>> np.array(layer(np.full((1, 1, 1, 3), 255, "uint8"))).astype("float64").round(2).ravel()
    array([2.25, 2.43, 2.64])
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.mean, self.std = check_statistics("mean", mean), check_statistics("std", std)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        if inputs.shape[-1] != 3:
            raise ValueError(
                f"{self.name} expects three colors in the last axis, got shape "
                f"{tuple(inputs.shape)}."
            )
        mean, std = self.mean or IMAGENET_MEAN, self.std or IMAGENET_STD
        scale = ops.convert_to_tensor([1 / (255 * s) for s in std], self.compute_dtype)
        offset = ops.convert_to_tensor(
            [-m / s for m, s in zip(mean, std, strict=True)], self.compute_dtype
        )
        pixels = ops.cast(inputs, self.compute_dtype)
        if _torch.is_eager():
            return _torch.affine(pixels, scale, offset)
        return pixels * scale + offset

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "std": self.std}


def check_statistics(name: str, value: Any) -> tuple[float, float, float] | None:
    """Return a mean or standard deviation of red, green and blue, of pixel values 0..1.

    Args:
        name: Name of the argument, for the message. If it ends in "std", no number may be 0.
        value: What the caller passed; None stays None.

    Raises:
        ValueError: If it is not three numbers from 0 to 1.

    Example:

    >>> check_statistics("pixel_mean", [0.5, 0.5, 0.5])
    (0.5, 0.5, 0.5)
    """
    if value is None:
        return None
    minimum = {"above": 0} if name.endswith("std") else {"minimum": 0}
    try:
        if is_no_list(value):
            raise ValueError
        red, green, blue = (float(check_number(name, each, maximum=1, **minimum)) for each in value)
    except (TypeError, ValueError):
        least = "above 0" if name.endswith("std") else "of at least 0"
        raise ValueError(
            f"{name} must be three numbers {least} and of at most 1, for red, green and blue (that "
            f"of pixel values 0..255 divided by 255), got {value!r}."
        ) from None
    return red, green, blue


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

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.built = True

    def call(self, clip: Tensor) -> Tensor:
        clip = ops.cast(clip, self.compute_dtype)
        return clip - ops.mean(clip, axis=1, keepdims=True)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return tuple(input_shape)


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class MotionView(SubtractMean):
    """Resizes a clip and erases its background: each frame minus the mean over time.

    Args:
        size: (height, width) in pixels of the output.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Input shape:
        (B, T, H, W, C)

    Output shape:
        (B, T, height, width, C), float32

    Raises:
        ValueError: If `size` is not two positive integers.

    Source:
        Section 4.3.

    Example:

    >>> clip = np.full((1, 4, 8, 8, 3), 7.0, "float32")
    >>> float(np.abs(np.array(MotionView((4, 4))(clip))).max())
    0.0
    """

    def __init__(self, size: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        height, width = check_integers("size", size, 2)
        self.size = height, width

    def call(self, clip: Tensor) -> Tensor:
        clip = ops.cast(clip, self.compute_dtype)  # resizing integers would round them
        # A length that an export leaves open is a symbol: comparing it would fix it.
        if not all(isinstance(n, int) for n in clip.shape[2:4]) or self.size != clip.shape[2:4]:
            clip = resize_frames(clip, self.size)
        return super().call(clip)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return (*input_shape[:2], *self.size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


def resize_frames(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize height and width bilinearly, without aliasing.

    The triangle filter of `keras.ops.image.resize(..., antialias=True)`, as one linear map per
    axis: Keras's own cannot be compiled by XLA on TensorFlow.

    Args:
        x: Tensor (B, T, H, W, C) of floats.
        size: (height, width) in pixels of the result.

    Returns:
        Tensor (B, T, height, width, C) of the dtype of `x`.

    Example:

    >>> x = np.array([0, 14, 28, 42], "float32").reshape(1, 1, 1, 4, 1)
    >>> np.array(resize_frames(x, (1, 2))).round().ravel().tolist()
    [10.0, 32.0]
    """
    batch, time, height, width, channels = ops.shape(x)
    rows = ops.cast(_triangles(height, size[0]), x.dtype)
    columns = ops.cast(_triangles(width, size[1]), x.dtype)
    # Products of matrices, rather than one `einsum`: exports can leave all lengths open.
    x = ops.matmul(rows, ops.reshape(x, (-1, height, width * channels)))
    x = ops.matmul(columns, ops.reshape(x, (-1, width, channels)))
    return ops.reshape(x, (batch, time, *size, channels))


def _triangles(length: Any, size: int) -> Tensor:
    """Return (size, length): the share of each input position in each output position."""
    places = ops.arange(length, dtype="float32")
    step = (places[-1] + 1) / size  # not from `length`, which may be a symbol
    centers = (ops.arange(size, dtype="float32") + 0.5) * step - 0.5
    distances = places[None, :] - centers[:, None]
    weights = ops.relu(1 - ops.abs(distances) / ops.maximum(step, 1.0))
    return weights / ops.sum(weights, axis=1, keepdims=True)
