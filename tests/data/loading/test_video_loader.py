"""Batches of a manifest: the same for a seed, in the right epoch, and fit for `fit`."""

import pickle
import time

import keras
import numpy as np
import pytest
from data.loading.gray_clips import (
    AUGMENTERS,
    CONVERTER,
    RANDOM,
    are_same,
    assert_same_batches,
    epochs_of,
    numbered_clip,
    numbered_rows,
    small_model,
    which,
)
from data.make_videos import moving_frames, write_damaged

from keras_mlp3d.data import Manifest, VideoError, VideoRow
from keras_mlp3d.data.loading.video_loader import VideoLoader


def training_loader(manifest, **options):
    return VideoLoader(manifest, RANDOM, 3, training=True, seed=3, **options)


def epochs_by_number(count, manifest):
    """The batches of each epoch, however a loader counts."""
    loader = training_loader(manifest)
    return [[loader.batch_of(epoch, i) for i in range(len(loader))] for epoch in range(count)]


def test_evaluation_sees_every_clip_once_in_order(manifest):
    loader = VideoLoader(manifest, CONVERTER, 3)
    batches = epochs_of(loader)
    assert [len(clips) for clips, _ in batches] == [3, 3, 1]
    assert [k for clips, _ in batches for k in which(clips)] == list(range(7))
    assert [k for _, labels in batches for k in labels.tolist()] == [0, 1, 0, 1, 0, 1, 0]
    clips, labels = batches[1]
    assert (clips.shape, clips.dtype, labels.dtype) == ((3, 4, 16, 16, 3), np.uint8, np.int32)
    for clip, row in zip(clips, manifest.rows[3:6], strict=True):
        np.testing.assert_array_equal(clip, CONVERTER(row.path))
    for wrong in (3, -1):
        with pytest.raises(IndexError, match=f"batch {wrong} was asked for, and there are 3"):
            loader[wrong]


def test_batches_begin_where_tensorflow_takes_them_over(manifest):
    for name, augment in AUGMENTERS.items():
        loader = VideoLoader(manifest, RANDOM, 2, training=True, augment=augment)
        for clips, _ in loader:
            assert clips.flags.c_contiguous, name
            if name != "mixed":
                assert clips.ctypes.data % 64 == 0, name


def test_the_same_clips_whatever_the_workers(manifest):
    expected = epochs_of(training_loader(manifest, workers=1, max_queue_size=0), 2)
    for options in ({"workers": 4}, {"workers": 2, "max_queue_size": 5}):
        assert_same_batches(expected, epochs_of(training_loader(manifest, **options), 2))


def test_batches_may_be_asked_for_in_any_order_and_again(manifest):
    (expected,) = epochs_by_number(1, manifest)
    loader = training_loader(manifest)
    for index in (1, 0, 0, 1, 1):
        assert_same_batches([loader[index]], [expected[index]])


def test_the_next_batches_are_decoded_ahead():
    started = []

    def converter(path, rng, start=None, end=None):
        started.append(path)
        return numbered_clip(path, rng)

    loader = VideoLoader(numbered_rows(7), converter, 1, max_queue_size=2)
    loader[0]
    deadline = time.monotonic() + 5
    while len(started) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(started) == ["0", "1", "2"]


# --- epochs ---------------------------------------------------------------------------------------


def test_a_loop_over_the_loader_goes_from_epoch_to_epoch(manifest):
    expected = epochs_by_number(3, manifest)
    assert not are_same(expected[0], expected[1])
    loader = training_loader(manifest)
    for epoch in range(3):
        assert loader.epoch == epoch
        assert_same_batches(list(loader), expected[epoch])
    assert loader.epoch == 3


def test_a_pass_that_is_broken_off_was_an_epoch(manifest):
    expected = epochs_by_number(3, manifest)
    loader = training_loader(manifest)
    for epoch in range(3):
        # `zip` over a number of steps stops in the midst of a pass, as `break` does.
        batches = [batch for _, batch in zip(range(1), loader, strict=False)]
        assert loader.epoch == epoch
        assert_same_batches(batches, expected[epoch][:1])


def test_what_looks_like_repeated_epochs_is_said_once(manifest, caplog):
    loader = VideoLoader(manifest, RANDOM, 2, training=True)
    for _ in range(3):  # not whole passes
        loader[0], loader[1]
    assert caplog.text.count("batch 0 of epoch 0 is returned again") == 1
    assert "iterate over the loader itself" in caplog.text
    caplog.clear()
    loader = VideoLoader(manifest, RANDOM, 2, training=True)
    for _ in range(2):  # whole, and not in turn
        loader[2], loader[0], loader[1]
    assert caplog.text.count("batch 2 of epoch 0 is returned again") == 1
    caplog.clear()
    checks = VideoLoader(manifest, CONVERTER, 2)  # which are the same clips in every epoch
    for _ in range(2):
        checks[0], checks[1]
    assert not caplog.text


def test_an_epoch_ends_when_all_its_batches_were_handed_out(manifest):
    loader = training_loader(manifest)
    loader.on_epoch_end()
    loader[0]
    loader.on_epoch_end()  # as Keras does after building the model from one batch
    assert loader.epoch == 0
    epochs_of(loader)
    assert loader.epoch == 1
    loader.on_epoch_end()
    assert loader.epoch == 1


@pytest.mark.parametrize("in_a_loop", [True, False])
def test_a_run_is_resumed_by_setting_the_epoch(manifest, in_a_loop):
    expected = epochs_by_number(3, manifest)
    loader = training_loader(manifest)
    loader.epoch = 1
    batches = list(loader) if in_a_loop else epochs_of(loader)
    assert_same_batches(batches, expected[1])
    loader.epoch = 1  # back again
    batches = list(loader) if in_a_loop else epochs_of(loader)
    assert_same_batches(batches, expected[1])
    with pytest.raises(ValueError, match="epoch must be an integer of at least 0"):
        loader.epoch = -1


def test_a_pickled_loader_resumes(manifest):
    loader = training_loader(manifest)
    epochs_of(loader)
    copy = pickle.loads(pickle.dumps(loader))
    assert copy.epoch == 1
    assert_same_batches(epochs_of(copy), epochs_of(loader))


def test_a_fork_has_threads_of_its_own(manifest):
    loader = training_loader(manifest)
    first = epochs_of(loader)
    loader.epoch = 0
    loader._owner = -1  # as after a fork, where the threads of the parent do not exist
    reader = loader._reader
    assert_same_batches(epochs_of(loader), first)
    assert loader._reader is not reader


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": 0}, "workers must be a positive integer, got 0"),
        ({"max_queue_size": -1}, "max_queue_size.*at least 0, got -1"),
    ],
)
def test_bad_arguments(options, words):
    with pytest.raises(ValueError, match=words):
        VideoLoader(numbered_rows(2), numbered_clip, 1, **options)


def test_workers_of_keras_are_refused():
    loader = VideoLoader(numbered_rows(2), numbered_clip, 1, workers=3)
    loader.workers, loader.use_multiprocessing = 1, False
    with pytest.raises(ValueError, match=r"workers must stay 1.*VideoLoader\(\.\.\., workers"):
        loader.workers = 2
    with pytest.raises(ValueError, match="use_multiprocessing must stay False, got True"):
        loader.use_multiprocessing = True
    assert (loader.workers, loader.use_multiprocessing) == (1, False)


# --- with Keras -----------------------------------------------------------------------------------


class Seen(VideoLoader):
    """Remembers which batch of which epoch was handed out."""

    def batch_of(self, epoch, index):
        self.__dict__.setdefault("seen", []).append((epoch, index))
        return super().batch_of(epoch, index)


@pytest.mark.parametrize("workers", [1, 3])
def test_fit_takes_every_batch_of_every_epoch_in_order(manifest, workers, caplog):
    data = Seen(manifest, RANDOM, 2, training=True, workers=workers)
    model = small_model()
    model.fit(data, epochs=3, shuffle=False, verbose=0)
    # Keras looks at the first batches to learn their shape or to build the model.
    assert data.seen[-9:] == [(epoch, index) for epoch in range(3) for index in range(3)]
    assert data.epoch == 3
    model.fit(data, epochs=1, shuffle=False, verbose=0)
    assert data.seen[-3:] == [(3, index) for index in range(3)]
    model.fit(data, epochs=1, verbose=0)
    assert sorted(data.seen[-3:]) == [(4, index) for index in range(3)]
    assert not caplog.text


def test_epochs_of_some_steps_are_parts_of_a_pass(manifest):
    data = Seen(manifest, RANDOM, 2, training=True)
    small_model().fit(data, epochs=6, steps_per_epoch=1, shuffle=False, verbose=0)
    expected = [(epoch, index) for epoch in range(2) for index in range(3)]
    assert data.seen[-6:] == expected


def test_a_run_repeats_exactly(manifest):
    def run(workers):
        keras.utils.set_random_seed(3)
        model = small_model()
        data = VideoLoader(manifest, RANDOM, 2, training=True, seed=1, workers=workers)
        return model.fit(data, epochs=2, verbose=0).history["loss"]

    assert run(1) == run(3)


def test_evaluate_and_predict(manifest):
    data = VideoLoader(manifest, CONVERTER, 3)
    model = small_model()
    assert model.predict(data, verbose=0).shape == (7, 2)
    ((clips, labels),) = VideoLoader(manifest, CONVERTER, 7)
    expected = model.evaluate(clips, labels, verbose=0)
    np.testing.assert_allclose(model.evaluate(data, verbose=0), expected, rtol=1e-5)
    history = model.fit(data, validation_data=data, epochs=1, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unreadable_video_is_named_by_evaluate(manifest, tmp_path, workers):
    path = write_damaged(tmp_path / "broken.mov", moving_frames(4, 24, 32), first_bad=0)
    rows = [*manifest.rows[:5], VideoRow(path, 1), *manifest.rows[5:]]
    data = VideoLoader(Manifest(rows, manifest.class_names, "val"), CONVERTER, 2, workers=workers)
    words = r"broken\.mov.*none of its 4 frames"
    with pytest.raises(Exception, match=words):
        small_model().evaluate(data, verbose=0)
    for _ in range(2):  # and it stays usable
        with pytest.raises(VideoError, match=words):
            data[2]
        assert which(data[3][0]) == [5, 6]
        assert which(data[1][0]) == [2, 3]
    good = VideoLoader(manifest, CONVERTER, 7)
    assert np.isfinite(small_model().evaluate(good, verbose=0)).all()
