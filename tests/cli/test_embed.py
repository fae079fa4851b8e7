"""`keras-mlp3d embed`: files of features."""

import os
import shutil
import sys

import numpy as np
import pyarrow.parquet
import pytest

from keras_mlp3d import MLP3D
from keras_mlp3d.cli import embed as command
from keras_mlp3d.inference import embed


@pytest.fixture(scope="module")
def expected(presets, videos):
    """{path: features}"""
    model = MLP3D.from_preset(presets / "clips")
    paths = [str(videos / "b.mkv"), str(videos / "sub" / "a.mkv")]
    return {found.path: found.features for found in embed(model, paths, clips=2)}


def read(path):
    """(paths, features or None, errors) of a file."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            assert file["features"].dtype == np.float32
            features = [None if np.isnan(row).all() else row for row in file["features"]]
            return file["paths"].tolist(), features, file["errors"].tolist()
    rows = pyarrow.parquet.read_table(path).to_pylist()
    return (
        [row["path"] for row in rows],
        [row["features"] and np.array(row["features"], "float32") for row in rows],
        [row["error"] or "" for row in rows],
    )


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_features_of_all_videos(run, presets, videos, expected, tmp_path, ending, monkeypatch):
    monkeypatch.setattr(command, "_ROWS", 2)
    (tmp_path / "bad.mp4").write_text("no video")
    output = tmp_path / f"features{ending}"
    code, out, err = run(
        *("embed", videos, tmp_path / "bad.mp4", tmp_path / "absent.mp4"),
        *("--preset", presets / "clips", "--clips", 2, "--output", output),
    )
    assert (code, out) == (2, f"2 of 4 videos are in {output}\n")
    paths, features, errors = read(output)
    assert paths == [*expected, str(tmp_path / "bad.mp4"), str(tmp_path / "absent.mp4")]
    for path, row in zip(paths[:2], features[:2], strict=True):
        np.testing.assert_allclose(row, expected[path], rtol=0, atol=1e-6)
    assert features[2:] == [None, None]
    assert errors[:2] == ["", ""]
    assert "cannot be opened as a video" in errors[2]
    assert errors[3] == "no such video file or folder"
    assert "bad.mp4" in err
    assert "absent.mp4" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", output.name]


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_ctrl_c_keeps_what_is_done(run, presets, videos, expected, tmp_path, ending, monkeypatch):
    from keras_mlp3d import inference

    calls = []

    def once(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return embed(*arguments, **options)

    monkeypatch.setattr(inference, "embed", once)
    output = tmp_path / f"features{ending}"
    code, out, _ = run("embed", videos, "--preset", presets / "clips", "--output", output)
    assert (code, out) == (130, f"1 of 2 videos are in {output}\n")
    assert read(output)[0] == [str(videos / "b.mkv")]


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_an_error_leaves_no_file(run, presets, videos, tmp_path, ending, monkeypatch):
    from keras_mlp3d import inference

    def failing(*arguments, **options):
        raise ValueError("its weights are unusable")

    monkeypatch.setattr(inference, "embed", failing)
    output = tmp_path / f"features{ending}"
    code, _, err = run("embed", videos, "--preset", presets / "clips", "--output", output)
    assert code == 2
    assert "its weights are unusable" in err
    assert list(tmp_path.iterdir()) == []


def test_a_backbone_and_a_network_on_images(run, presets, videos, tmp_path):
    for name in ("backbone", "frames"):
        output = tmp_path / f"{name}.npz"
        code, out, err = run(
            *("embed", videos / "b.mkv", "--preset", presets / name, "--output", output),
            *("--frames", 8, "--size", 32),
        )
        assert (code, out) == (0, f"1 of 1 videos are in {output}\n"), err
        assert read(output)[1][0].shape == (16,)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("out.csv", "--output must end in .npz or .parquet"),
        ("there.npz", "exists: choose another file"),
        ("absent/out.npz", "no such folder for --output"),
    ],
)
def test_outputs_that_are_refused(run, presets, videos, tmp_path, output, message):
    (tmp_path / "there.npz").write_text("mine")
    code, out, err = run(
        "embed", videos, "--preset", presets / "clips", "--output", tmp_path / output
    )
    assert (code, out) == (2, "")
    assert message in err
    assert (tmp_path / "there.npz").read_text() == "mine"


def test_parquet_is_an_extra(run, presets, videos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    output = tmp_path / "out.parquet"
    code, _, err = run("embed", videos, "--preset", presets / "clips", "--output", output)
    assert code != 0
    assert "pip install 'keras-mlp3d[parquet]'" in err


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_a_name_that_is_not_utf_8(run, presets, videos, expected, tmp_path, ending):
    folder = tmp_path / "odd"
    folder.mkdir()
    name = os.fsdecode(os.fsencode(folder / "a") + b"\xff.mp4")
    shutil.copy(next(iter(expected)), name)
    output = tmp_path / f"features{ending}"
    code, out, _ = run("embed", folder, "--preset", presets / "clips", "--output", output)
    assert (code, out) == (0, f"1 of 1 videos are in {output}\n")
    [path], [features], _ = read(output)
    assert path in (name, f"{folder}/a\\xff.mp4")
    assert len(features) > 0
