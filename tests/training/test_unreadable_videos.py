"""Videos that become unreadable while a network is trained: counted, named, and nothing ends."""

import csv
import errno
import json
import math
import pathlib
import sys
import types

import keras
import numpy as np
import pytest
from data.make_videos import moving_frames, write_lossless

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.data import Manifest, ShardError, VideoConverter, VideoError, VideoLoader, VideoRow
from keras_mlp3d.distribution import Distribution, distribute
from keras_mlp3d.inference import evaluate
from keras_mlp3d.training import (
    Recipe,
    RunRecorder,
    TrainingInterrupted,
    UnreadableVideos,
    make_loaders,
    train,
)

CONVERTER = VideoConverter(num_frames=8, image_size=(32, 32), crop="none")
CLASSES = ("bright", "dark")
TRAINED, CHECKED, BATCH = 8, 5, 4


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    frames = moving_frames(8, 40, 48) // 4
    for split, count in (("train", TRAINED), ("val", CHECKED)):
        for k in range(count):
            light = np.uint8(150 * (k % 2 == 0) + 5 * k)
            write_lossless(folder / f"{split}{k}.mkv", frames + light)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def manifests(originals, tmp_path):
    """Videos of its own for each test, which may spoil them."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name, content in originals.items():
        (folder / name).write_bytes(content)
    return [
        Manifest(
            tuple(VideoRow(str(folder / f"{split}{k}.mkv"), k % 2) for k in range(count)),
            CLASSES,
            split,
        )
        for split, count in (("train", TRAINED), ("val", CHECKED))
    ]


def make_model():
    keras.utils.set_random_seed(0)
    backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, "shift_token:2")
    return MLP3D(backbone, 2, dropout=0.0, class_names=list(CLASSES), converter=CONVERTER)


def make_recipe(**changes):
    values = {
        "epochs": 3,
        "warmup_epochs": 0.5,
        "batch_size": BATCH,
        "reference_batch_size": BATCH,
        "learning_rate": 0.01,
    }
    return Recipe("unmeasured", "unreadable", **{**values, **changes})


def go(manifests, folder, at=(), event=None, **changes):
    """Trains; in the middle of the epochs `at`, from 0, the event happens."""
    model, recipe = make_model(), make_recipe(**changes)
    data = make_loaders(recipe, *manifests, CONVERTER, workers=1)
    steps = iter(range(10**6))

    def stop():  # asked after each of the two steps of an epoch, and after the epoch
        epoch, step = divmod(next(steps), TRAINED // BATCH + 1)
        if epoch in at and step == 0:
            event()
        return False

    return model, train(model, recipe, *data, folder / "run", verbose=0, stop=stop)


def scores_of(model, manifest, rows):
    """(accuracy, loss) of a model on some rows, without any of what is tested."""
    clips = np.stack([CONVERTER(manifest.rows[row].path) for row in rows])
    labels = manifest.labels[list(rows)]
    logits = np.asarray(model.predict(clips, verbose=0), "float64")
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -logs[np.arange(len(rows)), labels].mean()
    return (logits.argmax(axis=1) == labels).mean(), loss


SPOILERS = {
    "deleted": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:300]),
    "replaced": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("how", SPOILERS)
def test_a_validation_video_that_becomes_unreadable(manifests, tmp_path, caplog, how):
    """In the second epoch: it counts as wrong in accuracy, and not in the loss."""
    gone = pathlib.Path(manifests[1].rows[2].path)
    _, result = go(manifests, tmp_path, [1], lambda: SPOILERS[how](gone), epochs=2)
    history = result.history
    assert history["val_unreadable"] == [0.0, 1.0]
    assert all(len(values) == 2 for values in history.values())
    [video] = result.unreadable
    assert (video.split, video.path) == ("validation", str(gone))
    assert (video.first_epoch, video.last_epoch, video.epochs) == (2, 2, 1)
    assert str(gone) in caplog.text
    assert "Epoch 2: 1 of 5 val" in caplog.text
    assert "count as wrong" in caplog.text
    with open(tmp_path / "run" / "unreadable.csv", newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["path"], row["first_epoch"], row["reason"]) == (str(gone), "2", video.reason)
    with open(tmp_path / "run" / "history.csv", newline="") as file:
        assert [float(row["val_unreadable"]) for row in csv.DictReader(file)] == [0.0, 1.0]
    # The last weights are those that the second epoch was validated with.
    newest = make_model()
    model_of(newest, tmp_path / "run")
    accuracy, loss = scores_of(newest, manifests[1], [0, 1, 3, 4])
    assert history["val_accuracy"][1] == pytest.approx(4 / 5 * accuracy, abs=1e-6)
    assert history["val_loss"][1] == pytest.approx(loss, abs=1e-5)
    evaluation = evaluate(newest, manifests[1])
    assert evaluation.top1 == pytest.approx(history["val_accuracy"][1], abs=1e-6)
    assert [path for path, _ in evaluation.failed] == [str(gone)]


def model_of(model, folder):
    """Loads the weights of the newest checkpoint."""
    with np.load(max(folder.glob("checkpoint-*.npz")), allow_pickle=False) as file:
        weights = {name: file[name] for name in file.files if name.startswith("model/")}
    for variable, name in zip(model.variables, sorted(weights), strict=True):
        variable.assign(weights[name])


def test_readable_again(manifests, tmp_path, caplog, originals):
    path = pathlib.Path(manifests[1].rows[0].path)
    content = path.read_bytes()
    events = iter([path.unlink, lambda: path.write_bytes(content)])
    _, result = go(manifests, tmp_path, [0, 1], lambda: next(events)(), epochs=2)
    assert result.history["val_unreadable"] == [1.0, 0.0]
    assert "all validation videos are readable again" in caplog.text
    assert [video.last_epoch for video in result.unreadable] == [1]


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied", "a"),
        TimeoutError("the network is slow"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        VideoError("a", "it is damaged"),
        ShardError("a.tfrecord", "it is truncated"),
    ],
)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_errors_of_every_kind(manifests, error, smoothing):
    """The batches keep their shapes, whatever labels look like."""
    recipe = make_recipe(label_smoothing=smoothing)
    _, checks = make_loaders(recipe, *manifests, CONVERTER, workers=1)
    whole = [checks[k] for k in range(len(checks))]
    checks.on_epoch_end()

    class Failing(VideoConverter):
        def __call__(self, video, *args, **options):
            if str(video).endswith("val4.mkv"):
                raise error
            return super().__call__(video, *args, **options)

    checks.source.converter = Failing(**CONVERTER.get_config())
    broken = [checks[k] for k in range(len(checks))]
    for one, other in zip(whole, broken, strict=True):
        for part, counterpart in zip(one, other, strict=True):
            assert (part.shape, part.dtype) == (counterpart.shape, counterpart.dtype)
    assert [batch[2].tolist() for batch in whole] == [[1, 1, 1, 1], [1]]
    assert [batch[2].tolist() for batch in broken] == [[1, 1, 1, 1], [0]]
    [(row, reason)] = checks.source.failed.items()
    assert row == 4
    assert reason
    assert reason in str(error)
    assert not broken[1][0].any()


def test_no_validation_video_is_left(manifests, tmp_path):
    """A share that is gone: the training continues, and that epoch is not the best one."""
    contents = {row.path: pathlib.Path(row.path).read_bytes() for row in manifests[1].rows}

    def remove():
        for path in contents:
            pathlib.Path(path).unlink()

    def put_back():
        for path, content in contents.items():
            pathlib.Path(path).write_bytes(content)

    events = iter([remove, put_back])
    _, result = go(manifests, tmp_path, [1, 2], lambda: next(events)())
    history = result.history
    assert history["val_unreadable"] == [0.0, 5.0, 0.0]
    assert history["val_accuracy"][1] == 0.0
    assert [math.isnan(value) for value in history["val_loss"]] == [False, True, False]
    assert result.best_epoch != 1
    assert len(result.unreadable) == 5
    # It is in the checkpoint too, from which a second call reads it.
    _, again = go(manifests, tmp_path)
    assert again.unreadable == result.unreadable
    assert str(again.history) == str(result.history)


def test_training_videos_are_named_too(manifests, tmp_path):
    gone = pathlib.Path(manifests[0].rows[3].path)
    # Clips of the next epoch may have been made by then, and not those of the one after it.
    _, result = go(manifests, tmp_path, [0], gone.unlink, epochs=3)
    [video] = result.unreadable
    assert (video.split, video.path, video.last_epoch) == ("training", str(gone), 3)
    assert result.history["val_unreadable"] == [0.0, 0.0, 0.0]


def test_what_is_known_survives_a_kill(manifests, tmp_path):
    gone = pathlib.Path(manifests[1].rows[1].path)
    model, recipe = make_model(), make_recipe(epochs=2)
    data = make_loaders(recipe, *manifests, CONVERTER, workers=1)
    gone.unlink()
    asked = iter([False, False, True])
    with pytest.raises(TrainingInterrupted):
        train(model, recipe, *data, tmp_path / "run", verbose=0, stop=lambda: next(asked))
    _, result = go(manifests, tmp_path, epochs=2)
    assert [(video.first_epoch, video.epochs) for video in result.unreadable] == [(1, 2)]
    assert result.history["val_unreadable"] == [1.0, 1.0]


@pytest.mark.parametrize(
    "options",
    [{"unreadable": "skip"}, {"unreadable": None}, {"unreadable": "count", "training": 1}],
)
def test_bad_arguments(manifests, options):
    with pytest.raises(ValueError, match=r"unreadable must be .*'error'"):
        VideoLoader(manifests[0], CONVERTER, **options)


@pytest.mark.parametrize("processes", [0, 1])
def test_an_epoch_that_leaves_a_video_out_does_not_count(manifests, processes):
    """Seven of eight videos make no whole batch of four: each epoch asks for four of them."""
    rows = manifests[0].rows[:7]
    pathlib.Path(rows[2].path).unlink()
    data = VideoLoader(
        Manifest(rows, CLASSES, "train"), CONVERTER, BATCH, training=True, processes=processes
    )
    videos, asked = UnreadableVideos(data), []
    for epoch in range(12):
        assert len([*data]) == 1
        asked.append(any(2 in data.source.rows(epoch, batch) for batch in range(len(data))))
        data.on_epoch_end()
        videos.after_epoch(epoch, {})
    assert 0 < sum(asked) < 12
    [video] = videos.videos
    assert video.epochs == sum(asked)
    assert video.first_epoch == 1 + asked.index(True)
    assert video.last_epoch == 12 - asked[::-1].index(True)


# --- without videos -----------------------------------------------------------------------------


def data_of(failed, count=10):
    rows = tuple(VideoRow(f"{k}.mp4", 0, end=k + 1.0) for k in range(count))
    source = types.SimpleNamespace(
        manifest=Manifest(rows, ("a",), "val"),
        failed=failed,
        failed_lately={},
        counts=True,
    )
    return types.SimpleNamespace(source=source)


def test_the_metrics_of_several_processes(monkeypatch):
    """Each evaluates all videos; one of them cannot read a video that the other reads."""
    other = {3: "there only"}

    def add_up(array):
        if np.ndim(array):
            theirs = np.zeros(10, "float32")
            theirs[list(other)] = 1
            return array + theirs
        return array + len(other)

    both = Distribution(2, (0, 2), add_up)
    monkeypatch.setattr(sys.modules[distribute.__module__], "_current", both)
    data = data_of({1: "here", 2: "here"})
    videos = UnreadableVideos(None, data)
    data.source.failed_lately.update(data.source.failed)
    # 20 clips were seen, 17 of them read, 10 of these right; their losses add up to 34.
    logs = {"val_accuracy": 10 / 17, "val_loss": 34 / 20}
    counted = videos.after_epoch(0, logs)
    assert logs["val_accuracy"] == pytest.approx(10 / 20)
    assert logs["val_loss"] == pytest.approx(34 / 17)
    assert counted == {"val_unreadable": 1.5, "read": 17 / 20}
    assert [(video.path, video.reason) for video in videos.videos] == [
        ("1.mp4", "here"),
        ("2.mp4", "here"),
        ("3.mp4", "another process of the training could not read it"),
    ]


def test_the_metrics_of_divided_videos(monkeypatch):
    """Each process sees a part, filled up: 12 clips of 10 videos, and one broken video in each."""
    both = Distribution(2, (0, 2), lambda array: array + (0 if np.ndim(array) else 1))
    monkeypatch.setattr(sys.modules[distribute.__module__], "_current", both)
    data = data_of({1: "here"})
    data.source.shard, data.source.num_clips = (0, 2), 12
    logs = {"val_accuracy": 6 / 8, "val_loss": 16 / 12}
    counted = UnreadableVideos(None, data).after_epoch(0, logs)
    assert counted == {"val_unreadable": 2, "read": 8 / 10}
    assert logs == pytest.approx({"val_accuracy": 6 / 10, "val_loss": 2, "val_unreadable": 2})


def test_the_loss_of_divided_videos_that_are_whole(monkeypatch):
    both = Distribution(2, (0, 2), lambda array: array)
    monkeypatch.setattr(sys.modules[distribute.__module__], "_current", both)
    data = data_of({})
    data.source.shard, data.source.num_clips = (0, 2), 12
    logs = {"val_accuracy": 0.6, "val_loss": 20 / 12}
    assert UnreadableVideos(None, data).after_epoch(0, logs) == {"val_unreadable": 0, "read": 1}
    assert logs == pytest.approx({"val_accuracy": 0.6, "val_loss": 2})


def best_of(epochs, state=None):
    """The best epoch, of (accuracy of all, part that was read) of each."""
    recorder = RunRecorder("run", state or {}, steps=1)
    for epoch, (accuracy, read) in enumerate(epochs):
        values = {} if accuracy is None else {"val_accuracy": accuracy}
        if recorder._is_best(epoch, values, read):
            recorder.best_epoch = epoch
    return recorder.best_epoch


@pytest.mark.parametrize(
    ("epochs", "best"),
    [
        ([(0.8, 1.0), (0.76, 0.9)], 1),  # 84 % of those that could be read
        ([(0.8, 1.0), (0.7, 0.9)], 0),
        ([(0.5, 1.0), (0.1, 0.1), (0.4, 1.0)], 0),  # one video of ten says little
        ([(0.0, 0.0), (0.1, 0.1), (0.2, 1.0)], 2),
        ([(0.5, 1.0), (0.5, 1.0)], 0),
        ([(None, 1.0), (None, 1.0)], 1),
    ],
)
def test_the_best_epoch_by_what_could_be_read(epochs, best):
    assert best_of(epochs) == best


def test_a_checkpoint_of_an_earlier_version_has_a_best_epoch():
    history = {"val_accuracy": [0.5, 0.9, 0.7]}
    recorder = RunRecorder("run", {"history": history, "best_epoch": 1}, steps=1)
    assert not recorder._is_best(3, {"val_accuracy": 0.85}, 1.0)
    assert recorder._is_best(4, {"val_accuracy": 0.95}, 1.0)


def test_the_best_epoch_of_several_labels_is_that_of_the_best_precision():
    recorder, best = RunRecorder("run", {}, steps=1), []
    for epoch, precision in enumerate((0.5, 0.7, 0.6)):
        if recorder._is_best(epoch, {"val_mean_average_precision": precision}, 1.0):
            best.append(epoch)
    assert best == [0, 1]


def test_the_state_is_json_without_nan():
    videos = UnreadableVideos(None, data_of(dict.fromkeys(range(10), "gone")))
    recorder = RunRecorder("run", {"history": {"val_loss": [1.0, math.nan]}}, 1, unreadable=videos)
    videos.after_epoch(1, {"val_loss": 0.0, "val_accuracy": 0.0})
    state = json.loads(json.dumps(recorder._state(), allow_nan=False))
    assert state["history"]["val_loss"] == [1.0, None]
    again = UnreadableVideos(None, data_of({}), state["unreadable"])
    assert again.videos == videos.videos
    assert math.isnan(RunRecorder("run", state, 1).history["val_loss"][1])


def test_many_are_counted_and_a_few_are_named(caplog):
    UnreadableVideos(None, data_of({k: f"reason {k}" for k in range(7)})).after_epoch(4, {})
    assert "Epoch 5: 7 of 10 validation videos are unreadable" in caplog.text
    assert "'2.mp4' (reason 2) and 4 more" in caplog.text
    assert "3.mp4" not in caplog.text
