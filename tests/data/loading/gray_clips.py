"""What the tests of loading share: converters, clips without files, comparisons of batches."""

import keras
import numpy as np

from keras_mlp3d.data import Augmenter, Manifest, VideoConverter, VideoRow

CLASSES = ("walk", "jump")
CONVERTER = VideoConverter(num_frames=4, image_size=(16, 16), crop="none")
RANDOM = VideoConverter(num_frames=4, image_size=(16, 16), crop="random", resize=20)
AUGMENTERS = {
    "plain": None,
    "copies": Augmenter.from_config({"flip": 0.5, "rand_augment": 2, "batch_augmentation": 2}),
    "mixed": Augmenter.from_config(
        {"flip": 0.5, "mix_up": 0.8, "cut_mix": 1.0, "label_smoothing": 0.1}
    ),
}


def numbered_rows(count):
    """A manifest of videos without files, for `numbered_clip`."""
    return Manifest([VideoRow(str(k), 0) for k in range(count)], CLASSES, "train")


def numbered_clip(path, rng, start=None, end=None):
    """A clip whose first pixel is its number, and whose second one is random where clips are."""
    clip = np.zeros((1, 1, 2, 3), "uint8")
    clip[..., 0, :] = int(path)
    clip[..., 1, :] = 0 if rng is None else rng.integers(256)
    return clip


def epochs_of(data, count=1):
    """All batches of some epochs, asked for by their numbers."""
    found = []
    for _ in range(count):
        found += [data[i] for i in range(len(data))]
        data.on_epoch_end()
    return found


def which(clips):
    """Numbers of the clips in a batch of gray clips."""
    return [int(np.rint((clip.mean() - 7) / 30)) for clip in np.asarray(clips, "float64")]


def are_same(one, other):
    """Whether two lists of batches are the same."""
    return len(one) == len(other) and all(
        np.array_equal(clips, more) and np.array_equal(labels, others)
        for (clips, labels), (more, others) in zip(one, other, strict=True)
    )


def assert_same_batches(one, other):
    """Fails where two lists of batches differ, in their types too."""
    assert len(one) == len(other)
    for (clips, labels), (more, other_labels) in zip(one, other, strict=True):
        np.testing.assert_array_equal(clips, more)
        np.testing.assert_array_equal(labels, other_labels)
        assert (clips.dtype, labels.dtype) == (more.dtype, other_labels.dtype)


def small_model():
    """A compiled network for clips of `CONVERTER` and `RANDOM`."""
    model = keras.Sequential(
        [
            keras.Input((4, 16, 16, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling3D(),
            keras.layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="sgd", loss=loss, metrics=["accuracy"])
    return model
