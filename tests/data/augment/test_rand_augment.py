"""Every operation against its slow twin, and what RandAugment draws."""

import numpy as np
import pytest
from reference import augment as reference

from keras_mlp3d.data.augment import RandAugment
from keras_mlp3d.data.augment.rand_augment import _APPLY, OPERATIONS, argument_of

#: Arguments of each operation, the ends of its range among them.
ARGUMENTS = {
    "auto_contrast": [None],
    "equalize": [None],
    "invert": [None],
    "rotate": [-30.0, 0.0, 11.3, 90.0],
    "posterize": [1, 2, 4],
    "solarize": [0, 77, 256],
    "solarize_add": [0, 77, 110],
    "color": [6, 24, 64, 122],
    "contrast": [6, 24, 64, 122],
    "brightness": [6, 24, 64, 122],
    "sharpness": [6, 24, 64, 122],
    "shear_x": [-0.3, 0.0, 0.21],
    "shear_y": [-0.3, 0.0, 0.21],
    "translate_x": [-0.45, 0.0, 0.31],
    "translate_y": [-0.45, 0.0, 0.31],
}
ROWS = [(name, argument) for name, arguments in ARGUMENTS.items() for argument in arguments]
#: Arguments with which an operation changes nothing.
IDENTITIES = [
    ("solarize", 256), ("solarize_add", 0), ("color", 64), ("contrast", 64), ("brightness", 64),
    ("sharpness", 64), ("rotate", 0.0), ("shear_x", 0.0), ("shear_y", 0.0), ("translate_x", 0.0),
    ("translate_y", 0.0),
]  # fmt: skip


def noise(shape, seed=0, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, (*shape, 3)).astype("uint8")


@pytest.mark.parametrize(("name", "argument"), ROWS)
@pytest.mark.parametrize("shape", [(2, 20, 27), (3, 9, 11), (1, 2, 1)])
def test_operations_against_their_twins(name, argument, shape):
    for clip in (noise(shape), noise(shape, 1, 90, 140)):
        expected = getattr(reference, name)(clip, argument)
        before = clip.copy()
        result = _APPLY[name](clip, argument)
        assert (result.dtype, result.shape) == (np.uint8, clip.shape)
        np.testing.assert_array_equal(result, expected)
        np.testing.assert_array_equal(clip, before)


@pytest.mark.parametrize(("name", "argument"), ROWS)
def test_one_clip_is_one_mapping(name, argument):
    """Equal frames stay equal, and two clips' frames in one are mapped alike."""
    frame = noise((1, 24, 32), 2)
    alike = _APPLY[name](np.repeat(frame, 5, axis=0), argument)
    assert (alike == alike[0]).all()
    other = noise((1, 24, 32), 3)
    both = _APPLY[name](np.concatenate([frame, other]), argument)
    swapped = _APPLY[name](np.concatenate([other, frame]), argument)
    np.testing.assert_array_equal(both, swapped[::-1])


@pytest.mark.parametrize(("name", "argument"), IDENTITIES)
def test_arguments_that_change_nothing(name, argument):
    clip = noise((2, 20, 27))
    np.testing.assert_array_equal(_APPLY[name](clip, argument), clip)


@pytest.mark.parametrize("value", [0, 7, 255])
@pytest.mark.parametrize("name", ["auto_contrast", "equalize", "color", "contrast", "sharpness"])
def test_flat_gray_stays(name, value):
    clip = np.full((2, 6, 7, 3), value, "uint8")
    np.testing.assert_array_equal(_APPLY[name](clip, 100), clip)


def test_a_quarter_turn_is_numpys():
    clip = noise((2, 15, 15))
    np.testing.assert_array_equal(_APPLY["rotate"](clip, 90.0), np.rot90(clip, axes=(1, 2)))
    even = noise((2, 16, 16))
    np.testing.assert_array_equal(_APPLY["rotate"](even, 180.0), even[:, ::-1, ::-1])


def test_statistics_are_the_whole_clips():
    """A fade stays a fade: frames are not stretched one by one."""
    fade = np.stack([noise((20, 20), 4, 0, 50 * (t + 1)) for t in range(5)])
    for name in ("auto_contrast", "equalize"):
        means = _APPLY[name](fade, None).mean(axis=(1, 2, 3))
        assert (np.diff(means) > 10).all(), name


def test_arrays_that_are_views():
    clip = noise((4, 20, 30))[::2, 3:, ::-1]
    for name, argument in ROWS:
        expected = _APPLY[name](np.ascontiguousarray(clip), argument)
        np.testing.assert_array_equal(_APPLY[name](clip, argument), expected)


# --- what is drawn --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "level", "sign", "expected"),
    [
        ("auto_contrast", 0.7, 1, None),
        ("rotate", 0.7, -1, -21.0),
        ("rotate", 1.0, 1, 30.0),
        ("posterize", 0.0, 1, 4),
        ("posterize", 0.7, 1, 2),
        ("posterize", 1.0, 1, 1),
        ("solarize", 0.0, 1, 256),
        ("solarize", 0.7, 1, 77),
        ("solarize", 1.0, 1, 0),
        ("solarize_add", 0.7, 1, 77),
        ("color", 0.7, 1, 104),
        ("brightness", 0.7, -1, 24),
        ("contrast", 1.0, 1, 122),
        ("sharpness", 1.0, -1, 6),
        ("shear_x", 0.7, 1, 0.21),
        ("shear_y", 1.0, -1, -0.3),
        ("translate_x", 0.7, 1, 0.315),
        ("translate_y", 0.0, 1, 0.0),
    ],
)
def test_magnitudes(name, level, sign, expected):
    assert argument_of(name, level, sign) == pytest.approx(expected)


def test_all_operations_are_drawn_in_both_directions():
    augment = RandAugment(num_ops=3000, magnitude=7, probability=0.5)
    drawn = augment._draw(np.random.default_rng(0))
    assert 1300 < len(drawn) < 1700
    names = [name for name, _ in drawn]
    assert set(names) == set(OPERATIONS) == set(ARGUMENTS)
    assert all(names.count(name) > 60 for name in OPERATIONS)
    angles = np.array([argument for name, argument in drawn if name == "rotate"])
    assert 0.3 < (angles > 0).mean() < 0.7
    assert np.abs(angles).mean() == pytest.approx(21, abs=0.6)
    assert np.abs(angles).std() == pytest.approx(1.5, abs=0.5)


def test_magnitudes_stay_in_range():
    augment = RandAugment(
        num_ops=500, magnitude=10, magnitude_std=20, probability=1, operations=["rotate"]
    )
    angles = np.abs([angle for _, angle in augment._draw(np.random.default_rng(0))])
    assert len(angles) == 500
    assert (angles.min(), angles.max()) == (0, 30)


def test_without_spread_the_magnitude_is_fixed():
    augment = RandAugment(num_ops=5, magnitude_std=0, probability=1, operations=["solarize_add"])
    assert augment._draw(np.random.default_rng(0)) == [("solarize_add", 77)] * 5


def test_operations_follow_one_another():
    clip = noise((2, 12, 12))
    augment = RandAugment(num_ops=6, probability=1.0)
    drawn = augment._draw(np.random.default_rng(5))
    expected = clip
    for name, argument in drawn:
        expected = getattr(reference, name)(expected, argument)
    np.testing.assert_array_equal(augment(clip, np.random.default_rng(5)), expected)


def test_frames_alike_and_clips_apart():
    clip = np.repeat(noise((1, 24, 32)), 4, axis=0)
    results = [RandAugment(probability=1.0)(clip, np.random.default_rng([0, i])) for i in range(12)]
    assert all((result == result[0]).all() for result in results)
    assert len({result.tobytes() for result in results}) == 12


def test_probability_zero_is_the_clip():
    clip = noise((2, 8, 8))
    assert RandAugment(probability=0.0)(clip, np.random.default_rng(0)) is clip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_ops": 0}, "num_ops must be an integer from 1 to 10000, got 0"),
        ({"num_ops": 2.0}, r"num_ops.*got 2\.0"),
        (
            {"magnitude": 10.5},
            r"magnitude must be a number of at least 0 and of at most 10, got 10\.5",
        ),
        ({"magnitude": float("nan")}, "magnitude.*got nan"),
        ({"magnitude_std": -1}, "magnitude_std must be a number of at least 0 and of at most 100"),
        ({"probability": 2}, "probability must be a number of at least 0 and of at most 1, got 2"),
        ({"probability": True}, "probability.*got True"),
        ({"operations": []}, "operations must be some of"),
        ({"operations": "rotate"}, "operations must be some of.*got 'rotate'"),
        ({"operations": ["rotate", "cutout"]}, r"unknown: \['cutout'\]"),
        ({"operations": ["rotate", "rotate"]}, "each once"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandAugment(**arguments)
