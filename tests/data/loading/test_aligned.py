import numpy as np

from keras_mlp3d.data.loading.aligned import join_aligned


def test_joins_in_order_at_an_aligned_place():
    rng = np.random.default_rng(0)
    for count in range(1, 6):
        parts = [rng.integers(0, 256, (n + 1, 3, 5), "uint8") for n in range(count)]
        joined = join_aligned(parts)
        np.testing.assert_array_equal(joined, np.concatenate(parts))
        assert joined.ctypes.data % 64 == 0
        assert joined.flags.c_contiguous
