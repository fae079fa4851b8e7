"""`keras-mlp3d train`: from a folder of videos to a preset, and on from where it stopped."""

import argparse
import contextlib
import csv
import json
import os
import shutil
import signal
import time

import keras
import numpy as np
import pytest
from cli.forked import Forked
from data.make_videos import moving_frames, write_video

from keras_mlp3d import MLP3D, FrameCycleMLP, MLP3DBackbone, TwoPathMLP3D
from keras_mlp3d.cli import train as command
from keras_mlp3d.cli.main import main
from keras_mlp3d.data import VideoConverter, read_manifest


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Dark and bright videos, six of each to train and two of each to validate."""
    folder = tmp_path_factory.mktemp("videos")
    frames = moving_frames(8, 40, 48) // 4
    for split, count in (("train", 6), ("val", 2)):
        for name, light in (("bright", 150), ("dark", 0)):
            target = folder / split / name
            target.mkdir(parents=True)
            for k in range(count):
                write_video(target / f"{k}.mp4", frames + np.uint8(light + 5 * k))
    return folder


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset")
    backbone = MLP3DBackbone((4, 4, 8, 8), (1, 1, 1, 1), 1, "shift_token:2")
    converter = VideoConverter(num_frames=8, image_size=(32, 32))
    MLP3D(backbone, 3, converter=converter).save_to_preset(folder)
    return folder


def arguments(videos, preset, folder, *settings):
    command = ["train", "--data", str(videos), "--preset", str(preset), "--run", str(folder)]
    short = ("epochs=2", "warmup_epochs=0.5", "batch_size=4", "reference_batch_size=4")
    values = dict(
        setting.split("=", 1)
        for setting in (*short, "learning_rate=0.01", "layer_decay=null", *settings)
    )
    for setting in values.items():
        command += ["--set", "=".join(setting)]
    return command


@pytest.fixture(scope="module")
def done(videos, preset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    assert main(arguments(videos, preset, folder)) == 0
    return folder


def test_a_run_ends_with_a_preset_of_the_accuracy_it_states(done, videos, capsys):
    metric = json.loads((done / "preset" / "metadata.json").read_text())["metrics"][0]
    evaluation = json.loads((done / "evaluation.json").read_text())
    assert evaluation["expected"] == 4
    assert evaluation["digest"] == read_manifest(videos, "val").digest
    assert metric["value"] == round(evaluation["top1"], 4)
    model = MLP3D.from_preset(done / "preset")
    assert list(model.class_names) == ["bright", "dark"]
    assert model.converter.crop == "center"
    assert main(["evaluate", "--data", str(videos), "--preset", str(done / "preset")]) == 0
    assert f"{100 * evaluation['top1']:.1f}" in capsys.readouterr().out
    assert (done / "curves.png").stat().st_size > 1000
    assert (done / "confusion.png").stat().st_size > 1000
    assert (done / "wrong.png").stat().st_size > 1000
    assert "keras-mlp3d" in (done / "preset" / "README.md").read_text()


def test_the_same_command_again_trains_no_more(done, videos, preset):
    before = (done / "checkpoint-000002.npz").stat().st_mtime_ns
    assert main(arguments(videos, preset, done)) == 0
    assert (done / "checkpoint-000002.npz").stat().st_mtime_ns == before


def test_another_recipe_in_the_same_folder_is_refused(done, videos, preset, capsys):
    assert main(arguments(videos, preset, done, "weight_decay=0.2")) == 2
    assert "weight_decay was 0.05, is 0.2" in capsys.readouterr().err


def test_copies_mixing_and_random_crops(videos, preset, tmp_path):
    """The ways of the paper's recipes: none of them needs another command."""
    settings = ("augmentation.flip=0.5", "batch_augmentation=2", "augmentation.mix_up=0.8")
    command = arguments(videos, preset, tmp_path / "run", *settings, "ema_momentum=0.9")
    assert main([*command, "--from-scratch", "--schedule", "short_range:2"]) == 0
    model = MLP3D.from_preset(tmp_path / "run" / "preset")
    assert {mixing.kind for mixing in model.backbone.schedule} == {"short_range"}


def test_random_mixing_and_activations_computed_again(videos, preset, tmp_path):
    """Both are of the training alone: the preset is an ordinary one."""
    settings = ("random_mixing=0.5", "max_group_size=2", "remat=true", "epochs=1")
    assert main(arguments(videos, preset, tmp_path / "run", *settings)) == 0
    backbone = MLP3D.from_preset(tmp_path / "run" / "preset").backbone
    assert backbone.schedule == MLP3D.from_preset(preset).backbone.schedule
    assert (backbone.candidates, backbone.random_mixing, backbone.remat) == (None, 0.0, False)


def test_both_paths_are_trained_with_what_the_recipe_asks_for(videos, preset, tmp_path):
    paths = [
        MLP3D.from_preset(preset, name=name, num_classes=2, load_weights=False)
        for name in ("seen", "moving")
    ]
    TwoPathMLP3D(*paths, (32, 32)).save_to_preset(tmp_path / "two")
    settings = ("remat=true", "random_mixing=0.5", "max_group_size=2", "pixel_mean=[0.5,0.4,0.3]")
    command = arguments(videos, tmp_path / "two", tmp_path / "run", *settings, "epochs=1")
    assert main([*command, "--set", "pixel_std=[0.2,0.2,0.2]", "--set", "dropout=0.1"]) == 0
    model = TwoPathMLP3D.from_preset(tmp_path / "run" / "preset")
    for path in (model.appearance, model.motion):
        backbone = path.backbone
        assert (backbone.candidates, backbone.random_mixing, backbone.remat) == (None, 0.0, False)
        assert backbone.pixel_mean == (0.5, 0.4, 0.3)
        assert path.dropout == 0.1


def test_adapters_are_trained_resumed_and_merged(videos, preset, tmp_path, capsys):
    command = arguments(videos, preset, tmp_path / "run", "lora_rank=2", "epochs=1")
    assert main(command) == 0
    adapters = tmp_path / "run" / "adapters.lora.h5"
    assert str(adapters) in capsys.readouterr().out
    found = MLP3D.from_preset(tmp_path / "run" / "preset")
    assert found.lora_rank is None
    base = MLP3D.from_preset(preset, num_classes=2)
    assert found.count_params() == base.count_params()
    base.load_lora_weights(adapters)
    base.merge_lora()
    for one, other in zip(found.weights, base.weights, strict=True):
        arrays = (keras.ops.convert_to_numpy(weight) for weight in (one, other))
        np.testing.assert_allclose(*arrays, atol=1e-6)
    assert main(command) == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("epoch=3",), "A recipe has no 'epoch'. Did you mean 'epochs'?"),
        (("random_mixing=0.1",), "needs max_group_size"),
        (("label_smoothing=2",), "label_smoothing must be"),
        (("augmentation.flip=7",), "augmentation.flip is 7: probability must be a number"),
        (("augmentation.flips=0.5",), "augmentation has no 'flips'. Did you mean 'flip'?"),
        (("image_size=[100000,100000]",), "image_size must be [height, width] in pixels, each an "),
        (("learning_rate=1e30",), "learning_rate must be a number from 1e-12 to 10, got 1e+30."),
        (("epochs=1000000000",), "epochs must be an integer from 1 to 100000, got 1000000000."),
        (("warmup_epochs=0.9", "epochs=1"), "too few to train with"),
    ],
)
def test_bad_settings(videos, preset, tmp_path, capsys, monkeypatch, settings, words):
    """Refused before a video is opened and before anything is written."""
    monkeypatch.setattr(VideoConverter, "__call__", None)
    assert main(arguments(videos, preset, tmp_path / "run", *settings)) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_clips_that_the_schedule_refuses(videos, preset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(VideoConverter, "__call__", None)
    command = arguments(videos, preset, tmp_path / "run", "num_frames=12")
    assert main([*command, "--schedule", "short_range:2"]) == 2
    assert "a clip of 12 frames does not fit the schedule" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_validation_videos_of_other_classes(videos, preset, tmp_path, capsys):
    (tmp_path / "other" / "dim").mkdir(parents=True)
    write_video(tmp_path / "other" / "dim" / "0.mp4", moving_frames(8, 40, 48))
    command = arguments(videos, preset, tmp_path / "run")
    assert main([*command, "--val", str(tmp_path / "other")]) == 2
    assert "--val must have the classes of --data; only one of them has" in capsys.readouterr().err


def test_a_network_of_images_is_trained_frame_by_frame(videos, tmp_path, capsys):
    command = arguments(videos, "cyclemlp_nano", tmp_path / "run", "num_frames=4")
    assert main(command) == 0
    preset = tmp_path / "run" / "preset"
    assert json.loads((preset / "task.json").read_text())["registered_name"].endswith(
        ">FrameCycleMLP"
    )
    model = FrameCycleMLP.from_preset(preset)
    assert (model.converter.num_frames, model.converter.image_size) == (4, (32, 32))
    stated = json.loads((tmp_path / "run" / "evaluation.json").read_text())["top1"]
    capsys.readouterr()
    assert main(["evaluate", "--data", str(videos), "--preset", str(preset)]) == 0
    assert f"{100 * stated:.1f}" in capsys.readouterr().out
    assert main(["predict", str(videos / "val" / "dark" / "0.mp4"), "--preset", str(preset)]) == 0
    assert main(["cost", str(preset)]) == 0
    assert main([*command, "--schedule", "shift_token:2", "--anew"]) == 2
    assert "Unknown override 'schedule'" in capsys.readouterr().err


def copy_of(videos, folder):
    return shutil.copytree(videos, folder / "videos")


def stopping_after(steps):
    """What takes the place of `StopOnSignal`: a Ctrl-C after so many steps and epochs."""

    class Stop(contextlib.nullcontext):
        left = steps

        def __enter__(self):
            return self

        def __call__(self):
            Stop.left -= 1
            return Stop.left == 0

    return Stop


@pytest.mark.parametrize("asked", [4, 6])
def test_resumed_with_other_videos(videos, preset, tmp_path, capsys, caplog, monkeypatch, asked):
    """Stopped between epochs and in one: a broken file was removed, others came in."""
    data, folder = copy_of(videos, tmp_path), tmp_path / "run"
    command = [*arguments(data, preset, folder), "--checkpoint-every", "1"]
    with monkeypatch.context() as patch:
        patch.setattr("keras_mlp3d.cli.train.StopOnSignal", stopping_after(asked))
        assert main(command) == 130
    stopped = "after epoch 1" if asked == 4 else "after step 2 of 3 in epoch 2"
    assert stopped in capsys.readouterr().out
    (data / "train" / "dark" / "3.mp4").unlink()
    shutil.copy(data / "val" / "dark" / "0.mp4", data / "val" / "dark" / "9.mp4")
    assert main(command) == 0
    assert "1 of 12 videos is gone ('dark/3.mp4')" in caplog.text
    assert "1 is new ('dark/9.mp4')" in caplog.text
    assert ("begins again" in caplog.text) == (asked == 6)
    assert json.loads((folder / "evaluation.json").read_text())["expected"] == 5
    [change] = json.loads((folder / "run.json").read_text())["changes"]
    assert change["epochs_done"] == 1
    assert len((folder / "history.csv").read_text().splitlines()) == 3
    for k in range(3):
        (data / "train" / "dark" / f"{k}.mp4").unlink()
    assert main(command) == 2
    assert "3 of 11 videos are gone" in (error := capsys.readouterr().err)
    assert "--accept-changed-data" in error
    assert main([*command, "--accept-changed-data"]) == 0
    (data / "train" / "dim").mkdir()
    (data / "val" / "dim").mkdir()
    for split in ("train", "val"):
        shutil.copy(data / "val" / "dark" / "0.mp4", data / split / "dim" / "0.mp4")
    capsys.readouterr()
    assert main([*command, "--accept-changed-data"]) == 2
    assert "the classes were 2 ('bright', 'dark'), are 3" in capsys.readouterr().err


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.mark.parametrize("processes", [0, 1])
def test_videos_that_cannot_be_read(videos, preset, tmp_path, capsys, processes):
    data, folder = copy_of(videos, tmp_path), tmp_path / "run"
    broken = [data / "train" / "dark" / "0.mp4", data / "val" / "bright" / "1.mp4"]
    for path in broken:
        path.write_bytes(b"no video")
    more = ["--processes", str(processes)] if processes else []
    assert main([*arguments(data, preset, folder), *more]) == 0
    printed, errors = capsys.readouterr()
    assert "1 training video was unreadable in some epochs and replaced by others" in printed
    assert "1 validation video was unreadable in some epochs and counted as wrong" in printed
    assert "1 of 4 validation videos cannot be read and count as wrong" in printed
    assert f"cannot read the video {str(broken[1])!r}" in errors
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert [row["path"] for row in evaluation["failed"]] == [str(broken[1])]
    rows = rows_of(folder / "unreadable.csv")
    assert {(row["split"], row["path"]) for row in rows} == {
        ("training", str(broken[0])),
        ("validation", str(broken[1])),
    }
    history = rows_of(folder / "history.csv")
    assert [float(row["val_unreadable"]) for row in history] == [1.0, 1.0]
    best = max(float(row["val_accuracy"]) for row in history)
    assert best == pytest.approx(evaluation["top1"], abs=1e-6)


@pytest.mark.parametrize(
    ("asked", "threads", "clips", "processors", "trainings", "expected"),
    [
        (None, None, 1_000, 2, "1", 1),
        (None, None, 1_000, 64, "1", 8),
        (None, None, 1_000, 64, "", 8),
        (None, None, 1_000, 16, "4", 3),  # four trainings of torchrun share them
        (None, None, 1_000, 1, "1", 0),
        (None, None, 1_000, 4, "4", 0),
        (None, None, 999, 64, "1", 0),
        (None, 1, 5_000, 64, "1", 0),
        (0, None, 5_000, 64, "1", 0),
        (3, 1, 1, 1, "4", 3),
    ],
)
def test_how_many_processes_decode(
    monkeypatch, capsys, asked, threads, clips, processors, trainings, expected
):
    monkeypatch.setattr(command, "default_workers", lambda: processors)
    if keras.backend.backend() == "torch":
        assert command._device_of_steps() in ("cpu", "cuda", "mps")
    monkeypatch.setattr(command, "_device_of_steps", lambda: "cpu")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", trainings)
    if asked is None and keras.backend.backend() != "torch":
        expected = 0
    options = argparse.Namespace(processes=asked, workers=threads)
    assert command._processes(options, clips) == expected
    said = f"processes that decode: {expected} (--processes 0: threads)\n"
    assert capsys.readouterr().out == (said if asked is None and expected else "")


@pytest.mark.parametrize(("device", "expected"), [("cpu", 3), ("cuda", 4)])
def test_without_a_gpu_the_steps_keep_a_processor(monkeypatch, device, expected):
    monkeypatch.setattr(command, "default_workers", lambda: 4)
    monkeypatch.setattr(command, "_device_of_steps", lambda: device)
    options = argparse.Namespace(processes=None, workers=None)
    on_torch = keras.backend.backend() == "torch"
    assert command._processes(options, 1_000) == (expected if on_torch else 0)


def test_decoding_processes_that_nobody_asked_for(videos, preset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "default_workers", lambda: 2)
    monkeypatch.setattr(command, "_MANY_CLIPS", 1)
    assert main(arguments(videos, preset, tmp_path / "run")) == 0
    said = "processes that decode: 1" in capsys.readouterr().out
    assert said == (keras.backend.backend() == "torch")
    monkeypatch.undo()
    assert main([*arguments(videos, preset, tmp_path / "threads"), "--processes", "0"]) == 0
    runs = [(tmp_path / name / "history.csv").read_bytes() for name in ("run", "threads")]
    assert runs[0] == runs[1]


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    with Forked(tmp_path_factory.mktemp("forked")) as server:
        yield server


def test_a_full_disk_names_the_file_and_the_run_resumes(videos, preset, tmp_path, forked):
    """The disk has room for all that is small, and not for weights and pictures."""
    folder = tmp_path / "run"
    code, _, errors = forked.run(arguments(videos, preset, folder), file_size=20_480)
    assert code == 1
    assert f"File too large: {folder / 'best-000001.npz'}" in errors
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        *("run.json", "videos.json"),
    ]
    assert main([*arguments(videos, preset, folder)]) == 0
    before = {path.name: path.read_bytes() for path in (folder / "preset").iterdir()}
    # It is finished: its picture comes first of what is written again.
    code, _, errors = forked.run(arguments(videos, preset, folder), file_size=20_480)
    assert code == 1
    assert f"File too large: {folder / 'curves.png'}" in errors
    assert {path.name: path.read_bytes() for path in (folder / "preset").iterdir()} == before


def newest(folder):
    return max((path.name for path in folder.glob("checkpoint-*.npz")), default="")


def test_ctrl_c_ends_behind_a_checkpoint_and_the_same_command_goes_on(
    videos, preset, tmp_path, forked
):
    """Both signals, one after the other, at whatever moment of a training they come."""
    command = arguments(videos, preset, tmp_path / "run", "epochs=100")
    for wanted in (signal.SIGINT, signal.SIGTERM):
        before = newest(tmp_path / "run")
        process = forked.start([*command, "--checkpoint-every", "2"])
        while newest(tmp_path / "run") <= before and not forked.has_ended():
            time.sleep(0.05)
        os.kill(process, wanted)
        code, printed, errors = forked.end()
        assert code == 130, errors
        last = printed.strip().splitlines()[-1]
        assert last.startswith("Stopped after ")
        assert last.endswith(f"is in {tmp_path / 'run'}. The same command resumes from there.")
        assert newest(tmp_path / "run") > before
        assert not (tmp_path / "run" / "preset").exists()


def test_anew(done, videos, preset, tmp_path):
    command = arguments(videos, preset, tmp_path / "run", "epochs=1", "lora_rank=2")
    assert main(command) == 0
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert "adapters.lora.h5" in files
    assert main([*command, "--set", "weight_decay=0.2", "--anew"]) == 0
    before = tmp_path / "run" / "before-1"
    assert {path.name for path in before.iterdir()} == files
    assert json.loads((before / "run.json").read_text())["recipe"]["weight_decay"] == 0.05
    assert (before / "preset" / "config.json").is_file()
    after = json.loads((tmp_path / "run" / "run.json").read_text())
    assert after["recipe"]["weight_decay"] == 0.2
