"""Tiny presets, videos and checkpoints for the commands."""

import numpy as np
import pytest
from data.make_videos import moving_frames, write_lossless

SIZES = (8, 8, 16, 16), (1, 1, 1, 1), (2, 2, 2, 2)
NAMES = ["fall", "jump", "run", "turn"]


def logits_of(batch):
    """Four logits of each clip or frame, from its mean color."""
    means = np.asarray(batch, "float64").mean(axis=tuple(range(1, batch.ndim - 1))) / 32
    return np.concatenate([means, means[:, :1] * means[:, 2:] / 8], axis=1).astype("float32")


@pytest.fixture(scope="session")
def presets(tmp_path_factory):
    """A folder with the presets `clips`, `no_converter`, `frames` and `backbone`."""
    from keras_mlp3d.data import VideoConverter
    from keras_mlp3d.models import MLP3D, CycleMLP, MLP3DBackbone

    folder = tmp_path_factory.mktemp("presets")
    converter = VideoConverter(num_frames=8, image_size=(32, 32))
    backbone = MLP3DBackbone(*SIZES, "short_range:2")
    options = {"num_classes": 4, "class_names": NAMES}
    MLP3D(backbone, converter=converter, **options).save_to_preset(folder / "clips")
    MLP3D(backbone, **options).save_to_preset(folder / "no_converter")
    frames = CycleMLP(*SIZES, input_shape=(32, 32, 3), **options)
    frames.save_to_preset(folder / "frames", image_size=[32, 32])
    backbone.save_to_preset(folder / "backbone")
    return folder


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """A folder with `b.mkv`, `sub/a.mkv` and files that are no videos."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "sub").mkdir()
    (folder / ".hidden").mkdir()
    write_lossless(folder / "b.mkv", moving_frames(20, 36, 60))
    write_lossless(folder / "sub" / "a.mkv", moving_frames(12, 60, 36)[:, :, ::-1])
    for name in ("notes.txt", ".b.mkv", ".hidden/c.mkv"):
        (folder / name).write_text("no video")
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Puts `logits_of` in the place of the forward pass, which takes seconds to compile."""
    from keras_mlp3d.models import MLP3D, CycleMLP

    for model in (MLP3D, CycleMLP):
        monkeypatch.setattr(model, "predict_on_batch", lambda self, batch: logits_of(batch))


@pytest.fixture
def run(capsys):
    """Runs the command line in this process: (exit code, standard output, standard error)."""
    from keras_mlp3d.cli.main import main

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call
