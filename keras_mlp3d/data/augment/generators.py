"""The random generators of a clip and of a batch: same numbers, same augmentation."""

import numpy as np

from keras_mlp3d._utils.checks import checked_whole


def clip_generator(seed, epoch, index):
    """The generator from which everything random about one clip of an epoch is drawn.

    Depends on nothing else: neither on the backend nor on the loader, the order in which clips are
    decoded or the thread.

    Args:
        seed: The run's, a whole number from 0.
        epoch: From 0.
        index: The clip's place in the data set, from 0.

    Returns:
        A `numpy.random.Generator`.

    Raises:
        ValueError: An argument is not a whole number of at least 0.

    Example:

    >>> rng, again = clip_generator(seed=7, epoch=0, index=3), clip_generator(7, 0, 3)
    >>> rng.random() == again.random(), rng.random() == clip_generator(7, 1, 3).random()
    (True, False)
    """
    named = {"seed": seed, "epoch": epoch, "index": index}
    seed, epoch, index = (checked_whole(name, value, 0) for name, value in named.items())
    # From 1: `[seed, epoch, 0]` draws the order of the clips.
    return np.random.default_rng([seed, epoch, index + 1])


def batch_generator(seed, epoch, index, shard=0):
    """The generator from which MixUp and CutMix of one batch are drawn.

    Args:
        seed: The run's, a whole number from 0.
        epoch: From 0.
        index: The number of the batch in the epoch, from 0.
        shard: Which part of the batch, where several processes load one each.

    Returns:
        A `numpy.random.Generator`, another than that of any clip.

    Raises:
        ValueError: An argument is not a whole number of at least 0.

    Example:

    >>> batch_generator(7, 0, 3).random() == batch_generator(7, 0, 3).random()
    True
    >>> batch_generator(7, 0, 3).random() == clip_generator(7, 0, 3).random()
    False
    """
    named = {"seed": seed, "epoch": epoch, "index": index, "shard": shard}
    seed, epoch, index, shard = (checked_whole(name, value, 0) for name, value in named.items())
    # Clips have three numbers, which NumPy takes for four with a last one of 0.
    return np.random.default_rng([seed, epoch, index, shard + 1])
