"""How time-mixing weights go from one schedule to another: w_Δ to w_Δ."""

import numpy as np
import pytest
from layer_contract import to_numpy
from numpy_weights import fill

from keras_mlp3d.layers import GroupedTimeMixing
from keras_mlp3d.models.transfer import intervals, set_intervals, take_intervals

SHAPE = (None, 8, 2, 2, 3)


def built(kind, size, **options):
    layer = GroupedTimeMixing(kind, size, **options)
    layer.build(SHAPE)
    return layer


def by_interval(layer):
    matrices, first = intervals(layer)
    return {first + i: matrix for i, matrix in enumerate(matrices)}


@pytest.mark.parametrize(
    ("source", "target", "complete"),
    [
        (("short_range", 4), ("short_range", 4), True),
        (("short_range", 4), ("long_range", 4), True),
        (("short_range", 4), ("shift_window", 2), True),
        (("short_range", 4), ("shift_token", 4), True),
        (("short_range", 2), ("long_range", 4), False),
        (("shift_token", 4), ("short_range", 4), False),
        (("shift_token", 4), ("shift_token", 2), True),
        (("shift_token", 2), ("shift_token", 4), False),
        (("full", None), ("long_range", 8), True),
        (("short_range", 1), ("full", None), False),
        (("long_range", 2, 4), ("short_range", 4), True),
        (("short_range", 4), ("shift_token", 1, 4), True),
        (("short_range", 4), ("shift_token", 1, 8), False),
        (("short_range", 1, 4), ("shift_token", 4, 4), True),
    ],
)
def test_every_interval_that_both_have_goes_over(source, target, complete):
    source, target = (
        fill(built(kind, size, max_group_size=most[0] if most else None), seed)
        for seed, (kind, size, *most) in enumerate((source, target))
    )
    assert take_intervals(target, source) is complete
    given = by_interval(source)
    for delta, matrix in by_interval(target).items():
        np.testing.assert_array_equal(matrix, given.get(delta, np.zeros((3, 3))))
    assert complete == (set(by_interval(target)) <= set(given))


def test_same_function_in_the_unshared_form():
    """Shared weights laid out as unshared ones mix time in the same way."""
    x = np.random.default_rng(0).standard_normal((1, 8, 2, 2, 3)).astype("float32")
    for kind in ("short_range", "long_range", "shift_window", "shift_token"):
        shared = fill(built(kind, 4, use_bias=False))
        unshared = built(kind, 4, share_weights=False, use_bias=False)
        assert take_intervals(unshared, shared)
        np.testing.assert_allclose(to_numpy(unshared(x)), to_numpy(shared(x)), rtol=0, atol=1e-6)


def test_unshared_weights_go_over_only_to_their_own_form():
    source = fill(built("short_range", 4, share_weights=False), 1)
    assert intervals(source) is None
    same = fill(built("short_range", 4, share_weights=False), 2)
    assert take_intervals(same, source)
    np.testing.assert_array_equal(to_numpy(same.kernel), to_numpy(source.kernel))
    for other in (
        built("long_range", 4, share_weights=False),
        built("short_range", 2, share_weights=False),
        built("short_range", 4),
    ):
        before = to_numpy(other.kernel).copy()
        assert not take_intervals(other, source)
        np.testing.assert_array_equal(to_numpy(other.kernel), before)


def test_set_intervals_sets_the_others_to_zero():
    layer = fill(built("short_range", 2, max_group_size=4))
    matrices = np.arange(18.0).reshape(2, 3, 3)
    set_intervals(layer, matrices, first=-1)
    weights = by_interval(layer)
    assert sorted(weights) == [-3, -2, -1, 0, 1, 2, 3]
    np.testing.assert_array_equal(weights[-1], matrices[0])
    np.testing.assert_array_equal(weights[0], matrices[1])
    assert not any(weights[delta].any() for delta in (-3, -2, 1, 2, 3))


def test_only_w_0_lets_every_token_pass_alone():
    x = np.random.default_rng(0).standard_normal((1, 8, 2, 2, 3)).astype("float32")
    w_0 = np.random.default_rng(1).standard_normal((1, 3, 3)).astype("float32")
    for kind, size, options in (
        ("short_range", 4, {}),
        ("shift_window", 2, {"share_weights": False}),
        ("shift_token", 4, {"share_weights": False}),
        ("long_range", 4, {"max_group_size": 8}),
        ("full", None, {}),
    ):
        layer = fill(built(kind, size, use_bias=False, **options))
        set_intervals(layer, w_0)
        np.testing.assert_allclose(to_numpy(layer(x)), x @ w_0[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3), (1, 3, 4), (1, 4, 4)])
@pytest.mark.parametrize("share_weights", [True, False])
def test_set_intervals_refuses_other_shapes(shape, share_weights):
    layer = built("short_range", 2, share_weights=share_weights, name="mix_time")
    with pytest.raises(ValueError, match=r"mix_time: expected matrices of shape \(n, 3, 3\)") as e:
        set_intervals(layer, np.zeros(shape))
    assert str(shape) in str(e.value)
