"""What the 3-D and the 2-D network have in common: pixels in, four stages, and input checks."""

import random

import keras
import numpy as np

from keras_mlp3d.layers import (
    MLP3DBlock,
    PixelNormalization,
    StageTransition,
    TubeletEmbedding,
    stochastic_depth_rates,
)

MIN_SIZE = 32  # four halvings behind the stride of the embedding leave one token

#: A bound on what a configuration may ask for: some thirty times MLP-3D-L.
MAX_PARAMETERS = 4_000_000_000
MAX_BLOCKS = 1000


def check_network(channels, depths, mlp_ratios):
    """Returns the three as tuples of four; raises ValueError with the argument that is wrong."""
    sizes = {"channels": channels, "depths": depths}
    for name, value in sizes.items():
        whole = isinstance(value, list | tuple) and all(
            isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in value
        )
        if not whole or len(value) != 4:
            raise ValueError(
                f"{name} must be four positive integers, one for each stage, got {value!r}."
            )
    if sum(depths) > MAX_BLOCKS:
        raise ValueError(f"depths must be at most {MAX_BLOCKS:,} blocks together, got {depths!r}.")
    if isinstance(mlp_ratios, int | float):
        mlp_ratios = (mlp_ratios,) * 4
    positive = isinstance(mlp_ratios, list | tuple) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and v > 0 for v in mlp_ratios
    )
    if not positive or len(mlp_ratios) != 4:
        raise ValueError(
            f"mlp_ratios must be one or four numbers above 0, one for each stage, got "
            f"{mlp_ratios!r}."
        )
    return tuple(channels), tuple(depths), tuple(mlp_ratios)


def check_parameter_bound(
    channels, depths, mlp_ratios, schedule, share_weights=True, max_group_size=None, time=None
):
    """Refuses a configuration whose matrices alone would take an absurd amount of memory.

    Args:
        channels: Channels of each stage.
        depths: Blocks of each stage.
        mlp_ratios: Channel MLP ratio of each stage.
        schedule: One `Mixing` for each block.
        share_weights: Whether time mixing shares its weights.
        max_group_size: None, or the largest group size that every kernel serves.
        time: None, or the number of tokens in time, the group size of full time mixing.
    """
    largest = max_group_size if isinstance(max_group_size, int) else None
    blocks = iter(schedule)
    total = 0
    for stage_channels, depth, ratio in zip(channels, depths, mlp_ratios, strict=True):
        for _ in range(depth):
            size = largest or next(blocks).group_size or time or 1
            matrices = 2 * size if share_weights else size**2
            total += stage_channels**2 * (matrices + 3 + 2 * ratio)
            if total > MAX_PARAMETERS:
                raise ValueError(
                    f"channels={channels}, depths={depths}, mlp_ratios={mlp_ratios} ask for more "
                    f"than {MAX_PARAMETERS:,} parameters, the most that is built."
                )


def normalised_pixels(pixels):
    """Maps pixel values 0..255 to ImageNet's mean 0 and standard deviation 1, in float32."""
    return PixelNormalization(name="normalisation")(pixels)


def build_stages(
    clip,
    channels,
    depths,
    mlp_ratios,
    schedule,
    drop_path_rate,
    dtype,
    window,
    candidates=None,
    **block_options,
):
    """Embeds a clip and runs the four stages.

    Args:
        clip: Symbolic clip (B, T, H, W, 3).
        channels: Channels of each stage.
        depths: Blocks of each stage.
        mlp_ratios: Channel MLP ratio of each stage.
        schedule: One `Mixing` for each block.
        drop_path_rate: Rate of stochastic depth at the last block.
        dtype: Dtype policy of every layer.
        window: Frames of the embedding's window, its stride in time too.
        candidates: None, or the mixings that each block can be switched to.
        **block_options: Further arguments of every `MLP3DBlock`.

    Returns:
        Normalised tokens (B, T', H', W', C4), and {"P2": ..., "P5": ...}: the tokens behind each
        stage, without norm.
    """
    rates = stochastic_depth_rates(depths, drop_path_rate)
    mixings = iter(schedule)
    tokens = TubeletEmbedding(
        channels[0],
        window=(window, 7, 7),
        strides=(window, 4, 4),
        padding=(0, 2, 2),
        dtype=dtype,
        name="embedding",
    )(clip)
    pyramid = {}
    for stage in range(4):
        if stage:
            tokens = StageTransition(
                channels[stage], dtype=dtype, name=f"stage{stage + 1}_transition"
            )(tokens)
        for block in range(depths[stage]):
            mixing = next(mixings)
            if candidates is not None:
                pairs = [(other.kind, other.group_size) for other in candidates]
                own = (mixing.kind, mixing.group_size)
                block_options["candidates"] = pairs if own in pairs else [*pairs, own]
            tokens = MLP3DBlock(
                mixing.kind,
                mixing.group_size,
                mlp_ratio=mlp_ratios[stage],
                drop_path_rate=rates[stage][block],
                dtype=dtype,
                name=f"stage{stage + 1}_block{block + 1}",
                **block_options,
            )(tokens)
        pyramid[f"P{stage + 2}"] = tokens
    tokens = keras.layers.LayerNormalization(epsilon=1e-5, dtype=dtype, name="norm")(tokens)
    return tokens, pyramid


def seeded_dropout(rate, **kwargs):
    """Returns a Dropout whose draws a checkpoint can hold.

    Keras's, without a seed, draws on PyTorch from the generator of the whole process.
    """
    return keras.layers.Dropout(rate, seed=random.randint(1, 10**9), **kwargs)


def check_frames(name, shape, form):
    """Refuses frames of a wrong rank, not three channels, or less than 32 rows or columns.

    Args:
        name: Name of the model for the message.
        shape: Shape of the input, batch axis first.
        form: The expected shape in words, such as "(batch, frames, height, width, 3)".
    """
    if len(shape) != form.count(",") + 1:
        raise ValueError(f"{name} takes pixels of shape {form}, got shape {tuple(shape)}.")
    if shape[-1] != 3:
        raise ValueError(
            f"{name} takes three colour channels, RGB, in the last axis; expected shape {form}, "
            f"got {tuple(shape)}."
        )
    for what, length in (("height", shape[-3]), ("width", shape[-2])):
        if length is not None and length < MIN_SIZE:
            raise ValueError(
                f"{name} needs a {what} of at least {MIN_SIZE} pixels, got {length} in shape "
                f"{tuple(shape)}."
            )


def static_shape(inputs):
    """Returns the shape of an array, tensor or nested list, without moving its data."""
    shape = getattr(inputs, "shape", None)
    return tuple(np.shape(inputs) if shape is None else shape)


def policy_config(policy):
    """Returns a dtype policy as a plain name where that says it all, else serialised."""
    plain = type(policy) in (
        keras.dtype_policies.DTypePolicy,
        keras.dtype_policies.FloatDTypePolicy,
    )
    return policy.name if plain else keras.dtype_policies.serialize(policy)
