"""Random resized crop, flip and erasing: one draw a clip, another for each clip."""

import numpy as np
import pytest
from reference import augment as reference

from keras_mlp3d.data.augment import (
    CellErasing,
    FrameErasing,
    HorizontalFlip,
    RandomErasing,
    RandomResizedCrop,
    SpeedChange,
    random_resized_crop,
)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype("uint8")


def rng_of(number):
    return np.random.default_rng([11, number])


STEPS = {
    "crop": RandomResizedCrop((20, 24)),
    "flip": lambda clip, rng: HorizontalFlip()(clip, 0, rng)[0],
    "erasing": RandomErasing(0.9),
}


@pytest.mark.parametrize("name", STEPS)
def test_one_draw_a_clip(name):
    step = STEPS[name]
    first, second = noise(1, 30, 40), noise(1, 30, 40, seed=1)
    clip = np.concatenate([first, first, second, first])
    before = clip.copy()
    for number in range(8):
        result = step(clip, rng_of(number))
        assert result.dtype == np.uint8
        assert len(result) == 4
        assert (result[[1, 3]] == result[0]).all()
        # Each frame is what it would be alone: nothing is drawn for it, nothing mixes frames.
        for t in range(4):
            np.testing.assert_array_equal(step(clip[t : t + 1], rng_of(number))[0], result[t])
        np.testing.assert_array_equal(step(clip, rng_of(number)), result)
    np.testing.assert_array_equal(clip, before)


@pytest.mark.parametrize(("name", "least"), [("crop", 20), ("flip", 2), ("erasing", 15)])
def test_clips_are_drawn_apart(name, least):
    clip = noise(2, 30, 40)
    assert len({STEPS[name](clip, rng_of(number)).tobytes() for number in range(20)}) >= least


# --- crop -----------------------------------------------------------------------------------------


def test_repeated_frames_are_resized_once(monkeypatch):
    resize, calls = random_resized_crop.Scaler.resize, []

    def counted(*arguments):
        calls.append(1)
        return resize(*arguments)

    first, second = noise(1, 30, 40), noise(1, 30, 40, seed=1)
    clip = np.concatenate([first, first, second, second, second, first])
    expected = np.stack([STEPS["crop"](frame[None], rng_of(0))[0] for frame in clip])
    monkeypatch.setattr(random_resized_crop.Scaler, "resize", counted)
    np.testing.assert_array_equal(STEPS["crop"](clip, rng_of(0)), expected)
    assert len(calls) == 3


def test_crop_is_a_resized_window():
    clip = noise(2, 40, 56)
    for number in range(6):
        crop = RandomResizedCrop((18, 22), scale=(0.2, 0.9))
        top, left, height, width = crop._draw((40, 56), rng_of(number))
        result = crop(clip, rng_of(number))
        window = clip[:, top : top + height, left : left + width]
        assert window.shape == (2, height, width, 3)
        expected = np.stack([reference.resize(frame, 18, 22) for frame in window])
        assert result.shape == expected.shape
        assert np.abs(result - expected)[:, 2:-2, 2:-2].max() < 2


def test_crop_of_the_windows_own_size_is_the_window():
    clip = noise(3, 20, 30)
    crop = RandomResizedCrop((20, 20), scale=(2 / 3, 2 / 3), ratio=(1.0, 1.0))
    lefts = set()
    for number in range(40):
        top, left, *size = crop._draw((20, 30), rng_of(number))
        lefts.add(left)
        assert (top, size) == (0, [20, 20])
        result = crop(clip, rng_of(number))
        np.testing.assert_array_equal(result, clip[:, :, left : left + 20])
        assert not np.shares_memory(result, clip)
    assert {0, 10} <= lefts


def test_crop_of_everything_is_the_clip():
    clip = noise(3, 21, 21)
    crop = RandomResizedCrop(scale=(1.0, 1.0), ratio=(1.0, 1.0))
    np.testing.assert_array_equal(crop(clip, rng_of(0)), clip)


def test_windows_follow_scale_and_ratio():
    crop = RandomResizedCrop((8, 8), scale=(0.25, 0.5), ratio=(0.5, 2.0))
    rng = rng_of(0)
    windows = np.array([crop._draw((100, 120), rng) for _ in range(400)])
    area = windows[:, 2] * windows[:, 3] / 12000
    shape = windows[:, 3] / windows[:, 2]
    assert 0.24 < area.min() < 0.27
    assert 0.47 < area.max() < 0.51
    assert 0.49 < shape.min() < 0.6
    assert 1.7 < shape.max() < 2.05
    assert windows[:, 0].min() == 0
    assert windows[:, 1].min() == 0
    assert (windows[:, 0] + windows[:, 2]).max() == 100
    assert (windows[:, 1] + windows[:, 3]).max() == 120


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [
        ((10, 100), (1.0, 1.0), (0, 45, 10, 10)),
        ((100, 10), (1.0, 1.0), (45, 0, 10, 10)),
        ((10, 100), (0.5, 2.0), (0, 40, 10, 20)),
        ((1, 1), (3.0, 3.0), (0, 0, 1, 1)),
    ],
)
def test_the_middle_where_nothing_fits(size, ratio, expected):
    crop = RandomResizedCrop((4, 4), scale=(1.0, 1.0), ratio=ratio)
    assert crop._draw(size, rng_of(0)) == expected


# --- flip -----------------------------------------------------------------------------------------


def test_flip_is_a_mirror_and_its_own_inverse():
    clip = noise(2, 5, 7)
    mirrored, label = HorizontalFlip(1.0, [[2, 5]])(clip, 2, rng_of(0))
    np.testing.assert_array_equal(mirrored, reference.mirror(clip))
    assert label == 5
    again, label = HorizontalFlip(1.0, [[2, 5]])(mirrored, label, rng_of(1))
    np.testing.assert_array_equal(again, clip)
    assert (label, type(label)) == (2, int)


def test_labels_change_with_the_picture_only():
    flip = HorizontalFlip(0.5, [(0, 1), (4, 3)])
    clip = noise(1, 3, 4)
    partners = {0: 1, 1: 0, 2: 2, 3: 4, 4: 3}
    seen = set()
    for number in range(60):
        label = number % 5
        result, new = flip(clip, np.int32(label), rng_of(number))
        is_mirrored = not np.array_equal(result, clip)
        assert new == (partners[label] if is_mirrored else label)
        seen.add((label, is_mirrored))
    assert len(seen) == 10


def test_probabilities_of_nought_and_one():
    clip = noise(1, 3, 4)
    for number in range(20):
        result, label = HorizontalFlip(0.0, [[0, 1]])(clip, 0, rng_of(number))
        assert (result is clip, label) == (True, 0)
        assert HorizontalFlip(1.0, [[0, 1]])(clip, 0, rng_of(number))[1] == 1


SOMETHING = [
    "Pulling something from left to right",
    "Holding something upright",
    "Turning the camera Right while filming something",
    "Pulling something from right to left",
    "Turning the camera Left while filming something",
    "Taking the leftover",
    "push_left",
    "push_right",
]


def test_left_and_right_are_found_in_names():
    flip = HorizontalFlip(label_map="left_right")
    assert not flip.is_bound
    assert flip.bind(SOMETHING).label_map == ((0, 3), (2, 4), (6, 7))
    assert flip.bind(SOMETHING).is_bound
    assert flip.bind(["jump", "run"]).label_map == ()
    with pytest.raises(ValueError, match=r"no partner .*\['push_left'\]. Give the pairs"):
        flip.bind(SOMETHING[:7])
    with pytest.raises(ValueError, match=r"call the flip that bind\(class_names\) returns"):
        flip(noise(1, 2, 2), 0, rng_of(0))


def test_names_become_indices():
    flip = HorizontalFlip(0.3, [["b", "d"]]).bind(["a", "b", "c", "d"])
    assert flip == HorizontalFlip(0.3, ((1, 3),))
    assert flip.bind(["e", "f", "g", "h"]) == flip
    with pytest.raises(ValueError, match=r"not in class_names: \['d'\]"):
        HorizontalFlip(0.3, [["b", "d"]]).bind(["a", "b"])
    with pytest.raises(ValueError, match=r"from 0 to 2, got \[3\]"):
        flip.bind(["a", "b", "c"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.5,), r"probability must be a number of at least 0 and of at most 1, got 1\.5"),
        ((0.5, "both"), "'left_right' or pairs.*got 'both'"),
        ((0.5, [[1, 2, 3]]), r"got the pair \[1, 2, 3\]"),
        ((0.5, [[1, "b"]]), "pairs of class names; got"),
        ((0.5, [[1, -2]]), r"got \[\[1, -2\]\]"),
        ((0.5, [[1, True]]), r"got \[\[1, True\]\]"),
        ((0.5, [[1, 2], [2, 3]]), r"must hold a class once, got more of \[2\]"),
        ((0.5, [["a", "a"]]), r"got more of \['a'\]"),
    ],
)
def test_wrong_flips(arguments, message):
    with pytest.raises(ValueError, match=message):
        HorizontalFlip(*arguments)


# --- erasing --------------------------------------------------------------------------------------


def erased_box(clip, result):
    """(rows, columns) of the smallest rectangle that holds all changes of the first frame."""
    changed = (result != clip).any(axis=(0, 3))
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


@pytest.mark.parametrize("fill", ["noise", "mean"])
def test_erasing_is_one_tube(fill):
    clip = np.zeros((5, 40, 50, 3), "uint8")
    erase = RandomErasing(1.0, fill=fill)
    for number in range(20):
        result = erase(clip, rng_of(number))
        rows, columns = erased_box(clip, result)
        area = (rows.stop - rows.start) * (columns.stop - columns.start) / 2000
        shape = (columns.stop - columns.start) / (rows.stop - rows.start)
        assert 0.015 < area < 0.36
        assert 0.25 < shape < 3.8
        tube = result[:, rows, columns]
        assert (tube == tube[0]).all()
        if fill == "mean":
            assert (tube == reference.FILL).all()
        else:
            assert 100 < tube.mean() < 155
            assert (tube.any(axis=(0, 3))).all()
        outside = result.copy()
        outside[:, rows, columns] = 0
        assert not outside.any()


def test_how_often_clips_are_erased():
    clip = np.zeros((1, 16, 16, 3), "uint8")
    rng = rng_of(0)
    erased = [RandomErasing(0.25)(clip, rng) is not clip for _ in range(400)]
    assert 70 < sum(erased) < 130
    assert RandomErasing(0.0)(clip, rng) is clip


def test_everything_and_nothing():
    clip = noise(2, 12, 12)
    whole = RandomErasing(1.0, scale=(1.0, 1.0), ratio=(1.0, 1.0), fill="mean")
    assert (whole(clip, rng_of(0)) == reference.FILL).all()
    assert whole(noise(2, 12, 24), rng_of(0)).shape == (2, 12, 24, 3)
    unfit = RandomErasing(1.0, scale=(1.0, 1.0), ratio=(3.0, 3.0))
    assert unfit(clip, rng_of(0)) is clip


# --- frame erasing --------------------------------------------------------------------------------


def test_erased_frames_are_black_and_the_others_whole():
    clip = noise(24, 8, 8) | 1
    erase, seen = FrameErasing(1.0, share=(0.25, 0.75)), []
    for number in range(40):
        result = erase(clip, rng_of(number))
        black = ~result.any(axis=(1, 2, 3))
        assert (result[~black] == clip[~black]).all()
        seen.append(black)
    share = np.mean(seen, axis=1)
    assert 0.4 < share.mean() < 0.6
    assert share.std() > 0.12  # each clip draws its own
    assert (np.mean(seen, axis=0) > 0.2).all()  # no frame is spared


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_frames(share):
    clip, rng = noise(2000, 1, 1) | 1, rng_of(0)
    erased = FrameErasing(1.0, share=(share, share))(clip, rng)
    assert (~erased.any(axis=(1, 2, 3))).mean() == pytest.approx(share, abs=0.04)
    assert FrameErasing(0.0, share=(1, 1))(clip, rng) is clip


def test_a_stretch_of_frames_that_show_the_mean():
    clip = noise(24, 8, 8)
    mean = [[[int(value + 0.5) for value in pixel] for pixel in row] for row in clip.mean(0)]
    erase, lengths, starts = FrameErasing(1.0, (0.0, 0.5), fill="mean", stretch=True), [], set()
    for number in range(60):
        result = erase(clip, rng_of(number))
        erased = np.flatnonzero((result != clip).any(axis=(1, 2, 3)))
        lengths.append(len(erased))
        if lengths[-1]:
            starts.add(int(erased[0]))
            assert erased.tolist() == list(range(erased[0], erased[0] + lengths[-1]))
            assert (result[erased] == mean).all()
    assert min(lengths) <= 1
    assert max(lengths) == 12
    assert min(starts) == 0
    assert max(starts) >= 16


def test_black_stretches_and_means_in_random_places():
    clip = noise(24, 8, 8) | 1
    black = FrameErasing(1.0, (0.5, 0.5), stretch=True)(clip, rng_of(0)).any(axis=(1, 2, 3))
    assert black.sum() == 12
    assert np.abs(np.diff(black.astype(int))).sum() <= 2
    mean = FrameErasing(1.0, (0.5, 0.5), fill="mean")(clip, rng_of(0))
    places = FrameErasing(1.0, (0.5, 0.5))(clip, rng_of(0)).any(axis=(1, 2, 3))
    assert (mean[places] == clip[places]).all()
    assert np.abs(mean[~places] - clip.mean(0)).max() <= 0.5


@pytest.mark.parametrize("stretch", [True, False])
def test_all_frames_or_none_show_the_mean(stretch):
    clip = noise(7, 4, 4)
    whole = FrameErasing(1.0, (1.0, 1.0), fill="mean", stretch=stretch)(clip, rng_of(1))
    assert (whole == whole[0]).all()
    assert np.abs(whole[0] - clip.mean(0)).max() <= 0.5
    assert FrameErasing(1.0, (0.0, 0.0), fill="mean", stretch=stretch)(clip, rng_of(1)) is clip


# --- cell erasing ---------------------------------------------------------------------------------


def test_cells_are_black_or_whole():
    clip = noise(12, 20, 28) | 1
    erase, seen = CellErasing(1.0, share=(0.25, 0.75), size=8), []
    for number in range(40):
        result = erase(clip, rng_of(number))
        seen.append([])
        for frame, row, column in np.ndindex(12, 3, 4):
            cell = np.s_[frame, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            seen[-1].append(not result[cell].any())
            assert seen[-1][-1] or (result[cell] == clip[cell]).all()
    share = np.mean(seen, axis=1)
    assert 0.4 < share.mean() < 0.6
    assert share.std() > 0.1  # each clip draws its own
    assert (np.mean(seen, axis=0) > 0.2).all()  # no cell is spared


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_cells(share):
    clip, rng = noise(50, 24, 24) | 1, rng_of(0)
    erased = CellErasing(1.0, share=(share, share), size=4)(clip, rng)
    assert (~erased.any(axis=-1)).mean() == pytest.approx(share, abs=0.04)
    assert CellErasing(0.0, share=(1, 1))(clip, rng) is clip


# --- speed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0.4, 1.0, 1.7])
def test_a_clip_at_another_speed(speed):
    clip, change, begins = noise(24, 2, 2), SpeedChange(1.0, speed=(speed, speed)), []
    for number in range(60):
        result = change(clip, rng_of(number))
        found, _, drawn = rng_of(number).random(3)
        assert found < 1
        expected, begin = reference.at_speed(clip, speed, drawn)
        np.testing.assert_array_equal(result, expected)
        begins.append(begin)
    span = abs(24 * (1 - speed))
    assert np.ptp(begins) == pytest.approx(span, rel=0.15, abs=1e-9)  # earlier, and later
    assert SpeedChange(0.0)(clip, rng_of(0)) is clip


def test_speeds_are_drawn_between_the_two():
    ramp = np.arange(200, dtype="uint8")[:, None, None, None].repeat(3, axis=-1)
    change, speeds = SpeedChange(1.0, speed=(0.5, 2.0)), []
    for number in range(300):
        steps = np.diff(change(ramp, rng_of(number))[:, 0, 0, 0].astype(int))
        moving = np.flatnonzero(steps)
        speeds.append(steps[moving[0] : moving[-1] + 1].mean())
    assert 0.45 < min(speeds) < 0.55
    assert 1.85 < max(speeds) < 2.05
    assert np.exp(np.log(speeds).mean()) == pytest.approx(1, abs=0.06)  # as often slow as fast


# --- what all share -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomResizedCrop(112), r"size must be 2 positive integers, got 112"),
        (lambda: RandomResizedCrop((0, 4)), "size must be 2 positive integers"),
        (lambda: RandomResizedCrop((10**5, 10**5)), "size must be at most .* pixels"),
        (lambda: RandomResizedCrop(scale=(0.5, 1.5)), r"scale.*at most 1, got 1\.5"),
        (lambda: RandomResizedCrop(scale=0.5), r"scale must be two numbers.*got 0\.5"),
        (lambda: RandomResizedCrop(scale=(0.5, 0.2)), r"scale must be \(smallest, largest\)"),
        (
            lambda: RandomResizedCrop(ratio=(0.0, 1.0)),
            r"ratio.*of at least 0\.01 and of at most 100, got 0\.0",
        ),
        (lambda: RandomResizedCrop(interpolation="cubic"), "interpolation.*got 'cubic'"),
        (lambda: RandomErasing(-0.1), "probability must"),
        (lambda: RandomErasing(scale=(0.1, 2)), "scale.*got 2"),
        (lambda: RandomErasing(ratio=(2, 1)), r"ratio must be \(smallest, largest\)"),
        (lambda: FrameErasing(2), "probability must be .* of at most 1, got 2"),
        (lambda: FrameErasing(share=0.5), r"share must be two numbers.*got 0\.5"),
        (lambda: FrameErasing(share=(0.5, 1.5)), r"share.*of at most 1, got 1\.5"),
        (lambda: FrameErasing(fill="noise"), "fill must be one of .*got 'noise'"),
        (lambda: FrameErasing(stretch=3), "stretch must be .*got 3"),
        (lambda: CellErasing(2), "probability must be .* of at most 1, got 2"),
        (lambda: CellErasing(share=(0.5, 1.5)), r"share.*of at most 1, got 1\.5"),
        (lambda: CellErasing(size=0), "size must be .*got 0"),
        (lambda: SpeedChange(-1), "probability must be .*got -1"),
        (lambda: SpeedChange(speed=(0, 1)), r"speed.*of at least 0\.1.*got 0"),
        (lambda: SpeedChange(speed=(1, 11)), r"speed.*of at most 10, got 11"),
        (lambda: SpeedChange(speed=2), r"speed must be two numbers.*got 2"),
        (lambda: RandomErasing(fill="black"), "fill must be one of .*got 'black'"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_wrong_clips_and_generators(step):
    for clip, came in (
        (noise(2, 4, 4).astype("float32"), r"shape \(2, 4, 4, 3\) of float32"),
        (noise(4, 4), r"shape \(4, 4, 3\) of uint8"),
        (noise(2, 4, 4)[..., :1], r"shape \(2, 4, 4, 1\)"),
        (noise(2, 4, 4)[:0], r"shape \(0, 4, 4, 3\)"),
        ("a.mp4", r"got 'a\.mp4'"),
    ):
        with pytest.raises(ValueError, match=f"clip must be a NumPy array.*{came}"):
            step(clip, rng_of(0))
    with pytest.raises(ValueError, match=r"rng must be a numpy\.random\.Generator, got 3"):
        step(noise(2, 4, 4), 3)
