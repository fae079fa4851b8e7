"""One wording for wrong arguments, whatever was passed."""

import numpy as np
import pytest

from keras_mlp3d._utils import checks


@pytest.mark.parametrize("value", [1, 7, np.int64(3), np.uint8(2)])
def test_integers_are_returned_as_int(value):
    assert checks.check_integer("n", value) == value
    assert type(checks.check_integer("n", value)) is int


@pytest.mark.parametrize(
    "value", [0, -1, 1.0, True, False, None, "1", [1], np.float32(1), float("nan")]
)
def test_other_things_are_no_positive_integer(value):
    with pytest.raises(ValueError, match=r"^n must be a positive integer, got "):
        checks.check_integer("n", value)


def test_ranges_are_named():
    with pytest.raises(ValueError, match="an integer of at least 0, got -1"):
        checks.check_integer("n", -1, 0)
    with pytest.raises(ValueError, match="an integer from 2 to 5, got 6"):
        checks.check_integer("n", 6, 2, 5)
    assert checks.check_integer("n", 5, 2, 5) == 5


@pytest.mark.parametrize("value", [(1, 2), (1, 2, 0), (1, 2, 3.0), 3, None, "123", (1, 2, True)])
def test_integers_are_so_many(value):
    with pytest.raises(ValueError, match=r"^n must be 3 positive integers, got "):
        checks.check_integers("n", value, 3)


@pytest.mark.parametrize("value", [None, "1", True, float("nan"), float("inf"), 10**400, 1j, [1]])
def test_numbers_are_finite(value):
    with pytest.raises(ValueError, match=r"^r must be a number, got "):
        checks.check_number("r", value)


def test_bounds_of_numbers():
    for value in (0, 0.99, np.float32(0.5)):
        assert checks.check_number("r", value, minimum=0, below=1) == value
    for value, bounds in (
        (-1e-9, {"minimum": 0}),
        (0, {"above": 0}),
        (1, {"below": 1}),
        (1.1, {"maximum": 1}),
    ):
        with pytest.raises(ValueError, match=r"^r must be a number "):
            checks.check_number("r", value, **bounds)


def test_choices_are_of_their_type():
    assert checks.check_choice("c", "a", ["a", "b"]) == "a"
    for value in ("c", None, 1, ["a"], np.zeros(3)):
        with pytest.raises(ValueError, match=r"^c must be one of 'a', 'b', got "):
            checks.check_choice("c", value, ["a", "b"])


@pytest.mark.parametrize("value", [0, 1, None, "true"])
def test_booleans_are_true_or_false(value):
    with pytest.raises(ValueError, match=r"^b must be True or False, got "):
        checks.check_boolean("b", value)
