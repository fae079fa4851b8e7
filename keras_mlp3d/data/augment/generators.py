"""The random generators of a clip and of a batch."""

import numpy as np

from keras_mlp3d._utils.checks import check_integer


def clip_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the generator of all random numbers for one clip of an epoch.

    It depends on nothing else: not on the backend, the loader, the thread, or the order in which
    clips are decoded.

    Args:
        seed: Seed of the run, an integer of at least 0.
        epoch: Number of the epoch, from 0.
        index: Number of the clip in the data set, from 0.

    Raises:
        ValueError: If an argument is no integer of at least 0.

    Example:

    >>> rng, again = clip_generator(seed=7, epoch=0, index=3), clip_generator(7, 0, 3)
    >>> rng.random() == again.random(), rng.random() == clip_generator(7, 1, 3).random()
    (True, False)
    """
    named = {"seed": seed, "epoch": epoch, "index": index}
    seed, epoch, index = (check_integer(name, value, 0) for name, value in named.items())
    # From 1: `[seed, epoch, 0]` is for the order of the clips.
    return np.random.default_rng([seed, epoch, index + 1])


def batch_generator(seed: int, epoch: int, index: int, shard: int = 0) -> np.random.Generator:
    """Return the generator of all random numbers for MixUp and CutMix of one batch.

    It differs from that of every clip.

    Args:
        seed: Seed of the run, an integer of at least 0.
        epoch: Number of the epoch, from 0.
        index: Number of the batch in the epoch, from 0.
        shard: Number of the part of the batch, if each of several processes loads a part.

    Raises:
        ValueError: If an argument is no integer of at least 0.

    Example:

    >>> batch_generator(7, 0, 3).random() == batch_generator(7, 0, 3).random()
    True
    >>> batch_generator(7, 0, 3).random() == clip_generator(7, 0, 3).random()
    False
    """
    named = {"seed": seed, "epoch": epoch, "index": index, "shard": shard}
    seed, epoch, index, shard = (check_integer(name, value, 0) for name, value in named.items())
    # To NumPy, the three numbers of a clip are four of which the last is 0.
    return np.random.default_rng([seed, epoch, index, shard + 1])
