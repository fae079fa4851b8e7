"""Augmentation of clips with several labels: bits swap, rows mix, labels are smoothed to a half."""

import numpy as np
import pytest

from keras_mlp3d.data.augment import (
    Augmenter,
    BatchAugmentation,
    CutMix,
    HorizontalFlip,
    MixUp,
    smooth_labels,
)

NAMES = ("turn left", "turn right", "wave")
CLIP = np.arange(4 * 6 * 3, dtype="uint8").reshape(1, 4, 6, 3)


def rng_of(number):
    return np.random.default_rng([7, number])


@pytest.mark.parametrize(
    ("label", "mirrored"), [("100", "010"), ("010", "100"), ("110", "110"), ("101", "011")]
)
def test_a_flip_swaps_bits(label, mirrored):
    flip = HorizontalFlip(1.0, "left_right").bind(NAMES)
    row = np.array([int(bit) for bit in label], "float32")
    before = row.copy()
    clip, found = flip(CLIP, row, rng_of(0))
    np.testing.assert_array_equal(clip, CLIP[:, :, ::-1])
    assert found.tolist() == [int(bit) for bit in mirrored]
    np.testing.assert_array_equal(row, before)
    assert HorizontalFlip(0.0, "left_right").bind(NAMES)(CLIP, row, rng_of(0))[1] is row


def test_copies_have_a_row_each():
    flip = HorizontalFlip(0.5, [[0, 1]])
    row = np.array([1, 0, 1], "float32")
    clips, labels = BatchAugmentation(16)(CLIP, row, rng_of(0), flip)
    assert (labels.shape, labels.dtype) == ((16, 3), np.float32)
    for clip, label in zip(clips, labels, strict=True):
        is_mirrored = (clip == CLIP[:, :, ::-1]).all()
        assert label.tolist() == ([0, 1, 1] if is_mirrored else [1, 0, 1])
    assert len({tuple(label) for label in labels.tolist()}) == 2


@pytest.mark.parametrize("step", [MixUp(0.8), CutMix(1.0)], ids=["mix_up", "cut_mix"])
def test_rows_mix_by_what_is_in_the_clip(step):
    """Clip k is k-colored; bit k + 1 and bit 0 are its labels, so bit 0 stays 1 in every mix."""
    clips = np.zeros((3, 2, 32, 32, 3), "uint8")
    labels = np.eye(4, dtype="float32")[1:]
    labels[:, 0] = 1
    for k in range(3):
        clips[k, ..., k] = 250
    for number in range(10):
        mixed, found = step(clips, labels, rng_of(number))
        np.testing.assert_allclose(found[:, 0], 1, atol=1e-6)
        np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)) / 250, found[:, 1:], atol=0.002)


def test_smoothing_is_that_of_binary_cross_entropy():
    rows = np.array([[1, 0, 1], [0, 0, 0]], "float32")
    smooth = smooth_labels(rows, 0.2, 3, multi_label=True)
    np.testing.assert_allclose(smooth, [[0.9, 0.1, 0.9], [0.1, 0.1, 0.1]], rtol=1e-6)
    assert smooth.dtype == np.float32


def test_augmenter_passes_it_on():
    augmenter = Augmenter.from_config({"flip": 1.0, "label_smoothing": 0.2}).bind(NAMES)
    rows = np.array([[1, 0, 1], [0, 0, 0]], "float32")
    clips = np.stack([CLIP, CLIP])
    _, several = augmenter.batch(clips, rows, rng_of(0), multi_label=True)
    np.testing.assert_allclose(several[1], 0.1, rtol=1e-6)
    _, shares = augmenter.batch(clips, rows, rng_of(0))
    np.testing.assert_allclose(shares[1], 0.2 / 3, rtol=1e-6)


@pytest.mark.parametrize("label", [np.zeros((1, 3), "float32"), 0.5, "run"])
def test_other_labels_are_refused(label):
    with pytest.raises(TypeError):
        HorizontalFlip(1.0)(CLIP, label, rng_of(0))
