"""`keras-mlp3d export`: a file that is what the preset is, a table, and one line per error."""

import sys

import keras
import numpy as np
import pytest

from keras_mlp3d.cli.main import main
from keras_mlp3d.data import VideoConverter
from keras_mlp3d.data.datasets.motion_shapes import write_motion_shapes
from keras_mlp3d.export import FORMATS, formats, load
from keras_mlp3d.models import MLP3D, MLP3DBackbone

CLASSES = ("circle_then_tilt", "tilt_then_circle")


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    backbone = MLP3DBackbone((8, 8, 8, 8), (1, 1, 1, 1), 1, "short_range:2")
    model = MLP3D(backbone, 2, class_names=CLASSES, converter=VideoConverter(8, (32, 32)))
    folder = tmp_path_factory.mktemp("preset") / "tiny"
    model.save_to_preset(folder)
    return folder


def test_what_is_written_is_the_preset(preset, tmp_path, capsys):
    format = formats()[-1]
    path = tmp_path / f"model{FORMATS[format]}"
    fixed = ["--batch", "2", "--frames", "8", "--size", "32"]
    arguments = ["export", "--preset", str(preset), "--format", format, "--to", str(path), *fixed]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{path}: {format}, ")
    assert "open axes: none; largest difference" in out
    clip = np.random.default_rng(0).integers(0, 256, (2, 8, 32, 32, 3)).astype("float32")
    wanted = np.asarray(MLP3D.from_preset(preset).predict_on_batch(clip))
    np.testing.assert_allclose(load(path, format)(clip), wanted, atol=1e-4 * np.ptp(wanted))


def test_the_table_of_formats(preset, tmp_path, capsys, monkeypatch):
    write_motion_shapes(tmp_path / "val", split="val", num_clips=4, classes=CLASSES)
    (tmp_path / "val" / CLASSES[0] / "broken.mp4").write_bytes(b"no video")
    module = sys.modules["keras_mlp3d.export.benchmark"]
    monkeypatch.setattr(module, "formats", lambda: formats()[-1:])
    arguments = ["export", "--preset", str(preset), "--benchmark", "--data", str(tmp_path)]
    assert main(arguments) == 2  # a video is unreadable
    said = capsys.readouterr()
    assert "broken.mp4" in said.err
    header, _, network, *rows = said.out.splitlines()
    assert header.startswith("| format | version | open axes | MB | top-1 | difference | ms/clip |")
    assert network.split(" | ")[0] == "| keras"
    assert {row.split(" | ")[4] for row in (network, *rows)} == {network.split(" | ")[4]}
    assert rows[0].startswith(f"| {formats()[-1]} | ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "model"], "--format is needed"),
        (["--format", "onnx"], "--to is needed"),
        (["--benchmark", "--format", "onnx"], "--format has no effect with --benchmark"),
        (["--format", "onnx", "--to", "model.onnx", "--data", "val"], "--data is for --benchmark"),
        (["--format", "none", "--to", "model"], "invalid choice"),
    ],
)
def test_bad_options_are_one_line(arguments, message, preset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--preset", str(preset), *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())


def test_a_format_of_another_backend(preset, tmp_path, capsys):
    other = "torch" if keras.backend.backend() != "torch" else "litert"
    path = tmp_path / f"model{FORMATS[other]}"
    arguments = ["export", "--preset", str(preset), "--format", other, "--to", str(path)]
    assert main(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "KERAS_BACKEND=" in line
    assert not list(tmp_path.iterdir())
