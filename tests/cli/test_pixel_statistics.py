"""`keras-mlp3d pixel-statistics`: what it prints is what `train --set` takes."""

import numpy as np
import pytest
from data.make_videos import write_lossless

from keras_mlp3d.data import VideoConverter, pixel_statistics, read_folder
from keras_mlp3d.training import Recipe, parse_overrides


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for split, name, top in (("train", "jump", 60), ("train", "run", 200), ("val", "run", 255)):
        (tmp_path / "data" / split / name).mkdir(parents=True)
        frames = rng.integers(0, top, (4, 32, 32, 3), dtype="uint8")
        write_lossless(tmp_path / "data" / split / name / "a.mkv", frames)
    return tmp_path / "data"


def test_it_prints_options_of_a_training(run, folder):
    code, out, err = run("pixel-statistics", folder, "--frames", 4, "--size", 32)
    assert (code, err) == (0, "keras-mlp3d: note: 2 of 2 videos measured\n")
    words = out.split()
    assert words[::2] == ["--set", "--set"]
    recipe = Recipe.load("fine_tune").replace(**parse_overrides(words[1::2]))
    found = pixel_statistics(read_folder(folder, "train"), VideoConverter(4, (32, 32)))
    assert (recipe.pixel_mean, recipe.pixel_std) == (found.pixel_mean, found.pixel_std)
    _, other, _ = run("pixel-statistics", folder, "--split", "val", "--frames", 4, "--size", 32)
    assert other != out


def test_unreadable_videos_are_named(run, folder):
    (folder / "train" / "run" / "b\x1b.mp4").write_text("no video")
    code, out, err = run("pixel-statistics", folder, "--frames", 4, "--size", 32)
    assert (code, len(out.splitlines())) == (0, 2)
    first, second = err.splitlines()
    assert first.startswith("keras-mlp3d: warning: not measured: run/b .mp4: cannot read")
    assert second == "keras-mlp3d: note: 2 of 3 videos measured, 1 unreadable"


def test_nothing_readable_is_an_error(run, folder):
    for path in folder.glob("train/*/*.mkv"):
        path.write_text("no video")
    code, out, err = run("pixel-statistics", folder, "--frames", 4, "--size", 32)
    assert (code, out) == (2, "")
    assert "None of 2 videos can be read" in err
