"""The order of the clips in an epoch, drawn once and not for every batch of it."""

import functools

import numpy as np


@functools.lru_cache(maxsize=4)
def epoch_order(seed, epoch, count):
    """The numbers 0 to `count - 1` in the order that the seed gives the epoch, read-only int64."""
    order = np.random.default_rng([seed, epoch, 0]).permutation(np.arange(count))
    order.flags.writeable = False
    return order
