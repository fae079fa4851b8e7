"""The memory of decoded clips."""

import pickle

import numpy as np

from keras_mlp3d.data.loading.clip_cache import ClipCache


def test_it_holds_no_more_than_it_may():
    cache = ClipCache(10)
    made = []

    def decode(number):
        made.append(number)
        return np.full(4, number, "uint8")

    for _ in range(2):
        for key in range(3):
            np.testing.assert_array_equal(cache.get(key, lambda key=key: decode(key)), key)
    assert made == [0, 1, 2, 2]
    assert cache.bytes == 8


def test_it_keeps_a_part_and_not_the_whole():
    whole = np.zeros((100, 4), "uint8")
    kept = ClipCache(10)
    kept.get(0, lambda: whole[7])
    whole[:] = 1
    clip = kept.get(0, None)
    assert clip.base is None
    assert not clip.any()
    assert not clip.flags.writeable
    assert whole.flags.writeable


def test_a_copy_is_empty():
    cache = ClipCache(10)
    cache.get(0, lambda: np.zeros(4, "uint8"))
    copy = pickle.loads(pickle.dumps(cache))
    assert (copy.max_bytes, copy.bytes) == (10, 0)
