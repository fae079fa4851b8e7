"""MixUp, CutMix, smoothing and batch augmentation: clips and labels by the same shares."""

import numpy as np
import pytest
from reference import augment as reference

from keras_mlp3d.data.augment import (
    BatchAugmentation,
    CutMix,
    HorizontalFlip,
    MixUp,
    RandomErasing,
    smooth_labels,
)


def batch(size=6, frames=3, height=12, width=16, num_classes=None):
    clips = np.random.default_rng(1).integers(0, 256, (size, frames, height, width, 3), "uint8")
    return clips, np.eye(num_classes or size, dtype="float32")[:size]


def rng_of(number):
    return np.random.default_rng([5, number])


@pytest.mark.parametrize("step", [MixUp(0.8), CutMix(1.0)], ids=["mix_up", "cut_mix"])
class TestBoth:
    def test_labels_are_distributions(self, step):
        clips, labels = batch()
        before = clips.copy()
        for number in range(10):
            mixed, shares = step(clips, labels, rng_of(number))
            assert (mixed.shape, mixed.dtype) == (clips.shape, np.uint8)
            assert (shares.shape, shares.dtype) == (labels.shape, np.float32)
            np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
            assert shares.min() >= 0
            assert (np.count_nonzero(shares, axis=1) <= 2).all()
        np.testing.assert_array_equal(clips, before)

    def test_labels_tell_what_is_in_the_clip(self, step):
        """Clip k is k-colored in a channel of its own: its share is its part of that color."""
        clips = np.zeros((3, 2, 32, 32, 3), "uint8")
        for k in range(3):
            clips[k, ..., k] = 250
        for number in range(20):
            mixed, shares = step(clips, np.eye(3), rng_of(number))
            found = mixed.mean(axis=(1, 2, 3)) / 250
            np.testing.assert_allclose(found, shares, atol=0.002)

    def test_all_frames_get_one_draw(self, step):
        clips, labels = batch()
        still = np.repeat(clips[:, :1], 5, axis=1)
        for number in range(5):
            mixed, _ = step(still, labels, rng_of(number))
            assert (mixed == mixed[:, :1]).all()

    def test_same_generator_same_batch(self, step):
        clips, labels = batch()
        results = [step(clips, labels, rng_of(number)) for number in (0, 0, 1)]
        for first, again, other in zip(*results, strict=True):
            np.testing.assert_array_equal(first, again)
            assert not np.array_equal(first, other)

    def test_clips_are_drawn_apart(self, step):
        _, shares = step(*batch(size=32, frames=1), rng_of(0))
        assert len(np.unique(shares.max(axis=1))) > 12

    def test_probability(self, step):
        clips, labels = batch(size=32, frames=1)
        none = type(step)(1.0, probability=0.0)(clips, labels, rng_of(0))
        np.testing.assert_array_equal(none[0], clips)
        np.testing.assert_array_equal(none[1], labels)
        _, some = type(step)(1.0, probability=0.5)(clips, labels, rng_of(0))
        assert 6 < (some.max(axis=1) == 1).sum() < 28

    def test_alone_a_clip_stays(self, step):
        clips, labels = batch(size=1)
        for number in range(5):
            mixed, shares = step(clips, labels, rng_of(number))
            np.testing.assert_array_equal(mixed, clips)
            np.testing.assert_array_equal(shares, labels)

    def test_wrong_calls(self, step):
        clips, labels = batch()
        for bad, message in (
            ((clips / 255, labels), r"clips.*uint8 \(B, T, H, W, 3\), got shape .*float64"),
            ((clips[0], labels), "clips must"),
            ((clips, np.arange(6)), r"labels must be .*floats \(6, num_classes\)"),
            ((clips, labels[:3]), r"labels.*shape \(3, 6\)"),
            ((clips, labels.astype("int32")), "labels.*int32"),
        ):
            with pytest.raises(ValueError, match=message):
                step(*bad, rng_of(0))
        with pytest.raises(ValueError, match="rng must"):
            step(clips, labels, None)

    def test_wrong_arguments(self, step):
        for bad in (0, -1, float("inf"), "1"):
            with pytest.raises(ValueError, match="alpha must be a number above 0"):
                type(step)(bad)
        with pytest.raises(ValueError, match="probability"):
            type(step)(1.0, probability=1.1)


def test_mix_up_against_its_twin():
    clips, labels = batch(size=4)
    mix_up = MixUp(1.0)
    partners, shares = mix_up._draw(4, rng_of(3))
    mixed, mixed_labels = mix_up(clips, labels, rng_of(3))
    assert (shares < 256).sum() >= 2
    for k, (partner, share) in enumerate(zip(partners, shares, strict=True)):
        np.testing.assert_array_equal(mixed[k], reference.mix(clips[k], clips[partner], int(share)))
        expected = share / 256 * labels[k] + (256 - share) / 256 * labels[partner]
        np.testing.assert_array_equal(mixed_labels[k], expected.astype("float32"))


@pytest.mark.parametrize("share", [0, 1, 128, 255, 256])
def test_mix_up_of_extremes(share, monkeypatch):
    clips = np.stack([np.full((1, 2, 2, 3), value, "uint8") for value in (0, 255)])
    draw = lambda self, size, rng: (np.array([1, 0]), np.array([share, share]))  # noqa: E731
    monkeypatch.setattr(MixUp, "_draw", draw)
    mixed, labels = MixUp()(clips, np.eye(2), rng_of(0))
    assert mixed[0, 0, 0, 0, 0] == (255 * (256 - share) + 128) // 256
    assert labels.tolist() == [[share / 256, 1 - share / 256], [1 - share / 256, share / 256]]


def test_alpha_says_how_far_clips_mix():
    near = [
        (np.abs(MixUp(alpha)._draw(400, rng_of(0))[1] - 128) < 64).mean() for alpha in (0.1, 1, 10)
    ]
    assert near[0] < 0.15
    assert 0.4 < near[1] < 0.6
    assert near[2] > 0.9


def test_cut_mix_pastes_a_rectangle_of_the_pictures_shape():
    clips, labels = batch(size=8, height=40, width=80)
    cut_mix = CutMix(1.0)
    partners, boxes = cut_mix._draw(8, (40, 80), rng_of(0))
    mixed, _ = cut_mix(clips, labels, rng_of(0))
    shapes = []
    for k, (partner, ((top, bottom), (left, right))) in enumerate(
        zip(partners, boxes, strict=True)
    ):
        expected = clips[k].copy()
        for row in range(top, bottom):
            for column in range(left, right):
                expected[:, row, column] = clips[partner][:, row, column]
        np.testing.assert_array_equal(mixed[k], expected)
        if top > 0 and bottom < 40 and left > 0 and right < 80:
            shapes.append((right - left) / (bottom - top))
    assert shapes
    np.testing.assert_allclose(shapes, 2, atol=0.25)


def test_cut_mix_boxes_lie_everywhere_and_inside():
    _, boxes = CutMix(1.0)._draw(500, (10, 20), rng_of(1))
    boxes = np.array(boxes)
    assert boxes.min() == 0
    assert (boxes[:, 0, 1].max(), boxes[:, 1, 1].max()) == (10, 20)
    assert (boxes[:, :, 0] <= boxes[:, :, 1]).all()
    middles = boxes.mean(axis=2)
    assert (np.abs(middles.mean(axis=0) - (5, 10)) < (0.8, 1.6)).all()


# --- labels ---------------------------------------------------------------------------------------


def test_smoothing_by_its_formula():
    one_hot = smooth_labels([2, 0], num_classes=4)
    assert one_hot.dtype == np.float32
    assert one_hot.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]
    expected = [[0.025, 0.025, 0.925, 0.025], [0.925, 0.025, 0.025, 0.025]]
    np.testing.assert_allclose(smooth_labels([2, 0], 0.1, 4), expected, rtol=1e-6)
    np.testing.assert_allclose(smooth_labels(one_hot, 0.1), expected, rtol=1e-6)
    assert smooth_labels(one_hot.astype("float64"), 0.1).dtype == np.float32


def test_smoothing_is_kerass():
    import keras

    labels, logits = np.eye(5, dtype="float32")[[1, 4]], np.float32([[1, 2, 0, 0, 1], [0] * 5])
    plain = keras.losses.CategoricalCrossentropy(from_logits=True)
    smooth = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3)
    ours = float(plain(smooth_labels(labels, 0.3), logits))
    assert ours == pytest.approx(float(smooth(labels, logits)), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1],), "num_classes must be given"),
        (([0, 3], 0.1, 3), "labels must be from 0 to 2, got 3"),
        (([-1], 0.1, 3), "got -1"),
        (([0, 1], 1.0, 3), "smoothing must be a number of at least 0 and below 1, got 1"),
        (([0, 1], -0.1, 3), "smoothing must be a number of at least 0 and below 1"),
        (([0, 1], 0.1, 0), "num_classes must be a positive integer"),
        ((np.eye(3), 0.1, 4), "num_classes 4 columns, got 3"),
        (([0.5, 1.0], 0.1, 3), r"labels must be integers.*shape \(2,\) of float64"),
        ((np.eye(3, dtype="int32"), 0.1), r"shape \(3, 3\) of int32"),
    ],
)
def test_wrong_labels(arguments, message):
    with pytest.raises(ValueError, match=message):
        smooth_labels(*arguments)


# --- batch augmentation ---------------------------------------------------------------------------


def test_copies_are_drawn_in_turn():
    clip = batch(size=1)[0][0]
    flip, erase = HorizontalFlip(0.5, [[3, 7]]), RandomErasing(1.0)

    def augment(clip, label, rng):
        clip, label = flip(clip, label, rng)
        return erase(clip, rng), label

    clips, labels = BatchAugmentation(5)(clip, 3, rng_of(0), augment)
    assert (clips.shape, clips.dtype) == ((5, *clip.shape), np.uint8)
    assert (labels.shape, labels.dtype) == ((5,), np.int32)
    assert set(labels.tolist()) == {3, 7}
    assert len({copy.tobytes() for copy in clips}) == 5
    rng = rng_of(0)
    for copy, label in zip(clips, labels, strict=True):
        expected, expected_label = augment(clip, 3, rng)
        np.testing.assert_array_equal(copy, expected)
        assert label == expected_label


@pytest.mark.parametrize("copies", [0, 65, 1.0, True, None])
def test_wrong_copies(copies):
    with pytest.raises(ValueError, match="copies must be an integer from 1 to 64"):
        BatchAugmentation(copies)
