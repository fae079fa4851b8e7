"""Both ways of loading a manifest: the same clips for a seed, whoever decodes them."""

import pickle

import keras
import numpy as np
import pytest
from data.make_videos import moving_frames, write_video

from keras_mlp3d.data import Augmenter, Manifest, VideoConverter, VideoRow
from keras_mlp3d.data.loading.clip_source import ClipSource
from keras_mlp3d.data.loading.pipeline import make_dataset
from keras_mlp3d.data.loading.video_loader import VideoLoader
from keras_mlp3d.data.video.decode import VideoError

CONVERTER = VideoConverter(num_frames=4, image_size=(16, 16), crop="none")
RANDOM = VideoConverter(num_frames=4, image_size=(16, 16), crop="random", resize=20)
CLASSES = ("walk", "jump")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Seven clips of a class each in turn; clip k is grey 30 k, so that it can be told."""
    folder = tmp_path_factory.mktemp("clips")
    gradient = moving_frames(8, 24, 32) // 16
    for k in range(7):
        write_video(folder / f"{k}.mp4", gradient + np.uint8(30 * k), crf=10)
    rows = tuple(VideoRow(str(folder / f"{k}.mp4"), k % 2) for k in range(7))
    return Manifest(rows, CLASSES, "train")


@pytest.fixture(scope="module")
def damaged(manifest, tmp_path_factory):
    """The same with an unreadable third clip."""
    broken = tmp_path_factory.mktemp("broken") / "broken.mp4"
    broken.write_bytes(b"no video")
    rows = list(manifest.rows)
    rows[2] = VideoRow(str(broken), 0)
    return Manifest(tuple(rows), CLASSES, "train")


def epochs_of(data, count=1):
    """All batches of some epochs, as a loader hands them out."""
    found = []
    for _ in range(count):
        found += [data[i] for i in range(len(data))]
        data.on_epoch_end()
    return found


def which(clips):
    """Numbers of the clips in a batch."""
    return [int(np.rint((clip.mean() - 7) / 30)) for clip in clips.astype("float64")]


def assert_same_batches(one, other):
    assert len(one) == len(other)
    for (clips, labels), (more, other_labels) in zip(one, other, strict=True):
        np.testing.assert_array_equal(clips, more)
        np.testing.assert_array_equal(labels, other_labels)
        assert (clips.dtype, labels.dtype) == (more.dtype, other_labels.dtype)


AUGMENTERS = {
    "plain": None,
    "copies": Augmenter.from_config({"flip": 0.5, "rand_augment": 2, "batch_augmentation": 2}),
    "mixed": Augmenter.from_config(
        {"flip": 0.5, "mix_up": 0.8, "cut_mix": 1.0, "label_smoothing": 0.1}
    ),
}


@pytest.mark.parametrize("augment", AUGMENTERS)
def test_tf_data_and_the_loader_hand_out_the_same(manifest, augment):
    tf = pytest.importorskip("tensorflow")
    options = {"training": True, "augment": AUGMENTERS[augment], "seed": 3}
    loader = VideoLoader(manifest, RANDOM, 4, **options)
    dataset = make_dataset(manifest, RANDOM, 4, **options)
    assert int(dataset.cardinality()) == len(loader)
    assert dataset.element_spec[0].shape == (4, 4, 16, 16, 3)
    assert dataset.element_spec[0].dtype == tf.uint8
    expected = epochs_of(loader, 2)
    got = [(x.numpy(), y.numpy()) for _ in range(2) for x, y in dataset]
    assert_same_batches(expected, got)
    later = make_dataset(manifest, RANDOM, 4, first_epoch=1, **options)
    assert_same_batches(expected[len(loader) :], [(x.numpy(), y.numpy()) for x, y in later])
    first, second = expected[0][0], expected[len(loader)][0]
    assert (first != second).any()  # another epoch, other clips


def test_evaluation_sees_every_clip_once_in_order(manifest):
    loader = VideoLoader(manifest, CONVERTER, 3)
    batches = epochs_of(loader)
    assert [len(clips) for clips, _ in batches] == [3, 3, 1]
    assert [k for clips, _ in batches for k in which(clips)] == list(range(7))
    assert [k for _, labels in batches for k in labels.tolist()] == [0, 1, 0, 1, 0, 1, 0]
    pytest.importorskip("tensorflow")
    dataset = make_dataset(manifest, CONVERTER, 3)
    assert_same_batches(batches, [(x.numpy(), y.numpy()) for x, y in dataset])


def test_training_sees_every_clip_at_most_once_an_epoch(manifest):
    loader = VideoLoader(manifest, CONVERTER, 3, training=True, seed=1)
    orders = []
    for _ in range(3):
        orders.append([k for clips, _ in epochs_of(loader) for k in which(clips)])
    assert all(len(order) == len(set(order)) == 6 for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_shards_are_the_parts_of_the_whole_batch(manifest):
    options = {"training": True, "seed": 5}
    whole = epochs_of(VideoLoader(manifest, RANDOM, 4, **options))
    parts = [epochs_of(VideoLoader(manifest, RANDOM, 4, shard=(i, 2), **options)) for i in range(2)]
    joined = [
        tuple(np.concatenate(pair) for pair in zip(*batches, strict=True))
        for batches in zip(*parts, strict=True)
    ]
    assert_same_batches(whole, joined)


def test_an_unreadable_training_video_is_replaced_and_named(damaged, caplog):
    loader = VideoLoader(damaged, CONVERTER, 7, training=True)
    ((clips, labels),) = epochs_of(loader)
    numbers = which(clips)
    assert 2 not in numbers
    assert len(numbers) == 7
    assert labels.tolist() == [k % 2 for k in numbers]
    assert list(loader.source.unreadable) == [damaged.rows[2].path]
    assert "it is skipped, the 1st video so far" in caplog.text
    again = VideoLoader(damaged, CONVERTER, 7, training=True)
    assert_same_batches([(clips, labels)], epochs_of(again))


def test_an_unreadable_test_video_is_an_error_that_names_it(damaged):
    loader = VideoLoader(damaged, CONVERTER, 7)
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        loader[0]


def test_nothing_readable_ends_with_an_error(tmp_path):
    rows = tuple(VideoRow(str(tmp_path / f"{k}.mp4"), 0) for k in range(3))
    loader = VideoLoader(Manifest(rows, CLASSES, "train"), CONVERTER, 1, training=True)
    with pytest.raises(VideoError, match="none of 100 training videos in a row can be read"):
        loader[0]


def test_a_pickled_source_gives_the_same(manifest):
    source = ClipSource(manifest, RANDOM, 4, training=True, augment=AUGMENTERS["mixed"])
    again = pickle.loads(pickle.dumps(source))
    assert_same_batches([source.batch(2, 1 - 1)], [again.batch(2, 0)])


def test_fit_takes_both(manifest):
    pytest.importorskip("tensorflow")
    losses = []
    for make in (VideoLoader, make_dataset):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((4, 16, 16, 3)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.GlobalAveragePooling3D(),
                keras.layers.Dense(2),
            ]
        )
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        data = make(manifest, RANDOM, 2, training=True, seed=2)
        losses.append(model.fit(data, epochs=2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1"),
        ({"batch_size": 8, "training": True}, "at most the 7 clips of the manifest"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0"),
        (
            {"augment": Augmenter(label_smoothing=0.1)},
            "`augment` must be None where `training` is False",
        ),
        ({"converter": RANDOM}, "`converter` must not crop at random where `training` is False"),
        ({"shard": (2, 2)}, r"`shard` must be \(index, count\) with index < count"),
        ({"batch_size": 3, "shard": (0, 2)}, "3 must be a multiple of the 2 shards"),
        ({"batch_size": 6, "shard": (0, 2)}, "the last one holds 1 of the manifest's 7 clips"),
        (
            {"batch_size": 3, "training": True, "augment": AUGMENTERS["copies"]},
            "must be a multiple of the augmenter's 2 copies",
        ),
    ],
)
def test_bad_arguments(manifest, options, words):
    options = {"converter": CONVERTER, "batch_size": 2, **options}
    with pytest.raises(ValueError, match=words):
        ClipSource(manifest, **options)


@pytest.mark.parametrize(("name", "value"), [("workers", 0), ("first_epoch", -1)])
def test_bad_arguments_of_the_pipeline(manifest, name, value):
    pytest.importorskip("tensorflow")
    with pytest.raises(ValueError, match=f"`{name}` must be a whole number"):
        make_dataset(manifest, CONVERTER, **{name: value})
