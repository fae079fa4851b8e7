"""A plain R(2+1)D: the convolutional network that benchmarks/real_clips.py trains beside MLP-3D.

Source: Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, CVPR 2018:
each 3-D convolution is one over a frame and one over time, with a norm and a ReLU between them, and
so many channels between them that the weights are as many as those of the 3-D convolution.
"""

import math

from keras_mlp3d.layers import PixelNormalization, SubtractMean

import keras


def r2plus1d(
    num_classes,
    shape,
    channels,
    depths,
    dropout=0.0,
    pixel_mean=None,
    pixel_std=None,
    subtract_mean=None,
):
    """Return a network from clips (B, T, H, W, 3), pixels 0..255, to logits (B, num_classes).

    Args:
        num_classes: Number of classes.
        shape: (T, H, W, 3)
        channels: Channels of the four stages.
        depths: Residual blocks of the four stages. Stages 2 to 4 halve time and space.
        dropout: Dropout rate before the classifier.
        pixel_mean: Mean of each color, of values 0..1; None for ImageNet's.
        pixel_std: Standard deviation of each color; None for ImageNet's.
        subtract_mean: Whether each frame minus the mean over time is seen.
    """
    clip = keras.Input(shape)
    x = PixelNormalization(pixel_mean, pixel_std, name="normalization")(clip)
    if subtract_mean:
        x = SubtractMean(name="subtract_mean")(x)
    x = _factorized(x, channels[0], 7, (1, 2), "stem", middle=channels[0])
    for stage, (width, depth) in enumerate(zip(channels, depths, strict=True)):
        for block in range(depth):
            stride = 2 if stage and not block else 1
            x = _residual(x, width, stride, f"stage{stage + 1}_unit{block + 1}")
    x = keras.layers.GlobalAveragePooling3D(name="pool")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    model = keras.Model(clip, keras.layers.Dense(num_classes, name="head")(x), name="r2plus1d")
    model.pixel_mean, model.pixel_std, model.subtract_mean = pixel_mean, pixel_std, subtract_mean
    return model


def _residual(x, width, stride, name):
    short = x
    if stride > 1 or x.shape[-1] != width:
        short = keras.layers.Conv3D(width, 1, stride, use_bias=False, name=f"{name}_short")(x)
        short = keras.layers.BatchNormalization(name=f"{name}_short_norm")(short)
    x = _factorized(x, width, 3, (stride, stride), f"{name}_a")
    x = _factorized(x, width, 3, (1, 1), f"{name}_b", relu=False)
    return keras.layers.ReLU(name=name)(keras.layers.add([x, short], name=f"{name}_sum"))


def _factorized(x, width, size, strides, name, middle=None, relu=True):
    """Return a 3-D convolution as one over a frame, `size` wide, and one over three steps."""
    incoming, (time, space) = x.shape[-1], strides
    whole, per_middle = 3 * size**2 * incoming * width, size**2 * incoming + 3 * width
    kernels = (
        (middle or whole // per_middle, (1, size, size), (1, space, space), "space"),
        (width, (3, 1, 1), (time, 1, 1), "time"),
    )
    for filters, kernel, stride, part in kernels:
        x = keras.layers.Conv3D(
            filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_{part}"
        )(x)
        x = keras.layers.BatchNormalization(name=f"{name}_{part}_norm")(x)
        if part == "space" or relu:
            x = keras.layers.ReLU(name=f"{name}_{part}_relu")(x)
    return x


def multiply_accumulates(model):
    """Return the multiply-accumulates per clip of the convolutions and the classifier."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv3D | keras.layers.Dense):
            total += math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])
    return total
