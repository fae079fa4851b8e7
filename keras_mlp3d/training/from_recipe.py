"""What a recipe decides: a converter, the arguments of a network, and the loaders."""

import dataclasses
import logging
from typing import Any

from keras_mlp3d.data import Augmenter, Manifest, VideoConverter, VideoLoader
from keras_mlp3d.distribution import current_distribution
from keras_mlp3d.models import Mixing
from keras_mlp3d.training.recipe import Recipe
from keras_mlp3d.training.recipe_rules import augmenter_config, stride_fault

_logger = logging.getLogger("keras_mlp3d")

_RANDOM_KINDS = ("short_range", "long_range", "shift_window", "shift_token")


def clip_converter(converter: VideoConverter, recipe: Recipe) -> VideoConverter:
    """Return a converter with the clip length, size and sampling of a recipe.

    Args:
        converter: `data.VideoConverter`, such as a preset's. It decides what the recipe leaves
            open.
        recipe: A `Recipe`.

    Raises:
        ValueError: If the recipe has a `frame_stride` for a converter that takes frames from the
            whole video.

    Example:

    >>> from keras_mlp3d.data import VideoConverter
    >>> from keras_mlp3d.training import Recipe
    >>> clip_converter(VideoConverter(crop="none"), Recipe.load("motion_shapes")).num_frames
    32
    """
    names = ("num_frames", "image_size", "sampling", "frame_stride")
    values = {name: getattr(recipe, name) for name in names}
    given = {name: value for name, value in values.items() if value is not None}
    made = converter.replace(**given)
    fault = stride_fault(made.sampling, recipe.frame_stride)
    if fault is not None:
        raise ValueError(f"Recipe {recipe.name!r}: {fault}")
    return made


def network_options(recipe: Recipe, num_frames: int) -> dict[str, Any]:
    """Return the arguments of `MLP3D.from_preset` that a recipe decides.

    With random mixing, every block chooses from all kinds with the group sizes 1, 2, 4 and so on
    up to `max_group_size`, as far as they divide the clip. After such a training, `models.extract`
    gives the ordinary network.

    Args:
        recipe: A `Recipe`.
        num_frames: Frames per clip.

    Returns:
        {argument: value}

    Source:
        Section 4.2, "random change of GTM".

    Example:

    >>> from keras_mlp3d.training import Recipe
    >>> options = network_options(Recipe.load("something_v2_final"), num_frames=64)
    >>> options["random_mixing"], len(options["candidates"])
    (0.1, 17)
    """
    values = {
        "drop_path_rate": recipe.drop_path_rate,
        "dropout": recipe.dropout,
        "dtype": None if recipe.dtype == "float32" else recipe.dtype,
        "max_group_size": recipe.max_group_size,
        "remat": recipe.remat or None,
        "pixel_mean": recipe.pixel_mean,
        "pixel_std": recipe.pixel_std,
        "subtract_mean": recipe.subtract_mean,
    }
    if recipe.random_mixing:
        values["candidates"] = _random_mixings(recipe.max_group_size, num_frames // 4)
        values["random_mixing"] = recipe.random_mixing
    return {name: value for name, value in values.items() if value is not None}


def _random_mixings(max_group_size, tokens):
    sizes = [2**power for power in range(1, max_group_size.bit_length())]
    return (
        Mixing("short_range", 1),
        *(
            Mixing(kind, size)
            for kind in _RANDOM_KINDS
            for size in sizes
            if size <= tokens and Mixing(kind, size).divides(tokens)
        ),
    )


def make_loaders(
    recipe: Recipe,
    training: Manifest,
    validation: Manifest | None,
    converter: VideoConverter,
    workers: int = 2,
    shard: tuple[int, int] = (0, 1),
    processes: int = 0,
) -> tuple[VideoLoader, VideoLoader | None]:
    """Return the loaders of a recipe for training and validation videos.

    Args:
        recipe: A `Recipe`.
        training: `data.Manifest` to train on.
        validation: None, or a `data.Manifest` with the same classes.
        converter: `data.VideoConverter`. If it crops in the center and no augmentation crops,
            training crops at random, as the paper does.
        workers: Number of decoding threads.
        shard: (index, count): which part of every batch this process reads, in training and in
            validation.
        processes: Number of processes that decode in place of the threads, as in `VideoLoader`; the
            same ones for both loaders.

    Returns:
        Two `data.VideoLoader`; the second is None without validation videos. In training an
        unreadable video is replaced by another video. In validation it has the weight 0, and
        `train` counts it as wrong.

    Source:
        Section 3.4.

    Example:

    >>> from keras_mlp3d.data import Manifest, VideoConverter, VideoRow
    >>> from keras_mlp3d.training import Recipe
    >>> videos = Manifest([VideoRow(f"{i}.mp4", 0) for i in range(40)], ["run"], "train")
    >>> loader, _ = make_loaders(Recipe.load("motion_shapes"), videos, None, VideoConverter())
    >>> len(loader)
    2
    """
    if isinstance(converter, VideoConverter) and clip_converter(converter, recipe) != converter:
        _logger.warning(
            "The recipe %r asks for other clips than the converter makes, whose clips are taken: "
            "training.clip_converter(converter, recipe) makes those of the recipe.",
            recipe.name,
        )
    copies, augment = recipe.batch_augmentation, Augmenter.from_config(augmenter_config(recipe))
    random_crop = converter.crop == "center" and "crop" not in recipe.augmentation
    data = VideoLoader(
        training,
        dataclasses.replace(converter, crop="random") if random_crop else converter,
        recipe.batch_size * copies,
        training=True,
        augment=augment,
        seed=recipe.seed,
        shard=shard,
        workers=workers,
        processes=processes,
    )
    if validation is None:
        return data, None
    # Divided, a batch must divide over the devices: that of training may do so by its copies alone.
    parts = max(shard[1], current_distribution().num_replicas) if shard[1] > 1 else 1
    checks = VideoLoader(
        validation,
        converter,
        -(-recipe.batch_size // parts) * parts,
        shard=shard,
        one_hot=data.source.one_hot,
        workers=workers,
        processes=data,
        unreadable="count",
    )
    return data, checks
