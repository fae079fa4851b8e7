"""Multi-hot batches of every loader: our own, PyTorch's DataLoader, tf.data, shards, the cache."""

import pickle

import keras
import numpy as np
import pytest
from data.loading.gray_clips import CONVERTER, RANDOM, assert_same_batches, epochs_of, which

from keras_mlp3d.data import (
    Augmenter,
    ClipSource,
    Manifest,
    VideoLoader,
    VideoRow,
    make_dataset,
    read_shards,
    write_shards,
)

NAMES = ("turn left", "turn right", "wave")
LABELS = [(0,), (1, 2), (), (0, 1, 2), (2,), (0, 2), (1,)]
MIXED = {"flip": {"probability": 0.5, "label_map": "left_right"}, "mix_up": 0.8}


@pytest.fixture(scope="module")
def several(manifest):
    """The seven gray clips, clip k with the labels `LABELS[k]`."""
    rows = [VideoRow(row.path, label) for row, label in zip(manifest.rows, LABELS, strict=True)]
    return Manifest(rows, NAMES, "train")


def bits(k):
    return [int(place in LABELS[k]) for place in range(3)]


def assert_labels_belong(batches, count=7):
    seen = []
    for clips, labels in batches:
        labels = np.asarray(labels)
        assert (labels.dtype, labels.shape) == (np.float32, (len(clips), 3))
        seen += which(clips)
        assert labels.tolist() == [bits(k) for k in which(clips)]
    assert len(seen) == count


@pytest.mark.parametrize("one_hot", [False, True])
def test_video_loader(several, one_hot):
    assert_labels_belong(epochs_of(VideoLoader(several, CONVERTER, 3, one_hot=one_hot)))
    training = VideoLoader(several, RANDOM, 3, training=True, one_hot=one_hot)
    assert_labels_belong(epochs_of(training), count=6)


def test_cache_keeps_clips_and_not_labels(several):
    loader = VideoLoader(several, CONVERTER, 3, training=True, random_clips=False, cache=True)
    for _ in range(3):
        assert_labels_belong(epochs_of(loader), count=6)


def test_unreadable_videos_have_no_weight(several, tmp_path):
    rows = [*several.rows[:2], VideoRow(str(tmp_path / "gone.mp4"), (1,))]
    source = ClipSource(Manifest(rows, NAMES, "val"), CONVERTER, 3, unreadable="count")
    _, labels, weights = source.batch(0, 0)
    assert labels.tolist() == [bits(0), bits(1), [0, 1, 0]]
    assert weights.tolist() == [1, 1, 0]


def test_augmented_rows(several):
    """With copies and a flip that swaps bits, but no mixing, each row is that of its clip."""
    augment = Augmenter.from_config({"flip": MIXED["flip"], "batch_augmentation": 2})
    loader = VideoLoader(several, CONVERTER, 6, True, augment, random_clips=False)
    seen = set()
    for clips, labels in epochs_of(loader, 4):
        for k, label in zip(which(clips), labels.tolist(), strict=True):
            mirrored = [bits(k)[place] for place in (1, 0, 2)]
            assert label in (bits(k), mirrored)
            seen.add((k, tuple(label)))
    assert {(0, (1, 0, 0)), (0, (0, 1, 0))} <= seen


def test_smoothing_of_a_video_without_labels(several):
    augment = Augmenter.from_config({"label_smoothing": 0.2})
    loader = VideoLoader(several.select([2, 3]), CONVERTER, 2, True, augment, random_clips=False)
    [(_, labels)] = epochs_of(loader)
    np.testing.assert_allclose(sorted(labels.tolist()), [[0.1] * 3, [0.9] * 3], rtol=1e-6)


def test_tf_data_gives_the_same(several):
    tf = pytest.importorskip("tensorflow")
    options = {"training": True, "augment": Augmenter.from_config(MIXED), "seed": 3}
    dataset = make_dataset(several, RANDOM, 3, **options)
    assert dataset.element_spec[1].shape == (3, 3)
    assert dataset.element_spec[1].dtype == tf.float32
    found = [(clips.numpy(), labels.numpy()) for clips, labels in dataset]
    assert_same_batches(epochs_of(VideoLoader(several, RANDOM, 3, **options)), found)
    plain = make_dataset(several, CONVERTER, 3)
    assert_labels_belong([(clips.numpy(), labels.numpy()) for clips, labels in plain])


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="a DataLoader of PyTorch")
def test_data_loader_gives_tensors():
    import torch

    rows = [VideoRow(np.full((4, 16, 16, 3), 40 * k, "uint8"), LABELS[k]) for k in range(7)]
    loader = VideoLoader(Manifest(rows, NAMES, "train"), CONVERTER, 2, training=True)
    batches = torch.utils.data.DataLoader(loader, batch_size=None, sampler=loader.sampler)
    for clips, labels in batches:
        assert labels.dtype == torch.float32
        numbers = (clips[:, 0, 0, 0, 0] / 40).round().int().tolist()
        assert labels.tolist() == [bits(k) for k in numbers]


def test_shards_give_the_same(several, tmp_path):
    pytest.importorskip("google_crc32c")
    write_shards(several, tmp_path, short_side=None, quality=1)
    again = read_shards(tmp_path)
    assert_labels_belong(epochs_of(VideoLoader(again, CONVERTER, 3)))


def test_a_source_can_be_pickled(several):
    source = pickle.loads(pickle.dumps(ClipSource(several, CONVERTER, 3)))
    assert source.batch(0, 0)[1].tolist() == [bits(k) for k in range(3)]
