"""The order of an epoch's clips, and what decides which of them are read here and how."""

import functools

import numpy as np

from keras_mlp3d._utils.checks import check_integers


@functools.lru_cache(maxsize=4)
def epoch_order(seed, epoch, count):
    """The numbers 0 to `count - 1` in the order of the epoch, cached for all its batches."""
    order = np.random.default_rng([seed, epoch, 0]).permutation(np.arange(count))
    order.flags.writeable = False
    return order


def checked_random(random_clips, training, converter):
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


def checked_shard(shard, batch_size):
    pair = check_integers("shard", shard, 2, minimum=0)
    if pair[0] >= pair[1]:
        raise ValueError(f"shard must be (index, count) with index < count, got {shard!r}.")
    if batch_size % pair[1]:
        raise ValueError(
            f"batch_size {batch_size} must be a multiple of the {pair[1]} shards that it is "
            "divided over."
        )
    return pair
