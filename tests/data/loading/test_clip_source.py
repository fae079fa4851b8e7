"""The clips of an epoch: the seed decides, not the reader."""

import errno
import functools
import pickle

import numpy as np
import pytest
from data.loading.gray_clips import (
    AUGMENTERS,
    CLASSES,
    CONVERTER,
    RANDOM,
    assert_same_batches,
    epochs_of,
    numbered_clip,
    numbered_rows,
    which,
)

from keras_mlp3d.data import (
    Augmenter,
    Manifest,
    VideoConverter,
    VideoError,
    VideoRow,
    check_videos,
    pixel_statistics,
    write_shards,
)
from keras_mlp3d.data.loading.clip_source import ClipSource
from keras_mlp3d.data.loading.video_loader import VideoLoader
from keras_mlp3d.data.video.sources import LazySource


def test_the_order_is_that_of_the_seed_and_the_epoch():
    source = ClipSource(numbered_rows(50), numbered_clip, 5, training=True, seed=3)
    order = np.concatenate([source.rows(2, batch) for batch in range(10)])
    np.testing.assert_array_equal(order, np.random.default_rng([3, 2, 0]).permutation(50))
    assert (np.concatenate([source.rows(1, batch) for batch in range(10)]) != order).any()
    with pytest.raises(ValueError, match="read-only"):  # it is shared by all batches
        source.rows(2, 0)[0] = 1


def test_training_sees_every_clip_at_most_once_an_epoch(manifest):
    loader = VideoLoader(manifest, CONVERTER, 3, training=True, seed=1)
    orders = []
    for _ in range(3):
        orders.append([k for clips, _ in epochs_of(loader) for k in which(clips)])
    assert all(len(order) == len(set(order)) == 6 for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_labels_stay_with_their_clips(manifest):
    for clips, labels in VideoLoader(manifest, CONVERTER, 3, training=True):
        assert labels.tolist() == [k % 2 for k in which(clips)]


def test_random_clips_do_not_depend_on_their_batch(manifest):
    def by_number(batch_size):
        loader = VideoLoader(manifest, RANDOM, batch_size, training=True, seed=3)
        return {k: clip for clips, _ in loader for k, clip in zip(which(clips), clips, strict=True)}

    small, whole = by_number(1), by_number(7)
    assert sorted(small) == sorted(whole) == list(range(7))
    for k, clip in small.items():
        np.testing.assert_array_equal(clip, whole[k])


def test_another_order_of_the_same_clips(manifest):
    loader = VideoLoader(manifest, CONVERTER, 7, training=True, random_clips=False)
    orders = []
    for _ in range(2):
        ((clips, _),) = epochs_of(loader)
        orders.append(which(clips))
        for k, clip in zip(orders[-1], clips, strict=True):
            np.testing.assert_array_equal(clip, CONVERTER(manifest.rows[k].path))
    assert orders[0] != orders[1]


def test_shards_are_the_parts_of_the_whole_batch(manifest):
    options = {"training": True, "seed": 5}
    whole = epochs_of(VideoLoader(manifest, RANDOM, 4, **options))
    parts = [epochs_of(VideoLoader(manifest, RANDOM, 4, shard=(i, 2), **options)) for i in range(2)]
    joined = [
        tuple(np.concatenate(pair) for pair in zip(*batches, strict=True))
        for batches in zip(*parts, strict=True)
    ]
    assert_same_batches(whole, joined)


@pytest.mark.parametrize("one_hot", [False, True])
def test_shards_of_a_validation_are_filled_up(damaged, one_hot):
    """Every process has batches of one size; what fills them up, like what is broken, counts 0."""
    options = {"unreadable": "count", "one_hot": one_hot}
    whole = epochs_of(VideoLoader(damaged, CONVERTER, 4, **options))
    loaders = [VideoLoader(damaged, CONVERTER, 4, shard=(i, 2), **options) for i in range(2)]
    parts = [epochs_of(loader) for loader in loaders]
    sizes = {array.shape[0] for part in parts for batch in part for array in batch}
    assert sizes == {2}
    assert [len(part) for part in parts] == [2, 2]
    assert {loader.source.num_clips for loader in loaders} == {8}
    joined = [
        tuple(np.concatenate(pair) for pair in zip(*batches, strict=True))
        for batches in zip(*parts, strict=True)
    ]
    clips, labels, weights = (np.concatenate(arrays) for arrays in zip(*joined, strict=True))
    for array, expected in zip((clips, labels, weights), zip(*whole, strict=True), strict=True):
        np.testing.assert_array_equal(array[:7], np.concatenate(expected))
    assert weights.tolist() == [1, 1, 0, 1, 1, 1, 1, 0]
    assert not clips[7].any()
    assert [list(loader.source.failed) for loader in loaders] == [[], [2]]


def test_a_batch_of_one_process_is_not_filled_up(damaged):
    source = ClipSource(damaged, CONVERTER, 4, unreadable="count")
    assert [len(source.rows(0, batch)) for batch in range(2)] == [4, 3]
    assert source.num_clips == 7


def test_a_pickled_source_gives_the_same(manifest):
    source = ClipSource(manifest, RANDOM, 4, training=True, augment=AUGMENTERS["mixed"])
    again = pickle.loads(pickle.dumps(source))
    assert_same_batches([source.batch(2, 0)], [again.batch(2, 0)])


# --- unreadable videos ----------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied", "5"),
        FileNotFoundError(errno.ENOENT, "no such video file", "5"),
        OSError(errno.EIO, "Input/output error"),
        VideoError("5", "it is broken"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_error_of_a_file_stops_training(error, caplog):
    def converter(path, rng, start=None, end=None):
        if path == "5":
            raise error
        return numbered_clip(path, rng)

    loader = VideoLoader(numbered_rows(8), converter, 4, training=True)
    assert sum(len(clips) for clips, _ in loader) == 8
    assert list(loader.source.unreadable) == ["5"]
    assert "'5'" in caplog.text
    assert "it is skipped, the 1st video so far" in caplog.text
    checks = VideoLoader(numbered_rows(8), converter, 4)
    with pytest.raises((VideoError, OSError), match="'5'"):
        checks[1]


def test_each_unreadable_video_is_counted_once(caplog):
    def converter(path, rng, start=None, end=None):
        if int(path) % 2:
            raise VideoError(path, "it is broken")
        return numbered_clip(path, rng)

    loader = VideoLoader(numbered_rows(24), converter, 4, training=True, workers=8)
    for _ in range(3):
        assert all((clips[:, 0, 0, 0, 0] % 2 == 0).all() for clips, _ in loader)
    assert sorted(map(int, loader.source.unreadable)) == list(range(1, 24, 2))
    counted = [record.getMessage() for record in caplog.records]
    endings = ["1st", "2nd", "3rd", *(f"{k}th" for k in range(4, 13))]
    assert sorted(message.split()[-4] for message in counted) == sorted(endings)


def test_an_unreadable_test_video_is_an_error_that_names_it(damaged):
    loader = VideoLoader(damaged, CONVERTER, 7)
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        loader[0]


@pytest.mark.parametrize("training", [True, False])
def test_an_error_of_the_program_names_the_video(training):
    def converter(path, rng, start=None, end=None):
        raise KeyError("a mistake in it")

    loader = VideoLoader(numbered_rows(1), converter, 1, training=training)
    with pytest.raises(KeyError, match="a mistake in it") as caught:
        loader[0]
    assert caught.value.__notes__ == ["Raised for the video '0', row 0 of the manifest."]
    assert not loader.source.unreadable


def test_nothing_readable_ends_with_an_error(tmp_path):
    rows = tuple(VideoRow(str(tmp_path / f"{k}.mp4"), 0) for k in range(3))
    loader = VideoLoader(Manifest(rows, CLASSES, "train"), CONVERTER, 1, training=True)
    with pytest.raises(VideoError, match="100 training videos in a row are unreadable"):
        loader[0]


# --- videos in memory -----------------------------------------------------------------------------


def fetch(number):
    """Loads what `numbered_clip` takes."""
    return str(number)


def lazy_rows(*loads):
    """A manifest of sources that are fetched when they are read."""
    rows = [VideoRow(LazySource(f"row {k}", load), 0) for k, load in enumerate(loads)]
    return Manifest(rows, CLASSES, "train")


def test_rows_that_can_be_sent_to_another_process_are():
    manifest = lazy_rows(*(functools.partial(fetch, k) for k in range(3)))
    source = ClipSource(manifest, fetched_clip, 3)
    assert_same_batches([source.batch(0, 0)], [pickle.loads(pickle.dumps(source)).batch(0, 0)])


def fetched_clip(source, rng, start=None, end=None):
    """`numbered_clip` of what a source loads."""
    return numbered_clip(source.load(), rng)


def test_rows_that_cannot_be_sent_are_named(tmp_path):
    (tmp_path / "a").touch()
    with open(tmp_path / "a", "rb") as file:
        for load in (lambda: "1", functools.partial(fetch, file)):
            manifest = lazy_rows(functools.partial(fetch, 0), load, functools.partial(fetch, 2))
            source = ClipSource(manifest, fetched_clip, 3)
            with pytest.raises(TypeError, match=r"'row 1' cannot be sent .*functools\.partial"):
                pickle.dumps(source)


def test_rows_in_memory_are_named_by_errors():
    rows = [VideoRow(f"no video {k}".encode(), 0) for k in range(2)]
    loader = VideoLoader(Manifest(rows, CLASSES, "val"), CONVERTER, 1)
    for k, row in enumerate(rows):
        with pytest.raises(VideoError, match=f"cannot read the video '{row.name}'"):
            loader[k]


# --- the cache ------------------------------------------------------------------------------------


class Counting(VideoConverter):
    """Remembers what it converted."""

    def __call__(self, video, rng=None, *, start=None, end=None):
        self.calls.append(video)
        return super().__call__(video, rng, start=start, end=end)


def counting():
    """A converter like `CONVERTER`, and the list of what it is called for."""
    converter, calls = Counting(4, (16, 16), crop="none"), []
    object.__setattr__(converter, "calls", calls)
    return converter, calls


@pytest.mark.parametrize("training", [True, False])
def test_the_cache_decodes_each_clip_once(manifest, training):
    converter, calls = counting()
    options = {"training": training, "random_clips": False}
    kept = VideoLoader(manifest, converter, 7, cache=True, **options)
    plain = VideoLoader(manifest, CONVERTER, 7, **options)
    assert_same_batches(epochs_of(kept, 3), epochs_of(plain, 3))
    assert sorted(calls) == [row.path for row in manifest.rows]


def test_kept_clips_are_augmented_every_time(manifest):
    options = {"training": True, "random_clips": False, "augment": AUGMENTERS["mixed"]}
    converter, calls = counting()
    kept = epochs_of(VideoLoader(manifest, converter, 7, cache=True, **options), 2)
    assert_same_batches(kept, epochs_of(VideoLoader(manifest, CONVERTER, 7, **options), 2))
    assert len(calls) == 7


def test_batches_may_be_changed_and_kept_clips_stay(manifest):
    loader = VideoLoader(manifest, CONVERTER, 7, cache=True)
    expected = loader[0][0].copy()
    loader[0][0][:] = 0
    np.testing.assert_array_equal(loader[0][0], expected)


def test_an_unreadable_video_is_not_kept(damaged):
    loader = VideoLoader(damaged, CONVERTER, 7, training=True, random_clips=False, cache=True)
    plain = VideoLoader(damaged, CONVERTER, 7, training=True, random_clips=False)
    assert_same_batches(epochs_of(loader, 2), epochs_of(plain, 2))
    assert list(loader.source.unreadable) == [damaged.rows[2].path]


def test_a_cache_of_clips_of_unknown_size_has_a_bound():
    calls = []

    def converter(path, rng, start=None, end=None):
        calls.append(path)
        return numbered_clip(path, rng)

    size = numbered_clip("0", None).nbytes
    loader = VideoLoader(numbered_rows(6), converter, 1, cache=True, max_cache_bytes=4 * size + 1)
    for _ in range(3):
        assert [clips.flat[0] for clips, _ in loader] == list(range(6))
    assert len(calls) == 4 + 3 * 2


def test_a_copy_for_another_process_leaves_the_kept_clips(manifest):
    source = ClipSource(manifest, VideoConverter(16, (128, 128)), 7, cache=True)
    expected = source.batch(0, 0)
    data = pickle.dumps(source)
    assert len(data) < 10_000 < expected[0].nbytes
    assert_same_batches([expected], [pickle.loads(data).batch(0, 0)])


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size must be a positive integer, got 0"),
        ({"batch_size": 2.0}, r"batch_size.*got 2\.0"),
        ({"batch_size": 8, "training": True}, "at most the 7 clips of the manifest"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        (
            {"augment": Augmenter(label_smoothing=0.1)},
            "augment must be None if training is False",
        ),
        ({"converter": RANDOM}, "converter must not crop at random if training is False"),
        ({"random_clips": True}, "random_clips must be False if training is False"),
        (
            {"converter": RANDOM, "training": True, "random_clips": False},
            "random_clips must not be False if the converter's crop is 'random'",
        ),
        (
            {"cache": True, "training": True},
            "cache must be False if clips are sampled at random; with random_clips=False",
        ),
        ({"cache": True, "max_cache_bytes": 7 * 3072 - 1}, "7 clips in 21504 bytes.*21503"),
        ({"unreadable": "skip"}, "unreadable must be one of 'error', 'count'"),
        (
            {"unreadable": "count", "training": True},
            "must be 'error' if training is True",
        ),
        (
            {"unreadable": "count", "converter": numbered_clip},
            "unreadable must be 'error' with a converter that does not say the size",
        ),
        ({"cache": True, "max_cache_bytes": 0}, "max_cache_bytes must be a positive integer"),
        ({"shard": (2, 2)}, r"shard must be \(index, count\) with index < count"),
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


@pytest.mark.parametrize(
    "use",
    [
        lambda videos, folder: ClipSource(videos, CONVERTER),
        lambda videos, folder: VideoLoader(videos, CONVERTER),
        lambda videos, folder: pixel_statistics(videos),
        lambda videos, folder: check_videos(videos),
        lambda videos, folder: write_shards(videos, folder, name="train"),
    ],
)
def test_a_folder_is_not_taken_for_a_manifest(use, tmp_path):
    with pytest.raises(ValueError, match=r"must be a data\.Manifest, got str; data\.read_manifest"):
        use(str(tmp_path), tmp_path)


def test_a_converter_is_needed_and_a_network_is_none():
    class Network:
        def __call__(self, clips):
            return clips

        predict = __call__

    for wrong, words in (
        (None, "or a function from a video to a clip, got NoneType"),
        (Network(), "got Network; pass the network's `converter`"),
    ):
        with pytest.raises(ValueError, match=words):
            VideoLoader(numbered_rows(4), wrong)
