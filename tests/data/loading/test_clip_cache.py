"""The memory of decoded clips."""

import pickle
import threading

import numpy as np
import pytest

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


def test_threads_that_ask_for_one_clip_wait_for_it():
    cache, made, begun, proceed = ClipCache(10), [], threading.Event(), threading.Event()

    def decode():
        begun.set()
        assert proceed.wait(10)
        made.append(np.zeros(4, "uint8"))
        return made[-1]

    clips = []
    threads = [
        threading.Thread(target=lambda: clips.append(cache.get(0, decode))) for _ in range(3)
    ]
    threads[0].start()
    assert begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    other = cache.get(1, lambda: np.ones(4, "uint8"))  # does not wait
    proceed.set()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1
    assert len(clips) == 3
    assert other.all()
    assert cache.bytes == 8


def test_after_an_error_the_clip_is_decoded_by_the_next():
    cache = ClipCache(10)
    with pytest.raises(OSError, match="gone"):
        cache.get(0, lambda: (_ for _ in ()).throw(OSError("gone")))
    assert cache.get(0, lambda: np.ones(4, "uint8")).all()
