"""`keras-mlp3d train`: from a folder of videos to a preset, and on from where it stopped."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from data.make_videos import moving_frames, write_video

from keras_mlp3d import MLP3D, FrameCycleMLP, MLP3DBackbone
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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("epoch=3",), "A recipe has no 'epoch'. Did you mean 'epochs'?"),
        (("random_mixing=0.1",), "needs max_group_size"),
        (("label_smoothing=2",), "label_smoothing must be"),
    ],
)
def test_bad_settings(videos, preset, tmp_path, capsys, settings, words):
    assert main(arguments(videos, preset, tmp_path / "run", *settings)) == 2
    assert words in capsys.readouterr().err
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


def newest(folder):
    return max((path.name for path in folder.glob("checkpoint-*.npz")), default="")


def test_ctrl_c_ends_behind_a_checkpoint_and_the_same_command_goes_on(videos, preset, tmp_path):
    """Both signals, one after the other, at whatever moment of a training they come."""
    command = arguments(videos, preset, tmp_path / "run", "epochs=100")
    command = [sys.executable, "-m", "keras_mlp3d", *command, "--checkpoint-every", "2"]
    root = pathlib.Path(__file__).parent.parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    for wanted in (signal.SIGINT, signal.SIGTERM):
        before = newest(tmp_path / "run")
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while newest(tmp_path / "run") <= before and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(wanted)
        printed, errors = process.communicate(timeout=120)
        assert process.returncode == 130, errors
        last = printed.strip().splitlines()[-1]
        assert last.startswith("Stopped after ")
        assert last.endswith(f"is in {tmp_path / 'run'}. The same command goes on from there.")
        assert newest(tmp_path / "run") > before
        assert not (tmp_path / "run" / "preset").exists()


def test_anew(done, videos, preset, tmp_path):
    command = arguments(videos, preset, tmp_path / "run", "epochs=1")
    assert main(command) == 0
    assert main([*command, "--set", "weight_decay=0.2", "--anew"]) == 0
    before = tmp_path / "run" / "before-1"
    assert json.loads((before / "run.json").read_text())["recipe"]["weight_decay"] == 0.05
    assert (before / "preset" / "config.json").is_file()
    after = json.loads((tmp_path / "run" / "run.json").read_text())
    assert after["recipe"]["weight_decay"] == 0.2
