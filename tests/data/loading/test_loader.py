"""Batches from a folder: the same for a seed, whoever decodes them, and fit for `fit`."""

import pathlib
import pickle
import shutil
import threading
import time

import keras
import numpy as np
import pytest
from data.make_videos import moving_frames, write_damaged, write_video

from keras_mlp3d.data.loading.video_folder import VideoFolder
from keras_mlp3d.data.video.converter import VideoConverter
from keras_mlp3d.data.video.decode import VideoError

CONVERTER = VideoConverter(num_frames=4, image_size=(16, 16), crop="none")
RANDOM = VideoConverter(num_frames=4, image_size=(16, 16), crop="random", resize=20)


@pytest.fixture(scope="module")
def clips_dir(tmp_path_factory):
    """Two classes of 4 and 3 clips; clip k is grey 30 k, so that it can be told in a batch."""
    folder = tmp_path_factory.mktemp("clips")
    gradient = moving_frames(8, 24, 32) // 16
    for k in range(7):
        target = folder / ("walk" if k < 4 else "jump")
        target.mkdir(exist_ok=True)
        write_video(target / f"{k}.mp4", gradient + np.uint8(30 * k), crf=10)
    (folder / "README.txt").write_text("about the clips")
    (folder / ".cache").mkdir()
    (folder / "walk" / "notes.txt").write_text("not a clip")
    (folder / "walk" / "._0.mp4").write_bytes(b"hidden")
    return folder


def one_epoch(data):
    batches = [data[i] for i in range(len(data))]
    data.on_epoch_end()
    return [np.concatenate(part) for part in zip(*batches, strict=True)]


def assert_same_batches(left, right):
    return all((a == b).all() for a, b in zip(left, right, strict=True))


def test_what_is_found(clips_dir):
    data = VideoFolder(str(clips_dir), CONVERTER, batch_size=3)
    assert data.class_names == ["jump", "walk"]
    names = [pathlib.Path(path).name for path in data.paths]
    assert names == ["4.mp4", "5.mp4", "6.mp4", "0.mp4", "1.mp4", "2.mp4", "3.mp4"]
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert len(data) == 3
    assert [len(labels) for _, labels in data] == [3, 3, 1]
    clips, labels = data[1]
    assert (clips.shape, clips.dtype, labels.dtype) == ((3, 4, 16, 16, 3), np.uint8, np.int32)
    assert labels.tolist() == [1, 1, 1]
    for clip, path in zip(clips, data.paths[3:6], strict=True):
        np.testing.assert_array_equal(clip, CONVERTER(path))
    with pytest.raises(IndexError, match="batch 3 was asked for, and there are 3"):
        data[3]


def test_class_names_set_the_labels(clips_dir):
    data = VideoFolder(clips_dir, CONVERTER, class_names=["walk", "jump"])
    assert data.labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert data.class_names == ["walk", "jump"]


def test_order_depends_on_seed_and_epoch(clips_dir):
    def epochs(seed):
        data = VideoFolder(clips_dir, CONVERTER, batch_size=2, shuffle=True, seed=seed)
        return [one_epoch(data)[0].mean((1, 2, 3, 4)).round().tolist() for _ in range(3)]

    first = epochs(seed=5)
    assert first == epochs(seed=5)
    assert first != epochs(seed=6)
    assert len({tuple(order) for order in first}) == 3
    assert all(sorted(order) == sorted(first[0]) for order in first)  # each clip once an epoch


def test_labels_stay_with_their_clips(clips_dir):
    data = VideoFolder(clips_dir, CONVERTER, batch_size=3, shuffle=True)
    clips, labels = one_epoch(data)
    np.testing.assert_array_equal(labels, clips.mean((1, 2, 3, 4)) < 115)


def test_the_same_clips_whatever_the_workers(clips_dir):
    def epochs(**kwargs):
        data = VideoFolder(clips_dir, RANDOM, batch_size=2, shuffle=True, seed=3, **kwargs)
        return [one_epoch(data) for _ in range(2)]

    expected = epochs(workers=1, max_queue_size=0)
    assert not assert_same_batches(expected[0], expected[1])
    for kwargs in ({"workers": 4}, {"workers": 2, "max_queue_size": 5}):
        for left, right in zip(expected, epochs(**kwargs), strict=True):
            assert assert_same_batches(left, right)


def test_random_clips_do_not_depend_on_their_batch(clips_dir):
    small = VideoFolder(clips_dir, RANDOM, batch_size=1, seed=3)
    whole = VideoFolder(clips_dir, RANDOM, batch_size=7, seed=3)
    assert assert_same_batches(one_epoch(small), one_epoch(whole))


def test_random_frames_without_random_crops(clips_dir):
    data = VideoFolder(clips_dir, CONVERTER, random=True)
    epochs = [one_epoch(data) for _ in range(2)]
    assert not assert_same_batches(*epochs)
    fixed = VideoFolder(clips_dir, CONVERTER)
    assert assert_same_batches(one_epoch(fixed), one_epoch(fixed))


def test_batches_may_be_asked_for_in_any_order_and_again(clips_dir):
    data = VideoFolder(clips_dir, RANDOM, batch_size=2)
    expected = [VideoFolder(clips_dir, RANDOM, batch_size=2)[i] for i in range(4)]
    for index in (2, 0, 3, 3, 1, 2, 0):
        assert assert_same_batches(data[index], expected[index])


def test_an_epoch_ends_when_all_its_batches_were_handed_out(clips_dir):
    data = VideoFolder(clips_dir, CONVERTER, batch_size=3)
    data.on_epoch_end()
    data[0]
    data.on_epoch_end()  # as Keras does after building the model from one batch
    assert data.epoch == 0
    one_epoch(data)
    assert data.epoch == 1
    data.on_epoch_end()
    assert data.epoch == 1


def test_worker_processes_of_keras_are_provided_for(clips_dir):
    data = VideoFolder(clips_dir, RANDOM, batch_size=3, shuffle=True)
    first = one_epoch(data)
    data.epoch = 0
    data._owner = -1  # as after a fork, where the threads of the parent do not exist
    assert assert_same_batches(one_epoch(data), first)
    data.use_multiprocessing = True  # then no batch is handed out in this process
    data.on_epoch_end()
    assert data.epoch == 2


def test_a_run_is_resumed_by_setting_the_epoch(clips_dir):
    data = VideoFolder(clips_dir, RANDOM, shuffle=True, batch_size=3)
    one_epoch(data)
    second = one_epoch(data)
    resumed = VideoFolder(clips_dir, RANDOM, shuffle=True, batch_size=3)
    resumed.epoch = 1
    assert assert_same_batches(one_epoch(resumed), second)


def test_the_next_batches_are_decoded_ahead(clips_dir):
    started = []

    def converter(path, rng):
        started.append(path)
        return np.zeros((1, 2, 2, 3), "uint8")

    data = VideoFolder(clips_dir, converter, batch_size=1, max_queue_size=2)
    data[0]
    deadline = time.monotonic() + 5
    while len(started) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(started) == sorted(data.paths[:3])


def test_a_pickled_folder_goes_on(clips_dir):
    data = VideoFolder(clips_dir, RANDOM, batch_size=3, shuffle=True)
    one_epoch(data)
    copy = pickle.loads(pickle.dumps(data))
    assert assert_same_batches(one_epoch(copy), one_epoch(data))


def test_cache_decodes_each_clip_once(clips_dir):
    calls = []

    class Counting(VideoConverter):
        def __call__(self, video, rng=None):
            calls.append(video)
            return super().__call__(video, rng)

    data = VideoFolder(clips_dir, Counting(4, (16, 16)), batch_size=2, shuffle=True, cache=True)
    first, second = one_epoch(data), one_epoch(data)
    assert sorted(calls) == sorted(data.paths)
    plain = VideoFolder(clips_dir, VideoConverter(4, (16, 16)), batch_size=2, shuffle=True)
    assert assert_same_batches(first, one_epoch(plain))
    assert assert_same_batches(second, one_epoch(plain))


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1, received 0"),
        ({"batch_size": 2.0}, r"`batch_size`.*received 2\.0"),
        ({"seed": -1}, "`seed`.*at least 0, received -1"),
        ({"workers": 0}, "`workers`.*received 0"),
        ({"max_queue_size": -1}, "`max_queue_size`.*received -1"),
        ({"class_names": ["walk", "run"]}, r"without a folder: \['run'\], not named: \['jump'\]"),
        ({"class_names": ["walk", "jump", "walk"]}, "once.*received 3 names"),
        ({"cache": True, "random": True}, "`cache` must be False where clips are drawn at random"),
        ({"cache": True, "max_cache_bytes": 7 * 3072 - 1}, "7 clips in 21504 bytes.*21503"),
    ],
)
def test_wrong_arguments(clips_dir, kwargs, message):
    with pytest.raises(ValueError, match=message):
        VideoFolder(clips_dir, CONVERTER, **kwargs)


def test_random_crops_cannot_be_fixed(clips_dir):
    with pytest.raises(ValueError, match="`random` must not be False"):
        VideoFolder(clips_dir, RANDOM, random=False)
    with pytest.raises(ValueError, match="`cache` must be False"):
        VideoFolder(clips_dir, RANDOM, cache=True)


def test_wrong_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        VideoFolder(tmp_path / "absent", CONVERTER)
    (tmp_path / "clip.mp4").write_bytes(b"a clip outside of any class")
    (tmp_path / ".hidden").mkdir()
    with pytest.raises(ValueError, match="one sub-folder a class"):
        VideoFolder(tmp_path, CONVERTER)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("no clip")
    with pytest.raises(ValueError, match=r"class folder .*run holds no video"):
        VideoFolder(tmp_path, CONVERTER)


# With Keras -------------------------------------------------------------------------------------


def small_model():
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


class Seen(VideoFolder):
    """Remembers which batch of which epoch was handed out."""

    def __getitem__(self, index):
        self.__dict__.setdefault("seen", []).append((self.epoch, index))
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [1, 3])
def test_fit_takes_every_batch_of_every_epoch_in_order(clips_dir, workers):
    data = Seen(clips_dir, RANDOM, batch_size=3, shuffle=True, workers=workers)
    model = small_model()
    model.fit(data, epochs=3, shuffle=False, verbose=0)
    # Keras looks at the first batches to learn their shape or to build the model.
    assert data.seen[-9:] == [(epoch, index) for epoch in range(3) for index in range(3)]
    assert data.epoch == 3
    model.fit(data, epochs=1, shuffle=False, verbose=0)
    assert data.seen[-3:] == [(3, index) for index in range(3)]


def test_a_run_repeats_exactly(clips_dir):
    def run(workers):
        keras.utils.set_random_seed(3)
        model = small_model()
        data = VideoFolder(clips_dir, RANDOM, 2, shuffle=True, seed=1, workers=workers)
        return model.fit(data, epochs=2, verbose=0).history["loss"]

    assert run(1) == run(3)


# PyTorch tensors warn so when Keras hands them to NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
def test_evaluate_and_predict(clips_dir):
    data = VideoFolder(clips_dir, CONVERTER, batch_size=3)
    model = small_model()
    assert model.predict(data, verbose=0).shape == (7, 2)
    clips, labels = one_epoch(VideoFolder(clips_dir, CONVERTER, batch_size=3))
    expected = model.evaluate(clips, labels, verbose=0)
    np.testing.assert_allclose(model.evaluate(data, verbose=0), expected, rtol=1e-5)
    history = model.fit(data, validation_data=data, epochs=1, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unreadable_video_is_named(clips_dir, tmp_path, workers):
    folder = tmp_path / "clips"
    shutil.copytree(clips_dir, folder)
    write_damaged(folder / "walk" / "broken.mov", moving_frames(4, 24, 32), first_bad=0)
    data = VideoFolder(folder, CONVERTER, batch_size=2, workers=workers)
    broken = next(i for i, path in enumerate(data.paths) if path.endswith("broken.mov")) // 2
    with pytest.raises(VideoError, match=r"broken\.mov.*none of its 4 frames"):
        data[broken]
    with pytest.raises(Exception, match=r"broken\.mov.*none of its 4 frames"):
        small_model().evaluate(data, verbose=0)


def test_threads_end_with_the_folder(clips_dir):
    before = set(threading.enumerate())
    data = VideoFolder(clips_dir, CONVERTER, workers=3)
    data[0]
    started = set(threading.enumerate()) - before
    assert 1 <= len(started) <= 3
    del data
    for thread in started:
        thread.join(5)
    assert not any(thread.is_alive() for thread in started)
