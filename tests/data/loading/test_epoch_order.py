"""The order of an epoch: the seed's, drawn once."""

import numpy as np
import pytest

from keras_mlp3d.data.loading.epoch_order import epoch_order


def test_the_order_is_that_of_the_seed_and_the_epoch():
    order = epoch_order(3, 2, 50)
    np.testing.assert_array_equal(order, np.random.default_rng([3, 2, 0]).permutation(50))
    assert (epoch_order(3, 1, 50) != order).any()


def test_it_is_drawn_once_and_cannot_be_changed():
    order = epoch_order(4, 0, 10)
    assert epoch_order(4, 0, 10) is order
    with pytest.raises(ValueError, match="read-only"):
        order[0] = 1
