"""A training on JAX or PyTorch imports no TensorFlow, although it is installed."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from data.make_videos import moving_frames, write_video

import keras_mlp3d
from keras_mlp3d import MLP3D, MLP3DBackbone
from keras_mlp3d.data import VideoConverter

PACKAGE = pathlib.Path(keras_mlp3d.__file__).parent


@pytest.mark.skipif(keras.config.backend() == "tensorflow", reason="there it is the backend")
def test_train_from_the_command_line(tmp_path):
    """A package named tensorflow is found first, and whatever imports it ends the process."""
    fake = tmp_path / "path" / "tensorflow"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise RuntimeError('TensorFlow was imported')\n")
    frames = moving_frames(4, 32, 32) // 2
    for split in ("train", "val"):
        for name, light in (("bright", 100), ("dark", 0)):
            folder = tmp_path / "videos" / split / name
            folder.mkdir(parents=True)
            write_video(folder / "0.mp4", frames + np.uint8(light))
    converter = VideoConverter(num_frames=4, image_size=(32, 32))
    backbone = MLP3DBackbone((4, 4, 4, 4), (1, 1, 1, 1), 1, "short_range:1")
    MLP3D(backbone, 2, converter=converter).save_to_preset(tmp_path / "preset")
    settings = ["epochs=1", "warmup_epochs=0", "batch_size=2", "layer_decay=null"]
    paths = {"data": "videos", "preset": "preset", "run": "run"}
    command = [sys.executable, "-m", "keras_mlp3d", "train"]
    for option, name in paths.items():
        command += [f"--{option}", str(tmp_path / name)]
    for setting in settings:
        command += ["--set", setting]
    found_first = os.pathsep.join([str(fake.parent), str(PACKAGE.parent)])
    result = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": found_first},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    if result.returncode:
        pytest.fail(result.stdout)
    assert (tmp_path / "run" / "preset" / "config.json").exists()


def test_nothing_else_seeds_as_keras_does():
    """`keras.utils.set_random_seed` imports TensorFlow on every backend."""
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "keras.utils.set_random_seed(" in path.read_text(encoding="utf-8")
    }
    assert users == {"_utils/keras_patches.py"}
