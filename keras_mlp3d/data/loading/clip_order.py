"""The order of an epoch's clips, and what decides which of them are read here and how."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_mlp3d._utils.checks import check_integers


@functools.lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, count: int) -> np.ndarray:
    """Return the numbers 0 to `count - 1` in the order of an epoch, cached for all its batches.

    Example:

    >>> sorted(epoch_order(seed=0, epoch=1, count=3).tolist())
    [0, 1, 2]
    """
    order = np.random.default_rng([seed, epoch, 0]).permutation(np.arange(count))
    order.flags.writeable = False
    return order


def checked_random(
    random_clips: bool | None, training: bool, converter: Callable[..., np.ndarray]
) -> bool:
    """Return whether clips are random: as asked, or as in training if nothing is asked.

    Raises:
        ValueError: If that contradicts `training`, or how the converter crops, or if `converter` is
            something else, such as a network.

    Example:

    >>> checked_random(None, training=True, converter=len)
    True
    """
    is_network = hasattr(converter, "predict")
    if is_network or not callable(converter):
        hint = "; pass the network's `converter`" if is_network else ""
        raise ValueError(
            "converter must be a data.VideoConverter, or a function from a video to a clip, got "
            f"{type(converter).__name__}{hint}."
        )
    crops = getattr(converter, "crop", None) == "random"
    if crops and not training:
        raise ValueError(
            "converter must not crop at random if training is False, got crop='random'."
        )
    if random_clips is None:
        return bool(training)
    if random_clips and not training:
        raise ValueError("random_clips must be False if training is False, got True.")
    if crops and not random_clips:
        raise ValueError("random_clips must not be False if the converter's crop is 'random'.")
    return bool(random_clips)


def checked_shard(shard: Any, batch_size: int) -> tuple[int, int]:
    """Return `(index, count)`, the part of every batch that is read here.

    Raises:
        ValueError: If it is no such pair, or the batch cannot be divided so.

    Example:

    >>> checked_shard((1, 2), batch_size=8)
    (1, 2)
    """
    pair = check_integers("shard", shard, 2, minimum=0)
    if pair[0] >= pair[1]:
        raise ValueError(f"shard must be (index, count) with index < count, got {shard!r}.")
    if batch_size % pair[1]:
        raise ValueError(
            f"batch_size {batch_size} must be a multiple of the {pair[1]} shards that it is "
            "divided over."
        )
    return pair[0], pair[1]
