import re

import keras
import numpy as np
import pytest
from reference import grouped_time_mixing as twin

from keras_mlp3d.layers.time_mixing import (
    GROUPED_KINDS,
    KINDS,
    check_group_size,
    group_time,
    ungroup_time,
)

SIZES = [(6, 1), (6, 2), (6, 3), (6, 6), (8, 4), (9, 3), (15, 5)]


@pytest.mark.parametrize("kind", GROUPED_KINDS)
@pytest.mark.parametrize(("time", "size"), SIZES)
def test_groups_hold_the_tokens_that_the_twin_says(kind, time, size):
    x = np.broadcast_to(np.arange(time).reshape(1, time, 1, 1, 1), (2, time, 3, 5, 1))
    grouped = keras.ops.convert_to_numpy(group_time(x.astype("float32"), kind, size))
    assert grouped.shape == (2, time // size, 3, 5, size)
    for group, members in enumerate(twin.groups(kind, size, time)):
        assert (grouped[:, group] == members).all()


@pytest.mark.parametrize("kind", GROUPED_KINDS)
@pytest.mark.parametrize(("time", "size"), SIZES)
def test_ungrouping_is_the_inverse(kind, time, size):
    x = np.random.default_rng(1).standard_normal((2, time, 3, 5, 4)).astype("float32")
    back = ungroup_time(group_time(x, kind, size), kind, size)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(back), x)


@pytest.mark.parametrize("kind", GROUPED_KINDS)
@pytest.mark.parametrize("time", [1, 5, 8, 12, 16])
def test_wrong_group_size_error_is_true(kind, time):
    """The message names what came, and exactly the sizes that would do."""
    for size in range(1, time + 2):
        if time % size == 0:
            check_group_size(kind, size, time)
            continue
        with pytest.raises(ValueError) as error:
            check_group_size(kind, size, time)
        message = str(error.value)
        assert f"group_size={size}" in message
        assert repr(kind) in message
        assert f" {time} tokens in time" in message
        listed = re.search(r"sizes that do: ([\d, ]+)\.", message).group(1)
        assert [int(s) for s in listed.split(", ")] == [
            s for s in range(1, time + 1) if time % s == 0
        ]


def test_shift_token_takes_any_size():
    for time in range(1, 9):
        for size in range(1, 12):
            assert check_group_size("shift_token", size, time) is None
            if time % size:  # where the other kinds refuse
                with pytest.raises(ValueError, match="does not divide"):
                    check_group_size("short_range", size, time)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "4", None])
@pytest.mark.parametrize("kind", [*GROUPED_KINDS, "shift_token"])
def test_group_size_must_be_a_positive_integer(kind, size):
    with pytest.raises(ValueError, match="must be a positive integer") as error:
        check_group_size(kind, size)
    assert repr(size) in str(error.value)
    assert repr(kind) in str(error.value)


def test_full_takes_no_group_size():
    check_group_size("full", None, time=7)
    with pytest.raises(ValueError, match="group_size must be None, got 4"):
        check_group_size("full", 4)


def test_unknown_kind_is_named_beside_the_known_ones():
    with pytest.raises(ValueError, match="'mid_range'") as error:
        check_group_size("mid_range", 2)
    assert all(repr(kind) in str(error.value) for kind in KINDS)
