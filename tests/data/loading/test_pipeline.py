"""tf.data gives what the loader gives."""

import keras
import numpy as np
import pytest
from data.loading.gray_clips import (
    AUGMENTERS,
    CONVERTER,
    RANDOM,
    assert_same_batches,
    epochs_of,
    small_model,
)

from keras_mlp3d.data.augment import Augmenter, RandomResizedCrop
from keras_mlp3d.data.loading.pipeline import make_dataset
from keras_mlp3d.data.loading.video_loader import VideoLoader

tf = pytest.importorskip("tensorflow")


def arrays(dataset):
    """A pass over a dataset as NumPy arrays."""
    return [(clips.numpy(), labels.numpy()) for clips, labels in dataset]


@pytest.mark.parametrize("augment", AUGMENTERS)
def test_tf_data_and_the_loader_hand_out_the_same(manifest, augment):
    options = {"training": True, "augment": AUGMENTERS[augment], "seed": 3}
    loader = VideoLoader(manifest, RANDOM, 4, **options)
    dataset = make_dataset(manifest, RANDOM, 4, **options)
    assert int(dataset.cardinality()) == len(loader)
    assert dataset.element_spec[0].shape == (4, 4, 16, 16, 3)
    assert dataset.element_spec[0].dtype == tf.uint8
    expected = epochs_of(loader, 2)
    assert_same_batches(expected, [*arrays(dataset), *arrays(dataset)])
    later = make_dataset(manifest, RANDOM, 4, first_epoch=1, **options)
    assert_same_batches(expected[len(loader) :], arrays(later))
    first, second = expected[0][0], expected[len(loader)][0]
    assert (first != second).any()  # another epoch, other clips


def test_clips_have_the_size_of_the_augmenter_s_crop(manifest):
    augment = Augmenter(crop=RandomResizedCrop((24, 20)))
    options = {"training": True, "augment": augment, "seed": 3}
    dataset = make_dataset(manifest, RANDOM, 4, **options)
    assert dataset.element_spec[0].shape == (4, 4, 24, 20, 3)
    assert_same_batches(epochs_of(VideoLoader(manifest, RANDOM, 4, **options)), arrays(dataset))


def test_every_clip_once_in_order(manifest):
    dataset = make_dataset(manifest, CONVERTER, 3)
    assert_same_batches(epochs_of(VideoLoader(manifest, CONVERTER, 3)), arrays(dataset))


def test_kept_clips(manifest):
    options = {"training": True, "random_clips": False, "cache": True}
    dataset = make_dataset(manifest, CONVERTER, 7, **options)
    expected = epochs_of(VideoLoader(manifest, CONVERTER, 7, **options), 2)
    assert_same_batches(expected, [*arrays(dataset), *arrays(dataset)])


def test_fit_takes_both(manifest):
    losses = []
    for make in (VideoLoader, make_dataset):
        keras.utils.set_random_seed(0)
        data = make(manifest, RANDOM, 2, training=True, seed=2)
        history = small_model().fit(data, epochs=2, shuffle=False, verbose=0).history
        losses.append(history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("workers", 0), ("first_epoch", -1)])
def test_bad_arguments(manifest, name, value):
    with pytest.raises(ValueError, match=rf"{name} must be an? (positive )?integer.*, got"):
        make_dataset(manifest, CONVERTER, **{name: value})
