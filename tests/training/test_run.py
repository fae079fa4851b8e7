import csv
import errno
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from training import noise

from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d._utils import atomic_write, one_writer
from keras_mlp3d.data import Manifest, VideoConverter, VideoLoader, VideoRow
from keras_mlp3d.training import (
    EventFiles,
    RunRecorder,
    TrainingInterrupted,
    callbacks,
    checkpoint,
    train,
)

SCRIPT = pathlib.Path(noise.__file__)


def weights_in(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent.parent)}


def go(folder, output, every, *event):
    """Runs the training in a process of its own; returns its exit code."""
    command = [sys.executable, str(SCRIPT), *map(str, (folder, output, every, *event))]
    return subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, check=False, timeout=300
    ).returncode


@pytest.fixture(scope="module")
def forks():
    """`go`, in forks of one process: each has imported the backend already."""
    with subprocess.Popen(
        [sys.executable, str(SCRIPT)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:

        def go(*arguments):
            server.stdin.write(json.dumps([*map(str, arguments)]) + "\n")
            server.stdin.flush()
            return int(server.stdout.readline())

        yield go
        server.stdin.close()


def random_events(count):
    draw = random.Random(3)
    kinds = ("batch", "batch", "replace", "replaced")
    return [(draw.choice(kinds), draw.randint(1, 4)) for _ in range(count)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder, the model and the result of a run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("run")
    return folder, *noise.run(folder)


@pytest.fixture(scope="module")
def whole(finished, tmp_path_factory):
    """The folder of that run, and its weights and seeds."""
    path = tmp_path_factory.mktemp("weights") / "whole.npz"
    checkpoint.save_weights(path, finished[1])
    return finished[0], weights_in(path)


def check_same_end(folder, whole):
    """Resumes a run, and compares weights, seeds and history with those of the whole run."""
    model, _ = noise.run(folder, {"checkpoint_every": 2})
    checkpoint.save_weights(folder / "weights.npz", model)
    got = weights_in(folder / "weights.npz")
    assert set(got) == set(whole[1])
    for name, value in whole[1].items():
        np.testing.assert_allclose(got[name], value, rtol=0, atol=1e-6, err_msg=name)
    histories = [(run / "history.csv").read_text() for run in (whole[0], folder)]
    first, second = (list(csv.reader(text.splitlines())) for text in histories)
    assert len(second) == 1 + noise.EPOCHS
    assert first[0] == second[0]
    np.testing.assert_allclose(
        np.array(second[1:], float), np.array(first[1:], float), rtol=0, atol=1e-5
    )
    assert not list(folder.glob("*.part"))


def test_killed_in_an_epoch_it_ends_with_the_same_weights(tmp_path, whole, request):
    """Slow: a process of its own imports the backend and compiles, to be killed."""
    # Only PyTorch can be forked; there, the process serves the next test too.
    run = request.getfixturevalue("forks") if keras.backend.backend() == "torch" else go
    output = tmp_path / "killed.npz"
    assert run(tmp_path / "killed", output, 2, "batch", 8) == -signal.SIGKILL
    assert not output.exists()
    [newest] = sorted(path.stem for path in (tmp_path / "killed").glob("checkpoint-*.npz"))[-1:]
    assert newest.count("-") == 2, "a checkpoint in an epoch"
    check_same_end(tmp_path / "killed", whole)


def test_killed_five_times_it_ends_with_the_same_weights(tmp_path, whole, forks):
    """In the middle of an epoch, while a file is written, just after: no kill leaves a trace."""
    killed, newest = tmp_path / "killed.npz", set()
    # Beside two checkpoints within it, every epoch replaces up to three files: the best weights,
    # the history, the checkpoint.
    for event in random_events(5):
        assert forks(tmp_path / "killed", killed, 2, *event) == -signal.SIGKILL, event
        assert not killed.exists()
        checkpoints = (tmp_path / "killed").glob("checkpoint-*.npz")
        newest.add(max((path.stem for path in checkpoints), default=""))
    assert {name.count("-") for name in newest} >= {1, 2}, "killed in epochs and between them"
    check_same_end(tmp_path / "killed", whole)


def test_a_run_leaves_what_it_says(finished):
    folder, _, result = finished
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.npz",
        "checkpoint-000003.npz",
        "checkpoint-000004.npz",
        "history.csv",
        *(["logs"] if EventFiles.available() else []),
        "run.json",
    ]
    content = json.loads((folder / "run.json").read_text())
    assert content["recipe"]["learning_rate"] == 1.0
    assert content["training"] == "noise"
    assert content["versions"]["backend"] == keras.backend.backend()
    assert {"loss", "val_loss", "accuracy", "val_accuracy"} <= set(result.history)
    assert all(len(values) == noise.EPOCHS for values in result.history.values())


def test_the_model_ends_with_the_averaged_weights_of_its_best_epoch(finished):
    _, model, result = finished
    scores = result.history["val_accuracy"]
    assert result.best_epoch == scores.index(max(scores))
    clips = noise.Clips(validation=True)
    batches = [clips[i] for i in range(len(clips))]
    right = [model.predict(x, verbose=0).argmax(1) == labels for x, labels in batches]
    accuracy = np.mean(right)
    assert accuracy == pytest.approx(max(scores), abs=1e-6)


def test_a_finished_run_is_only_read(finished):
    folder, model, result = finished
    times = {path.name: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again, second = noise.run(folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.rglob("*")} == times
    assert second == result
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(w) for w in (one, other)))


def test_a_folder_of_another_recipe_is_refused_with_the_difference(finished):
    with pytest.raises(ValueError, match=r"another run: recipe weight_decay was 0\.05, is 0\.1"):
        noise.run(finished[0], weight_decay=0.1)
    with pytest.raises(ValueError, match=r"--anew on the command line, anew=True in Python"):
        noise.run(finished[0], weight_decay=0.1)


def test_other_words_about_a_recipe_are_no_other_run(finished):
    folder, _, result = finished
    receipt = {"command": "it", "result": "0.5", "hardware": "two cores"}
    assert noise.run(folder, receipt=receipt, description="Noise.")[1] == result


def test_begun_anew_another_run_is_set_aside_whole(tmp_path, caplog):
    noise.run(tmp_path, epochs=1)
    files = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    (tmp_path / "notes.txt").write_text("mine")
    _, result = noise.run(tmp_path, {"anew": True}, epochs=1, weight_decay=0.1)
    assert "weight_decay was 0.05, is 0.1. Its files are now in" in caplog.text
    assert {path.name: path.read_bytes() for path in (tmp_path / "before-1").glob("*.*")} == files
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert len(result.history["loss"]) == 1
    # The same run is resumed, so that the same command may be given again.
    _, again = noise.run(tmp_path, {"anew": True}, epochs=1, weight_decay=0.1)
    assert again == result
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        noise.run(tmp_path, epochs=1)
    noise.run(tmp_path, {"anew": True}, epochs=1)
    assert (tmp_path / "before-2" / "run.json").read_text() == "{"
    assert {path.name: path.read_bytes() for path in (tmp_path / "before-1").glob("*.*")} == files


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    noise.run(tmp_path, epochs=1)
    (tmp_path / "run.json").unlink()
    before = (tmp_path / "checkpoint-000001.npz").read_bytes()

    def spoilt(self, index):
        clips, labels = original(self, index)
        return (clips * np.float32("nan") if self.epoch == 1 and index == 1 else clips), labels

    original = noise.Clips.__getitem__
    monkeypatch.setattr(
        noise.Clips,
        "__getitem__",
        lambda self, index: tuple(
            part.astype("float32") if part.ndim == 5 else part for part in spoilt(self, index)
        ),
    )
    with pytest.raises(FloatingPointError, match="The loss is nan at step 2 of epoch 2"):
        noise.run(tmp_path, epochs=2)
    assert (tmp_path / "checkpoint-000001.npz").read_bytes() == before
    assert not (tmp_path / "checkpoint-000002.npz").exists()


@pytest.mark.parametrize("every", [0, -1, True, 2.0])
def test_checkpoint_every_must_be_a_number_of_steps(tmp_path, every):
    with pytest.raises(ValueError, match="checkpoint_every must be a positive integer"):
        noise.run(tmp_path / "run", {"checkpoint_every": every})
    assert not (tmp_path / "run").exists()


def test_asked_to_stop_it_stops_behind_a_checkpoint_and_goes_on(tmp_path, finished):
    """In the middle of an epoch, and at its end; nothing of it is seen in the result."""
    asked = iter([False, False, True])
    with pytest.raises(
        KeyboardInterrupt, match=r"after step 3 of 5 in epoch 1; the checkpoint is in"
    ):
        noise.run(tmp_path, {"stop": lambda: next(asked)})
    assert (tmp_path / "checkpoint-000000-000003.npz").exists()
    asked = iter([False, True, True])
    with pytest.raises(TrainingInterrupted, match="after epoch 1; the checkpoint is in"):
        noise.run(tmp_path, {"stop": lambda: next(asked)})
    model, result = noise.run(tmp_path)
    for name, values in finished[2].history.items():
        np.testing.assert_allclose(result.history[name], values, rtol=0, atol=1e-6, err_msg=name)
    for one, other in zip(model.weights, finished[1].weights, strict=True):
        arrays = (keras.ops.convert_to_numpy(weight) for weight in (one, other))
        np.testing.assert_allclose(*arrays, rtol=0, atol=1e-6)


def test_adapters_are_trained_and_resumed_as_they_were(tmp_path):
    """The checkpoint holds the adapters themselves, not their sum with the weights."""
    changes = {"lora_rank": 2, "epochs": 2}
    model, result = noise.run(tmp_path / "whole", **changes)
    asked = iter([False, False, True])
    with pytest.raises(TrainingInterrupted):
        noise.run(tmp_path / "cut", {"stop": lambda: next(asked)}, **changes)
    resumed, again = noise.run(tmp_path / "cut", **changes)
    assert model.lora_rank == resumed.lora_rank == 2
    for name, values in result.history.items():
        np.testing.assert_allclose(again.history[name], values, rtol=0, atol=1e-6, err_msg=name)
    for one, other in zip(resumed.weights, model.weights, strict=True):
        arrays = (keras.ops.convert_to_numpy(weight) for weight in (one, other))
        np.testing.assert_allclose(*arrays, rtol=0, atol=1e-6, err_msg=one.path)
    untrained = {weight.path: weight for weight in noise.make_model().weights}
    for weight in model.weights:
        before = untrained.get(weight.path)
        if before is not None and "head" not in weight.path:
            arrays = (keras.ops.convert_to_numpy(each) for each in (weight, before))
            np.testing.assert_array_equal(*arrays, err_msg=weight.path)


def test_16_bits_resume_and_keep_the_average(tmp_path, monkeypatch):
    """Keras wraps the optimizer in one that scales the loss."""

    def make_model():
        keras.utils.set_random_seed(0)
        sizes = (4, 4, 8, 8), (1, 1, 1, 1), 1, "shift_token:2"
        backbone = MLP3DBackbone(*sizes, dtype="mixed_float16", name="backbone")
        return MLP3D(backbone, 2, dropout=0.2, name="model")

    monkeypatch.setattr(noise, "make_model", make_model)
    changes = {"epochs": 2, "learning_rate": 0.01}
    model, result = noise.run(tmp_path / "whole", **changes)
    asked = iter([False, False, True])
    options = {"stop": lambda: next(asked), "checkpoint_every": 2}
    with pytest.raises(TrainingInterrupted):
        noise.run(tmp_path / "cut", options, **changes)
    resumed, again = noise.run(tmp_path / "cut", {"checkpoint_every": 2}, **changes)
    for name, values in result.history.items():
        np.testing.assert_allclose(again.history[name], values, rtol=0, atol=1e-5, err_msg=name)
    for one, other in zip(resumed.weights, model.weights, strict=True):
        arrays = (keras.ops.convert_to_numpy(weight) for weight in (one, other))
        np.testing.assert_allclose(*arrays, rtol=0, atol=1e-5, err_msg=one.path)
    # The network that is returned is the one that was measured: the moving average.
    loss, _ = model.evaluate(noise.Clips(validation=True), verbose=0)
    assert loss == pytest.approx(result.history["val_loss"][result.best_epoch], abs=1e-4)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("b", "a"), "in its order; class 0 is 'b' in the network and 'a' in the videos"),
        (("a", "c"), "in its order; class 1 is 'c' in the network and 'b' in the videos"),
        (("a", "b", "c"), "has 3 classes, the videos of the split 'train' have 2"),
        (None, None),
    ],
)
def test_the_classes_of_network_and_videos_must_agree(tmp_path, names, reason):
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (4, 8, 32, 32, 3), dtype="uint8")
    rows = [VideoRow(clip, number % 2) for number, clip in enumerate(clips)]
    loader = VideoLoader(
        Manifest(rows, ["a", "b"], "train"), VideoConverter(8, (32, 32)), 4, training=True
    )
    backbone = MLP3DBackbone((4, 4, 8, 8), (1, 1, 1, 1), 1, "shift_token:2")
    model = MLP3D(backbone, len(names or "ab"), class_names=names)
    recipe = noise.make_recipe(epochs=1, learning_rate=0.01)
    if reason is None:
        train(model, recipe, loader, folder=tmp_path, verbose=0)
        return
    with pytest.raises(ValueError, match=reason):
        train(model, recipe, loader, folder=tmp_path / "refused", verbose=0)
    assert not (tmp_path / "refused").exists()


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run's folder, and the model."""
    shutil.copytree(finished[0], tmp_path / "copy")
    return tmp_path / "copy", finished[1]


def test_a_full_disk_leaves_the_last_checkpoint_whole(copied, monkeypatch):
    folder, model = copied
    before = (folder / "checkpoint-000004.npz").read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save_checkpoint(folder, model, 5)
    assert (folder / "checkpoint-000004.npz").read_bytes() == before
    assert not list(folder.glob("*.part"))
    assert not (folder / "checkpoint-000005.npz").exists()


def test_a_full_disk_in_a_run_says_what_the_run_resumes_from(tmp_path, monkeypatch):
    """Whichever of its files it is, the first or the last that an epoch writes."""
    for number, name in ((0, "best-000002.npz"), (2, "checkpoint-000002.npz")):
        folder, left = tmp_path / str(number), [4 + number]  # run.json, and three of an epoch
        replace = os.replace

        def full(source, target, left=left, replace=replace):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            replace(source, target)

        # The second epoch is the better one, so that it writes all three.
        monkeypatch.setattr(RunRecorder, "_is_best", lambda self, *args: True)
        with monkeypatch.context() as patch:
            patch.setattr(atomic_write.os, "replace", full)
            with pytest.raises(OSError, match="No space left on device") as caught:
                noise.run(folder, epochs=2)
        assert caught.value.filename == str(folder / name)
        [note] = caught.value.__notes__
        assert note.startswith(f"{folder / 'checkpoint-000001.npz'} is whole")
        assert not list(folder.rglob("*.part*"))
        assert len(noise.run(folder, epochs=2)[1].history["loss"]) == 2


def test_the_best_weights_are_those_of_the_history(tmp_path, monkeypatch):
    """Also if a process dies between the two, and the epoch that is repeated is no longer best."""
    best, saved = [True], callbacks.save_checkpoint

    def dying(folder, model, epoch, *args, **kwargs):
        if epoch == 2:
            raise MemoryError
        return saved(folder, model, epoch, *args, **kwargs)

    monkeypatch.setattr(RunRecorder, "_is_best", lambda self, epoch, *args: best[0] or not epoch)
    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "save_checkpoint", dying)
        with pytest.raises(MemoryError):
            noise.run(tmp_path, epochs=3)
    assert sorted(path.name for path in tmp_path.glob("best*")) == [
        "best-000001.npz",
        "best-000002.npz",
    ]
    first = noise.make_model()
    checkpoint.load_weights(tmp_path / "best-000001.npz", first)
    best[0] = False
    model, result = noise.run(tmp_path, epochs=3)
    assert (result.best_epoch, len(result.history["loss"])) == (0, 3)
    for found, expected in zip(model.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert [path.name for path in tmp_path.glob("best*")] == ["best.npz"]
    again, _ = noise.run(tmp_path, epochs=3)
    np.testing.assert_array_equal(again.get_weights()[0], first.get_weights()[0])


def test_a_second_training_in_the_folder_is_refused(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(one_writer, "_PATIENCE", 0.0)
    other = os.open(tmp_path, os.O_RDONLY)  # a lock is of what was opened, not of the process
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(ValueError, match="another process writes to"):
        noise.run(tmp_path, epochs=1)
    assert not list(tmp_path.iterdir())
    os.close(other)
    noise.run(tmp_path, epochs=1)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(copied, caplog):
    folder, model = copied
    newest = folder / "checkpoint-000004.npz"
    newest.write_bytes(newest.read_bytes()[:1000])
    epoch, step, state = checkpoint.load_checkpoint(folder, model)
    assert (epoch, step) == (3, 0)
    assert len(state["history"]["loss"]) == 3
    assert "checkpoint-000004.npz is damaged" in caplog.text
    (folder / "checkpoint-000003.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"All checkpoints in .* are damaged"):
        checkpoint.load_checkpoint(folder, model)


def test_a_checkpoint_of_another_model_is_refused(finished):
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    other.compile("sgd", "mse")
    other.optimizer.build(other.trainable_variables)
    with pytest.raises(ValueError, match="of another model"):
        checkpoint.load_checkpoint(finished[0], other)
